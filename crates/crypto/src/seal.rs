//! Sealing and opening transport packets in place: no allocation, no associated data, the counter as nonce. Of what a relay carries
//! only the head is sealed again; the rest, which is sealed already, is bound to it by its tag.
//!
//! [`Aead`] is `ring` where the feature of that name is on, else the portable one of RustCrypto; both speak the same
//! bytes. `ring` does not wipe its keys; the portable one does.
//!
//! The nonce is WireGuard's for every suite: four zero octets, then the 64-bit counter, little-endian. Each direction of each
//! session has a key of its own, and a counter is given out once, so no nonce repeats.

mod portable;
#[cfg(feature = "ring")]
mod ring;

pub use portable::PortableAead;
/// The AEAD of this build.
#[cfg(not(feature = "ring"))]
pub use portable::PortableAead as Aead;
#[cfg(feature = "ring")]
pub use ring::Aead;

use crate::timers::{REJECT_AFTER_MESSAGES, REKEY_AFTER_MESSAGES};
use core::fmt;
use core::str::FromStr;
use thiserror::Error;

/// Which AEAD transport packets are sealed with. Stock peers know only the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Suite {
    /// WireGuard's own (RFC 8439).
    ChaCha20Poly1305 = 0,
    /// For machines with AES instructions, between ln6d nodes that agreed on it (NIST SP 800-38D). Needs the feature `ring`
    /// or `portable-aes`.
    Aes256Gcm = 1,
}

impl Suite {
    /// All that this version knows, in the order of their numbers.
    pub const ALL: [Suite; 2] = [Suite::ChaCha20Poly1305, Suite::Aes256Gcm];

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
            Suite::Aes256Gcm => cfg!(any(feature = "ring", feature = "portable-aes")),
        }
    }

    /// Its name in configuration and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::ChaCha20Poly1305 => "chacha20-poly1305",
            Suite::Aes256Gcm => "aes-256-gcm",
        }
    }

    /// After so many messages under one key a new handshake is due. For AES-256-GCM half of what it may seal at all, so
    /// that there is time for the handshake.
    pub const fn rekey_after_messages(self) -> u64 {
        match self {
            Suite::ChaCha20Poly1305 => REKEY_AFTER_MESSAGES,
            Suite::Aes256Gcm => 1 << 31,
        }
    }

    /// Counters at or past this are neither sent nor accepted. AES-256-GCM stops at 2^32 messages: its block has 128 bits only,
    /// and what an observer may learn grows with the square of the blocks under one key.
    pub const fn reject_after_messages(self) -> u64 {
        match self {
            Suite::ChaCha20Poly1305 => REJECT_AFTER_MESSAGES,
            Suite::Aes256Gcm => 1 << 32,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that belongs to no suite (see [`Suite::name`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a suite is called aes-256-gcm or chacha20-poly1305")]
pub struct UnknownSuite;

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(name: &str) -> Result<Self, UnknownSuite> {
        Suite::ALL.into_iter().find(|suite| suite.name() == name).ok_or(UnknownSuite)
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
        for suite in Suite::ALL {
            assert_eq!(Suite::from_id(suite.id()), Some(suite));
            assert_eq!(suite.name().parse(), Ok(suite));
        }
        assert_eq!(Suite::from_id(2), None);
        assert_eq!("none".parse::<Suite>(), Err(UnknownSuite));
    }

    #[test]
    fn every_suite_is_renewed_long_before_it_stops() {
        for suite in Suite::ALL {
            assert!(suite.rekey_after_messages() <= suite.reject_after_messages() / 2);
        }
        assert_eq!(Suite::Aes256Gcm.reject_after_messages(), 1 << 32);
    }

    #[test]
    fn the_counter_is_the_little_endian_end_of_the_nonce() {
        assert_eq!(nonce(0x0807_0605_0403_0201), [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    fn hex(text: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
        (0..text.len()).step_by(2).map(digit).collect()
    }

    /// The counter that makes this nonce, if one does.
    fn counter_of(nonce_octets: &str) -> u64 {
        let octets: [u8; 12] = hex(nonce_octets).try_into().expect("12 octets");
        let counter = u64::from_le_bytes(octets[4..].try_into().expect("8 octets"));
        assert_eq!(nonce(counter), octets);
        counter
    }

    /// Both implementations make `sealed` of `text`, and `text` of `sealed`.
    fn assert_vector(suite: Suite, key: &str, nonce: &str, text: &str, sealed: &str) {
        let key: [u8; 32] = hex(key).try_into().expect("32 octets");
        let (counter, text, sealed) = (counter_of(nonce), hex(text), hex(sealed));
        let ours = Aead::new(suite, &key).expect("built");
        let portable = PortableAead::new(suite, &key).expect("built");
        let mut buf = [text.clone(), vec![0; TAG]].concat();
        ours.seal_in_place(counter, &mut buf, text.len());
        assert_eq!(buf, sealed);
        assert_eq!(portable.open_in_place(counter, &mut buf), Ok(text.len()));
        assert_eq!(buf[..text.len()], text);
        portable.seal_in_place(counter, &mut buf, text.len());
        assert_eq!(buf, sealed);
        assert_eq!(ours.open_in_place(counter, &mut buf), Ok(text.len()));
    }

    /// Cases 13 and 14 of the specification of GCM (McGrew and Viega, appendix B), with the all-zero nonce that is our counter 0.
    #[test]
    fn aes_256_gcm_seals_as_its_specification_says() {
        let (key, nonce) = ("00".repeat(32), "00".repeat(12));
        assert_vector(Suite::Aes256Gcm, &key, &nonce, "", "530f8afbc74536b9a963b4f1c4cb738b");
        let sealed = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919";
        assert_vector(Suite::Aes256Gcm, &key, &nonce, &"00".repeat(16), sealed);
    }

    fn suites() -> impl Iterator<Item = Suite> {
        Suite::ALL.into_iter().filter(|suite| suite.is_built())
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
          for suite in Suite::ALL {
            let ours = Aead::new(suite, &key).expect("built");
            let theirs = PortableAead::new(suite, &key).expect("built");
            prop_assert_eq!((ours.suite(), theirs.suite()), (suite, suite));
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
        }

        #[test]
        fn a_head_opens_only_with_what_it_was_bound_to(key: [u8; 32], counter: u64, bound: [u8; TAG], head in proptest::collection::vec(any::<u8>(), 0..80), at: proptest::sample::Index, bit in 0u8..8) {
            for suite in suites() {
                let ours = Aead::new(suite, &key).expect("built");
                let theirs = PortableAead::new(suite, &key).expect("built");
                let mut sealed = head.clone();
                let tag = ours.seal_head(counter, &bound, &mut sealed);
                let mut same = head.clone();
                prop_assert_eq!(theirs.seal_head(counter, &bound, &mut same), tag);
                prop_assert_eq!(&same, &sealed);
                // Any bit of head, tag, or what it is bound to.
                let mut all = [&bound[..], &tag[..], &sealed[..]].concat();
                all[at.index(TAG * 2 + head.len())] ^= 1 << bit;
                let (other, rest) = all.split_first_chunk::<TAG>().expect("16 octets");
                let (wrong, rest) = rest.split_first_chunk::<TAG>().expect("16 octets");
                for (aead, portable) in [(Some(&ours), None), (None, Some(&theirs))] {
                    let open = |bound: &[u8; TAG], text: &mut [u8], tag: [u8; TAG]| match (aead, portable) {
                        (Some(aead), _) => aead.open_head(counter, bound, text, tag),
                        (None, portable) => portable.expect("one of them").open_head(counter, bound, text, tag),
                    };
                    prop_assert_eq!(open(other, &mut rest.to_vec(), *wrong), Err(OpenError));
                    let mut text = sealed.clone();
                    prop_assert_eq!(open(&bound, &mut text, tag), Ok(()));
                    prop_assert_eq!(&text, &head);
                }
                // What is sealed one way does not open the other.
                let mut whole = [&sealed[..], &tag[..]].concat();
                prop_assert_eq!(ours.open_in_place(counter, &mut whole), Err(OpenError));
            }
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
