//! Contestants side by side in randomised complete blocks: what is measured, what comes of it, and which of the aims hold.

use super::peers::options::Options;
use super::peers::random::Random;
use super::peers::report::{machine, median};
use crate::packages;
use crate::workspace::target;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

/// Figures by their names.
pub(crate) type Figures = BTreeMap<&'static str, f64>;

/// What is measured: its name, and what it says.
pub(crate) type Title = (&'static str, &'static str);

/// One contestant in one block.
#[derive(Debug)]
pub(crate) struct Row {
    block: usize,
    contestant: String,
    figures: Figures,
}

/// What must be shown.
#[derive(Debug)]
pub(crate) struct Claim {
    /// In words, with the aim.
    text: String,
    /// What was seen; `None` if it was not measured.
    value: Option<f64>,
    aim: f64,
    at_least: bool,
}

impl Claim {
    pub(crate) fn at_least(text: impl Into<String>, value: Option<f64>, aim: f64) -> Self {
        Claim { text: text.into(), value, aim, at_least: true }
    }

    pub(crate) fn at_most(text: impl Into<String>, value: Option<f64>, aim: f64) -> Self {
        Claim { text: text.into(), value, aim, at_least: false }
    }

    fn verdict(&self) -> &'static str {
        match self.value {
            None => "not measured",
            Some(value) if (value >= self.aim) == self.at_least || value == self.aim => "holds",
            Some(_) => "missed",
        }
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    rows: Vec<Row>,
    failures: Vec<String>,
    loads: Vec<f64>,
}

impl Seen {
    fn values(&self, contestant: &str, figure: &str) -> Vec<f64> {
        let own = self.rows.iter().filter(|row| row.contestant == contestant);
        own.filter_map(|row| row.figures.get(figure).copied()).collect()
    }

    /// The median of a contestant's figure.
    pub(crate) fn median(&self, contestant: &str, figure: &str) -> Option<f64> {
        median(&self.values(contestant, figure))
    }

    /// The smallest and the greatest.
    pub(crate) fn range(&self, contestant: &str, figure: &str) -> Option<(f64, f64)> {
        let values = self.values(contestant, figure);
        let least = values.iter().copied().reduce(f64::min)?;
        Some((least, values.iter().copied().reduce(f64::max)?))
    }

    /// The median over the blocks of one contestant's figure through another's of the same block.
    pub(crate) fn ratio(&self, figure: &str, above: &str, below: &str) -> Option<f64> {
        let at = |block: usize, name: &str| {
            let row = self.rows.iter().find(|row| row.block == block && row.contestant == name)?;
            row.figures.get(figure).copied().filter(|value| *value > 0.0)
        };
        let last = self.rows.iter().map(|row| row.block).max()?;
        let ratios: Vec<f64> =
            (1..=last).filter_map(|block| Some(at(block, above)? / at(block, below)?)).collect();
        median(&ratios)
    }
}

/// A trial as it is set up.
pub(crate) struct Trial<'a> {
    /// The name of the command and of the files.
    pub(crate) name: &'static str,
    /// One sentence.
    pub(crate) about: &'static str,
    pub(crate) titles: &'static [Title],
    pub(crate) contestants: Vec<String>,
    pub(crate) options: &'a Options,
    pub(crate) claims: fn(&Seen, &[String]) -> Vec<Claim>,
}

impl Trial<'_> {
    /// Measures every contestant once in each block, in an order drawn anew, and writes what was seen after each.
    pub(crate) fn run(&self, mut measure: impl FnMut(&str) -> Result<Figures>) -> Result<()> {
        packages::ensure(packages::LAB)?;
        packages::ensure(super::peers::LOADS)?;
        if let Some(missing) = ln6_lab::missing() {
            bail!("{missing}");
        }
        let (mut random, mut seen) = (Random::new(self.options.seed), Seen::default());
        for block in 1..=self.options.blocks {
            for at in random.order(self.contestants.len()) {
                let (contestant, begin) = (&self.contestants[at], Instant::now());
                seen.loads.push(load_average());
                match measure(contestant) {
                    Ok(figures) => {
                        let shown: Vec<String> =
                            figures.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
                        let took = begin.elapsed().as_secs_f64();
                        eprintln!("block {block} {contestant:>14}  {}  ({took:.0} s)", shown.join("  "));
                        seen.rows.push(Row { block, contestant: contestant.clone(), figures });
                    }
                    Err(error) => {
                        eprintln!("block {block} {contestant:>14}  failed: {error:#}");
                        seen.failures.push(format!("block {block}, {contestant}: {error:#}"));
                    }
                }
                // Written each time: a run that is broken off has said what it saw.
                self.write(&seen)?;
            }
        }
        println!("{}", self.markdown(&seen));
        if seen.rows.is_empty() { bail!("nothing was measured") } else { Ok(()) }
    }

    fn write(&self, seen: &Seen) -> Result<()> {
        let folder = target()?.join("bench");
        fs::create_dir_all(&folder).context("making target/bench")?;
        let json = serde_json::to_string_pretty(&self.json(seen))?;
        fs::write(folder.join(format!("{}.json", self.name)), json)?;
        fs::write(folder.join(format!("{}.md", self.name)), self.markdown(seen))?;
        Ok(())
    }

    fn json(&self, seen: &Seen) -> Value {
        let rows: Vec<Value> = seen
            .rows
            .iter()
            .map(|row| json!({ "block": row.block, "contestant": row.contestant, "figures": row.figures }))
            .collect();
        let claims: Vec<Value> = (self.claims)(seen, &self.contestants)
            .iter()
            .map(|claim| json!({ "text": claim.text, "value": claim.value, "aim": claim.aim, "verdict": claim.verdict() }))
            .collect();
        json!({
            "trial": self.name, "machine": machine(), "blocks": self.options.blocks, "seconds": self.options.seconds,
            "seed": self.options.seed, "rows": rows, "claims": claims, "failures": seen.failures, "load_averages": seen.loads,
        })
    }

    fn markdown(&self, seen: &Seen) -> String {
        let mut text = format!(
            "# {}\n\n{}\n\nMachine: {}. Blocks: {}, {} s for each figure, seed {}.\n\n",
            self.name,
            self.about,
            machine(),
            self.options.blocks,
            self.options.seconds,
            self.options.seed
        );
        text.push_str("| what must be shown | seen | |\n|---|---|---|\n");
        for claim in (self.claims)(seen, &self.contestants) {
            let value = claim.value.map_or(String::new(), shown);
            let _ = writeln!(text, "| {} | {value} | {} |", claim.text, claim.verdict());
        }
        let names = self.contestants.join(" | ");
        let _ = writeln!(text, "\n| median | {names} |\n|---|{}", "---|".repeat(self.contestants.len()));
        for (figure, title) in self.titles {
            let cell = |name: &String| seen.median(name, figure).map_or(String::new(), shown);
            let cells: Vec<String> = self.contestants.iter().map(cell).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                let _ = writeln!(text, "| {title} | {} |", cells.join(" | "));
            }
        }
        text.push_str("\nEvery value, in the order of the blocks:\n\n");
        for (figure, title) in self.titles {
            let all = self.contestants.iter().filter_map(|name| {
                let values: Vec<String> = seen.values(name, figure).into_iter().map(shown).collect();
                (!values.is_empty()).then(|| format!("{name} {}", values.join(" ")))
            });
            let all: Vec<String> = all.collect();
            if !all.is_empty() {
                let _ = writeln!(text, "- {title}: {}", all.join("; "));
            }
        }
        text.push_str(&self.noise(seen));
        for failure in &seen.failures {
            let _ = writeln!(text, "- failed: {}", failure.lines().next().unwrap_or_default());
        }
        text
    }

    /// How far the same thing moved between the blocks, and how busy the machine was.
    fn noise(&self, seen: &Seen) -> String {
        let mut worst = (1.0, String::new());
        for (figure, title) in self.titles {
            for name in &self.contestants {
                if let Some((least, most)) = seen.range(name, figure).filter(|(least, _)| *least > 0.0)
                    && most / least > worst.0
                {
                    worst = (most / least, format!(" ({title}, {name})"));
                }
            }
        }
        let loads = |pick: fn(f64, f64) -> f64| seen.loads.iter().copied().reduce(pick).unwrap_or(0.0);
        format!(
            "\nNoise: the same figure of the same contestant moved by up to {:.2} between blocks{}; load average at the starts \
             {:.1} to {:.1}.\n",
            worst.0,
            worst.1,
            loads(f64::min),
            loads(f64::max)
        )
    }
}

/// With so many digits as tell something.
fn shown(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value.abs() >= 1000.0 => format!("{value:.0}"),
        value if value.abs() < 0.1 => format!("{value:.4}"),
        value => format!("{value:.2}"),
    }
}

/// Of the last minute.
fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(block: usize, contestant: &str, value: f64) -> Row {
        Row { block, contestant: contestant.to_owned(), figures: [("gbit", value)].into() }
    }

    #[test]
    fn ratios_are_taken_within_a_block() {
        let rows = vec![row(1, "x", 4.0), row(1, "y", 2.0), row(2, "x", 9.0), row(3, "y", 1.0)];
        let seen = Seen { rows, ..Seen::default() };
        assert_eq!(seen.ratio("gbit", "x", "y"), Some(2.0));
        assert_eq!(seen.ratio("gbit", "y", "x"), Some(0.5));
        assert_eq!(seen.ratio("gbit", "x", "z"), None);
        assert_eq!(seen.range("x", "gbit"), Some((4.0, 9.0)));
    }

    #[test]
    fn a_claim_holds_is_missed_or_was_not_measured() {
        assert_eq!(Claim::at_least("x", Some(2.0), 2.0).verdict(), "holds");
        assert_eq!(Claim::at_least("x", Some(1.9), 2.0).verdict(), "missed");
        assert_eq!(Claim::at_most("x", Some(0.0), 0.0).verdict(), "holds");
        assert_eq!(Claim::at_most("x", Some(0.7), 0.6).verdict(), "missed");
        assert_eq!(Claim::at_most("x", None, 0.6).verdict(), "not measured");
    }
}
