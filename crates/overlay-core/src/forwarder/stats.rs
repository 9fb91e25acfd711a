//! What is counted. Every counter is relaxed and written at most once per superpacket; control reads them whenever it
//! likes and gets values that are each right, though not of one moment.

use crate::forwarder::drop::DropReason;
use core::sync::atomic::Ordering::Relaxed;
use portable_atomic::AtomicU64;

/// One peer's traffic: inner octets and inner packets, keepalives and frames included, as sealed and opened here.
#[derive(Debug, Default)]
pub struct PeerCounters {
    rx_bytes: AtomicU64,
    rx_packets: AtomicU64,
    tx_bytes: AtomicU64,
    tx_packets: AtomicU64,
}

/// A reading of [`PeerCounters`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PeerTraffic {
    /// Octets received.
    pub rx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Octets sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
}

impl PeerCounters {
    /// Adds what was received from the peer.
    pub fn received(&self, packets: u64, bytes: u64) {
        self.rx_packets.fetch_add(packets, Relaxed);
        self.rx_bytes.fetch_add(bytes, Relaxed);
    }

    /// Adds what was sent to the peer.
    pub fn sent(&self, packets: u64, bytes: u64) {
        self.tx_packets.fetch_add(packets, Relaxed);
        self.tx_bytes.fetch_add(bytes, Relaxed);
    }

    /// All four counters.
    pub fn read(&self) -> PeerTraffic {
        PeerTraffic {
            rx_bytes: self.rx_bytes.load(Relaxed),
            rx_packets: self.rx_packets.load(Relaxed),
            tx_bytes: self.tx_bytes.load(Relaxed),
            tx_packets: self.tx_packets.load(Relaxed),
        }
    }
}

/// What the engine counts beside drops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Figure {
    /// Batches that were closed.
    Batches,
    /// Reads from the TUN.
    TunReads,
    /// Reads from the TUN that were superpackets.
    TunSuperpackets,
    /// Writes to the TUN.
    TunWrites,
    /// Writes to the TUN that were superpackets.
    TunSuperwrites,
    /// Reads from the UDP socket.
    UdpReads,
    /// Datagrams in those reads.
    UdpDatagrams,
    /// Sends to the UDP socket.
    UdpTrains,
    /// Datagrams in those sends.
    UdpSegments,
    /// Datagrams carried for others.
    Relayed,
    /// Octets carried for others, as sealed for the next hop.
    RelayedBytes,
    /// ICMPv6 errors written to the TUN.
    IcmpErrors,
}

impl Figure {
    /// Every figure, in the order of the counters.
    pub const ALL: &'static [Figure] = &[
        Figure::Batches,
        Figure::TunReads,
        Figure::TunSuperpackets,
        Figure::TunWrites,
        Figure::TunSuperwrites,
        Figure::UdpReads,
        Figure::UdpDatagrams,
        Figure::UdpTrains,
        Figure::UdpSegments,
        Figure::Relayed,
        Figure::RelayedBytes,
        Figure::IcmpErrors,
    ];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Figure::Batches => "batches",
            Figure::TunReads => "tun_reads",
            Figure::TunSuperpackets => "tun_superpackets",
            Figure::TunWrites => "tun_writes",
            Figure::TunSuperwrites => "tun_superwrites",
            Figure::UdpReads => "udp_reads",
            Figure::UdpDatagrams => "udp_datagrams",
            Figure::UdpTrains => "udp_trains",
            Figure::UdpSegments => "udp_segments",
            Figure::Relayed => "relayed",
            Figure::RelayedBytes => "relayed_bytes",
            Figure::IcmpErrors => "icmp_errors",
        }
    }
}

/// One worker's counters (or several workers', if they share it); behind an `Arc`.
#[derive(Debug)]
pub struct Stats {
    drops: [AtomicU64; DropReason::COUNT],
    figures: [AtomicU64; Figure::ALL.len()],
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            drops: [const { AtomicU64::new(0) }; DropReason::COUNT],
            figures: [const { AtomicU64::new(0) }; Figure::ALL.len()],
        }
    }
}

impl Stats {
    /// Counts one dropped packet.
    pub fn dropped(&self, reason: DropReason) {
        self.drops[reason as usize].fetch_add(1, Relaxed);
    }

    /// How many packets ended so.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize].load(Relaxed)
    }

    /// Adds to a figure.
    pub fn add(&self, figure: Figure, n: u64) {
        self.figures[figure as usize].fetch_add(n, Relaxed);
    }

    /// Reads a figure.
    pub fn figure(&self, figure: Figure) -> u64 {
        self.figures[figure as usize].load(Relaxed)
    }
}
