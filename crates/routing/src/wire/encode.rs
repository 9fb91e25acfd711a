//! Values in, packets out.

use super::{Ae, FLAG_PREFIX, FLAG_ROUTER_ID, FLAG_UNICAST, HEADER, MAGIC, Octets, Tlv, VERSION, kind, sub};
use crate::{INFINITY, Key};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ipnet::IpNet;
use ln6_types::RouterId;

/// No packet is kept smaller than this: every link carries it (RFC 8966, section 4).
const SMALLEST: usize = 512;

/// Packs TLVs into as few packets as will do. Each packet can be read alone: router-id, next hop and prefix
/// compression start anew in each.
pub struct PacketBuilder {
    max: usize,
    from: Ipv6Addr,
    done: Vec<Vec<u8>>,
    packet: Vec<u8>,
    state: State,
}

/// What a reader knows at this place of the packet (section 4.5).
#[derive(Clone, Copy)]
struct State {
    router: Option<RouterId>,
    hop4: Option<Ipv4Addr>,
    hop6: Ipv6Addr,
    base: [Option<Octets>; 3],
}

impl PacketBuilder {
    /// Packets of at most `max` octets (MTU less [`super::IP_UDP`], but never less than 512), to be sent from the
    /// link-local address `from`.
    pub fn new(from: Ipv6Addr, max: usize) -> Self {
        let max = max.clamp(SMALLEST, HEADER + usize::from(u16::MAX));
        PacketBuilder { max, from, done: Vec::new(), packet: header(), state: State::new(from) }
    }

    /// Appends a TLV, in a new packet if it does not fit. An update whose next hop cannot carry its family (an
    /// IPv6 prefix by way of an IPv4 address) cannot be written and is left out.
    pub fn push(&mut self, tlv: &Tlv) {
        let (mark, before) = (self.packet.len(), self.state);
        self.write(tlv);
        if self.packet.len() > self.max {
            self.packet.truncate(mark);
            self.state = before;
            self.close();
            self.write(tlv);
        }
    }

    /// The packets.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if self.packet.len() > HEADER {
            let mut packet = core::mem::replace(&mut self.packet, header());
            let body = u16::try_from(packet.len() - HEADER).unwrap_or(u16::MAX);
            packet[2..4].copy_from_slice(&body.to_be_bytes());
            self.done.push(packet);
        }
        self.state = State::new(self.from);
    }

    fn write(&mut self, tlv: &Tlv) {
        match *tlv {
            Tlv::AckRequest { opaque, interval } => {
                self.tlv(kind::ACK_REQUEST, |out| words(out, &[0, opaque, interval]));
            }
            Tlv::Ack { opaque } => self.tlv(kind::ACK, |out| words(out, &[opaque])),
            Tlv::Hello { unicast, seqno, interval, timestamp } => self.tlv(kind::HELLO, |out| {
                words(out, &[if unicast { FLAG_UNICAST } else { 0 }, seqno, interval]);
                if let Some(stamp) = timestamp {
                    out.extend([sub::TIMESTAMP, 4]);
                    out.extend(stamp.to_be_bytes());
                }
            }),
            Tlv::Ihu { address, rxcost, interval, timestamps } => self.tlv(kind::IHU, |out| {
                let (ae, octets, from) = address.map_or((Ae::Wildcard, [0; 16], 16), short_address);
                out.extend([ae.octet(), 0]);
                words(out, &[rxcost, interval]);
                out.extend(&octets[from..]);
                if let Some((origin, receive)) = timestamps {
                    out.extend([sub::TIMESTAMP, 8]);
                    out.extend(origin.to_be_bytes());
                    out.extend(receive.to_be_bytes());
                }
            }),
            Tlv::Update { key, router, next_hop, interval, seqno, metric } => {
                if let Some(ae) = self.next_hop(&key, next_hop) {
                    let flag = self.router(&key, router);
                    self.update(ae, flag, &key, [interval, seqno, metric]);
                }
            }
            Tlv::Retract { key: None, interval } => {
                self.tlv(kind::UPDATE, |out| words(out, &[0, 0, interval, 0, INFINITY]));
            }
            Tlv::Retract { key: Some(key), interval } => {
                self.update(family(&key), 0, &key, [interval, 0, INFINITY]);
            }
            Tlv::RouteRequest { key: None } => self.tlv(kind::ROUTE_REQUEST, |out| words(out, &[0])),
            Tlv::RouteRequest { key: Some(key) } => self.tlv(kind::ROUTE_REQUEST, |out| {
                out.extend([family(&key).octet(), key.dst().prefix_len()]);
                out.extend(significant(key.dst()));
                source_prefix(out, &key);
            }),
            Tlv::SeqnoRequest { key, seqno, hop_count, router } => self.tlv(kind::SEQNO_REQUEST, |out| {
                out.extend([family(&key).octet(), key.dst().prefix_len()]);
                words(out, &[seqno]);
                out.extend([hop_count, 0]);
                out.extend(router.0);
                out.extend(significant(key.dst()));
                source_prefix(out, &key);
            }),
        }
    }

    fn tlv(&mut self, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
        self.packet.extend([kind, 0]);
        let start = self.packet.len();
        body(&mut self.packet);
        let len = self.packet.len() - start;
        debug_assert!(len <= 255, "no TLV of ours is that long");
        self.packet[start - 1] = len as u8;
    }

    /// Makes `hop` the next hop; returns the encoding to use with it.
    fn next_hop(&mut self, key: &Key, hop: IpAddr) -> Option<Ae> {
        let (known, ae) = match (hop, key.dst()) {
            (IpAddr::V4(hop), IpNet::V4(_)) => (self.state.hop4.replace(hop) == Some(hop), Ae::V4),
            (IpAddr::V6(hop), dst) => {
                let known = core::mem::replace(&mut self.state.hop6, hop) == hop;
                (known, if matches!(dst, IpNet::V4(_)) { Ae::V4ViaV6 } else { Ae::V6 })
            }
            (IpAddr::V4(_), IpNet::V6(_)) => return None,
        };
        if !known {
            let (hop_ae, octets, from) = short_address(hop);
            self.tlv(kind::NEXT_HOP, |out| {
                out.extend([hop_ae.octet(), 0]);
                out.extend(&octets[from..]);
            });
        }
        Some(ae)
    }

    /// Makes `router` the router-id, by a TLV or by a flag of the update to come, which is returned.
    fn router(&mut self, key: &Key, router: RouterId) -> u8 {
        if self.state.router.replace(router) == Some(router) {
            return 0;
        }
        // Only for IPv6: not every daemon knows the flag for IPv4.
        if let IpNet::V6(dst) = key.dst()
            && dst.addr().octets()[8..] == router.0
        {
            return FLAG_ROUTER_ID;
        }
        self.tlv(kind::ROUTER_ID, |out| {
            words(out, &[0]);
            out.extend(router.0);
        });
        0
    }

    /// Every update becomes the base of the next: they come in the order of their prefixes.
    fn update(&mut self, ae: Ae, flag: u8, key: &Key, [interval, seqno, metric]: [u16; 3]) {
        let octets = padded(&key.dst());
        let len = significant(key.dst()).len();
        let base = ae.base().and_then(|slot| self.state.base[slot].replace(octets));
        let omitted =
            base.map_or(0, |base| octets[..len].iter().zip(base).take_while(|(a, b)| **a == *b).count());
        self.tlv(kind::UPDATE, |out| {
            out.extend([ae.octet(), FLAG_PREFIX | flag, key.dst().prefix_len(), omitted as u8]);
            words(out, &[interval, seqno, metric]);
            out.extend(&octets[omitted..len]);
            source_prefix(out, key);
        });
    }
}

impl State {
    fn new(from: Ipv6Addr) -> Self {
        State { router: None, hop4: None, hop6: from, base: [None; 3] }
    }
}

fn header() -> Vec<u8> {
    vec![MAGIC, VERSION, 0, 0]
}

fn words(out: &mut Vec<u8>, words: &[u16]) {
    out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

fn family(key: &Key) -> Ae {
    if matches!(key.dst(), IpNet::V4(_)) { Ae::V4 } else { Ae::V6 }
}

/// The shortest encoding of a whole address: right-aligned octets and where they begin.
fn short_address(address: IpAddr) -> (Ae, Octets, usize) {
    match address {
        IpAddr::V4(a) => {
            let mut octets = [0; 16];
            octets[12..].copy_from_slice(&a.octets());
            (Ae::V4, octets, 12)
        }
        IpAddr::V6(a) if a.segments()[..4] == [0xfe80, 0, 0, 0] => (Ae::LinkLocal, a.octets(), 8),
        IpAddr::V6(a) => (Ae::V6, a.octets(), 0),
    }
}

/// Octets of a prefix as the parser keeps them.
fn padded(net: &IpNet) -> Octets {
    match net.addr() {
        IpAddr::V4(a) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&a.octets());
            octets
        }
        IpAddr::V6(a) => a.octets(),
    }
}

/// As many octets as the prefix length needs.
fn significant(net: IpNet) -> impl ExactSizeIterator<Item = u8> {
    padded(&net).into_iter().take(usize::from(net.prefix_len().div_ceil(8)))
}

fn source_prefix(out: &mut Vec<u8>, key: &Key) {
    if key.is_source_specific() {
        let octets = significant(key.src());
        out.extend([sub::SOURCE_PREFIX, octets.len() as u8 + 1, key.src().prefix_len()]);
        out.extend(octets);
    }
}
