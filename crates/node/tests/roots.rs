//! What the root key does after `init`, with real daemons: a second broker, a successor, a registry from an old backup.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use ln6_lab::wait_for;
use serde_json::Value;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;
use world::{Machine, Net, PATIENCE, Pings, SITES, in_pool};

/// The second broker's pool.
const SECOND: &str = "2001:db8:5000::/40";
const SECOND_ADDRESS: &str = "198.18.4.2";

/// The root signs what `asking` asks for, with `options`; the key lies on a machine of its own.
fn certify(net: &Net, asking: &Machine, options: &[&str]) {
    let away = vault(net);
    let (request, signed) = (away.join("it.request"), away.join("it.cert"));
    let (request, signed) = (request.to_str().unwrap(), signed.to_str().unwrap());
    let text = asking.ask(&[&["root", "request"], options].concat()).unwrap();
    std::fs::write(request, text).unwrap();
    let offline = Machine::new(&net.world.nat3);
    let key = away.join("root.key");
    offline.ask(&["root", "certify", request, "--root-key", key.to_str().unwrap(), "--out", signed]).unwrap();
    asking.ask(&["root", "accept", signed]).unwrap();
}

/// Where the root key was moved to.
fn vault(net: &Net) -> PathBuf {
    let away = net.world.nat3.directory().join("vault");
    let here = net.server.directory().join("root.key");
    if here.exists() {
        std::fs::create_dir_all(&away).unwrap();
        std::fs::rename(here, away.join("root.key")).unwrap();
    }
    away
}

fn open_link(broker: &Machine) -> String {
    let printed = broker.ask(&["invite", "--open"]).unwrap();
    printed.split_whitespace().find(|word| word.contains("://")).unwrap().to_owned()
}

/// The prefixes that a node holds.
fn held(machine: &Machine) -> Vec<String> {
    let status = machine.status().unwrap();
    let list = status["prefixes"].as_array().cloned().unwrap_or_default();
    list.iter().map(|prefix| prefix.as_str().unwrap().to_owned()).collect()
}

fn wait_held(machine: &Machine) -> Vec<String> {
    wait_for("a prefix", PATIENCE, || match held(machine) {
        none if none.is_empty() => Err(machine.log()),
        list => Ok(list),
    })
    .unwrap()
}

fn problems(machine: &Machine) -> Vec<String> {
    let status = machine.status().unwrap();
    let list = status["problems"].as_array().cloned().unwrap_or_default();
    list.iter().map(|problem| problem["code"].as_str().unwrap().to_owned()).collect()
}

fn wait_without(machine: &Machine, code: &str) {
    wait_for(&format!("'{code}' to be over"), PATIENCE, || {
        let all = problems(machine);
        if all.iter().any(|found| found == code) { Err(format!("{all:?}")) } else { Ok(()) }
    })
    .unwrap();
}

fn wait_with(machine: &Machine, code: &str) {
    wait_for(&format!("'{code}'"), PATIENCE, || {
        let all = problems(machine);
        if all.iter().any(|found| found == code) { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .unwrap();
}

/// The registry's rows of a holder.
fn rows(broker: &Machine, holder: &str) -> Vec<Value> {
    let prefixes = broker.json(&["prefixes"]).unwrap();
    let all = prefixes["prefixes"].as_array().unwrap().clone();
    all.into_iter().filter(|row| row["holder"] == holder).collect()
}

fn in_second(address: Ipv6Addr) -> bool {
    u128::from(address) >> 88 == u128::from("2001:db8:5000::".parse::<Ipv6Addr>().unwrap()) >> 88
}

#[test]
fn a_second_broker_of_the_same_root_admits_and_either_may_die() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::new("second", 1).unwrap();
    // The fourth site is where the second broker stands.
    let mut second = Machine::new(&net.world.sites[3].gateway);
    let link = open_link(&net.server);
    let init = [
        "init",
        "--name",
        "vm2",
        "--pool",
        SECOND,
        "--public",
        SECOND_ADDRESS,
        "--no-exit",
        "--network",
        &link,
    ];
    second.ask(&init).unwrap();
    let early = second.try_ask(&["run"]).unwrap();
    assert!(early.code != Some(0) && early.stderr.contains("root request"), "{}", early.stderr);
    certify(&net, &second, &[]);
    second.start().unwrap();

    let (name, size) = SITES[1];
    let mut gateway = Machine::new(&net.world.sites[1].gateway);
    let link = second.invite(name, size).unwrap();
    gateway.ask(&["join", &link, "--lan", ln6_lab::LAN]).unwrap();
    gateway.start().unwrap();
    let client = net.client(1).clone();
    let its = wait_for("an address of the second pool", PATIENCE, || {
        let all = client.addresses("eth0");
        all.iter().copied().find(|address| in_second(*address)).ok_or_else(|| format!("{all:?}"))
    })
    .unwrap();
    net.client(0).wait_ping(its, PATIENCE).unwrap();
    client.wait_ping(net.addresses[0], PATIENCE).unwrap();

    // A gateway of the first asks the second for a prefix, too: its LAN has both.
    let both = second.invite("moreno-too", 56).unwrap();
    let first = &mut net.gateways[0];
    first.ask(&["join", &both, "--lan", ln6_lab::LAN]).unwrap();
    first.stop().unwrap();
    first.start().unwrap();
    wait_for("two prefixes", PATIENCE, || match held(first) {
        two if two.len() == 2 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .unwrap();
    let site = net.client(0).clone();
    wait_for("addresses of both pools", PATIENCE, || {
        let all = site.addresses("eth0");
        let both = all.iter().any(|a| in_pool(*a)) && all.iter().any(|a| in_second(*a));
        if both { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .unwrap();

    net.server.kill().unwrap();
    let pings = Pings::start(&site, its, Duration::from_millis(100), 100).unwrap();
    let tally = pings.finish().unwrap();
    assert!(tally.sent - tally.received <= 1, "the first broker's death: {}", tally.summary);
    net.server.start().unwrap();
    second.kill().unwrap();
    let pings = Pings::start(&site, its, Duration::from_millis(100), 100).unwrap();
    let tally = pings.finish().unwrap();
    assert!(tally.sent - tally.received <= 1, "the second broker's death: {}", tally.summary);
}

#[test]
fn a_gateway_becomes_the_successor_of_a_lost_broker() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::new("heir", 2).unwrap();
    let to = net.addresses[1];
    net.client(0).wait_ping(to, PATIENCE).unwrap();
    let away = vault(&net);
    let lost = net.server.json(&["key", "show"]).unwrap()["key"].as_str().unwrap().to_owned();
    let pool = format!("{}/{}", ln6_lab::POOL.0, ln6_lab::POOL.1);
    let mine: Vec<Vec<String>> = net.gateways.iter().map(held).collect();
    net.server.kill().unwrap();

    // The second gateway goes on as broker of the same pool.
    let heir = &mut net.gateways[1];
    let config = heir.directory().join("ln6d.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let public = text.replacen("[node]", "[node]\npublic = [\"203.0.113.2\"]", 1);
    std::fs::write(&config, public.replace("# public = [", "# was = [")).unwrap();
    let (request, signed) = (away.join("heir.request"), away.join("heir.cert"));
    let asked = heir.ask(&["root", "request", "--pool", &pool]).unwrap();
    assert!(asked.contains(&format!("holds: {}", mine[1][0])), "{asked}");
    std::fs::write(&request, asked).unwrap();
    let (key, out) = (away.join("root.key"), signed.to_str().unwrap());
    Machine::new(&net.world.nat3)
        .ask(&[
            "root",
            "certify",
            request.to_str().unwrap(),
            "--root-key",
            key.to_str().unwrap(),
            "--succeeds",
            &lost,
            "--no-exit",
            "--out",
            out,
        ])
        .unwrap();
    let (site, heir) = (net.world.sites[0].client.clone(), &mut net.gateways[1]);
    heir.ask(&["root", "accept", out]).unwrap();
    heir.stop().unwrap();
    heir.start().unwrap();
    wait_without(heir, "registry_waits");
    site.wait_ping(to, PATIENCE).unwrap();
    let pings = Pings::start(&site, to, Duration::from_millis(100), 100).unwrap();
    let tally = pings.finish().unwrap();
    assert!(tally.sent - tally.received <= 1, "{}", tally.summary);
    assert_eq!(held(&net.gateways[0]), mine[0]);
    assert!(held(&net.gateways[1]).contains(&mine[1][0]), "{:?}", held(&net.gateways[1]));
    let heir = &net.gateways[1];
    assert_eq!(rows(heir, SITES[0].0)[0]["prefix"].as_str(), Some(&*mine[0][0]));

    // The first gateway's certificate is the successor's, and the lost broker's word is worth nothing.
    wait_for("the successor's certificate", PATIENCE, || {
        let certs = net.gateways[0].json(&["certs"]).unwrap();
        let text = certs.to_string();
        if text.contains("4294967") { Ok(()) } else { Err(text) }
    })
    .unwrap();
    net.server.start().unwrap();
    wait_with(&net.server, "broker_revoked");

    // Who joins at the successor gets what nobody has.
    let mut new = Machine::new(&net.world.sites[3].gateway);
    let link = heir.invite("cerro", 48).unwrap();
    new.ask(&["join", &link]).unwrap();
    new.start().unwrap();
    let given = wait_held(&new);
    assert!(!mine.iter().flatten().any(|old| given.contains(old)), "{given:?}");
}

#[test]
fn a_registry_from_an_old_backup_hears_its_members_before_it_gives_anything() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::new("restored", 1).unwrap();
    let home = net.server.directory().to_owned();
    let copy = home.join("copy.db");
    net.server.stop().unwrap();
    std::fs::copy(home.join("registry.db"), &copy).unwrap();
    net.server.start().unwrap();

    // After the copy: one more is let in, another is let in and revoked, the first is suspended.
    net.join_next().unwrap();
    let second = wait_held(&net.gateways[1]);
    let mut third = Machine::new(&net.world.sites[3].gateway);
    let link = net.server.invite("cerro", 60).unwrap();
    third.ask(&["join", &link]).unwrap();
    third.start().unwrap();
    let taken = wait_held(&third);
    net.server.ask(&["--yes", "revoke", "cerro", "--reason", "test"]).unwrap();
    net.server.ask(&["--yes", "suspend", SITES[0].0, "--reason", "test"]).unwrap();
    wait_for("the suspension", PATIENCE, || {
        match net.gateways[0].status().unwrap()["standing"]["state"].as_str() {
            Some("suspended") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .unwrap();
    third.stop().unwrap();

    // The disk is lost, and the members are away.
    net.gateways[0].stop().unwrap();
    net.gateways[1].stop().unwrap();
    net.server.kill().unwrap();
    for file in ["registry.db", "registry.db-wal", "registry.db-shm", "state"] {
        let _ = std::fs::remove_file(home.join(file));
    }
    std::fs::rename(&copy, home.join("registry.db")).unwrap();
    net.server.start().unwrap();
    wait_with(&net.server, "registry_waits");
    let refused = net.server.try_ask(&["invite", "--name", "early", "--json"]).unwrap();
    assert!(refused.code != Some(0) && refused.stdout.contains("registry_waits"), "{refused:?}");

    // One of them is back, and tells.
    net.gateways[1].start().unwrap();
    wait_without(&net.server, "registry_waits");
    assert_eq!(rows(&net.server, SITES[1].0)[0]["prefix"].as_str(), Some(&*second[0]));
    assert_eq!(rows(&net.server, SITES[0].0)[0]["state"], "suspended");
    assert_eq!(rows(&net.server, "cerro")[0]["state"], "revoked");
    assert_eq!(held(&net.gateways[1]), second);

    // What is given now is nobody's, and its number was never given.
    let mut fresh = Machine::new(&net.world.sites[2].gateway);
    let link = net.server.invite("serrano", 56).unwrap();
    fresh.ask(&["join", &link]).unwrap();
    fresh.start().unwrap();
    let given = wait_held(&fresh);
    assert!(!given.iter().any(|prefix| second.contains(prefix) || taken.contains(prefix)), "{given:?}");
    net.server.ask(&["resume", SITES[0].0]).unwrap();
    net.gateways[0].start().unwrap();
    wait_for(
        "the first to be back",
        PATIENCE,
        || match net.gateways[0].status().unwrap()["standing"]["state"].as_str() {
            Some("member") => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .unwrap();
}

#[test]
fn everybody_moves_to_a_pool_that_the_root_has_added() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::new("moved", 2).unwrap();
    let pool = format!("{}/{}", ln6_lab::POOL.0, ln6_lab::POOL.1);
    certify(&net, &net.server, &["--pool", &pool, "--pool", SECOND]);
    net.server.stop().unwrap();
    net.server.start().unwrap();
    assert!(!problems(&net.server).iter().any(|code| code == "registry_waits"), "nothing was lost");
    net.server.ask(&["--yes", "renumber", &pool, SECOND]).unwrap();

    // For a while every LAN has both, and both work.
    let moved: Vec<Ipv6Addr> = (0..2)
        .map(|index| {
            let client = net.client(index);
            wait_for("an address of the new pool beside the old one", PATIENCE, || {
                let all = client.addresses("eth0");
                let new = all.iter().copied().find(|address| in_second(*address));
                let old = all.iter().any(|address| in_pool(*address));
                new.filter(|_| old).ok_or_else(|| format!("{all:?}"))
            })
            .unwrap()
        })
        .collect();
    net.client(0).wait_ping(moved[1], PATIENCE).unwrap();
    net.client(0).wait_ping(net.addresses[1], PATIENCE).unwrap();
    net.client(1).wait_ping(moved[0], PATIENCE).unwrap();

    // The overlap ends (here by a suspension, which ends it at once): the old address is used for nothing new.
    net.server.ask(&["--yes", "suspend", SITES[0].0, "--reason", "test"]).unwrap();
    net.server.ask(&["resume", SITES[0].0]).unwrap();
    let client = net.client(0);
    wait_for("the old address to be deprecated", PATIENCE, || {
        let all = client.addresses("eth0");
        let (old, new) = (all.iter().any(|a| in_pool(*a)), all.iter().any(|a| in_second(*a)));
        if new && !old { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .unwrap();
    net.client(1).wait_ping(moved[0], PATIENCE).unwrap();
}
