//! The kernel's answers and notifications.

use core::net::IpAddr;
use ln6_host::kernel::{KernelVia, OwnAddress};
use ln6_host::netlink::wire::{self, Answer, Request};

/// Datagrams as the kernel sends them; the first octet is our protocol number. Routes and addresses that are read can be
/// asked for, and the request reads the same.
pub fn netlink(data: &[u8]) {
    let Some((&protocol, datagram)) = data.split_first() else { return };
    let mut left = datagram.len() / 16;
    for message in wire::messages(datagram) {
        let Ok(message) = message else { break };
        assert!(left > 0, "more messages than headers");
        left -= 1;
        let _ = message.heard();
        match message.answer(protocol) {
            Ok(Answer::Route(route)) if route.ipv6 && route.own().via != KernelVia::Other => {
                match again(wire::add_route(&route.own(), route.protocol), protocol) {
                    Answer::Route(read) => assert_eq!((read.own(), read.main), (route.own(), true)),
                    other => panic!("{other:?}"),
                }
            }
            Ok(Answer::Address(seen)) => {
                let IpAddr::V6(address) = seen.address else { continue };
                let own = OwnAddress { index: seen.index, address, len: seen.len };
                match again(wire::put_address(&own, protocol, false), protocol) {
                    Answer::Address(read) => assert_eq!(
                        (read.index, read.address, read.len, read.ours),
                        (seen.index, seen.address, seen.len, true)
                    ),
                    other => panic!("{other:?}"),
                }
            }
            _ => {}
        }
    }
}

fn again(request: Request, protocol: u8) -> Answer {
    let octets = request.finish(7);
    let mut messages = wire::messages(&octets);
    let message = messages.next().expect("one").expect("well-formed");
    assert!(messages.next().is_none());
    assert_eq!(message.sequence, 7);
    message.answer(protocol).expect("what we write can be read")
}
