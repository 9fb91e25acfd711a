//! The transmit area of the arena, and how datagrams in it become trains.

use crate::Path;
use crate::forwarder::batch::{Batch, Ecn, Fragmentation, Span, Train};

/// Segments of one `UDP_SEGMENT` send: what every kernel takes.
pub(crate) const SEGMENTS: u16 = 64;
/// Octets of one send. UDP would carry more, but with the headers of UDP, IP and link a train must stay below the 65,536 octets
/// that devices take whole (`gso_max_size`): else the kernel takes it, and divides it on the spot.
pub(crate) const TRAIN: u32 = 65_400;

/// Where a datagram goes, and whether in one piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Onward {
    /// Never through.
    pub(crate) to: Path,
    pub(crate) fragmentation: Fragmentation,
}

impl From<Path> for Onward {
    fn from(to: Path) -> Self {
        Onward { to, fragmentation: Fragmentation::default() }
    }
}

/// Where the next datagram goes, and whether the last train may grow.
#[derive(Debug)]
pub(crate) struct Transmit {
    area: Span,
    used: u32,
    /// Datagrams in the last train; 0 = it may not grow.
    open: u16,
}

impl Transmit {
    pub(crate) fn new(area: Span) -> Self {
        Transmit { area, used: 0, open: 0 }
    }

    /// A new batch: everything is free again.
    pub(crate) fn reset(&mut self) {
        self.used = 0;
        self.open = 0;
    }

    /// Octets that are free.
    pub(crate) fn free(&self) -> u32 {
        self.area.len - self.used
    }

    /// Takes `len` octets next to those taken before; an offset into the arena.
    pub(crate) fn take(&mut self, len: usize) -> Option<usize> {
        let taken = u32::try_from(len).ok().filter(|len| *len <= self.free())?;
        let at = self.area.at + self.used;
        self.used += taken;
        Some(at as usize)
    }

    /// Adds a finished datagram to the last train if it continues it, else begins one.
    pub(crate) fn send(&mut self, to: Onward, ecn: Ecn, at: usize, len: usize, out: &mut Batch) {
        let Onward { to, fragmentation } = to;
        let (at, len) = (at as u32, len as u32);
        if let Some(last) = out.trains.last_mut()
            && (1..SEGMENTS).contains(&self.open)
            && (last.to, last.ecn, last.all.at + last.all.len) == (to, ecn, at)
            // A train shares one fate: what is too long for a link would take along what is not.
            && (last.fragmentation, fragmentation != Fragmentation::Never) == (fragmentation, true)
            && len <= u32::from(last.stride)
            && last.all.len + len <= TRAIN
        {
            last.all.len += len;
            self.open = if len == u32::from(last.stride) { self.open + 1 } else { 0 };
            return;
        }
        out.trains.push(Train { to, ecn, all: Span::new(at, len), stride: len as u16, fragmentation });
        self.open = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, SocketAddr};

    fn path(port: u16) -> Onward {
        Path::Udp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).into()
    }

    #[test]
    fn equal_datagrams_ride_together_and_a_shorter_one_ends_the_train() {
        let (mut transmit, mut out) = (Transmit::new(Span::new(100, 10_000)), Batch::default());
        for len in [80, 80, 60, 60, 80] {
            let at = transmit.take(len).expect("room");
            transmit.send(path(1), Ecn(0), at, len, &mut out);
        }
        let trains: Vec<_> = out.trains.iter().map(|t| (t.all.at, t.all.len, t.stride)).collect();
        assert_eq!(trains, [(100, 220, 80), (320, 60, 60), (380, 80, 80)]);
    }

    #[test]
    fn what_must_not_be_fragmented_rides_alone() {
        let (mut transmit, mut out) = (Transmit::new(Span::new(0, 10_000)), Batch::default());
        let whole = Onward { fragmentation: Fragmentation::Never, ..path(1) };
        for to in [path(1), whole, whole, path(1)] {
            let at = transmit.take(80).expect("room");
            transmit.send(to, Ecn(0), at, 80, &mut out);
        }
        assert_eq!(out.trains.len(), 4);
    }

    #[test]
    fn another_destination_begins_another_train() {
        let (mut transmit, mut out) = (Transmit::new(Span::new(0, 10_000)), Batch::default());
        for port in [1, 1, 2, 1] {
            let at = transmit.take(80).expect("room");
            transmit.send(path(port), Ecn(0), at, 80, &mut out);
        }
        assert_eq!(out.trains.len(), 3);
    }

    #[test]
    fn a_train_has_at_most_64_segments_and_65507_octets() {
        for (len, first) in [(100, 64), (1452, 45)] {
            let (mut transmit, mut out) = (Transmit::new(Span::new(0, 200_000)), Batch::default());
            for _ in 0..=first {
                let at = transmit.take(len).expect("room");
                transmit.send(path(1), Ecn(0), at, len, &mut out);
            }
            assert_eq!(out.trains[0].all.len as usize, first * len);
            assert_eq!(out.trains[1].all.len as usize, len);
        }
    }
}
