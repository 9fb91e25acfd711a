//! The forwarder: one per worker thread, all `&mut self`, no clock, no lock, no allocation per packet.

pub mod batch;
pub mod mail;
