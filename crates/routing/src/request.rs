//! Seqno requests under way, our own and those passed on (RFC 8966, section 3.2.7).

use crate::neighbour::NeighbourId;
use crate::timer::Alarm;
use crate::{Key, seqno};
use core::time::Duration;
use ln6_types::{Instant, RouterId};
use std::collections::{BTreeMap, BTreeSet};

/// First wait before an own request is repeated; doubled each time.
pub(crate) const FIRST_WAIT: Duration = Duration::from_secs(2);
/// How often an own request is repeated.
pub(crate) const REPEATS: u8 = 3;
/// The same request is not passed on again within this time.
pub(crate) const SUPPRESSION: Duration = Duration::from_secs(1);
/// How long the answer to a request that was passed on is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// One request.
pub(crate) struct Request {
    pub(crate) seqno: u16,
    /// For whom; the answer goes to them.
    pub(crate) askers: BTreeSet<NeighbourId>,
    /// Whether we want it ourselves, and so repeat it.
    pub(crate) own: bool,
    pub(crate) repeats: u8,
    pub(crate) wait: Duration,
    pub(crate) sent: Instant,
    pub(crate) alarm: Alarm,
}

impl Request {
    pub(crate) fn new(seqno: u16, sent: Instant) -> Self {
        let askers = BTreeSet::new();
        Request {
            seqno,
            askers,
            own: false,
            repeats: REPEATS,
            wait: FIRST_WAIT,
            sent,
            alarm: Alarm::default(),
        }
    }

    /// Whether sending one for `seqno` now would be no use.
    pub(crate) fn covers(&self, now: Instant, seqno: u16) -> bool {
        !seqno::newer(seqno, self.seqno) && now.since(self.sent) < SUPPRESSION
    }

    /// Whether a route of `router` with `seqno` is an answer to a request for `asked`.
    pub(crate) fn satisfied(&self, asked: RouterId, router: RouterId, seqno: u16) -> bool {
        asked != router || !seqno::newer(self.seqno, seqno)
    }
}

/// All of them; the lowest and highest router-id are reserved, so they enclose a key's.
#[derive(Default)]
pub(crate) struct Requests(pub(crate) BTreeMap<(Key, RouterId), Request>);

impl Requests {
    pub(crate) fn of(&self, key: Key) -> impl Iterator<Item = (RouterId, &Request)> {
        let range = (key, RouterId([0; 8]))..=(key, RouterId([0xff; 8]));
        self.0.range(range).map(|((_, router), request)| (*router, request))
    }
}
