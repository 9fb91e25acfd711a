//! What surrounds the node: its ways to the Internet, the addresses others may reach it at, and whether a pool fits.

use crate::finding::{Finding, Severity};
use crate::kernel::{Address, DefaultRoute, Kernel, KernelError, Link};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ln6_types::Prefix;
use ln6_types::gathered;
use std::collections::BTreeSet;

/// Links, addresses and foreign default routes at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Surroundings {
    /// All interfaces.
    pub links: Vec<Link>,
    /// All addresses.
    pub addresses: Vec<Address>,
    /// Default routes that are not ours.
    pub defaults: Vec<DefaultRoute>,
}

/// An address at which other nodes may try to reach this one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Candidate {
    /// Public ones first, then those that make sense only nearby (RFC 1918, RFC 6598, ULA).
    pub private: bool,
    /// The address.
    pub address: IpAddr,
    /// The interface it is on.
    pub interface: String,
}

impl Surroundings {
    /// Asks the kernel.
    pub async fn look<K: Kernel>(kernel: &mut K) -> Result<Self, KernelError> {
        Ok(Surroundings {
            links: kernel.links().await?,
            addresses: kernel.addresses().await?,
            defaults: kernel.default_routes().await?,
        })
    }

    /// Whether there is a foreign default route of the family, by an interface that is up and is not `tun`.
    pub fn has_uplink(&self, ipv6: bool, tun: &str) -> bool {
        self.uplinks(tun).any(|(route, _)| route.ipv6 == ipv6)
    }

    /// The interfaces that default routes leave by, preferred first.
    pub fn uplink_interfaces(&self, tun: &str) -> Vec<String> {
        let mut ranked: Vec<(u32, &str)> =
            self.uplinks(tun).filter_map(|(route, link)| Some((route.metric, link?.name.as_str()))).collect();
        ranked.sort_unstable();
        let mut seen = BTreeSet::new();
        ranked.into_iter().filter(|(_, name)| seen.insert(*name)).map(|(_, name)| name.to_owned()).collect()
    }

    fn uplinks(&self, tun: &str) -> impl Iterator<Item = (&DefaultRoute, Option<&Link>)> {
        self.defaults.iter().filter_map(move |route| match route.index {
            None => Some((route, None)),
            Some(index) => {
                let link = self.links.iter().find(|link| link.index == index)?;
                (link.up && link.name != tun).then_some((route, Some(link)))
            }
        })
    }

    /// The prefixes on the link of `interface`, link-local ones left out.
    pub fn on_link(&self, interface: &str) -> Vec<Prefix> {
        let index = self.links.iter().find(|link| link.name == interface).map(|link| link.index);
        let mut found: Vec<Prefix> = self
            .addresses
            .iter()
            .filter(|seen| Some(seen.index) == index && seen.len < 128)
            .filter_map(|seen| match seen.address {
                IpAddr::V6(six) if !six.is_unicast_link_local() => Some(Prefix::new(six, seen.len)),
                _ => None,
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Addresses to offer to other nodes: on interfaces that are up and not `tun`, not within `own` (the network's own
    /// prefixes are no underlay), usable, neither deprecated nor temporary.
    pub fn candidates(&self, tun: &str, own: &[Prefix]) -> Vec<Candidate> {
        let fit = |seen: &&Address| {
            let ours = |six| own.iter().any(|prefix| prefix.contains(six));
            let within = matches!(seen.address, IpAddr::V6(six) if ours(six));
            seen.usable && !seen.deprecated && !seen.temporary && !within
        };
        let offered = self.addresses.iter().filter(fit).filter_map(|seen| {
            let link = self.links.iter().find(|link| link.index == seen.index)?;
            let private = reach(seen.address)?;
            (link.up && !link.loopback && link.name != tun).then(|| Candidate {
                private,
                address: seen.address,
                interface: link.name.clone(),
            })
        });
        let sorted: BTreeSet<Candidate> = gathered(offered);
        sorted.into_iter().collect()
    }

    /// What stands between this host and the delegation of `pools`.
    pub fn check(&self, tun: &str, pools: &[Prefix]) -> Vec<Finding> {
        let mut found = Vec::new();
        found.extend(self.check_uplink(tun, !pools.is_empty()));
        for interface in self.uplink_interfaces(tun) {
            for link in self.on_link(&interface) {
                let trouble = pools.iter().filter_map(|pool| check_pool(*pool, link, &interface));
                found.extend(trouble);
            }
        }
        found
    }

    fn check_uplink(&self, tun: &str, serves_pools: bool) -> Option<Finding> {
        let (six, four) = (self.has_uplink(true, tun), self.has_uplink(false, tun));
        match (six, four, serves_pools) {
            (false, false, _) => Some(Finding::new(
                "no_uplink",
                Severity::Warning,
                "this host has no default route, neither of IPv4 nor of IPv6",
                "look with `ip route` and `ip -6 route`; other nodes on the same link are still reached",
            )),
            (false, true, true) => Some(Finding::new(
                "no_ipv6_uplink",
                Severity::Error,
                "this host has pools to delegate but no IPv6 default route, so nobody can leave by it",
                "ask the provider for IPv6 and a routed prefix, and look with `ip -6 route show default`",
            )),
            _ => None,
        }
    }
}

/// Whether an address is for nearby use only; `None` if it is no good as an endpoint at all.
fn reach(address: IpAddr) -> Option<bool> {
    match address {
        IpAddr::V4(four) => {
            let shared = Prefix4(Ipv4Addr::new(100, 64, 0, 0), 10).contains(four);
            let bad =
                four.is_loopback() || four.is_link_local() || four.is_unspecified() || four.is_multicast();
            (!bad).then_some(four.is_private() || shared)
        }
        IpAddr::V6(six) => {
            let global = Prefix::new(Ipv6Addr::from_bits(0x2000 << 112), 3).contains(six);
            (global || six.is_unique_local()).then_some(!global)
        }
    }
}

struct Prefix4(Ipv4Addr, u32);

impl Prefix4 {
    fn contains(&self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.0.to_bits()) >> (32 - self.1) == 0
    }
}

fn check_pool(pool: Prefix, link: Prefix, interface: &str) -> Option<Finding> {
    if link.covers(pool) {
        return Some(Finding::new(
            "on_link_only",
            Severity::Error,
            format!("{pool} is not routed to this host: {interface} has {link} directly on the link"),
            "ask the provider for a prefix that is routed to this host; until then only single addresses (/128) can be lent, by NDP proxy",
        ));
    }
    pool.covers(link).then(|| {
        Finding::new(
            "pool_on_uplink",
            Severity::Warning,
            format!("{interface} uses {link}, which lies within the pool {pool}"),
            format!("reserve {link} in the registry, so that nobody gets the uplink's own prefix"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;

    fn p(text: &str) -> Prefix {
        text.parse().expect("prefix")
    }

    fn address(index: u32, text: &str, len: u8) -> Address {
        let address = text.parse().expect("address");
        Address { index, address, len, ours: false, deprecated: false, usable: true, temporary: false }
    }

    fn host() -> Surroundings {
        let mut lo = FakeKernel::link(1, "lo");
        lo.loopback = true;
        Surroundings {
            links: vec![
                lo,
                FakeKernel::link(2, "eth0"),
                FakeKernel::link(3, "br-lan"),
                FakeKernel::link(9, "ln6"),
            ],
            addresses: vec![
                address(1, "::1", 128),
                address(2, "198.51.100.7", 24),
                address(2, "2001:db8:ffff::7", 64),
                address(2, "fe80::7", 64),
                address(3, "192.168.1.1", 24),
                address(3, "2001:db8:4800::1", 64),
                address(9, "fd00::1", 128),
            ],
            defaults: vec![
                DefaultRoute { ipv6: true, index: Some(2), metric: 1024 },
                DefaultRoute { ipv6: false, index: Some(2), metric: 0 },
            ],
        }
    }

    #[test]
    fn candidates_are_the_addresses_that_others_can_use() {
        let offered: Vec<String> = host()
            .candidates("ln6", &[p("2001:db8:4800::/40")])
            .iter()
            .map(|c| format!("{} {} {}", c.interface, c.address, c.private))
            .collect();
        assert_eq!(
            offered,
            ["eth0 198.51.100.7 false", "eth0 2001:db8:ffff::7 false", "br-lan 192.168.1.1 true"]
        );
    }

    #[test]
    fn tentative_deprecated_and_temporary_addresses_are_not_offered() {
        for spoil in [
            (|a: &mut Address| a.usable = false) as fn(&mut Address),
            |a| a.deprecated = true,
            |a| a.temporary = true,
        ] {
            let mut host = host();
            host.addresses.iter_mut().for_each(spoil);
            assert_eq!(host.candidates("ln6", &[]), vec![]);
        }
    }

    #[test]
    fn a_default_route_into_the_tunnel_or_by_a_dead_link_is_no_uplink() {
        let mut host = host();
        assert!(host.has_uplink(true, "ln6"));
        assert_eq!(host.uplink_interfaces("ln6"), ["eth0"]);
        host.links[1].up = false;
        host.defaults.push(DefaultRoute { ipv6: true, index: Some(9), metric: 1 });
        assert!(!host.has_uplink(true, "ln6"));
        assert_eq!(host.check("ln6", &[])[0].code, "no_uplink");
    }

    #[test]
    fn a_pool_that_is_only_on_link_is_named() {
        let codes = |pool: &str| host().check("ln6", &[p(pool)]).iter().map(|f| f.code).collect::<Vec<_>>();
        assert_eq!(codes("2001:db8:ffff::/64"), ["on_link_only"]);
        assert_eq!(codes("2001:db8:ffff::/80"), ["on_link_only"]);
        assert_eq!(codes("2001:db8:ff00::/40"), ["pool_on_uplink"]);
        assert_eq!(codes("2001:db8:4800::/40"), [""; 0]);
    }

    #[test]
    fn pools_without_an_ipv6_uplink_are_an_error() {
        let mut host = host();
        host.defaults.remove(0);
        assert_eq!(host.check("ln6", &[p("2001:db8:4800::/40")])[0].code, "no_ipv6_uplink");
        assert_eq!(host.check("ln6", &[]), vec![]);
    }
}
