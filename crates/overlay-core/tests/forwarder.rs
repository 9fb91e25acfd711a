//! Two and three forwarders back to back.
#![allow(clippy::unwrap_used)]

#[path = "net/hosts.rs"]
mod net;

use ln6_crypto::cookie::{CookieChecker, CookieJar};
use ln6_crypto::message::write_relayed_header;
use ln6_overlay_core::PeerIdx;
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::batch::{Fragmentation, Gso, GsoKind};
use ln6_overlay_core::forwarder::drop::DropReason;
use ln6_overlay_core::forwarder::fib::Target;
use ln6_overlay_core::forwarder::frame::{message_body, message_frame, relay_frame};
use ln6_overlay_core::forwarder::gate::Gate;
use ln6_overlay_core::forwarder::keys::{ReceiveKey, SendKey};
use ln6_overlay_core::forwarder::mail::{Event, PeerKind, PeerTx, Update, Watch};
use ln6_types::{Duration, Instant, Prefix, PublicKey};
use net::*;
use proptest::prelude::*;
use std::sync::Arc;

fn pair() -> (Node, Node) {
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    connect(&mut a, &mut b);
    a.clear();
    b.clear();
    (a, b)
}

fn trio() -> (Node, Node, Node) {
    trio_of([true; 3])
}

/// Which of the three take relayed datagrams is what the first and the second know of their next hops.
fn trio_of(takes_relayed: [bool; 3]) -> (Node, Node, Node) {
    let (mut a, mut relay, mut b) = (Node::new(1), Node::new(2), Node::new(3));
    a.takes_relayed = takes_relayed[1];
    relay.takes_relayed = takes_relayed[2];
    b.takes_relayed = takes_relayed[1];
    connect_through(&mut a, &mut relay, &mut b);
    for node in [&mut a, &mut relay, &mut b] {
        node.clear();
    }
    (a, relay, b)
}

fn plain() -> Gso {
    Gso::default()
}

#[track_caller]
fn assert_dropped(node: &Node, reason: DropReason) {
    assert_eq!(node.drops(), [(reason.name(), 1)]);
    assert!(node.out.trains.is_empty() || reason == DropReason::CookieSent);
}

#[test]
fn a_ping_passes_both_ways() {
    let (mut a, mut b) = pair();
    let there = ping(host(1), host(2), 56);
    pass(&mut a, &mut b, plain(), &there);
    assert_eq!(b.written(), there);
    b.clear();
    let back = ping(host(2), host(1), 57);
    pass(&mut b, &mut a, plain(), &back);
    assert_eq!(a.written(), back);
    assert_eq!((a.drops(), b.drops()), (vec![], vec![]));
    let traffic = b.counters.read();
    assert_eq!((traffic.tx_packets, traffic.rx_packets, traffic.tx_bytes), (1, 1, back.len() as u64));
}

#[test]
fn datagrams_are_padded_to_sixteen_but_not_past_the_mtu() {
    let (mut a, _) = pair();
    for (payload, datagram) in [(0, 48 + 32), (1, 64 + 32), (1420 - 48, 1420 + 32), (1409 - 48, 1420 + 32)] {
        a.read_tun(plain(), &ping(host(1), host(2), payload));
        a.end();
        assert_eq!(a.datagrams()[0].len(), datagram);
        a.clear();
    }
}

#[test]
fn a_tcp_superpacket_becomes_one_train_and_one_write_again() {
    let (mut a, mut b) = pair();
    let payload = bytes(45 * 1348);
    let (gso, packet) = tcp_super(host(1), host(2), 0xffff_ff00, 0x18, &payload, 1348);
    a.read_tun(gso, &packet);
    a.end();
    assert_eq!(a.out.trains.len(), 1);
    assert_eq!((a.out.trains[0].stride, a.out.trains[0].all.len), (1452, 45 * 1452));
    carry(&mut a, &mut b);
    b.end();
    let writes = b.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].0, gso);
    assert_eq!(writes[0].1, packet, "the very superpacket, checksum seed included");
}

#[test]
fn segments_are_what_a_kernel_would_have_made() {
    let (mut a, mut b) = pair();
    for flags in [0x10, 0x18, 0x19, 0x99] {
        let (gso, packet) = tcp_super(host(1), host(2), 7, flags, &bytes(5000), 1200);
        pass(&mut a, &mut b, gso, &packet);
        let got: Vec<_> = b.writes().iter().flat_map(|(gso, packet)| segment(*gso, packet)).collect();
        assert_eq!(got, segment(gso, &packet));
        b.clear();
    }
}

#[test]
fn a_udp_superpacket_is_merged_again_only_where_the_tun_takes_it() {
    for uso in [true, false] {
        let (mut a, mut b) = (Node::new(1), Node::with(2, |config| config.uso = uso));
        connect(&mut a, &mut b);
        b.clear();
        let (gso, packet) = udp_super(host(1), host(2), (443, 5000), &bytes(3000), 1000);
        pass(&mut a, &mut b, gso, &packet);
        assert_eq!(b.writes().len(), if uso { 1 } else { 3 });
        let got: Vec<_> = b.writes().iter().flat_map(|(gso, packet)| segment(*gso, packet)).collect();
        assert_eq!(got, segment(gso, &packet));
    }
}

#[test]
fn packets_of_other_tunnels_are_never_merged() {
    let (mut a, mut b) = pair();
    let (gso, packet) = udp_super(host(1), host(2), (5000, 4789), &bytes(3000), 1000);
    pass(&mut a, &mut b, gso, &packet);
    assert_eq!(b.writes().len(), 3);
}

#[test]
fn a_corrupt_packet_is_not_repaired_by_merging() {
    let (mut a, mut b) = pair();
    let mut bad = tcp(host(1), host(2), 1000, 0x10, &bytes(1000));
    bad[500] ^= 1;
    for packet in [
        tcp(host(1), host(2), 0, 0x10, &bytes(1000)),
        bad.clone(),
        tcp(host(1), host(2), 2000, 0x10, &bytes(1000)),
    ] {
        a.read_tun(plain(), &packet);
    }
    carry(&mut a, &mut b);
    b.end();
    let writes = b.writes();
    assert_eq!(writes.len(), 3);
    assert_eq!(writes[1], (plain(), bad));
}

#[test]
fn a_partial_checksum_is_finished_and_a_udp_zero_is_written_as_ones() {
    let (mut a, mut b) = pair();
    let mut packet = udp(host(1), host(2), (1, 2), &[0, 0]);
    let sum = u16::from_be_bytes([packet[46], packet[47]]);
    packet[48..50].copy_from_slice(&sum.to_be_bytes()); // now the sum of all is all ones
    let mut whole = packet.clone();
    finish(&mut whole, 6);
    assert_eq!(whole[46..48], [0xff, 0xff]);
    seed(&mut packet, 6);
    let gso = Gso { needs_csum: true, csum_start: 40, csum_offset: 6, ..plain() };
    pass(&mut a, &mut b, gso, &packet);
    assert_eq!(b.written(), whole);
}

#[test]
fn contradictory_superpackets_are_dropped() {
    let (gso, packet) = tcp_super(host(1), host(2), 7, 0x10, &bytes(5000), 1200);
    let wrong = [
        Gso { kind: GsoKind::TcpV4, ..gso },
        Gso { kind: GsoKind::UdpL4, ..gso },
        Gso { size: 0, ..gso },
        Gso { kind: GsoKind::None, csum_offset: 60_000, ..gso },
    ];
    for gso in wrong {
        let (mut a, _) = pair();
        a.read_tun(gso, &packet);
        assert_dropped(&a, DropReason::Malformed);
    }
}

#[test]
fn a_forged_source_goes_nowhere_and_the_sender_hears_why() {
    let (mut a, _) = pair();
    a.read_tun(plain(), &ping(host(9), host(2), 56));
    a.end();
    assert_dropped(&a, DropReason::SourceNotOurs);
    let error = a.written();
    assert_eq!(error[40..42], [1, 5]);
    assert_eq!(error[24..40], host(9).octets());
    assert_eq!(plain_sum(&error), 0xffff);
}

#[test]
fn a_source_outside_the_senders_rights_is_dropped_by_the_receiver() {
    let (mut a, mut b) = pair();
    a.fib.owners.push((prefix(9), vec![PeerIdx::SELF]));
    a.publish();
    pass(&mut a, &mut b, plain(), &ping(host(9), host(2), 56));
    assert_dropped(&b, DropReason::SourceNotTheirs);
    assert!(b.out.writes.is_empty());
}

#[test]
fn a_packet_for_somebody_else_is_not_delivered() {
    let (mut a, mut b) = pair();
    a.fib.routes.push((prefix(7), Prefix::ALL, Target::Peer(peer(2))));
    a.publish();
    pass(&mut a, &mut b, plain(), &ping(host(1), host(7), 56));
    assert_dropped(&b, DropReason::NotForUs);
}

#[test]
fn nothing_read_from_the_tun_becomes_a_frame_or_a_link_local_packet() {
    let link: core::net::Ipv6Addr = "fe80::1".parse().unwrap();
    let babel = udp(link, "ff02::1:6".parse().unwrap(), (6696, 6696), &[42, 2, 0, 0]);
    let cases = [
        (message_frame(&[1; 100]).unwrap(), DropReason::NotIpv6),
        (vec![0x45; 60], DropReason::NotIpv6),
        (vec![], DropReason::NotIpv6),
        (vec![0x60; 39], DropReason::Truncated),
        (ping(host(1), host(2), 56)[..90].to_vec(), DropReason::Truncated),
        (babel, DropReason::LinkLocal),
        (ping(host(1), link, 8), DropReason::LinkLocal),
        (ping(host(1), "ff05::2".parse().unwrap(), 8), DropReason::Multicast),
        (ping("::1".parse().unwrap(), host(2), 8), DropReason::SourceNotOurs),
    ];
    for (packet, reason) in cases {
        let (mut a, _) = pair();
        a.read_tun(plain(), &packet);
        a.end();
        assert_dropped(&a, reason);
        assert!(a.out.writes.is_empty());
    }
}

#[test]
fn a_replayed_datagram_is_dropped_and_so_is_one_that_was_changed() {
    let (mut a, mut b) = pair();
    a.read_tun(plain(), &ping(host(1), host(2), 56));
    a.end();
    let datagram = a.datagrams().remove(0);
    let mut changed = datagram.clone();
    changed[20] ^= 1;
    b.read_udp(0, path(1), &changed, 0);
    assert_eq!(b.drops(), [("bad_tag", 1)]);
    b.read_udp(1, path(1), &datagram, 0);
    b.read_udp(2, path(1), &datagram, 0);
    b.end();
    assert_eq!(b.writes().len(), 1);
    assert_eq!(b.drops(), [("replay", 1), ("bad_tag", 1)]);
}

#[test]
fn an_unknown_index_is_a_stranger_a_few_times_a_second() {
    let (mut a, mut b) = pair();
    a.read_tun(plain(), &ping(host(1), host(2), 56));
    a.end();
    let mut datagram = a.datagrams().remove(0);
    datagram[6] ^= 0x55;
    for _ in 0..100 {
        b.read_udp(0, path(9), &datagram, 0);
    }
    assert_eq!(b.drops(), [("bad_index", 100)]);
    let events = b.events();
    assert_eq!(events.len(), 4);
    assert!(matches!(events[0], Event::Stranger { from } if from == path(9)));
}

#[test]
fn what_is_for_other_workers_does_not_flood_control() {
    let (mut a, _) = pair();
    let mut b = Node::with(2, |config| config.workers = 2);
    a.read_tun(plain(), &ping(host(1), host(2), 56));
    a.end();
    let mut datagram = a.datagrams().remove(0);
    datagram[4] |= 1;
    let (mut passed, sent) = (0, 20_000);
    for _ in 0..sent {
        b.read_udp(0, path(1), &datagram, 0);
        let events = b.events();
        passed += events.iter().filter(|event| matches!(event, Event::Elsewhere { .. })).count();
    }
    assert!((100..2_000).contains(&passed), "{passed} at one instant");
    assert_eq!(b.drops(), [("elsewhere_limited", (sent - passed) as u64)]);
}

#[test]
fn a_datagram_for_another_worker_is_passed_on_once() {
    let (mut a, _) = pair();
    let mut b = Node::with(2, |config| config.workers = 2);
    a.read_tun(plain(), &ping(host(1), host(2), 56));
    a.end();
    let mut datagram = a.datagrams().remove(0);
    datagram[4] |= 1;
    b.read_udp(0, path(1), &datagram, 0);
    let events = b.events();
    assert!(matches!(&events[..], [Event::Elsewhere { worker: 1, datagram: d, .. }] if *d == datagram));
    b.mail(Update::Datagram(path(1), datagram.clone()));
    assert!(!b.events().iter().any(|event| matches!(event, Event::Elsewhere { .. })));
    datagram[4] |= 7;
    b.read_udp(0, path(1), &datagram, 0);
    assert_eq!(b.drops(), [("bad_index", 2)]);
}

#[test]
fn the_first_packet_under_a_key_confirms_it_and_another_path_is_reported_once() {
    let (mut a, mut b) = pair();
    for expected in ["Confirmed", "Moved", ""] {
        a.read_tun(plain(), &ping(host(1), host(2), 56));
        a.end();
        let datagram = a.datagrams().remove(0);
        a.clear();
        let from = if expected == "Confirmed" { path(1) } else { path(77) };
        b.read_udp(0, from, &datagram, 0);
        let events = b.events();
        let named = format!("{events:?}");
        assert!(events.len() == usize::from(!expected.is_empty()) && named.contains(expected), "{named}");
    }
}

#[test]
fn an_old_counter_by_another_path_moves_nothing() {
    let (mut a, mut b) = pair();
    for _ in 0..2 {
        a.read_tun(plain(), &ping(host(1), host(2), 56));
    }
    a.end();
    let datagrams = a.datagrams();
    b.read_udp(0, path(1), &datagrams[1], 0);
    b.events();
    b.read_udp(1, path(66), &datagrams[0], 0);
    assert!(b.events().is_empty());
    assert!(b.drops().is_empty());
}

#[test]
fn watched_edges_are_reported_once_until_armed_again() {
    let (mut a, mut b) = pair();
    let all = Watch { sent: true, received: true, data_received: true };
    a.mail(Update::Watch(peer(2), all));
    b.mail(Update::Watch(peer(1), all));
    for round in 0..2 {
        pass(&mut a, &mut b, plain(), &ping(host(1), host(2), 56));
        let seen = |events: Vec<Event>| events.iter().any(|event| matches!(event, Event::Seen(..)));
        assert_eq!(seen(b.events()), round == 0);
        b.clear();
    }
    let (mut a, mut b) = pair();
    b.mail(Update::Watch(peer(1), all));
    a.mail(Update::Send(peer(2), vec![]));
    carry(&mut a, &mut b);
    let received = Watch { received: true, ..Watch::default() };
    assert!(b.events().iter().any(|event| matches!(event, Event::Seen(_, seen) if *seen == received)));
}

#[test]
fn a_peer_message_reaches_control_without_its_padding() {
    let (mut a, mut b) = pair();
    let frame = message_frame(b"hello").unwrap();
    a.mail(Update::Send(peer(2), frame.clone()));
    carry(&mut a, &mut b);
    let inner = b.events().into_iter().find_map(|event| match event {
        Event::Inner { peer, packet, .. } => Some((peer, packet)),
        _ => None,
    });
    assert_eq!(inner, Some((peer(1), frame.clone())));
    assert_eq!(message_body(&frame), Some(&b"hello"[..]));
}

#[test]
fn link_local_packets_are_controls_only_if_both_ends_are_of_the_link() {
    let link = "fe80::1".parse().unwrap();
    let cases = [
        (udp(link, "ff02::1:6".parse().unwrap(), (6696, 6696), &[42, 2, 0, 0]), None),
        (ping(link, "fe80::2".parse().unwrap(), 9), None),
        (ping(link, host(2), 9), Some(DropReason::ScopeForeign)),
        (ping(host(1), link, 9), Some(DropReason::ScopeForeign)),
        (ping(host(1), "ff02::1".parse().unwrap(), 9), Some(DropReason::ScopeForeign)),
        (ping(host(1), "ff0e::1".parse().unwrap(), 9), Some(DropReason::Multicast)),
    ];
    for (packet, dropped) in cases {
        let (mut a, mut b) = pair();
        a.mail(Update::Send(peer(2), packet.clone()));
        carry(&mut a, &mut b);
        b.end();
        match dropped {
            Some(reason) => assert_dropped(&b, reason),
            None => assert!(
                b.events().iter().any(|e| matches!(e, Event::Inner { packet: p, .. } if *p == packet))
            ),
        }
        assert!(b.out.writes.is_empty());
    }
}

#[test]
fn a_guest_may_talk_to_control_and_to_nobody_else() {
    let (mut a, mut b) = pair();
    b.mail(Update::Peer(peer(1), Arc::new(b.tx(1, PeerKind::Guest, Some(path(1)), true))));
    let link = ping("fe80::1".parse().unwrap(), "fe80::2".parse().unwrap(), 9);
    let relay = relay_frame(router(2), router(1), &[4; 64]).unwrap();
    for packet in [ping(host(1), host(2), 56), link, relay] {
        a.mail(Update::Send(peer(2), packet));
        carry(&mut a, &mut b);
    }
    a.mail(Update::Send(peer(2), message_frame(b"chain").unwrap()));
    carry(&mut a, &mut b);
    b.read_tun(plain(), &ping(host(2), host(1), 56));
    assert_eq!(b.drops(), [("guest_traffic", 4)]);
    assert_eq!(b.events().iter().filter(|event| matches!(event, Event::Inner { .. })).count(), 1);
    assert!(b.out.trains.is_empty());
}

#[test]
fn a_stock_peer_cannot_send_frames_nor_is_sent_any() {
    let (mut a, mut b) = pair();
    b.mail(Update::Peer(peer(1), Arc::new(b.tx(1, PeerKind::Stock, Some(path(1)), true))));
    for frame in [message_frame(b"x").unwrap(), relay_frame(router(3), router(1), &[4; 64]).unwrap()] {
        a.mail(Update::Send(peer(2), frame));
        carry(&mut a, &mut b);
    }
    b.mail(Update::Send(peer(1), message_frame(b"x").unwrap()));
    assert_eq!(b.drops(), [("frame_from_stock", 3)]);
    assert!(b.out.trains.is_empty());
    assert!(!b.events().iter().any(|event| matches!(event, Event::Inner { .. })));
}

#[test]
fn a_stock_leaf_reaches_the_network_by_its_hosts_kernel_and_is_reached_so() {
    let (mut leaf, mut b) = pair();
    b.mail(Update::Peer(peer(1), Arc::new(b.tx(1, PeerKind::Stock, Some(path(1)), true))));
    pass(&mut leaf, &mut b, plain(), &ping(host(1), "2606::1".parse().unwrap(), 8));
    leaf.fib.routes.push((Prefix::ALL, Prefix::ALL, Target::Peer(peer(2))));
    leaf.publish();
    let out = ping(host(1), host(7), 8);
    pass(&mut leaf, &mut b, plain(), &out);
    assert_eq!(b.written(), out);
    b.clear();
    let answer = ping(host(7), host(1), 8);
    b.read_tun(plain(), &answer);
    assert_eq!(b.out.trains.len(), 1, "the sender's right was judged where the packet came in");
}

#[test]
fn a_packet_too_big_for_the_way_is_quoted_back() {
    let (mut a, _) = pair();
    let packet = ping(host(1), host(2), 1373);
    a.read_tun(plain(), &packet);
    a.end();
    assert_dropped(&a, DropReason::TooBig);
    let error = a.written();
    assert_eq!(
        (error.len(), &error[40..42], &error[44..48]),
        (1280, &[2, 0][..], &1420u32.to_be_bytes()[..])
    );
    assert_eq!(error[48..], packet[..1232]);
    a.clear();
    let (gso, packet) = tcp_super(host(1), host(2), 7, 0x10, &bytes(5000), 1400);
    a.read_tun(gso, &packet);
    a.end();
    assert_eq!(a.written()[40..42], [2, 0]);
}

#[test]
fn errors_are_never_answered_and_have_a_rate() {
    let (mut a, _) = pair();
    a.read_tun(plain(), &{
        let mut error = ping(host(1), "2606::1".parse().unwrap(), 56);
        error[40] = 1;
        error
    });
    assert!(a.out.writes.is_empty());
    for _ in 0..80 {
        a.read_tun(plain(), &ping(host(1), "2606::1".parse().unwrap(), 56));
    }
    a.end();
    assert_eq!(a.writes().len(), 50);
    assert_eq!(a.writes()[0].1[40..42], [1, 0]);
    assert_eq!(a.drops(), [("no_route", 81)]);
}

#[test]
fn a_packet_without_a_session_waits_for_it() {
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    connect(&mut a, &mut b);
    a.mail(Update::Peer(peer(2), Arc::new(a.tx(2, PeerKind::Node, None, false))));
    let (gso, packet) = tcp_super(host(1), host(2), 7, 0x10, &bytes(5000), 1200);
    a.read_tun(gso, &packet);
    a.read_tun(gso, &packet);
    assert!(matches!(a.events()[..], [Event::Wanted(wanted)] if wanted == peer(2)));
    assert_eq!(a.drops(), [("parked_full", 1)]);
    a.mail(Update::Peer(peer(2), Arc::new(a.tx(2, PeerKind::Node, Some(path(2)), true))));
    carry(&mut a, &mut b);
    b.end();
    assert_eq!(
        b.writes().iter().flat_map(|(gso, p)| segment(*gso, p)).collect::<Vec<_>>(),
        segment(gso, &packet)
    );
    a.read_tun(gso, &packet);
    a.end();
    assert_eq!(a.datagrams().len(), 5, "nothing waits any more");
}

#[test]
fn keys_are_refused_from_their_last_moment_on_both_ways() {
    let (mut a, mut b) = pair();
    let last = NOW + Duration::from_secs(180);
    let mut tx = a.tx(2, PeerKind::Node, Some(path(2)), true);
    tx.key = Some(Arc::new(SendKey::new(index(2, 1), aead(1, 2, 0), last)));
    a.mail(Update::Peer(peer(2), Arc::new(tx)));
    b.mail(Update::Receive(Box::new(ReceiveKey::new(index(2, 1), peer(1), aead(1, 2, 0), last))));
    a.now = Instant::from_micros(last.as_micros() - 1);
    b.now = last;
    a.read_tun(plain(), &ping(host(1), host(2), 56));
    carry(&mut a, &mut b);
    assert_dropped(&b, DropReason::KeyExpired);
    a.now = last;
    a.events();
    a.read_tun(plain(), &ping(host(1), host(2), 56));
    assert!(a.out.trains.is_empty());
    assert!(matches!(a.events()[..], [Event::Wanted(_)]));
}

#[test]
fn a_relay_carries_what_it_can_neither_read_nor_change() {
    for (middle, last) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut a, mut relay, mut b) = trio_of([true, middle, last]);
        let payload = bytes(40 * 1200);
        let (gso, packet) = tcp_super(host(1), host(3), 7, 0x10, &payload, 1200);
        a.read_tun(gso, &packet);
        a.end();
        assert!(a.datagrams().iter().all(|datagram| datagram[0] == if middle { 5 } else { 4 }));
        carry(&mut a, &mut relay);
        relay.end();
        assert!(relay.out.writes.is_empty());
        assert_eq!(relay.out.trains.len(), 1, "what came in one train leaves in one");
        assert!(relay.datagrams().iter().all(|datagram| datagram[0] == if middle && last { 5 } else { 4 }));
        let secret = &payload[100..132];
        let seen = &relay.arena[..];
        assert!(!seen.windows(32).any(|window| window == secret));
        carry(&mut relay, &mut b);
        b.end();
        assert_eq!(b.writes(), [(gso, packet)]);
        assert!(b.drops().is_empty());
    }
}

/// A ping from the first to the third, as the relay gets it.
fn relayed_ping(a: &mut Node) -> Vec<u8> {
    a.read_tun(plain(), &ping(host(1), host(3), 56));
    a.end();
    let datagram = a.datagrams().remove(0);
    a.clear();
    datagram
}

#[test]
fn a_relayed_datagram_shows_neither_who_speaks_to_whom_nor_what_could_be_sent_on_without_the_relay() {
    let (mut a, _, _) = trio();
    let datagram = relayed_ping(&mut a);
    for hidden in [&router(1).0[..], &router(3).0[..], &index(3, 1).to_le_bytes()[..]] {
        assert!(!datagram.windows(hidden.len()).any(|window| window == hidden));
    }
}

#[test]
fn a_relayed_datagram_is_carried_once_and_only_as_the_neighbour_sealed_it() {
    let (mut a, mut relay, mut b) = trio();
    let datagram = relayed_ping(&mut a);
    let carried = datagram.len() - 16;
    for at in 0..datagram.len() {
        let mut changed = datagram.clone();
        changed[at] ^= 1;
        relay.read_udp(0, path(1), &changed, 0);
        relay.end();
        // What lies between the head and the tag it is bound to is carried, and refused by the other end.
        let is_opaque = (72..carried).contains(&at);
        assert_eq!(!relay.out.trains.is_empty(), is_opaque, "octet {at}");
        if is_opaque {
            break;
        }
        relay.clear();
    }
    carry(&mut relay, &mut b);
    assert_eq!(b.drops(), [("bad_tag", 1)]);
    relay.clear();
    // The counter is used up by what was authentic so far as the relay can tell; a new one is carried, and once.
    relay.read_udp(0, path(1), &datagram, 0);
    assert_eq!(relay.stats.drops(DropReason::Replay), 1);
    for at in carried..datagram.len() {
        let mut changed = relayed_ping(&mut a);
        changed[at] ^= 1;
        relay.read_udp(0, path(1), &changed, 0);
        relay.end();
        assert!(relay.out.trains.is_empty(), "the head is bound to the tag");
        relay.clear();
    }
    let fresh = relayed_ping(&mut a);
    relay.read_udp(0, path(1), &fresh, 0);
    relay.read_udp(1, path(1), &fresh, 0);
    relay.end();
    assert_eq!(relay.datagrams().len(), 1);
    assert_eq!(relay.datagrams()[0].len(), fresh.len(), "no longer than what came");
    carry(&mut relay, &mut b);
    b.end();
    assert_eq!(b.writes().len(), 1);
}

#[test]
fn the_head_of_a_relayed_datagram_is_a_relay_frame_and_nothing_else() {
    // Sealed with the right key, by a neighbour that does not keep to the paper.
    let forged = |from: u8, frame: &[u8], counter: u64| {
        let mut datagram = [&[0; 32], frame].concat();
        let bound = *datagram.last_chunk().unwrap();
        write_relayed_header(datagram.first_chunk_mut().unwrap(), index(2, from), counter);
        let tag = aead(from, 2, 0).seal_head(counter, &bound, &mut datagram[32..72]);
        datagram[16..32].copy_from_slice(&tag);
        datagram
    };
    let whole = relay_frame(router(3), router(1), &[4; 64]).unwrap();
    let short = [&whole[..], &[0; 16]].concat();
    let message = message_frame(&[7; 84]).unwrap();
    let nested = relay_frame(router(2), router(1), &forged(1, &whole, 9)).unwrap();
    let (mut a, mut relay, _) = trio();
    a.clear();
    for (frame, drop) in [
        (&whole, None),
        (&short, Some("frame_malformed")),
        (&message, Some("frame_malformed")),
        (&nested, Some("relay_refused")),
    ] {
        let counter = 20 + frame.len() as u64;
        let before: u64 = relay.drops().iter().map(|(_, count)| count).sum();
        relay.read_udp(0, path(1), &forged(1, frame, counter), 0);
        relay.end();
        let drops = relay.drops();
        assert_eq!(relay.out.trains.len(), usize::from(drop.is_none()), "{drops:?}");
        assert_eq!(drops.iter().map(|(_, count)| count).sum::<u64>() - before, u64::from(drop.is_some()));
        assert!(drop.is_none_or(|drop| drops.iter().any(|(name, _)| *name == drop)), "{drops:?}");
        assert!(!relay.events().iter().any(|event| matches!(event, Event::Inner { .. })));
        relay.clear();
    }
    for kind in [PeerKind::Guest, PeerKind::Stock] {
        let mut relay = Node::new(2);
        relay.meet(1, kind, path(1));
        relay.clear();
        relay.read_udp(0, path(1), &forged(1, &whole, 1), 0);
        relay.end();
        assert!(relay.out.trains.is_empty());
        assert_eq!(relay.drops().len(), 1);
    }
}

#[test]
fn a_datagram_changed_by_a_relay_does_not_open() {
    let (mut a, mut relay, mut b) = trio_of([false; 3]);
    for (change, dropped) in [(0, vec![]), (1, vec![("bad_tag", 1)])] {
        let packet = ping(host(1), host(3), 56);
        a.read_tun(plain(), &packet);
        a.end();
        // The relay's own session opens with the relay's own key, and shows a sealed datagram.
        let mut datagram = a.datagrams().remove(0);
        a.clear();
        let len = aead(1, 2, 0).open_in_place(change, &mut datagram[16..]).unwrap();
        let mut frame = datagram[16..16 + len].to_vec();
        let sealed = usize::from(u16::from_be_bytes([frame[2], frame[3]]));
        frame.truncate(sealed);
        frame[60] ^= change as u8;
        relay.mail(Update::Send(peer(3), frame));
        carry(&mut relay, &mut b);
        b.end();
        assert_eq!(b.drops(), dropped);
        assert_eq!(b.writes().len(), usize::from(change == 0));
        b.clear();
    }
}

#[test]
fn the_hop_limit_ends_loops() {
    let mut ring = [Node::new(1), Node::new(2), Node::new(3)];
    for (at, next) in [(0, 1), (1, 2), (0, 2)] {
        let (left, right) = ring.split_at_mut(next);
        connect(&mut left[at], &mut right[0]);
    }
    for (node, next) in ring.iter_mut().zip([2, 3, 1]) {
        node.fib.routers = vec![(router(9), peer(next))];
        node.publish();
        node.clear();
    }
    ring[0].mail(Update::Send(peer(2), relay_frame(router(9), router(1), &[4; 64]).unwrap()));
    let mut hops = 0;
    while ring.iter().all(|node| node.drops().is_empty()) {
        let [a, b, c] = &mut ring;
        match hops % 3 {
            0 => carry(a, b),
            1 => carry(b, c),
            _ => carry(c, a),
        }
        hops += 1;
        assert!(hops < 100);
    }
    assert_eq!(hops, 16);
    assert_dropped(&ring[hops % 3], DropReason::RelayHopLimit);
}

#[test]
fn a_relay_frame_never_goes_back_to_where_it_came_from() {
    let (mut a, mut relay, _) = trio();
    relay.fib.routers = vec![(router(9), peer(1))];
    relay.publish();
    a.mail(Update::Send(peer(2), relay_frame(router(9), router(1), &[4; 64]).unwrap()));
    carry(&mut a, &mut relay);
    assert_dropped(&relay, DropReason::RelayNoRoute);
}

#[test]
fn a_guest_cannot_fill_the_queue_to_control() {
    for (kind, passed) in [(PeerKind::Guest, 40), (PeerKind::Node, 200)] {
        let (mut a, mut b) = pair();
        b.mail(Update::Peer(peer(1), Arc::new(b.tx(1, kind, Some(path(1)), true))));
        for _ in 0..200 {
            a.mail(Update::Send(peer(2), message_frame(b"again").unwrap()));
            carry(&mut a, &mut b);
        }
        let inner = b.events().iter().filter(|event| matches!(event, Event::Inner { .. })).count();
        assert_eq!(inner, passed);
        assert_eq!(b.stats.drops(DropReason::MessagesLimited), 200 - passed as u64);
        b.now += Duration::from_millis(50);
        a.mail(Update::Send(peer(2), message_frame(b"later").unwrap()));
        carry(&mut a, &mut b);
        assert!(b.events().iter().any(|event| matches!(event, Event::Inner { .. })), "it may go on, slowly");
    }
}

#[test]
fn who_alternates_between_two_paths_is_reported_a_few_times() {
    let (mut a, mut b) = pair();
    let mut moves = 0;
    for round in 0..100 {
        a.read_tun(plain(), &ping(host(1), host(2), 56));
        a.end();
        let datagram = a.datagrams().remove(0);
        a.clear();
        b.read_udp(0, path(70 + round % 2), &datagram, 0);
        b.end();
        moves += b.events().iter().filter(|event| matches!(event, Event::Moved { .. })).count();
        b.clear();
    }
    assert_eq!(moves, 4);
}

#[test]
fn relaying_can_be_refused_capped_and_without_a_route() {
    let cases = [(0, 3, "relay_refused"), (1, 3, ""), (1 << 40, 9, "relay_no_route")];
    for (transit, to, reason) in cases {
        let (mut a, mut relay, mut b) =
            (Node::new(1), Node::with(2, |config| config.transit = transit), Node::new(3));
        connect_through(&mut a, &mut relay, &mut b);
        relay.clear();
        a.mail(Update::Send(peer(2), relay_frame(router(to), router(1), &[4; 64]).unwrap()));
        carry(&mut a, &mut relay);
        let drops = relay.drops();
        assert_eq!(drops.first().map_or("", |(name, _)| name), reason);
        let told =
            relay.events().iter().any(|e| matches!(e, Event::NoRelay { router: r, .. } if *r == router(9)));
        assert_eq!(told, to == 9);
    }
    let (mut a, mut relay, mut b) = (Node::new(1), Node::with(2, |config| config.transit = 1), Node::new(3));
    connect_through(&mut a, &mut relay, &mut b);
    let (gso, packet) = tcp_super(host(1), host(3), 7, 0x10, &bytes(60_000), 1200);
    for _ in 0..4 {
        a.clear();
        a.read_tun(gso, &packet);
        carry(&mut a, &mut relay);
        relay.end();
        relay.clear();
    }
    assert!(relay.stats.drops(DropReason::RelayCapped) > 0);
}

#[test]
fn a_relay_frame_within_a_relay_frame_is_refused() {
    let (mut a, mut relay, mut b) = trio();
    a.mail(Update::Send(peer(3), relay_frame(router(3), router(1), &[4; 64]).unwrap()));
    carry(&mut a, &mut relay);
    carry(&mut relay, &mut b);
    assert_dropped(&b, DropReason::RelayRefused);
}

#[test]
fn a_path_through_a_neighbour_leaves_the_neighbours_mtu_whole() {
    let (mut a, mut relay, mut b) = trio();
    for payload in 1284..1316 {
        let packet = ping(host(1), host(3), payload);
        let fits = packet.len() <= usize::from(MTU) - 56;
        a.read_tun(plain(), &packet);
        assert_eq!(!a.out.trains.is_empty(), fits, "{}", packet.len());
        assert!(a.out.trains.iter().all(|train| train.stride <= MTU + 32));
        carry(&mut a, &mut relay);
        carry(&mut relay, &mut b);
        b.end();
        assert_eq!(b.writes().len(), usize::from(fits));
        b.clear();
    }
}

#[test]
fn a_relay_drops_what_the_next_way_does_not_carry_whole_and_says_so() {
    let (mut a, mut relay, mut b) = trio();
    // One key throughout: its counters may not begin again.
    let key = relay.tx(3, PeerKind::Node, Some(path(3)), true).key;
    let narrow = |relay: &mut Node, mtu| {
        let tx = relay.tx(3, PeerKind::Node, Some(path(3)), false);
        let tx = PeerTx { key: key.clone(), mtu, whole: mtu > 1280, ..tx };
        relay.mail(Update::Peer(peer(3), Arc::new(tx)));
    };
    // Frames are 56 octets longer than the packets in them, which are padded to 16.
    for (mtu, len, passes) in
        [(1380, 1312, true), (1380, 1313, false), (1340, 1280, true), (1340, 1300, false), (1280, 1280, true)]
    {
        relay.clear();
        narrow(&mut relay, mtu);
        a.read_tun(plain(), &ping(host(1), host(3), len - 48));
        carry(&mut a, &mut relay);
        assert_eq!(!relay.out.trains.is_empty(), passes, "{mtu} {len}");
        assert!(relay.out.trains.iter().all(|train| train.stride <= mtu.max(1336) + 32));
        let told = relay.events().iter().find_map(|event| match event {
            Event::RelayTooBig { peer: from, router: to, frame } => Some((*from, *to, *frame)),
            _ => None,
        });
        assert_eq!(told, (!passes).then_some((peer(1), router(3), mtu)), "{mtu} {len}");
        carry(&mut relay, &mut b);
        b.end();
        assert_eq!(b.writes().len(), usize::from(passes));
        b.clear();
    }
    assert_eq!(relay.stats.drops(DropReason::RelayTooBig), 2);
}

#[test]
fn a_probe_of_size_is_exactly_as_long_as_it_says_and_is_never_fragmented() {
    let (mut a, mut b) = pair();
    for len in [64, 1281, 1337, 1420] {
        let probe = message_frame(&vec![0; len - 4]).unwrap();
        a.mail(Update::Measure(peer(2), path(2), probe.clone()));
        assert_eq!(a.out.trains[0].all.len as usize, len + 32);
        assert_eq!(a.out.trains[0].fragmentation, Fragmentation::Never);
        carry(&mut a, &mut b);
        let come =
            b.events().iter().any(|event| matches!(event, Event::Inner { packet, .. } if *packet == probe));
        assert!(come, "{len}");
        b.clear();
    }
}

#[test]
fn only_a_path_that_is_known_is_used_without_regard_to_icmp() {
    let (mut a, _) = pair();
    for (whole, expected) in [(true, Fragmentation::Free), (false, Fragmentation::Kernel)] {
        let tx = a.tx(2, PeerKind::Node, Some(path(2)), true);
        a.mail(Update::Peer(peer(2), Arc::new(PeerTx { whole, ..tx })));
        a.read_tun(plain(), &ping(host(1), host(2), 56));
        assert_eq!(a.out.trains[0].fragmentation, expected);
        a.clear();
    }
}

#[test]
fn handshakes_pass_the_gate_with_mac1_and_are_answered_by_cookies_under_load() {
    let (_, mut b) = pair();
    let me = PublicKey([7; 32]);
    b.mail(Update::Gate(Arc::new(Gate::new(CookieChecker::new(&me, NOW, [3; 32])))));
    let mut message = [0u8; 148];
    message[0] = 1;
    b.read_udp(0, path(9), &message, 0);
    assert_eq!(b.drops(), [("bad_mac1", 1)]);
    let mut jar = CookieJar::new(&me);
    jar.write_macs(NOW, &mut message);
    b.read_udp(0, path(9), &message, 0);
    assert!(
        matches!(&b.events()[..], [Event::Handshake { from, message: m }] if *from == path(9) && m[..] == message)
    );
    b.forwarder.set_queue_fill(50);
    b.read_udp(0, path(9), &message, 0);
    b.end();
    assert!(b.events().is_empty());
    let (to, reply, _) = b.trains().remove(0);
    assert_eq!(to, path(9));
    jar.open_reply(NOW, &reply.try_into().unwrap()).unwrap();
    b.clear();
    jar.write_macs(NOW, &mut message);
    b.read_udp(0, path(9), &message, 0);
    assert_eq!(b.events().len(), 1);
}

#[test]
fn congestion_seen_outside_goes_inside_or_drops_the_packet() {
    for (inner, expected) in [(2u8, Some(3u8)), (0, None)] {
        let (mut a, mut b) = pair();
        let mut packet = ping(host(1), host(2), 8);
        packet[1] |= inner << 4;
        a.read_tun(plain(), &packet);
        a.end();
        assert_eq!(a.out.trains[0].ecn.0, inner);
        a.out.trains[0].ecn.0 = 3;
        carry(&mut a, &mut b);
        b.end();
        match expected {
            Some(mark) => assert_eq!(b.written()[1] >> 4, mark),
            None => assert_dropped(&b, DropReason::NotEcnCapable),
        }
    }
}

#[test]
fn a_replaced_table_goes_back_to_control() {
    let (mut a, _) = pair();
    a.fib.generation = 5;
    a.publish();
    a.mail(Update::Fib(Arc::default()));
    assert!(matches!(&a.events()[..], [Event::Retired(old)] if old.generation() == 5));
}

#[test]
fn rights_that_are_withdrawn_hold_no_longer() {
    let (mut a, mut b) = pair();
    let packet = ping(host(1), host(2), 56);
    pass(&mut a, &mut b, plain(), &packet);
    b.clear();
    b.fib.owners.retain(|(prefix, _)| !prefix.contains(host(1)));
    b.publish();
    pass(&mut a, &mut b, plain(), &packet);
    assert_dropped(&b, DropReason::SourceNotTheirs);
    b.route_to(1);
    pass(&mut a, &mut b, plain(), &packet);
    assert_eq!(b.writes().len(), 1);
    b.mail(Update::Peer(peer(1), Arc::new(b.tx(1, PeerKind::Guest, Some(path(1)), true))));
    b.clear();
    pass(&mut a, &mut b, plain(), &packet);
    assert!(b.out.writes.is_empty());
    a.fib.owners.clear();
    a.publish();
    a.read_tun(plain(), &packet);
    assert_dropped(&a, DropReason::SourceNotOurs);
}

#[test]
fn what_one_peer_may_send_another_may_not() {
    let (mut a, mut b) = pair();
    let mut c = Node::new(3);
    connect(&mut c, &mut b);
    c.fib.owners.push((prefix(1), vec![PeerIdx::SELF]));
    c.publish();
    b.clear();
    let packet = ping(host(1), host(2), 56);
    pass(&mut a, &mut b, plain(), &packet);
    assert_eq!(b.written(), packet);
    b.clear();
    pass(&mut c, &mut b, plain(), &packet);
    assert_dropped(&b, DropReason::SourceNotTheirs);
}

#[test]
fn strangers_leave_room_for_the_messages_of_peers() {
    let (mut a, mut b) = pair();
    let me = PublicKey([7; 32]);
    b.mail(Update::Gate(Arc::new(Gate::new(CookieChecker::new(&me, NOW, [3; 32])))));
    let mut message = [0u8; 148];
    message[0] = 1;
    CookieJar::new(&me).write_macs(NOW, &mut message);
    for source in 10..=255 {
        b.read_udp(0, path(source), &message, 0);
    }
    assert_eq!(b.drops(), [("event_queue_full", 246 - 64)]);
    a.mail(Update::Send(peer(2), message_frame(b"hello").unwrap()));
    carry(&mut a, &mut b);
    let (strangers, others): (Vec<_>, Vec<_>) = b.events().into_iter().partition(Event::is_strangers);
    assert_eq!(strangers.len(), 64);
    assert!(others.iter().any(|event| matches!(event, Event::Inner { .. })));
}

#[test]
fn a_packet_waits_for_the_session_with_the_neighbour_on_its_way_too() {
    let (mut a, _, _) = trio();
    a.mail(Update::Peer(peer(2), Arc::new(a.tx(2, PeerKind::Node, Some(path(2)), false))));
    a.read_tun(plain(), &ping(host(1), host(3), 56));
    assert!(matches!(a.events()[..], [Event::Wanted(wanted)] if wanted == peer(2)));
    assert!(a.out.trains.is_empty());
    a.mail(Update::Peer(peer(2), Arc::new(a.tx(2, PeerKind::Node, Some(path(2)), true))));
    assert_eq!(a.out.trains.len(), 1);
    assert!(a.drops().is_empty());
}

#[test]
fn where_there_is_room_the_largest_read_fits() {
    for layout in [ArenaLayout::STANDARD, ArenaLayout::SMALL] {
        for size in [128, 536, 1290] {
            let (mut a, mut relay, mut b) =
                (Node::with(1, |c| c.layout = layout), Node::new(2), Node::new(3));
            connect_through(&mut a, &mut relay, &mut b);
            let (gso, packet) = tcp_super(host(1), host(3), 7, 0x10, &bytes(65_535 - 32), size);
            for _ in 0..20 {
                if !a.forwarder.room(&a.out) {
                    a.end();
                    a.clear();
                }
                a.read_tun(gso, &packet);
            }
            assert!(a.drops().is_empty());
        }
    }
}

#[test]
fn a_run_goes_on_from_one_read_to_the_next_and_ends_with_the_batch() {
    let (mut a, mut b) = pair();
    for batch in 0..2 {
        for part in 0..4u32 {
            a.read_tun(plain(), &tcp(host(1), host(2), part * 1000, 0x10, &bytes(1000)));
            a.end();
            let datagram = a.datagrams().remove(0);
            a.clear();
            b.read_udp(part as usize, path(1), &datagram, 0);
        }
        b.end();
        assert_eq!(b.writes().len(), 1, "batch {batch}");
        assert_eq!(b.writes()[0].0.size, 1000);
        b.clear();
    }
}

/// One packet of one of two flows.
#[derive(Clone, Debug)]
enum Piece {
    Super { flow: u8, len: usize, size: u16, flags: u8 },
    Single { flow: u8, len: usize, flags: u8 },
    Udp { len: usize, size: u16 },
    Ping,
}

fn piece() -> impl Strategy<Value = Piece> {
    let flags = prop::sample::select(vec![0x10u8, 0x18, 0x11, 0x19, 0x50, 0x90, 0x12, 0x04]);
    prop_oneof![
        (0u8..3, 1usize..20_000, 200u16..1348, flags.clone())
            .prop_map(|(flow, len, size, flags)| Piece::Super { flow, len, size, flags }),
        (0u8..3, 0usize..1300, flags).prop_map(|(flow, len, flags)| Piece::Single { flow, len, flags }),
        (1usize..5000, 100u16..1300).prop_map(|(len, size)| Piece::Udp { len, size }),
        Just(Piece::Ping),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever is sent arrives packet for packet, octet for octet, in order within each flow: coalescing is undone by the
    /// kernel's segmentation.
    #[test]
    fn splitting_and_merging_change_nothing(pieces in proptest::collection::vec(piece(), 1..12), relayed: bool) {
        let (mut a, mut relay, mut b) = trio();
        if !relayed {
            connect(&mut a, &mut b);
        }
        for node in [&mut a, &mut relay, &mut b] {
            node.clear();
        }
        let mut sequence = [1u32, u32::MAX - 3000, 77];
        let mut sent = Vec::new();
        for piece in pieces {
            let to = |flow: u8| prefix(3).address(0x100 + u128::from(flow));
            let (gso, packet) = match piece {
                Piece::Super { flow, len, size, flags } => {
                    let at = sequence[usize::from(flow)];
                    sequence[usize::from(flow)] = at.wrapping_add(len as u32);
                    tcp_super(host(1), to(flow), at, flags, &bytes(len), size.min(1290))
                }
                Piece::Single { flow, len, flags } => {
                    let at = sequence[usize::from(flow)];
                    sequence[usize::from(flow)] = at.wrapping_add(len as u32);
                    (plain(), tcp(host(1), to(flow), at, flags, &bytes(len.min(1290))))
                }
                Piece::Udp { len, size } => udp_super(host(1), to(0), (9, 10), &bytes(len), size),
                Piece::Ping => (plain(), ping(host(1), to(0), 10)),
            };
            sent.extend(segment(gso, &packet));
            prop_assert!(a.forwarder.room(&a.out));
            a.read_tun(gso, &packet);
            // Trains arrive one by one, up to four in a batch.
            if relayed {
                carry(&mut a, &mut relay);
                carry(&mut relay, &mut b);
            } else {
                carry(&mut a, &mut b);
            }
            b.end();
            let got: Vec<_> = b.writes().iter().flat_map(|(gso, p)| segment(*gso, p)).collect();
            b.clear();
            for packet in got {
                let at = sent.iter().position(|other| other[..4] == packet[..4] && other[6..44] == packet[6..44]);
                prop_assert!(at.is_some());
                prop_assert_eq!(&sent.remove(at.unwrap()), &packet);
            }
        }
        prop_assert!(sent.is_empty());
        prop_assert_eq!((a.drops(), relay.drops(), b.drops()), (vec![], vec![], vec![]));
    }

    #[test]
    fn no_datagram_and_no_packet_panics(head in 0u8..5, mut bytes in proptest::collection::vec(any::<u8>(), 0..400), stride in 0u16..500) {
        let (mut a, mut b) = pair();
        if bytes.len() > 8 {
            bytes[..4].copy_from_slice(&[head, 0, 0, 0]);
            bytes[4..8].copy_from_slice(&index(2, 1).to_le_bytes());
        }
        b.read_udp(0, path(1), &bytes, stride);
        b.end();
        b.clear();
        // The same octets as authentic text, as a packet, and as what the TUN says.
        for first in [0x00, 0x60] {
            if let Some(byte) = bytes.first_mut() { *byte = first; }
            a.mail(Update::Send(peer(2), bytes.clone()));
            carry(&mut a, &mut b);
            b.end();
            b.clear();
            for kind in [GsoKind::None, GsoKind::TcpV6, GsoKind::UdpL4] {
                let gso = Gso { kind, needs_csum: true, hdr_len: stride, size: stride, csum_start: stride, csum_offset: 6 };
                a.read_tun(gso, &bytes);
            }
        }
    }
}
