//! What time brings about.

use super::Draft;
use crate::event::{Cause, Event, What};
use crate::id::{DelegationId, HolderId};
use crate::registry::{DelegationState, HolderState, KeyRecord, KeyState};
use core::time::Duration;
use ln6_types::PublicKey;
use std::collections::{BTreeMap, BTreeSet};

impl Draft<'_> {
    pub(super) fn expire(&mut self) {
        self.expire_requests();
        self.expire_keys();
        self.end_graces();
        self.expire_delegations();
    }

    fn expire_requests(&mut self) {
        let span = Duration::from_secs(self.registry.policy.request_span);
        let at = self.at;
        for request in self.registry.requests.values().filter(|r| r.since + span <= at) {
            self.push(What::RequestExpired { id: request.id });
        }
    }

    /// Keys whose last certificate has ended, and holders that are left without one.
    fn expire_keys(&mut self) {
        let (registry, at) = (self.registry, self.at);
        let ended = |record: &KeyRecord| {
            let ends = record.serials.iter().filter_map(|serial| registry.issues.get(serial));
            record.state == KeyState::Active && ends.map(|i| i.grace_until).max().is_none_or(|end| end <= at)
        };
        for holder in registry.holders.values().filter(|h| h.state == HolderState::Active) {
            let over = |key: &&PublicKey| registry.keys.get(*key).is_some_and(ended);
            let lapsed: Vec<_> = registry.active_keys(holder).filter(over).collect();
            for key in &lapsed {
                self.push(What::KeyLapsed { key: **key });
            }
            if !lapsed.is_empty() && lapsed.len() == registry.active_keys(holder).count() {
                self.vacate(holder);
            }
        }
    }

    /// Keys whose revocation can be undone no more.
    fn end_graces(&mut self) {
        let registry = self.registry;
        for (key, record) in &registry.keys {
            let over = matches!(record.state, KeyState::Revoked { until } if until <= self.at);
            if let Some(holder) = registry.holders.get(&record.holder).filter(|_| over) {
                self.bar_key(key, holder, Cause::Revoked, "");
            }
        }
    }

    fn expire_delegations(&mut self) {
        let vacated: BTreeSet<DelegationId> = self.events.iter().filter_map(quarantined).collect();
        let due: Vec<_> = self.registry.delegations.values().filter(|d| !vacated.contains(&d.id)).collect();
        // A holder's moves that end together end in one certificate: none that names what has just gone.
        let mut ended: BTreeMap<HolderId, Vec<_>> = BTreeMap::new();
        for delegation in &due {
            if matches!(delegation.state, DelegationState::Retiring { until } if until <= self.at) {
                ended.entry(delegation.holder).or_default().push(*delegation);
            }
        }
        for (holder, ended) in ended {
            self.retire(holder, &ended);
        }
        for delegation in due {
            match delegation.state {
                DelegationState::Revoked { until } if until <= self.at => self.quarantine(delegation, true),
                DelegationState::Quarantined { until, .. }
                    if until.max(delegation.named_until) <= self.at =>
                {
                    self.push(What::Freed { id: delegation.id });
                }
                _ => {}
            }
        }
    }
}

fn quarantined(event: &Event) -> Option<DelegationId> {
    match event.what {
        What::Quarantined { id, .. } => Some(id),
        _ => None,
    }
}
