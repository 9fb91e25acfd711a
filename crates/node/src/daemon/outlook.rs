//! How the node stands towards its network, as problems with a next step: judged from control's picture, changing nothing.

use crate::error::Trouble;
use crate::from_view::is_silent;
use crate::schema::{Problem, Severity};
use ln6_overlay_core::control::view::{Me, PeerView, Standing, View};
use ln6_types::Instant;
use std::time::Duration;

/// How long a broker may take to answer before that is a problem.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long there may be no exit while routes change.
const EXITLESS: Duration = Duration::from_secs(5);

/// What has to be remembered from look to look.
#[derive(Debug, Default)]
pub(crate) struct Outlook {
    /// The delegation was given back.
    pub(crate) left: bool,
    /// Names of brokers of which no address is known.
    pub(crate) unknown_names: Vec<String>,
    unheard_since: Option<Instant>,
    had_exit: bool,
    exitless_since: Option<Instant>,
}

impl Outlook {
    /// Of a node that has just started; `unknown_names` of brokers could not be looked up.
    pub(crate) fn new(unknown_names: Vec<String>) -> Self {
        Outlook { unknown_names, ..Outlook::default() }
    }

    /// What is wrong at `now`; `lans` says whether somebody waits for an exit.
    pub(crate) fn look(&mut self, now: Instant, view: &View, lans: bool) -> Vec<Problem> {
        let me = &view.me;
        let mut found: Vec<Problem> = standing(me, self.left).into_iter().collect();
        if !self.left {
            found.extend(self.brokers(now, view));
            found.extend(self.exits(now, me, lans));
        }
        found
    }

    fn brokers(&mut self, now: Instant, view: &View) -> Option<Problem> {
        let brokers = || view.peers.iter().filter(|peer| peer.broker);
        let heard = |peer: &PeerView| {
            peer.connected && !is_silent(peer) || peer.heard_age.is_some_and(|age| age < PATIENCE)
        };
        if brokers().next().is_none() || brokers().any(heard) {
            self.unheard_since = None;
            return None;
        }
        // A session that had nothing to carry may end and begin anew; a silent neighbour was waited for already.
        let since = *self.unheard_since.get_or_insert(now);
        if now.since(since) < PATIENCE && !brokers().any(is_silent) {
            return None;
        }
        let severity = if is_member(&view.me) { Severity::Warning } else { Severity::Error };
        let addresses: Vec<_> = brokers().flat_map(|peer| peer.endpoints.iter().take(3)).collect();
        let Some(first) = addresses.first() else {
            let names = match self.unknown_names.as_slice() {
                [] => "no address of the broker is known".to_owned(),
                names => format!("the broker's name {} cannot be looked up", names.join(", ")),
            };
            let hint = "check the name in the invitation and this machine's name server; ln6d asks again every 5 seconds";
            return Some(problem("broker_name_unknown", severity, names, hint.to_owned()));
        };
        let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        Some(problem(
            "broker_unreachable",
            severity,
            format!("no answer from {}", list.join(", ")),
            format!(
                "check that ln6d runs on the server, that UDP port {} is open there, and that the address is right",
                first.port()
            ),
        ))
    }

    fn exits(&mut self, now: Instant, me: &Me, lans: bool) -> Option<Problem> {
        self.had_exit |= !me.exits.is_empty();
        // A broker without an uplink is told so by what looks at the host.
        let wanted = is_member(me) && me.pools.is_empty() && (self.had_exit || lans);
        if me.exit || !me.exits.is_empty() || !wanted {
            self.exitless_since = None;
            return None;
        }
        let since = *self.exitless_since.get_or_insert(now);
        (now.since(since) >= EXITLESS).then(|| {
            problem(
                "no_exit",
                Severity::Error,
                "no way to the Internet: no exit can be reached".to_owned(),
                "members still reach each other; look after the server: 'ln6d peers' says when it was heard last"
                    .to_owned(),
            )
        })
    }
}

const fn is_member(me: &Me) -> bool {
    matches!(me.standing, Standing::Member | Standing::InGrace)
}

fn problem(code: &str, severity: Severity, message: String, hint: String) -> Problem {
    Problem { code: code.to_owned(), severity, message, hint: Some(hint) }
}

/// Where the node stands, unless all is well.
fn standing(me: &Me, left: bool) -> Option<Problem> {
    let key: String = me.key.to_string().chars().take(8).collect();
    let name = &me.name;
    let error = |code: &str, message: &str, hint: String| {
        Some(problem(code, Severity::Error, message.to_owned(), hint))
    };
    match &me.standing {
        _ if left => Some(problem(
            "left",
            Severity::Note,
            "this node has left its network".to_owned(),
            "stop the daemon; 'ln6d join LINK' makes it a member again".to_owned(),
        )),
        Standing::Waiting { .. } => Some(problem(
            "waiting",
            Severity::Note,
            "this node waits to be let in".to_owned(),
            format!("ask the broker's operator to 'ln6d approve {name}'; this node's key begins with {key}"),
        )),
        Standing::Refused { code, text } => error(code, text, refusal_hint(code, text)),
        Standing::Lost { why: "suspended" } => error(
            "suspended",
            "this node is suspended by the broker's operator",
            format!("talk to the operator: 'ln6d resume {name}' on the broker ends it"),
        ),
        Standing::Lost { why: "revoked" } => error(
            "revoked",
            "this node was revoked by the broker's operator",
            format!(
                "talk to the operator: for some days a revocation can be undone; 'ln6d replace {name}' on the broker lets a new node take its place"
            ),
        ),
        Standing::Lost { .. } => error(
            "expired",
            "this node's certificate has expired",
            "it is renewed as soon as the broker answers; check this machine's clock ('date'), too"
                .to_owned(),
        ),
        Standing::InGrace => Some(problem(
            "renewal_overdue",
            Severity::Warning,
            "the certificate should have been renewed".to_owned(),
            "it is renewed as soon as the broker answers: look after the server".to_owned(),
        )),
        Standing::Alone | Standing::Asking | Standing::Member => None,
    }
}

/// The next step after a refusal; the broker may have said it in its text already.
fn refusal_hint(code: &str, text: &str) -> String {
    let known = Trouble::ALL.iter().find(|trouble| trouble.code() == code);
    let hint = known.map(|trouble| trouble.hint()).filter(|_| !text.contains(": "));
    hint.unwrap_or("settle it with the broker's operator; this node asks again by itself every 5 minutes")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_view::tests::{peer, view};

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    fn picture(standing: Standing, heard: Option<u64>) -> View {
        let broker = PeerView {
            connected: heard.is_some(),
            neighbour: true,
            cost: Some(96),
            heard_age: heard.map(Duration::from_secs),
            endpoints: vec!["198.51.100.2:6695".parse().expect("address")],
            ..peer("vm", true, None)
        };
        let mut picture = view(vec![broker], Vec::new());
        picture.me.standing = standing;
        picture
    }

    fn codes(found: &[Problem]) -> Vec<(&str, Severity)> {
        found.iter().map(|problem| (problem.code.as_str(), problem.severity)).collect()
    }

    #[test]
    fn a_broker_that_does_not_answer_is_a_problem_after_five_seconds() {
        let mut outlook = Outlook::default();
        let dead = picture(Standing::Alone, None);
        assert_eq!(outlook.look(at(0), &dead, false), []);
        assert_eq!(outlook.look(at(4), &dead, false), []);
        let found = outlook.look(at(5), &dead, false);
        assert_eq!(codes(&found), [("broker_unreachable", Severity::Error)]);
        assert_eq!(found[0].message, "no answer from 198.51.100.2:6695");
        assert!(found[0].hint.as_ref().is_some_and(|hint| hint.contains("UDP port 6695")));
        let member = picture(Standing::Member, None);
        assert_eq!(codes(&outlook.look(at(6), &member, false)), [("broker_unreachable", Severity::Warning)]);
        let silent = picture(Standing::Member, Some(60));
        assert_eq!(codes(&outlook.look(at(99), &silent, false)), [("broker_unreachable", Severity::Warning)]);
        assert_eq!(outlook.look(at(99), &picture(Standing::Member, Some(3)), false), []);
        assert_eq!(outlook.look(at(200), &dead, false), [], "a session may end and begin anew");
    }

    #[test]
    fn a_broker_whose_name_is_unknown_is_called_by_it() {
        let mut outlook = Outlook::new(vec!["vm.example.net".into()]);
        let mut nameless = picture(Standing::Alone, None);
        nameless.peers[0].endpoints.clear();
        assert_eq!(outlook.look(at(0), &nameless, false), []);
        let found = outlook.look(at(6), &nameless, false);
        assert_eq!(codes(&found), [("broker_name_unknown", Severity::Error)]);
        assert!(found[0].message.contains("vm.example.net"));
    }

    #[test]
    fn where_a_node_stands_is_a_problem_with_a_next_step() {
        let mut outlook = Outlook::default();
        let refused = |code: &str, text: &str| Standing::Refused { code: code.into(), text: text.into() };
        let cases = [
            (Standing::Member, None),
            (Standing::Waiting { place: 1 }, Some(("waiting", Severity::Note))),
            (Standing::Lost { why: "suspended" }, Some(("suspended", Severity::Error))),
            (Standing::Lost { why: "revoked" }, Some(("revoked", Severity::Error))),
            (Standing::Lost { why: "expired" }, Some(("expired", Severity::Error))),
            (Standing::InGrace, Some(("renewal_overdue", Severity::Warning))),
            (refused("pool_exhausted", "no free /48 is left"), Some(("pool_exhausted", Severity::Error))),
            (refused("denied", "the request was denied: no"), Some(("denied", Severity::Error))),
        ];
        for (standing, expected) in cases {
            let found = outlook.look(at(9), &picture(standing.clone(), Some(1)), false);
            assert_eq!(codes(&found), expected.into_iter().collect::<Vec<_>>(), "{standing:?}");
            assert!(found.iter().all(|problem| problem.hint.is_some()));
        }
        outlook.left = true;
        let found = outlook.look(at(9), &picture(Standing::Alone, None), true);
        assert_eq!(codes(&found), [("left", Severity::Note)]);
    }

    #[test]
    fn no_exit_is_a_problem_for_those_who_had_one_or_have_a_lan() {
        let mut outlook = Outlook::default();
        let mut member = picture(Standing::Member, Some(1));
        assert_eq!(outlook.look(at(9), &member, false), []);
        assert_eq!(outlook.look(at(99), &member, false), [], "it never had one and needs none");
        member.me.exits = vec!["vm".into()];
        assert_eq!(outlook.look(at(100), &member, true), []);
        member.me.exits.clear();
        assert_eq!(outlook.look(at(101), &member, false), []);
        assert_eq!(codes(&outlook.look(at(107), &member, false)), [("no_exit", Severity::Error)]);
        member.me.exits = vec!["vm".into()];
        assert_eq!(outlook.look(at(108), &member, false), []);
    }
}
