//! Stock WireGuard clients behind this node: each gets an address of the node's own delegation.

use crate::api::{self, Reply};
use crate::config::NodeName;
use crate::daemon::Daemon;
use crate::error::{ApiError, CliError, Trouble};
use crate::files::atomic;
use crate::schema::{ActionReply, WireguardReply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ln6_crypto::keys::Psk;
use ln6_overlay_core::control::{Command, StockPeer};
use ln6_types::{Instant, Prefix, PublicKey};
use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;
use std::path::Path;

const MOST: u64 = 4 << 20;
/// MTU of a client's tunnel, octets: 1460 outside with IPv6, 1440 with IPv4, which lines behind PPPoE (1492) carry whole.
const MTU: u16 = 1380;

/// One client, as it is written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leaf {
    name: String,
    key: PublicKey,
    prefix: Prefix,
    /// Base64; empty for none.
    #[serde(default)]
    psk: String,
}

impl Leaf {
    /// As control wants it.
    pub(crate) fn peer(&self) -> StockPeer {
        let psk = STANDARD.decode(&self.psk).ok().and_then(|bytes| bytes.try_into().ok());
        StockPeer {
            name: self.name.clone(),
            key: self.key,
            psk: psk.map_or(Psk::NONE, Psk::from_bytes),
            endpoint: None,
            prefixes: vec![self.prefix],
            keepalive: 0,
        }
    }
}

/// The clients registered so far.
pub(crate) fn load(path: &Path) -> Result<Vec<Leaf>, CliError> {
    let Some(bytes) = atomic::read(path, MOST)? else { return Ok(Vec::new()) };
    serde_json::from_slice(&bytes).map_err(|error| {
        CliError::new(Trouble::StateDamaged, format!("{} is damaged: {error}", path.display()))
            .hint("restore it from your backup, or move it away and register the clients again")
    })
}

fn store(path: &Path, leaves: &[Leaf]) -> Result<(), CliError> {
    let text = serde_json::to_vec_pretty(leaves)
        .map_err(|error| CliError::new(Trouble::Internal, error.to_string()))?;
    atomic::replace(path, &text)
}

/// A free part of `held` of length `size`: from its end, where LANs are not.
fn free_part(held: &[Prefix], size: u8, taken: &[Prefix]) -> Option<Prefix> {
    let is_free = |part: &Prefix| !taken.iter().any(|other| other.overlaps(*part));
    held.iter().filter(|whole| whole.len() <= size).find_map(|whole| {
        let width = u32::from(size - whole.len());
        let last = if width >= 128 { u128::MAX } else { (1u128 << width) - 1 };
        // The very last addresses are left alone: some are reserved for anycast (RFC 2526).
        let skip = if size == 128 { 256 } else { 0 };
        (0..65_536u128).filter_map(|back| whole.part(size, last.checked_sub(skip + back)?)).find(is_free)
    })
}

/// The client's own address: the first of its prefix, as the router's on a LAN; the one of all zeros belongs to all
/// routers (RFC 4291, section 2.6.1).
pub(crate) fn address_in(prefix: Prefix) -> Ipv6Addr {
    match prefix.len() {
        128 => prefix.network(),
        _ => Ipv6Addr::from_bits(prefix.network().to_bits() | 1),
    }
}

impl Daemon {
    /// Forgets a client; its session ends at once.
    pub(super) fn remove_leaf(&mut self, now: Instant, name: String) -> Result<Reply, ApiError> {
        let path = self.node.layout.leaves.clone();
        let mut leaves = load(&path)?;
        let Some(place) = leaves.iter().position(|leaf| leaf.name == name) else {
            return Err(CliError::new(
                Trouble::NotFound,
                format!("no client called {name} was registered here"),
            )
            .hint("'ln6d peers' lists them as 'stock'; one of the configuration is removed there"));
        };
        let leaf = leaves.remove(place);
        store(&path, &leaves)?;
        if let Err(refusal) = self.control.handle_command(now, Command::DropStock(leaf.key)) {
            tracing::debug!(%refusal, "it was not connected");
        }
        Ok(Reply::of(ActionReply {
            done: "removed".to_owned(),
            name: Some(name),
            prefixes: vec![leaf.prefix],
            ..ActionReply::default()
        }))
    }

    /// Gives a client a part of this node's delegation; asked again for the same key, it gives the same.
    pub(super) fn register_leaf(&mut self, now: Instant, asked: api::Leaf) -> Result<Reply, ApiError> {
        if NodeName::new(&asked.name).is_none() {
            let near = NodeName::near(&asked.name);
            return Err(CliError::new(
                Trouble::NameInvalid,
                format!("'{}' is not a name; '{near}' would be one", asked.name),
            ));
        }
        let path = self.node.layout.leaves.clone();
        let mut leaves = load(&path)?;
        if leaves.iter().any(|leaf| leaf.name == asked.name && leaf.key != asked.public_key) {
            return Err(CliError::new(
                Trouble::NameTaken,
                format!("another client is called {}", asked.name),
            )
            .hint(format!(
                "choose another name, or forget that client first: 'ln6d wireguard-config {} --remove'",
                asked.name
            )));
        }
        let size = asked.size.unwrap_or(128);
        let known = leaves.iter().position(|leaf| leaf.key == asked.public_key);
        let place = match known {
            Some(place) => place,
            None => {
                let leaf = self.new_leaf(&asked, size, &leaves)?;
                leaves.push(leaf);
                store(&path, &leaves)?;
                leaves.len() - 1
            }
        };
        let leaf = leaves.swap_remove(place);
        self.control
            .handle_command(now, Command::PutStock(Box::new(leaf.peer())))
            .map_err(|refusal| CliError::new(Trouble::Internal, refusal.to_string()))?;
        let mut endpoints = self.node.public_endpoints();
        if endpoints.is_empty() {
            endpoints = self.control.view(now).me.endpoints.iter().map(ToString::to_string).collect();
        }
        if endpoints.is_empty() {
            return Err(CliError::new(
                Trouble::ConfigInvalid,
                "a client could not reach this node: it has no public address",
            )
            .hint("add public = [\"host\"] under [node], or register the client on a node that has one"));
        }
        Ok(Reply::of(WireguardReply {
            name: leaf.name,
            prefix: leaf.prefix,
            address: address_in(leaf.prefix),
            server_key: self.control.key(),
            endpoints,
            psk: (!leaf.psk.is_empty()).then_some(leaf.psk),
            mtu: MTU,
            allowed: vec![Prefix::ALL],
            resolvers: Vec::new(),
        }))
    }

    fn new_leaf(&self, asked: &api::Leaf, size: u8, others: &[Leaf]) -> Result<Leaf, ApiError> {
        let mut taken: Vec<Prefix> = others.iter().map(|leaf| leaf.prefix).collect();
        taken.extend(self.node.config.wireguard.iter().flat_map(|peer| peer.prefixes.iter().copied()));
        if let Some(plan) = self.control.plan() {
            let lans = plan.lans.iter().flat_map(|lan| &lan.prefixes);
            if size < 128 {
                taken.extend(lans.map(|lan| lan.prefix));
            } else {
                taken.extend(lans.map(|lan| Prefix::host(lan.address)));
            }
        }
        if self.control.held().is_empty() {
            return Err(CliError::new(
                Trouble::PoolExhausted,
                "this node holds no delegation to take an address from",
            )
            .hint("register the client on a gateway that has joined, or on the broker"));
        }
        let prefix = free_part(self.control.held(), size, &taken).ok_or_else(|| {
            CliError::new(Trouble::PoolExhausted, format!("no /{size} is free in this node's delegation"))
        })?;
        let psk = if asked.psk {
            let bytes = ln6_host::entropy::bytes::<32>()
                .map_err(|error| CliError::new(Trouble::Internal, error.to_string()))?;
            STANDARD.encode(bytes)
        } else {
            String::new()
        };
        Ok(Leaf { name: asked.name.clone(), key: asked.public_key, prefix, psk })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> Prefix {
        text.parse().expect("prefix")
    }

    #[test]
    fn clients_get_addresses_from_the_end_of_the_delegation() {
        let held = [p("2001:db8:4800::/56")];
        let first = free_part(&held, 128, &[]).expect("room");
        assert_eq!(first, p("2001:db8:4800:ff:ffff:ffff:ffff:feff/128"));
        let second = free_part(&held, 128, &[first]).expect("room");
        assert_ne!(first, second);
        assert_eq!(free_part(&held, 64, &[]), Some(p("2001:db8:4800:ff::/64")));
    }

    #[test]
    fn a_client_with_a_network_has_its_first_address() {
        let address = |prefix| address_in(p(prefix)).to_string();
        assert_eq!(address("2001:db8:4800:fc::/62"), "2001:db8:4800:fc::1");
        assert_eq!(address("2001:db8:4800:ff::7/128"), "2001:db8:4800:ff::7");
    }

    #[test]
    fn nothing_is_given_twice_or_from_outside() {
        let held = [p("2001:db8::/63")];
        let taken = [p("2001:db8::/64"), p("2001:db8:0:1::/64")];
        assert_eq!(free_part(&held, 64, &taken), None);
        assert_eq!(free_part(&held, 48, &[]), None);
        assert_eq!(free_part(&[], 128, &[]), None);
    }
}
