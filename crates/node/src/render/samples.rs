//! Samples for tests.

use crate::schema::*;
use ln6_types::{Fingerprint, Prefix, PublicKey, RouterId};

pub(crate) const NOW: Time = Time::from_secs(1_790_000_000);

pub(crate) fn p(text: &str) -> Prefix {
    text.parse().expect("prefix")
}

pub(crate) fn gateway() -> StatusReport {
    StatusReport {
        version: "0.1.0".into(),
        time: NOW,
        node: NodeInfo {
            name: "quintana".into(),
            key: PublicKey([7; 32]),
            router_id: RouterId([1; 8]),
            network: Fingerprint([9; 32]),
            address: "fd09:909:909::1".parse().expect("address"),
            interface: "ln6".into(),
            listen: 6695,
            started: Time::from_secs(1_789_989_800),
        },
        standing: StandingInfo {
            state: "member".into(),
            not_after: Some(Time::from_secs(1_790_000_000 + 159 * 86_400)),
            ..StandingInfo::default()
        },
        problems: vec![Problem {
            code: "forwarding_off".into(),
            severity: Severity::Error,
            message: "the kernel does not forward IPv6 packets".into(),
            hint: Some("sysctl -w net.ipv6.conf.all.forwarding=1".into()),
        }],
        prefixes: vec![p("2001:db8:4812::/48")],
        lans: vec![LanRow {
            interface: "br-lan".into(),
            prefix: p("2001:db8:4812::/64"),
            address: "2001:db8:4812::1".parse().expect("address"),
            deprecated: false,
        }],
        endpoints: Vec::new(),
        seen_at: vec!["198.51.100.7:6695".parse().expect("address")],
        peers: PeerSummary {
            known: 5,
            connected: 3,
            direct: 2,
            relayed: 1,
            neighbours: 2,
            rx_bytes: 1_234_567,
            tx_bytes: 340_000,
            ..PeerSummary::default()
        },
        exits: ExitInfo { here: false, reachable: vec!["vm".into()] },
        broker: None,
        refusals: Vec::new(),
        drops: vec![
            Count { reason: "source_not_theirs".into(), count: 3 },
            Count { reason: "no_route".into(), count: 0 },
        ],
    }
}

pub(crate) fn broker() -> StatusReport {
    let mut status = gateway();
    status.node.name = "vm".into();
    status.problems.clear();
    status.lans.clear();
    status.exits = ExitInfo { here: true, reachable: Vec::new() };
    status.broker = Some(BrokerSummary {
        pools: vec![PoolRow { prefix: p("2001:db8:4800::/40"), delegations: 3, used_ratio: 0.0117 }],
        holders: 3,
        requests_waiting: 1,
        invitations_open: 2,
    });
    status
}

pub(crate) fn peers() -> PeerList {
    let vm = PeerRow {
        name: "vm".into(),
        key: PublicKey([8; 32]),
        router_id: RouterId([2; 8]),
        kind: "node".into(),
        roles: vec!["broker".into(), "exit".into()],
        prefixes: vec![p("2001:db8:4800::/40")],
        connected: true,
        silent: false,
        path: Some(PathKind::Direct),
        endpoint: Some("203.0.113.5:6695".parse().expect("address")),
        through: None,
        mtu: Some(1412),
        neighbour: true,
        rtt_seconds: Some(0.0384),
        last_handshake: Some(Time::from_secs(1_789_999_940)),
        last_heard: Some(Time::from_secs(1_789_999_998)),
        rx_bytes: 1_234_567,
        tx_bytes: 89_000,
        rx_packets: 1000,
        tx_packets: 900,
        endpoints: Vec::new(),
    };
    let escuela = PeerRow {
        name: "escuela".into(),
        key: PublicKey([3; 32]),
        roles: Vec::new(),
        prefixes: vec![p("2001:db8:4813::/56"), p("2001:db8:4814::/64")],
        path: Some(PathKind::Relayed),
        endpoint: None,
        through: Some("vm".into()),
        mtu: Some(1360),
        rtt_seconds: None,
        rx_bytes: 0,
        tx_bytes: 0,
        ..vm.clone()
    };
    let phone = PeerRow {
        name: String::new(),
        kind: "stock".into(),
        connected: false,
        path: None,
        through: None,
        mtu: None,
        prefixes: Vec::new(),
        last_heard: None,
        ..escuela.clone()
    };
    PeerList { peers: vec![vm, escuela, phone] }
}

pub(crate) fn routes() -> RouteList {
    let own = RouteRow {
        to: p("2001:db8:4812::/48"),
        from: p("::/0"),
        owner: "quintana".into(),
        router_id: RouterId([1; 8]),
        via: None,
        metric: Some(0),
        seqno: 1,
        selected: true,
        feasible: true,
        refused: None,
    };
    let exit = RouteRow {
        to: p("::/0"),
        from: p("2001:db8:4800::/40"),
        owner: "vm".into(),
        via: Some("vm".into()),
        metric: Some(96),
        ..own.clone()
    };
    let forged = RouteRow {
        to: p("2001:db8:4813::/48"),
        owner: String::new(),
        via: Some("escuela".into()),
        metric: None,
        selected: false,
        refused: Some("not_the_holder".into()),
        ..own.clone()
    };
    RouteList { routes: vec![own, exit, forged] }
}
