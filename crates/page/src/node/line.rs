//! The one line that says how a gateway stands, and what is to be done next.

use super::NO_NETWORK;
use crate::look::Look;
use ln6_api::schema::{PathKind, PeerRow, StatusReport};

/// The line: which sentence, how bad it is, and what fills it in.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Line {
    /// Its sentence is `node.line.WORD`, the next step `node.next.WORD`.
    pub(crate) word: &'static str,
    /// `good`, `note`, `warn` or `bad`.
    pub(crate) class: &'static str,
    /// The problem of the daemon that it tells; empty if it tells none.
    pub(crate) code: String,
    /// The daemon's own words of that problem and of its next step, in English.
    pub(crate) said: Option<String>,
    /// See above.
    pub(crate) hint: Option<String>,
    /// By which exit the Internet is reached, and its round trip.
    pub(crate) exit: Option<(String, Option<f64>)>,
    /// Place in the queue.
    pub(crate) place: u32,
}

/// Every line: its word and its class.
pub(crate) const LINES: &[(&str, &str)] = &[
    ("connected", "good"),
    ("no_exit", "bad"),
    ("broker_away", "warn"),
    ("cut_off", "bad"),
    ("no_prefix", "warn"),
    ("in_grace", "warn"),
    ("asking", "note"),
    ("waiting", "note"),
    ("no_broker", "bad"),
    ("refused", "bad"),
    ("suspended", "bad"),
    ("revoked", "bad"),
    ("expired", "bad"),
    ("left", "note"),
    ("no_network", "note"),
];

impl Line {
    /// Of a node that stands so, with these peers.
    pub(crate) fn of(status: &StatusReport, peers: &[PeerRow]) -> Line {
        let has = |code: &str| status.problems.iter().any(|problem| problem.code == code);
        let no_broker = ["broker_unreachable", "broker_name_unknown"].into_iter().find(|code| has(code));
        let (word, code) = match status.standing.state.as_str() {
            NO_NETWORK => ("no_network", NO_NETWORK),
            _ if has("left") => ("left", "left"),
            "waiting" => ("waiting", "waiting"),
            "refused" => ("refused", status.standing.code.as_deref().unwrap_or_default()),
            "suspended" => ("suspended", "suspended"),
            "revoked" => ("revoked", "revoked"),
            "expired" => ("expired", "expired"),
            "member" | "in_grace" if !peers.iter().any(|peer| peer.connected && peer.kind == "node") => {
                ("cut_off", no_broker.unwrap_or_default())
            }
            "member" | "in_grace" if has("no_exit") => ("no_exit", "no_exit"),
            "in_grace" => ("in_grace", "renewal_overdue"),
            "member" if no_broker.is_some() => ("broker_away", no_broker.unwrap_or_default()),
            "member" if status.prefixes.is_empty() => ("no_prefix", ""),
            "member" => ("connected", ""),
            _ => match no_broker {
                Some(code) => ("no_broker", code),
                None => ("asking", ""),
            },
        };
        let class = LINES.iter().find(|(known, _)| *known == word).map_or("note", |(_, class)| class);
        let problem = status.problems.iter().find(|problem| problem.code == code && !code.is_empty());
        let text = status.standing.text.clone();
        Line {
            word,
            class,
            code: code.to_owned(),
            said: problem
                .map(|problem| problem.message.clone())
                .or_else(|| text.filter(|_| word == "refused")),
            hint: problem.and_then(|problem| problem.hint.clone()),
            exit: status.exits.reachable.first().map(|name| (name.clone(), round_trip(name, peers))),
            place: status.standing.place.unwrap_or(0),
        }
    }

    /// The sentence.
    pub(crate) fn sentence(&self, look: &Look) -> String {
        look.word("node.line", self.word)
    }

    /// The next step.
    pub(crate) fn next(&self, look: &Look) -> String {
        look.word("node.next", self.word)
    }

    /// Its icon.
    pub(crate) fn icon(&self) -> &'static str {
        match self.class {
            "good" => "check",
            "bad" => "cross",
            "warn" => "warning",
            _ => "info",
        }
    }

    /// Whether the daemon's words add something to ours: a refusal has a reason, and a broker an address.
    pub(crate) fn tells_more(&self) -> bool {
        matches!(self.word, "refused" | "no_broker" | "cut_off" | "broker_away")
    }
}

fn round_trip(name: &str, peers: &[PeerRow]) -> Option<f64> {
    let direct = |peer: &&PeerRow| peer.name == name && peer.connected && peer.path == Some(PathKind::Direct);
    peers.iter().find(direct).and_then(|peer| peer.rtt_seconds)
}
