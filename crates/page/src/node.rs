//! The page of a gateway: one line that says how it stands, the steps of joining, what it holds, and the few things it can
//! be asked to do. A broker has the admin page instead.

mod act;
mod line;
mod steps;
mod veil;

pub(crate) use act::{ask_for_size, ask_to_join, ask_to_leave, join, leave, reload, size, test};
pub(crate) use veil::veiled;

use crate::app::{App, Onlooker, Page, page};
use crate::look::Look;
use crate::markup::Markup;
use crate::picture::qr;
use crate::traffic::{Curve, curve};
use askama::Template;
use axum::extract::State;
#[cfg(test)]
pub(crate) use line::LINES;
use line::Line;
use ln6_api::ApiRequest;
use ln6_api::request::Traffic;
use ln6_api::schema::{PeerList, PeerRow, Problem, Severity, StatusReport, TrafficReport, WishReport};
use std::sync::Arc;
use steps::Step;

/// State of a node that belongs to no network and waits for an invitation.
const NO_NETWORK: &str = "no_network";

/// Peers on the first page.
const PEERS: usize = 6;

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage<'a> {
    look: &'a Look,
    status: &'a StatusReport,
    wish: &'a WishReport,
    line: Line,
    problems: Vec<&'a Problem>,
    steps: Vec<Step>,
    peers: Vec<&'a PeerRow>,
    day: Option<Curve>,
    picture: Markup,
    command: &'a str,
}

impl NodePage<'_> {
    /// Whether it may ask for another size: not before it has joined, nor once its place is taken from it.
    fn may_resize(&self) -> bool {
        self.look.may_operate()
            && matches!(self.state(), "asking" | "waiting" | "refused" | "member" | "in_grace")
    }

    fn may_leave(&self) -> bool {
        self.look.may_rule() && self.state() != NO_NETWORK && !self.has_left()
    }

    fn may_join(&self) -> bool {
        self.look.may_rule() && self.wish.waits
    }

    /// Whether something below the line is to be done.
    fn needs_somebody(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity > Severity::Note)
    }

    fn state(&self) -> &str {
        &self.status.standing.state
    }

    fn has_left(&self) -> bool {
        self.status.problems.iter().any(|problem| problem.code == "left")
    }

    fn way(&self, peer: &PeerRow) -> &'static str {
        crate::peers::way(peer)
    }
}

pub(crate) async fn show(State(app): State<Arc<App>>, onlooker: Onlooker) -> Page {
    let mut status = app.desk.get::<StatusReport>(ApiRequest::Status).await?;
    if !onlooker.look.inside() {
        let status = Arc::make_mut(&mut status);
        status.problems = status.problems.iter().map(veiled).collect();
    }
    let wish = app.desk.get::<WishReport>(ApiRequest::Wish).await?;
    let (peers, traffic) = if status.standing.state == NO_NETWORK {
        (Arc::default(), Arc::default())
    } else {
        let peers = app.desk.get::<PeerList>(ApiRequest::Peers).await?;
        (peers, app.desk.get::<TrafficReport>(ApiRequest::Traffic(Traffic::default())).await?)
    };
    let line = Line::of(&status, &peers.peers);
    // What the line says is not said twice.
    let problems = status.problems.iter().filter(|problem| problem.code != line.code).collect();
    page(&NodePage {
        look: &onlooker.look,
        steps: steps::steps(&status, &wish, &peers.peers),
        problems,
        line,
        peers: peers.peers.iter().filter(|peer| peer.connected).take(PEERS).collect(),
        day: traffic.series.iter().find(|series| series.span == "day").map(curve),
        picture: qr(&status.node.key.to_string()),
        status: &status,
        wish: &wish,
        command: &app.settings.command,
    })
}
