//! The mail between control and the forwarders: updates one way, events the other, each in order.

use crate::forwarder::batch::Fragmentation;
use crate::forwarder::fib::Fib;
use crate::forwarder::gate::Gate;
use crate::forwarder::keys::{ReceiveKey, SendKey};
use crate::forwarder::stats::PeerCounters;
use crate::{Path, PeerIdx};
use ln6_types::RouterId;
use std::sync::Arc;

/// An inner packet or a datagram on its way between threads.
pub type Packet = Vec<u8>;

/// What kind of other end a session has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerKind {
    /// Speaks WireGuard only: no frames either way; endpoint roams as WireGuard's does.
    Stock,
    /// An ln6d node whose certificate is not (yet) in force: peer messages only, no IP, no relaying, no Babel.
    Guest,
    /// An ln6d node with a live certificate.
    Node,
}

/// What a worker needs to send to a peer. Replaced as a whole by control.
#[derive(Debug)]
pub struct PeerTx {
    /// The current sending key; without one packets are parked and [`Event::Wanted`] is raised.
    pub key: Option<Arc<SendKey>>,
    /// How datagrams travel; without one, packets are dropped.
    pub path: Option<Path>,
    /// Greatest inner packet, in octets.
    pub mtu: u16,
    /// The path was seen to carry that in one piece.
    pub whole: bool,
    /// What the other end is.
    pub kind: PeerKind,
    /// Whether it takes relayed datagrams (message 5); others get relay frames, which are sealed as a whole.
    pub takes_relayed: bool,
    /// Its router-id; destination of relay frames to it. All zeros for a stock peer.
    pub router: RouterId,
    /// Where its traffic is counted.
    pub counters: Arc<PeerCounters>,
}

impl PeerTx {
    /// What becomes of datagrams that do not fit into a link. Who probes a path does not depend on what ICMP says of it.
    pub(crate) fn fragmentation(&self) -> Fragmentation {
        if self.whole { Fragmentation::Free } else { Fragmentation::Kernel }
    }
}

/// One-shot edges that control wants to hear of, re-armed at most once a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Watch {
    /// A data packet (not a keepalive) was sent.
    pub sent: bool,
    /// An authenticated packet arrived.
    pub received: bool,
    /// An authenticated packet that was not a keepalive arrived.
    pub data_received: bool,
}

/// Control to a forwarder. Applied between batches, in order.
#[derive(Debug)]
pub enum Update {
    /// A new forwarding table. The old one is handed back in [`Event::Retired`], so that workers never free one.
    Fib(Arc<Fib>),
    /// New or changed sending side of a peer. When it has a key, what was parked for the peer is sent.
    Peer(PeerIdx, Arc<PeerTx>),
    /// The peer is no more: its parked packet is dropped, later mail to it is ignored.
    Gone(PeerIdx),
    /// A receiving key, owned from now on by this worker. Mailed before the matching [`Update::Peer`].
    Receive(Box<ReceiveKey>),
    /// The receiver index is retired.
    Forget(u32),
    /// Arms one-shot edges; those armed before stay armed.
    Watch(PeerIdx, Watch),
    /// Seals an inner packet (IP, frame, or empty for a keepalive) and sends it.
    Send(PeerIdx, Packet),
    /// The same by this path, whatever path is in use, and without an edge: traffic that asks for paths is no traffic.
    Probe(PeerIdx, Path, Packet),
    /// The same, sealed without padding and never fragmented on its way to the other end or the neighbour that relays.
    Measure(PeerIdx, Path, Packet),
    /// A datagram that came otherwise than by this worker's socket: process it as if read from there.
    Datagram(Path, Packet),
    /// What is checked before anything reaches control.
    Gate(Arc<Gate>),
}

/// A forwarder to control.
#[derive(Debug)]
pub enum Event {
    /// Message type 1, 2 or 3 that passed the gate.
    Handshake {
        /// Where it came from.
        from: Path,
        /// The message, of exact length.
        message: Packet,
    },
    /// An inner packet that is control's: a peer message (the whole frame), or link-local IPv6 (the whole packet).
    Inner {
        /// Whose session it came in.
        peer: PeerIdx,
        /// By which path.
        from: Path,
        /// Without padding.
        packet: Packet,
    },
    /// Traffic waits for a session with this peer.
    Wanted(PeerIdx),
    /// First packet under the receive key with this index.
    Confirmed(u32),
    /// An authenticated packet, newer than all before, came by another path than the peer's.
    Moved {
        /// Whose.
        peer: PeerIdx,
        /// By which path.
        from: Path,
    },
    /// Edges that were armed have happened.
    Seen(PeerIdx, Watch),
    /// The peer's sending key passed WireGuard's `REKEY_AFTER_MESSAGES`. Raised once for a key.
    Worn(PeerIdx),
    /// A transport datagram with an index nobody owns, from an address (rate limited).
    Stranger {
        /// Where it came from.
        from: Path,
    },
    /// The same in a relay frame (rate limited together with those).
    StrangerRelayed {
        /// The neighbour in whose session the frame came.
        via: PeerIdx,
        /// Who sent it, as the frame says: not authenticated.
        router: RouterId,
    },
    /// A relay frame for a router to which there is no next hop (rate limited); `source` is unauthenticated.
    NoRelay {
        /// In whose session the frame came.
        peer: PeerIdx,
        /// Where it was bound for.
        router: RouterId,
    },
    /// A relay frame that the way to the next hop does not carry in one piece (rate limited).
    RelayTooBig {
        /// In whose session the frame came.
        peer: PeerIdx,
        /// Where it was bound for.
        router: RouterId,
        /// Octets of the longest frame that way.
        frame: u16,
    },
    /// A transport datagram whose receiver index names another worker (it came in a relay frame, over TCP, or without
    /// the socket filter that steers by index): for control to mail there as [`Update::Datagram`].
    Elsewhere {
        /// The worker.
        worker: u8,
        /// Where it came from.
        from: Path,
        /// The datagram.
        datagram: Packet,
    },
    /// A replaced table, for control to free.
    Retired(Arc<Fib>),
}

impl Event {
    /// Whether a stranger can cause it at will. When the queue to control is nearly full the shell drops these, and only
    /// these, so that strangers cannot keep known peers from control.
    pub fn is_strangers(&self) -> bool {
        matches!(
            self,
            Event::Handshake { .. } | Event::Stranger { .. } | Event::Elsewhere { from: Path::Udp(_), .. }
        )
    }
}

impl Update {
    /// A copy for one more worker; `None` for what only one worker may have.
    pub fn try_copy(&self) -> Option<Update> {
        Some(match self {
            Update::Fib(fib) => Update::Fib(fib.clone()),
            Update::Peer(peer, tx) => Update::Peer(*peer, tx.clone()),
            Update::Gone(peer) => Update::Gone(*peer),
            Update::Forget(index) => Update::Forget(*index),
            Update::Watch(peer, watch) => Update::Watch(*peer, *watch),
            Update::Gate(gate) => Update::Gate(gate.clone()),
            Update::Receive(_)
            | Update::Send(..)
            | Update::Probe(..)
            | Update::Measure(..)
            | Update::Datagram(..) => return None,
        })
    }
}
