//! The real kernel, by our own codec: one request at a time, its answers read until the kernel says that it is done.

use crate::kernel::{Address, DefaultRoute, Kernel, KernelError, KernelRoute, Link, PROTOCOL, Step};
use crate::netlink::wire::{self, Answer, Request};
use crate::netlink::{Heard, RECEIVE_BUFFER, judge};
use core::future::poll_fn;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket as _, SocketAddr, TokioSocket};
use std::io;

/// Octets read at once. The kernel fills at most 32 KiB of answers into a datagram.
const DATAGRAM: usize = 1 << 16;
/// How often a dump that a change disturbed is begun anew; the last one counts whatever happens.
const ATTEMPTS: u8 = 3;

/// Old multicast groups as a mask: interfaces, IPv4 addresses and routes, IPv6 addresses and routes.
const GROUPS: u32 = (libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV6_ROUTE) as u32;

/// A netlink socket in the network namespace of the thread that opened it.
struct Line {
    socket: TokioSocket,
    buffer: Vec<u8>,
}

impl Line {
    fn open(groups: u32) -> Result<Self, KernelError> {
        let open = || {
            let mut line = TokioSocket::new(NETLINK_ROUTE)?;
            let socket = line.socket_mut();
            // Kernels before 4.20 have no strict checks; without them a dump is longer and we filter it ourselves.
            let _ = socket.set_netlink_get_strict_chk(true);
            if groups != 0 {
                // Best effort: what does not fit is noticed as an overrun.
                let _ = socket.set_rx_buf_sz(RECEIVE_BUFFER);
            }
            socket.bind(&SocketAddr::new(0, groups))?;
            Ok(line)
        };
        let socket = open().map_err(|error: io::Error| KernelError::Socket(error.to_string()))?;
        Ok(Line { socket, buffer: Vec::with_capacity(DATAGRAM) })
    }

    async fn send(&self, request: &[u8]) -> io::Result<()> {
        poll_fn(|context| self.socket.poll_send(context, request)).await.map(drop)
    }

    /// Waits for the kernel's next datagram; what other processes send is not heard.
    async fn receive(&mut self) -> io::Result<&[u8]> {
        loop {
            self.buffer.clear();
            let (socket, buffer) = (&self.socket, &mut self.buffer);
            let from = poll_fn(|context| socket.poll_recv_from(context, buffer)).await?;
            if self.buffer.len() == self.buffer.capacity() {
                return Err(io::Error::other("an answer is longer than the kernel ever sends"));
            }
            if from.port_number() == 0 {
                return Ok(&self.buffer);
            }
        }
    }
}

/// How a request failed.
enum Fault {
    /// The kernel's error number.
    Refused(i32),
    /// No answer.
    Broken(io::Error),
}

impl Fault {
    fn text(self) -> String {
        match self {
            Fault::Refused(errno) => io::Error::from_raw_os_error(errno).to_string(),
            Fault::Broken(error) => error.to_string(),
        }
    }
}

/// What takes a dump's answers.
type Take<'a> = &'a mut (dyn FnMut(Answer) + Send);

/// A request socket to the kernel's network configuration in the network namespace of the thread that opened it.
pub struct Netlink {
    line: Line,
    protocol: u8,
    sequence: u32,
    /// A request was given up half-way: what is still to come belongs to nobody.
    stale: bool,
}

impl Netlink {
    /// Opens the socket. Needs a tokio runtime. `protocol` marks what is ours: [`PROTOCOL`], unless several nodes share
    /// a network namespace.
    pub fn open(protocol: u8) -> Result<Self, KernelError> {
        Ok(Netlink { line: Line::open(0)?, protocol, sequence: 0, stale: false })
    }

    /// Opens the socket with our usual protocol number.
    pub fn open_default() -> Result<Self, KernelError> {
        Netlink::open(PROTOCOL)
    }

    /// Sends, and hands on the answers until the kernel says that there are no more. Returns whether the dump may have
    /// gaps.
    async fn ask(&mut self, request: Request, take: Take<'_>) -> Result<bool, Fault> {
        if self.stale {
            self.line = Line::open(0).map_err(|error| Fault::Broken(io::Error::other(error.to_string())))?;
        }
        self.stale = true;
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.line.send(&request.finish(self.sequence)).await.map_err(Fault::Broken)?;
        let mut interrupted = false;
        loop {
            let datagram = self.line.receive().await.map_err(Fault::Broken)?;
            for message in wire::messages(datagram) {
                let message = message.map_err(|error| Fault::Broken(io::Error::other(error)))?;
                if message.sequence != self.sequence {
                    continue;
                }
                interrupted |= message.interrupted();
                let answer = message.answer(self.protocol);
                match answer.map_err(|error| Fault::Broken(io::Error::other(error)))? {
                    Answer::End(errno) => {
                        self.stale = false;
                        return if errno == 0 { Ok(interrupted) } else { Err(Fault::Refused(errno)) };
                    }
                    other => take(other),
                }
            }
        }
    }

    /// Asks until an answer came in one piece, and keeps what `pick` picks.
    async fn dump<T: Send>(
        &mut self,
        what: &'static str,
        request: Request,
        pick: fn(Answer, u8) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        let protocol = self.protocol;
        let mut attempt = 0;
        loop {
            let mut found = Vec::new();
            attempt += 1;
            let asked = self.ask(request.clone(), &mut |answer| found.extend(pick(answer, protocol))).await;
            match asked {
                Ok(true) if attempt < ATTEMPTS => {}
                Ok(_) => return Ok(found),
                // A routing table that nobody has used yet.
                Err(Fault::Refused(libc::ENOENT)) => return Ok(Vec::new()),
                Err(fault) => return Err(KernelError::Dump { what, reason: fault.text() }),
            }
        }
    }
}

fn pick_default(answer: Answer, protocol: u8) -> Option<DefaultRoute> {
    match answer {
        Answer::Route(route) if route.protocol != protocol => route.default_route(),
        _ => None,
    }
}

impl Kernel for Netlink {
    async fn links(&mut self) -> Result<Vec<Link>, KernelError> {
        let pick = |answer, _| if let Answer::Link(link) = answer { Some(link) } else { None };
        self.dump("links", wire::dump_links(), pick).await
    }

    async fn addresses(&mut self) -> Result<Vec<Address>, KernelError> {
        let pick = |answer, _| if let Answer::Address(address) = answer { Some(address) } else { None };
        self.dump("addresses", wire::dump_addresses(), pick).await
    }

    async fn routes(&mut self) -> Result<Vec<KernelRoute>, KernelError> {
        let request = wire::dump_routes(self.protocol);
        let pick = |answer, protocol| match answer {
            Answer::Route(route) if route.main && route.ipv6 && route.protocol == protocol => {
                Some(route.own())
            }
            _ => None,
        };
        self.dump("routes", request, pick).await
    }

    async fn default_routes(&mut self) -> Result<Vec<DefaultRoute>, KernelError> {
        let mut found = self.dump("routes", wire::dump_unicast(true), pick_default).await?;
        found.extend(self.dump("routes", wire::dump_unicast(false), pick_default).await?);
        Ok(found)
    }

    async fn execute(&mut self, step: Step) -> Result<(), KernelError> {
        let request = match &step {
            Step::SetLink { index, shape } => wire::set_link(*index, *shape),
            Step::PutAddress { address, deprecated } => {
                wire::put_address(address, self.protocol, *deprecated)
            }
            Step::AddRoute(route) => wire::add_route(route, self.protocol),
            Step::ReplaceRoute(route) => wire::replace_route(route, self.protocol),
            Step::DeleteRoute(route) => wire::delete_route(route, self.protocol),
            Step::DeleteAddress(address) => wire::delete_address(address),
        };
        match self.ask(request, &mut |_| {}).await {
            Ok(_) => Ok(()),
            Err(Fault::Refused(errno)) => judge(step, errno),
            Err(fault) => Err(KernelError::Refused { step, reason: fault.text() }),
        }
    }
}

/// Hears what changes; ends when dropped.
pub struct Watcher {
    line: Line,
}

impl Watcher {
    /// Begins to listen in the network namespace of this thread. Needs a tokio runtime.
    pub fn open() -> Result<Self, KernelError> {
        Ok(Watcher { line: Line::open(GROUPS)? })
    }

    /// Waits for notifications and hands each to `take`; `false` if none will come any more.
    pub async fn next(&mut self, take: &mut (dyn FnMut(Heard) + Send)) -> bool {
        match self.line.receive().await {
            Ok(datagram) => {
                for message in wire::messages(datagram) {
                    take(message.map_or(Heard::Lost, |message| message.heard()));
                }
                true
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                take(Heard::Lost);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the kernel's notifications ended");
                false
            }
        }
    }
}
