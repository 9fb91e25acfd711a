//! A stock WireGuard client (wireguard-go) with the file that `ln6d wireguard-config` printed is a leaf of the network.
//!
//! `LN6_LONG=1` waits for three rekeys by WireGuard's own timers and carries a gigabyte; without it the leaf makes new
//! sessions at once, and carries less.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use anyhow::{Context as _, Result, ensure};
use ln6_lab::{INTERNET_HOST, Namespace, Process, has_program, probe, wait_for, wait_until};
use ln6_node::cipher;
use std::fs;
use std::net::Ipv6Addr;
use std::time::Duration;
use world::{Machine, Net, PATIENCE, Pings, long};

/// The leaf's interface; wireguard-go's control sockets are the whole machine's, so a process id follows.
const WG: &str = "wg";
/// Of the echo services.
const PORT: u16 = 7000;

#[test]
fn lab_probe() {
    probe::run_if_asked();
}

/// Whether the judges are installed; on a CI machine they must be.
fn judges() -> bool {
    if !ln6_lab::ready() {
        return false;
    }
    let missing: Vec<_> =
        ["wireguard-go", "wg", "iperf3"].into_iter().filter(|program| !has_program(program)).collect();
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "not installed: {missing:?}");
    if !missing.is_empty() {
        eprintln!("left out: not installed: {missing:?}");
    }
    missing.is_empty()
}

/// A machine of its own at the provider, with wireguard-go set up from a file of ours.
struct Leaf {
    name: String,
    namespace: Namespace,
    address: Ipv6Addr,
    /// The file without what only `wg-quick` reads.
    stripped: String,
    peer: String,
    process: Option<Process>,
}

impl Leaf {
    /// A line at the provider: 198.18.5.2.
    fn new(net: &mut Net, name: &str, host: &Machine, options: &[&str]) -> Result<Self> {
        let namespace = net.world.lab.namespace(name)?;
        net.world.isp.cable_ipv4((name, "198.18.5.1/24"), &namespace, ("eth0", "198.18.5.2/24"))?;
        namespace.ip(&["route add default via 198.18.5.1"])?;
        net.world.lab.hosts(&[(&ln6_lab::SERVER_ADDRESS.to_string(), ln6_lab::SERVER_NAME)])?;
        let file = host.ask(&[&["wireguard-config", name], options].concat())?;
        let value = |key: &str| {
            let line = file.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
            line.map(|text| text.trim().to_owned()).with_context(|| format!("no {key} in\n{file}"))
        };
        let address = value("Address")?;
        let address = address.split('/').next().unwrap_or_default().parse()?;
        let peer = value("PublicKey")?;
        let quick = ["Address", "MTU", "DNS"];
        let kept = file.lines().filter(|line| !quick.iter().any(|key| line.starts_with(key)));
        let stripped = kept.collect::<Vec<_>>().join("\n") + "\n";
        let mut leaf = Self { name: name.into(), namespace, address, stripped, peer, process: None };
        leaf.start(&value("MTU")?)?;
        Ok(leaf)
    }

    /// As `wg-quick up` would.
    fn start(&mut self, mtu: &str) -> Result<()> {
        let name = self.namespace.name().to_owned();
        // The socket's directory is the whole machine's: the interface's name must be the leaf's own.
        let process = self.namespace.spawn_with(
            &format!("wireguard-go-{name}"),
            &["wireguard-go", "-f", &self.device()],
            &[("LOG_LEVEL", "verbose"), ("WG_PROCESS_FOREGROUND", "1")],
        )?;
        self.process = Some(process);
        wait_until("the interface of wireguard-go", PATIENCE, || {
            self.namespace.exec(&["wg", "show", &self.device()]).success()
        })?;
        self.configure("setconf", &self.stripped)?;
        let device = self.device();
        self.namespace.ip(&[
            &format!("addr add {}/128 dev {device}", self.address),
            &format!("link set {device} mtu {mtu} up"),
            &format!("route add ::/0 dev {device}"),
        ])
    }

    fn device(&self) -> String {
        format!("{WG}{}", std::process::id())
    }

    fn configure(&self, how: &str, text: &str) -> Result<()> {
        let path = self.namespace.directory().join(format!("{}.conf", self.namespace.name()));
        fs::write(&path, text)?;
        self.namespace.run(&["wg", how, &self.device(), path.to_str().context("UTF-8")?]).map(drop)
    }

    fn show(&self, what: &str) -> Result<String> {
        let text = self.namespace.run(&["wg", "show", &self.device(), what])?;
        Ok(text.split_whitespace().last().unwrap_or_default().to_owned())
    }

    /// When the present keys were made, by WireGuard's account; 0 for never.
    fn handshake(&self) -> Result<u64> {
        Ok(self.show("latest-handshakes")?.parse()?)
    }

    /// Forgets the session, so that the next packet makes a new one.
    fn forget(&self) -> Result<()> {
        self.namespace.run(&["wg", "set", &self.device(), "peer", &self.peer, "remove"])?;
        self.configure("setconf", &self.stripped)
    }
}

/// The leaf reaches everyone and everyone it; what is not its own is dropped and counted.
fn is_a_leaf(net: &Net, leaf: &Leaf, host: &Machine) -> Result<()> {
    let client = net.client(0);
    // It initiates.
    leaf.namespace.wait_ping(INTERNET_HOST, PATIENCE)?;
    leaf.namespace.wait_ping(net.addresses[0], PATIENCE)?;
    client.wait_ping(leaf.address, PATIENCE)?;
    ensure!(leaf.handshake()? > 0, "wireguard-go knows of no handshake");

    // Members may open connections to it, the Internet may not, and answers come back.
    let _services = [
        probe::echo(&leaf.namespace, PORT)?,
        probe::echo(client, PORT)?,
        probe::echo(&net.world.internet, PORT)?,
    ];
    wait_until("a connection of a member", PATIENCE, || probe::connects(client, leaf.address.into(), PORT))?;
    wait_until("a connection to a member", PATIENCE, || {
        probe::connects(&leaf.namespace, net.addresses[0].into(), PORT)
    })?;
    wait_until("a connection to the Internet", PATIENCE, || {
        probe::connects(&leaf.namespace, INTERNET_HOST.into(), PORT)
    })?;
    ensure!(!probe::connects(&net.world.internet, leaf.address.into(), PORT), "the Internet got in");

    // Not its source: dropped and counted.
    let foreign = "2001:db8:4800:dead::1";
    leaf.namespace.ip(&[&format!("addr add {foreign}/128 dev lo nodad")])?;
    let before = host.dropped("source_not_theirs")?;
    let ping = leaf.namespace.exec(&[
        "ping",
        "-n",
        "-c",
        "3",
        "-i",
        "0.2",
        "-W",
        "1",
        "-I",
        foreign,
        &INTERNET_HOST.to_string(),
    ]);
    ensure!(!ping.success(), "a foreign source was answered: {}", ping.stdout);
    let dropped = host.dropped("source_not_theirs")? - before;
    ensure!(dropped >= 3, "3 packets from {foreign} were sent, {dropped} counted");
    println!("{dropped} packets from a foreign source dropped and counted");
    Ok(())
}

/// The leaf is spoken to as WireGuard does, while its host and the other nodes use what they are all fastest with.
fn suites(leaf: &Leaf, host: &Machine) -> Result<()> {
    let best = cipher::choose(None, &cipher::measure())[0].name();
    wait_until("each session has its suite", PATIENCE, || {
        let Ok(list) = host.json(&["sessions"]) else { return false };
        let rows = list["sessions"].as_array().cloned().unwrap_or_default();
        let (leaves, nodes): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| row["peer"] == leaf.name.as_str());
        !nodes.is_empty()
            && leaves.iter().map(|row| &row["suite"]).eq(["chacha20-poly1305"])
            && nodes.iter().all(|row| row["suite"] == best)
    })?;
    Ok(())
}

/// Three new sessions while echo requests run: by the timers when there is time, at once otherwise.
fn rekeys(net: &Net, leaf: &Leaf) -> Result<()> {
    let before = leaf.handshake()?;
    let seconds = if long() { 400 } else { 8 };
    let pings = Pings::start(&leaf.namespace, net.addresses[0], Duration::from_millis(100), seconds * 10)?;
    let mut seen = vec![before];
    while seen.len() < 4 {
        if !long() {
            // WireGuard's stamps of handshakes are in seconds here.
            wait_until("another second", PATIENCE, || now() > *seen.last().unwrap_or(&0))?;
            leaf.forget()?;
        }
        let last = *seen.last().context("begun with one")?;
        seen.push(wait_for("new keys", Duration::from_secs(if long() { 150 } else { 10 }), || {
            match leaf.handshake() {
                Ok(at) if at > last => Ok(at),
                other => Err(format!("{other:?}")),
            }
        })?);
    }
    let tally = pings.finish()?;
    println!("handshakes at {seen:?}; {}", tally.summary);
    // A session that its owner forgot costs what was on its way.
    let most = if long() { 0 } else { 10 };
    ensure!(tally.sent - tally.received <= most, "{}", tally.summary);
    Ok(())
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The leaf gets another port, and then its line another address: the node follows, and what only the node has to say
/// arrives, too.
fn moves(net: &Net, leaf: &Leaf) -> Result<()> {
    leaf.namespace.run(&["wg", "set", &leaf.device(), "listen-port", "7777"])?;
    leaf.namespace.wait_ping(net.addresses[0], Duration::from_secs(2))?;
    net.client(0).wait_ping(leaf.address, Duration::from_secs(2))?;
    ensure!(leaf.handshake()? + 1 < now(), "only a new handshake made the node follow");

    net.world.isp.ip(&[&format!("addr add 198.18.6.1/24 dev {}", leaf.namespace.name())])?;
    leaf.namespace.ip(&[
        "addr add 198.18.6.2/24 dev eth0",
        "route del default",
        "route add default via 198.18.6.1 src 198.18.6.2",
        "addr del 198.18.5.2/24 dev eth0",
    ])?;
    // wireguard-go keeps to the source that is gone until its own timers notice, KEEPALIVE + REKEY_TIMEOUT later.
    leaf.namespace.wait_ping(net.addresses[0], Duration::from_secs(25))?;
    net.client(0).wait_ping(leaf.address, Duration::from_secs(2))
}

fn carries(net: &Net, leaf: &Leaf) -> Result<()> {
    let bytes = if long() { 1 << 30 } else { 50 << 20 };
    let deadline = Duration::from_secs(600);
    let client = net.client(0);
    let out = probe::carry(&leaf.namespace, client, net.addresses[0].into(), bytes, deadline)?;
    let back = probe::carry(client, &leaf.namespace, leaf.address.into(), bytes, deadline)?;
    println!("{} MiB: out in {:.1} s, back in {:.1} s", bytes >> 20, out.as_secs_f64(), back.as_secs_f64());
    Ok(())
}

/// The leaf has lost its session and does not know where the node is: the node calls it when there is something to say.
fn is_called(net: &Net, leaf: &Leaf) -> Result<()> {
    leaf.namespace.run(&["wg", "set", &leaf.device(), "peer", &leaf.peer, "remove"])?;
    if long() {
        // Beyond REJECT_AFTER_TIME the node has forgotten the session, too.
        std::thread::sleep(Duration::from_secs(190));
    }
    // The whole file would give the interface a new port, too.
    let deaf = |line: &&str| !line.starts_with("Endpoint") && !line.starts_with("PersistentKeepalive");
    let peer = leaf.stripped.lines().skip_while(|line| *line != "[Peer]").filter(deaf);
    leaf.configure("addconf", &(peer.collect::<Vec<_>>().join("\n") + "\n"))?;
    // At most twice KEEPALIVE_TIMEOUT + REKEY_TIMEOUT: an answer to the first thing said may have come before.
    net.client(0).wait_ping(leaf.address, Duration::from_secs(45))?;
    ensure!(leaf.handshake()? > 0, "wireguard-go knows of no handshake");
    Ok(())
}

#[test]
fn a_stock_client_is_a_leaf_of_the_server() {
    if !judges() {
        return;
    }
    let mut net = Net::new("leaf", 1).unwrap();
    let server = std::mem::replace(&mut net.server, Machine::new(&net.world.server.clone()));
    let leaf = Leaf::new(&mut net, "phone", &server, &[]).unwrap();
    play(&net, &leaf, &server).unwrap();
}

#[test]
fn a_stock_client_with_a_pre_shared_key_is_a_leaf_of_a_gateway() {
    if !judges() {
        return;
    }
    let mut net = Net::new("leafpsk", 2).unwrap();
    let gateway = net.gateways.remove(1);
    let leaf = Leaf::new(&mut net, "laptop", &gateway, &["--psk"]).unwrap();
    assert!(leaf.stripped.contains("PresharedKey"), "{}", leaf.stripped);
    play(&net, &leaf, &gateway).unwrap();
}

fn play(net: &Net, leaf: &Leaf, host: &Machine) -> Result<()> {
    is_a_leaf(net, leaf, host)?;
    suites(leaf, host)?;
    rekeys(net, leaf)?;
    carries(net, leaf)?;
    moves(net, leaf)?;
    is_called(net, leaf)
}
