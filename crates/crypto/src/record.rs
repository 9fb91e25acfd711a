//! Node records: what a node says of itself, signed with its own Ed25519 key.

use crate::canonical::{
    Bytes, ItemError, MapWriter, Statement, need, read_bytes, read_list, read_map, unknown_key,
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use ln6_types::{Fingerprint, PublicKey, UnixTime, VerifyKey};
use minicbor::decode::{Decode, Decoder, Error};
use minicbor::encode::{Encode, Encoder};

const VERSION: u8 = 1;
const MAX_ENDPOINTS: usize = 8;
const MAX_SUITES: usize = 16;
/// The longest a record may be valid, in seconds: a month.
const MAX_VALIDITY: u64 = 31 * 86_400;

/// How datagrams reach an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum EndpointKind {
    /// UDP.
    Udp,
    /// TCP with a two-octet length before each datagram.
    Tcp,
}

/// An address a node can be tried at. Flow labels and scopes are not part of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Endpoint {
    /// Address and port.
    pub addr: SocketAddr,
    /// Transport.
    pub kind: EndpointKind,
}

/// What a node says of itself. The highest counter is the one that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRecord {
    /// The network.
    pub network: Fingerprint,
    /// The node.
    pub key: PublicKey,
    /// Goes up with each record.
    pub counter: u64,
    /// When it was signed.
    pub at: UnixTime,
    /// When it stops counting; at most 31 days after `at`.
    pub expires: UnixTime,
    /// Where to try it, best first; at most 8.
    pub endpoints: Vec<Endpoint>,
    /// Whether it relays for others.
    pub transit: bool,
    /// Whether others reached it without its having called them first.
    pub reachable: bool,
    /// Suites it can do, best first; at most 16.
    pub suites: Vec<u8>,
    /// Protocol version it speaks.
    pub version: u16,
}

/// An address as CBOR: a byte string of 6 (IPv4) or 18 octets, the port last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WireAddr(pub SocketAddr);

impl<C> Encode<C> for WireAddr {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let port = self.0.port().to_be_bytes();
        match self.0.ip() {
            IpAddr::V4(ip) => e.bytes(&[&ip.octets()[..], &port].concat())?.ok(),
            IpAddr::V6(ip) => e.bytes(&[&ip.octets()[..], &port].concat())?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for WireAddr {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        let bytes = d.bytes()?;
        let bad = || Error::message("address length");
        let (ip, port) = bytes.split_last_chunk::<2>().ok_or_else(bad)?;
        let ip = match ip.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(ip).map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from)),
            16 => IpAddr::from(<[u8; 16]>::try_from(ip).map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from)),
            _ => return Err(bad()),
        };
        Ok(WireAddr(SocketAddr::new(ip, u16::from_be_bytes(*port))))
    }
}

impl<C> Encode<C> for Endpoint {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        c: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.bool(self.kind == EndpointKind::Tcp)?.encode_with(WireAddr(self.addr), c)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Endpoint {
    fn decode(d: &mut Decoder<'b>, c: &mut C) -> Result<Self, Error> {
        if d.array()? != Some(2) {
            return Err(Error::message("endpoint"));
        }
        let kind = if d.bool()? { EndpointKind::Tcp } else { EndpointKind::Udp };
        Ok(Endpoint { kind, addr: WireAddr::decode(d, c)?.0 })
    }
}

impl Statement for NodeRecord {
    const CONTEXT: &'static str = "ln6d record v1";

    fn write(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.put(0, VERSION).put(1, self.network).put(2, self.key).put(3, self.counter);
        map.put(4, self.at.as_secs()).put(5, self.expires.as_secs());
        map.put_list(6, &self.endpoints).put_flag(7, self.transit).put_flag(8, self.reachable);
        map.put(9, Bytes(&self.suites)).put(10, self.version).finish()
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, Error> {
        let (mut version, mut network, mut node, mut counter) = (None, None, None, None);
        let (mut at, mut expires, mut speaks, mut suites) = (None, None, None, Vec::new());
        let (mut endpoints, mut transit, mut reachable) = (Vec::new(), false, false);
        read_map(d, |key, d| {
            match key {
                0 => version = Some(d.u8()?),
                1 => network = Some(d.decode()?),
                2 => node = Some(PublicKey(read_bytes(d)?)),
                3 => counter = Some(d.u64()?),
                4 => at = Some(UnixTime::from_secs(d.u64()?)),
                5 => expires = Some(UnixTime::from_secs(d.u64()?)),
                6 => endpoints = read_list(d, MAX_ENDPOINTS)?,
                7 => transit = d.bool()?,
                8 => reachable = d.bool()?,
                9 => suites = d.bytes()?.to_vec(),
                10 => speaks = Some(d.u16()?),
                _ => return Err(unknown_key()),
            }
            Ok(())
        })?;
        if version != Some(VERSION) {
            return Err(Error::message("version"));
        }
        Ok(NodeRecord {
            network: need(network)?,
            key: need(node)?,
            counter: need(counter)?,
            at: need(at)?,
            expires: need(expires)?,
            endpoints,
            transit,
            reachable,
            suites,
            version: need(speaks)?,
        })
    }

    fn check(&self) -> Result<(), ItemError> {
        if self.endpoints.len() > MAX_ENDPOINTS {
            return Err(ItemError::Invalid("a record has at most 8 endpoints"));
        }
        if self
            .endpoints
            .iter()
            .any(|e| e.addr.port() == 0 || e.addr.ip().is_unspecified() || e.addr.ip().is_multicast())
        {
            return Err(ItemError::Invalid("an endpoint is a unicast address with a port"));
        }
        if self.suites.len() > MAX_SUITES {
            return Err(ItemError::Invalid("a record names at most 16 suites"));
        }
        if self.expires <= self.at || self.expires.as_secs() - self.at.as_secs() > MAX_VALIDITY {
            return Err(ItemError::Invalid("a record is valid for at most 31 days"));
        }
        Ok(())
    }

    fn signer(&self) -> Option<VerifyKey> {
        None
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

    fn record() -> NodeRecord {
        let udp = |addr: &str| Endpoint { addr: addr.parse().expect("address"), kind: EndpointKind::Udp };
        let tcp = Endpoint { kind: EndpointKind::Tcp, ..udp("[2001:db8::1]:443") };
        NodeRecord {
            network: Fingerprint([9; 32]),
            key: PublicKey([4; 32]),
            counter: 12,
            at: UnixTime::from_secs(1_790_000_000),
            expires: UnixTime::from_secs(1_790_086_400),
            endpoints: vec![udp("192.0.2.1:6695"), tcp],
            transit: true,
            reachable: false,
            suites: vec![2, 1],
            version: 1,
        }
    }

    #[test]
    fn the_golden_record_does_not_change() {
        let key = SigningKey::from_seed([3; 32]);
        let signed = Signed::sign(record(), &key).expect("sign");
        assert_eq!(Hex(signed.bytes()).to_string(), include_str!("../tests/golden/record.hex").trim());
        let read = Signed::<NodeRecord>::decode(signed.bytes()).expect("decode");
        assert_eq!(*read.verify(&key.verify_key()).expect("verify"), record());
    }

    /// What a node that can do both suites has in its record, and what one that only has the common one.
    #[test]
    fn the_golden_records_of_each_choice_of_suites_do_not_change() {
        let key = SigningKey::from_seed([3; 32]);
        let text = [&[1, 0][..], &[0]].map(|suites| {
            let signed =
                Signed::sign(NodeRecord { suites: suites.to_vec(), ..record() }, &key).expect("sign");
            format!("{}\n", Hex(signed.bytes()))
        });
        assert_eq!(text.concat(), include_str!("../tests/golden/record-suites.hex"));
    }

    #[test]
    fn a_record_names_no_signer_so_the_key_must_come_from_the_certificate() {
        let signed = Signed::sign(record(), &SigningKey::from_seed([3; 32])).expect("sign");
        let read = Signed::<NodeRecord>::decode(signed.bytes()).expect("decode");
        assert_eq!(read.clone().verify_named().expect_err("none named"), ItemError::WrongSigner);
        assert_eq!(read.verify(&VerifyKey([1; 32])).expect_err("other key"), ItemError::Signature);
    }

    #[test]
    fn fields_out_of_range_are_refused() {
        let key = SigningKey::from_seed([3; 32]);
        let refused = |change: fn(&mut NodeRecord)| {
            let mut value = record();
            change(&mut value);
            matches!(Signed::sign(value, &key), Err(ItemError::Invalid(_)))
        };
        assert!(refused(|r| r.endpoints = vec![r.endpoints[0]; 9]));
        assert!(refused(|r| r.endpoints[0].addr.set_port(0)));
        assert!(refused(|r| r.endpoints[0].addr.set_ip(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1)))));
        assert!(refused(|r| r.suites = vec![0; 17]));
        assert!(refused(|r| r.expires = r.at));
        assert!(refused(|r| r.expires = UnixTime::FOREVER));
    }
}
