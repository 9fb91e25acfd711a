//! What a change would do, before it is made.

use super::kept::Waiting;
use super::resolve::{Made, resolve};
use super::{Context, refused, send, words};
use crate::api::{Action, Caller, Reply};
use crate::error::{ApiError, CliError};
use crate::schema::{ConfirmationList, ConfirmationRow, Effect, EffectsReport, Time};
use ln6_broker::Refused;
use ln6_registry::{Actor, Effects, Order, Warning};
use ln6_types::Prefix;
use tokio::sync::oneshot;

type Answer = oneshot::Sender<Result<Reply, ApiError>>;
type End<T> = Box<dyn FnOnce(Result<T, ApiError>) + Send>;

/// Says what `action` would do now; nothing is changed.
pub(super) fn preview(context: &Context, action: Action, answer: Answer) {
    let end = move |report: Result<EffectsReport, ApiError>| send(answer, report.map(Reply::of));
    weigh(context, action, Box::new(end));
}

/// What `action` would do if the operator did it: whoever may not do it alone sees what waits to be confirmed.
pub(super) fn weigh(context: &Context, action: Action, end: End<EffectsReport>) {
    let again = context.clone();
    let then = move |made: Result<Made, ApiError>| match made {
        Ok(made) => orders(again, made.orders.into_iter(), EffectsReport::default(), end),
        Err(error) => end(Err(error)),
    };
    resolve(context, action, Box::new(then));
}

/// One order after the other.
fn orders(
    context: Context,
    mut rest: std::vec::IntoIter<Order>,
    mut report: EffectsReport,
    end: End<EffectsReport>,
) {
    let Some(order) = rest.next() else { return end(Ok(report)) };
    let (desk, wall) = (context.desk.clone(), context.wall);
    let asked = order.clone();
    let reply = move |effects: Result<Effects, Refused>| match effects {
        Ok(effects) => {
            add(&mut report, &effects);
            permitted(context, asked, report, rest, end);
        }
        Err(why) => end(Err(refused(why))),
    };
    desk.preview(wall, Actor::Operator, order, Box::new(reply));
}

/// Whether a page or a token may give the order alone, is for the registry to say.
fn permitted(
    context: Context,
    order: Order,
    mut report: EffectsReport,
    rest: std::vec::IntoIter<Order>,
    end: End<EffectsReport>,
) {
    let (desk, wall) = (context.desk.clone(), context.wall);
    let who = match &context.who {
        // Somebody at the machine wants to know how it is for others.
        Caller::Machine => Actor::Admin("page".to_owned()),
        Caller::For(_) => context.actor(),
    };
    let reply = move |effects: Result<Effects, Refused>| {
        report.needs_confirmation |= effects.is_err_and(|why| why.code == super::NEEDS_OPERATOR);
        orders(context, rest, report, end);
    };
    desk.preview(wall, who, order, Box::new(reply));
}

fn effect(code: &str, message: String, prefixes: Vec<Prefix>) -> Effect {
    Effect { code: code.to_owned(), message, prefixes }
}

/// Adds what one order does, in sentences.
fn add(report: &mut EffectsReport, effects: &Effects) {
    let list = |prefixes: &[Prefix]| {
        let all: Vec<String> = prefixes.iter().map(Prefix::to_string).collect();
        all.join(", ")
    };
    let mut say = |code: &str, message: String, prefixes: Vec<Prefix>| {
        report.effects.push(effect(code, message, prefixes));
    };
    if effects.nothing {
        say("nothing", "nothing changes: it is so already".to_owned(), Vec::new());
    }
    if !effects.holders.is_empty() {
        let names: Vec<&str> = effects.holders.iter().map(String::as_str).collect();
        say("holders", format!("changes {}", names.join(", ")), Vec::new());
    }
    let gained: Vec<Prefix> = effects.gained.iter().copied().collect();
    let lost: Vec<Prefix> = effects.lost.iter().copied().collect();
    if !gained.is_empty() {
        say("gains", format!("{} comes into force", list(&gained)), gained);
    }
    if !lost.is_empty() {
        say("loses", format!("{} is in force no more", list(&lost)), lost);
    }
    for (prefix, until) in &effects.retiring {
        say("retires", format!("{prefix} stays valid beside it until {}", words::day(*until)), vec![*prefix]);
    }
    for near in &effects.neighbours {
        say("neighbour", format!("beside it: {} of {}", near.prefix, near.holder), vec![near.prefix]);
    }
    if effects.certificates + effects.revocations > 0 {
        let (new, old) = (effects.certificates, effects.revocations);
        say("signs", format!("signs {new} certificates and {old} revocations"), Vec::new());
    }
    if effects.more > 0 {
        say("more", format!("and {} more of all these", effects.more), Vec::new());
    }
    report.undo_until = report.undo_until.max(effects.undo_until.map(Time));
    report.warnings.extend(effects.warnings.iter().map(|warning| {
        let (code, words) = warned(*warning);
        effect(code, words.to_owned(), Vec::new())
    }));
}

fn warned(warning: Warning) -> (&'static str, &'static str) {
    match warning {
        Warning::LosesConnectivity => ("loses_connectivity", "a holder is without IPv6 from then on"),
        Warning::NotUndoable => ("not_undoable", "this can never be undone"),
        Warning::Renumbers => ("renumbers", "hosts must be renumbered: one prefix goes and another comes"),
        Warning::DropsClients => ("drops_clients", "stock clients are forgotten"),
        Warning::LosesExit => ("loses_exit", "an exit stops being one"),
        Warning::GrantsRole => ("grants_role", "somebody gets power over others' traffic"),
        Warning::KeptInQuarantine => {
            ("kept_in_quarantine", "what is freed is given to nobody until no certificate names it")
        }
    }
}

/// What waits to be confirmed, each with what it would do now.
pub(super) fn confirmations(context: &Context, answer: Answer) {
    let waiting = context.kept.all(context.wall).into_iter();
    let end = move |list: Result<ConfirmationList, ApiError>| send(answer, list.map(Reply::of));
    next(context.clone(), waiting, ConfirmationList::default(), Box::new(end));
}

fn next(
    context: Context,
    mut rest: std::vec::IntoIter<Waiting>,
    mut list: ConfirmationList,
    end: End<ConfirmationList>,
) {
    let Some(waiting) = rest.next() else { return end(Ok(list)) };
    let again = context.clone();
    let action = waiting.action.clone();
    let told = move |report: Result<EffectsReport, CliError>| {
        list.confirmations.push(row(waiting, report));
        next(again, rest, list, end);
    };
    weigh(&context, action, Box::new(told));
}

fn row(waiting: Waiting, report: Result<EffectsReport, CliError>) -> ConfirmationRow {
    let (effects, refused) = match report {
        Ok(report) => (report.effects.into_iter().chain(report.warnings).collect(), None),
        Err(error) => (Vec::new(), Some(error.message)),
    };
    ConfirmationRow {
        code: waiting.code,
        action: waiting.action.word().to_owned(),
        request: waiting.action.body(),
        actor: waiting.actor.to_string(),
        asked: Time(waiting.asked),
        until: Time(waiting.until),
        effects,
        refused,
    }
}
