//! The desk and its file, from outside.

#[path = "support/world.rs"]
#[allow(dead_code, unreachable_pub)]
mod world;

use ln6_broker::*;
use ln6_crypto::{Certificate, Head, Revocation, Signed};
use ln6_registry::*;
use ln6_types::{Prefix, UnixTime};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use world::*;

/// A journal in memory that counts, and fails when told to.
#[derive(Clone, Default)]
struct Memory {
    events: Arc<Mutex<Vec<Event>>>,
    appends: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
}

impl Journal for Memory {
    fn replay(&mut self) -> Result<Registry, StoreError> {
        let mut registry = Registry::new();
        self.events.lock().expect("events").iter().for_each(|event| registry.apply(event));
        Ok(registry)
    }

    fn append(&mut self, lines: &[Line], _: &[CardChange]) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Full { file: "registry.db".into() });
        }
        self.appends.fetch_add(1, Ordering::SeqCst);
        self.events.lock().expect("events").extend(lines.iter().map(|line| line.event.clone()));
        Ok(())
    }

    fn cards(&mut self, _: &[Owner]) -> Result<Vec<Card>, StoreError> {
        Ok(Vec::new())
    }

    fn cards_with(&mut self, _: &str) -> Result<Vec<Owner>, StoreError> {
        Ok(Vec::new())
    }

    fn find(&mut self, _: Option<u64>, _: usize, _: &AuditFilter) -> Result<FoundPage, StoreError> {
        Ok(FoundPage::default())
    }

    fn backup(&mut self, _: &Path) -> Result<(), StoreError> {
        Ok(())
    }

    fn export(&mut self, _: &Path, _: bool) -> Result<(), StoreError> {
        Ok(())
    }
}

fn started() -> (Asker, Memory) {
    let memory = Memory::default();
    let (desk, _) = Asker::start(memory.clone(), Registry::new(), 0);
    desk.pool().expect("pool");
    (desk, memory)
}

#[test]
fn a_grant_is_a_chain_that_leads_to_the_root() {
    let (desk, _) = started();
    let secret = desk.invite().expect("invitation");
    let join = Join { secret: Some(secret), name: Some("quintana".into()), ..ask(7) };
    let JoinAnswer::Granted { certificates, head, prefixes, .. } = desk.join(join.clone()) else {
        panic!("refused")
    };
    let [leaf, broker] = &certificates[..] else { panic!("a chain of two") };
    let broker =
        Signed::<Certificate>::decode(broker).expect("broker").verify(&root().verify_key()).expect("root");
    let leaf = Signed::<Certificate>::decode(leaf).expect("leaf").verify(&broker.sign).expect("signed");
    leaf.check_issued(&broker).expect("within the broker's");
    assert_eq!((leaf.key, leaf.holder.as_str(), &leaf.originate), (key(7), "quintana", &prefixes));
    let head = Signed::<Head>::decode(&head).expect("head").verify(&broker.sign).expect("signed");
    assert_eq!((head.last, head.certificates, head.at), (0, leaf.serial, NOW));
    let JoinAnswer::Granted { certificates: again, .. } = desk.join(join) else { panic!("refused") };
    assert_eq!(again, certificates, "the same key and secret, the same octets");
}

#[test]
fn waiting_then_approved_then_revoked_is_told_at_each_question() {
    let (desk, _) = started();
    assert_eq!(desk.join(ask(1)), JoinAnswer::Waiting { place: 0 });
    assert_eq!(desk.join(ask(2)), JoinAnswer::Waiting { place: 1 });
    assert_eq!(desk.approve(1), (true, true));
    assert!(matches!(desk.join(ask(1)), JoinAnswer::Granted { .. }));
    assert!(desk.revoke(1));
    let JoinAnswer::Refused(why) = desk.join(ask(1)) else { panic!("a revoked key") };
    assert_eq!(why.code, "key_revoked");
    assert!(!why.hint.is_empty());
}

#[test]
fn a_node_is_told_when_it_does_not_get_the_proposed_slot() {
    let (desk, _) = started();
    let mut told = Vec::new();
    for number in 1..3 {
        let secret = desk.invite();
        let join = Join { secret, ssid: Some("LibreMesh.org".into()), ..ask(number) };
        let JoinAnswer::Granted { prefixes, proposal, .. } = desk.join(join) else { panic!("refused") };
        told.push((prefixes[0], proposal));
    }
    assert_eq!(told[0].1, None);
    assert_eq!(told[1].1, Some(told[0].0), "somebody else was first");
}

#[test]
fn what_is_newly_signed_is_told_once_it_is_on_disk() {
    let (tx, rx) = channel();
    let memory = Memory::default();
    let spread = Box::new(move |news| drop(tx.send(news)));
    let (handle, _) = Desk::start(memory, Registry::new(), issuer(), entropy(0), spread).expect("thread");
    let desk = Asker(handle);
    desk.pool().expect("pool");
    desk.admit(1).expect("admitted");
    let news: Statements = rx.recv().expect("news");
    assert_eq!((news.certificates.len(), news.revocations.len(), news.head.is_some()), (1, 0, true));
    assert!(desk.revoke(1));
    let news = rx.recv().expect("news");
    let broker = issuer().own().value().sign;
    let told = Signed::<Revocation>::decode(&news.revocations[0]).expect("revocation").verify(&broker);
    assert_eq!(told.expect("signed").number, 1);
}

#[test]
fn a_full_disk_changes_nothing_and_is_said() {
    let (desk, memory) = started();
    let before = desk.admit(1).expect("admitted");
    let secret = desk.invite().expect("invitation");
    memory.fails.store(true, Ordering::SeqCst);
    let join = Join { secret: Some(secret), ..ask(2) };
    let JoinAnswer::Refused(why) = desk.join(join.clone()) else { panic!("not on disk") };
    assert_eq!(why.code, "unavailable", "a stranger is told no more");
    let why = desk.operator(Command::Reserve { prefix: before, name: None, note: String::new() });
    assert_eq!(why.map_err(|r| r.code), Err("overlap".into()), "a refusal needs no disk");
    let invite = NewInvitation { valid_for: 9, name: None, size: None, purpose: Purpose::Admit };
    assert_eq!(desk.operator(Command::Invite(invite)).map_err(|r| r.code), Err("disk_full".into()));
    let Ok(Listed::Prefixes(prefixes)) = desk.list(List::Prefixes) else { panic!("no list") };
    assert_eq!(prefixes.iter().map(|view| view.prefix).collect::<Vec<Prefix>>(), [before]);
    memory.fails.store(false, Ordering::SeqCst);
    assert!(matches!(desk.join(join), JoinAnswer::Granted { .. }), "the invitation was not burnt");
}

#[test]
fn requests_that_wait_together_share_one_write() {
    let (desk, memory) = started();
    let (entered, has_entered) = channel();
    let (release, wait) = channel::<()>();
    // A reply that keeps the desk busy until the others have queued.
    let busy = Box::new(move |_| {
        let _ = entered.send(());
        let _ = wait.recv();
    });
    desk.0.list(NOW, List::Pools, busy);
    has_entered.recv().expect("busy");
    let (tx, rx) = channel();
    for number in 0..100 {
        let tx = tx.clone();
        desk.0.join(NOW, ask(number), Box::new(move |answer| drop(tx.send((number, answer)))));
    }
    let before = memory.appends.load(Ordering::SeqCst);
    release.send(()).expect("release");
    let answers: Vec<(u64, JoinAnswer)> = rx.iter().take(100).collect();
    assert_eq!(memory.appends.load(Ordering::SeqCst), before + 1);
    for (place, (number, answer)) in answers.iter().enumerate() {
        assert_eq!((*number, answer), (place as u64, &JoinAnswer::Waiting { place: place as u32 }));
    }
}

#[test]
fn what_the_broker_cannot_sign_does_not_happen() {
    let (desk, memory) = started();
    desk.admit(1).expect("admitted");
    let Ok(Listed::Holders(holders)) = desk.list(List::Holders { gone: false }) else { panic!("no list") };
    let events = memory.events.lock().expect("events").len();
    let roles = Roles { broker: true, ..Roles::default() };
    let refused = desk.operator(Command::SetRoles { holder: holders[0].name.clone(), roles });
    assert_eq!(refused.map_err(|why| why.code), Err("cannot_sign".into()));
    assert_eq!(memory.events.lock().expect("events").len(), events);
    let roles = Roles { exit: true, ..Roles::default() };
    desk.operator(Command::SetRoles { holder: holders[0].name.clone(), roles }).expect("an exit can be made");
}

#[test]
fn the_file_is_private_and_gives_the_registry_back() {
    let scratch = Scratch::new("reopen");
    let file = scratch.file("registry.db");
    let (store, registry) = open(&file);
    let (desk, thread) = Asker::start(store, registry, 0);
    desk.pool().expect("pool");
    let prefix = desk.admit(1).expect("admitted");
    let contact = Some("ana@example.org".to_owned());
    desk.join(Join { contact, ..ask(2) });
    let Ok(Listed::Requests(waiting)) = desk.list(List::Requests) else { panic!("no list") };
    assert_eq!(waiting[0].contact.as_deref(), Some("ana@example.org"));
    let copy = scratch.file("backup.db");
    let (tx, rx) = channel();
    desk.0.backup(copy.clone(), Box::new(move |done| drop(tx.send(done))));
    rx.recv().expect("answer").expect("backup");
    let (tx, rx) = channel();
    desk.0.erase_contact(key(2), Box::new(move |done| drop(tx.send(done))));
    rx.recv().expect("answer").expect("erased");
    drop(desk);
    thread.join().expect("the desk never panics");
    for path in [&file, &copy] {
        assert_eq!(std::fs::metadata(path).expect("file").permissions().mode() & 0o777, 0o600);
        let (_, registry) = open(path);
        assert_eq!(registry.live_delegations().map(|d| d.prefix).collect::<Vec<_>>(), [prefix]);
    }
    let trace =
        |path: &Path| std::fs::read(path).is_ok_and(|octets| octets.windows(11).any(|w| w == b"ana@example"));
    assert!(
        trace(&copy) && !trace(&file) && !trace(&scratch.file("registry.db-wal")),
        "an erased contact is gone"
    );
}

#[test]
fn a_second_process_is_told_that_the_file_is_in_use() {
    let scratch = Scratch::new("locked");
    let file = scratch.file("registry.db");
    let (mut store, _) = open(&file);
    let pool = Pool::new(POOL.parse().expect("pool"), Admission::Queue);
    let event =
        Event { v: V1, at: NOW, who: Actor::Operator, reason: String::new(), what: What::PoolSet(pool) };
    store.append(&[Line::new(&Registry::new(), event)], &[]).expect("written");
    let second = Store::open(&file).map(drop).expect_err("in use");
    assert_eq!(second.code(), "store_locked", "{second}");
}

#[test]
fn a_damaged_file_is_left_as_it_is_and_named() {
    let scratch = Scratch::new("damaged");
    let file = scratch.file("registry.db");
    let (store, registry) = open(&file);
    let (desk, thread) = Asker::start(store, registry, 0);
    desk.pool().expect("pool");
    assert!((0..40).all(|number| desk.admit(number).is_some()));
    drop(desk);
    thread.join().expect("the desk never panics");
    let whole = std::fs::read(&file).expect("file");
    assert!(whole.len() > 5 * 4096, "folded back at the end");
    for at in [0, 4096 + 5, 3 * 4096 + 3, whole.len() - 4096 + 1] {
        let mut damaged = whole.clone();
        damaged[at..at + 64].fill(0xee);
        std::fs::write(&file, &damaged).expect("damaged");
        let error = Store::open(&file).map(drop).expect_err("damage must be seen");
        assert!(matches!(error.code(), "store_damaged" | "store_foreign"), "at {at}: {error}");
        assert!(error.to_string().contains("registry.db") && error.to_string().contains("left as it is"));
        assert_eq!(std::fs::read(&file).expect("file"), damaged, "untouched");
    }
}

#[test]
fn foreign_and_newer_files_are_refused_and_untouched() {
    let scratch = Scratch::new("foreign");
    let text = scratch.file("notes.txt");
    std::fs::write(&text, "these are my notes, and no database at all".repeat(40)).expect("notes");
    assert_eq!(Store::open(&text).map(drop).expect_err("text").code(), "store_foreign");
    assert!(std::fs::read_to_string(&text).expect("notes").starts_with("these are my notes"));
    let nowhere = scratch.file("no/such/directory.db");
    assert_eq!(Store::open(&nowhere).map(drop).expect_err("nowhere").code(), "store_denied");
}

#[test]
fn time_is_told_to_the_desk_and_chains_of_consequences_come_to_rest() {
    let (desk, _) = started();
    let prefix = desk.admit(1).expect("admitted");
    assert!(desk.revoke(1));
    let later = |days: u64| {
        let (tx, rx) = channel();
        let at = UnixTime::from_secs(NOW.as_secs() + days * 86_400);
        desk.0.command(at, Actor::Clock, Command::Expire, Box::new(move |answer| drop(tx.send(answer))));
        rx.recv().expect("answer").expect("expired").events.len()
    };
    assert_eq!(later(6), 0);
    assert_eq!(later(8), 3, "quarantined, and the key is barred");
    assert_eq!(later(269), 0);
    assert_eq!(later(272), 1, "free");
    let Ok(Listed::History(history)) = desk.list(List::History { prefix, at: Some(NOW) }) else {
        panic!("no list")
    };
    assert_eq!(history.len(), 0, "revoked within the same second");
    let Ok(Listed::History(history)) = desk.list(List::History { prefix, at: None }) else {
        panic!("no list")
    };
    assert_eq!((&history[0].keys[..], history[0].to), (&[key(1)][..], Some(NOW)));
}

/// What a node would have kept of these statements.
fn known_of(statements: &Statements) -> Seen {
    let own = issuer().own().value().sign;
    fn open<T: ln6_crypto::canonical::Statement + Clone>(
        all: &[Vec<u8>],
        by: &ln6_types::VerifyKey,
    ) -> Vec<T> {
        let read = |bytes: &Vec<u8>| Signed::<T>::decode(bytes).expect("octets").verify(by).expect("signed");
        all.iter().map(|bytes| read(bytes).value().clone()).collect()
    }
    let certificates = open::<Certificate>(&statements.certificates, &own);
    let revocations = open::<Revocation>(&statements.revocations, &own);
    let head = statements.head.as_ref().map(|head| open::<Head>(std::slice::from_ref(head), &own).remove(0));
    seen(&certificates, &revocations, head.as_ref())
}

fn all_of(desk: &Asker) -> Statements {
    let (tx, rx) = channel();
    desk.0.statements(NOW, Box::new(move |answer| drop(tx.send(answer))));
    rx.recv().expect("answered").expect("signed")
}

fn hear(desk: &Asker, heard: Heard) {
    let (tx, rx) = channel();
    desk.0.heard(NOW, heard, Box::new(move |answer| drop(tx.send(answer))));
    rx.recv().expect("answered").expect("taken in");
}

#[test]
fn a_desk_that_waits_gives_nothing_until_it_has_heard_and_then_what_was_given() {
    let (first, mut memory) = started();
    let before = first.admit(1).expect("granted");
    let backup = memory.replay().expect("replay");
    let events = memory.events.lock().expect("events").clone();
    let after = first.admit(2).expect("granted");
    first.revoke(1);
    let known = known_of(&all_of(&first));
    let last = first.0.clone();
    drop((first, last));

    let restored = Memory::default();
    restored.events.lock().expect("events").extend(events);
    let (desk, _) = Asker::start(restored.clone(), backup, 9);
    desk.0.hold();
    assert!(desk.invite().is_none(), "no invitation");
    assert!(matches!(desk.join(ask(1)), JoinAnswer::Waiting { .. }), "not even what it knows");
    assert!(!desk.revoke(1), "no revocation");
    let written = restored.appends.load(Ordering::SeqCst);
    assert_eq!(written, 0, "nothing was written");
    hear(&desk, Heard { own: Some(known.clone()), predecessors: Vec::new() });
    let JoinAnswer::Granted { prefixes, certificates, .. } = desk.join(ask(2)) else { panic!("its own") };
    assert_eq!(prefixes, [after]);
    let own = issuer().own().value().sign;
    let octets =
        Signed::<Certificate>::decode(&certificates[0]).expect("octets").verify(&own).expect("signed");
    assert!(known.certificates.iter().any(|issue| issue.serial == octets.serial), "the same certificate");
    assert!(matches!(desk.join(ask(1)), JoinAnswer::Refused(_)), "revoked after the backup");
    let fresh = desk.admit(3).expect("granted");
    assert!(fresh != before && fresh != after);
    let statements = known_of(&all_of(&desk));
    assert!(statements.highest > 1 << 32, "another epoch");
}
