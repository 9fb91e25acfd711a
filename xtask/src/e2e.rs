//! `cargo xtask e2e`: the admin page in a real browser, Debian's Chromium driven by Playwright.
//!
//! `pages` looks at every page of a made-up network, `schema` fuzzes the API behind them; `network` administers a real one,
//! `weigh` measures the pages of a real broker with five thousand holders.

mod network;
mod pages;
mod weigh;

use crate::packages::{self, Need};
use crate::workspace::{must, root};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

const NEEDS: &[Need] = &[("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm")];

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let (part, options) = match words {
        [part @ ("pages" | "weigh" | "schema" | "network"), options @ ..] => (Some(*part), options),
        options => (None, options),
    };
    if part == Some("schema") && options.is_empty() {
        return pages::schema();
    }
    packages::ensure(NEEDS)?;
    if part != Some("weigh") {
        browser()?;
    }
    match part {
        Some("pages") => pages::run(options),
        Some("weigh") if options.is_empty() => weigh::run(),
        Some("network") => network::run(options),
        None if options.is_empty() => pages::run(&[]).and_then(|()| network::run(&[])),
        _ => bail!("not understood: {}", options.join(" ")),
    }
}

/// Where the scripts are.
fn folder() -> PathBuf {
    root().join("e2e")
}

/// Installs what drives the browser, by its lock file.
fn browser() -> Result<()> {
    if folder().join("node_modules/.package-lock.json").is_file() {
        return Ok(());
    }
    must(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(folder()))
}
