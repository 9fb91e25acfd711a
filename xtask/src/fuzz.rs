//! `cargo xtask fuzz`: grow the corpora, on the stable compiler.

use crate::workspace::{cargo, must, root};
use anyhow::{Context, Result, bail, ensure};

pub(crate) fn run(options: &[&str]) -> Result<()> {
    let (seconds, wanted) = parse(options)?;
    ensure!(
        ln6_lab::has_program("cargo-fuzz") || cargo(&["fuzz", "--version"]).output()?.status.success(),
        "cargo-fuzz is missing; type\n  cargo install --locked cargo-fuzz"
    );
    let targets = targets()?;
    let chosen: Vec<&String> =
        targets.iter().filter(|name| wanted.is_none_or(|wanted| wanted == *name)).collect();
    ensure!(!chosen.is_empty(), "no such target; there are: {}", targets.join(" "));
    for target in chosen {
        let limit = format!("-max_total_time={seconds}");
        // The sanitizers are not stable; the compiler is.
        must(cargo(&["fuzz", "run", target, "--", &limit]).env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}

fn parse<'a>(options: &[&'a str]) -> Result<(u32, Option<&'a str>)> {
    match options {
        [] => Ok((60, None)),
        ["--seconds", seconds, rest @ ..] => {
            let (_, target) = parse(rest)?;
            Ok((seconds.parse().context("--seconds takes a number")?, target))
        }
        [target] if !target.starts_with('-') => Ok((60, Some(target))),
        other => bail!("not understood: {}", other.join(" ")),
    }
}

fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).context("there are no fuzz targets")? {
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
    fn seconds_and_target_are_both_optional() {
        assert_eq!(parse(&[]).unwrap(), (60, None));
        assert_eq!(parse(&["datagram"]).unwrap(), (60, Some("datagram")));
        assert_eq!(parse(&["--seconds", "5", "datagram"]).unwrap(), (5, Some("datagram")));
        assert!(parse(&["--seconds"]).is_err());
        assert!(parse(&["one", "two"]).is_err());
    }
}
