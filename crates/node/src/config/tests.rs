use super::*;
use ln6_crypto::seal::Suite;

const PATH: &str = "/etc/ln6d/ln6d.toml";

fn read(text: &str) -> Result<Config, CliError> {
    Config::parse(text, Path::new(PATH))
}

fn refused(text: &str) -> (String, String) {
    let error = read(text).expect_err("refused");
    (error.code.to_string(), error.message.replace("/etc/ln6d/ln6d.toml", "F"))
}

fn full() -> Config {
    let key = PublicKey([5; 32]);
    let name = |text: &str| NodeName::new(text).expect("name");
    let interface = |text: &str| InterfaceName::new(text).expect("interface");
    let p = |text: &str| text.parse::<Prefix>().expect("prefix");
    let endpoint = |text: &str| Endpoint::parse(text, PORT).expect("endpoint");
    Config {
        node: Node {
            listen: 7000,
            interface: interface("mesh6"),
            mtu: 1380,
            workers: Some(2),
            transit: false,
            transit_limit: 250,
            public: vec![endpoint("gw.example.net"), endpoint("[2001:db8::1]:443")],
            log: Level::Debug,
            offload: false,
            priority: false,
            suite: Some(Suite::Aes256Gcm),
            ..Node::new(name("quintana"))
        },
        network: Some(Network {
            fingerprint: Fingerprint([9; 32]),
            brokers: vec![KnownBroker { key, endpoints: vec![endpoint("vm.example.net:6695")] }],
        }),
        join: Join {
            size: Some(56),
            ssid: Some("quintana \"libre\" \\ ñ".into()),
            secret: Some(Secret::new([3; 16])),
            contact: Some("ana@example.net".into()),
            broker: Some(key),
        },
        lans: vec![
            Lan {
                interface: interface("br-lan"),
                subnet: Some(1),
                resolvers: vec!["2001:db8::53".parse().expect("ip")],
            },
            Lan { interface: interface("eth1"), subnet: None, resolvers: Vec::new() },
        ],
        firewall: Firewall {
            inbound: Inbound::Closed,
            openings: vec![
                Opening {
                    to: p("2001:db8:4812::80/128"),
                    protocol: Some(Protocol::Tcp),
                    ports: Some((80, 443)),
                },
                Opening { to: p("2001:db8:4812:1::/64"), protocol: None, ports: None },
            ],
        },
        broker: Some(Broker {
            pools: vec![
                Pool {
                    smallest: Some(64),
                    largest: Some(48),
                    default: Some(56),
                    admission: Admission::Invitation,
                    ..Pool::new(p("2001:db8:4800::/40"))
                },
                Pool::new(p("2001:db8:ff00::/48")),
            ],
            uplink: Some(interface("eth0")),
            validity_days: 30,
            grace_days: 30,
        }),
        exit: false,
        wireguard: vec![
            Wireguard {
                name: name("phone"),
                public_key: PublicKey([6; 32]),
                endpoint: Some(endpoint("198.51.100.7:51820")),
                psk: Psk::Here(Secret::new([8; 32])),
                prefixes: vec![p("2001:db8:4812:f::1/128")],
                keepalive: 25,
            },
            Wireguard {
                name: name("tablet"),
                public_key: PublicKey([7; 32]),
                endpoint: None,
                psk: Psk::File("/etc/ln6d/tablet.psk".into()),
                prefixes: vec![p("2001:db8:4812:f::2/128")],
                keepalive: 0,
            },
        ],
        metrics: Some("[::1]:9695".parse().expect("address")),
        #[cfg(feature = "broker")]
        keylist: None,
        #[cfg(feature = "broker")]
        notify: None,
        page: Page { user: Some("ln6d-admin".into()), ..Page::default() },
    }
}

#[test]
fn what_is_written_reads_back() {
    let config = full();
    let text = render(&config);
    assert_eq!(read(&text).unwrap_or_else(|error| panic!("{error}\n{}", text.as_str())), config);
    let least = Config::new(NodeName::near("a"));
    assert_eq!(read(&render(&least)).expect("reads"), least);
}

#[test]
fn each_admission_is_written_as_it_is_read() {
    for (word, admission) in Admission::WORDS {
        let mut config = full();
        let broker = config.broker.as_mut().expect("a broker");
        broker.pools[0].admission = admission;
        let text = render(&config);
        let said = text.contains(&format!("\nadmission = \"{word}\"\n"));
        assert!(said || admission == Admission::default(), "{word}: {}", text.as_str());
        assert_eq!(read(&text).expect("reads back"), config, "{word}");
    }
    let (_, message) = refused(
        "[node]\nname = \"vm\"\n[broker]\n[[broker.pools]]\nprefix = \"2001:db8::/40\"\nadmission = \"list\"\n",
    );
    assert!(message.contains("key_list"), "{message}");
}

#[test]
fn a_minimal_configuration_is_golden() {
    let mut config = Config::new(NodeName::near("quintana"));
    config.join.size = Some(56);
    assert_eq!(render(&config).as_str(), include_str!("golden.toml"));
}

#[test]
fn every_commented_setting_is_one_that_could_be_set() {
    let network = "\n[network]\nfingerprint = \"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk\"\n";
    let mut config = Config::new(NodeName::near("quintana"));
    config.broker = Some(Broker::new(vec![Pool::new("2001:db8::/40".parse().expect("prefix"))]));
    let text = render(&config);
    let setting = |line: &str| {
        let bare = line.strip_prefix("# ")?;
        let key = bare.split(" = ").next()?;
        let is_setting = bare.starts_with("[[")
            || (bare.contains(" = ") && key.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'));
        is_setting.then(|| bare.to_owned())
    };
    let all: Vec<String> =
        text.lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned())).collect();
    let read = read(&(all.join("\n") + network)).expect("every example is valid");
    assert_eq!((read.lans.len(), read.firewall.openings.len(), read.join.size), (1, 1, Some(56)));
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_what_was_meant() {
    let error = read("[node]\nname = \"a\"\nlisen = 1\n").expect_err("unknown");
    assert_eq!(error.code, "config_unknown_key");
    assert_eq!(error.message, "/etc/ln6d/ln6d.toml:3: there is no key 'lisen' here");
    assert_eq!(error.hint.as_deref(), Some("did you mean 'listen'?"));
    let error = read("[node]\nname = \"a\"\n\n[fierwall]\n").expect_err("unknown");
    assert_eq!(error.message, "/etc/ln6d/ln6d.toml:4: there is no key 'fierwall' here");
    assert_eq!(error.hint.as_deref(), Some("did you mean 'firewall'?"));
    let error = read("[node]\nname = \"a\"\ncolour = 1\n").expect_err("unknown");
    assert!(error.hint.expect("hint").starts_with("the keys here are name, listen, "));
}

#[test]
fn each_wrong_value_is_named_with_its_line() {
    let head = "[node]\nname = \"a\"\n";
    let cases = [
        ("listen = 0", "F:3: listen is 1 to 65535, not 0"),
        ("listen = \"x\"", "F:3: listen: an integer belongs here, not a string"),
        ("mtu = 1000", "F:3: mtu is 1280 to 9000, not 1000"),
        ("transit_limit = 0", "F:3: transit_limit is 1 to 100000, not 0"),
        ("workers = 9", "F:3: workers is \"auto\" or a number from 1 to 8"),
        (
            "interface = \"much-too-long-for-it\"",
            "F:3: 'much-too-long-for-it' cannot be an interface: 1 to 15 characters",
        ),
        (
            "suite = \"aes-128-gcm\"",
            "F:3: 'aes-128-gcm' is none of auto, aes-256-gcm, chacha20-poly1305; did you mean 'aes-256-gcm'?",
        ),
        ("log = \"debgu\"", "F:3: 'debgu' is none of error, warn, info, debug, trace; did you mean 'debug'?"),
        ("public = [\n\"a\",\n\"b:0\"]", "F:5: 'b:0' is not host:port"),
        ("[[lan]]\ninterface = \"ln6\"", "F:4: 'ln6' is the node's own interface, not a LAN"),
        ("[[lan]]\ninterface = \"x\"\n[[lan]]\ninterface = \"x\"", "F:6: 'x' is listed twice"),
        ("[[lan]]", "F:3: 'interface' is missing here"),
        ("[join]\nsize = 129", "F:4: size is 16 to 128, not 129"),
        (
            "[firewall]\ninbound = \"member\"",
            "F:4: 'member' is none of members, closed, open, off; did you mean 'members'?",
        ),
        (
            "[[firewall.open]]\nto = \"2001:db8::/64\"\nports = 80",
            "F:5: ports belong to a protocol: add protocol = \"tcp\" or \"udp\"",
        ),
        (
            "[[firewall.open]]\nto = \"2001:db8::/64\"\nprotocol=\"tcp\"\nports = \"9-8\"",
            "F:6: ports is a number, or first and last as \"8000-8010\"",
        ),
        ("[broker]\npools = []", "F:4: a broker needs at least one pool"),
        ("[[broker.pools]]\nprefix = \"fe80::/64\"", "F:4: fe80::/64 cannot be a pool: it is link-local"),
        (
            "[[broker.pools]]\nprefix = \"2001:db8::/40\"\n[[broker.pools]]\nprefix = \"2001:db8:1::/48\"",
            "F:6: the pool 2001:db8:1::/48 overlaps 2001:db8::/40",
        ),
        ("[[broker.pools]]\nprefix = \"2001:db8::/40\"\nlargest = 39", "F:5: largest is 40 to 128, not 39"),
        (
            "[metrics]\nlisten = \"localhost\"",
            "F:4: listen is address:port, such as 127.0.0.1:9695 or [::1]:9695",
        ),
        ("[network]\nfingerprint = \"x\"", "F:4: a network's fingerprint is 43 characters of base64"),
    ];
    for (line, message) in cases {
        assert_eq!(refused(&format!("{head}{line}\n")), ("config_invalid".into(), message.into()), "{line}");
    }
}

#[test]
fn mistyped_prefixes_and_names_have_codes_of_their_own() {
    let prefix = "[node]\nname = \"a\"\n[[broker.pools]]\nprefix = \"2001:db8:4801::/40\"\n";
    assert_eq!(refused(prefix).0, "prefix_invalid");
    assert!(refused(prefix).1.contains("did you mean 2001:db8:4800::/40?"));
    let name = refused("[node]\nname = \"My Gateway\"\n");
    assert_eq!(
        name,
        ("name_invalid".into(), "F:2: 'My Gateway' is not a name; 'my-gateway' would be one".into())
    );
}

#[test]
fn broken_syntax_is_named_with_its_line() {
    let (code, message) = refused("[node]\nname = \"a\nlisten = 1\n");
    assert_eq!(code, "config_invalid");
    assert!(message.starts_with("F:2: "), "{message}");
    assert_eq!(refused("").1, "F:1: 'node' is missing here");
}

#[test]
fn stock_peers_do_not_share_names_keys_or_prefixes() {
    let peer = |name: &str, seed: u8, prefix: &str| {
        format!(
            "[[wireguard]]\nname = \"{name}\"\npublic_key = \"{}\"\nprefixes = [\"{prefix}\"]\n",
            PublicKey([seed; 32])
        )
    };
    let both = |a: String, b: String| refused(&format!("[node]\nname = \"a\"\n{a}{b}")).1;
    let first = || peer("x", 1, "2001:db8::1/128");
    assert_eq!(both(first(), peer("x", 2, "2001:db8::2/128")), "F:8: 'x' is listed twice");
    assert_eq!(both(first(), peer("y", 1, "2001:db8::2/128")), "F:9: this key belongs to another entry");
    assert_eq!(
        both(first(), peer("y", 2, "2001:db8::/64")),
        "F:10: 2001:db8::/64 overlaps a prefix of another entry"
    );
}

#[test]
fn a_difference_is_named_by_its_key() {
    let old = full();
    assert_eq!(diff(&old, &old), []);
    let mut new = old.clone();
    new.node.log = Level::Info;
    new.node.mtu = 1420;
    new.lans.pop();
    let changes: Vec<_> =
        diff(&old, &new).into_iter().map(|change| (change.what, change.needs_restart)).collect();
    assert_eq!(changes, [("node.mtu".into(), true), ("node.log".into(), false), ("lan".into(), false)]);
}

#[test]
fn secrets_do_not_show_when_a_configuration_is_shown() {
    let shown = format!("{:?}", full());
    assert!(!shown.contains("3, 3") && !shown.contains("8, 8"), "{shown}");
    assert!(full().has_secrets());
}

#[test]
fn a_pre_shared_key_is_read_from_a_private_file_beside_the_configuration() {
    use crate::files::atomic::tests::TestDir;
    let dir = TestDir::new();
    let layout = Layout::under(dir.path());
    let psk = Psk::File("phone.psk".into());
    assert_eq!(psk.load(&layout).expect_err("none").code, "not_found");
    atomic::create(&dir.path().join("phone.psk"), Secret::new([8u8; 32]).expose_text().as_bytes())
        .expect("written");
    assert!(psk.load(&layout).is_ok());
    atomic::replace(&dir.path().join("phone.psk"), b"short").expect("written");
    assert_eq!(psk.load(&layout).expect_err("short").code, "key_file_damaged");
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(dir.path().join("phone.psk"), open).expect("chmod");
    assert_eq!(psk.load(&layout).expect_err("exposed").code, "key_file_exposed");
}

#[test]
fn no_cut_and_no_changed_octet_of_a_configuration_panics() {
    let text = render(&full());
    for at in (0..text.len()).step_by(7).filter(|at| text.is_char_boundary(*at)) {
        let _ = read(&text[..at]);
        let mut octets = text.as_bytes().to_vec();
        octets[at] = octets[at].wrapping_add(1);
        let _ = std::str::from_utf8(&octets).map(read);
    }
    let _ = read(&"[".repeat(10_000));
    let _ = read(&format!("a = {}", "[".repeat(10_000)));
}
