//! What the command line and the pages can list.

use crate::journal::Contact;
use ln6_registry::{HistoryView, HolderView, InvitationView, PoolView, PrefixView, Registry, RequestView};
use ln6_types::{Prefix, UnixTime};
use serde::Serialize;

/// Which list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// Holders with their keys and prefixes.
    Holders {
        /// Past ones as well.
        gone: bool,
    },
    /// Delegations that are not free.
    Prefixes,
    /// Pools and what is left of them.
    Pools,
    /// The queue, oldest first.
    Requests,
    /// Invitations, never their secrets.
    Invitations,
    /// Who held a prefix, a part of it or the whole around it.
    History {
        /// Which.
        prefix: Prefix,
        /// At this moment; at any time if not given.
        at: Option<UnixTime>,
    },
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

/// A list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)] // the names are those of `List`
pub enum Listed {
    Holders(Vec<HolderView>),
    Prefixes(Vec<PrefixView>),
    Pools(Vec<PoolView>),
    Requests(Vec<Asked>),
    Invitations(Vec<InvitationView>),
    History(Vec<HistoryView>),
}

pub(crate) fn list(registry: &Registry, contacts: &[Contact], now: UnixTime, what: &List) -> Listed {
    match what {
        List::Holders { gone } => Listed::Holders(registry.holder_views(*gone)),
        List::Prefixes => Listed::Prefixes(registry.prefix_views()),
        List::Pools => Listed::Pools(registry.pool_views()),
        List::Requests => Listed::Requests(asked(registry, contacts)),
        List::Invitations => Listed::Invitations(registry.invitation_views(now)),
        List::History { prefix, at: Some(at) } => Listed::History(registry.history_of(*prefix, *at)),
        List::History { prefix, at: None } => Listed::History(registry.tenures_of(*prefix)),
    }
}

fn asked(registry: &Registry, contacts: &[Contact]) -> Vec<Asked> {
    let contact =
        |view: &RequestView| contacts.iter().find(|c| c.key == view.request.key).map(|c| c.text.clone());
    let views = registry.request_views().into_iter();
    views.map(|view| Asked { contact: contact(&view), view }).collect()
}
