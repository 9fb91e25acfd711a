//! Everything that changes the registry, as it is asked for.

use super::json;
use crate::error::ApiError;
use ln6_types::{Prefix, PublicKey, VerifyKey};
use serde::{Deserialize, Serialize};

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// A change of the registry. Each is a POST to its word, with its fields as the body.
        #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
        #[serde(rename_all = "kebab-case")]
        pub enum Action { $($(#[$doc])* $name($name),)* }

        impl Action {
            /// Every word.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            /// The last part of its path.
            pub const fn word(&self) -> &'static str {
                match self { $(Action::$name(_) => $word,)* }
            }

            /// Its fields, in JSON.
            pub fn body(&self) -> String {
                match self { $(Action::$name(body) => serde_json::to_string(body).unwrap_or_default(),)* }
            }

            pub(super) fn read(word: &str, body: &[u8]) -> Option<Result<Self, ApiError>> {
                match word {
                    $($word => Some(json(body).map(Action::$name)),)*
                    _ => None,
                }
            }
        }
    };
}

actions! {
    /// [`crate::schema::InviteReply`].
    Invite = "invite",
    /// [`crate::schema::ActionReply`].
    Withdraw = "withdraw",
    /// [`crate::schema::ActionReply`].
    Approve = "approve",
    /// [`crate::schema::ActionReply`].
    Deny = "deny",
    /// [`crate::schema::ActionReply`].
    Revoke = "revoke",
    /// [`crate::schema::ActionReply`].
    Suspend = "suspend",
    /// [`crate::schema::ActionReply`].
    Resume = "resume",
    /// [`crate::schema::ActionReply`].
    Undo = "undo",
    /// [`crate::schema::ActionReply`], with a link or done at once.
    Replace = "replace",
    /// [`crate::schema::ActionReply`].
    Resize = "resize",
    /// [`crate::schema::ActionReply`].
    Reserve = "reserve",
    /// [`crate::schema::ActionReply`].
    Unreserve = "unreserve",
    /// [`crate::schema::ActionReply`].
    Note = "note",
    /// [`crate::schema::ActionReply`].
    Rename = "rename",
    /// [`crate::schema::ActionReply`].
    Bandwidth = "bandwidth",
    /// [`crate::schema::ActionReply`]; from a page or a token: kept until confirmed.
    Pool = "pool",
    /// [`crate::schema::ActionReply`]; from a page or a token: kept until confirmed.
    PoolClose = "pool-close",
    /// [`crate::schema::ActionReply`]; from a page or a token: kept until confirmed.
    Policy = "policy",
    /// [`crate::schema::ActionReply`]; from a page or a token: kept until confirmed.
    Roles = "roles",
    /// [`crate::schema::ActionReply`]; from a page or a token: kept until confirmed.
    Renumber = "renumber",
}

macro_rules! reasons {
    ($($name:ident),*) => {
        impl Action {
            /// Why, if it was said.
            pub fn reason(&self) -> Option<&str> {
                match self {
                    $(Action::$name(body) => body.reason.as_deref(),)*
                    _ => None,
                }
            }

            /// The same for another reason, if it is something that has one.
            #[must_use]
            pub fn with_reason(mut self, reason: String) -> Self {
                match &mut self {
                    $(Action::$name(body) => body.reason = Some(reason),)*
                    _ => {}
                }
                self
            }
        }
    };
}

reasons!(
    Approve, Deny, Revoke, Suspend, Resume, Undo, Replace, Resize, Unreserve, Rename, Bandwidth, Pool,
    PoolClose, Policy, Roles, Renumber
);

impl Pool {
    /// The pool with this prefix, as it is.
    pub const fn unchanged(prefix: Prefix) -> Self {
        Pool {
            prefix,
            default: None,
            largest: None,
            smallest: None,
            admission: None,
            open: None,
            reason: None,
            expect: None,
        }
    }
}

impl Action {
    /// Whether it decides about exits, brokers, pools or policy: a page or a token cannot do that alone.
    pub const fn needs_machine(&self) -> bool {
        matches!(
            self,
            Action::Pool(_)
                | Action::PoolClose(_)
                | Action::Policy(_)
                | Action::Roles(_)
                | Action::Renumber(_)
        )
    }
}

/// A new invitation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// The name its user gets.
    #[serde(default)]
    pub name: Option<String>,
    /// The length its user gets.
    #[serde(default)]
    pub size: Option<u8>,
    /// How long it works; a week if absent, at most a year.
    #[serde(default)]
    pub expires_seconds: Option<u64>,
    /// Without a secret: whoever uses it waits for an administrator.
    #[serde(default)]
    pub open: bool,
}

/// Withdraws an invitation that was not used.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// Its number.
    pub invitation: String,
}

/// Lets a waiting key in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
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
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The request's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Sends a waiting key away.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// Which: its number, its name or its key.
    pub request: String,
    /// Told to the asker.
    #[serde(default)]
    pub reason: Option<String>,
    /// The request's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Stops trusting a holder's keys, for ever unless `undo` comes in time.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The holder's name, or one key.
    pub name: String,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The key may be in other hands: nothing takes this back.
    #[serde(default)]
    pub compromised: bool,
    /// The holder's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Takes a holder's rights away until `resume`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// The holder's name.
    pub name: String,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The holder's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Ends a suspension.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The holder's name.
    pub name: String,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The holder's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Takes a revocation back while its grace lasts, or a denial.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// The holder, or the revoked key; or, with `request`, nothing.
    #[serde(default)]
    pub name: String,
    /// Instead: the number of a request that was denied; it waits again.
    #[serde(default)]
    pub request: Option<String>,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The holder's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Gives a holder's prefix to another key.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// The holder's name.
    pub name: String,
    /// The new node's keys, as its `ln6d key show` prints them; a link is made if absent.
    #[serde(default)]
    pub keys: Option<(PublicKey, VerifyKey)>,
    /// How long the link works; a week if absent.
    #[serde(default)]
    pub expires_seconds: Option<u64>,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The holder's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Another length for a prefix: in place, or by a second prefix beside the old one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Which; needed if the holder has several.
    #[serde(default)]
    pub prefix: Option<Prefix>,
    /// Whose; needed if `prefix` is absent.
    #[serde(default)]
    pub holder: Option<String>,
    /// The new length.
    pub size: u8,
    /// Whether a move to another prefix will do; both are valid for a while.
    #[serde(default)]
    pub moving: bool,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The holder's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Keeps a prefix from being given, except to one holder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// What; within a pool.
    pub prefix: Prefix,
    /// Whom for, by name; nobody if absent.
    #[serde(default)]
    pub holder: Option<String>,
    /// Why.
    #[serde(default)]
    pub note: Option<String>,
}

/// Lifts a reservation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Unreserve {
    /// Exactly as reserved.
    pub prefix: Prefix,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The reservation's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Notes something about a holder. Neither is ever in the journal; both can be erased.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// The holder's name.
    pub name: String,
    /// For the administrators; empty erases it, absent leaves it.
    #[serde(default)]
    pub note: Option<String>,
    /// How to reach its people; empty erases it, absent leaves it.
    #[serde(default)]
    pub contact: Option<String>,
    /// The holder's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Another name for a holder.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// As it is called now.
    pub name: String,
    /// As it will be called.
    pub to: String,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The holder's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// What each key of a holder may send and receive.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// The holder's name.
    pub name: String,
    /// Octets per second; no limit if absent.
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The holder's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Adds a pool, or changes the policy of the one with this prefix; what is absent stays as it is, or as usual.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The whole.
    pub prefix: Prefix,
    /// The length given when none is asked for.
    #[serde(default)]
    pub default: Option<u8>,
    /// The shortest length given without an administrator naming it.
    #[serde(default)]
    pub largest: Option<u8>,
    /// The longest length of a subnet given without an administrator naming it.
    #[serde(default)]
    pub smallest: Option<u8>,
    /// `invitation`, `queue` or `key_list`.
    #[serde(default)]
    pub admission: Option<String>,
    /// Whether new delegations come from it.
    #[serde(default)]
    pub open: Option<bool>,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Gives nothing new from a pool; what was given stays.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PoolClose {
    /// Which.
    pub prefix: Prefix,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Spans and caps; what is absent stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Of a certificate.
    #[serde(default)]
    pub validity_seconds: Option<u64>,
    /// How long a certificate is honoured after that.
    #[serde(default)]
    pub grace_seconds: Option<u64>,
    /// The shortest quarantine of a prefix that was given back.
    #[serde(default)]
    pub quarantine_seconds: Option<u64>,
    /// How long a revocation can be undone.
    #[serde(default)]
    pub revocation_grace_seconds: Option<u64>,
    /// How long a request waits.
    #[serde(default)]
    pub request_seconds: Option<u64>,
    /// How long a denial answers for the administrator.
    #[serde(default)]
    pub denial_seconds: Option<u64>,
    /// How long the old prefix lives on after a move.
    #[serde(default)]
    pub move_seconds: Option<u64>,
    /// Requests waiting at once.
    #[serde(default)]
    pub queue: Option<u32>,
    /// Requests waiting at once for one name.
    #[serde(default)]
    pub queue_per_name: Option<u32>,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// What a holder's keys may be besides nodes; what is absent stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// The holder's name.
    pub name: String,
    /// Whether they lead to the Internet.
    #[serde(default)]
    pub exit: Option<bool>,
    /// Whether they delegate from the pools.
    #[serde(default)]
    pub broker: Option<bool>,
    /// Whether they are offered to others as relays.
    #[serde(default)]
    pub transit: Option<bool>,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
    /// The holder's revision that was looked at; another one is refused with `state_changed`.
    #[serde(default)]
    pub expect: Option<u64>,
}

/// Moves everybody from one pool to another; old prefixes live on beside the new ones for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Renumber {
    /// The pool to be emptied.
    pub from: Prefix,
    /// The pool to move to.
    pub to: Prefix,
    /// Kept in the journal.
    #[serde(default)]
    pub reason: Option<String>,
}
