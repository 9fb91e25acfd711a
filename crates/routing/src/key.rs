//! What a route leads to: a destination prefix, and the sources it is for (RFC 9079).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Destination and source prefix of a route; the index of every table (RFC 9079, section 3). Always canonical: no
/// bit beyond a length is set, both are of one family, and "any source" is the family's prefix of length 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    dst: IpNet,
    src: IpNet,
}

impl Key {
    /// A route to `dst` from any source.
    pub fn to(dst: IpNet) -> Self {
        let src = match dst {
            IpNet::V4(_) => IpNet::V4(Ipv4Net::default()),
            IpNet::V6(_) => IpNet::V6(Ipv6Net::default()),
        };
        Key { dst: dst.trunc(), src }
    }

    /// A route to `dst` for packets from `src` (length 0 of either family: any source). `None` if the families differ.
    pub fn new(dst: IpNet, src: IpNet) -> Option<Self> {
        if src.prefix_len() == 0 {
            return Some(Key::to(dst));
        }
        match (dst, src) {
            (IpNet::V4(_), IpNet::V4(_)) | (IpNet::V6(_), IpNet::V6(_)) => {
                Some(Key { dst: dst.trunc(), src: src.trunc() })
            }
            _ => None,
        }
    }

    /// Destination prefix.
    pub fn dst(&self) -> IpNet {
        self.dst
    }

    /// Source prefix; length 0 means any source.
    pub fn src(&self) -> IpNet {
        self.src
    }

    /// Whether only packets of some sources take this route.
    pub fn is_source_specific(&self) -> bool {
        self.src.prefix_len() != 0
    }

    /// Whether nobody may announce it: multicast, link-local, loopback, unspecified (RFC 8966, appendix C, and what
    /// stock daemons refuse beside it). The default routes are not martians.
    pub fn is_martian(&self) -> bool {
        let len = self.dst.prefix_len();
        match self.dst.addr() {
            IpAddr::V6(a) => {
                let within = |of: Ipv6Addr, of_len: u8| {
                    len >= of_len && (a.to_bits() ^ of.to_bits()) >> (128 - u32::from(of_len)) == 0
                };
                within(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)
                    || within(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)
                    || within(Ipv6Addr::LOCALHOST, 128)
                    || within(Ipv6Addr::UNSPECIFIED, 128)
            }
            IpAddr::V4(a) => {
                let first = a.octets()[0];
                len >= 8 && (first == 0 || first == 127)
                    || len >= 4 && first >= 224
                    || a == Ipv4Addr::BROADCAST
            }
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_source_specific() {
            write!(f, "{} from {}", self.dst, self.src)
        } else {
            write!(f, "{}", self.dst)
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn martian(text: &str) -> bool {
        Key::to(text.parse().unwrap()).is_martian()
    }

    // R16
    #[test]
    fn martians_are_known_and_default_routes_are_none() {
        for text in [
            "fe80::/64",
            "ff00::/8",
            "ff02::1/128",
            "::1/128",
            "::/128",
            "127.0.0.1/32",
            "224.0.0.0/8",
            "0.0.0.0/32",
        ] {
            assert!(martian(text), "{text}");
        }
        for text in ["::/0", "0.0.0.0/0", "2001:db8::/32", "10.0.0.0/8", "fe00::/8"] {
            assert!(!martian(text), "{text}");
        }
    }

    #[test]
    fn a_source_of_length_zero_is_any_source_whatever_its_family() {
        let dst: IpNet = "10.0.0.0/8".parse().unwrap();
        assert_eq!(Key::new(dst, "::/0".parse().unwrap()), Some(Key::to(dst)));
        assert_eq!(Key::new(dst, "2001:db8::/32".parse().unwrap()), None);
    }
}
