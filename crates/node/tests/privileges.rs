//! What a daemon may still do once it runs (DESIGN 10, 8).
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use ln6_lab::wait_for;
use std::collections::BTreeMap;
use world::{Machine, Net, PATIENCE};

/// `CAP_NET_ADMIN` (12) and `CAP_NET_RAW` (13) of capability.h.
const NETWORK: u64 = 1 << 12 | 1 << 13;
/// `CAP_SYS_NICE` (23), and `CAP_SYS_RESOURCE` (24), with which a limit can be raised.
const NICE: u64 = 1 << 23;
const RESOURCE: u64 = 1 << 24;

/// One thread's name and its capability sets, by their names in `/proc/PID/task/TID/status`.
#[derive(Debug)]
struct Thread {
    name: String,
    sets: BTreeMap<String, u64>,
    no_new_privileges: bool,
}

/// The threads that exist now; one that ends while it is read is left out.
fn threads(machine: &Machine) -> Vec<Thread> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", machine.pid().unwrap())).unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok())
        .map(thread)
        .collect()
}

fn thread(status: String) -> Thread {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
        .map(|set| (set.to_owned(), u64::from_str_radix(field(set).unwrap(), 16).unwrap()));
    Thread {
        name: field("Name").unwrap().to_owned(),
        sets: sets.into(),
        no_new_privileges: field("NoNewPrivs") == Some("1"),
    }
}

/// Whether this process may raise the limit that the daemons' workers need.
fn may_raise_limits() -> bool {
    let own = thread(std::fs::read_to_string("/proc/self/status").unwrap());
    own.sets["CapEff"] & RESOURCE != 0
}

/// No set of any thread holds more than the two; the one that works with the kernel holds both, a worker neither.
fn holds_the_network_and_nothing_else(machine: &Machine) {
    let threads = threads(machine);
    let of_workers = if may_raise_limits() { 0 } else { NICE };
    for thread in &threads {
        let allowed = if thread.name.starts_with("ln6d-worker") { of_workers } else { NETWORK };
        for (set, held) in &thread.sets {
            let allowed = if set == "CapBnd" { NETWORK } else { allowed };
            assert_eq!(held & !allowed, 0, "{} has more in {set}: {threads:#x?}", thread.name);
        }
    }
    let main = threads.iter().find(|thread| thread.name == "ln6d").unwrap();
    assert_eq!(main.sets["CapEff"], NETWORK, "routes and addresses need both");
    assert!(threads.iter().any(|thread| thread.name.starts_with("ln6d-worker")), "{threads:?}");
}

#[test]
fn a_running_gateway_holds_two_capabilities_and_cannot_get_others() {
    if !ln6_lab::ready() {
        return;
    }
    let net = Net::new("caps", 1).unwrap();
    holds_the_network_and_nothing_else(&net.gateways[0]);
    holds_the_network_and_nothing_else(&net.server);
}

/// The scheduling policies of the workers.
fn policies(machine: &Machine) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", machine.pid().unwrap())).unwrap();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let workers = stats.filter(|stat| stat.contains("(ln6d-worker"));
    // The 41st field; the second one ends with the last parenthesis.
    workers.map(|stat| stat.rsplit(')').next().unwrap().split(' ').nth(39).unwrap().to_owned()).collect()
}

#[test]
fn workers_go_before_others_unless_the_configuration_says_no() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::server_only("first").unwrap();
    let own = thread(std::fs::read_to_string("/proc/self/status").unwrap());
    // SCHED_RR is 2; where nobody may have it, the node runs all the same, and says so.
    let allowed = own.sets["CapEff"] & (NICE | RESOURCE) != 0;
    let expected = if allowed { "2" } else { "0" };
    wait_for("workers before others", PATIENCE, || {
        let found = policies(&net.server);
        (found == [expected]).then_some(()).ok_or_else(|| format!("{found:?}"))
    })
    .unwrap();
    // What it finds otherwise, and so its exit status, is the machine's affair.
    let doctor = net.server.try_ask(&["--json", "doctor"]).unwrap().stdout;
    assert_eq!(doctor.contains("priority_refused"), !allowed, "{doctor}");
    let file = net.server.directory().join("ln6d.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("[node]\n", "[node]\npriority = \"off\"\n", 1)).unwrap();
    net.server.stop().unwrap();
    net.server.start().unwrap();
    assert_eq!(policies(&net.server), ["0"]);
}

#[test]
fn threads_that_run_other_peoples_programs_hold_none() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::server_only("none").unwrap();
    let list = net.server.directory().join("list");
    std::fs::create_dir_all(&list).unwrap();
    let file = net.server.directory().join("ln6d.toml");
    let more = format!(
        "\n[keylist]\nurl = \"{}\"\nname = \"test\"\n\n[notify]\ncommand = [\"/bin/true\"]\n",
        list.display()
    );
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + &more).unwrap();
    net.server.stop().unwrap();
    net.server.start().unwrap();
    for name in ["ln6d-keylist", "ln6d-notify"] {
        // Such a thread gives up its capabilities itself, a moment after it began.
        wait_for(&format!("{name} without capabilities"), PATIENCE, || {
            let threads = threads(&net.server);
            let found = threads.iter().find(|thread| thread.name == name);
            let thread = found.ok_or_else(|| format!("it is not among {threads:?}"))?;
            let held = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|set| thread.sets[set]);
            (held == [0; 4] && thread.no_new_privileges).then_some(()).ok_or_else(|| format!("{thread:x?}"))
        })
        .unwrap();
    }
    holds_the_network_and_nothing_else(&net.server);
}
