//! Traffic over time, and the network as a graph.

use super::{PathKind, Time};
use ln6_types::{Prefix, PublicKey, RouterId};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/traffic`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct TrafficReport {
    /// Whose series these are; everybody's if absent.
    pub peer: Option<String>,
    /// `now`, `day` and `month`.
    pub series: Vec<TrafficSeries>,
    /// Everybody in sums, the most talkative of the day first.
    pub peers: Vec<TrafficRow>,
}

/// Octets in steps of equal length.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct TrafficSeries {
    /// `now` (the last minutes), `day` or `month`.
    pub span: String,
    /// Length of a step.
    pub step_seconds: u64,
    /// Where the first step begins.
    pub start: Time,
    /// Octets received in each step, oldest first.
    pub rx_bytes: Vec<u64>,
    /// Octets sent in each step, oldest first.
    pub tx_bytes: Vec<u64>,
}

/// A peer's traffic in sums.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct TrafficRow {
    /// Its name; empty if unknown.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// Received lately.
    pub rx_bytes_per_second: f64,
    /// Sent lately.
    pub tx_bytes_per_second: f64,
    /// Received in the last 24 hours.
    pub day_rx_bytes: u64,
    /// Sent in the last 24 hours.
    pub day_tx_bytes: u64,
    /// Received in the last 30 days.
    pub month_rx_bytes: u64,
    /// Sent in the last 30 days.
    pub month_tx_bytes: u64,
}

/// `GET /api/v1/graph`: the network as this node sees it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct GraphReport {
    /// This node first, then by name.
    pub nodes: Vec<GraphNode>,
    /// By their ends.
    pub links: Vec<GraphLink>,
}

/// A node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct GraphNode {
    /// Links name it by this.
    pub router_id: RouterId,
    /// Its name; empty if unknown.
    pub name: String,
    /// Its key, if known.
    pub key: Option<PublicKey>,
    /// `self`, `node`, `guest` or `stock`.
    pub kind: String,
    /// `broker`, `exit`.
    pub roles: Vec<String>,
    /// What it holds.
    pub prefixes: Vec<Prefix>,
    /// Whether there is a way to it now.
    pub reachable: bool,
    /// Babel's metric of that way.
    pub metric: Option<u16>,
}

/// A link between two nodes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct GraphLink {
    /// One end: the nearer one.
    pub from: RouterId,
    /// The other.
    pub to: RouterId,
    /// `session` (one of this node's own) or `route` (the next node is known, what lies between is not).
    pub kind: String,
    /// How datagrams of a session travel.
    pub path: Option<PathKind>,
    /// Babel's cost of a session; absent without adjacency, 65535 = down.
    pub cost: Option<u16>,
    /// Smoothed round trip of a session.
    pub rtt_seconds: Option<f64>,
}
