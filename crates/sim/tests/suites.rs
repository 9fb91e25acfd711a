//! What sessions are sealed with: both ends' best where both know each other's record, WireGuard's own elsewhere, and nobody
//! on the way has a say in it.

use core::time::Duration;
use ln6_crypto::message::Kind;
use ln6_crypto::seal::Suite;
use ln6_overlay_core::control::NodeState;
use ln6_sim::link::Quality;
use ln6_sim::scenario::Net;
use ln6_sim::world::NodeId;
use std::sync::{Arc, Mutex};

const AES: Suite = Suite::Aes256Gcm;
const CHACHA: Suite = Suite::ChaCha20Poly1305;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A broker and one gateway for each list of suites; an empty list is a node from before there was a choice.
fn network(seed: u64, broker: &[Suite], gateways: &[&[Suite]]) -> Net {
    let mut net = Net::new(seed);
    restart_with(&mut net, 0, broker);
    for suites in gateways {
        let id = net.add();
        net.world.nodes[id].identity.suites = suites.to_vec();
        net.world.start(id);
    }
    net
}

fn restart_with(net: &mut Net, id: NodeId, suites: &[Suite]) {
    net.world.crash(id);
    net.world.nodes[id].identity.suites = suites.to_vec();
    net.world.start(id);
}

/// What both ends of a session say it is sealed with; they never disagree for longer than a handshake takes.
fn suite(net: &Net, a: NodeId, b: NodeId) -> Option<Suite> {
    let said = |a, b| net.peer(a, b).and_then(|peer| peer.suite);
    said(a, b).filter(|suite| said(b, a) == Some(*suite))
}

#[test]
fn two_new_nodes_end_up_with_aes_within_seconds_and_lose_nothing_on_the_way() {
    for seed in 0..6 {
        let mut net = network(seed, &[AES], &[&[AES], &[AES]]);
        net.converge(secs(60));
        for (a, b) in [(0, 1), (0, 2)] {
            net.wait(secs(15), "AES with the broker", |net| suite(net, a, b) == Some(AES));
        }
        // Records are known before the first packet: there is no other session between the two before.
        assert_eq!(net.lost(1, 2, millis(50), secs(20)), 0, "seed {seed}");
        net.wait(secs(5), "AES between gateways", |net| suite(net, 1, 2) == Some(AES));
    }
}

#[test]
fn the_change_of_suite_under_traffic_loses_nothing() {
    let mut net = network(7, &[AES], &[&[AES], &[AES]]);
    net.wait(secs(60), "both hold a prefix", |net| net.is_converged());
    let mut seen = Vec::new();
    for _ in 0..200 {
        assert_eq!(net.lost(1, 0, millis(50), millis(100)), 0);
        seen.extend(suite(&net, 1, 0).filter(|suite| seen.last() != Some(suite)));
    }
    assert_eq!(seen.last(), Some(&AES), "{seen:?}");
}

#[test]
fn a_node_from_before_there_was_a_choice_is_spoken_to_as_wireguard_does() {
    for seed in 0..4 {
        let mut net = network(seed, &[AES], &[&[], &[AES]]);
        net.converge(secs(60));
        assert_eq!(net.lost(1, 2, millis(100), secs(200)), 0, "also across rekeying");
        assert_eq!(suite(&net, 1, 2), Some(CHACHA));
        assert_eq!(suite(&net, 0, 1), Some(CHACHA));
        assert_eq!(suite(&net, 0, 2), Some(AES), "the others do not mind");
    }
}

#[test]
fn who_insists_on_different_suites_still_connects() {
    for (one, other) in [([AES], [CHACHA]), ([CHACHA], [AES])] {
        let mut net = network(11, &one, &[&one, &other]);
        net.converge(secs(60));
        assert!(net.exchange(1, 2) && net.exchange(0, 2));
        assert_eq!((suite(&net, 1, 2), suite(&net, 0, 2)), (Some(CHACHA), Some(CHACHA)));
    }
}

#[test]
fn no_handshakes_are_spent_on_a_suite_that_cannot_be_had() {
    let count = |suites: &[Suite]| {
        let mut net = network(12, &[AES], &[suites, suites]);
        net.converge(secs(60));
        net.world.run(secs(30));
        let before = net.view(1).handshakes.0;
        net.lost(1, 0, millis(500), secs(1000));
        net.view(1).handshakes.0 - before
    };
    let (alike, unlike) = (count(&[AES]), count(&[CHACHA]));
    assert!(unlike <= alike + 2, "{unlike} initiations in 1000 s, but {alike} among equals");
}

#[test]
fn both_suites_live_through_loss_rekeys_and_restarts() {
    for suites in [[AES], [CHACHA]] {
        let mut net = network(13, &suites, &[&suites, &suites]);
        let quality = Quality { loss: 50, jitter: millis(20), duplicated: 20, ..Quality::default() };
        net.world.underlay.quality = quality;
        net.converge(secs(60));
        let lost = net.lost(1, 2, millis(100), secs(400));
        assert!(lost < 4000 * 120 / 1000, "{suites:?}: {lost} of 4000 at 50 permille each way");
        for id in [1, 0, 2] {
            net.world.crash(id);
            net.world.run(secs(3));
            net.world.start(id);
            net.wait(secs(60), "it is back", |net| net.is_converged());
        }
        net.world.underlay.quality = Quality::default();
        net.world.run(secs(5));
        assert!(net.exchange(1, 2));
        net.wait(secs(140), "the suite is the best again", |net| suite(net, 1, 2) == Some(suites[0]));
    }
}

#[test]
fn a_node_whose_operator_changes_his_mind_is_understood_at_once() {
    let mut net = network(14, &[AES], &[&[AES], &[AES]]);
    net.converge(secs(60));
    assert!(net.exchange(1, 2));
    net.world.run(secs(15));
    // The others still know the record that names AES: what they choose by it has to be read.
    restart_with(&mut net, 1, &[CHACHA]);
    net.world.run(secs(8));
    assert!(net.exchange(1, 2) && net.exchange(1, 0));
    net.lost(1, 2, millis(500), secs(260));
    assert_eq!(
        (suite(&net, 1, 2), suite(&net, 1, 0)),
        (Some(CHACHA), Some(CHACHA)),
        "from the next rekey on"
    );
    restart_with(&mut net, 1, &[AES]);
    net.wait(secs(30), "and back", |net| suite(net, 1, 0) == Some(AES));
}

#[test]
fn a_node_that_lost_its_state_is_understood_though_others_know_its_record() {
    let mut net = network(15, &[AES], &[&[AES], &[AES]]);
    net.converge(secs(60));
    assert!(net.exchange(1, 2));
    net.world.crash(1);
    net.world.nodes[1].disk = NodeState::default();
    net.world.start(1);
    net.converge(secs(60));
    assert!(net.exchange(1, 2) && net.exchange(1, 0));
    net.wait(secs(30), "AES again", |net| suite(net, 1, 0) == Some(AES));
}

#[test]
fn whoever_holds_answers_back_gains_no_weaker_suite() {
    for seed in 20..26 {
        let mut net = network(seed, &[AES], &[&[AES], &[AES]]);
        net.converge(secs(60));
        for gateway in [1, 2] {
            net.wait(secs(15), "AES with the broker", |net| suite(net, 0, gateway) == Some(AES));
        }
        // From now on no answer to an initiation gets through at the first five attempts.
        let held = Arc::new(Mutex::new(0));
        let count = held.clone();
        net.world.eavesdropper = Some(Box::new(move |_, _, bytes| {
            if Kind::of(bytes) != Some(Kind::Response) {
                return true;
            }
            let mut held = count.lock().expect("one thread");
            *held += 1;
            *held % 6 == 0
        }));
        for _ in 0..400 {
            net.send(1, 2);
            net.send(2, 1);
            net.world.run(secs(1));
            for (a, b) in [(0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)] {
                let seen = net.peer(a, b).and_then(|peer| peer.suite);
                assert_ne!(seen, Some(CHACHA), "seed {seed}, {a} with {b}");
            }
        }
        assert!(*held.lock().expect("one thread") > 12, "somebody did try");
        net.world.eavesdropper = None;
        net.world.run(secs(20));
        assert!(net.exchange(1, 2), "seed {seed}");
        assert_eq!(suite(&net, 1, 2), Some(AES));
    }
}
