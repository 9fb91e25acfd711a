//! A broker's desk as small as it can be: it signs for whoever knows the secret.

use ln6_crypto::{
    Certificate, Head, Reason, Revocation, Revoked, Roles, Signed, SigningKey, fingerprint, keys::router_id,
};
use ln6_overlay_core::control::message::{Item, ItemKind, JoinReply, JoinRequest};
use ln6_types::{Fingerprint, Prefix, PublicKey, UnixTime, VerifyKey};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Certificates begin before they are signed, so that clocks may differ a little.
const LEEWAY: Duration = Duration::from_secs(3600);

/// What a broker's node needs of whatever keeps the registry.
pub trait Desk {
    /// What the broker's own control has to know from the start.
    fn beginning(&mut self, wall: UnixTime) -> Vec<Item>;
    /// A request to join or to renew: the answer, and what is to be published before it.
    fn request(&mut self, wall: UnixTime, from: PublicKey, request: &JoinRequest) -> (JoinReply, Vec<Item>);
    /// A holder gives its prefix back.
    fn left(&mut self, wall: UnixTime, from: PublicKey) -> Vec<Item>;
    /// An administrator takes a key's rights away.
    fn revoke(&mut self, wall: UnixTime, key: PublicKey, reason: Reason) -> Vec<Item>;
}

struct Grant {
    prefix: Prefix,
    sign: VerifyKey,
    name: String,
    serial: u64,
    bytes: Vec<u8>,
}

/// Signs for everyone with the right secret: /48s of one pool, in the order of asking.
pub struct Issuer {
    root: SigningKey,
    signing: SigningKey,
    key: PublicKey,
    network: Fingerprint,
    pool: Prefix,
    secret: Option<[u8; 16]>,
    /// How long certificates last, and the grace after that.
    pub life: (Duration, Duration),
    /// What roles joining nodes get.
    pub roles: Roles,
    grants: BTreeMap<PublicKey, Grant>,
    serials: u64,
    revocations: u64,
    revoked: BTreeSet<PublicKey>,
}

impl Issuer {
    /// An issuer for the broker with these keys. Without `secret` everybody waits.
    pub fn new(
        root: SigningKey,
        signing: SigningKey,
        key: PublicKey,
        pool: Prefix,
        secret: Option<[u8; 16]>,
    ) -> Self {
        let network = fingerprint(&root.verify_key());
        let day = Duration::from_secs(86_400);
        Issuer {
            root,
            signing,
            key,
            network,
            pool,
            secret,
            life: (90 * day, 30 * day),
            roles: Roles { transit: true, ..Roles::NONE },
            grants: BTreeMap::new(),
            serials: 0,
            revocations: 0,
            revoked: BTreeSet::new(),
        }
    }

    /// The network's fingerprint.
    pub fn network(&self) -> Fingerprint {
        self.network
    }

    fn certificate(&self, wall: UnixTime) -> Certificate {
        let year = Duration::from_secs(365 * 86_400);
        Certificate {
            network: self.network,
            serial: 1,
            issuer: self.root.verify_key(),
            key: self.key,
            sign: self.signing.verify_key(),
            router_id: router_id(&self.key),
            name: "broker".into(),
            holder: "broker".into(),
            originate: self.pool.part(48, 0).into_iter().collect(),
            delegate: vec![self.pool],
            roles: Roles { exit: true, broker: true, transit: true },
            grantable: Roles { exit: true, broker: false, transit: true },
            not_before: wall - LEEWAY,
            not_after: wall + year,
            grace_until: wall + 2 * year,
            routes: 100,
            children: 10_000,
        }
    }

    fn sign(&mut self, wall: UnixTime, from: PublicKey, request: &JoinRequest) -> Vec<u8> {
        self.serials += 1;
        let free = self.pool.part(48, self.grants.len() as u128 + 1).expect("room in the pool");
        let prefix = self.grants.get(&from).map_or(free, |grant| grant.prefix);
        let certificate = Certificate {
            network: self.network,
            serial: self.serials,
            issuer: self.signing.verify_key(),
            key: from,
            sign: request.sign,
            router_id: router_id(&from),
            name: request.name.clone(),
            holder: request.name.clone(),
            originate: vec![prefix],
            delegate: Vec::new(),
            roles: self.roles,
            grantable: Roles::NONE,
            not_before: wall - LEEWAY,
            not_after: wall + self.life.0,
            grace_until: wall + self.life.0 + self.life.1,
            routes: 16,
            children: 0,
        };
        let signed = Signed::sign(certificate, &self.signing).expect("a small certificate");
        let bytes = signed.bytes().to_vec();
        let (sign, name, serial) = (request.sign, request.name.clone(), self.serials);
        self.grants.insert(from, Grant { prefix, sign, name, serial, bytes: bytes.clone() });
        bytes
    }

    fn head(&self, wall: UnixTime) -> Item {
        let head = Head {
            network: self.network,
            issuer: self.signing.verify_key(),
            at: wall,
            last: self.revocations,
            certificates: self.serials,
        };
        let signed = Signed::sign(head, &self.signing).expect("a small head");
        Item { kind: ItemKind::Head, bytes: signed.bytes().clone() }
    }

    fn root_certificate(&self, wall: UnixTime) -> Item {
        let signed = Signed::sign(self.certificate(wall), &self.root).expect("a small certificate");
        Item { kind: ItemKind::Certificate, bytes: signed.bytes().clone() }
    }

    /// The prefix a key was given, by the order of asking.
    pub fn prefix_of(&self, key: &PublicKey) -> Option<Prefix> {
        Some(self.grants.get(key)?.prefix)
    }

    /// Gives what another issuer gave, under the first numbers of another epoch.
    pub fn adopt(&mut self, given: &Certificate) -> Item {
        self.serials = self.serials.max(1 << 32) + 1;
        let certificate =
            Certificate { serial: self.serials, issuer: self.signing.verify_key(), ..given.clone() };
        let signed = Signed::sign(certificate, &self.signing).expect("a small certificate");
        let (prefix, sign, name) = (given.originate[0], given.sign, given.name.clone());
        let grant = Grant { prefix, sign, name, serial: self.serials, bytes: signed.bytes().to_vec() };
        self.grants.insert(given.key, grant);
        Item { kind: ItemKind::Certificate, bytes: signed.bytes().clone() }
    }

    /// Another certificate of its own, of these pools as well.
    pub fn recertified(&mut self, wall: UnixTime, pools: &[Prefix], serial: u64) -> Item {
        let mut own = Certificate { serial, ..self.certificate(wall) };
        own.delegate.extend(pools);
        own.delegate.sort_unstable();
        let signed = Signed::sign(own, &self.root).expect("a small certificate");
        Item { kind: ItemKind::Certificate, bytes: signed.bytes().clone() }
    }

    /// The name and serial of a key's certificate.
    pub fn grant_of(&self, key: &PublicKey) -> Option<(&str, u64)> {
        self.grants.get(key).map(|grant| (&*grant.name, grant.serial))
    }
}

impl Desk for Issuer {
    fn beginning(&mut self, wall: UnixTime) -> Vec<Item> {
        vec![self.root_certificate(wall), self.head(wall)]
    }

    fn request(&mut self, wall: UnixTime, from: PublicKey, request: &JoinRequest) -> (JoinReply, Vec<Item>) {
        let known = self.grants.get(&from).map(|grant| (grant.sign, grant.bytes.clone()));
        let renewal = known.is_some() && request.secret.is_none();
        let admitted = renewal || request.secret.is_some() && request.secret == self.secret;
        if self.revoked.contains(&from) {
            let (code, text) = ("revoked".into(), "an administrator revoked this key".into());
            return (JoinReply::Refused { code, text, retry_secs: Some(60) }, Vec::new());
        }
        if !request.proves(&from) || known.as_ref().is_some_and(|(sign, _)| *sign != request.sign) {
            let (code, text) = ("bad-proof".into(), "the proof does not hold".into());
            return (JoinReply::Refused { code, text, retry_secs: None }, Vec::new());
        }
        if !admitted {
            let reply = JoinReply::Waiting { place: 1, retry_secs: 10, fingerprint: String::new() };
            return (reply, Vec::new());
        }
        // The same key and secret always get the same answer.
        let own = match known {
            Some((_, bytes)) if !renewal => bytes,
            _ => self.sign(wall, from, request),
        };
        let item = Item { kind: ItemKind::Certificate, bytes: own.clone().into() };
        (JoinReply::Granted { chain: vec![own] }, vec![item, self.head(wall)])
    }

    fn left(&mut self, wall: UnixTime, from: PublicKey) -> Vec<Item> {
        self.revoke(wall, from, Reason::Left)
    }

    fn revoke(&mut self, wall: UnixTime, key: PublicKey, reason: Reason) -> Vec<Item> {
        self.revocations += 1;
        self.revoked.insert(key);
        let what = Revoked::Key(key);
        let (network, issuer, number) = (self.network, self.signing.verify_key(), self.revocations);
        let revocation = Revocation { network, issuer, number, what, at: wall, reason };
        let signed = Signed::sign(revocation, &self.signing).expect("a small revocation");
        vec![Item { kind: ItemKind::Revocation, bytes: signed.bytes().clone() }, self.head(wall)]
    }
}
