//! Signed statements: canonical, or refused.

use core::fmt::Debug;
use ln6_crypto::canonical::MAX_STATEMENT;
use ln6_crypto::{Certificate, Head, ItemError, NodeRecord, Revocation, Signed, SigningKey, Statement};
use ln6_types::VerifyKey;

/// Who signs the bodies that come without a signature.
pub(crate) fn signer() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

/// The first octet chooses the kind, and whether a whole statement follows or a body that is signed here.
pub fn certificate(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let signed = first & 4 != 0;
    match first & 3 {
        0 => statement::<Certificate>(signed, rest),
        1 => statement::<Revocation>(signed, rest),
        2 => statement::<Head>(signed, rest),
        _ => statement::<NodeRecord>(signed, rest),
    }
}

fn statement<T: Statement + Clone + PartialEq + Debug>(signed: bool, rest: &[u8]) {
    let bytes = if signed { envelope(rest, &signer().sign(T::CONTEXT, rest)) } else { rest.to_vec() };
    let unverified = match Signed::<T>::decode(&bytes) {
        Ok(unverified) => unverified,
        Err(ItemError::TooLarge(len)) => return assert!(len == bytes.len() && len > MAX_STATEMENT),
        Err(_) => return,
    };
    let value = unverified.value().clone();
    assert_eq!(value.check(), Ok(()));
    assert!(unverified.clone().verify(&VerifyKey([1; 32])).is_err(), "a key nobody has");
    let us = signer();
    let ours = value.signer().is_none_or(|named| named == us.verify_key());
    let verified = unverified.verify(&us.verify_key());
    if signed {
        assert_eq!(verified.is_ok(), ours, "{verified:?}");
    }
    if let Ok(verified) = verified {
        assert_eq!(**verified.bytes(), *bytes);
        let again = Signed::sign(value, &us).expect("what was accepted can be signed");
        assert_eq!(again.bytes(), verified.bytes(), "there is one encoding and one signature");
    }
}

/// Body and signature as they travel, with the shortest lengths.
pub(crate) fn envelope(body: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let mut out = vec![0x82];
    match body.len() {
        len @ 0..24 => out.push(0x40 | len as u8),
        len @ 24..256 => out.extend_from_slice(&[0x58, len as u8]),
        len => {
            out.push(0x59);
            out.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
    out.extend_from_slice(&[0x58, 64]);
    out.extend_from_slice(signature);
    out
}
