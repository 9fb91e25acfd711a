//! Babel's codec.

use core::net::Ipv6Addr;
use ln6_routing::wire::{PacketBuilder, Tlv, decode};

const FROM: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa);

fn read(packet: &[u8]) -> Vec<Tlv> {
    let mut tlvs = Vec::new();
    assert_eq!(decode(packet, FROM, |tlv| tlvs.push(tlv)), Ok(0), "what we write we understand whole");
    tlvs
}

/// A packet, with a header of its own if the first octet says so. What was understood can be written, in packets of the
/// size asked for, and means the same.
pub fn babel_packet(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let packet = if first & 1 == 0 { rest.to_vec() } else { with_header(rest) };
    let mut tlvs = Vec::new();
    if decode(&packet, FROM, |tlv| tlvs.push(tlv)).is_err() {
        assert!(tlvs.is_empty(), "a packet is refused before anything of it is used");
        return;
    }
    let max = 512 + usize::from(first >> 1) * 8;
    let mut builder = PacketBuilder::new(FROM, max);
    tlvs.iter().for_each(|tlv| builder.push(tlv));
    let packets = builder.finish();
    assert!(packets.iter().all(|packet| packet.len() <= max));
    let again: Vec<Tlv> = packets.iter().flat_map(|packet| read(packet)).collect();
    assert_eq!(again, tlvs);
}

/// A body with the header that fits it.
pub(crate) fn with_header(body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let mut packet = vec![42, 2];
    packet.extend_from_slice(&len.to_be_bytes());
    packet.extend_from_slice(&body[..usize::from(len)]);
    packet
}
