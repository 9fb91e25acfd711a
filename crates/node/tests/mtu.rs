//! A transfer between two LANs while the underlay becomes narrower, and wide again.
//!
//! The test program starts itself again inside a namespace, as the one that sends or the one that receives.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use anyhow::{Context as _, Result};
use ln6_lab::{Namespace, Process, wait_for, wait_until};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use world::{Machine, Net, PATIENCE, SITES};

const ASKED: &str = "LN6_TRANSFER";
const PORT: u16 = 5201;
/// What the receiver counts in.
const SLOT: Duration = Duration::from_millis(50);

/// Not a test: what the program does when it was started as a probe.
#[test]
fn transfer_probe() {
    let Ok(words) = std::env::var(ASKED) else { return };
    let done = match words.split(' ').collect::<Vec<_>>()[..] {
        ["receive"] => receive(),
        ["send", to] => send(to.parse().unwrap()),
        ["forge", to, about] => forge(to.parse().unwrap(), about.parse().unwrap()),
        _ => panic!("{words}"),
    };
    if let Err(error) = done {
        println!("{error:#}");
    }
    std::process::exit(0);
}

/// Prints the octets of each slot in which some arrived: number of the slot, octets.
fn receive() -> Result<()> {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT))?;
    println!("ready");
    let (mut stream, _) = listener.accept()?;
    let (begin, mut room) = (Instant::now(), vec![0; 1 << 16]);
    let (mut slot, mut octets) = (0, 0);
    loop {
        let read = stream.read(&mut room)?;
        let now = begin.elapsed().as_millis() / SLOT.as_millis();
        if now != slot || read == 0 {
            println!("slot {slot} {octets}");
            (slot, octets) = (now, 0);
        }
        octets += read;
        if read == 0 {
            return Ok(());
        }
    }
}

fn send(to: Ipv6Addr) -> Result<()> {
    let mut stream = TcpStream::connect((to, PORT))?;
    let octets = [7; 1 << 16];
    loop {
        stream.write_all(&octets)?;
    }
}

/// ICMP to `to`: a router that nobody knows says that what it sent to `about` does not fit into 552 octets.
fn forge(to: Ipv4Addr, about: Ipv4Addr) -> Result<()> {
    let header = |source: Ipv4Addr, to: Ipv4Addr, protocol: u8, len: u16| {
        let mut header = vec![0x45, 0];
        header.extend_from_slice(&len.to_be_bytes());
        header.extend_from_slice(&[0, 0, 0, 0, 64, protocol, 0, 0]);
        header.extend_from_slice(&[source.octets(), to.octets()].concat());
        header
    };
    let mut icmp = vec![3, 4, 0, 0, 0, 0];
    icmp.extend_from_slice(&552u16.to_be_bytes());
    icmp.extend(header(to, about, 17, 1480));
    let [port, len] = [6695u16, 1460].map(u16::to_be_bytes);
    icmp.extend_from_slice(&[port, port, len, [0, 0]].concat());
    let sum = icmp.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let packet = [header("198.51.100.77".parse()?, to, 1, 20 + icmp.len() as u16), icmp].concat();
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255)))?;
    for _ in 0..200 {
        socket.send_to(&packet, &SocketAddrV4::new(to, 0).into())?;
    }
    Ok(())
}

fn spawn(at: &Namespace, label: &str, words: &str) -> Result<Process> {
    let program = std::env::current_exe()?;
    let program = program.to_str().context("the path of this program is not UTF-8")?;
    at.spawn_with(label, &[program, "transfer_probe", "--exact", "--nocapture"], &[(ASKED, words)])
}

/// A transfer that runs.
struct Transfer {
    receiver: Process,
    _sender: Process,
}

impl Transfer {
    fn start(from: &Namespace, at: &Namespace, to: Ipv6Addr) -> Result<Self> {
        let receiver = spawn(at, "receiver", "receive")?;
        wait_until("the receiver", PATIENCE, || receiver.stdout().contains("ready"))?;
        let sender = spawn(from, "sender", &format!("send {to}"))?;
        let transfer = Transfer { receiver, _sender: sender };
        wait_until("octets", PATIENCE, || transfer.slots().len() > 10)?;
        Ok(transfer)
    }

    /// Octets of each slot from the beginning; where nothing arrived, 0.
    fn slots(&self) -> Vec<u64> {
        let mut slots = Vec::new();
        for line in self.receiver.stdout().lines() {
            if let ["slot", slot, octets] = line.split(' ').collect::<Vec<_>>()[..]
                && let (Ok(slot), Ok(octets)) = (slot.parse::<usize>(), octets.parse())
            {
                slots.resize(slot + 1, 0);
                slots[slot] = octets;
            }
        }
        slots
    }

    /// What arrived during `span` from now on.
    fn watch(&self, span: Duration) -> Watched {
        let begin = self.slots().len();
        let end = begin + (span.as_millis() / SLOT.as_millis()) as usize;
        // The receiver prints a slot when the next one has begun; a transfer that stands still prints nothing.
        let deadline = Instant::now() + span;
        let _ = wait_until("the slots", span + PATIENCE, || {
            self.slots().len() > end || Instant::now() >= deadline + SLOT
        });
        let mut slots = self.slots();
        slots.resize(end.max(begin), 0);
        Watched(slots.split_off(begin))
    }
}

struct Watched(Vec<u64>);

impl Watched {
    /// Octets of a slot in the middle of all.
    fn median(&self) -> u64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }

    /// The longest time in which next to nothing came: a thirtieth of `usual`.
    fn stall(&self, usual: u64) -> Duration {
        let dull = self.0.split(|octets| *octets > usual / 30).map(<[u64]>::len).max();
        SLOT * dull.unwrap_or(0) as u32
    }
}

/// The MTU of a gateway's path to another, as its sessions show it, once it is `octets`.
fn wait_mtu(gateway: &Machine, peer: &str, octets: u64, whole: bool, deadline: Duration) -> Result<Duration> {
    let begin = Instant::now();
    wait_for(&format!("an MTU of {octets} to {peer}"), deadline, || {
        let list = gateway.json(&["sessions"]).map_err(|error| error.to_string())?;
        let rows = list["sessions"].as_array().cloned().unwrap_or_default();
        let row = rows.into_iter().find(|row| row["peer"] == peer).ok_or("no session")?;
        let seen = (row["mtu"].as_u64(), row["whole"].as_bool());
        if seen == (Some(octets), Some(whole)) { Ok(begin.elapsed()) } else { Err(format!("{seen:?}")) }
    })
}

/// Both ends of the second site's cable.
fn set_mtu(net: &Net, mtu: u16) {
    net.world.isp.ip(&[&format!("link set g2 mtu {mtu}")]).unwrap();
    net.world.sites[1].gateway.ip(&[&format!("link set eth0 mtu {mtu}")]).unwrap();
}

fn begin(net: Net) -> (Net, Transfer, u64) {
    net.client(0).wait_ping(net.addresses[1], PATIENCE).unwrap();
    let transfer = Transfer::start(net.client(0), net.client(1), net.addresses[1]).unwrap();
    wait_mtu(&net.gateways[0], SITES[1].0, 1420, true, PATIENCE).unwrap();
    let usual = transfer.watch(Duration::from_secs(4)).median();
    println!("usual: {usual} octets in {SLOT:?}");
    assert!(usual > 10_000, "{usual}");
    (net, transfer, usual)
}

/// How a transfer went on after something happened to its path.
fn after(transfer: &Transfer, usual: u64, what: &str) {
    let watched = transfer.watch(Duration::from_secs(6));
    let (stall, rest) = (watched.stall(usual), Watched(watched.0[60..].to_vec()));
    println!("{what}: stalled {stall:?}, then {} octets in {SLOT:?}", rest.median());
    assert!(stall < Duration::from_secs(3), "{what}: {:?}", watched.0);
    // Machines that test are busy with other things, too.
    assert!(rest.median() * 3 > usual, "{what}: full speed again: {usual}, {:?}", watched.0);
}

#[test]
fn a_transfer_goes_on_while_the_underlay_shrinks_twice_and_uses_all_of_it_when_it_grows_again() {
    if !ln6_lab::ready() {
        return;
    }
    let (net, transfer, usual) = begin(Net::new("mtu", 2).unwrap());
    let peer = SITES[1].0;

    set_mtu(&net, 1400);
    after(&transfer, usual, "at 1400");
    wait_mtu(&net.gateways[0], peer, 1340, true, PATIENCE).unwrap();

    // An inner packet of 1280 octets takes 1340 outside: it goes in pieces.
    set_mtu(&net, 1300);
    let watched = transfer.watch(Duration::from_secs(6));
    println!("at 1300: stalled {:?}, then {} octets", watched.stall(usual), watched.median());
    assert!(watched.stall(usual) < Duration::from_secs(3), "{:?}", watched.0);
    wait_mtu(&net.gateways[0], peer, 1280, false, PATIENCE).unwrap();

    set_mtu(&net, 1500);
    let took = wait_mtu(&net.gateways[0], peer, 1420, true, Duration::from_secs(60)).unwrap();
    println!("at 1500 again: known after {took:?}");
    after(&transfer, usual, "at 1500 again");
}

#[test]
fn a_transfer_goes_on_where_neither_errors_nor_fragments_pass() {
    if !ln6_lab::ready() {
        return;
    }
    let (net, transfer, usual) = begin(Net::new("hole", 2).unwrap());
    let drop_all = "table ip hole {
        chain errors { type filter hook output priority 0; icmp type destination-unreachable drop; }
        chain pieces { type filter hook prerouting priority -450; ip frag-off & 0x3fff != 0 drop; }
    }";
    for at in [&net.world.isp, &net.world.sites[1].gateway] {
        at.run(&["nft", drop_all]).unwrap();
    }
    set_mtu(&net, 1400);
    after(&transfer, usual, "at 1400");
    wait_mtu(&net.gateways[0], SITES[1].0, 1340, true, PATIENCE).unwrap();
    // The other direction, which carries acknowledgements only, finds out when it has to.
    set_mtu(&net, 1500);
    let took = wait_mtu(&net.gateways[0], SITES[1].0, 1420, true, Duration::from_secs(60)).unwrap();
    println!("at 1500 again: known after {took:?}");
    after(&transfer, usual, "at 1500 again");
}

#[test]
fn a_forged_error_takes_nothing_from_a_transfer() {
    if !ln6_lab::ready() {
        return;
    }
    let (net, transfer, usual) = begin(Net::new("forged", 2).unwrap());
    let words = "forge 198.51.100.2 203.0.113.2";
    let mut forger = spawn(&net.world.isp, "forger", words).unwrap();
    assert!(forger.wait(PATIENCE).unwrap().success());
    assert!(!forger.stdout().contains("error"), "{}", forger.stdout());
    let gateway = &net.world.sites[0].gateway;
    let heard = gateway.run(&["nstat", "-asz", "IcmpInDestUnreachs"]).unwrap();
    let heard: u64 = heard
        .split_whitespace()
        .skip_while(|word| *word != "IcmpInDestUnreachs")
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert!(heard >= 100, "{heard}");
    let route = gateway.run(&["ip", "-4", "route", "get", "203.0.113.2"]).unwrap();
    assert!(!route.contains("mtu"), "{route}");
    after(&transfer, usual, "after the forgery");
    wait_mtu(&net.gateways[0], SITES[1].0, 1420, true, PATIENCE).unwrap();
}

/// The server, and two gateways that have nothing but IPv6 between them.
fn over_ipv6(label: &str) -> Result<Net> {
    let mut net = Net::server_only(label)?;
    let isp = &net.world.isp;
    isp.sysctl("net.ipv6.conf.all.forwarding", "1")?;
    for number in [1, 2] {
        isp.sysctl(&format!("net.ipv6.conf.g{number}.disable_ipv6"), "0")?;
        net.world.sites[number - 1].gateway.sysctl("net.ipv6.conf.eth0.disable_ipv6", "0")?;
        isp.ip(&[&format!("addr add 2001:db8:100{number}::1/64 dev g{number} nodad")])?;
        net.world.sites[number - 1].gateway.ip(&[
            &format!("addr add 2001:db8:100{number}::2/64 dev eth0 nodad"),
            &format!("route add default via 2001:db8:100{number}::1"),
        ])?;
    }
    let no_ipv4 = "table ip none {
        chain forward {
            type filter hook forward priority 0
            ip saddr { 198.51.100.2, 203.0.113.2 } ip daddr { 198.51.100.2, 203.0.113.2 } drop
        }
    }";
    isp.run(&["nft", no_ipv4])?;
    for _ in 0..2 {
        net.join_next()?;
    }
    for index in 0..2 {
        let address = net.wait_address(index)?;
        net.addresses.push(address);
    }
    Ok(net)
}

#[test]
fn over_ipv6_where_routers_never_fragment_a_transfer_goes_on_all_the_same() {
    if !ln6_lab::ready() {
        return;
    }
    let (net, transfer, usual) = begin(over_ipv6("six").unwrap());
    let peer = SITES[1].0;
    let sessions = net.gateways[0].json(&["sessions"]).unwrap();
    assert!(sessions.to_string().contains("[2001:db8:1002::2]:6695"), "{sessions}");
    set_mtu(&net, 1400);
    after(&transfer, usual, "at 1400");
    wait_mtu(&net.gateways[0], peer, 1320, true, PATIENCE).unwrap();
    // 1360 outside: the kernel fragments, as the router's ICMPv6 says.
    set_mtu(&net, 1300);
    let watched = transfer.watch(Duration::from_secs(6));
    println!("at 1300: stalled {:?}, then {} octets", watched.stall(usual), watched.median());
    assert!(watched.stall(usual) < Duration::from_secs(3), "{:?}", watched.0);
    wait_mtu(&net.gateways[0], peer, 1280, false, PATIENCE).unwrap();
    set_mtu(&net, 1500);
    wait_mtu(&net.gateways[0], peer, 1420, true, Duration::from_secs(60)).unwrap();
    after(&transfer, usual, "at 1500 again");
}
