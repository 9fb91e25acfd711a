//! What the workers ask of the kernel while four streams run, and what the daemons then weigh.

use super::within;
use crate::bench::peers::load::{Pair, UP, resident};
use crate::bench::peers::options::Options;
use crate::bench::peers::world::World;
use crate::bench::trial::{Claim, Figures, Seen, Title, Trial};
use crate::packages;
use anyhow::{Result, ensure};
use ln6_lab::{Namespace, Process, wait_until};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const TITLES: &[Title] = &[
    ("calls", "system calls for each superpacket of data, both ends (acknowledgements' own apart)"),
    ("out", "of these at the sender"),
    ("into", "of these at the receiver"),
    ("superpackets", "superpackets read while counted"),
    ("octets", "mean octets of one"),
    ("futex", "futex calls of all workers"),
    ("rss", "RSS of the larger daemon under four streams, MiB"),
];
/// What carries data, the waiting for it, and the coming and going of real-time priority.
const OUT: &[&str] = &["read", "readv", "sendmsg", "sendmmsg", "sendto"];
const INTO: &[&str] = &["recvmsg", "recvmmsg", "recvfrom", "write", "writev"];
const WAITS: &[&str] = &["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "sched_setscheduler"];

pub(super) fn run(options: &Options) -> Result<()> {
    packages::ensure(&[("strace", "strace")])?;
    let programs = super::programs(&Options { only: Vec::new(), ..options.clone() }, &["ln6d"])?;
    let trial = Trial {
        name: "syscalls",
        about: "`strace -c` on the workers of both ends while four TCP streams go from a to b; memory is read before strace slows \
                them down.",
        titles: TITLES,
        contestants: vec!["ln6d".to_owned()],
        options,
        claims,
    };
    trial.run(|_| {
        within(World::new()?, |world| programs[0].start(world), |world| measure(world, options.seconds))
    })
}

fn measure(world: &World, seconds: u32) -> Result<Figures> {
    let [a, b] = &world.nodes;
    a.wait_ping(world.ends[1], UP)?;
    let ends = Pair { from: a, to: b, address: world.ends[1] };
    let _busy = ends.background(120)?;
    wait_until("a busy sender", UP, || superpackets(a).is_ok_and(|(count, _)| count > 5000.0))?;
    let rss = resident(&world.daemons);
    let [from, to] = [&world.daemons[0], &world.daemons[1]];
    let mut traces = [Trace::attach(a, from)?, Trace::attach(b, to)?];
    let begin = superpackets(a)?;
    std::thread::sleep(Duration::from_secs(u64::from(seconds))); // the span that is measured, not a wait
    let end = superpackets(a)?;
    traces.iter_mut().try_for_each(|trace| trace.process.signal("INT"))?;
    let [mut sender, mut receiver] = traces;
    let (sender, receiver) = (sender.calls()?, receiver.calls()?);
    let read = end.0 - begin.0;
    ensure!(read > 100.0, "only {read} superpackets");
    let count = |calls: &BTreeMap<String, f64>, names: &[&str]| -> f64 {
        names.iter().filter_map(|name| calls.get(*name)).sum()
    };
    let out = count(&sender, OUT) + count(&sender, WAITS);
    let into = count(&receiver, INTO) + count(&receiver, WAITS);
    Ok(Figures::from([
        ("calls", (out + into) / read),
        ("out", out / read),
        ("into", into / read),
        ("superpackets", read),
        ("octets", (end.1 - begin.1) / read),
        ("futex", count(&sender, &["futex"]) + count(&receiver, &["futex"])),
        ("rss", rss),
    ]))
}

/// Superpackets that a node's forwarder read from its device, and all octets the device sent.
fn superpackets(node: &Namespace) -> Result<(f64, f64)> {
    let count = super::flows::metric(node, "ln6d_forwarder_events_total{event=\"tun_superpackets\"}")?;
    let octets = node.run(&["cat", "/sys/class/net/ln6/statistics/tx_bytes"])?;
    Ok((count.unwrap_or(0.0), octets.trim().parse()?))
}

/// strace, attached to the workers of a daemon.
struct Trace {
    process: Process,
    path: PathBuf,
}

impl Trace {
    fn attach(node: &Namespace, daemon: &Process) -> Result<Self> {
        let mut workers = Vec::new();
        for entry in std::fs::read_dir(format!("/proc/{}/task", daemon.pid()))? {
            let entry = entry?;
            if std::fs::read_to_string(entry.path().join("comm"))?.starts_with("ln6d-worker") {
                workers.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        ensure!(!workers.is_empty(), "no thread is called ln6d-worker-N");
        let label = format!("strace-{}", node.name());
        let path = node.directory().join(format!("{label}.calls"));
        let file = path.display().to_string();
        let mut words = vec!["strace", "-c", "-o", &file];
        workers.iter().for_each(|worker| words.extend(["-p", worker.as_str()]));
        let process = node.spawn(&label, &words)?;
        for worker in &workers {
            wait_until("strace", UP, || {
                let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap_or_default();
                let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
                tracer.is_some_and(|pid| pid.trim() != "0")
            })?;
        }
        Ok(Self { process, path })
    }

    /// Calls by name: % time, seconds, usecs/call, calls, errors (or nothing), name.
    fn calls(&mut self) -> Result<BTreeMap<String, f64>> {
        let _ = self.process.wait(UP)?;
        let table = std::fs::read_to_string(&self.path)?;
        let rows = table.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = words.last().filter(|name| **name != "total")?;
            Some(((*name).to_owned(), words.get(3)?.parse().ok()?))
        });
        let calls: BTreeMap<String, f64> = rows.collect();
        ensure!(!calls.is_empty(), "strace counted nothing: {table}");
        Ok(calls)
    }
}

fn claims(seen: &Seen, _: &[String]) -> Vec<Claim> {
    let most = |figure: &str| seen.range("ln6d", figure).map(|(_, most)| most);
    vec![
        Claim::at_most(
            "line 5: at most 5 system calls for each superpacket",
            seen.median("ln6d", "calls"),
            5.0,
        ),
        Claim::at_most("line 5: no futex in the workers, most of any block", most("futex"), 0.0),
        Claim::at_most("line 5: RSS under four streams at most 20 MB, most of any block", most("rss"), 19.0),
    ]
}
