//! The worlds that tests and the demo play in.

use crate::{Lab, Namespace};
use anyhow::Result;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The name that leads to the server, in every namespace.
pub const SERVER_NAME: &str = "vm.example.net";
/// The server's IPv4 address on the underlay.
pub const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The host that stands for the IPv6 Internet.
pub const INTERNET_HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
/// What the Internet routes to the server: address and length.
pub const POOL: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2001, 0xdb8, 0x4800, 0, 0, 0, 0, 0), 40);
/// The LAN bridge of every gateway.
pub const LAN: &str = "br-lan";

/// Two hosts, `a` and `b`, on one IPv4 cable: `eth0`, 192.0.2.1 and 192.0.2.2.
#[derive(Debug)]
pub struct TwoNodes {
    /// 192.0.2.1.
    pub a: Namespace,
    /// 192.0.2.2.
    pub b: Namespace,
    /// Owns both; last, so that everything that uses it goes first.
    pub lab: Lab,
}

/// Makes [`TwoNodes`].
///
/// # Errors
/// What [`Lab::new`] and the commands say.
pub fn two_nodes(label: &str) -> Result<TwoNodes> {
    let mut lab = Lab::new(label)?;
    let (a, b) = (lab.namespace("a")?, lab.namespace("b")?);
    a.cable_ipv4(("eth0", "192.0.2.1/24"), &b, ("eth0", "192.0.2.2/24"))?;
    Ok(TwoNodes { a, b, lab })
}

/// A gateway and a host in its LAN.
#[derive(Clone, Debug)]
pub struct Site {
    /// `eth0` to the provider, [`LAN`] to the client.
    pub gateway: Namespace,
    /// `eth0` in the gateway's LAN; takes its addresses from router advertisements.
    pub client: Namespace,
}

/// A server, four sites and an Internet:
///
/// ```text
/// internet ═ IPv6 only ═ eth0 server eth1 ── isp ── eth0 g1 br-lan ══ eth0 c1
///   2001:db8:ffff::1            192.0.2.2     ├── eth0 g2 br-lan ══ eth0 c2
///   2001:db8:4800::/40 →                      ├── nat3 ── eth0 g3 br-lan ══ eth0 c3
///                                             └── eth0 g4 br-lan ══ eth0 c4
/// ```
///
/// Single lines carry IPv4 only; every site is in another /24. Nobody but the server has a neighbour that
/// speaks IPv6 to the Internet.
#[derive(Debug)]
pub struct Community {
    /// The IPv4 router between everyone.
    pub isp: Namespace,
    /// [`INTERNET_HOST`]; routes [`POOL`] to the server.
    pub internet: Namespace,
    /// [`SERVER_ADDRESS`] on `eth1`, 2001:db8:ffff::2 with a default route on `eth0`.
    pub server: Namespace,
    /// The address translation before g3.
    pub nat3: Namespace,
    /// Sites 1 to 4.
    pub sites: [Site; 4],
    /// Owns all; last, so that everything that uses it goes first.
    pub lab: Lab,
}

/// Makes a [`Community`].
///
/// # Errors
/// What [`Lab::new`] and the commands say.
pub fn community(label: &str) -> Result<Community> {
    let mut lab = Lab::new(label)?;
    let isp = lab.namespace("isp")?;
    isp.route_ipv4()?;
    let server = lab.namespace("server")?;
    attach(&isp, "server", "192.0.2", &server, "eth1")?;
    let internet = internet_beside(&mut lab, &server)?;

    let mut gateways = Vec::new();
    for (number, net) in [(1, "198.51.100"), (2, "203.0.113"), (4, "198.18.4")] {
        let gateway = lab.namespace(&format!("g{number}"))?;
        attach(&isp, &format!("g{number}"), net, &gateway, "eth0")?;
        gateways.push(gateway);
    }
    let nat3 = lab.namespace("nat3")?;
    attach(&isp, "nat3", "198.18.3", &nat3, "eth0")?;
    nat3.masquerade("eth0")?;
    let hidden = lab.namespace("g3")?;
    attach(&nat3, "inside", "192.168.3", &hidden, "eth0")?;
    gateways.insert(2, hidden);

    let mut sites = Vec::new();
    for (index, gateway) in gateways.into_iter().enumerate() {
        let client = client_of(&mut lab, &gateway, &format!("c{}", index + 1))?;
        sites.push(Site { gateway, client });
    }
    let sites = sites.try_into().map_err(|_| anyhow::anyhow!("four sites were made"))?;
    lab.hosts(&[(&SERVER_ADDRESS.to_string(), SERVER_NAME)])?;
    Ok(Community { isp, internet, server, nat3, sites, lab })
}

/// A cable from a router (`.1`) to a host (`.2`) whose IPv4 default route it becomes.
fn attach(router: &Namespace, port: &str, net: &str, host: &Namespace, interface: &str) -> Result<()> {
    let (theirs, ours) = (format!("{net}.1/24"), format!("{net}.2/24"));
    router.cable_ipv4((port, &theirs), host, (interface, &ours))?;
    host.ip(&[&format!("route add default via {net}.1")])
}

fn internet_beside(lab: &mut Lab, server: &Namespace) -> Result<Namespace> {
    let internet = lab.namespace("internet")?;
    internet.cable("eth0", server, "eth0")?;
    internet.ip(&[
        &format!("addr add {INTERNET_HOST}/64 dev eth0 nodad"),
        &format!("route add {}/{} via 2001:db8:ffff::2 dev eth0", POOL.0, POOL.1),
    ])?;
    server.ip(&[
        "addr add 2001:db8:ffff::2/64 dev eth0 nodad",
        &format!("route add ::/0 via {INTERNET_HOST} dev eth0"),
    ])?;
    Ok(internet)
}

fn client_of(lab: &mut Lab, gateway: &Namespace, name: &str) -> Result<Namespace> {
    let client = lab.namespace(name)?;
    client.sysctl("net.ipv6.conf.default.accept_ra", "2")?;
    gateway.cable("lan0", &client, "eth0")?;
    gateway.bridge(LAN, &["lan0"])?;
    client.sysctl("net.ipv6.conf.eth0.accept_ra", "2")?;
    Ok(client)
}
