//! A registry that may know less than the network: it comes from a backup, or its broker succeeds another. Nothing is given
//! before members have told what they know (docs/decisions/0019-root-key-and-several-issuers.md).

use super::broker::{Answer, Broker};
use super::setup::BrokerParts;
use crate::schema::{Problem, Severity};
use ln6_broker::{Heard, Refused, seen};
use ln6_crypto::{Head, Signed};
use ln6_overlay_core::control::Control;
use ln6_overlay_core::control::membership::SignedBy;
use ln6_overlay_core::control::message::{Item, ItemKind};
use ln6_registry::{Registry, Seen};
use ln6_types::{Instant, PublicKey, UnixTime, VerifyKey};
use std::time::Duration;

/// How soon a registry that could not be written tries again.
const AGAIN: Duration = Duration::from_secs(5);

/// What a broker still has to hear.
pub(crate) struct Hearing {
    sign: VerifyKey,
    /// Whether its registry may lack what it has signed itself.
    own: bool,
    /// Brokers whose delegations it has not taken over yet.
    predecessors: Vec<PublicKey>,
    /// What the root took back, as signed octets.
    taken_back: Vec<Vec<u8>>,
    /// Whether to go on with what is known here.
    alone: bool,
    /// The desk is at it, or has failed until then.
    asked: Option<Instant>,
}

impl Hearing {
    pub(super) fn new(parts: &BrokerParts, registry: &Registry) -> Self {
        let behind = |head: &Head| registry.is_behind(head.certificates, head.last);
        // A node that has lost its state has lost its disk: what registry there is comes from elsewhere.
        let own =
            registry.last_serial() > 0 && (parts.fresh || parts.remembered.as_ref().is_some_and(behind));
        let predecessors = parts.papers.predecessors().filter(|key| !registry.has_succeeded(key)).collect();
        Hearing {
            sign: parts.signing.verify_key(),
            own,
            predecessors,
            taken_back: parts.papers.revocations.iter().map(|signed| signed.bytes().to_vec()).collect(),
            alone: parts.alone,
            asked: None,
        }
    }

    /// Whether the registry waits.
    pub(super) fn waits(&self) -> bool {
        self.own || !self.predecessors.is_empty()
    }

    /// What the root took back.
    pub(super) fn taken_back(&self) -> Vec<Vec<u8>> {
        self.taken_back.clone()
    }

    pub(super) fn problem(&self) -> Option<Problem> {
        self.waits().then(|| Problem {
            code: "registry_waits".to_owned(),
            severity: Severity::Warning,
            message: "the registry waits for members to tell what was granted before; until then nothing is given or taken"
                .to_owned(),
            hint: Some(
                "it goes on by itself once a member is connected; if none is left, start it once with 'ln6d run --alone'"
                    .to_owned(),
            ),
        })
    }
}

/// The newest head that this key signed, among stored items.
pub(super) fn remembered(items: &[Item], sign: &VerifyKey) -> Option<Head> {
    let heads = items.iter().filter(|item| item.kind == ItemKind::Head);
    let own =
        heads.filter_map(|item| Signed::<Head>::decode(&item.bytes).and_then(|read| read.verify(sign)).ok());
    own.map(|signed| signed.value().clone()).max_by_key(|head| head.at)
}

/// The root took this broker's certificate back: nothing it signs is believed.
pub(super) fn revoked(control: &Control, wall: UnixTime) -> Option<Problem> {
    let lost = !control.membership().status(&control.key(), wall).holds();
    lost.then(|| Problem {
        code: "broker_revoked".to_owned(),
        severity: Severity::Error,
        message: "this broker's certificate does not hold: it has ended, or the root took it back or named a successor"
            .to_owned(),
        hint: Some("ask whoever has the root key; 'ln6d root request' asks for a new certificate".to_owned()),
    })
}

fn seen_of(signed: &SignedBy<'_>) -> Seen {
    seen(signed.certificates.iter().copied(), signed.revocations.iter().copied(), signed.head)
}

impl Broker {
    /// Whether somebody knows of numbers that this broker does not know to have given: then its registry is older than what
    /// it has signed, whatever it looked like at the start.
    pub(super) fn compare(&mut self, control: &Control) {
        if self.hearing.own {
            return;
        }
        let signed = control.membership().signed_by(&self.hearing.sign);
        let (certificates, last) = signed.head.map_or((0, 0), |head| (head.certificates, head.last));
        let beyond = signed.certificates.iter().any(|c| c.serial > certificates)
            || signed.revocations.iter().any(|r| r.number > last);
        if beyond {
            tracing::warn!("a member has statements of this broker that its registry does not know");
            self.hearing.own = true;
            self.desk().hold();
        }
    }
}

impl super::Daemon {
    /// Tells a registry that waits what members know, once their notes were compared.
    pub(super) fn hear_members(&mut self, now: Instant) {
        let Some(broker) = &mut self.broker else { return };
        let hearing = &mut broker.hearing;
        if !hearing.waits() || hearing.asked.is_some_and(|until| now < until) {
            return;
        }
        if !(hearing.alone || self.control.in_step()) {
            return;
        }
        hearing.asked = Some(Instant::FAR_FUTURE);
        let membership = self.control.membership();
        let own = hearing.own.then(|| seen_of(&membership.signed_by(&hearing.sign)));
        let of = |key: &PublicKey| {
            let mut all = Seen::default();
            for sign in membership.sign_keys(key) {
                let seen = seen_of(&membership.signed_by(&sign));
                all.highest = all.highest.max(seen.highest);
                all.certificates.extend(seen.certificates);
                all.revocations.extend(seen.revocations);
            }
            (*key, all)
        };
        let predecessors = hearing.predecessors.iter().map(of).collect();
        let back = broker.back();
        let heard = Heard { own, predecessors };
        let reply = Box::new(move |answer| drop(back.send(Answer::Heard(answer))));
        broker.desk().heard(ln6_host::clock::wall(), heard, reply);
    }

    /// The desk has written it down.
    pub(super) fn has_heard(&mut self, now: Instant, answer: Result<(), Refused>) {
        let Some(broker) = &mut self.broker else { return };
        match answer {
            Ok(()) => {
                tracing::info!("the registry has heard from the members and goes on");
                (broker.hearing.own, broker.hearing.asked) = (false, None);
                broker.hearing.predecessors.clear();
                broker.begin(ln6_host::clock::wall());
            }
            Err(refused) => {
                tracing::error!(
                    code = refused.code,
                    text = refused.text,
                    "what members told could not be taken in"
                );
                broker.hearing.asked = Some(now + AGAIN);
            }
        }
    }
}
