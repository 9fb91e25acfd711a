//! From what is written to what can be: every value in its range, and no two at odds.

use super::locate::meant;
use super::tree::Loose;
use super::{
    Admission, Broker, Config, Endpoint, Firewall, Inbound, InterfaceName, Join, KnownBroker, Lan, Network,
    Node, NodeName, Opening, PORT, Pool, Protocol, Psk, Secret, TRANSIT_LIMIT, Wireguard, raw,
};
use crate::error::Trouble;
use crate::logging::Level;
use ln6_crypto::seal::Suite;
use ln6_types::{Prefix, PublicKey};
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) trouble: Trouble,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) at: Option<Range<usize>>,
}

pub(super) type Checked<T> = Result<T, Fault>;

pub(super) fn fault<T>(at: &Spanned<T>, message: impl Into<String>) -> Fault {
    Fault { trouble: Trouble::ConfigInvalid, message: message.into(), hint: None, at: Some(at.span()) }
}

pub(super) fn config(raw: raw::Config) -> Checked<Config> {
    let node = node(&raw.node)?;
    let lans = lans(&raw.lan, &node.interface)?;
    let page = page(&raw)?;
    Ok(Config {
        network: raw.network.as_ref().map(network).transpose()?,
        join: raw.join.as_ref().map(join).transpose()?.unwrap_or_default(),
        firewall: raw.firewall.as_ref().map(firewall).transpose()?.unwrap_or_default(),
        broker: raw.broker.as_ref().map(broker).transpose()?,
        exit: raw.exit.and_then(|exit| exit.enabled).unwrap_or(true),
        wireguard: stock_peers(&raw.wireguard)?,
        metrics: raw.metrics.and_then(|raw| raw.listen).as_ref().map(metrics).transpose()?,
        #[cfg(feature = "broker")]
        keylist: raw.keylist.as_ref().map(super::keylist::keylist).transpose()?,
        #[cfg(feature = "broker")]
        notify: raw.notify.as_ref().map(super::keylist::notify).transpose()?,
        page,
        node,
        lans,
    })
}

fn page(raw: &raw::Config) -> Checked<super::Page> {
    let read = raw.page.as_ref().map(|page| super::page::page(page, raw.broker.is_some())).transpose()?;
    Ok(read.unwrap_or_default())
}

/// What to seal with; `auto` = as measured.
const SUITES: [(&str, Option<Suite>); 3] = [
    ("auto", None),
    (Suite::Aes256Gcm.name(), Some(Suite::Aes256Gcm)),
    (Suite::ChaCha20Poly1305.name(), Some(Suite::ChaCha20Poly1305)),
];

fn node(raw: &raw::Node) -> Checked<Node> {
    let listen = port(raw.listen.as_ref())?.unwrap_or(PORT);
    let on = |word: &Option<Spanned<String>>| match word {
        Some(word) => choose(word, &[("auto", true), ("off", false)]),
        None => Ok(true),
    };
    let suite = raw.suite.as_ref().map(|word| choose(word, &SUITES)).transpose()?.flatten();
    Ok(Node {
        name: name(&raw.name)?,
        listen,
        interface: raw.interface.as_ref().map(interface).transpose()?.unwrap_or_else(InterfaceName::standard),
        mtu: within(raw.mtu.as_ref(), "mtu", 1280, 9000)?.map_or(1420, |mtu| mtu as u16),
        workers: raw.workers.as_ref().map(workers).transpose()?.flatten(),
        transit: raw.transit.unwrap_or(true),
        transit_limit: within(raw.transit_limit.as_ref(), "transit_limit", 1, 100_000)?
            .map_or(TRANSIT_LIMIT, |limit| limit as u32),
        public: raw.public.iter().map(|text| endpoint(text, Some(listen))).collect::<Checked<_>>()?,
        log: raw.log.as_ref().map(|word| choose(word, &Level::ALL)).transpose()?.unwrap_or_default(),
        offload: on(&raw.offload)?,
        priority: on(&raw.priority)?,
        suite,
    })
}

fn workers(value: &Spanned<Loose>) -> Checked<Option<u8>> {
    match value.get_ref() {
        Loose::Text(word) if word == "auto" => Ok(None),
        Loose::Number(number @ 1..=8) => Ok(Some(*number as u8)),
        _ => Err(fault(value, "workers is \"auto\" or a number from 1 to 8")),
    }
}

fn network(raw: &raw::Network) -> Checked<Network> {
    let text = raw.fingerprint.get_ref();
    let fingerprint = text
        .parse()
        .map_err(|_| fault(&raw.fingerprint, "a network's fingerprint is 43 characters of base64"))?;
    let brokers = raw.broker.iter().map(known_broker).collect::<Checked<_>>()?;
    Ok(Network { fingerprint, brokers })
}

fn known_broker(raw: &raw::KnownBroker) -> Checked<KnownBroker> {
    let endpoints: Vec<_> =
        raw.endpoints.get_ref().iter().map(|text| endpoint(text, Some(PORT))).collect::<Checked<_>>()?;
    if endpoints.is_empty() {
        return Err(fault(&raw.endpoints, "a broker needs at least one endpoint"));
    }
    Ok(KnownBroker { key: key(&raw.key)?, endpoints })
}

fn join(raw: &raw::Join) -> Checked<Join> {
    let secret = |text: &Spanned<String>| {
        Secret::parse(text.get_ref()).ok_or_else(|| fault(text, "the secret is not as 'ln6d join' wrote it"))
    };
    Ok(Join {
        size: within(raw.size.as_ref(), "size", 16, 128)?.map(|size| size as u8),
        ssid: raw.ssid.as_ref().map(|text| line_of_text(text, 64)).transpose()?,
        secret: raw.secret.as_ref().map(secret).transpose()?,
        contact: raw.contact.as_ref().map(|text| line_of_text(text, 128)).transpose()?,
        broker: raw.broker.as_ref().map(key).transpose()?,
    })
}

fn lans(raw: &[raw::Lan], own: &InterfaceName) -> Checked<Vec<Lan>> {
    let mut lans: Vec<Lan> = Vec::new();
    for entry in raw {
        let lan = lan(entry)?;
        if lan.interface == *own {
            return Err(fault(&entry.interface, format!("'{own}' is the node's own interface, not a LAN")));
        }
        if lans.iter().any(|other| other.interface == lan.interface) {
            return Err(fault(&entry.interface, format!("'{}' is listed twice", lan.interface)));
        }
        if let (Some(subnet), Some(at)) = (lan.subnet, &entry.subnet)
            && lans.iter().any(|other| other.subnet == Some(subnet))
        {
            return Err(fault(at, format!("subnet {subnet} is on another interface already")));
        }
        lans.push(lan);
    }
    Ok(lans)
}

fn lan(raw: &raw::Lan) -> Checked<Lan> {
    let resolver = |text: &Spanned<String>| {
        text.get_ref()
            .parse::<Ipv6Addr>()
            .map_err(|_| fault(text, format!("'{}' is not an IPv6 address", text.get_ref())))
    };
    Ok(Lan {
        interface: interface(&raw.interface)?,
        subnet: within(raw.subnet.as_ref(), "subnet", 0, i64::MAX)?.map(|subnet| subnet as u64),
        resolvers: raw.resolvers.iter().map(resolver).collect::<Checked<_>>()?,
    })
}

fn firewall(raw: &raw::Firewall) -> Checked<Firewall> {
    let words = [
        ("members", Inbound::Members),
        ("closed", Inbound::Closed),
        ("open", Inbound::Open),
        ("off", Inbound::Off),
    ];
    let inbound = raw.inbound.as_ref().map(|word| choose(word, &words)).transpose()?.unwrap_or_default();
    let openings = raw.open.iter().map(opening).collect::<Checked<_>>()?;
    Ok(Firewall { inbound, openings })
}

fn opening(raw: &raw::Opening) -> Checked<Opening> {
    let words = [("tcp", Some(Protocol::Tcp)), ("udp", Some(Protocol::Udp)), ("any", None)];
    let protocol = raw.protocol.as_ref().map(|word| choose(word, &words)).transpose()?.flatten();
    let ports = raw.ports.as_ref().map(ports).transpose()?;
    if let (Some(at), None) = (&raw.ports, protocol) {
        return Err(fault(at, "ports belong to a protocol: add protocol = \"tcp\" or \"udp\""));
    }
    Ok(Opening { to: prefix(&raw.to)?, protocol, ports })
}

fn ports(value: &Spanned<Loose>) -> Checked<(u16, u16)> {
    let wrong = || fault(value, "ports is a number, or first and last as \"8000-8010\"");
    match value.get_ref() {
        Loose::Number(number @ 1..=65_535) => Ok((*number as u16, *number as u16)),
        Loose::Text(text) => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let read = |part: &str| part.trim().parse::<u16>().ok().filter(|port| *port != 0);
            match (read(first), read(last)) {
                (Some(first), Some(last)) if first <= last => Ok((first, last)),
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

fn broker(raw: &raw::Broker) -> Checked<Broker> {
    let mut pools: Vec<Pool> = Vec::new();
    for entry in raw.pools.get_ref() {
        let pool = pool(entry)?;
        if let Some(other) = pools.iter().find(|other| other.prefix.overlaps(pool.prefix)) {
            return Err(fault(&entry.prefix, format!("the pool {} overlaps {}", pool.prefix, other.prefix)));
        }
        pools.push(pool);
    }
    if pools.is_empty() {
        return Err(fault(&raw.pools, "a broker needs at least one pool"));
    }
    let days = |value: Option<&Spanned<i64>>, word, usual| {
        Ok(within(value, word, 1, 3650)?.map_or(usual, |d| d as u16))
    };
    Ok(Broker {
        pools,
        uplink: raw.uplink.as_ref().map(interface).transpose()?,
        validity_days: days(raw.validity_days.as_ref(), "validity_days", 180)?,
        grace_days: days(raw.grace_days.as_ref(), "grace_days", 90)?,
    })
}

fn pool(raw: &raw::Pool) -> Checked<Pool> {
    let whole = prefix(&raw.prefix)?;
    if let Some(why) = unfit_pool(whole) {
        return Err(fault(&raw.prefix, format!("{whole} cannot be a pool: {why}")));
    }
    let length = |value: Option<&Spanned<i64>>, word| -> Checked<Option<u8>> {
        Ok(within(value, word, i64::from(whole.len()), 128)?.map(|len| len as u8))
    };
    let smallest = length(raw.smallest.as_ref(), "smallest")?;
    let largest = length(raw.largest.as_ref(), "largest")?;
    let default = length(raw.default.as_ref(), "default")?;
    if let (Some(smallest), Some(largest), Some(at)) = (smallest, largest, &raw.largest)
        && largest > smallest
    {
        return Err(fault(
            at,
            format!("the largest is /{largest} and the smallest /{smallest}: that is nothing"),
        ));
    }
    let admission =
        raw.admission.as_ref().map(|word| choose(word, &Admission::WORDS)).transpose()?.unwrap_or_default();
    Ok(Pool { prefix: whole, smallest, largest, default, admission })
}

/// Why nobody can hold this prefix.
pub(crate) fn unfit_pool(prefix: Prefix) -> Option<&'static str> {
    let octets = prefix.network().octets();
    match (prefix.len(), octets[0], octets[1] & 0xc0) {
        (0..=15, ..) => Some("it is larger than any network's"),
        (_, 0xff, _) => Some("it is multicast"),
        (_, 0xfe, 0x80) => Some("it is link-local"),
        (_, 0, _) => Some("it is reserved"),
        (65..=127, ..) => Some("it is smaller than a /64"),
        _ => None,
    }
}

fn stock_peers(raw: &[raw::Wireguard]) -> Checked<Vec<Wireguard>> {
    let mut peers: Vec<Wireguard> = Vec::new();
    for entry in raw {
        let peer = stock_peer(entry)?;
        if peers.iter().any(|other| other.name == peer.name) {
            return Err(fault(&entry.name, format!("'{}' is listed twice", peer.name)));
        }
        if peers.iter().any(|other| other.public_key == peer.public_key) {
            return Err(fault(&entry.public_key, "this key belongs to another entry"));
        }
        let taken =
            |part: &Prefix| peers.iter().flat_map(|other| &other.prefixes).any(|held| held.overlaps(*part));
        if let Some(part) = peer.prefixes.iter().find(|part| taken(part)) {
            return Err(fault(&entry.prefixes, format!("{part} overlaps a prefix of another entry")));
        }
        peers.push(peer);
    }
    Ok(peers)
}

fn stock_peer(raw: &raw::Wireguard) -> Checked<Wireguard> {
    let psk = match (&raw.preshared_key, &raw.preshared_key_file) {
        (Some(_), Some(file)) => return Err(fault(file, "there is a preshared_key already")),
        (Some(text), None) => Secret::parse(text.get_ref()).map(Psk::Here).ok_or_else(|| {
            fault(text, "a pre-shared key is 44 characters of base64, as 'wg genpsk' prints it")
        })?,
        (None, Some(path)) => Psk::File(PathBuf::from(path.get_ref())),
        (None, None) => Psk::None,
    };
    let prefixes: Vec<_> = raw.prefixes.get_ref().iter().map(prefix).collect::<Checked<_>>()?;
    if prefixes.is_empty() {
        return Err(fault(&raw.prefixes, "without a prefix nothing can reach this peer"));
    }
    Ok(Wireguard {
        name: name(&raw.name)?,
        public_key: key(&raw.public_key)?,
        endpoint: raw.endpoint.as_ref().map(|text| endpoint(text, None)).transpose()?,
        psk,
        prefixes,
        keepalive: within(raw.keepalive.as_ref(), "keepalive", 0, 65_535)?.map_or(0, |secs| secs as u16),
    })
}

fn metrics(text: &Spanned<String>) -> Checked<SocketAddr> {
    text.get_ref()
        .parse()
        .map_err(|_| fault(text, "listen is address:port, such as 127.0.0.1:9695 or [::1]:9695"))
}

fn name(text: &Spanned<String>) -> Checked<NodeName> {
    NodeName::new(text.get_ref()).ok_or_else(|| {
        let near = NodeName::near(text.get_ref());
        let message = format!("'{}' is not a name; '{near}' would be one", text.get_ref());
        Fault { trouble: Trouble::NameInvalid, ..fault(text, message) }
    })
}

fn interface(text: &Spanned<String>) -> Checked<InterfaceName> {
    InterfaceName::new(text.get_ref()).ok_or_else(|| {
        fault(text, format!("'{}' cannot be an interface: 1 to 15 characters", text.get_ref()))
    })
}

fn key(text: &Spanned<String>) -> Checked<PublicKey> {
    text.get_ref().parse().map_err(|error: ln6_types::KeyError| fault(text, error.to_string()))
}

fn prefix(text: &Spanned<String>) -> Checked<Prefix> {
    Prefix::parse_strict(text.get_ref())
        .map_err(|error| Fault { trouble: Trouble::PrefixInvalid, ..fault(text, error.to_string()) })
}

fn endpoint(text: &Spanned<String>, default_port: Option<u16>) -> Checked<Endpoint> {
    let read =
        Endpoint::parse(text.get_ref(), default_port.unwrap_or(0)).filter(|endpoint| endpoint.port() != 0);
    read.ok_or_else(|| fault(text, format!("'{}' is not host:port", text.get_ref())))
}

fn port(value: Option<&Spanned<i64>>) -> Checked<Option<u16>> {
    Ok(within(value, "listen", 1, 65_535)?.map(|port| port as u16))
}

pub(super) fn line_of_text(text: &Spanned<String>, most: usize) -> Checked<String> {
    let fits = (1..=most).contains(&text.get_ref().len()) && !text.get_ref().chars().any(char::is_control);
    if fits {
        Ok(text.get_ref().clone())
    } else {
        Err(fault(text, format!("this is one line of 1 to {most} octets")))
    }
}

fn within(value: Option<&Spanned<i64>>, word: &str, least: i64, most: i64) -> Checked<Option<i64>> {
    match value {
        Some(at) if !(least..=most).contains(at.get_ref()) => {
            Err(fault(at, format!("{word} is {least} to {most}, not {}", at.get_ref())))
        }
        other => Ok(other.map(|at| *at.get_ref())),
    }
}

pub(super) fn choose<T: Copy>(word: &Spanned<String>, choices: &[(&'static str, T)]) -> Checked<T> {
    let found = choices.iter().find(|(name, _)| name == word.get_ref());
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let meant =
            meant(word.get_ref(), &names).map_or(String::new(), |near| format!("; did you mean '{near}'?"));
        fault(word, format!("'{}' is none of {}{meant}", word.get_ref(), names.join(", ")))
    })
}
