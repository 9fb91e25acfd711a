//! Loss and reordering on the underlay, under the tunnel and under bare TCP alike.

use super::within;
use crate::bench::peers::load::{Pair, UP};
use crate::bench::peers::options::Options;
use crate::bench::peers::world::{Underlay, World};
use crate::bench::trial::{Claim, Figures, Seen, Title, Trial};
use anyhow::Result;
use ln6_lab::wire::Trouble;

const TITLES: &[Title] = &[
    ("clean", "no trouble, Gbit/s"),
    ("lossy", "0.25 % lost, 0.5 % late, Gbit/s"),
    ("late", "3 % late, Gbit/s"),
    ("paced_clean", "1 Gbit/s of cable, no trouble, Gbit/s"),
    ("paced_lossy", "1 Gbit/s of cable, 0.25 % lost, 0.5 % late, Gbit/s"),
    ("paced_late", "1 Gbit/s of cable, 3 % late, Gbit/s"),
];
const CLEAN: Trouble = Trouble { lost: 0, late: 0, seed: 1, rate: 0 };
const LOSSY: Trouble = Trouble { lost: 2500, late: 5000, ..CLEAN };
const LATE: Trouble = Trouble { late: 30_000, ..CLEAN };
/// Mbit/s at which no processor is the bottleneck: what is left is how the tunnel treats loss and order.
const PACE: u32 = 1000;
const TROUBLES: [(&str, Trouble); 6] = [
    ("clean", CLEAN),
    ("lossy", LOSSY),
    ("late", LATE),
    ("paced_clean", Trouble { rate: PACE, ..CLEAN }),
    ("paced_lossy", Trouble { rate: PACE, ..LOSSY }),
    ("paced_late", Trouble { rate: PACE, ..LATE }),
];

pub(super) fn run(options: &Options) -> Result<()> {
    let programs =
        super::programs(options, &["ln6d", "cable", "wireguard-go", "boringtun", "tinc", "nebula", "fastd"])?;
    let trial = Trial {
        name: "trouble",
        about: "The cable of the underlay is a program that carries frame by frame between two TAP devices (no offload of any \
                kind, for the tunnels and for `cable`, the bare path, alike), drops some and lets others arrive after up to eight \
                later ones, each way. One TCP stream. At full speed processors are the limit, and the carrier's time is part of it; in the \
                paced rows the cable lets 1 Gbit/s pass.",
        titles: TITLES,
        contestants: programs.iter().map(|program| program.name().to_owned()).collect(),
        options,
        claims,
    };
    trial.run(|contestant| {
        let program = programs.iter().find(|program| program.name() == contestant).expect("a contestant");
        let mut figures = Figures::new();
        for (name, trouble) in TROUBLES {
            let world = World::laid(Underlay::Wire(trouble))?;
            figures.extend(within(
                world,
                |world| program.start(world),
                |world| measure(world, options, name),
            )?);
        }
        Ok(figures)
    })
}

fn measure(world: &World, options: &Options, name: &'static str) -> Result<Figures> {
    let [a, b] = &world.nodes;
    a.wait_ping(world.ends[1], UP)?;
    let ends = Pair { from: a, to: b, address: world.ends[1] };
    ends.tcp(1, &[])?; // the first second is not what is asked about
    Ok(Figures::from([(name, ends.tcp(options.seconds, &[])?.gbit)]))
}

fn claims(seen: &Seen, _: &[String]) -> Vec<Claim> {
    let claim = |figure: &str, words: &str| {
        let text = format!("line 7: {words}: at least 0.8 of what the bare path carries");
        Claim::at_least(text, seen.ratio(figure, "ln6d", "cable"), 0.8)
    };
    vec![
        claim("lossy", "0.25 % lost, 0.5 % late, full speed"),
        claim("late", "3 % late, full speed"),
        claim("paced_lossy", "0.25 % lost, 0.5 % late, 1 Gbit/s of cable"),
        claim("paced_late", "3 % late, 1 Gbit/s of cable"),
    ]
}
