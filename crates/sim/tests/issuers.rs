//! Several issuers under one root: each admits and renews, holders keep what they have whoever dies, and what is taken back from
//! a broker goes on with its successor.

use core::net::Ipv6Addr;
use core::time::Duration;
use ln6_crypto::{Reason, Revocation, Revoked, Roles, Signed};
use ln6_overlay_core::control::Command;
use ln6_overlay_core::control::message::{Item, ItemKind};
use ln6_overlay_core::control::view::Standing;
use ln6_overlay_core::forwarder::mail::PeerKind;
use ln6_sim::scenario::{Net, address, pool};
use ln6_sim::world::NodeId;
use ln6_types::{Prefix, VerifyKey};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn second_pool() -> Prefix {
    "2001:db9::/32".parse().expect("a prefix")
}

#[test]
fn two_brokers_of_one_root_both_admit_and_everybody_believes_both() {
    let mut net = Net::new(31);
    let other = net.add_broker(second_pool(), false);
    let (a, b) = (net.join(), net.join_at(other));
    net.converge(secs(60));
    assert!(net.prefix(a).is_some_and(|prefix| pool().covers(prefix)));
    assert!(net.prefix(b).is_some_and(|prefix| second_pool().covers(prefix)));
    assert!(net.exchange(a, b));
    for node in 0..4 {
        let certificates = net.certificates(node);
        for member in 0..4 {
            let key = net.key(member);
            assert!(certificates.iter().any(|c| c.key == key), "{node} knows {member}");
        }
    }
}

#[test]
fn gateways_keep_what_they_have_when_either_broker_dies() {
    for seed in [32, 33] {
        let mut net = Net::new(seed);
        let other = net.add_broker(second_pool(), false);
        let (a, b) = (net.join(), net.join_at(other));
        net.converge(secs(60));
        let held = (net.prefix(a), net.prefix(b));
        let dead = if seed == 32 { 0 } else { other };
        net.world.crash(dead);
        net.world.run(secs(120));
        assert_eq!((net.prefix(a), net.prefix(b)), held);
        assert!(net.exchange(a, b), "without {dead}");
        // And who comes back finds the other broker, which it was never told of.
        net.world.crash(a);
        net.world.run(secs(10));
        net.world.start(a);
        net.wait(secs(60), "it is back", |net| net.view(a).me.standing == Standing::Member);
        net.world.run(secs(10));
        assert!(net.exchange(a, b), "restarted without {dead}");
    }
}

/// The node asks `broker` as well from now on.
fn ask_too(net: &mut Net, node: NodeId, broker: NodeId) {
    let key = net.key(broker);
    net.world.crash(node);
    let identity = &mut net.world.nodes[node].identity;
    identity.brokers.push(ln6_overlay_core::control::Bootstrap { key, endpoints: vec![address(broker)] });
    identity.wish.as_mut().expect("a wish").broker = Some(key);
    net.world.start(node);
}

#[test]
fn who_holds_prefixes_of_two_brokers_leaves_by_the_exit_of_each() {
    let mut net = Net::new(34);
    let mut issuer = net.issuer(&net.world.nodes[0].identity.clone());
    issuer.life = (secs(1800), secs(900));
    net.world.nodes[0].identity.exit = true;
    net.restart_broker_with(issuer);
    let other = net.add_broker(second_pool(), true);
    let mut issuer = net.issuer_of(&net.world.nodes[other].identity.clone(), second_pool());
    issuer.life = (secs(1800), secs(900));
    net.world.nodes[other].desk = Some(Box::new(issuer));
    let a = net.join();
    net.converge(secs(60));
    ask_too(&mut net, a, other);
    let both = |net: &Net| net.view(a).me.prefixes.len() == 2;
    net.wait(secs(60), "it holds both", both);
    net.world.run(secs(20));
    let away: Ipv6Addr = "2606:4700::1".parse().expect("an address");
    let by_the_right_one = |net: &mut Net, exits: &[(Prefix, NodeId, NodeId)]| {
        for (pool, exit, wrong) in exits {
            let prefixes = net.view(a).me.prefixes;
            let own = prefixes.into_iter().find(|prefix| pool.covers(*prefix)).expect("held");
            let number = net.send_between(a, own.address(0x100), away);
            net.world.run(secs(1));
            assert_eq!((net.copies(*exit, number), net.copies(*wrong, number)), (1, 0), "{own}");
        }
    };
    by_the_right_one(&mut net, &[(pool(), 0, other), (second_pool(), other, 0)]);
    // Each is renewed by the one that gave it, several times over.
    net.world.run(secs(7200));
    assert!(both(&net));
    by_the_right_one(&mut net, &[(pool(), 0, other), (second_pool(), other, 0)]);
    // The one that is left goes on.
    net.world.crash(0);
    net.world.run(secs(120));
    by_the_right_one(&mut net, &[(second_pool(), other, 0)]);
    net.world.run(secs(3600));
    assert!(net.prefix(a).is_some_and(|prefix| second_pool().covers(prefix)), "the first one's has ended");
    assert_eq!(net.view(a).me.standing, Standing::Member);
    by_the_right_one(&mut net, &[(second_pool(), other, 0)]);
}

fn sign_key(net: &Net, node: NodeId) -> VerifyKey {
    net.world.nodes[node].identity.signing_key().verify_key()
}

/// `heir` goes on with what `lost` had delegated, and the root takes back what it gave to `lost`.
fn succeed(net: &mut Net, heir: NodeId, lost: NodeId, life: (Duration, Duration)) {
    let (real, identity) = (net.world.real(), net.world.nodes[heir].identity.clone());
    let mut desk = net.issuer_of(&identity, second_pool());
    desk.life = life;
    let mut items = vec![desk.recertified(real, &[pool()], 2)];
    let control = net.world.nodes[heir].control();
    let given = control.membership().signed_by(&sign_key(net, lost));
    let newest = |c: &&&ln6_crypto::Certificate| {
        !given.certificates.iter().any(|other| other.key == c.key && other.serial > c.serial)
    };
    items.extend(given.certificates.iter().filter(newest).map(|certificate| {
        let until = real + life.0;
        desk.adopt(&ln6_crypto::Certificate {
            not_after: until,
            grace_until: until + life.1,
            roles: Roles { transit: true, ..Roles::NONE },
            ..(*certificate).clone()
        })
    }));
    let root = net.root_key();
    let revocation = Revocation {
        network: ln6_crypto::fingerprint(&root.verify_key()),
        issuer: root.verify_key(),
        number: real.as_secs(),
        what: Revoked::Key(net.key(lost)),
        at: real,
        reason: Reason::Replaced,
    };
    let signed = Signed::sign(revocation, &root).expect("a small revocation");
    items.push(Item { kind: ItemKind::Revocation, bytes: signed.bytes().clone() });
    net.world.nodes[heir].desk = Some(Box::new(desk));
    net.world.command(heir, Command::Publish(items)).expect("published");
}

#[test]
fn a_successor_takes_over_and_nobody_notices_but_the_lost_broker() {
    let mut net = Net::new(35);
    let heir = net.add_broker(second_pool(), false);
    let (a, b, asleep) = (net.join(), net.join(), net.join());
    net.converge(secs(60));
    net.world.run(secs(10));
    let held = [a, b, asleep].map(|node| net.prefix(node));
    net.world.crash(asleep);
    net.world.crash(0);
    net.world.run(secs(30));
    succeed(&mut net, heir, 0, (secs(900), secs(600)));
    let lost = net.lost(a, b, secs(1), secs(60));
    assert_eq!(lost, 0, "{:?}", net.drops(a));
    assert_eq!([a, b].map(|node| net.prefix(node)), [held[0], held[1]]);
    for node in [a, b] {
        assert_eq!(net.view(node).me.standing, Standing::Member, "{node}");
    }
    // Who slept through it comes back to what it had.
    net.world.start(asleep);
    net.wait(secs(90), "it is back", |net| net.prefix(asleep) == held[2]);
    net.world.run(secs(20));
    assert!(net.exchange(a, asleep));
    // They renew with the successor, of which they were never told.
    net.world.run(secs(3600));
    assert_eq!([a, b, asleep].map(|node| net.prefix(node)), held);
    assert!(net.exchange(a, b) && net.exchange(b, asleep));
}

#[test]
fn an_old_broker_after_its_successor_signs_for_nobody() {
    let mut net = Net::new(36);
    let heir = net.add_broker(second_pool(), false);
    let (a, b) = (net.join(), net.join());
    net.converge(secs(60));
    net.world.run(secs(10));
    net.world.crash(0);
    net.world.run(secs(10));
    succeed(&mut net, heir, 0, (secs(90_000), secs(600)));
    net.world.run(secs(10));
    // It comes back with all it had, and lets somebody in: it gives a part that is free.
    net.world.start(0);
    let late = net.join_at(0);
    net.world.run(secs(120));
    assert_eq!(net.view(0).me.standing, Standing::Lost { why: "revoked" });
    for node in [a, b, heir] {
        assert_ne!(net.peer(node, 0).map(|peer| peer.kind), Some(PeerKind::Node), "{node}");
        let view = net.view(node);
        let of_late = net.view(late).me.router;
        let mut selected = view.routes.iter().filter(|route| route.selected && route.router == of_late);
        assert!(!selected.any(|route| pool().covers(route.to)), "{node}");
    }
    // The newcomer is told at once that its broker's word counts no more. It may have asked the heir instead, which gives of its own.
    let of_late = net.view(late).me;
    match of_late.prefixes.as_slice() {
        [] => assert_eq!(of_late.standing, Standing::Lost { why: "revoked" }),
        held => assert!(held.iter().all(|prefix| second_pool().covers(*prefix)), "{held:?}"),
    }
    // What it takes back from others is theirs from another hand by now.
    let (key, real) = (net.key(a), net.world.real());
    let desk = net.world.nodes[0].desk.as_mut().expect("the old desk");
    let items = desk.revoke(real, key, Reason::Revoked);
    net.world.command(0, Command::Publish(items.clone())).expect("published");
    net.world.command(heir, Command::Publish(items)).expect("even if it gets there");
    net.world.run(secs(30));
    assert_eq!(net.view(a).me.standing, Standing::Member);
    assert!(net.exchange(a, b));
}

#[test]
fn a_broker_that_delegates_of_anothers_pool_is_not_believed() {
    let mut net = Net::new(37);
    let other = net.add_broker(second_pool(), false);
    let a = net.join();
    net.converge(secs(60));
    // The second broker signs for the first one's pool.
    let identity = net.world.nodes[other].identity.clone();
    net.world.nodes[other].desk = Some(Box::new(net.issuer_of(&identity, pool())));
    let greedy = net.join_at(other);
    net.world.run(secs(30));
    assert_ne!(net.view(greedy).me.standing, Standing::Member);
    let key = net.key(greedy);
    for node in [0, a, other] {
        assert!(!net.certificates(node).iter().any(|c| c.key == key), "{node}");
    }
    let refusals = net.view(greedy).refusals;
    assert!(refusals.iter().any(|(why, count)| *why == "originate-outside" && *count > 0), "{refusals:?}");
}
