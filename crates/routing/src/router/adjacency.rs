//! Neighbours come, change and go; our own Hellos and IHUs.

use super::{LinkId, QUICK, Router};
use crate::neighbour::NeighbourId;
use crate::rtt;
use crate::timer::Timer;
use crate::wire::{PacketBuilder, Tlv};
use crate::{INFINITY, Key};
use core::net::IpAddr;
use core::time::Duration;
use ln6_types::Instant;

/// As a TLV says it; 65535 means something else, so one less is the most.
pub(super) fn centiseconds(span: Duration) -> u16 {
    u16::try_from(span.as_millis() / 10).unwrap_or(INFINITY).clamp(1, INFINITY - 1)
}

impl Router {
    /// Something was learnt about the link to a neighbour: computes its cost and judges exactly its routes.
    pub(super) fn assess(&mut self, now: Instant, id: NeighbourId) {
        let Some(neighbour) = self.neighbours.get_mut(&id) else { return };
        let Some(state) = self.links.get(&neighbour.link) else { return };
        let (link, model) = (neighbour.link, state.link.cost);
        let dead = neighbour.cost == INFINITY;
        let changed = neighbour.assess(now, model);
        let revived = dead && neighbour.cost != INFINITY;
        let news = (neighbour.rxcost(model) == INFINITY) != (neighbour.told_rxcost == INFINITY);
        neighbour.ihu_wanted |= news;
        let keys: Vec<Key> = if changed { neighbour.routes.iter().copied().collect() } else { Vec::new() };
        if news {
            self.hasten_hello(now, link);
        }
        for key in keys {
            self.reselect(now, key);
        }
        if revived {
            self.ask_for_dump(now, id);
        }
    }

    /// Forgets a neighbour and its routes.
    pub(super) fn forget_neighbour(&mut self, now: Instant, id: NeighbourId) {
        let Some(mut neighbour) = self.neighbours.remove(&id) else { return };
        let timers = &mut self.timers;
        timers.cancel(&mut neighbour.multicast.alarm, Timer::Multicast(id));
        timers.cancel(&mut neighbour.unicast.alarm, Timer::Unicast(id));
        timers.cancel(&mut neighbour.ihu, Timer::Ihu(id));
        self.addresses.remove(&(neighbour.link, neighbour.address));
        if let Some(state) = self.links.get_mut(&neighbour.link) {
            state.neighbours.remove(&id);
        }
        for key in neighbour.routes {
            self.remove_route(now, id, key);
        }
    }

    pub(super) fn ask_for_dump(&mut self, now: Instant, id: NeighbourId) {
        self.tell(now, id, Tlv::RouteRequest { key: None });
    }

    /// Sends the next scheduled Hello soon: there is an IHU to go with it. RFC 9616 wants both in one packet, and
    /// unscheduled Hellos confuse other daemons.
    pub(super) fn hasten_hello(&mut self, now: Instant, id: LinkId) {
        let soon = now + self.jitter.between(Duration::ZERO, Duration::from_millis(10));
        if let Some(state) = self.links.get_mut(&id) {
            let due = state.last_hello.map_or(soon, |last| soon.max(last + QUICK));
            self.timers.hasten(&mut state.hello, due, Timer::Hello(id));
        }
    }

    /// Sends a Hello, the IHUs that are due, and whatever waits.
    pub(super) fn send_hello(&mut self, now: Instant, id: LinkId) {
        let early = self.jitter.between(Duration::ZERO, self.config.hello / 8);
        let Some(state) = self.links.get_mut(&id) else { return };
        let next = if state.quick > 0 { QUICK } else { self.config.hello - early };
        state.quick = state.quick.saturating_sub(1);
        state.last_hello = Some(now);
        self.timers.set(&mut state.hello, now + next, Timer::Hello(id));
        let mut builder = self.builder(id);
        self.push_hello(now, id, self.config.hello, &mut builder);
        self.push_ihus(id, &mut builder);
        self.flush_link(now, id, builder);
    }

    /// Last words on a link.
    pub(super) fn farewell(&mut self, now: Instant, id: LinkId) {
        let mut builder = self.builder(id);
        self.push_hello(now, id, Duration::from_millis(100), &mut builder);
        builder.push(&Tlv::Retract { key: None, interval: INFINITY });
        self.send(id, super::Destination::Multicast, builder);
    }

    fn push_hello(&mut self, now: Instant, id: LinkId, promise: Duration, builder: &mut PacketBuilder) {
        let Some(state) = self.links.get_mut(&id) else { return };
        let timestamp = state.link.rtt.then(|| rtt::stamp(now));
        let (seqno, interval) = (state.hello_seqno, centiseconds(promise));
        builder.push(&Tlv::Hello { unicast: false, seqno, interval, timestamp });
        state.hello_seqno = seqno.wrapping_add(1);
        state.hellos = state.hellos.wrapping_add(1);
    }

    /// To each neighbour with every third Hello, and with every one while it is in doubt.
    fn push_ihus(&mut self, id: LinkId, builder: &mut PacketBuilder) {
        let Some(state) = self.links.get(&id) else { return };
        let (regular, link) = (state.hellos % 3 == 0, state.link);
        let interval = centiseconds(self.config.hello * 3);
        for neighbour in &state.neighbours {
            let Some(neighbour) = self.neighbours.get_mut(neighbour) else { continue };
            if regular || neighbour.ihu_wanted || neighbour.is_lossy(link.cost) {
                let rxcost = neighbour.rxcost(link.cost);
                let timestamps = neighbour.rtt.echo().filter(|_| link.rtt);
                let address = Some(IpAddr::V6(neighbour.address));
                builder.push(&Tlv::Ihu { address, rxcost, interval, timestamps });
                neighbour.told_rxcost = rxcost;
                neighbour.ihu_wanted = false;
            }
        }
    }
}
