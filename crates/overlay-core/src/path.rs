//! How a session's datagrams travel.

use core::net::SocketAddr;

/// A peer's number within this process: dense, never reused while the process lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerIdx(pub u32);

impl PeerIdx {
    /// This node itself, where a table names who may send from a prefix.
    pub const SELF: PeerIdx = PeerIdx(0);
}

/// How datagrams of a session reach the other end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Path {
    /// Directly, to this UDP address. IPv4 is written as IPv4, never as an IPv4-mapped IPv6 address.
    Udp(SocketAddr),
    /// Wrapped in a relay frame, inside the session with this neighbour.
    Through(PeerIdx),
}

impl Path {
    /// Whether it leads to the other end without a neighbour: only such a path can carry others' relay frames.
    pub const fn is_direct(self) -> bool {
        !matches!(self, Path::Through(_))
    }
}
