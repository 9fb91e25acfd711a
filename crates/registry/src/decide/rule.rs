//! The operator's side: pools, policy, roles, reservations, invitations.

use super::{Draft, Identity};
use crate::command::NewInvitation;
use crate::event::{Cause, What};
use crate::id::InvitationId;
use crate::invitation::{Invitation, Purpose, Secret};
use crate::name::{plain_text, valid_name};
use crate::policy::{Policy, Pool};
use crate::refusal::Refusal;
use crate::registry::{HolderState, Reservation, Roles};
use ln6_types::Prefix;
use std::net::Ipv6Addr;

const YEAR: u64 = 366 * 86_400;
/// Unused invitations at once.
const INVITATIONS: usize = 10_000;
const RESERVATIONS: usize = 100_000;
/// A reason, a note, a contact, in octets: what fits into one message with the words around it.
pub(super) const LONGEST_TEXT: usize = 200;
/// A holder's contact, in octets.
pub(super) const LONGEST_CONTACT: usize = 512;
/// The lowest cap, in octets a second: below it not even routing works.
const SLOWEST: u64 = 1000;
/// A holder's note, in octets.
const LONGEST_NOTE: usize = 4096;

impl Draft<'_> {
    pub(super) fn set_pool(&mut self, pool: &Pool) -> Result<(), Refusal> {
        sound(pool)?;
        let registry = self.registry;
        if let Some(with) = registry.pools.keys().find(|p| **p != pool.prefix && p.overlaps(pool.prefix)) {
            return Err(Refusal::Overlap { prefix: pool.prefix, with: *with });
        }
        if let Some(hosts) = pool.hosts {
            let subnet = |p: &Prefix| p.overlaps(hosts) && p.len() < 128;
            if let Some(with) = registry.delegations.values().map(|d| d.prefix).find(subnet) {
                return Err(Refusal::Overlap { prefix: hosts, with });
            }
        }
        if registry.pools.get(&pool.prefix) != Some(pool) {
            self.push(What::PoolSet(pool.clone()));
        }
        Ok(())
    }

    pub(super) fn set_policy(&mut self, policy: &Policy) -> Result<(), Refusal> {
        if !policy.is_sound() {
            return Err(Refusal::PolicyInvalid);
        }
        if self.registry.policy != *policy {
            self.push(What::PolicySet(policy.clone()));
        }
        Ok(())
    }

    pub(super) fn set_roles(&mut self, holder: &str, roles: Roles) -> Result<(), Refusal> {
        let holder = self.named(holder)?;
        if holder.roles == roles {
            return Ok(());
        }
        let fewer = (holder.roles.exit && !roles.exit)
            || (holder.roles.broker && !roles.broker)
            || (holder.roles.transit && !roles.transit);
        self.push(What::RolesSet { holder: holder.id, roles });
        if holder.state != HolderState::Active {
            return Ok(());
        }
        let registry = self.registry;
        for record in registry.active_keys(holder).filter_map(|key| registry.keys.get(key)).filter(|_| fewer)
        {
            self.revoke_serials(record, Cause::Suspended);
        }
        self.reissue(holder, roles, &self.live_prefixes(holder));
        Ok(())
    }

    pub(super) fn set_rate(&mut self, holder: &str, rate: Option<u64>) -> Result<(), Refusal> {
        let holder = self.named(holder)?;
        if rate.is_some_and(|rate| rate < SLOWEST) {
            return Err(Refusal::RateInvalid);
        }
        if holder.rate != rate {
            self.push(What::RateSet { holder: holder.id, rate });
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, holder: &str, to: &str) -> Result<(), Refusal> {
        let holder = self.named(holder)?;
        if !valid_name(to) {
            return Err(Refusal::NameInvalid(to.to_owned()));
        }
        if holder.name == to {
            return Ok(());
        }
        let registry = self.registry;
        let nodes = registry.keys.values().filter(|record| record.holder != holder.id);
        if registry.holder_named(to).is_some() || nodes.into_iter().any(|record| record.name == to) {
            return Err(Refusal::NameTaken(to.to_owned()));
        }
        self.push(What::Renamed { holder: holder.id, name: to.to_owned() });
        if holder.state != HolderState::Active {
            return Ok(());
        }
        let prefixes = self.live_prefixes(holder);
        for key in registry.active_keys(holder) {
            let Some(record) = registry.keys.get(key) else { continue };
            let name = if record.name == holder.name { to } else { &record.name };
            let of = Identity { key: *key, sign: record.sign, name, holder: to, roles: holder.roles };
            self.issue(&of, prefixes.clone());
        }
        Ok(())
    }

    pub(super) fn set_card(
        &mut self,
        holder: &str,
        contact: Option<&str>,
        note: Option<&str>,
    ) -> Result<(), Refusal> {
        let holder = self.named(holder)?.id;
        if contact.is_some_and(|text| !plain_text(text, LONGEST_CONTACT)) {
            return Err(Refusal::TextInvalid("the contact"));
        }
        let plain = |text: &str| text.split('\n').all(|line| plain_text(line, LONGEST_NOTE));
        if note.is_some_and(|text| text.len() > LONGEST_NOTE || !plain(text)) {
            return Err(Refusal::TextInvalid("the note"));
        }
        contact.is_some().then(|| self.push(What::ContactChanged { holder }));
        note.is_some().then(|| self.push(What::NoteChanged { holder }));
        Ok(())
    }

    pub(super) fn reserve(&mut self, prefix: Prefix, name: Option<&str>, note: &str) -> Result<(), Refusal> {
        let registry = self.registry;
        registry.pool_of(prefix).ok_or(Refusal::OutsidePool(prefix))?;
        if let Some(name) = name.filter(|name| !valid_name(name)) {
            return Err(Refusal::NameInvalid(name.to_owned()));
        }
        if !plain_text(note, LONGEST_TEXT) {
            return Err(Refusal::TextInvalid("the note"));
        }
        if registry.reservations.len() >= RESERVATIONS {
            return Err(Refusal::TooMany("reservations"));
        }
        let wanted = Reservation { prefix, name: name.map(str::to_owned), note: note.to_owned() };
        if registry.reservations.get(&prefix) == Some(&wanted) {
            return Ok(());
        }
        if let Some(with) = registry.taken("", None).overlapping(prefix).filter(|with| *with != prefix) {
            return Err(Refusal::Overlap { prefix, with });
        }
        if let Some(held) = registry.delegations.values().find(|d| d.prefix == prefix) {
            return Err(Refusal::Overlap { prefix, with: held.prefix });
        }
        self.push(What::Reserved(wanted));
        Ok(())
    }

    pub(super) fn unreserve(&mut self, prefix: Prefix) -> Result<(), Refusal> {
        self.registry.reservations.get(&prefix).ok_or(Refusal::NotFound("reservation"))?;
        self.push(What::Unreserved { prefix });
        Ok(())
    }

    pub(super) fn invite(&mut self, new: &NewInvitation) -> Result<(), Refusal> {
        let registry = self.registry;
        if let Some(name) = &new.name {
            if !valid_name(name) {
                return Err(Refusal::NameInvalid(name.clone()));
            }
            if registry.names.contains_key(name) {
                return Err(Refusal::NameTaken(name.clone()));
            }
        }
        if let Some(size) = new.size {
            self.given_somewhere(size, false)?;
        }
        if let Purpose::AddKey(id) | Purpose::Replace(id) = new.purpose {
            let known = registry.holders.get(&id).filter(|h| h.state != HolderState::Gone);
            known.ok_or(Refusal::NotFound("holder"))?;
        }
        let unused = |i: &&Invitation| i.used_by.is_none() && !i.withdrawn && i.expires > self.at;
        if registry.invitations.values().filter(unused).count() >= INVITATIONS {
            return Err(Refusal::TooMany("unused invitations"));
        }
        let invitation = Invitation {
            id: InvitationId(self.next_id()),
            digest: Secret::from_entropy(self.entropy).digest(),
            expires: self.after(new.valid_for.min(YEAR)),
            name: new.name.clone(),
            size: new.size,
            purpose: new.purpose,
            used_by: None,
            withdrawn: false,
        };
        self.push(What::Invited(invitation));
        Ok(())
    }

    pub(super) fn withdraw(&mut self, id: InvitationId) -> Result<(), Refusal> {
        let invitation = self.registry.invitations.get(&id).ok_or(Refusal::NotFound("invitation"))?;
        if invitation.used_by.is_some() {
            return Err(Refusal::StateChanged("the invitation has been used"));
        }
        if !invitation.withdrawn {
            self.push(What::InvitationWithdrawn { id });
        }
        Ok(())
    }
}

/// Whether a reason may be kept.
pub(super) fn reason_fits(reason: &str) -> Result<(), Refusal> {
    if plain_text(reason, LONGEST_TEXT) { Ok(()) } else { Err(Refusal::TextInvalid("the reason")) }
}

fn sound(pool: &Pool) -> Result<(), Refusal> {
    let never = [
        Prefix::new(Ipv6Addr::UNSPECIFIED, 8),
        Prefix::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
        Prefix::new(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
    ];
    if never.iter().any(|bad| bad.overlaps(pool.prefix)) {
        return Err(Refusal::PoolInvalid("it holds addresses that are never delegated"));
    }
    let len = pool.prefix.len();
    if pool.hosts.is_some_and(|hosts| !pool.prefix.covers(hosts) || hosts.len() < 64 || hosts.len() > 120) {
        return Err(Refusal::PoolInvalid("hosts are numbered from a /64 to /120 inside it"));
    }
    if len < 64 && (pool.largest < len || pool.largest > pool.smallest || pool.smallest > 64) {
        return Err(Refusal::PoolInvalid("sizes are from the pool's length to /64, the largest first"));
    }
    if !pool.offers(pool.default_len) {
        return Err(Refusal::PoolInvalid("the default size is outside its own policy"));
    }
    Ok(())
}
