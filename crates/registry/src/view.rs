//! What pages and tools show: plain structs, made when asked for.

use crate::id::{DelegationId, HolderId, InvitationId, RequestId};
use crate::invitation::{Invitation, Purpose};
use crate::order::{Revision, Subject};
use crate::policy::Pool;
use crate::proposal::proposed_slot;
use crate::registry::{
    Delegation, DelegationState, Holder, HolderState, KeyState, Registry, Request, Reservation, Roles, Tenure,
};
use core::time::Duration;
use ln6_types::{Prefix, PublicKey, UnixTime};
use serde::Serialize;

/// What a key is told when it asks how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has a certificate: this serial.
    Granted(u64),
    /// It waits, with so many before it.
    Waiting {
        /// Its request.
        request: RequestId,
        /// 0 is next.
        place: u32,
    },
    /// It was sent away.
    Denied {
        /// Why.
        reason: String,
        /// It may ask again then.
        until: UnixTime,
    },
    /// Its holder is suspended.
    Suspended,
    /// It is not trusted any more, or not until its revocation is undone.
    Revoked,
    /// Nothing is known of it, or it has gone.
    Unknown,
}

/// A key as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// The X25519 key.
    pub key: PublicKey,
    /// The node's name.
    pub name: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// The certificate in force.
    pub serial: Option<u64>,
    /// When that should have been renewed.
    pub not_after: Option<UnixTime>,
    /// When its rights end.
    pub grace_until: Option<UnixTime>,
}

/// A holder as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HolderView {
    /// Its number.
    pub id: HolderId,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: HolderState,
    /// What its keys may be.
    pub roles: Roles,
    /// Since when it is known.
    pub since: UnixTime,
    /// The key list that let it in.
    pub listed: Option<String>,
    /// The most octets a second; kept and shown, not enforced by others.
    pub rate: Option<u64>,
    /// What to name as seen in an [`Order`](crate::Order).
    pub revision: Revision,
    /// Its keys, past ones included.
    pub keys: Vec<KeyView>,
    /// Its prefixes.
    pub prefixes: Vec<PrefixView>,
}

/// A delegation as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrefixView {
    /// Its number.
    pub id: DelegationId,
    /// The prefix.
    pub prefix: Prefix,
    /// The holder's name.
    pub holder: String,
    /// Where it is in its life.
    pub state: DelegationState,
    /// Since when.
    pub since: UnixTime,
    /// The last moment a certificate names it.
    pub named_until: UnixTime,
    /// The shortest length it could grow to in place just now.
    pub grows_to: u8,
    /// The keys that speak for its holder.
    pub keys: Vec<PublicKey>,
}

/// A pool as shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoolView {
    /// The pool and its policy.
    #[serde(flatten)]
    pub pool: Pool,
    /// How many delegations it holds, quarantined ones included.
    pub delegations: usize,
    /// How many default-sized slots would fit at most, and how many of those are untouched; 0 for host-only pools.
    pub slots: u64,
    /// See `slots`.
    pub free: u64,
    /// Which share of its addresses is delegated, 0 to 1.
    pub share: f64,
}

/// How things are, in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Every pool.
    pub pools: Vec<PoolView>,
    /// Active holders.
    pub holders: usize,
    /// Requests that wait.
    pub requests: usize,
    /// Invitations that can still be used.
    pub invitations: usize,
}

/// A request as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestView {
    /// What was asked.
    #[serde(flatten)]
    pub request: Request,
    /// What the network name points at.
    pub proposal: Option<Prefix>,
    /// Whether that is free.
    pub proposal_free: bool,
    /// Whether a holder is called already as it would like to be.
    pub name_taken: bool,
    /// What to name as seen in an [`Order`](crate::Order).
    pub revision: Revision,
}

/// A denial as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DenialView {
    /// Who was sent away.
    pub key: PublicKey,
    /// What it had asked for; [`Command::Reconsider`](crate::Command::Reconsider) brings it back by its number.
    pub request: Option<Request>,
    /// When it was denied.
    pub at: UnixTime,
    /// It may ask again then.
    pub until: UnixTime,
    /// What it was told.
    pub reason: String,
}

/// A reservation as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReservationView {
    /// What is kept, for whom, and why.
    #[serde(flatten)]
    pub reservation: Reservation,
    /// What to name as seen in an [`Order`](crate::Order).
    pub revision: Revision,
}

/// An invitation as shown: never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvitationView {
    /// Its number.
    pub id: InvitationId,
    /// `open`, `used`, `expired` or `withdrawn`.
    pub state: &'static str,
    /// The name its user gets.
    pub name: Option<String>,
    /// The length its user gets.
    pub size: Option<u8>,
    /// What using it does.
    pub purpose: Purpose,
    /// From then on it is refused.
    pub expires: UnixTime,
    /// Who has burnt it.
    pub used_by: Option<PublicKey>,
}

/// One answer to "who held this prefix then".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryView {
    /// What was held.
    pub prefix: Prefix,
    /// By whom.
    pub holder: HolderId,
    /// By which name.
    pub name: String,
    /// With which keys, at the moment asked for or all the while.
    pub keys: Vec<PublicKey>,
    /// From.
    pub from: UnixTime,
    /// To; `None` while it lasts.
    pub to: Option<UnixTime>,
}

impl Registry {
    /// How a key stands.
    pub fn standing(&self, at: UnixTime, key: &PublicKey) -> Standing {
        if let Some(id) = self.asking.get(key) {
            let place = self.requests.keys().take_while(|waiting| *waiting < id).count();
            return Standing::Waiting { request: *id, place: u32::try_from(place).unwrap_or(u32::MAX) };
        }
        if let Some(denial) = self.denials.get(key) {
            let until = denial.at + Duration::from_secs(self.policy.denial_span);
            if until > at {
                return Standing::Denied { reason: denial.reason.clone(), until };
            }
        }
        let Some(record) = self.keys.get(key) else { return Standing::Unknown };
        let holder = self.holders.get(&record.holder).map(|h| h.state);
        match (record.state, holder, self.certificate_of(key)) {
            (KeyState::Revoked { .. } | KeyState::Barred, _, _) => Standing::Revoked,
            (KeyState::Active, Some(HolderState::Suspended), _) => Standing::Suspended,
            (_, Some(HolderState::Active), Some(issue)) => Standing::Granted(issue.serial),
            _ => Standing::Unknown,
        }
    }

    /// Every holder; gone ones if asked for.
    pub fn holder_views(&self, gone: bool) -> Vec<HolderView> {
        let shown = self.holders.values().filter(|h| gone || h.state != HolderState::Gone);
        shown.map(|holder| self.holder_view(holder)).collect()
    }

    /// The holder of this name, unless it is gone.
    pub fn holder_view_named(&self, name: &str) -> Option<HolderView> {
        self.holder_named(name).map(|holder| self.holder_view(holder))
    }

    pub(crate) fn holder_view(&self, h: &Holder) -> HolderView {
        HolderView {
            id: h.id,
            name: h.name.clone(),
            state: h.state,
            roles: h.roles,
            since: h.since,
            listed: h.listed.clone(),
            rate: h.rate,
            revision: self.revision(Subject::Holder(h.id)).unwrap_or_default(),
            keys: h.keys.iter().filter_map(|key| self.key_view(h.id, key)).collect(),
            prefixes: h.delegations.iter().filter_map(|id| self.grown_view(*id)).collect(),
        }
    }

    fn key_view(&self, holder: HolderId, key: &PublicKey) -> Option<KeyView> {
        let record = self.keys.get(key).filter(|record| record.holder == holder)?;
        let issue = self.certificate_of(key);
        Some(KeyView {
            key: *key,
            name: record.name.clone(),
            state: record.state,
            serial: issue.map(|i| i.serial),
            not_after: issue.map(|i| i.not_after),
            grace_until: issue.map(|i| i.grace_until),
        })
    }

    fn prefix_view(&self, id: DelegationId) -> Option<PrefixView> {
        let d = self.delegations.get(&id)?;
        let holder = self.holders.get(&d.holder)?;
        Some(PrefixView {
            id,
            prefix: d.prefix,
            holder: holder.name.clone(),
            state: d.state,
            since: d.since,
            named_until: d.named_until,
            grows_to: d.prefix.len(),
            keys: self.active_keys(holder).copied().collect(),
        })
    }

    /// Every delegation that is not free, in order of prefix.
    pub fn prefix_views(&self) -> Vec<PrefixView> {
        self.given.iter().filter_map(|(_, id)| self.grown_view(*id)).collect()
    }

    /// A delegation, with how far it could grow.
    pub(crate) fn grown_view(&self, id: DelegationId) -> Option<PrefixView> {
        let mut view = self.prefix_view(id)?;
        if view.state.is_live() && view.prefix.len() <= 64 {
            let d = self.delegations.get(&id)?;
            let pool = self.pool_of(view.prefix).map_or(view.prefix.len(), |pool| pool.prefix.len());
            // What has no room has none with more around it.
            let blocks = (pool..view.prefix.len()).rev().map(|len| Prefix::new(view.prefix.network(), len));
            let room = blocks.take_while(|block| self.may_grow(d, &view.holder, *block)).last();
            view.grows_to = room.map_or(view.prefix.len(), Prefix::len);
        }
        Some(view)
    }

    /// Whether all that is taken in `block` is the delegation itself, its holder's own past, or kept for its holder.
    fn may_grow(&self, d: &Delegation, name: &str, block: Prefix) -> bool {
        let own = |(_, other): &&(Prefix, DelegationId)| {
            let past = |o: &Delegation| {
                o.holder == d.holder && matches!(o.state, DelegationState::Quarantined { .. })
            };
            *other == d.id || self.delegations.get(other).is_some_and(past)
        };
        let given = self.given.range((block, DelegationId(0))..);
        let mut inside = given.take_while(|(prefix, _)| block.covers(*prefix));
        let kept = self.reservations.range(block..).take_while(|(prefix, _)| block.covers(**prefix));
        let hosts = self.pools.values().filter_map(|pool| pool.hosts);
        inside.all(|entry| own(&entry))
            && kept.map(|(_, kept)| kept).all(|kept| kept.name.as_deref() == Some(name))
            && !hosts.into_iter().any(|hosts| hosts.overlaps(block))
    }

    /// Every pool with what is left of it.
    pub fn pool_views(&self) -> Vec<PoolView> {
        let view = |pool: &Pool| {
            let within = || self.delegations.values().filter(|d| pool.prefix.covers(d.prefix));
            let len = pool.default_len;
            let slots =
                if len > 64 { 0 } else { 1u64.checked_shl(u32::from(len - pool.prefix.len())).unwrap_or(0) };
            let kept = self.reservations.keys().copied().filter(|p| pool.prefix.covers(*p));
            let mut used: Vec<Prefix> = within().map(|d| d.prefix).chain(kept).chain(pool.hosts).collect();
            used.sort_unstable();
            used.dedup_by(|later, earlier| earlier.covers(*later));
            let mut blocks: Vec<Prefix> =
                used.iter().map(|p| Prefix::new(p.network(), p.len().min(len))).collect();
            blocks.dedup();
            let touched =
                blocks.iter().map(|p| 1u64.checked_shl(u32::from(len.saturating_sub(p.len()))).unwrap_or(0));
            let free = slots.saturating_sub(touched.fold(0, u64::saturating_add));
            let part = |d: &Delegation| (-f64::from(d.prefix.len() - pool.prefix.len())).exp2();
            let share = within().map(part).sum();
            PoolView { pool: pool.clone(), delegations: within().count(), slots, free, share }
        };
        self.pools.values().map(view).collect()
    }

    /// How things are at `at`, in numbers.
    pub fn summary(&self, at: UnixTime) -> Summary {
        Summary {
            pools: self.pool_views(),
            holders: self.holders.values().filter(|holder| holder.state == HolderState::Active).count(),
            requests: self.requests.len(),
            invitations: self.invitations.values().filter(|one| one.state(at) == "open").count(),
        }
    }

    /// The queue, oldest first.
    pub fn request_views(&self) -> Vec<RequestView> {
        let taken = self.taken_for_subnets("", None);
        let view = |request: &Request| {
            let pools = self.pools.values().filter(|pool| pool.open);
            let slot = |pool: &Pool| {
                let size = request.size.unwrap_or(pool.default_len);
                proposed_slot(pool.prefix, size, request.ssid.as_deref()?).filter(|_| size <= 64)
            };
            let proposal = pools.filter_map(slot).next();
            let proposal_free = proposal.is_some_and(|slot| taken.overlapping(slot).is_none());
            let revision = self.revision(Subject::Request(request.id)).unwrap_or_default();
            let name_taken = self.holder_named(&request.name).is_some();
            RequestView { request: request.clone(), proposal, proposal_free, name_taken, revision }
        };
        self.requests.values().map(view).collect()
    }

    /// Every denial that lasts at `at`, newest first.
    pub fn denial_views(&self, at: UnixTime) -> Vec<DenialView> {
        let span = Duration::from_secs(self.policy.denial_span);
        let lasting = self.denials.iter().filter(|(_, denial)| denial.at + span > at);
        let mut views: Vec<DenialView> = lasting
            .map(|(key, denial)| DenialView {
                key: *key,
                request: denial.request.clone(),
                at: denial.at,
                until: denial.at + span,
                reason: denial.reason.clone(),
            })
            .collect();
        views.sort_by_key(|view| (core::cmp::Reverse(view.at), view.key));
        views
    }

    /// All reservations, in order of prefix.
    pub fn reservation_views(&self) -> Vec<ReservationView> {
        let view = |kept: &Reservation| ReservationView {
            reservation: kept.clone(),
            revision: self.revision(Subject::Reservation(kept.prefix)).unwrap_or_default(),
        };
        self.reservations.values().map(view).collect()
    }

    /// All invitations, and how they stand at `at`.
    pub fn invitation_views(&self, at: UnixTime) -> Vec<InvitationView> {
        let view = |i: &Invitation| InvitationView {
            id: i.id,
            state: i.state(at),
            name: i.name.clone(),
            size: i.size,
            purpose: i.purpose,
            expires: i.expires,
            used_by: i.used_by,
        };
        self.invitations.values().map(view).collect()
    }

    /// Who held `prefix`, a part of it or the whole it is part of, at `at`; the keys are those of that moment.
    pub fn history_of(&self, prefix: Prefix, at: UnixTime) -> Vec<HistoryView> {
        let then = |t: &&Tenure| t.prefix.overlaps(prefix) && t.from <= at && t.to.is_none_or(|to| at < to);
        self.tenures.iter().filter(then).map(|t| self.history_view(t, at, at)).collect()
    }

    /// Everybody who ever held `prefix`, a part of it or the whole it is part of, with every key they had meanwhile.
    pub fn tenures_of(&self, prefix: Prefix) -> Vec<HistoryView> {
        let tenures = self.tenures.iter().filter(|t| t.prefix.overlaps(prefix));
        tenures.map(|t| self.history_view(t, t.from, t.to.unwrap_or(UnixTime::FOREVER))).collect()
    }

    /// A tenure with the keys that spoke for its holder between two moments, both included.
    fn history_view(&self, tenure: &Tenure, first: UnixTime, last: UnixTime) -> HistoryView {
        let holder = self.holders.get(&tenure.holder);
        let spoke = |key: &&PublicKey| {
            let spans = self.keys.get(*key).map(|record| record.spans.iter());
            let mut own = spans.into_iter().flatten().filter(|(whose, _, _)| *whose == tenure.holder);
            own.any(|(_, from, to)| *from <= last && to.is_none_or(|to| first <= to))
        };
        HistoryView {
            prefix: tenure.prefix,
            holder: tenure.holder,
            name: holder.map(|h| h.name.clone()).unwrap_or_default(),
            keys: holder.map(|h| h.keys.iter().filter(spoke).copied().collect()).unwrap_or_default(),
            from: tenure.from,
            to: tenure.to,
        }
    }
}
