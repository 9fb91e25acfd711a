//! What can be asked of the registry, and by whom.

use crate::id::{DelegationId, InvitationId, RequestId};
use crate::invitation::{Purpose, Secret};
use crate::policy::{Policy, Pool};
use crate::registry::Roles;
use ln6_types::{Prefix, PublicKey, VerifyKey};
use serde::{Deserialize, Serialize};

/// Who asks. The shell vouches for it: a page's login, the local socket, the key of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Whoever sits at the machine.
    Operator,
    /// An administrator of the page or the API, by name.
    Admin(String),
    /// A token of the API, by name: it may what an administrator may. The shell has checked its scope.
    Token(String),
    /// A key list, by name: it may admit and suspend those it lists.
    KeyList(String),
    /// The key of a session; may be a stranger's.
    Node(PublicKey),
    /// Time has passed.
    Clock,
}

/// A key asks to be let in, or for what it already has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Its X25519 key; must be the session's.
    pub key: PublicKey,
    /// Its Ed25519 key.
    pub sign: VerifyKey,
    /// The holder's name it would like.
    pub name: Option<String>,
    /// The length it would like, 128 for a single host.
    pub size: Option<u8>,
    /// Its mesh's network name, for the proposal.
    pub ssid: Option<String>,
    /// The invitation's secret.
    pub secret: Option<Secret>,
    /// How to reach its people. The registry checks its form and does not keep it.
    pub contact: Option<String>,
}

/// A new invitation; its secret comes from the entropy given to `decide` (see [`Secret::from_entropy`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// Seconds it is valid for, at most a year.
    pub valid_for: u64,
    /// The name its user gets.
    pub name: Option<String>,
    /// The length its user gets.
    pub size: Option<u8>,
    /// What using it does.
    pub purpose: Purpose,
}

/// Whom a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A holder, by name: all its keys and prefixes.
    Holder(String),
    /// One key.
    Key(PublicKey),
}

/// What a replaced holder goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// This key, at once.
    Key {
        /// Its X25519 key.
        key: PublicKey,
        /// Its Ed25519 key.
        sign: VerifyKey,
    },
    /// Whoever uses a one-time invitation, valid for so many seconds.
    Invitation {
        /// Seconds.
        valid_for: u64,
    },
}

/// Everything that changes the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Adds a pool, or changes the policy of the one with this prefix. Operator only.
    SetPool(Pool),
    /// Operator only.
    SetPolicy(Policy),
    /// What a holder's keys may be besides nodes. Operator only.
    SetRoles {
        /// The holder's name.
        holder: String,
        /// From now on.
        roles: Roles,
    },
    /// Keeps a prefix from being given, except to the holder of that name.
    Reserve {
        /// Must lie within a pool.
        prefix: Prefix,
        /// Whom for.
        name: Option<String>,
        /// Why.
        note: String,
    },
    /// Lifts a reservation.
    Unreserve {
        /// Exactly as reserved.
        prefix: Prefix,
    },
    /// Makes an invitation.
    Invite(NewInvitation),
    /// Withdraws an unused invitation.
    Withdraw {
        /// Which.
        invitation: InvitationId,
    },
    /// See [`Join`].
    Join(Join),
    /// A key wants a certificate with later dates.
    Renew {
        /// Its own.
        key: PublicKey,
    },
    /// Lets a waiting key in.
    Approve {
        /// Which.
        request: RequestId,
        /// Exactly this prefix.
        prefix: Option<Prefix>,
        /// This length instead of the one asked for.
        size: Option<u8>,
        /// This name instead of the one asked for.
        name: Option<String>,
        /// As one more key of this holder.
        holder: Option<String>,
    },
    /// Sends a waiting key away.
    Deny {
        /// Which.
        request: RequestId,
        /// Told to the asker.
        reason: String,
    },
    /// Lets a key in that has not asked (a key list, an administrator with the key at hand).
    Admit {
        /// As it would have asked; its secret is ignored.
        join: Join,
        /// Exactly this prefix.
        prefix: Option<Prefix>,
    },
    /// A key list names this key: it is let in as a holder of that name, or, if the list has suspended it, resumed. A
    /// holder of that name that this list let in before gets the new key in place of its old ones. Nothing else is
    /// changed for who is in already (not its size), and nothing at all for whom others let in: a list never comes to
    /// answer for those.
    AdmitListed {
        /// The holder's name.
        name: String,
        /// Its X25519 key.
        key: PublicKey,
        /// Its Ed25519 key.
        sign: VerifyKey,
        /// The length it would like; the pools' policy binds.
        size: Option<u8>,
        /// How to reach its people: at most 512 octets of one line; kept apart from the journal.
        contact: Option<String>,
    },
    /// A key list does not name this key any more: its holder, if that list let it in, is suspended. Whoever reads the list
    /// decides whether too many go at once.
    Unlist {
        /// The key.
        key: PublicKey,
    },
    /// A key list says another size for a key that it let in: like [`Resize`](Command::Resize) with a move, but the pool's
    /// policy binds.
    ResizeListed {
        /// The key.
        key: PublicKey,
        /// The new length.
        size: u8,
    },
    /// A key list says how to reach the people of a key that it let in.
    ContactListed {
        /// The key.
        key: PublicKey,
        /// At most 512 octets of one line; nothing erases it. Kept apart from the journal.
        text: Option<String>,
    },
    /// A cap on a holder's traffic, kept and shown. Certificates have no field for it: it is not enforced by others.
    SetRate {
        /// The holder's name.
        holder: String,
        /// Octets a second, at least 1000; `None` is no cap.
        rate: Option<u64>,
    },
    /// Another name for a holder, and for its nodes that are called as it was. Its certificates are signed anew.
    Rename {
        /// The holder's name.
        holder: String,
        /// Its new name.
        to: String,
    },
    /// Moves everybody from one pool to another. Each active delegation of `from` gets a successor in `to` (the same place in
    /// it, if that is free) and retires after the policy's `move_span`; `from` is closed. All or nobody. Suspended holders
    /// keep what they have; give the command again once they are resumed. Operator only.
    Renumber {
        /// The pool to be emptied.
        from: Prefix,
        /// An open pool.
        to: Prefix,
    },
    /// One more key for a holder.
    AddKey {
        /// The holder's name.
        holder: String,
        /// The X25519 key.
        key: PublicKey,
        /// The Ed25519 key.
        sign: VerifyKey,
    },
    /// Revokes the certificates of keys, at once and everywhere; a holder without a key loses its prefix after a grace.
    /// Until the grace is over [`Restore`](Command::Restore) undoes it; then the keys are barred for ever.
    Revoke {
        /// A key, or all keys of a holder.
        target: Target,
        /// Kept in the journal.
        reason: String,
        /// Somebody else has the keys: they are barred at once, and nothing can be undone.
        compromised: bool,
    },
    /// Undoes a revocation during its grace. A holder comes back as it was, with the keys that were revoked with it (a
    /// holder that is active: with every key that is in its grace); a prefix that was retiring does not come back.
    Restore {
        /// A key, or a holder.
        target: Target,
    },
    /// Undoes a denial while it lasts: the request waits again.
    Reconsider {
        /// The request that was denied.
        request: RequestId,
    },
    /// Takes a holder's certificates away until further notice; its prefix stays its own.
    Suspend {
        /// The holder's name.
        holder: String,
        /// Kept in the journal.
        reason: String,
    },
    /// How to reach a holder's people, and what administrators want to remember of it: both at once, or neither. The texts
    /// are kept apart from the journal and can be erased.
    SetCard {
        /// The holder's name.
        holder: String,
        /// At most 512 octets of one line; empty erases it, with the contacts of the holder's keys. `None` leaves it.
        contact: Option<String>,
        /// At most 4096 octets without control characters but line feeds; empty erases it. `None` leaves it.
        note: Option<String>,
    },
    /// Ends a suspension.
    Resume {
        /// The holder's name.
        holder: String,
    },
    /// Gives a holder's prefix to a new key; its old keys are revoked.
    Replace {
        /// The holder's name.
        holder: String,
        /// The new key, or an invitation for it.
        with: Replacement,
    },
    /// Another length for a holder's prefix: in place, or (if allowed) by a second prefix beside the old one.
    Resize {
        /// Which.
        delegation: DelegationId,
        /// The new length.
        size: u8,
        /// Whether a move to another prefix will do.
        moving: bool,
    },
    /// A key goes away; its prefix is kept for it through the quarantine.
    Leave {
        /// Its own.
        key: PublicKey,
    },
    /// A stock WireGuard client inside a holder's delegation.
    RegisterLeaf {
        /// A key of the holder: the gateway the client connects to.
        host: PublicKey,
        /// The client's name.
        name: String,
        /// The client's key.
        key: PublicKey,
        /// Its length; 128 if not given.
        size: Option<u8>,
    },
    /// Forgets a stock client.
    RemoveLeaf {
        /// The client's key.
        key: PublicKey,
    },
    /// Whatever time has brought about.
    Expire,
}
