//! What the command line and the pages can list.

use crate::answer::Refused;
use crate::error::StoreError;
use crate::journal::{AuditFilter, Card, Journal, Owner};
use ln6_registry::{
    Actor, DenialView, HistoryView, HolderId, HolderQuery, HolderView, InvitationView, PAGE, Page, Policy,
    PoolView, PrefixQuery, PrefixView, Refusal, Registry, RequestView, ReservationView, Space, Summary, What,
};
use ln6_types::{Prefix, UnixTime};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Which list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// All holders with their keys and prefixes. For thousands of them use `HolderPage`.
    Holders {
        /// Past ones as well.
        gone: bool,
    },
    /// Some holders, with contacts and notes; the search text is looked for in those, too.
    HolderPage(HolderQuery),
    /// One holder that is not gone, by name, with contact and note.
    Holder {
        /// Its name.
        name: String,
    },
    /// All delegations that are not free.
    Prefixes,
    /// Some delegations.
    PrefixPage(PrefixQuery),
    /// Pools and what is left of them.
    Pools,
    /// Pools, and how many holders, requests and invitations there are.
    Summary,
    /// The two hexadecimal digits below a block (see [`Registry::space`]).
    Space {
        /// Which.
        block: Prefix,
    },
    /// Spans and caps.
    Policy,
    /// Prefixes that are kept.
    Reservations,
    /// The queue, oldest first.
    Requests,
    /// Denials that last, newest first.
    Denials,
    /// All invitations, never their secrets.
    Invitations,
    /// Some invitations, newest first.
    InvitationPage {
        /// `open`, `used`, `expired` or `withdrawn`; all if not given.
        state: Option<String>,
        /// Rows to leave out at the beginning.
        offset: usize,
        /// Rows wanted, at most [`PAGE`].
        limit: usize,
    },
    /// Who held a prefix, a part of it or the whole around it.
    History {
        /// Which.
        prefix: Prefix,
        /// At this moment; at any time if not given.
        at: Option<UnixTime>,
    },
    /// What happened, newest first.
    Audit(AuditQuery),
}

/// Which lines of the journal; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only lines before this number; the newest if not given. See [`AuditPage::next`].
    pub before: Option<u64>,
    /// Lines wanted, 1 to [`PAGE`].
    pub limit: usize,
    /// About a holder of this name, gone ones included.
    pub holder: Option<String>,
    /// About this prefix, a part of it, or a whole around it.
    pub prefix: Option<Prefix>,
    /// By whom: `operator`, `clock`, `admin NAME`, `token NAME`, `list NAME`, `node KEY`; or the first word alone.
    pub actor: Option<String>,
    /// Of this kind (see [`What::kind`]).
    pub kind: Option<String>,
    /// Holding this text.
    pub text: Option<String>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audited {
    /// Its number: 1, 2, 3 …, in the order in which things happened.
    pub seq: u64,
    /// When.
    pub at: UnixTime,
    /// By whom.
    pub who: Actor,
    /// Why; empty if nothing was said.
    pub reason: String,
    /// What kind of event.
    pub kind: &'static str,
    /// The holder it is about.
    pub holder: Option<HolderId>,
    /// That holder's name.
    pub name: Option<String>,
    /// The prefixes it is about.
    pub prefixes: Vec<Prefix>,
    /// All of it.
    pub what: What,
}

/// Some lines of the journal, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditPage {
    /// The lines; perhaps fewer than wanted, even none, although there are more.
    pub rows: Vec<Audited>,
    /// Ask again with this as `before` for older ones; `None` at the end.
    pub next: Option<u64>,
}

/// A request with how to reach its people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The request.
    #[serde(flatten)]
    pub view: RequestView,
    /// As they wrote it.
    pub contact: Option<String>,
}

/// A holder with how to reach its people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HolderCard {
    /// The holder.
    #[serde(flatten)]
    pub view: HolderView,
    /// As administrators wrote it; else as the people of its first key did.
    pub contact: Option<String>,
    /// What administrators remember.
    pub note: Option<String>,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)] // the names are those of `List`
pub enum Listed {
    Holders(Vec<HolderView>),
    HolderPage(Page<HolderCard>),
    Holder(Box<HolderCard>),
    Prefixes(Vec<PrefixView>),
    PrefixPage(Page<PrefixView>),
    Pools(Vec<PoolView>),
    Summary(Summary),
    Space(Space),
    Policy(Policy),
    Reservations(Vec<ReservationView>),
    Requests(Vec<Asked>),
    Denials(Vec<DenialView>),
    Invitations(Vec<InvitationView>),
    InvitationPage(Page<InvitationView>),
    History(Vec<HistoryView>),
    Audit(AuditPage),
}

pub(crate) fn list(
    registry: &Registry,
    journal: &mut dyn Journal,
    now: UnixTime,
    what: &List,
) -> Result<Listed, Refused> {
    let read = |error: StoreError| Refused::from(&error);
    Ok(match what {
        List::Holders { gone } => Listed::Holders(registry.holder_views(*gone)),
        List::HolderPage(query) => {
            let page =
                registry.holder_page(query, &remembered(registry, journal, &query.text).map_err(read)?);
            let cards = cards_of(journal, page.rows.iter().flat_map(owners)).map_err(read)?;
            Listed::HolderPage(page.map(|view| holder_card(view, &cards)))
        }
        List::Holder { name } => {
            let not_found = || Refused::from(&Refusal::NotFound("holder"));
            let view = registry.holder_view_named(name).ok_or_else(not_found)?;
            let cards = cards_of(journal, owners(&view)).map_err(read)?;
            Listed::Holder(Box::new(holder_card(view, &cards)))
        }
        List::Prefixes => Listed::Prefixes(registry.prefix_views()),
        List::PrefixPage(query) => Listed::PrefixPage(registry.prefix_page(query)),
        List::Pools => Listed::Pools(registry.pool_views()),
        List::Summary => Listed::Summary(registry.summary(now)),
        List::Space { block } => Listed::Space(registry.space(*block)),
        List::Policy => Listed::Policy(registry.policy().clone()),
        List::Reservations => Listed::Reservations(registry.reservation_views()),
        List::Requests => Listed::Requests(asked(registry, journal).map_err(read)?),
        List::Denials => Listed::Denials(registry.denial_views(now)),
        List::Invitations => Listed::Invitations(registry.invitation_views(now)),
        List::InvitationPage { state, offset, limit } => {
            Listed::InvitationPage(registry.invitation_page(now, state.as_deref(), *offset, *limit))
        }
        List::History { prefix, at: Some(at) } => Listed::History(registry.history_of(*prefix, *at)),
        List::History { prefix, at: None } => Listed::History(registry.tenures_of(*prefix)),
        List::Audit(query) => Listed::Audit(audit(registry, journal, query).map_err(read)?),
    })
}

fn audit(
    registry: &Registry,
    journal: &mut dyn Journal,
    query: &AuditQuery,
) -> Result<AuditPage, StoreError> {
    let filter = AuditFilter {
        holders: query.holder.as_ref().map(|name| registry.holders_ever_named(name)),
        prefix: query.prefix,
        actor: query.actor.clone(),
        kind: query.kind.clone(),
        text: query.text.clone().filter(|text| !text.is_empty()),
    };
    let found = journal.find(query.before, query.limit.clamp(1, PAGE), &filter)?;
    let row = |found: crate::journal::Found| {
        let line = found.line;
        let name = line.holder.and_then(|id| registry.holder(id)).map(|holder| holder.name.clone());
        Audited {
            seq: found.seq,
            at: line.event.at,
            who: line.event.who,
            reason: line.event.reason,
            kind: line.event.what.kind(),
            holder: line.holder,
            name,
            prefixes: line.prefixes,
            what: line.event.what,
        }
    };
    Ok(AuditPage { rows: found.lines.into_iter().map(row).collect(), next: found.next })
}

/// Holders whose contact or note holds the text.
fn remembered(
    registry: &Registry,
    journal: &mut dyn Journal,
    text: &str,
) -> Result<BTreeSet<HolderId>, StoreError> {
    if text.trim().is_empty() {
        return Ok(BTreeSet::new());
    }
    let holder = |owner| match owner {
        Owner::Holder(id) => Some(id),
        Owner::Key(key) => registry.key(&key).map(|record| record.holder),
    };
    Ok(journal.cards_with(text.trim())?.into_iter().filter_map(holder).collect())
}

fn owners(view: &HolderView) -> impl Iterator<Item = Owner> + use<> {
    let keys: Vec<Owner> = view.keys.iter().map(|key| Owner::Key(key.key)).collect();
    std::iter::once(Owner::Holder(view.id)).chain(keys)
}

fn cards_of(
    journal: &mut dyn Journal,
    owners: impl Iterator<Item = Owner>,
) -> Result<BTreeMap<Owner, Card>, StoreError> {
    let cards = journal.cards(&owners.collect::<Vec<_>>())?;
    Ok(cards.into_iter().map(|card| (card.owner, card)).collect())
}

fn holder_card(view: HolderView, cards: &BTreeMap<Owner, Card>) -> HolderCard {
    let told = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let contact = owners(&view).filter_map(|owner| cards.get(&owner)).find_map(|card| told(&card.contact));
    let note = cards.get(&Owner::Holder(view.id)).and_then(|card| told(&card.note));
    HolderCard { view, contact, note }
}

fn asked(registry: &Registry, journal: &mut dyn Journal) -> Result<Vec<Asked>, StoreError> {
    let views = registry.request_views();
    let cards = cards_of(journal, views.iter().map(|view| Owner::Key(view.request.key)))?;
    let contact = |view: &RequestView| {
        let card = cards.get(&Owner::Key(view.request.key));
        card.map(|card| card.contact.clone()).filter(|text| !text.is_empty())
    };
    Ok(views.into_iter().map(|view| Asked { contact: contact(&view), view }).collect())
}
