//! Routes are learnt, judged and chosen (RFC 8966, sections 3.5 and 3.6).

use super::{Action, DropReason, Policy, Router, Verdict};
use crate::neighbour::NeighbourId;
use crate::router::receive::centis;
use crate::select::{Candidate, choose};
use crate::table::{Advert, Route, Shown, Slot};
use crate::timer::Timer;
use crate::{INFINITY, Key, add_metric, seqno};
use ln6_types::Instant;

/// An unfeasible route has to be better than ours by this much to be worth a seqno request.
const WORTH_ASKING: u16 = 96;

fn worth_asking(metric: u16, best: u16) -> bool {
    metric != INFINITY && metric.saturating_add(WORTH_ASKING) <= best
}

impl Router {
    pub(super) fn update(
        &mut self,
        now: Instant,
        id: NeighbourId,
        key: Key,
        advert: Advert,
        interval: u16,
        policy: &dyn Policy,
    ) {
        if key.is_martian() {
            return self.count(DropReason::Martian, 1);
        }
        if advert.router == self.config.router_id {
            return self.echo(now, id, key, advert.seqno);
        }
        if self.refresh(now, id, key, advert, interval) {
            return;
        }
        let feasible = self.sources.feasible(key, advert.router, advert.seqno, advert.refmetric);
        let slot = self.slots.get(&key);
        let known = slot.and_then(|slot| slot.route(id));
        let same_router = known.is_some_and(|route| route.router == advert.router);
        let selected = slot.is_some_and(|slot| slot.own.is_none() && slot.selected == Some(id));
        if selected && same_router && !feasible {
            // What we have of it is safe still; a new seqno will show whether it is true still.
            return self.ask_for_seqno(now, id, key, advert.router);
        }
        if !self.learn(now, id, key, advert, interval, policy) {
            return;
        }
        self.reselect(now, key);
        if !feasible {
            self.ask_if_worth_it(now, id, key, advert);
        }
    }

    /// The usual case: nothing changed. Whether that was so.
    fn refresh(&mut self, now: Instant, id: NeighbourId, key: Key, advert: Advert, interval: u16) -> bool {
        let Some(slot) = self.slots.get_mut(&key) else { return false };
        let idle = !slot.is_reachable();
        let best = slot.selected().map_or(INFINITY, |route| route.smoothed.target());
        let Some(route) = slot.route_mut(id).filter(|route| route.advert() == advert) else { return false };
        let tempting = best != INFINITY && worth_asking(route.smoothed.target(), best);
        if (idle || tempting) && route.verdict == Verdict::Accept {
            return false;
        }
        let worry = route.renew(now, centis(interval));
        self.timers.set(&mut route.alarm, worry, Timer::Route(key, id));
        true
    }

    /// Enters an update in the table; `false` if there is no room.
    fn learn(
        &mut self,
        now: Instant,
        id: NeighbourId,
        key: Key,
        advert: Advert,
        interval: u16,
        policy: &dyn Policy,
    ) -> bool {
        let Some(neighbour) = self.neighbours.get_mut(&id) else { return false };
        let slot = self.slots.entry(key).or_default();
        let judge = || policy.judge(advert.router, key.dst(), key.src());
        let mut unknown = false;
        let position = match slot.routes.iter().position(|route| route.via == id) {
            Some(position) => position,
            None if neighbour.routes.len() >= self.config.max_routes => {
                self.count(DropReason::TooManyRoutes, 1);
                self.clean(key);
                return false;
            }
            None => {
                neighbour.routes.insert(key);
                let verdict = judge();
                unknown = verdict == Verdict::Hold;
                slot.routes.push(Route::new(now, id, advert, verdict));
                slot.routes.len() - 1
            }
        };
        let route = &mut slot.routes[position];
        if route.router != advert.router {
            route.verdict = judge();
            unknown = route.verdict == Verdict::Hold;
        }
        route.set(advert);
        let worry = route.renew(now, centis(interval));
        self.timers.set(&mut route.alarm, worry, Timer::Route(key, id));
        if unknown {
            let (link, from) = (neighbour.link, neighbour.address);
            self.actions.push_back(Action::Held { router: advert.router, link, from });
        }
        true
    }

    /// Our own router-id came back. It can be no route of ours; but a seqno ahead of ours was sent by an earlier
    /// life, and nobody will listen to us before we are past it.
    fn echo(&mut self, now: Instant, id: NeighbourId, key: Key, heard: u16) {
        self.retract(now, id, key);
        let own = self.slots.get(&key).is_some_and(|slot| slot.own.is_some());
        if own && seqno::newer(heard, self.seqno) && self.raise_seqno(now, heard.wrapping_add(1)) {
            self.announce_own(now);
        }
    }

    pub(super) fn retract(&mut self, now: Instant, id: NeighbourId, key: Key) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let Some(route) = slot.route_mut(id).filter(|route| route.refmetric != INFINITY) else { return };
        route.refmetric = INFINITY;
        self.reselect(now, key);
    }

    pub(super) fn retract_all(&mut self, now: Instant, id: NeighbourId) {
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.anew = true;
        }
        let Some(neighbour) = self.neighbours.get(&id) else { return };
        for key in neighbour.routes.iter().copied().collect::<Vec<_>>() {
            self.retract(now, id, key);
        }
    }

    pub(super) fn remove_route(&mut self, now: Instant, id: NeighbourId, key: Key) {
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.routes.remove(&key);
        }
        if let Some(slot) = self.slots.get_mut(&key) {
            if let Some(route) = slot.route_mut(id) {
                self.timers.cancel(&mut route.alarm, Timer::Route(key, id));
            }
            slot.routes.retain(|route| route.via != id);
            self.reselect(now, key);
        }
    }

    /// Chooses the route to use, then says so: to the caller, to neighbours that have to know, and to those who
    /// asked.
    pub(super) fn reselect(&mut self, now: Instant, key: Key) {
        let half_life = self.half_life();
        let Some(slot) = self.slots.get_mut(&key) else { return };
        self.candidates.clear();
        for route in &mut slot.routes {
            let cost = self.neighbours.get(&route.via).map_or(INFINITY, |neighbour| neighbour.cost);
            let metric = add_metric(cost, route.refmetric);
            route.smoothed.turn(now, metric, half_life);
            let feasible = || self.sources.feasible(key, route.router, route.seqno, route.refmetric);
            let usable = metric != INFINITY && route.verdict == Verdict::Accept && feasible();
            let metric = if usable { metric } else { INFINITY };
            self.candidates.push(Candidate { metric, smoothed: route.smoothed.get(now, half_life) });
        }
        let in_use = slot.selected.and_then(|via| slot.routes.iter().position(|route| route.via == via));
        let choice = choose(&self.candidates, in_use);
        slot.selected = choice.best.map(|index| slot.routes[index].via);
        if choice.review && slot.own.is_none() {
            let due = now + half_life / 2;
            self.timers.hasten(&mut slot.review, due, Timer::Review(key));
        }
        let metric = choice.best.map_or(INFINITY, |index| self.candidates[index].metric);
        let lost = self.show(key, metric);
        self.tell_neighbours(now, key, metric);
        if let Some(shown) = lost {
            self.starve(now, key, shown.router);
        }
        self.settle_requests(now, key);
        self.clean(key);
    }

    /// Tells the caller what changed; returns the route that was lost without another in its place.
    fn show(&mut self, key: Key, metric: u16) -> Option<Shown> {
        let slot = self.slots.get_mut(&key)?;
        let shown = slot.selected().filter(|_| slot.own.is_none()).and_then(|route| {
            let link = self.neighbours.get(&route.via)?.link;
            Some(Shown { router: route.router, link, next_hop: route.next_hop })
        });
        let before = core::mem::replace(&mut slot.shown, shown);
        if shown == before {
            return None;
        }
        let (dst, src) = (key.dst(), key.src());
        self.actions.push_back(match shown {
            Some(Shown { router, link, next_hop }) => {
                Action::Select { dst, src, router, link, next_hop, metric }
            }
            None => Action::Lose { dst, src },
        });
        before.filter(|_| !slot.is_reachable())
    }

    /// Removes a destination that nothing is known of any more.
    pub(super) fn clean(&mut self, key: Key) {
        let empty = |slot: &Slot| slot.own.is_none() && slot.routes.is_empty() && !slot.lost;
        if self.slots.get(&key).is_some_and(empty) {
            self.slots.remove(&key);
        }
    }

    /// A route that would be much better, or the only one, were it feasible.
    fn ask_if_worth_it(&mut self, now: Instant, id: NeighbourId, key: Key, advert: Advert) {
        let Some(slot) = self.slots.get(&key) else { return };
        let Some(route) = slot.route(id).filter(|route| route.verdict == Verdict::Accept) else { return };
        let cost = |via| self.neighbours.get(&via).map_or(INFINITY, |neighbour| neighbour.cost);
        let metric = add_metric(cost(route.via), advert.refmetric);
        let best = slot.selected().map_or(INFINITY, |best| add_metric(cost(best.via), best.refmetric));
        if slot.own.is_none() && worth_asking(metric, best) {
            self.ask_for_seqno(now, id, key, advert.router);
        }
    }
}
