//! Netlink's messages, as far as this node speaks them (`rtnetlink(7)`): requests for interfaces, addresses and routes,
//! and what the kernel answers. Numbers are in the machine's own byte order. Pure: no socket here.

use crate::kernel::{Address, DefaultRoute, KernelRoute, KernelVia, Link, OwnAddress, TunShape};
use crate::netlink::Heard;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ln6_types::Prefix;
use thiserror::Error;

/// Octets of a message's header.
const HEADER: usize = 16;
const ALIGN: usize = 4;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const OVERRUN: u16 = 4;
/// Kinds below this one are netlink's own.
const FIRST_KIND: u16 = 16;
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
/// The dump was disturbed by a change and may have gaps.
const INTERRUPTED: u16 = 0x10;
const DUMP: u16 = 0x300;
const REPLACE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;

const INET: u8 = libc::AF_INET as u8;
const INET6: u8 = libc::AF_INET6 as u8;

const TABLE_MAIN: u8 = 254;
const UNICAST: u8 = 1;
const UNREACHABLE: u8 = 7;

mod attribute {
    pub(super) const LINK_ADDRESS: u16 = 1;
    pub(super) const LINK_NAME: u16 = 3;
    pub(super) const LINK_MTU: u16 = 4;
    pub(super) const LINK_QUEUE: u16 = 13;
    pub(super) const LINK_MASK: u16 = 29;
    pub(super) const ADDRESS_ADDRESS: u16 = 1;
    pub(super) const ADDRESS_LOCAL: u16 = 2;
    pub(super) const ADDRESS_LIFETIMES: u16 = 6;
    pub(super) const ADDRESS_FLAGS: u16 = 8;
    pub(super) const ADDRESS_PROTOCOL: u16 = 11;
    pub(super) const ROUTE_TO: u16 = 1;
    pub(super) const ROUTE_FROM: u16 = 2;
    pub(super) const ROUTE_INTERFACE: u16 = 4;
    pub(super) const ROUTE_GATEWAY: u16 = 5;
    pub(super) const ROUTE_METRIC: u16 = 6;
    pub(super) const ROUTE_MULTIPATH: u16 = 9;
    pub(super) const ROUTE_TABLE: u16 = 15;
    pub(super) const ROUTE_VIA: u16 = 18;
}

/// Of `LINK_MASK`: interfaces without their counters.
const SKIP_STATISTICS: u32 = 8;
const UP: u32 = libc::IFF_UP as u32;
const LOOPBACK: u32 = libc::IFF_LOOPBACK as u32;
const LOWER_UP: u32 = 0x1_0000;
/// Of an address: temporary (IPv6), or not the first of its network (IPv4).
const SECONDARY: u32 = 0x01;
const DUPLICATE: u32 = 0x08;
const DEPRECATED: u32 = 0x20;
const TENTATIVE: u32 = 0x40;

/// Octets that are no netlink message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the kernel's message cannot be read")]
pub struct Malformed;

/// A request in the making.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request(Vec<u8>);

impl Request {
    fn new(kind: u16, flags: u16, family_header: &[u8]) -> Self {
        let mut octets = vec![0; HEADER];
        octets[4..6].copy_from_slice(&kind.to_ne_bytes());
        octets[6..8].copy_from_slice(&(REQUEST | flags).to_ne_bytes());
        octets.extend_from_slice(family_header);
        Request(octets)
    }

    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let len = (4 + value.len()) as u16;
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(ALIGN), 0);
        self
    }

    fn with_number(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_ne_bytes())
    }

    /// The octets to send; `sequence` comes back in every answer.
    pub fn finish(mut self, sequence: u32) -> Vec<u8> {
        let len = self.0.len() as u32;
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// Asks for all interfaces.
pub fn dump_links() -> Request {
    Request::new(GET_LINK, DUMP, &[0; 16]).with_number(attribute::LINK_MASK, SKIP_STATISTICS)
}

/// Asks for all addresses of both families.
pub fn dump_addresses() -> Request {
    Request::new(GET_ADDRESS, DUMP, &[0; 8])
}

/// Asks for the IPv6 routes of the main table that carry `protocol`. Kernels without strict checks send all there are.
pub fn dump_routes(protocol: u8) -> Request {
    Request::new(GET_ROUTE, DUMP, &route_header(INET6, 0, 0, protocol, 0))
}

/// Asks for the plain routes of the main table; likewise.
pub fn dump_unicast(ipv6: bool) -> Request {
    let family = if ipv6 { INET6 } else { INET };
    Request::new(GET_ROUTE, DUMP, &route_header(family, 0, 0, 0, UNICAST))
}

/// Switches an interface on and shapes it.
pub fn set_link(index: u32, shape: TunShape) -> Request {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&UP.to_ne_bytes());
    header[12..16].copy_from_slice(&UP.to_ne_bytes());
    Request::new(SET_LINK, ACKNOWLEDGE, &header)
        .with_number(attribute::LINK_MTU, shape.mtu)
        .with_number(attribute::LINK_QUEUE, shape.queue)
}

fn address_header(own: &OwnAddress) -> [u8; 8] {
    let index = own.index.to_ne_bytes();
    [INET6, own.len, 0, 0, index[0], index[1], index[2], index[3]]
}

/// Adds an address for ever, or changes the one that is there.
pub fn put_address(own: &OwnAddress, protocol: u8, deprecated: bool) -> Request {
    let mut lifetimes = [0; 16];
    let preferred = if deprecated { 0 } else { u32::MAX };
    lifetimes[..4].copy_from_slice(&preferred.to_ne_bytes());
    lifetimes[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    Request::new(NEW_ADDRESS, ACKNOWLEDGE | CREATE | REPLACE, &address_header(own))
        .with(attribute::ADDRESS_LOCAL, &own.address.octets())
        .with(attribute::ADDRESS_PROTOCOL, &[protocol])
        .with(attribute::ADDRESS_LIFETIMES, &lifetimes)
}

/// Removes an address.
pub fn delete_address(own: &OwnAddress) -> Request {
    Request::new(DELETE_ADDRESS, ACKNOWLEDGE, &address_header(own))
        .with(attribute::ADDRESS_LOCAL, &own.address.octets())
}

/// Adds a route; refused if one with the same key is there.
pub fn add_route(route: &KernelRoute, protocol: u8) -> Request {
    route_request(NEW_ROUTE, ACKNOWLEDGE | CREATE | EXCLUSIVE, route, protocol)
}

/// Puts a route in the place of the one with the same key.
pub fn replace_route(route: &KernelRoute, protocol: u8) -> Request {
    route_request(NEW_ROUTE, ACKNOWLEDGE | CREATE | REPLACE, route, protocol)
}

/// Removes a route.
pub fn delete_route(route: &KernelRoute, protocol: u8) -> Request {
    route_request(DELETE_ROUTE, ACKNOWLEDGE, route, protocol)
}

fn route_header(family: u8, to: u8, from: u8, protocol: u8, kind: u8) -> [u8; 12] {
    [family, to, from, 0, TABLE_MAIN, protocol, 0, kind, 0, 0, 0, 0]
}

fn route_request(kind: u16, flags: u16, route: &KernelRoute, protocol: u8) -> Request {
    let kind_of_route = match route.via {
        KernelVia::Device(_) => UNICAST,
        KernelVia::Unreachable => UNREACHABLE,
        // Whatever it is: only removal names such a route.
        KernelVia::Other => 0,
    };
    let header = route_header(INET6, route.to.len(), route.from.len(), protocol, kind_of_route);
    let mut request = Request::new(kind, flags, &header);
    for (name, prefix) in [(attribute::ROUTE_TO, route.to), (attribute::ROUTE_FROM, route.from)] {
        if !prefix.is_default() {
            request = request.with(name, &prefix.network().octets());
        }
    }
    if let KernelVia::Device(index) = route.via {
        request = request.with_number(attribute::ROUTE_INTERFACE, index);
    }
    request.with_number(attribute::ROUTE_METRIC, route.metric)
}

/// One message of those in a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    kind: u16,
    flags: u16,
    /// That of the request, 0 in notifications.
    pub sequence: u32,
    payload: &'a [u8],
}

/// What a message means to whoever asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// An interface.
    Link(Link),
    /// An address.
    Address(Address),
    /// A route.
    Route(Route),
    /// The request is done, by the error number; 0 = well.
    End(i32),
    /// Nothing that was asked for.
    Other,
}

/// A route of any table and family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// Whether it is of IPv6.
    pub ipv6: bool,
    /// Whether it is in the main table.
    pub main: bool,
    /// Who made it.
    pub protocol: u8,
    kind: u8,
    to: Prefix,
    to_len: u8,
    from: Prefix,
    metric: u32,
    interface: Option<u32>,
    /// Whether it has no gateway.
    plain: bool,
}

impl Route {
    /// As the reconciler has it.
    pub fn own(&self) -> KernelRoute {
        let via = match (self.kind, self.interface) {
            (UNREACHABLE, _) => KernelVia::Unreachable,
            (UNICAST, Some(index)) if self.plain => KernelVia::Device(index),
            _ => KernelVia::Other,
        };
        KernelRoute { to: self.to, from: self.from, metric: self.metric, via }
    }

    /// As a way out (source-specific ones count: they are what a delegated uplink gives).
    pub fn default_route(&self) -> Option<DefaultRoute> {
        let out = self.main && self.kind == UNICAST && self.to_len == 0;
        out.then_some(DefaultRoute { ipv6: self.ipv6, index: self.interface, metric: self.metric })
    }
}

/// The messages in a datagram, in order; after an unreadable one there are no more.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    let mut rest = datagram;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let taken = take(rest);
        rest = taken.map_or(&[], |(_, after)| after);
        Some(taken.map(|(message, _)| message).ok_or(Malformed))
    })
}

fn take(octets: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let len = u32_at(octets, 0)? as usize;
    let payload = octets.get(HEADER..len)?;
    let message = Message {
        kind: u16_at(octets, 4)?,
        flags: u16_at(octets, 6)?,
        sequence: u32_at(octets, 8)?,
        payload,
    };
    // The last one may lack its padding.
    Some((message, octets.get(len.next_multiple_of(ALIGN)..).unwrap_or_default()))
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(octets.get(at..at + 4)?.try_into().ok()?))
}

/// Hands every attribute's kind and value to `take`.
fn each_attribute<'a>(mut octets: &'a [u8], take: &mut dyn FnMut(u16, &'a [u8])) -> Option<()> {
    while !octets.is_empty() {
        let len = usize::from(u16_at(octets, 0)?);
        // The upper two bits say how the value is to be taken.
        take(u16_at(octets, 2)? & 0x3fff, octets.get(4..len)?);
        octets = octets.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
    }
    Some(())
}

impl Message<'_> {
    /// Whether the dump that this message is of may have gaps.
    pub fn interrupted(&self) -> bool {
        self.flags & INTERRUPTED != 0
    }

    /// Reads it as an answer. An address counts as ours if it carries `protocol`.
    pub fn answer(&self, protocol: u8) -> Result<Answer, Malformed> {
        let read = match self.kind {
            NEW_LINK => self.link().map(Answer::Link),
            NEW_ADDRESS => return self.address(protocol),
            NEW_ROUTE => return self.route(),
            // A dump's end may lack the number.
            DONE if self.payload.is_empty() => Some(Answer::End(0)),
            DONE | ERROR => {
                u32_at(self.payload, 0).map(|number| Answer::End((number as i32).saturating_neg()))
            }
            _ => Some(Answer::Other),
        };
        read.ok_or(Malformed)
    }

    /// Reads it as a notification.
    pub fn heard(&self) -> Heard {
        let route = |removed| match (self.payload.get(1), self.payload.get(5)) {
            (Some(len), Some(&protocol)) => Heard::Route { removed, default: *len == 0, protocol },
            _ => Heard::Other,
        };
        match self.kind {
            NEW_LINK | DELETE_LINK => Heard::Link,
            NEW_ADDRESS => Heard::AddressAdded,
            DELETE_ADDRESS => Heard::AddressRemoved,
            NEW_ROUTE => route(false),
            DELETE_ROUTE => route(true),
            OVERRUN => Heard::Lost,
            kind if kind < FIRST_KIND => Heard::Other,
            _ => Heard::Other,
        }
    }

    fn link(&self) -> Option<Link> {
        let flags = u32_at(self.payload, 8)?;
        let (mut name, mut mtu, mut queue, mut mac) = (None, Some(0), Some(0), None);
        each_attribute(self.payload.get(16..)?, &mut |kind, value| match kind {
            attribute::LINK_NAME => {
                let text = value.split(|octet| *octet == 0).next().unwrap_or_default();
                name = Some(String::from_utf8_lossy(text).into_owned());
            }
            attribute::LINK_MTU => mtu = u32_at(value, 0),
            attribute::LINK_QUEUE => queue = u32_at(value, 0),
            attribute::LINK_ADDRESS => mac = value.try_into().ok(),
            _ => {}
        })?;
        Some(Link {
            index: u32_at(self.payload, 4)?,
            name: name?,
            up: flags & UP != 0,
            running: flags & LOWER_UP != 0,
            loopback: flags & LOOPBACK != 0,
            mtu: mtu?,
            queue: queue?,
            mac,
        })
    }

    fn address(&self, protocol: u8) -> Result<Answer, Malformed> {
        let header = self.payload.get(..8).ok_or(Malformed)?;
        let family = header[0];
        if family != INET && family != INET6 {
            return Ok(Answer::Other);
        }
        let (mut far, mut local, mut ours) = (None, None, false);
        let mut flags = Some(u32::from(header[2]));
        let attributes = self.payload.get(8..).unwrap_or_default();
        each_attribute(attributes, &mut |kind, value| match kind {
            attribute::ADDRESS_ADDRESS => far = ip(value),
            attribute::ADDRESS_LOCAL => local = ip(value),
            attribute::ADDRESS_PROTOCOL => ours = value == [protocol],
            attribute::ADDRESS_FLAGS => flags = u32_at(value, 0),
            _ => {}
        })
        .ok_or(Malformed)?;
        let flags = flags.ok_or(Malformed)?;
        // On a point-to-point interface the "address" is the far end's.
        let address = local.or(far).ok_or(Malformed)?;
        Ok(Answer::Address(Address {
            index: u32_at(header, 4).ok_or(Malformed)?,
            address,
            len: header[1],
            ours,
            deprecated: flags & DEPRECATED != 0,
            usable: flags & (TENTATIVE | DUPLICATE) == 0,
            temporary: flags & SECONDARY != 0 && address.is_ipv6(),
        }))
    }

    fn route(&self) -> Result<Answer, Malformed> {
        let header = self.payload.get(..12).ok_or(Malformed)?;
        let ipv6 = match header[0] {
            INET => false,
            INET6 => true,
            _ => return Ok(Answer::Other),
        };
        let (mut to, mut from) = (Some(Prefix::ALL), Some(Prefix::ALL));
        let (mut table, mut metric) = (Some(u32::from(header[4])), Some(0));
        let (mut interface, mut plain) = (None, true);
        let prefix = |value: &[u8], len: u8| match ip(value) {
            Some(IpAddr::V6(address)) if len <= 128 => Some(Prefix::new(address, len)),
            _ => None,
        };
        let attributes = self.payload.get(12..).unwrap_or_default();
        each_attribute(attributes, &mut |kind, value| match kind {
            // What is said of an IPv4 route is its length alone.
            attribute::ROUTE_TO if ipv6 => to = prefix(value, header[1]),
            attribute::ROUTE_FROM if ipv6 => from = prefix(value, header[2]),
            attribute::ROUTE_METRIC => metric = u32_at(value, 0),
            attribute::ROUTE_INTERFACE => interface = u32_at(value, 0),
            attribute::ROUTE_TABLE => table = u32_at(value, 0),
            attribute::ROUTE_GATEWAY | attribute::ROUTE_MULTIPATH | attribute::ROUTE_VIA => plain = false,
            _ => {}
        })
        .ok_or(Malformed)?;
        Ok(Answer::Route(Route {
            ipv6,
            main: table.ok_or(Malformed)? == u32::from(TABLE_MAIN),
            protocol: header[5],
            kind: header[7],
            to: to.ok_or(Malformed)?,
            to_len: header[1],
            from: from.ok_or(Malformed)?,
            metric: metric.ok_or(Malformed)?,
            interface,
            plain,
        }))
    }
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(value).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    let six = || <[u8; 16]>::try_from(value).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
    four.or_else(|_| six()).ok()
}

#[cfg(test)]
mod tests;
