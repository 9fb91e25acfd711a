//! The forwarding table: immutable, built by control, shared by all workers.
//!
//! Routes are pairs of destination and source (RFC 9079, section 4): the longest destination whose source matches wins,
//! then the longest source. At build every destination inherits the source entries of those that cover it, where
//! its own leave a gap, so that one match of the destination and one of the source are enough.

use crate::PeerIdx;
use core::net::Ipv6Addr;
use ln6_types::{Prefix, RouterId};
use prefix_trie::{PrefixMap, PrefixSet};

/// Where a route leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// To the peer that owns the destination; how its datagrams travel is the peer's own matter.
    Peer(PeerIdx),
    /// Behind this node: the kernel's, never the overlay's.
    Local,
    /// Nowhere.
    Unreachable,
}

/// What a [`Fib`] is built from.
#[derive(Clone, Debug)]
pub struct FibInput {
    /// Destination, source the route is for (`::/0` = any), and where it leads. Of two routes for the same pair the
    /// later one counts.
    pub routes: Vec<(Prefix, Prefix, Target)>,
    /// Who may send from a prefix, by longest match; [`PeerIdx::SELF`] is this node. A stock peer's prefix names both
    /// the peer and this node, which forwards for it.
    pub owners: Vec<(Prefix, Vec<PeerIdx>)>,
    /// Who may send from every global source outside `inside`.
    pub exits: Vec<PeerIdx>,
    /// The network's own prefixes: pools and ULA.
    pub inside: Vec<Prefix>,
    /// What may be delivered to this node's TUN.
    pub local: Vec<Prefix>,
    /// Not empty on an exit: packets from these sources may leave for the outside through the TUN.
    pub exit_for: Vec<Prefix>,
    /// Relaying: the neighbour that is the next hop to a router.
    pub routers: Vec<(RouterId, PeerIdx)>,
    /// This node.
    pub own_router: RouterId,
    /// This node's address in the network: the source of ICMPv6 errors.
    pub node_address: Ipv6Addr,
    /// Counted up by control.
    pub generation: u64,
}

impl Default for FibInput {
    /// Nothing at all: everything is dropped.
    fn default() -> Self {
        FibInput {
            routes: Vec::new(),
            owners: Vec::new(),
            exits: Vec::new(),
            inside: Vec::new(),
            local: Vec::new(),
            exit_for: Vec::new(),
            routers: Vec::new(),
            own_router: RouterId([0; 8]),
            node_address: Ipv6Addr::UNSPECIFIED,
            generation: 0,
        }
    }
}

type Key = (u128, u8);

fn key(prefix: Prefix) -> Key {
    (prefix.network().to_bits(), prefix.len())
}

fn host(address: Ipv6Addr) -> Key {
    (address.to_bits(), 128)
}

/// The source entries of one destination.
#[derive(Debug)]
enum Sources {
    /// The usual case, without a table.
    One(Prefix, Target),
    Many(Box<PrefixMap<Key, Target>>),
}

impl Sources {
    fn get(&self, src: Ipv6Addr) -> Option<Target> {
        match self {
            Sources::One(prefix, target) => prefix.contains(src).then_some(*target),
            Sources::Many(table) => table.get_lpm(&host(src)).map(|(_, target)| *target),
        }
    }
}

/// A forwarding table.
#[derive(Debug)]
pub struct Fib {
    routes: PrefixMap<Key, Sources>,
    owners: PrefixMap<Key, Box<[PeerIdx]>>,
    exits: Box<[PeerIdx]>,
    inside: PrefixSet<Key>,
    local: PrefixSet<Key>,
    exit_for: PrefixSet<Key>,
    routers: Box<[(RouterId, PeerIdx)]>,
    own_router: RouterId,
    node_address: Ipv6Addr,
    generation: u64,
    peers: usize,
}

impl Default for Fib {
    /// The empty table: everything is dropped.
    fn default() -> Self {
        Fib::build(FibInput::default())
    }
}

impl Fib {
    /// Builds the table: O(n log n) for n routes; a destination without an entry for every source costs as much again
    /// as the source entries that cover it.
    pub fn build(input: FibInput) -> Fib {
        let in_routes = input.routes.iter().filter_map(|(_, _, target)| match target {
            Target::Peer(peer) => Some(*peer),
            Target::Local | Target::Unreachable => None,
        });
        let in_routers = input.routers.iter().map(|(_, peer)| *peer);
        let peers = in_routes.chain(in_routers).map(|peer| peer.0 as usize + 1).max().unwrap_or(0);
        let mut routers = input.routers;
        routers.sort_unstable_by_key(|(router, _)| *router);
        Fib {
            routes: inherit(input.routes),
            owners: input
                .owners
                .into_iter()
                .map(|(prefix, who)| (key(prefix), who.into_boxed_slice()))
                .collect(),
            exits: input.exits.into_boxed_slice(),
            inside: input.inside.into_iter().map(key).collect(),
            local: input.local.into_iter().map(key).collect(),
            exit_for: input.exit_for.into_iter().map(key).collect(),
            routers: routers.into_boxed_slice(),
            own_router: input.own_router,
            node_address: input.node_address,
            generation: input.generation,
            peers,
        }
    }

    /// Where a packet from `src` to `dst` goes; `None` = there is no route.
    pub fn lookup(&self, dst: Ipv6Addr, src: Ipv6Addr) -> Option<Target> {
        self.routes.get_lpm(&host(dst)).and_then(|(_, sources)| sources.get(src))
    }

    /// Whether `peer` may send packets from `src`: the longest prefix with an owner decides; outside the network's own
    /// prefixes only exits may, and only from addresses that the Internet carries.
    pub fn may_send(&self, peer: PeerIdx, src: Ipv6Addr) -> bool {
        match self.owners.get_lpm(&host(src)) {
            Some((_, owners)) => owners.contains(&peer),
            None => self.exits.contains(&peer) && self.is_outside(src) && is_global(src),
        }
    }

    /// Whether a packet that came in a session may go to this node's TUN. A stock peer's always may: behind it lies the
    /// whole network, and the kernel's forward hook judges.
    pub fn delivers(&self, src: Ipv6Addr, dst: Ipv6Addr, from_stock: bool) -> bool {
        from_stock
            || self.local.get_lpm(&host(dst)).is_some()
            || (self.exit_for.get_lpm(&host(src)).is_some() && self.is_outside(dst) && is_global(dst))
    }

    /// The neighbour that is the next hop to `router`.
    pub fn relay_to(&self, router: &RouterId) -> Option<PeerIdx> {
        let at = self.routers.binary_search_by_key(router, |(router, _)| *router).ok()?;
        Some(self.routers[at].1)
    }

    /// This node's router-id.
    pub fn own_router(&self) -> RouterId {
        self.own_router
    }

    /// This node's address in the network.
    pub fn node_address(&self) -> Ipv6Addr {
        self.node_address
    }

    /// The number control gave it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// One more than the greatest peer that a route names.
    pub(crate) fn peers(&self) -> usize {
        self.peers
    }

    fn is_outside(&self, address: Ipv6Addr) -> bool {
        self.inside.get_lpm(&host(address)).is_none()
    }
}

/// Whether the Internet may carry packets from or to this address: neither unspecified, loopback, link-local, multicast
/// nor unique local (RFC 6890).
fn is_global(address: Ipv6Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || address.is_unique_local())
}

/// One destination while the table is built.
struct Entry {
    dst: Prefix,
    sources: Vec<(Prefix, Target)>,
}

/// Gives every destination the source entries of those that cover it. Sorted routes make this a walk: a covering prefix
/// comes before what it covers, so the open ancestors are a stack.
fn inherit(mut routes: Vec<(Prefix, Prefix, Target)>) -> PrefixMap<Key, Sources> {
    routes.sort_by_key(|(dst, src, _)| (*dst, *src)); // stable: the later of two equal pairs stays later
    let mut table = PrefixMap::new();
    let mut open: Vec<Entry> = Vec::new();
    for group in routes.chunk_by(|a, b| a.0 == b.0) {
        let dst = group[0].0;
        while open.last().is_some_and(|above| !above.dst.covers(dst)) {
            close(&mut open, &mut table);
        }
        let mut sources: Vec<(Prefix, Target)> = Vec::new();
        for (_, src, target) in group {
            match sources.last_mut() {
                Some(last) if last.0 == *src => last.1 = *target,
                _ => sources.push((*src, *target)),
            }
        }
        if let Some(above) = open.last() {
            let own = sources.len();
            for (src, target) in &above.sources {
                if !sources[..own].iter().any(|(mine, _)| mine.covers(*src)) {
                    sources.push((*src, *target));
                }
            }
        }
        open.push(Entry { dst, sources });
    }
    while !open.is_empty() {
        close(&mut open, &mut table);
    }
    table
}

fn close(open: &mut Vec<Entry>, table: &mut PrefixMap<Key, Sources>) {
    if let Some(Entry { dst, sources }) = open.pop() {
        let sources = match sources[..] {
            [(src, target)] => Sources::One(src, target),
            _ => {
                Sources::Many(Box::new(sources.into_iter().map(|(src, target)| (key(src), target)).collect()))
            }
        };
        table.insert(key(dst), sources);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn p(text: &str) -> Prefix {
        text.parse().expect("prefix")
    }

    fn a(text: &str) -> Ipv6Addr {
        text.parse().expect("address")
    }

    fn peer(n: u32) -> Target {
        Target::Peer(PeerIdx(n))
    }

    fn fib(routes: &[(&str, &str, Target)]) -> Fib {
        let routes = routes.iter().map(|(dst, src, target)| (p(dst), p(src), *target)).collect();
        Fib::build(FibInput { routes, ..FibInput::default() })
    }

    #[test]
    fn the_longest_destination_wins_over_a_longer_source() {
        let fib = fib(&[("::/0", "2001:db8:1::/48", peer(1)), ("2001:db8:2::/48", "2001:db8::/32", peer(2))]);
        assert_eq!(fib.lookup(a("2001:db8:2::1"), a("2001:db8:1::1")), Some(peer(2)));
        assert_eq!(fib.lookup(a("2606::1"), a("2001:db8:1::1")), Some(peer(1)));
    }

    #[test]
    fn a_destination_without_an_entry_for_the_source_falls_back_to_the_covering_one() {
        let fib = fib(&[("::/0", "2001:db8:1::/48", peer(1)), ("2606::/32", "2001:db8:2::/48", peer(2))]);
        assert_eq!(fib.lookup(a("2606::1"), a("2001:db8:1::1")), Some(peer(1)));
        assert_eq!(fib.lookup(a("2606::1"), a("2001:db8:2::1")), Some(peer(2)));
        assert_eq!(fib.lookup(a("2606::1"), a("2001:db8:3::1")), None);
    }

    #[test]
    fn only_an_owner_may_send_from_an_owned_prefix() {
        let fib = Fib::build(FibInput {
            owners: vec![
                (p("2001:db8:1::/48"), vec![PeerIdx(1)]),
                (p("2001:db8:1:2::/64"), vec![PeerIdx(2), PeerIdx::SELF]),
            ],
            exits: vec![PeerIdx(3)],
            inside: vec![p("2001:db8::/32"), p("fd00::/48")],
            ..FibInput::default()
        });
        assert!(fib.may_send(PeerIdx(1), a("2001:db8:1:1::1")));
        assert!(!fib.may_send(PeerIdx(1), a("2001:db8:1:2::1")));
        assert!(fib.may_send(PeerIdx(2), a("2001:db8:1:2::1")));
        assert!(fib.may_send(PeerIdx::SELF, a("2001:db8:1:2::1")));
        assert!(fib.may_send(PeerIdx(3), a("2606::1")));
        assert!(!fib.may_send(PeerIdx(1), a("2606::1")));
        for inside in
            ["2001:db8:9::1", "2001:db8:1::1", "fd00::1", "fd77::1", "::1", "::", "ff02::1", "fe80::1"]
        {
            assert!(!fib.may_send(PeerIdx(3), a(inside)), "{inside}");
        }
    }

    #[test]
    fn an_exit_lets_its_own_sources_out_and_nothing_else() {
        let fib = Fib::build(FibInput {
            inside: vec![p("2001:db8::/32")],
            local: vec![p("2001:db8:1::/48")],
            exit_for: vec![p("2001:db8:8000::/33")],
            ..FibInput::default()
        });
        assert!(fib.delivers(a("2606::1"), a("2001:db8:1::1"), false));
        assert!(fib.delivers(a("2001:db8:8000::1"), a("2606::1"), false));
        assert!(!fib.delivers(a("2001:db8:2::1"), a("2606::1"), false));
        assert!(!fib.delivers(a("2001:db8:8000::1"), a("2001:db8:2::1"), false));
        assert!(fib.delivers(a("2001:db8:8000::1"), a("2001:db8:2::1"), true));
    }

    /// The definition, read aloud.
    fn naive(routes: &[(Prefix, Prefix, Target)], dst: Ipv6Addr, src: Ipv6Addr) -> Option<Target> {
        let fitting = routes.iter().enumerate().filter(|(_, (d, s, _))| d.contains(dst) && s.contains(src));
        fitting.max_by_key(|(at, (d, s, _))| (d.len(), s.len(), *at)).map(|(_, (_, _, target))| *target)
    }

    /// Few bits, so that prefixes cover each other often.
    fn small() -> impl Strategy<Value = Prefix> {
        (0u128..64, 0u8..=6).prop_map(|(bits, len)| Prefix::new(Ipv6Addr::from_bits(bits << 122), len))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn lookup_is_the_linear_search(
            routes in proptest::collection::vec((small(), small(), 0u32..50), 0..40),
            probes in proptest::collection::vec((0u128..64, 0u128..64), 64),
        ) {
            let routes: Vec<_> = routes.into_iter().map(|(d, s, n)| (d, s, peer(n))).collect();
            let fib = Fib::build(FibInput { routes: routes.clone(), ..FibInput::default() });
            for (dst, src) in probes {
                let (dst, src) = (Ipv6Addr::from_bits(dst << 122), Ipv6Addr::from_bits(src << 122));
                prop_assert_eq!(fib.lookup(dst, src), naive(&routes, dst, src));
            }
        }
    }

    #[test]
    fn the_next_hop_to_a_router_is_found() {
        let routers = (0u8..20).rev().map(|n| (RouterId([n; 8]), PeerIdx(u32::from(n)))).collect();
        let fib = Fib::build(FibInput { routers, ..FibInput::default() });
        assert_eq!(fib.relay_to(&RouterId([7; 8])), Some(PeerIdx(7)));
        assert_eq!(fib.relay_to(&RouterId([20; 8])), None);
    }
}
