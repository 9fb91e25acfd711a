//! What the desk says.

use crate::error::StoreError;
use crate::issue::IssueError;
use ln6_registry::{Event, InvitationId, Refusal, Secret, What};
use ln6_types::{Prefix, UnixTime};
use serde::Serialize;

/// A refusal in words, for the wire and for pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// A stable snake_case word.
    pub code: String,
    /// A sentence.
    pub text: String,
    /// The next step; may be empty.
    pub hint: String,
}

impl Refused {
    pub(crate) fn new(code: &str, text: impl ToString, hint: &str) -> Self {
        Refused { code: code.to_owned(), text: text.to_string(), hint: hint.to_owned() }
    }
}

impl Refused {
    /// What a stranger is told of the broker's own troubles: no paths, no details.
    pub(crate) fn unavailable() -> Self {
        Refused::new(
            "unavailable",
            "the broker cannot answer just now",
            "try again later; your prefix is safe",
        )
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        Refused::new(refusal.code(), refusal, refusal.hint())
    }
}

impl From<&StoreError> for Refused {
    fn from(error: &StoreError) -> Self {
        Refused::new(error.code(), error, "nothing was changed; try again when that is mended")
    }
}

impl From<&IssueError> for Refused {
    fn from(error: &IssueError) -> Self {
        Refused::new("cannot_sign", error, "sign a new broker certificate with the root key")
    }
}

/// What a joining, renewing or re-asking key is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinAnswer {
    /// It holds these.
    Granted {
        /// Its own certificate first, then the broker's, and on towards the root (which is not among them).
        certificates: Vec<Vec<u8>>,
        /// The newest revocations, by number.
        revocations: Vec<Vec<u8>>,
        /// The dated head.
        head: Vec<u8>,
        /// What it may originate.
        prefixes: Vec<Prefix>,
        /// When it should have renewed.
        not_after: UnixTime,
        /// What its network name points at, if that is not what it was given.
        proposal: Option<Prefix>,
    },
    /// An administrator must look at it; ask again later.
    Waiting {
        /// How many wait before it.
        place: u32,
    },
    /// No.
    Refused(Refused),
}

/// What a command has brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The events, in order; none if it was so already.
    pub events: Vec<Event>,
    /// The secret of a new invitation: shown once, stored nowhere.
    pub invitation: Option<(InvitationId, Secret)>,
}

impl Done {
    pub(crate) fn new(events: Vec<Event>, entropy: &[u8; 32]) -> Self {
        let invited = |event: &Event| match &event.what {
            What::Invited(invitation) => Some((invitation.id, Secret::from_entropy(entropy))),
            _ => None,
        };
        let invitation = events.iter().find_map(invited);
        Done { events, invitation }
    }
}

/// The answer to a command.
pub type CommandAnswer = Result<Done, Refused>;
