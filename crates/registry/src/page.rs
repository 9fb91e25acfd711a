//! Lists a page at a time: everything is sorted and counted, only what is shown becomes a view.

use crate::id::{DelegationId, HolderId};
use crate::registry::{Delegation, DelegationState, Holder, HolderState, Registry};
use crate::view::{HolderView, InvitationView, PrefixView};
use ln6_types::{Prefix, UnixTime};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;

/// The most rows of one page.
pub const PAGE: usize = 500;

/// Some rows of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// Those that were asked for.
    pub rows: Vec<T>,
    /// How many rows there are in all.
    pub total: usize,
    /// How many come before.
    pub offset: usize,
}

impl<T> Page<T> {
    /// The rows from `offset` on, at most `limit` and never more than [`PAGE`], of all.
    pub fn of<A>(all: Vec<A>, offset: usize, limit: usize, view: impl FnMut(A) -> Option<T>) -> Self {
        let total = all.len();
        let rows = all.into_iter().skip(offset).take(limit.min(PAGE)).filter_map(view).collect();
        Page { rows, total, offset }
    }

    /// The same page with other rows.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(change).collect(), total: self.total, offset: self.offset }
    }
}

/// In which order holders come; equal ones by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderSort {
    /// By name.
    #[default]
    Name,
    /// Oldest first.
    Since,
    /// In order of life: active, suspended, revoked, left, gone.
    State,
    /// By first prefix; those without one last.
    Prefix,
    /// By the end of the first certificate to be renewed; those without one last.
    Expiry,
}

/// Which holders, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HolderQuery {
    /// In the name of the holder or a node, in a key or a prefix; a whole prefix or address finds who holds (a part of)
    /// it. Capitals do not matter. Empty lets all through.
    pub text: String,
    /// Only those in this state (see [`HolderState::word`]).
    pub state: Option<String>,
    /// Past ones as well; implied by the state `gone`.
    pub gone: bool,
    /// The order.
    pub sort: HolderSort,
    /// The other way round.
    pub descending: bool,
    /// Rows to leave out at the beginning.
    pub offset: usize,
    /// Rows wanted, at most [`PAGE`].
    pub limit: usize,
}

impl Default for HolderQuery {
    fn default() -> Self {
        let (state, sort) = (None, HolderSort::Name);
        HolderQuery { text: String::new(), state, gone: false, sort, descending: false, offset: 0, limit: 50 }
    }
}

/// In which order prefixes come; equal ones by prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrefixSort {
    /// By address.
    #[default]
    Prefix,
    /// By holder's name.
    Holder,
    /// Oldest first.
    Since,
    /// Largest first.
    Size,
    /// In order of life: active, retiring, suspended, revoked, quarantined.
    State,
}

/// Which prefixes, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrefixQuery {
    /// In the holder's name or the prefix; a whole prefix or address finds what overlaps it.
    pub text: String,
    /// Only those in this state (see [`DelegationState::word`]).
    pub state: Option<String>,
    /// Only those that overlap this.
    pub within: Option<Prefix>,
    /// The order.
    pub sort: PrefixSort,
    /// The other way round.
    pub descending: bool,
    /// Rows to leave out at the beginning.
    pub offset: usize,
    /// Rows wanted, at most [`PAGE`].
    pub limit: usize,
}

impl Default for PrefixQuery {
    fn default() -> Self {
        let (state, within, sort) = (None, None, PrefixSort::Prefix);
        let text = String::new();
        PrefixQuery { text, state, within, sort, descending: false, offset: 0, limit: 50 }
    }
}

impl HolderState {
    /// `active`, `suspended`, `revoked`, `left` or `gone`.
    pub const fn word(self) -> &'static str {
        match self {
            HolderState::Active => "active",
            HolderState::Suspended => "suspended",
            HolderState::Revoked { .. } => "revoked",
            HolderState::Left => "left",
            HolderState::Gone => "gone",
        }
    }

    const fn rank(self) -> u8 {
        match self {
            HolderState::Active => 0,
            HolderState::Suspended => 1,
            HolderState::Revoked { .. } => 2,
            HolderState::Left => 3,
            HolderState::Gone => 4,
        }
    }
}

impl DelegationState {
    /// `active`, `retiring`, `suspended`, `revoked` or `quarantined`.
    pub const fn word(self) -> &'static str {
        match self {
            DelegationState::Active => "active",
            DelegationState::Retiring { .. } => "retiring",
            DelegationState::Suspended => "suspended",
            DelegationState::Revoked { .. } => "revoked",
            DelegationState::Quarantined { .. } => "quarantined",
        }
    }

    const fn rank(self) -> u8 {
        match self {
            DelegationState::Active => 0,
            DelegationState::Retiring { .. } => 1,
            DelegationState::Suspended => 2,
            DelegationState::Revoked { .. } => 3,
            DelegationState::Quarantined { .. } => 4,
        }
    }
}

/// What somebody typed into a search field.
struct Search {
    text: String,
    prefix: Option<Prefix>,
}

impl Search {
    fn new(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        let host = || text.parse::<Ipv6Addr>().ok().map(Prefix::host);
        Search { prefix: text.parse().ok().or_else(host), text }
    }

    fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.text)
    }

    fn finds(&self, prefix: Prefix) -> bool {
        match self.prefix {
            Some(wanted) => prefix.overlaps(wanted),
            None => self.is_in(&prefix.to_string()),
        }
    }
}

fn turned<T>(mut rows: Vec<T>, descending: bool) -> Vec<T> {
    if descending {
        rows.reverse();
    }
    rows
}

impl Registry {
    /// Some holders. Those in `also` are found by the search text as well (their contact or note may hold it, which is kept
    /// elsewhere).
    pub fn holder_page(&self, query: &HolderQuery, also: &BTreeSet<HolderId>) -> Page<HolderView> {
        let search = Search::new(&query.text);
        let gone = query.gone || query.state.as_deref() == Some("gone");
        let shown = |holder: &&Holder| {
            (gone || holder.state != HolderState::Gone)
                && query.state.as_ref().is_none_or(|word| holder.state.word() == word)
                && (search.text.is_empty() || also.contains(&holder.id) || self.found(holder, &search))
        };
        let mut holders: Vec<&Holder> = self.holders.values().filter(shown).collect();
        holders.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        match query.sort {
            HolderSort::Name => {}
            HolderSort::Since => holders.sort_by_key(|holder| holder.since),
            HolderSort::State => holders.sort_by_key(|holder| holder.state.rank()),
            HolderSort::Prefix => holders.sort_by_cached_key(|holder| {
                let first = self.delegations_in(holder).map(|d| d.prefix).min();
                (first.is_none(), first)
            }),
            HolderSort::Expiry => holders.sort_by_cached_key(|holder| {
                let ends = holder.keys.iter().filter_map(|key| self.certificate_of(key));
                ends.map(|issue| issue.not_after).min().unwrap_or(UnixTime::FOREVER)
            }),
        }
        let holders = turned(holders, query.descending);
        Page::of(holders, query.offset, query.limit, |holder| Some(self.holder_view(holder)))
    }

    fn delegations_in(&self, holder: &Holder) -> impl Iterator<Item = &Delegation> {
        holder.delegations.iter().filter_map(|id| self.delegations.get(id))
    }

    fn found(&self, holder: &Holder, search: &Search) -> bool {
        let in_key = |key| {
            let record = self.keys.get(key).filter(|record| record.holder == holder.id);
            record.is_some_and(|record| search.is_in(&record.name) || search.is_in(&key.to_string()))
        };
        let named = search.prefix.is_none() && (search.is_in(&holder.name) || holder.keys.iter().any(in_key));
        named || self.delegations_in(holder).any(|d| search.finds(d.prefix))
    }

    /// Some of the delegations that are not free.
    pub fn prefix_page(&self, query: &PrefixQuery) -> Page<PrefixView> {
        let search = Search::new(&query.text);
        let name = |d: &Delegation| self.holders.get(&d.holder).map_or("", |holder| &holder.name);
        let shown = |d: &&Delegation| {
            query.state.as_ref().is_none_or(|word| d.state.word() == word)
                && query.within.is_none_or(|within| d.prefix.overlaps(within))
                && (search.text.is_empty()
                    || search.finds(d.prefix)
                    || (search.prefix.is_none() && search.is_in(name(d))))
        };
        let in_order = self.given.iter().filter_map(|(_, id)| self.delegations.get(id));
        let mut found: Vec<&Delegation> = in_order.filter(shown).collect();
        match query.sort {
            PrefixSort::Prefix => {}
            PrefixSort::Holder => found.sort_by_key(|d| name(d)),
            PrefixSort::Since => found.sort_by_key(|d| d.since),
            PrefixSort::Size => found.sort_by_key(|d| d.prefix.len()),
            PrefixSort::State => found.sort_by_key(|d| d.state.rank()),
        }
        let ids: Vec<DelegationId> = turned(found, query.descending).into_iter().map(|d| d.id).collect();
        Page::of(ids, query.offset, query.limit, |id| self.grown_view(id))
    }

    /// Some invitations, newest first; of one state only, if given.
    pub fn invitation_page(
        &self,
        at: UnixTime,
        state: Option<&str>,
        offset: usize,
        limit: usize,
    ) -> Page<InvitationView> {
        let mut all = self.invitation_views(at);
        all.retain(|view| state.is_none_or(|state| view.state == state));
        all.sort_by_key(|view| Reverse(view.id));
        Page::of(all, offset, limit, Some)
    }
}
