//! Commands that are one question to the daemon.

use super::output::Output;
#[cfg(feature = "broker")]
use crate::api::Sizing;
use crate::api::{ApiRequest, Prefixes, Switch};
use crate::cli;
use crate::cli::Command;
use crate::client::Client;
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use crate::render::{Render, Style};
#[cfg(feature = "broker")]
use crate::schema::WishReport;
use crate::schema::{
    ActionReply, CertList, OffloadList, PeerList, PrefixList, ReloadReply, RouteList, Schema, SessionList,
    StatusReport,
};
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
        Command::Size(cli::Size { size: Some(size) }) => {
            show::<ActionReply>(&client, &ApiRequest::Size(Sizing { size: *size }), output)
        }
        #[cfg(feature = "broker")]
        Command::Size(_) => show::<WishReport>(&client, &ApiRequest::Wish, output),
        Command::Offload(cli::Offload { name: Some(name), state }) => {
            let switch = Switch { name: name.clone(), on: state.as_deref() == Some("on") };
            show::<ActionReply>(&client, &ApiRequest::Offload(switch), output)
        }
        Command::Offload(_) => show::<OffloadList>(&client, &ApiRequest::Offloads, output),
        Command::Reload => show::<ReloadReply>(&client, &ApiRequest::Reload, output),
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
