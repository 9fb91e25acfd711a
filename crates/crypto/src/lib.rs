//! Everything a node proves or hides. This crate never reads a clock, draws randomness or does I/O.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod canonical;
mod certificate;
mod link;
mod record;
mod revocation;
mod sign;

pub use canonical::{ItemError, ItemId, Signed, Statement, Unverified};
pub use certificate::{Certificate, ChainError, Roles};
pub use link::{Link, LinkError};
pub use record::{Endpoint, EndpointKind, NodeRecord, WireAddr};
pub use revocation::{Head, Reason, Revocation, Revoked};
pub use sign::{SigningKey, fingerprint, router_id, verify};
