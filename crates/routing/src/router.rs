//! The machine: inputs are methods that are told the time, outputs are [`Action`]s to be drained after each of them.

mod adjacency;
mod receive;
mod requests;
mod routes;
mod timeouts;
mod updates;

use crate::neighbour::{CostModel, Neighbour, NeighbourId};
use crate::outbox::Outbox;
use crate::request::Requests;
use crate::select::Candidate;
use crate::source::Sources;
use crate::table::Slot;
use crate::timer::{Alarm, Timer, Timers};
use crate::wire::Tlv;
use crate::{INFINITY, Key};
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use ipnet::IpNet;
use ln6_types::{Instant, Jitter, RouterId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Which link; the caller's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// What does not change.
#[derive(Debug, Clone)]
pub struct Config {
    /// Ours.
    pub router_id: RouterId,
    /// First seqno; above every one ever used with this router-id (see [`Action::SeqnoUsed`]).
    pub seqno: u16,
    /// Between two Hellos, 4 s; at most 655 s, at least 10 ms.
    pub hello: Duration,
    /// Between two full dumps, 16 s; at most 655 s.
    pub update: Duration,
    /// Where the jitter comes from.
    pub seed: u64,
    /// Hop count of our seqno requests, 127; larger than the network's diameter.
    pub hop_count: u8,
    /// Neighbours on one link, 64.
    pub max_neighbours: usize,
    /// Routes from one neighbour, 20,000.
    pub max_routes: usize,
    /// Feasibility distances, 200,000; what has no room is not advertised.
    pub max_sources: usize,
    /// Pending seqno requests, 16,384.
    pub max_requests: usize,
}

impl Config {
    /// The usual values.
    pub fn new(router_id: RouterId, seqno: u16, seed: u64) -> Self {
        Config {
            router_id,
            seqno,
            hello: Duration::from_secs(4),
            update: Duration::from_secs(16),
            seed,
            hop_count: 127,
            max_neighbours: 64,
            max_routes: 20_000,
            max_sources: 200_000,
            max_requests: 16_384,
        }
    }
}

/// A link: a session's tunnel or a network interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// How its cost is found.
    pub cost: CostModel,
    /// Whether round-trip times are measured and add to the cost (RFC 9616).
    pub rtt: bool,
    /// Whether routes are not advertised back to where they lead: only where all neighbours hear each other.
    pub split_horizon: bool,
    /// MTU in octets, IP header included.
    pub mtu: u16,
    /// Our link-local address on it.
    pub our: Ipv6Addr,
}

/// What the policy says of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be used.
    Accept,
    /// Not known yet: it is kept and may not be used until [`Router::reconsider`].
    Hold,
    /// It may not be used; why.
    Refuse(&'static str),
}

/// Who may originate what.
pub trait Policy {
    /// Judges a route to `dst` for packets from `src` (length 0: any) that `router` originates.
    fn judge(&self, router: RouterId, dst: IpNet, src: IpNet) -> Verdict;
}

/// To whom a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// All neighbours of the link: `ff02::1:6`, or the one peer of a tunnel.
    Multicast,
    /// One neighbour.
    Unicast(Ipv6Addr),
}

/// What the caller has to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a packet from our link-local address and port 6696 to port 6696, hop limit 1.
    Send {
        /// On this link.
        link: LinkId,
        /// To whom.
        to: Destination,
        /// The UDP payload.
        packet: Vec<u8>,
    },
    /// Use this route from now on, instead of any other for the same destination and sources.
    Select {
        /// Destination.
        dst: IpNet,
        /// Sources; length 0 = any.
        src: IpNet,
        /// Who originates it.
        router: RouterId,
        /// Where packets go out.
        link: LinkId,
        /// To whom.
        next_hop: IpAddr,
        /// When it was selected; later changes of the metric alone are not reported.
        metric: u16,
    },
    /// There is no route any more. Until [`Action::Release`] packets for it must not follow a shorter prefix
    /// (RFC 8966, section 3.5.4). Also when we originate the prefix ourselves from now on.
    Lose {
        /// Destination.
        dst: IpNet,
        /// Sources.
        src: IpNet,
    },
    /// A lost destination, or one that we withdrew ourselves, needs to be held no longer.
    Release {
        /// Destination.
        dst: IpNet,
        /// Sources.
        src: IpNet,
    },
    /// A route is on hold: the rights of `router` are not known, but those who advertise its routes may tell.
    Held {
        /// Who originates it.
        router: RouterId,
        /// Where it was heard.
        link: LinkId,
        /// From whom.
        from: Ipv6Addr,
    },
    /// Our seqno is this now: never begin below it again.
    SeqnoUsed(u16),
}

/// Why something received was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// From a link that is not up.
    UnknownLink,
    /// From an address that is not link-local.
    NotLinkLocal,
    /// Our own packet came back.
    Looped,
    /// Not a Babel packet of version 2, or of wrong length.
    Malformed,
    /// A TLV that has to be ignored.
    IgnoredTlv,
    /// A TLV from somebody who never sent a Hello.
    Stranger,
    /// A route nobody may announce.
    Martian,
    /// More neighbours than the link may have.
    TooManyNeighbours,
    /// More routes than a neighbour may have.
    TooManyRoutes,
    /// More seqno requests than we remember.
    TooManyRequests,
    /// More origins than we keep feasibility distances for: the route was not advertised.
    TooManySources,
}

/// Longest wait before an urgent TLV leaves.
const URGENT: Duration = Duration::from_millis(50);
/// Longest wait before any triggered update leaves.
const TRIGGERED: Duration = Duration::from_millis(200);
/// Between two Hellos of a link that just came up or has news for a neighbour.
const QUICK: Duration = Duration::from_millis(100);
/// Quick Hellos after the first.
const QUICK_HELLOS: u8 = 2;

/// What we know of a link.
pub(crate) struct LinkState {
    pub(crate) link: Link,
    neighbours: BTreeSet<NeighbourId>,
    hello_seqno: u16,
    hellos: u32,
    last_hello: Option<Instant>,
    quick: u8,
    hello: Alarm,
    dump: Alarm,
    outbox: Outbox,
    flush: Alarm,
    /// Urgent updates still to be repeated, and how often.
    repeats: BTreeMap<Key, u8>,
    repeat: Alarm,
}

/// A Babel speaker.
pub struct Router {
    pub(crate) config: Config,
    pub(crate) seqno: u16,
    raised: Option<Instant>,
    jitter: Jitter,
    pub(crate) links: BTreeMap<LinkId, LinkState>,
    pub(crate) neighbours: BTreeMap<NeighbourId, Neighbour>,
    addresses: BTreeMap<(LinkId, Ipv6Addr), NeighbourId>,
    next_neighbour: u32,
    pub(crate) slots: BTreeMap<Key, Slot>,
    pub(crate) sources: Sources,
    pub(crate) requests: Requests,
    timers: Timers,
    actions: VecDeque<Action>,
    pub(crate) drops: BTreeMap<DropReason, u64>,
    /// Kept to be used again.
    candidates: Vec<Candidate>,
}

impl Router {
    /// A speaker without links or routes.
    pub fn new(mut config: Config) -> Self {
        let most = Duration::from_secs(655);
        config.hello = config.hello.clamp(Duration::from_millis(10), most);
        config.update = config.update.clamp(config.hello, most);
        Router {
            seqno: config.seqno,
            raised: None,
            jitter: Jitter::new(config.seed),
            links: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            addresses: BTreeMap::new(),
            next_neighbour: 0,
            slots: BTreeMap::new(),
            sources: Sources::default(),
            requests: Requests::default(),
            timers: Timers::default(),
            actions: VecDeque::new(),
            drops: BTreeMap::new(),
            candidates: Vec::new(),
            config,
        }
    }

    /// A link came up, or changed. Three Hellos follow at once, so that neighbours need not wait for the third of
    /// their two out of three; whatever we announced on it in an earlier life is retracted.
    pub fn link_up(&mut self, now: Instant, id: LinkId, link: Link) {
        self.link_down(now, id);
        let mut state = LinkState {
            link,
            neighbours: BTreeSet::new(),
            hello_seqno: self.jitter.draw() as u16,
            hellos: 0,
            last_hello: None,
            quick: QUICK_HELLOS,
            hello: Alarm::default(),
            dump: Alarm::default(),
            outbox: Outbox::default(),
            flush: Alarm::default(),
            repeats: BTreeMap::new(),
            repeat: Alarm::default(),
        };
        state.outbox.push(Tlv::Retract { key: None, interval: INFINITY });
        self.timers.set(&mut state.hello, now, Timer::Hello(id));
        let dump = now + self.jitter.between(self.config.update / 2, self.config.update);
        self.timers.set(&mut state.dump, dump, Timer::Dump(id));
        self.links.insert(id, state);
    }

    /// A link is gone, with all its neighbours and their routes.
    pub fn link_down(&mut self, now: Instant, id: LinkId) {
        let Some(state) = self.links.remove(&id) else { return };
        for neighbour in state.neighbours {
            self.forget_neighbour(now, neighbour);
        }
    }

    /// Announces a prefix of ours with `metric` (finite; usually 0); `src` of length 0 means any source.
    /// Families that do not fit are ignored.
    pub fn originate(&mut self, now: Instant, dst: IpNet, src: IpNet, metric: u16) {
        let Some(key) = Key::new(dst, src) else { return };
        self.slots.entry(key).or_default().own = Some(metric.min(INFINITY - 1));
        self.reselect(now, key);
    }

    /// Announces it no longer.
    pub fn withdraw(&mut self, now: Instant, dst: IpNet, src: IpNet) {
        let Some(key) = Key::new(dst, src) else { return };
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.own = None;
            self.reselect(now, key);
        }
    }

    /// Judges all routes again: rights changed.
    pub fn reconsider(&mut self, now: Instant, policy: &dyn Policy) {
        let mut changed = Vec::new();
        for (key, slot) in &mut self.slots {
            let mut any = false;
            for route in &mut slot.routes {
                let verdict = policy.judge(route.router, key.dst(), key.src());
                any |= core::mem::replace(&mut route.verdict, verdict) != verdict;
            }
            if any {
                changed.push(*key);
            }
        }
        for key in changed {
            self.reselect(now, key);
        }
    }

    /// When to call [`Router::handle_timeout`]; there may turn out to be nothing to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Says goodbye: retracts everything on all links and forgets everything. A Hello with a short promise lets
    /// neighbours drop us soon.
    pub fn shutdown(&mut self, now: Instant) {
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.farewell(now, id);
        }
        self.links.clear();
        self.neighbours.clear();
        self.addresses.clear();
        self.slots.clear();
        self.sources.clear();
        self.requests = Requests::default();
        self.timers.clear();
    }

    pub(crate) fn count(&mut self, reason: DropReason, times: u64) {
        *self.drops.entry(reason).or_default() += times;
    }

    /// Half-life of smoothed metrics: a time constant of three Hello intervals.
    pub(crate) fn half_life(&self) -> Duration {
        self.config.hello * 2
    }
}
