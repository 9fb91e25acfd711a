//! What can be asked of a broker, and how it looks as HTTP.

use super::query::{Asked, Query};
use super::{Action, BASE, Empty, Parts, empty, json, post, wrong_method};
use crate::error::{ApiError, CliError, Trouble};
use crate::schema::Time;
use ln6_types::Prefix;
use serde::{Deserialize, Serialize};

/// A question to the registry, or a change of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegistryRequest {
    /// [`crate::schema::RequestList`].
    Requests,
    /// [`crate::schema::DenialList`].
    Denials,
    /// [`crate::schema::InvitationList`].
    Invitations,
    /// [`crate::schema::PoolList`].
    Pools,
    /// [`crate::schema::PolicyReport`].
    Policy,
    /// [`crate::schema::HolderList`].
    Holders(Holders),
    /// [`crate::schema::HolderReport`].
    Holder(Holder),
    /// [`crate::schema::SpaceReport`].
    Space(Space),
    /// [`crate::schema::HistoryList`].
    History(History),
    /// [`crate::schema::AuditList`].
    Audit(Audit),
    /// [`crate::schema::ReservationList`].
    Reservations,
    /// [`crate::schema::ConfirmationList`].
    Confirmations,
    /// [`crate::schema::BackupList`].
    Backups,
    /// The description of all this, as OpenAPI 3.1.
    OpenApi,
    /// A change; see there for the answers.
    Act(Box<Action>),
    /// [`crate::schema::EffectsReport`]: what a change would do.
    Preview(Box<Preview>),
    /// Carries out what was kept, and answers as that does. Only on the machine itself.
    Confirm(Confirm),
    /// [`crate::schema::ActionReply`]: makes a copy of the registry in the state directory.
    Backup,
    /// [`crate::schema::ActionReply`]: the whole registry as one text file beside it.
    Export(Export),
}

/// What goes into an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// Contacts and notes stay here.
    #[serde(default)]
    pub without_contacts: bool,
}

/// Which holders.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holders {
    /// With this in their name, prefixes, keys, contact or note.
    pub text: Option<String>,
    /// In this state; those that are gone are left out if absent.
    pub state: Option<String>,
    /// With a prefix in this pool.
    pub pool: Option<Prefix>,
    /// `name` (if absent), `since`, `state`, `prefix` or `expiry`; with a `-` in front backwards.
    pub sort: Option<String>,
    /// So many are left out.
    pub offset: u64,
    /// So many at most: 1 to 500; 100 if absent.
    pub limit: Option<u32>,
}

/// Which holder.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holder {
    /// Its name.
    pub name: String,
}

/// Which block of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// The block.
    pub block: Prefix,
}

/// Whose past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct History {
    /// A prefix or an address.
    pub prefix: Prefix,
    /// At this moment; at any time if absent.
    pub at: Option<Time>,
}

/// Which lines of the journal, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// Older than this line.
    pub before: Option<u64>,
    /// So many at most: 1 to 500; 100 if absent.
    pub limit: Option<u32>,
    /// With this in their words.
    pub text: Option<String>,
    /// About this holder.
    pub holder: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// About this prefix, a part of it, or a whole around it.
    pub prefix: Option<Prefix>,
    /// By whom: `operator`, `admin:NAME`, `token:NAME`, `node:KEY`, `list:NAME`, `clock`, or the first word alone.
    pub actor: Option<String>,
}

/// A change to be looked at before it is made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// `{"WORD": {…}}`, with the word and the body of the change.
    pub action: Action,
}

/// Which kept change.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Its code, as `ln6d confirm` lists it.
    pub code: String,
}

impl RegistryRequest {
    pub(super) fn to_http(&self) -> Parts {
        let get = |word: &str| super::get(Asked::of(word));
        match self {
            RegistryRequest::Requests => get("requests"),
            RegistryRequest::Denials => get("denials"),
            RegistryRequest::Invitations => get("invitations"),
            RegistryRequest::Pools => get("pools"),
            RegistryRequest::Policy => get("policy"),
            RegistryRequest::Holders(which) => super::get(
                Asked::of("holders")
                    .with("text", which.text.as_ref())
                    .with("state", which.state.as_ref())
                    .with("pool", which.pool)
                    .with("sort", which.sort.as_ref())
                    .with("offset", Some(which.offset).filter(|offset| *offset > 0))
                    .with("limit", which.limit),
            ),
            RegistryRequest::Holder(which) => super::get(Asked::of("holder").with("name", Some(&which.name))),
            RegistryRequest::Space(which) => super::get(Asked::of("space").with("block", Some(which.block))),
            RegistryRequest::History(which) => {
                super::get(Asked::of("history").with("prefix", Some(which.prefix)).with("at", which.at))
            }
            RegistryRequest::Audit(which) => super::get(
                Asked::of("audit")
                    .with("before", which.before)
                    .with("limit", which.limit)
                    .with("text", which.text.as_ref())
                    .with("holder", which.holder.as_ref())
                    .with("kind", which.kind.as_ref())
                    .with("prefix", which.prefix)
                    .with("actor", which.actor.as_ref()),
            ),
            RegistryRequest::Reservations => get("reservations"),
            RegistryRequest::Confirmations => get("confirmations"),
            RegistryRequest::Backups => get("backups"),
            RegistryRequest::OpenApi => get("openapi.json"),
            RegistryRequest::Act(action) => {
                Parts { method: "POST", path: format!("{BASE}{}", action.word()), body: action.body() }
            }
            RegistryRequest::Preview(body) => post("preview", body),
            RegistryRequest::Confirm(body) => post("confirm", body),
            RegistryRequest::Backup => post("backup", &Empty {}),
            RegistryRequest::Export(body) => post("export", body),
        }
    }

    /// Reads `word` as HTTP has it; `None` if it is not one of ours.
    pub(super) fn from_http(
        method: &str,
        word: &str,
        query: Option<&str>,
        body: &[u8],
    ) -> Option<Result<Self, ApiError>> {
        let (asks, changes) = (question(word, query), || change(word, body));
        match method {
            "GET" => asks.or_else(|| changes().map(|_| Err(wrong_method(word, "POST")))),
            "POST" => changes().or_else(|| asks.map(|_| Err(wrong_method(word, "GET")))),
            _ => asks.or_else(changes).map(|_| Err(wrong_method(word, "GET or POST"))),
        }
    }
}

fn change(word: &str, body: &[u8]) -> Option<Result<RegistryRequest, ApiError>> {
    if let Some(read) = Action::read(word, body) {
        return Some(read.map(|action| RegistryRequest::Act(Box::new(action))));
    }
    Some(match word {
        "preview" => json(body).map(|body| RegistryRequest::Preview(Box::new(body))),
        "confirm" => json(body).map(RegistryRequest::Confirm),
        "backup" => empty(body, RegistryRequest::Backup),
        "export" => json(body).map(RegistryRequest::Export),
        _ => return None,
    })
}

fn question(word: &str, query: Option<&str>) -> Option<Result<RegistryRequest, ApiError>> {
    let plain = match word {
        "requests" => RegistryRequest::Requests,
        "denials" => RegistryRequest::Denials,
        "invitations" => RegistryRequest::Invitations,
        "pools" => RegistryRequest::Pools,
        "policy" => RegistryRequest::Policy,
        "reservations" => RegistryRequest::Reservations,
        "confirmations" => RegistryRequest::Confirmations,
        "backups" => RegistryRequest::Backups,
        "openapi.json" => RegistryRequest::OpenApi,
        "holders" | "holder" | "space" | "history" | "audit" => {
            return Some(Query::read(query).and_then(|query| asked(word, query)));
        }
        _ => return None,
    };
    Some(Query::read(query).and_then(Query::end).map(|()| plain))
}

/// A prefix, or an address as its /128.
fn place(text: &str) -> Result<Prefix, ApiError> {
    let whole = if text.contains('/') { text.to_owned() } else { format!("{text}/128") };
    whole
        .parse()
        .map_err(|error| CliError::new(Trouble::PrefixInvalid, format!("prefix in the query: {error}")))
}

fn asked(word: &str, mut query: Query) -> Result<RegistryRequest, ApiError> {
    let read = match word {
        "holders" => RegistryRequest::Holders(Holders {
            text: query.take("text")?,
            state: query.take("state")?,
            pool: query.take("pool")?,
            sort: query.take("sort")?,
            offset: query.take("offset")?.unwrap_or_default(),
            limit: super::limit(&mut query)?,
        }),
        "holder" => RegistryRequest::Holder(Holder { name: query.need("name")? }),
        "space" => RegistryRequest::Space(Space { block: query.need("block")? }),
        "history" => RegistryRequest::History(History {
            prefix: place(&query.need::<String>("prefix")?)?,
            at: query.take("at")?,
        }),
        _ => RegistryRequest::Audit(Audit {
            before: query.take("before")?,
            limit: super::limit(&mut query)?,
            text: query.take("text")?,
            holder: query.take("holder")?,
            kind: query.take("kind")?,
            prefix: query.take::<String>("prefix")?.as_deref().map(place).transpose()?,
            actor: query.take("actor")?,
        }),
    };
    query.end().map(|()| read)
}
