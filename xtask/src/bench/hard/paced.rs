//! How long a ping through the tunnel takes while it is busy, and what it costs that it takes no longer.

use super::within;
use crate::bench::peers::load::{Pair, UP, cpu_seconds, insert_ping, pings};
use crate::bench::peers::options::Options;
use crate::bench::peers::world::World;
use crate::bench::trial::{Claim, Figures, Seen, Title, Trial};
use anyhow::{Context, Result};
use ln6_lab::{Namespace, Process};
use std::process::Command;
use std::time::{Duration, Instant};

const TITLES: &[Title] = &[
    ("idle_p50", "ping idle p50, ms"),
    ("idle_p99", "ping idle p99, ms"),
    ("paced_p50", "ping beside four streams of 600 Mbit/s p50, ms"),
    ("paced_p99", "the same, p99, ms"),
    ("paced_cpu", "daemons' CPU-seconds per second meanwhile"),
    ("full_p50", "ping beside four streams at full speed p50, ms"),
    ("full_p99", "the same, p99, ms"),
    ("tcp_4", "TCP 4 streams a→b, Gbit/s"),
    ("cpu", "daemons' CPU-seconds per Gbit, TCP 4 streams"),
    ("one_tcp", "a has one processor, and a busy shell on it: TCP 4 streams from its LAN, Gbit/s"),
    ("one_shell", "the shell's part of that processor"),
    ("one_p50", "ping from its LAN beside the streams p50, ms"),
    ("one_p99", "the same, p99, ms"),
];
/// Four of these are what the fastest of the peers carries.
const PACE: &str = "600M";
/// Pings of one figure, ten milliseconds apart.
const PINGS: u32 = 500;
const CONTESTANTS: [(&str, &str, bool); 4] = [
    ("first", "priority = \"auto\"", false),
    ("equal", "priority = \"off\"", false),
    ("first-one", "priority = \"auto\"", true),
    ("equal-one", "priority = \"off\"", true),
];

pub(super) fn run(options: &Options) -> Result<()> {
    let only = |name: &str| options.only.is_empty() || options.only.iter().any(|wanted| wanted == name);
    let contestants =
        CONTESTANTS.iter().map(|(name, ..)| (*name).to_owned()).filter(|name| only(name)).collect();
    let programs = super::programs(&Options { only: Vec::new(), ..options.clone() }, &["ln6d"])?;
    let trial = Trial {
        name: "paced",
        about: "ln6d with its forwarding threads before others (`priority = \"auto\"`) and among them (`\"off\"`). In the contestants \
                called `one`, a's daemon and a shell that counts without end share processor 0; everything else has the others.",
        titles: TITLES,
        contestants,
        options,
        claims,
    };
    trial.run(|contestant| {
        let (_, setting, is_one) =
            CONTESTANTS.iter().find(|(name, ..)| *name == contestant).expect("a contestant");
        let mut world = World::new()?;
        world.settings.push((*setting).to_owned());
        if !is_one {
            return within(world, |world| programs[0].start(world), |world| measure(world, options));
        }
        world.first_alone = true;
        let _rest = Elsewhere::go()?;
        within(world, |world| programs[0].start(world), |world| measure_one(world, options))
    })
}

fn measure(world: &World, options: &Options) -> Result<Figures> {
    let mut figures = Figures::new();
    let [a, b] = &world.nodes;
    a.wait_ping(world.ends[1], UP)?;
    let ends = Pair { from: a, to: b, address: world.ends[1] };
    insert_ping(&mut figures, ["idle_p50", "idle_p99"], &pings(a, world.ends[1], "0.01", PINGS)?);
    ends.tcp(1, &[])?; // the first second is not what is asked about
    let before = cpu_seconds(&world.daemons);
    let four = ends.tcp(options.seconds, &["-P", "4"])?.gbit;
    let spent = cpu_seconds(&world.daemons) - before;
    figures.insert("tcp_4", four);
    if four > 0.0 {
        figures.insert("cpu", spent / (four * f64::from(options.seconds)));
    }
    for (names, pace) in [(["paced_p50", "paced_p99"], &["-b", PACE][..]), (["full_p50", "full_p99"], &[])] {
        let mut busy = ends.background_with(60, pace)?;
        std::thread::sleep(Duration::from_secs(1)); // the streams' slow start, which is not measured
        let (before, begin) = (cpu_seconds(&world.daemons), Instant::now());
        insert_ping(&mut figures, names, &pings(a, world.ends[1], "0.01", PINGS)?);
        if !pace.is_empty() {
            let spent = cpu_seconds(&world.daemons) - before;
            figures.insert("paced_cpu", spent / begin.elapsed().as_secs_f64());
        }
        busy.iter_mut().for_each(Process::kill);
    }
    Ok(figures)
}

fn measure_one(world: &World, options: &Options) -> Result<Figures> {
    let mut figures = Figures::new();
    let [la, lb] = &world.hosts;
    let lan = world.lan.context("no addresses in the LANs")?;
    la.wait_ping(lan[1], UP)?;
    let pair = Pair { from: la, to: lb, address: lan[1] };
    pair.tcp(1, &[])?;
    let shell = [busy_shell(&world.nodes[0])?];
    let (before, begin) = (cpu_seconds(&shell), Instant::now());
    figures.insert("one_tcp", pair.tcp(options.seconds, &["-P", "4"])?.gbit);
    figures.insert("one_shell", (cpu_seconds(&shell) - before) / begin.elapsed().as_secs_f64());
    let mut busy = pair.background(60)?;
    std::thread::sleep(Duration::from_secs(1)); // as above
    insert_ping(&mut figures, ["one_p50", "one_p99"], &pings(la, lan[1], "0.01", PINGS)?);
    busy.iter_mut().for_each(Process::kill);
    Ok(figures)
}

/// Counts for ever, on processor 0.
fn busy_shell(node: &Namespace) -> Result<Process> {
    node.spawn("busy-shell", &["taskset", "-c", "0", "sh", "-c", "i=0; while :; do i=$((i+1)); done"])
}

/// This process, and what it starts, keep off processor 0 until it is dropped.
struct Elsewhere;

impl Elsewhere {
    fn go() -> Result<Self> {
        let processors = std::thread::available_parallelism()?.get();
        anyhow::ensure!(processors > 1, "this needs a machine with two processors");
        on(&format!("1-{}", processors - 1))?;
        Ok(Elsewhere)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Err(error) = on("0-1023") {
            eprintln!("this process stays off processor 0: {error:#}");
        }
    }
}

fn on(processors: &str) -> Result<()> {
    let pid = std::process::id().to_string();
    let done =
        Command::new("taskset").args(["-a", "-p", "-c", processors, &pid]).output().context("taskset")?;
    anyhow::ensure!(done.status.success(), "taskset: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn claims(seen: &Seen, _: &[String]) -> Vec<Claim> {
    let value = |figure: &str| seen.median("first", figure);
    vec![
        Claim::at_most(
            "line 3: ping beside streams of the fastest peer's rate, p99, ms",
            value("paced_p99"),
            3.0,
        ),
        Claim::at_most("line 3: ping beside streams at full speed, p99, ms", value("full_p99"), 6.0),
        Claim::at_least("throughput, first to equal", seen.ratio("tcp_4", "first", "equal"), 0.9),
        Claim::at_most(
            "ping beside streams at full speed, p99, first to equal",
            seen.ratio("full_p99", "first", "equal"),
            1.0,
        ),
        Claim::at_least(
            "a shell's part of the only processor, least of any block",
            seen.range("first-one", "one_shell").map(|(least, _)| least),
            0.15,
        ),
    ]
}
