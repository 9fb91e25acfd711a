//! Networks to try things on: a broker, gateways that join with a secret, packets between them.

use crate::broker::Issuer;
use crate::link::Attachment;
use crate::node::{Identity, Node};
use crate::thief::{Booty, Thief};
use crate::world::{NodeId, World};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use ln6_crypto::seal::Suite;
use ln6_crypto::{Reason, SigningKey, fingerprint};
use ln6_overlay_core::control::view::{CertificateView, PeerView, Standing, View};
use ln6_overlay_core::control::{Bootstrap, Command, NodeState, Wish};
use ln6_overlay_core::forwarder::drop::DropReason;
use ln6_types::{Fingerprint, Instant, Prefix, PublicKey};

/// The port every node has.
const PORT: u16 = 6695;
/// What the broker gives away.
const SECRET: [u8; 16] = [42; 16];

/// The pool all prefixes are from.
pub fn pool() -> Prefix {
    Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32)
}

/// A network: node 0 is the broker.
pub struct Net {
    /// Where it lives.
    pub world: World,
    root: SigningKey,
    sent: u64,
}

/// The public address of a node.
pub fn address(node: NodeId) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(198, 18, (node >> 8) as u8, node as u8), PORT))
}

/// Another one, to move to.
pub fn other_address(node: NodeId) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(198, 19, (node >> 8) as u8, node as u8), PORT))
}

/// At its public address.
pub fn at(address: SocketAddr) -> Attachment {
    Attachment { addresses: vec![address], nat: None }
}

impl Net {
    /// A broker that is on.
    pub fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let root = SigningKey::from_seed(world.chance.seed32());
        let mut net = Net { world, root, sent: 0 };
        let mut identity = net.identity("broker");
        identity.brokers.clear();
        identity.wish = None;
        let mut node = Node::new(identity);
        node.desk = Some(Box::new(net.issuer(&node.identity)));
        let broker = net.world.add(node, at(address(0)));
        net.world.start(broker);
        net
    }

    /// An issuer as the broker has, to change before it is used.
    pub fn issuer(&self, identity: &Identity) -> Issuer {
        Issuer::new(self.root.clone(), identity.signing_key(), identity.key(), pool(), Some(SECRET))
    }

    /// The same for another pool.
    pub fn issuer_of(&self, identity: &Identity, pool: Prefix) -> Issuer {
        Issuer::new(self.root.clone(), identity.signing_key(), identity.key(), pool, Some(SECRET))
    }

    /// The root's key.
    pub fn root_key(&self) -> SigningKey {
        self.root.clone()
    }

    /// Another broker of the same root, which is on.
    pub fn add_broker(&mut self, pool: Prefix, exit: bool) -> NodeId {
        let id = self.world.nodes.len();
        let mut identity = self.identity(&format!("broker-{id}"));
        (identity.wish, identity.exit) = (None, exit);
        let mut node = Node::new(identity);
        node.desk = Some(Box::new(self.issuer_of(&node.identity, pool)));
        self.world.add(node, at(address(id)));
        self.world.start(id);
        id
    }

    /// A gateway that knows this broker alone, and is on.
    pub fn join_at(&mut self, broker: NodeId) -> NodeId {
        let id = self.add();
        let key = self.key(broker);
        self.world.nodes[id].identity.brokers = vec![Bootstrap { key, endpoints: vec![address(broker)] }];
        self.world.start(id);
        id
    }

    fn network(&self) -> Fingerprint {
        fingerprint(&self.root.verify_key())
    }

    /// Keys and a name, and what a link tells.
    pub fn identity(&mut self, name: &str) -> Identity {
        let broker = self.world.nodes.first().map(|node| node.identity.key());
        let endpoints = vec![address(0)];
        Identity {
            secret: self.world.chance.seed32(),
            signing: self.world.chance.seed32(),
            name: name.into(),
            network: self.network(),
            brokers: broker.into_iter().map(|key| Bootstrap { key, endpoints: endpoints.clone() }).collect(),
            wish: Some(Wish { size: 48, ssid: None, secret: Some(SECRET), broker: None, contact: None }),
            stock: Vec::new(),
            exit: false,
            workers: 1 + (self.world.nodes.len() % 2) as u8,
            suites: vec![Suite::Aes256Gcm, Suite::ChaCha20Poly1305],
        }
    }

    /// A gateway that is off.
    pub fn add(&mut self) -> NodeId {
        let id = self.world.nodes.len();
        let identity = self.identity(&format!("node-{id}"));
        self.world.add(Node::new(identity), at(address(id)))
    }

    /// A gateway that is on.
    pub fn join(&mut self) -> NodeId {
        let id = self.add();
        self.world.start(id);
        id
    }

    /// A gateway behind a NAT of its own.
    pub fn join_behind_nat(&mut self, timeout: Duration) -> NodeId {
        let id = self.add();
        let public = Ipv4Addr::new(203, 0, 113, id as u8);
        let nat = self.world.underlay.add_nat(public, timeout);
        let inside = SocketAddr::from((Ipv4Addr::new(10, 0, 0, id as u8), PORT));
        self.world.underlay.attach(id, Attachment { addresses: vec![inside], nat: Some(nat) });
        self.world.start(id);
        id
    }

    /// A broker and so many gateways that found each other.
    pub fn converged(seed: u64, gateways: usize) -> Self {
        let mut net = Net::new(seed);
        for _ in 0..gateways {
            net.join();
        }
        net.converge(Duration::from_secs(60));
        net
    }

    /// The key of a node.
    pub fn key(&self, id: NodeId) -> PublicKey {
        self.world.nodes[id].identity.key()
    }

    /// The certificates that its tools would show.
    pub fn certificates(&self, id: NodeId) -> Vec<CertificateView> {
        self.world.nodes[id].control().certificate_views(self.world.now)
    }

    /// What its tools would show otherwise.
    pub fn view(&self, id: NodeId) -> View {
        self.world.nodes[id].control().view(self.world.now)
    }

    /// What `id` knows of `other`.
    pub fn peer(&self, id: NodeId, other: NodeId) -> Option<PeerView> {
        let key = self.key(other);
        self.view(id).peers.into_iter().find(|peer| peer.key == key)
    }

    /// Nodes that are on.
    pub fn on(&self) -> Vec<NodeId> {
        (0..self.world.nodes.len()).filter(|id| self.world.nodes[*id].life.is_some()).collect()
    }

    /// The first prefix a node holds.
    pub fn prefix(&self, id: NodeId) -> Option<Prefix> {
        self.view(id).me.prefixes.first().copied()
    }

    /// A host behind the node.
    pub fn host(&self, id: NodeId) -> Option<Ipv6Addr> {
        Some(self.prefix(id)?.address(0x100))
    }

    /// Whether each node that is on is a member and has a route to every other.
    pub fn is_converged(&self) -> bool {
        self.missing().is_none()
    }

    /// What is missing for that, of the first node that lacks something.
    pub fn missing(&self) -> Option<String> {
        let on = self.on();
        let prefixes: Vec<(NodeId, Option<Prefix>)> = on.iter().map(|id| (*id, self.prefix(*id))).collect();
        for &id in &on {
            let view = self.view(id);
            if !matches!(view.me.standing, Standing::Member | Standing::InGrace) {
                return Some(format!("node {id} is {:?}", view.me.standing));
            }
            for &(other, prefix) in prefixes.iter().filter(|(other, _)| *other != id) {
                let selected = view.routes.iter().any(|route| route.selected && Some(route.to) == prefix);
                if !selected {
                    return Some(format!("node {id} has no route to node {other} ({prefix:?})"));
                }
            }
        }
        None
    }

    /// Runs until all have found each other; how long that took.
    ///
    /// # Panics
    /// If it takes longer than `limit`.
    pub fn converge(&mut self, limit: Duration) -> Duration {
        let begin = self.world.now;
        self.wait(limit, "the network converges", Net::is_converged);
        self.world.now.since(begin)
    }

    /// Runs until something is so, looking four times a second.
    ///
    /// # Panics
    /// If it is not so after `limit`.
    pub fn wait(&mut self, limit: Duration, what: &str, is_so: impl Fn(&Net) -> bool) -> Duration {
        let begin = self.world.now;
        while !is_so(self) {
            assert!(
                self.world.now.since(begin) < limit,
                "{what}: not within {limit:?}; {:?}",
                self.missing()
            );
            self.world.run(Duration::from_millis(250));
        }
        self.world.now.since(begin)
    }

    /// Sends a packet from a host behind `a` to one behind `b`: its number.
    pub fn send(&mut self, a: NodeId, b: NodeId) -> u64 {
        let (src, dst) = (self.host(a), self.host(b));
        let (src, dst) = (src.expect("a prefix"), dst.expect("a prefix"));
        self.send_between(a, src, dst)
    }

    /// Sends a packet between any two hosts from behind `a`: its number.
    pub fn send_between(&mut self, a: NodeId, src: Ipv6Addr, dst: Ipv6Addr) -> u64 {
        self.sent += 1;
        let packet = packet(src, dst, self.sent);
        self.world.inject(a, &packet);
        self.sent
    }

    /// How many copies of the packet with this number came out at `b`.
    pub fn copies(&self, b: NodeId, number: u64) -> usize {
        let tail = number.to_be_bytes();
        self.world.nodes[b]
            .delivered
            .iter()
            .filter(|packet| packet[6] == 59 && packet.ends_with(&tail))
            .count()
    }

    /// Whether a packet from `a` gets to `b` within a second.
    pub fn reaches(&mut self, a: NodeId, b: NodeId) -> bool {
        self.reaches_within(a, b, Duration::from_secs(1))
    }

    /// Whether a packet from `a` gets to `b` in time.
    pub fn reaches_within(&mut self, a: NodeId, b: NodeId, span: Duration) -> bool {
        let number = self.send(a, b);
        self.world.run(span);
        self.copies(b, number) == 1
    }

    /// Sends a packet from `a` to `b` every `pause` for `span`: how many did not arrive.
    pub fn lost(&mut self, a: NodeId, b: NodeId, pause: Duration, span: Duration) -> usize {
        let (begin, end, mut numbers) = (self.world.now, self.world.now + span, Vec::new());
        while self.world.now < end {
            numbers.push(self.send(a, b));
            self.world.run(pause);
        }
        self.world.run(Duration::from_secs(2));
        let lost = numbers.iter().enumerate().filter(|(_, number)| self.copies(b, **number) == 0);
        let lost: Vec<Instant> = lost.map(|(at, _)| begin + pause * at as u32).collect();
        if self.world.verbose && !lost.is_empty() {
            println!("lost: {lost:?}");
        }
        lost.len()
    }

    /// Both directions.
    pub fn exchange(&mut self, a: NodeId, b: NodeId) -> bool {
        let there = self.reaches(a, b);
        let back = self.reaches(b, a);
        there && back
    }

    /// The administrator at the broker revokes a node's key.
    pub fn revoke(&mut self, id: NodeId, reason: Reason) {
        let (key, real) = (self.key(id), self.world.real());
        let desk = self.world.nodes[0].desk.as_mut().expect("the broker's desk");
        let items = desk.revoke(real, key, reason);
        self.world.command(0, Command::Publish(items)).expect("published");
    }

    /// The broker begins anew with this desk; for the time before anybody joined.
    pub fn restart_broker_with(&mut self, desk: Issuer) {
        self.world.crash(0);
        self.world.nodes[0].disk = NodeState::default();
        self.world.nodes[0].desk = Some(Box::new(desk));
        self.world.start(0);
    }

    /// From now on `relay` unwraps the handshakes of `from` for `to` and sends them from its own address.
    pub fn unwrap_relayed(&mut self, relay: NodeId, from: NodeId, to: NodeId, booty: Booty) {
        let (keys, routers) = ([self.key(from), self.key(to)], [from, to].map(|id| self.view(id).me.router));
        let (unwrapped, caught, indices) = (0, 0, Vec::new());
        self.world.thief = Some(Thief { relay, from, to, booty, unwrapped, caught, keys, routers, indices });
    }

    /// Node `thief` says in Babel that it originates the prefix of `victim` instead of its own.
    pub fn steal(&mut self, thief: NodeId, victim: NodeId) {
        let last = |prefix: Option<Prefix>| prefix.expect("held").network().octets()[5];
        let (own, other) = (last(self.prefix(thief)), last(self.prefix(victim)));
        self.world.nodes[thief].tamper = Some(Box::new(move |packet| replace(packet, own, other)));
    }

    /// What a node's workers dropped, by reason.
    pub fn drops(&self, id: NodeId) -> Vec<(DropReason, u64)> {
        let Some(life) = &self.world.nodes[id].life else { return Vec::new() };
        let count = |reason: &DropReason| (*reason, life.stats.drops(*reason));
        DropReason::ALL.iter().map(count).filter(|(_, count)| *count > 0).collect()
    }

    /// When the world began, plus so much.
    pub fn after(&self, span: Duration) -> Instant {
        self.world.now + span
    }
}

/// Makes updates (RFC 8966, section 4.6.9) for the /48 that ends in `own` ones for the /48 that ends in `other`, and the
/// checksum right again. All prefixes are from one /40, so the last octet is never compressed away.
fn replace(packet: &mut [u8], own: u8, other: u8) {
    const UPDATE: u8 = 8;
    if packet.len() < 52 || packet[0] >> 4 != 6 || packet[6] != 17 {
        return;
    }
    let mut at = 52;
    while at + 2 <= packet.len() {
        let len = if packet[at] == 0 { 1 } else { 2 + usize::from(packet[at + 1]) };
        let Some(tlv) = packet.get_mut(at..at + len) else { break };
        if let [UPDATE, _, 2, _, 48, .., last] = tlv {
            // What the victim says itself must not replace it.
            *last = if *last == own {
                other
            } else if *last == other {
                200
            } else {
                *last
            };
        }
        at += len;
    }
    packet[46..48].fill(0);
    let words =
        packet[8..].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum::<u32>() + packet.len() as u32 - 40 + 17;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[46..48].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// An IPv6 packet without an upper layer, ending in its number.
pub fn packet(src: Ipv6Addr, dst: Ipv6Addr, number: u64) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 16, 59, 64];
    packet.extend_from_slice(&src.octets());
    packet.extend_from_slice(&dst.octets());
    packet.extend_from_slice(&[0; 8]);
    packet.extend_from_slice(&number.to_be_bytes());
    packet
}
