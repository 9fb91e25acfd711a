use super::*;
use proptest::prelude::*;

const PROTOCOL: u8 = 0x6c;

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(pair).collect()
}

fn route(to: &str, from: &str, via: KernelVia) -> KernelRoute {
    let prefix = |text: &str| text.parse().expect("prefix");
    KernelRoute { to: prefix(to), from: prefix(from), metric: 512, via }
}

fn own() -> OwnAddress {
    OwnAddress { index: 5, address: "fd00:6::7".parse().expect("address"), len: 64 }
}

fn requests() -> Vec<Request> {
    let out = route("::/0", "2001:db8:1::/48", KernelVia::Device(5));
    let nowhere = route("2001:db8:1::/48", "::/0", KernelVia::Unreachable);
    vec![
        dump_links(),
        dump_addresses(),
        dump_routes(PROTOCOL),
        dump_unicast(false),
        set_link(5, TunShape { mtu: 1420, queue: 1000 }),
        put_address(&own(), PROTOCOL, true),
        delete_address(&own()),
        add_route(&out, PROTOCOL),
        replace_route(&nowhere, PROTOCOL),
        delete_route(&nowhere, PROTOCOL),
    ]
}

/// What the kernel answered to one of our dumps.
#[cfg(target_endian = "little")]
fn answers(name: &str) -> Vec<Answer> {
    let captured = include_str!("../kernel.hex");
    let line = captured.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let read = |message: Result<Message<'_>, Malformed>| message?.answer(PROTOCOL);
    messages(&unhex(line.expect("captured"))).map(|message| read(message).expect("well-formed")).collect()
}

#[test]
#[cfg(target_endian = "little")]
fn requests_are_these_octets() {
    let octets: Vec<String> = requests().into_iter().map(|request| hex(&request.finish(9))).collect();
    assert_eq!(octets, include_str!("requests.hex").lines().collect::<Vec<_>>());
}

#[test]
#[cfg(target_endian = "little")]
fn interfaces_are_read_as_the_kernel_sends_them() {
    let links = answers("links");
    let named = |wanted: &str| {
        let mut found = links.iter().filter_map(|answer| match answer {
            Answer::Link(link) if link.name == wanted => Some(link.clone()),
            _ => None,
        });
        found.next().expect("there")
    };
    assert!(named("lo").loopback && named("lo").running);
    let tun = named("ln6");
    assert_eq!((tun.up, tun.running, tun.loopback, tun.mtu, tun.mac), (true, false, false, 1420, None));
    assert!(named("br0").mac.is_some());
    assert_eq!((links.len(), links.last()), (4, Some(&Answer::End(0))));
}

#[test]
#[cfg(target_endian = "little")]
fn addresses_are_read_as_the_kernel_sends_them() {
    let found: Vec<String> = answers("addresses")
        .into_iter()
        .filter_map(|answer| match answer {
            Answer::Address(seen) => {
                Some(format!("{} {}/{} {}", seen.index, seen.address, seen.len, seen.usable))
            }
            _ => None,
        })
        .collect();
    let expected = [
        "1 127.0.0.1/8 true",
        "3 192.0.2.1/24 true",
        "1 ::1/128 true",
        "3 fe80::fcfa:c8ff:fe25:5f4d/64 false",
    ];
    assert_eq!(found, expected);
}

#[test]
#[cfg(target_endian = "little")]
fn routes_are_read_as_the_kernel_sends_them() {
    let routes = |name| {
        let answers = answers(name).into_iter();
        answers.filter_map(|answer| if let Answer::Route(route) = answer { Some(route) } else { None })
    };
    let ours: Vec<KernelRoute> = routes("ipv6_routes")
        .filter(|route| route.main && route.protocol == PROTOCOL)
        .map(|route| route.own())
        .collect();
    let mut nowhere = route("2001:db8:1::/48", "::/0", KernelVia::Unreachable);
    nowhere.metric = 4096;
    assert_eq!(ours, [route("::/0", "2001:db8:1::/48", KernelVia::Device(2)), nowhere]);
    let by_gateway = routes("ipv6_routes").find(|route| route.protocol != PROTOCOL && route.to_len == 48);
    assert_eq!(by_gateway.expect("there").own().via, KernelVia::Other);
    let defaults: Vec<_> = routes("ipv4_routes").filter_map(|route| route.default_route()).collect();
    assert_eq!(defaults, [DefaultRoute { ipv6: false, index: Some(3), metric: 0 }]);
}

#[test]
#[cfg(target_endian = "little")]
fn a_refusal_is_its_error_number() {
    assert_eq!(answers("refusal"), [Answer::End(libc::ENOENT)]);
}

#[test]
fn what_is_asked_for_reads_as_what_is_there() {
    let out = route("::/0", "2001:db8:1::/48", KernelVia::Device(5));
    let octets = add_route(&out, PROTOCOL).finish(1);
    let read = messages(&octets).next().expect("one").expect("well-formed").answer(PROTOCOL);
    assert!(matches!(read, Ok(Answer::Route(route)) if route.own() == out && route.main));
    let octets = put_address(&own(), PROTOCOL, false).finish(1);
    let read = messages(&octets).next().expect("one").expect("well-formed").answer(PROTOCOL);
    assert!(
        matches!(read, Ok(Answer::Address(seen)) if seen.ours && seen.address == IpAddr::V6(own().address))
    );
}

#[test]
fn a_message_that_is_cut_off_is_malformed() {
    for request in requests() {
        let octets = request.finish(1);
        for len in 1..octets.len() {
            let read: Vec<_> = messages(&octets[..len]).collect();
            assert_eq!(read, [Err(Malformed)], "{len}");
        }
    }
}

proptest! {
    #[test]
    fn hostile_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..200), kind in 0u16..32) {
        let mut datagram = octets;
        let len = datagram.len() as u32;
        if datagram.len() >= HEADER {
            datagram[..4].copy_from_slice(&len.to_ne_bytes());
            datagram[4..6].copy_from_slice(&kind.to_ne_bytes());
        }
        for message in messages(&datagram).flatten() {
            let _ = (message.heard(), message.answer(PROTOCOL));
        }
    }
}
