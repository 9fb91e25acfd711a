//! TUN and UDP in batches: this crate never looks into a session, holds a key that it could use, or decides where a packet goes.
//!
//! The forwarder (crate `ln6-overlay-core`) speaks in offsets into one arena; here those offsets meet system calls. Every offload has a
//! self-test or a latch and something slower to fall back to, and every packet lost here is counted.
//!
//! - [`tun`]: the virtual device, with `virtio_net_hdr` superpackets, or plain.
//! - [`udp`]: one socket per worker, `UDP_GRO` in, `UDP_SEGMENT` out, steering by receiver index.
//! - [`worker`]: the thread that runs both to completion, with a mailbox from control and event queues to it.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod clock;
mod events;
mod mailbox;
pub mod memory;
mod offload;
mod poll;
pub mod tun;
pub mod udp;
pub mod worker;

pub use clock::Clock;
pub use events::{EventReceiver, EventSender, Failure, event_queues};
pub use mailbox::{Mail, MailSender, Mailbox, mailbox};
pub use offload::Offload;
pub use poll::Wake;
