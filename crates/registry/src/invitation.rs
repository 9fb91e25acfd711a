//! One-time invitations: the registry keeps only the hash of a secret.

use crate::id::{HolderId, InvitationId};
use blake2::{Blake2s256, Digest as _};
use ln6_types::{Hex, PublicKey, UnixTime, decode_hex};
use serde::{Deserialize, Serialize};

/// What an invitation link carries: 128 random bits. Not printable by accident.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The secret that [`Registry::decide`](crate::Registry::decide) makes an invitation of when given this entropy.
    pub fn from_entropy(entropy: &[u8; 32]) -> Self {
        let hash = hash(b"ln6d invitation secret v1", entropy);
        let mut secret = [0; 16];
        secret.copy_from_slice(&hash[..16]);
        Secret(secret)
    }

    /// What the registry keeps of it. One hash is enough: 128 random bits are not guessed.
    pub fn digest(&self) -> Digest {
        Digest(hash(b"ln6d invitation v1", &self.0))
    }
}

fn hash(domain: &[u8], bytes: &[u8]) -> [u8; 32] {
    Blake2s256::new().chain_update(domain).chain_update(bytes).finalize().into()
}

/// BLAKE2s-256 of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode_hex(&text)
            .map(Digest)
            .ok_or_else(|| serde::de::Error::custom("64 hexadecimal digits expected"))
    }
}

/// What using an invitation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A new holder comes in.
    Admit,
    /// One more key of this holder: a second gateway.
    AddKey(HolderId),
    /// This holder's prefix moves to the new key; its old keys are revoked.
    Replace(HolderId),
}

/// An invitation, burnt by the first key that uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its number.
    pub id: InvitationId,
    /// The hash of its secret.
    pub digest: Digest,
    /// From then on it is refused.
    pub expires: UnixTime,
    /// The name its user gets, whatever it asks for.
    pub name: Option<String>,
    /// The length its user gets, whatever it asks for.
    pub size: Option<u8>,
    /// What using it does.
    pub purpose: Purpose,
    /// Who has burnt it.
    #[serde(default)]
    pub used_by: Option<PublicKey>,
    /// An administrator has withdrawn it.
    #[serde(default)]
    pub withdrawn: bool,
}

impl Invitation {
    /// `used`, `withdrawn`, `expired` or `open`.
    pub fn state(&self, at: UnixTime) -> &'static str {
        match self {
            one if one.used_by.is_some() => "used",
            one if one.withdrawn => "withdrawn",
            one if one.expires <= at => "expired",
            _ => "open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_tells_secrets_apart_and_hides_them() {
        let (a, b) = (Secret::from_entropy(&[1; 32]), Secret::from_entropy(&[2; 32]));
        assert_ne!(a.digest(), b.digest());
        assert_eq!(a.digest(), Secret(a.0).digest());
        assert!(!format!("{a:?}").contains(&Hex(&a.0).to_string()));
        let json = serde_json::to_string(&a.digest()).expect("json");
        assert_eq!(serde_json::from_str::<Digest>(&json).expect("digest"), a.digest());
    }
}
