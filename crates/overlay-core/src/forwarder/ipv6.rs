//! What the forwarder reads of an inner packet (RFC 8200).

use crate::forwarder::batch::Ecn;
use crate::forwarder::drop::DropReason;
use core::net::Ipv6Addr;

/// Octets of the fixed header.
pub(crate) const HEADER: usize = 40;
/// Next-header numbers.
pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
pub(crate) const ICMP: u8 = 58;
pub(crate) const DESTINATION_OPTIONS: u8 = 60;

/// The fixed header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) src: Ipv6Addr,
    pub(crate) dst: Ipv6Addr,
    pub(crate) next: u8,
    pub(crate) ecn: Ecn,
    /// Octets of the whole packet; the buffer has at least that many.
    pub(crate) len: usize,
}

impl Header {
    /// Reads the header; what follows the packet in the buffer is padding.
    pub(crate) fn read(packet: &[u8]) -> Result<Header, DropReason> {
        if packet.first().is_none_or(|first| first >> 4 != 6) {
            return Err(DropReason::NotIpv6);
        }
        let header = packet.first_chunk::<HEADER>().ok_or(DropReason::Truncated)?;
        let len = HEADER + usize::from(u16::from_be_bytes([header[4], header[5]]));
        if packet.len() < len {
            return Err(DropReason::Truncated);
        }
        let ecn = Ecn(header[1] >> 4 & 3);
        Ok(Header { src: address(header, 8), dst: address(header, 24), next: header[6], ecn, len })
    }
}

fn address(header: &[u8; HEADER], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&header[at..at + 16]);
    Ipv6Addr::from(octets)
}

/// Whether the packets of a group stay on the link: interface-local and link-local scope (RFC 4291, section 2.7).
pub(crate) fn is_link_group(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 0xff && matches!(second & 0x0f, 1 | 2)
}

/// Congestion that the outer header saw goes into the inner one (RFC 6040, section 4.2). The traffic class is in no
/// checksum. `false` = the packet has to be dropped.
pub(crate) fn decapsulate_ecn(outer: Ecn, packet: &mut [u8]) -> bool {
    if outer.0 & 3 != 3 {
        return true;
    }
    let capable = packet[1] >> 4 & 3 != 0;
    if capable {
        packet[1] |= 0x30;
    }
    capable
}
