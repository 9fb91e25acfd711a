//! Rules that no compiler knows, kept by tests. Each says what to do when it is broken.

mod decoders;
mod dependencies;
mod licences;
mod papers;
mod purity;
mod sizes;
mod words;

use crate::workspace::root;
use std::path::{Path, PathBuf};

/// The crates that never see a clock, randomness, a socket, a file or a thread.
const PURE: [&str; 5] = ["types", "crypto", "routing", "overlay-core", "registry"];

/// A file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file is a test.
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name == "tests.rs" || self.path.split('/').any(|part| part == "tests" || part == "tidy")
    }

    /// The lines before the tests at the end of the file, with their numbers from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines
            .windows(2)
            .position(|pair| {
                pair[0].trim() == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].ends_with('{')
            })
            .unwrap_or(lines.len());
        lines.into_iter().take(tests).enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Whether a line is only a comment.
fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// All text files of ours, in order of their paths.
fn files() -> Vec<File> {
    let mut found = Vec::new();
    collect(root(), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.iter().any(|file| file.path == "xtask/src/tidy.rs"), "the walk misses files");
    found
}

fn collect(folder: &Path, found: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_symlink() || [".git", "target", "corpus", "artifacts", "coverage"].contains(&name.as_str())
        {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            found.push(File { path, text });
        }
    }
}

/// Fails with all complaints at once.
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn code_ends_where_the_tests_begin() {
    let file =
        File { path: "a.rs".into(), text: "a\n#[cfg(test)]\nmod b;\nc\n#[cfg(test)]\nmod tests {\n}".into() };
    assert_eq!(file.code().last(), Some((4, "c")));
}
