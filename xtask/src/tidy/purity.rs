//! What pure crates say of themselves, and what they must not say.

use super::{File, PURE, assert_none, files, is_comment};

/// A crate without code yet.
const PLACEHOLDER: &str = "//! placeholder";

/// Where `unsafe` may be, block by block: the I/O crate, and a test that counts allocations (an allocator cannot be safe).
const UNSAFE: &[&str] = &["crates/netio/", "crates/overlay-core/tests/allocations.rs"];

/// Words that mean a clock, randomness, a socket, a file or a thread.
const WORLD: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "std::time::Instant",
    "UdpSocket",
    "TcpStream",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "thread_rng",
    "OsRng",
    "SystemRandom",
    "HashMap",
    "HashSet",
    "println!",
];

/// Where a word of the world is needed, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "crates/overlay-core/src/forwarder.rs",
    "HashMap",
    "looked up by random index for every datagram, never iterated",
)];

fn of_crate<'a>(files: &'a [File], krate: &str) -> impl Iterator<Item = &'a File> {
    let source = format!("crates/{krate}/src/");
    files.iter().filter(move |file| file.path.starts_with(&source) && file.is_rust())
}

#[test]
fn pure_crates_forbid_unsafe_and_want_documentation() {
    let files = files();
    let mut complaints = Vec::new();
    for krate in PURE {
        let path = format!("crates/{krate}/src/lib.rs");
        let root = files.iter().find(|file| file.path == path).unwrap();
        if root.text.trim() == PLACEHOLDER {
            continue;
        }
        for law in ["#![forbid(unsafe_code)]", "#![warn(missing_docs)]"] {
            if !root.text.lines().any(|line| line == law) {
                complaints.push(format!("{path} lacks {law}"));
            }
        }
        if !root.text.starts_with("//! ") {
            complaints.push(format!("{path} does not begin with its law"));
        }
    }
    assert_none(&complaints);
}

#[test]
fn pure_crates_share_one_clippy_file() {
    let files = files();
    let texts: Vec<&str> = PURE
        .iter()
        .map(|krate| {
            let path = format!("crates/{krate}/clippy.toml");
            let file = files.iter().find(|file| file.path == path);
            file.unwrap_or_else(|| panic!("{path} is missing")).text.as_str()
        })
        .collect();
    for (krate, text) in PURE.iter().zip(&texts) {
        assert_eq!(*text, texts[0], "crates/{krate}/clippy.toml differs from that of {}", PURE[0]);
    }
    for word in ["std::time::Instant", "std::time::SystemTime", "std::net::UdpSocket", "HashMap"] {
        assert!(texts[0].contains(word), "clippy.toml lost {word}");
    }
}

#[test]
fn pure_crates_never_reach_for_the_world() {
    let files = files();
    let mut complaints = Vec::new();
    for file in PURE.iter().flat_map(|krate| of_crate(&files, krate)).filter(|file| !file.is_test()) {
        for (number, line) in file.code().into_iter().filter(|(_, line)| !is_comment(line)) {
            for word in WORLD.iter().filter(|word| line.contains(*word)) {
                let excepted =
                    EXCEPTIONS.iter().any(|(path, excepted, _)| *path == file.path && excepted == word);
                if !excepted {
                    complaints.push(format!("{}:{number}: a pure crate says {word}", file.path));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn unsafe_lives_in_netio_alone_and_gives_its_reason() {
    let mut complaints = Vec::new();
    for file in files().iter().filter(|file| file.is_rust() && file.path != "xtask/src/tidy/purity.rs") {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| !is_comment(line)) {
            let begins = ["unsafe {", "unsafe impl", "unsafe extern", "unsafe fn"];
            if !begins.iter().any(|word| line.contains(word)) {
                continue;
            }
            if !UNSAFE.iter().any(|krate| file.path.starts_with(krate)) {
                complaints.push(format!("{}:{}: unsafe outside {}", file.path, index + 1, UNSAFE.join(", ")));
            }
            let before = &lines[index.saturating_sub(6)..=index];
            if !before.iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety")) {
                complaints.push(format!("{}:{}: unsafe without a SAFETY: reason", file.path, index + 1));
            }
        }
    }
    assert_none(&complaints);
}
