//! What is left of a key in memory once it is dropped (DESIGN 10, 7). The freed place is looked at through
//! `/proc/self/mem`; an array that nobody wipes shows that the look can find something.
#![allow(clippy::unwrap_used)]

use ln6_crypto::SigningKey;
use ln6_crypto::handshake::Ephemeral;
use ln6_crypto::keys::{Psk, StaticSecret};
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;

/// Not what an allocator or anybody else writes.
const SECRET: [u8; 32] = *b"\xA7not ever to be found in memory.";

/// How many octets of the secret stand, in their order, in the place that `held` had after it was dropped.
///
/// An allocator keeps its own words at the beginning of what is free; what lies behind is as it was left.
fn left_of<T>(held: T) -> usize {
    // Opened and allocated before, so that neither takes the place.
    let (memory, mut found) = (File::open("/proc/self/mem").unwrap(), vec![0; size_of::<T>()]);
    let held = black_box(Box::new(held));
    let place = std::ptr::from_ref(&*held).addr();
    drop(held);
    memory.read_exact_at(&mut found, place as u64).unwrap();
    (1..=SECRET.len())
        .rev()
        .find(|run| SECRET.windows(*run).any(|part| found.windows(*run).any(|window| window == part)))
        .unwrap_or(0)
}

#[test]
fn a_key_that_was_dropped_is_not_in_the_place_it_had() {
    assert!(left_of(SECRET) >= 8, "the look would find what nobody wiped");
    // Single octets may coincide.
    assert!(left_of(Psk::from_bytes(SECRET)) < 4, "a pre-shared key");
    assert!(left_of(Ephemeral::from_seed(SECRET)) < 4, "an ephemeral seed");
    assert!(left_of(StaticSecret::from_bytes(SECRET)) < 4, "a static secret");
    assert!(left_of(SigningKey::from_seed(SECRET)) < 4, "a signing seed");
}
