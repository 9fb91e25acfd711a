//! A second, naive writing of WireGuard's key exchange, straight from its formulas, judges the bytes of this crate.
//! It shares with the crate only the primitives: X25519, the two AEADs and plain BLAKE2s.

use blake2::digest::{FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac, Digest};
use chacha20poly1305::aead::{AeadInPlace, generic_array::GenericArray};
use chacha20poly1305::{ChaCha20Poly1305, XChaCha20Poly1305};
use ln6_crypto::cookie::{CookieChecker, CookieJar};
use ln6_crypto::handshake::{Ephemeral, Initiator, Received, SessionKeys, Tai64n};
use ln6_crypto::keys::{Psk, StaticSecret};
use ln6_crypto::message::{INITIATION_LEN, RESPONSE_LEN};
use ln6_crypto::seal::Suite;
use ln6_types::{Instant, PublicKey};
use proptest::prelude::*;
use x25519_dalek::{PublicKey as Point, StaticSecret as Scalar};

const CONSTRUCTION: &[u8] = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const IDENTIFIER: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";

type Octets = [u8; 32];

fn hash(parts: &[&[u8]]) -> Octets {
    let mut state = Blake2s256::new();
    parts.iter().for_each(|part| Digest::update(&mut state, part));
    state.finalize().into()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Octets {
    let pad = |byte: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).unwrap_or(&0) ^ byte).collect() };
    let inner = hash(&[&pad(0x36), &parts.concat()]);
    hash(&[&pad(0x5c), &inner])
}

fn kdf<const N: usize>(key: &Octets, input: &[u8]) -> [Octets; N] {
    let prk = hmac(key, &[input]);
    let mut out = [[0; 32]; N];
    let mut last: Vec<u8> = Vec::new();
    for (number, part) in out.iter_mut().enumerate() {
        *part = hmac(&prk, &[&last, &[number as u8 + 1]]);
        last = part.to_vec();
    }
    out
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut state = Blake2sMac::<blake2::digest::consts::U16>::new_from_slice(key).expect("key");
    parts.iter().for_each(|part| state.update(part));
    state.finalize_fixed().into()
}

fn aead(key: &Octets, text: &[u8], ad: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    let cipher = ChaCha20Poly1305::new(GenericArray::from_slice(key));
    let tag = cipher.encrypt_in_place_detached(&[0; 12].into(), ad, &mut out).expect("seal");
    out.extend_from_slice(&tag);
    out
}

fn dh(secret: &Scalar, point: &Point) -> Octets {
    secret.diffie_hellman(point).to_bytes()
}

/// Everything a handshake starts from.
#[derive(Clone, Debug)]
struct Case {
    initiator: Octets,
    responder: Octets,
    ephemerals: [Octets; 2],
    psk: Octets,
    suite: Suite,
    indices: [u32; 2],
    time: (u64, u32),
}

/// What the PSK slot holds: the PSK itself for WireGuard's own suite.
fn slot(case: &Case) -> Octets {
    if case.suite == Suite::ChaCha20Poly1305 {
        return case.psk;
    }
    let mut state = Blake2sMac::<blake2::digest::consts::U32>::new_from_slice(&case.psk).expect("key");
    state.update(b"ln6d suite");
    state.update(&[case.suite.id()]);
    state.finalize_fixed().into()
}

/// What goes over the wire, macs without cookie, and the keys: initiator to responder, and back.
struct Exchange {
    initiation: Vec<u8>,
    response: Vec<u8>,
    keys: [Octets; 2],
}

fn by_the_book(case: &Case) -> Exchange {
    let [s_i, s_r, e_i, e_r] =
        [case.initiator, case.responder, case.ephemerals[0], case.ephemerals[1]].map(Scalar::from);
    let [p_i, p_r, q_i, q_r] = [&s_i, &s_r, &e_i, &e_r].map(Point::from);
    let mut c = hash(&[CONSTRUCTION]);
    let mut h = hash(&[&c, IDENTIFIER]);

    h = hash(&[&h, p_r.as_bytes()]);
    [c] = kdf(&c, q_i.as_bytes());
    h = hash(&[&h, q_i.as_bytes()]);
    let mut k;
    [c, k] = kdf(&c, &dh(&e_i, &p_r));
    let sealed_static = aead(&k, p_i.as_bytes(), &h);
    h = hash(&[&h, &sealed_static]);
    [c, k] = kdf(&c, &dh(&s_i, &p_r));
    let (secs, nanos) = case.time;
    let stamp =
        [&(0x4000_0000_0000_000a + secs).to_be_bytes()[..], &(nanos & 0xff00_0000).to_be_bytes()].concat();
    let sealed_stamp = aead(&k, &stamp, &h);
    h = hash(&[&h, &sealed_stamp]);
    let mut initiation = vec![1, 0, 0, 0];
    initiation.extend(case.indices[0].to_le_bytes());
    initiation.extend([q_i.as_bytes(), &sealed_static[..], &sealed_stamp].concat());
    initiation.extend(mac(&hash(&[b"mac1----", p_r.as_bytes()]), &[&initiation]));
    initiation.extend([0; 16]);

    h = hash(&[&h, q_r.as_bytes()]);
    [c] = kdf(&c, q_r.as_bytes());
    [c] = kdf(&c, &dh(&e_r, &q_i));
    [c] = kdf(&c, &dh(&e_r, &p_i));
    let tau;
    [c, tau, k] = kdf(&c, &slot(case));
    h = hash(&[&h, &tau]);
    let sealed_nothing = aead(&k, &[], &h);
    let mut response = vec![2, 0, 0, 0];
    response.extend(case.indices[1].to_le_bytes());
    response.extend(case.indices[0].to_le_bytes());
    response.extend([q_r.as_bytes(), &sealed_nothing[..]].concat());
    response.extend(mac(&hash(&[b"mac1----", p_i.as_bytes()]), &[&response]));
    response.extend([0; 16]);
    Exchange { initiation, response, keys: kdf(&c, &[]) }
}

/// The same exchange by the crate.
fn by_us(case: &Case) -> ([u8; INITIATION_LEN], [u8; RESPONSE_LEN], SessionKeys, SessionKeys) {
    let (a, b) = (StaticSecret::from_bytes(case.initiator), StaticSecret::from_bytes(case.responder));
    let [e_i, e_r] = case.ephemerals.map(Ephemeral::from_seed);
    let psk = Psk::from_bytes(case.psk);
    let stamp = Tai64n::from_unix(case.time.0, case.time.1);
    let (mut initiation, mut response) = ([0; INITIATION_LEN], [0; RESPONSE_LEN]);
    let initiator =
        Initiator::start(&a, &b.public(), case.indices[0], stamp, e_i, &mut initiation).expect("start");
    CookieJar::new(&b.public()).write_macs(Instant::ZERO, &mut initiation);
    let received = Received::read(&b, &initiation).expect("read");
    assert_eq!((received.peer(), received.stamp()), (a.public(), stamp));
    let theirs = received.answer(&psk, case.suite, case.indices[1], e_r, &mut response).expect("answer");
    CookieJar::new(&a.public()).write_macs(Instant::ZERO, &mut response);
    let ours =
        initiator.finish(&psk, &[Suite::ChaCha20Poly1305, Suite::Aes256Gcm], &response).expect("finish");
    (initiation, response, ours, theirs)
}

fn cases() -> impl Strategy<Value = Case> {
    let keys = any::<(Octets, Octets, [Octets; 2], Octets, bool)>();
    (keys, any::<[u32; 2]>(), (0u64..1 << 40, 0u32..1_000_000_000)).prop_map(
        |((initiator, responder, ephemerals, psk, aes), indices, time)| Case {
            initiator,
            responder,
            ephemerals,
            psk,
            suite: if aes { Suite::Aes256Gcm } else { Suite::ChaCha20Poly1305 },
            indices,
            time,
        },
    )
}

#[test]
fn the_initial_values_are_those_every_wireguard_has() {
    let c0 = hash(&[CONSTRUCTION]);
    assert_eq!(c0[..8], [0x60, 0xe2, 0x6d, 0xae, 0xf3, 0x27, 0xef, 0xc0]);
    assert_eq!(hash(&[&c0, IDENTIFIER])[..8], [0x22, 0x11, 0xb3, 0x61, 0x08, 0x1a, 0xc5, 0x66]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_octet_and_both_keys_are_those_of_the_formulas(case in cases()) {
        let book = by_the_book(&case);
        let (initiation, response, ours, theirs) = by_us(&case);
        prop_assert_eq!(&initiation[..], &book.initiation[..]);
        prop_assert_eq!(&response[..], &book.response[..]);
        prop_assert_eq!([*ours.send.expose_bytes(), *ours.receive.expose_bytes()], book.keys);
        prop_assert_eq!([*theirs.receive.expose_bytes(), *theirs.send.expose_bytes()], book.keys);
        prop_assert_eq!([ours.receive_index, ours.send_index], case.indices);
        prop_assert_eq!([theirs.send_index, theirs.receive_index], case.indices);
    }

    #[test]
    fn cookie_and_mac2_are_those_of_the_formulas(me: Octets, secret: Octets, nonce: [u8; 24], port: u16) {
        let me = PublicKey(me);
        let checker = CookieChecker::new(&me, Instant::ZERO, secret);
        let mut jar = CookieJar::new(&me);
        let mut message = [0x77; INITIATION_LEN];
        message[..4].copy_from_slice(&[1, 0, 0, 0]);
        jar.write_macs(Instant::ZERO, &mut message);
        let source = std::net::SocketAddr::from(([192, 0, 2, 1], port));
        let reply = checker.make_reply(checker.check(&message).expect("mac1"), source, nonce);

        let mut cookie = mac(&secret, &[&[192, 0, 2, 1], &port.to_be_bytes()]).to_vec();
        let by_hand = cookie.clone();
        let cipher = XChaCha20Poly1305::new(&hash(&[b"cookie--", me.as_bytes()]).into());
        let tag = cipher.encrypt_in_place_detached(&nonce.into(), &message[116..132], &mut cookie).expect("seal");
        let expected = [&[3, 0, 0, 0, 0x77, 0x77, 0x77, 0x77], &nonce[..], &cookie, &tag].concat();
        prop_assert_eq!(&reply[..], &expected[..]);

        jar.open_reply(Instant::ZERO, &reply).expect("reply");
        jar.write_macs(Instant::ZERO, &mut message);
        prop_assert_eq!(&message[132..], &mac(&by_hand, &[&message[..132]])[..]);
    }
}
