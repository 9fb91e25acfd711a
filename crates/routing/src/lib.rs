//! Babel (RFC 8966) as one machine: this crate never reads a clock, draws randomness, opens a socket or blocks.
//!
//! [`Router`] is told what happens (`link_up`, `receive`, `handle_timeout` …) together with the time, and hands out
//! [`Action`]s: packets to send, routes to use, routes to forget. [`wire`] is its codec and usable alone.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cost;
mod history;
mod key;
mod neighbour;
mod outbox;
mod request;
mod router;
mod rtt;
mod select;
mod seqno;
mod source;
mod table;
mod timer;
mod view;
pub mod wire;

pub use cost::{INFINITY, add as add_metric};
pub use key::Key;
pub use neighbour::CostModel;
pub use router::{Action, Config, Destination, DropReason, Link, LinkId, Policy, Router, Verdict};
pub use seqno::newer as seqno_is_newer;
pub use view::{NeighbourView, RequestView, RouteView, SourceView, View};
