//! Changes: what would happen is shown first, then it is asked why, then it is done. One mechanism for every change that
//! the API knows.

use crate::accounts::Role;
use crate::app::{App, Failure, Fields, Page, Query, Sent, Visitor, local, page, redirect_saying};
use crate::look::{Look, encoded};
use crate::markup::Markup;
use crate::picture::qr;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use ln6_api::request::{Action, Preview, RegistryRequest};
use ln6_api::schema::{ActionReply, EffectsReport, InviteReply, Time};
use ln6_api::{ApiError, ApiRequest, CliError, Trouble};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How a field is asked for, and what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Given by where one comes from; shown, not asked.
    Fixed,
    /// One line.
    Line,
    /// Several lines.
    Lines,
    /// A prefix.
    Prefix,
    /// A prefix length.
    Length,
    /// A number.
    Number,
    /// Days, sent as seconds.
    Days,
    /// Megabits per second, sent as octets per second.
    Megabits,
    /// Yes or no.
    Check,
    /// One of some words.
    Choice(&'static [&'static str]),
}

/// A field of a change.
pub(crate) struct Field {
    /// As the API calls it.
    pub(crate) name: &'static str,
    /// What it is called here.
    pub(crate) key: &'static str,
    /// How it is asked for.
    pub(crate) kind: Kind,
}

macro_rules! fields {
    ($($name:literal $label:literal $kind:expr),* $(,)?) => { &[$(Field { name: $name, key: $label, kind: $kind },)*] };
}

/// A change as the page knows it.
pub(crate) struct Word {
    pub(crate) word: &'static str,
    /// Who may.
    pub(crate) role: Role,
    /// Whether it is hard to take back: its button warns, and a name has to be typed.
    pub(crate) grave: bool,
    /// Whether the API takes a reason.
    pub(crate) reason: bool,
    pub(crate) fields: &'static [Field],
}

const ADMISSIONS: &[&str] = &["queue", "invitation", "key_list"];

pub(crate) const WORDS: &[Word] = &[
    Word {
        word: "approve",
        role: Role::Operator,
        grave: false,
        reason: true,
        fields: fields![
        "request" "field.request" Kind::Fixed, "expect" "field.revision" Kind::Fixed, "name" "field.name" Kind::Line,
        "size" "field.size" Kind::Length, "prefix" "field.exact_prefix" Kind::Prefix, "holder" "field.as_key_of" Kind::Line],
    },
    Word {
        word: "deny",
        role: Role::Operator,
        grave: false,
        reason: true,
        fields: fields![
        "request" "field.request" Kind::Fixed, "expect" "field.revision" Kind::Fixed],
    },
    Word {
        word: "suspend",
        role: Role::Operator,
        grave: false,
        reason: true,
        fields: fields![
        "name" "field.holder" Kind::Fixed, "expect" "field.revision" Kind::Fixed],
    },
    Word {
        word: "resume",
        role: Role::Operator,
        grave: false,
        reason: true,
        fields: fields![
        "name" "field.holder" Kind::Fixed, "expect" "field.revision" Kind::Fixed],
    },
    Word {
        word: "revoke",
        role: Role::Operator,
        grave: true,
        reason: true,
        fields: fields![
        "name" "field.holder" Kind::Fixed, "expect" "field.revision" Kind::Fixed,
        "compromised" "field.compromised" Kind::Check],
    },
    Word {
        word: "undo",
        role: Role::Operator,
        grave: false,
        reason: true,
        fields: fields![
        "name" "field.holder" Kind::Fixed, "request" "field.request" Kind::Fixed,
        "expect" "field.revision" Kind::Fixed],
    },
    Word {
        word: "replace",
        role: Role::Operator,
        grave: false,
        reason: true,
        fields: fields![
        "name" "field.holder" Kind::Fixed, "expect" "field.revision" Kind::Fixed,
        "expires_seconds" "field.expires" Kind::Days],
    },
    Word {
        word: "resize",
        role: Role::Operator,
        grave: false,
        reason: true,
        fields: fields![
        "holder" "field.holder" Kind::Fixed, "prefix" "field.prefix" Kind::Fixed, "expect" "field.revision" Kind::Fixed,
        "size" "field.new_size" Kind::Length, "moving" "field.moving" Kind::Check],
    },
    Word {
        word: "rename",
        role: Role::Operator,
        grave: false,
        reason: true,
        fields: fields![
        "name" "field.holder" Kind::Fixed, "expect" "field.revision" Kind::Fixed, "to" "field.new_name" Kind::Line],
    },
    Word {
        word: "note",
        role: Role::Operator,
        grave: false,
        reason: false,
        fields: fields![
        "name" "field.holder" Kind::Fixed, "expect" "field.revision" Kind::Fixed,
        "contact" "field.contact" Kind::Line, "note" "field.note" Kind::Lines],
    },
    Word {
        word: "bandwidth",
        role: Role::Operator,
        grave: false,
        reason: true,
        fields: fields![
        "name" "field.holder" Kind::Fixed, "expect" "field.revision" Kind::Fixed,
        "bytes_per_second" "field.megabits" Kind::Megabits],
    },
    Word {
        word: "reserve",
        role: Role::Operator,
        grave: false,
        reason: false,
        fields: fields![
        "prefix" "field.prefix" Kind::Prefix, "holder" "field.reserved_for" Kind::Line, "note" "field.why" Kind::Line],
    },
    Word {
        word: "unreserve",
        role: Role::Operator,
        grave: false,
        reason: true,
        fields: fields![
        "prefix" "field.prefix" Kind::Fixed, "expect" "field.revision" Kind::Fixed],
    },
    Word {
        word: "invite",
        role: Role::Operator,
        grave: false,
        reason: false,
        fields: fields![
        "name" "field.name" Kind::Line, "size" "field.size" Kind::Length, "expires_seconds" "field.expires" Kind::Days,
        "open" "field.open_invitation" Kind::Check],
    },
    Word {
        word: "withdraw",
        role: Role::Operator,
        grave: false,
        reason: false,
        fields: fields![
        "invitation" "field.invitation" Kind::Fixed],
    },
    Word {
        word: "pool",
        role: Role::Admin,
        grave: false,
        reason: true,
        fields: fields![
        "prefix" "field.pool" Kind::Prefix, "default" "field.default_size" Kind::Length,
        "largest" "field.largest" Kind::Length, "smallest" "field.smallest" Kind::Length,
        "admission" "field.admission" Kind::Choice(ADMISSIONS), "open" "field.pool_open" Kind::Check],
    },
    Word {
        word: "pool-close",
        role: Role::Admin,
        grave: true,
        reason: true,
        fields: fields![
        "prefix" "field.pool" Kind::Fixed],
    },
    Word {
        word: "policy",
        role: Role::Admin,
        grave: false,
        reason: true,
        fields: fields![
        "validity_seconds" "policy.validity" Kind::Days, "grace_seconds" "policy.grace" Kind::Days,
        "quarantine_seconds" "policy.quarantine" Kind::Days,
        "revocation_grace_seconds" "policy.revocation_grace" Kind::Days,
        "request_seconds" "policy.request" Kind::Days, "denial_seconds" "policy.denial" Kind::Days,
        "move_seconds" "policy.move" Kind::Days, "queue" "policy.queue" Kind::Number,
        "queue_per_name" "policy.queue_per_name" Kind::Number],
    },
    Word {
        word: "roles",
        role: Role::Admin,
        grave: false,
        reason: true,
        fields: fields![
        "name" "field.holder" Kind::Fixed, "expect" "field.revision" Kind::Fixed, "exit" "field.is_exit" Kind::Check,
        "broker" "field.is_broker" Kind::Check, "transit" "field.is_transit" Kind::Check],
    },
    Word {
        word: "renumber",
        role: Role::Admin,
        grave: true,
        reason: true,
        fields: fields![
        "from" "field.from_pool" Kind::Prefix, "to" "field.to_pool" Kind::Prefix],
    },
];

pub(crate) fn word(name: &str) -> Option<&'static Word> {
    WORDS.iter().find(|word| word.word == name)
}

fn wrong(message: String) -> ApiError {
    CliError::new(Trouble::BadRequest, message).hint("correct the field and look at the effects again")
}

fn number(text: &str) -> Result<f64, ApiError> {
    let value: f64 = text.replace(',', ".").parse().map_err(|_| wrong(format!("{text} is not a number")))?;
    if value.is_finite() && (0.0..1e15).contains(&value) {
        Ok(value)
    } else {
        Err(wrong(format!("{text} is too much")))
    }
}

/// The change that a form's fields stand for.
fn action(word: &Word, fields: &Fields) -> Result<Action, ApiError> {
    let mut body = Map::new();
    for field in word.fields {
        let text = fields.get(field.name);
        let value = match field.kind {
            Kind::Check => {
                // An unticked box sends nothing; a hidden field beside it tells whether it was asked at all.
                let asked = !fields.get(&format!("{}-asked", field.name)).is_empty();
                if !asked && text.is_empty() {
                    continue;
                }
                Value::Bool(text == "1")
            }
            // Emptying a note or a contact erases it, so an empty one says something; absent ones say nothing.
            _ if text.is_empty()
                && word.word == "note"
                && fields.0.iter().any(|(name, _)| name == field.name) =>
            {
                json!("")
            }
            _ if text.is_empty() => continue,
            Kind::Fixed if field.name == "expect" => {
                json!(text.parse::<u64>().map_err(|_| wrong("the revision is no number".into()))?)
            }
            Kind::Length => {
                let digits = text.trim_start_matches('/');
                json!(
                    digits
                        .parse::<u8>()
                        .ok()
                        .filter(|size| *size <= 128)
                        .ok_or_else(|| wrong(format!("{text} is not a prefix length")))?
                )
            }
            Kind::Number => json!(number(text)? as u64),
            Kind::Days => json!((number(text)? * 86_400.0) as u64),
            Kind::Megabits => json!((number(text)? * 125_000.0) as u64),
            Kind::Choice(words) if !words.contains(&text) => {
                return Err(wrong(format!("{text} is none of the choices")));
            }
            _ => json!(text),
        };
        body.insert(field.name.to_owned(), value);
    }
    if word.reason
        && let Some(reason) = fields.some("reason")
    {
        body.insert("reason".to_owned(), json!(reason.chars().take(500).collect::<String>()));
    }
    let named = Value::Object(Map::from_iter([(word.word.to_owned(), Value::Object(body))]));
    serde_json::from_value(named).map_err(|error| wrong(format!("something is missing: {error}")))
}

/// A field with what is in it.
pub(crate) struct Shown {
    pub(crate) field: &'static Field,
    pub(crate) value: String,
}

impl Shown {
    fn is(&self, word: &str) -> bool {
        self.value == word
    }

    fn choices(&self) -> &'static [&'static str] {
        if let Kind::Choice(words) = self.field.kind { words } else { &[] }
    }

    fn form(&self) -> &'static str {
        match self.field.kind {
            Kind::Fixed => "fixed",
            Kind::Line => "line",
            Kind::Lines => "lines",
            Kind::Prefix => "prefix",
            Kind::Length => "length",
            Kind::Number | Kind::Days | Kind::Megabits => "number",
            Kind::Check => "check",
            Kind::Choice(_) => "choice",
        }
    }
}

#[derive(Template)]
#[template(path = "act.html")]
struct ActPage<'a> {
    look: &'a Look,
    word: &'static Word,
    title: String,
    what: String,
    fields: Vec<Shown>,
    ready: bool,
    effects: Option<EffectsReport>,
    refused: Option<ApiError>,
    back: &'a str,
    reason: &'a str,
    retype: Option<String>,
}

impl ActPage<'_> {
    fn ticked(&self, shown: &Shown) -> bool {
        shown.value == "1"
    }

    fn asked(&self) -> bool {
        self.fields.iter().any(|shown| shown.field.kind != Kind::Fixed)
    }
}

pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(query): Query,
) -> Page {
    let word = word(&name).ok_or_else(Failure::nowhere)?;
    visitor.must_be(word.role)?;
    ask_again(&app, &visitor, word, &query, None).await
}

async fn ask_again(
    app: &App,
    visitor: &Visitor,
    word: &'static Word,
    given: &Fields,
    refused: Option<ApiError>,
) -> Page {
    let look = &visitor.look;
    let (effects, refused) = match action(word, given) {
        Ok(action) => {
            let request = RegistryRequest::Preview(Box::new(Preview { action }));
            let answer =
                app.desk.act::<EffectsReport>(&visitor.actor(), &ApiRequest::Registry(request)).await;
            match answer {
                Ok(effects) => (Some(effects), refused),
                Err(error) if error.code == Trouble::DaemonUnreachable.code() => return Err(error.into()),
                Err(error) => (None, refused.or(Some(error))),
            }
        }
        Err(error) => {
            // Nothing was typed yet: there is nothing to complain of.
            let fresh = given.get("look").is_empty() && refused.is_none();
            (None, if fresh { None } else { refused.or(Some(error)) })
        }
    };
    let what = ["name", "request", "prefix", "holder", "invitation", "from"]
        .iter()
        .map(|name| given.get(name))
        .find(|v| !v.is_empty());
    let plain = |text: &str| text.chars().filter(|c| !crate::markup::is_treacherous(*c)).take(500).collect();
    let fields = word.fields.iter().map(|field| Shown { field, value: plain(given.get(field.name)) });
    let retype = (word.grave && effects.is_some()).then(|| what.unwrap_or_default().to_owned());
    page(&ActPage {
        look,
        word,
        title: look.word("action", word.word),
        what: crate::markup::tame(what.unwrap_or_default(), 80),
        fields: fields.collect(),
        ready: effects.is_some(),
        effects,
        refused,
        back: local(given.get("back")),
        reason: given.get("reason"),
        retype,
    })
}

#[derive(Template)]
#[template(path = "done.html")]
struct DonePage<'a> {
    look: &'a Look,
    title: String,
    link: Option<String>,
    picture: Markup,
    until: Option<Time>,
    confirm: Option<String>,
    open: bool,
    command: &'a str,
    back: &'a str,
}

pub(crate) async fn carry_out(State(app): State<Arc<App>>, Path(name): Path<String>, sent: Sent) -> Page {
    let word = word(&name).ok_or_else(Failure::nowhere)?;
    let Sent { visitor, fields } = sent;
    visitor.must_be(word.role)?;
    if !fields.get("preview").is_empty() {
        return ask_again(&app, &visitor, word, &fields, None).await;
    }
    let action = match action(word, &fields) {
        Ok(action) => action,
        Err(error) => return ask_again(&app, &visitor, word, &fields, Some(error)).await,
    };
    if word.grave {
        let expected =
            ["name", "prefix", "from"].iter().map(|name| fields.get(name)).find(|value| !value.is_empty());
        if fields.get("retyped") != expected.unwrap_or_default() {
            let error = wrong(visitor.look.t("act.retype_wrong").into_owned());
            return ask_again(&app, &visitor, word, &fields, Some(error)).await;
        }
    }
    let invite = matches!(action, Action::Invite(_));
    let request = ApiRequest::Registry(RegistryRequest::Act(Box::new(action)));
    let actor = visitor.actor();
    let reply = if invite {
        app.desk.act::<InviteReply>(&actor, &request).await.map(|reply| (ActionReply::default(), Some(reply)))
    } else {
        app.desk.act::<ActionReply>(&actor, &request).await.map(|reply| (reply, None))
    };
    match reply {
        Ok((reply, invitation)) => done(&app, &visitor, word, &fields, reply, invitation),
        Err(error) if error.code == Trouble::DaemonUnreachable.code() => Err(error.into()),
        Err(error) => ask_again(&app, &visitor, word, &fields, Some(error)).await,
    }
}

fn done(
    app: &App,
    visitor: &Visitor,
    word: &Word,
    fields: &Fields,
    reply: ActionReply,
    invitation: Option<InviteReply>,
) -> Page {
    let look = &visitor.look;
    let mut back = local(fields.get("back")).to_owned();
    if word.word == "rename" {
        back = format!("/gateways/{}", encoded(fields.get("to")));
    }
    let open = invitation.as_ref().is_some_and(|invitation| invitation.open);
    let (link, until) = match invitation {
        Some(invitation) => (Some(invitation.link), Some(invitation.expires)),
        None => (reply.link.clone(), reply.until),
    };
    if link.is_none() && reply.confirm.is_none() {
        return Ok(said(app, look, &back, &reply));
    }
    page(&DonePage {
        look,
        title: look.word("action", word.word),
        picture: link.as_deref().map(qr).unwrap_or_default(),
        link,
        until,
        confirm: reply.confirm,
        open,
        command: &app.settings.command,
        back: &back,
    })
}

fn said(app: &App, look: &Look, back: &str, reply: &ActionReply) -> Response {
    let mut text = look.word("done", &reply.done);
    if let Some(name) = &reply.name {
        text = format!("{}: {text}", crate::markup::tame(name, 63));
    }
    if let Some(prefix) = reply.prefixes.first() {
        text = format!("{text} · {prefix}");
    }
    redirect_saying(app, back, false, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_the_registry_has_a_page() {
        let ours: Vec<&str> = WORDS.iter().map(|word| word.word).collect();
        for word in Action::WORDS {
            assert!(ours.contains(word), "{word}");
        }
        assert_eq!(ours.len(), Action::WORDS.len());
    }

    /// What the API can say and the page leaves to the command line, and why.
    const ELSEWHERE: &[(&str, &str, &str)] = &[
        (
            "replace",
            "keys",
            "two keys are pasted more safely in a shell; the page makes a link that asks for them",
        ),
        (
            "pool",
            "expect",
            "kept for the machine, where its effects are shown once more; no answer tells a revision",
        ),
        ("pool-close", "expect", "as for the pool"),
        ("policy", "expect", "as for the pool"),
    ];

    #[test]
    fn every_field_of_every_change_is_on_its_page_or_left_to_the_command_line_for_a_reason() {
        let prefix = || "2001:db8::/32".parse().expect("prefix");
        let pool = ln6_api::request::Pool::unchanged(prefix());
        let every: Vec<Action> = vec![
            Action::Invite(Default::default()),
            Action::Withdraw(Default::default()),
            Action::Approve(Default::default()),
            Action::Deny(Default::default()),
            Action::Revoke(Default::default()),
            Action::Suspend(Default::default()),
            Action::Resume(Default::default()),
            Action::Undo(Default::default()),
            Action::Replace(Default::default()),
            Action::Resize(Default::default()),
            Action::Reserve(ln6_api::request::Reserve { prefix: prefix(), holder: None, note: None }),
            Action::Unreserve(ln6_api::request::Unreserve { prefix: prefix(), reason: None, expect: None }),
            Action::Note(Default::default()),
            Action::Rename(Default::default()),
            Action::Bandwidth(Default::default()),
            Action::Pool(pool),
            Action::PoolClose(ln6_api::request::PoolClose { prefix: prefix(), reason: None, expect: None }),
            Action::Policy(Default::default()),
            Action::Roles(Default::default()),
            Action::Renumber(ln6_api::request::Renumber { from: prefix(), to: prefix(), reason: None }),
        ];
        assert_eq!(every.iter().map(Action::word).collect::<Vec<_>>(), Action::WORDS);
        for action in every {
            let body: Map<String, Value> = serde_json::from_str(&action.body()).expect("JSON");
            let known = word(action.word()).expect("word");
            for name in body.keys() {
                let asked =
                    known.fields.iter().any(|field| field.name == name) || (name == "reason" && known.reason);
                let elsewhere = ELSEWHERE.iter().any(|(word, field, _)| *word == known.word && field == name);
                assert!(asked != elsewhere, "{}: {name}", known.word);
            }
            for field in known.fields {
                assert!(body.contains_key(field.name), "{}: the API knows no {}", known.word, field.name);
            }
        }
    }

    #[test]
    fn fields_become_what_the_api_expects() {
        let fields = |text: &str| Fields::read(text.as_bytes());
        let read = |name: &str, text: &str| action(word(name).expect("word"), &fields(text));
        let Ok(Action::Resize(resize)) =
            read("resize", "holder=a&size=%2F52&moving-asked=1&expect=3&reason=grows")
        else {
            panic!("resize")
        };
        assert_eq!(
            (resize.size, resize.moving, resize.expect, resize.reason),
            (52, false, Some(3), Some("grows".into()))
        );
        let Ok(Action::Bandwidth(limit)) = read("bandwidth", "name=a&bytes_per_second=2,5") else {
            panic!("bandwidth")
        };
        assert_eq!(limit.bytes_per_second, Some(312_500));
        let Ok(Action::Note(note)) = read("note", "name=a&note=&contact=x") else { panic!("note") };
        assert_eq!((note.note, note.contact), (Some(String::new()), Some("x".into())));
        for bad in ["size=300", "size=x", "size=-1", "expect=x&size=48", ""] {
            assert!(read("resize", bad).is_err(), "{bad}");
        }
        assert!(read("policy", "grace_seconds=1e99").is_err());
        assert!(read("pool", "prefix=2001:db8::/32&admission=everybody").is_err());
    }

    #[test]
    fn whatever_needs_the_machine_needs_an_administrator_here() {
        for (name, text) in [
            ("pool", "prefix=2001:db8::/32"),
            ("pool-close", "prefix=2001:db8::/32"),
            ("policy", ""),
            ("roles", "name=a"),
            ("renumber", "from=2001:db8::/32&to=2001:db9::/32"),
        ] {
            let known = word(name).expect("word");
            assert!(action(known, &Fields::read(text.as_bytes())).expect("action").needs_machine());
            assert_eq!(known.role, Role::Admin);
        }
    }
}
