//! The command line on the broker: who is let in, and who holds what.

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
    /// Stop trusting a holder's keys, for ever (on the broker)
    #[command(after_help = "Example: ln6d revoke quintana --reason stolen")]
    Revoke(Holder),
    /// Take a holder's rights away until 'resume' (on the broker)
    #[command(after_help = "Example: ln6d suspend quintana --reason abuse")]
    Suspend(Holder),
    /// End a suspension (on the broker)
    #[command(after_help = "Example: ln6d resume quintana")]
    Resume(Holder),
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
}

/// `deny`.
#[derive(Args, Debug)]
pub struct Deny {
    /// Number, name or key, as 'ln6d requests' shows it
    pub request: String,
    /// Told to the asker
    #[arg(long)]
    pub reason: Option<String>,
}

/// `revoke`, `suspend`, `resume`.
#[derive(Args, Debug)]
pub struct Holder {
    /// The holder's name, as 'ln6d prefixes' shows it
    pub name: String,
    /// Kept in the journal
    #[arg(long)]
    pub reason: Option<String>,
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
