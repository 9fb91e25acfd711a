//! Members that lie inside their sessions: what they say of routes and certificates is refused by everybody, counted, and
//! shown with the reason; and what is true goes on.

use core::time::Duration;
use ln6_crypto::{Certificate, Reason, Roles, Signed, SigningKey, router_id};
use ln6_overlay_core::control::message::{Item, ItemKind, JoinReply, JoinRequest};
use ln6_overlay_core::control::view::{RouteView, Standing};
use ln6_overlay_core::control::{Bootstrap, Command, NodeState, Notice};
use ln6_sim::broker::{Desk, Issuer};
use ln6_sim::chance::Chance;
use ln6_sim::scenario::{Net, address, pool};
use ln6_sim::world::NodeId;
use ln6_types::{Prefix, PublicKey, RouterId, UnixTime};

const DAY: Duration = Duration::from_secs(86_400);

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Changes the TLVs of a Babel packet (RFC 8966, section 4.3) and makes the checksum right again; leaves all else alone.
fn rewrite(packet: &mut [u8], change: impl Fn(&mut [u8])) {
    if packet.len() < 52 || packet[0] >> 4 != 6 || packet[6] != 17 {
        return;
    }
    let mut at = 52;
    while at + 2 <= packet.len() {
        let len = if packet[at] == 0 { 1 } else { 2 + usize::from(packet[at + 1]) };
        let Some(tlv) = packet.get_mut(at..at + len) else { break };
        change(tlv);
        at += len;
    }
    packet[46..48].fill(0);
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum = packet[8..].chunks(2).map(word).sum::<u32>() + packet.len() as u32 - 40 + 17;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[46..48].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// Node `liar` passes on what `victim` says as if `other` had said it.
fn rename(net: &mut Net, liar: NodeId, victim: NodeId, other: RouterId) {
    const ROUTER_ID: u8 = 6;
    let victim = net.view(victim).me.router;
    net.world.nodes[liar].tamper = Some(Box::new(move |packet| {
        rewrite(packet, |tlv| {
            if tlv[0] == ROUTER_ID && tlv.get(4..12) == Some(&victim.0[..]) {
                tlv[4..12].copy_from_slice(&other.0);
            }
        });
    }));
}

/// What `node` heard of `prefix` by this router-id.
fn heard(net: &Net, node: NodeId, prefix: Prefix, router: RouterId) -> Vec<RouteView> {
    let routes = net.view(node).routes;
    routes.into_iter().filter(|route| route.to == prefix && route.router == router).collect()
}

#[track_caller]
fn all_refused(net: &Net, nodes: &[NodeId], prefix: Prefix, router: RouterId, reason: &str) {
    let mut count = 0;
    for &node in nodes {
        for route in heard(net, node, prefix, router) {
            assert!(!route.selected && route.refused == reason, "node {node}: {route:?}");
            count += 1;
        }
    }
    assert!(count > 0, "nobody has heard of it, so nothing was tried");
}

#[test]
fn a_transit_that_puts_its_own_router_id_on_anothers_route_is_refused() {
    let mut net = Net::converged(21, 4);
    let (liar, prefix) = (net.view(1).me.router, net.prefix(2).expect("held"));
    rename(&mut net, 1, 2, liar);
    net.world.run(secs(60));
    all_refused(&net, &[0, 3, 4], prefix, liar, "not-yours");
    for other in [0, 3, 4] {
        assert!(net.exchange(other, 2), "{other}");
    }
}

#[test]
fn a_router_id_that_nobody_has_is_never_selected() {
    let mut net = Net::converged(22, 4);
    let (nobody, prefix) = (RouterId([0xde, 0xad, 0, 0, 0, 0, 0, 1]), net.prefix(2).expect("held"));
    rename(&mut net, 1, 2, nobody);
    net.world.run(secs(60));
    all_refused(&net, &[0, 3, 4], prefix, nobody, "unknown-router");
    for other in [0, 3, 4] {
        assert!(net.exchange(other, 2), "{other}");
    }
}

#[test]
fn a_transit_that_puts_anothers_router_id_on_its_own_route_gains_nothing() {
    let mut net = Net::converged(23, 4);
    let (liar, victim) = (net.view(1).me.router, net.view(2).me.router);
    let prefix = net.prefix(1).expect("held");
    rename(&mut net, 1, 1, victim);
    net.world.run(secs(60));
    all_refused(&net, &[0, 3, 4], prefix, victim, "not-yours");
    assert_ne!(liar, victim);
    assert!(net.exchange(3, 2));
}

/// A broker's desk that holds the whole pool itself.
struct Whole {
    issuer: Issuer,
    root: SigningKey,
    signing: SigningKey,
    key: PublicKey,
}

impl Desk for Whole {
    fn beginning(&mut self, wall: UnixTime) -> Vec<Item> {
        let mut items = self.issuer.beginning(wall);
        let certificate = Certificate {
            network: self.issuer.network(),
            serial: 1,
            issuer: self.root.verify_key(),
            key: self.key,
            sign: self.signing.verify_key(),
            router_id: router_id(&self.key),
            name: "broker".into(),
            holder: "broker".into(),
            originate: vec![pool()],
            delegate: vec![pool()],
            roles: Roles { exit: true, broker: true, transit: true },
            grantable: Roles { exit: true, broker: false, transit: true },
            not_before: wall - secs(3600),
            not_after: wall + 365 * DAY,
            grace_until: wall + 2 * 365 * DAY,
            routes: 100,
            children: 10_000,
        };
        let signed = Signed::sign(certificate, &self.root).expect("a small certificate");
        items[0] = Item { kind: ItemKind::Certificate, bytes: signed.bytes().clone() };
        items
    }

    fn request(&mut self, wall: UnixTime, from: PublicKey, request: &JoinRequest) -> (JoinReply, Vec<Item>) {
        self.issuer.request(wall, from, request)
    }

    fn left(&mut self, wall: UnixTime, from: PublicKey) -> Vec<Item> {
        self.issuer.left(wall, from)
    }

    fn revoke(&mut self, wall: UnixTime, key: PublicKey, reason: Reason) -> Vec<Item> {
        self.issuer.revoke(wall, key, reason)
    }
}

#[test]
fn the_holder_of_the_whole_has_no_part_that_was_delegated_away() {
    const SEED: u64 = 24;
    let mut net = Net::new(SEED);
    let broker = net.world.nodes[0].identity.clone();
    let desk = Whole {
        issuer: net.issuer(&broker),
        // The root that `Net` drew first of all.
        root: SigningKey::from_seed(Chance::new(SEED).seed32()),
        signing: broker.signing_key(),
        key: broker.key(),
    };
    net.world.crash(0);
    net.world.nodes[0].disk = NodeState::default();
    net.world.nodes[0].desk = Some(Box::new(desk));
    net.world.start(0);
    for _ in 0..3 {
        net.join();
    }
    net.wait(secs(60), "all have prefixes", |net| (1..4).all(|node| net.prefix(node).is_some()));
    net.world.run(secs(10));
    let (whole, part) = (net.view(0).me.router, net.prefix(2).expect("held"));
    assert!(heard(&net, 1, pool(), whole).iter().any(|route| route.selected), "the whole is its own");

    rename(&mut net, 0, 2, whole);
    net.world.run(secs(60));
    all_refused(&net, &[1, 3], part, whole, "delegated-away");
    assert!(net.exchange(1, 2) && net.exchange(3, 2));
}

/// What is wrong with a certificate.
type Change = fn(&mut Certificate);

/// A desk that signs what it has no right to sign.
struct Generous {
    issuer: Issuer,
    signing: SigningKey,
    change: Change,
}

impl Desk for Generous {
    fn beginning(&mut self, wall: UnixTime) -> Vec<Item> {
        self.issuer.beginning(wall)
    }

    fn request(&mut self, wall: UnixTime, from: PublicKey, request: &JoinRequest) -> (JoinReply, Vec<Item>) {
        let mut certificate = Certificate {
            network: self.issuer.network(),
            serial: 77,
            issuer: self.signing.verify_key(),
            key: from,
            sign: request.sign,
            router_id: router_id(&from),
            name: request.name.clone(),
            holder: request.name.clone(),
            originate: pool().part(48, 7).into_iter().collect(),
            delegate: Vec::new(),
            roles: Roles { transit: true, ..Roles::NONE },
            grantable: Roles::NONE,
            not_before: wall - secs(3600),
            not_after: wall + 90 * DAY,
            grace_until: wall + 120 * DAY,
            routes: 16,
            children: 0,
        };
        (self.change)(&mut certificate);
        let signed = Signed::sign(certificate, &self.signing).expect("a small certificate");
        let bytes = signed.bytes().clone();
        let item = Item { kind: ItemKind::Certificate, bytes: bytes.clone() };
        (JoinReply::Granted { chain: vec![bytes.to_vec()] }, vec![item])
    }

    fn left(&mut self, wall: UnixTime, from: PublicKey) -> Vec<Item> {
        self.issuer.left(wall, from)
    }

    fn revoke(&mut self, wall: UnixTime, key: PublicKey, reason: Reason) -> Vec<Item> {
        self.issuer.revoke(wall, key, reason)
    }
}

#[test]
fn what_a_broker_signs_beyond_its_own_rights_is_refused_counted_and_named() {
    let changes: [(&str, Change); 4] = [
        ("outside its pool", |c| c.originate = vec!["2001:db9::/48".parse().expect("a prefix")]),
        ("a pool", |c| c.delegate = vec!["2001:db9::/40".parse().expect("a prefix")]),
        ("a broker", |c| c.roles.broker = true),
        ("longer than itself", |c| c.grace_until = c.grace_until + 3000 * DAY),
    ];
    for (what, change) in changes {
        let mut net = Net::converged(25, 1);
        let broker = net.world.nodes[0].identity.clone();
        let (issuer, signing) = (net.issuer(&broker), broker.signing_key());
        net.world.nodes[0].desk = Some(Box::new(Generous { issuer, signing, change }));
        let greedy = net.join();
        net.world.run(secs(20));
        let view = net.view(greedy);
        assert_ne!(view.me.standing, Standing::Member, "{what}");
        assert!(view.me.prefixes.is_empty(), "{what}");
        let refused: Vec<_> = view.refusals.iter().filter(|(_, count)| *count > 0).collect();
        assert!(!refused.is_empty(), "{what}: it is counted");
        let told = |notice: &Notice| matches!(notice, Notice::Rejected { .. });
        for node in [0, greedy] {
            assert!(net.world.nodes[node].notices.iter().any(|(_, n)| told(n)), "{what}: node {node} tells");
        }
        let key = net.key(greedy);
        assert!(!net.certificates(1).iter().any(|certificate| certificate.key == key), "{what}");
        assert!(net.exchange(0, 1), "{what}");
    }
}

/// A network of a broker and two gateways, and a third that may delegate of its own /48.
fn with_a_parent(seed: u64) -> (Net, NodeId) {
    let mut net = Net::converged(seed, 2);
    let broker = net.world.nodes[0].identity.clone();
    let (issuer, signing) = (net.issuer(&broker), broker.signing_key());
    let change: Change = |c| {
        c.delegate = c.originate.clone();
        c.children = 3;
        c.grantable = Roles { transit: true, ..Roles::NONE };
    };
    net.world.nodes[0].desk = Some(Box::new(Generous { issuer, signing, change }));
    let parent = net.join();
    net.converge(secs(60));
    (net, parent)
}

/// What `parent` signs for `child`: the second /56 of its /48, changed.
fn child_of(net: &Net, parent: NodeId, child: NodeId, change: Change) -> Item {
    let (own, signing) = (net.prefix(parent).expect("held"), net.world.nodes[parent].identity.signing_key());
    let (key, wall) = (net.key(child), net.world.real());
    let mut certificate = Certificate {
        network: net.issuer(&net.world.nodes[0].identity.clone()).network(),
        serial: 1,
        issuer: signing.verify_key(),
        key,
        sign: net.world.nodes[child].identity.signing_key().verify_key(),
        router_id: router_id(&key),
        name: "child".into(),
        holder: "child".into(),
        originate: own.part(56, 1).into_iter().collect(),
        delegate: Vec::new(),
        roles: Roles { transit: true, ..Roles::NONE },
        grantable: Roles::NONE,
        not_before: wall - secs(3600),
        not_after: wall + 30 * DAY,
        grace_until: wall + 60 * DAY,
        routes: 16,
        children: 0,
    };
    change(&mut certificate);
    let signed = Signed::sign(certificate, &signing).expect("a small certificate");
    Item { kind: ItemKind::Certificate, bytes: signed.bytes().clone() }
}

#[test]
fn a_parent_has_no_part_that_it_delegated_away() {
    let (mut net, parent) = with_a_parent(27);
    let whole = net.prefix(parent).expect("held");
    let part = whole.part(56, 1).expect("a part");
    let item = child_of(&net, parent, 1, |_| ());
    net.world.command(parent, Command::Publish(vec![item])).expect("published");
    net.wait(secs(30), "the child has its part", |net| net.view(1).me.prefixes.contains(&part));
    net.world.run(secs(20));
    let reached = |net: &mut Net, from: NodeId| {
        let source = net.host(from).expect("held");
        let number = net.send_between(from, source, part.address(0x100));
        net.world.run(secs(1));
        (net.copies(1, number), net.copies(parent, number))
    };
    assert_eq!(reached(&mut net, 2), (1, 0));
    let router = net.view(parent).me.router;
    rename(&mut net, parent, 1, router);
    net.world.run(secs(60));
    all_refused(&net, &[2], part, router, "delegated-away");
    assert_eq!(reached(&mut net, 2), (1, 0));
    assert!(net.exchange(2, parent), "the rest is still its own");
    // Nor may it send from there.
    let from = net.host(2).expect("held");
    let number = net.send_between(parent, part.address(0x200), from);
    net.world.run(secs(1));
    assert_eq!(net.copies(2, number), 0);
}

#[test]
fn a_child_beyond_its_parent_is_refused() {
    let changes: [(&str, Change); 7] = [
        ("outside-what-it-may-delegate", |c| c.originate = pool().part(48, 9).into_iter().collect()),
        ("around-it", |c| c.originate = pool().part(47, 3).into_iter().collect()),
        ("a-pool-outside", |c| c.delegate = pool().part(48, 9).into_iter().collect()),
        ("an-exit", |c| c.roles.exit = true),
        ("a-broker", |c| c.roles.broker = true),
        ("who-makes-exits", |c| c.grantable.exit = true),
        ("longer-than-its-parent", |c| c.grace_until = c.grace_until + 3000 * DAY),
    ];
    let (mut net, parent) = with_a_parent(28);
    // The child takes answers from its parent.
    let key = net.key(parent);
    net.world.crash(1);
    let bootstrap = Bootstrap { key, endpoints: vec![address(parent)] };
    net.world.nodes[1].identity.brokers.push(bootstrap);
    net.world.start(1);
    net.converge(secs(60));
    net.world.run(secs(10));
    let held = net.view(1).me.prefixes;
    let count = |net: &Net| net.view(1).refusals.iter().map(|(_, count)| *count).sum::<u64>();
    for (what, change) in changes {
        let (item, before) = (child_of(&net, parent, 1, change), count(&net));
        let to = net.key(1);
        let reply = JoinReply::Granted { chain: vec![item.bytes.to_vec()] };
        net.world.command(parent, Command::FromBroker { to, reply }).expect("said");
        net.world.run(secs(5));
        assert_eq!(count(&net), before + 1, "{what}: it is counted");
        assert_eq!(net.view(1).me.prefixes, held, "{what}");
        for node in 0..4 {
            assert!(!net.certificates(node).iter().any(|c| c.name == "child"), "{what}: {node}");
        }
    }
    assert!(net.exchange(1, parent));
}

#[test]
fn a_node_whose_clock_shows_2040_harms_nobody_and_is_back_when_it_is_set() {
    let mut net = Net::new(26);
    let (a, b) = (net.join(), net.join());
    net.converge(secs(30));
    let late = net.add();
    net.world.nodes[late].clock = Some(14 * 365 * 86_400);
    net.world.start(late);
    net.world.run(secs(120));
    assert!(net.exchange(a, b));
    net.world.crash(late);
    net.world.run(secs(5));
    net.world.nodes[late].clock = Some(0);
    net.world.start(late);
    net.converge(secs(90));
    assert!(net.exchange(a, late) && net.exchange(a, b));
    // And one that was a member when its clock was lost.
    net.world.crash(b);
    net.world.nodes[b].clock = Some(14 * 365 * 86_400);
    net.world.start(b);
    net.world.run(secs(60));
    assert!(net.exchange(a, late));
    net.world.crash(b);
    net.world.nodes[b].clock = Some(0);
    net.world.start(b);
    net.converge(secs(90));
    assert!(net.exchange(a, b));
}
