//! The real kernel, by the library rtnetlink.

use crate::kernel::{
    Address, DefaultRoute, Kernel, KernelError, KernelRoute, KernelVia, Link, OwnAddress, PROTOCOL, Step,
};
use crate::netlink::{Heard, RECEIVE_BUFFER};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStream, TryStreamExt as _};
use ln6_types::Prefix;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use rtnetlink::sys::{AsyncSocket as _, SocketAddr};
use rtnetlink::{Handle, LinkUnspec, MulticastGroup, RouteMessageBuilder};
use tokio::task::JoinHandle;

/// A request socket to the kernel's network configuration in the network namespace of the thread that opened it.
pub struct Netlink {
    handle: Handle,
    protocol: u8,
    connection: JoinHandle<()>,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Netlink {
    /// Opens the socket. Needs a tokio runtime. `protocol` marks what is ours: [`PROTOCOL`], unless several nodes share
    /// a network namespace.
    pub fn open(protocol: u8) -> Result<Self, KernelError> {
        // Kernels before 4.20 have no strict checks; without them a dump is longer and we filter it ourselves.
        let strict = rtnetlink::new_connection_with_strict_check();
        let (connection, handle, _) = strict
            .or_else(|_| rtnetlink::new_connection())
            .map_err(|error| KernelError::Socket(error.to_string()))?;
        Ok(Netlink { handle, protocol, connection: tokio::spawn(connection) })
    }

    /// Opens the socket with our usual protocol number.
    pub fn open_default() -> Result<Self, KernelError> {
        Netlink::open(PROTOCOL)
    }

    async fn dump_routes(&mut self, message: RouteMessage) -> Result<Vec<RouteMessage>, KernelError> {
        collect("routes", self.handle.route().get(message).execute()).await
    }

    fn route_message(&self, route: &KernelRoute) -> RouteMessage {
        let mut builder = RouteMessageBuilder::<Ipv6Addr>::new()
            .protocol(RouteProtocol::from(self.protocol))
            .priority(route.metric)
            .destination_prefix(route.to.network(), route.to.len());
        if !route.from.is_default() {
            builder = builder.source_prefix(route.from.network(), route.from.len());
        }
        match route.via {
            KernelVia::Device(index) => builder.output_interface(index),
            KernelVia::Unreachable => builder.kind(RouteType::Unreachable),
            KernelVia::Other => builder,
        }
        .build()
    }

    async fn put_address(&self, own: &OwnAddress, deprecated: bool) -> Result<(), rtnetlink::Error> {
        let mut request = self.handle.address().add(own.index, IpAddr::V6(own.address), own.len).replace();
        let attributes = &mut request.message_mut().attributes;
        attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(self.protocol)));
        let mut lifetimes = CacheInfo::default();
        lifetimes.ifa_preferred = if deprecated { 0 } else { u32::MAX };
        lifetimes.ifa_valid = u32::MAX;
        attributes.push(AddressAttribute::CacheInfo(lifetimes));
        request.execute().await
    }

    async fn delete_route(&self, route: &KernelRoute) -> Result<(), rtnetlink::Error> {
        let mut message = self.route_message(route);
        if route.via == KernelVia::Other {
            message.header.kind = RouteType::Unspec;
        }
        self.handle.route().del(message).execute().await
    }

    async fn delete_address(&self, own: &OwnAddress) -> Result<(), rtnetlink::Error> {
        let mut request = self.handle.address().add(own.index, IpAddr::V6(own.address), own.len);
        let message = request.message_mut().clone();
        self.handle.address().del(message).execute().await
    }
}

type Message = (NetlinkMessage<RouteNetlinkMessage>, SocketAddr);

/// Hears what changes; ends when dropped.
pub struct Watcher {
    messages: BoxStream<'static, Message>,
    connection: JoinHandle<()>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Watcher {
    /// Begins to listen in the network namespace of this thread. Needs a tokio runtime.
    pub fn open() -> Result<Self, KernelError> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
        ];
        let opened = rtnetlink::new_multicast_connection(&groups);
        let (mut connection, _, messages) = opened.map_err(|error| KernelError::Socket(error.to_string()))?;
        // Best effort: what does not fit is noticed as an overrun.
        let _ = connection.socket_mut().socket_mut().set_rx_buf_sz(RECEIVE_BUFFER);
        Ok(Watcher { messages: messages.boxed(), connection: tokio::spawn(connection) })
    }

    /// Waits for notifications and hands each to `take`; `false` if none will come any more.
    pub async fn next(&mut self, take: &mut (dyn FnMut(Heard) + Send)) -> bool {
        let Some((message, _)) = self.messages.next().await else { return false };
        take(heard(&message.payload));
        true
    }
}

fn heard(payload: &NetlinkPayload<RouteNetlinkMessage>) -> Heard {
    let route = |route: &RouteMessage, removed| Heard::Route {
        removed,
        default: route.header.destination_prefix_length == 0,
        protocol: u8::from(route.header.protocol),
    };
    match payload {
        NetlinkPayload::Overrun(_) => Heard::Lost,
        NetlinkPayload::InnerMessage(message) => match message {
            RouteNetlinkMessage::NewLink(_) | RouteNetlinkMessage::DelLink(_) => Heard::Link,
            RouteNetlinkMessage::NewAddress(_) => Heard::AddressAdded,
            RouteNetlinkMessage::DelAddress(_) => Heard::AddressRemoved,
            RouteNetlinkMessage::NewRoute(new) => route(new, false),
            RouteNetlinkMessage::DelRoute(old) => route(old, true),
            _ => Heard::Other,
        },
        _ => Heard::Other,
    }
}

impl Kernel for Netlink {
    async fn links(&mut self) -> Result<Vec<Link>, KernelError> {
        let messages = collect("links", self.handle.link().get().execute()).await?;
        Ok(messages.iter().filter_map(read_link).collect())
    }

    async fn addresses(&mut self) -> Result<Vec<Address>, KernelError> {
        let messages = collect("addresses", self.handle.address().get().execute()).await?;
        Ok(messages.iter().filter_map(|message| read_address(message, self.protocol)).collect())
    }

    async fn routes(&mut self) -> Result<Vec<KernelRoute>, KernelError> {
        // With strict checks the kernel itself filters by table and protocol.
        let protocol = RouteProtocol::from(self.protocol);
        let mut message = RouteMessageBuilder::<Ipv6Addr>::new().protocol(protocol).build();
        message.header.kind = RouteType::Unspec;
        let messages = self.dump_routes(message).await?;
        let ours = messages.iter().filter(|seen| in_main(seen) && seen.header.protocol == protocol);
        Ok(ours.filter_map(read_route).collect())
    }

    async fn default_routes(&mut self) -> Result<Vec<DefaultRoute>, KernelError> {
        let mut found = Vec::new();
        let six = RouteMessageBuilder::<Ipv6Addr>::new().build();
        let four = RouteMessageBuilder::<Ipv4Addr>::new().build();
        for (ipv6, mut message) in [(true, six), (false, four)] {
            message.header.protocol = RouteProtocol::Unspec;
            message.header.kind = RouteType::Unicast;
            for seen in self.dump_routes(message).await? {
                if u8::from(seen.header.protocol) != self.protocol {
                    found.extend(read_default(&seen, ipv6));
                }
            }
        }
        Ok(found)
    }

    async fn execute(&mut self, step: Step) -> Result<(), KernelError> {
        let result = match &step {
            Step::SetLink { index, shape } => {
                let queue = LinkAttribute::TxQueueLen(shape.queue);
                let link = LinkUnspec::new_with_index(*index).up().mtu(shape.mtu);
                let message = link.append_extra_attribute(queue).build();
                self.handle.link().change(message).execute().await
            }
            Step::PutAddress { address, deprecated } => self.put_address(address, *deprecated).await,
            Step::AddRoute(route) => self.handle.route().add(self.route_message(route)).execute().await,
            Step::ReplaceRoute(route) => {
                self.handle.route().add(self.route_message(route)).replace().execute().await
            }
            Step::DeleteRoute(route) => self.delete_route(route).await,
            Step::DeleteAddress(address) => self.delete_address(address).await,
        };
        result.or_else(|error| judge(step, &error))
    }
}

async fn collect<S>(what: &'static str, stream: S) -> Result<Vec<S::Ok>, KernelError>
where
    S: TryStream<Error = rtnetlink::Error>,
{
    let collected: Result<Vec<S::Ok>, _> = stream.try_collect().await;
    match collected {
        // A routing table that nobody has used yet.
        Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::ENOENT => Ok(Vec::new()),
        other => other.map_err(|error| KernelError::Dump { what, reason: error.to_string() }),
    }
}

/// Turns the library's error into our words.
fn judge(step: Step, error: &rtnetlink::Error) -> Result<(), KernelError> {
    match error {
        rtnetlink::Error::NetlinkError(message) => crate::netlink::judge(step, -message.raw_code()),
        other => Err(KernelError::Refused { step, reason: other.to_string() }),
    }
}

fn read_link(message: &LinkMessage) -> Option<Link> {
    let flags = message.header.flags;
    let (mut name, mut mtu, mut queue, mut mac) = (None, 0, 0, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Mtu(octets) => mtu = *octets,
            LinkAttribute::TxQueueLen(packets) => queue = *packets,
            LinkAttribute::Address(octets) => mac = octets.as_slice().try_into().ok(),
            _ => {}
        }
    }
    Some(Link {
        index: message.header.index,
        name: name?,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::LowerUp),
        loopback: flags.contains(LinkFlags::Loopback),
        mtu,
        queue,
        mac,
    })
}

fn read_address(message: &AddressMessage, protocol: u8) -> Option<Address> {
    let (mut address, mut local, mut ours) = (None, None, false);
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Protocol(seen) => ours = u8::from(*seen) == protocol,
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    let short = AddressHeaderFlags::from_bits_retain(flags.bits() as u8);
    let bad = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
    Some(Address {
        index: message.header.index,
        // On a point-to-point interface the "address" is the far end's.
        address: local.or(address)?,
        len: message.header.prefix_len,
        ours,
        deprecated: flags.contains(AddressFlags::Deprecated),
        usable: !short.intersects(bad),
        temporary: flags.contains(AddressFlags::Secondary)
            && matches!(local.or(address), Some(IpAddr::V6(_))),
    })
}

fn in_main(message: &RouteMessage) -> bool {
    let long = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    long.unwrap_or(u32::from(message.header.table)) == u32::from(RouteHeader::RT_TABLE_MAIN)
}

fn read_route(message: &RouteMessage) -> Option<KernelRoute> {
    let header = &message.header;
    let prefix = |address: &RouteAddress, len| match address {
        RouteAddress::Inet6(address) => Some(Prefix::new(*address, len)),
        _ => None,
    };
    let (mut to, mut from) = (Prefix::ALL, Prefix::ALL);
    let (mut metric, mut index, mut plain) = (0, None, true);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => to = prefix(address, header.destination_prefix_length)?,
            RouteAttribute::Source(address) => from = prefix(address, header.source_prefix_length)?,
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::Oif(oif) => index = Some(*oif),
            RouteAttribute::Gateway(_) | RouteAttribute::MultiPath(_) | RouteAttribute::Via(_) => {
                plain = false
            }
            _ => {}
        }
    }
    let via = match (header.kind, index) {
        (RouteType::Unreachable, _) => KernelVia::Unreachable,
        (RouteType::Unicast, Some(index)) if plain => KernelVia::Device(index),
        _ => KernelVia::Other,
    };
    Some(KernelRoute { to, from, metric, via })
}

/// Reads a default route to somewhere (source-specific ones count: they are what a delegated uplink gives).
pub(crate) fn read_default(message: &RouteMessage, ipv6: bool) -> Option<DefaultRoute> {
    let header = &message.header;
    if header.destination_prefix_length != 0 || header.kind != RouteType::Unicast || !in_main(message) {
        return None;
    }
    let (mut index, mut metric) = (None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::Oif(oif) => index = Some(*oif),
            _ => {}
        }
    }
    Some(DefaultRoute { ipv6, index, metric })
}
