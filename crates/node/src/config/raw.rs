//! The configuration as it is written: every key, with the place of each value that may be wrong.

use super::tree::{Loose, table};
use toml::Spanned;

table! {
    pub(super) struct Config {
        pub(super) node: Node,
        pub(super) network: Option<Network>,
        pub(super) join: Option<Join>,
        pub(super) lan: Vec<Lan>,
        pub(super) firewall: Option<Firewall>,
        pub(super) broker: Option<Broker>,
        pub(super) exit: Option<Exit>,
        pub(super) wireguard: Vec<Wireguard>,
        pub(super) metrics: Option<Metrics>,
        #[cfg(feature = "broker")]
        pub(super) keylist: Option<super::keylist::RawKeyList>,
        #[cfg(feature = "broker")]
        pub(super) notify: Option<super::keylist::RawNotify>,
        pub(super) page: Option<super::page::RawPage>,
    }
}

table! {
    pub(super) struct Node {
        pub(super) name: Spanned<String>,
        pub(super) listen: Option<Spanned<i64>>,
        pub(super) interface: Option<Spanned<String>>,
        pub(super) mtu: Option<Spanned<i64>>,
        pub(super) workers: Option<Spanned<Loose>>,
        pub(super) transit: Option<bool>,
        pub(super) transit_limit: Option<Spanned<i64>>,
        pub(super) public: Vec<Spanned<String>>,
        pub(super) log: Option<Spanned<String>>,
        pub(super) offload: Option<Spanned<String>>,
        pub(super) priority: Option<Spanned<String>>,
        pub(super) suite: Option<Spanned<String>>,
    }
}

table! {
    pub(super) struct Network {
        pub(super) fingerprint: Spanned<String>,
        pub(super) broker: Vec<KnownBroker>,
    }
}

table! {
    pub(super) struct KnownBroker {
        pub(super) key: Spanned<String>,
        pub(super) endpoints: Spanned<Vec<Spanned<String>>>,
    }
}

table! {
    pub(super) struct Join {
        pub(super) size: Option<Spanned<i64>>,
        pub(super) ssid: Option<Spanned<String>>,
        pub(super) secret: Option<Spanned<String>>,
        pub(super) contact: Option<Spanned<String>>,
        pub(super) broker: Option<Spanned<String>>,
    }
}

table! {
    pub(super) struct Lan {
        pub(super) interface: Spanned<String>,
        pub(super) subnet: Option<Spanned<i64>>,
        pub(super) resolvers: Vec<Spanned<String>>,
    }
}

table! {
    pub(super) struct Firewall {
        pub(super) inbound: Option<Spanned<String>>,
        pub(super) open: Vec<Opening>,
    }
}

table! {
    pub(super) struct Opening {
        pub(super) to: Spanned<String>,
        pub(super) protocol: Option<Spanned<String>>,
        pub(super) ports: Option<Spanned<Loose>>,
    }
}

table! {
    pub(super) struct Broker {
        pub(super) pools: Spanned<Vec<Pool>>,
        pub(super) uplink: Option<Spanned<String>>,
        pub(super) validity_days: Option<Spanned<i64>>,
        pub(super) grace_days: Option<Spanned<i64>>,
    }
}

table! {
    pub(super) struct Pool {
        pub(super) prefix: Spanned<String>,
        pub(super) smallest: Option<Spanned<i64>>,
        pub(super) largest: Option<Spanned<i64>>,
        pub(super) default: Option<Spanned<i64>>,
        pub(super) admission: Option<Spanned<String>>,
    }
}

table! {
    pub(super) struct Exit {
        pub(super) enabled: Option<bool>,
    }
}

table! {
    pub(super) struct Wireguard {
        pub(super) name: Spanned<String>,
        pub(super) public_key: Spanned<String>,
        pub(super) endpoint: Option<Spanned<String>>,
        pub(super) preshared_key: Option<Spanned<String>>,
        pub(super) preshared_key_file: Option<Spanned<String>>,
        pub(super) prefixes: Spanned<Vec<Spanned<String>>>,
        pub(super) keepalive: Option<Spanned<i64>>,
    }
}

table! {
    pub(super) struct Metrics {
        pub(super) listen: Option<Spanned<String>>,
    }
}
