//! After start-up the daemon keeps CAP_NET_ADMIN and CAP_NET_RAW (DESIGN 10, 8): routes, addresses, nftables and router
//! advertisements need them. Capabilities belong to threads: this happens before the workers start, and at the start of
//! each thread of the runtime.

use crate::error::{CliError, Trouble};
#[cfg(feature = "broker")]
pub(crate) use account::{Account, leave_root};
use caps::{CapSet, Capability, CapsHashSet};

/// By what right the workers may raise themselves once privileges are gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// By a limit of the process (`RLIMIT_RTPRIO`), or not at all.
    None,
    /// By a capability that they keep: the limit could not be raised, as in a container that has CAP_SYS_NICE and not CAP_SYS_RESOURCE.
    Nice,
}

/// Makes sure of it, if it is wanted.
pub(crate) fn right_to_priority(wanted: bool) -> Right {
    match wanted.then(ln6_netio::worker::allow_priority) {
        Some(Err(error)) => {
            tracing::debug!(%error, "no limit for real-time priority");
            Right::Nice
        }
        _ => Right::None,
    }
}

impl Right {
    /// What a worker does first: what it reads comes from strangers, and what it needs is open already.
    pub(crate) fn keep(self) -> fn() {
        match self {
            Right::None => || or_abort(hold(&CapsHashSet::new())),
            Right::Nice => || or_abort(hold(&[Capability::CAP_SYS_NICE].into_iter().collect())),
        }
    }
}

/// Drops everything but the two capabilities, for this thread and whatever it starts; and what the workers are to have, until they have
/// started.
pub(crate) fn drop_privileges(workers: Right) -> Result<(), CliError> {
    let mut keep: CapsHashSet = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW].into_iter().collect();
    let held = caps::read(None, CapSet::Permitted).map_err(failed)?;
    if held.contains(&Capability::CAP_SETPCAP) {
        for capability in caps::all() {
            if !keep.contains(&capability)
                && caps::has_cap(None, CapSet::Bounding, capability).unwrap_or(false)
            {
                caps::drop(None, CapSet::Bounding, capability).map_err(failed)?;
            }
        }
    }
    if workers == Right::Nice {
        keep.insert(Capability::CAP_SYS_NICE);
    }
    hold(&keep)
}

/// Keeps of what this thread holds only these.
fn hold(keep: &CapsHashSet) -> Result<(), CliError> {
    let held = caps::read(None, CapSet::Permitted).map_err(failed)?;
    let kept: CapsHashSet = held.intersection(keep).copied().collect();
    let ambient = caps::read(None, CapSet::Ambient).unwrap_or_default();
    for capability in ambient.difference(&kept) {
        caps::drop(None, CapSet::Ambient, *capability).map_err(failed)?;
    }
    // No program that is started inherits what the workers have; their capability is not in the bounding set, so none could.
    let inherited = kept.iter().filter(|one| **one != Capability::CAP_SYS_NICE).copied().collect();
    caps::set(None, CapSet::Inheritable, &inherited).map_err(failed)?;
    caps::set(None, CapSet::Effective, &kept).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failed)
}

fn failed(error: caps::errors::CapsError) -> CliError {
    CliError::new(Trouble::NotPermitted, format!("privileges cannot be dropped: {error}"))
}

/// [`drop_privileges`] where nobody can be told of a failure: such a thread must not live.
pub(crate) fn drop_or_abort() {
    or_abort(drop_privileges(Right::None));
}

fn or_abort(done: Result<(), CliError>) {
    if let Err(error) = done {
        tracing::error!(error = %error.message, "a thread would keep privileges");
        std::process::abort();
    }
}

/// Drops every capability of this thread, and of whatever it starts: for what talks to other programs.
#[cfg(feature = "broker")]
pub(crate) fn drop_all() {
    // Root would get them back with the next program.
    if let Err(error) = nix::sys::prctl::set_no_new_privs() {
        tracing::warn!(%error, "programs that are started here may gain privileges");
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        if let Err(error) = caps::clear(None, set) {
            tracing::warn!(%error, ?set, "this thread keeps capabilities");
        }
    }
}

#[cfg(feature = "broker")]
mod account {
    use super::drop_all;
    use crate::error::{CliError, Trouble};
    use caps::CapSet;
    use nix::unistd::{Gid, Uid, User, initgroups, setgid, setuid};
    use std::ffi::CString;
    use std::path::Path;

    /// An account of this machine that a process of ours is to run as.
    #[derive(Debug)]
    pub(crate) struct Account {
        name: String,
        uid: Uid,
        gid: Gid,
    }

    impl Account {
        /// The account of this name.
        pub(crate) fn find(name: &str) -> Result<Account, CliError> {
            match User::from_name(name) {
                Ok(Some(user)) => Ok(Account { name: user.name, uid: user.uid, gid: user.gid }),
                _ => Err(CliError::new(
                    Trouble::AccountMissing,
                    format!("there is no account {name} on this machine"),
                )),
            }
        }

        /// Makes it the owner of a file, if we may. Never of what a link leads to: the account could have laid it.
        pub(crate) fn take(&self, path: &Path) -> Result<(), CliError> {
            if !Uid::effective().is_root() {
                return Ok(());
            }
            crate::files::owned::give(path, self.uid, self.gid)
                .map_err(|error| CliError::file("give away", path, &error))
        }
    }

    /// Becomes the account if we are root, and keeps no capability in any case. For a process with one thread.
    pub(crate) fn leave_root(account: Option<&Account>) -> Result<(), CliError> {
        let failed = |what: &str, why: &dyn std::fmt::Display| {
            CliError::new(Trouble::NotPermitted, format!("{what}: {why}"))
        };
        for capability in caps::all() {
            if caps::has_cap(None, CapSet::Effective, caps::Capability::CAP_SETPCAP).unwrap_or(false) {
                // What the kernel does not know it does not have.
                let _ = caps::drop(None, CapSet::Bounding, capability);
            }
        }
        if let Some(account) = account.filter(|account| account.uid != Uid::effective()) {
            let become_it = || -> nix::Result<()> {
                let name = CString::new(account.name.as_str()).map_err(|_| nix::errno::Errno::EINVAL)?;
                initgroups(&name, account.gid)?;
                setgid(account.gid)?;
                setuid(account.uid)
            };
            become_it().map_err(|errno| failed(&format!("cannot run as {}", account.name), &errno))?;
        }
        drop_all();
        let left = caps::read(None, CapSet::Permitted).map_err(|error| failed("capabilities", &error))?;
        if left.is_empty() { Ok(()) } else { Err(failed("capabilities would be kept", &format!("{left:?}"))) }
    }
}
