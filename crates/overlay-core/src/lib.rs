//! One ln6d node as two pure machines, control and forwarder: this crate never reads a clock, draws randomness, opens a
//! socket or touches a file.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod control;
pub mod forwarder;
pub mod host_plan;
mod path;

pub use path::{Path, PeerIdx};
