//! What the kernel drops at the socket: datagrams that have no message's shape, before they take a wakeup, a call and a copy.
//!
//! Noise then costs little more than it costs at a closed port. The program never drops what the forwarder would take. A train that `UDP_GRO`
//! made shows the head of its first datagram and the length of all: whoever forges a peer's address could put one wrong datagram
//! before the peer's own, and have the whole train dropped. So trains pass, and the forwarder judges them datagram by
//! datagram. They are known by their checksum: the kernel may have to divide them again, so the field holds the sum of the
//! pseudo-header and nothing else.

use super::program;
use ln6_overlay_core::forwarder::batch::SHAPES;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// `SO_ATTACH_FILTER`, which the `libc` crate has for some systems only.
const ATTACH: libc::c_int = 26;
/// Octets of the UDP header, with which begins what the filter is shown.
const HEADER: u32 = 8;
/// Offsets from here on are into the IP header (`SKF_NET_OFF`).
const NETWORK: u32 = 0xfff0_0000;

const OCTET: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const LENGTH: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_LEN) as u16;
const RECALL: u16 = (libc::BPF_LD | libc::BPF_MEM) as u16;
const STORE: u16 = libc::BPF_ST as u16;
const TO_INDEX: u16 = (libc::BPF_MISC | libc::BPF_TAX) as u16;
const FROM_INDEX: u16 = (libc::BPF_MISC | libc::BPF_TXA) as u16;
const ADD_INDEX: u16 = (libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X) as u16;
const ADD: u16 = (libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const SHIFT: u16 = (libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_INDEX: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_X) as u16;
const IF_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// A program under construction. What reads beyond the end of a datagram ends it, and the datagram is dropped.
#[derive(Default)]
struct Program(Vec<libc::sock_filter>);

impl Program {
    fn then(&mut self, code: u16, k: u32) -> &mut Self {
        self.branch(code, k, 0, 0)
    }

    /// A comparison: how many instructions to pass over if it is true, and if not.
    fn branch(&mut self, code: u16, k: u32, jt: u8, jf: u8) -> &mut Self {
        self.0.push(libc::sock_filter { code, jt, jf, k });
        self
    }

    /// Adds the halves of the IP header in `range` to what the index register has; the sum is there again.
    fn sum(&mut self, range: Range<u32>) {
        for at in range.step_by(2) {
            self.then(HALF, NETWORK + at).then(ADD_INDEX, 0).then(TO_INDEX, 0);
        }
    }

    fn whole() -> Program {
        let mut program = Program::default();
        program.shapes();
        program.pseudo_header();
        program.verdict();
        program
    }

    /// Single datagrams of a message's shape pass at once.
    fn shapes(&mut self) {
        for shape in SHAPES {
            let least = HEADER + shape.least as u32;
            let compare = if shape.exact { IF_EQUAL } else { IF_LEAST };
            self.then(WORD, HEADER).branch(IF_EQUAL, u32::from(shape.kind) << 24, 0, 3);
            self.then(LENGTH, 0).branch(compare, least, 0, 1).then(RETURN, u32::MAX);
        }
    }

    /// The sum of addresses, protocol and length as the checksum's field of a train has it; in the index register.
    fn pseudo_header(&mut self) {
        const VERSION_4: Range<u32> = 12..20;
        const VERSION_6: Range<u32> = 8..40;
        let halves = |range: &Range<u32>| (range.end - range.start) / 2 * 3;
        self.then(HALF, 4).then(ADD, libc::IPPROTO_UDP as u32).then(TO_INDEX, 0);
        self.then(OCTET, NETWORK).then(SHIFT, 4);
        self.branch(IF_EQUAL, 4, 0, halves(&VERSION_4) as u8 + 1);
        self.sum(VERSION_4);
        self.then(JUMP, halves(&VERSION_6));
        self.sum(VERSION_6);
        // Twice: adding the carries may carry once more.
        for _ in 0..2 {
            self.then(FROM_INDEX, 0).then(STORE, 0).then(SHIFT, 16).then(TO_INDEX, 0);
            self.then(RECALL, 0).then(AND, 0xffff).then(ADD_INDEX, 0).then(TO_INDEX, 0);
        }
    }

    fn verdict(&mut self) {
        self.then(HALF, 6).branch(IF_INDEX, 0, 0, 1).then(RETURN, u32::MAX).then(RETURN, 0);
    }
}

/// Attaches the program to a socket.
///
/// # Errors
/// What the kernel says: it may be built without filters, or forbid them. Everything works without, at the forwarder's cost.
pub(super) fn attach(socket: BorrowedFd<'_>) -> io::Result<()> {
    program::attach(socket, ATTACH, &Program::whole().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does what the kernel does with the program; octets that it kept.
    fn run(program: &Program, network: &[u8], datagram: &[u8]) -> Option<u32> {
        let load = |k: u32, len: usize| {
            let (from, at) = if k >= NETWORK { (network, k - NETWORK) } else { (datagram, k) };
            let octets = from.get(at as usize..)?.get(..len)?;
            Some(octets.iter().fold(0u32, |word, octet| word << 8 | u32::from(*octet)))
        };
        let (mut a, mut x, mut memory, mut at) = (0u32, 0u32, [0u32; 16], 0usize);
        loop {
            let libc::sock_filter { code, jt, jf, k } = *program.0.get(at)?;
            at += 1;
            let mut jump = |taken: bool| at += usize::from(if taken { jt } else { jf });
            match code {
                OCTET | HALF | WORD => {
                    match load(k, [1, 2, 4][[OCTET, HALF, WORD].iter().position(|c| *c == code)?]) {
                        Some(word) => a = word,
                        None => return Some(0),
                    }
                }
                LENGTH => a = datagram.len() as u32,
                RECALL => a = memory[k as usize],
                STORE => memory[k as usize] = a,
                TO_INDEX => x = a,
                FROM_INDEX => a = x,
                ADD_INDEX => a = a.wrapping_add(x),
                ADD => a = a.wrapping_add(k),
                AND => a &= k,
                SHIFT => a >>= k,
                IF_EQUAL => jump(a == k),
                IF_INDEX => jump(a == x),
                IF_LEAST => jump(a >= k),
                JUMP => at += k as usize,
                RETURN => return Some(k),
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    fn header(v4: bool, seed: u8) -> Vec<u8> {
        let mut header = vec![if v4 { 0x45 } else { 0x60 }; if v4 { 20 } else { 40 }];
        // As large as they can be: the sum carries twice.
        header.iter_mut().skip(1).for_each(|octet| *octet = 255 - seed);
        header
    }

    fn pseudo(header: &[u8], len: usize) -> u16 {
        let addresses = if header.len() == 20 { &header[12..] } else { &header[8..] };
        let words = addresses.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair[1]));
        let mut sum = words.sum::<u64>() + 17 + len as u64;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        sum as u16
    }

    fn datagram(payload: &[u8], check: u16) -> Vec<u8> {
        let len = (payload.len() + 8) as u16;
        let mut datagram = vec![0x1a, 0x27, 0x1a, 0x27];
        datagram.extend(len.to_be_bytes());
        datagram.extend(check.to_be_bytes());
        datagram.extend(payload);
        datagram
    }

    #[test]
    fn exactly_what_has_a_shape_passes() {
        let program = Program::whole();
        assert!(program.0.len() < 256, "{}", program.0.len());
        for v4 in [true, false] {
            for head in 0..=7u8 {
                for len in 0..300usize {
                    let mut payload = vec![0; len];
                    payload.first_mut().into_iter().for_each(|first| *first = head);
                    let fits = SHAPES.iter().any(|shape| {
                        shape.kind == head && len >= shape.least && (len == shape.least || !shape.exact)
                    });
                    let kept = run(&program, &header(v4, 3), &datagram(&payload, 0x1234));
                    assert_eq!(kept, Some(if fits { u32::MAX } else { 0 }), "type {head}, {len} octets");
                    for reserved in 1..4.min(len) {
                        let mut foreign = payload.clone();
                        foreign[reserved] = 1;
                        let kept = run(&program, &header(v4, 3), &datagram(&foreign, 0x1234));
                        assert_eq!(kept, Some(0), "type {head}, {len} octets, octet {reserved}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_train_passes_whatever_its_first_datagram_is() {
        let program = Program::whole();
        for v4 in [true, false] {
            for seed in 0..=255 {
                for len in [4, 33, 1452, 65_000] {
                    let (header, payload) = (header(v4, seed), vec![0xee; len]);
                    let check = pseudo(&header, len + 8);
                    assert_eq!(run(&program, &header, &datagram(&payload, check)), Some(u32::MAX));
                    assert_eq!(run(&program, &header, &datagram(&payload, check ^ 1)), Some(0));
                }
            }
        }
    }
}
