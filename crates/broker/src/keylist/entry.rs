//! One file of the list: `key = …` lines, which are also TOML.

use super::shown::{misleads, shown};
use ln6_types::{PublicKey, VerifyKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Octets of the largest file that is read.
pub(crate) const LARGEST: u64 = 4096;
/// Octets of the longest contact.
const CONTACT: usize = 128;
const WORDS: [&str; 4] = ["key", "sign", "size", "contact"];

/// What a file says of a node; the node's name is the file's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its X25519 key.
    pub key: PublicKey,
    /// Its Ed25519 key.
    pub sign: VerifyKey,
    /// The length it would like.
    #[serde(default)]
    pub size: Option<u8>,
    /// How to reach its people.
    #[serde(default)]
    pub contact: Option<String>,
}

/// Why a file says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Larger than any entry.
    #[error("it has more than {LARGEST} octets")]
    TooLarge,
    /// Not UTF-8, or with characters that cannot be seen.
    #[error("it is not plain text")]
    NotText,
    /// A line without `=`, or with text behind the value.
    #[error("line {0} is not 'word = value'")]
    Line(usize),
    /// A word that is not known.
    #[error("line {line}: there is no '{word}' here; the words are key, sign, size and contact")]
    Unknown {
        /// From 1.
        line: usize,
        /// As shown.
        word: String,
    },
    /// A word said twice.
    #[error("'{0}' is said twice")]
    Twice(&'static str),
    /// A word that must be said.
    #[error("'{0}' is missing: 'ln6d key show' prints it on the node")]
    Missing(&'static str),
    /// A value that cannot be.
    #[error("'{0}' is {1}")]
    Value(&'static str, &'static str),
}

impl Entry {
    /// Reads a file.
    ///
    /// # Errors
    /// The first thing that is wrong with it; a file is understood as a whole or not at all.
    pub fn parse(octets: &[u8]) -> Result<Self, EntryError> {
        if octets.len() as u64 > LARGEST {
            return Err(EntryError::TooLarge);
        }
        let text = std::str::from_utf8(octets).map_err(|_| EntryError::NotText)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.chars().any(|c| misleads(c) || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))) {
            return Err(EntryError::NotText);
        }
        let said = words(text)?;
        let get = |word: &str| said.iter().find(|(known, _)| *known == word).map(|(_, value)| value.as_str());
        let must = |word| get(word).ok_or(EntryError::Missing(word));
        let bad_key = |word| EntryError::Value(word, "no key: 44 characters of base64");
        let entry = Entry {
            key: must("key")?.parse().map_err(|_| bad_key("key"))?,
            sign: must("sign")?.parse().map_err(|_| bad_key("sign"))?,
            size: get("size").map(size).transpose()?,
            contact: get("contact").map(|text| line("contact", text, CONTACT)).transpose()?,
        };
        if entry.key.0 == [0; 32] || entry.sign.0 == [0; 32] {
            return Err(EntryError::Value("key", "all zero"));
        }
        Ok(entry)
    }
}

fn size(text: &str) -> Result<u8, EntryError> {
    let number = text.strip_prefix('/').unwrap_or(text).parse().ok();
    number.filter(|size| (16..=128).contains(size)).ok_or(EntryError::Value("size", "not from 16 to 128"))
}

fn line(word: &'static str, text: &str, longest: usize) -> Result<String, EntryError> {
    match text {
        "" => Err(EntryError::Value(word, "empty")),
        text if text.len() > longest => Err(EntryError::Value(word, "too long")),
        // A carriage return within a line would let its end be shown over its beginning.
        text if text.contains(char::is_control) => Err(EntryError::Value(word, "no plain line")),
        text => Ok(text.to_owned()),
    }
}

fn words(text: &str) -> Result<Vec<(&'static str, String)>, EntryError> {
    let mut said: Vec<(&'static str, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, value) = line.split_once('=').ok_or(EntryError::Line(number))?;
        let word = word.trim();
        let Some(known) = WORDS.into_iter().find(|known| *known == word) else {
            return Err(EntryError::Unknown { line: number, word: shown(word.as_bytes()) });
        };
        if said.iter().any(|(other, _)| *other == known) {
            return Err(EntryError::Twice(known));
        }
        said.push((known, value_of(value.trim()).ok_or(EntryError::Line(number))?));
    }
    Ok(said)
}

/// A bare word, or a TOML basic string whose only escapes are `\"` and `\\`; a comment may follow.
fn value_of(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let bare = text.split_once(" #").map_or(text, |(value, _)| value).trim();
        return (!bare.contains('"')).then(|| bare.to_owned());
    };
    let mut value = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => break,
            '\\' => value.push(rest.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => value.push(c),
        }
    }
    let behind = rest.as_str().trim_start();
    (behind.is_empty() || behind.starts_with('#')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> String {
        format!("key = {}\nsign = \"{}\"\n", PublicKey([7; 32]), VerifyKey([8; 32]))
    }

    fn with(more: &str) -> Result<Entry, EntryError> {
        Entry::parse((keys() + more).as_bytes())
    }

    #[test]
    fn bare_lines_and_toml_say_the_same() {
        let bare = with("size = 56 # as before\n\n# who\ncontact = ana@example.net").expect("bare");
        let toml = with("size = 56\ncontact = \"ana@example.net\" # who\r\n").expect("toml");
        assert_eq!(bare, toml);
        assert_eq!((bare.size, bare.key), (Some(56), PublicKey([7; 32])));
        assert_eq!(
            with("contact = \"a \\\"b\\\" \\\\ <script>\"").expect("x").contact.expect("c"),
            "a \"b\" \\ <script>"
        );
    }

    #[test]
    fn each_fault_is_named() {
        use EntryError::*;
        assert_eq!(Entry::parse(b""), Err(Missing("key")));
        assert_eq!(Entry::parse(keys().replace("sign", "key").as_bytes()), Err(Twice("key")));
        assert_eq!(with("what"), Err(Line(3)));
        assert_eq!(with("contact = \"open"), Err(Line(3)));
        assert_eq!(with("contact = \"a\" b"), Err(Line(3)));
        assert_eq!(with("siez = 56"), Err(Unknown { line: 3, word: "siez".into() }));
        assert_eq!(with("\n[node]\n"), Err(Line(4)));
        for size in ["size = 15", "size = 129", "size = x", "size = -1", "size ="] {
            assert!(matches!(with(size), Err(Value("size", _))), "{size}");
        }
        assert!(matches!(with(&format!("contact = {}", "a".repeat(129))), Err(Value("contact", "too long"))));
        assert_eq!(with("contact = ana\rbob"), Err(Value("contact", "no plain line")));
        assert!(matches!(Entry::parse(b"key = short\nsign = x"), Err(Value("key", _))));
        let zero = format!("key = {}\nsign = {}", PublicKey([0; 32]), VerifyKey([8; 32]));
        assert!(matches!(Entry::parse(zero.as_bytes()), Err(Value("key", "all zero"))));
    }

    #[test]
    fn what_cannot_be_seen_is_no_text() {
        for hostile in ["contact = a\u{202e}b", "contact = \x1b[2J", "contact = a\0b", "contact = a\u{200b}"]
        {
            assert_eq!(with(hostile), Err(EntryError::NotText), "{hostile:?}");
        }
        assert_eq!(Entry::parse(&[0xff, 0xfe]), Err(EntryError::NotText));
        assert_eq!(Entry::parse(&vec![b'#'; 10 << 20]), Err(EntryError::TooLarge));
    }
}
