//! The forwarder: one per worker thread, all `&mut self`, no clock, no lock, no allocation per packet.
//!
//! The way of a packet can be read in order in `inside.rs` (TUN → wire) and `outside.rs` (wire → TUN).

pub mod arena;
pub mod batch;
mod checksum;
mod coalesce;
pub mod drop;
pub mod fib;
pub mod frame;
pub mod gate;
mod icmp;
mod inside;
mod ipv6;
pub mod keys;
pub mod mail;
mod memo;
mod outside;
mod park;
mod peers;
mod relay;
mod split;
pub mod stats;
mod token;
mod transmit;
mod way;

use crate::{Path, PeerIdx};
use arena::{ArenaLayout, RESERVE};
use batch::{Batch, Ecn, Span};
use coalesce::Runs;
use drop::DropReason;
use fib::Fib;
use gate::{Gate, Porter};
use inside::{By, divide};
use keys::ReceiveKey;
use ln6_types::Instant;
use mail::{Event, Update};
use memo::Memo;
use outside::Arrival;
use park::Parking;
use peers::Peers;
use relay::Sealed;
use stats::{Figure, Stats};
use std::collections::BTreeMap;
use std::sync::Arc;
use token::TokenBucket;
use transmit::Transmit;

/// Events of one batch that strangers and peers may cause; more are counted and dropped.
const EVENTS: usize = 256;
/// Of these, handshake messages of strangers: the rest is for known peers, however many strangers there are.
const HANDSHAKES: u16 = 64;
/// ICMPv6 errors in a second.
const ICMP_ERRORS: u64 = 50;
/// Reports of unknown receiver indices in a second.
const STRANGERS: u64 = 4;
/// Datagrams from the socket that are another worker's: so many a second, and at once. The socket's filter lets through what
/// came before it was there; without one all data comes to any worker, and control passes on no more than this.
const ELSEWHERE: (u64, u64) = (20_000, 1000);
/// Reports of relay frames without a next hop in a second.
const NO_RELAYS: u64 = 10;

/// What a worker is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// This worker's number, 0 to 7: the low bits of the receiver indices it owns.
    pub worker: u8,
    /// How many workers there are, 1 to 8.
    pub workers: u8,
    /// How the arena is divided.
    pub layout: ArenaLayout,
    /// The TUN takes UDP superpackets (`TUN_F_USO6`).
    pub uso: bool,
    /// Octets per second of relay frames carried for others, as read from the wire; 0 = transit is refused.
    pub transit: u64,
    /// Random, different for every worker and every start: what cookie nonces and the tables of sources are drawn from.
    pub seed: [u8; 32],
    /// Where it counts.
    pub stats: Arc<Stats>,
}

/// Received packets of one peer that are not counted yet.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    peer: Option<PeerIdx>,
    packets: u64,
    bytes: u64,
}

/// One worker's half of the node.
pub struct Forwarder {
    config: Config,
    fib: Arc<Fib>,
    gate: Option<Arc<Gate>>,
    porter: Porter,
    peers: Peers,
    receive: BTreeMap<u32, Box<ReceiveKey>>,
    transmit: Transmit,
    parking: Parking,
    runs: Box<Runs>,
    tallies: [Tally; 2],
    /// What goes to whom.
    sent: Memo,
    /// What came from whom.
    received: Memo,
    /// Handshake messages taken in this batch.
    handshakes: u16,
    icmp_tokens: TokenBucket,
    stranger_tokens: TokenBucket,
    transit_tokens: TokenBucket,
    no_relay_tokens: TokenBucket,
    elsewhere_tokens: TokenBucket,
}

impl Forwarder {
    /// A worker with an empty table, no peers and a closed gate.
    pub fn new(config: Config) -> Self {
        Forwarder {
            fib: Arc::new(Fib::default()),
            gate: None,
            porter: Porter::new(&config.seed),
            peers: Peers::default(),
            receive: BTreeMap::new(),
            transmit: Transmit::new(config.layout.tx),
            parking: Parking::default(),
            runs: Box::new(Runs::new(config.uso)),
            tallies: [Tally::default(); 2],
            sent: Memo::default(),
            received: Memo::default(),
            handshakes: 0,
            icmp_tokens: TokenBucket::new(ICMP_ERRORS, ICMP_ERRORS),
            stranger_tokens: TokenBucket::new(STRANGERS, STRANGERS),
            transit_tokens: TokenBucket::new(config.transit, config.transit.max(u64::from(RESERVE))),
            no_relay_tokens: TokenBucket::new(NO_RELAYS, NO_RELAYS),
            elsewhere_tokens: TokenBucket::new(ELSEWHERE.0, ELSEWHERE.1),
            config,
        }
    }

    /// Takes one piece of mail. The shell drains the mailbox before every batch of UDP reads, so that a key mailed before
    /// its first datagram is there. May lay out datagrams and writes, and allocate.
    pub fn apply(&mut self, now: Instant, update: Update, arena: &mut [u8], out: &mut Batch) {
        if matches!(update, Update::Fib(_) | Update::Peer(..) | Update::Gone(_)) {
            self.sent.forget_all();
            self.received.forget_all();
        }
        match update {
            Update::Fib(fib) => {
                self.peers.grow(fib.peers());
                let old = core::mem::replace(&mut self.fib, fib);
                out.events.push(Event::Retired(old));
            }
            Update::Peer(peer, tx) => {
                self.settle();
                let has_key = tx.key.is_some();
                self.peers.set(peer, tx);
                if has_key {
                    self.unpark(now, peer, arena, out);
                }
            }
            Update::Gone(peer) => {
                self.settle();
                self.peers.forget(peer);
                if self.parking.forget(peer) {
                    self.config.stats.dropped(DropReason::PeerGone);
                }
            }
            Update::Receive(key) => {
                self.peers.make(key.peer());
                self.receive.insert(key.index(), key);
            }
            Update::Forget(index) => {
                self.receive.remove(&index);
            }
            Update::Watch(peer, watch) => self.peers.make(peer).arm(watch),
            Update::Send(peer, packet) => {
                let (_, mut area) = divide(&self.config.layout, arena);
                self.send(now, peer, &packet, &mut area, out);
            }
            Update::Probe(peer, path, packet) => self.probe(now, peer, By::Path(path), &packet, arena, out),
            Update::Measure(peer, path, packet) => {
                self.probe(now, peer, By::Whole(path), &packet, arena, out);
            }
            Update::Datagram(from, packet) => self.mailed(now, from, &packet, arena, out),
            Update::Gate(gate) => self.gate = Some(gate),
        }
    }

    fn probe(
        &mut self,
        now: Instant,
        peer: PeerIdx,
        by: By,
        packet: &[u8],
        arena: &mut [u8],
        out: &mut Batch,
    ) {
        let (_, mut area) = divide(&self.config.layout, arena);
        if let Err(reason) = self.seal_one(now, peer, by, packet, &mut area, out) {
            self.config.stats.dropped(reason);
        }
    }

    /// A datagram by mail: it needs a place in the arena that lasts until the batch is sent.
    fn mailed(&mut self, now: Instant, from: Path, datagram: &[u8], arena: &mut [u8], out: &mut Batch) {
        let Some(at) = self.transmit.take(datagram.len()) else {
            return self.config.stats.dropped(DropReason::TransmitFull);
        };
        arena[at..at + datagram.len()].copy_from_slice(datagram);
        let span = Span::new(at as u32, datagram.len() as u32);
        let relayed = matches!(from, Path::Through(_));
        let (ecn, sealed) = (Ecn::default(), Sealed::Whole);
        let arrival = Arrival { from, ecn, at: span, sealed, relayed, author: None, mailed: true };
        self.arrive(now, arrival, arena, out);
        self.settle();
    }

    /// Sends what waited for `peer`, itself or as the neighbour on the way.
    fn unpark(&mut self, now: Instant, peer: PeerIdx, arena: &mut [u8], out: &mut Batch) {
        for waiting in self.parking.waiting().into_iter().flatten() {
            let through = self.peers.tx(waiting).and_then(|tx| tx.path) == Some(Path::Through(peer));
            if (waiting == peer || through)
                && let Some((at, gso, packet)) = self.parking.take(waiting)
            {
                let (_, mut area) = divide(&self.config.layout, arena);
                self.towards_peer(now, gso, &packet, &mut area, out);
                self.parking.give_back(at, packet);
            }
        }
    }

    /// Closes what is open. Afterwards the shell sends everything in `out` and clears it, before any other call: the
    /// transmit area is used anew from its start.
    pub fn end_of_batch(&mut self, _now: Instant, arena: &mut [u8], out: &mut Batch) {
        self.runs.close_all(arena, out);
        self.transmit.reset();
        self.handshakes = 0;
        let stats = &self.config.stats;
        stats.add(Figure::Batches, 1);
        if !out.writes.is_empty() {
            stats.add(Figure::TunWrites, out.writes.len() as u64);
            let merged = out.writes.iter().filter(|write| write.parts.len() > 1).count();
            stats.add(Figure::TunSuperwrites, merged as u64);
        }
        if !out.trains.is_empty() {
            stats.add(Figure::UdpTrains, out.trains.len() as u64);
            let segments =
                out.trains.iter().map(|train| train.all.len.div_ceil(u32::from(train.stride.max(1))));
            stats.add(Figure::UdpSegments, segments.map(u64::from).sum());
        }
    }

    /// Whether the largest read (or piece of mail) still fits into this batch. If not, end it first.
    pub fn room(&self, out: &Batch) -> bool {
        self.transmit.free() >= RESERVE
            && out.trains.len() < batch::TRAINS - 16
            && out.writes.len() < batch::WRITES / 2
            && out.events.len() < EVENTS
    }

    /// How full the queue to control is, in percent; from 50 on strangers must prove their address. Told by the shell before
    /// each batch.
    pub fn set_queue_fill(&mut self, percent: u8) {
        self.porter.set_queue_fill(percent);
    }

    /// What it was told at the start.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

impl core::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let keys = self.receive.len();
        f.debug_struct("Forwarder").field("config", &self.config).field("keys", &keys).finish_non_exhaustive()
    }
}

/// Adds an event unless strangers and peers have caused too many in this batch; whether it was added.
fn raise(events: &mut Vec<Event>, event: Event) -> bool {
    let room = events.len() < EVENTS;
    if room {
        events.push(event);
    }
    room
}
