//! Cables, bridges and address translation between namespaces.

use crate::Namespace;
use crate::namespace::call;
use anyhow::Result;
use std::process::Command;

impl Namespace {
    /// Lays a cable: interface `here` in this namespace, `there` in the other, both up.
    ///
    /// # Errors
    /// What `ip` says, for instance that a name is taken.
    pub fn cable(&self, here: &str, other: &Self, there: &str) -> Result<()> {
        let (from, to) = (self.full_name(), other.full_name());
        call(
            Command::new("ip").args([
                "link", "add", here, "netns", from, "type", "veth", "peer", "name", there, "netns", to,
            ]),
        )?;
        self.ip(&[&format!("link set {here} up")])?;
        other.ip(&[&format!("link set {there} up")])
    }

    /// A cable that carries IPv4 only. Each end is an interface and its address with length.
    ///
    /// # Errors
    /// What `ip` and `sysctl` say.
    pub fn cable_ipv4(&self, here: (&str, &str), other: &Self, there: (&str, &str)) -> Result<()> {
        self.cable(here.0, other, there.0)?;
        for (namespace, (interface, address)) in [(self, here), (other, there)] {
            namespace.sysctl(&format!("net.ipv6.conf.{interface}.disable_ipv6"), "1")?;
            namespace.ip(&[&format!("addr add {address} dev {interface}")])?;
        }
        Ok(())
    }

    /// Makes a bridge that forwards at once, with the ports given (they must exist).
    ///
    /// # Errors
    /// What `ip` says.
    pub fn bridge(&self, name: &str, ports: &[&str]) -> Result<()> {
        self.ip(&[
            &format!("link add {name} type bridge forward_delay 0 stp_state 0 mcast_snooping 0"),
            &format!("link set {name} up"),
        ])?;
        ports.iter().try_for_each(|port| self.ip(&[&format!("link set {port} master {name}")]))
    }

    /// Forwards IPv4 between its interfaces.
    ///
    /// # Errors
    /// What `sysctl` says.
    pub fn route_ipv4(&self) -> Result<()> {
        self.sysctl("net.ipv4.ip_forward", "1")
    }

    /// Forwards IPv4 and hides what leaves by `outside` behind its address, as a home router does: nothing gets
    /// in that was not asked for.
    ///
    /// # Errors
    /// What `nft` and `sysctl` say.
    pub fn masquerade(&self, outside: &str) -> Result<()> {
        self.route_ipv4()?;
        let rules = format!(
            "table ip lab {{
               chain out {{ type nat hook postrouting priority 100; oifname {outside} masquerade; }}
               chain through {{ type filter hook forward priority 0;
                 iifname {outside} ct state established,related accept;
                 iifname {outside} drop; }}
             }}"
        );
        self.run(&["nft", &rules]).map(drop)
    }
}
