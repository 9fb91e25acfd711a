//! What a registry does not know of its own past, or of its predecessor's, and hears from the network's members: statements
//! that were signed and are believed out there. They are facts; the registry follows them (docs/decisions/0019).

use crate::command::Actor;
use crate::event::{Cause, Event, Issue, Revocation, Revoked, V1, What};
use crate::id::{DelegationId, HolderId};
use crate::registry::{Delegation, HolderState, KeyState, Registry};
use ln6_types::{Prefix, PublicKey, UnixTime};
use std::collections::{BTreeMap, BTreeSet};

/// A number's high half is its epoch.
const EPOCH_SHIFT: u32 = 32;

/// What members have of one issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The highest number it ever gave: of a certificate or a revocation, or counted by its head.
    pub highest: u64,
    /// Its certificates.
    pub certificates: Vec<Issue>,
    /// Its revocations.
    pub revocations: Vec<Revocation>,
}

impl Seen {
    /// Why this certificate counts no more, if so.
    fn ended(&self, issue: &Issue) -> Option<Cause> {
        let named =
            |r: &&Revocation| r.what == Revoked::Serial(issue.serial) || r.what == Revoked::Key(issue.key);
        // Who suspended and then revoked has revoked.
        self.revocations.iter().filter(named).map(|r| r.cause).max_by_key(|cause| *cause != Cause::Suspended)
    }

    /// The newest certificate of each key that has not ended by itself, oldest first.
    fn newest(&self, at: UnixTime) -> Vec<&Issue> {
        let mut newest: BTreeMap<PublicKey, &Issue> = BTreeMap::new();
        for issue in &self.certificates {
            let slot = newest.entry(issue.key).or_insert(issue);
            if slot.serial < issue.serial {
                *slot = issue;
            }
        }
        let mut list: Vec<&Issue> = newest.into_values().filter(|issue| issue.grace_until > at).collect();
        list.sort_unstable_by_key(|issue| issue.serial);
        list
    }
}

/// The epoch that a number belongs to.
pub const fn epoch_of(number: u64) -> u32 {
    (number >> EPOCH_SHIFT) as u32
}

/// What the first number of an epoch follows.
const fn start_of(epoch: u32) -> u64 {
    (epoch as u64) << EPOCH_SHIFT
}

impl Registry {
    /// The highest number of a revocation that may have been given: the next one is greater.
    pub(crate) fn last_revocation(&self) -> u64 {
        self.revocations.iter().map(|r| r.number).max().unwrap_or(0).max(start_of(self.epoch))
    }

    pub(crate) fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
        self.last_serial = self.last_serial.max(start_of(epoch));
    }

    /// Whether members know of numbers that this registry has not given: it is older than what it has signed.
    pub fn is_behind(&self, last_serial: u64, last_revocation: u64) -> bool {
        last_serial > self.last_serial || last_revocation > self.last_revocation()
    }

    /// Whether what this broker had delegated was taken over.
    pub fn has_succeeded(&self, broker: &PublicKey) -> bool {
        self.succeeded.contains(broker)
    }

    /// A registry that comes from a backup learns what it had signed since. A new epoch begins, so that no number is given
    /// twice, not even one that nobody reached has seen.
    pub fn merge(&self, at: UnixTime, who: &Actor, seen: &Seen) -> Vec<Event> {
        let mut merger = Merger::new(self, at, who);
        let epoch = epoch_of(seen.highest).max(self.epoch).saturating_add(1);
        merger.emit(What::Epoch { epoch });
        let known: BTreeSet<u64> = self.revocations.iter().map(|r| r.number).collect();
        let mut new: Vec<Revocation> =
            seen.revocations.iter().filter(|r| !known.contains(&r.number)).copied().collect();
        new.sort_unstable_by_key(|r| r.number);
        new.iter().for_each(|revocation| merger.emit(What::Revocation(*revocation)));
        for issue in seen.newest(at) {
            let newest = merger.now.keys.get(&issue.key).and_then(|record| record.serials.last().copied());
            if newest.is_some_and(|newest| newest >= issue.serial) {
                continue;
            }
            match seen.ended(issue) {
                None => {
                    let prefixes = merger.inside(&issue.prefixes);
                    let holder = merger.grant(issue, &prefixes, issue.holder.clone());
                    merger.let_go(holder, &prefixes);
                    // Under one number there is one certificate.
                    let same = prefixes == issue.prefixes;
                    let serial = if same { issue.serial } else { merger.now.last_serial.saturating_add(1) };
                    merger.emit(What::Issued(Issue { serial, prefixes, ..issue.clone() }));
                }
                Some(cause) => merger.grant_ended(issue, cause, true),
            }
        }
        // What the backup knew and was taken back since.
        let keys: Vec<PublicKey> = merger.now.keys.keys().copied().collect();
        for key in keys {
            let newest = merger.now.keys.get(&key).and_then(|record| record.serials.last().copied());
            let issue = newest.and_then(|serial| merger.now.issues.get(&serial)).cloned();
            if let Some((issue, cause)) = issue.and_then(|issue| Some((issue.clone(), seen.ended(&issue)?))) {
                merger.end(&issue, cause);
            }
        }
        merger.events
    }

    /// A successor takes over what another broker had delegated within the pools that are now its own: each holder goes on
    /// with a certificate of this registry's, from the first of a new epoch on.
    pub fn succeed(&self, at: UnixTime, who: &Actor, broker: PublicKey, seen: &Seen) -> Vec<Event> {
        if self.has_succeeded(&broker) {
            return Vec::new();
        }
        let mut merger = Merger::new(self, at, who);
        merger.emit(What::Epoch { epoch: self.epoch.saturating_add(1) });
        for issue in seen.newest(at) {
            let prefixes = merger.inside(&issue.prefixes);
            if prefixes.is_empty() {
                continue;
            }
            match seen.ended(issue) {
                None => merger.take_over(issue, &prefixes),
                Some(cause) => merger.grant_ended(issue, cause, false),
            }
        }
        merger.emit(What::Succeeded { broker });
        merger.events
    }
}

/// Events in the making, each applied at once: the next looks at what the last has made.
struct Merger<'a> {
    now: Registry,
    at: UnixTime,
    who: &'a Actor,
    events: Vec<Event>,
    /// What a predecessor's holders are called here.
    names: BTreeMap<String, String>,
}

const REASON: &str = "heard from the members";

impl<'a> Merger<'a> {
    fn new(registry: &Registry, at: UnixTime, who: &'a Actor) -> Self {
        Merger { now: registry.clone(), at, who, events: Vec::new(), names: BTreeMap::new() }
    }

    fn emit(&mut self, what: What) {
        let reason = REASON.to_owned();
        let event = Event { v: V1, at: self.at, who: self.who.clone(), reason, what };
        self.now.apply(&event);
        self.events.push(event);
    }

    /// What of these lies within a pool.
    fn inside(&self, prefixes: &[Prefix]) -> Vec<Prefix> {
        prefixes.iter().copied().filter(|prefix| self.now.pool_of(*prefix).is_some()).collect()
    }

    fn delegation(&self, id: DelegationId) -> Option<&Delegation> {
        self.now.delegations.get(&id)
    }

    fn state_of(&self, holder: HolderId) -> Option<HolderState> {
        self.now.holders.get(&holder).map(|holder| holder.state)
    }

    /// The holder of this name, or a new one.
    fn holder(&mut self, name: String) -> HolderId {
        if let Some(holder) = self.now.holder_named(&name) {
            return holder.id;
        }
        let id = HolderId(self.now.last_id.saturating_add(1));
        self.emit(What::HolderAdded { id, name });
        id
    }

    /// The key speaks for this holder, which is active.
    fn settle_key(&mut self, issue: &Issue, name: String) -> HolderId {
        let holder = self.holder(name);
        match self.state_of(holder) {
            Some(HolderState::Revoked { .. }) => {
                self.emit(What::Restored { holder });
                if self.state_of(holder) == Some(HolderState::Suspended) {
                    self.emit(What::Resumed { holder });
                }
            }
            Some(HolderState::Active) | None => {}
            Some(_) => self.emit(What::Resumed { holder }),
        }
        let as_it_is = self.now.keys.get(&issue.key).is_some_and(|record| {
            (record.state, record.holder, record.sign) == (KeyState::Active, holder, issue.sign)
        });
        if !as_it_is {
            let (key, sign, name) = (issue.key, issue.sign, issue.name.clone());
            self.emit(What::KeyAdded { holder, key, sign, name });
        }
        if self.now.holders.get(&holder).is_some_and(|h| h.roles != issue.roles) {
            self.emit(What::RolesSet { holder, roles: issue.roles });
        }
        holder
    }

    /// These prefixes are the holder's, whoever this registry thought had them.
    fn grant(&mut self, issue: &Issue, prefixes: &[Prefix], name: String) -> HolderId {
        let holder = self.settle_key(issue, name);
        for prefix in prefixes {
            let across = |d: &&Delegation| d.prefix.overlaps(*prefix);
            let across: Vec<Delegation> = self.now.delegations.values().filter(across).cloned().collect();
            let is_it = |d: &Delegation| d.holder == holder && d.prefix == *prefix && d.state.is_live();
            if !across.iter().any(is_it) {
                // First, since a holder without any delegation is gone.
                let id = DelegationId(self.now.last_id.saturating_add(1));
                self.emit(What::Granted { id, holder, prefix: *prefix });
            }
            for old in across.iter().filter(|d| !is_it(d)) {
                if old.holder == holder && old.prefix != *prefix {
                    // It has grown or shrunk: what it was is still named by older certificates.
                    if old.state.is_live() {
                        self.quarantine(old.id, UnixTime::EPOCH, false);
                    }
                    continue;
                }
                self.emit(What::Freed { id: old.id });
                if old.holder != holder {
                    self.take_back_from(old.holder, *prefix);
                }
            }
        }
        holder
    }

    /// Certificates of a holder that name a part of `prefix`, which is another's by now, count no more.
    fn take_back_from(&mut self, holder: HolderId, prefix: Prefix) {
        let keys = self.now.holders.get(&holder).map(|h| h.keys.clone()).unwrap_or_default();
        let serials = keys.iter().filter_map(|key| self.now.keys.get(key)).flat_map(|r| r.serials.clone());
        let named = |serial: &u64| {
            let issue = self.now.issues.get(serial)?;
            let across = issue.prefixes.iter().any(|named| named.overlaps(prefix));
            let done = self.now.revoked.contains(&Revoked::Serial(*serial));
            (across && !done && issue.grace_until > self.at).then_some((*serial, issue.grace_until))
        };
        let doomed: Vec<(u64, UnixTime)> = serials.filter_map(|serial| named(&serial)).collect();
        for (serial, until) in doomed {
            let (number, what) = (self.now.last_revocation().saturating_add(1), Revoked::Serial(serial));
            self.emit(What::Revocation(Revocation {
                number,
                what,
                cause: Cause::Revoked,
                at: self.at,
                until,
            }));
        }
        let holds = self.now.delegations.values().any(|d| d.holder == holder && d.state.is_live());
        if !holds {
            for key in keys {
                if self.is_active(&key, holder) {
                    self.emit(What::KeyLapsed { key });
                }
            }
        }
    }

    fn is_active(&self, key: &PublicKey, holder: HolderId) -> bool {
        self.now.keys.get(key).is_some_and(|r| r.state == KeyState::Active && r.holder == holder)
    }

    /// The holder has these prefixes and no others.
    fn let_go(&mut self, holder: HolderId, prefixes: &[Prefix]) {
        let others =
            |d: &&Delegation| d.holder == holder && d.state.is_live() && !prefixes.contains(&d.prefix);
        let gone: Vec<DelegationId> = self.now.delegations.values().filter(others).map(|d| d.id).collect();
        gone.into_iter().for_each(|id| self.quarantine(id, UnixTime::EPOCH, false));
    }

    fn quarantine(&mut self, id: DelegationId, named_until: UnixTime, returns: bool) {
        let Some(delegation) = self.delegation(id) else { return };
        let named = delegation.named_until.max(named_until) + core::time::Duration::from_secs(1);
        let until = named.max(self.at + core::time::Duration::from_secs(self.now.policy.quarantine));
        self.emit(What::Quarantined { id, until, returns });
    }

    /// What was given and taken back again, both unknown here: nobody else gets it before nobody can believe in it.
    fn grant_ended(&mut self, issue: &Issue, cause: Cause, own: bool) {
        let prefixes = self.inside(&issue.prefixes);
        let theirs = |prefix: &Prefix| {
            self.now.delegations.values().any(|d| d.prefix.overlaps(*prefix) && d.state.is_live())
        };
        // Somebody else has it by now, or the same holder by another key.
        let free: Vec<Prefix> = prefixes.into_iter().filter(|prefix| !theirs(prefix)).collect();
        let known = self.now.keys.contains_key(&issue.key);
        if !known && !free.is_empty() {
            let name = if own { issue.holder.clone() } else { self.name_for(issue) };
            self.grant(issue, &free, name);
        }
        if known || !free.is_empty() {
            if own {
                // It was signed, and is taken back: both are remembered under its number.
                self.emit(What::Issued(issue.clone()));
            }
            self.end(issue, cause);
        }
    }

    /// The key of this certificate speaks for nobody any more.
    fn end(&mut self, issue: &Issue, cause: Cause) {
        let key = issue.key;
        let Some(record) = self.now.keys.get(&key) else { return };
        let holder = record.holder;
        if record.state != KeyState::Active {
            return;
        }
        let last = self
            .now
            .holders
            .get(&holder)
            .is_none_or(|h| h.keys.iter().all(|other| *other == key || !self.is_active(other, holder)));
        let live: Vec<DelegationId> = self
            .now
            .delegations
            .values()
            .filter(|d| d.holder == holder && d.state.is_live())
            .map(|d| d.id)
            .collect();
        let grace = self.at + core::time::Duration::from_secs(self.now.policy.revocation_grace);
        match cause {
            Cause::Suspended => {
                if self.state_of(holder) == Some(HolderState::Active) {
                    self.emit(What::Suspended { holder, reason: REASON.to_owned() });
                }
            }
            Cause::Left => {
                self.emit(What::KeyLeft { key });
                for id in live.into_iter().filter(|_| last) {
                    self.quarantine(id, issue.grace_until, true);
                }
            }
            Cause::Revoked | Cause::Replaced => {
                let barred = self.now.revoked.contains(&Revoked::Key(key));
                let until = (!barred).then_some(grace);
                self.emit(What::KeyRevoked { key, reason: REASON.to_owned(), until });
                if last {
                    self.emit(What::HolderRevoked { holder, until: grace.max(issue.grace_until) });
                }
            }
        }
    }

    /// A name for a predecessor's holder: the one it has here already, its own, or a like one if somebody else has that.
    fn name_for(&mut self, issue: &Issue) -> String {
        let record = self.now.keys.get(&issue.key).filter(|record| record.state == KeyState::Active);
        if let Some(holder) = record.and_then(|record| self.now.holders.get(&record.holder)) {
            return holder.name.clone();
        }
        if let Some(name) = self.names.get(&issue.holder) {
            return name.clone();
        }
        let other = |n: u32| {
            let end = format!("-{n}");
            let base: String = issue.holder.chars().take(63 - end.len()).collect();
            format!("{}{end}", base.trim_end_matches(['-', '.']))
        };
        let same =
            |name: &String| self.now.holder_named(name).is_none_or(|holder| holder.keys.contains(&issue.key));
        let mut names = std::iter::once(issue.holder.clone()).chain((2..).map(other));
        let name = names.find(same).unwrap_or_default();
        self.names.insert(issue.holder.clone(), name.clone());
        name
    }

    /// A predecessor's delegation becomes one of this registry.
    fn take_over(&mut self, issue: &Issue, prefixes: &[Prefix]) {
        let name = self.name_for(issue);
        let holder = self.grant(issue, prefixes, name.clone());
        let live = |d: &&Delegation| d.holder == holder && d.state.is_live();
        let mut all: Vec<Prefix> = self.now.delegations.values().filter(live).map(|d| d.prefix).collect();
        all.sort_unstable();
        all.dedup_by(|later, earlier| earlier.covers(*later));
        let (serial, pools) = (self.now.last_serial.saturating_add(1), self.inside(&issue.pools));
        self.emit(What::Issued(Issue { serial, prefixes: all, pools, holder: name, ..issue.clone() }));
    }
}
