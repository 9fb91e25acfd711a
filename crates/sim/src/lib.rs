//! Whole networks of ln6d nodes in one process and in virtual time: the cores the daemon runs, nothing else; this crate
//! never waits, and one seed decides everything that happens.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod broker;
pub mod chance;
pub mod link;
pub mod node;
pub mod scenario;
pub mod thief;
pub mod world;
