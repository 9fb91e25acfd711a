//! Revocations, numbered by their issuer, and the dated heads by which a gap in them is seen.

use crate::canonical::{ItemError, MapWriter, Statement, need, read_map, unknown_key};
use ln6_types::{Fingerprint, PublicKey, UnixTime, VerifyKey};
use minicbor::decode::{Decoder, Error};

const VERSION: u8 = 1;

/// What is revoked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revoked {
    /// One certificate of this issuer.
    Serial(u64),
    /// The key, in every certificate that this issuer signed or that descends from it.
    Key(PublicKey),
}

/// Why something is revoked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// For now: a certificate with a new serial resumes it (there is no un-revoking).
    Suspended,
    /// For good.
    Revoked,
    /// Another key took the holder's place.
    Replaced,
    /// The node said goodbye.
    Left,
}

impl Reason {
    const fn number(self) -> u8 {
        match self {
            Reason::Suspended => 1,
            Reason::Revoked => 2,
            Reason::Replaced => 3,
            Reason::Left => 4,
        }
    }

    fn from_number(number: u8) -> Result<Self, Error> {
        [Reason::Suspended, Reason::Revoked, Reason::Replaced, Reason::Left]
            .into_iter()
            .find(|reason| reason.number() == number)
            .ok_or_else(|| Error::message("unknown reason"))
    }
}

/// A revocation. Whoever suspends a key names every serial of it that is still within its grace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revocation {
    /// The network.
    pub network: Fingerprint,
    /// Who signs.
    pub issuer: VerifyKey,
    /// 1, 2, 3 … for each issuer, without gaps.
    pub number: u64,
    /// What is revoked.
    pub what: Revoked,
    /// When it was signed.
    pub at: UnixTime,
    /// Why.
    pub reason: Reason,
}

/// An issuer's dated word on how much it has signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The network.
    pub network: Fingerprint,
    /// Who signs.
    pub issuer: VerifyKey,
    /// When it was signed; the newest head counts.
    pub at: UnixTime,
    /// The number of the last revocation, 0 if there was none.
    pub last: u64,
    /// The highest serial signed, 0 if there was none.
    pub certificates: u64,
}

impl Statement for Revocation {
    const CONTEXT: &'static str = "ln6d revocation v1";

    fn write(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.put(0, VERSION).put(1, self.network).put(2, self.issuer).put(3, self.number);
        match &self.what {
            Revoked::Serial(serial) => map.put(4, *serial),
            Revoked::Key(key) => map.put(5, key),
        };
        map.put(6, self.at.as_secs()).put(7, self.reason.number()).finish()
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, Error> {
        let (mut version, mut network, mut issuer, mut number) = (None, None, None, None);
        let (mut what, mut at, mut reason) = (None, None, None);
        read_map(d, |key, d| {
            match key {
                0 => version = Some(d.u8()?),
                1 => network = Some(d.decode()?),
                2 => issuer = Some(d.decode()?),
                3 => number = Some(d.u64()?),
                4 => what = Some(Revoked::Serial(d.u64()?)),
                5 => what = Some(Revoked::Key(d.decode()?)),
                6 => at = Some(UnixTime::from_secs(d.u64()?)),
                7 => reason = Some(Reason::from_number(d.u8()?)?),
                _ => return Err(unknown_key()),
            }
            Ok(())
        })?;
        if version != Some(VERSION) {
            return Err(Error::message("version"));
        }
        let (network, issuer, number) = (need(network)?, need(issuer)?, need(number)?);
        Ok(Revocation { network, issuer, number, what: need(what)?, at: need(at)?, reason: need(reason)? })
    }

    fn check(&self) -> Result<(), ItemError> {
        if self.number == 0 { Err(ItemError::Invalid("revocations are numbered from 1")) } else { Ok(()) }
    }

    fn signer(&self) -> Option<VerifyKey> {
        Some(self.issuer)
    }

    fn network(&self) -> Fingerprint {
        self.network
    }
}

impl Statement for Head {
    const CONTEXT: &'static str = "ln6d head v1";

    fn write(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.put(0, VERSION).put(1, self.network).put(2, self.issuer);
        map.put(3, self.at.as_secs()).put(4, self.last).put(5, self.certificates).finish()
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, Error> {
        let (mut version, mut network, mut issuer) = (None, None, None);
        let (mut at, mut last, mut certificates) = (None, None, None);
        read_map(d, |key, d| {
            match key {
                0 => version = Some(d.u8()?),
                1 => network = Some(d.decode()?),
                2 => issuer = Some(d.decode()?),
                3 => at = Some(UnixTime::from_secs(d.u64()?)),
                4 => last = Some(d.u64()?),
                5 => certificates = Some(d.u64()?),
                _ => return Err(unknown_key()),
            }
            Ok(())
        })?;
        if version != Some(VERSION) {
            return Err(Error::message("version"));
        }
        let (network, issuer, at) = (need(network)?, need(issuer)?, need(at)?);
        Ok(Head { network, issuer, at, last: need(last)?, certificates: need(certificates)? })
    }

    fn check(&self) -> Result<(), ItemError> {
        Ok(())
    }

    fn signer(&self) -> Option<VerifyKey> {
        Some(self.issuer)
    }

    fn network(&self) -> Fingerprint {
        self.network
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Signed, SigningKey};
    use ln6_types::Hex;

    fn revocation(what: Revoked, reason: Reason) -> Revocation {
        let issuer = SigningKey::from_seed([2; 32]).verify_key();
        let (network, at) = (Fingerprint([9; 32]), UnixTime::from_secs(1_790_000_000));
        Revocation { network, issuer, number: 3, what, at, reason }
    }

    #[test]
    fn the_golden_revocation_does_not_change() {
        let value = revocation(Revoked::Serial(7), Reason::Suspended);
        let signed = Signed::sign(value, &SigningKey::from_seed([2; 32])).expect("sign");
        assert_eq!(Hex(signed.bytes()).to_string(), include_str!("../tests/golden/revocation.hex").trim());
    }

    #[test]
    fn the_golden_head_does_not_change() {
        let issuer = SigningKey::from_seed([2; 32]);
        let (network, at) = (Fingerprint([9; 32]), UnixTime::from_secs(1_790_000_000));
        let value = Head { network, issuer: issuer.verify_key(), at, last: 3, certificates: 40 };
        let signed = Signed::sign(value.clone(), &issuer).expect("sign");
        assert_eq!(Hex(signed.bytes()).to_string(), include_str!("../tests/golden/head.hex").trim());
        let read = Signed::<Head>::decode(signed.bytes()).and_then(|head| head.verify_named()).expect("read");
        assert_eq!(*read, value);
    }

    #[test]
    fn serials_and_keys_and_every_reason_read_back() {
        for what in [Revoked::Serial(u64::MAX), Revoked::Key(PublicKey([5; 32]))] {
            for reason in [Reason::Suspended, Reason::Revoked, Reason::Replaced, Reason::Left] {
                let value = revocation(what, reason);
                let signed = Signed::sign(value.clone(), &SigningKey::from_seed([2; 32])).expect("sign");
                let read = Signed::<Revocation>::decode(signed.bytes()).and_then(|r| r.verify_named());
                assert_eq!(*read.expect("read"), value);
            }
        }
    }

    #[test]
    fn number_zero_and_two_targets_are_refused() {
        let key = SigningKey::from_seed([2; 32]);
        let zero = Revocation { number: 0, ..revocation(Revoked::Serial(1), Reason::Left) };
        assert!(matches!(Signed::sign(zero, &key), Err(ItemError::Invalid(_))));
        let value = revocation(Revoked::Serial(1), Reason::Left);
        let mut map = MapWriter::new();
        map.put(0, 1)
            .put(1, value.network)
            .put(2, value.issuer)
            .put(3, 3)
            .put(4, 1)
            .put(5, PublicKey([5; 32]));
        let body = map.put(6, 0).put(7, 1).finish();
        let read = Revocation::read(&mut Decoder::new(&body)).expect("readable");
        assert_ne!(read.write(), body, "so the canonical check refuses it");
    }

    #[test]
    fn a_head_is_no_revocation() {
        let key = SigningKey::from_seed([2; 32]);
        let signed = Signed::sign(revocation(Revoked::Serial(1), Reason::Left), &key).expect("sign");
        assert!(Signed::<Head>::decode(signed.bytes()).is_err());
    }
}
