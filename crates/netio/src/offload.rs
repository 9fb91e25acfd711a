//! What the kernel may do for us, rung by rung. Without any of them everything works, packet by packet.

use crate::worker::WorkerCounters;
use portable_atomic::{AtomicBool, Ordering};

/// One rung. Each can be used or left while packets flow; none is lost on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offload {
    /// The device gives superpackets (TSO, USO), which we divide.
    TunGso,
    /// The device takes superpackets, which we merge.
    TunGro,
    /// The kernel divides trains into datagrams (`UDP_SEGMENT`).
    UdpGso,
    /// The kernel merges datagrams into trains (`UDP_GRO`).
    UdpGro,
}

impl Offload {
    /// All, from the device to the wire.
    pub const ALL: [Offload; 4] = [Offload::TunGso, Offload::TunGro, Offload::UdpGso, Offload::UdpGro];

    /// As it is called on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Offload::TunGso => "tun-gso",
            Offload::TunGro => "tun-gro",
            Offload::UdpGso => "udp-gso",
            Offload::UdpGro => "udp-gro",
        }
    }

    /// Reads [`name`](Self::name).
    pub fn of(name: &str) -> Option<Offload> {
        Offload::ALL.into_iter().find(|offload| offload.name() == name)
    }

    /// Whether a worker uses it: the kernel has it, has not refused it, and nobody has switched it off.
    pub fn is_used(self, worker: &WorkerCounters) -> bool {
        let read = |used: &AtomicBool| used.load(Ordering::Relaxed);
        match self {
            Offload::TunGso => worker.tun.as_ref().is_some_and(|tun| read(&tun.gso)),
            Offload::TunGro => worker.tun.as_ref().is_some_and(|tun| read(&tun.gro)),
            Offload::UdpGso => read(&worker.udp.segmentation),
            Offload::UdpGro => read(&worker.udp.gro),
        }
    }
}
