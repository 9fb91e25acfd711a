//! Who waits to be let in.

use crate::app::{App, Page, Query, Visitor, page};
use crate::look::{Look, encoded};
use askama::Template;
use axum::extract::State;
use ln6_api::ApiRequest;
use ln6_api::request::RegistryRequest;
use ln6_api::schema::{DenialList, DenialRow, RequestList, RequestRow};
use std::sync::Arc;

/// Requests of one page.
const ROWS: usize = 25;

struct Waiting<'a> {
    row: &'a RequestRow,
    /// The key in groups of four, to be read aloud.
    key: String,
    /// What is sent to the page that decides.
    query: String,
}

#[derive(Template)]
#[template(path = "requests.html")]
struct Requests<'a> {
    look: &'a Look,
    rows: Vec<Waiting<'a>>,
    total: u64,
    more: Option<usize>,
    less: Option<usize>,
    invite: bool,
    denials: &'a [DenialRow],
}

/// Denials of one page: the newest.
const DENIALS: usize = 50;

pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor, Query(query): Query) -> Page {
    let list = app.desk.get::<RequestList>(ApiRequest::Registry(RegistryRequest::Requests)).await?;
    let from = query.get("from").parse::<usize>().unwrap_or(0).min(list.requests.len());
    let mut rows = Vec::new();
    for row in list.requests.iter().skip(from).take(ROWS) {
        rows.push(Waiting { row, key: grouped(&row.key.to_string()), query: asking(row) });
    }
    let more = (from + ROWS < list.requests.len()).then_some(from + ROWS);
    let less = (from > 0).then(|| from.saturating_sub(ROWS));
    let invite = visitor.look.may_operate();
    let denied = app.desk.get::<DenialList>(ApiRequest::Registry(RegistryRequest::Denials)).await?;
    let denials = denied.denials.get(..DENIALS).unwrap_or(&denied.denials);
    page(&Requests {
        denials,
        look: &visitor.look,
        rows,
        total: list.requests.len() as u64,
        more,
        less,
        invite,
    })
}

fn asking(row: &RequestRow) -> String {
    let mut query = format!("request={}&expect={}&back=/requests", encoded(&row.id), row.revision);
    if let Some(name) = &row.name {
        query.push_str(&format!("&name={}", encoded(name)));
    }
    if let Some(size) = row.size {
        query.push_str(&format!("&size={size}"));
    }
    query
}

/// A key in groups of four.
pub(crate) fn grouped(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    chars.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}
