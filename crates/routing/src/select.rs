//! Which of several routes to use (RFC 8966, section 3.6 and appendix A.3). A pure function.

use crate::INFINITY;
use core::time::Duration;
use ln6_types::Instant;

/// A route as selection sees it.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    /// [`INFINITY`] if it must not be used: retracted, unfeasible, refused.
    pub(crate) metric: u16,
    /// Long-term view of the metric.
    pub(crate) smoothed: u16,
}

/// The outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Choice {
    /// Index of the route to use.
    pub(crate) best: Option<usize>,
    /// A better one has not been better for long enough: look again soon.
    pub(crate) review: bool,
}

/// By how much a smoothed metric has to be smaller: a sixteenth, but less than one hop more or less.
fn margin(smoothed: u16) -> u16 {
    (smoothed / 16).min(48)
}

/// Chooses; `selected` is the route in use.
///
/// Without a usable route in use the smallest metric wins. Otherwise only a route takes over that is better now *and*
/// was clearly better for some time, so that two routes of about the same metric do not take turns.
pub(crate) fn choose(candidates: &[Candidate], selected: Option<usize>) -> Choice {
    let usable = candidates.iter().enumerate().filter(|(_, c)| c.metric != INFINITY);
    let smallest = |(_, c): &(usize, &Candidate)| (c.metric, c.smoothed);
    let in_use = selected.filter(|index| candidates.get(*index).is_some_and(|c| c.metric != INFINITY));
    let Some(current) = in_use.map(|index| candidates[index]) else {
        return Choice { best: usable.min_by_key(smallest).map(|(index, _)| index), review: false };
    };
    let clearly = |new: u16, old: u16| new < old - margin(old);
    let mut review = false;
    let lasting = usable.filter(|(_, c)| c.metric < current.metric).filter(|(_, c)| {
        let lasts = clearly(c.smoothed, current.smoothed);
        // As things stand it will take over.
        review |= !lasts && clearly(c.metric, current.metric);
        lasts
    });
    match lasting.min_by_key(smallest) {
        Some((index, _)) => Choice { best: Some(index), review: false },
        None => Choice { best: in_use, review },
    }
}

/// A metric that follows the real one slowly, with a half-life.
#[derive(Clone, Copy)]
pub(crate) struct Smoothed {
    /// Of the last turn, in 1/256.
    value: u32,
    at: Instant,
    target: u16,
}

impl Smoothed {
    pub(crate) const NEW: Smoothed = Smoothed { value: 0, at: Instant::ZERO, target: INFINITY };

    pub(crate) fn get(&self, now: Instant, half_life: Duration) -> u16 {
        (self.exact(now, half_life) >> 8) as u16
    }

    /// The real metric.
    pub(crate) fn target(&self) -> u16 {
        self.target
    }

    fn exact(&self, now: Instant, half_life: Duration) -> u32 {
        let target = i64::from(self.target) << 8;
        let half_life = (half_life.as_micros() as u64).max(1);
        let elapsed = now.since(self.at).as_micros() as u64;
        let (halvings, rest) = (elapsed / half_life, elapsed % half_life);
        let distance = (i64::from(self.value) - target) >> halvings.min(40);
        // Between two halvings a straight line is near enough.
        let distance = distance - distance * (rest / 256) as i64 / (half_life.div_ceil(256) * 2) as i64;
        (target + distance) as u32
    }

    /// The real metric is `metric` from now on. A route that comes (back) begins at twice its metric: it has to
    /// prove itself, the longer the less it would win.
    pub(crate) fn turn(&mut self, now: Instant, metric: u16, half_life: Duration) {
        if metric == self.target {
            return;
        }
        self.value = match (self.target, metric) {
            (_, INFINITY) => u32::from(INFINITY) << 8,
            (INFINITY, metric) => u32::from(metric.saturating_mul(2)) << 8,
            _ => self.exact(now, half_life),
        };
        (self.at, self.target) = (now, metric);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: u16 = INFINITY;

    // S01, S02, S04, S05, S06
    #[test]
    fn the_table_of_choices() {
        type Row = (&'static [(u16, u16)], Option<usize>, Option<usize>, bool);
        let table: [Row; 14] = [
            (&[], None, None, false),
            (&[(N, N)], None, None, false),
            (&[(N, N)], Some(0), None, false),
            (&[(300, 600), (200, 900), (N, 1)], None, Some(1), false),
            (&[(200, 200), (200, 200)], Some(1), Some(1), false),
            (&[(200, 200), (200, 100)], Some(0), Some(0), false),
            (&[(200, 200), (180, 360)], Some(0), Some(0), true),
            (&[(200, 200), (190, 190)], Some(0), Some(0), false),
            (&[(200, 200), (180, 187)], Some(0), Some(1), false),
            (&[(200, 200), (180, 188)], Some(0), Some(0), true),
            (&[(2000, 2000), (1904, 1951)], Some(0), Some(1), false),
            (&[(200, 200), (180, 187), (100, 187)], Some(0), Some(2), false),
            (&[(N, 200), (190, 380)], Some(0), Some(1), false),
            (&[(200, 200), (300, 100)], Some(0), Some(0), false),
        ];
        for (row, (candidates, selected, best, review)) in table.into_iter().enumerate() {
            let candidates: Vec<_> =
                candidates.iter().map(|&(metric, smoothed)| Candidate { metric, smoothed }).collect();
            assert_eq!(choose(&candidates, selected), Choice { best, review }, "row {row}");
        }
    }

    #[test]
    fn a_smoothed_metric_halves_its_distance_each_half_life() {
        let second = Duration::from_secs(1);
        let mut smoothed = Smoothed::NEW;
        smoothed.turn(Instant::ZERO, 400, second);
        let after = |millis: u64| smoothed.get(Instant::from_micros(millis * 1000), second);
        assert_eq!([after(0), after(500), after(1000), after(2000), after(3000)], [800, 700, 600, 500, 450]);
        assert_eq!(after(3_600_000), 400);
        smoothed.turn(Instant::from_micros(3_600_000_000), 200, second);
        assert_eq!(smoothed.get(Instant::from_micros(3_601_000_000), second), 300);
    }
}
