//! What was seen, as JSON, Markdown and pictures under `target/bench`.

use super::Sample;
use super::load::FIGURES;
use super::options::Options;
use super::plot;
use super::programs::Program;
use crate::workspace::target;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::fs;

/// Writes all three.
pub(crate) fn write(
    options: &Options,
    programs: &[Program],
    samples: &[Sample],
    failures: &[String],
) -> Result<()> {
    let folder = target()?.join("bench");
    fs::create_dir_all(&folder).context("making target/bench")?;
    let json = serde_json::to_string_pretty(&raw(options, programs, samples, failures))?;
    fs::write(folder.join("peers.json"), json)?;
    fs::write(folder.join("peers.md"), markdown(options, programs, samples, failures))?;
    for (figure, title, _) in FIGURES {
        let bars: Vec<(String, f64)> = programs
            .iter()
            .filter_map(|program| {
                Some((program.name().to_owned(), median(&values(samples, program.name(), figure))?))
            })
            .collect();
        if !bars.is_empty() {
            fs::write(folder.join(format!("peers-{figure}.svg")), plot::bars(title, &bars))?;
        }
    }
    Ok(())
}

fn raw(options: &Options, programs: &[Program], samples: &[Sample], failures: &[String]) -> Value {
    let samples: Vec<Value> = samples
        .iter()
        .map(|sample| {
            let figures: Map<String, Value> =
                sample.measured.0.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            json!({ "block": sample.block, "program": sample.program, "figures": figures })
        })
        .collect();
    let versions: Map<String, Value> =
        programs.iter().map(|program| (program.name().to_owned(), json!(program.version()))).collect();
    json!({
        "blocks": options.blocks, "seconds": options.seconds, "seed": options.seed,
        "machine": machine(), "versions": versions, "samples": samples, "failures": failures,
    })
}

/// Processor, number of processors, kernel.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{count} × {}, Linux {}", model.trim_start_matches([' ', '\t', ':']), kernel.trim())
}

fn values(samples: &[Sample], program: &str, figure: &str) -> Vec<f64> {
    let own = samples.iter().filter(|sample| sample.program == program);
    own.filter_map(|sample| sample.measured.0.get(figure).copied()).collect()
}

pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// A program's figure against ln6d's, block by block: the median of ln6d / program (or its inverse, where less is better).
fn ratio(samples: &[Sample], program: &str, figure: &str, more: bool) -> Option<f64> {
    let at = |block: usize, name: &str| {
        let found = samples.iter().find(|sample| sample.block == block && sample.program == name);
        found.and_then(|sample| sample.measured.0.get(figure).copied()).filter(|value| *value > 0.0)
    };
    let last = samples.iter().map(|sample| sample.block).max()?;
    let pairs = (1..=last).filter_map(|block| Some((at(block, "ln6d")?, at(block, program)?)));
    median(&pairs.map(|(ours, theirs)| if more { ours / theirs } else { theirs / ours }).collect::<Vec<_>>())
}

/// A table of medians, one of ratios within the blocks, and every single value.
pub(crate) fn markdown(
    options: &Options,
    programs: &[Program],
    samples: &[Sample],
    failures: &[String],
) -> String {
    let mut text = format!(
        "Machine: {}. Blocks: {}, {} s for each TCP figure, seed {}.\n\n## Medians\n\n",
        machine(),
        options.blocks,
        options.seconds,
        options.seed
    );
    let names: Vec<&str> = programs.iter().map(Program::name).collect();
    table(&mut text, &names, |program, figure, _| median(&values(samples, program, figure)));
    text.push_str("\n## How many times better ln6d is (median of the ratios within each block; below 1 it is behind)\n\n");
    table(&mut text, &names, |program, figure, more| ratio(samples, program, figure, more));
    text.push_str("\n## Versions\n\n");
    for program in programs {
        let _ = writeln!(text, "- {}: {}", program.name(), program.version());
    }
    text.push_str("\n## Every value, in the order of the blocks\n\n");
    for (figure, title, _) in FIGURES {
        for name in &names {
            let all = values(samples, name, figure);
            if !all.is_empty() {
                let all: Vec<String> = all.iter().map(|value| format!("{value:.3}")).collect();
                let _ = writeln!(text, "- {title}, {name}: {}", all.join(" "));
            }
        }
    }
    for failure in failures {
        let _ = writeln!(text, "- failed: {}", failure.lines().next().unwrap_or_default());
    }
    text
}

fn table(text: &mut String, names: &[&str], value: impl Fn(&str, &str, bool) -> Option<f64>) {
    let _ = writeln!(text, "| what | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
    for (figure, title, more) in FIGURES {
        let cells: Vec<String> = names
            .iter()
            .map(|name| value(name, figure, *more).map_or(String::new(), |value| format!("{value:.2}")))
            .collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            let _ = writeln!(text, "| {title} | {} |", cells.join(" | "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::peers::load::Measured;

    fn sample(block: usize, program: &str, value: f64) -> Sample {
        let measured = Measured([("tcp_1", value)].into());
        Sample { block, program: program.to_owned(), measured }
    }

    #[test]
    fn a_median_is_the_middle_and_nothing_has_none() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn ratios_are_taken_within_a_block() {
        let samples =
            [sample(1, "ln6d", 4.0), sample(1, "x", 2.0), sample(2, "ln6d", 1.0), sample(3, "x", 9.0)];
        assert_eq!(ratio(&samples, "x", "tcp_1", true), Some(2.0));
        assert_eq!(ratio(&samples, "x", "tcp_1", false), Some(0.5));
        assert_eq!(ratio(&samples, "y", "tcp_1", true), None);
    }
}
