//! Dependencies run one way, and the pure crates depend on nothing that reaches for the world.

use super::{PURE, assert_none};
use crate::workspace::metadata;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Each package of ours and those it may depend on. Development dependencies keep to it too, but for the lab.
const ALLOWED: &[(&str, &[&str])] = &[
    ("ln6-types", &[]),
    ("ln6-api", &["ln6-types"]),
    ("ln6-crypto", &["ln6-types"]),
    ("ln6-routing", &["ln6-types"]),
    ("ln6-overlay-core", &["ln6-types", "ln6-crypto", "ln6-routing"]),
    ("ln6-registry", &["ln6-types", "ln6-crypto"]),
    ("ln6-netio", &["ln6-types", "ln6-overlay-core"]),
    ("ln6-host", &["ln6-types", "ln6-overlay-core", "ln6-netio"]),
    ("ln6-broker", &["ln6-types", "ln6-crypto", "ln6-registry"]),
    // A client of the API and nothing more: neither the registry nor the daemon.
    ("ln6-page", &["ln6-types", "ln6-api"]),
    (
        "ln6d",
        &[
            "ln6-types",
            "ln6-api",
            "ln6-crypto",
            "ln6-routing",
            "ln6-overlay-core",
            "ln6-registry",
            "ln6-netio",
            "ln6-host",
            "ln6-broker",
            "ln6-page",
        ],
    ),
    ("ln6-sim", &["ln6-types", "ln6-crypto", "ln6-routing", "ln6-overlay-core", "ln6-registry"]),
    ("ln6-lab", &[]),
    ("benches", &["ln6-types", "ln6-crypto", "ln6-routing", "ln6-overlay-core", "ln6-registry", "ln6-netio"]),
    (
        "ln6-fuzz",
        &[
            "ln6-types",
            "ln6-crypto",
            "ln6-routing",
            "ln6-overlay-core",
            "ln6-registry",
            "ln6-netio",
            "ln6-host",
            "ln6-broker",
            "ln6d",
        ],
    ),
    ("xtask", &["ln6-lab"]),
];

/// No pure crate names one of these.
const WORLDLY: &[&str] = &["libc", "nix", "rustix", "getrandom", "rand", "dashmap", "tempfile", "jiff"];

/// No pure crate reaches one of these, however far away.
const SHELL: &[&str] =
    &["tokio", "mio", "socket2", "hyper", "rtnetlink", "rusqlite", "tun-tap", "async-std", "ureq", "reqwest"];

/// A dependency as the crate's own Cargo.toml names it.
struct Edge<'a> {
    name: &'a str,
    development: bool,
}

fn edges(package: &Value) -> Vec<Edge<'_>> {
    let dependencies = package["dependencies"].as_array().unwrap();
    dependencies
        .iter()
        .map(|dependency| Edge {
            name: dependency["name"].as_str().unwrap(),
            development: dependency["kind"] == "dev",
        })
        .collect()
}

fn ours(metadata: &Value) -> BTreeMap<&str, &Value> {
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| members.contains(package["id"].as_str().unwrap()))
        .map(|package| (package["name"].as_str().unwrap(), package))
        .collect()
}

#[test]
fn dependencies_run_one_way() {
    let metadata = metadata().unwrap();
    let ours = ours(&metadata);
    let mut complaints = Vec::new();
    for (name, package) in &ours {
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
            complaints
                .push(format!("{name} is new: say in xtask/src/tidy/dependencies.rs what it may depend on"));
            continue;
        };
        for edge in edges(package) {
            // A crate may depend on itself in its tests: that switches its features on.
            let for_tests = edge.development && (edge.name == "ln6-lab" || edge.name == *name);
            if ours.contains_key(edge.name) && !allowed.contains(&edge.name) && !for_tests {
                complaints.push(format!("{name} must not depend on {}", edge.name));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn pure_crates_depend_on_nothing_that_reaches_for_the_world() {
    let metadata = metadata().unwrap();
    let ours = ours(&metadata);
    let mut complaints = Vec::new();
    for krate in PURE {
        let name = format!("ln6-{krate}");
        let package = ours[name.as_str()];
        for edge in edges(package).iter().filter(|edge| !edge.development) {
            if WORLDLY.contains(&edge.name) || SHELL.contains(&edge.name) {
                complaints.push(format!("{name} is pure and must not depend on {}", edge.name));
            }
        }
        for reached in reached(&metadata, package["id"].as_str().unwrap()) {
            if SHELL.contains(&reached.as_str()) {
                complaints.push(format!("{name} is pure and must not reach {reached}"));
            }
        }
    }
    assert_none(&complaints);
}

/// The names of all packages that a package is built with.
fn reached(metadata: &Value, from: &str) -> BTreeSet<String> {
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            let next = dependency["pkg"].as_str().unwrap();
            if kinds.iter().any(|kind| kind["kind"].is_null()) && seen.insert(next) {
                open.push(next);
            }
        }
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

#[test]
fn the_walk_over_dependencies_sees_far() {
    let metadata = metadata().unwrap();
    let daemon = ours(&metadata)["ln6d"]["id"].as_str().unwrap();
    let reached = reached(&metadata, daemon);
    assert!(reached.contains("mio") && reached.contains("ln6-types"), "{reached:?}");
}
