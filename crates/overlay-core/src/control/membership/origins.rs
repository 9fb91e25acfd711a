//! Which certificates name a prefix, whether they are live or not.

use ln6_types::{Prefix, PublicKey, VerifyKey};
use std::collections::BTreeMap;

/// Key and issuer of a certificate.
type Name = (PublicKey, VerifyKey);

/// Prefixes to the certificates that name them, counted, since two serials may name the same.
#[derive(Debug, Default)]
pub(super) struct Origins {
    by_prefix: BTreeMap<Prefix, BTreeMap<Name, u32>>,
    by_length: BTreeMap<u8, u32>,
}

impl Origins {
    pub(super) fn insert(&mut self, prefix: Prefix, name: Name) {
        *self.by_prefix.entry(prefix).or_default().entry(name).or_default() += 1;
        *self.by_length.entry(prefix.len()).or_default() += 1;
    }

    pub(super) fn remove(&mut self, prefix: Prefix, name: Name) {
        if let Some(names) = self.by_prefix.get_mut(&prefix) {
            lower(names, name);
            if names.is_empty() {
                self.by_prefix.remove(&prefix);
            }
            lower(&mut self.by_length, prefix.len());
        }
    }

    /// The lengths there are, longest first.
    pub(super) fn lengths(&self) -> impl Iterator<Item = u8> {
        self.by_length.keys().rev().copied()
    }

    pub(super) fn of(&self, prefix: Prefix) -> impl Iterator<Item = Name> {
        self.by_prefix.get(&prefix).into_iter().flat_map(|names| names.keys().copied())
    }
}

fn lower<K: Ord + Copy>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
