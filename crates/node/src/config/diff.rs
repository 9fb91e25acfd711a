//! What a new configuration changes, and what of it needs a restart.

use super::Config;
use ln6_api::schema::Change;

/// Every setting in which `new` differs from `old`, in the order of the file.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut note = |what: &str, differs: bool, needs_restart: bool| {
        if differs {
            changes.push(Change { what: what.to_owned(), needs_restart });
        }
    };
    let (a, b) = (&old.node, &new.node);
    note("node.name", a.name != b.name, true);
    note("node.listen", a.listen != b.listen, true);
    note("node.interface", a.interface != b.interface, true);
    note("node.mtu", a.mtu != b.mtu, true);
    note("node.workers", a.workers != b.workers, true);
    note("node.transit", a.transit != b.transit, true);
    note("node.transit_limit", a.transit_limit != b.transit_limit, true);
    note("node.public", a.public != b.public, true);
    note("node.log", a.log != b.log, false);
    note("node.offload", a.offload != b.offload, true);
    note("node.priority", a.priority != b.priority, true);
    note("node.suite", a.suite != b.suite, true);
    note("network", old.network != new.network, true);
    note("join", old.join != new.join, true);
    note("lan", old.lans != new.lans, false);
    note("firewall", old.firewall != new.firewall, false);
    note("broker", old.broker != new.broker, true);
    note("exit.enabled", old.exit != new.exit, true);
    note("wireguard", old.wireguard != new.wireguard, false);
    note("metrics.listen", old.metrics != new.metrics, true);
    #[cfg(feature = "broker")]
    note("keylist", old.keylist != new.keylist, true);
    #[cfg(feature = "broker")]
    note("notify", old.notify != new.notify, true);
    note("page", old.page != new.page, true);
    changes
}
