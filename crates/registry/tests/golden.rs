//! A journal written by the first version means today what it meant then. Neither file is ever changed; a new version adds
//! files of its own.

use ln6_registry::{Event, KeyState, Registry};

const JOURNAL: &str = include_str!("golden/journal-v1.jsonl");
const MEANING: &str = include_str!("golden/journal-v1.txt");

fn replayed() -> Registry {
    let mut registry = Registry::new();
    for line in JOURNAL.lines() {
        let event: Event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        registry.apply(&event);
    }
    registry
}

#[test]
fn the_first_versions_journal_replays_to_what_it_was() {
    let registry = replayed();
    let mut lines = Vec::new();
    for view in registry.holder_views(true) {
        lines.push(format!("{} {}", view.name, serde_json::to_string(&view.state).expect("json")));
    }
    for view in registry.prefix_views() {
        let state = serde_json::to_string(&view.state).expect("json");
        lines.push(format!("{} {} {state}", view.prefix, view.holder));
    }
    assert_eq!(lines, MEANING.lines().collect::<Vec<_>>());
    assert_eq!(registry.sequence(), JOURNAL.lines().count() as u64);
}

#[test]
fn what_the_first_version_revoked_stays_revoked_for_ever() {
    let registry = replayed();
    let views = registry.holder_views(true);
    let keys = views.iter().flat_map(|view| &view.keys);
    let revoked =
        keys.filter(|key| key.state.is_revoked()).inspect(|key| assert_eq!(key.state, KeyState::Barred));
    assert_eq!(revoked.count(), 3);
}
