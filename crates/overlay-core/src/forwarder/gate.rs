//! The gate before control's queue: what a stranger sends is judged here, by the worker that read it, so that a flood
//! costs this worker some hashing and control nothing.
//!
//! A handshake message passes if its length and type are exact, its mac1 is right and its source has tokens left. When the
//! queue to control fills, or when the source's tokens are spent (perhaps by somebody who forges that source), it has
//! to prove its address: with a mac2 it draws from a second bucket, which only the real holder of the address can
//! empty; without one it is answered by a cookie.

use crate::forwarder::drop::DropReason;
use crate::forwarder::token::TokenBucket;
use core::fmt;
use core::net::SocketAddr;
use ln6_crypto::cookie::CookieChecker;
use ln6_crypto::keys::hash;
use ln6_crypto::limit::{Rate, SourceLimit};
use ln6_crypto::message::{COOKIE_LEN, Kind};
use ln6_types::Instant;

/// What all workers need to judge handshake messages. Replaced by control when the cookie secret turns
/// ([`CookieChecker::until`]).
pub struct Gate {
    cookies: CookieChecker,
}

impl Gate {
    /// The gate of the node that `cookies` is for.
    pub fn new(cookies: CookieChecker) -> Self {
        Gate { cookies }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate(..)")
    }
}

/// From this fill of the queue to control on, in percent, strangers have to prove their address.
const LOADED: u8 = 50;
/// Sources that are told apart.
const SOURCES: usize = 2048;
/// Cookie replies a worker makes in a second: each costs a MAC and a sealing.
const COOKIES: u64 = 2000;
/// Cookie replies from others that reach control in a second: nothing about them can be checked here.
const COOKIE_REPLIES: u64 = 50;

/// What becomes of a handshake message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// To control.
    Pass,
    /// Nothing.
    Drop(DropReason),
    /// Not taken; this goes back.
    Cookie([u8; COOKIE_LEN]),
}

/// One worker's share of the gate: who asked how often, and the nonces of its cookies.
pub(crate) struct Porter {
    unproven: SourceLimit,
    proven: SourceLimit,
    cookies: TokenBucket,
    replies: TokenBucket,
    nonce_prefix: [u8; 16],
    nonces: u64,
    loaded: bool,
}

impl Porter {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let limit = |label: &[u8]| SourceLimit::new(SOURCES, Rate::HANDSHAKES, hash(label, &[seed]));
        let mut nonce_prefix = [0; 16];
        nonce_prefix.copy_from_slice(&hash(b"ln6d cookie nonces", &[seed])[..16]);
        Porter {
            unproven: limit(b"ln6d gate unproven"),
            proven: limit(b"ln6d gate proven"),
            cookies: TokenBucket::new(COOKIES, COOKIES / 4),
            replies: TokenBucket::new(COOKIE_REPLIES, COOKIE_REPLIES),
            nonce_prefix,
            nonces: 0,
            loaded: false,
        }
    }

    pub(crate) fn set_queue_fill(&mut self, percent: u8) {
        self.loaded = percent >= LOADED;
    }

    /// Judges a message of type 1, 2 or 3 that came straight from `source`.
    pub(crate) fn judge(&mut self, now: Instant, gate: &Gate, message: &[u8], source: SocketAddr) -> Verdict {
        if Kind::of(message) == Some(Kind::CookieReply) {
            let pass = self.unproven.take(now, source.ip()) && self.replies.take(now, 1);
            return if pass { Verdict::Pass } else { Verdict::Drop(DropReason::HandshakeLimited) };
        }
        let Some(checked) = gate.cookies.check(message) else {
            return Verdict::Drop(DropReason::BadMac1);
        };
        if !self.loaded && self.unproven.take(now, source.ip()) {
            return Verdict::Pass;
        }
        if gate.cookies.verify_mac2(checked, source) {
            let pass = self.proven.take(now, source.ip());
            return if pass { Verdict::Pass } else { Verdict::Drop(DropReason::HandshakeLimited) };
        }
        if !self.cookies.take(now, 1) {
            return Verdict::Drop(DropReason::HandshakeLimited);
        }
        Verdict::Cookie(gate.cookies.make_reply(checked, source, self.nonce()))
    }

    /// Judges a message that a neighbour relayed: it has no address to prove, but the neighbour has tokens.
    pub(crate) fn judge_relayed(
        now: Instant,
        gate: &Gate,
        message: &[u8],
        tokens: &mut TokenBucket,
    ) -> Verdict {
        if Kind::of(message) != Some(Kind::CookieReply) && gate.cookies.check(message).is_none() {
            return Verdict::Drop(DropReason::BadMac1);
        }
        if tokens.take(now, 1) { Verdict::Pass } else { Verdict::Drop(DropReason::HandshakeLimited) }
    }

    fn nonce(&mut self) -> [u8; 24] {
        let mut nonce = [0; 24];
        nonce[..16].copy_from_slice(&self.nonce_prefix);
        nonce[16..].copy_from_slice(&self.nonces.to_le_bytes());
        self.nonces += 1;
        nonce
    }
}

impl fmt::Debug for Porter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Porter").field("loaded", &self.loaded).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ln6_crypto::cookie::CookieJar;
    use ln6_crypto::message::INITIATION_LEN;
    use ln6_types::PublicKey;

    const ME: PublicKey = PublicKey([7; 32]);
    const NOW: Instant = Instant::from_micros(1_000_000);

    fn gate() -> Gate {
        Gate::new(CookieChecker::new(&ME, NOW, [3; 32]))
    }

    fn source(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 6695))
    }

    fn initiation(jar: &mut CookieJar) -> [u8; INITIATION_LEN] {
        let mut message = [0; INITIATION_LEN];
        message[0] = 1;
        jar.write_macs(NOW, &mut message);
        message
    }

    #[test]
    fn a_message_with_a_wrong_mac1_is_dropped() {
        let mut porter = Porter::new(&[1; 32]);
        let message = initiation(&mut CookieJar::new(&PublicKey([8; 32])));
        assert_eq!(porter.judge(NOW, &gate(), &message, source(1)), Verdict::Drop(DropReason::BadMac1));
    }

    #[test]
    fn under_load_only_a_proven_address_passes() {
        let (mut porter, mut jar) = (Porter::new(&[1; 32]), CookieJar::new(&ME));
        porter.set_queue_fill(50);
        let Verdict::Cookie(reply) = porter.judge(NOW, &gate(), &initiation(&mut jar), source(1)) else {
            panic!("no cookie")
        };
        jar.open_reply(NOW, &reply).expect("cookie");
        let message = initiation(&mut jar);
        assert_eq!(porter.judge(NOW, &gate(), &message, source(1)), Verdict::Pass);
        assert!(matches!(porter.judge(NOW, &gate(), &message, source(2)), Verdict::Cookie(_)));
    }

    #[test]
    fn who_forges_a_source_cannot_lock_out_its_holder() {
        let (mut porter, mut jar) = (Porter::new(&[1; 32]), CookieJar::new(&ME));
        let forged = initiation(&mut CookieJar::new(&ME));
        for _ in 0..100 {
            porter.judge(NOW, &gate(), &forged, source(1));
        }
        let Verdict::Cookie(reply) = porter.judge(NOW, &gate(), &initiation(&mut jar), source(1)) else {
            panic!("no cookie")
        };
        jar.open_reply(NOW, &reply).expect("cookie");
        assert_eq!(porter.judge(NOW, &gate(), &initiation(&mut jar), source(1)), Verdict::Pass);
        assert_eq!(
            porter.judge(NOW, &gate(), &initiation(&mut CookieJar::new(&ME)), source(2)),
            Verdict::Pass
        );
    }

    #[test]
    fn a_proven_source_has_a_rate_too() {
        let (mut porter, mut jar) = (Porter::new(&[1; 32]), CookieJar::new(&ME));
        porter.set_queue_fill(100);
        let Verdict::Cookie(reply) = porter.judge(NOW, &gate(), &initiation(&mut jar), source(1)) else {
            panic!("no cookie")
        };
        jar.open_reply(NOW, &reply).expect("cookie");
        let message = initiation(&mut jar);
        let passed =
            (0..50).filter(|_| porter.judge(NOW, &gate(), &message, source(1)) == Verdict::Pass).count();
        assert_eq!(passed, 5);
    }
}
