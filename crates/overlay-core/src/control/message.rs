//! Peer messages: what two nodes say to each other in frames of kind 1 (DESIGN 5).
//!
//! A message is one CBOR map: 0 = kind, 1 = id (if an acknowledgement is wanted), 2 = body, itself a map with numbered
//! keys. Unknown keys are ignored at every level, so that later versions can add to them; an unknown kind is an error
//! that names the id, so that even it can be acknowledged. Every length is bounded.

mod body;
mod join;

pub use body::{Bucket, Digest, Hello, Item, ItemKind};
pub use join::{JoinReply, JoinRequest, Leave, join_proof};

use core::net::SocketAddr;
use ln6_crypto::canonical::{MapWriter, need, read_map};
use ln6_types::RouterId;
use minicbor::decode::{Decoder, Error};
use minicbor::encode::{Encode, Encoder, Write};
use thiserror::Error as ThisError;

/// The most octets a message may have, without the frame's header.
pub const MAX_MESSAGE: usize = 1200;

/// Why bytes are not a message, or a message does not become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum MessageError {
    /// More than [`MAX_MESSAGE`] octets.
    #[error("a peer message has at most {MAX_MESSAGE} octets, not {0}")]
    TooLarge(usize),
    /// Not CBOR, or a field is missing or out of its bounds.
    #[error("not a well-formed peer message")]
    Malformed,
    /// A kind that a later version may know; acknowledge `id` so that it is not repeated.
    #[error("unknown kind {kind} of peer message")]
    UnknownKind {
        /// The kind.
        kind: u8,
        /// The id, if an acknowledgement is wanted.
        id: Option<u32>,
    },
}

/// A message and whether it wants an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Chosen by the sender; the message is repeated until an [`Body::Ack`] names it.
    pub id: Option<u32>,
    /// What is said.
    pub body: Body,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// First words in a session.
    Hello(Hello),
    /// The message with this id arrived.
    Ack {
        /// Its id.
        id: u32,
    },
    /// A summary of everything known.
    Digest(Digest),
    /// The names of what is known in a part of a bucket.
    Bucket(Bucket),
    /// Please send the items with these short ids; at most 128.
    Pull(Vec<u64>),
    /// Certificates, revocations, heads and records.
    Items(Vec<Item>),
    /// Are you there? What `ln6d ping` sends, by the session's path.
    Probe {
        /// Random; what makes an answer credible.
        token: u64,
        /// The sender's clock, µs.
        sent: u64,
    },
    /// The answer.
    ProbeReply {
        /// As in the probe.
        token: u64,
        /// As in the probe.
        sent: u64,
        /// Where the probe came from, if by UDP.
        seen_at: Option<SocketAddr>,
    },
    /// Please try to reach me at these addresses now, at most 8: I am trying you.
    CallMe(Vec<SocketAddr>),
    /// May I join?
    Join(JoinRequest),
    /// The answer to `Join` and `Renew`.
    JoinReply(JoinReply),
    /// A new certificate for a key that has one, please; as `Join`, without the secret.
    Renew(JoinRequest),
    /// I leave the network for good.
    Leave(Leave),
    /// The answer: `None`, or the code of the refusal.
    LeaveReply {
        /// Why it was refused.
        refused: Option<String>,
    },
    /// A relay has no way to this node.
    NoRoute {
        /// The destination of the relayed datagram.
        router: RouterId,
    },
    /// A relay frame did not fit the way to its next hop.
    TooBig {
        /// The destination of the relay frame.
        router: RouterId,
        /// The longest frame that does, octets.
        mtu: u16,
    },
    /// Does this very path carry what I send? Padded with zeros to any length.
    PathProbe {
        /// Random; what makes an echo credible.
        token: u64,
    },
    /// It does. On the same path, and as long.
    PathEcho {
        /// As in the probe.
        token: u64,
        /// Whether the probe came by UDP, not in a relay frame.
        direct: bool,
    },
    /// Does a packet as long as this one reach you in one piece? Padded with zeros to any length.
    SizeProbe {
        /// Random; what makes an answer credible.
        token: u64,
    },
    /// It did.
    SizeReply {
        /// As in the probe.
        token: u64,
        /// Octets of the probe as it came, its frame's header included.
        octets: u16,
    },
}

impl From<Body> for Message {
    /// A message that wants no acknowledgement.
    fn from(body: Body) -> Self {
        Message { id: None, body }
    }
}

impl Message {
    /// Appends the encoded message to `out`; leaves `out` alone if it is too large.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), MessageError> {
        let mut map = MapWriter::new();
        let bytes =
            map.put(0, self.body.kind()).put_some(1, self.id).put(2, Raw(&self.body.write())).finish();
        if bytes.len() > MAX_MESSAGE {
            return Err(MessageError::TooLarge(bytes.len()));
        }
        out.extend_from_slice(&bytes);
        Ok(())
    }

    /// Reads one message. Octets after it are ignored only if they are zeros: the padding of the inner packet, or of a probe,
    /// which may be longer than a message.
    pub fn decode(bytes: &[u8]) -> Result<Message, MessageError> {
        let (message, padding) = bytes.split_at(bytes.len().min(MAX_MESSAGE));
        if padding.iter().any(|octet| *octet != 0) {
            return Err(MessageError::TooLarge(bytes.len()));
        }
        let bytes = message;
        let mut d = Decoder::new(bytes);
        let (kind, id, body) = envelope(&mut d).map_err(|_| MessageError::Malformed)?;
        if bytes[d.position()..].iter().any(|octet| *octet != 0) {
            return Err(MessageError::Malformed);
        }
        let mut d = Decoder::new(&bytes[body]);
        match Body::read(kind, &mut d) {
            Ok(Some(body)) => Ok(Message { id, body }),
            Ok(None) => Err(MessageError::UnknownKind { kind, id }),
            Err(_) => Err(MessageError::Malformed),
        }
    }
}

fn envelope(d: &mut Decoder<'_>) -> Result<(u8, Option<u32>, core::ops::Range<usize>), Error> {
    let (mut kind, mut id, mut body) = (None, None, None);
    read_map(d, |key, d| {
        match key {
            0 => kind = Some(d.u8()?),
            1 => id = Some(d.u32()?),
            2 => {
                let start = d.position();
                d.skip()?;
                body = Some(start..d.position());
            }
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok((need(kind)?, id, need(body)?))
}

/// Already encoded CBOR.
struct Raw<'a>(&'a [u8]);

impl<C> Encode<C> for Raw<'_> {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.writer_mut().write_all(self.0).map_err(minicbor::encode::Error::write)
    }
}

#[cfg(test)]
mod tests;
