//! What a page or a token has asked for and only somebody at the machine may do: kept in memory for a while, until it is
//! confirmed there.

use crate::api::{ActingFor, Action};
use crate::error::{ApiError, CliError, Trouble};
use ln6_types::UnixTime;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests kept at once.
const MOST: usize = 16;
/// How long each is kept.
const SPAN: Duration = Duration::from_secs(15 * 60);
/// What codes are made of: nothing that is read wrongly.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A request that waits for `ln6d confirm`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    pub(crate) code: String,
    pub(crate) action: Action,
    pub(crate) actor: ActingFor,
    pub(crate) asked: UnixTime,
    pub(crate) until: UnixTime,
}

/// Those that wait. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<Waiting>>>);

impl Kept {
    fn lock(&self, now: UnixTime) -> MutexGuard<'_, Vec<Waiting>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not keep them for longer.
        all.retain(|one| one.asked <= now && now < one.until);
        all
    }

    /// Keeps a request; the same one of the same actor is kept once.
    ///
    /// # Errors
    /// `too_many` wait already.
    pub(crate) fn keep(
        &self,
        now: UnixTime,
        actor: &ActingFor,
        action: &Action,
        random: [u8; 8],
    ) -> Result<Waiting, ApiError> {
        let mut all = self.lock(now);
        if let Some(same) = all.iter().find(|one| one.action == *action && one.actor == *actor) {
            return Ok(same.clone());
        }
        if all.len() >= MOST {
            let message = format!("{MOST} requests wait to be confirmed already");
            return Err(CliError::refused("too_many", message, "'ln6d confirm' on the machine lists them"));
        }
        let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
        let code: String = random.iter().map(letter).collect();
        let (action, actor) = (action.clone(), actor.clone());
        let waiting = Waiting { code, action, actor, asked: now, until: now + SPAN };
        all.push(waiting.clone());
        Ok(waiting)
    }

    /// All that wait, oldest first.
    pub(crate) fn all(&self, now: UnixTime) -> Vec<Waiting> {
        self.lock(now).clone()
    }

    /// Takes the one with this code.
    ///
    /// # Errors
    /// `not_found` if there is none, or not any more.
    pub(crate) fn take(&self, now: UnixTime, code: &str) -> Result<Waiting, ApiError> {
        let mut all = self.lock(now);
        let at = all.iter().position(|one| one.code == code.trim().to_lowercase());
        let unknown = || {
            CliError::new(Trouble::NotFound, "nothing waits under this code")
                .hint("'ln6d confirm' lists what waits; each waits for 15 minutes")
        };
        at.map(|at| all.remove(at)).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PoolClose;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn close(number: u8) -> Action {
        let prefix = format!("2001:db8:{number:x}::/48").parse().expect("prefix");
        Action::PoolClose(PoolClose { prefix, reason: None, expect: None })
    }

    fn ana() -> ActingFor {
        ActingFor::Admin("ana".into())
    }

    #[test]
    fn what_is_kept_is_taken_once_by_its_code_and_forgotten_in_time() {
        let kept = Kept::default();
        let one = kept.keep(NOW, &ana(), &close(1), [0, 1, 2, 3, 4, 5, 6, 7]).expect("kept");
        assert_eq!((one.code.as_str(), one.until), ("abcdefgh", NOW + SPAN));
        let again = kept.keep(NOW, &ana(), &close(1), [9; 8]).expect("the same");
        assert_eq!(again.code, one.code, "asked twice, kept once");
        assert_eq!(kept.take(NOW, "jjjjjjjj").expect_err("unknown").code, "not_found");
        assert_eq!(kept.take(NOW, " ABCDEFGH ").expect("taken"), one);
        assert_eq!(kept.take(NOW, "abcdefgh").expect_err("gone").code, "not_found");
        kept.keep(NOW, &ana(), &close(2), [2; 8]).expect("kept");
        assert_eq!(kept.all(NOW + SPAN), []);
    }

    #[test]
    fn no_more_than_sixteen_wait() {
        let kept = Kept::default();
        for number in 0..16 {
            kept.keep(NOW, &ana(), &close(number), [number; 8]).expect("kept");
        }
        assert_eq!(kept.keep(NOW, &ana(), &close(16), [16; 8]).expect_err("full").code, "too_many");
        assert_eq!(kept.all(NOW).len(), 16);
        kept.keep(NOW + SPAN, &ana(), &close(17), [17; 8]).expect("there is room again");
    }
}
