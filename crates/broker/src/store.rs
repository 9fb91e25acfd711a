//! The journal in SQLite: one table of events, write-ahead log, synced before it is acknowledged.

use crate::error::StoreError;
use crate::journal::{Contact, Journal};
use ln6_registry::{Actor, Event, Registry};
use ln6_types::PublicKey;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `ln6d` in ASCII.
const APPLICATION_ID: i64 = 0x6c6e_3664;
const LAYOUT: i64 = 1;

/// History is only ever added to: the triggers hold even against a person with the SQLite shell.
const TABLES: &str = "
CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE contacts (key BLOB PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'history is kept'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'history is kept'); END;
";

/// A registry's file. Only one process at a time can hold it.
#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    connection: Connection,
    last: i64,
}

impl Store {
    /// Opens or makes the file (mode 0600), checks all of it and replays the registry. A file that is damaged, foreign or
    /// newer is left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<(Store, Registry), StoreError> {
        let file = path.as_ref().to_owned();
        make_private(&file)?;
        let mut connection = connect(&file).map_err(|error| StoreError::of(&file, error))?;
        if is_new(&connection, &file)? {
            lay_out(&mut connection).map_err(|error| StoreError::of(&file, error))?;
        } else {
            check(&connection, &file)?;
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

    fn write(&mut self, events: &[Event], contacts: &[Contact]) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut seq = self.last;
        {
            let mut event = transaction.prepare("INSERT INTO events VALUES (?1, ?2, ?3, ?4)")?;
            for line in events {
                seq += 1;
                let body = serde_json::to_string(line)
                    .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
                let at = i64::try_from(line.at.as_secs()).unwrap_or(i64::MAX);
                event.execute(params![seq, at, actor(&line.who), body])?;
            }
            let mut contact = transaction.prepare("INSERT OR REPLACE INTO contacts VALUES (?1, ?2)")?;
            for line in contacts {
                contact.execute(params![line.key.as_bytes(), line.text])?;
            }
        }
        transaction.commit()?;
        self.last = seq;
        Ok(())
    }
}

impl Journal for Store {
    fn replay(&mut self) -> Result<Registry, StoreError> {
        self.read().map_err(|error| match error {
            rusqlite::Error::FromSqlConversionFailure(_, _, detail) => {
                StoreError::damaged(&self.file, detail)
            }
            error => StoreError::of(&self.file, error),
        })
    }

    fn append(&mut self, events: &[Event], contacts: &[Contact]) -> Result<(), StoreError> {
        self.write(events, contacts).map_err(|error| StoreError::of(&self.file, error))
    }

    fn contacts(&mut self) -> Result<Vec<Contact>, StoreError> {
        let read = || {
            let mut statement = self.connection.prepare("SELECT key, text FROM contacts")?;
            let rows = statement.query_map([], |row| {
                Ok(Contact { key: PublicKey(row.get::<_, [u8; 32]>(0)?), text: row.get(1)? })
            })?;
            rows.collect::<Result<Vec<Contact>, _>>()
        };
        read().map_err(|error| StoreError::of(&self.file, error))
    }

    fn erase_contact(&mut self, key: &PublicKey) -> Result<(), StoreError> {
        let erased = self.connection.execute("DELETE FROM contacts WHERE key = ?1", [key.as_bytes()]);
        // The log keeps the old page until it is copied back and begun anew.
        let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
        let folded = erased.and_then(|_| self.connection.query_row(fold, [], |_| Ok(())));
        folded.map_err(|error| StoreError::of(&self.file, error))
    }

    fn backup(&mut self, to: &Path) -> Result<(), StoreError> {
        make_private(to)?;
        let copied = self.connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]);
        copied.map(drop).map_err(|error| StoreError::of(to, error))
    }
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

/// Whether there is nothing in it yet; refuses what is not ours.
fn is_new(connection: &Connection, file: &Path) -> Result<bool, StoreError> {
    let read = || {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((tables, pragma(connection, "application_id")?, pragma(connection, "user_version")?))
    };
    match read().map_err(|error| StoreError::of(file, error))? {
        (0, 0, 0) => Ok(true),
        (_, APPLICATION_ID, LAYOUT) => Ok(false),
        (_, APPLICATION_ID, found) => Err(StoreError::Newer { file: file.to_owned(), found }),
        _ => Err(StoreError::Foreign { file: file.to_owned() }),
    }
}

fn lay_out(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    settle(connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.commit()
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

    fn pool(n: u8) -> Event {
        let prefix = format!("2001:db8:{n:x}::/48").parse().expect("prefix");
        let what = What::PoolSet(Pool::new(prefix, Admission::Queue));
        Event { v: V1, at: UnixTime::from_secs(5), who: Actor::Operator, reason: String::new(), what }
    }

    #[test]
    fn a_full_disk_is_named_and_takes_nothing_of_the_group() {
        let scratch = Scratch::new("full");
        let (mut store, _) = Store::open(scratch.0.join("registry.db")).expect("open");
        store.append(&[pool(1)], &[]).expect("room");
        let pages = pragma(&store.connection, "page_count").expect("pages");
        store.connection.pragma_update(None, "max_page_count", pages).expect("limit");
        let many: Vec<Event> = (2..200).map(pool).collect();
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
        store.connection.pragma_update(None, "user_version", 2).expect("newer");
        drop(store);
        assert!(matches!(Store::open(&file), Err(StoreError::Newer { found: 2, .. })));
    }
}
