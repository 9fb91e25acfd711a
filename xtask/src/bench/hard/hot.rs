//! One peer sends as fast as it can, another pings: is it made to wait.

use super::by_setting;
use crate::bench::peers::load::{Pair, UP, insert_ping, pings};
use crate::bench::peers::options::Options;
use crate::bench::peers::world::World;
use crate::bench::trial::{Claim, Figures, Seen, Title, Trial};
use anyhow::Result;
use ln6_lab::Process;
use std::time::Duration;

const TITLES: &[Title] = &[
    ("idle_p50", "ping from the third node idle p50, ms"),
    ("idle_p99", "the same, p99, ms"),
    ("tcp_p50", "ping from the third node to b, beside four TCP streams a→b p50, ms"),
    ("tcp_p99", "the same, p99, ms"),
    ("flood_p50", "beside a flood of UDP 1340 B a→b p50, ms"),
    ("flood_p99", "the same, p99, ms"),
];
const PINGS: u32 = 500;
const CONTESTANTS: [(&str, &str); 2] = [("first", "priority = \"auto\""), ("equal", "priority = \"off\"")];

pub(super) fn run(options: &Options) -> Result<()> {
    let options = &Options { only: Vec::new(), ..options.clone() };
    let trial = Trial {
        name: "hot",
        about: "Three nodes with a session each to each: a sends to b at full speed, the third pings b. All three share the machine.",
        titles: TITLES,
        contestants: CONTESTANTS.map(|(name, _)| name.to_owned()).to_vec(),
        options,
        claims,
    };
    by_setting(&trial, &CONTESTANTS, measure)
}

fn measure(world: &World) -> Result<Figures> {
    let mut figures = Figures::new();
    let ([a, b], third) = (&world.nodes, &world.server);
    let to = world.ends[1];
    a.wait_ping(to, UP)?;
    third.wait_ping(to, UP)?;
    let ends = Pair { from: a, to: b, address: to };
    insert_ping(&mut figures, ["idle_p50", "idle_p99"], &pings(third, to, "0.01", PINGS)?);
    let flood = &["-u", "-l", "1340", "-b", "0"][..];
    for (names, words) in [(["tcp_p50", "tcp_p99"], &[][..]), (["flood_p50", "flood_p99"], flood)] {
        let mut busy = ends.background_with(60, words)?;
        std::thread::sleep(Duration::from_secs(1)); // the streams' slow start, which is not measured
        insert_ping(&mut figures, names, &pings(third, to, "0.01", PINGS)?);
        busy.iter_mut().for_each(Process::kill);
    }
    Ok(figures)
}

fn claims(seen: &Seen, _: &[String]) -> Vec<Claim> {
    let value = |figure: &str| seen.median("first", figure);
    vec![
        Claim::at_most(
            "line 9: one peer sends TCP at full speed, another pings: p99, ms",
            value("tcp_p99"),
            6.0,
        ),
        Claim::at_most("line 9: one peer floods with UDP, another pings: p99, ms", value("flood_p99"), 6.0),
    ]
}
