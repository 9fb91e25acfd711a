//! Why there is no TUN device, and what to do about it.

use std::io;

/// Why a TUN device could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TunError {
    /// `/dev/net/tun` does not exist, or has no driver behind it.
    #[error("/dev/net/tun is missing: {0}")]
    Missing(#[source] io::Error),
    /// No CAP_NET_ADMIN, or no access to `/dev/net/tun`.
    #[error("not permitted to make a TUN device: {0}")]
    NotPermitted(#[source] io::Error),
    /// Another process holds the name, or it belongs to another kind of device.
    #[error("a network device '{0}' exists already")]
    NameTaken(String),
    /// Not 1 to 15 characters, or with a slash or white space in them.
    #[error("'{0}' is not a name for a network device")]
    BadName(String),
    /// Anything else.
    #[error("{step} failed: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl TunError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            TunError::Missing(_) => "no_tun_device",
            TunError::NotPermitted(_) => "not_permitted",
            TunError::NameTaken(_) => "interface_taken",
            TunError::BadName(_) => "interface_name_invalid",
            TunError::System { .. } => "tun_failed",
        }
    }

    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            TunError::Missing(_) => {
                "load the module (`modprobe tun`, on OpenWrt `opkg install kmod-tun`), or give the container /dev/net/tun"
            }
            TunError::NotPermitted(_) => "run as root or with the capability CAP_NET_ADMIN",
            TunError::NameTaken(_) => {
                "stop the program that uses it, delete it (`ip link del NAME`), or choose another name in the configuration"
            }
            TunError::BadName(_) => "use 1 to 15 letters, digits, '-', '_' or '.'",
            TunError::System { .. } => {
                "look into the kernel log (`dmesg`); with `offload = off` an older way is tried"
            }
        }
    }
}
