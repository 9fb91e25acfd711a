//! On a broker: holders who have asked for another size. Only remembered, and shown until an administrator has decided.

use crate::daemon::Daemon;
use crate::schema::{Problem, Severity};
use ln6_overlay_core::control::Control;
use ln6_overlay_core::control::message::JoinRequest;
use ln6_types::{Instant, Prefix, PublicKey, UnixTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// Most wishes kept; the oldest makes room.
const MOST: usize = 64;
/// A holder may change its mind so often.
const PAUSE: Duration = Duration::from_secs(30);
/// Holders that are remembered for as long as that pause.
const HEARD: usize = 256;
/// What was not decided in this time is forgotten; it can be asked for again.
const KEPT: Duration = Duration::from_secs(14 * 86_400);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Wish {
    name: String,
    size: u8,
    at: Instant,
}

/// The wishes, and whose message was looked at lately.
#[derive(Debug, Default)]
pub(super) struct Wishes(BTreeMap<PublicKey, Wish>, BTreeMap<PublicKey, Instant>);

impl Wishes {
    /// Whether `key`, a holder of `held`, may say something now that was not said yet.
    fn is_news(&self, now: Instant, key: &PublicKey, size: u8, held: &[Prefix]) -> bool {
        match self.0.get(key) {
            Some(known) => known.size != size && now.since(known.at) >= PAUSE,
            // Of strangers the registry thinks what it thinks; here it is only told of holders.
            None => !held.is_empty() && held.iter().all(|prefix| prefix.len() != size),
        }
    }

    /// Whether the message of `key` may be looked at, which costs a signature's check: once in a pause, true or not.
    fn has_a_turn(&mut self, now: Instant, key: PublicKey) -> bool {
        self.1.retain(|_, at| now.since(*at) < PAUSE);
        let free = self.1.len() < HEARD && !self.1.contains_key(&key);
        if free {
            self.1.insert(key, now);
        }
        free
    }

    /// Keeps the wish of a holder of `held`; what it holds already is none.
    fn keep(&mut self, now: Instant, key: PublicKey, name: String, size: u8, held: &[Prefix]) -> bool {
        if held.iter().any(|prefix| prefix.len() == size) {
            self.0.remove(&key);
            return false;
        }
        if held.is_empty() {
            return false;
        }
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            let oldest = self.0.iter().min_by_key(|(_, wish)| wish.at).map(|(key, _)| *key);
            oldest.map(|key| self.0.remove(&key));
        }
        self.0.insert(key, Wish { name, size, at: now });
        true
    }

    /// Those that are still open; what was given, taken or too long ago is forgotten.
    pub(super) fn open(&mut self, now: Instant, wall: UnixTime, control: &Control) -> Vec<Problem> {
        self.0.retain(|key, wish| {
            let held = held(control, key, wall);
            now.since(wish.at) < KEPT
                && !held.is_empty()
                && !held.iter().any(|prefix| prefix.len() == wish.size)
        });
        self.0.values().map(Wish::problem).collect()
    }
}

impl Wish {
    fn problem(&self) -> Problem {
        let Wish { name, size, .. } = self;
        Problem {
            code: "size_asked".to_owned(),
            severity: Severity::Note,
            message: format!("{name} asks for a /{size}"),
            hint: Some(format!(
                "'ln6d resize {name} {size}' gives it, or its page under Gateways; else tell them why not"
            )),
        }
    }
}

fn held(control: &Control, key: &PublicKey, wall: UnixTime) -> Vec<Prefix> {
    control.membership().live_all(key, wall).flat_map(|certificate| certificate.originate.clone()).collect()
}

impl Daemon {
    /// A renewal that says a size is a wish for it.
    pub(super) fn hear_wish(&mut self, now: Instant, wall: UnixTime, from: PublicKey, request: &JoinRequest) {
        if !(16..=128).contains(&request.size) {
            return;
        }
        let held = held(&self.control, &from, wall);
        let is_news = self.wishes.is_news(now, &from, request.size, &held);
        if !is_news || !self.wishes.has_a_turn(now, from) || !request.proves(&from) {
            return;
        }
        let name = self.control.name_of(now, &from);
        if self.wishes.keep(now, from, name.clone(), request.size, &held) {
            self.news.happened("size_asked", format!("{name} asks for a /{}", request.size), wall);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    fn key(n: usize) -> PublicKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(n as u64).to_be_bytes());
        PublicKey(key)
    }

    #[test]
    fn wishes_are_bounded_and_the_oldest_makes_room() {
        let mut wishes = Wishes::default();
        let held = ["2001:db8::/56".parse().expect("prefix")];
        for n in 0..MOST + 9 {
            assert!(wishes.keep(at(n as u64), key(n), "a".into(), 52, &held));
        }
        assert_eq!(wishes.0.len(), MOST);
        assert!(!wishes.0.contains_key(&key(8)) && wishes.0.contains_key(&key(9)));
    }

    #[test]
    fn a_holder_is_heard_again_after_a_pause_and_what_it_holds_is_no_wish() {
        let mut wishes = Wishes::default();
        let held = ["2001:db8::/56".parse().expect("prefix")];
        assert!(wishes.is_news(at(0), &key(1), 52, &held));
        assert!(wishes.keep(at(0), key(1), "a".into(), 52, &held));
        assert!(!wishes.is_news(at(999), &key(1), 52, &held), "the same again");
        assert!(!wishes.is_news(at(10), &key(1), 48, &held), "too soon");
        assert!(wishes.is_news(at(31), &key(1), 56, &held));
        assert!(!wishes.keep(at(31), key(1), "a".into(), 56, &held), "it has changed its mind");
        assert!(wishes.0.is_empty());
        assert!(!wishes.keep(at(40), key(2), "b".into(), 52, &[]), "who holds nothing joins");
    }

    #[test]
    fn what_is_no_news_costs_no_check_of_a_signature_and_false_news_one_in_a_pause() {
        let mut wishes = Wishes::default();
        let held = ["2001:db8::/56".parse().expect("prefix")];
        assert!(!wishes.is_news(at(0), &key(1), 56, &held), "it holds that");
        assert!(!wishes.is_news(at(0), &key(2), 52, &[]), "a stranger");
        assert!(wishes.is_news(at(0), &key(1), 52, &held));
        let looked_at = (0..60).filter(|second| wishes.has_a_turn(at(*second), key(1))).count();
        assert_eq!(looked_at, 2);
        assert!((10..HEARD + 99).filter(|n| wishes.has_a_turn(at(60), key(*n))).count() <= HEARD);
        assert!(wishes.has_a_turn(at(91), key(1)), "there is room again");
    }
}
