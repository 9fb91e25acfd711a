//! Who waits for the next event: a few questions that are answered when something happens, or when they have waited
//! long enough.

use crate::daemon::Daemon;
use crate::error::ApiError;
use crate::schema::EventList;
use ln6_types::Instant;
use std::time::Duration;
use tokio::sync::oneshot;

/// Questions that wait at once: half of the connections there are, so that others are still answered.
const LISTENERS: usize = 16;

struct Listener {
    after: u64,
    until: Instant,
    answer: oneshot::Sender<Result<crate::api::Reply, ApiError>>,
}

/// Those who wait.
#[derive(Default)]
pub(super) struct Listeners(Vec<Listener>);

impl Listeners {
    /// Takes those that have something to hear, that have waited long enough, or that are gone.
    fn take_due(&mut self, now: Instant, last: u64) -> Vec<Listener> {
        let due = |one: &mut Listener| last != one.after || one.until <= now || one.answer.is_closed();
        self.0.extract_if(.., due).collect()
    }
}

impl Daemon {
    /// Answers with the events after a number, at once if there are some (or nobody may wait any more).
    pub(super) fn listen(
        &mut self,
        now: Instant,
        asked: crate::api::Events,
        answer: oneshot::Sender<Result<crate::api::Reply, ApiError>>,
    ) {
        let until = now + Duration::from_secs(u64::from(asked.wait));
        let listener = Listener { after: asked.after, until, answer };
        // A number from before a restart is no number to wait for.
        if self.news.last() != asked.after || asked.wait == 0 || self.listeners.0.len() >= LISTENERS {
            self.tell(listener);
        } else {
            self.listeners.0.push(listener);
        }
    }

    /// Tells those who wait what has happened.
    pub(super) fn tell_listeners(&mut self, now: Instant) {
        if self.listeners.0.is_empty() {
            return;
        }
        for listener in self.listeners.take_due(now, self.news.last()) {
            self.tell(listener);
        }
    }

    fn tell(&self, listener: Listener) {
        let (events, next) = self.news.events(listener.after);
        // Whoever asked may have gone.
        drop(listener.answer.send(Ok(crate::api::Reply::of(EventList { events, next }))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_hears_of_the_next_event_or_gets_tired() {
        let mut listeners = Listeners::default();
        let (answer, _heard) = oneshot::channel();
        listeners.0.push(Listener { after: 5, until: Instant::from_micros(9), answer });
        let (answer, gone) = oneshot::channel();
        listeners.0.push(Listener { after: 5, until: Instant::from_micros(99), answer });
        assert!(listeners.take_due(Instant::from_micros(8), 5).is_empty());
        assert_eq!(listeners.take_due(Instant::from_micros(9), 5).len(), 1, "one is tired");
        drop(gone);
        assert_eq!(listeners.take_due(Instant::from_micros(9), 5).len(), 1, "one is gone");
        let (answer, _heard) = oneshot::channel();
        listeners.0.push(Listener { after: 5, until: Instant::from_micros(99), answer });
        assert_eq!(listeners.take_due(Instant::from_micros(9), 6).len(), 1, "something has happened");
    }
}
