//! What can be taken over from a LibreNet6 `hosts/` folder: one tinc host file a node, with its subnets. Keys cannot: tinc's
//! are RSA or Ed25519 keys of another protocol, so each node gets an invitation instead. Pure: it is given names and
//! contents, and reads no file itself.

use crate::keylist::shown;
use ln6_registry::valid_name;
use ln6_types::Prefix;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Octets of the largest host file that is read; tinc's have one key and a few lines.
pub const LARGEST: usize = 64 << 10;
/// Files of a folder at most.
pub const FILES: usize = 10_000;
/// Subnets of one node at most.
const SUBNETS: usize = 64;

/// A key that cannot be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TincKey {
    /// tinc 1.0.
    Rsa,
    /// tinc 1.1.
    Ed25519,
}

impl TincKey {
    /// As people call it.
    pub const fn word(self) -> &'static str {
        match self {
            TincKey::Rsa => "rsa",
            TincKey::Ed25519 => "ed25519",
        }
    }
}

/// A node of the old network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The file's name, in printable characters.
    pub file: String,
    /// The name it gets; none if nothing could be made of the file's.
    pub name: Option<String>,
    /// What it held and may be reserved, disjoint.
    pub subnets: Vec<Prefix>,
    /// Its keys, which cannot be taken over.
    pub keys: Vec<TincKey>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// The hosts of a folder, by name of the file. What two of them hold both, or are called both, goes to the first.
pub fn hosts(files: &[(Vec<u8>, Vec<u8>)]) -> Vec<Host> {
    let mut sorted: Vec<&(Vec<u8>, Vec<u8>)> = files.iter().filter(|(name, _)| is_host(name)).collect();
    sorted.sort();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut held: Vec<(Prefix, String)> = Vec::new();
    let mut out = Vec::new();
    for (name, content) in sorted {
        let mut host = read(name, content);
        if let Some(name) = host.name.clone() {
            match names.get(&name) {
                Some(other) => {
                    host.notes.push(format!("is called {name} like {other}: rename one of the files"));
                    host.name = None;
                }
                None => drop(names.insert(name, host.file.clone())),
            }
        }
        let mut free = Vec::new();
        for subnet in std::mem::take(&mut host.subnets) {
            match held.iter().find(|(other, _)| other.overlaps(subnet)) {
                Some((other, of)) => host.notes.push(format!("{subnet} overlaps {other} of {of}")),
                None => {
                    held.push((subnet, host.file.clone()));
                    free.push(subnet);
                }
            }
        }
        host.subnets = free;
        out.push(host);
    }
    out
}

/// Papers, hidden files and what editors leave behind are no hosts.
fn is_host(name: &[u8]) -> bool {
    let upper = name.to_ascii_uppercase();
    !name.is_empty()
        && !name.starts_with(b".")
        && !name.ends_with(b"~")
        && !upper.starts_with(b"README")
        && !upper.starts_with(b"LICENSE")
}

fn read(name: &[u8], content: &[u8]) -> Host {
    let mut host = Host { file: shown(name), name: new_name(name), ..Host::default() };
    if host.name.is_none() {
        host.notes.push("no name can be made of the file's name: rename it".to_owned());
    }
    if content.len() > LARGEST {
        host.notes.push(format!("the file has more than {LARGEST} octets and was not read"));
        return host;
    }
    let text = String::from_utf8_lossy(content);
    for line in text.lines().map(str::trim) {
        if line.starts_with("-----BEGIN RSA PUBLIC KEY") {
            host.key(TincKey::Rsa);
        } else if line.starts_with("-----BEGIN ED25519 PUBLIC KEY") {
            host.key(TincKey::Ed25519);
        } else if let Some((word, value)) = setting(line) {
            match word.to_ascii_lowercase().as_str() {
                "subnet" => host.subnet(value),
                "ed25519publickey" => host.key(TincKey::Ed25519),
                "publickey" | "publickeyfile" => host.key(TincKey::Rsa),
                _ => {}
            }
        }
    }
    host
}

/// `Word = value` or `Word value`, as tinc has both.
fn setting(line: &str) -> Option<(&str, &str)> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c == '=' || c.is_whitespace())?;
    let value = line[end..].trim_start().trim_start_matches('=').trim();
    Some((&line[..end], value))
}

/// `topo_Quintana_1` becomes `topo-quintana-1`.
fn new_name(file: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(file).ok()?;
    let name = text.to_ascii_lowercase().replace('_', "-");
    let name = name.trim_matches(['-', '.']);
    valid_name(name).then(|| name.to_owned())
}

impl Host {
    fn key(&mut self, key: TincKey) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }

    fn subnet(&mut self, value: &str) {
        let told = shown(value.as_bytes());
        // A weight may follow: `…/64#10`.
        let plain = value.split('#').next().unwrap_or_default().trim();
        let (address, length) =
            plain.split_once('/').map_or((plain, None), |(address, length)| (address, Some(length)));
        let address = match address.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => address,
            Ok(IpAddr::V4(_)) => return self.notes.push(format!("{told} is IPv4")),
            Err(_) => return self.notes.push(format!("'{told}' is no IPv6 subnet")),
        };
        let Some(length) =
            length.map_or(Some(128), |length| length.parse::<u8>().ok().filter(|length| *length <= 128))
        else {
            return self.notes.push(format!("'{told}' is no IPv6 subnet"));
        };
        match left_out(address, length) {
            Some(why) => self.notes.push(format!("{told} {why}")),
            None if self.subnets.len() >= SUBNETS => {
                self.notes.push(format!("{told} is one subnet too many"))
            }
            None => {
                let prefix = Prefix::new(address, length);
                if prefix.network() != address {
                    self.notes.push(format!("{told} was read as {prefix}"));
                }
                self.subnets.push(prefix);
            }
        }
    }
}

/// Why a subnet is not reserved.
fn left_out(address: Ipv6Addr, length: u8) -> Option<&'static str> {
    match length {
        0..=15 => Some("is larger than any network's"),
        65..=128 => Some("is smaller than a /64"),
        _ if address.octets()[0] & 0xe0 != 0x20 => Some("is not of the public Internet (2000::/3)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Vec<Host> {
        let octets = |text: &str| text.as_bytes().to_vec();
        hosts(&files.iter().map(|(name, text)| (octets(name), octets(text))).collect::<Vec<_>>())
    }

    const RSA: &str = "-----BEGIN RSA PUBLIC KEY-----\nMIIBCgKCAQEAnotakey\n-----END RSA PUBLIC KEY-----\n";

    #[test]
    fn subnets_are_taken_over_and_keys_are_not() {
        let hosts = of(&[(
            "topo_Quintana_1",
            &format!(
                "Address = a.example.net\nSubnet = 2001:db8:1:f012::/64#10\nsubnet 2001:db8:1:f100::/56\n{RSA}Ed25519PublicKey = x\n"
            ),
        )]);
        assert_eq!(hosts[0].name.as_deref(), Some("topo-quintana-1"));
        assert_eq!(
            hosts[0].subnets.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["2001:db8:1:f012::/64", "2001:db8:1:f100::/56"]
        );
        assert_eq!(hosts[0].keys, [TincKey::Rsa, TincKey::Ed25519]);
        assert!(hosts[0].notes.is_empty());
    }

    #[test]
    fn what_cannot_be_reserved_is_told() {
        let notes = |line: &str| {
            let hosts = of(&[("a", line)]);
            assert!(hosts[0].subnets.is_empty(), "{line}");
            hosts[0].notes.join("; ")
        };
        assert_eq!(notes("Subnet = 10.0.0.0/8"), "10.0.0.0/8 is IPv4");
        assert_eq!(notes("Subnet = 2001:db8::1"), "2001:db8::1 is smaller than a /64");
        assert_eq!(notes("Subnet = 2001:db8::/80"), "2001:db8::/80 is smaller than a /64");
        assert_eq!(notes("Subnet = fd00::/64"), "fd00::/64 is not of the public Internet (2000::/3)");
        assert_eq!(notes("Subnet = 2001::/3"), "2001::/3 is larger than any network's");
        for wrong in [
            "Subnet = x/64",
            "Subnet = 2001:db8::/129",
            "Subnet = 00:11:22:33:44:55",
            "Subnet =",
            "Subnet = 2001:db8::/x",
        ] {
            assert!(notes(wrong).contains("is no IPv6 subnet"), "{wrong}");
        }
        let hosts = of(&[("a", "Subnet = 2001:db8:0:1::5/64")]);
        assert_eq!(hosts[0].notes, ["2001:db8:0:1::5/64 was read as 2001:db8:0:1::/64"]);
    }

    #[test]
    fn what_two_hold_goes_to_the_first() {
        let hosts = of(&[
            ("b", "Subnet = 2001:db8::/64"),
            ("a", "Subnet = 2001:db8::/56"),
            ("A", "Subnet = 2001:db8:9::/64"),
        ]);
        let names: Vec<_> =
            hosts.iter().map(|host| (host.file.as_str(), host.name.is_some(), host.subnets.len())).collect();
        assert_eq!(names, [("A", true, 1), ("a", false, 1), ("b", true, 0)]);
        assert_eq!(hosts[2].notes, ["2001:db8::/64 overlaps 2001:db8::/56 of a"]);
        assert_eq!(hosts[1].notes, ["is called a like A: rename one of the files"]);
    }

    #[test]
    fn hostile_files_stay_text() {
        let hosts = hosts(&[
            (b"\x1b[2J<b>\xff".to_vec(), b"Subnet = \x1b[31m\xff\n\0\0".to_vec()),
            (b"large".to_vec(), vec![b'S'; LARGEST + 1]),
            (b"README.md".to_vec(), b"Subnet = 2001:db8::/64".to_vec()),
            (b".git".to_vec(), Vec::new()),
        ]);
        assert_eq!(hosts.len(), 2);
        for host in &hosts {
            let all = format!("{}{}", host.file, host.notes.join(""));
            assert!(
                host.subnets.is_empty() && all.chars().all(|c| (' '..='~').contains(&c) || c == '…'),
                "{all:?}"
            );
        }
    }
}
