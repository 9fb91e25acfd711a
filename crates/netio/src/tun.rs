//! The virtual network device: superpackets with a `virtio_net_hdr` where the kernel can, single packets where it cannot.

mod error;
mod open;
mod self_test;
mod split;
pub mod vnet;

pub use error::TunError;
pub use open::{TunOffload, TunOptions, TunSet};
pub use self_test::SelfTest;
pub use vnet::{HEADER_LEN, decode, encode};

use ln6_overlay_core::forwarder::batch::{Gso, GsoKind, Span, TunRead};
use portable_atomic::{AtomicBool, AtomicU64, Ordering};
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

/// Unusable packets that one call of [`Tun::read`] skips before it gives up until the next.
const READ_ATTEMPTS: usize = 16;
/// Pieces that a write gathers without touching the heap: few, or a whole train and its header.
const FEW_PARTS: usize = 8;
const MANY_PARTS: usize = 256;

/// What went wrong at one queue. Written by its worker, read by anyone.
#[derive(Debug, Default)]
pub struct TunCounters {
    /// Packets larger than the slot they were read into.
    pub truncated: AtomicU64,
    /// Packets with a `virtio_net_hdr` that makes no sense or names a segmentation that was not asked for.
    pub malformed: AtomicU64,
    /// Reads that failed otherwise.
    pub read_errors: AtomicU64,
    /// Packets that the device did not take: it is down, or the kernel out of memory.
    pub write_errors: AtomicU64,
    /// The device gives superpackets.
    pub gso: AtomicBool,
    /// It takes them.
    pub gro: AtomicBool,
    /// Superpackets that the kernel refused (`EINVAL`). After one they are divided in software.
    pub superpackets_refused: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One queue of the device.
#[derive(Debug)]
pub struct Tun {
    file: File,
    /// Reads and writes carry a `virtio_net_hdr`.
    vnet: bool,
    coalescing: bool,
    /// What the device may give, as TUNSETOFFLOAD takes it; 0 where that cannot be asked for.
    offers: libc::c_uint,
    /// A superpacket that is being divided.
    scratch: Vec<u8>,
    counters: Arc<TunCounters>,
}

enum Next {
    Packet(TunRead),
    Unusable,
    Empty,
}

impl Tun {
    /// A queue over an open, non-blocking descriptor that is a TUN queue or behaves like one.
    pub(crate) fn from_file(file: File, vnet: bool) -> Self {
        let counters = Arc::new(TunCounters { gro: AtomicBool::new(vnet), ..TunCounters::default() });
        Tun { file, vnet, coalescing: vnet, offers: 0, scratch: Vec::new(), counters }
    }

    /// Its counters.
    pub fn counters(&self) -> Arc<TunCounters> {
        Arc::clone(&self.counters)
    }

    /// Whether superpackets may be written. Falls to `false` for good when the kernel refuses one.
    pub fn coalescing(&self) -> bool {
        self.coalescing
    }

    /// Allows superpackets, if the device can, or forbids them.
    pub fn set_coalescing(&mut self, on: bool) {
        self.coalescing = on && self.vnet;
        self.counters.gro.store(self.coalescing, Ordering::Relaxed);
    }

    /// Asks the device for superpackets, if it can, or to divide them before we read. Those that wait already come as they
    /// are.
    pub fn set_gso(&mut self, on: bool) {
        if self.offers == 0 {
            return;
        }
        let mask = if on { self.offers } else { 0 };
        match open::request_offload(&self.file, mask) {
            Ok(()) => self.counters.gso.store(on, Ordering::Relaxed),
            Err(error) => tracing::info!(%error, on, "the device's offloads stay as they were"),
        }
    }

    /// Reads one packet or superpacket into `slot` of the arena; `None` when there is none.
    ///
    /// A slot of 65536 octets holds everything that the kernel gives (unless "big TCP" was switched on); larger packets are dropped and
    /// counted.
    ///
    /// # Errors
    /// Only those that do not go away by themselves, such as `EBADFD` once the device was deleted.
    pub fn read(&mut self, arena: &mut [u8], slot: Span) -> io::Result<Option<TunRead>> {
        let Some(buffer) = arena.get_mut(slot.range()) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        for _ in 0..READ_ATTEMPTS {
            match self.read_once(buffer, slot.at)? {
                Next::Packet(read) => return Ok(Some(read)),
                Next::Empty => return Ok(None),
                Next::Unusable => {}
            }
        }
        Ok(None)
    }

    fn read_once(&mut self, buffer: &mut [u8], at: u32) -> io::Result<Next> {
        let room = buffer.len();
        let mut header = [0; HEADER_LEN];
        let result = if self.vnet {
            self.file.read_vectored(&mut [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)])
        } else {
            self.file.read(buffer).map(|len| len + HEADER_LEN)
        };
        let len = match result {
            Ok(len) => len.saturating_sub(HEADER_LEN),
            Err(error) => return self.read_failed(error),
        };
        if len == room {
            // The kernel cuts silently: a slot filled to the brim is a packet that did not fit.
            count(&self.counters.truncated);
            return Ok(Next::Unusable);
        }
        let Some(gso) = decode(&header, len) else {
            count(&self.counters.malformed);
            return Ok(Next::Unusable);
        };
        Ok(Next::Packet(TunRead { gso, all: Span::new(at, len as u32) }))
    }

    fn read_failed(&self, error: io::Error) -> io::Result<Next> {
        match error.kind() {
            ErrorKind::WouldBlock => Ok(Next::Empty),
            ErrorKind::Interrupted => Ok(Next::Unusable),
            _ if error.raw_os_error() == Some(libc::EBADFD) => Err(error),
            _ => {
                count(&self.counters.read_errors);
                Ok(Next::Empty)
            }
        }
    }

    /// Writes one packet or superpacket, gathered from `parts` of the arena. Whatever fails is counted, nothing is fatal.
    ///
    /// When the kernel refuses a superpacket (some kernels do), [`Tun::coalescing`] becomes `false`; this and every later
    /// one is divided in software, as on a plain device.
    pub fn write(&mut self, gso: &Gso, arena: &[u8], parts: &[Span]) {
        let is_super = gso.kind != GsoKind::None;
        if (is_super && !self.coalescing) || (gso.needs_csum && !self.vnet) {
            return self.write_divided(gso, arena, parts);
        }
        let Err(error) = self.gather(&encode(gso), arena, parts) else { return };
        if error.raw_os_error() == Some(libc::EINVAL) && is_super {
            count(&self.counters.superpackets_refused);
            self.set_coalescing(false);
            tracing::warn!(
                ?gso,
                "the kernel refuses superpackets on the TUN: writing packet by packet from now on"
            );
            self.write_divided(gso, arena, parts);
        } else {
            count(&self.counters.write_errors);
        }
    }

    fn write_divided(&mut self, gso: &Gso, arena: &[u8], parts: &[Span]) {
        let mut whole = std::mem::take(&mut self.scratch);
        whole.clear();
        parts
            .iter()
            .filter_map(|part| arena.get(part.range()))
            .for_each(|part| whole.extend_from_slice(part));
        let header = [0; HEADER_LEN];
        let divided = split::split(gso, &mut whole, |packet| {
            if self.gather(&header, packet, &[Span::new(0, packet.len() as u32)]).is_err() {
                count(&self.counters.write_errors);
            }
        });
        if divided.is_none() {
            count(&self.counters.write_errors);
        }
        self.scratch = whole;
    }

    fn gather(&self, header: &[u8; HEADER_LEN], arena: &[u8], parts: &[Span]) -> io::Result<()> {
        if parts.len() < FEW_PARTS {
            self.gather_in(&mut [IoSlice::new(&[]); FEW_PARTS], header, arena, parts)
        } else if parts.len() < MANY_PARTS {
            self.gather_in(&mut [IoSlice::new(&[]); MANY_PARTS], header, arena, parts)
        } else {
            self.gather_in(&mut vec![IoSlice::new(&[]); parts.len() + 1], header, arena, parts)
        }
    }

    fn gather_in<'a>(
        &self,
        slices: &mut [IoSlice<'a>],
        header: &'a [u8],
        arena: &'a [u8],
        parts: &[Span],
    ) -> io::Result<()> {
        slices[0] = IoSlice::new(header);
        for (slice, part) in slices[1..].iter_mut().zip(parts) {
            *slice = IoSlice::new(arena.get(part.range()).ok_or(ErrorKind::InvalidInput)?);
        }
        let from = usize::from(!self.vnet);
        loop {
            match (&self.file).write_vectored(&slices[from..=parts.len()]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other.map(|_| ()),
            }
        }
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Tun {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::tun_pair;
    use ln6_overlay_core::forwarder::batch::{Gso, GsoKind, Span};
    use portable_atomic::Ordering;

    const TCP: Gso = Gso {
        kind: GsoKind::TcpV6,
        needs_csum: true,
        hdr_len: 60,
        size: 1000,
        csum_start: 40,
        csum_offset: 16,
    };

    #[test]
    fn a_superpacket_is_read_into_its_slot_with_its_header_apart() {
        let (mut tun, end) = tun_pair(true).unwrap();
        let packet: Vec<u8> = (0..3060u32).map(|n| n as u8).collect();
        end.send(&TCP, &packet).unwrap();
        let mut arena = vec![0; 70_000];
        let read = tun.read(&mut arena, Span::new(100, 65_536)).unwrap().expect("a packet");
        assert_eq!(read.gso, TCP);
        assert_eq!(read.all, Span::new(100, 3060));
        assert_eq!(&arena[read.all.range()], &packet[..]);
        assert_eq!(tun.read(&mut arena, Span::new(100, 65_536)).unwrap(), None);
    }

    #[test]
    fn parts_are_written_in_order_behind_one_header() {
        let (mut tun, end) = tun_pair(true).unwrap();
        let arena: Vec<u8> = (0..=255).collect();
        for parts in [1usize, 7, 8, 100, 300] {
            let spans: Vec<Span> = (0..parts as u32).map(|n| Span::new(n % 200, 3)).collect();
            let expected: Vec<u8> = spans.iter().flat_map(|span| arena[span.range()].to_vec()).collect();
            tun.write(&Gso::default(), &arena, &spans);
            assert_eq!(end.recv().unwrap(), (Gso::default(), expected), "{parts} parts");
        }
    }

    #[test]
    fn nonsense_is_skipped_and_counted() {
        let (mut tun, end) = tun_pair(true).unwrap();
        end.send(&TCP, &[0; 30]).unwrap();
        end.send(&Gso { size: 0, ..TCP }, &[0; 3000]).unwrap();
        end.send(&Gso::default(), &[9; 4096]).unwrap();
        end.send(&Gso::default(), &[7; 40]).unwrap();
        let mut arena = vec![0; 4096];
        let read = tun.read(&mut arena, Span::new(0, 4096)).unwrap().expect("the good one");
        assert_eq!(arena[read.all.range()], [7; 40]);
        assert_eq!(tun.counters().malformed.load(Ordering::Relaxed), 2);
        assert_eq!(tun.counters().truncated.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_plain_device_carries_packets_without_a_header_and_superpackets_divided() {
        let (mut tun, end) = tun_pair(false).unwrap();
        assert!(!tun.coalescing());
        end.send(&Gso::default(), &[6; 80]).unwrap();
        let mut arena = vec![0; 2048];
        let read = tun.read(&mut arena, Span::new(0, 2048)).unwrap().expect("a packet");
        assert_eq!((read.all.len, read.gso), (80, Gso::default()));
        tun.write(&Gso::default(), &arena, &[Span::new(0, 80)]);
        assert_eq!(end.recv().unwrap().1, [6; 80]);
        arena[0] = 0x60;
        arena[52] = 5 << 4;
        tun.write(&TCP, &arena, &[Span::new(0, 60), Span::new(60, 1500)]);
        assert_eq!([0; 2].map(|_| end.recv().unwrap().1.len()), [1060, 560]);
    }

    #[test]
    fn superpackets_are_divided_once_they_were_forbidden() {
        let (mut tun, end) = tun_pair(true).unwrap();
        let mut arena = vec![0; 2048];
        (arena[0], arena[52]) = (0x60, 5 << 4);
        tun.write(&TCP, &arena, &[Span::new(0, 1560)]);
        assert_eq!(end.recv().unwrap().0, TCP);
        tun.set_coalescing(false);
        tun.write(&TCP, &arena, &[Span::new(0, 1560)]);
        assert_eq!(
            [0; 2].map(|_| end.recv().unwrap()).map(|(gso, packet)| (gso, packet.len())),
            [(Gso::default(), 1060), (Gso::default(), 560)]
        );
        tun.write(&TCP, &arena, &[Span::new(0, 59)]);
        assert_eq!(tun.counters().write_errors.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_slot_outside_the_arena_is_an_error() {
        let (mut tun, _end) = tun_pair(true).unwrap();
        assert!(tun.read(&mut [0; 10], Span::new(0, 20)).is_err());
    }
}
