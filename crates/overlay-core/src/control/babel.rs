//! Babel's way in and out: one link per long-lived connection, packets as plain IPv6/UDP between link-local addresses.

use crate::PeerIdx;
use crate::control::Control;
use crate::control::membership::{Membership, OriginRefusal};
use crate::forwarder::mail::{Packet, PeerKind};
use core::net::Ipv6Addr;
use ipnet::IpNet;
use ln6_routing::{Action, CostModel, Destination, Link, LinkId, Policy, Verdict};
use ln6_types::{Instant, Prefix, RouterId, UnixTime};

/// Babel's UDP port (RFC 8966, section 4).
pub(crate) const PORT: u16 = 6696;
const IP_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
/// ff02::1:6
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 6);

/// Who may originate what, as certificates say.
pub(crate) struct Rights<'a> {
    pub(crate) membership: &'a Membership,
    pub(crate) wall: UnixTime,
}

pub(crate) fn prefix_of(net: IpNet) -> Option<Prefix> {
    match net {
        IpNet::V6(v6) => Some(v6.into()),
        IpNet::V4(_) => None,
    }
}

pub(crate) fn net_of(prefix: Prefix) -> IpNet {
    IpNet::V6(prefix.into())
}

impl Policy for Rights<'_> {
    fn judge(&self, router: RouterId, dst: IpNet, src: IpNet) -> Verdict {
        let (Some(dst), Some(src)) = (prefix_of(dst), prefix_of(src)) else {
            return Verdict::Refuse("not_ipv6");
        };
        match self.membership.judge(router, dst, src, self.wall) {
            Ok(()) => Verdict::Accept,
            Err(OriginRefusal::UnknownRouter) => Verdict::Hold,
            Err(refusal) => Verdict::Refuse(refusal.code()),
        }
    }
}

macro_rules! rights {
    ($control:expr, $now:expr) => {
        &Rights { membership: &$control.membership, wall: $control.wall($now) }
    };
}
pub(crate) use rights;

impl Control {
    /// Brings the Babel link and gossip with a peer up or down, as its session, its certificate and the wish for it say.
    pub(crate) fn settle_link(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let link = peer.kind == PeerKind::Node && peer.direct() && peer.meta.any();
        if link == peer.meta.link {
            return self.settle_gossip(now, idx);
        }
        peer.meta.link = link;
        if link {
            let shape = Link {
                cost: CostModel::Wired,
                rtt: true,
                split_horizon: true,
                mtu: 1280,
                our: self.router.link_local(),
            };
            self.routing.link_up(now, LinkId(idx.0), shape);
        } else {
            self.routing.link_down(now, LinkId(idx.0));
        }
        self.settle_gossip(now, idx);
        self.table_changed = true;
    }

    /// A link-local packet that came in a session: Babel, or nothing.
    pub(crate) fn handle_link_local(&mut self, now: Instant, idx: PeerIdx, packet: &[u8]) {
        let Some(peer) = self.peers.get(idx) else { return };
        if !peer.meta.link {
            return;
        }
        let Some((from, body)) = parse(packet) else {
            self.counters.link_local_ignored += 1;
            return;
        };
        self.routing.receive(now, LinkId(idx.0), from, body, rights!(self, now));
    }

    /// Carries out what Babel decided.
    pub(crate) fn drain_routing(&mut self, now: Instant) {
        while let Some(action) = self.routing.poll_action() {
            match action {
                Action::Send { link, to, packet } => {
                    let idx = PeerIdx(link.0);
                    let to = match to {
                        Destination::Multicast => GROUP,
                        Destination::Unicast(address) => address,
                    };
                    let packet = build(self.router.link_local(), to, &packet);
                    self.send_inner(idx, packet);
                }
                Action::Select { dst, src, router, link, .. } => {
                    let (Some(dst), Some(src)) = (prefix_of(dst), prefix_of(src)) else { continue };
                    if dst == Prefix::host(self.ula.node_address(&router)) {
                        self.next_hops.insert(router, PeerIdx(link.0));
                        self.reroute(now, &router);
                    }
                    self.selected.insert((dst, src), router);
                    self.table_changed = true;
                }
                Action::Lose { dst, src } => {
                    let (Some(dst), Some(src)) = (prefix_of(dst), prefix_of(src)) else { continue };
                    if let Some(router) = self.selected.remove(&(dst, src))
                        && dst == Prefix::host(self.ula.node_address(&router))
                    {
                        self.next_hops.remove(&router);
                        self.reroute(now, &router);
                    }
                    self.table_changed = true;
                }
                Action::SeqnoUsed(seqno) => self.seqno_used(now, seqno),
                // Within the network nothing follows a shorter prefix in any case (see `table`).
                Action::Release { .. } => {}
                Action::Held { link, .. } => self.compare_if_idle(now, PeerIdx(link.0)),
            }
        }
    }
}

/// An IPv6/UDP packet with a Babel body. Hop limit 1, as RFC 8966 section 4 asks.
pub(crate) fn build(from: Ipv6Addr, to: Ipv6Addr, body: &[u8]) -> Packet {
    let udp_len = (UDP_HEADER + body.len()) as u16;
    let mut packet = Vec::with_capacity(IP_HEADER + usize::from(udp_len));
    packet.extend_from_slice(&[0x6c, 0, 0, 0]); // traffic class 0xc0: network control
    packet.extend_from_slice(&udp_len.to_be_bytes());
    packet.extend_from_slice(&[17, 1]);
    packet.extend_from_slice(&from.octets());
    packet.extend_from_slice(&to.octets());
    packet.extend_from_slice(&PORT.to_be_bytes());
    packet.extend_from_slice(&PORT.to_be_bytes());
    packet.extend_from_slice(&udp_len.to_be_bytes());
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(body);
    let sum = match checksum(&packet) {
        0 => 0xffff,
        sum => sum,
    };
    packet[46..48].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// Source and body of a Babel packet between link-local addresses; `None` for anything else or a wrong checksum.
pub(crate) fn parse(packet: &[u8]) -> Option<(Ipv6Addr, &[u8])> {
    let header = packet.get(..IP_HEADER + UDP_HEADER)?;
    let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let packet = packet.get(..IP_HEADER + payload)?;
    let udp_len = usize::from(u16::from_be_bytes([header[44], header[45]]));
    let ports = [header[40], header[41], header[42], header[43]];
    let port = PORT.to_be_bytes();
    if header[0] >> 4 != 6
        || header[6] != 17
        || ports != [port[0], port[1], port[0], port[1]]
        || udp_len != payload
    {
        return None;
    }
    if header[46..48] == [0, 0] || checksum(packet) != 0 {
        return None;
    }
    let from = <[u8; 16]>::try_from(&packet[8..24]).ok()?;
    Some((Ipv6Addr::from(from), packet.get(IP_HEADER + UDP_HEADER..)?))
}

/// UDP checksum of a whole IPv6 packet without extension headers: 0 over a packet that carries a right one.
fn checksum(packet: &[u8]) -> u16 {
    let payload = (packet.len() - IP_HEADER) as u32;
    let words = |bytes: &[u8]| -> u32 {
        bytes
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
            .sum()
    };
    let mut sum = words(&packet[8..IP_HEADER]) + words(&packet[IP_HEADER..]) + payload + 17;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> (Ipv6Addr, Ipv6Addr) {
        (RouterId([1; 8]).link_local(), GROUP)
    }

    #[test]
    fn a_babel_packet_reads_back() {
        let (from, to) = addresses();
        for body in [&b""[..], b"*", b"*\x02\x00\x04abcd"] {
            let packet = build(from, to, body);
            assert_eq!(parse(&packet), Some((from, body)));
            let mut padded = packet.clone();
            padded.resize(packet.len() + 7, 0);
            assert_eq!(parse(&padded), Some((from, body)));
        }
    }

    #[test]
    fn a_wrong_checksum_or_port_is_no_babel_packet() {
        let (from, to) = addresses();
        let good = build(from, to, b"body");
        for at in [6, 9, 41, 43, 45, 47, 49] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(parse(&bad), None, "octet {at}");
        }
        assert_eq!(parse(&good[..47]), None);
    }
}
