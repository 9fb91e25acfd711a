//! Packets of one flow that follow each other become one superpacket for the kernel: one walk through its stack instead of
//! many. Payloads stay where they were opened; only the first packet's header changes.
//!
//! A merged packet is written with `needs_csum`, so the kernel trusts it: each checksum is verified before.

use crate::forwarder::batch::{Batch, Gso, GsoKind, Span, TunWrite};
use crate::forwarder::checksum::Sum;
use crate::forwarder::ipv6::{HEADER, TCP, UDP};
use crate::forwarder::memo::mix;
use crate::forwarder::split::{
    ACK, ECE, PSH, TCP_CHECKSUM, TCP_FLAGS, TCP_SEQUENCE, UDP_CHECKSUM, UDP_HEADERS, UDP_LENGTH, tcp_headers,
};

/// Flows that are watched at a time.
const RUNS: usize = 8;
/// Packets of one run.
const PARTS: usize = 64;
/// Octets of one superpacket: what the 16-bit length of an IPv6 header and of a virtio header can name.
const LARGEST: usize = 65_535;
/// UDP ports whose payload is packets of another tunnel (VXLAN, Geneve, GRE-in-UDP): coalescing harms those.
const TUNNELS: [u16; 3] = [4789, 6081, 4754];

/// Packets of one flow, in order, that make one write.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The first whole, of the others the payload.
    parts: [Span; PARTS],
    count: usize,
    headers: usize,
    /// Payload octets of each packet but the last.
    size: usize,
    /// Octets of the superpacket so far.
    total: usize,
    /// The sequence number that continues it.
    next: u32,
    push: bool,
}

impl Run {
    const EMPTY: Run = Run {
        parts: [Span::new(0, 0); PARTS],
        count: 0,
        headers: 0,
        size: 0,
        total: 0,
        next: 0,
        push: false,
    };
}

/// A packet that may be merged with others.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    headers: usize,
    payload: usize,
    sequence: u32,
    push: bool,
}

/// The open runs of a batch.
#[derive(Debug)]
pub(crate) struct Runs {
    table: [Run; RUNS],
    uso: bool,
}

impl Runs {
    pub(crate) fn new(uso: bool) -> Self {
        Runs { table: [Run::EMPTY; RUNS], uso }
    }

    /// Takes one IPv6 packet, which lies at `span` and was judged fit for the TUN. It is written at once, or with its run.
    pub(crate) fn offer(&mut self, span: Span, arena: &mut [u8], out: &mut Batch) {
        let packet = &arena[span.range()];
        let flow = match packet[6] {
            TCP | UDP if packet.len() >= UDP_HEADERS => flow_hash(packet) % RUNS,
            _ => return write_single(span, out),
        };
        let run = &mut self.table[flow];
        let candidate = if packet[6] == TCP { tcp(packet) } else { udp(packet).filter(|_| self.uso) };
        let Some(candidate) = candidate else {
            if run.count > 0 && same_flow(&arena[run.parts[0].range()], packet) {
                run.close(arena, out);
            }
            return write_single(span, out);
        };
        if run.count > 0 && run.continues(&arena[run.parts[0].range()], packet, &candidate) {
            run.append(span, &candidate);
            if candidate.push || candidate.payload < run.size {
                run.close(arena, out);
            }
            return;
        }
        run.close(arena, out);
        if candidate.push {
            write_single(span, out); // a run of one: nothing may follow it
        } else {
            run.begin(span, &candidate);
        }
    }

    /// Writes all that is open.
    pub(crate) fn close_all(&mut self, arena: &mut [u8], out: &mut Batch) {
        for run in &mut self.table {
            run.close(arena, out);
        }
    }
}

impl Run {
    fn begin(&mut self, span: Span, packet: &Candidate) {
        self.parts[0] = span;
        self.count = 1;
        self.headers = packet.headers;
        self.size = packet.payload;
        self.total = packet.headers + packet.payload;
        self.next = packet.sequence.wrapping_add(packet.payload as u32);
        self.push = false;
    }

    fn append(&mut self, span: Span, packet: &Candidate) {
        self.parts[self.count] = Span::new(span.at + packet.headers as u32, packet.payload as u32);
        self.count += 1;
        self.total += packet.payload;
        self.next = self.next.wrapping_add(packet.payload as u32);
        self.push = packet.push;
    }

    /// Whether the kernel, splitting the superpacket again, would make this very packet.
    fn continues(&self, first: &[u8], packet: &[u8], candidate: &Candidate) -> bool {
        candidate.headers == self.headers
            && candidate.payload <= self.size
            && self.count < PARTS
            && self.total + candidate.payload <= LARGEST
            && first[..4] == packet[..4] // version, traffic class, flow label
            && first[6..HEADER + 4] == packet[6..HEADER + 4] // next header, hop limit, addresses, ports
            && (packet[6] == UDP || (candidate.sequence == self.next && same_tcp(first, packet, self.headers)))
    }

    fn close(&mut self, arena: &mut [u8], out: &mut Batch) {
        match self.count {
            0 => return,
            1 => write_single(self.parts[0], out),
            _ => {
                let gso = self.merge(&mut arena[self.parts[0].range()]);
                write(gso, &self.parts[..self.count], out);
            }
        }
        self.count = 0;
    }

    /// Turns the first packet's header into the superpacket's.
    fn merge(&self, first: &mut [u8]) -> Gso {
        let upper = self.total - HEADER;
        let length = (upper as u16).to_be_bytes();
        first[4..6].copy_from_slice(&length);
        let udp = first[6] == UDP;
        let seed = Sum::pseudo(&first[8..HEADER], upper, first[6]).seed();
        let field = if udp { UDP_CHECKSUM } else { TCP_CHECKSUM };
        first[field..field + 2].copy_from_slice(&seed);
        if udp {
            first[UDP_LENGTH..UDP_LENGTH + 2].copy_from_slice(&length);
        } else if self.push {
            first[TCP_FLAGS] |= PSH;
        }
        Gso {
            kind: if udp { GsoKind::UdpL4 } else { GsoKind::TcpV6 },
            needs_csum: true,
            hdr_len: self.headers as u16,
            size: self.size as u16,
            csum_start: HEADER as u16,
            csum_offset: (field - HEADER) as u16,
        }
    }
}

/// Acknowledgement, data offset, flags but PSH, window, urgent pointer and options.
fn same_tcp(first: &[u8], packet: &[u8], headers: usize) -> bool {
    first[HEADER + 8..TCP_FLAGS] == packet[HEADER + 8..TCP_FLAGS]
        && (first[TCP_FLAGS] ^ packet[TCP_FLAGS]) & !PSH == 0
        && first[TCP_FLAGS + 1..TCP_CHECKSUM] == packet[TCP_FLAGS + 1..TCP_CHECKSUM]
        && first[TCP_CHECKSUM + 2..headers] == packet[TCP_CHECKSUM + 2..headers]
}

fn same_flow(first: &[u8], packet: &[u8]) -> bool {
    first[6] == packet[6] && first[8..HEADER + 4] == packet[8..HEADER + 4]
}

/// Addresses and ports, mixed.
fn flow_hash(packet: &[u8]) -> usize {
    let (words, _) = packet[8..HEADER].as_chunks::<8>();
    let ports = u64::from(u32::from_ne_bytes([packet[40], packet[41], packet[42], packet[43]]));
    mix(ports, words)
}

/// A TCP segment with payload, no flags but ACK, ECE and PSH, and a right checksum.
fn tcp(packet: &[u8]) -> Option<Candidate> {
    let headers = tcp_headers(packet)?;
    let flags = packet[TCP_FLAGS];
    if packet.len() == headers || flags & ACK == 0 || flags & !(ACK | ECE | PSH) != 0 || !is_intact(packet) {
        return None;
    }
    let sequence = packet[TCP_SEQUENCE..].first_chunk().map(|word| u32::from_be_bytes(*word))?;
    Some(Candidate { headers, payload: packet.len() - headers, sequence, push: flags & PSH != 0 })
}

/// A UDP datagram with payload and a right checksum, for no tunnel.
fn udp(packet: &[u8]) -> Option<Candidate> {
    let field = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let fits = usize::from(field(UDP_LENGTH)) == packet.len() - HEADER && packet.len() > UDP_HEADERS;
    let tunnel = TUNNELS.contains(&field(HEADER + 2));
    if !fits || tunnel || field(UDP_CHECKSUM) == 0 || !is_intact(packet) {
        return None;
    }
    Some(Candidate { headers: UDP_HEADERS, payload: packet.len() - UDP_HEADERS, sequence: 0, push: false })
}

fn is_intact(packet: &[u8]) -> bool {
    Sum::pseudo(&packet[8..HEADER], packet.len() - HEADER, packet[6]).octets(&packet[HEADER..]).is_intact()
}

fn write_single(span: Span, out: &mut Batch) {
    write(Gso::default(), &[span], out);
}

/// Adds a write. A batch never has so many parts that their numbers do not fit: the arena is too small for that.
pub(crate) fn write(gso: Gso, parts: &[Span], out: &mut Batch) {
    let begin = out.parts.len();
    if let (Ok(begin), Ok(end)) = (u16::try_from(begin), u16::try_from(begin + parts.len())) {
        out.parts.extend_from_slice(parts);
        out.writes.push(TunWrite { gso, parts: begin..end });
    }
}
