//! The program that runs for us, so that it can be ended with everything it has started.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by the thread that waits for the program and whoever wants to end.
#[derive(Clone, Default)]
pub(super) struct Halt(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    stopped: bool,
    /// The process group of the program at work.
    group: Option<Pid>,
}

impl Halt {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// A program has started as the leader of a process group.
    pub(super) fn started(&self, leader: u32) {
        let mut running = self.lock();
        running.group = i32::try_from(leader).ok().map(Pid::from_raw);
        if running.stopped {
            running.kill();
        }
    }

    /// It is about to be reaped: from then on its number may be another's.
    pub(super) fn ended(&self) {
        self.lock().group = None;
    }

    /// Ends the program at work.
    pub(super) fn kill(&self) {
        self.lock().kill();
    }

    /// Ends it, and every one to come.
    pub(super) fn stop(&self) {
        let mut running = self.lock();
        running.stopped = true;
        running.kill();
    }
}

impl Running {
    fn kill(&self) {
        if let Some(group) = self.group {
            // It may have ended by itself just now.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
