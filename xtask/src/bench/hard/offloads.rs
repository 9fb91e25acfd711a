//! The underlay without offloads, and the plain device: what is left of the lead when the kernel does not help.

use super::within;
use crate::bench::peers::load::{Pair, UP, cpu_seconds};
use crate::bench::peers::options::Options;
use crate::bench::peers::world::World;
use crate::bench::trial::{Claim, Figures, Seen, Title, Trial};
use crate::packages;
use anyhow::Result;
use ln6_lab::Namespace;

const TITLES: &[Title] = &[
    ("tcp_1", "TCP 1 stream a→b, Gbit/s"),
    ("tcp_4", "TCP 4 streams a→b, Gbit/s"),
    ("cpu", "daemons' CPU-seconds per Gbit, TCP 4 streams"),
    ("flood_64", "UDP 64 B, kpps delivered of a flood"),
];
/// ln6d without superpackets on its device either: `offload = "off"`.
const PLAIN: &str = "ln6d-plain";
/// What `ethtool -K` is told of every device of the underlay.
const OFF: [&str; 6] = ["tso", "gso", "gro", "tx-udp-segmentation", "rx-gro-list", "rx-udp-gro-forwarding"];

pub(super) fn run(options: &Options) -> Result<()> {
    packages::ensure(&[("ethtool", "ethtool")])?;
    let names =
        ["ln6d", "wireguard-go", "boringtun", "tinc", "nebula", "openvpn", "fastd", "yggdrasil", "cable"];
    let programs = super::programs(options, &names)?;
    let mut contestants: Vec<String> = programs.iter().map(|program| program.name().to_owned()).collect();
    if contestants.iter().any(|name| name == "ln6d") {
        contestants.insert(1, PLAIN.to_owned());
    }
    let trial = Trial {
        name: "offloads",
        about: "Segmentation and coalescing are off on both ends of the underlay (`ethtool -K eth0 tso off gso off gro off \
                tx-udp-segmentation off`). ln6d-plain has a device without superpackets as well (`offload = \"off\"`: the crate \
                `tun-tap`); `cable` is the underlay itself.",
        titles: TITLES,
        contestants,
        options,
        claims,
    };
    trial.run(|contestant| {
        let name = if contestant == PLAIN { "ln6d" } else { contestant };
        let program = programs.iter().find(|program| program.name() == name).expect("a contestant");
        let mut world = World::new()?;
        if contestant == PLAIN {
            world.settings.push("offload = \"off\"".to_owned());
        }
        world.nodes.iter().try_for_each(switch_off)?;
        within(world, |world| program.start(world), |world| measure(world, options))
    })
}

fn switch_off(node: &Namespace) -> Result<()> {
    for device in ["eth0", "eth1"] {
        for feature in OFF {
            // Some have a fixed value, or this kernel does not know them; what counts is checked below.
            let _ = node.exec(&["ethtool", "-K", device, feature, "off"]);
        }
        let shown = node.run(&["ethtool", "-k", device])?;
        for feature in [
            "tcp-segmentation-offload",
            "generic-segmentation-offload",
            "generic-receive-offload",
            "tx-udp-segmentation",
        ] {
            let is_off = shown.lines().any(|line| line.trim_start().starts_with(&format!("{feature}: off")));
            anyhow::ensure!(is_off, "{feature} of {device} cannot be switched off:\n{shown}");
        }
    }
    Ok(())
}

fn measure(world: &World, options: &Options) -> Result<Figures> {
    let mut figures = Figures::new();
    let [a, b] = &world.nodes;
    a.wait_ping(world.ends[1], UP)?;
    b.wait_ping(world.ends[0], UP)?;
    let ends = Pair { from: a, to: b, address: world.ends[1] };
    ends.tcp(1, &[])?; // the first second is not what is asked about
    figures.insert("tcp_1", ends.tcp(options.seconds, &[])?.gbit);
    let before = cpu_seconds(&world.daemons);
    let four = ends.tcp(options.seconds, &["-P", "4"])?.gbit;
    let spent = cpu_seconds(&world.daemons) - before;
    figures.insert("tcp_4", four);
    if !world.daemons.is_empty() && four > 0.0 {
        figures.insert("cpu", spent / (four * f64::from(options.seconds)));
    }
    figures.insert("flood_64", ends.udp(64, 400_000.0)?.0 / 1000.0);
    Ok(figures)
}

fn claims(seen: &Seen, contestants: &[String]) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (ours, words) in [("ln6d", "underlay without offloads"), (PLAIN, "plain device as well")] {
        for figure in ["tcp_1", "tcp_4", "flood_64"] {
            let others = contestants.iter().filter(|name| !["ln6d", PLAIN, "cable"].contains(&name.as_str()));
            let ratios =
                others.filter_map(|name| Some((seen.ratio(figure, ours, name)?, name))).collect::<Vec<_>>();
            let least = ratios.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
            let against =
                least.map_or(String::new(), |(_, name)| format!(" (the best of the others is {name})"));
            let text = format!("line 6: {words}, {figure}: ahead of every other{against}");
            claims.push(Claim::at_least(text, least.map(|(ratio, _)| ratio), 1.0));
        }
    }
    claims
}
