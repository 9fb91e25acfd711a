use super::*;
use ln6_types::VerifyKey;

fn act(action: Action) -> ApiRequest {
    ApiRequest::Registry(RegistryRequest::Act(Box::new(action)))
}

fn prefix(text: &str) -> Prefix {
    text.parse().expect("prefix")
}

/// One of each, with every field said.
fn all() -> Vec<ApiRequest> {
    let name = || "quintana".to_owned();
    let why = || Some("moved".to_owned());
    let pool = prefix("2001:db8:4800::/40");
    let keys = Some((PublicKey([1; 32]), VerifyKey([2; 32])));
    let actions = vec![
        Action::Invite(Invite {
            name: Some("a".into()),
            size: Some(56),
            expires_seconds: Some(60),
            open: true,
        }),
        Action::Withdraw(Withdraw { invitation: "3".into() }),
        Action::Approve(Approve {
            request: "3".into(),
            prefix: Some(prefix("2001:db8:4801::/48")),
            size: Some(56),
            name: Some("b".into()),
            holder: Some("c".into()),
            reason: why(),
            expect: Some(1),
        }),
        Action::Deny(Deny { request: "3".into(), reason: why(), expect: Some(1) }),
        Action::Revoke(Revoke { name: name(), reason: why(), compromised: true, expect: Some(7) }),
        Action::Suspend(Suspend { name: name(), reason: why(), expect: Some(7) }),
        Action::Resume(Resume { name: name(), reason: why(), expect: Some(7) }),
        Action::Undo(Undo { name: name(), request: Some("3".into()), reason: why(), expect: Some(7) }),
        Action::Replace(Replace {
            name: "a".into(),
            keys,
            expires_seconds: None,
            reason: why(),
            expect: None,
        }),
        Action::Resize(Resize {
            prefix: Some(prefix("2001:db8:4801::/48")),
            holder: Some(name()),
            size: 44,
            moving: true,
            reason: why(),
            expect: Some(7),
        }),
        Action::Reserve(Reserve { prefix: pool, holder: Some(name()), note: why() }),
        Action::Unreserve(Unreserve { prefix: pool, reason: why(), expect: Some(7) }),
        Action::Note(Note {
            name: name(),
            note: Some(String::new()),
            contact: Some("ana@example.net".into()),
            expect: Some(7),
        }),
        Action::Rename(Rename { name: name(), to: "q2".into(), reason: why(), expect: Some(7) }),
        Action::Bandwidth(Bandwidth {
            name: name(),
            bytes_per_second: Some(1_000_000),
            reason: why(),
            expect: Some(7),
        }),
        Action::Pool(Pool {
            prefix: pool,
            default: Some(48),
            largest: Some(44),
            smallest: Some(64),
            admission: Some("queue".into()),
            open: Some(true),
            reason: why(),
            expect: Some(7),
        }),
        Action::PoolClose(PoolClose { prefix: pool, reason: why(), expect: Some(7) }),
        Action::Policy(Policy { validity_seconds: Some(86_400), queue: Some(9), ..Policy::default() }),
        Action::Roles(Roles {
            name: name(),
            exit: Some(true),
            broker: Some(false),
            transit: None,
            reason: why(),
            expect: Some(7),
        }),
        Action::Renumber(Renumber { from: pool, to: prefix("2001:db8:5000::/40"), reason: why() }),
    ];
    let words: Vec<_> = actions.iter().map(Action::word).collect();
    assert_eq!(words, Action::WORDS);
    let mut all: Vec<ApiRequest> = actions.into_iter().map(act).collect();
    let registry = [
        RegistryRequest::Requests,
        RegistryRequest::Denials,
        RegistryRequest::Invitations,
        RegistryRequest::Pools,
        RegistryRequest::Policy,
        RegistryRequest::Holders(Holders {
            text: Some("qu & co".into()),
            state: Some("active".into()),
            pool: Some(pool),
            sort: Some("-since".into()),
            offset: 100,
            limit: Some(50),
        }),
        RegistryRequest::Holder(Holder { name: name() }),
        RegistryRequest::Space(Space { block: pool }),
        RegistryRequest::History(History {
            prefix: prefix("2001:db8:4801::/48"),
            at: Some(crate::schema::Time::from_secs(1_790_000_000)),
        }),
        RegistryRequest::Audit(Audit {
            before: Some(1000),
            limit: Some(50),
            text: Some("x".into()),
            holder: Some(name()),
            kind: Some("granted".into()),
            prefix: Some(pool),
            actor: Some("admin:ana".into()),
        }),
        RegistryRequest::Reservations,
        RegistryRequest::Confirmations,
        RegistryRequest::Backups,
        RegistryRequest::OpenApi,
        RegistryRequest::Preview(Box::new(Preview {
            action: Action::Suspend(Suspend { name: name(), reason: None, expect: None }),
        })),
        RegistryRequest::Confirm(Confirm { code: "7k3q".into() }),
        RegistryRequest::Backup,
        RegistryRequest::Export(Export { without_contacts: true }),
    ];
    all.extend(registry.into_iter().map(ApiRequest::Registry));
    all.extend([
        ApiRequest::Status,
        ApiRequest::Peers,
        ApiRequest::Sessions,
        ApiRequest::Routes,
        ApiRequest::Prefixes(Prefixes {
            text: Some("a".into()),
            state: Some("active".into()),
            pool: Some(pool),
            sort: Some("size".into()),
            offset: 1,
            limit: Some(2),
        }),
        ApiRequest::Certs,
        ApiRequest::Events(Events { after: 7, wait: 20 }),
        ApiRequest::Doctor,
        ApiRequest::Metrics,
        ApiRequest::Traffic(Traffic { peer: Some(name()) }),
        ApiRequest::Graph,
        ApiRequest::Ping(Ask { to: "vm".into() }),
        ApiRequest::Leave,
        ApiRequest::Wireguard(Leaf {
            name: "phone".into(),
            public_key: PublicKey([3; 32]),
            size: None,
            psk: true,
        }),
        ApiRequest::WireguardRemove(Name { name: name(), reason: why() }),
        ApiRequest::Reload,
        ApiRequest::Wish,
        ApiRequest::Join(Box::new(Joining {
            link: "ln6://join/x".into(),
            name: Some(name()),
            size: Some(52),
            ssid: Some("quintanalibre.org.ar".into()),
            lans: vec!["br-lan".into()],
            contact: Some("ana@example.net".into()),
        })),
        ApiRequest::Size(Sizing { size: 52 }),
        ApiRequest::Offloads,
        ApiRequest::Offload(Switch { name: "udp-gso".into(), on: true }),
    ]);
    all
}

fn read(parts: &Parts) -> Result<ApiRequest, ApiError> {
    let (path, query) =
        parts.path.split_once('?').map_or((&*parts.path, None), |(path, query)| (path, Some(query)));
    ApiRequest::from_http(parts.method, path, query, parts.body.as_bytes())
}

#[test]
fn every_request_reads_back_from_http() {
    for request in all() {
        assert_eq!(read(&request.to_http()), Ok(request));
    }
}

/// Existing lines never change, for other people's programs speak them; new ones are added.
#[test]
fn every_request_looks_as_it_always_did() {
    let line = |parts: Parts| format!("{} {} {}", parts.method, parts.path, parts.body).trim_end().to_owned();
    let now: Vec<String> = all().iter().map(|request| line(request.to_http())).collect();
    let golden: Vec<&str> = include_str!("golden.txt").lines().collect();
    for (now, golden) in now.iter().zip(&golden) {
        assert_eq!(now, golden);
    }
    assert_eq!(now.len(), golden.len(), "all of them:\n{}", now.join("\n"));
}

#[test]
fn the_wrong_method_path_or_body_is_refused() {
    let code = |method: &str, path: &str, body: &str| {
        ApiRequest::from_http(method, path, None, body.as_bytes()).expect_err("refused").code
    };
    assert_eq!(code("POST", "/api/v1/status", ""), "bad_request");
    assert_eq!(code("GET", "/api/v1/invite", ""), "bad_request");
    assert_eq!(code("POST", "/api/v1/pools", ""), "bad_request");
    assert_eq!(code("DELETE", "/api/v1/policy", ""), "bad_request");
    assert_eq!(code("GET", "/api/v1/nothing", ""), "not_found");
    assert_eq!(code("GET", "/", ""), "not_found");
    assert_eq!(code("POST", "/api/v1/approve", "{}"), "bad_request");
    assert_eq!(code("POST", "/api/v1/invite", "{\"nmae\":\"a\"}"), "bad_request");
    assert_eq!(code("POST", "/api/v1/invite", "["), "bad_request");
    assert_eq!(code("POST", "/api/v1/preview", "{\"action\":{\"suspend\":{}}}"), "bad_request");
    assert_eq!(code("POST", "/api/v1/preview", "{\"action\":{\"explode\":{}}}"), "bad_request");
    assert_eq!(
        ApiRequest::from_http("POST", "/api/v1/invite", None, b""),
        Ok(act(Action::Invite(Invite::default())))
    );
}

#[test]
fn a_question_is_bounded() {
    let code = |path: &str, query: &str| {
        ApiRequest::from_http("GET", path, Some(query), b"").expect_err("refused").code.into_owned()
    };
    assert_eq!(code("/api/v1/holders", "limit=501"), "bad_request");
    assert_eq!(code("/api/v1/holders", "limit=0"), "bad_request");
    assert_eq!(code("/api/v1/holders", "colour=red"), "bad_request");
    assert_eq!(code("/api/v1/status", "x=1"), "bad_request");
    assert_eq!(code("/api/v1/space", ""), "bad_request");
    assert_eq!(code("/api/v1/history", "prefix=2001:db8::/48&at=yesterday"), "bad_request");
    assert_eq!(code("/api/v1/history", "prefix=x"), "prefix_invalid");
    let waits = ApiRequest::from_http("GET", "/api/v1/events", Some("wait=3600"), b"");
    assert_eq!(waits, Ok(ApiRequest::Events(Events { after: 0, wait: WAIT })));
    let address = ApiRequest::from_http("GET", "/api/v1/history", Some("prefix=2001:db8::7"), b"");
    let history = History { prefix: prefix("2001:db8::7/128"), at: None };
    assert_eq!(address, Ok(ApiRequest::Registry(RegistryRequest::History(history))));
}

#[test]
fn only_reading_is_not_changing() {
    for request in all() {
        assert_eq!(request.changes(), request.to_http().method == "POST");
    }
    assert_eq!(all().iter().filter(|request| !request.changes()).count(), 27);
}

#[test]
fn what_small_builds_have_no_answer_to_is_known_to_be_that() {
    for request in all() {
        let path = request.to_http().path;
        let word = path.strip_prefix(BASE).and_then(|rest| rest.split('?').next()).expect("word");
        let broker = matches!(
            request,
            ApiRequest::Registry(_)
                | ApiRequest::Traffic(_)
                | ApiRequest::Graph
                | ApiRequest::Wish
                | ApiRequest::Join(_)
                | ApiRequest::Size(_)
                | ApiRequest::Offloads
                | ApiRequest::Offload(_)
        );
        assert_eq!(BROKERS.contains(&word), broker, "{word}");
    }
}

#[test]
fn a_preview_holds_the_change_under_the_word_of_its_path() {
    for request in all() {
        let ApiRequest::Registry(RegistryRequest::Act(action)) = request else { continue };
        let (word, body) = (action.word(), action.body());
        let text = serde_json::to_string(&Preview { action: *action }).expect("json");
        assert_eq!(text, format!("{{\"action\":{{\"{word}\":{body}}}}}"));
    }
}
