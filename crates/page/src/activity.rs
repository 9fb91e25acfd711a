//! What was done, by whom, and why: the journal, newest first.

use crate::app::{App, Page, Query, Visitor, page};
use crate::look::{Look, encoded};
use askama::Template;
use axum::extract::State;
use ln6_api::ApiRequest;
use ln6_api::request::{Audit, RegistryRequest};
use ln6_api::schema::{AuditList, AuditRow};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "activity.html")]
struct Activity<'a> {
    look: &'a Look,
    rows: &'a [AuditRow],
    text: String,
    older: Option<String>,
    paged: bool,
}

pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor, Query(query): Query) -> Page {
    let text: String = query.short("text", 64);
    let before = query.get("before").parse::<u64>().ok();
    let asked = Audit {
        before,
        limit: Some(100),
        text: Some(text.clone()).filter(|text| !text.is_empty()),
        ..Audit::default()
    };
    let list = app.desk.get::<AuditList>(ApiRequest::Registry(RegistryRequest::Audit(asked))).await?;
    let older = list.next.map(|next| format!("/activity?text={}&before={next}", encoded(&text)));
    page(&Activity { look: &visitor.look, rows: &list.rows, text, older, paged: before.is_some() })
}
