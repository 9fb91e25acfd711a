//! All that crosses to the I/O crate: offsets into one arena, never slices or iovecs.

use crate::Path;
use crate::forwarder::mail::Event;
use core::ops::Range;
/// What datagrams that are worth reading look like.
pub use ln6_crypto::message::{SHAPES, Shape};

/// A range of octets in the worker's arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Offset from the arena's start.
    pub at: u32,
    /// Octets.
    pub len: u32,
}

impl Span {
    /// A span of `len` octets at `at`.
    pub const fn new(at: u32, len: u32) -> Self {
        Span { at, len }
    }

    /// As indices into the arena.
    pub const fn range(self) -> Range<usize> {
        self.at as usize..(self.at + self.len) as usize
    }
}

/// What kind of superpacket a TUN read or write carries (`VIRTIO_NET_HDR_GSO_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GsoKind {
    /// One packet.
    #[default]
    None,
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP, either family.
    UdpL4,
}

/// The meaning of a `virtio_net_hdr`, both ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gso {
    /// What is segmented.
    pub kind: GsoKind,
    /// The transport checksum is only seeded with the pseudo-header and must be finished.
    pub needs_csum: bool,
    /// Octets of IP and transport header; 0 when unknown.
    pub hdr_len: u16,
    /// Payload octets per segment; 0 unless `kind` says so.
    pub size: u16,
    /// Where the transport header begins.
    pub csum_start: u16,
    /// Where the checksum lies, from `csum_start`.
    pub csum_offset: u16,
}

/// Explicit congestion notification bits of the outer header (RFC 3168), 0 to 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ecn(pub u8);

/// One read from the TUN: a packet or a superpacket, whole, in the arena's `tun` region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TunRead {
    /// What the kernel said about it.
    pub gso: Gso,
    /// The packet, without the virtio header.
    pub all: Span,
}

/// One read from the UDP socket: one datagram, or with GRO a train of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UdpRead {
    /// Who sent it (always [`Path::Udp`] from a socket).
    pub from: Path,
    /// Outer ECN bits.
    pub ecn: Ecn,
    /// All datagrams, one after another.
    pub all: Span,
    /// Length of each datagram but the last; equals `all.len` for a single one.
    pub stride: u16,
}

/// Whether the datagrams of a send may be fragmented on their way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fragmentation {
    /// By routers (IPv4), and here where the interface is too narrow. What ICMP says of the path is not believed.
    #[default]
    Free,
    /// Likewise, and here as the kernel believes ICMP of the path (IPv6, where routers do not fragment).
    Kernel,
    /// Never: what does not fit is lost.
    Never,
}

/// One `UDP_SEGMENT` send: datagrams of `stride` octets, the last may be shorter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Train {
    /// Where to; always [`Path::Udp`] when it leaves the forwarder.
    pub to: Path,
    /// Outer ECN bits.
    pub ecn: Ecn,
    /// All datagrams, one after another.
    pub all: Span,
    /// Length of each datagram but the last.
    pub stride: u16,
    /// Whether they may be fragmented.
    pub fragmentation: Fragmentation,
}

/// One `writev` to the TUN: a virtio header and the parts `Batch::parts[parts]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TunWrite {
    /// The header to write.
    pub gso: Gso,
    /// Which of [`Batch::parts`] follow it.
    pub parts: Range<u16>,
}

/// Trains a batch has room for without growing; likewise writes and their parts.
pub(crate) const TRAINS: usize = 512;
pub(crate) const WRITES: usize = 1024;
const PARTS: usize = 4096;

/// What one batch made. Cleared between batches, never freed.
#[derive(Default, Debug)]
pub struct Batch {
    /// To the UDP socket, in order.
    pub trains: Vec<Train>,
    /// To the TUN, in order.
    pub writes: Vec<TunWrite>,
    /// Pieces of the writes.
    pub parts: Vec<Span>,
    /// To control.
    pub events: Vec<Event>,
}

impl Batch {
    /// A batch whose vectors do not grow in ordinary use.
    pub fn with_capacity() -> Self {
        Batch {
            trains: Vec::with_capacity(TRAINS),
            writes: Vec::with_capacity(WRITES),
            parts: Vec::with_capacity(PARTS),
            events: Vec::with_capacity(256),
        }
    }

    /// Empties it, keeping the memory.
    pub fn clear(&mut self) {
        self.trains.clear();
        self.writes.clear();
        self.parts.clear();
        self.events.clear();
    }
}
