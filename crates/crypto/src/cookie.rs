//! Cookies: a responder under load answers a handshake with one, and the sender proves its address with mac2.

use crate::blake;
use crate::mac::{Checked, Mac1Key};
use crate::message::{COOKIE_LEN, INITIATION_LEN, Kind, RESPONSE_LEN};
use crate::timers::COOKIE_LIFETIME;
use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use core::net::{IpAddr, SocketAddr};
use ln6_types::{Instant, PublicKey};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

const LABEL_COOKIE: &[u8] = b"cookie--";

fn cookie_cipher(responder: &PublicKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&blake::hash(LABEL_COOKIE, &[responder.as_bytes()]).into())
}

/// Why a cookie reply is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CookieError {
    /// Its type or reserved octets are wrong.
    #[error("not a cookie reply")]
    Form,
    /// No handshake message is out that it could answer.
    #[error("no handshake message awaits a cookie")]
    Unasked,
    /// It does not belong to the last handshake message, or is forged.
    #[error("the cookie is not authentic")]
    Forged,
}

/// The sender's side, one for each peer: writes both macs and keeps the peer's cookie.
pub struct CookieJar {
    mac1: Mac1Key,
    cipher: XChaCha20Poly1305,
    cookie: Option<(Instant, Zeroizing<[u8; 16]>)>,
    last_mac1: Option<[u8; 16]>,
}

impl CookieJar {
    /// For messages to `peer`.
    pub fn new(peer: &PublicKey) -> Self {
        CookieJar { mac1: Mac1Key::of(peer), cipher: cookie_cipher(peer), cookie: None, last_mac1: None }
    }

    /// Writes mac1 and, while a cookie is younger than 120 s, mac2 into an otherwise finished initiation or response.
    /// Remembers mac1, for which a cookie may come.
    pub fn write_macs<const N: usize>(&mut self, now: Instant, message: &mut [u8; N]) {
        const { assert!(N == INITIATION_LEN || N == RESPONSE_LEN) };
        let (at_mac1, at_mac2) = (N - 32, N - 16);
        let mac1 = self.mac1.compute(&message[..at_mac1]);
        message[at_mac1..at_mac2].copy_from_slice(&mac1);
        self.last_mac1 = Some(mac1);
        let mac2 = match self.fresh_cookie(now) {
            Some(cookie) => blake::mac16(cookie, &[&message[..at_mac2]]),
            None => [0; 16],
        };
        message[at_mac2..].copy_from_slice(&mac2);
    }

    /// Whether the next message will carry mac2.
    pub fn has_cookie(&mut self, now: Instant) -> bool {
        self.fresh_cookie(now).is_some()
    }

    fn fresh_cookie(&mut self, now: Instant) -> Option<&[u8; 16]> {
        self.cookie.take_if(|(since, _)| now.since(*since) >= COOKIE_LIFETIME);
        self.cookie.as_ref().map(|(_, cookie)| &**cookie)
    }

    /// Reads the cookie reply to the last message written. Nothing is sent at once: the retry carries the cookie.
    /// One message earns one cookie, so a repeated reply cannot keep an old cookie alive.
    ///
    /// # Errors
    /// Why it is refused; the cookie held before stays.
    pub fn open_reply(&mut self, now: Instant, message: &[u8; COOKIE_LEN]) -> Result<(), CookieError> {
        if !Kind::CookieReply.is_head_of(message) {
            return Err(CookieError::Form);
        }
        let mac1 = self.last_mac1.ok_or(CookieError::Unasked)?;
        let (nonce, sealed) = message[8..].split_first_chunk::<24>().ok_or(CookieError::Form)?;
        let (sealed, tag) = sealed.split_last_chunk::<16>().ok_or(CookieError::Form)?;
        let mut cookie = Zeroizing::new([0; 16]);
        cookie.copy_from_slice(sealed);
        self.cipher
            .decrypt_in_place_detached(nonce.into(), &mac1, &mut *cookie, tag.into())
            .map_err(|_| CookieError::Forged)?;
        self.cookie = Some((now, cookie));
        self.last_mac1 = None;
        Ok(())
    }
}

/// The responder's side: judges mac2 and bakes cookies. It never changes, so that any number of threads can share one;
/// [`rotate`](Self::rotate) makes its successor.
#[derive(Clone)]
pub struct CookieChecker {
    mac1: Mac1Key,
    cipher: XChaCha20Poly1305,
    secret: Zeroizing<[u8; 32]>,
    until: Instant,
}

impl CookieChecker {
    /// For messages to the node `me`, with a random secret that is good for 120 s.
    pub fn new(me: &PublicKey, now: Instant, secret: [u8; 32]) -> Self {
        let until = now + COOKIE_LIFETIME;
        CookieChecker {
            mac1: Mac1Key::of(me),
            cipher: cookie_cipher(me),
            secret: Zeroizing::new(secret),
            until,
        }
    }

    /// The same with a new secret: cookies baked before are worth nothing.
    pub fn rotate(&self, now: Instant, secret: [u8; 32]) -> Self {
        CookieChecker { secret: Zeroizing::new(secret), until: now + COOKIE_LIFETIME, ..self.clone() }
    }

    /// When [`rotate`](Self::rotate) is due.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// The message as one whose mac1 is right; `None` if it is not.
    pub fn check<'a>(&self, message: &'a [u8]) -> Option<Checked<'a>> {
        self.mac1.check(message)
    }

    /// Whether the sender holds the cookie of this address and port.
    pub fn verify_mac2(&self, message: Checked<'_>, source: SocketAddr) -> bool {
        let mut cookie = self.cookie(source);
        let mac2 = blake::mac16(&cookie, &[message.before_mac2()]);
        cookie.zeroize();
        mac2.ct_eq(message.mac2()).into()
    }

    /// The cookie reply to a handshake message; shorter than either, so it amplifies nothing. The nonce is random.
    pub fn make_reply(&self, message: Checked<'_>, source: SocketAddr, nonce: [u8; 24]) -> [u8; COOKIE_LEN] {
        let mut out = [0; COOKIE_LEN];
        Kind::CookieReply.write_head(&mut out);
        out[4..8].copy_from_slice(&message.message()[4..8]);
        out[8..32].copy_from_slice(&nonce);
        out[32..48].copy_from_slice(&self.cookie(source));
        let sealed = self.cipher.encrypt_in_place_detached(&nonce.into(), message.mac1(), &mut out[32..48]);
        out[48..].copy_from_slice(&sealed.expect("16 octets are below the AEAD's limit"));
        out
    }

    /// IPv4 and IPv4-mapped addresses are the same source: one socket may report either.
    fn cookie(&self, source: SocketAddr) -> [u8; 16] {
        let port = source.port().to_be_bytes();
        match source.ip().to_canonical() {
            IpAddr::V4(ip) => blake::mac16(&self.secret, &[&ip.octets(), &port]),
            IpAddr::V6(ip) => blake::mac16(&self.secret, &[&ip.octets(), &port]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const ME: PublicKey = PublicKey([0x61; 32]);

    fn source() -> SocketAddr {
        "[2001:db8::1]:6695".parse().expect("address")
    }

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    fn initiation(jar: &mut CookieJar, now: Instant) -> [u8; INITIATION_LEN] {
        let mut message = [0x33; INITIATION_LEN];
        Kind::Initiation.write_head(&mut message);
        jar.write_macs(now, &mut message);
        message
    }

    /// A jar that holds a cookie of `source` since second 10, and its responder.
    fn acquainted() -> (CookieJar, CookieChecker) {
        let (mut jar, checker) = (CookieJar::new(&ME), CookieChecker::new(&ME, at(0), [5; 32]));
        let message = initiation(&mut jar, at(10));
        let reply = checker.make_reply(checker.check(&message).expect("mac1"), source(), [6; 24]);
        jar.open_reply(at(10), &reply).expect("reply");
        (jar, checker)
    }

    fn proves(checker: &CookieChecker, message: &[u8], source: SocketAddr) -> bool {
        checker.verify_mac2(checker.check(message).expect("mac1"), source)
    }

    #[test]
    fn a_sender_without_a_cookie_gets_one_and_then_proves_its_address() {
        let (mut jar, checker) = (CookieJar::new(&ME), CookieChecker::new(&ME, at(0), [5; 32]));
        let first = initiation(&mut jar, at(1));
        assert_eq!(first[INITIATION_LEN - 16..], [0; 16]);
        assert!(!proves(&checker, &first, source()));
        let reply = checker.make_reply(checker.check(&first).expect("mac1"), source(), [6; 24]);
        assert_eq!(reply[..8], [3, 0, 0, 0, 0x33, 0x33, 0x33, 0x33]);
        assert!(!jar.has_cookie(at(1)));
        assert_eq!(jar.open_reply(at(1), &reply), Ok(()));
        assert!(jar.has_cookie(at(1)));
        assert!(proves(&checker, &initiation(&mut jar, at(6)), source()));
    }

    #[test]
    fn a_response_earns_and_carries_a_cookie_too() {
        let (mut jar, checker) = acquainted();
        let mut message = [0x44; RESPONSE_LEN];
        Kind::Response.write_head(&mut message);
        jar.write_macs(at(11), &mut message);
        assert!(proves(&checker, &message, source()));
    }

    #[test]
    fn a_cookie_is_bound_to_address_and_port() {
        let (mut jar, checker) = acquainted();
        let message = initiation(&mut jar, at(11));
        assert!(proves(&checker, &message, source()));
        for other in ["[2001:db8::1]:6696", "[2001:db8::2]:6695", "192.0.2.1:6695"] {
            assert!(!proves(&checker, &message, other.parse().expect("address")), "{other}");
        }
    }

    #[test]
    fn a_mapped_ipv4_address_is_the_same_source() {
        let checker = CookieChecker::new(&ME, at(0), [5; 32]);
        let (plain, mapped) = ("192.0.2.1:9".parse(), "[::ffff:192.0.2.1]:9".parse());
        assert_eq!(checker.cookie(plain.expect("address")), checker.cookie(mapped.expect("address")));
    }

    #[test]
    fn mac2_covers_the_whole_message() {
        let (mut jar, checker) = acquainted();
        let message = initiation(&mut jar, at(11));
        for octet in INITIATION_LEN - 16..INITIATION_LEN {
            let mut changed = message;
            changed[octet] ^= 1;
            assert!(!proves(&checker, &changed, source()), "octet {octet}");
        }
        let mut other = message;
        other[50] ^= 1;
        let mac1 = Mac1Key::of(&ME).compute(&other[..INITIATION_LEN - 32]);
        other[INITIATION_LEN - 32..INITIATION_LEN - 16].copy_from_slice(&mac1);
        assert!(!proves(&checker, &other, source()));
    }

    #[test]
    fn a_cookie_is_used_for_less_than_120_seconds() {
        let (mut jar, checker) = acquainted();
        assert!(proves(&checker, &initiation(&mut jar, at(130) - Duration::from_micros(1)), source()));
        assert!(!proves(&checker, &initiation(&mut jar, at(130)), source()));
        assert!(!jar.has_cookie(at(11)));
    }

    #[test]
    fn a_rotated_secret_ends_the_cookies_baked_before() {
        let (mut jar, checker) = acquainted();
        assert_eq!(checker.until(), at(120));
        let next = checker.rotate(at(120), [8; 32]);
        assert_eq!(next.until(), at(240));
        assert!(!proves(&next, &initiation(&mut jar, at(121)), source()));
    }

    #[test]
    fn a_reply_counts_once_and_only_for_the_last_message() {
        let (mut jar, checker) = (CookieJar::new(&ME), CookieChecker::new(&ME, at(0), [5; 32]));
        let reply_to = |message: &[u8; INITIATION_LEN]| {
            checker.make_reply(checker.check(message).expect("mac1"), source(), [6; 24])
        };
        let mut older = [0x35; INITIATION_LEN];
        Kind::Initiation.write_head(&mut older);
        jar.write_macs(at(1), &mut older);
        let late = reply_to(&older);
        let reply = reply_to(&initiation(&mut jar, at(2)));
        assert_eq!(jar.open_reply(at(3), &late), Err(CookieError::Forged));
        assert_eq!(jar.open_reply(at(3), &reply), Ok(()));
        assert_eq!(jar.open_reply(at(100), &reply), Err(CookieError::Unasked));
        assert!(!jar.has_cookie(at(123)));
    }

    #[test]
    fn a_changed_reply_is_refused() {
        let (mut jar, checker) = (CookieJar::new(&ME), CookieChecker::new(&ME, at(0), [5; 32]));
        let message = initiation(&mut jar, at(1));
        let reply = checker.make_reply(checker.check(&message).expect("mac1"), source(), [6; 24]);
        for octet in (0..COOKIE_LEN).filter(|octet| !(4..8).contains(octet)) {
            let mut changed = reply;
            changed[octet] ^= 1;
            assert!(jar.open_reply(at(2), &changed).is_err(), "octet {octet}");
        }
        assert!(!jar.has_cookie(at(2)));
        assert_eq!(jar.open_reply(at(2), &reply), Ok(()));
    }
}
