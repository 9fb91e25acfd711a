//! The command line for other programs, and for lists kept elsewhere.

use clap::{Args, Subcommand};
#[cfg(feature = "broker")]
use {crate::duration::Span, clap::ValueEnum, std::path::PathBuf};

/// What to do for others.
#[derive(Subcommand, Debug)]
pub enum ToolCommand {
    /// Speak with OpenWrt's rpcd, as a program under /usr/libexec/rpcd does
    #[command(subcommand)]
    Rpcd(Rpcd),
    /// The network as this node sees it, for other programs
    #[cfg(feature = "broker")]
    #[command(after_help = "Example: ln6d graph --format dot | dot -Tsvg > network.svg")]
    Graph(Graph),
    /// The key list in Git (on the broker)
    #[cfg(feature = "broker")]
    #[command(subcommand)]
    Keylist(Keylist),
    /// Reserve the subnets of a LibreNet6 hosts folder (on the broker)
    #[cfg(feature = "broker")]
    #[command(
        name = "import-librenet6",
        after_help = "Example: ln6d import-librenet6 librenet6/hosts --dry-run"
    )]
    ImportLibrenet6(ImportLibrenet6),
}

/// `rpcd`.
#[derive(Subcommand, Debug)]
pub enum Rpcd {
    /// Print the methods and their arguments
    #[command(after_help = "Example: ln6d rpcd list")]
    List,
    /// Carry out a method, with its arguments as JSON on standard input
    #[command(after_help = "Example: ln6d rpcd call status < /dev/null")]
    Call(RpcdCall),
}

/// `rpcd call`.
#[derive(Args, Debug)]
pub struct RpcdCall {
    /// As 'ln6d rpcd list' names it
    pub method: String,
}

/// `graph`.
#[cfg(feature = "broker")]
#[derive(Args, Debug)]
pub struct Graph {
    /// For which program
    #[arg(long, value_enum, default_value_t = GraphFormat::Table)]
    pub format: GraphFormat,
}

/// How a graph is written.
#[cfg(feature = "broker")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum GraphFormat {
    /// For people
    Table,
    /// Graphviz
    Dot,
    /// NetJSON NetworkGraph
    Netjson,
    /// meshviewer.json of Freifunk's meshviewer
    Meshviewer,
    /// Links as a table
    Csv,
    /// As the API has it
    Json,
}

/// `keylist`.
#[cfg(feature = "broker")]
#[derive(Subcommand, Debug)]
pub enum Keylist {
    /// How the list stands, and what is wrong with single files
    #[command(after_help = "Example: ln6d keylist status")]
    Status,
    /// Look at the repository now; for a hook after a push
    #[command(after_help = "Example: ln6d keylist pull")]
    Pull,
    /// Let happen what waits: many removals at once, or a rewritten history
    #[command(after_help = "Example: ln6d keylist confirm")]
    Confirm(KeylistConfirm),
}

/// `keylist confirm`.
#[cfg(feature = "broker")]
#[derive(Args, Debug)]
pub struct KeylistConfirm {
    /// The commit that was looked at, in full; the one that waits now if not given
    #[arg(long)]
    pub commit: Option<String>,
}

/// `import-librenet6`.
#[cfg(feature = "broker")]
#[derive(Args, Debug)]
pub struct ImportLibrenet6 {
    /// The folder with one tinc host file a node
    pub folder: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Make an invitation link for each node
    #[arg(long, conflicts_with = "dry_run")]
    pub invite: bool,
    /// How long the links work
    #[arg(long, default_value = "30d", value_name = "SPAN", requires = "invite")]
    pub expires: Span,
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::Parser as _;

    #[test]
    fn the_commands_for_others_are_understood() {
        let mut lines = vec!["ln6d rpcd list", "ln6d rpcd call status", "ln6d --dir X rpcd call join"];
        #[cfg(feature = "broker")]
        lines.extend([
            "ln6d graph",
            "ln6d graph --format meshviewer",
            "ln6d prefixes --csv",
            "ln6d keylist status --json",
            "ln6d keylist pull",
            "ln6d keylist confirm --commit abc --yes",
            "ln6d import-librenet6 hosts --dry-run --json",
            "ln6d import-librenet6 hosts --invite --expires 2w",
        ]);
        for line in lines {
            let read = Cli::try_parse_from(line.split_whitespace());
            assert!(read.is_ok(), "{line}: {:?}", read.err());
        }
    }
}
