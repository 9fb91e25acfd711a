//! `ln6d leave`: the daemon gives the delegation back; then this node forgets the network. Its identity stays.

use super::output::Output;
use crate::api::ApiRequest;
use crate::client::Client;
use crate::config::{Config, Join, render};
use crate::error::{CliError, Exit, Trouble};
use crate::files::{Layout, atomic};
use crate::schema::ActionReply;

pub(super) fn run(layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let config = Config::load(layout)?;
    if config.broker.is_some() {
        return Err(CliError::new(
            Trouble::AlreadyMember,
            "this node is the network's broker and cannot leave it",
        )
        .hint("stop the daemon; to end the network, put its directory away"));
    }
    if config.network.is_none() {
        return Err(CliError::new(Trouble::NotFound, "this node belongs to no network")
            .hint("there is nothing to leave"));
    }
    output.confirm("Give the prefix back and leave the network?")?;
    let reply: ActionReply = Client::new(layout).get(&ApiRequest::Leave)?;
    forget(layout, config)?;
    put_state_aside(layout)?;
    output.show(reply);
    Ok(Exit::Ok)
}

/// Forgets the network in the configuration; the same whoever does it, and however often.
pub(crate) fn forget(layout: &Layout, mut config: Config) -> Result<Config, CliError> {
    config.network = None;
    config.join = Join::default();
    atomic::replace(&layout.config, render(&config).as_bytes())?;
    layout.hand_over(&layout.config)?;
    Ok(config)
}

/// Puts what the node kept of the network aside.
pub(crate) fn put_state_aside(layout: &Layout) -> Result<(), CliError> {
    // A daemon that waits for the next invitation may be faster.
    match atomic::keep_aside(&layout.state, "left") {
        Err(_) if !layout.state.exists() => Ok(()),
        other => other.map(|_| ()),
    }
}
