//! A whole handshake, both sides and both macs.

use criterion::{Criterion, criterion_group, criterion_main};
use ln6_crypto::cookie::{CookieChecker, CookieJar};
use ln6_crypto::handshake::{Ephemeral, Initiator, Received, Tai64n};
use ln6_crypto::keys::{Psk, StaticSecret};
use ln6_crypto::message::{INITIATION_LEN, RESPONSE_LEN};
use ln6_crypto::seal::Suite;
use ln6_types::Instant;
use std::hint::black_box;

fn handshake(c: &mut Criterion) {
    let (me, peer) = (StaticSecret::from_bytes([1; 32]), StaticSecret::from_bytes([2; 32]));
    let mut group = c.benchmark_group("handshake");
    let both = [
        ("both_sides", &[Suite::Aes256Gcm][..]),
        ("both_sides_at_the_second_suite", &[Suite::ChaCha20Poly1305, Suite::Aes256Gcm]),
    ];
    for (name, tries) in both {
        group.bench_function(name, |b| {
            let (mut to_peer, mut to_me) = (CookieJar::new(&peer.public()), CookieJar::new(&me.public()));
            let now = Instant::ZERO;
            b.iter(|| {
                let (mut first, mut second) = ([0; INITIATION_LEN], [0; RESPONSE_LEN]);
                let ephemeral = Ephemeral::from_seed([3; 32]);
                let stamp = Tai64n::from_unix(1, 0);
                let initiator =
                    Initiator::start(&me, &peer.public(), 1, stamp, ephemeral, &mut first).expect("start");
                to_peer.write_macs(now, &mut first);
                let received = Received::read(&peer, &first).expect("read");
                let ephemeral = Ephemeral::from_seed([4; 32]);
                let theirs =
                    received.answer(&Psk::NONE, Suite::Aes256Gcm, 2, ephemeral, &mut second).expect("answer");
                to_me.write_macs(now, &mut second);
                let ours = initiator.finish(&Psk::NONE, tries, &second).expect("finish");
                black_box((theirs, ours))
            });
        });
    }
    group.bench_function("a_forged_mac1_refused", |b| {
        let checker = CookieChecker::new(&peer.public(), Instant::ZERO, [5; 32]);
        let mut message = [0; INITIATION_LEN];
        message[0] = 1;
        b.iter(|| checker.check(black_box(&message)).is_some());
    });
    group.finish();
}

criterion_group!(benches, handshake);
criterion_main!(benches);
