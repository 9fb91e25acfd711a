//! How a packet to a peer is sealed: the headers, paddings and tags around it. Everything is laid out in place; nothing is moved.
//!
//! | direct | through a neighbour | through one that knows relay frames only |
//! | --- | --- | --- |
//! | | relayed header (16) | transport header (16) |
//! | | tag (16) of the sealed head: | |
//! | | relay frame header (24) | relay frame header (24) |
//! | transport header (16) | transport header (16) | transport header (16) |
//! | text, zero padding | text, zero padding | text, zero padding |
//! | tag (16) | tag (16) | tag (16) |
//! | | | zero padding |
//! | | | tag (16), of all from the relay frame header on |

use crate::forwarder::batch::Fragmentation;
use crate::forwarder::drop::DropReason;
use crate::forwarder::frame::{RELAY_HEADER, write_relay_header};
use crate::forwarder::keys::SendKey;
use crate::forwarder::mail::{PeerKind, PeerTx};
use crate::forwarder::peers::Peers;
use crate::forwarder::transmit::Onward;
use crate::{Path, PeerIdx};
use ln6_crypto::message::{
    PADDING, RELAYED_TEXT, TAG, TRANSPORT_HEADER, TRANSPORT_OVERHEAD, write_transport_header,
};
use ln6_types::{Instant, RouterId};

/// IPv6 needs that much of every link (RFC 8200, section 5).
pub(crate) const MINIMUM_MTU: usize = 1280;

/// What an inner packet may have at most, so that the datagram around it still fits into UDP over IPv4.
const LARGEST_MTU: usize = 65_507 - TRANSPORT_OVERHEAD;

/// Octets that a path through a neighbour takes from the neighbour's MTU.
pub(crate) const RELAY_OVERHEAD: usize = RELAY_HEADER + TRANSPORT_OVERHEAD;

/// A peer's session, with the path it takes now.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    pub(crate) tx: &'a PeerTx,
    key: &'a SendKey,
    over: Option<Over<'a>>,
    /// Where the datagrams go.
    pub(crate) to: Onward,
    /// Nothing is padded: the length itself is what counts.
    exact: bool,
}

/// The neighbour's session around it.
#[derive(Debug)]
struct Over<'a> {
    tx: &'a PeerTx,
    key: &'a SendKey,
    own: RouterId,
}

impl Over<'_> {
    fn mtu(&self) -> usize {
        usize::from(self.tx.mtu).min(LARGEST_MTU)
    }

    /// Octets before the relayed datagram.
    fn head(&self) -> usize {
        if self.tx.takes_relayed { RELAYED_TEXT + RELAY_HEADER } else { TRANSPORT_HEADER + RELAY_HEADER }
    }
}

/// Why there is no way to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoWay {
    /// The session with this peer (or neighbour) has to be made first.
    Session(PeerIdx),
    /// There is a session and no path.
    Path,
}

/// Counters for a number of datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    first: u64,
    over: u64,
    /// The peer's key passed its mark with these.
    pub(crate) worn: bool,
}

fn live_key(tx: &PeerTx, now: Instant) -> Option<&SendKey> {
    tx.key.as_deref().filter(|key| now < key.expires())
}

impl<'a> Way<'a> {
    /// The way to `peer`; `own` is what relay frames name as their source.
    pub(crate) fn find(
        peers: &'a Peers,
        peer: PeerIdx,
        own: RouterId,
        now: Instant,
    ) -> Result<Way<'a>, NoWay> {
        let tx = peers.tx(peer).ok_or(NoWay::Session(peer))?;
        live_key(tx, now).ok_or(NoWay::Session(peer))?;
        Way::by(peers, peer, tx.path.ok_or(NoWay::Path)?, own, now)
    }

    /// The way to `peer` by a path of the caller's choice.
    pub(crate) fn by(
        peers: &'a Peers,
        peer: PeerIdx,
        path: Path,
        own: RouterId,
        now: Instant,
    ) -> Result<Way<'a>, NoWay> {
        let tx = peers.tx(peer).ok_or(NoWay::Session(peer))?;
        let key = live_key(tx, now).ok_or(NoWay::Session(peer))?;
        match path {
            Path::Through(neighbour) => {
                let over = peers.tx(neighbour).filter(|tx| tx.kind == PeerKind::Node).ok_or(NoWay::Path)?;
                let to = over.path.filter(|path| path.is_direct()).ok_or(NoWay::Path)?;
                let over_key = live_key(over, now).ok_or(NoWay::Session(neighbour))?;
                let to = Onward { to, fragmentation: over.fragmentation() };
                Ok(Way { tx, key, over: Some(Over { tx: over, key: over_key, own }), to, exact: false })
            }
            to => {
                let to = Onward { to, fragmentation: tx.fragmentation() };
                Ok(Way { tx, key, over: None, to, exact: false })
            }
        }
    }

    /// The same way for a datagram of exactly its length, that is lost where it does not fit.
    pub(crate) fn whole(mut self) -> Self {
        (self.exact, self.to.fragmentation) = (true, Fragmentation::Never);
        self
    }

    /// Greatest inner packet that goes this way.
    pub(crate) fn mtu(&self) -> usize {
        let own = usize::from(self.tx.mtu).min(LARGEST_MTU);
        match &self.over {
            None => own,
            Some(over) => own.min(over.mtu().saturating_sub(RELAY_OVERHEAD)).max(MINIMUM_MTU),
        }
    }

    /// Octets before the text.
    pub(crate) fn head(&self) -> usize {
        self.over.as_ref().map_or(0, Over::head) + TRANSPORT_HEADER
    }

    /// Octets of the datagram that carries `len` octets of text.
    pub(crate) fn datagram(&self, len: usize) -> usize {
        let direct = self.padded(len) + TRANSPORT_OVERHEAD;
        match &self.over {
            None => direct,
            Some(over) if over.tx.takes_relayed => over.head() + direct,
            Some(over) => pad(RELAY_HEADER + direct, over.mtu()) + TRANSPORT_OVERHEAD,
        }
    }

    fn padded(&self, len: usize) -> usize {
        if self.exact { len } else { pad(len, self.mtu()) }
    }

    /// Counters for `n` datagrams.
    pub(crate) fn reserve(&self, n: u16) -> Result<Counters, DropReason> {
        let first = self.key.reserve(n).ok_or(DropReason::CounterExhausted)?;
        let over = match &self.over {
            None => 0,
            Some(over) => over.key.reserve(n).ok_or(DropReason::CounterExhausted)?,
        };
        Ok(Counters { first, over, worn: self.key.wears(first, n) })
    }

    /// Seals the `at`th of the reserved datagrams: `buf` is exactly [`datagram`](Self::datagram) octets, with `len` octets
    /// of text [`head`](Self::head) octets from its start.
    pub(crate) fn seal(&self, counters: Counters, at: u16, buf: &mut [u8], len: usize) {
        let padded = self.padded(len);
        let Some(over) = &self.over else {
            seal_datagram(self.key, counters.first + u64::from(at), buf, len, padded);
            return;
        };
        let inner = padded + TRANSPORT_OVERHEAD;
        let frame = RELAY_HEADER + inner;
        if over.tx.takes_relayed {
            let body = &mut buf[RELAYED_TEXT..][..frame];
            seal_datagram(self.key, counters.first + u64::from(at), &mut body[RELAY_HEADER..], len, padded);
            write_relay_header(body, self.tx.router, over.own);
            return over.key.seal_relayed(counters.over + u64::from(at), buf);
        }
        let body = &mut buf[TRANSPORT_HEADER..][..frame];
        seal_datagram(self.key, counters.first + u64::from(at), &mut body[RELAY_HEADER..], len, padded);
        write_relay_header(body, self.tx.router, over.own);
        seal_datagram(over.key, counters.over + u64::from(at), buf, frame, pad(frame, over.mtu()));
    }

    /// Counts what was sent: to the peer, and by the neighbour's session if there is one.
    pub(crate) fn count(&self, packets: u64, bytes: u64, datagrams: u64) {
        self.tx.counters.sent(packets, bytes);
        if let Some(over) = &self.over {
            over.tx.counters.sent(packets, datagrams);
        }
    }
}

/// Zero-pads to a multiple of 16, but not past the MTU.
fn pad(len: usize, mtu: usize) -> usize {
    len.next_multiple_of(PADDING).min(mtu).max(len)
}

/// `buf` = room for the header, `len` octets of text, room for padding up to `padded`, room for the tag.
pub(crate) fn seal_datagram(key: &SendKey, counter: u64, buf: &mut [u8], len: usize, padded: usize) {
    if let Some((header, rest)) = buf.split_first_chunk_mut::<TRANSPORT_HEADER>() {
        write_transport_header(header, key.receiver(), counter);
        rest[len..padded].fill(0);
        key.seal(counter, &mut rest[..padded + TAG], padded);
    }
}
