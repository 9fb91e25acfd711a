//! The admin page: a client of the daemon's API socket and nothing more, so that whatever it does can be done by API.
//! This crate never decides who holds a prefix and never sees a key of the network.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod accounts;
mod act;
mod activity;
pub mod app;
mod asset;
pub mod backend;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod front;
mod gateways;
mod health;
mod keylist;
mod live;
mod login;
mod look;
mod map;
mod markup;
mod node;
mod overview;
mod peers;
mod picture;
mod prefixes;
mod requests;
pub mod secret;
pub mod server;
mod session;
mod settings;
pub mod tls;
pub mod tokens;
mod topology;
mod traffic;
mod units;
mod words;

#[cfg(test)]
mod tests;

pub use app::{App, Settings};
pub use front::router;
