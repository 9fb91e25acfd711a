//! Transport keys as the workers hold them.

use crate::PeerIdx;
use crate::forwarder::frame::RELAY_HEADER;
use core::sync::atomic::Ordering::Relaxed;
use ln6_crypto::message::{RELAYED_LEAST, RELAYED_TEXT, TAG, TRANSPORT_HEADER, write_relayed_header};
use ln6_crypto::replay::ReplayWindow;
use ln6_crypto::seal::{Aead, Suite};
use ln6_types::Instant;
use portable_atomic::AtomicU64;

/// How many low bits of a receiver index name the worker that owns the key; the rest is random.
pub const WORKER_BITS: u32 = 3;

/// The worker that owns the receive key with this index.
pub const fn worker_of(index: u32) -> u8 {
    (index & ((1 << WORKER_BITS) - 1)) as u8
}

/// A receiver index owned by `worker` (0 to 7), the rest taken from 32 random bits.
pub const fn index_for(worker: u8, random: u32) -> u32 {
    (random << WORKER_BITS) | (worker as u32 & ((1 << WORKER_BITS) - 1))
}

/// A sending key, shared by all workers through an `Arc`: the counter is the only word they contend for.
#[derive(Debug)]
pub struct SendKey {
    key: Aead,
    receiver: u32,
    next: AtomicU64,
    expires: Instant,
}

impl SendKey {
    /// A fresh key: `receiver` is the index the other end gave; nothing is sealed from `expires` on (the session's birth
    /// and WireGuard's `REJECT_AFTER_TIME`).
    pub const fn new(receiver: u32, key: Aead, expires: Instant) -> Self {
        SendKey { key, receiver, next: AtomicU64::new(0), expires }
    }

    /// What it seals with.
    pub const fn suite(&self) -> Suite {
        self.key.suite()
    }

    /// The first of `n` counters that nobody else gets; `None` when the key has not that many left (its suite says how many it
    /// has: [`Suite::reject_after_messages`]).
    ///
    /// Not a plain `fetch_add`: that would go on counting past the limit and wrap in the end.
    pub fn reserve(&self, n: u16) -> Option<u64> {
        let n = u64::from(n);
        let limit = self.suite().reject_after_messages();
        let step = |next: u64| next.checked_add(n).filter(|after| *after <= limit);
        self.next.fetch_update(Relaxed, Relaxed, step).ok()
    }

    /// Whether the `n` counters from `first` on pass the number after which a new handshake is due.
    pub fn wears(&self, first: u64, n: u16) -> bool {
        let due = self.suite().rekey_after_messages();
        first < due && first + u64::from(n) >= due
    }

    /// Whether that number was passed by whatever was sealed with it, relayed packets included.
    pub fn is_worn(&self) -> bool {
        self.sent() >= self.suite().rekey_after_messages()
    }

    /// How many counters were given out.
    pub fn sent(&self) -> u64 {
        self.next.load(Relaxed)
    }

    /// The receiver index that the other end gave.
    pub const fn receiver(&self) -> u32 {
        self.receiver
    }

    /// When the key may no longer be used.
    pub const fn expires(&self) -> Instant {
        self.expires
    }

    /// Seals `buf[..len]`, tag after it, under a counter of [`reserve`](Self::reserve).
    pub(crate) fn seal(&self, counter: u64, buf: &mut [u8], len: usize) {
        self.key.seal_in_place(counter, buf, len);
    }

    /// Seals the head of a relayed datagram, of which everything but header and tag is written, under a counter of
    /// [`reserve`](Self::reserve).
    pub(crate) fn seal_relayed(&self, counter: u64, datagram: &mut [u8]) {
        if let Some((front, head, bound)) = relayed_parts(datagram) {
            let (header, tag) = front.split_at_mut(TRANSPORT_HEADER);
            if let Some(header) = header.first_chunk_mut() {
                write_relayed_header(header, self.receiver, counter);
            }
            tag.copy_from_slice(&self.key.seal_head(counter, &bound, head));
        }
    }

    #[cfg(test)]
    pub(crate) fn skip_to(&self, counter: u64) {
        self.next.store(counter, Relaxed);
    }
}

/// A receiving key. Not `Clone`: the one copy moves to the worker that owns it, so that its window needs no lock.
#[derive(Debug)]
pub struct ReceiveKey {
    index: u32,
    peer: PeerIdx,
    key: Aead,
    window: ReplayWindow,
    heard: bool,
    expires: Instant,
}

impl ReceiveKey {
    /// A key nobody has used: `index` is what we told the other end (its low bits name the worker, [`index_for`]);
    /// nothing is opened from `expires` on.
    pub fn new(index: u32, peer: PeerIdx, key: Aead, expires: Instant) -> Self {
        ReceiveKey { index, peer, key, window: ReplayWindow::new(), heard: false, expires }
    }

    /// Our receiver index.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Whose key it is.
    pub const fn peer(&self) -> PeerIdx {
        self.peer
    }

    /// When the key may no longer be used.
    pub const fn expires(&self) -> Instant {
        self.expires
    }

    /// Opens `sealed` (text and tag) in place if its counter is new and within the limit of the suite, and marks the counter.
    pub(crate) fn open(&mut self, counter: u64, sealed: &mut [u8]) -> Result<Opened, OpenFailure> {
        if counter >= self.key.suite().reject_after_messages() || !self.window.check(counter) {
            return Err(OpenFailure::Replay);
        }
        let len = self.key.open_in_place(counter, sealed).map_err(|_| OpenFailure::BadTag)?;
        Ok(self.opened(counter, len))
    }

    /// The same for a relayed datagram: its head is opened in place, what it is bound to is not looked at. The length is that of
    /// the frame.
    pub(crate) fn open_relayed(&mut self, counter: u64, datagram: &mut [u8]) -> Result<Opened, OpenFailure> {
        if counter >= self.key.suite().reject_after_messages() || !self.window.check(counter) {
            return Err(OpenFailure::Replay);
        }
        let len = datagram.len();
        let (front, head, bound) = relayed_parts(datagram).ok_or(OpenFailure::BadTag)?;
        let tag = *front.last_chunk::<TAG>().ok_or(OpenFailure::BadTag)?;
        self.key.open_head(counter, &bound, head, tag).map_err(|_| OpenFailure::BadTag)?;
        Ok(self.opened(counter, len - RELAYED_TEXT))
    }

    fn opened(&mut self, counter: u64, len: usize) -> Opened {
        let newest = self.window.highest().is_none_or(|highest| counter > highest);
        self.window.mark(counter);
        let first = !core::mem::replace(&mut self.heard, true);
        Opened { len, newest, first }
    }
}

/// A relayed datagram: header and tag; the head that is sealed again at each hop, which reaches to the end of the inner
/// datagram's header; and the inner datagram's tag, to which the head is bound.
fn relayed_parts(datagram: &mut [u8]) -> Option<(&mut [u8], &mut [u8], [u8; TAG])> {
    let bound = *datagram.last_chunk::<TAG>()?;
    if datagram.len() < RELAYED_LEAST {
        return None;
    }
    let (front, rest) = datagram.split_at_mut(RELAYED_TEXT);
    Some((front, &mut rest[..RELAY_HEADER + TRANSPORT_HEADER], bound))
}

/// What opening a datagram told beside its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Opened {
    /// Octets of text.
    pub(crate) len: usize,
    /// The counter is above all before.
    pub(crate) newest: bool,
    /// The key's first authentic datagram.
    pub(crate) first: bool,
}

/// Why a datagram does not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OpenFailure {
    /// Its counter was seen, or is too old to tell, or beyond the limit.
    Replay,
    /// It is not authentic.
    BadTag,
}

#[cfg(test)]
mod tests {
    use super::*;
    use ln6_crypto::timers::{REJECT_AFTER_MESSAGES, REKEY_AFTER_MESSAGES};

    fn aead(suite: Suite) -> Aead {
        Aead::new(suite, &[1; 32]).expect("suite")
    }

    fn key() -> SendKey {
        SendKey::new(1, aead(Suite::ChaCha20Poly1305), Instant::FAR_FUTURE)
    }

    #[test]
    fn aes_gcm_seals_two_to_the_32_messages_and_is_due_at_half_of_them() {
        let key = SendKey::new(1, aead(Suite::Aes256Gcm), Instant::FAR_FUTURE);
        key.skip_to((1 << 31) - 1);
        assert!(!key.is_worn());
        let first = key.reserve(1).expect("a counter");
        assert!(key.wears(first, 1) && key.is_worn());
        key.skip_to((1 << 32) - 2);
        assert_eq!(key.reserve(3), None);
        assert_eq!(key.reserve(2), Some((1 << 32) - 2));
        assert_eq!(key.reserve(1), None);
        assert_eq!(key.sent(), 1 << 32);
    }

    #[test]
    fn what_lies_beyond_the_limit_of_its_suite_is_not_opened() {
        for (suite, limit) in [(Suite::Aes256Gcm, 1 << 32), (Suite::ChaCha20Poly1305, REJECT_AFTER_MESSAGES)]
        {
            let open = |counter| {
                let mut sealed = [0; 4 + TAG];
                aead(suite).seal_in_place(counter, &mut sealed, 4);
                ReceiveKey::new(1, PeerIdx(1), aead(suite), Instant::FAR_FUTURE).open(counter, &mut sealed)
            };
            assert!(open(limit - 1).is_ok());
            assert_eq!(open(limit), Err(OpenFailure::Replay));
        }
    }

    #[test]
    fn counters_are_given_out_once_and_stop_at_the_limit() {
        let key = key();
        assert_eq!(key.reserve(45), Some(0));
        assert_eq!(key.reserve(1), Some(45));
        key.skip_to(REJECT_AFTER_MESSAGES - 2);
        assert_eq!(key.reserve(3), None);
        assert_eq!(key.reserve(2), Some(REJECT_AFTER_MESSAGES - 2));
        assert_eq!(key.reserve(1), None);
        assert_eq!(key.sent(), REJECT_AFTER_MESSAGES);
    }

    #[test]
    fn a_key_wears_once() {
        let key = key();
        assert!(!key.wears(0, 45));
        assert!(key.wears(REKEY_AFTER_MESSAGES - 1, 1));
        assert!(!key.wears(REKEY_AFTER_MESSAGES, 1));
    }

    #[test]
    fn an_index_names_its_worker() {
        for worker in 0..8 {
            assert_eq!(worker_of(index_for(worker, 0xdead_beef)), worker);
        }
    }
}
