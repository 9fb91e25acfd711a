//! The overview: what needs somebody first, then how things are.

use crate::app::{App, Page, Visitor, page};
use crate::look::Look;
use askama::Template;
use axum::extract::State;
use ln6_api::ApiRequest;
use ln6_api::request::{Audit, RegistryRequest};
use ln6_api::schema::{
    AuditList, AuditRow, ConfirmationList, ConfirmationRow, RequestList, RequestRow, StatusReport,
};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    look: &'a Look,
    status: &'a StatusReport,
    requests: Vec<RequestRow>,
    confirmations: Vec<ConfirmationRow>,
    activity: Vec<AuditRow>,
    command: &'a str,
}

pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor) -> Page {
    let status = app.desk.get::<StatusReport>(ApiRequest::Status).await?;
    let (mut requests, mut confirmations, mut activity) = (Vec::new(), Vec::new(), Vec::new());
    if status.broker.is_some() {
        let ask = ApiRequest::Registry;
        requests = app
            .desk
            .get::<RequestList>(ask(RegistryRequest::Requests))
            .await?
            .requests
            .iter()
            .take(5)
            .cloned()
            .collect();
        let kept = app.desk.get::<ConfirmationList>(ask(RegistryRequest::Confirmations)).await?;
        confirmations = kept.confirmations.iter().take(5).cloned().collect();
        let lines = Audit { limit: Some(6), ..Audit::default() };
        activity = app.desk.get::<AuditList>(ask(RegistryRequest::Audit(lines))).await?.rows.clone();
    }
    let command = &app.settings.command;
    page(&Overview { look: &visitor.look, status: &status, requests, confirmations, activity, command })
}
