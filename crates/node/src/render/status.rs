//! `ln6d status`: who this is, what is wrong and what to do about it, then the rest.

use super::table::{Tone, toned};
use super::units::{age, bytes, day, in_span};
use super::{Paint, Render, Style};
use crate::schema::{BrokerSummary, ExitInfo, PeerSummary, Problem, Severity, StandingInfo, StatusReport};
use std::fmt::Write as _;

impl Render for StatusReport {
    fn render(&self, style: Style) -> String {
        let mut out = head(self, style);
        problems(&mut out, &self.problems, style.paint);
        out.push('\n');
        let mut line = |label: &str, text: String| {
            if !text.is_empty() {
                let _ = writeln!(out, "  {} {text}", style.paint.dim(&format!("{label:<10}")));
            }
        };
        line("Prefix", prefix_line(self, style));
        for lan in &self.lans {
            let note = if lan.deprecated { " (going away)" } else { "" };
            line("LAN", format!("{}  {}{note}", lan.interface, lan.prefix));
        }
        line("Exit", exit_line(&self.exits));
        line("Peers", peer_line(&self.peers));
        line("Traffic", traffic_line(&self.peers));
        if let Some(broker) = &self.broker {
            broker_lines(broker, &mut line);
        }
        line("Refused", counts(&self.refusals));
        line("Dropped", counts(&notable(&self.drops)));
        line("Reached at", self.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        line("Seen at", self.seen_at.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        let network = self.standing.state != "no_network";
        if network {
            line("Address", format!("{} on {}", self.node.address, self.node.interface));
        }
        line("Key", self.node.key.to_string());
        if network {
            line("Network", self.node.network.to_string());
        }
        out
    }
}

fn head(report: &StatusReport, style: Style) -> String {
    let (words, tone) = standing(&report.standing);
    format!(
        "{} · {} · up {} · ln6d {}\n",
        style.paint.bold(&report.node.name),
        toned(style.paint, &words, tone),
        age(report.node.started, report.time),
        report.version
    )
}

fn prefix_line(report: &StatusReport, style: Style) -> String {
    let all: Vec<_> = report.prefixes.iter().map(|prefix| style.paint.bold(&prefix.to_string())).collect();
    let all = all.join(", ");
    match report.standing.not_after {
        Some(end) if !all.is_empty() => {
            format!("{all}  until {} ({})", day(end), in_span(end, report.time))
        }
        _ if all.is_empty() => "none".to_owned(),
        _ => all,
    }
}

fn standing(standing: &StandingInfo) -> (String, Tone) {
    match standing.state.as_str() {
        "member" => ("member".into(), Tone::Good),
        "in_grace" => ("member, renewal overdue".into(), Tone::Warn),
        "asking" => ("asking the broker".into(), Tone::Warn),
        "waiting" => {
            let place = match standing.place {
                None | Some(0..=1) => String::new(),
                Some(2) => " (1 node waits longer)".to_owned(),
                Some(place) => format!(" ({} nodes wait longer)", place - 1),
            };
            (format!("waiting for an administrator{place}"), Tone::Warn)
        }
        "refused" => ("refused by the broker".into(), Tone::Bad),
        "alone" | "no_network" => ("in no network".into(), Tone::Warn),
        other => (other.replace('_', " "), Tone::Bad),
    }
}

pub(super) fn problems(out: &mut String, problems: &[Problem], paint: Paint) {
    for problem in problems {
        let (mark, tone) = match problem.severity {
            Severity::Error => ("✗", Tone::Bad),
            Severity::Warning => ("!", Tone::Warn),
            Severity::Note => ("·", Tone::Plain),
        };
        let _ = write!(out, "\n{} {}", toned(paint, mark, tone), problem.message);
        let _ = writeln!(out, " {}", paint.dim(&format!("({})", problem.code)));
        if let Some(hint) = &problem.hint {
            let _ = writeln!(out, "  → {hint}");
        }
    }
}

fn exit_line(exits: &ExitInfo) -> String {
    match (exits.here, exits.reachable.is_empty()) {
        (true, true) => "this node".to_owned(),
        (true, false) => format!("this node, {}", exits.reachable.join(", ")),
        (false, true) => "none reachable".to_owned(),
        (false, false) => exits.reachable.join(", "),
    }
}

fn peer_line(peers: &PeerSummary) -> String {
    if peers.known == 0 {
        return "none known yet".to_owned();
    }
    let mut text = format!("{} of {} connected", peers.connected, peers.known);
    let neighbours = if peers.neighbours == 1 { "neighbour" } else { "neighbours" };
    let parts = [
        (peers.direct, "direct"),
        (peers.relayed, "relayed"),
        (peers.silent, "silent"),
        (peers.neighbours, neighbours),
        (peers.stock, "stock"),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if !parts.is_empty() {
        let _ = write!(text, ": {}", parts.join(", "));
    }
    text
}

fn traffic_line(peers: &PeerSummary) -> String {
    format!("{} received, {} sent", bytes(peers.rx_bytes), bytes(peers.tx_bytes))
}

fn broker_lines(broker: &BrokerSummary, line: &mut impl FnMut(&str, String)) {
    for pool in &broker.pools {
        let used = match pool.used_ratio * 100.0 {
            0.0 => "nothing used".to_owned(),
            percent if percent < 0.1 => "<0.1 % used".to_owned(),
            percent => format!("{percent:.1} % used"),
        };
        line("Pool", format!("{}  {} delegated, {used}", pool.prefix, pool.delegations));
    }
    let waiting = match broker.requests_waiting {
        0 => "nobody waits".to_owned(),
        1 => "1 waits: ln6d requests".to_owned(),
        more => format!("{more} wait: ln6d requests"),
    };
    let plural = |count: u32, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let (holders, open) =
        (plural(broker.holders, "holder"), plural(broker.invitations_open, "unused invitation"));
    line("Broker", format!("{holders}, {waiting}, {open}"));
}

/// Without what every kernel sends into every tunnel and nobody misses.
fn notable(drops: &[crate::schema::Count]) -> Vec<crate::schema::Count> {
    drops.iter().filter(|drop| !matches!(drop.reason.as_str(), "link_local" | "multicast")).cloned().collect()
}

fn counts(counts: &[crate::schema::Count]) -> String {
    let told = counts.iter().filter(|count| count.count > 0);
    told.map(|count| format!("{} {}", count.count, count.reason)).collect::<Vec<_>>().join(", ")
}
