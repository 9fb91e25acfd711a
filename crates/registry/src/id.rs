//! Numbers of things the registry has made; drawn from one counter, never used twice.

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number!(
    /// Whoever prefixes are delegated to.
    HolderId
);
number!(
    /// One delegation, from its grant until it is free again.
    DelegationId
);
number!(
    /// A one-time invitation.
    InvitationId
);
number!(
    /// A request that waits (or waited) for an administrator.
    RequestId
);
