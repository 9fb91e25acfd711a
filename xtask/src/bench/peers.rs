//! `cargo xtask bench peers`: ln6d beside other userspace tunnels, in one run.
//!
//! Randomised complete blocks: each block measures every program once, in an order drawn anew, each time in fresh
//! namespaces. Only figures of one run are compared; what is reported are medians over the blocks.

pub(crate) mod load;
pub(crate) mod options;
mod plot;
pub(crate) mod programs;
pub(crate) mod random;
pub(crate) mod report;
pub(crate) mod world;

use crate::packages;
use anyhow::{Context, Result, bail};
use load::Measured;
use options::Options;
use random::Random;
use std::time::Instant;
use world::World;

/// One program in one block.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) block: usize,
    pub(crate) program: String,
    pub(crate) measured: Measured,
}

/// What the measurements call beside the lab's programs.
pub(crate) const LOADS: &[packages::Need] = &[("iperf3", "iperf3")];

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    packages::ensure(packages::LAB)?;
    packages::ensure(LOADS)?;
    if let Some(missing) = ln6_lab::missing() {
        bail!("{missing}");
    }
    let programs = programs::choose(&options)?;
    for program in &programs {
        packages::ensure(program.needs())?;
        program.prepare()?;
    }
    let mut random = Random::new(options.seed);
    let (mut samples, mut failures) = (Vec::new(), Vec::new());
    for block in 1..=options.blocks {
        for at in random.order(programs.len()) {
            let (program, begin) = (&programs[at], Instant::now());
            match measure(program, &options) {
                Ok(measured) => {
                    eprintln!(
                        "block {block} {:>14}  {}  ({:.0} s)",
                        program.name(),
                        measured.line(),
                        begin.elapsed().as_secs_f64()
                    );
                    samples.push(Sample { block, program: program.name().to_owned(), measured });
                }
                Err(error) => {
                    eprintln!("block {block} {:>14}  failed: {error:#}", program.name());
                    failures.push(format!("block {block}, {}: {error:#}", program.name()));
                }
            }
            // Written each time: a run that is broken off has said what it saw.
            report::write(&options, &programs, &samples, &failures)?;
        }
    }
    println!("{}", report::markdown(&options, &programs, &samples, &failures));
    if samples.is_empty() { bail!("nothing was measured") } else { Ok(()) }
}

fn measure(program: &programs::Program, options: &Options) -> Result<Measured> {
    let mut world = World::new()?;
    let outcome = program
        .start(&mut world)
        .with_context(|| format!("starting {}", program.name()))
        .and_then(|()| load::measure(&world, options));
    outcome.with_context(|| world.logs())
}
