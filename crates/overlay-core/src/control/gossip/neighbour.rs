//! What one neighbour is still to be told.

use super::budget::Budget;
use crate::control::membership::Store;
use crate::control::message::{Body, Bucket, Digest, Item, MAX_MESSAGE};
use core::time::Duration;
use ln6_crypto::ItemId;
use ln6_types::Instant;
use std::collections::{BTreeSet, VecDeque};

/// How often neighbours compare digests when all is quiet.
const DIGEST_INTERVAL: Duration = Duration::from_secs(60);
/// How soon they compare again after a difference; doubled while differences stay.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const MAX_PUSHES: usize = 2048;
const MAX_PULLS: usize = 2048;
const PAGE: usize = 128;
const MAX_ITEMS: usize = 32;
/// Octets of a message that are not items.
const OVERHEAD: usize = 24;

/// A queue in which nothing stands twice.
#[derive(Debug)]
struct Queue<T> {
    order: VecDeque<T>,
    members: BTreeSet<T>,
    most: usize,
}

impl<T: Ord + Copy> Queue<T> {
    fn new(most: usize) -> Self {
        Queue { order: VecDeque::new(), members: BTreeSet::new(), most }
    }

    fn push(&mut self, value: T) -> bool {
        let room = self.order.len() < self.most;
        if room && self.members.insert(value) {
            self.order.push_back(value);
        }
        room
    }

    fn pop(&mut self) -> Option<T> {
        let value = self.order.pop_front()?;
        self.members.remove(&value);
        Some(value)
    }

    fn remove(&mut self, value: T) {
        if self.members.remove(&value) {
            self.order.retain(|other| *other != value);
        }
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// One neighbour's queues and budgets.
#[derive(Debug)]
pub(super) struct Neighbour {
    pub(super) send: Budget,
    pub(super) receive: Budget,
    pub(super) next_digest: Instant,
    /// Whether something was found to differ since the digests were last equal.
    differs: bool,
    /// Whether they were equal once.
    pub(super) agreed: bool,
    retry: Duration,
    pushes: Queue<ItemId>,
    pulls: Queue<u64>,
    /// Ranges of short ids to be named.
    pages: Queue<(u64, u64)>,
}

impl Neighbour {
    pub(super) fn new(now: Instant) -> Self {
        Neighbour {
            send: Budget::new(now, 20, 40),
            receive: Budget::new(now, 100, 500),
            next_digest: now,
            differs: false,
            agreed: false,
            retry: FIRST_RETRY,
            pushes: Queue::new(MAX_PUSHES),
            pulls: Queue::new(MAX_PULLS),
            pages: Queue::new(32),
        }
    }

    /// Whether there was room.
    pub(super) fn push(&mut self, id: ItemId) -> bool {
        self.pushes.push(id)
    }

    pub(super) fn pull(&mut self, short: u64) -> bool {
        self.pulls.push(short)
    }

    /// It has this item itself.
    pub(super) fn has(&mut self, id: ItemId) {
        self.pushes.remove(id);
        self.pulls.remove(id.short());
    }

    /// Its digest came: name what we have wherever it differs.
    pub(super) fn compare(&mut self, now: Instant, theirs: &Digest, ours: &Digest) {
        self.differs = theirs.buckets != ours.buckets;
        self.agreed |= !self.differs;
        for (bucket, (a, b)) in theirs.buckets.iter().zip(&ours.buckets).enumerate() {
            if a != b {
                let from = (bucket as u64) << 60;
                self.pages.push((from, from | u64::MAX >> 4));
            }
        }
        if self.differs {
            self.next_digest = self.next_digest.min(now + self.retry);
        } else {
            self.retry = FIRST_RETRY;
        }
    }

    /// It brought something new, or has something that we lack: compare soon.
    pub(super) fn promising(&mut self, now: Instant) {
        self.differs = true;
        self.retry = FIRST_RETRY;
        self.next_digest = self.next_digest.min(now + FIRST_RETRY);
    }

    /// A digest was sent: when the next one is due. Differences that stay (each side may refuse what the other keeps) are
    /// looked at ever less often.
    pub(super) fn digest_sent(&mut self, now: Instant, jitter: Duration) {
        let quiet = DIGEST_INTERVAL + jitter;
        self.next_digest = now + if self.differs { self.retry.min(quiet) } else { quiet };
        if self.differs {
            self.retry = (self.retry * 2).min(quiet);
        }
    }

    /// The next message for it, without looking at the budget.
    pub(super) fn next(&mut self, store: &Store) -> Option<Body> {
        if let Some(items) = self.next_items(store) {
            return Some(Body::Items(items));
        }
        if !self.pulls.is_empty() {
            return Some(Body::Pull(core::iter::from_fn(|| self.pulls.pop()).take(PAGE).collect()));
        }
        self.pages.pop().map(|(from, to)| Body::Bucket(self.page(store, from, to)))
    }

    fn next_items(&mut self, store: &Store) -> Option<Vec<Item>> {
        let (mut items, mut room) = (Vec::new(), MAX_MESSAGE - OVERHEAD);
        while items.len() < MAX_ITEMS {
            let Some(id) = self.pushes.order.front().copied() else { break };
            if let Some(item) = store.get(id) {
                if item.wire_len() > room {
                    break;
                }
                room -= item.wire_len();
                items.push(item.clone());
            }
            self.pushes.pop();
        }
        (!items.is_empty()).then_some(items)
    }

    fn page(&mut self, store: &Store, from: u64, to: u64) -> Bucket {
        let mut ids: Vec<u64> = store.range(from, to).take(PAGE + 1).map(|(id, _)| id.short()).collect();
        if ids.len() <= PAGE {
            return Bucket { from, to, ids };
        }
        ids.truncate(PAGE);
        let last = ids[PAGE - 1];
        if last < to {
            self.pages.push((last + 1, to));
        }
        Bucket { from, to: last, ids }
    }

    /// Whether something waits to be sent.
    pub(super) fn busy(&self) -> bool {
        !(self.pushes.is_empty() && self.pulls.is_empty() && self.pages.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::message::ItemKind;

    fn filled(count: u16) -> Store {
        let mut store = Store::default();
        for n in 0..count {
            let item = Item { kind: ItemKind::Head, bytes: n.to_be_bytes().to_vec().into() };
            store.insert(item.id(), item);
        }
        store
    }

    #[test]
    fn a_large_bucket_is_named_in_pages_that_leave_nothing_out() {
        let (store, mut neighbour) = (filled(300), Neighbour::new(Instant::ZERO));
        neighbour.pages.push((0, u64::MAX));
        let (mut named, mut next) = (Vec::new(), 0);
        while let Some(body) = neighbour.next(&store) {
            let Body::Bucket(bucket) = body else { panic!("{body:?}") };
            assert_eq!(bucket.from, next);
            next = bucket.to.wrapping_add(1);
            named.extend(bucket.ids);
        }
        assert_eq!(next, 0, "to the very end");
        assert!(named.is_sorted());
        assert_eq!(named.len(), 300);
    }

    #[test]
    fn a_full_queue_takes_no_more_and_what_has_left_the_store_is_skipped() {
        let (mut store, mut neighbour) = (filled(40), Neighbour::new(Instant::ZERO));
        let ids: Vec<ItemId> = store.range(0, u64::MAX).map(|(id, _)| id).collect();
        ids.iter().for_each(|id| assert!(neighbour.push(*id)));
        ids.iter().for_each(|id| assert!(neighbour.push(*id), "nothing stands twice"));
        ids[..39].iter().for_each(|id| store.remove(*id));
        let Some(Body::Items(items)) = neighbour.next(&store) else { panic!("the last one") };
        assert_eq!(items.len(), 1);
        assert!(!neighbour.busy());
        let room = (0..=u8::MAX).cycle().zip(0u32..).map(|(n, m)| {
            let mut id = [n; 32];
            id[..4].copy_from_slice(&m.to_be_bytes());
            neighbour.push(ItemId(id))
        });
        assert_eq!(room.take(MAX_PUSHES + 5).filter(|room| *room).count(), MAX_PUSHES);
    }
}
