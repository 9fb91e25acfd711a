//! A real broker whose members a Git repository names, and what it tells other programs.
#![allow(clippy::unwrap_used)]

#[path = "support/repository.rs"]
mod repository;
#[path = "support/world.rs"]
mod world;

use ln6_lab::{INTERNET_HOST, wait_for};
use repository::{commit, git};
use serde_json::Value;
use std::path::PathBuf;
use world::{Machine, Net, PATIENCE};

/// A server with a key list and somebody to be told.
fn broker(net: &mut Net) -> (PathBuf, PathBuf) {
    let here = net.server.directory().to_owned();
    let (list, letters) = (here.join("list"), here.join("letters"));
    std::fs::create_dir_all(&list).unwrap();
    git(&list, &["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(list.join("README.md"), "who is in\n").unwrap();
    commit(&list);
    let file = here.join("ln6d.toml");
    let old = std::fs::read_to_string(&file).unwrap();
    let more = format!(
        "\n[keylist]\nurl = \"{}\"\nname = \"test\"\n\n[notify]\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {}\"]\n",
        list.display(),
        letters.display()
    );
    std::fs::write(&file, old + &more).unwrap();
    net.server.kill().unwrap();
    net.server.start().unwrap();
    (list, letters)
}

fn state_of(server: &Machine, holder: &str) -> Vec<String> {
    let prefixes = server.json(&["prefixes"]).unwrap();
    let rows = prefixes["prefixes"].as_array().unwrap();
    rows.iter()
        .filter(|row| row["holder"] == holder)
        .map(|row| row["state"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_commit_lets_a_gateway_in_and_another_suspends_it() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::server_only("keylist").unwrap();
    let (list, letters) = broker(&mut net);
    let site = &net.world.sites[0];
    let link = net.server.json(&["invite", "--open"]).unwrap()["link"].as_str().unwrap().to_owned();
    let mut gateway = Machine::new(&site.gateway);
    gateway.ask(&["join", &link, "--name", "quintana", "--lan", ln6_lab::LAN]).unwrap();
    let keys = gateway.json(&["key", "show"]).unwrap();
    let entry = format!(
        "key = {}\nsign = {}\nsize = 56\n",
        keys["key"].as_str().unwrap(),
        keys["sign"].as_str().unwrap()
    );
    std::fs::write(list.join("quintana"), entry).unwrap();
    commit(&list);
    let report = net.server.json(&["keylist", "pull"]).unwrap();
    assert_eq!(
        (&report["schema"], &report["state"], &report["nodes"]),
        (&"ln6d.keylist/1".into(), &"current".into(), &1.into())
    );

    // Nobody approves anything.
    gateway.launch().unwrap();
    site.client.wait_ping(INTERNET_HOST, PATIENCE).unwrap();
    assert_eq!(state_of(&net.server, "quintana"), ["active"]);
    let status: Value = serde_json::from_str(&gateway.ask(&["rpcd", "call", "status"]).unwrap()).unwrap();
    assert_eq!(status["standing"]["state"], "member");
    let test: Value = serde_json::from_str(&gateway.ask(&["rpcd", "call", "test"]).unwrap()).unwrap();
    assert_eq!(
        (&test["schema"], &test["ping"]["name"]),
        (&"ln6d.test/1".into(), &"altermundi".into()),
        "{test}"
    );

    // Others' tools.
    let graph: Value =
        serde_json::from_str(&net.server.ask(&["graph", "--format", "netjson"]).unwrap()).unwrap();
    assert_eq!(
        (graph["nodes"].as_array().map(Vec::len), graph["links"].as_array().map(Vec::len)),
        (Some(2), Some(1)),
        "{graph}"
    );
    assert!(net.server.ask(&["graph"]).unwrap().contains("quintana"));
    assert!(net.server.ask(&["prefixes", "--csv"]).unwrap().contains(",quintana,active,"));

    // A stranger waits, and somebody is told.
    let mut stranger = Machine::new(&net.world.sites[1].gateway);
    stranger.ask(&["join", &link, "--name", "stranger"]).unwrap();
    stranger.launch().unwrap();
    wait_for("a letter about the stranger", PATIENCE * 2, || {
        let text = std::fs::read_to_string(&letters).unwrap_or_default();
        if text.contains("\"kind\":\"request\"") && text.contains("stranger") { Ok(()) } else { Err(text) }
    })
    .unwrap();

    std::fs::remove_file(list.join("quintana")).unwrap();
    commit(&list);
    let report = net.server.json(&["keylist", "pull"]).unwrap();
    assert_eq!((&report["nodes"], &report["suspended"]), (&0.into(), &1.into()), "{report}");
    assert_eq!(state_of(&net.server, "quintana"), ["suspended"]);
    wait_for("the end of the gateway's rights", PATIENCE, || {
        let state = gateway.status().map_err(|error| error.to_string())?["standing"]["state"].clone();
        if state == "member" { Err(state.to_string()) } else { Ok(()) }
    })
    .unwrap();

    // The repository goes away: a warning, and nothing else.
    std::fs::rename(&list, list.with_extension("away")).unwrap();
    assert_eq!(net.server.json(&["keylist", "pull"]).unwrap()["state"], "unreachable");
    wait_for("the warning", PATIENCE, || {
        let status = net.server.status().map_err(|error| error.to_string())?;
        let told = status["problems"]
            .as_array()
            .is_some_and(|all| all.iter().any(|p| p["code"] == "keylist_unreachable"));
        if told { Ok(()) } else { Err(status["problems"].to_string()) }
    })
    .unwrap();
}

#[test]
fn the_subnets_of_ninety_two_tinc_hosts_are_reserved() {
    if !ln6_lab::ready() {
        return;
    }
    let net = Net::server_only("librenet6").unwrap();
    let hosts = net.server.directory().join("hosts");
    std::fs::create_dir_all(&hosts).unwrap();
    let pool = ln6_types::Prefix::new(ln6_lab::POOL.0, ln6_lab::POOL.1);
    for number in 0..92u128 {
        let subnet = pool.part(64, 0x10_000 + number).unwrap();
        let text = format!(
            "Subnet = {subnet}\n-----BEGIN RSA PUBLIC KEY-----\nnot a key\n-----END RSA PUBLIC KEY-----\n"
        );
        std::fs::write(hosts.join(format!("topo_node_{number}")), text).unwrap();
    }
    let folder = hosts.to_str().unwrap();
    let dry = net.server.json(&["import-librenet6", folder, "--dry-run"]).unwrap();
    assert_eq!((&dry["reserved"], &dry["dry_run"]), (&92.into(), &true.into()));
    assert!(state_of(&net.server, "topo-node-7").is_empty());
    let report = net.server.json(&["import-librenet6", folder, "--invite"]).unwrap();
    assert_eq!(
        (&report["schema"], &report["reserved"], &report["refused"]),
        (&"ln6d.import/1".into(), &92.into(), &0.into())
    );
    let seven =
        report["hosts"].as_array().unwrap().iter().find(|host| host["name"] == "topo-node-7").unwrap();
    let (subnet, link) = (seven["reserved"][0].as_str().unwrap(), seven["link"].as_str().unwrap());

    // Whoever comes with the link gets the old subnet.
    let mut gateway = Machine::new(&net.world.sites[0].gateway);
    gateway.ask(&["join", link, "--lan", ln6_lab::LAN]).unwrap();
    gateway.launch().unwrap();
    wait_for("the old subnet", PATIENCE, || {
        let status = gateway.status().map_err(|error| error.to_string())?;
        if status["prefixes"][0] == subnet { Ok(()) } else { Err(status["prefixes"].to_string()) }
    })
    .unwrap();
}

fn entry(number: u8, more: &str) -> String {
    format!(
        "key = {}\nsign = {}\n{more}",
        ln6_types::PublicKey([number; 32]),
        ln6_types::VerifyKey([number; 32])
    )
}

#[test]
fn ninety_two_nodes_are_admitted_changed_and_reduced_by_what_is_pushed() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::server_only("ninetytwo").unwrap();
    let here = net.server.directory().to_owned();
    let (bare, work) = (here.join("members.git"), here.join("work"));
    let (bare_path, work_path) = (bare.to_str().unwrap(), work.to_str().unwrap());
    git(&here, &["init", "--quiet", "--bare", "--initial-branch=main", bare_path]);
    git(&here, &["clone", "--quiet", bare_path, work_path]);
    let push = || {
        commit(&work);
        git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
    };
    let name = |number: u8| format!("topo-{number:03}");
    let put = |number: u8, text: String| std::fs::write(work.join(name(number)), text).unwrap();
    let remove = |number: u8| std::fs::remove_file(work.join(name(number))).unwrap();
    (1..=92).for_each(|number| put(number, entry(number, "size = 56\n")));
    push();
    let file = here.join("ln6d.toml");
    let old = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{old}\n[keylist]\nurl = \"{bare_path}\"\nname = \"test\"\n")).unwrap();
    net.server.kill().unwrap();
    net.server.start().unwrap();

    let pull = || net.server.json(&["keylist", "pull"]).unwrap();
    let held = |holder: &str| -> Vec<(String, String)> {
        let prefixes = net.server.json(&["prefixes"]).unwrap();
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        let rows = prefixes["prefixes"].as_array().unwrap().iter();
        rows.filter(|row| holder.is_empty() || row["holder"] == holder)
            .map(|row| (text(row, "prefix"), text(row, "state")))
            .collect()
    };
    let active = || held("").iter().filter(|(_, state)| state == "active").count();
    let report = pull();
    assert_eq!((&report["state"], &report["nodes"]), (&"current".into(), &92.into()), "{report}");
    assert_eq!(report["complaints"], serde_json::json!([]), "{report}");
    assert_eq!(active(), 92);
    assert!(held("").iter().all(|(prefix, _)| prefix.ends_with("/56")));

    // Another size, another key, one more, one less.
    put(5, entry(5, "size = 60\n"));
    put(6, entry(206, "size = 56\n"));
    put(93, entry(93, "size = 56\n"));
    remove(7);
    push();
    let report = pull();
    assert_eq!((&report["nodes"], &report["suspended"]), (&92.into(), &1.into()), "{report}");
    assert!(held("topo-005").iter().any(|(prefix, state)| prefix.ends_with("/60") && state == "active"));
    assert_eq!(state_of(&net.server, "topo-007"), ["suspended"]);
    let six = net.server.json(&["audit", "--holder", "topo-006"]).unwrap();
    assert!(six["rows"].as_array().unwrap().iter().all(|row| row["actor"] == "list:test"), "{six}");
    assert!(six["rows"].as_array().unwrap().iter().any(|row| row["kind"] == "key_revoked"), "{six}");

    // Ten at once wait for somebody at the machine; what is new does not.
    (20..30).for_each(remove);
    put(94, entry(94, ""));
    push();
    let report = pull();
    assert_eq!((&report["state"], &report["nodes"]), (&"held".into(), &93.into()), "{report}");
    assert_eq!(active(), 93);
    net.server.ask(&["keylist", "confirm", "--yes"]).unwrap();
    let report = pull();
    assert_eq!((&report["nodes"], &report["suspended"]), (&83.into(), &11.into()), "{report}");
    assert_eq!(active(), 83);

    // Back in the list, back in the network, with the prefix of before; all of it also after a restart.
    let before = held("topo-020")[0].0.clone();
    put(20, entry(20, "size = 56\n"));
    push();
    pull();
    assert_eq!(held("topo-020"), [(before, "active".to_owned())]);
    let then = held("");
    net.server.kill().unwrap();
    net.server.start().unwrap();
    let now = net.server.json(&["prefixes"]).unwrap();
    assert_eq!(now["prefixes"].as_array().unwrap().len(), then.len());
}
