//! How a key list stands, for status and pages.

use super::listing::Complaint;
use super::plan::Gone;
use ln6_types::UnixTime;

/// Complaints that are told; of more, how many there are.
pub(super) const COMPLAINTS: usize = 100;

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Not looked at yet.
    #[default]
    New,
    /// Applied as it is.
    Current,
    /// Something of it waits for an administrator.
    Held,
    /// It could not be fetched or read: the last good state stands.
    Unreachable,
    /// Its newest commit is not signed by an allowed signer: the last good state stands.
    Unsigned,
    /// It has another history than before: the last good state stands.
    Rewritten,
}

impl State {
    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            State::New => "new",
            State::Current => "current",
            State::Held => "held",
            State::Unreachable => "unreachable",
            State::Unsigned => "unsigned",
            State::Rewritten => "rewritten",
        }
    }
}

/// Why a look changed nothing, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Stable, in snake case.
    pub code: &'static str,
    /// A sentence.
    pub text: String,
    /// The next step.
    pub hint: &'static str,
}

/// A key list as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The list's name.
    pub name: String,
    /// Where it is, without password.
    pub url: String,
    /// Which branch; the repository's own if not said.
    pub branch: Option<String>,
    /// How it stands.
    pub state: State,
    /// Why it does not stand better.
    pub why: Option<Why>,
    /// The commit that is applied.
    pub commit: Option<String>,
    /// The newest commit, if another.
    pub waiting: Option<String>,
    /// When it was last looked at.
    pub checked: Option<UnixTime>,
    /// When it last answered.
    pub reached: Option<UnixTime>,
    /// When it last changed something.
    pub changed: Option<UnixTime>,
    /// Seconds between two looks.
    pub every: u64,
    /// Nodes that are in by it.
    pub inside: usize,
    /// Nodes that it has suspended.
    pub suspended: usize,
    /// What waits for an administrator.
    pub held: Vec<Gone>,
    /// What is wrong with files and nodes, at most 100.
    pub complaints: Vec<Complaint>,
    /// How many there are beyond those.
    pub more_complaints: usize,
}
