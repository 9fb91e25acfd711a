//! How the data plane behaves in hard conditions: `cargo xtask bench relay | offloads | trouble | flows | workers |
//! syscalls | paced | hot`.
//! Each writes Markdown and JSON to `target/bench`, and says which of its aims hold.

mod flows;
mod hot;
mod offloads;
mod paced;
mod relay;
mod syscalls;
mod trouble;
mod workers;

use super::peers::options::Options;
use super::peers::programs::{self, Program};
use super::peers::world::World;
use super::trial::{Figures, Trial};
use crate::packages;
use anyhow::{Context, Result};

/// The case of this name, if there is one.
pub(super) fn case(name: &str) -> Option<fn(&Options) -> Result<()>> {
    Some(match name {
        "relay" => relay::run,
        "offloads" => offloads::run,
        "trouble" => trouble::run,
        "flows" => flows::run,
        "workers" => workers::run,
        "syscalls" => syscalls::run,
        "paced" => paced::run,
        "hot" => hot::run,
        _ => return None,
    })
}

/// The programs of these names, built and installed.
fn programs(options: &Options, names: &[&str]) -> Result<Vec<Program>> {
    let wanted = |name: &&&str| options.only.is_empty() || options.only.iter().any(|only| only == **name);
    let only = names.iter().filter(wanted).map(|name| (*name).to_owned()).collect();
    let chosen = programs::choose(&Options { only, ..options.clone() })?;
    for program in &chosen {
        packages::ensure(program.needs())?;
        program.prepare()?;
    }
    Ok(chosen)
}

/// Runs a trial whose contestants are ln6d with one setting each: name and line under `[node]`.
fn by_setting(
    trial: &Trial<'_>,
    contestants: &[(&str, &str)],
    measure: impl Fn(&World) -> Result<Figures>,
) -> Result<()> {
    let programs = programs(trial.options, &["ln6d"])?;
    trial.run(|contestant| {
        let setting = contestants.iter().find(|(name, _)| *name == contestant).expect("a contestant").1;
        let mut world = World::new()?;
        world.settings.push(setting.to_owned());
        within(world, |world| programs[0].start(world), &measure)
    })
}

/// Starts a program in a world and measures it there; an error has the logs.
fn within(
    mut world: World,
    start: impl FnOnce(&mut World) -> Result<()>,
    measure: impl FnOnce(&World) -> Result<Figures>,
) -> Result<Figures> {
    let outcome = start(&mut world).context("starting").and_then(|()| measure(&world));
    outcome.with_context(|| world.logs())
}
