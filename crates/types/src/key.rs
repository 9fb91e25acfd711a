//! Who a node is: its keys, its router-id, and the network it belongs to.

use crate::Hex;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;
use thiserror::Error;

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key is 44 characters of base64, as `wg pubkey` prints it")]
pub struct KeyError;

macro_rules! bytes_newtype {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The octets.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let bytes = d.bytes()?.try_into();
                bytes.map($name).map_err(|_| minicbor::decode::Error::message(concat!(stringify!($name), " length")))
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

bytes_newtype!(
    /// An X25519 public key: WireGuard's static key. Displays as `wg pubkey` does.
    PublicKey, 32
);
bytes_newtype!(
    /// An Ed25519 public key: who signs certificates and a node's own records.
    VerifyKey, 32
);
bytes_newtype!(
    /// BLAKE2s-256 of the root's Ed25519 key: which network this is. Displays as 43 characters of URL-safe base64.
    Fingerprint, 32
);
bytes_newtype!(
    /// A Babel router-id (RFC 8966, section 2.7), derived from the node's X25519 key. Displays as four groups of hex.
    RouterId, 8
);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD.encode(self.0))
    }
}

impl fmt::Display for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD.encode(self.0))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = &self.0;
        f.pad(&format!("{}:{}:{}:{}", Hex(&b[..2]), Hex(&b[2..4]), Hex(&b[4..6]), Hex(&b[6..])))
    }
}

fn decode32(engine: &impl base64::Engine, text: &str) -> Result<[u8; 32], KeyError> {
    engine.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError)
}

impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        decode32(&STANDARD, text.trim()).map(PublicKey)
    }
}

impl FromStr for VerifyKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        decode32(&STANDARD, text.trim()).map(VerifyKey)
    }
}

impl FromStr for Fingerprint {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        decode32(&URL_SAFE_NO_PAD, text.trim()).map(Fingerprint)
    }
}

impl FromStr for RouterId {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        crate::decode_hex(&digits).map(RouterId).ok_or(KeyError)
    }
}

impl RouterId {
    /// Whether Babel forbids it: all zeros or all ones (RFC 8966, section 4.1.3).
    pub fn is_reserved(&self) -> bool {
        self.0 == [0; 8] || self.0 == [0xff; 8]
    }

    /// The link-local address a node uses on every one of its tunnels.
    pub fn link_local(&self) -> Ipv6Addr {
        let mut octets = [0u8; 16];
        octets[..2].copy_from_slice(&[0xfe, 0x80]);
        octets[8..].copy_from_slice(&self.0);
        Ipv6Addr::from(octets)
    }
}

/// The `fd…/48` of a network (RFC 4193), taken from its fingerprint; node addresses lie in its first /64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NetworkUla(crate::Prefix);

impl NetworkUla {
    /// The ULA prefix of the network with this fingerprint.
    pub fn of(network: &Fingerprint) -> Self {
        let mut octets = [0u8; 16];
        octets[0] = 0xfd;
        octets[1..6].copy_from_slice(&network.0[..5]);
        NetworkUla(crate::Prefix::new(Ipv6Addr::from(octets), 48))
    }

    /// The /48 itself.
    pub fn prefix(&self) -> crate::Prefix {
        self.0
    }

    /// The node address of `router`.
    pub fn node_address(&self, router: &RouterId) -> Ipv6Addr {
        self.0.address(u128::from(u64::from_be_bytes(router.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_wireguard_writes_them() {
        let key = PublicKey([7; 32]);
        assert_eq!(key.to_string().len(), 44);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!("short".parse::<PublicKey>(), Err(KeyError));
    }

    #[test]
    fn a_router_id_gives_the_link_local_and_the_node_address() {
        let router: RouterId = "0123:4567:89ab:cdef".parse().expect("router-id");
        assert_eq!(router.to_string(), "0123:4567:89ab:cdef");
        assert_eq!(router.link_local().to_string(), "fe80::123:4567:89ab:cdef");
        let ula = NetworkUla::of(&Fingerprint([0xab; 32]));
        assert_eq!(ula.prefix().to_string(), "fdab:abab:abab::/48");
        assert_eq!(ula.node_address(&router).to_string(), "fdab:abab:abab:0:123:4567:89ab:cdef");
    }
}
