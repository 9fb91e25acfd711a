//! Control's picture in the words of the API.

use crate::schema::{CertRow, PathKind, PeerRow, RouteRow, SessionRow, StandingInfo, Time};
use ln6_overlay_core::Path;
use ln6_overlay_core::control::view::{CertificateView, PeerView, RouteView, Standing, View};
use ln6_overlay_core::forwarder::mail::PeerKind;
use ln6_types::UnixTime;
use std::net::SocketAddr;
use std::time::Duration;

/// Metric that means unreachable (RFC 8966, section 2.4).
const UNREACHABLE: u16 = u16::MAX;

fn path_kind(path: Path) -> PathKind {
    match path {
        Path::Udp(_) => PathKind::Direct,
        Path::Through(_) => PathKind::Relayed,
    }
}

fn endpoint(path: Option<Path>) -> Option<SocketAddr> {
    match path {
        Some(Path::Udp(address)) => Some(address),
        _ => None,
    }
}

fn ago(wall: UnixTime, age: Option<Duration>) -> Option<Time> {
    age.map(|age| Time(wall - age))
}

/// Peers, connected first, then by name. Guests that are gone are left out.
pub fn peers(view: &View, wall: UnixTime) -> Vec<PeerRow> {
    let known = |peer: &&PeerView| peer.kind != PeerKind::Guest || peer.connected || !peer.endpoints.is_empty();
    let mut rows: Vec<PeerRow> = view.peers.iter().filter(known).map(|peer| peer_row(peer, wall)).collect();
    rows.sort_by(|a, b| b.connected.cmp(&a.connected).then_with(|| a.name.cmp(&b.name)));
    rows
}

fn peer_row(peer: &PeerView, wall: UnixTime) -> PeerRow {
    let roles = [(peer.broker, "broker"), (peer.exit, "exit")];
    PeerRow {
        name: peer.name.clone(),
        key: peer.key,
        router_id: peer.router,
        kind: match peer.kind {
            PeerKind::Stock => "stock",
            PeerKind::Guest => "guest",
            PeerKind::Node => "node",
        }
        .to_owned(),
        roles: roles.iter().filter(|(held, _)| *held).map(|(_, name)| (*name).to_owned()).collect(),
        prefixes: peer.prefixes.clone(),
        connected: peer.connected,
        path: peer.path.map(path_kind),
        endpoint: endpoint(peer.path),
        through: peer.through.clone(),
        neighbour: peer.neighbour,
        rtt_seconds: peer.rtt.map(|rtt| rtt.as_secs_f64()),
        last_handshake: ago(wall, peer.handshake_age),
        last_heard: ago(wall, peer.heard_age),
        rx_bytes: peer.traffic.rx_bytes,
        tx_bytes: peer.traffic.tx_bytes,
        rx_packets: peer.traffic.rx_packets,
        tx_packets: peer.traffic.tx_packets,
        endpoints: peer.endpoints.clone(),
    }
}

/// Sessions that are up, by name.
pub fn sessions(view: &View, wall: UnixTime) -> Vec<SessionRow> {
    let row = |peer: &PeerView| {
        let path = peer.path.filter(|_| peer.connected)?;
        Some(SessionRow {
            peer: peer.name.clone(),
            key: peer.key,
            path: path_kind(path),
            endpoint: endpoint(Some(path)),
            through: peer.through.clone(),
            last_handshake: ago(wall, peer.handshake_age),
            last_heard: ago(wall, peer.heard_age),
            cost: peer.cost,
            rtt_seconds: peer.rtt.map(|rtt| rtt.as_secs_f64()),
            rx_bytes: peer.traffic.rx_bytes,
            tx_bytes: peer.traffic.tx_bytes,
        })
    };
    let mut rows: Vec<SessionRow> = view.peers.iter().filter_map(row).collect();
    rows.sort_by(|a, b| a.peer.cmp(&b.peer));
    rows
}

/// Routes by destination, the selected one first.
pub fn routes(view: &View) -> Vec<RouteRow> {
    let row = |route: &RouteView| RouteRow {
        to: route.to,
        from: route.from,
        owner: route.owner.clone(),
        router_id: route.router,
        via: route.via.map(|_| route.via_name.clone()),
        metric: Some(route.metric).filter(|metric| *metric != UNREACHABLE),
        seqno: route.seqno,
        selected: route.selected,
        feasible: route.feasible,
        refused: (!route.refused.is_empty()).then(|| route.refused.to_owned()),
    };
    let mut rows: Vec<RouteRow> = view.routes.iter().map(row).collect();
    rows.sort_by(|a, b| (a.to, a.from, !a.selected, &a.owner).cmp(&(b.to, b.from, !b.selected, &b.owner)));
    rows
}

/// Certificates by name.
pub fn certs(view: &View) -> Vec<CertRow> {
    let row = |certificate: &CertificateView| CertRow {
        name: certificate.name.clone(),
        holder: certificate.holder.clone(),
        key: certificate.key,
        router_id: certificate.router,
        serial: certificate.serial,
        status: certificate.status.to_owned(),
        originate: certificate.originate.clone(),
        delegate: certificate.delegate.clone(),
        roles: certificate.roles.iter().map(|role| (*role).to_owned()).collect(),
        not_before: Time(certificate.not_before),
        not_after: Time(certificate.not_after),
        grace_until: Time(certificate.grace_until),
    };
    view.certificates.iter().map(row).collect()
}

/// Where a node stands; the validity is added by the caller.
pub fn standing(standing: &Standing) -> StandingInfo {
    let state = |word: &str| StandingInfo { state: word.to_owned(), ..StandingInfo::default() };
    match standing {
        Standing::Alone => state("alone"),
        Standing::Asking => state("asking"),
        Standing::Waiting { place } => StandingInfo { place: Some(*place), ..state("waiting") },
        Standing::Refused { code, text } => {
            StandingInfo { code: Some(code.clone()), text: Some(text.clone()), ..state("refused") }
        }
        Standing::Member => state("member"),
        Standing::InGrace => state("in_grace"),
        Standing::Lost { why } => state(why),
    }
}
