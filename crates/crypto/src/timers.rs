//! WireGuard's times and limits, and when they apply.

use core::time::Duration;

/// After so many packets under one key its initiator starts a new handshake.
pub const REKEY_AFTER_MESSAGES: u64 = 1 << 60;
/// Counters at or past this are neither sent nor accepted.
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);
/// The initiator of a session starts a new handshake when it sends under a key older than this.
pub const REKEY_AFTER_TIME: Duration = Duration::from_secs(120);
/// Keys older than this are refused, both ways.
pub const REJECT_AFTER_TIME: Duration = Duration::from_secs(180);
/// An initiator that only receives starts a new handshake at this age, once a session:
/// [`REJECT_AFTER_TIME`] less [`KEEPALIVE_TIMEOUT`] less [`REKEY_TIMEOUT`].
pub const REKEY_ON_RECEIVE: Duration = Duration::from_secs(165);
/// An unanswered initiation is repeated after this and a jitter of up to [`REKEY_JITTER`]; never sooner.
pub const REKEY_TIMEOUT: Duration = Duration::from_secs(5);
/// Upper bound of the jitter between initiations.
pub const REKEY_JITTER: Duration = Duration::from_millis(333);
/// Repeating an initiation ends after this; queued packets are dropped.
pub const REKEY_ATTEMPT_TIME: Duration = Duration::from_secs(90);
/// Who received data but sent nothing for so long sends one keepalive.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Who sent data and heard nothing for so long starts a handshake:
/// [`KEEPALIVE_TIMEOUT`] and [`REKEY_TIMEOUT`].
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);
/// Without a new session for so long all keys of a peer are erased: three times [`REJECT_AFTER_TIME`].
pub const ZERO_KEYS_AFTER: Duration = Duration::from_secs(540);
/// A cookie is used for so long after it came, and a responder's cookie secret lives so long.
pub const COOKIE_LIFETIME: Duration = Duration::from_secs(120);
/// Initiations of one peer that come closer together than this are dropped.
pub const INITIATION_INTERVAL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_times_follow_from_the_others() {
        assert_eq!(REKEY_ON_RECEIVE, REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT);
        assert_eq!(SILENCE_TIMEOUT, KEEPALIVE_TIMEOUT + REKEY_TIMEOUT);
        assert_eq!(ZERO_KEYS_AFTER, REJECT_AFTER_TIME * 3);
        assert_eq!(u128::from(REJECT_AFTER_MESSAGES), (1u128 << 64) - (1 << 13) - 1);
    }
}
