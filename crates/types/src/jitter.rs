//! Noise from a seed: so that nodes do not act in step, and a run can be repeated.

use core::time::Duration;

/// SplitMix64. Never for secrets: whoever sees a few numbers knows the rest.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// The stream of this seed.
    pub const fn new(seed: u64) -> Self {
        Jitter(seed)
    }

    /// The next 64 bits.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound` milliseconds; zero if that is 0.
    pub fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.draw() % bound.max(1))
    }

    /// Evenly from `least` to `most`; `least` if that is more.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_micros() as u64;
        least + Duration::from_micros(self.draw() % span.saturating_add(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_splitmix64() {
        let mut stream = Jitter::new(0);
        assert_eq!(stream.draw(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(stream.draw(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn pauses_keep_to_their_bounds() {
        let mut stream = Jitter::new(7);
        let (least, most) = (Duration::from_millis(3), Duration::from_millis(5));
        for _ in 0..1000 {
            assert!((least..=most).contains(&stream.between(least, most)));
            assert!(stream.millis(4) < Duration::from_millis(4));
        }
        assert_eq!(stream.millis(0), Duration::ZERO);
        assert_eq!(stream.between(most, least), most);
    }
}
