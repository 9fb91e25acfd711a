//! From files to entries: what can be read, what is there but cannot be read, and what to tell of it.

use super::entry::{Entry, EntryError, LARGEST};
use super::shown::shown;
use super::tree::TreeFile;
use ln6_registry::valid_name;
use ln6_types::PublicKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Files of a list at most.
pub(crate) const FILES: usize = 10_000;

/// Something about a file, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// The file or node, in printable characters.
    pub about: String,
    /// What is the matter.
    pub text: String,
}

impl Complaint {
    pub(crate) fn new(about: &str, text: impl ToString) -> Self {
        Complaint { about: about.to_owned(), text: text.to_string() }
    }
}

/// A commit, as far as it is a key list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Nodes by name.
    pub entries: BTreeMap<String, Entry>,
    /// Names whose file is there but says nothing that can be used: those nodes stay as they are.
    pub broken: BTreeSet<String>,
    /// What to tell.
    pub complaints: Vec<Complaint>,
}

/// Whether a file is one of a node: `README.md`, `LICENSE`, hidden files and folders are not.
fn is_entry(file: &TreeFile) -> bool {
    let name = file.name.to_ascii_uppercase();
    let paper = ["README", "LICENSE", "LICENCE", "COPYING", "CONTRIBUTING", "CODEOWNERS"];
    let paper =
        paper.iter().any(|word| name == word.as_bytes() || name.starts_with(format!("{word}.").as_bytes()));
    !paper && !file.name.starts_with(b".")
}

/// A node's name: the file's, without `.toml`.
fn node_name(file: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(file).ok()?;
    let name = name.strip_suffix(".toml").unwrap_or(name);
    valid_name(name).then_some(name)
}

/// The files that are worth reading, with the node's name. Everything else is complained about in `out`.
pub(crate) fn candidates<'f>(files: &'f [TreeFile], out: &mut Listing) -> Vec<(&'f TreeFile, String)> {
    let mut found: Vec<(&TreeFile, String)> = Vec::new();
    for file in files.iter().filter(|file| is_entry(file)) {
        let about = shown(&file.name);
        match node_name(&file.name) {
            // A folder of something else is no fault.
            None if !file.plain && file.size == 0 => {}
            None => out.complaints.push(Complaint::new(
                &about,
                "is no name of a node: 1 to 63 of a-z, 0-9, '-' and '.', beginning and ending with a letter or digit",
            )),
            Some(_) if !file.plain && file.size == 0 => {}
            Some(name) if !file.plain => out.spoil(name, &about, "is a link and not a file; links are not followed"),
            Some(name) if file.size > LARGEST => out.spoil(name, &about, EntryError::TooLarge),
            Some(name) => found.push((file, name.to_owned())),
        }
    }
    found
}

/// The list that the files make: `contents` belong to the candidates among `files`, in their order.
pub fn listing(
    files: &[TreeFile],
    contents: impl FnOnce(&[&str]) -> Option<Vec<Vec<u8>>>,
) -> Option<Listing> {
    let mut out = Listing::default();
    if files.len() > FILES {
        return None;
    }
    let found = candidates(files, &mut out);
    let ids: Vec<&str> = found.iter().map(|(file, _)| file.id.as_str()).collect();
    let contents = contents(&ids)?;
    for ((file, name), content) in found.iter().zip(&contents) {
        let about = shown(&file.name);
        if out.entries.remove(name).is_some() || out.broken.contains(name) {
            out.spoil(name, &about, "two files name this node; none of them counts");
            continue;
        }
        match Entry::parse(content) {
            Ok(entry) => drop(out.entries.insert(name.clone(), entry)),
            Err(error) => out.spoil(name, &about, error),
        }
    }
    out.refuse_shared_keys();
    Some(out)
}

impl Listing {
    fn spoil(&mut self, name: &str, about: &str, why: impl ToString) {
        self.broken.insert(name.to_owned());
        self.complaints.push(Complaint::new(about, why));
    }

    /// A key names one node.
    fn refuse_shared_keys(&mut self) {
        let mut keys: BTreeMap<PublicKey, Vec<String>> = BTreeMap::new();
        let mut signs: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (name, entry) in &self.entries {
            keys.entry(entry.key).or_default().push(name.clone());
            signs.entry(entry.sign).or_default().push(name.clone());
        }
        for names in keys.into_values().chain(signs.into_values()).filter(|names| names.len() > 1) {
            for name in &names {
                if self.entries.remove(name).is_some() {
                    self.spoil(name, name, format!("shares a key with {}", others(&names, name)));
                }
            }
        }
    }
}

fn others(names: &[String], but: &str) -> String {
    let others: Vec<&str> = names.iter().filter(|name| *name != but).map(String::as_str).take(5).collect();
    others.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ln6_types::VerifyKey;

    fn file(name: &str) -> TreeFile {
        TreeFile { id: "a".repeat(40), name: name.into(), size: 100, plain: true }
    }

    fn text(number: u8) -> Vec<u8> {
        format!("key = {}\nsign = {}\n", PublicKey([number; 32]), VerifyKey([number; 32])).into_bytes()
    }

    fn of(files: &[(TreeFile, Vec<u8>)]) -> Listing {
        let tree: Vec<TreeFile> = files.iter().map(|(file, _)| file.clone()).collect();
        let mut out = Listing::default();
        let wanted: Vec<Vec<u8>> = candidates(&tree, &mut out)
            .iter()
            .map(|(wanted, _)| files.iter().find(|(file, _)| file == *wanted).expect("file").1.clone())
            .collect();
        listing(&tree, |_| Some(wanted)).expect("a list")
    }

    #[test]
    fn each_file_is_a_node_and_papers_are_none() {
        let list = of(&[
            (file("quintana"), text(1)),
            (file("lab.quintana.toml"), text(2)),
            (file("README.md"), b"x".to_vec()),
            (file(".gitignore"), b"x".to_vec()),
            (TreeFile { plain: false, size: 0, ..file("folder") }, Vec::new()),
        ]);
        assert_eq!(list.entries.keys().collect::<Vec<_>>(), ["lab.quintana", "quintana"]);
        assert!(list.complaints.is_empty() && list.broken.is_empty());
    }

    #[test]
    fn hostile_names_are_told_in_printable_characters_and_never_used() {
        let names =
            ["<script>alert(1)</script>", "a\u{202e}b", "\x1b[2J", "-rf", "Quintana", "a b", "..", "$(id)"];
        let list = of(&names.map(|name| (file(name), text(1))));
        assert!(list.entries.is_empty() && list.broken.is_empty());
        // A hidden file's name begins with a dot; the others are told.
        assert_eq!(list.complaints.len(), names.len() - 1);
        assert!(list.complaints.iter().all(|c| c.about.chars().all(|c| (' '..='~').contains(&c))));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_broken_and_not_gone() {
        let link = TreeFile { plain: false, ..file("link") };
        let large = TreeFile { size: 10 << 20, ..file("large") };
        let list = of(&[(link, Vec::new()), (large, Vec::new()), (file("wrong"), b"key = x".to_vec())]);
        assert_eq!(list.broken.iter().collect::<Vec<_>>(), ["large", "link", "wrong"]);
        assert_eq!(list.complaints.len(), 3);
    }

    #[test]
    fn two_files_of_one_node_or_with_one_key_count_for_nothing() {
        let list = of(&[
            (file("a"), text(1)),
            (file("a.toml"), text(2)),
            (file("b"), text(3)),
            (file("c"), text(3)),
        ]);
        assert!(list.entries.is_empty(), "{list:?}");
        assert_eq!(list.broken.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(list.complaints.iter().any(|c| c.about == "b" && c.text == "shares a key with c"));
    }

    #[test]
    fn more_files_than_a_list_has_are_no_list() {
        assert_eq!(listing(&vec![file("a"); FILES + 1], |_| Some(Vec::new())), None);
    }
}
