//! `root …`: what the root key can do after `init`, on whatever machine it lies. Requests and answers are text to be carried.

use super::init::{broker_certificate, own_of, pools};
use super::output::Output;
use crate::cli::{Root, RootAccept, RootCertify, RootRequest, RootRevoke};
use crate::config::{Config, Pool, render};
use crate::error::{CliError, Exit, Trouble};
use crate::files::identity::Identity;
use crate::files::request::Request;
use crate::files::{Layout, atomic, certificate, root};
use crate::render::{Render, Style};
use crate::schema::{Schema, Time};
use ln6_crypto::{Certificate, Reason, Revocation, Revoked, Signed, SigningKey, fingerprint};
use ln6_overlay_core::control::message::ItemKind;
use ln6_types::{Fingerprint, Prefix, PublicKey, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The longest text that is read.
const MOST: u64 = 64 * 1024;

/// What a `root` command has done.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct RootReply {
    /// `requested`, `certified`, `revoked` or `accepted`.
    done: String,
    /// The broker's name, where it is known.
    name: Option<String>,
    /// The broker's key.
    key: Option<PublicKey>,
    /// Its pools.
    pools: Vec<Prefix>,
    /// Whom it succeeds.
    succeeds: Option<PublicKey>,
    /// Until when it holds.
    until: Option<Time>,
    /// What is to be carried on, if it was not written to a file.
    text: Option<String>,
    /// Files that were written.
    files: Vec<String>,
    /// The next step.
    next: String,
}

impl Schema for RootReply {
    const SCHEMA: &'static str = "ln6d.root/1";
}

impl Render for RootReply {
    fn render(&self, style: Style) -> String {
        // What is carried on stands alone: the rest is said beside it.
        self.text.clone().unwrap_or_else(|| self.told(style))
    }
}

impl RootReply {
    fn told(&self, style: Style) -> String {
        let mut out = match (self.done.as_str(), &self.name) {
            ("requested", Some(name)) => {
                format!("{} asks the root for a certificate.\n", style.paint.bold(name))
            }
            ("certified", Some(name)) => format!("The root certifies {}.\n", style.paint.bold(name)),
            ("revoked", _) => "The root takes back what it gave to this broker.\n".to_owned(),
            (_, Some(name)) => format!("{} has what the root signed.\n", style.paint.bold(name)),
            (_, None) => "What the root signed is here.\n".to_owned(),
        };
        let mut line = |label: &str, text: String| {
            let _ = writeln!(out, "  {} {text}", style.paint.dim(&format!("{label:<8}")));
        };
        self.key.iter().for_each(|key| line("Key", key.to_string()));
        self.pools.iter().for_each(|pool| line("Pool", pool.to_string()));
        self.succeeds.iter().for_each(|key| line("Succeeds", key.to_string()));
        self.until.iter().for_each(|until| line("Until", until.to_string()));
        self.files.iter().for_each(|file| line("Wrote", file.clone()));
        let _ = writeln!(out, "\nNext: {}", style.paint.bold(&self.next));
        out
    }
}

pub(super) fn run(command: &Root, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let (reply, out) = match command {
        Root::Request(request) => (self::request(request, layout)?, &request.out),
        Root::Certify(certify) => (self::certify(certify, layout, Time::now().0)?, &certify.out),
        Root::Revoke(revoke) => (self::revoke(revoke, layout, Time::now().0)?, &revoke.out),
        Root::Accept(accept) => (self::accept(accept, layout)?, &None),
    };
    show(reply, out.as_deref(), output)
}

fn show(mut reply: RootReply, out: Option<&Path>, output: &Output) -> Result<Exit, CliError> {
    if let (Some(file), Some(text)) = (out, &reply.text) {
        atomic::replace(file, text.as_bytes())?;
        reply.files.push(file.display().to_string());
        reply.text = None;
    } else if reply.text.is_some() {
        output.note(&reply.told(Style::plain(Time::now())));
    }
    output.show(reply);
    Ok(Exit::Ok)
}

/// Asks for what this machine is set up for.
pub(super) fn request(request: &RootRequest, layout: &Layout) -> Result<RootReply, CliError> {
    let config = Config::load(layout)?;
    let network = network_of(&config)?;
    let identity = Identity::load(&layout.identity)?;
    let asked: Vec<Prefix> = if request.pools.is_empty() {
        config.broker.iter().flat_map(|broker| &broker.pools).map(|pool| pool.prefix).collect()
    } else {
        pools(&request.pools)?.iter().map(|pool| pool.prefix).collect()
    };
    if asked.is_empty() {
        return Err(CliError::new(Trouble::BadRequest, "a broker needs a pool to delegate of")
            .hint("name it: --pool PREFIX (it must be routed to this machine)"));
    }
    let serial =
        certificate::load(&layout.certificate, &network)?.map_or(0, |papers| papers.certificate.serial);
    let key = identity.secret.public();
    let made = Request {
        network,
        key,
        sign: identity.signing.verify_key(),
        name: config.node.name.to_string(),
        holds: held(layout, &key)?.into_iter().filter(|p| asked.iter().any(|pool| pool.covers(*p))).collect(),
        pools: asked.clone(),
        exit: config.exit,
        serial,
        at: Time::now().0,
    };
    Ok(RootReply {
        done: "requested".into(),
        name: Some(made.name.clone()),
        key: Some(key),
        pools: asked,
        text: Some(made.render(&identity.signing)),
        next: "where the root key is: ln6d root certify FILE --root-key root.key".into(),
        ..RootReply::default()
    })
}

/// What brokers have given this node, as far as its state says.
fn held(layout: &Layout, key: &PublicKey) -> Result<Vec<Prefix>, CliError> {
    let stored = crate::daemon::stored_items(&layout.state)?;
    let mut newest = BTreeMap::new();
    for item in stored.iter().filter(|item| item.kind == ItemKind::Certificate) {
        let read = Signed::<Certificate>::decode(&item.bytes).and_then(|read| read.verify_named());
        let Some(own) = read.ok().filter(|c| c.key == *key && !c.roles.broker) else { continue };
        let slot = newest.entry(own.issuer).or_insert_with(|| own.clone());
        if slot.serial < own.serial {
            *slot = own;
        }
    }
    let mut held: Vec<Prefix> = newest.into_values().flat_map(|own| own.value().originate.clone()).collect();
    held.sort_unstable();
    held.dedup_by(|later, earlier| earlier.covers(*later));
    Ok(held)
}

fn network_of(config: &Config) -> Result<Fingerprint, CliError> {
    let network = config.network.as_ref().map(|network| network.fingerprint);
    network.ok_or_else(|| CliError::new(Trouble::NoConfig, "this node belongs to no network yet"))
}

fn root_key(given: Option<&PathBuf>, layout: &Layout) -> Result<SigningKey, CliError> {
    root::load(given.unwrap_or(&layout.root_key))
}

/// Signs a request, or what the options make of it.
pub(super) fn certify(certify: &RootCertify, layout: &Layout, now: UnixTime) -> Result<RootReply, CliError> {
    let asked = Request::read(&text_of(&certify.request)?).map_err(|why| {
        CliError::new(Trouble::PaperDamaged, format!("{} is no request: {why}", certify.request.display()))
    })?;
    let root = root_key(certify.root_key.as_ref(), layout)?;
    if fingerprint(&root.verify_key()) != asked.network {
        let message = format!("the request is for network {}, whose root this key is not", asked.network);
        return Err(CliError::new(Trouble::PaperForeign, message));
    }
    let chosen = if certify.pools.is_empty() { asked.pools.clone() } else { certify.pools.clone() };
    let pools: Vec<Prefix> = pools(&chosen)?.iter().map(|pool| pool.prefix).collect();
    let mut own = own_of(&asked, pools, now.max(asked.at), certify.years);
    own.exit &= !certify.no_exit;
    let signed = broker_certificate(&root, &own)?;
    let revocations: Vec<_> = match certify.succeeds {
        Some(key) if key == asked.key => {
            return Err(CliError::new(Trouble::BadRequest, "a broker does not succeed itself"));
        }
        Some(key) => vec![revocation(&root, key, Reason::Replaced, own.now)?],
        None => Vec::new(),
    };
    Ok(RootReply {
        done: "certified".into(),
        name: Some(asked.name),
        key: Some(asked.key),
        pools: signed.delegate.clone(),
        succeeds: certify.succeeds,
        until: Some(Time(signed.not_after)),
        text: Some(certificate::render(Some(&signed), &revocations)),
        next: "on the broker: ln6d root accept FILE".into(),
        ..RootReply::default()
    })
}

/// Takes back everything that the root gave to this key, and all that the key signed.
pub(super) fn revoke(revoke: &RootRevoke, layout: &Layout, now: UnixTime) -> Result<RootReply, CliError> {
    let root = root_key(revoke.root_key.as_ref(), layout)?;
    let signed = revocation(&root, revoke.key, Reason::Revoked, now)?;
    Ok(RootReply {
        done: "revoked".into(),
        key: Some(revoke.key),
        text: Some(certificate::render(None, &[signed])),
        next: "on any other broker: ln6d root accept FILE".into(),
        ..RootReply::default()
    })
}

/// The root keeps no books: the second in which it signs numbers what it signs.
fn revocation(
    root: &SigningKey,
    key: PublicKey,
    reason: Reason,
    now: UnixTime,
) -> Result<Signed<Revocation>, CliError> {
    let issuer = root.verify_key();
    let (network, number, what) = (fingerprint(&issuer), now.as_secs().max(1), Revoked::Key(key));
    Signed::sign(Revocation { network, issuer, number, what, at: now, reason }, root)
        .map_err(|error| CliError::new(Trouble::Internal, format!("the revocation cannot be made: {error}")))
}

/// Puts what the root signed where the daemon finds it, and the pools into the configuration.
pub(super) fn accept(accept: &RootAccept, layout: &Layout) -> Result<RootReply, CliError> {
    let mut config = Config::load(layout)?;
    let network = network_of(&config)?;
    let damaged = |why: String| {
        let message = format!("{} is nothing that the root signed: {why}", accept.file.display());
        CliError::new(Trouble::PaperDamaged, message)
    };
    let (new, revocations) = certificate::read(&text_of(&accept.file)?, &network).map_err(damaged)?;
    let old = certificate::load(&layout.certificate, &network)?;
    let certificate = match (new, &old) {
        (Some(new), _) => {
            fits(&new, layout)?;
            if let Some(old) = old.as_ref().filter(|old| old.certificate.serial > new.serial) {
                let message =
                    format!("it is older than the certificate there is (serial {})", old.certificate.serial);
                return Err(
                    CliError::new(Trouble::PaperForeign, message).hint("take the newest that was signed")
                );
            }
            new
        }
        (None, Some(old)) => old.certificate.clone(),
        (None, None) => {
            let message = "a revocation is taken by a broker, which spreads it; this machine is none";
            return Err(CliError::new(Trouble::NotABroker, message));
        }
    };
    let mut all = old.map(|old| old.revocations).unwrap_or_default();
    all.extend(revocations);
    all.sort_by_key(|signed| signed.id());
    all.dedup_by_key(|signed| signed.id());
    let papers = certificate::Papers { certificate, revocations: all };
    let pools = papers.certificate.delegate.clone();
    let broker = config.broker.get_or_insert_with(|| crate::config::Broker::new(Vec::new()));
    broker.pools.retain(|pool| pools.contains(&pool.prefix));
    for prefix in &pools {
        if !broker.pools.iter().any(|pool| pool.prefix == *prefix) {
            broker.pools.push(Pool::new(*prefix));
        }
    }
    if config.node.public.is_empty() {
        let message = "a broker has to say where it can be reached";
        return Err(CliError::new(Trouble::ConfigInvalid, message)
            .hint("add public = [\"HOST\"] under [node] in ln6d.toml, then accept again"));
    }
    // The certificate first: a broker without it does not start.
    certificate::store(&layout.certificate, &papers)?;
    layout.hand_over(&layout.certificate)?;
    atomic::replace(&layout.config, render(&config).as_bytes())?;
    layout.hand_over(&layout.config)?;
    let succeeds = papers.predecessors().last();
    Ok(RootReply {
        done: "accepted".into(),
        name: Some(papers.certificate.name.clone()),
        key: Some(papers.certificate.key),
        pools,
        succeeds,
        until: Some(Time(papers.certificate.not_after)),
        files: vec![layout.certificate.display().to_string(), layout.config.display().to_string()],
        next: "restart the daemon".into(),
        ..RootReply::default()
    })
}

fn fits(new: &Certificate, layout: &Layout) -> Result<(), CliError> {
    let identity = Identity::load(&layout.identity)?;
    if new.key != identity.secret.public() || new.sign != identity.signing.verify_key() {
        let message = format!("the certificate is for '{}', whose keys this machine does not have", new.name);
        return Err(CliError::new(Trouble::PaperForeign, message));
    }
    if !new.roles.broker {
        return Err(CliError::new(Trouble::PaperForeign, "the certificate makes nobody a broker"));
    }
    Ok(())
}

fn text_of(file: &Path) -> Result<String, CliError> {
    if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(MOST).read_to_string(&mut text);
        return read.map(|_| text).map_err(|error| CliError::file("read", file, &error));
    }
    let bytes = atomic::read(file, MOST)?;
    let bytes =
        bytes.ok_or_else(|| CliError::new(Trouble::NotFound, format!("there is no {}", file.display())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
