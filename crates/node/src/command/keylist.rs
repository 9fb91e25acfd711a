//! `keylist …`.

use super::ask::show;
use super::output::Output;
use crate::api::{ApiRequest, KeyListConfirm, KeyListRequest};
use crate::cli::{Keylist, KeylistConfirm};
use crate::client::Client;
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use crate::schema::KeyListReport;

pub(super) fn run(command: Keylist, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let client = Client::new(layout);
    let ask = |request| show::<KeyListReport>(&client, &ApiRequest::KeyList(request), output);
    match command {
        Keylist::Status => ask(KeyListRequest::Status),
        Keylist::Pull => ask(KeyListRequest::Pull),
        Keylist::Confirm(KeylistConfirm { commit }) => {
            let report: KeyListReport = client.get(&ApiRequest::KeyList(KeyListRequest::Status))?;
            let waiting =
                report.waiting.as_deref().filter(|_| matches!(report.state.as_str(), "held" | "rewritten"));
            let Some(waiting) = commit.or_else(|| waiting.map(str::to_owned)) else {
                return Err(CliError::new(Trouble::NotFound, "nothing of the key list waits")
                    .hint("'ln6d keylist status' says how it stands"));
            };
            output.confirm(&question(&report, &waiting))?;
            ask(KeyListRequest::Confirm(KeyListConfirm { commit: waiting }))
        }
    }
}

/// What will happen, before it does.
fn question(report: &KeyListReport, commit: &str) -> String {
    let commit = commit.get(..10).unwrap_or(commit);
    if report.held.is_empty() {
        return format!("Accept commit {commit} of the key list {}, which has another history?", report.name);
    }
    let names: Vec<&str> = report.held.iter().take(20).map(|held| held.name.as_str()).collect();
    let more = report.held.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "Suspend (or give another key to) {}{more}, as commit {commit} of the key list says?",
        names.join(", ")
    )
}
