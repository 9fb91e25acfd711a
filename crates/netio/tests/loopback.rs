//! Sockets and workers over loopback: no privileges needed.
#![allow(clippy::unwrap_used)]

use ln6_netio::memory::{TunEnd, tun_pair};
use ln6_netio::udp::{Udp, UdpOptions, UdpSet};
use ln6_netio::worker::{Engine, WorkerParts, Workers, spawn_workers};
use ln6_netio::{Clock, EventReceiver, Failure, Mail, Offload};
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::batch::{
    Batch, Ecn, Fragmentation, Gso, Span, Train, TunRead, TunWrite, UdpRead,
};
use ln6_overlay_core::forwarder::mail::{Event, Update};
use ln6_overlay_core::{Path, PeerIdx};
use ln6_types::Instant;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Small enough for the default receive buffer of the socket at the far end, should nobody read meanwhile.
const BURST: u16 = 200;
const STRIDE: usize = 1452;
const LAYOUT: ArenaLayout = ArenaLayout::STANDARD;

fn bind(workers: usize, options: &UdpOptions) -> UdpSet {
    Udp::bind(0, workers, options).expect("loopback")
}

fn one(options: &UdpOptions) -> Udp {
    bind(1, options).sockets.remove(0)
}

fn at(ip: &str, udp: &Udp) -> Path {
    Path::Udp(SocketAddr::new(ip.parse().unwrap(), udp.local().port()))
}

/// Waits until `fd` is readable, at most five seconds.
fn await_readable(fd: BorrowedFd<'_>) {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, which lives through the call.
    #[allow(unsafe_code)]
    let ready = unsafe { libc::poll(&mut poll, 1, 5000) };
    assert_eq!(ready, 1, "nothing arrived");
}

/// All datagrams until `octets` have arrived, and how many reads they took.
fn receive(udp: &mut Udp, octets: usize) -> (Vec<Vec<u8>>, Vec<UdpRead>) {
    let (mut datagrams, mut all, mut got) = (Vec::new(), Vec::new(), 0);
    let mut arena = vec![0; LAYOUT.len as usize];
    while got < octets {
        let mut reads = Vec::new();
        if udp.recv(&mut arena, &LAYOUT.udp, &mut reads) == 0 {
            await_readable(udp.as_fd());
        }
        for read in &reads {
            datagrams.extend(arena[read.all.range()].chunks(read.stride.into()).map(<[u8]>::to_vec));
            got += read.all.len as usize;
        }
        all.extend(reads);
    }
    (datagrams, all)
}

/// A train of 45 datagrams, the last of them short, each different.
fn train_octets() -> Vec<u8> {
    (0..44 * STRIDE + 77).map(|n| (n * 31 + n / STRIDE) as u8).collect()
}

fn send(udp: &mut Udp, to: Path, octets: &[u8], stride: usize, ecn: u8) {
    let all = Span::new(0, octets.len() as u32);
    udp.send(
        octets,
        &[Train { to, ecn: Ecn(ecn), all, stride: stride as u16, fragmentation: Fragmentation::Free }],
    );
}

#[test]
fn a_train_of_45_arrives_whole_in_one_read_over_either_family() {
    for ip in ["127.0.0.1", "::1"] {
        let (mut sender, mut receiver) = (one(&UdpOptions::default()), one(&UdpOptions::default()));
        let octets = train_octets();
        send(&mut sender, at(ip, &receiver), &octets, STRIDE, 2);
        let (datagrams, reads) = receive(&mut receiver, octets.len());
        assert_eq!(datagrams, octets.chunks(STRIDE).map(<[u8]>::to_vec).collect::<Vec<_>>());
        assert_eq!(reads.len(), 1, "one superpacket");
        assert_eq!((reads[0].from, reads[0].ecn), (at(ip, &sender), Ecn(2)), "IPv4 is written as IPv4");
    }
}

#[test]
fn without_offloads_the_same_datagrams_arrive_one_by_one() {
    let plain = UdpOptions { segmentation: false, gro: false, ..UdpOptions::default() };
    let (mut sender, mut receiver) = (one(&UdpOptions::default()), one(&plain));
    let octets = train_octets();
    assert!(sender.segmentation());
    sender.set_segmentation(false);
    send(&mut sender, at("127.0.0.1", &receiver), &octets, STRIDE, 0);
    let (datagrams, reads) = receive(&mut receiver, octets.len());
    assert_eq!(datagrams, octets.chunks(STRIDE).map(<[u8]>::to_vec).collect::<Vec<_>>());
    assert_eq!(reads.len(), 45);
    assert!(!sender.segmentation());
}

#[test]
fn a_train_longer_than_the_path_is_sent_in_single_datagrams_and_segmentation_stays() {
    let (mut sender, mut receiver) = (one(&UdpOptions::default()), one(&UdpOptions::default()));
    // Two datagrams of 60 000 octets do not fit into one message, and are sent as two.
    let octets = vec![5; 120_000];
    send(&mut sender, at("::1", &receiver), &octets, 60_000, 0);
    let (datagrams, _) = receive(&mut receiver, octets.len());
    assert_eq!(datagrams.iter().map(Vec::len).collect::<Vec<_>>(), [60_000, 60_000]);
    assert!(sender.segmentation());
}

#[test]
fn a_datagram_too_long_for_its_slot_is_dropped_and_counted() {
    let (mut sender, mut receiver) =
        (one(&UdpOptions::default()), one(&UdpOptions { gro: false, ..UdpOptions::default() }));
    send(&mut sender, at("::1", &receiver), &[1; 4000], 4000, 0);
    send(&mut sender, at("::1", &receiver), &[2; 100], 100, 0);
    let (datagrams, _) = receive(&mut receiver, 100);
    assert_eq!(datagrams, [[2; 100]]);
    assert_eq!(receiver.counters().truncated.load(Ordering::Relaxed), 1);
}

#[test]
fn what_cannot_be_sent_is_counted_and_does_not_hold_up_the_rest() {
    let only_v4 = UdpOptions { address: Some("127.0.0.1".parse().unwrap()), ..UdpOptions::default() };
    let (mut sender, mut receiver) = (one(&only_v4), one(&UdpOptions::default()));
    let train =
        |to| Train { to, ecn: Ecn(0), all: Span::new(0, 50), stride: 50, fragmentation: Fragmentation::Free };
    let (good, bad) = (at("127.0.0.1", &receiver), at("::1", &receiver));
    sender.send(&[7; 50], &[train(good), train(bad), train(Path::Through(PeerIdx(3))), train(good)]);
    assert_eq!(receive(&mut receiver, 100).0, [[7; 50], [7; 50]]);
    assert_eq!(sender.counters().unreachable.load(Ordering::Relaxed), 2);
}

/// A source whose datagrams have no checksum: over loopback the kernel leaves the others' to be finished, as those of trains are.
fn without_checksum() -> UdpSocket {
    let source = UdpSocket::bind("127.0.0.1:0").unwrap();
    let on: libc::c_int = 1;
    // SAFETY: `on` lives through the call; the kernel reads the length promised.
    #[allow(unsafe_code)]
    let done = unsafe {
        let len = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(source.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, (&raw const on).cast(), len)
    };
    assert_eq!(done, 0);
    source
}

#[test]
fn noise_is_dropped_by_the_kernel_and_counted_and_messages_pass() {
    for (workers, filter) in [(1, true), (4, true), (1, false)] {
        let mut set = bind(workers, &UdpOptions { filter, ..UdpOptions::default() });
        let (source, to) = (without_checksum(), ("127.0.0.1", set.port));
        let message = |kind: u8, len: usize| [&[kind, 0, 0, 0][..], &vec![0; len - 4]].concat();
        let good = [
            message(4, 32),
            message(4, 1452),
            message(5, 88),
            message(1, 148),
            message(2, 92),
            message(3, 64),
        ];
        let bad = [
            message(4, 31),
            message(5, 87),
            message(1, 149),
            message(2, 91),
            message(3, 65),
            message(0, 148),
        ];
        for datagram in bad.iter().chain(&good).chain(&[vec![], vec![1], vec![0xee; 900]]) {
            source.send_to(datagram, to).unwrap();
        }
        let mut arena = vec![0; LAYOUT.len as usize];
        let mut came = Vec::new();
        for socket in &mut set.sockets {
            let mut reads = Vec::new();
            while socket.recv(&mut arena, &LAYOUT.udp, &mut reads) > 0 {
                came.extend(reads.drain(..).map(|read| arena[read.all.range()].to_vec()));
            }
        }
        let dropped: u64 = set.sockets.iter().map(|socket| socket.counters().dropped()).sum();
        if filter {
            came.sort_by_key(|datagram| good.iter().position(|one| one == datagram));
            assert_eq!((came, dropped), (good.to_vec(), 9), "{workers} workers");
        } else {
            // An empty datagram is nothing to anybody.
            assert_eq!((came.len(), dropped), (good.len() + 8, 0));
        }
    }
}

#[test]
fn a_train_with_a_foreign_head_arrives_whole_all_the_same() {
    for ip in ["127.0.0.1", "::1"] {
        let (mut sender, mut receiver) = (one(&UdpOptions::default()), one(&UdpOptions::default()));
        let octets: Vec<u8> =
            (0..40u8).flat_map(|n| [if n == 0 { 0xee } else { 4 }; 1].into_iter().chain([0; 199])).collect();
        send(&mut sender, at(ip, &receiver), &octets, 200, 0);
        let (datagrams, reads) = receive(&mut receiver, octets.len());
        assert_eq!((datagrams.len(), reads.len()), (40, 1));
        assert_eq!(receiver.counters().dropped(), 0);
    }
}

#[test]
fn what_the_receive_buffer_has_no_room_for_is_counted() {
    let options = UdpOptions { receive_buffer: 4096, ..UdpOptions::default() };
    let (receiver, source) = (one(&options), without_checksum());
    let mut message = [0; 1400];
    message[0] = 4;
    for _ in 0..100 {
        source.send_to(&message, ("127.0.0.1", receiver.local().port())).unwrap();
    }
    let counters = receiver.counters();
    let dropped = counters.dropped();
    assert!((50..100).contains(&dropped), "{dropped}");
    assert_eq!(counters.dropped(), dropped, "asking changes nothing");
    drop(receiver);
    assert_eq!(counters.dropped(), dropped, "what was last known stays");
}

#[test]
fn four_workers_each_get_the_data_of_their_own_receiver_indices() {
    let mut set = bind(4, &UdpOptions::default());
    for ip in ["127.0.0.1", "::1"] {
        let to = SocketAddr::new(ip.parse().unwrap(), set.port);
        for number in 0..200u8 {
            // A new source each time, as after roaming.
            let source = UdpSocket::bind(if ip == "::1" { "[::1]:0" } else { "127.0.0.1:0" }).unwrap();
            let owner = number % 4;
            let mut datagram = [4, 0, 0, 0, number & !7 | owner, number, 1, 2, owner, 0, 0, 0, 0, 0, 0, 0];
            datagram[15] = number;
            source.send_to(&datagram, to).unwrap();
        }
        for (worker, socket) in set.sockets.iter_mut().enumerate() {
            let (datagrams, _) = receive(socket, 50 * 16);
            assert_eq!(datagrams.len(), 50);
            let wrong = datagrams.iter().filter(|datagram| usize::from(datagram[8]) != worker).count();
            assert_eq!(wrong, 0, "of 50 at worker {worker}");
        }
    }
}

#[test]
fn handshakes_of_one_source_stay_with_one_worker() {
    let mut set = bind(4, &UdpOptions::default());
    let source = UdpSocket::bind("[::1]:0").unwrap();
    for number in 0..100u8 {
        let mut message = [number; 148];
        message[..4].copy_from_slice(&[1, 0, 0, 0]);
        source.send_to(&message, (Ipv6Addr::LOCALHOST, set.port)).unwrap();
    }
    let mut arena = vec![0; LAYOUT.len as usize];
    let mut busy = 0;
    for socket in &mut set.sockets {
        let mut reads = Vec::new();
        while socket.recv(&mut arena, &LAYOUT.udp, &mut reads) > 0 {}
        let octets: u32 = reads.iter().map(|read| read.all.len).sum();
        busy += usize::from(octets > 0);
        assert!(octets == 0 || octets == 14_800);
    }
    assert_eq!(busy, 1);
}

#[test]
fn a_port_in_use_is_said_also_when_sockets_share_it() {
    for workers in [1, 4] {
        let set = bind(workers, &UdpOptions::default());
        for again in [1, 4] {
            let error = Udp::bind(set.port, again, &UdpOptions::default()).unwrap_err();
            assert_eq!(error.code(), "port_in_use");
        }
    }
    let elsewhere = Some(IpAddr::V6("2001:db8::1".parse().unwrap()));
    let error = Udp::bind(0, 1, &UdpOptions { address: elsewhere, ..UdpOptions::default() }).unwrap_err();
    assert_eq!(error.code(), "address_not_here");
}

/// Instead of a forwarder: what comes from the TUN goes to `peer`, what comes by UDP to the TUN; mail makes events.
struct Pipe {
    peer: Path,
}

impl Engine for Pipe {
    fn layout(&self) -> ArenaLayout {
        LAYOUT
    }

    fn apply(&mut self, _: Instant, update: Update, _: &mut [u8], out: &mut Batch) {
        match update {
            Update::Forget(u32::MAX) => panic!("told to"),
            Update::Forget(index) => out.events.push(Event::Confirmed(index)),
            _ => {}
        }
    }

    fn inside(&mut self, _: Instant, read: TunRead, arena: &mut [u8], out: &mut Batch) {
        // Copied, as the forwarder does: the TUN's region is free again afterwards.
        let used: u32 = out.trains.iter().map(|train| train.all.len).sum();
        let all = Span::new(LAYOUT.tx.at + used, read.all.len);
        arena.copy_within(read.all.range(), all.at as usize);
        let stride = if read.gso.size == 0 { read.all.len as u16 } else { read.gso.size };
        out.trains.push(Train {
            to: self.peer,
            ecn: Ecn(0),
            all,
            stride,
            fragmentation: Fragmentation::Free,
        });
    }

    fn outside(&mut self, _: Instant, read: UdpRead, _: &mut [u8], out: &mut Batch) {
        let first = out.parts.len() as u16;
        out.parts.push(read.all);
        out.writes.push(TunWrite { gso: Gso::default(), parts: first..first + 1 });
        out.events.push(Event::Stranger { from: read.from });
    }

    fn end_of_batch(&mut self, _: Instant, _: &mut [u8], _: &mut Batch) {}

    fn room(&self, out: &Batch) -> bool {
        out.trains.len() < 4
    }

    fn set_queue_fill(&mut self, _: u8) {}
}

fn start(tun: bool) -> (Workers, EventReceiver, Option<TunEnd>, UdpSocket, SocketAddr) {
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let udp = one(&UdpOptions::default());
    let near = SocketAddr::new("127.0.0.1".parse().unwrap(), udp.local().port());
    let (tun, end) =
        if tun { tun_pair(true).map(|(tun, end)| (Some(tun), Some(end))).unwrap() } else { (None, None) };
    let engine = Pipe { peer: Path::Udp(far.local_addr().unwrap()) };
    let (workers, events) =
        spawn_workers(vec![WorkerParts { engine, tun, udp }], Clock::start(), || ()).unwrap();
    (workers, events, end, far, near)
}

/// The next event, woken by the descriptor.
fn next(events: &mut EventReceiver) -> Event {
    loop {
        if let Some(event) = events.try_recv() {
            return event;
        }
        await_readable(events.as_fd());
        events.acknowledge();
    }
}

#[test]
fn a_worker_carries_packets_both_ways_and_events_to_control() {
    let (workers, mut events, end, far, near) = start(true);
    let end = end.unwrap();
    let mut buffer = [0; 2048];
    for round in 0..50u8 {
        end.send(&Gso::default(), &[round; 1000]).unwrap();
        assert_eq!(far.recv(&mut buffer).unwrap(), 1000);
        assert_eq!(buffer[..1000], [round; 1000]);
        far.send_to(&[round; 900], near).unwrap();
        assert_eq!(end.recv().unwrap(), (Gso::default(), vec![round; 900]));
        let from = Path::Udp(far.local_addr().unwrap());
        assert!(matches!(next(&mut events), Event::Stranger { from: seen } if seen == from));
    }
    assert!(workers.mail()[0].update(Update::Forget(7)));
    assert!(matches!(next(&mut events), Event::Confirmed(7)));
    workers.stop();
    assert_eq!(events.try_failure(), None);
}

#[test]
fn a_burst_from_the_device_is_neither_lost_nor_reordered() {
    let (_workers, _events, end, far, _) = start(true);
    let sender = std::thread::spawn(move || {
        let end = end.unwrap();
        (0..BURST).for_each(|n| end.send(&Gso::default(), &n.to_be_bytes()).unwrap());
        end
    });
    let mut buffer = [0; 16];
    for expected in 0..BURST {
        assert_eq!(far.recv(&mut buffer).unwrap(), 2);
        assert_eq!(u16::from_be_bytes([buffer[0], buffer[1]]), expected);
    }
    sender.join().unwrap();
}

#[test]
fn a_burst_behind_packets_that_came_alone_is_neither_lost_nor_left_lying() {
    let (_workers, _events, end, far, _) = start(true);
    let end = end.unwrap();
    let mut buffer = [0; 16];
    for alone in 0..20u16 {
        end.send(&Gso::default(), &alone.to_be_bytes()).unwrap();
        assert_eq!(far.recv(&mut buffer).unwrap(), 2);
        // After each: whatever the worker expects by now, all of these come, with nothing behind them to wake it again.
        for n in 0..alone {
            end.send(&Gso::default(), &n.to_be_bytes()).unwrap();
        }
        for expected in 0..alone {
            assert_eq!(far.recv(&mut buffer).unwrap(), 2);
            assert_eq!(u16::from_be_bytes([buffer[0], buffer[1]]), expected);
        }
    }
}

#[test]
fn without_a_device_mail_and_datagrams_still_work() {
    let (workers, mut events, _, far, near) = start(false);
    far.send_to(&[1; 20], near).unwrap();
    assert!(matches!(next(&mut events), Event::Stranger { .. }));
    workers.mail()[0].send(Mail::Offload(Offload::UdpGso, false));
    workers.mail()[0].update(Update::Forget(3));
    assert!(matches!(next(&mut events), Event::Confirmed(3)));
    assert!(!workers.counters()[0].udp.segmentation.load(Ordering::Relaxed));
    assert_eq!(workers.counters()[0].without_tun.load(Ordering::Relaxed), 1);
}

#[test]
fn a_panic_in_a_worker_is_reported_to_control() {
    let (workers, events, _, _far, _) = start(false);
    workers.mail()[0].update(Update::Forget(u32::MAX));
    let failure = loop {
        if let Some(failure) = events.try_failure() {
            break failure;
        }
        await_readable(events.as_fd());
        events.acknowledge();
    };
    assert_eq!(failure, Failure::Panicked { worker: 0, message: "told to".into() });
}

#[test]
fn an_idle_worker_sleeps() {
    let (workers, mut events, _, _far, _) = start(true);
    for n in 0..10 {
        workers.mail()[0].update(Update::Forget(n));
        assert!(matches!(next(&mut events), Event::Confirmed(seen) if seen == n));
    }
    assert!(workers.counters()[0].sleeps.load(Ordering::Relaxed) < 100);
}

#[test]
fn an_unused_port_refuses_nothing_to_the_next_socket() {
    let set = bind(2, &UdpOptions::default());
    let port = set.port;
    drop(set);
    assert_eq!(
        Udp::bind(port, 2, &UdpOptions::default()).map(|set| set.port).map_err(|error| error.to_string()),
        Ok(port)
    );
    assert_eq!(
        UdpSocket::bind(("127.0.0.1", port)).map(|_| ()).map_err(|error| error.kind()),
        Ok::<(), ErrorKind>(())
    );
}
