//! `graph` and `prefixes --csv`: what this node sees, in the words of other programs.

use super::output::Output;
use crate::api::{ApiRequest, Prefixes};
use crate::cli::{Graph, GraphFormat};
use crate::client::Client;
use crate::error::{CliError, Exit};
use crate::files::Layout;
use crate::schema::{CertList, PeerList, PrefixList, RouteList, Schema, SessionList, StatusReport, Time};
use ln6_api::export;

pub(super) fn run(graph: &Graph, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let client = Client::new(layout);
    let status: StatusReport = client.get(&ApiRequest::Status)?;
    let peers: PeerList = client.get(&ApiRequest::Peers)?;
    let sessions: SessionList = client.get(&ApiRequest::Sessions)?;
    let routes: RouteList = client.get(&ApiRequest::Routes)?;
    let certs: CertList = client.get(&ApiRequest::Certs)?;
    let picture = export::picture(export::Seen {
        status: &status,
        peers: &peers.peers,
        sessions: &sessions.sessions,
        routes: &routes.routes,
        certs: &certs.certs,
    });
    let text = match graph.format {
        _ if output.is_json() => picture.to_json() + "\n",
        GraphFormat::Table => {
            output.show(picture);
            return Ok(Exit::Ok);
        }
        GraphFormat::Json => picture.to_json() + "\n",
        GraphFormat::Dot => export::dot(&picture),
        GraphFormat::Csv => export::links_csv(&picture),
        GraphFormat::Netjson => format!("{}\n", export::netjson(&picture, &status.version)),
        GraphFormat::Meshviewer => format!("{}\n", export::meshviewer(&picture, Time::now())),
    };
    output.text(&text);
    Ok(Exit::Ok)
}

pub(super) fn prefixes(client: &Client, output: &Output) -> Result<Exit, CliError> {
    let list: PrefixList = client.get(&ApiRequest::Prefixes(Prefixes::default()))?;
    output.text(&export::prefixes_csv(&list.prefixes));
    Ok(Exit::Ok)
}
