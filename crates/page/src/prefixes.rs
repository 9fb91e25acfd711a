//! Who holds which prefix: as a tree, as a map, as a table; and who held it when.

use crate::app::{App, Page, Query, Visitor, page};
use crate::look::{Look, encoded};
use crate::map::{self, Line, Row};
use askama::Template;
use axum::extract::State;
use ln6_api::request::{History, Prefixes, RegistryRequest, Space};
use ln6_api::schema::{
    HistoryList, HistoryRow, PoolInfo, PoolList, PrefixList, PrefixRow, SpaceReport, Time,
};
use ln6_api::{ApiRequest, CliError, Trouble};
use ln6_types::Prefix;
use std::sync::Arc;

/// Rows of one page of the table.
const ROWS: u32 = 100;

/// What is looked for in the table.
struct Filter {
    text: String,
    state: String,
    from: u64,
}

impl Filter {
    fn query(&self, from: &u64) -> String {
        format!(
            "/prefixes?view=table&text={}&state={}&from={from}",
            encoded(&self.text),
            encoded(&self.state)
        )
    }
}

#[derive(Template)]
#[template(path = "prefixes.html")]
struct Table<'a> {
    look: &'a Look,
    pools: &'a [PoolInfo],
    rows: Vec<(PrefixRow, Prefix)>,
    filter: Filter,
    less: Option<u64>,
    more: Option<u64>,
    states: &'static [&'static str],
    view: &'static str,
}

#[derive(Template)]
#[template(path = "space.html")]
struct Block<'a> {
    look: &'a Look,
    pools: &'a [PoolInfo],
    view: &'static str,
    block: Prefix,
    way: Vec<Prefix>,
    digits: Vec<String>,
    rows: Vec<Row>,
    lines: Vec<Line>,
}

impl Block<'_> {
    fn within(&self, pool: &PoolInfo) -> bool {
        pool.prefix.covers(self.block)
    }
}

const STATES: &[&str] = &["active", "retiring", "suspended", "revoked", "quarantined"];

pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor, Query(query): Query) -> Page {
    let pools = app.desk.get::<PoolList>(ApiRequest::Registry(RegistryRequest::Pools)).await?;
    let wanted = query.get("block").parse::<Prefix>().ok();
    let view = match query.get("view") {
        "table" => "table",
        "map" => "map",
        _ => "tree",
    };
    let Some(block) =
        wanted.or_else(|| pools.pools.first().map(|pool| pool.prefix)).filter(|_| view != "table")
    else {
        return table(&app, &visitor, &pools.pools, &query).await;
    };
    let space =
        app.desk.get::<SpaceReport>(ApiRequest::Registry(RegistryRequest::Space(Space { block }))).await?;
    let pool = pools.pools.iter().map(|pool| pool.prefix).find(|pool| pool.covers(block)).unwrap_or(block);
    page(&Block {
        look: &visitor.look,
        pools: &pools.pools,
        view,
        block,
        way: map::way(pool, block),
        digits: map::digits(&space),
        rows: map::rows(&space),
        lines: map::lines(&space),
    })
}

async fn table(app: &App, visitor: &Visitor, pools: &[PoolInfo], query: &crate::app::Fields) -> Page {
    let filter = Filter {
        text: query.short("text", 64),
        state: STATES.iter().find(|state| **state == query.get("state")).map_or("", |state| state).to_owned(),
        from: query.get("from").parse().unwrap_or(0),
    };
    let asked = Prefixes {
        text: Some(filter.text.clone()).filter(|text| !text.is_empty()),
        state: Some(filter.state.clone()).filter(|state| !state.is_empty()),
        pool: None,
        sort: None,
        offset: filter.from,
        limit: Some(ROWS),
    };
    let list = app.desk.get::<PrefixList>(ApiRequest::Prefixes(asked)).await?;
    let within = |prefix: Prefix| {
        pools.iter().map(|pool| pool.prefix).find(|pool| pool.covers(prefix)).unwrap_or(Prefix::ALL)
    };
    let rows: Vec<_> = list.prefixes.iter().map(|row| (row.clone(), within(row.prefix))).collect();
    let more = (rows.len() as u32 == ROWS).then(|| filter.from + u64::from(ROWS));
    let less = (filter.from > 0).then(|| filter.from.saturating_sub(u64::from(ROWS)));
    page(&Table { look: &visitor.look, pools, rows, filter, less, more, states: STATES, view: "table" })
}

#[derive(Template)]
#[template(path = "history.html")]
struct Past<'a> {
    look: &'a Look,
    asked: String,
    at: String,
    rows: Option<Vec<HistoryRow>>,
}

pub(crate) async fn history(State(app): State<Arc<App>>, visitor: Visitor, Query(query): Query) -> Page {
    let (asked, at) = (query.short("prefix", 64), query.short("at", 40));
    let mut rows = None;
    if !asked.is_empty() {
        let whole = if asked.contains('/') { asked.clone() } else { format!("{asked}/128") };
        let bad = |what: &str| {
            CliError::new(
                Trouble::PrefixInvalid,
                format!("this is no {what}: {}", crate::markup::tame(&asked, 60)),
            )
        };
        let prefix = whole.parse::<Prefix>().map_err(|_| bad("prefix or address"))?;
        let moment = if at.is_empty() { None } else { Some(moment(&at).ok_or_else(|| bad("time"))?) };
        let request = RegistryRequest::History(History { prefix, at: moment });
        rows = Some(app.desk.get::<HistoryList>(ApiRequest::Registry(request)).await?.rows.clone());
    }
    page(&Past { look: &visitor.look, asked, at, rows })
}

/// As a browser's `datetime-local` field sends it, in UTC, or as RFC 3339.
fn moment(text: &str) -> Option<Time> {
    let full = if text.ends_with('Z') { text.to_owned() } else { format!("{text}:00Z") };
    full.parse().ok()
}
