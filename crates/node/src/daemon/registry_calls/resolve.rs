//! From a change as it is asked for to orders of the registry: names and numbers are looked up, what is absent is filled
//! in from what is there.

use super::{Context, other_list, refused};
use crate::api::{self, Action};
use crate::error::{ApiError, CliError, Trouble};
use ln6_broker::{Asked, HolderCard, List, Listed, Refused};
use ln6_registry::{
    Admission, Command, InvitationId, NewInvitation, Order, Policy, Pool, PrefixQuery, Purpose, Replacement,
    RequestId, Revision, Target,
};
use ln6_types::PublicKey;

/// How long an invitation works unless told otherwise: 7 days.
pub(super) const INVITATION: u64 = 7 * 86_400;

/// What an action comes to.
pub(super) struct Made {
    /// To be given in this order.
    pub(super) orders: Vec<Order>,
    /// What has then been done.
    pub(super) done: &'static str,
    /// To whom or what.
    pub(super) name: String,
}

type Then = Box<dyn FnOnce(Result<Made, ApiError>) + Send>;

fn order(command: Command, reason: Option<String>, expect: Option<u64>) -> Order {
    Order { command, reason: reason.unwrap_or_default(), expect: expect.map(Revision) }
}

fn made(done: &'static str, name: String, order: Order) -> Result<Made, ApiError> {
    Ok(Made { orders: vec![order], done, name })
}

/// A holder by its name, or a key.
fn target(name: &str) -> Target {
    name.parse::<PublicKey>().map_or_else(|_| Target::Holder(name.to_owned()), Target::Key)
}

fn not_found(message: String, hint: &str) -> ApiError {
    CliError::new(Trouble::NotFound, message).hint(hint)
}

/// Makes the orders, at once or when the desk has told what there is.
pub(super) fn resolve(context: &Context, action: Action, then: Then) {
    match action {
        Action::Approve(body) => approve(context, body, then),
        Action::Deny(body) => deny(context, body, then),
        Action::Resize(body) => resize(context, body, then),
        Action::Roles(body) => roles(context, body, then),
        Action::Pool(body) => pool(context, body, then),
        Action::PoolClose(api::PoolClose { prefix, reason, expect }) => {
            let close =
                api::Pool { prefix, open: Some(false), reason, expect, ..api::Pool::unchanged(prefix) };
            existing_pool(context, close, then);
        }
        Action::Policy(body) => policy(context, body, then),
        other => then(plain(other)),
    }
}

/// What needs no look at the registry.
fn plain(action: Action) -> Result<Made, ApiError> {
    match action {
        Action::Invite(api::Invite { name, size, expires_seconds, open }) => {
            let valid_for = expires_seconds.unwrap_or(INVITATION);
            let command = Command::Invite(NewInvitation { valid_for, name, size, purpose: Purpose::Admit });
            let orders = if open { Vec::new() } else { vec![command.into()] };
            Ok(Made { orders, done: "invited", name: String::new() })
        }
        Action::Withdraw(api::Withdraw { invitation }) => {
            let number = invitation.parse().map_err(|_| {
                let message = format!("'{invitation}' is no number of an invitation");
                not_found(message, "'ln6d invitations' lists them")
            })?;
            let command = Command::Withdraw { invitation: InvitationId(number) };
            made("withdrawn", format!("invitation {number}"), command.into())
        }
        Action::Revoke(api::Revoke { name, reason, compromised, expect }) => {
            let said = reason.clone().unwrap_or_default();
            let command = Command::Revoke { target: target(&name), reason: said, compromised };
            made("revoked", name, order(command, reason, expect))
        }
        Action::Suspend(api::Suspend { name, reason, expect }) => {
            let said = reason.clone().unwrap_or_default();
            let command = Command::Suspend { holder: name.clone(), reason: said };
            made("suspended", name, order(command, reason, expect))
        }
        Action::Resume(api::Resume { name, reason, expect }) => {
            made("resumed", name.clone(), order(Command::Resume { holder: name }, reason, expect))
        }
        Action::Undo(api::Undo { request: Some(request), reason, expect, .. }) => {
            let id = number(&request)?;
            let command = Command::Reconsider { request: id };
            made("undone", format!("request {id}"), order(command, reason, expect))
        }
        Action::Undo(api::Undo { name, reason, expect, .. }) => {
            let command = Command::Restore { target: target(&name) };
            made("undone", name, order(command, reason, expect))
        }
        Action::Replace(api::Replace { name, keys, expires_seconds, reason, expect }) => {
            let (done, with) = match keys {
                Some((key, sign)) => ("replaced", Replacement::Key { key, sign }),
                None => {
                    let valid_for = expires_seconds.unwrap_or(INVITATION);
                    ("replacement_invited", Replacement::Invitation { valid_for })
                }
            };
            let command = Command::Replace { holder: name.clone(), with };
            made(done, name, order(command, reason, expect))
        }
        Action::Reserve(api::Reserve { prefix, holder, note }) => {
            let note = note.unwrap_or_default();
            let command = Command::Reserve { prefix, name: holder, note };
            made("reserved", prefix.to_string(), command.into())
        }
        Action::Unreserve(api::Unreserve { prefix, reason, expect }) => {
            let command = Command::Unreserve { prefix };
            made("unreserved", prefix.to_string(), order(command, reason, expect))
        }
        Action::Note(body) => note(body),
        Action::Bandwidth(api::Bandwidth { name, bytes_per_second, reason, expect }) => {
            let command = Command::SetRate { holder: name.clone(), rate: bytes_per_second };
            made("limited", name, order(command, reason, expect))
        }
        Action::Rename(api::Rename { name, to, reason, expect }) => {
            let command = Command::Rename { holder: name, to: to.clone() };
            made("renamed", to, order(command, reason, expect))
        }
        Action::Renumber(api::Renumber { from, to, reason }) => {
            let command = Command::Renumber { from, to };
            made("renumbering", format!("{from} to {to}"), order(command, reason, None))
        }
        _ => Err(super::not_yet()),
    }
}

fn note(api::Note { name, note, contact, expect }: api::Note) -> Result<Made, ApiError> {
    if note.is_none() && contact.is_none() {
        return Err(CliError::new(Trouble::BadRequest, "there is nothing to note")
            .hint("say note, contact, or both; an empty text erases"));
    }
    let command = Command::SetCard { holder: name.clone(), contact, note };
    let order = Order { expect: expect.map(Revision), ..command.into() };
    Ok(Made { orders: vec![order], done: "noted", name })
}

fn number(text: &str) -> Result<RequestId, ApiError> {
    let id = text.parse().map(RequestId);
    id.map_err(|_| not_found(format!("'{text}' is no number of a request"), "'ln6d denials' lists them"))
}

/// Asks the desk, and goes on with what `take` finds in its answer.
fn look<T: 'static>(
    context: &Context,
    what: List,
    take: impl FnOnce(Listed) -> Option<T> + Send + 'static,
    then: impl FnOnce(Result<T, ApiError>) + Send + 'static,
) {
    let reply = move |listed: Result<Listed, Refused>| {
        then(listed.map_err(refused).and_then(|listed| take(listed).ok_or_else(other_list)));
    };
    context.desk.list(context.wall, what, Box::new(reply));
}

/// Finds the waiting request by number, name or key.
fn request(
    context: &Context,
    which: String,
    then: Then,
    go_on: impl FnOnce(RequestId, String) -> Result<Made, ApiError> + Send + 'static,
) {
    let take = |listed| match listed {
        Listed::Requests(list) => Some(list),
        _ => None,
    };
    look(context, List::Requests, take, move |list| {
        then(list.and_then(|list| one_request(&list, &which)).and_then(|(id, name)| go_on(id, name)));
    });
}

fn one_request(list: &[Asked], which: &str) -> Result<(RequestId, String), ApiError> {
    let key = which.parse::<PublicKey>().ok();
    let matches = |asked: &&Asked| {
        let request = &asked.view.request;
        request.id.to_string() == which || request.name == which || Some(request.key) == key
    };
    let found: Vec<&Asked> = list.iter().filter(matches).collect();
    match found.as_slice() {
        [one] => Ok((one.view.request.id, one.view.request.name.clone())),
        // A number that does not wait any more: the registry knows whether somebody was faster.
        [] if which.parse::<u64>().is_ok() => number(which).map(|id| (id, which.to_owned())),
        [] => Err(not_found(format!("no request '{which}' waits"), "'ln6d requests' lists those that do")),
        _ => Err(not_found(
            format!("{} requests are called '{which}'", found.len()),
            "name the one you mean by its number or key: 'ln6d requests' shows them",
        )),
    }
}

fn approve(context: &Context, body: api::Approve, then: Then) {
    let api::Approve { request: which, prefix, size, name, holder, reason, expect } = body;
    request(context, which, then, move |id, asked| {
        let called = name.clone().unwrap_or(asked);
        let command = Command::Approve { request: id, prefix, size, name, holder };
        made("approved", called, order(command, reason, expect))
    });
}

fn deny(context: &Context, body: api::Deny, then: Then) {
    let api::Deny { request: which, reason, expect } = body;
    request(context, which, then, move |id, asked| {
        let command = Command::Deny { request: id, reason: reason.clone().unwrap_or_default() };
        made("denied", asked, order(command, reason, expect))
    });
}

fn holder(
    context: &Context,
    name: String,
    then: Then,
    go_on: impl FnOnce(HolderCard) -> Result<Made, ApiError> + Send + 'static,
) {
    let take = |listed| match listed {
        Listed::Holder(card) => Some(*card),
        _ => None,
    };
    look(context, List::Holder { name }, take, move |card| then(card.and_then(go_on)));
}

fn resize(context: &Context, body: api::Resize, then: Then) {
    let api::Resize { prefix, holder: name, size, moving, reason, expect } = body;
    let resized = move |delegation, whose| {
        let command = Command::Resize { delegation, size, moving };
        made("resized", whose, order(command, reason, expect))
    };
    match (prefix, name) {
        (None, None) => then(Err(CliError::new(Trouble::BadRequest, "whose prefix? say prefix or holder"))),
        (None, Some(name)) => holder(context, name, then, move |card| {
            let live: Vec<_> = card.view.prefixes.iter().filter(|held| held.state.is_live()).collect();
            match live.as_slice() {
                [one] => resized(one.id, card.view.name.clone()),
                [] => Err(not_found(
                    format!("{} has no prefix in force", card.view.name),
                    "'ln6d prefixes' shows how things stand",
                )),
                _ => Err(not_found(
                    format!("{} has {} prefixes", card.view.name, live.len()),
                    "name the one you mean by its prefix",
                )),
            }
        }),
        (Some(prefix), name) => {
            let take = |listed| match listed {
                Listed::PrefixPage(page) => Some(page.rows),
                _ => None,
            };
            let query = PrefixQuery { within: Some(prefix), limit: 500, ..PrefixQuery::default() };
            look(context, List::PrefixPage(query), take, move |rows| {
                then(rows.and_then(|rows| {
                    let mine = |row: &&ln6_registry::PrefixView| {
                        row.prefix == prefix && name.as_ref().is_none_or(|name| row.holder == *name)
                    };
                    let found = rows.iter().find(|row| mine(row) && row.state.is_live());
                    let row = found.or_else(|| rows.iter().find(mine)).ok_or_else(|| {
                        not_found(
                            format!("nobody holds exactly {prefix}"),
                            "'ln6d prefixes' lists who holds what",
                        )
                    })?;
                    resized(row.id, row.holder.clone())
                }));
            });
        }
    }
}

fn roles(context: &Context, body: api::Roles, then: Then) {
    let api::Roles { name, exit, broker, transit, reason, expect } = body;
    holder(context, name, then, move |card| {
        let mut roles = card.view.roles;
        roles.exit = exit.unwrap_or(roles.exit);
        roles.broker = broker.unwrap_or(roles.broker);
        roles.transit = transit.unwrap_or(roles.transit);
        let command = Command::SetRoles { holder: card.view.name.clone(), roles };
        made("roles_set", card.view.name, order(command, reason, expect))
    });
}

fn pool(context: &Context, body: api::Pool, then: Then) {
    with_pool(context, body, false, then);
}

fn existing_pool(context: &Context, body: api::Pool, then: Then) {
    with_pool(context, body, true, then);
}

fn with_pool(context: &Context, body: api::Pool, must_exist: bool, then: Then) {
    let take = |listed| match listed {
        Listed::Pools(pools) => Some(pools),
        _ => None,
    };
    look(context, List::Pools, take, move |pools| {
        then(pools.and_then(|pools| {
            let known = pools.into_iter().map(|view| view.pool).find(|pool| pool.prefix == body.prefix);
            if must_exist && known.is_none() {
                let message = format!("{} is no pool of this broker", body.prefix);
                return Err(not_found(message, "'ln6d pools' lists them"));
            }
            set_pool(body, known)
        }));
    });
}

fn set_pool(body: api::Pool, known: Option<Pool>) -> Result<Made, ApiError> {
    let mut pool = known.unwrap_or_else(|| Pool::new(body.prefix, Admission::Queue));
    pool.default_len = body.default.unwrap_or(pool.default_len);
    pool.largest = body.largest.unwrap_or(pool.largest);
    pool.smallest = body.smallest.unwrap_or(pool.smallest);
    pool.open = body.open.unwrap_or(pool.open);
    if let Some(word) = &body.admission {
        pool.admission = admission(word)?;
    }
    let done = if body.open == Some(false) { "pool_closed" } else { "pool_set" };
    made(done, body.prefix.to_string(), order(Command::SetPool(pool), body.reason, body.expect))
}

fn admission(word: &str) -> Result<Admission, ApiError> {
    let known = [Admission::Invitation, Admission::Queue, Admission::KeyList];
    known.into_iter().find(|one| super::lists::admission(*one) == word).ok_or_else(|| {
        CliError::new(Trouble::BadRequest, "nobody is admitted in that way")
            .hint("admission is 'invitation', 'queue' or 'key_list'")
    })
}

fn policy(context: &Context, body: api::Policy, then: Then) {
    let take = |listed| match listed {
        Listed::Policy(policy) => Some(policy),
        _ => None,
    };
    look(context, List::Policy, take, move |policy| {
        then(policy.and_then(|policy| {
            let reason = body.reason.clone();
            let expect = body.expect;
            let command = Command::SetPolicy(changed(policy, &body));
            made("policy_set", "policy".to_owned(), order(command, reason, expect))
        }));
    });
}

fn changed(old: Policy, body: &api::Policy) -> Policy {
    Policy {
        validity: body.validity_seconds.unwrap_or(old.validity),
        grace: body.grace_seconds.unwrap_or(old.grace),
        quarantine: body.quarantine_seconds.unwrap_or(old.quarantine),
        revocation_grace: body.revocation_grace_seconds.unwrap_or(old.revocation_grace),
        request_span: body.request_seconds.unwrap_or(old.request_span),
        denial_span: body.denial_seconds.unwrap_or(old.denial_span),
        move_span: body.move_seconds.unwrap_or(old.move_span),
        queue: body.queue.unwrap_or(old.queue),
        queue_per_name: body.queue_per_name.unwrap_or(old.queue_per_name),
        ..old
    }
}
