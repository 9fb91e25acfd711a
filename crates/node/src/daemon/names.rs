//! Brokers that are known by name, looked up again and again: a server may move, and a gateway may start before its
//! uplink does.

use super::setup::resolve;
use crate::config::{Endpoint, Network};
use ln6_types::PublicKey;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often, while nothing is known of a broker.
const SOON: Duration = Duration::from_secs(5);
/// How often, later. Names of servers that move live about as long in the caches of name servers.
const LATER: Duration = Duration::from_secs(60);

/// A broker with at least one endpoint that is a name.
struct Named {
    key: PublicKey,
    endpoints: Vec<Endpoint>,
    /// What was found last, sorted.
    found: Vec<SocketAddr>,
}

/// What a round of questions has brought.
pub(crate) struct Looked {
    /// Brokers whose addresses are others now.
    pub(crate) moved: Vec<(PublicKey, Vec<SocketAddr>)>,
    /// Names of brokers of which no address is known.
    pub(crate) unknown: Vec<String>,
}

/// The brokers to ask for.
pub(crate) struct Names {
    brokers: Vec<Named>,
}

impl Names {
    /// Those of `network` beside `own`, with what `found` says of each.
    pub(crate) fn new(
        network: &Network,
        own: PublicKey,
        found: impl Fn(&PublicKey) -> Vec<SocketAddr>,
    ) -> Self {
        let named = |endpoint: &Endpoint| bare(endpoint).parse::<std::net::IpAddr>().is_err();
        let brokers = network.brokers.iter().filter(|broker| broker.key != own);
        let brokers = brokers.filter(|broker| broker.endpoints.iter().any(named)).map(|broker| Named {
            key: broker.key,
            endpoints: broker.endpoints.clone(),
            found: sorted(found(&broker.key)),
        });
        Names { brokers: brokers.collect() }
    }

    /// Names of brokers of which no address is known.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let lost = self.brokers.iter().filter(|broker| broker.found.is_empty());
        lost.flat_map(|broker| broker.endpoints.iter().map(|endpoint| endpoint.host().to_owned())).collect()
    }

    /// Asks for ever; ends when nobody listens or there is nothing to ask.
    pub(crate) async fn watch(mut self, news: mpsc::UnboundedSender<Looked>) {
        while !self.brokers.is_empty() {
            let lost = self.brokers.iter().any(|broker| broker.found.is_empty());
            tokio::time::sleep(if lost { SOON } else { LATER }).await;
            let mut moved = Vec::new();
            for broker in &mut self.brokers {
                let addresses = resolve(&broker.endpoints).await;
                if let Some(addresses) = broker.learn(addresses) {
                    moved.push((broker.key, addresses));
                }
            }
            if !moved.is_empty() && news.send(Looked { moved, unknown: self.unknown() }).is_err() {
                return;
            }
        }
    }
}

impl Named {
    /// Takes what a look-up found; the addresses, if they are news. Silence of name servers is none.
    fn learn(&mut self, addresses: Vec<SocketAddr>) -> Option<Vec<SocketAddr>> {
        let found = sorted(addresses.clone());
        if found.is_empty() || found == self.found {
            return None;
        }
        self.found = found;
        Some(addresses)
    }
}

fn bare(endpoint: &Endpoint) -> &str {
    endpoint.host().trim_start_matches('[').trim_end_matches(']')
}

fn sorted(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("address")
    }

    #[test]
    fn only_other_addresses_are_news_and_silence_is_none() {
        let (one, two) = (address("192.0.2.1:6695"), address("[2001:db8::1]:6695"));
        let mut broker = Named { key: PublicKey([1; 32]), endpoints: Vec::new(), found: Vec::new() };
        assert_eq!(broker.learn(Vec::new()), None);
        assert_eq!(broker.learn(vec![two, one]), Some(vec![two, one]));
        assert_eq!(broker.learn(vec![one, two, one]), None);
        assert_eq!(broker.learn(Vec::new()), None);
        assert_eq!(broker.learn(vec![one]), Some(vec![one]));
    }
}
