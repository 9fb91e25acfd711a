//! Data is carried without touching the allocator. One test in this program: others would count as well.
#![allow(clippy::unwrap_used)]

#[path = "net/hosts.rs"]
mod net;

use net::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Calls of this thread: the test harness has a thread of its own, which allocates when it likes.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn noted() {
    ALLOCATIONS.with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; counting has no influence on what it returns.
#[allow(unsafe_code)] // an allocator cannot be written without; the product has none of this
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        noted();
        // SAFETY: the caller's promises are the system's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        noted();
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        noted();
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocator calls of `rounds` runs.
fn count(rounds: u32, mut run: impl FnMut()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    for _ in 0..rounds {
        run();
    }
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn ten_thousand_superpackets_each_way_and_relayed_allocate_nothing() {
    assert!(count(1, || drop(Box::new(1))) > 0, "the counter counts");
    let (mut a, mut relay, mut b) = (Node::new(1), Node::new(2), Node::new(3));
    connect_through(&mut a, &mut relay, &mut b);
    // Four segments are enough of a superpacket here: what is counted is the way, not the octets.
    let (gso, there) = tcp_super(host(1), host(2), 7, 0x10, &bytes(4800), 1200);
    let (_, back) = tcp_super(host(2), host(1), 7, 0x10, &bytes(4800), 1200);
    let (_, through) = tcp_super(host(1), host(3), 7, 0x10, &bytes(4800), 1200);
    let (pinged, lost) = (ping(host(1), host(2), 56), ping(host(1), "2606::1".parse().unwrap(), 56));
    for node in [&mut a, &mut relay, &mut b] {
        node.clear();
    }
    let mut round = || {
        a.read_tun(gso, &there);
        a.read_tun(Default::default(), &pinged);
        a.read_tun(Default::default(), &lost);
        carry(&mut a, &mut relay);
        relay.end();
        relay.clear();
        relay.read_tun(gso, &back);
        carry(&mut relay, &mut a);
        a.end();
        a.clear();
        a.read_tun(gso, &through);
        carry(&mut a, &mut relay);
        carry(&mut relay, &mut b);
        b.end();
        assert_eq!(b.out.writes.len(), 1);
        b.clear();
    };
    count(2, &mut round); // the first packets confirm the keys, which is mail
    assert_eq!(count(10_000, &mut round), 0);
}
