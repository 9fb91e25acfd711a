//! The route table: for each destination all routes to it, and the one in use (RFC 8966, section 3.2.6).

use crate::neighbour::NeighbourId;
use crate::select::Smoothed;
use crate::timer::Alarm;
use crate::{INFINITY, LinkId, Verdict};
use core::net::IpAddr;
use core::time::Duration;
use ln6_types::{Instant, RouterId};

/// What one neighbour says of one destination.
pub(crate) struct Route {
    pub(crate) via: NeighbourId,
    pub(crate) router: RouterId,
    pub(crate) seqno: u16,
    /// As advertised, without the link's cost; [`INFINITY`] = retracted or expired.
    pub(crate) refmetric: u16,
    pub(crate) next_hop: IpAddr,
    pub(crate) verdict: Verdict,
    pub(crate) smoothed: Smoothed,
    /// When this neighbour first spoke of it.
    pub(crate) since: Instant,
    /// For how long an update is believed.
    hold: Duration,
    pub(crate) expires: Instant,
    pub(crate) alarm: Alarm,
}

/// The changing part of an update.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advert {
    pub(crate) router: RouterId,
    pub(crate) seqno: u16,
    pub(crate) refmetric: u16,
    pub(crate) next_hop: IpAddr,
}

impl Route {
    pub(crate) fn new(now: Instant, via: NeighbourId, advert: Advert, verdict: Verdict) -> Self {
        let Advert { router, seqno, refmetric, next_hop } = advert;
        let (smoothed, alarm) = (Smoothed::NEW, Alarm::default());
        Route {
            via,
            router,
            seqno,
            refmetric,
            next_hop,
            verdict,
            smoothed,
            since: now,
            hold: Duration::ZERO,
            expires: now,
            alarm,
        }
    }

    pub(crate) fn advert(&self) -> Advert {
        Advert { router: self.router, seqno: self.seqno, refmetric: self.refmetric, next_hop: self.next_hop }
    }

    pub(crate) fn set(&mut self, advert: Advert) {
        (self.router, self.seqno) = (advert.router, advert.seqno);
        (self.refmetric, self.next_hop) = (advert.refmetric, advert.next_hop);
    }

    /// An update arrived that promises the next within `interval`; returns when to worry.
    pub(crate) fn renew(&mut self, now: Instant, interval: Duration) -> Instant {
        self.hold = interval * 7 / 2;
        self.expires = now + self.hold;
        now + self.hold * 7 / 8
    }

    /// Nothing arrived: the route is as if retracted, and remembered for as long again.
    pub(crate) fn expire(&mut self, now: Instant) -> Instant {
        self.refmetric = INFINITY;
        self.expires = now + self.hold;
        self.expires
    }
}

/// What the caller uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) router: RouterId,
    pub(crate) link: LinkId,
    pub(crate) next_hop: IpAddr,
}

/// What neighbours know from us.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) router: RouterId,
    pub(crate) metric: u16,
    /// Where the route leads; `None` = here.
    pub(crate) via: Option<LinkId>,
}

/// One destination.
#[derive(Default)]
pub(crate) struct Slot {
    /// Metric with which we originate it ourselves.
    pub(crate) own: Option<u16>,
    pub(crate) routes: Vec<Route>,
    pub(crate) selected: Option<NeighbourId>,
    pub(crate) shown: Option<Shown>,
    pub(crate) told: Option<Told>,
    /// It was advertised and is reachable no more; neighbours may still send packets for it.
    pub(crate) lost: bool,
    pub(crate) hold: Alarm,
    pub(crate) review: Alarm,
}

impl Slot {
    pub(crate) fn route(&self, via: NeighbourId) -> Option<&Route> {
        self.routes.iter().find(|route| route.via == via)
    }

    pub(crate) fn route_mut(&mut self, via: NeighbourId) -> Option<&mut Route> {
        self.routes.iter_mut().find(|route| route.via == via)
    }

    pub(crate) fn selected(&self) -> Option<&Route> {
        self.route(self.selected?)
    }

    pub(crate) fn is_reachable(&self) -> bool {
        self.own.is_some() || self.selected.is_some()
    }
}
