//! The certificates of one key from one issuer.

use ln6_crypto::{Certificate, ItemId, Signed};
use ln6_types::UnixTime;
use std::collections::BTreeMap;

/// The two highest serials of one issuer for one key. The highest that has begun is in force, even if it is revoked or
/// has ended: an older certificate never comes back. Which two are kept depends on nothing but the set of certificates,
/// so all nodes keep the same.
#[derive(Debug)]
pub(super) struct Grants {
    /// Steps from the root.
    pub(super) depth: u8,
    by_serial: BTreeMap<u64, Signed<Certificate>>,
}

impl Grants {
    const KEPT: usize = 2;

    pub(super) fn new(depth: u8) -> Self {
        Grants { depth, by_serial: BTreeMap::new() }
    }

    /// Whether [`insert`](Self::insert) would keep it.
    pub(super) fn takes(&self, serial: u64, id: ItemId) -> bool {
        match self.by_serial.get(&serial) {
            // Two certificates under one serial: the one that all nodes would choose.
            Some(same) => id <= same.id(),
            None => {
                let lowest = self.by_serial.keys().next().copied().unwrap_or(0);
                self.by_serial.len() < Self::KEPT || serial > lowest
            }
        }
    }

    /// Keeps a certificate and returns those that have left.
    pub(super) fn insert(&mut self, certificate: Signed<Certificate>) -> Vec<Signed<Certificate>> {
        let mut left: Vec<_> = self.by_serial.insert(certificate.serial, certificate).into_iter().collect();
        if self.by_serial.len() > Self::KEPT {
            left.extend(self.by_serial.pop_first().map(|(_, oldest)| oldest));
        }
        left
    }

    pub(super) fn in_force(&self, wall: UnixTime) -> Option<&Signed<Certificate>> {
        let begun = self.by_serial.values().rev().find(|certificate| certificate.not_before <= wall);
        begun.or_else(|| self.by_serial.values().next())
    }

    pub(super) fn has_serial(&self, serial: u64) -> bool {
        self.by_serial.contains_key(&serial)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Signed<Certificate>> {
        self.by_serial.values()
    }

    pub(super) fn remove(&mut self, id: ItemId) -> Option<Signed<Certificate>> {
        let serial = self.by_serial.values().find(|certificate| certificate.id() == id)?.serial;
        self.by_serial.remove(&serial)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_serial.is_empty()
    }
}
