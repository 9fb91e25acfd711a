//! A read-only picture of control, for tools and tests: plain owned data.

use crate::forwarder::mail::PeerKind;
use crate::forwarder::stats::PeerTraffic;
use crate::{Path, PeerIdx};
use core::net::{Ipv6Addr, SocketAddr};
use core::time::Duration;
use ln6_crypto::seal::Suite;
use ln6_types::{Fingerprint, Prefix, PublicKey, RouterId, UnixTime};

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// This node.
    pub me: Me,
    /// All peers with a session, a wanted connection or a configuration entry, and all certified nodes.
    pub peers: Vec<PeerView>,
    /// Candidate routes of the overlay, selected or not.
    pub routes: Vec<RouteView>,
    /// Refused origins, messages and items by reason since the start.
    pub refusals: Vec<(&'static str, u64)>,
    /// Handshake counts since the start: initiations sent, answered, refused.
    pub handshakes: (u64, u64, u64),
}

/// This node.
#[derive(Clone, Debug)]
pub struct Me {
    /// Its name.
    pub name: String,
    /// Its WireGuard key.
    pub key: PublicKey,
    /// Its Babel router-id.
    pub router: RouterId,
    /// Its network.
    pub network: Fingerprint,
    /// Its address in the network.
    pub address: Ipv6Addr,
    /// Where it stands.
    pub standing: Standing,
    /// What it may originate at present.
    pub prefixes: Vec<Prefix>,
    /// Pools it may delegate.
    pub pools: Vec<Prefix>,
    /// Whether it is an exit now.
    pub exit: bool,
    /// Exits that can be reached now, by name.
    pub exits: Vec<String>,
    /// Validity of its certificate: not after, grace until.
    pub validity: Option<(UnixTime, UnixTime)>,
    /// Addresses it publishes.
    pub endpoints: Vec<SocketAddr>,
    /// What others say they see it at.
    pub seen_at: Vec<SocketAddr>,
}

/// Where a node stands with its network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It neither holds a certificate nor asks for one.
    Alone,
    /// It asks; no answer yet.
    Asking,
    /// It waits for an administrator.
    Waiting {
        /// Place in the queue, from 1.
        place: u32,
    },
    /// It was refused.
    Refused {
        /// Stable code.
        code: String,
        /// In words.
        text: String,
    },
    /// Its certificate is in force.
    Member,
    /// Its certificate is past its end, within the grace time.
    InGrace,
    /// Its certificate is no longer in force.
    Lost {
        /// `revoked`, `suspended` or `expired`.
        why: &'static str,
    },
}

/// One peer.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// Its number in this process.
    pub idx: PeerIdx,
    /// Its key.
    pub key: PublicKey,
    /// Its router-id.
    pub router: RouterId,
    /// Name by certificate or configuration; empty if unknown.
    pub name: String,
    /// What it is.
    pub kind: PeerKind,
    /// Certified prefixes, or those of a stock peer.
    pub prefixes: Vec<Prefix>,
    /// Whether it is a broker, an exit.
    pub broker: bool,
    /// See above.
    pub exit: bool,
    /// Whether a session is up.
    pub connected: bool,
    /// What the session is sealed with.
    pub suite: Option<Suite>,
    /// How its datagrams travel.
    pub path: Option<Path>,
    /// Greatest inner packet on that path.
    pub mtu: Option<u16>,
    /// Whether the path was seen to carry that in one piece.
    pub whole: bool,
    /// Name of the neighbour that relays for it, when it does.
    pub through: Option<String>,
    /// Whether Babel runs with it.
    pub neighbour: bool,
    /// Babel link cost, 65535 = down; `None` without adjacency.
    pub cost: Option<u16>,
    /// Smoothed round trip by Babel, when measured.
    pub rtt: Option<Duration>,
    /// Age of the current keys.
    pub handshake_age: Option<Duration>,
    /// Time since something authenticated was heard (resolution 1 s or worse).
    pub heard_age: Option<Duration>,
    /// Addresses known for it.
    pub endpoints: Vec<SocketAddr>,
    /// Its traffic.
    pub traffic: PeerTraffic,
}

/// One candidate route.
#[derive(Clone, Debug)]
pub struct RouteView {
    /// Destination.
    pub to: Prefix,
    /// Source it is for; `::/0` = any.
    pub from: Prefix,
    /// Who originates it.
    pub router: RouterId,
    /// Name of the originator; empty if unknown.
    pub owner: String,
    /// Neighbour it was learnt from; `None` = our own.
    pub via: Option<PeerIdx>,
    /// Name of that neighbour.
    pub via_name: String,
    /// Metric to us, 65535 = unreachable.
    pub metric: u16,
    /// Sequence number.
    pub seqno: u16,
    /// Whether it is in use.
    pub selected: bool,
    /// Whether the feasibility condition holds.
    pub feasible: bool,
    /// Why it is not accepted; empty if it is.
    pub refused: &'static str,
}

/// One certificate.
#[derive(Clone, Debug)]
pub struct CertificateView {
    /// Whose.
    pub name: String,
    /// Holder's name.
    pub holder: String,
    /// WireGuard key.
    pub key: PublicKey,
    /// Router-id.
    pub router: RouterId,
    /// Serial number.
    pub serial: u64,
    /// What it may originate.
    pub originate: Vec<Prefix>,
    /// Pools it may delegate.
    pub delegate: Vec<Prefix>,
    /// `exit`, `broker`, `transit`.
    pub roles: Vec<&'static str>,
    /// `live`, `in_grace`, `expired`, `revoked`, `suspended`, `not_yet`, `superseded`.
    pub status: &'static str,
    /// Validity.
    pub not_before: UnixTime,
    /// See above.
    pub not_after: UnixTime,
    /// See above.
    pub grace_until: UnixTime,
}
