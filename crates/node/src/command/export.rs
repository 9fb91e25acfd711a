//! `ln6d export` and `ln6d import`: the whole registry as one text file, and a registry made of one.

use super::output::Output;
use crate::api::{self, ApiRequest, RegistryRequest};
use crate::cli::{Export, Import};
use crate::client::Client;
use crate::config::Config;
use crate::error::{CliError, Exit, Trouble};
use crate::files::{Layout, Lock};
use crate::schema::ActionReply;
use ln6_broker::{Store, StoreError};
use std::fs;
use std::path::Path;

/// The daemon writes the file beside the registry; who asked for another place gets it there.
pub(super) fn export(export: &Export, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    if let Some(file) = export.file.as_ref().filter(|file| file.exists()) {
        return Err(CliError::new(Trouble::AlreadyExists, format!("{} exists already", file.display())));
    }
    let request = api::Export { without_contacts: export.without_contacts };
    let mut reply: ActionReply =
        Client::new(layout).get(&ApiRequest::Registry(RegistryRequest::Export(request)))?;
    if let (Some(file), Some(made)) = (&export.file, reply.name.as_deref().map(Path::new)) {
        move_to(made, file)?;
        reply.name = Some(file.display().to_string());
    }
    output.show(reply);
    Ok(Exit::Ok)
}

/// Also to another file system; private there, too.
fn move_to(made: &Path, file: &Path) -> Result<(), CliError> {
    if fs::hard_link(made, file).is_err() {
        let bytes = fs::read(made).map_err(|error| CliError::file("read", made, &error))?;
        crate::files::atomic::create(file, &bytes)?;
    }
    fs::remove_file(made).map_err(|error| CliError::file("remove", made, &error))
}

/// Makes this broker's registry of an export: all of it, or nothing.
pub(super) fn import(import: &Import, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    if Config::load(layout)?.broker.is_none() {
        return Err(CliError::new(Trouble::NotABroker, "this node keeps no registry"));
    }
    // No daemon may have the registry, now or while we write it.
    let _held = Lock::take(&layout.lock)?;
    if layout.registry.exists() {
        let message = format!("there is a registry already: {}", layout.registry.display());
        return Err(CliError::new(Trouble::AlreadyExists, message)
            .hint("move it away first, with its -wal and -shm; nothing was changed"));
    }
    let (_, registry) = Store::import(&layout.registry, &import.file).map_err(|error| told(&error))?;
    let holders = registry.holder_views(true).len();
    layout.hand_over(&layout.registry)?;
    output.show(ActionReply {
        done: "imported".to_owned(),
        name: Some(format!("{holders} holders into {}", layout.registry.display())),
        ..ActionReply::default()
    });
    Ok(Exit::Ok)
}

fn told(error: &StoreError) -> CliError {
    CliError::refused(error.code(), error.to_string(), "")
}
