//! Prefixes found in whatever a program prints as JSON.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fmt;
use std::net::Ipv6Addr;

/// An IPv6 prefix; the bits after its length are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    pub(crate) address: Ipv6Addr,
    pub(crate) length: u8,
}

impl Prefix {
    pub(crate) fn new(address: Ipv6Addr, length: u8) -> Result<Self> {
        ensure!(length <= 128, "/{length} is no length of an IPv6 prefix");
        let prefix = Self { address, length };
        ensure!(prefix.masked(address) == u128::from(address), "{prefix} has bits after its length");
        Ok(prefix)
    }

    fn parse(text: &str) -> Result<Self> {
        let (address, length) = text.split_once('/').context("no length")?;
        Self::new(address.parse()?, length.parse()?)
    }

    pub(crate) fn contains(self, address: Ipv6Addr) -> bool {
        self.masked(address) == u128::from(self.address)
    }

    fn masked(self, address: Ipv6Addr) -> u128 {
        let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
        u128::from(address) & mask
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// Every string in the document that is a prefix, in order and once.
pub(crate) fn prefixes_in(document: &Value) -> Vec<Prefix> {
    let mut found = Vec::new();
    collect(document, &mut found);
    found.sort();
    found.dedup();
    found
}

fn collect(value: &Value, found: &mut Vec<Prefix>) {
    match value {
        Value::String(text) => found.extend(Prefix::parse(text)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prefixes_are_found_wherever_they_stand() {
        let document = json!({ "schema": "x/1", "held": [{ "prefix": "2001:db8:4801::/48" }, "2001:db8::/32"],
                               "other": ["2001:db8::1", "2001:db8::1/64", "text", 7, null, "::/129"] });
        let found: Vec<String> = prefixes_in(&document).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["2001:db8::/32", "2001:db8:4801::/48"]);
    }

    #[test]
    fn a_prefix_contains_its_addresses_and_no_others() {
        let pool = Prefix::parse("2001:db8:4800::/40").unwrap();
        assert!(pool.contains("2001:db8:48ff:ffff::1".parse().unwrap()));
        assert!(!pool.contains("2001:db8:4900::1".parse().unwrap()));
        assert!(Prefix::parse("::/0").unwrap().contains("2001:db8::1".parse().unwrap()));
    }
}
