//! The tables, and how an older file comes to have them: copied aside first, then changed in one transaction.

use super::{make_private, pragma};
use crate::error::StoreError;
use crate::journal::{Line, Owner};
use ln6_registry::{Event, Registry};
use ln6_types::PublicKey;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::path::{Path, PathBuf};

/// `ln6d` in ASCII.
const APPLICATION_ID: i64 = 0x6c6e_3664;
/// The layout that this version reads and writes.
pub(super) const LAYOUT: i64 = 2;

/// The first layout, as its version wrote it. History is only ever added to: the triggers hold even against a person with
/// the SQLite shell.
pub(super) const FIRST: &str = "
CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE contacts (key BLOB PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'history is kept'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'history is kept'); END;
";

/// The second: an event is found by its kind, its actor, its holder and its prefixes (each index ends with the event's
/// number). Cards take the place of contacts.
const SECOND: &str = "
ALTER TABLE events ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN holder INTEGER;
CREATE TABLE touched (prefix BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (prefix, seq)) STRICT, WITHOUT ROWID;
CREATE INDEX touched_by_event ON touched (seq);
CREATE INDEX events_by_kind ON events (kind);
CREATE INDEX events_by_actor ON events (actor);
CREATE INDEX events_by_holder ON events (holder) WHERE holder IS NOT NULL;
CREATE TABLE cards (owner TEXT PRIMARY KEY, contact TEXT NOT NULL, note TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

const FREEZE: &str = "
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'history is kept'); END;
";

/// What a file holds.
pub(super) enum Found {
    Nothing,
    Current,
    Older(i64),
}

/// What is in the file; refuses what is not ours.
pub(super) fn look(connection: &Connection, file: &Path) -> Result<Found, StoreError> {
    let read = || {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((tables, pragma(connection, "application_id")?, pragma(connection, "user_version")?))
    };
    match read().map_err(|error| StoreError::of(file, error))? {
        (0, 0, 0) => Ok(Found::Nothing),
        (_, APPLICATION_ID, LAYOUT) => Ok(Found::Current),
        (_, APPLICATION_ID, found) if (1..LAYOUT).contains(&found) => Ok(Found::Older(found)),
        (_, APPLICATION_ID, found) => Err(StoreError::Newer { file: file.to_owned(), found, known: LAYOUT }),
        _ => Err(StoreError::Foreign { file: file.to_owned() }),
    }
}

pub(super) fn lay_out(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    transaction.execute_batch(FIRST)?;
    transaction.execute_batch("DROP TABLE contacts")?;
    transaction.execute_batch(SECOND)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.commit()
}

/// Copies the file aside and brings it to today's layout. The copy stays; what fails leaves the file as it was.
pub(super) fn migrate(connection: &mut Connection, file: &Path, from: i64) -> Result<PathBuf, StoreError> {
    let copy = aside(file, from)?;
    copy_to(connection, &copy)?;
    tracing::info!(from, to = LAYOUT, copy = %copy.display(), "the registry's file gets a new layout; the old one is kept");
    if let Err(error) = change(connection) {
        // Nothing was changed: a daemon that is started again and again must not fill the disk with copies.
        let _ = std::fs::remove_file(&copy);
        return Err(StoreError::read(file, error));
    }
    Ok(copy)
}

/// Writes a whole, synced copy to a new file that only its owner reads.
pub(super) fn copy_to(connection: &Connection, to: &Path) -> Result<(), StoreError> {
    make_private(to)?;
    let copied = connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]);
    copied.map_err(|error| StoreError::of(to, error))?;
    let synced = std::fs::File::open(to).and_then(|copy| copy.sync_all());
    synced.map_err(|error| StoreError::Io { file: to.to_owned(), detail: error.to_string() })
}

/// A name beside the file that nobody has yet.
fn aside(file: &Path, layout: i64) -> Result<PathBuf, StoreError> {
    let name = |number: u32| {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".layout-{layout}"));
        if number > 1 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    (1..100).map(name).find(|name| !name.exists()).ok_or_else(|| StoreError::Denied {
        file: name(1),
        detail: "there are too many old copies beside it; remove some".to_owned(),
    })
}

fn change(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    transaction.execute_batch("DROP TRIGGER events_are_never_changed")?;
    transaction.execute_batch(SECOND)?;
    index_events(&transaction)?;
    carry_contacts(&transaction)?;
    transaction.execute_batch(FREEZE)?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.commit()
}

fn index_events(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    let mut registry = Registry::new();
    let mut update = transaction.prepare("UPDATE events SET kind = ?2, holder = ?3 WHERE seq = ?1")?;
    let mut touch = transaction.prepare("INSERT INTO touched VALUES (?1, ?2)")?;
    let last: i64 =
        transaction.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))?;
    let mut seq = 0;
    // In parts: what is read must not be changed under the reader.
    while seq < last {
        let mut read_next =
            transaction.prepare("SELECT seq, body FROM events WHERE seq > ?1 ORDER BY seq LIMIT 1000")?;
        let rows = read_next.query_map([seq], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let Some((end, _)) = rows.last() else { break };
        seq = *end;
        for (seq, body) in &rows {
            let event: Event =
                serde_json::from_str(body).map_err(|e| super::damage(format!("event {seq}: {e}")))?;
            let line = Line::new(&registry, event);
            update.execute(params![seq, line.event.what.kind(), line.holder.map(|id| id.0.cast_signed())])?;
            for prefix in &line.prefixes {
                touch.execute(params![super::octets(*prefix), seq])?;
            }
            registry.apply(&line.event);
        }
    }
    Ok(())
}

fn carry_contacts(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    let mut read = transaction.prepare("SELECT key, text FROM contacts")?;
    let rows = read.query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?)))?;
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        let owner = super::owner_text(&Owner::Key(PublicKey(row.0)));
        transaction.execute("INSERT INTO cards VALUES (?1, ?2, '')", params![owner, row.1])?;
    }
    drop(read);
    transaction.execute_batch("DROP TABLE contacts")
}
