//! The gate before control's queue: what a stranger sends is checked here, by the worker that read it.

use crate::forwarder::awaited::{CookieChecker, Mac1Key};

/// What all workers need to judge handshake messages. Replaced by control when the cookie secret turns (every 120 s).
#[derive(Debug)]
pub struct Gate {
    /// Recognises messages that are meant for this node.
    pub mac1: Mac1Key,
    /// Makes cookies and recognises its own.
    pub cookies: CookieChecker,
}
