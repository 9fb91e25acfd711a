//! What a worker knows of each peer.

use crate::forwarder::mail::{Event, PeerKind, PeerTx, Watch};
use crate::forwarder::token::TokenBucket;
use crate::{Path, PeerIdx};
use core::net::SocketAddr;
use ln6_types::{Duration, Instant};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often one peer is reported as wanted, or as moved to the same path.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Handshake messages that may come from one peer's address or be relayed by it: so many a second, and half of that at once.
const HANDSHAKES: u64 = 40;
/// Messages and link-local packets that one peer may send to control: so many a second, and as many at once. A guest is
/// whoever made up a key, and needs few; a node's gossip and Babel come in bursts.
const OF_GUEST: u64 = 40;
const OF_NODE: u64 = 2000;
/// Datagrams that one neighbour relays to another worker, by way of control: so many a second, and at once.
const ELSEWHERE: (u64, u64) = (4000, 400);
/// Changes of path that one peer may report.
const MOVES: u64 = 4;

/// One peer.
#[derive(Debug)]
pub(crate) struct Peer {
    /// What control told; nothing before its first mail and after the peer is gone.
    pub(crate) tx: Option<Arc<PeerTx>>,
    watch: Watch,
    wanted: Option<Instant>,
    moved: Option<(Path, Instant)>,
    pub(crate) handshakes: TokenBucket,
    of_guest: TokenBucket,
    of_node: TokenBucket,
    moves: TokenBucket,
    pub(crate) elsewhere: TokenBucket,
}

impl Default for Peer {
    fn default() -> Self {
        Peer {
            tx: None,
            watch: Watch::default(),
            wanted: None,
            moved: None,
            handshakes: TokenBucket::new(HANDSHAKES, HANDSHAKES / 2),
            of_guest: TokenBucket::new(OF_GUEST, OF_GUEST),
            of_node: TokenBucket::new(OF_NODE, OF_NODE),
            moves: TokenBucket::new(MOVES, MOVES),
            elsewhere: TokenBucket::new(ELSEWHERE.0, ELSEWHERE.1),
        }
    }
}

impl Peer {
    /// What the other end is. Unknown is treated as a guest: it may talk to control and to nobody else.
    pub(crate) fn kind(&self) -> PeerKind {
        self.tx.as_ref().map_or(PeerKind::Guest, |tx| tx.kind)
    }

    /// Whether it may send control one more message now.
    pub(crate) fn may_talk(&mut self, now: Instant) -> bool {
        match self.kind() {
            PeerKind::Guest => self.of_guest.take(now, 1),
            PeerKind::Node | PeerKind::Stock => self.of_node.take(now, 1),
        }
    }

    /// Takes new orders from control, which has dealt with whatever was reported.
    fn set(&mut self, tx: Arc<PeerTx>) {
        self.tx = Some(tx);
        self.moved = None;
    }

    pub(crate) fn arm(&mut self, watch: Watch) {
        self.watch.sent |= watch.sent;
        self.watch.received |= watch.received;
        self.watch.data_received |= watch.data_received;
    }

    /// The armed edges among those that happened; they are disarmed only when the queue takes them.
    pub(crate) fn edges(&self, happened: Watch) -> Option<Watch> {
        let seen = Watch {
            sent: self.watch.sent && happened.sent,
            received: self.watch.received && happened.received,
            data_received: self.watch.data_received && happened.data_received,
        };
        (seen != Watch::default()).then_some(seen)
    }

    pub(crate) fn disarm(&mut self, seen: Watch) {
        self.watch.sent &= !seen.sent;
        self.watch.received &= !seen.received;
        self.watch.data_received &= !seen.data_received;
    }

    /// Whether to raise [`Event::Wanted`] now: once a second.
    pub(crate) fn is_wanted_anew(&mut self, now: Instant) -> bool {
        let due = self.wanted.is_none_or(|last| now.since(last) >= REPORT_INTERVAL);
        if due {
            self.wanted = Some(now);
        }
        due
    }

    /// Whether an authentic packet by `from` is news: not the path in use, and not reported within the last second. Whoever
    /// alternates between paths is not followed.
    pub(crate) fn has_moved(&mut self, now: Instant, from: Path) -> bool {
        let Some(tx) = &self.tx else { return false };
        if tx.path == Some(from) {
            return false;
        }
        let news = self.moved.is_none_or(|(path, last)| path != from || now.since(last) >= REPORT_INTERVAL);
        let news = news && self.moves.take(now, 1);
        if news {
            self.moved = Some((from, now));
        }
        news
    }
}

/// All peers, by their dense numbers, and those of them that have an address.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    all: Vec<Peer>,
    at: BTreeMap<SocketAddr, PeerIdx>,
}

impl Peers {
    /// Makes room for the peers below `count`.
    pub(crate) fn grow(&mut self, count: usize) {
        if self.all.len() < count {
            self.all.resize_with(count, Peer::default);
        }
    }

    /// The peer, made if it is new; only mail does that.
    pub(crate) fn make(&mut self, peer: PeerIdx) -> &mut Peer {
        let at = peer.0 as usize;
        self.grow(at + 1);
        &mut self.all[at]
    }

    /// Takes new orders for a peer.
    pub(crate) fn set(&mut self, peer: PeerIdx, tx: Arc<PeerTx>) {
        self.leave(peer);
        if let Some(Path::Udp(address)) = tx.path {
            self.at.insert(address, peer);
        }
        self.make(peer).set(tx);
    }

    /// The peer that control believes at an address.
    pub(crate) fn at(&mut self, address: SocketAddr) -> Option<&mut Peer> {
        let peer = *self.at.get(&address)?;
        self.get_mut(peer)
    }

    /// The address is no longer this peer's; another may have it by now.
    fn leave(&mut self, peer: PeerIdx) {
        if let Some(Path::Udp(address)) = self.tx(peer).and_then(|tx| tx.path)
            && self.at.get(&address) == Some(&peer)
        {
            self.at.remove(&address);
        }
    }

    pub(crate) fn forget(&mut self, peer: PeerIdx) {
        self.leave(peer);
        if let Some(known) = self.get_mut(peer) {
            *known = Peer::default();
        }
    }

    pub(crate) fn get(&self, peer: PeerIdx) -> Option<&Peer> {
        self.all.get(peer.0 as usize)
    }

    pub(crate) fn get_mut(&mut self, peer: PeerIdx) -> Option<&mut Peer> {
        self.all.get_mut(peer.0 as usize)
    }

    /// What control told about the peer.
    pub(crate) fn tx(&self, peer: PeerIdx) -> Option<&PeerTx> {
        self.get(peer).and_then(|peer| peer.tx.as_deref())
    }

    /// Reports edges that happened, if control waits for them and the queue has a place.
    pub(crate) fn watched(&mut self, peer: PeerIdx, happened: Watch, events: &mut Vec<Event>) {
        let Some(state) = self.get_mut(peer) else { return };
        if let Some(seen) = state.edges(happened)
            && super::raise(events, Event::Seen(peer, seen))
        {
            state.disarm(seen);
        }
    }
}
