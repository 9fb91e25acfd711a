//! What the API answers: one named schema each, first key `schema`, base units, RFC 3339 times. Fields are only ever
//! added.

mod civil;
#[cfg(feature = "registry")]
mod flow;
#[cfg(feature = "registry")]
mod keylist;
mod node;
#[cfg(feature = "registry")]
mod registry;

#[cfg(feature = "registry")]
pub use flow::*;
#[cfg(feature = "registry")]
pub use keylist::*;
pub use node::*;
#[cfg(feature = "registry")]
pub use registry::*;

pub use civil::BadTime;
use ln6_types::UnixTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A moment, in RFC 3339 on the wire, in whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Time(pub UnixTime);

impl Time {
    /// `secs` seconds after 1970.
    pub const fn from_secs(secs: u64) -> Self {
        Time(UnixTime::from_secs(secs))
    }

    /// The system's clock, which may be wrong.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Time::from_secs(since.map_or(0, |since| since.as_secs()))
    }

    /// Seconds after 1970.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }
}

impl std::str::FromStr for Time {
    type Err = BadTime;

    /// RFC 3339; a moment before 1970 is refused, fractions of a second are cut off.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        civil::parse(text).map(Time::from_secs)
    }
}

impl fmt::Display for Time {
    /// RFC 3339; what lies beyond the year 9999 is shown as its last second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        civil::write(self.as_secs(), f)
    }
}

#[cfg(feature = "openapi")]
impl schemars::JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "format": "date-time", "description": "A moment, in RFC 3339, in whole seconds."
        })
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A response whose first key names its schema.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Named<T> {
    /// Such as `ln6d.peers/1`.
    pub schema: String,
    /// The rest.
    #[serde(flatten)]
    pub body: T,
}

/// What has a schema.
pub trait Schema: Serialize + Sized {
    /// Its name and version.
    const SCHEMA: &'static str;

    /// With the name in front.
    fn named(self) -> Named<Self> {
        Named { schema: Self::SCHEMA.to_owned(), body: self }
    }

    /// As it goes over the wire; text, because the schema has to come first.
    fn to_json(self) -> String {
        serde_json::to_string(&self.named()).unwrap_or_default()
    }
}

macro_rules! schemas {
    ($($name:ident = $schema:literal,)*) => {
        $(impl Schema for $name { const SCHEMA: &'static str = $schema; })*
    };
}

schemas! {
    StatusReport = "ln6d.status/1",
    PeerList = "ln6d.peers/1",
    SessionList = "ln6d.sessions/1",
    RouteList = "ln6d.routes/1",
    PrefixList = "ln6d.prefixes/1",
    CertList = "ln6d.certs/1",
    EventList = "ln6d.events/1",
    DoctorReport = "ln6d.doctor/1",
    ActionReply = "ln6d.action/1",
    PingReply = "ln6d.ping/1",
    WireguardReply = "ln6d.wireguard/1",
    WireguardFile = "ln6d.wireguard-file/1",
    ReloadReply = "ln6d.reload/1",
    SetupReply = "ln6d.setup/1",
    KeyReply = "ln6d.key/1",
}

#[cfg(feature = "registry")]
schemas! {
    OffloadList = "ln6d.offloads/1",
    RequestList = "ln6d.requests/1",
    DenialList = "ln6d.denials/1",
    PageReply = "ln6d.page/1",
    InviteReply = "ln6d.invite/1",
    InvitationList = "ln6d.invitations/1",
    PoolList = "ln6d.pools/1",
    PolicyReport = "ln6d.policy/1",
    HolderList = "ln6d.holders/1",
    HolderReport = "ln6d.holder/1",
    SpaceReport = "ln6d.space/1",
    HistoryList = "ln6d.history/1",
    AuditList = "ln6d.audit/1",
    ReservationList = "ln6d.reservations/1",
    EffectsReport = "ln6d.effects/1",
    ConfirmationList = "ln6d.confirmations/1",
    BackupList = "ln6d.backups/1",
    TrafficReport = "ln6d.traffic/1",
    GraphReport = "ln6d.graph/1",
    WishReport = "ln6d.wish/1",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let time = Time::from_secs(1_790_000_000);
        assert_eq!(serde_json::to_string(&time).expect("json"), "\"2026-09-21T14:13:20Z\"");
        assert_eq!(serde_json::from_str::<Time>("\"2026-09-21T14:13:20Z\"").expect("time"), time);
        assert_eq!(Time::from_secs(0).to_string(), "1970-01-01T00:00:00Z");
        assert!(Time(UnixTime::FOREVER).to_string().starts_with("9999-"));
        assert!(serde_json::from_str::<Time>("\"yesterday\"").is_err());
    }

    #[test]
    fn the_schema_is_the_first_key() {
        let text = serde_json::to_string(&EventList { events: Vec::new(), next: 1 }.named()).expect("json");
        assert_eq!(text, "{\"schema\":\"ln6d.events/1\",\"events\":[],\"next\":1}");
        let read: Named<EventList> = serde_json::from_str(&text).expect("reads back");
        assert_eq!(read.schema, EventList::SCHEMA);
    }
}
