//! From the command line to what it asks for: files of this machine, or a question to the daemon.

#[cfg(feature = "broker")]
mod admin;
mod ask;
pub(crate) mod check;
#[cfg(feature = "broker")]
mod export;
#[cfg(feature = "broker")]
mod graph;
#[cfg(feature = "broker")]
mod import;
mod init;
#[cfg(feature = "broker")]
mod invitation;
pub(crate) mod join;
#[cfg(feature = "broker")]
mod keylist;
pub(crate) mod leave;
mod output;
#[cfg(feature = "broker")]
mod registry;
#[cfg(feature = "broker")]
mod root;
mod rpcd;
mod watch;
#[cfg(feature = "broker")]
mod weigh;
mod wireguard;

use crate::cli::{self, Cli, Command};
use crate::config::Config;
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use crate::{daemon, logging};
use clap::Parser as _;
use output::Output;
use std::ffi::OsString;
use std::process::ExitCode;

/// The whole program: reads the command line, does it, and returns the exit status.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&args, &error),
    };
    let output = Output::new(cli.json, cli.yes);
    let layout = Layout::of(cli.dir.as_deref());
    match dispatch(cli.command.unwrap_or(Command::Status), &layout, &output) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit as u8)
        }
    }
}

fn usage(args: &[OsString], error: &clap::Error) -> ExitCode {
    let json = args.iter().any(|arg| arg == "--json");
    if json && error.use_stderr() {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Output::new(true, false).error(&CliError {
            code: "usage".into(),
            message,
            hint: Some("see 'ln6d help'".into()),
            exit: Exit::Usage,
        });
    } else {
        // Nothing can be done if the terminal is gone.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { Exit::Usage } else { Exit::Ok } as u8)
}

fn dispatch(command: Command, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    match command {
        Command::Init(init) => init::run(&init, layout, output),
        Command::Join(join) => join::run(&join, layout, output),
        Command::Leave => leave::run(layout, output),
        #[cfg(feature = "broker")]
        Command::Root(command) => root::run(&command, layout, output),
        Command::Run(options) => run(&options, layout),
        Command::Ping(ping) => watch::ping(&ping, layout, output),
        Command::Events(events) => watch::events(&events, layout, output),
        Command::Doctor(doctor) => check::doctor(&doctor, layout, output),
        Command::Config(cli::Config::Check) => check::config(layout, output),
        Command::Key(cli::Key::Show) => check::key(layout, output),
        #[cfg(feature = "broker")]
        Command::Admin(command) => admin::run(&command, layout, output),
        #[cfg(not(feature = "broker"))]
        Command::Admin { .. } => Err(CliError::new(Trouble::NoPage, "this build of ln6d has no page in it")),
        Command::Tool(tool) => self::tool(tool, layout, output),
        Command::WireguardConfig(leaf) => wireguard::run(&leaf, layout, output),
        #[cfg(feature = "broker")]
        Command::Registry(command) => registry::run(command, layout, output),
        other => ask::run(&other, layout, output),
    }
}

fn tool(tool: cli::ToolCommand, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    match tool {
        cli::ToolCommand::Rpcd(command) => Ok(rpcd::run(&command, layout, output)),
        #[cfg(feature = "broker")]
        cli::ToolCommand::Graph(graph) => graph::run(&graph, layout, output),
        #[cfg(feature = "broker")]
        cli::ToolCommand::Keylist(command) => keylist::run(command, layout, output),
        #[cfg(feature = "broker")]
        cli::ToolCommand::ImportLibrenet6(import) => import::run(&import, layout, output),
    }
}

/// What `run --wait` begins with where nothing was set up yet.
#[cfg(feature = "broker")]
fn first_config(options: &cli::Run, layout: &Layout) -> Result<Config, CliError> {
    if options.wait && Config::load_file(&layout.config)?.is_none() {
        layout.create()?;
        let config = Config::new(join::machine_name());
        crate::files::atomic::create(&layout.config, crate::config::render(&config).as_bytes())?;
        layout.hand_over(&layout.config)?;
    }
    Config::load(layout)
}

fn run(options: &cli::Run, layout: &Layout) -> Result<Exit, CliError> {
    #[cfg(feature = "broker")]
    let (config, waits) = {
        let config = first_config(options, layout)?;
        let waits = options.wait && config.broker.is_none();
        (config, waits)
    };
    #[cfg(not(feature = "broker"))]
    let (config, waits) = (Config::load(layout)?, false);
    if config.network.is_none() && !waits {
        let join = format!("'{} join LINK' with an invitation from the broker's operator", layout.command);
        return Err(CliError::new(Trouble::NoConfig, "this node belongs to no network yet").hint(join));
    }
    let log = logging::start(config.node.log)?;
    daemon::run(layout, config, options, &log).map(|()| Exit::Ok)
}

/// The problems that `init` and `join` mention: what is surely wrong on this machine now.
fn look_around(layout: &Layout) -> Vec<crate::schema::Problem> {
    let ours = [
        "clock_unset",
        "no_tun_device",
        "interface_missing",
        "port_in_use",
        "pool_on_link",
        "uplink_within_pool",
        "no_ipv6_uplink",
        "uplink_forgets_router",
    ];
    let report = crate::doctor::judge(&crate::doctor::gather(layout));
    report.findings.into_iter().filter(|finding| ours.contains(&finding.code.as_str())).collect()
}

#[cfg(test)]
mod tests;
