//! The order of each block, repeatable by its seed.

/// A small generator (splitmix64); nothing here needs a better one.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// The numbers below `count`, shuffled.
    pub(crate) fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for at in (1..count).rev() {
            order.swap(at, (self.next() % (at as u64 + 1)) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_everyone_once_and_comes_again_with_its_seed() {
        let (mut first, mut second) = (Random::new(7), Random::new(7));
        let orders: Vec<_> = (0..5).map(|_| first.order(6)).collect();
        assert!(orders.iter().all(|order| *order == second.order(6)));
        assert!(orders.windows(2).any(|pair| pair[0] != pair[1]));
        for mut order in orders {
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        }
    }
}
