//! What the desk needs of a disk.

use crate::error::StoreError;
use ln6_registry::{Event, Registry};
use ln6_types::PublicKey;

/// How to reach a key's people. Kept beside the journal, not in it, so that it can be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Whose.
    pub key: PublicKey,
    /// As they wrote it.
    pub text: String,
}

/// An append-only memory that survives a crash at any moment.
pub trait Journal: Send {
    /// Everything that was appended, applied in order.
    fn replay(&mut self) -> Result<Registry, StoreError>;

    /// Appends all or nothing; when it returns `Ok`, all is on disk.
    fn append(&mut self, events: &[Event], contacts: &[Contact]) -> Result<(), StoreError>;

    /// All contacts.
    fn contacts(&mut self) -> Result<Vec<Contact>, StoreError>;

    /// Erases a contact; it is no error if there is none.
    fn erase_contact(&mut self, key: &PublicKey) -> Result<(), StoreError>;

    /// Writes a whole copy to a new file.
    fn backup(&mut self, to: &std::path::Path) -> Result<(), StoreError>;
}
