//! Peer messages: what is said, when it is repeated, and what is done with what others say.

use crate::control::Control;
use crate::control::member::{JOIN_AGAIN, NOTHING_TO_ASK};
use crate::control::message::{Body, Hello, JoinRequest, Message, MessageError};
use crate::control::output::{Notice, Output};
use crate::control::peer::Unacknowledged;
use crate::control::secrets::draw;
use crate::control::timers::Reason;
use crate::forwarder::frame;
use crate::forwarder::mail::PeerKind;
use crate::{Path, PeerIdx};
use core::net::SocketAddr;
use core::time::Duration;
use ln6_types::Instant;

/// First pause before a message is repeated, doubled each time.
const RESEND: Duration = Duration::from_millis(400);
/// A message is repeated at most so often.
const TRIES: u8 = 6;
/// Messages that await an acknowledgement, per peer.
const OUTBOX: usize = 64;
/// How many handled messages are remembered, so that a repeated one is not handled twice.
const REMEMBERED: usize = 64;
/// Version of the messages.
const VERSION: u16 = 1;

impl Control {
    /// Says something once.
    pub(crate) fn say(&mut self, idx: PeerIdx, body: Body) {
        self.transmit(idx, &Message { id: None, body });
    }

    /// Says something until it is acknowledged, within reason.
    pub(crate) fn say_reliably(&mut self, now: Instant, idx: PeerIdx, body: Body) {
        let id = u32::from_be_bytes(draw(&mut *self.secrets));
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if peer.outbox.len() >= OUTBOX {
            self.counters.outbox_full += 1;
            return;
        }
        let message = Message { id: Some(id), body };
        let due = now + RESEND;
        peer.outbox.insert(id, Unacknowledged { message: message.clone(), due, tries: 1 });
        self.timers.set_if_idle(idx, Reason::Resend, due);
        self.transmit(idx, &message);
    }

    fn transmit(&mut self, idx: PeerIdx, message: &Message) {
        let mut bytes = Vec::with_capacity(256);
        if message.encode(&mut bytes).is_err() {
            self.counters.messages_refused += 1;
            return;
        }
        if let Some(frame) = frame::message_frame(&bytes) {
            self.send_inner(idx, frame);
        }
    }

    /// Repeats what is due.
    pub(crate) fn resend(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let mut due = Vec::new();
        peer.outbox.retain(|_, waiting| {
            if waiting.due > now {
                return true;
            }
            if waiting.tries >= TRIES {
                return false;
            }
            waiting.due = now + RESEND * (1 << waiting.tries);
            waiting.tries += 1;
            due.push(waiting.message.clone());
            true
        });
        if let Some(next) = peer.outbox.values().map(|waiting| waiting.due).min() {
            self.timers.set(idx, Reason::Resend, next);
        }
        for message in due {
            self.transmit(idx, &message);
        }
    }

    /// A frame that came in the session with `idx`: the author is the session's key, whatever it says.
    pub(crate) fn handle_frame(&mut self, now: Instant, idx: PeerIdx, from: Path, packet: &[u8]) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if peer.stock.is_some() {
            return;
        }
        let decoded = frame::message_body(packet).ok_or(MessageError::Malformed).and_then(Message::decode);
        let (id, body) = match decoded {
            Ok(message) => (message.id, Some(message.body)),
            Err(MessageError::UnknownKind { id, .. }) => (id, None),
            Err(_) => {
                self.counters.messages_refused += 1;
                return;
            }
        };
        if let Some(id) = id {
            let repeated = peer.handled.contains(&id);
            if !repeated {
                if peer.handled.len() >= REMEMBERED {
                    peer.handled.remove(0);
                }
                peer.handled.push(id);
            }
            self.say(idx, Body::Ack { id });
            if repeated {
                return;
            }
        }
        match body {
            Some(Body::PathProbe { token }) => {
                let len = frame::message_body(packet).map_or(0, <[u8]>::len);
                self.echo_path(idx, from, token, len);
            }
            // What arrived counts, header included.
            Some(Body::SizeProbe { token }) => self.answer_size(idx, token, packet.len()),
            Some(body) => self.handle_message(now, idx, body),
            None => {}
        }
    }

    fn handle_message(&mut self, now: Instant, idx: PeerIdx, message: Body) {
        let kind = self.peers.get(idx).map_or(PeerKind::Guest, |peer| peer.kind);
        match message {
            Body::Ack { id } => {
                if let Some(peer) = self.peers.get_mut(idx) {
                    peer.outbox.remove(&id);
                }
            }
            Body::Hello(hello) => self.handle_hello(now, idx, &hello),
            Body::Items(items) => self.handle_items(now, idx, items),
            Body::Join(request) => self.handle_join(idx, false, request),
            Body::Renew(request) => self.handle_join(idx, true, request),
            Body::JoinReply(reply) => self.handle_join_reply(now, idx, reply),
            Body::Leave(leave) => self.handle_leave(now, idx, &leave),
            Body::LeaveReply { refused } => self.handle_left(now, idx, refused.as_deref()),
            Body::Probe { token, sent } => {
                let seen_at = self.seen_of(now, idx);
                self.say(idx, Body::ProbeReply { token, sent, seen_at });
            }
            Body::ProbeReply { token, sent, .. } => self.handle_probe_reply(now, idx, token, sent),
            Body::PathEcho { token, direct } => self.handle_path_echo(now, idx, token, direct),
            Body::SizeReply { token, octets } => self.handle_size(now, idx, token, octets),
            Body::TooBig { router, mtu } if kind == PeerKind::Node => {
                self.handle_too_big(now, idx, router, mtu);
            }
            Body::CallMe(addresses) if kind == PeerKind::Node => self.handle_call_me(now, idx, &addresses),
            // Gossip beyond a guest's own chain is for members.
            other if kind == PeerKind::Node => self.handle_gossip(now, idx, &other),
            _ => self.counters.guest_gossip += 1,
        }
    }

    /// A request for the broker on this machine.
    fn handle_join(&mut self, idx: PeerIdx, renew: bool, request: JoinRequest) {
        let Some(peer) = self.peers.get(idx) else { return };
        let address = match peer.path {
            Some(Path::Udp(address)) => Some(address),
            _ => None,
        };
        let from = peer.key;
        self.out(Output::ToBroker { from, address, renew, request });
    }

    /// Introduces this node; `ask` wants an introduction back.
    pub(crate) fn say_hello(&mut self, now: Instant, idx: PeerIdx, ask: bool) {
        let seen_at = self.seen_of(now, idx);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if peer.stock.is_some() {
            return;
        }
        peer.said_hello = true;
        // An older one must not arrive after this one; what it asked is asked still.
        let mut ask = ask;
        peer.outbox.retain(|_, waiting| match &waiting.message.body {
            Body::Hello(older) => {
                ask |= older.ask;
                false
            }
            _ => true,
        });
        let meta = peer.meta.ours;
        let hello = Hello {
            version: VERSION,
            network: self.network,
            suites: self.suite_ids(),
            seen_at,
            transit: self.transit,
            meta,
            ask,
            wall: self.is_broker(now).then(|| self.wall(now)),
            relayed: true,
        };
        self.say_reliably(now, idx, Body::Hello(hello));
    }

    /// Where a peer is seen, if that is more than what the header of a datagram said.
    fn seen_of(&self, now: Instant, idx: PeerIdx) -> Option<SocketAddr> {
        match self.peers.get(idx)?.path? {
            path @ Path::Udp(address) => self.is_proved(now, idx, path).then_some(address),
            Path::Through(_) => None,
        }
    }

    fn handle_hello(&mut self, now: Instant, idx: PeerIdx, hello: &Hello) {
        if hello.network != self.network {
            self.reject_from(idx, "another network");
            return;
        }
        let Some(peer) = self.peers.get_mut(idx) else { return };
        peer.version = hello.version;
        peer.transit = hello.transit;
        peer.meta.theirs = hello.meta;
        let first = !std::mem::replace(&mut peer.introduced, true);
        if std::mem::replace(&mut peer.takes_relayed, hello.relayed) != hello.relayed {
            self.peers.changed.insert(idx);
        }
        let Some(peer) = self.peers.get_mut(idx) else { return };
        // Whatever we asked is answered.
        for waiting in peer.outbox.values_mut() {
            if let Body::Hello(ours) = &mut waiting.message.body {
                ours.ask = false;
            }
        }
        let (key, kind) = (peer.key, peer.kind);
        let is_told_broker = self.is_told_broker(&key);
        if let Some(wall) = hello.wall.filter(|_| is_told_broker) {
            self.hear_time(now, key, wall);
        }
        if hello.ask {
            self.say_hello(now, idx, false);
            self.say_chain(now, idx);
        }
        if first && kind == PeerKind::Guest {
            // It may have been away while its rights were taken, and nobody gossips with a guest.
            self.tell_why(now, idx);
        }
        if let Some(address) = hello.seen_at.filter(|_| is_told_broker || kind == PeerKind::Node) {
            self.seen_by(now, key, address);
        }
        self.settle_link(now, idx);
        self.try_join(now, idx);
    }

    /// A session is up, or what hangs on it changed: introductions, Babel, gossip, joining.
    pub(crate) fn session_up(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get(idx) else { return };
        if peer.stock.is_some() {
            return;
        }
        let initiator = peer.current.as_ref().is_some_and(|keys| keys.initiator);
        if initiator || !peer.said_hello {
            self.say_hello(now, idx, initiator);
            self.say_chain(now, idx);
        }
        let waiting: Vec<u64> =
            self.pings.range((idx, 0)..=(idx, u64::MAX)).map(|((_, token), _)| *token).collect();
        for token in waiting {
            self.say(idx, Body::Probe { token, sent: now.as_micros() });
        }
        self.settle_link(now, idx);
        self.schedule_upgrade(now, idx);
        self.table_changed = true;
        self.plan_changed = true;
    }

    /// A session ended.
    pub(crate) fn session_down(&mut self, now: Instant, idx: PeerIdx) {
        if let Some(peer) = self.peers.get_mut(idx) {
            peer.said_hello = false;
            peer.introduced = false;
            // What comes back may be an older version.
            peer.takes_relayed = false;
            peer.meta.theirs = false;
            self.seen.remove(&peer.key);
            peer.outbox.clear();
        }
        self.unprove(idx);
        self.timers.clear(idx, Reason::Resend);
        self.timers.clear(idx, Reason::Upgrade);
        self.settle_link(now, idx);
        self.table_changed = true;
        self.plan_changed = true;
    }

    fn handle_probe_reply(&mut self, now: Instant, idx: PeerIdx, token: u64, sent: u64) {
        if self.pings.remove(&(idx, token)).is_none() {
            return;
        }
        let path = self.peers.get(idx).and_then(|peer| peer.path);
        let rtt = now.since(Instant::from_micros(sent));
        self.out(Output::Notice(Notice::Pong { token, rtt, path }));
    }

    /// Gives up on an unanswered request after a while and asks again.
    pub(crate) fn join_due(&mut self, now: Instant) {
        self.join_at = now + JOIN_AGAIN + self.jitter.millis(2_000);
        let mut asked = false;
        for idx in self.broker_peers(self.wall(now)) {
            let key = self.peers.get(idx).map(|peer| peer.key);
            if key.is_some_and(|key| self.wants_grant(now, &key).is_some()) {
                asked = true;
                self.want(now, idx);
                self.try_join(now, idx);
            }
        }
        if !asked {
            self.join_at = now + NOTHING_TO_ASK;
        }
    }

    pub(crate) fn reject_from(&mut self, idx: PeerIdx, why: &str) {
        let peer = self.peers.get(idx).map(|peer| peer.key);
        self.out(Output::Notice(Notice::Rejected { peer, why: why.to_owned() }));
    }
}
