//! A registry as sentences that can be compared: one for each thing somebody can ask for.
#![allow(dead_code)] // each test program uses a part of it
#![allow(unreachable_pub)] // a module of test programs, not of a library

use ln6_broker::{Journal as _, Owner, Store};
use ln6_registry::{DelegationState, Holder, HolderState, Registry, Standing};
use ln6_types::{PublicKey, UnixTime};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is so, by what it is about.
pub type Facts = BTreeMap<String, String>;

/// How far a stranger has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    #[default]
    Absent,
    Waiting,
    Denied,
    Active,
    Suspended,
    Revoked,
}

/// A stranger, and what it has become.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    pub stage: Stage,
    pub name: String,
    pub len: Option<u8>,
    pub rate: Option<u64>,
    pub note: String,
    pub contact: String,
}

impl Member {
    /// In one line; nothing for who is not there.
    pub fn fact(&self) -> String {
        let Member { stage, name, len, rate, note, contact } = self;
        match stage {
            Stage::Absent => String::new(),
            Stage::Waiting | Stage::Denied => format!("{stage:?} {name}"),
            _ => format!("{stage:?} {name} {len:?} rate {rate:?} note '{note}' contact '{contact}'"),
        }
    }
}

/// The clock of the machine.
pub fn now() -> UnixTime {
    UnixTime::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()))
}

/// Everything in a registry that the tests ask for.
pub fn observe((store, registry): &mut (Store, Registry)) -> Facts {
    let mut facts = Facts::new();
    let mut put = |key: String, value: String| {
        assert!(facts.insert(key.clone(), value).is_none(), "{key} is there twice");
    };
    for view in registry.request_views() {
        put(format!("member {}", view.request.key), format!("Waiting {}", view.request.name));
    }
    for view in registry.denial_views(now()) {
        let name = view.request.map(|request| request.name).unwrap_or_default();
        put(format!("member {}", view.key), format!("Denied {name}"));
    }
    for view in registry.holder_views(false) {
        let Some(holder) = registry.holder(view.id) else { continue };
        let held = held(registry, holder);
        if view.listed.is_some() {
            let state = if view.state == HolderState::Active { "active" } else { "suspended" };
            put(format!("listed {}", view.name), format!("{state} /{}", held.unwrap_or_default()));
            continue;
        }
        let Some(key) = view.keys.first().map(|key| key.key) else { continue };
        let card = store.cards(&[Owner::Holder(view.id)]).expect("cards").pop();
        let (note, contact) = card.map(|card| (card.note, card.contact)).unwrap_or_default();
        let stage = match view.state {
            HolderState::Active => Stage::Active,
            HolderState::Suspended => Stage::Suspended,
            _ => Stage::Revoked,
        };
        whole(registry, &key, stage);
        let member = Member { stage, name: view.name, len: held, rate: view.rate, note, contact };
        put(format!("member {key}"), member.fact());
    }
    for view in registry.invitation_views(now()) {
        put(format!("invitation {}", view.name.unwrap_or_default()), view.state.to_owned());
    }
    for view in registry.reservation_views() {
        put(format!("reservation {}", view.reservation.prefix), view.reservation.note);
    }
    put("queue_per_name".into(), registry.policy().queue_per_name.to_string());
    for pool in registry.pools() {
        put("largest".into(), pool.largest.to_string());
    }
    facts
}

/// The length of the one prefix that a holder has for good.
fn held(registry: &Registry, holder: &Holder) -> Option<u8> {
    let all = holder.delegations.iter().filter_map(|id| registry.delegation(*id));
    let firm = all.filter(|d| {
        matches!(
            d.state,
            DelegationState::Active | DelegationState::Suspended | DelegationState::Revoked { .. }
        )
    });
    let lengths: Vec<u8> = firm.map(|d| d.prefix.len()).collect();
    assert!(lengths.len() <= 1, "{} holds {lengths:?}", holder.name);
    lengths.first().copied()
}

/// A certificate names exactly what is held, or there is none.
fn whole(registry: &Registry, key: &PublicKey, stage: Stage) {
    let certificate = registry.certificate_of(key);
    match stage {
        Stage::Active => {
            let named = &certificate.expect("who is in has a certificate").prefixes;
            let record = registry.key(key).expect("a record");
            let mut live: Vec<_> = registry
                .live_delegations()
                .filter(|delegation| delegation.holder == record.holder)
                .map(|delegation| delegation.prefix)
                .collect();
            live.sort_unstable();
            live.dedup_by(|later, earlier| earlier.covers(*later));
            assert_eq!(*named, live, "the certificate of {key}");
            assert!(matches!(registry.standing(now(), key), Standing::Granted(_)));
        }
        _ => assert!(certificate.is_none(), "{key} is {stage:?} and has {certificate:?}"),
    }
}

/// What no registry may be.
pub fn faults(registry: &Registry) -> Vec<String> {
    let mut faults = Vec::new();
    let all: Vec<_> = registry.delegations().collect();
    for (index, one) in all.iter().enumerate() {
        for other in &all[index + 1..] {
            let both = one.state.is_live() && other.state.is_live();
            if one.prefix.overlaps(other.prefix) && (both || one.holder != other.holder) {
                faults.push(format!("{one:?} overlaps {other:?}"));
            }
        }
    }
    for (index, revocation) in registry.revocations().iter().enumerate() {
        if revocation.number & 0xffff_ffff != index as u64 + 1 {
            faults.push(format!("revocation {} is the {}.", revocation.number, index + 1));
        }
    }
    faults
}
