//! The real device, in a network namespace of each test's own. Needs root; in CI its absence is a failure.
#![allow(clippy::unwrap_used)]

use ln6_netio::tun::{Tun, TunOffload, TunOptions};
use ln6_overlay_core::forwarder::batch::{Gso, GsoKind, Span, TunRead};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const SLOT: Span = Span::new(0, 65_600);

/// Runs `test` in a thread with a fresh network namespace, which goes with the thread and its sockets.
fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        // SAFETY: no pointers; only this thread changes its namespace.
        #[allow(unsafe_code)]
        let entered = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
        if !entered || !std::path::Path::new("/dev/net/tun").exists() {
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root, with /dev/net/tun");
            return println!("skipped: needs root and /dev/net/tun");
        }
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Children inherit the thread's namespace.
fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(done.success(), "ip {arguments}");
}

fn bring_up(name: &str) {
    ip("link set lo up");
    ip(&format!("link set {name} up"));
    ip(&format!("addr add 2001:db8::1/64 dev {name} nodad"));
    await_local_route();
}

/// Even without duplicate address detection the kernel adds an address' local route a little later, by a work queue.
fn await_local_route() {
    let local = |line: &str| {
        let mut fields = line.split_whitespace();
        let whole = fields.next() == Some("20010db8000000000000000000000001") && fields.next() == Some("80");
        whole && fields.nth(6).is_some_and(|flags| flags.starts_with('8'))
    };
    let begin = std::time::Instant::now();
    while !std::fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap().lines().any(local) {
        assert!(begin.elapsed() < PATIENCE, "the address does not become local");
        std::thread::yield_now();
    }
}

fn await_readable(fd: BorrowedFd<'_>) {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, which lives through the call.
    #[allow(unsafe_code)]
    let ready = unsafe { libc::poll(&mut poll, 1, 5000) };
    assert_eq!(ready, 1, "nothing to read");
}

/// Reads until a packet is what is looked for.
fn read_until(tun: &mut Tun, arena: &mut [u8], wanted: impl Fn(&TunRead, &[u8]) -> bool) -> TunRead {
    loop {
        match tun.read(arena, SLOT).unwrap() {
            Some(read) if wanted(&read, &arena[read.all.range()]) => return read,
            Some(_) => {}
            None => await_readable(tun.as_fd()),
        }
    }
}

fn is_udp(_: &TunRead, packet: &[u8]) -> bool {
    packet[6] == 17
}

/// Swaps source and destination address of an IPv6 packet, not the ports: what was sent to 2001:db8::2 comes back from there to
/// the same port of 2001:db8::1. Checksums stay right.
fn reflect(packet: &mut [u8]) {
    let (source, destination) = packet[8..40].split_at_mut(16);
    source.swap_with_slice(destination);
}

fn connect(to: &str) -> TcpStream {
    TcpStream::connect_timeout(&to.parse().unwrap(), PATIENCE).unwrap()
}

#[test]
fn tcp_comes_as_superpackets_and_goes_back_as_them() {
    in_namespace(|| {
        let mut set = Tun::open("ln6test", 1, TunOptions::default()).unwrap();
        assert!(set.offload >= TunOffload::Tcp && set.index > 0);
        bring_up("ln6test");
        let tested = set.self_test().unwrap();
        assert!(tested.tcp && set.queues[0].coalescing());
        // Everything to 2001:db8::2 comes back as if from there: the connection is between two sockets of this machine.
        let listener = TcpListener::bind("[2001:db8::1]:4000").unwrap();
        let mut tun = set.queues.remove(0);
        let counters = tun.counters();
        std::thread::spawn(move || {
            let mut arena = vec![0; SLOT.len as usize];
            loop {
                let Ok(read) = tun.read(&mut arena, SLOT) else { return };
                let Some(TunRead { gso, all }) = read else {
                    await_readable(tun.as_fd());
                    continue;
                };
                if arena[6] == 6 {
                    reflect(&mut arena[all.range()]);
                    tun.write(&gso, &arena, &[Span::new(0, 40), Span::new(40, all.len - 40)]);
                }
                if gso.kind == GsoKind::TcpV6 && all.len > 20_000 {
                    println!("superpacket of {} octets", all.len);
                }
            }
        });
        let mut client = connect("[2001:db8::2]:4000");
        let (mut server, _) = listener.accept().unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let sent: Vec<u8> = (0..2_000_000u32).map(|n| (n / 7) as u8).collect();
        let expected = sent.clone();
        let writer = std::thread::spawn(move || {
            client.write_all(&sent).unwrap();
            client
        });
        let mut got = vec![0; expected.len()];
        server.read_exact(&mut got).unwrap();
        assert!(got == expected);
        drop(writer.join().unwrap());
        assert_eq!(counters.superpackets_refused.load(Ordering::Relaxed), 0);
        assert_eq!(counters.write_errors.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn one_read_brings_many_segments_of_tcp() {
    in_namespace(|| {
        let mut set =
            Tun::open("ln6test", 1, TunOptions { udp_offload: false, ..TunOptions::default() }).unwrap();
        assert_eq!(set.offload, TunOffload::Tcp);
        bring_up("ln6test");
        let tun = &mut set.queues[0];
        let listener = TcpListener::bind("[2001:db8::1]:4001").unwrap();
        let writer = std::thread::spawn(move || {
            let mut client = connect("[2001:db8::2]:4001");
            let _ = client.write_all(&[9; 300_000]);
        });
        let mut arena = vec![0; SLOT.len as usize];
        loop {
            let read = read_until(tun, &mut arena, |_, packet| packet[6] == 6);
            let packet = &mut arena[read.all.range()];
            if read.gso.kind == GsoKind::TcpV6 {
                assert!(read.gso.needs_csum && read.gso.csum_start == 40 && read.gso.csum_offset == 16);
                assert!(
                    read.all.len as usize > 40 + 20 + usize::from(read.gso.size),
                    "more than one segment"
                );
                break;
            }
            reflect(packet);
            tun.write(&read.gso, &arena, &[read.all]);
        }
        drop(set);
        drop(listener);
        // The writer hangs on a connection whose way is gone; it ends with the process.
        drop(writer);
    });
}

#[test]
fn superpackets_divided_in_software_are_accepted_by_the_kernel() {
    in_namespace(|| {
        let mut set = Tun::open("ln6test", 1, TunOptions::default()).unwrap();
        if set.offload < TunOffload::TcpUdp {
            return println!("skipped: no UDP offload here (Linux 6.2)");
        }
        bring_up("ln6test");
        let tun = &mut set.queues[0];
        tun.set_coalescing(false);
        let socket = UdpSocket::bind("[2001:db8::1]:5000").unwrap();
        socket.connect("[2001:db8::2]:5000").unwrap();
        socket.send(&[3; 900]).unwrap();
        let mut arena = vec![0; SLOT.len as usize];
        let read = read_until(tun, &mut arena, is_udp);
        reflect(&mut arena[read.all.range()]);
        let gso = Gso {
            kind: GsoKind::UdpL4,
            needs_csum: true,
            hdr_len: 48,
            size: 400,
            csum_start: 40,
            csum_offset: 6,
        };
        tun.write(&gso, &arena, &[read.all]);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 2000];
        let lengths = [0; 3].map(|_| socket.recv(&mut buffer).unwrap());
        assert_eq!(lengths, [400, 400, 100]);
    });
}

#[test]
fn a_plain_device_carries_single_packets() {
    in_namespace(|| {
        let mut set =
            Tun::open("ln6plain", 4, TunOptions { offload: false, ..TunOptions::default() }).unwrap();
        assert_eq!((set.offload, set.queues.len(), set.name.as_str()), (TunOffload::Plain, 1, "ln6plain"));
        bring_up("ln6plain");
        assert!(!set.self_test().unwrap().tcp);
        let tun = &mut set.queues[0];
        let socket = UdpSocket::bind("[2001:db8::1]:5000").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(b"out and back", "[2001:db8::2]:5000").unwrap();
        let mut arena = vec![0; SLOT.len as usize];
        let read = read_until(tun, &mut arena, is_udp);
        assert_eq!(read.gso, Gso::default());
        reflect(&mut arena[read.all.range()]);
        tun.write(&Gso::default(), &arena, &[Span::new(0, 40), Span::new(40, read.all.len - 40)]);
        let mut buffer = [0; 64];
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(
            (&buffer[..len], from),
            (&b"out and back"[..], "[2001:db8::2]:5000".parse::<SocketAddr>().unwrap())
        );
    });
}

#[test]
fn a_device_with_four_queues_belongs_to_one_process() {
    in_namespace(|| {
        let set = Tun::open("ln6multi", 4, TunOptions::default()).unwrap();
        assert_eq!(set.queues.len(), 4);
        let single = Tun::open("ln6multi", 1, TunOptions::default()).unwrap_err();
        assert_eq!(single.code(), "interface_taken");
        let plain = Tun::open("lo", 1, TunOptions { offload: false, ..TunOptions::default() }).unwrap_err();
        assert_eq!(plain.code(), "interface_taken");
    });
}

#[test]
fn a_taken_name_and_a_deleted_device_are_told() {
    in_namespace(|| {
        let mut set = Tun::open("ln6test", 1, TunOptions::default()).unwrap();
        assert_eq!(Tun::open("ln6test", 1, TunOptions::default()).unwrap_err().code(), "interface_taken");
        assert_eq!(set.self_test().unwrap_err().raw_os_error(), Some(libc::EIO), "down");
        ip("link del ln6test");
        let mut arena = vec![0; SLOT.len as usize];
        assert_eq!(set.queues[0].read(&mut arena, SLOT).unwrap_err().raw_os_error(), Some(libc::EBADFD));
    });
}

#[test]
fn a_train_longer_than_the_path_arrives_in_fragments() {
    use ln6_netio::udp::{Udp, UdpOptions};
    use ln6_overlay_core::Path;
    use ln6_overlay_core::forwarder::batch::{Ecn, Fragmentation, Train};
    in_namespace(|| {
        ip("link set lo up");
        ip("link set lo mtu 1400");
        let mut sender = Udp::bind(0, 1, &UdpOptions::default()).unwrap().sockets.remove(0);
        for target in ["127.0.0.1:0", "[::1]:0"] {
            let receiver = UdpSocket::bind(target).unwrap();
            receiver.set_read_timeout(Some(PATIENCE)).unwrap();
            let to = Path::Udp(receiver.local_addr().unwrap());
            let octets: Vec<u8> = (0..3 * 1452).map(|n| (n / 1452) as u8).collect();
            let train = Train {
                to,
                ecn: Ecn(1),
                all: Span::new(0, octets.len() as u32),
                stride: 1452,
                fragmentation: Fragmentation::Free,
            };
            let mut buffer = [0; 2000];
            for _ in 0..2 {
                sender.send(&octets, &[train]);
                for expected in octets.chunks(1452) {
                    let len = receiver.recv(&mut buffer).unwrap();
                    assert_eq!(&buffer[..len], expected);
                }
            }
        }
        assert!(sender.segmentation(), "the next path may be wider");
        assert_eq!(
            sender.counters().resent.load(Ordering::Relaxed),
            2,
            "once per destination, then remembered"
        );
    });
}

fn ethtool(arguments: &str) {
    let done = Command::new("ethtool").args(arguments.split(' ')).output().unwrap();
    assert!(done.status.success(), "ethtool {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// What has come to `udp` once `octets` have: datagrams, and the reads they came in.
fn receive(udp: &mut ln6_netio::udp::Udp, octets: usize) -> (Vec<Vec<u8>>, usize) {
    use ln6_overlay_core::forwarder::arena::ArenaLayout;
    let layout = ArenaLayout::STANDARD;
    let (mut arena, mut datagrams, mut reads) = (vec![0; layout.len as usize], Vec::new(), 0);
    while datagrams.iter().map(Vec::len).sum::<usize>() < octets {
        let mut out = Vec::new();
        if udp.recv(&mut arena, &layout.udp, &mut out) == 0 {
            await_readable(udp.as_fd());
        }
        reads += out.len();
        let chunks = out.iter().flat_map(|read| arena[read.all.range()].chunks(read.stride.into()));
        datagrams.extend(chunks.map(<[u8]>::to_vec));
    }
    (datagrams, reads)
}

/// Trains that are made at this end out of what came over a wire: a forged datagram before those of a peer, with the peer's address, takes none
/// of them along, although alone the kernel drops it.
#[test]
fn a_train_that_begins_with_noise_is_not_dropped_whole() {
    use ln6_netio::udp::{Udp, UdpOptions};
    use ln6_overlay_core::Path;
    use ln6_overlay_core::forwarder::batch::{Ecn, Fragmentation, Train};
    const STRIDE: usize = 200;
    in_namespace(|| {
        ip("link add near type veth peer name far");
        // Single datagrams with true checksums leave there, and are merged here.
        ethtool("-K far tx off");
        ethtool("-K near gro on");
        let (tell, told) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel::<u16>();
        let far = std::thread::spawn(move || {
            // SAFETY: no pointers; only this thread changes its namespace.
            #[allow(unsafe_code)]
            let (entered, thread) = unsafe { (libc::unshare(libc::CLONE_NEWNET), libc::gettid()) };
            assert_eq!(entered, 0);
            tell.send(thread).unwrap();
            let port = gone.recv().unwrap();
            ip("link set far up");
            ip("address add 192.0.2.2/24 dev far");
            ip("address add 2001:db8::2/64 dev far nodad");
            let mut sender = Udp::bind(0, 1, &UdpOptions::default()).unwrap().sockets.remove(0);
            let octets: Vec<u8> = (0..20 * STRIDE).map(|at| u8::from(at % STRIDE == 0) * 4).collect();
            let noisy = [&[0xee], &octets[1..]].concat();
            for target in ["192.0.2.1", "2001:db8::1"] {
                let to = Path::Udp(SocketAddr::new(target.parse().unwrap(), port));
                let train = |len: usize| Train {
                    to,
                    ecn: Ecn(0),
                    all: Span::new(0, len as u32),
                    stride: STRIDE as u16,
                    fragmentation: Fragmentation::Free,
                };
                for (octets, len) in [(&octets, STRIDE), (&noisy, STRIDE), (&noisy, noisy.len())] {
                    sender.send(octets, &[train(len)]);
                }
            }
            // The device goes with the namespace, and that with this thread and its sockets.
            let _ = gone.recv();
        });
        let thread = told.recv().unwrap();
        ip(&format!("link set far netns {thread}"));
        ip("link set near up");
        ip("address add 192.0.2.1/24 dev near");
        ip("address add 2001:db8::1/64 dev near nodad");
        let mut receiver = Udp::bind(0, 1, &UdpOptions::default()).unwrap().sockets.remove(0);
        go.send(receiver.local().port()).unwrap();
        let (datagrams, reads) = receive(&mut receiver, 2 * 21 * STRIDE);
        let noise = datagrams.iter().filter(|datagram| datagram[0] == 0xee).count();
        assert_eq!((datagrams.len(), noise), (42, 2), "noise comes as the head of a train only");
        assert_eq!(reads, 4, "they were merged: else this proves nothing");
        assert_eq!(receiver.counters().dropped(), 2);
        drop(go);
        far.join().unwrap();
    });
}
