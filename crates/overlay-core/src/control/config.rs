//! What control is told at the start, and what it keeps across restarts.

use crate::control::message::Item;
use crate::host_plan::{Inbound, Opening};
use core::net::{Ipv6Addr, SocketAddr};
use ln6_crypto::SigningKey;
use ln6_crypto::keys::{Psk, StaticSecret};
use ln6_crypto::seal::Suite;
use ln6_types::{Fingerprint, Prefix, PublicKey, UnixTime};

/// Everything an operator or a link decides.
pub struct Config {
    /// The WireGuard static secret.
    pub secret: StaticSecret,
    /// Signs this node's own records.
    pub signing: SigningKey,
    /// Which network.
    pub network: Fingerprint,
    /// The name this node asks for, or was given.
    pub name: String,
    /// Worker threads, 1 to 8.
    pub workers: u8,
    /// Brokers known by configuration or link, with endpoints already resolved.
    pub brokers: Vec<Bootstrap>,
    /// Addresses at which the operator says this node can be reached.
    pub public: Vec<SocketAddr>,
    /// What to ask the broker for while this node holds no live certificate.
    pub wish: Option<Wish>,
    /// Stock WireGuard peers.
    pub stock: Vec<StockPeer>,
    /// Interfaces that get a /64 of the delegation, in order.
    pub lans: Vec<LanConfig>,
    /// Who may connect inwards.
    pub inbound: Inbound,
    /// Exceptions to it.
    pub openings: Vec<Opening>,
    /// Whether a firewall is kept at all.
    pub firewall: bool,
    /// Whether to be an exit where the certificate allows it.
    pub exit: bool,
    /// Whether others' traffic may be relayed.
    pub transit: bool,
    /// What to seal with between ln6d nodes, best first. WireGuard's own suite is understood whether it is named or not.
    pub suites: Vec<Suite>,
    /// Inner MTU of the TUN device, octets.
    pub mtu: u16,
    /// Seed of timer noise; not a secret.
    pub seed: u64,
}

/// A node to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Its static key.
    pub key: PublicKey,
    /// Where it may be reached.
    pub endpoints: Vec<SocketAddr>,
}

/// What a joining node asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Wish {
    /// Length of the delegation asked for, 0 = the broker's default.
    pub size: u8,
    /// Network name for LibreMesh's proposal.
    pub ssid: Option<String>,
    /// One-time secret of an invitation.
    pub secret: Option<[u8; 16]>,
    /// The broker that is asked even while another's delegation is held, and the only one that sees the secret.
    pub broker: Option<PublicKey>,
    /// How to reach the operator.
    pub contact: Option<String>,
}

impl core::fmt::Debug for Wish {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Wish")
            .field("size", &self.size)
            .field("ssid", &self.ssid)
            .field("secret", &self.secret.map(|_| "redacted"))
            .finish_non_exhaustive()
    }
}

/// A stock WireGuard peer hosted by this node.
#[derive(Clone)]
pub struct StockPeer {
    /// A name for people.
    pub name: String,
    /// Its static key.
    pub key: PublicKey,
    /// Pre-shared key; all zeros for none.
    pub psk: Psk,
    /// Where to reach it, if it does not come to us.
    pub endpoint: Option<SocketAddr>,
    /// What it holds: within this node's certificate.
    pub prefixes: Vec<Prefix>,
    /// Seconds between persistent keepalives, 0 = off.
    pub keepalive: u16,
}

/// A LAN interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanConfig {
    /// Interface name.
    pub interface: String,
    /// Which /64 of the delegation, counted from its first; `None` = as listed.
    pub subnet: Option<u64>,
    /// Resolvers to advertise.
    pub resolvers: Vec<Ipv6Addr>,
}

/// What must survive a restart. The shell writes it whole and atomically.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeState {
    /// Certificates, revocations, heads and records as received, in an order in which they can be offered again.
    pub items: Vec<Item>,
    /// Peers that answered lately, with the address that worked; most useful first.
    pub cache: Vec<(PublicKey, SocketAddr)>,
    /// No handshake timestamp at or above this many seconds (Unix) was ever used.
    pub stamp_ceiling: u64,
    /// No Babel sequence number was used beyond this one.
    pub seqno_ceiling: u16,
    /// Counter of the last signed node record.
    pub record_counter: u64,
    /// The latest time known to have passed.
    pub time_floor: UnixTime,
    /// The broker's last word on our request: (code, text); empty when granted.
    pub refusal: Option<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_does_not_show_its_secret() {
        let wish = Wish { size: 56, ssid: None, secret: Some([171; 16]), broker: None, contact: None };
        let shown = format!("{wish:?}");
        assert!(shown.contains("redacted") && !shown.contains("171"), "{shown}");
    }
}
