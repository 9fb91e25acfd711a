//! Why not: every refusal has a name, a sentence, a code for programs and a next step for people.

use ln6_types::{Prefix, UnixTime};
use thiserror::Error;

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // the fields are named in the sentences
pub enum Refusal {
    #[error("this invitation is not known here")]
    InvitationUnknown,
    #[error("this invitation has been used by another key")]
    InvitationUsed,
    #[error("this invitation has expired")]
    InvitationExpired,
    #[error("joining here needs an invitation")]
    InvitationNeeded,
    #[error("there is no pool yet")]
    NoPool,
    #[error("no free /{size} is left")]
    PoolExhausted { size: u8 },
    #[error("/{size} is not given here; sizes are /{largest} to /{smallest}")]
    SizeOutsidePolicy { size: u8, largest: u8, smallest: u8 },
    #[error("the name '{0}' is taken")]
    NameTaken(String),
    #[error("'{0}' is not a name")]
    NameInvalid(String),
    #[error("{0} is too long or holds control characters")]
    TextInvalid(&'static str),
    #[error("too many requests are waiting")]
    QueueFull,
    #[error("the request was denied: {reason}")]
    Denied { reason: String, until: UnixTime },
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("{0}")]
    StateChanged(&'static str),
    #[error("{prefix} overlaps {with}")]
    Overlap { prefix: Prefix, with: Prefix },
    #[error("{0} lies in no pool of this registry")]
    OutsidePool(Prefix),
    #[error("this key has been revoked")]
    KeyRevoked,
    #[error("this key belongs to another node")]
    KeyTaken,
    #[error("this key holds nothing here")]
    KeyUnknown,
    #[error("this holder is suspended")]
    Suspended,
    #[error("asked again too soon")]
    TooSoon,
    #[error("{prefix} cannot become a /{size} in place")]
    CannotResizeInPlace { prefix: Prefix, size: u8 },
    #[error("the pool is not sound: {0}")]
    PoolInvalid(&'static str),
    #[error("a cap is at least 1000 octets a second")]
    RateInvalid,
    #[error("this key is in no key list of this broker")]
    NotListed,
    #[error("this node is in already, but not by this list; the list leaves it alone")]
    NotByList,
    #[error("the policy is not sound")]
    PolicyInvalid,
    #[error("too many: {0}")]
    TooMany(&'static str),
    #[error("this is for administrators")]
    NotAllowed,
    #[error("this is done on the machine itself")]
    NeedsOperator,
}

impl Refusal {
    /// A stable snake_case word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::InvitationUnknown => "invitation_unknown",
            Refusal::InvitationUsed => "invitation_used",
            Refusal::InvitationExpired => "invitation_expired",
            Refusal::InvitationNeeded => "invitation_needed",
            Refusal::NoPool => "no_pool",
            Refusal::PoolExhausted { .. } => "pool_exhausted",
            Refusal::SizeOutsidePolicy { .. } => "size_outside_policy",
            Refusal::NameTaken(_) => "name_taken",
            Refusal::NameInvalid(_) => "name_invalid",
            Refusal::TextInvalid(_) => "text_invalid",
            Refusal::QueueFull => "queue_full",
            Refusal::Denied { .. } => "denied",
            Refusal::NotFound(_) => "not_found",
            Refusal::StateChanged(_) => "state_changed",
            Refusal::Overlap { .. } => "overlap",
            Refusal::OutsidePool(_) => "outside_pool",
            Refusal::KeyRevoked => "key_revoked",
            Refusal::KeyTaken => "key_taken",
            Refusal::KeyUnknown => "key_unknown",
            Refusal::Suspended => "suspended",
            Refusal::TooSoon => "too_soon",
            Refusal::CannotResizeInPlace { .. } => "cannot_resize_in_place",
            Refusal::PoolInvalid(_) => "pool_invalid",
            Refusal::RateInvalid => "rate_invalid",
            Refusal::NotListed => "not_listed",
            Refusal::NotByList => "not_by_list",
            Refusal::PolicyInvalid => "policy_invalid",
            Refusal::TooMany(_) => "too_many",
            Refusal::NotAllowed => "not_allowed",
            Refusal::NeedsOperator => "needs_operator",
        }
    }

    /// What to do next, in a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Refusal::InvitationUnknown => {
                "check that the whole link was copied, and that it is of this network"
            }
            Refusal::InvitationUsed => "an invitation works once; ask for a new one",
            Refusal::InvitationExpired | Refusal::InvitationNeeded => {
                "ask an administrator for an invitation link"
            }
            Refusal::NoPool => "the operator adds one on the broker's machine",
            Refusal::PoolExhausted { .. } => "ask for a smaller prefix (a larger number), or add a pool",
            Refusal::SizeOutsidePolicy { .. } => {
                "ask for a size within these, or ask an administrator to choose one"
            }
            Refusal::NameTaken(_) => {
                "choose another name; whoever comes back with the key it had needs none ('ln6d invite' without --name); a second gateway of the same holder is let in with 'ln6d approve REQUEST --holder NAME'"
            }
            Refusal::NameInvalid(_) => {
                "1 to 63 of a-z, 0-9, '-' and '.', beginning and ending with a letter or digit"
            }
            Refusal::TextInvalid(_) => "shorten it and use one line of text",
            Refusal::QueueFull => "try again later, or ask an administrator for an invitation link",
            Refusal::Denied { .. } => "talk to the administrators; an invitation link works in any case",
            Refusal::NotFound("holder" | "key") => "'ln6d prefixes' lists who there is",
            Refusal::NotFound("request") => "'ln6d requests' lists those that wait",
            Refusal::NotFound("invitation") => "'ln6d invitations' lists them",
            Refusal::NotFound(_) => "list what there is; it may have another name",
            Refusal::StateChanged(_) => "'ln6d prefixes' and 'ln6d requests' show how things stand",
            Refusal::Overlap { .. } => "choose another prefix, or leave the choice to the registry",
            Refusal::OutsidePool(_) => "choose a prefix within a pool",
            Refusal::KeyRevoked => {
                "talk to the administrators: for a while they can undo it; later a new identity takes its place by 'replace'"
            }
            Refusal::KeyTaken => "every node needs a key of its own",
            Refusal::KeyUnknown => "join first",
            Refusal::Suspended => "talk to the administrators; 'resume' ends it",
            Refusal::TooSoon => "wait a minute",
            Refusal::CannotResizeInPlace { .. } => {
                "allow a move: the old prefix lives on beside the new one for a while"
            }
            Refusal::PoolInvalid(_) => "correct the pool's description",
            Refusal::RateInvalid => "choose a larger one, or none; 'suspend' stops all traffic",
            Refusal::NotListed => "ask for your key to be added to the list, or for an invitation link",
            Refusal::NotByList => "remove its file: who let it in answers for it",
            Refusal::PolicyInvalid => "spans are an hour to a hundred years, the queue at most 65536",
            Refusal::TooMany(_) => "remove some first",
            Refusal::NotAllowed => "log in as an administrator",
            Refusal::NeedsOperator => "use the command line on the broker's machine",
        }
    }
}
