//! How a worker's arena is divided. The shell lends one slice of [`ArenaLayout::len`] octets to every call; all spans
//! are offsets into it.
//!
//! A batch goes so: the shell reads from the TUN into [`tun`](ArenaLayout::tun) (free again as soon as
//! [`inside`](super::Forwarder::inside) returns) and from the socket into the [`udp`](ArenaLayout::udp) slots (taken until
//! the batch is sent: writes and relayed trains point into them). The forwarder lays out what it makes in
//! [`tx`](ArenaLayout::tx). When [`room`](super::Forwarder::room) is false, when all slots are used, or when nothing more is to be read, the shell calls
//! [`end_of_batch`](super::Forwarder::end_of_batch), sends the batch, clears it, and begins again.

use crate::forwarder::batch::Span;

/// Octets of one UDP slot: less would truncate a GRO train silently.
pub const SLOT: u32 = 65_536;
/// How many UDP slots there are.
pub const SLOTS: usize = 4;
/// Octets for one read from the TUN, virtio header not included: the largest IPv6 packet, rounded up.
pub const TUN_READ: u32 = 65_600;
/// What must be free in the transmit area before a packet of [`TUN_READ`] octets is handed in: it grows by a header and
/// a tag for each segment, and relayed by twice as much. Enough for segments of 128 octets and more.
pub const RESERVE: u32 = 160 * 1024;

/// The regions of an arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArenaLayout {
    /// Where one read from the TUN goes.
    pub tun: Span,
    /// Where reads from the UDP socket go.
    pub udp: [Span; SLOTS],
    /// Where the forwarder lays out trains, errors and copies; always the last region.
    pub tx: Span,
    /// Octets of the whole arena.
    pub len: u32,
}

impl ArenaLayout {
    /// For ordinary machines: 832 KiB, of which some four superpackets' room to transmit.
    pub const STANDARD: ArenaLayout = ArenaLayout::with_transmit(512 * 1024);
    /// For routers: 512 KiB; a flush after each superpacket.
    pub const SMALL: ArenaLayout = ArenaLayout::with_transmit(RESERVE + 32 * 1024);

    /// With `tx` octets to transmit from, at least [`RESERVE`].
    pub const fn with_transmit(tx: u32) -> ArenaLayout {
        assert!(tx >= RESERVE, "no superpacket would ever fit");
        let mut udp = [Span::new(0, SLOT); SLOTS];
        let mut slot = 0;
        while slot < SLOTS {
            udp[slot].at = TUN_READ + slot as u32 * SLOT;
            slot += 1;
        }
        let at = TUN_READ + SLOTS as u32 * SLOT;
        ArenaLayout { tun: Span::new(0, TUN_READ), udp, tx: Span::new(at, tx), len: at + tx }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_follow_each_other_without_a_gap() {
        for layout in [ArenaLayout::STANDARD, ArenaLayout::SMALL] {
            let mut at = 0;
            for span in [&[layout.tun], &layout.udp[..], &[layout.tx]].concat() {
                assert_eq!(span.at, at);
                at += span.len;
            }
            assert_eq!(at, layout.len);
        }
    }
}
