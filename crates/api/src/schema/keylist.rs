//! How the key list in Git stands.

use super::{Problem, Schema, Time};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/keylist`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KeyListReport {
    /// Its name.
    pub name: String,
    /// Where it is, without password.
    pub url: String,
    /// The branch; the repository's own if absent.
    pub branch: Option<String>,
    /// `new` (not looked at yet), `current`, `held` (something waits for `ln6d keylist confirm`), or why the last good
    /// state stands: `unreachable`, `unsigned`, `rewritten`.
    pub state: String,
    /// What is wrong, with the next step.
    pub problem: Option<Problem>,
    /// The commit that is applied.
    pub commit: Option<String>,
    /// The newest commit, if something of it waits or is not applied.
    pub waiting: Option<String>,
    /// When it was last looked at.
    pub checked: Option<Time>,
    /// When the repository last answered.
    pub reached: Option<Time>,
    /// When it last changed something.
    pub changed: Option<Time>,
    /// Between two looks.
    pub every_seconds: u64,
    /// Nodes that are in by it.
    pub nodes: u64,
    /// Nodes that it has suspended, because their file is gone.
    pub suspended: u64,
    /// Who would lose their place, if an administrator confirms.
    pub held: Vec<HeldNode>,
    /// What is wrong with single files, at most 100.
    pub complaints: Vec<ComplaintRow>,
    /// How many there are beyond those.
    pub more_complaints: u64,
}

/// A change that waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeldNode {
    /// Whose.
    pub name: String,
    /// `removed` or `rekeyed`.
    pub what: String,
}

/// A file or node with which something is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ComplaintRow {
    /// Its name, in printable characters.
    pub about: String,
    /// What.
    pub text: String,
}

impl Schema for KeyListReport {
    const SCHEMA: &'static str = "ln6d.keylist/1";
}
