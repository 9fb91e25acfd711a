//! Handshake messages, cookies and the gate's MACs.

use crate::input::Input;
use core::net::SocketAddr;
use ln6_crypto::cookie::{CookieChecker, CookieJar};
use ln6_crypto::handshake::{Ephemeral, Initiator, Received, Tai64n};
use ln6_crypto::keys::{Psk, StaticSecret};
use ln6_crypto::message::{
    COOKIE_LEN, INITIATION_LEN, Kind, RELAYED_LEAST, RESPONSE_LEN, TRANSPORT_OVERHEAD, read_relayed_header,
    read_transport_header, receiver, sender,
};
use ln6_crypto::seal::Suite;
use ln6_types::Instant;
use std::sync::OnceLock;

const NOW: Instant = Instant::from_micros(1_000_000_000);
const STAMP: Tai64n = Tai64n::from_unix(1_790_000_000, 0);
const PSK: Psk = Psk::from_bytes([9; 32]);
const CHACHA: Suite = Suite::ChaCha20Poly1305;

fn alice() -> StaticSecret {
    StaticSecret::from_bytes([0x41; 32])
}

fn bob() -> StaticSecret {
    StaticSecret::from_bytes([0x42; 32])
}

fn source() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 6695))
}

/// Alice's initiation to Bob, without MACs.
fn initiation() -> (Initiator, [u8; INITIATION_LEN]) {
    let mut message = [0; INITIATION_LEN];
    let ephemeral = Ephemeral::from_seed([0x43; 32]);
    let state = Initiator::start(&alice(), &bob().public(), 77, STAMP, ephemeral, &mut message);
    (state.expect("Bob's key is good"), message)
}

/// The genuine initiation, and Bob's answer to it.
pub(crate) fn genuine() -> ([u8; INITIATION_LEN], [u8; RESPONSE_LEN]) {
    let (first, [second, _]) = exchange();
    (first, second)
}

/// The genuine initiation, and what Bob answers under each suite.
fn exchange() -> ([u8; INITIATION_LEN], [[u8; RESPONSE_LEN]; 2]) {
    static MADE: OnceLock<([u8; INITIATION_LEN], [[u8; RESPONSE_LEN]; 2])> = OnceLock::new();
    *MADE.get_or_init(|| {
        let (_, first) = initiation();
        let answer = |suite| {
            let mut second = [0; RESPONSE_LEN];
            let received = Received::read(&bob(), &first).expect("genuine");
            let ephemeral = Ephemeral::from_seed([0x44; 32]);
            received.answer(&PSK, suite, 88, ephemeral, &mut second).expect("genuine");
            second
        };
        (first, Suite::ALL.map(answer))
    })
}

/// What is done with the rest of the input is chosen by its first octet.
pub fn handshake_message(data: &[u8]) {
    let mut input = Input::new(data);
    match input.octet() % 7 {
        0 => anything(input.rest()),
        1 => forged_initiation(&mut input),
        2 => changed_initiation(&mut input),
        3 => changed_response(&mut input),
        4 => changed_cookie(&mut input),
        6 => changed_response_of_any_suite(&mut input),
        _ => at_the_gate(&mut input),
    }
}

/// Any datagram: what it claims to be is consistent.
fn anything(datagram: &[u8]) {
    let kind = Kind::of(datagram);
    assert_eq!(read_transport_header(datagram).is_some(), kind == Some(Kind::Transport));
    assert_eq!(read_relayed_header(datagram).is_some(), kind == Some(Kind::Relayed));
    assert_eq!(sender(datagram).is_some(), matches!(kind, Some(Kind::Initiation | Kind::Response)));
    assert_eq!(
        receiver(datagram).is_some(),
        matches!(kind, Some(Kind::Response | Kind::CookieReply | Kind::Transport | Kind::Relayed))
    );
    let fits = match kind {
        None => true,
        Some(Kind::Initiation) => datagram.len() == INITIATION_LEN,
        Some(Kind::Response) => datagram.len() == RESPONSE_LEN,
        Some(Kind::CookieReply) => datagram.len() == COOKIE_LEN,
        Some(Kind::Transport) => datagram.len() >= TRANSPORT_OVERHEAD,
        Some(Kind::Relayed) => datagram.len() >= RELAYED_LEAST,
    };
    assert!(fits);
    let checker = CookieChecker::new(&bob().public(), NOW, [1; 32]);
    assert!(checker.check(datagram).is_none_or(|checked| checked.message() == datagram));
}

/// An initiation that nobody made.
fn forged_initiation(input: &mut Input<'_>) {
    let mut message: [u8; INITIATION_LEN] = input.array();
    message[..4].copy_from_slice(&[1, 0, 0, 0]);
    if let Ok(received) = Received::read(&bob(), &message) {
        assert_eq!(
            (received.peer(), received.stamp()),
            (alice().public(), STAMP),
            "only a replay is authentic"
        );
    }
}

/// Flips bits of a genuine message.
fn flip<const N: usize>(message: &[u8; N], input: &mut Input<'_>) -> [u8; N] {
    let mut changed = *message;
    for _ in 0..8 {
        if input.is_empty() {
            break;
        }
        let at = usize::from(input.octet()) % N;
        changed[at] ^= input.octet();
    }
    changed
}

/// All but the sender's index and the MACs is authentic.
fn changed_initiation(input: &mut Input<'_>) {
    let (message, _) = genuine();
    let changed = flip(&message, input);
    let intact = changed[..4] == message[..4] && changed[8..116] == message[8..116];
    let read = Received::read(&bob(), &changed);
    assert_eq!(read.is_ok(), intact, "{read:?}");
    if let Ok(received) = read {
        assert_eq!((received.peer(), received.stamp()), (alice().public(), STAMP));
        let mut out = [0; RESPONSE_LEN];
        let keys =
            received.answer(&PSK, CHACHA, 5, Ephemeral::from_seed([1; 32]), &mut out).expect("answerable");
        assert_eq!((Kind::of(&out), keys.receive_index), (Some(Kind::Response), 5));
    }
}

/// A forged answer changes nothing: the genuine one is still accepted.
fn changed_response(input: &mut Input<'_>) {
    let (state, _) = initiation();
    let (_, message) = genuine();
    let changed = flip(&message, input);
    let intact = changed[..4] == message[..4] && changed[8..60] == message[8..60];
    match state.finish(&PSK, &[CHACHA], &changed) {
        Ok(keys) => assert!(intact && keys.receive_index == 77),
        Err((state, _)) => {
            assert!(!intact);
            let Err((state, _)) = state.finish(&Psk::NONE, &Suite::ALL, &message) else {
                panic!("under another PSK")
            };
            assert!(state.finish(&PSK, &[CHACHA], &message).is_ok(), "the state was hurt");
        }
    }
}

/// Whatever suites are tried in whatever order: only the one that was answered with fits, and only the genuine answer.
fn changed_response_of_any_suite(input: &mut Input<'_>) {
    let (state, _) = initiation();
    let (_, answers) = exchange();
    let suite = Suite::ALL[usize::from(input.octet()) % 2];
    let message = answers[usize::from(suite.id())];
    let tries: Vec<Suite> =
        (0..input.octet() % 4).filter_map(|_| Suite::from_id(input.octet() % 2)).collect();
    let changed = flip(&message, input);
    let intact = changed[..4] == message[..4] && changed[8..60] == message[8..60];
    match state.finish(&PSK, &tries, &changed) {
        Ok(keys) => assert!(intact && keys.suite == suite && tries.contains(&suite)),
        Err((state, _)) => {
            assert!(!intact || !tries.contains(&suite));
            let keys = state.finish(&PSK, &[suite], &message).expect("the state was hurt");
            assert_eq!(keys.suite, suite);
        }
    }
}

/// A cookie reply holds for the message it answers and for no other.
fn changed_cookie(input: &mut Input<'_>) {
    let checker = CookieChecker::new(&bob().public(), NOW, [2; 32]);
    let mut jar = CookieJar::new(&bob().public());
    let mut first: [u8; INITIATION_LEN] = input.array();
    first[..4].copy_from_slice(&[1, 0, 0, 0]);
    jar.write_macs(NOW, &mut first);
    let checked = checker.check(&first).expect("mac1 is right");
    assert!(!checker.verify_mac2(checked, source()));
    let reply = checker.make_reply(checked, source(), [3; 24]);
    let changed = flip(&reply, input);
    let intact = changed[..4] == reply[..4] && changed[8..] == reply[8..];
    assert_eq!(jar.open_reply(NOW, &changed).is_ok(), intact);
    assert_eq!(jar.open_reply(NOW, &reply).is_ok(), !intact, "one message earns one cookie");
    let mut second = [0; RESPONSE_LEN];
    second[0] = 2;
    jar.write_macs(NOW, &mut second);
    let checked = checker.check(&second).expect("mac1 is right");
    assert!(checker.verify_mac2(checked, source()));
    assert!(!checker.verify_mac2(checked, SocketAddr::from(([192, 0, 2, 2], 6695))));
}

/// mac1 covers all before it.
fn at_the_gate(input: &mut Input<'_>) {
    let checker = CookieChecker::new(&bob().public(), NOW, [2; 32]);
    let mut message: [u8; RESPONSE_LEN] = input.array();
    message[..4].copy_from_slice(&[2, 0, 0, 0]);
    CookieJar::new(&bob().public()).write_macs(NOW, &mut message);
    let changed = flip(&message, input);
    let intact = changed[..RESPONSE_LEN - 16] == message[..RESPONSE_LEN - 16];
    assert_eq!(checker.check(&changed).is_some(), intact);
}
