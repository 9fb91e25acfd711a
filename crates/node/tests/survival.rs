//! What a network survives: its server, and its gateways, killed without a word.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use ln6_lab::{INTERNET_HOST, wait_for};
use std::time::{Duration, Instant};
use world::{Machine, Net, PATIENCE, Pings, SITES, long};

/// Between two echo requests.
const PERIOD: Duration = Duration::from_millis(100);

#[test]
fn a_lan_client_reaches_the_internet_within_five_seconds_of_the_first_run() {
    if !ln6_lab::ready() {
        return;
    }
    let net = Net::server_only("first").unwrap();
    let site = &net.world.sites[0];
    let (name, size) = SITES[0];
    let link = net.server.invite(name, size).unwrap();
    let mut gateway = Machine::new(&site.gateway);
    gateway.ask(&["join", &link, "--lan", ln6_lab::LAN]).unwrap();

    let begin = Instant::now();
    gateway.launch().unwrap();
    site.client.wait_ping(INTERNET_HOST, PATIENCE).unwrap();
    let took = begin.elapsed();
    println!("the first answer came {} ms after `ln6d run`", took.as_millis());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn the_servers_death_costs_lan_to_lan_pings_at_most_one() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::new("orphans", 2).unwrap();
    let to = net.addresses[1];
    net.client(0).wait_ping(to, PATIENCE).unwrap();

    let seconds = if long() { 60 } else { 20 };
    let pings = Pings::start(net.client(0), to, PERIOD, seconds * 10).unwrap();
    wait_for("the first answers", PATIENCE, || match pings.answers() {
        20.. => Ok(()),
        some => Err(format!("{some} so far")),
    })
    .unwrap();
    net.server.kill().unwrap();
    let tally = pings.finish().unwrap();
    println!("{}", tally.summary);
    assert_eq!(tally.sent, seconds * 10);
    assert!(tally.sent - tally.received <= 1, "{}", tally.summary);
}

#[test]
fn gateways_killed_and_restarted_without_any_server_find_each_other_within_ten_seconds() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::new("phoenix", 2).unwrap();
    let to = net.addresses[1];
    net.client(0).wait_ping(to, PATIENCE).unwrap();

    net.server.kill().unwrap();
    for gateway in &mut net.gateways {
        gateway.kill().unwrap();
    }
    let begin = Instant::now();
    for gateway in &mut net.gateways {
        gateway.launch().unwrap();
    }
    net.client(0).wait_ping(to, PATIENCE).unwrap();
    let took = begin.elapsed();
    println!("the first answer came {} ms after the restart", took.as_millis());
    assert!(took < Duration::from_secs(10), "{took:?}");
}
