//! Sealing and opening transport packets in place: no allocation, no associated data, the counter as nonce.
//!
//! [`Aead`] is `ring` where the feature of that name is on, else the portable one of RustCrypto; both speak the same
//! bytes. `ring` does not wipe its keys; the portable one does.

mod portable;
#[cfg(feature = "ring")]
mod ring;

pub use portable::PortableAead;
/// The AEAD of this build.
#[cfg(not(feature = "ring"))]
pub use portable::PortableAead as Aead;
#[cfg(feature = "ring")]
pub use ring::Aead;

use thiserror::Error;

/// Which AEAD transport packets are sealed with. Stock peers know only the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Suite {
    /// WireGuard's own (RFC 8439).
    ChaCha20Poly1305 = 0,
    /// For machines with AES instructions, between ln6d nodes that agreed on it. Needs the feature `ring`.
    Aes256Gcm = 1,
}

impl Suite {
    /// The number by which nodes name it.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The suite of this number, if this version knows it.
    pub const fn from_id(id: u8) -> Option<Suite> {
        match id {
            0 => Some(Suite::ChaCha20Poly1305),
            1 => Some(Suite::Aes256Gcm),
            _ => None,
        }
    }

    /// Whether this build can seal with it.
    pub const fn is_built(self) -> bool {
        match self {
            Suite::ChaCha20Poly1305 => true,
            Suite::Aes256Gcm => cfg!(feature = "ring"),
        }
    }
}

/// The build lacks the suite (see [`Suite::is_built`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this build cannot seal with {0:?}")]
pub struct SuiteMissing(pub Suite);

/// The packet is shorter than a tag, or not authentic under this key and counter. The buffer is then undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the packet is not authentic")]
pub struct OpenError;

/// WireGuard's nonce: four zero octets and the counter, little-endian.
#[inline]
pub(crate) fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::TAG;
    use proptest::prelude::*;

    #[test]
    fn suites_are_known_by_their_numbers() {
        for suite in [Suite::ChaCha20Poly1305, Suite::Aes256Gcm] {
            assert_eq!(Suite::from_id(suite.id()), Some(suite));
        }
        assert_eq!(Suite::from_id(2), None);
    }

    #[test]
    fn the_counter_is_the_little_endian_end_of_the_nonce() {
        assert_eq!(nonce(0x0807_0605_0403_0201), [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn the_portable_aead_has_no_aes() {
        let refused = PortableAead::new(Suite::Aes256Gcm, &[0; 32]);
        assert_eq!(refused.err(), Some(SuiteMissing(Suite::Aes256Gcm)));
    }

    fn suites() -> impl Iterator<Item = Suite> {
        [Suite::ChaCha20Poly1305, Suite::Aes256Gcm].into_iter().filter(|suite| suite.is_built())
    }

    #[test]
    fn an_empty_packet_seals_to_a_tag_and_nothing_shorter_opens() {
        for suite in suites() {
            let aead = Aead::new(suite, &[1; 32]).expect("built");
            let mut buf = [0u8; TAG];
            aead.seal_in_place(7, &mut buf, 0);
            assert_eq!(aead.open_in_place(7, &mut buf), Ok(0));
            assert_eq!(aead.open_in_place(7, &mut buf[..TAG - 1]), Err(OpenError));
            assert_eq!(aead.open_in_place(7, &mut []), Err(OpenError));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn this_build_and_the_portable_one_seal_the_same_bytes(key: [u8; 32], counter: u64, text in proptest::collection::vec(any::<u8>(), 0..1500)) {
            let ours = Aead::new(Suite::ChaCha20Poly1305, &key).expect("built");
            let theirs = PortableAead::new(Suite::ChaCha20Poly1305, &key).expect("built");
            let mut a = text.clone();
            a.resize(text.len() + TAG, 0xaa);
            let mut b = a.clone();
            ours.seal_in_place(counter, &mut a, text.len());
            theirs.seal_in_place(counter, &mut b, text.len());
            prop_assert_eq!(&a, &b);
            prop_assert_eq!(ours.open_in_place(counter, &mut b), Ok(text.len()));
            prop_assert_eq!(theirs.open_in_place(counter, &mut a), Ok(text.len()));
            prop_assert_eq!(&a[..text.len()], &text[..]);
            prop_assert_eq!(&b[..text.len()], &text[..]);
        }

        #[test]
        fn what_was_changed_does_not_open(key: [u8; 32], counter: u64, text in proptest::collection::vec(any::<u8>(), 0..100), at: proptest::sample::Index, bit in 0u8..8) {
            for suite in suites() {
                let aead = Aead::new(suite, &key).expect("built");
                let mut sealed = text.clone();
                sealed.resize(text.len() + TAG, 0);
                aead.seal_in_place(counter, &mut sealed, text.len());
                let mut changed = sealed.clone();
                changed[at.index(sealed.len())] ^= 1 << bit;
                prop_assert_eq!(aead.open_in_place(counter, &mut changed), Err(OpenError));
                let mut late = sealed.clone();
                prop_assert_eq!(aead.open_in_place(counter.wrapping_add(1), &mut late), Err(OpenError));
                prop_assert_eq!(aead.open_in_place(counter, &mut sealed), Ok(text.len()));
            }
        }
    }
}
