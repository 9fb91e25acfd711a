//! What a node answers of itself and of its network.

use super::Time;
use ln6_types::{Fingerprint, Prefix, PublicKey, RouterId};
use serde::{Deserialize, Serialize};
use std::net::{Ipv6Addr, SocketAddr};

/// How bad a problem or finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Works, but not as well or not for long.
    Warning,
    /// Something that was asked for does not work.
    Error,
}

/// Something an operator should do something about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Stable, in snake case.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

/// `GET /api/v1/status`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct StatusReport {
    /// Of the daemon.
    pub version: String,
    /// When this was true.
    pub time: Time,
    /// Who this is.
    pub node: NodeInfo,
    /// Where it stands with its network.
    pub standing: StandingInfo,
    /// Worst first.
    pub problems: Vec<Problem>,
    /// What it may originate now.
    pub prefixes: Vec<Prefix>,
    /// Its LAN side.
    pub lans: Vec<LanRow>,
    /// Addresses it publishes.
    pub endpoints: Vec<SocketAddr>,
    /// What others say they see it at.
    pub seen_at: Vec<SocketAddr>,
    /// The others, in numbers.
    pub peers: PeerSummary,
    /// Ways to the Internet.
    pub exits: ExitInfo,
    /// On a broker only.
    pub broker: Option<BrokerSummary>,
    /// Refused origins, messages and items since the start, by reason.
    pub refusals: Vec<Count>,
    /// Dropped packets since the start, by reason.
    pub drops: Vec<Count>,
}

/// Who a node is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its WireGuard key.
    pub key: PublicKey,
    /// Its Babel router-id.
    pub router_id: RouterId,
    /// Its network.
    pub network: Fingerprint,
    /// Its address in the network.
    pub address: Ipv6Addr,
    /// Its TUN device.
    pub interface: String,
    /// Its port.
    pub listen: u16,
    /// When the daemon started.
    pub started: Time,
}

/// Where a node stands with its network.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct StandingInfo {
    /// `alone`, `asking`, `waiting`, `refused`, `member`, `in_grace`, `revoked`, `suspended` or `expired`; `no_network`
    /// while a node waits for an invitation: its network is all zero then, and its address `::`.
    pub state: String,
    /// Place in the queue, from 1, when waiting.
    pub place: Option<u32>,
    /// Code of the refusal.
    pub code: Option<String>,
    /// The refusal in words.
    pub text: Option<String>,
    /// When its certificate should be renewed by.
    pub not_after: Option<Time>,
    /// When its rights end.
    pub grace_until: Option<Time>,
}

/// An interface with a /64 of the delegation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LanRow {
    /// Its name.
    pub interface: String,
    /// The /64.
    pub prefix: Prefix,
    /// The router's own address in it.
    pub address: Ipv6Addr,
    /// Whether it is on its way out.
    pub deprecated: bool,
}

/// The others, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PeerSummary {
    /// Certified nodes and configured peers known.
    pub known: u32,
    /// With a session.
    pub connected: u32,
    /// Of those, by a direct path.
    pub direct: u32,
    /// Of those, through others.
    pub relayed: u32,
    /// Of those, not heard lately.
    #[serde(default)]
    pub silent: u32,
    /// With a Babel adjacency.
    pub neighbours: u32,
    /// Stock peers configured.
    pub stock: u32,
    /// Octets received from all.
    pub rx_bytes: u64,
    /// Octets sent to all.
    pub tx_bytes: u64,
}

/// Ways to the Internet.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ExitInfo {
    /// Whether this node is one now.
    pub here: bool,
    /// Those that can be reached now, by name.
    pub reachable: Vec<String>,
}

/// The broker's side.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct BrokerSummary {
    /// What it delegates from.
    pub pools: Vec<PoolRow>,
    /// Holders with a live delegation.
    pub holders: u32,
    /// Requests that wait for an administrator.
    pub requests_waiting: u32,
    /// Invitations that can still be used.
    pub invitations_open: u32,
}

/// A pool.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PoolRow {
    /// The whole.
    pub prefix: Prefix,
    /// Live delegations.
    pub delegations: u32,
    /// Share of the addresses delegated, 0 to 1.
    pub used_ratio: f64,
}

/// A reason and how often.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Count {
    /// Stable, in snake case.
    pub reason: String,
    /// Since the start.
    pub count: u64,
}

/// How datagrams of a session travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// By UDP, straight to its address.
    Direct,
    /// Inside a neighbour's session.
    Relayed,
}

/// `GET /api/v1/peers`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PeerList {
    /// Connected first, then by name.
    pub peers: Vec<PeerRow>,
}

/// A peer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PeerRow {
    /// Name by certificate or configuration; empty if unknown.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// Its router-id.
    pub router_id: RouterId,
    /// `node`, `guest` (no live certificate) or `stock`.
    pub kind: String,
    /// `broker`, `exit`.
    pub roles: Vec<String>,
    /// What it holds.
    pub prefixes: Vec<Prefix>,
    /// Whether a session is up.
    pub connected: bool,
    /// Whether it should be heard every few seconds and was not lately: it may be gone.
    #[serde(default)]
    pub silent: bool,
    /// How datagrams travel.
    pub path: Option<PathKind>,
    /// Its address, on a direct path.
    pub endpoint: Option<SocketAddr>,
    /// Who relays, on a relayed one.
    pub through: Option<String>,
    /// Greatest inner packet on that path, octets.
    #[serde(default)]
    pub mtu: Option<u16>,
    /// Whether Babel runs with it.
    pub neighbour: bool,
    /// Smoothed round trip.
    pub rtt_seconds: Option<f64>,
    /// When the current keys were made.
    pub last_handshake: Option<Time>,
    /// When something authenticated was last heard.
    pub last_heard: Option<Time>,
    /// Octets received.
    pub rx_bytes: u64,
    /// Octets sent.
    pub tx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// All addresses known for it.
    pub endpoints: Vec<SocketAddr>,
}

/// `GET /api/v1/sessions`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SessionList {
    /// Sessions that are up.
    pub sessions: Vec<SessionRow>,
}

/// A session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SessionRow {
    /// With whom.
    pub peer: String,
    /// Its key.
    pub key: PublicKey,
    /// What it is sealed with: `aes-256-gcm` or `chacha20-poly1305`; a daemon from before there was a choice does not say.
    #[serde(default)]
    pub suite: Option<String>,
    /// How datagrams travel.
    pub path: PathKind,
    /// To which address.
    pub endpoint: Option<SocketAddr>,
    /// Through whom.
    pub through: Option<String>,
    /// Greatest inner packet on that path, octets.
    #[serde(default)]
    pub mtu: Option<u16>,
    /// Whether the path was seen to carry that in one piece; what does not fit otherwise goes in fragments.
    #[serde(default)]
    pub whole: bool,
    /// When the current keys were made.
    pub last_handshake: Option<Time>,
    /// When something authenticated was last heard.
    pub last_heard: Option<Time>,
    /// Babel's cost of the link; absent without adjacency, 65535 = down.
    pub cost: Option<u16>,
    /// Smoothed round trip.
    pub rtt_seconds: Option<f64>,
    /// Octets received.
    pub rx_bytes: u64,
    /// Octets sent.
    pub tx_bytes: u64,
}

/// `GET /api/v1/routes`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RouteList {
    /// By destination, the selected one first.
    pub routes: Vec<RouteRow>,
}

/// A candidate route of the overlay.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RouteRow {
    /// Destination.
    pub to: Prefix,
    /// Source it is for; `::/0` = any.
    pub from: Prefix,
    /// Name of the originator; empty if unknown.
    pub owner: String,
    /// Its router-id.
    pub router_id: RouterId,
    /// Neighbour it was learnt from; absent if it is our own.
    pub via: Option<String>,
    /// Metric; absent if unreachable.
    pub metric: Option<u16>,
    /// Sequence number.
    pub seqno: u16,
    /// Whether it is in use.
    pub selected: bool,
    /// Whether the feasibility condition holds.
    pub feasible: bool,
    /// Why it is not accepted.
    pub refused: Option<String>,
}

/// `GET /api/v1/prefixes`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PrefixList {
    /// How many there are in all, of those asked for.
    #[serde(default)]
    pub total: u64,
    /// The place of the first one here among them, from 0.
    #[serde(default)]
    pub offset: u64,
    /// By prefix.
    pub prefixes: Vec<PrefixRow>,
}

/// Who holds a prefix.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PrefixRow {
    /// Whom it belongs to.
    pub holder: String,
    /// What.
    pub prefix: Prefix,
    /// `active`, `suspended`, `revoked`, `quarantined`, `reserved`; on a gateway as the certificate says.
    pub state: String,
    /// Keys of the holder.
    pub keys: Vec<PublicKey>,
    /// Since when.
    pub since: Option<Time>,
    /// Until when.
    pub until: Option<Time>,
    /// The delegation's number, on a broker.
    #[serde(default)]
    pub id: Option<String>,
    /// The shortest length it could grow to in place just now, on a broker.
    #[serde(default)]
    pub grows_to: Option<u8>,
    /// The last moment at which a certificate names it, on a broker.
    #[serde(default)]
    pub named_until: Option<Time>,
}

/// `GET /api/v1/certs`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct CertList {
    /// By name.
    pub certs: Vec<CertRow>,
}

/// A certificate.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct CertRow {
    /// Whose.
    pub name: String,
    /// Holder's name.
    pub holder: String,
    /// WireGuard key.
    pub key: PublicKey,
    /// Router-id.
    pub router_id: RouterId,
    /// Serial number.
    pub serial: u64,
    /// `live`, `in_grace`, `expired`, `revoked`, `suspended`, `not_yet` or `superseded`.
    pub status: String,
    /// What it may originate.
    pub originate: Vec<Prefix>,
    /// Pools it may delegate.
    pub delegate: Vec<Prefix>,
    /// `exit`, `broker`, `transit`.
    pub roles: Vec<String>,
    /// Rights begin.
    pub not_before: Time,
    /// Renewal is overdue from here on.
    pub not_after: Time,
    /// Rights end.
    pub grace_until: Time,
}

/// `GET /api/v1/events`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct EventList {
    /// Oldest first.
    pub events: Vec<EventRow>,
    /// Give this as `after` to get only what came later.
    pub next: u64,
}

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct EventRow {
    /// Counts from 1.
    pub id: u64,
    /// When.
    pub time: Time,
    /// Stable, in snake case.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// With or by whom.
    pub peer: Option<String>,
    /// In words.
    pub message: String,
}

/// `GET /api/v1/doctor`, and what `ln6d doctor` prints.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct DoctorReport {
    /// Worst first.
    pub findings: Vec<Problem>,
    /// What was looked at and is well.
    #[serde(default)]
    pub passed: Vec<String>,
}

/// What a change of the registry has done.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ActionReply {
    /// `approved`, `denied`, `revoked`, `suspended`, `resumed`, `replaced`, `replacement_invited`, `withdrawn`,
    /// `removed`, `left`, `resized`, `reserved`, `unreserved`, `undone`, `noted`, `renamed`, `limited`, `pool_set`,
    /// `pool_closed`, `policy_set`, `roles_set`, `renumbering`, `saved`, `imported`; of a gateway also
    /// `asked` (for another size) and `forgotten` (a network that had given nothing); `kept` if it waits for
    /// `ln6d confirm` on the machine.
    pub done: String,
    /// To whom.
    pub name: Option<String>,
    /// What is concerned.
    pub prefixes: Vec<Prefix>,
    /// For `replace`: the invitation for the new key.
    pub link: Option<String>,
    /// Until when that works, or what was done holds; until when it is kept, if it waits to be confirmed.
    pub until: Option<Time>,
    /// Until when `undo` takes it back.
    #[serde(default)]
    pub undo_until: Option<Time>,
    /// If it was not carried out but waits for `ln6d confirm CODE` on the machine: the code.
    #[serde(default)]
    pub confirm: Option<String>,
}

/// `POST /api/v1/ping`: one question.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PingReply {
    /// Who answered.
    pub name: String,
    /// Its address in the network.
    pub address: Ipv6Addr,
    /// Round trip.
    pub rtt_seconds: f64,
    /// How datagrams travel.
    pub path: Option<PathKind>,
    /// To which address.
    pub endpoint: Option<SocketAddr>,
    /// Through whom.
    pub through: Option<String>,
}

/// `POST /api/v1/wireguard`: what a stock client has to be told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct WireguardReply {
    /// Its name.
    pub name: String,
    /// What it was given.
    pub prefix: Prefix,
    /// Its own address.
    pub address: Ipv6Addr,
    /// The key of the node it connects to.
    pub server_key: PublicKey,
    /// Where that is; the first is the best.
    pub endpoints: Vec<String>,
    /// Pre-shared key in base64.
    pub psk: Option<String>,
    /// Inner MTU.
    pub mtu: u16,
    /// Where it may send to; `::/0` if there is an exit.
    pub allowed: Vec<Prefix>,
    /// Resolvers, if the node names some.
    #[serde(default)]
    pub resolvers: Vec<Ipv6Addr>,
}

/// What `ln6d wireguard-config --json` prints: holds a private key if the command made one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct WireguardFile {
    /// Of the client.
    pub name: String,
    /// Its prefix.
    pub prefix: Prefix,
    /// For `wg-quick`.
    pub file: String,
}

/// `POST /api/v1/reload`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ReloadReply {
    /// What was changed.
    pub changes: Vec<Change>,
}

/// One setting that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Change {
    /// Which: `node.mtu`, `firewall`, `wireguard.phone`.
    pub what: String,
    /// Whether it is applied only at the next start.
    pub needs_restart: bool,
}

/// `GET /api/v1/offloads`.
#[cfg(feature = "registry")]
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct OffloadList {
    /// From the device to the wire.
    pub offloads: Vec<OffloadRow>,
}

/// What the kernel may do for the forwarder.
#[cfg(feature = "registry")]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct OffloadRow {
    /// `tun-gso`, `tun-gro`, `udp-gso` or `udp-gro`.
    pub name: String,
    /// Whether every worker uses it. Not so where it was switched off, or where the kernel cannot or has refused.
    pub used: bool,
}

/// What `init` and `join` have made.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SetupReply {
    /// `initialised`, `prepared`, `joined` or `updated`.
    pub done: String,
    /// The node's name.
    pub name: String,
    /// The node's key.
    pub key: Option<PublicKey>,
    /// The network's fingerprint.
    pub network: Option<Fingerprint>,
    /// The node's address in the network.
    pub address: Option<Ipv6Addr>,
    /// Pools of the broker.
    pub pools: Vec<Prefix>,
    /// Files that were written.
    pub files: Vec<String>,
    /// Where the root key is, for `init`.
    pub root_key: Option<String>,
    /// A one-time link that makes the first administrator of the page, for `init`.
    #[serde(default)]
    pub setup_link: Option<String>,
    /// What a second `join` left as it was.
    #[serde(default)]
    pub kept: Vec<String>,
    /// What to look after.
    pub problems: Vec<Problem>,
    /// The next command.
    pub next: String,
}

/// `ln6d admin`.
#[cfg(feature = "registry")]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PageReply {
    /// Where a browser finds the page.
    pub address: String,
    /// A one-time link that makes an administrator.
    pub setup_link: Option<String>,
    /// The command that leads to the page from another machine, while only this one can reach it.
    pub tunnel: Option<String>,
}

/// `GET /api/v1/wish`: what a node asks the broker for while it holds nothing.
#[cfg(feature = "registry")]
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct WishReport {
    /// The length asked for; the broker's usual one if absent.
    pub size: Option<u8>,
    /// The mesh's network name.
    pub ssid: Option<String>,
    /// How the administrators reach whoever looks after this node.
    pub contact: Option<String>,
    /// The prefixes that the network name stands for, one in each known pool; of the size asked for, else /56.
    pub proposals: Vec<Prefix>,
    /// Interfaces that get a /64.
    pub lans: Vec<String>,
    /// Whether it belongs to no network and waits for an invitation.
    pub waits: bool,
}

/// `ln6d key show`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct KeyReply {
    /// WireGuard's public key.
    pub key: PublicKey,
    /// The public key that signs.
    pub sign: ln6_types::VerifyKey,
    /// The router-id.
    pub router_id: RouterId,
    /// The network, if this node belongs to one.
    pub network: Option<Fingerprint>,
    /// The address in it.
    pub address: Option<Ipv6Addr>,
}
