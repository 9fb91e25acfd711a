//! Holders and their gateways: the list, and one.

use crate::app::{App, Page, Query, Visitor, page};
use crate::look::{Look, encoded};
use askama::Template;
use axum::extract::{Path, State};
use ln6_api::ApiRequest;
use ln6_api::request::{Audit, Holder, Holders, RegistryRequest};
use ln6_api::schema::{
    AuditList, AuditRow, HeldRow, HolderList, HolderReport, HolderRow, KeyRow, PathKind, PeerList, PeerRow,
    PoolList,
};
use ln6_types::{Prefix, PublicKey};
use std::collections::HashMap;
use std::sync::Arc;

/// Rows of one page.
const ROWS: u32 = 100;
const STATES: &[&str] = &["active", "suspended", "revoked", "left", "gone"];
const SORTS: &[&str] = &["name", "-name", "prefix", "-prefix", "since", "-since", "state", "-state"];

/// A holder with what is known of its connection.
struct Row<'a> {
    holder: &'a HolderRow,
    peer: Option<&'a PeerRow>,
    prefixes: Vec<(Prefix, Prefix)>,
}

impl Row<'_> {
    fn way(&self) -> &'static str {
        way(self.peer)
    }
}

fn way(peer: Option<&PeerRow>) -> &'static str {
    match peer {
        Some(peer) if peer.connected && peer.silent => "silent",
        Some(PeerRow { connected: true, path: Some(PathKind::Relayed), .. }) => "relayed",
        Some(PeerRow { connected: true, .. }) => "connected",
        _ => "absent",
    }
}

struct Filter {
    text: String,
    state: String,
    sort: String,
}

impl Filter {
    fn query(&self, from: &u64) -> String {
        let (text, state) = (encoded(&self.text), encoded(&self.state));
        format!("/gateways?text={text}&state={state}&sort={}&from={from}", encoded(&self.sort))
    }

    fn sorted(&self, by: &str) -> String {
        let sort = if self.sort == by { format!("-{by}") } else { by.to_owned() };
        format!("/gateways?text={}&state={}&sort={sort}", encoded(&self.text), encoded(&self.state))
    }

    fn order(&self, by: &str) -> &'static str {
        if self.sort == by {
            "ascending"
        } else if self.sort.strip_prefix('-') == Some(by) {
            "descending"
        } else {
            "none"
        }
    }
}

#[derive(Template)]
#[template(path = "gateways.html")]
struct List<'a> {
    look: &'a Look,
    rows: Vec<Row<'a>>,
    filter: Filter,
    total: u64,
    first: u64,
    last: u64,
    less: Option<u64>,
    more: Option<u64>,
    states: &'static [&'static str],
}

pub(crate) async fn list(State(app): State<Arc<App>>, visitor: Visitor, Query(query): Query) -> Page {
    let one_of = |words: &'static [&'static str], word: &str| {
        words.iter().find(|known| **known == word).map_or("", |word| word).to_owned()
    };
    let filter = Filter {
        text: query.short("text", 64),
        state: one_of(STATES, query.get("state")),
        sort: Some(one_of(SORTS, query.get("sort")))
            .filter(|sort| !sort.is_empty())
            .unwrap_or_else(|| "name".into()),
    };
    let from: u64 = query.get("from").parse().unwrap_or(0);
    let asked = Holders {
        text: Some(filter.text.clone()).filter(|text| !text.is_empty()),
        state: Some(filter.state.clone()).filter(|state| !state.is_empty()),
        pool: None,
        sort: Some(filter.sort.clone()),
        offset: from,
        limit: Some(ROWS),
    };
    let holders = app.desk.get::<HolderList>(ApiRequest::Registry(RegistryRequest::Holders(asked))).await?;
    let peers = app.desk.get::<PeerList>(ApiRequest::Peers).await?;
    let pools = app.desk.get::<PoolList>(ApiRequest::Registry(RegistryRequest::Pools)).await?;
    let by_key: HashMap<PublicKey, &PeerRow> = peers.peers.iter().map(|peer| (peer.key, peer)).collect();
    let within = |prefix: Prefix| {
        pools.pools.iter().map(|pool| pool.prefix).find(|pool| pool.covers(prefix)).unwrap_or(prefix)
    };
    let row = |holder| Row { holder, peer: best(holder, &by_key), prefixes: held(holder, within) };
    let rows: Vec<Row<'_>> = holders.holders.iter().map(row).collect();
    let last = holders.offset + rows.len() as u64;
    page(&List {
        look: &visitor.look,
        filter,
        total: holders.total,
        first: (holders.offset + 1).min(holders.total),
        last,
        less: (from > 0).then(|| from.saturating_sub(u64::from(ROWS))),
        more: (last < holders.total).then_some(last),
        rows,
        states: STATES,
    })
}

/// The best connected of a holder's keys.
fn best<'a>(holder: &HolderRow, by_key: &HashMap<PublicKey, &'a PeerRow>) -> Option<&'a PeerRow> {
    let peers = holder.keys.iter().filter_map(|key| by_key.get(&key.key).copied());
    peers.max_by_key(|peer| (peer.connected, peer.path == Some(PathKind::Direct)))
}

/// Up to three prefixes, each with the pool it lies in; quarantined ones are not its any more.
fn held(holder: &HolderRow, within: impl Fn(Prefix) -> Prefix) -> Vec<(Prefix, Prefix)> {
    let live = holder.prefixes.iter().filter(|row| row.state != "quarantined");
    live.take(3).map(|row| (row.prefix, within(row.prefix))).collect()
}

#[derive(Template)]
#[template(path = "gateway.html")]
struct One<'a> {
    look: &'a Look,
    holder: &'a HolderRow,
    keys: Vec<(&'a KeyRow, Option<&'a PeerRow>, &'static str)>,
    activity: &'a [AuditRow],
    query: String,
    here: String,
}

impl One<'_> {
    fn resize(&self, held: &HeldRow) -> String {
        let (holder, back) = (encoded(&self.holder.name), encoded(&self.here));
        let prefix = encoded(held.prefix.to_string());
        format!("/do/resize?holder={holder}&prefix={prefix}&expect={}&back={back}", self.holder.revision)
    }

    fn reply_to(&self) -> Option<String> {
        let contact = self.holder.contact.as_deref()?;
        let plain = contact.contains('@')
            && contact.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@.+-_".contains(&byte));
        plain.then(|| format!("mailto:{contact}"))
    }

    fn roles(&self) -> String {
        let on = |role: &str| if self.holder.roles.iter().any(|held| held == role) { "1" } else { "" };
        format!(
            "/do/roles?{}&exit={}&broker={}&transit={}",
            self.query,
            on("exit"),
            on("broker"),
            on("transit")
        )
    }

    fn limit(&self) -> String {
        let now = self
            .holder
            .bytes_per_second
            .map_or_else(String::new, |limit| format!("{}", limit as f64 / 125_000.0));
        format!("/do/bandwidth?{}&bytes_per_second={now}", self.query)
    }

    fn note(&self) -> String {
        let text = |text: &Option<String>| encoded(text.as_deref().unwrap_or_default());
        format!(
            "/do/note?{}&note={}&contact={}",
            self.query,
            text(&self.holder.note),
            text(&self.holder.contact)
        )
    }
}

pub(crate) async fn one(State(app): State<Arc<App>>, visitor: Visitor, Path(name): Path<String>) -> Page {
    let asked = RegistryRequest::Holder(Holder { name: name.clone() });
    let report = app.desk.get::<HolderReport>(ApiRequest::Registry(asked)).await?;
    let peers = app.desk.get::<PeerList>(ApiRequest::Peers).await?;
    let lines = Audit { limit: Some(12), holder: Some(name), ..Audit::default() };
    let activity = app.desk.get::<AuditList>(ApiRequest::Registry(RegistryRequest::Audit(lines))).await?;
    let holder = &report.holder;
    let of = |key: &PublicKey| peers.peers.iter().find(|peer| peer.key == *key);
    let keys = holder.keys.iter().map(|key| (key, of(&key.key), way(of(&key.key)))).collect();
    let here = format!("/gateways/{}", encoded(&holder.name));
    let query = format!("name={}&expect={}&back={}", encoded(&holder.name), holder.revision, encoded(&here));
    page(&One { look: &visitor.look, holder, keys, activity: &activity.rows, query, here })
}
