//! What a gateway is asked beside what every node is: to join a network, and for another size.

use serde::{Deserialize, Serialize};

/// Joins the network of an invitation. Only a node that belongs to none and waits for one (`ln6d run --wait`) does.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Joining {
    /// The link that `ln6d invite` printed.
    pub link: String,
    /// Name of this node; the link's, or the machine's, if absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Prefix length to ask for, 16 to 128.
    #[serde(default)]
    pub size: Option<u8>,
    /// Network name of the mesh, for a prefix that its other gateways propose, too.
    #[serde(default)]
    pub ssid: Option<String>,
    /// Interfaces that get a /64 of the delegation.
    #[serde(default)]
    pub lans: Vec<String>,
    /// How the administrators reach whoever looks after this node.
    #[serde(default)]
    pub contact: Option<String>,
}

/// Asks for another size. A prefix that is held stays until an administrator of the broker resizes it: they are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sizing {
    /// Prefix length, 16 to 128.
    pub size: u8,
}
