//! How a session's datagrams travel.

use core::net::SocketAddr;

/// A peer's number within this process: dense. That of a peer that is gone is given to another only after a pause, in which
/// whatever named it has left every queue; so tables by number stay as small as the number of peers was at its greatest.
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
