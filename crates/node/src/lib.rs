//! The daemon `ln6d` and its command line: this crate never decides what a right is worth or where a packet goes, it
//! reads what an operator wants, wires the machines to the kernel, and says what they do.

pub mod api;
pub mod client;
pub mod config;
pub mod duration;
pub mod error;
pub mod files;
pub mod logging;
pub mod schema;
