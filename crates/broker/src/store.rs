//! The journal in SQLite: one table of events, write-ahead log, synced before it is acknowledged.

mod export;
mod find;
mod layout;

use crate::error::StoreError;
use crate::journal::{AuditFilter, Card, CardChange, FoundPage, Journal, Line, Owner};
use layout::{copy_to, lay_out, look, migrate};
use ln6_registry::{Actor, Event, HolderId, Registry};
use ln6_types::Prefix;
use rusqlite::config::DbConfig;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Statement, Transaction, TransactionBehavior, params,
};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A registry's file. Only one process at a time can hold it.
#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    connection: Connection,
    last: i64,
}

impl Store {
    /// Opens or makes the file (mode 0600), checks all of it and replays the registry. A file of an older layout is copied
    /// aside (`FILE.layout-N`) and then brought to today's. One that is damaged, foreign or newer is left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<(Store, Registry), StoreError> {
        let file = path.as_ref().to_owned();
        make_private(&file)?;
        let mut connection = connect(&file).map_err(|error| StoreError::of(&file, error))?;
        match look(&connection, &file)? {
            layout::Found::Nothing => {
                settle(&connection)
                    .and_then(|()| lay_out(&mut connection))
                    .map_err(|error| StoreError::of(&file, error))?;
            }
            layout::Found::Current => check(&connection, &file)?,
            layout::Found::Older(from) => {
                check(&connection, &file)?;
                migrate(&mut connection, &file, from)?;
            }
        }
        settle(&connection).map_err(|error| StoreError::of(&file, error))?;
        let mut store = Store { file, connection, last: 0 };
        let registry = store.replay()?;
        let tidy = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        store.connection.set_db_config(tidy, false).map_err(|error| StoreError::of(&store.file, error))?;
        Ok((store, registry))
    }

    /// Where it lies.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// How many events it holds.
    pub fn events(&self) -> u64 {
        self.last.unsigned_abs()
    }

    fn read(&mut self) -> Result<Registry, rusqlite::Error> {
        let mut registry = Registry::new();
        let mut last = 0;
        let mut statement = self.connection.prepare("SELECT seq, body FROM events ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (seq, body) = (row.get::<_, i64>(0)?, row.get_ref(1)?);
            let event: Event = match body.as_str().map(serde_json::from_str) {
                Ok(Ok(event)) if seq == last + 1 => event,
                Ok(Ok(_)) => return Err(damage(format!("event {} is missing", last + 1))),
                Ok(Err(error)) => return Err(damage(format!("event {seq}: {error}"))),
                Err(error) => return Err(damage(format!("event {seq}: {error}"))),
            };
            registry.apply(&event);
            last = seq;
        }
        drop(rows);
        drop(statement);
        self.last = last;
        Ok(registry)
    }

    /// Writes all in one transaction; whether a card was changed that had a text.
    fn write(&mut self, lines: &[Line], cards: &[CardChange]) -> Result<bool, rusqlite::Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut seq = self.last;
        {
            let mut pen = Pen::new(&transaction)?;
            for line in lines {
                seq += 1;
                let body = serde_json::to_string(&line.event)
                    .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
                pen.write(seq, line, &body)?;
            }
        }
        let mut replaced = false;
        for change in cards {
            replaced |= write_card(&transaction, change)?;
        }
        transaction.commit()?;
        self.last = seq;
        Ok(replaced)
    }

    /// The log keeps an erased page until it is copied back and begun anew.
    fn fold(&self) -> Result<(), StoreError> {
        let folded = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        folded.map_err(|error| StoreError::of(&self.file, error))
    }
}

/// Writes lines, with all by which they are found again.
struct Pen<'c> {
    event: Statement<'c>,
    touch: Statement<'c>,
}

impl<'c> Pen<'c> {
    fn new(transaction: &'c Transaction<'_>) -> Result<Self, rusqlite::Error> {
        let event = "INSERT INTO events (seq, at, actor, body, kind, holder) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let touch = "INSERT OR IGNORE INTO touched VALUES (?1, ?2)";
        Ok(Pen { event: transaction.prepare(event)?, touch: transaction.prepare(touch)? })
    }

    fn write(&mut self, seq: i64, line: &Line, body: &str) -> Result<(), rusqlite::Error> {
        let at = i64::try_from(line.event.at.as_secs()).unwrap_or(i64::MAX);
        let (kind, holder) = (line.event.what.kind(), line.holder.map(|id| id.0.cast_signed()));
        self.event.execute(params![seq, at, actor(&line.event.who), body, kind, holder])?;
        line.prefixes
            .iter()
            .try_for_each(|prefix| self.touch.execute(params![octets(*prefix), seq]).map(drop))
    }
}

/// Whether it had a text that is another now.
fn write_card(transaction: &Transaction<'_>, change: &CardChange) -> Result<bool, rusqlite::Error> {
    let owner = owner_text(&change.owner);
    let texts = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let old = transaction
        .query_row("SELECT contact, note FROM cards WHERE owner = ?1", [&owner], texts)
        .optional()?;
    let (contact, note) = old.clone().unwrap_or_default();
    let new = (change.contact.clone().unwrap_or(contact), change.note.clone().unwrap_or(note));
    if new.0.is_empty() && new.1.is_empty() {
        transaction.execute("DELETE FROM cards WHERE owner = ?1", [&owner])?;
    } else {
        transaction
            .execute("INSERT OR REPLACE INTO cards VALUES (?1, ?2, ?3)", params![owner, new.0, new.1])?;
    }
    Ok(old.is_some_and(|old| old != new))
}

impl Journal for Store {
    fn replay(&mut self) -> Result<Registry, StoreError> {
        self.read().map_err(|error| StoreError::read(&self.file, error))
    }

    fn append(&mut self, lines: &[Line], cards: &[CardChange]) -> Result<(), StoreError> {
        let replaced = self.write(lines, cards).map_err(|error| StoreError::of(&self.file, error))?;
        if let Err(error) = if replaced { self.fold() } else { Ok(()) } {
            // All is written; only the old text's page lingers in the log until the next fold.
            tracing::warn!(%error, "an erased contact or note may be in the log for a while yet");
        }
        Ok(())
    }

    fn cards(&mut self, of: &[Owner]) -> Result<Vec<Card>, StoreError> {
        let read = || {
            let mut one = self.connection.prepare("SELECT contact, note FROM cards WHERE owner = ?1")?;
            let mut cards = Vec::new();
            for owner in of {
                let card = |row: &rusqlite::Row<'_>| {
                    Ok(Card { owner: *owner, contact: row.get(0)?, note: row.get(1)? })
                };
                cards.extend(one.query_row([owner_text(owner)], card).optional()?);
            }
            Ok(cards)
        };
        read().map_err(|error| StoreError::of(&self.file, error))
    }

    fn cards_with(&mut self, text: &str) -> Result<Vec<Owner>, StoreError> {
        let text = text.to_lowercase();
        let read = || {
            let mut all = self.connection.prepare("SELECT owner, contact, note FROM cards")?;
            let mut rows = all.query([])?;
            let mut owners = Vec::new();
            while let Some(row) = rows.next()? {
                let (contact, note): (String, String) = (row.get(1)?, row.get(2)?);
                if owners.len() < MATCHES
                    && (contact.to_lowercase().contains(&text) || note.to_lowercase().contains(&text))
                {
                    owners.extend(read_owner(&row.get::<_, String>(0)?));
                }
            }
            Ok(owners)
        };
        read().map_err(|error| StoreError::of(&self.file, error))
    }

    fn find(
        &mut self,
        before: Option<u64>,
        limit: usize,
        filter: &AuditFilter,
    ) -> Result<FoundPage, StoreError> {
        let found = find::find(&self.connection, self.last, before, limit, filter);
        found.map_err(|error| StoreError::read(&self.file, error))
    }

    fn backup(&mut self, to: &Path) -> Result<(), StoreError> {
        copy_to(&self.connection, to)
    }

    fn export(&mut self, to: &Path, cards: bool) -> Result<(), StoreError> {
        Store::export(self, to, cards)
    }
}

/// Owners that one word finds at most.
const MATCHES: usize = 10_000;

fn owner_text(owner: &Owner) -> String {
    match owner {
        Owner::Key(key) => format!("key {key}"),
        Owner::Holder(id) => format!("holder {id}"),
    }
}

fn read_owner(text: &str) -> Option<Owner> {
    match text.split_once(' ')? {
        ("key", key) => key.parse().ok().map(Owner::Key),
        ("holder", id) => id.parse().ok().map(|id| Owner::Holder(HolderId(id))),
        _ => None,
    }
}

/// A prefix in an order in which what it covers follows it directly.
fn octets(prefix: Prefix) -> [u8; 17] {
    let mut octets = [0; 17];
    octets[..16].copy_from_slice(&prefix.network().octets());
    octets[16] = prefix.len();
    octets
}

fn actor(who: &Actor) -> String {
    match who {
        Actor::Operator => "operator".to_owned(),
        Actor::Admin(name) => format!("admin {name}"),
        Actor::Token(name) => format!("token {name}"),
        Actor::KeyList(name) => format!("list {name}"),
        Actor::Node(key) => format!("node {key}"),
        Actor::Clock => "clock".to_owned(),
    }
}

fn damage(detail: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, detail.into())
}

/// Makes the file before SQLite does, so that nobody else can ever read it. An existing one is not touched.
fn make_private(file: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file);
    made.map(drop).map_err(|error| StoreError::Denied { file: file.to_owned(), detail: error.to_string() })
}

fn connect(file: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    // Until everything has been checked, closing must not write either.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(connection)
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn check(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let verdict: Result<String, _> = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(StoreError::damaged(file, verdict)),
        Err(error) => Err(StoreError::of(file, error)),
    }
}

fn settle(connection: &Connection) -> Result<(), rusqlite::Error> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        tracing::warn!(mode, "this disk cannot keep a write-ahead log; the registry is safe but slower");
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ln6_registry::{Admission, Pool, V1, What};
    use ln6_types::UnixTime;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("ln6d-store-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("scratch directory");
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn pool(n: u8) -> Line {
        let prefix = format!("2001:db8:{n:x}::/48").parse().expect("prefix");
        let what = What::PoolSet(Pool::new(prefix, Admission::Queue));
        let event =
            Event { v: V1, at: UnixTime::from_secs(5), who: Actor::Operator, reason: String::new(), what };
        Line::new(&Registry::new(), event)
    }

    #[test]
    fn a_full_disk_is_named_and_takes_nothing_of_the_group() {
        let scratch = Scratch::new("full");
        let (mut store, _) = Store::open(scratch.0.join("registry.db")).expect("open");
        store.append(&[pool(1)], &[]).expect("room");
        let pages = pragma(&store.connection, "page_count").expect("pages");
        store.connection.pragma_update(None, "max_page_count", pages).expect("limit");
        let many: Vec<Line> = (2..200).map(pool).collect();
        let error = store.append(&many, &[]).expect_err("full");
        assert_eq!(error.code(), "disk_full", "{error}");
        assert_eq!(store.replay().expect("replay").pools().count(), 1);
        store.connection.pragma_update(None, "max_page_count", 1_000_000).expect("room");
        store.append(&many, &[]).expect("room again");
        assert_eq!(store.replay().expect("replay").pools().count(), 199);
    }

    #[test]
    fn history_cannot_be_changed_even_by_hand_and_a_gap_is_seen() {
        let scratch = Scratch::new("gap");
        let file = scratch.0.join("registry.db");
        let (mut store, _) = Store::open(&file).expect("open");
        store.append(&[pool(1), pool(2), pool(3)], &[]).expect("written");
        assert!(store.connection.execute("DELETE FROM events WHERE seq = 2", []).is_err());
        assert!(store.connection.execute("UPDATE events SET body = '' WHERE seq = 2", []).is_err());
        let by_force = "DROP TRIGGER events_are_never_deleted; DELETE FROM events WHERE seq = 2";
        store.connection.execute_batch(by_force).expect("by force");
        drop(store);
        let error = Store::open(&file).map(drop).expect_err("gap");
        assert!(
            error.code() == "store_damaged" && error.to_string().contains("event 2 is missing"),
            "{error}"
        );
    }

    #[test]
    fn a_newer_layout_is_left_alone() {
        let scratch = Scratch::new("newer");
        let file = scratch.0.join("registry.db");
        let (store, _) = Store::open(&file).expect("open");
        store.connection.pragma_update(None, "user_version", 3).expect("newer");
        drop(store);
        assert!(matches!(Store::open(&file), Err(StoreError::Newer { found: 3, known: 2, .. })));
    }

    /// How long the journal is that the audit is tried with; `LN6D_AUDIT_ROWS` asks for another length.
    fn rows() -> i64 {
        std::env::var("LN6D_AUDIT_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
    }

    #[test]
    fn a_page_of_a_long_journal_costs_the_same_as_one_of_a_short_journal() {
        let scratch = Scratch::new("long");
        let (mut store, _) = Store::open(scratch.0.join("registry.db")).expect("open");
        store.connection.pragma_update(None, "synchronous", "OFF").expect("quick");
        let body = serde_json::to_string(&pool(1).event).expect("json");
        let many = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
             INSERT INTO events SELECT i, i, iif(i % 1000, 'operator', 'admin maria'), ?1, \
             iif(i % 5000, 'pool_set', 'issued'), i % 5000 FROM n",
            rows()
        );
        store.connection.execute(&many, [body]).expect("many");
        let touch = "INSERT INTO touched SELECT CAST(x'20010db8' || printf('%012d', seq) || x'40' AS BLOB), seq \
                     FROM events WHERE seq % 3 = 0";
        store.connection.execute_batch(touch).expect("touched");
        store.last = rows();
        let some = |text: &str| Some(text.to_owned());
        let one = AuditFilter::default;
        let filters = [
            one(),
            AuditFilter { holders: Some(vec![HolderId(17)]), ..one() },
            AuditFilter { actor: some("admin maria"), ..one() },
            AuditFilter { kind: some("issued"), ..one() },
            AuditFilter { prefix: Some("2001:db8::/32".parse().expect("prefix")), ..one() },
            AuditFilter { text: some("no such text"), ..one() },
            AuditFilter { kind: some("pool_set"), actor: some("admin"), text: some("no such text"), ..one() },
        ];
        for filter in &filters {
            for before in [None, Some(rows() as u64 / 2)] {
                let begin = std::time::Instant::now();
                let page = store.find(before, 500, filter).expect("page");
                let took = begin.elapsed();
                println!(
                    "{} rows, {} found, {took:?}: {filter:?} before {before:?}",
                    rows(),
                    page.lines.len()
                );
                // A noisy machine and no optimiser: by far less than reading all of it would take.
                assert!(took < Duration::from_millis(1500), "{took:?} for {filter:?}");
            }
        }
        let text = store.find(None, 500, &filters[5]).expect("page");
        assert!(
            text.lines.is_empty() && text.next == Some(rows() as u64 - 9_999),
            "it goes on from there: {text:?}"
        );
    }
}
