//! Frames: what ln6d nodes put in a session beside IP packets. The first octet is zero, so that a stock peer drops them
//! as neither IPv4 nor IPv6; the author is whoever holds the session's key.
//!
//! | octets | field |
//! | --- | --- |
//! | 1 | zero |
//! | 1 | kind: 1 = peer message, 2 = relay frame |
//! | 2 | length of the whole frame, big-endian; what follows is padding |
//! | … | body |
//!
//! The body of a relay frame: hop limit (1), zero (3), router-id of the destination (8), router-id of the source (8; a hint,
//! not authentic), and the sealed datagram as it would be on UDP.

use crate::forwarder::drop::DropReason;
use crate::forwarder::mail::Packet;
use ln6_types::RouterId;

/// Octets before the body of a frame.
pub const FRAME_HEADER: usize = 4;
/// Octets of a relay frame before the datagram in it.
pub const RELAY_HEADER: usize = FRAME_HEADER + 20;
/// The hop limit a relay frame starts with.
pub const HOP_LIMIT: u8 = 16;

const KIND_MESSAGE: u8 = 1;
const KIND_RELAY: u8 = 2;

/// A peer message as a frame; `None` if it is too long for one.
pub fn message_frame(body: &[u8]) -> Option<Packet> {
    let len = u16::try_from(FRAME_HEADER + body.len()).ok()?;
    let mut frame = Vec::with_capacity(usize::from(len));
    frame.extend_from_slice(&head(KIND_MESSAGE, len));
    frame.extend_from_slice(body);
    Some(frame)
}

/// A datagram (a handshake message, say) as a relay frame, for control to send to the next hop; `None` if it is too long.
pub fn relay_frame(to: RouterId, from: RouterId, datagram: &[u8]) -> Option<Packet> {
    u16::try_from(RELAY_HEADER + datagram.len()).ok()?;
    let mut frame = vec![0; RELAY_HEADER + datagram.len()];
    frame[RELAY_HEADER..].copy_from_slice(datagram);
    write_relay_header(&mut frame, to, from);
    Some(frame)
}

/// The body of a peer message as it comes in `Event::Inner`; `None` if the packet is no such frame.
pub fn message_body(frame: &[u8]) -> Option<&[u8]> {
    match Frame::read(frame) {
        Ok(Frame::Message { len }) => Some(&frame[FRAME_HEADER..len]),
        _ => None,
    }
}

fn head(kind: u8, len: u16) -> [u8; FRAME_HEADER] {
    let [high, low] = len.to_be_bytes();
    [0, kind, high, low]
}

/// Writes the header of a relay frame that fills `frame`.
pub(crate) fn write_relay_header(frame: &mut [u8], to: RouterId, from: RouterId) {
    let len = frame.len() as u16;
    frame[..4].copy_from_slice(&head(KIND_RELAY, len));
    frame[4..8].copy_from_slice(&[HOP_LIMIT, 0, 0, 0]);
    frame[8..16].copy_from_slice(&to.0);
    frame[16..24].copy_from_slice(&from.0);
}

/// Where in a relay frame the hop limit is.
pub(crate) const HOP_LIMIT_AT: usize = 4;

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Frame {
    /// A peer message of `len` octets with its header.
    Message { len: usize },
    /// A relay frame of `len` octets with its header.
    Relay { len: usize, hop_limit: u8, to: RouterId, from: RouterId },
}

impl Frame {
    /// Reads the header of a text whose first nibble is zero.
    pub(crate) fn read(text: &[u8]) -> Result<Frame, DropReason> {
        let malformed = DropReason::FrameMalformed;
        let (&[zero, kind, high, low], _) = text.split_first_chunk::<FRAME_HEADER>().ok_or(malformed)?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        if zero != 0 || len < FRAME_HEADER || len > text.len() {
            return Err(malformed);
        }
        match kind {
            KIND_MESSAGE => Ok(Frame::Message { len }),
            KIND_RELAY if len >= RELAY_HEADER => {
                let to = text[8..].first_chunk::<8>().ok_or(malformed)?;
                let from = text[16..].first_chunk::<8>().ok_or(malformed)?;
                let (to, from) = (RouterId(*to), RouterId(*from));
                Ok(Frame::Relay { len, hop_limit: text[HOP_LIMIT_AT], to, from })
            }
            _ => Err(malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_read_back_and_padding_is_not_theirs() {
        let mut frame = message_frame(b"hello").expect("short");
        assert_eq!(frame[..4], [0, 1, 0, 9]);
        frame.extend_from_slice(&[0; 7]);
        assert_eq!(message_body(&frame), Some(&b"hello"[..]));
        let relay = relay_frame(RouterId([1; 8]), RouterId([2; 8]), b"sealed").expect("short");
        assert_eq!(
            Frame::read(&relay),
            Ok(Frame::Relay { len: 30, hop_limit: HOP_LIMIT, to: RouterId([1; 8]), from: RouterId([2; 8]) })
        );
        assert_eq!(&relay[RELAY_HEADER..], b"sealed");
    }

    proptest! {
        #[test]
        fn a_frame_never_reaches_beyond_its_text(mut text in proptest::collection::vec(any::<u8>(), 0..64), kind in 0u8..4) {
            if text.len() >= 3 { text[..3].copy_from_slice(&[0, kind, 0]); }
            match Frame::read(&text) {
                Ok(Frame::Message { len }) => prop_assert!((FRAME_HEADER..=text.len()).contains(&len)),
                Ok(Frame::Relay { len, .. }) => prop_assert!((RELAY_HEADER..=text.len()).contains(&len)),
                Err(reason) => prop_assert_eq!(reason, DropReason::FrameMalformed),
            }
        }
    }
}
