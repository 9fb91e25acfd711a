//! The LAN side on plain Linux: one raw ICMPv6 socket per interface that advertises and answers.

use crate::advertise::Advertiser;
use crate::interface::InterfaceName;
use crate::kernel::Link;
use crate::ndp::{HOP_LIMIT, SOLICITATION, Solicitation};
use crate::plan::LanPlan;
use core::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use ln6_types::Instant;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// A raw ICMPv6 socket that hears the router solicitations of one interface and nothing else.
pub struct LanSocket {
    /// tokio's type for "datagrams with addresses"; the descriptor below it is raw ICMPv6.
    socket: UdpSocket,
    index: u32,
}

impl LanSocket {
    /// Opens the socket; needs CAP_NET_RAW and a tokio runtime.
    pub fn open(interface: &InterfaceName, index: u32) -> io::Result<Self> {
        let raw = Socket::new(Domain::IPV6, Type::RAW.nonblocking().cloexec(), Some(Protocol::ICMPV6))?;
        raw.attach_filter(&only_solicitations())?;
        raw.bind_device(Some(interface.as_str().as_bytes()))?;
        raw.set_multicast_if_v6(index)?;
        raw.set_multicast_hops_v6(HOP_LIMIT)?;
        raw.set_unicast_hops_v6(HOP_LIMIT)?;
        raw.set_multicast_loop_v6(false)?;
        raw.join_multicast_v6(&ALL_ROUTERS, index)?;
        let socket = UdpSocket::from_std(std::net::UdpSocket::from(OwnedFd::from(raw)))?;
        Ok(LanSocket { socket, index })
    }

    /// Waits for a well-formed solicitation from a neighbour.
    pub async fn solicited(&self) -> io::Result<Solicitation> {
        let mut buffer = [0; 256];
        loop {
            let (len, from) = self.socket.recv_from(&mut buffer).await?;
            if !is_neighbour(&from) {
                continue;
            }
            match Solicitation::decode(&buffer[..len]) {
                Ok(solicitation) => return Ok(solicitation),
                Err(error) => tracing::trace!(%from, %error, "bad router solicitation"),
            }
        }
    }

    /// Sends a message to all nodes of the link.
    pub async fn send(&self, message: &[u8]) -> io::Result<()> {
        let all = SocketAddrV6::new(ALL_NODES, 0, 0, self.index);
        self.socket.send_to(message, SocketAddr::V6(all)).await.map(drop)
    }
}

/// A host without an address asks from `::`, every other one from its link-local address.
fn is_neighbour(from: &SocketAddr) -> bool {
    match from {
        SocketAddr::V6(from) => from.ip().is_unspecified() || from.ip().is_unicast_link_local(),
        SocketAddr::V4(_) => false,
    }
}

/// A classic BPF program: ICMPv6 type 133, code 0, from a packet whose hop limit is 255 (RFC 4861, section 6.1.1), so
/// that no router let it through. The filter of a raw socket sees the ICMPv6 message; `SKF_NET_OFF` reaches back to the
/// IPv6 header.
fn only_solicitations() -> [SockFilter; 6] {
    const LOAD_OCTET: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    const LOAD_HALF: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
    const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06;
    const NETWORK_HEADER: u32 = libc::SKF_NET_OFF as u32;
    const HOP_LIMIT_AT: u32 = 7;
    [
        SockFilter::new(LOAD_HALF, 0, 0, 0),
        SockFilter::new(EQUAL, 0, 3, (SOLICITATION as u32) << 8),
        SockFilter::new(LOAD_OCTET, 0, 0, NETWORK_HEADER.wrapping_add(HOP_LIMIT_AT)),
        SockFilter::new(EQUAL, 0, 1, HOP_LIMIT),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// Monotonic time, as the rest of the node has it.
pub trait Clock: Fn() -> Instant + Clone + Send + Sync + 'static {}
impl<T: Fn() -> Instant + Clone + Send + Sync + 'static> Clock for T {}

/// Advertises on one socket until the plan becomes `None` or its sender is gone; then says farewell.
async fn serve<C: Clock>(
    socket: LanSocket,
    mut advertiser: Advertiser,
    mut plans: watch::Receiver<Option<LanPlan>>,
    clock: C,
) {
    loop {
        let now = clock();
        if let Some(message) = advertiser.poll_send(now)
            && let Err(error) = socket.send(&message).await
        {
            tracing::debug!(%error, "router advertisement not sent");
            advertiser.handle_failure(clock());
        }
        let wait = advertiser.poll_timeout().since(clock());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            heard = socket.solicited() => match heard {
                Ok(_) => advertiser.handle_solicitation(clock()),
                Err(error) => {
                    // The interface is going; whoever watches links ends us.
                    tracing::debug!(%error, "no router solicitations");
                    tokio::time::sleep(core::time::Duration::from_secs(1)).await;
                }
            },
            changed = plans.changed() => {
                let plan = if changed.is_ok() { plans.borrow_and_update().clone() } else { None };
                match plan {
                    Some(plan) => advertiser.set_plan(clock(), plan),
                    None => break,
                }
            }
        }
    }
    if let Err(error) = socket.send(&advertiser.farewell(clock())).await {
        tracing::debug!(%error, "last router advertisement not sent");
    }
}

struct Running {
    index: u32,
    plan: watch::Sender<Option<LanPlan>>,
    task: JoinHandle<()>,
}

/// All LANs of a node.
pub struct Lans<C> {
    clock: C,
    running: BTreeMap<String, Running>,
}

impl<C: Clock> Lans<C> {
    /// No LAN yet.
    pub fn new(clock: C) -> Self {
        Lans { clock, running: BTreeMap::new() }
    }

    /// Starts, changes and ends advertisers as the plans and the links that are there demand. Returns, per interface,
    /// why one could not start; call again when a link changes.
    pub async fn apply(&mut self, plans: &[LanPlan], links: &[Link]) -> Vec<(String, io::Error)> {
        let index_of = |name: &str| links.iter().find(|l| l.name == name && l.up).map(|l| l.index);
        let wanted = |name: &String, running: &Running| {
            plans.iter().any(|plan| plan.interface == *name) && index_of(name) == Some(running.index)
        };
        let over: Vec<String> =
            self.running.iter().filter(|(name, r)| !wanted(name, r)).map(|(name, _)| name.clone()).collect();
        for name in over {
            self.end(&name).await;
        }
        let mut failed = Vec::new();
        for plan in plans {
            let Some(link) = links.iter().find(|link| link.name == plan.interface && link.up) else {
                continue;
            };
            if let Err(error) = self.put(plan, link) {
                failed.push((plan.interface.clone(), error));
            }
        }
        failed
    }

    fn put(&mut self, plan: &LanPlan, link: &Link) -> io::Result<()> {
        if let Some(running) = self.running.get(&plan.interface) {
            running.plan.send_if_modified(|held| {
                let changed = held.as_ref() != Some(plan);
                *held = Some(plan.clone());
                changed
            });
            return Ok(());
        }
        let name: InterfaceName = plan.interface.parse().map_err(io::Error::other)?;
        let socket = LanSocket::open(&name, link.index)?;
        let seed = crate::entropy::seed().map_err(io::Error::other)?;
        let advertiser = Advertiser::new((self.clock)(), link.mac, plan.clone(), seed);
        let (sender, plans) = watch::channel(Some(plan.clone()));
        let task = tokio::spawn(serve(socket, advertiser, plans, self.clock.clone()));
        self.running.insert(plan.interface.clone(), Running { index: link.index, plan: sender, task });
        Ok(())
    }

    async fn end(&mut self, name: &str) {
        if let Some(running) = self.running.remove(name) {
            running.plan.send_replace(None);
            if let Err(error) = running.task.await {
                tracing::warn!(%error, interface = name, "advertiser ended badly");
            }
        }
    }

    /// Says farewell on every LAN.
    pub async fn stop(&mut self) {
        let names: Vec<String> = self.running.keys().cloned().collect();
        for name in names {
            self.end(&name).await;
        }
    }
}
