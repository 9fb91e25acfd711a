//! One command for each thing a developer does: `cargo xtask help`.
#![forbid(unsafe_code)]

mod bench;
mod check;
mod demo;
mod e2e;
mod fuzz;
mod packages;
mod size;
mod suite;
#[cfg(test)]
mod tidy;
mod workspace;

use anyhow::{Result, bail};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  demo  [--keep] [--json]       the whole story on this machine, in network namespaces (root)
  test  [--quick]               every test; installs the Debian packages it needs (root)
  e2e   [pages [--only NAME | --readme] | weigh | schema | network [--profile NAME]]
                                the admin page in a real browser (root for the network)
  check                         format, clippy, tidy, documentation, licences
  bench [ARGUMENT...]           the benchmarks, with arguments for criterion
  bench peers [OPTION...]       ln6d beside other tunnels, in namespaces (root)
  bench relay | offloads | trouble | flows | workers | syscalls | paced | hot [OPTION...]
                                the data plane in hard conditions; says which aims hold (root)
  size                          build what a router gets; fails if it is too large
  fuzz  [--seconds N | --runs N] [TARGET]
                                fuzz one target or all, N seconds (60) or N inputs each

demo --keep leaves the world up until Enter or Ctrl-C; --json prints one object a line;
     --profile NAME builds with another profile than release, --binary PATH builds nothing.
bench relay and its like take --blocks, --seconds, --seed, --only, --binary.
test --quick leaves out what needs namespaces.
bench peers --blocks N (5) --seconds N (5) --seed N (1) --only NAME,... --cases tcp,lan,flood,udp,ping
     --binary PATH measures another ln6d; --with NAME=COMMAND another program (docs/benchmarks.md).
";

fn main() -> ExitCode {
    ln6_lab::probe::run_if_asked();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["demo", options @ ..] => demo::run(options),
        ["test", options @ ..] => suite::run(options),
        ["check"] => check::run(),
        ["bench", arguments @ ..] => bench::run(arguments),
        ["e2e", options @ ..] => e2e::run(options),
        ["fuzz", options @ ..] => fuzz::run(options),
        ["size", options @ ..] => size::run(options),
        [] | ["help" | "-h" | "--help"] => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("`{}` is not understood\n\n{HELP}", other.join(" ")),
    }
}
