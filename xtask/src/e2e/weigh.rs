//! The page of a real broker that has five thousand holders and a year behind it: how long each page takes while daemon and
//! page share one processor, what it weighs, how much memory it needs.

use super::folder;
use super::network::{Founding, Server, state};
use crate::packages;
use crate::workspace::{cargo, must, target};
use anyhow::{Context, Result, bail, ensure};
use ln6_lab::Namespace;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const HOLDERS: &str = "5000";
/// Who logs in, and with what.
const LOGIN: [&str; 2] = ["luz", "correct horse"];

pub(super) fn run() -> Result<()> {
    packages::ensure(packages::LAB)?;
    if let Some(missing) = ln6_lab::missing() {
        bail!("{missing}");
    }
    let build = ["build", "--locked", "--profile", "ci", "--package"];
    must(cargo(&build).arg("ln6d"))?;
    must(cargo(&build).args(["ln6-broker", "--example", "year"]))?;
    let folder = target()?.join("ci");
    let registry = folder.join("examples/year.db");
    if registry.exists() {
        fs::remove_file(&registry)?;
    }
    must(Command::new(folder.join("examples/year")).arg(&registry).arg(HOLDERS))?;
    let world = ln6_lab::community("weigh")?;
    let founding = Founding { before: &["taskset", "--cpu-list", "0"], registry: Some(&registry) };
    let told = Server::found(&world.server, &folder.join("ln6d"), &founding)
        .and_then(|server| measure(&world.server, &folder.join("ln6d"), &server));
    if told.is_err() {
        eprintln!("{}", world.lab.logs(40));
    }
    told
}

fn measure(machine: &Namespace, binary: &Path, server: &Server) -> Result<()> {
    let mut known = Command::new(binary);
    known.arg("--dir").arg(state(machine)).args(["admin", "--password", LOGIN[0], "--role", "admin"]);
    let mut child = known.stdin(Stdio::piped()).spawn().context("setting a password")?;
    std::io::Write::write_all(&mut child.stdin.take().context("no input")?, LOGIN[1].as_bytes())?;
    ensure!(child.wait()?.success(), "no password was set");
    let address = server.link.split("/setup/").next().unwrap_or_default();
    let mut node = Command::new("ip");
    node.args(["netns", "exec", machine.full_name(), "node"]).arg(folder().join("weigh.mjs"));
    must(node.args([address, &server.page.pid().to_string()]).args(LOGIN))?;
    let status = fs::read_to_string(format!("/proc/{}/status", server.daemon.pid()))?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("the daemon: {}", peak.split_whitespace().collect::<Vec<_>>().join(" "));
    Ok(())
}
