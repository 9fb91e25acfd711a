//! Deadlines. A deadline that only moves away costs nothing: its old entry in the queue finds out when it comes up.

use crate::{Key, LinkId, neighbour::NeighbourId};
use ln6_types::{Instant, RouterId};
use std::collections::BTreeSet;

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// Send a Hello on a link.
    Hello(LinkId),
    /// Send what has gathered for a link.
    Flush(LinkId),
    /// Repeat urgent updates.
    Repeat(LinkId),
    /// Advertise all routes on a link.
    Dump(LinkId),
    /// A Multicast Hello was missed.
    Multicast(NeighbourId),
    /// A Unicast Hello was missed.
    Unicast(NeighbourId),
    /// No IHU was heard for long.
    Ihu(NeighbourId),
    /// Send what has gathered for a neighbour.
    Reply(NeighbourId),
    /// Advertise all routes to a neighbour.
    DumpTo(NeighbourId),
    /// A route is about to expire, or expires.
    Route(Key, NeighbourId),
    /// A better route may have been good for long enough.
    Review(Key),
    /// Nobody can still send us packets for a lost destination.
    Hold(Key),
    /// A feasibility distance is no longer needed.
    Source(Key, RouterId),
    /// Repeat or give up a seqno request.
    Request(Key, RouterId),
}

/// The owner's part of one deadline.
#[derive(Clone, Copy)]
pub(crate) struct Alarm {
    /// When it really is due.
    due: Instant,
    /// The entry in the queue that counts.
    armed: Instant,
}

impl Default for Alarm {
    fn default() -> Self {
        Alarm { due: Instant::FAR_FUTURE, armed: Instant::FAR_FUTURE }
    }
}

impl Alarm {
    pub(crate) fn is_set(&self) -> bool {
        self.due != Instant::FAR_FUTURE
    }

    pub(crate) fn clear(&mut self) {
        self.due = Instant::FAR_FUTURE;
    }
}

/// The queue: never more than one entry for each alarm.
#[derive(Default)]
pub(crate) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, alarm: &mut Alarm, due: Instant, timer: Timer) {
        alarm.due = due;
        if due < alarm.armed {
            self.0.remove(&(alarm.armed, timer));
            alarm.armed = due;
            self.0.insert((due, timer));
        }
    }

    /// To be called when the owner of an alarm goes.
    pub(crate) fn cancel(&mut self, alarm: &mut Alarm, timer: Timer) {
        self.0.remove(&(alarm.armed, timer));
        *alarm = Alarm::default();
    }

    /// Like `set`, but never later than it is due already.
    pub(crate) fn hasten(&mut self, alarm: &mut Alarm, due: Instant, timer: Timer) {
        self.set(alarm, due.min(alarm.due), timer);
    }

    /// When to look again at the latest; there may be nothing to do then.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first()
    }

    /// Whether the entry `(at, timer)` just popped means that `alarm` is due; if so it is no longer set.
    pub(crate) fn rings(&mut self, alarm: &mut Alarm, at: Instant, now: Instant, timer: Timer) -> bool {
        if at != alarm.armed {
            return false;
        }
        alarm.armed = Instant::FAR_FUTURE;
        if alarm.due > now {
            if alarm.is_set() {
                self.set(alarm, alarm.due, timer);
            }
            return false;
        }
        alarm.clear();
        true
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_that_was_put_off_rings_once_and_late() {
        let (mut timers, mut alarm, timer) = (Timers::default(), Alarm::default(), Timer::Hello(LinkId(1)));
        let at = Instant::from_micros;
        timers.set(&mut alarm, at(10), timer);
        timers.set(&mut alarm, at(30), timer);
        timers.set(&mut alarm, at(20), timer);
        let (first, _) = timers.pop(at(10)).unwrap();
        assert!(!timers.rings(&mut alarm, first, at(10), timer));
        assert!(timers.pop(at(19)).is_none());
        let (second, _) = timers.pop(at(20)).unwrap();
        assert!(timers.rings(&mut alarm, second, at(20), timer));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn an_alarm_that_was_hastened_rings_once() {
        let (mut timers, mut alarm, timer) = (Timers::default(), Alarm::default(), Timer::Hello(LinkId(1)));
        let at = Instant::from_micros;
        timers.set(&mut alarm, at(30), timer);
        timers.hasten(&mut alarm, at(10), timer);
        timers.hasten(&mut alarm, at(20), timer);
        let mut rung = 0;
        while let Some((entry, _)) = timers.pop(at(40)) {
            rung += u32::from(timers.rings(&mut alarm, entry, at(40), timer));
        }
        assert_eq!(rung, 1);
    }
}
