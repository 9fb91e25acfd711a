//! The whole registry as one text file, and back: a line for each event, as it lies in the journal, then the cards; a sum at
//! the end. An import of an export gives the same export again, octet for octet.

use super::{Pen, Store, make_private, owner_text, read_owner};
use crate::error::StoreError;
use crate::journal::Line;
use blake2::{Blake2s256, Digest};
use ln6_registry::{Event, Registry};
use ln6_types::Hex;
use rusqlite::{Connection, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FORMAT: &str = "ln6d registry export 1";
/// The longest line: an event with 64 prefixes or a note is far shorter.
const LONGEST_LINE: u64 = 64 * 1024;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    events: i64,
    cards: i64,
}

/// A contact and a note.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CardLine {
    owner: String,
    contact: String,
    note: String,
}

/// The last line: over every octet before it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    blake2s: String,
}

/// A writer that sums up what it writes.
struct Summing<W> {
    to: W,
    sum: Blake2s256,
}

impl<W: Write> Summing<W> {
    fn line(&mut self, text: &str) -> std::io::Result<()> {
        for part in [text.as_bytes(), b"\n"] {
            self.sum.update(part);
            self.to.write_all(part)?;
        }
        Ok(())
    }
}

impl Store {
    /// Writes everything to a new file (mode 0600; an existing one is refused), with contacts and notes only if asked. It is
    /// on disk when this returns.
    pub fn export(&self, to: &Path, cards: bool) -> Result<(), StoreError> {
        let denied =
            |error: std::io::Error| StoreError::Denied { file: to.to_owned(), detail: error.to_string() };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(denied)?;
        let written = write(&self.connection, BufWriter::new(&file), cards);
        let synced = written.and_then(|()| file.sync_all().map_err(Failure::Io));
        synced.map_err(|failure| {
            let _ = std::fs::remove_file(to);
            failure.told(self.file(), to)
        })
    }

    /// Makes a registry of an export, in a new file: all of it, or none. Nothing is believed: each event must be one of a
    /// registry, in order, and the sum must fit. `at` must not exist.
    pub fn import(at: &Path, from: &Path) -> Result<(Store, Registry), StoreError> {
        if at.exists() {
            let detail = "there is a registry already; an export is read into a new one".to_owned();
            return Err(StoreError::Denied { file: at.to_owned(), detail });
        }
        let source = File::open(from)
            .map_err(|error| StoreError::Denied { file: from.to_owned(), detail: error.to_string() })?;
        // Made beside it and then renamed: a half-read registry never lies under its name.
        let mut making = at.as_os_str().to_owned();
        making.push(".importing");
        let making = Path::new(&making).to_owned();
        let _ = std::fs::remove_file(&making);
        make_private(&making)?;
        let (mut store, _) = Store::open(&making)?;
        let read = read(&mut store.connection, BufReader::new(source));
        let done = read.map_err(|failure| failure.told(&making, from)).and_then(|()| {
            let folded = store.fold();
            drop(store);
            folded
        });
        let gone = |name: &Path| {
            for end in ["", "-wal", "-shm"] {
                let mut file = name.as_os_str().to_owned();
                file.push(end);
                let _ = std::fs::remove_file(file);
            }
        };
        if let Err(error) = done {
            gone(&making);
            return Err(error);
        }
        let moved = std::fs::rename(&making, at);
        moved.map_err(|error| StoreError::Io { file: at.to_owned(), detail: error.to_string() })?;
        Store::open(at)
    }
}

/// What went wrong, before it is known with which file.
enum Failure {
    /// The export itself makes no sense.
    Nonsense(String),
    Io(std::io::Error),
    Database(rusqlite::Error),
}

impl Failure {
    fn told(self, database: &Path, export: &Path) -> StoreError {
        match self {
            Failure::Nonsense(detail) => StoreError::ExportDamaged { file: export.to_owned(), detail },
            Failure::Io(error) => match error.kind() {
                std::io::ErrorKind::StorageFull => StoreError::Full { file: export.to_owned() },
                _ => StoreError::Io { file: export.to_owned(), detail: error.to_string() },
            },
            Failure::Database(error) => StoreError::read(database, error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Database(error)
    }
}

fn nonsense(detail: impl Into<String>) -> Failure {
    Failure::Nonsense(detail.into())
}

fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| nonsense(error.to_string()))
}

fn write(connection: &Connection, to: impl Write, cards: bool) -> Result<(), Failure> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let events = count("SELECT count(*) FROM events")?;
    let carried = if cards { count("SELECT count(*) FROM cards")? } else { 0 };
    let mut out = Summing { to, sum: Blake2s256::new() };
    out.line(&json(&Head { format: FORMAT.to_owned(), events, cards: carried })?)?;
    let mut all = connection.prepare("SELECT body FROM events ORDER BY seq")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        out.line(&row.get::<_, String>(0)?)?;
    }
    if cards {
        let mut all = connection.prepare("SELECT owner, contact, note FROM cards ORDER BY owner")?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            let card = CardLine { owner: row.get(0)?, contact: row.get(1)?, note: row.get(2)? };
            out.line(&json(&card)?)?;
        }
    }
    let sum = Hex(&out.sum.finalize_reset()).to_string();
    out.line(&json(&Sum { blake2s: sum })?)?;
    out.to.flush()?;
    Ok(())
}

/// Lines of bounded length, each ended, summed up.
struct Lines<R> {
    from: R,
    sum: Blake2s256,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line, not yet counted into the sum.
    fn next(&mut self) -> Result<String, Failure> {
        self.number += 1;
        let mut octets = Vec::new();
        (&mut self.from).take(LONGEST_LINE).read_until(b'\n', &mut octets)?;
        if octets.pop() != Some(b'\n') {
            return Err(nonsense(format!("line {} is cut off or far too long", self.number)));
        }
        String::from_utf8(octets).map_err(|_| nonsense(format!("line {} is no text", self.number)))
    }

    fn summed<T: for<'de> Deserialize<'de>>(&mut self) -> Result<(T, String), Failure> {
        let line = self.next()?;
        self.sum.update(line.as_bytes());
        self.sum.update(b"\n");
        let value = serde_json::from_str(&line)
            .map_err(|error| nonsense(format!("line {}: {error}", self.number)))?;
        Ok((value, line))
    }
}

fn read(connection: &mut Connection, from: impl BufRead) -> Result<(), Failure> {
    let mut lines = Lines { from, sum: Blake2s256::new(), number: 0 };
    let (head, _): (Head, _) = lines.summed()?;
    if head.format != FORMAT {
        return Err(nonsense(format!("it is '{}', this version reads '{FORMAT}'", head.format)));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let mut registry = Registry::new();
    {
        let mut pen = Pen::new(&transaction)?;
        for seq in 1..=head.events {
            let (event, body): (Event, String) = lines.summed()?;
            let line = Line::new(&registry, event);
            pen.write(seq, &line, &body)?;
            registry.apply(&line.event);
        }
    }
    for _ in 0..head.cards {
        let (card, _): (CardLine, _) = lines.summed()?;
        let owner = read_owner(&card.owner).map(|owner| owner_text(&owner));
        let owner = owner.ok_or_else(|| nonsense(format!("line {} has no owner", lines.number)))?;
        let put = "INSERT INTO cards VALUES (?1, ?2, ?3)";
        transaction.execute(put, params![owner, card.contact, card.note])?;
    }
    let sum = Hex(&lines.sum.finalize_reset()).to_string();
    let last: Sum = serde_json::from_str(&lines.next()?).map_err(|_| nonsense("its last line is no sum"))?;
    if last.blake2s != sum {
        return Err(nonsense("its sum does not fit: it was changed or damaged"));
    }
    if !lines.from.fill_buf()?.is_empty() {
        return Err(nonsense("something follows its sum"));
    }
    transaction.commit()?;
    Ok(())
}
