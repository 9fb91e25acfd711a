//! Lower-case hexadecimal, for things a person compares by eye.

use core::fmt;

/// Displays bytes as lower-case hexadecimal digits.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads exactly `N` bytes of hexadecimal digits (either case); `None` for anything else.
pub fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let bytes = [0u8, 1, 0xab, 0xff];
        assert_eq!(Hex(&bytes).to_string(), "0001abff");
        assert_eq!(decode_hex::<4>("0001ABff"), Some(bytes));
    }

    #[test]
    fn odd_lengths_and_other_characters_are_refused() {
        assert_eq!(decode_hex::<2>("0001a"), None);
        assert_eq!(decode_hex::<2>("00 1"), None);
        assert_eq!(decode_hex::<1>("é"), None);
    }
}
