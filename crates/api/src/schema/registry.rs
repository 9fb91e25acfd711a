//! What a broker answers of its registry.

use super::Time;
use ln6_types::{Prefix, PublicKey};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/pools`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PoolList {
    /// By prefix.
    pub pools: Vec<PoolInfo>,
}

/// A pool, its policy, and what is left of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PoolInfo {
    /// The whole.
    pub prefix: Prefix,
    /// `invitation`, `queue` or `key_list`: how strangers come in.
    pub admission: String,
    /// A closed pool keeps its delegations and gives no new ones.
    pub open: bool,
    /// The length given when none is asked for.
    pub default: u8,
    /// The shortest length (the largest prefix) given without an administrator naming it.
    pub largest: u8,
    /// The longest length of a subnet given without an administrator naming it.
    pub smallest: u8,
    /// Where single hosts are numbered from; absent if there are none.
    pub hosts: Option<Prefix>,
    /// Delegations that are not free, quarantined ones included.
    pub delegations: u32,
    /// Prefixes of the default length that fit in it; 0 for pools of single hosts.
    pub slots: u64,
    /// Those that nobody has touched.
    pub free: u64,
    /// Share of the addresses delegated, 0 to 1.
    pub used_ratio: f64,
}

/// `GET /api/v1/policy`: spans and caps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PolicyReport {
    /// Of a certificate.
    pub validity_seconds: u64,
    /// How long a certificate is honoured after that, so that an unreachable broker takes nothing away.
    pub grace_seconds: u64,
    /// How far before its issue a certificate begins, for clocks that are slow.
    pub skew_seconds: u64,
    /// The shortest quarantine of a prefix that was given back.
    pub quarantine_seconds: u64,
    /// How long a revocation can be undone, and a revoked prefix waits for `replace`.
    pub revocation_grace_seconds: u64,
    /// How long a request waits.
    pub request_seconds: u64,
    /// How long a denial answers for the administrator.
    pub denial_seconds: u64,
    /// How long the old prefix lives on after a move.
    pub move_seconds: u64,
    /// Requests waiting at once.
    pub queue: u32,
    /// Requests waiting at once for one name.
    pub queue_per_name: u32,
}

/// `GET /api/v1/holders`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct HolderList {
    /// How many there are in all, of those asked for.
    pub total: u64,
    /// The place of the first one here among them, from 0.
    pub offset: u64,
    /// In the order asked for.
    pub holders: Vec<HolderRow>,
}

/// `GET /api/v1/holder`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct HolderReport {
    /// The holder.
    pub holder: HolderRow,
}

/// Whoever prefixes are delegated to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct HolderRow {
    /// Its number: never given again.
    pub id: String,
    /// Its name: unique among those that are not gone.
    pub name: String,
    /// `active`, `suspended`, `revoked`, `left` or `gone`.
    pub state: String,
    /// `exit`, `broker`, `transit`.
    pub roles: Vec<String>,
    /// Since when it is known.
    pub since: Time,
    /// Counts its changes: give it as `expect`, so that a change is refused with `state_changed` if another was faster.
    pub revision: u64,
    /// Its keys, past ones included.
    pub keys: Vec<KeyRow>,
    /// Its prefixes, quarantined ones included.
    pub prefixes: Vec<HeldRow>,
    /// How to reach its people.
    pub contact: Option<String>,
    /// What the administrators have noted.
    pub note: Option<String>,
    /// What each of its keys may send and receive; absent without a limit.
    pub bytes_per_second: Option<u64>,
    /// Until when `undo` takes the revocation back.
    pub undo_until: Option<Time>,
}

/// A key of a holder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct KeyRow {
    /// The WireGuard key.
    pub key: PublicKey,
    /// The node's name.
    pub name: String,
    /// `active`, `left`, `lapsed`, `revoked` (that can be undone) or `barred` (for ever).
    pub state: String,
    /// The certificate in force.
    pub serial: Option<u64>,
    /// When that should be renewed by.
    pub not_after: Option<Time>,
    /// When its rights end.
    pub grace_until: Option<Time>,
}

/// A prefix of a holder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct HeldRow {
    /// The delegation's number.
    pub id: String,
    /// What.
    pub prefix: Prefix,
    /// `active`, `retiring`, `suspended`, `revoked` or `quarantined`.
    pub state: String,
    /// Since when.
    pub since: Time,
    /// Until when the state lasts, if that is fixed.
    pub until: Option<Time>,
    /// The last moment at which a certificate names it.
    pub named_until: Time,
    /// The shortest length it could grow to in place just now.
    pub grows_to: u8,
}

/// `GET /api/v1/space`: a block as 16 × 16 cells, in order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SpaceReport {
    /// What is shown: the block asked for, made larger to a multiple of 4 bits, at most a /120.
    pub block: Prefix,
    /// 256 parts of equal length in order of address: row by the first digit, column by the second.
    pub cells: Vec<SpaceCell>,
}

/// A part of a block.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SpaceCell {
    /// Which.
    pub prefix: Prefix,
    /// All of it is `outside` (of every pool), `free`, `delegated`, `suspended`, `revoked`, `quarantined`, `reserved` or
    /// for single `hosts`; or it is taken `partly`.
    pub state: String,
    /// Share of its addresses that are not free, 0 to 1.
    pub share: f64,
    /// Delegations that begin in it.
    pub delegations: u64,
    /// Whose it is, if it is one holder's, or is reserved for one.
    pub holder: Option<String>,
    /// What it is a part of, if that is larger.
    pub inside: Option<Prefix>,
    /// Whether there is more to see inside: ask for this prefix as a block.
    pub deeper: bool,
}

/// `GET /api/v1/history`: who held a prefix, a part of it, or the whole it is part of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct HistoryList {
    /// What was asked for.
    pub prefix: Prefix,
    /// The moment asked for; at any time if absent.
    pub at: Option<Time>,
    /// Oldest first.
    pub rows: Vec<HistoryRow>,
}

/// One tenure.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct HistoryRow {
    /// What was held.
    pub prefix: Prefix,
    /// By whom.
    pub holder: String,
    /// The holder's number.
    pub holder_id: String,
    /// With which keys, at that moment or all the while.
    pub keys: Vec<PublicKey>,
    /// From.
    pub from: Time,
    /// To; absent while it lasts.
    pub to: Option<Time>,
}

/// `GET /api/v1/audit`: what was done, and by whom. Never rewritten.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct AuditList {
    /// Newest first.
    pub rows: Vec<AuditRow>,
    /// Give this as `before` to get what is older; absent at the end.
    pub next: Option<u64>,
}

/// One thing that was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct AuditRow {
    /// Its place in the journal, from 1.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// `operator`, `admin:NAME`, `token:NAME`, `node:KEY`, `list:NAME` or `clock`.
    pub actor: String,
    /// What: stable, in snake case, such as `granted` or `key_revoked`.
    pub kind: String,
    /// To whom.
    pub holder: Option<String>,
    /// With what.
    pub prefixes: Vec<Prefix>,
    /// Why, as it was given.
    pub reason: Option<String>,
    /// In words.
    pub message: String,
}

/// `GET /api/v1/denials`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct DenialList {
    /// Newest first.
    pub denials: Vec<DenialRow>,
}

/// A key that was sent away; while that lasts `undo` lets it wait again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct DenialRow {
    /// The request's number, for `undo`; absent if it is not known any more.
    pub request: Option<String>,
    /// The name it would have liked.
    pub name: Option<String>,
    /// Its key.
    pub key: PublicKey,
    /// What it was told.
    pub reason: String,
    /// When.
    pub time: Time,
    /// It may ask again then.
    pub until: Time,
}

/// `GET /api/v1/reservations`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ReservationList {
    /// By prefix.
    pub reservations: Vec<ReservationRow>,
}

/// A prefix that is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ReservationRow {
    /// What.
    pub prefix: Prefix,
    /// Whom for, by name; for nobody if absent.
    pub holder: Option<String>,
    /// Why.
    pub note: String,
    /// Counts its changes: give it as `expect`.
    #[serde(default)]
    pub revision: u64,
}

/// `POST /api/v1/preview`: what an action would do now. Nothing is changed.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct EffectsReport {
    /// In order.
    pub effects: Vec<Effect>,
    /// Until when `undo` would take it back; absent if it would not.
    pub undo_until: Option<Time>,
    /// What to think of before.
    pub warnings: Vec<Effect>,
    /// Whether a page or a token has to wait for `ln6d confirm` on the machine.
    pub needs_confirmation: bool,
}

/// Something that would happen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Effect {
    /// Stable, in snake case.
    pub code: String,
    /// In words.
    pub message: String,
    /// What is concerned.
    #[serde(default)]
    pub prefixes: Vec<Prefix>,
}

/// `GET /api/v1/confirmations`: what waits for `ln6d confirm` on the machine.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ConfirmationList {
    /// Oldest first.
    pub confirmations: Vec<ConfirmationRow>,
}

/// A request of a page or a token that is kept until somebody confirms it on the machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ConfirmationRow {
    /// To confirm it by.
    pub code: String,
    /// What was asked, by the word of its path.
    pub action: String,
    /// The request itself, as it was asked, in JSON.
    pub request: String,
    /// Who asked: `admin:NAME` or `token:NAME`.
    pub actor: String,
    /// When.
    pub asked: Time,
    /// Then it is forgotten.
    pub until: Time,
    /// What it would do now; empty if it would be refused now (see `refused`).
    pub effects: Vec<Effect>,
    /// Why it would be refused now.
    pub refused: Option<String>,
}

/// `GET /api/v1/backups`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct BackupList {
    /// Newest first.
    pub backups: Vec<BackupRow>,
}

/// A copy of the registry in the state directory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct BackupRow {
    /// Its path on the broker.
    pub file: String,
    /// When it was made.
    pub time: Time,
    /// Its size.
    pub bytes: u64,
}

/// `GET /api/v1/requests`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RequestList {
    /// Oldest first.
    pub requests: Vec<RequestRow>,
}

/// A key that waits for an administrator.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RequestRow {
    /// To approve or deny it by.
    pub id: String,
    /// The name it would like.
    pub name: Option<String>,
    /// Whether a holder is called so already.
    #[serde(default)]
    pub name_taken: bool,
    /// The length it would like.
    pub size: Option<u8>,
    /// Its mesh's network name.
    pub ssid: Option<String>,
    /// Its key: compare it with what 'ln6d key show' prints there.
    pub key: PublicKey,
    /// What it would get.
    pub proposed: Option<Prefix>,
    /// How to reach its people.
    pub contact: Option<String>,
    /// Since when.
    pub since: Time,
    /// Counts its changes: give it as `expect` to decide on what was shown.
    #[serde(default)]
    pub revision: u64,
}

/// `POST /api/v1/invite`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct InviteReply {
    /// The link.
    pub link: String,
    /// Until when it works.
    pub expires: Time,
    /// The name its user gets.
    pub name: Option<String>,
    /// The length its user gets.
    pub size: Option<u8>,
    /// Whether any number may use it, each to wait for an administrator.
    #[serde(default)]
    pub open: bool,
}

/// `GET /api/v1/invitations`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct InvitationList {
    /// By number. Links without a secret are not in it.
    pub invitations: Vec<InvitationRow>,
}

/// An invitation; never its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct InvitationRow {
    /// To cancel it by.
    pub id: String,
    /// `open`, `used`, `expired` or `withdrawn`.
    pub state: String,
    /// The name its user gets.
    pub name: Option<String>,
    /// The length its user gets.
    pub size: Option<u8>,
    /// Whether its user takes the place of a node.
    pub replaces: bool,
    /// From then on it is refused.
    pub expires: Time,
    /// Who has used it.
    pub used_by: Option<PublicKey>,
}
