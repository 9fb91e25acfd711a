//! `cargo xtask bench`: the benchmarks, with whatever criterion is to be told; and `bench peers`, ln6d beside others.

mod peers;

use crate::workspace::{cargo, must};
use anyhow::Result;

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["peers", options @ ..] => peers::run(options),
        _ => must(cargo(&["bench", "--locked", "--package", "benches"]).args(arguments)),
    }
}
