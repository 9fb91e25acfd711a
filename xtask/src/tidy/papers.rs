//! What the papers name exists.

use super::{assert_none, files};
use crate::workspace::root;
use std::path::Path;

/// The beginnings of paths of ours.
const OURS: &[&str] = &["crates/", "xtask", "benches", "fuzz", "docs/", ".ci", ".cargo"];

/// The words of a text that stand between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The targets of links, without what follows a `#`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    ends.map(|link| link.split('#').next().unwrap_or_default())
}

#[test]
fn every_path_in_the_architecture_exists() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let paths: Vec<&str> = quoted(&text)
        .filter(|word| OURS.iter().any(|ours| word.starts_with(ours)) && !word.contains([' ', '*']))
        .collect();
    assert!(paths.len() > 10, "the map is gone: {paths:?}");
    let gone: Vec<String> = paths
        .iter()
        .filter(|path| !root().join(path).exists())
        .map(|path| format!("docs/architecture.md: {path} does not exist"))
        .collect();
    assert_none(&gone);
}

#[test]
fn every_link_between_papers_leads_somewhere() {
    let mut complaints = Vec::new();
    for file in files().iter().filter(|file| file.path.ends_with(".md")) {
        let here = root().join(&file.path);
        let folder = here.parent().unwrap_or(Path::new("."));
        for link in links(&file.text).filter(|link| !link.is_empty() && !link.contains("://")) {
            if !folder.join(link).exists() {
                complaints.push(format!("{}: the link {link} leads nowhere", file.path));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_crate_is_on_the_map() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let on_map = |path: &str| quoted(&text).any(|word| word == path);
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let path = format!("crates/{}", entry.unwrap().file_name().to_string_lossy());
        assert!(on_map(&path), "docs/architecture.md does not name {path}");
    }
}

/// What stands in a text to be typed, line by line without the comments.
fn commands(text: &str) -> Vec<&str> {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or_default().trim()).collect()
}

#[test]
fn a_translation_has_the_commands_of_its_original() {
    for original in ["README", "docs/book/src/tutorial/first-network"] {
        let read =
            |ending: &str| std::fs::read_to_string(root().join(format!("{original}{ending}"))).unwrap();
        let (english, spanish, portuguese) = (read(".md"), read(".es.md"), read(".pt.md"));
        assert!(commands(&english).len() > 5, "{original}: nothing to type was found");
        assert_eq!(commands(&spanish), commands(&english), "{original}.es.md");
        assert_eq!(commands(&portuguese), commands(&english), "{original}.pt.md");
    }
}

#[test]
fn what_is_typed_is_found_without_its_comment() {
    assert_eq!(commands("a\n```sh\nln6d run   # now\nls\n```\nb\n```text\nno\n```\n"), ["ln6d run", "ls"]);
}

#[test]
fn quotes_and_links_are_found() {
    assert_eq!(quoted("a `b` c `d`").collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(links("[a](b.md#c) [d](https://e)").collect::<Vec<_>>(), ["b.md", "https://e"]);
}
