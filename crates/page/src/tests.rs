//! The page as a browser sees it, in front of a made-up daemon.

mod attacks;
mod gateway;
mod pages;

use crate::accounts::{Accounts, Role};
use crate::fake::Fake;
use crate::secret::{Cost, Password};
use crate::{App, Settings, router};
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;

const CHEAP: Cost = Cost { memory: 8, passes: 1 };
const PASSWORD: &str = "correct horse";

struct Site {
    app: Arc<App>,
    asked: Arc<Mutex<Vec<String>>>,
    dir: PathBuf,
}

impl Drop for Site {
    fn drop(&mut self) {
        // Left-overs of a failed removal are in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The value of a cookie that was set.
    fn cookie(&self, name: &str) -> Option<String> {
        let all = self.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut named = all.filter_map(|text| text.split(';').next()?.split_once('='));
        named.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    }

    /// The token of the first form.
    fn csrf(&self) -> String {
        let after = self.body.split("name=\"csrf\" value=\"").nth(1).unwrap_or_default();
        after.split('"').next().unwrap_or_default().to_owned()
    }
}

impl Site {
    fn new(fake: Fake) -> Site {
        Site::with(fake, Settings { command: "ln6d".into(), ..Settings::default() })
    }

    fn with(fake: Fake, settings: Settings) -> Site {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("ln6-page-site-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("dir");
        let accounts = Accounts::new(&dir.join("admin.json"), CHEAP);
        accounts
            .change(|book| {
                for (name, role) in [("luz", Role::Admin), ("omar", Role::Operator), ("vera", Role::Viewer)] {
                    book.add(name, role, Password::new(PASSWORD, CHEAP))?;
                }
                Ok(())
            })
            .expect("accounts");
        let asked = Arc::clone(&fake.asked);
        Site { app: App::new(Box::new(fake), accounts, settings), asked, dir }
    }

    async fn send(&self, request: Request<Body>) -> Got {
        let response = router(&self.app).oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.expect("body");
        Got {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    async fn get(&self, path: &str, cookies: &str) -> Got {
        let request = Request::get(path).header("host", "127.0.0.1:6680").header("cookie", cookies);
        self.send(request.body(Body::empty()).expect("request")).await
    }

    async fn post(&self, path: &str, cookies: &str, form: &str) -> Got {
        let request = Request::post(path)
            .header("host", "127.0.0.1:6680")
            .header("origin", "http://127.0.0.1:6680")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", cookies);
        self.send(request.body(Body::from(form.to_owned())).expect("request")).await
    }

    /// Tries to log in; the cookies of a browser that keeps what it is given.
    async fn try_login(&self, name: &str, password: &str) -> Got {
        let form = self.get("/login", "").await;
        let bound = format!("ln6d_form={}", form.cookie("ln6d_form").expect("bound"));
        let password = password.replace(' ', "+");
        self.post("/login", &bound, &format!("csrf={}&name={name}&password={password}", form.csrf())).await
    }

    async fn login(&self, name: &str) -> String {
        let got = self.try_login(name, PASSWORD).await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
        format!("ln6d={}", got.cookie("ln6d").expect("session"))
    }

    fn changes(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("lock");
        asked.iter().filter(|line| line.contains(" POST ") && !line.contains("/preview")).cloned().collect()
    }
}
