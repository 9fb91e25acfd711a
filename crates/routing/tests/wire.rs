//! The codec: the parsing cases (group P) and the source prefix cases (SS), stock daemons' packets, round trips.
#![allow(clippy::unwrap_used)]

use ipnet::IpNet;
use ln6_routing::wire::{HEADER, PacketBuilder, PacketError, Tlv, decode};
use ln6_routing::{INFINITY, Key};
use ln6_types::RouterId;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const FROM: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);
const ROUTER: RouterId = RouterId([1, 2, 3, 4, 5, 6, 7, 8]);

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn packet(body: &[u8]) -> Vec<u8> {
    let mut packet = vec![42, 2];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend(body);
    packet
}

/// TLVs of a body given in hex, and how many were ignored.
fn read(body: &str) -> (Vec<Tlv>, u32) {
    let mut tlvs = Vec::new();
    let ignored = decode(&packet(&hex(body)), FROM, |tlv| tlvs.push(tlv)).unwrap();
    (tlvs, ignored)
}

fn tlvs(body: &str) -> Vec<Tlv> {
    read(body).0
}

fn keys(body: &str) -> Vec<String> {
    let key = |tlv: &Tlv| match tlv {
        Tlv::Update { key, .. } => Some(key.to_string()),
        Tlv::Retract { key, .. } => Some(format!("no {}", key.map_or("*".to_owned(), |k| k.to_string()))),
        Tlv::RouteRequest { key } => Some(format!("? {}", key.map_or("*".to_owned(), |k| k.to_string()))),
        Tlv::SeqnoRequest { key, .. } => Some(format!("?? {key}")),
        _ => None,
    };
    tlvs(body).iter().filter_map(key).collect()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

const HELLO: &str = "0406 0000 0001 0190";
const ID: &str = "060a 0000 0102030405060708";

// P01, P02, P03, P04, P06
#[test]
fn packets_that_are_not_babel_or_lie_about_their_length_are_ignored() {
    let error = |text: &str| decode(&hex(text), FROM, |_| panic!("acted on")).unwrap_err();
    assert_eq!(error("2902 0008 0406000000010190"), PacketError::Magic);
    assert_eq!(error("2a03 0008 0406000000010190"), PacketError::Version);
    for text in ["", "2a", "2a02", "2a0200"] {
        assert_eq!(error(text), PacketError::Short);
    }
    assert_eq!(error("2a02 0009 0406000000010190"), PacketError::BodyLength);
    assert_eq!(error("2a02 002a 02"), PacketError::BodyLength);
}

// P05
#[test]
fn a_hello_in_the_trailer_is_ignored() {
    let mut seen = 0;
    decode(&hex("2a02 0000 0406000000010190"), FROM, |_| seen += 1).unwrap();
    assert_eq!(seen, 0);
}

// P07, P08, P09
#[test]
fn what_stands_before_a_broken_tlv_is_kept() {
    assert_eq!(read(&format!("{HELLO} 0407 0000 0002 0190")).0.len(), 1);
    assert_eq!(read(&format!("{HELLO} 00")), (tlvs(HELLO), 0));
    assert_eq!(read(&format!("{HELLO} 04")), (tlvs(HELLO), 1));
}

// P10, P11, P12
#[test]
fn unknown_tlvs_and_padding_are_skipped() {
    for skipped in ["4d03 010203", "f000", "0b06 000000000000", "0c04 00000000", "0103 ffffff", "00"] {
        assert_eq!(read(&format!("{HELLO} {skipped} {HELLO}")).0.len(), 2, "{skipped}");
    }
}

// P13
#[test]
fn reserved_fields_are_not_looked_at() {
    assert_eq!(tlvs("0206 ffff 1234 0064"), [Tlv::AckRequest { opaque: 0x1234, interval: 100 }]);
    assert_eq!(tlvs("0506 00ff 0060 012c"), tlvs("0506 0000 0060 012c"));
    assert_eq!(keys("060a ffff 0102030405060708 080a 02c0 0000 0190 0001 0000"), [""; 0]);
    assert_eq!(keys("060a ffff 0102030405060708 080a 0200 0000 0190 0001 0000"), ["::/0"]);
    let request = "0a0e 0200 0005 40ff 0102030405060708";
    assert_eq!(
        tlvs(request),
        [Tlv::SeqnoRequest { key: Key::to(net("::/0")), seqno: 5, hop_count: 64, router: ROUTER }]
    );
}

// P14
#[test]
fn only_the_first_flag_of_a_hello_counts() {
    let unicast = |body| matches!(tlvs(body)[..], [Tlv::Hello { unicast: true, .. }]);
    assert!(!unicast("0406 7fff 0001 0190"));
    assert!(unicast("0406 8001 0001 0190"));
}

// P15
#[test]
fn each_tlv_one_octet_short_is_ignored() {
    for body in [
        "0205 0000 1234 00",
        "0301 12",
        "0405 0000 0001 01",
        "0505 0000 0060 01",
        "0609 0000 01020304050607",
        "0701 01",
        "0809 0200 0000 0190 0001 00",
        "0901 02",
        "0a0d 0200 0005 4000 01020304050607",
    ] {
        assert_eq!(read(body), (vec![], 1), "{body}");
    }
}

const EACH: [(&str, &str); 7] = [
    ("02", "0000 1234 0064"),
    ("03", "1234"),
    ("04", "0000 0001 0190"),
    ("05", "0000 0060 012c"),
    ("08", "0280 2000 0190 0001 0000 20010db8"),
    ("09", "0220 20010db8"),
    ("0a", "0220 0005 4000 0102030405060708 20010db8"),
];

fn with_sub_tlv(kind: &str, body: &str, sub: &str) -> (usize, u32) {
    let value = hex(&format!("{body}{sub}"));
    let text: String = value.iter().map(|b| format!("{b:02x}")).collect();
    let (tlvs, ignored) = read(&format!("{ID} {kind} {:02x} {text}", value.len()));
    (tlvs.len(), ignored)
}

// P16 to P21
#[test]
fn sub_tlvs_are_skipped_or_make_the_tlv_void_as_their_mandatory_bit_says() {
    for (kind, body) in EACH {
        for fine in ["", "7002 0000", "00", "0102 ffff", "00 7000 0000 0101 00"] {
            assert_eq!(with_sub_tlv(kind, body, fine), (1, 0), "{kind} {fine}");
        }
        for void in ["fe01 00", "fe00", "7001 00 fe00", "0304 00000000 fe00", "7005 00", "70", "03"] {
            assert_eq!(with_sub_tlv(kind, body, void), (0, 1), "{kind} {void}");
        }
    }
}

// P22, P23, P24, P25
#[test]
fn a_void_tlv_still_changes_the_parser_state() {
    let plain = "080a 0200 0000 0190 0001 0000";
    assert_eq!(keys(&format!("060c 0000 0102030405060708 fe00 {plain}")), ["::/0"]);
    let hop = "070c 0300 0000000000000009 fe00";
    assert!(
        matches!(tlvs(&format!("{ID} {hop} {plain}"))[..], [Tlv::Update { next_hop, .. }] if next_hop.to_string() == "fe80::9")
    );
    let first = "0810 0280 2000 0190 0001 0000 20010db8 fe00";
    assert_eq!(keys(&format!("{ID} {first} 080c 0200 3004 0190 0001 0000 0007")), ["2001:db8:7::/48"]);
    let marked = "081c 02c0 8000 0190 0001 0000 20010db8 00000000 1112131415161718 fe00";
    let read = tlvs(&format!("{marked} {plain}"));
    assert!(matches!(read[..], [Tlv::Update { router, .. }] if router.to_string() == "1112:1314:1516:1718"));
}

// P26, P27, P31
#[test]
fn a_compressed_prefix_needs_its_own_base() {
    assert_eq!(keys(&format!("{ID} 080b 0200 3805 0190 0001 0000 0007")), [""; 0]);
    let v4 = "0706 0100 c0000201 080e 0180 2000 0190 0001 0000 0a000001";
    assert_eq!(keys(&format!("{ID} {v4} 080c 0200 2802 0190 0001 0000 000700")), ["10.0.0.1/32"]);
    let base = "080e 0280 2000 0190 0001 0000 20010db8";
    let broken = "080a 0280 1003 0190 0001 0000";
    let compressed = "080c 0200 3004 0190 0001 0000 0007";
    assert_eq!(keys(&format!("{ID} {base} {compressed}")).len(), 2);
    assert_eq!(keys(&format!("{ID} {base} {broken} {compressed}")), ["2001:db8::/32"]);
}

// P28, P29, P30
#[test]
fn prefixes_are_masked_and_their_lengths_checked() {
    assert_eq!(
        keys(&format!("{ID} 0812 0200 3d00 0190 0001 0000 20010db8 0000 00ff")),
        ["2001:db8:0:f8::/61"]
    );
    assert_eq!(keys(&format!("{ID} 080a 0200 0000 0190 0001 0000")), ["::/0"]);
    assert_eq!(keys(&format!("{ID} 0706 0100 c0000201 080f 0100 2100 0190 0001 0000 0a00000100")), [""; 0]);
    assert_eq!(keys(&format!("{ID} 081b 0200 8100 0190 0001 0000 {}", "20".repeat(17))), [""; 0]);
    assert_eq!(keys(&format!("{ID} 080b 0300 4101 0190 0001 0000 80")), [""; 0]);
    assert_eq!(keys(&format!("{ID} 080b 0300 4100 0190 0001 0000 80")), ["fe80::8000:0:0:0/65"]);
}

// P32
#[test]
fn the_router_id_flag_takes_the_low_octets_of_the_prefix() {
    let v6 = "081a 0240 8000 0190 0001 0000 20010db8 00000000 1112131415161718";
    assert!(matches!(tlvs(v6)[..], [Tlv::Update { router: RouterId([0x11, .., 0x18]), .. }]));
    let v4 = "0706 0100 c0000201 080e 0140 2000 0190 0001 0000 0a000001";
    assert!(matches!(tlvs(v4)[..], [Tlv::Update { router: RouterId([0, 0, 0, 0, 10, 0, 0, 1]), .. }]));
}

// P33, P34
#[test]
fn a_finite_update_needs_a_valid_router_id_and_a_retraction_none() {
    let update = "080a 0200 0000 0190 0001 0000";
    let retraction = "080a 0200 0000 0190 0001 ffff";
    for bad in ["060a 0000 0000000000000000", "060a 0000 ffffffffffffffff", ""] {
        assert_eq!(keys(&format!("{bad} {update} {retraction}")), ["no ::/0"]);
    }
    assert_eq!(keys(&format!("{ID} 080a 0240 0000 0190 0001 0000 {update}")), [""; 0]);
    assert_eq!(keys("0a0e 0200 0005 4000 0000000000000000"), [""; 0]);
}

// P35
#[test]
fn an_ipv4_update_needs_an_ipv4_next_hop_and_a_retraction_none() {
    assert_eq!(keys(&format!("{ID} 080b 0100 0800 0190 0001 0000 0a")), [""; 0]);
    assert_eq!(keys(&format!("{ID} 080b 0100 0800 0190 0001 ffff 0a")), ["no 10.0.0.0/8"]);
}

// V01, V02, V03, V04
#[test]
fn an_ipv4_route_may_go_by_an_ipv6_next_hop() {
    let update = "080b 0400 0800 0190 0001 0000 0a";
    let hop = |body: &str| match tlvs(body)[..] {
        [Tlv::Update { next_hop, .. }] => next_hop.to_string(),
        _ => panic!("one update in {body}"),
    };
    assert_eq!(hop(&format!("{ID} {update}")), FROM.to_string());
    assert_eq!(hop(&format!("{ID} 070a 0300 0000000000000009 {update}")), "fe80::9");
    assert_eq!(
        keys(&format!("{ID} 080b 0480 0800 0190 0001 ffff 0a 080b 0100 1001 0190 0001 ffff 07")),
        ["no 10.0.0.0/8"]
    );
    assert_eq!(read("050a 0400 0060 012c 0a000001"), (vec![], 1));
}

// P36
#[test]
fn a_next_hop_of_no_use_leaves_the_older_one() {
    for bad in ["0702 0000", "0706 0400 0a000001", "0706 c800 0a000001"] {
        let read = tlvs(&format!("{ID} 070a 0300 0000000000000009 {bad} 080a 0200 0000 0190 0001 0000"));
        assert!(
            matches!(read[..], [Tlv::Update { next_hop, .. }] if next_hop.to_string() == "fe80::9"),
            "{bad}"
        );
    }
}

// P37, P38, P39, P40
#[test]
fn wildcards_are_allowed_only_where_they_mean_something() {
    for bad in [
        "0506 c800 0060 012c",
        "080a c800 0000 0190 0001 ffff",
        "0902 c800",
        "0a0e c800 0005 4000 0102030405060708",
        "080a 0000 0000 0190 0001 0000",
        "080b 0000 0800 0190 0001 ffff 00",
        "080a 0000 0001 0190 0001 ffff",
        "0902 0001",
        "0903 0001 00",
        "0a0e 0000 0005 4000 0102030405060708",
        "0a0e 0200 0005 0000 0102030405060708",
    ] {
        assert_eq!(read(bad), (vec![], 1), "{bad}");
    }
    assert_eq!(keys("080a 0000 0000 0190 0001 ffff 0902 0000"), ["no *", "? *"]);
}

#[test]
fn an_interval_of_zero_voids_ihus_and_finite_updates() {
    assert_eq!(read("0506 0000 0060 0000"), (vec![], 1));
    assert_eq!(
        keys(&format!("{ID} 080a 0200 0000 0000 0001 0000 080a 0200 0000 0000 0001 ffff")),
        ["no ::/0"]
    );
}

// SS01, SS02
#[test]
fn a_source_prefix_is_part_of_the_key() {
    let source = "8007 30 20010db80005";
    assert_eq!(keys(&format!("{ID} 0813 0200 0000 0190 0001 0000 {source}")), ["::/0 from 2001:db8:5::/48"]);
    assert_eq!(keys(&format!("090b 0200 {source}")), ["? ::/0 from 2001:db8:5::/48"]);
    assert_eq!(
        keys(&format!("0a17 0200 0005 4000 0102030405060708 {source}")),
        ["?? ::/0 from 2001:db8:5::/48"]
    );
}

// SS03, SS04, SS05, SS06, SS07
#[test]
fn a_malformed_source_prefix_voids_the_tlv() {
    for bad in [
        "080d 0200 0000 0190 0001 ffff 8001 00",
        "0814 0200 0000 0190 0001 ffff 8003 1020 01 8003 102001",
        "080f 0200 0000 0190 0001 ffff 8003 302001",
        "080f 0000 0000 0190 0001 ffff 8003 102001",
        "0907 0000 8003 102001",
        "0812 0100 0000 0190 0001 ffff 8006 210a000000 00",
        "040b 0000 0001 0190 8003 102001",
    ] {
        assert_eq!(read(bad).0, [], "{bad}");
    }
    assert_eq!(keys("080f 0200 0000 0190 0001 ffff 8003 08200f"), ["no ::/0 from 2000::/8"]);
}

// T06
#[test]
fn a_short_timestamp_is_no_timestamp_and_a_long_one_is_cut() {
    let stamp = |body: &str| match tlvs(body)[..] {
        [Tlv::Hello { timestamp, .. }] => timestamp.map(u64::from),
        [Tlv::Ihu { timestamps, .. }] => timestamps.map(|(a, b)| u64::from(a) << 32 | u64::from(b)),
        _ => panic!("{body}"),
    };
    assert_eq!(stamp("040b 0000 0001 0190 0303 010203"), None);
    assert_eq!(stamp("0414 0000 0001 0190 030c 010203040506070809101112"), Some(0x0102_0304));
    assert_eq!(stamp("050f 0000 0060 012c 0307 01020304050607"), None);
    assert_eq!(stamp("0514 0000 0060 012c 030c 010203040506070809101112"), Some(0x0102_0304_0506_0708));
}

fn reread(packets: &[Vec<u8>], from: Ipv6Addr) -> Vec<Tlv> {
    let mut all = Vec::new();
    for packet in packets {
        assert_eq!(decode(packet, from, |tlv| all.push(tlv)), Ok(0));
    }
    all
}

// P44
#[test]
fn packets_of_stock_daemons_decode_and_encode_to_the_same() {
    let mut total = 0;
    for line in include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let from: Ipv6Addr = words[1].parse().unwrap();
        let mut first = Vec::new();
        assert_eq!(decode(&hex(words[3]), from, |tlv| first.push(tlv)), Ok(0), "{line}");
        let mut builder = PacketBuilder::new(from, 1232);
        first.iter().for_each(|tlv| builder.push(tlv));
        assert_eq!(reread(&builder.finish(), from), first, "{line}");
        total += first.len();
    }
    assert_eq!(total, 131);
}

#[test]
fn a_packet_of_a_stock_daemon_has_the_fields_it_was_sent_with() {
    let body = "04060000b2ce0064 080a00000000ffff58d8ffff 060a00000091b6055c2ed29c 081a02808000019058d8000020010db8000a00000000000000000001 0815028080050190 58d80000ff0000000000000000000108140280400701 9058d800000180073020010db80005 07060100c0000201 080e01002000019058d800000a010001 09020000";
    let router: RouterId = "0091:b605:5c2e:d29c".parse().unwrap();
    let update = |dst: &str, src: &str, hop: IpAddr| Tlv::Update {
        key: Key::new(net(dst), net(src)).unwrap(),
        router,
        next_hop: hop,
        interval: 400,
        seqno: 0x58d8,
        metric: 0,
    };
    let hop = IpAddr::V6(FROM);
    assert_eq!(
        tlvs(body),
        [
            Tlv::Hello { unicast: false, seqno: 0xb2ce, interval: 100, timestamp: None },
            Tlv::Retract { key: None, interval: 0xffff },
            update("2001:db8:a::1/128", "::/0", hop),
            update("2001:db8:ff::1/128", "::/0", hop),
            update("2001:db8:ff:1::/64", "2001:db8:5::/48", hop),
            update("10.1.0.1/32", "0.0.0.0/0", IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
            Tlv::RouteRequest { key: None },
        ]
    );
}

fn any_net6() -> impl Strategy<Value = IpNet> {
    (any::<u128>(), 0u8..=128, any::<bool>()).prop_map(|(bits, len, near)| {
        let bits = if near { 0x2001_0db8 << 96 | bits & 0xffff_ffff_ffff } else { bits };
        IpNet::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), len).unwrap()
    })
}

fn any_net4() -> impl Strategy<Value = IpNet> {
    (any::<u32>(), 0u8..=32)
        .prop_map(|(bits, len)| IpNet::new(IpAddr::V4(Ipv4Addr::from_bits(bits)), len).unwrap())
}

fn any_key() -> impl Strategy<Value = Key> {
    let zero = Just("::/0".parse::<IpNet>().unwrap());
    prop_oneof![
        (any_net6(), prop_oneof![zero, any_net6()]).prop_filter_map("families", |(d, s)| Key::new(d, s)),
        (any_net4(), prop_oneof![zero, any_net4()]).prop_filter_map("families", |(d, s)| Key::new(d, s)),
    ]
}

fn any_router() -> impl Strategy<Value = RouterId> {
    (0u8..4, any::<u64>()).prop_map(|(few, bits)| {
        let id = RouterId(if few == 0 { bits.to_be_bytes() } else { [few; 8] });
        if id.is_reserved() { ROUTER } else { id }
    })
}

fn any_hop() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        Just(IpAddr::V6(FROM)),
        (0u128..3).prop_map(|low| IpAddr::V6(Ipv6Addr::from_bits(0xfe80 << 112 | low))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
        (0u32..3).prop_map(|low| IpAddr::V4(Ipv4Addr::from_bits(low))),
    ]
}

fn any_update() -> impl Strategy<Value = Tlv> {
    (any_key(), any_router(), any_hop(), 1..=u16::MAX, any::<u16>(), 0..INFINITY).prop_filter_map(
        "next hop",
        |(key, router, next_hop, interval, seqno, metric)| {
            let possible = next_hop.is_ipv6() || matches!(key.dst(), IpNet::V4(_));
            possible.then_some(Tlv::Update { key, router, next_hop, interval, seqno, metric })
        },
    )
}

fn any_tlv() -> impl Strategy<Value = Tlv> {
    let key = || prop_oneof![1 => Just(None), 4 => any_key().prop_map(Some)];
    prop_oneof![
        8 => any_update(),
        1 => (any::<u16>(), 1..=u16::MAX).prop_map(|(opaque, interval)| Tlv::AckRequest { opaque, interval }),
        1 => any::<u16>().prop_map(|opaque| Tlv::Ack { opaque }),
        1 => (any::<bool>(), any::<u16>(), any::<u16>(), any::<Option<u32>>())
            .prop_map(|(unicast, seqno, interval, timestamp)| Tlv::Hello { unicast, seqno, interval, timestamp }),
        1 => (prop_oneof![Just(None), any_hop().prop_map(Some)], any::<u16>(), 1..=u16::MAX, any::<Option<(u32, u32)>>())
            .prop_map(|(address, rxcost, interval, timestamps)| Tlv::Ihu { address, rxcost, interval, timestamps }),
        3 => (key(), any::<u16>()).prop_map(|(key, interval)| Tlv::Retract { key, interval }),
        1 => key().prop_map(|key| Tlv::RouteRequest { key }),
        1 => (any_key(), any::<u16>(), 1..=u8::MAX, any_router())
            .prop_map(|(key, seqno, hop_count, router)| Tlv::SeqnoRequest { key, seqno, hop_count, router }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    // U09, U10
    #[test]
    fn built_packets_read_back_one_by_one_as_what_was_put_in(
        tlvs in proptest::collection::vec(any_tlv(), 0..120), max in 0usize..1500
    ) {
        let mut builder = PacketBuilder::new(FROM, max);
        tlvs.iter().for_each(|tlv| builder.push(tlv));
        let packets = builder.finish();
        prop_assert!(packets.iter().all(|p| p.len() > HEADER && p.len() <= max.max(512)));
        prop_assert_eq!(reread(&packets, FROM), tlvs);
    }

    // P45
    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&body, FROM, |_| {});
        let _ = decode(&packet(&body), FROM, |_| {});
    }

    // P45
    #[test]
    fn mutated_packets_never_panic(
        tlvs in proptest::collection::vec(any_tlv(), 1..20), at: prop::sample::Index, to: u8
    ) {
        let mut builder = PacketBuilder::new(FROM, 1232);
        tlvs.iter().for_each(|tlv| builder.push(tlv));
        let mut packet = builder.finish().swap_remove(0);
        let at = at.index(packet.len());
        packet[at] = to;
        let _ = decode(&packet, FROM, |_| {});
    }
}
