//! `cargo xtask bench`: the benchmarks, with whatever criterion is to be told; `bench peers`, ln6d beside others; and the
//! cases of [`hard`].

mod hard;
mod peers;
mod trial;

use crate::workspace::{cargo, must};
use anyhow::Result;
use peers::options::Options;

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    if let [name, options @ ..] = arguments
        && let Some(case) = hard::case(name)
    {
        return case(&Options::parse(options)?);
    }
    match arguments {
        ["peers", options @ ..] => peers::run(options),
        _ => must(cargo(&["bench", "--locked", "--package", "benches"]).args(arguments)),
    }
}
