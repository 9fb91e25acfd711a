//! The real kernel, by netlink. Two speak with it, and the same tests judge both: [`small`], a codec of our own for
//! the five things that we say and the three that we read, and, with the feature `rtnetlink`, the library of that name.
//! Routers have the first, since the library knows everything and weighs a tenth of the program.

use crate::kernel::{KernelError, Step};

#[cfg(feature = "rtnetlink")]
pub mod library;
pub mod small;
pub mod wire;

#[cfg(feature = "rtnetlink")]
pub use library::{Netlink, Watcher};
#[cfg(not(feature = "rtnetlink"))]
pub use small::{Netlink, Watcher};

/// Octets asked for as the receive buffer of whoever watches; the kernel may give less, and says so by an overrun.
const RECEIVE_BUFFER: u32 = 1 << 20;

/// What a notification was about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// An interface came, went or changed.
    Link,
    /// An address came.
    AddressAdded,
    /// An address went.
    AddressRemoved,
    /// A route came or went.
    Route {
        /// Whether it went.
        removed: bool,
        /// Whether its destination is everything.
        default: bool,
        /// Who made it.
        protocol: u8,
    },
    /// Notifications were lost.
    Lost,
    /// Anything else.
    Other,
}

/// Turns an error number into our words; what is already as wanted is no error.
fn judge(step: Step, errno: i32) -> Result<(), KernelError> {
    let removing = matches!(step, Step::DeleteRoute(_) | Step::DeleteAddress(_));
    let source_route = matches!(&step, Step::AddRoute(r) | Step::ReplaceRoute(r) if !r.from.is_default());
    match errno {
        libc::ESRCH | libc::ENOENT | libc::ENODEV | libc::EADDRNOTAVAIL | libc::ENXIO if removing => Ok(()),
        libc::EEXIST => Err(KernelError::Taken(step)),
        libc::EPERM => Err(KernelError::Denied),
        libc::ENODEV | libc::ENXIO | libc::ENETDOWN | libc::ENETUNREACH => Err(KernelError::NoLink(step)),
        libc::EACCES => Err(KernelError::NoIpv6(step)),
        libc::EINVAL if source_route => Err(KernelError::NoSourceRoutes),
        _ => {
            let reason = std::io::Error::from_raw_os_error(errno).to_string();
            Err(KernelError::Refused { step, reason })
        }
    }
}
