//! The host around a node: this crate never decides what the host should look like, it makes a
//! [`HostPlan`](plan::HostPlan) true, says what is in the way, and takes everything back at exit.
#![warn(missing_docs)]

pub mod advertise;
pub mod clock;
pub mod entropy;
pub mod finding;
pub mod firewall;
pub mod interface;
pub mod kernel;
pub mod lan;
pub mod monitor;
pub mod ndp;
pub mod netlink;
pub mod reconcile;
pub mod sysctl;
pub mod uplink;

#[cfg(test)]
mod fake;

pub use ln6_overlay_core::host_plan as plan;
