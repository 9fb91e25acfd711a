//! `struct virtio_net_hdr`, in the host's byte order (a TUN's default; virtio 1.0 would be little-endian).

use ln6_overlay_core::forwarder::batch::{Gso, GsoKind};

/// Octets of the header.
pub const HEADER_LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const TCP_V4: u8 = 1;
const TCP_V6: u8 = 4;
const UDP_L4: u8 = 5;
/// Segments carry ECN: never asked for (`TUN_F_TSO_ECN`), but harmless.
const ECN: u8 = 0x80;

/// Reads the header in front of a packet of `len` octets. `None` when it names a segmentation that we do not ask for, or points
/// outside the packet.
pub fn decode(header: &[u8; HEADER_LEN], len: usize) -> Option<Gso> {
    let word = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let kind = match header[1] & !ECN {
        0 => GsoKind::None,
        TCP_V4 => GsoKind::TcpV4,
        TCP_V6 => GsoKind::TcpV6,
        UDP_L4 => GsoKind::UdpL4,
        _ => return None,
    };
    let needs_csum = header[0] & NEEDS_CSUM != 0;
    let mut gso = Gso { kind, needs_csum, ..Gso::default() };
    if needs_csum {
        (gso.csum_start, gso.csum_offset) = (word(6), word(8));
        if usize::from(gso.csum_start) + usize::from(gso.csum_offset) + 2 > len {
            return None;
        }
    }
    if kind != GsoKind::None {
        // `hdr_len` is only a hint (virtio 1.2, 5.1.6.2.2), also for us: whoever needs it reads the packet.
        (gso.hdr_len, gso.size) = (word(2), word(4));
        if gso.size == 0 || !needs_csum || usize::from(gso.hdr_len) > len {
            return None;
        }
    }
    Some(gso)
}

/// Writes the header.
pub fn encode(gso: &Gso) -> [u8; HEADER_LEN] {
    let kind = match gso.kind {
        GsoKind::None => 0,
        GsoKind::TcpV4 => TCP_V4,
        GsoKind::TcpV6 => TCP_V6,
        GsoKind::UdpL4 => UDP_L4,
    };
    let mut header = [0; HEADER_LEN];
    header[0] = if gso.needs_csum { NEEDS_CSUM } else { 0 };
    header[1] = kind;
    for (at, word) in [(2, gso.hdr_len), (4, gso.size), (6, gso.csum_start), (8, gso.csum_offset)] {
        header[at..at + 2].copy_from_slice(&word.to_ne_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let gso = Gso {
            kind: GsoKind::UdpL4,
            needs_csum: true,
            hdr_len: 48,
            size: 1200,
            csum_start: 40,
            csum_offset: 6,
        };
        assert_eq!(decode(&encode(&gso), 48 + 2400), Some(gso));
        assert_eq!(decode(&[0; HEADER_LEN], 0), Some(Gso::default()));
    }

    #[test]
    fn the_ecn_mark_is_ignored_and_fragmentation_offload_refused() {
        let tcp = Gso {
            kind: GsoKind::TcpV4,
            needs_csum: true,
            hdr_len: 40,
            size: 1,
            csum_start: 20,
            csum_offset: 16,
        };
        let mut header = encode(&tcp);
        header[1] |= ECN;
        assert_eq!(decode(&header, 60), Some(tcp));
        header[1] = 3;
        assert_eq!(decode(&header, 60), None);
    }

    #[test]
    fn every_header_is_survived_and_points_inside_the_packet() {
        let mut word = 0x2545_f491_4f6c_dd1du64;
        for _ in 0..2000 {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            let mut header = [0; HEADER_LEN];
            header[..8].copy_from_slice(&word.to_ne_bytes());
            header[1] &= 7;
            let len = usize::from(header[5]) * 20;
            if let Some(gso) = decode(&header, len) {
                assert!(
                    !gso.needs_csum || usize::from(gso.csum_start) + usize::from(gso.csum_offset) + 2 <= len
                );
                assert!(gso.kind == GsoKind::None || (gso.size > 0 && usize::from(gso.hdr_len) <= len));
            }
        }
    }
}
