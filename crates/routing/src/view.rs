//! What the machine knows, as plain values for tools and tests.

use crate::select::Smoothed;
use crate::table::{Route, Slot};
use crate::{DropReason, INFINITY, Key, LinkId, Router, Verdict, add_metric};
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use ln6_types::{Instant, RouterId};
use std::collections::BTreeMap;

/// Everything.
#[derive(Debug, Clone)]
pub struct View {
    /// Ours.
    pub router: RouterId,
    /// Ours.
    pub seqno: u16,
    /// In the order of their appearance.
    pub neighbours: Vec<NeighbourView>,
    /// All candidates, ordered by destination; of one destination our own first.
    pub routes: Vec<RouteView>,
    /// Feasibility distances.
    pub sources: Vec<SourceView>,
    /// Seqno requests without an answer yet.
    pub requests: Vec<RequestView>,
    /// What was dropped, and how often.
    pub drops: BTreeMap<DropReason, u64>,
}

/// One neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourView {
    /// Where it is.
    pub link: LinkId,
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// Its last 16 Multicast Hellos, the last one in the lowest bit.
    pub multicast: u16,
    /// Its last 16 Unicast Hellos.
    pub unicast: u16,
    /// Cost of hearing it.
    pub rxcost: u16,
    /// Its cost of hearing us.
    pub txcost: u16,
    /// Cost of the link to it, with the round-trip time's part.
    pub cost: u16,
    /// Smoothed round-trip time.
    pub rtt: Option<Duration>,
    /// Number of its routes.
    pub routes: usize,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteView {
    /// Destination and sources.
    pub key: Key,
    /// Who originates it.
    pub router: RouterId,
    /// The neighbour that advertises it; `None` = originated here.
    pub via: Option<(LinkId, Ipv6Addr)>,
    /// Where packets go.
    pub next_hop: Option<IpAddr>,
    /// With the cost of the link; 65535 = none.
    pub metric: u16,
    /// Long-term view of the metric, which selection heeds as well.
    pub smoothed: u16,
    /// As advertised.
    pub refmetric: u16,
    /// The originator's.
    pub seqno: u16,
    /// Whether it cannot be part of a loop.
    pub feasible: bool,
    /// Whether it is in use.
    pub selected: bool,
    /// What the policy says.
    pub verdict: Verdict,
    /// Since the neighbour first advertised it.
    pub age: Duration,
    /// Until it expires.
    pub expires: Duration,
}

/// One feasibility distance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceView {
    /// Destination and sources.
    pub key: Key,
    /// Who originates it.
    pub router: RouterId,
    /// Of the best update sent.
    pub seqno: u16,
    /// Of the best update sent.
    pub metric: u16,
}

/// One pending seqno request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestView {
    /// Destination and sources.
    pub key: Key,
    /// Whose seqno is asked for.
    pub router: RouterId,
    /// At least.
    pub seqno: u16,
    /// Whether we ask for ourselves.
    pub own: bool,
    /// On behalf of how many neighbours.
    pub askers: usize,
}

impl Router {
    /// Everything the machine knows.
    pub fn view(&self, now: Instant) -> View {
        let source = |(&(key, router), s): (&(Key, RouterId), &crate::source::Source)| SourceView {
            key,
            router,
            seqno: s.seqno,
            metric: s.metric,
        };
        let request = |(&(key, router), r): (&(Key, RouterId), &crate::request::Request)| RequestView {
            key,
            router,
            seqno: r.seqno,
            own: r.own,
            askers: r.askers.len(),
        };
        View {
            router: self.config.router_id,
            seqno: self.seqno,
            neighbours: self.view_neighbours(now),
            routes: self.slots.iter().flat_map(|(key, slot)| self.view_slot(now, *key, slot)).collect(),
            sources: self.sources.iter().map(source).collect(),
            requests: self.requests.0.iter().map(request).collect(),
            drops: self.drops.clone(),
        }
    }

    fn view_neighbours(&self, now: Instant) -> Vec<NeighbourView> {
        let view = |n: &crate::neighbour::Neighbour| NeighbourView {
            link: n.link,
            address: n.address,
            multicast: n.multicast.bits(),
            unicast: n.unicast.bits(),
            rxcost: self.links.get(&n.link).map_or(INFINITY, |state| n.rxcost(state.link.cost)),
            txcost: n.txcost,
            cost: n.cost,
            rtt: n.rtt.get(now).map(|micros| Duration::from_micros(u64::from(micros))),
            routes: n.routes.len(),
        };
        self.neighbours.values().map(view).collect()
    }

    fn view_slot(&self, now: Instant, key: Key, slot: &Slot) -> Vec<RouteView> {
        let own = slot.own.map(|metric| RouteView {
            key,
            router: self.config.router_id,
            via: None,
            next_hop: None,
            metric,
            smoothed: metric,
            refmetric: metric,
            seqno: self.seqno,
            feasible: true,
            selected: true,
            verdict: Verdict::Accept,
            age: Duration::ZERO,
            expires: Duration::MAX,
        });
        let learnt = slot.routes.iter().map(|route| self.view_route(now, key, slot, route));
        own.into_iter().chain(learnt).collect()
    }

    fn view_route(&self, now: Instant, key: Key, slot: &Slot, route: &Route) -> RouteView {
        let neighbour = self.neighbours.get(&route.via);
        let smoothed: &Smoothed = &route.smoothed;
        RouteView {
            key,
            router: route.router,
            via: neighbour.map(|n| (n.link, n.address)),
            next_hop: Some(route.next_hop),
            metric: add_metric(neighbour.map_or(INFINITY, |n| n.cost), route.refmetric),
            smoothed: smoothed.get(now, self.half_life()),
            refmetric: route.refmetric,
            seqno: route.seqno,
            feasible: self.sources.feasible(key, route.router, route.seqno, route.refmetric),
            selected: slot.own.is_none() && slot.selected == Some(route.via),
            verdict: route.verdict,
            age: now.since(route.since),
            expires: route.expires.since(now),
        }
    }
}
