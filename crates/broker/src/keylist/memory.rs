//! What the list has done so far; on disk before and after each change.

use super::entry::Entry;
use ln6_types::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Octets of the largest memory read.
const MOST: u64 = 64 << 20;

/// How far a node of the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The registry was asked to admit it; the answer may have been lost.
    Asked,
    /// It is in by this list.
    In,
    /// This list has suspended it, because its file is gone.
    Out,
}

/// A node of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What the registry was last told of it.
    pub entry: Entry,
    /// How far it is.
    pub stage: Stage,
}

/// Everything that is remembered between two looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Where the list is; another place is another history.
    #[serde(default)]
    pub url: String,
    /// The branch.
    #[serde(default)]
    pub branch: Option<String>,
    /// The last commit that was applied.
    #[serde(default)]
    pub commit: Option<String>,
    /// When that was.
    #[serde(default)]
    pub changed: Option<UnixTime>,
    /// Nodes by name.
    #[serde(default)]
    pub nodes: BTreeMap<String, Kept>,
    /// When nodes were taken out without a confirmation: many in a day are many at once.
    #[serde(default)]
    pub removals: Vec<UnixTime>,
}

impl Memory {
    /// Reads the file; an empty memory if there is none.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Memory::default()),
            Err(error) => return Err(error),
        };
        let mut octets = Vec::new();
        file.take(MOST).read_to_end(&mut octets)?;
        serde_json::from_slice(&octets).map_err(io::Error::other)
    }

    /// Writes it whole, or leaves the old one; when it returns, it is on disk.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let fresh = path.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}
