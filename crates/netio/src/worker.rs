//! The worker: one thread that runs its TUN queue and its socket to completion, batch after batch.
//!
//! A round is: read what arrived by UDP, take the mail, hand both to the forwarder, send what came of it; then the same for the
//! TUN. Only when both have nothing more does it sleep. In a steady flow it makes no system call beside reading and writing.

mod credit;
mod engine;
mod rank;
mod spawn;

pub use engine::Engine;
pub use rank::{PriorityCounters, allow_priority};
pub use spawn::{WorkerParts, Workers, spawn_workers};

use crate::Clock;
use crate::events::{EventSender, Failure};
use crate::mailbox::{Mail, Mailbox};
use crate::offload::Offload;
use crate::poll::{Poller, Readable};
use crate::tun::{Tun, TunCounters};
use crate::udp::{Udp, UdpCounters};
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::batch::{Batch, UdpRead};
use portable_atomic::{AtomicU64, Ordering};
use rank::Priority;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// Full slots that the socket may bring before it is the device's turn: acknowledgements must not starve.
const BUDGET: usize = 8;
/// Octets that the device may bring before it is the socket's turn: four superpackets, which with what is made of them stay
/// in a processor's own cache.
const BUDGET_OCTETS: u32 = 4 * 65_536;
/// Packets likewise: small ones that wait together leave in one train, and come in as one read at the other end.
const BUDGET_READS: usize = 64;
/// After a packet that came alone, so many are taken without asking for another behind them: polling tells of one as well, and
/// is asked in any case.
const ALONE: u8 = 3;
/// Milliseconds after which edges that found the queue full are tried again.
const RETRY: i32 = 5;

/// What one worker counts beside its forwarder.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Its TUN queue's, if it has one.
    pub tun: Option<Arc<TunCounters>>,
    /// Its socket's.
    pub udp: Arc<UdpCounters>,
    /// Packets for a TUN that this worker does not have.
    pub without_tun: AtomicU64,
    /// How often it slept.
    pub sleeps: AtomicU64,
    /// Whether it goes before others.
    pub priority: PriorityCounters,
}

/// Whether a side may have more to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Drained,
    Busy,
}

/// Which sides to ask for more.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ready {
    socket: bool,
    device: bool,
}

impl Ready {
    const ALL: Ready = Ready { socket: true, device: true };
}

/// The mail said so.
struct Stopped;

struct Worker<E> {
    number: usize,
    engine: E,
    tun: Option<Tun>,
    udp: Udp,
    mailbox: Mailbox,
    events: EventSender,
    clock: Clock,
    poller: Poller,
    priority: Priority,
    /// Turns of the device that may end without asking once more.
    alone: u8,
    counters: Arc<WorkerCounters>,
    layout: ArenaLayout,
    arena: Box<[u8]>,
    batch: Batch,
    reads: Vec<UdpRead>,
}

impl<E: Engine> Worker<E> {
    /// Works until it is told to stop.
    fn run(&mut self) -> io::Result<()> {
        let mut ready = Ready::ALL;
        loop {
            // Who was not readable when the sleep ended is not asked: that would be a system call for nothing.
            let socket = if ready.socket { self.outside() } else { self.take_mail().map(|()| Side::Drained) };
            let Ok(socket) = socket else { return Ok(()) };
            let device = if ready.device { self.inside() } else { Side::Drained };
            self.priority.worked(self.clock.now());
            ready = match (socket, device) {
                (Side::Drained, Side::Drained) => self.sleep()?,
                _ => Ready::ALL,
            };
        }
    }

    /// Socket to forwarder, and the mail.
    fn outside(&mut self) -> Result<Side, Stopped> {
        let slots = self.layout.udp.len();
        for _ in 0..BUDGET.div_ceil(slots) {
            self.reads.clear();
            let received = self.udp.recv(&mut self.arena, &self.layout.udp, &mut self.reads);
            // The mail comes after the reading: a key that was mailed before its first datagram arrived is then known.
            self.take_mail()?;
            let now = self.clock.now();
            for at in 0..self.reads.len() {
                self.make_room();
                self.engine.outside(now, self.reads[at], &mut self.arena, &mut self.batch);
            }
            if !self.reads.is_empty() {
                self.finish();
            }
            if received < slots {
                return Ok(Side::Drained);
            }
        }
        Ok(Side::Busy)
    }

    /// TUN to forwarder.
    fn inside(&mut self) -> Side {
        let now = self.clock.now();
        let mut octets = 0;
        for reads in 0..BUDGET_READS {
            if octets >= BUDGET_OCTETS {
                break;
            }
            self.make_room();
            let Some(tun) = &mut self.tun else { return Side::Drained };
            match tun.read(&mut self.arena, self.layout.tun) {
                Ok(Some(read)) => {
                    octets += read.all.len;
                    self.engine.inside(now, read, &mut self.arena, &mut self.batch);
                    if reads == 0 && self.alone > 0 {
                        self.alone -= 1;
                        self.finish();
                        return Side::Drained;
                    }
                }
                nothing => {
                    if reads == 1 {
                        self.alone = ALONE;
                    }
                    if reads > 0 {
                        self.finish();
                    }
                    if let Err(error) = nothing {
                        self.lose_tun(&error);
                    }
                    return Side::Drained;
                }
            }
        }
        self.finish();
        Side::Busy
    }

    fn offload(&mut self, offload: Offload, on: bool) {
        match (offload, &mut self.tun) {
            (Offload::TunGso, Some(tun)) => tun.set_gso(on),
            (Offload::TunGro, Some(tun)) => tun.set_coalescing(on),
            (Offload::TunGso | Offload::TunGro, None) => {}
            (Offload::UdpGso, _) => self.udp.set_segmentation(on),
            (Offload::UdpGro, _) => self.udp.set_gro(on),
        }
    }

    /// Applies all mail there is, and sends what came of it.
    fn take_mail(&mut self) -> Result<(), Stopped> {
        let mut applied = false;
        while let Some(mail) = self.mailbox.take() {
            match mail {
                Mail::Update(update) => {
                    self.make_room();
                    self.engine.apply(self.clock.now(), update, &mut self.arena, &mut self.batch);
                    applied = true;
                }
                Mail::Offload(offload, on) => self.offload(offload, on),
                Mail::Priority(on) => self.priority.want(on),
                Mail::Stop => {
                    self.finish();
                    return Err(Stopped);
                }
            }
        }
        if applied {
            self.finish();
        }
        Ok(())
    }

    fn make_room(&mut self) {
        if !self.engine.room(&self.batch) {
            self.finish();
        }
    }

    /// Closes the batch and sends it: to the wire, to the device, to control.
    fn finish(&mut self) {
        self.engine.end_of_batch(self.clock.now(), &mut self.arena, &mut self.batch);
        if !self.batch.trains.is_empty() {
            self.udp.send(&self.arena, &self.batch.trains);
        }
        self.write_tun();
        if !self.batch.events.is_empty() || self.events.is_holding() {
            self.events.send_all(self.batch.events.drain(..));
        }
        self.engine.set_queue_fill(self.events.fill());
        self.batch.clear();
    }

    fn write_tun(&mut self) {
        let Batch { writes, parts, .. } = &self.batch;
        let Some(tun) = &mut self.tun else {
            self.counters.without_tun.fetch_add(writes.len() as u64, Ordering::Relaxed);
            return;
        };
        for write in writes {
            let range = usize::from(write.parts.start)..usize::from(write.parts.end);
            tun.write(&write.gso, &self.arena, parts.get(range).unwrap_or_default());
        }
    }

    /// The device was deleted: control must end the daemon, but until then relaying and farewells go on.
    fn lose_tun(&mut self, error: &io::Error) {
        self.tun = None;
        self.events.fail(Failure::TunGone { worker: self.number, message: error.to_string() });
    }

    fn sleep(&mut self) -> io::Result<Ready> {
        let mut timeout = -1;
        if self.events.is_holding() {
            self.events.send_all(std::iter::empty());
            timeout = if self.events.is_holding() { RETRY } else { -1 };
        }
        self.counters.sleeps.fetch_add(1, Ordering::Relaxed);
        let readable = match self.mailbox.prepare_to_sleep() {
            true => self.poller.wait(timeout)?,
            false => Readable::default(),
        };
        self.priority.slept(self.clock.now());
        self.mailbox.awake(readable.has(self.mailbox.raw_fd()));
        // What strangers sent may have been taken meanwhile: without this, an idle gate would ask for cookies once too often.
        self.engine.set_queue_fill(self.events.fill());
        let device = self.tun.as_ref().is_some_and(|tun| readable.has(tun.as_raw_fd()));
        Ok(Ready { socket: readable.has(self.udp.as_raw_fd()), device })
    }

    /// What must wake it.
    fn watch(&self) -> io::Result<()> {
        self.poller.add(self.mailbox.raw_fd())?;
        self.poller.add(self.udp.as_raw_fd())?;
        self.tun.as_ref().map_or(Ok(()), |tun| self.poller.add(tun.as_raw_fd()))
    }
}
