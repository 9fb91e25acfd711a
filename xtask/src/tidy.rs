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

    /// The lines outside `#[cfg(test)] mod … { … }`, with their numbers from 1.
    fn code(&self) -> Vec<(usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut in_tests = false;
        let mut code = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let next = lines.get(index + 1).copied().unwrap_or_default();
            in_tests |= *line == "#[cfg(test)]" && next.contains("mod ") && next.ends_with('{');
            if !in_tests {
                code.push((index + 1, *line));
            }
            // Formatted code closes a module, and nothing inside it, in the first column.
            in_tests &= *line != "}";
        }
        code
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
        if path.is_symlink()
            || [".git", "target", "corpus", "artifacts", "coverage", "node_modules"].contains(&name.as_str())
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
fn code_is_what_is_not_in_a_test_module() {
    let text = "a\n#[cfg(test)]\nmod b;\nc\n#[cfg(test)]\nmod tests {\n    d\n}\ne";
    let file = File { path: "a.rs".into(), text: text.into() };
    let code: Vec<&str> = file.code().into_iter().map(|(_, line)| line).collect();
    assert_eq!(code, ["a", "#[cfg(test)]", "mod b;", "c", "e"]);
    assert_eq!(file.code().last().map(|(number, _)| *number), Some(9));
}
