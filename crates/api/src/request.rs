//! What can be asked, and how it looks as HTTP.

use crate::error::{ApiError, CliError, Trouble};
use ln6_types::{Prefix, PublicKey, VerifyKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const BASE: &str = "/api/v1/";

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
    Prefixes,
    /// [`crate::schema::RequestList`].
    Requests,
    /// [`crate::schema::InvitationList`].
    Invitations,
    /// [`crate::schema::CertList`].
    Certs,
    /// [`crate::schema::EventList`].
    Events(Events),
    /// [`crate::schema::DoctorReport`]: what only the daemon can know.
    Doctor,
    /// Prometheus text.
    Metrics,

    /// [`crate::schema::InviteReply`].
    Invite(Invite),
    /// [`crate::schema::ActionReply`].
    Withdraw(Withdraw),
    /// [`crate::schema::ActionReply`].
    Approve(Approve),
    /// [`crate::schema::ActionReply`].
    Deny(Deny),
    /// [`crate::schema::ActionReply`].
    Revoke(Name),
    /// [`crate::schema::ActionReply`].
    Suspend(Name),
    /// [`crate::schema::ActionReply`].
    Resume(Name),
    /// [`crate::schema::ActionReply`], with a link or done at once.
    Replace(Replace),
    /// [`crate::schema::PingReply`], or `no_answer`.
    Ping(Ask),
    /// [`crate::schema::ActionReply`].
    Leave,
    /// [`crate::schema::WireguardReply`].
    Wireguard(Leaf),
    /// [`crate::schema::ActionReply`].
    WireguardRemove(Name),
    /// [`crate::schema::ReloadReply`].
    Reload,
}

/// Which events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Events {
    /// Only those with a greater number.
    pub after: u64,
}

/// A new invitation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// The name its user gets.
    #[serde(default)]
    pub name: Option<String>,
    /// The length its user gets.
    #[serde(default)]
    pub size: Option<u8>,
    /// How long it works.
    #[serde(default)]
    pub expires_seconds: Option<u64>,
    /// Without a secret: whoever uses it waits for an administrator.
    #[serde(default)]
    pub open: bool,
}

/// Withdraws an invitation that was not used.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// Its number.
    pub invitation: String,
}

/// Lets a waiting key in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// Which: its number, its name or its key.
    pub request: String,
    /// Exactly this prefix.
    #[serde(default)]
    pub prefix: Option<Prefix>,
    /// This length instead of the one asked for.
    #[serde(default)]
    pub size: Option<u8>,
    /// This name instead of the one asked for.
    #[serde(default)]
    pub name: Option<String>,
    /// As one more key of this holder.
    #[serde(default)]
    pub holder: Option<String>,
}

/// Sends a waiting key away.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// Which: its number, its name or its key.
    pub request: String,
    /// Told to the asker.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A holder, and why.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The holder's name; `revoke` takes a key, too. Of `wireguard-remove`, the client's.
    pub name: String,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Gives a holder's prefix to another key.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// The holder's name.
    pub name: String,
    /// The new node's keys, as its `ln6d key show` prints them; a link is made if absent.
    #[serde(default)]
    pub keys: Option<(PublicKey, VerifyKey)>,
    /// How long the link works.
    #[serde(default)]
    pub expires_seconds: Option<u64>,
}

/// Whom to ping.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// A name, an address, a prefix or a key.
    pub to: String,
}

/// Registers a stock WireGuard client behind this node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

impl ApiRequest {
    /// Whether it changes something, so that only root and the daemon's own account may ask it. Pings send packets.
    pub fn changes(&self) -> bool {
        self.to_http().method == "POST"
    }

    /// As HTTP.
    pub fn to_http(&self) -> Parts {
        let get = |word: &str| Parts { method: "GET", path: format!("{BASE}{word}"), body: String::new() };
        match self {
            ApiRequest::Status => get("status"),
            ApiRequest::Peers => get("peers"),
            ApiRequest::Sessions => get("sessions"),
            ApiRequest::Routes => get("routes"),
            ApiRequest::Prefixes => get("prefixes"),
            ApiRequest::Requests => get("requests"),
            ApiRequest::Invitations => get("invitations"),
            ApiRequest::Certs => get("certs"),
            ApiRequest::Events(events) => get(&format!("events?after={}", events.after)),
            ApiRequest::Doctor => get("doctor"),
            ApiRequest::Metrics => get("metrics"),
            ApiRequest::Invite(body) => post("invite", body),
            ApiRequest::Withdraw(body) => post("withdraw", body),
            ApiRequest::Approve(body) => post("approve", body),
            ApiRequest::Deny(body) => post("deny", body),
            ApiRequest::Revoke(body) => post("revoke", body),
            ApiRequest::Suspend(body) => post("suspend", body),
            ApiRequest::Resume(body) => post("resume", body),
            ApiRequest::Replace(body) => post("replace", body),
            ApiRequest::Ping(body) => post("ping", body),
            ApiRequest::Leave => post("leave", &Empty {}),
            ApiRequest::Wireguard(body) => post("wireguard", body),
            ApiRequest::WireguardRemove(body) => post("wireguard-remove", body),
            ApiRequest::Reload => post("reload", &Empty {}),
        }
    }

    /// Reads a request from HTTP.
    pub fn from_http(method: &str, path: &str, query: Option<&str>, body: &[u8]) -> Result<Self, ApiError> {
        let Some(word) = path.strip_prefix(BASE) else { return Err(unknown(path)) };
        let request = match word {
            "status" => ApiRequest::Status,
            "peers" => ApiRequest::Peers,
            "sessions" => ApiRequest::Sessions,
            "routes" => ApiRequest::Routes,
            "prefixes" => ApiRequest::Prefixes,
            "requests" => ApiRequest::Requests,
            "invitations" => ApiRequest::Invitations,
            "certs" => ApiRequest::Certs,
            "events" => ApiRequest::Events(Events { after: after(query)? }),
            "doctor" => ApiRequest::Doctor,
            "metrics" => ApiRequest::Metrics,
            _ => return ApiRequest::from_post(method, word, path, body),
        };
        if method == "GET" { Ok(request) } else { Err(wrong_method(path, "GET")) }
    }

    fn from_post(method: &str, word: &str, path: &str, body: &[u8]) -> Result<Self, ApiError> {
        let verbs = [
            "invite",
            "withdraw",
            "approve",
            "deny",
            "revoke",
            "suspend",
            "resume",
            "replace",
            "ping",
            "leave",
            "wireguard",
            "wireguard-remove",
            "reload",
        ];
        if !verbs.contains(&word) {
            return Err(unknown(path));
        }
        if method != "POST" {
            return Err(wrong_method(path, "POST"));
        }
        Ok(match word {
            "invite" => ApiRequest::Invite(json(body)?),
            "withdraw" => ApiRequest::Withdraw(json(body)?),
            "approve" => ApiRequest::Approve(json(body)?),
            "deny" => ApiRequest::Deny(json(body)?),
            "revoke" => ApiRequest::Revoke(json(body)?),
            "suspend" => ApiRequest::Suspend(json(body)?),
            "resume" => ApiRequest::Resume(json(body)?),
            "replace" => ApiRequest::Replace(json(body)?),
            "ping" => ApiRequest::Ping(json(body)?),
            "wireguard" => ApiRequest::Wireguard(json(body)?),
            "wireguard-remove" => ApiRequest::WireguardRemove(json(body)?),
            "leave" => json::<Empty>(body).map(|_| ApiRequest::Leave)?,
            _ => json::<Empty>(body).map(|_| ApiRequest::Reload)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

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

fn after(query: Option<&str>) -> Result<u64, ApiError> {
    let Some(query) = query else { return Ok(0) };
    let number = query.strip_prefix("after=").and_then(|number| number.parse().ok());
    number.ok_or_else(|| CliError::new(Trouble::BadRequest, "the only question here is ?after=NUMBER"))
}

fn unknown(path: &str) -> ApiError {
    let path: String = path.chars().take(80).collect();
    CliError::new(Trouble::NotFound, format!("there is no {path}"))
        .hint("everything is under /api/v1/, such as /api/v1/status")
}

fn wrong_method(path: &str, method: &str) -> ApiError {
    CliError::new(Trouble::BadRequest, format!("{path} is asked with {method}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<ApiRequest> {
        let name = || Name { name: "quintana".into(), reason: Some("moved".into()) };
        let keys = Some((PublicKey([1; 32]), VerifyKey([2; 32])));
        vec![
            ApiRequest::Status,
            ApiRequest::Peers,
            ApiRequest::Sessions,
            ApiRequest::Routes,
            ApiRequest::Prefixes,
            ApiRequest::Requests,
            ApiRequest::Invitations,
            ApiRequest::Certs,
            ApiRequest::Events(Events { after: 7 }),
            ApiRequest::Doctor,
            ApiRequest::Metrics,
            ApiRequest::Invite(Invite {
                name: Some("a".into()),
                size: Some(56),
                expires_seconds: Some(60),
                open: true,
            }),
            ApiRequest::Withdraw(Withdraw { invitation: "3".into() }),
            ApiRequest::WireguardRemove(name()),
            ApiRequest::Approve(Approve { request: "3".into(), size: Some(56), ..Approve::default() }),
            ApiRequest::Deny(Deny { request: "3".into(), reason: None }),
            ApiRequest::Revoke(name()),
            ApiRequest::Suspend(name()),
            ApiRequest::Resume(name()),
            ApiRequest::Replace(Replace { name: "a".into(), keys, expires_seconds: None }),
            ApiRequest::Ping(Ask { to: "vm".into() }),
            ApiRequest::Leave,
            ApiRequest::Wireguard(Leaf {
                name: "phone".into(),
                public_key: PublicKey([3; 32]),
                size: None,
                psk: true,
            }),
            ApiRequest::Reload,
        ]
    }

    fn read(parts: &Parts) -> Result<ApiRequest, ApiError> {
        let (path, query) =
            parts.path.split_once('?').map_or((&*parts.path, None), |(path, query)| (path, Some(query)));
        ApiRequest::from_http(parts.method, path, query, parts.body.as_bytes())
    }

    #[test]
    fn every_request_reads_back_from_http() {
        for request in all() {
            assert_eq!(read(&request.to_http()), Ok(request));
        }
    }

    #[test]
    fn the_wrong_method_path_or_body_is_refused() {
        let code = |method: &str, path: &str, body: &str| {
            ApiRequest::from_http(method, path, None, body.as_bytes()).expect_err("refused").code
        };
        assert_eq!(code("POST", "/api/v1/status", ""), "bad_request");
        assert_eq!(code("GET", "/api/v1/invite", ""), "bad_request");
        assert_eq!(code("GET", "/api/v1/nothing", ""), "not_found");
        assert_eq!(code("GET", "/", ""), "not_found");
        assert_eq!(code("POST", "/api/v1/approve", "{}"), "bad_request");
        assert_eq!(code("POST", "/api/v1/invite", "{\"nmae\":\"a\"}"), "bad_request");
        assert_eq!(code("POST", "/api/v1/invite", "["), "bad_request");
        assert_eq!(
            ApiRequest::from_http("POST", "/api/v1/invite", None, b""),
            Ok(ApiRequest::Invite(Invite::default()))
        );
    }

    #[test]
    fn only_reading_is_not_changing() {
        assert_eq!(all().iter().filter(|request| !request.changes()).count(), 11);
    }
}
