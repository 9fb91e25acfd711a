//! Packets in: who sent it, and which room each TLV goes to.

use super::{DropReason, LinkId, Policy, Router};
use crate::INFINITY;
use crate::neighbour::{Neighbour, NeighbourId};
use crate::table::Advert;
use crate::timer::Timer;
use crate::wire::{Tlv, decode};
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use ln6_types::Instant;

/// What is noted while one packet is read.
#[derive(Default)]
struct Noted {
    neighbour: Option<NeighbourId>,
    hello: Option<u32>,
    ihu: Option<(u32, u32)>,
    strangers: u64,
    /// Something was learnt about the link. Judged once per packet: it can mean judging thousands of routes.
    link: bool,
}

pub(super) fn centis(interval: u16) -> Duration {
    Duration::from_millis(u64::from(interval) * 10)
}

impl Router {
    /// A Babel packet (the UDP payload; the caller has checked that both ports are 6696) from `from`.
    pub fn receive(&mut self, now: Instant, id: LinkId, from: Ipv6Addr, packet: &[u8], policy: &dyn Policy) {
        let Some(state) = self.links.get(&id) else { return self.count(DropReason::UnknownLink, 1) };
        let rtt = state.link.rtt;
        if !from.is_unicast_link_local() {
            return self.count(DropReason::NotLinkLocal, 1);
        }
        if from == state.link.our {
            return self.count(DropReason::Looped, 1);
        }
        let mut noted = Noted { neighbour: self.addresses.get(&(id, from)).copied(), ..Noted::default() };
        match decode(packet, from, |tlv| self.handle_tlv(now, id, from, tlv, &mut noted, policy)) {
            Ok(0) => {}
            Ok(ignored) => self.count(DropReason::IgnoredTlv, u64::from(ignored)),
            Err(_) => self.count(DropReason::Malformed, 1),
        }
        if noted.strangers > 0 {
            self.count(DropReason::Stranger, noted.strangers);
        }
        let Some(id) = noted.neighbour.filter(|_| noted.link) else { return };
        if let (true, Some(sent), Some(neighbour)) = (rtt, noted.hello, self.neighbours.get_mut(&id)) {
            neighbour.rtt.heard(now, sent, noted.ihu);
        }
        self.assess(now, id);
    }

    fn handle_tlv(
        &mut self,
        now: Instant,
        id: LinkId,
        from: Ipv6Addr,
        tlv: Tlv,
        noted: &mut Noted,
        policy: &dyn Policy,
    ) {
        if let Tlv::Hello { unicast, seqno, interval, timestamp } = tlv {
            noted.neighbour = noted.neighbour.or_else(|| self.meet(now, id, from));
            noted.hello = timestamp;
            noted.link = true;
            if let Some(neighbour) = noted.neighbour {
                self.hello(now, neighbour, unicast, seqno, interval);
            }
            return;
        }
        let Some(neighbour) = noted.neighbour else {
            noted.strangers += 1;
            return;
        };
        match tlv {
            Tlv::Hello { .. } | Tlv::Ack { .. } => {}
            Tlv::AckRequest { opaque, interval } => self.acknowledge(now, neighbour, opaque, interval),
            Tlv::Ihu { address, rxcost, interval, timestamps } => {
                let our = self.links.get(&id).map(|state| IpAddr::V6(state.link.our));
                if address.is_none_or(|address| Some(address) == our) && rxcost != 0 {
                    noted.ihu = timestamps;
                    noted.link = true;
                    self.ihu(now, neighbour, rxcost, interval);
                }
            }
            Tlv::Update { key, router, next_hop, interval, seqno, metric } => {
                let advert = Advert { router, seqno, refmetric: metric, next_hop };
                self.update(now, neighbour, key, advert, interval, policy);
            }
            Tlv::Retract { key: Some(key), .. } => self.retract(now, neighbour, key),
            Tlv::Retract { key: None, .. } => self.retract_all(now, neighbour),
            Tlv::RouteRequest { key } => self.route_request(now, neighbour, key),
            Tlv::SeqnoRequest { key, seqno, hop_count, router } => {
                self.seqno_request(now, neighbour, key, router, seqno, hop_count);
            }
        }
    }

    /// A Hello from an address not known yet.
    fn meet(&mut self, now: Instant, id: LinkId, from: Ipv6Addr) -> Option<NeighbourId> {
        let state = self.links.get_mut(&id)?;
        if state.neighbours.len() >= self.config.max_neighbours {
            self.count(DropReason::TooManyNeighbours, 1);
            return None;
        }
        let neighbour = NeighbourId(self.next_neighbour);
        self.next_neighbour += 1;
        state.neighbours.insert(neighbour);
        self.neighbours.insert(neighbour, Neighbour::new(id, from));
        self.addresses.insert((id, from), neighbour);
        self.hasten_hello(now, id);
        self.ask_for_dump(now, neighbour);
        Some(neighbour)
    }

    fn hello(&mut self, now: Instant, id: NeighbourId, unicast: bool, seqno: u16, interval: u16) {
        let fallback = self.config.hello;
        let Some(neighbour) = self.neighbours.get_mut(&id) else { return };
        let (history, timer) = if unicast {
            (&mut neighbour.unicast, Timer::Unicast(id))
        } else {
            (&mut neighbour.multicast, Timer::Multicast(id))
        };
        history.heard(seqno);
        if interval != 0 {
            history.interval = centis(interval);
        }
        // One that never promised anything has to be forgotten some time, too.
        if interval != 0 || !history.alarm.is_set() {
            history.interval = if history.interval.is_zero() { fallback } else { history.interval };
            let due = now + history.interval * 3 / 2;
            self.timers.set(&mut history.alarm, due, timer);
        }
    }

    fn ihu(&mut self, now: Instant, id: NeighbourId, rxcost: u16, interval: u16) {
        let Some(neighbour) = self.neighbours.get_mut(&id) else { return };
        neighbour.txcost = rxcost;
        if rxcost == INFINITY {
            neighbour.ihu.clear();
        } else {
            self.timers.set(&mut neighbour.ihu, now + centis(interval) * 7 / 2, Timer::Ihu(id));
        }
    }

    fn acknowledge(&mut self, now: Instant, id: NeighbourId, opaque: u16, interval: u16) {
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.outbox.push(Tlv::Ack { opaque });
            let due = now + (centis(interval) / 4).min(super::URGENT);
            self.timers.hasten(&mut neighbour.reply, due, Timer::Reply(id));
        }
    }
}
