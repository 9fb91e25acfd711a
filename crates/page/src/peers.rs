//! Whom a gateway knows, and how it reaches them.

use crate::app::{App, Onlooker, Page, Query, page};
use crate::look::{Look, encoded};
use askama::Template;
use axum::extract::State;
use ln6_api::ApiRequest;
use ln6_api::schema::{PathKind, PeerList, PeerRow};
use std::sync::Arc;

/// Rows of one page.
const ROWS: usize = 100;

#[derive(Template)]
#[template(path = "peers.html")]
struct PeersPage<'a> {
    look: &'a Look,
    text: String,
    rows: Vec<&'a PeerRow>,
    total: u64,
    connected: u64,
    first: u64,
    last: u64,
    less: Option<u64>,
    more: Option<u64>,
}

impl PeersPage<'_> {
    fn at(&self, from: &u64) -> String {
        format!("/peers?text={}&from={from}", encoded(&self.text))
    }

    fn way(&self, peer: &PeerRow) -> &'static str {
        way(peer)
    }
}

/// The word for how a peer is reached.
pub(crate) fn way(peer: &PeerRow) -> &'static str {
    match (peer.connected, peer.silent, peer.path) {
        (false, ..) => "absent",
        (true, true, _) => "silent",
        (true, false, Some(PathKind::Relayed)) => "relayed",
        (true, false, _) => "connected",
    }
}

pub(crate) async fn show(State(app): State<Arc<App>>, onlooker: Onlooker, Query(query): Query) -> Page {
    let list = app.desk.get::<PeerList>(ApiRequest::Peers).await?;
    let text = query.short("text", 64);
    let wanted = text.to_lowercase();
    let fits = |peer: &&PeerRow| {
        wanted.is_empty()
            || peer.name.to_lowercase().contains(&wanted)
            || peer.key.to_string().starts_with(&text)
            || peer.prefixes.iter().any(|prefix| prefix.to_string().contains(&wanted))
    };
    let found: Vec<&PeerRow> = list.peers.iter().filter(fits).collect();
    let from = query.get("from").parse::<usize>().unwrap_or(0).min(found.len());
    let upto = (from + ROWS).min(found.len());
    page(&PeersPage {
        look: &onlooker.look,
        rows: found[from..upto].to_vec(),
        total: found.len() as u64,
        connected: list.peers.iter().filter(|peer| peer.connected).count() as u64,
        first: (from as u64 + 1).min(found.len() as u64),
        last: upto as u64,
        less: (from > 0).then(|| from.saturating_sub(ROWS) as u64),
        more: (upto < found.len()).then_some(upto as u64),
        text,
    })
}
