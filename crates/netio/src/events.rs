//! Events from the workers to control: two bounded queues, so that strangers cannot crowd out known peers.

use crate::poll::Wake;
use ln6_overlay_core::forwarder::mail::Event;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Events of known peers that a queue holds.
const KNOWN: usize = 4096;
/// Handshakes and unknown indices that a queue holds.
const STRANGERS: usize = 512;
/// Edges that one worker keeps back while the queue of known peers is full.
const KEPT_BACK: usize = 4096;
/// After this many events of known peers, one of a stranger is taken in between.
const FAIRNESS: u8 = 8;

/// Why a worker is no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A bug: the process must end.
    #[error("worker {worker} panicked: {message}")]
    Panicked {
        /// Which.
        worker: usize,
        /// What the panic said.
        message: String,
    },
    /// The device was deleted under us.
    #[error("the TUN device of worker {worker} is gone: {message}")]
    TunGone {
        /// Which.
        worker: usize,
        /// What the kernel said.
        message: String,
    },
    /// The worker could not wait for its descriptors.
    #[error("worker {worker} cannot poll: {message}")]
    Poll {
        /// Which.
        worker: usize,
        /// What the kernel said.
        message: String,
    },
}

#[derive(Debug)]
struct Shared {
    wake: Wake,
    /// The descriptor is (about to be) readable.
    signalled: AtomicBool,
    known: AtomicUsize,
    strangers: AtomicUsize,
    dropped_known: AtomicUsize,
    dropped_strangers: AtomicUsize,
}

/// A worker's end. Each worker has its own clone.
#[derive(Debug)]
pub struct EventSender {
    known: SyncSender<Event>,
    strangers: SyncSender<Event>,
    failures: Sender<Failure>,
    shared: Arc<Shared>,
    kept_back: VecDeque<Event>,
}

/// Control's end. Its descriptor is readable when there is something to take.
#[derive(Debug)]
pub struct EventReceiver {
    known: Receiver<Event>,
    strangers: Receiver<Event>,
    failures: Receiver<Failure>,
    shared: Arc<Shared>,
    in_a_row: u8,
}

/// The queues between all workers and control.
pub fn event_queues() -> io::Result<(EventSender, EventReceiver)> {
    let (known, known_end) = sync_channel(KNOWN);
    let (strangers, strangers_end) = sync_channel(STRANGERS);
    let (failures, failures_end) = channel();
    let shared = Arc::new(Shared {
        wake: Wake::new()?,
        signalled: AtomicBool::new(false),
        known: AtomicUsize::new(0),
        strangers: AtomicUsize::new(0),
        dropped_known: AtomicUsize::new(0),
        dropped_strangers: AtomicUsize::new(0),
    });
    let kept_back = VecDeque::new();
    let sender = EventSender { known, strangers, failures, shared: Arc::clone(&shared), kept_back };
    let (known, strangers, failures) = (known_end, strangers_end, failures_end);
    Ok((sender, EventReceiver { known, strangers, failures, shared, in_a_row: 0 }))
}

impl Clone for EventSender {
    fn clone(&self) -> Self {
        EventSender {
            known: self.known.clone(),
            strangers: self.strangers.clone(),
            failures: self.failures.clone(),
            shared: Arc::clone(&self.shared),
            kept_back: VecDeque::new(),
        }
    }
}

impl EventSender {
    /// Queues every event and wakes control once. A full queue drops what strangers cause, inner packets and datagrams (counted); edges are
    /// kept back, in order, until there is room.
    pub fn send_all(&mut self, events: impl Iterator<Item = Event>) {
        let mut queued = self.retry();
        for event in events {
            queued |= if event.is_strangers() { self.queue_stranger(event) } else { self.queue_known(event) };
        }
        if queued {
            self.ring();
        }
    }

    /// Whether edges wait for room; then [`EventSender::send_all`] must be called again soon.
    pub fn is_holding(&self) -> bool {
        !self.kept_back.is_empty()
    }

    /// How full the strangers' queue is, in percent. The gate asks for cookies above 50.
    pub fn fill(&self) -> u8 {
        (self.shared.strangers.load(Ordering::Relaxed).min(STRANGERS) * 100 / STRANGERS) as u8
    }

    /// Tells control that this worker is no more.
    pub fn fail(&self, failure: Failure) {
        let _ = self.failures.send(failure);
        self.ring();
    }

    fn queue_stranger(&self, event: Event) -> bool {
        // Counted before it is queued, so that the count never falls below zero.
        self.shared.strangers.fetch_add(1, Ordering::Relaxed);
        let queued = self.strangers.try_send(event).is_ok();
        if !queued {
            self.shared.strangers.fetch_sub(1, Ordering::Relaxed);
            self.shared.dropped_strangers.fetch_add(1, Ordering::Relaxed);
        }
        queued
    }

    fn queue_known(&mut self, event: Event) -> bool {
        if self.kept_back.is_empty() {
            match self.try_known(event) {
                Ok(()) => true,
                Err(refused) => self.keep_back(refused),
            }
        } else {
            self.keep_back(event)
        }
    }

    fn try_known(&self, event: Event) -> Result<(), Event> {
        use std::sync::mpsc::TrySendError::{Disconnected, Full};
        self.shared.known.fetch_add(1, Ordering::Relaxed);
        self.known.try_send(event).map_err(|error| {
            self.shared.known.fetch_sub(1, Ordering::Relaxed);
            match error {
                Full(event) | Disconnected(event) => event,
            }
        })
    }

    fn keep_back(&mut self, event: Event) -> bool {
        let loss_is_bearable = matches!(event, Event::Inner { .. } | Event::Elsewhere { .. });
        if loss_is_bearable || self.kept_back.len() >= KEPT_BACK {
            self.shared.dropped_known.fetch_add(1, Ordering::Relaxed);
        } else {
            self.kept_back.push_back(event);
        }
        false
    }

    fn retry(&mut self) -> bool {
        let mut queued = false;
        while let Some(event) = self.kept_back.pop_front() {
            if let Err(refused) = self.try_known(event) {
                self.kept_back.push_front(refused);
                break;
            }
            queued = true;
        }
        queued
    }

    fn ring(&self) {
        // Pairs with the fence in `EventReceiver::acknowledge`.
        fence(Ordering::SeqCst);
        if !self.shared.signalled.swap(true, Ordering::Relaxed) {
            self.shared.wake.signal();
        }
    }
}

impl EventReceiver {
    /// To be called when the descriptor is readable, *before* taking: what is queued later makes it readable again.
    pub fn acknowledge(&self) {
        self.shared.wake.clear();
        self.shared.signalled.store(false, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The next event: known peers first, but strangers at least every ninth time.
    pub fn try_recv(&mut self) -> Option<Event> {
        if self.in_a_row < FAIRNESS
            && let Some(event) = self.take_known()
        {
            self.in_a_row += 1;
            return Some(event);
        }
        self.in_a_row = 0;
        self.take_stranger().or_else(|| self.take_known())
    }

    /// A worker that ended otherwise than by [`crate::Mail::Stop`]: the daemon must end, loudly.
    pub fn try_failure(&self) -> Option<Failure> {
        self.failures.try_recv().ok()
    }

    /// Events dropped so far because a queue was full: of known peers (inner packets), of strangers.
    pub fn dropped(&self) -> (usize, usize) {
        let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (read(&self.shared.dropped_known), read(&self.shared.dropped_strangers))
    }

    fn take_known(&self) -> Option<Event> {
        let event = self.known.try_recv().ok()?;
        self.shared.known.fetch_sub(1, Ordering::Relaxed);
        Some(event)
    }

    fn take_stranger(&self) -> Option<Event> {
        let event = self.strangers.try_recv().ok()?;
        self.shared.strangers.fetch_sub(1, Ordering::Relaxed);
        Some(event)
    }
}

impl AsFd for EventReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.wake.as_fd()
    }
}

impl AsRawFd for EventReceiver {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.wake.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::Poller;
    use ln6_overlay_core::{Path, PeerIdx};

    fn handshake() -> Event {
        Event::Handshake { from: Path::Through(PeerIdx(9)), message: vec![1; 148] }
    }

    #[test]
    fn a_flood_of_strangers_neither_drops_nor_delays_known_peers() {
        let (mut sender, mut receiver) = event_queues().unwrap();
        sender.send_all((0..10_000).map(|_| handshake()));
        assert_eq!(sender.fill(), 100);
        sender.send_all([Event::Confirmed(7)].into_iter());
        assert!(matches!(receiver.try_recv(), Some(Event::Confirmed(7))));
        assert_eq!(receiver.dropped(), (0, 10_000 - STRANGERS));
        assert_eq!(std::iter::from_fn(|| receiver.try_recv()).count(), STRANGERS);
        assert_eq!(sender.fill(), 0);
    }

    #[test]
    fn edges_wait_for_room_in_order_while_inner_packets_are_dropped() {
        let (mut sender, mut receiver) = event_queues().unwrap();
        let inner = || Event::Inner { peer: PeerIdx(1), from: Path::Through(PeerIdx(2)), packet: vec![0; 4] };
        sender.send_all((0..KNOWN).map(|_| inner()));
        sender.send_all([Event::Confirmed(1), inner(), Event::Confirmed(2)].into_iter());
        assert!(sender.is_holding());
        assert_eq!(receiver.dropped(), (1, 0));
        assert_eq!(std::iter::from_fn(|| receiver.try_recv()).count(), KNOWN);
        sender.send_all(std::iter::empty());
        assert!(!sender.is_holding());
        assert!(matches!(receiver.try_recv(), Some(Event::Confirmed(1))));
        assert!(matches!(receiver.try_recv(), Some(Event::Confirmed(2))));
    }

    #[test]
    fn busy_known_peers_do_not_starve_strangers_either() {
        let (mut sender, mut receiver) = event_queues().unwrap();
        sender.send_all((0..100).map(Event::Confirmed));
        sender.send_all([handshake()].into_iter());
        let first: Vec<Event> = (0..9).filter_map(|_| receiver.try_recv()).collect();
        assert!(first.iter().any(|event| matches!(event, Event::Handshake { .. })));
    }

    #[test]
    fn control_is_woken_for_every_event_however_it_interleaves() {
        let (sender, mut receiver) = event_queues().unwrap();
        let poller = Poller::new().unwrap();
        poller.add(receiver.as_raw_fd()).unwrap();
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let mut sender = sender.clone();
                std::thread::spawn(move || {
                    (0..2000).for_each(|n| sender.send_all([Event::Confirmed(n)].into_iter()))
                })
            })
            .collect();
        let mut seen = 0;
        while seen < 4000 {
            poller.wait(-1).unwrap();
            receiver.acknowledge();
            seen += std::iter::from_fn(|| receiver.try_recv()).count();
        }
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_eq!((seen, receiver.dropped()), (4000, (0, 0)));
    }
}
