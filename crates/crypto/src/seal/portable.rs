//! Both suites in plain Rust, for machines that `ring` does not know. AES is an option of its own (`portable-aes`): without
//! instructions for it, it is several times slower than ChaCha20 and only makes the program larger.

use super::{OpenError, Suite, SuiteMissing, nonce};
use crate::message::TAG;
#[cfg(any(feature = "portable-aes", test))]
use aes_gcm::Aes256Gcm;
use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use core::fmt;

/// A transport key. Wiped when dropped.
pub struct PortableAead(Cipher);

enum Cipher {
    ChaCha(ChaCha20Poly1305),
    // The schedule of a key takes 750 octets.
    #[cfg(any(feature = "portable-aes", test))]
    Aes(Box<Aes256Gcm>),
}

/// Does the same with whichever cipher it is.
macro_rules! with {
    ($cipher:expr, $name:ident => $do:expr) => {
        match &$cipher {
            Cipher::ChaCha($name) => $do,
            #[cfg(any(feature = "portable-aes", test))]
            Cipher::Aes($name) => $do,
        }
    };
}

impl PortableAead {
    /// The key for `suite`; refuses AES where it was left out.
    pub fn new(suite: Suite, key: &[u8; 32]) -> Result<Self, SuiteMissing> {
        match suite {
            Suite::ChaCha20Poly1305 => Ok(PortableAead(Cipher::ChaCha(ChaCha20Poly1305::new(key.into())))),
            #[cfg(any(feature = "portable-aes", test))]
            Suite::Aes256Gcm => Ok(PortableAead(Cipher::Aes(Box::new(Aes256Gcm::new(key.into()))))),
            #[cfg(not(any(feature = "portable-aes", test)))]
            Suite::Aes256Gcm => Err(SuiteMissing(suite)),
        }
    }

    /// What it seals with.
    pub const fn suite(&self) -> Suite {
        match self.0 {
            Cipher::ChaCha(_) => Suite::ChaCha20Poly1305,
            #[cfg(any(feature = "portable-aes", test))]
            Cipher::Aes(_) => Suite::Aes256Gcm,
        }
    }

    /// Seals `buf[..len]` and writes the tag to `buf[len..len + 16]`. A counter is used once in the life of a key.
    ///
    /// # Panics
    /// If `buf` is shorter than `len` and a tag.
    #[inline]
    pub fn seal_in_place(&self, counter: u64, buf: &mut [u8], len: usize) {
        let (text, rest) = buf.split_at_mut(len);
        let nonce = nonce(counter).into();
        let tag = with!(self.0, cipher => cipher.encrypt_in_place_detached(&nonce, &[], text));
        rest[..TAG].copy_from_slice(&tag.expect("a datagram is far below the AEAD's limit"));
    }

    /// Opens `buf`, which ends with the tag, and returns the length of the text, now at its start.
    #[inline]
    pub fn open_in_place(&self, counter: u64, buf: &mut [u8]) -> Result<usize, OpenError> {
        let (text, tag) = buf.split_last_chunk_mut::<TAG>().ok_or(OpenError)?;
        let (nonce, tag) = (nonce(counter).into(), (&*tag).into());
        with!(self.0, cipher => cipher.decrypt_in_place_detached(&nonce, &[], text, tag))
            .map_err(|_| OpenError)?;
        Ok(text.len())
    }

    /// Seals `head` in place and returns the tag, which vouches for `bound` as well. A counter is used once in the life of a key,
    /// here or in [`seal_in_place`](Self::seal_in_place).
    #[inline]
    pub fn seal_head(&self, counter: u64, bound: &[u8; TAG], head: &mut [u8]) -> [u8; TAG] {
        let nonce = nonce(counter).into();
        let tag = with!(self.0, cipher => cipher.encrypt_in_place_detached(&nonce, bound, head));
        tag.expect("a head is far below the AEAD's limit").into()
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
        let (nonce, tag) = (nonce(counter).into(), (&tag).into());
        with!(self.0, cipher => cipher.decrypt_in_place_detached(&nonce, bound, head, tag))
            .map_err(|_| OpenError)
    }
}

impl fmt::Debug for PortableAead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortableAead({}, ..)", self.suite())
    }
}
