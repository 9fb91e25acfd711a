//! Commands that are one question to the daemon.

use super::output::Output;
use crate::api::{self, ApiRequest};
use crate::cli::{self, Approve, Command, Deny, Holder, InvitationsCommand};
use crate::client::Client;
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use crate::render::{Render, Style};
use crate::schema::{
    ActionReply, CertList, InvitationList, PeerList, PrefixList, ReloadReply, RequestList, RouteList, Schema,
    SessionList, StatusReport,
};
use serde::de::DeserializeOwned;

pub(super) fn run(command: Command, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let client = Client::new(layout);
    match command {
        Command::Status => show::<StatusReport>(&client, &ApiRequest::Status, output),
        Command::Peers => show::<PeerList>(&client, &ApiRequest::Peers, output),
        Command::Sessions => show::<SessionList>(&client, &ApiRequest::Sessions, output),
        Command::Routes => show::<RouteList>(&client, &ApiRequest::Routes, output),
        Command::Prefixes => show::<PrefixList>(&client, &ApiRequest::Prefixes, output),
        Command::Requests => show::<RequestList>(&client, &ApiRequest::Requests, output),
        Command::Invitations(cli::Invitations { command: None }) => {
            show::<InvitationList>(&client, &ApiRequest::Invitations, output)
        }
        Command::Invitations(cli::Invitations { command: Some(InvitationsCommand::Cancel { id }) }) => {
            show::<ActionReply>(&client, &ApiRequest::Withdraw(api::Withdraw { invitation: id }), output)
        }
        Command::Certs => show::<CertList>(&client, &ApiRequest::Certs, output),
        Command::Reload => show::<ReloadReply>(&client, &ApiRequest::Reload, output),
        Command::Approve(approve) => show::<ActionReply>(&client, &approval(approve), output),
        Command::Deny(deny) => show::<ActionReply>(&client, &denial(deny), output),
        Command::Revoke(holder) => {
            output.confirm(&format!(
                "Revoke every key of {} for ever? Its prefix goes to nobody else for a while.",
                holder.name
            ))?;
            show::<ActionReply>(&client, &ApiRequest::Revoke(named(holder)), output)
        }
        Command::Suspend(holder) => show::<ActionReply>(&client, &ApiRequest::Suspend(named(holder)), output),
        Command::Resume(holder) => show::<ActionReply>(&client, &ApiRequest::Resume(named(holder)), output),
        _ => Err(CliError::new(Trouble::Internal, "this command is not implemented")),
    }
}

/// Asks and shows: JSON as it came, or for people.
pub(super) fn show<T>(client: &Client, request: &ApiRequest, output: &Output) -> Result<Exit, CliError>
where
    T: DeserializeOwned + Render + Schema,
{
    if output.is_json() {
        output.text(&(client.raw(request)? + "\n"));
    } else {
        output.text(&client.get::<T>(request)?.render(Style::of_stdout()));
    }
    Ok(Exit::Ok)
}

fn approval(approve: Approve) -> ApiRequest {
    let Approve { request, prefix, size, name, holder } = approve;
    ApiRequest::Approve(api::Approve { request, prefix, size, name, holder })
}

fn denial(Deny { request, reason }: Deny) -> ApiRequest {
    ApiRequest::Deny(api::Deny { request, reason })
}

fn named(Holder { name, reason }: Holder) -> api::Name {
    api::Name { name, reason }
}
