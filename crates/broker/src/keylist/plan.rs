//! What has to change so that the registry is as the list says, and what is too much to happen by itself.

use super::entry::Entry;
use super::listing::{Complaint, Listing};
use super::memory::{Kept, Memory, Stage};
use ln6_types::{PublicKey, UnixTime};
use std::collections::BTreeMap;

/// One thing for the registry to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Let it in.
    Admit {
        /// The node's and holder's name.
        name: String,
        /// As listed.
        entry: Entry,
    },
    /// It is listed again: end the suspension that this list began.
    Resume {
        /// Who.
        name: String,
        /// As it was listed before.
        entry: Entry,
    },
    /// Another key takes its place; the old one is not trusted any more.
    Rekey {
        /// Who.
        name: String,
        /// With the new keys.
        entry: Entry,
    },
    /// Another size.
    Resize {
        /// Who.
        name: String,
        /// The key that holds it.
        key: PublicKey,
        /// The new length.
        size: u8,
    },
    /// Its people are reached in another way.
    Contact {
        /// Whose key.
        key: PublicKey,
        /// As written; nothing erases it.
        text: Option<String>,
    },
    /// Its file is gone.
    Suspend {
        /// Who.
        name: String,
        /// Its key.
        key: PublicKey,
    },
}

/// Whom a change takes something from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// Its file is gone.
    Removed(String),
    /// Its file has another key.
    Rekeyed(String),
}

/// What to do now, and what waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order, each with the node's name.
    pub changes: Vec<(String, Change)>,
    /// Too many at once: these wait for an administrator.
    pub held: Vec<Gone>,
    /// What to tell.
    pub complaints: Vec<Complaint>,
    /// Of the changes, those that take something from a node.
    pub takes: usize,
}

/// Removals of so many seconds are at once.
const DAY: u64 = 86_400;

/// Compares a list with what it has done so far. More than a tenth of the nodes (and at least two) that would lose their
/// place within a day wait until `confirmed`.
pub fn plan(list: &Listing, memory: &Memory, now: UnixTime, confirmed: bool) -> Plan {
    let mut out = Plan::default();
    let mut takes: Vec<(String, Vec<Change>, Gone)> = Vec::new();
    let owners: BTreeMap<PublicKey, &str> =
        memory.nodes.iter().map(|(name, kept)| (kept.entry.key, name.as_str())).collect();
    for (name, entry) in &list.entries {
        match memory.nodes.get(name) {
            None => match owners.get(&entry.key) {
                Some(old) => out.complaints.push(Complaint::new(
                    name,
                    format!("has the key of {old}: a node keeps its name, so name the file '{old}' again"),
                )),
                None => out.push(name, Change::Admit { name: name.clone(), entry: entry.clone() }),
            },
            Some(kept) => out.compare(name, kept, entry, &mut takes),
        }
    }
    let listed: Vec<PublicKey> = list.entries.values().map(|entry| entry.key).collect();
    for (name, kept) in &memory.nodes {
        let renamed = listed.contains(&kept.entry.key) && !list.entries.contains_key(name);
        let there = list.entries.contains_key(name) || list.broken.contains(name);
        if kept.stage != Stage::Out && !there && !renamed {
            let suspend = Change::Suspend { name: name.clone(), key: kept.entry.key };
            takes.push((name.clone(), vec![suspend], Gone::Removed(name.clone())));
        }
    }
    let lately = memory.removals.iter().filter(|at| now.since(**at).as_secs() < DAY && **at <= now).count();
    let inside = memory.nodes.values().filter(|kept| kept.stage != Stage::Out).count();
    if confirmed || few(takes.len() + lately, inside + lately) {
        out.takes = takes.len();
        for (name, changes, _) in takes {
            changes.into_iter().for_each(|change| out.push(&name, change));
        }
    } else if !takes.is_empty() {
        out.held = takes.into_iter().map(|(.., gone)| gone).collect();
    }
    out
}

/// Whether so many of so many may lose their place by themselves.
fn few(leaving: usize, of: usize) -> bool {
    leaving < 2 || leaving * 10 <= of
}

impl Plan {
    fn push(&mut self, name: &str, change: Change) {
        self.changes.push((name.to_owned(), change));
    }

    fn compare(
        &mut self,
        name: &str,
        kept: &Kept,
        entry: &Entry,
        takes: &mut Vec<(String, Vec<Change>, Gone)>,
    ) {
        let owned = || name.to_owned();
        match kept.stage {
            // Asking again is harmless, and says whether the first time was heard.
            Stage::Asked => self.push(name, Change::Admit { name: owned(), entry: kept.entry.clone() }),
            Stage::Out => self.push(name, Change::Resume { name: owned(), entry: kept.entry.clone() }),
            Stage::In => {}
        }
        if (kept.entry.key, kept.entry.sign) != (entry.key, entry.sign) {
            let rekey = Change::Rekey { name: owned(), entry: entry.clone() };
            takes.push((owned(), vec![rekey], Gone::Rekeyed(owned())));
        }
        if let Some(size) = entry.size.filter(|_| entry.size != kept.entry.size) {
            self.push(name, Change::Resize { name: owned(), key: kept.entry.key, size });
        }
        if kept.entry.contact != entry.contact {
            self.push(name, Change::Contact { key: kept.entry.key, text: entry.contact.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ln6_types::VerifyKey;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn entry(number: u8) -> Entry {
        let (key, sign) = (PublicKey([number; 32]), VerifyKey([number; 32]));
        Entry { key, sign, size: Some(56), contact: None }
    }

    fn list(numbers: impl IntoIterator<Item = u8>) -> Listing {
        let entries = numbers.into_iter().map(|number| (format!("n{number:03}"), entry(number))).collect();
        Listing { entries, ..Listing::default() }
    }

    fn knows(numbers: impl IntoIterator<Item = u8>) -> Memory {
        let kept = |entry| Kept { entry, stage: Stage::In };
        let nodes = list(numbers).entries.into_iter().map(|(name, entry)| (name, kept(entry))).collect();
        Memory { nodes, ..Memory::default() }
    }

    fn words(plan: &Plan) -> Vec<String> {
        let word = |change: &Change| match change {
            Change::Admit { .. } => "admit",
            Change::Resume { .. } => "resume",
            Change::Rekey { .. } => "rekey",
            Change::Resize { .. } => "resize",
            Change::Contact { .. } => "contact",
            Change::Suspend { .. } => "suspend",
        };
        plan.changes.iter().map(|(name, change)| format!("{} {name}", word(change))).collect()
    }

    #[test]
    fn a_new_file_admits_and_nothing_new_does_nothing() {
        assert_eq!(words(&plan(&list(1..=2), &knows([1]), NOW, false)), ["admit n002"]);
        assert_eq!(plan(&list(1..=92), &knows(1..=92), NOW, false), Plan::default());
    }

    #[test]
    fn one_in_ten_may_go_and_more_waits_for_a_person() {
        let known = knows(1..=92);
        assert_eq!(plan(&list(10..=92), &known, NOW, false).changes.len(), 9);
        let held = plan(&list(11..=92), &known, NOW, false);
        assert_eq!((held.changes.len(), held.held.len()), (0, 10));
        assert_eq!(plan(&list(11..=92), &known, NOW, true).changes.len(), 10);
        // A single one always may, two of three may not.
        assert_eq!(words(&plan(&list([1]), &knows(1..=2), NOW, false)), ["suspend n002"]);
        assert_eq!(plan(&list([1]), &knows(1..=3), NOW, false).held.len(), 2);
        // What is new comes in all the same.
        let mut both = list([9]);
        both.entries.extend(list(1..=1).entries);
        let plan = plan(&both, &knows(1..=5), NOW, false);
        assert_eq!((words(&plan), plan.held.len()), (vec!["admit n009".to_owned()], 4));
    }

    #[test]
    fn many_small_steps_in_a_day_are_one_large_step() {
        let mut known = knows(10..=92);
        known.removals = vec![NOW - core::time::Duration::from_secs(3600); 9];
        let held = plan(&list(11..=92), &known, NOW, false);
        assert_eq!(held.held, [Gone::Removed("n010".into())]);
        known.removals = vec![NOW - core::time::Duration::from_secs(90_000); 9];
        assert_eq!(words(&plan(&list(11..=92), &known, NOW, false)), ["suspend n010"]);
    }

    #[test]
    fn other_keys_count_as_removals() {
        let mut list = list(1..=5);
        for number in 1..=2u8 {
            list.entries.insert(format!("n{number:03}"), entry(number + 100));
        }
        let held = plan(&list, &knows(1..=5), NOW, false);
        assert_eq!(held.held, [Gone::Rekeyed("n001".into()), Gone::Rekeyed("n002".into())]);
        list.entries.insert("n002".into(), entry(2));
        assert_eq!(words(&plan(&list, &knows(1..=5), NOW, false)), ["rekey n001"]);
    }

    #[test]
    fn a_broken_file_takes_nothing_away() {
        let mut list = list([]);
        list.broken = (1..=5u8).map(|number| format!("n{number:03}")).collect();
        assert_eq!(plan(&list, &knows(1..=5), NOW, false), Plan::default());
    }

    #[test]
    fn a_renamed_file_is_told_and_changes_nothing() {
        let mut list = list([]);
        list.entries.insert("other".into(), entry(1));
        let plan = plan(&list, &knows([1]), NOW, false);
        assert!(plan.changes.is_empty() && plan.complaints[0].text.contains("n001"));
    }

    #[test]
    fn who_comes_back_is_resumed_and_what_an_administrator_did_stays() {
        let mut known = knows([1, 2]);
        known.nodes.get_mut("n001").expect("known").stage = Stage::Out;
        assert_eq!(words(&plan(&list([1, 2]), &known, NOW, false)), ["resume n001"]);
        assert_eq!(words(&plan(&list([2]), &known, NOW, false)), Vec::<String>::new());
        // An answer that was lost is asked for again.
        known.nodes.get_mut("n001").expect("known").stage = Stage::Asked;
        assert_eq!(words(&plan(&list([1, 2]), &known, NOW, false)), ["admit n001"]);
    }

    #[test]
    fn sizes_and_contacts_change_only_when_the_file_does() {
        let mut list = list([1, 2]);
        let one = list.entries.get_mut("n001").expect("listed");
        (one.size, one.contact) = (Some(48), Some("ana".into()));
        list.entries.get_mut("n002").expect("listed").size = None;
        assert_eq!(words(&plan(&list, &knows([1, 2]), NOW, false)), ["resize n001", "contact n001"]);
    }
}
