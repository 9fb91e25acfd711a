//! What is kept comes in and goes: every index of the membership with it.

use super::grants::Grants;
use super::{MAX_ISSUERS, MEMORY, Membership};
use crate::control::message::{Item, ItemKind};
use ln6_crypto::{Certificate, Head, ItemId, Revocation, Signed};
use ln6_types::{PublicKey, UnixTime, VerifyKey};
use std::collections::BTreeMap;

/// What one issuer has signed, as far as it is kept.
#[derive(Debug, Default)]
pub struct SignedBy<'m> {
    /// Certificates: of each key the two newest.
    pub certificates: Vec<&'m Certificate>,
    /// Revocations, by number.
    pub revocations: Vec<&'m Revocation>,
    /// Its newest head.
    pub head: Option<&'m Head>,
}

impl Membership {
    /// All that is kept of what this key has signed.
    pub fn signed_by(&self, issuer: &VerifyKey) -> SignedBy<'_> {
        let Some(known) = self.issuers.get(issuer) else { return SignedBy::default() };
        let grants = known.children.keys().filter_map(|key| self.grants.get(key)?.get(issuer));
        SignedBy {
            certificates: grants.flat_map(Grants::all).map(Signed::value).collect(),
            revocations: known.revocations.values().map(Signed::value).collect(),
            head: known.head.as_ref().map(Signed::value),
        }
    }

    /// Forgets what waited too long for what it hangs on.
    pub fn purge_held(&mut self, wall: UnixTime) {
        self.held.purge(wall);
    }

    /// Forgets what ended long ago (certificates 30 days after their grace, records at once) and what waited too long.
    /// Revocations and heads are forgotten with the last certificate of their issuer: what they speak of cannot be judged any
    /// more, whoever brings it. Call it only with a clock that is believed.
    pub fn purge(&mut self, wall: UnixTime) {
        self.held.purge(wall);
        let ended: Vec<(PublicKey, VerifyKey, ItemId)> = self
            .grants
            .values()
            .flat_map(BTreeMap::values)
            .flat_map(Grants::all)
            .filter(|certificate| certificate.grace_until + MEMORY <= wall)
            .map(|certificate| (certificate.key, certificate.issuer, certificate.id()))
            .collect();
        ended.into_iter().for_each(|(key, issuer, id)| self.remove_certificate(&key, &issuer, id));
        let expired: Vec<_> =
            self.records.iter().filter(|(_, r)| r.expires <= wall).map(|(name, _)| *name).collect();
        for record in expired.iter().filter_map(|name| self.records.remove(name)) {
            self.store.remove(record.id());
            self.changes.remove(&(record.expires, record.id()));
            self.generation += 1;
        }
        self.forget_issuers();
    }

    fn forget_issuers(&mut self) {
        let gone: Vec<VerifyKey> =
            self.issuers.keys().filter(|issuer| !self.is_issuer(issuer)).copied().collect();
        for issuer in gone.iter().filter_map(|issuer| self.issuers.remove(issuer)) {
            issuer.items().for_each(|id| self.store.remove(id));
            self.generation += 1;
        }
    }

    pub(super) fn insert_certificate(&mut self, certificate: Signed<Certificate>, depth: u8) {
        let (key, issuer, id) = (certificate.key, certificate.issuer, certificate.id());
        self.displace(&certificate, depth);
        let by_issuer = self.grants.entry(key).or_default();
        let grants = by_issuer.entry(issuer).or_insert_with(|| Grants::new(depth));
        let left = grants.insert(certificate.clone());
        grants.depth = grants.depth.min(depth);
        self.by_router.insert(certificate.router_id, key);
        let owner = self.by_sign.entry(certificate.sign).or_insert((key, depth));
        *owner = (key, owner.1.min(depth));
        let until = self.issuers.entry(issuer).or_default().children.entry(key).or_default();
        *until = (*until).max(certificate.grace_until);
        for prefix in &certificate.originate {
            self.origins.insert(*prefix, (key, issuer));
        }
        self.changes.extend(turns(&certificate));
        self.store.insert(id, Item { kind: ItemKind::Certificate, bytes: certificate.bytes().clone() });
        self.certificates += 1;
        left.iter().for_each(|certificate| self.forget(certificate));
    }

    /// Makes room for a certificate nearer to the root: another node's claim to its signing key goes, and the deepest of
    /// too many issuers.
    fn displace(&mut self, certificate: &Certificate, depth: u8) {
        if let Some((other, _)) =
            self.by_sign.get(&certificate.sign).copied().filter(|(key, _)| *key != certificate.key)
        {
            let grants = self.grants.get(&other).into_iter().flat_map(BTreeMap::values).flat_map(Grants::all);
            let claims = grants.filter(|claim| claim.sign == certificate.sign);
            let claims: Vec<(VerifyKey, ItemId)> = claims.map(|claim| (claim.issuer, claim.id())).collect();
            claims.into_iter().for_each(|(issuer, id)| self.remove_certificate(&other, &issuer, id));
        }
        let Some(by_issuer) = self.grants.get(&certificate.key) else { return };
        if by_issuer.len() >= MAX_ISSUERS && !by_issuer.contains_key(&certificate.issuer) {
            let deepest = by_issuer.iter().max_by_key(|(issuer, grants)| (grants.depth, **issuer));
            let Some((issuer, grants)) = deepest.filter(|(_, grants)| grants.depth > depth) else { return };
            let (issuer, ids): (_, Vec<ItemId>) = (*issuer, grants.all().map(Signed::id).collect());
            ids.into_iter().for_each(|id| self.remove_certificate(&certificate.key, &issuer, id));
        }
    }

    fn remove_certificate(&mut self, key: &PublicKey, issuer: &VerifyKey, id: ItemId) {
        let Some(by_issuer) = self.grants.get_mut(key) else { return };
        let Some(grants) = by_issuer.get_mut(issuer) else { return };
        let Some(certificate) = grants.remove(id) else { return };
        if grants.is_empty() {
            by_issuer.remove(issuer);
            if let Some(issuer) = self.issuers.get_mut(issuer) {
                issuer.children.remove(key);
            }
        }
        self.forget(&certificate);
        self.generation += 1;
    }

    /// Takes a certificate that has left its place out of every index.
    fn forget(&mut self, certificate: &Signed<Certificate>) {
        let (key, issuer, id) = (certificate.key, certificate.issuer, certificate.id());
        for prefix in &certificate.originate {
            self.origins.remove(*prefix, (key, issuer));
        }
        for turn in turns(certificate) {
            self.changes.remove(&turn);
        }
        self.store.remove(id);
        self.certificates -= 1;
        if !self.sign_keys(&key).contains(&certificate.sign) {
            self.by_sign.remove(&certificate.sign);
            if let Some(record) = self.records.remove(&(key, certificate.sign)) {
                self.store.remove(record.id());
                self.changes.remove(&(record.expires, record.id()));
            }
        }
        if self.grants.get(&key).is_some_and(BTreeMap::is_empty) {
            self.grants.remove(&key);
            self.by_router.remove(&certificate.router_id);
        }
    }
}

/// The instants at which a certificate's standing changes by itself.
fn turns(certificate: &Signed<Certificate>) -> [(UnixTime, ItemId); 3] {
    [certificate.not_before, certificate.not_after, certificate.grace_until].map(|at| (at, certificate.id()))
}
