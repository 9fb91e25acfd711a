//! What was judged lately: packets of a flow come in runs, and a search in the table for each would cost more than all
//! other bookkeeping together. Forgotten whenever control sends a table or a peer.

use crate::PeerIdx;
use crate::forwarder::ipv6::HEADER;

const ENTRIES: usize = 16;

/// Source and destination, as they lie in the header.
type Addresses = [u8; 32];

/// Pairs of addresses that were let pass, with the peer they go to or come from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memo([Option<(Addresses, PeerIdx)>; ENTRIES]);

/// The addresses of a packet, which has a whole header.
fn addresses(packet: &[u8]) -> Option<&Addresses> {
    packet.get(8..HEADER).and_then(|octets| octets.first_chunk())
}

fn place(addresses: &Addresses) -> usize {
    let (words, _) = addresses.as_chunks::<8>();
    mix(0, words) % ENTRIES
}

/// Mixes words to a number all of whose bits are fit to choose a place by. For tables in which a collision costs time, not
/// correctness.
pub(crate) fn mix(seed: u64, words: &[[u8; 8]]) -> usize {
    let mixed = words.iter().fold(seed, |hash, word| {
        (hash ^ u64::from_ne_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    (mixed >> 40) as usize
}

impl Memo {
    /// The peer that packets with these addresses were let pass to or from.
    #[inline]
    pub(crate) fn peer(&self, packet: &[u8]) -> Option<PeerIdx> {
        let own = addresses(packet)?;
        self.0[place(own)].filter(|(known, _)| known == own).map(|(_, peer)| peer)
    }

    /// Remembers that the packet was let pass.
    pub(crate) fn remember(&mut self, packet: &[u8], peer: PeerIdx) {
        if let Some(own) = addresses(packet) {
            self.0[place(own)] = Some((*own, peer));
        }
    }

    pub(crate) fn forget_all(&mut self) {
        *self = Memo::default();
    }
}
