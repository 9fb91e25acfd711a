//! Octets of strangers as text that can be printed anywhere.

use std::fmt::Write as _;

/// Longest text shown, in characters.
const LONGEST: usize = 80;

/// Printable ASCII as it is, everything else (control characters, writing from right to left, octets that are no text)
/// as escapes; cut after 80 characters.
pub fn shown(octets: &[u8]) -> String {
    let mut out = String::new();
    for c in String::from_utf8_lossy(octets).chars() {
        if out.len() >= LONGEST {
            out.push('…');
            break;
        }
        match c {
            ' '..='~' => out.push(c),
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    out
}

/// Characters that change how others are shown: they have no place in a name or a contact.
pub(crate) fn misleads(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}' | '\u{ad}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(shown(b"quintana"), "quintana");
        assert_eq!(shown("a\u{202e}b\n\x1b[2J".as_bytes()), "a\\u{202e}b\\u{a}\\u{1b}[2J");
        assert_eq!(shown(&[0xff, b'a']), "\\u{fffd}a");
        let long = shown(&[b'a'; 10_000]);
        assert!(long.chars().count() == LONGEST + 1 && long.ends_with('…'));
    }
}
