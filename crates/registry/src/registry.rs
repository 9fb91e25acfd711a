//! The state: what all events so far add up to.

use crate::event::{Issue, Revocation, Revoked};
use crate::id::{DelegationId, HolderId, InvitationId, RequestId};
use crate::invitation::{Digest, Invitation};
use crate::order::Subject;
use crate::policy::{Policy, Pool};
use crate::pool::{Given, Taken};
use ln6_types::{Prefix, PublicKey, UnixTime, VerifyKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a key may be besides a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Roles {
    /// May originate a default route from the pools.
    pub exit: bool,
    /// May answer join requests and sign for the pools.
    pub broker: bool,
    /// Is offered to others as a relay.
    pub transit: bool,
}

/// Where a holder is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderState {
    /// Its keys have certificates.
    Active,
    /// None of its certificates count until it is resumed.
    Suspended,
    /// All its keys are revoked; that may still be undone, or a replacement may come.
    Revoked {
        /// Then quarantine begins, and nothing can be undone any more.
        until: UnixTime,
    },
    /// Its keys have left or lapsed; its prefixes are quarantined for it.
    Left,
    /// Nothing is kept for it any more; its name is free.
    Gone,
}

/// Whoever prefixes are delegated to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub id: HolderId,
    /// Its name: unique among those that are not gone.
    pub name: String,
    /// Where it is in its life.
    pub state: HolderState,
    /// What its keys may be.
    pub roles: Roles,
    /// Its keys, past ones included.
    pub keys: BTreeSet<PublicKey>,
    /// Its delegations that are not free.
    pub delegations: BTreeSet<DelegationId>,
    /// Since when it is known.
    pub since: UnixTime,
    /// The key list that let it in.
    pub listed: Option<String>,
    /// Whether its suspension is that list's, which may end it.
    pub(crate) suspended_by_list: bool,
    /// The most octets a second; kept and shown.
    pub rate: Option<u64>,
    /// Whether it was suspended when it was revoked: what an undo brings back.
    pub(crate) was_suspended: bool,
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It speaks for its holder.
    Active,
    /// It went of its own will and may come back.
    Left,
    /// Its last certificate has ended; it may come back.
    Lapsed,
    /// Its certificates are revoked; that can be undone.
    Revoked {
        /// Then it is barred.
        until: UnixTime,
    },
    /// A revocation names it: it is not trusted any more, for ever.
    Barred,
}

impl KeyState {
    /// Whether it must not get a certificate, now or ever.
    pub const fn is_revoked(self) -> bool {
        matches!(self, KeyState::Revoked { .. } | KeyState::Barred)
    }
}

/// A key and whom it speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The Ed25519 key beside it.
    pub sign: VerifyKey,
    /// Whose.
    pub holder: HolderId,
    /// The node's name.
    pub name: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// Its certificates that have not ended, oldest first.
    pub serials: Vec<u64>,
    /// For whom it spoke, from when, and to when if that has ended.
    pub spans: Vec<(HolderId, UnixTime, Option<UnixTime>)>,
    /// What it was before it was revoked: what an undo brings back.
    pub(crate) before: KeyState,
}

/// Where a delegation is in its life. It goes `active ⇄ suspended → revoked → quarantined → free`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DelegationState {
    /// In its holder's certificates.
    Active,
    /// Still in them, beside its successor.
    Retiring {
        /// Then quarantine begins.
        until: UnixTime,
    },
    /// Its holder is suspended.
    Suspended,
    /// Its holder has no key left.
    Revoked {
        /// Then quarantine begins.
        until: UnixTime,
    },
    /// Given to nobody else.
    Quarantined {
        /// Then it is free.
        until: UnixTime,
        /// Whether its holder may have it back.
        returns: bool,
    },
}

impl DelegationState {
    /// Whether it is in certificates.
    pub const fn is_live(self) -> bool {
        matches!(self, DelegationState::Active | DelegationState::Retiring { .. })
    }
}

/// The record behind certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Its number.
    pub id: DelegationId,
    /// Whose.
    pub holder: HolderId,
    /// What.
    pub prefix: Prefix,
    /// Where it is in its life.
    pub state: DelegationState,
    /// The last `grace_until` of the certificates that named (a part of) it.
    pub named_until: UnixTime,
    /// Since when.
    pub since: UnixTime,
}

/// One line of "who held this prefix when".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenure {
    /// What.
    pub prefix: Prefix,
    /// Who.
    pub holder: HolderId,
    /// By which delegation.
    pub delegation: DelegationId,
    /// From.
    pub from: UnixTime,
    /// To; `None` while it lasts.
    pub to: Option<UnixTime>,
}

/// A prefix that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// What.
    pub prefix: Prefix,
    /// Whom for.
    pub name: Option<String>,
    /// Why.
    pub note: String,
}

/// A key that waits for an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its number.
    pub id: RequestId,
    /// Who asks.
    pub key: PublicKey,
    /// Its Ed25519 key.
    pub sign: VerifyKey,
    /// The holder's name it would like (or one made for it).
    pub name: String,
    /// The length it would like.
    pub size: Option<u8>,
    /// Its mesh's network name.
    pub ssid: Option<String>,
    /// Since when it waits.
    pub since: UnixTime,
    /// How often it has changed its mind.
    #[serde(default)]
    pub changes: u8,
}

/// A denied key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// When.
    pub at: UnixTime,
    /// What it was told.
    pub reason: String,
    /// What it had asked for; comes back if the denial is undone.
    pub request: Option<Request>,
}

/// A stock WireGuard client inside a holder's delegation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Its X25519 key.
    pub key: PublicKey,
    /// The gateway it connects to.
    pub host: PublicKey,
    /// The gateway's holder.
    pub holder: HolderId,
    /// Its name.
    pub name: String,
    /// Its part of the delegation.
    pub prefix: Prefix,
}

/// Who holds which prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    pub(crate) epoch: u32,
    /// Brokers whose delegations were taken over.
    pub(crate) succeeded: BTreeSet<PublicKey>,
    pub(crate) policy: Policy,
    pub(crate) last_id: u64,
    pub(crate) last_serial: u64,
    pub(crate) pools: BTreeMap<Prefix, Pool>,
    pub(crate) reservations: BTreeMap<Prefix, Reservation>,
    pub(crate) holders: BTreeMap<HolderId, Holder>,
    pub(crate) names: BTreeMap<String, HolderId>,
    pub(crate) keys: BTreeMap<PublicKey, KeyRecord>,
    /// Which key a signing key belongs to; both live and die together.
    pub(crate) signs: BTreeMap<VerifyKey, PublicKey>,
    pub(crate) delegations: BTreeMap<DelegationId, Delegation>,
    /// The same, in order of prefix.
    pub(crate) given: Given,
    pub(crate) tenures: Vec<Tenure>,
    pub(crate) invitations: BTreeMap<InvitationId, Invitation>,
    pub(crate) digests: BTreeMap<Digest, InvitationId>,
    pub(crate) requests: BTreeMap<RequestId, Request>,
    pub(crate) asking: BTreeMap<PublicKey, RequestId>,
    pub(crate) denials: BTreeMap<PublicKey, Denial>,
    pub(crate) issues: BTreeMap<u64, Issue>,
    pub(crate) revocations: Vec<Revocation>,
    pub(crate) revoked: BTreeSet<Revoked>,
    pub(crate) leaves: BTreeMap<PublicKey, Leaf>,
    pub(crate) last_prefix: BTreeMap<PublicKey, Prefix>,
    /// How many events made it.
    pub(crate) sequence: u64,
    /// The number of the event that last changed each thing.
    pub(crate) revisions: BTreeMap<Subject, u64>,
}

impl Registry {
    /// An empty registry with the usual policy.
    pub fn new() -> Self {
        Registry::default()
    }

    /// How often this registry was restored from a backup or took over from another: the high half of its numbers.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Spans and caps.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// All pools, in order.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values()
    }

    /// The holder of this name, unless it is gone.
    pub fn holder_named(&self, name: &str) -> Option<&Holder> {
        self.names.get(name).and_then(|id| self.holders.get(id))
    }

    /// All holders that have or had this name, in the order in which they came.
    pub fn holders_ever_named(&self, name: &str) -> Vec<HolderId> {
        self.holders.values().filter(|holder| holder.name == name).map(|holder| holder.id).collect()
    }

    /// A holder, gone ones included.
    pub fn holder(&self, id: HolderId) -> Option<&Holder> {
        self.holders.get(&id)
    }

    /// What is known of a key.
    pub fn key(&self, key: &PublicKey) -> Option<&KeyRecord> {
        self.keys.get(key)
    }

    /// A delegation that is not free.
    pub fn delegation(&self, id: DelegationId) -> Option<&Delegation> {
        self.delegations.get(&id)
    }

    /// Every delegation that is not free: active, suspended, revoked, quarantined.
    pub fn delegations(&self) -> impl Iterator<Item = &Delegation> {
        self.delegations.values()
    }

    /// Every delegation that is in certificates.
    pub fn live_delegations(&self) -> impl Iterator<Item = &Delegation> {
        self.delegations.values().filter(|d| d.state.is_live())
    }

    /// A waiting request.
    pub fn request(&self, id: RequestId) -> Option<&Request> {
        self.requests.get(&id)
    }

    /// Every denial that is remembered, by key.
    pub fn denials(&self) -> impl Iterator<Item = (&PublicKey, &Denial)> {
        self.denials.iter()
    }

    /// An invitation, used and expired ones included.
    pub fn invitation(&self, id: InvitationId) -> Option<&Invitation> {
        self.invitations.get(&id)
    }

    /// The stock client with this key.
    pub fn leaf(&self, key: &PublicKey) -> Option<&Leaf> {
        self.leaves.get(key)
    }

    /// All stock clients.
    pub fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.values()
    }

    /// All revocations, by number.
    pub fn revocations(&self) -> &[Revocation] {
        &self.revocations
    }

    /// The certificate in force of a key: its newest, unless that is revoked, or the key or its holder is not active.
    pub fn certificate_of(&self, key: &PublicKey) -> Option<&Issue> {
        let record = self.keys.get(key).filter(|record| record.state == KeyState::Active)?;
        self.holders.get(&record.holder).filter(|holder| holder.state == HolderState::Active)?;
        let newest = self.issues.get(record.serials.last()?)?;
        (!self.revoked.contains(&Revoked::Serial(newest.serial))).then_some(newest)
    }

    /// The certificates in force, one for each active key.
    pub fn certificates(&self) -> impl Iterator<Item = &Issue> {
        self.keys.keys().filter_map(|key| self.certificate_of(key))
    }

    /// The highest serial ever given, 0 if none.
    pub fn last_serial(&self) -> u64 {
        self.last_serial
    }

    pub(crate) fn active_keys<'a>(&'a self, holder: &'a Holder) -> impl Iterator<Item = &'a PublicKey> {
        holder.keys.iter().filter(|key| {
            self.keys.get(*key).is_some_and(|k| k.state == KeyState::Active && k.holder == holder.id)
        })
    }

    /// The pool that `prefix` lies in.
    pub(crate) fn pool_of(&self, prefix: Prefix) -> Option<&Pool> {
        self.pools.values().find(|pool| pool.prefix.covers(prefix))
    }

    /// What nobody called `name` may be given; `growing` is left out, with what is kept of its own past.
    pub(crate) fn taken(&self, name: &str, growing: Option<DelegationId>) -> Taken<'_> {
        let holder =
            growing.and_then(|id| self.delegations.get(&id)).and_then(|d| self.holders.get(&d.holder));
        let own = holder.into_iter().flat_map(|holder| holder.delegations.iter());
        let past = |id: &DelegationId| {
            let state = self.delegations.get(id).map(|d| d.state);
            Some(*id) == growing || matches!(state, Some(DelegationState::Quarantined { .. }))
        };
        let mut taken = Taken::new(&self.given, own.copied().filter(past).collect());
        let kept = self.reservations.values().filter(|r| r.name.as_deref() != Some(name));
        kept.for_each(|reservation| taken.insert(reservation.prefix));
        taken
    }

    /// The same, and the blocks that hosts are numbered from: for subnets.
    pub(crate) fn taken_for_subnets(&self, name: &str, growing: Option<DelegationId>) -> Taken<'_> {
        let mut taken = self.taken(name, growing);
        self.pools.values().filter_map(|pool| pool.hosts).for_each(|hosts| taken.insert(hosts));
        taken
    }
}
