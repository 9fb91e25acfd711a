//! Neighbour discovery messages on the wire: router solicitations and advertisements (RFC 4861, RFC 4191, RFC 8106).
//! The ICMPv6 checksum is the kernel's work, as for every raw ICMPv6 socket (RFC 3542, section 3.1).

use core::net::Ipv6Addr;
use ln6_types::Prefix;
use thiserror::Error;

/// ICMPv6 type of a router solicitation.
pub const SOLICITATION: u8 = 133;
/// ICMPv6 type of a router advertisement.
pub const ADVERTISEMENT: u8 = 134;
/// The hop limit that neighbour discovery is sent with and demands.
pub const HOP_LIMIT: u32 = 255;

const SOURCE_LINK: u8 = 1;
const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;
const ROUTE_INFORMATION: u8 = 24;
const RECURSIVE_DNS: u8 = 25;

/// Why octets are not the message that was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NdpError {
    /// Shorter than the message's fixed part.
    #[error("message is cut short")]
    Short,
    /// Another type or code.
    #[error("not the expected message")]
    Type,
    /// An option of length zero, or one that runs past the end.
    #[error("malformed option")]
    Option,
}

/// A router solicitation (RFC 4861, section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Solicitation {
    /// The sender's Ethernet address, if it tells.
    pub source: Option<[u8; 6]>,
}

/// A prefix on the link (RFC 4861, section 4.6.2), always on-link and for autonomous configuration when sent by us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixInformation {
    /// The prefix.
    pub prefix: Prefix,
    /// Flag L.
    pub on_link: bool,
    /// Flag A.
    pub autonomous: bool,
    /// Valid lifetime in seconds.
    pub valid: u32,
    /// Preferred lifetime in seconds, at most `valid`.
    pub preferred: u32,
}

/// A more specific route (RFC 4191, section 2.3), of medium preference when sent by us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouteInformation {
    /// Destination.
    pub prefix: Prefix,
    /// Lifetime in seconds; 0 withdraws it.
    pub lifetime: u32,
}

/// A router advertisement (RFC 4861, section 4.2). M and O flags are never set by us.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Advertisement {
    /// Hop limit that hosts should use; 0 = unspecified.
    pub hop_limit: u8,
    /// Router lifetime in seconds; 0 = not a default router.
    pub router_lifetime: u16,
    /// The router's Ethernet address.
    pub source: Option<[u8; 6]>,
    /// Link MTU in octets.
    pub mtu: Option<u32>,
    /// Prefixes.
    pub prefixes: Vec<PrefixInformation>,
    /// Recursive resolvers with their common lifetime in seconds (RFC 8106).
    pub resolvers: Vec<Ipv6Addr>,
    /// Lifetime of the resolvers in seconds; 0 withdraws them.
    pub resolver_lifetime: u32,
    /// Routes.
    pub routes: Vec<RouteInformation>,
}

impl Advertisement {
    /// The ICMPv6 message, checksum zero, of at most `limit` octets: options that do not fit are left out, last first.
    pub fn encode(&self, limit: usize) -> Vec<u8> {
        let mut out = vec![ADVERTISEMENT, 0, 0, 0, self.hop_limit, 0];
        out.extend_from_slice(&self.router_lifetime.to_be_bytes());
        out.extend_from_slice(&[0; 8]); // reachable time and retransmission timer: unspecified
        let mut put = |option: &[u8]| {
            debug_assert!(option.len().is_multiple_of(8));
            if out.len() + option.len() <= limit {
                out.extend_from_slice(option);
            }
        };
        if let Some(mac) = self.source {
            put(&[[SOURCE_LINK, 1].as_slice(), &mac].concat());
        }
        if let Some(mtu) = self.mtu {
            put(&[[MTU, 1, 0, 0].as_slice(), &mtu.to_be_bytes()].concat());
        }
        self.prefixes.iter().for_each(|prefix| put(&prefix.encode()));
        if !self.resolvers.is_empty() {
            put(&self.encode_resolvers());
        }
        self.routes.iter().for_each(|route| put(&route.encode()));
        out
    }

    fn encode_resolvers(&self) -> Vec<u8> {
        let addresses = self.resolvers.iter().take(8);
        let units = 1 + 2 * addresses.len() as u8;
        let mut out = vec![RECURSIVE_DNS, units, 0, 0];
        out.extend_from_slice(&self.resolver_lifetime.to_be_bytes());
        addresses.for_each(|address| out.extend_from_slice(&address.octets()));
        out
    }

    /// Reads a received advertisement; unknown options are skipped.
    pub fn decode(bytes: &[u8]) -> Result<Self, NdpError> {
        let fixed: &[u8; 16] = bytes.first_chunk().ok_or(NdpError::Short)?;
        if fixed[..2] != [ADVERTISEMENT, 0] {
            return Err(NdpError::Type);
        }
        let router_lifetime = u16::from_be_bytes([fixed[6], fixed[7]]);
        let mut out = Advertisement { hop_limit: fixed[4], router_lifetime, ..Advertisement::default() };
        for option in options(&bytes[16..]) {
            let (kind, body) = option?;
            out.take_option(kind, body);
        }
        Ok(out)
    }

    fn take_option(&mut self, kind: u8, body: &[u8]) {
        match kind {
            SOURCE_LINK => self.source = body.try_into().ok(),
            MTU => self.mtu = body.get(2..6).map(be32),
            PREFIX_INFORMATION => self.prefixes.extend(PrefixInformation::decode(body)),
            ROUTE_INFORMATION => self.routes.extend(RouteInformation::decode(body)),
            RECURSIVE_DNS => {
                self.resolver_lifetime = body.get(2..6).map_or(0, be32);
                let addresses = body.get(6..).unwrap_or_default().chunks_exact(16);
                self.resolvers.extend(addresses.filter_map(address));
            }
            _ => {}
        }
    }
}

impl PrefixInformation {
    fn encode(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out[..3].copy_from_slice(&[PREFIX_INFORMATION, 4, self.prefix.len()]);
        out[3] = u8::from(self.on_link) << 7 | u8::from(self.autonomous) << 6;
        out[4..8].copy_from_slice(&self.valid.to_be_bytes());
        out[8..12].copy_from_slice(&self.preferred.min(self.valid).to_be_bytes());
        out[16..].copy_from_slice(&self.prefix.network().octets());
        out
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let body: &[u8; 30] = body.try_into().ok()?;
        let len = (body[0] <= 128).then_some(body[0])?;
        Some(PrefixInformation {
            prefix: Prefix::new(address(&body[14..])?, len),
            on_link: body[1] & 0x80 != 0,
            autonomous: body[1] & 0x40 != 0,
            valid: be32(&body[2..6]),
            preferred: be32(&body[6..10]),
        })
    }
}

impl RouteInformation {
    fn encode(&self) -> Vec<u8> {
        let octets = match self.prefix.len() {
            0 => 0,
            1..=64 => 8,
            _ => 16,
        };
        let mut out = vec![ROUTE_INFORMATION, 1 + (octets / 8) as u8, self.prefix.len(), 0];
        out.extend_from_slice(&self.lifetime.to_be_bytes());
        out.extend_from_slice(&self.prefix.network().octets()[..octets]);
        out
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (fixed, given) = body.split_first_chunk::<6>()?;
        let len = (fixed[0] <= 128).then_some(fixed[0])?;
        if given.len() > 16 || given.len() * 8 < usize::from(len) {
            return None;
        }
        let mut octets = [0; 16];
        octets[..given.len()].copy_from_slice(given);
        Some(RouteInformation {
            prefix: Prefix::new(Ipv6Addr::from(octets), len),
            lifetime: be32(&fixed[2..6]),
        })
    }
}

impl Solicitation {
    /// Reads a received solicitation (RFC 4861, section 6.1.1). The caller has seen to the hop limit of 255.
    pub fn decode(bytes: &[u8]) -> Result<Self, NdpError> {
        let fixed: &[u8; 8] = bytes.first_chunk().ok_or(NdpError::Short)?;
        if fixed[..2] != [SOLICITATION, 0] {
            return Err(NdpError::Type);
        }
        let mut source = None;
        for option in options(&bytes[8..]) {
            let (kind, body) = option?;
            if kind == SOURCE_LINK {
                source = body.try_into().ok();
            }
        }
        Ok(Solicitation { source })
    }
}

fn be32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn address(bytes: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from)
}

/// Kind and body (without the two octets of head) of each option.
fn options(mut rest: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), NdpError>> {
    core::iter::from_fn(move || {
        let (&kind, after) = rest.split_first()?;
        let units = after.first().copied().unwrap_or(0);
        let end = usize::from(units) * 8;
        if units == 0 || end > rest.len() {
            rest = &[];
            return Some(Err(NdpError::Option));
        }
        let (option, next) = rest.split_at(end);
        rest = next;
        Some(Ok((kind, &option[2..])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn p(text: &str) -> Prefix {
        text.parse().expect("prefix")
    }

    fn sample() -> Advertisement {
        Advertisement {
            hop_limit: 64,
            router_lifetime: 1800,
            source: Some([2, 0, 0, 0, 0, 1]),
            mtu: Some(1420),
            prefixes: vec![PrefixInformation {
                prefix: p("2001:db8::/64"),
                on_link: true,
                autonomous: true,
                valid: 5400,
                preferred: 2700,
            }],
            resolvers: vec!["2001:db8::1".parse().expect("address")],
            resolver_lifetime: 1800,
            routes: vec![
                RouteInformation { prefix: p("::/0"), lifetime: 600 },
                RouteInformation { prefix: p("2001:db8::/40"), lifetime: 600 },
                RouteInformation { prefix: p("2001:db8::1/128"), lifetime: 0 },
            ],
        }
    }

    #[test]
    fn the_octets_are_those_of_the_standards() {
        let bytes = sample().encode(1240);
        assert_eq!(bytes[..8], [134, 0, 0, 0, 64, 0, 0x07, 0x08]);
        assert_eq!(bytes[16..24], [1, 1, 2, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[24..32], [5, 1, 0, 0, 0, 0, 0x05, 0x8c]);
        assert_eq!(bytes[32..48], [3, 4, 64, 0xc0, 0, 0, 0x15, 0x18, 0, 0, 0x0a, 0x8c, 0, 0, 0, 0]);
        assert_eq!(bytes[64..72], [25, 3, 0, 0, 0, 0, 0x07, 0x08]);
        assert_eq!(bytes[88..96], [24, 1, 0, 0, 0, 0, 2, 0x58]);
        assert_eq!(bytes[96..112], [24, 2, 40, 0, 0, 0, 2, 0x58, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0]);
        assert_eq!(bytes[112..120], [24, 3, 128, 0, 0, 0, 0, 0]);
        assert_eq!(bytes.len(), 136);
    }

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(Advertisement::decode(&sample().encode(1240)), Ok(sample()));
    }

    #[test]
    fn what_does_not_fit_is_left_out_from_the_end() {
        let short = Advertisement::decode(&sample().encode(100)).expect("valid");
        assert_eq!(short.prefixes.len(), 1);
        assert_eq!(short.routes.len(), 1);
    }

    #[test]
    fn options_of_length_zero_or_past_the_end_are_refused() {
        let head = [SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
        let with = |option: &[u8]| Solicitation::decode(&[head.as_slice(), option].concat());
        assert_eq!(with(&[]), Ok(Solicitation { source: None }));
        assert_eq!(with(&[1, 1, 2, 0, 0, 0, 0, 9]), Ok(Solicitation { source: Some([2, 0, 0, 0, 0, 9]) }));
        assert_eq!(with(&[1, 0, 2, 0, 0, 0, 0, 9]), Err(NdpError::Option));
        assert_eq!(with(&[1, 2, 2, 0, 0, 0, 0, 9]), Err(NdpError::Option));
        assert_eq!(with(&[1]), Err(NdpError::Option));
        assert_eq!(Solicitation::decode(&head[..7]), Err(NdpError::Short));
        assert_eq!(Solicitation::decode(&[SOLICITATION, 1, 0, 0, 0, 0, 0, 0]), Err(NdpError::Type));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn hostile_octets_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..128), kind in 133u8..=134) {
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            if let Some(code) = bytes.get_mut(1) {
                *code = 0;
            }
            let _ = Solicitation::decode(&bytes);
            if let Ok(read) = Advertisement::decode(&bytes) {
                let again = Advertisement::decode(&read.encode(4096)).expect("our own");
                prop_assert_eq!(again.routes, read.routes);
            }
        }
    }
}
