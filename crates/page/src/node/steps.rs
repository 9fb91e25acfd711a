//! The steps from a key to the Internet, each with how far it has come.

use super::NO_NETWORK;
use crate::look::Look;
use crate::markup::{self, Markup};
use ln6_api::schema::{PeerRow, StatusReport, WishReport};

/// How far a step has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// It is behind us.
    Done,
    /// It is what everything waits for.
    Now,
    /// It went wrong.
    Failed,
    /// It comes later.
    Later,
    /// Nobody asked for it.
    Unasked,
}

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// Its sentence is `node.step.WORD`.
    pub(crate) word: &'static str,
    /// How far it has come.
    pub(crate) progress: Progress,
}

impl Step {
    /// The class of its line.
    pub(crate) fn class(&self) -> &'static str {
        match self.progress {
            Progress::Done => "done",
            Progress::Now => "now",
            Progress::Failed => "failed",
            Progress::Later | Progress::Unasked => "later",
        }
    }

    /// How far it has come, as icon and word.
    pub(crate) fn mark(&self, look: &Look) -> Markup {
        let (class, icon, word) = match self.progress {
            Progress::Done => ("good", "check", "done"),
            Progress::Now => ("note", "arrow", "now"),
            Progress::Failed => ("bad", "cross", "failed"),
            Progress::Later => ("dull", "dot", "later"),
            Progress::Unasked => ("dull", "dot", "unasked"),
        };
        let word = markup::escape(&look.word("node.progress", word));
        Markup(format!("<span class=\"chip {class}\">{}{word}</span>", markup::icon(icon)))
    }
}

/// The steps, in order.
pub(crate) fn steps(status: &StatusReport, wish: &WishReport, peers: &[PeerRow]) -> Vec<Step> {
    let state = status.standing.state.as_str();
    let has = |code: &str| status.problems.iter().any(|problem| problem.code == code);
    let member = matches!(state, "member" | "in_grace");
    let lost = matches!(state, "refused" | "suspended" | "revoked" | "expired");
    let left = has("left");
    let broker = peers.iter().any(|peer| peer.connected && peer.roles.iter().any(|role| role == "broker"));
    let unreachable = has("broker_unreachable") || has("broker_name_unknown");
    let lan = status.lans.iter().any(|lan| !lan.deprecated);
    let exit = status.exits.here || !status.exits.reachable.is_empty();
    let mut steps = Vec::new();
    let mut open = true;
    // The first step that is not done is what everything waits for; what comes after it comes later.
    let mut add = |word, done: bool, failed: bool| {
        let progress = match (done, failed, open) {
            (true, ..) => Progress::Done,
            (_, true, true) => Progress::Failed,
            (_, _, true) => Progress::Now,
            _ => Progress::Later,
        };
        open &= done;
        steps.push(Step { word, progress });
    };
    add("key", true, false);
    add("network", state != NO_NETWORK && !left, false);
    add("broker", (broker || member || lost || state == "waiting") && !left, unreachable);
    add("approved", member && !left, lost);
    add("prefix", member && !status.prefixes.is_empty() && !left, false);
    if wish.lans.is_empty() {
        let place = Step { word: "lan", progress: Progress::Unasked };
        add("reachable", member && exit, member && has("no_exit"));
        let last = steps.len() - 1;
        steps.insert(last, place);
    } else {
        add("lan", member && lan, member && has("interface_missing"));
        add("reachable", member && exit, member && has("no_exit"));
    }
    steps
}
