//! Every request with its query, its body and its answer.

use crate::request::{self, ROWS, WAIT};
use crate::schema::*;
use ln6_types::Prefix;
use schemars::{JsonSchema, Schema as JsonText, SchemaGenerator, json_schema};

type Make = fn(&mut SchemaGenerator) -> JsonText;

/// What is answered.
#[derive(Clone, Copy)]
pub(super) enum Body {
    /// One of ours, with its name.
    Schema(&'static str, Make),
    /// Another document.
    Document,
    /// No JSON.
    Text,
}

/// A part of a query.
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) words: &'static str,
    pub(super) schema: Make,
}

/// A request.
pub(super) struct Row {
    pub(super) tag: &'static str,
    pub(super) method: &'static str,
    pub(super) word: &'static str,
    pub(super) words: String,
    pub(super) query: Vec<Query>,
    pub(super) body: Option<Make>,
    pub(super) body_needed: bool,
    pub(super) answer: Body,
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> JsonText {
    generator.subschema_for::<T>()
}

/// The first sentence of a type's documentation.
fn words<T: JsonSchema>() -> String {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    let text = schema.get("description").and_then(|text| text.as_str()).unwrap_or_default();
    text.replace('\n', " ")
}

fn limit(_: &mut SchemaGenerator) -> JsonText {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": ROWS })
}

fn wait(_: &mut SchemaGenerator) -> JsonText {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": WAIT })
}

fn place(_: &mut SchemaGenerator) -> JsonText {
    json_schema!({ "type": "string", "pattern": "^[0-9a-f:.]{2,45}(/[0-9]{1,3})?$" })
}

fn get<A: Schema + JsonSchema>(word: &'static str, words: &str, query: Vec<Query>) -> Row {
    let answer = Body::Schema(A::SCHEMA, of::<A>);
    let (tag, words) = ("read", words.to_owned());
    Row { tag, method: "GET", word, words, query, body: None, body_needed: false, answer }
}

fn post<B: JsonSchema, A: Schema + JsonSchema>(word: &'static str) -> Row {
    let answer = Body::Schema(A::SCHEMA, of::<A>);
    let words = words::<B>();
    let needed = word != "invite" && word != "policy";
    Row {
        tag: "change",
        method: "POST",
        word,
        words,
        query: vec![],
        body: Some(of::<B>),
        body_needed: needed,
        answer,
    }
}

fn empty(word: &'static str, words: &str, answer: Body) -> Row {
    let words = words.to_owned();
    Row { tag: "change", method: "POST", word, words, query: vec![], body: None, body_needed: false, answer }
}

fn ask(name: &'static str, words: &'static str, schema: Make) -> Query {
    Query { name, required: false, words, schema }
}

fn need(name: &'static str, words: &'static str, schema: Make) -> Query {
    Query { name, required: true, words, schema }
}

/// Every request, in the order of the page.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = node();
    rows.extend(registry());
    rows.extend(changes());
    rows
}

fn node() -> Vec<Row> {
    let text = || ask("text", "with this in the prefix or the holder's name", of::<String>);
    let action = |word, words| empty(word, words, Body::Schema(ActionReply::SCHEMA, of::<ActionReply>));
    vec![
        get::<StatusReport>("status", "The node in one screen, problems first.", vec![]),
        get::<PeerList>("peers", "Everybody known: who is connected, and how.", vec![]),
        get::<SessionList>("sessions", "Sessions that are up.", vec![]),
        get::<RouteList>("routes", "Routes of the overlay, also those refused.", vec![]),
        get::<PrefixList>(
            "prefixes",
            "Who holds which prefix: by the registry on a broker, by certificates elsewhere.",
            vec![
                text(),
                ask("state", "in this state", of::<String>),
                ask("pool", "within this pool", of::<Prefix>),
                ask(
                    "sort",
                    "prefix, holder, since, size or state; with a '-' in front backwards",
                    of::<String>,
                ),
                ask("offset", "so many are left out", of::<u64>),
                ask("limit", "so many at most", limit),
            ],
        ),
        get::<CertList>("certs", "Certificates known here.", vec![]),
        get::<EventList>(
            "events",
            "What happened lately; with wait, the next thing that happens.",
            vec![
                ask("after", "only those with a greater number", of::<u64>),
                ask("wait", "if there is none yet, wait for one, so many seconds", wait),
            ],
        ),
        get::<DoctorReport>("doctor", "What only the daemon can know of what is in the way.", vec![]),
        Row { answer: Body::Text, ..get::<DoctorReport>("metrics", "Prometheus text.", vec![]) },
        get::<TrafficReport>(
            "traffic",
            "Octets now, of the day and of the month.",
            vec![ask("peer", "the series of this peer, by name or key", of::<String>)],
        ),
        get::<GraphReport>("graph", "The network as this node sees it.", vec![]),
        get::<WishReport>("wish", "What this node asks the broker for while it holds nothing.", vec![]),
        post::<request::Ask, PingReply>("ping"),
        action(
            "leave",
            "Gives the delegation back and forgets the network. A request that waits, or was refused, is forgotten.",
        ),
        post::<request::Joining, SetupReply>("join"),
        post::<request::Sizing, ActionReply>("size"),
        post::<request::Leaf, WireguardReply>("wireguard"),
        Row {
            words: "Forgets a stock client; its address may be given to another.".to_owned(),
            ..post::<request::Name, ActionReply>("wireguard-remove")
        },
        empty(
            "reload",
            "Reads the configuration again.",
            Body::Schema(ReloadReply::SCHEMA, of::<ReloadReply>),
        ),
        get::<OffloadList>("offloads", "Which offloads of the kernel are used.", vec![]),
        post::<request::Switch, ActionReply>("offload"),
    ]
}

fn registry() -> Vec<Row> {
    let holder_text = "with this in their name, prefixes, keys, contact or note";
    vec![
        get::<RequestList>("requests", "Keys that wait for an administrator.", vec![]),
        get::<DenialList>("denials", "Keys that were sent away.", vec![]),
        get::<InvitationList>("invitations", "Invitations, never their secrets.", vec![]),
        get::<PoolList>("pools", "Pools, and what is left of them.", vec![]),
        get::<PolicyReport>("policy", "Spans and caps.", vec![]),
        get::<HolderList>(
            "holders",
            "Holders with keys, prefixes, contacts and notes.",
            vec![
                ask("text", holder_text, of::<String>),
                ask("state", "in this state; those that are gone are left out if absent", of::<String>),
                ask("pool", "with a prefix in this pool", of::<Prefix>),
                ask(
                    "sort",
                    "name, since, state, prefix or expiry; with a '-' in front backwards",
                    of::<String>,
                ),
                ask("offset", "so many are left out", of::<u64>),
                ask("limit", "so many at most; 100 if absent", limit),
            ],
        ),
        get::<HolderReport>("holder", "One holder.", vec![need("name", "its name", of::<String>)]),
        get::<SpaceReport>(
            "space",
            "A block of addresses as 16 x 16 cells.",
            vec![need("block", "the block", of::<Prefix>)],
        ),
        get::<HistoryList>(
            "history",
            "Who held a prefix, and when.",
            vec![
                need("prefix", "a prefix or an address", place),
                ask("at", "at this moment; at any time if absent", of::<Time>),
            ],
        ),
        get::<AuditList>(
            "audit",
            "What was done and by whom, newest first. A page may be short although there is more: go on while next is said.",
            vec![
                ask("before", "older than this line", of::<u64>),
                ask("limit", "so many at most; 100 if absent", limit),
                ask("text", "with this in their words", of::<String>),
                ask("holder", "about this holder", of::<String>),
                ask("kind", "of this kind", of::<String>),
                ask("prefix", "about this prefix, a part of it, or a whole around it", place),
                ask(
                    "actor",
                    "by whom: operator, admin:NAME, token:NAME, node:KEY, list:NAME, clock",
                    of::<String>,
                ),
            ],
        ),
        get::<ReservationList>("reservations", "Prefixes that are kept.", vec![]),
        get::<ConfirmationList>("confirmations", "What waits for 'ln6d confirm' on the machine.", vec![]),
        get::<BackupList>("backups", "Copies of the registry.", vec![]),
        Row { answer: Body::Document, ..get::<DoctorReport>("openapi.json", "This document.", vec![]) },
    ]
}

fn changes() -> Vec<Row> {
    vec![
        post::<request::Invite, InviteReply>("invite"),
        post::<request::Withdraw, ActionReply>("withdraw"),
        post::<request::Approve, ActionReply>("approve"),
        post::<request::Deny, ActionReply>("deny"),
        post::<request::Revoke, ActionReply>("revoke"),
        post::<request::Suspend, ActionReply>("suspend"),
        post::<request::Resume, ActionReply>("resume"),
        post::<request::Undo, ActionReply>("undo"),
        post::<request::Replace, ActionReply>("replace"),
        post::<request::Resize, ActionReply>("resize"),
        post::<request::Reserve, ActionReply>("reserve"),
        post::<request::Unreserve, ActionReply>("unreserve"),
        post::<request::Note, ActionReply>("note"),
        post::<request::Rename, ActionReply>("rename"),
        post::<request::Bandwidth, ActionReply>("bandwidth"),
        post::<request::Pool, ActionReply>("pool"),
        post::<request::PoolClose, ActionReply>("pool-close"),
        post::<request::Policy, ActionReply>("policy"),
        post::<request::Roles, ActionReply>("roles"),
        post::<request::Renumber, ActionReply>("renumber"),
        post::<request::Preview, EffectsReport>("preview"),
        post::<request::Confirm, ActionReply>("confirm"),
        empty(
            "backup",
            "Copies the registry aside while it is in use.",
            Body::Schema(ActionReply::SCHEMA, of::<ActionReply>),
        ),
        post::<request::Export, ActionReply>("export"),
    ]
}
