//! Feasibility distances: the best this node ever sent, for each source (RFC 8966, sections 3.2.5 and 3.7.3).

use crate::timer::{Alarm, Timer, Timers};
use crate::{INFINITY, Key, seqno};
use core::time::Duration;
use ln6_types::{Instant, RouterId};
use std::collections::BTreeMap;

/// How long one is kept after the last finite update sent.
const KEPT: Duration = Duration::from_secs(180);

/// One feasibility distance.
pub(crate) struct Source {
    pub(crate) seqno: u16,
    pub(crate) metric: u16,
    expiry: Alarm,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Sources(BTreeMap<(Key, RouterId), Source>);

impl Sources {
    /// Whether an advertisement cannot make a loop (section 3.5.1). The metric is the advertised one, without the
    /// cost of the link.
    pub(crate) fn feasible(&self, key: Key, router: RouterId, seqno: u16, metric: u16) -> bool {
        metric == INFINITY
            || self.0.get(&(key, router)).is_none_or(|source| {
                seqno::newer(seqno, source.seqno) || seqno == source.seqno && metric < source.metric
            })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn knows(&self, key: Key, router: RouterId) -> bool {
        self.0.contains_key(&(key, router))
    }

    /// To be called before a finite update is sent (section 3.7.3).
    pub(crate) fn sending(
        &mut self,
        now: Instant,
        timers: &mut Timers,
        key: Key,
        router: RouterId,
        distance: (u16, u16),
    ) {
        let (seqno, metric) = distance;
        let source =
            self.0.entry((key, router)).or_insert(Source { seqno, metric, expiry: Alarm::default() });
        if seqno::newer(seqno, source.seqno) {
            (source.seqno, source.metric) = (seqno, metric);
        } else if seqno == source.seqno {
            source.metric = source.metric.min(metric);
        }
        timers.set(&mut source.expiry, now + KEPT, Timer::Source(key, router));
    }

    /// The seqno to ask for when nothing is feasible.
    pub(crate) fn next_seqno(&self, key: Key, router: RouterId) -> Option<u16> {
        self.0.get(&(key, router)).map(|source| source.seqno.wrapping_add(1))
    }

    /// A timer came up; whether the entry is gone.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        at: Instant,
        timers: &mut Timers,
        key: Key,
        router: RouterId,
    ) -> bool {
        let Some(source) = self.0.get_mut(&(key, router)) else { return false };
        let gone = timers.rings(&mut source.expiry, at, now, Timer::Source(key, router));
        if gone {
            self.0.remove(&(key, router));
        }
        gone
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&(Key, RouterId), &Source)> {
        self.0.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R03 to R08, R19, U02, U03, SS12
    #[test]
    fn only_what_is_strictly_better_than_all_we_sent_is_feasible() {
        let (mut sources, mut timers) = (Sources::default(), Timers::default());
        let key = Key::to("2001:db8::/48".parse().unwrap());
        let id = RouterId([1; 8]);
        assert!(sources.feasible(key, id, 5, 1000));
        sources.sending(Instant::ZERO, &mut timers, key, id, (65535, 200));
        sources.sending(Instant::ZERO, &mut timers, key, id, (65535, 300));
        sources.sending(Instant::ZERO, &mut timers, key, id, (65534, 10));
        for (seqno, metric, feasible) in [
            (65535, 199, true),
            (65535, 200, false),
            (65535, 201, false),
            (0, 5000, true),
            (32766, 5000, true),
            (32767, 1, false),
            (65534, 1, false),
            (65534, INFINITY, true),
        ] {
            assert_eq!(sources.feasible(key, id, seqno, metric), feasible, "{seqno} {metric}");
        }
        let from = Key::new(key.dst(), "2001:db8:1::/48".parse().unwrap()).unwrap();
        assert!(sources.feasible(from, id, 1, 1));
        assert!(sources.feasible(key, RouterId([2; 8]), 1, 1));
        let later = Instant::ZERO + KEPT;
        let (at, _) = timers.pop(later).unwrap();
        assert!(sources.expire(later, at, &mut timers, key, id));
        assert!(sources.feasible(key, id, 1, 1));
    }
}
