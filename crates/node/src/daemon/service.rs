//! The daemon's side of the API: what is asked is answered from control's picture, or taken to the registry.

use crate::api::{ApiRequest, Ask, Prefixes, Reply};
#[cfg(feature = "broker")]
use crate::api::{Caller, RegistryRequest};
use crate::daemon::door::Call;
use crate::daemon::{Daemon, Waiting};
use crate::error::{ApiError, CliError, Trouble, stable_code};
use crate::from_view;
use crate::metrics::{self, Measured};
#[cfg(not(feature = "broker"))]
use crate::schema::ActionReply;
use crate::schema::{
    BrokerSummary, CertList, Count, ExitInfo, LanRow, NodeInfo, PathKind, PeerList, PeerSummary, PingReply,
    PrefixList, PrefixRow, ReloadReply, RouteList, SessionList, StandingInfo, StatusReport, Time,
};
use ln6_overlay_core::Path;
use ln6_overlay_core::control::Command;
use ln6_overlay_core::control::view::{PeerView, View};
use ln6_overlay_core::forwarder::drop::DropReason;
use ln6_overlay_core::forwarder::mail::PeerKind;
use ln6_overlay_core::forwarder::stats::Figure;
use ln6_types::{Instant, Prefix, PublicKey};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

type Answer = oneshot::Sender<Result<Reply, ApiError>>;

impl Daemon {
    /// Answers a request, now or when the registry has.
    pub(super) fn handle_call(&mut self, now: Instant, call: Call) {
        let (request, answer) = (call.request, call.answer);
        if matches!(request, ApiRequest::Status | ApiRequest::Metrics | ApiRequest::Doctor) {
            self.look_out(now);
        }
        match request {
            ApiRequest::Ping(ask) => self.ping(now, &ask, answer),
            ApiRequest::Status => self.status(now, answer),
            ApiRequest::Metrics => self.metrics(now, answer),
            ApiRequest::Events(asked) => self.listen(now, asked, answer),
            ApiRequest::Prefixes(which) => self.prefixes(now, &which, answer),
            #[cfg(feature = "broker")]
            ApiRequest::Registry(request) => self.ask_registry(call.who, request, answer),
            #[cfg(feature = "broker")]
            ApiRequest::KeyList(request) => match &self.broker {
                Some(broker) => super::keylist::ask(broker.keylist(), request, answer),
                None => drop(answer.send(Err(CliError::new(Trouble::NotABroker, "this node is no broker")))),
            },
            // Whoever asked may have gone.
            other => drop(answer.send(self.at_once(now, other))),
        }
    }

    fn at_once(&mut self, now: Instant, request: ApiRequest) -> Result<Reply, ApiError> {
        let wall = self.control.wall(now);
        Ok(match request {
            ApiRequest::Peers => {
                let view = self.control.view(now);
                Reply::of(PeerList { peers: from_view::peers(&view, wall) })
            }
            ApiRequest::Sessions => {
                let view = self.control.view(now);
                Reply::of(SessionList { sessions: from_view::sessions(&view, wall) })
            }
            ApiRequest::Routes => Reply::of(RouteList { routes: from_view::routes(&self.control.view(now)) }),
            ApiRequest::Certs => {
                Reply::of(CertList { certs: from_view::certs(&self.control.certificate_views(now)) })
            }
            ApiRequest::Doctor => Reply::of(self.doctor()),
            #[cfg(feature = "broker")]
            ApiRequest::Leave => Reply::of(self.give_back(now)?),
            #[cfg(feature = "broker")]
            ApiRequest::Wish => Reply::of(self.wish_report(now)),
            #[cfg(feature = "broker")]
            ApiRequest::Size(sizing) => Reply::of(self.ask_for_size(now, sizing.size)?),
            #[cfg(feature = "broker")]
            ApiRequest::Join(_) => {
                return Err(CliError::new(
                    Trouble::AlreadyMember,
                    "this node does not wait for an invitation: it has a network, or has just left one",
                )
                .hint("leave first; a daemon that is started by 'ln6d run --wait' waits for the next one"));
            }
            #[cfg(not(feature = "broker"))]
            ApiRequest::Leave => {
                let prefixes = self.control.view(now).me.prefixes;
                self.control
                    .handle_command(now, Command::Leave)
                    .map_err(|refusal| CliError::refused("no_delegation", refusal.to_string(), ""))?;
                Reply::of(ActionReply { done: "left".to_owned(), prefixes, ..ActionReply::default() })
            }
            ApiRequest::Wireguard(leaf) => self.register_leaf(now, leaf)?,
            ApiRequest::WireguardRemove(named) => self.remove_leaf(now, named.name)?,
            #[cfg(feature = "broker")]
            ApiRequest::Traffic(which) => Reply::of(self.traffic_report(now, which.peer)?),
            #[cfg(feature = "broker")]
            ApiRequest::Graph => Reply::of(super::graph::graph(&self.control.view(now))),
            ApiRequest::Reload => Reply::of(ReloadReply { changes: self.reload()? }),
            #[cfg(feature = "broker")]
            ApiRequest::Offloads => Reply::of(self.offloads()),
            #[cfg(feature = "broker")]
            ApiRequest::Offload(switch) => Reply::of(self.switch_offload(&switch.name, switch.on)?),
            _ => return Err(CliError::new(Trouble::BadRequest, "this request cannot be answered here")),
        })
    }

    fn ping(&mut self, now: Instant, ask: &Ask, answer: Answer) {
        let view = self.control.view(now);
        let peer = match find_peer(&view, &ask.to) {
            Ok(peer) => peer,
            Err(error) => return drop(answer.send(Err(error))),
        };
        let token = self.control.draw_token();
        let (reply, replied) = oneshot::channel();
        if let Err(refusal) = self.control.handle_command(now, Command::Ping { to: peer.key, token }) {
            drop(answer.send(Err(CliError::new(Trouble::NotFound, refusal.to_string()))));
            return;
        }
        self.pings.insert(token, Waiting { since: now, answer: reply });
        let (name, address) = (name_of(peer), self.control.node_address_of(&peer.router));
        let through = peer.through.clone();
        tokio::task::spawn_local(async move {
            let waited = tokio::time::timeout(std::time::Duration::from_secs(5), replied).await;
            let result = match waited {
                Ok(Ok((rtt, path))) => Ok(Reply::of(PingReply {
                    name,
                    address,
                    rtt_seconds: rtt.as_secs_f64(),
                    path: path.map(|path| match path {
                        Path::Udp(_) => PathKind::Direct,
                        Path::Through(_) => PathKind::Relayed,
                    }),
                    endpoint: match path {
                        Some(Path::Udp(endpoint)) => Some(endpoint),
                        _ => None,
                    },
                    through,
                })),
                _ => Err(CliError::new(Trouble::NoAnswer, format!("{name} does not answer"))),
            };
            drop(answer.send(result));
        });
    }

    fn status(&mut self, now: Instant, answer: Answer) {
        let report = self.report(now);
        self.with_broker_summary(answer, move |summary| {
            let mut report = report;
            report.broker = summary;
            Reply::of(report)
        });
    }

    fn report(&self, now: Instant) -> StatusReport {
        let view = self.control.view(now);
        let wall = self.control.wall(now);
        let me = &view.me;
        StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time: Time(wall),
            node: NodeInfo {
                name: me.name.clone(),
                key: me.key,
                router_id: me.router,
                network: me.network,
                address: me.address,
                interface: self.node.interface.clone(),
                listen: self.node.port,
                started: Time(self.node.started),
            },
            standing: StandingInfo {
                not_after: me.validity.map(|(not_after, _)| Time(not_after)),
                grace_until: me.validity.map(|(_, grace_until)| Time(grace_until)),
                ..from_view::standing(&me.standing)
            },
            problems: self.news.problems(),
            prefixes: me.prefixes.clone(),
            lans: self.lan_rows(),
            endpoints: me.endpoints.clone(),
            seen_at: me.seen_at.clone(),
            peers: summary(&view),
            exits: ExitInfo { here: me.exit, reachable: me.exits.clone() },
            broker: None,
            refusals: self.refusals(&view),
            drops: self.drops(),
        }
    }

    fn lan_rows(&self) -> Vec<LanRow> {
        let plans = self.control.plan().map(|plan| plan.lans.as_slice()).unwrap_or_default();
        let row = |interface: &str, lan: &ln6_overlay_core::host_plan::LanPrefix, deprecated| LanRow {
            interface: interface.to_owned(),
            prefix: lan.prefix,
            address: lan.address,
            deprecated,
        };
        plans
            .iter()
            .flat_map(|plan| {
                let current = plan.prefixes.iter().map(|lan| row(&plan.interface, lan, false));
                current.chain(plan.deprecated.iter().map(|lan| row(&plan.interface, lan, true)))
            })
            .collect()
    }

    /// Refused items and messages, and refused routes by reason.
    fn refusals(&self, view: &View) -> Vec<Count> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (reason, count) in &view.refusals {
            *counts.entry(in_snake_case(reason)).or_default() += count;
        }
        for route in view.routes.iter().filter(|route| !route.refused.is_empty()) {
            *counts.entry(in_snake_case(&format!("route_{}", route.refused))).or_default() += 1;
        }
        counts.into_iter().map(|(reason, count)| Count { reason, count }).collect()
    }

    fn drops(&self) -> Vec<Count> {
        let total = |reason: DropReason| self.node.stats.iter().map(|stats| stats.drops(reason)).sum();
        let all = DropReason::ALL
            .iter()
            .map(|reason| Count { reason: reason.name().to_owned(), count: total(*reason) });
        let at_socket = self.workers.counters().iter().map(|worker| worker.udp.dropped()).sum();
        let all = all.chain([Count { reason: "at_socket".to_owned(), count: at_socket }]);
        all.filter(|count| count.count > 0).collect()
    }

    fn metrics(&mut self, now: Instant, answer: Answer) {
        let report = self.report(now);
        let view = self.control.view(now);
        let peers = PeerList { peers: from_view::peers(&view, self.control.wall(now)) };
        let in_use = view.routes.iter().filter(|route| route.selected).count() as u64;
        let mut measured = Measured {
            status: report,
            peers,
            handshakes: view.handshakes,
            routes: (in_use, view.routes.len() as u64 - in_use),
            figures: self.figures(),
            sockets: self.sockets(),
            offloads: self.offloads_used(),
        };
        self.with_broker_summary(answer, move |summary| {
            measured.status.broker = summary;
            Reply::Text(metrics::render(&measured))
        });
    }

    fn figures(&self) -> Vec<Count> {
        let total = |figure: Figure| self.node.stats.iter().map(|stats| stats.figure(figure)).sum();
        Figure::ALL
            .iter()
            .map(|figure| Count { reason: figure.name().to_owned(), count: total(*figure) })
            .chain([self.priority_exhausted()])
            .collect()
    }

    /// What went wrong at the sockets, all of them together.
    fn sockets(&self) -> Vec<Count> {
        let mut sum: Vec<Count> = Vec::new();
        for (event, count) in self.workers.counters().iter().flat_map(|worker| worker.udp.all()) {
            match sum.iter_mut().find(|known| known.reason == event) {
                Some(known) => known.count += count,
                None => sum.push(Count { reason: event.to_owned(), count }),
            }
        }
        sum
    }

    /// What certificates say of who holds what, for nodes that are no broker.
    fn certified_prefixes(&self, now: Instant) -> Vec<PrefixRow> {
        let certificates = self.control.certificate_views(now);
        let mut rows: Vec<PrefixRow> = Vec::new();
        for certificate in certificates.iter().filter(|c| c.status != "superseded" && c.status != "expired") {
            for prefix in &certificate.originate {
                let known =
                    rows.iter_mut().find(|row| row.prefix == *prefix && row.holder == certificate.holder);
                match known {
                    Some(row) => row.keys.push(certificate.key),
                    None => rows.push(PrefixRow {
                        holder: certificate.holder.clone(),
                        prefix: *prefix,
                        state: state_word(certificate.status).to_owned(),
                        keys: vec![certificate.key],
                        since: Some(Time(certificate.not_before)),
                        until: Some(Time(certificate.grace_until)),
                        id: None,
                        grows_to: None,
                        named_until: Some(Time(certificate.grace_until)),
                    }),
                }
            }
        }
        rows.sort_unstable_by_key(|row| row.prefix);
        rows
    }

    #[cfg(not(feature = "broker"))]
    fn prefixes(&mut self, now: Instant, which: &Prefixes, answer: Answer) {
        drop(answer.send(Ok(Reply::of(page(self.certified_prefixes(now), which)))));
    }

    #[cfg(not(feature = "broker"))]
    fn with_broker_summary(
        &self,
        answer: Answer,
        make: impl FnOnce(Option<BrokerSummary>) -> Reply + Send + 'static,
    ) {
        drop(answer.send(Ok(make(None))));
    }

    #[cfg(feature = "broker")]
    fn prefixes(&mut self, now: Instant, which: &Prefixes, answer: Answer) {
        match &self.broker {
            Some(broker) => {
                let context = broker.context(self.control.wall(now), Caller::Machine, self.link_parts());
                super::registry_calls::prefixes(&context, which.clone(), answer);
            }
            None => drop(answer.send(Ok(Reply::of(page(self.certified_prefixes(now), which))))),
        }
    }

    #[cfg(feature = "broker")]
    fn with_broker_summary(
        &self,
        answer: Answer,
        make: impl FnOnce(Option<BrokerSummary>) -> Reply + Send + 'static,
    ) {
        match &self.broker {
            Some(broker) => {
                let context = broker.context(ln6_host::clock::wall(), Caller::Machine, self.link_parts());
                super::registry_calls::summary(&context, answer, make);
            }
            None => drop(answer.send(Ok(make(None)))),
        }
    }

    #[cfg(feature = "broker")]
    fn link_parts(&self) -> super::registry_calls::LinkParts {
        super::registry_calls::LinkParts {
            network: self.node.network,
            broker: self.control.key(),
            endpoints: self.node.public_endpoints(),
        }
    }

    #[cfg(feature = "broker")]
    fn ask_registry(&mut self, who: Caller, request: RegistryRequest, answer: Answer) {
        match &self.broker {
            Some(broker) => {
                let context = broker.context(ln6_host::clock::wall(), who, self.link_parts());
                super::registry_calls::ask(context, request, answer);
            }
            None => drop(answer.send(Err(CliError::new(Trouble::NotABroker, "this node is no broker")))),
        }
    }
}

/// Those rows that were asked for, in pages.
pub(super) fn page(mut rows: Vec<PrefixRow>, which: &Prefixes) -> PrefixList {
    if let Some(text) = &which.text {
        let text = text.to_lowercase();
        rows.retain(|row| row.holder.contains(&text) || row.prefix.to_string().contains(&text));
    }
    rows.retain(|row| which.state.as_ref().is_none_or(|state| row.state == *state));
    rows.retain(|row| which.pool.is_none_or(|pool| pool.covers(row.prefix)));
    let total = rows.len() as u64;
    let first = usize::try_from(which.offset).unwrap_or(usize::MAX).min(rows.len());
    rows.drain(..first);
    rows.truncate(which.limit.map_or(usize::MAX, |limit| limit as usize));
    PrefixList { total, offset: which.offset, prefixes: rows }
}

/// Reasons are in snake case for whoever asks, whatever the crates they come from say.
fn in_snake_case(reason: &str) -> String {
    stable_code(reason.to_owned().into()).into_owned()
}

fn state_word(status: &str) -> &str {
    match status {
        "live" | "in_grace" => "active",
        other => other,
    }
}

fn name_of(peer: &PeerView) -> String {
    if peer.name.is_empty() { peer.key.to_string() } else { peer.name.clone() }
}

/// A node by name, key, address in the network, or an address or prefix that it holds: the longest prefix says whose
/// an address is.
fn find_peer<'v>(view: &'v View, to: &str) -> Result<&'v PeerView, CliError> {
    let me = &view.me;
    let known = || {
        CliError::new(Trouble::NotFound, format!("'{to}' is no node that is known here"))
            .hint("'ln6d peers' lists those that are")
    };
    let itself = |held: String| {
        CliError::new(Trouble::BadRequest, format!("{held} this node itself"))
            .hint("name another node: 'ln6d peers' lists them")
    };
    if let Ok(key) = to.parse::<PublicKey>() {
        if key == me.key {
            return Err(itself(format!("{to} is")));
        }
        return answers(view.peers.iter().find(|peer| peer.key == key).ok_or_else(known)?);
    }
    let Some(target) = target(to) else {
        if to == me.name {
            return Err(itself(format!("'{to}' is")));
        }
        let named = view.peers.iter().filter(|peer| peer.name == to);
        return answers(named.min_by_key(|peer| peer.kind != PeerKind::Node).ok_or_else(known)?);
    };
    let ula = ln6_types::NetworkUla::of(&me.network);
    let at = |address| target == Prefix::host(address);
    if at(me.address) {
        return Err(itself(format!("{to} is")));
    }
    if let Some(peer) = view.peers.iter().find(|peer| at(ula.node_address(&peer.router))) {
        return answers(peer);
    }
    let length = |prefixes: &[Prefix]| {
        prefixes.iter().filter(|prefix| prefix.covers(target)).map(|prefix| prefix.len()).max()
    };
    let holder = view.peers.iter().filter_map(|peer| Some((length(&peer.prefixes)?, peer)));
    let holder = holder.max_by_key(|(length, peer)| (*length, peer.connected));
    match (holder, length(&me.prefixes)) {
        (Some((theirs, peer)), ours) if ours.is_none_or(|ours| ours < theirs) => answers(peer),
        (_, Some(_)) => Err(itself(format!("{to} is held by"))),
        _ => Err(CliError::new(Trouble::NotFound, format!("nobody holds {to}"))
            .hint("'ln6d prefixes' lists who holds what")),
    }
}

/// An address or a prefix.
fn target(text: &str) -> Option<Prefix> {
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().ok();
    match text.split_once('/') {
        None => address(text).map(Prefix::host),
        Some((network, length)) => {
            let length = length.parse().ok().filter(|length| *length <= 128)?;
            address(network).map(|network| Prefix::new(network, length))
        }
    }
}

/// Whether it can answer at all.
fn answers(peer: &PeerView) -> Result<&PeerView, CliError> {
    if peer.kind != PeerKind::Stock {
        return Ok(peer);
    }
    let message = format!("{} is a stock WireGuard client, and those cannot answer this", name_of(peer));
    let address = peer
        .prefixes
        .first()
        .map_or("ADDRESS".to_owned(), |prefix| super::leaves::address_in(*prefix).to_string());
    Err(CliError::new(Trouble::BadRequest, message).hint(format!(
        "ping its address as any host's: 'ping {address}'; 'ln6d peers' says when it was heard"
    )))
}

fn summary(view: &View) -> PeerSummary {
    let count = |test: &dyn Fn(&PeerView) -> bool| view.peers.iter().filter(|peer| test(peer)).count() as u32;
    let direct = |peer: &PeerView| matches!(peer.path, Some(Path::Udp(_)));
    PeerSummary {
        known: count(&|peer| peer.kind != PeerKind::Guest || peer.connected),
        connected: count(&|peer| peer.connected),
        direct: count(&|peer| peer.connected && direct(peer)),
        relayed: count(&|peer| peer.connected && !direct(peer)),
        silent: count(&from_view::is_silent),
        neighbours: count(&|peer| peer.neighbour),
        stock: count(&|peer| peer.kind == PeerKind::Stock),
        rx_bytes: view.peers.iter().map(|peer| peer.traffic.rx_bytes).sum(),
        tx_bytes: view.peers.iter().map(|peer| peer.traffic.tx_bytes).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_view::tests::{peer, view};

    fn held(name: &str, key: u8, kind: PeerKind, prefix: &str) -> PeerView {
        PeerView {
            key: PublicKey([key; 32]),
            router: ln6_types::RouterId([key; 8]),
            kind,
            prefixes: vec![prefix.parse().expect("prefix")],
            ..peer(name, true, None)
        }
    }

    #[test]
    fn the_longest_prefix_says_whose_an_address_is() {
        let mut picture = view(
            vec![
                held("vm", 1, PeerKind::Node, "2001:db8:4800::/40"),
                held("quintana", 2, PeerKind::Node, "2001:db8:4812::/56"),
                held("phone", 3, PeerKind::Stock, "2001:db8:4813:ff::7/128"),
            ],
            Vec::new(),
        );
        picture.me.prefixes = vec!["2001:db8:4813::/48".parse().expect("prefix")];
        let found = |to: &str| {
            let found = find_peer(&picture, to);
            found.map(|peer| peer.name.clone()).map_err(|error| (error.code.into_owned(), error.message))
        };
        assert_eq!(found("2001:db8:4812::1"), Ok("quintana".into()));
        assert_eq!(found("2001:db8:4812::/64"), Ok("quintana".into()));
        assert_eq!(found("2001:db8:48ff::1"), Ok("vm".into()));
        assert_eq!(found("quintana"), Ok("quintana".into()));
        let error = |to: &str| found(to).expect_err("refused");
        assert_eq!(error("2001:db9::1"), ("not_found".into(), "nobody holds 2001:db9::1".into()));
        assert_eq!(error("nobody").0, "not_found");
        assert_eq!(error("2001:db8:4813::1").1, "2001:db8:4813::1 is held by this node itself");
        assert_eq!(error("me").1, "'me' is this node itself");
        assert!(error("phone").1.contains("stock"));
        assert!(error("2001:db8:4813:ff::7").1.contains("phone is a stock WireGuard client"));
    }
}
