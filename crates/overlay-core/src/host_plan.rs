//! What the kernel around the node should look like. Computed by control, made true by a reconciler, removed at exit.

use core::net::Ipv6Addr;
use ln6_types::Prefix;

/// The whole desired state. Whatever carries our route protocol number and is not in here is removed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostPlan {
    /// Addresses on the TUN device.
    pub tun_addresses: Vec<(Ipv6Addr, u8)>,
    /// Routes of the main table, source-specific where `from` is not `::/0`.
    pub routes: Vec<HostRoute>,
    /// Interfaces of the LAN that get a /64.
    pub lans: Vec<LanPlan>,
    /// The firewall, if it is ours to keep.
    pub firewall: Option<FirewallPlan>,
}

/// Where a kernel route leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum HostVia {
    /// Into the overlay.
    Tun,
    /// Nowhere, with an ICMPv6 error: the part of a delegation that is not in use, against loops.
    Unreachable,
}

/// One kernel route.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HostRoute {
    /// Destination.
    pub to: Prefix,
    /// Source the route is for; `::/0` = any.
    pub from: Prefix,
    /// Where it leads.
    pub via: HostVia,
    /// Kernel metric (priority); lower is preferred.
    pub metric: u32,
}

/// One LAN interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LanPlan {
    /// Name of the interface, such as `br-lan`.
    pub interface: String,
    /// The /64s in force on it, with the router's address in each; advertised for SLAAC.
    pub prefixes: Vec<LanPrefix>,
    /// /64s that were in force and go away: advertised with preferred lifetime 0 (RFC 9096) before they are withdrawn.
    pub deprecated: Vec<LanPrefix>,
    /// Router lifetime to advertise, in seconds; 0 = not a default router (RFC 4861, section 4.2).
    pub router_lifetime: u16,
    /// More specific routes to advertise (RFC 4191).
    pub route_information: Vec<Prefix>,
    /// Link MTU to advertise.
    pub mtu: u16,
    /// Recursive resolvers to advertise (RFC 8106); empty = none.
    pub resolvers: Vec<Ipv6Addr>,
}

/// A /64 on a LAN.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LanPrefix {
    /// The /64.
    pub prefix: Prefix,
    /// The router's own address in it.
    pub address: Ipv6Addr,
}

/// Who may open connections from the overlay into what lies behind this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Inbound {
    /// Sources within the network's pools and ULA may; the Internet may not.
    #[default]
    Members,
    /// Nobody may.
    Closed,
    /// Everybody may.
    Open,
}

/// A hole in the firewall.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening {
    /// Destination within our delegation.
    pub to: Prefix,
    /// `None` = every protocol.
    pub protocol: Option<Protocol>,
    /// Ports, first to last inclusive; `None` = all of the protocol.
    pub ports: Option<(u16, u16)>,
}

/// A transport protocol of an [`Opening`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// The stateful ruleset for what enters by the TUN device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirewallPlan {
    /// The rule of thumb.
    pub inbound: Inbound,
    /// The network's own prefixes: pools and ULA.
    pub members: Vec<Prefix>,
    /// What lies behind us and is protected.
    pub protected: Vec<Prefix>,
    /// Exceptions.
    pub openings: Vec<Opening>,
}
