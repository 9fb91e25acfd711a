//! The Internet checksum (RFC 1071). Sums are kept in the machine's own octet order, which the ones' complement allows:
//! only the two octets of the result have to be laid down as they lie.

/// A ones' complement sum in the making. Parts of odd length may only come last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// The pseudo-header of an upper layer of `len` octets (RFC 8200, section 8.1), `addresses` being the 32 octets of
    /// source and destination.
    pub(crate) fn pseudo(addresses: &[u8], len: usize, protocol: u8) -> Sum {
        Sum::default().octets(addresses).word(len as u32).word(u32::from(protocol))
    }

    /// Adds octets; a last odd one counts as the high half of a word.
    #[inline]
    pub(crate) fn octets(self, bytes: &[u8]) -> Sum {
        let (blocks, rest) = bytes.as_chunks::<32>();
        let mut lanes = [0u64; 4]; // each block adds less than 2^33 to a lane
        for block in blocks {
            let (words, _) = block.as_chunks::<8>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                let word = u64::from_ne_bytes(*word);
                *lane += (word & 0xffff_ffff) + (word >> 32);
            }
        }
        let mut sum = self.0 + lanes.iter().map(|lane| fold(*lane)).map(u64::from).sum::<u64>();
        let (pairs, odd) = rest.as_chunks::<2>();
        for pair in pairs {
            sum += u64::from(u16::from_ne_bytes(*pair));
        }
        if let [last] = odd {
            sum += u64::from(u16::from_ne_bytes([*last, 0]));
        }
        Sum(sum)
    }

    /// Adds a number of 32 bits as the wire has it.
    #[inline]
    pub(crate) fn word(self, number: u32) -> Sum {
        let [a, b, c, d] = number.to_be_bytes();
        Sum(self.0 + u64::from(u16::from_ne_bytes([a, b])) + u64::from(u16::from_ne_bytes([c, d])))
    }

    /// The two octets of the sum itself: the seed that a kernel finishes.
    pub(crate) fn seed(self) -> [u8; 2] {
        fold(self.0).to_ne_bytes()
    }

    /// The two octets of the checksum.
    pub(crate) fn checksum(self) -> [u8; 2] {
        (!fold(self.0)).to_ne_bytes()
    }

    /// The checksum as UDP wants it: never zero, which would mean none.
    pub(crate) fn udp_checksum(self) -> [u8; 2] {
        match self.checksum() {
            [0, 0] => [0xff, 0xff],
            other => other,
        }
    }

    /// Whether this sum, taken over everything with the checksum in place, says that all is intact.
    pub(crate) fn is_intact(self) -> bool {
        fold(self.0) == 0xffff
    }
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    proptest! {
        #[test]
        fn it_is_the_checksum_of_rfc_1071(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..150) {
            let cut = (cut * 2).min(bytes.len() & !1);
            let sum = Sum::default().octets(&bytes[..cut]).octets(&bytes[cut..]);
            prop_assert_eq!(u16::from_be_bytes(sum.checksum()), plain(&bytes));
        }

        #[test]
        fn words_are_four_octets(number: u32) {
            let (a, b) = (Sum::default().word(number), Sum::default().octets(&number.to_be_bytes()));
            prop_assert_eq!(a.checksum(), b.checksum());
        }
    }
}
