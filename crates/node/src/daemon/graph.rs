//! The network as this node sees it: its own sessions, and whom a route leads to through whom.

use crate::from_view;
use crate::schema::{GraphLink, GraphNode, GraphReport};
use ln6_overlay_core::control::view::{PeerView, View};
use ln6_overlay_core::forwarder::mail::PeerKind;
use ln6_types::RouterId;
use std::collections::BTreeMap;

const UNREACHABLE: u16 = u16::MAX;

/// The best way to a router: its metric, and the neighbour it goes through.
struct Way {
    metric: u16,
    through: Option<RouterId>,
}

/// Nodes and links.
pub(super) fn graph(view: &View) -> GraphReport {
    let ways = ways(view);
    let mut nodes: BTreeMap<RouterId, GraphNode> = BTreeMap::new();
    for peer in view.peers.iter().filter(|peer| peer.kind != PeerKind::Guest || peer.connected) {
        nodes.insert(peer.router, node(peer, ways.get(&peer.router)));
    }
    for (router, way) in ways.iter().filter(|(router, _)| **router != view.me.router) {
        nodes.entry(*router).or_insert_with(|| unknown(*router, way.metric));
    }
    let mut links: Vec<GraphLink> =
        view.peers.iter().filter_map(|peer| session(view.me.router, peer)).collect();
    let beyond = ways.iter().filter_map(|(router, way)| {
        let through = way.through.filter(|through| through != router && *router != view.me.router)?;
        let kind = "route".to_owned();
        Some(GraphLink { from: through, to: *router, kind, path: None, cost: None, rtt_seconds: None })
    });
    links.extend(beyond);
    links.sort_by_key(|link| (link.from, link.to));
    let mut all = vec![me(view)];
    let mut others: Vec<GraphNode> = nodes.into_values().collect();
    others.sort_by(|a, b| (&a.name, a.router_id).cmp(&(&b.name, b.router_id)));
    all.extend(others);
    GraphReport { nodes: all, links }
}

fn ways(view: &View) -> BTreeMap<RouterId, Way> {
    let mut ways: BTreeMap<RouterId, Way> = BTreeMap::new();
    let router_of = |idx| view.peers.iter().find(|peer| peer.idx == idx).map(|peer| peer.router);
    for route in view.routes.iter().filter(|route| route.selected && route.metric != UNREACHABLE) {
        let known = ways.get(&route.router).is_some_and(|way| way.metric <= route.metric);
        if !known {
            let through = route.via.and_then(router_of);
            ways.insert(route.router, Way { metric: route.metric, through });
        }
    }
    ways
}

fn me(view: &View) -> GraphNode {
    let roles = [(!view.me.pools.is_empty(), "broker"), (view.me.exit, "exit")];
    GraphNode {
        router_id: view.me.router,
        name: view.me.name.clone(),
        key: Some(view.me.key),
        kind: "self".to_owned(),
        roles: roles.iter().filter(|(has, _)| *has).map(|(_, word)| (*word).to_owned()).collect(),
        prefixes: view.me.prefixes.clone(),
        reachable: true,
        metric: Some(0),
    }
}

fn node(peer: &PeerView, way: Option<&Way>) -> GraphNode {
    let roles = [(peer.broker, "broker"), (peer.exit, "exit")];
    GraphNode {
        router_id: peer.router,
        name: peer.name.clone(),
        key: Some(peer.key),
        kind: from_view::kind(peer.kind).to_owned(),
        roles: roles.iter().filter(|(has, _)| *has).map(|(_, word)| (*word).to_owned()).collect(),
        prefixes: peer.prefixes.clone(),
        reachable: way.is_some() || (peer.connected && peer.kind != PeerKind::Node),
        metric: way.map(|way| way.metric),
    }
}

/// Somebody of whom only routes are known.
fn unknown(router_id: RouterId, metric: u16) -> GraphNode {
    let (name, kind) = (String::new(), "node".to_owned());
    let metric = Some(metric);
    GraphNode { router_id, name, key: None, kind, roles: vec![], prefixes: vec![], reachable: true, metric }
}

fn session(from: RouterId, peer: &PeerView) -> Option<GraphLink> {
    peer.connected.then(|| GraphLink {
        from,
        to: peer.router,
        kind: "session".to_owned(),
        path: from_view::way(peer).0,
        cost: peer.cost,
        rtt_seconds: peer.rtt.map(|rtt| rtt.as_secs_f64()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_view::tests::{peer, view};
    use ln6_overlay_core::control::view::RouteView;

    #[test]
    fn sessions_are_links_and_routes_lead_further() {
        let near = PeerView { router: RouterId([1; 8]), ..peer("near", true, None) };
        let far = PeerView { router: RouterId([2; 8]), ..peer("far", false, None) };
        let to_far = RouteView {
            to: "2001:db8:2::/48".parse().expect("prefix"),
            from: "::/0".parse().expect("prefix"),
            router: far.router,
            owner: "far".into(),
            via: Some(near.idx),
            via_name: "near".into(),
            metric: 96,
            seqno: 1,
            selected: true,
            feasible: true,
            refused: "",
        };
        let graph = graph(&view(vec![near, far], vec![to_far]));
        assert_eq!(graph.nodes.len(), 3);
        assert_eq!(graph.nodes[0].kind, "self");
        let far = graph.nodes.iter().find(|node| node.name == "far").expect("far");
        assert_eq!((far.reachable, far.metric), (true, Some(96)));
        let kinds: Vec<_> = graph.links.iter().map(|link| (link.kind.as_str(), link.to)).collect();
        assert!(
            kinds.contains(&("session", RouterId([1; 8]))) && kinds.contains(&("route", RouterId([2; 8])))
        );
        assert_eq!(kinds.len(), 2, "{kinds:?}");
    }
}
