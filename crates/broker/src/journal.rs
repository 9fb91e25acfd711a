//! What the desk needs of a disk.

use crate::error::StoreError;
use ln6_registry::{Event, HolderId, Registry};
use ln6_types::{Prefix, PublicKey};
use std::path::Path;

/// Whose contact or note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A key's: as its people wrote it when they asked.
    Key(PublicKey),
    /// A holder's: as administrators wrote it.
    Holder(HolderId),
}

/// How to reach somebody, and what is remembered of them. Kept beside the journal, not in it, so that it can be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Whose.
    pub owner: Owner,
    /// How to reach its people; empty if that is not known.
    pub contact: String,
    /// What administrators remember; empty if nothing.
    pub note: String,
}

/// A change of a card: what is `None` stays, what is empty is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardChange {
    /// Whose.
    pub owner: Owner,
    /// The contact from now on.
    pub contact: Option<String>,
    /// The note from now on.
    pub note: Option<String>,
}

/// An event, and by what it is found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The event.
    pub event: Event,
    /// The holder it is about.
    pub holder: Option<HolderId>,
    /// The prefixes it is about.
    pub prefixes: Vec<Prefix>,
}

impl Line {
    /// What `registry` knows of an event that is about to be applied to it.
    pub fn new(registry: &Registry, event: Event) -> Self {
        let (holder, mut prefixes) = (registry.holder_of(&event), registry.prefixes_of(&event));
        prefixes.sort_unstable();
        prefixes.dedup();
        Line { event, holder, prefixes }
    }
}

/// What is looked for in the journal; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// About one of these holders.
    pub holders: Option<Vec<HolderId>>,
    /// About this prefix, a part of it, or a whole around it.
    pub prefix: Option<Prefix>,
    /// By whom: `operator`, `clock`, `admin NAME`, `token NAME`, `list NAME`, `node KEY`; or the first word alone.
    pub actor: Option<String>,
    /// Of this kind (see [`ln6_registry::What::kind`]).
    pub kind: Option<String>,
    /// Its JSON holds this text, in capitals or not.
    pub text: Option<String>,
}

/// One line of the journal, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number: 1, 2, 3 …, in the order in which things happened.
    pub seq: u64,
    /// The event, and what it is about.
    pub line: Line,
}

/// Lines that were found, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundPage {
    /// At most as many as were asked for; perhaps fewer although there are more (see `next`).
    pub lines: Vec<Found>,
    /// Ask again with this as `before` for older ones; `None` if there are none.
    pub next: Option<u64>,
}

/// An append-only memory that survives a crash at any moment.
pub trait Journal: Send {
    /// Everything that was appended, applied in order.
    fn replay(&mut self) -> Result<Registry, StoreError>;

    /// Appends all or nothing; when it returns `Ok`, all is on disk.
    fn append(&mut self, lines: &[Line], cards: &[CardChange]) -> Result<(), StoreError>;

    /// The cards of these owners; those that have none are left out.
    fn cards(&mut self, of: &[Owner]) -> Result<Vec<Card>, StoreError>;

    /// Owners whose contact or note holds `text`, in capitals or not; at most 10,000.
    fn cards_with(&mut self, text: &str) -> Result<Vec<Owner>, StoreError>;

    /// The newest lines before the number `before` that `filter` lets through, at most `limit`. The work for one answer is
    /// bounded, however long the journal is.
    fn find(
        &mut self,
        before: Option<u64>,
        limit: usize,
        filter: &AuditFilter,
    ) -> Result<FoundPage, StoreError>;

    /// Writes a whole copy to a new file.
    fn backup(&mut self, to: &Path) -> Result<(), StoreError>;

    /// Writes everything as text to a new file, with contacts and notes only if asked.
    fn export(&mut self, to: &Path, cards: bool) -> Result<(), StoreError>;
}
