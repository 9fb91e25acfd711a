//! The journal of a broker's registry.

use ln6_registry::{Actor, Event, Registry, Seen, What};
use ln6_types::UnixTime;

/// Journal lines. What is read is written as what it was read from means, and replay fails at nothing.
pub fn registry_event(data: &[u8]) {
    let mut registry = Registry::new();
    let mut last = UnixTime::EPOCH;
    let mut seen = Seen::default();
    for line in data.split(|octet| *octet == b'\n').take(64) {
        let Ok(event) = serde_json::from_slice::<Event>(line) else { continue };
        let written = serde_json::to_string(&event).expect("what was read can be written");
        assert_eq!(serde_json::from_str::<Event>(&written).as_ref().ok(), Some(&event));
        registry.apply(&event);
        last = last.max(event.at);
        match event.what {
            What::Issued(issue) => seen.certificates.push(issue),
            What::Revocation(revocation) => seen.revocations.push(revocation),
            _ => {}
        }
    }
    // What a registry signed comes back to it, and goes to a successor.
    let numbers = seen.certificates.iter().map(|issue| issue.serial);
    seen.highest =
        numbers.chain(seen.revocations.iter().map(|revocation| revocation.number)).max().unwrap_or(0);
    for mut heir in [Registry::new(), registry.clone()] {
        heir.merge(last, &Actor::Clock, &seen).iter().for_each(|event| heir.apply(event));
        if let Some(issue) = seen.certificates.first() {
            heir.succeed(last, &Actor::Clock, issue.key, &seen).iter().for_each(|event| heir.apply(event));
        }
    }
    let _ = registry.expiries_until(last);
    let views = (registry.holder_views(true), registry.prefix_views(), registry.pool_views());
    let more = (registry.request_views(), registry.invitation_views(last));
    assert!(!format!("{views:?} {more:?}").is_empty());
}
