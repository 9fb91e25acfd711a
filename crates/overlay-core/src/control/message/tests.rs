use super::*;
use ln6_crypto::SigningKey;
use ln6_types::{Fingerprint, Hex, PublicKey, UnixTime};
use proptest::prelude::*;

const NETWORK: Fingerprint = Fingerprint([9; 32]);

fn request() -> JoinRequest {
    let sign = SigningKey::from_seed([3; 32]);
    JoinRequest {
        network: NETWORK,
        name: "quintana".into(),
        holder: Some("quintana-libre".into()),
        size: 56,
        ssid: Some("quintanalibre.org.ar".into()),
        secret: Some([0xab; 16]),
        sign: sign.verify_key(),
        proof: join_proof(&sign, &NETWORK, &PublicKey([4; 32])),
        contact: Some("noc@example.net".into()),
        leaf: false,
    }
}

fn every_message() -> Vec<Message> {
    let v4: SocketAddr = "192.0.2.1:6695".parse().expect("address");
    let v6: SocketAddr = "[2001:db8::1]:443".parse().expect("address");
    let router = RouterId([1, 2, 3, 4, 5, 6, 7, 8]);
    let item = |kind, len| Item { kind, bytes: vec![kind as u8; len].into() };
    let hello = Hello {
        version: 1,
        network: NETWORK,
        suites: vec![2, 1],
        seen_at: Some(v4),
        transit: true,
        wall: Some(UnixTime::from_secs(1_790_000_000)),
        meta: true,
        ask: false,
        relayed: false,
    };
    let sign = SigningKey::from_seed([3; 32]);
    let bodies = vec![
        Body::Hello(Hello { suites: Vec::new(), seen_at: None, transit: false, wall: None, ..hello.clone() }),
        Body::Hello(hello.clone()),
        Body::Ack { id: u32::MAX },
        Body::Digest(Digest { count: 3, buckets: core::array::from_fn(|n| n as u64) }),
        Body::Bucket(Bucket { from: 1, to: u64::MAX, ids: vec![1, 2, u64::MAX] }),
        Body::Pull(vec![5, 4]),
        Body::Items(vec![item(ItemKind::Certificate, 700), item(ItemKind::Record, 300)]),
        Body::Items(vec![item(ItemKind::Revocation, 5), item(ItemKind::Head, 0)]),
        Body::Probe { token: u64::MAX, sent: 7 },
        Body::ProbeReply { token: 1, sent: 7, seen_at: Some(v6) },
        Body::CallMe(vec![v4, v6]),
        Body::Join(request()),
        Body::JoinReply(JoinReply::Granted { chain: vec![vec![1; 400], vec![2; 600]] }),
        Body::JoinReply(JoinReply::Waiting { place: 2, retry_secs: 60, fingerprint: "7f3a 99".into() }),
        Body::JoinReply(JoinReply::Refused { code: "full".into(), text: "no".into(), retry_secs: Some(9) }),
        Body::Renew(JoinRequest {
            secret: None,
            holder: None,
            ssid: None,
            contact: None,
            leaf: true,
            ..request()
        }),
        Body::Leave(Leave::new(&sign, &NETWORK, &PublicKey([4; 32]))),
        Body::LeaveReply { refused: None },
        Body::LeaveReply { refused: Some("unknown-key".into()) },
        Body::NoRoute { router },
        Body::TooBig { router, mtu: 1420 },
        Body::PathProbe { token: u64::MAX },
        Body::PathEcho { token: 1, direct: true },
        Body::PathEcho { token: 1, direct: false },
        Body::SizeProbe { token: 5 },
        Body::SizeReply { token: 5, octets: u16::MAX },
        Body::Hello(Hello { relayed: true, ..hello }),
    ];
    bodies
        .into_iter()
        .enumerate()
        .map(|(n, body)| Message { id: (n % 2 == 1).then_some(n as u32), body })
        .collect()
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out).expect("encode");
    out
}

#[test]
fn the_golden_messages_do_not_change() {
    let mut lines = String::new();
    for message in every_message() {
        lines += &format!("{}\n", Hex(&encoded(&message)));
    }
    assert_eq!(lines, include_str!("golden.hex"));
}

#[test]
fn every_message_reads_back_also_with_padding() {
    for message in every_message() {
        let mut bytes = encoded(&message);
        assert_eq!(Message::decode(&bytes), Ok(message.clone()));
        bytes.extend_from_slice(&[0; 15]);
        assert_eq!(Message::decode(&bytes), Ok(message.clone()));
        let short = bytes.len();
        bytes.resize(9000, 0);
        assert_eq!(Message::decode(&bytes), Ok(message), "as a probe is padded");
        *bytes.last_mut().expect("octets") = 1;
        assert_eq!(Message::decode(&bytes), Err(MessageError::TooLarge(9000)));
        bytes.truncate(short);
        bytes.push(1);
        assert_eq!(Message::decode(&bytes), Err(MessageError::Malformed));
    }
}

#[test]
fn no_cut_message_is_taken_for_a_whole_one() {
    for message in every_message() {
        let bytes = encoded(&message);
        for end in 0..bytes.len() {
            assert_eq!(Message::decode(&bytes[..end]), Err(MessageError::Malformed), "{message:?} {end}");
        }
    }
}

#[test]
fn unknown_keys_are_ignored_and_unknown_kinds_named() {
    let body = MapWriter::new().put(0, 7).put(200, "later").finish();
    let bytes = MapWriter::new().put(0, 2).put(1, 5).put(2, Raw(&body)).put(9, [1, 2].as_slice()).finish();
    assert_eq!(Message::decode(&bytes), Ok(Message { id: Some(5), body: Body::Ack { id: 7 } }));
    let bytes = MapWriter::new().put(0, 99).put(1, 5).put(2, Raw(&body)).finish();
    assert_eq!(Message::decode(&bytes), Err(MessageError::UnknownKind { kind: 99, id: Some(5) }));
}

#[test]
fn an_item_of_an_unknown_kind_does_not_hide_the_others() {
    let items = [
        Item { kind: ItemKind::Head, bytes: vec![1].into() },
        Item { kind: ItemKind::Record, bytes: vec![2].into() },
    ];
    let mut bytes = encoded(&Body::Items(items.to_vec()).into());
    let at = bytes.windows(2).position(|pair| pair == [0x82, 3]).expect("first item");
    bytes[at + 1] = 0x17;
    let Ok(Message { body: Body::Items(read), .. }) = Message::decode(&bytes) else { panic!("items") };
    assert_eq!(read, items[1..]);
}

#[test]
fn lengths_beyond_their_bounds_are_refused() {
    let refused = |body: Body| {
        let mut out = Vec::new();
        match Message::from(body).encode(&mut out) {
            Ok(()) => Message::decode(&out) == Err(MessageError::Malformed),
            Err(error) => matches!(error, MessageError::TooLarge(_)) && out.is_empty(),
        }
    };
    let join = |change: fn(&mut JoinRequest)| {
        let mut value = request();
        change(&mut value);
        Body::Join(value)
    };
    assert!(refused(join(|r| r.name = "a".repeat(64))));
    assert!(refused(join(|r| r.name = "A".into())));
    assert!(refused(join(|r| r.holder = Some("a b".into()))));
    assert!(refused(join(|r| r.ssid = Some("a".repeat(65)))));
    assert!(refused(join(|r| r.contact = Some("a".repeat(129)))));
    assert!(refused(join(|r| r.size = 129)));
    assert!(refused(Body::Pull(vec![0; 129])));
    assert!(refused(Body::Bucket(Bucket { from: 5, to: 4, ids: vec![] })));
    assert!(refused(Body::Bucket(Bucket { from: 0, to: 4, ids: vec![5] })));
    assert!(refused(Body::Bucket(Bucket { from: 0, to: 4, ids: vec![2, 1] })));
    assert!(refused(Body::CallMe(vec!["192.0.2.1:1".parse().expect("address"); 9])));
    assert!(refused(Body::Items(vec![Item { kind: ItemKind::Head, bytes: vec![].into() }; 33])));
    assert!(refused(Body::Items(vec![Item { kind: ItemKind::Head, bytes: vec![0; 1200].into() }])));
    assert!(refused(Body::JoinReply(JoinReply::Granted { chain: vec![vec![]; 5] })));
    assert!(refused(Body::JoinReply(JoinReply::Granted { chain: vec![vec![0; 1001]] })));
    assert_eq!(Message::decode(&[1; MAX_MESSAGE + 1]), Err(MessageError::TooLarge(MAX_MESSAGE + 1)));
}

#[test]
fn a_proof_binds_both_keys_and_the_network() {
    let (request, key) = (request(), PublicKey([4; 32]));
    assert!(request.proves(&key));
    assert!(!request.proves(&PublicKey([5; 32])));
    assert!(!JoinRequest { network: Fingerprint([8; 32]), ..request.clone() }.proves(&key));
    let leave = Leave { proof: request.proof };
    assert!(!leave.proves(&request.sign, &NETWORK, &key), "a request to join is no farewell");
    assert!(Leave::new(&SigningKey::from_seed([3; 32]), &NETWORK, &key).proves(
        &request.sign,
        &NETWORK,
        &key
    ));
    assert!(!format!("{request:?}").contains("171"), "secrets are not shown");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), which in 0usize..26, at: usize, to: u8) {
        let _ = Message::decode(&bytes);
        let mut nearly = encoded(&every_message()[which]);
        let at = at % nearly.len();
        nearly[at] = to;
        // Whatever is read can be said again.
        if let Ok(read) = Message::decode(&nearly) {
            prop_assert_eq!(Message::decode(&encoded(&read)), Ok(read));
        }
    }

    #[test]
    fn what_is_said_is_heard(
        id: Option<u32>, token: u64, sent: u64, seen_at: Option<(u128, u16)>, ids in prop::collection::vec(any::<u64>(), 0..=128),
    ) {
        let seen_at = seen_at.map(|(ip, port)| SocketAddr::new(core::net::Ipv6Addr::from_bits(ip).into(), port));
        for body in [Body::ProbeReply { token, sent, seen_at }, Body::Pull(ids)] {
            let message = Message { id, body };
            prop_assert_eq!(Message::decode(&encoded(&message)), Ok(message));
        }
    }
}
