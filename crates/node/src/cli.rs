//! The command line: what can be typed.

#[cfg(feature = "broker")]
mod admin;
#[cfg(feature = "broker")]
mod books;
#[cfg(feature = "broker")]
mod registry;
#[cfg(feature = "broker")]
mod root;
mod tools;

#[cfg(feature = "broker")]
pub use admin::*;
#[cfg(feature = "broker")]
pub use books::*;
#[cfg(feature = "broker")]
pub use registry::*;
#[cfg(feature = "broker")]
pub use root::*;
pub use tools::*;

use clap::{Args, Parser, Subcommand};
use ln6_types::{Prefix, PublicKey};
use std::path::PathBuf;

const EXITS: &str = "\
Exit status: 0 done · 1 failed · 2 wrong usage or configuration · 3 no daemon answers · 4 not found
             5 permission denied · 6 no answer · 7 conflict · 8 doctor or config check found errors";

/// Public IPv6 for community mesh networks.
#[derive(Parser, Debug)]
#[command(name = "ln6d", version, disable_help_subcommand = false, after_help = EXITS)]
pub struct Cli {
    /// Keep configuration, state and API socket of this node under DIR
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Print JSON, with stable keys and codes
    #[arg(long, global = true)]
    pub json: bool,
    /// Ask nothing
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// What to do; `status` if nothing is said
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Begin a network: this machine becomes its broker
    #[command(
        after_help = "Example: ln6d init --name altermundi --pool 2001:db8:4800::/40 --public vm.example.net"
    )]
    Init(Init),
    /// Run the node in the foreground; logs go to standard error
    #[command(after_help = "Example: ln6d --dir ./gateway run")]
    Run(Run),
    /// Join the network of an invitation link, then 'ln6d run'
    #[command(after_help = "Example: ln6d join ln6://join/… --lan br-lan --size 56")]
    Join(Join),
    /// Give the delegation back and forget the network
    #[command(after_help = "Example: ln6d leave --yes")]
    Leave,
    /// One screen: problems first, each with its next step
    #[command(after_help = "Example: ln6d status --json")]
    Status,
    /// Everybody known: who is connected, and how
    #[command(after_help = "Example: ln6d peers")]
    Peers,
    /// Sessions that are up, with paths and costs
    #[command(after_help = "Example: ln6d sessions")]
    Sessions,
    /// Routes of the overlay, also those refused, with the reason
    #[command(after_help = "Example: ln6d routes --json")]
    Routes,
    /// Who holds which prefix
    #[command(after_help = "Example: ln6d prefixes --csv > prefixes.csv")]
    Prefixes(Prefixes),
    /// Certificates known here
    #[command(after_help = "Example: ln6d certs")]
    Certs,
    /// Measure the way to a node
    #[command(after_help = "Example: ln6d ping vm -c 4")]
    Ping(Ping),
    /// Look for what is in the way, on this machine
    #[command(after_help = "Example: ln6d doctor")]
    Doctor(Doctor),
    /// What happened lately
    #[command(after_help = "Example: ln6d events --follow")]
    Events(Events),
    /// Let a phone or laptop in with stock WireGuard; prints its configuration file
    #[command(after_help = "Example: ln6d wireguard-config phone --qr")]
    WireguardConfig(WireguardConfig),
    /// Check the configuration
    #[command(subcommand)]
    Config(Config),
    /// This node's public keys
    #[command(subcommand)]
    Key(Key),
    /// Apply a changed configuration to the running node
    #[command(after_help = "Example: ln6d reload")]
    Reload,
    /// Which offloads of the kernel are used; switch one while packets flow
    #[cfg(feature = "broker")]
    #[command(after_help = "Example: ln6d offload udp-gso off")]
    Offload(Offload),
    /// What the root key can do, and what it is asked for
    #[cfg(feature = "broker")]
    #[command(subcommand)]
    Root(Root),
    /// Serve the page of this broker or gateway; logs go to standard error
    #[cfg(feature = "broker")]
    #[command(after_help = "Example: ln6d admin --setup-link")]
    Admin(Admin),
    /// Not in this build
    #[cfg(not(feature = "broker"))]
    #[command(after_help = "Example: ln6d admin", hide = true)]
    Admin {
        /// Whatever the page's command takes elsewhere
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Ask the broker for another size, or say what is asked for
    #[cfg(feature = "broker")]
    #[command(after_help = "Example: ln6d size 52")]
    Size(Size),
    /// What is done for other programs
    #[command(flatten)]
    Tool(ToolCommand),
    /// What is done on the broker
    #[cfg(feature = "broker")]
    #[command(flatten)]
    Registry(RegistryCommand),
}

/// `init`.
#[derive(Args, Debug)]
pub struct Init {
    /// Name of this node: a-z, 0-9, '-' and '.'
    #[arg(long)]
    pub name: String,
    /// A prefix that is routed to this machine, to be delegated (repeatable)
    #[arg(long = "pool", value_name = "PREFIX", required = true)]
    pub pools: Vec<Prefix>,
    /// Where this machine can be reached from everywhere (repeatable)
    #[arg(long = "public", value_name = "HOST[:PORT]", required = true)]
    pub public: Vec<String>,
    /// The interface towards the Internet; only looked at and noted, the way out is found by itself
    #[arg(long, value_name = "INTERFACE")]
    pub uplink: Option<String>,
    /// UDP port
    #[arg(long, value_name = "PORT", default_value_t = crate::config::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub listen: u16,
    /// Do not offer this machine's way to the Internet
    #[arg(long)]
    pub no_exit: bool,
    /// Another broker in the network of this invitation, instead of a new network
    #[cfg(feature = "broker")]
    #[arg(long, value_name = "LINK")]
    pub network: Option<String>,
}

/// `run`.
#[derive(Args, Debug, Default)]
pub struct Run {
    /// Do not wait for members: a broker whose registry comes from a backup, and nobody is left who knows more
    #[cfg(feature = "broker")]
    #[arg(long)]
    pub alone: bool,
    /// If this node belongs to no network, wait until it is invited to one: by its page, the API or 'ln6d join'
    #[cfg(feature = "broker")]
    #[arg(long, conflicts_with = "alone")]
    pub wait: bool,
}

/// `size`.
#[cfg(feature = "broker")]
#[derive(Args, Debug)]
pub struct Size {
    /// Prefix length; without it nothing is asked, only said
    #[arg(value_parser = clap::value_parser!(u8).range(16..=128))]
    pub size: Option<u8>,
}

/// `offload`.
#[cfg(feature = "broker")]
#[derive(Args, Debug)]
pub struct Offload {
    /// tun-gso, tun-gro, udp-gso or udp-gro; without it they are listed
    #[arg(requires = "state")]
    pub name: Option<String>,
    /// on or off, until the daemon ends; the setting 'offload' says how it begins
    #[arg(value_parser = ["on", "off"])]
    pub state: Option<String>,
}

/// `prefixes`.
#[derive(Args, Debug)]
pub struct Prefixes {
    /// As a table for spreadsheets
    #[cfg(feature = "broker")]
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// `join`.
#[derive(Args, Debug)]
pub struct Join {
    /// The link that 'ln6d invite' printed
    pub link: String,
    /// Name of this node; the machine's name if neither this nor the link says one
    #[arg(long)]
    pub name: Option<String>,
    /// Prefix length to ask for
    #[arg(long, value_parser = clap::value_parser!(u8).range(16..=128))]
    pub size: Option<u8>,
    /// Network name of the mesh, for a prefix that its other gateways propose, too
    #[arg(long)]
    pub ssid: Option<String>,
    /// An interface that gets a /64 of the delegation (repeatable); all of them if said again
    #[arg(long = "lan", value_name = "INTERFACE")]
    pub lans: Vec<String>,
    /// How the administrators reach you
    #[arg(long, value_name = "TEXT")]
    pub contact: Option<String>,
    /// UDP port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub listen: Option<u16>,
}

/// `ping`.
#[derive(Args, Debug)]
pub struct Ping {
    /// A name, an address, a prefix or a key
    pub to: String,
    /// How often
    #[arg(short = 'c', long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
}

/// `doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Exit 8 for warnings, too
    #[arg(long)]
    pub strict: bool,
}

/// `events`.
#[derive(Args, Debug)]
pub struct Events {
    /// Go on printing what happens
    #[arg(long, short = 'f')]
    pub follow: bool,
}

/// `wireguard-config`.
#[derive(Args, Debug)]
pub struct WireguardConfig {
    /// A name for the client
    pub name: String,
    /// Its prefix length: 128 for a single device
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u8).range(16..=128))]
    pub size: u8,
    /// With a pre-shared key
    #[arg(long)]
    pub psk: bool,
    /// The client's public key; without it a key is made and printed once
    #[arg(long, value_name = "KEY")]
    pub public_key: Option<PublicKey>,
    /// As a QR code for the WireGuard app
    #[arg(long)]
    pub qr: bool,
    /// Forget the client of this name; its address may be given to another
    #[arg(long, conflicts_with_all = ["psk", "public_key", "qr", "size"])]
    pub remove: bool,
}

/// `config`.
#[derive(Subcommand, Debug)]
pub enum Config {
    /// Check the file, and say what the running node would have to change
    #[command(after_help = "Example: ln6d config check")]
    Check,
}

/// `key`.
#[derive(Subcommand, Debug)]
pub enum Key {
    /// Print this node's public keys and address
    #[command(after_help = "Example: ln6d key show")]
    Show,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_with_an_example() {
        fn check(command: &clap::Command) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                assert!(sub.get_about().is_some(), "{}", sub.get_name());
                let leaf = sub.get_subcommands().next().is_none();
                let example =
                    sub.get_after_help().is_some_and(|help| help.to_string().starts_with("Example: ln6d "));
                assert!(!leaf || example, "{}", sub.get_name());
                check(sub);
            }
        }
        check(&Cli::command());
        assert!(Cli::command().render_help().to_string().contains("8 doctor or config check found errors"));
    }

    #[test]
    fn the_commands_of_the_design_are_understood() {
        for line in [
            "ln6d",
            "ln6d init --name altermundi --pool 2001:db8:4800::/40 --public vm.example.net:6695 --uplink eth0",
            "ln6d init --name a --pool 2001:db8::/40 --pool 2001:db9::/40 --public a --public b --listen 7000 --no-exit",
            "ln6d --dir S run",
            "ln6d init --name b --pool 2001:db9::/40 --public b --network ln6://join/x",
            "ln6d root request --pool 2001:db9::/40 --out b.request",
            "ln6d root certify b.request --root-key root.key --years 5 --pool 2001:db9::/41 --no-exit",
            "ln6d root accept -",
            "ln6d run --alone",
            "ln6d --dir G join ln6://join/x --name q --size 56 --ssid q.org --lan br-lan --lan eth1 --contact x --listen 1",
            "ln6d peers --json",
            "ln6d ping vm -c 2",
            "ln6d wireguard-config phone --size 128 --psk --qr",
            "ln6d wireguard-config --remove phone",
            "ln6d config check",
            "ln6d key show",
        ] {
            assert!(read(line).is_ok(), "{line}: {:?}", read(line).err());
        }
    }

    #[test]
    fn wrong_values_are_refused_with_our_words() {
        let said = |line: &str| read(line).expect_err("refused").to_string();
        let pool = said("ln6d init --name a --pool 2001:db8::1/40 --public vm");
        assert!(pool.contains("did you mean 2001:db8::/40?"), "{pool}");
        assert!(said("ln6d join x --size 129").contains("16..=128"));
        assert!(said("ln6d peer").contains("peers"));
        assert!(read("ln6d init --name a --public vm").is_err());
    }
}
