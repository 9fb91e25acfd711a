//! A real broker's page: gateways join, are approved, resized, suspended, revoked and restored in a browser, and the kernels of
//! their namespaces show it.

use super::folder;
use crate::packages;
use crate::workspace::{cargo, must, target};
use anyhow::{Context, Result, bail};
use ln6_lab::{Community, INTERNET_HOST, LAN, Namespace, POOL, Process, SERVER_NAME, wait_for};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Until daemon and page answer.
const START: Duration = Duration::from_secs(30);
/// The gateways' names.
const NAMES: [&str; 3] = ["moreno", "quintana", "serrano"];

pub(super) fn run(options: &[&str]) -> Result<()> {
    let profile = match options {
        [] => "ci",
        ["--profile", profile] => profile,
        other => bail!("not understood: {}", other.join(" ")),
    };
    packages::ensure(packages::LAB)?;
    if let Some(missing) = ln6_lab::missing() {
        bail!("{missing}");
    }
    must(&mut cargo(&["build", "--locked", "--package", "ln6d", "--profile", profile]))?;
    let binary = target()?.join(if profile == "dev" { "debug" } else { profile }).join("ln6d");
    let pictures = target()?.join("e2e");
    let world = ln6_lab::community("e2e")?;
    let told = tell(&world, &binary, &pictures);
    if told.is_err() {
        eprintln!("{}", world.lab.logs(40));
    }
    told
}

fn tell(world: &Community, binary: &Path, pictures: &Path) -> Result<()> {
    let server = Server::found(&world.server, binary, &Founding::default())?;
    let gateways: Vec<Value> = world
        .sites
        .iter()
        .zip(NAMES)
        .map(|(site, name)| {
            json!({
                "name": name,
                "namespace": site.gateway.full_name(),
                "client": site.client.full_name(),
                "state": state(&site.gateway),
            })
        })
        .collect();
    let told = json!({
        "binary": binary,
        "pictures": pictures,
        "address": server.link.split("/setup/").next(),
        "link": server.link,
        "lan": LAN,
        "internet": INTERNET_HOST,
        "gateways": gateways,
    });
    let script = folder().join("network.mjs");
    let node = ["ip", "netns", "exec", world.server.full_name(), "node"];
    let mut command = std::process::Command::new(node[0]);
    command.args(&node[1..]).arg(&script).arg(told.to_string());
    must(&mut command)
}

pub(super) fn state(machine: &Namespace) -> PathBuf {
    machine.directory().join(format!("{}.state", machine.name()))
}

/// What a broker begins with.
#[derive(Default)]
pub(super) struct Founding<'a> {
    /// Before each of its programs: where they may run.
    pub(super) before: &'a [&'a str],
    /// Its registry is a copy of this one.
    pub(super) registry: Option<&'a Path>,
}

/// The broker: its daemon, and its page in a process of its own.
pub(super) struct Server {
    pub(super) link: String,
    pub(super) daemon: Process,
    pub(super) page: Process,
}

impl Server {
    pub(super) fn found(machine: &Namespace, binary: &Path, founding: &Founding<'_>) -> Result<Self> {
        let state = state(machine);
        let (binary, dir) = (binary.to_str().context("path")?, state.to_str().context("path")?);
        let pool = format!("{}/{}", POOL.0, POOL.1);
        let words = |more: &[&str]| -> Vec<String> {
            let program = [binary, "--dir", dir];
            founding.before.iter().chain(&program).chain(more).map(|word| (*word).to_owned()).collect()
        };
        let init = ["init", "--name", "altermundi", "--pool", &pool, "--public", SERVER_NAME];
        let init = [&init[..], &["--uplink", "eth0", "--json"]].concat();
        let made: Value = serde_json::from_str(&machine.run(&borrowed(&words(&init)))?)?;
        let link = made["setup_link"].as_str().context("init printed no set-up link")?.to_owned();
        // Its members are not there to be asked whether they know more.
        let alone: &[&str] = if founding.registry.is_some() { &["--alone"] } else { &[] };
        if let Some(registry) = founding.registry {
            std::fs::copy(registry, state.join("registry.db"))?;
        }
        let daemon = machine.spawn("server", &borrowed(&words(&[&["run"], alone].concat())))?;
        let answers = |what: &[&str]| {
            let output = machine.exec(&borrowed(&words(what)));
            if output.success() { Ok(()) } else { Err(output.stderr) }
        };
        wait_for("the broker's daemon", START, || answers(&["requests"]))?;
        let page = machine.spawn("page", &borrowed(&words(&["admin"])))?;
        wait_for("the broker's page", START, || {
            if page.stdout().contains("The admin page is at") { Ok(()) } else { Err(page.stderr()) }
        })?;
        Ok(Server { link, daemon, page })
    }
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}
