//! The registry on disk and its desk: one thread that decides, journals, signs and answers. It never acknowledges what
//! is not on disk, and never waits for the network.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod answer;
mod desk;
mod error;
mod hearing;
mod issue;
mod journal;
pub mod keylist;
pub mod librenet6;
mod list;
mod store;

pub use answer::{CommandAnswer, Done, JoinAnswer, Refused};
pub use desk::{Desk, DeskHandle, Entropy, Reply, Thread};
pub use error::StoreError;
pub use hearing::{Heard, seen};
pub use issue::{IssueError, Issuer, Statements};
pub use journal::{AuditFilter, Card, CardChange, Found, FoundPage, Journal, Line, Owner};
pub use list::{Asked, AuditPage, AuditQuery, Audited, HolderCard, List, Listed};
pub use store::Store;
