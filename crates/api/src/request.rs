//! What can be asked, and how it looks as HTTP.

#[cfg(feature = "registry")]
mod action;
mod actor;
#[cfg(feature = "registry")]
mod gateway;
#[cfg(feature = "registry")]
mod keylist;
mod query;
#[cfg(feature = "registry")]
mod registry;

#[cfg(feature = "registry")]
pub use action::*;
pub use actor::{ACTOR_HEADER, ActingFor};
#[cfg(feature = "registry")]
pub use gateway::*;
#[cfg(feature = "registry")]
pub use keylist::*;
#[cfg(feature = "registry")]
pub use registry::*;

use crate::error::{ApiError, CliError, Trouble};
use ln6_types::{Prefix, PublicKey};
use query::{Asked, Query};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const BASE: &str = "/api/v1/";

/// Rows of one answer at most, where it is asked for in pages.
pub const ROWS: u32 = 500;
/// How long a question for events may wait, seconds.
pub const WAIT: u32 = 30;

/// A request. The first group reads, the second changes something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ApiRequest {
    /// [`crate::schema::StatusReport`].
    Status,
    /// [`crate::schema::PeerList`].
    Peers,
    /// [`crate::schema::SessionList`].
    Sessions,
    /// [`crate::schema::RouteList`].
    Routes,
    /// [`crate::schema::PrefixList`].
    Prefixes(Prefixes),
    /// [`crate::schema::CertList`].
    Certs,
    /// [`crate::schema::EventList`].
    Events(Events),
    /// [`crate::schema::DoctorReport`]: what only the daemon can know.
    Doctor,
    /// Prometheus text.
    Metrics,
    /// [`crate::schema::TrafficReport`].
    #[cfg(feature = "registry")]
    Traffic(Traffic),
    /// [`crate::schema::GraphReport`].
    #[cfg(feature = "registry")]
    Graph,
    /// [`crate::schema::WishReport`].
    #[cfg(feature = "registry")]
    Wish,

    /// What only a broker answers: it reads or changes.
    #[cfg(feature = "registry")]
    Registry(RegistryRequest),
    /// [`crate::schema::KeyListReport`].
    #[cfg(feature = "registry")]
    KeyList(KeyListRequest),

    /// [`crate::schema::PingReply`], or `no_answer`.
    Ping(Ask),
    /// [`crate::schema::ActionReply`].
    Leave,
    /// [`crate::schema::SetupReply`].
    #[cfg(feature = "registry")]
    Join(Box<Joining>),
    /// [`crate::schema::ActionReply`].
    #[cfg(feature = "registry")]
    Size(Sizing),
    /// [`crate::schema::WireguardReply`].
    Wireguard(Leaf),
    /// [`crate::schema::ActionReply`].
    WireguardRemove(Name),
    /// [`crate::schema::ReloadReply`].
    Reload,
    /// [`crate::schema::OffloadList`].
    #[cfg(feature = "registry")]
    Offloads,
    /// [`crate::schema::ActionReply`].
    #[cfg(feature = "registry")]
    Offload(Switch),
}

/// Uses or leaves an offload of the kernel from now on, until the daemon ends.
#[cfg(feature = "registry")]
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// `tun-gso`, `tun-gro`, `udp-gso` or `udp-gro`.
    pub name: String,
    /// Whether it shall be used.
    pub on: bool,
}

/// Which events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Events {
    /// Only those with a greater number.
    pub after: u64,
    /// If there is none yet, wait for one, so many seconds: 0 to 30.
    pub wait: u32,
}

/// Which prefixes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prefixes {
    /// With this in the prefix or the holder's name.
    pub text: Option<String>,
    /// In this state.
    pub state: Option<String>,
    /// Within this pool.
    pub pool: Option<Prefix>,
    /// `prefix` (if absent), `holder`, `since`, `size` or `state`; with a `-` in front backwards. Only on a broker.
    pub sort: Option<String>,
    /// So many are left out.
    pub offset: u64,
    /// So many at most: 1 to 500; all if absent (on a broker 500).
    pub limit: Option<u32>,
}

/// Whose traffic.
#[cfg(feature = "registry")]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// The series of this peer, by name or key; everybody's together if absent.
    pub peer: Option<String>,
}

/// Whom a change is about, and why.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The client's name.
    pub name: String,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Whom to ping.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// A name, an address, a prefix or a key.
    pub to: String,
}

/// Registers a stock WireGuard client behind this node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// A name for it.
    pub name: String,
    /// Its public key.
    pub public_key: PublicKey,
    /// Its length; 128 if absent.
    #[serde(default)]
    pub size: Option<u8>,
    /// Whether it gets a pre-shared key.
    #[serde(default)]
    pub psk: bool,
}

/// A request as HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parts {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// With the query.
    pub path: String,
    /// JSON, or nothing.
    pub body: String,
}

/// Words that small builds, without broker and page, have no answer to: they say so instead of not knowing them.
const BROKERS: &[&str] = &[
    "requests",
    "denials",
    "invitations",
    "pools",
    "policy",
    "holders",
    "holder",
    "space",
    "history",
    "audit",
    "reservations",
    "confirmations",
    "backups",
    "openapi.json",
    "invite",
    "withdraw",
    "approve",
    "deny",
    "revoke",
    "suspend",
    "resume",
    "undo",
    "replace",
    "resize",
    "reserve",
    "unreserve",
    "note",
    "rename",
    "bandwidth",
    "pool",
    "pool-close",
    "roles",
    "renumber",
    "preview",
    "confirm",
    "backup",
    "export",
    "traffic",
    "graph",
    "keylist",
    "keylist-pull",
    "keylist-confirm",
    "wish",
    "join",
    "size",
    "offloads",
    "offload",
];

impl ApiRequest {
    /// Whether it changes something, so that only root and the daemon's own account may ask it. Pings send packets.
    pub fn changes(&self) -> bool {
        self.to_http().method == "POST"
    }

    /// Whether only somebody at the machine may ask it, never a page or a token.
    pub fn is_for_the_machine(&self) -> bool {
        #[cfg(feature = "registry")]
        return matches!(self, ApiRequest::Registry(RegistryRequest::Confirm(_)));
        #[cfg(not(feature = "registry"))]
        false
    }

    /// As HTTP.
    pub fn to_http(&self) -> Parts {
        let plain = |word: &str| get(Asked::of(word));
        match self {
            ApiRequest::Status => plain("status"),
            ApiRequest::Peers => plain("peers"),
            ApiRequest::Sessions => plain("sessions"),
            ApiRequest::Routes => plain("routes"),
            ApiRequest::Prefixes(which) => get(Asked::of("prefixes")
                .with("text", which.text.as_ref())
                .with("state", which.state.as_ref())
                .with("pool", which.pool)
                .with("sort", which.sort.as_ref())
                .with("offset", Some(which.offset).filter(|offset| *offset > 0))
                .with("limit", which.limit)),
            ApiRequest::Certs => plain("certs"),
            ApiRequest::Events(events) => get(Asked::of("events")
                .with("after", Some(events.after))
                .with("wait", Some(events.wait).filter(|wait| *wait > 0))),
            ApiRequest::Doctor => plain("doctor"),
            ApiRequest::Metrics => plain("metrics"),
            #[cfg(feature = "registry")]
            ApiRequest::Traffic(which) => get(Asked::of("traffic").with("peer", which.peer.as_ref())),
            #[cfg(feature = "registry")]
            ApiRequest::Graph => plain("graph"),
            #[cfg(feature = "registry")]
            ApiRequest::Wish => plain("wish"),
            #[cfg(feature = "registry")]
            ApiRequest::Join(body) => post("join", body),
            #[cfg(feature = "registry")]
            ApiRequest::Size(body) => post("size", body),
            #[cfg(feature = "registry")]
            ApiRequest::Registry(request) => request.to_http(),
            #[cfg(feature = "registry")]
            ApiRequest::KeyList(request) => request.to_http(),
            ApiRequest::Ping(body) => post("ping", body),
            ApiRequest::Leave => post("leave", &Empty {}),
            ApiRequest::Wireguard(body) => post("wireguard", body),
            ApiRequest::WireguardRemove(body) => post("wireguard-remove", body),
            ApiRequest::Reload => post("reload", &Empty {}),
            #[cfg(feature = "registry")]
            ApiRequest::Offloads => plain("offloads"),
            #[cfg(feature = "registry")]
            ApiRequest::Offload(body) => post("offload", body),
        }
    }

    /// Reads a request from HTTP.
    pub fn from_http(method: &str, path: &str, query: Option<&str>, body: &[u8]) -> Result<Self, ApiError> {
        let Some(word) = path.strip_prefix(BASE) else { return Err(unknown(path)) };
        if let Some(read) = question(word, query) {
            return if method == "GET" { read } else { Err(wrong_method(word, "GET")) };
        }
        #[cfg(feature = "registry")]
        if let Some(read) = RegistryRequest::from_http(method, word, query, body) {
            return read.map(ApiRequest::Registry);
        }
        #[cfg(feature = "registry")]
        if let Some(read) = KeyListRequest::from_http(method, word, query, body) {
            return read.map(ApiRequest::KeyList);
        }
        let Some(read) = change(word, body) else {
            return Err(if BROKERS.contains(&word) {
                CliError::new(Trouble::NotABroker, format!("this build has no answer to {word}"))
            } else {
                unknown(path)
            });
        };
        if method == "POST" { read } else { Err(wrong_method(word, "POST")) }
    }
}

fn question(word: &str, query: Option<&str>) -> Option<Result<ApiRequest, ApiError>> {
    let plain = match word {
        "status" => ApiRequest::Status,
        "peers" => ApiRequest::Peers,
        "sessions" => ApiRequest::Sessions,
        "routes" => ApiRequest::Routes,
        "certs" => ApiRequest::Certs,
        "doctor" => ApiRequest::Doctor,
        "metrics" => ApiRequest::Metrics,
        #[cfg(feature = "registry")]
        "offloads" => ApiRequest::Offloads,
        #[cfg(feature = "registry")]
        "graph" => ApiRequest::Graph,
        #[cfg(feature = "registry")]
        "wish" => ApiRequest::Wish,
        "prefixes" | "events" => return Some(Query::read(query).and_then(|query| asked(word, query))),
        #[cfg(feature = "registry")]
        "traffic" => return Some(Query::read(query).and_then(|query| asked(word, query))),
        _ => return None,
    };
    Some(Query::read(query).and_then(Query::end).map(|()| plain))
}

fn asked(word: &str, mut query: Query) -> Result<ApiRequest, ApiError> {
    let read = match word {
        "prefixes" => ApiRequest::Prefixes(Prefixes {
            text: query.take("text")?,
            state: query.take("state")?,
            pool: query.take("pool")?,
            sort: query.take("sort")?,
            offset: query.take("offset")?.unwrap_or_default(),
            limit: limit(&mut query)?,
        }),
        #[cfg(feature = "registry")]
        "traffic" => ApiRequest::Traffic(Traffic { peer: query.take("peer")? }),
        _ => ApiRequest::Events(Events {
            after: query.take("after")?.unwrap_or_default(),
            wait: query.take::<u32>("wait")?.unwrap_or_default().min(WAIT),
        }),
    };
    query.end().map(|()| read)
}

fn change(word: &str, body: &[u8]) -> Option<Result<ApiRequest, ApiError>> {
    Some(match word {
        "ping" => json(body).map(ApiRequest::Ping),
        "wireguard" => json(body).map(ApiRequest::Wireguard),
        "wireguard-remove" => json(body).map(ApiRequest::WireguardRemove),
        "leave" => empty(body, ApiRequest::Leave),
        #[cfg(feature = "registry")]
        "join" => json(body).map(|joining| ApiRequest::Join(Box::new(joining))),
        #[cfg(feature = "registry")]
        "size" => json(body).map(ApiRequest::Size),
        "reload" => empty(body, ApiRequest::Reload),
        #[cfg(feature = "registry")]
        "offload" => json(body).map(ApiRequest::Offload),
        _ => return None,
    })
}

/// How many rows are asked for.
fn limit(query: &mut Query) -> Result<Option<u32>, ApiError> {
    match query.take::<u32>("limit")? {
        Some(limit) if !(1..=ROWS).contains(&limit) => {
            Err(CliError::new(Trouble::BadRequest, format!("limit in the query is 1 to {ROWS}")))
        }
        limit => Ok(limit),
    }
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Empty {}

fn get(asked: Asked) -> Parts {
    Parts { method: "GET", path: format!("{BASE}{}", asked.text()), body: String::new() }
}

fn post(word: &str, body: &impl Serialize) -> Parts {
    let body = serde_json::to_string(body).unwrap_or_default();
    Parts { method: "POST", path: format!("{BASE}{word}"), body }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        CliError::new(Trouble::BadRequest, format!("the request is not as expected: {error}"))
    })
}

fn empty<T>(body: &[u8], is: T) -> Result<T, ApiError> {
    json::<Empty>(body).map(|_| is)
}

fn unknown(path: &str) -> ApiError {
    let path: String = path.chars().take(80).collect();
    CliError::new(Trouble::NotFound, format!("there is no {path}"))
        .hint("everything is under /api/v1/, such as /api/v1/status")
}

fn wrong_method(word: &str, method: &str) -> ApiError {
    CliError::new(Trouble::BadRequest, format!("{BASE}{word} is asked with {method}"))
}

#[cfg(test)]
mod tests;
