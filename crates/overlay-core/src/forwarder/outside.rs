//! Wire → TUN. The way of a datagram, in order:
//!
//! 1. kind: handshake messages go by the gate to control; of a relayed datagram the head is what follows, a frame;
//! 2. receiver index → key, if this worker owns it;
//! 3. counter, tag, replay window: opened in place;
//! 4. what control waits for: first packet under the key, another path, watched edges;
//! 5. an empty packet is a keepalive, a first nibble of 0 a frame, of 6 an IPv6 packet;
//! 6. frame: a message for control, a relay frame for us (its datagram begins again at 1) or for others (`relay.rs`);
//! 7. packet: header, scope (link-local is control's), source right, delivery right, congestion marks;
//! 8. it joins a run of its flow, or is written to the TUN by itself.

use crate::forwarder::batch::{Batch, Ecn, Span, UdpRead};
use crate::forwarder::drop::DropReason;
use crate::forwarder::frame::{Frame, RELAY_HEADER};
use crate::forwarder::gate::{Porter, Verdict};
use crate::forwarder::ipv6::{Header, decapsulate_ecn, is_link_group};
use crate::forwarder::keys::{OpenFailure, Opened, worker_of};
use crate::forwarder::mail::{Event, PeerKind, Watch};
use crate::forwarder::relay::{Sealed, Transit};
use crate::forwarder::stats::Figure;
use crate::forwarder::{EVENTS, Forwarder, HANDSHAKES, raise};
use crate::{Path, PeerIdx};
use ln6_crypto::message::{
    Kind, RELAYED_TEXT, TAG, TRANSPORT_HEADER, read_relayed_header, read_transport_header,
};
use ln6_types::{Instant, RouterId};

/// One datagram and how it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) from: Path,
    pub(crate) ecn: Ecn,
    pub(crate) at: Span,
    /// How much of it is sealed, as its kind says.
    pub(crate) sealed: Sealed,
    /// It was in a relay frame.
    pub(crate) relayed: bool,
    /// By whom, as that frame says: a hint.
    pub(crate) author: Option<RouterId>,
    /// It came by mail, so it is not mailed on.
    pub(crate) mailed: bool,
}

impl Arrival {
    fn text(&self, len: usize) -> Span {
        Span::new(self.at.at + TRANSPORT_HEADER as u32, len as u32)
    }
}

type Judgement = Result<(), DropReason>;

impl Forwarder {
    /// A read from the UDP socket: towards the TUN, control, or the next hop.
    pub fn outside(&mut self, now: Instant, read: UdpRead, arena: &mut [u8], out: &mut Batch) {
        self.config.stats.add(Figure::UdpReads, 1);
        if read.all.range().end > arena.len() {
            return;
        }
        let (mut at, end) = (read.all.at, read.all.at + read.all.len);
        let stride = if read.stride == 0 { read.all.len.max(1) } else { u32::from(read.stride) };
        let mut datagrams = 0;
        while at < end {
            let span = Span::new(at, stride.min(end - at));
            let arrival = Arrival {
                from: read.from,
                ecn: read.ecn,
                at: span,
                sealed: Sealed::Whole,
                relayed: false,
                author: None,
                mailed: false,
            };
            self.arrive(now, arrival, arena, out);
            datagrams += 1;
            at += span.len;
        }
        self.config.stats.add(Figure::UdpDatagrams, datagrams);
        self.settle();
    }

    /// Takes one datagram, from wherever.
    pub(crate) fn arrive(&mut self, now: Instant, arrival: Arrival, arena: &mut [u8], out: &mut Batch) {
        // 1 kind
        let judgement = match Kind::of(&arena[arrival.at.range()]) {
            Some(Kind::Transport) => {
                self.transport(now, Arrival { sealed: Sealed::Whole, ..arrival }, arena, out)
            }
            // Relayed twice over: refused as a relay frame within one is.
            Some(Kind::Relayed) if arrival.relayed => Err(DropReason::RelayRefused),
            Some(Kind::Relayed) => {
                self.transport(now, Arrival { sealed: Sealed::Head, ..arrival }, arena, out)
            }
            Some(Kind::Initiation | Kind::Response | Kind::CookieReply) => {
                self.handshake(now, arrival, arena, out)
            }
            None => Err(DropReason::Malformed),
        };
        if let Err(reason) = judgement {
            self.config.stats.dropped(reason);
        }
    }

    fn handshake(&mut self, now: Instant, arrival: Arrival, arena: &mut [u8], out: &mut Batch) -> Judgement {
        let Some(gate) = &self.gate else { return Err(DropReason::BadMac1) };
        let message = &arena[arrival.at.range()];
        let verdict = match arrival.from {
            Path::Udp(source) => {
                let familiar = self.peers.at(source).map(|peer| &mut peer.handshakes);
                self.porter.judge(now, gate, message, source, familiar)
            }
            Path::Through(neighbour) => match self.peers.get_mut(neighbour) {
                Some(peer) => Porter::judge_relayed(now, gate, message, &mut peer.handshakes),
                None => Verdict::Drop(DropReason::HandshakeLimited),
            },
        };
        match verdict {
            Verdict::Drop(reason) => Err(reason),
            Verdict::Cookie(reply) => {
                let at = self.transmit.take(reply.len()).ok_or(DropReason::TransmitFull)?;
                arena[at..at + reply.len()].copy_from_slice(&reply);
                self.transmit.send(arrival.from.into(), Ecn::default(), at, reply.len(), out);
                Err(DropReason::CookieSent)
            }
            Verdict::Pass if self.handshakes >= HANDSHAKES || out.events.len() >= EVENTS => {
                Err(DropReason::EventQueueFull)
            }
            Verdict::Pass => {
                self.handshakes += 1;
                out.events.push(Event::Handshake { from: arrival.from, message: message.to_vec() });
                Ok(())
            }
        }
    }

    fn transport(&mut self, now: Instant, arrival: Arrival, arena: &mut [u8], out: &mut Batch) -> Judgement {
        // 2 receiver index
        let datagram = &mut arena[arrival.at.range()];
        let header = match arrival.sealed {
            Sealed::Whole => read_transport_header(datagram),
            Sealed::Head => read_relayed_header(datagram),
        };
        let (index, counter) = header.ok_or(DropReason::Malformed)?;
        let Some(key) = self.receive.get_mut(&index) else {
            return self.stranger(now, index, arrival, datagram, out);
        };
        if now >= key.expires() {
            return Err(DropReason::KeyExpired);
        }
        // 3 counter, tag, window
        let opened = match arrival.sealed {
            Sealed::Whole => key.open(counter, &mut datagram[TRANSPORT_HEADER..]),
            Sealed::Head => key.open_relayed(counter, datagram),
        };
        let opened = opened.map_err(|failure| match failure {
            OpenFailure::Replay => DropReason::Replay,
            OpenFailure::BadTag => DropReason::BadTag,
        })?;
        let peer = key.peer();
        // 4 what control waits for
        self.tally(peer, opened.len, arrival.relayed);
        self.report(now, peer, index, opened, arrival.from, out);
        // 5 what it is
        if arrival.sealed == Sealed::Head {
            return self.frame(now, peer, arrival, opened.len, arena, out);
        }
        let text = arrival.text(opened.len);
        match arena[text.range()].first().map(|first| first >> 4) {
            None => Ok(()),
            Some(0) => self.frame(now, peer, arrival, opened.len, arena, out),
            Some(6) => self.packet(now, peer, arrival, text, arena, out),
            Some(_) => Err(DropReason::NotIpv6),
        }
    }

    /// An index that is not among this worker's keys. The mailbox was drained before the batch, so the key is not on its way.
    fn stranger(
        &mut self,
        now: Instant,
        index: u32,
        arrival: Arrival,
        datagram: &[u8],
        out: &mut Batch,
    ) -> Judgement {
        let worker = worker_of(index);
        if worker != self.config.worker && worker < self.config.workers && !arrival.mailed {
            let limit = match arrival.from {
                Path::Udp(_) => Some(&mut self.elsewhere_tokens),
                Path::Through(neighbour) => {
                    self.peers.get_mut(neighbour).map(|neighbour| &mut neighbour.elsewhere)
                }
            };
            if !limit.is_some_and(|limit| limit.take(now, 1)) {
                return Err(DropReason::ElsewhereLimited);
            }
            if out.events.len() >= EVENTS / 2 {
                return Err(DropReason::EventQueueFull);
            }
            out.events.push(Event::Elsewhere { worker, from: arrival.from, datagram: datagram.to_vec() });
            return Ok(());
        }
        if self.stranger_tokens.take(now, 1) {
            let event = match (arrival.from, arrival.author) {
                (Path::Through(via), Some(router)) => Event::StrangerRelayed { via, router },
                (from, _) => Event::Stranger { from },
            };
            raise(&mut out.events, event);
        }
        Err(DropReason::BadIndex)
    }

    fn report(
        &mut self,
        now: Instant,
        peer: PeerIdx,
        index: u32,
        opened: Opened,
        from: Path,
        out: &mut Batch,
    ) {
        if opened.first {
            out.events.push(Event::Confirmed(index)); // one in the life of a key: never refused
        }
        if let Some(state) = self.peers.get_mut(peer)
            && opened.newest
            && state.has_moved(now, from)
        {
            raise(&mut out.events, Event::Moved { peer, from });
        }
        let happened = Watch { sent: false, received: true, data_received: opened.len > 0 };
        self.peers.watched(peer, happened, &mut out.events);
    }

    fn frame(
        &mut self,
        now: Instant,
        peer: PeerIdx,
        arrival: Arrival,
        len: usize,
        arena: &mut [u8],
        out: &mut Batch,
    ) -> Judgement {
        // 6 frame
        let kind = self.peers.get(peer).map_or(PeerKind::Guest, |state| state.kind());
        if kind == PeerKind::Stock {
            return Err(DropReason::FrameFromStock);
        }
        let sealed = arrival.sealed;
        let text = match sealed {
            Sealed::Whole => arrival.text(len),
            Sealed::Head => Span::new(arrival.at.at + RELAYED_TEXT as u32, len as u32),
        };
        match Frame::read(&arena[text.range()])? {
            // Of a relayed datagram only the head is authentic: it is one frame, all of it, and nothing but a relay frame.
            Frame::Message { .. } if sealed == Sealed::Head => Err(DropReason::FrameMalformed),
            Frame::Relay { len: frame, .. } if sealed == Sealed::Head && frame != len => {
                Err(DropReason::FrameMalformed)
            }
            Frame::Message { len } => {
                self.hand_to_control(now, peer, arrival.from, &arena[arrival.text(len).range()], out)
            }
            Frame::Relay { .. } if kind != PeerKind::Node => Err(DropReason::GuestTraffic),
            Frame::Relay { .. } if arrival.relayed => Err(DropReason::RelayRefused),
            Frame::Relay { len: frame, to, from: author, .. } if to == self.fib.own_router() => {
                let header = RELAY_HEADER as u32;
                let at = Span::new(text.at + header, frame as u32 - header);
                // What was mailed is the frame; what is in it may be another worker's again, once.
                let from = Path::Through(peer);
                let author = Some(author);
                let inner = Arrival { from, at, relayed: true, author, mailed: false, ..arrival };
                self.arrive(now, inner, arena, out);
                Ok(())
            }
            Frame::Relay { len: frame, hop_limit, to, .. } => {
                let datagram = Span::new(arrival.at.at, (TRANSPORT_HEADER + len + TAG) as u32);
                let ecn = arrival.ecn;
                let transit = Transit { from: peer, datagram, sealed, frame, text: len, hop_limit, to, ecn };
                self.relay(now, transit, arena, out)
            }
        }
    }

    fn packet(
        &mut self,
        now: Instant,
        peer: PeerIdx,
        arrival: Arrival,
        text: Span,
        arena: &mut [u8],
        out: &mut Batch,
    ) -> Judgement {
        // 7 packet
        let kind = self.peers.get(peer).map_or(PeerKind::Guest, |state| state.kind());
        if kind == PeerKind::Guest {
            return Err(DropReason::GuestTraffic);
        }
        let header = Header::read(&arena[text.range()])?;
        let packet = Span::new(text.at, header.len as u32);
        if belongs_to_link(&header)? {
            return self.hand_to_control(now, peer, arrival.from, &arena[packet.range()], out);
        }
        if self.received.peer(&arena[packet.range()]) != Some(peer) {
            if !self.fib.may_send(peer, header.src) {
                return Err(DropReason::SourceNotTheirs);
            }
            if !self.fib.delivers(header.src, header.dst, kind == PeerKind::Stock) {
                return Err(DropReason::NotForUs);
            }
            self.received.remember(&arena[packet.range()], peer);
        }
        if !decapsulate_ecn(arrival.ecn, &mut arena[packet.range()]) {
            return Err(DropReason::NotEcnCapable);
        }
        // 8 towards the TUN
        self.runs.offer(packet, arena, out);
        Ok(())
    }

    fn hand_to_control(
        &mut self,
        now: Instant,
        peer: PeerIdx,
        from: Path,
        packet: &[u8],
        out: &mut Batch,
    ) -> Judgement {
        if !self.peers.get_mut(peer).is_some_and(|state| state.may_talk(now)) {
            return Err(DropReason::MessagesLimited);
        }
        if out.events.len() >= EVENTS {
            return Err(DropReason::EventQueueFull);
        }
        out.events.push(Event::Inner { peer, from, packet: packet.to_vec() });
        Ok(())
    }

    /// Counts a packet, in bulk for those of one peer that follow each other.
    fn tally(&mut self, peer: PeerIdx, len: usize, relayed: bool) {
        if self.tallies[usize::from(relayed)].peer != Some(peer) {
            self.settle_one(usize::from(relayed));
        }
        let tally = &mut self.tallies[usize::from(relayed)];
        tally.peer = Some(peer);
        tally.packets += 1;
        tally.bytes += len as u64;
    }

    fn settle_one(&mut self, at: usize) {
        let tally = core::mem::take(&mut self.tallies[at]);
        if let Some(tx) = tally.peer.and_then(|peer| self.peers.tx(peer)) {
            tx.counters.received(tally.packets, tally.bytes);
        }
    }

    /// Writes the tallies to the peers' counters.
    pub(crate) fn settle(&mut self) {
        self.settle_one(0);
        self.settle_one(1);
    }
}

/// Whether a packet is of the link between the two nodes, so control's. Both ends must be.
fn belongs_to_link(header: &Header) -> Result<bool, DropReason> {
    let src = header.src.is_unicast_link_local();
    let dst = header.dst.is_unicast_link_local() || is_link_group(header.dst);
    match (src, dst) {
        (true, true) => Ok(true),
        (true, false) | (false, true) => Err(DropReason::ScopeForeign),
        (false, false) if header.dst.is_multicast() || header.src.is_multicast() => {
            Err(DropReason::Multicast)
        }
        (false, false) => Ok(false),
    }
}
