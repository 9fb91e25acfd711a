//! The state file: what a node keeps across restarts, with a checksum, so that damage is seen and not believed.

use super::atomic;
use crate::error::{CliError, Trouble};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ln6_crypto::keys::hash;
use ln6_types::{Hex, PublicKey, UnixTime};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;

const MAGIC: &str = "ln6d state 1 ";
const MOST: u64 = 64 << 20;

/// What must survive a restart, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredState {
    /// Certificates, revocations, heads and records, in an order in which they can be offered again.
    pub items: Vec<Blob>,
    /// Peers that answered lately, with the address that worked.
    pub cache: Vec<(PublicKey, SocketAddr)>,
    /// No handshake timestamp at or above this (Unix seconds) was ever used.
    pub stamp_ceiling: u64,
    /// No Babel sequence number was used beyond this one.
    pub seqno_ceiling: u16,
    /// Counter of the last signed node record.
    pub record_counter: u64,
    /// The latest time known to have passed.
    pub time_floor: UnixTime,
    /// The broker's last word on our request: code and text.
    pub refusal: Option<(String, String)>,
}

/// Octets, written as base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Blob).map_err(serde::de::Error::custom)
    }
}

/// What was found.
#[derive(Debug)]
pub struct Loaded {
    /// The state; the empty one if there was none, or if it was damaged.
    pub state: StoredState,
    /// Set if a damaged file was kept aside: tell the operator and go on.
    pub warning: Option<CliError>,
}

/// Replaces the state file, whole and synced.
pub fn store(path: &Path, state: &StoredState) -> Result<(), CliError> {
    let body = serde_json::to_vec(state)
        .map_err(|error| CliError::new(Trouble::Internal, format!("the state cannot be written: {error}")))?;
    let mut bytes = format!("{MAGIC}{}\n", checksum(&body)).into_bytes();
    bytes.extend_from_slice(&body);
    bytes.push(b'\n');
    atomic::replace(path, &bytes)
}

/// Reads the state file. A damaged one is kept aside as `state.damaged-N` and the node begins anew, with a warning; an
/// unreadable one is an error.
pub fn load(path: &Path) -> Result<Loaded, CliError> {
    let Some(bytes) = atomic::read(path, MOST)? else {
        return Ok(Loaded { state: StoredState::default(), warning: None });
    };
    match decode(&bytes) {
        Ok(state) => Ok(Loaded { state, warning: None }),
        Err(why) => {
            let aside = atomic::keep_aside(path, "damaged")?;
            let message = format!(
                "the state file {} was damaged ({why}); it is kept as {}",
                path.display(),
                aside.display()
            );
            let warning = CliError::new(Trouble::StateDamaged, message);
            Ok(Loaded { state: StoredState::default(), warning: Some(warning) })
        }
    }
}

fn decode(bytes: &[u8]) -> Result<StoredState, &'static str> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "its first line is not text")?;
    let sum = head.strip_prefix(MAGIC).ok_or("it is of another kind or version")?;
    let body = bytes[end + 1..].strip_suffix(b"\n").ok_or("its end is missing")?;
    if sum != checksum(body) {
        return Err("its checksum does not match");
    }
    serde_json::from_slice(body).map_err(|_| "it holds something unexpected")
}

fn checksum(body: &[u8]) -> String {
    Hex(&hash(b"ln6d state v1", &[body])).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::atomic::tests::TestDir;
    use std::fs;

    fn state() -> StoredState {
        StoredState {
            items: vec![Blob(vec![1, 2, 3]), Blob(Vec::new())],
            cache: vec![(PublicKey([7; 32]), "[2001:db8::1]:6695".parse().expect("address"))],
            stamp_ceiling: 1_790_000_000,
            seqno_ceiling: 65_535,
            record_counter: 9,
            time_floor: UnixTime::from_secs(1_780_000_000),
            refusal: Some(("pool_exhausted".into(), "no free /48".into())),
        }
    }

    #[test]
    fn state_reads_back() {
        let dir = TestDir::new();
        let path = dir.path().join("state");
        assert_eq!(load(&path).expect("none").state, StoredState::default());
        store(&path, &state()).expect("written");
        let loaded = load(&path).expect("read");
        assert_eq!(loaded.state, state());
        assert!(loaded.warning.is_none());
    }

    #[test]
    fn a_damaged_state_is_kept_aside_and_the_node_goes_on() {
        let dir = TestDir::new();
        let path = dir.path().join("state");
        store(&path, &state()).expect("written");
        let mut bytes = fs::read(&path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).expect("damage");
        let loaded = load(&path).expect("goes on");
        assert_eq!(loaded.state, StoredState::default());
        let warning = loaded.warning.expect("warned");
        assert_eq!(warning.code, "state_damaged");
        assert!(warning.message.contains("state.damaged-1"), "{warning}");
        assert_eq!(fs::read(dir.path().join("state.damaged-1")).expect("kept"), bytes);
        assert!(!path.exists());
    }

    #[test]
    fn each_cut_and_each_changed_octet_is_noticed() {
        let dir = TestDir::new();
        let path = dir.path().join("state");
        store(&path, &state()).expect("written");
        let bytes = fs::read(&path).expect("read");
        for at in 0..bytes.len() {
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            assert!(decode(&changed).is_err(), "changed at {at}");
        }
    }
}
