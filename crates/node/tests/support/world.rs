//! A network of real daemons in namespaces: the server, gateways and clients of [`ln6_lab::community`].
#![allow(dead_code)] // each test program uses a part of it
#![allow(unreachable_pub)] // a module of test programs, not of a library

use anyhow::{Context as _, Result, bail, ensure};
use ln6_lab::{Community, Namespace, Output, POOL, Process, SERVER_NAME, wait_for};
use serde_json::Value;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a daemon may take until it answers on its socket.
pub const START: Duration = Duration::from_secs(20);
/// How long anything may take that is not itself measured: joining, healing, advertisements.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// `ln6d`'s exit code for "no daemon answers".
const UNREACHABLE: i32 = 3;
/// Name and size of the gateways, in order.
pub const SITES: [(&str, u8); 4] = [("moreno", 48), ("quintana", 56), ("serrano", 64), ("cerro", 60)];

/// The binary under test: cargo's, unless `LN6_BINARY` names another.
pub fn binary() -> PathBuf {
    std::env::var_os("LN6_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_ln6d").into(), PathBuf::from)
}

/// Whether the long variants are asked for (`LN6_LONG=1`).
pub fn long() -> bool {
    std::env::var_os("LN6_LONG").is_some()
}

/// Whether a test with namespaces and these programs can run here. Where CI runs it must.
pub fn ready_with(programs: &[&str]) -> bool {
    if !ln6_lab::ready() {
        return false;
    }
    let missing: Vec<_> = programs.iter().filter(|program| !ln6_lab::has_program(program)).collect();
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "not installed: {missing:?}");
    if !missing.is_empty() {
        eprintln!("left out: not installed: {missing:?}");
    }
    missing.is_empty()
}

/// A namespace, a directory of its own for `ln6d`, and the daemon when it runs.
#[derive(Debug)]
pub struct Machine {
    /// Where it is.
    pub namespace: Namespace,
    /// What it runs.
    pub binary: PathBuf,
    state: PathBuf,
    daemon: Option<Process>,
}

impl Machine {
    /// With the binary under test; nothing is run yet.
    pub fn new(namespace: &Namespace) -> Self {
        let state = namespace.directory().join(format!("{}.state", namespace.name()));
        Self { namespace: namespace.clone(), binary: binary(), state, daemon: None }
    }

    /// Its `--dir`.
    pub fn directory(&self) -> &std::path::Path {
        &self.state
    }

    fn words<'a>(&'a self, command: &[&'a str]) -> Result<Vec<&'a str>> {
        let binary = self.binary.to_str().context("the path of the binary is not UTF-8")?;
        let state = self.state.to_str().context("the path of the lab is not UTF-8")?;
        Ok([&[binary, "--dir", state], command].concat())
    }

    /// Runs `ln6d COMMAND` and returns what it printed; an error if it did not end with 0.
    pub fn ask(&self, command: &[&str]) -> Result<String> {
        self.namespace.run(&self.words(command)?)
    }

    /// Runs `ln6d COMMAND`, however it ends.
    pub fn try_ask(&self, command: &[&str]) -> Result<Output> {
        Ok(self.namespace.exec(&self.words(command)?))
    }

    /// `ln6d COMMAND --json`, read.
    pub fn json(&self, command: &[&str]) -> Result<Value> {
        let text = self.ask(&[command, &["--json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    /// `ln6d status --json`.
    pub fn status(&self) -> Result<Value> {
        self.json(&["status"])
    }

    /// Packets dropped for `reason` since the start, by `ln6d status --json`.
    pub fn dropped(&self, reason: &str) -> Result<u64> {
        let status = self.status()?;
        let rows = status["drops"].as_array().context("no drops in the status")?;
        let row = rows.iter().find(|row| row["reason"] == reason);
        Ok(row.and_then(|row| row["count"].as_u64()).unwrap_or(0))
    }

    /// What the forwarder has counted under `event`, by the metrics.
    pub fn figure(&self, event: &str) -> Result<u64> {
        let text = self.metrics()?;
        let mark = format!("event=\"{event}\"");
        let line =
            text.lines().find(|line| line.starts_with("ln6d_forwarder_events") && line.contains(&mark));
        let value =
            line.and_then(|line| line.rsplit(' ').next()).with_context(|| format!("no {event}:\n{text}"))?;
        Ok(value.parse()?)
    }

    /// The metrics, from the API socket.
    pub fn metrics(&self) -> Result<String> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::os::unix::net::UnixStream::connect(self.state.join("ln6d.sock"))?;
        stream.set_read_timeout(Some(START))?;
        stream.write_all(b"GET /api/v1/metrics HTTP/1.1\r\nHost: ln6d\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Starts `ln6d run` without waiting for anything.
    pub fn launch(&mut self) -> Result<()> {
        ensure!(self.daemon.is_none(), "the daemon runs already");
        let words = self.words(&["run"])?;
        self.daemon = Some(self.namespace.spawn(self.namespace.name(), &words)?);
        Ok(())
    }

    /// Starts `ln6d run` and waits until it answers.
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        let what = format!("an answer of the daemon in {}", self.namespace.name());
        let answers = wait_for(&what, START, || {
            if !self.is_running() {
                return Ok(false);
            }
            match self.try_ask(&["status", "--json"]) {
                Ok(output) if output.code == Some(UNREACHABLE) || output.code.is_none() => Err(output.stderr),
                Ok(_) => Ok(true),
                Err(error) => Err(error.to_string()),
            }
        })?;
        ensure!(answers, "the daemon in {} ended at once", self.namespace.name());
        Ok(())
    }

    /// Whether the daemon was started and has not ended.
    pub fn is_running(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(Process::is_running)
    }

    /// The daemon's process id.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.daemon.as_ref().context("the daemon does not run")?.pid())
    }

    /// What all its daemons so far have written to standard error.
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Process::stderr).unwrap_or_default()
    }

    /// Sends the daemon a signal by name.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        self.daemon.as_mut().context("the daemon does not run")?.signal(signal)
    }

    /// `SIGKILL`, no goodbye.
    pub fn kill(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("the daemon does not run")?;
        ensure!(daemon.is_running(), "the daemon in {} had ended by itself", self.namespace.name());
        daemon.kill();
        Ok(())
    }

    /// `SIGTERM`; the daemon must end with 0.
    pub fn stop(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("the daemon does not run")?;
        let status = daemon.stop(Duration::from_secs(15))?;
        ensure!(status.success(), "the daemon in {} ended with {status}", self.namespace.name());
        Ok(())
    }

    /// `init` and `run` as the README has it.
    pub fn found(&mut self) -> Result<()> {
        let pool = format!("{}/{}", POOL.0, POOL.1);
        self.ask(&[
            "init",
            "--name",
            "altermundi",
            "--pool",
            &pool,
            "--public",
            SERVER_NAME,
            "--uplink",
            "eth0",
        ])?;
        self.start()
    }

    /// A link that admits one gateway of this name and size (on the broker).
    pub fn invite(&self, name: &str, size: u8) -> Result<String> {
        let printed = self.ask(&["invite", "--name", name, "--size", &size.to_string()])?;
        let link = printed.split_whitespace().find(|word| word.contains("://"));
        Ok(link.with_context(|| format!("`ln6d invite` printed no link: {printed}"))?.to_owned())
    }

    /// The resident memory of the daemon, KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// The daemon's threads whose name begins with `prefix`.
    pub fn threads(&self, prefix: &str) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(format!("/proc/{}/task", self.pid()?))? {
            let entry = entry?;
            let name = std::fs::read_to_string(entry.path().join("comm"))?;
            if name.starts_with(prefix) {
                found.push(entry.file_name().to_string_lossy().parse()?);
            }
        }
        Ok(found)
    }
}

/// The server and some gateways, joined and running, each with a client that has its address.
#[derive(Debug)]
pub struct Net {
    /// In `world.server`.
    pub server: Machine,
    /// In `world.sites`, from the first.
    pub gateways: Vec<Machine>,
    /// The clients' addresses from the delegated prefixes, in the same order.
    pub addresses: Vec<Ipv6Addr>,
    /// Last: it goes when all that uses it has gone.
    pub world: Community,
}

impl Net {
    /// The server alone, running.
    pub fn server_only(label: &str) -> Result<Self> {
        let world = ln6_lab::community(label)?;
        let mut server = Machine::new(&world.server);
        server.found()?;
        Ok(Self { server, gateways: Vec::new(), addresses: Vec::new(), world })
    }

    /// The server and the gateways of the first `sites` sites (1 to 4, the third behind NAT); all clients have
    /// addresses.
    pub fn new(label: &str, sites: usize) -> Result<Self> {
        let mut net = Self::server_only(label)?;
        for _ in 0..sites {
            net.join_next()?;
        }
        for index in 0..sites {
            let address = net.wait_address(index)?;
            net.addresses.push(address);
        }
        Ok(net)
    }

    /// The next site's gateway joins by invitation and runs.
    pub fn join_next(&mut self) -> Result<()> {
        let index = self.gateways.len();
        let (Some(site), Some((name, size))) = (self.world.sites.get(index), SITES.get(index)) else {
            bail!("there are four sites");
        };
        let mut gateway = Machine::new(&site.gateway);
        let link = self.server.invite(name, *size)?;
        gateway.ask(&["join", &link, "--lan", ln6_lab::LAN])?;
        gateway.start()?;
        self.gateways.push(gateway);
        Ok(())
    }

    /// The client of a site.
    pub fn client(&self, index: usize) -> &Namespace {
        &self.world.sites[index].client
    }

    /// Waits for the client's address inside the pool.
    pub fn wait_address(&self, index: usize) -> Result<Ipv6Addr> {
        let client = self.client(index);
        wait_for(&format!("an address inside the pool at {}", client.name()), PATIENCE, || {
            let addresses = client.addresses("eth0");
            let inside = addresses.iter().find(|address| in_pool(**address));
            inside.copied().ok_or_else(|| format!("it has {addresses:?}"))
        })
    }
}

/// Whether an address is one of the network's pool.
pub fn in_pool(address: Ipv6Addr) -> bool {
    let shift = 128 - u32::from(POOL.1);
    u128::from(address) >> shift == u128::from(POOL.0) >> shift
}

/// A series of echo requests in the background.
#[derive(Debug)]
pub struct Pings {
    process: Process,
    count: u32,
    period: Duration,
    begin: Instant,
}

/// How a series went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent.
    pub sent: u32,
    /// Answers received.
    pub received: u32,
    /// What `ping` printed at the end.
    pub summary: String,
}

impl Pings {
    /// Starts `count` echo requests, one each `period` (at least 10 ms).
    pub fn start(from: &Namespace, to: Ipv6Addr, period: Duration, count: u32) -> Result<Self> {
        let label = format!("ping-{}-{}", from.name(), to.to_string().replace(':', "-"));
        let seconds = format!("{:.3}", period.as_secs_f64());
        let words =
            ["ping", "-n", "-D", "-O", "-i", &seconds, "-c", &count.to_string(), "-W", "2", &to.to_string()];
        let _ = std::fs::remove_file(from.directory().join(format!("{label}.out")));
        Ok(Self { process: from.spawn(&label, &words)?, count, period, begin: Instant::now() })
    }

    /// How long it runs already.
    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Everything printed so far.
    pub fn printed(&self) -> String {
        self.process.stdout()
    }

    /// Answers printed so far.
    pub fn answers(&self) -> usize {
        self.printed().lines().filter(|line| line.contains("bytes from") && line.contains("time=")).count()
    }

    /// Waits for the end and counts.
    pub fn finish(mut self) -> Result<Tally> {
        let patience = self.period * self.count + Duration::from_secs(30);
        let _ = self.process.wait(patience)?;
        let printed = self.process.stdout();
        let summary = printed.lines().find(|line| line.contains("packets transmitted"));
        let summary = summary.with_context(|| format!("ping has no summary: {printed}"))?.to_owned();
        let numbers: Vec<u32> = summary.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
        ensure!(numbers.len() >= 2, "not understood: {summary}");
        Ok(Tally { sent: numbers[0], received: numbers[1], summary })
    }
}
