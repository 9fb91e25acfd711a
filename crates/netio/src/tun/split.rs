//! Dividing a superpacket in software, for kernels that refuse it and devices that know none.

use ln6_overlay_core::forwarder::batch::{Gso, GsoKind};

const IPV4: usize = 20;
const IPV6: usize = 40;
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// Calls `each` with every packet that `whole` (without virtio header) stands for, checksums finished, in order. `None` when it is not
/// what `gso` says; then `each` was not called.
pub(super) fn split(gso: &Gso, whole: &mut [u8], mut each: impl FnMut(&[u8])) -> Option<()> {
    let start = usize::from(gso.csum_start);
    if gso.kind == GsoKind::None {
        if gso.needs_csum {
            finish_checksum(whole, start, usize::from(gso.csum_offset))?;
        }
        each(whole);
        return Some(());
    }
    let v4 = whole.first()? >> 4 == 4;
    let udp = gso.kind == GsoKind::UdpL4;
    let header = start + if udp { 8 } else { usize::from(whole.get(start + 12)? >> 4) * 4 };
    let smallest =
        start.checked_sub(if v4 { IPV4 } else { IPV6 }).map(|_| start + if udp { 8 } else { 20 })?;
    let size = usize::from(gso.size);
    if header < smallest || header > whole.len() || whole.len() > 65_575 || size == 0 {
        return None;
    }
    let (headers, payload) = whole.split_at(header);
    let count = payload.len().div_ceil(size).max(1);
    let mut packet = Vec::with_capacity(header + size);
    for number in 0..count {
        let at = number * size;
        packet.clear();
        packet.extend_from_slice(headers);
        packet.extend_from_slice(&payload[at..payload.len().min(at + size)]);
        renumber_ip(&mut packet, v4, number as u16);
        if udp {
            let len = (packet.len() - start) as u16;
            packet[start + 4..start + 6].copy_from_slice(&len.to_be_bytes());
        } else {
            renumber_tcp(&mut packet[start..], at as u32, number == 0, number + 1 == count);
        }
        seal_checksum(&mut packet, v4, udp, start);
        each(&packet);
    }
    Some(())
}

fn renumber_ip(packet: &mut [u8], v4: bool, number: u16) {
    let len = packet.len();
    if !v4 {
        packet[4..6].copy_from_slice(&((len - IPV6) as u16).to_be_bytes());
        return;
    }
    packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    let id = u16::from_be_bytes([packet[4], packet[5]]).wrapping_add(number);
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet[10..12].fill(0);
    let header = (usize::from(packet[0] & 15) * 4).clamp(IPV4, len);
    let sum = fold(sum(&packet[..header]));
    packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
}

fn renumber_tcp(tcp: &mut [u8], at: u32, first: bool, last: bool) {
    let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(at);
    tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
    if !first {
        tcp[13] &= !CWR;
    }
    if !last {
        tcp[13] &= !FIN_PSH;
    }
}

/// Writes the whole transport checksum, pseudo-header included.
fn seal_checksum(packet: &mut [u8], v4: bool, udp: bool, start: usize) {
    let field = start + if udp { 6 } else { 16 };
    packet[field..field + 2].fill(0);
    let addresses = if v4 { 12..20 } else { 8..40 };
    let protocol = if udp { libc::IPPROTO_UDP } else { libc::IPPROTO_TCP };
    let pseudo = sum(&packet[addresses]) + (packet.len() - start) as u64 + protocol as u64;
    let sum = !fold(pseudo + sum(&packet[start..]));
    // A UDP checksum of zero would mean that there is none (RFC 768).
    let sum = if sum == 0 && udp { 0xffff } else { sum };
    packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Finishes a checksum whose field holds the pseudo-header's sum.
fn finish_checksum(packet: &mut [u8], start: usize, offset: usize) -> Option<()> {
    let sum = !fold(sum(packet.get(start..)?));
    let sum = if sum == 0 && offset == 6 { 0xffff } else { sum };
    packet.get_mut(start + offset..start + offset + 2)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

fn sum(octets: &[u8]) -> u64 {
    let words = octets.chunks(2);
    words.map(|word| u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]))).sum()
}

/// Ones' complement addition of the carries (RFC 1071).
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superpacket(kind: GsoKind, payload: usize) -> (Gso, Vec<u8>) {
        let (ip, v4) = if kind == GsoKind::TcpV4 { (IPV4, true) } else { (IPV6, false) };
        let udp = kind == GsoKind::UdpL4;
        let transport = if udp { 8 } else { 32 };
        let mut packet: Vec<u8> = (0..ip + transport + payload).map(|n| (n * 7) as u8).collect();
        packet[0] = if v4 { 0x45 } else { 0x60 };
        if !udp {
            packet[ip + 4..ip + 8].copy_from_slice(&0xffff_ff00u32.to_be_bytes());
            (packet[ip + 12], packet[ip + 13]) = (8 << 4, 0x99);
        }
        let gso = Gso {
            kind,
            needs_csum: true,
            hdr_len: (ip + transport) as u16,
            size: 1000,
            csum_start: ip as u16,
            csum_offset: if udp { 6 } else { 16 },
        };
        (gso, packet)
    }

    /// The receiver's check: with the checksum in it, everything sums to ones.
    fn verifies(packet: &[u8]) -> bool {
        let v4 = packet[0] >> 4 == 4;
        let (start, addresses, protocol) = if v4 { (20, 12..20, 6) } else { (40, 8..40, 6) };
        let sums = |protocol: u64| {
            fold(
                sum(&packet[addresses.clone()])
                    + (packet.len() - start) as u64
                    + protocol
                    + sum(&packet[start..]),
            ) == 0xffff
        };
        (sums(protocol) || sums(17)) && (!v4 || fold(sum(&packet[..20])) == 0xffff)
    }

    #[test]
    fn every_segment_is_a_packet_that_verifies_and_the_payload_is_whole() {
        for kind in [GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::UdpL4] {
            let (gso, mut whole) = superpacket(kind, 4321);
            let header = usize::from(gso.hdr_len);
            let expected = whole[header..].to_vec();
            let mut packets: Vec<Vec<u8>> = Vec::new();
            split(&gso, &mut whole, |packet| packets.push(packet.to_vec())).expect("well-formed");
            assert_eq!(packets.len(), 5);
            assert!(packets.iter().all(|packet| verifies(packet)), "{kind:?}");
            assert_eq!(
                packets.iter().flat_map(|packet| packet[header..].to_vec()).collect::<Vec<_>>(),
                expected
            );
        }
    }

    #[test]
    fn sequence_numbers_and_flags_are_those_that_tcp_would_have_sent() {
        let (gso, mut whole) = superpacket(GsoKind::TcpV6, 2500);
        let mut seen = Vec::new();
        split(&gso, &mut whole, |packet| {
            seen.push((u32::from_be_bytes([packet[44], packet[45], packet[46], packet[47]]), packet[53]));
        });
        assert_eq!(seen, [(0xffff_ff00, 0x90), (744, 0x10), (1744, 0x19)]);
    }

    #[test]
    fn nonsense_is_refused_whole() {
        let (gso, whole) = superpacket(GsoKind::TcpV6, 100);
        for len in 0..72 {
            assert_eq!(split(&gso, &mut whole[..len].to_vec(), |_| panic!("{len}")), None);
        }
        for bad in [Gso { csum_start: 39, ..gso }, Gso { size: 0, ..gso }, Gso { csum_start: 65_535, ..gso }]
        {
            assert_eq!(split(&bad, &mut whole.clone(), |_| panic!("{bad:?}")), None);
        }
    }
}
