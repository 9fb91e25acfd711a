//! What a command would do, said before it is done.

use crate::command::{Actor, Target};
use crate::event::{Event, Revoked, What};
use crate::id::{DelegationId, HolderId};
use crate::order::Order;
use crate::refusal::Refusal;
use crate::registry::{Delegation, KeyState, Registry};
use ln6_types::{Prefix, PublicKey, UnixTime};
use serde::Serialize;
use std::collections::BTreeSet;

/// The most entries of one list in the effects; `more` counts the rest.
const LISTED: usize = 64;

/// Somebody beside a prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Neighbour {
    /// What is held there.
    pub prefix: Prefix,
    /// By whom.
    pub holder: String,
}

/// Something to think of before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// A holder is without IPv6 from then on.
    LosesConnectivity,
    /// It can never be undone.
    NotUndoable,
    /// Hosts must be renumbered: a prefix goes and another comes.
    Renumbers,
    /// Stock clients are forgotten.
    DropsClients,
    /// An exit stops being one.
    LosesExit,
    /// Somebody gets rights over others' traffic: an exit or a broker.
    GrantsRole,
    /// What is freed cannot be given to others before the last certificate that names it has ended.
    KeptInQuarantine,
}

/// What a command would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Effects {
    /// Nothing: it is so already.
    pub nothing: bool,
    /// Holders that change, by name.
    pub holders: BTreeSet<String>,
    /// Keys that gain or lose something.
    pub keys: BTreeSet<PublicKey>,
    /// Prefixes that are in certificates from then on.
    pub gained: BTreeSet<Prefix>,
    /// Prefixes that are in no certificate any more.
    pub lost: BTreeSet<Prefix>,
    /// Prefixes that live on for a while beside a successor, and until when.
    pub retiring: BTreeSet<(Prefix, UnixTime)>,
    /// Entries left out of the lists above because they are long.
    pub more: usize,
    /// Certificates that are signed.
    pub certificates: usize,
    /// Revocations that are signed: they spread and are never forgotten.
    pub revocations: usize,
    /// Until when it can be undone as if it had not been; `None` if not at all, or if a contrary command is as good.
    pub undo_until: Option<UnixTime>,
    /// The nearest before and after what is gained.
    pub neighbours: BTreeSet<Neighbour>,
    /// Things to think of.
    pub warnings: BTreeSet<Warning>,
}

impl Registry {
    /// What `order` would do at `at` if `who` gave it, or why it would be refused. Nothing is changed. Where chance
    /// chooses (the address of a single host), what is shown is an example.
    pub fn preview(&self, at: UnixTime, who: &Actor, order: &Order) -> Result<Effects, Refusal> {
        let events = self.decide_order(at, who, order, &[0; 32])?;
        Ok(self.effects(&events))
    }

    /// What events do that are about to be applied.
    pub fn effects(&self, events: &[Event]) -> Effects {
        let mut effects = Effects { nothing: events.is_empty(), ..Effects::default() };
        // Names of holders and prefixes of delegations that come into being on the way.
        let mut after = Registry::default();
        for event in events {
            self.effect(event, &after, &mut effects);
            let keep =
                matches!(event.what, What::HolderAdded { .. } | What::KeyAdded { .. } | What::Granted { .. });
            if keep {
                after.apply(event);
            }
        }
        let both: Vec<Prefix> = effects.gained.intersection(&effects.lost).copied().collect();
        for prefix in both {
            effects.gained.remove(&prefix);
            effects.lost.remove(&prefix);
        }
        for prefix in &effects.gained {
            effects.neighbours.extend(self.neighbours(*prefix));
        }
        if !effects.retiring.is_empty() || (!effects.lost.is_empty() && !effects.gained.is_empty()) {
            effects.warnings.insert(Warning::Renumbers);
        }
        effects.bound();
        effects
    }

    fn effect(&self, event: &Event, after: &Registry, effects: &mut Effects) {
        let holder = self.holder_of(event).or_else(|| after.holder_of(event));
        let name = |id| self.holders.get(&id).or_else(|| after.holders.get(&id)).map(|h| h.name.clone());
        effects.holders.extend(holder.and_then(name));
        let of = |id: &DelegationId| self.delegations.get(id).map(|d| d.prefix);
        match &event.what {
            What::Granted { prefix, .. } => _ = effects.gained.insert(*prefix),
            What::Resized { id, prefix } => {
                effects.lost.extend(of(id));
                effects.gained.insert(*prefix);
            }
            What::Kept { .. } => _ = effects.warnings.insert(Warning::KeptInQuarantine),
            What::Retiring { id, until } => effects.retiring.extend(of(id).map(|prefix| (prefix, *until))),
            What::Suspended { holder, .. } => {
                effects.lost.extend(self.live_of(*holder));
                effects.warnings.insert(Warning::LosesConnectivity);
            }
            What::HolderRevoked { holder, until } => {
                effects.lost.extend(self.live_of(*holder));
                effects.warnings.insert(Warning::LosesConnectivity);
                let undone = !effects.warnings.contains(&Warning::NotUndoable);
                effects.undo_until = Some(*until).filter(|_| undone);
            }
            What::Quarantined { id, .. } => {
                let live = self.delegations.get(id).filter(|d| d.state.is_live());
                effects.lost.extend(live.map(|d| d.prefix));
                effects.warnings.insert(Warning::KeptInQuarantine);
            }
            What::Resumed { holder } | What::Restored { holder } => {
                effects.gained.extend(self.returning_of(*holder));
            }
            What::Issued(issue) => {
                effects.certificates += 1;
                effects.keys.insert(issue.key);
            }
            What::Revocation(revocation) => {
                effects.revocations += 1;
                if let Revoked::Key(key) = revocation.what {
                    effects.keys.insert(key);
                }
            }
            What::KeyRevoked { key, until, .. } => {
                effects.keys.insert(*key);
                let spoke = self.keys.get(key).is_some_and(|record| record.state == KeyState::Active);
                match until {
                    None if spoke || effects.undo_until.is_none() => {
                        effects.undo_until = None;
                        effects.warnings.insert(Warning::NotUndoable);
                    }
                    None => {}
                    Some(until) => effects.undo_until = Some(*until),
                }
            }
            What::KeyAdded { key, .. } | What::KeyRestored { key } | What::KeyLeft { key } => {
                effects.keys.insert(*key);
            }
            What::Denied { key, .. } => {
                effects.keys.insert(*key);
                effects.undo_until =
                    Some(event.at + core::time::Duration::from_secs(self.policy.denial_span));
            }
            What::LeafRemoved { .. } => _ = effects.warnings.insert(Warning::DropsClients),
            What::RolesSet { holder, roles } => {
                let before = self.holders.get(holder).map(|h| h.roles).unwrap_or_default();
                if before.exit && !roles.exit {
                    effects.warnings.insert(Warning::LosesExit);
                }
                if (roles.exit && !before.exit) || (roles.broker && !before.broker) {
                    effects.warnings.insert(Warning::GrantsRole);
                }
            }
            _ => {}
        }
    }

    fn delegations_held(&self, holder: HolderId) -> impl Iterator<Item = &Delegation> {
        let ids = self.holders.get(&holder).map(|h| h.delegations.iter());
        ids.into_iter().flatten().filter_map(|id| self.delegations.get(id))
    }

    fn live_of(&self, holder: HolderId) -> impl Iterator<Item = Prefix> {
        self.delegations_held(holder).filter(|d| d.state.is_live()).map(|d| d.prefix)
    }

    /// What a holder that is not active has again when it is.
    fn returning_of(&self, holder: HolderId) -> impl Iterator<Item = Prefix> {
        let back = |d: &&Delegation| d.state.can_return() || d.state == crate::DelegationState::Suspended;
        self.delegations_held(holder).filter(back).map(|d| d.prefix)
    }

    /// Who holds what comes directly before and after.
    fn neighbours(&self, prefix: Prefix) -> Vec<Neighbour> {
        let shown = |(prefix, id): &(Prefix, DelegationId)| {
            let holder = self.delegations.get(id).and_then(|d| self.holders.get(&d.holder))?;
            Some(Neighbour { prefix: *prefix, holder: holder.name.clone() })
        };
        let same_pool = |other: &&(Prefix, DelegationId)| {
            self.pool_of(prefix).is_some_and(|pool| pool.prefix.covers(other.0)) && !other.0.overlaps(prefix)
        };
        let before = self.given.range(..(prefix, DelegationId(0))).rev().find(same_pool);
        let after = self.given.range((prefix, DelegationId(u64::MAX))..).find(same_pool);
        before.into_iter().chain(after).filter_map(shown).collect()
    }
}

impl Effects {
    fn bound(&mut self) {
        fn cut<T: Ord + Clone>(list: &mut BTreeSet<T>) -> usize {
            let end = list.iter().nth(LISTED).cloned();
            end.map_or(0, |end| list.split_off(&end).len())
        }
        self.more = cut(&mut self.holders)
            + cut(&mut self.keys)
            + cut(&mut self.gained)
            + cut(&mut self.lost)
            + cut(&mut self.retiring);
        cut(&mut self.neighbours);
    }
}

impl Target {
    /// The target that a person named: a key if it reads as one, else a holder.
    pub fn named(text: &str) -> Self {
        text.parse().map_or_else(|_| Target::Holder(text.to_owned()), Target::Key)
    }
}
