//! Commands that the broker's registry answers: from the command line to requests.

use super::ask::show;
use super::output::Output;
use super::weigh::weigh;
use super::{export, invitation};
use crate::api::{self, Action, ApiRequest, RegistryRequest};
use crate::cli::{self, InvitationsCommand, RegistryCommand};
use crate::client::Client;
use crate::duration::Span;
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use crate::schema::{
    ActionReply, AuditList, BackupList, ConfirmationList, DenialList, HistoryList, HolderList, HolderReport,
    InvitationList, PolicyReport, PoolList, RequestList, ReservationList, SpaceReport, TrafficReport,
};
use ln6_types::Prefix;

pub(super) fn run(command: RegistryCommand, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let client = Client::new(layout);
    match command {
        RegistryCommand::Invite(invite) => invitation::invite(invite, layout, output),
        RegistryCommand::Replace(replace) => invitation::replace(replace, layout, output),
        RegistryCommand::Confirm(cli::Confirm { code: Some(code) }) => confirm(&client, code, output),
        RegistryCommand::Export(command) => export::export(&command, layout, output),
        RegistryCommand::Import(command) => export::import(&command, layout, output),
        RegistryCommand::Api(cli::Api::Openapi) => {
            output.text(api::OPENAPI);
            Ok(Exit::Ok)
        }
        RegistryCommand::Space(cli::Space { block: None }) => {
            let pools: PoolList = client.get(&ask(RegistryRequest::Pools))?;
            let first = pools.pools.first().map(|pool| pool.prefix);
            let block = first.ok_or_else(|| CliError::new(Trouble::NotFound, "there is no pool yet"))?;
            show::<SpaceReport>(&client, &ask(RegistryRequest::Space(api::Space { block })), output)
        }
        other => match question(&other)? {
            Some(asked) => asked.show(&client, output),
            None => change(other, &client, output),
        },
    }
}

/// The request that asks for a change.
pub(super) fn act(action: Action) -> ApiRequest {
    ask(RegistryRequest::Act(Box::new(action)))
}

pub(super) fn ask(request: RegistryRequest) -> ApiRequest {
    ApiRequest::Registry(request)
}

/// A question, and how to show its answer.
struct Asked {
    request: ApiRequest,
    show: fn(&Client, &ApiRequest, &Output) -> Result<Exit, CliError>,
}

impl Asked {
    fn show(&self, client: &Client, output: &Output) -> Result<Exit, CliError> {
        (self.show)(client, &self.request, output)
    }
}

fn question(command: &RegistryCommand) -> Result<Option<Asked>, CliError> {
    macro_rules! asked {
        ($schema:ty, $request:expr) => {
            Asked { request: ask($request), show: show::<$schema> }
        };
    }
    Ok(Some(match command {
        RegistryCommand::Requests => asked!(RequestList, RegistryRequest::Requests),
        RegistryCommand::Denials => asked!(DenialList, RegistryRequest::Denials),
        RegistryCommand::Reservations => asked!(ReservationList, RegistryRequest::Reservations),
        RegistryCommand::Invitations(cli::Invitations { command: None }) => {
            asked!(InvitationList, RegistryRequest::Invitations)
        }
        RegistryCommand::Pools => asked!(PoolList, RegistryRequest::Pools),
        RegistryCommand::Policy(policy) if policy_of(policy) == api::Policy::default() => {
            asked!(PolicyReport, RegistryRequest::Policy)
        }
        RegistryCommand::Holders(cli::Holders { text, state, sort, offset, limit }) => {
            let (text, state, sort) = (text.clone(), state.clone(), sort.clone());
            let which = api::Holders { text, state, pool: None, sort, offset: *offset, limit: *limit };
            asked!(HolderList, RegistryRequest::Holders(which))
        }
        RegistryCommand::Holder(cli::One { name }) => {
            asked!(HolderReport, RegistryRequest::Holder(api::Holder { name: name.clone() }))
        }
        RegistryCommand::History(cli::History { prefix, at }) => {
            asked!(HistoryList, RegistryRequest::History(api::History { prefix: place(prefix)?, at: *at }))
        }
        RegistryCommand::Audit(audit) => asked!(AuditList, RegistryRequest::Audit(audit_of(audit)?)),
        RegistryCommand::Space(cli::Space { block: Some(block) }) => {
            asked!(SpaceReport, RegistryRequest::Space(api::Space { block: *block }))
        }
        RegistryCommand::Backup(cli::Backup { list: true }) => asked!(BackupList, RegistryRequest::Backups),
        RegistryCommand::Backup(_) => asked!(ActionReply, RegistryRequest::Backup),
        RegistryCommand::Confirm(_) => asked!(ConfirmationList, RegistryRequest::Confirmations),
        RegistryCommand::Traffic(cli::Traffic { peer }) => Asked {
            request: ApiRequest::Traffic(api::Traffic { peer: peer.clone() }),
            show: show::<TrafficReport>,
        },
        _ => return Ok(None),
    }))
}

/// A prefix, or an address as its /128.
fn place(text: &str) -> Result<Prefix, CliError> {
    let whole = if text.contains('/') { text.to_owned() } else { format!("{text}/128") };
    whole.parse().map_err(|error| CliError::new(Trouble::PrefixInvalid, format!("'{text}': {error}")))
}

fn audit_of(audit: &cli::Audit) -> Result<api::Audit, CliError> {
    Ok(api::Audit {
        before: audit.before,
        limit: audit.limit,
        text: audit.text.clone(),
        holder: audit.holder.clone(),
        kind: audit.kind.clone(),
        prefix: audit.prefix.as_deref().map(place).transpose()?,
        actor: audit.actor.clone(),
    })
}

fn policy_of(policy: &cli::Policy) -> api::Policy {
    let seconds = |span: &Option<Span>| span.map(Span::as_secs);
    api::Policy {
        validity_seconds: seconds(&policy.validity),
        grace_seconds: seconds(&policy.grace),
        quarantine_seconds: seconds(&policy.quarantine),
        revocation_grace_seconds: seconds(&policy.revocation_grace),
        request_seconds: seconds(&policy.request_span),
        denial_seconds: seconds(&policy.denial_span),
        move_seconds: seconds(&policy.move_span),
        queue: policy.queue,
        queue_per_name: policy.queue_per_name,
        reason: policy.reason.clone(),
        expect: None,
    }
}

/// Changes: what they would do is shown and asked for first where it hurts.
fn change(command: RegistryCommand, client: &Client, output: &Output) -> Result<Exit, CliError> {
    let (action, hurts) = action(command)?;
    if let Some(question) = hurts {
        weigh(&action, &question, client, output)?;
    }
    show::<ActionReply>(client, &act(action), output)
}

/// What is to be done, and the question before it if it is not easily undone.
fn action(command: RegistryCommand) -> Result<(Action, Option<String>), CliError> {
    let plain = |action| (action, None);
    Ok(match command {
        RegistryCommand::Invitations(cli::Invitations {
            command: Some(InvitationsCommand::Cancel { id }),
        }) => plain(Action::Withdraw(api::Withdraw { invitation: id })),
        RegistryCommand::Approve(cli::Approve { request, prefix, size, name, holder, reason, expect }) => {
            plain(Action::Approve(api::Approve { request, prefix, size, name, holder, reason, expect }))
        }
        RegistryCommand::Deny(cli::Deny { request, reason, expect }) => {
            plain(Action::Deny(api::Deny { request, reason, expect }))
        }
        RegistryCommand::Revoke(cli::Revoke { name, reason, compromised, expect }) => {
            let question = match compromised {
                true => format!("Bar the keys of {name} at once and for ever?"),
                false => format!("Revoke the certificates of {name}?"),
            };
            (Action::Revoke(api::Revoke { name, reason, compromised, expect }), Some(question))
        }
        RegistryCommand::Suspend(cli::Holder { name, reason, expect }) => {
            plain(Action::Suspend(api::Suspend { name, reason, expect }))
        }
        RegistryCommand::Resume(cli::Holder { name, reason, expect }) => {
            plain(Action::Resume(api::Resume { name, reason, expect }))
        }
        RegistryCommand::Undo(cli::Undo { name, request, reason, expect }) => {
            let name = name.unwrap_or_default();
            plain(Action::Undo(api::Undo { name, request, reason, expect }))
        }
        RegistryCommand::Resize(cli::Resize { what, size, moving, reason, expect }) => {
            let question = format!("Give {what} a /{size}?");
            let prefix = what.parse::<Prefix>().ok();
            let holder = prefix.is_none().then_some(what);
            (Action::Resize(api::Resize { prefix, holder, size, moving, reason, expect }), Some(question))
        }
        RegistryCommand::Reserve(cli::Reserve { prefix, holder, note }) => {
            plain(Action::Reserve(api::Reserve { prefix, holder, note }))
        }
        RegistryCommand::Unreserve(cli::Unreserve { prefix, reason }) => {
            plain(Action::Unreserve(api::Unreserve { prefix, reason, expect: None }))
        }
        RegistryCommand::Note(cli::Note { name, text, contact }) => {
            plain(Action::Note(api::Note { name, note: text, contact, expect: None }))
        }
        RegistryCommand::Rename(cli::Rename { name, to, reason, expect }) => {
            plain(Action::Rename(api::Rename { name, to, reason, expect }))
        }
        RegistryCommand::Bandwidth(cli::Bandwidth { name, bytes_per_second, reason, expect }) => {
            plain(Action::Bandwidth(api::Bandwidth { name, bytes_per_second, reason, expect }))
        }
        other => core_action(other)?,
    })
}

/// What decides about exits, brokers, pools and policy: always asked for.
fn core_action(command: RegistryCommand) -> Result<(Action, Option<String>), CliError> {
    let (action, question) = match command {
        RegistryCommand::Pool(cli::Pool::Set(set)) => {
            let cli::PoolSet { prefix, default, largest, smallest, admission, open, reason } = set;
            let open = open.then_some(true);
            let pool =
                api::Pool { prefix, default, largest, smallest, admission, open, reason, expect: None };
            (Action::Pool(pool), format!("Give prefixes from {prefix} under these rules?"))
        }
        RegistryCommand::Pool(cli::Pool::Close(cli::PoolClose { prefix, reason })) => {
            let question = format!("Give nothing new from {prefix}?");
            (Action::PoolClose(api::PoolClose { prefix, reason, expect: None }), question)
        }
        RegistryCommand::Policy(policy) => {
            (Action::Policy(policy_of(&policy)), "Set these spans and caps from now on?".to_owned())
        }
        RegistryCommand::Roles(cli::Roles { name, exit, broker, transit, reason, expect }) => {
            let question = format!("Change what {name} may be?");
            (Action::Roles(api::Roles { name, exit, broker, transit, reason, expect }), question)
        }
        RegistryCommand::Renumber(cli::Renumber { from, to, reason }) => {
            let question = format!("Move everybody from {from} to {to}?");
            (Action::Renumber(api::Renumber { from, to, reason }), question)
        }
        _ => return Err(CliError::new(Trouble::Internal, "this command is not implemented")),
    };
    Ok((action, Some(question)))
}

/// Shows what was asked for, and carries it out.
fn confirm(client: &Client, code: String, output: &Output) -> Result<Exit, CliError> {
    let waiting: ConfirmationList = client.get(&ask(RegistryRequest::Confirmations))?;
    let wanted = code.trim().to_lowercase();
    let one = waiting.confirmations.into_iter().find(|one| one.code == wanted);
    let one = one.ok_or_else(|| {
        CliError::new(Trouble::NotFound, "nothing waits under this code")
            .hint("'ln6d confirm' lists what waits; each waits for 15 minutes")
    })?;
    let question = format!("{} asks for {} {}.", one.actor, one.action, one.request);
    output.note(&question);
    one.effects.iter().for_each(|effect| output.note(&format!("  {}", effect.message)));
    output.confirm("Carry it out?")?;
    show::<ActionReply>(client, &ask(RegistryRequest::Confirm(api::Confirm { code })), output)
}
