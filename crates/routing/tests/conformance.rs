//! One router between scripted neighbours: the cases N, C, R, S, U, Q, H, SS and T of the conformance list.
#![allow(clippy::unwrap_used)]

use ipnet::IpNet;
use ln6_routing::wire::{PacketBuilder, Tlv, decode};
use ln6_routing::{
    Action, Config, CostModel, Destination, DropReason, INFINITY, Key, Link, LinkId, NeighbourView, Policy,
    RouteView, Router, Verdict, View,
};
use ln6_types::{Instant, RouterId};
use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

const OUR: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const P: Peer = Peer { link: LinkId(1), address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa) };
const Q: Peer = Peer { link: LinkId(2), address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xb) };
const W: Peer = Peer { link: LinkId(3), address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc) };
const US: RouterId = RouterId([0xee; 8]);
const X: RouterId = RouterId([0x11; 8]);
const Y: RouterId = RouterId([0x22; 8]);
/// Ten minutes in centiseconds: nothing expires unless a test wants it.
const LONG: u16 = 60_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Peer {
    link: LinkId,
    address: Ipv6Addr,
}

#[derive(Default)]
struct Rights {
    hold: Cell<bool>,
    refused: Cell<Option<RouterId>>,
}

impl Policy for Rights {
    fn judge(&self, router: RouterId, _: IpNet, _: IpNet) -> Verdict {
        match (self.hold.get(), self.refused.get() == Some(router)) {
            (true, _) => Verdict::Hold,
            (_, true) => Verdict::Refuse("no certificate"),
            _ => Verdict::Accept,
        }
    }
}

struct Rig {
    now: Instant,
    router: Router,
    rights: Rights,
    sent: Vec<(Instant, LinkId, Destination, Vec<Tlv>)>,
    told: Vec<Action>,
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn key(text: &str) -> Key {
    Key::to(net(text))
}

fn dst() -> Key {
    key("2001:db8:1::/48")
}

fn link(cost: CostModel, rtt: bool) -> Link {
    Link { cost, rtt, split_horizon: true, mtu: 1280, our: OUR }
}

fn millis(span: u64) -> Duration {
    Duration::from_millis(span)
}

fn secs(span: u64) -> Duration {
    Duration::from_secs(span)
}

fn hello(seqno: u16, interval: u16) -> Tlv {
    Tlv::Hello { unicast: false, seqno, interval, timestamp: None }
}

fn ihu(rxcost: u16) -> Tlv {
    Tlv::Ihu { address: Some(IpAddr::V6(OUR)), rxcost, interval: LONG, timestamps: None }
}

fn update(from: Peer, key: Key, router: RouterId, seqno: u16, metric: u16) -> Tlv {
    Tlv::Update { key, router, next_hop: IpAddr::V6(from.address), interval: LONG, seqno, metric }
}

fn lasting(tlv: Tlv, centis: u16) -> Tlv {
    match tlv {
        Tlv::Update { key, router, next_hop, seqno, metric, .. } => {
            Tlv::Update { key, router, next_hop, interval: centis, seqno, metric }
        }
        other => other,
    }
}

impl Rig {
    /// Links 1 and 2, without neighbours.
    fn empty() -> Self {
        let mut rig = Rig {
            now: Instant::ZERO + secs(1000),
            router: Router::new(Config::new(US, 500, 42)),
            rights: Rights::default(),
            sent: Vec::new(),
            told: Vec::new(),
        };
        rig.up(LinkId(1), link(CostModel::Wired, false));
        rig.up(LinkId(2), link(CostModel::Wired, false));
        rig
    }

    /// P on link 1 and Q on link 2, both at cost 96, nothing left to be said.
    fn new() -> Self {
        let mut rig = Rig::empty();
        rig.befriend(P);
        rig.befriend(Q);
        rig.run(secs(5));
        rig.forget();
        rig
    }

    fn up(&mut self, id: LinkId, link: Link) {
        self.router.link_up(self.now, id, link);
        self.drain();
    }

    fn befriend(&mut self, peer: Peer) {
        self.feed(peer, &[hello(1, LONG)]);
        self.feed(peer, &[hello(2, LONG), ihu(96)]);
    }

    fn feed(&mut self, peer: Peer, tlvs: &[Tlv]) {
        let mut builder = PacketBuilder::new(peer.address, 1232);
        tlvs.iter().for_each(|tlv| builder.push(tlv));
        for packet in builder.finish() {
            self.router.receive(self.now, peer.link, peer.address, &packet, &self.rights);
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.router.poll_action() {
            if let Action::Send { link, to, packet } = &action {
                let mut tlvs = Vec::new();
                assert_eq!(decode(packet, OUR, |tlv| tlvs.push(tlv)), Ok(0));
                self.sent.push((self.now, *link, *to, tlvs));
            } else {
                self.told.push(action);
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.router.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.router.handle_timeout(self.now, &self.rights);
            self.drain();
        }
        self.now = end;
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.told.clear();
    }

    fn view(&self) -> View {
        self.router.view(self.now)
    }

    fn neighbour(&self, peer: Peer) -> Option<NeighbourView> {
        self.view().neighbours.into_iter().find(|n| (n.link, n.address) == (peer.link, peer.address))
    }

    fn cost(&self, peer: Peer) -> u16 {
        self.neighbour(peer).map_or(INFINITY, |n| n.cost)
    }

    fn route(&self, peer: Peer, key: Key) -> Option<RouteView> {
        self.view().routes.into_iter().find(|r| r.via == Some((peer.link, peer.address)) && r.key == key)
    }

    /// The neighbour in use for `key`.
    fn selected(&self, key: Key) -> Option<Peer> {
        let route = self.view().routes.into_iter().find(|r| r.selected && r.key == key)?;
        route.via.map(|(link, address)| Peer { link, address })
    }

    /// All TLVs sent on the peer's link that it would read, without Hellos and IHUs.
    fn heard_by(&self, peer: Peer) -> Vec<Tlv> {
        let to_it = |to: &Destination| {
            matches!(to, Destination::Multicast) || *to == Destination::Unicast(peer.address)
        };
        let sent = self.sent.iter().filter(|(_, link, to, _)| *link == peer.link && to_it(to));
        sent.flat_map(|(.., tlvs)| tlvs.iter().copied())
            .filter(|tlv| !matches!(tlv, Tlv::Hello { .. } | Tlv::Ihu { .. }))
            .collect()
    }

    fn unicast_to(&self, peer: Peer) -> Vec<Tlv> {
        let sent = self
            .sent
            .iter()
            .filter(|(_, link, to, _)| *link == peer.link && *to == Destination::Unicast(peer.address));
        sent.flat_map(|(.., tlvs)| tlvs.iter().copied()).collect()
    }

    /// Sequence of (router, seqno, metric) advertised to the peer; `None` = retraction.
    fn adverts(&self, peer: Peer, of: Key) -> Vec<Option<(RouterId, u16, u16)>> {
        let advert = |tlv: Tlv| match tlv {
            Tlv::Update { key, router, seqno, metric, .. } if key == of => {
                Some(Some((router, seqno, metric)))
            }
            Tlv::Retract { key: Some(key), .. } if key == of => Some(None),
            _ => None,
        };
        self.heard_by(peer).into_iter().filter_map(advert).collect()
    }

    fn seqno_requests(&self, peer: Peer) -> Vec<(Key, RouterId, u16, u8)> {
        let request = |tlv| match tlv {
            Tlv::SeqnoRequest { key, router, seqno, hop_count } => Some((key, router, seqno, hop_count)),
            _ => None,
        };
        self.unicast_to(peer).into_iter().filter_map(request).collect()
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.view().drops.get(&reason).copied().unwrap_or(0)
    }

    /// Learns `dst()` of X from P with seqno 10 and metric 100, and tells Q.
    fn learnt() -> Self {
        let mut rig = Rig::new();
        rig.feed(P, &[update(P, dst(), X, 10, 100)]);
        rig.run(millis(200));
        assert_eq!(rig.adverts(Q, dst()), [Some((X, 10, 196))]);
        rig.forget();
        rig
    }
}

// --- N: neighbours

// N01, N02
#[test]
fn a_stranger_becomes_a_neighbour_by_its_first_hello_only() {
    let mut rig = Rig::empty();
    rig.run(secs(1));
    rig.forget();
    rig.feed(P, &[update(P, dst(), X, 1, 0), ihu(96)]);
    assert_eq!((rig.neighbour(P), rig.dropped(DropReason::Stranger)), (None, 2));
    rig.feed(P, &[hello(1, LONG)]);
    assert_eq!(rig.cost(P), INFINITY);
    rig.run(millis(50));
    assert_eq!(rig.heard_by(P), [Tlv::RouteRequest { key: None }]);
    let ihu_sent = rig.sent.iter().any(|(.., tlvs)| {
        matches!(tlvs[..], [Tlv::Hello { .. }, Tlv::Ihu { rxcost: INFINITY, address, .. }, ..] if address == Some(IpAddr::V6(P.address)))
    });
    assert!(ihu_sent);
    rig.feed(P, &[update(P, dst(), X, 1, 0)]);
    assert_eq!(rig.selected(dst()), None);
}

// N03, N04, N05, N06, N15, N16, C02
#[test]
fn the_last_ihu_for_us_sets_the_cost() {
    let mut rig = Rig::empty();
    rig.feed(P, &[hello(1, LONG)]);
    rig.feed(P, &[hello(2, LONG)]);
    let to = |address: Option<&str>, rxcost| Tlv::Ihu {
        address: address.map(|a| a.parse().unwrap()),
        rxcost,
        interval: LONG,
        timestamps: None,
    };
    for (tlvs, cost) in [
        (vec![to(Some("fe80::99"), 50)], INFINITY),
        (vec![to(Some("10.0.0.1"), 50)], INFINITY),
        (vec![to(Some("fe80::1"), 96)], 96),
        (vec![to(Some("fe80::1"), 0)], 96),
        (vec![to(None, 120)], 120),
        (vec![to(Some("fe80::1"), INFINITY)], INFINITY),
        (vec![to(Some("fe80::1"), INFINITY), to(Some("fe80::1"), 96)], 96),
    ] {
        rig.feed(P, &tlvs);
        assert_eq!(rig.cost(P), cost, "{tlvs:?}");
    }
}

// N11, H
#[test]
fn a_silent_neighbour_is_dropped_miss_by_miss_and_its_routes_retracted() {
    let mut rig = Rig::empty();
    rig.befriend(Q);
    rig.feed(P, &[hello(1, 100)]);
    rig.feed(P, &[hello(2, 100), ihu(96), update(P, dst(), X, 1, 0)]);
    rig.run(millis(1490));
    assert_eq!(rig.neighbour(P).unwrap().multicast, 0b11);
    rig.run(millis(20));
    assert_eq!((rig.neighbour(P).unwrap().multicast, rig.cost(P)), (0b110, 96));
    rig.run(secs(1));
    assert_eq!((rig.neighbour(P).unwrap().multicast, rig.cost(P)), (0b1100, INFINITY));
    assert_eq!(rig.selected(dst()), None);
    rig.run(secs(13));
    assert!(rig.neighbour(P).is_some());
    rig.run(secs(1));
    assert_eq!((rig.neighbour(P), rig.route(P, dst())), (None, None));
    assert_eq!(rig.adverts(Q, dst()).last(), Some(&None));
}

// N12
#[test]
fn an_unscheduled_hello_counts_but_promises_nothing() {
    let mut rig = Rig::empty();
    rig.feed(P, &[hello(1, 100)]);
    rig.run(secs(1));
    rig.feed(P, &[hello(2, 0)]);
    assert_eq!(rig.neighbour(P).unwrap().multicast, 0b11);
    rig.run(millis(510));
    assert_eq!(rig.neighbour(P).unwrap().multicast, 0b110);
}

// N13
#[test]
fn unicast_and_multicast_hellos_have_histories_of_their_own() {
    let mut rig = Rig::empty();
    let unicast = |seqno| Tlv::Hello { unicast: true, seqno, interval: LONG, timestamp: None };
    rig.feed(P, &[hello(1, LONG), unicast(900), ihu(96)]);
    assert_eq!(rig.cost(P), INFINITY);
    rig.feed(P, &[unicast(901)]);
    let view = rig.neighbour(P).unwrap();
    assert_eq!((view.multicast, view.unicast, view.cost), (1, 0b11, 96));
}

// N14
#[test]
fn without_ihus_the_cost_becomes_infinite() {
    let mut rig = Rig::empty();
    rig.feed(P, &[hello(1, LONG)]);
    let ihu = Tlv::Ihu { address: None, rxcost: 96, interval: 100, timestamps: None };
    rig.feed(P, &[hello(2, LONG), ihu, update(P, dst(), X, 1, 0)]);
    assert_eq!(rig.selected(dst()), Some(P));
    rig.run(millis(3490));
    assert_eq!(rig.cost(P), 96);
    rig.run(millis(20));
    assert_eq!((rig.cost(P), rig.selected(dst())), (INFINITY, None));
}

// N17, N18
#[test]
fn our_hellos_and_ihus_keep_their_promises_and_none_is_unscheduled() {
    let mut rig = Rig::empty();
    rig.befriend(P);
    rig.run(secs(120));
    let mut last: Option<(Instant, u16)> = None;
    let mut last_ihu = rig.sent[0].0;
    for (at, _, to, tlvs) in rig.sent.iter().filter(|(_, link, ..)| *link == P.link) {
        let hellos: Vec<_> = tlvs.iter().filter(|tlv| matches!(tlv, Tlv::Hello { .. })).collect();
        assert!(hellos.len() <= 1);
        let has_ihu = tlvs.iter().any(|tlv| matches!(tlv, Tlv::Ihu { .. }));
        if let [Tlv::Hello { unicast: false, seqno, interval: 400, .. }] = hellos[..] {
            assert_eq!(*to, Destination::Multicast);
            if let Some((before, number)) = last.replace((*at, *seqno)) {
                assert!(at.since(before) <= secs(4));
                assert_eq!(*seqno, number.wrapping_add(1));
            }
        } else {
            assert!(!has_ihu, "an IHU without a Hello");
        }
        if has_ihu {
            assert!(at.since(last_ihu) <= secs(12));
            last_ihu = *at;
        }
    }
    assert!(rig.now.since(last_ihu) <= secs(12));
    assert!(last.is_some_and(|(at, _)| rig.now.since(at) <= secs(4)));
}

#[test]
fn a_new_link_says_hello_three_times_within_a_quarter_of_a_second() {
    let mut rig = Rig::empty();
    rig.run(millis(250));
    let hellos = |tlvs: &Vec<Tlv>| tlvs.iter().any(|tlv| matches!(tlv, Tlv::Hello { .. }));
    assert_eq!(rig.sent.iter().filter(|(_, link, _, tlvs)| link.0 == 1 && hellos(tlvs)).count(), 3);
    assert!(rig.sent[0].3.contains(&Tlv::Retract { key: None, interval: INFINITY }));
}

// N19
#[test]
fn an_acknowledgment_request_is_answered_in_time_by_unicast() {
    let mut rig = Rig::new();
    rig.feed(P, &[Tlv::AckRequest { opaque: 7, interval: 2 }, Tlv::AckRequest { opaque: 8, interval: 100 }]);
    rig.run(millis(20));
    assert_eq!(rig.unicast_to(P), [Tlv::Ack { opaque: 7 }, Tlv::Ack { opaque: 8 }]);
}

// N20
#[test]
fn one_address_on_two_links_makes_two_neighbours() {
    let mut rig = Rig::new();
    rig.befriend(Peer { link: Q.link, address: P.address });
    assert_eq!(rig.view().neighbours.len(), 3);
}

// N21
#[test]
fn a_link_that_goes_takes_its_neighbours_and_comes_back() {
    let mut rig = Rig::learnt();
    rig.router.link_down(rig.now, P.link);
    rig.drain();
    assert_eq!((rig.neighbour(P), rig.selected(dst())), (None, None));
    assert_eq!(rig.told, [Action::Lose { dst: dst().dst(), src: dst().src() }]);
    rig.up(P.link, link(CostModel::Wired, false));
    rig.befriend(P);
    assert_eq!(rig.cost(P), 96);
}

// P41, P43
#[test]
fn packets_from_wrong_addresses_and_links_are_dropped() {
    let mut rig = Rig::empty();
    for (link, address, reason) in [
        (LinkId(1), "2001:db8::1".parse().unwrap(), DropReason::NotLinkLocal),
        (LinkId(1), OUR, DropReason::Looped),
        (LinkId(9), P.address, DropReason::UnknownLink),
    ] {
        rig.feed(Peer { link, address }, &[hello(1, LONG)]);
        assert_eq!(rig.dropped(reason), 1);
    }
    assert!(rig.view().neighbours.is_empty());
}

#[test]
fn neighbours_and_routes_are_limited() {
    let mut rig = Rig::empty();
    for i in 0..70 {
        rig.feed(
            Peer { link: P.link, address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, i) },
            &[hello(1, LONG)],
        );
    }
    assert_eq!((rig.view().neighbours.len(), rig.dropped(DropReason::TooManyNeighbours)), (64, 6));
    let mut config = Config::new(US, 1, 1);
    config.max_routes = 3;
    let mut rig = Rig { router: Router::new(config), ..Rig::empty() };
    rig.up(P.link, link(CostModel::Wired, false));
    rig.befriend(P);
    for i in 0..5 {
        rig.feed(P, &[update(P, key(&format!("2001:db8:{i}::/48")), X, 1, 0)]);
    }
    assert_eq!((rig.view().routes.len(), rig.dropped(DropReason::TooManyRoutes)), (3, 2));
}

#[test]
fn what_has_no_feasibility_distance_is_not_advertised() {
    let mut config = Config::new(US, 1, 1);
    config.max_sources = 1;
    let mut rig = Rig { router: Router::new(config), ..Rig::empty() };
    for peer in [P, Q] {
        rig.up(peer.link, link(CostModel::Wired, false));
        rig.befriend(peer);
    }
    let other = key("2001:db8:2::/48");
    rig.feed(P, &[update(P, dst(), X, 1, 0)]);
    rig.run(secs(1));
    rig.feed(P, &[update(P, other, X, 1, 0)]);
    rig.run(secs(1));
    assert_eq!((rig.selected(other), rig.adverts(Q, other)), (Some(P), vec![None]));
    assert_eq!(rig.adverts(Q, dst()).last(), Some(&Some((X, 1, 96))));
    assert!(rig.dropped(DropReason::TooManySources) >= 1);
}

// --- C and T: costs

// C03, C04
#[test]
fn etx_links_cost_more_the_more_hellos_are_lost() {
    let mut rig = Rig::empty();
    rig.up(W.link, link(CostModel::Etx, false));
    (1..=6).for_each(|seqno| rig.feed(W, &[hello(seqno, LONG)]));
    rig.feed(W, &[ihu(200)]);
    assert_eq!(rig.cost(W), 256);
    rig.feed(W, &[hello(10, LONG)]);
    assert_eq!(rig.cost(W), 512);
}

// C05
#[test]
fn a_metric_that_reaches_infinity_is_kept_and_not_selected() {
    let mut rig = Rig::new();
    rig.feed(P, &[update(P, dst(), X, 1, 0xfff0)]);
    let route = rig.route(P, dst()).unwrap();
    assert_eq!((route.metric, route.selected), (INFINITY, false));
}

// C07, R18, U05
#[test]
fn a_dearer_link_moves_its_routes_and_makes_none_unfeasible() {
    let mut rig = Rig::learnt();
    rig.feed(Q, &[update(Q, key("2001:db8:2::/48"), Y, 1, 0)]);
    rig.run(secs(1));
    rig.forget();
    rig.feed(P, &[ihu(1000)]);
    let route = rig.route(P, dst()).unwrap();
    assert_eq!((route.metric, route.feasible, route.selected), (1100, true, true));
    assert_eq!(rig.route(Q, key("2001:db8:2::/48")).unwrap().metric, 96);
    rig.run(millis(60));
    assert_eq!(rig.adverts(Q, dst()), [Some((X, 10, 1100))]);
}

// T01, T02, T09, T12
#[test]
fn round_trip_times_are_measured_from_timestamps_and_cost() {
    let mut rig = Rig::empty();
    rig.up(W.link, link(CostModel::Wired, true));
    rig.run(millis(250));
    let stamped = |seqno, stamp| Tlv::Hello { unicast: false, seqno, interval: LONG, timestamp: Some(stamp) };
    rig.feed(W, &[stamped(1, 5_000_000)]);
    let heard = rig.now.as_micros() as u32;
    rig.feed(W, &[hello(2, LONG), ihu(96)]);
    assert_eq!(rig.cost(W), 96);
    rig.forget();
    rig.run(secs(1));
    let (at, _, _, tlvs) = rig.sent.iter().rfind(|(_, link, ..)| *link == W.link).unwrap().clone();
    let [Tlv::Hello { timestamp: Some(ours), .. }, Tlv::Ihu { timestamps: Some(echo), .. }, ..] = tlvs[..]
    else {
        panic!("timestamps in {tlvs:?}");
    };
    assert_eq!((ours, echo), (at.as_micros() as u32, (5_000_000, heard)));
    // It heard our Hello at 6 s of its clock and answers at 7 s: what is more than a second was travel.
    rig.now = at + millis(1065);
    let answer = Tlv::Ihu { address: None, rxcost: 96, interval: LONG, timestamps: Some((ours, 6_000_000)) };
    rig.feed(W, &[stamped(3, 7_000_000), answer]);
    assert_eq!((rig.neighbour(W).unwrap().rtt, rig.cost(W)), (Some(millis(65)), 96 + 75));
}

// T11
#[test]
fn a_metric_that_swings_around_anothers_switches_routes_seldom() {
    let mut rig = Rig::new();
    rig.feed(Q, &[update(Q, dst(), Y, 1, 100)]);
    rig.feed(P, &[update(P, dst(), X, 1, 100)]);
    rig.run(secs(60));
    rig.forget();
    for i in 0..150 {
        rig.feed(P, &[ihu(if i % 2 == 0 { 96 + 40 } else { 96 - 40 })]);
        rig.run(secs(4));
    }
    let switches = rig.told.iter().filter(|action| matches!(action, Action::Select { .. })).count();
    assert!(switches <= 4, "{switches} switches in ten minutes");
}

// --- R: routes

// R01, R02, R16
#[test]
fn an_update_makes_an_entry_and_a_retraction_of_nothing_none() {
    let mut rig = Rig::new();
    rig.feed(P, &[Tlv::Retract { key: Some(dst()), interval: 400 }, update(P, key("fe80::/64"), X, 1, 0)]);
    assert!(rig.view().routes.is_empty());
    assert_eq!(rig.dropped(DropReason::Martian), 1);
    rig.feed(P, &[update(P, dst(), X, 10, 100), update(P, key("::/0"), X, 10, 5)]);
    let route = rig.route(P, dst()).unwrap();
    assert_eq!((route.router, route.seqno, route.refmetric, route.metric), (X, 10, 100, 196));
    assert_eq!((route.next_hop, route.expires), (Some(IpAddr::V6(P.address)), secs(2100)));
    assert_eq!(rig.selected(key("::/0")), Some(P));
    let (dst, src) = (dst().dst(), dst().src());
    let select =
        Action::Select { dst, src, router: X, link: P.link, next_hop: IpAddr::V6(P.address), metric: 196 };
    assert!(rig.told.contains(&select));
}

// R09, Q13
#[test]
fn an_unfeasible_update_of_the_selected_source_is_ignored_and_a_new_seqno_asked_for() {
    let mut rig = Rig::learnt();
    rig.feed(P, &[update(P, dst(), X, 10, 300)]);
    let route = rig.route(P, dst()).unwrap();
    assert_eq!((route.refmetric, route.selected), (100, true));
    rig.run(millis(100));
    assert_eq!(rig.seqno_requests(P), [(dst(), X, 11, 127)]);
    rig.feed(P, &[update(P, dst(), X, 11, 300)]);
    assert_eq!(rig.route(P, dst()).unwrap().metric, 396);
    assert!(rig.view().requests.is_empty());
}

// R10, R12
#[test]
fn an_unfeasible_update_of_another_source_unselects_at_once() {
    let mut rig = Rig::new();
    // Y's distance becomes 96 + 50.
    rig.feed(P, &[update(P, dst(), Y, 5, 50)]);
    rig.run(millis(250));
    rig.feed(P, &[update(P, dst(), X, 10, 100)]);
    rig.run(secs(3));
    rig.forget();
    rig.feed(P, &[update(P, dst(), Y, 5, 400)]);
    assert_eq!(rig.selected(dst()), None);
    let route = rig.route(P, dst()).unwrap();
    assert_eq!((route.router, route.refmetric, route.feasible), (Y, 400, false));
    rig.run(millis(60));
    assert_eq!(rig.adverts(Q, dst()), [None]);
    assert_eq!(rig.told[0], Action::Lose { dst: dst().dst(), src: dst().src() });
}

// R11, S02
#[test]
fn an_unfeasible_route_is_kept_as_a_fallback_and_never_selected() {
    let mut rig = Rig::learnt();
    rig.feed(Q, &[update(Q, dst(), X, 10, 196)]);
    let route = rig.route(Q, dst()).unwrap();
    assert_eq!((route.feasible, route.selected), (false, false));
    rig.feed(P, &[Tlv::Retract { key: Some(dst()), interval: 400 }]);
    assert_eq!(rig.selected(dst()), None);
}

// R12, U15
#[test]
fn a_new_origin_is_told_urgently_and_repeated() {
    let mut rig = Rig::learnt();
    rig.feed(P, &[update(P, dst(), Y, 3, 100)]);
    rig.run(millis(60));
    assert_eq!(rig.adverts(Q, dst()), [Some((Y, 3, 196))]);
    rig.run(secs(3));
    assert_eq!(rig.adverts(Q, dst()), [Some((Y, 3, 196)); 2]);
}

// R13
#[test]
fn our_own_router_id_is_never_learnt_and_ends_what_was_said_before() {
    let mut rig = Rig::learnt();
    rig.feed(P, &[update(P, dst(), US, 1, 5)]);
    assert_eq!(rig.selected(dst()), None);
    rig.feed(P, &[update(P, key("2001:db8:9::/48"), US, 1, 5)]);
    assert_eq!(rig.route(P, key("2001:db8:9::/48")), None);
}

// R14, Q14
#[test]
fn a_route_is_asked_for_then_expires_then_is_removed() {
    let mut rig = Rig::new();
    rig.feed(P, &[lasting(update(P, dst(), X, 1, 0), 1000)]);
    rig.run(secs(30));
    rig.forget();
    rig.run(millis(900));
    let ask = Tlv::RouteRequest { key: Some(dst()) };
    assert_eq!(rig.unicast_to(P), [ask]);
    rig.run(millis(4200));
    assert_eq!(rig.route(P, dst()).map(|r| (r.refmetric, r.selected)), Some((INFINITY, false)));
    assert_eq!(rig.adverts(Q, dst()).last(), Some(&None));
    rig.run(secs(34));
    assert!(rig.route(P, dst()).is_some());
    rig.run(secs(2));
    assert_eq!(rig.route(P, dst()), None);
}

#[test]
fn a_repeated_update_keeps_a_route_for_ever() {
    let mut rig = Rig::new();
    for _ in 0..20 {
        rig.feed(P, &[lasting(update(P, dst(), X, 1, 0), 1000)]);
        rig.run(secs(10));
    }
    assert_eq!(rig.selected(dst()), Some(P));
    assert!(!rig.unicast_to(P).iter().any(|tlv| matches!(tlv, Tlv::RouteRequest { key: Some(_) })));
    assert_eq!(rig.told.len(), 1);
}

// R15, SS08
#[test]
fn a_wildcard_retraction_ends_all_routes_of_all_families_and_sources() {
    let mut rig = Rig::new();
    let specific = Key::new(net("::/0"), net("2001:db8:5::/48")).unwrap();
    let all = [dst(), key("10.0.0.0/8"), specific];
    all.iter().for_each(|key| rig.feed(P, &[update(P, *key, X, 1, 0)]));
    assert!(all.iter().all(|key| rig.selected(*key) == Some(P)));
    rig.feed(P, &[Tlv::Retract { key: None, interval: INFINITY }]);
    assert!(all.iter().all(|key| rig.selected(*key).is_none()));
}

// R17
#[test]
fn a_new_next_hop_is_for_the_caller_and_not_for_neighbours() {
    let mut rig = Rig::learnt();
    let other = Peer { link: P.link, address: "fe80::99".parse().unwrap() };
    rig.feed(P, &[update(other, dst(), X, 10, 100)]);
    rig.run(secs(1));
    assert!(
        matches!(rig.told[..], [Action::Select { next_hop, .. }] if next_hop == IpAddr::V6(other.address))
    );
    assert_eq!(rig.adverts(Q, dst()), []);
}

// R19
#[test]
fn an_older_seqno_is_feasible_three_minutes_after_the_last_update_we_sent() {
    let mut rig = Rig::learnt();
    rig.feed(P, &[Tlv::Retract { key: Some(dst()), interval: 400 }]);
    rig.feed(P, &[update(P, dst(), X, 9, 100)]);
    assert!(!rig.route(P, dst()).unwrap().feasible);
    rig.run(secs(175));
    assert_eq!(rig.selected(dst()), None);
    rig.run(secs(10));
    assert_eq!(rig.selected(dst()), Some(P));
}

#[test]
fn our_seqno_jumps_past_one_that_an_earlier_life_used() {
    let mut rig = Rig::new();
    rig.router.originate(rig.now, dst().dst(), net("::/0"), 0);
    rig.feed(P, &[update(P, dst(), US, 499, 5)]);
    assert_eq!(rig.view().seqno, 500);
    rig.feed(P, &[update(P, key("2001:db8:9::/48"), US, 700, 5)]);
    assert_eq!(rig.view().seqno, 500);
    rig.feed(P, &[update(P, dst(), US, 700, 5)]);
    assert_eq!(rig.told, [Action::SeqnoUsed(701)]);
    rig.run(millis(250));
    assert_eq!(rig.adverts(Q, dst()).last(), Some(&Some((US, 701, 0))));
}

// --- policy

#[test]
fn a_refused_route_is_shown_with_its_reason_and_goes_no_further() {
    let mut rig = Rig::new();
    rig.rights.refused.set(Some(X));
    rig.feed(P, &[update(P, dst(), X, 1, 0)]);
    rig.feed(Q, &[update(Q, dst(), Y, 1, 500)]);
    assert_eq!(rig.route(P, dst()).unwrap().verdict, Verdict::Refuse("no certificate"));
    assert_eq!(rig.selected(dst()), Some(Q));
    rig.run(secs(40));
    assert!(!rig.adverts(Q, dst()).iter().flatten().any(|(router, ..)| *router == X));
    assert_eq!(rig.seqno_requests(P), []);
    rig.rights.refused.set(Some(Y));
    rig.router.reconsider(rig.now, &rig.rights);
    assert_eq!(rig.selected(dst()), Some(P));
}

#[test]
fn a_held_route_waits_for_its_certificate() {
    let mut rig = Rig::new();
    rig.rights.hold.set(true);
    rig.feed(P, &[update(P, dst(), X, 1, 0)]);
    rig.feed(P, &[update(P, dst(), X, 2, 0)]);
    assert_eq!(rig.selected(dst()), None);
    assert_eq!(rig.told, [Action::Held { router: X, link: P.link, from: P.address }]);
    rig.rights.hold.set(false);
    rig.router.reconsider(rig.now, &rig.rights);
    assert_eq!(rig.selected(dst()), Some(P));
}

#[test]
fn a_neighbour_that_changes_the_origin_is_judged_again() {
    let mut rig = Rig::learnt();
    rig.rights.refused.set(Some(Y));
    rig.feed(P, &[update(P, dst(), Y, 10, 0)]);
    assert_eq!(rig.selected(dst()), None);
}

// --- S: selection

// S05
#[test]
fn a_slightly_better_route_has_to_be_better_for_a_while() {
    let mut rig = Rig::new();
    rig.feed(P, &[update(P, dst(), X, 1, 200)]);
    rig.run(secs(60));
    rig.feed(Q, &[update(Q, dst(), Y, 1, 150)]);
    assert_eq!(rig.selected(dst()), Some(P));
    rig.run(secs(5));
    assert_eq!(rig.selected(dst()), Some(P));
    rig.run(secs(45));
    assert_eq!(rig.selected(dst()), Some(Q));
}

// S06, S07
#[test]
fn the_next_feasible_route_follows_at_once_and_our_own_is_best() {
    let mut rig = Rig::learnt();
    rig.feed(Q, &[update(Q, dst(), Y, 1, 300)]);
    rig.feed(P, &[Tlv::Retract { key: Some(dst()), interval: 400 }]);
    assert_eq!(rig.selected(dst()), Some(Q));
    assert_eq!(rig.seqno_requests(Q), []);
    rig.router.originate(rig.now, dst().dst(), net("::/0"), 0);
    rig.drain();
    assert_eq!(rig.told.last(), Some(&Action::Lose { dst: dst().dst(), src: dst().src() }));
    assert_eq!(rig.selected(dst()), None);
    rig.run(millis(250));
    assert_eq!(rig.adverts(P, dst()).last(), Some(&Some((US, 500, 0))));
}

// --- U: updates

// U01, U02
#[test]
fn all_selected_routes_are_dumped_on_each_link_within_the_update_interval() {
    let mut rig = Rig::learnt();
    rig.router.originate(rig.now, net("2001:db8:ff::/48"), net("::/0"), 0);
    rig.run(secs(1));
    for _ in 0..4 {
        rig.forget();
        rig.run(secs(16));
        assert!(rig.adverts(Q, dst()).contains(&Some((X, 10, 196))));
        assert!(rig.adverts(P, key("2001:db8:ff::/48")).contains(&Some((US, 500, 0))));
    }
    let view = rig.view();
    assert_eq!(view.sources.len(), 1);
    assert_eq!((view.sources[0].seqno, view.sources[0].metric), (10, 196));
}

// U04, U06
#[test]
fn small_changes_and_new_seqnos_trigger_nothing() {
    let mut rig = Rig::learnt();
    rig.feed(P, &[update(P, dst(), X, 10, 99), update(P, dst(), X, 11, 120)]);
    rig.run(millis(500));
    assert_eq!(rig.adverts(Q, dst()), []);
    rig.run(secs(16));
    assert_eq!(rig.adverts(Q, dst())[0], Some((X, 11, 216)));
}

// U07
#[test]
fn split_horizon_says_nothing_where_the_route_leads_but_takes_back_what_was_said() {
    let mut rig = Rig::learnt();
    rig.run(secs(40));
    assert_eq!(rig.adverts(P, dst()), []);
    rig.feed(Q, &[update(Q, dst(), Y, 1, 0)]);
    rig.feed(P, &[Tlv::Retract { key: Some(dst()), interval: 400 }]);
    rig.run(millis(250));
    assert_eq!(rig.selected(dst()), Some(Q));
    assert_eq!(rig.adverts(Q, dst()).last(), Some(&None));
    assert_eq!(rig.adverts(P, dst()).last(), Some(&Some((Y, 1, 96))));
}

// U07: what split horizon kept from P has to be told when the route leads elsewhere, though all else is the same.
#[test]
fn a_route_that_no_longer_leads_to_a_neighbour_is_told_to_it() {
    let mut rig = Rig::learnt();
    rig.feed(Q, &[update(Q, dst(), X, 11, 100)]);
    rig.run(secs(1));
    rig.forget();
    rig.feed(P, &[Tlv::Retract { key: Some(dst()), interval: 400 }]);
    assert_eq!(rig.selected(dst()), Some(Q));
    rig.run(millis(250));
    assert_eq!(rig.adverts(P, dst()), [Some((X, 11, 196))]);
    assert_eq!(rig.adverts(Q, dst()), []);
}

// U08
#[test]
fn without_split_horizon_routes_are_told_back() {
    let mut rig = Rig::new();
    rig.up(W.link, Link { split_horizon: false, ..link(CostModel::Wired, false) });
    rig.befriend(W);
    rig.feed(W, &[update(W, dst(), X, 1, 0)]);
    rig.run(millis(250));
    assert_eq!(rig.adverts(W, dst()), [Some((X, 1, 96))]);
}

// U09
#[test]
fn big_dumps_keep_to_the_mtu() {
    let mut rig = Rig::new();
    for i in 0..3000u16 {
        rig.router.originate(rig.now, net(&format!("2001:db8:{i:x}::/48")), net("::/0"), 0);
    }
    rig.run(secs(1));
    let adverts = rig.heard_by(P).len();
    assert_eq!(adverts, 3000);
}

// U13
#[test]
fn a_shutdown_retracts_everything_on_every_link() {
    let mut rig = Rig::learnt();
    rig.router.shutdown(rig.now);
    rig.drain();
    for peer in [P, Q] {
        assert_eq!(rig.heard_by(peer), [Tlv::Retract { key: None, interval: INFINITY }]);
    }
    assert_eq!(rig.router.poll_timeout(), None);
}

// U14, H04
#[test]
fn a_withdrawn_prefix_is_retracted_urgently_twice_and_held_for_a_time() {
    let mut rig = Rig::new();
    rig.router.originate(rig.now, dst().dst(), net("::/0"), 0);
    rig.run(secs(1));
    rig.forget();
    rig.router.withdraw(rig.now, dst().dst(), net("::/0"));
    rig.run(millis(60));
    assert_eq!(rig.adverts(P, dst()), [None]);
    rig.run(secs(2));
    assert!(rig.adverts(P, dst()).len() >= 2);
    assert!(rig.adverts(P, dst()).iter().all(Option::is_none));
    rig.run(secs(50));
    assert_eq!(rig.told, []);
    rig.run(secs(5));
    assert_eq!(rig.told, [Action::Release { dst: dst().dst(), src: dst().src() }]);
}

// --- Q: requests

// Q01
#[test]
fn a_route_request_is_answered_with_an_update_or_a_retraction() {
    let mut rig = Rig::learnt();
    rig.feed(
        Q,
        &[Tlv::RouteRequest { key: Some(dst()) }, Tlv::RouteRequest { key: Some(key("2001:db8:7::/48")) }],
    );
    rig.run(millis(50));
    assert_eq!(rig.adverts(Q, dst()), [Some((X, 10, 196))]);
    assert_eq!(rig.adverts(Q, key("2001:db8:7::/48")), [None]);
}

// Q02, SS08
#[test]
fn wildcard_requests_are_answered_with_one_dump_a_second() {
    let mut rig = Rig::learnt();
    let specific = Key::new(net("::/0"), net("2001:db8:5::/48")).unwrap();
    rig.feed(P, &[update(P, specific, X, 10, 0)]);
    rig.run(secs(1));
    rig.forget();
    for _ in 0..20 {
        rig.feed(Q, &[Tlv::RouteRequest { key: None }]);
        rig.run(millis(100));
    }
    let dumps = rig.adverts(Q, specific).len();
    assert!((2..=3).contains(&dumps), "{dumps}");
    assert!(rig.adverts(Q, dst()).len() >= 2);
}

// A neighbour that restarts twice in a second asks twice, and has nothing until it is answered.
#[test]
fn who_took_back_everything_need_not_wait_for_its_second_dump() {
    let mut rig = Rig::learnt();
    rig.run(secs(5));
    let anew = [Tlv::Retract { key: None, interval: 100 }, Tlv::RouteRequest { key: None }];
    for _ in 0..3 {
        rig.forget();
        rig.feed(Q, &anew);
        rig.run(millis(200));
        assert!(!rig.adverts(Q, dst()).is_empty());
    }
    rig.forget();
    for _ in 0..60 {
        rig.feed(Q, &anew);
        rig.run(millis(100));
    }
    let dumps = rig.adverts(Q, dst()).len();
    assert!((3..=8).contains(&dumps), "{dumps}, however often it says so");
}

fn seqno_request(router: RouterId, seqno: u16, hop_count: u8) -> Tlv {
    Tlv::SeqnoRequest { key: dst(), seqno, hop_count, router }
}

// Q03, Q04
#[test]
fn a_seqno_request_that_our_route_satisfies_is_answered() {
    let mut rig = Rig::learnt();
    for request in [seqno_request(Y, 99, 1), seqno_request(X, 10, 1), seqno_request(X, 9, 1)] {
        rig.forget();
        rig.feed(Q, &[request]);
        rig.run(millis(50));
        assert_eq!(rig.adverts(Q, dst()), [Some((X, 10, 196))]);
        assert_eq!(rig.seqno_requests(P), []);
    }
}

// Q05, Q06
#[test]
fn a_request_for_our_seqno_raises_it_by_exactly_one() {
    let mut rig = Rig::new();
    rig.router.originate(rig.now, dst().dst(), net("::/0"), 0);
    rig.run(secs(1));
    rig.forget();
    for (asked, seqno) in [(501, 501), (1501, 502), (502, 502)] {
        rig.feed(P, &[seqno_request(US, asked, 1)]);
        rig.run(secs(1));
        assert_eq!(rig.view().seqno, seqno);
        assert_eq!(rig.adverts(P, dst()).last(), Some(&Some((US, seqno, 0))));
    }
    assert_eq!(rig.told, [Action::SeqnoUsed(501), Action::SeqnoUsed(502)]);
    for _ in 0..100 {
        rig.feed(P, &[seqno_request(US, 9000, 1)]);
        rig.run(millis(10));
    }
    assert!(rig.view().seqno <= 508);
}

// Q07, Q09, Q15
#[test]
fn a_seqno_request_for_another_is_forwarded_once_and_not_back() {
    let mut rig = Rig::learnt();
    rig.feed(Q, &[seqno_request(X, 11, 1)]);
    rig.run(millis(100));
    assert_eq!(rig.seqno_requests(P), []);
    rig.feed(Q, &[seqno_request(X, 11, 5)]);
    rig.run(millis(100));
    assert_eq!(rig.seqno_requests(P), [(dst(), X, 11, 4)]);
    rig.forget();
    rig.feed(P, &[seqno_request(X, 12, 5)]);
    rig.run(millis(100));
    assert!(
        rig.sent.iter().all(|(.., tlvs)| !tlvs.iter().any(|tlv| matches!(tlv, Tlv::SeqnoRequest { .. })))
    );
}

// Q08
#[test]
fn a_seqno_request_goes_to_an_unfeasible_next_hop_if_there_is_no_other() {
    let mut rig = Rig::learnt();
    rig.up(W.link, link(CostModel::Wired, false));
    rig.befriend(W);
    rig.feed(W, &[update(W, dst(), X, 10, 400)]);
    rig.run(secs(1));
    rig.forget();
    rig.feed(P, &[seqno_request(X, 30, 9)]);
    rig.run(millis(100));
    assert_eq!(rig.seqno_requests(W), [(dst(), X, 30, 8)]);
}

// Q10
#[test]
fn the_same_request_is_not_forwarded_twice_within_a_second() {
    let mut rig = Rig::learnt();
    let mut forwarded = |request, pause| {
        rig.forget();
        rig.feed(Q, &[request]);
        rig.run(pause);
        rig.seqno_requests(P).len()
    };
    assert_eq!(forwarded(seqno_request(X, 11, 5), millis(100)), 1);
    assert_eq!(forwarded(seqno_request(X, 11, 5), millis(100)), 0);
    assert_eq!(forwarded(seqno_request(X, 12, 5), millis(100)), 1);
    assert_eq!(forwarded(seqno_request(X, 11, 5), secs(1)), 0);
    assert_eq!(forwarded(seqno_request(X, 12, 5), millis(100)), 1);
}

// Q11, U06
#[test]
fn the_answer_is_passed_on_to_who_asked_and_the_request_is_done() {
    let mut rig = Rig::learnt();
    rig.feed(Q, &[seqno_request(X, 11, 5)]);
    rig.run(millis(100));
    assert_eq!(rig.view().requests.len(), 1);
    rig.feed(P, &[update(P, dst(), X, 11, 100)]);
    assert!(rig.view().requests.is_empty());
    rig.run(millis(50));
    assert_eq!(rig.adverts(Q, dst()), [Some((X, 11, 196))]);
}

// Q12
#[test]
fn a_starving_router_asks_its_unfeasible_next_hops_four_times() {
    let mut rig = Rig::learnt();
    rig.feed(Q, &[update(Q, dst(), X, 10, 300)]);
    rig.run(secs(1));
    rig.forget();
    let start = rig.now;
    rig.feed(P, &[Tlv::Retract { key: Some(dst()), interval: 400 }]);
    rig.run(secs(60));
    let asked = |tlv: &Tlv| *tlv == Tlv::SeqnoRequest { key: dst(), seqno: 11, hop_count: 127, router: X };
    let times: Vec<u64> = rig
        .sent
        .iter()
        .filter(|(_, link, _, tlvs)| *link == Q.link && tlvs.iter().any(asked))
        .map(|(at, ..)| at.since(start).as_secs())
        .collect();
    assert_eq!(times, [0, 2, 6, 14]);
    assert!(rig.view().requests.is_empty());
    rig.feed(Q, &[update(Q, dst(), X, 11, 300)]);
    assert_eq!(rig.selected(dst()), Some(Q));
}

// Q13
#[test]
fn a_much_better_unfeasible_route_is_worth_a_request() {
    let mut rig = Rig::learnt();
    rig.feed(P, &[ihu(2000)]);
    rig.run(secs(1));
    rig.forget();
    rig.feed(Q, &[update(Q, dst(), X, 10, 250)]);
    rig.run(millis(100));
    assert_eq!(rig.seqno_requests(Q), [(dst(), X, 11, 127)]);
    assert_eq!(rig.selected(dst()), Some(P));
}

// --- SS: source-specific

// SS01, SS02, SS12
#[test]
fn a_source_specific_route_is_a_route_of_its_own() {
    let mut rig = Rig::new();
    let from = Key::new(dst().dst(), net("2001:db8:5::/48")).unwrap();
    rig.feed(P, &[update(P, dst(), X, 10, 0)]);
    rig.feed(Q, &[update(Q, from, X, 10, 300)]);
    rig.run(secs(1));
    assert_eq!((rig.selected(dst()), rig.selected(from)), (Some(P), Some(Q)));
    assert_eq!(rig.adverts(P, from), [Some((X, 10, 396))]);
    rig.forget();
    rig.feed(P, &[Tlv::RouteRequest { key: Some(from) }]);
    rig.run(millis(50));
    assert_eq!((rig.adverts(P, from).len(), rig.adverts(P, dst()).len()), (1, 0));
    rig.feed(P, &[Tlv::SeqnoRequest { key: from, seqno: 11, hop_count: 9, router: X }]);
    rig.run(millis(50));
    assert_eq!(rig.seqno_requests(Q), [(from, X, 11, 8)]);
    rig.feed(Q, &[Tlv::Retract { key: Some(from), interval: 400 }]);
    assert_eq!((rig.selected(dst()), rig.selected(from)), (Some(P), None));
}

// P45
#[test]
fn random_bodies_from_a_neighbour_do_no_harm() {
    let mut rig = Rig::learnt();
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as u8
    };
    for _ in 0..3000 {
        let mut body = Vec::new();
        for _ in 0..6 {
            let len = random() % 40;
            body.extend([random() % 12, len]);
            body.extend((0..len).map(|i| if i == 0 { random() % 5 } else { random() }));
        }
        let mut packet = vec![42, 2, 0, body.len() as u8];
        packet.extend(&body);
        rig.router.receive(rig.now, P.link, P.address, &packet, &rig.rights);
        rig.run(millis(20));
    }
    assert!(rig.view().requests.len() <= 16_384);
}
