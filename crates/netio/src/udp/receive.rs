//! Receiving: one `recvmmsg` for all slots.

use super::address::RawAddress;
use super::control::Control;
use super::{UdpCounters, count};
use crate::poll::check;
use ln6_overlay_core::Path;
use ln6_overlay_core::forwarder::batch::{Span, UdpRead};
use std::io::ErrorKind;
use std::os::fd::RawFd;

/// Messages of one call, at most.
const MESSAGES: usize = 32;
/// Octets for a single datagram where there is no GRO.
const SINGLE: u32 = 2048;

/// What `recvmmsg` works on. Filled anew for each call.
pub(super) struct ReceiveRing {
    /// Trains may come: each message needs a whole slot.
    gro: bool,
    /// No more trains are made; those that wait are the last.
    last: bool,
    names: [RawAddress; MESSAGES],
    controls: [Control; MESSAGES],
    slots: Vec<Span>,
    iovecs: [libc::iovec; MESSAGES],
    headers: [libc::mmsghdr; MESSAGES],
}

impl std::fmt::Debug for ReceiveRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiveRing").field("gro", &self.gro).finish_non_exhaustive()
    }
}

// SAFETY: the raw pointers in `iovecs` and `headers` are written before each system call and never followed after it.
#[allow(unsafe_code)]
unsafe impl Send for ReceiveRing {}

impl ReceiveRing {
    pub(super) fn new(gro: bool) -> Self {
        // SAFETY: all-zero `iovec` and `mmsghdr` are valid: null pointers and zero lengths (musl has private padding, so that no
        // literal can be written).
        #[allow(unsafe_code)]
        let (iovecs, headers) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        ReceiveRing {
            gro,
            last: false,
            names: [RawAddress::EMPTY; MESSAGES],
            controls: [Control::EMPTY; MESSAGES],
            slots: Vec::with_capacity(MESSAGES),
            iovecs,
            headers,
        }
    }

    /// Whether trains may come from now on.
    pub(super) fn expect_trains(&mut self, on: bool) {
        self.last = self.gro && !on;
        self.gro |= on;
    }

    pub(super) fn recv(
        &mut self,
        fd: RawFd,
        counters: &UdpCounters,
        arena: &mut [u8],
        slots: &[Span],
        out: &mut Vec<UdpRead>,
    ) -> usize {
        self.cut(slots);
        let messages = self.prepare(arena);
        if messages == 0 {
            return 0;
        }
        for _ in 0..3 {
            // SAFETY: `prepare` filled the first `messages` headers with pointers to `names`, `controls`, `iovecs` and to distinct
            // ranges inside `arena`, which is borrowed mutably and outlives the call.
            #[allow(unsafe_code)]
            let result = check(unsafe {
                libc::recvmmsg(
                    fd,
                    self.headers.as_mut_ptr(),
                    messages as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                    std::ptr::null_mut(),
                )
            });
            match result {
                Ok(received) => {
                    let received = (received as usize).min(messages);
                    (0..received).for_each(|at| out.extend(self.take(at, counters)));
                    return received;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.gro &= !std::mem::take(&mut self.last);
                    return 0;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // An error that an earlier datagram left on the socket: reported once, then receiving goes on.
                Err(_) => count(&counters.receive_errors),
            }
        }
        0
    }

    /// One message per slot with GRO; pieces of [`SINGLE`] octets without.
    fn cut(&mut self, slots: &[Span]) {
        self.slots.clear();
        if self.gro {
            self.slots.extend(slots.iter().take(MESSAGES));
            return;
        }
        let pieces = slots
            .iter()
            .flat_map(|slot| (0..slot.len / SINGLE).map(|n| Span::new(slot.at + n * SINGLE, SINGLE)));
        self.slots.extend(pieces.take(MESSAGES));
    }

    /// Points the headers at the slots; how many there are. Slots must lie apart and inside the arena.
    fn prepare(&mut self, arena: &mut [u8]) -> usize {
        let (base, room) = (arena.as_mut_ptr(), arena.len());
        let mut end = 0;
        for (at, slot) in self.slots.iter().enumerate() {
            let range = slot.range();
            if range.start < end || range.end > room {
                return at;
            }
            end = range.end;
            self.iovecs[at].iov_base = base.wrapping_add(range.start).cast();
            self.iovecs[at].iov_len = range.len();
            let header = &mut self.headers[at].msg_hdr;
            header.msg_name = self.names[at].as_mut_ptr();
            header.msg_namelen = RawAddress::LEN as _;
            header.msg_iov = &raw mut self.iovecs[at];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[at].as_mut_ptr();
            header.msg_controllen = Control::LEN as _;
            header.msg_flags = 0;
        }
        self.slots.len()
    }

    /// What message `at` brought, if it can be used.
    fn take(&self, at: usize, counters: &UdpCounters) -> Option<UdpRead> {
        let header = &self.headers[at].msg_hdr;
        let slot = self.slots[at];
        let len = self.headers[at].msg_len;
        // A `socklen_t` with musl.
        #[allow(clippy::unnecessary_cast)]
        let control = self.controls[at].read(header.msg_controllen as usize);
        if header.msg_flags & libc::MSG_TRUNC != 0 || len > slot.len {
            count(&counters.truncated);
            return None;
        }
        let from = self.names[at].read(header.msg_namelen as usize);
        let Some(from) = from.filter(|_| header.msg_flags & libc::MSG_CTRUNC == 0) else {
            count(&counters.malformed);
            return None;
        };
        if len == 0 {
            return None;
        }
        let stride = control.stride.filter(|stride| (1..len).contains(stride)).unwrap_or(len);
        let stride = u16::try_from(stride).ok()?;
        Some(UdpRead { from: Path::Udp(from), ecn: control.ecn, all: Span::new(slot.at, len), stride })
    }
}
