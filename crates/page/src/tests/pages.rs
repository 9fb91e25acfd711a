//! What is on the pages.

use super::*;
use std::time::{Duration, Instant};

const PAGES: &[&str] = &[
    "/",
    "/requests",
    "/prefixes",
    "/prefixes?view=map",
    "/prefixes?view=map&block=2001:db8:4800::/48",
    "/prefixes?view=table",
    "/prefixes/history",
    "/prefixes/history?prefix=2001:db8:4812::1&at=2026-01-01T10:00",
    "/gateways",
    "/gateways?sort=-since&state=active&text=a",
    "/topology",
    "/traffic",
    "/traffic?peer=quintana",
    "/activity",
    "/activity?before=500&text=x",
    "/health",
    "/settings",
    "/settings?tab=invitations",
    "/settings?tab=reservations",
    "/settings?tab=keylist",
    "/settings?tab=people",
    "/settings?tab=tokens",
    "/settings?tab=backup",
    "/account",
];

#[tokio::test]
async fn every_page_renders_in_three_languages() {
    let site = Site::new(Fake::new(40));
    let session = site.login("luz").await;
    let mut paths: Vec<String> = PAGES.iter().map(|path| (*path).to_owned()).collect();
    paths.push("/gateways/quintana".into());
    paths.extend(crate::act::WORDS.iter().map(|word| format!("/do/{}", word.word)));
    for path in &paths {
        let mut titles = Vec::new();
        for lang in ["en", "es", "pt"] {
            let got = site.get(path, &format!("{session}; ln6d_lang={lang}")).await;
            assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.body);
            assert!(got.body.contains(&format!("<html lang=\"{lang}\"")), "{path}");
            titles.push(got.body.len());
        }
        assert!(titles[0] != titles[1] || titles[1] != titles[2], "{path} is the same in all languages");
    }
}

#[tokio::test]
async fn what_people_wrote_is_text_on_every_page() {
    let mut fake = Fake::new(40);
    fake.words = Some("<script>alert(1)</script>\"'><img src=x onerror=y>\u{202e}".into());
    let site = Site::new(fake);
    let session = site.login("luz").await;
    let mut paths: Vec<String> = PAGES.iter().map(|path| (*path).to_owned()).collect();
    let name = crate::look::encoded("<script>alert(1)</script>\"'><img src=x onerror=y>\u{202e}0");
    paths.push(format!("/gateways/{name}"));
    paths.push(format!("/do/suspend?name={name}&expect=1&back=javascript:alert(1)"));
    paths.push(format!("/gateways?text={name}&sort={name}&state={name}"));
    paths.push(format!("/login?to=//evil.example/{name}"));
    for path in &paths {
        let got = site.get(path, &session).await;
        assert!(!got.status.is_server_error(), "{path}: {}", got.body);
        assert!(!got.body.contains("<script>alert") && !got.body.contains("<img src=x"), "{path}");
        assert!(!got.body.contains('\u{202e}') && !got.body.contains("href=\"javascript"), "{path}");
        assert!(!got.header("location").contains("evil"), "{path}");
    }
}

#[tokio::test]
async fn nothing_in_a_page_needs_an_inline_style_or_script() {
    let site = Site::new(Fake::new(40));
    let session = site.login("luz").await;
    for path in PAGES {
        let body = site.get(path, &session).await.body;
        assert!(
            !body.contains(" style=\"") && !body.contains("<style") && !body.contains(" onclick="),
            "{path}"
        );
        assert!(
            body.matches("<script").count() == 1 && !body.contains("http://") && !body.contains("https://"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn with_five_thousand_gateways_every_page_stays_light_and_quick() {
    let site = Site::new(Fake::new(5000));
    let session = site.login("luz").await;
    for path in PAGES {
        let request = || {
            let request = Request::get(*path).header("host", "127.0.0.1:6680").header("cookie", &session);
            request.header("accept-encoding", "gzip").body(Body::empty()).expect("request")
        };
        let response = router(&site.app).oneshot(request()).await.expect("infallible");
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        let bytes = axum::body::to_bytes(response.into_body(), 64 << 20).await.expect("body");
        assert!(bytes.len() < 200_000, "{path} weighs {}", bytes.len());
        // The second time the daemon's answers are there already: what is left is ours. Generous, for debug builds.
        let start = Instant::now();
        site.send(request()).await;
        assert!(start.elapsed() < Duration::from_secs(2), "{path} takes {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn lists_are_paged_without_script() {
    let site = Site::new(Fake::new(250));
    let session = site.login("vera").await;
    let first = site.get("/gateways", &session).await.body;
    assert!(first.contains("1–100 / 250") && first.contains("from=100"));
    let last = site.get("/gateways?from=200", &session).await.body;
    assert!(last.contains("201–250 / 250") && !last.contains("from=300"));
}

#[tokio::test]
async fn effects_are_shown_before_and_a_reason_is_passed_on() {
    let site = Site::new(Fake::new(40));
    let session = site.login("omar").await;
    let ask = site.get("/do/suspend?name=quintana&expect=3&back=/gateways/quintana", &session).await;
    assert!(ask.body.contains("3 LANs lose their addresses"), "effects come first");
    assert!(site.changes().is_empty(), "looking changes nothing");
    let form =
        format!("csrf={}&name=quintana&expect=3&reason=abuse+report&back=/gateways/quintana", ask.csrf());
    let done = site.post("/do/suspend", &session, &form).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/gateways/quintana"));
    assert_eq!(
        site.changes(),
        ["admin:omar POST /api/v1/suspend {\"name\":\"quintana\",\"reason\":\"abuse report\",\"expect\":3}"]
    );
    let said = format!("{session}; ln6d_said={}", done.cookie("ln6d_said").expect("said"));
    let after = site.get("/gateways/quintana", &said).await;
    assert!(after.body.contains("quintana: suspended"), "it is said once");
    assert_eq!(after.cookie("ln6d_said").as_deref(), Some(""));
}

#[tokio::test]
async fn a_grave_change_needs_the_name_typed() {
    let site = Site::new(Fake::new(40));
    let session = site.login("luz").await;
    let ask = site.get("/do/revoke?name=quintana&expect=3", &session).await;
    let form = format!("csrf={}&name=quintana&expect=3&compromised-asked=1&retyped=", ask.csrf());
    let refused = site.post("/do/revoke", &session, &format!("{form}quintan")).await;
    assert!(refused.status == StatusCode::OK && site.changes().is_empty());
    let done = site.post("/do/revoke", &session, &format!("{form}quintana")).await;
    assert_eq!((done.status, site.changes().len()), (StatusCode::SEE_OTHER, 1));
}

#[tokio::test]
async fn what_decides_about_the_network_waits_for_the_machine() {
    let site = Site::new(Fake::new(40));
    let session = site.login("luz").await;
    let ask = site.get("/do/policy?grace_seconds=30", &session).await;
    let done = site.post("/do/policy", &session, &format!("csrf={}&grace_seconds=30", ask.csrf())).await;
    assert!(done.body.contains("ln6d confirm K7QX-2M"), "{}", done.body);
    assert!(site.changes()[0].contains("\"grace_seconds\":2592000"));
}

#[tokio::test]
async fn without_the_daemon_there_is_a_page_that_says_so() {
    let mut fake = Fake::new(3);
    fake.down = true;
    let site = Site::new(fake);
    let session = site.login("luz").await;
    let got = site.get("/", &session).await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(got.body.contains("ln6d run") && got.body.contains("daemon_unreachable"));
}

#[tokio::test]
async fn a_denial_is_undone_from_where_the_requests_are() {
    let site = Site::new(Fake::new(40));
    let session = site.login("omar").await;
    let list = site.get("/requests", &session).await.body;
    assert!(list.contains("/do/undo?request=91&amp;back=/requests"), "the denial offers its undo");
    let ask = site.get("/do/undo?request=91&back=/requests", &session).await;
    let form = format!("csrf={}&request=91&back=/requests&reason=a+mistake", ask.csrf());
    assert_eq!(site.post("/do/undo", &session, &form).await.status, StatusCode::SEE_OTHER);
    let [change] = &site.changes()[..] else { panic!("one change") };
    assert!(change.starts_with("admin:omar POST /api/v1/undo ") && change.contains("\"request\":\"91\""));
}

#[tokio::test]
async fn every_change_of_a_holder_or_a_reservation_names_the_revision_that_was_seen() {
    let site = Site::new(Fake::new(40));
    let session = site.login("luz").await;
    let holder = site.get("/gateways/quintana", &session).await.body;
    let reserved = site.get("/settings?tab=reservations", &session).await.body;
    let requests = site.get("/requests", &session).await.body;
    for (page, words) in [
        (&holder, &["suspend", "revoke", "resize", "rename", "replace", "bandwidth", "roles", "note"][..]),
        (&reserved, &["unreserve"]),
        (&requests, &["approve", "deny"]),
    ] {
        for word in words {
            let links: Vec<&str> = page.split(&format!("href=\"/do/{word}?")).skip(1).collect();
            assert!(!links.is_empty(), "{word} is offered");
            for link in links {
                assert!(link.split('"').next().is_some_and(|link| link.contains("expect=")), "{word}");
            }
        }
    }
}

#[tokio::test]
async fn who_was_second_is_told_and_keeps_what_was_typed() {
    let mut fake = Fake::new(40);
    fake.outpaced = true;
    let site = Site::new(fake);
    let session = site.login("luz").await;
    let ask = site.get("/do/suspend?name=quintana&expect=2&back=/gateways/quintana", &session).await;
    let form = format!("csrf={}&name=quintana&expect=2&reason=a+long+sentence", ask.csrf());
    let got = site.post("/do/suspend", &session, &form).await;
    assert_eq!(got.status, StatusCode::OK);
    assert!(got.body.contains("role=\"alert\"") && got.body.contains("somebody else"), "{}", got.body);
    assert!(got.body.contains("a long sentence"), "nothing typed is lost");
}

#[tokio::test]
async fn what_a_key_list_holds_back_is_carried_out_by_an_administrator_alone() {
    let site = Site::new(Fake::new(40));
    let omar = site.login("omar").await;
    let luz = site.login("luz").await;
    let page = site.get("/settings?tab=keylist", &luz).await;
    let commit = page.body.split("name=\"commit\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let commit = commit.expect("the commit that was looked at is in the form");
    let theirs = site.get("/settings?tab=keylist", &omar).await;
    assert!(!theirs.body.contains("name=\"commit\""), "an operator is not offered it");
    let form = format!("csrf={}&commit={commit}", theirs.csrf());
    assert_eq!(site.post("/settings/keylist", &omar, &form).await.status, StatusCode::FORBIDDEN);
    let look = site.post("/settings/keylist", &omar, &format!("csrf={}", theirs.csrf())).await;
    assert_eq!(look.status, StatusCode::SEE_OTHER);
    let done = site.post("/settings/keylist", &luz, &format!("csrf={}&commit={commit}", page.csrf())).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let confirmed = format!("admin:luz POST /api/v1/keylist-confirm {{\"commit\":\"{commit}\"}}");
    assert_eq!(site.changes(), ["admin:omar POST /api/v1/keylist-pull {}", &confirmed]);
}
