//! The sockets under the sessions: one per worker on the same port, trains in and out, every offload with a way back.

mod address;
mod bind;
mod control;
mod error;
mod filter;
mod program;
mod receive;
mod send;
mod steer;

pub use bind::{UdpOptions, UdpSet};
pub use error::UdpError;

use ln6_overlay_core::forwarder::batch::{Span, Train, UdpRead};
use portable_atomic::{AtomicBool, AtomicU64, Ordering};
use receive::ReceiveRing;
use send::SendRing;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Weak};

/// What went wrong at one socket. Written by its worker, read by anyone.
#[derive(Debug, Default)]
pub struct UdpCounters {
    /// Datagrams (or whole trains) that did not fit into their slot.
    pub truncated: AtomicU64,
    /// Datagrams whose sender or ancillary data could not be read.
    pub malformed: AtomicU64,
    /// Receive calls that failed.
    pub receive_errors: AtomicU64,
    /// Messages dropped because the send buffer stayed full.
    pub full: AtomicU64,
    /// Messages without a route, or of an address family that this socket lacks.
    pub unreachable: AtomicU64,
    /// Messages that the kernel refused otherwise (a firewall, for example).
    pub refused: AtomicU64,
    /// Trains that were sent datagram by datagram because the kernel refused them whole.
    pub resent: AtomicU64,
    /// `UDP_SEGMENT` is in use.
    pub segmentation: AtomicBool,
    /// `UDP_GRO` is in use.
    pub gro: AtomicBool,
    /// What the kernel had dropped when it was last asked.
    dropped: AtomicU64,
    /// Whom to ask; gone when the socket is closed.
    socket: Weak<OwnedFd>,
}

impl UdpCounters {
    /// Datagrams that the kernel dropped at the socket: of no message's shape, with a wrong checksum, or because the receive buffer was
    /// full. The kernel counts modulo 2^32: who asks seldom may miss some.
    pub fn dropped(&self) -> u64 {
        let before = self.dropped.load(Ordering::Relaxed);
        let Some(now) = self.socket.upgrade().and_then(|socket| bind::drops(&socket)) else { return before };
        let total = before + u64::from(now.wrapping_sub(before as u32));
        self.dropped.fetch_max(total, Ordering::Relaxed).max(total)
    }

    /// All that went wrong, by the name it has in metrics.
    pub fn all(&self) -> [(&'static str, u64); 8] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("dropped", self.dropped()),
            ("truncated", read(&self.truncated)),
            ("unreadable", read(&self.malformed)),
            ("receive_error", read(&self.receive_errors)),
            ("send_full", read(&self.full)),
            ("send_unreachable", read(&self.unreachable)),
            ("send_refused", read(&self.refused)),
            ("train_resent", read(&self.resent)),
        ]
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A worker's socket. Made by [`Udp::bind`].
#[derive(Debug)]
pub struct Udp {
    socket: Arc<OwnedFd>,
    local: SocketAddr,
    receive: ReceiveRing,
    send: SendRing,
    counters: Arc<UdpCounters>,
}

impl Udp {
    /// Its counters.
    pub fn counters(&self) -> Arc<UdpCounters> {
        Arc::clone(&self.counters)
    }

    /// What it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether trains leave by `UDP_SEGMENT`. Falls to `false` when the kernel or the device cannot.
    pub fn segmentation(&self) -> bool {
        self.send.segmentation
    }

    /// Allows `UDP_SEGMENT` (the next failure forbids it again), or forbids it.
    pub fn set_segmentation(&mut self, on: bool) {
        self.send.segmentation = on;
        self.counters.segmentation.store(on, Ordering::Relaxed);
    }

    /// Asks the kernel to merge what arrives, or not to.
    pub fn set_gro(&mut self, on: bool) {
        // What was merged before is still to come: its room shrinks once nothing waits any more.
        self.receive.expect_trains(on);
        if let Err(error) = bind::set_gro(&self.socket, on) {
            tracing::info!(%error, on, "UDP_GRO stays as it was");
            return self.receive.expect_trains(!on);
        }
        self.counters.gro.store(on, Ordering::Relaxed);
    }

    /// Reads what has arrived into `slots` of the arena and appends it to `out`; how many messages there were, also unusable
    /// ones. Zero means that nothing waits.
    ///
    /// With `UDP_GRO` each slot takes one message, and must have room for 64 KB; without, slots are cut into 2 KB pieces
    /// (at most 32 messages). Nothing that fails here is fatal: it is counted.
    pub fn recv(&mut self, arena: &mut [u8], slots: &[Span], out: &mut Vec<UdpRead>) -> usize {
        self.receive.recv(self.socket.as_raw_fd(), &self.counters, arena, slots, out)
    }

    /// Sends `trains`, in order, with as few system calls as the kernel allows. What cannot be sent is counted and dropped;
    /// a full send buffer is waited for, some milliseconds at most.
    pub fn send(&mut self, arena: &[u8], trains: &[Train]) {
        self.send.send(self.socket.as_raw_fd(), &self.counters, arena, trains);
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Udp {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
