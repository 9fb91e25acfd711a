//! Looking back: the newest lines that a filter lets through, by index, with bounded work for each page.

use super::{damage, octets};
use crate::journal::{AuditFilter, Found, FoundPage, Line};
use ln6_registry::{Event, HolderId};
use ln6_types::Prefix;
use rusqlite::{Connection, Statement, params};
use std::net::Ipv6Addr;

/// Lines that are looked at for one page. Who filters by a rare word gets short pages and goes on with `next`.
const LOOKED_AT: usize = 10_000;

/// Numbers of lines that may match, newest first, and whether older ones were left out.
struct Candidates {
    seqs: Vec<i64>,
    more: bool,
}

pub(super) fn find(
    connection: &Connection,
    last: i64,
    before: Option<u64>,
    limit: usize,
    filter: &AuditFilter,
) -> Result<FoundPage, rusqlite::Error> {
    let before =
        before.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX)).min(last.saturating_add(1));
    let candidates = candidates(connection, before, filter)?;
    let wanted = Wanted::new(filter);
    let mut line = connection.prepare("SELECT actor, kind, holder, body FROM events WHERE seq = ?1")?;
    let mut touched = connection.prepare("SELECT prefix FROM touched WHERE seq = ?1 ORDER BY prefix")?;
    let mut page = FoundPage::default();
    for (index, seq) in candidates.seqs.iter().enumerate() {
        if page.lines.len() >= limit {
            page.next = page.lines.last().map(|found| found.seq);
            return Ok(page);
        }
        let row = line.query_row([seq], |row| {
            let (actor, kind): (String, String) = (row.get(0)?, row.get(1)?);
            let (holder, body): (Option<i64>, String) = (row.get(2)?, row.get(3)?);
            Ok(Row { actor, kind, holder: holder.map(|id| HolderId(id.cast_unsigned())), body })
        })?;
        if !wanted.row(&row) {
            continue;
        }
        let prefixes = prefixes(&mut touched, *seq)?;
        if filter.prefix.is_some_and(|wanted| !prefixes.iter().any(|prefix| prefix.overlaps(wanted))) {
            continue;
        }
        let event: Event =
            serde_json::from_str(&row.body).map_err(|error| damage(format!("event {seq}: {error}")))?;
        let line = Line { event, holder: row.holder, prefixes };
        page.lines.push(Found { seq: seq.unsigned_abs(), line });
        if index + 1 == candidates.seqs.len() {
            break;
        }
    }
    if candidates.more {
        page.next = candidates.seqs.last().map(|seq| seq.unsigned_abs());
    }
    Ok(page)
}

struct Row {
    actor: String,
    kind: String,
    holder: Option<HolderId>,
    body: String,
}

/// The filter, ready to be compared.
struct Wanted<'f> {
    filter: &'f AuditFilter,
    text: Option<String>,
}

impl<'f> Wanted<'f> {
    fn new(filter: &'f AuditFilter) -> Self {
        Wanted { filter, text: filter.text.as_ref().map(|text| text.to_lowercase()) }
    }

    fn row(&self, row: &Row) -> bool {
        let filter = self.filter;
        let actor = |wanted: &String| row.actor == *wanted || row.actor.split(' ').next() == Some(wanted);
        filter.actor.as_ref().is_none_or(actor)
            && filter.kind.as_ref().is_none_or(|kind| row.kind == *kind)
            && filter.holders.as_ref().is_none_or(|ids| row.holder.is_some_and(|id| ids.contains(&id)))
            && self.text.as_ref().is_none_or(|text| row.body.to_lowercase().contains(text))
    }
}

/// By the index that leaves the fewest.
fn candidates(
    connection: &Connection,
    before: i64,
    filter: &AuditFilter,
) -> Result<Candidates, rusqlite::Error> {
    if let Some(ids) = &filter.holders {
        let mut all = Vec::new();
        let mut by_holder = connection
            .prepare("SELECT seq FROM events WHERE holder = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3")?;
        for id in ids {
            let found = by_holder
                .query_map(params![id.0.cast_signed(), before, LOOKED_AT as i64 + 1], |row| row.get(0))?;
            all.extend(found.collect::<Result<Vec<i64>, _>>()?);
        }
        return Ok(newest(all));
    }
    if let Some(found) =
        filter.prefix.map(|prefix| by_prefix(connection, before, prefix)).transpose()?.flatten()
    {
        return Ok(found);
    }
    let one = |sql: &str, value: &str| -> Result<Candidates, rusqlite::Error> {
        let mut statement = connection.prepare(sql)?;
        let found = statement.query_map(params![value, before, LOOKED_AT as i64 + 1], |row| row.get(0))?;
        Ok(newest(found.collect::<Result<Vec<i64>, _>>()?))
    };
    // One word is a kind of actor: the index is in order of names within it, not of time.
    let whole = |actor: &&String| actor.contains(' ') || ["operator", "clock"].contains(&actor.as_str());
    match (&filter.kind, filter.actor.as_ref().filter(whole)) {
        (Some(kind), _) => {
            one("SELECT seq FROM events WHERE kind = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3", kind)
        }
        (None, Some(actor)) => {
            one("SELECT seq FROM events WHERE actor = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3", actor)
        }
        (None, None) => {
            let oldest = before.saturating_sub(LOOKED_AT as i64).max(1);
            Ok(Candidates { seqs: (oldest..before).rev().collect(), more: oldest > 1 })
        }
    }
}

fn newest(mut seqs: Vec<i64>) -> Candidates {
    seqs.sort_unstable_by(|a, b| b.cmp(a));
    seqs.dedup();
    let more = seqs.len() > LOOKED_AT;
    seqs.truncate(LOOKED_AT);
    Candidates { seqs, more }
}

/// `None` if so many lines are about parts of it that walking back through all is quicker.
fn by_prefix(
    connection: &Connection,
    before: i64,
    prefix: Prefix,
) -> Result<Option<Candidates>, rusqlite::Error> {
    let mut inside = connection
        .prepare("SELECT seq FROM touched WHERE prefix >= ?1 AND prefix <= ?2 AND seq < ?3 LIMIT ?4")?;
    let end = Prefix::new(Ipv6Addr::from_bits(last_address(prefix)), 128);
    let bounds = params![octets(prefix), octets(end), before, LOOKED_AT as i64 + 1];
    let mut seqs = inside.query_map(bounds, |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    if seqs.len() > LOOKED_AT {
        return Ok(None);
    }
    let mut exactly = connection
        .prepare("SELECT seq FROM touched WHERE prefix = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3")?;
    for len in 0..prefix.len() {
        let around = octets(Prefix::new(prefix.network(), len));
        let found = exactly.query_map(params![around, before, LOOKED_AT as i64 + 1], |row| row.get(0))?;
        seqs.extend(found.collect::<Result<Vec<i64>, _>>()?);
    }
    Ok(Some(newest(seqs)))
}

fn last_address(prefix: Prefix) -> u128 {
    prefix.network().to_bits() | u128::MAX.checked_shr(u32::from(prefix.len())).unwrap_or(0)
}

fn prefixes(touched: &mut Statement<'_>, seq: i64) -> Result<Vec<Prefix>, rusqlite::Error> {
    let rows = touched.query_map([seq], |row| row.get::<_, [u8; 17]>(0))?;
    let prefix = |octets: [u8; 17]| {
        let mut address = [0; 16];
        address.copy_from_slice(&octets[..16]);
        Prefix::new(Ipv6Addr::from(address), octets[16].min(128))
    };
    rows.map(|row| row.map(prefix)).collect()
}
