//! Other tunnels, each with the least configuration that makes it carry packets, and its own defaults otherwise.

use crate::bench::peers::world::{ENDS, LANS, MTU, SERVER, UNDERLAY, World};
use anyhow::{Context, Result, ensure};
use ln6_lab::wait_until;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const DEVICE: &str = "tun0";
const NAMES: [&str; 2] = ["a", "b"];

/// A folder for one side.
fn folder(world: &World, side: &str) -> Result<PathBuf> {
    let path = world.directory().join(format!("{side}.config"));
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// Starts a command on node `at` and waits for its device.
fn daemon(world: &mut World, at: usize, words: &[&str]) -> Result<()> {
    let node = world.nodes[at].clone();
    world.daemons.push(node.spawn(&format!("daemon-{}", node.name()), words)?);
    let path = ["ip", "link", "show", DEVICE];
    wait_until("the device", Duration::from_secs(15), || node.exec(&path).success())
}

fn tool(words: &[&str], directory: &std::path::Path) -> Result<String> {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(directory).output()?;
    ensure!(output.status.success(), "{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where the nodes have no cable between them the machine `s` stands in the middle, and hands on what they send.
pub(super) fn tinc(world: &mut World) -> Result<()> {
    let middle = world.is_apart.then_some("s");
    let names: Vec<&str> = NAMES.into_iter().chain(middle).collect();
    for (at, name) in names.iter().enumerate() {
        let path = folder(world, name)?;
        fs::create_dir_all(path.join("hosts"))?;
        let other = match (middle, *name) {
            (Some(middle), name) if name == middle => String::new(),
            (Some(middle), _) => format!("ConnectTo = {middle}\n"),
            (None, _) => format!("ConnectTo = {}\n", NAMES[1 - at]),
        };
        fs::write(
            path.join("tinc.conf"),
            format!("Name = {name}\nInterface = {DEVICE}\nMode = router\n{other}"),
        )?;
        let host = match (middle, NAMES.get(at)) {
            (_, None) => format!("Address = {SERVER}\n"),
            (Some(_), _) => {
                format!("IndirectData = yes\nSubnet = {}/128\nSubnet = {}/64\n", ENDS[at], LANS[at])
            }
            (None, _) => {
                format!("Address = {}\nSubnet = {}/128\nSubnet = {}/64\n", UNDERLAY[at], ENDS[at], LANS[at])
            }
        };
        fs::write(path.join("hosts").join(name), host)?;
        tool(&["tincd", "-c", path.to_str().context("UTF-8")?, "-K2048"], &path)?;
    }
    for name in &names {
        for other in names.iter().filter(|other| *other != name) {
            let file = world.directory().join(format!("{name}.config/hosts/{name}"));
            fs::copy(file, world.directory().join(format!("{other}.config/hosts/{name}")))?;
        }
    }
    if let Some(middle) = middle {
        let path = folder(world, middle)?.display().to_string();
        let words = ["tincd", "-c", &path, "-D", &format!("--pidfile={path}/pid")];
        world.others.push(world.server.spawn("daemon-s", &words)?);
    }
    for (at, name) in NAMES.iter().enumerate() {
        let path = folder(world, name)?.display().to_string();
        let pid = format!("--pidfile={path}/pid");
        daemon(world, at, &["tincd", "-c", &path, "-D", &pid])?;
    }
    world.address([DEVICE; 2])
}

pub(super) fn nebula(world: &mut World) -> Result<()> {
    // Debian's release knows IPv4 inside only: the ends are measured, not the hosts behind them.
    let path = folder(world, "ca")?;
    tool(&["nebula-cert", "ca", "-name", "bench"], &path)?;
    for (at, name) in NAMES.iter().enumerate() {
        let address = format!("10.77.0.{}/24", at + 1);
        tool(&["nebula-cert", "sign", "-name", name, "-ip", &address], &path)?;
        let other = format!("'10.77.0.{}': ['{}:4242']", 2 - at, UNDERLAY[1 - at]);
        let text = format!(
            "pki: {{ca: {0}/ca.crt, cert: {0}/{name}.crt, key: {0}/{name}.key}}\n\
             static_host_map: {{{other}}}\n\
             lighthouse: {{am_lighthouse: false, hosts: []}}\n\
             listen: {{host: 0.0.0.0, port: 4242}}\n\
             tun: {{dev: {DEVICE}, mtu: {MTU}}}\n\
             firewall: {{outbound: [{{port: any, proto: any, host: any}}], inbound: [{{port: any, proto: any, host: any}}]}}\n",
            path.display()
        );
        fs::write(path.join(format!("{name}.yml")), text)?;
    }
    for (at, name) in NAMES.iter().enumerate() {
        let config = path.join(format!("{name}.yml")).display().to_string();
        daemon(world, at, &["nebula", "-config", &config])?;
    }
    world.ends = [IpAddr::from([10, 77, 0, 1]), IpAddr::from([10, 77, 0, 2])];
    Ok(())
}

pub(super) fn openvpn(world: &mut World) -> Result<()> {
    let path = folder(world, "tls")?;
    let mut prints = Vec::new();
    for name in NAMES {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        tool(
            &[
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "30",
                "-subj",
                &format!("/CN={name}"),
                "-keyout",
                &key,
                "-out",
                &certificate,
            ],
            &path,
        )?;
        let words = ["openssl", "x509", "-in", &certificate, "-noout", "-fingerprint", "-sha256"];
        let print = tool(&words, &path)?;
        prints.push(print.trim().rsplit('=').next().unwrap_or_default().to_owned());
    }
    for (at, name) in NAMES.iter().enumerate() {
        let file = |end: &str| path.join(format!("{name}.{end}")).display().to_string();
        let (key, certificate) = (file("key"), file("crt"));
        let role: &[&str] = if at == 0 { &["--tls-server", "--dh", "none"] } else { &["--tls-client"] };
        let words = [
            &[
                "openvpn",
                "--dev",
                DEVICE,
                "--dev-type",
                "tun",
                "--proto",
                "udp4",
                "--remote",
                UNDERLAY[1 - at],
                "--local",
                UNDERLAY[at],
                "--tun-mtu",
                MTU,
                "--mssfix",
                "0",
                "--key",
                &key,
                "--cert",
                &certificate,
                "--peer-fingerprint",
                &prints[1 - at],
                "--data-ciphers",
                "AES-256-GCM",
                "--persist-tun",
                "--verb",
                "1",
            ],
            role,
        ]
        .concat();
        daemon(world, at, &words)?;
    }
    world.address([DEVICE; 2])
}

pub(super) fn fastd(world: &mut World) -> Result<()> {
    let path = folder(world, "fastd")?;
    let mut keys = Vec::new();
    for _ in NAMES {
        let text = tool(&["fastd", "--generate-key"], &path)?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|rest| rest.trim().to_owned()).with_context(|| format!("no {name} in {text}"))
        };
        keys.push((value("Secret:")?, value("Public:")?));
    }
    for (at, name) in NAMES.iter().enumerate() {
        let text = format!(
            "mode tun;\ninterface \"{DEVICE}\";\nmethod \"salsa2012+umac\";\nmtu {MTU};\nbind {}:10000;\nsecret \"{}\";\n\
             log level warn;\npeer \"other\" {{ key \"{}\"; remote {}:10000; }}\n",
            UNDERLAY[at],
            keys[at].0,
            keys[1 - at].1,
            UNDERLAY[1 - at]
        );
        let config = path.join(format!("{name}.conf"));
        fs::write(&config, text)?;
        daemon(world, at, &["fastd", "--config", &config.display().to_string()])?;
    }
    world.address([DEVICE; 2])
}

/// Its own inner MTU of 65535 stays: that is how it is used.
pub(super) fn yggdrasil(world: &mut World) -> Result<()> {
    let path = folder(world, "yggdrasil")?;
    for (at, name) in NAMES.iter().enumerate() {
        let text = tool(&["yggdrasil", "-genconf", "-json"], &path)?;
        let mut config: serde_json::Value = serde_json::from_str(&text).context("its configuration")?;
        config["IfName"] = DEVICE.into();
        config["AdminListen"] = "none".into();
        config["MulticastInterfaces"] = serde_json::json!([]);
        if at == 0 {
            config["Listen"] = serde_json::json!([format!("tcp://{}:9001", UNDERLAY[0])]);
        } else {
            config["Peers"] = serde_json::json!([format!("tcp://{}:9001", UNDERLAY[0])]);
        }
        let file = path.join(format!("{name}.json"));
        fs::write(&file, config.to_string())?;
        let file = file.display().to_string();
        daemon(world, at, &["yggdrasil", "-useconffile", &file])?;
    }
    for at in 0..2 {
        let node = world.nodes[at].clone();
        let found = ln6_lab::wait_for("an address", Duration::from_secs(10), || {
            node.addresses(DEVICE).first().copied().ok_or_else(String::new)
        })?;
        world.ends[at] = found.into();
    }
    Ok(())
}

pub(super) fn cable(world: &mut World) -> Result<()> {
    world.ends = UNDERLAY.map(|text| text.parse().expect("an address"));
    Ok(())
}

/// A command of the user's: it makes the device `$DEVICE` and stays in the foreground.
pub(super) fn shell(world: &mut World, name: &str, command: &str) -> Result<()> {
    for (at, side) in NAMES.iter().enumerate() {
        let path = folder(world, side)?.display().to_string();
        let node = world.nodes[at].clone();
        let environment = [
            ("SIDE", *side),
            ("DEVICE", DEVICE),
            ("HERE", UNDERLAY[at]),
            ("THERE", UNDERLAY[1 - at]),
            ("ADDRESS", ENDS[at]),
            ("PEER", ENDS[1 - at]),
            ("MTU", MTU),
            ("DIR", &path),
        ];
        let label = format!("{name}-{side}");
        world.daemons.push(node.spawn_with(
            &label,
            &["sh", "-c", &format!("exec {command}")],
            &environment,
        )?);
        let words = ["ip", "link", "show", DEVICE];
        wait_until("the device", Duration::from_secs(15), || node.exec(&words).success())?;
    }
    world.address([DEVICE; 2])
}
