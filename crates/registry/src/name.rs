//! Names of holders: what a person types and a page shows.

use ln6_types::{Hex, PublicKey};

/// Longest name, in octets (a DNS label's limit).
const LONGEST: usize = 63;

/// Whether `name` is 1 to 63 of `a-z 0-9 . -`, beginning and ending with a letter or digit (a certificate's rule).
pub fn valid_name(name: &str) -> bool {
    let fits = (1..=LONGEST).contains(&name.len());
    let edge = |c: char| c.is_ascii_alphanumeric();
    let plain = |c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-');
    fits && name.starts_with(edge) && name.ends_with(edge) && name.chars().all(plain)
}

/// `name` with a number behind it, cut so that it stays a name.
pub(crate) fn numbered(name: &str, number: usize) -> String {
    let tail = format!("-{number}");
    let mut stem = name.to_owned();
    stem.truncate(LONGEST - tail.len());
    stem.trim_end_matches(['-', '.']).to_owned() + &tail
}

/// A name for who gave none: the network name in the characters of names, or the beginning of the key.
pub fn derived_name(ssid: Option<&str>, key: &PublicKey) -> String {
    let of_ssid = ssid.map(slug).filter(|name| valid_name(name));
    of_ssid.unwrap_or_else(|| format!("node-{}", Hex(&key.0[..4])))
}

fn slug(text: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '.') => c,
        'á' | 'à' | 'ã' | 'â' | 'Á' | 'Ã' => 'a',
        'é' | 'ê' | 'É' => 'e',
        'í' | 'Í' => 'i',
        'ó' | 'õ' | 'ô' | 'Ó' => 'o',
        'ú' | 'ü' | 'Ú' => 'u',
        'ñ' | 'Ñ' => 'n',
        'ç' | 'Ç' => 'c',
        _ => '-',
    };
    let name: String = text.trim().chars().map(plain).take(LONGEST - 4).collect();
    name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// Text a stranger may attach (network name, contact): bounded and free of control characters.
pub(crate) fn plain_text(text: &str, longest: usize) -> bool {
    text.len() <= longest && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_bounded() {
        assert!(valid_name("quintana") && valid_name("0-a.b"));
        for bad in ["", "-a", "a-", "a_b", "Quintana", "a b", "ñandu", &"a".repeat(64)] {
            assert!(!valid_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_network_name_becomes_a_name() {
        let key = PublicKey([0xab; 32]);
        assert_eq!(derived_name(Some("quintanalibre.org.ar"), &key), "quintanalibre.org.ar");
        assert_eq!(derived_name(Some("Red Ñandú"), &key), "red-nandu");
        assert_eq!(derived_name(Some("网"), &key), "node-abababab");
        assert_eq!(derived_name(None, &key), "node-abababab");
    }
}
