//! Replays what is committed, so that every finding stays found.
#![allow(clippy::unwrap_used)]

use ln6_fuzz::{TARGETS, seeds};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The most that a corpus may hold: it is replayed by every `cargo test`.
const MOST_FILES: usize = 150;
const MOST_OCTETS: u64 = 1 << 20;

fn fuzz() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Replays one corpus, and says which file it was when something is found.
fn replay(target: &str) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let files = files(&fuzz().join("corpus").join(target));
    assert!(!files.is_empty(), "{target} has no corpus");
    for path in files {
        let data = std::fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| run(&data)).is_err() {
            panic!("{}", path.display());
        }
    }
}

macro_rules! replays {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target));
        })*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($target)),*];
            assert_eq!(TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), replayed);
        }
    };
}

replays! {
    api_request
    babel_packet
    babel_router
    certificate
    config
    control_event
    handshake_message
    key_list
    librenet6_hosts
    link
    membership
    ndp
    netlink
    peer_message
    registry_event
    relay_frame
    relayed_datagram
    root_papers
    transport_datagram
    tun_packet
    vnet_header
}

#[test]
fn every_target_has_a_wrapper_and_a_corpus_and_there_are_no_others() {
    let mut names: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    let stems = |folder: &str| -> Vec<String> {
        let files = files(&fuzz().join(folder));
        files.iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
}

#[test]
fn the_corpora_are_small() {
    let mut octets = 0;
    for folder in files(&fuzz().join("corpus")) {
        let files = files(&folder);
        assert!(files.len() <= MOST_FILES, "{} has {} files", folder.display(), files.len());
        octets += files.iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    }
    assert!(octets <= MOST_OCTETS, "{octets} octets");
}

/// `LN6_BLESS=1 cargo test -p ln6-fuzz` writes them.
#[test]
fn every_seed_is_in_its_corpus() {
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    for (target, bytes) in seeds() {
        let number = numbers.entry(target).or_default();
        let path = fuzz().join("corpus").join(target).join(format!("seed-{number:02}"));
        *number += 1;
        if std::env::var_os("LN6_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(std::fs::read(&path).ok(), Some(bytes), "{}", path.display());
    }
    assert_eq!(numbers.len(), TARGETS.len(), "a target has no seed");
}
