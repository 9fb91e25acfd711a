//! `ln6d join LINK`: writes this node's identity and configuration, so that `run` asks the broker for a prefix.

use super::check::describe;
use super::init::interface;
use super::look_around;
use super::output::Output;
use crate::api::ApiRequest;
use crate::cli::Join;
use crate::client::Client;
use crate::config::{Config, Endpoint, KnownBroker, Lan, Network, NodeName, PORT, Secret, render};
use crate::doctor::CLOCK_FLOOR;
use crate::error::{CliError, Exit, Trouble};
use crate::files::identity::Identity;
use crate::files::{Layout, atomic};
use crate::schema::{Problem, ReloadReply, SetupReply, Severity, Time};
use ln6_crypto::{Link, LinkError};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long a name server may take.
const LOOKUP: Duration = Duration::from_secs(3);

pub(super) fn run(join: &Join, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let (_, link, mut reply) = carry_out(join, layout)?;
    reply.problems = look_around(layout).into_iter().chain(unknown_names(&link.endpoints)).collect();
    if UnixStream::connect(&layout.socket).is_ok() {
        reply.next = goes_on(layout).unwrap_or_else(|| "restart the daemon".into());
    }
    output.show(reply);
    Ok(Exit::Ok)
}

/// A daemon that waits for an invitation takes the new configuration and goes on by itself.
fn goes_on(layout: &Layout) -> Option<String> {
    let reply: ReloadReply = Client::new(layout).get(&ApiRequest::Reload).ok()?;
    let joined = reply.changes.iter().any(|change| change.what == "network" && !change.needs_restart);
    joined.then(|| format!("{} status", layout.command))
}

/// Writes the configuration and, if there is none yet, the identity of a member: what `join` does, wherever it is said.
pub(crate) fn carry_out(join: &Join, layout: &Layout) -> Result<(Config, Link, SetupReply), CliError> {
    let link = read_link(&join.link, Time::now())?;
    let old = Config::load_file(&layout.config)?;
    let updated = old.is_some();
    let kept = old.as_ref().map(|old| kept(old, join, &link)).unwrap_or_default();
    let config = merge(old, join, &link, layout)?;
    layout.create()?;
    let (identity, made) = own_identity(layout)?;
    atomic::replace(&layout.config, render(&config).as_bytes())?;
    layout.hand_over(&layout.config)?;
    let mut files = vec![layout.config.display().to_string()];
    if made {
        files.insert(0, layout.identity.display().to_string());
    }
    let key = describe(&identity, Some(link.network));
    let reply = SetupReply {
        done: if updated { "updated" } else { "joined" }.into(),
        name: config.node.name.to_string(),
        key: Some(key.key),
        network: key.network,
        address: key.address,
        pools: Vec::new(),
        files,
        root_key: None,
        setup_link: None,
        kept,
        problems: Vec::new(),
        next: format!("{} run", layout.command),
    };
    Ok((config, link, reply))
}

/// Reads a link; with a clock that can be trusted, one that has expired is refused before anything is written.
pub(super) fn read_link(text: &str, now: Time) -> Result<Link, CliError> {
    let link: Link = text.parse().map_err(|error: LinkError| {
        let (trouble, message) = match &error {
            LinkError::NotALink => (Trouble::LinkForeign, "this is no invitation of ln6d".to_owned()),
            LinkError::Truncated => {
                (Trouble::LinkTruncated, "the end of the invitation is missing".to_owned())
            }
            LinkError::Mangled => (Trouble::LinkMangled, "the invitation was damaged on its way".to_owned()),
            LinkError::Version(version) => {
                (Trouble::LinkVersion, format!("the invitation was made by a newer ln6d (version {version})"))
            }
            LinkError::Invalid(why) => {
                (Trouble::LinkMangled, format!("the invitation cannot be right: {why}"))
            }
        };
        CliError::new(trouble, message)
    })?;
    if now >= CLOCK_FLOOR && link.expired(now.0) {
        let message = format!("this invitation expired on {}", Time(link.expires));
        return Err(CliError::new(Trouble::LinkExpired, message));
    }
    Ok(link)
}

/// The configuration that comes of the old one, the link and the options; options win over the link.
pub(super) fn merge(
    old: Option<Config>,
    join: &Join,
    link: &Link,
    layout: &Layout,
) -> Result<Config, CliError> {
    if let Some(other) = old.as_ref().and_then(|config| config.network.as_ref())
        && other.fingerprint != link.network
    {
        let message = format!("this node is a member of another network ({})", other.fingerprint);
        let hint = format!(
            "leave that network first ('{} leave'), or run a second node with its own --dir",
            layout.command
        );
        return Err(CliError::new(Trouble::AlreadyMember, message).hint(hint));
    }
    if old.as_ref().is_some_and(|config| config.broker.is_some()) {
        return Err(CliError::new(Trouble::AlreadyMember, "this node is the broker of this network itself")
            .hint("type 'join' on another machine, or give this node its own --dir"));
    }
    let chosen = chosen_name(join, link)?;
    let mut config = match (old, chosen) {
        (Some(mut config), chosen) => {
            config.node.name = chosen.unwrap_or(config.node.name);
            config
        }
        (None, chosen) => Config::new(chosen.unwrap_or_else(machine_name)),
    };
    // Another broker of the same network is one more: this node goes on with what the others gave it, and asks this one too.
    let mut brokers = config.network.take().map(|network| network.brokers).unwrap_or_default();
    let told = known_broker(link)?;
    brokers.retain(|broker| broker.key != told.key);
    config.join.broker = (!brokers.is_empty()).then_some(told.key);
    brokers.push(told);
    config.network = Some(Network { fingerprint: link.network, brokers });
    config.node.listen = join.listen.unwrap_or(config.node.listen);
    let wish = &mut config.join;
    wish.size = join.size.or(link.size).or(wish.size);
    wish.ssid = text(join.ssid.as_deref(), 64, "--ssid")?.or(wish.ssid.take());
    wish.contact = text(join.contact.as_deref(), 128, "--contact")?.or(wish.contact.take());
    wish.secret = link.secret.map(Secret::new).or(wish.secret.take());
    // What is named now is what there is; one that was there keeps its settings.
    let mut old_lans = if join.lans.is_empty() { Vec::new() } else { std::mem::take(&mut config.lans) };
    for name in &join.lans {
        let interface = interface(name)?;
        if interface == config.node.interface {
            return Err(CliError::new(
                Trouble::InterfaceTaken,
                format!("{interface} is the node's own interface"),
            ));
        }
        if !config.lans.iter().any(|lan| lan.interface == interface) {
            let known = old_lans.iter().position(|lan| lan.interface == interface);
            let fresh = Lan { interface, subnet: None, resolvers: Vec::new() };
            config.lans.push(known.map_or(fresh, |at| old_lans.swap_remove(at)));
        }
    }
    Ok(config)
}

/// What neither the link nor the options said, so that it stays as it was.
pub(super) fn kept(old: &Config, join: &Join, link: &Link) -> Vec<String> {
    let mut kept = Vec::new();
    if join.name.is_none() && link.name.is_none() {
        kept.push(format!("name {}", old.node.name));
    }
    if let Some(size) = old.join.size.filter(|_| join.size.is_none() && link.size.is_none()) {
        kept.push(format!("size /{size}"));
    }
    if let Some(ssid) = old.join.ssid.as_ref().filter(|_| join.ssid.is_none()) {
        kept.push(format!("ssid {ssid}"));
    }
    if let Some(contact) = old.join.contact.as_ref().filter(|_| join.contact.is_none()) {
        kept.push(format!("contact {contact}"));
    }
    if old.node.listen != PORT && join.listen.is_none() {
        kept.push(format!("port {}", old.node.listen));
    }
    if join.lans.is_empty() {
        kept.extend(old.lans.iter().map(|lan| format!("LAN {}", lan.interface)));
    }
    kept
}

/// A word of warning about a broker none of whose names can be looked up now.
fn unknown_names(endpoints: &[String]) -> Option<Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let is_known = async |text: &String| {
        let lookup = tokio::time::timeout(LOOKUP, tokio::net::lookup_host(text.as_str())).await;
        lookup.is_ok_and(|found| found.is_ok_and(|mut found| found.next().is_some()))
    };
    let known = runtime.block_on(async {
        for text in endpoints {
            if is_known(text).await {
                return true;
            }
        }
        endpoints.is_empty()
    });
    // A name server that does not answer must not hold up the end of this command.
    runtime.shutdown_background();
    (!known).then(|| Problem {
        code: "broker_name_unknown".to_owned(),
        severity: Severity::Warning,
        message: format!("the broker's address {} cannot be looked up from here", endpoints.join(", ")),
        hint: Some(
            "check this machine's name server; if the name is wrong, ask for another invitation".to_owned(),
        ),
    })
}

fn chosen_name(join: &Join, link: &Link) -> Result<Option<NodeName>, CliError> {
    let Some(text) = join.name.as_ref().or(link.name.as_ref()) else { return Ok(None) };
    NodeName::new(text).map(Some).ok_or_else(|| {
        let near = NodeName::near(text);
        CliError::new(Trouble::NameInvalid, format!("'{text}' is not a name; '{near}' would be one"))
    })
}

pub(crate) fn machine_name() -> NodeName {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    NodeName::near(text.trim())
}

pub(super) fn known_broker(link: &Link) -> Result<KnownBroker, CliError> {
    let read = |text: &String| {
        Endpoint::parse(text, PORT).ok_or_else(|| {
            CliError::new(
                Trouble::LinkMangled,
                format!("the invitation names '{text}', which is not host:port"),
            )
        })
    };
    Ok(KnownBroker {
        key: link.broker,
        endpoints: link.endpoints.iter().map(read).collect::<Result<_, _>>()?,
    })
}

fn text(value: Option<&str>, most: usize, option: &str) -> Result<Option<String>, CliError> {
    match value {
        Some(text) if text.is_empty() || text.len() > most || text.chars().any(char::is_control) => {
            Err(CliError::new(Trouble::BadRequest, format!("{option} is one line of 1 to {most} octets"))
                .hint("shorten it"))
        }
        other => Ok(other.map(str::to_owned)),
    }
}

/// The identity there is, or a new one.
pub(crate) fn own_identity(layout: &Layout) -> Result<(Identity, bool), CliError> {
    if layout.identity.exists() {
        return Identity::load(&layout.identity).map(|identity| (identity, false));
    }
    let identity = Identity::generate()?;
    identity.create(&layout.identity)?;
    layout.hand_over(&layout.identity)?;
    Ok((identity, true))
}
