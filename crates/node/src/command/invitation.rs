//! `invite` and `replace`: links, on request as QR codes.

use super::output::Output;
use super::registry::act;
use crate::api::{self, Action};
use crate::cli::{Invite, Replace};
use crate::client::Client;
use crate::error::{CliError, Exit};
use crate::files::Layout;
use crate::qr;
use crate::schema::{ActionReply, InviteReply};

pub(super) fn invite(invite: Invite, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let Invite { name, size, expires, open, qr } = invite;
    let request =
        act(Action::Invite(api::Invite { name, size, expires_seconds: Some(expires.as_secs()), open }));
    let reply: InviteReply = Client::new(layout).get(&request)?;
    code(qr, Some(&reply.link), output)?;
    output.show(reply);
    Ok(Exit::Ok)
}

pub(super) fn replace(replace: Replace, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let Replace { name, key, sign, expires, qr } = replace;
    let keys = key.zip(sign);
    if keys.is_some() {
        output.confirm(&format!(
            "Give the prefix of {name} to the new key, and revoke its old ones for ever?"
        ))?;
    }
    let expires_seconds = keys.is_none().then(|| expires.as_secs());
    let reply: ActionReply = Client::new(layout).get(&act(Action::Replace(api::Replace {
        name,
        keys,
        expires_seconds,
        ..api::Replace::default()
    })))?;
    code(qr, reply.link.as_deref(), output)?;
    output.show(reply);
    Ok(Exit::Ok)
}

fn code(wanted: bool, link: Option<&str>, output: &Output) -> Result<(), CliError> {
    if let Some(link) = link.filter(|_| wanted && !output.is_json()) {
        output.text(&format!("{}\n\n", qr::in_terminal(link)?));
    }
    Ok(())
}
