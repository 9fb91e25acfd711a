//! Which suite a session is sealed with.
//!
//! The responder chooses: the best of its own that the initiator's signed record names. The number goes into the PSK slot,
//! so both ends agree or there is no session. Without a record, and with stock peers, it is WireGuard's own suite.
//! Nobody on the way can lower the choice: he cannot write a record, and an older one is refused for its counter.

use crate::control::Control;
use crate::control::peer::{Keys, Peer};
use crate::control::timers::Reason;
use crate::{Path, PeerIdx};
use core::time::Duration;
use ln6_crypto::NodeRecord;
use ln6_crypto::seal::Suite;
use ln6_types::Instant;

/// How soon after both ends could do better they try. The ends wait unequally, so that their handshakes do not cross.
const BETTER_SOON: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// For a better suite alone a session is renewed no more often than this.
const BETTER_PAUSE: Duration = Duration::from_secs(120);
/// After so many answers in a row that were not taken up, the peer may be a version that cannot read them.
const UNREAD: u8 = 2;

/// What is remembered of a peer for the sake of its suite.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Negotiation {
    /// Which of its records a session was last renewed for, and when.
    asked: Option<(u64, Instant)>,
    /// Answers in a row under another suite than WireGuard's that the peer did not take up.
    unread: u8,
}

/// The suites of a node: those of this build, each once, the best first. WireGuard's own is always among them.
pub(crate) fn usable(wished: &[Suite]) -> Vec<Suite> {
    let mut usable = Vec::with_capacity(Suite::ALL.len());
    for suite in wished.iter().copied().chain([Suite::ChaCha20Poly1305]) {
        if suite.is_built() && !usable.contains(&suite) {
            usable.push(suite);
        }
    }
    usable
}

impl Control {
    /// The numbers of this node's suites, best first, as its record and its hello name them.
    pub(crate) fn suite_ids(&self) -> Vec<u8> {
        self.suites.iter().map(|suite| suite.id()).collect()
    }

    fn record_of(&self, now: Instant, peer: &Peer) -> Option<&NodeRecord> {
        if peer.stock.is_some() {
            return None;
        }
        self.membership.record(&peer.key, self.wall(now))
    }

    /// The suite to answer a peer's initiation with.
    pub(crate) fn suite_for(&self, now: Instant, idx: PeerIdx) -> Suite {
        let record = self.peers.get(idx).and_then(|peer| self.record_of(now, peer));
        let names = |suite: &Suite| record.is_some_and(|record| record.suites.contains(&suite.id()));
        self.suites.iter().copied().find(names).unwrap_or(Suite::ChaCha20Poly1305)
    }

    /// The suites to read a peer's answer with, the most likely one first. The peer may know an older record of this node, so
    /// whatever this build can do is tried in the end: an answer proves that the peer chose it.
    pub(crate) fn suites_to_try(&self, now: Instant, idx: PeerIdx) -> Vec<Suite> {
        let Some(peer) = self.peers.get(idx) else { return Vec::new() };
        if peer.stock.is_some() {
            return vec![Suite::ChaCha20Poly1305];
        }
        let theirs = self.record_of(now, peer).map_or(&[][..], |record| &record.suites);
        let likely =
            theirs.iter().filter_map(|id| Suite::from_id(*id)).find(|suite| self.suites.contains(suite));
        let all = likely.into_iter().chain(self.suites.iter().copied()).chain(Suite::ALL);
        usable(&all.collect::<Vec<_>>())
    }

    /// An initiation of the peer was answered with keys that take the place of `unconfirmed`. A peer that does not take up
    /// answers under a suite it once named may have gone back to a version without it. It is not given less for that, or
    /// whoever holds answers back could lower the suite: it is asked instead, and chooses itself.
    pub(crate) fn note_unread(&mut self, now: Instant, idx: PeerIdx, from: Path, unconfirmed: Option<Suite>) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        match unconfirmed {
            Some(Suite::Aes256Gcm) => peer.negotiation.unread = peer.negotiation.unread.saturating_add(1),
            Some(Suite::ChaCha20Poly1305) | None => peer.negotiation.unread = 0,
        }
        if peer.negotiation.unread >= UNREAD {
            if let Path::Udp(address) = from {
                peer.hint(address);
            }
            self.initiate(now, idx);
        }
    }

    /// A session was made or a record came: if both ends can do better than the session's suite, it is renewed soon, once
    /// for each record. The other end may not know this node's record yet; when it does, it asks in its turn.
    pub(crate) fn settle_suite(&mut self, now: Instant, idx: PeerIdx) {
        let Some((counter, _)) = self.better_suite(now, idx) else { return };
        let Some(peer) = self.peers.get(idx) else { return };
        let soon = now + BETTER_SOON[usize::from(self.key > peer.key)] + self.jitter.millis(500);
        let at = match peer.negotiation.asked {
            Some((asked, _)) if asked == counter => return,
            Some((_, asked)) => soon.max(asked + BETTER_PAUSE),
            None => soon,
        };
        self.timers.set_if_idle(idx, Reason::Suite, at);
    }

    /// [`settle_suite`](Self::settle_suite)'s time has come.
    pub(crate) fn seek_better_suite(&mut self, now: Instant, idx: PeerIdx) {
        let Some((counter, _)) = self.better_suite(now, idx) else { return };
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if peer.pending.is_none() {
            peer.negotiation.asked = Some((counter, now));
            self.initiate(now, idx);
        }
    }

    /// A suite better than the session's that the peer's record names, with the record's counter.
    fn better_suite(&self, now: Instant, idx: PeerIdx) -> Option<(u64, Suite)> {
        let peer = self.peers.get(idx)?;
        let present = peer.current.as_ref()?.suite();
        let counter = self.record_of(now, peer)?.counter;
        let best = self.suite_for(now, idx);
        let place = |suite| self.suites.iter().position(|other| *other == suite).unwrap_or(usize::MAX);
        (place(best) < place(present)).then_some((counter, best))
    }
}

impl Keys {
    /// What the keys seal with.
    pub(crate) fn suite(&self) -> Suite {
        self.send.suite()
    }
}

impl Negotiation {
    /// The peer took up an answer.
    pub(crate) fn confirmed(&mut self) {
        self.unread = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, at, control, keys, keys_of, path};
    use super::*;
    use crate::control::config::StockPeer;
    use crate::control::membership::tests::{NODE, broker, node, record_naming};
    use crate::control::{Control, StoreId};
    use crate::forwarder::mail::Watch;
    use ln6_crypto::keys::Psk;

    const AES: Suite = Suite::Aes256Gcm;
    const CHACHA: Suite = Suite::ChaCha20Poly1305;

    /// A node that prefers AES and may send initiations, and a member it knows the certificate and the address of.
    fn with_member() -> (Control, PeerIdx) {
        let mut control = control();
        control.membership.import(&[broker(), node(NODE, 1, &[])], NOW);
        control.handle_stored(at(0), StoreId(1));
        control.handle_stored(at(0), StoreId(2));
        let idx = control.intern(at(0), NODE.key());
        control.peers.get_mut(idx).expect("known").hint(([192, 0, 2, 1], 6695).into());
        (control, idx)
    }

    fn hear(control: &mut Control, second: u64, idx: PeerIdx, counter: u64, suites: &[u8]) {
        control.handle_items(at(second), idx, vec![record_naming(NODE, NODE, counter, suites)]);
    }

    fn install(control: &mut Control, second: u64, idx: PeerIdx, suite: Suite) {
        control.install_current(at(second), idx, keys_of(suite, at(second), 77));
        control.peers.get_mut(idx).expect("known").kind = crate::forwarder::mail::PeerKind::Node;
    }

    /// For which record of the peer's the session was renewed until this second. Other handshakes, such as the ones that look
    /// for a path, are over at once.
    fn asked_until(control: &mut Control, idx: PeerIdx, second: u64) -> Option<u64> {
        while control.poll_timeout() <= at(second) {
            let then = control.poll_timeout();
            control.peers.get_mut(idx).expect("known").pending = None;
            control.handle_timeout(then);
        }
        control.peers.get(idx).and_then(|peer| peer.negotiation.asked).map(|(counter, _)| counter)
    }

    #[test]
    fn the_usable_suites_are_those_wished_and_the_one_that_all_have() {
        assert_eq!(usable(&[]), [CHACHA]);
        assert_eq!(usable(&[AES, AES]), [AES, CHACHA]);
        assert_eq!(usable(&[CHACHA, AES]), [CHACHA, AES]);
    }

    #[test]
    fn a_responder_chooses_only_what_the_peers_record_names() {
        let (mut control, idx) = with_member();
        assert_eq!(control.suite_for(at(1), idx), CHACHA, "no record");
        for (counter, suites, chosen) in [
            (1, &[][..], CHACHA),
            (2, &[7, 200], CHACHA),
            (3, &[0], CHACHA),
            (4, &[0, 1], AES),
            (5, &[9, 1], AES),
        ] {
            control.membership.offer(&record_naming(NODE, NODE, counter, suites), idx, NOW).expect("newer");
            assert_eq!(control.suite_for(at(1), idx), chosen, "{suites:?}");
        }
        control.suites = usable(&[CHACHA]);
        assert_eq!(control.suite_for(at(1), idx), CHACHA, "what this node does not want");
    }

    #[test]
    fn an_older_record_played_again_lowers_nothing() {
        let (mut control, idx) = with_member();
        hear(&mut control, 1, idx, 8, &[1, 0]);
        hear(&mut control, 2, idx, 7, &[0]);
        assert_eq!(control.suite_for(at(3), idx), AES);
    }

    #[test]
    fn answers_are_read_with_what_the_peer_would_choose_first_and_with_all_in_the_end() {
        let (mut control, idx) = with_member();
        assert_eq!(control.suites_to_try(at(1), idx), [AES, CHACHA]);
        control.membership.offer(&record_naming(NODE, NODE, 1, &[0]), idx, NOW).expect("new");
        assert_eq!(control.suites_to_try(at(1), idx), [CHACHA, AES]);
        control.suites = usable(&[CHACHA]);
        assert_eq!(control.suites_to_try(at(1), idx), [CHACHA, AES], "an older record of ours may be known");
    }

    #[test]
    fn stock_peers_never_see_another_suite() {
        let (mut control, idx) = with_member();
        hear(&mut control, 1, idx, 1, &[1, 0]);
        control.peers.get_mut(idx).expect("known").stock = Some(StockPeer {
            name: "phone".into(),
            key: NODE.key(),
            psk: Psk::NONE,
            endpoint: None,
            prefixes: Vec::new(),
            keepalive: 0,
        });
        assert_eq!(control.suite_for(at(2), idx), CHACHA);
        assert_eq!(control.suites_to_try(at(2), idx), [CHACHA]);
    }

    #[test]
    fn a_record_that_names_better_renews_the_session_once() {
        let (mut control, idx) = with_member();
        install(&mut control, 1, idx, CHACHA);
        assert_eq!(asked_until(&mut control, idx, 4), None);
        hear(&mut control, 4, idx, 1, &[1, 0]);
        assert_eq!(asked_until(&mut control, idx, 8), Some(1));
        // The other end did not know this node's record: nothing is gained by asking again.
        let when = |control: &Control| control.peers.get(idx).and_then(|peer| peer.negotiation.asked);
        let then = when(&control);
        install(&mut control, 8, idx, CHACHA);
        assert_eq!(asked_until(&mut control, idx, 20), Some(1));
        assert_eq!(when(&control), then);
        // A newer record is a new occasion, but not at once.
        hear(&mut control, 20, idx, 2, &[1, 0]);
        assert_eq!(asked_until(&mut control, idx, 100), Some(1));
        install(&mut control, 100, idx, AES);
        assert_eq!(asked_until(&mut control, idx, 200), Some(1), "there is nothing better");
    }

    #[test]
    fn a_record_that_names_nothing_better_renews_nothing() {
        let (mut control, idx) = with_member();
        install(&mut control, 1, idx, CHACHA);
        hear(&mut control, 2, idx, 1, &[0]);
        assert_eq!(asked_until(&mut control, idx, 60), None);
    }

    #[test]
    fn a_peer_that_leaves_answers_unread_is_asked_and_not_given_less() {
        let (mut control, idx) = with_member();
        hear(&mut control, 1, idx, 1, &[1, 0]);
        let mut unread = |unconfirmed| {
            control.note_unread(at(2), idx, path(9), unconfirmed);
            (control.counters.initiations_sent, control.suite_for(at(2), idx))
        };
        assert_eq!(unread(None), (0, AES));
        assert_eq!(unread(Some(AES)), (0, AES), "one answer may be lost");
        assert_eq!(unread(Some(AES)), (1, AES));
        assert_eq!(unread(Some(AES)), (1, AES), "no more often than any initiation");
    }

    #[test]
    fn a_key_that_sealed_its_share_is_renewed_at_once() {
        for (suite, share) in [(AES, 1 << 31), (CHACHA, 1 << 60)] {
            let (mut control, idx) = with_member();
            install(&mut control, 1, idx, suite);
            let send =
                control.peers.get(idx).and_then(|peer| peer.current.as_ref()).expect("keys").send.clone();
            let seen = Watch { sent: false, received: true, data_received: false };
            send.skip_to(share - 1);
            control.handle_seen(at(2), idx, seen);
            assert_eq!(control.counters.initiations_sent, 0);
            send.skip_to(share);
            control.handle_seen(at(3), idx, seen);
            assert_eq!(control.counters.initiations_sent, 1, "{suite}");
        }
        let (mut control, idx) = with_member();
        control.install_current(at(1), idx, keys(at(1), 77));
        assert!(!control.peers.get(idx).and_then(|peer| peer.current.as_ref()).expect("keys").send.is_worn());
    }
}
