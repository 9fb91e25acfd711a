//! What must not work.

use super::*;

#[tokio::test]
async fn nothing_is_shown_to_who_is_not_logged_in() {
    let site = Site::new(Fake::new(5));
    for path in [
        "/",
        "/requests",
        "/prefixes",
        "/prefixes/history",
        "/gateways",
        "/gateways/quintana",
        "/topology",
        "/traffic",
        "/activity",
        "/health",
        "/settings",
        "/account",
        "/do/suspend",
        "/live",
    ] {
        for cookies in ["", "ln6d=", "ln6d=AAAA", "ln6d=../../etc/passwd"] {
            let got = site.get(path, cookies).await;
            assert_eq!(got.status, StatusCode::SEE_OTHER, "{path}");
            assert!(got.header("location").starts_with("/login?to=%2F"), "{path}");
        }
    }
    assert!(site.asked.lock().expect("lock").is_empty(), "the daemon was asked for a stranger");
}

#[tokio::test]
async fn every_answer_carries_its_headers() {
    let site = Site::new(Fake::new(5));
    let session = site.login("luz").await;
    let style = crate::asset::STYLE.path();
    for path in ["/", "/login", "/nothing", &style, "/api/v1/status", "/setup/x"] {
        let got = site.get(path, &session).await;
        let policy = got.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(got.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(got.header("referrer-policy"), "same-origin", "{path}");
        let cached = path == style;
        assert_eq!(got.header("cache-control") == "no-store", !cached, "{path}");
    }
}

#[tokio::test]
async fn a_session_cookie_is_for_this_site_and_not_for_scripts() {
    let plain = Site::new(Fake::new(5));
    let got = plain.try_login("luz", PASSWORD).await;
    let cookies: Vec<_> = got
        .headers
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|v| v.to_str().expect("text").to_owned())
        .collect();
    assert!(
        cookies.iter().all(|cookie| cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict")),
        "{cookies:?}"
    );
    let settings = Settings { secure: true, ..Settings::default() };
    let secure = Site::with(Fake::new(5), settings);
    let form = secure.get("/login", "").await;
    let cookies = form.header(header::SET_COOKIE);
    assert!(cookies.starts_with("__Host-ln6d_form=") && cookies.contains("; Secure"), "{cookies}");
    assert!(form.headers.contains_key("strict-transport-security"));
}

#[tokio::test]
async fn a_session_from_before_login_opens_nothing_after_it() {
    let site = Site::new(Fake::new(5));
    let form = site.get("/login", "ln6d=chosen-by-somebody-else").await;
    let cookies =
        format!("ln6d=chosen-by-somebody-else; ln6d_form={}", form.cookie("ln6d_form").expect("bound"));
    let got =
        site.post("/login", &cookies, &format!("csrf={}&name=luz&password=correct+horse", form.csrf())).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
    assert_eq!(site.get("/", "ln6d=chosen-by-somebody-else").await.status, StatusCode::SEE_OTHER);
    let first = format!("ln6d={}", got.cookie("ln6d").expect("session"));
    let again = site.login("luz").await;
    assert_ne!(first, again, "each login has a secret of its own");
}

#[tokio::test]
async fn a_form_without_its_token_or_from_elsewhere_does_nothing() {
    let site = Site::new(Fake::new(5));
    let (luz, omar) = (site.login("luz").await, site.login("omar").await);
    let token = site.get("/do/suspend?name=quintana", &luz).await.csrf();
    let other = site.get("/do/suspend?name=quintana", &omar).await.csrf();
    for csrf in ["", "x", &other, &token[..20]] {
        let got = site.post("/do/suspend", &luz, &format!("name=quintana&csrf={csrf}")).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{csrf}");
    }
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:6681"),
        ("x-nothing", "no origin at all"),
    ] {
        let request = Request::post("/do/suspend")
            .header("host", "127.0.0.1:6680")
            .header("cookie", &luz)
            .header(name, value);
        let got = site
            .send(request.body(Body::from(format!("name=quintana&csrf={token}"))).expect("request"))
            .await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{value}");
    }
    let site_header = Request::post("/do/suspend")
        .header("host", "127.0.0.1:6680")
        .header("origin", "http://127.0.0.1:6680")
        .header("sec-fetch-site", "cross-site")
        .header("cookie", &luz);
    let got = site
        .send(site_header.body(Body::from(format!("name=quintana&csrf={token}"))).expect("request"))
        .await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    assert!(site.changes().is_empty());
}

#[tokio::test]
async fn the_token_of_forms_looks_different_each_time() {
    let site = Site::new(Fake::new(5));
    let luz = site.login("luz").await;
    let first = site.get("/account", &luz).await.csrf();
    assert_ne!(first, site.get("/account", &luz).await.csrf(), "a compressed page must not give it away");
    assert_eq!(site.post("/logout", &luz, &format!("csrf={first}")).await.header("location"), "/login");
    assert_eq!(site.get("/", &luz).await.status, StatusCode::SEE_OTHER, "logged out");
}

#[tokio::test]
async fn roles_hold_for_pages_and_for_forms() {
    let site = Site::new(Fake::new(5));
    let (omar, vera) = (site.login("omar").await, site.login("vera").await);
    for word in crate::act::WORDS {
        let path = format!("/do/{}?name=quintana", word.word);
        let token = site.get("/account", &vera).await.csrf();
        assert_eq!(site.get(&path, &vera).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(
            site.post(&path, &vera, &format!("csrf={token}&name=quintana")).await.status,
            StatusCode::FORBIDDEN,
            "{path}"
        );
        if word.role == Role::Admin {
            assert_eq!(site.get(&path, &omar).await.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    let token = site.get("/account", &omar).await.csrf();
    for path in ["/settings/people", "/settings/tokens", "/settings/backup", "/settings/export"] {
        let form = format!("csrf={token}&what=add&name=eve&role=admin&new=correct+horse&scope=admin");
        assert_eq!(site.post(path, &omar, &form).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(site.changes().is_empty());
}

#[tokio::test]
async fn guessing_is_slowed_down_and_names_are_not_told() {
    let site = Site::new(Fake::new(5));
    let mut bodies = Vec::new();
    for name in ["luz", "nobody-of-this-name"] {
        let got = site.try_login(name, "wrong").await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED);
        bodies.push(
            got.body
                .split("role=\"alert\"")
                .nth(1)
                .unwrap_or_default()
                .split("</p>")
                .next()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    assert_eq!(bodies[0], bodies[1]);
    let mut last = StatusCode::OK;
    for _ in 0..6 {
        last = site.try_login("luz", "wrong").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let known = crate::secret::text(&site.app.mac(&["browser", "luz"]));
    let form = site.get("/login", "").await;
    let cookies = format!("ln6d_known={known}; ln6d_form={}", form.cookie("ln6d_form").expect("bound"));
    let got =
        site.post("/login", &cookies, &format!("csrf={}&name=luz&password=correct+horse", form.csrf())).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "the owner's browser is not locked out");
}

#[tokio::test]
async fn a_changed_password_or_role_ends_the_sessions_of_before() {
    let site = Site::new(Fake::new(5));
    let vera = site.login("vera").await;
    assert_eq!(site.get("/", &vera).await.status, StatusCode::OK);
    site.app.accounts.change(|book| book.set_role("vera", Role::Operator)).expect("changed");
    assert_eq!(site.get("/", &vera).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_read() {
    let site = Site::new(Fake::new(5));
    let luz = site.login("luz").await;
    let got = site.post("/do/suspend", &luz, &"x".repeat(40 * 1024)).await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    let many = (0..2000).map(|n| format!("a{n}=1&")).collect::<String>();
    assert!(site.get(&format!("/gateways?{many}"), &luz).await.status.is_success());
    for path in ["/assets/..%2f..%2fetc%2fpasswd", "/assets/%00", "/gateways/%ff%fe", "/api/v1/..%2fconfirm"]
    {
        assert!(site.get(path, &luz).await.status.is_client_error(), "{path}");
    }
}

#[tokio::test]
async fn another_name_for_this_machine_is_not_answered() {
    let site = Site::new(Fake::new(5));
    for (host, good) in [
        ("127.0.0.1:6680", true),
        ("localhost:9999", true),
        ("[::1]:6680", true),
        ("evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("", false),
    ] {
        let request = Request::get("/login").header("host", host).body(Body::empty()).expect("request");
        assert_eq!(site.send(request).await.status == StatusCode::OK, good, "{host}");
    }
}

#[tokio::test]
async fn a_token_may_do_what_its_scopes_say_and_no_more() {
    let site = Site::new(Fake::new(5));
    let make = |scopes: &[&str]| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        site.app
            .accounts
            .change(|book| book.make_token("t", scopes, "luz", 1_700_000_000, 3650))
            .expect("token")
    };
    let call = async |token: &str, method: &str, path: &str, body: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"));
        site.send(request.body(Body::from(body.to_owned())).expect("request")).await.status
    };
    let (read, requests, admin) =
        (make(&["read"]), make(&["requests"]), make(&["read", "requests", "holders", "admin"]));
    assert_eq!(call(&read, "GET", "/api/v1/status", "").await, StatusCode::OK);
    assert_eq!(call(&read, "POST", "/api/v1/suspend", "{\"name\":\"a\"}").await, StatusCode::FORBIDDEN);
    assert_eq!(call(&read, "POST", "/api/v1/export", "").await, StatusCode::FORBIDDEN);
    assert_eq!(call(&requests, "POST", "/api/v1/approve", "{\"request\":\"1\"}").await, StatusCode::OK);
    assert_eq!(call(&requests, "POST", "/api/v1/suspend", "{\"name\":\"a\"}").await, StatusCode::FORBIDDEN);
    assert_eq!(call(&requests, "GET", "/api/v1/peers", "").await, StatusCode::FORBIDDEN);
    for (path, body) in
        [("/api/v1/confirm", "{\"code\":\"K7QX-2M\"}"), ("/api/v1/leave", ""), ("/api/v1/reload", "")]
    {
        assert_eq!(
            call(&admin, "POST", path, body).await,
            StatusCode::FORBIDDEN,
            "{path} is for the machine"
        );
    }
    assert_eq!(call("ln6d_wrong", "GET", "/api/v1/status", "").await, StatusCode::UNAUTHORIZED);
    let session = site.login("luz").await;
    assert_eq!(
        site.get("/api/v1/status", &session).await.status,
        StatusCode::UNAUTHORIZED,
        "a cookie is no token"
    );
}

#[tokio::test]
async fn a_set_up_link_works_once() {
    let site = Site::new(Fake::new(5));
    let now = ln6_api::schema::Time::now().as_secs();
    let code = site.app.accounts.change(|book| Ok(book.make_setup(now))).expect("code");
    let path = format!("/setup/{code}");
    let form = site.get(&path, "").await;
    assert_eq!(form.status, StatusCode::OK);
    let bound = format!("ln6d_form={}", form.cookie("ln6d_form").expect("bound"));
    let body = format!("csrf={}&name=ana&password=correct+horse&repeated=correct+horse", form.csrf());
    let short = site.post(&path, &bound, &body.replace("correct+horse", "short")).await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(site.post(&path, &bound, &body).await.status, StatusCode::SEE_OTHER);
    assert_eq!(site.get(&path, "").await.status, StatusCode::GONE);
    assert_eq!(site.post(&path, &bound, &body.replace("ana", "eve")).await.status, StatusCode::GONE);
    assert_eq!(site.get("/setup/wrong", "").await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_token_reaches_a_key_list_and_a_denial_only_by_their_scopes() {
    let site = Site::new(Fake::new(5));
    let call = async |scope: &str, word: &str, body: &str| {
        let made = site
            .app
            .accounts
            .change(|book| book.make_token("t", vec![scope.into()], "luz", 1_700_000_000, 3650));
        let request = Request::post(format!("/api/v1/{word}"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", made.expect("token")));
        site.send(request.body(Body::from(body.to_owned())).expect("request")).await.status
    };
    let commit = "{\"commit\":\"b7e23ec29af22b0b4e41da31e868d57226121c84\"}";
    for (scope, pull, confirm, undo) in [
        ("read", StatusCode::FORBIDDEN, StatusCode::FORBIDDEN, StatusCode::FORBIDDEN),
        ("requests", StatusCode::FORBIDDEN, StatusCode::FORBIDDEN, StatusCode::OK),
        ("holders", StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::FORBIDDEN),
        ("admin", StatusCode::FORBIDDEN, StatusCode::OK, StatusCode::FORBIDDEN),
    ] {
        assert_eq!(call(scope, "keylist-pull", "{}").await, pull, "{scope}");
        assert_eq!(call(scope, "keylist-confirm", commit).await, confirm, "{scope}");
        assert_eq!(call(scope, "undo", "{\"request\":\"91\"}").await, undo, "{scope}");
    }
}

#[tokio::test]
async fn what_would_end_a_statement_elsewhere_reaches_the_daemon_unharmed() {
    let site = Site::new(Fake::new(5));
    let luz = site.login("luz").await;
    let typed = "'; DROP TABLE holder; -- \" \\ % _ )";
    let csrf = site.get("/do/suspend?name=quintana", &luz).await.csrf();
    let (name, reason) = ("quintana", crate::look::encoded(typed));
    let form = format!("csrf={csrf}&name={name}&expect=3&reason={reason}");
    assert_eq!(site.post("/do/suspend", &luz, &form).await.status, StatusCode::SEE_OTHER);
    let change = site.changes().pop().expect("a change");
    let body = change.split_once("/api/v1/suspend ").expect("a body").1;
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["reason"], typed);
    assert_eq!(site.get(&format!("/gateways?text={reason}"), &luz).await.status, StatusCode::OK);
    let asked = site.asked.lock().expect("lock");
    let line = asked.iter().rev().find(|line| line.contains("/api/v1/holders?")).expect("asked for");
    assert!(line.contains("DROP") && !line.contains("'; DROP"), "escaped as a query, not cut: {line}");
}

/// A connection to a page that is really served.
async fn served(site: &Site) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("bound");
    let at = listener.local_addr().expect("address");
    tokio::spawn(crate::server::serve(Arc::clone(&site.app), vec![crate::server::Door::Tcp(listener, None)]));
    at
}

#[tokio::test]
async fn a_head_that_is_too_long_ends_the_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let site = Site::new(Fake::new(5));
    let mut stream = tokio::net::TcpStream::connect(served(&site).await).await.expect("connected");
    let head = format!("GET /login HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    // It may be hung up on while it still writes.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn who_sends_a_head_or_a_body_drop_by_drop_is_hung_up_on() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let site = Site::new(Fake::new(5));
    let at = served(&site).await;
    let slow = async |beginning: &'static str| {
        let mut stream = tokio::net::TcpStream::connect(at).await.expect("connected");
        stream.write_all(beginning.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut answer));
        assert!(ended.await.is_ok(), "still open after 30 s: {beginning}");
        assert!(!answer.starts_with(b"HTTP/1.1 2") && !answer.starts_with(b"HTTP/1.1 3"));
    };
    tokio::join!(
        slow("GET /login HTTP/1.1\r\nhost: localhost\r\nx:"),
        slow(
            "POST /login HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\ncsrf="
        ),
    );
    assert_eq!(site.get("/login", "").await.status, StatusCode::OK);
}
