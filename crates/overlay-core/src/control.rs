//! Control: one thread, one owner of everything that is not a packet.

pub mod message;
