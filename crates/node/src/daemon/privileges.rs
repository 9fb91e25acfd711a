//! After start-up the daemon keeps CAP_NET_ADMIN and CAP_NET_RAW (DESIGN 10, 8): routes, addresses, nftables and router
//! advertisements need them. Capabilities belong to threads: this happens before the workers start, and at the start of
//! each thread of the runtime.

use crate::error::{CliError, Trouble};
use caps::{CapSet, Capability, CapsHashSet};

/// Drops everything but the two capabilities, for this thread and whatever it starts.
pub(crate) fn drop_privileges() -> Result<(), CliError> {
    let keep: CapsHashSet = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW].into_iter().collect();
    let failed = |error: caps::errors::CapsError| {
        CliError::new(Trouble::NotPermitted, format!("privileges cannot be dropped: {error}"))
    };
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
    let kept: CapsHashSet = held.intersection(&keep).copied().collect();
    caps::set(None, CapSet::Inheritable, &kept).map_err(failed)?;
    caps::set(None, CapSet::Effective, &kept).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failed)
}

/// [`drop_privileges`] where nobody can be told of a failure: such a thread must not live.
pub(crate) fn drop_or_abort() {
    if let Err(error) = drop_privileges() {
        tracing::error!(error = %error.message, "a thread would keep privileges");
        std::process::abort();
    }
}

/// Drops every capability of this thread, and of whatever it starts: for what talks to other programs.
#[cfg(feature = "broker")]
pub(crate) fn drop_all() {
    // Root would get them back with the next program.
    if let Err(error) = nix::sys::prctl::set_no_new_privs() {
        tracing::warn!(%error, "the key list's programs may gain privileges");
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        if let Err(error) = caps::clear(None, set) {
            tracing::warn!(%error, ?set, "the key list's thread keeps capabilities");
        }
    }
}
