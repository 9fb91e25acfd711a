//! Carrying others' datagrams. What leaves is exactly as long as what came, so it is re-sealed where it lies in its slot, and
//! what came in one train leaves in one. Of a relayed datagram only the head is opened and sealed; a relay frame is as a whole.

use crate::PeerIdx;
use crate::forwarder::Forwarder;
use crate::forwarder::batch::{Batch, Ecn, Span};
use crate::forwarder::drop::DropReason;
use crate::forwarder::frame::HOP_LIMIT_AT;
use crate::forwarder::mail::{Event, PeerKind};
use crate::forwarder::raise;
use crate::forwarder::stats::Figure;
use crate::forwarder::transmit::Onward;
use crate::forwarder::way::{MINIMUM_MTU, RELAY_OVERHEAD, seal_datagram};
use ln6_crypto::message::{RELAYED_TEXT, TRANSPORT_HEADER, TRANSPORT_OVERHEAD};
use ln6_types::{Instant, RouterId};

/// Octets of the frame around the least inner packet that every path carries.
const LEAST_FRAME: usize = MINIMUM_MTU + RELAY_OVERHEAD;

/// How much of a datagram its session's key seals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sealed {
    /// All of it: a transport message.
    Whole,
    /// The head of a relayed datagram.
    Head,
}

/// A relay frame for somebody else, opened in its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transit {
    /// The neighbour it came from.
    pub(crate) from: PeerIdx,
    /// The datagram that carried it: transport header, frame, padding, tag; or relayed header, tag, frame.
    pub(crate) datagram: Span,
    pub(crate) sealed: Sealed,
    /// Octets of the frame.
    pub(crate) frame: usize,
    /// Octets of the text: the frame and padding.
    pub(crate) text: usize,
    pub(crate) hop_limit: u8,
    pub(crate) to: RouterId,
    pub(crate) ecn: Ecn,
}

impl Forwarder {
    /// Sends a relay frame on to the next hop.
    pub(crate) fn relay(
        &mut self,
        now: Instant,
        transit: Transit,
        arena: &mut [u8],
        out: &mut Batch,
    ) -> Result<(), DropReason> {
        if self.config.transit == 0 {
            return Err(DropReason::RelayRefused);
        }
        if transit.hop_limit <= 1 {
            return Err(DropReason::RelayHopLimit);
        }
        // Back to where it came from: our neighbour's way leads through us, and ours through it.
        let Some(next) = self.fib.relay_to(&transit.to).filter(|next| *next != transit.from) else {
            return Err(self.no_relay(now, transit, out));
        };
        let tx = self.peers.tx(next).filter(|tx| tx.kind == PeerKind::Node);
        let key = tx.and_then(|tx| tx.key.as_deref()).filter(|key| now < key.expires());
        let (Some(tx), Some(key)) = (tx, key) else {
            return Err(self.no_relay(now, transit, out));
        };
        let Some(to) = tx.path.filter(|path| path.is_direct()) else {
            return Err(self.no_relay(now, transit, out));
        };
        // What carries an inner packet of 1280 octets goes in fragments if need be; whoever sends more is to send less.
        let mtu = usize::from(tx.mtu);
        if transit.frame > mtu.max(LEAST_FRAME) {
            return Err(self.relay_too_big(now, transit, tx.mtu, out));
        }
        if !self.transit_tokens.take(now, u64::from(transit.datagram.len)) {
            return Err(DropReason::RelayCapped);
        }
        let counter = key.reserve(1).ok_or(DropReason::CounterExhausted)?;
        // Padding that does not fit any more is left away; a relayed datagram has none.
        let text = transit.text.min(mtu).max(transit.frame);
        let (at, len) = (transit.datagram.at as usize, text + TRANSPORT_OVERHEAD);
        let datagram = &mut arena[at..at + len];
        match (transit.sealed, tx.takes_relayed) {
            (Sealed::Head, true) => {
                datagram[RELAYED_TEXT + HOP_LIMIT_AT] = transit.hop_limit - 1;
                key.seal_relayed(counter, datagram);
            }
            // An older neighbour: the same frame, sealed as a whole, is as long.
            (Sealed::Head, false) => {
                datagram.copy_within(RELAYED_TEXT.., TRANSPORT_HEADER);
                datagram[TRANSPORT_HEADER + HOP_LIMIT_AT] = transit.hop_limit - 1;
                seal_datagram(key, counter, datagram, transit.frame, transit.frame);
            }
            (Sealed::Whole, _) => {
                datagram[TRANSPORT_HEADER + HOP_LIMIT_AT] = transit.hop_limit - 1;
                seal_datagram(key, counter, datagram, transit.frame, text);
            }
        }
        tx.counters.sent(1, transit.frame as u64);
        let to = Onward { to, fragmentation: tx.fragmentation() };
        self.transmit.send(to, transit.ecn, at, len, out);
        self.config.stats.add(Figure::Relayed, 1);
        self.config.stats.add(Figure::RelayedBytes, len as u64);
        Ok(())
    }

    fn relay_too_big(&mut self, now: Instant, transit: Transit, mtu: u16, out: &mut Batch) -> DropReason {
        if self.no_relay_tokens.take(now, 1) {
            let frame = mtu.max(LEAST_FRAME as u16);
            raise(&mut out.events, Event::RelayTooBig { peer: transit.from, router: transit.to, frame });
        }
        DropReason::RelayTooBig
    }

    fn no_relay(&mut self, now: Instant, transit: Transit, out: &mut Batch) -> DropReason {
        if self.no_relay_tokens.take(now, 1) {
            raise(&mut out.events, Event::NoRelay { peer: transit.from, router: transit.to });
        }
        DropReason::RelayNoRoute
    }
}
