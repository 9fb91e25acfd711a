//! Sequence numbers are compared modulo 2^16 (RFC 8966, section 3.2.1).

/// Whether `a` comes after `b`.
pub fn newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) & 0x8000 == 0
}

#[cfg(test)]
mod tests {
    use super::newer;
    use proptest::prelude::*;

    // R07
    #[test]
    fn comparison_wraps() {
        assert!(newer(0, 65535));
        assert!(newer(32767, 0));
        assert!(!newer(32768, 0));
        assert!(!newer(7, 7));
    }

    proptest! {
        #[test]
        fn at_most_one_of_two_is_newer(a: u16, b: u16) {
            prop_assert!(!(newer(a, b) && newer(b, a)));
            prop_assert_eq!(newer(a, b) || newer(b, a), a != b && a.wrapping_sub(b) != 0x8000);
        }
    }
}
