//! Offloads of the kernel, switched on a real daemon while packets flow.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use ln6_lab::flows::{self, Flows};
use ln6_lab::{probe, wait_until};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use world::{Machine, Net, PATIENCE};

const ALL: [&str; 4] = ["tun-gso", "tun-gro", "udp-gso", "udp-gro"];

/// Not a test: what a namespace runs when it is asked to send or receive.
#[test]
fn lab_probe() {
    probe::run_if_asked();
}

/// Which are used, in the order of [`ALL`].
fn used(machine: &Machine) -> Vec<bool> {
    let listed = machine.json(&["offload"]).unwrap();
    let rows = listed["offloads"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>(), ALL);
    rows.iter().map(|row| row["used"].as_bool().unwrap()).collect()
}

#[test]
fn each_offload_is_switched_while_packets_flow_and_none_is_lost_altered_or_overtaken() {
    if !ln6_lab::ready() {
        return;
    }
    let net = Net::new("offload", 2).unwrap();
    let (from, to) = (net.client(0), net.client(1));
    from.wait_ping(net.addresses[1], PATIENCE).unwrap();
    let before = used(&net.gateways[0]);
    assert_eq!(before, [true; 4], "this kernel has them all");
    let over = AtomicBool::new(false);
    let tally = std::thread::scope(|scope| {
        let switching = scope.spawn(|| {
            let mut rounds = 0;
            while !over.load(Ordering::Relaxed) {
                for (at, name) in ALL.iter().enumerate() {
                    for state in ["off", "on"] {
                        for machine in &net.gateways {
                            machine.json(&["offload", name, state]).unwrap();
                        }
                        for machine in &net.gateways {
                            wait_until(name, PATIENCE, || used(machine)[at] == (state == "on")).unwrap();
                        }
                    }
                }
                rounds += 1;
            }
            rounds
        });
        let flows = Flows { flows: 6, packets: 20_000, largest: 1400 };
        let tally = flows::send(from, to, net.addresses[1].into(), flows, Duration::from_secs(100));
        let carried = probe::carry(from, to, net.addresses[1].into(), 256 << 20, Duration::from_secs(100));
        over.store(true, Ordering::Relaxed);
        let rounds: u32 = switching.join().unwrap();
        carried.unwrap();
        assert!(rounds > 0, "all four were switched meanwhile");
        tally.unwrap()
    });
    println!("{tally:?}");
    assert!(tally.is_clean(), "{tally:?}");
    // What is lost is lost at a full socket: seldom, as few are under way.
    assert!(tally.received >= tally.sent - tally.sent / 10, "{tally:?}");
    assert_eq!(used(&net.gateways[0]), before);
    for machine in &net.gateways {
        let text = machine.try_ask(&["doctor"]).unwrap().stdout;
        assert!(text.contains("offloads used: tun-gso tun-gro udp-gso udp-gro"), "{text}");
    }
    let wrong = machine_error(&net.gateways[0], &["offload", "tun-tso", "off"]);
    assert!(wrong.contains("there is no offload 'tun-tso'") && wrong.contains("ln6d offload"), "{wrong}");
}

fn machine_error(machine: &Machine, words: &[&str]) -> String {
    machine.ask(words).expect_err("it is refused").to_string()
}
