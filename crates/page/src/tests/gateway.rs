//! The page of a gateway: every line, who sees what, who may do what.

use super::*;
use crate::app::From;
use crate::node::LINES;

const PAGES: &[&str] = &[
    "/",
    "/peers",
    "/peers?text=a&from=1",
    "/traffic",
    "/health",
    "/settings",
    "/settings?tab=tokens",
    "/account",
    "/join",
    "/size",
    "/leave",
];

/// What everybody sees where guests may look.
const SHOWN: &[&str] = &["/", "/peers", "/traffic", "/health"];

fn settings(guests: bool) -> Settings {
    Settings { command: "ln6d".into(), gateway: true, guests, ..Settings::default() }
}

fn site(line: &str, guests: bool) -> Site {
    Site::with(Fake::gateway(12, line), settings(guests))
}

/// Asks from another machine, over a network in the open.
async fn from_afar(site: &Site, method: &str, path: &str, cookies: &str, form: &str) -> Got {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "192.168.1.1:6690")
        .header("origin", "http://192.168.1.1:6690")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("cookie", cookies)
        .extension(From("192.168.1.77".parse().expect("address")));
    site.send(request.body(Body::from(form.to_owned())).expect("request")).await
}

#[tokio::test]
async fn every_line_is_said_in_three_languages_with_its_next_step_and_its_colour() {
    for (line, class) in LINES {
        let site = site(line, true);
        let mut said = Vec::new();
        for (lang, code) in crate::words::Lang::ALL.iter().map(|lang| (*lang, lang.code())) {
            let got = site.get("/", &format!("ln6d_lang={code}")).await;
            assert_eq!(got.status, StatusCode::OK, "{line}: {}", got.body);
            let sentence =
                |group: &str| crate::words::known(lang, &format!("{group}.{line}")).expect("sentence");
            let text = got.body.replace("&#39;", "'");
            assert!(text.contains(&format!("<h1 id=\"standing\">{}</h1>", sentence("node.line"))), "{line}");
            assert!(text.contains(&format!("→ {}", sentence("node.next"))), "{line}");
            assert!(text.contains(&format!("class=\"standing {class}\"")), "{line}");
            said.push(text);
        }
        assert!(said[0] != said[1] && said[1] != said[2], "{line}");
    }
}

#[tokio::test]
async fn steps_tell_how_far_it_has_come() {
    let marks = |body: &str| -> Vec<String> {
        let list = body.split("<ol class=\"steps\">").nth(1).and_then(|rest| rest.split("</ol>").next());
        let items = list.expect("steps").split("<li class=\"").skip(1);
        items.map(|item| item.split('"').next().unwrap_or_default().to_owned()).collect()
    };
    for (line, wanted) in [
        ("no_network", "done now later later later later later"),
        ("no_broker", "done done failed later later later later"),
        ("waiting", "done done done now later later later"),
        ("refused", "done done done failed later later later"),
        ("suspended", "done done done failed later later later"),
        ("no_prefix", "done done done done now later later"),
        ("no_exit", "done done done done done done failed"),
        ("connected", "done done done done done done done"),
        ("left", "done now later later later later later"),
    ] {
        let body = site(line, true).get("/", "").await.body;
        assert_eq!(marks(&body).join(" "), wanted, "{line}");
    }
}

#[tokio::test]
async fn what_a_line_tells_is_not_told_again_below() {
    for (line, message) in [("waiting", "as the line says"), ("no_exit", "no way to the Internet: no exit")] {
        let body = site(line, true).get("/", "").await.body;
        assert!(!body.contains(message), "{line}");
        assert!(body.contains("the kernel does not forward IPv6"), "{line}: other problems are still there");
    }
    let calm = site("connected", true).get("/", "").await.body;
    assert!(!calm.contains("What is named below"));
    let refused = site("refused", true).get("/", "").await.body;
    assert_eq!(refused.matches("no free /48 is left").count(), 1, "the reason is told once");
}

#[tokio::test]
async fn every_page_renders_in_three_languages_for_an_administrator() {
    for line in ["connected", "waiting", "no_network"] {
        let site = site(line, false);
        let session = site.login("luz").await;
        for path in PAGES {
            for lang in ["en", "es", "pt"] {
                let got = site.get(path, &format!("{session}; ln6d_lang={lang}")).await;
                assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.body);
                assert!(got.body.contains(&format!("<html lang=\"{lang}\"")), "{path}");
                assert!(
                    !got.body.contains(" style=\"") && got.body.matches("<script").count() == 1,
                    "{path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn nobody_looks_without_login_unless_guests_may() {
    let closed = site("connected", false);
    for path in PAGES.iter().chain(&["/live"]) {
        let got = closed.get(path, "").await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{path}");
        assert!(got.header("location").starts_with("/login?to="), "{path}");
    }
    let open = site("connected", true);
    for path in SHOWN {
        assert_eq!(open.get(path, "").await.status, StatusCode::OK, "{path}");
    }
    for path in ["/settings", "/account", "/join", "/size", "/leave"] {
        assert_eq!(open.get(path, "").await.status, StatusCode::SEE_OTHER, "{path}");
    }
}

#[tokio::test]
async fn guests_see_nothing_that_is_not_theirs_and_are_offered_nothing_they_may_not_do() {
    for (line, _) in LINES {
        let site = site(line, true);
        let inside = site.login("luz").await;
        for path in SHOWN {
            let body = from_afar(&site, "GET", path, "", "").await.body;
            for secret in ["ln6://join", "vecinas@", "198.51.100.", "psk", "name=\"csrf\""] {
                assert!(!body.contains(secret), "{line} {path}: {secret}");
            }
            for offer in [
                "href=\"/leave\"",
                "href=\"/size\"",
                "href=\"/join\"",
                "action=\"/test\"",
                "href=\"/settings\"",
            ] {
                assert!(!body.contains(offer), "{line} {path}: {offer}");
            }
        }
        let own = site.get("/", &inside).await.body + &site.get("/peers", &inside).await.body;
        assert_eq!(own.contains("vecinas@"), *line != "no_network", "who is logged in sees the contact");
        let away = matches!(*line, "no_broker" | "cut_off" | "broker_away");
        assert!(
            !away || own.contains("no answer from 198.51.100.2"),
            "{line}: and where the broker should be"
        );
    }
}

#[tokio::test]
async fn guests_ask_about_single_peers_one_after_another() {
    let site = site("connected", true);
    let inside = site.login("luz").await;
    let begun = std::time::Instant::now();
    let asked = (0..4).map(|n| format!("/traffic?peer=nobody-{n}"));
    let site = &site;
    let asked = asked.map(|path| async move { from_afar(site, "GET", &path, "", "").await.status });
    futures_util::future::join_all(asked).await;
    let taken = begun.elapsed();
    assert!(taken >= 3 * crate::app::TURN, "{taken:?}");
    // Who is logged in waits for no guest.
    let (guests, _) = tokio::join!(
        futures_util::future::join_all((0..4).map(|_| from_afar(site, "GET", "/traffic?peer=x", "", ""))),
        async {
            let begun = std::time::Instant::now();
            site.get("/traffic?peer=y", &inside).await;
            assert!(begun.elapsed() < 3 * crate::app::TURN);
        }
    );
    assert_eq!(guests.len(), 4);
}

#[tokio::test]
async fn a_guest_cannot_act_whatever_is_sent() {
    let site = site("connected", true);
    for path in ["/join", "/size", "/leave", "/reload", "/test", "/settings/people", "/logout"] {
        let got = site.post(path, "", "csrf=x&size=48&link=ln6://join/x&retyped=quintana").await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{path}");
        assert!(got.header("location").starts_with("/login"), "{path}");
        let got = from_afar(&site, "POST", path, "", "csrf=x&size=48").await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(site.changes().is_empty(), "{:?}", site.changes());
}

#[tokio::test]
async fn over_a_network_in_the_open_nobody_is_logged_in_nor_logs_in() {
    let site = site("connected", true);
    let session = site.login("luz").await;
    assert!(site.get("/", &session).await.body.contains("href=\"/leave\""));
    let afar = from_afar(&site, "GET", "/", &session, "").await;
    assert_eq!(afar.status, StatusCode::OK);
    assert!(!afar.body.contains("href=\"/leave\"") && !afar.body.contains("luz"), "the session is not heard");
    assert!(afar.body.contains("Here one only looks") && !afar.body.contains("href=\"/login"));
    for (method, path) in [
        ("GET", "/login"),
        ("POST", "/login"),
        ("GET", "/setup/x"),
        ("GET", "/account"),
        ("GET", "/api/v1/status"),
        ("POST", "/size"),
    ] {
        let got = from_afar(&site, method, path, &session, "name=luz&password=correct+horse").await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{method} {path}");
        assert!(got.cookie("ln6d").is_none(), "{method} {path}");
    }
    let view = from_afar(&site, "POST", "/view", "", "lang=pt&to=/").await;
    assert_eq!(view.status, StatusCode::SEE_OTHER, "language and colours are everybody's");
    assert!(from_afar(&site, "GET", "/", "ln6d_lang=pt", "").await.body.contains("<html lang=\"pt\""));
    // The mark of such a connection cannot be taken off, nor put on, from outside.
    let forged = Request::get("/login").header("host", "127.0.0.1").header("x-ln6d-in-the-open", "1");
    assert_eq!(site.send(forged.body(Body::empty()).expect("request")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn with_encryption_one_logs_in_from_everywhere() {
    let site = Site::with(Fake::gateway(12, "connected"), Settings { secure: true, ..settings(true) });
    let got = from_afar(&site, "GET", "/login", "", "").await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    assert!(from_afar(&site, "GET", "/", "", "").await.body.contains("href=\"/login"));
}

#[tokio::test]
async fn a_forged_form_changes_nothing() {
    let site = site("connected", true);
    let session = site.login("luz").await;
    for path in ["/join", "/size", "/leave", "/reload", "/test"] {
        let got = site.post(path, &session, "csrf=&size=48&retyped=quintana").await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}");
        let csrf = site.get("/size", &session).await.csrf();
        let elsewhere = Request::post(path)
            .header("host", "127.0.0.1:6680")
            .header("origin", "http://evil.example")
            .header("cookie", &session);
        let form = Body::from(format!("csrf={csrf}&size=48"));
        let got = site.send(elsewhere.body(form).expect("request")).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(site.changes().is_empty());
}

#[tokio::test]
async fn each_role_does_what_it_may() {
    let site = site("connected", false);
    let (luz, omar, vera) = (site.login("luz").await, site.login("omar").await, site.login("vera").await);
    for (path, may) in
        [("/size", [true, true, false]), ("/leave", [true, false, false]), ("/join", [true, false, false])]
    {
        for (session, may) in [&luz, &omar, &vera].into_iter().zip(may) {
            let wanted = if may { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(site.get(path, session).await.status, wanted, "{path}");
            if !may {
                let csrf = site.get("/health", session).await.csrf();
                let got = site.post(path, session, &format!("csrf={csrf}&size=52&retyped=quintana")).await;
                assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}");
            }
        }
    }
    let csrf = site.get("/health", &vera).await.csrf();
    let tested = site.post("/test", &vera, &format!("csrf={csrf}")).await;
    assert_eq!(tested.status, StatusCode::OK, "a viewer may test");
    assert!(tested.body.contains("38\u{a0}ms"), "{}", tested.body);
    assert_eq!(site.post("/reload", &vera, &format!("csrf={csrf}")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        site.changes().iter().filter(|line| !line.contains("/ping")).count(),
        0,
        "{:?}",
        site.changes()
    );
}

#[tokio::test]
async fn joining_passes_on_what_was_typed_and_keeps_it_when_it_is_wrong() {
    let site = site("no_network", true);
    let session = site.login("luz").await;
    assert!(site.get("/", &session).await.body.contains("href=\"/join\""));
    let csrf = site.get("/join", &session).await.csrf();
    let wrong =
        site.post("/join", &session, &format!("csrf={csrf}&link=https://x.example&ssid=a+mesh")).await;
    assert_eq!(wrong.status, StatusCode::OK);
    assert!(wrong.body.contains("this is no invitation of ln6d") && wrong.body.contains("a mesh"));
    let form =
        format!("csrf={csrf}&link=ln6://join/ab%0A+cd&ssid=a+mesh&lans=br-lan&size=/52&name=&contact=");
    let right = site.post("/join", &session, &form).await;
    assert_eq!((right.status, right.header("location")), (StatusCode::SEE_OTHER, "/"));
    let last = site.changes().pop().expect("asked");
    assert_eq!(
        last,
        "admin:luz POST /api/v1/join {\"link\":\"ln6://join/abcd\",\"name\":null,\"size\":52,\"ssid\":\"a mesh\",\"lans\":[\"br-lan\"],\"contact\":null}"
    );
}

#[tokio::test]
async fn another_size_is_asked_for_and_leaving_says_its_effects_before() {
    let site = site("connected", false);
    let session = site.login("omar").await;
    let ask = site.get("/size", &session).await;
    let bad = site.post("/size", &session, &format!("csrf={}&size=7", ask.csrf())).await;
    assert!(bad.status == StatusCode::OK && bad.body.contains("7 is not a prefix length"));
    let done = site.post("/size", &session, &format!("csrf={}&size=/52", ask.csrf())).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(site.changes(), ["admin:omar POST /api/v1/size {\"size\":52}"]);

    let session = site.login("luz").await;
    let ask = site.get("/leave", &session).await;
    assert!(ask.body.contains("Devices on br-lan lose their addresses"), "{}", ask.body);
    let form = |typed: &str| format!("csrf={}&retyped={typed}", ask.csrf());
    assert!(site.post("/leave", &session, &form("quintan")).await.body.contains("role=\"alert\""));
    assert_eq!(site.changes().len(), 1, "nothing was done");
    assert_eq!(site.post("/leave", &session, &form("quintana")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(site.changes()[1], "admin:luz POST /api/v1/leave {}");
}

#[tokio::test]
async fn what_people_wrote_is_text_on_a_gateways_page() {
    let hostile = "<script>alert(1)</script>\"'><img src=x onerror=y>\u{202e}";
    for (line, _) in LINES {
        let mut fake = Fake::gateway(12, line);
        fake.words = Some(hostile.into());
        let site = Site::with(fake, settings(true));
        let session = site.login("luz").await;
        let csrf = site.get("/health", &session).await.csrf();
        let mut all: Vec<Got> = Vec::new();
        for path in PAGES {
            all.push(site.get(path, &session).await);
        }
        all.push(site.get(&format!("/peers?text={}", crate::look::encoded(hostile)), "").await);
        all.push(site.post("/test", &session, &format!("csrf={csrf}")).await);
        let typed = crate::look::encoded(hostile);
        all.push(site.post("/join", &session, &format!("csrf={csrf}&link={typed}&lans={typed}")).await);
        all.push(site.post("/size", &session, &format!("csrf={csrf}&size={typed}")).await);
        for got in all {
            assert_eq!(got.status, StatusCode::OK, "{line}: {}", got.body);
            assert!(!got.body.contains("<script>alert") && !got.body.contains("<img src=x"), "{line}");
            assert!(!got.body.contains('\u{202e}'), "{line}");
        }
    }
}

#[tokio::test]
async fn a_brokers_page_has_nothing_of_it_and_the_other_way_round() {
    let broker = Site::new(Fake::new(3));
    let session = broker.login("luz").await;
    for path in ["/peers", "/join", "/size", "/leave"] {
        assert_eq!(broker.get(path, &session).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let gateway = site("connected", true);
    let session = gateway.login("luz").await;
    for path in ["/requests", "/gateways", "/prefixes", "/do/approve", "/topology", "/activity"] {
        assert_eq!(gateway.get(path, &session).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
