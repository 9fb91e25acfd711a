//! A token bucket: how much work one neighbour may cause.

use core::time::Duration;
use ln6_types::Instant;

const SCALE: u64 = 1_000_000;

/// Tokens that come back at a steady rate up to a burst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Tokens a second.
    rate: u64,
    burst: u64,
    /// Millionths of a token.
    level: u64,
    at: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant, rate: u32, burst: u32) -> Self {
        let burst = u64::from(burst) * SCALE;
        Budget { rate: u64::from(rate), burst, level: burst, at: now }
    }

    fn refill(&mut self, now: Instant) {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.level = self.level.saturating_add(micros.saturating_mul(self.rate)).min(self.burst);
        self.at = self.at.max(now);
    }

    /// Takes `tokens` if there are as many.
    pub(super) fn take(&mut self, now: Instant, tokens: u32) -> bool {
        self.refill(now);
        let wanted = u64::from(tokens) * SCALE;
        let enough = self.level >= wanted;
        if enough {
            self.level -= wanted;
        }
        enough
    }

    /// Whether nothing was taken lately.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.level == self.burst
    }

    /// When there will be a token.
    pub(super) fn next(&self) -> Instant {
        let lacking = SCALE.saturating_sub(self.level);
        self.at + Duration::from_micros(lacking.div_ceil(self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_at_the_rate_up_to_the_burst() {
        let start = Instant::from_micros(5);
        let mut budget = Budget::new(start, 10, 3);
        assert!(budget.take(start, 3) && !budget.take(start, 1));
        assert_eq!(budget.next(), start + Duration::from_millis(100));
        assert!(!budget.take(start + Duration::from_millis(99), 1));
        assert!(budget.take(start + Duration::from_millis(100), 1));
        assert!(!budget.take(start, 1), "time does not run backwards");
        assert!(budget.take(Instant::FAR_FUTURE, 3) && !budget.take(Instant::FAR_FUTURE, 1));
    }
}
