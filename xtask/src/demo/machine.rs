//! A machine of the demo: a namespace, a directory of its own for `ln6d`, and the daemon when it runs.

use super::prefixes::{Prefix, prefixes_in};
use super::readme::Block;
use anyhow::{Context, Result, bail, ensure};
use ln6_lab::{Namespace, Output, Process, wait_for};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a daemon may take until it answers on its socket.
const START: Duration = Duration::from_secs(20);
/// How long a daemon may take to say goodbye.
const STOP: Duration = Duration::from_secs(15);
/// `ln6d`'s exit code for "no daemon answers".
const UNREACHABLE: i32 = 3;

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) namespace: Namespace,
    binary: PathBuf,
    state: PathBuf,
    daemon: Option<Process>,
}

impl Machine {
    pub(crate) fn new(namespace: &Namespace, binary: &Path) -> Self {
        let state = namespace.directory().join(format!("{}.state", namespace.name()));
        Self { namespace: namespace.clone(), binary: binary.to_owned(), state, daemon: None }
    }

    /// The words of a README's command as they are run here: the built binary instead of `ln6d`, and `--dir`,
    /// because all machines of the demo share one disk.
    fn words<'a>(&'a self, command: &'a [impl AsRef<str>]) -> Result<Vec<&'a str>> {
        let binary = self.binary.to_str().context("the path of the binary is not UTF-8")?;
        let state = self.state.to_str().context("the path of the lab is not UTF-8")?;
        let mut words = vec![binary, "--dir", state];
        words.extend(command.iter().skip(1).map(AsRef::as_ref));
        Ok(words)
    }

    /// Runs a block of the README and returns what its commands printed. `ln6d run` is left running.
    pub(crate) fn play(&mut self, block: &Block) -> Result<String> {
        let mut printed = String::new();
        for command in &block.0 {
            if command.get(1).map(String::as_str) == Some("run") {
                self.start()?;
            } else {
                printed.push_str(&self.namespace.run(&self.words(command)?)?);
            }
        }
        Ok(printed)
    }

    /// Starts one command of ours and leaves it running.
    pub(crate) fn launch(&self, label: &str, command: &[&str]) -> Result<Process> {
        self.namespace.spawn(label, &self.words(&[&["ln6d"], command].concat())?)
    }

    /// Its `--dir`.
    pub(crate) fn directory(&self) -> &Path {
        &self.state
    }

    /// Runs one command of ours (not of the README).
    pub(crate) fn ask(&self, command: &[&str]) -> Result<String> {
        let mut words = vec!["ln6d"];
        words.extend(command);
        self.namespace.run(&self.words(&words)?)
    }

    fn try_ask(&self, command: &[&str]) -> Result<Output> {
        let mut words = vec!["ln6d"];
        words.extend(command);
        Ok(self.namespace.exec(&self.words(&words)?))
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(&mut self) -> Result<()> {
        ensure!(self.daemon.is_none(), "the daemon runs already");
        let words = self.words(&["ln6d", "run"])?;
        self.daemon = Some(self.namespace.spawn(self.namespace.name(), &words)?);
        let what = format!("an answer of the daemon in {}", self.namespace.name());
        let answer = wait_for(&what, START, || {
            if !self.is_running() {
                return Ok(Err(()));
            }
            match self.try_ask(&["status", "--json"]) {
                Ok(output) if output.code == Some(UNREACHABLE) || output.code.is_none() => Err(output.stderr),
                Ok(_) => Ok(Ok(())),
                Err(error) => Err(error.to_string()),
            }
        })?;
        if answer.is_err() {
            bail!("the daemon in {} ended at once", self.namespace.name());
        }
        Ok(())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(Process::is_running)
    }

    /// `SIGKILL`, no goodbye.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("the daemon does not run")?;
        ensure!(daemon.is_running(), "the daemon in {} had ended by itself", self.namespace.name());
        daemon.kill();
        Ok(())
    }

    /// `SIGTERM`; the daemon must end with 0.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("the daemon does not run")?;
        let status = daemon.stop(STOP)?;
        ensure!(status.success(), "the daemon in {} ended with {status}", self.namespace.name());
        Ok(())
    }

    /// The prefixes inside `pool` (and not the pool itself) that `ln6d prefixes` names, in order.
    pub(crate) fn prefixes(&self, pool: Prefix) -> Result<Vec<Prefix>> {
        let text = self.ask(&["prefixes", "--json"])?;
        let json = serde_json::from_str(&text)
            .with_context(|| format!("`ln6d prefixes --json` is not JSON:\n{text}"))?;
        let mut found = prefixes_in(&json);
        found.retain(|prefix| *prefix != pool && pool.contains(prefix.address));
        Ok(found)
    }
}
