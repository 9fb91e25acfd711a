//! How long packets may be on the path that a session takes: when it is asked, by what, and who is told.
//!
//! Probes are peer messages padded with zeros, sealed in the session and sent so that nothing fragments them; data goes on
//! without that restriction, so what does not fit meanwhile passes in pieces where the network lets pieces through. Nothing
//! is believed of ICMP: what a path carries is what its other end says it received.

pub(crate) mod search;

use crate::control::Control;
use crate::control::message::{Body, Message};
use crate::control::output::{Output, To};
use crate::control::peer::Peer;
use crate::control::secrets::draw;
use crate::control::timers::Reason;
use crate::forwarder::frame::{self, RELAY_HEADER};
use crate::forwarder::mail::{PeerKind, Update};
use crate::{Path, PeerIdx};
use ln6_crypto::message::TRANSPORT_OVERHEAD;
use ln6_types::{Instant, RouterId};
use search::{LEAST, Probe, Sent, TICK};

/// Octets that a relay frame and the session around it take from the inner packet: 24 + 32, and what makes it a multiple of 16.
const RELAY_OVERHEAD: u16 = 60;

fn sent_to(peer: &Peer) -> Sent {
    let traffic = peer.counters.read();
    Sent { octets: traffic.tx_bytes, packets: traffic.tx_packets }
}

impl Control {
    /// The most that a path may be found to carry: what the TUN takes, and of a neighbour's session what a relay frame leaves.
    fn mtu_cap(&self, path: Option<Path>) -> u16 {
        match path {
            Some(Path::Through(via)) => {
                let over = self.peers.get(via).map_or(self.mtu, |via| self.mtu_of(via));
                (over.saturating_sub(RELAY_OVERHEAD) & !15).max(LEAST)
            }
            _ => self.mtu,
        }
    }

    /// Greatest inner packet to a peer, by the path it has.
    pub(crate) fn mtu_of(&self, peer: &Peer) -> u16 {
        peer.sizing.mtu(self.mtu_cap(peer.path))
    }

    /// The sending side of a peer was told to the workers: if its path is new, its size is asked for.
    pub(crate) fn settle_mtu(&mut self, idx: PeerIdx) {
        if let Some(peer) = self.peers.get(idx)
            && !peer.sizing.is_of(measured_path(peer))
        {
            self.timers.set(idx, Reason::Size, Instant::ZERO);
        }
    }

    /// Data goes to this peer.
    pub(crate) fn size_in_use(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let sent = sent_to(peer);
        if peer.sizing.is_worth_a_look(sent) {
            self.timers.set_if_idle(idx, Reason::Size, now);
        }
    }

    /// A volley is over, or it is time to look at the traffic, or the path is another one.
    pub(crate) fn size_due(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get(idx) else { return };
        let (path, token) = (measured_path(peer), u64::from_be_bytes(draw(&mut *self.secrets)));
        let cap = self.mtu_cap(peer.path);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let (sent, mut probes) = (sent_to(peer), Vec::new());
        let mut changed = false;
        if !peer.sizing.is_of(path) {
            let before = (peer.sizing.mtu(cap), peer.sizing.is_whole());
            peer.sizing.take_path(now, path, cap, sent);
            if path.is_some() {
                peer.sizing.search(now, token, sent, &mut probes);
            }
            changed = before != (peer.sizing.mtu(cap), peer.sizing.is_whole());
        } else if peer.sizing.due().is_some() {
            changed = peer.sizing.timeout(now, &mut probes);
            self.timers.set(idx, Reason::Size, now + TICK);
        } else {
            let goes_on = peer.sizing.is_worth_a_look(sent);
            peer.sizing.look(now, token, cap, sent, &mut probes);
            if goes_on {
                self.timers.set(idx, Reason::Size, now + TICK);
            }
        }
        self.sized(idx, changed, probes);
    }

    /// Tells the workers, sends the probes, and sets the timer.
    fn sized(&mut self, idx: PeerIdx, changed: bool, probes: Vec<Probe>) {
        if changed {
            self.peers.changed.insert(idx);
        }
        let Some(peer) = self.peers.get(idx) else { return };
        if let Some(due) = peer.sizing.due() {
            self.timers.set(idx, Reason::Size, due);
        }
        let Some(path) = peer.path else { return };
        for (token, octets) in probes {
            let mut bytes = Vec::with_capacity(octets.into());
            if Message::from(Body::SizeProbe { token }).encode(&mut bytes).is_ok() {
                bytes.resize(usize::from(octets) - frame::FRAME_HEADER, 0);
                if let Some(frame) = frame::message_frame(&bytes) {
                    self.publish_peers();
                    self.out(Output::Update(To::Worker(0), Update::Measure(idx, path, frame)));
                }
            }
        }
    }

    /// A probe of `octets` came in one piece.
    pub(crate) fn answer_size(&mut self, idx: PeerIdx, token: u64, octets: usize) {
        if let (Some(peer), Ok(octets)) = (self.peers.get(idx), u16::try_from(octets))
            && peer.kind == PeerKind::Node
        {
            self.say(idx, Body::SizeReply { token, octets });
        }
    }

    /// One of ours did.
    pub(crate) fn handle_size(&mut self, now: Instant, idx: PeerIdx, token: u64, octets: u16) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let asked = peer.sizing.due().is_some();
        let changed = peer.sizing.answered(now, token, octets);
        if asked && peer.sizing.due().is_none() {
            // The trial ended with this one: on to looking at the traffic.
            self.timers.set(idx, Reason::Size, now + TICK);
        }
        self.sized(idx, changed, Vec::new());
    }

    /// A neighbour had to drop a relay frame: whoever sent it is told, if it was this neighbour.
    pub(crate) fn relay_too_big(&mut self, idx: PeerIdx, router: RouterId, frame: u16) {
        self.say(idx, Body::TooBig { router, mtu: frame });
    }

    /// A relay says that frames to `router` are too long for its way. Any relay may say so, true or not: it is tried.
    pub(crate) fn handle_too_big(&mut self, now: Instant, from: PeerIdx, router: RouterId, frame: u16) {
        let Some(idx) = self.peers.by_router(&router) else { return };
        let token = u64::from_be_bytes(draw(&mut *self.secrets));
        let Some(peer) = self.peers.get_mut(idx).filter(|peer| peer.path == Some(Path::Through(from))) else {
            return;
        };
        let mut probes = Vec::new();
        if usize::from(peer.sizing.mtu(u16::MAX)) + RELAY_HEADER + TRANSPORT_OVERHEAD > frame.into() {
            let sent = sent_to(peer);
            peer.sizing.doubt(now, token, sent, &mut probes);
        }
        self.sized(idx, false, probes);
    }
}

/// The path whose size can be asked for: none without a session, nor with those who do not know such probes.
fn measured_path(peer: &Peer) -> Option<Path> {
    peer.path.filter(|_| peer.kind == PeerKind::Node && peer.current.is_some())
}
