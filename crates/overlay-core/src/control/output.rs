//! The vocabulary between control and its shell.

use crate::Path;
use crate::control::config::{LanConfig, NodeState, StockPeer};
use crate::control::message::{Item, JoinReply, JoinRequest};
use crate::forwarder::mail::{Packet, Update};
use crate::host_plan::{HostPlan, Inbound, Opening};
use core::net::SocketAddr;
use core::time::Duration;
use ln6_types::{Prefix, PublicKey};
use thiserror::Error;

/// Which worker mail is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// One worker.
    Worker(u8),
    /// Each of them.
    All,
}

/// Names a [`Output::Persist`], so that the shell can say that it is on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct StoreId(pub u64);

/// What the shell has to do, in order.
#[derive(Debug)]
pub enum Output {
    /// Mail a forwarder.
    Update(To, Update),
    /// Send a datagram from the node's own port.
    Datagram {
        /// Where to.
        to: SocketAddr,
        /// The datagram.
        bytes: Packet,
    },
    /// The kernel should look like this from now on.
    Desired(HostPlan),
    /// Write this, sync it, then call `handle_stored`.
    Persist(StoreId, Box<NodeState>),
    /// A peer asks the broker on this machine for something.
    ToBroker {
        /// Whose session it came in.
        from: PublicKey,
        /// From which address, for limits.
        address: Option<SocketAddr>,
        /// Whether it has a delegation and wants later dates only.
        renew: bool,
        /// What is asked.
        request: JoinRequest,
    },
    /// A peer gives its delegation back, in its own session.
    LeftBroker {
        /// Who.
        from: PublicKey,
    },
    /// Something an operator or a waiting command should know.
    Notice(Notice),
}

/// What the host around the node looks like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostChange {
    /// Addresses of this machine at which others might reach the node's port.
    pub candidates: Vec<SocketAddr>,
    /// Whether the machine has a default route of its own for IPv6: an exit needs one.
    pub uplink6: bool,
}

/// What the shell, the operator or the local broker tells control.
pub enum Command {
    /// The broker's answer to a request.
    FromBroker {
        /// Who asked.
        to: PublicKey,
        /// The answer.
        reply: JoinReply,
    },
    /// The broker took a delegation back from this key.
    LeftBroker {
        /// Who left.
        to: PublicKey,
    },
    /// Certificates, revocations and heads made on this machine.
    Publish(Vec<Item>),
    /// Measures the way to a node.
    Ping {
        /// Its key.
        to: PublicKey,
        /// Returned in [`Notice::Pong`].
        token: u64,
    },
    /// Adds a stock WireGuard peer, or changes the one with this key.
    PutStock(Box<StockPeer>),
    /// Forgets the stock WireGuard peer with this key.
    DropStock(PublicKey),
    /// Another LAN side: interfaces, who may connect inwards, exceptions, and whether a firewall is kept.
    LanSide {
        /// Interfaces that get a /64, in order.
        lans: Vec<LanConfig>,
        /// Who may connect inwards.
        inbound: Inbound,
        /// Exceptions to it.
        openings: Vec<Opening>,
        /// Whether a firewall is kept.
        firewall: bool,
    },
    /// More addresses at which a node may be.
    Addresses {
        /// Which node.
        of: PublicKey,
        /// Where it may be.
        addresses: Vec<SocketAddr>,
    },
    /// Asks for a prefix of this length: anew if nothing is held, else as a wish that an administrator decides about.
    Size(u8),
    /// Asks for nothing any more.
    Withdraw,
    /// Gives the delegation back to the broker.
    Leave,
    /// Says goodbye to neighbours before the process ends.
    Shutdown,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No peer has this key.
    #[error("no node with this key is known here")]
    UnknownPeer,
    /// There is nothing to give back.
    #[error("this node holds no delegation")]
    NoDelegation,
    /// No broker is configured.
    #[error("no broker is known")]
    NoBroker,
}

/// What an operator should know. The shell logs it and keeps the last ones for `status` and `events`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A session came up.
    SessionUp {
        /// With whom.
        peer: PublicKey,
        /// By which path.
        path: Path,
    },
    /// A session ended without a successor.
    SessionDown {
        /// With whom.
        peer: PublicKey,
    },
    /// The node holds a delegation (again, or a different one).
    Delegated {
        /// What it may originate.
        prefixes: Vec<Prefix>,
    },
    /// The request waits for an administrator.
    Waiting {
        /// Place in the queue, from 1.
        place: u32,
    },
    /// The broker refused.
    Refused {
        /// Stable code.
        code: String,
        /// In words.
        text: String,
    },
    /// The delegation is no longer in force.
    Lost {
        /// `revoked`, `suspended`, `expired`.
        why: &'static str,
    },
    /// The delegation was given back.
    Left,
    /// An item or a message was refused.
    Rejected {
        /// From whom it came.
        peer: Option<PublicKey>,
        /// Why.
        why: String,
    },
    /// Answer to [`Command::Ping`].
    Pong {
        /// The command's token.
        token: u64,
        /// Round trip.
        rtt: Duration,
        /// By which path the session runs.
        path: Option<Path>,
    },
    /// No IPv6 default route on an exit, or it is back.
    Uplink {
        /// Whether there is one.
        up: bool,
    },
}
