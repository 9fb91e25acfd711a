//! Control's view for tools: copies, nothing that could change it.

use crate::control::Control;
use crate::control::babel::prefix_of;
use crate::control::view::{Me, PeerView, RouteView, View};
use crate::{Path, PeerIdx};
use ln6_types::{Instant, PublicKey, RouterId};
use std::collections::BTreeMap;

impl Control {
    /// Everything at `now`.
    pub fn view(&self, now: Instant) -> View {
        View {
            me: self.me(now),
            peers: self.peer_views(now),
            routes: self.route_views(),
            certificates: self.membership.certificate_views(self.wall(now)),
            refusals: self.refusal_counts(),
            handshakes: (
                self.counters.initiations_sent,
                self.counters.handshakes_answered,
                self.counters.handshakes_refused,
            ),
        }
    }

    fn refusal_counts(&self) -> Vec<(&'static str, u64)> {
        let own = [
            ("message_malformed", self.counters.messages_refused),
            ("link_local_ignored", self.counters.link_local_ignored),
            ("outbox_full", self.counters.outbox_full),
        ];
        let items = self.refusals.iter().map(|(code, count)| (*code, *count));
        items.chain(own).filter(|(_, count)| *count > 0).collect()
    }

    fn me(&self, now: Instant) -> Me {
        let wall = self.wall(now);
        let own = self.membership.live(&self.key, wall);
        let exits = self.selected.iter().filter(|((dst, _), _)| dst.is_default());
        let mut exits: Vec<String> = exits.map(|(_, router)| self.name_of_router(router)).collect();
        exits.sort();
        exits.dedup();
        Me {
            name: self.name.clone(),
            key: self.key,
            router: self.router,
            network: self.network,
            address: self.node_address,
            standing: self.standing.clone(),
            prefixes: self.held.clone(),
            pools: self.pools_of_own.clone(),
            exit: self.is_exit_now,
            exits,
            validity: own.map(|certificate| (certificate.not_after, certificate.grace_until)),
            endpoints: self.published.clone(),
            seen_at: self.seen.values().copied().collect(),
        }
    }

    /// The name that certificates or configuration give a key; empty if none.
    pub fn name_of(&self, key: &PublicKey) -> String {
        let stock = self.peers.by_key(key).and_then(|idx| self.peers.get(idx)).and_then(|peer| peer.stock.as_ref());
        match stock {
            Some(stock) => stock.name.clone(),
            None => self.membership.name(key).unwrap_or_default().to_owned(),
        }
    }

    fn name_of_router(&self, router: &RouterId) -> String {
        if *router == self.router {
            return self.name.clone();
        }
        let key = self.peers.by_router(router).and_then(|idx| self.peers.get(idx)).map(|peer| peer.key);
        key.map(|key| self.name_of(&key)).unwrap_or_default()
    }

    fn name_of_peer(&self, idx: PeerIdx) -> String {
        self.peers.get(idx).map(|peer| self.name_of(&peer.key)).unwrap_or_default()
    }

    fn peer_views(&self, now: Instant) -> Vec<PeerView> {
        let wall = self.wall(now);
        let mut prefixes: BTreeMap<PublicKey, Vec<_>> = BTreeMap::new();
        for (prefix, key) in self.membership.owners(wall) {
            prefixes.entry(key).or_default().push(prefix);
        }
        let neighbours: BTreeMap<u32, _> =
            self.routing.neighbours().into_iter().map(|neighbour| (neighbour.link.0, neighbour)).collect();
        let view = |peer: &crate::control::peer::Peer| PeerView {
            idx: peer.idx,
            key: peer.key,
            router: peer.router,
            name: self.name_of(&peer.key),
            kind: peer.kind,
            prefixes: match &peer.stock {
                Some(stock) => stock.prefixes.clone(),
                None => prefixes.get(&peer.key).cloned().unwrap_or_default(),
            },
            broker: self.brokers.iter().any(|broker| broker.key == peer.key)
                || self.membership.is_broker(&peer.key, wall),
            exit: self.membership.is_exit(&peer.key, wall),
            connected: peer.connected(),
            path: peer.path.filter(|_| peer.connected()),
            through: match peer.path {
                Some(Path::Through(via)) if peer.connected() => Some(self.name_of_peer(via)),
                _ => None,
            },
            neighbour: peer.meta.link,
            cost: neighbours.get(&peer.idx.0).map(|neighbour| neighbour.cost),
            rtt: neighbours.get(&peer.idx.0).and_then(|neighbour| neighbour.rtt),
            handshake_age: peer.current.as_ref().map(|keys| now.since(keys.born)),
            heard_age: peer.heard.map(|heard| now.since(heard)),
            endpoints: peer.known.clone(),
            traffic: peer.counters.read(),
        };
        self.peers.iter().map(view).collect()
    }

    fn route_views(&self) -> Vec<RouteView> {
        let routes = self.routing.routes();
        let view = |route: ln6_routing::RouteView| {
            let via = route.link.map(|link| PeerIdx(link.0));
            Some(RouteView {
                to: prefix_of(route.dst)?,
                from: prefix_of(route.src)?,
                router: route.router,
                owner: self.name_of_router(&route.router),
                via,
                via_name: via.map(|via| self.name_of_peer(via)).unwrap_or_default(),
                metric: route.metric,
                seqno: route.seqno,
                selected: route.selected,
                feasible: route.feasible,
                refused: route.refused.unwrap_or_default(),
            })
        };
        routes.into_iter().filter_map(view).collect()
    }
}
