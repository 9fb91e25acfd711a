//! Round-trip times from timestamps in Hellos and IHUs (RFC 9616).

use core::time::Duration;
use ln6_types::Instant;

/// Below this, distance costs nothing; microseconds.
const MIN: u32 = 10_000;
/// Above this, more distance costs no more; microseconds.
const MAX: u32 = 120_000;
/// What [`MAX`] adds to a link's cost.
const PENALTY: u32 = 150;
/// Older timestamps and samples are not used.
const STALE: Duration = Duration::from_secs(180);

/// What is known of the distance to one neighbour.
#[derive(Default)]
pub(crate) struct Rtt {
    /// The neighbour's last timestamp, and when it was heard, both modulo 2^32 microseconds.
    heard: Option<(u32, u32)>,
    smoothed: Option<u32>,
    sampled: Instant,
}

/// A clock modulo 2^32 microseconds.
pub(crate) fn stamp(now: Instant) -> u32 {
    now.as_micros() as u32
}

impl Rtt {
    /// What to put in an IHU.
    pub(crate) fn echo(&self) -> Option<(u32, u32)> {
        self.heard
    }

    /// A packet carried a Hello with timestamp `sent` and maybe an IHU for us with timestamps `(origin, receive)`.
    pub(crate) fn heard(&mut self, now: Instant, sent: u32, ihu: Option<(u32, u32)>) {
        let before = self.heard.replace((sent, stamp(now)));
        let stale = |span: u32| Duration::from_micros(u64::from(span)) > STALE;
        let Some((origin, receive)) = ihu else { return };
        let (all, theirs) = (stamp(now).wrapping_sub(origin), sent.wrapping_sub(receive));
        let older = before.is_some_and(|(last, _)| stale(sent.wrapping_sub(last)));
        if stale(all) || stale(theirs) || older {
            return;
        }
        let sample = all.saturating_sub(theirs);
        // alpha = 0.836
        let average = |old: u32| ((u64::from(old) * 836 + u64::from(sample) * 164) / 1000) as u32;
        self.smoothed = Some(self.get(now).map_or(sample, average));
        self.sampled = now;
    }

    /// Smoothed round-trip time in microseconds, if measured within the last three minutes.
    pub(crate) fn get(&self, now: Instant) -> Option<u32> {
        self.smoothed.filter(|_| now.since(self.sampled) <= STALE)
    }

    /// What it adds to the cost of the link.
    pub(crate) fn penalty(&self, now: Instant) -> u16 {
        let above = self.get(now).map_or(0, |rtt| rtt.clamp(MIN, MAX) - MIN);
        (above * PENALTY / (MAX - MIN)) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn sample(rtt_ms: u32) -> Rtt {
        let mut rtt = Rtt::default();
        rtt.heard(at(1_000_000), 500_000, Some((1_000_000 - rtt_ms * 1000 - 100, 499_900)));
        rtt
    }

    // T02, T09
    #[test]
    fn the_penalty_grows_between_10_and_120_milliseconds() {
        for (ms, penalty) in [(0, 0), (10, 0), (65, 75), (120, 150), (900, 150)] {
            assert_eq!(sample(ms).penalty(at(1_000_000)), penalty, "{ms} ms");
        }
    }

    // T02
    #[test]
    fn a_clock_that_wraps_gives_the_right_sample() {
        let mut rtt = Rtt::default();
        let now = at((1 << 32) + 20_000);
        rtt.heard(now, 5_000, Some((u32::MAX - 9_999, u32::MAX - 4_999)));
        assert_eq!(rtt.get(now), Some(20_000));
    }

    // T03, T04, T05, T07
    #[test]
    fn impossible_timestamps_give_no_sample_but_are_kept() {
        let mut rtt = Rtt::default();
        rtt.heard(at(1_000_000), 7, None);
        rtt.heard(at(2_000_000), 1_000_007, Some((2_000_001, 0)));
        rtt.heard(at(500_000_000), 2_000_007, Some((1, 2_000_000)));
        rtt.heard(at(500_000_001), 1_900_000, Some((499_999_000, 1_890_000)));
        assert_eq!(rtt.get(at(500_000_001)), None);
        assert_eq!(rtt.echo(), Some((1_900_000, 500_000_001)));
        rtt.heard(at(500_000_100), 2_100_000, Some((500_000_000, 1_900_000)));
        assert_eq!(rtt.get(at(500_000_100)), Some(0));
    }

    // T08, T10
    #[test]
    fn samples_are_smoothed_and_forgotten_after_three_minutes() {
        let mut rtt = sample(100);
        rtt.heard(at(2_000_000), 600_000, Some((1_800_000, 600_000)));
        assert_eq!(rtt.get(at(2_000_000)), Some(116_400));
        assert_eq!(rtt.get(at(182_000_001)), None);
        assert_eq!(rtt.penalty(at(182_000_001)), 0);
    }
}
