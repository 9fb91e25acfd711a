//! What a local user or a LAN client makes the kernel hand over.

use crate::input::Input;
use crate::net::{self, Node, connect, path, peer, router};
use crate::transport::{address, trains};
use ln6_netio::tun::vnet;
use ln6_overlay_core::Path;
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::batch::{Ecn, Gso, GsoKind, Span, UdpRead};
use ln6_overlay_core::forwarder::drop::DropReason;
use ln6_overlay_core::forwarder::mail::PeerKind;

const ME: u8 = 1;
const OTHER: u8 = 2;
const FAR: u8 = 5;
const STOCK: u8 = 3;
const READS: usize = 8;

/// Superpackets, right and wrong. Whatever leaves opens at the other end, and a superpacket that the kernel could have
/// made arrives as the kernel would have divided it.
pub fn tun_packet(data: &[u8]) {
    let mut input = Input::new(data);
    let small = |number| Node::with(number, |config| config.layout = ArenaLayout::SMALL);
    let (mut me, mut other) = (small(ME), small(OTHER));
    connect(&mut me, &mut other);
    me.meet(FAR, PeerKind::Node, Path::Through(peer(OTHER)));
    me.route_to(FAR);
    me.mail(net_update(&me));
    me.route_to(STOCK);
    me.route_to(6);
    other.fib.routers = vec![(router(FAR), peer(ME))];
    other.publish();
    for _ in 0..READS {
        if input.is_empty() {
            break;
        }
        let (gso, packet, good) = read(&mut input);
        me.read_tun(gso, &packet);
        let delivered = carry(&mut me, &mut other);
        if good && !delivered.is_empty() {
            assert!(delivered == net::segment(gso, &packet), "{gso:?} {packet:x?}");
        }
        for reason in
            [DropReason::BadTag, DropReason::BadIndex, DropReason::Replay, DropReason::FrameMalformed]
        {
            assert_eq!(other.stats.drops(reason), 0, "{reason:?}");
        }
    }
}

/// A stock leaf without a session, for what has to wait.
fn net_update(me: &Node) -> ln6_overlay_core::forwarder::mail::Update {
    let tx = me.tx(STOCK, PeerKind::Stock, Some(path(STOCK)), false);
    ln6_overlay_core::forwarder::mail::Update::Peer(peer(STOCK), std::sync::Arc::new(tx))
}

/// A header and a packet; whether they are such as a kernel makes.
fn read(input: &mut Input<'_>) -> (Gso, Vec<u8>, bool) {
    let how = input.octet();
    if how & 3 == 0 {
        let header = input.array::<{ vnet::HEADER_LEN }>();
        let packet = input.chunk(2000).to_vec();
        let gso = vnet::decode(&header, packet.len()).unwrap_or_default();
        return (gso, packet, false);
    }
    let (src, dst) = (address(input.octet()), address(input.octet()));
    let (flags, size) = (input.octet(), 1 + input.word() % 1400);
    let len = usize::from(input.word()) % 40_000;
    let (mut gso, mut packet) = match how & 3 {
        1 => net::tcp_super(src, dst, input.long(), flags, &net::bytes(len + 1), size),
        2 => net::udp_super(src, dst, (input.word(), 53), &net::bytes(len % 20_000 + 1), size),
        _ => (Gso::default(), net::ping(src, dst, len % 1500)),
    };
    let mut good = size >= 128;
    if how & 4 != 0 {
        let at = usize::from(input.octet()) % packet.len();
        packet[at] ^= input.octet();
        good = false;
    }
    if how & 8 != 0 {
        gso.kind = input.choose(&[GsoKind::None, GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::UdpL4]);
        (gso.csum_start, gso.csum_offset, gso.size) = (input.word(), input.word(), input.word());
        gso.needs_csum = how & 16 != 0;
        good = false;
    }
    if how & 32 != 0 {
        packet.truncate(usize::from(input.word()));
        good = false;
    }
    (gso, packet, good)
}

/// Ends a batch and gives what leaves for the other node to it; the packets that it delivers.
fn carry(me: &mut Node, other: &mut Node) -> Vec<Vec<u8>> {
    me.end();
    trains(me);
    for (_, packet) in me.writes() {
        assert!(
            packet.len() <= 1280 && packet[6] == 58 && net::plain_sum(&packet) == 0xffff,
            "an ICMPv6 error"
        );
    }
    let mut packets = Vec::new();
    for (at, train) in me.out.trains.iter().enumerate().filter(|(_, train)| train.to == path(OTHER)) {
        assert!(at < 512);
        let all = Span::new(other.forwarder.config().layout.udp[0].at, train.all.len);
        other.arena[all.range()].copy_from_slice(&me.arena[train.all.range()]);
        let read = UdpRead { from: path(ME), ecn: Ecn(0), all, stride: train.stride };
        other.forwarder.outside(other.now, read, &mut other.arena, &mut other.out);
        crate::transport::end(other, &mut packets);
    }
    me.clear();
    packets
}
