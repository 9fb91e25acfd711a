//! The daemon `ln6d` and its command line: this crate never decides what a right is worth or where a packet goes, it
//! reads what an operator wants, wires the machines to the kernel, and says what they do.

pub mod api;
pub mod cipher;
pub mod cli;
pub mod client;
pub mod command;
pub mod config;
pub mod daemon;
pub mod doctor;
pub mod duration;
pub mod files;
pub mod from_view;
pub mod logging;
pub mod metrics;
#[cfg(feature = "broker")]
mod page;
pub mod qr;
#[cfg(test)]
mod reference;
pub mod render;
pub mod wgquick;

pub use command::main;
pub use ln6_api::{error, schema};
