//! How much a gateway takes: memory when idle, and time until it carries.
//!
//! `LN6_RELEASE_BINARY` names a binary of the release profile for the gateways; then the limits are those that users are
//! promised. Without it the binary is cargo's, with all checks on, and the limits only show that nothing has got out of hand.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use ln6_lab::{INTERNET_HOST, wait_for};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use world::{Net, PATIENCE, Pings};

fn release() -> Option<PathBuf> {
    std::env::var_os("LN6_RELEASE_BINARY").map(PathBuf::from)
}

/// A network whose first gateway runs the binary that is measured, and carries.
fn network(label: &str) -> Net {
    let mut net = Net::new(label, 2).unwrap();
    if let Some(binary) = release() {
        for gateway in &mut net.gateways {
            gateway.kill().unwrap();
            gateway.binary.clone_from(&binary);
            gateway.start().unwrap();
        }
    }
    net.client(0).wait_ping(INTERNET_HOST, PATIENCE).unwrap();
    net.client(0).wait_ping(net.addresses[1], PATIENCE).unwrap();
    net
}

#[test]
fn an_idle_gateway_is_small() {
    if !ln6_lab::ready() {
        return;
    }
    let net = network("small");
    let gateway = &net.gateways[0];
    let most = if release().is_some() { 10 << 10 } else { 20 << 10 };
    // It may have needed more while it started.
    let resident = wait_for("an idle gateway", Duration::from_secs(5), || match gateway.resident_kib() {
        Ok(kib) if kib <= most => Ok(kib),
        other => Err(format!("{other:?} KiB resident, at most {most}")),
    })
    .unwrap();
    println!("{resident} KiB resident");
    if let Ok(text) = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", gateway.pid().unwrap())) {
        println!("{text}");
    }
}

#[test]
fn a_gateway_that_was_killed_carries_again_at_once() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = network("again");
    let most = Duration::from_secs(if release().is_some() { 1 } else { 3 });
    net.gateways[0].kill().unwrap();
    let series = [net.addresses[1], INTERNET_HOST]
        .map(|to| (to, Pings::start(net.client(0), to, Duration::from_millis(20), 1000).unwrap()));
    let begin = Instant::now();
    net.gateways[0].launch().unwrap();
    for (to, pings) in series {
        wait_for("an answer", PATIENCE, || match pings.answers() {
            0 => Err(String::new()),
            _ => Ok(()),
        })
        .unwrap();
        let took = begin.elapsed();
        println!("the first answer of {to} came {} ms after the start", took.as_millis());
        assert!(took <= most, "{took:?}");
    }
}
