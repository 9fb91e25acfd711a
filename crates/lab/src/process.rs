//! A running command in a namespace, killed with its whole process group when the guard is dropped.

use crate::wait_until;
use anyhow::{Context, Result};
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A guard around one child; the child leads its own process group.
#[derive(Debug)]
pub struct Process {
    label: String,
    child: Child,
    out: PathBuf,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(label: &str, mut command: Command, out: PathBuf, log: PathBuf) -> Result<Self> {
        let open = |path: &Path| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| path.display().to_string())
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(open(&out)?)
            .stderr(open(&log)?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {label}"))?;
        Ok(Self { label: label.to_owned(), child, out, log })
    }

    /// The process id; every program in between replaces itself, so it is that of the command.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by name, for instance `"HUP"`, to the process alone.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        anyhow::ensure!(self.is_running(), "{} has ended", self.label);
        crate::namespace::call(Command::new("kill").args(["-s", signal, &self.pid().to_string()]))
    }

    /// Kills the whole group at once and collects the child.
    pub fn kill(&mut self) {
        if self.is_running() {
            // Not collected yet, so the number cannot name another group.
            let group = format!("-{}", self.pid());
            let _ = crate::namespace::call(Command::new("kill").args(["-s", "KILL", "--", &group]));
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }

    /// Asks it to end (`SIGTERM`) and waits.
    ///
    /// # Errors
    /// It is gone already, or still there after `deadline`; then it has been killed.
    pub fn stop(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.wait(deadline)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It is still there after `deadline`; then it has been killed.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.label);
        if let Err(error) = wait_until(&what, deadline, || !self.is_running()) {
            self.kill();
            return Err(error);
        }
        self.child.wait().with_context(|| what)
    }

    /// What it and its predecessors of the same label have written to standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.out)
    }

    /// What it and its predecessors of the same label have written to standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
