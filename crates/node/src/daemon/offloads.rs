//! Which offloads of the kernel the workers use, and switching them while packets flow.

use crate::daemon::Daemon;
#[cfg(feature = "broker")]
use crate::error::{ApiError, CliError, Trouble};
use crate::schema::Count;
#[cfg(feature = "broker")]
use crate::schema::{ActionReply, OffloadList, OffloadRow};
#[cfg(feature = "broker")]
use ln6_netio::Mail;
use ln6_netio::Offload;

impl Daemon {
    /// Whether every worker uses it.
    fn uses(&self, offload: Offload) -> bool {
        self.workers.counters().iter().all(|worker| offload.is_used(worker))
    }

    #[cfg(feature = "broker")]
    pub(super) fn offloads(&self) -> OffloadList {
        let row = |offload: Offload| OffloadRow { name: offload.name().to_owned(), used: self.uses(offload) };
        OffloadList { offloads: Offload::ALL.map(row).into() }
    }

    /// For `doctor`.
    pub(super) fn offloads_in_words(&self) -> String {
        let list = |used: bool| {
            let some = Offload::ALL.iter().filter(|offload| self.uses(**offload) == used);
            some.map(|offload| offload.name()).collect::<Vec<_>>().join(" ")
        };
        format!("offloads used: {}; not used: {}", list(true), list(false))
    }

    /// For the metrics.
    pub(super) fn offloads_used(&self) -> Vec<Count> {
        let count =
            |offload: Offload| Count { reason: offload.name().to_owned(), count: self.uses(offload).into() };
        Offload::ALL.map(count).into()
    }

    /// Told to the workers; they follow before their next packet.
    #[cfg(feature = "broker")]
    pub(super) fn switch_offload(&self, name: &str, on: bool) -> Result<ActionReply, ApiError> {
        let Some(offload) = Offload::of(name) else {
            return Err(CliError::new(Trouble::BadRequest, format!("there is no offload '{name}'"))
                .hint("'ln6d offload' lists them"));
        };
        self.workers.tell(|| Mail::Offload(offload, on));
        let done = if on { "switched_on" } else { "switched_off" };
        Ok(ActionReply { done: done.to_owned(), name: Some(name.to_owned()), ..ActionReply::default() })
    }
}
