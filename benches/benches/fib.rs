//! Building a forwarding table and looking destinations and sources up in it.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ln6_overlay_core::PeerIdx;
use ln6_overlay_core::forwarder::fib::{Fib, FibInput, Target};
use ln6_types::Prefix;
use std::hint::black_box;
use std::net::Ipv6Addr;

/// Delegations of mixed lengths in one pool, and default routes from three pools.
fn input(routes: u32) -> FibInput {
    let pool: Prefix = "2001:db8::/32".parse().expect("prefix");
    let delegation = |n: u32| {
        let spread = n.wrapping_mul(0x9e37_79b9);
        let len = [48, 56, 64, 60][n as usize % 4];
        pool.part(len, u128::from(spread) >> (64 - len).min(16)).unwrap_or(pool)
    };
    let mut all: Vec<_> =
        (0..routes).map(|n| (delegation(n), Prefix::ALL, Target::Peer(PeerIdx(n % 500 + 1)))).collect();
    let owners = all.iter().map(|(prefix, ..)| (*prefix, vec![PeerIdx(1)])).collect();
    let pools = ["2001:db8::/34", "2001:db8:4000::/34", "2001:db8:8000::/33"];
    for (n, from) in pools.iter().enumerate() {
        let from = from.parse().expect("prefix");
        all.push((Prefix::ALL, from, Target::Peer(PeerIdx(n as u32 + 1))));
    }
    FibInput { routes: all, owners, inside: vec![pool], ..FibInput::default() }
}

fn fib(c: &mut Criterion) {
    let mut group = c.benchmark_group("fib");
    for routes in [1_000, 10_000, 100_000] {
        let input = input(routes);
        let table = Fib::build(input.clone());
        let (mut n, probes) = (0usize, &input.routes[..routes as usize]);
        let mut next = || {
            n = n.wrapping_add(7919);
            probes[n % probes.len()].0.address(0x1234)
        };
        group.bench_function(BenchmarkId::new("lookup", routes), |b| {
            let src = "2001:db8:1::1".parse().expect("address");
            b.iter(|| table.lookup(black_box(next()), src));
        });
        let internet: Ipv6Addr = "2606:4700::1111".parse().expect("address");
        group.bench_function(BenchmarkId::new("lookup_by_source", routes), |b| {
            b.iter(|| table.lookup(internet, black_box(next())));
        });
        group.bench_function(BenchmarkId::new("may_send", routes), |b| {
            b.iter(|| table.may_send(PeerIdx(1), black_box(next())));
        });
        if routes <= 10_000 {
            group.sample_size(10);
            group.bench_function(BenchmarkId::new("build", routes), |b| b.iter(|| Fib::build(input.clone())));
        }
    }
    group.finish();
}

criterion_group!(benches, fib);
criterion_main!(benches);
