//! The command line on the broker: who is let in, and who holds what.

use super::books::{
    Api, Audit, Backup, Bandwidth, Confirm, Export, History, Import, Policy, Pool, Rename, Renumber, Roles,
    Space, Traffic,
};
use crate::duration::Span;
use clap::{Args, Subcommand};
use ln6_types::{Prefix, PublicKey, VerifyKey};

/// What to do with the registry.
#[derive(Subcommand, Debug)]
pub enum RegistryCommand {
    /// Make an invitation link (on the broker)
    #[command(after_help = "Example: ln6d invite --name quintana --size 56 --expires 7d --qr")]
    Invite(Invite),
    /// Who waits to be let in (on the broker)
    #[command(after_help = "Example: ln6d requests")]
    Requests,
    /// Invitations that were made; 'cancel' withdraws one (on the broker)
    #[command(after_help = "Example: ln6d invitations", args_conflicts_with_subcommands = true)]
    Invitations(Invitations),
    /// Let a waiting node in (on the broker)
    #[command(after_help = "Example: ln6d approve 3 --size 56")]
    Approve(Approve),
    /// Send a waiting node away (on the broker)
    #[command(after_help = "Example: ln6d deny 3 --reason 'who are you?'")]
    Deny(Deny),
    /// Take a holder's certificates away; can be undone for a week (on the broker)
    #[command(after_help = "Example: ln6d revoke quintana --reason 'lost in the river'")]
    Revoke(Revoke),
    /// Take a holder's rights away until 'resume' (on the broker)
    #[command(after_help = "Example: ln6d suspend quintana --reason abuse")]
    Suspend(Holder),
    /// End a suspension (on the broker)
    #[command(after_help = "Example: ln6d resume quintana")]
    Resume(Holder),
    /// Undo a revocation, or the denial of a request, while that is possible (on the broker)
    #[command(after_help = "Example: ln6d undo quintana")]
    Undo(Undo),
    /// Give a holder a larger or smaller prefix (on the broker)
    #[command(after_help = "Example: ln6d resize quintana 52 --moving")]
    Resize(Resize),
    /// Keep a prefix from being given, except to one holder (on the broker)
    #[command(after_help = "Example: ln6d reserve 2001:db8:4810::/48 --for escuela --note 'their old one'")]
    Reserve(Reserve),
    /// Lift a reservation (on the broker)
    #[command(after_help = "Example: ln6d unreserve 2001:db8:4810::/48")]
    Unreserve(Unreserve),
    /// Prefixes that are kept (on the broker)
    #[command(after_help = "Example: ln6d reservations")]
    Reservations,
    /// Requests that were denied; 'undo --request ID' lets one wait again (on the broker)
    #[command(after_help = "Example: ln6d denials")]
    Denials,
    /// Who holds prefixes, with contacts; or one holder with everything (on the broker)
    #[command(after_help = "Example: ln6d holders quin --sort=-since")]
    Holders(Holders),
    /// Everything about one holder (on the broker)
    #[command(after_help = "Example: ln6d holder quintana")]
    Holder(One),
    /// Note something about a holder, or how to reach its people (on the broker)
    #[command(after_help = "Example: ln6d note quintana --contact ana@example.net")]
    Note(Note),
    /// Pools and what is left of them (on the broker)
    #[command(after_help = "Example: ln6d pools")]
    Pools,
    /// Add a pool, change or close one (on the broker)
    #[command(subcommand)]
    Pool(Pool),
    /// Spans and caps; options change them (on the broker)
    #[command(after_help = "Example: ln6d policy --validity 180d")]
    Policy(Policy),
    /// What a holder's nodes may be besides nodes (on the broker)
    #[command(after_help = "Example: ln6d roles salida --exit true")]
    Roles(Roles),
    /// Who held a prefix or an address, and when (on the broker)
    #[command(after_help = "Example: ln6d history 2001:db8:4812::7 --at 2026-03-01T00:00:00Z")]
    History(History),
    /// What was done and by whom, newest first (on the broker)
    #[command(after_help = "Example: ln6d audit --holder quintana")]
    Audit(Audit),
    /// A block of addresses as a map of 16 x 16 (on the broker)
    #[command(after_help = "Example: ln6d space 2001:db8:4800::/40")]
    Space(Space),
    /// What each of a holder's nodes may send and receive (on the broker)
    #[command(after_help = "Example: ln6d bandwidth quintana 2500000")]
    Bandwidth(Bandwidth),
    /// Move everybody from one pool to another (on the broker)
    #[command(after_help = "Example: ln6d renumber 2001:db8:4800::/40 2001:db8:9900::/40")]
    Renumber(Renumber),
    /// Give a holder another name (on the broker)
    #[command(after_help = "Example: ln6d rename quintana quintana-norte")]
    Rename(Rename),
    /// Copy the registry aside while it is in use; or list the copies (on the broker)
    #[command(after_help = "Example: ln6d backup")]
    Backup(Backup),
    /// Write the whole registry as one text file, for another machine or version (on the broker)
    #[command(after_help = "Example: ln6d export registry.export")]
    Export(Export),
    /// Make the registry of an export, while no daemon runs and there is none (on the broker)
    #[command(after_help = "Example: ln6d import registry.export")]
    Import(Import),
    /// Carry out what the page has asked for and only this machine may do; list it without a code
    #[command(after_help = "Example: ln6d confirm k7m4qxab")]
    Confirm(Confirm),
    /// Traffic now, of the day and of the month, by peer
    #[command(after_help = "Example: ln6d traffic")]
    Traffic(Traffic),
    /// The API's description for programs
    #[command(subcommand)]
    Api(Api),
    /// Give a holder's prefix to a new node; prints an invitation for it (on the broker)
    #[command(after_help = "Example: ln6d replace quintana")]
    Replace(Replace),
}

/// `invite`.
#[derive(Args, Debug)]
pub struct Invite {
    /// The name its user gets
    #[arg(long)]
    pub name: Option<String>,
    /// The prefix length its user gets
    #[arg(long, value_parser = clap::value_parser!(u8).range(16..=128))]
    pub size: Option<u8>,
    /// How long it works
    #[arg(long, default_value = "7d", value_name = "SPAN")]
    pub expires: Span,
    /// Without a secret, to be published: whoever uses it waits until 'ln6d approve'
    #[arg(long)]
    pub open: bool,
    /// Also as a QR code
    #[arg(long)]
    pub qr: bool,
}

/// `invitations`.
#[derive(Args, Debug)]
pub struct Invitations {
    /// What to do; list them if nothing is said
    #[command(subcommand)]
    pub command: Option<InvitationsCommand>,
}

/// `invitations …`.
#[derive(Subcommand, Debug)]
pub enum InvitationsCommand {
    /// Withdraw an invitation that was not used
    #[command(after_help = "Example: ln6d invitations cancel 3")]
    Cancel {
        /// Its number, as 'ln6d invitations' shows it
        id: String,
    },
}

/// `approve`.
#[derive(Args, Debug)]
pub struct Approve {
    /// Number, name or key, as 'ln6d requests' shows it
    pub request: String,
    /// Exactly this prefix
    #[arg(long)]
    pub prefix: Option<Prefix>,
    /// This length instead of the one asked for
    #[arg(long, value_parser = clap::value_parser!(u8).range(16..=128), conflicts_with = "prefix")]
    pub size: Option<u8>,
    /// This name instead of the one asked for
    #[arg(long)]
    pub name: Option<String>,
    /// As one more key of this holder
    #[arg(long, conflicts_with_all = ["prefix", "size", "name"])]
    pub holder: Option<String>,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
    /// Only if the request still is as it was then: its revision, as '--json' shows it
    #[arg(long, value_name = "REVISION")]
    pub expect: Option<u64>,
}

/// `deny`.
#[derive(Args, Debug)]
pub struct Deny {
    /// Number, name or key, as 'ln6d requests' shows it
    pub request: String,
    /// Told to the asker
    #[arg(long)]
    pub reason: Option<String>,
    /// Only if the request still is as it was then: its revision, as '--json' shows it
    #[arg(long, value_name = "REVISION")]
    pub expect: Option<u64>,
}

/// `suspend`, `resume`.
#[derive(Args, Debug)]
pub struct Holder {
    /// The holder's name, as 'ln6d holders' shows it
    pub name: String,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
    /// Only if the holder still is as it was then: its revision, as '--json' shows it
    #[arg(long, value_name = "REVISION")]
    pub expect: Option<u64>,
}

/// `revoke`.
#[derive(Args, Debug)]
pub struct Revoke {
    /// The holder's name, as 'ln6d holders' shows it; or one key
    pub name: String,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
    /// Somebody else may have the key: it is barred at once and for ever
    #[arg(long)]
    pub compromised: bool,
    /// Only if the holder still is as it was then: its revision, as '--json' shows it
    #[arg(long, value_name = "REVISION")]
    pub expect: Option<u64>,
}

/// `undo`.
#[derive(Args, Debug)]
pub struct Undo {
    /// The holder whose revocation is undone, or the key
    #[arg(required_unless_present = "request")]
    pub name: Option<String>,
    /// Instead: a request that was denied, as 'ln6d denials' shows it
    #[arg(long, conflicts_with = "name", value_name = "ID")]
    pub request: Option<String>,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
    /// Only if the holder still is as it was then: its revision, as '--json' shows it
    #[arg(long, value_name = "REVISION")]
    pub expect: Option<u64>,
}

/// `resize`.
#[derive(Args, Debug)]
pub struct Resize {
    /// The holder's name, or the prefix
    pub what: String,
    /// The new prefix length
    #[arg(value_parser = clap::value_parser!(u8).range(16..=128))]
    pub size: u8,
    /// Another prefix will do; the old one stays valid for a while
    #[arg(long)]
    pub moving: bool,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
    /// Only if the holder still is as it was then: its revision, as '--json' shows it
    #[arg(long, value_name = "REVISION")]
    pub expect: Option<u64>,
}

/// `reserve`.
#[derive(Args, Debug)]
pub struct Reserve {
    /// What to keep; within a pool
    pub prefix: Prefix,
    /// Whom for, by name
    #[arg(long = "for", value_name = "NAME")]
    pub holder: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// `unreserve`.
#[derive(Args, Debug)]
pub struct Unreserve {
    /// Exactly as reserved
    pub prefix: Prefix,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
}

/// `holders`.
#[derive(Args, Debug)]
pub struct Holders {
    /// Only with this in their name, keys, prefixes, contact or note
    pub text: Option<String>,
    /// Only in this state: active, suspended, revoked, left, gone
    #[arg(long)]
    pub state: Option<String>,
    /// By name, since, state, prefix or expiry; with a '-' in front backwards
    #[arg(long, allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Leave out so many
    #[arg(long, default_value_t = 0)]
    pub offset: u64,
    /// Show so many
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: Option<u32>,
}

/// `holder`.
#[derive(Args, Debug)]
pub struct One {
    /// The holder's name, as 'ln6d holders' shows it
    pub name: String,
}

/// `note`.
#[derive(Args, Debug)]
pub struct Note {
    /// The holder's name, as 'ln6d holders' shows it
    pub name: String,
    /// What to remember; '' erases it
    pub text: Option<String>,
    /// How to reach its people; '' erases it
    #[arg(long, value_name = "TEXT")]
    pub contact: Option<String>,
}

/// `replace`.
#[derive(Args, Debug)]
pub struct Replace {
    /// The holder's name, as 'ln6d prefixes' shows it
    pub name: String,
    /// The new node's key, if it is at hand ('ln6d key show' there)
    #[arg(long, requires = "sign")]
    pub key: Option<PublicKey>,
    /// Its signing key
    #[arg(long, requires = "key")]
    pub sign: Option<VerifyKey>,
    /// How long the invitation works
    #[arg(long, default_value = "7d", value_name = "SPAN", conflicts_with = "key")]
    pub expires: Span,
    /// The invitation also as a QR code
    #[arg(long, conflicts_with = "key")]
    pub qr: bool,
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::Parser as _;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_commands_of_the_broker_are_understood() {
        for line in [
            "ln6d invite --name quintana --size 56 --expires 7d --qr",
            "ln6d approve 3 --prefix 2001:db8::/48",
            "ln6d deny 3 --reason no",
            "ln6d revoke quintana --yes",
            "ln6d replace quintana --expires 2w",
            "ln6d invitations",
            "ln6d invitations cancel 3",
        ] {
            assert!(read(line).is_ok(), "{line}: {:?}", read(line).err());
        }
    }

    #[test]
    fn wrong_values_are_refused_with_our_words() {
        let said = |line: &str| read(line).expect_err("refused").to_string();
        assert!(said("ln6d invite --expires 7").contains("such as 30m, 12h, 7d or 2w"));
        assert!(said("ln6d invite --size 129").contains("16..=128"));
    }
}
