//! From the registry's records to signed statements. Signing the same record always gives the same octets, so they need
//! not be stored.

use ln6_crypto::canonical::Statement;
use ln6_crypto::{
    Certificate, ChainError, Head, ItemError, Reason, Revocation, Revoked, Roles, Signed, SigningKey,
    router_id,
};
use ln6_registry::{Cause, Event, Issue, Registry, What};
use ln6_types::{Fingerprint, UnixTime};
use thiserror::Error;

/// The most routes a node may originate.
const ROUTES: u16 = 64;
/// The most revocations sent along with an answer; gossip brings the others.
const RECENT: usize = 32;

/// Why something cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IssueError {
    /// It goes beyond the broker's own certificate.
    #[error("the broker's own certificate does not allow it: {0}")]
    Chain(#[from] ChainError),
    /// No decoder would take it.
    #[error("it cannot be written: {0}")]
    Item(#[from] ItemError),
    /// The broker's certificate ends first.
    #[error("the broker's own certificate has ended; the root key must sign a new one")]
    Ended,
    /// The signing key is not the one in the certificate.
    #[error("the signing key does not belong to the broker's certificate")]
    OtherKey,
}

/// Signed statements to be spread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statements {
    /// Certificates, each alone (its issuer's is the broker's own).
    pub certificates: Vec<Vec<u8>>,
    /// Revocations, by number.
    pub revocations: Vec<Vec<u8>>,
    /// The dated head that counts them.
    pub head: Option<Vec<u8>>,
}

/// The broker's hand: its signing key and its own certificate.
#[derive(Debug)]
pub struct Issuer {
    key: SigningKey,
    own: Signed<Certificate>,
    /// Certificates between the root and `own`, if the root did not sign it: nearest first.
    above: Vec<Vec<u8>>,
}

impl Issuer {
    /// A broker with this key and certificate; `above` are the certificates between it and the root, nearest first.
    pub fn new(key: SigningKey, own: Signed<Certificate>, above: Vec<Vec<u8>>) -> Result<Self, IssueError> {
        if own.value().sign != key.verify_key() {
            return Err(IssueError::OtherKey);
        }
        Ok(Issuer { key, own, above })
    }

    /// The network it signs for.
    pub fn network(&self) -> Fingerprint {
        self.own.value().network
    }

    /// The broker's own certificate.
    pub fn own(&self) -> &Signed<Certificate> {
        &self.own
    }

    /// The certificate behind a record, never beyond what the broker holds itself.
    pub fn certificate(&self, issue: &Issue) -> Result<Signed<Certificate>, IssueError> {
        let own = self.own.value();
        let grace_until = issue.grace_until.min(own.grace_until);
        if issue.not_before >= grace_until {
            return Err(IssueError::Ended);
        }
        let roles =
            Roles { exit: issue.roles.exit, broker: issue.roles.broker, transit: issue.roles.transit };
        let certificate = Certificate {
            network: own.network,
            serial: issue.serial,
            issuer: self.key.verify_key(),
            key: issue.key,
            sign: issue.sign,
            router_id: router_id(&issue.key),
            name: issue.name.clone(),
            holder: issue.holder.clone(),
            originate: issue.prefixes.clone(),
            delegate: issue.pools.clone(),
            roles,
            grantable: Roles::NONE,
            not_before: issue.not_before,
            not_after: issue.not_after.min(grace_until),
            grace_until,
            routes: ROUTES,
            children: 0,
        };
        certificate.check_issued(own)?;
        Ok(Signed::sign(certificate, &self.key)?)
    }

    /// A certificate and what leads to the root: the node's, the broker's, and any between.
    pub fn chain(&self, issue: &Issue) -> Result<Vec<Vec<u8>>, IssueError> {
        let leaf = octets(&self.certificate(issue)?);
        Ok([leaf, octets(&self.own)].into_iter().chain(self.above.iter().cloned()).collect())
    }

    /// A signed revocation.
    pub fn revocation(&self, record: &ln6_registry::Revocation) -> Result<Vec<u8>, IssueError> {
        let what = match record.what {
            ln6_registry::Revoked::Serial(serial) => Revoked::Serial(serial),
            ln6_registry::Revoked::Key(key) => Revoked::Key(key),
        };
        let reason = match record.cause {
            Cause::Suspended => Reason::Suspended,
            Cause::Revoked => Reason::Revoked,
            Cause::Replaced => Reason::Replaced,
            Cause::Left => Reason::Left,
        };
        let issuer = self.key.verify_key();
        let (number, at) = (record.number, record.at);
        let revocation = Revocation { network: self.network(), issuer, number, what, at, reason };
        Ok(octets(&Signed::sign(revocation, &self.key)?))
    }

    /// How much has been signed until now.
    pub fn head(&self, at: UnixTime, registry: &Registry) -> Result<Vec<u8>, IssueError> {
        let last = registry.revocations().last().map_or(0, |revocation| revocation.number);
        let (network, issuer) = (self.network(), self.key.verify_key());
        let head = Head { network, issuer, at, last, certificates: registry.last_serial() };
        Ok(octets(&Signed::sign(head, &self.key)?))
    }

    /// What these events put into the world, signed; without a head.
    pub fn statements_of(&self, events: &[Event]) -> Result<Statements, IssueError> {
        let mut statements = Statements::default();
        for event in events {
            match &event.what {
                What::Issued(issue) => statements.certificates.push(octets(&self.certificate(issue)?)),
                What::Revocation(revocation) => statements.revocations.push(self.revocation(revocation)?),
                _ => {}
            }
        }
        Ok(statements)
    }

    /// Everything in force at `at`: for a node that has just started.
    pub fn statements(&self, at: UnixTime, registry: &Registry) -> Result<Statements, IssueError> {
        let live = registry.certificates().filter(|issue| issue.grace_until > at);
        // A broker certificate that was replaced by a narrower one leaves out what it no longer covers.
        let certificates =
            live.filter_map(|issue| self.certificate(issue).ok().map(|signed| octets(&signed)));
        let certificates = certificates.collect();
        let told = registry.revocations().iter().map(|revocation| self.revocation(revocation));
        Ok(Statements {
            certificates,
            revocations: told.collect::<Result<_, _>>()?,
            head: Some(self.head(at, registry)?),
        })
    }

    /// The newest revocations, to go along with an answer.
    pub(crate) fn recent(&self, registry: &Registry) -> Result<Vec<Vec<u8>>, IssueError> {
        let all = registry.revocations();
        all[all.len().saturating_sub(RECENT)..].iter().map(|revocation| self.revocation(revocation)).collect()
    }
}

fn octets<T: Statement>(signed: &Signed<T>) -> Vec<u8> {
    signed.bytes().to_vec()
}
