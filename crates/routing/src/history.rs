//! Which of a neighbour's last 16 Hellos of one kind were heard (RFC 8966, appendix A.1).

use crate::timer::Alarm;
use core::time::Duration;

/// One history; the lowest bit is the last Hello.
#[derive(Default)]
pub(crate) struct History {
    bits: u16,
    expected: Option<u16>,
    /// Between the neighbour's Hellos, as last promised.
    pub(crate) interval: Duration,
    /// When the next one counts as missed.
    pub(crate) alarm: Alarm,
}

impl History {
    pub(crate) fn bits(&self) -> u16 {
        self.bits
    }

    /// A Hello arrived. A jump by more than 16 means that the neighbour restarted: what was before counts no more
    /// (its routes stay until its cost says otherwise).
    pub(crate) fn heard(&mut self, seqno: u16) {
        let gap = self.expected.map_or(0, |expected| seqno.wrapping_sub(expected) as i16);
        self.bits = match gap {
            -16..=-1 => self.bits.checked_shr(u32::from(gap.unsigned_abs())).unwrap_or(0),
            0..=16 => self.bits.checked_shl(u32::from(gap.unsigned_abs())).unwrap_or(0),
            _ => 0,
        };
        self.bits = self.bits << 1 | 1;
        self.expected = Some(seqno.wrapping_add(1));
    }

    /// A Hello did not arrive in time.
    pub(crate) fn missed(&mut self) {
        self.bits <<= 1;
        self.expected = self.expected.map(|seqno| seqno.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seqnos: &[u16]) -> u16 {
        let mut history = History::default();
        seqnos.iter().for_each(|seqno| history.heard(*seqno));
        history.bits()
    }

    // N07, N08, N09, N10
    #[test]
    fn gaps_are_misses_steps_back_undo_and_jumps_begin_anew() {
        assert_eq!(after(&[1, 2, 6]), 0b11_0001);
        assert_eq!(after(&[1, 2, 3, 4, 3]), 0b111);
        assert_eq!(after(&[1, 2, 3, 20]), 0b1110_0000_0000_0000_0000u32 as u16 | 1);
        assert_eq!(after(&[1, 2, 3, 21]), 1);
        assert_eq!(after(&[1, 2, 3, 60000]), 1);
        assert_eq!(after(&[65534, 65535, 0]), 0b111);
    }

    #[test]
    fn a_missed_hello_that_comes_late_is_counted_as_heard() {
        let mut history = History::default();
        history.heard(1);
        history.heard(2);
        history.missed();
        assert_eq!(history.bits(), 0b110);
        history.heard(3);
        assert_eq!(history.bits(), 0b111);
    }
}
