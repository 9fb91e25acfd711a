//! All deadlines of control in one table.

use crate::PeerIdx;
use ln6_types::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// Why control wakes up for a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// An initiation was not answered (REKEY_TIMEOUT).
    Retry,
    /// Data was sent and nothing heard (KEEPALIVE_TIMEOUT + REKEY_TIMEOUT).
    Dead,
    /// Data was heard and nothing sent (KEEPALIVE_TIMEOUT).
    Keepalive,
    /// Persistent keepalive is due.
    Persistent,
    /// A key reaches REJECT_AFTER_TIME.
    Reject,
    /// Nothing renewed the session: erase everything (3 × REJECT_AFTER_TIME).
    Zero,
    /// Watched edges may be armed again.
    Watch,
    /// A connection that control wants is to be tried again.
    Connect,
    /// A peer message awaits its acknowledgement.
    Resend,
    /// Probes of paths are to be looked at, or repeated.
    Prove,
    /// Probes of a path's size are to be looked at, or it is time for some.
    Size,
    /// A relayed session is to be tried directly.
    Upgrade,
    /// Both ends of a session can do better than its suite.
    Suite,
}

#[derive(Default)]
pub(crate) struct Timers {
    order: BTreeSet<(Instant, PeerIdx, Reason)>,
    at: BTreeMap<(PeerIdx, Reason), Instant>,
}

impl Timers {
    /// Sets (or moves) a deadline.
    pub(crate) fn set(&mut self, peer: PeerIdx, reason: Reason, at: Instant) {
        self.clear(peer, reason);
        self.order.insert((at, peer, reason));
        self.at.insert((peer, reason), at);
    }

    /// Sets a deadline unless one is already running.
    pub(crate) fn set_if_idle(&mut self, peer: PeerIdx, reason: Reason, at: Instant) {
        if !self.at.contains_key(&(peer, reason)) {
            self.set(peer, reason, at);
        }
    }

    pub(crate) fn clear(&mut self, peer: PeerIdx, reason: Reason) {
        if let Some(at) = self.at.remove(&(peer, reason)) {
            self.order.remove(&(at, peer, reason));
        }
    }

    pub(crate) fn running(&self, peer: PeerIdx, reason: Reason) -> bool {
        self.at.contains_key(&(peer, reason))
    }

    pub(crate) fn clear_all(&mut self, peer: PeerIdx) {
        let mine: Vec<_> = self
            .at
            .range((peer, Reason::Retry)..=(peer, Reason::Suite))
            .map(|(key, at)| (*key, *at))
            .collect();
        for ((peer, reason), at) in mine {
            self.at.remove(&(peer, reason));
            self.order.remove(&(at, peer, reason));
        }
    }

    /// Takes one deadline that has passed.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(PeerIdx, Reason)> {
        let &(at, peer, reason) = self.order.first()?;
        if at > now {
            return None;
        }
        self.order.pop_first();
        self.at.remove(&(peer, reason));
        Some((peer, reason))
    }

    pub(crate) fn next(&self) -> Option<(Instant, Reason)> {
        self.order.first().map(|&(at, _, reason)| (at, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_deadline_fires_once_at_its_new_time() {
        let mut timers = Timers::default();
        let at = Instant::from_micros;
        timers.set(PeerIdx(1), Reason::Dead, at(10));
        timers.set(PeerIdx(1), Reason::Dead, at(30));
        timers.set_if_idle(PeerIdx(1), Reason::Dead, at(5));
        timers.set(PeerIdx(2), Reason::Retry, at(20));
        assert_eq!(timers.next(), Some((at(20), Reason::Retry)));
        assert_eq!(timers.pop(at(19)), None);
        assert_eq!(timers.pop(at(40)), Some((PeerIdx(2), Reason::Retry)));
        assert_eq!(timers.pop(at(40)), Some((PeerIdx(1), Reason::Dead)));
        assert_eq!(timers.pop(at(40)), None);
    }

    #[test]
    fn clearing_a_peer_leaves_the_others() {
        let mut timers = Timers::default();
        for peer in [1, 2, 3] {
            timers.set(PeerIdx(peer), Reason::Suite, Instant::from_micros(1));
            timers.set(PeerIdx(peer), Reason::Retry, Instant::from_micros(2));
        }
        timers.clear_all(PeerIdx(2));
        let mut left = Vec::new();
        while let Some((peer, _)) = timers.pop(Instant::FAR_FUTURE) {
            left.push(peer.0);
        }
        assert_eq!(left, [1, 3, 1, 3]);
    }
}
