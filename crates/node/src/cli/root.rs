//! The command line of what needs the root key, and of what is asked of whoever has it.

use clap::{Args, Subcommand};
use ln6_types::{Prefix, PublicKey};
use std::path::PathBuf;

/// `root …`.
#[derive(Subcommand, Debug)]
pub enum Root {
    /// On a broker, or a machine that becomes one: write what the root is asked to sign
    #[command(after_help = "Example: ln6d root request > vm.request")]
    Request(RootRequest),
    /// Where the root key is: sign a request
    #[command(
        after_help = "Example: ln6d root certify vm.request --root-key /media/stick/root.key > vm.cert"
    )]
    Certify(RootCertify),
    /// Where the root key is: take back what was given to a broker
    #[command(after_help = "Example: ln6d root revoke KEY --root-key /media/stick/root.key > vm.revoked")]
    Revoke(RootRevoke),
    /// On a broker: take what the root has signed
    #[command(after_help = "Example: ln6d root accept vm.cert")]
    Accept(RootAccept),
}

/// `root request`.
#[derive(Args, Debug)]
pub struct RootRequest {
    /// A pool to delegate of, instead of those of the configuration (repeatable)
    #[arg(long = "pool", value_name = "PREFIX")]
    pub pools: Vec<Prefix>,
    /// Write to FILE instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `root certify`.
#[derive(Args, Debug)]
pub struct RootCertify {
    /// The request; '-' is standard input
    pub request: PathBuf,
    /// The root key
    #[arg(long, value_name = "FILE")]
    pub root_key: Option<PathBuf>,
    /// A pool, instead of those that are asked for (repeatable)
    #[arg(long = "pool", value_name = "PREFIX")]
    pub pools: Vec<Prefix>,
    /// How long it holds; it is honoured for a year more
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=50))]
    pub years: u64,
    /// Not an exit, whatever is asked for
    #[arg(long)]
    pub no_exit: bool,
    /// The key of a lost broker: this one takes over what it had delegated in these pools, and nothing it signs counts any more
    #[arg(long, value_name = "KEY")]
    pub succeeds: Option<PublicKey>,
    /// Write to FILE instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `root revoke`.
#[derive(Args, Debug)]
pub struct RootRevoke {
    /// The broker's key
    pub key: PublicKey,
    /// The root key
    #[arg(long, value_name = "FILE")]
    pub root_key: Option<PathBuf>,
    /// Write to FILE instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `root accept`.
#[derive(Args, Debug)]
pub struct RootAccept {
    /// What the root has signed; '-' is standard input
    pub file: PathBuf,
}
