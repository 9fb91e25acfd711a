//! What one issuer has taken back, and what it said last.

use ln6_crypto::{Head, ItemId, Reason, Revocation, Revoked, Signed};
use ln6_types::{PublicKey, UnixTime};
use std::collections::BTreeMap;

/// One issuer's revocations, its head, and the keys it certified.
#[derive(Debug, Default)]
pub(super) struct Issuer {
    /// Keys with a certificate from this issuer, and until when at most.
    pub(super) children: BTreeMap<PublicKey, UnixTime>,
    pub(super) revocations: BTreeMap<u64, Signed<Revocation>>,
    pub(super) head: Option<Signed<Head>>,
    serials: BTreeMap<u64, Reason>,
    keys: BTreeMap<PublicKey, Reason>,
}

/// The half of a number that counts within an epoch.
const LOW: u64 = u32::MAX as u64;

/// A suspension never hides a revocation.
fn graver(old: Option<Reason>, new: Reason) -> Reason {
    match old {
        Some(old) if old != Reason::Suspended => old,
        _ => new,
    }
}

impl Issuer {
    /// Keeps a revocation; returns the one of the same number that it takes the place of.
    pub(super) fn revoke(&mut self, revocation: Signed<Revocation>) -> Option<Signed<Revocation>> {
        let left = self.revocations.insert(revocation.number, revocation.clone());
        if left.is_some() {
            self.serials.clear();
            self.keys.clear();
            let all: Vec<Revocation> =
                self.revocations.values().map(|signed| signed.value().clone()).collect();
            all.iter().for_each(|revocation| self.apply(revocation));
        } else {
            self.apply(&revocation);
        }
        left
    }

    fn apply(&mut self, revocation: &Revocation) {
        match revocation.what {
            Revoked::Serial(serial) => {
                let reason = graver(self.serials.get(&serial).copied(), revocation.reason);
                self.serials.insert(serial, reason);
            }
            Revoked::Key(key) => {
                let reason = graver(self.keys.get(&key).copied(), revocation.reason);
                self.keys.insert(key, reason);
            }
        }
    }

    /// All that it signed and that is kept, but for certificates.
    pub(super) fn items(&self) -> impl Iterator<Item = ItemId> {
        self.revocations.values().map(Signed::id).chain(self.head.iter().map(Signed::id))
    }

    pub(super) fn revoked_serial(&self, serial: u64) -> Option<Reason> {
        self.serials.get(&serial).copied()
    }

    pub(super) fn revoked_key(&self, key: &PublicKey) -> Option<Reason> {
        self.keys.get(key).copied()
    }

    /// How many revocations its head counts in its epoch (the high half of the number) that have not arrived.
    pub(super) fn gap(&self) -> u64 {
        let last = self.head.as_ref().map_or(0, |head| head.last);
        let (epoch, counted) = (last & !LOW, last & LOW);
        counted - (self.revocations.range(epoch..=last).count() as u64).min(counted)
    }

    /// How many of its keys are still within their grace, but for `key`.
    pub(super) fn others(&self, key: &PublicKey, wall: UnixTime) -> usize {
        self.children.iter().filter(|(child, until)| *child != key && **until > wall).count()
    }
}
