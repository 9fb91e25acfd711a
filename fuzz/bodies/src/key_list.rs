//! The key list of a Git repository: its files, and what git prints of them.

use crate::input::Input;
use ln6_broker::keylist::{Entry, EntryError, Listing, TreeFile, blobs, listing, tree};
use ln6_registry::valid_name;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const FILES: usize = 12;

/// The first octet chooses: one file, files of a commit, what `ls-tree` or what `cat-file` prints.
pub fn key_list(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    match first & 3 {
        0 => entry(rest),
        1 => files(rest),
        2 => printed_tree(rest),
        _ => printed_blobs(rest),
    }
}

/// An entry keeps its bounds, holds nothing that cannot be shown, and is the same when it is written as TOML.
fn entry(octets: &[u8]) {
    let entry = match Entry::parse(octets) {
        Ok(entry) => entry,
        Err(error) => {
            return assert!(printable(&error.to_string()) || error == EntryError::NotText, "{error:?}");
        }
    };
    assert!(entry.size.is_none_or(|size| (16..=128).contains(&size)));
    if let Some(contact) = &entry.contact {
        assert!((1..=128).contains(&contact.len()) && !contact.chars().any(char::is_control), "{contact:?}");
    }
    assert_eq!(Entry::parse(written(&entry).as_bytes()), Ok(entry));
}

fn written(entry: &Entry) -> String {
    let mut text = format!("key = \"{}\"\nsign = \"{}\"\n", entry.key, entry.sign);
    if let Some(size) = entry.size {
        let _ = writeln!(text, "size = {size}");
    }
    if let Some(contact) = &entry.contact {
        let _ = writeln!(text, "contact = \"{}\"", contact.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text
}

fn printable(text: &str) -> bool {
    text.chars().all(|c| (' '..='~').contains(&c) || c == '…')
}

/// Any names with any contents: a node is in, or broken, or neither; keys name one node; the order of the files is none of
/// the list's business.
fn files(data: &[u8]) {
    let mut input = Input::new(data);
    let mut all = Vec::new();
    while !input.is_empty() && all.len() < FILES {
        let how = input.octet();
        let name: Vec<u8> = match how & 3 {
            0 => input.chunk(80).iter().copied().filter(|octet| !matches!(octet, 0 | b'/')).collect(),
            1 => vec![b'a' + input.octet() % 4],
            2 => [b'a' + input.octet() % 4].into_iter().chain(*b".toml").collect(),
            _ => b"README.md".to_vec(),
        };
        let content = if how & 4 == 0 {
            let (key, sign) = (input.octet() % 6, input.octet() % 6);
            let keys = (ln6_types::PublicKey([key; 32]), ln6_types::VerifyKey([sign; 32]));
            format!("key = {}\nsign = {}\n{}", keys.0, keys.1, String::from_utf8_lossy(input.chunk(40)))
                .into_bytes()
        } else {
            input.chunk(300).to_vec()
        };
        let (plain, size) =
            (how & 0x18 != 0x18, if how & 0x60 == 0x60 { u64::MAX } else { content.len() as u64 });
        // A repository has no two files of one name.
        if !name.is_empty() && !all.iter().any(|(file, _): &(TreeFile, _)| file.name == name) {
            all.push((TreeFile { id: format!("{:040x}", all.len()), name, size, plain }, content));
        }
    }
    let list = of(&all);
    check(&list, &all);
    all.reverse();
    let other = of(&all);
    assert_eq!((&other.entries, &other.broken), (&list.entries, &list.broken));
}

fn of(all: &[(TreeFile, Vec<u8>)]) -> Listing {
    let tree: Vec<TreeFile> = all.iter().map(|(file, _)| file.clone()).collect();
    let content = |id: &&str| all.iter().find(|(file, _)| file.id == *id).expect("asked for").1.clone();
    listing(&tree, |ids| Some(ids.iter().map(content).collect())).expect("few files")
}

fn check(list: &Listing, all: &[(TreeFile, Vec<u8>)]) {
    assert!(list.entries.keys().chain(&list.broken).all(|name| valid_name(name)));
    assert!(!list.broken.iter().any(|name| list.entries.contains_key(name)));
    let keys: BTreeSet<_> = list.entries.values().map(|entry| entry.key).collect();
    let signs: BTreeSet<_> = list.entries.values().map(|entry| entry.sign).collect();
    assert!(keys.len() == list.entries.len() && signs.len() == list.entries.len(), "a key names one node");
    assert!(list.complaints.iter().all(|one| printable(&one.about)), "{:?}", list.complaints);
    for (name, entry) in &list.entries {
        let files = [name.clone(), format!("{name}.toml")];
        // A folder of that name may lie beside it.
        let mut said =
            all.iter().filter(|(file, _)| file.plain && files.iter().any(|n| n.as_bytes() == file.name));
        assert!(said.any(|(_, content)| Entry::parse(content).as_ref() == Ok(entry)), "{name}");
    }
}

fn printed_tree(output: &[u8]) {
    let Some(files) = tree(output) else { return };
    let mut again = Vec::new();
    for file in &files {
        assert!(matches!(file.id.len(), 40 | 64) && !file.name.is_empty() && !file.name.contains(&0));
        let mode = if file.plain { "100644" } else { "120000" };
        again.extend_from_slice(format!("{mode} blob {} {}\t", file.id, file.size).as_bytes());
        again.extend_from_slice(&file.name);
        again.push(0);
    }
    assert_eq!(tree(&again), Some(files));
}

/// Contents are parts of what was printed, and what is printed of them reads the same.
fn printed_blobs(data: &[u8]) {
    let Some((&count, output)) = data.split_first() else { return };
    let ids: Vec<String> = (0..count & 3).map(|number| format!("{number:040x}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let Some(contents) = blobs(output, &ids) else { return };
    assert_eq!(contents.len(), ids.len());
    assert!(contents.iter().map(|content| content.len()).sum::<usize>() <= output.len());
    let mut again = Vec::new();
    for (id, content) in ids.iter().zip(&contents) {
        again.extend_from_slice(format!("{id} blob {}\n", content.len()).as_bytes());
        again.extend_from_slice(content);
        again.push(b'\n');
    }
    assert_eq!(blobs(&again, &ids), Some(contents));
}
