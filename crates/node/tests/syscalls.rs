//! What a busy worker asks of the kernel, counted by strace.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use anyhow::{Result, ensure};
use ln6_lab::{Namespace, Process, wait_for, wait_until};
use std::collections::BTreeMap;
use std::time::Duration;
use world::{Machine, Net, PATIENCE, ready_with};

/// System calls for each superpacket of data, both ends together, acknowledgements apart.
const MOST: f64 = 5.0;
/// How long is counted.
const SPAN: Duration = Duration::from_secs(4);

/// Calls and those of them that failed, by name.
type Calls = BTreeMap<String, (u64, u64)>;

/// strace, attached to the workers of a node.
struct Trace {
    process: Process,
    path: std::path::PathBuf,
}

impl Trace {
    fn attach(machine: &Machine) -> Result<Self> {
        let workers = machine.threads("ln6d-worker")?;
        ensure!(!workers.is_empty(), "no thread is called ln6d-worker-N");
        let label = format!("strace-{}", machine.namespace.name());
        let path = machine.namespace.directory().join(format!("{label}.calls"));
        let mut words: Vec<String> = ["strace", "-c", "-o"]
            .map(str::to_owned)
            .into_iter()
            .chain([path.display().to_string()])
            .collect();
        words.extend(workers.iter().flat_map(|tid| ["-p".to_owned(), tid.to_string()]));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let process = machine.namespace.spawn(&label, &words)?;
        for tid in workers {
            wait_until("strace", PATIENCE, || {
                let status = std::fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
                status
                    .lines()
                    .any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0"))
            })?;
        }
        Ok(Self { process, path })
    }

    fn stop(&mut self) -> Result<()> {
        self.process.signal("INT")
    }

    fn calls(mut self) -> Result<Calls> {
        let _ = self.process.wait(PATIENCE)?;
        let table = std::fs::read_to_string(&self.path)?;
        let mut calls = Calls::new();
        // % time, seconds, usecs/call, calls, errors (or nothing), name
        for line in table.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (Some(name), Some(Ok(count))) = (words.last(), words.get(3).map(|word| word.parse())) else {
                continue;
            };
            let errors = if words.len() > 5 { words[4].parse()? } else { 0 };
            if *name != "total" {
                calls.insert((*name).to_owned(), (count, errors));
            }
        }
        ensure!(!calls.is_empty(), "strace counted nothing: {table}");
        Ok(calls)
    }
}

fn count(calls: &Calls, names: &[&str]) -> u64 {
    names.iter().filter_map(|name| calls.get(*name)).map(|(count, _)| count).sum()
}

fn bulk(from: &Namespace, to: &Namespace, address: std::net::Ipv6Addr) -> Result<(Process, Process)> {
    let server = to.spawn("iperf-server", &["iperf3", "-6", "-s", "-1"])?;
    wait_until("iperf3", PATIENCE, || to.run(&["ss", "-Hltn"]).is_ok_and(|text| text.contains(":5201")))?;
    let client = from.spawn("iperf-client", &["iperf3", "-6", "-c", &address.to_string(), "-t", "60"])?;
    Ok((server, client))
}

#[test]
fn bulk_traffic_costs_at_most_five_system_calls_a_superpacket_and_no_lock() {
    if !ready_with(&["strace", "iperf3", "ss"]) {
        return;
    }
    let net = Net::new("syscalls", 2).unwrap();
    let to = net.addresses[1];
    net.client(0).wait_ping(to, PATIENCE).unwrap();
    let _bulk = bulk(net.client(0), net.client(1), to).unwrap();
    let (from, to) = (&net.gateways[0], &net.gateways[1]);
    wait_for("a busy sender", PATIENCE, || match from.figure("tun_superpackets") {
        Ok(1000..) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .unwrap();

    let mut traces = [Trace::attach(from).unwrap(), Trace::attach(to).unwrap()];
    let begin = (from.figure("tun_superpackets").unwrap(), to.figure("tun_superwrites").unwrap());
    std::thread::sleep(SPAN); // the span that is measured, not a wait
    let end = (from.figure("tun_superpackets").unwrap(), to.figure("tun_superwrites").unwrap());
    traces.iter_mut().for_each(|trace| trace.stop().unwrap());
    let [sender, receiver] = traces.map(|trace| trace.calls().unwrap());
    println!("sender {sender:?}\nreceiver {receiver:?}");

    let (read, written) = (end.0 - begin.0, end.1 - begin.1);
    assert!(read > 100, "only {read} superpackets");
    for calls in [&sender, &receiver] {
        assert_eq!(count(calls, &["futex"]), 0, "{calls:?}");
    }
    // Data: read from one TUN, sent, received, written to the other. The acknowledgements' way is the opposite one, by
    // the opposite calls; waiting is counted as the data's.
    let waits = ["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll"];
    let out = count(&sender, &["read", "readv", "sendmsg", "sendmmsg", "sendto"]) + count(&sender, &waits);
    let into =
        count(&receiver, &["recvmsg", "recvmmsg", "recvfrom", "write", "writev"]) + count(&receiver, &waits);
    let each = (out + into) as f64 / read as f64;
    println!("{read} superpackets read, {written} written: {out} + {into} calls, {each:.2} for each");
    assert!(each <= MOST, "{each:.2} system calls for each superpacket");
}
