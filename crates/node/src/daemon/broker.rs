//! The broker's desk behind the node: peers' requests go in, certificates and answers come out.

use crate::api::Caller;
use crate::config;
use crate::daemon::asking::Asking;
use crate::daemon::hearing::Hearing;
use crate::daemon::notify::{Look, Notifier};
use crate::daemon::registry_calls::{Context, Kept, LinkParts};
use crate::daemon::setup::BrokerParts;
use crate::error::{CliError, Trouble};
use crate::schema::Problem;
use ln6_broker::keylist::Keeper;
use ln6_broker::{
    Desk, DeskHandle, Issuer, JoinAnswer, Refused, Reply, Statements, Store, StoreError, Thread,
};
use ln6_overlay_core::control::Command as ControlCommand;
use ln6_overlay_core::control::message::{Item, ItemKind, JoinReply, JoinRequest};
use ln6_registry::{Actor, Admission, Command, Join, Policy, Pool, Secret};
use ln6_types::{Fingerprint, Instant, Prefix, PublicKey, UnixTime};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// A waiting node asks again after so many seconds; an approval reaches it sooner, by gossip.
const ASK_AGAIN: u32 = 20;
/// A refused one asks again after so many seconds.
const REFUSED_AGAIN: u32 = 300;
/// Octets of certificates in one answer, so that it fits a peer message.
const CHAIN: usize = 1000;

/// What the desk says.
pub(crate) enum Answer {
    /// To a request of this key.
    Join(PublicKey, JoinAnswer),
    /// To the farewell of this key.
    Left(PublicKey, Result<(), Refused>),
    /// Newly signed statements.
    Spread(Statements),
    /// Somebody has changed the registry: to be told to those who listen.
    Happened { code: &'static str, message: String },
    /// The registry has taken in what members told, or not.
    Heard(Result<(), Refused>),
}

/// A peer's request.
pub(crate) struct Asked {
    from: PublicKey,
    address: Option<SocketAddr>,
    renew: bool,
    request: JoinRequest,
}

/// The desk and the way back from it.
pub(crate) struct Broker {
    keylist: Option<Keeper>,
    notifier: Option<Notifier>,
    desk: Option<DeskHandle>,
    thread: Option<Thread>,
    answers: mpsc::UnboundedReceiver<Answer>,
    back: mpsc::UnboundedSender<Answer>,
    asking: Asking,
    kept: Kept,
    backups: PathBuf,
    expire_at: Instant,
    pub(super) hearing: Hearing,
}

/// How often the registry looks what time has brought about.
const EXPIRE: Duration = Duration::from_secs(60);

impl Broker {
    /// Opens the registry and starts its thread.
    pub(crate) fn start(
        parts: BrokerParts,
        config: &config::Broker,
        wall: UnixTime,
    ) -> Result<Self, CliError> {
        let (store, registry) = Store::open(&parts.database).map_err(|error| store_trouble(&error))?;
        let hearing = Hearing::new(&parts, &registry);
        let issuer = Issuer::new(parts.signing.clone(), parts.papers.certificate.clone(), Vec::new())
            .map_err(|error| CliError::new(Trouble::KeyFileDamaged, error.to_string()))?;
        let known: Vec<Prefix> = registry.pools().map(|pool| pool.prefix).collect();
        let (back, answers) = mpsc::unbounded_channel();
        let spread = back.clone();
        let entropy = Box::new(|| {
            ln6_host::entropy::bytes::<32>().unwrap_or_else(|error| {
                // A broker without randomness must not make secrets.
                tracing::error!(%error, "no randomness");
                std::process::abort()
            })
        });
        let (desk, thread) = Desk::start(
            store,
            registry,
            issuer,
            entropy,
            // The loop may be over already.
            Box::new(move |statements| drop(spread.send(Answer::Spread(statements)))),
        )
        .map_err(|error| CliError::new(Trouble::Internal, error.to_string()))?;
        let broker = Broker {
            keylist: None,
            notifier: None,
            desk: Some(desk),
            thread: Some(thread),
            answers,
            back,
            asking: Asking::default(),
            kept: Kept::default(),
            backups: parts.database.with_file_name("backups"),
            expire_at: Instant::ZERO,
            hearing,
        };
        if broker.hearing.waits() {
            tracing::warn!("the registry waits for members to tell what was granted before");
            broker.desk().hold();
        }
        broker.configure(config, wall, &known);
        if !broker.hearing.waits() {
            broker.begin(wall);
        }
        Ok(broker)
    }

    /// What it does beside: a key list admits, a program is told.
    pub(crate) fn assist(&mut self, keylist: Option<Keeper>, notifier: Option<Notifier>) {
        (self.keylist, self.notifier) = (keylist, notifier);
    }

    /// What is wrong with what it does beside.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let keylist = self.keylist.as_ref().and_then(|keylist| super::keylist::problem(&keylist.report()));
        let notifier = self.notifier.as_ref().and_then(Notifier::problem);
        keylist.into_iter().chain(notifier).chain(self.hearing.problem()).collect()
    }

    /// Shows the notifier who waits.
    fn show_requests(&self, wall: UnixTime) {
        if let Some(notifier) = self.notifier.as_ref().filter(|notifier| notifier.requests) {
            super::registry_calls::show_requests(self.desk(), wall, notifier.way());
        }
    }

    /// Shows the notifier what is wrong now.
    pub(crate) fn notify(&self, wall: UnixTime, problems: Vec<Problem>) {
        if let Some(notifier) = &self.notifier {
            notifier.look(wall, Look::Problems(problems));
        }
    }

    /// The key list, if there is one.
    pub(crate) fn keylist(&self) -> Option<&Keeper> {
        self.keylist.as_ref()
    }

    pub(crate) fn desk(&self) -> &DeskHandle {
        self.desk.as_ref().expect("the desk is there until drop")
    }

    /// What it takes to answer a request of the API.
    pub(crate) fn context(&self, wall: UnixTime, who: Caller, link: LinkParts) -> Context {
        Context {
            desk: self.desk().clone(),
            kept: self.kept.clone(),
            who,
            wall,
            link,
            backups: self.backups.clone(),
            back: self.back.clone(),
        }
    }

    /// Pools that are new to the registry, as the configuration says. Of those that it knows, and of the spans once there
    /// is a pool, the registry keeps what was decided since: by 'ln6d pool', 'ln6d policy' or the page.
    fn configure(&self, config: &config::Broker, wall: UnixTime, known: &[Prefix]) {
        for pool in config.pools.iter().filter(|pool| !known.contains(&pool.prefix)) {
            self.order(wall, Command::SetPool(to_pool(pool)));
        }
        if !known.is_empty() {
            return;
        }
        let days = |days: u16| u64::from(days) * 86_400;
        let policy = Policy {
            validity: days(config.validity_days),
            grace: days(config.grace_days),
            ..Policy::default()
        };
        self.order(wall, Command::SetPolicy(policy));
    }

    fn order(&self, wall: UnixTime, command: Command) {
        let what = format!("{command:?}");
        self.desk().command(
            wall,
            Actor::Operator,
            command,
            Box::new(move |answer| {
                if let Err(refused) = answer {
                    tracing::warn!(
                        code = refused.code,
                        text = refused.text,
                        what,
                        "the registry refuses the configuration"
                    );
                }
            }),
        );
    }

    /// Everything in force goes to the node, which may have lost its state; then what the root took back.
    pub(super) fn begin(&self, wall: UnixTime) {
        let (back, taken_back) = (self.back.clone(), self.hearing.taken_back());
        self.desk().statements(
            wall,
            Box::new(move |answer| {
                if let Ok(mut statements) = answer {
                    // In the same breath, and behind the certificates that take the place of those that end by it.
                    statements.revocations.extend(taken_back);
                    drop(back.send(Answer::Spread(statements)));
                }
            }),
        );
    }

    /// The way back from the desk.
    pub(super) fn back(&self) -> mpsc::UnboundedSender<Answer> {
        self.back.clone()
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// A peer asks to join or to renew.
    pub(crate) fn ask(&self, wall: UnixTime, network: &Fingerprint, asked: Asked) {
        let Asked { from, address, renew, request } = asked;
        // Who asks too much is not answered: its own repetition comes by itself.
        let Some(question) = self.asking.open(address) else {
            tracing::debug!(%from, ?address, "too many open questions from one place");
            return;
        };
        let back = self.back.clone();
        let reply: Reply<JoinAnswer> = Box::new(move |answer| {
            drop(question);
            drop(back.send(Answer::Join(from, answer)));
        });
        if request.network != *network || !request.proves(&from) {
            let text = "the request is not signed by the key that makes it".to_owned();
            return reply(JoinAnswer::Refused(Refused {
                code: "proof_invalid".into(),
                text,
                hint: String::new(),
            }));
        }
        if renew {
            return self.desk().renew(wall, from, reply);
        }
        let join = Join {
            key: from,
            sign: request.sign,
            name: (!request.name.is_empty()).then_some(request.name),
            size: (request.size > 0).then_some(request.size),
            ssid: request.ssid,
            secret: request.secret.map(Secret),
            contact: request.contact,
        };
        self.desk().join(wall, join, reply);
    }

    /// A peer gives its delegation back.
    pub(crate) fn leave(&self, wall: UnixTime, from: PublicKey) {
        let back = self.back.clone();
        self.desk().command(
            wall,
            Actor::Node(from),
            Command::Leave { key: from },
            Box::new(move |answer| drop(back.send(Answer::Left(from, answer.map(|_| ()))))),
        );
    }

    /// Lets time pass in the registry, once a minute.
    pub(crate) fn tick(&mut self, now: Instant, wall: UnixTime) {
        if now >= self.expire_at {
            self.expire_at = now + EXPIRE;
            self.desk().command(wall, Actor::Clock, Command::Expire, Box::new(|_| {}));
            self.show_requests(wall);
        }
    }
}

impl Drop for Broker {
    /// What was asked is written and answered before the process ends.
    fn drop(&mut self) {
        // Its thread asks the desk, so it ends first.
        self.keylist = None;
        self.desk = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was printed already.
            let _ = thread.join();
        }
    }
}

fn to_pool(pool: &config::Pool) -> Pool {
    let admission = match pool.admission {
        config::Admission::Invitation => Admission::Invitation,
        config::Admission::Queue => Admission::Queue,
    };
    let mut made = Pool::new(pool.prefix, admission);
    made.default_len = pool.default.unwrap_or(made.default_len);
    made.largest = pool.largest.unwrap_or(made.largest);
    made.smallest = pool.smallest.unwrap_or(made.smallest);
    made
}

fn store_trouble(error: &StoreError) -> CliError {
    let trouble = match error {
        StoreError::Full { .. } => Trouble::DiskFull,
        StoreError::Locked { .. } => Trouble::AlreadyRunning,
        _ => Trouble::DatabaseDamaged,
    };
    CliError::new(trouble, error.to_string())
}

/// The answer as a peer message.
pub(crate) fn reply(answer: JoinAnswer) -> JoinReply {
    match answer {
        JoinAnswer::Granted { certificates, .. } => {
            let mut room = CHAIN;
            let fits = |certificate: &Vec<u8>| {
                let fits = certificate.len() <= room;
                room = room.saturating_sub(certificate.len());
                fits
            };
            JoinReply::Granted { chain: certificates.into_iter().take_while(fits).collect() }
        }
        JoinAnswer::Waiting { place } => {
            JoinReply::Waiting { place: place + 1, retry_secs: ASK_AGAIN, fingerprint: String::new() }
        }
        JoinAnswer::Refused(refused) => {
            let text = if refused.hint.is_empty() {
                refused.text
            } else {
                format!("{}: {}", refused.text, refused.hint)
            };
            let text = text.chars().take(280).collect();
            JoinReply::Refused { code: refused.code, text, retry_secs: Some(REFUSED_AGAIN) }
        }
    }
}

/// Statements as items of gossip.
pub(crate) fn items(statements: Statements) -> Vec<Item> {
    let of = |kind: ItemKind| move |bytes: Vec<u8>| Item { kind, bytes: bytes.into() };
    let certificates = statements.certificates.into_iter().map(of(ItemKind::Certificate));
    let revocations = statements.revocations.into_iter().map(of(ItemKind::Revocation));
    certificates.chain(revocations).chain(statements.head.into_iter().map(of(ItemKind::Head))).collect()
}

impl super::Daemon {
    pub(super) fn ask_broker(
        &mut self,
        from: PublicKey,
        address: Option<SocketAddr>,
        renew: bool,
        request: JoinRequest,
    ) {
        let wall = ln6_host::clock::wall();
        let network = self.node.network;
        if renew && self.broker.is_some() && request.network == network {
            self.hear_wish(self.clock.now(), wall, from, &request);
        }
        match &self.broker {
            // Nobody would believe what it signs.
            Some(_) if super::hearing::revoked(&self.control, wall).is_some() => {
                tracing::debug!(%from, "asked for a delegation, but the root took this broker's certificate back");
            }
            Some(broker) => broker.ask(wall, &network, Asked { from, address, renew, request }),
            None => tracing::debug!(%from, "asked for a delegation, but this is no broker"),
        }
    }

    pub(super) fn leave_broker(&mut self, from: PublicKey) {
        if let Some(broker) = &self.broker {
            broker.leave(ln6_host::clock::wall(), from);
        }
    }

    pub(super) fn handle_broker(&mut self, now: Instant, answer: Answer) {
        let command = match answer {
            Answer::Join(to, answer) => {
                if let JoinAnswer::Refused(refused) = &answer {
                    tracing::info!(key = %to, code = refused.code, "request refused");
                }
                if let (JoinAnswer::Waiting { .. }, Some(broker)) = (&answer, &self.broker) {
                    broker.show_requests(ln6_host::clock::wall());
                }
                ControlCommand::FromBroker { to, reply: reply(answer) }
            }
            Answer::Left(to, Ok(())) => ControlCommand::LeftBroker { to },
            Answer::Left(to, Err(refused)) => {
                tracing::info!(key = %to, code = refused.code, "farewell refused");
                return;
            }
            Answer::Spread(statements) => ControlCommand::Publish(items(statements)),
            Answer::Heard(answer) => return self.has_heard(now, answer),
            Answer::Happened { code, message } => {
                return self.news.happened(code, message, ln6_host::clock::wall());
            }
        };
        if let Err(refusal) = self.control.handle_command(now, command) {
            tracing::debug!(%refusal, "the asker is gone");
        }
    }
}
