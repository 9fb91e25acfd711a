//! Why there is no socket, and what to do about it.

use std::io;

/// Why the sockets could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum UdpError {
    /// Another process has the port.
    #[error("UDP port {0} is in use")]
    PortInUse(u16),
    /// A port below 1024 without CAP_NET_BIND_SERVICE, a mark or a device without CAP_NET_ADMIN/RAW.
    #[error("not permitted: {step} ({source})")]
    NotPermitted {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The address or the device to bind to is not on this machine.
    #[error("cannot bind to {0}: not on this machine")]
    NotHere(String),
    /// Anything else.
    #[error("{step} failed: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl UdpError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            UdpError::PortInUse(_) => "port_in_use",
            UdpError::NotPermitted { .. } => "not_permitted",
            UdpError::NotHere(_) => "address_not_here",
            UdpError::System { .. } => "udp_failed",
        }
    }

    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            UdpError::PortInUse(_) => {
                "another ln6d or WireGuard may run (`ss -ulnp` shows which program): stop it, or choose another port"
            }
            UdpError::NotPermitted { .. } => "run as root or with CAP_NET_ADMIN, or use a port above 1023",
            UdpError::NotHere(_) => {
                "check the address and the device in the configuration against `ip address`"
            }
            UdpError::System { .. } => "look into the kernel log (`dmesg`)",
        }
    }

    pub(super) fn of(step: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => UdpError::NotPermitted { step, source },
            _ => UdpError::System { step, source },
        }
    }
}
