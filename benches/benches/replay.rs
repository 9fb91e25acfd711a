//! The replay window: what a train brings (counters that follow each other), and disorder.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ln6_crypto::replay::ReplayWindow;
use std::hint::black_box;

fn replay(c: &mut Criterion) {
    let mut group = c.benchmark_group("replay");
    group.throughput(Throughput::Elements(45));
    let (mut window, mut next) = (ReplayWindow::new(), 0u64);
    group.bench_function("run_of_45", |bench| {
        bench.iter(|| {
            for counter in next..next + 45 {
                black_box(window.check(counter) && window.mark(counter));
            }
            next += 45;
        });
    });
    let (mut window, mut base, mut word) = (ReplayWindow::new(), 0u64, 1u64);
    group.bench_function("disorder_of_45", |bench| {
        bench.iter(|| {
            for _ in 0..45 {
                word ^= word << 13;
                word ^= word >> 7;
                word ^= word << 17;
                let counter = base + word % 1024;
                black_box(window.check(counter) && window.mark(counter));
            }
            base += 45;
        });
    });
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
