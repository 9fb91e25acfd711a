//! `ln6d init`: a network from nothing. Makes the root key, this node's identity, its certificate as broker, and the
//! configuration.

use super::check::describe;
use super::look_around;
use super::output::Output;
use crate::cli::Init;
use crate::config::{
    Broker, Config, Endpoint, InterfaceName, KnownBroker, Network, NodeName, Pool, check, render,
};
use crate::doctor::{CLOCK_FLOOR, exists};
use crate::error::{CliError, Exit, Trouble};
use crate::files::identity::{Identity, random};
use crate::files::{Layout, atomic, certificate, root};
use crate::schema::{Problem, SetupReply, Severity, Time};
use ln6_crypto::{Certificate, Roles, Signed, SigningKey, fingerprint, router_id};
use ln6_types::{Fingerprint, Prefix, UnixTime};

const DAY: u64 = 86_400;
/// A broker's certificate holds this long: the root key is away from the machine, and bringing it back is work.
const VALIDITY: u64 = 10 * 365 * DAY;
/// And is honoured for so long after.
const GRACE: u64 = 365 * DAY;

pub(super) fn run(init: &Init, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let mut config = configure(init)?;
    refuse_what_exists(layout)?;
    layout.create()?;
    let made = Made::new()?;
    config.network = Some(Network {
        fingerprint: made.network,
        brokers: vec![KnownBroker {
            key: made.identity.secret.public(),
            endpoints: config.node.public.clone(),
        }],
    });
    let broker = broker_certificate(&made, &config, Time::now().0)?;
    let files = write(layout, &made, &config, &broker)?;
    let key = describe(&made.identity, Some(made.network));
    output.show(SetupReply {
        done: "initialised".into(),
        name: config.node.name.to_string(),
        key: Some(key.key),
        network: Some(made.network),
        address: key.address,
        pools: init.pools.clone(),
        files,
        root_key: Some(layout.root_key.display().to_string()),
        setup_link: setup_link(layout, &config)?,
        kept: Vec::new(),
        problems: init.pools.iter().filter_map(odd_pool).chain(look_around(layout)).collect(),
        next: format!("{} run", layout.command),
    });
    Ok(Exit::Ok)
}

#[cfg(feature = "broker")]
fn setup_link(layout: &Layout, config: &Config) -> Result<Option<String>, CliError> {
    crate::page::setup_link(layout, config).map(Some)
}

#[cfg(not(feature = "broker"))]
fn setup_link(_: &Layout, _: &Config) -> Result<Option<String>, CliError> {
    Ok(None)
}

/// What the options say, checked.
pub(super) fn configure(init: &Init) -> Result<Config, CliError> {
    let name = NodeName::new(&init.name).ok_or_else(|| {
        let near = NodeName::near(&init.name);
        CliError::new(Trouble::NameInvalid, format!("'{}' is not a name; '{near}' would be one", init.name))
    })?;
    let mut config = Config::new(name);
    config.node.listen = init.listen;
    config.node.public =
        init.public.iter().map(|text| endpoint(text, init.listen)).collect::<Result<_, _>>()?;
    config.exit = !init.no_exit;
    let mut broker = Broker::new(pools(&init.pools)?);
    broker.uplink = init.uplink.as_deref().map(uplink).transpose()?;
    config.broker = Some(broker);
    Ok(config)
}

fn pools(prefixes: &[Prefix]) -> Result<Vec<Pool>, CliError> {
    for (at, prefix) in prefixes.iter().enumerate() {
        if let Some(why) = check::unfit_pool(*prefix) {
            return Err(CliError::new(Trouble::PrefixInvalid, format!("{prefix} cannot be a pool: {why}")));
        }
        if let Some(other) = prefixes[..at].iter().find(|other| other.overlaps(*prefix)) {
            return Err(CliError::new(
                Trouble::PrefixInvalid,
                format!("the pools {other} and {prefix} overlap"),
            )
            .hint("name each part of the address space once"));
        }
    }
    Ok(prefixes.iter().copied().map(Pool::new).collect())
}

/// What an operator may not have meant.
pub(super) fn odd_pool(pool: &Prefix) -> Option<Problem> {
    let (code, what, hint) = match (pool.len(), pool.network().octets()[0] & 0xfe) {
        (_, 0xfc) => (
            "pool_is_ula",
            "is a unique local prefix: members reach each other by it, but nobody on the Internet does",
            "ask the provider for a public prefix that is routed to this machine",
        ),
        (64.., _) => (
            "pool_gives_no_subnets",
            "gives single addresses (/128) only: gateways cannot get a prefix for their LANs of it",
            "ask the provider for a /56, /48 or larger that is routed to this machine",
        ),
        (..=27, _) => (
            "pool_is_huge",
            "is larger than what providers get: is the length right?",
            "if it is not, put these files away and type 'init' again with the prefix that is routed here",
        ),
        _ => return None,
    };
    Some(Problem {
        code: code.to_owned(),
        severity: Severity::Warning,
        message: format!("the pool {pool} {what}"),
        hint: Some(hint.to_owned()),
    })
}

fn endpoint(text: &str, port: u16) -> Result<Endpoint, CliError> {
    Endpoint::parse(text, port).ok_or_else(|| {
        CliError::new(Trouble::ConfigInvalid, format!("'{text}' is not host[:port]"))
            .hint("such as --public vm.example.net, or --public [2001:db8::1]:6695")
    })
}

/// An interface that is there: a wrong name would be noticed by clients without Internet only.
fn uplink(text: &str) -> Result<InterfaceName, CliError> {
    let name = interface(text)?;
    if !exists(name.as_str()) {
        return Err(CliError::new(Trouble::InterfaceMissing, format!("there is no interface {name}")));
    }
    Ok(name)
}

pub(super) fn interface(text: &str) -> Result<InterfaceName, CliError> {
    InterfaceName::new(text).ok_or_else(|| {
        CliError::new(Trouble::InterfaceMissing, format!("'{text}' cannot be the name of an interface"))
    })
}

fn refuse_what_exists(layout: &Layout) -> Result<(), CliError> {
    let files = [
        &layout.config,
        &layout.identity,
        &layout.root_key,
        &layout.certificate,
        &layout.registry,
        &layout.state,
    ];
    match files.into_iter().find(|file| file.exists()) {
        Some(file) => Err(CliError::new(
            Trouble::AlreadyExists,
            format!("there is a node here already: {}", file.display()),
        )),
        None => Ok(()),
    }
}

struct Made {
    root: SigningKey,
    identity: Identity,
    network: Fingerprint,
}

impl Made {
    fn new() -> Result<Self, CliError> {
        let root = SigningKey::from_seed(*random::<32>()?);
        let network = fingerprint(&root.verify_key());
        Ok(Made { root, identity: Identity::generate()?, network })
    }
}

/// What the broker itself originates of a pool: the /64 that single hosts are numbered in, the last one. The rest is its
/// to delegate, so what nobody holds is nobody's, and is answered where it is asked for.
fn hosts(pool: Prefix) -> Option<Prefix> {
    match pool.len() {
        64.. => Some(pool),
        len => pool.part(64, (1u128 << (64 - len)) - 1),
    }
}

fn broker_certificate(made: &Made, config: &Config, now: UnixTime) -> Result<Signed<Certificate>, CliError> {
    let key = made.identity.secret.public();
    let mut pools: Vec<_> =
        config.broker.iter().flat_map(|broker| &broker.pools).map(|pool| pool.prefix).collect();
    pools.sort_unstable();
    // With a clock that was never set, rights begin where no clock can be earlier.
    let begin = now.as_secs().max(CLOCK_FLOOR.as_secs());
    let roles = Roles { exit: config.exit, broker: true, transit: true };
    let certificate = Certificate {
        network: made.network,
        serial: 1,
        issuer: made.root.verify_key(),
        key,
        sign: made.identity.signing.verify_key(),
        router_id: router_id(&key),
        name: config.node.name.to_string(),
        holder: config.node.name.to_string(),
        originate: pools.iter().filter_map(|pool| hosts(*pool)).collect(),
        delegate: pools,
        roles,
        grantable: Roles { exit: true, broker: false, transit: true },
        not_before: UnixTime::from_secs(begin - DAY),
        not_after: UnixTime::from_secs(begin + VALIDITY),
        grace_until: UnixTime::from_secs(begin + VALIDITY + GRACE),
        routes: 1024,
        children: 1_000_000,
    };
    Signed::sign(certificate, &made.root)
        .map_err(|error| CliError::new(Trouble::Internal, format!("the certificate cannot be made: {error}")))
}

/// Writes everything, the configuration last: with it, the node is set up. Takes back what it wrote if it cannot finish.
fn write(
    layout: &Layout,
    made: &Made,
    config: &Config,
    broker: &Signed<Certificate>,
) -> Result<Vec<String>, CliError> {
    let files = [&layout.root_key, &layout.identity, &layout.certificate, &layout.config];
    let written = root::create(&layout.root_key, &made.root)
        .and_then(|()| made.identity.create(&layout.identity))
        .and_then(|()| certificate::store(&layout.certificate, broker))
        .and_then(|()| atomic::create(&layout.config, render(config).as_bytes()))
        // The root key stays with root: the daemon never needs it.
        .and_then(|()| files[1..].iter().try_for_each(|file| layout.hand_over(file)));
    if let Err(error) = written {
        // None of them existed before; what cannot be removed is named at the next attempt.
        files.iter().for_each(|file| drop(std::fs::remove_file(file)));
        return Err(error);
    }
    Ok(files.iter().map(|file| file.display().to_string()).collect())
}
