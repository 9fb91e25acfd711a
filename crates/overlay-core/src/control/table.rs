//! The forwarding table: what Babel selected, what certificates say of sources, and what this node holds itself.

use crate::control::Control;
use crate::control::output::{Output, To};
use crate::forwarder::fib::{Fib, FibInput, Target};
use crate::forwarder::mail::Update;
use crate::{Path, PeerIdx};
use core::time::Duration;
use ln6_types::{Instant, Prefix, RouterId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Least pause between two tables, and what each entry adds: a table of 10,000 entries is built at most 10 times a second.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_PER_ENTRY: Duration = Duration::from_micros(10);

impl Control {
    /// The next hop towards `router` changed: a relayed session follows at once.
    pub(crate) fn reroute(&mut self, now: Instant, router: &RouterId) {
        let Some(idx) = self.peers.by_router(router) else { return };
        if self
            .peers
            .get(idx)
            .is_some_and(|peer| peer.pending.as_ref().is_some_and(|pending| !pending.upgrade))
        {
            self.initiate(now, idx);
        }
        let via = self.relay_towards(router).filter(|via| *via != idx);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if let (Some(Path::Through(old)), Some(new)) = (peer.path, via)
            && old != new
        {
            peer.path = Some(Path::Through(new));
            self.peers.changed.insert(idx);
        }
    }

    /// Builds and mails a new table, now or as soon as the last one is old enough.
    pub(crate) fn settle_table(&mut self, now: Instant) {
        if !self.table_changed || now < self.table_at {
            return;
        }
        self.table_changed = false;
        let input = self.table_input(now);
        let entries = (input.routes.len() + input.owners.len()) as u32;
        self.table_at = now + PAUSE + PAUSE_PER_ENTRY * entries;
        self.out(Output::Update(To::All, Update::Fib(Arc::new(Fib::build(input)))));
    }

    fn table_input(&mut self, now: Instant) -> FibInput {
        self.generation += 1;
        let wall = self.wall(now);
        let mut routes = BTreeMap::new();
        let mut owners: BTreeMap<Prefix, Vec<PeerIdx>> = BTreeMap::new();
        let mut exits = Vec::new();

        for (prefix, key) in self.membership.owners(wall) {
            let idx = if key == self.key { PeerIdx::SELF } else { self.intern(now, key) };
            owners.entry(prefix).or_default().push(idx);
            // The owner is in a live direct session: only it can say that the prefix is gone.
            if self.peers.get(idx).is_some_and(|peer| peer.direct()) {
                routes.insert((prefix, Prefix::ALL), Target::Peer(idx));
            }
        }
        let members: Vec<_> = self.membership.members(wall).collect();
        for key in members {
            if key == self.key {
                continue;
            }
            let idx = self.intern(now, key);
            let Some(peer) = self.peers.get(idx) else { continue };
            let address = Prefix::host(self.ula.node_address(&peer.router));
            owners.entry(address).or_default().push(idx);
            if peer.direct() {
                routes.insert((address, Prefix::ALL), Target::Peer(idx));
            }
            if self.is_exit_key(&key, wall) {
                exits.push(idx);
            }
        }
        for (&(dst, src), router) in &self.selected {
            if let Some(idx) = self.peers.by_router(router) {
                routes.insert((dst, src), Target::Peer(idx));
            }
        }

        let mut local = vec![Prefix::host(self.node_address)];
        local.extend(&self.held);
        for prefix in &local {
            routes.insert((*prefix, Prefix::ALL), Target::Unreachable);
            owners.entry(*prefix).or_default().push(PeerIdx::SELF);
        }
        for peer in self.peers.iter() {
            for prefix in peer.stock.iter().flat_map(|stock| &stock.prefixes) {
                routes.insert((*prefix, Prefix::ALL), Target::Peer(peer.idx));
                owners.insert(*prefix, vec![peer.idx, PeerIdx::SELF]);
            }
        }
        // What lies within the network but has no owner that can be reached is answered at once, whatever exit there is.
        for prefix in &self.inside {
            routes.entry((*prefix, Prefix::ALL)).or_insert(Target::Unreachable);
        }
        let exit_for = if self.is_exit_now { self.pools.clone() } else { Vec::new() };
        if self.is_exit_now {
            exits.push(PeerIdx::SELF);
        }
        for list in owners.values_mut() {
            list.sort_unstable();
            list.dedup();
        }
        FibInput {
            routes: routes.into_iter().map(|((dst, src), target)| (dst, src, target)).collect(),
            owners: owners.into_iter().collect(),
            exits,
            inside: self.inside.clone(),
            local,
            exit_for,
            routers: self.next_hops.iter().map(|(router, via)| (*router, *via)).collect(),
            own_router: self.router,
            node_address: self.node_address,
            generation: self.generation,
        }
    }
}
