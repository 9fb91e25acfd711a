//! What time brings.

use super::{Action, LinkId, Policy, Router};
use crate::neighbour::NeighbourId;
use crate::timer::Timer;
use crate::wire::Tlv;
use crate::{INFINITY, Key};
use ln6_types::Instant;

impl Router {
    /// Does all that is due at `now`. (No verdict depends on time alone; the policy is at hand for those that will.)
    pub fn handle_timeout(&mut self, now: Instant, _policy: &dyn Policy) {
        while let Some((at, timer)) = self.timers.pop(now) {
            self.ring(now, at, timer);
        }
    }

    fn ring(&mut self, now: Instant, at: Instant, timer: Timer) {
        match timer {
            Timer::Hello(id) | Timer::Flush(id) | Timer::Repeat(id) | Timer::Dump(id) => {
                self.ring_link(now, at, timer, id);
            }
            Timer::Multicast(id)
            | Timer::Unicast(id)
            | Timer::Ihu(id)
            | Timer::Reply(id)
            | Timer::DumpTo(id) => self.ring_neighbour(now, at, timer, id),
            Timer::Route(key, id) => self.ring_route(now, at, key, id),
            Timer::Review(key) => {
                let Some(slot) = self.slots.get_mut(&key) else { return };
                if self.timers.rings(&mut slot.review, at, now, timer) {
                    self.reselect(now, key);
                }
            }
            Timer::Hold(key) => self.ring_hold(now, at, key),
            Timer::Source(key, router) => {
                if self.sources.expire(now, at, &mut self.timers, key, router) {
                    self.reselect(now, key);
                }
            }
            Timer::Request(key, router) => {
                let Some(request) = self.requests.0.get_mut(&(key, router)) else { return };
                if self.timers.rings(&mut request.alarm, at, now, timer) {
                    self.repeat_request(now, key, router);
                }
            }
        }
    }

    fn ring_link(&mut self, now: Instant, at: Instant, timer: Timer, id: LinkId) {
        let Some(state) = self.links.get_mut(&id) else { return };
        let alarm = match timer {
            Timer::Hello(_) => &mut state.hello,
            Timer::Flush(_) => &mut state.flush,
            Timer::Repeat(_) => &mut state.repeat,
            _ => &mut state.dump,
        };
        if !self.timers.rings(alarm, at, now, timer) {
            return;
        }
        match timer {
            Timer::Hello(_) => self.send_hello(now, id),
            Timer::Flush(_) => self.flush_link(now, id, self.builder(id)),
            Timer::Repeat(_) => self.repeat_updates(now, id),
            _ => self.dump(now, id),
        }
    }

    fn ring_neighbour(&mut self, now: Instant, at: Instant, timer: Timer, id: NeighbourId) {
        let Some(neighbour) = self.neighbours.get_mut(&id) else { return };
        let alarm = match timer {
            Timer::Multicast(_) => &mut neighbour.multicast.alarm,
            Timer::Unicast(_) => &mut neighbour.unicast.alarm,
            Timer::Ihu(_) => &mut neighbour.ihu,
            Timer::Reply(_) => &mut neighbour.reply,
            _ => &mut neighbour.dump,
        };
        if !self.timers.rings(alarm, at, now, timer) {
            return;
        }
        match timer {
            Timer::Multicast(_) | Timer::Unicast(_) => self.miss(now, id, timer),
            Timer::Ihu(_) => {
                neighbour.txcost = INFINITY;
                self.assess(now, id);
            }
            Timer::Reply(_) => self.flush_neighbour(now, id),
            _ => self.dump_to(now, id),
        }
    }

    /// A Hello did not come.
    fn miss(&mut self, now: Instant, id: NeighbourId, timer: Timer) {
        let Some(neighbour) = self.neighbours.get_mut(&id) else { return };
        let history = match timer {
            Timer::Unicast(_) => &mut neighbour.unicast,
            _ => &mut neighbour.multicast,
        };
        history.missed();
        if history.bits() != 0 {
            let due = now + history.interval;
            self.timers.set(&mut history.alarm, due, timer);
        }
        if neighbour.is_silent() {
            self.forget_neighbour(now, id);
        } else {
            self.assess(now, id);
        }
    }

    fn ring_route(&mut self, now: Instant, at: Instant, key: Key, id: NeighbourId) {
        let timer = Timer::Route(key, id);
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let selected = slot.own.is_none() && slot.selected == Some(id);
        let Some(route) = slot.route_mut(id) else { return };
        if !self.timers.rings(&mut route.alarm, at, now, timer) {
            return;
        }
        if now < route.expires {
            self.timers.set(&mut route.alarm, route.expires, timer);
            if selected {
                self.tell(now, id, Tlv::RouteRequest { key: Some(key) });
            }
        } else if route.refmetric != INFINITY {
            let due = route.expire(now);
            self.timers.set(&mut route.alarm, due, timer);
            self.reselect(now, key);
        } else {
            self.remove_route(now, id, key);
        }
    }

    fn ring_hold(&mut self, now: Instant, at: Instant, key: Key) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if self.timers.rings(&mut slot.hold, at, now, Timer::Hold(key)) && slot.lost {
            slot.lost = false;
            self.actions.push_back(Action::Release { dst: key.dst(), src: key.src() });
            self.clean(key);
        }
    }
}
