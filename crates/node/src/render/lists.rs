//! The lists: peers, sessions, routes, prefixes, requests, certificates, events.

use super::table::{Cell, Table, Tone};
use super::units::{ago, bytes, day, in_span, round_trip, second};
use super::{Render, Style};
use crate::schema::{
    CertList, EventList, PathKind, PeerList, PeerRow, PrefixList, RouteList, RouteRow, SessionList, Severity,
    Time,
};
use ln6_types::{Prefix, PublicKey};
use std::net::SocketAddr;

pub(super) fn empty(words: &str) -> String {
    format!("{words}\n")
}

pub(super) fn short(key: &PublicKey) -> String {
    format!("{}…", key.to_string().chars().take(8).collect::<String>())
}

fn named(name: &str, key: &PublicKey) -> Cell {
    if name.is_empty() { Cell::toned(short(key), Tone::Dim) } else { Cell::toned(name, Tone::Bold) }
}

fn path(kind: Option<PathKind>, endpoint: Option<SocketAddr>, through: Option<&str>) -> String {
    match kind {
        Some(PathKind::Direct) => endpoint.map_or_else(|| "direct".to_owned(), |to| to.to_string()),
        Some(PathKind::Relayed) => format!("through {}", through.unwrap_or("another node")),
        None => String::new(),
    }
}

fn joined(prefixes: &[Prefix]) -> Option<String> {
    match prefixes {
        [] => None,
        [one] => Some(one.to_string()),
        [first, rest @ ..] => Some(format!("{first} +{}", rest.len())),
    }
}

fn when(time: Option<Time>, style: Style) -> Cell {
    Cell::or_dash(time.map(|time| ago(time, style.now)))
}

impl Render for PeerList {
    fn render(&self, style: Style) -> String {
        if self.peers.is_empty() {
            return empty("Nobody is known yet.");
        }
        let mut table =
            Table::new(&["NAME", "STATE", "PREFIX", "PATH", ">RTT", ">RECEIVED", ">SENT", "HEARD", "ROLE"]);
        for peer in &self.peers {
            let traffic = |count: u64| Cell::or_dash((count > 0).then(|| bytes(count)));
            table.row(vec![
                named(&peer.name, &peer.key),
                state(peer),
                Cell::or_dash(joined(&peer.prefixes)),
                Cell::or_dash(Some(path(peer.path, peer.endpoint, peer.through.as_deref()))),
                Cell::or_dash(peer.rtt_seconds.map(round_trip)),
                traffic(peer.rx_bytes),
                traffic(peer.tx_bytes),
                when(peer.last_heard, style),
                Cell::or_dash(Some(roles(peer))),
            ]);
        }
        table.render(style.paint)
    }
}

fn state(peer: &PeerRow) -> Cell {
    match (peer.connected, peer.path) {
        (true, _) if peer.silent => Cell::toned("silent", Tone::Bad),
        (true, Some(PathKind::Relayed)) => Cell::toned("relayed", Tone::Warn),
        (true, _) => Cell::toned("direct", Tone::Good),
        (false, _) => Cell::toned("idle", Tone::Dim),
    }
}

fn roles(peer: &PeerRow) -> String {
    let kind = (peer.kind != "node").then_some(peer.kind.as_str());
    kind.into_iter().chain(peer.roles.iter().map(String::as_str)).collect::<Vec<_>>().join(", ")
}

impl Render for SessionList {
    fn render(&self, style: Style) -> String {
        if self.sessions.is_empty() {
            return empty("No session is up.");
        }
        let mut table = Table::new(&[
            "PEER",
            "PATH",
            ">MTU",
            "SUITE",
            ">COST",
            ">RTT",
            ">RECEIVED",
            ">SENT",
            "KEYS",
            "HEARD",
        ]);
        for session in &self.sessions {
            let cost =
                session.cost.map(|cost| if cost == u16::MAX { "down".to_owned() } else { cost.to_string() });
            table.row(vec![
                named(&session.peer, &session.key),
                path(Some(session.path), session.endpoint, session.through.as_deref()).into(),
                mtu(session.mtu, session.whole),
                Cell::or_dash(session.suite.clone()),
                Cell::or_dash(cost),
                Cell::or_dash(session.rtt_seconds.map(round_trip)),
                bytes(session.rx_bytes).into(),
                bytes(session.tx_bytes).into(),
                when(session.last_handshake, style),
                when(session.last_heard, style),
            ]);
        }
        table.render(style.paint)
    }
}

/// A size that was not seen to pass in one piece is dimmed.
fn mtu(octets: Option<u16>, whole: bool) -> Cell {
    match octets {
        Some(octets) if !whole => Cell::toned(octets.to_string(), Tone::Dim),
        octets => Cell::or_dash(octets.map(|octets| octets.to_string())),
    }
}

impl Render for RouteList {
    fn render(&self, style: Style) -> String {
        if self.routes.is_empty() {
            return empty("No routes yet.");
        }
        let mut table = Table::new(&["", "TO", "FROM", "OWNER", "VIA", ">METRIC", "NOTE"]);
        for route in &self.routes {
            let owner =
                if route.owner.is_empty() { route.router_id.to_string() } else { route.owner.clone() };
            let mark = if route.selected { Cell::toned("*", Tone::Good) } else { Cell::from(" ") };
            table.row(vec![
                mark,
                route.to.to_string().into(),
                Cell::or_dash((!route.from.is_default()).then(|| route.from.to_string())),
                owner.into(),
                route.via.clone().unwrap_or_else(|| "(own)".to_owned()).into(),
                route
                    .metric
                    .map_or_else(|| Cell::toned("none", Tone::Dim), |metric| metric.to_string().into()),
                note(route),
            ]);
        }
        table.render(style.paint)
    }
}

fn note(route: &RouteRow) -> Cell {
    match &route.refused {
        Some(reason) => Cell::toned(format!("refused: {}", reason.replace('_', " ")), Tone::Bad),
        None if !route.feasible => Cell::toned("not feasible", Tone::Dim),
        None => Cell::or_dash(None),
    }
}

impl Render for PrefixList {
    fn render(&self, style: Style) -> String {
        if self.prefixes.is_empty() {
            return empty("Nothing is delegated yet. 'ln6d invite' makes a link for the first gateway.");
        }
        let mut table = Table::new(&["PREFIX", "HOLDER", "STATE", ">KEYS", "SINCE", "UNTIL"]);
        for row in &self.prefixes {
            let tone = match row.state.as_str() {
                "active" | "live" => Tone::Good,
                "suspended" | "in_grace" | "reserved" => Tone::Warn,
                "quarantined" => Tone::Dim,
                _ => Tone::Bad,
            };
            let until = row.until.map(|until| format!("{} ({})", day(until), in_span(until, style.now)));
            table.row(vec![
                Cell::toned(row.prefix.to_string(), Tone::Bold),
                Cell::or_dash(Some(row.holder.clone())),
                Cell::toned(row.state.replace('_', " "), tone),
                row.keys.len().to_string().into(),
                Cell::or_dash(row.since.map(day)),
                Cell::or_dash(until),
            ]);
        }
        table.render(style.paint)
    }
}

impl Render for CertList {
    fn render(&self, style: Style) -> String {
        if self.certs.is_empty() {
            return empty("No certificate is known.");
        }
        let mut table = Table::new(&[
            "NAME",
            "STATUS",
            "HOLDER",
            "MAY ORIGINATE",
            "MAY DELEGATE",
            "ROLES",
            ">SERIAL",
            "UNTIL",
        ]);
        for cert in &self.certs {
            let tone = match cert.status.as_str() {
                "live" => Tone::Good,
                "in_grace" | "not_yet" => Tone::Warn,
                "superseded" => Tone::Dim,
                _ => Tone::Bad,
            };
            table.row(vec![
                named(&cert.name, &cert.key),
                Cell::toned(cert.status.replace('_', " "), tone),
                Cell::or_dash((cert.holder != cert.name).then(|| cert.holder.clone())),
                Cell::or_dash(joined(&cert.originate)),
                Cell::or_dash(joined(&cert.delegate)),
                Cell::or_dash(Some(cert.roles.join(", "))),
                cert.serial.to_string().into(),
                format!("{} ({})", day(cert.not_after), in_span(cert.not_after, style.now)).into(),
            ]);
        }
        table.render(style.paint)
    }
}

impl Render for EventList {
    fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for event in &self.events {
            let message = match event.severity {
                Severity::Error => style.paint.bad(&event.message),
                Severity::Warning => style.paint.warn(&event.message),
                Severity::Note => event.message.clone(),
            };
            let peer = event.peer.as_deref().map_or(String::new(), |peer| {
                let known = peer.parse::<PublicKey>().map_or_else(|_| peer.to_owned(), |key| short(&key));
                format!("{}: ", style.paint.bold(&known))
            });
            out.push_str(&format!("{}  {peer}{message}\n", style.paint.dim(&second(event.time))));
        }
        out
    }
}
