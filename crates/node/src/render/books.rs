//! What the broker's books say: holders, reservations, pools, policy, history, the journal, what waits.

use super::lists::{empty, short};
use super::table::{Cell, Table, Tone};
use super::units::{bytes, day, in_span, second, span};
use super::{Render, Style};
use crate::schema::{
    AuditList, BackupList, ConfirmationList, DenialList, EffectsReport, HistoryList, HolderList,
    HolderReport, HolderRow, PolicyReport, PoolList, ReservationList,
};
use ln6_types::{Prefix, PublicKey};
use std::fmt::Write as _;

/// How a state looks.
pub(super) fn tone(state: &str) -> Tone {
    match state {
        "active" | "live" | "delegated" => Tone::Good,
        "suspended" | "in_grace" | "reserved" | "retiring" | "partly" => Tone::Warn,
        "quarantined" | "left" | "gone" | "lapsed" | "free" | "outside" | "hosts" => Tone::Dim,
        _ => Tone::Bad,
    }
}

fn state(word: &str) -> Cell {
    Cell::toned(word.replace('_', " "), tone(word))
}

fn joined(prefixes: impl Iterator<Item = Prefix>) -> String {
    let all: Vec<String> = prefixes.map(|prefix| prefix.to_string()).collect();
    all.join(", ")
}

/// Prefixes that are in certificates, or all if none is.
fn held(holder: &HolderRow) -> String {
    let live = |state: &str| matches!(state, "active" | "retiring");
    let any = holder.prefixes.iter().any(|row| live(&row.state));
    joined(holder.prefixes.iter().filter(|row| !any || live(&row.state)).map(|row| row.prefix))
}

impl Render for HolderList {
    fn render(&self, style: Style) -> String {
        if self.holders.is_empty() {
            return empty("Nobody, of those asked for.");
        }
        let mut table =
            Table::new(&["NAME", "STATE", "PREFIX", ">KEYS", "ROLES", "CONTACT", "SINCE", "UNDO UNTIL"]);
        for holder in &self.holders {
            let active = holder.keys.iter().filter(|key| key.state == "active").count();
            table.row(vec![
                Cell::toned(holder.name.clone(), Tone::Bold),
                state(&holder.state),
                Cell::or_dash(Some(held(holder))),
                active.to_string().into(),
                Cell::or_dash(Some(holder.roles.join(", "))),
                Cell::or_dash(holder.contact.clone()),
                day(holder.since).into(),
                Cell::or_dash(holder.undo_until.map(day)),
            ]);
        }
        let mut out = table.render(style.paint);
        let last = self.offset + self.holders.len() as u64;
        if self.offset > 0 || last < self.total {
            let more = format!("{} to {last} of {}; --offset {last} goes on", self.offset + 1, self.total);
            let _ = writeln!(out, "\n{}", style.paint.dim(&more));
        }
        out
    }
}

impl Render for HolderReport {
    fn render(&self, style: Style) -> String {
        let holder = &self.holder;
        let head = format!("{} · {}", style.paint.bold(&holder.name), holder.state);
        let mut out = format!("{head} · since {} · revision {}\n\n", day(holder.since), holder.revision);
        let mut line = |label: &str, text: &str| {
            let _ = writeln!(out, "  {} {text}", style.paint.dim(&format!("{label:<10}")));
        };
        holder.undo_until.iter().for_each(|until| {
            line("Undo", &format!("until {} ({})", day(*until), in_span(*until, style.now)));
        });
        for row in &holder.prefixes {
            let until = row.until.map_or_else(String::new, |until| format!(" until {}", day(until)));
            let grows = match row.grows_to < row.prefix.len() {
                true => format!(", can grow in place to /{}", row.grows_to),
                false => String::new(),
            };
            line("Prefix", &format!("{}  {}{until}{grows}", row.prefix, row.state));
        }
        for key in &holder.keys {
            let ends =
                key.not_after.map_or_else(String::new, |end| format!(", certificate until {}", day(end)));
            line("Key", &format!("{}  {} · {}{ends}", key.key, key.name, key.state));
        }
        if !holder.roles.is_empty() {
            line("Roles", &holder.roles.join(", "));
        }
        holder.bytes_per_second.iter().for_each(|limit| line("Limit", &format!("{}/s", bytes(*limit))));
        holder.contact.iter().for_each(|contact| line("Contact", contact));
        holder.note.iter().flat_map(|note| note.lines()).for_each(|note| line("Note", note));
        out
    }
}

impl Render for ReservationList {
    fn render(&self, style: Style) -> String {
        if self.reservations.is_empty() {
            return empty("Nothing is reserved. 'ln6d reserve PREFIX --for NAME' keeps a prefix.");
        }
        let mut table = Table::new(&["PREFIX", "FOR", "WHY"]);
        for row in &self.reservations {
            table.row(vec![
                Cell::toned(row.prefix.to_string(), Tone::Bold),
                Cell::or_dash(row.holder.clone()),
                Cell::or_dash(Some(row.note.clone())),
            ]);
        }
        table.render(style.paint)
    }
}

impl Render for DenialList {
    fn render(&self, style: Style) -> String {
        if self.denials.is_empty() {
            return empty("No denial lasts.");
        }
        let mut table = Table::new(&[">ID", "NAME", "WHY", "DENIED", "MAY ASK AGAIN", "KEY"]);
        for row in &self.denials {
            table.row(vec![
                Cell::or_dash(row.request.clone()),
                Cell::or_dash(row.name.clone()),
                Cell::or_dash(Some(row.reason.clone())),
                day(row.time).into(),
                format!("{} ({})", day(row.until), in_span(row.until, style.now)).into(),
                short(&row.key).into(),
            ]);
        }
        let next = style.paint.dim("'ln6d undo --request ID' lets one wait again.");
        format!("{}\n{next}\n", table.render(style.paint))
    }
}

impl Render for PoolList {
    fn render(&self, style: Style) -> String {
        if self.pools.is_empty() {
            return empty("There is no pool. 'ln6d pool set PREFIX' adds one.");
        }
        let mut table =
            Table::new(&["POOL", "STATE", "ADMITS BY", "GIVES", ">HELD", ">USED", ">FREE", "HOSTS FROM"]);
        for pool in &self.pools {
            let open = if pool.open { ("open", Tone::Good) } else { ("closed", Tone::Dim) };
            let sizes = format!("/{}, /{} to /{}", pool.default, pool.largest, pool.smallest);
            table.row(vec![
                Cell::toned(pool.prefix.to_string(), Tone::Bold),
                Cell::toned(open.0, open.1),
                pool.admission.replace('_', " ").into(),
                sizes.into(),
                pool.delegations.to_string().into(),
                format!("{:.1} %", pool.used_ratio * 100.0).into(),
                Cell::or_dash(
                    (pool.slots > 0).then(|| format!("{} of {} /{}", pool.free, pool.slots, pool.default)),
                ),
                Cell::or_dash(pool.hosts.map(|hosts| hosts.to_string())),
            ]);
        }
        table.render(style.paint)
    }
}

impl Render for PolicyReport {
    fn render(&self, style: Style) -> String {
        let mut out = String::new();
        let mut line = |label: &str, text: String| {
            let _ = writeln!(out, "{} {text}", style.paint.dim(&format!("{label:<34}")));
        };
        line("A certificate is valid for", span(self.validity_seconds));
        line("and honoured after that for", span(self.grace_seconds));
        line("A revocation can be undone for", span(self.revocation_grace_seconds));
        line("A prefix given back is kept for", span(self.quarantine_seconds));
        line("After a move the old one lives for", span(self.move_seconds));
        line("A request waits for", span(self.request_seconds));
        line("A denial lasts for", span(self.denial_seconds));
        line("Requests waiting at once", self.queue.to_string());
        line("and for one name", self.queue_per_name.to_string());
        out
    }
}

impl Render for HistoryList {
    fn render(&self, style: Style) -> String {
        if self.rows.is_empty() {
            return empty(&format!("Nobody held {}.", self.prefix));
        }
        let mut table = Table::new(&["PREFIX", "HOLDER", "FROM", "TO", "KEYS"]);
        for row in &self.rows {
            let keys: Vec<String> = row.keys.iter().map(short).collect();
            table.row(vec![
                Cell::toned(row.prefix.to_string(), Tone::Bold),
                row.holder.clone().into(),
                second(row.from).into(),
                row.to.map_or_else(|| Cell::toned("now", Tone::Good), |to| second(to).into()),
                Cell::or_dash(Some(keys.join(", "))),
            ]);
        }
        table.render(style.paint)
    }
}

/// With every key in short: whole ones make a line three times as wide, and are in the JSON.
fn shortened(text: &str) -> String {
    let part = |part: &str| part.parse::<PublicKey>().map_or_else(|_| part.to_owned(), |key| short(&key));
    let word = |word: &str| match word.split_once(':') {
        Some((kind, key)) => format!("{kind}:{}", part(key)),
        None => part(word),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

impl Render for AuditList {
    fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for row in &self.rows {
            let why = row.reason.as_deref().map_or_else(String::new, |why| format!(" — {why}"));
            let head = format!("{:>6}  {}", row.seq, second(row.time));
            let _ = writeln!(
                out,
                "{}  {}: {}{}",
                style.paint.dim(&head),
                style.paint.bold(&shortened(&row.actor)),
                shortened(&row.message),
                style.paint.dim(&why)
            );
        }
        match (self.next, self.rows.is_empty()) {
            (Some(next), _) => {
                let _ = writeln!(out, "{}", style.paint.dim(&format!("--before {next} shows what is older")));
            }
            (None, true) => out.push_str("Nothing, of what was asked for.\n"),
            (None, false) => {}
        }
        out
    }
}

impl Render for EffectsReport {
    fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for effect in &self.effects {
            let _ = writeln!(out, "{}", effect.message);
        }
        for warning in &self.warnings {
            let _ = writeln!(out, "{}", style.paint.warn(&warning.message));
        }
        if let Some(until) = self.undo_until {
            let _ = writeln!(out, "It can be undone until {}.", day(until));
        }
        out
    }
}

impl Render for ConfirmationList {
    fn render(&self, style: Style) -> String {
        if self.confirmations.is_empty() {
            return empty("Nothing waits to be confirmed.");
        }
        let mut out = String::new();
        for row in &self.confirmations {
            let _ = writeln!(
                out,
                "{}  {} asks for {} {}",
                style.paint.bold(&row.code),
                row.actor,
                row.action,
                row.request
            );
            for effect in &row.effects {
                let _ = writeln!(out, "          {}", effect.message);
            }
            if let Some(refused) = &row.refused {
                let _ =
                    writeln!(out, "          {}", style.paint.bad(&format!("would be refused: {refused}")));
            }
            let _ = writeln!(out, "          {}", style.paint.dim(&format!("until {}", second(row.until))));
        }
        let next = style.paint.dim("'ln6d confirm CODE' carries one out.");
        format!("{out}\n{next}\n")
    }
}

impl Render for BackupList {
    fn render(&self, style: Style) -> String {
        if self.backups.is_empty() {
            return empty("There is no copy yet. 'ln6d backup' makes one.");
        }
        let mut table = Table::new(&["FILE", "MADE", ">SIZE"]);
        for row in &self.backups {
            table.row(vec![row.file.clone().into(), second(row.time).into(), bytes(row.bytes).into()]);
        }
        table.render(style.paint)
    }
}
