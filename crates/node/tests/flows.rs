//! Checked packets through two daemons: none altered, none twice, none out of order in its flow; with one worker, with more
//! workers than processors, and without superpackets.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use ln6_lab::flows::{self, Flows};
use ln6_lab::probe;
use std::time::Duration;
use world::{Machine, Net, PATIENCE};

/// Not a test: what a namespace runs when it is asked to send or receive.
#[test]
fn lab_probe() {
    probe::run_if_asked();
}

/// A network of two gateways with this line in the configuration of both.
fn network(label: &str, setting: &str) -> Net {
    let mut net = Net::new(label, 2).unwrap();
    for gateway in &mut net.gateways {
        let file = gateway.directory().join("ln6d.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen("[node]\n", &format!("[node]\n{setting}\n"), 1)).unwrap();
        gateway.stop().unwrap();
        gateway.start().unwrap();
    }
    net.client(0).wait_ping(net.addresses[1], PATIENCE).unwrap();
    net
}

/// What may come after a later packet of its flow.
#[derive(PartialEq, Eq)]
enum Overtaken {
    Nothing,
    /// Only what was sent before the flow was answered.
    Unanswered,
}

fn assert_clean(net: &Net, overtaken: Overtaken, replays: &[&Machine]) {
    let before: Vec<u64> = replays.iter().map(|machine| machine.dropped("replay").unwrap()).collect();
    let (from, to) = (net.client(0), net.client(1));
    let flows = Flows { flows: 6, packets: 5000, largest: 1400 };
    let tally = flows::send(from, to, net.addresses[1].into(), flows, Duration::from_secs(100)).unwrap();
    println!("{tally:?}");
    assert_eq!((tally.altered, tally.duplicated), (0, 0), "{tally:?}");
    let bound = if overtaken == Overtaken::Nothing { 0 } else { tally.unanswered };
    assert!(tally.disordered_below <= bound, "{tally:?}");
    // What is lost is lost at a full socket: seldom, as few are under way.
    assert!(tally.received >= tally.sent - tally.sent / 10, "{tally:?}");
    for (machine, before) in replays.iter().zip(before) {
        assert_eq!(machine.dropped("replay").unwrap(), before, "no datagram is taken for a replay");
    }
    probe::carry(from, to, net.addresses[1].into(), 8 << 20, Duration::from_secs(100)).unwrap();
}

#[test]
fn packets_arrive_as_they_were_sent_each_once_and_in_order() {
    if !ln6_lab::ready() {
        return;
    }
    let net = network("flows", "workers = 1");
    assert_clean(&net, Overtaken::Nothing, &[&net.gateways[0], &net.gateways[1]]);
}

#[test]
fn four_workers_on_fewer_processors_spoil_nothing_and_take_nothing_for_a_replay() {
    if !ln6_lab::ready() {
        return;
    }
    let net = network("four", "workers = 4");
    assert_eq!(net.gateways[0].threads("ln6d-worker").unwrap().len(), 4);
    // When the answers of a flow come in by another worker than the kernel guessed at first, it moves the flow to that worker's
    // queue with the first of them; what still waits in the old one may be overtaken, and nothing later (docs/decisions/0026).
    assert_clean(&net, Overtaken::Unanswered, &[&net.gateways[0], &net.gateways[1]]);
}

#[test]
fn without_superpackets_packets_arrive_as_they_were_sent_too() {
    if !ln6_lab::ready() {
        return;
    }
    let net = network("plain", "offload = \"off\"");
    assert_clean(&net, Overtaken::Nothing, &[&net.gateways[0], &net.gateways[1]]);
}
