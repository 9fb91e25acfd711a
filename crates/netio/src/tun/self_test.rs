//! Asking the kernel whether it takes superpackets, before traffic depends on it.

use super::{Tun, vnet};
use ln6_overlay_core::forwarder::batch::{Gso, GsoKind};
use std::io::{self, Write};

/// Which superpackets the kernel takes from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTest {
    /// TCP.
    pub tcp: bool,
    /// UDP.
    pub udp: bool,
}

const IPV6: usize = 40;
const TCP: usize = 20;
const UDP: usize = 8;
const SEGMENT: usize = 64;

impl Tun {
    /// Writes superpackets of two segments, equal ones and with a short tail (kernels exist that refuse only the latter).
    ///
    /// They go from ::1 to ::1 with hop limit 0: the kernel parses the header first, and then drops what no wire may carry
    /// (RFC 4291, section 2.5.3).
    pub(super) fn self_test(&mut self, udp: bool) -> io::Result<SelfTest> {
        let takes = |kind| -> io::Result<bool> {
            Ok(self.accepts(&packet(kind, 2 * SEGMENT))? && self.accepts(&packet(kind, SEGMENT + 1))?)
        };
        let tcp = takes(GsoKind::TcpV6)?;
        Ok(SelfTest { tcp, udp: tcp && udp && takes(GsoKind::UdpL4)? })
    }

    fn accepts(&self, packet: &[u8]) -> io::Result<bool> {
        match (&self.file).write(packet) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A virtio header, IPv6, transport header and `payload` zeros.
fn packet(kind: GsoKind, payload: usize) -> Vec<u8> {
    let (protocol, transport, csum_offset) =
        if kind == GsoKind::UdpL4 { (libc::IPPROTO_UDP, UDP, 6) } else { (libc::IPPROTO_TCP, TCP, 16) };
    let gso = Gso {
        kind,
        needs_csum: true,
        hdr_len: (IPV6 + transport) as u16,
        size: SEGMENT as u16,
        csum_start: IPV6 as u16,
        csum_offset,
    };
    let mut packet = vnet::encode(&gso).to_vec();
    packet.extend([0x60, 0, 0, 0]);
    packet.extend(((transport + payload) as u16).to_be_bytes());
    packet.extend([protocol as u8, 0]);
    (0..2).for_each(|_| packet.extend(std::net::Ipv6Addr::LOCALHOST.octets()));
    packet.resize(packet.len() + transport + payload, 0);
    let header = &mut packet[vnet::HEADER_LEN + IPV6..];
    if kind == GsoKind::UdpL4 {
        header[4..6].copy_from_slice(&((transport + payload) as u16).to_be_bytes());
    } else {
        header[12] = (TCP as u8 / 4) << 4;
        header[13] = 0x10;
    }
    packet
}
