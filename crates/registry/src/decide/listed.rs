//! Holders that a key list answers for.

use super::Draft;
use super::admission::Candidate;
use super::rule::LONGEST_CONTACT;
use crate::command::Actor;
use crate::event::What;
use crate::name::{plain_text, valid_name};
use crate::refusal::Refusal;
use crate::registry::{HolderState, KeyState};
use ln6_types::{PublicKey, VerifyKey};

impl Draft<'_> {
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
            if holder.listed.is_none()
                && let Some(list) = list
            {
                self.push(What::Listed { holder: holder.id, list });
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

    pub(super) fn unlist(&mut self, key: &PublicKey) -> Result<(), Refusal> {
        let registry = self.registry;
        let record = registry.keys.get(key).ok_or(Refusal::NotFound("key"))?;
        let holder = registry.holders.get(&record.holder).ok_or(Refusal::NotFound("holder"))?;
        let answers = match self.who {
            Actor::KeyList(list) => holder.listed.as_ref() == Some(list),
            _ => holder.listed.is_some(),
        };
        if !answers {
            return Err(Refusal::NotFound("listed key"));
        }
        // What is off already stays off; a key that was replaced takes nobody with it.
        if record.state != KeyState::Active || holder.state != HolderState::Active {
            return Ok(());
        }
        self.suspend(&holder.name, "not in the key list any more")
    }
}
