//! Trust that is taken away, and given back while it can be (docs/decisions/0013-undo-within-grace.md).

use super::admission::KEYS_PER_HOLDER;
use super::rule::reason_fits;
use super::{Draft, Identity};
use crate::command::Target;
use crate::event::{Cause, Revoked, What};
use crate::refusal::Refusal;
use crate::registry::{Delegation, DelegationState, Holder, HolderState, KeyRecord, KeyState};
use ln6_types::{Prefix, PublicKey, UnixTime};

impl<'a> Draft<'a> {
    pub(super) fn revoke(&mut self, target: &Target, reason: &str, compromised: bool) -> Result<(), Refusal> {
        reason_fits(reason)?;
        let registry = self.registry;
        let holder = self.target_holder(target)?;
        let doomed: Vec<PublicKey> = match target {
            Target::Holder(_) => holder.keys.iter().copied().collect(),
            Target::Key(key) => vec![*key],
        };
        let until = self.after(registry.policy.revocation_grace);
        let mut revoked = 0;
        for key in &doomed {
            revoked += usize::from(self.take_away(key, holder, until, reason, compromised));
        }
        if revoked == 0 {
            return Err(Refusal::StateChanged("it has been revoked already"));
        }
        let last = registry.active_keys(holder).all(|key| doomed.contains(key));
        if last && matches!(holder.state, HolderState::Active | HolderState::Suspended) {
            // Every other key goes with it: one that had left could otherwise walk back in.
            for key in holder.keys.iter().filter(|key| !doomed.contains(key)) {
                self.take_away(key, holder, until, reason, compromised);
            }
            self.end_retiring(holder);
            self.push(What::HolderRevoked { holder: holder.id, until });
        }
        Ok(())
    }

    fn target_holder(&self, target: &Target) -> Result<&'a Holder, Refusal> {
        match target {
            Target::Holder(name) => self.named(name),
            Target::Key(key) => {
                let record = self.registry.keys.get(key).ok_or(Refusal::NotFound("key"))?;
                self.registry.holders.get(&record.holder).ok_or(Refusal::NotFound("holder"))
            }
        }
    }

    /// Ends the trust in a key, for a while or for ever; `false` if that is so already.
    fn take_away(
        &mut self,
        key: &PublicKey,
        holder: &Holder,
        until: UnixTime,
        reason: &str,
        compromised: bool,
    ) -> bool {
        if compromised {
            return self.bar_key(key, holder, Cause::Revoked, reason);
        }
        let mine = |r: &&KeyRecord| r.holder == holder.id && !r.state.is_revoked();
        let Some(record) = self.registry.keys.get(key).filter(mine) else { return false };
        self.push(What::KeyRevoked { key: *key, reason: reason.to_owned(), until: Some(until) });
        self.revoke_serials(record, Cause::Revoked);
        true
    }

    /// Names a key of `holder` as never to be trusted again; `false` if that is so already, or it speaks for another by
    /// now.
    pub(super) fn bar_key(&mut self, key: &PublicKey, holder: &Holder, cause: Cause, reason: &str) -> bool {
        let registry = self.registry;
        let mine = |r: &&KeyRecord| r.holder == holder.id && r.state != KeyState::Barred;
        let Some(record) = registry.keys.get(key).filter(mine) else { return false };
        let ends =
            record.serials.iter().filter_map(|serial| registry.issues.get(serial)).map(|i| i.grace_until);
        let until: UnixTime = ends.max().unwrap_or(self.at).max(self.at);
        self.push(What::KeyRevoked { key: *key, reason: reason.to_owned(), until: None });
        self.revocation(Revoked::Key(*key), cause, until);
        true
    }

    pub(super) fn restore(&mut self, target: &Target) -> Result<(), Refusal> {
        let registry = self.registry;
        let holder = self.target_holder(target)?;
        let keys = self.restorable(holder, target)?;
        let comes_back =
            |key: &PublicKey| registry.keys.get(key).is_some_and(|r| r.before == KeyState::Active);
        let active = keys.iter().filter(|key| comes_back(key)).count();
        if active + registry.active_keys(holder).count() > KEYS_PER_HOLDER {
            return Err(Refusal::TooMany("keys of this holder"));
        }
        let prefixes: Vec<Prefix> = match holder.state {
            // A key that had left before has nothing to come back for.
            HolderState::Revoked { .. } if active == 0 => {
                return Err(Refusal::StateChanged("this key did not speak for the holder any more"));
            }
            HolderState::Revoked { .. } => {
                self.push(What::Restored { holder: holder.id });
                let back = |d: &&Delegation| matches!(d.state, DelegationState::Revoked { .. });
                self.delegations_of(holder).filter(back).map(|d| d.prefix).collect()
            }
            HolderState::Left if active > 0 => {
                let kept = self.delegations_of(holder).filter(|d| d.state.can_return());
                let kept: Vec<Prefix> = kept.map(|d| d.prefix).collect();
                if kept.is_empty() {
                    return Err(Refusal::StateChanged("the holder's prefix is not kept any more"));
                }
                self.push(What::Resumed { holder: holder.id });
                kept
            }
            HolderState::Gone => return Err(Refusal::StateChanged("the holder has gone meanwhile")),
            _ => self.live_prefixes(holder),
        };
        for key in &keys {
            self.push(What::KeyRestored { key: *key });
        }
        let suspended = match holder.state {
            HolderState::Revoked { .. } => holder.was_suspended,
            state => state == HolderState::Suspended,
        };
        for key in keys.iter().filter(|key| comes_back(key) && !suspended) {
            let Some(record) = registry.keys.get(key) else { continue };
            let (sign, name, roles) = (record.sign, &record.name, holder.roles);
            self.issue(&Identity { key: *key, sign, name, holder: &holder.name, roles }, prefixes.clone());
        }
        Ok(())
    }

    /// The keys that an undo brings back: at least one.
    fn restorable(&self, holder: &'a Holder, target: &Target) -> Result<Vec<PublicKey>, Refusal> {
        let with = match holder.state {
            HolderState::Revoked { until } if until <= self.at => return Err(TOO_LATE),
            HolderState::Revoked { until } => Some(until),
            _ => None,
        };
        let graced = |key: &PublicKey| {
            let record = self.registry.keys.get(key).filter(|record| record.holder == holder.id)?;
            match record.state {
                KeyState::Revoked { until } if until > self.at => Some(until),
                _ => None,
            }
        };
        let state = |key: &PublicKey| self.registry.keys.get(key).map(|record| record.state);
        let keys: Vec<PublicKey> = match target {
            Target::Key(key) if graced(key).is_some() => vec![*key],
            Target::Key(key) if state(key).is_some_and(KeyState::is_revoked) => return Err(TOO_LATE),
            Target::Key(_) => return Err(NOTHING),
            // Those that were revoked before it stay so.
            Target::Holder(_) => {
                let same =
                    |key: &&PublicKey| graced(key).is_some_and(|until| with.is_none_or(|with| until == with));
                holder.keys.iter().filter(same).copied().collect()
            }
        };
        match keys.is_empty() {
            true if with.is_some() || holder.keys.iter().all(|key| state(key) == Some(KeyState::Barred)) => {
                Err(TOO_LATE)
            }
            true => Err(NOTHING),
            false => Ok(keys),
        }
    }
}

const TOO_LATE: Refusal =
    Refusal::StateChanged("it cannot be undone: its grace is over, or its keys were named as compromised");
const NOTHING: Refusal = Refusal::StateChanged("nothing of it is revoked");
