//! The network as one node sees it, put together from its lists.

use crate::schema::{
    CertRow, GraphLink, GraphNode, GraphReport, PeerRow, RouteRow, SessionRow, StatusReport,
};
use ln6_types::RouterId;
use std::collections::BTreeMap;

/// What a node says of itself and of what it knows.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'s> {
    /// `GET /api/v1/status`.
    pub status: &'s StatusReport,
    /// `GET /api/v1/peers`.
    pub peers: &'s [PeerRow],
    /// `GET /api/v1/sessions`.
    pub sessions: &'s [SessionRow],
    /// `GET /api/v1/routes`.
    pub routes: &'s [RouteRow],
    /// `GET /api/v1/certs`.
    pub certs: &'s [CertRow],
}

/// Nodes and links as far as they are known here: this node's own sessions, and behind each neighbour the nodes that
/// are reached through it. Babel does not tell what lies between those.
pub fn picture(seen: Seen<'_>) -> GraphReport {
    let mut nodes: BTreeMap<RouterId, GraphNode> = BTreeMap::new();
    for cert in seen.certs.iter().filter(|cert| matches!(cert.status.as_str(), "live" | "in_grace")) {
        nodes.insert(cert.router_id, of_cert(cert));
    }
    for peer in seen.peers.iter().filter(|peer| peer.kind != "guest" || peer.connected) {
        nodes.insert(peer.router_id, of_peer(peer));
    }
    let me = of_status(seen.status);
    nodes.remove(&me.router_id);
    for route in chosen(seen.routes) {
        if let Some(node) = nodes.get_mut(&route.router_id) {
            node.reachable = true;
            let nearest = node.metric.into_iter().chain(route.metric).min();
            node.metric = nearest;
        }
    }
    let links = links(&me, &nodes, seen);
    let mut rest: Vec<GraphNode> = nodes.into_values().collect();
    rest.sort_by(|a, b| (&a.name, a.router_id).cmp(&(&b.name, b.router_id)));
    GraphReport { nodes: std::iter::once(me).chain(rest).collect(), links }
}

fn chosen(routes: &[RouteRow]) -> impl Iterator<Item = &RouteRow> {
    routes.iter().filter(|route| route.selected && route.metric.is_some())
}

fn of_status(status: &StatusReport) -> GraphNode {
    let roles = [("broker", status.broker.is_some()), ("exit", status.exits.here)];
    GraphNode {
        router_id: status.node.router_id,
        name: status.node.name.clone(),
        key: Some(status.node.key),
        kind: "self".to_owned(),
        roles: roles.iter().filter(|(_, has)| *has).map(|(role, _)| (*role).to_owned()).collect(),
        prefixes: status.prefixes.clone(),
        reachable: true,
        metric: Some(0),
    }
}

fn of_cert(cert: &CertRow) -> GraphNode {
    GraphNode {
        router_id: cert.router_id,
        name: cert.name.clone(),
        key: Some(cert.key),
        kind: "node".to_owned(),
        roles: cert.roles.clone(),
        prefixes: cert.originate.clone(),
        reachable: false,
        metric: None,
    }
}

fn of_peer(peer: &PeerRow) -> GraphNode {
    GraphNode {
        router_id: peer.router_id,
        name: peer.name.clone(),
        key: Some(peer.key),
        kind: peer.kind.clone(),
        roles: peer.roles.clone(),
        prefixes: peer.prefixes.clone(),
        reachable: peer.connected,
        metric: None,
    }
}

fn links(me: &GraphNode, nodes: &BTreeMap<RouterId, GraphNode>, seen: Seen<'_>) -> Vec<GraphLink> {
    let mut links: BTreeMap<(RouterId, RouterId), GraphLink> = BTreeMap::new();
    for session in seen.sessions {
        let Some(peer) = seen.peers.iter().find(|peer| peer.key == session.key) else { continue };
        let link = GraphLink {
            from: me.router_id,
            to: peer.router_id,
            kind: "session".to_owned(),
            path: Some(session.path),
            cost: session.cost,
            rtt_seconds: session.rtt_seconds,
        };
        links.insert((link.from, link.to), link);
    }
    let called = |name: &str| nodes.values().find(|node| node.name == name).map(|node| node.router_id);
    for route in chosen(seen.routes) {
        let Some(via) = route.via.as_deref().and_then(called) else { continue };
        if via != route.router_id && route.router_id != me.router_id && nodes.contains_key(&route.router_id) {
            let link = GraphLink {
                from: via,
                to: route.router_id,
                kind: "route".to_owned(),
                path: None,
                cost: None,
                rtt_seconds: None,
            };
            links.entry((via, route.router_id)).or_insert(link);
        }
    }
    links.into_values().collect()
}
