//! The packet path in memory, without any I/O: what user space costs per superpacket.

#[path = "../../crates/overlay-core/tests/net/hosts.rs"]
mod net;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use net::*;

/// 45 segments of 1348 octets: what fills one train at MTU 1420.
const PAYLOAD: usize = 45 * 1348;

fn forwarder(c: &mut Criterion) {
    let mut group = c.benchmark_group("forwarder");
    group.throughput(Throughput::Bytes(PAYLOAD as u64));

    let (mut a, mut b) = (Node::new(1), Node::new(2));
    connect(&mut a, &mut b);
    a.clear();
    b.clear();
    let (gso, packet) = tcp_super(host(1), host(2), 7, 0x10, &bytes(PAYLOAD), 1348);
    group.bench_function("inside_superpacket", |bench| {
        bench.iter(|| {
            a.read_tun(gso, &packet);
            a.end();
            a.clear();
        });
    });
    group.bench_function("inside_and_outside_superpacket", |bench| {
        bench.iter(|| {
            a.read_tun(gso, &packet);
            carry(&mut a, &mut b);
            b.end();
            assert_eq!(b.out.writes.len(), 1);
            b.clear();
        });
    });

    let (mut a, mut relay, mut b) = (Node::new(1), Node::new(2), Node::new(3));
    connect_through(&mut a, &mut relay, &mut b);
    for node in [&mut a, &mut relay, &mut b] {
        node.clear();
    }
    let (gso, packet) = tcp_super(host(1), host(3), 7, 0x10, &bytes(PAYLOAD), 1280);
    group.bench_function("inside_relay_outside_superpacket", |bench| {
        bench.iter(|| {
            a.read_tun(gso, &packet);
            carry(&mut a, &mut relay);
            carry(&mut relay, &mut b);
            b.end();
            b.clear();
        });
    });

    let (mut a, mut b) = (Node::new(1), Node::new(2));
    connect(&mut a, &mut b);
    a.clear();
    b.clear();
    let packet = ping(host(1), host(2), 56);
    group.throughput(Throughput::Elements(1));
    group.bench_function("inside_and_outside_ping", |bench| {
        bench.iter(|| {
            a.read_tun(Default::default(), &packet);
            carry(&mut a, &mut b);
            b.end();
            b.clear();
        });
    });
    // What waits together: 64 small datagrams of one flow, one train between the nodes, one superpacket at the end.
    let packet = udp(host(1), host(2), (4000, 4001), &bytes(64));
    group.throughput(Throughput::Elements(64));
    group.bench_function("inside_and_outside_64_small", |bench| {
        bench.iter(|| {
            for _ in 0..64 {
                a.read_tun(Default::default(), &packet);
            }
            carry(&mut a, &mut b);
            b.end();
            assert_eq!(b.out.writes.len(), 1);
            b.clear();
        });
    });
    group.finish();
}

criterion_group!(benches, forwarder);
criterion_main!(benches);
