//! The network in the words of other programs: pure functions over what the API answers.

mod csv;
mod dot;
mod meshviewer;
mod netjson;
mod picture;

pub use csv::{links_csv, prefixes_csv};
pub use dot::dot;
pub use meshviewer::meshviewer;
pub use netjson::netjson;
pub use picture::{Seen, picture};

use crate::schema::{GraphLink, GraphReport};

/// The cost of a link, where one is known: Babel's own, or for what lies behind a neighbour the difference of metrics.
fn cost(graph: &GraphReport, link: &GraphLink) -> Option<u16> {
    let metric = |id| graph.nodes.iter().find(|node| node.router_id == id).and_then(|node| node.metric);
    let known = match link.kind.as_str() {
        "session" => link.cost,
        _ => metric(link.to).zip(metric(link.from)).map(|(far, near)| far.saturating_sub(near).max(1)),
    };
    known.filter(|cost| *cost < u16::MAX)
}

/// What a node is called: its name, or its router-id.
fn label(graph: &GraphReport, id: ln6_types::RouterId) -> String {
    let named = graph.nodes.iter().find(|node| node.router_id == id && !node.name.is_empty());
    named.map_or_else(|| id.to_string(), |node| node.name.clone())
}

#[cfg(test)]
mod tests;
