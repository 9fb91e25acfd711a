//! Joining, renewing and leaving: what a node asks of a broker, and the answers.

use ln6_crypto::canonical::{
    Bytes, MAX_STATEMENT, MapWriter, need, read_bytes, read_list, read_map, read_text,
};
use ln6_crypto::{Certificate, SigningKey, verify};
use ln6_types::{Fingerprint, PublicKey, VerifyKey};
use minicbor::decode::{Decode, Decoder, Error};

const JOIN_CONTEXT: &str = "ln6d join v1";
const LEAVE_CONTEXT: &str = "ln6d leave v1";
const MAX_NAME: usize = 63;
const MAX_SSID: usize = 64;
const MAX_CONTACT: usize = 128;
const MAX_CHAIN: usize = 4;
const MAX_CODE: usize = 40;
const MAX_TEXT: usize = 300;
const MAX_HINT: usize = 80;

/// A request to join, or to renew.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The network.
    pub network: Fingerprint,
    /// The name it would like: see [`Certificate::is_name`].
    pub name: String,
    /// Whose prefix it will be; the name if absent.
    pub holder: Option<String>,
    /// The prefix length it would like, up to 128.
    pub size: u8,
    /// The mesh's SSID, from which a slot is proposed; at most 64 octets.
    pub ssid: Option<String>,
    /// The invitation's one-time secret.
    pub secret: Option<[u8; 16]>,
    /// The node's Ed25519 key.
    pub sign: VerifyKey,
    /// By that key, over the network and the X25519 key: see [`join_proof`].
    pub proof: [u8; 64],
    /// How an administrator can reach the operator; at most 128 octets.
    pub contact: Option<String>,
    /// A single host instead of a gateway.
    pub leaf: bool,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinReply {
    /// Welcome. The chain from the broker's certificate down to the node's, as far as it fits; the node's own is always
    /// there, others may follow as items.
    Granted {
        /// Signed certificates, at most 4.
        chain: Vec<Vec<u8>>,
    },
    /// An administrator has to look at it.
    Waiting {
        /// The place in the queue, from 1.
        place: u32,
        /// Ask again after so many seconds.
        retry_secs: u32,
        /// What the operator reads to the administrator; at most 80 octets.
        fingerprint: String,
    },
    /// No.
    Refused {
        /// A stable word; at most 40 octets.
        code: String,
        /// For a person; at most 300 octets.
        text: String,
        /// Asking again makes sense after so many seconds; never if absent.
        retry_secs: Option<u32>,
    },
}

/// A farewell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    /// By the node's Ed25519 key, over the network and the X25519 key.
    pub proof: [u8; 64],
}

fn proof_bytes(network: &Fingerprint, key: &PublicKey) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(network.as_bytes());
    bytes[32..].copy_from_slice(key.as_bytes());
    bytes
}

/// Proves that the owner of `sign` wants it bound to the X25519 `key` in `network`.
pub fn join_proof(sign: &SigningKey, network: &Fingerprint, key: &PublicKey) -> [u8; 64] {
    sign.sign(JOIN_CONTEXT, &proof_bytes(network, key))
}

impl JoinRequest {
    /// Whether the proof holds for `key`, which must be the session's.
    pub fn proves(&self, key: &PublicKey) -> bool {
        verify(JOIN_CONTEXT, &self.sign, &proof_bytes(&self.network, key), &self.proof)
    }

    pub(super) fn write<'m>(&self, map: &'m mut MapWriter) -> &'m mut MapWriter {
        map.put(0, self.network).put(1, &*self.name).put_some(2, self.holder.as_deref()).put(3, self.size);
        map.put_some(4, self.ssid.as_deref()).put_some(5, self.secret.as_ref().map(|secret| Bytes(secret)));
        map.put(6, self.sign).put_bytes(7, &self.proof).put_some(8, self.contact.as_deref());
        map.put_flag(9, self.leaf)
    }

    pub(super) fn read(d: &mut Decoder<'_>) -> Result<Self, Error> {
        let (mut network, mut name, mut holder, mut size, mut ssid) = (None, None, None, None, None);
        let (mut secret, mut sign, mut proof, mut contact, mut leaf) = (None, None, None, None, false);
        read_map(d, |key, d| {
            match key {
                0 => network = Some(d.decode()?),
                1 => name = Some(read_name(d)?),
                2 => holder = Some(read_name(d)?),
                3 => size = Some(d.u8()?),
                4 => ssid = Some(read_text(d, MAX_SSID)?),
                5 => secret = Some(read_bytes(d)?),
                6 => sign = Some(d.decode()?),
                7 => proof = Some(read_bytes(d)?),
                8 => contact = Some(read_text(d, MAX_CONTACT)?),
                9 => leaf = d.bool()?,
                _ => d.skip()?,
            }
            Ok(())
        })?;
        let (network, name, sign, proof) = (need(network)?, need(name)?, need(sign)?, need(proof)?);
        let size = need(size.filter(|size| *size <= 128))?;
        Ok(JoinRequest { network, name, holder, size, ssid, secret, sign, proof, contact, leaf })
    }
}

impl core::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("JoinRequest")
            .field("name", &self.name)
            .field("holder", &self.holder)
            .field("size", &self.size)
            .field("ssid", &self.ssid)
            .field("secret", &self.secret.map(|_| "redacted"))
            .field("sign", &self.sign)
            .field("leaf", &self.leaf)
            .finish_non_exhaustive()
    }
}

fn read_name(d: &mut Decoder<'_>) -> Result<String, Error> {
    let name = read_text(d, MAX_NAME)?;
    if Certificate::is_name(&name) { Ok(name) } else { Err(Error::message("name")) }
}

impl Leave {
    /// A farewell from the node with these keys.
    pub fn new(sign: &SigningKey, network: &Fingerprint, key: &PublicKey) -> Self {
        Leave { proof: sign.sign(LEAVE_CONTEXT, &proof_bytes(network, key)) }
    }

    /// Whether it comes from the owner of both keys.
    pub fn proves(&self, sign: &VerifyKey, network: &Fingerprint, key: &PublicKey) -> bool {
        verify(LEAVE_CONTEXT, sign, &proof_bytes(network, key), &self.proof)
    }

    pub(super) fn write<'m>(&self, map: &'m mut MapWriter) -> &'m mut MapWriter {
        map.put_bytes(0, &self.proof)
    }

    pub(super) fn read(d: &mut Decoder<'_>) -> Result<Self, Error> {
        let mut proof = None;
        read_map(d, |key, d| {
            match key {
                0 => proof = Some(read_bytes(d)?),
                _ => d.skip()?,
            }
            Ok(())
        })?;
        Ok(Leave { proof: need(proof)? })
    }
}

impl JoinReply {
    pub(super) fn write<'m>(&self, map: &'m mut MapWriter) -> &'m mut MapWriter {
        match self {
            JoinReply::Granted { chain } => {
                let chain: Vec<Bytes<'_>> = chain.iter().map(|bytes| Bytes(bytes)).collect();
                map.put(0, 0).put(1, &*chain)
            }
            JoinReply::Waiting { place, retry_secs, fingerprint } => {
                map.put(0, 1).put(2, *place).put(3, *retry_secs).put(4, &**fingerprint)
            }
            JoinReply::Refused { code, text, retry_secs } => {
                map.put(0, 2).put_some(3, *retry_secs).put(5, &**code).put(6, &**text)
            }
        }
    }

    pub(super) fn read(d: &mut Decoder<'_>) -> Result<Self, Error> {
        let (mut outcome, mut chain, mut place, mut retry_secs) = (None, Vec::new(), None, None);
        let (mut hint, mut code, mut text) = (None, None, None);
        read_map(d, |key, d| {
            match key {
                0 => outcome = Some(d.u8()?),
                1 => chain = read_list::<Link>(d, MAX_CHAIN)?,
                2 => place = Some(d.u32()?),
                3 => retry_secs = Some(d.u32()?),
                4 => hint = Some(read_text(d, MAX_HINT)?),
                5 => code = Some(read_text(d, MAX_CODE)?),
                6 => text = Some(read_text(d, MAX_TEXT)?),
                _ => d.skip()?,
            }
            Ok(())
        })?;
        match need(outcome)? {
            0 => Ok(JoinReply::Granted { chain: chain.into_iter().map(|link| link.0).collect() }),
            1 => {
                let (place, retry_secs) = (need(place)?, need(retry_secs)?);
                Ok(JoinReply::Waiting { place, retry_secs, fingerprint: need(hint)? })
            }
            2 => Ok(JoinReply::Refused { code: need(code)?, text: need(text)?, retry_secs }),
            _ => Err(Error::message("outcome")),
        }
    }
}

/// One signed certificate of a chain.
struct Link(Vec<u8>);

impl<'b, C> Decode<'b, C> for Link {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        let bytes = d.bytes()?;
        if bytes.len() <= MAX_STATEMENT { Ok(Link(bytes.to_vec())) } else { Err(Error::message("chain")) }
    }
}
