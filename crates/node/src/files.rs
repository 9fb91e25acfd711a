//! The files of one node: where they are, and how they are read and written so that nothing is ever lost.

pub(crate) mod armour;
pub mod atomic;
pub mod certificate;
pub mod identity;
pub(crate) mod layout;
mod lock;
pub(crate) mod owned;
pub mod request;
pub mod root;
pub mod state;

pub use layout::Layout;
pub use lock::Lock;
