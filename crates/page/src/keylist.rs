//! The key list in Git: how it stands, look now, do what waits.

use crate::accounts::Role;
use crate::app::{App, Page, Sent, redirect_saying};
use axum::extract::State;
use ln6_api::request::{KeyListConfirm, KeyListRequest};
use ln6_api::schema::KeyListReport;
use ln6_api::{ApiError, ApiRequest, Trouble};
use std::sync::Arc;

/// Where it is shown.
const HERE: &str = "/settings?tab=keylist";

/// How it stands; `None` if the broker has none.
pub(crate) async fn standing(app: &App) -> Result<Option<KeyListReport>, ApiError> {
    match app.desk.get::<KeyListReport>(ApiRequest::KeyList(KeyListRequest::Status)).await {
        Ok(report) => Ok(Some((*report).clone())),
        Err(error) if error.code == Trouble::NotFound.code() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks now; with a commit also does what waits in it, which is for administrators: it takes places away.
pub(crate) async fn change(State(app): State<Arc<App>>, sent: Sent) -> Page {
    let Sent { visitor, fields } = sent;
    let request = match fields.some("commit") {
        Some(commit) => {
            visitor.must_be(Role::Admin)?;
            KeyListRequest::Confirm(KeyListConfirm { commit: commit.to_owned() })
        }
        None => {
            visitor.must_be(Role::Operator)?;
            KeyListRequest::Pull
        }
    };
    match app.desk.act::<KeyListReport>(&visitor.actor(), &ApiRequest::KeyList(request)).await {
        Ok(_) => Ok(redirect_saying(&app, HERE, false, &visitor.look.t("keylist.looked"))),
        Err(error) if error.code == Trouble::DaemonUnreachable.code() => Err(error.into()),
        Err(error) => {
            let text = format!("{}. {}", error.message, error.hint.unwrap_or_default());
            Ok(redirect_saying(&app, HERE, true, &text))
        }
    }
}
