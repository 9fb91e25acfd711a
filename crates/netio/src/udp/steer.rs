//! Which worker gets a datagram: the owner of its receiver index, whatever address it comes from.

use super::{UdpError, program};
use std::os::fd::BorrowedFd;

/// Loads an octet of the UDP payload.
const LOAD: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const RETURN_ACCUMULATOR: u16 = (libc::BPF_RET | 0x10) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Transport data (type 4, and 5: relayed) goes to the socket numbered by the low three bits of the receiver index (octet 4: indices are
/// little-endian). For all else the answer is a socket that does not exist, so that the kernel falls back to its hash over the addresses: one
/// source's handshakes stay with one worker, whose gate counts them.
const PROGRAM: [libc::sock_filter; 7] = [
    libc::sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
    libc::sock_filter { code: JUMP_EQUAL, jt: 1, jf: 0, k: 4 },
    libc::sock_filter { code: JUMP_EQUAL, jt: 0, jf: 3, k: 5 },
    libc::sock_filter { code: LOAD, jt: 0, jf: 0, k: 4 },
    libc::sock_filter { code: AND, jt: 0, jf: 0, k: 7 },
    libc::sock_filter { code: RETURN_ACCUMULATOR, jt: 0, jf: 0, k: 0 },
    libc::sock_filter { code: RETURN, jt: 0, jf: 0, k: u32::MAX },
];

/// Attaches the program to the group of sockets that `socket` belongs to. Sockets are numbered in the order they were bound.
pub(super) fn attach(socket: BorrowedFd<'_>) -> Result<(), UdpError> {
    program::attach(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &PROGRAM)
        .map_err(|error| UdpError::of("SO_ATTACH_REUSEPORT_CBPF", error))
}
