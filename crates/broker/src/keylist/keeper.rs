//! The thread that looks at a list now and then, and does what follows. Nobody else waits for the network.

use super::git::{Git, GitError};
use super::halt::Halt;
use super::listing::{Complaint, Listing};
use super::memory::{Kept, Memory, Stage};
use super::office::{Carried, DeskOffice, Office};
use super::plan::{Change, Gone, plan};
use super::report::{COMPLAINTS, Report, State, Why};
use super::url::Source;
use crate::answer::Refused;
use crate::desk::DeskHandle;
use ln6_types::UnixTime;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Orders that may wait.
const ORDERS: usize = 16;
/// Removals that are remembered; more than a day of them is of no use.
const REMOVALS: usize = 10_000;

/// What to do when the newest commit does not come after the one that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rewritten {
    /// The last good state stands until an administrator confirms.
    #[default]
    Refuse,
    /// Apply it like any other.
    Accept,
}

/// A list, as the operator wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name, for the journal.
    pub name: String,
    /// Where it is.
    pub source: Source,
    /// The branch; the repository's own if not said.
    pub branch: Option<String>,
    /// The folder within the repository that has the files.
    pub within: Option<String>,
    /// How often to look.
    pub every: Duration,
    /// OpenSSH's file of allowed signers; commits need no signature without it.
    pub signers: Option<PathBuf>,
    /// What to do about another history.
    pub rewritten: Rewritten,
    /// The private key for `ssh`.
    pub ssh_key: Option<PathBuf>,
    /// A folder that is ours alone.
    pub folder: PathBuf,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeeperError {
    /// Too many orders at once.
    #[error("the key list is being looked at")]
    Busy,
    /// It has ended.
    #[error("the key list's thread has ended")]
    Stopped,
    /// The newest commit is not the one that was confirmed.
    #[error("the key list has changed since you looked")]
    Changed,
}

/// Called once with the report after the look. Must not block.
type Reply = Box<dyn FnOnce(Result<Report, KeeperError>) + Send>;

enum Order {
    Pull(Reply),
    Confirm(String, Reply),
}

/// The list's thread; it ends when this is dropped.
pub struct Keeper {
    orders: Option<SyncSender<Order>>,
    report: Arc<Mutex<Report>>,
    halt: Halt,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it; it looks at once. `prepare` is the first thing that its thread does, `clock` tells the time.
    pub fn start(
        settings: Settings,
        desk: DeskHandle,
        clock: fn() -> UnixTime,
        prepare: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let office = DeskOffice::new(desk, settings.name.clone());
        Keeper::with_office(settings, office, clock, prepare)
    }

    /// The same with another registry.
    pub fn with_office(
        settings: Settings,
        office: impl Office + 'static,
        clock: fn() -> UnixTime,
        prepare: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, inbox) = sync_channel(ORDERS);
        let halt = Halt::default();
        let first = Report {
            name: settings.name.clone(),
            url: settings.source.to_string(),
            branch: settings.branch.clone(),
            every: settings.every.as_secs(),
            ..Report::default()
        };
        let report = Arc::new(Mutex::new(first));
        let look = Look {
            git: Git::new(&settings, halt.clone()),
            memory: Err(io::Error::other("not read yet")),
            office: Box::new(office),
            clock,
            report: Arc::clone(&report),
            settings,
        };
        let run = move || {
            prepare();
            look.run(&inbox);
        };
        let thread = std::thread::Builder::new().name("ln6d-keylist".to_owned()).spawn(run)?;
        Ok(Keeper { orders: Some(orders), report, halt, thread: Some(thread) })
    }

    /// How the list stands; never waits for the network.
    pub fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks now.
    pub fn pull(&self, reply: Reply) {
        self.send(Order::Pull(reply));
    }

    /// Looks now, and carries out what waits if the newest commit is this one.
    pub fn confirm(&self, commit: String, reply: Reply) {
        self.send(Order::Confirm(commit, reply));
    }

    fn send(&self, order: Order) {
        let Some(orders) = &self.orders else { return };
        let (order, why) = match orders.try_send(order) {
            Ok(()) => return,
            Err(TrySendError::Full(order)) => (order, KeeperError::Busy),
            Err(TrySendError::Disconnected(order)) => (order, KeeperError::Stopped),
        };
        match order {
            Order::Pull(reply) | Order::Confirm(_, reply) => reply(Err(why)),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.orders = None;
        self.halt.stop();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed already.
            let _ = thread.join();
        }
    }
}

/// The thread's own.
struct Look {
    settings: Settings,
    git: Git,
    memory: io::Result<Memory>,
    office: Box<dyn Office>,
    clock: fn() -> UnixTime,
    report: Arc<Mutex<Report>>,
}

impl Look {
    fn run(mut self, inbox: &Receiver<Order>) {
        self.look(None);
        let mut next = Instant::now() + self.settings.every;
        loop {
            match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => drop(self.look(None)),
                Ok(Order::Pull(reply)) => {
                    self.look(None);
                    reply(Ok(self.told()));
                }
                Ok(Order::Confirm(commit, reply)) => {
                    let fits = self.look(Some(&commit));
                    reply(if fits { Ok(self.told()) } else { Err(KeeperError::Changed) });
                }
            }
            next = Instant::now() + self.settings.every;
        }
    }

    fn told(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Looks once; `false` if what was confirmed is not what is there.
    fn look(&mut self, confirmed: Option<&str>) -> bool {
        let now = (self.clock)();
        let outcome = self.try_look(now, confirmed);
        let memory = self.memory.as_ref().ok();
        let count = |stage| memory.map_or(0, |m| m.nodes.values().filter(|kept| kept.stage == stage).count());
        let (inside, suspended) = (count(Stage::In), count(Stage::Out));
        let applied = memory.map(|memory| (memory.commit.clone(), memory.changed));
        self.tell(|report| {
            report.checked = Some(now);
            (report.inside, report.suspended) = (inside, suspended);
            if let Some((commit, changed)) = applied {
                (report.commit, report.changed) = (commit, changed);
            }
        });
        match outcome {
            Ok(()) => true,
            Err(Stop::Changed) => false,
            Err(Stop::Here(state, why)) => {
                tracing::warn!(
                    list = self.settings.name,
                    code = why.code,
                    text = why.text,
                    "the key list stays as it was"
                );
                self.tell(|report| {
                    report.state = state;
                    report.why = Some(why);
                });
                true
            }
        }
    }

    fn try_look(&mut self, now: UnixTime, confirmed: Option<&str>) -> Result<(), Stop> {
        self.remember()?;
        let commit = self.git.fetch()?;
        self.tell(|report| report.reached = Some(now));
        if confirmed.is_some_and(|confirmed| confirmed != commit) {
            return Err(Stop::Changed);
        }
        let memory = self.memory.as_mut().map_err(|error| Stop::disk(error))?;
        let newer = memory.commit.as_ref() != Some(&commit);
        self.tell_waiting(newer.then(|| commit.clone()));
        self.judge(&commit, confirmed.is_some())?;
        let list = self.git.read(&commit)?;
        self.apply(now, commit, list, confirmed.is_some())
    }

    fn tell_waiting(&self, waiting: Option<String>) {
        self.tell(|report| report.waiting = waiting);
    }

    /// Reads the memory once, and forgets the history of another repository.
    fn remember(&mut self) -> Result<(), Stop> {
        let file = self.settings.folder.join("memory.json");
        if self.memory.is_err() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.settings.folder);
            self.memory = made.and_then(|()| Memory::load(&file));
        }
        let memory = self.memory.as_mut().map_err(|error| Stop::disk(error))?;
        let here = (self.settings.source.to_string(), self.settings.branch.clone());
        if (&memory.url, &memory.branch) != (&here.0, &here.1) {
            self.git.forget().map_err(|error| Stop::disk(&error))?;
            memory.commit = None;
            (memory.url, memory.branch) = here;
        }
        Ok(())
    }

    /// Whether the newest commit may be applied.
    fn judge(&self, commit: &str, confirmed: bool) -> Result<(), Stop> {
        if !self.git.is_signed(commit)? {
            let text = format!("the newest commit {} is not signed by an allowed signer", short(commit));
            let hint = "sign the commit ('git commit -S') with a key of the file that 'signed' names, and push again";
            return Err(Stop::Here(State::Unsigned, Why { code: "keylist_unsigned", text, hint }));
        }
        let Some(old) = self.memory.as_ref().ok().and_then(|memory| memory.commit.as_deref()) else {
            return Ok(());
        };
        let wanted = confirmed || self.settings.rewritten == Rewritten::Accept;
        if old == commit || wanted || self.git.follows(old, commit)? {
            return Ok(());
        }
        let text = format!(
            "the repository's history was rewritten: {} does not follow {}",
            short(commit),
            short(old)
        );
        let hint = "ask who pushed it; then 'ln6d keylist confirm' accepts it";
        Err(Stop::Here(State::Rewritten, Why { code: "keylist_rewritten", text, hint }))
    }

    fn apply(&mut self, now: UnixTime, commit: String, list: Listing, confirmed: bool) -> Result<(), Stop> {
        let file = self.settings.folder.join("memory.json");
        let memory = self.memory.as_mut().map_err(|error| Stop::disk(error))?;
        let todo = plan(&list, memory, now, confirmed);
        let mut complaints = list.complaints;
        complaints.extend(todo.complaints);
        for (name, change) in &todo.changes {
            if let Change::Admit { entry, .. } = change {
                memory.nodes.insert(name.clone(), Kept { entry: entry.clone(), stage: Stage::Asked });
            }
        }
        if !todo.changes.is_empty() {
            self.office.begin(now).map_err(Stop::registry)?;
            memory.save(&file).map_err(|error| Stop::disk(&error))?;
        }
        let mut done = 0;
        for (name, change) in &todo.changes {
            let carried = self.office.carry_out(now, change);
            let listed = list.entries.get(name);
            match settle(memory, name, change, carried) {
                Ok(changed) => done += usize::from(changed),
                Err(text) => complaints.push(Complaint::new(name, text)),
            }
            // Words that change nothing in the registry are remembered as they are listed.
            if let (Some(kept), Some(entry)) = (memory.nodes.get_mut(name), listed)
                && entry.size.is_none()
            {
                kept.entry.size = None;
            }
        }
        if !confirmed {
            memory.removals.extend(std::iter::repeat_n(now, todo.takes));
        }
        memory.removals.retain(|at| now.since(*at).as_secs() < 86_400);
        memory.removals.truncate(REMOVALS);
        let newer = memory.commit.as_ref() != Some(&commit);
        memory.commit = Some(commit.clone());
        if done > 0 || newer {
            memory.changed = Some(now);
        }
        memory.save(&file).map_err(|error| Stop::disk(&error))?;
        if done > 0 {
            tracing::info!(list = self.settings.name, changes = done, "the key list was applied");
        }
        self.conclude(commit, todo.held, complaints);
        Ok(())
    }

    fn conclude(&self, commit: String, held: Vec<Gone>, mut complaints: Vec<Complaint>) {
        let more = complaints.len().saturating_sub(COMPLAINTS);
        complaints.truncate(COMPLAINTS);
        let waits = (!held.is_empty()).then(|| Why {
            code: "keylist_held",
            text: format!("{} nodes would lose their place at once", held.len()),
            hint: "look at 'ln6d keylist status'; 'ln6d keylist confirm' lets it happen",
        });
        self.tell(|report| {
            report.state = if waits.is_some() { State::Held } else { State::Current };
            report.waiting = waits.is_some().then_some(commit);
            report.why = waits;
            report.held = held;
            report.complaints = complaints;
            report.more_complaints = more;
        });
    }
}

/// What a change came to, for the memory; `Ok(true)` if the registry has changed.
fn settle(
    memory: &mut Memory,
    name: &str,
    change: &Change,
    carried: Result<Carried, Refused>,
) -> Result<bool, String> {
    match (change, carried) {
        (Change::Admit { .. }, Ok(carried)) => {
            note(memory, name, |kept| kept.stage = Stage::In);
            Ok(carried == Carried::Done)
        }
        (Change::Admit { .. }, Err(why)) if why.code == "no_answer" => Err(words(why)),
        (Change::Admit { .. }, Err(why)) => {
            memory.nodes.remove(name);
            Err(words(why))
        }
        (Change::Suspend { .. }, Ok(Carried::Done)) => {
            note(memory, name, |kept| kept.stage = Stage::Out);
            Ok(true)
        }
        // Somebody else has suspended or revoked it: then it is not this list that may bring it back.
        (Change::Suspend { .. }, Ok(Carried::AsItWas)) => {
            memory.nodes.remove(name);
            Ok(false)
        }
        (Change::Suspend { .. }, Err(why)) if over(&why.code) => {
            memory.nodes.remove(name);
            Ok(false)
        }
        (Change::Resume { .. }, Ok(_)) => {
            note(memory, name, |kept| kept.stage = Stage::In);
            Ok(true)
        }
        (Change::Resume { .. }, Err(why)) if why.code == "state_changed" => {
            note(memory, name, |kept| kept.stage = Stage::In);
            Ok(false)
        }
        (Change::Resume { .. }, Err(why)) if why.code == "not_found" => {
            memory.nodes.remove(name);
            Err(words(why))
        }
        (Change::Rekey { entry, .. }, Ok(carried)) => {
            note(memory, name, |kept| (kept.entry.key, kept.entry.sign) = (entry.key, entry.sign));
            Ok(carried == Carried::Done)
        }
        (Change::Resize { size, .. }, Ok(carried)) => {
            note(memory, name, |kept| kept.entry.size = Some(*size));
            Ok(carried == Carried::Done)
        }
        (Change::Contact { text, .. }, Ok(_)) => {
            note(memory, name, |kept| kept.entry.contact.clone_from(text));
            Ok(true)
        }
        (_, Err(why)) => Err(words(why)),
    }
}

/// Whether somebody else has decided meanwhile.
fn over(code: &str) -> bool {
    matches!(code, "state_changed" | "not_found")
}

fn words(why: Refused) -> String {
    if why.hint.is_empty() { why.text } else { format!("{}: {}", why.text, why.hint) }
}

fn note(memory: &mut Memory, name: &str, change: impl FnOnce(&mut Kept)) {
    if let Some(kept) = memory.nodes.get_mut(name) {
        change(kept);
    }
}

/// The beginning of a commit's name.
fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// Why a look ended early.
enum Stop {
    /// What was confirmed is not what is there.
    Changed,
    /// The last good state stands.
    Here(State, Why),
}

impl Stop {
    fn disk(error: &io::Error) -> Self {
        let text = format!("what the key list has done cannot be read or written: {error}");
        let hint = "mend the disk or the file 'memory.json'; nothing was changed";
        Stop::Here(State::Unreachable, Why { code: "keylist_disk", text, hint })
    }
}

impl Stop {
    fn registry(why: Refused) -> Self {
        let hint = "it is tried again at the next look";
        Stop::Here(State::Unreachable, Why { code: "keylist_registry", text: why.text, hint })
    }
}

impl From<GitError> for Stop {
    fn from(error: GitError) -> Self {
        let (code, hint) = match &error {
            GitError::NoProgram => ("keylist_no_git", "apt-get install git"),
            GitError::Unreachable(_) | GitError::TooSlow(_) | GitError::Stopped => {
                ("keylist_unreachable", "it is tried again; who is in stays in. Check url under [keylist]")
            }
            GitError::NoBranch(_) => ("keylist_no_branch", "correct branch under [keylist]"),
            GitError::NoFolder(_) => ("keylist_no_folder", "correct folder under [keylist]"),
            GitError::TooLarge(_) => {
                ("keylist_too_large", "a key list has at most 10,000 small files and 64 MiB of history")
            }
            GitError::Odd(_) => ("keylist_unreadable", "update git, and report this if it stays"),
            GitError::Disk(error) => return Stop::disk(error),
        };
        Stop::Here(State::Unreachable, Why { code, text: error.to_string(), hint })
    }
}
