//! How certificates, revocations, heads and records reach everyone (DESIGN 6).
//!
//! What is new is pushed at once to all neighbours but the one it came from. What a lost datagram, a full queue or a
//! partition swallowed is found by comparing digests: every minute and when an adjacency comes up, each neighbour says
//! the sum of each of 16 buckets of ids; the other names what it has in the buckets that differ; the first pulls what it
//! lacks and pushes what the other lacks. No message needs an acknowledgement, and each neighbour's share of work a
//! second is bounded.

mod budget;
mod neighbour;

use crate::PeerIdx;
use crate::control::membership::{Accepted, Membership, RefusedItem};
use crate::control::message::{Body, Bucket, Digest, Item, Message};
use budget::Budget;
use core::time::Duration;
use ln6_crypto::ItemId;
use ln6_types::{Instant, UnixTime};
use neighbour::Neighbour;
use std::collections::BTreeMap;

/// How long a refused item is not pulled again.
const AVERSION: Duration = Duration::from_secs(600);
/// How long after a pull nobody else is asked for the same.
const PATIENCE: Duration = Duration::from_secs(3);
const MAX_REMEMBERED: usize = 4096;
/// Nodes that are no neighbours whose shares are told apart.
const MAX_STRANGERS: usize = 512;
/// In whose name what such nodes bring is held: they share one sender's part of the table, however many they are.
const STRANGERS: PeerIdx = PeerIdx(u32::MAX);

/// What an incoming message brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Items now kept, each after those it hangs on: to be stored.
    pub new: Vec<ItemId>,
    /// Items that are not kept, and why: to be counted.
    pub refused: Vec<(ItemId, RefusedItem)>,
    /// Items beyond the sender's share of this second, dropped unread.
    pub dropped: usize,
}

/// Short ids that are not asked for until an instant.
#[derive(Debug, Default)]
struct NotNow(BTreeMap<u64, Instant>);

impl NotNow {
    fn until(&mut self, now: Instant, short: u64, until: Instant) {
        if self.0.len() >= MAX_REMEMBERED {
            self.0.retain(|_, until| *until > now);
        }
        // A full memory of refusals is forgotten at once: asking twice is cheaper than never asking.
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(short, until);
    }

    fn has(&self, now: Instant, short: u64) -> bool {
        self.0.get(&short).is_some_and(|until| *until > now)
    }
}

/// The gossip of one node with all its neighbours.
#[derive(Debug)]
pub struct Gossip {
    neighbours: BTreeMap<PeerIdx, Neighbour>,
    /// What nodes that are no neighbours may bring, each: a chain or two.
    strangers: BTreeMap<PeerIdx, Budget>,
    not_now: NotNow,
    jitter: u64,
}

impl Gossip {
    /// Without neighbours; `seed` only spreads the digests of many nodes over time.
    pub fn new(seed: u64) -> Self {
        Gossip {
            neighbours: BTreeMap::new(),
            strangers: BTreeMap::new(),
            not_now: NotNow::default(),
            jitter: seed | 1,
        }
    }

    /// A meta-connection came up: digests are exchanged at once.
    pub fn neighbour_up(&mut self, now: Instant, peer: PeerIdx) {
        self.neighbours.insert(peer, Neighbour::new(now));
    }

    /// A meta-connection is gone.
    pub fn neighbour_down(&mut self, peer: PeerIdx) {
        self.neighbours.remove(&peer);
    }

    /// Pushes items that this node made or learnt outside gossip.
    pub fn announce(
        &mut self,
        now: Instant,
        ids: &[ItemId],
        membership: &Membership,
        out: &mut Vec<(PeerIdx, Message)>,
    ) {
        self.spread(None, ids);
        self.flush(now, membership, out);
    }

    /// Takes a digest, bucket, pull or items message; other bodies are ignored.
    pub fn handle_message(
        &mut self,
        now: Instant,
        wall: UnixTime,
        from: PeerIdx,
        body: &Body,
        membership: &mut Membership,
        out: &mut Vec<(PeerIdx, Message)>,
    ) -> Heard {
        let mut heard = Heard::default();
        match body {
            Body::Digest(digest) => self.handle_digest(now, from, digest, membership),
            Body::Bucket(bucket) => self.handle_bucket(now, from, bucket, membership),
            Body::Pull(shorts) => self.handle_pull(now, from, shorts, membership),
            Body::Items(items) => heard = self.handle_items(now, wall, from, items, membership),
            _ => return heard,
        }
        self.flush(now, membership, out);
        heard
    }

    /// Sends what has become due.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        membership: &Membership,
        out: &mut Vec<(PeerIdx, Message)>,
    ) {
        for (peer, neighbour) in &mut self.neighbours {
            if now >= neighbour.next_digest {
                self.jitter ^= self.jitter << 13;
                self.jitter ^= self.jitter >> 7;
                self.jitter ^= self.jitter << 17;
                neighbour.digest_sent(now, Duration::from_millis(self.jitter % 5000));
                out.push((*peer, Body::Digest(membership.items().digest()).into()));
            }
        }
        self.flush(now, membership, out);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; never without neighbours.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = |n: &Neighbour| if n.busy() { n.next_digest.min(n.send.next()) } else { n.next_digest };
        self.neighbours.values().map(due).min()
    }

    /// Whether there are neighbours, and each of them has had the same items at some moment since it came up.
    pub fn in_step(&self) -> bool {
        !self.neighbours.is_empty() && self.neighbours.values().all(|neighbour| neighbour.agreed)
    }

    fn handle_digest(&mut self, now: Instant, from: PeerIdx, digest: &Digest, membership: &Membership) {
        let Some(neighbour) = self.neighbours.get_mut(&from) else { return };
        if neighbour.receive.take(now, 8) {
            neighbour.compare(now, digest, &membership.items().digest());
        }
    }

    fn handle_bucket(&mut self, now: Instant, from: PeerIdx, bucket: &Bucket, membership: &Membership) {
        let Some(neighbour) = self.neighbours.get_mut(&from) else { return };
        if !neighbour.receive.take(now, 8) {
            return;
        }
        for (id, _) in membership.items().range(bucket.from, bucket.to) {
            if bucket.ids.binary_search(&id.short()).is_err() && !neighbour.push(id) {
                break;
            }
        }
        for short in &bucket.ids {
            if !membership.has_short(*short) && !self.not_now.has(now, *short) && neighbour.pull(*short) {
                self.not_now.until(now, *short, now + PATIENCE);
                neighbour.promising(now);
            }
        }
    }

    fn handle_pull(&mut self, now: Instant, from: PeerIdx, shorts: &[u64], membership: &Membership) {
        let Some(neighbour) = self.neighbours.get_mut(&from) else { return };
        if !neighbour.receive.take(now, 8) {
            return;
        }
        for (id, _) in shorts.iter().filter_map(|short| membership.items().get_short(*short)) {
            neighbour.push(id);
        }
    }

    fn handle_items(
        &mut self,
        now: Instant,
        wall: UnixTime,
        from: PeerIdx,
        items: &[Item],
        membership: &mut Membership,
    ) -> Heard {
        let mut heard = Heard::default();
        self.forget_strangers(now, from);
        for item in items {
            let id = item.id();
            let neighbour = self.neighbours.get_mut(&from);
            let (holder, budget) = match neighbour {
                Some(neighbour) => {
                    neighbour.has(id);
                    (from, &mut neighbour.receive)
                }
                None => (STRANGERS, self.strangers.entry(from).or_insert(Budget::new(now, 2, 16))),
            };
            if membership.items().get(id).is_some() {
                continue;
            }
            if !budget.take(now, 1) {
                heard.dropped += 1;
                continue;
            }
            match membership.offer(item, holder, wall) {
                Ok(Accepted::New { released }) => {
                    heard.new.push(id);
                    heard.new.extend(released);
                    self.promising(now, from);
                }
                Ok(Accepted::Held { .. }) => self.promising(now, from),
                Ok(Accepted::Known) => {}
                Err(refusal) => {
                    self.not_now.until(now, id.short(), now + AVERSION);
                    heard.refused.push((id, refusal));
                }
            }
        }
        let new = core::mem::take(&mut heard.new);
        self.spread(Some(from), &new);
        Heard { new, ..heard }
    }

    /// Makes room for the share of one more node. A share that is whole again is as good as none; if all are in use, one
    /// begins anew.
    fn forget_strangers(&mut self, now: Instant, coming: PeerIdx) {
        if self.strangers.len() >= MAX_STRANGERS && !self.strangers.contains_key(&coming) {
            self.strangers.retain(|_, budget| !budget.is_full(now));
            if self.strangers.len() >= MAX_STRANGERS {
                self.strangers.pop_first();
            }
        }
    }

    fn promising(&mut self, now: Instant, peer: PeerIdx) {
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.promising(now);
        }
    }

    fn spread(&mut self, but: Option<PeerIdx>, ids: &[ItemId]) {
        for (_, neighbour) in self.neighbours.iter_mut().filter(|(peer, _)| Some(**peer) != but) {
            for id in ids {
                neighbour.push(*id);
            }
        }
    }

    fn flush(&mut self, now: Instant, membership: &Membership, out: &mut Vec<(PeerIdx, Message)>) {
        for (peer, neighbour) in &mut self.neighbours {
            while neighbour.busy() && neighbour.send.take(now, 1) {
                let Some(body) = neighbour.next(membership.items()) else { break };
                out.push((*peer, body.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
