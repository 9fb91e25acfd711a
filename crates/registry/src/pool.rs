//! Which prefix is free: sparse allocation, so that growing in place usually works.

use crate::id::DelegationId;
use ln6_types::Prefix;
use std::collections::BTreeSet;

/// Every delegation that is not free, in order of prefix.
pub(crate) type Given = BTreeSet<(Prefix, DelegationId)>;

/// What is taken, as questions: all that is given (lent by the registry, as it is large) but for a few, and some more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken<'g> {
    given: Option<&'g Given>,
    without: Vec<DelegationId>,
    more: BTreeSet<Prefix>,
}

const FIRST: DelegationId = DelegationId(0);
const LAST: DelegationId = DelegationId(u64::MAX);

impl<'g> Taken<'g> {
    pub(crate) fn new(given: &'g Given, without: Vec<DelegationId>) -> Self {
        Taken { given: Some(given), without, more: BTreeSet::new() }
    }

    pub(crate) fn insert(&mut self, prefix: Prefix) {
        self.more.insert(prefix);
    }

    /// Some taken prefix at or inside `block`; `block` itself if that is taken.
    fn inside(&self, block: Prefix) -> Option<Prefix> {
        // A covering prefix sorts before what it covers, so everything inside follows `block` directly.
        let given = self.given.into_iter().flat_map(|given| given.range((block, FIRST)..));
        let mut counted = given.filter(|(_, id)| !self.without.contains(id)).map(|(prefix, _)| *prefix);
        let first = counted.next().into_iter().chain(self.more.range(block..).next().copied()).min();
        first.filter(|taken| block.covers(*taken))
    }

    fn contains(&self, prefix: &Prefix) -> bool {
        let given = self.given.into_iter().flat_map(|given| given.range((*prefix, FIRST)..=(*prefix, LAST)));
        self.more.contains(prefix) || given.into_iter().any(|(_, id)| !self.without.contains(id))
    }

    fn covering(&self, block: Prefix) -> Option<Prefix> {
        (0..=block.len()).map(|len| Prefix::new(block.network(), len)).find(|prefix| self.contains(prefix))
    }

    pub(crate) fn overlapping(&self, block: Prefix) -> Option<Prefix> {
        self.covering(block).or_else(|| self.inside(block))
    }
}

impl FromIterator<Prefix> for Taken<'_> {
    fn from_iter<I: IntoIterator<Item = Prefix>>(iter: I) -> Self {
        Taken { more: iter.into_iter().collect(), ..Taken::default() }
    }
}

/// The free slot of length `len` in `pool` that is farthest from its neighbours: the beginning of the largest free
/// aligned block, the lowest of those. It can grow in place to that whole block until others move in.
pub fn sparse(pool: Prefix, len: u8, taken: impl IntoIterator<Item = Prefix>) -> Option<Prefix> {
    sparse_in(pool, len, &taken.into_iter().collect())
}

pub(crate) fn sparse_in(pool: Prefix, len: u8, taken: &Taken<'_>) -> Option<Prefix> {
    if len < pool.len() || len > 128 || taken.covering(pool).is_some() {
        return None;
    }
    let mut best = None;
    largest_free(pool, len, taken, &mut best);
    best.map(|block| Prefix::new(block.network(), len))
}

/// Halves `block` until a part is free; keeps the largest, and of equals the first.
fn largest_free(block: Prefix, len: u8, taken: &Taken<'_>, best: &mut Option<Prefix>) {
    if best.is_some_and(|best| best.len() <= block.len()) {
        return;
    }
    match taken.inside(block) {
        None => *best = Some(block),
        Some(whole) if whole == block => {}
        Some(_) if block.len() == len => {}
        Some(_) => {
            let halves = [0, 1].into_iter().filter_map(|half| block.part(block.len() + 1, half));
            halves.for_each(|half| largest_free(half, len, taken, best));
        }
    }
}

/// A free /128 in `block`, from where `entropy` points: hosts are not numbered in a row, so that they are not found by
/// counting. The first 256 addresses (routers, servers, anycast) and the last 256 (RFC 2526) are never given.
pub fn free_host(
    block: Prefix,
    taken: impl IntoIterator<Item = Prefix>,
    entropy: &[u8; 32],
) -> Option<Prefix> {
    free_host_in(block, &taken.into_iter().collect(), entropy)
}

pub(crate) fn free_host_in(block: Prefix, taken: &Taken<'_>, entropy: &[u8; 32]) -> Option<Prefix> {
    let width = 128 - u32::from(block.len());
    let last = if width == 128 { u128::MAX } else { (1u128 << width) - 1 };
    let (low, high) = if width > 9 { (256, last - 256) } else { (0, last) };
    if taken.covering(block).is_some() {
        return None;
    }
    let mut start = [0u8; 16];
    start.copy_from_slice(&entropy[..16]);
    let span = high - low + 1; // width is at most 128 and low > 0 then, so this does not wrap
    let first = low + u128::from_be_bytes(start) % span;
    let upwards = probe(block, first, high, taken);
    upwards.or_else(|| {
        first.checked_sub(1).filter(|end| *end >= low).and_then(|end| probe(block, low, end, taken))
    })
}

/// The first free /128 between two offsets. Steps over what is taken, one run at a time.
fn probe(block: Prefix, first: u128, last: u128, taken: &Taken<'_>) -> Option<Prefix> {
    let mut offset = first;
    loop {
        let host = Prefix::host(block.address(offset));
        let Some(blocker) = taken.overlapping(host) else {
            return Some(host);
        };
        let end = blocker.address(u128::MAX).to_bits() - block.network().to_bits();
        offset = end.checked_add(1).filter(|next| *next <= last)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn p(text: &str) -> Prefix {
        text.parse().expect("prefix")
    }

    #[test]
    fn each_grant_halves_the_largest_gap() {
        let mut taken = Vec::new();
        for expected in ["00", "80", "40", "c0", "20", "60", "a0", "e0"] {
            let slot = sparse(p("2001:db8::/40"), 48, taken.iter().copied()).expect("room");
            assert_eq!(slot, p(&format!("2001:db8:{expected}::/48")));
            taken.push(slot);
        }
    }

    #[test]
    fn a_pool_is_used_up_to_its_last_slot_and_not_beyond() {
        let pool = p("2001:db8::/56");
        let mut taken = BTreeSet::new();
        for _ in 0..256 {
            assert!(taken.insert(sparse(pool, 64, taken.iter().copied()).expect("room")));
        }
        assert_eq!(sparse(pool, 64, taken.iter().copied()), None);
    }

    #[test]
    fn a_pool_inside_something_taken_has_no_room() {
        assert_eq!(sparse(p("2001:db8::/40"), 48, [p("2001:db8::/32")]), None);
        assert_eq!(free_host(p("2001:db8::/64"), [p("2001:db8::/32")], &[7; 32]), None);
    }

    #[test]
    fn hosts_are_found_until_the_block_is_full() {
        let block = p("2001:db8::/122");
        let mut taken = BTreeSet::new();
        for i in 0..64u8 {
            let host = free_host(block, taken.iter().copied(), &[i.wrapping_mul(97); 32]).expect("room");
            assert!(block.covers(host) && taken.insert(host));
        }
        assert_eq!(free_host(block, taken.iter().copied(), &[3; 32]), None);
        assert!(free_host(Prefix::ALL, [], &[0xff; 32]).is_some());
    }

    proptest! {
        #[test]
        fn a_slot_is_inside_aligned_and_free(
            sizes in proptest::collection::vec(40u8..=64, 1..40),
            drop in proptest::collection::vec(any::<bool>(), 40),
        ) {
            let pool = p("2001:db8::/40");
            let mut taken: Vec<Prefix> = Vec::new();
            for (i, len) in sizes.iter().enumerate() {
                if let Some(slot) = sparse(pool, *len, taken.iter().copied()) {
                    prop_assert_eq!(slot.len(), *len);
                    prop_assert!(pool.covers(slot));
                    prop_assert!(taken.iter().all(|t| !t.overlaps(slot)));
                    taken.push(slot);
                } else {
                    let full = |i: u128| pool.part(*len, i).is_some_and(|s| taken.iter().any(|t| t.overlaps(s)));
                    let slots = 1u128 << (len - 40).min(12);
                    prop_assert!((0..slots).all(full), "refused although a slot was free");
                }
                if drop[i] { taken.swap_remove(i % taken.len().max(1)); }
            }
        }

        #[test]
        fn until_half_the_slots_are_used_everybody_can_double(count in 1usize..=8) {
            let pool = p("2001:db8::/44");
            let mut taken: Vec<Prefix> = Vec::new();
            for _ in 0..count {
                taken.push(sparse(pool, 48, taken.iter().copied()).expect("room"));
            }
            for slot in &taken {
                let grown = slot.parent().expect("parent");
                prop_assert!(taken.iter().all(|t| t == slot || !t.overlaps(grown)));
            }
        }
    }
}
