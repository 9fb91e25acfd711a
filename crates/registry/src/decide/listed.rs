//! Holders that a key list answers for.

use super::Draft;
use super::admission::Candidate;
use super::choice::size_refused;
use super::rule::LONGEST_CONTACT;
use crate::command::Actor;
use crate::event::What;
use crate::name::{plain_text, valid_name};
use crate::refusal::Refusal;
use crate::registry::{DelegationState, Holder, HolderState, KeyRecord, KeyState};
use ln6_types::{PublicKey, VerifyKey};

impl<'a> Draft<'a> {
    pub(super) fn admit_listed(
        &mut self,
        name: &str,
        key: PublicKey,
        sign: VerifyKey,
        size: Option<u8>,
        contact: Option<&str>,
    ) -> Result<(), Refusal> {
        if !valid_name(name) {
            return Err(Refusal::NameInvalid(name.chars().take(64).collect()));
        }
        if contact.is_some_and(|text| !plain_text(text, LONGEST_CONTACT)) {
            return Err(Refusal::TextInvalid("the contact"));
        }
        let registry = self.registry;
        let list = match self.who {
            Actor::KeyList(list) => Some(list.clone()),
            _ => None,
        };
        let record = registry.keys.get(&key).filter(|record| !record.state.is_revoked());
        let holds = record.and_then(|record| registry.holders.get(&record.holder));
        let holds = holds.filter(|holder| holder.state != HolderState::Gone);
        if let Some(holder) = holds {
            // Who answers for a node may also take it out. A list must not come to that by naming whom others let in.
            if list.is_some() && holder.listed != list {
                return Err(Refusal::NotByList);
            }
            // The key of one node in the file of another.
            if registry.holder_named(name).is_some_and(|named| named.id != holder.id) {
                return Err(Refusal::KeyTaken);
            }
            return match holder.state {
                HolderState::Suspended if holder.suspended_by_list => self.resume(&holder.name),
                HolderState::Suspended => Err(Refusal::Suspended),
                // One that has left comes back by itself; its prefix is kept for it.
                _ => Ok(()),
            };
        }
        if let Some(holder) = registry.holder_named(name) {
            // The file has another key now: the router was replaced. Only the list that let it in may say so.
            if holder.listed.is_none() || holder.listed != list {
                return Err(Refusal::NameTaken(name.to_owned()));
            }
            if holder.state == HolderState::Suspended {
                return Err(Refusal::Suspended);
            }
            return self.replace_key(holder, key, sign);
        }
        let holder = self.admit(&Candidate {
            key,
            sign,
            name,
            size,
            ssid: None,
            prefix: None,
            bound: true,
            firm: false,
            listed: true,
        })?;
        if let Some(list) = list {
            self.push(What::Listed { holder, list });
        }
        Ok(())
    }

    /// A key and its holder, if the list that asks let it in.
    fn answered_for(&self, key: &PublicKey) -> Result<(&'a KeyRecord, &'a Holder), Refusal> {
        let registry = self.registry;
        let record = registry.keys.get(key).ok_or(Refusal::NotFound("key"))?;
        let holder = registry.holders.get(&record.holder).ok_or(Refusal::NotFound("holder"))?;
        let answers = match self.who {
            Actor::KeyList(list) => holder.listed.as_ref() == Some(list),
            _ => holder.listed.is_some(),
        };
        if answers { Ok((record, holder)) } else { Err(Refusal::NotFound("listed key")) }
    }

    pub(super) fn resize_listed(&mut self, key: &PublicKey, size: u8) -> Result<(), Refusal> {
        let (_, holder) = self.answered_for(key)?;
        let active = self.delegations_of(holder).find(|held| held.state == DelegationState::Active);
        let active = active.ok_or(Refusal::StateChanged("only an active delegation can be resized"))?;
        if active.prefix.len() == size {
            return Ok(());
        }
        let pool = self.registry.pool_of(active.prefix).ok_or(Refusal::OutsidePool(active.prefix))?;
        if !pool.offers(size) {
            return Err(size_refused(&[pool], size));
        }
        self.resize(active.id, size, true)
    }

    pub(super) fn contact_listed(&mut self, key: &PublicKey, text: Option<&str>) -> Result<(), Refusal> {
        let (_, holder) = self.answered_for(key)?;
        if text.is_some_and(|text| !plain_text(text, LONGEST_CONTACT)) {
            return Err(Refusal::TextInvalid("the contact"));
        }
        self.push(What::ContactChanged { holder: holder.id });
        Ok(())
    }

    pub(super) fn unlist(&mut self, key: &PublicKey) -> Result<(), Refusal> {
        let (record, holder) = self.answered_for(key)?;
        // What is off already stays off; a key that was replaced takes nobody with it.
        if record.state != KeyState::Active || holder.state != HolderState::Active {
            return Ok(());
        }
        self.suspend(&holder.name, "not in the key list any more")
    }
}
