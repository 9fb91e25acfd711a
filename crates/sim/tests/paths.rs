//! Who reaches whom by which path.

use core::time::Duration;
use ln6_crypto::keys::Psk;
use ln6_overlay_core::Path;
use ln6_overlay_core::control::{Command, StockPeer};
use ln6_sim::node::Node;
use ln6_sim::scenario::{Net, address, at, other_address};
use ln6_types::Prefix;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn path(net: &Net, a: usize, b: usize) -> Option<Path> {
    net.peer(a, b).and_then(|peer| peer.path)
}

#[test]
fn a_gateway_behind_a_nat_is_reached_by_all() {
    let mut net = Net::new(1);
    let a = net.join();
    let b = net.join_behind_nat(secs(30));
    net.converge(secs(30));
    assert!(net.exchange(a, b));
    net.world.run(secs(300));
    assert!(net.reaches(a, b), "the mapping was kept");
    assert!(net.reaches(b, a));
}

#[test]
fn two_gateways_behind_nats_are_relayed_and_then_meet_directly() {
    let mut net = Net::new(2);
    let a = net.join_behind_nat(secs(60));
    let b = net.join_behind_nat(secs(60));
    let c = net.join();
    net.converge(secs(30));
    assert!(net.exchange(a, b), "{:?} {:?}", net.drops(a), net.drops(b));
    assert!(net.exchange(a, c) && net.exchange(c, b));
    let lost = net.lost(a, b, millis(100), secs(60));
    assert_eq!(lost, 0);
    assert!(matches!(path(&net, a, b), Some(Path::Udp(_))), "{:?}", path(&net, a, b));
}

#[test]
fn the_ends_of_a_chain_are_relayed_and_upgraded_when_the_cut_heals() {
    let mut net = Net::new(3);
    let (a, b) = (net.add(), net.add());
    net.world.underlay.cut(a, b);
    net.world.start(a);
    net.world.start(b);
    net.converge(secs(30));
    net.world.verbose = true;
    assert!(net.exchange(a, b), "{:?} {:?} {:?}", net.drops(a), net.drops(b), net.drops(0));
    let relay = net.peer(a, b).and_then(|peer| peer.through);
    assert_eq!(relay.as_deref(), Some("broker"));
    assert_eq!(net.lost(a, b, millis(100), secs(300)), 0, "also across rekeying");
    net.world.underlay.heal(a, b);
    // A session that is in use: the pauses between searches grew while there was nothing to find, renewals look everywhere.
    let (mut waited, end) = (0, 120);
    while waited < end && path(&net, a, b) != Some(Path::Udp(address(b))) {
        assert!(net.reaches(a, b));
        waited += 1;
    }
    assert!(waited < end, "the session becomes direct");
    assert!(net.exchange(a, b));
}

#[test]
fn a_session_that_runs_goes_around_a_new_cut() {
    for seed in [4, 5, 6] {
        let mut net = Net::converged(seed, 3);
        assert!(net.exchange(1, 2));
        net.world.run(secs(30));
        net.world.underlay.cut(1, 2);
        let (mut waited, end) = (0, 40);
        while waited < end && !(net.reaches(1, 2) && net.reaches(2, 1)) {
            waited += 2;
        }
        println!("seed {seed}: around the cut after {waited} s");
        assert!(waited < end, "seed {seed}: {:?} {:?}", path(&net, 1, 2), path(&net, 2, 1));
        net.world.underlay.heal(1, 2);
        net.wait(secs(300), "it is direct again", |net| {
            [path(net, 1, 2), path(net, 2, 1)].iter().all(|path| matches!(path, Some(Path::Udp(_))))
        });
        assert!(net.exchange(1, 2));
    }
}

#[test]
fn a_partition_is_survived_by_both_halves_and_heals() {
    let mut net = Net::converged(7, 5);
    let (left, right) = ([0, 1, 2], [3, 4, 5]);
    for a in left {
        for b in right {
            net.world.underlay.cut(a, b);
        }
    }
    net.world.run(secs(240));
    assert!(net.exchange(1, 2) && net.exchange(1, 0));
    assert!(net.reaches_within(3, 4, secs(2)) && net.exchange(3, 4), "{:?}", net.drops(3));
    for a in left {
        for b in right {
            net.world.underlay.heal(a, b);
        }
    }
    let took = net.converge(secs(330));
    println!("healed after {took:?}");
    for b in right {
        assert!(net.reaches_within(1, b, secs(6)), "{b}");
        assert!(net.exchange(1, b), "{b}");
    }
}

#[test]
fn the_broker_dies_and_members_go_on() {
    let mut net = Net::converged(8, 4);
    net.world.run(secs(60));
    net.world.crash(0);
    net.world.run(secs(20));
    for a in 1..=4 {
        for b in (1..=4).filter(|b| *b != a) {
            assert!(net.reaches(a, b), "{a} {b}");
        }
    }
    // A member that restarts finds the others by what it remembers.
    net.world.crash(3);
    net.world.run(secs(5));
    net.world.start(3);
    net.converge(secs(30));
    net.world.run(secs(400));
    for other in [1, 2, 4] {
        assert!(net.exchange(3, other), "{other}");
    }
}

#[test]
fn a_stock_wireguard_leaf_is_served_and_followed() {
    let mut net = Net::converged(9, 2);
    let held = net.prefix(1).expect("held");
    let leaf_prefix = held.part(64, 7).expect("a part");
    let (leaf_host, far) = (leaf_prefix.address(1), net.host(2).expect("held"));
    // The leaf speaks plain WireGuard: to it, the gateway is a stock peer, and everything is behind it.
    let mut leaf = net.identity("leaf");
    (leaf.brokers, leaf.wish) = (Vec::new(), None);
    let stock = |key, endpoint, prefix| StockPeer {
        name: "stock".into(),
        key,
        psk: Psk::from_bytes([9; 32]),
        endpoint,
        prefixes: vec![prefix],
        keepalive: 0,
    };
    leaf.stock = vec![stock(net.key(1), Some(address(1)), Prefix::ALL)];
    let key = leaf.key();
    net.world
        .command(1, Command::PutStock(Box::new(stock(key, None, leaf_prefix))))
        .expect("room for a leaf");
    let id = net.world.add(Node::new(leaf), at(address(3)));
    net.world.start(id);
    net.world.run(secs(1));
    // Out: it comes from the gateway's TUN, is forwarded by the kernel there, and goes on.
    let out = net.send_between(id, leaf_host, far);
    net.world.run(secs(1));
    assert_eq!(net.copies(1, out), 1, "{:?} {:?}", net.drops(id), net.drops(1));
    let on = net.send_between(1, leaf_host, far);
    net.world.run(secs(1));
    assert_eq!(net.copies(2, on), 1, "{:?} {:?}", net.drops(1), net.drops(2));
    // Back.
    let back = net.send_between(1, far, leaf_host);
    net.world.run(secs(1));
    assert_eq!(net.copies(id, back), 1, "{:?} {:?}", net.drops(1), net.drops(id));
    // It roams as WireGuard does.
    net.world.move_to(id, at(other_address(id)));
    net.send_between(id, leaf_host, far);
    net.world.run(secs(1));
    let back = net.send_between(1, far, leaf_host);
    net.world.run(secs(1));
    assert_eq!(net.copies(id, back), 1, "{:?} {:?}", net.drops(1), net.drops(id));
    // It may not send from elsewhere.
    let forged = net.send_between(id, net.host(2).expect("held"), net.host(1).expect("held"));
    net.world.run(secs(1));
    assert_eq!(net.copies(1, forged), 0);
}

#[test]
fn a_node_that_restarts_behind_a_relay_is_heard_as_soon_as_it_has_a_relay_again() {
    let mut net = Net::new(10);
    let (a, b) = (net.add(), net.add());
    net.world.underlay.cut(a, b);
    net.world.start(a);
    net.world.start(b);
    net.converge(secs(30));
    assert_eq!(net.lost(a, b, millis(200), secs(20)), 0);
    net.world.crash(b);
    net.world.start(b);
    let (mut waited, mut routed) = (Duration::ZERO, Duration::ZERO);
    let prefixes = [a, b].map(|id| net.prefix(id).expect("held"));
    let has = |net: &Net, id, prefix| net.view(id).routes.iter().any(|r| r.selected && r.to == prefix);
    while !net.reaches_within(a, b, millis(100)) {
        waited += millis(100);
        if !(has(&net, b, prefixes[0]) && has(&net, 0, prefixes[1]) && has(&net, a, prefixes[1])) {
            routed = waited;
        }
        assert!(waited < secs(20));
    }
    println!("routed after {routed:?}, heard after {waited:?}");
    assert!(waited <= routed + millis(1200), "routed after {routed:?}, heard after {waited:?}");
}
