//! What a gateway can be asked to do: join, another size, leave, read its configuration again, be tested. Each says what it
//! does before.

use crate::accounts::Role;
use crate::app::{App, Failure, Fields, Page, Sent, Visitor, page, redirect_saying};
use crate::look::Look;
use askama::Template;
use axum::extract::State;
use ln6_api::request::{Ask, Joining, Sizing};
use ln6_api::schema::{
    ActionReply, DoctorReport, PeerList, PingReply, Problem, ReloadReply, SetupReply, StatusReport,
    WishReport,
};
use ln6_api::{ApiError, ApiRequest, CliError, Trouble};
use std::sync::Arc;

/// Nodes that a test asks, at most: each may be silent for five seconds.
const ASKED: usize = 3;

#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage<'a> {
    look: &'a Look,
    fields: &'a Fields,
    status: &'a StatusReport,
    waits: bool,
    command: &'a str,
    refused: Option<ApiError>,
}

impl JoinPage<'_> {
    /// What was typed, to be shown again.
    fn typed(&self, name: &str) -> String {
        self.fields.short(name, 600)
    }
}

#[derive(Template)]
#[template(path = "size.html")]
struct SizePage<'a> {
    look: &'a Look,
    status: &'a StatusReport,
    wish: &'a WishReport,
    typed: String,
    command: &'a str,
    refused: Option<ApiError>,
}

#[derive(Template)]
#[template(path = "leave.html")]
struct LeavePage<'a> {
    look: &'a Look,
    status: &'a StatusReport,
    refused: Option<ApiError>,
}

#[derive(Template)]
#[template(path = "test.html")]
struct TestPage<'a> {
    look: &'a Look,
    problems: Vec<Problem>,
    asked: Vec<(String, Result<PingReply, ApiError>)>,
    good: bool,
}

/// What the person can mend is said on the form; what not, on a page of its own.
fn mended(error: ApiError) -> Result<ApiError, Failure> {
    if error.code == Trouble::DaemonUnreachable.code() { Err(error.into()) } else { Ok(error) }
}

pub(crate) async fn ask_to_join(State(app): State<Arc<App>>, visitor: Visitor) -> Page {
    visitor.must_be(Role::Admin)?;
    join_page(&app, &visitor.look, &Fields::default(), None).await
}

async fn join_page(app: &App, look: &Look, fields: &Fields, refused: Option<ApiError>) -> Page {
    let status = app.desk.get::<StatusReport>(ApiRequest::Status).await?;
    let wish = app.desk.get::<WishReport>(ApiRequest::Wish).await?;
    let command = &app.settings.command;
    page(&JoinPage { look, fields, status: &status, waits: wish.waits, command, refused })
}

pub(crate) async fn join(State(app): State<Arc<App>>, sent: Sent) -> Page {
    let Sent { visitor, fields } = sent;
    visitor.must_be(Role::Admin)?;
    let asked = joining(&fields);
    let reply = match asked {
        Ok(joining) => {
            let request = ApiRequest::Join(Box::new(joining));
            app.desk.act::<SetupReply>(&visitor.actor(), &request).await
        }
        Err(error) => Err(error),
    };
    match reply {
        Ok(_) => Ok(redirect_saying(&app, "/", false, &visitor.look.t("node.joined"))),
        Err(error) => join_page(&app, &visitor.look, &fields, Some(mended(error)?)).await,
    }
}

fn joining(fields: &Fields) -> Result<Joining, ApiError> {
    let lans = fields.get("lans").split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(Joining {
        // Mail and chat programs break long lines.
        link: fields.get("link").split_whitespace().collect(),
        name: fields.some("name"),
        size: fields.some("size").map(|text| length(&text)).transpose()?,
        ssid: fields.some("ssid"),
        lans: lans.take(16).collect(),
        contact: fields.some("contact"),
    })
}

fn length(text: &str) -> Result<u8, ApiError> {
    let wrong = || {
        let said: String = text.chars().take(20).collect();
        CliError::new(Trouble::BadRequest, format!("{said} is not a prefix length"))
            .hint("a length is 16 to 128; the smaller the number, the larger the prefix")
    };
    let read = text.trim_start_matches('/').parse().ok().filter(|size| (16..=128).contains(size));
    read.ok_or_else(wrong)
}

pub(crate) async fn ask_for_size(State(app): State<Arc<App>>, visitor: Visitor) -> Page {
    visitor.must_be(Role::Operator)?;
    size_page(&app, &visitor.look, String::new(), None).await
}

async fn size_page(app: &App, look: &Look, typed: String, refused: Option<ApiError>) -> Page {
    let status = app.desk.get::<StatusReport>(ApiRequest::Status).await?;
    let wish = app.desk.get::<WishReport>(ApiRequest::Wish).await?;
    let command = &app.settings.command;
    page(&SizePage { look, status: &status, wish: &wish, typed, command, refused })
}

pub(crate) async fn size(State(app): State<Arc<App>>, sent: Sent) -> Page {
    let Sent { visitor, fields } = sent;
    visitor.must_be(Role::Operator)?;
    let reply = match length(fields.get("size")) {
        Ok(size) => app.desk.act::<ActionReply>(&visitor.actor(), &ApiRequest::Size(Sizing { size })).await,
        Err(error) => Err(error),
    };
    match reply {
        Ok(reply) => {
            let key = if reply.prefixes.is_empty() { "node.size_sent" } else { "node.size_told" };
            Ok(redirect_saying(&app, "/", false, &visitor.look.t(key)))
        }
        Err(error) => size_page(&app, &visitor.look, fields.short("size", 20), Some(mended(error)?)).await,
    }
}

pub(crate) async fn ask_to_leave(State(app): State<Arc<App>>, visitor: Visitor) -> Page {
    visitor.must_be(Role::Admin)?;
    leave_page(&app, &visitor.look, None).await
}

async fn leave_page(app: &App, look: &Look, refused: Option<ApiError>) -> Page {
    let status = app.desk.get::<StatusReport>(ApiRequest::Status).await?;
    page(&LeavePage { look, status: &status, refused })
}

pub(crate) async fn leave(State(app): State<Arc<App>>, sent: Sent) -> Page {
    let Sent { visitor, fields } = sent;
    visitor.must_be(Role::Admin)?;
    let look = &visitor.look;
    let status = app.desk.get::<StatusReport>(ApiRequest::Status).await?;
    if fields.get("retyped") != status.node.name {
        let wrong = CliError::new(Trouble::Cancelled, look.t("act.retype_wrong"));
        return leave_page(&app, look, Some(wrong)).await;
    }
    match app.desk.act::<ActionReply>(&visitor.actor(), &ApiRequest::Leave).await {
        Ok(reply) => {
            let key = if reply.done == "forgotten" { "node.forgotten" } else { "node.leaving" };
            Ok(redirect_saying(&app, "/", false, &look.t(key)))
        }
        Err(error) => leave_page(&app, look, Some(mended(error)?)).await,
    }
}

pub(crate) async fn reload(State(app): State<Arc<App>>, sent: Sent) -> Page {
    let visitor = sent.visitor;
    visitor.must_be(Role::Admin)?;
    let look = &visitor.look;
    let (bad, said) = match app.desk.act::<ReloadReply>(&visitor.actor(), &ApiRequest::Reload).await {
        Ok(reply) => {
            let names = |restart: bool| {
                let changes = reply.changes.iter().filter(|change| change.needs_restart == restart);
                changes.map(|change| crate::markup::tame(&change.what, 60)).collect::<Vec<_>>().join(", ")
            };
            match (names(false), names(true)) {
                (now, later) if now.is_empty() && later.is_empty() => {
                    (false, look.t("node.reload_same").into_owned())
                }
                (now, later) if later.is_empty() => (false, look.tf1("node.reload_done", now)),
                (_, later) => (true, look.tf1("node.reload_later", later)),
            }
        }
        Err(error) => {
            (true, format!("{}. {}", mended(error.clone())?.message, error.hint.unwrap_or_default()))
        }
    };
    Ok(redirect_saying(&app, "/health", bad, &said))
}

/// What is in the way, and whether those who should answer do. Sends packets, so nobody but who is logged in may ask.
pub(crate) async fn test(State(app): State<Arc<App>>, sent: Sent) -> Page {
    let visitor = sent.visitor;
    let status = app.desk.get::<StatusReport>(ApiRequest::Status).await?;
    let doctor = app.desk.get::<DoctorReport>(ApiRequest::Doctor).await?;
    let mut problems = doctor.findings.clone();
    for problem in &status.problems {
        if !problems.iter().any(|known| known.code == problem.code) {
            problems.push(problem.clone());
        }
    }
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
    let mut asked = Vec::new();
    for name in whom(&app, &status).await? {
        let request = ApiRequest::Ping(Ask { to: name.clone() });
        let reply = app.desk.act::<PingReply>(&visitor.actor(), &request).await;
        asked.push((name, reply));
    }
    let bad = problems.iter().any(|problem| problem.severity == ln6_api::schema::Severity::Error);
    let good = !bad && asked.iter().any(|(_, reply)| reply.is_ok());
    page(&TestPage { look: &visitor.look, problems, asked, good })
}

/// Exits that can be reached, then brokers.
async fn whom(app: &App, status: &StatusReport) -> Result<Vec<String>, Failure> {
    if status.standing.state == super::NO_NETWORK {
        return Ok(Vec::new());
    }
    let peers = app.desk.get::<PeerList>(ApiRequest::Peers).await?;
    let mut names = status.exits.reachable.clone();
    let brokers = peers.peers.iter().filter(|peer| peer.roles.iter().any(|role| role == "broker"));
    // One without a name, or with another's, is asked by its key.
    names.extend(
        brokers.map(|peer| if peer.name.is_empty() { peer.key.to_string() } else { peer.name.clone() }),
    );
    let mut known = std::collections::BTreeSet::new();
    names.retain(|name| *name != status.node.name && known.insert(name.clone()));
    names.truncate(ASKED);
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_was_broken_into_lines_is_joined_again_and_empty_fields_say_nothing() {
        let read = |text: &str| joining(&Fields::read(text.as_bytes()));
        let asked = read("link=+ln6://join/ab%0D%0A+cd%0A&name=&size=%2F52&lans=br-lan,+eth1&ssid=+x+")
            .expect("read");
        assert_eq!((asked.link.as_str(), asked.name, asked.size), ("ln6://join/abcd", None, Some(52)));
        assert_eq!(
            (asked.lans, asked.ssid.as_deref()),
            (vec!["br-lan".to_owned(), "eth1".to_owned()], Some("x"))
        );
        for bad in ["15", "129", "x", "-1", "256"] {
            assert!(read(&format!("link=x&size={bad}")).is_err(), "{bad}");
        }
    }
}
