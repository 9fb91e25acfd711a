//! `cargo xtask size`: builds what a router gets and measures it against what was promised.

use crate::workspace::{cargo, must, target};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::Command;

/// Octets that the program without the broker may have, stripped.
const MOST: u64 = 3_000_000;
/// Sections smaller than this are not worth a line.
const WORTH: u64 = 4096;

pub(crate) fn run(options: &[&str]) -> Result<()> {
    if !options.is_empty() {
        bail!("not understood: {}", options.join(" "));
    }
    must(&mut cargo(&["build", "--locked", "--release", "--package", "ln6d", "--no-default-features"]))?;
    let program = target()?.join("release/ln6d");
    let size = program.metadata().with_context(|| format!("looking at {}", program.display()))?.len();
    for (name, octets) in largest(&program) {
        println!("{octets:>9}  {name}");
    }
    println!("{size:>9}  octets in all, of at most {MOST}");
    ensure!(
        size <= MOST,
        "the program has {} octets too many: docs/decisions/0012-a-small-program.md",
        size - MOST
    );
    Ok(())
}

/// The sections that make up the file, largest first; none where there is no `readelf`.
fn largest(program: &Path) -> Vec<(String, u64)> {
    let listed = Command::new("readelf").args(["--sections", "--wide"]).arg(program).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let mut sections: Vec<_> = text.lines().filter_map(section).filter(|(_, size)| *size >= WORTH).collect();
    sections.sort_by_key(|(_, size)| core::cmp::Reverse(*size));
    sections
}

/// Name and octets in the file of `  [15] .text  PROGBITS  address offset size …`.
fn section(line: &str) -> Option<(String, u64)> {
    let (_, rest) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    let mut words = rest.split_whitespace();
    let (name, kind) = (words.next()?, words.next()?);
    let size = u64::from_str_radix(words.nth(2)?, 16).ok()?;
    (kind != "NOBITS").then(|| (name.to_owned(), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_a_name_and_a_size_unless_it_is_not_in_the_file() {
        let text = "  [ 9] .text             PROGBITS        0000000000065000 065000 0000ff 00  AX  0   0 64";
        assert_eq!(section(text), Some((".text".to_owned(), 255)));
        let bss = "  [28] .bss              NOBITS          0000000000458560 456560 000148 00  WA  0   0  8";
        assert_eq!(section(bss), None);
        assert_eq!(section("  [Nr] Name              Type            Address          Off"), None);
    }
}
