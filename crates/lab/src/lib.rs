//! Network namespaces that clean up after themselves, for tests, the demo and measurements.
//! This crate never touches an interface, address, route or process outside the namespaces it made.
//!
//! Everything is done by blocking calls of `ip`, `nft` and `sysctl`, so a failed test can be replayed by hand.
//! Only one [`Lab`] exists in a process at any time: a second [`Lab::new`] waits for the first to be dropped,
//! so namespace tests are serial however they are started.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod flows;
mod lab;
mod link;
mod namespace;
pub mod probe;
mod process;
mod topology;
mod wait;
pub mod wire;

pub use lab::Lab;
pub use namespace::{Namespace, Output};
pub use process::Process;
pub use topology::{
    Community, INTERNET_HOST, LAN, POOL, SERVER_ADDRESS, SERVER_NAME, Site, TwoNodes, community, two_nodes,
};
pub use wait::{wait_for, wait_until};

/// Whether namespaces can be made here: root, `/dev/net/tun` and the programs the lab calls.
///
/// A test that needs a lab begins with `if !ln6_lab::ready() { return; }`. With `CI` set in the environment an
/// unfit machine is a failed test, so that a green run always means that the namespace tests ran. With
/// `LN6_QUICK` set the answer is no, which is how `cargo xtask test --quick` leaves them out.
///
/// # Panics
/// When `CI` is set, `LN6_QUICK` is not, and something is missing.
pub fn ready() -> bool {
    if std::env::var_os("LN6_QUICK").is_some() {
        eprintln!("left out: LN6_QUICK is set");
        return false;
    }
    let Some(missing) = missing() else { return true };
    assert!(std::env::var_os("CI").is_none(), "the namespace tests cannot run here: {missing}");
    eprintln!("left out: {missing}");
    false
}

/// The first thing this machine lacks for a lab, as a phrase; `None` when it has everything.
pub fn missing() -> Option<String> {
    if !is_root() {
        return Some("root is needed to make network namespaces".into());
    }
    if !std::path::Path::new("/dev/net/tun").exists() {
        return Some("/dev/net/tun is missing".into());
    }
    ["ip", "nft", "sysctl", "ping", "setpriv", "timeout"]
        .into_iter()
        .find(|program| !has_program(program))
        .map(|program| format!("the program `{program}` is not installed"))
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1))
        .is_some_and(|effective| effective == "0")
}

/// Whether `program` is found in `PATH` or in the system directories that a user's `PATH` often lacks.
pub fn has_program(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}
