//! What the operator has decided beforehand: pools, sizes, spans of time, caps.

use core::time::Duration;
use ln6_types::Prefix;
use serde::{Deserialize, Serialize};

const DAY: u64 = 86_400;

/// How a stranger's key may come to a prefix of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// Only with an invitation's secret.
    Invitation,
    /// With an invitation at once; without one the key waits for an administrator.
    Queue,
    /// By a key list that names the key, or by an administrator's own act (an invitation, a prefix or a size that is
    /// chosen). Listed keys are given parts of such pools if any is open, else of any open pool; everybody else parts of
    /// other pools, if there are any.
    KeyList,
}

/// A prefix the registry may give parts of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The whole.
    pub prefix: Prefix,
    /// Length given when none is asked for.
    pub default_len: u8,
    /// Shortest length (the largest size) given without an administrator naming it.
    pub largest: u8,
    /// Longest length of a subnet given without an administrator naming it; at most 64.
    pub smallest: u8,
    /// The /64 (or the whole pool, if it is no larger) that single hosts get their /128 from.
    pub hosts: Option<Prefix>,
    /// Who is admitted.
    pub admission: Admission,
    /// A closed pool keeps its delegations and gives no new ones.
    #[serde(default)]
    pub open: bool,
}

impl Pool {
    /// A pool with the usual policy: a /48 from pools up to /40, a /56 up to /52, a /64 beyond, single hosts from a /64;
    /// hosts are numbered in its last /64.
    pub fn new(prefix: Prefix, admission: Admission) -> Self {
        let len = prefix.len();
        let default_len = match len {
            0..=40 => 48,
            41..=52 => 56,
            53..=63 => 64,
            _ => 128,
        };
        let hosts = if len >= 64 { Some(prefix) } else { prefix.part(64, (1u128 << (64 - len)) - 1) };
        Pool { prefix, default_len, largest: default_len.min(64), smallest: 64, hosts, admission, open: true }
    }

    /// Whether a stranger may ask for `len`.
    pub fn offers(&self, len: u8) -> bool {
        match len {
            128 => self.hosts.is_some(),
            _ => self.gives(len) && (self.largest..=self.smallest).contains(&len),
        }
    }

    /// Whether an administrator may give `len`: from the pool's own length to /64, and /128.
    pub fn gives(&self, len: u8) -> bool {
        match len {
            128 => self.hosts.is_some(),
            _ => (self.prefix.len()..=64).contains(&len) && self.prefix.len() < 64,
        }
    }
}

/// Spans in seconds, and caps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// A certificate's validity.
    pub validity: u64,
    /// How long after `not_after` it is still honoured, so that an unreachable broker takes nothing away.
    pub grace: u64,
    /// How far before its issue a certificate begins, for receivers whose clock is slow.
    pub skew: u64,
    /// Shortest quarantine of a prefix that was given back.
    pub quarantine: u64,
    /// How long a revoked prefix waits for `replace` before quarantine.
    pub revocation_grace: u64,
    /// How long a request waits.
    pub request_span: u64,
    /// How long a denial answers for the administrator.
    pub denial_span: u64,
    /// How long the old prefix lives on after a move.
    pub move_span: u64,
    /// Requests waiting at once.
    pub queue: u32,
    /// Requests waiting at once for one name.
    pub queue_per_name: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            validity: 180 * DAY,
            grace: 90 * DAY,
            skew: 3600,
            quarantine: 30 * DAY,
            revocation_grace: 7 * DAY,
            request_span: 30 * DAY,
            denial_span: 7 * DAY,
            move_span: 14 * DAY,
            queue: 256,
            queue_per_name: 4,
        }
    }
}

impl Policy {
    /// Whether every certificate it makes is valid for some time.
    pub fn is_sound(&self) -> bool {
        let ceiling = 100 * 365 * DAY;
        let spans = [
            self.validity,
            self.grace,
            self.skew,
            self.quarantine,
            self.revocation_grace,
            self.request_span,
            self.denial_span,
            self.move_span,
        ];
        self.validity >= 3600 && self.queue <= 65_536 && spans.iter().all(|span| *span <= ceiling)
    }

    /// A renewal before this much of the validity has passed changes nothing.
    pub fn renew_after(&self) -> Duration {
        Duration::from_secs(self.validity / 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_policy_follows_from_the_pools_length() {
        let of = |text: &str| {
            let pool = Pool::new(text.parse().expect("prefix"), Admission::Queue);
            (pool.default_len, pool.hosts.expect("hosts").to_string())
        };
        assert_eq!(of("2001:db8:4800::/40"), (48, "2001:db8:48ff:ffff::/64".into()));
        assert_eq!(of("2001:db8::/32"), (48, "2001:db8:ffff:ffff::/64".into()));
        assert_eq!(of("2001:db8::/48"), (56, "2001:db8:0:ffff::/64".into()));
        assert_eq!(of("2001:db8::/56"), (64, "2001:db8:0:ff::/64".into()));
        assert_eq!(of("2001:db8::/64"), (128, "2001:db8::/64".into()));
    }

    #[test]
    fn subnets_end_at_64_and_hosts_are_128() {
        let pool = Pool::new("2001:db8::/40".parse().expect("prefix"), Admission::Queue);
        assert!(pool.gives(40) && pool.gives(64) && pool.gives(128));
        assert!(!pool.gives(39) && !pool.gives(65) && !pool.gives(127));
        assert!(!pool.offers(47) && pool.offers(48) && pool.offers(64));
    }
}
