//! Which counters of a receive key were seen: a sliding window in a ring of words (RFC 6479).

use crate::timers::REJECT_AFTER_MESSAGES;

const WORDS: usize = 128;
const BITS: u64 = u64::BITS as u64;

/// The counters seen under one key. The window is asked and marked only after a packet proved authentic.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    /// One more than the highest counter marked; zero while none is.
    next: u64,
    ring: [u64; WORDS],
}

impl ReplayWindow {
    /// How many counters are told apart: the ring's 8192 bits less the word that is being cleared. Anything older than
    /// the highest counter by this or more is refused.
    pub const SPAN: u64 = (WORDS as u64 - 1) * BITS;

    /// A window that has seen nothing.
    pub const fn new() -> Self {
        ReplayWindow { next: 0, ring: [0; WORDS] }
    }

    /// The highest counter marked.
    pub fn highest(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    /// Whether `counter` is new: within the window or above it, below [`REJECT_AFTER_MESSAGES`], and not marked yet.
    #[inline]
    pub fn check(&self, counter: u64) -> bool {
        if counter >= REJECT_AFTER_MESSAGES {
            return false;
        }
        if counter >= self.next {
            return true;
        }
        self.next - counter <= Self::SPAN && self.ring[slot(counter)] & bit(counter) == 0
    }

    /// Marks `counter` as seen; `false` if it is not new (see [`check`](Self::check)), and then nothing changes.
    #[inline]
    pub fn mark(&mut self, counter: u64) -> bool {
        if !self.check(counter) {
            return false;
        }
        if counter >= self.next {
            self.slide(counter);
        }
        self.ring[slot(counter)] |= bit(counter);
        true
    }

    /// Makes `counter` the highest and clears the words that the window newly covers.
    #[inline]
    fn slide(&mut self, counter: u64) {
        let old = self.next.saturating_sub(1) / BITS;
        let fresh = (counter / BITS - old).min(WORDS as u64);
        for word in 1..=fresh {
            self.ring[(old.wrapping_add(word) % WORDS as u64) as usize] = 0;
        }
        self.next = counter + 1;
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

#[inline]
fn slot(counter: u64) -> usize {
    (counter / BITS % WORDS as u64) as usize
}

#[inline]
fn bit(counter: u64) -> u64 {
    1 << (counter % BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Default)]
    struct Model(BTreeSet<u64>);

    impl Model {
        fn mark(&mut self, counter: u64) -> bool {
            let new = counter < REJECT_AFTER_MESSAGES
                && self
                    .0
                    .last()
                    .is_none_or(|&highest| counter > highest || highest - counter < ReplayWindow::SPAN)
                && !self.0.contains(&counter);
            if new {
                self.0.insert(counter);
            }
            new
        }
    }

    #[test]
    fn a_counter_is_taken_once() {
        let mut window = ReplayWindow::new();
        assert_eq!(window.highest(), None);
        assert!(window.mark(0));
        assert!(!window.mark(0));
        assert!(window.mark(5));
        assert!(window.check(4) && window.mark(4));
        assert!(!window.check(4) && !window.mark(4));
        assert_eq!(window.highest(), Some(5));
    }

    #[test]
    fn the_window_ends_exactly_at_its_span() {
        let mut window = ReplayWindow::new();
        assert!(window.mark(ReplayWindow::SPAN));
        assert!(!window.check(0));
        assert!(window.mark(1));
    }

    #[test]
    fn a_leap_forgets_everything_before() {
        let mut window = ReplayWindow::new();
        (0..9000).for_each(|counter| assert!(window.mark(counter)));
        assert!(window.mark(1 << 40));
        assert!(!window.check(8999));
        assert!(((1 << 40) - ReplayWindow::SPAN + 1..1 << 40).all(|counter| window.check(counter)));
    }

    #[test]
    fn nothing_marked_is_ever_new_again() {
        let mut window = ReplayWindow::new();
        for highest in 0..20_000u64 {
            assert!(window.mark(highest));
            for age in [1, 63, 64, 8063, 8126, 8127, 8128, 8129, 8191, 8192] {
                assert!(!window.check(highest.saturating_sub(age)), "{age} before {highest}");
            }
        }
    }

    #[test]
    fn counters_at_the_limit_are_refused() {
        let mut window = ReplayWindow::new();
        assert!(!window.mark(REJECT_AFTER_MESSAGES));
        assert!(!window.mark(u64::MAX));
        assert!(window.mark(REJECT_AFTER_MESSAGES - 1));
        assert!(window.mark(REJECT_AFTER_MESSAGES - 2));
    }

    fn counters() -> impl Strategy<Value = Vec<u64>> {
        let step = prop_oneof![4 => -70i64..70, 3 => -8300i64..8300, 1 => -40_000i64..40_000];
        let base = prop_oneof![Just(0u64), Just(20_000), Just(REJECT_AFTER_MESSAGES - 10_000)];
        (base, proptest::collection::vec(step, 1..400)).prop_map(|(base, steps)| {
            let mut at = base;
            let next = |step| {
                at = at.saturating_add_signed(step);
                at
            };
            steps.into_iter().map(next).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn the_window_agrees_with_a_set(counters in counters()) {
            let (mut window, mut model) = (ReplayWindow::new(), Model::default());
            for counter in counters {
                let before = window.check(counter);
                let taken = window.mark(counter);
                prop_assert_eq!(before, taken);
                prop_assert_eq!(taken, model.mark(counter), "counter {}", counter);
                prop_assert_eq!(window.highest(), model.0.last().copied());
            }
        }
    }
}
