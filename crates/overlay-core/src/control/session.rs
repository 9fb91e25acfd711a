//! WireGuard sessions: handshakes, their retries, key slots and timers.
//!
//! Control makes keys and moves the receiving half into the worker that the receiver index names; it never seals or opens
//! data itself. Mail order matters: the receiving key goes out before the sending side that makes the other end use it.

use crate::control::Control;
use crate::control::message::Body;
use crate::control::output::{Notice, Output, To};
use crate::control::peer::{Keys, Origin, Peer, Pending};
use crate::control::secrets::draw;
use crate::control::timers::Reason;
use crate::forwarder::frame;
use crate::forwarder::keys::{ReceiveKey, SendKey, worker_of};
use crate::forwarder::mail::{Packet, PeerKind, PeerTx, Update, Watch};
use crate::{Path, PeerIdx};
use core::net::SocketAddr;
use core::time::Duration;
use ln6_crypto::handshake::{Ephemeral, Initiator, Received, SessionKeys};
use ln6_crypto::message::{COOKIE_LEN, INITIATION_LEN, RESPONSE_LEN, receiver};
use ln6_crypto::timers::{
    KEEPALIVE_TIMEOUT, REJECT_AFTER_TIME, REKEY_AFTER_TIME, REKEY_ATTEMPT_TIME, REKEY_ON_RECEIVE,
    REKEY_TIMEOUT,
};
use ln6_types::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Initiations from one peer nearer together than this are ignored (wireguard-go's constant).
const INITIATION_GAP: Duration = Duration::from_millis(20);
/// A peer that shows that it waits for a handshake gets another one so soon.
const INITIATE_ANEW: Duration = Duration::from_secs(1);
/// How much later than the initiator the responder renews a session, should the initiator fail to. The two ends wait
/// unequally, so that their handshakes do not cross if each believes the other to be the initiator.
const RESPONDER_LATER: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(20)];
/// A search for a better path is given up so soon: the session goes on meanwhile.
const UPGRADE_ATTEMPT_TIME: Duration = Duration::from_secs(14);
/// Sessions with keys that hold no certificate here, all together (DESIGN 6).
const GUESTS: usize = 256;
/// Of these, from one IPv4 address, one IPv6 /64, or through one neighbour.
const GUESTS_OF_ONE: usize = 32;
/// A guest that has a session may stay so long before another takes its place, if places are short.
const VISIT: Duration = Duration::from_secs(60);

impl Control {
    /// Makes sure that a session with `idx` exists or is being made.
    pub(crate) fn want(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get(idx) else { return };
        let fresh = peer.current.as_ref().is_some_and(|keys| now.since(keys.born) < REJECT_AFTER_TIME);
        if !(fresh && peer.path.is_some()) {
            self.initiate(now, idx);
        }
    }

    /// Sends an initiation; one that was sent within REKEY_TIMEOUT goes only where it did not go yet. The same message goes out on every path there is to
    /// try: the first to arrive is answered, the others are refused as replays, so the fastest path wins.
    pub(crate) fn initiate(&mut self, now: Instant, idx: PeerIdx) {
        self.initiate_by(now, idx, false);
    }

    /// The same, but not content with a message that had time enough to be answered: ways have changed since, and the answer
    /// to it may have had none.
    pub(crate) fn initiate_anew(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let old = peer.pending.take_if(|pending| now.since(pending.sent) >= INITIATE_ANEW);
        self.retired_indices.extend(old.map(|pending| pending.index));
        self.initiate(now, idx);
    }

    /// Looks for a direct path while the session goes through somebody else. The other end is asked to try at the same
    /// time, which opens the filters of NATs on both sides.
    pub(crate) fn upgrade(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get(idx) else { return };
        if matches!(peer.path, Some(Path::Through(_))) && peer.current.is_some() && peer.pending.is_none() {
            self.say(idx, Body::CallMe(self.endpoints()));
            self.initiate_by(now, idx, true);
        }
        self.schedule_upgrade(now, idx);
    }

    /// The other end tries to reach this node directly, now.
    pub(crate) fn handle_call_me(&mut self, now: Instant, idx: PeerIdx, addresses: &[SocketAddr]) {
        let fit: Vec<SocketAddr> =
            addresses.iter().copied().filter(|address| self.is_candidate(*address)).collect();
        let Some(peer) = self.peers.get_mut(idx).filter(|peer| peer.stock.is_none() && !peer.direct()) else {
            return;
        };
        fit.into_iter().for_each(|address| peer.hint(address));
        if peer.pending.is_none() {
            self.initiate_by(now, idx, true);
        }
    }

    fn initiate_by(&mut self, now: Instant, idx: PeerIdx, upgrade: bool) {
        let mut paths = self.paths_to(now, idx);
        if upgrade {
            paths.retain(|path| matches!(path, Path::Udp(_)));
        }
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if let Some(pending) = peer.pending.as_mut().filter(|pending| now.since(pending.sent) < REKEY_TIMEOUT)
        {
            // Paths that turned up meanwhile get the same message.
            pending.upgrade &= upgrade;
            let message = pending.message;
            paths.retain(|path| !pending.tried.contains(path));
            pending.tried.extend(&paths);
            paths.into_iter().for_each(|path| self.send_outer(idx, path, message.to_vec()));
            return;
        }
        let since = peer
            .pending
            .as_ref()
            .filter(|pending| pending.upgrade == upgrade)
            .map_or(now, |pending| pending.since);
        if paths.is_empty() {
            self.give_up(now, idx);
            return;
        }
        let Some(stamp) = self.stamps.next(self.wall(now)) else {
            self.waiting_for_stamps.insert(idx);
            return;
        };
        let Some(index) = self.claim_index(idx) else { return };
        let ephemeral = Ephemeral::from_seed(draw(&mut *self.secrets));
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if let Some(old) = peer.pending.take() {
            self.retired_indices.push(old.index);
        }
        let mut message = [0; INITIATION_LEN];
        let started = Initiator::start(&self.secret, &peer.key, index, stamp, ephemeral, &mut message);
        let Ok(initiator) = started else {
            self.retired_indices.push(index);
            return;
        };
        peer.jar.write_macs(now, &mut message);
        peer.pending =
            Some(Pending { initiator, index, sent: now, since, upgrade, message, tried: paths.clone() });
        let retry = now + REKEY_TIMEOUT + self.jitter.millis(333);
        self.timers.set(idx, Reason::Retry, retry);
        for path in paths {
            self.send_outer(idx, path, message.to_vec());
        }
        self.counters.initiations_sent += 1;
    }

    /// REKEY_TIMEOUT passed without an answer.
    pub(crate) fn retry(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get(idx) else { return };
        let Some(pending) = &peer.pending else { return };
        let upgrade = pending.upgrade;
        let most = if upgrade { UPGRADE_ATTEMPT_TIME } else { REKEY_ATTEMPT_TIME };
        if now.since(pending.since) >= most {
            self.give_up(now, idx);
        } else {
            self.initiate_by(now, idx, upgrade);
        }
    }

    fn give_up(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if let Some(pending) = peer.pending.take() {
            self.retired_indices.push(pending.index);
        }
        peer.failures = peer.failures.saturating_add(1);
        self.timers.clear(idx, Reason::Retry);
        self.schedule_connect(now, idx);
    }

    fn claim_index(&mut self, idx: PeerIdx) -> Option<u32> {
        let worker = (idx.0 % u32::from(self.workers)) as u8;
        (0..8).find_map(|_| {
            let random = u32::from_be_bytes(draw(&mut *self.secrets));
            self.peers.claim(idx, random, worker)
        })
    }

    /// Sends a finished outer message by `path`.
    pub(crate) fn send_outer(&mut self, idx: PeerIdx, path: Path, bytes: Packet) {
        match path {
            Path::Udp(to) => self.out(Output::Datagram { to, bytes }),
            Path::Through(via) => {
                let Some(peer) = self.peers.get(idx) else { return };
                let Some(relay) = frame::relay_frame(peer.router, self.router, &bytes) else { return };
                self.out(Output::Update(To::Worker(0), Update::Send(via, relay)));
            }
        }
    }

    /// A handshake message that passed a worker's gate.
    pub(crate) fn handle_handshake(&mut self, now: Instant, from: Path, message: &[u8]) {
        if let Ok(initiation) = <&[u8; INITIATION_LEN]>::try_from(message) {
            self.handle_initiation(now, from, initiation);
        } else if let Ok(response) = <&[u8; RESPONSE_LEN]>::try_from(message) {
            self.handle_response(now, from, response);
        } else if let Ok(cookie) = <&[u8; COOKIE_LEN]>::try_from(message) {
            self.handle_cookie(now, cookie);
        }
    }

    fn handle_initiation(&mut self, now: Instant, from: Path, message: &[u8; INITIATION_LEN]) {
        let Ok(received) = Received::read(&self.secret, message) else {
            self.counters.handshakes_refused += 1;
            return;
        };
        if received.peer() == self.key {
            return;
        }
        let Some(idx) = self.admit(now, &received, from) else {
            self.counters.handshakes_refused += 1;
            return;
        };
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if peer.greatest.is_some_and(|greatest| received.stamp() <= greatest) {
            // The same message by another path, or a replay, or a peer whose clock went back and whose state was lost:
            // the last one is helped by an initiation of ours, which needs no timestamp of its own.
            // A session that was just made shows that there is nothing to help; so replays cannot keep us busy.
            let young = peer.current.as_ref().is_some_and(|keys| now.since(keys.born) < REKEY_TIMEOUT);
            let stale = !young && peer.last_initiation.is_some_and(|at| now.since(at) >= REKEY_TIMEOUT);
            if stale && peer.stock.is_none() {
                self.initiate(now, idx);
            }
            return;
        }
        if peer.last_initiation.is_some_and(|at| now.since(at) < INITIATION_GAP) {
            return;
        }
        peer.greatest = Some(received.stamp());
        peer.last_initiation = Some(now);
        peer.met.get_or_insert(now);
        peer.origin = Some(Origin::of(from));
        let psk = peer.psk.clone();
        let suite = self.suite_for(now, idx);
        let Some(index) = self.claim_index(idx) else { return };
        let ephemeral = Ephemeral::from_seed(draw(&mut *self.secrets));
        let mut answer = [0; RESPONSE_LEN];
        let Ok(keys) = received.answer(&psk, suite, index, ephemeral, &mut answer) else {
            self.peers.release(index);
            return;
        };
        let Some(peer) = self.peers.get_mut(idx) else { return };
        peer.jar.write_macs(now, &mut answer);
        self.install_receive(now, idx, &keys);
        let keys = self.sending_half(now, &keys, false, from);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let unconfirmed = peer.next.replace(keys);
        self.retired_indices.extend(unconfirmed.as_ref().map(|keys| keys.index));
        self.timers.set(idx, Reason::Zero, now + 3 * REJECT_AFTER_TIME);
        self.send_outer(idx, from, answer.to_vec());
        self.counters.handshakes_answered += 1;
        self.note_unread(now, idx, from, unconfirmed.map(|keys| keys.suite()));
    }

    /// The peer behind an initiation; strangers become guests while there is room.
    fn admit(&mut self, now: Instant, received: &Received, from: Path) -> Option<PeerIdx> {
        if let Some(idx) = self.peers.by_key(&received.peer()) {
            return Some(idx);
        }
        self.make_room(now, Origin::of(from)).then(|| self.intern(now, received.peer()))
    }

    /// Whether there is room for one more guest, perhaps in the place of another: one from where the new one comes from if there are
    /// many of those, else one from where most come from. Without a session goes before with one, older before younger.
    fn make_room(&mut self, now: Instant, origin: Origin) -> bool {
        let guests = || {
            self.peers
                .iter()
                .filter(|peer| peer.kind == PeerKind::Guest && peer.stock.is_none() && !peer.meta.ours)
        };
        let mut crowds: BTreeMap<Option<Origin>, usize> = BTreeMap::new();
        guests().for_each(|peer| *crowds.entry(peer.origin).or_default() += 1);
        let crowded = crowds.get(&Some(origin)).is_some_and(|own| *own >= GUESTS_OF_ONE);
        if !crowded && crowds.values().sum::<usize>() < GUESTS {
            return true;
        }
        let may_go = |peer: &&Peer| {
            let stays = peer.current.is_some() && peer.met.is_some_and(|met| now.since(met) < VISIT);
            !stays && (!crowded || peer.origin == Some(origin))
        };
        let rank = |peer: &&Peer| {
            (
                peer.current.is_some(),
                core::cmp::Reverse(crowds.get(&peer.origin).copied()),
                peer.last_initiation,
            )
        };
        let goes = guests().filter(may_go).min_by_key(rank).map(|peer| peer.idx);
        goes.map(|idx| self.forget_peer(now, idx)).is_some()
    }

    fn handle_response(&mut self, now: Instant, from: Path, message: &[u8; RESPONSE_LEN]) {
        let Some(index) = receiver(message) else { return };
        let Some(idx) = self.peers.by_index(index) else { return };
        let suites = self.suites_to_try(now, idx);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let Some(pending) = peer.pending.take_if(|pending| pending.index == index) else { return };
        let psk = peer.psk.clone();
        match pending.initiator.finish(&psk, &suites, message) {
            Ok(keys) => {
                self.install_receive(now, idx, &keys);
                let keys = self.sending_half(now, &keys, true, from);
                self.install_current(now, idx, keys);
                // Confirms the keys to the responder even if there is nothing to say.
                self.send_inner(idx, Vec::new());
            }
            // A forged answer must not cost the real one.
            Err(failed) => {
                let (initiator, _) = failed;
                peer.pending = Some(Pending { initiator, ..pending });
                self.counters.handshakes_refused += 1;
            }
        }
    }

    fn handle_cookie(&mut self, now: Instant, message: &[u8; COOKIE_LEN]) {
        let Some(idx) = receiver(message).and_then(|index| self.peers.by_index(index)) else { return };
        if let Some(peer) = self.peers.get_mut(idx) {
            // The retry carries the cookie; an unauthentic one changes nothing.
            let _ = peer.jar.open_reply(now, message);
        }
    }

    /// The responder's keys were used by the initiator: from now on they are ours to use, too.
    pub(crate) fn handle_confirmed(&mut self, now: Instant, index: u32) {
        let Some(idx) = self.peers.by_index(index) else { return };
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let Some(keys) = peer.next.take_if(|keys| keys.index == index) else { return };
        peer.negotiation.confirmed();
        // Two handshakes crossed if the answer to ours came after the peer's initiation (one that came later was sent by a
        // peer that has lost what it answered): both ends keep to the one that the smaller key began, or each would send
        // under keys that the other one drops first.
        let crossed = |ours: &Keys| ours.initiator && ours.born >= keys.born;
        if self.key < peer.key && peer.current.as_ref().is_some_and(crossed) {
            let dropped = peer.previous.replace(keys);
            self.retired_indices.extend(dropped.map(|keys| keys.index));
            return;
        }
        self.install_current(now, idx, keys);
    }

    fn install_receive(&mut self, now: Instant, idx: PeerIdx, keys: &SessionKeys) {
        let Ok(aead) = keys.receive.aead(keys.suite) else { return };
        let worker = worker_of(keys.receive_index);
        // The worker must know what kind of peer it is before the first packet opens.
        self.peers.changed.insert(idx);
        self.publish_peers();
        let key = Box::new(ReceiveKey::new(keys.receive_index, idx, aead, now + REJECT_AFTER_TIME));
        self.out(Output::Update(To::Worker(worker), Update::Receive(key)));
    }

    fn sending_half(&self, now: Instant, keys: &SessionKeys, initiator: bool, path: Path) -> Keys {
        let aead = keys.send.aead(keys.suite).expect("only suites of this build are chosen or tried");
        let send = Arc::new(SendKey::new(keys.send_index, aead, now + REJECT_AFTER_TIME));
        Keys { send, index: keys.receive_index, born: now, initiator, path }
    }

    fn install_current(&mut self, now: Instant, idx: PeerIdx, keys: Keys) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let (new, made_by) = (peer.current.is_none(), keys.path);
        let path = self.path_for(now, idx, made_by);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        // Whoever began: there is a session, and nothing to be asked for any more.
        if let Some(moot) = peer.pending.take() {
            self.retired_indices.push(moot.index);
        }
        self.timers.clear(idx, Reason::Retry);
        let changed = peer.path.replace(path) != Some(path);
        peer.heard = Some(now);
        if changed || new {
            self.unprove(idx);
        }
        if let Path::Udp(address) = path {
            self.remember_address(now, idx, address, new);
        }
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if let Some(old) = peer.previous.take() {
            self.retired_indices.push(old.index);
        }
        peer.previous = peer.current.replace(keys);
        let key = peer.key;
        self.peers.changed.insert(idx);
        self.timers.clear(idx, Reason::Dead);
        self.timers.set(idx, Reason::Reject, now + REJECT_AFTER_TIME);
        self.timers.set(idx, Reason::Zero, now + 3 * REJECT_AFTER_TIME);
        self.arm(idx, Watch { sent: true, received: true, data_received: true });
        if new {
            self.out(Output::Notice(Notice::SessionUp { peer: key, path }));
        }
        // The sending side must be with the workers before anything is said.
        self.publish_peers();
        self.settle_suite(now, idx);
        self.session_up(now, idx);
        self.prove_keys(now, idx, made_by);
    }

    /// Mails the workers what changed of the peers' sending sides.
    pub(crate) fn publish_peers(&mut self) {
        for idx in std::mem::take(&mut self.peers.changed) {
            self.settle_mtu(idx);
            let Some(peer) = self.peers.get(idx) else { continue };
            let update = Update::Peer(idx, Arc::new(self.transmit_side(peer)));
            self.out(Output::Update(To::All, update));
        }
        for index in std::mem::take(&mut self.retired_indices) {
            self.peers.release(index);
            self.out(Output::Update(To::Worker(worker_of(index)), Update::Forget(index)));
        }
    }

    fn transmit_side(&self, peer: &Peer) -> PeerTx {
        PeerTx {
            key: peer.current.as_ref().map(|keys| keys.send.clone()),
            path: peer.path,
            mtu: self.mtu_of(peer),
            whole: peer.sizing.is_whole(),
            kind: peer.kind,
            takes_relayed: peer.takes_relayed,
            router: peer.router,
            counters: peer.counters.clone(),
        }
    }

    /// Edges seen by the workers.
    pub(crate) fn handle_seen(&mut self, now: Instant, idx: PeerIdx, seen: Watch) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if seen.received {
            peer.heard = Some(now);
            self.timers.clear(idx, Reason::Dead);
        }
        if seen.sent {
            self.timers.clear(idx, Reason::Keepalive);
            self.expect_answer(now, idx);
            self.prove_in_use(now, idx);
            self.size_in_use(now, idx);
        }
        if seen.data_received && !seen.sent {
            self.owe_answer(now, idx);
        }
        if self.is_renewal_due(now, idx, seen) {
            self.initiate(now, idx);
        }
        self.timers.set_if_idle(idx, Reason::Watch, now + Duration::from_secs(1));
    }

    /// Whether what was just sent or received asks for new keys.
    fn is_renewal_due(&self, now: Instant, idx: PeerIdx, seen: Watch) -> bool {
        let Some(peer) = self.peers.get(idx) else { return false };
        let Some(keys) = &peer.current else { return seen.sent };
        if keys.send.is_worn() {
            return true;
        }
        let age = now.since(keys.born);
        if keys.initiator {
            seen.sent && age >= REKEY_AFTER_TIME || seen.received && age >= REKEY_ON_RECEIVE
        } else {
            let later = RESPONDER_LATER[usize::from(self.key > peer.key)];
            seen.sent && age >= REKEY_AFTER_TIME + later
        }
    }

    /// Something was sent: the other end has to be heard in time.
    fn expect_answer(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if !self.timers.running(idx, Reason::Dead) {
            peer.heard_then = peer.counters.read().rx_packets;
            self.timers.set(idx, Reason::Dead, now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT);
        }
    }

    /// Nothing was reported since [`expect_answer`](Self::expect_answer). Edges are reported once a second at most: the
    /// counters know whether an answer came between.
    pub(crate) fn dead(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if peer.counters.read().rx_packets == peer.heard_then {
            peer.proving.silent = true;
            self.initiate(now, idx);
        } else {
            peer.heard = Some(now);
        }
    }

    /// Data was received: something has to be said in time.
    fn owe_answer(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let traffic = peer.counters.read();
        peer.octets_then = traffic.rx_bytes;
        if !self.timers.running(idx, Reason::Keepalive) {
            peer.said_then = traffic.tx_packets;
            self.timers.set(idx, Reason::Keepalive, now + KEEPALIVE_TIMEOUT);
        }
    }

    /// Says nothing, unless something was said meanwhile.
    pub(crate) fn keepalive(&mut self, idx: PeerIdx) {
        if self.peers.get(idx).is_some_and(|peer| peer.counters.read().tx_packets == peer.said_then) {
            self.send_inner(idx, Vec::new());
        }
    }

    /// Edges may be reported again. What came while none was armed counts, too.
    pub(crate) fn watch_again(&mut self, now: Instant, idx: PeerIdx) {
        self.arm(idx, Watch { sent: true, received: true, data_received: true });
        if let Some(peer) = self.peers.get_mut(idx)
            && self.timers.running(idx, Reason::Dead)
            && peer.counters.read().rx_packets != peer.heard_then
        {
            // The answer came; what is sent from now on waits for its own.
            peer.heard = Some(now);
            self.timers.clear(idx, Reason::Dead);
        }
        if self.peers.get(idx).is_some_and(|peer| peer.counters.read().rx_bytes != peer.octets_then) {
            self.owe_answer(now, idx);
        }
    }

    /// Arms edges.
    fn arm(&mut self, idx: PeerIdx, watch: Watch) {
        if self.peers.get(idx).is_some() {
            self.out(Output::Update(To::All, Update::Watch(idx, watch)));
        }
    }

    /// The current key may not be used any longer.
    pub(crate) fn reject(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if peer.current.as_ref().is_some_and(|keys| now.since(keys.born) < REJECT_AFTER_TIME) {
            return;
        }
        let ended = peer.current.take();
        if let Some(old) = peer.previous.take() {
            self.retired_indices.push(old.index);
        }
        let wanted = peer.meta.any() || peer.stock.as_ref().is_some_and(|stock| stock.keepalive > 0);
        let key = peer.key;
        if let Some(keys) = ended {
            self.retired_indices.push(keys.index);
            self.peers.changed.insert(idx);
            self.out(Output::Notice(Notice::SessionDown { peer: key }));
            self.session_down(now, idx);
        }
        if wanted {
            self.schedule_connect(now, idx);
        }
    }

    /// Erases all keys of a session that nothing renewed.
    pub(crate) fn zero(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let slots = [peer.current.take(), peer.previous.take(), peer.next.take()];
        let had = slots.iter().any(Option::is_some);
        self.retired_indices.extend(slots.into_iter().flatten().map(|keys| keys.index));
        self.peers.changed.insert(idx);
        if had {
            self.session_down(now, idx);
        }
        if self
            .peers
            .get(idx)
            .is_some_and(|peer| peer.kind == PeerKind::Guest && peer.stock.is_none() && !peer.meta.ours)
        {
            self.forget_peer(now, idx);
        }
    }

    /// Drops a peer and everything that named it.
    pub(crate) fn forget_peer(&mut self, now: Instant, idx: PeerIdx) {
        self.session_down(now, idx);
        let Some(peer) = self.peers.remove(now, idx) else { return };
        let slots = [peer.current, peer.previous, peer.next];
        self.retired_indices.extend(slots.into_iter().flatten().map(|keys| keys.index));
        self.retired_indices.extend(peer.pending.map(|pending| pending.index));
        self.timers.clear_all(idx);
        self.out(Output::Update(To::All, Update::Gone(idx)));
    }

    /// Seals an inner packet in the session with `idx`.
    pub(crate) fn send_inner(&mut self, idx: PeerIdx, packet: Packet) {
        let Some(peer) = self.peers.get(idx) else { return };
        if !peer.connected() {
            return;
        }
        self.publish_peers();
        self.out(Output::Update(To::Worker(0), Update::Send(idx, packet)));
    }

    /// An authenticated packet, newer than all before, came by another path.
    pub(crate) fn handle_moved(&mut self, now: Instant, idx: PeerIdx, from: Path) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        match (peer.stock.is_some(), from) {
            // WireGuard's own roaming, for those who know no other.
            (true, Path::Udp(address)) => {
                peer.remember(address);
                peer.path = Some(from);
                self.peers.changed.insert(idx);
            }
            (true, Path::Through(_)) => {}
            // An echo by the new path is the proof that it leads to the peer.
            (false, Path::Udp(address)) => {
                if peer.path != Some(from) {
                    // Anybody on the way can write another source on a datagram: what worked keeps its place.
                    peer.hint(address);
                    self.look_at(now, idx, from);
                }
            }
            (false, Path::Through(_)) => {}
        }
    }
}

pub(crate) mod suite;
#[cfg(test)]
mod tests;
