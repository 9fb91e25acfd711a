//! The daemon: one thread around control, one per worker, one for the disk, one for the registry.
//!
//! Everything that happens arrives here as one of a closed set of reasons to wake; control is told, and what it wants
//! is carried out in order. Nothing in this loop waits for a disk, a name server or a peer.

#[cfg(feature = "broker")]
mod asking;
#[cfg(feature = "broker")]
mod broker;
mod door;
#[cfg(feature = "broker")]
mod gateway;
#[cfg(feature = "broker")]
mod graph;
#[cfg(feature = "broker")]
mod hearing;
mod host_task;
#[cfg(feature = "broker")]
mod keylist;
mod leaves;
mod listening;
mod names;
mod news;
#[cfg(feature = "broker")]
mod notify;
mod offloads;
mod outlook;
#[cfg(feature = "broker")]
mod page;
mod priority;
pub(crate) mod privileges;
#[cfg(feature = "broker")]
mod registry_calls;
mod service;
mod setup;
mod store;
#[cfg(feature = "broker")]
mod traffic;
#[cfg(feature = "broker")]
mod waiting;
#[cfg(feature = "broker")]
mod wishes;

use crate::cli::Run;
use crate::config::Config;
use crate::error::{CliError, Trouble};
use crate::files::Layout;
use crate::logging::LogLevel;
use door::Call;
use host_task::{HostNews, HostTask};
use ln6_netio::worker::Workers;
use ln6_netio::{Clock, EventReceiver, Mail};
use ln6_overlay_core::control::{Command, Control, Notice, Output, To};
use ln6_types::{Instant, PublicKey};
use names::Looked;
use news::News;
use setup::Node;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;
use store::{Store, Stored};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// Events taken from the workers before anything else has a turn.
const EVENTS_AT_ONCE: usize = 256;
/// How often the wall clock is compared, and what an operator should know is looked for.
const CLOCK_CHECK: Duration = Duration::from_secs(5);

/// Runs a node until a signal, or until something it cannot live without breaks.
///
/// # Errors
/// What stood in the way, with the next step.
#[cfg_attr(not(feature = "broker"), expect(unused_variables, reason = "only the full build has options"))]
pub fn run(layout: &Layout, config: Config, options: &Run, log: &LogLevel) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .thread_name("ln6d-blocking")
        // Names are looked up before this thread drops its capabilities, and who looks them up is used again.
        .on_thread_start(privileges::drop_or_abort)
        .build()
        .map_err(|error| CliError::new(Trouble::Internal, format!("no event loop: {error}")))?;
    let local = tokio::task::LocalSet::new();
    #[cfg(not(feature = "broker"))]
    let done = local.block_on(&runtime, async {
        let node = setup::start(setup::Options { layout: layout.clone(), config, log: log.clone() }).await?;
        Daemon::new(node)?.serve().await.map(drop)
    });
    #[cfg(feature = "broker")]
    let done = local.block_on(&runtime, run_and_wait(layout, config, options, log));
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

/// Runs a node; with `--wait`, one that has no network waits for an invitation, and one that has left waits for the next.
#[cfg(feature = "broker")]
async fn run_and_wait(
    layout: &Layout,
    mut config: Config,
    options: &Run,
    log: &LogLevel,
) -> Result<(), CliError> {
    let mut held = waiting::Held::default();
    loop {
        if config.network.is_none() && options.wait {
            let Some(joined) = waiting::wait(layout, config, &mut held).await? else { return Ok(()) };
            config = joined;
        }
        let asked = setup::Options {
            layout: layout.clone(),
            config,
            alone: options.alone,
            wait: options.wait,
            held: std::mem::take(&mut held),
            log: log.clone(),
        };
        let node = setup::start(asked).await?;
        match Daemon::new(node)?.serve().await? {
            None => return Ok(()),
            Some(door) => held = door,
        }
        crate::command::leave::put_state_aside(layout)?;
        config = Config::load(layout)?;
        if config.network.is_some() {
            config = crate::command::leave::forget(layout, config)?;
        }
    }
}

/// What a node that may or may not run has kept of the network.
#[cfg(feature = "broker")]
pub(crate) fn stored_items(
    path: &std::path::Path,
) -> Result<Vec<ln6_overlay_core::control::message::Item>, CliError> {
    Ok(store::from_stored(crate::files::state::load(path)?.state).items)
}

/// A ping that waits for its answer.
struct Waiting {
    since: Instant,
    answer: oneshot::Sender<(Duration, Option<ln6_overlay_core::Path>)>,
}

struct Daemon {
    node: setup::Parts,
    clock: Clock,
    control: Control,
    workers: Workers,
    events: AsyncFd<EventReceiver>,
    socket: UdpSocket,
    store: Store,
    stored: mpsc::UnboundedReceiver<Stored>,
    host: Option<HostTask>,
    host_news: mpsc::UnboundedReceiver<HostNews>,
    calls: mpsc::Receiver<Call>,
    #[cfg(feature = "broker")]
    broker: Option<broker::Broker>,
    #[cfg(feature = "broker")]
    wishes: wishes::Wishes,
    news: News,
    outlook: outlook::Outlook,
    looked: mpsc::UnboundedReceiver<Looked>,
    pings: BTreeMap<u64, Waiting>,
    listeners: listening::Listeners,
    #[cfg(feature = "broker")]
    traffic: traffic::Traffic,
    /// Events were left in the queue so that others have their turn.
    more: bool,
    stop: Signals,
}

/// What is left when a node was served to its end.
#[cfg(feature = "broker")]
type Served = Option<waiting::Held>;
#[cfg(not(feature = "broker"))]
type Served = Option<std::convert::Infallible>;

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Why the loop woke.
enum Wake {
    Events,
    Timer,
    Stored(Stored),
    Host(HostNews),
    Call(Call),
    Looked(Looked),
    #[cfg(feature = "broker")]
    Broker(broker::Answer),
    Clock,
    Reload,
    Stop,
}

impl Daemon {
    fn new(node: Node) -> Result<Self, CliError> {
        let internal = |error: std::io::Error| CliError::new(Trouble::Internal, error.to_string());
        let (stored_out, stored) = mpsc::unbounded_channel();
        let store = Store::start(node.parts.layout.state.clone(), stored_out).map_err(internal)?;
        // The replacement is unsafe because a type may answer `as_raw_fd` with another's descriptor; ours owns its own.
        #[allow(deprecated)]
        let events = AsyncFd::with_interest(node.events, Interest::READABLE).map_err(internal)?;
        Ok(Daemon {
            clock: node.clock,
            control: node.control,
            workers: node.workers,
            events,
            socket: node.socket,
            store,
            stored,
            host: node.host,
            host_news: node.host_news,
            calls: node.calls,
            #[cfg(feature = "broker")]
            broker: node.broker,
            #[cfg(feature = "broker")]
            wishes: wishes::Wishes::default(),
            news: News::new(node.findings),
            outlook: outlook::Outlook::new(node.names.unknown()),
            looked: {
                let (out, looked) = mpsc::unbounded_channel();
                tokio::spawn(node.names.watch(out));
                looked
            },
            pings: BTreeMap::new(),
            listeners: listening::Listeners::default(),
            #[cfg(feature = "broker")]
            traffic: traffic::Traffic::load(traffic::file(&node.parts.layout.state)),
            more: false,
            stop: Signals {
                terminate: signal(SignalKind::terminate()).map_err(internal)?,
                interrupt: signal(SignalKind::interrupt()).map_err(internal)?,
                hangup: signal(SignalKind::hangup()).map_err(internal)?,
            },
            node: node.parts,
        })
    }

    /// Serves until the end; a node that has left and waits for its next network gives back what is kept until then.
    async fn serve(mut self) -> Result<Served, CliError> {
        self.execute();
        setup::say_ready();
        let watchdog = setup::watchdog();
        let mut ticks = tokio::time::interval(watchdog.unwrap_or(CLOCK_CHECK).min(CLOCK_CHECK));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let done = loop {
            let wake = self.wait(&mut ticks).await;
            let now = self.clock.now();
            match wake {
                Wake::Events => {
                    if let Some(failure) = self.take_events(now) {
                        break Err(failure);
                    }
                }
                Wake::Timer => self.control.handle_timeout(now),
                Wake::Stored(stored) => self.handle_stored(now, stored),
                Wake::Host(news) => self.handle_host(now, news),
                Wake::Call(call) => self.handle_call(now, call),
                Wake::Looked(looked) => self.handle_looked(now, looked),
                #[cfg(feature = "broker")]
                Wake::Broker(answer) => self.handle_broker(now, answer),
                Wake::Clock => self.handle_clock(now),
                Wake::Reload => drop(self.reload()),
                Wake::Stop => break Ok(Served::default()),
            }
            self.execute();
            #[cfg(feature = "broker")]
            if self.outlook.left && self.node.wait {
                let mut held = self.node.let_go();
                held.keep(std::mem::replace(&mut self.calls, mpsc::channel(1).1));
                break Ok(Some(held));
            }
            // A flood of events must not hold up what is due.
            if self.control.poll_timeout() <= now {
                self.control.handle_timeout(now);
                self.execute();
            }
            #[cfg(feature = "broker")]
            self.hear_members(now);
            self.tell_listeners(now);
        };
        #[cfg(feature = "broker")]
        let stays = matches!(done, Ok(Some(_)));
        #[cfg(not(feature = "broker"))]
        let stays = false;
        self.end(stays).await;
        done
    }

    async fn wait(&mut self, ticks: &mut tokio::time::Interval) -> Wake {
        let pause = self.control.poll_timeout().since(self.clock.now());
        #[cfg(feature = "broker")]
        let answers = async {
            match &mut self.broker {
                Some(broker) => broker.answer().await,
                None => std::future::pending().await,
            }
        };
        #[cfg(not(feature = "broker"))]
        let answers = std::future::pending::<Wake>();
        // In no order: a flood of events must not keep the disk, the operator or the service manager waiting.
        tokio::select! {
            () = tokio::task::yield_now(), if self.more => Wake::Events,
            _ = self.stop.terminate.recv() => Wake::Stop,
            _ = self.stop.interrupt.recv() => Wake::Stop,
            _ = self.stop.hangup.recv() => Wake::Reload,
            () = tokio::time::sleep(pause) => Wake::Timer,
            ready = self.events.readable() => {
                if let Ok(mut ready) = ready {
                    ready.clear_ready();
                }
                Wake::Events
            }
            Some(stored) = self.stored.recv() => Wake::Stored(stored),
            Some(news) = self.host_news.recv() => Wake::Host(news),
            Some(call) = self.calls.recv() => Wake::Call(call),
            Some(looked) = self.looked.recv() => Wake::Looked(looked),
            answer = answers => {
                #[cfg(feature = "broker")]
                let answer = Wake::Broker(answer);
                answer
            }
            _ = ticks.tick() => Wake::Clock,
        }
    }

    /// Takes what the workers reported; a worker that died ends the daemon.
    fn take_events(&mut self, now: Instant) -> Option<CliError> {
        self.events.get_ref().acknowledge();
        for taken in 0.. {
            self.more = taken == EVENTS_AT_ONCE;
            if self.more {
                break;
            }
            let Some(event) = self.events.get_mut().try_recv() else { break };
            self.control.handle_event(now, event);
        }
        let failure = self.events.get_ref().try_failure()?;
        Some(CliError::new(Trouble::Internal, failure.to_string()))
    }

    /// Carries out what control wants, in order.
    fn execute(&mut self) {
        while let Some(output) = self.control.poll_output() {
            match output {
                Output::Update(To::All, update) => self.mail_all(update),
                Output::Update(To::Worker(worker), update) => {
                    if let Some(mail) = self.workers.mail().get(usize::from(worker)) {
                        mail.send(Mail::Update(update));
                    }
                }
                // What cannot be sent is lost, as any datagram may be; the retry comes by itself.
                Output::Datagram { to, bytes } => {
                    if let Err(error) = self.socket.send_to(&bytes, self.node.outer(to)) {
                        tracing::debug!(%to, %error, "datagram not sent");
                    }
                }
                Output::Desired(plan) => {
                    if let Some(host) = &self.host {
                        host.want(plan);
                    }
                }
                Output::Persist(id, state) => self.store.write(id, state),
                Output::ToBroker { from, address, renew, request } => {
                    self.ask_broker(from, address, renew, request)
                }
                Output::LeftBroker { from } => self.leave_broker(from),
                Output::Notice(notice) => self.handle_notice(notice),
            }
        }
    }

    fn mail_all(&self, update: ln6_overlay_core::forwarder::mail::Update) {
        let (last, others) = match self.workers.mail().split_last() {
            Some(split) => split,
            None => return,
        };
        for mail in others {
            if let Some(copy) = update.try_copy() {
                mail.send(Mail::Update(copy));
            }
        }
        last.send(Mail::Update(update));
    }

    fn handle_stored(&mut self, now: Instant, stored: Stored) {
        match stored {
            Stored::Done(id) => {
                self.news.clear("state_not_saved");
                self.control.handle_stored(now, id);
            }
            Stored::Failed(error) => {
                tracing::error!(%error, "the state could not be saved");
                self.news.add_error("state_not_saved", &error);
                self.control.handle_not_stored(now);
            }
        }
    }

    fn handle_host(&mut self, now: Instant, news: HostNews) {
        match news {
            HostNews::Surroundings(surroundings) => {
                let change = self.node.host_change(&surroundings, &self.control.inside());
                self.news.set_surroundings(&self.node, &surroundings);
                self.control.handle_host(now, change);
            }
            HostNews::Findings(findings) => self.news.set_host(findings),
        }
    }

    fn handle_looked(&mut self, now: Instant, looked: Looked) {
        for (of, addresses) in looked.moved {
            tracing::info!(broker = %of, ?addresses, "a broker has other addresses");
            if let Err(refusal) = self.control.handle_command(now, Command::Addresses { of, addresses }) {
                tracing::debug!(%refusal, "no address is news");
            }
        }
        self.outlook.unknown_names = looked.unknown;
    }

    fn handle_clock(&mut self, now: Instant) {
        let wall = ln6_host::clock::wall();
        self.control.handle_clock(now, wall);
        setup::say_alive();
        #[cfg(feature = "broker")]
        self.count_traffic(now, wall);
        #[cfg(feature = "broker")]
        if let Some(broker) = &mut self.broker {
            broker.tick(now, wall);
            broker.compare(&self.control);
            let revoked = hearing::revoked(&self.control, wall);
            let wishes = self.wishes.open(now, wall, &self.control);
            self.news.set_beside(broker.problems().into_iter().chain(revoked).chain(wishes).collect());
            broker.notify(wall, self.news.problems());
        }
        self.pings.retain(|_, waiting| now.since(waiting.since) < Duration::from_secs(30));
        self.look_out(now);
    }

    /// Sees how the node stands towards its network.
    fn look_out(&mut self, now: Instant) {
        let found = self.outlook.look(now, &self.control.view(now), !self.node.config.lans.is_empty());
        self.news.set_outlook(found, self.control.wall(now));
    }

    fn handle_notice(&mut self, notice: Notice) {
        if let Notice::Pong { token, rtt, path } = &notice {
            if let Some(waiting) = self.pings.remove(token) {
                // Whoever asked may have gone.
                let _ = waiting.answer.send((*rtt, *path));
            }
            return;
        }
        if notice == Notice::Left {
            self.outlook.left = true;
            #[cfg(feature = "broker")]
            if let Err(error) = self.forget_network() {
                tracing::error!(error = %error.message, "the configuration still names the network that was left");
            }
        }
        let now = self.clock.now();
        let names = |key: &PublicKey| self.control.name_of(now, key);
        self.news.add(&notice, ln6_host::clock::wall(), names);
    }

    fn reload(&mut self) -> Result<Vec<crate::config::Change>, CliError> {
        let now = self.clock.now();
        let outcome = self.node.reload().map(|reload| {
            let puts = reload.stock.into_iter().map(|peer| Command::PutStock(Box::new(peer)));
            let drops = reload.gone.into_iter().map(Command::DropStock);
            for command in drops.chain(puts).chain([reload.lan_side]) {
                if let Err(refusal) = self.control.handle_command(now, command) {
                    tracing::debug!(%refusal, "nothing to change");
                }
            }
            reload.changes
        });
        self.news.reloaded(&outcome, ln6_host::clock::wall());
        outcome
    }

    /// Says goodbye to neighbours, takes back what was changed on the host, and writes what is left to write.
    async fn end(mut self, stays: bool) {
        if !stays {
            setup::say_stopping();
        }
        let now = self.clock.now();
        let _ = self.control.handle_command(now, Command::Shutdown);
        self.execute();
        if let Some(host) = self.host.take() {
            host.stop().await;
        }
        #[cfg(feature = "broker")]
        self.save_traffic();
        self.workers.stop();
        drop(self.store);
        #[cfg(feature = "broker")]
        drop(self.broker);
        if !stays {
            self.node.remove_socket();
        }
    }

    #[cfg(not(feature = "broker"))]
    fn ask_broker(
        &mut self,
        _: PublicKey,
        _: Option<std::net::SocketAddr>,
        _: bool,
        _: ln6_overlay_core::control::message::JoinRequest,
    ) {
    }

    #[cfg(not(feature = "broker"))]
    fn leave_broker(&mut self, _: PublicKey) {}
}
