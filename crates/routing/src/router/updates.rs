//! Updates out: what neighbours have to know, when, and in which packets (RFC 8966, section 3.7).

use super::adjacency::centiseconds;
use super::{Action, Destination, DropReason, LinkId, Router, TRIGGERED, URGENT};
use crate::neighbour::{CostModel, NeighbourId};
use crate::table::{Slot, Told};
use crate::timer::Timer;
use crate::wire::{IP_UDP, PacketBuilder, Tlv};
use crate::{INFINITY, Key, add_metric};
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use ln6_types::Instant;
use ln6_types::gathered;
use std::collections::BTreeSet;

/// A metric that changes by less is told with the next dump.
const SIGNIFICANT: u16 = 96;
/// A metric that grows by more is urgent.
const ALARMING: u16 = 512;
/// Updates that leave at once; more follow after [`PAUSE`].
const BURST: usize = 1024;
const PAUSE: Duration = Duration::from_millis(20);
/// Between two copies of an urgent update.
const COPY_GAP: Duration = Duration::from_secs(1);

/// How an update travels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Haste {
    None,
    /// Only where split horizon kept it back so far.
    Revealed,
    Soon,
    /// At once, and repeated.
    Urgent,
}

fn haste(before: Option<Told>, after: Option<Told>) -> Haste {
    match (before, after) {
        (None, None) => Haste::None,
        (None, Some(_)) => Haste::Soon,
        (Some(_), None) => Haste::Urgent,
        (Some(before), Some(after)) if before.router != after.router => Haste::Urgent,
        (Some(before), Some(after)) if after.metric.saturating_sub(before.metric) >= ALARMING => {
            Haste::Urgent
        }
        (Some(before), Some(after)) if after.metric.abs_diff(before.metric) >= SIGNIFICANT => Haste::Soon,
        (Some(before), Some(after)) if before.via != after.via => Haste::Revealed,
        _ => Haste::None,
    }
}

impl Router {
    /// After a selection: triggers an update if neighbours have to know.
    pub(super) fn tell_neighbours(&mut self, now: Instant, key: Key, metric: u16) {
        let hold = self.config.update * 7 / 2;
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let after = match (slot.own, slot.selected()) {
            (Some(metric), _) => Some(Told { router: self.config.router_id, metric, via: None }),
            (None, Some(route)) => {
                let via = self.neighbours.get(&route.via).map(|neighbour| neighbour.link);
                Some(Told { router: route.router, metric, via })
            }
            (None, None) => None,
        };
        let before = slot.told;
        let haste = haste(before, after);
        if haste == Haste::None {
            return;
        }
        slot.told = after;
        slot.lost = after.is_none();
        if slot.lost {
            self.timers.set(&mut slot.hold, now + hold, Timer::Hold(key));
        } else {
            slot.hold.clear();
        }
        self.trigger(now, key, haste, before, after);
    }

    fn trigger(&mut self, now: Instant, key: Key, haste: Haste, before: Option<Told>, after: Option<Told>) {
        let urgent = haste == Haste::Urgent;
        let delay = if urgent { URGENT } else { TRIGGERED };
        for (&id, state) in &mut self.links {
            let leads_here = |told: Option<Told>| {
                state.link.split_horizon && told.is_some_and(|told| told.via == Some(id))
            };
            let (was_kept, is_kept) = (leads_here(before), leads_here(after));
            let nothing_new = match haste {
                Haste::Revealed => is_kept || !was_kept,
                _ => is_kept && (was_kept || before.is_none()),
            };
            if state.neighbours.is_empty() || nothing_new {
                continue;
            }
            state.outbox.updates.insert(key);
            let due = now + self.jitter.between(delay / 5, delay);
            self.timers.hasten(&mut state.flush, due, Timer::Flush(id));
            if urgent {
                state.repeats.insert(key, if state.link.cost == CostModel::Wired { 1 } else { 2 });
            }
        }
    }

    /// Repeats urgent updates once more.
    pub(super) fn repeat_updates(&mut self, now: Instant, id: LinkId) {
        let Some(state) = self.links.get_mut(&id) else { return };
        state.outbox.updates.extend(state.repeats.keys());
        state.repeats.retain(|_, left| {
            *left -= 1;
            *left > 0
        });
        self.timers.hasten(&mut state.flush, now, Timer::Flush(id));
    }

    /// Announces all our own prefixes: they have a new seqno.
    pub(super) fn announce_own(&mut self, now: Instant) {
        let own: Vec<Key> =
            self.slots.iter().filter(|(_, slot)| slot.own.is_some()).map(|(key, _)| *key).collect();
        for (&id, state) in &mut self.links {
            state.outbox.updates.extend(&own);
            let due = now + self.jitter.between(URGENT / 5, URGENT);
            self.timers.hasten(&mut state.flush, due, Timer::Flush(id));
        }
    }

    /// All that a link's neighbours should hear regularly.
    fn dump_for(&self, id: LinkId) -> BTreeSet<Key> {
        let split_horizon = self.links.get(&id).is_some_and(|state| state.link.split_horizon);
        let back = |slot: &Slot| {
            let via = slot.selected.filter(|_| slot.own.is_none()).and_then(|via| self.neighbours.get(&via));
            split_horizon && via.is_some_and(|via| via.link == id)
        };
        let wanted = |slot: &Slot| slot.lost || slot.is_reachable() && !back(slot);
        gathered(self.slots.iter().filter(|(_, slot)| wanted(slot)).map(|(key, _)| *key))
    }

    /// The regular full dump on a link.
    pub(super) fn dump(&mut self, now: Instant, id: LinkId) {
        let keys = self.dump_for(id);
        let early = self.jitter.between(Duration::ZERO, self.config.update / 8);
        let Some(state) = self.links.get_mut(&id) else { return };
        self.timers.set(&mut state.dump, now + self.config.update - early, Timer::Dump(id));
        if !state.neighbours.is_empty() {
            state.outbox.updates.extend(keys);
            self.timers.hasten(&mut state.flush, now, Timer::Flush(id));
        }
    }

    /// A full dump for one neighbour.
    pub(super) fn dump_to(&mut self, now: Instant, id: NeighbourId) {
        let Some(link) = self.neighbours.get(&id).map(|neighbour| neighbour.link) else { return };
        let keys = self.dump_for(link);
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.dumped.rotate_right(1);
            neighbour.dumped[0] = Some(now);
            neighbour.anew = false;
            // It has only just met us, and may not know that we hear it.
            neighbour.ihu_wanted = true;
            neighbour.outbox.updates.extend(keys);
            self.timers.hasten(&mut neighbour.reply, now, Timer::Reply(id));
            self.hasten_hello(now, link);
        }
    }

    /// Sends a TLV to one neighbour, soon.
    pub(super) fn tell(&mut self, now: Instant, id: NeighbourId, tlv: Tlv) {
        let due = now + self.jitter.between(Duration::ZERO, URGENT / 4);
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.outbox.push(tlv);
            self.timers.hasten(&mut neighbour.reply, due, Timer::Reply(id));
        }
    }

    /// Sends the state of a destination to one neighbour, soon.
    pub(super) fn answer(&mut self, now: Instant, id: NeighbourId, key: Key) {
        let due = now + self.jitter.between(Duration::ZERO, URGENT / 4);
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.outbox.updates.insert(key);
            self.timers.hasten(&mut neighbour.reply, due, Timer::Reply(id));
        }
    }

    pub(super) fn builder(&self, id: LinkId) -> PacketBuilder {
        let link = self.links.get(&id).map(|state| state.link);
        let (our, mtu) = link.map_or((Ipv6Addr::UNSPECIFIED, 0), |link| (link.our, link.mtu));
        PacketBuilder::new(our, usize::from(mtu).saturating_sub(IP_UDP))
    }

    /// Sends what waits for a link, behind what `builder` holds already.
    pub(super) fn flush_link(&mut self, now: Instant, id: LinkId, mut builder: PacketBuilder) {
        let Some(state) = self.links.get_mut(&id) else { return };
        state.flush.clear();
        let (tlvs, updates) = (state.outbox.take_tlvs(), state.outbox.take_updates(BURST));
        if !state.outbox.updates.is_empty() {
            self.timers.set(&mut state.flush, now + PAUSE, Timer::Flush(id));
        }
        if !state.repeats.is_empty() && !state.repeat.is_set() {
            self.timers.set(&mut state.repeat, now + COPY_GAP, Timer::Repeat(id));
        }
        tlvs.iter().for_each(|tlv| builder.push(tlv));
        self.push_updates(now, id, updates, &mut builder);
        self.send(id, Destination::Multicast, builder);
    }

    /// Sends what waits for a neighbour.
    pub(super) fn flush_neighbour(&mut self, now: Instant, id: NeighbourId) {
        let Some(neighbour) = self.neighbours.get_mut(&id) else { return };
        let (link, address) = (neighbour.link, neighbour.address);
        let (tlvs, updates) = (neighbour.outbox.take_tlvs(), neighbour.outbox.take_updates(BURST));
        if !neighbour.outbox.updates.is_empty() {
            self.timers.set(&mut neighbour.reply, now + PAUSE, Timer::Reply(id));
        }
        let mut builder = self.builder(link);
        tlvs.iter().for_each(|tlv| builder.push(tlv));
        self.push_updates(now, link, updates, &mut builder);
        self.send(link, Destination::Unicast(address), builder);
    }

    pub(super) fn send(&mut self, link: LinkId, to: Destination, builder: PacketBuilder) {
        let packets = builder.finish().into_iter();
        self.actions.extend(packets.map(|packet| Action::Send { link, to, packet }));
    }

    fn push_updates(&mut self, now: Instant, id: LinkId, keys: BTreeSet<Key>, builder: &mut PacketBuilder) {
        for key in keys {
            let tlv = self.advertisement(now, id, key);
            builder.push(&tlv);
        }
    }

    /// What we say of a destination on a link at this moment. A finite metric lowers the feasibility distance first.
    fn advertisement(&mut self, now: Instant, id: LinkId, key: Key) -> Tlv {
        let interval = centiseconds(self.config.update);
        let retraction = Tlv::Retract { key: Some(key), interval };
        let Some(state) = self.links.get(&id) else { return retraction };
        let Some(slot) = self.slots.get_mut(&key) else { return retraction };
        let next_hop = IpAddr::V6(state.link.our);
        if let Some(metric) = slot.own {
            let (router, seqno) = (self.config.router_id, self.seqno);
            return Tlv::Update { key, router, next_hop, interval, seqno, metric };
        }
        let Some(route) = slot.selected() else { return retraction };
        let Some(neighbour) = self.neighbours.get(&route.via) else { return retraction };
        let (router, seqno, metric) =
            (route.router, route.seqno, add_metric(neighbour.cost, route.refmetric));
        if metric == INFINITY || state.link.split_horizon && neighbour.link == id {
            return retraction;
        }
        if let Some(told) = &mut slot.told {
            told.metric = metric;
        }
        if self.sources.len() >= self.config.max_sources && !self.sources.knows(key, router) {
            self.count(DropReason::TooManySources, 1);
            return retraction;
        }
        self.sources.sending(now, &mut self.timers, key, router, (seqno, metric));
        Tlv::Update { key, router, next_hop, interval, seqno, metric }
    }
}
