//! Looking at the machine. Everything is read; nothing is changed, but for a UDP port that is opened and closed.

use super::{Facts, Usable, of_host};
use crate::config::{Config, PORT};
use crate::files::identity::Identity;
use crate::files::{Layout, layout};
use crate::schema::{Problem, Time};
use ln6_host::netlink::Netlink;
use ln6_host::uplink::Surroundings;
use std::fs::{self, OpenOptions};
use std::io;
use std::net::{Ipv6Addr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The bit of `CAP_NET_ADMIN`.
const NET_ADMIN: u64 = 1 << 12;

/// Looks at everything.
pub fn gather(layout: &Layout) -> Facts {
    let config = Config::load_file(&layout.config);
    let read = config.as_ref().ok().and_then(Option::as_ref);
    let own = read.map_or("ln6", |config| config.node.interface.as_str());
    let default = default_route(own);
    let lans = read.map(|config| config.lans.as_slice()).unwrap_or_default();
    Facts {
        command: layout.command.clone(),
        config_mode: layout::mode(&layout.config),
        identity: Identity::load(&layout.identity).err(),
        root_key_here: layout.root_key.exists(),
        running: UnixStream::connect(&layout.socket).is_ok(),
        tun: tun(),
        net_admin: capabilities().is_some_and(|set| set & NET_ADMIN != 0),
        now: Time::now(),
        forwarding: sysctl("all/forwarding").map(|value| value != 0),
        subtrees: kernel_option("CONFIG_IPV6_SUBTREES"),
        port: port(read.map_or(PORT, |config| config.node.listen)),
        interface_exists: exists(own),
        missing_lans: lans.iter().map(|lan| lan.interface.to_string()).filter(|name| !exists(name)).collect(),
        uplink_mtu: default.as_deref().and_then(mtu),
        uplink: default.map(|name| (name.clone(), listens_to_routers(&name))),
        free: free(&layout.state),
        nftables: None,
        speeds: crate::cipher::measure(),
        surroundings: surroundings(read),
        config,
    }
}

fn tun() -> Usable {
    match OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        Ok(_) => Usable::Yes,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Usable::Denied,
        Err(_) => Usable::No,
    }
}

fn port(port: u16) -> Usable {
    match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Usable::No,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Usable::Denied,
        _ => Usable::Yes,
    }
}

fn capabilities() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn sysctl(name: &str) -> Option<i64> {
    fs::read_to_string(Path::new("/proc/sys/net/ipv6/conf").join(name)).ok()?.trim().parse().ok()
}

/// Whether there is such an interface in the network namespace of this process, which `/sys` may not show.
pub(crate) fn exists(interface: &str) -> bool {
    fs::read_to_string("/proc/net/dev").is_ok_and(|table| {
        table.lines().filter_map(|line| line.split_once(':')).any(|(name, _)| name.trim() == interface)
    })
}

fn mtu(interface: &str) -> Option<u32> {
    fs::read_to_string(Path::new("/sys/class/net").join(interface).join("mtu")).ok()?.trim().parse().ok()
}

/// Whether a default route learnt from advertisements stays: `accept_ra` 2, or none was learnt so.
fn listens_to_routers(interface: &str) -> bool {
    let by_advertisement = fs::read_to_string("/proc/net/ipv6_route").is_ok_and(|table| {
        table
            .lines()
            .filter_map(Route::read)
            .any(|route| route.is_default() && route.learnt && route.interface == interface)
    });
    !by_advertisement || sysctl(&format!("{interface}/accept_ra")) == Some(2)
}

/// The interface of the IPv6 default route, else of the IPv4 one; the node's own device is no uplink.
fn default_route(own: &str) -> Option<String> {
    let six = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let four = fs::read_to_string("/proc/net/route").unwrap_or_default();
    default_among(&six, &four, own).map(str::to_owned)
}

fn default_among<'a>(six: &'a str, four: &'a str, own: &str) -> Option<&'a str> {
    let leads_out =
        |route: &Route<'_>| route.is_default() && route.interface != "lo" && route.interface != own;
    let by_six = six.lines().filter_map(Route::read).find(leads_out).map(|route| route.interface);
    by_six.or_else(|| {
        four.lines().find_map(|line| {
            let mut fields = line.split_whitespace();
            let interface = fields.next().filter(|name| *name != own)?;
            (fields.next() == Some("00000000")).then_some(interface)
        })
    })
}

/// What stands between the uplink and the pools. Without netlink nothing is known, and other findings say why.
fn surroundings(config: Option<&Config>) -> Vec<Problem> {
    let Some(config) = config else { return Vec::new() };
    let pools: Vec<_> =
        config.broker.iter().flat_map(|broker| &broker.pools).map(|pool| pool.prefix).collect();
    let look = async {
        let mut kernel = Netlink::open_default().ok()?;
        Surroundings::look(&mut kernel).await.ok()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok();
    let around = runtime.and_then(|runtime| runtime.block_on(look));
    around.map_or_else(Vec::new, |around| {
        around.check(config.node.interface.as_str(), &pools).iter().map(of_host).collect()
    })
}

/// A line of `/proc/net/ipv6_route`.
#[derive(Debug, PartialEq, Eq)]
struct Route<'a> {
    to: &'a str,
    length: &'a str,
    learnt: bool,
    interface: &'a str,
}

impl<'a> Route<'a> {
    fn read(line: &'a str) -> Option<Self> {
        const RTF_ADDRCONF: u64 = 0x0004_0000;
        let fields: Vec<_> = line.split_whitespace().collect();
        let [to, length, _, _, _, _, _, _, flags, interface] = fields[..] else { return None };
        let flags = u64::from_str_radix(flags, 16).ok()?;
        Some(Route { to, length, learnt: flags & RTF_ADDRCONF != 0, interface })
    }

    fn is_default(&self) -> bool {
        self.length == "00" && self.to.bytes().all(|digit| digit == b'0')
    }
}

/// Whether the running kernel was built with an option, where the distribution says so.
fn kernel_option(option: &str) -> Option<bool> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let config = fs::read_to_string(format!("/boot/config-{}", release.trim())).ok()?;
    let set = |line: &str| line.strip_prefix(option).is_some_and(|rest| rest == "=y" || rest == "=m");
    Some(config.lines().any(set))
}

fn free(state: &Path) -> Option<u64> {
    let dir = state.parent().filter(|dir| dir.is_dir())?;
    let stat = nix::sys::statvfs::statvfs(dir).ok()?;
    #[allow(clippy::unnecessary_cast)] // narrower on 32-bit targets
    Some(stat.blocks_available() as u64 * stat.fragment_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learnt_default_route_is_recognised() {
        let line = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                    fe800000000000000000000000000001 00000400 00000001 00000000 00450003     eth0";
        let route = Route::read(line).expect("route");
        assert!(route.is_default() && route.learnt);
        assert_eq!(route.interface, "eth0");
        assert_eq!(Route::read("not a route"), None);
    }

    #[test]
    fn the_nodes_own_default_route_is_no_uplink() {
        let route = |interface: &str| {
            format!(
                "{0} 00 20010db848000000{1} 30 {0} 00000400 00000001 00000000 00000001 {interface}\n",
                "0".repeat(32),
                "0".repeat(16)
            )
        };
        let (own, uplink) = (route("ln6"), route("eth0"));
        let four = "Iface Destination Gateway\nln6 00000000 0\nwan 00000000 0100000A\n";
        assert_eq!(default_among(&format!("{own}{uplink}"), "", "ln6"), Some("eth0"));
        assert_eq!(default_among(&own, four, "ln6"), Some("wan"));
        assert_eq!(default_among(&own, "", "ln6"), None);
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let facts = gather(&Layout::under(Path::new("/nonexistent")));
        assert!(matches!(facts.config, Ok(None)));
        assert_eq!(facts.identity.map(|error| error.code.to_string()), Some("no_identity".into()));
        assert!(!facts.running);
    }
}
