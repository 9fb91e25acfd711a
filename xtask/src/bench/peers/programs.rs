//! The programs, and how each is made to carry packets between `a` and `b`.

mod ln6d;
mod stock;
mod wireguard;

use super::options::Options;
use super::world::World;
use crate::packages::Need;
use crate::workspace::{cargo, must, target};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Ways to start a tunnel.
#[derive(Debug)]
enum Kind {
    /// A release build of this tree.
    Ln6d,
    WireguardGo,
    Boringtun,
    Tinc,
    Nebula,
    Openvpn,
    Fastd,
    Yggdrasil,
    /// Nothing but the cable: what the kernel itself does.
    Cable,
    /// A shell command of the user's, the same on both sides.
    Shell(String),
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    kind: Kind,
    binary: PathBuf,
}

/// Where a program and its package come from.
fn known() -> Vec<(&'static str, Kind)> {
    vec![
        ("ln6d", Kind::Ln6d),
        ("wireguard-go", Kind::WireguardGo),
        ("boringtun", Kind::Boringtun),
        ("tinc", Kind::Tinc),
        ("nebula", Kind::Nebula),
        ("openvpn", Kind::Openvpn),
        ("fastd", Kind::Fastd),
        ("yggdrasil", Kind::Yggdrasil),
        ("cable", Kind::Cable),
    ]
}

/// What was asked for, in the order of the table.
pub(crate) fn choose(options: &Options) -> Result<Vec<Program>> {
    let is_wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let mut programs = Vec::new();
    for (name, kind) in known().into_iter().filter(|(name, _)| is_wanted(name)) {
        let binary = binary_of(&kind, options)?;
        programs.push(Program { name: name.to_owned(), kind, binary });
    }
    for (name, command) in &options.with {
        let kind = Kind::Shell(command.clone());
        programs.push(Program { name: name.clone(), kind, binary: PathBuf::new() });
    }
    let unknown = |name: &&String| programs.iter().all(|program| program.name != **name);
    if let Some(name) = options.only.iter().find(unknown) {
        bail!("no program is called {name}");
    }
    Ok(programs)
}

fn binary_of(kind: &Kind, options: &Options) -> Result<PathBuf> {
    match (kind, &options.binary) {
        (Kind::Ln6d, Some(binary)) => Ok(binary.clone()),
        (Kind::Ln6d, None) => Ok(target()?.join("release/ln6d")),
        (Kind::Boringtun, _) => Ok(target()?.join("peers/bin/boringtun-cli")),
        _ => Ok(PathBuf::new()),
    }
}

impl Program {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The Debian packages it needs.
    pub(crate) fn needs(&self) -> &'static [Need] {
        match self.kind {
            Kind::Ln6d | Kind::Cable | Kind::Shell(_) => &[],
            Kind::WireguardGo => &[("wireguard-go", "wireguard-go"), ("wg", "wireguard-tools")],
            Kind::Boringtun => &[("wg", "wireguard-tools")],
            Kind::Tinc => &[("tincd", "tinc")],
            Kind::Nebula => &[("nebula", "nebula"), ("nebula-cert", "nebula")],
            Kind::Openvpn => &[("openvpn", "openvpn"), ("openssl", "openssl")],
            Kind::Fastd => &[("fastd", "fastd")],
            Kind::Yggdrasil => &[("yggdrasil", "yggdrasil")],
        }
    }

    /// Builds what is built here.
    pub(crate) fn prepare(&self) -> Result<()> {
        match self.kind {
            Kind::Ln6d if self.binary == target()?.join("release/ln6d") => {
                must(&mut cargo(&["build", "--locked", "--package", "ln6d", "--release"]))
            }
            Kind::Boringtun if !self.binary.is_file() => {
                let root = target()?.join("peers");
                let root = root.to_str().context("the target directory is not UTF-8")?.to_owned();
                must(&mut cargo(&["install", "--locked", "--root", &root, "boringtun-cli"]))
            }
            _ => Ok(()),
        }
    }

    /// Starts it on both nodes; that it carries packets is waited for later.
    pub(crate) fn start(&self, world: &mut World) -> Result<()> {
        match &self.kind {
            Kind::Ln6d => ln6d::start(world, &self.binary),
            Kind::WireguardGo => {
                wireguard::start(world, |device| ["wireguard-go", "-f", device].map(str::to_owned).to_vec())
            }
            Kind::Boringtun => wireguard::start(world, |device| {
                let binary = self.binary.display().to_string();
                vec![binary, "-f".into(), "--disable-drop-privileges".into(), device.into()]
            }),
            Kind::Tinc => stock::tinc(world),
            Kind::Nebula => stock::nebula(world),
            Kind::Openvpn => stock::openvpn(world),
            Kind::Fastd => stock::fastd(world),
            Kind::Yggdrasil => stock::yggdrasil(world),
            Kind::Cable => stock::cable(world),
            Kind::Shell(command) => stock::shell(world, &self.name, command),
        }
    }

    /// What it says its version is.
    pub(crate) fn version(&self) -> String {
        let binary = self.binary.display().to_string();
        let (program, option) = match self.kind {
            Kind::Ln6d | Kind::Boringtun => (binary.as_str(), "--version"),
            Kind::WireguardGo => ("wireguard-go", "--version"),
            Kind::Tinc => ("tincd", "--version"),
            Kind::Nebula => ("nebula", "-version"),
            Kind::Openvpn => ("openvpn", "--version"),
            Kind::Fastd => ("fastd", "--version"),
            Kind::Yggdrasil => ("yggdrasil", "-version"),
            Kind::Cable => ("uname", "-r"),
            Kind::Shell(_) => return "given on the command line".to_owned(),
        };
        let Ok(output) = Command::new(program).arg(option).output() else { return String::new() };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }
}
