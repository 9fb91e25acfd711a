//! Certificates: revoked, expired, missing, not yet; and who originates what it may not.

use core::time::Duration;
use ln6_crypto::Reason;
use ln6_overlay_core::control::view::Standing;
use ln6_overlay_core::control::{Command, NodeState, Notice};
use ln6_overlay_core::forwarder::mail::PeerKind;
use ln6_sim::scenario::Net;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

#[test]
fn a_revoked_key_is_cut_off_everywhere_within_seconds() {
    let mut net = Net::converged(1, 5);
    assert!(net.exchange(1, 2) && net.exchange(1, 3));
    let revoked = net.host(1).expect("a prefix");
    net.revoke(1, Reason::Revoked);
    net.world.run(secs(5));
    for other in [0, 2, 3, 4, 5] {
        if let Some(peer) = net.peer(other, 1) {
            assert_eq!(peer.kind, PeerKind::Guest, "{other}");
        }
        assert!(!net.view(other).routes.iter().any(|route| route.selected && route.to.contains(revoked)));
    }
    assert_eq!(net.view(1).me.standing, Standing::Lost { why: "revoked" });
    for (other, host) in [2, 3].map(|other| (other, net.host(other).expect("a prefix"))) {
        let (there, back) = (net.send_between(1, revoked, host), net.send_between(other, host, revoked));
        net.world.run(secs(10));
        assert_eq!((net.copies(other, there), net.copies(1, back)), (0, 0), "{other}");
    }
    assert!(net.exchange(2, 3));
    // A restart does not help it.
    net.world.crash(1);
    net.world.nodes[1].disk = NodeState::default();
    net.world.start(1);
    net.world.run(secs(60));
    assert_ne!(net.view(1).me.standing, Standing::Member);
}

#[test]
fn a_suspended_key_comes_back_with_a_new_certificate() {
    let mut net = Net::converged(2, 2);
    net.revoke(1, Reason::Suspended);
    net.world.run(secs(5));
    assert!(matches!(net.view(1).me.standing, Standing::Lost { .. }));
}

#[test]
fn a_certificate_is_renewed_in_time_and_nobody_notices() {
    let mut net = Net::new(3);
    let mut issuer = net.issuer(&net.world.nodes[0].identity.clone());
    issuer.life = (secs(1800), secs(900));
    net.restart_broker_with(issuer);
    let (a, b) = (net.join(), net.join());
    net.converge(secs(30));
    let lost = net.lost(a, b, secs(1), secs(7200));
    assert_eq!(lost, 0, "{:?} {:?}", net.drops(a), net.drops(b));
    assert_eq!(net.view(a).me.standing, Standing::Member);
}

#[test]
fn without_a_broker_rights_end_with_the_grace_and_not_before() {
    let mut net = Net::new(4);
    let mut issuer = net.issuer(&net.world.nodes[0].identity.clone());
    issuer.life = (secs(600), secs(600));
    net.restart_broker_with(issuer);
    let (a, b) = (net.join(), net.join());
    net.converge(secs(30));
    net.world.run(secs(30));
    net.world.crash(0);
    net.world.run(secs(800));
    assert_eq!(net.view(a).me.standing, Standing::InGrace);
    assert!(net.exchange(a, b));
    let (from, to) = (net.host(a).expect("held"), net.host(b).expect("held"));
    net.world.run(secs(500));
    assert_eq!(net.view(a).me.standing, Standing::Lost { why: "expired" });
    let number = net.send_between(a, from, to);
    net.world.run(secs(5));
    assert_eq!(net.copies(b, number), 0);
}

#[test]
fn a_prefix_that_is_not_held_is_refused_everywhere_and_the_reason_is_shown() {
    let mut net = Net::converged(5, 3);
    net.steal(1, 2);
    net.world.run(secs(40));
    for other in [0, 3] {
        let routes = net.view(other).routes;
        let stolen = net.prefix(2).expect("held");
        let refused: Vec<_> = routes
            .iter()
            .filter(|route| route.to == stolen && route.router == net.view(1).me.router)
            .collect();
        assert!(!refused.is_empty(), "node {other} heard of it");
        assert!(refused.iter().all(|route| !route.selected && route.refused == "not-yours"), "{refused:?}");
    }
    assert!(net.exchange(3, 2));
}

#[test]
fn a_router_that_boots_in_1970_joins_and_works() {
    let mut net = Net::new(6);
    let a = net.join();
    let b = net.add();
    net.world.nodes[b].clock = None;
    net.world.start(b);
    net.converge(secs(60));
    assert!(net.exchange(a, b));
    net.world.crash(b);
    net.world.run(secs(2));
    net.world.start(b);
    net.world.run(secs(20));
    assert!(net.exchange(a, b));
}

#[test]
fn a_clock_that_is_minutes_off_does_no_harm() {
    let mut net = Net::new(7);
    let (a, b) = (net.add(), net.add());
    net.world.nodes[a].clock = Some(-600);
    net.world.nodes[b].clock = Some(600);
    net.world.start(a);
    net.world.start(b);
    net.converge(secs(30));
    assert!(net.exchange(a, b));
}

#[test]
fn who_joins_says_nothing_that_guests_may_not_say() {
    for seed in 70..76 {
        let net = Net::converged(seed, 2);
        for node in 0..3 {
            let refusals = net.view(node).refusals;
            assert!(!refusals.iter().any(|(why, _)| *why == "guest_gossip"), "seed {seed}: {refusals:?}");
        }
    }
}

#[test]
fn a_farewell_that_is_not_signed_by_who_leaves_takes_nothing_away() {
    let mut net = Net::converged(91, 2);
    net.world.run(secs(5));
    // A message of kind 13 in its frame; the signature is its end.
    net.world.nodes[1].tamper = Some(Box::new(|packet| {
        if packet.len() > 70 && packet[..2] == [0, 1] && packet[4..8] == [0xa3, 0, 13, 1] {
            let last = packet.len() - 1;
            packet[last] ^= 1;
        }
    }));
    net.world.command(1, Command::Leave).expect("it may ask");
    net.world.run(secs(30));
    assert!(net.exchange(1, 2), "the prefix is still its own");
    assert!(net.world.nodes[1].notices.iter().all(|(_, notice)| *notice != Notice::Left));
    net.world.nodes[1].tamper = None;
    net.world.command(1, Command::Leave).expect("it may ask");
    net.world.run(secs(5));
    assert!(net.world.nodes[1].notices.iter().any(|(_, notice)| *notice == Notice::Left));
}

#[test]
fn who_leaves_is_gone() {
    let mut net = Net::converged(8, 3);
    net.world.command(1, Command::Leave).expect("it held something");
    net.world.run(secs(5));
    for other in [0, 2, 3] {
        assert_ne!(net.peer(other, 1).map(|peer| peer.kind), Some(PeerKind::Node), "{other}");
    }
    assert_eq!(net.view(1).me.standing, Standing::Alone);
    net.world.run(days(1) / 24);
    assert_eq!(net.view(1).me.standing, Standing::Alone);
}
