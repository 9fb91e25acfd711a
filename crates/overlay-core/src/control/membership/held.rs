//! Items that cannot be judged yet, because the certificate they hang on has not arrived.

use super::store::bound;
use crate::PeerIdx;
use crate::control::message::Item;
use core::time::Duration;
use ln6_crypto::ItemId;
use ln6_types::{PublicKey, UnixTime, VerifyKey};
use std::collections::BTreeMap;

/// How long something is held.
const PATIENCE: Duration = Duration::from_secs(600);

/// What an item waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// The certificate whose `sign` key this is.
    Issuer(VerifyKey),
    /// A certificate of this X25519 key.
    Holder(PublicKey),
}

#[derive(Debug)]
struct Waiting {
    from: PeerIdx,
    missing: Missing,
    item: Item,
    since: UnixTime,
    order: u64,
}

/// A table that no sender can fill: each has its own share, in which its oldest item makes room for its newest.
#[derive(Debug, Default)]
pub(super) struct Held {
    waiting: BTreeMap<ItemId, Waiting>,
    order: u64,
}

impl Held {
    pub(super) const MOST: usize = 1024;
    pub(super) const MOST_PER_SENDER: usize = 64;

    /// Whether it was taken.
    pub(super) fn insert(
        &mut self,
        id: ItemId,
        item: Item,
        missing: Missing,
        from: PeerIdx,
        wall: UnixTime,
    ) -> bool {
        let own = || self.waiting.iter().filter(|(_, waiting)| waiting.from == from);
        let full = self.waiting.len() >= Self::MOST;
        if full || own().count() >= Self::MOST_PER_SENDER {
            let Some(oldest) = own().min_by_key(|(_, waiting)| waiting.order).map(|(id, _)| *id) else {
                return false;
            };
            self.waiting.remove(&oldest);
        }
        self.order += 1;
        self.waiting.insert(id, Waiting { from, missing, item, since: wall, order: self.order });
        true
    }

    pub(super) fn missing(&self, id: ItemId) -> Option<Missing> {
        self.waiting.get(&id).map(|waiting| waiting.missing)
    }

    pub(super) fn has_short(&self, short: u64) -> bool {
        self.waiting.range(bound(short, 0)..=bound(short, 0xff)).next().is_some()
    }

    /// Takes out what waited for any of these, in the order of its arrival.
    pub(super) fn release(&mut self, arrived: &[Missing]) -> Vec<(PeerIdx, Item)> {
        let ready = self.waiting.iter().filter(|(_, waiting)| arrived.contains(&waiting.missing));
        let mut ready: Vec<(u64, ItemId)> = ready.map(|(id, waiting)| (waiting.order, *id)).collect();
        ready.sort_unstable();
        let taken = ready.into_iter().filter_map(|(_, id)| self.waiting.remove(&id));
        taken.map(|waiting| (waiting.from, waiting.item)).collect()
    }

    pub(super) fn purge(&mut self, wall: UnixTime) {
        self.waiting.retain(|_, waiting| wall.since(waiting.since) < PATIENCE);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
