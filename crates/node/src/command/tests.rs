use super::init;
use super::join::{kept, merge, read_link};
use super::*;
use crate::config::{Endpoint, PORT};
use crate::files::atomic::tests::TestDir;
use crate::files::identity::Identity;
use crate::files::{certificate, root};
use crate::schema::Time;
use ln6_crypto::{Link, fingerprint};
use ln6_types::{Fingerprint, PublicKey, UnixTime};
use std::path::Path;

const NOW: Time = Time::from_secs(1_790_000_000);

fn call(dir: &Path, line: &str) -> Result<Exit, CliError> {
    let words = line.split_whitespace().map(str::to_owned);
    let all = ["ln6d".to_owned(), "--json".to_owned()].into_iter().chain(words);
    let cli = Cli::try_parse_from(all).expect("usage");
    dispatch(cli.command.expect("command"), &Layout::under(dir), &Output::silent(cli.yes))
}

fn refused(dir: &Path, line: &str) -> String {
    call(dir, line).expect_err("refused").code.into_owned()
}

fn link() -> Link {
    Link {
        network: Fingerprint([9; 32]),
        broker: PublicKey([4; 32]),
        endpoints: vec!["vm.example.net:6695".into(), "[2001:db8::1]:443".into()],
        secret: Some([0xab; 16]),
        name: Some("quintana".into()),
        size: Some(56),
        expires: UnixTime::from_secs(4_000_000_000),
    }
}

const INIT: &str =
    "init --name altermundi --pool 2001:db8:4800::/40 --public vm.example.net --uplink lo --listen 7000";

#[test]
fn init_makes_a_broker_that_its_own_root_has_certified() {
    let dir = TestDir::new();
    call(dir.path(), INIT).expect("initialised");
    let layout = Layout::under(dir.path());
    let config = Config::load(&layout).expect("valid");
    let identity = Identity::load(&layout.identity).expect("private");
    let root = root::load(&layout.root_key).expect("root");
    let network = config.network.expect("network");
    assert_eq!(network.fingerprint, fingerprint(&root.verify_key()));
    assert_eq!(network.brokers[0].key, identity.secret.public());
    assert_eq!(
        network.brokers[0].endpoints,
        [Endpoint::parse("vm.example.net:7000", PORT).expect("endpoint")]
    );
    let papers = certificate::load(&layout.certificate, &network.fingerprint).expect("valid").expect("there");
    let broker = papers.certificate;
    assert_eq!(broker.sign, identity.signing.verify_key());
    assert_eq!(broker.delegate, ["2001:db8:4800::/40".parse().expect("prefix")]);
    assert_eq!(broker.originate, ["2001:db8:48ff:ffff::/64".parse().expect("prefix")]);
    assert!(broker.roles.broker && broker.roles.exit && broker.grantable.exit && !broker.grantable.broker);
    assert_eq!(
        certificate::load(&layout.certificate, &Fingerprint([1; 32])).expect_err("other").code,
        "key_file_damaged"
    );
}

#[test]
fn init_never_overwrites_and_refuses_what_cannot_be_a_pool() {
    let dir = TestDir::new();
    assert_eq!(refused(dir.path(), "init --name a --pool fe80::/64 --public vm"), "prefix_invalid");
    assert_eq!(
        refused(dir.path(), "init --name a --pool 2001:db8::/40 --pool 2001:db8:1::/48 --public vm"),
        "prefix_invalid"
    );
    assert_eq!(refused(dir.path(), "init --name A! --pool 2001:db8::/40 --public vm"), "name_invalid");
    assert_eq!(refused(dir.path(), "init --name a --pool 2001:db8::/40 --public vm:0"), "config_invalid");
    assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 0, "nothing was written");
    call(dir.path(), INIT).expect("initialised");
    let key = std::fs::read(dir.path().join("identity.key")).expect("key");
    assert_eq!(refused(dir.path(), INIT), "already_exists");
    assert_eq!(std::fs::read(dir.path().join("identity.key")).expect("key"), key);
    assert_eq!(refused(dir.path(), &format!("join {}", link())), "already_member");
}

#[test]
fn init_warns_of_pools_that_may_not_be_meant_and_refuses_a_missing_uplink() {
    let code = |pool: &str| init::odd_pool(&pool.parse().expect("prefix")).map(|problem| problem.code);
    assert_eq!(code("2001:db8:4800::/40"), None);
    assert_eq!(code("2001:db8:1:2::/64").as_deref(), Some("pool_gives_no_subnets"));
    assert_eq!(code("fd12::/48").as_deref(), Some("pool_is_ula"));
    assert_eq!(code("2001::/16").as_deref(), Some("pool_is_huge"));
    let dir = TestDir::new();
    let line = "init --name a --pool 2001:db8::/40 --public 192.0.2.1 --uplink nosuch0";
    assert_eq!(refused(dir.path(), line), "interface_missing");
}

#[test]
fn join_writes_what_the_link_and_the_options_say() {
    let dir = TestDir::new();
    let line = format!("join {} --ssid quintanalibre.org.ar --lan br-lan --contact ana@example.net", link());
    call(dir.path(), &line).expect("joined");
    let layout = Layout::under(dir.path());
    let config = Config::load(&layout).expect("valid");
    assert_eq!(config.node.name.as_str(), "quintana");
    assert_eq!((config.join.size, config.join.ssid.as_deref()), (Some(56), Some("quintanalibre.org.ar")));
    assert_eq!(config.join.secret.expect("secret").expose(), &[0xab; 16]);
    assert_eq!(config.lans[0].interface.as_str(), "br-lan");
    assert_eq!(config.network.expect("network").brokers[0].endpoints.len(), 2);
    assert_eq!(crate::files::layout::mode(&layout.config), Some(0o600));
}

#[test]
fn joining_again_updates_and_another_network_is_refused() {
    let dir = TestDir::new();
    call(dir.path(), &format!("join {} --lan br-lan", link())).expect("joined");
    let layout = Layout::under(dir.path());
    let key = Identity::load(&layout.identity).expect("identity").secret.public();
    let fresh = Link { secret: Some([7; 16]), name: None, size: None, ..link() };
    call(dir.path(), &format!("join {fresh} --lan br-lan --lan eth1")).expect("updated");
    let config = Config::load(&layout).expect("valid");
    assert_eq!(config.node.name.as_str(), "quintana");
    assert_eq!((config.join.size, config.lans.len()), (Some(56), 2));
    assert_eq!(config.join.secret.expect("secret").expose(), &[7; 16]);
    assert_eq!(Identity::load(&layout.identity).expect("identity").secret.public(), key);
    let other = Link { name: None, ..link() };
    let Some(Command::Join(again)) =
        Cli::try_parse_from(["ln6d", "join", "x", "--lan", "eth1"]).expect("usage").command
    else {
        panic!("join")
    };
    let mut old = Config::load(&layout).expect("valid");
    old.lans[1].subnet = Some(7);
    assert_eq!(kept(&old, &again, &other), ["name quintana"]);
    let merged = merge(Some(old), &again, &other, &layout).expect("merged");
    assert_eq!(merged.lans.len(), 1, "the list replaces what was there");
    assert_eq!((merged.lans[0].interface.as_str(), merged.lans[0].subnet), ("eth1", Some(7)));
    let foreign = Link { network: Fingerprint([1; 32]), ..link() };
    assert_eq!(refused(dir.path(), &format!("join {foreign}")), "already_member");
}

#[test]
fn links_that_cannot_be_used_say_why() {
    let text = link().to_string();
    let code = |text: &str, now| read_link(text, now).expect_err("refused").code.into_owned();
    assert_eq!(code(&text[..text.len() - 9], NOW), "link_truncated");
    let other = if &text[24..25] == "A" { "B" } else { "A" };
    assert_eq!(code(&format!("{}{other}{}", &text[..24], &text[25..]), NOW), "link_mangled");
    assert_eq!(code("https://example.net", NOW), "link_foreign");
    let old = Link { expires: UnixTime::from_secs(1_789_999_999), ..link() }.to_string();
    let error = read_link(&old, NOW).expect_err("expired");
    assert_eq!(
        (error.code.as_ref(), error.message.as_str()),
        ("link_expired", "this invitation expired on 2026-09-21T14:13:19Z")
    );
    assert!(read_link(&old, Time::from_secs(3600)).is_ok(), "a clock that was never set judges nothing");
}

#[test]
fn the_nodes_own_interface_and_odd_texts_are_refused() {
    let layout = Layout::under(Path::new("/nonexistent"));
    let join = |line: &str| match Cli::try_parse_from(format!("ln6d join x {line}").split(' '))
        .expect("usage")
        .command
    {
        Some(Command::Join(join)) => join,
        _ => panic!("join"),
    };
    let code =
        |line: &str| merge(None, &join(line), &link(), &layout).expect_err("refused").code.into_owned();
    assert_eq!(code("--lan ln6"), "interface_taken");
    assert_eq!(code("--lan much-too-long-name"), "interface_missing");
    assert_eq!(code("--ssid "), "bad_request");
    assert_eq!(code("--name A!"), "name_invalid");
}

#[test]
fn without_a_node_or_a_daemon_the_next_step_is_named() {
    let dir = TestDir::new();
    let registry: &[&str] = if cfg!(feature = "broker") {
        &["invite", "invitations", "requests", "approve 1", "deny 1", "suspend quintana"]
    } else {
        &[]
    };
    for line in ["status", "peers", "ping vm"].iter().chain(registry) {
        assert_eq!(refused(dir.path(), line), "no_config", "{line}");
    }
    assert_eq!(refused(dir.path(), "run"), "no_config");
    assert_eq!(refused(dir.path(), "key show"), "no_identity");
    call(dir.path(), INIT).expect("initialised");
    call(dir.path(), "key show").expect("shown");
    call(dir.path(), "config check").expect("valid");
    let node = ["status", "peers", "ping vm", "events", "wireguard-config phone", "reload"];
    for line in node.iter().chain(registry) {
        assert_eq!(refused(dir.path(), line), "daemon_unreachable", "{line}");
    }
    if cfg!(feature = "broker") {
        assert_eq!(refused(dir.path(), "revoke quintana"), "confirmation_needed");
        assert_eq!(refused(dir.path(), "revoke quintana --yes"), "daemon_unreachable");
    }
}

#[test]
fn config_check_ends_with_8_and_doctor_too() {
    let dir = TestDir::new();
    std::fs::write(dir.path().join("ln6d.toml"), "[node]\nname = \"a\"\nlisen = 1\n").expect("write");
    let error = call(dir.path(), "config check").expect_err("unknown key");
    assert_eq!((error.code.as_ref(), error.exit), ("config_unknown_key", Exit::Findings));
    assert_eq!(call(dir.path(), "doctor"), Ok(Exit::Findings));
}

#[test]
fn init_options_reach_the_configuration() {
    let line = "ln6d init --name a --pool 2001:db8::/40 --public vm --public [2001:db8::1]:443 --no-exit";
    let Some(Command::Init(options)) = Cli::try_parse_from(line.split(' ')).expect("usage").command else {
        panic!("init")
    };
    let config = init::configure(&options).expect("valid");
    assert!(!config.exit && config.broker.expect("broker").uplink.is_none());
    assert_eq!(config.node.public.len(), 2);
}

#[cfg(feature = "broker")]
mod with_the_root_key {
    use super::*;

    /// A broker whose root key has left, and the folder that it lies in.
    fn broker() -> (TestDir, TestDir, Layout) {
        let (dir, away) = (TestDir::new(), TestDir::new());
        call(dir.path(), INIT).expect("initialised");
        let layout = Layout::under(dir.path());
        std::fs::rename(&layout.root_key, away.path().join("root.key")).expect("moved away");
        (dir, away, layout)
    }

    fn papers(layout: &Layout) -> certificate::Papers {
        let config = Config::load(layout).expect("valid");
        let network = config.network.expect("network").fingerprint;
        certificate::load(&layout.certificate, &network).expect("valid").expect("there")
    }

    #[test]
    fn a_brokers_certificate_is_renewed_with_other_pools_and_dates_by_a_key_that_lies_elsewhere() {
        let (dir, away, layout) = broker();
        let (request, signed) = (away.path().join("request"), away.path().join("signed"));
        let (request, signed) = (request.display(), signed.display());
        let old = papers(&layout);
        std::fs::copy(&layout.certificate, away.path().join("old")).expect("a copy");
        let pools = "--pool 2001:db8:4800::/40 --pool 2001:db8:5000::/44";
        call(dir.path(), &format!("root request {pools} --out {request}")).expect("asked");
        assert_eq!(
            refused(dir.path(), &format!("root certify {request}")),
            "not_found",
            "the key is not here"
        );
        call(away.path(), &format!("root certify {request} --years 3 --out {signed}")).expect("signed");
        call(dir.path(), &format!("root accept {signed}")).expect("accepted");
        let new = papers(&layout);
        let year = std::time::Duration::from_secs(365 * 86_400);
        assert_eq!(new.certificate.delegate.len(), 2);
        assert_eq!(new.certificate.key, old.certificate.key);
        assert!(new.certificate.serial > old.certificate.serial);
        assert!(new.certificate.not_after < old.certificate.not_after - 6 * year);
        assert!(new.revocations.is_empty());
        let config = Config::load(&layout).expect("valid");
        assert_eq!(config.broker.expect("a broker").pools.len(), 2);
        // What is older never takes the place of what is newer.
        let older = away.path().join("old");
        assert_eq!(refused(dir.path(), &format!("root accept {}", older.display())), "paper_foreign");
        assert_eq!(papers(&layout).certificate, new.certificate);
        // A clock that was never set makes no lower serial, and no dates that are over.
        call(dir.path(), &format!("root request --out {request}")).expect("asked");
        let certify = cli::RootCertify {
            request: request.to_string().into(),
            root_key: None,
            pools: Vec::new(),
            years: 10,
            no_exit: true,
            succeeds: Some(PublicKey([77; 32])),
            out: None,
        };
        let reply =
            super::super::root::certify(&certify, &Layout::under(away.path()), UnixTime::from_secs(86_400));
        let text = serde_json::to_value(reply.expect("signed")).expect("json")["text"].clone();
        std::fs::write(away.path().join("signed"), text.as_str().expect("text")).expect("written");
        call(dir.path(), &format!("root accept {signed}")).expect("accepted");
        let newest = papers(&layout);
        assert!(newest.certificate.serial > new.certificate.serial);
        assert!(newest.certificate.not_after > old.certificate.not_after - year);
        assert!(!newest.certificate.roles.exit);
        assert_eq!(newest.predecessors().collect::<Vec<_>>(), [PublicKey([77; 32])]);
    }

    #[test]
    fn what_was_cut_changed_or_is_for_somebody_else_is_refused_and_nothing_is_written() {
        let (dir, away, layout) = broker();
        let (other, other_away, _) = broker();
        let path = |name: &str| away.path().join(name).display().to_string();
        call(dir.path(), &format!("root request --out {}", path("request"))).expect("asked");
        let text = std::fs::read_to_string(path("request")).expect("text");
        for (name, changed) in [
            ("cut", text[..text.len() / 2].to_owned()),
            ("changed", text.replace("4800::/40", "4900::/40")),
            ("empty", String::new()),
        ] {
            std::fs::write(path(name), changed).expect("written");
            assert_eq!(
                refused(away.path(), &format!("root certify {}", path(name))),
                "paper_damaged",
                "{name}"
            );
        }
        let foreign = format!("root certify {}", path("request"));
        assert_eq!(refused(other_away.path(), &foreign), "paper_foreign", "another network's root");
        call(away.path(), &format!("root certify {} --out {}", path("request"), path("signed")))
            .expect("signed");
        let before = std::fs::read(&layout.certificate).expect("there");
        let signed = std::fs::read_to_string(path("signed")).expect("text");
        std::fs::write(path("cut"), &signed[..signed.len() - 40]).expect("written");
        assert_eq!(refused(dir.path(), &format!("root accept {}", path("cut"))), "paper_damaged");
        assert_eq!(refused(other.path(), &format!("root accept {}", path("signed"))), "paper_damaged");
        assert_eq!(std::fs::read(&layout.certificate).expect("there"), before);
    }

    #[test]
    fn another_broker_has_everything_but_the_certificate_until_the_root_signs() {
        let (_dir, away, first) = broker();
        let second = TestDir::new();
        let network = Config::load(&first).expect("valid").network.expect("network").fingerprint;
        let link = Link { network, secret: None, ..link() };
        let init = "init --name vm2 --pool 2001:db8:5000::/40 --public vm2.example.net";
        call(second.path(), &format!("{init} --network {link}")).expect("prepared");
        let layout = Layout::under(second.path());
        assert!(!layout.root_key.exists() && !layout.certificate.exists());
        let config = Config::load(&layout).expect("valid");
        let brokers = config.network.expect("network").brokers;
        assert_eq!(brokers.iter().map(|broker| broker.key).filter(|key| *key == link.broker).count(), 1);
        let (request, signed) = (away.path().join("request"), away.path().join("signed"));
        call(second.path(), &format!("root request --out {}", request.display())).expect("asked");
        let certify = format!("root certify {} --out {}", request.display(), signed.display());
        call(away.path(), &certify).expect("signed");
        call(second.path(), &format!("root accept {}", signed.display())).expect("accepted");
        assert_eq!(papers(&layout).certificate.name, "vm2");
        // A revocation alone is for brokers to spread.
        let revoke = format!("root revoke {} --out {}", PublicKey([7; 32]), signed.display());
        call(away.path(), &revoke).expect("revoked");
        call(second.path(), &format!("root accept {}", signed.display())).expect("accepted");
        assert_eq!(papers(&layout).revocations.len(), 1);
        assert_eq!(papers(&layout).predecessors().count(), 0, "revoked, not succeeded");
    }
}

#[cfg(feature = "broker")]
#[test]
fn a_wish_for_another_size_says_what_stays_meanwhile() {
    use super::ask::asked_for;
    assert_eq!(asked_for(52, &[]), "Asked for a /52.\n");
    let held = ["2001:db8:4800::/56".parse().expect("prefix")];
    let expected =
        "Asked for a /52. 2001:db8:4800::/56 stays until an administrator of the broker decides.\n";
    assert_eq!(asked_for(52, &held), expected);
}
