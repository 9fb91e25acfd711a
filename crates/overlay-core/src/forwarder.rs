//! The forwarder: one per worker thread, all `&mut self`, no clock, no lock, no allocation per packet.

pub mod arena;
mod awaited;
pub mod batch;
pub mod drop;
pub mod fib;
pub mod gate;
pub mod keys;
pub mod mail;
pub mod stats;

use arena::ArenaLayout;
use batch::{Batch, TunRead, UdpRead};
use ln6_types::Instant;
use mail::Update;
use stats::Stats;
use std::sync::Arc;

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
    /// Random, different for every worker and every start: the first 16 octets of its cookie replies' nonces.
    pub nonce_prefix: [u8; 16],
    /// Where it counts.
    pub stats: Arc<Stats>,
}

/// One worker's half of the node.
#[derive(Debug)]
pub struct Forwarder {
    config: Config,
}

impl Forwarder {
    /// A worker with an empty table and no peers.
    pub fn new(config: Config) -> Self {
        Forwarder { config }
    }

    /// Takes one piece of mail. The shell drains the mailbox before every batch of UDP reads, so that a key mailed before
    /// its first datagram is there.
    pub fn apply(&mut self, now: Instant, update: Update, arena: &mut [u8], out: &mut Batch) {
        let _ = (now, update, arena, out);
    }

    /// A read from the TUN: towards the peers.
    pub fn inside(&mut self, now: Instant, read: TunRead, arena: &mut [u8], out: &mut Batch) {
        let _ = (now, read, arena, out);
    }

    /// A read from the UDP socket: towards the TUN, control, or the next hop.
    pub fn outside(&mut self, now: Instant, read: UdpRead, arena: &mut [u8], out: &mut Batch) {
        let _ = (now, read, arena, out);
    }

    /// Closes what is open. Afterwards the shell sends everything in `out` and clears it, before any other call: the
    /// transmit area is used anew from its start.
    pub fn end_of_batch(&mut self, now: Instant, arena: &mut [u8], out: &mut Batch) {
        let _ = (now, arena, out);
    }

    /// Whether the largest read still fits into this batch. If not, end it first.
    pub fn room(&self, out: &Batch) -> bool {
        out.trains.len() < 448
    }

    /// How full the queue to control is, in percent; from 50 on strangers must prove their address. Told by the shell before
    /// each batch.
    pub fn set_queue_fill(&mut self, percent: u8) {
        let _ = percent;
    }

    /// What it was told at the start.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
