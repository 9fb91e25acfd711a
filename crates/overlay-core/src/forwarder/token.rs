//! One token bucket.

use ln6_types::Instant;

const MICROS: u64 = 1_000_000;

/// So many tokens a second, so many at once. Starts full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenBucket {
    rate: u64,
    burst: u64,
    /// Tokens, in millionths.
    level: u64,
    at: Instant,
}

impl TokenBucket {
    pub(crate) const fn new(rate: u64, burst: u64) -> Self {
        TokenBucket { rate, burst, level: burst.saturating_mul(MICROS), at: Instant::ZERO }
    }

    /// Whether there is a token to take.
    pub(crate) fn has(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.level >= MICROS
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.as_micros().saturating_sub(self.at.as_micros());
        self.at = self.at.max(now);
        self.level = self
            .level
            .saturating_add(elapsed.saturating_mul(self.rate))
            .min(self.burst.saturating_mul(MICROS));
    }

    /// Takes `n` tokens, or none.
    pub(crate) fn take(&mut self, now: Instant, n: u64) -> bool {
        self.fill(now);
        match self.level.checked_sub(n.saturating_mul(MICROS)) {
            Some(rest) => {
                self.level = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_the_burst_then_the_rate() {
        let mut bucket = TokenBucket::new(10, 3);
        let tenth = |n: u64| Instant::from_micros(n * 100_000);
        assert!((0..3).all(|_| bucket.take(tenth(0), 1)));
        assert!(!bucket.take(tenth(0), 1));
        assert!(bucket.take(tenth(1), 1));
        assert!(!bucket.take(tenth(1), 1) && !bucket.has(tenth(1)));
        assert!(bucket.has(tenth(1000)));
        assert!(bucket.take(tenth(1000), 3));
        assert!(!bucket.take(tenth(1000), 1));
    }
}
