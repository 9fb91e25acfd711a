//! Values that are right by their type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ln6_crypto::Certificate;
use std::fmt;
use std::net::Ipv6Addr;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The name of a node or a holder: 1 to 63 of `a-z 0-9 - .`, beginning and ending with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeName(String);

impl NodeName {
    /// The name, if it is one.
    pub fn new(text: &str) -> Option<Self> {
        Certificate::is_name(text).then(|| NodeName(text.to_owned()))
    }

    /// The nearest name to a text that is not one, such as a host name; `node` if nothing is left of it.
    pub fn near(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let fit: String =
            lower.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let short: String = fit.trim_matches(['-', '.']).chars().take(63).collect();
        NodeName::new(short.trim_matches(['-', '.'])).unwrap_or_else(|| NodeName("node".to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The name of a network interface, as the kernel allows it: 1 to 15 octets without `/`, `:` and white space.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// The name, if it is one.
    pub fn new(text: &str) -> Option<Self> {
        let fit = |c: u8| c.is_ascii_graphic() && c != b'/' && c != b':' && c != b'%';
        let good = (1..=15).contains(&text.len()) && text.bytes().all(fit) && text != "." && text != "..";
        good.then(|| InterfaceName(text.to_owned()))
    }

    /// `ln6`.
    pub fn standard() -> Self {
        InterfaceName("ln6".to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// `host:port`; the host a DNS name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// Reads `host[:port]`. A bare IPv6 address needs no brackets if it has no port.
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(Endpoint { host: format!("[{address}]"), port: default_port });
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, tail) = rest.split_once(']')?;
                (
                    format!("[{}]", address.parse::<Ipv6Addr>().ok()?),
                    tail.strip_prefix(':').or(tail.is_empty().then_some(""))?,
                )
            }
            None => match text.split_once(':') {
                Some((_, "")) => return None,
                Some((host, port)) => (host.to_owned(), port),
                None => (text.to_owned(), ""),
            },
        };
        let port = if port.is_empty() { default_port } else { number(port)? };
        (host.starts_with('[') || is_host(&host)).then_some(Endpoint { host, port })
    }

    /// Name or address; IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// Whether a text can be the name of a host, or an IPv4 address.
pub(super) fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let fit = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(fit)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let numeric = name.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    let fits = if numeric { name.parse::<std::net::Ipv4Addr>().is_ok() } else { name.split('.').all(label) };
    text.len() <= 253 && fits
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Secret octets, written as base64. Wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// The secret of these octets.
    pub const fn new(bytes: [u8; N]) -> Self {
        Secret(bytes)
    }

    /// Reads base64.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        bytes.as_slice().try_into().ok().map(Secret)
    }

    /// The octets, for the machine that needs them.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// As it is written in a file.
    pub fn expose_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0))
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_a_host_and_a_port() {
        let read = |text: &str| Endpoint::parse(text, 6695).map(|endpoint| endpoint.to_string());
        assert_eq!(read("vm.example.net").as_deref(), Some("vm.example.net:6695"));
        assert_eq!(read("vm.example.net:443").as_deref(), Some("vm.example.net:443"));
        assert_eq!(read("198.51.100.7").as_deref(), Some("198.51.100.7:6695"));
        assert_eq!(read("2001:db8::1").as_deref(), Some("[2001:db8::1]:6695"));
        assert_eq!(read("[2001:db8::1]:53").as_deref(), Some("[2001:db8::1]:53"));
        assert_eq!(read("[2001:db8::1]").as_deref(), Some("[2001:db8::1]:6695"));
        for text in [
            "",
            "a b",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "[::1",
            "[host]:1",
            "300.1.1.1",
            "-a",
            "a..b",
            "host:1:2",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_is_made_of_a_host_name() {
        assert_eq!(NodeName::near("Quintana_AP.local").as_str(), "quintana-ap.local");
        assert_eq!(NodeName::near("--").as_str(), "node");
        assert_eq!(NodeName::near(&"x".repeat(99)).as_str().len(), 63);
        assert_eq!(NodeName::new("Not A Name"), None);
    }

    #[test]
    fn interface_names_are_those_the_kernel_takes() {
        assert!(InterfaceName::new("br-lan").is_some());
        for text in ["", "a/b", "a b", "..", "sixteen-letters!", "a:b", "a%d"] {
            assert_eq!(InterfaceName::new(text), None, "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = Secret::<16>::new([7; 16]);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(Secret::parse(&secret.expose_text()), Some(secret));
        assert_eq!(Secret::<16>::parse("AAAA"), None);
    }
}
