//! Every page of a made-up network: both themes, wide and on a phone; axe, widths, pictures.

use super::folder;
use crate::workspace::{cargo, must, target};
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The made-up network's page; ended when dropped.
struct Fake {
    child: Child,
    address: String,
}

impl Fake {
    /// On a port that is free, with `holders` holders.
    fn start(holders: u32) -> Result<Self> {
        must(&mut cargo(&[
            "build",
            "--locked",
            "--package",
            "ln6-page",
            "--features",
            "fake",
            "--example",
            "fake",
        ]))?;
        let program = target()?.join("debug/examples/fake");
        let mut command = Command::new(&program);
        command.args(["0", &holders.to_string()]).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let mut line = String::new();
        let out = child.stdout.take().context("no output")?;
        BufReader::new(out).read_line(&mut line).context("reading where the page is")?;
        let address = line.split("/setup/").next().unwrap_or_default().to_owned();
        let fake = Fake { child, address };
        ensure!(fake.address.starts_with("http://"), "the page did not start: {line}");
        Ok(fake)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn run(options: &[&str]) -> Result<()> {
    let only = match options {
        [] => None,
        ["--only", page] => Some(*page),
        other => bail!("not understood: {}", other.join(" ")),
    };
    let pictures = target()?.join("e2e");
    let fake = Fake::start(40)?;
    let mut look = Command::new("node");
    look.arg(folder().join("look.mjs")).arg(&fake.address).arg(&pictures).args(only);
    must(&mut look)?;
    eprintln!("pictures of every page are in {}", pictures.display());
    Ok(())
}
