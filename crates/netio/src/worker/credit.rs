//! How long a worker may go before all others: what it sleeps it may work, and then some, but never without end.

use ln6_types::Instant;

/// How much a worker may take before others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Microseconds that may be saved up: for so long a burst it goes before everybody else.
    burst: u64,
    /// Thousandths of a processor, over time; below 1000.
    share: u64,
}

impl Allowance {
    /// For one of `workers` on a machine of so many processors.
    ///
    /// Where there are more processors than workers, others have somewhere to go to. From 950 ms in a second on the kernel itself would
    /// step in, for 50 ms: 40 ms of burst and 900 thousandths are less. Elsewhere all workers together leave a fifth of every processor,
    /// and nobody waits for longer than a key stroke may.
    pub(super) fn of(workers: usize, processors: usize) -> Self {
        if workers < processors {
            Allowance { burst: 40_000, share: 900 }
        } else {
            Allowance { burst: 10_000, share: (800 * processors / workers.max(1)).min(800) as u64 }
        }
    }
}

/// Where a thread stands among those that want its processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// Before everybody who is not `First` as well.
    First,
    /// One of many.
    Equal,
}

/// Time to work before others. Working as first spends it, sleeping earns it; who has none left is one of many until half of it is there again.
#[derive(Debug)]
pub(super) struct Credit {
    /// Microseconds; below 0 where a burst went on for longer than it had.
    left: i64,
    allowance: Allowance,
    rank: Rank,
    /// Up to when everything is counted.
    at: Instant,
}

impl Credit {
    /// A full one.
    pub(super) fn new(now: Instant, allowance: Allowance) -> Self {
        Credit { left: allowance.burst as i64, allowance, rank: Rank::First, at: now }
    }

    /// Where it stands.
    pub(super) fn rank(&self) -> Rank {
        self.rank
    }

    /// The time since the last call was worked; where that leads.
    pub(super) fn worked(&mut self, now: Instant) -> Rank {
        let spent = self.passed(now);
        if self.rank == Rank::First {
            self.left = self.left.saturating_sub_unsigned(spent);
            if self.left <= 0 {
                self.rank = Rank::Equal;
            }
        }
        self.rank
    }

    /// The time since the last call was slept. Waiting for a processor is like sleeping: others had it.
    pub(super) fn slept(&mut self, now: Instant) -> Rank {
        let Allowance { burst, share } = self.allowance;
        let earned = self.passed(now).saturating_mul(share) / (1000 - share);
        self.left = self.left.saturating_add_unsigned(earned).min(burst as i64);
        if self.left >= burst as i64 / 2 {
            self.rank = Rank::First;
        }
        self.rank
    }

    fn passed(&mut self, now: Instant) -> u64 {
        let passed = now.as_micros().saturating_sub(self.at.as_micros());
        self.at = now;
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One worker, one processor.
    const ALONE: Allowance = Allowance { burst: MOST, share: 800 };
    const MOST: u64 = 10_000;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn the_only_processor_is_left_to_others_for_a_fifth() {
        assert_eq!(Allowance::of(1, 1), ALONE);
        assert_eq!(Allowance::of(4, 2).share, 400, "of each worker");
        assert_eq!(Allowance::of(8, 0).share, 0);
    }

    #[test]
    fn a_burst_of_ten_milliseconds_goes_first_and_not_a_microsecond_more() {
        let mut credit = Credit::new(at(7), ALONE);
        assert_eq!(credit.worked(at(7 + MOST - 1)), Rank::First);
        assert_eq!(credit.worked(at(7 + MOST)), Rank::Equal);
        assert_eq!(credit.worked(at(7 + 5 * MOST)), Rank::Equal);
        assert_eq!(credit.left, 0, "what is worked among others costs nothing");
    }

    #[test]
    fn who_has_spent_all_is_back_at_half() {
        let mut credit = Credit::new(at(0), ALONE);
        credit.worked(at(MOST));
        let half = MOST / 2 / 4;
        assert_eq!(credit.slept(at(MOST + half - 1)), Rank::Equal);
        assert_eq!(credit.slept(at(MOST + half)), Rank::First);
    }

    #[test]
    fn a_burst_that_went_on_for_too_long_is_paid_for() {
        let mut credit = Credit::new(at(0), ALONE);
        credit.worked(at(MOST + 4000));
        assert_eq!(credit.slept(at(MOST + 4000 + 1000 + MOST / 2 / 4 - 1)), Rank::Equal);
        assert_eq!(credit.slept(at(MOST + 4000 + 1000 + MOST / 2 / 4)), Rank::First);
    }

    #[test]
    fn half_of_it_is_enough_to_stay_first_once_it_is() {
        let mut credit = Credit::new(at(0), ALONE);
        assert_eq!(credit.worked(at(MOST * 9 / 10)), Rank::First);
        assert_eq!(credit.slept(at(MOST * 9 / 10 + 1)), Rank::First, "not spent to the end: no fall");
    }

    #[test]
    fn a_long_sleep_saves_up_no_more_than_one_burst() {
        let mut credit = Credit::new(at(0), ALONE);
        let hour = 3_600_000_000;
        credit.slept(at(hour));
        assert_eq!(credit.worked(at(hour + MOST)), Rank::Equal);
    }

    /// The part of a second that is worked as first by one of `workers`, in pieces, each followed by a sleep.
    fn taken(workers: usize, processors: usize, work: u64, sleep: u64) -> f64 {
        let mut credit = Credit::new(at(0), Allowance::of(workers, processors));
        let (mut rank, mut now, mut first) = (Rank::First, 0, 0);
        while now < 1_000_000 {
            now += work;
            first += if rank == Rank::First { work } else { 0 };
            rank = credit.worked(at(now));
            // Who is one of many waits, so long as it worked; who is first runs when it wakes.
            now += sleep + if rank == Rank::Equal { work } else { 0 };
            rank = credit.slept(at(now));
        }
        first as f64 / now as f64
    }

    #[test]
    fn the_part_of_a_processor_that_is_taken_first_has_a_bound() {
        for work in [10, 100, 1000, 9000] {
            for sleep in [0, 1, 5, 50] {
                assert!(taken(1, 1, work, sleep) <= 0.82, "{work} {sleep}: {}", taken(1, 1, work, sleep));
                assert!(2.0 * taken(2, 1, work, sleep) <= 0.84, "two on one processor: {work} {sleep}");
                assert!(taken(1, 2, work, sleep) < 0.95, "{work} {sleep}: {}", taken(1, 2, work, sleep));
            }
            assert!(taken(1, 1, work, work / 4 + 1) > 0.75, "what fits the bound is not held back: {work}");
            assert!(taken(1, 2, work, work / 8 + 1) > 0.80, "with processors to spare: {work}");
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_changes_nothing() {
        let mut credit = Credit::new(at(1000), ALONE);
        assert_eq!(credit.worked(at(900)), Rank::First);
        assert_eq!(credit.left, MOST as i64);
    }
}
