//! What an operator should know: the last events, and what is wrong now.

use crate::config::Change;
use crate::daemon::setup::{Parts, problem, problem_of};
use crate::error::CliError;
use crate::schema::{EventRow, Problem, Severity, Time};
use ln6_host::finding::Finding;
use ln6_host::uplink::Surroundings;
use ln6_overlay_core::Path;
use ln6_overlay_core::control::Notice;
use ln6_types::{Prefix, PublicKey, UnixTime};
use std::collections::{BTreeMap, VecDeque};

/// Events kept.
const KEPT: usize = 500;

/// Events and problems.
pub(crate) struct News {
    events: VecDeque<EventRow>,
    last: u64,
    start: Vec<Problem>,
    host: Vec<Problem>,
    around: Vec<Problem>,
    own: BTreeMap<&'static str, Problem>,
    outlook: Vec<Problem>,
    /// Of what a broker does beside: its key list, its letters.
    beside: Vec<Problem>,
}

/// What an event says.
struct Line {
    code: &'static str,
    severity: Severity,
    peer: Option<String>,
    message: String,
}

impl News {
    pub(crate) fn new(start: Vec<Problem>) -> Self {
        News {
            events: VecDeque::new(),
            last: 0,
            start,
            host: Vec::new(),
            around: Vec::new(),
            own: BTreeMap::new(),
            outlook: Vec::new(),
            beside: Vec::new(),
        }
    }

    /// Everything that is wrong now, worst first.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut all: Vec<Problem> = self
            .start
            .iter()
            .chain(&self.host)
            .chain(&self.around)
            .chain(self.own.values())
            .chain(&self.outlook)
            .chain(&self.beside)
            .cloned()
            .collect();
        all.sort_unstable_by(|a, b| {
            let rest = || (&a.code, &a.message, &a.hint).cmp(&(&b.code, &b.message, &b.hint));
            b.severity.cmp(&a.severity).then_with(rest)
        });
        all.dedup_by(|a, b| a.code == b.code && a.message == b.message);
        all
    }

    /// Events with a number above `after`, oldest first, and the last number.
    pub(crate) fn events(&self, after: u64) -> (Vec<EventRow>, u64) {
        (self.events.iter().filter(|event| event.id > after).cloned().collect(), self.last)
    }

    /// The number of the last event; 0 if there was none.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn set_host(&mut self, findings: Vec<Finding>) {
        self.host = findings.iter().map(problem).collect();
    }

    pub(crate) fn set_surroundings(&mut self, parts: &Parts, around: &Surroundings) {
        let pools: Vec<Prefix> = parts
            .config
            .broker
            .iter()
            .flat_map(|broker| broker.pools.iter().map(|pool| pool.prefix))
            .collect();
        self.around = around.check(&parts.interface, &pools).iter().map(problem).collect();
        let known: Vec<String> = self.around.iter().map(|problem| problem.code.clone()).collect();
        // What was found at the start about the surroundings is told anew from now on.
        self.start.retain(|problem| !known.contains(&problem.code) && !problem.code.contains("uplink"));
        let present = |name: &str| around.links.iter().any(|link| link.name == name);
        if parts.config.lans.iter().all(|lan| present(lan.interface.as_str())) {
            self.start.retain(|problem| problem.code != "interface_missing");
        }
    }

    /// How the node stands towards its network now. What comes and goes without a notice of control is an event.
    pub(crate) fn set_outlook(&mut self, found: Vec<Problem>, wall: UnixTime) {
        const TOLD: [(&str, &str, &str); 3] = [
            ("broker_unreachable", "broker_reachable", "the broker answers again"),
            ("broker_name_unknown", "broker_reachable", "the broker answers"),
            ("no_exit", "exit_reachable", "an exit can be reached again"),
        ];
        for (code, over, words) in TOLD {
            let was = self.outlook.iter().any(|problem| problem.code == code);
            match found.iter().find(|problem| problem.code == code) {
                Some(problem) if !was => {
                    let hint = problem.hint.as_deref().unwrap_or_default();
                    tracing::warn!(code, hint, "{}", problem.message);
                    let message = problem.message.clone();
                    self.push(wall, Line { code, severity: problem.severity, peer: None, message });
                }
                None if was => {
                    tracing::info!(code = over, "{words}");
                    let message = words.to_owned();
                    self.push(wall, Line { code: over, severity: Severity::Note, peer: None, message });
                }
                _ => {}
            }
        }
        self.outlook = found;
    }

    #[cfg(feature = "broker")]
    pub(crate) fn set_beside(&mut self, found: Vec<Problem>) {
        self.beside = found;
    }

    pub(crate) fn add_error(&mut self, code: &'static str, error: &CliError) {
        self.own.insert(code, problem_of(error));
    }

    pub(crate) fn clear(&mut self, code: &'static str) {
        self.own.remove(code);
    }

    pub(crate) fn reloaded(&mut self, outcome: &Result<Vec<Change>, CliError>, wall: UnixTime) {
        match outcome {
            Ok(changes) => {
                self.own.remove("config_not_loaded");
                let restart: Vec<&str> = changes
                    .iter()
                    .filter(|change| change.needs_restart)
                    .map(|change| change.what.as_str())
                    .collect();
                let message = match (changes.is_empty(), restart.is_empty()) {
                    (true, _) => "the configuration is unchanged".to_owned(),
                    (false, true) => "the configuration was loaded".to_owned(),
                    (false, false) => format!(
                        "the configuration was loaded; a restart is needed for {}",
                        restart.join(", ")
                    ),
                };
                tracing::info!(message);
                self.push(wall, Line { code: "reloaded", severity: Severity::Note, peer: None, message });
            }
            Err(error) => {
                tracing::error!(%error, "the old configuration stays");
                self.own.insert("config_not_loaded", problem_of(error));
            }
        }
    }

    /// Notes what somebody has done.
    #[cfg(feature = "broker")]
    pub(crate) fn happened(&mut self, code: &'static str, message: String, wall: UnixTime) {
        tracing::info!(code, "{message}");
        self.push(wall, Line { code, severity: Severity::Note, peer: None, message });
    }

    /// Notes an event; `name` gives the name of a key.
    pub(crate) fn add(&mut self, notice: &Notice, wall: UnixTime, name: impl Fn(&PublicKey) -> String) {
        let Some(line) = line_of(notice, name) else { return };
        let (peer, message) = (line.peer.as_deref().unwrap_or_default(), &line.message);
        match line.severity {
            Severity::Note => tracing::info!(code = line.code, peer, "{message}"),
            Severity::Warning | Severity::Error => tracing::warn!(code = line.code, peer, "{message}"),
        }
        self.push(wall, line);
    }

    fn push(&mut self, wall: UnixTime, line: Line) {
        self.last += 1;
        if self.events.len() >= KEPT {
            self.events.pop_front();
        }
        self.events.push_back(EventRow {
            id: self.last,
            time: Time(wall),
            code: line.code.to_owned(),
            severity: line.severity,
            peer: line.peer,
            message: line.message,
        });
    }
}

fn line_of(notice: &Notice, name: impl Fn(&PublicKey) -> String) -> Option<Line> {
    let called = |key: &PublicKey| match name(key) {
        name if name.is_empty() => key.to_string(),
        name => name,
    };
    let line =
        |code, severity, peer: Option<String>, message: String| Some(Line { code, severity, peer, message });
    match notice {
        Notice::SessionUp { peer, path } => {
            let how = match path {
                Path::Udp(address) => format!("session with {address}"),
                Path::Through(_) => "session through a relay".to_owned(),
            };
            line("session_up", Severity::Note, Some(called(peer)), how)
        }
        Notice::SessionDown { peer } => {
            line("session_down", Severity::Note, Some(called(peer)), "session ended".to_owned())
        }
        Notice::Delegated { prefixes } => {
            let list: Vec<String> = prefixes.iter().map(Prefix::to_string).collect();
            line("delegated", Severity::Note, None, format!("holding {}", list.join(", ")))
        }
        Notice::Waiting { place } => line(
            "waiting",
            Severity::Note,
            None,
            match place {
                0..=1 => "waiting for an administrator".to_owned(),
                2 => "waiting for an administrator; 1 node waits longer".to_owned(),
                more => format!("waiting for an administrator; {} nodes wait longer", more - 1),
            },
        ),
        Notice::Refused { code, text } => {
            line("refused", Severity::Error, None, format!("the broker refuses: {text} ({code})"))
        }
        Notice::Lost { why } => line(
            "delegation_lost",
            Severity::Error,
            None,
            format!("the delegation is no longer in force: {why}"),
        ),
        Notice::Left => line("left", Severity::Note, None, "the delegation was given back".to_owned()),
        Notice::Rejected { peer, why } => line(
            "item_rejected",
            Severity::Warning,
            peer.as_ref().map(called),
            format!("refused what it sent: {why}"),
        ),
        Notice::Uplink { up: true } => {
            line("exit_up", Severity::Note, None, "this node is an exit now".to_owned())
        }
        Notice::Uplink { up: false } => line(
            "exit_down",
            Severity::Warning,
            None,
            "this node is no exit any more: no IPv6 uplink".to_owned(),
        ),
        Notice::Pong { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn trouble(code: &str, severity: Severity) -> Problem {
        Problem { code: code.into(), severity, message: code.replace('_', " "), hint: None }
    }

    #[test]
    fn what_comes_and_goes_is_told_once_each() {
        let mut news = News::new(Vec::new());
        let gone = vec![trouble("broker_unreachable", Severity::Warning), trouble("waiting", Severity::Note)];
        news.set_outlook(gone.clone(), WALL);
        news.set_outlook(gone, WALL);
        assert_eq!(news.problems().len(), 2);
        news.set_outlook(Vec::new(), WALL);
        let (events, last) = news.events(0);
        let codes: Vec<_> = events.iter().map(|event| event.code.as_str()).collect();
        assert_eq!((codes, last), (vec!["broker_unreachable", "broker_reachable"], 2));
        assert_eq!(news.problems(), []);
    }
}
