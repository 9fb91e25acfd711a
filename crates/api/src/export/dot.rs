//! For Graphviz.

use super::{cost, label};
use crate::schema::{GraphReport, PathKind};
use std::fmt::Write as _;

/// An undirected graph: brokers and exits as boxes, sessions solid, relayed ones dashed, what lies behind a neighbour
/// dotted.
pub fn dot(graph: &GraphReport) -> String {
    let mut out = String::from("graph ln6d {\n  node [shape=ellipse, fontname=\"sans-serif\"];\n");
    for node in &graph.nodes {
        let mut lines = vec![label(graph, node.router_id)];
        lines.extend(node.prefixes.iter().take(4).map(ToString::to_string));
        let shape = if node.roles.is_empty() { "" } else { ", shape=box" };
        let style = match (node.kind.as_str(), node.reachable) {
            ("self", _) => ", style=bold",
            (_, false) => ", style=dotted",
            _ => "",
        };
        let text = lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\\n");
        let _ = writeln!(out, "  \"{}\" [label=\"{text}\"{shape}{style}];", node.router_id);
    }
    for link in &graph.links {
        let style = match (link.kind.as_str(), link.path) {
            ("session", Some(PathKind::Relayed)) => "dashed",
            ("session", _) => "solid",
            _ => "dotted",
        };
        let words = cost(graph, link).map_or(String::new(), |cost| format!(", label=\"{cost}\""));
        let _ = writeln!(out, "  \"{}\" -- \"{}\" [style={style}{words}];", link.from, link.to);
    }
    out.push_str("}\n");
    out
}

/// Inside a quoted string.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
