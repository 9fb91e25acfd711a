//! The registry's side of a change.

use super::entry::Entry;
use super::plan::Change;
use crate::answer::{Done, Refused};
use crate::desk::DeskHandle;
use crate::list::{List, Listed};
use ln6_registry::{Actor, Command};
use ln6_types::UnixTime;
use std::sync::mpsc;
use std::time::Duration;

/// How long an answer of the desk is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// Done, and on disk.
    Done,
    /// It was so already, by somebody else's hand.
    AsItWas,
}

/// Whoever carries changes out.
pub trait Office: Send {
    /// A look begins that will change something: whether the registry answers.
    fn begin(&mut self, at: UnixTime) -> Result<(), Refused>;

    /// Carries one out; waits until it is on disk.
    fn carry_out(&mut self, at: UnixTime, change: &Change) -> Result<Carried, Refused>;
}

/// The desk, on behalf of a list.
pub(super) struct DeskOffice {
    desk: DeskHandle,
    list: String,
}

impl DeskOffice {
    pub(super) fn new(desk: DeskHandle, list: String) -> Self {
        DeskOffice { desk, list }
    }

    /// What the list may do the registry decides, with what it knows at that moment.
    fn order(&self, at: UnixTime, command: Command) -> Result<Carried, Refused> {
        let who = Actor::KeyList(self.list.clone());
        let (tell, told) = mpsc::channel();
        // The thread may be over when the answer comes.
        self.desk.command(at, who, command, Box::new(move |answer| drop(tell.send(answer))));
        let done: Done = told.recv_timeout(PATIENCE).map_err(|_| no_answer())??;
        Ok(if done.events.is_empty() { Carried::AsItWas } else { Carried::Done })
    }

    fn read(&self, at: UnixTime, what: List) -> Result<Listed, Refused> {
        let (tell, told) = mpsc::channel();
        self.desk.list(at, what, Box::new(move |answer| drop(tell.send(answer))));
        told.recv_timeout(PATIENCE).map_err(|_| no_answer())?
    }
}

fn no_answer() -> Refused {
    Refused::new("no_answer", "the registry does not answer", "it is tried again at the next look")
}

impl Office for DeskOffice {
    fn begin(&mut self, at: UnixTime) -> Result<(), Refused> {
        self.read(at, List::Pools).map(drop)
    }

    fn carry_out(&mut self, at: UnixTime, change: &Change) -> Result<Carried, Refused> {
        let command = match change.clone() {
            Change::Admit { name, entry }
            | Change::Resume { name, entry }
            | Change::Rekey { name, entry } => {
                let Entry { key, sign, size, contact } = entry;
                Command::AdmitListed { name, key, sign, size, contact }
            }
            Change::Resize { key, size, .. } => Command::ResizeListed { key, size },
            Change::Contact { key, text } => Command::ContactListed { key, text },
            Change::Suspend { key, .. } => Command::Unlist { key },
        };
        self.order(at, command)
    }
}
