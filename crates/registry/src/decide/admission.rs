//! How a key comes in: by invitation, by the queue, by an administrator's hand; and what a known key is told.

use super::choice::Wish;
use super::rule::LONGEST_TEXT;
use super::{Draft, Identity};
use crate::command::Join;
use crate::event::{Cause, What};
use crate::id::{DelegationId, HolderId, InvitationId, RequestId};
use crate::invitation::{Purpose, Secret};
use crate::name::{derived_name, numbered, plain_text, valid_name};
use crate::policy::Admission;
use crate::refusal::Refusal;
use crate::registry::{Denial, Holder, HolderState, KeyRecord, KeyState, Registry, Request, Roles};
use core::time::Duration;
use ln6_types::{Prefix, PublicKey, VerifyKey};

/// How often a waiting key may correct its request: each costs a line of the journal.
const CHANGES: u8 = 8;
pub(super) const KEYS_PER_HOLDER: usize = 64;
/// A key may bring a new signing key once in so many seconds.
const REBIND: u64 = 60;
/// A key that has left and come back so often may do so once an hour: each time costs lines of the journal.
const RETURNS: usize = 16;
const HOUR: u64 = 3600;

/// Who is to become a holder, and of what.
pub(super) struct Candidate<'c> {
    pub(super) key: PublicKey,
    pub(super) sign: VerifyKey,
    pub(super) name: &'c str,
    pub(super) size: Option<u8>,
    pub(super) ssid: Option<&'c str>,
    pub(super) prefix: Option<Prefix>,
    pub(super) bound: bool,
    /// Whether an administrator has chosen the size: else what is reserved under the name counts more.
    pub(super) firm: bool,
    /// Whether a key list lets it in.
    pub(super) listed: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn join(&mut self, join: &Join) -> Result<(), Refusal> {
        well_formed(join)?;
        if self.known(&join.key, Some(join.sign))? {
            return Ok(());
        }
        match &join.secret {
            Some(secret) => self.with_secret(join, secret),
            None => self.queue(join),
        }
    }

    pub(super) fn renew(&mut self, key: &PublicKey) -> Result<(), Refusal> {
        let left = self.registry.keys.get(key).is_some_and(|record| record.state == KeyState::Left);
        if !left && self.known(key, None)? { Ok(()) } else { Err(Refusal::KeyUnknown) }
    }

    /// What a key is told that has been here before; `false` if it must be admitted (anew).
    fn known(&mut self, key: &PublicKey, sign: Option<VerifyKey>) -> Result<bool, Refusal> {
        let registry = self.registry;
        if registry.leaves.contains_key(key) {
            return Err(Refusal::KeyTaken);
        }
        let Some(record) = registry.keys.get(key) else { return Ok(false) };
        let Some(holder) = registry.holders.get(&record.holder) else { return Ok(false) };
        let sign = sign.unwrap_or(record.sign);
        free_sign(registry, key, &sign)?;
        match (record.state, holder.state) {
            (KeyState::Revoked { .. } | KeyState::Barred, _) | (_, HolderState::Revoked { .. }) => {
                Err(Refusal::KeyRevoked)
            }
            (_, HolderState::Suspended) => Err(Refusal::Suspended),
            (KeyState::Active, HolderState::Active) => {
                self.current(*key, record, holder, sign).map(|()| true)
            }
            (_, HolderState::Active | HolderState::Left) => self.come_back(*key, sign, record, holder),
            (_, HolderState::Gone) => Ok(false),
        }
    }

    /// A key that is in: the same answer again, or later dates when a third of the validity has passed.
    fn current(
        &mut self,
        key: PublicKey,
        record: &KeyRecord,
        holder: &'a Holder,
        sign: VerifyKey,
    ) -> Result<(), Refusal> {
        let policy = &self.registry.policy;
        let prefixes = self.live_prefixes(holder);
        let newest = self.registry.certificate_of(&key);
        if record.sign != sign {
            let issued = newest.map(|issue| issue.not_before + Duration::from_secs(policy.skew + REBIND));
            if issued.is_some_and(|calm| calm > self.at) {
                return Err(Refusal::TooSoon);
            }
            self.key_added(holder.id, key, sign, &record.name);
            self.revoke_serials(record, Cause::Suspended);
        } else if let Some(newest) = newest {
            let left = newest.not_after.since(self.at).as_secs();
            if left > policy.validity - policy.renew_after().as_secs() {
                return Ok(());
            }
        }
        let of = Identity { key, sign, name: &record.name, holder: &holder.name, roles: holder.roles };
        self.issue(&of, prefixes);
        Ok(())
    }

    /// A key that left or lapsed finds its prefix while that is kept for it.
    fn come_back(
        &mut self,
        key: PublicKey,
        sign: VerifyKey,
        record: &KeyRecord,
        holder: &'a Holder,
    ) -> Result<bool, Refusal> {
        let calm =
            record.spans.last().and_then(|(_, _, end)| *end).map(|end| end + Duration::from_secs(HOUR));
        if record.spans.len() > RETURNS && calm.is_some_and(|calm| calm > self.at) {
            return Err(Refusal::TooSoon);
        }
        let mut prefixes = self.live_prefixes(holder);
        if holder.state == HolderState::Left {
            prefixes =
                self.delegations_of(holder).filter(|d| d.state.can_return()).map(|d| d.prefix).collect();
            if prefixes.is_empty() {
                return Ok(false);
            }
            self.push(What::Resumed { holder: holder.id });
        }
        self.key_added(holder.id, key, sign, &record.name);
        let of = Identity { key, sign, name: &record.name, holder: &holder.name, roles: holder.roles };
        self.issue(&of, prefixes);
        Ok(true)
    }

    fn with_secret(&mut self, join: &Join, secret: &Secret) -> Result<(), Refusal> {
        let registry = self.registry;
        let id = registry.digests.get(&secret.digest()).ok_or(Refusal::InvitationUnknown)?;
        let invitation = registry.invitations.get(id).ok_or(Refusal::InvitationUnknown)?;
        let burnt = match invitation.used_by {
            Some(key) if key != join.key => return Err(Refusal::InvitationUsed),
            burnt => burnt.is_some(),
        };
        if !burnt && (invitation.withdrawn || invitation.expires <= self.at) {
            return Err(Refusal::InvitationExpired);
        }
        match invitation.purpose {
            Purpose::Admit => {
                let name = self.name_for(join, invitation.name.as_deref())?;
                self.admit(&Candidate {
                    key: join.key,
                    sign: join.sign,
                    name: &name,
                    size: invitation.size.or(join.size),
                    ssid: join.ssid.as_deref(),
                    prefix: None,
                    bound: invitation.size.is_none(),
                    firm: invitation.size.is_some(),
                    listed: false,
                })?;
            }
            Purpose::AddKey(holder) => self.add_key(self.holder(holder)?, join.key, join.sign)?,
            Purpose::Replace(holder) => self.replace_key(self.holder(holder)?, join.key, join.sign)?,
        }
        if !burnt {
            self.burn(*id, join.key);
        }
        Ok(())
    }

    fn burn(&mut self, id: InvitationId, key: PublicKey) {
        self.push(What::InvitationUsed { id, key });
    }

    fn holder(&self, id: HolderId) -> Result<&'a Holder, Refusal> {
        self.registry.holders.get(&id).ok_or(Refusal::NotFound("holder"))
    }

    /// The name it gets: the one an administrator has bound, the one it asks for, or one made for it.
    fn name_for(&self, join: &Join, bound: Option<&str>) -> Result<String, Refusal> {
        if let Some(name) = bound {
            return Ok(name.to_owned());
        }
        let kept = |name: &str| self.registry.reservations.values().any(|r| r.name.as_deref() == Some(name));
        let taken = |name: &str| kept(name) || self.registry.names.contains_key(name);
        match &join.name {
            Some(name) if taken(name) => Err(Refusal::NameTaken(name.clone())),
            Some(name) => Ok(name.clone()),
            None => {
                // Many meshes keep the default network name: they must not stand in each other's way in the queue.
                let asked =
                    |name: &str| self.registry.requests.values().any(|r| r.key != join.key && r.name == name);
                let taken = |name: &str| taken(name) || asked(name);
                let name = derived_name(join.ssid.as_deref(), &join.key);
                Ok(if taken(&name) { free_name(&name, taken) } else { name })
            }
        }
    }

    fn queue(&mut self, join: &Join) -> Result<(), Refusal> {
        let registry = self.registry;
        let policy = &registry.policy;
        if !registry.pools.values().any(|pool| pool.open) {
            return Err(Refusal::NoPool);
        }
        if let Some(denial) = registry.denials.get(&join.key) {
            let until = denial.at + Duration::from_secs(policy.denial_span);
            if until > self.at {
                return Err(Refusal::Denied { reason: denial.reason.clone(), until });
            }
        }
        if !registry.pools.values().any(|pool| pool.open && pool.admission == Admission::Queue) {
            let listing =
                registry.pools.values().any(|pool| pool.open && pool.admission == Admission::KeyList);
            return Err(if listing { Refusal::NotListed } else { Refusal::InvitationNeeded });
        }
        if let Some(size) = join.size {
            self.given_to_strangers(size)?;
        }
        let waiting = registry.asking.get(&join.key).and_then(|id| registry.requests.get(id));
        if let Some(waiting) = waiting.filter(|w| w.changes >= CHANGES || same_wish(w, join)) {
            return if waiting.changes >= CHANGES && !same_wish(waiting, join) {
                Err(Refusal::TooSoon)
            } else {
                Ok(())
            };
        }
        free_sign(registry, &join.key, &join.sign)?;
        let name = self.queued_name(join)?;
        let others = |r: &&Request| r.key != join.key;
        let crowd = registry.requests.values().filter(others).count() >= policy.queue as usize;
        let same = registry.requests.values().filter(others).filter(|r| r.name == name).count();
        if crowd || same >= policy.queue_per_name as usize {
            return Err(Refusal::QueueFull);
        }
        let request = Request {
            id: waiting.map_or_else(|| RequestId(self.next_id()), |w| w.id),
            key: join.key,
            sign: join.sign,
            name,
            size: join.size,
            ssid: join.ssid.clone(),
            since: waiting.map_or(self.at, |w| w.since),
            changes: waiting.map_or(0, |w| w.changes + 1),
        };
        self.push(What::Requested(request));
        Ok(())
    }

    /// In the queue a reserved name may be asked for: an administrator looks at it.
    fn queued_name(&self, join: &Join) -> Result<String, Refusal> {
        match &join.name {
            Some(name) if self.registry.names.contains_key(name) => Err(Refusal::NameTaken(name.clone())),
            Some(name) => Ok(name.clone()),
            None => self.name_for(join, None),
        }
    }

    pub(super) fn approve(
        &mut self,
        id: RequestId,
        prefix: Option<Prefix>,
        size: Option<u8>,
        name: Option<&str>,
        holder: Option<&str>,
    ) -> Result<(), Refusal> {
        let request = self.waiting(id)?;
        self.push(What::Approved { id });
        if let Some(holder) = holder {
            return self.add_key(self.named(holder)?, request.key, request.sign);
        }
        self.admit_new(&Candidate {
            key: request.key,
            sign: request.sign,
            name: name.unwrap_or(&request.name),
            size: prefix.map(Prefix::len).or(size).or(request.size),
            ssid: request.ssid.as_deref(),
            prefix,
            bound: false,
            firm: size.is_some(),
            listed: false,
        })
    }

    pub(super) fn deny(&mut self, id: RequestId, reason: &str) -> Result<(), Refusal> {
        let request = self.waiting(id)?;
        if !plain_text(reason, LONGEST_TEXT) {
            return Err(Refusal::TextInvalid("the reason"));
        }
        self.push(What::Denied { id, key: request.key, reason: reason.to_owned() });
        Ok(())
    }

    /// A denied request waits again, in its old place.
    pub(super) fn reconsider(&mut self, id: RequestId) -> Result<(), Refusal> {
        let registry = self.registry;
        let of = |denial: &&Denial| denial.request.as_ref().is_some_and(|request| request.id == id);
        let Some(denial) = registry.denials.values().find(of) else {
            return Err(match registry.requests.contains_key(&id) {
                true => Refusal::StateChanged("the request waits already"),
                false if id.0 <= registry.last_id => Refusal::StateChanged("there is no denial to undo"),
                false => Refusal::NotFound("request"),
            });
        };
        if denial.at + Duration::from_secs(registry.policy.denial_span) <= self.at {
            return Err(Refusal::StateChanged("the denial is over; the key may ask again by itself"));
        }
        let Some(mut request) = denial.request.clone() else { return Ok(()) };
        if request.since + Duration::from_secs(registry.policy.request_span) <= self.at {
            request.since = self.at;
        }
        self.push(What::Requested(request));
        Ok(())
    }

    fn waiting(&self, id: RequestId) -> Result<&'a Request, Refusal> {
        let decided = Refusal::StateChanged("the request does not wait any more");
        let missing = if id.0 <= self.registry.last_id { decided } else { Refusal::NotFound("request") };
        self.registry.requests.get(&id).ok_or(missing)
    }

    pub(super) fn admit_directly(&mut self, join: &Join, prefix: Option<Prefix>) -> Result<(), Refusal> {
        well_formed(join)?;
        if self.known(&join.key, Some(join.sign))? {
            return Ok(());
        }
        let made = derived_name(join.ssid.as_deref(), &join.key);
        self.admit_new(&Candidate {
            key: join.key,
            sign: join.sign,
            name: join.name.as_deref().unwrap_or(&made),
            size: prefix.map(Prefix::len).or(join.size),
            ssid: join.ssid.as_deref(),
            prefix,
            bound: false,
            firm: join.size.is_some(),
            listed: false,
        })
    }

    fn admit_new(&mut self, who: &Candidate<'_>) -> Result<(), Refusal> {
        self.admit(who).map(drop)
    }

    /// A new holder with its first key, prefix and certificate.
    pub(super) fn admit(&mut self, who: &Candidate<'_>) -> Result<HolderId, Refusal> {
        let registry = self.registry;
        if !valid_name(who.name) {
            return Err(Refusal::NameInvalid(who.name.to_owned()));
        }
        if registry.names.contains_key(who.name) {
            return Err(Refusal::NameTaken(who.name.to_owned()));
        }
        free_key(registry, &who.key, &who.sign, None)?;
        let prefix = self.choose(&Wish {
            prefix: who.prefix,
            before: registry.last_prefix.get(&who.key).copied(),
            name: who.name,
            ssid: who.ssid,
            size: who.size,
            bound: who.bound,
            firm: who.firm,
            listed: who.listed,
        })?;
        let holder = HolderId(self.next_id());
        self.push(What::HolderAdded { id: holder, name: who.name.to_owned() });
        self.key_added(holder, who.key, who.sign, who.name);
        for kept in registry.reservations.keys().filter(|kept| kept.overlaps(prefix)) {
            self.push(What::Unreserved { prefix: *kept });
        }
        let id = DelegationId(self.next_id());
        self.push(What::Granted { id, holder, prefix });
        let roles = Roles::default();
        let of = Identity { key: who.key, sign: who.sign, name: who.name, holder: who.name, roles };
        self.issue(&of, vec![prefix]);
        Ok(holder)
    }

    pub(super) fn add_key(
        &mut self,
        holder: &'a Holder,
        key: PublicKey,
        sign: VerifyKey,
    ) -> Result<(), Refusal> {
        match holder.state {
            HolderState::Active => {}
            HolderState::Suspended => return Err(Refusal::Suspended),
            _ => return Err(Refusal::StateChanged("the holder is not active")),
        }
        let registry = self.registry;
        free_key(registry, &key, &sign, Some(holder.id))?;
        if registry.active_keys(holder).any(|active| *active == key) {
            return Ok(());
        }
        if registry.active_keys(holder).count() >= KEYS_PER_HOLDER {
            return Err(Refusal::TooMany("keys of this holder"));
        }
        let prefixes = self.live_prefixes(holder);
        self.admit_key(holder, key, sign, prefixes);
        Ok(())
    }

    /// One more key under a node name of its own, with its certificate.
    pub(super) fn admit_key(
        &mut self,
        holder: &'a Holder,
        key: PublicKey,
        sign: VerifyKey,
        prefixes: Vec<Prefix>,
    ) {
        let mine = self.registry.keys.get(&key).filter(|record| record.holder == holder.id);
        let next = holder.keys.len() + 1;
        let name = mine.map_or_else(|| numbered(&holder.name, next), |record| record.name.clone());
        self.key_added(holder.id, key, sign, &name);
        let of = Identity { key, sign, name: &name, holder: &holder.name, roles: holder.roles };
        self.issue(&of, prefixes);
    }
}

/// Refuses a key that is a stock client's, revoked, or speaks for another holder than `holder`.
pub(super) fn free_key(
    registry: &Registry,
    key: &PublicKey,
    sign: &VerifyKey,
    holder: Option<HolderId>,
) -> Result<(), Refusal> {
    free_sign(registry, key, sign)?;
    if registry.leaves.contains_key(key) {
        return Err(Refusal::KeyTaken);
    }
    let Some(record) = registry.keys.get(key) else { return Ok(()) };
    let gone = registry.holders.get(&record.holder).is_none_or(|h| h.state == HolderState::Gone);
    match record.state {
        KeyState::Revoked { .. } | KeyState::Barred => Err(Refusal::KeyRevoked),
        KeyState::Active if Some(record.holder) != holder => Err(Refusal::KeyTaken),
        // Its own prefix is kept for it; it need only join.
        _ if !gone && Some(record.holder) != holder && holder.is_some() => Err(Refusal::KeyTaken),
        _ => Ok(()),
    }
}

/// A signing key names one node: what it signs must not be taken for another's.
fn free_sign(registry: &Registry, key: &PublicKey, sign: &VerifyKey) -> Result<(), Refusal> {
    if registry.signs.get(sign).is_some_and(|owner| owner != key) { Err(Refusal::KeyTaken) } else { Ok(()) }
}

fn same_wish(waiting: &Request, join: &Join) -> bool {
    let named = join.name.as_ref().is_none_or(|name| *name == waiting.name);
    named && waiting.size == join.size && waiting.ssid == join.ssid && waiting.sign == join.sign
}

/// The first of `name-2`, `name-3` … that is free. There are fewer names than numbers.
fn free_name(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbers = 2usize..;
    numbers.map(|n| numbered(name, n)).find(|name| !taken(name)).unwrap_or_else(|| name.to_owned())
}

fn well_formed(join: &Join) -> Result<(), Refusal> {
    if let Some(name) = join.name.as_ref().filter(|name| !valid_name(name)) {
        return Err(Refusal::NameInvalid(name.chars().take(64).collect()));
    }
    let bounded = [(&join.ssid, 32, "the network name"), (&join.contact, LONGEST_TEXT, "the contact")];
    for (text, longest, what) in bounded {
        if text.as_ref().is_some_and(|text| !plain_text(text, longest)) {
            return Err(Refusal::TextInvalid(what));
        }
    }
    Ok(())
}
