//! What the corpora begin with: one input for each thing a target can do, made from the codecs themselves.

use crate::statement::{envelope, signer};
use ln6_types::decode_hex;

/// A target and an input.
type Seed = (&'static str, Vec<u8>);

/// All seeds, in a fixed order; they never differ from run to run.
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    handshakes(&mut seeds);
    babel(&mut seeds);
    statements(&mut seeds);
    messages(&mut seeds);
    texts(&mut seeds);
    packets(&mut seeds);
    programs(&mut seeds);
    relayed(&mut seeds);
    lists(&mut seeds);
    papers(&mut seeds);
    seeds
}

fn after(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], rest].concat()
}

/// Octets of hexadecimal text of any length.
fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| decode_hex::<1>(core::str::from_utf8(pair).ok()?))
        .map(|[octet]| octet)
        .collect()
}

/// Deterministic noise: a linear congruence's high octets.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

fn handshakes(seeds: &mut Vec<Seed>) {
    let (first, second) = crate::handshake::genuine();
    seeds.push(("handshake_message", after(0, &first)));
    seeds.push(("handshake_message", after(0, &second)));
    seeds.push(("handshake_message", after(0, &[&[4, 0, 0, 0][..], &[9; 60]].concat())));
    seeds.push(("handshake_message", after(0, &[&[3, 0, 0, 0][..], &[9; 60]].concat())));
    seeds.push(("handshake_message", after(1, &first)));
    for how in 2..6 {
        seeds.push(("handshake_message", vec![how]));
        seeds.push(("handshake_message", vec![how, 20, 1]));
        seeds.push(("handshake_message", after(how, &noise(how.into(), 160))));
    }
}

/// Packets of stock daemons.
fn babel(seeds: &mut Vec<Seed>) {
    let text = include_str!("../../../crates/routing/tests/vectors.txt");
    for line in text.lines().filter(|line| !line.starts_with('#')).step_by(3) {
        let packet = hex(line.rsplit(' ').next().unwrap_or_default());
        seeds.push(("babel_packet", after(0, &packet)));
        let body = packet.get(4..).unwrap_or_default();
        let len = (body.len() as u16).to_le_bytes();
        seeds.push(("babel_router", [&[3, len[0], len[1]][..], body].concat()));
        seeds.push(("control_event", [&[0x40, 5, 0, 0, 0x40, 2, len[0], len[1]][..], body].concat()));
    }
}

fn statements(seeds: &mut Vec<Seed>) {
    let goldens = [
        include_str!("../../../crates/crypto/tests/golden/certificate.hex"),
        include_str!("../../../crates/crypto/tests/golden/revocation.hex"),
        include_str!("../../../crates/crypto/tests/golden/head.hex"),
        include_str!("../../../crates/crypto/tests/golden/record.hex"),
    ];
    for (kind, golden) in (0u8..).zip(goldens) {
        let bytes = hex(golden.trim());
        seeds.push(("certificate", after(kind, &bytes)));
        let body = &bytes[3..bytes.len() - 66];
        seeds.push(("certificate", after(kind | 4, body)));
        seeds.push(("certificate", after(kind, &envelope(body, &signer().sign("ln6d other", body)))));
    }
}

fn messages(seeds: &mut Vec<Seed>) {
    let golden = include_str!("../../../crates/overlay-core/src/control/message/golden.hex");
    for line in golden.lines() {
        let bytes = hex(line.rsplit(' ').next().unwrap_or_default());
        let len = (bytes.len() as u16).to_le_bytes();
        seeds.push(("control_event", [&[0, 0, len[0], len[1]][..], &bytes].concat()));
        seeds.push(("control_event", [&[0x10, 0, len[0], len[1]][..], &bytes].concat()));
        seeds.push(("peer_message", bytes));
    }
}

fn texts(seeds: &mut Vec<Seed>) {
    let link = include_str!("../../../crates/crypto/tests/golden/link.txt").trim();
    seeds.push(("link", after(0, link.as_bytes())));
    seeds.push(("link", after(0, format!(" <{link}>\n").as_bytes())));
    seeds.push(("link", after(1, &link_body(link))));
    let golden = include_str!("../../../crates/node/src/config/golden.toml");
    seeds.push(("config", golden.as_bytes().to_vec()));
    let all: String = golden.lines().map(|line| format!("{}\n", commented(line))).collect();
    seeds.push(("config", all.into_bytes()));
    seeds.push(("config", MORE_CONFIGURATION.as_bytes().to_vec()));
    for line in EVENTS {
        seeds.push(("registry_event", line.as_bytes().to_vec()));
    }
    seeds.push(("registry_event", EVENTS.join("\n").into_bytes()));
    for request in REQUESTS {
        seeds.push(("api_request", request.as_bytes().to_vec()));
    }
}

/// A line of the golden file with its example taken as meant.
fn commented(line: &str) -> &str {
    match line.strip_prefix("# ") {
        Some(rest) if rest.contains(" = ") || rest.starts_with('[') => rest,
        _ => line,
    }
}

fn link_body(link: &str) -> Vec<u8> {
    use base64::Engine as _;
    let code = link.get(crate::link::SCHEME.len()..).unwrap_or_default();
    let mut bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(code).unwrap_or_default();
    bytes.truncate(bytes.len().saturating_sub(4));
    bytes
}

fn packets(seeds: &mut Vec<Seed>) {
    for kind in [0u8, 1, 4, 5, 0x85, 3] {
        let header = [0xdc, 5, 1, kind, 40, 0, 100, 0, 40, 0, 16, 0];
        seeds.push(("vnet_header", header.to_vec()));
    }
    let advertisement = "86000000400007080000000000000000010102000000000105010000000005 0003044 0c00000e1000000e100000000020010db80001000000000000000000001803400000000e1020010db8000200001903000000000e1020010db8000000000000000000000053";
    let advertisement = hex(&advertisement.replace(' ', ""));
    seeds.push(("ndp", after(0xff, &advertisement)));
    seeds.push(("ndp", after(4, &advertisement)));
    seeds.push(("ndp", after(0xff, &hex("85000000000000000101020000000001"))));
    let captured = include_str!("../../../crates/host/src/netlink/kernel.hex");
    for line in captured.lines().filter(|line| !line.starts_with('#')) {
        let datagram = hex(line.rsplit(' ').next().unwrap_or_default());
        seeds.push(("netlink", after(0x6c, &datagram)));
        // One message alone is easier to change than ten.
        let first = usize::from(datagram.first().copied().unwrap_or_default());
        seeds.push(("netlink", after(0x6c, datagram.get(..first).unwrap_or_default())));
    }
}

/// Sequences of operations, one after another kind and all together.
fn programs(seeds: &mut Vec<Seed>) {
    for seed in 0..24 {
        seeds.push(("transport_datagram", noise(seed, 200)));
        seeds.push(("tun_packet", noise(seed, 60)));
        seeds.push(("relay_frame", noise(seed, 120)));
        seeds.push(("membership", noise(seed, 160)));
        seeds.push(("control_event", noise(seed, 160)));
    }
    // A flow that can be merged, and one more packet out of order.
    let packet = |sequence: u8| [9, 0, 1, 2, 1, sequence, 0x10, 100];
    let flow: Vec<u8> = (0..6).chain([9]).flat_map(packet).collect();
    seeds.push(("transport_datagram", flow));
    let datagrams: Vec<u8> = (0..6).flat_map(|_| [9, 0, 4, 2, 1, 77, 200]).collect();
    seeds.push(("transport_datagram", datagrams));
    for kind in 1..4 {
        seeds.push(("tun_packet", vec![kind, 1, 2, 0x18, 200, 0, 0x88, 0x13, 1, 2, 3, 4]));
        seeds.push(("tun_packet", vec![kind, 1, 5, 0x18, 0x20, 3, 0x88, 0x13, 1, 2, 3, 4]));
    }
    let frame = [0, 0, 0, 40, 0].into_iter().chain([7; 40]).chain([3]);
    seeds.push(("relay_frame", frame.collect()));
    // Root signs a broker, the broker a node; a record, a head and a revocation follow.
    let broker = [0, 1, 0, 1, 0, 0, 1, 1, 1, 1, 3, 5, 200, 250, 9];
    let node = [0, 1, 0, 2, 1, 0, 1, 2, 2, 0, 4, 0, 90, 120, 0];
    let rest = [0, 1, 6, 2, 0, 9, 1, 200, 0, 1, 5, 1, 3, 1, 1, 0, 1, 4, 1, 2, 1, 0];
    seeds.push(("membership", [&broker[..], &node, &rest].concat()));
    seeds.push(("membership", [&node[..], &rest, &broker].concat()));
    // An answer under either suite, read with none, the other or both.
    for suite in [0, 1] {
        for tries in [&[][..], &[suite], &[1 - suite], &[1 - suite, suite]] {
            seeds.push(("handshake_message", [&[6, suite, tries.len() as u8][..], tries].concat()));
            seeds.push(("handshake_message", [&[6, suite, tries.len() as u8][..], tries, &[13, 1]].concat()));
        }
    }
    // A record of the member's, a while, and a handshake after it; then another record.
    for (counter, suites) in [(1, &[1, 0][..]), (2, &[0]), (3, &[7, 1])] {
        let record = [&[0x40, 7, 0, 0, 0, 0, counter, suites.len() as u8, 0][..], suites].concat();
        let less = [0x40, 7, 0, 0, 0, 0, 9, 1, 0, 0];
        seeds.push(("control_event", [&record[..], &[0xcf, 0xcf], &less, &[0xef]].concat()));
    }
}

/// Relayed datagrams to each addressee: whole, with another head, changed, and sent twice.
fn relayed(seeds: &mut Vec<Seed>) {
    for takes in [0, 1] {
        for how in [1, 9, 0x31] {
            seeds
                .push(("relayed_datagram", [&[takes, how, 0, 100, 0][..], &noise(how.into(), 100)].concat()));
        }
        seeds.push(("relayed_datagram", [&[takes, 3, 0, 60, 0][..], &noise(3, 60), &[4, 1]].concat()));
        seeds.push(("relayed_datagram", [&[takes, 5, 0, 120, 0][..], &noise(5, 120), &[80, 0, 1]].concat()));
        seeds.push((
            "relayed_datagram",
            vec![takes, 8, 1, 40, 0, 1, 40, 4, 1, 40, 20, 0, 1, 4, 1, 40, 90, 0, 1],
        ));
    }
    for seed in 0..8 {
        seeds.push(("relayed_datagram", noise(seed, 200)));
    }
}

/// Files of a key list, what git prints, and hosts of the old network.
fn lists(seeds: &mut Vec<Seed>) {
    let keys = "key = BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=\nsign = \"BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY=\"\n";
    for more in [
        "",
        "size = /56 # as before\n",
        "# who\ncontact = \"a \\\"b\\\" \\\\\" # c\nsize = 64\n",
        "contact = b\r\n",
        "x = 1",
    ] {
        seeds.push(("key_list", after(0, format!("{keys}{more}").as_bytes())));
    }
    seeds.push((
        "key_list",
        after(
            1,
            &[&[1, 0, 1, 1, 0, 0, 2, 1, 2, 2, 0, 0, 1, 2, 2, 3, 0, 0, 3, 4, 4][..], &noise(1, 60)].concat(),
        ),
    ));
    seeds.push(("key_list", after(1, &noise(2, 200))));
    let id = "0000000000000000000000000000000000000000";
    let printed = format!("100644 blob {id}      12\tquintana\x00160000 commit {id}       -\tmodule\0");
    seeds.push(("key_list", after(2, printed.as_bytes())));
    seeds.push(("key_list", after(3, format!("\x01{id} blob 3\na\nb\n").as_bytes())));
    let hosts = [
        (
            "topo_Quintana_1",
            "Address = a.example.net\nSubnet = 2001:db8:1:f012::/64#10\nsubnet 2001:db8:1:f100::/56\n",
        ),
        (
            "topo_quintana-1",
            "-----BEGIN RSA PUBLIC KEY-----\nSubnet = 2001:db8:1:f100::1/64\nSubnet = 10.0.0.0/8\n",
        ),
        ("b", "Ed25519PublicKey = x\nSubnet = fd00::/64\nSubnet = 2001::/3\nSubnet=2001:db8::/80\n"),
    ];
    let mut folder = Vec::new();
    for (name, content) in hosts {
        for part in [name, content] {
            folder.extend_from_slice(&(part.len() as u16).to_le_bytes());
            folder.extend_from_slice(part.as_bytes());
        }
    }
    seeds.push(("librenet6_hosts", folder));
}

/// Requests and papers, as text and as what is signed.
fn papers(seeds: &mut Vec<Seed>) {
    for seed in 0..3 {
        let choice = noise(seed, 40);
        let request = crate::root_papers::genuine(&mut crate::input::Input::new(&choice));
        let text = request.render(&ln6_crypto::SigningKey::from_seed([1; 32]));
        let body: String = text
            .lines()
            .skip(1)
            .take_while(|line| !line.starts_with("proof"))
            .map(|line| format!("{line}\n"))
            .collect();
        seeds.push(("root_papers", after(0, text.as_bytes())));
        seeds.push(("root_papers", after(1, body.as_bytes())));
        seeds.push(("root_papers", after(2, &choice)));
    }
    let mut bodies = Vec::new();
    for (kind, bytes) in crate::membership::of_the_root() {
        let name = if kind == 0 { "CERTIFICATE" } else { "REVOCATION" };
        seeds.push(("root_papers", after(3, crate::root_papers::between(name, &bytes).as_bytes())));
        bodies.push(kind);
        let body = &bytes[if bytes[1] == 0x58 { 3 } else { 4 }..bytes.len() - 66];
        bodies.extend_from_slice(&(body.len() as u16).to_le_bytes());
        bodies.extend_from_slice(body);
    }
    seeds.push(("root_papers", after(4, &bodies)));
}

const MORE_CONFIGURATION: &str = r#"
[node]
name = "vm"
public = ["vm.example.net", "192.0.2.1:6695", "[2001:db8::1]:443"]
workers = 2

[network]
fingerprint = "0909090909090909090909090909090909090909090909090909090909090909"

[[network.broker]]
key = "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ="
endpoints = ["vm.example.net:6695"]

[join]
size = 56
secret = "q6urq6urq6urq6urq6urqw"

[[lan]]
interface = "br-lan"
subnet = 3
resolvers = ["2620:fe::fe"]

[broker]
validity_days = 90
grace_days = 30

[[broker.pools]]
prefix = "2001:db8:4800::/40"
smallest = 64
largest = 48
default = 56
admission = "queue"

[[wireguard]]
name = "phone"
public_key = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU="
prefixes = ["2001:db8:4812:8000::/64"]
keepalive = 25
"#;

const EVENTS: [&str; 9] = [
    r#"{"v":1,"at":1790000000,"who":"clock","what":{"epoch":{"epoch":1}}}"#,
    r#"{"v":1,"at":1790000000,"who":"clock","what":{"holder_added":{"id":1,"name":"quintana"}}}"#,
    r#"{"v":1,"at":1790000001,"who":"clock","what":{"key_added":{"holder":1,"key":"BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=","sign":"BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY=","name":"quintana"}}}"#,
    r#"{"v":1,"at":1790000002,"who":"clock","what":{"granted":{"id":1,"holder":1,"prefix":"2001:db8:4812::/48"}}}"#,
    r#"{"v":1,"at":1790000003,"who":"clock","what":{"quarantined":{"id":1,"until":1790000900,"returns":true}}}"#,
    r#"{"v":1,"at":1790000004,"who":"clock","what":{"unreserved":{"prefix":"2001:db8:4813::/48"}}}"#,
    r#"{"v":1,"at":1790000005,"who":"clock","what":{"issued":{"serial":18446744073709551615,"key":"BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=","sign":"BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY=","name":"quintana","holder":"quintana","prefixes":["2001:db8:4812::/48"],"pools":[],"roles":{"broker":false,"exit":false,"transit":true},"not_before":1790000000,"not_after":1790000900,"grace_until":1790001800}}}"#,
    r#"{"v":1,"at":1790000006,"who":"clock","what":{"revocation":{"number":18446744073709551615,"what":{"serial":18446744073709551615},"cause":"revoked","at":1790000006,"until":1790001800}}}"#,
    r#"{"v":1,"at":1790000007,"who":"clock","what":{"epoch":{"epoch":4294967295}}}"#,
];

const REQUESTS: [&str; 8] = [
    "GET\n/api/v1/status\n\n",
    "GET\n/api/v1/events\nafter=7\n",
    "POST\n/api/v1/invite\n\n{\"name\":\"a\",\"size\":56,\"expires_seconds\":60}",
    "POST\n/api/v1/approve\n\n{\"request\":\"3\",\"size\":56}",
    "POST\n/api/v1/deny\n\n{\"request\":\"3\",\"reason\":\"no\"}",
    "POST\n/api/v1/revoke\n\n{\"name\":\"a\",\"reason\":null}",
    "POST\n/api/v1/wireguard\n\n{\"name\":\"phone\",\"public_key\":\"AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\",\"size\":null,\"psk\":true}",
    "POST\n/api/v1/leave\n\n",
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_events_among_the_seeds_are_events() {
        for line in super::EVENTS {
            serde_json::from_str::<ln6_registry::Event>(line).expect(line);
        }
    }
}
