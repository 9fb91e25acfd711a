//! What snow computes with: X25519 that refuses all-zero results, randomness that the caller gave and that is spent
//! once, and primitives that wipe their keys.

use crate::keys::StaticSecret;
use blake2::Blake2s256;
use blake2::digest::{FixedOutput as _, Update as _};
use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
#[allow(clippy::disallowed_types)]
use std::sync::{Arc, Mutex, PoisonError};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The seed of one ephemeral key: filled by whoever has randomness, taken once by snow.
/// snow wants what it computes with to be `Send` and `Sync`; there is one owner, so the lock is never waited for.
#[derive(Clone, Default)]
#[allow(clippy::disallowed_types)]
pub(crate) struct Seed(Arc<Mutex<Option<Zeroizing<[u8; 32]>>>>);

impl Seed {
    pub(crate) fn fill(&self, seed: Zeroizing<[u8; 32]>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seed);
    }
}

impl Random for Seed {
    /// Gives the 32 octets once; any other request fails, so nothing is ever drawn twice.
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let seed = self.0.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Error::Rng)?;
        if out.len() != seed.len() {
            return Err(Error::Rng);
        }
        out.copy_from_slice(&*seed);
        Ok(())
    }
}

/// Resolves the primitives of `Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s` and no others.
pub(crate) struct Resolver {
    pub(crate) me: StaticSecret,
    pub(crate) seed: Seed,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(self.seed.clone()))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| {
            Box::new(X25519 { known: self.me.share(), pair: None, last: Last::default() }) as Box<dyn Dh>
        })
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::Blake2s).then(|| Box::new(Blake2s::default()) as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::ChaChaPoly).then(|| Box::new(ChaChaPoly::default()) as Box<dyn Cipher>)
    }
}

/// X25519 with one key pair. It knows the node's own pair, whose public half need not be computed again.
struct X25519 {
    known: StaticSecret,
    pair: Option<StaticSecret>,
    last: Last,
}

/// The last result and whose point it was, so that reading one answer under several suites computes it once. Wiped when
/// dropped.
#[derive(Default)]
#[allow(clippy::disallowed_types)]
struct Last(Mutex<Option<Known>>);

/// A point and what it gave.
type Known = ([u8; 32], Zeroizing<[u8; 32]>);

impl Last {
    fn of(&self, point: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(other, _)| other == point).map(|(_, shared)| shared.clone())
    }

    fn keep(&self, point: [u8; 32], shared: Zeroizing<[u8; 32]>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((point, shared));
    }

    fn forget(&mut self) {
        *self.0.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl X25519 {
    fn pair(&self) -> &StaticSecret {
        self.pair.as_ref().unwrap_or(&self.known)
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        let known: bool = self.known.dalek().as_bytes().as_slice().ct_eq(private).into();
        self.pair = match private.try_into() {
            Ok(bytes) if !known => Some(StaticSecret::from_bytes(bytes)),
            _ => None,
        };
        self.last.forget();
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        random.try_fill_bytes(&mut *bytes)?;
        self.pair = Some(StaticSecret::from_bytes(*bytes));
        self.last.forget();
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.pair().public_ref().as_bytes()
    }

    fn privkey(&self) -> &[u8] {
        self.pair().dalek().as_bytes()
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let point = *public.first_chunk::<32>().ok_or(Error::Dh)?;
        let out = out.get_mut(..32).ok_or(Error::Dh)?;
        if let Some(shared) = self.last.of(&point) {
            out.copy_from_slice(&*shared);
            return Ok(());
        }
        let shared = self.pair().dalek().diffie_hellman(&x25519_dalek::PublicKey::from(point));
        if !shared.was_contributory() {
            return Err(Error::Dh);
        }
        out.copy_from_slice(shared.as_bytes());
        self.last.keep(point, Zeroizing::new(shared.to_bytes()));
        Ok(())
    }
}

#[derive(Default)]
struct Blake2s(Blake2s256);

impl Hash for Blake2s {
    fn name(&self) -> &'static str {
        "BLAKE2s"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0 = Blake2s256::default();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let digest = core::mem::take(&mut self.0).finalize_fixed();
        out[..32].copy_from_slice(&digest);
    }
}

#[derive(Default)]
struct ChaChaPoly(Zeroizing<[u8; 32]>);

impl ChaChaPoly {
    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.0).into())
    }
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        *self.0 = *key;
    }

    fn encrypt(&self, nonce: u64, ad: &[u8], text: &[u8], out: &mut [u8]) -> usize {
        let (sealed, rest) = out.split_at_mut(text.len());
        sealed.copy_from_slice(text);
        let tag = self.cipher().encrypt_in_place_detached(&crate::seal::nonce(nonce).into(), ad, sealed);
        rest[..16].copy_from_slice(&tag.expect("a handshake field is far below the AEAD's limit"));
        text.len() + 16
    }

    fn decrypt(&self, nonce: u64, ad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (sealed, tag) = sealed.split_last_chunk::<16>().ok_or(Error::Decrypt)?;
        let text = out.get_mut(..sealed.len()).ok_or(Error::Decrypt)?;
        text.copy_from_slice(sealed);
        self.cipher()
            .decrypt_in_place_detached(&crate::seal::nonce(nonce).into(), ad, text, tag.into())
            .map_err(|_| Error::Decrypt)?;
        Ok(sealed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x25519(secret: u8) -> X25519 {
        X25519 { known: StaticSecret::from_bytes([secret; 32]), pair: None, last: Last::default() }
    }

    #[test]
    fn points_of_small_order_are_refused() {
        let mut one = [0u8; 32];
        one[0] = 1;
        let mut out = [0u8; 32];
        for point in [[0u8; 32], one] {
            assert_eq!(x25519(7).dh(&point, &mut out), Err(Error::Dh));
        }
        assert_eq!(x25519(7).dh(x25519(8).pubkey(), &mut out), Ok(()));
    }

    #[test]
    fn a_seed_is_spent_once() {
        let mut seed = Seed::default();
        let mut out = [0u8; 32];
        assert_eq!(seed.try_fill_bytes(&mut out), Err(Error::Rng));
        seed.fill(Zeroizing::new([3; 32]));
        assert_eq!(seed.try_fill_bytes(&mut out), Ok(()));
        assert_eq!(out, [3; 32]);
        assert_eq!(seed.try_fill_bytes(&mut out), Err(Error::Rng));
    }

    #[test]
    fn a_result_is_remembered_for_its_point_and_its_key_only() {
        let shared = |dh: &X25519, point: &[u8]| {
            let mut out = [0u8; 32];
            dh.dh(point, &mut out).expect("contributory");
            out
        };
        let (mut dh, one, two) = (x25519(7), x25519(8), x25519(9));
        let first = shared(&dh, one.pubkey());
        assert_eq!(shared(&dh, one.pubkey()), first);
        assert_eq!(shared(&dh, two.pubkey()), shared(&two, dh.pubkey()));
        assert_eq!(shared(&dh, one.pubkey()), first);
        dh.set(&[5; 32]);
        assert_eq!(shared(&dh, one.pubkey()), shared(&one, dh.pubkey()));
        let mut seed = Seed::default();
        seed.fill(Zeroizing::new([3; 32]));
        dh.generate(&mut seed).expect("seeded");
        assert_eq!(shared(&dh, one.pubkey()), shared(&x25519(8), x25519(3).pubkey()));
    }

    #[test]
    fn a_set_key_replaces_the_known_one() {
        let mut dh = x25519(7);
        let known = dh.known.expose_bytes();
        dh.set(&known);
        assert!(dh.pair.is_none());
        dh.set(&[9; 32]);
        assert_eq!(dh.pubkey(), x25519(9).pubkey());
    }
}
