use super::*;
use crate::schema::*;
use ln6_types::{Fingerprint, PublicKey, RouterId};

fn router(number: u8) -> RouterId {
    RouterId([number; 8])
}

fn status() -> StatusReport {
    let json = serde_json::json!({
        "version": "0.1.0", "time": "2026-09-21T14:13:20Z",
        "node": {
            "name": "vm", "key": PublicKey([1; 32]), "router_id": router(1), "network": Fingerprint([9; 32]),
            "address": "fd09::1", "interface": "ln6", "listen": 6695, "started": "2026-09-21T10:00:00Z"
        },
        "standing": {"state": "member"}, "problems": [], "prefixes": ["2001:db8:4800::/40"], "lans": [],
        "endpoints": [], "seen_at": [], "exits": {"here": true, "reachable": []},
        "peers": PeerSummary::default(), "broker": null, "refusals": [], "drops": []
    });
    serde_json::from_value(json).expect("a status")
}

fn peer(name: &str, number: u8, connected: bool) -> PeerRow {
    PeerRow {
        name: name.into(),
        key: PublicKey([number; 32]),
        router_id: router(number),
        kind: "node".into(),
        roles: Vec::new(),
        prefixes: vec![format!("2001:db8:48{number:02x}::/48").parse().expect("prefix")],
        connected,
        silent: false,
        path: Some(PathKind::Direct),
        endpoint: None,
        through: None,
        mtu: None,
        neighbour: connected,
        rtt_seconds: None,
        last_handshake: None,
        last_heard: None,
        rx_bytes: 0,
        tx_bytes: 0,
        rx_packets: 0,
        tx_packets: 0,
        endpoints: Vec::new(),
    }
}

fn session(name: &str, number: u8, cost: Option<u16>) -> SessionRow {
    SessionRow {
        peer: name.into(),
        key: PublicKey([number; 32]),
        path: if cost.is_some() { PathKind::Direct } else { PathKind::Relayed },
        suite: None,
        endpoint: None,
        through: None,
        mtu: None,
        whole: false,
        last_handshake: None,
        last_heard: None,
        cost,
        rtt_seconds: Some(0.0384),
        rx_bytes: 0,
        tx_bytes: 0,
    }
}

fn route(owner: u8, via: &str, metric: u16, selected: bool) -> RouteRow {
    RouteRow {
        to: format!("2001:db8:48{owner:02x}::/48").parse().expect("prefix"),
        from: "::/0".parse().expect("prefix"),
        owner: String::new(),
        router_id: router(owner),
        via: Some(via.into()),
        metric: Some(metric),
        seqno: 1,
        selected,
        feasible: true,
        refused: None,
    }
}

/// A broker, two neighbours, one node behind the second, one that only has a certificate.
fn seen() -> GraphReport {
    let peers = [peer("quintana", 2, true), peer("esc\"uela", 3, true), peer("lejos", 4, false)];
    let sessions =
        [session("quintana", 2, Some(96)), session("esc\"uela", 3, Some(192)), session("lejos", 4, None)];
    let routes = [
        route(2, "quintana", 96, true),
        route(3, "esc\"uela", 192, true),
        route(4, "esc\"uela", 480, true),
        route(4, "quintana", 600, false),
    ];
    let cert = CertRow {
        name: "apagado".into(),
        holder: "apagado".into(),
        key: PublicKey([5; 32]),
        router_id: router(5),
        serial: 1,
        status: "live".into(),
        originate: Vec::new(),
        delegate: Vec::new(),
        roles: Vec::new(),
        not_before: Time::from_secs(0),
        not_after: Time::from_secs(1),
        grace_until: Time::from_secs(2),
    };
    let over = CertRow { status: "expired".into(), router_id: router(6), ..cert.clone() };
    let status = status();
    picture(Seen {
        status: &status,
        peers: &peers,
        sessions: &sessions,
        routes: &routes,
        certs: &[cert, over],
    })
}

#[test]
fn a_picture_has_sessions_and_what_lies_behind_neighbours() {
    let graph = seen();
    let names: Vec<_> =
        graph.nodes.iter().map(|node| (node.name.as_str(), node.reachable, node.metric)).collect();
    assert_eq!(
        names,
        [
            ("vm", true, Some(0)),
            ("apagado", false, None),
            ("esc\"uela", true, Some(192)),
            ("lejos", true, Some(480)),
            ("quintana", true, Some(96)),
        ]
    );
    let links: Vec<_> =
        graph.links.iter().map(|link| (link.from.0[0], link.to.0[0], link.kind.as_str())).collect();
    assert_eq!(links, [(1, 2, "session"), (1, 3, "session"), (1, 4, "session"), (3, 4, "route")]);
}

#[test]
fn graphviz_gets_a_graph_with_names_that_cannot_break_out() {
    let text = dot(&seen());
    assert!(text.starts_with("graph ln6d {\n") && text.ends_with("}\n"));
    assert!(text.contains("label=\"esc\\\"uela\\n2001:db8:4803::/48\""), "{text}");
    assert!(text.contains("\"0101:0101:0101:0101\" -- \"0404:0404:0404:0404\" [style=dashed];"), "{text}");
    assert!(
        text.contains("\"0303:0303:0303:0303\" -- \"0404:0404:0404:0404\" [style=dotted, label=\"288\"];"),
        "{text}"
    );
}

#[test]
fn netjson_has_every_field_that_its_specification_requires() {
    let graph = netjson(&seen(), "0.1.0");
    for required in ["type", "protocol", "version", "metric", "nodes", "links"] {
        assert!(!graph[required].is_null(), "{required}");
    }
    let ids: Vec<_> =
        graph["nodes"].as_array().expect("nodes").iter().map(|node| node["id"].as_str()).collect();
    for link in graph["links"].as_array().expect("links") {
        assert!(link["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{link}");
        assert!(ids.contains(&link["source"].as_str()) && ids.contains(&link["target"].as_str()), "{link}");
    }
    // A session through others is no link of Babel.
    assert_eq!(graph["links"].as_array().map(Vec::len), Some(3));
}

#[test]
fn meshviewer_gets_nodes_without_dashes_and_qualities_from_0_to_1() {
    let map = meshviewer(&seen(), Time::from_secs(1_790_000_000));
    assert_eq!(map["timestamp"], "2026-09-21T14:13:20+0000");
    let nodes = map["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 5);
    assert_eq!((&nodes[0]["node_id"], &nodes[0]["is_gateway"]), (&"0101010101010101".into(), &true.into()));
    assert_eq!((&nodes[1]["hostname"], &nodes[1]["is_online"]), (&"apagado".into(), &false.into()));
    let links = map["links"].as_array().expect("links");
    let qualities: Vec<_> = links.iter().filter_map(|link| link["source_tq"].as_f64()).collect();
    assert_eq!(qualities, [1.0, 0.5, 96.0 / 288.0]);
    assert!(links.iter().all(|link| link["type"] == "vpn"));
}

#[test]
fn tables_have_one_line_each() {
    assert_eq!(links_csv(&seen()).lines().count(), 5);
    assert!(links_csv(&seen()).contains("vm,\"esc\"\"uela\",session,direct,192,0.0384\r\n"));
    let row = PrefixRow {
        holder: "quintana".into(),
        prefix: "2001:db8:4802::/48".parse().expect("prefix"),
        state: "active".into(),
        keys: vec![PublicKey([1; 32]), PublicKey([2; 32])],
        since: Some(Time::from_secs(1_790_000_000)),
        until: None,
        id: None,
        named_until: None,
        grows_to: None,
    };
    let text = prefixes_csv(&[row]);
    assert!(text.starts_with("prefix,holder,state,since,until,keys\r\n2001:db8:4802::/48,quintana,active,2026-09-21T14:13:20Z,,AQEB"), "{text}");
}
