//! The reference in the book, made from the code. A stale page is a failure; `LN6_BLESS=1 cargo test -p ln6d
//! reference` writes it anew.

use crate::cli::Cli;
use crate::error::Trouble;
use crate::metrics::{self, Measured};
use crate::render::samples;
use crate::schema::Count;
use clap::CommandFactory as _;
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str =
    "<!-- Made from the code by 'LN6_BLESS=1 cargo test -p ln6d reference'; not edited by hand. -->\n\n";

fn check(page: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/book/src/reference").join(page);
    if std::env::var_os("LN6_BLESS").is_some() {
        std::fs::write(&path, text).expect("the page is written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{page} is stale: run LN6_BLESS=1 cargo test -p ln6d reference");
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}

fn commands(out: &mut String, path: &str, command: &clap::Command, depth: usize) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(out, "{} `{path}`\n\n{}.\n\n", "#".repeat(depth), cell(&about));
        let mut own = sub.clone().disable_help_flag(true).bin_name(&path);
        let usage = own.render_usage().to_string();
        if sub.get_subcommands().next().is_none() {
            let _ = write!(out, "```text\n{}\n```\n\n", usage.trim_start_matches("Usage: "));
        }
        let arguments: Vec<&clap::Arg> =
            sub.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help").collect();
        if !arguments.is_empty() {
            out.push_str("| argument | what |\n|---|---|\n");
            for argument in arguments {
                let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let values = argument.get_possible_values();
                if argument.get_action().takes_values() && !values.is_empty() {
                    let names: Vec<&str> =
                        values.iter().map(clap::builder::PossibleValue::get_name).collect();
                    let _ = write!(help, ": {}", names.join(", "));
                }
                let _ = writeln!(
                    out,
                    "| `{}` | {} |",
                    cell(&argument.to_string()).replace("&lt;", "<"),
                    cell(&help)
                );
            }
            out.push('\n');
        }
        if let Some(example) = sub.get_after_help().map(ToString::to_string) {
            let _ = write!(out, "{}\n\n", example.replacen("Example: ", "Example: `", 1) + "`");
        }
        commands(out, &path, sub, depth + 1);
    }
}

#[cfg(feature = "broker")]
#[test]
fn the_page_of_commands_is_what_can_be_typed() {
    let mut cli = Cli::command();
    cli.build();
    let mut out = format!(
        "{HEAD}# Commands\n\n`--dir DIR`, `--json` and `--yes` go with every command; `ln6d help COMMAND` says the same as this page.\n\n"
    );
    commands(&mut out, "ln6d", &cli, 2);
    check("cli.md", &out);
}

#[test]
fn the_page_of_errors_is_what_can_go_wrong() {
    let mut out = format!(
        "{HEAD}# Errors\n\nUnder `--json` and on the API an error is `ln6d.error/1` with `code`, `message` and `hint`. Codes never change.\n\n| code | exit | next step |\n|---|---|---|\n"
    );
    for trouble in Trouble::ALL {
        let _ =
            writeln!(out, "| `{}` | {} | {} |", trouble.code(), trouble.exit() as u8, cell(trouble.hint()));
    }
    check("errors.md", &out);
}

#[test]
fn the_page_of_metrics_is_what_is_measured() {
    let mut status = samples::broker();
    status.refusals = vec![Count { reason: "stale".into(), count: 1 }];
    let measured = Measured {
        status,
        peers: samples::peers(),
        handshakes: (7, 5, 1),
        routes: (3, 2),
        figures: vec![Count { reason: "udp_reads".into(), count: 9 }],
        sockets: vec![Count { reason: "dropped".into(), count: 4 }],
        offloads: vec![Count { reason: "udp-gso".into(), count: 1 }],
    };
    let text = metrics::render(&measured);
    let mut out = format!(
        "{HEAD}# Metrics\n\nPrometheus text on `[metrics] listen`, path `/metrics`. Times are seconds since 1970.\n\n| name | type | labels | what |\n|---|---|---|---|\n"
    );
    for line in text.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let kind =
            text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap_or_default();
        let full = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        let sample = text.lines().find(|line| line.starts_with(&format!("{full}{{"))).unwrap_or_default();
        let inner =
            sample.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(inner, _)| inner);
        let names = inner.split("\",").filter_map(|label| label.split_once("=\""));
        let labels: Vec<&str> = names.map(|(name, _)| name).collect();
        let _ =
            writeln!(out, "| `{full}` | {kind} | {} | {} |", labels.join(", "), help.trim_end_matches('.'));
    }
    check("metrics.md", &out);
}
