//! Errors of the parser as sentences with a line, and with what was probably meant.

use crate::error::{CliError, Trouble};
use std::ops::Range;
use std::path::Path;

/// `path:line`.
pub(super) fn place(text: &str, path: &Path, at: Option<Range<usize>>) -> String {
    match at {
        Some(span) => format!("{}:{}", path.display(), line_of(text, span.start)),
        None => path.display().to_string(),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

/// What the parser found, in our words.
pub(super) fn explain(text: &str, path: &Path, error: &toml::de::Error) -> CliError {
    let place = place(text, path, error.span());
    CliError::new(Trouble::ConfigInvalid, format!("{place}: {}", error.message().replace('`', "'")))
}

/// The word among `known` that differs least from `word`, if it differs little.
pub(super) fn meant<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = 1 + word.chars().count() / 4;
    let nearest = known.iter().map(|other| (distance(word, other), *other)).min()?;
    (nearest.0 <= limit).then_some(nearest.1)
}

/// How many letters must be changed, added, removed or swapped with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_meant_if_it_is_near() {
        let known = ["name", "listen", "interface", "mtu"];
        assert_eq!(meant("lisen", &known), Some("listen"));
        assert_eq!(meant("nmae", &known), Some("name"));
        assert_eq!(meant("interfaces", &known), Some("interface"));
        assert_eq!(meant("colour", &known), None);
        assert_eq!(meant("x", &[]), None);
    }
}
