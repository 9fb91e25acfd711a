//! Both suites by `ring`, whose assembly uses what the machine has.

use super::{OpenError, Suite, SuiteMissing, nonce};
use crate::message::TAG;
use core::fmt;
use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// A transport key.
pub struct Aead(LessSafeKey, Suite);

impl Aead {
    /// The key for `suite`; this build has every suite.
    pub fn new(suite: Suite, key: &[u8; 32]) -> Result<Self, SuiteMissing> {
        let algorithm = match suite {
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            Suite::Aes256Gcm => &AES_256_GCM,
        };
        UnboundKey::new(algorithm, key)
            .map(|key| Aead(LessSafeKey::new(key), suite))
            .map_err(|_| SuiteMissing(suite))
    }

    /// What it seals with.
    pub const fn suite(&self) -> Suite {
        self.1
    }

    /// Seals `buf[..len]` and writes the tag to `buf[len..len + 16]`. A counter is used once in the life of a key.
    ///
    /// # Panics
    /// If `buf` is shorter than `len` and a tag.
    #[inline]
    pub fn seal_in_place(&self, counter: u64, buf: &mut [u8], len: usize) {
        let (text, rest) = buf.split_at_mut(len);
        let nonce = Nonce::assume_unique_for_key(nonce(counter));
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::empty(), text);
        rest[..TAG].copy_from_slice(tag.expect("a datagram is far below the AEAD's limit").as_ref());
    }

    /// Opens `buf`, which ends with the tag, and returns the length of the text, now at its start.
    #[inline]
    pub fn open_in_place(&self, counter: u64, buf: &mut [u8]) -> Result<usize, OpenError> {
        let nonce = Nonce::assume_unique_for_key(nonce(counter));
        self.0.open_in_place(nonce, Aad::empty(), buf).map(|text| text.len()).map_err(|_| OpenError)
    }

    /// Seals `head` in place and returns the tag, which vouches for `bound` as well. A counter is used once in the life of a key,
    /// here or in [`seal_in_place`](Self::seal_in_place).
    #[inline]
    pub fn seal_head(&self, counter: u64, bound: &[u8; TAG], head: &mut [u8]) -> [u8; TAG] {
        let nonce = Nonce::assume_unique_for_key(nonce(counter));
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(bound), head);
        let mut octets = [0; TAG];
        octets.copy_from_slice(tag.expect("a head is far below the AEAD's limit").as_ref());
        octets
    }

    /// Opens `head` in place if `tag` vouches for it and for `bound`.
    #[inline]
    pub fn open_head(
        &self,
        counter: u64,
        bound: &[u8; TAG],
        head: &mut [u8],
        tag: [u8; TAG],
    ) -> Result<(), OpenError> {
        let nonce = Nonce::assume_unique_for_key(nonce(counter));
        let opened = self.0.open_in_place_separate_tag(nonce, Aad::from(bound), tag.into(), head, 0..);
        opened.map(drop).map_err(|_| OpenError)
    }
}

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aead({}, ..)", self.1)
    }
}
