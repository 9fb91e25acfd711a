//! A relay between two nodes.

use crate::input::Input;
use crate::net::{MTU, Node, aead, index, path, peer, router};
use crate::transport::sealed;
use ln6_crypto::message::{TRANSPORT_HEADER, TRANSPORT_OVERHEAD, read_transport_header};
use ln6_overlay_core::Path;
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::frame::{RELAY_HEADER, message_body, relay_frame};
use ln6_overlay_core::forwarder::mail::PeerKind;

const RELAY: u8 = 6;
const FROM: u8 = 1;
const NEXT: u8 = 7;
const FRAMES: usize = 16;

/// Frames with any header and body, in a neighbour's session. What is passed on is the same but for the hop limit, was
/// no guest's, and is as long as it came, padding apart; every other is dropped for one reason, or is ours.
pub fn relay_frame_body(data: &[u8]) {
    let mut input = Input::new(data);
    let mut relay = Node::with(RELAY, |config| config.layout = ArenaLayout::SMALL);
    relay.meet(FROM, PeerKind::Node, path(FROM));
    relay.meet(NEXT, PeerKind::Node, path(NEXT));
    relay.meet(8, PeerKind::Node, Path::Through(peer(NEXT)));
    relay.meet(9, PeerKind::Guest, path(9));
    relay.fib.routers = [NEXT, 8, 9].map(|number| (router(number), peer(number))).to_vec();
    relay.publish();
    let mut sent = 0;
    for counter in 0..FRAMES as u64 {
        if input.is_empty() {
            break;
        }
        let from = if input.octet() < 0xf0 { FROM } else { 9 };
        let frame = frame(&mut input);
        let padding = usize::from(input.octet() & 15);
        // A frame may end within the zeros that the text is padded with.
        let mut inner = [&frame[..], &[0; 15][..padding]].concat();
        inner.resize(inner.len().next_multiple_of(16), 0);
        let datagram = sealed(from, RELAY, counter, &inner);
        relay.read_udp(0, path(from), &datagram, datagram.len() as u16);
        relay.end();
        for (to, bytes, stride) in relay.trains() {
            assert!(from == FROM && to == path(NEXT) && usize::from(stride) == bytes.len());
            passed_on(&inner, &bytes, sent);
            // Padding that the next way does not take in one piece is left away.
            assert!(bytes.len() == datagram.len().min(usize::from(MTU) + TRANSPORT_OVERHEAD));
            sent += 1;
        }
        assert!(relay.out.trains.len() <= 1);
        relay.clear();
    }
}

/// A relay frame, whole or with a header of the input's.
fn frame(input: &mut Input<'_>) -> Vec<u8> {
    let how = input.octet();
    let to = router(input.choose(&[NEXT, NEXT, RELAY, 8, 9, 77]));
    let body = input.chunk(1400);
    let mut frame = relay_frame(to, router(FROM), body).expect("short");
    assert_eq!(message_body(&frame), None);
    if how & 1 != 0 {
        let header: [u8; 8] = input.array();
        frame[..8].copy_from_slice(&header);
        if how & 2 != 0 {
            frame[..2].copy_from_slice(&[0, 2]);
        }
        if how & 4 != 0 {
            let len = frame.len() as u16;
            frame[2..4].copy_from_slice(&len.to_be_bytes());
        }
    }
    frame
}

/// The frame as the next hop opens it.
fn passed_on(inner: &[u8], datagram: &[u8], counter: u64) {
    let mut datagram = datagram.to_vec();
    assert_eq!(read_transport_header(&datagram), Some((index(NEXT, RELAY), counter)));
    let opened =
        aead(RELAY, NEXT, 0).open_in_place(counter, &mut datagram[TRANSPORT_HEADER..]).expect("sealed");
    let text = &datagram[TRANSPORT_HEADER..][..opened];
    let len = usize::from(u16::from_be_bytes([inner[2], inner[3]]));
    assert!(len >= RELAY_HEADER && len <= inner.len());
    assert!(text[..4] == inner[..4] && text[5..len] == inner[5..len]);
    assert_eq!(text[4], inner[4].checked_sub(1).expect("a frame without hops left goes nowhere"));
    assert!(text[len..].iter().all(|octet| *octet == 0), "padding says nothing");
}
