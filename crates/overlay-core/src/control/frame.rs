//! Frames: what ln6d nodes put into a session beside IP packets.
//!
//! ```text
//! octet 0      0x00 (no IP version, so stock peers drop it)
//! octet 1      kind: 1 peer message, 2 relay frame
//! octets 2-3   length of the whole frame, big-endian (the packet around it is padded)
//! octets 4-    body
//! ```

use crate::forwarder::mail::Packet;
use ln6_types::RouterId;

/// Octets before the body.
pub const HEADER: usize = 4;
/// Kind of a peer message.
pub const MESSAGE: u8 = 1;
/// Kind of a relay frame.
pub const RELAY: u8 = 2;
/// Hop limit that a relay frame starts with.
pub const HOP_LIMIT: u8 = 16;

fn start(kind: u8, body: usize) -> Packet {
    let len = (HEADER + body) as u16;
    let mut frame = Vec::with_capacity(HEADER + body);
    frame.extend_from_slice(&[0, kind]);
    frame.extend_from_slice(&len.to_be_bytes());
    frame
}

/// A peer message as an inner packet. `body` is at most 1200 octets.
pub fn message(body: &[u8]) -> Packet {
    let mut frame = start(MESSAGE, body.len());
    frame.extend_from_slice(body);
    frame
}

/// A datagram for `to`, as an inner packet for the next hop.
pub fn relay(to: RouterId, from: RouterId, datagram: &[u8]) -> Packet {
    let mut frame = start(RELAY, 20 + datagram.len());
    frame.extend_from_slice(&[HOP_LIMIT, 0, 0, 0]);
    frame.extend_from_slice(&to.0);
    frame.extend_from_slice(&from.0);
    frame.extend_from_slice(datagram);
    frame
}

/// The body of a peer message; `None` if this is no well-formed one. Padding after the frame is allowed.
pub fn message_body(packet: &[u8]) -> Option<&[u8]> {
    let header = packet.get(..HEADER)?;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] != 0 || header[1] != MESSAGE || len < HEADER {
        return None;
    }
    packet.get(HEADER..len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_padding() {
        let mut packet = message(b"hello");
        packet.resize(32, 0);
        assert_eq!(message_body(&packet), Some(&b"hello"[..]));
    }

    #[test]
    fn lengths_beyond_the_packet_and_other_kinds_are_refused() {
        assert_eq!(message_body(&[0, MESSAGE, 0, 9, 1]), None);
        assert_eq!(message_body(&[0, MESSAGE, 0, 3, 1]), None);
        assert_eq!(message_body(&[0, RELAY, 0, 5, 1]), None);
        assert_eq!(message_body(&[0x60, MESSAGE, 0, 5, 1]), None);
        assert_eq!(message_body(&[0]), None);
    }
}
