//! The Debian packages that a command needs: installed when run as root, otherwise named in one line to type.

use crate::workspace::must;
use anyhow::{Result, bail};
use std::process::Command;

/// A program that is called, and the package that has it.
pub(crate) type Need = (&'static str, &'static str);

/// What the lab calls.
pub(crate) const LAB: &[Need] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("ping", "iputils-ping"),
    ("sysctl", "procps"),
    ("kill", "procps"),
    ("setpriv", "util-linux"),
];

/// What the tests call beside it: stock programs as judges, and tools that watch.
pub(crate) const JUDGES: &[Need] = &[
    ("wg", "wireguard-tools"),
    ("wireguard-go", "wireguard-go"),
    ("iperf3", "iperf3"),
    ("tcpdump", "tcpdump"),
    ("curl", "curl"),
    ("strace", "strace"),
    ("rdisc6", "ndisc6"),
    ("git", "git"),
    ("ssh-keygen", "openssh-client"),
    ("promtool", "prometheus"),
    ("ethtool", "ethtool"),
];

/// Makes sure that every program is there.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let packages = missing(needs, ln6_lab::has_program);
    if packages.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --yes --no-install-recommends {}", packages.join(" "));
    if !ln6_lab::is_root() || !ln6_lab::has_program("apt-get") {
        bail!("some programs are missing; type\n  sudo {line}");
    }
    must(&mut apt(&["update", "--quiet"]))?;
    let mut words: Vec<&str> = line.split(' ').skip(1).collect();
    words.push("--quiet");
    must(&mut apt(&words))?;
    match missing(needs, ln6_lab::has_program).as_slice() {
        [] => Ok(()),
        still => bail!("installed, and yet programs of these packages are missing: {}", still.join(" ")),
    }
}

fn apt(words: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn missing(needs: &[Need], has: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        needs.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed_and_each_package_once() {
        assert!(missing(LAB, |_| true).is_empty());
        assert_eq!(missing(LAB, |program| program != "nft"), ["nftables"]);
        assert_eq!(missing(LAB, |program| !["kill", "sysctl"].contains(&program)), ["procps"]);
    }
}
