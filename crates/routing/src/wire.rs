//! Babel packets: RFC 8966 section 4, source prefixes (RFC 9079), timestamps (RFC 9616), v4-via-v6 (RFC 9229).
//!
//! Decoding gives whole values: compression, router-ids and next hops are applied, and whatever a receiver has to
//! ignore never comes out. Encoding does the reverse, packet by packet.

mod decode;
mod encode;

pub use decode::decode;
pub use encode::PacketBuilder;

use crate::Key;
use core::net::IpAddr;
use ln6_types::RouterId;
use thiserror::Error;

/// UDP port of Babel, as source and destination.
pub const PORT: u16 = 6696;
/// Octets before the first TLV.
pub const HEADER: usize = 4;
/// Octets of IPv6 and UDP headers, to be taken from a link's MTU.
pub const IP_UDP: usize = 48;

const MAGIC: u8 = 42;
const VERSION: u8 = 2;

mod kind {
    pub(super) const PAD1: u8 = 0;
    pub(super) const ACK_REQUEST: u8 = 2;
    pub(super) const ACK: u8 = 3;
    pub(super) const HELLO: u8 = 4;
    pub(super) const IHU: u8 = 5;
    pub(super) const ROUTER_ID: u8 = 6;
    pub(super) const NEXT_HOP: u8 = 7;
    pub(super) const UPDATE: u8 = 8;
    pub(super) const ROUTE_REQUEST: u8 = 9;
    pub(super) const SEQNO_REQUEST: u8 = 10;
}

mod sub {
    pub(super) const PAD1: u8 = 0;
    pub(super) const PADN: u8 = 1;
    pub(super) const TIMESTAMP: u8 = 3;
    pub(super) const MANDATORY: u8 = 0x80;
    pub(super) const SOURCE_PREFIX: u8 = 128;
}

const FLAG_PREFIX: u8 = 0x80;
const FLAG_ROUTER_ID: u8 = 0x40;
const FLAG_UNICAST: u16 = 0x8000;

/// Why a whole packet is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PacketError {
    /// Shorter than the header.
    #[error("a Babel packet has at least 4 octets")]
    Short,
    /// The first octet is not 42.
    #[error("not a Babel packet")]
    Magic,
    /// Not version 2.
    #[error("not version 2 of Babel")]
    Version,
    /// The body is said to be longer than the datagram.
    #[error("the body length runs past the datagram")]
    BodyLength,
}

/// One TLV with everything it implies. Intervals are in centiseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tlv {
    /// Answer with an [`Tlv::Ack`] within `interval` (RFC 8966, section 4.6.3).
    AckRequest {
        /// To be copied.
        opaque: u16,
        /// Centiseconds.
        interval: u16,
    },
    /// Answers an acknowledgment request (section 4.6.4).
    Ack {
        /// Copied from the request.
        opaque: u16,
    },
    /// I am here (section 4.6.5).
    Hello {
        /// Counted per neighbour instead of per link.
        unicast: bool,
        /// Hello seqno, unrelated to a route's.
        seqno: u16,
        /// Centiseconds until the next one at the latest; 0 = promises nothing.
        interval: u16,
        /// Sender's clock in microseconds (RFC 9616).
        timestamp: Option<u32>,
    },
    /// I heard you (section 4.6.6).
    Ihu {
        /// Who was heard; `None` = whoever receives this.
        address: Option<IpAddr>,
        /// The sender's cost of receiving from that address.
        rxcost: u16,
        /// Centiseconds.
        interval: u16,
        /// The heard Hello's timestamp, and when it was heard by the sender's clock (RFC 9616).
        timestamps: Option<(u32, u32)>,
    },
    /// A route (section 4.6.9); the metric is finite.
    Update {
        /// Where it leads.
        key: Key,
        /// Who originates it.
        router: RouterId,
        /// Where to send packets.
        next_hop: IpAddr,
        /// Centiseconds; 65535 = never repeated unasked.
        interval: u16,
        /// The originator's.
        seqno: u16,
        /// The sender's metric, never [`crate::INFINITY`].
        metric: u16,
    },
    /// A route that is no more; `None`: none of the sender's routes (section 4.6.9).
    Retract {
        /// Which.
        key: Option<Key>,
        /// Centiseconds.
        interval: u16,
    },
    /// Send an update or retraction for this; `None`: a full dump (section 4.6.10).
    RouteRequest {
        /// Which.
        key: Option<Key>,
    },
    /// Get me an update of at least this seqno (section 4.6.11).
    SeqnoRequest {
        /// Which.
        key: Key,
        /// At least.
        seqno: u16,
        /// How often it may still be sent, at least 1.
        hop_count: u8,
        /// Whose seqno.
        router: RouterId,
    },
}

/// Address encodings (RFC 8966, section 4.1.4; RFC 9229).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ae {
    Wildcard,
    V4,
    V6,
    LinkLocal,
    V4ViaV6,
}

impl Ae {
    fn from_octet(octet: u8) -> Option<Ae> {
        [Ae::Wildcard, Ae::V4, Ae::V6, Ae::LinkLocal, Ae::V4ViaV6].get(usize::from(octet)).copied()
    }

    fn octet(self) -> u8 {
        self as u8
    }

    /// Longest prefix.
    fn bits(self) -> u8 {
        match self {
            Ae::Wildcard => 0,
            Ae::V4 | Ae::V4ViaV6 => 32,
            Ae::V6 | Ae::LinkLocal => 128,
        }
    }

    /// Which default prefix it shares, if it is compressed at all.
    fn base(self) -> Option<usize> {
        match self {
            Ae::V4 => Some(0),
            Ae::V6 => Some(1),
            Ae::V4ViaV6 => Some(2),
            Ae::Wildcard | Ae::LinkLocal => None,
        }
    }
}

/// The octets of an address, or of a prefix with zeros behind; IPv4 in the first four.
type Octets = [u8; 16];
