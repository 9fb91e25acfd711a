//! Checked packets: several UDP flows in which every packet has a number and a content that follows from flow and number.
//! The receiver says of each whether it was altered, came twice, or came after a later one.

use crate::probe::{exec_for, spawn};
use crate::{Namespace, wait_for};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Where they arrive.
const PORT: u16 = 7098;
/// Magic, flow, number.
const HEAD: usize = 16;
const MAGIC: u32 = 0x4c36_464c;
/// IPv6 and UDP headers.
const OUTER: usize = 48;
/// Octets of the smallest packet with its headers.
const SMALLEST: usize = 64;
/// Packets of a flow that may be under way.
const WINDOW: u64 = 32;
/// Octets of the receiver's buffer, its bookkeeping included.
const ROOM: usize = 8 << 20;
/// The receiver reports every so many packets of a flow.
const REPORT: u64 = 8;
/// After which a packet under way is taken for lost.
const PATIENCE: Duration = Duration::from_millis(200);
/// Without an answer for so long, the next one counts as a first. A TUN's driver forgets a flow after 3 s
/// (docs/decisions/0026).
const SILENCE: Duration = Duration::from_secs(2);
/// The number that ends a flow.
const END: u64 = u64::MAX;
/// Numbers that are remembered: whether what comes late came before.
const REMEMBERED: u64 = 4096;

/// How many, how large.
#[derive(Clone, Copy, Debug)]
pub struct Flows {
    /// Flows at the same time.
    pub flows: u16,
    /// Packets of each.
    pub packets: u64,
    /// Octets of the largest packet, IPv6 and UDP headers included; the smallest has 64.
    pub largest: u16,
}

/// What arrived, all flows together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets sent.
    pub sent: u64,
    /// Packets that arrived as they were sent, each once.
    pub received: u64,
    /// Not of the content that belongs to their number.
    pub altered: u64,
    /// Once more.
    pub duplicated: u64,
    /// After a later one of their flow.
    pub disordered: u64,
    /// One more than the highest number that came after a later one; 0 if none did.
    pub disordered_below: u64,
    /// How many packets a flow had sent when its first answer was there, or the first after a silence; of all flows the most.
    pub unanswered: u64,
}

impl Tally {
    /// Whether nothing but loss befell them.
    pub fn is_clean(&self) -> bool {
        self.altered == 0 && self.duplicated == 0 && self.disordered == 0
    }
}

/// Sends checked packets from one namespace to `address` in another, at most `deadline` long.
///
/// # Errors
/// A program failed, or the deadline passed.
pub fn send(
    from: &Namespace,
    to: &Namespace,
    address: IpAddr,
    flows: Flows,
    deadline: Duration,
) -> Result<Tally> {
    let Flows { flows: count, packets, largest } = flows;
    let mut catch = spawn(to, &format!("flows-{}", to.name()), &format!("flows-catch {count} {largest}"))?;
    wait_for("the receiver", Duration::from_secs(10), || match catch.stdout().contains("ready") {
        true => Ok(()),
        false => Err(catch.stderr()),
    })?;
    let words = format!("flows-send {address} {count} {packets} {largest}");
    let output = exec_for(from, &words, deadline);
    ensure!(output.success(), "sending: {}{}", output.stdout, output.stderr);
    ensure!(catch.wait(Duration::from_secs(30))?.success(), "receiving: {}", catch.stderr());
    let text = catch.stdout();
    let line = text.lines().rev().find_map(|line| line.strip_prefix("tally ")).context("no tally")?;
    let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [received, altered, duplicated, disordered, disordered_below] = numbers[..] else {
        bail!("not understood: {line}")
    };
    let line = output.stdout.lines().find_map(|line| line.strip_prefix("unanswered "));
    let unanswered = line.context("the sender does not say when it was answered")?.parse()?;
    let sent = u64::from(count) * packets;
    Ok(Tally { sent, received, altered, duplicated, disordered, disordered_below, unanswered })
}

/// A page of noise, from which contents are cut: where, follows from flow and number.
struct Content {
    noise: Vec<u8>,
    largest: usize,
}

impl Content {
    const NOISE: usize = 1 << 16;

    fn new(largest: u16) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let noise = (0..Self::NOISE + usize::from(largest)).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        });
        Content { noise: noise.collect(), largest: usize::from(largest) }
    }

    /// The payload of a packet.
    fn write(&self, flow: u16, number: u64, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(&MAGIC.to_be_bytes());
        into.extend_from_slice(&[0, 0]);
        into.extend_from_slice(&flow.to_be_bytes());
        into.extend_from_slice(&number.to_be_bytes());
        if number != END {
            let mixed = (number ^ (u64::from(flow) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            // Runs of equal packets are as common as changes of size: both ways through coalescing are taken.
            let sized = ((number >> 4) ^ (u64::from(flow) << 40)).wrapping_mul(0xd1b5_4a32_d192_ed03);
            let sizes = (self.largest - SMALLEST + 1) as u64;
            let pick = if sized >> 62 == 0 { mixed } else { sized };
            let len = SMALLEST - OUTER - HEAD + ((pick >> 20) % sizes) as usize;
            let at = (mixed >> 44) as usize % Self::NOISE;
            into.extend_from_slice(&self.noise[at..at + len]);
        }
    }
}

/// The sending program: a thread for each flow.
pub(crate) fn pour(words: &[&str]) -> Result<()> {
    let [to, flows, packets, largest] = words else { bail!("flows-send TO FLOWS PACKETS LARGEST") };
    let to = SocketAddr::new(to.parse()?, PORT);
    let (flows, packets, content) = (flows.parse::<u16>()?, packets.parse()?, Content::new(largest.parse()?));
    let unanswered = std::thread::scope(|scope| {
        let content = &content;
        let threads: Vec<_> =
            (0..flows).map(|flow| scope.spawn(move || pour_one(to, flow, packets, content))).collect();
        threads.into_iter().try_fold(0, |most, thread| match thread.join() {
            Ok(outcome) => outcome.map(|one: u64| one.max(most)),
            Err(_) => bail!("a flow's thread died"),
        })
    })?;
    println!("unanswered {unanswered}");
    Ok(())
}

/// How many packets were sent when the first answer was there, or the first after a silence.
fn pour_one(to: SocketAddr, flow: u16, packets: u64, content: &Content) -> Result<u64> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let (mut packet, mut arrived, mut answer) = (Vec::new(), 0, [0; 8]);
    let (mut unanswered, mut answered) = (0, None::<Instant>);
    for number in 0..packets {
        while number - arrived >= WINDOW {
            match socket.recv(&mut answer) {
                Ok(8) => {
                    if answered.is_none_or(|last| last.elapsed() >= SILENCE) {
                        unanswered = number;
                    }
                    answered = Some(Instant::now());
                    arrived = arrived.max(u64::from_be_bytes(answer));
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    arrived = number;
                }
                Err(error) => return Err(error).context("listening"),
            }
        }
        content.write(flow, number, &mut packet);
        socket.send(&packet).context("sending")?;
    }
    // The end is said until it is heard.
    content.write(flow, END, &mut packet);
    for _ in 0..50 {
        socket.send(&packet).context("sending")?;
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if matches!(socket.recv(&mut answer), Ok(8) if u64::from_be_bytes(answer) == END) {
                return Ok(unanswered);
            }
        }
    }
    bail!("the end of flow {flow} was not heard")
}

/// What one flow's receiver knows.
#[derive(Clone, Debug)]
struct Flow {
    next: u64,
    /// Whether a number arrived, by its rest.
    seen: Vec<u64>,
    ended: bool,
    since_report: u64,
}

impl Flow {
    fn new() -> Self {
        Flow { next: 0, seen: vec![u64::MAX; REMEMBERED as usize], ended: false, since_report: 0 }
    }

    fn take(&mut self, number: u64, tally: &mut Tally) {
        let seen = &mut self.seen[(number % REMEMBERED) as usize];
        if *seen == number {
            tally.duplicated += 1;
            return;
        }
        *seen = number;
        tally.received += 1;
        if number < self.next {
            tally.disordered += 1;
            tally.disordered_below = tally.disordered_below.max(number + 1);
        }
        self.next = self.next.max(number + 1);
    }
}

/// The receiving program.
pub(crate) fn catch(words: &[&str]) -> Result<()> {
    let [flows, largest] = words else { bail!("flows-catch FLOWS LARGEST") };
    let (count, content) = (flows.parse::<usize>()?, Content::new(largest.parse()?));
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)).context("listening")?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    // So that what all flows may have under way waits here while the receiver waits for a processor.
    setsockopt(&socket, sockopt::RcvBufForce, &ROOM).context("a larger receive buffer")?;
    println!("ready");
    let (mut flows, mut tally) = (vec![Flow::new(); count], Tally::default());
    let (mut packet, mut right) = (vec![0; 65_536], Vec::new());
    while flows.iter().any(|flow| !flow.ended) {
        let (len, from) = socket.recv_from(&mut packet).context("nothing arrives")?;
        let Some((flow, number)) = read_head(&packet[..len]).filter(|(flow, _)| usize::from(*flow) < count)
        else {
            tally.altered += 1;
            continue;
        };
        let state = &mut flows[usize::from(flow)];
        if number == END {
            state.ended = true;
            socket.send_to(&END.to_be_bytes(), from)?;
            continue;
        }
        content.write(flow, number, &mut right);
        if packet[..len] != right {
            tally.altered += 1;
            continue;
        }
        state.take(number, &mut tally);
        state.since_report += 1;
        if state.since_report >= REPORT {
            state.since_report = 0;
            socket.send_to(&state.next.to_be_bytes(), from)?;
        }
    }
    println!(
        "tally {} {} {} {} {}",
        tally.received, tally.altered, tally.duplicated, tally.disordered, tally.disordered_below
    );
    Ok(())
}

fn read_head(packet: &[u8]) -> Option<(u16, u64)> {
    let (head, _) = packet.split_first_chunk::<HEAD>()?;
    let (magic, rest) = head.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*magic) != MAGIC {
        return None;
    }
    let flow = u16::from_be_bytes([rest[2], rest[3]]);
    Some((flow, u64::from_be_bytes(*rest.last_chunk::<8>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_or_late_is_told_apart() {
        let (mut flow, mut tally) = (Flow::new(), Tally::default());
        for number in [0, 1, 3, 3, 2, 7, 1] {
            flow.take(number, &mut tally);
        }
        assert_eq!((tally.received, tally.duplicated, tally.disordered), (5, 2, 1));
        assert_eq!(tally.disordered_below, 3);
        assert!(!tally.is_clean());
    }

    #[test]
    fn contents_differ_have_the_sizes_asked_for_and_read_back() {
        let content = Content::new(1400);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let (mut least, mut most) = (usize::MAX, 0);
        for number in 0..100_000 {
            content.write(1, number, &mut one);
            content.write(2, number, &mut other);
            assert_ne!(one, other);
            assert_eq!(read_head(&one), Some((1, number)));
            (least, most) = (least.min(one.len() + OUTER), most.max(one.len() + OUTER));
        }
        assert_eq!((least, most), (64, 1400));
        one[0] ^= 1;
        assert_eq!(read_head(&one), None);
    }
}
