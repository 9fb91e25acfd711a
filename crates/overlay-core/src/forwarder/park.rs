//! Where superpackets wait for a session: one for each peer, eight in all. Memory is taken at first use and kept.

use crate::PeerIdx;
use crate::forwarder::batch::Gso;
use ln6_types::{Duration, Instant};

/// How many peers a superpacket may wait for.
const PLACES: usize = 8;
/// A packet that waited so long gives way to another.
const STALE: Duration = Duration::from_secs(5);

/// One place.
#[derive(Debug, Default)]
struct Place {
    peer: Option<PeerIdx>,
    since: Instant,
    gso: Gso,
    packet: Vec<u8>,
}

/// All places.
#[derive(Debug, Default)]
pub(crate) struct Parking([Place; PLACES]);

impl Parking {
    /// Copies the packet to a place, unless a fresh one waits for this peer already or all places are taken by fresh ones.
    pub(crate) fn park(&mut self, now: Instant, peer: PeerIdx, gso: Gso, packet: &[u8]) -> bool {
        let own = self.0.iter().position(|place| place.peer == Some(peer));
        let at = match own {
            Some(at) => Some(at).filter(|at| self.0[*at].is_stale(now)),
            None => self.0.iter().position(|place| place.peer.is_none() || place.is_stale(now)),
        };
        let Some(place) = at.map(|at| &mut self.0[at]) else { return false };
        place.packet.clear();
        place.packet.extend_from_slice(packet);
        (place.peer, place.since, place.gso) = (Some(peer), now, gso);
        true
    }

    /// For whom packets wait.
    pub(crate) fn waiting(&self) -> [Option<PeerIdx>; PLACES] {
        core::array::from_fn(|at| self.0[at].peer)
    }

    /// The packet that waits for the peer. Its memory comes back with [`give_back`](Self::give_back).
    pub(crate) fn take(&mut self, peer: PeerIdx) -> Option<(usize, Gso, Vec<u8>)> {
        let at = self.0.iter().position(|place| place.peer == Some(peer))?;
        let place = &mut self.0[at];
        place.peer = None;
        Some((at, place.gso, core::mem::take(&mut place.packet)))
    }

    /// Returns the memory of a packet that was taken.
    pub(crate) fn give_back(&mut self, at: usize, packet: Vec<u8>) {
        if self.0[at].peer.is_none() {
            self.0[at].packet = packet;
        }
    }

    /// Frees the place of a peer that is no more; whether there was one.
    pub(crate) fn forget(&mut self, peer: PeerIdx) -> bool {
        self.take(peer).map(|(at, _, packet)| self.give_back(at, packet)).is_some()
    }
}

impl Place {
    fn is_stale(&self, now: Instant) -> bool {
        now.since(self.since) >= STALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_packet_waits_for_each_of_eight_peers() {
        let mut parking = Parking::default();
        let second = |n: u64| Instant::from_micros(n * 1_000_000);
        for peer in 1..=8 {
            assert!(parking.park(second(1), PeerIdx(peer), Gso::default(), &[1]));
        }
        assert!(!parking.park(second(2), PeerIdx(1), Gso::default(), &[2]));
        assert!(!parking.park(second(2), PeerIdx(9), Gso::default(), &[2]));
        assert!(parking.park(second(6), PeerIdx(9), Gso::default(), &[3]));
        assert_eq!(parking.take(PeerIdx(9)).map(|(_, _, packet)| packet), Some(vec![3]));
        assert!(parking.take(PeerIdx(1)).is_none());
        assert!(parking.forget(PeerIdx(2)));
        assert!(parking.take(PeerIdx(2)).is_none());
    }
}
