//! Who belongs to the network and what each may do, as far as this node has heard (DESIGN 6).
//!
//! Items are offered in any order and from anyone; each is believed for its signature and its chain alone. What is kept
//! depends on the set of items offered, not on their order (short of the caps), so that gossip converges.

mod grants;
mod held;
mod issuer;
mod judge;
mod keep;
mod origins;
mod store;

pub use held::Missing;
pub use judge::{CertificateStatus, OriginRefusal};
pub use keep::SignedBy;
pub use store::Store;

use crate::PeerIdx;
use crate::control::message::{Item, ItemKind};
use core::time::Duration;
use grants::Grants;
use held::Held;
use issuer::Issuer;
use judge::MAX_DEPTH;
use ln6_crypto::{
    Certificate, ChainError, Head, ItemError, ItemId, NodeRecord, Revocation, Revoked, Signed, Statement,
    Unverified, fingerprint,
};
use ln6_types::gathered;
use ln6_types::{Fingerprint, NetworkUla, Prefix, PublicKey, RouterId, UnixTime, VerifyKey};
use origins::Origins;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use thiserror::Error;

/// The most certificates kept.
const MAX_CERTIFICATES: usize = 20_000;
/// The most revocations kept of one issuer.
const MAX_REVOCATIONS: usize = 10_000;
/// The most issuers from which one key may have certificates.
const MAX_ISSUERS: usize = 4;
/// How long a certificate is remembered after its grace.
const MEMORY: Duration = Duration::from_secs(30 * 86_400);

/// What became of an offered item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is new and now kept.
    New {
        /// Items that had waited for it and are now kept as well.
        released: Vec<ItemId>,
    },
    /// It was known.
    Known,
    /// It cannot be judged before something else has arrived: ask its sender for that.
    Held {
        /// What.
        missing: Missing,
    },
}

/// Why an offered item is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RefusedItem {
    /// It is no such item.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// It belongs to another network.
    #[error("it belongs to another network")]
    Network,
    /// Its issuer could not give what it gives.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The chain is longer than four certificates.
    #[error("the chain is too long")]
    TooDeep,
    /// Something newer is known.
    #[error("a newer one is known")]
    Superseded,
    /// It ended long ago.
    #[error("it ended long ago")]
    Stale,
    /// Its issuer has as many children as it may have.
    #[error("its issuer has no more children to give")]
    ChildrenFull,
    /// Its issuer has revoked more than it can ever have signed.
    #[error("its issuer has too many revocations")]
    RevocationsFull,
    /// Its Ed25519 key belongs to another node.
    #[error("its signing key belongs to another node")]
    SignKeyTaken,
    /// Its router-id belongs to another key.
    #[error("its router-id belongs to another key")]
    RouterIdTaken,
    /// It would give addresses that are derived from keys.
    #[error("node addresses are derived, not delegated")]
    NodeSpace,
    /// Four issuers at most may certify one key.
    #[error("too many issuers for one key")]
    TooManyIssuers,
    /// There is no room for it, or for holding it.
    #[error("no room")]
    Full,
}

impl RefusedItem {
    /// A stable word for counters and logs.
    pub const fn code(&self) -> &'static str {
        match self {
            RefusedItem::Item(error) => error.code(),
            RefusedItem::Network => "other-network",
            RefusedItem::Chain(error) => error.code(),
            RefusedItem::TooDeep => "too-deep",
            RefusedItem::Superseded => "superseded",
            RefusedItem::Stale => "stale",
            RefusedItem::ChildrenFull => "children-full",
            RefusedItem::RevocationsFull => "revocations-full",
            RefusedItem::SignKeyTaken => "sign-key-taken",
            RefusedItem::RouterIdTaken => "router-id-taken",
            RefusedItem::NodeSpace => "node-space",
            RefusedItem::TooManyIssuers => "too-many-issuers",
            RefusedItem::Full => "full",
        }
    }
}

/// All that is known of a network's members.
#[derive(Debug)]
pub struct Membership {
    network: Fingerprint,
    /// The key of that fingerprint, once it was seen.
    root: OnceLock<VerifyKey>,
    ula: NetworkUla,
    /// The /64 in which node addresses are derived.
    node_space: Prefix,
    grants: BTreeMap<PublicKey, BTreeMap<VerifyKey, Grants>>,
    certificates: usize,
    by_router: BTreeMap<RouterId, PublicKey>,
    /// Whose Ed25519 key it is, and how far from the root.
    by_sign: BTreeMap<VerifyKey, (PublicKey, u8)>,
    issuers: BTreeMap<VerifyKey, Issuer>,
    records: BTreeMap<(PublicKey, VerifyKey), Signed<NodeRecord>>,
    origins: Origins,
    changes: BTreeSet<(UnixTime, ItemId)>,
    store: Store,
    held: Held,
    generation: u64,
}

impl Membership {
    /// An empty network.
    pub fn new(network: Fingerprint, ula: NetworkUla) -> Self {
        Membership {
            network,
            root: OnceLock::new(),
            ula,
            node_space: Prefix::new(ula.prefix().network(), 64),
            grants: BTreeMap::new(),
            certificates: 0,
            by_router: BTreeMap::new(),
            by_sign: BTreeMap::new(),
            issuers: BTreeMap::new(),
            records: BTreeMap::new(),
            origins: Origins::default(),
            changes: BTreeSet::new(),
            store: Store::default(),
            held: Held::default(),
            generation: 0,
        }
    }

    /// Offers an item of any kind that came `from` a peer ([`PeerIdx::SELF`]: from this node).
    pub fn offer(&mut self, item: &Item, from: PeerIdx, wall: UnixTime) -> Result<Accepted, RefusedItem> {
        match item.kind {
            ItemKind::Certificate => self.offer_certificate(&item.bytes, from, wall),
            ItemKind::Revocation => self.offer_revocation(&item.bytes, from, wall),
            ItemKind::Head => self.offer_head(&item.bytes, from, wall),
            ItemKind::Record => self.offer_record(&item.bytes, from, wall),
        }
    }

    /// Offers a certificate.
    pub fn offer_certificate(
        &mut self,
        bytes: &[u8],
        from: PeerIdx,
        wall: UnixTime,
    ) -> Result<Accepted, RefusedItem> {
        if let Some(known) = self.known(bytes) {
            return Ok(known);
        }
        let certificate = self.open::<Certificate>(bytes)?.verify_named()?;
        if certificate.grace_until + MEMORY <= wall {
            return Err(RefusedItem::Stale);
        }
        let Some(depth) = self.depth_below(&certificate)? else {
            let missing = Missing::Issuer(certificate.issuer);
            return self.hold(ItemKind::Certificate, bytes, missing, from, wall);
        };
        self.check_room(&certificate, depth, wall)?;
        let (key, sign) = (certificate.key, certificate.sign);
        self.insert_certificate(certificate, depth);
        self.generation += 1;
        Ok(self.released(&[Missing::Issuer(sign), Missing::Holder(key)], wall))
    }

    /// Offers a revocation.
    pub fn offer_revocation(
        &mut self,
        bytes: &[u8],
        from: PeerIdx,
        wall: UnixTime,
    ) -> Result<Accepted, RefusedItem> {
        if let Some(known) = self.known(bytes) {
            return Ok(known);
        }
        let revocation = self.open::<Revocation>(bytes)?.verify_named()?;
        let Some(cap) = self.revocation_cap(&revocation.issuer) else {
            let missing = Missing::Issuer(revocation.issuer);
            return self.hold(ItemKind::Revocation, bytes, missing, from, wall);
        };
        let issuer = self.issuers.entry(revocation.issuer).or_default();
        match issuer.revocations.get(&revocation.number) {
            Some(same) if same.id() < revocation.id() => return Err(RefusedItem::Superseded),
            None if issuer.revocations.len() >= cap => return Err(RefusedItem::RevocationsFull),
            _ => {}
        }
        let (id, left) = (revocation.id(), issuer.revoke(revocation));
        if let Some(left) = left {
            self.store.remove(left.id());
        }
        self.keep(id, ItemKind::Revocation, bytes);
        Ok(Accepted::New { released: Vec::new() })
    }

    /// Offers a head; [`gaps`](Self::gaps) then tells what it showed to be missing.
    pub fn offer_head(
        &mut self,
        bytes: &[u8],
        from: PeerIdx,
        wall: UnixTime,
    ) -> Result<Accepted, RefusedItem> {
        if let Some(known) = self.known(bytes) {
            return Ok(known);
        }
        let head = self.open::<Head>(bytes)?.verify_named()?;
        if !self.is_issuer(&head.issuer) {
            let missing = Missing::Issuer(head.issuer);
            return self.hold(ItemKind::Head, bytes, missing, from, wall);
        }
        let issuer = self.issuers.entry(head.issuer).or_default();
        if let Some(old) = &issuer.head {
            // Of one second, the one that counts more is the later one.
            let order = |head: &Head| (head.at, head.last, head.certificates);
            if (order(&head), old.id()) < (order(old), head.id()) {
                return Err(RefusedItem::Superseded);
            }
            self.store.remove(old.id());
        }
        let id = head.id();
        issuer.head = Some(head);
        self.keep(id, ItemKind::Head, bytes);
        Ok(Accepted::New { released: Vec::new() })
    }

    /// Offers a node's record, which must be signed with the key that a certificate binds to the node's.
    pub fn offer_record(
        &mut self,
        bytes: &[u8],
        from: PeerIdx,
        wall: UnixTime,
    ) -> Result<Accepted, RefusedItem> {
        if let Some(known) = self.known(bytes) {
            return Ok(known);
        }
        let record = self.open::<NodeRecord>(bytes)?;
        if record.value().expires <= wall {
            return Err(RefusedItem::Stale);
        }
        let key = record.value().key;
        let signs = self.sign_keys(&key);
        if signs.is_empty() {
            return self.hold(ItemKind::Record, bytes, Missing::Holder(key), from, wall);
        }
        let verified = signs.iter().find_map(|sign| Some((*sign, record.clone().verify(sign).ok()?)));
        let (sign, record) = verified.ok_or(ItemError::Signature)?;
        if let Some(old) = self.records.get(&(key, sign)) {
            if (record.counter, old.id()) < (old.counter, record.id()) {
                return Err(RefusedItem::Superseded);
            }
            self.store.remove(old.id());
            self.changes.remove(&(old.expires, old.id()));
        }
        let id = record.id();
        self.changes.insert((record.expires, id));
        self.records.insert((key, sign), record);
        self.keep(id, ItemKind::Record, bytes);
        Ok(Accepted::New { released: Vec::new() })
    }

    /// Counts effective changes: whoever built a table from this rebuilds it when the number differs, or when
    /// [`next_change`](Self::next_change) has come.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The next instant after `wall` at which anything begins, becomes overdue or ends by itself.
    pub fn next_change(&self, wall: UnixTime) -> Option<UnixTime> {
        let after = wall + Duration::from_secs(1);
        self.changes.range((after, ItemId([0; 32]))..).next().map(|(at, _)| *at).filter(|at| *at > wall)
    }

    /// The key behind a router-id.
    pub fn by_router(&self, router: RouterId) -> Option<PublicKey> {
        self.by_router.get(&router).copied()
    }

    /// The name of a key, by its live certificate.
    pub fn name(&self, key: &PublicKey, wall: UnixTime) -> Option<&str> {
        self.live(key, wall).map(|certificate| &*certificate.name)
    }

    /// What a node says of itself now: signed with the key of its live certificate if there is such a record.
    pub fn record(&self, key: &PublicKey, wall: UnixTime) -> Option<&NodeRecord> {
        let sign = self.live(key, wall)?.sign;
        let fresh = |record: &&Signed<NodeRecord>| record.expires > wall;
        let exact = self.records.get(&(*key, sign)).filter(fresh);
        let any = || self.live_all(key, wall).find_map(|c| self.records.get(&(*key, c.sign)).filter(fresh));
        exact.or_else(any).map(Signed::value)
    }

    /// All heads.
    pub fn heads(&self) -> impl Iterator<Item = &Head> {
        self.issuers.values().filter_map(|issuer| issuer.head.as_ref()).map(Signed::value)
    }

    /// The latest time that the root, or a broker it signed for and did not revoke, has put its name to.
    pub fn signed_time(&self) -> Option<UnixTime> {
        self.signed_times().into_iter().map(|(_, at)| at).max()
    }

    /// The same of each of them: whose word (`None`: the root's), and the time.
    pub fn signed_times(&self) -> Vec<(Option<PublicKey>, UnixTime)> {
        let who = |head: &Head| {
            if self.is_root(&head.issuer) {
                return Some(None);
            }
            self.is_broker(&head.issuer).then(|| self.by_sign.get(&head.issuer).map(|(key, _)| *key))
        };
        self.heads().filter_map(|head| Some((who(head)?, head.at))).collect()
    }

    /// The revocations that name `key` or a certificate of it, or the same of those that signed for it.
    pub fn revocations_of(&self, key: &PublicKey) -> Vec<Item> {
        let mut keys = vec![*key];
        // As many steps as a chain has.
        for step in 0..usize::from(MAX_DEPTH) {
            let Some(below) = keys.get(step) else { break };
            let issuers = self.grants.get(below).into_iter().flat_map(BTreeMap::keys);
            let above: Vec<PublicKey> =
                issuers.filter_map(|sign| self.by_sign.get(sign)).map(|(key, _)| *key).collect();
            for key in above {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        let names = |issuer: &VerifyKey, what: Revoked| match what {
            Revoked::Key(named) => keys.contains(&named),
            Revoked::Serial(serial) => keys.iter().any(|key| {
                let grants = self.grants.get(key).and_then(|by_issuer| by_issuer.get(issuer));
                grants.is_some_and(|grants| grants.has_serial(serial))
            }),
        };
        self.issuers
            .iter()
            .flat_map(|(issuer, known)| {
                known.revocations.values().map(move |revocation| (issuer, revocation))
            })
            .filter(|(issuer, revocation)| names(issuer, revocation.what))
            .map(|(_, revocation)| Item { kind: ItemKind::Revocation, bytes: revocation.bytes().clone() })
            .collect()
    }

    /// Issuers of whose revocations some have not arrived, and how many.
    pub fn gaps(&self) -> impl Iterator<Item = (VerifyKey, u64)> {
        self.issuers.iter().map(|(key, issuer)| (*key, issuer.gap())).filter(|(_, gap)| *gap > 0)
    }

    /// All items kept, as gossip sees them.
    pub fn items(&self) -> &Store {
        &self.store
    }

    /// Whether an item is kept or held.
    pub fn has(&self, id: ItemId) -> bool {
        self.store.get(id).is_some() || self.held.missing(id).is_some()
    }

    /// Whether an item with this short id is kept or held.
    pub fn has_short(&self, short: u64) -> bool {
        self.store.get_short(short).is_some() || self.held.has_short(short)
    }

    /// How many items wait for others.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// All items, each after those it hangs on: what has to be stored.
    pub fn export(&self) -> Vec<Item> {
        let mut certificates: Vec<(u8, &Signed<Certificate>)> = Vec::new();
        for grants in self.grants.values().flat_map(BTreeMap::values) {
            certificates.extend(grants.all().map(|certificate| (grants.depth, certificate)));
        }
        certificates.sort_unstable_by_key(|(depth, certificate)| (*depth, certificate.id()));
        let item = |kind, bytes: &std::sync::Arc<[u8]>| Item { kind, bytes: bytes.clone() };
        let mut out: Vec<Item> = certificates
            .into_iter()
            .map(|(_, certificate)| item(ItemKind::Certificate, certificate.bytes()))
            .collect();
        for issuer in self.issuers.values() {
            out.extend(issuer.revocations.values().map(|signed| item(ItemKind::Revocation, signed.bytes())));
            out.extend(issuer.head.iter().map(|signed| item(ItemKind::Head, signed.bytes())));
        }
        out.extend(self.records.values().map(|signed| item(ItemKind::Record, signed.bytes())));
        out
    }

    /// Offers all of `items`, as [`export`](Self::export) gave them; returns how many are not kept.
    pub fn import<'i>(&mut self, items: impl IntoIterator<Item = &'i Item>, wall: UnixTime) -> usize {
        let kept = |accepted: Result<Accepted, RefusedItem>| {
            matches!(accepted, Ok(Accepted::New { .. } | Accepted::Known))
        };
        items.into_iter().filter(|item| !kept(self.offer(item, PeerIdx::SELF, wall))).count()
    }

    fn known(&self, bytes: &[u8]) -> Option<Accepted> {
        let id = ItemId::of(bytes);
        if self.store.get(id).is_some() {
            return Some(Accepted::Known);
        }
        self.held.missing(id).map(|missing| Accepted::Held { missing })
    }

    fn open<T: Statement>(&self, bytes: &[u8]) -> Result<Unverified<T>, RefusedItem> {
        let statement = Signed::<T>::decode(bytes)?;
        if statement.value().network() == self.network { Ok(statement) } else { Err(RefusedItem::Network) }
    }

    /// Asked on each step of each chain: the key is looked for among hashes only until it was seen.
    fn is_root(&self, key: &VerifyKey) -> bool {
        match self.root.get() {
            Some(root) => root == key,
            None if fingerprint(key) == self.network => *self.root.get_or_init(|| *key) == *key,
            None => false,
        }
    }

    /// Whether the root made the owner of this key a broker and did not take it back. Not asked: whether the certificate is in
    /// force at this time, since the answer tells the time.
    fn is_broker(&self, sign: &VerifyKey) -> bool {
        let key = self.by_sign.get(sign).map(|(key, _)| key);
        let grants = key.and_then(|key| self.grants.get(key)).into_iter().flat_map(BTreeMap::values);
        let mut near = grants.filter(|grants| grants.depth == 1).flat_map(Grants::all);
        near.any(|c| c.sign == *sign && c.roles.broker && !self.is_taken_back(c))
    }

    fn is_issuer(&self, key: &VerifyKey) -> bool {
        self.by_sign.contains_key(key) || self.is_root(key)
    }

    fn hold(
        &mut self,
        kind: ItemKind,
        bytes: &[u8],
        missing: Missing,
        from: PeerIdx,
        wall: UnixTime,
    ) -> Result<Accepted, RefusedItem> {
        let item = Item { kind, bytes: bytes.into() };
        let taken = self.held.insert(item.id(), item, missing, from, wall);
        if taken { Ok(Accepted::Held { missing }) } else { Err(RefusedItem::Full) }
    }

    fn keep(&mut self, id: ItemId, kind: ItemKind, bytes: &[u8]) {
        self.store.insert(id, Item { kind, bytes: bytes.into() });
        self.generation += 1;
    }

    /// Offers again what had waited, and what waits for that, and so on.
    fn released(&mut self, arrived: &[Missing], wall: UnixTime) -> Accepted {
        let mut released = Vec::new();
        for (from, item) in self.held.release(arrived) {
            if let Ok(Accepted::New { released: more }) = self.offer(&item, from, wall) {
                released.push(item.id());
                released.extend(more);
            }
        }
        Accepted::New { released }
    }

    /// The Ed25519 keys that certificates of `key` name, in force or not.
    pub fn sign_keys(&self, key: &PublicKey) -> BTreeSet<VerifyKey> {
        let grants = self.grants.get(key).into_iter().flat_map(BTreeMap::values);
        gathered(grants.flat_map(Grants::all).map(|certificate| certificate.sign))
    }

    /// How far below the root `child` is; `None` while no certificate of its issuer is known.
    fn depth_below(&self, child: &Certificate) -> Result<Option<u8>, RefusedItem> {
        if self.is_root(&child.issuer) {
            child.check_issued_by_root()?;
            return Ok(Some(1));
        }
        let Some((key, _)) = self.by_sign.get(&child.issuer) else { return Ok(None) };
        let mut outcome = Err(RefusedItem::Chain(ChainError::Issuer));
        for grants in self.grants.get(key).into_iter().flat_map(BTreeMap::values) {
            for parent in grants.all().filter(|parent| parent.sign == child.issuer) {
                match child.check_issued(parent) {
                    Ok(()) if grants.depth >= MAX_DEPTH => outcome = outcome.or(Err(RefusedItem::TooDeep)),
                    Ok(()) => outcome = Ok(outcome.unwrap_or(MAX_DEPTH).min(grants.depth + 1)),
                    Err(error) => outcome = outcome.or(Err(error.into())),
                }
            }
        }
        outcome.map(Some)
    }

    /// Everything but the chain that can be wrong with a certificate.
    fn check_room(&self, c: &Signed<Certificate>, depth: u8, wall: UnixTime) -> Result<(), RefusedItem> {
        if c.originate.iter().any(|prefix| prefix.overlaps(self.node_space)) {
            return Err(RefusedItem::NodeSpace);
        }
        if self.by_router.get(&c.router_id).is_some_and(|key| *key != c.key) {
            return Err(RefusedItem::RouterIdTaken);
        }
        let taken = self.by_sign.get(&c.sign).is_some_and(|(key, held)| *key != c.key && *held <= depth);
        if taken || self.is_root(&c.sign) {
            return Err(RefusedItem::SignKeyTaken);
        }
        let by_issuer = self.grants.get(&c.key);
        if let Some(grants) = by_issuer.and_then(|by_issuer| by_issuer.get(&c.issuer)) {
            return if grants.takes(c.serial, c.id()) { Ok(()) } else { Err(RefusedItem::Superseded) };
        }
        let deeper = by_issuer.is_some_and(|by_issuer| by_issuer.values().any(|grants| grants.depth > depth));
        if by_issuer.is_some_and(|by_issuer| by_issuer.len() >= MAX_ISSUERS) && !deeper {
            return Err(RefusedItem::TooManyIssuers);
        }
        if self.certificates >= MAX_CERTIFICATES {
            return Err(RefusedItem::Full);
        }
        let cap = self.children_cap(&c.issuer).unwrap_or(usize::MAX);
        match self.issuers.get(&c.issuer) {
            Some(issuer) if issuer.children.len() >= cap && issuer.others(&c.key, wall) >= cap => {
                Err(RefusedItem::ChildrenFull)
            }
            _ => Ok(()),
        }
    }

    /// The most children that any certificate of this issuer allows; `None` for the root.
    fn children_cap(&self, issuer: &VerifyKey) -> Option<usize> {
        let (key, _) = self.by_sign.get(issuer)?;
        let grants = self.grants.get(key).into_iter().flat_map(BTreeMap::values).flat_map(Grants::all);
        grants
            .filter(|certificate| certificate.sign == *issuer)
            .map(|certificate| certificate.children as usize)
            .max()
    }

    /// `None` while no certificate of this issuer is known.
    fn revocation_cap(&self, issuer: &VerifyKey) -> Option<usize> {
        if self.is_root(issuer) {
            return Some(MAX_REVOCATIONS);
        }
        let children = self.by_sign.contains_key(issuer).then(|| self.children_cap(issuer).unwrap_or(0))?;
        Some(children.saturating_mul(8).saturating_add(16).min(MAX_REVOCATIONS))
    }
}

#[cfg(test)]
pub(crate) mod tests;
