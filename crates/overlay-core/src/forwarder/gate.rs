//! The gate before control's queue: what a stranger sends is judged here, by the worker that read it, so that a flood
//! costs this worker little hashing and control nothing.
//!
//! A handshake message passes if its length and type are exact, its mac1 is right and its source has tokens left. From where
//! a peer is it draws on that peer's tokens, so that no flood from elsewhere keeps sessions from being renewed. From anywhere else it
//! draws on its source's tokens and on those of all strangers together, because sources cost nothing to forge. When the
//! queue to control fills, or when tokens are spent, it has to prove its address: with a mac2 it draws from another bucket,
//! which only the real holder of the address can empty; without one it is answered by a cookie.

use crate::forwarder::drop::DropReason;
use crate::forwarder::token::TokenBucket;
use core::fmt;
use core::net::SocketAddr;
use ln6_crypto::cookie::CookieChecker;
use ln6_crypto::keys::hash;
use ln6_crypto::limit::{Rate, SourceLimit};
use ln6_crypto::mac::has_mac2;
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
/// Handshake messages of strangers who have proven nothing that a worker passes, in a second and at once: each costs control
/// Diffie–Hellman computations before it can tell noise from a key. At once are more, for the day when a whole network comes
/// back; who asks all the time is a flood, and then addresses are proven.
const UNPROVEN: (u64, u64) = (100, 400);
/// The same from the addresses of peers, for all of them together.
const FAMILIAR: u64 = 1000;
/// Cookie replies a worker makes in a second: each costs a MAC and a sealing, a twentieth of a handshake.
const COOKIES: u64 = 5000;
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
    all_unproven: TokenBucket,
    all_familiar: TokenBucket,
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
            all_unproven: TokenBucket::new(UNPROVEN.0, UNPROVEN.1),
            all_familiar: TokenBucket::new(FAMILIAR, FAMILIAR / 4),
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

    /// Judges a message of type 1, 2 or 3 that came straight from `source`; `familiar` are the tokens of the peer that is
    /// there.
    ///
    /// What is cheap comes first: a message of which nothing can come, whatever it says, is dropped before it costs a hash.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        gate: &Gate,
        message: &[u8],
        source: SocketAddr,
        familiar: Option<&mut TokenBucket>,
    ) -> Verdict {
        let is_reply = Kind::of(message) == Some(Kind::CookieReply);
        let mut familiar = familiar;
        let is_familiar = familiar.as_mut().is_some_and(|tokens| tokens.has(now));
        let proves = has_mac2(message);
        if !is_reply && !is_familiar && !proves && !self.unproven_may_pass(now) && !self.cookies.has(now) {
            return Verdict::Drop(DropReason::HandshakeLimited);
        }
        let checked = if is_reply { None } else { gate.cookies.check(message) };
        if !is_reply && checked.is_none() {
            return Verdict::Drop(DropReason::BadMac1);
        }
        if familiar.is_some_and(|tokens| tokens.take(now, 1)) && self.all_familiar.take(now, 1) {
            return Verdict::Pass;
        }
        let Some(checked) = checked else {
            let pass =
                self.replies.has(now) && self.unproven.take(now, source.ip()) && self.replies.take(now, 1);
            return if pass { Verdict::Pass } else { Verdict::Drop(DropReason::HandshakeLimited) };
        };
        if self.unproven_may_pass(now)
            && self.unproven.take(now, source.ip())
            && self.all_unproven.take(now, 1)
        {
            return Verdict::Pass;
        }
        if proves && gate.cookies.verify_mac2(checked, source) {
            let pass = self.proven.take(now, source.ip());
            return if pass { Verdict::Pass } else { Verdict::Drop(DropReason::HandshakeLimited) };
        }
        if !self.cookies.take(now, 1) {
            return Verdict::Drop(DropReason::HandshakeLimited);
        }
        Verdict::Cookie(gate.cookies.make_reply(checked, source, self.nonce()))
    }

    /// Whether a stranger may pass who has proven nothing, if its source has tokens.
    fn unproven_may_pass(&mut self, now: Instant) -> bool {
        !self.loaded && self.all_unproven.has(now)
    }

    /// Judges a message that a neighbour relayed: it has no address to prove, but the neighbour has tokens.
    pub(crate) fn judge_relayed(
        now: Instant,
        gate: &Gate,
        message: &[u8],
        tokens: &mut TokenBucket,
    ) -> Verdict {
        if !tokens.has(now) {
            return Verdict::Drop(DropReason::HandshakeLimited);
        }
        if Kind::of(message) != Some(Kind::CookieReply) && gate.cookies.check(message).is_none() {
            return Verdict::Drop(DropReason::BadMac1);
        }
        tokens.take(now, 1);
        Verdict::Pass
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
        assert_eq!(porter.judge(NOW, &gate(), &message, source(1), None), Verdict::Drop(DropReason::BadMac1));
    }

    #[test]
    fn under_load_only_a_proven_address_passes() {
        let (mut porter, mut jar) = (Porter::new(&[1; 32]), CookieJar::new(&ME));
        porter.set_queue_fill(50);
        let Verdict::Cookie(reply) = porter.judge(NOW, &gate(), &initiation(&mut jar), source(1), None)
        else {
            panic!("no cookie")
        };
        jar.open_reply(NOW, &reply).expect("cookie");
        let message = initiation(&mut jar);
        assert_eq!(porter.judge(NOW, &gate(), &message, source(1), None), Verdict::Pass);
        assert!(matches!(porter.judge(NOW, &gate(), &message, source(2), None), Verdict::Cookie(_)));
    }

    #[test]
    fn who_forges_a_source_cannot_lock_out_its_holder() {
        let (mut porter, mut jar) = (Porter::new(&[1; 32]), CookieJar::new(&ME));
        let forged = initiation(&mut CookieJar::new(&ME));
        for _ in 0..100 {
            porter.judge(NOW, &gate(), &forged, source(1), None);
        }
        let Verdict::Cookie(reply) = porter.judge(NOW, &gate(), &initiation(&mut jar), source(1), None)
        else {
            panic!("no cookie")
        };
        jar.open_reply(NOW, &reply).expect("cookie");
        assert_eq!(porter.judge(NOW, &gate(), &initiation(&mut jar), source(1), None), Verdict::Pass);
        assert_eq!(
            porter.judge(NOW, &gate(), &initiation(&mut CookieJar::new(&ME)), source(2), None),
            Verdict::Pass
        );
    }

    #[test]
    fn a_proven_source_has_a_rate_too() {
        let (mut porter, mut jar) = (Porter::new(&[1; 32]), CookieJar::new(&ME));
        porter.set_queue_fill(100);
        let Verdict::Cookie(reply) = porter.judge(NOW, &gate(), &initiation(&mut jar), source(1), None)
        else {
            panic!("no cookie")
        };
        jar.open_reply(NOW, &reply).expect("cookie");
        let message = initiation(&mut jar);
        let passed = (0..50)
            .filter(|_| porter.judge(NOW, &gate(), &message, source(1), None) == Verdict::Pass)
            .count();
        assert_eq!(passed, 5);
    }

    #[test]
    fn strangers_together_have_a_rate_whatever_sources_they_forge() {
        let (mut porter, gate) = (Porter::new(&[1; 32]), gate());
        let forged = initiation(&mut CookieJar::new(&ME));
        let somewhere = |n: u16| SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 1024));
        let passed = (0..2000)
            .filter(|n| porter.judge(NOW, &gate, &forged, somewhere(*n), None) == Verdict::Pass)
            .count();
        assert_eq!(passed as u64, UNPROVEN.1);
        let later = Instant::from_micros(2_000_000);
        let verdict = porter.judge(later, &gate, &forged, source(1), None);
        assert_eq!(verdict, Verdict::Pass, "a second later there is room again");
    }

    #[test]
    fn a_message_of_which_nothing_can_come_is_not_looked_at() {
        let (mut porter, gate, mut jar) = (Porter::new(&[1; 32]), gate(), CookieJar::new(&ME));
        let foreign = initiation(&mut CookieJar::new(&PublicKey([8; 32])));
        let forged = initiation(&mut CookieJar::new(&ME));
        let judge = |porter: &mut Porter, message: &[u8]| porter.judge(NOW, &gate, message, source(1), None);
        assert_eq!(judge(&mut porter, &foreign), Verdict::Drop(DropReason::BadMac1));
        porter.set_queue_fill(100);
        let Verdict::Cookie(reply) = judge(&mut porter, &initiation(&mut jar)) else { panic!("no cookie") };
        jar.open_reply(NOW, &reply).expect("cookie");
        while matches!(judge(&mut porter, &forged), Verdict::Cookie(_)) {}
        // Its mac1 would say otherwise, had anybody looked.
        assert_eq!(judge(&mut porter, &foreign), Verdict::Drop(DropReason::HandshakeLimited));
        assert_eq!(
            judge(&mut porter, &initiation(&mut jar)),
            Verdict::Pass,
            "who holds a cookie needs no other"
        );
        let later = Instant::from_micros(2_000_000);
        let verdict = porter.judge(later, &gate, &foreign, source(1), None);
        assert_eq!(verdict, Verdict::Drop(DropReason::BadMac1), "cookies are to be had again");
    }

    #[test]
    fn a_flood_from_elsewhere_does_not_keep_a_peer_out() {
        let (mut porter, gate) = (Porter::new(&[1; 32]), gate());
        let forged = initiation(&mut CookieJar::new(&ME));
        for n in 0..20_000_u16 {
            let somewhere = SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 1024));
            porter.judge(NOW, &gate, &forged, somewhere, None);
        }
        porter.set_queue_fill(60);
        let mut tokens = TokenBucket::new(2, 2);
        let mut judge = |porter: &mut Porter| porter.judge(NOW, &gate, &forged, source(1), Some(&mut tokens));
        assert_eq!([judge(&mut porter), judge(&mut porter)], [Verdict::Pass, Verdict::Pass]);
        assert_ne!(
            judge(&mut porter),
            Verdict::Pass,
            "who forges the peer's address has its tokens and no more"
        );
    }
}
