//! Sealing and opening in place: single packets, and the 45 segments of a superpacket.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ln6_crypto::seal::{Aead, Suite};
use std::hint::black_box;

const TAG: usize = 16;

fn seal(c: &mut Criterion) {
    for suite in [Suite::ChaCha20Poly1305, Suite::Aes256Gcm] {
        let Ok(key) = Aead::new(suite, &[7; 32]) else { continue };
        let mut group = c.benchmark_group(format!("{suite:?}"));
        for (len, count) in [(64, 1), (576, 1), (1420, 1), (1420, 45)] {
            let name = format!("{len}x{count}");
            group.throughput(Throughput::Bytes((len * count) as u64));
            let mut buf = vec![0u8; (len + TAG) * count];
            let mut counter = 0;
            group.bench_function(BenchmarkId::new("seal", &name), |b| {
                b.iter(|| {
                    for packet in buf.chunks_mut(len + TAG) {
                        counter += 1;
                        key.seal_in_place(counter, black_box(packet), len);
                    }
                });
            });
            for (at, packet) in buf.chunks_mut(len + TAG).enumerate() {
                key.seal_in_place(at as u64, packet, len);
            }
            group.bench_function(BenchmarkId::new("open", &name), |b| {
                let open = |mut sealed: Vec<u8>| {
                    for (at, packet) in sealed.chunks_mut(len + TAG).enumerate() {
                        key.open_in_place(at as u64, black_box(packet)).expect("authentic");
                    }
                    sealed
                };
                b.iter_batched(|| buf.clone(), open, BatchSize::SmallInput);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, seal);
criterion_main!(benches);
