//! ICMPv6 errors (RFC 4443) about packets read from the TUN, written back to it.

use crate::forwarder::checksum::Sum;
use crate::forwarder::ipv6::{DESTINATION_OPTIONS, FRAGMENT, HEADER, HOP_BY_HOP, ICMP, ROUTING};
use core::net::Ipv6Addr;

/// Octets of the ICMPv6 header before the quoted packet.
const ICMP_HEADER: usize = 8;
/// An error is no longer than the smallest MTU (RFC 4443, section 2.4).
const LARGEST: usize = 1280;
/// Extension headers that are looked through to find what a packet is.
const EXTENSIONS: usize = 4;

/// What is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IcmpError {
    /// Type 1, code 0: no route to destination.
    NoRoute,
    /// Type 1, code 3: address unreachable.
    AddressUnreachable,
    /// Type 1, code 5: source address failed ingress/egress policy.
    SourcePolicy,
    /// Type 2, with the MTU of the way.
    TooBig(u32),
}

impl IcmpError {
    const fn fields(self) -> (u8, u8, u32) {
        match self {
            IcmpError::NoRoute => (1, 0, 0),
            IcmpError::AddressUnreachable => (1, 3, 0),
            IcmpError::SourcePolicy => (1, 5, 0),
            IcmpError::TooBig(mtu) => (2, 0, mtu),
        }
    }
}

/// Octets of the error about `packet`.
pub(crate) fn error_len(packet: &[u8]) -> usize {
    (HEADER + ICMP_HEADER + packet.len()).min(LARGEST)
}

/// Writes the error about `packet`, from `node` to the packet's source, into `buf` of [`error_len`] octets.
pub(crate) fn write_error(error: IcmpError, node: Ipv6Addr, packet: &[u8], buf: &mut [u8]) {
    let upper = buf.len() - HEADER;
    let (kind, code, word) = error.fields();
    buf[..4].copy_from_slice(&[0x60, 0, 0, 0]);
    buf[4..6].copy_from_slice(&(upper as u16).to_be_bytes());
    buf[6..8].copy_from_slice(&[ICMP, 64]);
    buf[8..24].copy_from_slice(&node.octets());
    buf[24..40].copy_from_slice(&packet[8..24]);
    buf[40..44].copy_from_slice(&[kind, code, 0, 0]);
    buf[44..48].copy_from_slice(&word.to_be_bytes());
    let quoted = buf.len() - HEADER - ICMP_HEADER;
    buf[48..].copy_from_slice(&packet[..quoted]);
    let sum = Sum::pseudo(&buf[8..40], upper, ICMP).octets(&buf[40..]);
    buf[42..44].copy_from_slice(&sum.checksum());
}

/// Whether an error may answer the packet: never an ICMPv6 error or a redirect, never a later fragment, and not what cannot
/// be read (RFC 4443, section 2.4 e). Multicast was dropped before.
pub(crate) fn may_answer(packet: &[u8]) -> bool {
    let (mut next, mut at) = (packet[6], HEADER);
    for _ in 0..EXTENSIONS {
        let Some(&[following, len, high, low]) = packet.get(at..).and_then(|rest| rest.first_chunk::<4>())
        else {
            return next != ICMP && !matches!(next, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | FRAGMENT);
        };
        match next {
            ICMP => return following >= 128 && following != 137, // here the first octet is the type
            FRAGMENT if (u16::from_be_bytes([high, low]) & !7) != 0 => return false,
            FRAGMENT => at += 8,
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => at += 8 + usize::from(len) * 8,
            _ => return true,
        }
        next = following;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(next: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; HEADER];
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&(body.len() as u16).to_be_bytes());
        packet[6] = next;
        packet.extend_from_slice(body);
        packet
    }

    #[test]
    fn errors_and_redirects_are_not_answered_also_behind_extension_headers() {
        assert!(may_answer(&packet(ICMP, &[128, 0, 0, 0])));
        assert!(!may_answer(&packet(ICMP, &[1, 0, 0, 0])));
        assert!(!may_answer(&packet(ICMP, &[137, 0, 0, 0])));
        assert!(!may_answer(&packet(ICMP, &[])));
        assert!(!may_answer(&packet(HOP_BY_HOP, &[ICMP, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0])));
        assert!(may_answer(&packet(HOP_BY_HOP, &[17, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0])));
        assert!(!may_answer(&packet(FRAGMENT, &[17, 0, 0, 8, 0, 0, 0, 0, 2, 0, 0, 0])));
        assert!(!may_answer(&packet(HOP_BY_HOP, &[HOP_BY_HOP, 0, 0, 0, 0, 0, 0, 0].repeat(9))));
    }

    #[test]
    fn an_error_quotes_the_packet_and_has_a_right_checksum() {
        let offending = packet(17, &[7; 2000]);
        let mut buf = vec![0; error_len(&offending)];
        write_error(IcmpError::TooBig(1280), Ipv6Addr::LOCALHOST, &offending, &mut buf);
        assert_eq!(buf.len(), 1280);
        assert_eq!(buf[40..42], [2, 0]);
        assert_eq!(buf[44..48], 1280u32.to_be_bytes());
        assert_eq!(buf[48..], offending[..1232]);
        assert!(Sum::pseudo(&buf[8..40], buf.len() - 40, ICMP).octets(&buf[40..]).is_intact());
    }
}
