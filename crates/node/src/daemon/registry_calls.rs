//! Requests of the command line that the registry answers.

use crate::api::{
    Action, Approve, Deny, Invite, Prefixes, RegistryRequest, Replace, Reply, Resume, Revoke, Suspend,
    Withdraw,
};
use crate::daemon::broker::Broker;
use crate::error::{ApiError, CliError, Trouble};
use crate::schema::{
    ActionReply, BrokerSummary, InvitationList, InvitationRow, InviteReply, PoolRow, PrefixRow, RequestList,
    RequestRow, Time,
};
use ln6_broker::{Asked, Done, List, Listed, Refused};
use ln6_crypto::Link;
use ln6_registry::{
    Actor, Command, DelegationState, HolderState, HolderView, InvitationId, InvitationView, KeyState,
    NewInvitation, PoolView, Purpose, Replacement, RequestId, Target, What,
};
use ln6_types::{Fingerprint, Prefix, PublicKey, UnixTime};
use std::time::Duration;
use tokio::sync::oneshot;

type Answer = oneshot::Sender<Result<Reply, ApiError>>;

/// How long an invitation works unless told otherwise: 7 days.
const INVITATION: u64 = 7 * 86_400;

/// What every link carries.
pub(crate) struct LinkParts {
    pub(crate) network: Fingerprint,
    pub(crate) broker: PublicKey,
    pub(crate) endpoints: Vec<String>,
}

impl LinkParts {
    fn link(
        self,
        secret: Option<[u8; 16]>,
        name: Option<String>,
        size: Option<u8>,
        expires: UnixTime,
    ) -> Result<String, ApiError> {
        if self.endpoints.is_empty() {
            return Err(CliError::new(Trouble::ConfigInvalid, "no public address of this broker is known")
                .hint("add public = [\"host\"] under [node] and restart"));
        }
        let endpoints = self.endpoints.into_iter().take(6).collect();
        let link =
            Link { network: self.network, broker: self.broker, endpoints, secret, name, size, expires };
        link.check().map_err(|error| CliError::refused(error.code(), error.to_string(), ""))?;
        Ok(link.to_string())
    }
}

fn refused(refused: Refused) -> CliError {
    CliError::refused(refused.code, refused.text, &refused.hint)
}

fn send(answer: Answer, result: Result<Reply, ApiError>) {
    // Whoever asked may have gone.
    drop(answer.send(result));
}

/// Carries a request to the desk.
pub(crate) fn ask(
    broker: &Broker,
    link: LinkParts,
    wall: UnixTime,
    request: RegistryRequest,
    answer: Answer,
) {
    match request {
        RegistryRequest::Requests => requests(broker, wall, answer),
        RegistryRequest::Invitations => invitations(broker, wall, answer),
        RegistryRequest::Act(action) => self::action(broker, link, wall, *action, answer),
        _ => send(answer, Err(not_yet())),
    }
}

fn not_yet() -> CliError {
    CliError::new(Trouble::BadRequest, "this broker has no answer to that yet")
}

/// The revision that was looked at, if one was said.
fn expected(action: &Action) -> Option<u64> {
    match action {
        Action::Approve(body) => body.expect,
        Action::Deny(body) => body.expect,
        Action::Revoke(body) => body.expect,
        Action::Suspend(body) => body.expect,
        Action::Resume(body) => body.expect,
        _ => None,
    }
}

fn action(broker: &Broker, link: LinkParts, wall: UnixTime, action: Action, answer: Answer) {
    if expected(&action).is_some() {
        return send(answer, Err(not_yet()));
    }
    match action {
        Action::Invite(invite) => self::invite(broker, link, wall, invite, answer),
        Action::Withdraw(body) => withdraw(broker, wall, &body, answer),
        Action::Approve(body) => approve(broker, wall, body, answer),
        Action::Deny(body) => deny(broker, wall, body, answer),
        Action::Revoke(Revoke { name, reason, .. }) => {
            let target = match name.parse::<PublicKey>() {
                Ok(key) => Target::Key(key),
                Err(_) => Target::Holder(name.clone()),
            };
            act(
                broker,
                wall,
                "revoked",
                name,
                Command::Revoke { target, reason: reason.unwrap_or_default(), compromised: false },
                answer,
            );
        }
        Action::Suspend(Suspend { name, reason, .. }) => {
            let command = Command::Suspend { holder: name.clone(), reason: reason.unwrap_or_default() };
            act(broker, wall, "suspended", name, command, answer);
        }
        Action::Resume(Resume { name, .. }) => {
            act(broker, wall, "resumed", name.clone(), Command::Resume { holder: name }, answer);
        }
        Action::Replace(body) => replace(broker, link, wall, body, answer),
        _ => send(answer, Err(not_yet())),
    }
}

fn requests(broker: &Broker, wall: UnixTime, answer: Answer) {
    let reply = move |listed: Result<Listed, Refused>| {
        let result = match listed {
            Ok(Listed::Requests(list)) => {
                Ok(Reply::of(RequestList { requests: list.into_iter().map(request_row).collect() }))
            }
            Ok(_) => Err(CliError::new(Trouble::Internal, "the registry gave another list")),
            Err(why) => Err(refused(why)),
        };
        send(answer, result);
    };
    broker.desk().list(wall, List::Requests, Box::new(reply));
}

/// Shows the notifier who waits.
pub(crate) fn show_requests(
    desk: &ln6_broker::DeskHandle,
    wall: UnixTime,
    way: std::sync::mpsc::SyncSender<(UnixTime, super::notify::Look)>,
) {
    let reply = move |listed: Result<Listed, Refused>| {
        if let Ok(Listed::Requests(list)) = listed {
            let rows = list.into_iter().map(request_row).collect();
            // Busy with its program: it is shown again in a minute.
            drop(way.try_send((wall, super::notify::Look::Requests(rows))));
        }
    };
    desk.list(wall, List::Requests, Box::new(reply));
}

fn invitations(broker: &Broker, wall: UnixTime, answer: Answer) {
    let reply = move |listed: Result<Listed, Refused>| {
        let result = match listed {
            Ok(Listed::Invitations(list)) => {
                Ok(Reply::of(InvitationList { invitations: list.into_iter().map(invitation_row).collect() }))
            }
            Ok(_) => Err(CliError::new(Trouble::Internal, "the registry gave another list")),
            Err(why) => Err(refused(why)),
        };
        send(answer, result);
    };
    broker.desk().list(wall, List::Invitations, Box::new(reply));
}

fn invitation_row(view: InvitationView) -> InvitationRow {
    InvitationRow {
        id: view.id.to_string(),
        state: view.state.to_owned(),
        name: view.name,
        size: view.size,
        replaces: matches!(view.purpose, Purpose::Replace(_)),
        expires: Time(view.expires),
        used_by: view.used_by,
    }
}

fn withdraw(broker: &Broker, wall: UnixTime, body: &Withdraw, answer: Answer) {
    let Ok(number) = body.invitation.parse() else {
        let unknown =
            CliError::new(Trouble::NotFound, format!("'{}' is no number of an invitation", body.invitation));
        return send(answer, Err(unknown.hint("'ln6d invitations' lists them")));
    };
    let command = Command::Withdraw { invitation: InvitationId(number) };
    act(broker, wall, "withdrawn", format!("invitation {number}"), command, answer);
}

fn request_row(asked: Asked) -> RequestRow {
    let request = asked.view.request;
    RequestRow {
        id: request.id.to_string(),
        name: Some(request.name),
        size: request.size,
        ssid: request.ssid,
        key: request.key,
        proposed: asked.view.proposal.filter(|_| asked.view.proposal_free),
        contact: asked.contact,
        since: Time(request.since),
        revision: u64::from(request.changes),
    }
}

fn invite(broker: &Broker, link: LinkParts, wall: UnixTime, invite: Invite, answer: Answer) {
    let valid_for = invite.expires_seconds.unwrap_or(INVITATION);
    let expires = wall + Duration::from_secs(valid_for);
    let (name, size) = (invite.name, invite.size);
    if invite.open {
        let made = link.link(None, name.clone(), size, expires);
        let reply =
            made.map(|link| Reply::of(InviteReply { link, expires: Time(expires), name, size, open: true }));
        return send(answer, reply);
    }
    let command =
        Command::Invite(NewInvitation { valid_for, name: name.clone(), size, purpose: Purpose::Admit });
    let reply = move |done: Result<Done, Refused>| {
        let result = done.map_err(refused).and_then(|done| {
            let secret = done.invitation.map(|(_, secret)| secret.0);
            let link = link.link(secret, name.clone(), size, expires)?;
            Ok(Reply::of(InviteReply { link, expires: Time(expires), name, size, open: false }))
        });
        send(answer, result);
    };
    broker.desk().command(wall, Actor::Operator, command, Box::new(reply));
}

/// Finds the waiting request by number, name or key, then goes on with it.
fn with_request(
    broker: &Broker,
    wall: UnixTime,
    which: String,
    answer: Answer,
    go_on: impl FnOnce(RequestId, String, Answer) + Send + 'static,
) {
    let reply = move |listed: Result<Listed, Refused>| {
        let list = match listed {
            Ok(Listed::Requests(list)) => list,
            Ok(_) => Vec::new(),
            Err(why) => return send(answer, Err(refused(why))),
        };
        let key = which.parse::<PublicKey>().ok();
        let matches = |asked: &&Asked| {
            let request = &asked.view.request;
            request.id.to_string() == which || request.name == which || Some(request.key) == key
        };
        let found: Vec<&Asked> = list.iter().filter(matches).collect();
        match found.as_slice() {
            [one] => go_on(one.view.request.id, one.view.request.name.clone(), answer),
            [] => send(
                answer,
                Err(CliError::new(Trouble::NotFound, format!("no request '{which}' waits"))
                    .hint("'ln6d requests' lists those that do")),
            ),
            _ => send(
                answer,
                Err(CliError::new(
                    Trouble::NotFound,
                    format!("{} requests are called '{which}'", found.len()),
                )
                .hint("name the one you mean by its number or key: 'ln6d requests' shows them")),
            ),
        }
    };
    broker.desk().list(wall, List::Requests, Box::new(reply));
}

fn approve(broker: &Broker, wall: UnixTime, body: Approve, answer: Answer) {
    let desk = broker.desk().clone();
    let Approve { request, prefix, size, name, holder, .. } = body;
    with_request(broker, wall, request, answer, move |id, asked, answer| {
        let called = name.clone().unwrap_or(asked);
        let command = Command::Approve { request: id, prefix, size, name, holder };
        let reply = move |done| send(answer, acted("approved", called, done));
        desk.command(wall, Actor::Operator, command, Box::new(reply));
    });
}

fn deny(broker: &Broker, wall: UnixTime, body: Deny, answer: Answer) {
    let desk = broker.desk().clone();
    let reason = body.reason.unwrap_or_default();
    with_request(broker, wall, body.request, answer, move |id, asked, answer| {
        let command = Command::Deny { request: id, reason };
        let reply = move |done| send(answer, acted("denied", asked, done));
        desk.command(wall, Actor::Operator, command, Box::new(reply));
    });
}

fn act(broker: &Broker, wall: UnixTime, word: &'static str, name: String, command: Command, answer: Answer) {
    let reply = move |done| send(answer, acted(word, name, done));
    broker.desk().command(wall, Actor::Operator, command, Box::new(reply));
}

fn acted(word: &'static str, name: String, done: Result<Done, Refused>) -> Result<Reply, ApiError> {
    let done = done.map_err(refused)?;
    Ok(Reply::of(ActionReply {
        done: word.to_owned(),
        name: Some(name),
        prefixes: prefixes_in(&done),
        ..ActionReply::default()
    }))
}

/// What the events concern.
fn prefixes_in(done: &Done) -> Vec<Prefix> {
    let mut prefixes: Vec<Prefix> = Vec::new();
    for event in &done.events {
        if let What::Issued(issue) = &event.what {
            prefixes.extend(&issue.prefixes);
        }
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}

fn replace(broker: &Broker, link: LinkParts, wall: UnixTime, body: Replace, answer: Answer) {
    let Replace { name, keys, expires_seconds } = body;
    let valid_for = expires_seconds.unwrap_or(INVITATION);
    let expires = wall + Duration::from_secs(valid_for);
    let with = match keys {
        Some((key, sign)) => Replacement::Key { key, sign },
        None => Replacement::Invitation { valid_for },
    };
    let command = Command::Replace { holder: name.clone(), with };
    let reply = move |done: Result<Done, Refused>| {
        let result = done.map_err(refused).and_then(|done| {
            let secret = done.invitation.as_ref().map(|(_, secret)| secret.0);
            let made = secret.map(|secret| link.link(Some(secret), None, None, expires)).transpose()?;
            let until = made.is_some().then_some(Time(expires));
            Ok(Reply::of(ActionReply {
                done: if made.is_some() { "replacement_invited" } else { "replaced" }.to_owned(),
                name: Some(name),
                prefixes: prefixes_in(&done),
                link: made,
                until,
                ..ActionReply::default()
            }))
        });
        send(answer, result);
    };
    broker.desk().command(wall, Actor::Operator, command, Box::new(reply));
}

/// Who holds what, by the registry.
pub(crate) fn prefixes(broker: &Broker, wall: UnixTime, which: Prefixes, answer: Answer) {
    let reply = move |listed: Result<Listed, Refused>| {
        let result = match listed {
            Ok(Listed::Holders(holders)) => {
                let mut rows: Vec<PrefixRow> = holders.iter().flat_map(prefix_rows).collect();
                rows.sort_by_key(|row| row.prefix);
                Ok(Reply::of(super::service::page(rows, &which)))
            }
            Ok(_) => Err(CliError::new(Trouble::Internal, "the registry gave another list")),
            Err(why) => Err(refused(why)),
        };
        send(answer, result);
    };
    broker.desk().list(wall, List::Holders { gone: true }, Box::new(reply));
}

fn prefix_rows(holder: &HolderView) -> Vec<PrefixRow> {
    let keys: Vec<PublicKey> =
        holder.keys.iter().filter(|key| key.state == KeyState::Active).map(|key| key.key).collect();
    let row = |view: &ln6_registry::PrefixView| {
        let (state, until) = match view.state {
            DelegationState::Active => ("active", None),
            DelegationState::Retiring { until } => ("retiring", Some(until)),
            DelegationState::Suspended => ("suspended", None),
            DelegationState::Revoked { until } => ("revoked", Some(until)),
            DelegationState::Quarantined { until, .. } => ("quarantined", Some(until)),
        };
        PrefixRow {
            holder: holder.name.clone(),
            prefix: view.prefix,
            state: state.to_owned(),
            keys: keys.clone(),
            since: Some(Time(view.since)),
            until: until.map(Time),
            id: Some(view.id.to_string()),
            grows_to: Some(view.grows_to),
            named_until: Some(Time(view.named_until)),
        }
    };
    holder.prefixes.iter().map(row).collect()
}

/// Gives `make` the broker's side of the status.
pub(crate) fn summary(
    broker: &Broker,
    wall: UnixTime,
    answer: Answer,
    make: impl FnOnce(Option<BrokerSummary>) -> Reply + Send + 'static,
) {
    let desk = broker.desk().clone();
    let pools = move |listed: Result<Listed, Refused>| {
        let pools = match listed {
            Ok(Listed::Pools(pools)) => pools,
            _ => Vec::new(),
        };
        let again = desk.clone();
        let holders = move |listed: Result<Listed, Refused>| {
            let holders = match listed {
                Ok(Listed::Holders(holders)) => holders,
                _ => Vec::new(),
            };
            let last = again.clone();
            let requests = move |listed: Result<Listed, Refused>| {
                let waiting = match listed {
                    Ok(Listed::Requests(list)) => list.len() as u32,
                    _ => 0,
                };
                let invitations = move |listed: Result<Listed, Refused>| {
                    let open = match listed {
                        Ok(Listed::Invitations(list)) => {
                            list.iter().filter(|one| one.state == "open").count() as u32
                        }
                        _ => 0,
                    };
                    send(answer, Ok(make(Some(summed(&pools, &holders, waiting, open)))));
                };
                last.list(wall, List::Invitations, Box::new(invitations));
            };
            again.list(wall, List::Requests, Box::new(requests));
        };
        desk.list(wall, List::Holders { gone: false }, Box::new(holders));
    };
    broker.desk().list(wall, List::Pools, Box::new(pools));
}

fn summed(pools: &[PoolView], holders: &[HolderView], waiting: u32, open: u32) -> BrokerSummary {
    let live = |holder: &&HolderView| holder.state == HolderState::Active;
    let prefixes: Vec<Prefix> =
        holders.iter().flat_map(|holder| holder.prefixes.iter().map(|view| view.prefix)).collect();
    let row = |view: &PoolView| {
        let pool = view.pool.prefix;
        let inside = prefixes.iter().filter(|prefix| pool.covers(**prefix));
        let share = inside.fold(0.0, |sum, prefix| sum + (-f64::from(prefix.len() - pool.len())).exp2());
        PoolRow { prefix: pool, delegations: view.delegations as u32, used_ratio: share }
    };
    BrokerSummary {
        pools: pools.iter().map(row).collect(),
        holders: holders.iter().filter(live).count() as u32,
        requests_waiting: waiting,
        invitations_open: open,
    }
}
