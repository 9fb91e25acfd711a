//! What happens to those who are in: suspended, replaced, resized, gone.

use super::admission::free_key;
use super::choice::Wish;
use super::rule::reason_fits;
use super::{Draft, Identity};
use crate::command::{Actor, NewInvitation, Replacement};
use crate::event::{Cause, What};
use crate::id::{DelegationId, HolderId};
use crate::invitation::Purpose;
use crate::refusal::Refusal;
use crate::registry::{Delegation, DelegationState, Holder, HolderState, KeyState};
use ln6_types::{Prefix, PublicKey, VerifyKey};

/// Prefixes of one holder at once, while it moves.
pub(super) const DELEGATIONS_PER_HOLDER: usize = 8;

impl<'a> Draft<'a> {
    pub(super) fn suspend(&mut self, name: &str, reason: &str) -> Result<(), Refusal> {
        reason_fits(reason)?;
        let holder = self.named(name)?;
        if holder.state == HolderState::Suspended {
            if !holder.suspended_by_list || matches!(self.who, Actor::KeyList(_)) {
                return Err(Refusal::StateChanged("the holder is suspended already"));
            }
            // From now on an administrator answers for it: the list does not wake it again.
            self.push(What::Suspended { holder: holder.id, reason: reason.to_owned() });
            return Ok(());
        }
        if holder.state != HolderState::Active {
            return Err(Refusal::StateChanged("only an active holder can be suspended"));
        }
        let registry = self.registry;
        for record in registry.active_keys(holder).filter_map(|key| registry.keys.get(key)) {
            self.revoke_serials(record, Cause::Suspended);
        }
        self.end_retiring(holder);
        self.push(What::Suspended { holder: holder.id, reason: reason.to_owned() });
        Ok(())
    }

    pub(super) fn resume(&mut self, name: &str) -> Result<(), Refusal> {
        let holder = self.named(name)?;
        if holder.state != HolderState::Suspended {
            return Err(Refusal::StateChanged("the holder is not suspended"));
        }
        self.push(What::Resumed { holder: holder.id });
        let back = |d: &&Delegation| d.state == DelegationState::Suspended;
        let prefixes: Vec<Prefix> = self.delegations_of(holder).filter(back).map(|d| d.prefix).collect();
        self.reissue(holder, holder.roles, &prefixes);
        Ok(())
    }

    pub(super) fn replace(&mut self, name: &str, with: &Replacement) -> Result<(), Refusal> {
        let holder = self.named(name)?;
        match with {
            Replacement::Key { key, sign } => self.replace_key(holder, *key, *sign),
            Replacement::Invitation { valid_for } => self.invite(&NewInvitation {
                valid_for: *valid_for,
                name: None,
                size: None,
                purpose: Purpose::Replace(holder.id),
            }),
        }
    }

    /// The holder goes on with this key alone. Also brings back one whose keys were all revoked, or have gone.
    pub(super) fn replace_key(
        &mut self,
        holder: &'a Holder,
        key: PublicKey,
        sign: VerifyKey,
    ) -> Result<(), Refusal> {
        free_key(self.registry, &key, &sign, Some(holder.id))?;
        let prefixes: Vec<Prefix> = match holder.state {
            HolderState::Active => self.live_prefixes(holder),
            HolderState::Suspended => return Err(Refusal::Suspended),
            HolderState::Revoked { .. } | HolderState::Left => {
                self.delegations_of(holder).filter(|d| d.state.can_return()).map(|d| d.prefix).collect()
            }
            HolderState::Gone => return Err(Refusal::NotFound("holder")),
        };
        for old in holder.keys.iter().filter(|old| **old != key) {
            self.bar_key(old, holder, Cause::Replaced, "replaced");
        }
        if holder.state != HolderState::Active {
            self.push(What::Resumed { holder: holder.id });
        }
        let active = self.registry.keys.get(&key).filter(|record| record.state == KeyState::Active);
        if active.is_none_or(|record| record.sign != sign) {
            self.admit_key(holder, key, sign, prefixes);
        }
        Ok(())
    }

    pub(super) fn leave(&mut self, key: &PublicKey) -> Result<(), Refusal> {
        let registry = self.registry;
        let record = registry.keys.get(key).ok_or(Refusal::KeyUnknown)?;
        let holder = registry.holders.get(&record.holder).ok_or(Refusal::KeyUnknown)?;
        match (record.state, holder.state) {
            (KeyState::Revoked { .. } | KeyState::Barred, _) => return Err(Refusal::KeyRevoked),
            (_, HolderState::Suspended) => return Err(Refusal::Suspended),
            (KeyState::Active, _) => {}
            _ => return Ok(()), // it has left already
        }
        self.push(What::KeyLeft { key: *key });
        self.revoke_serials(record, Cause::Left);
        if registry.active_keys(holder).all(|active| active == key) {
            self.vacate(holder);
        }
        Ok(())
    }

    /// The last key has gone: the prefixes wait for it in quarantine.
    pub(super) fn vacate(&mut self, holder: &'a Holder) {
        self.end_retiring(holder);
        for delegation in self.delegations_of(holder) {
            if delegation.state == DelegationState::Active {
                self.quarantine(delegation, true);
            }
        }
    }

    pub(super) fn resize(&mut self, id: DelegationId, size: u8, moving: bool) -> Result<(), Refusal> {
        let registry = self.registry;
        let delegation = registry.delegations.get(&id).ok_or(Refusal::NotFound("delegation"))?;
        let holder = registry.holders.get(&delegation.holder).ok_or(Refusal::NotFound("holder"))?;
        if delegation.state != DelegationState::Active || holder.state != HolderState::Active {
            return Err(Refusal::StateChanged("only an active delegation can be resized"));
        }
        self.given_somewhere(size, false)?;
        let old = delegation.prefix;
        let new = Prefix::new(old.network(), size);
        if size == old.len() {
            return Ok(());
        }
        let hosts = old.len() == 128 || size == 128;
        if !hosts && size > old.len() {
            self.shrink(delegation, holder, new);
            return Ok(());
        }
        let room = || registry.taken_for_subnets(&holder.name, Some(id)).overlapping(new).is_none();
        if !hosts && registry.pool_of(new).is_some_and(|pool| pool.gives(size)) && room() {
            self.push(What::Resized { id, prefix: new });
            let prefixes = self.prefixes_with(holder, old, new);
            self.reissue(holder, holder.roles, &prefixes);
            return Ok(());
        }
        if !moving {
            return Err(Refusal::CannotResizeInPlace { prefix: old, size });
        }
        self.relocate(delegation, holder, size)
    }

    fn prefixes_with(&self, holder: &'a Holder, old: Prefix, new: Prefix) -> Vec<Prefix> {
        self.live_prefixes(holder).into_iter().filter(|p| *p != old).chain([new]).collect()
    }

    /// The first part stays; the rest is kept until no certificate names it.
    fn shrink(&mut self, delegation: &'a Delegation, holder: &'a Holder, new: Prefix) {
        let registry = self.registry;
        let old = delegation.prefix;
        for record in registry.active_keys(holder).filter_map(|key| registry.keys.get(key)) {
            self.revoke_serials(record, Cause::Suspended);
        }
        self.push(What::Resized { id: delegation.id, prefix: new });
        let id = DelegationId(self.next_id());
        let until = self.quarantine_until(delegation);
        self.push(What::Kept { id, holder: holder.id, prefix: old, until });
        let lost = |p: Prefix| old.covers(p) && !new.covers(p);
        for leaf in registry.leaves.values().filter(|leaf| leaf.holder == holder.id && lost(leaf.prefix)) {
            self.push(What::LeafRemoved { key: leaf.key });
        }
        let prefixes = self.prefixes_with(holder, old, new);
        self.reissue(holder, holder.roles, &prefixes);
    }

    /// Make before break: a second prefix, and the old one for a while beside it.
    fn relocate(&mut self, delegation: &'a Delegation, holder: &'a Holder, size: u8) -> Result<(), Refusal> {
        if holder.delegations.len() >= DELEGATIONS_PER_HOLDER {
            return Err(Refusal::TooMany("prefixes of this holder"));
        }
        let wish = Wish {
            prefix: None,
            before: None,
            name: &holder.name,
            ssid: None,
            size: Some(size),
            bound: false,
            firm: true,
            listed: holder.listed.is_some(),
        };
        let prefix = self.choose(&wish)?;
        let id = DelegationId(self.next_id());
        self.push(What::Granted { id, holder: holder.id, prefix });
        let until = self.after(self.registry.policy.move_span);
        self.push(What::Retiring { id: delegation.id, until });
        let prefixes = self.live_prefixes(holder).into_iter().chain([prefix]).collect::<Vec<_>>();
        self.reissue(holder, holder.roles, &prefixes);
        Ok(())
    }

    /// Moves of one holder have ended: certificates without the old prefixes.
    pub(super) fn retire(&mut self, holder: HolderId, ended: &[&'a Delegation]) {
        let registry = self.registry;
        let Some(holder) = registry.holders.get(&holder) else { return };
        let over = |prefix: &Prefix| ended.iter().any(|d| d.prefix == *prefix);
        let prefixes: Vec<Prefix> = self.live_prefixes(holder).into_iter().filter(|p| !over(p)).collect();
        for key in registry.active_keys(holder) {
            let Some(record) = registry.keys.get(key) else { continue };
            self.revoke_serials(record, Cause::Suspended);
            let (sign, name, roles) = (record.sign, &record.name, holder.roles);
            self.issue(&Identity { key: *key, sign, name, holder: &holder.name, roles }, prefixes.clone());
        }
        for delegation in ended {
            self.quarantine(delegation, false);
        }
    }
}
