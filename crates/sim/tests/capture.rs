//! A relay tries to become somebody's path: it unwraps what it should relay and sends it from its own address. It may gain
//! that place only by doing there what a path does.

use core::time::Duration;
use ln6_overlay_core::Path;
use ln6_sim::link::Quality;
use ln6_sim::scenario::{Net, address};
use ln6_sim::thief::Booty;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn path(net: &Net, a: usize, b: usize) -> Option<Path> {
    net.peer(a, b).and_then(|peer| peer.path)
}

/// Two gateways that only meet through the broker, which is a thief.
fn between(seed: u64, booty: Booty) -> Net {
    let mut net = Net::new(seed);
    let (a, b) = (net.add(), net.add());
    net.world.underlay.cut(a, b);
    net.world.start(a);
    net.world.start(b);
    net.converge(secs(30));
    net.unwrap_relayed(0, a, b, booty);
    net
}

fn tried(net: &Net) -> u64 {
    net.world.thief.as_ref().map_or(0, |thief| thief.unwrapped)
}

#[test]
fn a_relay_that_takes_the_direct_path_and_drops_is_left_at_once() {
    for seed in [31, 32] {
        let mut net = between(seed, Booty::Dropped);
        assert!(net.reaches_within(1, 2, secs(5)), "seed {seed}");
        let lost = net.lost(2, 1, millis(400), secs(260));
        println!("seed {seed}: {lost} lost, unwrapped {}", tried(&net));
        assert!(tried(&net) > 1, "the session was renewed, and the thief tried again");
        assert_ne!(path(&net, 2, 1), Some(Path::Udp(address(0))));
        assert!(lost <= 2, "seed {seed}: {lost} lost");
    }
}

#[test]
fn a_relay_that_passes_on_what_it_took_is_found_out_by_how_the_probe_came() {
    for seed in [34, 35] {
        let mut net = between(seed, Booty::PassedOn);
        assert!(net.reaches_within(1, 2, secs(5)), "seed {seed}");
        let lost = net.lost(2, 1, millis(400), secs(130));
        assert!(tried(&net) > 0);
        assert_ne!(path(&net, 2, 1), Some(Path::Udp(address(0))), "seed {seed}");
        assert_eq!(lost, 0, "seed {seed}");
        let refusals = net.view(2).refusals;
        assert!(refusals.iter().any(|(why, count)| *why == "captured-path" && *count > 0), "{refusals:?}");
    }
}

#[test]
fn a_faster_thief_does_not_keep_two_nodes_from_their_direct_path() {
    for seed in [36, 37] {
        let mut net = Net::converged(seed, 8);
        net.world.run(secs(30));
        let (from, to) = by_the_broker(&net).expect("two that are no neighbours");
        let slow = Quality { delay: millis(80), ..Quality::default() };
        net.world.underlay.set_quality(from, to, slow);
        net.unwrap_relayed(0, from, to, Booty::Dropped);
        assert!(net.reaches_within(from, to, secs(5)), "seed {seed}");
        let lost = net.lost(to, from, millis(400), secs(260));
        println!("seed {seed}: {lost} lost, unwrapped {}", tried(&net));
        assert!(tried(&net) > 1);
        assert_eq!(path(&net, to, from), Some(Path::Udp(address(from))), "seed {seed}");
        assert!(lost <= 4, "seed {seed}: {lost} lost");
    }
}

/// Two that have no session, of which the first would relay to the second by the broker.
fn by_the_broker(net: &Net) -> Option<(usize, usize)> {
    let pairs = (1..net.world.nodes.len()).flat_map(|a| (1..net.world.nodes.len()).map(move |b| (a, b)));
    let mut far = pairs.filter(|(a, b)| a != b && net.peer(*a, *b).is_some_and(|peer| !peer.connected));
    far.find(|(a, b)| {
        let routes = net.view(*a).routes;
        routes.iter().any(|r| r.selected && Some(r.to) == net.prefix(*b) && r.via_name == "broker")
    })
}

#[test]
fn a_path_that_stops_to_deliver_one_way_is_left_within_seconds() {
    let mut net = Net::converged(38, 3);
    assert!(net.exchange(1, 2));
    net.world.run(secs(20));
    net.world.underlay.deafen(2, 1);
    let lost = net.lost(2, 1, millis(100), secs(60));
    println!("{lost} of 600 lost");
    assert!(lost <= 180, "{lost} lost");
    assert!(net.exchange(1, 2));
}
