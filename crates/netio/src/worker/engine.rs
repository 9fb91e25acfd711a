//! What a worker asks of its forwarder.

use ln6_overlay_core::forwarder::Forwarder;
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::batch::{Batch, TunRead, UdpRead};
use ln6_overlay_core::forwarder::mail::Update;
use ln6_types::Instant;

/// The forwarder as the worker sees it; tests put something smaller in its place. The methods are documented at [`Forwarder`].
pub trait Engine: Send + 'static {
    /// How the arena is divided.
    fn layout(&self) -> ArenaLayout;
    /// Takes one piece of mail.
    fn apply(&mut self, now: Instant, update: Update, arena: &mut [u8], out: &mut Batch);
    /// A read from the TUN.
    fn inside(&mut self, now: Instant, read: TunRead, arena: &mut [u8], out: &mut Batch);
    /// A read from the socket.
    fn outside(&mut self, now: Instant, read: UdpRead, arena: &mut [u8], out: &mut Batch);
    /// Closes what is open; the batch is sent next.
    fn end_of_batch(&mut self, now: Instant, arena: &mut [u8], out: &mut Batch);
    /// Whether the largest read still fits into this batch.
    fn room(&self, out: &Batch) -> bool;
    /// How full the queue of handshakes is, in percent.
    fn set_queue_fill(&mut self, percent: u8);
}

impl Engine for Forwarder {
    fn layout(&self) -> ArenaLayout {
        self.config().layout
    }

    fn apply(&mut self, now: Instant, update: Update, arena: &mut [u8], out: &mut Batch) {
        Forwarder::apply(self, now, update, arena, out);
    }

    fn inside(&mut self, now: Instant, read: TunRead, arena: &mut [u8], out: &mut Batch) {
        Forwarder::inside(self, now, read, arena, out);
    }

    fn outside(&mut self, now: Instant, read: UdpRead, arena: &mut [u8], out: &mut Batch) {
        Forwarder::outside(self, now, read, arena, out);
    }

    fn end_of_batch(&mut self, now: Instant, arena: &mut [u8], out: &mut Batch) {
        Forwarder::end_of_batch(self, now, arena, out);
    }

    fn room(&self, out: &Batch) -> bool {
        Forwarder::room(self, out)
    }

    fn set_queue_fill(&mut self, percent: u8) {
        Forwarder::set_queue_fill(self, percent);
    }
}
