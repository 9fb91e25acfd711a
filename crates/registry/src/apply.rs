//! Event to state. Total: an event that names what is not there changes nothing, so that replay cannot fail.

use crate::command::Actor;
use crate::event::{Event, Issue, Revocation, What};
use crate::id::{DelegationId, HolderId};
use crate::registry::{
    Delegation, DelegationState, Denial, Holder, HolderState, KeyRecord, KeyState, Registry, Request, Tenure,
};
use ln6_types::{Prefix, PublicKey, UnixTime, VerifyKey};

/// Denials remembered at once; the oldest go first.
const DENIALS: usize = 1024;

impl Registry {
    /// Takes over what has happened. The same events in the same order always give the same registry.
    pub fn apply(&mut self, event: &Event) {
        let at = event.at;
        self.sequence += 1;
        if let Some(subject) = self.moves(event) {
            self.revisions.insert(subject, self.sequence);
        }
        match &event.what {
            What::Epoch { epoch } => self.begin_epoch(*epoch),
            What::Succeeded { broker } => drop(self.succeeded.insert(*broker)),
            What::PoolSet(pool) => drop(self.pools.insert(pool.prefix, pool.clone())),
            What::PolicySet(policy) => self.policy = policy.clone(),
            What::RolesSet { holder, roles } => self.with_holder(*holder, |h| h.roles = *roles),
            What::Reserved(kept) => drop(self.reservations.insert(kept.prefix, kept.clone())),
            What::Unreserved { prefix } => drop(self.reservations.remove(prefix)),
            What::Invited(invitation) => {
                self.seen_id(invitation.id.0);
                self.digests.insert(invitation.digest, invitation.id);
                self.invitations.insert(invitation.id, invitation.clone());
            }
            What::InvitationWithdrawn { id } => {
                self.invitations.entry(*id).and_modify(|i| i.withdrawn = true);
            }
            What::InvitationUsed { id, key } => {
                self.invitations.entry(*id).and_modify(|i| i.used_by = Some(*key));
            }
            What::Requested(request) => self.requested(request),
            What::Approved { id } | What::RequestExpired { id } => {
                if let Some(request) = self.requests.remove(id) {
                    self.asking.remove(&request.key);
                }
            }
            What::Denied { id, key, reason } => {
                let request = self.requests.remove(id);
                self.asking.remove(key);
                self.denied(*key, Denial { at, reason: reason.clone(), request });
            }
            What::HolderAdded { id, name } => self.holder_added(at, *id, name),
            What::KeyAdded { holder, key, sign, name } => self.key_added(at, *holder, *key, *sign, name),
            What::KeyRevoked { key, until: None, .. } => self.key_ended(at, key, KeyState::Barred),
            What::KeyRevoked { key, until: Some(until), .. } => {
                self.key_ended(at, key, KeyState::Revoked { until: *until });
            }
            What::KeyRestored { key } => self.key_restored(at, key),
            What::Restored { holder } => self.restored(at, *holder),
            What::KeyLeft { key } => self.key_ended(at, key, KeyState::Left),
            What::KeyLapsed { key } => self.key_ended(at, key, KeyState::Lapsed),
            What::Granted { id, holder, prefix } => {
                self.delegated(at, *id, *holder, *prefix, DelegationState::Active);
                self.tenure_begins(at, *id);
            }
            What::Kept { id, holder, prefix, until } => {
                let kept = DelegationState::Quarantined { until: *until, returns: false };
                self.delegated(at, *id, *holder, *prefix, kept);
            }
            What::Resized { id, prefix } => {
                self.tenure_ends(at, *id);
                if let Some(delegation) = self.delegations.get_mut(id) {
                    self.given.remove(&(delegation.prefix, *id));
                    self.given.insert((*prefix, *id));
                    delegation.prefix = *prefix;
                }
                self.tenure_begins(at, *id);
            }
            What::Retiring { id, until } => self.now_is(*id, DelegationState::Retiring { until: *until }),
            What::Suspended { holder, .. } => {
                self.suspended(*holder);
                let by_list = matches!(event.who, Actor::KeyList(_));
                self.with_holder(*holder, |h| h.suspended_by_list = by_list);
            }
            What::Resumed { holder } => self.resumed(at, *holder),
            What::HolderRevoked { holder, until } => self.holder_revoked(at, *holder, *until),
            What::Quarantined { id, until, returns } => self.quarantined(at, *id, *until, *returns),
            What::Listed { holder, list } => {
                self.with_holder(*holder, |h| h.listed = Some(list.clone()));
            }
            What::RateSet { holder, rate } => self.with_holder(*holder, |h| h.rate = *rate),
            What::Renamed { holder, name } => self.renamed(*holder, name),
            What::ContactChanged { .. } | What::NoteChanged { .. } => {}
            What::Freed { id } => self.freed(*id),
            What::Issued(issue) => self.issued(at, issue),
            What::Revocation(revocation) => self.has_revoked(revocation),
            What::LeafAdded(leaf) => drop(self.leaves.insert(leaf.key, leaf.clone())),
            What::LeafRemoved { key } => drop(self.leaves.remove(key)),
        }
    }

    fn seen_id(&mut self, id: u64) {
        self.last_id = self.last_id.max(id);
    }

    fn with_holder(&mut self, id: HolderId, change: impl FnOnce(&mut Holder)) {
        if let Some(holder) = self.holders.get_mut(&id) {
            change(holder);
        }
    }

    fn renamed(&mut self, id: HolderId, name: &str) {
        let Some(holder) = self.holders.get_mut(&id) else { return };
        let before = std::mem::replace(&mut holder.name, name.to_owned());
        self.names.remove(&before);
        self.names.insert(name.to_owned(), id);
        for key in &holder.keys {
            if let Some(record) =
                self.keys.get_mut(key).filter(|record| record.holder == id && record.name == before)
            {
                record.name = name.to_owned();
            }
        }
    }

    fn requested(&mut self, request: &Request) {
        self.seen_id(request.id.0);
        self.asking.insert(request.key, request.id);
        self.denials.remove(&request.key);
        self.requests.insert(request.id, request.clone());
    }

    fn denied(&mut self, key: PublicKey, denial: Denial) {
        self.denials.insert(key, denial);
        if self.denials.len() > DENIALS {
            let oldest =
                self.denials.iter().min_by_key(|(key, denial)| (denial.at, **key)).map(|(key, _)| *key);
            oldest.and_then(|key| self.denials.remove(&key));
        }
    }

    fn holder_added(&mut self, at: UnixTime, id: HolderId, name: &str) {
        self.seen_id(id.0);
        self.names.insert(name.to_owned(), id);
        let holder = Holder {
            id,
            name: name.to_owned(),
            state: HolderState::Active,
            roles: Default::default(),
            keys: Default::default(),
            delegations: Default::default(),
            since: at,
            listed: None,
            suspended_by_list: false,
            rate: None,
            was_suspended: false,
        };
        self.holders.insert(id, holder);
    }

    fn key_added(&mut self, at: UnixTime, holder: HolderId, key: PublicKey, sign: VerifyKey, name: &str) {
        self.with_holder(holder, |h| _ = h.keys.insert(key));
        let fresh = KeyRecord {
            sign,
            holder,
            name: name.to_owned(),
            state: KeyState::Left,
            serials: Vec::new(),
            spans: Vec::new(),
            before: KeyState::Left,
        };
        let record = self.keys.entry(key).or_insert(fresh);
        if record.state != KeyState::Active || record.holder != holder {
            record.spans.push((holder, at, None));
        }
        record.state = KeyState::Active;
        if self.signs.get(&record.sign) == Some(&key) {
            self.signs.remove(&record.sign);
        }
        self.signs.insert(sign, key);
        (record.sign, record.holder, record.name) = (sign, holder, name.to_owned());
        self.denials.remove(&key);
        if let Some(id) = self.asking.remove(&key) {
            self.requests.remove(&id);
        }
    }

    fn key_ended(&mut self, at: UnixTime, key: &PublicKey, state: KeyState) {
        if let Some(record) = self.keys.get_mut(key) {
            if !record.state.is_revoked() {
                record.before = record.state;
            }
            record.state = state;
            if let Some((_, _, end @ None)) = record.spans.last_mut() {
                *end = Some(at);
            }
        }
    }

    fn key_restored(&mut self, at: UnixTime, key: &PublicKey) {
        let Some(record) = self.keys.get_mut(key).filter(|record| record.state.is_revoked()) else { return };
        record.state = record.before;
        if record.state == KeyState::Active {
            record.spans.push((record.holder, at, None));
        }
    }

    fn delegated(
        &mut self,
        at: UnixTime,
        id: DelegationId,
        holder: HolderId,
        prefix: Prefix,
        state: DelegationState,
    ) {
        self.seen_id(id.0);
        self.with_holder(holder, |h| _ = h.delegations.insert(id));
        self.given.insert((prefix, id));
        let named_until = UnixTime::EPOCH;
        self.delegations.insert(id, Delegation { id, holder, prefix, state, named_until, since: at });
    }

    fn now_is(&mut self, id: DelegationId, state: DelegationState) {
        if let Some(delegation) = self.delegations.get_mut(&id) {
            delegation.state = state;
        }
    }

    fn tenure_begins(&mut self, at: UnixTime, id: DelegationId) {
        if let Some(d) = self.delegations.get(&id) {
            let tenure = Tenure { prefix: d.prefix, holder: d.holder, delegation: id, from: at, to: None };
            self.tenures.push(tenure);
        }
    }

    fn tenure_ends(&mut self, at: UnixTime, id: DelegationId) {
        let open = self.tenures.iter_mut().rev().find(|t| t.delegation == id && t.to.is_none());
        if let Some(tenure) = open {
            tenure.to = Some(at);
        }
    }

    /// The delegations of a holder for which `which` holds.
    fn of_holder(&self, holder: HolderId, which: impl Fn(DelegationState) -> bool) -> Vec<DelegationId> {
        let ids = self.holders.get(&holder).map(|h| h.delegations.iter().copied());
        let state = |id: &DelegationId| self.delegations.get(id).is_some_and(|d| which(d.state));
        ids.into_iter().flatten().filter(state).collect()
    }

    fn suspended(&mut self, holder: HolderId) {
        self.with_holder(holder, |h| h.state = HolderState::Suspended);
        for id in self.of_holder(holder, |s| s == DelegationState::Active) {
            self.now_is(id, DelegationState::Suspended);
        }
    }

    fn resumed(&mut self, at: UnixTime, holder: HolderId) {
        self.with_holder(holder, |h| h.state = HolderState::Active);
        for id in self.of_holder(holder, |s| s == DelegationState::Suspended) {
            self.now_is(id, DelegationState::Active);
        }
        for id in self.of_holder(holder, DelegationState::can_return) {
            self.now_is(id, DelegationState::Active);
            self.tenure_begins(at, id);
        }
    }

    fn holder_revoked(&mut self, at: UnixTime, holder: HolderId, until: UnixTime) {
        self.with_holder(holder, |h| {
            h.was_suspended = h.state == HolderState::Suspended;
            h.state = HolderState::Revoked { until };
        });
        for id in
            self.of_holder(holder, |s| matches!(s, DelegationState::Active | DelegationState::Suspended))
        {
            self.now_is(id, DelegationState::Revoked { until });
            self.tenure_ends(at, id);
        }
    }

    fn restored(&mut self, at: UnixTime, holder: HolderId) {
        let suspended = self.holders.get(&holder).is_some_and(|h| h.was_suspended);
        let (of_holder, of_prefix) = match suspended {
            true => (HolderState::Suspended, DelegationState::Suspended),
            false => (HolderState::Active, DelegationState::Active),
        };
        self.with_holder(holder, |h| h.state = of_holder);
        for id in self.of_holder(holder, |s| matches!(s, DelegationState::Revoked { .. })) {
            self.now_is(id, of_prefix);
            self.tenure_begins(at, id);
        }
    }

    fn quarantined(&mut self, at: UnixTime, id: DelegationId, until: UnixTime, returns: bool) {
        self.now_is(id, DelegationState::Quarantined { until, returns });
        self.tenure_ends(at, id);
        let Some(holder) = self.delegations.get(&id).map(|d| d.holder) else { return };
        if self.of_holder(holder, |s| !matches!(s, DelegationState::Quarantined { .. })).is_empty() {
            self.with_holder(holder, |h| h.state = HolderState::Left);
        }
    }

    fn freed(&mut self, id: DelegationId) {
        let Some(delegation) = self.delegations.remove(&id) else { return };
        self.given.remove(&(delegation.prefix, id));
        let holder = delegation.holder;
        self.with_holder(holder, |h| _ = h.delegations.remove(&id));
        let lost = |s| matches!(s, DelegationState::Quarantined { returns: false, .. });
        if !self.of_holder(holder, |s| !lost(s)).is_empty() {
            return;
        }
        self.leaves.retain(|_, leaf| leaf.holder != holder);
        self.with_holder(holder, |h| h.state = HolderState::Gone);
        self.names.retain(|_, named| *named != holder);
    }

    fn issued(&mut self, at: UnixTime, issue: &Issue) {
        self.last_serial = self.last_serial.max(issue.serial);
        let Some(record) = self.keys.get_mut(&issue.key) else { return };
        let over = |serial: &u64| self.issues.get(serial).is_none_or(|old| old.grace_until <= at);
        let ended: Vec<u64> = record.serials.iter().copied().filter(over).collect();
        record.serials.retain(|serial| !ended.contains(serial));
        record.serials.push(issue.serial);
        let holder = record.holder;
        for serial in ended {
            self.issues.remove(&serial);
        }
        self.issues.insert(issue.serial, issue.clone());
        for id in self.of_holder(holder, |_| true) {
            let Some(d) = self.delegations.get_mut(&id) else { continue };
            // A part of what is only kept is named by the live delegation inside it, which has a date of its own.
            if issue.prefixes.iter().any(|named| named.covers(d.prefix)) {
                d.named_until = d.named_until.max(issue.grace_until);
            }
            if d.state == DelegationState::Active {
                self.last_prefix.insert(issue.key, d.prefix);
            }
        }
    }

    fn has_revoked(&mut self, revocation: &Revocation) {
        self.revoked.insert(revocation.what);
        // In order, even if one is heard of late.
        let place = self.revocations.partition_point(|known| known.number <= revocation.number);
        self.revocations.insert(place, *revocation);
    }
}

impl DelegationState {
    /// Whether its holder may have it back.
    pub(crate) fn can_return(self) -> bool {
        matches!(self, DelegationState::Revoked { .. } | DelegationState::Quarantined { returns: true, .. })
    }
}
