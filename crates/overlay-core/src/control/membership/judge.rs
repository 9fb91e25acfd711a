//! Who holds what at a given moment, and whether a route may be believed.
//!
//! Nothing here is cached: each answer walks the chain (at most four steps) as it stands now, so no clock step, renewal
//! or revocation can leave a stale right behind.

use super::Membership;
use ln6_crypto::{Certificate, Reason, Signed};
use ln6_types::{Prefix, PublicKey, RouterId, UnixTime};
use thiserror::Error;

/// The longest way from the root: broker, node, sub-delegation, and one more.
pub(super) const MAX_DEPTH: u8 = 4;

/// How a certificate stands. Ordered from best to worst: a key is as good as its best certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertificateStatus {
    /// In force.
    Live,
    /// In force, but its renewal is overdue.
    InGrace,
    /// It has not begun.
    NotYet,
    /// Taken back for now.
    Suspended,
    /// Its grace is over.
    Expired,
    /// Taken back for good.
    Revoked,
    /// There is none, or none whose issuer could give it.
    Unknown,
}

impl CertificateStatus {
    /// Whether rights hold.
    pub const fn holds(self) -> bool {
        matches!(self, CertificateStatus::Live | CertificateStatus::InGrace)
    }
}

/// Why a route is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OriginRefusal {
    /// No certificate of this router-id has arrived: hold the route and ask its sender.
    #[error("no certificate of this router-id is known yet")]
    UnknownRouter,
    /// Its certificate has not begun.
    #[error("its certificate has not begun")]
    NotYet,
    /// The grace of the certificate that covered it is over.
    #[error("its certificate has expired")]
    Expired,
    /// Taken back for now.
    #[error("its certificate is suspended")]
    Suspended,
    /// Taken back for good.
    #[error("its certificate is revoked")]
    Revoked,
    /// No live certificate of this router covers the prefix.
    #[error("the prefix is not its own")]
    NotYours,
    /// Its certificate covers the prefix, but this part of it was delegated to another.
    #[error("{0} was delegated to another")]
    DelegatedAway(Prefix),
    /// A default route for every source.
    #[error("a default route names the sources it is for")]
    DefaultForAll,
    /// A default route from a node without the role.
    #[error("it is not an exit")]
    ExitRole,
    /// A default route for sources that this exit does not serve.
    #[error("the sources are outside the pools it serves")]
    SourceNotServed,
    /// An address in the part that node addresses are derived in, and not this router's.
    #[error("this node address belongs to another key")]
    NodeAddressNotYours,
}

impl OriginRefusal {
    /// A stable word for counters and logs.
    pub const fn code(&self) -> &'static str {
        match self {
            OriginRefusal::UnknownRouter => "unknown-router",
            OriginRefusal::NotYet => "not-yet",
            OriginRefusal::Expired => "expired",
            OriginRefusal::Suspended => "suspended",
            OriginRefusal::Revoked => "revoked",
            OriginRefusal::NotYours => "not-yours",
            OriginRefusal::DelegatedAway(_) => "delegated-away",
            OriginRefusal::DefaultForAll => "default-for-all",
            OriginRefusal::ExitRole => "exit-role",
            OriginRefusal::SourceNotServed => "source-not-served",
            OriginRefusal::NodeAddressNotYours => "node-address-not-yours",
        }
    }

    /// Why a certificate of this status carries no route; `None` if it does.
    fn of(status: CertificateStatus) -> Option<Self> {
        match status {
            CertificateStatus::Live | CertificateStatus::InGrace => None,
            CertificateStatus::NotYet => Some(OriginRefusal::NotYet),
            CertificateStatus::Suspended => Some(OriginRefusal::Suspended),
            CertificateStatus::Expired => Some(OriginRefusal::Expired),
            CertificateStatus::Revoked => Some(OriginRefusal::Revoked),
            CertificateStatus::Unknown => Some(OriginRefusal::UnknownRouter),
        }
    }
}

/// The keys below the certificate that is looked at, on the way from the one that was asked about.
struct Below<'a> {
    key: PublicKey,
    next: Option<&'a Below<'a>>,
}

fn time_status(certificate: &Certificate, wall: UnixTime) -> CertificateStatus {
    if wall < certificate.not_before {
        CertificateStatus::NotYet
    } else if wall < certificate.not_after {
        CertificateStatus::Live
    } else if wall < certificate.grace_until {
        CertificateStatus::InGrace
    } else {
        CertificateStatus::Expired
    }
}

impl Membership {
    /// How `key` stands: as its best certificate does.
    pub fn status(&self, key: &PublicKey, wall: UnixTime) -> CertificateStatus {
        let statuses = self.in_force(key, wall).map(|(_, certificate)| self.standing(certificate, wall));
        statuses.min().unwrap_or(CertificateStatus::Unknown)
    }

    /// The certificate by which `key` is a member now: of several, the one nearest to the root.
    pub fn live(&self, key: &PublicKey, wall: UnixTime) -> Option<&Certificate> {
        self.live_signed(key, wall).map(Signed::value)
    }

    pub(super) fn live_signed(&self, key: &PublicKey, wall: UnixTime) -> Option<&Signed<Certificate>> {
        let holding = self.in_force(key, wall).filter(|(_, c)| self.standing(c, wall).holds());
        holding
            .min_by_key(|(depth, certificate)| (*depth, certificate.issuer))
            .map(|(_, certificate)| certificate)
    }

    /// All certificates by which `key` has rights now: one for each issuer that gave it any.
    pub fn live_all(&self, key: &PublicKey, wall: UnixTime) -> impl Iterator<Item = &Certificate> {
        let holding = self.in_force(key, wall).filter(move |(_, c)| self.standing(c, wall).holds());
        holding.map(|(_, certificate)| certificate.value())
    }

    /// The keys of all members now.
    pub fn members(&self, wall: UnixTime) -> impl Iterator<Item = PublicKey> {
        self.grants.keys().copied().filter(move |key| self.status(key, wall).holds())
    }

    /// The keys of all brokers now.
    pub fn brokers(&self, wall: UnixTime) -> impl Iterator<Item = PublicKey> {
        self.members(wall).filter(move |key| self.live_all(key, wall).any(|c| c.roles.broker))
    }

    fn in_force(&self, key: &PublicKey, wall: UnixTime) -> impl Iterator<Item = (u8, &Signed<Certificate>)> {
        let grants = self.grants.get(key).into_iter().flat_map(|by_issuer| by_issuer.values());
        grants.filter_map(move |grants| Some((grants.depth, grants.in_force(wall)?)))
    }

    /// How one certificate stands, its issuers included.
    fn standing(&self, certificate: &Certificate, wall: UnixTime) -> CertificateStatus {
        self.walk(certificate, wall, None, 1)
    }

    fn walk(&self, c: &Certificate, wall: UnixTime, next: Option<&Below<'_>>, step: u8) -> CertificateStatus {
        let below = Below { key: c.key, next };
        if let Some(reason) = self.taken_back(c, &below) {
            return if reason == Reason::Suspended {
                CertificateStatus::Suspended
            } else {
                CertificateStatus::Revoked
            };
        }
        let own = time_status(c, wall);
        if !own.holds() || self.is_root(&c.issuer) {
            return own;
        }
        if step >= MAX_DEPTH {
            return CertificateStatus::Unknown;
        }
        let above = self.parents(c, wall).map(|parent| self.walk(parent, wall, Some(&below), step + 1)).min();
        match above {
            Some(above) if above.holds() => own,
            Some(above) => above,
            None => CertificateStatus::Unknown,
        }
    }

    /// Whether the issuer of `c` took back the certificate or its key.
    pub(super) fn is_taken_back(&self, c: &Certificate) -> bool {
        self.taken_back(c, &Below { key: c.key, next: None }).is_some()
    }

    /// Whether the issuer of `c` took it back, or any key on the way down from it.
    fn taken_back(&self, c: &Certificate, below: &Below<'_>) -> Option<Reason> {
        let issuer = self.issuers.get(&c.issuer)?;
        let mut key = Some(below);
        let keys = core::iter::from_fn(|| {
            let this = key?;
            key = this.next;
            Some(this.key)
        });
        let reasons = issuer
            .revoked_serial(c.serial)
            .into_iter()
            .chain(keys.filter_map(|key| issuer.revoked_key(&key)));
        reasons.max_by_key(|reason| *reason != Reason::Suspended)
    }

    /// Certificates in force that could have signed `child`.
    fn parents(&self, child: &Certificate, wall: UnixTime) -> impl Iterator<Item = &Signed<Certificate>> {
        let key = self.by_sign.get(&child.issuer).map(|(key, _)| *key);
        let candidates = key.into_iter().flat_map(move |key| self.in_force(&key, wall).collect::<Vec<_>>());
        candidates.map(|(_, parent)| parent).filter(|parent| child.check_issued(parent).is_ok())
    }

    /// The chain from the root's child down to the certificate of `key` that [`live`](Self::live) names.
    pub fn chain(&self, key: &PublicKey, wall: UnixTime) -> Vec<&Signed<Certificate>> {
        let mut chain = Vec::new();
        let mut next = self.live_signed(key, wall);
        while let Some(certificate) = next.filter(|_| chain.len() < usize::from(MAX_DEPTH)) {
            chain.push(certificate);
            next = self.parents(certificate, wall).find(|parent| self.standing(parent, wall).holds());
        }
        chain.reverse();
        chain
    }

    /// Every prefix that a live certificate names, with its key; sorted. Several keys may hold the same prefix. Node
    /// addresses are not in it.
    pub fn owners(&self, wall: UnixTime) -> Vec<(Prefix, PublicKey)> {
        let mut owners = Vec::new();
        for key in self.grants.keys() {
            for certificate in self.live_all(key, wall) {
                owners.extend(certificate.originate.iter().map(|prefix| (*prefix, *key)));
            }
        }
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// The longest live certified prefix that covers `target`, and its keys (sorted). Node addresses are not looked at.
    pub fn owner_of_longest(&self, target: Prefix, wall: UnixTime) -> Option<(Prefix, Vec<PublicKey>)> {
        let lengths = self.origins.lengths().filter(|length| *length <= target.len());
        lengths.map(|length| Prefix::new(target.network(), length)).find_map(|prefix| {
            let mut keys: Vec<PublicKey> = self
                .origins
                .of(prefix)
                .filter(|(key, issuer)| {
                    let grants = self.grants.get(key).and_then(|by_issuer| by_issuer.get(issuer));
                    let certificate = grants.and_then(|grants| grants.in_force(wall));
                    certificate
                        .is_some_and(|c| c.originate.contains(&prefix) && self.standing(c, wall).holds())
                })
                .map(|(key, _)| key)
                .collect();
            keys.sort_unstable();
            keys.dedup();
            (!keys.is_empty()).then_some((prefix, keys))
        })
    }

    /// Whether a route to `dst` from `src`, originated by `router`, may be believed now.
    ///
    /// It may if the router is among the keys of the longest live certificate that covers `dst`; its own node address
    /// always; `::/0` only as an exit, from within the pools it serves (DESIGN 6).
    pub fn judge(
        &self,
        router: RouterId,
        dst: Prefix,
        src: Prefix,
        wall: UnixTime,
    ) -> Result<(), OriginRefusal> {
        let key = self.by_router(router).ok_or(OriginRefusal::UnknownRouter)?;
        if let Some(refusal) = OriginRefusal::of(self.status(&key, wall)) {
            return Err(refusal);
        }
        if dst.is_default() {
            return self.judge_exit(&key, src, wall);
        }
        if dst.overlaps(self.node_space) {
            let own = Prefix::host(self.ula.node_address(&router));
            return if dst == own { Ok(()) } else { Err(OriginRefusal::NodeAddressNotYours) };
        }
        match self.owner_of_longest(dst, wall) {
            Some((_, keys)) if keys.contains(&key) => Ok(()),
            Some((part, _)) if self.live_all(&key, wall).any(|c| c.may_originate(dst)) => {
                Err(OriginRefusal::DelegatedAway(part))
            }
            _ => Err(self.lost(&key, dst, wall)),
        }
    }

    /// Why a member has no right to `dst`: the certificate that gave it may have ended while another goes on.
    fn lost(&self, key: &PublicKey, dst: Prefix, wall: UnixTime) -> OriginRefusal {
        let covering = self.in_force(key, wall).filter(|(_, c)| c.may_originate(dst));
        let best = covering.map(|(_, c)| self.standing(c, wall)).min();
        match best.and_then(OriginRefusal::of) {
            None | Some(OriginRefusal::UnknownRouter) => OriginRefusal::NotYours,
            Some(refusal) => refusal,
        }
    }

    fn judge_exit(&self, key: &PublicKey, src: Prefix, wall: UnixTime) -> Result<(), OriginRefusal> {
        if src.is_default() {
            return Err(OriginRefusal::DefaultForAll);
        }
        let mut exits = self.live_all(key, wall).filter(|c| c.roles.exit).peekable();
        if exits.peek().is_none() {
            return Err(OriginRefusal::ExitRole);
        }
        let serves = |exit: &Certificate| {
            let own = exit.may_delegate(src) || exit.may_originate(src);
            own || self.parents(exit, wall).any(|parent| parent.may_delegate(src))
        };
        if exits.any(serves) { Ok(()) } else { Err(OriginRefusal::SourceNotServed) }
    }
}
