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
}

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aead({}, ..)", self.1)
    }
}
