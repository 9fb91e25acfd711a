//! What time it is (DESIGN 6): the machine's own clock, lifted by what the root and brokers say.
//!
//! A router may boot in 1970, so time is at least what has been signed. What is signed may be wrong as well: a clock that may be right is
//! lifted by 30 days at most, unless the root says so, or two brokers agree.

use crate::control::Control;
use core::time::Duration;
use ln6_types::{Instant, PublicKey, UnixTime};
use std::collections::BTreeMap;

/// A clock that shows less was never set: 2026-01-01.
const FIRST_RELEASE: UnixTime = UnixTime::from_secs(1_767_225_600);
/// How far one broker may lift a clock that may be right.
const MOST_LIFT: Duration = Duration::from_secs(30 * 86_400);
/// Brokers whose words about a later time are remembered.
const WITNESSES: usize = 16;

/// The node's idea of the time.
pub(crate) struct Clock {
    /// The machine's clock at a monotonic time.
    own: (Instant, UnixTime),
    /// What the time is at least, at a monotonic one; runs on.
    floor: (Instant, UnixTime),
    /// More than one broker stands for the floor.
    vouched: bool,
    /// What each broker said that alone is not believed.
    claims: BTreeMap<PublicKey, (Instant, UnixTime)>,
}

impl Clock {
    pub(crate) fn new(now: Instant, own: UnixTime, floor: UnixTime) -> Self {
        let mut clock =
            Clock { own: (now, own), floor: (now, floor), vouched: false, claims: BTreeMap::new() };
        clock.bound_floor(now);
        clock
    }

    fn own(&self, now: Instant) -> UnixTime {
        runs(self.own, now)
    }

    /// The time, as far as it is known.
    pub(crate) fn wall(&self, now: Instant) -> UnixTime {
        self.own(now).max(self.known(now))
    }

    /// The time that is known to have passed whatever our own clock says: this is what outlives a restart. Were our own
    /// clock's time kept, one that once ran years ahead would end every certificate for ever.
    pub(crate) fn known(&self, now: Instant) -> UnixTime {
        runs(self.floor, now)
    }

    /// What may be forgotten as of this time: no clock of ours that runs ahead makes it later than signed time and a month.
    pub(crate) fn believed(&self, now: Instant) -> UnixTime {
        self.wall(now).min(self.known(now) + MOST_LIFT)
    }

    /// The machine's clock says this.
    pub(crate) fn set(&mut self, now: Instant, own: UnixTime) {
        self.own = (now, own);
        self.bound_floor(now);
    }

    /// A clock that may be right keeps the floor within reach: what was saved or heard while it was wrong must not outlast that.
    fn bound_floor(&mut self, now: Instant) {
        let most = self.own(now) + MOST_LIFT;
        if self.own(now) >= FIRST_RELEASE && self.known(now) > most && !self.vouched {
            self.floor = (now, most);
        }
    }

    /// The word of a broker, or of the root (`None`), on what time it is at least.
    pub(crate) fn hear(&mut self, now: Instant, who: Option<PublicKey>, at: UnixTime) {
        if at <= self.known(now) {
            return;
        }
        let own = self.own(now);
        if own < FIRST_RELEASE || at <= own + MOST_LIFT {
            self.floor = (now, at);
        } else if let Some(broker) = who {
            self.claim(now, broker, at);
        } else {
            (self.floor, self.vouched) = ((now, at), true);
        }
    }

    /// Beyond a month it takes two: the second latest word counts.
    fn claim(&mut self, now: Instant, broker: PublicKey, at: UnixTime) {
        let claim = self.claims.entry(broker).or_insert((now, at));
        if at > runs(*claim, now) {
            *claim = (now, at);
        }
        while self.claims.len() > WITNESSES {
            self.claims.pop_first();
        }
        let mut claims: Vec<UnixTime> = self.claims.values().map(|claim| runs(*claim, now)).collect();
        claims.sort_unstable();
        if let Some(second) = claims.iter().rev().nth(1).filter(|second| **second > self.known(now)) {
            (self.floor, self.vouched) = ((now, *second), true);
        }
    }
}

fn runs((then, at): (Instant, UnixTime), now: Instant) -> UnixTime {
    at + now.since(then)
}

impl Control {
    /// The wall clock's time at `now`, as far as it is known; never below the floor.
    pub fn wall(&self, now: Instant) -> UnixTime {
        self.clock.wall(now)
    }

    /// A configured broker's word, in its own session.
    pub(crate) fn hear_time(&mut self, now: Instant, broker: PublicKey, at: UnixTime) {
        self.clock.hear(now, Some(broker), at);
    }

    /// What the root and its brokers put their names to.
    pub(crate) fn hear_signed_times(&mut self, now: Instant) {
        for (who, at) in self.membership.signed_times() {
            self.clock.hear(now, who, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
    const MONTH: Duration = MOST_LIFT;

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    fn broker(number: u8) -> Option<PublicKey> {
        Some(PublicKey([number; 32]))
    }

    #[test]
    fn one_broker_lifts_a_clock_by_a_month_at_most_and_two_by_what_both_say() {
        let mut clock = Clock::new(at(0), NOW, UnixTime::EPOCH);
        clock.hear(at(0), broker(1), NOW + MONTH);
        assert_eq!(clock.wall(at(0)), NOW + MONTH);
        clock.hear(at(0), broker(1), NOW + 5 * MONTH);
        clock.hear(at(1), broker(1), NOW + 6 * MONTH);
        assert_eq!(clock.wall(at(1)), NOW + MONTH + Duration::from_secs(1), "however often one says so");
        clock.hear(at(1), broker(2), NOW + 4 * MONTH);
        assert_eq!(clock.wall(at(1)), NOW + 4 * MONTH);
        clock.set(at(9), NOW);
        assert_eq!(clock.wall(at(9)), NOW + 4 * MONTH + Duration::from_secs(8), "it stays so");
    }

    #[test]
    fn the_root_alone_is_believed_and_nobody_takes_time_back() {
        let mut clock = Clock::new(at(0), NOW, UnixTime::EPOCH);
        clock.hear(at(0), None, NOW + 12 * MONTH);
        clock.hear(at(0), None, NOW);
        clock.hear(at(0), broker(1), NOW);
        assert_eq!(clock.wall(at(0)), NOW + 12 * MONTH);
    }

    #[test]
    fn a_clock_that_was_never_set_believes_any_broker() {
        let mut clock = Clock::new(at(0), UnixTime::from_secs(60), UnixTime::EPOCH);
        clock.hear(at(0), broker(1), NOW);
        assert_eq!(clock.wall(at(10)), NOW + Duration::from_secs(10));
    }

    #[test]
    fn what_is_forgotten_does_not_depend_on_a_clock_that_runs_years_ahead() {
        let mut clock = Clock::new(at(0), NOW + 100 * MONTH, NOW);
        assert_eq!(clock.believed(at(0)), NOW + MONTH);
        clock.set(at(1), NOW + Duration::from_secs(1));
        assert_eq!(clock.believed(at(1)), NOW + Duration::from_secs(1));
        let blind = Clock::new(at(0), NOW, UnixTime::EPOCH);
        assert_eq!(
            blind.believed(at(0)),
            UnixTime::EPOCH + MONTH,
            "nothing was signed, nothing is forgotten"
        );
    }

    #[test]
    fn no_number_of_brokers_fills_the_memory() {
        let mut clock = Clock::new(at(0), NOW, UnixTime::EPOCH);
        (0..200).for_each(|number| clock.hear(at(0), broker(number), NOW + 2 * MONTH));
        assert!(clock.claims.len() <= WITNESSES);
    }
}
