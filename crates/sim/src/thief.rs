//! A relay that tries to become the path itself: it unwraps the handshakes it should relay and sends them from its own
//! address, so that the other end takes that address for the peer's.

use crate::scenario::address;
use crate::world::NodeId;
use core::net::SocketAddr;
use ln6_overlay_core::forwarder::frame::{RELAY_HEADER, relay_frame};
use ln6_overlay_core::forwarder::mail::Packet;
use ln6_types::{PublicKey, RouterId};

/// What a thief does with what it caught.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Booty {
    /// Handshakes are passed on, so that there is a session; nothing else is.
    Dropped,
    /// All is passed on in relay frames, probes too.
    PassedOn,
}

/// One relay, and the two whom it wants between.
pub struct Thief {
    /// The relay.
    pub relay: NodeId,
    /// Whose handshakes it unwraps.
    pub from: NodeId,
    /// Who shall believe that the relay's address is the other's.
    pub to: NodeId,
    /// What becomes of the rest.
    pub booty: Booty,
    /// Handshake messages that were unwrapped.
    pub unwrapped: u64,
    /// Sealed datagrams that came to the relay's address.
    pub caught: u64,
    pub(crate) keys: [PublicKey; 2],
    pub(crate) routers: [RouterId; 2],
    /// Receiver indices of the victim.
    pub(crate) indices: Vec<[u8; 4]>,
}

impl Thief {
    /// The datagram in a relay frame from the victim that is to be sent in the open instead.
    pub(crate) fn unwrap(&mut self, from: NodeId, packet: &[u8]) -> Option<(SocketAddr, Packet)> {
        let sealed = packet.get(RELAY_HEADER..)?;
        let is_theirs = from == self.from && packet[..2] == [0, 2] && packet[8..16] == self.routers[1].0;
        if !is_theirs || !matches!(sealed[0], 1 | 2) {
            return None;
        }
        self.unwrapped += 1;
        self.indices.push([sealed[4], sealed[5], sealed[6], sealed[7]]);
        Some((address(self.to), sealed.to_vec()))
    }

    /// Whether a datagram that came to `node` is the victim's; if so, the relay frame for it, unless it is dropped.
    pub(crate) fn catch(&mut self, node: NodeId, from: SocketAddr, bytes: &[u8]) -> Option<Option<Packet>> {
        let at = match bytes.first() {
            Some(2) => 8,
            Some(4) => 4,
            _ => return None,
        };
        let index = *bytes.get(at..)?.first_chunk::<4>()?;
        if node != self.relay || from != address(self.to) || !self.indices.contains(&index) {
            return None;
        }
        self.caught += u64::from(bytes[0] == 4);
        let goes_on = bytes[0] == 2 || self.booty == Booty::PassedOn;
        Some(goes_on.then(|| relay_frame(self.routers[0], self.routers[1], bytes)).flatten())
    }
}
