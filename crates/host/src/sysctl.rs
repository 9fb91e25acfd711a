//! The kernel's switches that decide whether a gateway forwards: checked, set if we may, reported otherwise.

use crate::finding::{Finding, Severity};
use crate::interface::InterfaceName;
use std::fs;
use std::path::PathBuf;

/// What the node needs of the host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// Whether packets are forwarded between tunnel and LAN or uplink.
    pub forwarding: bool,
    /// Interfaces towards the Internet; a forwarding host forgets their router advertisements unless told otherwise.
    pub uplinks: Vec<InterfaceName>,
    /// Interfaces that must have IPv6: the tunnel and the LANs.
    pub ipv6: Vec<InterfaceName>,
    /// Whether we may change what is wrong.
    pub set: bool,
}

/// The tree of switches, normally `/proc/sys`.
pub struct Sysctls {
    root: PathBuf,
}

impl Default for Sysctls {
    fn default() -> Self {
        Sysctls { root: PathBuf::from("/proc/sys") }
    }
}

const FORWARDING: &str = "net/ipv6/conf/all/forwarding";

impl Sysctls {
    /// The tree below `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Sysctls { root: root.into() }
    }

    /// Checks (and sets) what `needs` names. An empty answer means that all is well.
    pub fn check(&self, needs: &Needs) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.read("net/ipv6/conf/all/disable_ipv6").is_none() {
            found.push(no_ipv6());
            return found;
        }
        found.extend(needs.ipv6.iter().filter_map(|name| self.check_enabled(name, needs.set)));
        if needs.forwarding {
            // In this order: a host that begins to forward forgets the default route of an uplink with accept_ra = 1.
            found.extend(needs.uplinks.iter().filter_map(|name| self.check_uplink(name, needs.set)));
            found.extend(self.check_forwarding(needs.set));
        }
        found
    }

    fn check_forwarding(&self, set: bool) -> Option<Finding> {
        if self.read(FORWARDING)? == 1 || (set && self.write(FORWARDING, 1)) {
            return None;
        }
        Some(Finding::new(
            "forwarding_off",
            Severity::Error,
            "this host does not forward IPv6 packets",
            "sysctl -w net.ipv6.conf.all.forwarding=1, and put the line into /etc/sysctl.d/60-ln6d.conf",
        ))
    }

    fn check_uplink(&self, name: &InterfaceName, set: bool) -> Option<Finding> {
        let key = format!("net/ipv6/conf/{name}/accept_ra");
        // 0 = configured by hand or by a daemon of its own; 2 = accepted also by a router.
        if self.read(&key)? != 1 || (set && self.write(&key, 2)) {
            return None;
        }
        Some(Finding::new(
            "uplink_forgets_router",
            Severity::Warning,
            format!(
                "{name} stops accepting router advertisements when this host forwards, and loses its default route"
            ),
            format!(
                "sysctl -w net/ipv6/conf/{name}/accept_ra=2 (harmless if the uplink is configured by hand)"
            ),
        ))
    }

    fn check_enabled(&self, name: &InterfaceName, set: bool) -> Option<Finding> {
        let key = format!("net/ipv6/conf/{name}/disable_ipv6");
        if self.read(&key)? == 0 || (set && self.write(&key, 0)) {
            return None;
        }
        Some(Finding::new(
            "ipv6_disabled",
            Severity::Error,
            format!("IPv6 is switched off on {name}"),
            format!("sysctl -w net/ipv6/conf/{name}/disable_ipv6=0"),
        ))
    }

    /// `None` if there is no such switch (the interface may not exist yet) or no number in it.
    fn read(&self, key: &str) -> Option<i64> {
        fs::read_to_string(self.root.join(key)).ok()?.trim().parse().ok()
    }

    /// Whether the switch now has the value.
    fn write(&self, key: &str, value: i64) -> bool {
        let path = self.root.join(key);
        let written = fs::write(&path, format!("{value}\n")).is_ok() && self.read(key) == Some(value);
        if written {
            tracing::info!(key, value, "sysctl set");
        }
        written
    }
}

fn no_ipv6() -> Finding {
    Finding::new(
        "no_ipv6",
        Severity::Error,
        "this kernel has no IPv6",
        "load the module ipv6, or remove ipv6.disable=1 from the kernel's command line",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, entries: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("ln6-sysctl-{name}-{}", std::process::id()));
            for (key, value) in entries {
                let path = root.join("net/ipv6/conf").join(key);
                fs::create_dir_all(path.parent().expect("parent")).expect("create");
                fs::write(path, value).expect("write");
            }
            Tree(root)
        }
        fn sysctls(&self) -> Sysctls {
            Sysctls::at(&self.0)
        }
        fn value(&self, key: &str) -> String {
            fs::read_to_string(self.0.join("net/ipv6/conf").join(key)).expect("read").trim().to_owned()
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const FRESH: [(&str, &str); 4] = [
        ("all/disable_ipv6", "0"),
        ("all/forwarding", "0\n"),
        ("eth0/accept_ra", "1\n"),
        ("br-lan/disable_ipv6", "1\n"),
    ];

    fn needs(set: bool) -> Needs {
        let name = |text: &str| text.parse().expect("name");
        Needs { forwarding: true, uplinks: vec![name("eth0")], ipv6: vec![name("br-lan"), name("ln6")], set }
    }

    #[test]
    fn what_is_wrong_is_named_and_left_alone_without_permission() {
        let tree = Tree::new("check", &FRESH);
        let codes: Vec<_> = tree.sysctls().check(&needs(false)).iter().map(|f| f.code).collect();
        assert_eq!(codes, ["ipv6_disabled", "uplink_forgets_router", "forwarding_off"]);
        assert_eq!(tree.value("all/forwarding"), "0");
    }

    #[test]
    fn with_permission_it_is_put_right() {
        let tree = Tree::new("set", &FRESH);
        assert_eq!(tree.sysctls().check(&needs(true)), vec![]);
        assert_eq!(tree.value("all/forwarding"), "1");
        assert_eq!(tree.value("eth0/accept_ra"), "2");
        assert_eq!(tree.value("br-lan/disable_ipv6"), "0");
        assert_eq!(tree.sysctls().check(&needs(false)), vec![]);
    }

    #[test]
    fn a_hand_made_uplink_is_not_touched() {
        let tree =
            Tree::new("hand", &[("all/disable_ipv6", "0"), ("all/forwarding", "1"), ("eth0/accept_ra", "0")]);
        assert_eq!(tree.sysctls().check(&needs(true)), vec![]);
        assert_eq!(tree.value("eth0/accept_ra"), "0");
    }

    #[test]
    fn a_kernel_without_ipv6_is_named() {
        let tree = Tree::new("none", &[]);
        let codes: Vec<_> = tree.sysctls().check(&needs(true)).iter().map(|f| f.code).collect();
        assert_eq!(codes, ["no_ipv6"]);
    }
}
