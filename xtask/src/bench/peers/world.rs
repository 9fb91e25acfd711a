//! The topology: two nodes on one cable, a host behind each, and a third machine for whoever needs a server.
//!
//! ```text
//! la ══ br-lan a eth0 ════ veth ════ eth0 b br-lan ══ lb
//!              a eth1 ── s ── eth1 b         (198.18.0.1, reached by both)
//! ```

use anyhow::Result;
use ln6_lab::wire::{self, Trouble};
use ln6_lab::{Lab, Namespace, Process};
use std::net::IpAddr;

/// The inner MTU of every program.
pub(crate) const MTU: &str = "1400";
/// Where the machine `s` is found.
pub(crate) const SERVER: &str = "198.18.0.1";
/// The underlay addresses of `a` and `b`.
pub(crate) const UNDERLAY: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
/// Inside addresses of the ends, and of the hosts behind them, for programs that have none of their own.
pub(crate) const ENDS: [&str; 2] = ["fd00:be::1", "fd00:be::2"];
pub(crate) const LANS: [&str; 2] = ["fd00:a::", "fd00:b::"];

/// What lies between the nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Underlay {
    /// A veth.
    Cable,
    /// Nothing: they reach each other through the machine `s` only, which does not route.
    Apart,
    /// A program that carries single frames, and loses and reorders some.
    Wire(Trouble),
}

/// One run of one program.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) nodes: [Namespace; 2],
    pub(crate) hosts: [Namespace; 2],
    pub(crate) server: Namespace,
    /// What to measure between: the nodes' own inside addresses, and the hosts'.
    pub(crate) ends: [IpAddr; 2],
    pub(crate) lan: Option<[IpAddr; 2]>,
    /// The daemons on `a` and `b`: their processor time and memory count.
    pub(crate) daemons: Vec<Process>,
    /// What must live and does not count.
    pub(crate) others: Vec<Process>,
    /// Lines that ln6d's nodes have in `[node]` beside the usual ones.
    pub(crate) settings: Vec<String>,
    /// The nodes reach each other through the machine `s` only.
    pub(crate) is_apart: bool,
    /// The daemon of `a` runs on processor 0 and no other.
    pub(crate) first_alone: bool,
    lab: Lab,
}

impl World {
    pub(crate) fn new() -> Result<Self> {
        Self::laid(Underlay::Cable)
    }

    /// With something else between the nodes than a cable.
    pub(crate) fn laid(underlay: Underlay) -> Result<Self> {
        let mut lab = Lab::new("bench")?;
        let nodes = [lab.namespace("a")?, lab.namespace("b")?];
        let hosts = [lab.namespace("la")?, lab.namespace("lb")?];
        let server = lab.namespace("s")?;
        let mut others = Vec::new();
        match underlay {
            Underlay::Cable => {
                nodes[0].cable_ipv4(("eth0", "192.0.2.1/24"), &nodes[1], ("eth0", "192.0.2.2/24"))?;
            }
            Underlay::Apart => {}
            Underlay::Wire(trouble) => {
                let between = lab.namespace("w")?;
                let ends = [(&nodes[0], "eth0"), (&nodes[1], "eth0")];
                others.push(wire::lay(&between, ends, trouble)?);
                for (node, address) in nodes.iter().zip(UNDERLAY) {
                    node.sysctl("net.ipv6.conf.eth0.disable_ipv6", "1")?;
                    node.ip(&[&format!("addr add {address}/24 dev eth0")])?;
                }
            }
        }
        server.ip(&[&format!("addr add {SERVER}/32 dev lo")])?;
        for (at, node) in nodes.iter().enumerate() {
            let net = format!("198.51.10{at}");
            let (theirs, ours) = (format!("{net}.1/24"), format!("{net}.2/24"));
            server.cable_ipv4((&format!("to-{}", node.name()), &theirs), node, ("eth1", &ours))?;
            node.ip(&[&format!("route add {SERVER}/32 via {net}.1")])?;
            node.sysctl("net.ipv6.conf.all.forwarding", "1")?;
            hosts[at].sysctl("net.ipv6.conf.default.accept_ra", "2")?;
            node.cable("lan0", &hosts[at], "eth0")?;
            node.bridge(ln6_lab::LAN, &["lan0"])?;
        }
        let ends = ENDS.map(|text| text.parse().expect("an address"));
        Ok(Self {
            nodes,
            hosts,
            server,
            ends,
            lan: None,
            daemons: Vec::new(),
            others,
            settings: Vec::new(),
            is_apart: matches!(underlay, Underlay::Apart),
            first_alone: false,
            lab,
        })
    }

    /// Addresses and routes for a program that only makes a device: `device` at `a` and `b`.
    pub(crate) fn address(&mut self, devices: [&str; 2]) -> Result<()> {
        for (at, device) in devices.iter().enumerate() {
            let (here, there) = (LANS[at], LANS[1 - at]);
            self.nodes[at].ip(&[
                &format!("link set {device} mtu {MTU} up"),
                &format!("addr add {}/64 dev {device} nodad", ENDS[at]),
                &format!("route add {there}/64 dev {device}"),
                &format!("addr add {here}1/64 dev {} nodad", ln6_lab::LAN),
            ])?;
            self.hosts[at].ip(&[
                &format!("addr add {here}2/64 dev eth0 nodad"),
                &format!("route add default via {here}1"),
            ])?;
        }
        self.lan = Some(LANS.map(|lan| format!("{lan}2").parse().expect("an address")));
        Ok(())
    }

    /// The lab's directory.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.lab.directory()
    }

    /// The ends of all logs.
    pub(crate) fn logs(&self) -> String {
        self.lab.logs(8)
    }
}
