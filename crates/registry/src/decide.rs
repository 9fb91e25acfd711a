//! Command to events, or a named refusal. Nothing is changed here.

mod admission;
mod choice;
mod expiry;
mod leaf;
mod listed;
mod renumber;
mod revocation;
mod rule;
mod tenancy;

use crate::command::{Actor, Command, Target};
use crate::event::{Cause, Event, Issue, Revocation, Revoked, V1, What};
use crate::id::HolderId;
use crate::invitation::Purpose;
use crate::order::{Order, Revision};
use crate::refusal::Refusal;
use crate::registry::{Delegation, DelegationState, Holder, KeyRecord, Leaf, Registry, Roles};
use core::time::Duration;
use ln6_types::{Prefix, PublicKey, UnixTime, VerifyKey};

impl Registry {
    /// What `command` brings about at `at` (seconds of the wall clock) if `who` gives it. No events means that it is
    /// so already. `entropy` numbers hosts and makes the secret of an invitation; never give the same twice.
    pub fn decide(
        &self,
        at: UnixTime,
        who: &Actor,
        command: &Command,
        entropy: &[u8; 32],
    ) -> Result<Vec<Event>, Refusal> {
        self.weigh(at, who, command, "", None, entropy)
    }

    /// The same for an order: with why, and what whoever gave it has seen.
    pub fn decide_order(
        &self,
        at: UnixTime,
        who: &Actor,
        order: &Order,
        entropy: &[u8; 32],
    ) -> Result<Vec<Event>, Refusal> {
        self.weigh(at, who, &order.command, &order.reason, order.expect, entropy)
    }

    fn weigh(
        &self,
        at: UnixTime,
        who: &Actor,
        command: &Command,
        reason: &str,
        expect: Option<Revision>,
        entropy: &[u8; 32],
    ) -> Result<Vec<Event>, Refusal> {
        allowed(self, who, command)?;
        rule::reason_fits(reason)?;
        if expect.is_some_and(|seen| self.revision_of(command) != Some(seen)) {
            return Err(Refusal::StateChanged("somebody else has changed it meanwhile"));
        }
        let mut draft = Draft::new(self, at, who, entropy);
        draft.reason = if reason.is_empty() { command.reason() } else { reason };
        draft.run(command)?;
        Ok(draft.events)
    }

    /// What time has brought about until `at`. Apply it and ask again until nothing is left.
    pub fn expiries_until(&self, at: UnixTime) -> Vec<Event> {
        let mut draft = Draft::new(self, at, &Actor::Clock, &[0; 32]);
        draft.expire();
        draft.events
    }
}

impl Registry {
    /// Whether a command decides who speaks for a holder that is an exit or a broker, or whether it stays one.
    fn is_of_the_core(&self, command: &Command) -> bool {
        let core = |holder: &Holder| holder.roles.exit || holder.roles.broker;
        let named = |name: &str| self.holder_named(name).is_some_and(core);
        let target = |target: &Target| match target {
            Target::Holder(name) => named(name),
            Target::Key(key) => {
                self.keys.get(key).and_then(|record| self.holders.get(&record.holder)).is_some_and(core)
            }
        };
        match command {
            Command::Approve { holder: Some(name), .. }
            | Command::AddKey { holder: name, .. }
            | Command::Replace { holder: name, .. }
            | Command::Suspend { holder: name, .. }
            | Command::Resume { holder: name } => named(name),
            Command::Revoke { target: who, .. } | Command::Restore { target: who } => target(who),
            Command::Invite(new) => match new.purpose {
                Purpose::Admit => false,
                Purpose::AddKey(id) | Purpose::Replace(id) => self.holders.get(&id).is_some_and(core),
            },
            // A list may name the key that an exit has; it may not give the exit another one.
            Command::AdmitListed { name, key, .. } => {
                let own = self.keys.get(key).and_then(|record| self.holders.get(&record.holder));
                named(name) && own.is_none_or(|own| own.name != *name)
            }
            Command::Unlist { key } => target(&Target::Key(*key)),
            _ => false,
        }
    }
}

/// Whether `who` may give such a command at all.
fn allowed(registry: &Registry, who: &Actor, command: &Command) -> Result<(), Refusal> {
    let own = |key: &PublicKey| *who == Actor::Node(*key);
    let own_leaf = |key| registry.leaf(key).is_some_and(|leaf| own(&leaf.host));
    match (who, command) {
        (Actor::Operator, _) | (_, Command::Expire) => Ok(()),
        (
            Actor::Admin(_) | Actor::Token(_),
            Command::SetPool(_) | Command::SetPolicy(_) | Command::SetRoles { .. } | Command::Renumber { .. },
        ) => Err(Refusal::NeedsOperator),
        // Whoever gives an exit's or a broker's place to another key makes an exit or a broker; whoever takes it away
        // ends one.
        (Actor::Admin(_) | Actor::Token(_) | Actor::KeyList(_), command)
            if registry.is_of_the_core(command) =>
        {
            Err(Refusal::NeedsOperator)
        }
        (Actor::Admin(_) | Actor::Token(_), _) => Ok(()),
        (Actor::KeyList(_), Command::AdmitListed { .. } | Command::Unlist { .. }) => Ok(()),
        (_, Command::Join(join)) if own(&join.key) => Ok(()),
        (_, Command::Renew { key } | Command::Leave { key }) if own(key) => Ok(()),
        (_, Command::RegisterLeaf { host, .. }) if own(host) => Ok(()),
        (_, Command::RemoveLeaf { key }) if own_leaf(key) => Ok(()),
        _ => Err(Refusal::NotAllowed),
    }
}

/// Events in the making, and the numbers they have drawn.
struct Draft<'a> {
    registry: &'a Registry,
    at: UnixTime,
    who: &'a Actor,
    reason: &'a str,
    entropy: &'a [u8; 32],
    events: Vec<Event>,
    last_id: u64,
    last_serial: u64,
    last_revocation: u64,
}

impl<'a> Draft<'a> {
    fn new(registry: &'a Registry, at: UnixTime, who: &'a Actor, entropy: &'a [u8; 32]) -> Self {
        Draft {
            registry,
            at,
            who,
            reason: "",
            entropy,
            events: Vec::new(),
            last_id: registry.last_id,
            last_serial: registry.last_serial,
            last_revocation: registry.last_revocation(),
        }
    }

    fn run(&mut self, command: &Command) -> Result<(), Refusal> {
        match command {
            Command::SetPool(pool) => self.set_pool(pool),
            Command::SetPolicy(policy) => self.set_policy(policy),
            Command::SetRoles { holder, roles } => self.set_roles(holder, *roles),
            Command::Reserve { prefix, name, note } => self.reserve(*prefix, name.as_deref(), note),
            Command::Unreserve { prefix } => self.unreserve(*prefix),
            Command::Invite(new) => self.invite(new),
            Command::Withdraw { invitation } => self.withdraw(*invitation),
            Command::Join(join) => self.join(join),
            Command::Renew { key } => self.renew(key),
            Command::Approve { request, prefix, size, name, holder } => {
                self.approve(*request, *prefix, *size, name.as_deref(), holder.as_deref())
            }
            Command::Deny { request, reason } => self.deny(*request, reason),
            Command::Admit { join, prefix } => self.admit_directly(join, *prefix),
            Command::AddKey { holder, key, sign } => {
                self.named(holder).and_then(|h| self.add_key(h, *key, *sign))
            }
            Command::Revoke { target, reason, compromised } => self.revoke(target, reason, *compromised),
            Command::Restore { target } => self.restore(target),
            Command::Reconsider { request } => self.reconsider(*request),
            Command::Suspend { holder, reason } => self.suspend(holder, reason),
            Command::AdmitListed { name, key, sign, size, contact } => {
                self.admit_listed(name, *key, *sign, *size, contact.as_deref())
            }
            Command::Unlist { key } => self.unlist(key),
            Command::SetRate { holder, rate } => self.set_rate(holder, *rate),
            Command::Rename { holder, to } => self.rename(holder, to),
            Command::Renumber { from, to } => self.renumber(*from, *to),
            Command::SetContact { holder, text } => self.set_contact(holder, text),
            Command::SetNote { holder, text } => self.set_note(holder, text),
            Command::Resume { holder } => self.resume(holder),
            Command::Replace { holder, with } => self.replace(holder, with),
            Command::Resize { delegation, size, moving } => self.resize(*delegation, *size, *moving),
            Command::Leave { key } => self.leave(key),
            Command::RegisterLeaf { host, name, key, size } => self.register_leaf(*host, name, *key, *size),
            Command::RemoveLeaf { key } => self.remove_leaf(*key),
            Command::Expire => {
                self.expire();
                Ok(())
            }
        }
    }

    fn push(&mut self, what: What) {
        let reason = self.reason.to_owned();
        self.events.push(Event { v: V1, at: self.at, who: self.who.clone(), reason, what });
    }

    fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    fn after(&self, seconds: u64) -> UnixTime {
        self.at + Duration::from_secs(seconds)
    }

    fn named(&self, name: &str) -> Result<&'a Holder, Refusal> {
        self.registry.holder_named(name).ok_or(Refusal::NotFound("holder"))
    }

    fn delegations_of(&self, holder: &'a Holder) -> impl Iterator<Item = &'a Delegation> + use<'a> {
        let registry = self.registry;
        holder.delegations.iter().filter_map(|id| registry.delegations.get(id))
    }

    fn live_prefixes(&self, holder: &'a Holder) -> Vec<Prefix> {
        self.delegations_of(holder).filter(|d| d.state.is_live()).map(|d| d.prefix).collect()
    }

    /// A certificate for one key.
    fn issue(&mut self, of: &Identity<'_>, mut prefixes: Vec<Prefix>) {
        prefixes.sort_unstable();
        prefixes.dedup_by(|later, earlier| earlier.covers(*later));
        let served = of.roles.exit || of.roles.broker;
        let pools = self.registry.pools.keys().copied().filter(|_| served).collect();
        let policy = &self.registry.policy;
        let (validity, grace, skew) = (policy.validity, policy.grace, Duration::from_secs(policy.skew));
        self.last_serial = self.last_serial.saturating_add(1);
        let issue = Issue {
            serial: self.last_serial,
            key: of.key,
            sign: of.sign,
            name: of.name.to_owned(),
            holder: of.holder.to_owned(),
            prefixes,
            pools,
            roles: of.roles,
            not_before: self.at - skew,
            not_after: self.after(validity),
            grace_until: self.after(validity.saturating_add(grace)),
        };
        self.push(What::Issued(issue));
    }

    /// New certificates for every active key of a holder.
    fn reissue(&mut self, holder: &'a Holder, roles: Roles, prefixes: &[Prefix]) {
        let registry = self.registry;
        for key in registry.active_keys(holder) {
            let Some(record) = registry.keys.get(key) else { continue };
            let of =
                Identity { key: *key, sign: record.sign, name: &record.name, holder: &holder.name, roles };
            self.issue(&of, prefixes.to_vec());
        }
    }

    fn revocation(&mut self, what: Revoked, cause: Cause, until: UnixTime) {
        self.last_revocation = self.last_revocation.saturating_add(1);
        self.push(What::Revocation(Revocation {
            number: self.last_revocation,
            what,
            cause,
            at: self.at,
            until,
        }));
    }

    /// Revokes every certificate of a key that still counts.
    fn revoke_serials(&mut self, record: &KeyRecord, cause: Cause) {
        for serial in &record.serials {
            let until = self.registry.issues.get(serial).map(|issue| issue.grace_until);
            let known = self.registry.revoked.contains(&Revoked::Serial(*serial));
            if let Some(until) = until.filter(|until| *until > self.at && !known) {
                self.revocation(Revoked::Serial(*serial), cause, until);
            }
        }
    }

    /// Until when nobody else may have the prefix: longer than any certificate names it.
    fn quarantine_until(&self, delegation: &Delegation) -> UnixTime {
        let named = delegation.named_until + Duration::from_secs(1);
        named.max(self.after(self.registry.policy.quarantine))
    }

    fn quarantine(&mut self, delegation: &Delegation, returns: bool) {
        let until = self.quarantine_until(delegation);
        self.push(What::Quarantined { id: delegation.id, until, returns });
        if !returns {
            let within =
                |leaf: &&Leaf| leaf.holder == delegation.holder && delegation.prefix.covers(leaf.prefix);
            for leaf in self.registry.leaves.values().filter(within) {
                self.push(What::LeafRemoved { key: leaf.key });
            }
        }
    }

    /// Ends what only lives on beside a successor.
    fn end_retiring(&mut self, holder: &'a Holder) {
        for delegation in self.delegations_of(holder) {
            if matches!(delegation.state, DelegationState::Retiring { .. }) {
                self.quarantine(delegation, false);
            }
        }
    }

    fn key_added(&mut self, holder: HolderId, key: PublicKey, sign: VerifyKey, name: &str) {
        self.push(What::KeyAdded { holder, key, sign, name: name.to_owned() });
    }
}

/// Whom a certificate names.
struct Identity<'n> {
    key: PublicKey,
    sign: VerifyKey,
    name: &'n str,
    holder: &'n str,
    roles: Roles,
}
