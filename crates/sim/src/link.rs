//! The underlay: who has which address, what a datagram goes through, and what NATs do to it.

use crate::chance::Chance;
use crate::world::NodeId;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use ln6_overlay_core::forwarder::batch::Fragmentation;
use ln6_types::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// What happens to datagrams between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// One way.
    pub delay: Duration,
    /// Added at random; more than the pause between two datagrams reorders them.
    pub jitter: Duration,
    /// Of a thousand datagrams.
    pub loss: u16,
    /// Of a thousand datagrams, delivered twice.
    pub duplicated: u16,
}

impl Default for Quality {
    fn default() -> Self {
        Quality { delay: Duration::from_millis(10), jitter: Duration::from_millis(2), loss: 0, duplicated: 0 }
    }
}

/// The longest IP packet that passes between two nodes in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Narrow {
    /// Octets, IP header included.
    pub mtu: u16,
    /// Whether longer ones pass in pieces, if their sender allows it.
    pub pieces: bool,
}

impl Narrow {
    fn passes(self, to: SocketAddr, len: usize, fragmentation: Fragmentation) -> bool {
        let headers = if to.is_ipv4() { 28 } else { 48 };
        let in_pieces = match fragmentation {
            Fragmentation::Never => false,
            // Routers fragment IPv4 and not IPv6.
            Fragmentation::Free => self.pieces && to.is_ipv4(),
            Fragmentation::Kernel => self.pieces,
        };
        len + headers <= usize::from(self.mtu) || in_pieces
    }
}

/// A NAT with endpoint-independent mapping and address-dependent filtering (RFC 4787).
#[derive(Debug)]
pub struct Nat {
    /// Its address on the outside.
    pub public: Ipv4Addr,
    /// How long an unused mapping lives.
    pub timeout: Duration,
    mappings: BTreeMap<SocketAddr, Mapping>,
    next_port: u16,
}

#[derive(Debug)]
struct Mapping {
    port: u16,
    used: Instant,
    /// Whom the inside has sent to.
    open: BTreeMap<IpAddr, Instant>,
}

impl Nat {
    fn outwards(&mut self, now: Instant, inside: SocketAddr, to: SocketAddr) -> SocketAddr {
        let timeout = self.timeout;
        self.mappings.retain(|_, mapping| now.since(mapping.used) < timeout);
        let next_port = &mut self.next_port;
        let mapping = self.mappings.entry(inside).or_insert_with(|| {
            *next_port += 1;
            Mapping { port: *next_port, used: now, open: BTreeMap::new() }
        });
        mapping.used = now;
        mapping.open.insert(to.ip(), now);
        SocketAddr::from((self.public, mapping.port))
    }

    fn inwards(&mut self, now: Instant, port: u16, from: SocketAddr) -> Option<SocketAddr> {
        let timeout = self.timeout;
        let found = self.mappings.iter_mut().find(|(_, mapping)| mapping.port == port);
        let (inside, mapping) = found.filter(|(_, mapping)| now.since(mapping.used) < timeout)?;
        let opened = mapping.open.get(&from.ip())?;
        (now.since(*opened) < timeout).then_some(*inside)
    }
}

/// Where a node is attached.
#[derive(Clone, Debug, Default)]
pub struct Attachment {
    /// Its addresses; the first of the right family is what it sends from.
    pub addresses: Vec<SocketAddr>,
    /// Behind which NAT, if any.
    pub nat: Option<usize>,
}

/// The whole underlay.
#[derive(Debug, Default)]
pub struct Underlay {
    /// Of all links that have none of their own.
    pub quality: Quality,
    links: BTreeMap<(NodeId, NodeId), Quality>,
    narrow: BTreeMap<(NodeId, NodeId), Narrow>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// What the first sends the second does not hear.
    deaf: BTreeSet<(NodeId, NodeId)>,
    attachments: BTreeMap<NodeId, Attachment>,
    nats: Vec<Nat>,
    /// Datagrams that were sent, and that came to nobody.
    pub sent: u64,
    /// See above.
    pub lost: u64,
}

fn pair(a: NodeId, b: NodeId) -> (NodeId, NodeId) {
    (a.min(b), a.max(b))
}

impl Underlay {
    /// Attaches a node, or moves it.
    pub fn attach(&mut self, node: NodeId, attachment: Attachment) {
        self.attachments.insert(node, attachment);
    }

    /// A new NAT.
    pub fn add_nat(&mut self, public: Ipv4Addr, timeout: Duration) -> usize {
        self.nats.push(Nat { public, timeout, mappings: BTreeMap::new(), next_port: 40_000 });
        self.nats.len() - 1
    }

    /// The addresses a node has.
    pub fn addresses(&self, node: NodeId) -> &[SocketAddr] {
        self.attachments.get(&node).map_or(&[], |attachment| &attachment.addresses)
    }

    /// Nothing passes between the two any more.
    pub fn cut(&mut self, a: NodeId, b: NodeId) {
        self.cuts.insert(pair(a, b));
    }

    /// Nothing passes from the first to the second any more; back it does.
    pub fn deafen(&mut self, from: NodeId, to: NodeId) {
        self.deaf.insert((from, to));
    }

    /// It passes again.
    pub fn heal(&mut self, a: NodeId, b: NodeId) {
        self.cuts.remove(&pair(a, b));
        self.deaf.retain(|(from, to)| pair(*from, *to) != pair(a, b));
    }

    /// Makes one link better or worse than the others.
    pub fn set_quality(&mut self, a: NodeId, b: NodeId, quality: Quality) {
        self.links.insert(pair(a, b), quality);
    }

    /// From now on long packets from `a` to `b` do not pass, or only in pieces.
    pub fn narrow(&mut self, a: NodeId, b: NodeId, narrow: Narrow) {
        self.narrow.insert((a, b), narrow);
    }

    /// They pass again.
    pub fn widen(&mut self, a: NodeId, b: NodeId) {
        self.narrow.remove(&(a, b));
    }

    /// Whether a datagram of `len` octets to the address `to`, which is `b`'s, is short enough for the way there.
    pub(crate) fn fits(
        &mut self,
        (a, b): (NodeId, NodeId),
        to: SocketAddr,
        len: usize,
        fragmentation: Fragmentation,
    ) -> bool {
        let fits = self.narrow.get(&(a, b)).is_none_or(|narrow| narrow.passes(to, len, fragmentation));
        self.lost += u64::from(!fits);
        fits
    }

    /// What a datagram from `node` to `to` looks like outside; `None` if the node has no address of that family.
    pub(crate) fn leave(&mut self, now: Instant, node: NodeId, to: SocketAddr) -> Option<SocketAddr> {
        self.sent += 1;
        let attachment = self.attachments.get(&node)?;
        let inside = *attachment.addresses.iter().find(|address| address.is_ipv4() == to.is_ipv4())?;
        match attachment.nat {
            Some(nat) if to.is_ipv4() => Some(self.nats[nat].outwards(now, inside, to)),
            _ => Some(inside),
        }
    }

    /// Who would receive a datagram for `to` from `from`, were it there now.
    pub(crate) fn arrive(&mut self, now: Instant, to: SocketAddr, from: SocketAddr) -> Option<NodeId> {
        let nat = self.nats.iter().position(|nat| IpAddr::V4(nat.public) == to.ip());
        let to = match nat {
            Some(nat) => self.nats[nat].inwards(now, to.port(), from)?,
            None => to,
        };
        let here = |attachment: &Attachment| attachment.nat == nat && attachment.addresses.contains(&to);
        self.attachments.iter().find(|(_, attachment)| here(attachment)).map(|(node, _)| *node)
    }

    /// The delays after which copies of a datagram from `a` to `b` arrive.
    pub(crate) fn fate(&mut self, chance: &mut Chance, a: NodeId, b: NodeId) -> Vec<Duration> {
        let quality = *self.links.get(&pair(a, b)).unwrap_or(&self.quality);
        let cut = self.cuts.contains(&pair(a, b)) || self.deaf.contains(&(a, b));
        if cut || chance.permille(quality.loss) {
            self.lost += 1;
            return Vec::new();
        }
        let copies = 1 + usize::from(chance.permille(quality.duplicated));
        (0..copies).map(|_| quality.delay + chance.pause(quality.jitter)).collect()
    }
}
