//! Handshake timestamps that never go back, across reboots and without a clock.
//!
//! Every timestamp lies below a ceiling that is on disk before the timestamp is used. After a restart the old ceiling is
//! the new floor, so not even a clock that starts in 1970 makes a node mute (WireGuard refuses older timestamps).

use ln6_crypto::handshake::Tai64n;
use ln6_types::UnixTime;

/// Seconds reserved at a time: a day of handshakes for one write to flash.
const RESERVE: u64 = 86_400;
/// Seconds before the ceiling at which the next reservation is asked for.
const MARGIN: u64 = 3_600;

/// Seconds since 1970 of a TAI64N label, which counts them from 2^62 + 10.
fn unix_secs(stamp: &Tai64n) -> u64 {
    let mut secs = [0; 8];
    secs.copy_from_slice(&stamp.as_bytes()[..8]);
    u64::from_be_bytes(secs).saturating_sub(0x4000_0000_0000_000a)
}

pub(crate) struct Stamps {
    last: Tai64n,
    /// On disk.
    stored: u64,
    /// Asked to be on disk.
    asked: u64,
}

impl Stamps {
    /// `floor`: the stored ceiling of the previous run, Unix seconds.
    pub(crate) fn new(floor: u64) -> Self {
        Stamps { last: Tai64n::from_unix(floor, 0), stored: floor, asked: floor }
    }

    /// A ceiling to write to disk, when the present one is near.
    pub(crate) fn reserve(&mut self, wall: UnixTime) -> Option<u64> {
        let next = unix_secs(&self.last).max(wall.as_secs());
        if next + MARGIN < self.asked {
            return None;
        }
        self.asked = next + RESERVE;
        Some(self.asked)
    }

    /// The ceiling that was asked for last.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    /// The ceiling is on disk.
    pub(crate) fn stored(&mut self, ceiling: u64) {
        self.stored = self.stored.max(ceiling);
    }

    /// The next timestamp: the time, or just after the last one. `None` until a reservation is stored.
    pub(crate) fn next(&mut self, wall: UnixTime) -> Option<Tai64n> {
        let stamp = Tai64n::from_unix(wall.as_secs(), 0).max(self.last.next());
        if unix_secs(&stamp) >= self.stored {
            return None;
        }
        self.last = stamp;
        Some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_back_in_1970_does_not_take_timestamps_back() {
        let mut first = Stamps::new(0);
        let wall = UnixTime::from_secs(1_800_000_000);
        assert_eq!(first.next(wall), None, "nothing is used before it is reserved on disk");
        let ceiling = first.reserve(wall).expect("reservation");
        first.stored(ceiling);
        let before = first.next(wall).expect("stamp");

        let mut second = Stamps::new(ceiling);
        let reset = UnixTime::from_secs(60);
        let ceiling = second.reserve(reset).expect("reservation");
        second.stored(ceiling);
        assert!(second.next(reset).expect("stamp") > before);
    }

    #[test]
    fn timestamps_strictly_increase_within_one_second() {
        let mut stamps = Stamps::new(0);
        let wall = UnixTime::from_secs(1_800_000_000);
        let ceiling = stamps.reserve(wall).expect("reservation");
        stamps.stored(ceiling);
        let made: Vec<_> = (0..50).map(|_| stamps.next(wall).expect("stamp")).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn the_disk_is_asked_for_seldom() {
        let mut stamps = Stamps::new(0);
        let start = 1_800_000_000;
        let asked = (0..86_400).filter(|s| stamps.reserve(UnixTime::from_secs(start + s)).is_some()).count();
        assert!(asked <= 2, "{asked} reservations in a day");
    }
}
