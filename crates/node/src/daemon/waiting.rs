//! A node that belongs to no network yet and waits until it is invited to one: by its page, the API, or `ln6d join`. It has
//! a key, answers on its socket, and touches nothing else of the machine.

use crate::api::{ApiRequest, Joining, Reply};
use crate::cli::Join;
use crate::command::check::describe;
use crate::command::join;
use crate::config::{Change, Config};
use crate::daemon::gateway::wish;
use crate::daemon::{door, page, setup};
use crate::error::{ApiError, CliError, Trouble};
use crate::files::{Layout, Lock};
use crate::schema::{
    DoctorReport, EventList, ExitInfo, KeyReply, NodeInfo, PeerList, PeerSummary, Problem, ReloadReply,
    Severity, StandingInfo, StatusReport, Time, TrafficReport,
};
use ln6_types::Fingerprint;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The state of such a node in `status`.
const STATE: &str = "no_network";

/// What outlives the change from waiting to running and back. Both need the same door, and only a process that still has
/// its capabilities could open it for the page's account.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The API socket.
    door: Option<UnixListener>,
    /// Who serves it, and the address of the metrics that it serves beside.
    served: Option<(tokio::task::JoinHandle<()>, Option<SocketAddr>)>,
    /// What was asked and not answered yet.
    calls: Option<mpsc::Receiver<door::Call>>,
    /// The page is served already.
    pub(super) page: bool,
}

impl Held {
    /// The API socket: the one that is open already, or a new one. One more handle is kept for whoever needs it next.
    pub(super) fn open(
        &mut self,
        layout: &Layout,
        page: Option<&nix::unistd::User>,
    ) -> Result<tokio::net::UnixListener, CliError> {
        let internal = |error: std::io::Error| CliError::new(Trouble::Internal, error.to_string());
        let door = match self.door.take() {
            Some(door) => door,
            None => door::open(layout, page)?.into_std().map_err(internal)?,
        };
        self.door = Some(door.try_clone().map_err(internal)?);
        tokio::net::UnixListener::from_std(door).map_err(internal)
    }

    /// The requests that come in at the door. Who serves it already goes on with that: whoever asks during the change is
    /// answered after it, and not sent away.
    pub(super) fn serve(
        &mut self,
        listener: tokio::net::UnixListener,
        page: Option<u32>,
        config: &Config,
    ) -> Result<mpsc::Receiver<door::Call>, CliError> {
        if let (Some((task, metrics)), Some(calls)) = (self.served.take(), self.calls.take()) {
            if metrics == config.metrics {
                self.served = Some((task, metrics));
                return Ok(calls);
            }
            task.abort();
        }
        let (calls_in, calls) = mpsc::channel(door::CALLS);
        let task = door::serve(listener, page, config, calls_in)?;
        self.served = Some((task, config.metrics));
        Ok(calls)
    }

    /// For whoever answers next.
    pub(super) fn keep(&mut self, calls: mpsc::Receiver<door::Call>) {
        self.calls = Some(calls);
    }
}

/// Waits for an invitation; nothing if the service manager wants it to end instead.
pub(super) async fn wait(
    layout: &Layout,
    config: Config,
    held: &mut Held,
) -> Result<Option<Config>, CliError> {
    layout.create()?;
    let _lock = Lock::take(&layout.lock)?;
    let (identity, _) = join::own_identity(layout)?;
    let key = describe(&identity, None);
    let user = door::page_account(&config);
    let listener = held.open(layout, user.as_ref())?;
    let mut trial = door::Trial(Some(layout.socket.clone()));
    let mut problems = vec![no_network(layout)];
    if !held.page {
        match page::open(layout, &config) {
            Ok(Some(doors)) => {
                page::start(layout, &config, doors)?;
                held.page = true;
            }
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    let mut calls = held.serve(listener, user.map(|user| user.uid.as_raw()), &config)?;
    tracing::info!("waiting for an invitation");
    setup::say_ready();
    let mut waiting = Waiting { layout: layout.clone(), config, key, problems, started: Time::now() };
    let joined = waiting.serve(&mut calls).await;
    if matches!(joined, Ok(Some(_))) {
        // Who asks meanwhile waits at the door.
        held.keep(calls);
        trial.0 = None;
    }
    joined
}

fn no_network(layout: &Layout) -> Problem {
    Problem {
        code: STATE.to_owned(),
        severity: Severity::Note,
        message: "this node belongs to no network yet".to_owned(),
        hint: Some(format!(
            "paste the invitation on its page, or type '{} join LINK'; the broker's operator makes one",
            layout.command
        )),
    }
}

struct Waiting {
    layout: Layout,
    config: Config,
    key: KeyReply,
    problems: Vec<Problem>,
    started: Time,
}

impl Waiting {
    async fn serve(&mut self, calls: &mut mpsc::Receiver<door::Call>) -> Result<Option<Config>, CliError> {
        let failed = |error: std::io::Error| CliError::new(Trouble::Internal, error.to_string());
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let pause = setup::watchdog().unwrap_or(super::CLOCK_CHECK);
        let mut ticks = tokio::time::interval(pause);
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(None),
                _ = interrupt.recv() => return Ok(None),
                _ = hangup.recv() => drop(self.reload()),
                _ = ticks.tick() => setup::say_alive(),
                Some(call) = calls.recv() => {
                    let answer = self.answer(call.request);
                    // Whoever asked may have gone.
                    let _ = call.answer.send(answer);
                }
            }
            if self.config.network.is_some() {
                return Ok(Some(self.config.clone()));
            }
        }
    }

    fn answer(&mut self, request: ApiRequest) -> Result<Reply, ApiError> {
        Ok(match request {
            ApiRequest::Status => Reply::of(self.status()),
            ApiRequest::Wish => Reply::of(wish(&self.config, &[], true)),
            ApiRequest::Peers => Reply::of(PeerList::default()),
            ApiRequest::Traffic(_) => Reply::of(TrafficReport::default()),
            ApiRequest::Events(_) => Reply::of(EventList::default()),
            ApiRequest::Doctor => {
                Reply::of(DoctorReport { findings: self.problems.clone(), passed: Vec::new() })
            }
            ApiRequest::Join(joining) => {
                let (config, _, reply) = join::carry_out(&to_join(*joining), &self.layout)?;
                self.config = config;
                Reply::of(reply)
            }
            ApiRequest::Reload => Reply::of(ReloadReply { changes: self.reload()? }),
            _ => {
                return Err(CliError::new(Trouble::NoConfig, "this node belongs to no network yet").hint(
                    format!("paste an invitation on its page, or type '{} join LINK'", self.layout.command),
                ));
            }
        })
    }

    /// Takes the configuration anew; with a network in it the waiting is over.
    fn reload(&mut self) -> Result<Vec<Change>, CliError> {
        let new = Config::load(&self.layout)?;
        if new.broker.is_some() {
            let message = "this node is to be a broker now";
            return Err(CliError::new(Trouble::BadRequest, message).hint("restart the daemon"));
        }
        let changes = changes(&self.config, &new);
        self.config = new;
        Ok(changes)
    }

    fn status(&self) -> StatusReport {
        StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time: Time::now(),
            node: NodeInfo {
                name: self.config.node.name.to_string(),
                key: self.key.key,
                router_id: self.key.router_id,
                network: Fingerprint([0; 32]),
                address: Ipv6Addr::UNSPECIFIED,
                interface: self.config.node.interface.as_str().to_owned(),
                listen: self.config.node.listen,
                started: self.started,
            },
            standing: StandingInfo { state: STATE.to_owned(), ..StandingInfo::default() },
            problems: self.problems.clone(),
            prefixes: Vec::new(),
            lans: Vec::new(),
            endpoints: Vec::new(),
            seen_at: Vec::new(),
            peers: PeerSummary::default(),
            exits: ExitInfo::default(),
            broker: None,
            refusals: Vec::new(),
            drops: Vec::new(),
        }
    }
}

/// What a new configuration changes here. Nothing was begun yet that would have to be begun anew, but for the page: whom
/// that lets look, and where, stays as it is.
fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let changes = crate::config::diff(old, new).into_iter();
    changes.map(|change| Change { needs_restart: change.what == "page", ..change }).collect()
}

fn to_join(joining: Joining) -> Join {
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let Joining { link, name, size, ssid, lans, contact } = joining;
    Join { link, name: said(name), size, ssid: said(ssid), lans, contact: said(contact), listen: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeName;

    #[test]
    fn a_page_that_is_open_to_guests_is_not_said_to_be_closed_before_it_is() {
        let mut old = Config::new(NodeName::new("roof").expect("name"));
        old.page.guests = true;
        let mut new = old.clone();
        new.page.guests = false;
        new.node.mtu = 1280;
        let said = changes(&old, &new);
        let said: Vec<_> = said.iter().map(|change| (change.what.as_str(), change.needs_restart)).collect();
        assert_eq!(said, [("node.mtu", false), ("page", true)]);
    }
}
