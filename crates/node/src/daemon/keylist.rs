//! The broker's key list behind the API.

use crate::api::{KeyListRequest, Reply};
use crate::config::{Config, KeyList};
use crate::daemon::notify::Notifier;
use crate::error::{ApiError, CliError, Trouble};
use crate::files::Layout;
use crate::schema::{ComplaintRow, HeldNode, KeyListReport, Problem, Severity, Time};
use ln6_broker::DeskHandle;
use ln6_broker::keylist::{Gone, Keeper, KeeperError, Report, Settings, State};
use ln6_types::UnixTime;
use std::time::Duration;
use tokio::sync::oneshot;

type Answer = oneshot::Sender<Result<Reply, ApiError>>;

/// Starts the list's thread, if there is a list.
pub(crate) fn start(config: &Config, layout: &Layout, desk: &DeskHandle) -> Result<Option<Keeper>, CliError> {
    let Some(keylist) = &config.keylist else { return Ok(None) };
    let settings = settings(keylist, layout);
    let keeper = Keeper::start(settings, desk.clone(), ln6_host::clock::wall, super::privileges::drop_all);
    keeper
        .map(Some)
        .map_err(|error| CliError::new(Trouble::Internal, format!("no thread for the key list: {error}")))
}

/// Starts the thread that tells people, if somebody is to be told.
pub(crate) fn notifier(config: &Config, now: UnixTime) -> Result<Option<Notifier>, CliError> {
    let Some(notify) = config.notify.clone() else { return Ok(None) };
    let started = Notifier::start(notify, config.node.name.to_string(), now);
    started
        .map(Some)
        .map_err(|error| CliError::new(Trouble::Internal, format!("no thread for notices: {error}")))
}

fn settings(keylist: &KeyList, layout: &Layout) -> Settings {
    let beside = |path: &std::path::PathBuf| layout.config.with_file_name(path);
    // The program that reads them runs elsewhere.
    let absolute = |path: std::path::PathBuf| std::path::absolute(&path).unwrap_or(path);
    Settings {
        name: keylist.name.clone(),
        source: keylist.url.clone(),
        branch: keylist.branch.clone(),
        within: keylist.folder.clone(),
        every: Duration::from_secs(keylist.every),
        signers: keylist.signed.as_ref().map(beside).map(absolute),
        rewritten: keylist.rewritten,
        ssh_key: keylist.ssh_key.as_ref().map(beside).map(absolute),
        folder: absolute(layout.registry.with_file_name("keylist")),
    }
}

/// Answers now, or when the list was looked at.
pub(crate) fn ask(keeper: Option<&Keeper>, request: KeyListRequest, answer: Answer) {
    let Some(keeper) = keeper else {
        let none = CliError::new(Trouble::NotFound, "this broker has no key list");
        let hint = "name one in the configuration: [keylist] with url = \"…\", then restart the daemon";
        return drop(answer.send(Err(none.hint(hint))));
    };
    let reply: Box<dyn FnOnce(Result<Report, KeeperError>) + Send> = Box::new(move |report| {
        // Whoever asked may have gone.
        drop(answer.send(report.map(|report| Reply::of(told(report))).map_err(refused)));
    });
    match request {
        KeyListRequest::Status => reply(Ok(keeper.report())),
        KeyListRequest::Pull => keeper.pull(reply),
        KeyListRequest::Confirm(body) => keeper.confirm(body.commit, reply),
    }
}

fn refused(error: KeeperError) -> CliError {
    let (code, hint) = match error {
        KeeperError::Changed => ("state_changed", "look at 'ln6d keylist status' again"),
        KeeperError::Busy => ("busy", "try again in a moment"),
        KeeperError::Stopped => ("stopped", "start the broker again"),
    };
    CliError::refused(code, error.to_string(), hint)
}

/// What is wrong with the list, for `status` and `doctor`.
pub(crate) fn problem(report: &Report) -> Option<Problem> {
    let why = report.why.as_ref()?;
    // The network goes on as it is in each case.
    let severity = if report.state == State::Held { Severity::Note } else { Severity::Warning };
    let message = format!("the key list {}: {}", report.name, why.text);
    Some(Problem { code: why.code.to_owned(), severity, message, hint: Some(why.hint.to_owned()) })
}

fn told(report: Report) -> KeyListReport {
    let held = |gone: &Gone| match gone {
        Gone::Removed(name) => HeldNode { name: name.clone(), what: "removed".to_owned() },
        Gone::Rekeyed(name) => HeldNode { name: name.clone(), what: "rekeyed".to_owned() },
    };
    KeyListReport {
        problem: problem(&report),
        name: report.name,
        url: report.url,
        branch: report.branch,
        state: report.state.word().to_owned(),
        commit: report.commit,
        waiting: report.waiting,
        checked: report.checked.map(Time),
        reached: report.reached.map(Time),
        changed: report.changed.map(Time),
        every_seconds: report.every,
        nodes: report.inside as u64,
        suspended: report.suspended as u64,
        held: report.held.iter().map(held).collect(),
        complaints: report
            .complaints
            .into_iter()
            .map(|c| ComplaintRow { about: c.about, text: c.text })
            .collect(),
        more_complaints: report.more_complaints as u64,
    }
}
