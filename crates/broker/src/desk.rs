//! The registry's thread. It takes what waits (up to 256 at once), decides each in order, signs, writes all in one
//! transaction, and only then answers.

use crate::answer::{CommandAnswer, Done, JoinAnswer, Refused};
use crate::error::StoreError;
use crate::hearing::Heard;
use crate::issue::{Issuer, Statements};
use crate::journal::{CardChange, Journal, Line, Owner};
use crate::list::{List, Listed, list};
use ln6_registry::{Actor, Command, Effects, Event, Join, Order, Refusal, Registry, Standing, proposed_slot};
use ln6_types::{Prefix, PublicKey, UnixTime};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Called once, on the desk's thread, when the answer is on disk. Must not block.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;
/// Where randomness comes from: 32 fresh octets for each command.
pub type Entropy = Box<dyn FnMut() -> [u8; 32] + Send>;
/// The desk's thread; it ends when the last handle is dropped.
pub type Thread = JoinHandle<()>;

/// Requests that may wait for the desk; more are told to come again.
const WAITING: usize = 1024;
/// Requests that share one sync of the disk.
const GROUP: usize = 256;
/// How often time may bring about something that brings about something.
const ROUNDS: usize = 16;

enum Work {
    Join { at: UnixTime, join: Box<Join>, reply: Reply<JoinAnswer> },
    Renew { at: UnixTime, key: PublicKey, reply: Reply<JoinAnswer> },
    Command { at: UnixTime, who: Actor, order: Box<Order>, reply: Reply<CommandAnswer> },
    Preview { at: UnixTime, who: Actor, order: Box<Order>, reply: Reply<Result<Effects, Refused>> },
    List { at: UnixTime, what: List, reply: Reply<Result<Listed, Refused>> },
    Statements { at: UnixTime, reply: Reply<Result<Statements, Refused>> },
    Hold,
    Heard { at: UnixTime, heard: Box<Heard>, reply: Reply<Result<(), Refused>> },
    EraseContact { key: PublicKey, reply: Reply<Result<(), Refused>> },
    Backup { to: PathBuf, reply: Reply<Result<(), Refused>> },
    Export { to: PathBuf, cards: bool, reply: Reply<Result<(), Refused>> },
}

/// The way to the desk; cheap to clone. No method blocks: a full desk answers `busy` at once, on the caller's thread.
#[derive(Clone)]
pub struct DeskHandle {
    work: SyncSender<Work>,
}

impl DeskHandle {
    /// A key asks to be let in. The session's key is `join.key`.
    pub fn join(&self, at: UnixTime, join: Join, reply: Reply<JoinAnswer>) {
        self.send(Work::Join { at, join: Box::new(join), reply });
    }

    /// A key asks for later dates.
    pub fn renew(&self, at: UnixTime, key: PublicKey, reply: Reply<JoinAnswer>) {
        self.send(Work::Renew { at, key, reply });
    }

    /// Anything else: a command, or an order with its reason and what its giver has seen. `Command::Expire` is due once a
    /// minute.
    pub fn command(&self, at: UnixTime, who: Actor, order: impl Into<Order>, reply: Reply<CommandAnswer>) {
        self.send(Work::Command { at, who, order: Box::new(order.into()), reply });
    }

    /// What an order would do, or why it would be refused; nothing is changed.
    pub fn preview(
        &self,
        at: UnixTime,
        who: Actor,
        order: impl Into<Order>,
        reply: Reply<Result<Effects, Refused>>,
    ) {
        self.send(Work::Preview { at, who, order: Box::new(order.into()), reply });
    }

    /// Reads a list.
    pub fn list(&self, at: UnixTime, what: List, reply: Reply<Result<Listed, Refused>>) {
        self.send(Work::List { at, what, reply });
    }

    /// Reads every statement in force.
    pub fn statements(&self, at: UnixTime, reply: Reply<Result<Statements, Refused>>) {
        self.send(Work::Statements { at, reply });
    }

    /// From now on nothing is given, taken or signed until [`heard`](Self::heard): this registry may be older than what its
    /// members know.
    pub fn hold(&self) {
        self.send(Work::Hold);
    }

    /// What members know of this broker's statements, and of those of brokers that it succeeds. Ends a [`hold`](Self::hold).
    pub fn heard(&self, at: UnixTime, heard: Heard, reply: Reply<Result<(), Refused>>) {
        self.send(Work::Heard { at, heard: Box::new(heard), reply });
    }

    /// Erases how to reach a key's people. For a holder and all its keys give `Command::SetCard` with an empty contact.
    pub fn erase_contact(&self, key: PublicKey, reply: Reply<Result<(), Refused>>) {
        self.send(Work::EraseContact { key, reply });
    }

    /// Writes a whole copy to a new file.
    pub fn backup(&self, to: PathBuf, reply: Reply<Result<(), Refused>>) {
        self.send(Work::Backup { to, reply });
    }

    /// Writes everything as text to a new file, with contacts and notes only if asked; `Store::import` reads it.
    pub fn export(&self, to: PathBuf, cards: bool, reply: Reply<Result<(), Refused>>) {
        self.send(Work::Export { to, cards, reply });
    }

    fn send(&self, work: Work) {
        match self.work.try_send(work) {
            Ok(()) => {}
            Err(TrySendError::Full(work)) => {
                refuse(work, &Refused::new("busy", "the registry is busy", "try again in a moment"));
            }
            Err(TrySendError::Disconnected(work)) => {
                refuse(work, &Refused::new("stopped", "the registry has stopped", "start the broker again"));
            }
        }
    }
}

fn refuse(work: Work, why: &Refused) {
    let why = why.clone();
    match work {
        Work::Join { reply, .. } | Work::Renew { reply, .. } => {
            reply(JoinAnswer::Refused(Refused::unavailable()))
        }
        Work::Command { reply, .. } => reply(Err(why)),
        Work::Preview { reply, .. } => reply(Err(why)),
        Work::List { reply, .. } => reply(Err(why)),
        Work::Statements { reply, .. } => reply(Err(why)),
        // It is the first that is sent: the desk is there and has room.
        Work::Hold => {}
        Work::Heard { reply, .. }
        | Work::EraseContact { reply, .. }
        | Work::Backup { reply, .. }
        | Work::Export { reply, .. } => reply(Err(why)),
    }
}

/// The registry, its journal and its hand.
pub struct Desk<J> {
    journal: J,
    /// Always what the journal says, plus the events of the group at hand; `None` if it could not be read back.
    registry: Option<Registry>,
    issuer: Issuer,
    entropy: Entropy,
    spread: Box<dyn FnMut(Statements) + Send>,
    /// Until the members were heard.
    holding: bool,
}

impl<J: Journal + 'static> Desk<J> {
    /// Starts the thread. `spread` is told, after each write, what has been newly signed (and the new head).
    pub fn start(
        journal: J,
        registry: Registry,
        issuer: Issuer,
        entropy: Entropy,
        spread: Box<dyn FnMut(Statements) + Send>,
    ) -> std::io::Result<(DeskHandle, Thread)> {
        let (work, inbox) = sync_channel(WAITING);
        let desk = Desk { journal, registry: Some(registry), issuer, entropy, spread, holding: false };
        let thread =
            std::thread::Builder::new().name("ln6d-registry".to_owned()).spawn(move || desk.run(&inbox))?;
        Ok((DeskHandle { work }, thread))
    }

    fn run(mut self, inbox: &Receiver<Work>) {
        while let Ok(first) = inbox.recv() {
            let group: Vec<Work> = std::iter::once(first).chain(inbox.try_iter().take(GROUP - 1)).collect();
            self.serve(group);
        }
    }

    /// One group: decide all, write once, answer all.
    fn serve(&mut self, works: Vec<Work>) {
        if let Err(error) = self.ready() {
            let why = Refused::from(&error);
            return works.into_iter().for_each(|work| refuse(work, &why));
        }
        let mut group = Group::default();
        let decided: Vec<(Work, Outcome)> = works
            .into_iter()
            .map(|work| {
                let outcome = self.decide(&work, &mut group);
                (work, outcome)
            })
            .collect();
        if let Err(error) = self.write(&group) {
            tracing::error!(%error, code = error.code(), "the registry could not be written; nothing was changed");
            // The memory is ahead of the disk: forget it.
            self.registry = None;
            self.holding |= group.heard;
            let why = Refused::from(&error);
            return decided.into_iter().for_each(|(work, _)| refuse(work, &why));
        }
        self.tell(group);
        for (work, outcome) in decided {
            self.answer(work, outcome);
        }
    }

    fn ready(&mut self) -> Result<(), StoreError> {
        if self.registry.is_none() {
            self.registry = Some(self.journal.replay()?);
        }
        Ok(())
    }

    fn write(&mut self, group: &Group) -> Result<(), StoreError> {
        if group.lines.is_empty() && group.cards.is_empty() {
            return Ok(());
        }
        self.journal.append(&group.lines, &group.cards)
    }

    /// What is new, for gossip.
    fn tell(&mut self, group: Group) {
        let mut news = group.statements;
        if news.certificates.is_empty() && news.revocations.is_empty() {
            return;
        }
        let at = group.lines.last().map_or(UnixTime::EPOCH, |line| line.event.at);
        news.head = self.registry.as_ref().and_then(|registry| self.issuer.head(at, registry).ok());
        (self.spread)(news);
    }

    fn decide(&mut self, work: &Work, group: &mut Group) -> Outcome {
        if self.holding
            && let Some(outcome) = held(work)
        {
            return outcome;
        }
        match work {
            Work::Hold => {
                self.holding = true;
                Outcome::Read
            }
            Work::Heard { at, heard, .. } => self.hear(*at, heard, group),
            Work::Join { at, join, .. } => {
                let outcome =
                    self.change(*at, &Actor::Node(join.key), &Command::Join((**join).clone()).into(), group);
                self.remember(&Command::Join((**join).clone()), &outcome, group);
                outcome
            }
            Work::Renew { at, key, .. } => {
                self.change(*at, &Actor::Node(*key), &Command::Renew { key: *key }.into(), group)
            }
            Work::Command { at, order, .. } if order.command == Command::Expire => self.expire(*at, group),
            Work::Command { at, who, order, .. } => {
                let outcome = self.change(*at, who, order, group);
                self.remember(&order.command, &outcome, group);
                outcome
            }
            Work::EraseContact { key, .. } => {
                let (owner, contact) = (Owner::Key(*key), Some(String::new()));
                group.cards.push(CardChange { owner, contact, note: None });
                Outcome::Read
            }
            _ => Outcome::Read,
        }
    }

    /// What a command brings along that is kept apart from the journal.
    fn remember(&self, command: &Command, outcome: &Outcome, group: &mut Group) {
        let Outcome::Done(Done { events, .. }) = outcome else { return };
        if events.is_empty() {
            return;
        }
        let named = |name: &str| self.registry.as_ref().and_then(|registry| registry.holder_named(name));
        match command {
            Command::Join(join) | Command::Admit { join, .. } => {
                if let Some(text) = &join.contact {
                    let owner = Owner::Key(join.key);
                    group.cards.push(CardChange { owner, contact: Some(text.clone()), note: None });
                }
            }
            Command::AdmitListed { key, contact: Some(text), .. } => {
                let owner = Owner::Key(*key);
                group.cards.push(CardChange { owner, contact: Some(text.clone()), note: None });
            }
            Command::ContactListed { key, text } => {
                let contact = Some(text.clone().unwrap_or_default());
                group.cards.push(CardChange { owner: Owner::Key(*key), contact, note: None });
            }
            Command::SetCard { holder, contact, note } => {
                let Some(holder) = named(holder) else { return };
                let owner = Owner::Holder(holder.id);
                group.cards.push(CardChange { owner, contact: contact.clone(), note: note.clone() });
                // Who wants to be forgotten is not remembered by what its routers once said.
                let forgotten = contact.as_ref().is_some_and(String::is_empty);
                let keys = holder.keys.iter().filter(|_| forgotten).map(|key| Owner::Key(*key));
                let erased = |owner| CardChange { owner, contact: Some(String::new()), note: None };
                group.cards.extend(keys.map(erased));
            }
            _ => {}
        }
    }

    fn change(&mut self, at: UnixTime, who: &Actor, order: &Order, group: &mut Group) -> Outcome {
        let Some(registry) = &self.registry else { return Outcome::Read };
        let entropy = (self.entropy)();
        match registry.decide_order(at, who, order, &entropy) {
            Ok(events) => self.take(events, &entropy, group),
            Err(refusal) => Outcome::Refused((&refusal).into()),
        }
    }

    /// Signs first: what cannot be signed does not happen.
    fn take(&mut self, events: Vec<Event>, entropy: &[u8; 32], group: &mut Group) -> Outcome {
        let signed = match self.issuer.statements_of(&events) {
            Ok(signed) => signed,
            Err(error) => return Outcome::Refused((&error).into()),
        };
        if let Some(registry) = &mut self.registry {
            for event in &events {
                group.lines.push(Line::new(registry, event.clone()));
                registry.apply(event);
            }
        }
        group.statements.certificates.extend(signed.certificates);
        group.statements.revocations.extend(signed.revocations);
        Outcome::Done(Done::new(events, entropy))
    }

    /// Follows what was signed before, then goes on.
    fn hear(&mut self, at: UnixTime, heard: &Heard, group: &mut Group) -> Outcome {
        if let Some(own) = &heard.own {
            let own = self.issuer.sift(own);
            let events = self.registry.as_ref().map(|registry| registry.merge(at, &Actor::Clock, &own));
            if let refused @ Outcome::Refused(_) = self.take(events.unwrap_or_default(), &[0; 32], group) {
                return refused;
            }
        }
        for (broker, seen) in &heard.predecessors {
            let seen = self.issuer.sift_predecessor(seen);
            let events =
                self.registry.as_ref().map(|registry| registry.succeed(at, &Actor::Clock, *broker, &seen));
            if let refused @ Outcome::Refused(_) = self.take(events.unwrap_or_default(), &[0; 32], group) {
                return refused;
            }
        }
        (self.holding, group.heard) = (false, true);
        Outcome::Read
    }

    fn expire(&mut self, at: UnixTime, group: &mut Group) -> Outcome {
        let mut all = Vec::new();
        for _ in 0..ROUNDS {
            let due = self.registry.as_ref().map(|registry| registry.expiries_until(at)).unwrap_or_default();
            if due.is_empty() {
                break;
            }
            match self.take(due, &[0; 32], group) {
                Outcome::Done(done) => all.extend(done.events),
                refused => return refused,
            }
        }
        Outcome::Done(Done { events: all, invitation: None })
    }

    fn answer(&mut self, work: Work, outcome: Outcome) {
        match (work, outcome) {
            (Work::Join { reply, .. } | Work::Renew { reply, .. }, Outcome::Refused(why)) => {
                reply(JoinAnswer::Refused(why));
            }
            (Work::Join { reply, .. } | Work::Renew { reply, .. }, Outcome::Held) => {
                reply(JoinAnswer::Waiting { place: 0 });
            }
            (Work::Hold, _) => {}
            (Work::Heard { reply, .. }, Outcome::Refused(why)) => reply(Err(why)),
            (Work::Heard { reply, .. }, _) => reply(Ok(())),
            (Work::Join { at, join, reply }, _) => reply(self.standing(at, &join.key, join.ssid.as_deref())),
            (Work::Renew { at, key, reply }, _) => reply(self.standing(at, &key, None)),
            (Work::Command { reply, .. }, Outcome::Done(done)) => reply(Ok(done)),
            (Work::Command { reply, .. }, Outcome::Refused(why)) => reply(Err(why)),
            (Work::Command { reply, .. }, Outcome::Read | Outcome::Held) => {
                reply(Ok(Done { events: vec![], invitation: None }))
            }
            (Work::Preview { at, who, order, reply }, _) => {
                let registry = self.registry.as_ref().ok_or_else(unread);
                reply(registry.and_then(|registry| {
                    registry.preview(at, &who, &order).map_err(|refusal| Refused::from(&refusal))
                }));
            }
            (Work::List { at, what, reply }, _) => {
                let registry = self.registry.as_ref().ok_or_else(unread);
                reply(registry.and_then(|registry| list(registry, &mut self.journal, at, &what)));
            }
            (Work::Statements { at, reply }, _) => {
                let all = self.registry.as_ref().map(|registry| self.issuer.statements(at, registry));
                reply(all.ok_or_else(unread).and_then(|all| all.map_err(|error| (&error).into())));
            }
            (Work::EraseContact { reply, .. }, _) => reply(Ok(())),
            (Work::Export { to, cards, reply }, _) => {
                reply(self.journal.export(&to, cards).map_err(|error| (&error).into()))
            }
            (Work::Backup { to, reply }, _) => {
                reply(self.journal.backup(&to).map_err(|error| (&error).into()))
            }
        }
    }

    /// How a key stands, with its certificates if it has any.
    fn standing(&self, at: UnixTime, key: &PublicKey, ssid: Option<&str>) -> JoinAnswer {
        let Some(registry) = &self.registry else { return JoinAnswer::Refused(Refused::unavailable()) };
        let refused = |refusal: Refusal| JoinAnswer::Refused((&refusal).into());
        match registry.standing(at, key) {
            Standing::Granted(_) => self.granted(at, key, ssid, registry).unwrap_or_else(JoinAnswer::Refused),
            Standing::Waiting { place, .. } => JoinAnswer::Waiting { place },
            Standing::Denied { reason, until } => refused(Refusal::Denied { reason, until }),
            Standing::Suspended => refused(Refusal::Suspended),
            Standing::Revoked => refused(Refusal::KeyRevoked),
            Standing::Unknown => refused(Refusal::KeyUnknown),
        }
    }

    fn granted(
        &self,
        at: UnixTime,
        key: &PublicKey,
        ssid: Option<&str>,
        registry: &Registry,
    ) -> Result<JoinAnswer, Refused> {
        let issue = registry.certificate_of(key).ok_or_else(|| Refused::from(&Refusal::KeyUnknown))?;
        let signed = || {
            Ok(JoinAnswer::Granted {
                certificates: self.issuer.chain(issue)?,
                revocations: self.issuer.recent(registry)?,
                head: self.issuer.head(at, registry)?,
                prefixes: issue.prefixes.clone(),
                not_after: issue.not_after,
                proposal: ssid.and_then(|ssid| other_proposal(registry, &issue.prefixes, ssid)),
            })
        };
        signed().map_err(|error: crate::issue::IssueError| (&error).into())
    }
}

/// The slot that the network name points at, if the node holds another one in that pool.
fn other_proposal(registry: &Registry, held: &[Prefix], ssid: &str) -> Option<Prefix> {
    let prefix = held.iter().find(|prefix| prefix.len() <= 64)?;
    let pool = registry.pools().find(|pool| pool.prefix.covers(*prefix))?;
    proposed_slot(pool.prefix, prefix.len(), ssid).filter(|slot| !held.contains(slot))
}

fn unread() -> Refused {
    Refused::new("store_failed", "the registry could not be read back", "look at the broker's log")
}

/// What a group of requests adds up to.
#[derive(Default)]
struct Group {
    lines: Vec<Line>,
    cards: Vec<CardChange>,
    statements: Statements,
    /// It ends a hold.
    heard: bool,
}

/// What becomes of work while the registry may be older than what its members know; `None`: it is done as ever.
fn held(work: &Work) -> Option<Outcome> {
    match work {
        Work::Join { .. } | Work::Renew { .. } => Some(Outcome::Held),
        Work::Command { order, .. } => match order.command {
            Command::SetPool(_) | Command::SetPolicy(_) => None,
            Command::Expire => Some(Outcome::Held),
            _ => Some(Outcome::Refused(Refused::new(
                "registry_waits",
                "the registry first has to hear from the members what was granted before",
                "wait until one of them is connected; if none is left, start it once with 'ln6d run --alone'",
            ))),
        },
        _ => None,
    }
}

enum Outcome {
    Done(Done),
    Refused(Refused),
    /// Nothing to decide.
    Read,
    /// Not now.
    Held,
}
