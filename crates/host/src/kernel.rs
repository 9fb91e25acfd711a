//! The kernel as the reconciler sees it: links, addresses, routes, and the few ways to change them.

use crate::plan::HostRoute;
use core::fmt;
use core::future::Future;
use core::net::{IpAddr, Ipv6Addr};
use ln6_types::Prefix;
use thiserror::Error;

/// The route (and address) protocol number by which we know our own: 0x6c, the letter `l`. It lies in the range that
/// the kernel leaves to daemons; `ip -6 route show proto 108` lists what we made.
pub const PROTOCOL: u8 = 0x6c;

/// The metric the kernel gives to an IPv6 route that asks for 0.
pub const DEFAULT_METRIC: u32 = 1024;

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Index; changes when the interface is made anew.
    pub index: u32,
    /// Name, as the kernel has it.
    pub name: String,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it has a carrier.
    pub running: bool,
    /// Whether it is a loopback.
    pub loopback: bool,
    /// MTU in octets.
    pub mtu: u32,
    /// Length of the transmit queue in packets.
    pub queue: u32,
    /// Ethernet address, where it has one.
    pub mac: Option<[u8; 6]>,
}

/// An address on an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// The interface.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix.
    pub len: u8,
    /// Whether it carries our protocol number (kernels before 5.18 never say so).
    pub ours: bool,
    /// Whether its preferred lifetime is over.
    pub deprecated: bool,
    /// Whether it can be used: neither tentative nor a duplicate.
    pub usable: bool,
    /// Whether it is a temporary (privacy) address.
    pub temporary: bool,
}

/// Where a kernel route leads, by interface index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum KernelVia {
    /// Out of this interface, without a gateway.
    Device(u32),
    /// Nowhere, with an ICMPv6 error.
    Unreachable,
    /// Something we never make; it counts as wrong.
    Other,
}

/// An IPv6 route of the main table with our protocol number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KernelRoute {
    /// Destination.
    pub to: Prefix,
    /// Source it is for; `::/0` = any.
    pub from: Prefix,
    /// Metric, never 0.
    pub metric: u32,
    /// Where it leads.
    pub via: KernelVia,
}

impl KernelRoute {
    /// The kernel's form of a planned route that leads to `via`.
    pub fn of(route: &HostRoute, via: KernelVia) -> Self {
        let metric = if route.metric == 0 { DEFAULT_METRIC } else { route.metric };
        KernelRoute { to: route.to, from: route.from, metric, via }
    }

    /// What makes two routes the same to the kernel's replace.
    pub fn key(&self) -> (Prefix, Prefix, u32) {
        (self.to, self.from, self.metric)
    }
}

impl fmt::Display for KernelRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}", self.to)?;
        if !self.from.is_default() {
            write!(f, " from {}", self.from)?;
        }
        match self.via {
            KernelVia::Device(index) => write!(f, " by interface {index}")?,
            KernelVia::Unreachable => write!(f, " unreachable")?,
            KernelVia::Other => {}
        }
        write!(f, " metric {}", self.metric)
    }
}

/// A default route that is not ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DefaultRoute {
    /// Whether it is of IPv6.
    pub ipv6: bool,
    /// The interface it leaves by; `None` for a multipath route.
    pub index: Option<u32>,
    /// Its metric.
    pub metric: u32,
}

/// One of our addresses on an interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OwnAddress {
    /// The interface.
    pub index: u32,
    /// The address.
    pub address: Ipv6Addr,
    /// Length of its prefix.
    pub len: u8,
}

impl fmt::Display for OwnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {}/{} on interface {}", self.address, self.len, self.index)
    }
}

/// How the TUN device should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TunShape {
    /// MTU in octets.
    pub mtu: u32,
    /// Length of the transmit queue in packets; what does not fit is dropped by the kernel.
    pub queue: u32,
}

/// One change of the kernel's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Switch an interface on and shape it.
    SetLink {
        /// The interface.
        index: u32,
        /// Its shape.
        shape: TunShape,
    },
    /// Add an address, or change whether it is deprecated; never takes it away in between.
    PutAddress {
        /// The address.
        address: OwnAddress,
        /// Whether the host itself should stop choosing it as a source.
        deprecated: bool,
    },
    /// Add a route; refused if there is one with the same key.
    AddRoute(KernelRoute),
    /// Put a route in the place of ours with the same key, in one step.
    ReplaceRoute(KernelRoute),
    /// Remove a route of ours.
    DeleteRoute(KernelRoute),
    /// Remove an address of ours.
    DeleteAddress(OwnAddress),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::SetLink { index, shape } => write!(f, "switch on interface {index} with MTU {}", shape.mtu),
            Step::PutAddress { address, deprecated: false } => write!(f, "put {address}"),
            Step::PutAddress { address, deprecated: true } => write!(f, "put deprecated {address}"),
            Step::AddRoute(route) => write!(f, "add {route}"),
            Step::ReplaceRoute(route) => write!(f, "replace {route}"),
            Step::DeleteRoute(route) => write!(f, "delete {route}"),
            Step::DeleteAddress(address) => write!(f, "delete {address}"),
        }
    }
}

/// Why the kernel did not do as told.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum KernelError {
    /// Source-specific routes are not built in.
    #[error("this kernel has no source-specific IPv6 routes (CONFIG_IPV6_SUBTREES)")]
    NoSourceRoutes,
    /// A foreign route or address is in the way; it was left alone.
    #[error("cannot {0}: somebody else's is in its place")]
    Taken(Step),
    /// Not allowed.
    #[error("the kernel does not let us change the network")]
    Denied,
    /// The interface is gone, or not up.
    #[error("cannot {0}: the interface is gone or down")]
    NoLink(Step),
    /// IPv6 is switched off.
    #[error("cannot {0}: IPv6 is switched off")]
    NoIpv6(Step),
    /// Anything else, by its `errno`.
    #[error("cannot {step}: {reason}")]
    Refused {
        /// What was tried.
        step: Step,
        /// The error number's text.
        reason: String,
    },
    /// A dump failed.
    #[error("cannot read the kernel's {what}: {reason}")]
    Dump {
        /// Links, addresses or routes.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// No netlink socket.
    #[error("cannot speak with the kernel by netlink: {0}")]
    Socket(String),
}

impl KernelError {
    /// Stable code for messages.
    pub fn code(&self) -> &'static str {
        match self {
            KernelError::NoSourceRoutes => "no_source_routes",
            KernelError::Taken(_) => "kernel_state_taken",
            KernelError::Denied => "not_permitted",
            KernelError::NoLink(_) => "interface_down",
            KernelError::NoIpv6(_) => "ipv6_disabled",
            KernelError::Refused { .. } => "kernel_refused",
            KernelError::Dump { .. } => "kernel_unreadable",
            KernelError::Socket(_) => "no_netlink",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            KernelError::NoSourceRoutes => {
                "use a kernel with CONFIG_IPV6_SUBTREES=y (Debian and OpenWrt have it), or one exit without source-specific routes"
            }
            KernelError::Taken(_) => {
                "look with `ip -6 route` and `ip -6 address`, and remove it or choose another metric"
            }
            KernelError::Denied => "run as root or with CAP_NET_ADMIN",
            KernelError::NoLink(_) => "look with `ip link`, and switch the interface on",
            KernelError::NoIpv6(_) => {
                "sysctl -w net.ipv6.conf.all.disable_ipv6=0, and the same for the interface"
            }
            KernelError::Refused { .. } => "look with `ip -6 route`, `ip -6 address` and `dmesg`",
            KernelError::Dump { .. } | KernelError::Socket(_) => {
                "allow AF_NETLINK sockets (RestrictAddressFamilies in the service unit)"
            }
        }
    }
}

/// The kernel, or a fake of it.
pub trait Kernel {
    /// All interfaces.
    fn links(&mut self) -> impl Future<Output = Result<Vec<Link>, KernelError>> + Send;
    /// All addresses of both families.
    fn addresses(&mut self) -> impl Future<Output = Result<Vec<Address>, KernelError>> + Send;
    /// The IPv6 routes of the main table that carry our protocol number.
    fn routes(&mut self) -> impl Future<Output = Result<Vec<KernelRoute>, KernelError>> + Send;
    /// The default routes of both families and the main table that are not ours.
    fn default_routes(&mut self) -> impl Future<Output = Result<Vec<DefaultRoute>, KernelError>> + Send;
    /// Makes one change. Removing what is already gone succeeds.
    fn execute(&mut self, step: Step) -> impl Future<Output = Result<(), KernelError>> + Send;
}
