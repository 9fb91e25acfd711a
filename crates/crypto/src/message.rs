//! The layout of WireGuard's four messages: telling them apart, and their clear fields. Nothing here is authentic.

/// Octets of a handshake initiation.
pub const INITIATION_LEN: usize = 148;
/// Octets of a handshake response.
pub const RESPONSE_LEN: usize = 92;
/// Octets of a cookie reply.
pub const COOKIE_LEN: usize = 64;
/// Octets before the sealed packet of a transport message.
pub const TRANSPORT_HEADER: usize = 16;
/// Octets of an AEAD tag.
pub const TAG: usize = 16;
/// Octets a transport message is longer than the inner packet it carries.
pub const TRANSPORT_OVERHEAD: usize = TRANSPORT_HEADER + TAG;
/// Octets of a relayed datagram before what is relayed and its head: header and tag.
pub const RELAYED_TEXT: usize = TRANSPORT_HEADER + TAG;
/// Octets of the smallest relayed datagram: header, tag, head of a relay frame (24), and the smallest transport message.
pub const RELAYED_LEAST: usize = RELAYED_TEXT + 24 + TRANSPORT_OVERHEAD;
/// Inner packets are zero-padded to a multiple of this many octets.
pub const PADDING: usize = 16;

/// Octets of mac1 and mac2 together: the end of both handshake messages.
pub(crate) const MACS: usize = 32;

/// What a datagram claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Message 1; always [`INITIATION_LEN`].
    Initiation,
    /// Message 2; always [`RESPONSE_LEN`].
    Response,
    /// Message 3; always [`COOKIE_LEN`].
    CookieReply,
    /// Message 4; at least [`TRANSPORT_OVERHEAD`], which is a keepalive.
    Transport,
    /// Message 5, between ln6d nodes: a sealed datagram for somebody else, or relayed for us; at least [`RELAYED_LEAST`].
    Relayed,
}

/// The shape of one kind of message, for what tells messages from noise without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The first octet; three of 0 follow.
    pub kind: u8,
    /// Its octets, at least.
    pub least: usize,
    /// It is never longer.
    pub exact: bool,
}

/// The shapes of all messages, the most frequent first. What has none of them is none: [`Kind::of`] says the same.
pub const SHAPES: [Shape; 5] = [
    Shape { kind: 4, least: TRANSPORT_OVERHEAD, exact: false },
    Shape { kind: 5, least: RELAYED_LEAST, exact: false },
    Shape { kind: 1, least: INITIATION_LEN, exact: true },
    Shape { kind: 2, least: RESPONSE_LEN, exact: true },
    Shape { kind: 3, least: COOKIE_LEN, exact: true },
];

impl Kind {
    const fn head(self) -> [u8; 4] {
        match self {
            Kind::Initiation => [1, 0, 0, 0],
            Kind::Response => [2, 0, 0, 0],
            Kind::CookieReply => [3, 0, 0, 0],
            Kind::Transport => [4, 0, 0, 0],
            Kind::Relayed => [5, 0, 0, 0],
        }
    }

    /// The kind of a datagram; `None` if its first four octets or its length fit no message.
    #[inline]
    pub fn of(datagram: &[u8]) -> Option<Kind> {
        let (head, _) = datagram.split_first_chunk::<4>()?;
        match (u32::from_le_bytes(*head), datagram.len()) {
            (4, TRANSPORT_OVERHEAD..) => Some(Kind::Transport),
            (5, RELAYED_LEAST..) => Some(Kind::Relayed),
            (1, INITIATION_LEN) => Some(Kind::Initiation),
            (2, RESPONSE_LEN) => Some(Kind::Response),
            (3, COOKIE_LEN) => Some(Kind::CookieReply),
            _ => None,
        }
    }

    pub(crate) fn is_head_of(self, message: &[u8]) -> bool {
        message.starts_with(&self.head())
    }

    pub(crate) fn write_head(self, message: &mut [u8]) {
        message[..4].copy_from_slice(&self.head());
    }
}

/// The sender's index of an initiation or a response; `None` for anything else.
pub fn sender(datagram: &[u8]) -> Option<u32> {
    matches!(Kind::of(datagram)?, Kind::Initiation | Kind::Response).then(|| word(datagram, 4))
}

/// The receiver's index of a response, cookie reply or transport message; `None` for anything else.
#[inline]
pub fn receiver(datagram: &[u8]) -> Option<u32> {
    match Kind::of(datagram)? {
        Kind::Initiation => None,
        Kind::Response => Some(word(datagram, 8)),
        Kind::CookieReply | Kind::Transport | Kind::Relayed => Some(word(datagram, 4)),
    }
}

/// Writes the header of a transport message.
#[inline]
pub fn write_transport_header(out: &mut [u8; TRANSPORT_HEADER], receiver: u32, counter: u64) {
    Kind::Transport.write_head(out);
    out[4..8].copy_from_slice(&receiver.to_le_bytes());
    out[8..].copy_from_slice(&counter.to_le_bytes());
}

/// Writes the header of a relayed datagram: as a transport message's, of another type.
#[inline]
pub fn write_relayed_header(out: &mut [u8; TRANSPORT_HEADER], receiver: u32, counter: u64) {
    write_transport_header(out, receiver, counter);
    Kind::Relayed.write_head(out);
}

/// Receiver index and counter of a relayed datagram; `None` if it is none.
#[inline]
pub fn read_relayed_header(datagram: &[u8]) -> Option<(u32, u64)> {
    if datagram.len() < RELAYED_LEAST || !Kind::Relayed.is_head_of(datagram) {
        return None;
    }
    let (_, counter) = datagram[..TRANSPORT_HEADER].split_last_chunk::<8>()?;
    Some((word(datagram, 4), u64::from_le_bytes(*counter)))
}

/// Receiver index and counter of a transport message; `None` if it is none.
#[inline]
pub fn read_transport_header(datagram: &[u8]) -> Option<(u32, u64)> {
    if datagram.len() < TRANSPORT_OVERHEAD || !Kind::Transport.is_head_of(datagram) {
        return None;
    }
    let (_, counter) = datagram[..TRANSPORT_HEADER].split_last_chunk::<8>()?;
    Some((word(datagram, 4), u64::from_le_bytes(*counter)))
}

/// The little-endian word at `at`; zero if `bytes` ends before (callers have checked the length).
#[inline]
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_is_known_by_its_type_its_reserved_zeros_and_its_length() {
        let sizes = [
            (Kind::Initiation, INITIATION_LEN),
            (Kind::Response, RESPONSE_LEN),
            (Kind::CookieReply, COOKIE_LEN),
            (Kind::Transport, TRANSPORT_OVERHEAD),
            (Kind::Relayed, RELAYED_LEAST),
        ];
        for (kind, len) in sizes {
            let mut bytes = vec![0u8; len];
            kind.write_head(&mut bytes);
            assert_eq!(Kind::of(&bytes), Some(kind));
            assert_eq!(Kind::of(&bytes[..len - 1]), None);
            bytes[2] = 1;
            assert_eq!(Kind::of(&bytes), None);
        }
        assert_eq!(Kind::of(&[4, 0, 0, 0].repeat(400)), Some(Kind::Transport));
        assert_eq!(Kind::of(&[1, 0, 0]), None);
    }

    #[test]
    fn a_transport_header_reads_back() {
        let mut bytes = [0u8; TRANSPORT_OVERHEAD];
        let head = bytes.first_chunk_mut().expect("header");
        write_transport_header(head, 0x0403_0201, 0x0c0b_0a09_0807_0605);
        assert_eq!(bytes[..16], [4, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(read_transport_header(&bytes), Some((0x0403_0201, 0x0c0b_0a09_0807_0605)));
        assert_eq!(receiver(&bytes), Some(0x0403_0201));
        assert_eq!(sender(&bytes), None);
        assert_eq!(read_transport_header(&bytes[..31]), None);
    }

    #[test]
    fn the_shapes_are_those_of_the_kinds() {
        for head in 0..=7u8 {
            for len in 0..400 {
                let mut bytes = vec![0u8; len];
                bytes.first_mut().into_iter().for_each(|first| *first = head);
                let fits = |shape: &Shape| {
                    shape.kind == head && if shape.exact { len == shape.least } else { len >= shape.least }
                };
                assert_eq!(SHAPES.iter().any(fits), Kind::of(&bytes).is_some(), "{head}, {len}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_datagram_panics(head in 0u8..6, mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if bytes.len() >= 4 { bytes[..4].copy_from_slice(&[head, 0, 0, 0]); }
            let header = read_transport_header(&bytes);
            prop_assert_eq!(header.is_some(), Kind::of(&bytes) == Some(Kind::Transport));
            prop_assert_eq!(sender(&bytes).is_some() || receiver(&bytes).is_some(), Kind::of(&bytes).is_some());
        }
    }
}
