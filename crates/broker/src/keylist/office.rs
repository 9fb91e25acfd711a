//! The registry's side of a change.

use super::entry::Entry;
use super::plan::Change;
use crate::answer::{Done, Refused};
use crate::desk::DeskHandle;
use crate::list::{List, Listed};
use ln6_registry::{Actor, Command, DelegationState, HolderView};
use ln6_types::{Prefix, PublicKey, UnixTime};
use std::collections::BTreeMap;
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
    /// A look begins: what is known of before may be old.
    fn begin(&mut self, at: UnixTime) -> Result<(), Refused>;

    /// Carries one out; waits until it is on disk.
    fn carry_out(&mut self, at: UnixTime, change: &Change) -> Result<Carried, Refused>;
}

/// The desk, on behalf of a list.
pub(super) struct DeskOffice {
    desk: DeskHandle,
    list: String,
    /// Keys that were in when the look began, with the list that answers for them.
    known: BTreeMap<PublicKey, Option<String>>,
}

impl DeskOffice {
    pub(super) fn new(desk: DeskHandle, list: String) -> Self {
        DeskOffice { desk, list, known: BTreeMap::new() }
    }

    fn order(&self, at: UnixTime, who: Actor, command: Command) -> Result<Carried, Refused> {
        let (tell, told) = mpsc::channel();
        // The thread may be over when the answer comes.
        self.desk.command(at, who, command, Box::new(move |answer| drop(tell.send(answer))));
        let done: Done = told.recv_timeout(PATIENCE).map_err(|_| no_answer())??;
        Ok(if done.events.is_empty() { Carried::AsItWas } else { Carried::Done })
    }

    fn listed(&self, at: UnixTime, command: Command) -> Result<Carried, Refused> {
        self.order(at, Actor::KeyList(self.list.clone()), command)
    }

    fn admit(&self, at: UnixTime, name: String, entry: Entry) -> Result<Carried, Refused> {
        let Entry { key, sign, size, contact } = entry;
        // The registry would let the list answer for it from now on, and so suspend whom others have let in.
        if self.known.get(&key).is_some_and(|list| list.as_ref() != Some(&self.list)) {
            let text = "is in already, but not by this list; the list leaves it alone";
            return Err(Refused::new("key_taken", text, ""));
        }
        self.listed(at, Command::AdmitListed { name, key, sign, size, contact })
    }

    fn read(&self, at: UnixTime, what: List) -> Result<Listed, Refused> {
        let (tell, told) = mpsc::channel();
        self.desk.list(at, what, Box::new(move |answer| drop(tell.send(answer))));
        told.recv_timeout(PATIENCE).map_err(|_| no_answer())?
    }

    fn holders(&self, at: UnixTime) -> Result<Vec<HolderView>, Refused> {
        match self.read(at, List::Holders { gone: false })? {
            Listed::Holders(holders) => Ok(holders),
            _ => Err(no_answer()),
        }
    }

    /// Whether the policy of the pool around `prefix` gives such a size without an administrator.
    fn offered(&self, at: UnixTime, prefix: Prefix, size: u8) -> Result<(), Refused> {
        let Listed::Pools(pools) = self.read(at, List::Pools)? else { return Err(no_answer()) };
        match pools.iter().map(|view| &view.pool).find(|pool| pool.prefix.covers(prefix)) {
            Some(pool) if pool.offers(size) => Ok(()),
            _ => {
                let text = format!("a /{size} is not given here without an administrator");
                Err(Refused::new("size_outside_policy", text, "'ln6d resize' gives it"))
            }
        }
    }

    fn contact(&self, key: PublicKey, text: String) -> Result<Carried, Refused> {
        let (tell, told) = mpsc::channel();
        self.desk.set_contact(key, text, Box::new(move |answer| drop(tell.send(answer))));
        told.recv_timeout(PATIENCE).map_err(|_| no_answer())?.map(|()| Carried::Done)
    }

    fn erase(&self, key: PublicKey) -> Result<Carried, Refused> {
        let (tell, told) = mpsc::channel();
        self.desk.erase_contact(key, Box::new(move |answer| drop(tell.send(answer))));
        told.recv_timeout(PATIENCE).map_err(|_| no_answer())?.map(|()| Carried::Done)
    }

    fn resize(&self, at: UnixTime, name: &str, size: u8) -> Result<Carried, Refused> {
        let holder = self.holders(at)?.into_iter().find(|holder| holder.name == name);
        let prefixes = holder.into_iter().flat_map(|holder| holder.prefixes);
        let active = prefixes.into_iter().find(|held| held.state == DelegationState::Active);
        match active {
            None => Err(Refused::new("not_found", format!("{name} holds nothing now"), "")),
            Some(held) if held.prefix.len() == size => Ok(Carried::AsItWas),
            Some(held) => {
                self.offered(at, held.prefix, size)?;
                let who = Actor::Admin(format!("key list {}", self.list));
                self.order(at, who, Command::Resize { delegation: held.id, size, moving: true })
            }
        }
    }
}

fn no_answer() -> Refused {
    Refused::new("no_answer", "the registry does not answer", "it is tried again at the next look")
}

impl Office for DeskOffice {
    fn begin(&mut self, at: UnixTime) -> Result<(), Refused> {
        let holders = self.holders(at)?;
        let of = |holder: &HolderView| {
            let live = holder.keys.iter().filter(|key| !key.state.is_revoked());
            live.map(|key| (key.key, holder.listed.clone())).collect::<Vec<_>>()
        };
        self.known = holders.iter().flat_map(of).collect();
        Ok(())
    }

    fn carry_out(&mut self, at: UnixTime, change: &Change) -> Result<Carried, Refused> {
        match change.clone() {
            Change::Admit { name, entry }
            | Change::Resume { name, entry }
            | Change::Rekey { name, entry } => self.admit(at, name, entry),
            Change::Resize { name, size } => self.resize(at, &name, size),
            Change::Contact { key, text: Some(text) } => self.contact(key, text),
            Change::Contact { key, text: None } => self.erase(key),
            Change::Suspend { key, .. } => self.listed(at, Command::Unlist { key }),
        }
    }
}
