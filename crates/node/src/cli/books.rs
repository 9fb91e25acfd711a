//! The command line on the broker: pools, policy, and what was done.

use crate::duration::Span;
use clap::{Args, Subcommand};
use ln6_types::Prefix;
use std::path::PathBuf;

/// `pool`.
#[derive(Subcommand, Debug)]
pub enum Pool {
    /// Add a pool, or change the one with this prefix
    #[command(after_help = "Example: ln6d pool set 2001:db8:9900::/40 --default 48 --largest 44")]
    Set(PoolSet),
    /// Give nothing new from a pool; what was given stays
    #[command(after_help = "Example: ln6d pool close 2001:db8:4800::/40")]
    Close(PoolClose),
}

/// `pool set`.
#[derive(Args, Debug)]
pub struct PoolSet {
    /// The whole, routed to this machine
    pub prefix: Prefix,
    /// Length given when none is asked for
    #[arg(long, value_parser = clap::value_parser!(u8).range(16..=128))]
    pub default: Option<u8>,
    /// Shortest length that may be asked for without an administrator
    #[arg(long, value_parser = clap::value_parser!(u8).range(16..=128))]
    pub largest: Option<u8>,
    /// Longest one
    #[arg(long, value_parser = clap::value_parser!(u8).range(16..=128))]
    pub smallest: Option<u8>,
    /// How strangers come in: invitation, queue or key_list
    #[arg(long)]
    pub admission: Option<String>,
    /// Give from it again after 'close'
    #[arg(long)]
    pub open: bool,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
}

/// `pool close`.
#[derive(Args, Debug)]
pub struct PoolClose {
    /// Which
    pub prefix: Prefix,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
}

/// `policy`.
#[derive(Args, Debug)]
pub struct Policy {
    /// Of a certificate
    #[arg(long, value_name = "SPAN")]
    pub validity: Option<Span>,
    /// How long a certificate is honoured after that
    #[arg(long, value_name = "SPAN")]
    pub grace: Option<Span>,
    /// Shortest quarantine of a prefix that was given back
    #[arg(long, value_name = "SPAN")]
    pub quarantine: Option<Span>,
    /// How long a revocation can be undone
    #[arg(long, value_name = "SPAN")]
    pub revocation_grace: Option<Span>,
    /// How long a request waits
    #[arg(long, value_name = "SPAN")]
    pub request_span: Option<Span>,
    /// How long a denial lasts
    #[arg(long, value_name = "SPAN")]
    pub denial_span: Option<Span>,
    /// How long the old prefix lives on after a move
    #[arg(long, value_name = "SPAN")]
    pub move_span: Option<Span>,
    /// Requests waiting at once
    #[arg(long)]
    pub queue: Option<u32>,
    /// Requests waiting at once for one name
    #[arg(long)]
    pub queue_per_name: Option<u32>,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
}

/// `roles`.
#[derive(Args, Debug)]
pub struct Roles {
    /// The holder's name, as 'ln6d holders' shows it
    pub name: String,
    /// Whether they lead to the Internet
    #[arg(long)]
    pub exit: Option<bool>,
    /// Whether they delegate from the pools
    #[arg(long)]
    pub broker: Option<bool>,
    /// Whether they are offered to others as relays
    #[arg(long)]
    pub transit: Option<bool>,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
    /// Only if the holder still is as it was then: its revision, as '--json' shows it
    #[arg(long, value_name = "REVISION")]
    pub expect: Option<u64>,
}

/// `history`.
#[derive(Args, Debug)]
pub struct History {
    /// A prefix or an address
    pub prefix: String,
    /// At this moment (RFC 3339); at any time if not given
    #[arg(long, value_name = "TIME")]
    pub at: Option<crate::schema::Time>,
}

/// `audit`.
#[derive(Args, Debug)]
pub struct Audit {
    /// With this in their words
    pub text: Option<String>,
    /// About this holder
    #[arg(long)]
    pub holder: Option<String>,
    /// Of this kind, such as granted or key_revoked
    #[arg(long)]
    pub kind: Option<String>,
    /// About this prefix or address, parts of it, or what is around it
    #[arg(long)]
    pub prefix: Option<String>,
    /// By whom: operator, admin:NAME, token:NAME, node:KEY, list:NAME, clock
    #[arg(long)]
    pub actor: Option<String>,
    /// Older than this line
    #[arg(long, value_name = "NUMBER")]
    pub before: Option<u64>,
    /// Show so many
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: Option<u32>,
}

/// `space`.
#[derive(Args, Debug)]
pub struct Space {
    /// Which block; the first pool if not given
    pub block: Option<Prefix>,
}

/// `bandwidth`.
#[derive(Args, Debug)]
pub struct Bandwidth {
    /// The holder's name, as 'ln6d holders' shows it
    pub name: String,
    /// Octets per second; no limit if not given
    pub bytes_per_second: Option<u64>,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
    /// Only if the holder still is as it was then: its revision, as '--json' shows it
    #[arg(long, value_name = "REVISION")]
    pub expect: Option<u64>,
}

/// `renumber`.
#[derive(Args, Debug)]
pub struct Renumber {
    /// The pool to be emptied
    pub from: Prefix,
    /// The pool to move to
    pub to: Prefix,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
}

/// `rename`.
#[derive(Args, Debug)]
pub struct Rename {
    /// The holder's name, as 'ln6d holders' shows it
    pub name: String,
    /// Its new name
    pub to: String,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
    /// Only if the holder still is as it was then: its revision, as '--json' shows it
    #[arg(long, value_name = "REVISION")]
    pub expect: Option<u64>,
}

/// `backup`.
#[derive(Args, Debug)]
pub struct Backup {
    /// List the copies there are
    #[arg(long)]
    pub list: bool,
}

/// `export`.
#[derive(Args, Debug)]
pub struct Export {
    /// Where to; beside the registry if not given
    pub file: Option<PathBuf>,
    /// Leave contacts and notes out
    #[arg(long)]
    pub without_contacts: bool,
}

/// `import`.
#[derive(Args, Debug)]
pub struct Import {
    /// What 'ln6d export' wrote
    pub file: PathBuf,
}

/// `confirm`.
#[derive(Args, Debug)]
pub struct Confirm {
    /// Its code, as the page and 'ln6d confirm' show it
    pub code: Option<String>,
}

/// `traffic`.
#[derive(Args, Debug)]
pub struct Traffic {
    /// The series of this peer, by name or key
    pub peer: Option<String>,
}

/// `api`.
#[derive(Subcommand, Debug)]
pub enum Api {
    /// Print the OpenAPI 3.1 document
    #[command(after_help = "Example: ln6d api openapi > openapi.json")]
    Openapi,
}
