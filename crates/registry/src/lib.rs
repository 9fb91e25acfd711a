//! Who holds which prefix. This crate never reads a clock, draws randomness or does I/O: a command and a time become
//! events or a named refusal, and the same events always make the same registry.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod apply;
mod command;
mod decide;
mod effects;
mod event;
mod id;
mod invitation;
mod merge;
mod name;
mod order;
mod page;
mod policy;
mod pool;
mod proposal;
mod refusal;
mod registry;
mod space;
mod view;

pub use command::{Actor, Command, Join, NewInvitation, Replacement, Target};
pub use effects::{Effects, Neighbour, Warning};
pub use event::{Cause, Event, Issue, Revocation, Revoked, V1, What};
pub use id::{DelegationId, HolderId, InvitationId, RequestId};
pub use invitation::{Digest, Invitation, Purpose, Secret};
pub use merge::{Seen, epoch_of};
pub use name::{derived_name, valid_name};
pub use order::{Order, Revision};
pub use page::{HolderQuery, HolderSort, PAGE, Page, PrefixQuery, PrefixSort};
pub use policy::{Admission, Policy, Pool};
pub use pool::{free_host, sparse};
pub use proposal::{network_id, proposed_slot};
pub use refusal::Refusal;
pub use registry::{
    Delegation, DelegationState, Denial, Holder, HolderState, KeyRecord, KeyState, Leaf, Registry, Request,
    Reservation, Roles, Tenure,
};
pub use space::{Cell, CellState, Space};
pub use view::{
    DenialView, HistoryView, HolderView, InvitationView, KeyView, PoolView, PrefixView, RequestView,
    ReservationView, Standing, Summary,
};
