use super::samples::{NOW, broker, gateway, p, peers, routes};
use super::{Render, Style};
use crate::schema::*;
use ln6_types::{PublicKey, RouterId};

fn show(what: &impl Render) -> String {
    what.render(Style::plain(NOW))
}

fn assert_shows(what: &impl Render, expected: &str) {
    let shown = show(what);
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn status_puts_problems_first_each_with_its_next_step() {
    assert_shows(
        &gateway(),
        "\
quintana · member · up 2 h · ln6d 0.1.0

✗ the kernel does not forward IPv6 packets (forwarding_off)
  → sysctl -w net.ipv6.conf.all.forwarding=1

  Prefix     2001:db8:4812::/48  until 2027-02-27 (in 159 days)
  LAN        br-lan  2001:db8:4812::/64
  Exit       vm
  Peers      3 of 5 connected: 2 direct, 1 relayed, 2 neighbours
  Traffic    1.2 MB received, 340 kB sent
  Dropped    3 source_not_theirs
  Seen at    198.51.100.7:6695
  Address    fd09:909:909::1 on ln6
  Key        BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=
  Network    CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk
",
    );
}

#[test]
fn a_node_without_a_network_shows_no_address_in_one() {
    let mut status = gateway();
    status.standing.state = "no_network".into();
    let shown = show(&status);
    assert!(shown.contains("  Key        Bwc"), "{shown}");
    assert!(!shown.contains("  Address") && !shown.contains("  Network"), "{shown}");
}

#[cfg(feature = "broker")]
#[test]
fn the_journal_shows_keys_in_short() {
    let key = PublicKey([7; 32]);
    let row = AuditRow {
        seq: 5,
        time: NOW,
        actor: format!("node:{key}"),
        kind: "key_bound".into(),
        holder: None,
        prefixes: Vec::new(),
        reason: Some("as node:x: said".into()),
        message: format!("the key {key} of 2001:db8::/56 speaks for quintana"),
    };
    let shown = show(&AuditList { rows: vec![row], next: None });
    let expected =
        "  node:BwcHBwcH…: the key BwcHBwcH… of 2001:db8::/56 speaks for quintana — as node:x: said\n";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn a_brokers_status_tells_of_its_pools_and_who_waits() {
    let shown = show(&broker());
    assert!(shown.contains("  Pool       2001:db8:4800::/40  3 delegated, 1.2 % used\n"), "{shown}");
    assert!(
        shown.contains("  Broker     3 holders, 1 waits: ln6d requests, 2 unused invitations\n"),
        "{shown}"
    );
    assert!(shown.contains("  Exit       this node\n"), "{shown}");
}

#[test]
fn where_a_node_stands_is_said_in_words() {
    let head = |standing: StandingInfo| {
        let status = StatusReport { standing, problems: Vec::new(), ..gateway() };
        show(&status).lines().next().expect("a line").to_owned()
    };
    let waiting = StandingInfo { state: "waiting".into(), place: Some(2), ..StandingInfo::default() };
    assert_eq!(
        head(waiting),
        "quintana · waiting for an administrator (1 node waits longer) · up 2 h · ln6d 0.1.0"
    );
    let revoked = StandingInfo { state: "revoked".into(), ..StandingInfo::default() };
    assert_eq!(head(revoked), "quintana · revoked · up 2 h · ln6d 0.1.0");
}

#[test]
fn a_neighbour_that_is_not_heard_is_silent() {
    let mut list = peers();
    list.peers[0].silent = true;
    assert!(show(&list).contains("vm         silent "), "{}", show(&list));
    let mut status = gateway();
    status.peers.silent = 1;
    assert!(show(&status).contains("3 of 5 connected: 2 direct, 1 relayed, 1 silent, 2 neighbours"));
}

#[test]
fn peers_are_a_table() {
    assert_shows(
        &peers(),
        "\
NAME       STATE    PREFIX                 PATH                RTT  RECEIVED   SENT  HEARD    ROLE
vm         direct   2001:db8:4800::/40     203.0.113.5:6695  38 ms    1.2 MB  89 kB  2 s ago  broker, exit
escuela    relayed  2001:db8:4813::/56 +1  through vm            -         -      -  2 s ago  -
AwMDAwMD…  idle     -                      -                     -         -      -  -        stock
",
    );
    assert_shows(&PeerList::default(), "Nobody is known yet.\n");
}

#[test]
fn refused_routes_say_why() {
    let shown = show(&routes());
    let expected = [
        "   TO                  FROM                OWNER                VIA      METRIC  NOTE",
        "*  2001:db8:4812::/48  -                   quintana             (own)         0  -",
        "*  ::/0                2001:db8:4800::/40  vm                   vm           96  -",
        "   2001:db8:4813::/48  -                   0101:0101:0101:0101  escuela    none  refused: not the holder",
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn prefixes_are_a_table() {
    let prefix = PrefixRow {
        holder: "quintana".into(),
        prefix: p("2001:db8:4812::/48"),
        state: "active".into(),
        keys: vec![PublicKey([7; 32])],
        since: Some(Time::from_secs(1_789_000_000)),
        until: Some(Time::from_secs(1_790_000_000 + 86_400)),
        id: None,
        grows_to: None,
        named_until: None,
    };
    assert_shows(
        &PrefixList { prefixes: vec![prefix], ..PrefixList::default() },
        "\
PREFIX              HOLDER    STATE   KEYS  SINCE       UNTIL
2001:db8:4812::/48  quintana  active     1  2026-09-10  2026-09-22 (in 1 day)
",
    );
}

#[test]
fn certificates_and_sessions_are_tables() {
    let cert = CertRow {
        name: "vm".into(),
        holder: "vm".into(),
        key: PublicKey([8; 32]),
        router_id: RouterId([2; 8]),
        serial: 1,
        status: "live".into(),
        originate: vec![p("2001:db8:4800::/40")],
        delegate: vec![p("2001:db8:4800::/40")],
        roles: vec!["exit".into(), "broker".into()],
        not_before: Time::from_secs(0),
        not_after: Time::from_secs(1_800_000_000),
        grace_until: Time::from_secs(1_810_000_000),
    };
    assert_shows(
        &CertList { certs: vec![cert] },
        "\
NAME  STATUS  MAY ORIGINATE       MAY DELEGATE        ROLES         SERIAL  UNTIL
vm    live    2001:db8:4800::/40  2001:db8:4800::/40  exit, broker       1  2027-01-15 (in 115 days)
",
    );
    let session = SessionRow {
        peer: "vm".into(),
        key: PublicKey([8; 32]),
        suite: Some("aes-256-gcm".into()),
        path: PathKind::Direct,
        endpoint: Some("203.0.113.5:6695".parse().expect("address")),
        through: None,
        mtu: Some(1412),
        whole: true,
        last_handshake: Some(Time::from_secs(1_789_999_940)),
        last_heard: Some(NOW),
        cost: Some(96),
        rtt_seconds: Some(0.0384),
        rx_bytes: 1_234_567,
        tx_bytes: 89,
    };
    assert_shows(
        &SessionList { sessions: vec![session] },
        "\
PEER  PATH               MTU  SUITE        COST    RTT  RECEIVED  SENT  KEYS       HEARD
vm    203.0.113.5:6695  1412  aes-256-gcm    96  38 ms    1.2 MB  89 B  1 min ago  now
",
    );
}

#[test]
fn replies_end_with_the_next_step() {
    let replace = ActionReply {
        done: "replacement_invited".into(),
        name: Some("quintana".into()),
        link: Some("ln6://join/x".into()),
        ..ActionReply::default()
    };
    assert!(show(&replace).starts_with("A new node can take the place of quintana with this link;"));
    let action = ActionReply {
        done: "approved".into(),
        name: Some("escuela".into()),
        prefixes: vec![p("2001:db8:4813::/56")],
        ..ActionReply::default()
    };
    assert_shows(&action, "Approved escuela: 2001:db8:4813::/56\n");
    let ping = PingReply {
        name: "vm".into(),
        address: "fd09::1".parse().expect("address"),
        rtt_seconds: 0.0384,
        path: Some(PathKind::Relayed),
        endpoint: None,
        through: Some("escuela".into()),
    };
    assert_shows(&ping, "vm (fd09::1): 38 ms through escuela\n");
}

#[test]
fn a_report_of_the_doctor_counts_what_it_found() {
    let problem = gateway().problems;
    let report = DoctorReport { findings: problem, passed: vec!["the clock is plausible".into()] };
    let expected = "\
✓ the clock is plausible

✗ the kernel does not forward IPv6 packets (forwarding_off)
  → sysctl -w net.ipv6.conf.all.forwarding=1

1 broken.
";
    assert_shows(&report, expected);
    assert_shows(&DoctorReport::default(), "\nAll is well.\n");
    let note = Problem { severity: Severity::Note, hint: None, ..gateway().problems.remove(0) };
    let shown = show(&DoctorReport { findings: vec![note], passed: Vec::new() });
    assert!(shown.ends_with("\nNothing is broken; 1 thing to know.\n"), "{shown}");
}

#[test]
fn events_are_lines() {
    let event = EventRow {
        id: 1,
        time: NOW,
        code: "session_up".into(),
        severity: Severity::Note,
        peer: Some("vm".into()),
        message: "session up by 203.0.113.5:6695".into(),
    };
    assert_shows(
        &EventList { events: vec![event], next: 1 },
        "2026-09-21 14:13:20  vm: session up by 203.0.113.5:6695\n",
    );
}
