//! A superpacket, as the kernel hands it over, becomes packets as the wire wants them.

use crate::forwarder::batch::{Gso, GsoKind};
use crate::forwarder::checksum::Sum;
use crate::forwarder::drop::DropReason;
use crate::forwarder::ipv6::{HEADER, TCP, UDP};

/// Flags of a TCP header's fourteenth octet (RFC 9293, section 3.1; RFC 3168).
pub(crate) const FIN: u8 = 0x01;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const ECE: u8 = 0x40;
pub(crate) const CWR: u8 = 0x80;

/// Offsets from the start of the packet (no extension headers).
pub(crate) const TCP_SEQUENCE: usize = HEADER + 4;
pub(crate) const TCP_FLAGS: usize = HEADER + 13;
pub(crate) const TCP_CHECKSUM: usize = HEADER + 16;
pub(crate) const UDP_LENGTH: usize = HEADER + 4;
pub(crate) const UDP_CHECKSUM: usize = HEADER + 6;
/// Octets of IPv6 and UDP header.
pub(crate) const UDP_HEADERS: usize = HEADER + 8;

/// Octets of IPv6 and TCP header; `None` if the packet is too short for what it says.
pub(crate) fn tcp_headers(packet: &[u8]) -> Option<usize> {
    let words = usize::from(packet.get(HEADER + 12)? >> 4);
    let len = HEADER + words * 4;
    (words >= 5 && len <= packet.len()).then_some(len)
}

/// How one packet or superpacket goes onto the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segments<'a> {
    packet: &'a [u8],
    /// Octets of headers that every segment repeats; 0 = one packet, taken as it is.
    headers: usize,
    /// Payload octets of each segment but the last.
    size: usize,
    udp: bool,
    /// For one packet: where a checksum has to be finished.
    unfinished: Option<(usize, usize)>,
    /// Sum over pseudo-header and transport header, without what differs between segments.
    common: Sum,
}

impl<'a> Segments<'a> {
    /// Looks at what the kernel said. `packet` is exactly the packet, `next` its next header.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] if the two contradict each other.
    pub(crate) fn of(gso: Gso, packet: &'a [u8], next: u8) -> Result<Self, DropReason> {
        let malformed = DropReason::Malformed;
        let headers = match (gso.kind, next) {
            (GsoKind::None, _) => return Self::single(gso, packet),
            (GsoKind::TcpV6, TCP) => tcp_headers(packet).ok_or(malformed)?,
            (GsoKind::UdpL4, UDP) if packet.len() >= UDP_HEADERS => UDP_HEADERS,
            _ => return Err(malformed),
        };
        let size = usize::from(gso.size);
        if size == 0 || packet.len() == headers {
            return Err(malformed);
        }
        let udp = gso.kind == GsoKind::UdpL4;
        Ok(Segments { packet, headers, size, udp, unfinished: None, common: common(&packet[..headers], udp) })
    }

    fn single(gso: Gso, packet: &'a [u8]) -> Result<Self, DropReason> {
        let unfinished = if gso.needs_csum {
            let (start, field) = (usize::from(gso.csum_start), usize::from(gso.csum_offset));
            if start < HEADER || start + field + 2 > packet.len() {
                return Err(DropReason::Malformed);
            }
            Some((start, start + field))
        } else {
            None
        };
        Ok(Segments {
            packet,
            headers: 0,
            size: packet.len(),
            udp: false,
            unfinished,
            common: Sum::default(),
        })
    }

    /// How many segments.
    pub(crate) fn count(&self) -> usize {
        (self.packet.len() - self.headers).div_ceil(self.size)
    }

    /// Octets of the `at`th segment; all but the last are equal.
    pub(crate) fn len(&self, at: usize) -> usize {
        let begin = self.headers + at * self.size;
        self.headers + self.size.min(self.packet.len() - begin)
    }

    /// Writes the `at`th segment to `buf`, which is exactly [`len`](Self::len) octets.
    pub(crate) fn write(&self, at: usize, buf: &mut [u8]) {
        if self.headers == 0 {
            buf.copy_from_slice(self.packet);
            if let Some((start, field)) = self.unfinished {
                finish(buf, start, field);
            }
            return;
        }
        let begin = self.headers + at * self.size;
        let (head, payload) = buf.split_at_mut(self.headers);
        head.copy_from_slice(&self.packet[..self.headers]);
        payload.copy_from_slice(&self.packet[begin..begin + payload.len()]);
        let upper = head.len() + payload.len() - HEADER;
        head[4..6].copy_from_slice(&(upper as u16).to_be_bytes());
        let sum = self.common.octets(payload).word(upper as u32);
        if self.udp {
            head[UDP_LENGTH..UDP_LENGTH + 2].copy_from_slice(&(upper as u16).to_be_bytes());
            let sum = sum.word(upper as u32);
            head[UDP_CHECKSUM..UDP_CHECKSUM + 2].copy_from_slice(&sum.udp_checksum());
        } else {
            let sum = self.number(at, head, sum);
            head[TCP_CHECKSUM..TCP_CHECKSUM + 2].copy_from_slice(&sum.checksum());
        }
    }

    /// Sequence number and flags of a TCP segment; returns the sum with both.
    fn number(&self, at: usize, head: &mut [u8], sum: Sum) -> Sum {
        let mut word = [0; 4];
        word.copy_from_slice(&head[TCP_SEQUENCE..TCP_SEQUENCE + 4]);
        let sequence = u32::from_be_bytes(word).wrapping_add((at * self.size) as u32);
        head[TCP_SEQUENCE..TCP_SEQUENCE + 4].copy_from_slice(&sequence.to_be_bytes());
        if at > 0 {
            head[TCP_FLAGS] &= !CWR;
        }
        if at + 1 < self.count() {
            head[TCP_FLAGS] &= !(FIN | PSH);
        }
        sum.word(sequence).word(u32::from(head[TCP_FLAGS]))
    }
}

/// Everything that is the same in all segments: addresses, protocol, and the transport header with zero for length, sequence
/// number, flags and checksum.
fn common(headers: &[u8], udp: bool) -> Sum {
    let mut upper = [0; 60];
    let len = headers.len() - HEADER;
    upper[..len].copy_from_slice(&headers[HEADER..]);
    if udp {
        upper[4..8].fill(0);
    } else {
        upper[4..8].fill(0);
        upper[13] = 0;
        upper[16..18].fill(0);
    }
    Sum::pseudo(&headers[8..HEADER], 0, if udp { UDP } else { TCP }).octets(&upper[..len])
}

/// Finishes a checksum whose field holds the sum of the pseudo-header.
fn finish(packet: &mut [u8], start: usize, field: usize) {
    let sum = Sum::default().octets(&packet[start..]);
    let udp = field - start == UDP_CHECKSUM - HEADER;
    let value = if udp { sum.udp_checksum() } else { sum.checksum() };
    packet[field..field + 2].copy_from_slice(&value);
}
