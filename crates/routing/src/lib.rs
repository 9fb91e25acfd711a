//! Babel (RFC 8966) as one machine: this crate never reads a clock, draws randomness, opens a socket or blocks.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cost;
mod key;
mod seqno;
pub mod wire;

pub use cost::{INFINITY, add as add_metric};
pub use key::Key;
pub use seqno::newer as seqno_is_newer;
