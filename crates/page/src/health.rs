//! How the machine is: what `ln6d doctor` says, and what was dropped and refused.

use crate::app::{App, Onlooker, Page, page};
use crate::look::Look;
use askama::Template;
use axum::extract::State;
use ln6_api::ApiRequest;
use ln6_api::schema::{DoctorReport, Problem, StatusReport};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "health.html")]
struct Health<'a> {
    look: &'a Look,
    problems: Vec<Problem>,
    passed: &'a [String],
    status: &'a StatusReport,
}

pub(crate) async fn show(State(app): State<Arc<App>>, onlooker: Onlooker) -> Page {
    let status = app.desk.get::<StatusReport>(ApiRequest::Status).await?;
    let doctor = app.desk.get::<DoctorReport>(ApiRequest::Doctor).await?;
    let mut problems = doctor.findings.clone();
    for problem in &status.problems {
        if !problems.iter().any(|known| known.code == problem.code && known.message == problem.message) {
            problems.push(problem.clone());
        }
    }
    if !onlooker.look.inside() {
        problems = problems.iter().map(crate::node::veiled).collect();
    }
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
    page(&Health { look: &onlooker.look, problems, passed: &doctor.passed, status: &status })
}
