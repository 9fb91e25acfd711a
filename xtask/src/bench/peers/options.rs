//! What was asked for.

use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) blocks: usize,
    pub(crate) seconds: u32,
    pub(crate) seed: u64,
    /// Programs to measure; empty = all that can be had.
    pub(crate) only: Vec<String>,
    /// Cases to measure (`tcp`, `lan`, `flood`, `udp`, `ping`); empty = all.
    pub(crate) cases: Vec<String>,
    /// Further programs, `NAME=COMMAND`.
    pub(crate) with: Vec<(String, String)>,
    /// Another binary of ln6d than the release build, `--binary PATH`.
    pub(crate) binary: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(mut words: &[&str]) -> Result<Self> {
        let mut options = Self {
            blocks: 5,
            seconds: 5,
            seed: 1,
            only: Vec::new(),
            cases: Vec::new(),
            with: Vec::new(),
            binary: None,
        };
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        while let [option, rest @ ..] = words {
            let (value, rest) = rest.split_first().with_context(|| format!("{option} has no value"))?;
            match *option {
                "--blocks" => options.blocks = value.parse().context("--blocks")?,
                "--seconds" => options.seconds = value.parse().context("--seconds")?,
                "--seed" => options.seed = value.parse().context("--seed")?,
                "--only" => options.only = list(value),
                "--cases" => options.cases = list(value),
                "--binary" => options.binary = Some(std::path::absolute(value)?),
                "--with" => {
                    let (name, command) = value.split_once('=').context("--with NAME=COMMAND")?;
                    options.with.push((name.to_owned(), command.to_owned()));
                }
                other => bail!("not understood: {other}"),
            }
            words = rest;
        }
        ensure!(options.blocks > 0 && options.seconds > 0, "there must be blocks, and time for them");
        Ok(options)
    }

    /// Whether a case is wanted.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| wanted == case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_in_any_order() {
        let options =
            Options::parse(&["--only", "ln6d,tinc", "--blocks", "7", "--with", "x=y --z=1"]).unwrap();
        assert_eq!((options.blocks, options.seconds), (7, 5));
        assert_eq!(options.only, ["ln6d", "tinc"]);
        assert_eq!(options.with, [("x".to_owned(), "y --z=1".to_owned())]);
        for wrong in [&["--blocks"][..], &["--blocks", "0"], &["--fast", "1"], &["--with", "x"]] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
