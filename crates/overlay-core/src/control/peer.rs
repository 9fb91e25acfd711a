//! What control knows of one peer.

use crate::control::config::StockPeer;
use crate::control::message::Message;
use crate::control::mtu::search::PathMtu;
use crate::control::probe::Proving;
use crate::control::session::suite::Negotiation;
use crate::forwarder::keys::{SendKey, index_for};
use crate::forwarder::mail::PeerKind;
use crate::forwarder::stats::PeerCounters;
use crate::{Path, PeerIdx};
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use ln6_crypto::cookie::CookieJar;
use ln6_crypto::handshake::{Initiator, Tai64n};
use ln6_crypto::keys::{Psk, router_id};
use ln6_crypto::message::INITIATION_LEN;
use ln6_types::{Instant, PublicKey, RouterId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// One keypair of a session, as control sees it: the receiving half lives in a worker.
pub(crate) struct Keys {
    pub(crate) send: Arc<SendKey>,
    /// Our receiver index.
    pub(crate) index: u32,
    pub(crate) born: Instant,
    /// Whether we were the initiator, who alone renews it by time.
    pub(crate) initiator: bool,
    /// By which path it was made: the message that completed it came from there.
    pub(crate) path: Path,
}

/// An initiation on its way.
pub(crate) struct Pending {
    pub(crate) initiator: Initiator,
    pub(crate) index: u32,
    /// When this very message was sent.
    pub(crate) sent: Instant,
    /// When the series of attempts began (REKEY_ATTEMPT_TIME counts from here).
    pub(crate) since: Instant,
    /// It looks for a better path than the one that carries meanwhile.
    pub(crate) upgrade: bool,
    /// The very message, and where it went.
    pub(crate) message: [u8; INITIATION_LEN],
    pub(crate) tried: Vec<Path>,
}

/// A reliable message that is not acknowledged yet.
pub(crate) struct Unacknowledged {
    pub(crate) message: Message,
    pub(crate) due: Instant,
    pub(crate) tries: u8,
}

/// What one stranger has of its own: an IPv4 address, an IPv6 /64, a place behind a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Origin {
    V4(Ipv4Addr),
    V6(u64),
    Through(PeerIdx),
}

impl Origin {
    pub(crate) fn of(path: Path) -> Self {
        match path {
            Path::Udp(SocketAddr::V4(v4)) => Origin::V4(*v4.ip()),
            Path::Udp(SocketAddr::V6(v6)) => Origin::V6((v6.ip().to_bits() >> 64) as u64),
            Path::Through(neighbour) => Origin::Through(neighbour),
        }
    }
}

/// Who wants a long-lived connection.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Meta {
    /// We chose this peer.
    pub(crate) ours: bool,
    /// It says it chose us.
    pub(crate) theirs: bool,
    /// Babel runs on it.
    pub(crate) link: bool,
}

impl Meta {
    pub(crate) fn any(self) -> bool {
        self.ours || self.theirs
    }
}

pub(crate) struct Peer {
    pub(crate) idx: PeerIdx,
    pub(crate) key: PublicKey,
    pub(crate) router: RouterId,
    pub(crate) psk: Psk,
    pub(crate) kind: PeerKind,
    pub(crate) stock: Option<StockPeer>,
    pub(crate) counters: Arc<PeerCounters>,

    pub(crate) jar: CookieJar,
    pub(crate) pending: Option<Pending>,
    pub(crate) current: Option<Keys>,
    pub(crate) previous: Option<Keys>,
    /// Responder's keys, until the initiator proves it has them.
    pub(crate) next: Option<Keys>,
    pub(crate) negotiation: Negotiation,
    /// Greatest timestamp of an initiation accepted from it.
    pub(crate) greatest: Option<Tai64n>,
    pub(crate) last_initiation: Option<Instant>,
    /// When its first initiation was accepted.
    pub(crate) met: Option<Instant>,
    /// Where the last one came from.
    pub(crate) origin: Option<Origin>,

    pub(crate) path: Option<Path>,
    pub(crate) proving: Proving,
    pub(crate) sizing: PathMtu,
    /// Configured, cached and observed addresses, best first.
    pub(crate) known: Vec<SocketAddr>,
    pub(crate) heard: Option<Instant>,
    /// Packets received when the wait for an answer began.
    pub(crate) heard_then: u64,
    /// Packets sent when the wait for something to say began.
    pub(crate) said_then: u64,
    /// Octets received when edges were last looked at.
    pub(crate) octets_then: u64,
    /// Failed connection series in a row.
    pub(crate) failures: u32,

    pub(crate) meta: Meta,
    pub(crate) said_hello: bool,
    /// It said hello in the present session.
    pub(crate) introduced: bool,
    /// Gossip runs with it.
    pub(crate) gossips: bool,
    /// When gossip with it was begun, or begun anew, last.
    pub(crate) compared: Option<Instant>,
    pub(crate) version: u16,
    pub(crate) transit: bool,
    /// It takes relayed datagrams in place of relay frames.
    pub(crate) takes_relayed: bool,
    pub(crate) outbox: BTreeMap<u32, Unacknowledged>,
    /// Reliable messages already handled, newest last.
    pub(crate) handled: Vec<u32>,
}

impl Peer {
    pub(crate) fn new(idx: PeerIdx, key: PublicKey, psk: Psk) -> Self {
        Peer {
            idx,
            key,
            router: router_id(&key),
            psk,
            kind: PeerKind::Guest,
            stock: None,
            counters: Arc::new(PeerCounters::default()),
            jar: CookieJar::new(&key),
            pending: None,
            current: None,
            previous: None,
            next: None,
            negotiation: Negotiation::default(),
            greatest: None,
            last_initiation: None,
            met: None,
            origin: None,
            path: None,
            proving: Proving::default(),
            sizing: PathMtu::default(),
            known: Vec::new(),
            heard: None,
            heard_then: 0,
            said_then: 0,
            octets_then: 0,
            failures: 0,
            meta: Meta::default(),
            said_hello: false,
            introduced: false,
            gossips: false,
            compared: None,
            version: 0,
            transit: true,
            takes_relayed: false,
            outbox: BTreeMap::new(),
            handled: Vec::new(),
        }
    }

    /// Whether packets can be sealed to it now.
    pub(crate) fn connected(&self) -> bool {
        self.current.is_some() && self.path.is_some()
    }

    /// Connected without anybody between.
    pub(crate) fn direct(&self) -> bool {
        self.current.is_some() && matches!(self.path, Some(Path::Udp(_)))
    }

    /// Puts an address that worked in front of the known ones.
    pub(crate) fn remember(&mut self, address: SocketAddr) {
        self.known.retain(|other| *other != address);
        self.known.insert(0, address);
        self.known.truncate(8);
    }
}

/// An address that was only heard of goes behind those that worked.
impl Peer {
    pub(crate) fn hint(&mut self, address: SocketAddr) {
        if !self.known.contains(&address) {
            self.known.truncate(7);
            self.known.push(address);
        }
    }
}

/// How long the number of a peer that is gone rests. Events and mail that name it are read long before.
const REST: Duration = Duration::from_secs(30);

/// All peers, by number and by key.
#[derive(Default)]
pub(crate) struct Peers {
    all: BTreeMap<PeerIdx, Peer>,
    by_key: BTreeMap<PublicKey, PeerIdx>,
    by_router: BTreeMap<RouterId, PeerIdx>,
    /// Receiver indices in use, also of pending initiations.
    indices: BTreeMap<u32, PeerIdx>,
    last: u32,
    /// Numbers of peers that are gone, and since when.
    resting: VecDeque<(Instant, PeerIdx)>,
    /// Peers whose sending side changed since the workers were told.
    pub(crate) changed: BTreeSet<PeerIdx>,
}

impl Peers {
    pub(crate) fn get(&self, idx: PeerIdx) -> Option<&Peer> {
        self.all.get(&idx)
    }

    pub(crate) fn get_mut(&mut self, idx: PeerIdx) -> Option<&mut Peer> {
        self.all.get_mut(&idx)
    }

    pub(crate) fn by_key(&self, key: &PublicKey) -> Option<PeerIdx> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn by_router(&self, router: &RouterId) -> Option<PeerIdx> {
        self.by_router.get(router).copied()
    }

    pub(crate) fn by_index(&self, index: u32) -> Option<PeerIdx> {
        self.indices.get(&index).copied()
    }

    /// The number of the peer with this key, newly given if need be.
    pub(crate) fn intern(&mut self, now: Instant, key: PublicKey) -> PeerIdx {
        if let Some(idx) = self.by_key(&key) {
            return idx;
        }
        let idx = self.free_number(now);
        let peer = Peer::new(idx, key, Psk::NONE);
        self.by_key.insert(key, idx);
        self.by_router.insert(peer.router, idx);
        self.all.insert(idx, peer);
        idx
    }

    fn free_number(&mut self, now: Instant) -> PeerIdx {
        if let Some((since, rested)) = self.resting.front().copied()
            && now.since(since) >= REST
        {
            self.resting.pop_front();
            return rested;
        }
        self.last += 1;
        PeerIdx(self.last)
    }

    pub(crate) fn remove(&mut self, now: Instant, idx: PeerIdx) -> Option<Peer> {
        let peer = self.all.remove(&idx)?;
        self.by_key.remove(&peer.key);
        // A stock peer's own router-id is void, but it was entered under the one that its key would have.
        let router = router_id(&peer.key);
        if self.by_router.get(&router) == Some(&idx) {
            self.by_router.remove(&router);
        }
        self.resting.push_back((now, idx));
        self.changed.remove(&idx);
        Some(peer)
    }

    /// Claims a random receiver index whose low three bits name `worker`; `None` if it is taken.
    pub(crate) fn claim(&mut self, idx: PeerIdx, random: u32, worker: u8) -> Option<u32> {
        let index = index_for(worker, random);
        if index == 0 || self.indices.contains_key(&index) {
            return None;
        }
        self.indices.insert(index, idx);
        Some(index)
    }

    pub(crate) fn release(&mut self, index: u32) {
        self.indices.remove(&index);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.all.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn ids(&self) -> Vec<PeerIdx> {
        self.all.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> PublicKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        PublicKey(key)
    }

    #[test]
    fn peers_that_come_and_go_do_not_use_up_numbers() {
        let mut peers = Peers::default();
        let kept = peers.intern(Instant::ZERO, key(0));
        let mut greatest = kept;
        for number in 1..=100_000 {
            let now = Instant::ZERO + Duration::from_millis(number * 50);
            let idx = peers.intern(now, key(number));
            assert_ne!(idx, kept);
            greatest = greatest.max(idx);
            assert!(peers.remove(now, idx).is_some());
        }
        assert!(greatest.0 < 700, "{greatest:?}: every worker keeps a place for each number");
    }

    #[test]
    fn a_number_rests_before_another_peer_gets_it() {
        let mut peers = Peers::default();
        let first = peers.intern(Instant::ZERO, key(1));
        peers.remove(Instant::ZERO, first);
        let soon = peers.intern(Instant::ZERO + REST - Duration::from_micros(1), key(2));
        assert_ne!(soon, first);
        assert_eq!(peers.intern(Instant::ZERO + REST, key(3)), first);
        assert_eq!(peers.by_router(&router_id(&key(1))), None);
        assert_eq!(peers.by_router(&router_id(&key(3))), Some(first));
    }
}
