//! More workers than processors: is it still correct, and what does it cost.

use super::by_setting;
use crate::bench::hard::flows::{self, Checked};
use crate::bench::peers::load::{Pair, UP};
use crate::bench::peers::options::Options;
use crate::bench::peers::world::World;
use crate::bench::trial::{Claim, Figures, Seen, Title, Trial};
use anyhow::Result;
use ln6_lab::flows::Flows;

const TITLES: &[Title] = &[
    ("tcp_1", "TCP 1 stream a→b, Gbit/s"),
    ("tcp_4", "TCP 4 streams a→b, Gbit/s"),
    ("tcp_4_reverse", "TCP 4 streams b→a, Gbit/s"),
    ("flood_64", "UDP 64 B, kpps delivered of a flood"),
    ("retransmits", "TCP 1 stream, segments sent again"),
    ("sent", "checked packets sent"),
    ("lost", "of these not received"),
    ("spoiled", "altered, duplicated, or after a later one of their flow"),
    ("uncounted", "sealed by a and neither opened by b nor counted as dropped"),
    ("replays", "dropped as replays, too old to tell included"),
];
/// Packets that are checked, of each of eight flows.
const EACH: u64 = 50_000;
const CONTESTANTS: [(&str, &str); 2] = [("one", "workers = 1"), ("four", "workers = 4")];

pub(super) fn run(options: &Options) -> Result<()> {
    let options = &Options { only: Vec::new(), ..options.clone() };
    let trial = Trial {
        name: "workers",
        about: "The same binary with one worker and with four, on a machine with fewer processors than that.",
        titles: TITLES,
        contestants: CONTESTANTS.map(|(name, _)| name.to_owned()).to_vec(),
        options,
        claims,
    };
    by_setting(&trial, &CONTESTANTS, |world| measure(world, options))
}

fn measure(world: &World, options: &Options) -> Result<Figures> {
    let mut figures = Figures::new();
    let [a, b] = &world.nodes;
    a.wait_ping(world.ends[1], UP)?;
    let ends = Pair { from: a, to: b, address: world.ends[1] };
    ends.tcp(1, &[])?; // the first second is not what is asked about
    let one = ends.tcp(options.seconds, &[])?;
    figures.insert("tcp_1", one.gbit);
    figures.insert("retransmits", one.retransmits);
    figures.insert("tcp_4", ends.tcp(options.seconds, &["-P", "4"])?.gbit);
    figures.insert("tcp_4_reverse", ends.tcp(options.seconds, &["-P", "4", "-R"])?.gbit);
    figures.insert("flood_64", ends.udp(64, 400_000.0)?.0 / 1000.0);
    let checked: Checked = flows::check(world, Flows { flows: 8, packets: EACH, largest: 1400 })?;
    figures.extend(checked.figures());
    Ok(figures)
}

fn claims(seen: &Seen, _: &[String]) -> Vec<Claim> {
    let most = |figure: &str| seen.range("four", figure).map(|(_, most)| most);
    let mut claims = vec![
        Claim::at_most(
            "line 10: four workers: packets altered, duplicated or out of order in a flow, most of any block",
            most("spoiled"),
            0.0,
        ),
        Claim::at_most("line 10: four workers: packets that no counter names", most("uncounted"), 0.0),
        Claim::at_most("line 10: four workers: datagrams taken for replays", most("replays"), 0.0),
    ];
    for figure in ["tcp_1", "tcp_4", "tcp_4_reverse", "flood_64"] {
        let text = format!("line 10: {figure} with four workers at least 0.8 of that with one");
        claims.push(Claim::at_least(text, seen.ratio(figure, "four", "one"), 0.8));
    }
    claims
}
