//! Three nodes in a row: what the middle carries, and what it costs.

use super::within;
use crate::bench::peers::load::{Pair, UP, cpu_seconds};
use crate::bench::peers::options::Options;
use crate::bench::peers::world::{Underlay, World};
use crate::bench::trial::{Claim, Figures, Seen, Title, Trial};
use anyhow::Result;

const TITLES: &[Title] = &[
    ("tcp_1", "TCP 1 stream through the middle, Gbit/s"),
    ("tcp_4", "TCP 4 streams through the middle, Gbit/s"),
    ("cpu_end", "CPU-seconds per Gbit of an end, 4 streams"),
    ("cpu_middle", "CPU-seconds per Gbit of the middle, 4 streams"),
    ("middle_to_end", "the middle's against an end's"),
];

pub(super) fn run(options: &Options) -> Result<()> {
    let programs = super::programs(options, &["ln6d", "tinc"])?;
    let trial = Trial {
        name: "relay",
        about: "Two ends that reach each other only through a third node, which does not route on the underlay. ln6d seals end \
                to end; tinc (`IndirectData`) seals from hop to hop.",
        titles: TITLES,
        contestants: programs.iter().map(|program| program.name().to_owned()).collect(),
        options,
        claims,
    };
    trial.run(|contestant| {
        let program = programs.iter().find(|program| program.name() == contestant).expect("a contestant");
        within(World::laid(Underlay::Apart)?, |world| program.start(world), |world| measure(world, options))
    })
}

fn measure(world: &World, options: &Options) -> Result<Figures> {
    let mut figures = Figures::new();
    let [a, b] = &world.nodes;
    a.wait_ping(world.ends[1], UP)?;
    b.wait_ping(world.ends[0], UP)?;
    let ends = Pair { from: a, to: b, address: world.ends[1] };
    ends.tcp(1, &[])?; // the first second is not what is asked about
    figures.insert("tcp_1", ends.tcp(options.seconds, &[])?.gbit);
    let before = (cpu_seconds(&world.daemons), cpu_seconds(&world.others));
    let four = ends.tcp(options.seconds, &["-P", "4"])?.gbit;
    let after = (cpu_seconds(&world.daemons), cpu_seconds(&world.others));
    figures.insert("tcp_4", four);
    let gbits = four * f64::from(options.seconds);
    let (end, middle) = ((after.0 - before.0) / 2.0, after.1 - before.1);
    if gbits > 0.0 && end > 0.0 {
        figures.insert("cpu_end", end / gbits);
        figures.insert("cpu_middle", middle / gbits);
        figures.insert("middle_to_end", middle / end);
    }
    Ok(figures)
}

fn claims(seen: &Seen, _: &[String]) -> Vec<Claim> {
    let best = |name: &str| Some(seen.median(name, "tcp_1")?.max(seen.median(name, "tcp_4")?));
    vec![
        Claim::at_least("line 4: relayed, at least 2 Gbit/s", best("ln6d"), 2.0),
        Claim::at_least(
            "line 4: at least 4 × tinc's relay, one stream",
            seen.ratio("tcp_1", "ln6d", "tinc"),
            4.0,
        ),
        Claim::at_least(
            "line 4: at least 4 × tinc's relay, four streams",
            seen.ratio("tcp_4", "ln6d", "tinc"),
            4.0,
        ),
        Claim::at_most(
            "line 4: the middle spends at most 0.6 of an end's CPU-seconds per Gbit",
            seen.median("ln6d", "middle_to_end"),
            0.6,
        ),
    ]
}
