//! Pools, policy, invitations, reservations; people, tokens, backup.

use crate::accounts::{Person, Role, Token};
use crate::app::{App, Page, Query, Sent, Visitor, page, redirect_saying};
use crate::look::{Look, encoded};
use crate::tokens::Scope;
use askama::Template;
use axum::extract::State;
use ln6_api::ApiRequest;
use ln6_api::request::{Export, RegistryRequest};
use ln6_api::schema::{
    ActionReply, BackupList, BackupRow, ConfirmationList, ConfirmationRow, HeldNode, InvitationList,
    InvitationRow, KeyListReport, PolicyReport, PoolInfo, PoolList, ReservationList, ReservationRow, Time,
};
use std::sync::Arc;

const TABS: &[(&str, &str)] = &[
    ("pools", "settings.pools"),
    ("invitations", "settings.invitations"),
    ("reservations", "settings.reservations"),
    ("keylist", "settings.keylist"),
    ("people", "settings.people"),
    ("tokens", "settings.tokens"),
    ("backup", "settings.backup"),
];

/// On a gateway.
const GATEWAYS: &[(&str, &str)] = &[("people", "settings.people"), ("tokens", "settings.tokens")];

fn tabs(look: &Look) -> &'static [(&'static str, &'static str)] {
    if look.gateway { GATEWAYS } else { TABS }
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings<'a> {
    look: &'a Look,
    tab: &'static str,
    tabs: &'static [(&'static str, &'static str)],
    pools: Vec<PoolInfo>,
    policy: PolicyReport,
    confirmations: Vec<ConfirmationRow>,
    invitations: Vec<InvitationRow>,
    reservations: Vec<ReservationRow>,
    people: Vec<Person>,
    tokens: Vec<Token>,
    backups: Vec<BackupRow>,
    keylist: Option<KeyListReport>,
    roles: [Role; 3],
    scopes: [Scope; 4],
    fresh: Option<String>,
    command: &'a str,
}

impl Settings<'_> {
    fn policy_query(&self) -> String {
        let p = &self.policy;
        let days = |seconds: u64| seconds as f64 / 86_400.0;
        format!(
            "/do/policy?validity_seconds={}&grace_seconds={}&quarantine_seconds={}&revocation_grace_seconds={}&request_seconds={}&denial_seconds={}&move_seconds={}&queue={}&queue_per_name={}&back=/settings",
            days(p.validity_seconds),
            days(p.grace_seconds),
            days(p.quarantine_seconds),
            days(p.revocation_grace_seconds),
            days(p.request_seconds),
            days(p.denial_seconds),
            days(p.move_seconds),
            p.queue,
            p.queue_per_name
        )
    }

    fn spans(&self) -> [(&'static str, u64); 7] {
        let p = &self.policy;
        [
            ("policy.validity", p.validity_seconds),
            ("policy.grace", p.grace_seconds),
            ("policy.quarantine", p.quarantine_seconds),
            ("policy.revocation_grace", p.revocation_grace_seconds),
            ("policy.request", p.request_seconds),
            ("policy.denial", p.denial_seconds),
            ("policy.move", p.move_seconds),
        ]
    }

    fn pool_query(&self, pool: &PoolInfo) -> String {
        format!(
            "/do/pool?prefix={}&default={}&largest={}&smallest={}&admission={}&open={}&back=/settings",
            encoded(pool.prefix.to_string()),
            pool.default,
            pool.largest,
            pool.smallest,
            encoded(&pool.admission),
            u8::from(pool.open)
        )
    }

    /// Those of them that fit on a page.
    fn held<'a>(&self, list: &'a KeyListReport) -> &'a [HeldNode] {
        list.held.get(..200).unwrap_or(&list.held)
    }

    /// How many there are beyond those.
    fn beyond(&self, list: &KeyListReport) -> u64 {
        (list.held.len() - self.held(list).len()) as u64
    }

    fn enc(&self, text: &str) -> String {
        encoded(text)
    }

    fn date(&self, seconds: &u64) -> Time {
        Time::from_secs(*seconds)
    }
}

pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor, Query(query): Query) -> Page {
    let wanted = query.get("tab");
    let tabs = tabs(&visitor.look);
    let tab = tabs.iter().map(|(tab, _)| *tab).find(|tab| *tab == wanted).unwrap_or(tabs[0].0);
    shown(&app, &visitor, tab, None).await
}

async fn shown(app: &App, visitor: &Visitor, tab: &'static str, fresh: Option<String>) -> Page {
    if matches!(tab, "people" | "tokens" | "backup") {
        visitor.must_be(Role::Admin)?;
    }
    let ask = ApiRequest::Registry;
    let mut shown = Settings {
        look: &visitor.look,
        tab,
        tabs: tabs(&visitor.look),
        pools: Vec::new(),
        policy: PolicyReport::default(),
        confirmations: Vec::new(),
        invitations: Vec::new(),
        reservations: Vec::new(),
        people: Vec::new(),
        tokens: Vec::new(),
        backups: Vec::new(),
        keylist: None,
        roles: Role::ALL,
        scopes: Scope::ALL,
        fresh,
        command: &app.settings.command,
    };
    match tab {
        "invitations" => {
            let list = app.desk.get::<InvitationList>(ask(RegistryRequest::Invitations)).await?;
            // Open ones first, then the newest.
            shown.invitations =
                list.invitations.iter().rev().filter(|row| row.state == "open").take(200).cloned().collect();
            shown
                .invitations
                .extend(list.invitations.iter().rev().filter(|row| row.state != "open").take(100).cloned());
        }
        "reservations" => {
            shown.reservations = app
                .desk
                .get::<ReservationList>(ask(RegistryRequest::Reservations))
                .await?
                .reservations
                .clone();
            shown.reservations.truncate(500);
        }
        "keylist" => shown.keylist = crate::keylist::standing(app).await?,
        "people" => shown.people = app.accounts.book()?.people,
        "tokens" => shown.tokens = app.accounts.book()?.tokens,
        "backup" => {
            shown.backups = app.desk.get::<BackupList>(ask(RegistryRequest::Backups)).await?.backups.clone()
        }
        _ => {
            shown.pools = app.desk.get::<PoolList>(ask(RegistryRequest::Pools)).await?.pools.clone();
            shown.policy = *app.desk.get::<PolicyReport>(ask(RegistryRequest::Policy)).await?;
            let kept = app.desk.get::<ConfirmationList>(ask(RegistryRequest::Confirmations)).await?;
            shown.confirmations = kept.confirmations.clone();
        }
    }
    page(&shown)
}

pub(crate) async fn people(State(app): State<Arc<App>>, sent: Sent) -> Page {
    sent.visitor.must_be(Role::Admin)?;
    let look = &sent.visitor.look;
    let (bad, text) = match crate::login::change_people(&app, look, &sent.fields).await {
        Ok(key) => (false, look.t(key).into_owned()),
        Err(failure) if failure.status.is_server_error() => return Err(failure),
        Err(failure) => {
            (true, format!("{}. {}", failure.error.message, failure.error.hint.unwrap_or_default()))
        }
    };
    Ok(redirect_saying(&app, "/settings?tab=people", bad, &text))
}

pub(crate) async fn tokens(State(app): State<Arc<App>>, sent: Sent) -> Page {
    let Sent { visitor, fields } = sent;
    visitor.must_be(Role::Admin)?;
    if fields.get("what") == "remove" {
        app.accounts.change(|book| book.remove_token(fields.get("id")))?;
        return Ok(redirect_saying(
            &app,
            "/settings?tab=tokens",
            false,
            &visitor.look.t("settings.token_removed"),
        ));
    }
    let scopes: Vec<String> =
        fields.all("scope").into_iter().filter(|word| Scope::of(word).is_some()).collect();
    let days = fields.get("days").parse().unwrap_or(365);
    let now = visitor.look.now.as_secs();
    let made = app
        .accounts
        .change(|book| book.make_token(fields.get("name"), scopes, &visitor.look.name, now, days));
    match made {
        Ok(token) => shown(&app, &visitor, "tokens", Some(token)).await,
        Err(error) => Ok(redirect_saying(&app, "/settings?tab=tokens", true, &error.message)),
    }
}

pub(crate) async fn backup(State(app): State<Arc<App>>, sent: Sent) -> Page {
    sent.visitor.must_be(Role::Admin)?;
    let request = ApiRequest::Registry(RegistryRequest::Backup);
    app.desk.act::<ActionReply>(&sent.visitor.actor(), &request).await?;
    Ok(redirect_saying(&app, "/settings?tab=backup", false, &sent.visitor.look.t("settings.backup_made")))
}

pub(crate) async fn export(State(app): State<Arc<App>>, sent: Sent) -> Page {
    sent.visitor.must_be(Role::Admin)?;
    let request = ApiRequest::Registry(RegistryRequest::Export(Export::default()));
    let reply = app.desk.act::<ActionReply>(&sent.visitor.actor(), &request).await?;
    let said = sent.visitor.look.tf1("settings.export_made", reply.name.unwrap_or_default());
    Ok(redirect_saying(&app, "/settings?tab=backup", false, &said))
}
