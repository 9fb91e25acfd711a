//! Whom to be connected with, and by which addresses.
//!
//! A sparse graph that talks: every node keeps connections to all brokers, to its successor in the ring of router-ids
//! (so that the graph hangs together whatever else is chosen), and to two reachable nodes that carry for others, chosen
//! by a hash of the pair (so that the load spreads and the choice is stable).

use crate::control::Control;
use crate::control::timers::Reason;
use crate::{Path, PeerIdx};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use ln6_crypto::NodeRecord;
use ln6_types::{Instant, Jitter, PublicKey, RouterId, gathered};
use std::collections::BTreeSet;

/// Transit nodes each node keeps a connection to, beside brokers and the ring.
const TRANSITS: usize = 2;
/// How often the choice is looked at even if nothing changed.
const REVIEW: Duration = Duration::from_secs(30);
/// First pause after a failed series, doubled each time.
const BACKOFF: Duration = Duration::from_secs(2);
/// Longest pause between series.
const BACKOFF_MOST: Duration = Duration::from_secs(300);
/// How long a relayed session waits before it is tried directly again; doubled by failures.
const UPGRADE: Duration = Duration::from_secs(20);
/// Initiations of one series go to at most so many addresses.
const CANDIDATES: usize = 10;

impl Control {
    /// All paths worth an initiation, the present one first.
    pub(crate) fn paths_to(&self, now: Instant, idx: PeerIdx) -> Vec<Path> {
        let Some(peer) = self.peers.get(idx) else { return Vec::new() };
        let mut paths: Vec<Path> = peer.path.into_iter().collect();
        if let Some(stock) = &peer.stock {
            paths.extend(stock.endpoint.map(Path::Udp));
            paths.dedup();
            return paths;
        }
        let mut add = |path| {
            if paths.len() < CANDIDATES && !paths.contains(&path) {
                paths.push(path);
            }
        };
        for &address in &peer.known {
            add(Path::Udp(address));
        }
        for endpoint in self.record(now, &peer.key).into_iter().flat_map(|record| &record.endpoints) {
            if self.is_candidate(endpoint.addr) {
                add(Path::Udp(endpoint.addr));
            }
        }
        if let Some(via) = self.relay_towards(&peer.router).filter(|via| *via != idx) {
            add(Path::Through(via));
        }
        paths
    }

    /// What a node says of itself now.
    pub(crate) fn record(&self, now: Instant, key: &PublicKey) -> Option<&NodeRecord> {
        self.membership.record(key, self.wall(now))
    }

    /// The neighbour through which `router` is reached, if Babel knows one with a direct session.
    pub(crate) fn relay_towards(&self, router: &RouterId) -> Option<PeerIdx> {
        let via = *self.next_hops.get(router)?;
        self.peers.get(via).is_some_and(|peer| peer.direct()).then_some(via)
    }

    /// Whether an address from somebody's record may be tried: never inside the network's own prefixes, where the tunnel
    /// would carry itself, and nothing that cannot be a host elsewhere.
    pub(crate) fn is_candidate(&self, address: SocketAddr) -> bool {
        if address.port() == 0 {
            return false;
        }
        match address.ip() {
            IpAddr::V4(v4) => {
                !(v4.is_unspecified()
                    || v4.is_multicast()
                    || v4.is_broadcast()
                    || v4.is_loopback()
                    || v4.is_link_local())
            }
            IpAddr::V6(v6) => {
                let outside = !self.inside.iter().any(|prefix| prefix.contains(v6));
                let link_local = v6.segments()[0] & 0xffc0 == 0xfe80;
                // Without a way of its own to the IPv6 Internet, the kernel's way there is our own tunnel.
                let global = v6.segments()[0] & 0xe000 == 0x2000;
                let outside = outside && (self.host.uplink6 || !global);
                outside && !(v6.is_unspecified() || v6.is_multicast() || v6.is_loopback() || link_local)
            }
        }
    }

    /// Chooses the long-lived connections anew.
    pub(crate) fn review_connections(&mut self, now: Instant) {
        self.review_at = now + REVIEW + self.jitter.millis(3_000);
        self.membership.purge_held(self.wall(now));
        if now >= self.purge_at {
            self.purge(now);
        }
        let chosen = self.choose(now);
        for idx in self.peers.ids() {
            let Some(peer) = self.peers.get_mut(idx) else { continue };
            let ours = chosen.contains(&idx);
            if peer.meta.ours != ours {
                peer.meta.ours = ours;
                if peer.connected() {
                    self.say_hello(now, idx, true);
                    self.settle_link(now, idx);
                }
            }
            if ours && !self.timers.running(idx, Reason::Connect) {
                self.want(now, idx);
            }
        }
    }

    fn choose(&mut self, now: Instant) -> BTreeSet<PeerIdx> {
        let wall = self.wall(now);
        let mut brokers: BTreeSet<PublicKey> =
            gathered(self.brokers.iter().map(|broker| broker.key).chain(self.membership.brokers(wall)));
        brokers.remove(&self.key);
        let mut chosen: BTreeSet<PeerIdx> = gathered(brokers.into_iter().map(|key| self.intern(now, key)));
        if self.membership.status(&self.key, wall).holds() {
            let others = self.reachable_members(now);
            chosen.extend(self.ring_successor(&others));
            let transits = self.transits(now, &others, &chosen);
            chosen.extend(transits);
        }
        chosen
    }

    /// Certified nodes that are, or can be, connected directly: those that say others reach them, or if there is none, all
    /// that have an address; without those that failed us twice in a row.
    fn reachable_members(&mut self, now: Instant) -> Vec<PeerIdx> {
        let wall = self.wall(now);
        let keys: Vec<PublicKey> = self.membership.members(wall).filter(|key| *key != self.key).collect();
        let ids: Vec<PeerIdx> = keys.into_iter().map(|key| self.intern(now, key)).collect();
        let worth = |idx: &&PeerIdx, says: bool| {
            let Some(peer) = self.peers.get(**idx) else { return false };
            let record = self.record(now, &peer.key);
            let reachable = record.is_some_and(|record| record.reachable);
            let addressed =
                !peer.known.is_empty() || record.is_some_and(|record| !record.endpoints.is_empty());
            peer.direct() || addressed && (reachable || !says) && peer.failures < 2
        };
        let public: Vec<PeerIdx> = ids.iter().filter(|idx| worth(idx, true)).copied().collect();
        if public.is_empty() { ids.iter().filter(|idx| worth(idx, false)).copied().collect() } else { public }
    }

    fn ring_successor(&self, others: &[PeerIdx]) -> Option<PeerIdx> {
        let router = |idx: &PeerIdx| self.peers.get(*idx).map(|peer| peer.router);
        let after = others.iter().filter(|idx| router(idx) > Some(self.router)).min_by_key(|idx| router(idx));
        after.or_else(|| others.iter().min_by_key(|idx| router(idx))).copied()
    }

    fn transits(&self, now: Instant, others: &[PeerIdx], chosen: &BTreeSet<PeerIdx>) -> Vec<PeerIdx> {
        let mut ranked: Vec<(u64, PeerIdx)> = others
            .iter()
            .filter(|idx| !chosen.contains(idx))
            .filter_map(|idx| {
                let peer = self.peers.get(*idx)?;
                let record = self.record(now, &peer.key)?;
                (record.transit && record.reachable).then(|| (pair_rank(self.router, peer.router), *idx))
            })
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().take(TRANSITS).map(|(_, idx)| idx).collect()
    }

    /// Tries a wanted connection again later: with jitter, ever more slowly.
    pub(crate) fn schedule_connect(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get(idx) else { return };
        let stock = peer.stock.as_ref().is_some_and(|stock| stock.keepalive > 0 && stock.endpoint.is_some());
        if !(peer.meta.any() || stock) || peer.pending.is_some() {
            return;
        }
        let pause = BACKOFF.saturating_mul(1 << peer.failures.min(8)).min(BACKOFF_MOST);
        let noise = self.jitter.millis(pause.as_millis() as u64 / 4 + 1);
        self.timers.set(idx, Reason::Connect, now + pause + noise);
    }

    /// Watches over a session that runs through somebody else.
    pub(crate) fn schedule_upgrade(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get(idx) else { return };
        if peer.current.is_some() && matches!(peer.path, Some(Path::Through(_))) {
            let pause = UPGRADE.saturating_mul(1 << peer.failures.min(5));
            let noise = self.jitter.millis(5_000);
            self.timers.set_if_idle(idx, Reason::Upgrade, now + pause + noise);
        }
    }
}

/// A number that two routers agree on, whichever asks.
fn pair_rank(a: RouterId, b: RouterId) -> u64 {
    let mixed = u64::from_be_bytes(a.0) ^ u64::from_be_bytes(b.0);
    Jitter::new(mixed).draw()
}
