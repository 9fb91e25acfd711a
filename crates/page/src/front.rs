//! The front door: which path leads where, and what every answer carries.

use crate::app::{App, Failure, From, IN_THE_OPEN, plain_look};
use crate::asset;
use crate::look::Look;
use crate::{
    act, activity, gateways, health, keylist, live, login, node, overview, peers, prefixes, requests,
    settings, tokens, topology, traffic,
};
use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use ln6_api::{ApiError, Trouble};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Everything, with its headers.
pub fn router(app: &Arc<App>) -> Router {
    let own = if app.settings.gateway { of_a_gateway() } else { of_a_broker() };
    own.route("/traffic", get(traffic::show))
        .route("/health", get(health::show))
        .route("/settings", get(settings::show))
        .route("/settings/people", post(settings::people))
        .route("/settings/tokens", post(settings::tokens))
        .route("/account", get(login::account).post(login::change_account))
        .route("/live", get(live::stream))
        .route("/login", get(login::show).post(login::enter))
        .route("/logout", post(login::leave))
        .route("/setup/{code}", get(login::setup).post(login::set_up))
        .route("/view", post(login::view))
        .route("/assets/{name}", get(file))
        .route("/api/v1/{word}", any(tokens::pass_on))
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(64 * 1024))
        .layer(from_fn_with_state(Arc::clone(app), finish))
        .with_state(Arc::clone(app))
}

/// What a gateway's page has: how it stands, and the few things it can be asked to do.
fn of_a_gateway() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(node::show))
        .route("/peers", get(peers::show))
        .route("/test", post(node::test))
        .route("/join", get(node::ask_to_join).post(node::join))
        .route("/size", get(node::ask_for_size).post(node::size))
        .route("/leave", get(node::ask_to_leave).post(node::leave))
        .route("/reload", post(node::reload))
}

fn of_a_broker() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(overview::show))
        .route("/requests", get(requests::show))
        .route("/prefixes", get(prefixes::show))
        .route("/prefixes/history", get(prefixes::history))
        .route("/gateways", get(gateways::list))
        .route("/gateways/{name}", get(gateways::one))
        .route("/topology", get(topology::show))
        .route("/activity", get(activity::show))
        .route("/settings/backup", post(settings::backup))
        .route("/settings/export", post(settings::export))
        .route("/settings/keylist", post(keylist::change))
        .route("/do/{word}", get(act::ask).post(act::carry_out))
}

async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    asset::serve(&name, &headers).unwrap_or_else(|| Failure::nowhere().into_response())
}

async fn nowhere() -> Failure {
    Failure::nowhere()
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer carries, whatever it is.
const HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // Not no-referrer: that would make browsers send "Origin: null" with our own forms.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

async fn finish(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let from = source(&app, &request);
    request.headers_mut().remove(IN_THE_OPEN);
    if app.is_open(from) {
        leave_sessions_out(&app, request.headers_mut());
    }
    let headers = request.headers().clone();
    let path = request.uri().path().to_owned();
    if !known_host(&app, &headers, request.uri()) {
        return dress(&app, &headers, &path, strange_host().into_response()).await;
    }
    if headers.contains_key(IN_THE_OPEN) && !is_for_guests(request.method(), &path) {
        return dress(&app, &headers, &path, in_the_open(&app).into_response()).await;
    }
    request.extensions_mut().insert(from);
    let response = next.run(request).await;
    dress(&app, &headers, &path, response).await
}

/// Where anybody on the way can listen, nobody is logged in, whatever cookie comes along.
fn leave_sessions_out(app: &App, headers: &mut HeaderMap) {
    let kept: Vec<String> = ["ln6d_lang", "ln6d_theme", "ln6d_said"]
        .iter()
        .map(|name| app.cookie_name(name))
        .filter_map(|name| crate::app::cookie(headers, &name).map(|value| format!("{name}={value}")))
        .collect();
    headers.remove(header::COOKIE);
    if let Ok(value) = HeaderValue::from_str(&kept.join("; ")) {
        headers.insert(header::COOKIE, value);
    }
    headers.insert(IN_THE_OPEN, HeaderValue::from_static("1"));
}

/// What is answered where anybody on the way can listen: what is only read, language and colours.
fn is_for_guests(method: &Method, path: &str) -> bool {
    let secret = ["/login", "/setup", "/account", "/settings", "/api/"];
    match *method {
        Method::GET | Method::HEAD => !secret.iter().any(|start| path.starts_with(start)),
        _ => path == "/view",
    }
}

fn in_the_open(app: &App) -> Failure {
    Failure::new(
        StatusCode::FORBIDDEN,
        Trouble::NotPermitted,
        "a password would cross the network in the open from here",
        &format!(
            "come by 'ssh -L', as '{} admin --setup-link' prints it, or give the page a certificate",
            app.settings.command
        ),
    )
}

async fn dress(app: &App, headers: &HeaderMap, path: &str, response: Response) -> Response {
    let mut response = match response.extensions().get::<Failure>().cloned() {
        Some(failure) if !path.starts_with("/api/") => failed(app, headers, path, &failure, response),
        None if response.status() == StatusCode::METHOD_NOT_ALLOWED && !path.starts_with("/api/") => {
            let failure = Failure { status: StatusCode::METHOD_NOT_ALLOWED, ..Failure::nowhere() };
            failed(app, headers, path, &failure, response)
        }
        _ => response,
    };
    let is_html = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_html && asset::takes_gzip(headers) {
        response = compressed(response).await;
    }
    let said = app.cookie_name("ln6d_said");
    let out = response.headers_mut();
    for (name, value) in HEADERS {
        out.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !out.contains_key(header::CACHE_CONTROL) {
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if app.settings.secure {
        out.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if is_html && crate::app::cookie(headers, &said).is_some() {
        let (name, value) = app.cookie("ln6d_said", "", Some(0));
        out.append(name, value);
    }
    response
}

async fn compressed(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, 16 << 20).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(asset::gzip(&bytes)))
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    look: &'a Look,
    error: &'a ApiError,
    status: u16,
    down: bool,
    command: &'a str,
}

fn failed(app: &App, headers: &HeaderMap, path: &str, failure: &Failure, before: Response) -> Response {
    let mut look = plain_look(app, headers, path, String::new());
    if let Some((_, person, secret)) = app.visitor(headers, false) {
        look.name = person.name;
        look.role = person.role;
        look.csrf = app.csrf(&secret);
    }
    let down = failure.error.code == Trouble::DaemonUnreachable.code();
    let command = &app.settings.command;
    let shown =
        ErrorPage { look: &look, error: &failure.error, status: failure.status.as_u16(), down, command };
    match shown.render() {
        Ok(html) => {
            let mut response =
                (failure.status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
            for name in [header::RETRY_AFTER, header::ALLOW] {
                if let Some(value) = before.headers().get(&name) {
                    response.headers_mut().insert(name, value.clone());
                }
            }
            response
        }
        Err(_) => failure.status.into_response(),
    }
}

/// Who asks: the other end of the connection, or whom a trusted proxy names last.
fn source(app: &App, request: &Request) -> From {
    let connected = request.extensions().get::<From>().map_or(IpAddr::V6(Ipv6Addr::LOCALHOST), |from| from.0);
    if !app.settings.proxy {
        return From(connected);
    }
    let named = request.headers().get_all("x-forwarded-for").iter().next_back();
    let last = named.and_then(|value| value.to_str().ok()).and_then(|text| text.rsplit(',').next());
    From(last.and_then(|text| text.trim().parse().ok()).unwrap_or(connected))
}

/// Whether we are asked under a name of ours: a page elsewhere whose name was pointed at us (DNS rebinding) is not.
fn known_host(app: &App, headers: &HeaderMap, uri: &Uri) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).or_else(|| uri.host());
    let Some(host) = host else { return false };
    let name = if host.starts_with('[') {
        host.split_once(']').map_or(host, |(name, _)| &name[1..])
    } else if host.matches(':').count() == 1 {
        host.split_once(':').map_or(host, |(name, _)| name)
    } else {
        host
    };
    if name.eq_ignore_ascii_case("localhost")
        || app.settings.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    {
        return true;
    }
    // An address cannot be pointed elsewhere.
    name.parse::<IpAddr>().is_ok()
}

fn strange_host() -> Failure {
    Failure::new(
        StatusCode::MISDIRECTED_REQUEST,
        Trouble::BadRequest,
        "this page does not answer to that name",
        "if the name is yours, add it under [page]: hosts = [\"…\"]",
    )
}
