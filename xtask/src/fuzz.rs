//! `cargo xtask fuzz`: runs each target for a while, on the stable compiler, and counts.
//!
//! Without a sanitizer: what is fuzzed is safe Rust, where an access out of bounds or an overflow is a panic already, and the
//! assertions of the targets find more than AddressSanitizer could; so the build is half as long and the runs are twice
//! as fast. The instrumentation for coverage is the compiler's own; cargo-fuzz passes flags that are not stable, hence
//! `RUSTC_BOOTSTRAP`.
//!
//! What libFuzzer finds worth keeping goes to the target folder. The committed corpora are read and never written.

use crate::workspace::{cargo, must, root, target};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{File, create_dir_all, read, read_dir};
use std::path::Path;
use std::time::Instant;

/// Seconds for each target unless told otherwise.
const SECONDS: u32 = 60;
/// The longest input, in octets: longer ones say nothing new and are slow.
const LONGEST: u32 = 2048;

/// When a target has run enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Seconds(u32),
    Runs(u64),
}

impl Limit {
    fn flag(self) -> String {
        match self {
            Limit::Seconds(seconds) => format!("-max_total_time={seconds}"),
            Limit::Runs(runs) => format!("-runs={runs}"),
        }
    }
}

pub(crate) fn run(options: &[&str]) -> Result<()> {
    let (limit, wanted) = parse(options)?;
    let targets = targets()?;
    let chosen: Vec<&String> =
        targets.iter().filter(|name| wanted.is_none_or(|wanted| wanted == *name)).collect();
    ensure!(!chosen.is_empty(), "no such target; there are: {}", targets.join(" "));
    install()?;
    must(cargo(&["fuzz", "build", "--sanitizer", "none"]).env("RUSTC_BOOTSTRAP", "1"))?;
    let grown = target()?.join("fuzz");
    let mut executions = Vec::new();
    for name in chosen {
        executions.push((name, fuzz(name, limit, &grown)?));
    }
    for (name, count) in &executions {
        println!("{name:20} {count:12}");
    }
    println!(
        "{:20} {:12} executions without a finding",
        "",
        executions.iter().map(|(_, count)| count).sum::<u64>()
    );
    Ok(())
}

/// Runs one target; how many inputs it was given.
fn fuzz(name: &str, limit: Limit, grown: &Path) -> Result<u64> {
    let (folder, log) = (grown.join(name), grown.join(format!("{name}.log")));
    create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut command = cargo(&["fuzz", "run", "--sanitizer", "none", name]);
    command.arg(&folder).arg(root().join("fuzz/corpus").join(name));
    command.args([
        "--",
        "-print_final_stats=1",
        "-timeout=20",
        &format!("-max_len={LONGEST}"),
        &limit.flag(),
    ]);
    command.env("RUSTC_BOOTSTRAP", "1");
    command.stderr(File::create(&log).with_context(|| format!("making {}", log.display()))?);
    let begin = Instant::now();
    let status = command.status().context("starting cargo fuzz")?;
    let text = String::from_utf8_lossy(&read(&log).context("reading what libFuzzer says")?).into_owned();
    if !status.success() {
        let lines: Vec<&str> = text.lines().collect();
        bail!("{name} has a finding:\n{}", lines[lines.len().saturating_sub(80)..].join("\n"));
    }
    let count = executed(&text).with_context(|| format!("{name} does not say how often it ran"))?;
    eprintln!("fuzz: {name}: {count} executions in {:.0} s", begin.elapsed().as_secs_f32());
    Ok(count)
}

/// What libFuzzer's closing figures say.
fn executed(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

fn install() -> Result<()> {
    if cargo(&["fuzz", "--version"]).output().context("starting cargo")?.status.success() {
        return Ok(());
    }
    must(&mut cargo(&["install", "cargo-fuzz", "--locked"]))
}

fn parse<'a>(options: &[&'a str]) -> Result<(Limit, Option<&'a str>)> {
    match options {
        [] => Ok((Limit::Seconds(SECONDS), None)),
        ["--seconds", seconds, rest @ ..] => {
            Ok((Limit::Seconds(seconds.parse().context("--seconds takes a number")?), parse(rest)?.1))
        }
        ["--runs", runs, rest @ ..] => {
            Ok((Limit::Runs(runs.parse().context("--runs takes a number")?), parse(rest)?.1))
        }
        [target] if !target.starts_with('-') => Ok((Limit::Seconds(SECONDS), Some(target))),
        other => bail!("not understood: {}", other.join(" ")),
    }
}

fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in read_dir(&folder).context("there are no fuzz targets")? {
        let path = entry?.path();
        if let (Some(stem), Some("rs")) = (path.file_stem(), path.extension().and_then(|text| text.to_str()))
        {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_and_target_are_both_optional() {
        assert_eq!(parse(&[]).unwrap(), (Limit::Seconds(60), None));
        assert_eq!(parse(&["link"]).unwrap(), (Limit::Seconds(60), Some("link")));
        assert_eq!(parse(&["--seconds", "5", "link"]).unwrap(), (Limit::Seconds(5), Some("link")));
        assert_eq!(parse(&["--runs", "5"]).unwrap(), (Limit::Runs(5), None));
        assert!(parse(&["--seconds"]).is_err());
        assert!(parse(&["one", "two"]).is_err());
    }

    #[test]
    fn the_closing_figures_are_read() {
        let text =
            "Done 9 runs in 1 second(s)\nstat::number_of_executed_units: 1234\nstat::new_units_added: 2";
        assert_eq!(executed(text), Some(1234));
        assert_eq!(executed("INFO: seed corpus"), None);
    }
}
