//! Commands that are one question to the daemon.

use super::output::Output;
use crate::api::{ApiRequest, Prefixes};
#[cfg(feature = "broker")]
use crate::api::{Sizing, Switch};
#[cfg(feature = "broker")]
use crate::cli;
use crate::cli::Command;
use crate::client::Client;
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use crate::render::{Render, Style};
#[cfg(feature = "broker")]
use crate::schema::{ActionReply, OffloadList, WishReport};
use crate::schema::{
    CertList, PeerList, PrefixList, ReloadReply, RouteList, Schema, SessionList, StatusReport,
};
#[cfg(feature = "broker")]
use ln6_types::Prefix;
use serde::de::DeserializeOwned;

pub(super) fn run(command: &Command, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let client = Client::new(layout);
    match command {
        Command::Status => show::<StatusReport>(&client, &ApiRequest::Status, output),
        Command::Peers => show::<PeerList>(&client, &ApiRequest::Peers, output),
        Command::Sessions => show::<SessionList>(&client, &ApiRequest::Sessions, output),
        Command::Routes => show::<RouteList>(&client, &ApiRequest::Routes, output),
        #[cfg(feature = "broker")]
        Command::Prefixes(cli::Prefixes { csv: true }) => super::graph::prefixes(&client, output),
        Command::Prefixes(_) => {
            show::<PrefixList>(&client, &ApiRequest::Prefixes(Prefixes::default()), output)
        }
        Command::Certs => show::<CertList>(&client, &ApiRequest::Certs, output),
        #[cfg(feature = "broker")]
        Command::Size(cli::Size { size: Some(size) }) => ask_for_size(&client, *size, output),
        #[cfg(feature = "broker")]
        Command::Size(_) => show::<WishReport>(&client, &ApiRequest::Wish, output),
        #[cfg(feature = "broker")]
        Command::Offload(cli::Offload { name: Some(name), state }) => {
            let switch = Switch { name: name.clone(), on: state.as_deref() == Some("on") };
            show::<ActionReply>(&client, &ApiRequest::Offload(switch), output)
        }
        #[cfg(feature = "broker")]
        Command::Offload(_) => show::<OffloadList>(&client, &ApiRequest::Offloads, output),
        Command::Reload => show::<ReloadReply>(&client, &ApiRequest::Reload, output),
        _ => Err(CliError::new(Trouble::Internal, "this command is not implemented")),
    }
}

#[cfg(feature = "broker")]
fn ask_for_size(client: &Client, size: u8, output: &Output) -> Result<Exit, CliError> {
    let asking = ApiRequest::Size(Sizing { size });
    if output.is_json() {
        return show::<ActionReply>(client, &asking, output);
    }
    let reply: ActionReply = client.get(&asking)?;
    output.text(&asked_for(size, &reply.prefixes));
    Ok(Exit::Ok)
}

/// What happens to a wish. A node that holds nothing yet asks its broker anew, with the other size.
#[cfg(feature = "broker")]
pub(super) fn asked_for(size: u8, held: &[Prefix]) -> String {
    let held: Vec<_> = held.iter().map(ToString::to_string).collect();
    if held.is_empty() {
        return format!("Asked for a /{size}.\n");
    }
    format!("Asked for a /{size}. {} stays until an administrator of the broker decides.\n", held.join(", "))
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
