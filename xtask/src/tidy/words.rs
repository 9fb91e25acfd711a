//! Words that must not be left behind.

use super::{assert_none, files};

/// The word, and what to do about it. In two pieces, so that this file does not have them.
const WORDS: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "do it, or open an issue"),
    (concat!("FIX", "ME"), "mend it, or open an issue"),
    (concat!("XX", "X:"), "say what is wrong, or mend it"),
    (concat!("#[ign", "ore"), "a test runs or is no test"),
    (concat!("/ro", "ot/"), "a path of somebody's machine"),
    (concat!("/ho", "me/"), "a path of somebody's machine"),
    (concat!("/wo", "rk/"), "a path of somebody's machine"),
    (concat!("target/de", "bug/"), "ask cargo where the target folder is"),
    (concat!("<<<<", "<<< "), "finish the merge"),
    (concat!("dbg", "!("), "log it or leave it"),
];

#[test]
fn no_word_is_left_behind() {
    let mut complaints = Vec::new();
    for file in files().iter().filter(|file| file.path != "Cargo.lock" && !file.path.ends_with(".svg")) {
        for (index, line) in file.text.lines().enumerate() {
            for (word, what_to_do) in WORDS.iter().filter(|(word, _)| line.contains(word)) {
                complaints.push(format!("{}:{}: {word}: {what_to_do}", file.path, index + 1));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_locked_package_comes_from_the_public_registry() {
    let files = files();
    let lock = files.iter().find(|file| file.path == "Cargo.lock").unwrap();
    for line in lock.text.lines().filter(|line| line.starts_with("source = ")) {
        assert_eq!(line, "source = \"registry+https://github.com/rust-lang/crates.io-index\"");
    }
}
