//! From a directory to a running node: everything that needs privileges happens here, then they are dropped.

use crate::cipher;
use crate::config::{self, Change, Config};
use crate::daemon::door::{self, Call};
use crate::daemon::host_task::{HostNews, HostTask};
use crate::daemon::names::Names;
use crate::daemon::privileges::Right;
use crate::daemon::store::from_stored;
use crate::error::{CliError, Trouble, stable_code};
#[cfg(feature = "broker")]
use crate::files::certificate;
use crate::files::{Layout, Lock, identity::Identity, state};
use crate::logging::LogLevel;
use crate::schema::{Problem, Severity};
use ln6_crypto::seal::Suite;
use ln6_host::finding::Finding;
use ln6_host::interface::InterfaceName;
use ln6_host::kernel::{Kernel as _, KernelError, PROTOCOL, Step, TunShape};
use ln6_host::netlink::Netlink;
use ln6_host::sysctl::{Needs, Sysctls};
use ln6_host::uplink::Surroundings;
use ln6_netio::tun::{Tun, TunError, TunOffload, TunOptions, TunSet};
use ln6_netio::udp::{Udp, UdpError, UdpOptions, UdpSet};
use ln6_netio::worker::{WorkerParts, Workers, spawn_workers};
use ln6_netio::{Clock, EventReceiver, Mail};
use ln6_overlay_core::control::{self, Bootstrap, Control, HostChange, LanConfig, StockPeer, Wish};
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::stats::Stats;
use ln6_overlay_core::forwarder::{self, Forwarder};
use ln6_overlay_core::host_plan;
use ln6_types::{Fingerprint, Prefix, PublicKey, UnixTime};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Packets the kernel keeps for us while we are busy.
const TUN_QUEUE: u32 = 1000;
/// How long a name server may take at the start.
const LOOKUP: Duration = Duration::from_secs(3);

/// What `run` was told.
pub(crate) struct Options {
    pub(crate) layout: Layout,
    pub(crate) config: Config,
    #[cfg(feature = "broker")]
    pub(crate) alone: bool,
    #[cfg(feature = "broker")]
    pub(crate) wait: bool,
    #[cfg(feature = "broker")]
    pub(super) held: super::waiting::Held,
    pub(crate) log: LogLevel,
}

/// What the loop keeps of the start.
pub(crate) struct Parts {
    pub(crate) layout: Layout,
    pub(crate) config: Config,
    pub(crate) log: LogLevel,
    #[cfg(feature = "broker")]
    pub(crate) network: Fingerprint,
    pub(crate) interface: String,
    pub(crate) port: u16,
    pub(crate) ipv4_only: bool,
    pub(crate) started: UnixTime,
    pub(crate) stats: Vec<Arc<Stats>>,
    /// Whether it waits for another network once it has left this one.
    #[cfg(feature = "broker")]
    pub(super) wait: bool,
    #[cfg(feature = "broker")]
    held: super::waiting::Held,
    _lock: Lock,
}

/// A broker's keys and papers.
#[cfg(feature = "broker")]
pub(crate) struct BrokerParts {
    pub(crate) database: std::path::PathBuf,
    pub(crate) signing: ln6_crypto::SigningKey,
    pub(crate) papers: certificate::Papers,
    /// Whether its node remembers nothing at all.
    pub(crate) fresh: bool,
    /// What its node remembers of what it said.
    pub(crate) remembered: Option<ln6_crypto::Head>,
    /// Nobody is left who could know more than its registry.
    pub(crate) alone: bool,
}

/// A node that is ready to be served.
pub(crate) struct Node {
    pub(crate) parts: Parts,
    pub(crate) clock: Clock,
    pub(crate) control: Control,
    pub(crate) workers: Workers,
    pub(crate) events: EventReceiver,
    pub(crate) socket: UdpSocket,
    pub(crate) host: Option<HostTask>,
    pub(crate) host_news: mpsc::UnboundedReceiver<HostNews>,
    pub(crate) calls: mpsc::Receiver<Call>,
    #[cfg(feature = "broker")]
    pub(crate) broker: Option<super::broker::Broker>,
    pub(crate) findings: Vec<Problem>,
    /// Brokers that are known by name.
    pub(crate) names: Names,
}

/// Opens everything.
pub(crate) async fn start(options: Options) -> Result<Node, CliError> {
    let Options {
        layout,
        config,
        #[cfg(feature = "broker")]
        alone,
        #[cfg(feature = "broker")]
        wait,
        #[cfg(feature = "broker")]
        mut held,
        log,
    } = options;
    layout.create()?;
    let lock = Lock::take(&layout.lock)?;
    let network = config.network.clone().ok_or_else(|| {
        CliError::new(Trouble::NoConfig, "this node belongs to no network yet")
            .hint(format!("begin with '{0} init …' (a new network) or '{0} join LINK'", layout.command))
    })?;
    let identity = Identity::load(&layout.identity)?;
    let loaded = state::load(&layout.state)?;
    let mut findings: Vec<Problem> = loaded.warning.iter().map(problem_of).collect();

    let workers = config.node.workers.unwrap_or_else(default_workers);
    let udp =
        Udp::bind(config.node.listen, usize::from(workers), &UdpOptions::default()).map_err(udp_trouble)?;
    let interface: InterfaceName = config
        .node
        .interface
        .as_str()
        .parse()
        .map_err(|error| CliError::new(Trouble::ConfigInvalid, format!("node.interface: {error}")))?;
    let mut tun = open_tun(&config, usize::from(workers))?;
    let shape = TunShape { mtu: u32::from(config.node.mtu), queue: TUN_QUEUE };
    let mut netlink = Netlink::open(PROTOCOL).map_err(kernel_trouble)?;
    switch_on(&mut netlink, &mut tun, shape).await?;
    let surroundings = Surroundings::look(&mut netlink).await.map_err(kernel_trouble)?;
    findings.extend(check_host(&config, &interface, &surroundings));

    let clock = Clock::start();
    let wall = ln6_host::clock::wall();
    #[cfg_attr(not(feature = "broker"), expect(unused_mut, reason = "only a broker's are told more"))]
    let mut broker_parts = broker_parts(&layout, &config, &network.fingerprint, &identity)?;
    let mut saved = from_stored(loaded.state);
    #[cfg(feature = "broker")]
    if let Some(parts) = &mut broker_parts {
        // No node speaks before it has reserved time on its disk.
        parts.fresh = saved.stamp_ceiling == 0;
        parts.remembered = super::hearing::remembered(&saved.items, &parts.signing.verify_key());
        parts.alone = alone;
    }
    if let Some(own) = &broker_parts {
        saved.items.insert(0, own_certificate(own));
    }
    let own = identity.secret.public();
    let asked = control_config(&layout, &config, &network, identity, workers).await?;
    let names = Names::new(&network, own, |key| {
        let known = asked.brokers.iter().find(|broker| broker.key == *key);
        known.map(|broker| broker.endpoints.clone()).unwrap_or_default()
    });
    findings.extend(public_unknown(&config, &asked.public));
    let control = Control::new(
        asked,
        saved,
        Box::new(|out: &mut [u8]| {
            if let Err(error) = ln6_host::entropy::fill(out) {
                // Keys without randomness would be worse than no node.
                tracing::error!(%error, "no randomness");
                std::process::abort();
            }
        }),
        clock.now(),
        wall,
    );

    let socket = UdpSocket::from(udp.sockets[0].as_fd().try_clone_to_owned().map_err(internal)?);
    let (port, ipv4_only) = (udp.port, udp.ipv4_only);
    let (parts, stats) = worker_parts(&config, tun, udp)?;
    let page_user = door::page_account(&config);
    #[cfg(not(feature = "broker"))]
    let api = door::open(&layout, page_user.as_ref())?;
    #[cfg(feature = "broker")]
    let api = held.open(&layout, page_user.as_ref())?;
    let mut trial = door::Trial(Some(layout.socket.clone()));
    #[cfg(feature = "broker")]
    let page = match super::page::open(&layout, &config) {
        _ if held.page => None,
        Ok(doors) => doors,
        Err(problem) => {
            findings.push(problem);
            None
        }
    };
    #[cfg(feature = "broker")]
    {
        held.page |= page.is_some();
    }
    let right = super::privileges::right_to_priority(config.node.priority);
    super::privileges::drop_privileges(right)?;
    let (workers, events) = spawn_workers(parts, clock, right.keep()).map_err(internal)?;
    super::privileges::drop_privileges(Right::None)?;
    if config.node.priority {
        workers.tell(|| Mail::Priority(true));
    }

    let (news, host_news) = mpsc::unbounded_channel();
    let _ = news.send(HostNews::Surroundings(Box::new(surroundings)));
    let host = HostTask::start(interface, shape, clock, netlink, PROTOCOL, news)
        .map_err(|error| kernel_trouble(*error))?;
    #[cfg(feature = "broker")]
    let broker = match (broker_parts, &config.broker) {
        (Some(parts), Some(settings)) => {
            let mut broker = super::broker::Broker::start(parts, settings, wall)?;
            let keylist = super::keylist::start(&config, &layout, broker.desk())?;
            broker.assist(keylist, super::keylist::notifier(&config, wall)?);
            Some(broker)
        }
        _ => None,
    };
    let page_user = page_user.map(|user| user.uid.as_raw());
    #[cfg(not(feature = "broker"))]
    let (calls_in, calls) = mpsc::channel(door::CALLS);
    #[cfg(not(feature = "broker"))]
    drop(door::serve(api, page_user, &config, calls_in)?);
    #[cfg(feature = "broker")]
    let calls = held.serve(api, page_user, &config)?;
    #[cfg(feature = "broker")]
    page.map(|doors| super::page::start(&layout, &config, doors)).transpose()?;
    trial.0 = None;
    Ok(Node {
        parts: Parts {
            #[cfg(feature = "broker")]
            network: network.fingerprint,
            interface: config.node.interface.as_str().to_owned(),
            port,
            ipv4_only,
            started: wall,
            stats,
            layout,
            config,
            log,
            #[cfg(feature = "broker")]
            wait,
            #[cfg(feature = "broker")]
            held,
            _lock: lock,
        },
        clock,
        control,
        workers,
        events,
        socket,
        host: Some(host),
        host_news,
        calls,
        #[cfg(feature = "broker")]
        broker,
        findings,
        names,
    })
}

fn internal(error: std::io::Error) -> CliError {
    CliError::new(Trouble::Internal, error.to_string())
}

/// One on small machines: both ends of a packet's way on the same core are cheaper than waking another.
fn default_workers() -> u8 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    if cpus <= 2 { 1 } else { (cpus / 2).min(8) as u8 }
}

fn udp_trouble(error: UdpError) -> CliError {
    CliError::refused(error.code(), error.to_string(), error.hint())
}

fn kernel_trouble(error: KernelError) -> CliError {
    CliError::refused(error.code(), error.to_string(), error.hint())
}

fn open_tun(config: &Config, workers: usize) -> Result<TunSet, CliError> {
    let options = TunOptions { offload: config.node.offload, ..TunOptions::default() };
    Tun::open(config.node.interface.as_str(), workers, options)
        .map_err(|error: TunError| CliError::refused(error.code(), error.to_string(), error.hint()))
}

/// Brings the device up and finds out whether it takes superpackets.
async fn switch_on(netlink: &mut Netlink, tun: &mut TunSet, shape: TunShape) -> Result<(), CliError> {
    netlink.execute(Step::SetLink { index: tun.index, shape }).await.map_err(kernel_trouble)?;
    match tun.self_test() {
        Ok(test) => tracing::debug!(tcp = test.tcp, udp = test.udp, "superpackets towards the host"),
        Err(error) => tracing::warn!(%error, "the device could not be tested"),
    }
    Ok(())
}

fn check_host(config: &Config, tun: &InterfaceName, around: &Surroundings) -> Vec<Problem> {
    let pools: Vec<Prefix> =
        config.broker.iter().flat_map(|broker| broker.pools.iter().map(|pool| pool.prefix)).collect();
    let mut findings = around.check(tun.as_str(), &pools);
    let names = |names: Vec<String>| names.iter().filter_map(|name| name.parse().ok()).collect();
    let mut ipv6: Vec<InterfaceName> =
        config.lans.iter().filter_map(|lan| lan.interface.as_str().parse().ok()).collect();
    ipv6.push(tun.clone());
    findings.extend(Sysctls::default().check(&Needs {
        forwarding: true,
        uplinks: names(around.uplink_interfaces(tun.as_str())),
        ipv6,
        set: true,
    }));
    for lan in &config.lans {
        if !around.links.iter().any(|link| link.name == lan.interface.as_str()) {
            findings.push(Finding {
                code: "interface_missing",
                severity: ln6_host::finding::Severity::Error,
                message: format!("the LAN interface {} does not exist", lan.interface),
                hint: "look with `ip link`; it gets its prefix as soon as it is there and up".to_owned(),
            });
        }
    }
    findings.iter().map(problem).collect()
}

/// A finding as the API shows it.
pub(crate) fn problem(finding: &Finding) -> Problem {
    Problem {
        code: stable_code(finding.code.into()).into_owned(),
        severity: match finding.severity {
            ln6_host::finding::Severity::Note => Severity::Note,
            ln6_host::finding::Severity::Warning => Severity::Warning,
            ln6_host::finding::Severity::Error => Severity::Error,
        },
        message: finding.message.clone(),
        hint: Some(finding.hint.clone()),
    }
}

/// An error that does not stop the node, as the API shows it.
pub(crate) fn problem_of(error: &CliError) -> Problem {
    Problem {
        code: error.code.to_string(),
        severity: Severity::Warning,
        message: error.message.clone(),
        hint: error.hint.clone(),
    }
}

#[cfg(feature = "broker")]
fn broker_parts(
    layout: &Layout,
    config: &Config,
    network: &Fingerprint,
    identity: &Identity,
) -> Result<Option<BrokerParts>, CliError> {
    if config.broker.is_none() {
        return Ok(None);
    }
    let missing = || {
        let message = format!("there is no broker certificate {}", layout.certificate.display());
        CliError::new(Trouble::NotABroker, message).hint(format!(
            "ask the root for it ('{} root request'), or restore it from your backup",
            layout.command
        ))
    };
    let papers = certificate::load(&layout.certificate, network)?.ok_or_else(missing)?;
    Ok(Some(BrokerParts {
        database: layout.registry.clone(),
        signing: identity.signing.clone(),
        papers,
        fresh: false,
        remembered: None,
        alone: false,
    }))
}

#[cfg(not(feature = "broker"))]
fn broker_parts(
    _: &Layout,
    config: &Config,
    _: &Fingerprint,
    _: &Identity,
) -> Result<Option<NoBroker>, CliError> {
    match config.broker {
        None => Ok(None),
        Some(_) => Err(CliError::new(Trouble::NotABroker, "this build of ln6d has no broker in it")
            .hint("install the full package, or remove [broker] from the configuration")),
    }
}

#[cfg(not(feature = "broker"))]
enum NoBroker {}

#[cfg(feature = "broker")]
fn own_certificate(parts: &BrokerParts) -> control::message::Item {
    let bytes = parts.papers.certificate.bytes().clone();
    control::message::Item { kind: control::message::ItemKind::Certificate, bytes }
}

#[cfg(not(feature = "broker"))]
fn own_certificate(parts: &NoBroker) -> control::message::Item {
    match *parts {}
}

async fn control_config(
    layout: &Layout,
    config: &Config,
    network: &config::Network,
    identity: Identity,
    workers: u8,
) -> Result<control::Config, CliError> {
    let own = identity.secret.public();
    let mut brokers = Vec::new();
    for broker in network.brokers.iter().filter(|broker| broker.key != own) {
        let endpoints = resolve(&broker.endpoints).await;
        brokers.push(Bootstrap { key: broker.key, endpoints });
    }
    let mut stock = Vec::new();
    for peer in &config.wireguard {
        let endpoint = resolve(peer.endpoint.as_slice()).await.first().copied();
        stock.push(to_stock(layout, peer, endpoint)?);
    }
    stock.extend(super::leaves::load(&layout.leaves)?.iter().map(super::leaves::Leaf::peer));
    let wish = config.broker.is_none().then(|| Wish {
        size: config.join.size.unwrap_or(0),
        ssid: config.join.ssid.clone(),
        secret: config.join.secret.as_ref().map(|secret| *secret.expose()),
        broker: config.join.broker,
        contact: config.join.contact.clone(),
    });
    let asked = control::Config {
        secret: identity.secret,
        signing: identity.signing,
        network: network.fingerprint,
        name: config.node.name.as_str().to_owned(),
        workers,
        brokers,
        public: resolve(&config.node.public).await,
        wish,
        stock,
        lans: config.lans.iter().map(to_lan).collect(),
        inbound: to_inbound(config.firewall.inbound),
        openings: config.firewall.openings.iter().map(to_opening).collect(),
        firewall: config.firewall.inbound != config::Inbound::Off,
        exit: config.exit,
        transit: config.node.transit,
        suites: suites(config),
        mtu: config.node.mtu,
        seed: ln6_host::entropy::seed()
            .map_err(|error| CliError::new(Trouble::Internal, error.to_string()))?,
    };
    Ok(asked)
}

/// What to seal with, best first.
fn suites(config: &Config) -> Vec<Suite> {
    let speeds = cipher::measure();
    let suites = cipher::choose(config.node.suite, &speeds);
    let gigabytes = |suite| format!("{:.2}", cipher::rate_of(&speeds, suite) / 1e9);
    tracing::info!(
        first = %suites[0],
        chacha20_poly1305 = gigabytes(Suite::ChaCha20Poly1305),
        aes_256_gcm = gigabytes(Suite::Aes256Gcm),
        "ciphers, gigabytes a second"
    );
    suites
}

/// A node that says where it can be reached, of which nothing could be looked up.
fn public_unknown(config: &Config, found: &[SocketAddr]) -> Option<Problem> {
    let hosts: Vec<&str> = config.node.public.iter().map(config::Endpoint::host).collect();
    (!hosts.is_empty() && found.is_empty()).then(|| Problem {
        code: "public_name_unknown".to_owned(),
        severity: Severity::Warning,
        message: format!("this node's public name {} cannot be looked up", hosts.join(", ")),
        hint: Some(
            "others look for it there: correct public = … under [node] or the name server, then restart ln6d"
                .to_owned(),
        ),
    })
}

fn to_stock(
    layout: &Layout,
    peer: &config::Wireguard,
    endpoint: Option<SocketAddr>,
) -> Result<StockPeer, CliError> {
    Ok(StockPeer {
        name: peer.name.as_str().to_owned(),
        key: peer.public_key,
        psk: peer.psk.load(layout)?,
        endpoint,
        prefixes: peer.prefixes.clone(),
        keepalive: peer.keepalive,
    })
}

/// The address of an endpoint that is one already; names are looked up at the start only.
fn literal(endpoint: Option<&config::Endpoint>) -> Option<SocketAddr> {
    let endpoint = endpoint?;
    let host = endpoint.host().trim_start_matches('[').trim_end_matches(']');
    Some(SocketAddr::new(host.parse().ok()?, endpoint.port()))
}

fn lan_side(config: &Config) -> control::Command {
    control::Command::LanSide {
        lans: config.lans.iter().map(to_lan).collect(),
        inbound: to_inbound(config.firewall.inbound),
        openings: config.firewall.openings.iter().map(to_opening).collect(),
        firewall: config.firewall.inbound != config::Inbound::Off,
    }
}

/// What a new configuration asks for.
pub(crate) struct Reload {
    pub(crate) changes: Vec<Change>,
    pub(crate) stock: Vec<StockPeer>,
    pub(crate) gone: Vec<PublicKey>,
    pub(crate) lan_side: control::Command,
}

fn to_lan(lan: &config::Lan) -> LanConfig {
    LanConfig {
        interface: lan.interface.as_str().to_owned(),
        subnet: lan.subnet,
        resolvers: lan.resolvers.clone(),
    }
}

fn to_inbound(inbound: config::Inbound) -> host_plan::Inbound {
    match inbound {
        config::Inbound::Members | config::Inbound::Off => host_plan::Inbound::Members,
        config::Inbound::Closed => host_plan::Inbound::Closed,
        config::Inbound::Open => host_plan::Inbound::Open,
    }
}

fn to_opening(opening: &config::Opening) -> host_plan::Opening {
    host_plan::Opening {
        to: opening.to,
        protocol: opening.protocol.map(|protocol| match protocol {
            config::Protocol::Tcp => host_plan::Protocol::Tcp,
            config::Protocol::Udp => host_plan::Protocol::Udp,
        }),
        ports: opening.ports,
    }
}

/// The addresses behind endpoints; a name that cannot be looked up in time is left out.
pub(crate) async fn resolve(endpoints: &[config::Endpoint]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for endpoint in endpoints {
        let host = endpoint.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let lookup = tokio::net::lookup_host((host.as_str(), endpoint.port()));
        match tokio::time::timeout(LOOKUP, lookup).await {
            Ok(Ok(addresses)) => found.extend(addresses),
            Ok(Err(error)) => tracing::warn!(host, %error, "name not found"),
            Err(_) => tracing::warn!(host, "no name server answers"),
        }
    }
    found
}

type Workplaces = (Vec<WorkerParts<Forwarder>>, Vec<Arc<Stats>>);

fn worker_parts(config: &Config, tun: TunSet, udp: UdpSet) -> Result<Workplaces, CliError> {
    let workers = udp.sockets.len() as u8;
    let uso = tun.offload == TunOffload::TcpUdp;
    let mut queues = tun.queues.into_iter();
    let mut parts = Vec::new();
    let mut all = Vec::new();
    for (worker, udp) in udp.sockets.into_iter().enumerate() {
        let stats = Arc::new(Stats::default());
        all.push(stats.clone());
        let seed = ln6_host::entropy::bytes()
            .map_err(|error| CliError::new(Trouble::Internal, error.to_string()))?;
        let engine = Forwarder::new(forwarder::Config {
            worker: worker as u8,
            workers,
            layout: ArenaLayout::STANDARD,
            uso,
            transit: if config.node.transit { u64::from(config.node.transit_limit) * 125_000 } else { 0 },
            seed,
            stats,
        });
        parts.push(WorkerParts { engine, tun: queues.next(), udp });
    }
    Ok((parts, all))
}

impl Parts {
    /// An underlay address as the socket wants it.
    pub(crate) fn outer(&self, to: SocketAddr) -> SocketAddr {
        match to {
            SocketAddr::V4(v4) if !self.ipv4_only => {
                SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port())
            }
            other => other,
        }
    }

    /// What control has to know of the host.
    pub(crate) fn host_change(&self, around: &Surroundings, inside: &[Prefix]) -> HostChange {
        let candidates = around.candidates(&self.interface, inside);
        let address = |candidate: ln6_host::uplink::Candidate| SocketAddr::new(candidate.address, self.port);
        HostChange {
            candidates: candidates
                .into_iter()
                .filter(|candidate| !(self.ipv4_only && candidate.address.is_ipv6()))
                .map(address)
                .collect(),
            uplink6: around.has_uplink(true, &self.interface),
        }
    }

    /// What a link says of where this broker is.
    pub(crate) fn public_endpoints(&self) -> Vec<String> {
        self.config
            .node
            .public
            .iter()
            .map(|endpoint| format!("{}:{}", endpoint.host(), endpoint.port()))
            .collect()
    }

    /// Reads the configuration again and says what has to be done: what can be applied is, what cannot is named; a bad
    /// file changes nothing.
    pub(crate) fn reload(&mut self) -> Result<Reload, CliError> {
        let new = Config::load(&self.layout)?;
        let mut stock = Vec::new();
        for peer in &new.wireguard {
            stock.push(to_stock(&self.layout, peer, literal(peer.endpoint.as_ref()))?);
        }
        let changes = config::diff(&self.config, &new);
        let kept: Vec<PublicKey> = stock.iter().map(|peer| peer.key).collect();
        let gone = self
            .config
            .wireguard
            .iter()
            .map(|peer| peer.public_key)
            .filter(|key| !kept.contains(key))
            .collect();
        self.log.set(new.node.log);
        // What needs a restart stays as it is until then, and is named again at the next reload.
        self.config.node.log = new.node.log;
        self.config.lans = new.lans;
        self.config.firewall = new.firewall;
        self.config.wireguard = new.wireguard;
        Ok(Reload { changes, stock, gone, lan_side: lan_side(&self.config) })
    }

    /// Gives back what the next life of this process needs.
    #[cfg(feature = "broker")]
    pub(super) fn let_go(&mut self) -> super::waiting::Held {
        std::mem::take(&mut self.held)
    }

    pub(crate) fn remove_socket(&self) {
        if let Err(error) = std::fs::remove_file(&self.layout.socket) {
            tracing::debug!(%error, "the API socket stays behind");
        }
    }
}

/// Tells the service manager, if there is one.
pub(crate) fn say_ready() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

/// Tells the service manager, if there is one.
pub(crate) fn say_stopping() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Stopping]) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

/// Whether the service manager wants to hear from us, and how often.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 3)
}

/// Tells the service manager that the loop turns.
pub(crate) fn say_alive() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
