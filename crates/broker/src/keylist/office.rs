//! The registry's side of a change.

use super::plan::Change;
use crate::answer::{Done, Refused};
use crate::desk::DeskHandle;
use crate::list::{List, Listed};
use ln6_registry::{Actor, Command, DelegationState, Join, Replacement};
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
    /// Carries one out; waits until it is on disk.
    fn carry_out(&mut self, at: UnixTime, change: &Change) -> Result<Carried, Refused>;
}

/// The desk, on behalf of a list.
pub(super) struct DeskOffice {
    pub(super) desk: DeskHandle,
    pub(super) list: String,
}

impl DeskOffice {
    fn order(&self, at: UnixTime, command: Command) -> Result<Carried, Refused> {
        let (tell, told) = mpsc::channel();
        let who = Actor::Admin(format!("key list {}", self.list));
        // The thread may be over when the answer comes.
        self.desk.command(at, who, command, Box::new(move |answer| drop(tell.send(answer))));
        let done: Done = told.recv_timeout(PATIENCE).map_err(|_| no_answer())??;
        Ok(if done.events.is_empty() { Carried::AsItWas } else { Carried::Done })
    }

    fn contact(&self, key: ln6_types::PublicKey, text: String) -> Result<Carried, Refused> {
        let (tell, told) = mpsc::channel();
        self.desk.set_contact(key, text, Box::new(move |answer| drop(tell.send(answer))));
        told.recv_timeout(PATIENCE).map_err(|_| no_answer())?.map(|()| Carried::Done)
    }

    fn erase(&self, key: ln6_types::PublicKey) -> Result<Carried, Refused> {
        let (tell, told) = mpsc::channel();
        self.desk.erase_contact(key, Box::new(move |answer| drop(tell.send(answer))));
        told.recv_timeout(PATIENCE).map_err(|_| no_answer())?.map(|()| Carried::Done)
    }

    fn resize(&self, at: UnixTime, name: &str, size: u8) -> Result<Carried, Refused> {
        let (tell, told) = mpsc::channel();
        self.desk.list(at, List::Holders { gone: false }, Box::new(move |answer| drop(tell.send(answer))));
        let Listed::Holders(holders) = told.recv_timeout(PATIENCE).map_err(|_| no_answer())?? else {
            return Err(no_answer());
        };
        let holder = holders.into_iter().find(|holder| holder.name == name);
        let active = holder.into_iter().flat_map(|holder| holder.prefixes);
        let mut active = active.filter(|held| held.state == DelegationState::Active);
        match active.next() {
            None => Err(Refused::new("not_found", format!("{name} holds nothing now"), "")),
            Some(held) if held.prefix.len() == size => Ok(Carried::AsItWas),
            Some(held) => self.order(at, Command::Resize { delegation: held.id, size, moving: true }),
        }
    }
}

fn no_answer() -> Refused {
    Refused::new("no_answer", "the registry does not answer", "it is tried again at the next look")
}

impl Office for DeskOffice {
    fn carry_out(&mut self, at: UnixTime, change: &Change) -> Result<Carried, Refused> {
        match change.clone() {
            Change::Admit { name, entry } => {
                let join = Join {
                    key: entry.key,
                    sign: entry.sign,
                    name: Some(name),
                    size: entry.size,
                    ssid: entry.ssid,
                    secret: None,
                    contact: entry.contact.clone(),
                };
                let carried = self.order(at, Command::Admit { join, prefix: None })?;
                if let (Carried::Done, Some(text)) = (carried, entry.contact) {
                    self.contact(entry.key, text)?;
                }
                Ok(carried)
            }
            Change::Resume { name } => self.order(at, Command::Resume { holder: name }),
            Change::Rekey { name, entry } => {
                let with = Replacement::Key { key: entry.key, sign: entry.sign };
                self.order(at, Command::Replace { holder: name, with })
            }
            Change::Resize { name, size } => self.resize(at, &name, size),
            Change::Contact { key, text: Some(text) } => self.contact(key, text),
            Change::Contact { key, text: None } => self.erase(key),
            Change::Suspend { name } => {
                let reason = format!("no longer on the key list {}", self.list);
                self.order(at, Command::Suspend { holder: name, reason })
            }
        }
    }
}
