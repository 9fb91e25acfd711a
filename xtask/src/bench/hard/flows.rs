//! Ten million packets whose contents, order and number are checked, and counters that must agree with them.

use super::within;
use crate::bench::peers::load::UP;
use crate::bench::peers::options::Options;
use crate::bench::peers::world::World;
use crate::bench::trial::{Claim, Figures, Seen, Title, Trial};
use anyhow::{Context, Result};
use ln6_lab::flows::{self, Flows, Tally};
use ln6_lab::{Namespace, probe, wait_for};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const TITLES: &[Title] = &[
    ("sent", "checked packets sent"),
    ("lost", "of these not received"),
    ("altered", "altered"),
    ("duplicated", "duplicated"),
    ("disordered", "after a later one of their flow"),
    ("uncounted", "sealed by a and neither opened by b nor counted as dropped"),
    ("replays", "dropped as replays, too old to tell included"),
    ("tcp_packets", "packets' worth of TCP beside them, checked as a stream"),
];
/// Flows of UDP, and the packets of each.
const FLOWS: u16 = 5;
const EACH: u64 = 2_000_000;
/// Octets of TCP beside them, and of one of its packets.
const TCP: u64 = 2 << 30;
const SEGMENT: f64 = 1328.0;
/// The longest it may take.
const DEADLINE: Duration = Duration::from_secs(900);

pub(super) fn run(options: &Options) -> Result<()> {
    let programs = super::programs(&Options { only: Vec::new(), ..options.clone() }, &["ln6d"])?;
    let trial = Trial {
        name: "flows",
        about: "Five UDP flows of two million packets each, of 64 to 1400 octets, every one with a number and a content that follows \
                from it; a TCP stream at the same time, compared by a checksum in which places count. The path is clean.",
        titles: TITLES,
        contestants: vec!["ln6d".to_owned()],
        options: &Options { blocks: 1, ..options.clone() },
        claims,
    };
    trial.run(|_| within(World::new()?, |world| programs[0].start(world), measure))
}

fn measure(world: &World) -> Result<Figures> {
    let [a, b] = &world.nodes;
    a.wait_ping(world.ends[1], UP)?;
    let (checked, carried) = std::thread::scope(|scope| {
        let stream = scope.spawn(|| probe::carry(a, b, world.ends[1], TCP, DEADLINE));
        let checked = check(world, Flows { flows: FLOWS, packets: EACH, largest: 1400 });
        (checked, stream.join())
    });
    carried.map_err(|_| anyhow::anyhow!("the stream's thread died"))?.context("the TCP stream")?;
    let mut figures = checked?.figures();
    figures.insert("tcp_packets", TCP as f64 / SEGMENT);
    Ok(figures)
}

/// What became of checked packets from `a` to `b`.
pub(crate) struct Checked {
    tally: Tally,
    uncounted: f64,
    replays: f64,
}

impl Checked {
    pub(crate) fn figures(&self) -> Figures {
        let tally = &self.tally;
        let spoiled = tally.altered + tally.duplicated + tally.disordered;
        Figures::from([
            ("sent", tally.sent as f64),
            ("lost", tally.sent.saturating_sub(tally.received + tally.altered) as f64),
            ("altered", tally.altered as f64),
            ("duplicated", tally.duplicated as f64),
            ("disordered", tally.disordered as f64),
            ("spoiled", spoiled as f64),
            ("uncounted", self.uncounted),
            ("replays", self.replays),
        ])
    }
}

/// Sends checked packets, and compares what both daemons counted.
pub(crate) fn check(world: &World, flows: Flows) -> Result<Checked> {
    let [a, b] = &world.nodes;
    let before = (Counted::read(a)?, Counted::read(b)?);
    let tally = flows::send(a, b, world.ends[1], flows, DEADLINE)?;
    // What is under way has arrived when both agree; if they never do, the difference is what is told.
    let mut difference = f64::NAN;
    let mut replays = 0.0;
    let _ = wait_for("counters that agree", Duration::from_secs(3), || {
        let (sender, receiver) = (
            Counted::read(a).map_err(|error| error.to_string())?,
            Counted::read(b).map_err(|error| error.to_string())?,
        );
        let sealed = sender.sent - before.0.sent;
        let opened = receiver.received - before.1.received + receiver.dropped - before.1.dropped;
        replays = receiver.replays - before.1.replays;
        difference = sealed - opened;
        if difference == 0.0 { Ok(()) } else { Err(difference.to_string()) }
    });
    Ok(Checked { tally, uncounted: difference.abs(), replays })
}

/// What one daemon has counted.
#[derive(Debug)]
struct Counted {
    /// Packets sealed for the other node, and opened from it.
    sent: f64,
    received: f64,
    /// Packets dropped before they were opened.
    dropped: f64,
    replays: f64,
}

impl Counted {
    /// Of the node's metrics.
    fn read(node: &Namespace) -> Result<Self> {
        let text = metrics(node)?;
        let other = if node.name() == "a" { "b" } else { "a" };
        let value = |start: &str| find(&text, start);
        let peer = |what: &str| value(&format!("ln6d_peer_{what}_packets_total{{peer=\"{other}\"}}"));
        let drop = |reason: &str| {
            value(&format!("ln6d_dropped_packets_total{{reason=\"{reason}\"}}")).unwrap_or(0.0)
        };
        let replays = drop("replay");
        Ok(Self {
            sent: peer("transmit").context("no packets were sent")?,
            received: peer("receive").context("no packets were received")?,
            dropped: replays + drop("bad_tag") + drop("bad_index") + drop("key_expired"),
            replays,
        })
    }
}

fn metrics(node: &Namespace) -> Result<String> {
    let socket = node.directory().join(format!("{}.state/ln6d.sock", node.name()));
    let mut stream = UnixStream::connect(&socket).with_context(|| socket.display().to_string())?;
    stream.set_read_timeout(Some(UP))?;
    stream.write_all(b"GET /api/v1/metrics HTTP/1.1\r\nHost: ln6d\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn find(text: &str, start: &str) -> Option<f64> {
    text.lines().find(|line| line.starts_with(start))?.rsplit(' ').next()?.parse().ok()
}

/// One of a node's metrics, if it has it.
pub(crate) fn metric(node: &Namespace, start: &str) -> Result<Option<f64>> {
    Ok(find(&metrics(node)?, start))
}

fn claims(seen: &Seen, _: &[String]) -> Vec<Claim> {
    let value = |figure: &str| seen.median("ln6d", figure);
    vec![
        Claim::at_least("line 7: ten million checked packets", value("sent"), 10_000_000.0),
        Claim::at_most("line 7: none altered", value("altered"), 0.0),
        Claim::at_most("line 7: none duplicated", value("duplicated"), 0.0),
        Claim::at_most("line 7: none out of order within its flow", value("disordered"), 0.0),
        Claim::at_most(
            "line 7: counters agree (packets on the wire that none of them names)",
            value("uncounted"),
            0.0,
        ),
    ]
}
