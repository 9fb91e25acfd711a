//! All items by their ids, with the sums that a digest is made of.

use crate::control::message::{Digest, Item};
use ln6_crypto::ItemId;
use std::collections::BTreeMap;

/// Items by id. Short ids are the first 8 octets, so both have the same order.
#[derive(Debug, Default)]
pub struct Store {
    items: BTreeMap<ItemId, Item>,
    sums: [u64; 16],
}

const fn bucket(short: u64) -> usize {
    (short >> 60) as usize
}

/// The first (`rest` 0) or last (0xff) id with this short id.
pub(super) fn bound(short: u64, rest: u8) -> ItemId {
    let mut id = [rest; 32];
    id[..8].copy_from_slice(&short.to_be_bytes());
    ItemId(id)
}

impl Store {
    pub(in crate::control) fn insert(&mut self, id: ItemId, item: Item) {
        if self.items.insert(id, item).is_none() {
            let sum = &mut self.sums[bucket(id.short())];
            *sum = sum.wrapping_add(id.short());
        }
    }

    pub(in crate::control) fn remove(&mut self, id: ItemId) {
        if self.items.remove(&id).is_some() {
            let sum = &mut self.sums[bucket(id.short())];
            *sum = sum.wrapping_sub(id.short());
        }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The item with this id.
    pub fn get(&self, id: ItemId) -> Option<&Item> {
        self.items.get(&id)
    }

    /// The first item with this short id.
    pub fn get_short(&self, short: u64) -> Option<(ItemId, &Item)> {
        self.range(short, short).next()
    }

    /// Items whose short ids lie from `from` to `to`, both included, in ascending order.
    pub fn range(&self, from: u64, to: u64) -> impl Iterator<Item = (ItemId, &Item)> {
        let bounds = (from <= to).then(|| bound(from, 0)..=bound(to, 0xff));
        bounds.into_iter().flat_map(|bounds| self.items.range(bounds)).map(|(id, item)| (*id, item))
    }

    /// The summary that neighbours compare.
    pub fn digest(&self) -> Digest {
        Digest { count: u32::try_from(self.items.len()).unwrap_or(u32::MAX), buckets: self.sums }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::message::ItemKind;

    #[test]
    fn sums_forget_what_was_removed_and_ranges_include_their_ends() {
        let mut store = Store::default();
        let empty = store.digest();
        let item = |n: u8| Item { kind: ItemKind::Head, bytes: vec![n].into() };
        let items: Vec<Item> = (0..200).map(item).collect();
        items.iter().for_each(|item| store.insert(item.id(), item.clone()));
        items.iter().for_each(|item| store.insert(item.id(), item.clone()));
        assert_eq!(store.len(), 200);
        let shorts: Vec<u64> = store.range(0, u64::MAX).map(|(id, _)| id.short()).collect();
        assert!(shorts.is_sorted());
        assert_eq!(store.range(shorts[3], shorts[5]).count(), 3);
        assert_eq!(store.range(5, 4).count(), 0);
        assert_eq!(store.get_short(shorts[7]).map(|(id, _)| id.short()), Some(shorts[7]));
        items.iter().for_each(|item| store.remove(item.id()));
        assert_eq!(store.digest(), empty);
    }
}
