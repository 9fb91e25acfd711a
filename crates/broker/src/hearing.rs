//! What members bring back of statements that were signed before: by this broker, whose registry may come from a backup, or by
//! one that it succeeds.

use crate::issue::Issuer;
use ln6_crypto::{Certificate, Head, Reason, Revocation, Revoked};
use ln6_registry::{Cause, Issue, Roles, Seen};
use ln6_types::{PublicKey, UnixTime};

/// What was heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Of this broker's own statements; `None` if its registry is whole.
    pub own: Option<Seen>,
    /// Of brokers that it succeeds, by their keys.
    pub predecessors: Vec<(PublicKey, Seen)>,
}

/// Signed statements of one issuer as a registry writes them down.
pub fn seen<'s>(
    certificates: impl IntoIterator<Item = &'s Certificate>,
    revocations: impl IntoIterator<Item = &'s Revocation>,
    head: Option<&Head>,
) -> Seen {
    let certificates: Vec<Issue> = certificates.into_iter().map(issue).collect();
    let until = |what: Revoked| {
        let named = certificates.iter().filter(|issue| match what {
            Revoked::Serial(serial) => issue.serial == serial,
            Revoked::Key(key) => issue.key == key,
        });
        named.map(|issue| issue.grace_until).max()
    };
    let revocations: Vec<ln6_registry::Revocation> =
        revocations.into_iter().map(|signed| revocation(signed, until(signed.what))).collect();
    let serials = certificates.iter().map(|issue| issue.serial);
    let numbers = revocations.iter().map(|revocation| revocation.number);
    let counted = head.into_iter().flat_map(|head| [head.certificates, head.last]);
    let highest = serials.chain(numbers).chain(counted).max().unwrap_or(0);
    Seen { highest, certificates, revocations }
}

fn issue(certificate: &Certificate) -> Issue {
    let roles = certificate.roles;
    Issue {
        serial: certificate.serial,
        key: certificate.key,
        sign: certificate.sign,
        name: certificate.name.clone(),
        holder: certificate.holder.clone(),
        prefixes: certificate.originate.clone(),
        pools: certificate.delegate.clone(),
        roles: Roles { exit: roles.exit, broker: roles.broker, transit: roles.transit },
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        grace_until: certificate.grace_until,
    }
}

fn revocation(signed: &Revocation, until: Option<UnixTime>) -> ln6_registry::Revocation {
    let what = match signed.what {
        Revoked::Serial(serial) => ln6_registry::Revoked::Serial(serial),
        Revoked::Key(key) => ln6_registry::Revoked::Key(key),
    };
    let cause = match signed.reason {
        Reason::Suspended => Cause::Suspended,
        Reason::Revoked => Cause::Revoked,
        Reason::Replaced => Cause::Replaced,
        Reason::Left => Cause::Left,
    };
    let (number, at) = (signed.number, signed.at);
    ln6_registry::Revocation { number, what, cause, at, until: until.unwrap_or(at) }
}

impl Issuer {
    /// Of what this broker signed, all that it could sign again: the rest lies outside what the root gives it now, and nobody
    /// believes in it any more.
    pub(crate) fn sift(&self, seen: &Seen) -> Seen {
        let signable = |issue: &&Issue| self.certificate(issue).is_ok();
        Seen { certificates: seen.certificates.iter().filter(signable).cloned().collect(), ..seen.clone() }
    }

    /// Of what a predecessor signed, all that this broker can give in its place. Its own part comes from the root.
    pub(crate) fn sift_predecessor(&self, seen: &Seen) -> Seen {
        let own = self.own().value();
        let fit = |issue: &Issue| {
            let mut issue = issue.clone();
            issue.prefixes.retain(|prefix| own.may_delegate(*prefix));
            issue.pools.retain(|pool| own.may_delegate(*pool));
            issue.roles.exit &= own.grantable.exit;
            issue.roles.transit &= own.grantable.transit;
            let fits = !issue.prefixes.is_empty() && issue.key != own.key && self.certificate(&issue).is_ok();
            fits.then_some(issue)
        };
        Seen { certificates: seen.certificates.iter().filter_map(fit).collect(), ..seen.clone() }
    }
}
