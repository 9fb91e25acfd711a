//! Few nodes: joining, loss, rekeying, roaming, restarts, load.

use core::time::Duration;
use ln6_overlay_core::Path;
use ln6_overlay_core::control::{Command, NodeState, Notice};
use ln6_overlay_core::forwarder::drop::DropReason;
use ln6_sim::link::Quality;
use ln6_sim::scenario::{Net, address, at, other_address};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn two_nodes_that_know_nothing_but_a_link_exchange_packets() {
    let mut net = Net::converged(1, 2);
    assert!(net.exchange(1, 2), "{:?} {:?}", net.drops(1), net.drops(2));
    assert!(net.exchange(1, 0) && net.exchange(2, 0));
}

#[test]
fn any_seed_will_do() {
    for seed in 100..140 {
        let mut net = Net::converged(seed, 2);
        assert!(net.exchange(1, 2), "seed {seed}: {:?} {:?}", net.drops(1), net.drops(2));
    }
}

#[test]
fn joining_and_talking_survive_loss() {
    for (seed, loss, bound) in [(2, 100, 30), (3, 300, 120), (4, 300, 120), (5, 300, 120)] {
        let mut net = Net::new(seed);
        let quality = Quality { loss, jitter: millis(30), duplicated: 50, ..Quality::default() };
        net.world.underlay.quality = quality;
        let (a, b) = (net.join(), net.join());
        let took = net.converge(secs(bound));
        let lost = net.lost(a, b, millis(100), secs(60));
        println!("loss {loss}: {took:?}, lost {lost} of 600");
        assert!(lost < 600 * (usize::from(loss) + 100) / 1000, "lost {lost} of 600 at {loss} permille");
    }
}

#[test]
fn keys_are_renewed_at_120_seconds_without_losing_a_packet() {
    let mut net = Net::converged(6, 2);
    let lost = net.lost(1, 2, millis(50), secs(400));
    assert_eq!(lost, 0, "{:?} {:?}", net.drops(1), net.drops(2));
    let age = net.peer(1, 2).and_then(|peer| peer.handshake_age).expect("a session");
    assert!(age < secs(130), "{age:?}");
}

#[test]
fn one_way_traffic_from_the_responder_renews_keys_too() {
    for seed in [7, 8, 9, 10] {
        let mut net = Net::converged(seed, 2);
        let (first, then) = if seed % 2 == 0 { (1, 2) } else { (2, 1) };
        assert!(net.reaches(first, then));
        let lost = net.lost(then, first, millis(200), secs(400));
        assert_eq!(lost, 0, "seed {seed}: {:?} {:?}", net.drops(1), net.drops(2));
    }
}

#[test]
fn both_may_begin_at_the_same_instant() {
    for seed in 20..40 {
        let mut net = Net::converged(seed, 2);
        net.world.run(secs(600));
        let (there, back) = (net.send(1, 2), net.send(2, 1));
        net.world.run(secs(1));
        assert_eq!((net.copies(2, there), net.copies(1, back)), (1, 1), "seed {seed}");
        let lost = net.lost(1, 2, millis(100), secs(300)) + net.lost(2, 1, millis(100), secs(300));
        assert_eq!(lost, 0, "seed {seed}: {:?} {:?}", net.drops(1), net.drops(2));
    }
}

#[test]
fn a_node_whose_address_changes_is_followed() {
    let mut net = Net::converged(11, 2);
    assert!(net.exchange(1, 2));
    net.world.move_to(1, at(other_address(1)));
    net.wait(secs(10), "the others follow", |net| {
        let path = net.peer(2, 1).and_then(|peer| peer.path);
        path == Some(Path::Udp(other_address(1)))
    });
    assert!(net.exchange(1, 2));
    // The record says where it is now, and not where it was.
    let endpoints = net.view(1).me.endpoints;
    assert_eq!(endpoints, [other_address(1)]);
}

#[test]
fn both_move_at_once_and_meet_by_the_broker() {
    let mut net = Net::converged(12, 2);
    net.world.move_to(1, at(other_address(1)));
    net.world.move_to(2, at(other_address(2)));
    net.world.run(secs(30));
    assert!(net.exchange(1, 2), "{:?} {:?}", net.drops(1), net.drops(2));
    net.wait(secs(60), "they talk directly again", |net| {
        net.peer(1, 2).and_then(|peer| peer.path) == Some(Path::Udp(other_address(2)))
    });
}

#[test]
fn a_restarted_node_is_back_within_seconds() {
    for node in [0, 1, 2] {
        let mut net = Net::converged(13, 2);
        assert!(net.exchange(1, 2));
        net.world.run(secs(20));
        net.world.crash(node);
        net.world.run(secs(3));
        net.world.start(node);
        net.world.run(secs(8));
        let other = if node == 1 { 2 } else { 1 };
        assert!(net.exchange(node, other), "node {node}: {:?} {:?}", net.drops(node), net.drops(other));
        assert!(net.is_converged(), "{:?}", net.missing());
    }
}

#[test]
fn a_node_that_is_restarted_twice_within_a_second_has_its_routes_as_soon_as_after_one() {
    let mut net = Net::converged(50, 1);
    net.world.run(secs(30));
    let broker = net.view(0).me.address;
    for pause in [200, 300, 600] {
        net.world.crash(1);
        net.world.start(1);
        net.world.run(millis(pause));
        net.world.crash(1);
        net.world.start(1);
        let begin = net.world.now;
        while !net.view(1).routes.iter().any(|route| route.selected && route.to.contains(broker)) {
            net.world.run(millis(10));
        }
        let took = net.world.now.since(begin);
        assert!(took < millis(450), "{pause} ms apart: {took:?}");
        net.world.run(secs(20));
    }
}

#[test]
fn a_node_whose_disk_is_lost_gets_the_same_prefix_back() {
    let mut net = Net::converged(14, 2);
    let prefix = net.prefix(1);
    for _ in 0..3 {
        // Each start reserves more time stamps, so that the last loss takes them back by days.
        net.world.crash(1);
        net.world.run(secs(1));
        net.world.start(1);
        net.world.run(secs(20));
    }
    net.world.crash(1);
    net.world.nodes[1].disk = NodeState::default();
    net.world.run(secs(10));
    net.world.start(1);
    // Babel remembers its sequence numbers for three minutes.
    net.converge(secs(200));
    assert_eq!(net.prefix(1), prefix);
    assert!(net.exchange(1, 2) && net.exchange(1, 0));
    // Its record counts although its counter began anew.
    net.world.move_to(1, at(other_address(1)));
    net.world.run(secs(10));
    let known = net.view(2).peers.into_iter().find(|peer| peer.key == net.key(1)).expect("known");
    assert!(known.endpoints.contains(&other_address(1)), "{:?}", known.endpoints);
}

#[test]
fn both_restart_while_the_broker_is_dead() {
    let mut net = Net::converged(15, 2);
    assert!(net.exchange(1, 2));
    net.world.run(secs(30));
    for node in [0, 1, 2] {
        net.world.crash(node);
    }
    net.world.run(secs(5));
    net.world.start(1);
    net.world.start(2);
    net.converge(secs(20));
    assert!(net.exchange(1, 2));
}

#[test]
fn under_load_addresses_must_be_proven_and_joining_still_works() {
    for seed in 16..32 {
        let mut net = Net::new(seed);
        net.world.nodes[0].queue_fill = 100;
        let (a, b) = (net.join(), net.join());
        net.world.nodes[a].queue_fill = 100;
        net.converge(secs(60));
        // What control decided just now may still be on its way to the forwarders.
        net.world.run(millis(250));
        assert!(net.reaches_within(a, b, secs(6)) && net.exchange(a, b), "seed {seed}");
        let cookies = net.drops(0).iter().any(|(reason, _)| *reason == DropReason::CookieSent);
        assert!(cookies, "seed {seed}: {:?}", net.drops(0));
    }
}

#[test]
fn who_only_hears_answers_within_ten_seconds() {
    let mut net = Net::converged(17, 2);
    assert!(net.reaches(1, 2));
    net.world.run(secs(30));
    // 1 → 2 only. Without a keepalive from 2, node 1 would begin a handshake after 15 seconds.
    let before = net.view(1).handshakes;
    for _ in 0..4 {
        assert!(net.reaches(1, 2));
        net.world.run(secs(20));
    }
    assert_eq!(net.view(1).handshakes.0 - before.0, 0, "no handshake was needed");
}

#[test]
fn a_peer_that_falls_silent_is_asked_for_new_keys_within_ten_seconds() {
    for seed in [18, 118, 218] {
        let mut net = Net::converged(seed, 2);
        assert!(net.exchange(1, 2));
        net.world.run(secs(30));
        let (src, dst) = (net.host(1).expect("held"), net.host(2).expect("held"));
        for _ in 0..50 {
            assert!(net.reaches_within(1, 2, millis(100)) && net.reaches_within(2, 1, millis(100)));
        }
        let before = net.view(1).handshakes.0;
        net.world.crash(2);
        net.world.crash(0);
        let mut waited = Duration::ZERO;
        while net.view(1).handshakes.0 == before {
            net.send_between(1, src, dst);
            net.world.run(millis(100));
            waited += millis(100);
            assert!(waited < secs(11), "seed {seed}");
        }
        println!("seed {seed}: noticed after {waited:?}");
        assert!(waited > secs(5), "seed {seed}: silence is not death");
    }
}

#[test]
fn a_ping_waits_for_the_session_it_needs() {
    let mut net = Net::converged(19, 3);
    net.world.run(secs(700));
    let to = net.key(2);
    net.world.command(1, Command::Ping { to, token: 7 }).expect("known");
    net.world.run(secs(2));
    let pong = net.world.nodes[1].notices.iter().find_map(|(_, notice)| match notice {
        Notice::Pong { token: 7, rtt, .. } => Some(*rtt),
        _ => None,
    });
    assert!(pong.is_some_and(|rtt| rtt >= millis(20) && rtt < millis(200)), "{pong:?}");
}

#[test]
fn a_quiet_network_writes_little_and_says_little() {
    let mut net = Net::converged(41, 4);
    net.world.run(secs(60));
    let stores: Vec<u64> = net.world.nodes.iter().map(|node| node.stores).collect();
    let (steps, sent) = (net.world.steps, net.world.underlay.sent);
    net.world.run(secs(3600));
    let written = net.world.nodes.iter().zip(&stores).map(|(node, before)| node.stores - before).max();
    let (steps, sent) = (net.world.steps - steps, net.world.underlay.sent - sent);
    println!("an hour: {written:?} writes, {steps} steps, {sent} datagrams, {:?}", net.world.datagrams);
    assert!(written <= Some(3), "{written:?} writes in an hour");
    assert!(sent < 5 * 3600 * 4, "{sent} datagrams in an hour");
}

#[test]
fn the_address_of_the_broker_is_all_that_is_known_at_first() {
    let net = Net::converged(42, 1);
    assert_eq!(net.peer(1, 0).and_then(|peer| peer.path), Some(Path::Udp(address(0))));
}
