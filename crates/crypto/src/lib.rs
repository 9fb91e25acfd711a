//! Keys, WireGuard's handshakes and cookies, sealing and replay windows. This crate never reads a clock, draws
//! randomness or does I/O: times, seeds and nonces are arguments.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod blake;
pub mod cookie;
pub mod handshake;
pub mod keys;
pub mod limit;
pub mod mac;
pub mod message;
pub mod replay;
mod resolver;
pub mod seal;
pub mod timers;
