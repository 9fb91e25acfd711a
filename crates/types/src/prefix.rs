//! An IPv6 prefix that is always canonical: no bit is set beyond its length.

use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;
use ipnet::Ipv6Net;
use thiserror::Error;

/// Why a text is not a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// Not of the form `address/length`.
    #[error("'{0}' is not an IPv6 prefix such as 2001:db8::/48")]
    Form(String),
    /// The length is above 128.
    #[error("a prefix length is 0 to 128, not {0}")]
    Length(u8),
    /// Bits are set beyond the length: probably a typing mistake.
    #[error("'{0}' has bits set beyond its length; did you mean {1}?")]
    HostBits(String, Prefix),
}

/// A canonical IPv6 prefix. Ordered by address, then by length (a covering prefix comes before what it covers).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    bits: u128,
    len: u8,
}

const fn mask(len: u8) -> u128 {
    if len == 0 { 0 } else { u128::MAX << (128 - len as u32) }
}

impl Prefix {
    /// `::/0`.
    pub const ALL: Prefix = Prefix { bits: 0, len: 0 };

    /// The prefix of `len` bits around `address`; bits beyond are cleared. Lengths above 128 become 128.
    pub const fn new(address: Ipv6Addr, len: u8) -> Self {
        let len = if len > 128 { 128 } else { len };
        Prefix { bits: address.to_bits() & mask(len), len }
    }

    /// The /128 of one address.
    pub const fn host(address: Ipv6Addr) -> Self {
        Prefix::new(address, 128)
    }

    /// First address.
    pub const fn network(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.bits)
    }

    /// Length in bits, 0 to 128.
    #[allow(clippy::len_without_is_empty)] // a prefix is never empty
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Whether this is `::/0`.
    pub const fn is_default(self) -> bool {
        self.len == 0
    }

    /// Whether `address` lies within.
    pub const fn contains(self, address: Ipv6Addr) -> bool {
        address.to_bits() & mask(self.len) == self.bits
    }

    /// Whether every address of `other` lies within (a prefix covers itself).
    pub const fn covers(self, other: Prefix) -> bool {
        self.len <= other.len && other.bits & mask(self.len) == self.bits
    }

    /// Whether the two share an address.
    pub const fn overlaps(self, other: Prefix) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// The `index`th part of length `len` of this prefix; `None` if there is no such part.
    pub fn part(self, len: u8, index: u128) -> Option<Prefix> {
        if len < self.len || len > 128 {
            return None;
        }
        let width = u32::from(len - self.len);
        if width < 128 && index >> width != 0 {
            return None;
        }
        let shifted = if len == 0 { 0 } else { index << (128 - u32::from(len)) };
        Some(Prefix { bits: self.bits | shifted, len })
    }

    /// The address at `offset` from the first one; wraps within the prefix.
    pub const fn address(self, offset: u128) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.bits | (offset & !mask(self.len)))
    }

    /// The covering prefix that is one bit shorter.
    pub const fn parent(self) -> Option<Prefix> {
        if self.len == 0 {
            return None;
        }
        let len = self.len - 1;
        Some(Prefix { bits: self.bits & mask(len), len })
    }

    /// Reads a prefix and refuses bits beyond its length, where a person may have mistyped.
    pub fn parse_strict(text: &str) -> Result<Prefix, PrefixError> {
        let form = || PrefixError::Form(text.to_owned());
        let (address, len) = text.split_once('/').ok_or_else(form)?;
        let address: Ipv6Addr = address.parse().map_err(|_| form())?;
        let len: u8 = len.parse().map_err(|_| form())?;
        if len > 128 {
            return Err(PrefixError::Length(len));
        }
        let prefix = Prefix::new(address, len);
        if prefix.network() != address {
            return Err(PrefixError::HostBits(text.to_owned(), prefix));
        }
        Ok(prefix)
    }
}

impl fmt::Display for Prefix {
    /// RFC 5952 address and length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.network(), self.len))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        Prefix::parse_strict(text)
    }
}

impl From<Ipv6Net> for Prefix {
    fn from(net: Ipv6Net) -> Self {
        Prefix::new(net.addr(), net.prefix_len())
    }
}

impl From<Prefix> for Ipv6Net {
    fn from(prefix: Prefix) -> Self {
        Ipv6Net::new_assert(prefix.network(), prefix.len)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Prefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Prefix {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// CBOR: a byte string of the length octet and the significant octets of the address.
impl<C> minicbor::Encode<C> for Prefix {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let octets = self.network().octets();
        let mut out = [0u8; 17];
        let significant = usize::from(self.len).div_ceil(8);
        out[0] = self.len;
        out[1..=significant].copy_from_slice(&octets[..significant]);
        e.bytes(&out[..=significant])?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Prefix {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        let bad = || minicbor::decode::Error::message("not a canonical prefix");
        let (&len, rest) = bytes.split_first().ok_or_else(bad)?;
        if len > 128 || rest.len() != usize::from(len).div_ceil(8) {
            return Err(bad());
        }
        let mut octets = [0u8; 16];
        octets[..rest.len()].copy_from_slice(rest);
        let prefix = Prefix::new(Ipv6Addr::from(octets), len);
        if prefix.network().octets() == octets { Ok(prefix) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn p(text: &str) -> Prefix {
        text.parse().expect("prefix")
    }

    #[test]
    fn a_covering_prefix_sorts_before_what_it_covers() {
        assert!(p("2001:db8::/32") < p("2001:db8::/48"));
        assert!(p("2001:db8::/48") < p("2001:db8:1::/48"));
    }

    #[test]
    fn bits_beyond_the_length_are_refused_with_the_prefix_meant() {
        assert_eq!(
            "2001:db8::1/48".parse::<Prefix>(),
            Err(PrefixError::HostBits("2001:db8::1/48".into(), p("2001:db8::/48")))
        );
        assert_eq!("::/129".parse::<Prefix>(), Err(PrefixError::Length(129)));
        assert!("10.0.0.0/8".parse::<Prefix>().is_err());
    }

    #[test]
    fn parts_are_counted_from_the_first_address() {
        assert_eq!(p("2001:db8::/40").part(48, 0xff), Some(p("2001:db8:ff::/48")));
        assert_eq!(p("2001:db8::/40").part(48, 0x100), None);
        assert_eq!(Prefix::ALL.part(0, 0), Some(Prefix::ALL));
        assert_eq!(p("2001:db8::1/128").part(128, 0), Some(p("2001:db8::1/128")));
    }

    proptest! {
        #[test]
        fn text_and_cbor_read_back(bits: u128, len in 0u8..=128) {
            let prefix = Prefix::new(Ipv6Addr::from_bits(bits), len);
            prop_assert_eq!(prefix.to_string().parse::<Prefix>(), Ok(prefix));
            let bytes = minicbor::to_vec(prefix).expect("encode");
            prop_assert_eq!(minicbor::decode::<Prefix>(&bytes).expect("decode"), prefix);
        }

        #[test]
        fn covering_means_containing_both_ends(a: u128, b: u128, la in 0u8..=128, lb in 0u8..=128) {
            let (x, y) = (Prefix::new(Ipv6Addr::from_bits(a), la), Prefix::new(Ipv6Addr::from_bits(b), lb));
            let ends = x.contains(y.network()) && x.contains(y.address(u128::MAX));
            prop_assert_eq!(x.covers(y), ends);
        }
    }
}
