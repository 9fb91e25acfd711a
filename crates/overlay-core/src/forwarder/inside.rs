//! TUN → wire. The way of a packet, in order:
//!
//! 1. header: IPv6, and as long as it says;
//! 2. scope: nothing link-local, nothing multicast;
//! 3. lookup: where the route for this destination and source leads;
//! 4. source right: this node may send from the source (not asked when a stock leaf of ours is the target: what came for it
//!    from the overlay passes the kernel's forward hook and comes here with its sender's address);
//! 5. peer, session and path: without a session the packet waits;
//! 6. MTU: too big is said, not fragmented;
//! 7. counters for all segments at once;
//! 8. each segment is laid out at its place in the transmit area, finished, sealed in place, and joins a train.

use crate::forwarder::arena::ArenaLayout;
use crate::forwarder::batch::{Batch, Ecn, Gso, GsoKind, Span, TunRead};
use crate::forwarder::coalesce;
use crate::forwarder::drop::DropReason;
use crate::forwarder::fib::Target;
use crate::forwarder::icmp::{self, IcmpError};
use crate::forwarder::ipv6::Header;
use crate::forwarder::mail::{Event, PeerKind, Watch};
use crate::forwarder::split::Segments;
use crate::forwarder::stats::Figure;
use crate::forwarder::transmit::TRAIN;
use crate::forwarder::way::{NoWay, Way};
use crate::forwarder::{Forwarder, raise};
use crate::{Path, PeerIdx};
use ln6_types::Instant;

/// The transmit area by itself, so that what is read and what is written can be borrowed at once.
pub(crate) struct Area<'a> {
    pub(crate) begin: usize,
    pub(crate) octets: &'a mut [u8],
}

impl Area<'_> {
    /// `len` octets at an offset into the whole arena.
    pub(crate) fn at(&mut self, at: usize, len: usize) -> &mut [u8] {
        &mut self.octets[at - self.begin..][..len]
    }
}

/// The part of the arena that is read from, and the transmit area.
pub(crate) fn divide<'a>(layout: &ArenaLayout, arena: &'a mut [u8]) -> (&'a mut [u8], Area<'a>) {
    let begin = layout.tx.at as usize;
    let (read, octets) = arena.split_at_mut(begin);
    (read, Area { begin, octets })
}

/// How something that control made travels.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    /// By the path in use.
    Use,
    /// By this one.
    Path(Path),
    /// By this one, in one piece and as long as it is.
    Whole(Path),
}

/// Why a packet does not go.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Drop(DropReason),
    /// Its sender is told.
    Answer(DropReason, IcmpError),
    /// It waits for `peer`; the session that is missing is with `wanted`.
    Wait {
        peer: PeerIdx,
        wanted: PeerIdx,
    },
}

impl From<DropReason> for Refusal {
    fn from(reason: DropReason) -> Self {
        Refusal::Drop(reason)
    }
}

impl Forwarder {
    /// A read from the TUN: towards the peers.
    pub fn inside(&mut self, now: Instant, read: TunRead, arena: &mut [u8], out: &mut Batch) {
        self.config.stats.add(Figure::TunReads, 1);
        if read.gso.kind != GsoKind::None {
            self.config.stats.add(Figure::TunSuperpackets, 1);
        }
        let (reads, mut area) = divide(&self.config.layout, arena);
        if let Some(packet) = reads.get(read.all.range()) {
            self.towards_peer(now, read.gso, packet, &mut area, out);
        }
    }

    /// Sends a packet or superpacket, or does with it what must be done instead.
    pub(crate) fn towards_peer(
        &mut self,
        now: Instant,
        gso: Gso,
        packet: &[u8],
        area: &mut Area<'_>,
        out: &mut Batch,
    ) {
        match self.pass(now, gso, packet, area, out) {
            Ok(peer) => {
                let sent = Watch { sent: true, ..Watch::default() };
                self.peers.watched(peer, sent, &mut out.events);
            }
            Err(Refusal::Drop(reason)) => self.config.stats.dropped(reason),
            Err(Refusal::Answer(reason, error)) => {
                self.config.stats.dropped(reason);
                self.answer(now, error, packet, area, out);
            }
            Err(Refusal::Wait { peer, wanted }) => {
                if !self.parking.park(now, peer, gso, packet) {
                    self.config.stats.dropped(DropReason::ParkedFull);
                }
                self.want(now, wanted, out);
            }
        }
    }

    /// Asks control for a session, once a second for each peer.
    pub(crate) fn want(&mut self, now: Instant, peer: PeerIdx, out: &mut Batch) {
        if self.peers.get_mut(peer).is_some_and(|state| state.is_wanted_anew(now)) {
            raise(&mut out.events, Event::Wanted(peer));
        }
    }

    fn pass(
        &mut self,
        now: Instant,
        gso: Gso,
        packet: &[u8],
        area: &mut Area<'_>,
        out: &mut Batch,
    ) -> Result<PeerIdx, Refusal> {
        // 1 header
        let header = Header::read(packet)?;
        let packet = &packet[..header.len];
        // 2 scope
        check_scope(&header)?;
        // 3 lookup, 4 source right
        let peer = match self.sent.peer(packet) {
            Some(peer) => peer,
            None => {
                let peer = self.target(&header)?;
                self.sent.remember(packet, peer);
                peer
            }
        };
        // 5 peer, session, path
        let way = match Way::find(&self.peers, peer, self.fib.own_router(), now) {
            Ok(way) => way,
            Err(NoWay::Session(wanted)) => return Err(Refusal::Wait { peer, wanted }),
            Err(NoWay::Path) => return Err(DropReason::NoPath.into()),
        };
        if way.tx.kind == PeerKind::Guest {
            return Err(Refusal::Answer(DropReason::GuestTraffic, IcmpError::NoRoute));
        }
        // 6 MTU
        let segments = Segments::of(gso, packet, header.next)?;
        if segments.len(0) > way.mtu() {
            return Err(Refusal::Answer(DropReason::TooBig, IcmpError::TooBig(way.mtu() as u32)));
        }
        // 7 counters
        let count = u16::try_from(segments.count()).map_err(|_| DropReason::Malformed)?;
        let (full, last) =
            (way.datagram(segments.len(0)), way.datagram(segments.len(usize::from(count) - 1)));
        let total = full * (usize::from(count) - 1) + last;
        let begin = self.transmit.take(total).ok_or(DropReason::TransmitFull)?;
        let counters = way.reserve(count)?;
        // 8 layout, seal, train
        for at in 0..count {
            let text = segments.len(usize::from(at));
            let (offset, len) = (begin + full * usize::from(at), if at + 1 < count { full } else { last });
            let datagram = area.at(offset, len);
            segments.write(usize::from(at), &mut datagram[way.head()..][..text]);
            way.seal(counters, at, datagram, text);
            self.transmit.send(way.to, header.ecn, offset, len, out);
        }
        way.count(u64::from(count), packet.len() as u64, total as u64);
        if counters.worn {
            raise(&mut out.events, Event::Worn(peer));
        }
        Ok(peer)
    }

    /// The peer that a packet is for, if this node may send it.
    fn target(&self, header: &Header) -> Result<PeerIdx, Refusal> {
        let target = self.fib.lookup(header.dst, header.src);
        let for_leaf = match target {
            Some(Target::Peer(peer)) => {
                self.peers.get(peer).is_some_and(|state| state.kind() == PeerKind::Stock)
            }
            _ => false,
        };
        if !for_leaf && !self.fib.may_send(PeerIdx::SELF, header.src) {
            return Err(Refusal::Answer(DropReason::SourceNotOurs, IcmpError::SourcePolicy));
        }
        match target {
            Some(Target::Peer(peer)) => Ok(peer),
            None => Err(Refusal::Answer(DropReason::NoRoute, IcmpError::NoRoute)),
            Some(Target::Unreachable | Target::Local) => {
                Err(Refusal::Answer(DropReason::Unreachable, IcmpError::AddressUnreachable))
            }
        }
    }

    /// Seals one packet that control made: IP, a frame, or nothing for a keepalive.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        peer: PeerIdx,
        text: &[u8],
        area: &mut Area<'_>,
        out: &mut Batch,
    ) {
        match self.seal_one(now, peer, By::Use, text, area, out) {
            Ok(()) if text.is_empty() => {}
            Ok(()) => {
                let sent = Watch { sent: true, ..Watch::default() };
                self.peers.watched(peer, sent, &mut out.events);
            }
            Err(reason) => self.config.stats.dropped(reason),
        }
    }

    /// Seals one packet that control made, and sends it.
    pub(crate) fn seal_one(
        &mut self,
        now: Instant,
        peer: PeerIdx,
        by: By,
        text: &[u8],
        area: &mut Area<'_>,
        out: &mut Batch,
    ) -> Result<(), DropReason> {
        let own = self.fib.own_router();
        let way = match by {
            By::Use => Way::find(&self.peers, peer, own, now),
            By::Path(path) => Way::by(&self.peers, peer, path, own, now),
            By::Whole(path) => Way::by(&self.peers, peer, path, own, now).map(Way::whole),
        };
        let way = way.map_err(|no| match no {
            NoWay::Session(_) => DropReason::NoSession,
            NoWay::Path => DropReason::NoPath,
        })?;
        let is_frame = text.first().is_some_and(|first| first >> 4 == 0);
        if is_frame && way.tx.kind == PeerKind::Stock {
            return Err(DropReason::FrameFromStock);
        }
        let len = way.datagram(text.len());
        if len > TRAIN as usize {
            return Err(DropReason::TooBig);
        }
        let offset = self.transmit.take(len).ok_or(DropReason::TransmitFull)?;
        let counters = way.reserve(1)?;
        let datagram = area.at(offset, len);
        datagram[way.head()..][..text.len()].copy_from_slice(text);
        way.seal(counters, 0, datagram, text.len());
        self.transmit.send(way.to, Ecn::default(), offset, len, out);
        way.count(1, text.len() as u64, len as u64);
        Ok(())
    }

    /// Tells the sender of a packet why it went nowhere, if the rate and RFC 4443 allow.
    fn answer(
        &mut self,
        now: Instant,
        error: IcmpError,
        packet: &[u8],
        area: &mut Area<'_>,
        out: &mut Batch,
    ) {
        let node = self.fib.node_address();
        let Ok(header) = Header::read(packet) else { return };
        let packet = &packet[..header.len];
        if node.is_unspecified() || !icmp::may_answer(packet) || !self.icmp_tokens.take(now, 1) {
            return;
        }
        let len = icmp::error_len(packet);
        if let Some(at) = self.transmit.take(len) {
            icmp::write_error(error, node, packet, area.at(at, len));
            coalesce::write(Gso::default(), &[Span::new(at as u32, len as u32)], out);
            self.config.stats.add(Figure::IcmpErrors, 1);
        }
    }
}

fn check_scope(header: &Header) -> Result<(), DropReason> {
    if header.src.is_unicast_link_local() || header.dst.is_unicast_link_local() {
        return Err(DropReason::LinkLocal);
    }
    if header.src.is_multicast() || header.dst.is_multicast() {
        return Err(DropReason::Multicast);
    }
    if header.src.is_unspecified() || header.src.is_loopback() {
        return Err(DropReason::SourceNotOurs);
    }
    Ok(())
}
