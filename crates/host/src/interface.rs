//! Interface names that can be put into a path, a rule or a log line without a second thought.

use core::fmt;
use core::str::FromStr;
use thiserror::Error;

/// The longest name the kernel takes (`IFNAMSIZ` with its closing zero is 16).
const LONGEST: usize = 15;

/// Why a text is not the name of an interface.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0:?} is not the name of an interface: 1 to 15 letters, digits, '.', '_' or '-', such as br-lan")]
pub struct InterfaceNameError(pub String);

/// A checked interface name. Stricter than the kernel: no character that means something to nftables, a shell or a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fits = (1..=LONGEST).contains(&text.len()) && text.chars().all(plain);
        if fits && !text.starts_with(['-', '.']) {
            Ok(InterfaceName(text.to_owned()))
        } else {
            Err(InterfaceNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken() {
        for name in ["ln6", "br-lan", "wlan0.13", "bat0", "wan_6", "abcdefghijklmno"] {
            assert_eq!(name.parse::<InterfaceName>().map(|n| n.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn names_that_could_inject_or_climb_are_refused() {
        for name in
            ["", ".", "..", "../all", "a/b", "ln6\"; drop", "eth0\n", "ln*", "-f", "abcdefghijklmnop", "é"]
        {
            assert_eq!(name.parse::<InterfaceName>(), Err(InterfaceNameError(name.to_owned())));
        }
    }
}
