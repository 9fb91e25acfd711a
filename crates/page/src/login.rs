//! In and out: set-up, login, one's own account, language and colours.

use crate::accounts::{Book, Person, Role, check_name, check_password};
use crate::app::{
    App, Failure, Fields, From, Page, Query, Sent, Visitor, cookie, form, local, page, plain_look, redirect,
    redirect_saying,
};
use crate::look::{Look, Theme};
use crate::markup::Markup;
use crate::picture::qr;
use crate::secret::{self, Password};
use crate::session::Source;
use crate::words::{self, Lang};
use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ln6_api::schema::Time;
use ln6_api::{CliError, Trouble};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// How long a browser is known, seconds.
const KNOWN: u64 = 90 * 86_400;
/// How long language and colours are kept, seconds.
const YEAR: u64 = 365 * 86_400;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    look: &'a Look,
    to: &'a str,
    name: &'a str,
    wrong: Option<String>,
    nobody: bool,
    command: &'a str,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage<'a> {
    look: &'a Look,
    name: &'a str,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    look: &'a Look,
    has_authenticator: bool,
    secret: String,
    picture: Markup,
}

/// A form before login is bound to a cookie of its own.
fn before(app: &App, headers: &HeaderMap) -> (String, Option<(header::HeaderName, HeaderValue)>) {
    match cookie(headers, &app.cookie_name("ln6d_form")).filter(|value| value.len() == 43) {
        Some(value) => (value, None),
        None => {
            let value = secret::random_text();
            let set = app.cookie("ln6d_form", &value, None);
            (value, Some(set))
        }
    }
}

fn with(mut response: Response, set: Option<(header::HeaderName, HeaderValue)>) -> Response {
    if let Some((name, value)) = set {
        response.headers_mut().append(name, value);
    }
    response
}

pub(crate) async fn show(State(app): State<Arc<App>>, headers: HeaderMap, Query(query): Query) -> Page {
    if app.visitor(&headers, true).is_some() {
        return Ok(redirect(local(query.get("to"))));
    }
    login_page(&app, &headers, local(query.get("to")), "", None, StatusCode::OK)
}

fn login_page(
    app: &App,
    headers: &HeaderMap,
    to: &str,
    name: &str,
    wrong: Option<String>,
    status: StatusCode,
) -> Page {
    let (bound, set) = before(app, headers);
    let look = plain_look(app, headers, "/login", app.csrf(&bound));
    let nobody = app.accounts.book()?.people.is_empty();
    let mut response =
        page(&LoginPage { look: &look, to, name, wrong, nobody, command: &app.settings.command })?;
    *response.status_mut() = status;
    Ok(with(response, set))
}

/// Checks a form that is sent before anybody is logged in.
async fn outside_form(app: &App, request: Request) -> Result<(HeaderMap, Source, Fields), Failure> {
    let headers = request.headers().clone();
    let source = request.extensions().get::<From>().copied();
    let source =
        Source::of(source.map_or(std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), |from| from.0));
    let bound = cookie(&headers, &app.cookie_name("ln6d_form")).unwrap_or_default();
    let fields = form(app, &bound, request).await?;
    Ok((headers, source, fields))
}

pub(crate) async fn enter(State(app): State<Arc<App>>, request: Request) -> Page {
    let (headers, source, fields) = outside_form(&app, request).await?;
    let name = fields.short("name", 64);
    let lang = plain_look(&app, &headers, "/login", String::new()).lang;
    let to = local(fields.get("to")).to_owned();
    let source = known_browser(&app, &headers, &name).unwrap_or(source);
    let now = Instant::now();
    if let Some(wait) = app.patience().wait(source, &name, now) {
        let text = words::fill(lang, "login.wait", &[("span", &crate::units::span(wait.as_secs() + 1))]);
        let mut response = login_page(&app, &headers, &to, &name, Some(text), StatusCode::TOO_MANY_REQUESTS)?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        return Ok(response);
    }
    // Counted before it is looked at, so that many at once do not get more than their share.
    app.patience().wrong(source, &name, now);
    let person = app.accounts.book()?.person(&name).cloned();
    let right = is_right(&app, person.as_ref(), fields.raw("password")).await?;
    let Some(person) = person.filter(|_| right) else {
        let text = words::say(lang, "login.wrong").into_owned();
        return login_page(&app, &headers, &to, &name, Some(text), StatusCode::UNAUTHORIZED);
    };
    if let Some(authenticator) = &person.authenticator {
        let step = secret::code_step(authenticator, fields.get("code"), Time::now().as_secs());
        let fresh = match step {
            Some(step) => app.accounts.change(|book| Ok(book.use_step(&name, step)))?,
            None => false,
        };
        if !fresh {
            let key = if fields.get("code").is_empty() { "login.code_needed" } else { "login.code_wrong" };
            let text = words::say(lang, key).into_owned();
            return login_page(&app, &headers, &to, &name, Some(text), StatusCode::UNAUTHORIZED);
        }
    }
    app.patience().right(source);
    Ok(logged_in(&app, &headers, &person, &to))
}

/// Begins a session under a new secret; one that was there before ends.
fn logged_in(app: &App, headers: &HeaderMap, person: &Person, to: &str) -> Response {
    if let Some(old) = cookie(headers, &app.cookie_name("ln6d")) {
        app.sessions().end(&old);
    }
    let secret = app.sessions().begin(&person.name, person.epoch, Instant::now());
    let mut response = redirect(to);
    let known = secret::text(&app.mac(&["browser", &person.name]));
    for (name, value) in [
        app.cookie("ln6d", &secret, None),
        app.cookie("ln6d_known", &known, Some(KNOWN)),
        app.cookie("ln6d_form", "", Some(0)),
    ] {
        response.headers_mut().append(name, value);
    }
    response
}

/// A browser that has logged in to this account before: it waits for its own mistakes alone.
fn known_browser(app: &App, headers: &HeaderMap, name: &str) -> Option<Source> {
    let given = secret::bytes(&cookie(headers, &app.cookie_name("ln6d_known"))?)?;
    let expected = app.mac(&["browser", name]);
    secret::same(&given, &expected).then(|| Source::Known(expected[..8].try_into().unwrap_or_default()))
}

static NOBODY: LazyLock<Password> = LazyLock::new(|| Password::new("", secret::Cost::USUAL));

/// Compares a password; takes as long for a name that does not exist.
async fn is_right(app: &App, person: Option<&Person>, password: &str) -> Result<bool, Failure> {
    if password.len() > crate::accounts::LONGEST {
        return Ok(false);
    }
    let exists = person.is_some();
    let kept = person.map(|person| person.password.clone());
    let password = password.to_owned();
    let busy = || {
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Trouble::NoAnswer,
            "too many people log in just now",
            "try again in a few seconds",
        )
    };
    let room =
        tokio::time::timeout(Duration::from_secs(10), app.stretching.acquire()).await.map_err(|_| busy())?;
    let fits = tokio::task::spawn_blocking(move || kept.as_ref().unwrap_or(&*NOBODY).is(&password)).await;
    drop(room);
    Ok(exists && fits.unwrap_or(false))
}

async fn stretched(app: &App, password: &str) -> Result<Password, Failure> {
    check_password(password)?;
    let (password, cost) = (password.to_owned(), app.accounts.cost());
    let _room = app.stretching.acquire().await;
    let made = tokio::task::spawn_blocking(move || Password::new(&password, cost)).await;
    made.map_err(|error| CliError::new(Trouble::Internal, error.to_string()).into())
}

pub(crate) async fn leave(State(app): State<Arc<App>>, sent: Sent) -> Response {
    app.sessions().end(&sent.visitor.cookie);
    let mut response = redirect("/login");
    let (name, value) = app.cookie("ln6d", "", Some(0));
    response.headers_mut().append(name, value);
    response
}

pub(crate) async fn setup(State(app): State<Arc<App>>, headers: HeaderMap, Path(code): Path<String>) -> Page {
    if !app.accounts.book()?.opens(&code, Time::now().as_secs()) {
        return Err(spent(&app));
    }
    setup_page(&app, &headers, "", None, StatusCode::OK)
}

fn spent(app: &App) -> Failure {
    let hint = format!("on the machine, '{} admin --setup-link' prints a new one", app.settings.command);
    Failure::new(StatusCode::GONE, Trouble::LinkExpired, "this set-up link was used, or is too old", &hint)
}

fn setup_page(app: &App, headers: &HeaderMap, name: &str, wrong: Option<String>, status: StatusCode) -> Page {
    let (bound, set) = before(app, headers);
    let look = plain_look(app, headers, "/setup", app.csrf(&bound));
    let mut response = page(&SetupPage { look: &look, name, wrong })?;
    *response.status_mut() = status;
    Ok(with(response, set))
}

pub(crate) async fn set_up(State(app): State<Arc<App>>, Path(code): Path<String>, request: Request) -> Page {
    let (headers, _, fields) = outside_form(&app, request).await?;
    let now = Time::now().as_secs();
    if !app.accounts.book()?.opens(&code, now) {
        return Err(spent(&app));
    }
    let lang = plain_look(&app, &headers, "/setup", String::new()).lang;
    let name = fields.short("name", 64);
    let again =
        |wrong: String| setup_page(&app, &headers, &name, Some(wrong), StatusCode::UNPROCESSABLE_ENTITY);
    if let Err(error) = check_name(&name).and_then(|()| check_password(fields.raw("password"))) {
        return again(format!("{}. {}", error.message, error.hint.unwrap_or_default()));
    }
    if fields.raw("password") != fields.raw("repeated") {
        return again(words::say(lang, "setup.differ").into_owned());
    }
    let password = stretched(&app, fields.raw("password")).await?;
    app.accounts.change(|book| book.set_up(&code, &name, password, now))?;
    let person = app.accounts.book()?.person(&name).cloned();
    Ok(person.map_or_else(|| redirect("/login"), |person| logged_in(&app, &headers, &person, "/")))
}

pub(crate) async fn account(State(app): State<Arc<App>>, visitor: Visitor) -> Page {
    let book = app.accounts.book()?;
    let has_authenticator =
        book.person(&visitor.look.name).is_some_and(|person| person.authenticator.is_some());
    let secret = secret::authenticator_secret();
    let uri = format!("otpauth://totp/ln6d:{}?secret={secret}&issuer=ln6d", visitor.look.name);
    page(&AccountPage { look: &visitor.look, has_authenticator, picture: qr(&uri), secret })
}

pub(crate) async fn change_account(State(app): State<Arc<App>>, sent: Sent) -> Page {
    let Sent { visitor, fields } = sent;
    let look = &visitor.look;
    let name = look.name.clone();
    let person = app.accounts.book()?.person(&name).cloned();
    // A session that was left open is not enough to take an account over.
    let source = Source::Known(app.mac(&["account", &name])[..8].try_into().unwrap_or_default());
    let now = Instant::now();
    let waits = app.patience().wait(source, &name, now).is_some();
    app.patience().wrong(source, &name, now);
    if waits || !is_right(&app, person.as_ref(), fields.raw("password")).await? {
        return Ok(redirect_saying(&app, "/account", true, &look.t("account.wrong")));
    }
    app.patience().right(source);
    let key = match fields.get("what") {
        "password" => {
            let password = stretched(&app, fields.raw("new")).await?;
            app.accounts.change(|book| book.set_password(&name, password, false))?;
            app.sessions().end_all(&name);
            "account.password_done"
        }
        "authenticator" => {
            let secret = fields.get("secret").to_owned();
            if secret.len() != 32
                || secret::code_step(&secret, fields.get("code"), Time::now().as_secs()).is_none()
            {
                return Ok(redirect_saying(&app, "/account", true, &look.t("login.code_wrong")));
            }
            app.accounts.change(|book| book.set_authenticator(&name, Some(secret)))?;
            "account.authenticator_done"
        }
        _ => {
            app.accounts.change(|book| book.set_authenticator(&name, None))?;
            "account.authenticator_gone"
        }
    };
    Ok(redirect_saying(&app, "/account", false, &look.t(key)))
}

/// Language and colours: a cookie each. Needs nobody logged in, and changes nothing for others.
pub(crate) async fn view(State(app): State<Arc<App>>, request: Request) -> Page {
    let body = axum::body::to_bytes(request.into_body(), 4096).await;
    let fields = Fields::read(&body.unwrap_or_default());
    let mut response = redirect(local(fields.get("to")));
    let lang = Lang::of_code(fields.get("lang")).map(|lang| ("ln6d_lang", lang.code()));
    let theme = Theme::of(fields.get("theme")).map(|theme| ("ln6d_theme", theme.word()));
    for (name, value) in lang.into_iter().chain(theme) {
        let (name, value) = app.cookie(name, value, Some(YEAR));
        response.headers_mut().append(name, value);
    }
    Ok(response.into_response())
}

/// For the settings: makes or changes people.
pub(crate) async fn change_people(app: &App, look: &Look, fields: &Fields) -> Result<&'static str, Failure> {
    let name = fields.get("name").to_owned();
    let role = Role::of(fields.get("role"));
    let unclear = || CliError::new(Trouble::BadRequest, "this role does not exist");
    let change = |change: &dyn Fn(&mut Book) -> Result<(), CliError>| app.accounts.change(change);
    Ok(match fields.get("what") {
        "add" => {
            check_name(&name)?;
            let password = stretched(app, fields.raw("new")).await?;
            let role = role.ok_or_else(unclear)?;
            change(&|book| book.add(&name, role, password.clone()))?;
            "settings.person_added"
        }
        "role" => {
            let role = role.ok_or_else(unclear)?;
            change(&|book| book.set_role(&name, role))?;
            "settings.person_changed"
        }
        "password" => {
            let password = stretched(app, fields.raw("new")).await?;
            change(&|book| book.set_password(&name, password.clone(), true))?;
            "settings.person_changed"
        }
        "remove" if name == look.name => {
            return Err(CliError::new(Trouble::Cancelled, "somebody else has to remove you").into());
        }
        "remove" => {
            change(&|book| book.remove(&name))?;
            app.sessions().end_all(&name);
            "settings.person_removed"
        }
        _ => return Err(Failure::nowhere()),
    })
}
