//! The configuration as it is written: every key, with the place of each value that may be wrong.

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) node: Node,
    pub(super) network: Option<Network>,
    #[serde(default)]
    pub(super) join: Join,
    #[serde(default)]
    pub(super) lan: Vec<Lan>,
    #[serde(default)]
    pub(super) firewall: Firewall,
    pub(super) broker: Option<Broker>,
    #[serde(default)]
    pub(super) exit: Exit,
    #[serde(default)]
    pub(super) wireguard: Vec<Wireguard>,
    #[serde(default)]
    pub(super) metrics: Metrics,
    #[cfg(feature = "broker")]
    pub(super) keylist: Option<super::keylist::RawKeyList>,
    #[cfg(feature = "broker")]
    pub(super) notify: Option<super::keylist::RawNotify>,
    #[serde(default)]
    pub(super) page: Page,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    pub(super) user: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    pub(super) name: Spanned<String>,
    pub(super) listen: Option<Spanned<i64>>,
    pub(super) interface: Option<Spanned<String>>,
    pub(super) mtu: Option<Spanned<i64>>,
    pub(super) workers: Option<Spanned<toml::Value>>,
    pub(super) transit: Option<bool>,
    pub(super) transit_limit: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) public: Vec<Spanned<String>>,
    pub(super) log: Option<Spanned<String>>,
    pub(super) offload: Option<Spanned<String>>,
    pub(super) suite: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    pub(super) fingerprint: Spanned<String>,
    #[serde(default)]
    pub(super) broker: Vec<KnownBroker>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownBroker {
    pub(super) key: Spanned<String>,
    pub(super) endpoints: Spanned<Vec<Spanned<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Join {
    pub(super) size: Option<Spanned<i64>>,
    pub(super) ssid: Option<Spanned<String>>,
    pub(super) secret: Option<Spanned<String>>,
    pub(super) contact: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lan {
    pub(super) interface: Spanned<String>,
    pub(super) subnet: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) resolvers: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Firewall {
    pub(super) inbound: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) open: Vec<Opening>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Opening {
    pub(super) to: Spanned<String>,
    pub(super) protocol: Option<Spanned<String>>,
    pub(super) ports: Option<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Broker {
    pub(super) pools: Spanned<Vec<Pool>>,
    pub(super) uplink: Option<Spanned<String>>,
    pub(super) validity_days: Option<Spanned<i64>>,
    pub(super) grace_days: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    pub(super) prefix: Spanned<String>,
    pub(super) smallest: Option<Spanned<i64>>,
    pub(super) largest: Option<Spanned<i64>>,
    pub(super) default: Option<Spanned<i64>>,
    pub(super) admission: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Exit {
    pub(super) enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wireguard {
    pub(super) name: Spanned<String>,
    pub(super) public_key: Spanned<String>,
    pub(super) endpoint: Option<Spanned<String>>,
    pub(super) preshared_key: Option<Spanned<String>>,
    pub(super) preshared_key_file: Option<Spanned<String>>,
    pub(super) prefixes: Spanned<Vec<Spanned<String>>>,
    pub(super) keepalive: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    pub(super) listen: Option<Spanned<String>>,
}
