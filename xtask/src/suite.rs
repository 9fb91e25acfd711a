//! `cargo xtask test`: unit tests, simulation, corpus replay and the namespace tests, in one run of one profile.
//!
//! Namespace tests are serial without our doing: a process has one lab at a time, and cargo runs one test
//! program after the other.

use crate::packages;
use crate::workspace::cargo;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The profile that tests and the demo share on a CI machine, so that nothing is built twice.
const PROFILE: &str = "ci";

pub(crate) fn run(options: &[&str]) -> Result<()> {
    let quick = match options {
        [] => false,
        ["--quick"] => true,
        other => bail!("not understood: {}", other.join(" ")),
    };
    let mut tests = cargo(&["test", "--locked", "--workspace", "--profile", PROFILE, "--no-fail-fast"]);
    if quick {
        tests.env("LN6_QUICK", "1");
    } else {
        let needs: Vec<_> = packages::LAB.iter().chain(packages::JUDGES).copied().collect();
        packages::ensure(&needs)?;
        if let Some(missing) = ln6_lab::missing() {
            bail!("{missing}; the tests that need no namespaces: cargo xtask test --quick");
        }
    }
    let begin = Instant::now();
    let mut tally = counted(tests)?;
    // The workspace's tests speak with the kernel by the library; here a router's own codec does the same.
    let mut small =
        cargo(&["test", "--locked", "--package", "ln6-host", "--no-default-features", "--profile", PROFILE]);
    if quick {
        small.env("LN6_QUICK", "1");
    }
    tally.passed += counted(small)?.passed;
    let left_out = if quick { ", namespace tests left out" } else { ", namespace tests included" };
    eprintln!("test: {} tests passed in {:.0} s{left_out}", tally.passed, begin.elapsed().as_secs_f32());
    Ok(())
}

/// What the closing lines of test programs add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Tally {
    /// Reads `test result: ok. 3 passed; 0 failed; 0 ignored; …`; other lines change nothing.
    fn read(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, word)) = count.split_once(' ') else { continue };
            let number: u32 = number.parse().unwrap_or(0);
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Runs the tests, passes on what they print, and adds up.
fn counted(mut command: Command) -> Result<Tally> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("starting cargo test")?;
    let stdout = child.stdout.take().context("cargo test has no output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("reading what cargo test prints")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.read(&line);
    }
    let status = child.wait().context("waiting for cargo test")?;
    ensure!(status.success() && tally.failed == 0, "tests failed ({} passed)", tally.passed);
    ensure!(tally.ignored == 0, "{} tests were ignored; none may be", tally.ignored);
    ensure!(tally.passed > 0, "no test ran");
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up() {
        let mut tally = Tally::default();
        for line in [
            "test a ... ok",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 5s",
            "test result:",
        ] {
            tally.read(line);
        }
        assert_eq!(tally, Tally { passed: 10, failed: 2, ignored: 1 });
    }
}
