//! Words that several crates share. This crate never reads a clock, draws randomness or does I/O.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod gather;
mod hex;
mod jitter;
mod key;
mod prefix;
#[cfg(feature = "schemars")]
mod schema;
mod time;

pub use core::time::Duration;
pub use gather::gathered;
pub use hex::{Hex, decode_hex};
pub use jitter::Jitter;
pub use key::{Fingerprint, KeyError, NetworkUla, PublicKey, RouterId, VerifyKey};
pub use prefix::{Prefix, PrefixError};
pub use time::{Instant, UnixTime};
