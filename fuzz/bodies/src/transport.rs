//! Datagrams at a node with every kind of peer, also such as only the holder of a session's key can make.

use crate::input::Input;
use crate::net::{self, Node, aead, host, index, ipv6, path, peer, prefix, router};
use core::net::Ipv6Addr;
use core::time::Duration;
use ln6_crypto::message::{TAG, TRANSPORT_HEADER, write_transport_header};
use ln6_netio::tun::vnet;
use ln6_overlay_core::Path;
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::batch::{Ecn, GsoKind, Span, UdpRead};
use ln6_overlay_core::forwarder::frame::relay_frame;
use ln6_overlay_core::forwarder::mail::{Event, PeerKind, Update, Watch};

pub(crate) const ME: u8 = 1;
const NODE: u8 = 2;
const STOCK: u8 = 3;
const GUEST: u8 = 4;
/// Reached through [`NODE`].
const FAR: u8 = 5;
const OPERATIONS: usize = 48;

/// A sealed datagram from one node to another.
pub(crate) fn sealed(from: u8, to: u8, counter: u64, inner: &[u8]) -> Vec<u8> {
    let len = inner.len().next_multiple_of(16);
    let mut datagram = vec![0; TRANSPORT_HEADER + len + TAG];
    write_transport_header(datagram.first_chunk_mut().unwrap(), index(to, from), counter);
    datagram[TRANSPORT_HEADER..][..inner.len()].copy_from_slice(inner);
    aead(from, to, 0).seal_in_place(counter, &mut datagram[TRANSPORT_HEADER..], len);
    datagram
}

/// Sends everything to both: one node ends a batch when it must, the other after each read, so that what the first has
/// merged can be compared with what the second was given piece by piece.
struct Twins {
    merging: Node,
    plain: Node,
    used: u32,
    merged: Vec<Vec<u8>>,
    single: Vec<Vec<u8>>,
}

fn node() -> Node {
    let mut node = Node::with(ME, |config| config.layout = ArenaLayout::SMALL);
    node.meet(NODE, PeerKind::Node, path(NODE));
    node.meet(STOCK, PeerKind::Stock, path(STOCK));
    node.meet(GUEST, PeerKind::Guest, path(GUEST));
    node.meet(FAR, PeerKind::Node, Path::Through(peer(NODE)));
    node.fib.routers = vec![(router(FAR), peer(NODE)), (router(9), peer(FAR))];
    node.fib.exits = vec![peer(NODE)];
    for other in [NODE, STOCK, GUEST] {
        node.fib.owners.push((prefix(other), vec![peer(other)]));
    }
    node.route_to(FAR);
    for other in [NODE, STOCK, GUEST, FAR] {
        node.mail(Update::Watch(peer(other), Watch { sent: true, received: true, data_received: true }));
    }
    node
}

impl Twins {
    fn new() -> Self {
        Twins { merging: node(), plain: node(), used: 0, merged: Vec::new(), single: Vec::new() }
    }

    fn read(&mut self, from: Path, ecn: Ecn, bytes: &[u8], stride: u16) {
        let layout = self.merging.forwarder.config().layout;
        let slots = layout.tx.at - layout.udp[0].at;
        if self.used + bytes.len() as u32 > slots || !self.merging.forwarder.room(&self.merging.out) {
            self.end();
        }
        for (node, at) in
            [(&mut self.merging, layout.udp[0].at + self.used), (&mut self.plain, layout.udp[0].at)]
        {
            let all = Span::new(at, bytes.len() as u32);
            node.arena[all.range()].copy_from_slice(bytes);
            let read = UdpRead { from, ecn, all, stride };
            node.forwarder.outside(node.now, read, &mut node.arena, &mut node.out);
        }
        self.used += bytes.len() as u32;
        end(&mut self.plain, &mut self.single);
    }

    fn mail(&mut self, from: Path, bytes: &[u8]) {
        if !self.merging.forwarder.room(&self.merging.out) {
            self.end();
        }
        self.merging.mail(Update::Datagram(from, bytes.to_vec()));
        self.plain.mail(Update::Datagram(from, bytes.to_vec()));
        end(&mut self.plain, &mut self.single);
    }

    fn end(&mut self) {
        end(&mut self.merging, &mut self.merged);
        self.used = 0;
    }
}

/// Ends a batch, checks all that it made and keeps the packets for the TUN, divided again.
pub(crate) fn end(node: &mut Node, packets: &mut Vec<Vec<u8>>) {
    node.end();
    trains(node);
    for write in &node.out.writes {
        assert!(usize::from(write.parts.end) <= node.out.parts.len() && !write.parts.is_empty());
    }
    for (gso, packet) in node.writes() {
        assert!(packet.len() <= 65_575 && packet[0] >> 4 == 6);
        assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])) + 40, packet.len());
        assert_eq!(vnet::decode(&vnet::encode(&gso), packet.len()), Some(gso), "the kernel would refuse it");
        if gso.kind == GsoKind::None {
            assert!(!gso.needs_csum);
            packets.push(packet);
        } else {
            packets.extend(net::segment(gso, &packet));
        }
    }
    for event in node.events() {
        if let Event::Inner { peer: author, packet, .. } = event {
            let frame = packet.first().is_some_and(|first| first >> 4 == 0);
            assert!(!(frame && author == peer(STOCK)), "a stock peer's frame");
            assert!(
                frame || (packet[8] == 0xfe && author != peer(GUEST)),
                "control gets what is of the link"
            );
        }
    }
    node.clear();
}

/// Trains lie in the arena, and each is what the socket can send.
pub(crate) fn trains(node: &Node) {
    for train in &node.out.trains {
        assert!(matches!(train.to, Path::Udp(_)));
        assert!(train.all.range().end <= node.arena.len() && train.all.len > 0 && train.all.len <= 65_507);
        assert!(train.stride > 0 && train.all.len.div_ceil(u32::from(train.stride)) <= 64);
    }
}

/// An address of somebody's choice.
pub(crate) fn address(octet: u8) -> Ipv6Addr {
    match octet {
        0..=6 => host(octet),
        7 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
        8 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 6),
        9 => Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 1),
        10 => Ipv6Addr::UNSPECIFIED,
        11 => Ipv6Addr::new(0x2606, 0, 0, 0, 0, 0, 0, 1),
        _ => prefix(octet & 7).address(u128::from(octet) << 66),
    }
}

/// An inner packet of the input's making.
fn inner(input: &mut Input<'_>) -> Vec<u8> {
    let how = input.octet();
    if how & 7 == 0 {
        return input.chunk(1500).to_vec();
    }
    let (src, dst) = (address(input.octet()), address(input.octet()));
    let mut packet = match how & 7 {
        1..=3 => {
            let (sequence, flags, len) = (u32::from(input.octet()) * 100, input.octet(), input.octet());
            let len = if len > 200 { 1200 } else { usize::from(len) };
            net::tcp(src, dst, sequence, flags, &net::bytes(len))
        }
        4 | 5 => {
            let ports = (u16::from(input.octet()), 53);
            net::udp(src, dst, ports, &net::bytes(usize::from(input.octet())))
        }
        6 => net::ping(src, dst, usize::from(input.octet())),
        _ => ipv6(src, dst, input.octet(), input.chunk(1400)),
    };
    if how & 0x80 != 0 {
        let at = usize::from(input.word()) % packet.len();
        packet[at] ^= input.octet();
    }
    if how & 0x40 != 0 {
        packet.truncate(usize::from(input.word()));
    }
    packet
}

/// Reads, mail and pauses. Nothing leaves the arena, the TUN is given only what its sender may send and what is ours,
/// and what was merged is what came.
pub fn transport_datagram(data: &[u8]) {
    let mut input = Input::new(data);
    let mut twins = Twins::new();
    let mut counters = [0u64; 6];
    let mut last = Vec::new();
    for _ in 0..OPERATIONS {
        if input.is_empty() {
            break;
        }
        let how = input.octet();
        let from = input.choose(&[NODE, NODE, NODE, STOCK, GUEST, FAR]);
        let counter = &mut counters[usize::from(from)];
        *counter += 1;
        let ecn = Ecn(how >> 6);
        match how & 15 {
            0 => {
                let stride = input.word();
                twins.read(path(from), ecn, input.chunk(4000), stride);
            }
            1 => {
                let mut datagram = sealed(from, ME, *counter, &[]);
                datagram.truncate(TRANSPORT_HEADER);
                datagram.extend_from_slice(input.chunk(200));
                twins.read(path(from), ecn, &datagram, datagram.len() as u16);
            }
            2 => twins.read(path(input.octet()), ecn, &last.clone(), 0),
            3 => {
                let span = Duration::from_millis(u64::from(input.word()));
                twins.merging.now += span;
                twins.plain.now = twins.merging.now;
            }
            4 => twins.end(),
            5 => {
                let datagram = sealed(from, ME, *counter, &inner(&mut input));
                twins.mail(Path::Udp(([192, 0, 2, 77], 1).into()), &datagram);
            }
            6 | 7 => {
                counters[usize::from(FAR)] += 1;
                let datagram = sealed(FAR, ME, counters[usize::from(FAR)], &inner(&mut input));
                let to = router(input.choose(&[ME, FAR, 9, 77]));
                let frame = relay_frame(to, router(FAR), &datagram).unwrap();
                counters[usize::from(NODE)] += 1;
                let outer = sealed(NODE, ME, counters[usize::from(NODE)], &frame);
                twins.read(path(NODE), ecn, &outer, 0);
            }
            8 => {
                let frame = [&[0, input.octet(), 0, input.octet()][..], input.chunk(300)].concat();
                let datagram = sealed(from, ME, *counter, &frame);
                twins.read(path(from), ecn, &datagram, 0);
            }
            _ => {
                last = sealed(from, ME, *counter, &inner(&mut input));
                twins.read(path(from), ecn, &last.clone(), 0);
            }
        }
    }
    twins.end();
    for packet in &twins.merged {
        let (src, dst) = ends(packet);
        let ours = prefix(ME).contains(dst) || prefix(STOCK).contains(src);
        let theirs = [NODE, STOCK, FAR].iter().any(|from| prefix(*from).contains(src));
        assert!(ours, "delivered to {dst}");
        // From elsewhere comes what an exit lets in.
        let network = src.segments()[..2] == [0x2001, 0xdb8];
        let foreign =
            !network && !src.is_unicast_link_local() && !src.is_multicast() && !src.is_unique_local();
        assert!(theirs || foreign, "delivered from {src}");
    }
    twins.merged.sort();
    twins.single.sort();
    assert!(twins.merged == twins.single, "merged: {:x?}\nsingle: {:x?}", twins.merged, twins.single);
}

fn ends(packet: &[u8]) -> (Ipv6Addr, Ipv6Addr) {
    let at = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
    (at(8), at(24))
}
