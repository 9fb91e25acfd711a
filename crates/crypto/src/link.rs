//! Invitation links: `ln6://join/` and base64url of canonical CBOR with a 4-octet checksum.

use crate::canonical::{Bytes, MapWriter, need, read_bytes, read_list, read_map, read_text, unknown_key};
use crate::certificate::Certificate;
use crate::keys::hash;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use core::str::FromStr;
use ln6_types::{Fingerprint, PublicKey, UnixTime};
use minicbor::decode::{Decoder, Error};
use thiserror::Error as ThisError;

const SCHEME: &str = "ln6://join/";
const VERSION: u8 = 1;
const CHECKSUM: usize = 4;
const MAX_ENDPOINTS: usize = 6;
const MAX_ENDPOINT: usize = 261; // a DNS name of 253 octets, brackets, a colon and a port
/// The most characters read.
const MAX_LINK: usize = 2600;

/// An invitation to a network (DESIGN 6, "Joining").
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// The root key's fingerprint: what makes the network this one.
    pub network: Fingerprint,
    /// The X25519 key of the broker to ask.
    pub broker: PublicKey,
    /// Where the broker is: 1 to 6 texts `host:port`, the host a name, an IPv4 address or an IPv6 address in brackets.
    pub endpoints: Vec<String>,
    /// The one-time secret that admits at once.
    pub secret: Option<[u8; 16]>,
    /// The name that the new node should have.
    pub name: Option<String>,
    /// The length of the prefix it should get, 16 to 128.
    pub size: Option<u8>,
    /// When the broker stops taking it; judged by the caller, see [`Link::expired`].
    pub expires: UnixTime,
}

/// Why a text is not an invitation.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum LinkError {
    /// Something else.
    #[error("an invitation begins with {SCHEME}")]
    NotALink,
    /// The end is missing.
    #[error("the end of the invitation is missing: copy the whole line")]
    Truncated,
    /// Characters were changed or lost.
    #[error("the invitation was damaged on its way: its checksum does not match")]
    Mangled,
    /// Made by a newer ln6d.
    #[error("the invitation is of version {0}, this ln6d reads version {VERSION}: update it")]
    Version(u8),
    /// Undamaged, but not something this ln6d could have made.
    #[error("the invitation says something that it cannot say: {0}")]
    Invalid(&'static str),
}

impl LinkError {
    /// A stable word for logs and the API.
    pub const fn code(&self) -> &'static str {
        match self {
            LinkError::NotALink => "link-not-a-link",
            LinkError::Truncated => "link-truncated",
            LinkError::Mangled => "link-mangled",
            LinkError::Version(_) => "link-version",
            LinkError::Invalid(_) => "link-invalid",
        }
    }
}

impl Link {
    /// Whether it is too late to use it.
    pub fn expired(&self, now: UnixTime) -> bool {
        now >= self.expires
    }

    /// Whether every field is in its range; a link that fails here does not read back.
    pub fn check(&self) -> Result<(), LinkError> {
        if self.endpoints.is_empty() || self.endpoints.len() > MAX_ENDPOINTS {
            return Err(LinkError::Invalid("it has 1 to 6 endpoints"));
        }
        if !self.endpoints.iter().all(|endpoint| is_endpoint(endpoint)) {
            return Err(LinkError::Invalid("an endpoint is host:port"));
        }
        if self.name.as_deref().is_some_and(|name| !Certificate::is_name(name)) {
            return Err(LinkError::Invalid("a name is 1 to 63 of a-z, 0-9, - and ."));
        }
        if self.size.is_some_and(|size| !(16..=128).contains(&size)) {
            return Err(LinkError::Invalid("a prefix length is 16 to 128"));
        }
        Ok(())
    }

    fn write(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        map.put(0, VERSION).put(1, self.network).put(2, self.broker).put(3, &*self.endpoints);
        map.put_some(4, self.secret.as_ref().map(|secret| Bytes(secret)));
        map.put_some(5, self.name.as_deref()).put_some(6, self.size);
        map.put(7, self.expires.as_secs()).finish()
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, Error> {
        let (mut network, mut broker, mut endpoints, mut expires) = (None, None, Vec::new(), None);
        let (mut secret, mut name, mut size) = (None, None, None);
        read_map(d, |key, d| {
            match key {
                0 => drop(d.u8()?),
                1 => network = Some(d.decode()?),
                2 => broker = Some(d.decode()?),
                3 => endpoints = read_list(d, MAX_ENDPOINTS)?,
                4 => secret = Some(read_bytes(d)?),
                5 => name = Some(read_text(d, crate::certificate::MAX_NAME)?),
                6 => size = Some(d.u8()?),
                7 => expires = Some(UnixTime::from_secs(d.u64()?)),
                _ => return Err(unknown_key()),
            }
            Ok(())
        })?;
        let (network, broker, expires) = (need(network)?, need(broker)?, need(expires)?);
        Ok(Link { network, broker, endpoints, secret, name, size, expires })
    }
}

fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let port_fits = port.parse::<u16>().is_ok_and(|number| number != 0 && number.to_string() == port);
    let host_fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
        None => host.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_')),
    };
    port_fits && host_fits && !host.is_empty() && text.len() <= MAX_ENDPOINT
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let [a, b, c, d, ..] = hash(b"ln6d link v1", &[body]);
    [a, b, c, d]
}

/// The version, which must be the first entry.
fn version(d: &mut Decoder<'_>) -> Result<u8, Error> {
    d.map()?;
    if d.u64()? == 0 { d.u8() } else { Err(unknown_key()) }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.write();
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        write!(f, "{SCHEME}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("network", &self.network)
            .field("broker", &self.broker)
            .field("endpoints", &self.endpoints)
            .field("secret", &self.secret.map(|_| "redacted"))
            .field("name", &self.name)
            .field("size", &self.size)
            .field("expires", &self.expires)
            .finish()
    }
}

impl FromStr for Link {
    type Err = LinkError;

    /// Reads a link; white space and angle brackets around it are ignored.
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '<' || c == '>');
        let (scheme, code) = text.split_at_checked(SCHEME.len()).ok_or(LinkError::NotALink)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(LinkError::NotALink);
        }
        if code.len() > MAX_LINK {
            return Err(LinkError::Mangled);
        }
        let bytes = decode_code(code)?;
        let body = checked_body(&bytes)?;
        match version(&mut Decoder::new(body)) {
            Ok(VERSION) => {}
            Ok(other) => return Err(LinkError::Version(other)),
            Err(_) => return Err(LinkError::Mangled),
        }
        let link = Link::read(&mut Decoder::new(body)).map_err(|_| LinkError::Invalid("a field"))?;
        if link.write() != body {
            return Err(LinkError::Invalid("it is not in the canonical encoding"));
        }
        link.check()?;
        Ok(link)
    }
}

fn decode_code(code: &str) -> Result<Vec<u8>, LinkError> {
    if !code.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_') {
        return Err(LinkError::Mangled);
    }
    // A cut may leave a last character that is less than an octet, or bits that a whole link has as zeros: read as far
    // as whole groups go, so that the loss is seen as a loss.
    URL_SAFE_NO_PAD.decode(code).or_else(|_| {
        let whole = &code[..code.len() - code.len() % 4];
        let bytes = URL_SAFE_NO_PAD.decode(whole).map_err(|_| LinkError::Mangled)?;
        Err(if ends_early(&bytes) { LinkError::Truncated } else { LinkError::Mangled })
    })
}

fn checked_body(bytes: &[u8]) -> Result<&[u8], LinkError> {
    let (body, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(LinkError::Truncated)?;
    if checksum(body) == *sum {
        return Ok(body);
    }
    Err(if ends_early(bytes) { LinkError::Truncated } else { LinkError::Mangled })
}

/// Whether `bytes` end before the map and its checksum do.
fn ends_early(bytes: &[u8]) -> bool {
    let mut d = Decoder::new(bytes);
    match d.skip() {
        Ok(()) => bytes.len() < d.position() + CHECKSUM,
        Err(error) => error.is_end_of_input(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link() -> Link {
        Link {
            network: Fingerprint([9; 32]),
            broker: PublicKey([4; 32]),
            endpoints: vec!["vm.example.net:6695".into(), "[2001:db8::1]:6695".into()],
            secret: Some([0xab; 16]),
            name: Some("quintana".into()),
            size: Some(56),
            expires: UnixTime::from_secs(1_790_000_000),
        }
    }

    #[test]
    fn the_golden_link_does_not_change() {
        let text = link().to_string();
        assert_eq!(text, include_str!("../tests/golden/link.txt").trim());
        assert!(text.len() < 300);
        assert_eq!(text.parse(), Ok(link()));
        let least = Link { secret: None, name: None, size: None, ..link() };
        assert_eq!(least.to_string().parse(), Ok(least));
    }

    #[test]
    fn what_surrounds_a_pasted_link_is_ignored() {
        assert_eq!(format!(" <{}>\n", link()).parse(), Ok(link()));
        assert_eq!(link().to_string().replace("ln6://join", "LN6://Join").parse(), Ok(link()));
    }

    #[test]
    fn each_cut_is_called_a_cut() {
        let text = link().to_string();
        for end in SCHEME.len()..text.len() {
            assert_eq!(text[..end].parse::<Link>(), Err(LinkError::Truncated), "at {end}");
        }
        assert_eq!(text[..SCHEME.len() - 1].parse::<Link>(), Err(LinkError::NotALink));
        assert_eq!("https://example.net/".parse::<Link>(), Err(LinkError::NotALink));
        assert_eq!("".parse::<Link>(), Err(LinkError::NotALink));
    }

    #[test]
    fn each_changed_character_is_noticed() {
        let text = link().to_string();
        for at in SCHEME.len()..text.len() {
            for other in ["A", "z", "%", "é"] {
                if &text[at..=at] == other {
                    continue;
                }
                let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                let error = changed.parse::<Link>().expect_err("damaged");
                assert!(matches!(error, LinkError::Mangled | LinkError::Truncated), "{at} {other}: {error}");
            }
        }
    }

    fn seal(body: &[u8]) -> String {
        format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode([body, &checksum(body)].concat()))
    }

    #[test]
    fn a_newer_version_is_named_even_if_nothing_else_is_understood() {
        let body = MapWriter::new().put(0, 2).put(60, "?").finish();
        assert_eq!(seal(&body).parse::<Link>(), Err(LinkError::Version(2)));
        assert_eq!(LinkError::Version(2).code(), "link-version");
    }

    #[test]
    fn what_no_one_could_have_made_is_refused() {
        let bad = |change: fn(&mut Link)| {
            let mut value = link();
            change(&mut value);
            matches!(value.to_string().parse::<Link>(), Err(LinkError::Invalid(_)))
        };
        assert!(bad(|l| l.endpoints.clear()));
        assert!(bad(|l| l.endpoints = vec!["a:1".into(); 7]));
        assert!(bad(|l| l.endpoints = vec!["no-port".into()]));
        assert!(bad(|l| l.endpoints = vec!["a b:1".into()]));
        assert!(bad(|l| l.endpoints = vec!["2001:db8::1:6695".into()]));
        assert!(bad(|l| l.endpoints = vec!["a:0".into()]));
        assert!(bad(|l| l.name = Some("Not A Name".into())));
        assert!(bad(|l| l.size = Some(129)));
    }

    #[test]
    fn the_secret_is_not_shown_and_expiry_is_the_callers_to_judge() {
        assert!(!format!("{:?}", link()).contains("171"));
        assert!(!link().expired(UnixTime::from_secs(1_789_999_999)));
        assert!(link().expired(UnixTime::from_secs(1_790_000_000)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn nothing_pasted_panics(text in "\\PC*", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = text.parse::<Link>();
            let _ = format!("{SCHEME}{text}").parse::<Link>();
            let _ = seal(&bytes).parse::<Link>();
        }
    }
}
