//! Opening the sockets and setting them up.

use super::address::RawAddress;
use super::receive::ReceiveRing;
use super::send::SendRing;
use super::{Udp, UdpCounters, UdpError, filter, steer};
use crate::poll::check;
use ln6_overlay_core::forwarder::batch::Fragmentation;
use portable_atomic::AtomicBool;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// How the sockets are set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// Bind to this address only; without it to all, IPv6 and IPv4 (only IPv4 where the kernel has no IPv6).
    pub address: Option<IpAddr>,
    /// Octets of the receive buffer, forced beyond `net.core.rmem_max` where permitted.
    pub receive_buffer: u32,
    /// Octets of the send buffer, likewise.
    pub send_buffer: u32,
    /// Send trains with `UDP_SEGMENT` (Linux 4.18).
    pub segmentation: bool,
    /// Receive trains with `UDP_GRO` (Linux 5.0).
    pub gro: bool,
    /// Have the kernel drop what is no message.
    pub filter: bool,
    /// Firewall mark of what is sent, for policy routing (needs CAP_NET_ADMIN).
    pub mark: Option<u32>,
    /// Only by this network device (needs CAP_NET_RAW on older kernels).
    pub device: Option<String>,
}

impl Default for UdpOptions {
    fn default() -> Self {
        UdpOptions {
            address: None,
            receive_buffer: 4 << 20,
            send_buffer: 4 << 20,
            segmentation: true,
            gro: true,
            filter: true,
            mark: None,
            device: None,
        }
    }
}

/// The sockets of all workers.
#[derive(Debug)]
pub struct UdpSet {
    /// In the order of the workers.
    pub sockets: Vec<Udp>,
    /// The port, also if none was asked for.
    pub port: u16,
    /// There is no IPv6 here.
    pub ipv4_only: bool,
    /// Octets that the kernel granted for each receive buffer.
    pub receive_buffer: u32,
}

impl Udp {
    /// Opens a socket for each of `workers` (1 to 8) on `port`, 0 for any.
    ///
    /// DF stays off on what is sent, probes of a path's size apart: an inner packet of 1280 octets must pass every path, in fragments if need be.
    ///
    /// # Errors
    /// [`UdpError`]: each with a stable code and a hint. Missing offloads and small buffers are not errors.
    pub fn bind(port: u16, workers: usize, options: &UdpOptions) -> Result<UdpSet, UdpError> {
        let workers = workers.clamp(1, 8);
        let (address, probe) = bind_exclusively(port, options)?;
        let sockets = if workers == 1 {
            vec![probe]
        } else {
            // The first, exclusive bind found out whether anyone else has the port: sockets that share would not notice.
            drop(probe);
            (0..workers).map(|_| open(address, true)).collect::<Result<Vec<_>, _>>()?
        };
        for socket in &sockets {
            set_up(socket, address.is_ipv6(), options)?;
        }
        if options.filter && !filter_all(&sockets) {
            tracing::info!(
                "the kernel takes no socket filter: noise is dropped by the forwarder, at a higher cost"
            );
        }
        if workers > 1 {
            steer::attach(sockets[0].as_fd())?;
        }
        let receive_buffer = get(&sockets[0], libc::SOL_SOCKET, libc::SO_RCVBUF).unwrap_or(0) as u32 / 2;
        if receive_buffer < options.receive_buffer {
            tracing::info!(
                granted = receive_buffer,
                wanted = options.receive_buffer,
                "small UDP receive buffer: raise net.core.rmem_max"
            );
        }
        let sockets = sockets.into_iter().map(|socket| Udp::new(socket, address, options)).collect();
        Ok(UdpSet {
            sockets,
            port: address.port(),
            ipv4_only: address.is_ipv4() && options.address.is_none(),
            receive_buffer,
        })
    }

    fn new(socket: OwnedFd, local: SocketAddr, options: &UdpOptions) -> Self {
        let gro = options.gro && set_gro(&socket, true).is_ok();
        // Only asked for, never set for the whole socket: that would break single datagrams.
        let segmentation = options.segmentation && get(&socket, libc::SOL_UDP, libc::UDP_SEGMENT).is_ok();
        let socket = Arc::new(socket);
        let counters = UdpCounters {
            segmentation: AtomicBool::new(segmentation),
            gro: AtomicBool::new(gro),
            socket: Arc::downgrade(&socket),
            ..UdpCounters::default()
        };
        Udp {
            local,
            receive: ReceiveRing::new(gro),
            send: SendRing::new(local.is_ipv6(), segmentation),
            counters: Arc::new(counters),
            socket,
        }
    }
}

/// Has the kernel merge what arrives at the socket, or not.
pub(super) fn set_gro(socket: &OwnedFd, on: bool) -> io::Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_GRO, on.into())
}

/// Whether all of them filter now.
fn filter_all(sockets: &[OwnedFd]) -> bool {
    // Each for itself: a filter on some of them is better than on none.
    let refused = sockets.iter().filter(|socket| filter::attach(socket.as_fd()).is_err()).count();
    refused == 0
}

/// A socket that shares its port with nobody, and the address it has.
fn bind_exclusively(port: u16, options: &UdpOptions) -> Result<(SocketAddr, OwnedFd), UdpError> {
    let any = SocketAddr::new(options.address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), port);
    let opened = match open(any, false) {
        Err(UdpError::System { source, .. } | UdpError::NotPermitted { source, .. })
            if options.address.is_none() && source.raw_os_error() == Some(libc::EAFNOSUPPORT) =>
        {
            open_v4(port)
        }
        Err(UdpError::NotHere(_)) if options.address.is_none() => open_v4(port),
        other => other.map(|socket| (any, socket)),
    };
    let (mut address, socket) = opened?;
    address.set_port(bound_port(&socket)?);
    Ok((address, socket))
}

fn open_v4(port: u16) -> Result<(SocketAddr, OwnedFd), UdpError> {
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    Ok((any, open(any, false)?))
}

fn open(address: SocketAddr, shared: bool) -> Result<OwnedFd, UdpError> {
    let family = if address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers; a descriptor that is returned belongs to nobody else.
    #[allow(unsafe_code)]
    let socket = unsafe { check(libc::socket(family, kind, 0)).map(|fd| OwnedFd::from_raw_fd(fd)) };
    let socket = socket.map_err(|error| UdpError::of("opening a UDP socket", error))?;
    if address.is_ipv6() {
        set(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)
            .map_err(|error| UdpError::of("IPV6_V6ONLY", error))?;
    }
    if shared {
        set(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
            .map_err(|error| UdpError::of("SO_REUSEPORT", error))?;
    }
    bind_to(&socket, address)?;
    Ok(socket)
}

fn bind_to(socket: &OwnedFd, address: SocketAddr) -> Result<(), UdpError> {
    let (mut raw, len) =
        RawAddress::write(address, address.is_ipv6()).expect("the family is the address's own");
    // SAFETY: `raw` holds a socket address of `len` octets and lives through the call.
    #[allow(unsafe_code)]
    let result =
        check(unsafe { libc::bind(socket.as_raw_fd(), raw.as_mut_ptr().cast(), len as libc::socklen_t) });
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.raw_os_error() {
            Some(libc::EADDRINUSE) => UdpError::PortInUse(address.port()),
            Some(libc::EADDRNOTAVAIL) => UdpError::NotHere(address.ip().to_string()),
            _ => UdpError::of("binding the UDP port", error),
        }),
    }
}

fn bound_port(socket: &OwnedFd) -> Result<u16, UdpError> {
    let mut raw = RawAddress::EMPTY;
    let mut len = RawAddress::LEN as libc::socklen_t;
    // SAFETY: `raw` has room for the `len` octets promised; both live through the call.
    #[allow(unsafe_code)]
    let result = check(unsafe { libc::getsockname(socket.as_raw_fd(), raw.as_mut_ptr().cast(), &mut len) });
    result.map_err(|error| UdpError::of("getsockname", error))?;
    Ok(raw.read(len as usize).map_or(0, |address| address.port()))
}

fn set_up(socket: &OwnedFd, v6: bool, options: &UdpOptions) -> Result<(), UdpError> {
    buffer(socket, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, options.receive_buffer);
    buffer(socket, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, options.send_buffer);
    // Nice to have, each: without them ECN is not carried.
    let _ = set(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, 1);
    set_fragmentation(socket.as_raw_fd(), true, Fragmentation::Free);
    if v6 {
        let _ = set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1);
        set_fragmentation(socket.as_raw_fd(), false, Fragmentation::Free);
    }
    if let Some(mark) = options.mark {
        set(socket, libc::SOL_SOCKET, libc::SO_MARK, mark as libc::c_int)
            .map_err(|error| UdpError::of("SO_MARK", error))?;
    }
    if let Some(device) = &options.device {
        set_bytes(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, device.as_bytes()).map_err(|error| {
            match error.raw_os_error() {
                Some(libc::ENODEV | libc::EINVAL) => UdpError::NotHere(device.clone()),
                _ => UdpError::of("SO_BINDTODEVICE", error),
            }
        })?;
    }
    Ok(())
}

/// How a socket treats what it sends to one family. `OMIT` leaves DF off, fragments for the interface alone, and makes the kernel
/// ignore ICMP about the path, which anybody can forge; `DONT` heeds it; `PROBE` sets DF and refuses what the interface cannot take.
pub(super) fn set_fragmentation(fd: RawFd, v4: bool, how: Fragmentation) {
    // The constants of both families are the same.
    let mode = match how {
        Fragmentation::Free => libc::IP_PMTUDISC_OMIT,
        Fragmentation::Kernel => libc::IP_PMTUDISC_DONT,
        Fragmentation::Never => libc::IP_PMTUDISC_PROBE,
    };
    let (level, name) = if v4 {
        (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER)
    };
    // Kernels before 3.15 have no `OMIT`.
    if set(&fd, level, name, mode).is_err() && how == Fragmentation::Free {
        let _ = set(&fd, level, name, libc::IP_PMTUDISC_DONT);
    }
}

/// Beyond the system's limit where permitted, else up to it.
fn buffer(socket: &OwnedFd, forced: libc::c_int, plain: libc::c_int, size: u32) {
    let size = size.min(1 << 29) as libc::c_int;
    if set(socket, libc::SOL_SOCKET, forced, size).is_err() {
        let _ = set(socket, libc::SOL_SOCKET, plain, size);
    }
}

fn set(socket: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    set_bytes(socket, level, name, &value.to_ne_bytes())
}

fn set_bytes(socket: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: &[u8]) -> io::Result<()> {
    // SAFETY: `value` lives through the call; the kernel copies at most its length.
    #[allow(unsafe_code)]
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Datagrams that the kernel dropped at this socket, modulo 2^32; `None` before Linux 4.12.
pub(super) fn drops(socket: &OwnedFd) -> Option<u32> {
    /// `SO_MEMINFO`, which the `libc` crate has for some systems only.
    const MEMINFO: libc::c_int = 55;
    const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
    let mut words = [0u32; DROPS + 1];
    let mut len = size_of_val(&words) as libc::socklen_t;
    // SAFETY: `words` and `len` live through the call; the kernel writes at most `len` octets.
    #[allow(unsafe_code)]
    let done = check(unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, MEMINFO, words.as_mut_ptr().cast(), &mut len)
    });
    (done.is_ok() && len as usize == size_of_val(&words)).then_some(words[DROPS])
}

fn get(socket: &OwnedFd, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` and `len` live through the call; the kernel writes at most `len` octets.
    #[allow(unsafe_code)]
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &mut len) })?;
    Ok(value)
}
