//! Keys, WireGuard's handshakes and cookies, sealing and replay windows, and the signed statements that give rights.
//! This crate never reads a clock, draws randomness or does I/O: times, seeds and nonces are arguments.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod blake;
pub mod canonical;
mod certificate;
pub mod cookie;
pub mod handshake;
pub mod keys;
pub mod limit;
mod link;
pub mod mac;
pub mod message;
mod record;
pub mod replay;
mod resolver;
mod revocation;
pub mod seal;
mod sign;
pub mod timers;

pub use canonical::{ItemError, ItemId, Signed, Statement, Unverified};
pub use certificate::{Certificate, ChainError, Roles};
pub use keys::{fingerprint, router_id};
pub use link::{Link, LinkError};
pub use record::{Endpoint, EndpointKind, NodeRecord, WireAddr};
pub use revocation::{Head, Reason, Revocation, Revoked};
pub use sign::{SigningKey, verify};
