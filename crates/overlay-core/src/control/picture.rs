//! Control's view for tools: copies, nothing that could change it.

use crate::control::Control;
use crate::control::babel::prefix_of;
use crate::control::membership::CertificateStatus;
use crate::control::message::ItemKind;
use crate::control::view::{CertificateView, Me, PeerView, RouteView, View};
use crate::{Path, PeerIdx};
use ln6_crypto::{Certificate, Signed};
use ln6_routing::Verdict;
use ln6_types::gathered;
use ln6_types::{Instant, PublicKey, RouterId, UnixTime};
use std::collections::{BTreeMap, BTreeSet};

impl Control {
    /// Everything at `now` but the certificates: they are many, and seldom asked for.
    pub fn view(&self, now: Instant) -> View {
        View {
            me: self.me(now),
            peers: self.peer_views(now),
            routes: self.route_views(now),
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
            ("guest_gossip", self.counters.guest_gossip),
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
        let mut exits: Vec<String> = exits.map(|(_, router)| self.name_of_router(now, router)).collect();
        exits.sort_unstable();
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
            seen_at: gathered::<BTreeSet<_>, _>(self.seen.values().copied()).into_iter().collect(),
        }
    }

    /// The name that certificates or configuration give a key; empty if none.
    pub fn name_of(&self, now: Instant, key: &PublicKey) -> String {
        let stock =
            self.peers.by_key(key).and_then(|idx| self.peers.get(idx)).and_then(|peer| peer.stock.as_ref());
        match stock {
            Some(stock) => stock.name.clone(),
            None => self.membership.name(key, self.wall(now)).unwrap_or_default().to_owned(),
        }
    }

    fn name_of_router(&self, now: Instant, router: &RouterId) -> String {
        if *router == self.router {
            return self.name.clone();
        }
        let key = self.peers.by_router(router).and_then(|idx| self.peers.get(idx)).map(|peer| peer.key);
        key.map(|key| self.name_of(now, &key)).unwrap_or_default()
    }

    fn name_of_peer(&self, now: Instant, idx: PeerIdx) -> String {
        self.peers.get(idx).map(|peer| self.name_of(now, &peer.key)).unwrap_or_default()
    }

    fn peer_views(&self, now: Instant) -> Vec<PeerView> {
        let wall = self.wall(now);
        let mut prefixes: BTreeMap<PublicKey, Vec<_>> = BTreeMap::new();
        for (prefix, key) in self.membership.owners(wall) {
            prefixes.entry(key).or_default().push(prefix);
        }
        let neighbours: BTreeMap<u32, _> =
            gathered(self.routing.view(now).neighbours.into_iter().map(|seen| (seen.link.0, seen)));
        let view = |peer: &crate::control::peer::Peer| PeerView {
            idx: peer.idx,
            key: peer.key,
            router: peer.router,
            name: self.name_of(now, &peer.key),
            kind: peer.kind,
            prefixes: match &peer.stock {
                Some(stock) => stock.prefixes.clone(),
                None => prefixes.get(&peer.key).cloned().unwrap_or_default(),
            },
            broker: self.brokers.iter().any(|broker| broker.key == peer.key)
                || self.is_broker_key(&peer.key, wall),
            exit: self.is_exit_key(&peer.key, wall),
            connected: peer.connected(),
            suite: peer.current.as_ref().filter(|_| peer.connected()).map(|keys| keys.suite()),
            path: peer.path.filter(|_| peer.connected()),
            mtu: peer.connected().then(|| self.mtu_of(peer)),
            whole: peer.connected() && peer.sizing.is_whole(),
            through: match peer.path {
                Some(Path::Through(via)) if peer.connected() => Some(self.name_of_peer(now, via)),
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

    fn route_views(&self, now: Instant) -> Vec<RouteView> {
        let view = |route: ln6_routing::RouteView| {
            let via = route.via.map(|(link, _)| PeerIdx(link.0));
            Some(RouteView {
                to: prefix_of(route.key.dst())?,
                from: prefix_of(route.key.src())?,
                router: route.router,
                owner: self.name_of_router(now, &route.router),
                via,
                via_name: via.map(|via| self.name_of_peer(now, via)).unwrap_or_default(),
                metric: route.metric,
                seqno: route.seqno,
                selected: route.selected,
                feasible: route.feasible,
                refused: match route.verdict {
                    Verdict::Accept => "",
                    Verdict::Hold => "unknown-router",
                    Verdict::Refuse(why) => why,
                },
            })
        };
        self.routing.view(now).routes.into_iter().filter_map(view).collect()
    }
}

impl Control {
    /// What certificates say at `now`, by name and serial.
    pub fn certificate_views(&self, now: Instant) -> Vec<CertificateView> {
        let wall = self.wall(now);
        let certificates = self.membership.items().range(0, u64::MAX);
        let decoded = certificates
            .filter(|(_, item)| item.kind == ItemKind::Certificate)
            .filter_map(|(_, item)| Signed::<Certificate>::decode(&item.bytes).ok());
        let mut views: Vec<CertificateView> =
            decoded.map(|certificate| self.certificate_view(certificate.value(), wall)).collect();
        views.sort_unstable_by(|a, b| (&a.name, a.serial).cmp(&(&b.name, b.serial)));
        views
    }

    fn certificate_view(&self, certificate: &Certificate, wall: UnixTime) -> CertificateView {
        let in_force = self.membership.live_all(&certificate.key, wall).any(|live| live == certificate);
        let newer = self
            .membership
            .live_all(&certificate.key, wall)
            .any(|live| live.issuer == certificate.issuer && live.serial > certificate.serial);
        let status = match self.membership.status(&certificate.key, wall) {
            CertificateStatus::Live if in_force => "live",
            CertificateStatus::InGrace if in_force => "in_grace",
            _ if newer => "superseded",
            CertificateStatus::Suspended => "suspended",
            CertificateStatus::Revoked => "revoked",
            CertificateStatus::NotYet => "not_yet",
            _ => "expired",
        };
        let roles = certificate.roles;
        let named = [(roles.broker, "broker"), (roles.exit, "exit"), (roles.transit, "transit")];
        CertificateView {
            name: certificate.name.clone(),
            holder: certificate.holder.clone(),
            key: certificate.key,
            router: certificate.router_id,
            serial: certificate.serial,
            originate: certificate.originate.clone(),
            delegate: certificate.delegate.clone(),
            roles: named.into_iter().filter(|(held, _)| *held).map(|(_, name)| name).collect(),
            status,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            grace_until: certificate.grace_until,
        }
    }
}
