//! ChaCha20-Poly1305 in plain Rust, for machines that `ring` does not know.

use super::{OpenError, Suite, SuiteMissing, nonce};
use crate::message::TAG;
use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use core::fmt;

/// A transport key for ChaCha20-Poly1305. Wiped when dropped.
pub struct PortableAead(ChaCha20Poly1305);

impl PortableAead {
    /// The key for `suite`; refuses AES.
    pub fn new(suite: Suite, key: &[u8; 32]) -> Result<Self, SuiteMissing> {
        match suite {
            Suite::ChaCha20Poly1305 => Ok(PortableAead(ChaCha20Poly1305::new(key.into()))),
            Suite::Aes256Gcm => Err(SuiteMissing(suite)),
        }
    }

    /// Seals `buf[..len]` and writes the tag to `buf[len..len + 16]`. A counter is used once in the life of a key.
    ///
    /// # Panics
    /// If `buf` is shorter than `len` and a tag.
    #[inline]
    pub fn seal_in_place(&self, counter: u64, buf: &mut [u8], len: usize) {
        let (text, rest) = buf.split_at_mut(len);
        let tag = self.0.encrypt_in_place_detached(&nonce(counter).into(), &[], text);
        rest[..TAG].copy_from_slice(&tag.expect("a datagram is far below the AEAD's limit"));
    }

    /// Opens `buf`, which ends with the tag, and returns the length of the text, now at its start.
    #[inline]
    pub fn open_in_place(&self, counter: u64, buf: &mut [u8]) -> Result<usize, OpenError> {
        let (text, tag) = buf.split_last_chunk_mut::<TAG>().ok_or(OpenError)?;
        let tag = (&*tag).into();
        self.0.decrypt_in_place_detached(&nonce(counter).into(), &[], text, tag).map_err(|_| OpenError)?;
        Ok(text.len())
    }
}

impl fmt::Debug for PortableAead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortableAead(..)")
    }
}
