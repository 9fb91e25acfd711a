//! Neighbours: whether they hear us, we them, and what the link to them costs (RFC 8966, sections 3.2.4 and 3.4).

use crate::history::History;
use crate::outbox::Outbox;
use crate::rtt::Rtt;
use crate::timer::Alarm;
use crate::{INFINITY, Key, LinkId, cost};
use core::net::Ipv6Addr;
use ln6_types::Instant;
use std::collections::BTreeSet;

/// How the cost of a link is found (RFC 8966, appendix A.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostModel {
    /// Up at a nominal cost of 96 while two of the last three Hellos were heard: tunnels and wires.
    Wired,
    /// Expected transmissions, at least 256: radio.
    Etx,
}

/// Index of a neighbour; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct NeighbourId(pub(crate) u32);

/// Changes of a round-trip time that cost less than this are not worth judging all routes again.
const NOTICEABLE: u16 = 8;

/// How many full dumps of late are remembered.
pub(crate) const DUMPS: usize = 3;

/// One neighbour.
pub(crate) struct Neighbour {
    pub(crate) link: LinkId,
    pub(crate) address: Ipv6Addr,
    pub(crate) multicast: History,
    pub(crate) unicast: History,
    pub(crate) txcost: u16,
    pub(crate) ihu: Alarm,
    /// It does not know yet how well we hear it.
    pub(crate) ihu_wanted: bool,
    /// The rxcost in the last IHU to it.
    pub(crate) told_rxcost: u16,
    pub(crate) rtt: Rtt,
    /// As of the last [`Neighbour::assess`].
    pub(crate) cost: u16,
    /// All destinations it has a route to.
    pub(crate) routes: BTreeSet<Key>,
    pub(crate) outbox: Outbox,
    pub(crate) reply: Alarm,
    pub(crate) dump: Alarm,
    /// When it was given the last full dumps, newest first.
    /// It retracted everything since: it was restarted.
    pub(crate) anew: bool,
    pub(crate) dumped: [Option<Instant>; DUMPS],
}

impl Neighbour {
    pub(crate) fn new(link: LinkId, address: Ipv6Addr) -> Self {
        Neighbour {
            link,
            address,
            multicast: History::default(),
            unicast: History::default(),
            txcost: INFINITY,
            ihu: Alarm::default(),
            ihu_wanted: true,
            told_rxcost: INFINITY,
            rtt: Rtt::default(),
            cost: INFINITY,
            routes: BTreeSet::new(),
            outbox: Outbox::default(),
            reply: Alarm::default(),
            dump: Alarm::default(),
            anew: false,
            dumped: [None; DUMPS],
        }
    }

    /// Cost of hearing it.
    pub(crate) fn rxcost(&self, model: CostModel) -> u16 {
        match model {
            CostModel::Wired => cost::wired_rxcost(self.multicast.bits(), self.unicast.bits()),
            CostModel::Etx => cost::etx_rxcost(self.multicast.bits()),
        }
    }

    fn link_cost(&self, now: Instant, model: CostModel) -> u16 {
        let rxcost = self.rxcost(model);
        let cost = match model {
            CostModel::Wired if rxcost == INFINITY => INFINITY,
            CostModel::Wired => self.txcost,
            CostModel::Etx => cost::etx(self.txcost, rxcost),
        };
        cost.saturating_add(self.rtt.penalty(now))
    }

    /// Computes the cost anew; whether it changed.
    pub(crate) fn assess(&mut self, now: Instant, model: CostModel) -> bool {
        let cost = self.link_cost(now, model);
        let before = core::mem::replace(&mut self.cost, cost);
        let comparable = model == CostModel::Wired && before != INFINITY && cost != INFINITY;
        if comparable && before.abs_diff(cost) < NOTICEABLE {
            self.cost = before;
        }
        self.cost != before
    }

    /// Whether Hellos got lost lately, so that IHUs may as well.
    pub(crate) fn is_lossy(&self, model: CostModel) -> bool {
        let heard = self.multicast.bits() | self.unicast.bits();
        model == CostModel::Etx && self.multicast.bits() & 0xfff != 0xfff || heard & 0b1111 != 0b1111
    }

    /// Whether nothing was heard for so long that it is gone.
    pub(crate) fn is_silent(&self) -> bool {
        self.multicast.bits() == 0 && self.unicast.bits() == 0
    }
}
