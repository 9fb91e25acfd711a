//! `cargo xtask check`: everything that needs no running of ours.

use crate::workspace::{cargo, must};
use anyhow::Result;

pub(crate) fn run() -> Result<()> {
    must(&mut cargo(&["fmt", "--all", "--check"]))?;
    // Includes tidy: dependencies, sizes, purity, words, papers, fuzz targets and licences.
    must(&mut cargo(&["test", "--locked", "--quiet", "--package", "xtask"]))?;
    must(&mut cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    must(cargo(&["doc", "--locked", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    if ln6_lab::has_program("cargo-deny") {
        must(&mut cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    }
    eprintln!("check: all good");
    Ok(())
}
