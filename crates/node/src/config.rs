//! The configuration: read from TOML, checked once, and from then on only values that can be.

pub(crate) mod check;
mod diff;
#[cfg(feature = "broker")]
mod keylist;
mod locate;
mod page;
mod raw;
mod tree;
mod value;
mod write;

pub use diff::diff;
#[cfg(feature = "broker")]
pub use keylist::{KeyList, Notify};
pub use ln6_api::schema::Change;
pub use page::Page;
pub use value::{Endpoint, InterfaceName, NodeName, Secret};
pub use write::render;

use crate::error::{CliError, Trouble};
use crate::files::identity::private_text;
use crate::files::{Layout, atomic};
use crate::logging::Level;
use ln6_crypto::keys;
use ln6_crypto::seal::Suite;
use ln6_types::{Fingerprint, Prefix, PublicKey};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use tree::Read as _;

/// The port of ln6d.
pub const PORT: u16 = 6695;
/// Mbit/s of others' traffic for each worker, unless the operator says otherwise: more than a small machine can carry, and yet a
/// bound.
pub const TRANSIT_LIMIT: u32 = 10_000;
/// Largest configuration file read, in octets.
const MOST: u64 = 1 << 20;

/// Everything an operator decides. Made by [`Config::parse`], which checks it as a whole; change it and
/// [`render`] it, and it is checked again when it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The node itself.
    pub node: Node,
    /// The network it belongs to; none before `join`.
    pub network: Option<Network>,
    /// What it asks the broker for.
    pub join: Join,
    /// LAN interfaces that get a /64.
    pub lans: Vec<Lan>,
    /// Who may connect inwards.
    pub firewall: Firewall,
    /// Set on a broker.
    pub broker: Option<Broker>,
    /// Whether to be an exit where the certificate allows it.
    pub exit: bool,
    /// Stock WireGuard peers.
    pub wireguard: Vec<Wireguard>,
    /// Where metrics are offered; nowhere if absent.
    pub metrics: Option<SocketAddr>,
    /// Who is in by a Git repository; on a broker.
    #[cfg(feature = "broker")]
    pub keylist: Option<KeyList>,
    /// Who is told of requests and trouble; on a broker.
    #[cfg(feature = "broker")]
    pub notify: Option<Notify>,
    /// The admin page.
    pub page: Page,
}

/// `[node]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// UDP port.
    pub listen: u16,
    /// The TUN device.
    pub interface: InterfaceName,
    /// Inner MTU, 1280 to 9000 octets.
    pub mtu: u16,
    /// Forwarder threads, 1 to 8; `None` = as many as fit the machine.
    pub workers: Option<u8>,
    /// Whether others' traffic may be relayed.
    pub transit: bool,
    /// How much, in Mbit/s for each worker, 1 to 100,000.
    pub transit_limit: u32,
    /// Where it can be reached from everywhere.
    pub public: Vec<Endpoint>,
    /// How much is logged.
    pub log: Level,
    /// Whether the kernel's segmentation offloads are used where they work.
    pub offload: bool,
    /// Whether forwarder threads go before the machine's other threads, as far as their credit reaches.
    pub priority: bool,
    /// What to seal with between ln6d nodes; `None` = what this machine is fastest with.
    pub suite: Option<Suite>,
}

impl Node {
    /// A node with the usual settings.
    pub fn new(name: NodeName) -> Self {
        Node {
            name,
            listen: PORT,
            interface: InterfaceName::standard(),
            mtu: 1420,
            workers: None,
            transit: true,
            transit_limit: TRANSIT_LIMIT,
            public: Vec::new(),
            log: Level::Info,
            offload: true,
            priority: true,
            suite: None,
        }
    }
}

/// `[network]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// The root key's fingerprint.
    pub fingerprint: Fingerprint,
    /// Brokers to begin with.
    pub brokers: Vec<KnownBroker>,
}

/// `[[network.broker]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownBroker {
    /// Its X25519 key.
    pub key: PublicKey,
    /// Where it is.
    pub endpoints: Vec<Endpoint>,
}

/// `[join]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Join {
    /// Length asked for, 16 to 128; `None` = the broker's default.
    pub size: Option<u8>,
    /// Network name for LibreMesh's proposal.
    pub ssid: Option<String>,
    /// One-time secret of the invitation.
    pub secret: Option<Secret<16>>,
    /// How to reach the operator.
    pub contact: Option<String>,
    /// The broker that is asked even while another's delegation is held; the only one that sees the secret.
    pub broker: Option<PublicKey>,
}

/// `[[lan]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lan {
    /// The interface.
    pub interface: InterfaceName,
    /// Which /64 of the delegation, counted from 0; `None` = in the order listed.
    pub subnet: Option<u64>,
    /// Resolvers to advertise.
    pub resolvers: Vec<Ipv6Addr>,
}

/// `[firewall]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Firewall {
    /// The rule of thumb.
    pub inbound: Inbound,
    /// Exceptions.
    pub openings: Vec<Opening>,
}

/// Who may open connections into what lies behind this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Inbound {
    /// Members of the network.
    #[default]
    Members,
    /// Nobody.
    Closed,
    /// Everybody; the ruleset only keeps out what pretends.
    Open,
    /// No ruleset at all.
    Off,
}

/// `[[firewall.open]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening {
    /// Destination.
    pub to: Prefix,
    /// `None` = every protocol.
    pub protocol: Option<Protocol>,
    /// First to last, inclusive; `None` = every port.
    pub ports: Option<(u16, u16)>,
}

/// A transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// `[broker]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    /// What may be delegated: at least one, none overlapping.
    pub pools: Vec<Pool>,
    /// The interface towards the Internet; found by itself if absent.
    pub uplink: Option<InterfaceName>,
    /// How long a certificate is valid, days.
    pub validity_days: u16,
    /// How long after that it is still honoured, days.
    pub grace_days: u16,
}

impl Broker {
    /// A broker of these pools, with the usual spans.
    pub fn new(pools: Vec<Pool>) -> Self {
        Broker { pools, uplink: None, validity_days: 180, grace_days: 90 }
    }
}

/// `[[broker.pools]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pool {
    /// The whole.
    pub prefix: Prefix,
    /// The longest length a stranger may ask for; `None` = the registry's choice.
    pub smallest: Option<u8>,
    /// The shortest length a stranger may ask for.
    pub largest: Option<u8>,
    /// The length given when none is asked for.
    pub default: Option<u8>,
    /// Who is admitted.
    pub admission: Admission,
}

impl Pool {
    /// A pool with the registry's usual policy.
    pub fn new(prefix: Prefix) -> Self {
        Pool { prefix, smallest: None, largest: None, default: None, admission: Admission::Queue }
    }
}

/// How a stranger's key may come to a prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Admission {
    /// Only with an invitation.
    Invitation,
    /// Without one it waits for an administrator.
    #[default]
    Queue,
    /// Without one only if a key list names it.
    KeyList,
}

impl Admission {
    /// Each with its word.
    pub const WORDS: [(&str, Admission); 3] = [
        ("queue", Admission::Queue),
        ("invitation", Admission::Invitation),
        ("key_list", Admission::KeyList),
    ];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Admission::Invitation => "invitation",
            Admission::Queue => "queue",
            Admission::KeyList => "key_list",
        }
    }
}

/// `[[wireguard]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wireguard {
    /// A name for people.
    pub name: NodeName,
    /// Its static key.
    pub public_key: PublicKey,
    /// Where to reach it, if it does not come to us.
    pub endpoint: Option<Endpoint>,
    /// Its pre-shared key.
    pub psk: Psk,
    /// What it holds, within this node's delegation.
    pub prefixes: Vec<Prefix>,
    /// Seconds between keepalives; 0 = none.
    pub keepalive: u16,
}

/// Where a pre-shared key is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Psk {
    /// There is none.
    None,
    /// In the configuration.
    Here(Secret<32>),
    /// In a file of its own, in base64.
    File(PathBuf),
}

impl Psk {
    /// The key itself, read from its file if it has one; a relative path begins where the configuration is.
    pub fn load(&self, layout: &Layout) -> Result<keys::Psk, CliError> {
        let path = match self {
            Psk::None => return Ok(keys::Psk::NONE),
            Psk::Here(secret) => return Ok(keys::Psk::from_bytes(*secret.expose())),
            Psk::File(path) => layout.config.with_file_name(path),
        };
        let text = private_text(&path)?.ok_or_else(|| {
            CliError::new(Trouble::NotFound, format!("there is no pre-shared key file {}", path.display()))
                .hint("make it with 'wg genpsk', or correct preshared_key_file")
        })?;
        Secret::parse(&text).map(|secret| keys::Psk::from_bytes(*secret.expose())).ok_or_else(|| {
            CliError::new(Trouble::KeyFileDamaged, format!("{} is no pre-shared key", path.display()))
                .hint("it is one line of 44 characters, as 'wg genpsk' prints it")
        })
    }
}

impl Config {
    /// A node with the usual settings and no network yet.
    pub fn new(name: NodeName) -> Self {
        Config {
            node: Node::new(name),
            network: None,
            join: Join::default(),
            lans: Vec::new(),
            firewall: Firewall::default(),
            broker: None,
            exit: true,
            wireguard: Vec::new(),
            metrics: None,
            #[cfg(feature = "broker")]
            keylist: None,
            #[cfg(feature = "broker")]
            notify: None,
            page: Page::default(),
        }
    }

    /// Reads a configuration; the error names the line, and what was probably meant.
    pub fn parse(text: &str, path: &Path) -> Result<Self, CliError> {
        let tree = DeTable::parse(text).map_err(|error| locate::explain(text, path, &error))?;
        let tree = Spanned::new(tree.span(), DeValue::Table(tree.into_inner()));
        raw::Config::read("this file", tree).and_then(check::config).map_err(|fault| {
            let place = locate::place(text, path, fault.at);
            let error = CliError::new(fault.trouble, format!("{place}: {}", fault.message));
            CliError { hint: fault.hint.or_else(|| error.hint.clone()), ..error }
        })
    }

    /// Reads the configuration of a node.
    pub fn load(layout: &Layout) -> Result<Self, CliError> {
        Config::load_file(&layout.config)?.ok_or_else(|| {
            let message = format!("there is no configuration {}", layout.config.display());
            let begin = format!("begin with '{0} init …' (a new network) or '{0} join LINK'", layout.command);
            CliError::new(Trouble::NoConfig, message).hint(begin)
        })
    }

    /// Reads a configuration file; `None` if there is none.
    pub fn load_file(path: &Path) -> Result<Option<Self>, CliError> {
        let Some(bytes) = atomic::read(path, MOST)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            CliError::new(Trouble::ConfigInvalid, format!("{}:{line}: this is not UTF-8", path.display()))
        })?;
        Config::parse(&text, path).map(Some)
    }

    #[cfg(feature = "broker")]
    fn broker_has_secrets(&self) -> bool {
        self.keylist.as_ref().is_some_and(|keylist| keylist.url.has_password())
    }

    #[cfg(not(feature = "broker"))]
    fn broker_has_secrets(&self) -> bool {
        false
    }

    /// Whether the file holds something that others must not read.
    pub fn has_secrets(&self) -> bool {
        self.join.secret.is_some()
            || self.wireguard.iter().any(|peer| matches!(peer.psk, Psk::Here(_)))
            || self.broker_has_secrets()
    }
}

#[cfg(test)]
mod tests;
