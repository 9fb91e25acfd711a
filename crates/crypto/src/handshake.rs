//! WireGuard's handshake: Noise_IKpsk2 in messages 1 and 2, as states that are consumed.
//!
//! The PSK enters with message 2 only, so the responder may look it up after it knows who asks and choose a [`Suite`], and
//! the initiator may try one suite after the other on the same answer. snow does not wipe its chaining key and hash; secrets, ephemerals, PSKs
//! and cipher keys are wiped here.

use crate::keys::{Psk, StaticSecret};
use crate::message::{INITIATION_LEN, Kind, MACS, RESPONSE_LEN, word};
use crate::resolver::{Resolver, Seed};
use crate::seal::{Aead, Suite, SuiteMissing};
use core::fmt;
use ln6_types::PublicKey;
use snow::{Builder, HandshakeState};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const PATTERN: &str = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const IDENTIFIER: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";
const PSK_SLOT: usize = 2;

/// Why a handshake message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// Its type or reserved octets are wrong.
    #[error("not the handshake message expected")]
    Form,
    /// It answers another initiation.
    #[error("the answer names another index")]
    Index,
    /// A Diffie-Hellman result is all zeros: the peer sent a point of small order.
    #[error("a public key is of small order")]
    SmallOrder,
    /// A field is not authentic: forged, damaged, for another key, or under another PSK.
    #[error("not authentic under these keys")]
    Forged,
    /// The Noise machine refused for another reason; this is a mistake of ours.
    #[error("the Noise machine refused")]
    Machine,
}

impl From<snow::Error> for HandshakeError {
    fn from(error: snow::Error) -> Self {
        match error {
            snow::Error::Dh => HandshakeError::SmallOrder,
            snow::Error::Decrypt => HandshakeError::Forged,
            _ => HandshakeError::Machine,
        }
    }
}

/// A TAI64N stamp, which orders the initiations of a peer. Ordered as its octets are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tai64n([u8; 12]);

impl Tai64n {
    /// Before every stamp of a clock.
    pub const ZERO: Tai64n = Tai64n([0; 12]);
    /// The TAI64 label of the Unix epoch, as WireGuard counts it.
    const EPOCH: u64 = 0x4000_0000_0000_000a;
    /// What whitening leaves of a second: steps of 2^24 ns, about 16.8 ms.
    const STEP: u32 = 1 << 24;

    /// The stamp of a time since 1970, with the low 24 bits of the nanoseconds cleared so that it tells little about the
    /// clock. Nanoseconds beyond a second count as its last one.
    pub const fn from_unix(secs: u64, nanos: u32) -> Self {
        let nanos = if nanos > 999_999_999 { 999_999_999 } else { nanos };
        Self::join(Self::EPOCH.saturating_add(secs), nanos & !(Self::STEP - 1))
    }

    /// The stamp of these octets, unchecked: stamps of others are compared and nothing else.
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Tai64n(bytes)
    }

    /// The octets.
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// The smallest whitened stamp after this one; the greatest stamp of all has none and stays.
    pub fn next(self) -> Self {
        let [a, b, c, d, e, f, g, h, nanos @ ..] = self.0;
        let secs = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let nanos = (u32::from_be_bytes(nanos) & !(Self::STEP - 1)).saturating_add(Self::STEP);
        if nanos < 1_000_000_000 {
            return Self::join(secs, nanos);
        }
        secs.checked_add(1).map_or(Tai64n([0xff; 12]), |secs| Self::join(secs, 0))
    }

    const fn join(secs: u64, nanos: u32) -> Self {
        let [a, b, c, d, e, f, g, h] = secs.to_be_bytes();
        let [i, j, k, l] = nanos.to_be_bytes();
        Tai64n([a, b, c, d, e, f, g, h, i, j, k, l])
    }
}

impl fmt::Debug for Tai64n {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", ln6_types::Hex(&self.0))
    }
}

/// The random seed of one ephemeral key; used for one message. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Ephemeral([u8; 32]);

impl Ephemeral {
    /// 32 octets from the random source.
    pub const fn from_seed(seed: [u8; 32]) -> Self {
        Ephemeral(seed)
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral(..)")
    }
}

/// One direction's key of a session. Wiped when dropped, never shown.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TransportKey([u8; 32]);

impl TransportKey {
    /// The AEAD of this key.
    pub fn aead(&self, suite: Suite) -> Result<Aead, SuiteMissing> {
        Aead::new(suite, &self.0)
    }

    /// The key itself, for tests and key logs.
    pub fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransportKey(..)")
    }
}

/// What a handshake leaves: two keys, whose counters start at 0, and the names both sides gave the session.
#[derive(Debug)]
pub struct SessionKeys {
    /// Seals what we send.
    pub send: TransportKey,
    /// Opens what we receive.
    pub receive: TransportKey,
    /// The peer's index: goes into the header of what we send.
    pub send_index: u32,
    /// Our index: comes in the header of what we receive.
    pub receive_index: u32,
    /// What both sides agreed to seal with.
    pub suite: Suite,
}

/// An initiation was sent; the answer is awaited.
pub struct Initiator {
    noise: Box<HandshakeState>,
    index: u32,
}

impl Initiator {
    /// Writes an initiation to `out`, with mac1 and mac2 still zero (see [`CookieJar`](crate::cookie::CookieJar)).
    ///
    /// # Errors
    /// [`HandshakeError::SmallOrder`] if `peer` is no usable public key.
    pub fn start(
        me: &StaticSecret,
        peer: &PublicKey,
        index: u32,
        stamp: Tai64n,
        ephemeral: Ephemeral,
        out: &mut [u8; INITIATION_LEN],
    ) -> Result<Initiator, HandshakeError> {
        let (mut noise, seed) = machine(me, Some(peer))?;
        seed.fill(Zeroizing::new(ephemeral.0));
        out.fill(0);
        Kind::Initiation.write_head(out);
        out[4..8].copy_from_slice(&index.to_le_bytes());
        noise.write_message(stamp.as_bytes(), &mut out[8..INITIATION_LEN - MACS])?;
        Ok(Initiator { noise, index })
    }

    /// The index that the initiation carries.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Reads the answer under a PSK and the first of `suites` that fits; the most likely one goes first. What is refused
    /// leaves the state as it was, so a forged answer harms nothing. Trying another suite costs some hashes: the
    /// Diffie-Hellman results of one answer are computed once.
    ///
    /// # Errors
    /// The state and why `message` is not the answer.
    pub fn finish(
        mut self,
        psk: &Psk,
        suites: &[Suite],
        message: &[u8; RESPONSE_LEN],
    ) -> Result<SessionKeys, (Initiator, HandshakeError)> {
        let mut refused = HandshakeError::Forged;
        for &suite in suites {
            match self.read(&psk.for_suite(suite), message) {
                Ok(()) => {
                    let (send, receive) = split(&mut self.noise);
                    let (send_index, receive_index) = (word(message, 4), self.index);
                    return Ok(SessionKeys { send, receive, send_index, receive_index, suite });
                }
                Err(HandshakeError::Forged) => {}
                // No other key in the slot changes anything about this.
                Err(error) => {
                    refused = error;
                    break;
                }
            }
        }
        Err((self, refused))
    }

    fn read(&mut self, psk: &Psk, message: &[u8; RESPONSE_LEN]) -> Result<(), HandshakeError> {
        if !Kind::Response.is_head_of(message) {
            return Err(HandshakeError::Form);
        }
        if word(message, 8) != self.index {
            return Err(HandshakeError::Index);
        }
        self.noise.set_psk(PSK_SLOT, psk.as_bytes())?;
        let read = self.noise.read_message(&message[12..RESPONSE_LEN - MACS], &mut []);
        self.noise.set_psk(PSK_SLOT, Psk::NONE.as_bytes())?;
        read.map(|_| ()).map_err(HandshakeError::from)
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Initiator({:#x})", self.index)
    }
}

/// An authentic initiation was read; it may be answered. Whether its stamp is greater than all before is the caller's
/// question: until then it may be a replay.
pub struct Received {
    noise: Box<HandshakeState>,
    seed: Seed,
    peer: PublicKey,
    stamp: Tai64n,
    sender: u32,
}

impl Received {
    /// Reads an initiation. The caller has checked mac1.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn read(me: &StaticSecret, message: &[u8; INITIATION_LEN]) -> Result<Received, HandshakeError> {
        if !Kind::Initiation.is_head_of(message) {
            return Err(HandshakeError::Form);
        }
        let (mut noise, seed) = machine(me, None)?;
        let mut stamp = [0; 12];
        noise.read_message(&message[8..INITIATION_LEN - MACS], &mut stamp)?;
        let peer = noise.get_remote_static().and_then(|key| key.try_into().ok());
        let peer = PublicKey(peer.ok_or(HandshakeError::Machine)?);
        Ok(Received { noise, seed, peer, stamp: Tai64n(stamp), sender: word(message, 4) })
    }

    /// Who asks.
    pub fn peer(&self) -> PublicKey {
        self.peer
    }

    /// When it says it asked.
    pub fn stamp(&self) -> Tai64n {
        self.stamp
    }

    /// The index it gave the session.
    pub fn sender(&self) -> u32 {
        self.sender
    }

    /// Writes the answer to `out`, with mac1 and mac2 still zero; whoever reads it has to try `suite`. The keys are
    /// unconfirmed: nothing is sent under them before a packet was received under them.
    ///
    /// # Errors
    /// [`HandshakeError::Machine`] only.
    pub fn answer(
        mut self,
        psk: &Psk,
        suite: Suite,
        index: u32,
        ephemeral: Ephemeral,
        out: &mut [u8; RESPONSE_LEN],
    ) -> Result<SessionKeys, HandshakeError> {
        // The PSK first: a write that fails has spent the ephemeral.
        self.noise.set_psk(PSK_SLOT, psk.for_suite(suite).as_bytes())?;
        self.seed.fill(Zeroizing::new(ephemeral.0));
        out.fill(0);
        Kind::Response.write_head(out);
        out[4..8].copy_from_slice(&index.to_le_bytes());
        out[8..12].copy_from_slice(&self.sender.to_le_bytes());
        self.noise.write_message(&[], &mut out[12..RESPONSE_LEN - MACS])?;
        self.noise.set_psk(PSK_SLOT, Psk::NONE.as_bytes())?;
        let (receive, send) = split(&mut self.noise);
        Ok(SessionKeys { send, receive, send_index: self.sender, receive_index: index, suite })
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({:#x} from {} {:?})", self.sender, self.peer, self.stamp)
    }
}

/// The Noise machine of the initiator, who knows the peer, or of the responder.
fn machine(
    me: &StaticSecret,
    peer: Option<&PublicKey>,
) -> Result<(Box<HandshakeState>, Seed), HandshakeError> {
    let seed = Seed::default();
    let resolver = Resolver { me: me.share(), seed: seed.clone() };
    let pattern = PATTERN.parse().map_err(|_| HandshakeError::Machine)?;
    let builder = Builder::with_resolver(pattern, Box::new(resolver))
        .prologue(IDENTIFIER)?
        .local_private_key(me.dalek().as_bytes())?;
    let noise = match peer {
        Some(peer) => builder.remote_public_key(peer.as_bytes())?.build_initiator()?,
        None => builder.build_responder()?,
    };
    Ok((Box::new(noise), seed))
}

/// The initiator's sending key and its receiving key.
fn split(noise: &mut HandshakeState) -> (TransportKey, TransportKey) {
    let (mut first, mut second) = noise.dangerously_get_raw_split();
    let keys = (TransportKey(first), TransportKey(second));
    first.zeroize();
    second.zeroize();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PSK: Psk = Psk::from_bytes([0x55; 32]);
    const CHACHA: Suite = Suite::ChaCha20Poly1305;
    const AES: Suite = Suite::Aes256Gcm;

    #[test]
    fn states_may_be_moved_between_threads() {
        fn movable<T: Send + Sync>() {}
        movable::<(Initiator, Received, SessionKeys, Aead, crate::cookie::CookieChecker)>();
    }

    fn secret(seed: u8) -> StaticSecret {
        StaticSecret::from_bytes([seed; 32])
    }

    fn seed(seed: u8) -> Ephemeral {
        Ephemeral::from_seed([seed; 32])
    }

    fn stamp() -> Tai64n {
        Tai64n::from_unix(1_700_000_000, 123_456_789)
    }

    fn initiation() -> (Initiator, [u8; INITIATION_LEN]) {
        let mut out = [0xee; INITIATION_LEN];
        let started = Initiator::start(&secret(1), &secret(2).public(), 0x1111, stamp(), seed(3), &mut out);
        (started.expect("start"), out)
    }

    fn answer(message: &[u8; INITIATION_LEN], psk: &Psk) -> (SessionKeys, [u8; RESPONSE_LEN]) {
        answer_with(message, psk, CHACHA)
    }

    fn answer_with(
        message: &[u8; INITIATION_LEN],
        psk: &Psk,
        suite: Suite,
    ) -> (SessionKeys, [u8; RESPONSE_LEN]) {
        let mut out = [0xee; RESPONSE_LEN];
        let received = Received::read(&secret(2), message).expect("read");
        (received.answer(psk, suite, 0x2222, seed(4), &mut out).expect("answer"), out)
    }

    fn refused(initiator: Initiator, psk: &Psk, message: &[u8; RESPONSE_LEN]) -> (Initiator, HandshakeError) {
        initiator.finish(psk, &[CHACHA, AES], message).expect_err("must be refused")
    }

    fn assert_paired(a: &SessionKeys, b: &SessionKeys) {
        assert_eq!(a.send.expose_bytes(), b.receive.expose_bytes());
        assert_eq!(a.receive.expose_bytes(), b.send.expose_bytes());
        assert_ne!(a.send.expose_bytes(), a.receive.expose_bytes());
        assert_eq!((a.send_index, a.receive_index), (b.receive_index, b.send_index));
        assert_eq!(a.suite, b.suite);
    }

    #[test]
    fn two_sides_agree_on_keys_and_indices() {
        let (initiator, message) = initiation();
        assert_eq!(initiator.index(), 0x1111);
        let received = Received::read(&secret(2), &message).expect("read");
        assert_eq!(received.peer(), secret(1).public());
        assert_eq!((received.stamp(), received.sender()), (stamp(), 0x1111));
        let (theirs, reply) = answer(&message, &PSK);
        let ours = initiator.finish(&PSK, &[CHACHA], &reply).expect("finish");
        assert_paired(&ours, &theirs);
        assert_eq!((ours.receive_index, ours.send_index), (0x1111, 0x2222));
        let mut packet = [7u8; 48];
        ours.send.aead(Suite::ChaCha20Poly1305).expect("built").seal_in_place(0, &mut packet, 32);
        let opened =
            theirs.receive.aead(Suite::ChaCha20Poly1305).expect("built").open_in_place(0, &mut packet);
        assert_eq!((opened, &packet[..32]), (Ok(32), &[7u8; 32][..]));
    }

    #[test]
    fn both_macs_are_left_zero() {
        let (_, message) = initiation();
        assert_eq!(message[INITIATION_LEN - 32..], [0; 32]);
        assert_eq!(answer(&message, &PSK).1[RESPONSE_LEN - 32..], [0; 32]);
    }

    #[test]
    fn a_wrong_psk_is_refused_and_the_right_one_still_works() {
        let (initiator, message) = initiation();
        let (theirs, reply) = answer_with(&message, &PSK, AES);
        let (initiator, error) = refused(initiator, &Psk::NONE, &reply);
        assert_eq!(error, HandshakeError::Forged);
        let ours = initiator.finish(&PSK, &[AES], &reply).expect("the right psk");
        assert_paired(&ours, &theirs);
    }

    #[test]
    fn the_suite_that_fits_is_found_whatever_was_tried_before() {
        for suite in [CHACHA, AES] {
            for tries in [[CHACHA, AES], [AES, CHACHA]] {
                let (initiator, message) = initiation();
                let (theirs, reply) = answer_with(&message, &PSK, suite);
                let ours = initiator.finish(&PSK, &tries, &reply).expect("one of the two");
                assert_eq!(ours.suite, suite);
                assert_paired(&ours, &theirs);
            }
        }
    }

    #[test]
    fn an_answer_under_a_suite_that_was_not_offered_is_refused_and_costs_nothing() {
        let (initiator, message) = initiation();
        let (_, aes) = answer_with(&message, &PSK, AES);
        let Err((initiator, error)) = initiator.finish(&PSK, &[CHACHA], &aes) else { panic!("not offered") };
        assert_eq!(error, HandshakeError::Forged);
        let Err((initiator, _)) = initiator.finish(&PSK, &[], &aes) else { panic!("nothing was offered") };
        let (theirs, chacha) = answer_with(&message, &PSK, CHACHA);
        assert_paired(&initiator.finish(&PSK, &[CHACHA], &chacha).expect("offered"), &theirs);
    }

    #[test]
    fn the_keys_of_two_suites_have_nothing_in_common() {
        let (_, message) = initiation();
        let (chacha, _) = answer_with(&message, &PSK, CHACHA);
        let (aes, _) = answer_with(&message, &PSK, AES);
        assert_ne!(chacha.send.expose_bytes(), aes.send.expose_bytes());
        assert_ne!(chacha.receive.expose_bytes(), aes.receive.expose_bytes());
    }

    #[test]
    fn a_forged_answer_does_not_spoil_the_real_one() {
        let (mut initiator, message) = initiation();
        let (theirs, reply) = answer(&message, &PSK);
        let mut forged = reply;
        forged[12..44].copy_from_slice(secret(9).public().as_bytes());
        let mut zero = reply;
        zero[12..44].fill(0);
        for (attempt, why) in [
            (forged, HandshakeError::Forged),
            (zero, HandshakeError::SmallOrder),
            (message[..RESPONSE_LEN].try_into().expect("prefix"), HandshakeError::Form),
        ] {
            let error;
            (initiator, error) = refused(initiator, &PSK, &attempt);
            assert_eq!(error, why);
        }
        assert_paired(&initiator.finish(&PSK, &[CHACHA], &reply).expect("finish"), &theirs);
    }

    #[test]
    fn an_initiation_for_another_key_is_refused() {
        let (_, message) = initiation();
        assert_eq!(Received::read(&secret(5), &message).err(), Some(HandshakeError::Forged));
    }

    #[test]
    fn points_of_small_order_are_refused_by_both_sides() {
        let mut out = [0; INITIATION_LEN];
        let zero = PublicKey([0; 32]);
        let started = Initiator::start(&secret(1), &zero, 1, stamp(), seed(3), &mut out);
        assert_eq!(started.err(), Some(HandshakeError::SmallOrder));
        let (_, mut message) = initiation();
        message[8..40].fill(0);
        assert_eq!(Received::read(&secret(2), &message).err(), Some(HandshakeError::SmallOrder));
    }

    #[test]
    fn every_octet_of_an_initiation_but_its_index_and_macs_is_protected() {
        let (_, message) = initiation();
        for at in (0..INITIATION_LEN - MACS).filter(|at| !(4..8).contains(at)) {
            let mut changed = message;
            changed[at] ^= 1;
            assert!(Received::read(&secret(2), &changed).is_err(), "octet {at}");
        }
    }

    #[test]
    fn every_octet_of_an_answer_but_its_index_and_macs_is_protected() {
        let (mut initiator, message) = initiation();
        let (_, reply) = answer(&message, &PSK);
        for at in (0..RESPONSE_LEN - MACS).filter(|at| !(4..8).contains(at)) {
            let mut changed = reply;
            changed[at] ^= 1;
            (initiator, _) = refused(initiator, &PSK, &changed);
        }
        assert!(initiator.finish(&PSK, &[AES, CHACHA], &reply).is_ok());
    }

    #[test]
    fn an_answer_to_another_initiation_is_refused_by_its_index() {
        let (initiator, message) = initiation();
        let (_, mut reply) = answer(&message, &PSK);
        reply[8] ^= 0x80;
        assert_eq!(refused(initiator, &PSK, &reply).1, HandshakeError::Index);
    }

    #[test]
    fn the_stamp_of_the_epoch_is_as_wireguard_writes_it() {
        assert_eq!(*Tai64n::from_unix(0, 0).as_bytes(), [0x40, 0, 0, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0]);
        assert_eq!(Tai64n::from_unix(1, 0x1234_5678).as_bytes()[7..], [0x0b, 0x12, 0, 0, 0]);
        assert_eq!(Tai64n::from_unix(1, u32::MAX), Tai64n::from_unix(1, 999_999_999));
        assert!(Tai64n::ZERO < Tai64n::from_unix(0, 0));
    }

    #[test]
    fn the_last_stamp_of_all_stays() {
        assert_eq!(Tai64n::from_bytes([0xff; 12]).next(), Tai64n::from_bytes([0xff; 12]));
    }

    proptest! {
        #[test]
        fn the_next_stamp_is_the_first_whitened_one_after(secs in 0u64..1 << 40, nanos in 0u32..1_000_000_000) {
            let this = Tai64n::from_unix(secs, nanos);
            let next = this.next();
            prop_assert!(next > this);
            let step = 1u32 << 24;
            let later = if nanos | (step - 1) < 999_999_999 {
                Tai64n::from_unix(secs, (nanos | (step - 1)) + 1)
            } else {
                Tai64n::from_unix(secs + 1, 0)
            };
            prop_assert_eq!(next, later);
        }

        #[test]
        fn stamps_are_ordered_as_times_are(a in (0u64..1 << 40, 0u32..1_000_000_000), b in (0u64..1 << 40, 0u32..1_000_000_000)) {
            let stamp = |(secs, nanos)| Tai64n::from_unix(secs, nanos);
            if a <= b { prop_assert!(stamp(a) <= stamp(b)); } else { prop_assert!(stamp(a) >= stamp(b)); }
        }

        #[test]
        fn any_stamp_has_a_later_one(bytes: [u8; 12]) {
            let this = Tai64n::from_bytes(bytes);
            prop_assert!(this.next() > this || bytes[..8] == [0xff; 8]);
        }
    }
}
