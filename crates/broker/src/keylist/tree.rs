//! What `git ls-tree -z -l` and `git cat-file --batch` print.

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Of its content, in hex.
    pub id: String,
    /// Its name as it was committed: any octets but 0 and `/`.
    pub name: Vec<u8>,
    /// Octets.
    pub size: u64,
    /// A plain file: no link, no folder, no other repository.
    pub plain: bool,
}

/// The files of a folder; `None` if the output is not `ls-tree`'s.
pub fn tree(output: &[u8]) -> Option<Vec<TreeFile>> {
    let records = output.split(|octet| *octet == 0).filter(|record| !record.is_empty());
    records.map(file).collect()
}

/// `100644 blob <id> <size>\t<name>`.
fn file(record: &[u8]) -> Option<TreeFile> {
    let tab = record.iter().position(|octet| *octet == b'\t')?;
    let (head, name) = (std::str::from_utf8(&record[..tab]).ok()?, &record[tab + 1..]);
    let mut words = head.split_ascii_whitespace();
    let (mode, kind, id, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let plain = kind == "blob" && matches!(mode, "100644" | "100755" | "100664");
    if words.next().is_some() || !is_id(id) || name.is_empty() {
        return None;
    }
    let size = if kind == "blob" { size.parse().ok()? } else { 0 };
    Some(TreeFile { id: id.to_owned(), name: name.to_owned(), size, plain })
}

/// Whether it can be the name of an object: 40 or 64 hex digits.
pub(crate) fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// The contents, in the order in which they were asked for; `None` if the output is not `cat-file`'s, or does not hold
/// exactly the objects in `ids`.
pub fn blobs<'o>(mut output: &'o [u8], ids: &[&str]) -> Option<Vec<&'o [u8]>> {
    let mut contents = Vec::with_capacity(ids.len());
    for id in ids {
        let line = output.iter().position(|octet| *octet == b'\n')?;
        let mut words = std::str::from_utf8(&output[..line]).ok()?.split(' ');
        if words.next()? != *id || words.next()? != "blob" {
            return None;
        }
        let size: usize = words.next()?.parse().ok()?;
        let rest = &output[line + 1..];
        let content = rest.get(..size)?;
        output = rest.get(size..)?.strip_prefix(b"\n")?;
        contents.push(content);
    }
    output.is_empty().then_some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8baef1b4abc478178b004d62031cf7fe6db6f903";

    #[test]
    fn only_plain_files_are_plain() {
        let line = |mode: &str, kind: &str, size: &str, name: &str| {
            format!("{mode} {kind} {ID} {size:>7}\t{name}\0")
        };
        let output = line("100644", "blob", "12", "a\nb\t<c>")
            + &line("120000", "blob", "9", "link")
            + &line("160000", "commit", "-", "module")
            + &line("040000", "tree", "-", "folder");
        let files = tree(output.as_bytes()).expect("tree");
        assert_eq!(files[0], TreeFile { id: ID.into(), name: b"a\nb\t<c>".to_vec(), size: 12, plain: true });
        assert_eq!(files.iter().map(|file| file.plain).collect::<Vec<_>>(), [true, false, false, false]);
        assert_eq!(tree(b""), Some(vec![]));
    }

    #[test]
    fn what_git_does_not_print_is_refused() {
        for wrong in [
            "x",
            "100644 blob\ta\0",
            "100644 blob zz 1\ta",
            &format!("100644 blob {ID} x\ta"),
            &format!("100644 blob {ID} 1\t"),
        ] {
            assert_eq!(tree(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn contents_are_cut_by_their_length_alone() {
        let other = ID.replace('8', "9");
        let output = format!("{ID} blob 3\na\nb\n{other} blob 0\n\n");
        assert_eq!(blobs(output.as_bytes(), &[ID, &other]), Some(vec![&b"a\nb"[..], &b""[..]]));
        assert_eq!(blobs(output.as_bytes(), &[ID]), None, "more than was asked for");
        assert_eq!(blobs(output.as_bytes(), &[&other]), None);
        assert_eq!(blobs(format!("{ID} missing\n").as_bytes(), &[ID]), None);
        assert_eq!(blobs(format!("{ID} blob 99\na").as_bytes(), &[ID]), None);
    }
}
