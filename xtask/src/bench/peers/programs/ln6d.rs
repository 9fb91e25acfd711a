//! A network of two gateways, made with the commands an operator types; the broker is the machine `s`.

use crate::bench::peers::world::{MTU, SERVER, World};
use anyhow::{Context, Result};
use ln6_lab::{Namespace, Process, wait_for};
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(40);
const POOL: &str = "2001:db8:4800::/40";

struct Machine<'a> {
    namespace: &'a Namespace,
    binary: String,
    state: PathBuf,
}

impl<'a> Machine<'a> {
    fn new(namespace: &'a Namespace, binary: &Path) -> Self {
        let state = namespace.directory().join(format!("{}.state", namespace.name()));
        Machine { namespace, binary: binary.display().to_string(), state }
    }

    fn words(&self, command: &[&str]) -> Vec<String> {
        let mut words = vec![self.binary.clone(), "--dir".to_owned(), self.state.display().to_string()];
        words.extend(command.iter().map(|word| (*word).to_owned()));
        words
    }

    fn ask(&self, command: &[&str]) -> Result<String> {
        let words = self.words(command);
        self.namespace.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn run(&self) -> Result<Process> {
        self.run_by(&[])
    }

    /// Started by another program.
    fn run_by(&self, starter: &[&str]) -> Result<Process> {
        let mut words: Vec<String> = starter.iter().map(|word| (*word).to_owned()).collect();
        words.extend(self.words(&["run"]));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let process = self.namespace.spawn(&format!("ln6d-{}", self.namespace.name()), &words)?;
        wait_for("the daemon", PATIENCE, || self.ask(&["prefixes"]).map(drop).map_err(|e| e.to_string()))?;
        Ok(process)
    }

    /// The measurements' inner MTU instead of the default, and what else was asked for.
    fn set(&self, settings: &[String]) -> Result<()> {
        let path = self.state.join("ln6d.toml");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let lines: String = settings.iter().map(|line| format!("{line}\n")).collect();
        let text = text.replacen("[node]\n", &format!("[node]\nmtu = {MTU}\n{lines}"), 1);
        std::fs::write(path, text).context("writing the configuration")
    }
}

pub(super) fn start(world: &mut World, binary: &Path) -> Result<()> {
    let server = world.server.clone();
    let server = Machine::new(&server, binary);
    server.ask(&["init", "--name", "bench", "--pool", POOL, "--public", SERVER])?;
    world.others.push(server.run()?);
    let nodes = world.nodes.clone();
    for node in &nodes {
        let printed = server.ask(&["invite", "--name", node.name(), "--size", "56"])?;
        let link = printed.split_whitespace().find(|word| word.contains("://")).context("no link")?;
        let gateway = Machine::new(node, binary);
        gateway.ask(&["join", link, "--lan", ln6_lab::LAN])?;
        gateway.set(&world.settings)?;
        let alone = world.first_alone && world.daemons.is_empty();
        world.daemons.push(gateway.run_by(if alone { &["taskset", "-c", "0"] } else { &[] })?);
    }
    let ends = [&nodes[0], &nodes[1]].map(|node| address(node, "ln6", 0xfd00, 8));
    let lan = [&world.hosts[0], &world.hosts[1]].map(|host| address(host, "eth0", 0x2001, 16));
    let [here, there] = ends;
    world.ends = [here?, there?];
    let [here, there] = lan;
    world.lan = Some([here?, there?]);
    let [a, b] = world.ends;
    nodes[0].wait_ping(b, PATIENCE)?;
    nodes[1].wait_ping(a, PATIENCE)
}

/// An address that begins with the first `length` bits of `start`.
fn address(namespace: &Namespace, device: &str, start: u16, length: u32) -> Result<IpAddr> {
    let fits = |address: &Ipv6Addr| (address.segments()[0] ^ start) >> (16 - length) == 0;
    wait_for(&format!("an address at {}", namespace.name()), PATIENCE, || {
        let all = namespace.addresses(device);
        all.iter().find(|address| fits(address)).map(|found| (*found).into()).ok_or(format!("{all:?}"))
    })
}
