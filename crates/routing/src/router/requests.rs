//! Requests, ours and others' (RFC 8966, section 3.8).

use super::{Action, DropReason, Router, Verdict};
use crate::neighbour::{DUMPS, NeighbourId};
use crate::request::{PATIENCE, Request};
use crate::table::Route;
use crate::timer::Timer;
use crate::wire::Tlv;
use crate::{INFINITY, Key, add_metric, seqno};
use core::time::Duration;
use ln6_types::{Instant, RouterId};

/// Our seqno rises at most this often: each rise costs the whole network an update.
const RISE_GAP: Duration = Duration::from_millis(200);
/// Between two full dumps for one neighbour that asks.
const DUMP_GAP: Duration = Duration::from_secs(1);
/// The same for one that has just taken back all it ever said: it was restarted, and has no route until it is answered. No more
/// than [`DUMPS`] in so long.
const DUMP_GAP_ANEW: Duration = Duration::from_millis(20);
const DUMP_SPAN: Duration = Duration::from_secs(DUMPS as u64);

impl Router {
    pub(super) fn route_request(&mut self, now: Instant, from: NeighbourId, key: Option<Key>) {
        if let Some(key) = key {
            return self.answer(now, from, key);
        }
        if let Some(neighbour) = self.neighbours.get_mut(&from) {
            let gap = if neighbour.anew { DUMP_GAP_ANEW } else { DUMP_GAP };
            let last = neighbour.dumped[0].map_or(now, |at| at + gap);
            let first = neighbour.dumped[DUMPS - 1].map_or(now, |at| at + DUMP_SPAN);
            let due = now.max(last).max(first);
            self.timers.hasten(&mut neighbour.dump, due, Timer::DumpTo(from));
        }
    }

    pub(super) fn seqno_request(
        &mut self,
        now: Instant,
        from: NeighbourId,
        key: Key,
        router: RouterId,
        asked: u16,
        hop_count: u8,
    ) {
        let (own_id, own_seqno) = (self.config.router_id, self.seqno);
        let Some(slot) = self.slots.get(&key) else { return };
        let have = match (slot.own, slot.selected()) {
            (Some(_), _) => Some((own_id, own_seqno)),
            (None, route) => route.map(|route| (route.router, route.seqno)),
        };
        if have.is_some_and(|(id, seqno)| id != router || !seqno::newer(asked, seqno)) {
            return self.answer(now, from, key);
        }
        if router == own_id {
            if slot.own.is_some() && self.raise_seqno(now, own_seqno.wrapping_add(1)) {
                self.answer(now, from, key);
            }
            return;
        }
        if hop_count >= 2 {
            self.forward_request(now, from, key, router, asked, hop_count - 1);
        }
    }

    fn forward_request(
        &mut self,
        now: Instant,
        from: NeighbourId,
        key: Key,
        router: RouterId,
        seqno: u16,
        hop_count: u8,
    ) {
        if let Some(request) = self.requests.0.get_mut(&(key, router))
            && request.covers(now, seqno)
        {
            request.askers.insert(from);
            return;
        }
        let Some(to) = self.next_hop_but(key, from) else { return };
        if let Some(request) = self.remember(now, key, router, seqno) {
            request.askers.insert(from);
        }
        self.tell(now, to, Tlv::SeqnoRequest { key, seqno, hop_count, router });
    }

    /// Who to pass a request on to: the best feasible route's next hop, else the best one's of all.
    fn next_hop_but(&self, key: Key, asker: NeighbourId) -> Option<NeighbourId> {
        let rank = |route: &Route| {
            let metric = self.metric_of(route);
            let feasible = self.sources.feasible(key, route.router, route.seqno, route.refmetric);
            (metric != INFINITY).then_some((!feasible, metric))
        };
        let others = self.slots.get(&key)?.routes.iter().filter(|route| route.via != asker);
        others.filter_map(|route| Some((rank(route)?, route.via))).min().map(|(_, via)| via)
    }

    fn metric_of(&self, route: &Route) -> u16 {
        let cost = self.neighbours.get(&route.via).map_or(INFINITY, |neighbour| neighbour.cost);
        if route.verdict == Verdict::Accept { add_metric(cost, route.refmetric) } else { INFINITY }
    }

    /// Notes that a request was sent just now.
    fn remember(&mut self, now: Instant, key: Key, router: RouterId, seqno: u16) -> Option<&mut Request> {
        let full = self.requests.0.len() >= self.config.max_requests;
        if full && !self.requests.0.contains_key(&(key, router)) {
            self.count(DropReason::TooManyRequests, 1);
            return None;
        }
        let request = self.requests.0.entry((key, router)).or_insert_with(|| Request::new(seqno, now));
        if seqno::newer(seqno, request.seqno) {
            request.seqno = seqno;
        }
        request.sent = now;
        if !request.own {
            self.timers.set(&mut request.alarm, now + PATIENCE, Timer::Request(key, router));
        }
        Some(request)
    }

    /// Asks one neighbour for an update that is feasible, once; the neighbour's updates will make us repeat it.
    pub(super) fn ask_for_seqno(&mut self, now: Instant, to: NeighbourId, key: Key, router: RouterId) {
        let Some(seqno) = self.sources.next_seqno(key, router) else { return };
        if self.requests.0.get(&(key, router)).is_some_and(|request| request.covers(now, seqno)) {
            return;
        }
        self.want(now, key, router, seqno);
        self.send_request(now, to, key, router, seqno);
    }

    /// The last usable route of `router` is gone (section 3.8.2.1): asks all who have an unfeasible one.
    pub(super) fn starve(&mut self, now: Instant, key: Key, router: RouterId) {
        let Some(seqno) = self.sources.next_seqno(key, router) else { return };
        if self.ask_all(now, key, router, seqno) {
            self.want(now, key, router, seqno);
        }
    }

    /// Notes that we want an answer ourselves, and shall repeat the question.
    fn want(&mut self, now: Instant, key: Key, router: RouterId, seqno: u16) {
        let Some(request) = self.remember(now, key, router, seqno) else { return };
        if !core::mem::replace(&mut request.own, true) {
            let due = now + request.wait;
            if let Some(request) = self.requests.0.get_mut(&(key, router)) {
                self.timers.set(&mut request.alarm, due, Timer::Request(key, router));
            }
        }
    }

    fn ask_all(&mut self, now: Instant, key: Key, router: RouterId, seqno: u16) -> bool {
        let Some(slot) = self.slots.get(&key) else { return false };
        let usable = slot.routes.iter().filter(|route| self.metric_of(route) != INFINITY);
        let targets: Vec<NeighbourId> = usable.map(|route| route.via).collect();
        for to in &targets {
            self.send_request(now, *to, key, router, seqno);
        }
        !targets.is_empty()
    }

    fn send_request(&mut self, now: Instant, to: NeighbourId, key: Key, router: RouterId, seqno: u16) {
        let hop_count = self.config.hop_count.max(1);
        self.tell(now, to, Tlv::SeqnoRequest { key, seqno, hop_count, router });
    }

    /// A request's timer came up: repeat it, or give it up.
    pub(super) fn repeat_request(&mut self, now: Instant, key: Key, router: RouterId) {
        let Some(request) = self.requests.0.get_mut(&(key, router)) else { return };
        if !request.own || request.repeats == 0 {
            self.requests.0.remove(&(key, router));
            return;
        }
        request.repeats -= 1;
        request.wait *= 2;
        request.sent = now;
        let (seqno, due) = (request.seqno, now + request.wait);
        self.timers.set(&mut request.alarm, due, Timer::Request(key, router));
        self.ask_all(now, key, router, seqno);
    }

    /// Passes the answer on to those who asked.
    pub(super) fn settle_requests(&mut self, now: Instant, key: Key) {
        if self.requests.0.is_empty() {
            return;
        }
        let Some(slot) = self.slots.get(&key) else { return };
        let (router, seqno) = match (slot.own, slot.selected()) {
            (Some(_), _) => (self.config.router_id, self.seqno),
            (None, Some(route)) => (route.router, route.seqno),
            (None, None) => return,
        };
        let done: Vec<RouterId> = self
            .requests
            .of(key)
            .filter(|(asked, request)| request.satisfied(*asked, router, seqno))
            .map(|(asked, _)| asked)
            .collect();
        for asked in done {
            let Some(mut request) = self.requests.0.remove(&(key, asked)) else { continue };
            self.timers.cancel(&mut request.alarm, Timer::Request(key, asked));
            for asker in request.askers {
                self.answer(now, asker, key);
            }
        }
    }

    /// Whether our seqno is `to` now: it rises only so often.
    pub(super) fn raise_seqno(&mut self, now: Instant, to: u16) -> bool {
        if self.raised.is_some_and(|last| now.since(last) < RISE_GAP) {
            return false;
        }
        self.raised = Some(now);
        self.seqno = to;
        self.actions.push_back(Action::SeqnoUsed(to));
        true
    }
}
