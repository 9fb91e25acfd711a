//! Changes: carried out as orders of the registry, or kept for somebody at the machine.

use super::resolve::{INVITATION, Made, resolve};
use super::{Context, NEEDS_OPERATOR, effects, refused, send, words};
use crate::api::{ActingFor, Action, Caller, Export, Reply};
use crate::daemon::broker;
use crate::error::{ApiError, CliError, Trouble};
use crate::schema::{ActionReply, BackupList, BackupRow, EffectsReport, InviteReply, Time};
use ln6_broker::{Done, Refused};
use ln6_registry::{Event, InvitationId, Order, Secret, What};
use ln6_types::{Prefix, UnixTime};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::oneshot;

type Answer = oneshot::Sender<Result<Reply, ApiError>>;

/// What the orders of one change have brought about.
#[derive(Default)]
struct Outcome {
    events: Vec<Event>,
    invitation: Option<(InvitationId, Secret)>,
}

/// Carries a change out.
pub(super) fn act(context: Context, action: Action, answer: Answer) {
    let again = context.clone();
    let asked = action.clone();
    let then = move |made: Result<Made, ApiError>| match made {
        Ok(mut made) => {
            let orders = std::mem::take(&mut made.orders).into_iter();
            let ask = again.clone();
            let end = move |outcome: Result<Outcome, Refused>| match outcome {
                Err(why) if why.code == NEEDS_OPERATOR => keep(&ask, asked, made, why, answer),
                outcome => send(answer, ended(&ask, &asked, &made, outcome)),
            };
            carry(again, orders, Outcome::default(), Box::new(end));
        }
        Err(error) => send(answer, Err(error)),
    };
    resolve(&context, action, Box::new(then));
}

type End = Box<dyn FnOnce(Result<Outcome, Refused>) + Send>;

/// One order after the other; the first refusal ends it.
fn carry(context: Context, mut orders: std::vec::IntoIter<Order>, mut so_far: Outcome, end: End) {
    let Some(order) = orders.next() else { return end(Ok(so_far)) };
    let (desk, wall, who) = (context.desk.clone(), context.wall, context.actor());
    let reply = move |done: Result<Done, Refused>| match done {
        Ok(done) => {
            so_far.events.extend(done.events);
            so_far.invitation = done.invitation.or(so_far.invitation);
            carry(context, orders, so_far, end);
        }
        Err(why) => end(Err(why)),
    };
    desk.command(wall, who, order, Box::new(reply));
}

fn ended(
    context: &Context,
    action: &Action,
    made: &Made,
    outcome: Result<Outcome, Refused>,
) -> Result<Reply, ApiError> {
    match outcome {
        Ok(outcome) => {
            if !outcome.events.is_empty() {
                tell(context, made);
            }
            reply(context, action, made, &outcome)
        }
        Err(why) => Err(refused(why)),
    }
}

/// Keeps what the page or a token may not do alone, if it could be done at all; refuses it to anybody else.
fn keep(context: &Context, action: Action, made: Made, why: Refused, answer: Answer) {
    let Caller::For(actor) = context.who.clone() else { return send(answer, Err(refused(why))) };
    let told = context.clone();
    let asked = action.clone();
    let weighed = move |report: Result<EffectsReport, ApiError>| {
        send(answer, report.and_then(|_| kept(&told, &actor, &asked, &made)));
    };
    effects::weigh(context, action, Box::new(weighed));
}

fn kept(context: &Context, actor: &ActingFor, action: &Action, made: &Made) -> Result<Reply, ApiError> {
    let random = ln6_host::entropy::bytes::<8>()
        .map_err(|error| CliError::new(Trouble::Internal, format!("no randomness: {error}")))?;
    let kept = context.kept.keep(context.wall, actor, action, random)?;
    let message = format!("{actor} asks for {}: 'ln6d confirm {}'", action.word(), kept.code);
    event(context, "confirmation_waits", message);
    Ok(Reply::of(ActionReply {
        done: "kept".to_owned(),
        name: Some(made.name.clone()),
        until: Some(Time(kept.until)),
        confirm: Some(kept.code),
        ..ActionReply::default()
    }))
}

/// An event for who listens: the page, `ln6d events`.
fn event(context: &Context, code: &'static str, message: String) {
    // The daemon may be on its way out.
    drop(context.back.send(broker::Answer::Happened { code, message }));
}

fn tell(context: &Context, made: &Made) {
    let who = match &context.who {
        Caller::Machine => "operator".to_owned(),
        Caller::For(actor) => actor.to_string(),
    };
    let what = [made.done.replace('_', " "), made.name.clone()].join(" ");
    event(context, "registry_changed", format!("{}, by {who}", what.trim_end()));
}

fn reply(context: &Context, action: &Action, made: &Made, outcome: &Outcome) -> Result<Reply, ApiError> {
    let after = |seconds: Option<u64>| context.wall + Duration::from_secs(seconds.unwrap_or(INVITATION));
    let secret = outcome.invitation.as_ref().map(|(_, secret)| secret.0);
    let mut reply = ActionReply {
        done: made.done.to_owned(),
        name: Some(made.name.clone()),
        prefixes: prefixes_in(&outcome.events),
        undo_until: undo_until(&outcome.events).map(Time),
        ..ActionReply::default()
    };
    match action {
        Action::Invite(body) => {
            let (expires, size) = (after(body.expires_seconds), body.size);
            let link = context.link.link(secret, body.name.clone(), size, expires)?;
            let (name, expires, open) = (body.name.clone(), Time(expires), body.open);
            return Ok(Reply::of(InviteReply { link, expires, name, size, open }));
        }
        Action::Replace(body) if secret.is_some() => {
            let expires = after(body.expires_seconds);
            reply.link = Some(context.link.link(secret, None, None, expires)?);
            reply.until = Some(Time(expires));
        }
        _ => {}
    }
    Ok(Reply::of(reply))
}

/// What the events concern.
fn prefixes_in(events: &[Event]) -> Vec<Prefix> {
    let mut prefixes: Vec<Prefix> = Vec::new();
    for event in events {
        match &event.what {
            What::Issued(issue) => prefixes.extend(&issue.prefixes),
            What::Granted { prefix, .. } | What::Resized { prefix, .. } | What::Unreserved { prefix } => {
                prefixes.push(*prefix);
            }
            What::Reserved(kept) => prefixes.push(kept.prefix),
            What::PoolSet(pool) => prefixes.push(pool.prefix),
            _ => {}
        }
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}

/// Until when a revocation can be undone, if that is what happened.
fn undo_until(events: &[Event]) -> Option<UnixTime> {
    let ends = events.iter().filter_map(|event| match &event.what {
        What::KeyRevoked { until, .. } => *until,
        _ => None,
    });
    ends.min()
}

/// Carries out what was kept, as the operator, with who asked for it as the reason.
pub(super) fn confirm(context: Context, code: &str, answer: Answer) {
    if context.who != Caller::Machine {
        let message = "this is confirmed on the machine itself";
        return send(answer, Err(CliError::new(Trouble::NotPermitted, message)));
    }
    match context.kept.take(context.wall, code) {
        Ok(waiting) => {
            let why = words::clipped(&format!("asked for by {}", waiting.actor), waiting.action.reason());
            act(context, waiting.action.with_reason(why), answer);
        }
        Err(error) => send(answer, Err(error)),
    }
}

/// In which second a file was last asked for, and how many in it: two of one second have two names.
static TAKEN: Mutex<(u64, u32)> = Mutex::new((0, 0));

/// Where a file about the registry goes: beside it, for its owner only.
fn aside(context: &Context, end: &str) -> Result<PathBuf, CliError> {
    let moment: String = Time(context.wall).to_string().replace([':', '-'], "");
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&context.backups);
    made.map_err(|error| CliError::file("create", &context.backups, &error))?;
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.0 != context.wall.as_secs() {
        *taken = (context.wall.as_secs(), 0);
    }
    loop {
        taken.1 += 1;
        let again = if taken.1 > 1 { format!("-{}", taken.1) } else { String::new() };
        let file = context.backups.join(format!("registry-{moment}{again}.{end}"));
        if !file.exists() {
            return Ok(file);
        }
    }
}

/// Tells when the desk has written a file.
fn written(
    context: &Context,
    code: &'static str,
    done: &'static str,
    file: &Path,
    answer: Answer,
) -> Written {
    let (told, name) = (context.clone(), file.display().to_string());
    Box::new(move |result: Result<(), Refused>| {
        let reply = result.map_err(refused).map(|()| {
            event(&told, code, format!("the registry was {done} to {name}"));
            Reply::of(ActionReply { done: done.to_owned(), name: Some(name), ..ActionReply::default() })
        });
        send(answer, reply);
    })
}

type Written = Box<dyn FnOnce(Result<(), Refused>) + Send>;

/// Makes a whole copy of the registry.
pub(super) fn backup(context: &Context, answer: Answer) {
    match aside(context, "db") {
        Ok(file) => {
            let reply = written(context, "backup_made", "saved", &file, answer);
            context.desk.backup(file, reply);
        }
        Err(error) => send(answer, Err(error)),
    }
}

/// Writes the whole registry as text.
pub(super) fn export(context: &Context, export: Export, answer: Answer) {
    match aside(context, "export") {
        Ok(file) => {
            let reply = written(context, "exported", "exported", &file, answer);
            context.desk.export(file, !export.without_contacts, reply);
        }
        Err(error) => send(answer, Err(error)),
    }
}

/// The copies there are, newest first.
pub(super) fn backups(context: &Context) -> Result<Reply, ApiError> {
    let mut backups: Vec<BackupRow> = match std::fs::read_dir(&context.backups) {
        Ok(entries) => entries.filter_map(|entry| backup_row(&entry.ok()?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(CliError::file("read", &context.backups, &error)),
    };
    backups.sort_by(|a, b| b.file.cmp(&a.file));
    Ok(Reply::of(BackupList { backups }))
}

fn backup_row(path: &Path) -> Option<BackupRow> {
    let name = path.file_name()?.to_str()?;
    if !(name.starts_with("registry-") && name.ends_with(".db")) {
        return None;
    }
    let data = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let since = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let file = path.display().to_string();
    Some(BackupRow { file, time: Time::from_secs(since.as_secs()), bytes: data.len() })
}
