//! What flows: now, in a day, in a month.

use crate::app::{App, Onlooker, Page, Query, page};
use crate::look::Look;
use crate::markup::Markup;
use crate::picture::curves;
use askama::Template;
use axum::extract::State;
use ln6_api::ApiRequest;
use ln6_api::request::Traffic;
use ln6_api::schema::{Time, TrafficReport, TrafficRow, TrafficSeries};
use std::sync::Arc;

/// Rows of one page.
const ROWS: usize = 100;
/// Lines of the table twin of a curve.
const LINES: usize = 24;

/// The octets of a span, drawn and as lines.
pub(crate) struct Curve {
    pub(crate) span: String,
    pub(crate) picture: Markup,
    pub(crate) top: f64,
    pub(crate) rx: u64,
    pub(crate) tx: u64,
    pub(crate) start: Time,
    pub(crate) end: Time,
    pub(crate) lines: Vec<(Time, u64, u64)>,
}

#[derive(Template)]
#[template(path = "traffic.html")]
struct TrafficPage<'a> {
    look: &'a Look,
    peer: Option<String>,
    curves: Vec<Curve>,
    rows: &'a [TrafficRow],
    total: u64,
    less: Option<usize>,
    more: Option<usize>,
}

pub(crate) async fn show(State(app): State<Arc<App>>, onlooker: Onlooker, Query(query): Query) -> Page {
    let peer = query.some("peer");
    if peer.is_some() && !onlooker.look.inside() {
        app.take_turn().await;
    }
    let report = app.desk.get::<TrafficReport>(ApiRequest::Traffic(Traffic { peer })).await?;
    let from = query.get("from").parse::<usize>().unwrap_or(0).min(report.peers.len());
    let upto = (from + ROWS).min(report.peers.len());
    page(&TrafficPage {
        look: &onlooker.look,
        peer: report.peer.clone(),
        curves: report.series.iter().map(curve).collect(),
        rows: &report.peers[from..upto],
        total: report.peers.len() as u64,
        less: (from > 0).then(|| from.saturating_sub(ROWS)),
        more: (upto < report.peers.len()).then_some(upto),
    })
}

pub(crate) fn curve(series: &TrafficSeries) -> Curve {
    let top = series.rx_bytes.iter().chain(&series.tx_bytes).copied().max().unwrap_or(0);
    let step = series.step_seconds.max(1);
    let at = |index: usize| {
        Time::from_secs(series.start.as_secs().saturating_add(step.saturating_mul(index as u64)))
    };
    let steps = series.rx_bytes.len().max(series.tx_bytes.len());
    // The table beside the curve joins steps, so that it stays readable.
    let join = steps.div_ceil(LINES).max(1);
    let sum = |values: &[u64], from: usize| {
        values.iter().skip(from).take(join).fold(0_u64, |sum, value| sum.saturating_add(*value))
    };
    let lines = (0..steps)
        .step_by(join)
        .map(|from| (at(from), sum(&series.rx_bytes, from), sum(&series.tx_bytes, from)));
    Curve {
        span: series.span.clone(),
        picture: curves(&series.rx_bytes, &series.tx_bytes, top),
        top: top as f64 / step as f64,
        rx: series.rx_bytes.iter().fold(0, |sum, value| sum.saturating_add(*value)),
        tx: series.tx_bytes.iter().fold(0, |sum, value| sum.saturating_add(*value)),
        start: series.start,
        end: at(steps),
        lines: lines.collect(),
    }
}
