//! The network as a picture: laid out here, the same each time, every node a link; and as a list beside it.

use crate::app::{App, Page, Query, Visitor, page};
use crate::look::{Look, encoded};
use crate::markup::{Markup, escape, tame};
use askama::Template;
use axum::extract::State;
use ln6_api::ApiRequest;
use ln6_api::schema::{GraphLink, GraphNode, GraphReport, PathKind};
use ln6_types::RouterId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::sync::Arc;

/// Nodes drawn at once; above it, regions are drawn.
const DRAWN: usize = 500;
/// Names are written beside nodes up to so many.
const NAMED: usize = 120;
/// Lines of the list.
const LISTED: usize = 200;

#[derive(Template)]
#[template(path = "topology.html")]
struct Topology<'a> {
    look: &'a Look,
    picture: Markup,
    nodes: Vec<(&'a GraphNode, String)>,
    total: u64,
    regions: Vec<(String, String, u64)>,
    region: Option<String>,
    alone: u64,
}

pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor, Query(query): Query) -> Page {
    let graph = app.desk.get::<GraphReport>(ApiRequest::Graph).await?;
    let tree = Tree::of(&graph);
    let look = &visitor.look;
    let reachable = tree.parents.len();
    let alone = (graph.nodes.len() - reachable.min(graph.nodes.len())) as u64;
    let wanted = query.get("region");
    let root = if wanted.is_empty() {
        tree.root
    } else {
        tree.order.iter().copied().find(|at| graph.nodes[*at].router_id.to_string() == wanted)
    };
    let inside = root.map_or_else(Vec::new, |root| tree.below(root));
    let by_region = inside.len() > DRAWN;
    let regions: Vec<(String, String, u64)> = if by_region {
        let top = root.map_or_else(Vec::new, |root| tree.children(root));
        top.iter()
            .map(|at| {
                (
                    graph.nodes[*at].router_id.to_string(),
                    title(&graph.nodes[*at]),
                    tree.below(*at).len() as u64,
                )
            })
            .collect()
    } else {
        Vec::new()
    };
    let mut drawn: BTreeSet<usize> = inside.iter().copied().collect();
    if by_region {
        drawn = root
            .into_iter()
            .chain(root.map_or_else(Vec::new, |root| tree.children(root)).into_iter().take(DRAWN))
            .collect();
    }
    let picture =
        root.map_or_else(Markup::default, |root| draw(&graph, &tree, root, &drawn, by_region, look));
    let listed = inside.iter().take(LISTED).map(|at| (&graph.nodes[*at], link(&graph.nodes[*at])));
    page(&Topology {
        look,
        picture,
        nodes: listed.collect(),
        total: inside.len() as u64,
        regions: regions.into_iter().filter(|(_, _, count)| *count > 1).take(LISTED).collect(),
        region: (!wanted.is_empty()).then(|| root.map_or_else(String::new, |at| title(&graph.nodes[at]))),
        alone,
    })
}

fn title(node: &GraphNode) -> String {
    if node.name.is_empty() { node.router_id.to_string() } else { tame(&node.name, 63) }
}

fn link(node: &GraphNode) -> String {
    if node.kind == "node" && !node.name.is_empty() {
        format!("/gateways/{}", encoded(&node.name))
    } else {
        "/gateways".to_owned()
    }
}

/// The shortest ways from this node to all others. What was computed from the same graph looks the same.
struct Tree<'a> {
    root: Option<usize>,
    /// Breadth first.
    order: Vec<usize>,
    parents: BTreeMap<usize, Option<usize>>,
    kids: BTreeMap<usize, Vec<usize>>,
    ways: BTreeMap<(usize, usize), &'a GraphLink>,
}

impl<'a> Tree<'a> {
    fn of(graph: &'a GraphReport) -> Tree<'a> {
        let places: BTreeMap<RouterId, usize> =
            graph.nodes.iter().enumerate().map(|(at, node)| (node.router_id, at)).collect();
        let mut beside: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let mut ways = BTreeMap::new();
        for way in &graph.links {
            let (Some(a), Some(b)) = (places.get(&way.from), places.get(&way.to)) else { continue };
            beside.entry(*a).or_default().insert(*b);
            beside.entry(*b).or_default().insert(*a);
            ways.insert((*a.min(b), *a.max(b)), way);
        }
        let root = graph
            .nodes
            .iter()
            .position(|node| node.kind == "self")
            .or((!graph.nodes.is_empty()).then_some(0));
        let mut tree =
            Tree { root, order: Vec::new(), parents: BTreeMap::new(), kids: BTreeMap::new(), ways };
        let mut open: VecDeque<usize> = root.into_iter().collect();
        if let Some(root) = root {
            tree.parents.insert(root, None);
        }
        while let Some(at) = open.pop_front() {
            tree.order.push(at);
            for next in beside.get(&at).into_iter().flatten() {
                if let std::collections::btree_map::Entry::Vacant(entry) = tree.parents.entry(*next) {
                    entry.insert(Some(at));
                    tree.kids.entry(at).or_default().push(*next);
                    open.push_back(*next);
                }
            }
        }
        tree
    }

    fn children(&self, at: usize) -> Vec<usize> {
        self.kids.get(&at).cloned().unwrap_or_default()
    }

    /// `at` and everything that is reached through it, breadth first.
    fn below(&self, at: usize) -> Vec<usize> {
        let mut found = vec![at];
        let mut next = 0;
        while let Some(here) = found.get(next) {
            found.extend(self.kids.get(here).into_iter().flatten().copied());
            next += 1;
        }
        found
    }
}

/// Where each node is: rings by distance, each subtree in a sector as wide as it has leaves.
fn places(tree: &Tree<'_>, root: usize, drawn: &BTreeSet<usize>) -> BTreeMap<usize, (f64, f64, f64)> {
    let mut leaves: BTreeMap<usize, f64> = BTreeMap::new();
    for at in tree.below(root).into_iter().rev().filter(|at| drawn.contains(at)) {
        let sum: f64 = tree.kids.get(&at).into_iter().flatten().filter_map(|kid| leaves.get(kid)).sum();
        leaves.insert(at, sum.max(1.0));
    }
    let mut rings: Vec<usize> = Vec::new();
    let mut open = vec![(root, 0.0, TAU, 0)];
    let mut angles = BTreeMap::new();
    while let Some((at, from, width, depth)) = open.pop() {
        if rings.len() <= depth {
            rings.resize(depth + 1, 0);
        }
        rings[depth] += 1;
        angles.insert(at, (from + width / 2.0, depth));
        let all = leaves.get(&at).copied().unwrap_or(1.0);
        let mut start = from;
        for kid in tree.kids.get(&at).into_iter().flatten().filter(|kid| drawn.contains(kid)) {
            let share = width * leaves.get(kid).copied().unwrap_or(1.0) / all;
            open.push((*kid, start, share, depth + 1));
            start += share;
        }
    }
    // A ring is wide enough for its nodes, and wider than the one inside it.
    let mut radii = vec![0.0_f64];
    for count in rings.iter().skip(1) {
        let room = *count as f64 * 26.0 / TAU;
        radii.push(room.max(radii.last().copied().unwrap_or(0.0) + 110.0));
    }
    let place = |(angle, depth): (f64, usize)| {
        let radius = radii.get(depth).copied().unwrap_or(0.0);
        (radius * (angle - TAU / 4.0).cos(), radius * (angle - TAU / 4.0).sin(), angle)
    };
    angles.into_iter().map(|(at, polar)| (at, place(polar))).collect()
}

fn draw(
    graph: &GraphReport,
    tree: &Tree<'_>,
    root: usize,
    drawn: &BTreeSet<usize>,
    regions: bool,
    look: &Look,
) -> Markup {
    let places = places(tree, root, drawn);
    let reach = places.values().map(|(x, y, _)| x.hypot(*y)).fold(60.0, f64::max);
    let (wide, high) = (reach + 120.0, reach + 48.0);
    let mut out = String::with_capacity(drawn.len() * 300);
    let _ = write!(
        out,
        "<svg class=\"topology\" role=\"group\" aria-label=\"{}\" viewBox=\"{:.0} {:.0} {:.0} {:.0}\">",
        escape(&look.t("nav.topology")),
        -wide,
        -high,
        2.0 * wide,
        2.0 * high
    );
    for ((a, b), way) in &tree.ways {
        let (Some((x1, y1, _)), Some((x2, y2, _))) = (places.get(a), places.get(b)) else { continue };
        let class = match (way.kind.as_str(), way.path, way.cost) {
            (_, _, Some(u16::MAX)) => "down",
            ("session", Some(PathKind::Relayed), _) => "relayed",
            ("session", _, _) => "direct",
            _ => "route",
        };
        let _ = write!(
            out,
            "<line class=\"{class}\" x1=\"{x1:.0}\" y1=\"{y1:.0}\" x2=\"{x2:.0}\" y2=\"{y2:.0}\"/>"
        );
        if places.len() <= 40
            && let Some(rtt) = way.rtt_seconds
        {
            let (x, y) = (x1 * 0.45 + x2 * 0.55, y1 * 0.45 + y2 * 0.55);
            let _ = write!(out, "<text class=\"rtt\" x=\"{x:.0}\" y=\"{y:.0}\">{}</text>", look.rtt(&rtt));
        }
    }
    for (at, (x, y, angle)) in &places {
        let node = &graph.nodes[*at];
        let name = title(node);
        let below = if regions && *at != root { tree.below(*at).len() } else { 1 };
        let href = if below > 1 { format!("/topology?region={}", node.router_id) } else { link(node) };
        let kind = if *at == root {
            "here"
        } else if !node.reachable {
            "gone"
        } else if node.roles.iter().any(|role| role == "exit" || role == "broker") {
            "hub"
        } else {
            "node"
        };
        let radius = if below > 1 {
            8.0 + (below as f64).sqrt()
        } else if kind == "here" || kind == "hub" {
            11.0
        } else {
            7.0
        };
        let state = look.word("state", if node.reachable { "connected" } else { "absent" });
        let label = if below > 1 { format!("{name}: {below}") } else { format!("{name}, {state}") };
        let _ = write!(
            out,
            "<a href=\"{}\" aria-label=\"{}\"><title>{}</title><circle class=\"hit\" cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"14\"/><circle class=\"{kind}\" cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"{radius:.0}\"/>",
            escape(&href),
            escape(&label),
            escape(&label)
        );
        if places.len() <= NAMED || kind == "here" || kind == "hub" || below > 20 {
            let right = angle.sin() >= -0.01;
            let (anchor, dx) = if *at == root {
                ("middle", 0.0)
            } else if right {
                ("start", radius + 5.0)
            } else {
                ("end", -radius - 5.0)
            };
            let dy = if *at == root { radius + 16.0 } else { 4.0 };
            let short: String = name.chars().take(18).collect();
            let _ = write!(
                out,
                "<text class=\"name\" text-anchor=\"{anchor}\" x=\"{:.0}\" y=\"{:.0}\">{}</text>",
                x + dx,
                y + dy,
                escape(&short)
            );
        }
        out.push_str("</a>");
    }
    out.push_str("</svg>");
    Markup(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(size: u8) -> GraphReport {
        let id = |n: u8| RouterId([n; 8]);
        let node = |n: u8| GraphNode {
            router_id: id(n),
            name: format!("g{n}"),
            key: None,
            kind: if n == 0 { "self" } else { "node" }.into(),
            roles: Vec::new(),
            prefixes: Vec::new(),
            reachable: true,
            metric: None,
        };
        let link = |n: u8| GraphLink {
            from: id(n / 3),
            to: id(n),
            kind: "session".into(),
            path: None,
            cost: None,
            rtt_seconds: None,
        };
        GraphReport { nodes: (0..size).map(node).collect(), links: (1..size).map(link).collect() }
    }

    #[test]
    fn the_same_graph_looks_the_same_and_no_two_nodes_share_a_place() {
        let graph = graph(60);
        let tree = Tree::of(&graph);
        let all: BTreeSet<usize> = (0..60).collect();
        let first = places(&tree, 0, &all);
        let second = places(&Tree::of(&graph), 0, &all);
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        let spots: Vec<_> = first.values().collect();
        for (index, (x, y, _)) in spots.iter().enumerate() {
            for (x2, y2, _) in &spots[..index] {
                assert!((x - x2).hypot(y - y2) > 14.0, "two nodes touch");
            }
        }
    }

    #[test]
    fn a_circle_in_the_graph_ends() {
        let mut graph = graph(3);
        let back = GraphLink { from: RouterId([2; 8]), to: RouterId([1; 8]), ..graph.links[0].clone() };
        graph.links.push(back);
        assert_eq!(Tree::of(&graph).below(0).len(), 3);
    }
}
