//! What is kept beside the registry's state: contacts and notes, the audit, older layouts.

#[path = "support/world.rs"]
#[allow(dead_code, unreachable_pub)]
mod world;

use ln6_broker::*;
use ln6_registry::*;
use ln6_types::UnixTime;
use rusqlite::Connection;
use std::path::Path;
use world::*;

const OLD_JOURNAL: &str = include_str!("../../registry/tests/golden/journal-v1.jsonl");
const OLD_MEANING: &str = include_str!("../../registry/tests/golden/journal-v1.txt");

/// A file as the first version made it.
const FIRST_LAYOUT: &str = "
CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE contacts (key BLOB PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'history is kept'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'history is kept'); END;
PRAGMA application_id = 0x6c6e3664;
PRAGMA user_version = 1;
";

fn old_file(path: &Path, journal: &str) {
    let connection = Connection::open(path).expect("file");
    connection.execute_batch(FIRST_LAYOUT).expect("layout");
    for (line, seq) in journal.lines().zip(1i64..) {
        let at = serde_json::from_str::<serde_json::Value>(line)
            .map_or(0, |json| json["at"].as_i64().unwrap_or(0));
        let row = rusqlite::params![seq, at, "whoever", line];
        connection.execute("INSERT INTO events VALUES (?1, ?2, ?3, ?4)", row).expect("row");
    }
    let contact = rusqlite::params![[1u8; 32], "ana@example.org"];
    connection.execute("INSERT INTO contacts VALUES (?1, ?2)", contact).expect("contact");
}

fn meaning(registry: &Registry) -> Vec<String> {
    let mut lines = Vec::new();
    for view in registry.holder_views(true) {
        lines.push(format!("{} {}", view.name, serde_json::to_string(&view.state).expect("json")));
    }
    for view in registry.prefix_views() {
        let state = serde_json::to_string(&view.state).expect("json");
        lines.push(format!("{} {} {state}", view.prefix, view.holder));
    }
    lines
}

fn index(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).expect("file");
    let all = "SELECT seq || ' ' || kind || ' ' || coalesce(holder, '-') FROM events
               UNION ALL SELECT hex(prefix) || ' ' || seq FROM touched";
    let mut statement = connection.prepare(all).expect("query");
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    rows.collect::<Result<Vec<_>, _>>().expect("rows")
}

fn files(of: &Path) -> Vec<String> {
    let names = std::fs::read_dir(of.parent().expect("directory")).expect("directory");
    let mut names: Vec<String> =
        names.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
    names.sort();
    names
}

#[test]
fn an_older_layout_is_copied_aside_then_changed_and_means_the_same() {
    let scratch = Scratch::new("layout");
    let file = scratch.file("registry.db");
    old_file(&file, OLD_JOURNAL);
    let before = std::fs::read(&file).expect("old file");
    let (mut store, registry) = open(&file);
    assert_eq!(meaning(&registry), OLD_MEANING.lines().collect::<Vec<_>>());
    let cards = store.cards(&[Owner::Key(ln6_types::PublicKey([1; 32]))]).expect("cards");
    assert_eq!(cards[0].contact, "ana@example.org");
    drop(store);
    assert_eq!(files(&file), ["registry.db", "registry.db.layout-1"]);
    let copy = Connection::open(scratch.file("registry.db.layout-1")).expect("copy");
    let kept: i64 =
        copy.query_row("SELECT count(*) FROM events JOIN contacts", [], |row| row.get(0)).expect("count");
    assert_eq!(kept, OLD_JOURNAL.lines().count() as i64);
    assert!(!before.is_empty());

    let (_, again) = open(&file);
    assert_eq!(meaning(&again), meaning(&registry));
    assert_eq!(files(&file).len(), 2, "nothing is changed a second time");

    // The same events, written today: found by the same words.
    let fresh = scratch.file("fresh.db");
    let (mut store, mut registry) = open(&fresh);
    for line in OLD_JOURNAL.lines() {
        let line = Line::new(&registry, serde_json::from_str(line).expect("event"));
        registry.apply(&line.event);
        store.append(&[line], &[]).expect("written");
    }
    drop(store);
    assert_eq!(index(&file), index(&fresh));
}

#[test]
fn an_older_file_that_makes_no_sense_is_left_as_it_is() {
    let scratch = Scratch::new("nonsense");
    let file = scratch.file("registry.db");
    old_file(&file, &format!("{OLD_JOURNAL}{{\"v\":2}}\n"));
    for _ in 0..2 {
        let error = Store::open(&file).map(drop).expect_err("nonsense");
        assert_eq!(error.code(), "store_damaged", "{error}");
        assert!(error.to_string().contains("event 83"), "{error}");
        let connection = Connection::open(&file).expect("file");
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("version");
        let contacts: i64 =
            connection.query_row("SELECT count(*) FROM contacts", [], |row| row.get(0)).expect("contacts");
        assert_eq!((version, contacts), (1, 1));
        assert_eq!(files(&file), ["registry.db"], "no copies pile up");
    }
}

#[test]
fn contacts_and_notes_are_shown_found_and_erased_and_the_journal_knows_only_that() {
    let scratch = Scratch::new("cards");
    let file = scratch.file("registry.db");
    let (store, registry) = open(&file);
    let (desk, thread) = Asker::start(store, registry, 0);
    desk.pool().expect("pool");
    let secret = desk.invite();
    let contact = Some("router@example.org".to_owned());
    desk.join(Join { secret, contact, name: Some("ana".into()), ..ask(1) });
    desk.join(Join { secret: desk.invite(), name: Some("benno".into()), ..ask(2) });
    let card = |name: &str| match desk.list(List::Holder { name: name.into() }) {
        Ok(Listed::Holder(card)) => (card.contact.unwrap_or_default(), card.note.unwrap_or_default()),
        other => panic!("{other:?}"),
    };
    let contact = |holder: &str, text: &str| Command::SetCard {
        holder: holder.into(),
        contact: Some(text.into()),
        note: None,
    };
    let note = |holder: &str, text: &str| Command::SetCard {
        holder: holder.into(),
        contact: None,
        note: Some(text.into()),
    };
    assert_eq!(card("ana"), ("router@example.org".into(), String::new()));
    desk.operator(contact("ana", "ana@example.org")).expect("set");
    desk.operator(note("ana", "key of the tower:\nunder the flowerpot")).expect("set");
    assert_eq!(card("ana"), ("ana@example.org".into(), "key of the tower:\nunder the flowerpot".into()));
    for (text, found) in [("FLOWERPOT", 1), ("example.org", 1), ("nowhere", 0), ("benno", 1), ("", 2)] {
        let query = HolderQuery { text: text.into(), ..HolderQuery::default() };
        let Ok(Listed::HolderPage(page)) = desk.list(List::HolderPage(query)) else { panic!("no page") };
        assert_eq!((page.total, page.rows.len()), (found, found), "{text}");
    }
    desk.operator(contact("ana", "")).expect("erased");
    assert_eq!(card("ana").0, "", "with what its routers said");
    desk.operator(note("ana", "")).expect("erased");
    assert_eq!(desk.operator(note("nobody", "x")).map_err(|why| why.code), Err("not_found".into()));
    let kinds = audit(&desk, AuditQuery { holder: Some("ana".into()), ..all() });
    let changed = kinds.iter().filter(|row| row.kind.ends_with("_changed")).count();
    assert_eq!(changed, 4);
    let Ok(Listed::Audit(page)) = desk.list(List::Audit(AuditQuery { limit: 1, ..all() })) else {
        panic!("no audit")
    };
    assert_eq!(page.rows[0].who, Actor::Operator);
    let trace = |word: &[u8]| {
        let log = scratch.file("registry.db-wal");
        let holds = |path: &Path| {
            std::fs::read(path).is_ok_and(|octets| octets.windows(word.len()).any(|found| found == word))
        };
        holds(&file) || holds(&log)
    };
    assert!(!trace(b"flowerpot") && !trace(b"ana@example") && !trace(b"router@example"));
    assert!(trace(b"note_changed"));
    drop(desk);
    thread.join().expect("the desk never panics");
}

fn all() -> AuditQuery {
    AuditQuery { limit: 500, ..AuditQuery::default() }
}

/// All pages of a query.
fn audit(desk: &Asker, query: AuditQuery) -> Vec<Audited> {
    let mut rows = Vec::new();
    let mut before = None;
    loop {
        let Ok(Listed::Audit(page)) = desk.list(List::Audit(AuditQuery { before, ..query.clone() })) else {
            panic!("no audit")
        };
        assert!(page.rows.len() <= query.limit);
        rows.extend(page.rows);
        before = page.next;
        if before.is_none() {
            return rows;
        }
    }
}

#[test]
fn every_page_of_the_audit_is_what_reading_all_of_it_would_find() {
    let scratch = Scratch::new("audit");
    let (store, registry) = open(&scratch.file("registry.db"));
    let (desk, _) = Asker::start(store, registry, 0);
    desk.pool().expect("pool");
    let prefixes: Vec<_> = (0..30).map(|number| desk.admit(number).expect("admitted")).collect();
    (0..10).for_each(|number| assert!(desk.revoke(number)));
    (0..5).for_each(|number| assert!(desk.restore(number)));
    let suspend = |name: String| {
        let command = Command::Suspend { holder: name, reason: String::new() };
        let order = Order { command, reason: "Floods the Mesh".into(), expect: None };
        let (tx, rx) = std::sync::mpsc::channel();
        let who = Actor::Admin("maria".into());
        desk.0.command(NOW, who, order, Box::new(move |done| drop(tx.send(done))));
        rx.recv().expect("answer").expect("suspended")
    };
    let Ok(Listed::Holders(holders)) = desk.list(List::Holders { gone: false }) else { panic!("no list") };
    let name = holders[20].name.clone();
    suspend(name.clone());
    let everything = audit(&desk, all());
    let seqs: Vec<u64> = everything.iter().map(|row| row.seq).collect();
    assert!(seqs.len() > 150 && seqs.is_sorted_by(|a, b| a > b) && seqs.last() == Some(&1));
    assert_eq!(seqs[0], seqs.len() as u64, "no gap");
    let with = |limit: usize, query: AuditQuery, matches: &dyn Fn(&Audited) -> bool| {
        let expected: Vec<&Audited> = everything.iter().filter(|row| matches(row)).collect();
        let found = audit(&desk, AuditQuery { limit, ..query.clone() });
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
        assert!(!found.is_empty(), "{query:?} finds nothing: no test");
    };
    for limit in [1, 7, 500] {
        let none = AuditQuery::default;
        with(limit, none(), &|_| true);
        with(limit, AuditQuery { holder: Some(name.clone()), ..none() }, &|row| {
            row.name.as_ref() == Some(&name)
        });
        with(limit, AuditQuery { kind: Some("key_revoked".into()), ..none() }, &|row| {
            row.kind == "key_revoked"
        });
        let maria = Actor::Admin("maria".into());
        with(limit, AuditQuery { actor: Some("admin maria".into()), ..none() }, &|row| row.who == maria);
        with(limit, AuditQuery { actor: Some("admin".into()), ..none() }, &|row| row.who == maria);
        with(limit, AuditQuery { actor: Some("operator".into()), ..none() }, &|row| {
            row.who == Actor::Operator
        });
        with(limit, AuditQuery { text: Some("floods the mesh".into()), ..none() }, &|row| row.who == maria);
        let part = prefixes[3].part(64, 3).expect("part");
        for prefix in [prefixes[3], part, POOL.parse().expect("pool")] {
            let matches = |row: &Audited| row.prefixes.iter().any(|p| p.overlaps(prefix));
            with(limit, AuditQuery { prefix: Some(prefix), ..none() }, &matches);
            let both = AuditQuery { prefix: Some(prefix), kind: Some("granted".into()), ..none() };
            with(limit, both, &|row| matches(row) && row.kind == "granted");
        }
    }
    let nothing = AuditQuery { holder: Some("nobody".into()), ..all() };
    assert!(audit(&desk, nothing).is_empty());
    let hostile = AuditQuery { kind: Some("' OR 1=1 --".into()), text: Some("%_\\".into()), ..all() };
    assert!(audit(&desk, hostile).is_empty());
}

#[test]
fn a_request_decided_by_two_at_once_is_decided_once_and_the_second_is_told() {
    let (desk, _) = Asker::start(open(&Scratch::new("race").file("registry.db")).0, Registry::new(), 0);
    desk.pool().expect("pool");
    desk.join(ask(1));
    let Ok(Listed::Requests(waiting)) = desk.list(List::Requests) else { panic!("no list") };
    let (request, expect) = (waiting[0].view.request.id, Some(waiting[0].view.revision));
    let approve = Command::Approve { request, prefix: None, size: None, name: None, holder: None };
    let deny = Command::Deny { request, reason: String::new() };
    let (tx, rx) = std::sync::mpsc::channel();
    for (name, command) in [("maria", approve), ("juan", deny)] {
        let tx = tx.clone();
        let order = Order { command, reason: String::new(), expect };
        let reply =
            Box::new(move |done: CommandAnswer| drop(tx.send(done.map(drop).map_err(|why| why.code))));
        desk.0.command(UnixTime::from_secs(NOW.as_secs() + 1), Actor::Admin(name.into()), order, reply);
    }
    let answers: Vec<_> = rx.iter().take(2).collect();
    assert_eq!(answers, [Ok(()), Err("state_changed".to_owned())]);
}

#[test]
fn an_export_that_is_imported_gives_the_same_export() {
    let scratch = Scratch::new("export");
    let file = scratch.file("registry.db");
    old_file(&file, OLD_JOURNAL);
    let (mut store, registry) = open(&file);
    let about = registry.holder_named("mesh1").expect("holder").id;
    let note = Some("line one\nline two \u{202e} <b>".to_owned());
    store.append(&[], &[CardChange { owner: Owner::Holder(about), contact: None, note }]).expect("card");
    let (whole, bare) = (scratch.file("whole.jsonl"), scratch.file("bare.jsonl"));
    store.export(&whole, true).expect("export");
    store.export(&bare, false).expect("export");
    let text = std::fs::read_to_string(&whole).expect("text");
    assert!(text.contains("ana@example.org") && text.contains(OLD_JOURNAL));
    assert!(!std::fs::read_to_string(&bare).expect("text").contains("ana@example.org"));
    assert_eq!(
        store.export(&whole, true).map_err(|error| error.code()),
        Err("store_denied"),
        "never written over"
    );
    drop(store);
    for source in [&whole, &bare] {
        let copy = scratch.file("copy.db");
        let (store, imported) = Store::import(&copy, source).expect("import");
        assert!(imported == registry);
        let again = scratch.file("again.jsonl");
        store.export(&again, source == &whole).expect("export");
        assert_eq!(std::fs::read(&again).expect("again"), std::fs::read(source).expect("first"));
        assert_eq!(Store::import(&copy, source).map(drop).map_err(|error| error.code()), Err("store_denied"));
        drop(store);
        assert_eq!(index(&copy), index(&file));
        std::fs::remove_file(&copy).expect("removed");
        std::fs::remove_file(&again).expect("removed");
    }
}

#[test]
fn a_damaged_export_imports_nothing() {
    let scratch = Scratch::new("bad-export");
    let file = scratch.file("registry.db");
    old_file(&file, OLD_JOURNAL);
    let (store, _) = open(&file);
    let whole = scratch.file("whole.jsonl");
    store.export(&whole, true).expect("export");
    drop(store);
    let text = std::fs::read_to_string(&whole).expect("text");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.remove(9);
    let bad = [
        text[..text.len() - 1].to_owned(),
        text[..text.len() / 2].to_owned(),
        text.replacen("maria", "marla", 1),
        text.replacen("export 1", "export 2", 1),
        format!("{text}{{}}\n"),
        lines.join("\n") + "\n",
        String::new(),
        "x".repeat(10_000_000),
        text.replacen("\"cards\":1", "\"cards\":9000000000", 1),
    ];
    for (number, bad) in bad.iter().enumerate() {
        let from = scratch.file("bad.jsonl");
        std::fs::write(&from, bad).expect("written");
        let to = scratch.file("new.db");
        let error = Store::import(&to, &from).map(drop).expect_err("damaged");
        assert_eq!(error.code(), "export_damaged", "{number}: {error}");
        assert!(
            !to.exists() && !scratch.file("new.db.importing").exists(),
            "{number}: nothing is left behind"
        );
    }
}
