//! The API on the page's listener, for programs: a token instead of a login, and each token may do only what its scopes say.

use crate::app::{App, From};
use crate::session::Source;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::IntoResponse;
use ln6_api::request::{Action, KeyListRequest, RegistryRequest, Undo};
use ln6_api::schema::Time;
use ln6_api::{ApiError, ApiRequest, CliError, Trouble};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

/// Largest body passed on, octets.
const MOST: usize = 64 * 1024;

/// What a token may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Reads, but neither contacts nor the whole registry.
    Read,
    /// Decides about requests, makes invitations.
    Requests,
    /// Changes holders and reservations.
    Holders,
    /// Pools, policy, roles, backup, export: what changes the network still waits for the machine.
    Admin,
}

impl Scope {
    /// All.
    pub const ALL: [Scope; 4] = [Scope::Read, Scope::Requests, Scope::Holders, Scope::Admin];

    /// As it is stored and sent.
    pub const fn word(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Requests => "requests",
            Scope::Holders => "holders",
            Scope::Admin => "admin",
        }
    }

    /// Reads [`word`](Self::word).
    pub fn of(word: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.word() == word)
    }

    /// What `request` needs; `None` if no token may ask it.
    pub const fn of_request(request: &ApiRequest) -> Option<Scope> {
        Some(match request {
            // What concerns the machine itself is asked on the machine itself.
            ApiRequest::Leave
            | ApiRequest::Join(_)
            | ApiRequest::Reload
            | ApiRequest::Offload(_)
            | ApiRequest::Wireguard(_)
            | ApiRequest::WireguardRemove(_) => return None,
            // It has a contact in it.
            ApiRequest::Wish | ApiRequest::Size(_) => Scope::Admin,
            ApiRequest::Registry(request) => match request {
                RegistryRequest::Confirm(_) => return None,
                RegistryRequest::Act(action) => Scope::of_action(action),
                RegistryRequest::Backup | RegistryRequest::Export(_) | RegistryRequest::Backups => {
                    Scope::Admin
                }
                RegistryRequest::Confirmations => Scope::Admin,
                _ => Scope::Read,
            },
            // What a key list takes away it takes from holders, a tenth of them and more if it is confirmed.
            ApiRequest::KeyList(KeyListRequest::Pull) => Scope::Holders,
            ApiRequest::KeyList(KeyListRequest::Confirm(_)) => Scope::Admin,
            _ => Scope::Read,
        })
    }

    const fn of_action(action: &Action) -> Scope {
        match action {
            Action::Undo(Undo { request: Some(_), .. }) => Scope::Requests,
            Action::Approve(_) | Action::Deny(_) | Action::Invite(_) | Action::Withdraw(_) => Scope::Requests,
            Action::Pool(_)
            | Action::PoolClose(_)
            | Action::Policy(_)
            | Action::Roles(_)
            | Action::Renumber(_) => Scope::Admin,
            _ => Scope::Holders,
        }
    }
}

pub(crate) async fn pass_on(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    match answer(&app, request).await {
        Ok((kind, body)) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
        Err((status, error)) => {
            let mut response =
                (status, [(header::CONTENT_TYPE, "application/json")], error.to_json()).into_response();
            if status == StatusCode::UNAUTHORIZED {
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

type Refused = (StatusCode, ApiError);

async fn answer(app: &App, request: Request) -> Result<(&'static str, bytes::Bytes), Refused> {
    let refused = |error: ApiError| {
        (StatusCode::from_u16(error.exit.status()).unwrap_or(StatusCode::BAD_REQUEST), error)
    };
    let (parts, body) = request.into_parts();
    let from = parts.extensions.get::<From>().map_or(IpAddr::V6(Ipv6Addr::LOCALHOST), |from| from.0);
    let (actor, scopes) = who(app, &parts.headers, from)?;
    let body = axum::body::to_bytes(body, MOST).await.map_err(|_| {
        (
            StatusCode::PAYLOAD_TOO_LARGE,
            CliError::new(Trouble::BadRequest, format!("a request has at most {MOST} octets")),
        )
    })?;
    let asked = ApiRequest::from_http(parts.method.as_str(), parts.uri.path(), parts.uri.query(), &body)
        .map_err(refused)?;
    let needed = Scope::of_request(&asked);
    if !needed.is_some_and(|needed| scopes.contains(&needed)) {
        let hint = needed.map_or(
            "this is asked on the machine itself",
            |_| "make a token with this scope under Settings, Tokens",
        );
        let scope = needed.map_or("no token", Scope::word);
        return Err(refused(
            CliError::new(Trouble::NotPermitted, format!("this needs the scope {scope}")).hint(hint),
        ));
    }
    // What is passed on was understood and written anew: nothing of the original travels further.
    let kind = if asked == ApiRequest::Metrics {
        "text/plain; version=1.0.0; charset=utf-8"
    } else {
        "application/json"
    };
    let answer = app.desk.raw(&actor, asked.to_http()).await;
    if asked.changes() {
        app.desk.forget();
    }
    answer.map(|body| (kind, body)).map_err(refused)
}

fn who(app: &App, headers: &HeaderMap, from: IpAddr) -> Result<(String, Vec<Scope>), Refused> {
    let unknown = |message: &str| {
        let error = CliError::new(Trouble::NotPermitted, message)
            .hint("send 'Authorization: Bearer TOKEN'; Settings, Tokens makes one");
        (StatusCode::UNAUTHORIZED, error)
    };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.strip_prefix("Bearer ")).map(str::trim);
    let Some(given) = given.filter(|token| token.len() <= 128) else {
        return Err(unknown("a token is needed here"));
    };
    let (source, now) = (Source::of(from), Instant::now());
    if app.patience().wait(source, "", now).is_some() {
        let error =
            CliError::new(Trouble::NoAnswer, "too many wrong tokens from there").hint("try again later");
        return Err((StatusCode::TOO_MANY_REQUESTS, error));
    }
    let book = app.accounts.book().map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error))?;
    let Some(token) = book.token(given, Time::now().as_secs()) else {
        app.patience().wrong(source, "", now);
        return Err(unknown("this token is unknown, or has expired"));
    };
    let scopes = token.scopes.iter().filter_map(|word| Scope::of(word)).collect();
    Ok((format!("token:{}", token.id), scopes))
}
