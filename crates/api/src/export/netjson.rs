//! NetJSON's `NetworkGraph`, as OpenWISP and netjsongraph.js read it.

use super::{cost, label};
use crate::schema::GraphReport;
use serde_json::{Value, json};

/// The network as a `NetworkGraph` of Babel: links without a cost are no links of the routing protocol, and left out.
pub fn netjson(graph: &GraphReport, version: &str) -> Value {
    let nodes: Vec<Value> = graph
        .nodes
        .iter()
        .map(|node| {
            json!({
                "id": node.router_id.to_string(),
                "label": label(graph, node.router_id),
                "local_addresses": node.prefixes.iter().map(|prefix| prefix.network().to_string()).collect::<Vec<_>>(),
                "properties": {
                    "kind": node.kind,
                    "roles": node.roles,
                    "prefixes": node.prefixes,
                    "reachable": node.reachable,
                    "key": node.key,
                },
            })
        })
        .collect();
    let links: Vec<Value> = graph
        .links
        .iter()
        .filter_map(|link| {
            let cost = cost(graph, link)?;
            Some(json!({
                "source": link.from.to_string(),
                "target": link.to.to_string(),
                "cost": cost,
                "properties": { "kind": link.kind, "path": link.path, "rtt_seconds": link.rtt_seconds },
            }))
        })
        .collect();
    let own = graph.nodes.first().map(|node| node.router_id.to_string());
    json!({
        "type": "NetworkGraph",
        "protocol": "babel",
        "version": version,
        "metric": "cost",
        "router_id": own,
        "label": "ln6d",
        "nodes": nodes,
        "links": links,
    })
}
