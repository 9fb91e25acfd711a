//! Sessions and the patience for wrong passwords. Both live in memory alone: a restart of the page ends every session,
//! and nothing that could be stolen from a disk opens one.

use crate::secret;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Ends after so long without a request.
pub(crate) const IDLE: Duration = Duration::from_secs(2 * 3600);
/// Ends after so long, whatever happens.
pub(crate) const ABSOLUTE: Duration = Duration::from_secs(12 * 3600);
/// Most sessions; the oldest ends when one more begins.
const MOST: usize = 512;

/// Who is logged in.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Name.
    pub(crate) name: String,
    /// Of the account when the session began: see [`crate::accounts::Person::epoch`].
    pub(crate) epoch: u64,
    began: Instant,
    used: Instant,
}

/// All sessions, by the digest of their secret.
#[derive(Default)]
pub(crate) struct Sessions {
    open: HashMap<String, Session>,
}

impl Sessions {
    /// Begins one with a new secret, which is returned for the cookie: what came before login opens nothing after it.
    pub(crate) fn begin(&mut self, name: &str, epoch: u64, now: Instant) -> String {
        self.open.retain(|_, session| !session.is_over(now));
        if self.open.len() >= MOST
            && let Some(oldest) =
                self.open.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| key.clone())
        {
            self.open.remove(&oldest);
        }
        let secret = secret::random_text();
        let session = Session { name: name.to_owned(), epoch, began: now, used: now };
        self.open.insert(secret::kept(&secret), session);
        secret
    }

    /// The session that a cookie opens. It counts as used if `by_hand`: what a page does by itself keeps nobody in.
    pub(crate) fn find(&mut self, cookie: &str, by_hand: bool, now: Instant) -> Option<Session> {
        let key = secret::kept(cookie);
        let session = self.open.get_mut(&key)?;
        if session.is_over(now) {
            self.open.remove(&key);
            return None;
        }
        if by_hand {
            session.used = now;
        }
        Some(session.clone())
    }

    /// Ends one.
    pub(crate) fn end(&mut self, cookie: &str) {
        self.open.remove(&secret::kept(cookie));
    }

    /// Ends all of somebody.
    pub(crate) fn end_all(&mut self, name: &str) {
        self.open.retain(|_, session| session.name != name);
    }
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= IDLE
            || now.saturating_duration_since(self.began) >= ABSOLUTE
    }
}

/// Wrong attempts that cost nothing.
const FREE: u32 = 5;
/// Longest wait of a source.
const SOURCE_WAIT: Duration = Duration::from_secs(300);
/// Longest wait of an account. Short: whoever knows a name must not keep its owner out.
const ACCOUNT_WAIT: Duration = Duration::from_secs(4);
/// After so long, attempts are forgotten.
const MEMORY: Duration = Duration::from_secs(3600);
/// Most sources and accounts remembered.
const REMEMBERED: usize = 4096;

/// Who is asking to be let in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Source {
    /// A browser that has logged in to this account before: waits for its own mistakes alone.
    Known([u8; 8]),
    /// An IPv4 address or an IPv6 /64. Everything from this machine is one source: `ssh -L` ends here.
    Address(IpAddr),
}

impl Source {
    /// By address.
    pub(crate) fn of(address: IpAddr) -> Source {
        Source::Address(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[derive(Clone, Copy)]
struct Tally {
    wrong: u32,
    last: Instant,
}

/// Growing waits after wrong passwords, never a lock: the machine's own command line can always set a password, and a
/// browser that was let in before is not slowed down by strangers.
#[derive(Default)]
pub(crate) struct Patience {
    sources: HashMap<Source, Tally>,
    accounts: HashMap<String, Tally>,
}

impl Patience {
    /// How long `source` has to wait before it may try `account`; `None` if it may try now.
    pub(crate) fn wait(&self, source: Source, account: &str, now: Instant) -> Option<Duration> {
        let of_source = self.sources.get(&source).and_then(|tally| tally.wait(SOURCE_WAIT, now));
        let of_account = match source {
            Source::Known(_) => None,
            Source::Address(_) => self.accounts.get(account).and_then(|tally| tally.wait(ACCOUNT_WAIT, now)),
        };
        of_source.max(of_account)
    }

    /// A wrong attempt.
    pub(crate) fn wrong(&mut self, source: Source, account: &str, now: Instant) {
        count(&mut self.sources, source, now);
        if matches!(source, Source::Address(_)) {
            count(&mut self.accounts, account.to_owned(), now);
        }
    }

    /// A right one.
    pub(crate) fn right(&mut self, source: Source) {
        self.sources.remove(&source);
    }
}

impl Tally {
    fn wait(&self, most: Duration, now: Instant) -> Option<Duration> {
        let over = self.wrong.checked_sub(FREE)?;
        let wait = Duration::from_secs(1).saturating_mul(1 << over.min(10)).min(most);
        wait.checked_sub(now.saturating_duration_since(self.last)).filter(|left| !left.is_zero())
    }
}

fn count<K: Eq + Hash + Clone>(tallies: &mut HashMap<K, Tally>, key: K, now: Instant) {
    tallies.retain(|_, tally| now.saturating_duration_since(tally.last) < MEMORY);
    if tallies.len() >= REMEMBERED
        && !tallies.contains_key(&key)
        && let Some(oldest) = tallies.iter().min_by_key(|(_, tally)| tally.last).map(|(key, _)| key.clone())
    {
        tallies.remove(&oldest);
    }
    let tally = tallies.entry(key).or_insert(Tally { wrong: 0, last: now });
    tally.wrong = tally.wrong.saturating_add(1);
    tally.last = now;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_idleness_and_by_age() {
        let start = Instant::now();
        let mut sessions = Sessions::default();
        let idle = sessions.begin("ana", 0, start);
        let busy = sessions.begin("ana", 0, start);
        for hour in 1..12 {
            assert!(sessions.find(&busy, true, start + Duration::from_secs(hour * 3600)).is_some());
        }
        assert!(sessions.find(&idle, true, start + IDLE).is_none());
        assert!(sessions.find(&busy, true, start + ABSOLUTE).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_the_oldest_goes() {
        let start = Instant::now();
        let mut sessions = Sessions::default();
        let first = sessions.begin("ana", 0, start);
        for second in 1..=MOST as u64 {
            sessions.begin("ana", 0, start + Duration::from_millis(second));
        }
        assert_eq!(sessions.open.len(), MOST);
        assert!(sessions.find(&first, true, start).is_none());
    }

    #[test]
    fn strangers_cannot_keep_the_owner_out() {
        let now = Instant::now();
        let mut patience = Patience::default();
        for number in 0..200 {
            patience.wrong(Source::of(IpAddr::from([203, 0, 113, number])), "ana", now);
        }
        assert_eq!(patience.wait(Source::Known([1; 8]), "ana", now), None, "a known browser does not wait");
        let fresh = Source::of(IpAddr::from([198, 51, 100, 1]));
        assert!(patience.wait(fresh, "ana", now).expect("waits") <= ACCOUNT_WAIT, "a new one waits seconds");
        assert_eq!(patience.wait(fresh, "ana", now + ACCOUNT_WAIT), None);
    }

    #[test]
    fn one_source_waits_longer_each_time() {
        let now = Instant::now();
        let mut patience = Patience::default();
        let source = Source::of("2001:db8::1".parse().expect("address"));
        for _ in 0..FREE {
            assert_eq!(patience.wait(source, "luz", now), None);
            patience.wrong(source, "ana", now);
        }
        let neighbour = Source::of("2001:db8::2".parse().expect("address"));
        assert_eq!(
            patience.wait(neighbour, "luz", now),
            Some(Duration::from_secs(1)),
            "one /64 is one source"
        );
        for _ in 0..100 {
            patience.wrong(source, "ana", now);
        }
        assert_eq!(patience.wait(source, "luz", now), Some(SOURCE_WAIT));
        patience.right(source);
        assert_eq!(patience.wait(source, "luz", now), None);
    }
}
