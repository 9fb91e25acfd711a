//! `meshviewer.json`, as Freifunk's meshviewer reads it (the form that yanic writes).

use super::{cost, label};
use crate::schema::{GraphReport, Time};
use ln6_types::RouterId;
use serde_json::{Value, json};

/// The cost of a link without losses; its quality is 1.
const BEST: f64 = 96.0;

/// Nodes and links at `now`. What ln6d does not know of a gateway (its clients, its model) is 0 or left out; who was
/// first seen when is not known either, so it is said to be now.
pub fn meshviewer(graph: &GraphReport, now: Time) -> Value {
    let time = stamp(now);
    let nodes: Vec<Value> = graph
        .nodes
        .iter()
        .map(|node| {
            json!({
                "node_id": id(node.router_id),
                "hostname": label(graph, node.router_id),
                "firstseen": time,
                "lastseen": time,
                "is_online": node.reachable,
                "is_gateway": node.roles.iter().any(|role| role == "exit"),
                "clients": 0,
                "clients_wifi24": 0,
                "clients_wifi5": 0,
                "clients_other": 0,
                "mac": "",
                "addresses": node.prefixes.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "domain": "ln6d",
                "autoupdater": { "enabled": false },
                "firmware": {},
                "nproc": 0,
                "vpn": true,
            })
        })
        .collect();
    let links: Vec<Value> = graph
        .links
        .iter()
        .filter_map(|link| {
            let quality = (BEST / f64::from(cost(graph, link)?)).min(1.0);
            Some(json!({
                "type": "vpn",
                "source": id(link.from),
                "target": id(link.to),
                "source_tq": quality,
                "target_tq": quality,
            }))
        })
        .collect();
    json!({ "timestamp": time, "nodes": nodes, "links": links })
}

/// A router-id as 16 hex digits.
fn id(router: RouterId) -> String {
    router.to_string().replace(':', "")
}

/// `2026-09-21T14:13:20+0000`.
fn stamp(time: Time) -> String {
    time.to_string().replace('Z', "+0000")
}
