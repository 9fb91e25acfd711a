//! `cargo xtask bench`: the benchmarks, with whatever criterion is to be told.

use crate::workspace::{cargo, must};
use anyhow::Result;

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    must(cargo(&["bench", "--locked", "--package", "benches"]).args(arguments))
}
