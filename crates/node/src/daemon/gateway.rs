//! What a gateway is asked for by its page, the API and the command line: what it wishes for, another size, to leave.

use crate::command::leave;
use crate::config::{Config, render};
use crate::daemon::Daemon;
use crate::error::{ApiError, CliError, Trouble};
use crate::files::atomic;
use crate::schema::{ActionReply, WishReport};
use ln6_overlay_core::control::Command;
use ln6_registry::proposed_slot;
use ln6_types::{Instant, Prefix};

/// The length of a proposal while none is asked for.
const USUAL: u8 = 56;

/// What a configuration asks for; `pools` are those of the network, as far as they are known.
pub(super) fn wish(config: &Config, pools: &[Prefix], waits: bool) -> WishReport {
    let join = &config.join;
    let slot = |pool: &Prefix| proposed_slot(*pool, join.size.unwrap_or(USUAL), join.ssid.as_deref()?);
    WishReport {
        size: join.size,
        ssid: join.ssid.clone(),
        contact: join.contact.clone(),
        proposals: pools.iter().filter_map(slot).collect(),
        lans: config.lans.iter().map(|lan| lan.interface.as_str().to_owned()).collect(),
        waits,
    }
}

impl Daemon {
    pub(super) fn wish_report(&self, now: Instant) -> WishReport {
        let certificates = self.control.certificate_views(now);
        let of_brokers = certificates.iter().flat_map(|certificate| &certificate.delegate);
        let mut pools: Vec<Prefix> = of_brokers.copied().collect();
        pools.sort_unstable();
        pools.dedup();
        // A line on the page for each; a network has one or two.
        pools.truncate(8);
        wish(&self.node.config, &pools, false)
    }

    /// Notes the size for requests to come, and asks for it at once.
    pub(super) fn ask_for_size(&mut self, now: Instant, size: u8) -> Result<ActionReply, ApiError> {
        if self.broker.is_some() {
            let message = "this node is the broker of its network itself, and asks nobody";
            return Err(CliError::new(Trouble::BadRequest, message)
                .hint("'ln6d resize NAME SIZE' gives a holder another size"));
        }
        if !(16..=128).contains(&size) {
            return Err(CliError::new(Trouble::BadRequest, format!("a size is 16 to 128, not {size}")));
        }
        let asked = self.control.handle_command(now, Command::Size(size));
        asked
            .map_err(|refusal| CliError::refused("no_broker", refusal.to_string(), "join a network first"))?;
        let layout = &self.node.layout;
        let mut config = Config::load(layout)?;
        config.join.size = Some(size);
        atomic::replace(&layout.config, render(&config).as_bytes())?;
        layout.hand_over(&layout.config)?;
        self.node.config.join.size = Some(size);
        let prefixes = self.control.held().to_vec();
        Ok(ActionReply { done: "asked".to_owned(), prefixes, ..ActionReply::default() })
    }

    /// Gives the delegation back; a request that waits or was refused is forgotten at once, for there is nothing to give.
    pub(super) fn give_back(&mut self, now: Instant) -> Result<ActionReply, ApiError> {
        let prefixes = self.control.held().to_vec();
        let done = match self.control.handle_command(now, Command::Leave) {
            Ok(()) => "left",
            Err(_) if prefixes.is_empty() && self.broker.is_none() => {
                self.forget_network()?;
                // There is nobody who could refuse.
                let _ = self.control.handle_command(now, Command::Withdraw);
                self.outlook.left = true;
                "forgotten"
            }
            Err(refusal) => return Err(CliError::refused("no_delegation", refusal.to_string(), "")),
        };
        Ok(ActionReply { done: done.to_owned(), prefixes, ..ActionReply::default() })
    }

    /// Takes the network out of the configuration, so that the next start does not ask it again.
    pub(super) fn forget_network(&mut self) -> Result<(), CliError> {
        let config = Config::load(&self.node.layout)?;
        if config.network.is_some() {
            leave::forget(&self.node.layout, config)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeName;

    #[test]
    fn the_network_name_stands_for_a_prefix_in_every_pool_that_has_room_for_it() {
        let mut config = Config::new(NodeName::new("quintana").expect("name"));
        let pools: Vec<Prefix> = ["2a00:1508:a00::/40", "2001:db8:1::/60"]
            .iter()
            .map(|text| text.parse().expect("pool"))
            .collect();
        assert_eq!(wish(&config, &pools, false).proposals, [], "no name, no proposal");
        config.join.ssid = Some("quintanalibre.org.ar".into());
        let slots = |config: &Config| {
            wish(config, &pools, false).proposals.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(slots(&config), ["2a00:1508:aee:3e00::/56"]);
        config.join.size = Some(64);
        assert_eq!(slots(&config).len(), 2);
        assert!(slots(&config)[0].starts_with("2a00:1508:aee:3ed9::/64"), "{:?}", slots(&config));
    }
}
