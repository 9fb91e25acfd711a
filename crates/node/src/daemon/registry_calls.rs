//! Requests that the registry answers.

mod actions;
mod effects;
mod kept;
mod lists;
mod resolve;
mod summary;
mod words;

pub(crate) use kept::Kept;
pub(crate) use lists::{prefixes, show_requests};
pub(crate) use summary::summary;

use crate::api::{ActingFor, Caller, RegistryRequest, Reply};
use crate::daemon::broker;
use crate::error::{ApiError, CliError, Trouble};
use ln6_broker::{DeskHandle, Refused};
use ln6_crypto::Link;
use ln6_registry::Actor;
use ln6_types::{Fingerprint, PublicKey, UnixTime};
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot};

type Answer = oneshot::Sender<Result<Reply, ApiError>>;

/// What only somebody at the machine may do, the registry refuses to others with this code.
const NEEDS_OPERATOR: &str = "needs_operator";

/// All that answering takes. Cheap to clone: it goes along from one answer of the desk to the next.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) desk: DeskHandle,
    pub(crate) kept: Kept,
    pub(crate) who: Caller,
    pub(crate) wall: UnixTime,
    pub(crate) link: LinkParts,
    /// Where copies of the registry are put.
    pub(crate) backups: PathBuf,
    /// The way back to the daemon.
    pub(crate) back: mpsc::UnboundedSender<broker::Answer>,
}

impl Context {
    /// Who acts, for the journal.
    fn actor(&self) -> Actor {
        match &self.who {
            Caller::Machine => Actor::Operator,
            Caller::For(ActingFor::Admin(name)) => Actor::Admin(name.clone()),
            Caller::For(ActingFor::Token(name)) => Actor::Token(name.clone()),
        }
    }
}

/// What every link carries.
#[derive(Clone)]
pub(crate) struct LinkParts {
    pub(crate) network: Fingerprint,
    pub(crate) broker: PublicKey,
    pub(crate) endpoints: Vec<String>,
}

impl LinkParts {
    fn link(
        &self,
        secret: Option<[u8; 16]>,
        name: Option<String>,
        size: Option<u8>,
        expires: UnixTime,
    ) -> Result<String, ApiError> {
        if self.endpoints.is_empty() {
            return Err(CliError::new(Trouble::ConfigInvalid, "no public address of this broker is known")
                .hint("add public = [\"host\"] under [node] and restart"));
        }
        let endpoints = self.endpoints.iter().take(6).cloned().collect();
        let link =
            Link { network: self.network, broker: self.broker, endpoints, secret, name, size, expires };
        link.check().map_err(|error| CliError::refused(error.code(), error.to_string(), ""))?;
        Ok(link.to_string())
    }
}

fn refused(refused: Refused) -> CliError {
    CliError::refused(refused.code, refused.text, &refused.hint)
}

fn other_list() -> CliError {
    CliError::new(Trouble::Internal, "the registry gave another list")
}

fn not_yet() -> CliError {
    CliError::new(Trouble::BadRequest, "this broker has no answer to that yet")
}

fn send(answer: Answer, result: Result<Reply, ApiError>) {
    // Whoever asked may have gone.
    drop(answer.send(result));
}

/// Carries a request to the desk.
pub(crate) fn ask(context: Context, request: RegistryRequest, answer: Answer) {
    match request {
        RegistryRequest::Act(action) => actions::act(context, *action, answer),
        RegistryRequest::Preview(preview) => effects::preview(&context, preview.action, answer),
        RegistryRequest::Confirm(confirm) => actions::confirm(context, &confirm.code, answer),
        RegistryRequest::Confirmations => effects::confirmations(&context, answer),
        RegistryRequest::Backup => actions::backup(&context, answer),
        RegistryRequest::Export(export) => actions::export(&context, export, answer),
        RegistryRequest::OpenApi => send(answer, Ok(Reply::Json(crate::api::OPENAPI.to_owned()))),
        RegistryRequest::Backups => send(answer, actions::backups(&context)),
        question => lists::question(&context, question, answer),
    }
}
