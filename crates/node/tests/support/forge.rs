//! Packets that nobody should send: the test program starts itself again inside a namespace and writes them to raw
//! sockets, header and all.
//!
//! A test program that uses this has a test named `forge_probe` that does nothing but call [`run_if_asked`].
#![allow(dead_code)] // each test program uses a part of it
#![allow(unreachable_pub)] // a module of test programs, not of a library

use anyhow::{Context as _, Result, bail, ensure};
use ln6_lab::{Namespace, Process, wait_until};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::time::Duration;

const ASKED: &str = "LN6_FORGE";
/// What makes a test binary run only the probe.
const LIBTEST: [&str; 3] = ["forge_probe", "--exact", "--nocapture"];
/// `IPPROTO_RAW`: whoever sends writes the IP header.
const RAW: i32 = 255;

/// Does the probe's work and ends the process, when this process was started as a probe.
pub fn run_if_asked() {
    let Ok(words) = std::env::var(ASKED) else { return };
    let words: Vec<&str> = words.split(' ').collect();
    match probe(&words) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{error:#}");
            std::process::exit(1)
        }
    }
}

fn itself() -> Result<String> {
    let path = std::env::current_exe().context("the path of this program")?;
    path.into_os_string().into_string().ok().context("the path of this program is not UTF-8")
}

/// Sends an IPv6 packet as it is, `count` times: from the interface if one is named, else by the route to `to`.
pub fn send(
    from: &Namespace,
    interface: Option<&str>,
    to: Ipv6Addr,
    packet: &[u8],
    count: u32,
) -> Result<()> {
    let hex: String = packet.iter().map(|octet| format!("{octet:02x}")).collect();
    let asked = format!("{ASKED}=raw6 {} {to} {count} {hex}", interface.unwrap_or("-"));
    let program = itself()?;
    from.run(&[&["env", &asked, &program], &LIBTEST[..]].concat()).map(drop)
}

/// Starts a UDP service that prints what it is sent, as text; it is ready when this returns.
pub fn listen(at: &Namespace, port: u16) -> Result<Process> {
    let label = format!("listen-{}-{port}", at.name());
    let program = itself()?;
    let words = format!("listen {port}");
    let service = at.spawn_with(&label, &[&[&*program], &LIBTEST[..]].concat(), &[(ASKED, &words)])?;
    wait_until("the listener", Duration::from_secs(10), || service.stdout().contains("ready"))?;
    Ok(service)
}

/// Whether a [`listen`]er was sent this text.
pub fn has_heard(listener: &Process, text: &str) -> bool {
    listener.stdout().lines().any(|line| line == format!("heard {text}"))
}

/// Starts any other probe of this program.
pub fn spawn(at: &Namespace, label: &str, words: &str) -> Result<Process> {
    let program = itself()?;
    at.spawn_with(label, &[&[&*program], &LIBTEST[..]].concat(), &[(ASKED, words)])
}

/// [`spawn`], before everything else on the machine: what comes from far away does not wait for our processors.
pub fn spawn_first(at: &Namespace, label: &str, words: &str) -> Result<Process> {
    let program = itself()?;
    let before = ["nice", "-n", "-20", &program];
    at.spawn_with(label, &[&before[..], &LIBTEST[..]].concat(), &[(ASKED, words)])
}

/// An IPv6 packet.
pub fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, next: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[next, hop_limit]);
    packet.extend_from_slice(&src.octets());
    packet.extend_from_slice(&dst.octets());
    packet.extend_from_slice(payload);
    packet
}

/// A UDP datagram in an IPv6 packet, checksum and all.
pub fn udp(src: Ipv6Addr, dst: Ipv6Addr, ports: (u16, u16), body: &[u8]) -> Vec<u8> {
    let len = (8 + body.len()) as u16;
    let mut datagram = Vec::new();
    for word in [ports.0, ports.1, len, 0] {
        datagram.extend_from_slice(&word.to_be_bytes());
    }
    datagram.extend_from_slice(body);
    let mut packet = ipv6(src, dst, 17, 64, &datagram);
    let sum = match !ones(&packet[8..], u32::from(len) + 17) {
        0 => 0xffff,
        sum => sum,
    };
    packet[46..48].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn ones(octets: &[u8], begin: u32) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum = begin + octets.chunks(2).map(word).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// A UDP datagram in an IPv4 packet; the kernel fills in the header's checksum, UDP's is left out.
pub fn udp4(src: SocketAddrV4, dst: SocketAddrV4, body: &[u8]) -> Vec<u8> {
    let len = (28 + body.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&len.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend_from_slice(&src.ip().octets());
    packet.extend_from_slice(&dst.ip().octets());
    for word in [src.port(), dst.port(), len - 20, 0] {
        packet.extend_from_slice(&word.to_be_bytes());
    }
    packet.extend_from_slice(body);
    packet
}

/// A raw IPv4 socket whose user writes the header.
pub fn raw4() -> Result<Socket> {
    Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW))).context("a raw IPv4 socket")
}

/// Where [`raw4`] should send a packet for `to`.
pub fn towards4(to: Ipv4Addr) -> SockAddr {
    SockAddr::from(SocketAddrV4::new(to, 0))
}

fn probe(words: &[&str]) -> Result<()> {
    match words {
        ["raw6", interface, to, count, hex] => {
            let digits = hex.as_bytes().chunks(2).map(|pair| {
                let text = std::str::from_utf8(pair).ok()?;
                u8::from_str_radix(text, 16).ok()
            });
            let packet: Vec<u8> = digits.collect::<Option<_>>().context("hexadecimal digits")?;
            raw6(interface, to.parse()?, count.parse()?, &packet)
        }
        ["listen", port] => {
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port.parse()?)).context("listening")?;
            println!("ready");
            let mut room = [0; 2048];
            loop {
                let (len, _) = socket.recv_from(&mut room)?;
                println!("heard {}", String::from_utf8_lossy(&room[..len]));
            }
        }
        other => more(other),
    }
}

fn raw6(interface: &str, to: Ipv6Addr, count: u32, packet: &[u8]) -> Result<()> {
    let socket =
        Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(RAW))).context("a raw IPv6 socket")?;
    let mut scope = 0;
    if interface != "-" {
        socket.bind_device(Some(interface.as_bytes())).context("binding to the interface")?;
        let index = std::fs::read_to_string(format!("/sys/class/net/{interface}/ifindex"))?;
        scope = index.trim().parse()?;
    }
    let to = SockAddr::from(SocketAddrV6::new(to, 0, 0, scope));
    for _ in 0..count {
        let sent = socket.send_to(packet, &to).context("sending")?;
        ensure!(sent == packet.len(), "sent {sent} of {} octets", packet.len());
    }
    Ok(())
}

/// Probes of single test programs.
fn more(words: &[&str]) -> Result<()> {
    match words {
        ["flood", rest @ ..] => super::flood(rest),
        other => bail!("no such probe: {other:?}"),
    }
}

/// An address with a port, of either family.
pub fn at(address: impl Into<std::net::IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}
