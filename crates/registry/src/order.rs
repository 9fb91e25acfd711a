//! A command with why, and with what whoever gives it has seen.

use crate::command::{Command, Target};
use crate::event::{Event, What};
use crate::id::{HolderId, RequestId};
use crate::registry::Registry;
use ln6_types::{Prefix, PublicKey};
use serde::{Deserialize, Serialize};

/// Which state of a holder, request, reservation or pool somebody has seen: the number of the event that last changed it
/// (certificates that only carry later dates change nothing).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// What an administrator gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What to do.
    pub command: Command,
    /// Why: at most 200 octets of one line; kept in the journal with every event it brings about.
    pub reason: String,
    /// What the giver has seen of the command's subject (see [`Registry::revision_of`]). If that has changed meanwhile, the
    /// order is refused and nothing is lost. `None` does not ask.
    pub expect: Option<Revision>,
}

impl From<Command> for Order {
    fn from(command: Command) -> Self {
        Order { command, reason: String::new(), expect: None }
    }
}

/// What changes as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Holder(HolderId),
    Request(RequestId),
    Reservation(Prefix),
    Pool(Prefix),
    Policy,
}

impl Command {
    /// The reason that the command itself carries.
    pub fn reason(&self) -> &str {
        match self {
            Command::Revoke { reason, .. }
            | Command::Suspend { reason, .. }
            | Command::Deny { reason, .. } => reason,
            _ => "",
        }
    }
}

impl Registry {
    /// How many events made this registry: the number of the newest one in the journal.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The revision of what `command` is about; `None` if it is about nothing that is there.
    pub fn revision_of(&self, command: &Command) -> Option<Revision> {
        self.subject_of(command).and_then(|subject| self.revision(subject))
    }

    pub(crate) fn revision(&self, subject: Subject) -> Option<Revision> {
        self.revisions.get(&subject).copied().map(Revision)
    }

    fn subject_of(&self, command: &Command) -> Option<Subject> {
        let named = |name: &str| self.names.get(name).copied().map(Subject::Holder);
        let of_key = |key: &PublicKey| self.keys.get(key).map(|record| Subject::Holder(record.holder));
        match command {
            Command::SetPool(pool) => Some(Subject::Pool(pool.prefix)),
            Command::SetPolicy(_) => Some(Subject::Policy),
            Command::Reserve { prefix, .. } | Command::Unreserve { prefix } => {
                Some(Subject::Reservation(*prefix))
            }
            Command::Approve { request, .. }
            | Command::Deny { request, .. }
            | Command::Reconsider { request } => Some(Subject::Request(*request)),
            Command::SetRoles { holder, .. }
            | Command::AddKey { holder, .. }
            | Command::Suspend { holder, .. }
            | Command::SetRate { holder, .. }
            | Command::Rename { holder, .. }
            | Command::SetCard { holder, .. }
            | Command::Resume { holder }
            | Command::Replace { holder, .. } => named(holder),
            Command::Revoke { target, .. } | Command::Restore { target } => match target {
                Target::Holder(name) => named(name),
                Target::Key(key) => of_key(key),
            },
            Command::Renumber { from, .. } => Some(Subject::Pool(*from)),
            Command::Unlist { key }
            | Command::ResizeListed { key, .. }
            | Command::ContactListed { key, .. } => of_key(key),
            Command::Resize { delegation, .. } => {
                self.delegations.get(delegation).map(|d| Subject::Holder(d.holder))
            }
            _ => None,
        }
    }

    /// Which holder an event is about. Ask before it is applied: afterwards what it ends is not known any more.
    pub fn holder_of(&self, event: &Event) -> Option<HolderId> {
        let of_key = |key: &PublicKey| self.keys.get(key).map(|record| record.holder);
        let of_delegation = |id| self.delegations.get(id).map(|d| d.holder);
        match &event.what {
            What::HolderAdded { id, .. } => Some(*id),
            What::RolesSet { holder, .. }
            | What::KeyAdded { holder, .. }
            | What::Granted { holder, .. }
            | What::Kept { holder, .. }
            | What::Suspended { holder, .. }
            | What::Resumed { holder }
            | What::Restored { holder }
            | What::Listed { holder, .. }
            | What::RateSet { holder, .. }
            | What::Renamed { holder, .. }
            | What::ContactChanged { holder }
            | What::NoteChanged { holder }
            | What::HolderRevoked { holder, .. } => Some(*holder),
            What::KeyRevoked { key, .. }
            | What::KeyRestored { key }
            | What::KeyLeft { key }
            | What::KeyLapsed { key } => of_key(key),
            What::Resized { id, .. }
            | What::Retiring { id, .. }
            | What::Quarantined { id, .. }
            | What::Freed { id } => of_delegation(id),
            What::Issued(issue) => of_key(&issue.key),
            What::LeafAdded(leaf) => Some(leaf.holder),
            What::LeafRemoved { key } => self.leaves.get(key).map(|leaf| leaf.holder),
            _ => None,
        }
    }

    /// Which prefixes an event is about; ask before it is applied. Certificates are not counted: what they name was
    /// granted by another event.
    pub fn prefixes_of(&self, event: &Event) -> Vec<Prefix> {
        let of = |id| self.delegations.get(id).map(|d| d.prefix);
        match &event.what {
            What::PoolSet(pool) => vec![pool.prefix],
            What::Reserved(kept) => vec![kept.prefix],
            What::Unreserved { prefix } | What::Granted { prefix, .. } | What::Kept { prefix, .. } => {
                vec![*prefix]
            }
            What::Resized { id, prefix } => of(id).into_iter().chain([*prefix]).collect(),
            What::Retiring { id, .. } | What::Quarantined { id, .. } | What::Freed { id } => {
                of(id).into_iter().collect()
            }
            What::Suspended { holder, .. }
            | What::Resumed { holder }
            | What::Restored { holder }
            | What::HolderRevoked { holder, .. } => {
                let ids = self.holders.get(holder).map(|h| h.delegations.iter());
                ids.into_iter().flatten().filter_map(of).collect()
            }
            What::LeafAdded(leaf) => vec![leaf.prefix],
            What::LeafRemoved { key } => self.leaves.get(key).map(|leaf| leaf.prefix).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Which revision an event moves on.
    pub(crate) fn moves(&self, event: &Event) -> Option<Subject> {
        match &event.what {
            What::PoolSet(pool) => Some(Subject::Pool(pool.prefix)),
            What::PolicySet(_) => Some(Subject::Policy),
            What::Reserved(kept) => Some(Subject::Reservation(kept.prefix)),
            What::Unreserved { prefix } => Some(Subject::Reservation(*prefix)),
            What::Requested(request) => Some(Subject::Request(request.id)),
            What::Approved { id } | What::Denied { id, .. } | What::RequestExpired { id } => {
                Some(Subject::Request(*id))
            }
            What::Issued(_) | What::LeafAdded(_) | What::LeafRemoved { .. } => None,
            _ => self.holder_of(event).map(Subject::Holder),
        }
    }
}
