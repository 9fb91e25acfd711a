//! Prometheus metrics, made anew from what the API says whenever somebody asks. Time stamps, not ages; counters count
//! since the start.

use crate::schema::{Count, PathKind, PeerList, PeerRow, StatusReport};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

type Labels = Vec<(&'static str, String)>;
type Whole = Gauge<i64>;
type Real = Gauge<f64, AtomicU64>;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// As `GET /api/v1/status` says.
    pub status: StatusReport,
    /// As `GET /api/v1/peers` says.
    pub peers: PeerList,
    /// Handshakes: initiations sent, answered, refused.
    pub handshakes: (u64, u64, u64),
    /// Routes in use, and candidates not in use.
    pub routes: (u64, u64),
    /// What the forwarder counts, by name.
    pub figures: Vec<Count>,
    /// What went wrong at the UDP sockets, by name.
    pub sockets: Vec<Count>,
    /// 1 for each offload that is used, by name.
    pub offloads: Vec<Count>,
}

/// The text of `GET /metrics`.
pub fn render(measured: &Measured) -> String {
    let mut registry = Registry::default();
    let out = &mut registry;
    node(out, &measured.status);
    measured_peers(out, &measured.peers.peers);
    handshakes(out, measured.handshakes);
    routes(out, measured.routes);
    reasons(out, "ln6d_dropped_packets", "Packets dropped", "reason", &measured.status.drops);
    reasons(out, "ln6d_refusals", "Routes, items and messages refused", "reason", &measured.status.refusals);
    reasons(out, "ln6d_forwarder_events", "What the forwarder counts", "event", &measured.figures);
    reasons(out, "ln6d_socket_events", "What went wrong at the UDP sockets", "event", &measured.sockets);
    let used = Family::<Labels, Whole>::default();
    for offload in &measured.offloads {
        used.get_or_create(&vec![("offload", offload.reason.clone())]).set(i64::from(offload.count > 0));
    }
    out.register("ln6d_offload_used", "Whether an offload of the kernel is used", used);
    broker(out, &measured.status);
    process(out);
    let mut text = String::with_capacity(16 * 1024);
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

fn whole(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Whole::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}

fn node(registry: &mut Registry, status: &StatusReport) {
    let info = Family::<Labels, Whole>::default();
    let labels = vec![("version", status.version.clone()), ("arch", std::env::consts::ARCH.to_owned())];
    info.get_or_create(&labels).set(1);
    registry.register("ln6d_build_info", "What runs", info);
    whole(registry, "ln6d_start_time_seconds", "When the daemon started", status.node.started.as_secs());
    let member = matches!(status.standing.state.as_str(), "member" | "in_grace");
    whole(registry, "ln6d_member", "Whether the certificate is in force", u64::from(member));
    if let Some(end) = status.standing.not_after {
        whole(
            registry,
            "ln6d_certificate_not_after_timestamp_seconds",
            "When it should be renewed by",
            end.as_secs(),
        );
    }
    whole(registry, "ln6d_exits", "Exits that can be reached", status.exits.reachable.len() as u64);
}

fn peer_label(peer: &PeerRow) -> String {
    if peer.name.is_empty() { peer.key.to_string() } else { peer.name.clone() }
}

fn measured_peers(registry: &mut Registry, peers: &[PeerRow]) {
    let [up, direct, handshake] = [(); 3].map(|()| Family::<Labels, Whole>::default());
    let [rx_bytes, tx_bytes, rx_packets, tx_packets] = [(); 4].map(|()| Family::<Labels, Counter>::default());
    let (rtt, info) = (Family::<Labels, Real>::default(), Family::<Labels, Whole>::default());
    let mtu = Family::<Labels, Whole>::default();
    for peer in peers {
        let labels = vec![("peer", peer_label(peer))];
        up.get_or_create(&labels).set(i64::from(peer.connected));
        let straight = peer.connected && peer.path == Some(PathKind::Direct);
        direct.get_or_create(&labels).set(i64::from(straight));
        let family = match peer.endpoint {
            Some(endpoint) if endpoint.is_ipv6() => "ipv6",
            Some(_) => "ipv4",
            None => "none",
        };
        let more = vec![
            ("peer", peer_label(peer)),
            ("key", peer.key.to_string()),
            ("kind", peer.kind.clone()),
            ("endpoint_family", family.to_owned()),
        ];
        info.get_or_create(&more).set(1);
        rx_bytes.get_or_create(&labels).inc_by(peer.rx_bytes);
        tx_bytes.get_or_create(&labels).inc_by(peer.tx_bytes);
        rx_packets.get_or_create(&labels).inc_by(peer.rx_packets);
        tx_packets.get_or_create(&labels).inc_by(peer.tx_packets);
        if let Some(time) = peer.last_handshake {
            handshake.get_or_create(&labels).set(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        }
        if let Some(octets) = peer.mtu {
            mtu.get_or_create(&labels).set(octets.into());
        }
        if let Some(seconds) = peer.rtt_seconds {
            rtt.get_or_create(&labels).set(seconds);
        }
    }
    registry.register("ln6d_peer_info", "Who is known", info);
    registry.register("ln6d_peer_up", "Whether a session is up", up);
    registry.register("ln6d_peer_direct", "Whether it runs straight to the peer's address", direct);
    registry.register("ln6d_peer_receive_bytes", "Inner octets received", rx_bytes);
    registry.register("ln6d_peer_transmit_bytes", "Inner octets sent", tx_bytes);
    registry.register("ln6d_peer_receive_packets", "Inner packets received", rx_packets);
    registry.register("ln6d_peer_transmit_packets", "Inner packets sent", tx_packets);
    registry.register(
        "ln6d_peer_last_handshake_timestamp_seconds",
        "When the current keys were made",
        handshake,
    );
    registry.register("ln6d_peer_rtt_seconds", "Smoothed round trip", rtt);
    registry.register("ln6d_peer_mtu_bytes", "Greatest inner packet on the path in use", mtu);
}

fn handshakes(registry: &mut Registry, (sent, answered, refused): (u64, u64, u64)) {
    let family = Family::<Labels, Counter>::default();
    for (result, count) in [("sent", sent), ("answered", answered), ("refused", refused)] {
        family.get_or_create(&vec![("result", result.to_owned())]).inc_by(count);
    }
    registry.register("ln6d_handshakes", "Handshakes", family);
}

fn routes(registry: &mut Registry, (selected, other): (u64, u64)) {
    let family = Family::<Labels, Whole>::default();
    for (state, count) in [("selected", selected), ("other", other)] {
        family
            .get_or_create(&vec![("state", state.to_owned())])
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    registry.register("ln6d_routes", "Routes of the overlay", family);
}

fn reasons(registry: &mut Registry, name: &str, help: &str, label: &'static str, counts: &[Count]) {
    let family = Family::<Labels, Counter>::default();
    for count in counts {
        family.get_or_create(&vec![(label, count.reason.clone())]).inc_by(count.count);
    }
    registry.register(name, help, family);
}

fn broker(registry: &mut Registry, status: &StatusReport) {
    let Some(broker) = &status.broker else { return };
    let (used, delegations) = (Family::<Labels, Real>::default(), Family::<Labels, Whole>::default());
    for pool in &broker.pools {
        let labels = vec![("pool", pool.prefix.to_string())];
        used.get_or_create(&labels).set(pool.used_ratio);
        delegations.get_or_create(&labels).set(i64::from(pool.delegations));
    }
    registry.register("ln6d_pool_used_ratio", "Share of a pool that is delegated", used);
    registry.register("ln6d_pool_delegations", "Live delegations of a pool", delegations);
    whole(
        registry,
        "ln6d_requests_pending",
        "Requests that wait for an administrator",
        broker.requests_waiting.into(),
    );
    whole(registry, "ln6d_holders", "Holders with a live delegation", broker.holders.into());
}

/// What the kernel says of this process; absent where it says nothing.
fn process(registry: &mut Registry) {
    let resident = std::fs::read_to_string("/proc/self/status").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    });
    if let Some(kilobytes) = resident {
        whole(registry, "process_resident_memory_bytes", "Memory in use", kilobytes * 1024);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        whole(registry, "process_open_fds", "Open descriptors", open.count() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn metrics_have_the_promised_names_and_end_with_eof() {
        let measured = Measured {
            status: samples::broker(),
            peers: samples::peers(),
            handshakes: (7, 5, 1),
            routes: (3, 2),
            figures: vec![Count { reason: "udp_reads".into(), count: 9 }],
            sockets: vec![Count { reason: "dropped".into(), count: 4 }],
            offloads: vec![Count { reason: "udp-gso".into(), count: 1 }],
        };
        let text = render(&measured);
        for line in [
            "ln6d_start_time_seconds 1789989800",
            "ln6d_peer_up{peer=\"vm\"} 1",
            "ln6d_peer_direct{peer=\"escuela\"} 0",
            "ln6d_peer_receive_bytes_total{peer=\"vm\"} 1234567",
            "ln6d_peer_rtt_seconds{peer=\"vm\"} 0.0384",
            "ln6d_peer_mtu_bytes{peer=\"vm\"} 1412",
            "ln6d_handshakes_total{result=\"refused\"} 1",
            "ln6d_dropped_packets_total{reason=\"source_not_theirs\"} 3",
            "ln6d_routes{state=\"selected\"} 3",
            "ln6d_socket_events_total{event=\"dropped\"} 4",
            "ln6d_offload_used{offload=\"udp-gso\"} 1",
            "ln6d_requests_pending 1",
            "ln6d_pool_delegations{pool=\"2001:db8:4800::/40\"} 3",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    /// What begins with our prefix in a text.
    fn names(text: &str) -> std::collections::BTreeSet<&str> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text.split(|c| !word(c));
        words.filter(|word| word.starts_with("ln6d_") || word.starts_with("process_")).collect()
    }

    #[test]
    fn what_dashboard_alerts_and_papers_name_is_measured() {
        let measured = Measured {
            status: samples::broker(),
            peers: samples::peers(),
            handshakes: (7, 5, 1),
            routes: (3, 2),
            figures: vec![Count { reason: "udp_reads".into(), count: 9 }],
            sockets: vec![Count { reason: "dropped".into(), count: 4 }],
            offloads: vec![Count { reason: "udp-gso".into(), count: 1 }],
        };
        let mut broken = measured.clone();
        broken.status.refusals = vec![Count { reason: "stale".into(), count: 1 }];
        let text = render(&broken);
        let metrics = names(&text);
        let papers = [
            include_str!("../../../dist/monitoring/grafana.json"),
            include_str!("../../../dist/monitoring/alerts.yml"),
            include_str!("../../../dist/monitoring/alerts-test.yml"),
            include_str!("../../../docs/operations.md"),
        ];
        for (index, paper) in papers.into_iter().enumerate() {
            let unknown: Vec<_> = names(paper).difference(&metrics).copied().collect();
            assert!(unknown.is_empty() && !names(paper).is_empty(), "paper {index}: {unknown:?}");
        }
        let measured: serde_json::Value = serde_json::from_str(papers[0]).expect("the dashboard is JSON");
        assert_eq!(measured["uid"], "ln6d-network");
    }

    #[test]
    fn the_alert_rules_do_as_their_tests_say() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/monitoring");
        let ran = std::process::Command::new("promtool")
            .args(["test", "rules", "alerts-test.yml"])
            .current_dir(folder)
            .output();
        let Ok(ran) = ran else {
            assert!(std::env::var_os("CI").is_none(), "promtool is missing: apt-get install prometheus");
            return;
        };
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    }
}
