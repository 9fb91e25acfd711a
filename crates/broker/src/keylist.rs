//! Who is in by a Git repository: one file a node, as LibreNet6 had it, polled and applied to the registry.
//!
//! What is read and what follows from it is decided without the world ([`Entry`], [`listing`], [`plan`]); [`Git`] runs
//! the program, [`Keeper`] has the clock and the registry. Whoever may push to the repository may let keys in and
//! suspend those that the list let in: nothing else, and never many at once.

mod entry;
mod git;
mod halt;
mod keeper;
mod listing;
mod memory;
mod office;
mod plan;
mod report;
mod shown;
mod tree;
mod url;

pub use entry::{Entry, EntryError};
pub use git::{Git, GitError};
pub use keeper::{Keeper, KeeperError, Rewritten, Settings};
pub use listing::{Complaint, Listing, listing};
pub use memory::{Kept, Memory, Stage};
pub use office::{Carried, Office};
pub use plan::{Change, Gone, Plan, plan};
pub use report::{Report, State, Why};
pub use shown::shown;
pub use tree::{TreeFile, blobs, tree};
pub use url::{Source, SourceError};
