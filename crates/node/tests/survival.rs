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

/// What `ln6d status` of a node calls its first problem.
fn first_problem(machine: &Machine) -> String {
    let status = machine.status().unwrap();
    status["problems"][0]["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_gateway_that_starts_before_its_name_server_joins_when_the_name_is_known() {
    if !ln6_lab::ready() {
        return;
    }
    let net = Net::server_only("nameless").unwrap();
    let (name, size) = SITES[0];
    let link = net.server.invite(name, size).unwrap();
    let mut gateway = Machine::new(&net.world.sites[0].gateway);
    gateway.ask(&["join", &link]).unwrap();
    // Bound over the namespace's /etc/hosts, so that what is written here is read there.
    let hosts = std::path::Path::new("/etc/netns").join(gateway.namespace.full_name()).join("hosts");
    let known = std::fs::read_to_string(&hosts).unwrap();
    std::fs::write(&hosts, "").unwrap();

    gateway.start().unwrap();
    wait_for("the problem to be named", PATIENCE, || match first_problem(&gateway) {
        code if code == "broker_name_unknown" => Ok(()),
        code => Err(code),
    })
    .unwrap();

    std::fs::write(&hosts, known).unwrap();
    wait_for("membership", PATIENCE, || match gateway.status().unwrap()["standing"]["state"].as_str() {
        Some("member") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .unwrap();
    assert_ne!(first_problem(&gateway), "broker_name_unknown");
}
