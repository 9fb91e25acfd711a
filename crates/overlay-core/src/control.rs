//! Control: one thread, one owner of everything that is not a packet.

pub mod gossip;
pub mod membership;
pub mod message;
