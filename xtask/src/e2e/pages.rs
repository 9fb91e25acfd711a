//! Every page of a made-up network: both themes, wide and on a phone; axe, widths, pictures.
//! The API behind it, asked by a fuzzer that reads the description of it.

use super::folder;
use crate::packages;
use crate::workspace::{cargo, must, root, target};
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// What fuzzes an API by its OpenAPI description.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// The made-up network's page; ended when dropped.
struct Fake {
    child: Child,
    address: String,
    token: String,
}

impl Fake {
    /// On a port that is free, with a few dozen holders.
    fn start() -> Result<Self> {
        Fake::of(&[])
    }

    /// A gateway's page; `state` is a word of its lines.
    fn gateway(state: &str) -> Result<Self> {
        Fake::of(&["gateway", state])
    }

    fn of(kind: &[&str]) -> Result<Self> {
        let example = ["--package", "ln6-page", "--features", "fake", "--example", "fake"];
        must(cargo(&["build", "--locked"]).args(example))?;
        let program = target()?.join("debug/examples/fake");
        let mut command = Command::new(&program);
        command.args(["0", "40"]).args(kind).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let out = child.stdout.take().context("no output")?;
        let mut fake = Fake { child, address: String::new(), token: String::new() };
        let mut lines = BufReader::new(out).lines();
        let mut line =
            || lines.next().context("the page did not start")?.context("reading where the page is");
        fake.address = line()?.split("/setup/").next().unwrap_or_default().to_owned();
        fake.token = line()?;
        ensure!(fake.address.starts_with("http://"), "this is no address: {}", fake.address);
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
    let (only, readme) = match options {
        [] => ("", false),
        ["--only", "gateway"] => return gateways(),
        ["--only", page] => (*page, false),
        ["--readme"] => ("overview", true),
        other => bail!("not understood: {}", other.join(" ")),
    };
    let pictures = target()?.join("e2e");
    let fake = Fake::start()?;
    let mut look = Command::new("node");
    look.arg(folder().join("look.mjs")).arg(&fake.address).arg(&pictures).arg(only);
    look.args(readme.then(|| root().join("docs/pictures")));
    must(&mut look)?;
    if only.is_empty() {
        gateways()?;
    }
    eprintln!("pictures of every page are in {}", pictures.display());
    Ok(())
}

/// The states in which a gateway's page is looked at; tests of the page look at all of them.
const STATES: [&str; 5] = ["connected", "no_network", "waiting", "no_broker", "refused"];

fn gateways() -> Result<()> {
    let fakes: Vec<Fake> = STATES.iter().map(|state| Fake::gateway(state)).collect::<Result<_>>()?;
    let at = STATES.iter().zip(&fakes).map(|(state, fake)| format!("{state}={}", fake.address));
    must(Command::new("node").arg(folder().join("gateway.mjs")).arg(target()?.join("e2e")).args(at))
}

/// Nothing that fits the description of the API, and nothing that just does not, is answered with a 5xx.
pub(super) fn schema() -> Result<()> {
    packages::ensure(&[("python3", "python3"), ("pip3", "python3-pip")])?;
    let venv = target()?.join("schemathesis");
    if !venv.join("bin/schemathesis").is_file() {
        must(Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&venv))?;
        let mut pip = Command::new("pip3");
        must(pip.arg("--python").arg(venv.join("bin/python")).args(["install", "--quiet", SCHEMATHESIS]))?;
    }
    let fake = Fake::start()?;
    let mut fuzz = Command::new(venv.join("bin/schemathesis"));
    fuzz.arg("run").arg(root().join("docs/reference/openapi.json"));
    fuzz.args(["--url", &fake.address, "--checks", "not_a_server_error"]);
    fuzz.arg("--header").arg(format!("Authorization: Bearer {}", fake.token));
    fuzz.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--seed", "1"]);
    fuzz.args(["--generation-database", "none", "--request-timeout", "10"]);
    must(fuzz.current_dir(target()?))
}
