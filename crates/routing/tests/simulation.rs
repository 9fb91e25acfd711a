//! Many routers on a network that loses and delays packets. After every single step the next hops in use are walked:
//! no destination may have a loop at any moment.
#![allow(clippy::unwrap_used)]

use ipnet::IpNet;
use ln6_routing::{Action, Config, CostModel, Destination, Link, LinkId, Policy, Router, Verdict};
use ln6_types::{Instant, RouterId};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

struct Everyone;
impl Policy for Everyone {
    fn judge(&self, _: RouterId, _: IpNet, _: IpNet) -> Verdict {
        Verdict::Accept
    }
}

/// Only router `i` may originate `prefix(i)`.
struct Owners;
impl Policy for Owners {
    fn judge(&self, router: RouterId, dst: IpNet, _: IpNet) -> Verdict {
        if (0..200).any(|i| id(i) == router && prefix(i) == dst) {
            Verdict::Accept
        } else {
            Verdict::Refuse("not its own")
        }
    }
}

struct Random(u64);
impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn id(node: usize) -> RouterId {
    RouterId((0x1000_0000_0000_0000 + node as u64).to_be_bytes())
}

fn node_at(link_local: IpAddr) -> usize {
    let IpAddr::V6(address) = link_local else { panic!("{link_local}") };
    address.to_bits() as u16 as usize
}

fn prefix(node: usize) -> IpNet {
    IpNet::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, node as u16, 0, 0, 0, 0, 0)), 48).unwrap()
}

fn any() -> IpNet {
    "::/0".parse().unwrap()
}

fn secs(span: u64) -> Duration {
    Duration::from_secs(span)
}

/// A tunnel between two, or a segment that more share.
#[derive(Clone)]
struct Edge {
    ends: Vec<usize>,
    /// Packets get through, as far as loss permits.
    whole: bool,
}

type Flight = (usize, LinkId, Ipv6Addr, Vec<u8>);

struct Net {
    now: Instant,
    routers: Vec<Router>,
    wake: Vec<Option<Instant>>,
    edges: Vec<Edge>,
    flying: BTreeMap<(Instant, u64), Flight>,
    sent: u64,
    random: Random,
    /// Percent.
    loss: u64,
    /// Milliseconds at most.
    delay: u64,
    /// What each router was told to use.
    fib: Vec<BTreeMap<(IpNet, IpNet), (LinkId, usize)>>,
    seqnos: BTreeMap<usize, u16>,
    policy: Box<dyn Policy>,
    /// Changes the packets of a malicious router.
    liar: Option<usize>,
}

fn router(node: usize, seqno: u16, seed: u64) -> Router {
    Router::new(Config::new(id(node), seqno, seed ^ (node as u64) << 32))
}

impl Net {
    fn new(nodes: usize, seed: u64) -> Self {
        Net {
            now: Instant::ZERO,
            routers: (0..nodes).map(|node| router(node, 1, seed)).collect(),
            wake: vec![None; nodes],
            edges: Vec::new(),
            flying: BTreeMap::new(),
            sent: 0,
            random: Random(seed),
            loss: 0,
            delay: 20,
            fib: vec![BTreeMap::new(); nodes],
            seqnos: BTreeMap::new(),
            policy: Box::new(Everyone),
            liar: None,
        }
    }

    /// A connected random graph with about `extra` edges beside a tree; every node originates a prefix.
    fn random(nodes: usize, extra: usize, origins: usize, seed: u64) -> Self {
        let mut net = Net::new(nodes, seed);
        for node in 1..nodes {
            let to = net.random.below(node as u64) as usize;
            net.join(node, to);
        }
        for _ in 0..extra {
            let (a, b) = (net.random.below(nodes as u64) as usize, net.random.below(nodes as u64) as usize);
            if a != b {
                net.join(a, b);
            }
        }
        (0..origins).for_each(|node| net.originate(node));
        net
    }

    fn originate(&mut self, node: usize) {
        self.routers[node].originate(self.now, prefix(node), any(), 0);
        self.drain(node);
    }

    fn join(&mut self, a: usize, b: usize) -> usize {
        self.share(&[a, b])
    }

    fn share(&mut self, ends: &[usize]) -> usize {
        self.edges.push(Edge { ends: ends.to_vec(), whole: true });
        let edge = self.edges.len() - 1;
        self.raise(edge);
        edge
    }

    fn raise(&mut self, edge: usize) {
        self.edges[edge].whole = true;
        for node in self.edges[edge].ends.clone() {
            self.up(edge, node);
        }
    }

    fn up(&mut self, edge: usize, node: usize) {
        let our = id(node).link_local();
        let link = Link { cost: CostModel::Wired, rtt: false, split_horizon: true, mtu: 1280, our };
        self.routers[node].link_up(self.now, LinkId(edge as u32), link);
        self.drain(node);
    }

    /// Both ends notice.
    fn cut(&mut self, edge: usize) {
        self.edges[edge].whole = false;
        for node in self.edges[edge].ends.clone() {
            self.routers[node].link_down(self.now, LinkId(edge as u32));
            self.drain(node);
        }
    }

    /// Forgets everything, also the seqno.
    fn restart(&mut self, node: usize) {
        self.routers[node] = router(node, 1, self.now.as_micros());
        self.fib[node].clear();
        for edge in (0..self.edges.len()).filter(|e| self.edges[*e].ends.contains(&node)).collect::<Vec<_>>()
        {
            self.up(edge, node);
        }
        self.originate(node);
    }

    fn drain(&mut self, node: usize) {
        while let Some(action) = self.routers[node].poll_action() {
            match action {
                Action::Send { link, to, packet } => self.carry(node, link, to, packet),
                Action::Select { dst, src, link, next_hop, .. } => {
                    self.fib[node].insert((dst, src), (link, node_at(next_hop)));
                    self.walk(node, (dst, src));
                }
                Action::Lose { dst, src } => drop(self.fib[node].remove(&(dst, src))),
                Action::SeqnoUsed(seqno) => drop(self.seqnos.insert(node, seqno)),
                Action::Release { .. } | Action::Held { .. } => {}
            }
        }
        self.wake[node] = self.routers[node].poll_timeout();
    }

    /// A loop that appears with a change contains the node that changed.
    fn walk(&self, start: usize, key: (IpNet, IpNet)) {
        let mut at = start;
        for _ in 0..self.routers.len() {
            let Some((_, next)) = self.fib[at].get(&key) else { return };
            at = *next;
            assert_ne!(at, start, "loop for {key:?} at {:?}", self.now);
        }
    }

    fn carry(&mut self, node: usize, link: LinkId, to: Destination, mut packet: Vec<u8>) {
        let edge = self.edges[link.0 as usize].clone();
        assert!(packet.len() <= 1280 - 48);
        if self.liar == Some(node) {
            // Claims everything for itself.
            rewrite_router_ids(&mut packet, id(node));
        }
        for peer in edge.ends.into_iter().filter(|peer| *peer != node) {
            let meant = to == Destination::Multicast || to == Destination::Unicast(id(peer).link_local());
            if edge.whole && meant && self.random.below(100) >= self.loss {
                let delay = Duration::from_micros(self.random.below(self.delay * 1000 + 1));
                self.sent += 1;
                let flight = (peer, link, id(node).link_local(), packet.clone());
                self.flying.insert((self.now + delay, self.sent), flight);
            }
        }
    }

    fn step(&mut self) {
        let timer = self.wake.iter().enumerate().filter_map(|(node, at)| Some(((*at)?, node))).min();
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let node = match (timer, arrival) {
            (Some((at, node)), arrival) if arrival.is_none_or(|arrival| at <= arrival) => {
                self.now = self.now.max(at);
                self.routers[node].handle_timeout(self.now, &*self.policy);
                node
            }
            (_, Some(_)) => {
                let ((at, _), (node, link, from, packet)) = self.flying.pop_first().unwrap();
                self.now = self.now.max(at);
                self.routers[node].receive(self.now, link, from, &packet, &*self.policy);
                node
            }
            _ => panic!("nothing will ever happen again"),
        };
        self.drain(node);
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.next() <= end {
            self.step();
        }
        self.now = end;
    }

    fn next(&self) -> Instant {
        let timer = self.wake.iter().flatten().min().copied().unwrap_or(Instant::FAR_FUTURE);
        self.flying.keys().next().map_or(timer, |(at, _)| timer.min(*at))
    }

    /// Runs until `done`; panics after `most`.
    fn until(&mut self, most: Duration, done: impl Fn(&Net) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(self.now.since(start) <= most, "not within {most:?}");
            self.step();
        }
        self.now.since(start)
    }

    fn metric(&self, node: usize, to: usize) -> Option<u16> {
        let view = self.routers[node].view(self.now);
        view.routes.iter().find(|r| r.selected && r.key.dst() == prefix(to)).map(|r| r.metric)
    }

    fn has(&self, node: usize, to: usize) -> bool {
        node == to || self.fib[node].contains_key(&(prefix(to), any()))
    }

    fn complete(&self, origins: usize) -> bool {
        (0..self.routers.len()).all(|node| (0..origins).all(|to| self.has(node, to)))
    }

    fn hops(&self, from: usize) -> Vec<Option<u16>> {
        let mut hops = vec![None; self.routers.len()];
        let mut queue = std::collections::VecDeque::from([from]);
        hops[from] = Some(0);
        while let Some(node) = queue.pop_front() {
            for edge in self.edges.iter().filter(|e| e.whole && e.ends.contains(&node)) {
                for &peer in &edge.ends {
                    if hops[peer].is_none() {
                        hops[peer] = hops[node].map(|h: u16| h + 1);
                        queue.push_back(peer);
                    }
                }
            }
        }
        hops
    }

    fn assert_shortest(&self, origins: usize) {
        for to in 0..origins {
            for (node, hops) in self.hops(to).into_iter().enumerate().filter(|(node, _)| *node != to) {
                assert_eq!(self.metric(node, to), hops.map(|hops| hops * 96), "{node} to {to}");
            }
        }
    }
}

/// Puts `router` into every Router-Id TLV.
fn rewrite_router_ids(packet: &mut [u8], router: RouterId) {
    let mut at = 4;
    while at + 2 <= packet.len() {
        if packet[at] == 6 {
            packet[at + 4..at + 12].copy_from_slice(&router.0);
        }
        at += 2 + usize::from(packet[at + 1]);
    }
}

#[test]
fn two_routers_that_come_up_together_have_routes_within_a_second() {
    let mut net = Net::random(2, 0, 2, 7);
    assert!(net.until(secs(1), |net| net.complete(2)) < Duration::from_millis(700));
}

#[test]
fn a_late_link_has_routes_within_a_second() {
    let mut net = Net::new(3, 8);
    net.join(0, 1);
    (0..3).for_each(|node| net.originate(node));
    net.run(secs(100));
    net.join(1, 2);
    net.until(secs(1), |net| net.complete(3));
}

// S08
#[test]
fn random_graphs_converge_to_shortest_paths() {
    for (nodes, seed) in [(10, 1), (10, 2), (20, 3), (30, 4)] {
        let mut net = Net::random(nodes, nodes / 2, nodes, seed);
        net.until(secs(5), |net| net.complete(nodes));
        net.run(secs(100));
        net.assert_shortest(nodes);
    }
}

// S08
#[test]
fn a_hundred_routers_converge_with_loss() {
    let mut net = Net::random(100, 60, 8, 5);
    net.loss = 5;
    net.until(secs(60), |net| net.complete(8));
}

// S08
#[test]
fn links_that_come_and_go_under_loss_never_make_a_loop() {
    for seed in 0..6 {
        let mut net = Net::random(12, 10, 6, 100 + seed);
        net.loss = 15;
        net.delay = 300;
        for _ in 0..25 {
            let edge = net.random.below(net.edges.len() as u64) as usize;
            match (net.edges[edge].whole, net.random.below(3)) {
                (true, 0) => net.edges[edge].whole = false,
                (true, _) => net.cut(edge),
                (false, _) => net.raise(edge),
            }
            let pause = net.random.below(12_000);
            net.run(Duration::from_millis(pause));
        }
        net.loss = 0;
        for edge in 0..net.edges.len() {
            if !net.edges[edge].whole {
                net.raise(edge);
            }
        }
        net.run(secs(120));
        net.assert_shortest(6);
    }
}

// H: a link that dies silently is noticed by its Hellos, one that is taken down at once.
#[test]
fn a_cut_link_heals() {
    let mut net = Net::new(4, 9);
    let ring = [net.join(0, 1), net.join(1, 2), net.join(2, 3), net.join(3, 0)];
    (0..4).for_each(|node| net.originate(node));
    net.run(secs(60));
    net.assert_shortest(4);
    net.cut(ring[0]);
    net.until(secs(1), |net| net.metric(0, 1) == Some(3 * 96));
    net.run(secs(60));
    net.assert_shortest(4);
    net.raise(ring[0]);
    net.run(secs(60));
    net.assert_shortest(4);
    net.edges[ring[1]].whole = false;
    net.until(secs(16), |net| net.metric(1, 2) == Some(3 * 96));
    net.run(secs(60));
    net.assert_shortest(4);
}

// Q16: 0 originates, 1 has it directly, 3 by way of 2; what 3 says is unfeasible for 1.
#[test]
fn a_starving_router_asks_for_a_new_seqno_and_has_a_route_within_a_second() {
    let mut net = Net::new(4, 10);
    let direct = net.join(0, 1);
    net.join(0, 2);
    net.join(2, 3);
    net.join(3, 1);
    net.originate(0);
    net.run(secs(60));
    assert_eq!(net.metric(1, 0), Some(96));
    net.cut(direct);
    assert!(!net.has(1, 0));
    let took = net.until(secs(1), |net| net.metric(1, 0) == Some(3 * 96));
    assert!(took > Duration::from_millis(20));
    assert_eq!(net.seqnos.get(&0), Some(&2));
}

// Section 2, decision 5 of the research: a node that lost its seqno.
#[test]
fn a_router_that_lost_its_seqno_is_believed_again() {
    let mut net = Net::new(4, 11);
    for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
        net.join(a, b);
    }
    (0..4).for_each(|node| net.originate(node));
    net.run(secs(30));
    for round in 0..4 {
        net.restart(0);
        net.until(secs(10), |net| net.complete(4));
        net.run(secs(20 + round));
        net.assert_shortest(4);
    }
}

// S08, on segments that several routers share, tunnels beside them.
#[test]
fn shared_segments_converge_and_never_make_a_loop() {
    for seed in 0..4 {
        let mut net = Net::new(12, 300 + seed);
        net.loss = 10;
        net.share(&[0, 1, 2, 3, 4]);
        net.share(&[4, 5, 6, 7]);
        for (a, b) in [(7, 8), (8, 9), (9, 10), (10, 11), (11, 0), (2, 6)] {
            net.join(a, b);
        }
        (0..12).for_each(|node| net.originate(node));
        for _ in 0..12 {
            let edge = net.random.below(net.edges.len() as u64) as usize;
            if net.edges[edge].whole {
                net.cut(edge)
            } else {
                net.raise(edge)
            }
            let pause = net.random.below(12_000);
            net.run(Duration::from_millis(pause));
        }
        net.loss = 0;
        (0..net.edges.len()).for_each(|edge| net.raise(edge));
        net.run(secs(150));
        net.assert_shortest(12);
    }
}

#[test]
fn a_withdrawn_prefix_is_gone_everywhere_within_a_second_and_stays_away() {
    let mut net = Net::random(15, 10, 2, 12);
    net.run(secs(40));
    net.routers[0].withdraw(net.now, prefix(0), any());
    net.drain(0);
    net.until(secs(2), |net| (1..15).all(|node| !net.has(node, 0)));
    for _ in 0..30 {
        net.run(secs(1));
        assert!((1..15).all(|node| !net.has(node, 0)));
    }
    net.originate(0);
    net.until(secs(3), |net| net.complete(2));
}

#[test]
fn a_router_that_says_goodbye_is_avoided_at_once() {
    let mut net = Net::new(4, 13);
    for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
        net.join(a, b);
    }
    (0..4).for_each(|node| net.originate(node));
    net.run(secs(60));
    net.routers[1].shutdown(net.now);
    net.drain(1);
    net.until(secs(1), |net| !net.has(0, 1) && net.has(0, 2) && net.fib[0][&(prefix(2), any())].1 == 3);
}

#[test]
fn a_router_that_claims_others_prefixes_is_not_believed() {
    // 1 is the liar, and nearest to everyone.
    let mut net = Net::new(4, 14);
    net.policy = Box::new(Owners);
    net.liar = Some(1);
    for (a, b) in [(0, 1), (1, 2), (0, 3), (3, 2)] {
        net.join(a, b);
    }
    net.originate(0);
    for _ in 0..60 {
        net.run(secs(1));
        assert!(net.fib[2].get(&(prefix(0), any())).is_none_or(|(_, next)| *next != 1));
    }
    assert_eq!(net.fib[2][&(prefix(0), any())].1, 3);
    let view = net.routers[2].view(net.now);
    let lie = view.routes.iter().find(|r| r.router == id(1) && r.key.dst() == prefix(0)).unwrap();
    assert_eq!((lie.verdict, lie.selected), (Verdict::Refuse("not its own"), false));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut net = Net::random(12, 8, 12, 15);
        net.loss = 10;
        net.run(secs(30));
        (net.sent, format!("{:?}", net.routers[5].view(net.now)))
    };
    assert_eq!(run(), run());
}
