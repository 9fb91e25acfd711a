//! One network namespace and what can be done in it.

use crate::{Process, wait_for};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The longest any [`Namespace::exec`] may run.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A handle to a namespace; copies name the same one. It dies with its [`crate::Lab`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    name: Arc<str>,
    full: Arc<str>,
    directory: Arc<Path>,
}

/// How a command ended and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit code; `None` when it was killed or could not be started.
    pub code: Option<i32>,
    /// Standard output, with invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, with invalid UTF-8 replaced.
    pub stderr: String,
}

impl Output {
    /// Whether the command ended with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl Namespace {
    pub(crate) fn new(name: &str, full: &str, directory: &Path) -> Self {
        Self { name: name.into(), full: full.into(), directory: directory.into() }
    }

    /// The short name, as given to [`crate::Lab::namespace`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name `ip netns` knows.
    pub fn full_name(&self) -> &str {
        &self.full
    }

    /// The lab's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs a command to its end, at most two minutes.
    pub fn exec(&self, args: &[&str]) -> Output {
        self.exec_for(args, LIMIT)
    }

    /// Runs a command to its end, at most so long.
    pub fn exec_for(&self, args: &[&str], limit: Duration) -> Output {
        let limit = limit.as_secs_f64().to_string();
        let output = Command::new("timeout")
            .args(["-k", "2", &limit, "ip", "netns", "exec", &self.full])
            .args(args)
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) => Output {
                code: output.status.code(),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            },
            Err(error) => Output { code: None, stdout: String::new(), stderr: error.to_string() },
        }
    }

    /// Runs a command and returns its standard output.
    ///
    /// # Errors
    /// It did not end with 0; the text has the command and its standard error.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let output = self.exec(args);
        ensure!(
            output.success(),
            "in {}: `{}` ended with {}: {}{}",
            self.name,
            args.join(" "),
            output.code.map_or("a signal".into(), |code| code.to_string()),
            output.stderr.trim_end(),
            if output.stdout.is_empty() { String::new() } else { format!("\n{}", output.stdout.trim_end()) }
        );
        Ok(output.stdout)
    }

    /// Starts a command that runs until the returned guard is dropped. Its standard output and error are
    /// appended to `LABEL.out` and `LABEL.log` in the lab's directory.
    ///
    /// The kernel kills it when the *thread* that called this ends, so call it from the thread that owns the lab.
    ///
    /// # Errors
    /// It cannot be started or its logs cannot be opened.
    pub fn spawn(&self, label: &str, args: &[&str]) -> Result<Process> {
        self.spawn_with(label, args, &[])
    }

    /// [`Namespace::spawn`] with additions to the environment.
    ///
    /// # Errors
    /// As [`Namespace::spawn`].
    pub fn spawn_with(&self, label: &str, args: &[&str], environment: &[(&str, &str)]) -> Result<Process> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.full]).args(args);
        command.envs(environment.iter().copied());
        Process::start(label, command, self.log_path(label, "out"), self.log_path(label, "log"))
    }

    fn log_path(&self, label: &str, extension: &str) -> PathBuf {
        self.directory.join(format!("{label}.{extension}"))
    }

    /// Runs lines of `ip` commands, as `ip -batch` reads them: `&["link set eth0 up", "addr add …"]`.
    ///
    /// # Errors
    /// What `ip` says about the first line that fails.
    pub fn ip(&self, lines: &[&str]) -> Result<()> {
        let mut child = Command::new("ip")
            .args(["-n", &self.full, "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting ip")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all((lines.join("\n") + "\n").as_bytes()).context("writing to ip")?;
        }
        let output = child.wait_with_output().context("waiting for ip")?;
        if !output.status.success() {
            bail!("in {}: ip: {}", self.name, String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(())
    }

    /// Sets a sysctl of this namespace, for instance `("net.ipv4.ip_forward", "1")`.
    ///
    /// # Errors
    /// The kernel has no such key or refuses the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.run(&["sysctl", "-qw", &format!("{key}={value}")]).map(drop)
    }

    /// Sends one echo request and says whether an answer came within a second.
    pub fn ping(&self, to: impl Into<IpAddr>) -> bool {
        self.exec(&["ping", "-n", "-q", "-c", "1", "-W", "1", &to.into().to_string()]).success()
    }

    /// Sends echo requests until one is answered.
    ///
    /// # Errors
    /// None was answered before `deadline`.
    pub fn wait_ping(&self, to: impl Into<IpAddr>, deadline: Duration) -> Result<()> {
        let to = to.into();
        wait_for(&format!("an answer of {to} to a ping from {}", self.name), deadline, || {
            let output = self.exec(&["ping", "-n", "-q", "-c", "1", "-W", "1", &to.to_string()]);
            if output.success() { Ok(()) } else { Err(output.stderr.trim().to_owned()) }
        })
    }

    /// The usable global IPv6 addresses of an interface: scope global, duplicate detection over, not deprecated.
    pub fn addresses(&self, interface: &str) -> Vec<Ipv6Addr> {
        let output = self.exec(&["ip", "-json", "-6", "addr", "show", "dev", interface, "scope", "global"]);
        let links: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        let infos = links.as_array().into_iter().flatten().filter_map(|link| link["addr_info"].as_array());
        infos
            .flatten()
            .filter(|info| {
                let flag = |name: &str| info[name].as_bool() == Some(true);
                !flag("tentative") && !flag("deprecated") && !flag("dadfailed")
            })
            .filter_map(|info| info["local"].as_str()?.parse().ok())
            .collect()
    }
}

/// Runs a command outside any namespace and fails with what it printed.
pub(crate) fn call(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}
