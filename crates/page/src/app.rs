//! The page as one value: the way to the daemon, who may log in, who is logged in.

use crate::accounts::{Accounts, Person, Role};
use crate::backend::{Backend, Desk};
use crate::look::{Flash, Look, Theme};
use crate::secret;
use crate::session::{Patience, Session, Sessions};
use crate::words::Lang;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ln6_api::request::RegistryRequest;
use ln6_api::schema::{RequestList, Time};
use ln6_api::{ApiError, ApiRequest, CliError, Trouble};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore, watch};

/// Longest form, octets.
const FORM: usize = 32 * 1024;
/// Most fields of a form.
const FIELDS: usize = 64;
/// Between two questions of guests that no earlier answer may fit.
pub(crate) const TURN: Duration = Duration::from_millis(250);

/// How the page is reached.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Names under which it may be asked, besides those of this machine: `vm.example.net`.
    pub hosts: Vec<String>,
    /// Whether browsers come by TLS, here or at the proxy: cookies are then for TLS alone.
    pub secure: bool,
    /// Whether a proxy in front says who asks, in `x-forwarded-for`.
    pub proxy: bool,
    /// As the operator has to type the daemon's command: `ln6d`.
    pub command: String,
    /// Whether the node is no broker: then this is the page of a gateway.
    pub gateway: bool,
    /// Whether everybody who reaches a gateway's page may look without login. Nobody logs in where passwords would cross
    /// the network in the open.
    pub guests: bool,
}

/// The page.
pub struct App {
    /// The daemon.
    pub(crate) desk: Desk,
    /// Who may log in.
    pub(crate) accounts: Accounts,
    /// How it is reached.
    pub(crate) settings: Settings,
    sessions: Mutex<Sessions>,
    patience: Mutex<Patience>,
    key: [u8; 32],
    /// One password is stretched at a time: each takes 19 MiB.
    pub(crate) stretching: Semaphore,
    /// When a guest may next ask the daemon what it has not been asked just now.
    turn: tokio::sync::Mutex<tokio::time::Instant>,
    /// Counts what has happened, for those who watch.
    pub(crate) news: watch::Sender<u64>,
    /// Somebody watches.
    pub(crate) watched: Notify,
}

impl App {
    /// In front of `backend`.
    pub fn new(backend: Box<dyn Backend>, accounts: Accounts, settings: Settings) -> Arc<App> {
        Arc::new(App {
            desk: Desk::new(backend),
            accounts,
            settings,
            sessions: Mutex::default(),
            patience: Mutex::default(),
            key: secret::random(),
            stretching: Semaphore::new(1),
            turn: tokio::sync::Mutex::new(tokio::time::Instant::now()),
            news: watch::Sender::new(0),
            watched: Notify::new(),
        })
    }

    /// The sessions.
    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The waits after wrong passwords.
    pub(crate) fn patience(&self) -> MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of a guest whose question goes to the daemon whatever was asked before: without end to such
    /// questions the daemon would do nothing else.
    pub(crate) async fn take_turn(&self) {
        let mut next = self.turn.lock().await;
        tokio::time::sleep_until(*next).await;
        *next = tokio::time::Instant::now() + TURN;
    }

    /// Whether what comes from there crosses a network in the open.
    pub(crate) fn is_open(&self, from: From) -> bool {
        self.settings.guests && !self.settings.secure && !from.0.is_loopback()
    }

    /// Signs words with a key that lives as long as the page.
    pub(crate) fn mac(&self, words: &[&str]) -> Vec<u8> {
        secret::mac(&self.key, words)
    }

    /// The name of a cookie. With TLS it can be set by this host alone.
    pub(crate) fn cookie_name(&self, name: &str) -> String {
        if self.settings.secure { format!("__Host-{name}") } else { name.to_owned() }
    }

    /// A cookie for this page alone; `age` in seconds, or until the browser ends.
    pub(crate) fn cookie(&self, name: &str, value: &str, age: Option<u64>) -> (HeaderName, HeaderValue) {
        let name = self.cookie_name(name);
        let secure = if self.settings.secure { "; Secure" } else { "" };
        let age = age.map_or_else(String::new, |age| format!("; Max-Age={age}"));
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
        (header::SET_COOKIE, HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("")))
    }

    /// The token for forms, bound to `secret`. Masked anew each time, so that a compressed answer does not tell it.
    pub(crate) fn csrf(&self, secret: &str) -> String {
        let mask = secret::random();
        let token = self.mac(&["csrf", secret]);
        let hidden: Vec<u8> = mask.iter().zip(&token).map(|(a, b)| a ^ b).collect();
        secret::text(&[mask.to_vec(), hidden].concat())
    }

    fn csrf_fits(&self, secret: &str, given: &str) -> bool {
        let Some(bytes) = secret::bytes(given).filter(|bytes| bytes.len() == 64) else { return false };
        let token: Vec<u8> = bytes[..32].iter().zip(&bytes[32..]).map(|(a, b)| a ^ b).collect();
        secret::same(&token, &self.mac(&["csrf", secret]))
    }

    /// The session of a request, with the account as it is now.
    pub(crate) fn visitor(&self, headers: &HeaderMap, by_hand: bool) -> Option<(Session, Person, String)> {
        let cookie = cookie(headers, &self.cookie_name("ln6d"))?;
        let session = self.sessions().find(&cookie, by_hand, Instant::now())?;
        let book = self.accounts.book().ok()?;
        let person = book.person(&session.name).filter(|person| person.epoch == session.epoch)?;
        Some((session, person.clone(), cookie))
    }
}

/// Marks, inside this program only, a request that came over a network in the open: see [`App::is_open`].
pub(crate) const IN_THE_OPEN: HeaderName = HeaderName::from_static("x-ln6d-in-the-open");

/// A cookie's value.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).filter(|value| value.len() <= 512)
}

/// Who asks, by address; put there by the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From(pub(crate) IpAddr);

/// What went wrong; becomes a page in the language of whoever asked.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// HTTP's status.
    pub(crate) status: StatusCode,
    /// What is the matter, and the next step.
    pub(crate) error: ApiError,
}

impl std::convert::From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        let status = StatusCode::from_u16(error.exit.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Failure { status, error }
    }
}

impl Failure {
    /// With a status of its own.
    pub(crate) fn new(status: StatusCode, trouble: Trouble, message: &str, hint: &str) -> Failure {
        Failure { status, error: CliError::new(trouble, message).hint(hint) }
    }

    /// Nothing is there.
    pub(crate) fn nowhere() -> Failure {
        Failure::new(
            StatusCode::NOT_FOUND,
            Trouble::NotFound,
            "there is no such page",
            "begin at the overview",
        )
    }

    /// Not with this role.
    pub(crate) fn not_allowed() -> Failure {
        Failure::new(
            StatusCode::FORBIDDEN,
            Trouble::NotPermitted,
            "your role does not allow this",
            "an administrator can change roles under Settings, People",
        )
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A page, or what went wrong.
pub(crate) type Page = Result<Response, Failure>;

/// A template as a page.
pub(crate) fn page(template: &impl askama::Template) -> Page {
    let html = template.render().map_err(|error| CliError::new(Trouble::Internal, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}

/// To another page, after a form.
pub(crate) fn redirect(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

/// To another page, where a sentence is said once.
pub(crate) fn redirect_saying(app: &App, to: &str, bad: bool, text: &str) -> Response {
    let value = format!(
        "{}{}",
        if bad { "!" } else { "." },
        secret::text(text.chars().take(200).collect::<String>().as_bytes())
    );
    let mut response = redirect(to);
    let (name, value) = app.cookie("ln6d_said", &value, Some(30));
    response.headers_mut().append(name, value);
    response
}

fn flash(app: &App, headers: &HeaderMap) -> Option<Flash> {
    let value = cookie(headers, &app.cookie_name("ln6d_said"))?;
    let bad = value.starts_with('!');
    let text = String::from_utf8(secret::bytes(value.get(1..)?)?).ok()?;
    (!text.is_empty()).then_some(Flash { bad, text })
}

/// Where a page of ours is: a path of this host, nothing else.
pub(crate) fn local(path: &str) -> &str {
    let fine = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= 300
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if fine { path } else { "/" }
}

/// Language and colours of a request.
pub(crate) fn plain_look(app: &App, headers: &HeaderMap, path: &str, csrf: String) -> Look {
    let lang = cookie(headers, &app.cookie_name("ln6d_lang")).and_then(|code| Lang::of_code(&code));
    let header =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let theme = cookie(headers, &app.cookie_name("ln6d_theme")).and_then(|word| Theme::of(&word));
    Look {
        lang: lang.unwrap_or_else(|| Lang::of_header(header)),
        theme: theme.unwrap_or_default(),
        path: path.to_owned(),
        here: path.to_owned(),
        name: String::new(),
        role: Role::Viewer,
        csrf,
        waiting: 0,
        gateway: app.settings.gateway,
        may_log_in: !headers.contains_key(IN_THE_OPEN),
        flash: flash(app, headers),
        now: Time::now(),
    }
}

/// Somebody who is logged in, looking at a page.
pub(crate) struct Visitor {
    /// How they look.
    pub(crate) look: Look,
    /// The session's secret.
    pub(crate) cookie: String,
}

impl Visitor {
    /// Who they are, for the daemon.
    pub(crate) fn actor(&self) -> String {
        format!("admin:{}", self.look.name)
    }

    /// Refuses those with a lesser role.
    pub(crate) fn must_be(&self, role: Role) -> Result<(), Failure> {
        if self.look.role >= role { Ok(()) } else { Err(Failure::not_allowed()) }
    }
}

fn by_hand(headers: &HeaderMap) -> bool {
    !headers.contains_key("x-ln6d-live")
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let here = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let by_hand = by_hand(&parts.headers) && parts.uri.path() != "/live";
        let Some((_, person, cookie)) = app.visitor(&parts.headers, by_hand) else {
            let back =
                if parts.method == Method::GET && parts.uri.path() != "/live" { local(here) } else { "/" };
            return Err(redirect(&format!("/login?to={}", crate::look::encoded(back))));
        };
        let mut look = plain_look(app, &parts.headers, parts.uri.path(), app.csrf(&cookie));
        look.here = local(here).to_owned();
        look.name = person.name;
        look.role = person.role;
        if parts.method == Method::GET && parts.uri.path() != "/live" && !app.settings.gateway {
            let requests = app.desk.get::<RequestList>(ApiRequest::Registry(RegistryRequest::Requests)).await;
            look.waiting = requests.map_or(0, |list| u32::try_from(list.requests.len()).unwrap_or(u32::MAX));
        }
        Ok(Visitor { look, cookie })
    }
}

/// Somebody who looks at a page that changes nothing: who is logged in, or on a gateway that lets guests look, anybody.
pub(crate) struct Onlooker {
    /// How they look.
    pub(crate) look: Look,
}

impl FromRequestParts<Arc<App>> for Onlooker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        match Visitor::from_request_parts(parts, app).await {
            Ok(visitor) => Ok(Onlooker { look: visitor.look }),
            Err(_) if app.settings.gateway && app.settings.guests => {
                let mut look = plain_look(app, &parts.headers, parts.uri.path(), String::new());
                look.here = local(parts.uri.path_and_query().map_or("/", |path| path.as_str())).to_owned();
                Ok(Onlooker { look })
            }
            Err(elsewhere) => Err(elsewhere),
        }
    }
}

/// The fields of a form or a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    /// Reads them.
    pub(crate) fn read(text: &[u8]) -> Fields {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(text).unwrap_or_default();
        Fields(pairs.into_iter().take(FIELDS).collect())
    }

    /// A field without the spaces around it; empty if absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field as it came.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// At most so many characters of a field, none of them treacherous: what is looked for, to be shown again.
    pub(crate) fn short(&self, name: &str, most: usize) -> String {
        self.get(name).chars().filter(|c| !crate::markup::is_treacherous(*c)).take(most).collect()
    }

    /// All of one name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// If it is there and not empty.
    pub(crate) fn some(&self, name: &str) -> Option<String> {
        Some(self.get(name)).filter(|value| !value.is_empty()).map(str::to_owned)
    }
}

/// The query of a page.
pub(crate) struct Query(pub(crate) Fields);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let text = parts.uri.query().filter(|text| text.len() <= 4096).unwrap_or_default();
        Ok(Query(Fields::read(text.as_bytes())))
    }
}

/// A form that a page of ours has sent: from this site, with its token.
pub(crate) async fn form(app: &App, secret: &str, request: Request) -> Result<Fields, Failure> {
    if !same_site(request.headers()) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            Trouble::BadRequest,
            "this form does not come from this page",
            "open the page again and repeat it; behind a proxy, pass the Host header on unchanged",
        ));
    }
    let body = axum::body::to_bytes(request.into_body(), FORM).await.map_err(|_| {
        Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Trouble::BadRequest,
            "this form is too large, or came too slowly",
            "send less, or send it again",
        )
    })?;
    let fields = Fields::read(&body);
    if !app.csrf_fits(secret, fields.raw("csrf")) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            Trouble::BadRequest,
            "this form is from before your login, or too old",
            "go back, load the page again, and repeat it; nothing was changed",
        ));
    }
    Ok(fields)
}

/// Whether a form was sent from a page of this very host.
fn same_site(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site"))
        && site != "same-origin"
        && site != "none"
    {
        return false;
    }
    let host = text(header::HOST).unwrap_or_default();
    match text(header::ORIGIN) {
        Some(origin) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        None => false,
    }
}

/// A form sent by somebody who is logged in.
pub(crate) struct Sent {
    /// Who.
    pub(crate) visitor: Visitor,
    /// What.
    pub(crate) fields: Fields,
}

impl FromRequest<Arc<App>> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let fields = form(app, &visitor.cookie, Request::<Body>::from_parts(parts, body)).await;
        let fields = fields.map_err(IntoResponse::into_response)?;
        Ok(Sent { visitor, fields })
    }
}
