//! Sending: one `sendmmsg` for a batch, a train per message, and the ways back when the kernel will not take a train.

use super::address::RawAddress;
use super::control::Control;
use super::{UdpCounters, bind, count};
use crate::poll::{check, wait_writable};
use ln6_overlay_core::Path;
use ln6_overlay_core::forwarder::batch::{Ecn, Fragmentation, Span, Train};
use portable_atomic::{AtomicU64, Ordering};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::RawFd;

/// Messages of one call, at most.
const MESSAGES: usize = 64;
/// Datagrams of one train: newer kernels take 128, all since 4.18 take 64.
const SEGMENTS: u32 = 64;
/// Octets of one train: with its headers below what devices take whole (`gso_max_size`).
const OCTETS: u32 = 65_400;
/// A train of such datagrams fits every path (IPv6's minimum of 1280 less its headers), so a refusal is not about size.
const FITS_ANYWHERE: u16 = 1232;
/// Milliseconds to wait for a full send buffer: each time, and per batch.
const WAIT: i32 = 2;
const WAITS: u8 = 4;
/// Trains that were too long for a path are sent singly this many times before one is tried again.
const PAUSE: u16 = 1000;

/// One message of `sendmmsg`.
#[derive(Clone, Copy, Debug)]
struct Message {
    to: SocketAddr,
    ecn: Ecn,
    all: Span,
    /// Below `all.len` for a train.
    stride: u16,
    fragmentation: Fragmentation,
}

impl Message {
    fn is_train(&self) -> bool {
        u32::from(self.stride) < self.all.len
    }

    /// Pieces of `datagrams` each.
    fn split(self, datagrams: u32) -> impl Iterator<Item = Message> {
        let piece = u32::from(self.stride) * datagrams;
        (0..self.all.len).step_by(piece as usize).map(move |at| {
            let len = piece.min(self.all.len - at);
            Message { all: Span::new(self.all.at + at, len), stride: self.stride.min(len as u16), ..self }
        })
    }
}

/// A destination whose path refused a train.
#[derive(Clone, Copy, Debug)]
struct Narrow {
    to: SocketAddr,
    stride: u16,
    left: u16,
}

/// What `sendmmsg` works on. Filled anew for each call.
pub(super) struct SendRing {
    v6: bool,
    pub(super) segmentation: bool,
    plan: Vec<Message>,
    narrow: [Option<Narrow>; 8],
    /// How the socket treats what does not fit, by [`family`].
    modes: [Fragmentation; 2],
    names: [RawAddress; MESSAGES],
    controls: [Control; MESSAGES],
    iovecs: [libc::iovec; MESSAGES],
    headers: [libc::mmsghdr; MESSAGES],
}

impl std::fmt::Debug for SendRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendRing").field("segmentation", &self.segmentation).finish_non_exhaustive()
    }
}

// SAFETY: the raw pointers in `iovecs` and `headers` are written before each system call and never followed after it.
#[allow(unsafe_code)]
unsafe impl Send for SendRing {}

impl SendRing {
    pub(super) fn new(v6: bool, segmentation: bool) -> Self {
        // SAFETY: all-zero `iovec` and `mmsghdr` are valid: null pointers and zero lengths (musl has private padding, so that no
        // literal can be written).
        #[allow(unsafe_code)]
        let (iovecs, headers) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        SendRing {
            v6,
            segmentation,
            plan: Vec::with_capacity(512),
            narrow: [None; 8],
            modes: [Fragmentation::Free; 2],
            names: [RawAddress::EMPTY; MESSAGES],
            controls: [Control::EMPTY; MESSAGES],
            iovecs,
            headers,
        }
    }

    pub(super) fn send(&mut self, fd: RawFd, counters: &UdpCounters, arena: &[u8], trains: &[Train]) {
        let mut plan = std::mem::take(&mut self.plan);
        trains.iter().for_each(|train| self.plan_train(train, arena.len(), counters, &mut plan));
        let mut waits = WAITS;
        self.transmit(fd, counters, arena, &plan, &mut waits);
        plan.clear();
        self.plan = plan;
    }

    /// Divides a train into what the kernel takes at once.
    fn plan_train(&mut self, train: &Train, arena: usize, counters: &UdpCounters, plan: &mut Vec<Message>) {
        let Path::Udp(to) = train.to else { return count(&counters.unreachable) };
        if train.all.at as usize + train.all.len as usize > arena || train.all.len == 0 {
            return count(&counters.refused);
        }
        let longest = train.all.len.min(u32::from(u16::MAX)) as u16;
        let stride = if train.stride == 0 { longest } else { train.stride.min(longest) };
        let fragmentation = match train.fragmentation {
            // Routers see to it: no reason to believe ICMP.
            Fragmentation::Kernel if to.is_ipv4() => Fragmentation::Free,
            as_told => as_told,
        };
        let message = Message { to, ecn: train.ecn, all: train.all, stride, fragmentation };
        if !message.is_train() {
            plan.push(message);
        } else if self.segmentation && !self.is_narrow(&message) {
            plan.extend(message.split(SEGMENTS.min(OCTETS / u32::from(stride)).max(1)));
        } else {
            plan.extend(message.split(1));
        }
    }

    fn transmit(
        &mut self,
        fd: RawFd,
        counters: &UdpCounters,
        arena: &[u8],
        mut plan: &[Message],
        waits: &mut u8,
    ) {
        while let Some(first) = plan.first() {
            match self.call(fd, arena, plan) {
                Ok(sent) => plan = &plan[sent.min(plan.len())..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if *waits == 0 || !wait_writable(fd, WAIT) {
                        counters.full.fetch_add(plan.len() as u64, Ordering::Relaxed);
                        return;
                    }
                    *waits -= 1;
                }
                Err(error) => {
                    plan = &plan[1..];
                    let probe = first.fragmentation == Fragmentation::Never;
                    if probe && error.raw_os_error() == Some(libc::EMSGSIZE) {
                        // Whoever probes finds out that no answer comes.
                    } else if first.is_train() && self.give_up_train(first, &error, counters) {
                        let single: Vec<Message> = first.split(1).collect();
                        self.transmit(fd, counters, arena, &single, waits);
                    } else {
                        count(blame(&error, counters));
                    }
                }
            }
        }
    }

    /// Sends the first messages of `plan`, at least one; how many.
    fn call(&mut self, fd: RawFd, arena: &[u8], plan: &[Message]) -> io::Result<usize> {
        let messages = plan.len().min(MESSAGES);
        for (at, message) in plan[..messages].iter().enumerate() {
            if at > 0 && message.fragmentation != plan[0].fragmentation {
                return self.call(fd, arena, &plan[..at]);
            }
            self.treat(fd, message);
            if !self.prepare(at, message, arena) {
                if at == 0 {
                    return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT));
                }
                return self.call(fd, arena, &plan[..at]);
            }
        }
        // SAFETY: `prepare` filled the first `messages` headers with pointers to `names`, `controls`, `iovecs` and to ranges inside
        // `arena`, all of which outlive the call; the kernel only reads what they point at.
        #[allow(unsafe_code)]
        let result = check(unsafe {
            libc::sendmmsg(fd, self.headers.as_mut_ptr(), messages as libc::c_uint, libc::MSG_NOSIGNAL as _)
        });
        result.map(|sent| sent as usize)
    }

    /// Tells the socket what to do with messages like this one, if it is not what it does already. Between messages that differ
    /// this is a system call; they do where paths are probed, and where IPv6 has to be fragmented.
    fn treat(&mut self, fd: RawFd, message: &Message) {
        let v4 = message.to.is_ipv4();
        let mode = &mut self.modes[usize::from(v4)];
        if *mode != message.fragmentation && (v4 || self.v6) {
            *mode = message.fragmentation;
            bind::set_fragmentation(fd, v4, *mode);
        }
    }

    /// Fills header `at`; `false` if this socket cannot say the address.
    fn prepare(&mut self, at: usize, message: &Message, arena: &[u8]) -> bool {
        let Some((name, name_len)) = RawAddress::write(message.to, self.v6) else { return false };
        self.names[at] = name;
        let stride = message.is_train().then_some(message.stride);
        let control_len = self.controls[at].write(stride, message.ecn, message.to.is_ipv4());
        let octets = &arena[message.all.range()];
        self.iovecs[at] = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
        let header = &mut self.headers[at].msg_hdr;
        header.msg_name = self.names[at].as_mut_ptr();
        header.msg_namelen = name_len as _;
        header.msg_iov = &raw mut self.iovecs[at];
        header.msg_iovlen = 1;
        header.msg_control =
            if control_len == 0 { std::ptr::null_mut() } else { self.controls[at].as_mut_ptr() };
        header.msg_controllen = control_len as _;
        header.msg_flags = 0;
        true
    }

    /// Whether the kernel's complaint is about the train as such, so that its datagrams may pass one by one. Remembers it: for good if
    /// segmentation does not work, for a while if the datagrams are longer than the path (those are fragmented, trains cannot be).
    fn give_up_train(&mut self, message: &Message, error: &io::Error, counters: &UdpCounters) -> bool {
        let broken = match error.raw_os_error() {
            Some(libc::EIO) => true,
            Some(libc::EINVAL) => message.stride <= FITS_ANYWHERE,
            Some(libc::EMSGSIZE) => false,
            _ => return false,
        };
        count(&counters.resent);
        if broken {
            tracing::warn!(%error, to = %message.to, "UDP segmentation does not work here: sending datagram by datagram from now on");
            self.segmentation = false;
            counters.segmentation.store(false, Ordering::Relaxed);
        } else {
            let place = self.place_of(&message.to);
            self.narrow[place] = Some(Narrow { to: message.to, stride: message.stride, left: PAUSE });
        }
        true
    }

    fn place_of(&self, to: &SocketAddr) -> usize {
        let port = usize::from(to.port());
        let last = match to {
            SocketAddr::V4(v4) => v4.ip().octets()[3],
            SocketAddr::V6(v6) => v6.ip().octets()[15],
        };
        (port ^ (port >> 8) ^ usize::from(last)) % self.narrow.len()
    }

    fn is_narrow(&mut self, message: &Message) -> bool {
        let place = self.place_of(&message.to);
        let Some(narrow) = &mut self.narrow[place] else { return false };
        if narrow.to != message.to || message.stride < narrow.stride {
            return false;
        }
        narrow.left -= 1;
        if narrow.left == 0 {
            self.narrow[place] = None;
        }
        true
    }
}

/// Which counter an error belongs to.
fn blame<'a>(error: &io::Error, counters: &'a UdpCounters) -> &'a AtomicU64 {
    match error.raw_os_error() {
        Some(libc::ENOBUFS | libc::ENOMEM) => &counters.full,
        Some(
            libc::ENETUNREACH
            | libc::EHOSTUNREACH
            | libc::ENETDOWN
            | libc::EHOSTDOWN
            | libc::EAFNOSUPPORT
            | libc::EADDRNOTAVAIL,
        ) => &counters.unreachable,
        _ => &counters.refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> SendRing {
        SendRing::new(true, true)
    }

    fn train(stride: u16, len: u32) -> Message {
        let fragmentation = Fragmentation::Free;
        Message {
            to: "192.0.2.1:6695".parse().unwrap(),
            ecn: Ecn(0),
            all: Span::new(7, len),
            stride,
            fragmentation,
        }
    }

    #[test]
    fn a_long_train_becomes_trains_that_the_kernel_takes() {
        let (mut ring, counters, mut plan) = (ring(), UdpCounters::default(), Vec::new());
        let long = Train {
            to: Path::Udp("192.0.2.1:6695".parse().unwrap()),
            ecn: Ecn(0),
            all: Span::new(0, 1452 * 50 + 9),
            stride: 1452,
            fragmentation: Fragmentation::Kernel,
        };
        ring.plan_train(&long, 1 << 20, &counters, &mut plan);
        let lengths: Vec<(u32, u16)> = plan.iter().map(|m| (m.all.len, m.stride)).collect();
        assert_eq!(lengths, [(1452 * 45, 1452), (1452 * 5 + 9, 1452)]);
        plan.clear();
        ring.segmentation = false;
        ring.plan_train(&long, 1 << 20, &counters, &mut plan);
        assert_eq!(plan.len(), 51);
        assert_eq!(plan.last().map(|m| (m.all.at, m.all.len, m.stride)), Some((1452 * 50, 9, 9)));
    }

    #[test]
    fn only_a_broken_kernel_latches_while_a_narrow_path_pauses() {
        let (mut ring, counters) = (ring(), UdpCounters::default());
        let error = |errno| io::Error::from_raw_os_error(errno);
        assert!(!ring.give_up_train(&train(1452, 2904), &error(libc::ENETUNREACH), &counters));
        assert!(ring.give_up_train(&train(1452, 2904), &error(libc::EMSGSIZE), &counters));
        assert!(ring.give_up_train(&train(1452, 2904), &error(libc::EINVAL), &counters));
        assert!(ring.segmentation);
        assert!(!ring.is_narrow(&train(1200, 2400)));
        assert!((0..PAUSE).all(|_| ring.is_narrow(&train(1452, 2904))));
        assert!(!ring.is_narrow(&train(1452, 2904)), "tried again");
        assert!(ring.give_up_train(&train(1200, 2400), &error(libc::EINVAL), &counters));
        assert!(!ring.segmentation);
    }

    #[test]
    fn trains_that_point_outside_the_arena_or_nowhere_are_refused() {
        let (mut ring, counters, mut plan) = (ring(), UdpCounters::default(), Vec::new());
        let to = Path::Udp("192.0.2.1:6695".parse().unwrap());
        let fragmentation = Fragmentation::Free;
        for all in [Span::new(90, 11), Span::new(u32::MAX, u32::MAX), Span::new(0, 0)] {
            ring.plan_train(
                &Train { to, ecn: Ecn(0), all, stride: 5, fragmentation },
                100,
                &counters,
                &mut plan,
            );
        }
        let through = Path::Through(ln6_overlay_core::PeerIdx(1));
        ring.plan_train(
            &Train { to: through, ecn: Ecn(0), all: Span::new(0, 5), stride: 5, fragmentation },
            100,
            &counters,
            &mut plan,
        );
        assert!(plan.is_empty());
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!((read(&counters.refused), read(&counters.unreachable)), (3, 1));
    }
}
