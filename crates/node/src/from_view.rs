//! Control's picture of itself as the API shows it.

use crate::schema::{CertRow, PathKind, PeerRow, RouteRow, SessionRow, StandingInfo, Time};
use ln6_overlay_core::Path;
use ln6_overlay_core::control::view::{CertificateView, PeerView, RouteView, Standing, View};
use ln6_overlay_core::forwarder::mail::PeerKind;
use ln6_types::UnixTime;
use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Duration;

/// Babel's metric for what cannot be reached (RFC 8966, section 4.6.9).
const UNREACHABLE: u16 = u16::MAX;

/// A neighbour says something every few seconds. One that has said nothing for so long may be gone, though its session
/// lasts for minutes.
const SILENT: Duration = Duration::from_secs(22);
/// How long after a handshake Babel may need to find its neighbour.
const SETTLING: Duration = Duration::from_secs(15);

/// Whether a peer that should be heard all the time was not heard lately, by Babel or by the session.
pub(crate) fn is_silent(peer: &PeerView) -> bool {
    let down = peer.cost.is_none_or(|cost| cost == UNREACHABLE)
        && peer.handshake_age.is_some_and(|age| age >= SETTLING);
    peer.connected && peer.neighbour && (down || peer.heard_age.is_some_and(|age| age >= SILENT))
}

/// Peers: connected ones first, then by name and key. Guests that are gone are left out.
pub fn peers(view: &View, now: UnixTime) -> Vec<PeerRow> {
    let known =
        |peer: &&PeerView| peer.kind != PeerKind::Guest || peer.connected || !peer.endpoints.is_empty();
    let mut rows: Vec<_> = view.peers.iter().filter(known).map(|peer| peer_row(peer, now)).collect();
    rows.sort_unstable_by(|a, b| {
        let key = |row: &PeerRow| (Reverse(row.connected), row.name.is_empty());
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name)).then_with(|| a.key.cmp(&b.key))
    });
    rows
}

fn peer_row(peer: &PeerView, now: UnixTime) -> PeerRow {
    let roles = [("broker", peer.broker), ("exit", peer.exit)];
    let (path, endpoint) = way(peer);
    PeerRow {
        name: peer.name.clone(),
        key: peer.key,
        router_id: peer.router,
        kind: kind(peer.kind).to_owned(),
        roles: roles.iter().filter(|(_, held)| *held).map(|(word, _)| (*word).to_owned()).collect(),
        prefixes: peer.prefixes.clone(),
        connected: peer.connected,
        silent: is_silent(peer),
        path,
        endpoint,
        through: peer.through.clone(),
        mtu: peer.mtu,
        neighbour: peer.neighbour,
        rtt_seconds: peer.rtt.map(|rtt| rtt.as_secs_f64()),
        last_handshake: peer.handshake_age.map(|age| before(now, age)),
        last_heard: peer.heard_age.map(|age| before(now, age)),
        rx_bytes: peer.traffic.rx_bytes,
        tx_bytes: peer.traffic.tx_bytes,
        rx_packets: peer.traffic.rx_packets,
        tx_packets: peer.traffic.tx_packets,
        endpoints: peer.endpoints.clone(),
    }
}

pub(crate) const fn kind(kind: PeerKind) -> &'static str {
    match kind {
        PeerKind::Stock => "stock",
        PeerKind::Guest => "guest",
        PeerKind::Node => "node",
    }
}

pub(crate) fn way(peer: &PeerView) -> (Option<PathKind>, Option<SocketAddr>) {
    match peer.path {
        Some(Path::Udp(endpoint)) => (Some(PathKind::Direct), Some(endpoint)),
        Some(Path::Through(_)) => (Some(PathKind::Relayed), None),
        None => (None, None),
    }
}

fn before(now: UnixTime, age: Duration) -> Time {
    Time::from_secs(now.as_secs().saturating_sub(age.as_secs()))
}

/// Sessions that are up, by name and key.
pub fn sessions(view: &View, now: UnixTime) -> Vec<SessionRow> {
    let up = view.peers.iter().filter(|peer| peer.connected);
    let mut rows: Vec<_> = up.filter_map(|peer| session_row(peer, now)).collect();
    rows.sort_unstable_by(|a, b| a.peer.cmp(&b.peer).then_with(|| a.key.cmp(&b.key)));
    rows
}

fn session_row(peer: &PeerView, now: UnixTime) -> Option<SessionRow> {
    let (path, endpoint) = way(peer);
    Some(SessionRow {
        peer: peer.name.clone(),
        key: peer.key,
        path: path?,
        suite: peer.suite.map(|suite| suite.name().to_owned()),
        endpoint,
        through: peer.through.clone(),
        mtu: peer.mtu,
        whole: peer.whole,
        last_handshake: peer.handshake_age.map(|age| before(now, age)),
        last_heard: peer.heard_age.map(|age| before(now, age)),
        cost: peer.cost,
        rtt_seconds: peer.rtt.map(|rtt| rtt.as_secs_f64()),
        rx_bytes: peer.traffic.rx_bytes,
        tx_bytes: peer.traffic.tx_bytes,
    })
}

/// Candidate routes by destination and source; the selected one first, refused ones last.
pub fn routes(view: &View) -> Vec<RouteRow> {
    let mut rows: Vec<_> = view.routes.iter().map(route_row).collect();
    rows.sort_unstable_by_key(|row| {
        let metric = row.metric.unwrap_or(UNREACHABLE);
        (row.to, row.from, Reverse(row.selected), row.refused.is_some(), metric, row.router_id)
    });
    rows
}

fn route_row(route: &RouteView) -> RouteRow {
    RouteRow {
        to: route.to,
        from: route.from,
        owner: route.owner.clone(),
        router_id: route.router,
        via: route.via.map(|_| route.via_name.clone()),
        metric: (route.metric != UNREACHABLE).then_some(route.metric),
        seqno: route.seqno,
        selected: route.selected,
        feasible: route.feasible,
        refused: (!route.refused.is_empty()).then(|| route.refused.replace('-', "_")),
    }
}

/// Certificates by name, the one in force first.
pub fn certs(certificates: &[CertificateView]) -> Vec<CertRow> {
    let mut rows: Vec<_> = certificates.iter().map(cert_row).collect();
    rows.sort_unstable_by(|a, b| {
        a.name.cmp(&b.name).then_with(|| a.key.cmp(&b.key)).then_with(|| b.serial.cmp(&a.serial))
    });
    rows
}

fn cert_row(certificate: &CertificateView) -> CertRow {
    CertRow {
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
    }
}

/// Where the node stands; the validity is filled in by whoever knows it.
pub fn standing(standing: &Standing) -> StandingInfo {
    let (state, place, refusal) = match standing {
        Standing::Alone => ("alone", None, None),
        Standing::Asking => ("asking", None, None),
        Standing::Waiting { place } => ("waiting", Some(*place), None),
        Standing::Refused { code, text } => ("refused", None, Some((code.clone(), text.clone()))),
        Standing::Member => ("member", None, None),
        Standing::InGrace => ("in_grace", None, None),
        Standing::Lost { why } => (*why, None, None),
    };
    let (code, text) = refusal.unzip();
    StandingInfo { state: state.to_owned(), place, code, text, ..StandingInfo::default() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ln6_crypto::seal::Suite;
    use ln6_overlay_core::PeerIdx;
    use ln6_overlay_core::control::view::Me;
    use ln6_overlay_core::forwarder::stats::PeerTraffic;
    use ln6_types::{Fingerprint, Prefix, PublicKey, RouterId};

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    pub(crate) fn peer(name: &str, connected: bool, path: Option<Path>) -> PeerView {
        PeerView {
            idx: PeerIdx(1),
            key: PublicKey([1; 32]),
            router: RouterId([1; 8]),
            name: name.into(),
            kind: PeerKind::Node,
            prefixes: Vec::new(),
            broker: true,
            exit: false,
            connected,
            suite: connected.then_some(Suite::Aes256Gcm),
            path,
            mtu: connected.then_some(1420),
            whole: connected,
            through: None,
            neighbour: false,
            cost: None,
            rtt: Some(Duration::from_millis(38)),
            handshake_age: Some(Duration::from_secs(60)),
            heard_age: None,
            endpoints: Vec::new(),
            traffic: PeerTraffic { rx_bytes: 7, ..PeerTraffic::default() },
        }
    }

    pub(crate) fn view(peers: Vec<PeerView>, routes: Vec<RouteView>) -> View {
        View {
            me: Me {
                name: "me".into(),
                key: PublicKey([9; 32]),
                router: RouterId([9; 8]),
                network: Fingerprint([9; 32]),
                address: "fd09::9".parse().expect("address"),
                standing: Standing::Member,
                prefixes: Vec::new(),
                pools: Vec::new(),
                exit: false,
                exits: Vec::new(),
                validity: None,
                endpoints: Vec::new(),
                seen_at: Vec::new(),
            },
            peers,
            routes,
            refusals: Vec::new(),
            handshakes: (0, 0, 0),
        }
    }

    #[test]
    fn connected_peers_come_first_and_the_nameless_last() {
        let udp = Some(Path::Udp("203.0.113.5:6695".parse().expect("address")));
        let all =
            vec![peer("", false, None), peer("b", false, None), peer("z", true, udp), peer("a", false, None)];
        let rows = peers(&view(all, Vec::new()), NOW);
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["z", "a", "b", ""]);
        assert_eq!((rows[0].path, rows[1].path), (Some(PathKind::Direct), None));
        assert_eq!(rows[0].last_handshake, Some(Time::from_secs(1_789_999_940)));
        assert_eq!((rows[0].roles.as_slice(), rows[0].rx_bytes), (["broker".to_owned()].as_slice(), 7));
    }

    #[test]
    fn a_neighbour_that_babel_or_the_session_has_lost_is_silent() {
        let well = PeerView { neighbour: true, cost: Some(96), ..peer("vm", true, None) };
        assert!(!is_silent(&well));
        assert!(is_silent(&PeerView { cost: Some(UNREACHABLE), ..well.clone() }));
        let fresh = Some(Duration::from_secs(2));
        assert!(!is_silent(&PeerView { cost: None, handshake_age: fresh, ..well.clone() }));
        assert!(is_silent(&PeerView { heard_age: Some(SILENT), ..well.clone() }));
        assert!(
            !is_silent(&PeerView { heard_age: Some(SILENT), neighbour: false, ..well }),
            "it may have nothing to say"
        );
    }

    #[test]
    fn only_what_is_up_is_a_session() {
        let all = vec![peer("a", true, Some(Path::Through(PeerIdx(2)))), peer("b", false, None)];
        let rows = sessions(&view(all, Vec::new()), NOW);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].path, rows[0].endpoint), (PathKind::Relayed, None));
    }

    #[test]
    fn the_selected_route_stands_before_the_refused_one() {
        let route = RouteView {
            to: "2001:db8::/48".parse().expect("prefix"),
            from: Prefix::ALL,
            router: RouterId([2; 8]),
            owner: "a".into(),
            via: Some(PeerIdx(1)),
            via_name: "vm".into(),
            metric: 96,
            seqno: 1,
            selected: true,
            feasible: true,
            refused: "",
        };
        let forged =
            RouteView { selected: false, refused: "not-the-holder", metric: UNREACHABLE, ..route.clone() };
        let rows = routes(&view(Vec::new(), vec![forged, route]));
        assert_eq!((rows[0].selected, rows[0].refused.as_deref(), rows[0].metric), (true, None, Some(96)));
        assert_eq!((rows[1].refused.as_deref(), rows[1].metric), (Some("not_the_holder"), None));
    }

    #[test]
    fn each_standing_has_its_word() {
        assert_eq!(standing(&Standing::Waiting { place: 2 }).place, Some(2));
        assert_eq!(standing(&Standing::Lost { why: "revoked" }).state, "revoked");
        let refused = standing(&Standing::Refused { code: "name_taken".into(), text: "taken".into() });
        assert_eq!((refused.state.as_str(), refused.code.as_deref()), ("refused", Some("name_taken")));
    }
}
