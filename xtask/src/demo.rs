//! `cargo xtask demo`: a community gets IPv6, loses its server, and goes on.
//!
//! The commands are the README's; the world is [`ln6_lab::community`]. Every claim is a step that can fail.

mod machine;
mod page;
mod prefixes;
mod readme;
mod report;
mod story;

use crate::packages;
use crate::workspace::{cargo, must, root, target};
use anyhow::{Context, Result, bail, ensure};
use report::Report;
use std::path::PathBuf;

/// The README's blocks that the demo runs.
const BLOCKS: [&str; 6] = ["server", "invite", "gateway", "open", "queue", "approve"];

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    keep: bool,
    json: bool,
    profile: String,
    /// A binary that is there already, instead of a build.
    binary: Option<PathBuf>,
}

impl Options {
    fn parse(mut words: &[&str]) -> Result<Self> {
        let mut options = Self { keep: false, json: false, profile: "release".to_owned(), binary: None };
        loop {
            match words {
                [] => return Ok(options),
                ["--keep", rest @ ..] => (options.keep, words) = (true, rest),
                ["--json", rest @ ..] => (options.json, words) = (true, rest),
                ["--profile", profile, rest @ ..] => {
                    options.profile = (*profile).to_owned();
                    words = rest;
                }
                ["--binary", binary, rest @ ..] => {
                    options.binary = Some(std::path::absolute(binary)?);
                    words = rest;
                }
                [other, ..] => bail!("not understood: {other}"),
            }
        }
    }
}

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    packages::ensure(packages::LAB)?;
    if let Some(missing) = ln6_lab::missing() {
        bail!("{missing}");
    }
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(&options.profile)?,
    };
    let readme = std::fs::read_to_string(root().join("README.md")).context("reading the README")?;
    for name in BLOCKS {
        readme::Block::find(&readme, name)?;
    }

    let mut report = Report::new(options.json);
    let world = ln6_lab::community("demo")?;
    let mut story = story::Story::new(&world, &binary, &readme);
    let outcome = story.tell(&mut report);
    if outcome.is_err() {
        report.show("logs", &world.lab.logs(60));
        report.show("kernel", &story.kernel());
    }
    report.close(outcome.is_ok());
    if options.keep {
        // It stays until the world goes.
        let page = page::serve(story.server());
        match &page {
            Ok((link, _)) => {
                eprintln!("\nThe admin page; this link makes its first administrator, once:\n  {link}\n")
            }
            Err(error) => eprintln!("\nThe admin page does not answer: {error:#}\n"),
        }
        eprintln!("{}", how_to_enter(&world));
        wait_for_enter();
    }
    outcome
}

/// Builds the daemon alone and says where it is.
fn build(profile: &str) -> Result<PathBuf> {
    must(&mut cargo(&["build", "--locked", "--package", "ln6d", "--profile", profile]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let binary = target()?.join(folder).join("ln6d");
    ensure!(binary.is_file(), "{} was not built", binary.display());
    Ok(binary)
}

fn how_to_enter(world: &ln6_lab::Community) -> String {
    let mut text = String::from("The world is up until you press Enter or Ctrl-C. Enter a machine with\n");
    for namespace in world.lab.namespaces() {
        text.push_str(&format!("  sudo ip netns exec {} bash\n", namespace.full_name()));
    }
    text.push_str(&format!(
        "and talk to its daemon with `ln6d --dir {}/MACHINE.state`, for instance server.state.",
        world.lab.directory().display()
    ));
    text
}

/// Until Enter; without a terminal to press it on, until this process is ended (the lab goes with it).
fn wait_for_enter() {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
        return;
    }
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_in_any_order() {
        let options = Options::parse(&["--json", "--profile", "ci", "--keep"]).unwrap();
        assert_eq!(options, Options { keep: true, json: true, profile: "ci".into(), binary: None });
        assert_eq!(Options::parse(&[]).unwrap().profile, "release");
        assert_eq!(Options::parse(&["--binary", "/bin/ln6d"]).unwrap().binary, Some("/bin/ln6d".into()));
        assert!(Options::parse(&["--profile"]).is_err());
        assert!(Options::parse(&["--fast"]).is_err());
    }
}
