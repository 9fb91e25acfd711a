//! One encoding for each signed statement: CBOR (RFC 8949) maps with small ascending integer keys.
//!
//! On the wire a statement is the array `[body, signature]` of two byte strings. The signature covers the received body
//! octets; a body that does not come out of the encoder exactly as it went into the decoder is refused, so that long
//! integers, repeated keys, indefinite lengths and trailing octets have no second spelling to hide in.

use crate::keys::hash;
use crate::sign::{SigningKey, verify};
use core::fmt;
use ln6_types::{Fingerprint, Hex, VerifyKey};
use minicbor::decode::{Decode, Decoder, Error};
use minicbor::encode::{Encode, Encoder};
use std::sync::Arc;
use thiserror::Error as ThisError;

/// The most octets a signed statement may have, so that one fits into a peer message.
pub const MAX_STATEMENT: usize = 1000;
/// The most entries a decoded map may have.
const MAX_ENTRIES: u64 = 64;

/// Why bytes are not the statement they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum ItemError {
    /// More than [`MAX_STATEMENT`] octets.
    #[error("a signed statement has at most {MAX_STATEMENT} octets, not {0}")]
    TooLarge(usize),
    /// Not CBOR, or not of the expected shape, or of a version not known here.
    #[error("not a statement of this kind and version")]
    Malformed,
    /// Another spelling of a statement that has one canonical encoding.
    #[error("not in the canonical encoding")]
    NotCanonical,
    /// A field is out of its range.
    #[error("{0}")]
    Invalid(&'static str),
    /// Signed by another key than the one the statement names.
    #[error("signed with another key than the one it names")]
    WrongSigner,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
}

impl ItemError {
    /// A stable word for logs and counters.
    pub const fn code(&self) -> &'static str {
        match self {
            ItemError::TooLarge(_) => "too-large",
            ItemError::Malformed => "malformed",
            ItemError::NotCanonical => "not-canonical",
            ItemError::Invalid(_) => "invalid",
            ItemError::WrongSigner => "wrong-signer",
            ItemError::Signature => "bad-signature",
        }
    }
}

/// BLAKE2s-256 of a signed statement's octets, signature included: its name in gossip.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub [u8; 32]);

impl ItemId {
    /// The id of these octets.
    pub fn of(bytes: &[u8]) -> Self {
        ItemId(hash(b"", &[bytes]))
    }

    /// The first 8 octets, big-endian; keeps the order of ids.
    pub fn short(&self) -> u64 {
        self.0.iter().take(8).fold(0, |sum, octet| sum << 8 | u64::from(*octet))
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Hex(&self.0[..8]))
    }
}

/// Something that is signed and passed on.
pub trait Statement: Sized {
    /// Separates the signatures of one kind of statement from all others; versioned.
    const CONTEXT: &'static str;

    /// The canonical body.
    fn write(&self) -> Vec<u8>;

    /// Reads a body; need not insist on the canonical form.
    fn read(d: &mut Decoder<'_>) -> Result<Self, Error>;

    /// Whether every field is in its range.
    fn check(&self) -> Result<(), ItemError>;

    /// Who must have signed, if the statement says so itself.
    fn signer(&self) -> Option<VerifyKey>;

    /// The network it belongs to.
    fn network(&self) -> Fingerprint;
}

/// A well-formed statement whose signature has not been checked.
#[derive(Debug, Clone)]
pub struct Unverified<T> {
    bytes: Arc<[u8]>,
    body: core::ops::Range<usize>,
    signature: [u8; 64],
    value: T,
}

/// A statement whose signature held.
#[derive(Debug, Clone)]
pub struct Signed<T> {
    bytes: Arc<[u8]>,
    value: T,
    id: ItemId,
}

impl<T: Statement> Unverified<T> {
    /// What it claims.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Checks the signature over the received octets.
    pub fn verify(self, key: &VerifyKey) -> Result<Signed<T>, ItemError> {
        if self.value.signer().is_some_and(|named| named != *key) {
            return Err(ItemError::WrongSigner);
        }
        if !verify(T::CONTEXT, key, &self.bytes[self.body.clone()], &self.signature) {
            return Err(ItemError::Signature);
        }
        Ok(Signed { id: ItemId::of(&self.bytes), bytes: self.bytes, value: self.value })
    }

    /// Checks the signature with the key that the statement itself names; [`ItemError::WrongSigner`] if it names none.
    pub fn verify_named(self) -> Result<Signed<T>, ItemError> {
        let key = self.value.signer().ok_or(ItemError::WrongSigner)?;
        self.verify(&key)
    }
}

impl<T: Statement> Signed<T> {
    /// Signs `value`; refuses what no decoder would take.
    pub fn sign(value: T, key: &SigningKey) -> Result<Self, ItemError> {
        value.check()?;
        if value.signer().is_some_and(|named| named != key.verify_key()) {
            return Err(ItemError::WrongSigner);
        }
        let body = value.write();
        let signature = key.sign(T::CONTEXT, &body);
        let bytes = envelope(&body, &signature);
        if bytes.len() > MAX_STATEMENT {
            return Err(ItemError::TooLarge(bytes.len()));
        }
        Ok(Signed { id: ItemId::of(&bytes), bytes: bytes.into(), value })
    }

    /// Reads a statement, which must be canonical and in range; its signature is still to be verified.
    pub fn decode(bytes: &[u8]) -> Result<Unverified<T>, ItemError> {
        if bytes.len() > MAX_STATEMENT {
            return Err(ItemError::TooLarge(bytes.len()));
        }
        let (body, signature) = open_envelope(bytes).map_err(|_| ItemError::Malformed)?;
        let value = T::read(&mut Decoder::new(body)).map_err(|_| ItemError::Malformed)?;
        if value.write() != body || envelope(body, &signature) != bytes {
            return Err(ItemError::NotCanonical);
        }
        value.check()?;
        let end = bytes.len() - (64 + 2);
        Ok(Unverified { body: end - body.len()..end, bytes: bytes.into(), signature, value })
    }

    /// What it says.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The signed octets, as received.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Its name in gossip.
    pub fn id(&self) -> ItemId {
        self.id
    }
}

impl<T> core::ops::Deref for Signed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for Signed<T> {}

fn envelope(body: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 70);
    let written =
        Encoder::new(&mut out).array(2).and_then(|e| e.bytes(body)).and_then(|e| e.bytes(signature)).is_ok();
    debug_assert!(written, "writing to memory cannot fail");
    out
}

fn open_envelope(bytes: &[u8]) -> Result<(&[u8], [u8; 64]), Error> {
    let mut d = Decoder::new(bytes);
    if d.array()? != Some(2) {
        return Err(Error::message("not a pair"));
    }
    let body = d.bytes()?;
    let signature = d.bytes()?.try_into().map_err(|_| Error::message("signature length"))?;
    Ok((body, signature))
}

/// Writes a CBOR map; the caller puts the keys in ascending order.
#[derive(Debug, Default)]
pub struct MapWriter {
    entries: u64,
    body: Vec<u8>,
    last: Option<u8>,
}

impl MapWriter {
    /// An empty map.
    pub fn new() -> Self {
        MapWriter::default()
    }

    /// Adds one entry.
    pub fn put<T: Encode<()>>(&mut self, key: u8, value: T) -> &mut Self {
        debug_assert!(self.last < Some(key), "keys ascend");
        self.last = Some(key);
        self.entries += 1;
        let mut encoder = Encoder::new(&mut self.body);
        let written = encoder.u8(key).and_then(|e| e.encode(value)).is_ok();
        debug_assert!(written, "writing to memory cannot fail");
        self
    }

    /// Adds one entry if there is a value.
    pub fn put_some<T: Encode<()>>(&mut self, key: u8, value: Option<T>) -> &mut Self {
        match value {
            Some(value) => self.put(key, value),
            None => self,
        }
    }

    /// Adds a byte string.
    pub fn put_bytes(&mut self, key: u8, value: &[u8]) -> &mut Self {
        self.put(key, Bytes(value))
    }

    /// Adds a flag; a cleared one takes no room.
    pub fn put_flag(&mut self, key: u8, value: bool) -> &mut Self {
        self.put_some(key, value.then_some(true))
    }

    /// Adds a list; an empty one takes no room.
    pub fn put_list<T: Encode<()>>(&mut self, key: u8, values: &[T]) -> &mut Self {
        self.put_some(key, (!values.is_empty()).then_some(values))
    }

    /// The finished map.
    pub fn finish(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 2);
        let written = Encoder::new(&mut out).map(self.entries).is_ok();
        debug_assert!(written, "writing to memory cannot fail");
        out.extend_from_slice(&self.body);
        out
    }
}

/// A byte string (minicbor writes `&[u8]` as an array of numbers).
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<C> Encode<C> for Bytes<'_> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.0)?.ok()
    }
}

/// Reads a map of definite length and hands each entry to `field`, which reads, skips or refuses the value.
pub fn read_map<'b>(
    d: &mut Decoder<'b>,
    mut field: impl FnMut(u64, &mut Decoder<'b>) -> Result<(), Error>,
) -> Result<(), Error> {
    let entries = d.map()?.filter(|n| *n <= MAX_ENTRIES).ok_or_else(|| Error::message("map length"))?;
    for _ in 0..entries {
        let key = d.u64()?;
        field(key, d)?;
    }
    Ok(())
}

/// Reads a list of definite length, at most `most` long.
pub fn read_list<'b, T: Decode<'b, ()>>(d: &mut Decoder<'b>, most: usize) -> Result<Vec<T>, Error> {
    let length = d.array()?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= most);
    let length = length.ok_or_else(|| Error::message("list length"))?;
    let mut out = Vec::with_capacity(length);
    for _ in 0..length {
        out.push(d.decode()?);
    }
    Ok(out)
}

/// Reads a text of at most `most` octets.
pub fn read_text(d: &mut Decoder<'_>, most: usize) -> Result<String, Error> {
    let text = d.str()?;
    if text.len() <= most { Ok(text.to_owned()) } else { Err(Error::message("text length")) }
}

/// Reads a byte string of exactly `N` octets.
pub fn read_bytes<const N: usize>(d: &mut Decoder<'_>) -> Result<[u8; N], Error> {
    d.bytes()?.try_into().map_err(|_| Error::message("bytes length"))
}

/// The value of a field that must be there.
pub fn need<T>(field: Option<T>) -> Result<T, Error> {
    field.ok_or_else(|| Error::message("missing field"))
}

/// The error for a key that a statement does not have.
pub fn unknown_key() -> Error {
    Error::message("unknown key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Note(u64);

    impl Statement for Note {
        const CONTEXT: &'static str = "ln6d note v1";
        fn write(&self) -> Vec<u8> {
            MapWriter::new().put(0, self.0).finish()
        }
        fn read(d: &mut Decoder<'_>) -> Result<Self, Error> {
            let mut number = None;
            read_map(d, |key, d| match key {
                0 => d.u64().map(|value| number = Some(value)),
                _ => Err(unknown_key()),
            })?;
            Ok(Note(need(number)?))
        }
        fn check(&self) -> Result<(), ItemError> {
            if self.0 == 13 { Err(ItemError::Invalid("thirteen")) } else { Ok(()) }
        }
        fn signer(&self) -> Option<VerifyKey> {
            None
        }
        fn network(&self) -> Fingerprint {
            Fingerprint([0; 32])
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_seed([1; 32])
    }

    fn refused(body: &[u8]) -> ItemError {
        let signature = key().sign(Note::CONTEXT, body);
        Signed::<Note>::decode(&envelope(body, &signature)).expect_err("refused")
    }

    #[test]
    fn what_is_signed_is_read_back_and_verified() {
        let signed = Signed::sign(Note(7), &key()).expect("sign");
        let read = Signed::<Note>::decode(signed.bytes()).expect("decode");
        assert_eq!(*read.value(), Note(7));
        let verified = read.verify(&key().verify_key()).expect("verify");
        assert_eq!(verified, signed);
        assert_eq!(verified.id(), ItemId::of(signed.bytes()));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let signed = Signed::sign(Note(7), &key()).expect("sign");
        for bit in 0..signed.bytes().len() * 8 {
            let mut bytes = signed.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let outcome = Signed::<Note>::decode(&bytes).and_then(|note| note.verify(&key().verify_key()));
            assert!(outcome.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_second_spelling_is_refused_even_if_signed() {
        assert_eq!(refused(&[0xa1, 0x00, 0x18, 0x07]), ItemError::NotCanonical, "long integer");
        assert_eq!(refused(&[0xa2, 0x00, 0x07, 0x00, 0x07]), ItemError::NotCanonical, "repeated key");
        assert_eq!(refused(&[0xa1, 0x00, 0x07, 0x00]), ItemError::NotCanonical, "trailing octet in the body");
        assert_eq!(refused(&[0xbf, 0x00, 0x07, 0xff]), ItemError::Malformed, "indefinite map");
        assert_eq!(refused(&[0xa2, 0x00, 0x07, 0x01, 0x07]), ItemError::Malformed, "unknown key");
        assert_eq!(refused(&[0xa0]), ItemError::Malformed, "missing field");
        assert_eq!(refused(&[0xa1, 0x00, 0x0d]), ItemError::Invalid("thirteen"));
        let mut long = Signed::sign(Note(7), &key()).expect("sign").bytes().to_vec();
        long.push(0);
        assert_eq!(Signed::<Note>::decode(&long).expect_err("trailing"), ItemError::NotCanonical);
        long.resize(MAX_STATEMENT + 1, 0);
        assert_eq!(Signed::<Note>::decode(&long).expect_err("long"), ItemError::TooLarge(MAX_STATEMENT + 1));
    }
}
