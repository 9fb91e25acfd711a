//! Certificates: who may originate and delegate which prefixes, in which roles, until when.

use crate::canonical::{ItemError, MapWriter, Statement, need, read_list, read_map, read_text, unknown_key};
use crate::keys::{fingerprint, router_id};
use ln6_types::{Fingerprint, Prefix, PublicKey, RouterId, UnixTime, VerifyKey};
use minicbor::decode::{Decoder, Error};
use thiserror::Error as ThisError;

const VERSION: u8 = 1;
/// The most prefixes in one list.
const MAX_PREFIXES: usize = 64;
/// The most octets of a name.
pub(crate) const MAX_NAME: usize = 63;

/// What a key may be besides a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Roles {
    /// May originate a default route from the pools it serves.
    pub exit: bool,
    /// May hold an issuing key: answers join and renewal requests.
    pub broker: bool,
    /// Is offered to others as a relay.
    pub transit: bool,
}

impl Roles {
    /// No role.
    pub const NONE: Roles = Roles { exit: false, broker: false, transit: false };

    /// Whether every role here is also in `other`.
    pub const fn within(self, other: Roles) -> bool {
        self.bits() & !other.bits() == 0
    }

    const fn bits(self) -> u8 {
        self.exit as u8 | (self.broker as u8) << 1 | (self.transit as u8) << 2
    }

    fn from_bits(bits: u8) -> Result<Self, Error> {
        if bits > 7 {
            return Err(Error::message("unknown role"));
        }
        Ok(Roles { exit: bits & 1 != 0, broker: bits & 2 != 0, transit: bits & 4 != 0 })
    }
}

/// A signed statement about one key (DESIGN 6).
///
/// A key's rights hold while `not_before <= now < grace_until`; from `not_after` on it should long have been renewed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The network.
    pub network: Fingerprint,
    /// Counts the certificates of one issuer; a key's highest serial from one issuer is the one in force.
    pub serial: u64,
    /// Who signs: the root key or the `sign` key of another certificate.
    pub issuer: VerifyKey,
    /// The X25519 key: WireGuard's static key.
    pub key: PublicKey,
    /// The Ed25519 key with which this node signs its records and what it delegates.
    pub sign: VerifyKey,
    /// Always [`router_id`] of `key`.
    pub router_id: RouterId,
    /// The node's name: 1 to 63 of `a-z 0-9 - .`, beginning and ending with a letter or digit.
    pub name: String,
    /// Whose prefixes these are; the same rule.
    pub holder: String,
    /// Prefixes it may originate: at most 64, sorted, disjoint. The node address is implied.
    pub originate: Vec<Prefix>,
    /// Pools of which it may delegate parts; likewise.
    pub delegate: Vec<Prefix>,
    /// Roles held.
    pub roles: Roles,
    /// Roles it may give to those it signs for.
    pub grantable: Roles,
    /// Rights begin.
    pub not_before: UnixTime,
    /// Renewal is overdue from here on.
    pub not_after: UnixTime,
    /// Rights end.
    pub grace_until: UnixTime,
    /// The most routes this key may originate.
    pub routes: u16,
    /// The most keys it may sign certificates for.
    pub children: u32,
}

/// Why a certificate goes beyond what its issuer could give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum ChainError {
    /// Another network.
    #[error("it belongs to another network")]
    Network,
    /// Signed by another key than the one it is compared with.
    #[error("its issuer is another key")]
    Issuer,
    /// A prefix outside the issuer's pools.
    #[error("{0} is outside the issuer's pools")]
    Originate(Prefix),
    /// A pool outside the issuer's pools.
    #[error("the pool {0} is outside the issuer's pools")]
    Delegate(Prefix),
    /// A role that the issuer may not give.
    #[error("the issuer may not give these roles")]
    Roles,
    /// `exit` and `broker` can be made grantable only by the root, and only for a broker.
    #[error("these roles cannot be sub-delegated")]
    Grantable,
    /// It would be valid longer than its issuer.
    #[error("it outlives its issuer")]
    Outlives,
    /// The issuer may sign for nobody.
    #[error("the issuer may not have children")]
    Children,
}

impl ChainError {
    /// A stable word for logs and counters.
    pub const fn code(&self) -> &'static str {
        match self {
            ChainError::Network => "other-network",
            ChainError::Issuer => "other-issuer",
            ChainError::Originate(_) => "originate-outside",
            ChainError::Delegate(_) => "delegate-outside",
            ChainError::Roles => "role-not-grantable",
            ChainError::Grantable => "role-not-subdelegable",
            ChainError::Outlives => "outlives-issuer",
            ChainError::Children => "no-children-allowed",
        }
    }
}

impl Certificate {
    /// Whether the root could sign this: the issuer is the network's root, and only a broker may give roles on.
    pub fn check_issued_by_root(&self) -> Result<(), ChainError> {
        if fingerprint(&self.issuer) != self.network {
            return Err(ChainError::Network);
        }
        if (self.grantable.exit || self.grantable.broker) && !self.roles.broker {
            return Err(ChainError::Grantable);
        }
        Ok(())
    }

    /// Whether the holder of `issuer` could sign this: every list lies within the issuer's.
    pub fn check_issued(&self, issuer: &Certificate) -> Result<(), ChainError> {
        if self.network != issuer.network {
            return Err(ChainError::Network);
        }
        if self.issuer != issuer.sign {
            return Err(ChainError::Issuer);
        }
        let outside = |list: &[Prefix]| list.iter().copied().find(|part| !within(*part, &issuer.delegate));
        if let Some(prefix) = outside(&self.originate) {
            return Err(ChainError::Originate(prefix));
        }
        if let Some(pool) = outside(&self.delegate) {
            return Err(ChainError::Delegate(pool));
        }
        if !self.roles.within(issuer.grantable) {
            return Err(ChainError::Roles);
        }
        let inheritable = Roles { exit: false, broker: false, ..issuer.grantable };
        if !self.grantable.within(inheritable) {
            return Err(ChainError::Grantable);
        }
        if self.grace_until > issuer.grace_until {
            return Err(ChainError::Outlives);
        }
        if issuer.children == 0 {
            return Err(ChainError::Children);
        }
        Ok(())
    }

    /// Whether `prefix` lies within one it may originate.
    pub fn may_originate(&self, prefix: Prefix) -> bool {
        within(prefix, &self.originate)
    }

    /// Whether `prefix` lies within one of its pools.
    pub fn may_delegate(&self, prefix: Prefix) -> bool {
        within(prefix, &self.delegate)
    }

    /// Whether `name` is fit for a node or a holder.
    pub fn is_name(name: &str) -> bool {
        let fit = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let ends = name.bytes().next().is_some_and(fit) && name.bytes().last().is_some_and(fit);
        ends && name.len() <= MAX_NAME && name.bytes().all(|c| fit(c) || c == b'-' || c == b'.')
    }
}

fn within(prefix: Prefix, list: &[Prefix]) -> bool {
    list.iter().any(|pool| pool.covers(prefix))
}

/// Prefixes that belong to no network: multicast and link-local.
const NEVER: [Prefix; 2] = [
    Prefix::new(core::net::Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
    Prefix::new(core::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
];

fn check_list(list: &[Prefix]) -> Result<(), ItemError> {
    if list.len() > MAX_PREFIXES {
        return Err(ItemError::Invalid("a list has at most 64 prefixes"));
    }
    if list.windows(2).any(|pair| pair[0] >= pair[1] || pair[0].overlaps(pair[1])) {
        return Err(ItemError::Invalid("prefixes are sorted and do not overlap"));
    }
    if list.iter().any(|prefix| NEVER.iter().any(|never| never.overlaps(*prefix))) {
        return Err(ItemError::Invalid("nobody can hold the default, multicast or link-local prefix"));
    }
    Ok(())
}

impl Statement for Certificate {
    const CONTEXT: &'static str = "ln6d certificate v1";

    fn write(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.put(0, VERSION).put(1, self.network).put(2, self.serial).put(3, self.issuer);
        map.put(4, self.key).put(5, self.sign).put(6, self.router_id);
        map.put(7, &*self.name).put(8, &*self.holder);
        map.put_list(9, &self.originate).put_list(10, &self.delegate);
        map.put(11, self.roles.bits()).put(12, self.grantable.bits());
        map.put(13, self.not_before.as_secs())
            .put(14, self.not_after.as_secs())
            .put(15, self.grace_until.as_secs());
        map.put(16, self.routes).put(17, self.children);
        map.finish()
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, Error> {
        let (mut version, mut network, mut serial, mut issuer) = (None, None, None, None);
        let (mut key, mut sign, mut router, mut name, mut holder) = (None, None, None, None, None);
        let (mut originate, mut delegate, mut roles, mut grantable) = (Vec::new(), Vec::new(), None, None);
        let (mut times, mut routes, mut children) = ([None; 3], None, None);
        read_map(d, |field, d| {
            match field {
                0 => version = Some(d.u8()?),
                1 => network = Some(d.decode()?),
                2 => serial = Some(d.u64()?),
                3 => issuer = Some(d.decode()?),
                4 => key = Some(d.decode()?),
                5 => sign = Some(d.decode()?),
                6 => router = Some(d.decode()?),
                7 => name = Some(read_text(d, MAX_NAME)?),
                8 => holder = Some(read_text(d, MAX_NAME)?),
                9 => originate = read_list(d, MAX_PREFIXES)?,
                10 => delegate = read_list(d, MAX_PREFIXES)?,
                11 => roles = Some(Roles::from_bits(d.u8()?)?),
                12 => grantable = Some(Roles::from_bits(d.u8()?)?),
                13..=15 => times[(field - 13) as usize] = Some(UnixTime::from_secs(d.u64()?)),
                16 => routes = Some(d.u16()?),
                17 => children = Some(d.u32()?),
                _ => return Err(unknown_key()),
            }
            Ok(())
        })?;
        if version != Some(VERSION) {
            return Err(Error::message("version"));
        }
        Ok(Certificate {
            network: need(network)?,
            serial: need(serial)?,
            issuer: need(issuer)?,
            key: need(key)?,
            sign: need(sign)?,
            router_id: need(router)?,
            name: need(name)?,
            holder: need(holder)?,
            originate,
            delegate,
            roles: need(roles)?,
            grantable: need(grantable)?,
            not_before: need(times[0])?,
            not_after: need(times[1])?,
            grace_until: need(times[2])?,
            routes: need(routes)?,
            children: need(children)?,
        })
    }

    fn check(&self) -> Result<(), ItemError> {
        if self.router_id != router_id(&self.key) {
            return Err(ItemError::Invalid("the router-id is not the key's"));
        }
        if !Certificate::is_name(&self.name) || !Certificate::is_name(&self.holder) {
            return Err(ItemError::Invalid(
                "a name is 1 to 63 of a-z, 0-9, - and ., with a letter or digit at both ends",
            ));
        }
        check_list(&self.originate)?;
        check_list(&self.delegate)?;
        if self.not_before >= self.not_after || self.not_after > self.grace_until {
            return Err(ItemError::Invalid("the validity ends before it begins"));
        }
        if self.sign == self.issuer {
            return Err(ItemError::Invalid("nobody certifies itself"));
        }
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
    use proptest::prelude::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed([seed; 32])
    }

    fn p(text: &str) -> Prefix {
        text.parse().expect("prefix")
    }

    const EXIT: Roles = Roles { exit: true, broker: false, transit: true };

    fn broker() -> Certificate {
        let x25519 = PublicKey([10; 32]);
        Certificate {
            network: fingerprint(&key(1).verify_key()),
            serial: 1,
            issuer: key(1).verify_key(),
            key: x25519,
            sign: key(2).verify_key(),
            router_id: router_id(&x25519),
            name: "vm".into(),
            holder: "altermundi".into(),
            originate: vec![p("2001:db8:4800::/40")],
            delegate: vec![p("2001:db8:4800::/40")],
            roles: Roles { broker: true, ..EXIT },
            grantable: EXIT,
            not_before: UnixTime::from_secs(1_780_000_000),
            not_after: UnixTime::from_secs(1_800_000_000),
            grace_until: UnixTime::from_secs(1_810_000_000),
            routes: 64,
            children: 1000,
        }
    }

    fn node() -> Certificate {
        let x25519 = PublicKey([11; 32]);
        Certificate {
            serial: 7,
            issuer: key(2).verify_key(),
            key: x25519,
            sign: key(3).verify_key(),
            router_id: router_id(&x25519),
            name: "quintana".into(),
            holder: "quintana-libre".into(),
            originate: vec![p("2001:db8:4812::/48")],
            delegate: vec![p("2001:db8:4812:8000::/49")],
            roles: Roles { transit: true, ..Roles::NONE },
            grantable: Roles::NONE,
            children: 0,
            ..broker()
        }
    }

    #[test]
    fn the_golden_certificate_does_not_change() {
        let signed = Signed::sign(node(), &key(2)).expect("sign");
        assert_eq!(Hex(signed.bytes()).to_string(), include_str!("../tests/golden/certificate.hex").trim());
        let read = Signed::<Certificate>::decode(signed.bytes()).and_then(|read| read.verify_named());
        assert_eq!(*read.expect("read"), node());
    }

    #[test]
    fn a_chain_within_its_issuers_holds() {
        assert_eq!(broker().check_issued_by_root(), Ok(()));
        assert_eq!(node().check_issued(&broker()), Ok(()));
    }

    #[test]
    fn each_step_beyond_the_issuer_is_named() {
        let with = |change: fn(&mut Certificate)| {
            let mut child = node();
            change(&mut child);
            child.check_issued(&broker())
        };
        let outside = p("2001:db8:4900::/48");
        assert_eq!(
            with(|c| c.originate = vec![p("2001:db8:4900::/48")]),
            Err(ChainError::Originate(outside))
        );
        assert_eq!(
            with(|c| c.originate = vec![p("2001:db8::/32")]),
            Err(ChainError::Originate(p("2001:db8::/32")))
        );
        assert_eq!(with(|c| c.delegate = vec![p("2001:db8:4900::/48")]), Err(ChainError::Delegate(outside)));
        assert_eq!(with(|c| c.roles.exit = true), Ok(()), "the root let this broker make exits");
        assert_eq!(with(|c| c.roles.broker = true), Err(ChainError::Roles));
        assert_eq!(with(|c| c.grantable.transit = true), Ok(()));
        assert_eq!(with(|c| c.grantable.exit = true), Err(ChainError::Grantable));
        assert_eq!(with(|c| c.grace_until = UnixTime::from_secs(1_810_000_001)), Err(ChainError::Outlives));
        assert_eq!(with(|c| c.issuer = key(9).verify_key()), Err(ChainError::Issuer));
        assert_eq!(with(|c| c.network = Fingerprint([0; 32])), Err(ChainError::Network));
        let barren = Certificate { children: 0, ..broker() };
        assert_eq!(node().check_issued(&barren), Err(ChainError::Children));
    }

    #[test]
    fn only_the_root_makes_roles_grantable_and_only_for_a_broker() {
        let mut exit = broker();
        exit.roles.broker = false;
        assert_eq!(exit.check_issued_by_root(), Err(ChainError::Grantable));
        let elsewhere = Certificate { issuer: key(9).verify_key(), ..broker() };
        assert_eq!(elsewhere.check_issued_by_root(), Err(ChainError::Network));
    }

    #[test]
    fn fields_out_of_range_are_refused() {
        let refused = |change: fn(&mut Certificate)| {
            let mut value = node();
            change(&mut value);
            matches!(Signed::sign(value, &key(2)), Err(ItemError::Invalid(_)))
        };
        assert!(refused(|c| c.router_id = RouterId([1; 8])));
        assert!(refused(|c| c.name = "Quintana".into()));
        assert!(refused(|c| c.name = String::new()));
        assert!(refused(|c| c.name = "-a".into()));
        assert!(refused(|c| c.holder = "a".repeat(64)));
        assert!(refused(|c| c.originate = vec![Prefix::ALL]));
        assert!(refused(|c| c.delegate = vec![p("fe80::/64")]));
        assert!(refused(|c| c.originate = vec![p("2001:db8::/48"), p("2001:db8::/56")]));
        assert!(refused(|c| c.originate = vec![p("2001:db8:1::/48"), p("2001:db8::/48")]));
        assert!(refused(|c| c.not_after = c.not_before));
        assert!(refused(|c| c.grace_until = c.not_before));
        assert!(refused(|c| c.sign = c.issuer));
        assert!(refused(|c| c.originate = (0..65).filter_map(|n| p("2001:db8::/32").part(64, n)).collect()));
    }

    #[test]
    fn a_certificate_that_fits_no_message_is_not_signed() {
        let many = (0..64).filter_map(|n| p("2001:db8:4800::/40").part(128, n << 64)).collect();
        let value = Certificate { originate: many, ..node() };
        assert!(matches!(Signed::sign(value, &key(2)), Err(ItemError::TooLarge(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_bytes_panic_a_decoder(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..400, to: u8) {
            let _ = Signed::<Certificate>::decode(&bytes);
            let mut nearly = Signed::sign(node(), &key(2)).expect("sign").bytes().to_vec();
            let at = at % nearly.len();
            nearly[at] = to;
            let _ = Signed::<Certificate>::decode(&nearly).and_then(|read| read.verify_named());
        }
    }
}
