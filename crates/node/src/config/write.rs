//! The configuration as text: what is set, and as comments what could be.

use super::{Admission, Config, Firewall, Inbound, Join, Lan, Network, Node, Pool, Protocol, Psk, Wireguard};
use ln6_crypto::seal::Suite;
use std::fmt::{Display, Write as _};
use zeroize::Zeroizing;

/// A readable file that reads back as `config`. It may hold secrets: write it for the owner only.
pub fn render(config: &Config) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(4096));
    out.push_str("# Configuration of ln6d. 'ln6d config check' checks it; SIGHUP (or 'systemctl reload ln6d') applies it.\n");
    node(&mut out, &config.node);
    if let Some(value) = &config.network {
        network(&mut out, value);
    }
    join(&mut out, &config.join);
    lans(&mut out, &config.lans);
    firewall(&mut out, &config.firewall);
    if let Some(broker) = &config.broker {
        broker_section(&mut out, broker);
    }
    section(&mut out, "exit", "May this node be an exit to the Internet, where its certificate allows it?");
    set(&mut out, "enabled", config.exit, config.exit);
    config.wireguard.iter().for_each(|peer| wireguard(&mut out, peer));
    section(&mut out, "metrics", "Prometheus metrics, for this machine only unless told otherwise.");
    let listen = config.metrics.map(|listen| listen.to_string());
    text_or(&mut out, "listen", listen.as_deref(), "127.0.0.1:9695");
    #[cfg(feature = "broker")]
    super::keylist::write(&mut out, config.keylist.as_ref(), config.notify.as_ref());
    section(
        &mut out,
        "page",
        "The page of a broker or a gateway, 'ln6d admin': a process of its own, with an account of its own, which asks this one.",
    );
    super::page::write(&mut out, &config.page);
    out
}

fn section(out: &mut String, name: &str, words: &str) {
    let _ = write!(out, "\n# {words}\n[{name}]\n");
}

/// `key = value`, as a comment if it is what holds anyway.
pub(super) fn set(out: &mut String, key: &str, value: impl Display, usual: bool) {
    let comment = if usual { "# " } else { "" };
    let _ = writeln!(out, "{comment}{key} = {value}");
}

pub(super) fn text_or(out: &mut String, key: &str, value: Option<&str>, example: &str) {
    set(out, key, quote(value.unwrap_or(example)), value.is_none());
}

pub(super) fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(|item| quote(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML basic string.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn node(out: &mut String, node: &Node) {
    let usual = Node::new(node.name.clone());
    out.push_str("\n[node]\n");
    set(out, "name", quote(node.name.as_str()), false);
    out.push_str("# UDP port.\n");
    set(out, "listen", node.listen, node.listen == usual.listen);
    set(out, "interface", quote(node.interface.as_str()), node.interface == usual.interface);
    set(out, "mtu", node.mtu, node.mtu == usual.mtu);
    out.push_str("# Forwarding threads: \"auto\", or 1 to 8.\n");
    let workers = node.workers.map_or_else(|| quote("auto"), |number| number.to_string());
    set(out, "workers", workers, node.workers.is_none());
    out.push_str("# Carry sealed traffic for others?\n");
    set(out, "transit", node.transit, node.transit);
    out.push_str("# Of that at most so many Mbit/s, for each forwarding thread.\n");
    set(out, "transit_limit", node.transit_limit, node.transit_limit == usual.transit_limit);
    out.push_str("# Where this node can be reached from everywhere, if it can: host[:port].\n");
    if node.public.is_empty() {
        set(out, "public", list(&["gateway.example.net"]), true);
    } else {
        set(out, "public", list(&node.public), false);
    }
    out.push_str("# error, warn, info, debug or trace.\n");
    set(out, "log", quote(node.log.word()), node.log == usual.log);
    out.push_str("# Segmentation offloads of the kernel: \"auto\" or \"off\".\n");
    set(out, "offload", quote(if node.offload { "auto" } else { "off" }), node.offload);
    out.push_str("# Forwarding threads go before other programs, within bounds: \"auto\" (where the kernel lets them) or \"off\".\n");
    set(out, "priority", quote(if node.priority { "auto" } else { "off" }), node.priority);
    out.push_str("# Cipher between ln6d nodes: \"auto\" (the faster one here), \"aes-256-gcm\" or \"chacha20-poly1305\".\n");
    set(out, "suite", quote(node.suite.map_or("auto", Suite::name)), node.suite.is_none());
}

fn network(out: &mut String, network: &Network) {
    section(
        out,
        "network",
        "The network this node belongs to, by its root key, and the brokers to begin with.",
    );
    set(out, "fingerprint", quote(&network.fingerprint.to_string()), false);
    for broker in &network.brokers {
        out.push_str("\n[[network.broker]]\n");
        set(out, "key", quote(&broker.key.to_string()), false);
        set(out, "endpoints", list(&broker.endpoints), false);
    }
}

fn join(out: &mut String, join: &Join) {
    section(out, "join", "What to ask the broker for while this node holds nothing.");
    set(out, "size", join.size.unwrap_or(56), join.size.is_none());
    out.push_str("# The mesh's network name: gateways of one mesh propose the same prefix.\n");
    text_or(out, "ssid", join.ssid.as_deref(), "quintanalibre.org.ar");
    text_or(out, "contact", join.contact.as_deref(), "someone@example.net");
    if let Some(broker) = &join.broker {
        out.push_str("# The broker whose invitation it was: asked even while another's prefix is held.\n");
        set(out, "broker", quote(&broker.to_string()), false);
    }
    if let Some(secret) = &join.secret {
        out.push_str("# Of the invitation; admits this node once.\n");
        let text = secret.expose_text();
        let _ = writeln!(out, "secret = \"{}\"", text.as_str());
    }
}

fn lans(out: &mut String, lans: &[Lan]) {
    if lans.is_empty() {
        out.push_str("\n# Interfaces that get a /64 of the delegation, with router advertisements.\n");
        out.push_str("# [[lan]]\n# interface = \"br-lan\"\n# subnet = 0\n# resolvers = [\"2620:fe::fe\"]\n");
    }
    for lan in lans {
        out.push_str("\n# Gets a /64 of the delegation, with router advertisements.\n[[lan]]\n");
        set(out, "interface", quote(lan.interface.as_str()), false);
        set(out, "subnet", lan.subnet.unwrap_or(0), lan.subnet.is_none());
        if lan.resolvers.is_empty() {
            set(out, "resolvers", list(&["2620:fe::fe"]), true);
        } else {
            set(out, "resolvers", list(&lan.resolvers), false);
        }
    }
}

fn firewall(out: &mut String, firewall: &Firewall) {
    section(
        out,
        "firewall",
        "Who may open connections inwards: members (of the network), closed, open, or off (no rules).",
    );
    let word = match firewall.inbound {
        Inbound::Members => "members",
        Inbound::Closed => "closed",
        Inbound::Open => "open",
        Inbound::Off => "off",
    };
    set(out, "inbound", quote(word), firewall.inbound == Inbound::default());
    if firewall.openings.is_empty() {
        out.push_str("# [[firewall.open]]\n# to = \"2001:db8:4812::80/128\"\n# protocol = \"tcp\"\n# ports = \"80-443\"\n");
    }
    for opening in &firewall.openings {
        out.push_str("\n[[firewall.open]]\n");
        set(out, "to", quote(&opening.to.to_string()), false);
        if let Some(protocol) = opening.protocol {
            set(out, "protocol", quote(if protocol == Protocol::Tcp { "tcp" } else { "udp" }), false);
        }
        if let Some((first, last)) = opening.ports {
            set(out, "ports", quote(&format!("{first}-{last}")), false);
        }
    }
}

fn broker_section(out: &mut String, broker: &super::Broker) {
    section(out, "broker", "This node delegates prefixes.");
    out.push_str("# The interface towards the Internet; found by the default route if not set.\n");
    text_or(out, "uplink", broker.uplink.as_ref().map(super::InterfaceName::as_str), "eth0");
    out.push_str("# How long certificates are valid, and for how long after that they are still honoured.\n");
    set(out, "validity_days", broker.validity_days, broker.validity_days == 180);
    set(out, "grace_days", broker.grace_days, broker.grace_days == 90);
    broker.pools.iter().for_each(|entry| pool(out, entry));
}

fn pool(out: &mut String, pool: &Pool) {
    out.push_str("\n[[broker.pools]]\n");
    set(out, "prefix", quote(&pool.prefix.to_string()), false);
    out.push_str("# Lengths given without an administrator, and the one given when none is asked for.\n");
    set(out, "largest", pool.largest.unwrap_or(48), pool.largest.is_none());
    set(out, "smallest", pool.smallest.unwrap_or(64), pool.smallest.is_none());
    set(out, "default", pool.default.unwrap_or(56), pool.default.is_none());
    out.push_str("# Without an invitation: \"queue\" (wait for an administrator), \"invitation\" (refuse) or \"key_list\" (only\n");
    out.push_str("# whom a list names, see [keylist]).\n");
    set(out, "admission", quote(pool.admission.word()), pool.admission == Admission::default());
}

fn wireguard(out: &mut String, peer: &Wireguard) {
    out.push_str("\n# A stock WireGuard peer behind this node.\n[[wireguard]]\n");
    set(out, "name", quote(peer.name.as_str()), false);
    set(out, "public_key", quote(&peer.public_key.to_string()), false);
    if let Some(endpoint) = &peer.endpoint {
        set(out, "endpoint", quote(&endpoint.to_string()), false);
    }
    match &peer.psk {
        Psk::None => {}
        Psk::Here(secret) => {
            let text = secret.expose_text();
            let _ = writeln!(out, "preshared_key = \"{}\"", text.as_str());
        }
        Psk::File(path) => set(out, "preshared_key_file", quote(&path.to_string_lossy()), false),
    }
    set(out, "prefixes", list(&peer.prefixes), false);
    set(out, "keepalive", peer.keepalive, peer.keepalive == 0);
}
