//! The keys of a node and what is derived from them: its router-id, the network's fingerprint, a suite's PSK.

use crate::blake;
use crate::seal::Suite;
use core::fmt;
use ln6_types::{Fingerprint, PublicKey, RouterId, VerifyKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// An X25519 secret: WireGuard's static key. Wiped when dropped, never shown.
pub struct StaticSecret {
    secret: x25519_dalek::StaticSecret,
    public: PublicKey,
}

impl StaticSecret {
    /// The secret of these random octets, clamped as X25519 (RFC 7748, section 5) and `wg genkey` do.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        bytes[0] &= 0xf8;
        bytes[31] = bytes[31] & 0x7f | 0x40;
        let secret = x25519_dalek::StaticSecret::from(bytes);
        bytes.zeroize();
        let public = PublicKey(x25519_dalek::PublicKey::from(&secret).to_bytes());
        StaticSecret { secret, public }
    }

    /// The public key; computed once.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The secret itself, for the key file and nothing else. The caller wipes the copy.
    pub fn expose_bytes(&self) -> [u8; 32] {
        self.secret.to_bytes()
    }

    pub(crate) fn public_ref(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn dalek(&self) -> &x25519_dalek::StaticSecret {
        &self.secret
    }

    /// A second holder of the same secret, for the span of one handshake.
    pub(crate) fn share(&self) -> StaticSecret {
        StaticSecret { secret: self.secret.clone(), public: self.public }
    }
}

impl fmt::Debug for StaticSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticSecret(of {})", self.public)
    }
}

/// A pre-shared key, mixed into a handshake beside the static keys. Wiped when dropped, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Psk([u8; 32]);

impl Psk {
    /// No pre-shared key: WireGuard mixes 32 zeros.
    pub const NONE: Psk = Psk([0; 32]);

    /// The pre-shared key of these octets.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Psk(bytes)
    }

    /// What goes into the PSK slot when the transport keys shall be used with `suite`: this key for WireGuard's own
    /// ChaCha20-Poly1305, else BLAKE2s-256 keyed with it over `"ln6d suite"` and the suite's number. So both ends agree
    /// on the suite or on nothing.
    pub fn for_suite(&self, suite: Suite) -> Psk {
        match suite {
            Suite::ChaCha20Poly1305 => self.clone(),
            Suite::Aes256Gcm => Psk(blake::mac32(&self.0, &[b"ln6d suite", &[suite.id()]])),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(..)")
    }
}

/// BLAKE2s-256 over a label, which names the purpose, and the parts. Parts are not delimited: give all but one a fixed
/// length.
pub fn hash(label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    blake::hash(label, parts)
}

const ROUTER_ID: &[u8] = b"ln6d router-id v1";

/// The router-id of the node with this key: the first 8 octets of its labelled hash, hashed again while Babel reserves
/// the result (RFC 8966, section 4.1.3).
pub fn router_id(key: &PublicKey) -> RouterId {
    first_unreserved(hash(ROUTER_ID, &[key.as_bytes()]))
}

fn first_unreserved(mut digest: [u8; 32]) -> RouterId {
    loop {
        let mut octets = [0; 8];
        octets.copy_from_slice(&digest[..8]);
        let id = RouterId(octets);
        if !id.is_reserved() {
            return id;
        }
        digest = hash(ROUTER_ID, &[&digest]);
    }
}

/// Which network this root key makes.
pub fn fingerprint(root: &VerifyKey) -> Fingerprint {
    Fingerprint(hash(b"ln6d network v1", &[root.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> [u8; 32] {
        ln6_types::decode_hex(text).expect("hex")
    }

    #[test]
    fn public_keys_are_those_of_rfc_7748_section_6_1() {
        let alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let public = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(StaticSecret::from_bytes(alice).public(), PublicKey(public));
        let bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let public = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert_eq!(StaticSecret::from_bytes(bob).public(), PublicKey(public));
    }

    #[test]
    fn a_secret_is_clamped_and_reads_back_as_itself() {
        let secret = StaticSecret::from_bytes([0xff; 32]);
        let bytes = secret.expose_bytes();
        assert_eq!((bytes[0], bytes[1], bytes[31]), (0xf8, 0xff, 0x7f));
        let again = StaticSecret::from_bytes(bytes);
        assert_eq!((again.expose_bytes(), again.public()), (bytes, secret.public()));
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = StaticSecret::from_bytes([0x41; 32]);
        assert_eq!(format!("{secret:?}"), format!("StaticSecret(of {})", secret.public()));
        assert_eq!(format!("{:?}", Psk::from_bytes([0x41; 32])), "Psk(..)");
    }

    #[test]
    fn a_reserved_router_id_is_hashed_again() {
        let plain = first_unreserved([7; 32]);
        assert_eq!(plain, RouterId([7; 8]));
        let again = ln6_types::decode_hex("73cb13e5eba433c8").expect("hex");
        assert_eq!(first_unreserved([0; 32]), RouterId(again));
        assert!(!first_unreserved([0xff; 32]).is_reserved());
    }

    #[test]
    fn what_is_derived_from_keys_never_changes() {
        let key: [u8; 32] = core::array::from_fn(|at| at as u8);
        let router = "85f377130ecacd27";
        assert_eq!(router_id(&PublicKey(key)).0, ln6_types::decode_hex(router).expect("hex"));
        let network = "b0141dfad63d72faa32314b29df3dc6fed55a2278e8fa9942c48b32f9258387e";
        assert_eq!(fingerprint(&VerifyKey(key)).0, hex(network));
        let aes = "99d7c3f06888a56583ecd8b0d4b0ef88fc759c8acc560bb93efbf207c2c901c5";
        assert_eq!(*Psk::from_bytes(key).for_suite(Suite::Aes256Gcm).as_bytes(), hex(aes));
    }

    #[test]
    fn each_suite_has_its_own_key_in_the_psk_slot() {
        let psk = Psk::from_bytes([9; 32]);
        assert_eq!(psk.for_suite(Suite::ChaCha20Poly1305).as_bytes(), psk.as_bytes());
        assert_ne!(psk.for_suite(Suite::Aes256Gcm).as_bytes(), psk.as_bytes());
        assert_ne!(
            psk.for_suite(Suite::Aes256Gcm).as_bytes(),
            Psk::NONE.for_suite(Suite::Aes256Gcm).as_bytes()
        );
    }
}
