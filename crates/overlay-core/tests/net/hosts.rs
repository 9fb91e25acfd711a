//! Forwarders back to back in memory: keys made by hand, datagrams copied from arena to arena.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)] // shared by several test programs and the benches

use core::net::{Ipv6Addr, SocketAddr};
use ln6_crypto::seal::{Aead, Suite};
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::batch::{Batch, Ecn, Gso, GsoKind, Span, TunRead, UdpRead};
use ln6_overlay_core::forwarder::drop::DropReason;
use ln6_overlay_core::forwarder::fib::{Fib, FibInput, Target};
use ln6_overlay_core::forwarder::keys::{ReceiveKey, SendKey};
use ln6_overlay_core::forwarder::mail::{Event, PeerKind, PeerTx, Update};
use ln6_overlay_core::forwarder::stats::{PeerCounters, Stats};
use ln6_overlay_core::forwarder::{Config, Forwarder};
use ln6_overlay_core::{Path, PeerIdx};
use ln6_types::{Instant, Prefix, RouterId};
use std::sync::Arc;

pub const MTU: u16 = 1420;
pub const NOW: Instant = Instant::from_micros(1_000_000);

/// A node of a test: number n has the prefix 2001:db8:n::/48, the router-id of eight n, and is peer n of the others.
pub struct Node {
    pub number: u8,
    pub forwarder: Forwarder,
    pub arena: Vec<u8>,
    pub out: Batch,
    pub stats: Arc<Stats>,
    pub counters: Arc<PeerCounters>,
    pub fib: FibInput,
    pub now: Instant,
    /// Whether its peers take relayed datagrams.
    pub takes_relayed: bool,
}

pub fn path(number: u8) -> Path {
    Path::Udp(SocketAddr::from(([192, 0, 2, number], 6695)))
}

pub fn peer(number: u8) -> PeerIdx {
    PeerIdx(u32::from(number))
}

pub fn router(number: u8) -> RouterId {
    RouterId([number; 8])
}

pub fn prefix(number: u8) -> Prefix {
    format!("2001:db8:{number}::/48").parse().unwrap()
}

/// An address behind a node.
pub fn host(number: u8) -> Ipv6Addr {
    prefix(number).address(0x10)
}

pub fn aead(from: u8, to: u8, generation: u8) -> Aead {
    let mut key = [0x5a; 32];
    key[..3].copy_from_slice(&[from, to, generation]);
    Aead::new(Suite::ChaCha20Poly1305, &key).unwrap()
}

/// The index that `owner` gave to `other`; its low bits are worker 0.
pub fn index(owner: u8, other: u8) -> u32 {
    u32::from(owner) << 16 | u32::from(other) << 3
}

impl Node {
    pub fn new(number: u8) -> Node {
        Node::with(number, |_| ())
    }

    pub fn with(number: u8, change: impl FnOnce(&mut Config)) -> Node {
        let stats = Arc::new(Stats::default());
        let mut config = Config {
            worker: 0,
            workers: 1,
            layout: ArenaLayout::STANDARD,
            uso: true,
            transit: 1 << 40,
            seed: [number; 32],
            stats: stats.clone(),
        };
        change(&mut config);
        let fib = FibInput {
            owners: vec![(prefix(number), vec![PeerIdx::SELF])],
            inside: vec!["2001:db8::/32".parse().unwrap()],
            local: vec![prefix(number)],
            routes: vec![(prefix(number), Prefix::ALL, Target::Local)],
            own_router: router(number),
            node_address: host(number),
            ..FibInput::default()
        };
        let arena = vec![0; config.layout.len as usize];
        let mut node = Node {
            number,
            forwarder: Forwarder::new(config),
            arena,
            out: Batch::with_capacity(),
            stats,
            counters: Arc::new(PeerCounters::default()),
            fib,
            now: NOW,
            takes_relayed: true,
        };
        node.publish();
        node
    }

    /// Gives the forwarder its table.
    pub fn publish(&mut self) {
        let fib = Arc::new(Fib::build(self.fib.clone()));
        self.mail(Update::Fib(fib));
        self.out.events.clear();
    }

    pub fn mail(&mut self, update: Update) {
        self.forwarder.apply(self.now, update, &mut self.arena, &mut self.out);
    }

    /// Routes to and from a peer's prefix.
    pub fn route_to(&mut self, other: u8) {
        self.fib.routes.push((prefix(other), Prefix::ALL, Target::Peer(peer(other))));
        self.fib.owners.push((prefix(other), vec![peer(other)]));
        self.publish();
    }

    pub fn tx(&self, other: u8, kind: PeerKind, path: Option<Path>, key: bool) -> PeerTx {
        let key = key.then(|| {
            Arc::new(SendKey::new(
                index(other, self.number),
                aead(self.number, other, 0),
                Instant::FAR_FUTURE,
            ))
        });
        PeerTx {
            key,
            path,
            mtu: MTU,
            whole: true,
            kind,
            takes_relayed: self.takes_relayed,
            router: router(other),
            counters: self.counters.clone(),
        }
    }

    pub fn receive_key(&self, other: u8) -> Update {
        let key = aead(other, self.number, 0);
        let key = ReceiveKey::new(index(self.number, other), peer(other), key, Instant::FAR_FUTURE);
        Update::Receive(Box::new(key))
    }

    /// This end of a session with `other`.
    pub fn meet(&mut self, other: u8, kind: PeerKind, path: Path) {
        self.mail(self.receive_key(other));
        self.mail(Update::Peer(peer(other), Arc::new(self.tx(other, kind, Some(path), true))));
    }

    /// Reads a packet from the TUN; what comes of it is in `out`.
    pub fn read_tun(&mut self, gso: Gso, packet: &[u8]) {
        let at = self.forwarder.config().layout.tun.at as usize;
        self.arena[at..at + packet.len()].copy_from_slice(packet);
        let read = TunRead { gso, all: Span::new(at as u32, packet.len() as u32) };
        self.forwarder.inside(self.now, read, &mut self.arena, &mut self.out);
    }

    /// Reads one datagram (or a train of `stride`) from the socket into a slot.
    pub fn read_udp(&mut self, slot: usize, from: Path, bytes: &[u8], stride: u16) {
        let at = self.forwarder.config().layout.udp[slot].at as usize;
        self.arena[at..at + bytes.len()].copy_from_slice(bytes);
        let all = Span::new(at as u32, bytes.len() as u32);
        self.forwarder.outside(
            self.now,
            UdpRead { from, ecn: Ecn(0), all, stride },
            &mut self.arena,
            &mut self.out,
        );
    }

    pub fn end(&mut self) {
        self.forwarder.end_of_batch(self.now, &mut self.arena, &mut self.out);
    }

    /// The trains of the batch as (where to, octets, stride).
    pub fn trains(&self) -> Vec<(Path, Vec<u8>, u16)> {
        self.out.trains.iter().map(|t| (t.to, self.arena[t.all.range()].to_vec(), t.stride)).collect()
    }

    /// Every single datagram of the batch.
    pub fn datagrams(&self) -> Vec<Vec<u8>> {
        let cut = |(_, bytes, stride): (Path, Vec<u8>, u16)| -> Vec<Vec<u8>> {
            bytes.chunks(usize::from(stride)).map(<[u8]>::to_vec).collect()
        };
        self.trains().into_iter().flat_map(cut).collect()
    }

    /// The writes of the batch.
    pub fn writes(&self) -> Vec<(Gso, Vec<u8>)> {
        let gather = |range: &core::ops::Range<u16>| {
            let parts = &self.out.parts[usize::from(range.start)..usize::from(range.end)];
            parts.iter().flat_map(|part| self.arena[part.range()].iter().copied()).collect()
        };
        self.out.writes.iter().map(|write| (write.gso, gather(&write.parts))).collect()
    }

    /// The one packet that was written to the TUN.
    pub fn written(&self) -> Vec<u8> {
        let writes = self.writes();
        assert_eq!(writes.len(), 1, "{:?}", self.drops());
        writes[0].1.clone()
    }

    pub fn events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.out.events)
    }

    pub fn drops(&self) -> Vec<(&'static str, u64)> {
        let all = DropReason::ALL.iter().map(|reason| (reason.name(), self.stats.drops(*reason)));
        all.filter(|(_, n)| *n > 0).collect()
    }

    pub fn clear(&mut self) {
        self.out.clear();
    }
}

/// A session between two nodes, by UDP.
pub fn connect(a: &mut Node, b: &mut Node) {
    a.meet(b.number, PeerKind::Node, path(b.number));
    b.meet(a.number, PeerKind::Node, path(a.number));
    a.route_to(b.number);
    b.route_to(a.number);
}

/// A session between two nodes, through a third that both have a session with.
pub fn connect_through(a: &mut Node, relay: &mut Node, b: &mut Node) {
    connect(a, relay);
    connect(b, relay);
    a.meet(b.number, PeerKind::Node, Path::Through(peer(relay.number)));
    b.meet(a.number, PeerKind::Node, Path::Through(peer(relay.number)));
    a.route_to(b.number);
    b.route_to(a.number);
    let routers = vec![(router(a.number), peer(a.number)), (router(b.number), peer(b.number))];
    relay.fib.routers = routers;
    relay.publish();
}

/// Ends a's batch and carries its trains for b, without allocating; b's batch is left open.
pub fn carry(a: &mut Node, b: &mut Node) {
    a.end();
    for (at, train) in a.out.trains.iter().enumerate() {
        assert_eq!(train.to, path(b.number));
        let layout = b.forwarder.config().layout;
        let slot = layout.udp[at];
        let all = Span::new(slot.at, train.all.len);
        b.arena[all.range()].copy_from_slice(&a.arena[train.all.range()]);
        let read = UdpRead { from: path(a.number), ecn: train.ecn, all, stride: train.stride };
        b.forwarder.outside(b.now, read, &mut b.arena, &mut b.out);
    }
    a.out.clear();
}

/// One packet or superpacket from a's TUN to b's, whose batch is ended.
pub fn pass(a: &mut Node, b: &mut Node, gso: Gso, packet: &[u8]) {
    a.read_tun(gso, packet);
    carry(a, b);
    b.end();
}

// Packets.

pub fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, next: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&(body.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[next, 64]);
    packet.extend_from_slice(&src.octets());
    packet.extend_from_slice(&dst.octets());
    packet.extend_from_slice(body);
    packet
}

/// The ones' complement sum, slow and plain.
pub fn plain_sum(packet: &[u8]) -> u16 {
    let body = &packet[40..];
    let mut bytes = packet[8..40].to_vec();
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, packet[6]]);
    bytes.extend_from_slice(body);
    let mut sum = 0u64;
    for pair in bytes.chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Fills in the checksum of a packet at `field` octets behind the IPv6 header.
pub fn finish(packet: &mut [u8], field: usize) {
    packet[40 + field..42 + field].fill(0);
    let mut sum = !plain_sum(packet);
    if sum == 0 && packet[6] == 17 {
        sum = 0xffff;
    }
    packet[40 + field..42 + field].copy_from_slice(&sum.to_be_bytes());
}

/// Puts the sum of the pseudo-header there instead, as a kernel does that leaves the rest to the device.
pub fn seed(packet: &mut [u8], field: usize) {
    let head = ipv6_with_len(packet);
    let sum = plain_sum_of_pseudo(&head, packet.len() - 40);
    packet[40 + field..42 + field].copy_from_slice(&sum.to_be_bytes());
}

fn ipv6_with_len(packet: &[u8]) -> Vec<u8> {
    packet[..40].to_vec()
}

fn plain_sum_of_pseudo(head: &[u8], len: usize) -> u16 {
    let mut bytes = head[8..40].to_vec();
    bytes.extend_from_slice(&(len as u32).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, head[6]]);
    let mut sum: u64 = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// A TCP segment with the timestamp option.
pub fn tcp(src: Ipv6Addr, dst: Ipv6Addr, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut body = vec![0x1f, 0x90, 0xc0, 0x01];
    body.extend_from_slice(&sequence.to_be_bytes());
    body.extend_from_slice(&[0, 0, 1, 0, 0x80, flags, 0x10, 0, 0, 0, 0, 0]);
    body.extend_from_slice(&[1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8]);
    body.extend_from_slice(payload);
    let mut packet = ipv6(src, dst, 6, &body);
    finish(&mut packet, 16);
    packet
}

pub fn udp(src: Ipv6Addr, dst: Ipv6Addr, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&ports.0.to_be_bytes());
    body.extend_from_slice(&ports.1.to_be_bytes());
    body.extend_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
    body.extend_from_slice(&[0, 0]);
    body.extend_from_slice(payload);
    let mut packet = ipv6(src, dst, 17, &body);
    finish(&mut packet, 6);
    packet
}

pub fn ping(src: Ipv6Addr, dst: Ipv6Addr, len: usize) -> Vec<u8> {
    let mut body = vec![128, 0, 0, 0, 0, 1, 0, 1];
    body.resize(8 + len, 0x77);
    let mut packet = ipv6(src, dst, 58, &body);
    finish(&mut packet, 2);
    packet
}

pub fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A TCP superpacket as the kernel hands it over.
pub fn tcp_super(
    src: Ipv6Addr,
    dst: Ipv6Addr,
    sequence: u32,
    flags: u8,
    payload: &[u8],
    size: u16,
) -> (Gso, Vec<u8>) {
    let mut packet = tcp(src, dst, sequence, flags, payload);
    seed(&mut packet, 16);
    let gso =
        Gso { kind: GsoKind::TcpV6, needs_csum: true, hdr_len: 72, size, csum_start: 40, csum_offset: 16 };
    (gso, packet)
}

pub fn udp_super(
    src: Ipv6Addr,
    dst: Ipv6Addr,
    ports: (u16, u16),
    payload: &[u8],
    size: u16,
) -> (Gso, Vec<u8>) {
    let mut packet = udp(src, dst, ports, payload);
    seed(&mut packet, 6);
    let gso =
        Gso { kind: GsoKind::UdpL4, needs_csum: true, hdr_len: 48, size, csum_start: 40, csum_offset: 6 };
    (gso, packet)
}

/// What a kernel makes of a packet with this virtio header: an independent, slow segmentation.
pub fn segment(gso: Gso, packet: &[u8]) -> Vec<Vec<u8>> {
    let (headers, field) = match gso.kind {
        GsoKind::None if gso.needs_csum => {
            let mut packet = packet.to_vec();
            finish(&mut packet, usize::from(gso.csum_offset));
            return vec![packet];
        }
        GsoKind::None => return vec![packet.to_vec()],
        GsoKind::TcpV6 => (40 + usize::from(packet[52] >> 4) * 4, 16),
        GsoKind::UdpL4 => (48, 6),
        GsoKind::TcpV4 => panic!("not here"),
    };
    assert_eq!(usize::from(gso.hdr_len), headers);
    let payload = &packet[headers..];
    let count = payload.len().div_ceil(usize::from(gso.size));
    let mut all = Vec::new();
    for (at, part) in payload.chunks(usize::from(gso.size)).enumerate() {
        let mut one = packet[..headers].to_vec();
        one.extend_from_slice(part);
        let len = (one.len() - 40) as u16;
        one[4..6].copy_from_slice(&len.to_be_bytes());
        if field == 16 {
            let begin = u32::from_be_bytes(one[44..48].try_into().unwrap());
            let sequence = begin.wrapping_add(at as u32 * u32::from(gso.size));
            one[44..48].copy_from_slice(&sequence.to_be_bytes());
            if at > 0 {
                one[53] &= !0x80;
            }
            if at + 1 < count {
                one[53] &= !0x09;
            }
        } else {
            one[44..46].copy_from_slice(&len.to_be_bytes());
        }
        finish(&mut one, field);
        all.push(one);
    }
    all
}
