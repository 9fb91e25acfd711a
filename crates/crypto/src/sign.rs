//! Ed25519 signatures with a context.

use core::fmt;
use ln6_types::VerifyKey;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

/// An Ed25519 private key (RFC 8032). Wiped when dropped, never shown.
///
/// Only the seed is kept; the expanded key lives for one signature (ring does not wipe it).
#[derive(Clone)]
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    public: VerifyKey,
}

impl SigningKey {
    /// The key that belongs to `seed`, which must be 32 uniformly random octets.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        let public = expand(&seed).public_key().as_ref().try_into().map(VerifyKey);
        SigningKey { public: public.expect("an Ed25519 public key has 32 octets"), seed }
    }

    /// The seed, to be stored; wiped when dropped.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        self.seed.clone()
    }

    /// The public half.
    pub fn verify_key(&self) -> VerifyKey {
        self.public
    }

    /// Signs `context || 0x00 || bytes`: a signature made for one purpose never serves another.
    pub fn sign(&self, context: &str, bytes: &[u8]) -> [u8; 64] {
        let signature = expand(&self.seed).sign(&with_context(context, bytes));
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 octets")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public)
    }
}

fn expand(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 octets are an Ed25519 seed")
}

fn with_context(context: &str, bytes: &[u8]) -> Vec<u8> {
    debug_assert!(!context.as_bytes().contains(&0), "a context holds no NUL");
    [context.as_bytes(), &[0], bytes].concat()
}

/// Whether `signature` is `key`'s over `bytes` in this `context`.
pub fn verify(context: &str, key: &VerifyKey, bytes: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key.as_bytes()).verify(&with_context(context, bytes), signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ln6_types::{Hex, decode_hex};

    #[test]
    fn the_public_key_of_rfc_8032_test_1_comes_out() {
        let seed =
            decode_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").expect("hex");
        let key = SigningKey::from_seed(seed);
        assert_eq!(
            Hex(key.verify_key().as_bytes()).to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }

    #[test]
    fn a_signature_holds_only_for_its_context_key_and_bytes() {
        let key = SigningKey::from_seed([1; 32]);
        let signature = key.sign("ln6d test", b"body");
        assert!(verify("ln6d test", &key.verify_key(), b"body", &signature));
        assert!(!verify("ln6d other", &key.verify_key(), b"body", &signature));
        assert!(!verify("ln6d test", &key.verify_key(), b"Body", &signature));
        assert!(!verify("ln6d test", &SigningKey::from_seed([2; 32]).verify_key(), b"body", &signature));
        assert!(!verify("ln6d test", &key.verify_key(), b"body", &signature[..63]));
        assert!(!verify("ln6d tes", &key.verify_key(), b"t\0body", &signature));
    }

    #[test]
    fn a_private_key_is_not_shown() {
        let shown = format!("{:?}", SigningKey::from_seed([7; 32]));
        assert!(!shown.contains("7, 7") && !shown.contains("0707"));
    }
}
