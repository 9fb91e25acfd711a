//! What the kernel should look like for what this node holds.

use crate::control::Control;
use crate::host_plan::{FirewallPlan, HostPlan, HostRoute, HostVia, LanPlan, LanPrefix};
use ln6_types::Prefix;

/// Kernel metric of our routes; below the kernel's own 1024 for router advertisements on no account, so that an uplink
/// with working IPv6 is not taken over.
const METRIC: u32 = 512;
/// Metric of the routes that catch what no interface has.
const LAST: u32 = 4_294_967_294;
/// Link MTU advertised on LANs: fits a relayed path, so that hosts need no path MTU discovery to begin.
const LAN_MTU: u16 = 1360;
/// Router lifetime advertised on LANs, in seconds.
const ROUTER_LIFETIME: u16 = 1800;

impl Control {
    /// The desired state of the host.
    pub(crate) fn host_plan(&self) -> HostPlan {
        let via_tun = |to, from| HostRoute { to, from, via: HostVia::Tun, metric: METRIC };
        let mut routes: Vec<HostRoute> =
            self.inside.iter().map(|prefix| via_tun(*prefix, Prefix::ALL)).collect();
        for prefix in &self.held {
            routes.push(HostRoute {
                to: *prefix,
                from: Prefix::ALL,
                via: HostVia::Unreachable,
                metric: LAST,
            });
            if !self.is_exit_now {
                routes.push(via_tun(Prefix::ALL, *prefix));
            }
        }
        for peer in self.peers.iter() {
            let leaves = peer.stock.iter().flat_map(|stock| &stock.prefixes);
            routes.extend(leaves.map(|prefix| via_tun(*prefix, Prefix::ALL)));
        }
        routes.sort_unstable();
        routes.dedup();
        HostPlan {
            tun_addresses: vec![(self.node_address, 128)],
            routes,
            lans: self.lan_plans(),
            firewall: self.firewall.then(|| FirewallPlan {
                inbound: self.inbound,
                members: self.inside.clone(),
                protected: self.held.clone(),
                openings: self.openings.clone(),
            }),
        }
    }

    /// Whether a broker numbers single hosts in it: the last /64 of a pool. Its LAN has that only if there is nothing better.
    fn is_for_hosts(&self, held: Prefix) -> bool {
        let last = |pool: &Prefix| pool.part(64, (1u128 << (64 - pool.len().min(64))) - 1);
        self.pools_of_own.iter().any(|pool| last(pool) == Some(held))
    }

    fn lan_plans(&self) -> Vec<LanPlan> {
        let connected = self.hopeful.is_some() || self.peers.iter().any(|peer| peer.connected());
        let mut plans = Vec::new();
        for (place, lan) in self.lans.iter().enumerate() {
            let subnet = u128::from(lan.subnet.unwrap_or(place as u64));
            // Of each delegation: several brokers may have given one, and while a holder moves it has the old and the new.
            let part = |held: &Prefix| held.part(64, subnet).filter(|_| held.len() <= 64);
            let (hosts, lans): (Vec<Prefix>, Vec<Prefix>) =
                self.held.iter().partition(|held| self.is_for_hosts(**held));
            let mut prefixes: Vec<LanPrefix> = lans.iter().filter_map(part).map(lan_prefix).collect();
            if prefixes.is_empty() {
                prefixes.extend(hosts.iter().find_map(part).map(lan_prefix));
            }
            let gone =
                self.was_held.iter().filter(|held| held.len() <= 64).filter_map(|held| held.part(64, subnet));
            let deprecated: Vec<LanPrefix> =
                gone.map(lan_prefix).filter(|old| !prefixes.contains(old)).collect();
            plans.push(LanPlan {
                interface: lan.interface.clone(),
                router_lifetime: if connected && !prefixes.is_empty() { ROUTER_LIFETIME } else { 0 },
                route_information: if prefixes.is_empty() { Vec::new() } else { self.inside.clone() },
                prefixes,
                deprecated,
                mtu: LAN_MTU,
                resolvers: lan.resolvers.clone(),
            });
        }
        plans
    }
}

fn lan_prefix(prefix: Prefix) -> LanPrefix {
    LanPrefix { prefix, address: prefix.address(1) }
}
