//! What has happened: the journal's language. Nothing here is ever taken back or rewritten.

use crate::command::Actor;
use crate::id::{DelegationId, HolderId, InvitationId, RequestId};
use crate::invitation::Invitation;
use crate::policy::{Policy, Pool};
use crate::registry::{Leaf, Request, Reservation, Roles};
use ln6_types::{Prefix, PublicKey, UnixTime, VerifyKey};
use serde::{Deserialize, Serialize};

/// The version of the journal's language; written as `1`, anything else is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct V1;

impl Serialize for V1 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(V1),
            _ => Err(serde::de::Error::custom("written by a newer version")),
        }
    }
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of this line.
    pub v: V1,
    /// When.
    pub at: UnixTime,
    /// By whom.
    pub who: Actor,
    /// Why, in the words of who did it; empty if nothing was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What.
    pub what: What,
}

/// What a certificate says; signing it always gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Strictly increasing across the registry.
    pub serial: u64,
    /// The X25519 key.
    pub key: PublicKey,
    /// The Ed25519 key.
    pub sign: VerifyKey,
    /// The node's name.
    pub name: String,
    /// The holder's name.
    pub holder: String,
    /// What it may originate: sorted, disjoint.
    pub prefixes: Vec<Prefix>,
    /// The pools it serves as an exit or broker: sorted, disjoint.
    pub pools: Vec<Prefix>,
    /// What it may be besides a node.
    pub roles: Roles,
    /// Rights begin.
    pub not_before: UnixTime,
    /// Renewal is overdue.
    pub not_after: UnixTime,
    /// Rights end.
    pub grace_until: UnixTime,
}

/// What a revocation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// One certificate (suspension, leaving, a smaller prefix).
    Serial(u64),
    /// A key, for ever.
    Key(PublicKey),
}

/// Why something is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// For now, or in favour of a certificate that says something else.
    Suspended,
    /// For good.
    Revoked,
    /// Another key took the holder's place.
    Replaced,
    /// The node said goodbye.
    Left,
}

/// A revocation; its number has no gap before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// 1, 2, 3 …
    pub number: u64,
    /// What is named.
    pub what: Revoked,
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub at: UnixTime,
    /// The last `grace_until` of the certificates concerned: it need not be remembered for longer.
    pub until: UnixTime,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A registry that was restored from a backup, or takes over from another, begins a new epoch: the high half of all numbers
    /// that it gives from now on.
    Epoch {
        /// Its number.
        epoch: u32,
    },
    /// What another broker had delegated is this registry's from now on.
    Succeeded {
        /// The other's X25519 key.
        broker: PublicKey,
    },
    /// A pool is new, or its policy has changed.
    PoolSet(Pool),
    /// Spans and caps.
    PolicySet(Policy),
    /// A holder's roles.
    RolesSet {
        /// Whose.
        holder: HolderId,
        /// From now on.
        roles: Roles,
    },
    /// A prefix is kept.
    Reserved(Reservation),
    /// A prefix is no longer kept.
    Unreserved {
        /// Which.
        prefix: Prefix,
    },
    /// An invitation was made.
    Invited(Invitation),
    /// An invitation was withdrawn.
    InvitationWithdrawn {
        /// Which.
        id: InvitationId,
    },
    /// An invitation is burnt.
    InvitationUsed {
        /// Which.
        id: InvitationId,
        /// By whom.
        key: PublicKey,
    },
    /// A key waits for an administrator, or has corrected what it asks for.
    Requested(Request),
    /// It was let in.
    Approved {
        /// Which request.
        id: RequestId,
    },
    /// It was sent away.
    Denied {
        /// Which request.
        id: RequestId,
        /// Its key.
        key: PublicKey,
        /// Told to the asker.
        reason: String,
    },
    /// Nobody decided in time.
    RequestExpired {
        /// Which request.
        id: RequestId,
    },
    /// A holder is new.
    HolderAdded {
        /// Its number.
        id: HolderId,
        /// Its name.
        name: String,
    },
    /// A key now speaks for a holder (a new key, or one that came back, or one with a new signing key).
    KeyAdded {
        /// Whose.
        holder: HolderId,
        /// The X25519 key.
        key: PublicKey,
        /// The Ed25519 key.
        sign: VerifyKey,
        /// The node's name.
        name: String,
    },
    /// A key's certificates are revoked, or it is barred for ever.
    KeyRevoked {
        /// Which.
        key: PublicKey,
        /// Why.
        reason: String,
        /// Until when that can be undone; `None` if never (then a revocation names the key).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<UnixTime>,
    },
    /// A key's revocation was undone: it is what it was before.
    KeyRestored {
        /// Which.
        key: PublicKey,
    },
    /// A holder's revocation was undone: it is what it was before.
    Restored {
        /// Who.
        holder: HolderId,
    },
    /// A key has gone of its own will.
    KeyLeft {
        /// Which.
        key: PublicKey,
    },
    /// A key's last certificate has ended.
    KeyLapsed {
        /// Which.
        key: PublicKey,
    },
    /// A prefix is delegated.
    Granted {
        /// Its number.
        id: DelegationId,
        /// To whom.
        holder: HolderId,
        /// The prefix.
        prefix: Prefix,
    },
    /// A delegation has grown or shrunk around its first address.
    Resized {
        /// Which.
        id: DelegationId,
        /// From now on.
        prefix: Prefix,
    },
    /// What a shrunk delegation has let go of, kept until no certificate names it.
    Kept {
        /// Its number.
        id: DelegationId,
        /// The former holder.
        holder: HolderId,
        /// The former prefix.
        prefix: Prefix,
        /// Until when.
        until: UnixTime,
    },
    /// A delegation lives on for a while beside its successor.
    Retiring {
        /// Which.
        id: DelegationId,
        /// Until when.
        until: UnixTime,
    },
    /// A holder is suspended.
    Suspended {
        /// Who.
        holder: HolderId,
        /// Why.
        reason: String,
    },
    /// A holder is itself again: a suspension ended, or a key came back during grace or quarantine.
    Resumed {
        /// Who.
        holder: HolderId,
    },
    /// A holder has no key left; its prefixes wait for a replacement.
    HolderRevoked {
        /// Who.
        holder: HolderId,
        /// Then quarantine begins.
        until: UnixTime,
    },
    /// A holder has gone; a delegation is given to nobody else until then.
    Quarantined {
        /// Which.
        id: DelegationId,
        /// Later than every certificate that names the prefix.
        until: UnixTime,
        /// Whether its holder may have it back.
        returns: bool,
    },
    /// A key list answers for a holder from now on.
    Listed {
        /// Whose.
        holder: HolderId,
        /// The list's name.
        list: String,
    },
    /// A holder's cap.
    RateSet {
        /// Whose.
        holder: HolderId,
        /// Octets a second; `None` is no cap.
        rate: Option<u64>,
    },
    /// A holder has another name, and so have its nodes that were called as it was.
    Renamed {
        /// Whose.
        holder: HolderId,
        /// The name.
        name: String,
    },
    /// How to reach a holder's people has changed (it is kept elsewhere).
    ContactChanged {
        /// Whose.
        holder: HolderId,
    },
    /// What administrators remember of a holder has changed (it is kept elsewhere).
    NoteChanged {
        /// Whose.
        holder: HolderId,
    },
    /// A delegation is over.
    Freed {
        /// Which.
        id: DelegationId,
    },
    /// A certificate may be signed.
    Issued(Issue),
    /// A revocation may be signed.
    Revocation(Revocation),
    /// A stock client is known.
    LeafAdded(Leaf),
    /// A stock client is forgotten.
    LeafRemoved {
        /// Its key.
        key: PublicKey,
    },
}

impl What {
    /// The stable word by which the journal calls it.
    pub const fn kind(&self) -> &'static str {
        match self {
            What::Epoch { .. } => "epoch",
            What::Succeeded { .. } => "succeeded",
            What::PoolSet(_) => "pool_set",
            What::PolicySet(_) => "policy_set",
            What::RolesSet { .. } => "roles_set",
            What::Reserved(_) => "reserved",
            What::Unreserved { .. } => "unreserved",
            What::Invited(_) => "invited",
            What::InvitationWithdrawn { .. } => "invitation_withdrawn",
            What::InvitationUsed { .. } => "invitation_used",
            What::Requested(_) => "requested",
            What::Approved { .. } => "approved",
            What::Denied { .. } => "denied",
            What::RequestExpired { .. } => "request_expired",
            What::HolderAdded { .. } => "holder_added",
            What::KeyAdded { .. } => "key_added",
            What::KeyRevoked { .. } => "key_revoked",
            What::KeyRestored { .. } => "key_restored",
            What::Restored { .. } => "restored",
            What::KeyLeft { .. } => "key_left",
            What::KeyLapsed { .. } => "key_lapsed",
            What::Granted { .. } => "granted",
            What::Resized { .. } => "resized",
            What::Kept { .. } => "kept",
            What::Retiring { .. } => "retiring",
            What::Suspended { .. } => "suspended",
            What::Resumed { .. } => "resumed",
            What::HolderRevoked { .. } => "holder_revoked",
            What::Quarantined { .. } => "quarantined",
            What::Listed { .. } => "listed",
            What::RateSet { .. } => "rate_set",
            What::Renamed { .. } => "renamed",
            What::ContactChanged { .. } => "contact_changed",
            What::NoteChanged { .. } => "note_changed",
            What::Freed { .. } => "freed",
            What::Issued(_) => "issued",
            What::Revocation(_) => "revocation",
            What::LeafAdded(_) => "leaf_added",
            What::LeafRemoved { .. } => "leaf_removed",
        }
    }
}
