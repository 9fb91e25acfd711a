//! Commands that the broker's registry answers.

use super::ask::show;
use super::invitation;
use super::output::Output;
use crate::api::{self, Action, ApiRequest, RegistryRequest};
use crate::cli::{self, Approve, Deny, Holder, InvitationsCommand, RegistryCommand};
use crate::client::Client;
use crate::error::{CliError, Exit};
use crate::files::Layout;
use crate::schema::{ActionReply, InvitationList, RequestList};

pub(super) fn run(command: RegistryCommand, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let client = Client::new(layout);
    let ask = |action: Action| show::<ActionReply>(&client, &act(action), output);
    match command {
        RegistryCommand::Invite(invite) => invitation::invite(invite, layout, output),
        RegistryCommand::Replace(replace) => invitation::replace(replace, layout, output),
        RegistryCommand::Requests => {
            show::<RequestList>(&client, &ApiRequest::Registry(RegistryRequest::Requests), output)
        }
        RegistryCommand::Invitations(cli::Invitations { command: None }) => {
            show::<InvitationList>(&client, &ApiRequest::Registry(RegistryRequest::Invitations), output)
        }
        RegistryCommand::Invitations(cli::Invitations {
            command: Some(InvitationsCommand::Cancel { id }),
        }) => ask(Action::Withdraw(api::Withdraw { invitation: id })),
        RegistryCommand::Approve(approve) => ask(approval(approve)),
        RegistryCommand::Deny(Deny { request, reason }) => {
            ask(Action::Deny(api::Deny { request, reason, expect: None }))
        }
        RegistryCommand::Revoke(Holder { name, reason }) => {
            output.confirm(&format!(
                "Revoke every key of {name} for ever? Its prefix goes to nobody else for a while."
            ))?;
            ask(Action::Revoke(api::Revoke { name, reason, ..api::Revoke::default() }))
        }
        RegistryCommand::Suspend(Holder { name, reason }) => {
            ask(Action::Suspend(api::Suspend { name, reason, expect: None }))
        }
        RegistryCommand::Resume(Holder { name, reason }) => {
            ask(Action::Resume(api::Resume { name, reason, expect: None }))
        }
    }
}

/// The request that asks for a change.
pub(super) fn act(action: Action) -> ApiRequest {
    ApiRequest::Registry(RegistryRequest::Act(Box::new(action)))
}

fn approval(approve: Approve) -> Action {
    let Approve { request, prefix, size, name, holder } = approve;
    Action::Approve(api::Approve { request, prefix, size, name, holder, reason: None, expect: None })
}
