//! Watches the kernel: notifications only say *that* something changed, a paced dump says *what*, so that a lost
//! notification or a burst of thousands costs one dump and never an error.

use crate::kernel::KernelError;
use crate::netlink::{Heard, Netlink, Watcher};
use crate::uplink::Surroundings;
use core::time::Duration;
use ln6_types::Instant;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// After a notification, so that a burst gives one dump.
const SETTLE: Duration = Duration::from_millis(100);
/// Between two dumps.
const GAP: Duration = Duration::from_secs(1);
/// Between a dump that followed lost notifications and the next: who overruns us once does so again.
const OVERRUN_GAP: Duration = Duration::from_secs(10);

/// What changed around the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostChange {
    /// There is a default route (again).
    UplinkUp {
        /// Of IPv6, or of IPv4.
        ipv6: bool,
    },
    /// The last default route is gone.
    UplinkDown {
        /// Of IPv6, or of IPv4.
        ipv6: bool,
    },
    /// The interfaces that default routes leave by are others.
    UplinkMoved,
    /// Addresses came or went: the underlay candidates may be others.
    Addresses,
    /// An interface appeared or was switched on.
    LinkUp(String),
    /// An interface vanished or was switched off.
    LinkDown(String),
    /// One of our routes or addresses may have been removed by somebody else: apply the plan again.
    Drifted,
}

/// Changes, and how things are now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// What is new; in the first notice, everything that is there.
    pub changes: Vec<HostChange>,
    /// The new state.
    pub now: Surroundings,
}

/// The changes between two looks, as a node whose tunnel is `tun` cares for them.
pub fn changes(old: &Surroundings, new: &Surroundings, tun: &str) -> Vec<HostChange> {
    let mut found = Vec::new();
    for ipv6 in [true, false] {
        match (old.has_uplink(ipv6, tun), new.has_uplink(ipv6, tun)) {
            (false, true) => found.push(HostChange::UplinkUp { ipv6 }),
            (true, false) => found.push(HostChange::UplinkDown { ipv6 }),
            _ => {}
        }
    }
    if found.is_empty() && old.uplink_interfaces(tun) != new.uplink_interfaces(tun) {
        found.push(HostChange::UplinkMoved);
    }
    if old.candidates(tun, &[]) != new.candidates(tun, &[]) {
        found.push(HostChange::Addresses);
    }
    let up = |at: &Surroundings, name: &str, index| {
        at.links.iter().any(|link| link.name == name && link.up && link.index == index)
    };
    for link in old.links.iter().filter(|link| link.up && !up(new, &link.name, link.index)) {
        found.push(HostChange::LinkDown(link.name.clone()));
    }
    for link in new.links.iter().filter(|link| link.up && !up(old, &link.name, link.index)) {
        found.push(HostChange::LinkUp(link.name.clone()));
    }
    found
}

/// When to dump again.
#[derive(Debug, Default)]
struct Pace {
    due: Option<Instant>,
    last: Option<(Instant, bool)>,
    overrun: bool,
}

impl Pace {
    fn note(&mut self, now: Instant, overrun: bool) {
        self.overrun |= overrun;
        let after = match self.last {
            Some((last, true)) if self.overrun => last + OVERRUN_GAP,
            Some((last, _)) => last + GAP,
            None => now,
        };
        let pending = self.due.unwrap_or(now + SETTLE);
        self.due = Some(pending.max(after));
    }

    fn take(&mut self, now: Instant) -> bool {
        let ready = self.due.is_some_and(|due| due <= now);
        if ready {
            self.due = None;
            self.last = Some((now, core::mem::take(&mut self.overrun)));
        }
        ready
    }
}

/// A running watch; ends when dropped.
pub struct Monitor {
    task: JoinHandle<()>,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Monitor {
    /// Begins to watch; the first notice comes at once and names all there is. Needs a tokio runtime.
    pub fn start(tun: String, protocol: u8) -> Result<(Monitor, mpsc::Receiver<Notice>), KernelError> {
        let mut watcher = Watcher::open()?;
        let kernel = Netlink::open(protocol)?;
        let (sender, receiver) = mpsc::channel(16);
        let start = tokio::time::Instant::now();
        let now = move || Instant::from_micros(start.elapsed().as_micros() as u64);
        let task = tokio::spawn(async move {
            let mut watch =
                Watch { kernel, tun, protocol, known: None, pace: Pace::default(), drifted: false };
            watch.pace.note(now(), false);
            loop {
                let wait = watch.pace.due.map_or(Duration::from_secs(3600), |due| due.since(now()));
                let mut hear = |heard| watch.hear(now(), heard);
                tokio::select! {
                    goes_on = watcher.next(&mut hear) => if !goes_on {
                        break;
                    },
                    () = tokio::time::sleep(wait) => {}
                }
                if watch.pace.take(now())
                    && let Some(notice) = watch.look(now()).await
                    && sender.send(notice).await.is_err()
                {
                    break;
                }
            }
        });
        Ok((Monitor { task }, receiver))
    }
}

/// What the watching task knows.
struct Watch {
    kernel: Netlink,
    tun: String,
    protocol: u8,
    known: Option<Surroundings>,
    pace: Pace,
    drifted: bool,
}

impl Watch {
    fn hear(&mut self, now: Instant, heard: Heard) {
        let interest = interest(heard, self.protocol);
        if interest != Interest::None {
            self.drifted |= interest != Interest::Look;
            self.pace.note(now, interest == Interest::Lost);
        }
    }

    /// Dumps, and says what is new; the first look is always worth telling.
    async fn look(&mut self, now: Instant) -> Option<Notice> {
        let seen = match Surroundings::look(&mut self.kernel).await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::warn!(code = error.code(), "{error}");
                self.pace.note(now, true);
                return None;
            }
        };
        let mut found = match &self.known {
            Some(known) => changes(known, &seen, &self.tun),
            None => changes(&Surroundings::default(), &seen, &self.tun),
        };
        if core::mem::take(&mut self.drifted) {
            found.push(HostChange::Drifted);
        }
        let first = self.known.replace(seen.clone()).is_none();
        (first || !found.is_empty()).then_some(Notice { changes: found, now: seen })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Interest {
    None,
    Look,
    Ours,
    Lost,
}

/// Most routing notifications are none of our business: on a router with a full table there are hundreds a second.
fn interest(heard: Heard, own: u8) -> Interest {
    match heard {
        Heard::Lost => Interest::Lost,
        Heard::Link | Heard::AddressAdded => Interest::Look,
        Heard::AddressRemoved => Interest::Ours,
        Heard::Route { removed: true, protocol, .. } if protocol == own => Interest::Ours,
        Heard::Route { default: true, protocol, .. } if protocol != own => Interest::Look,
        Heard::Route { .. } | Heard::Other => Interest::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;
    use crate::kernel::{Address, DefaultRoute};

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    fn host() -> Surroundings {
        Surroundings {
            links: vec![FakeKernel::link(2, "eth0"), FakeKernel::link(3, "br-lan")],
            addresses: vec![Address {
                index: 2,
                address: "198.51.100.7".parse().expect("address"),
                len: 24,
                ours: false,
                deprecated: false,
                usable: true,
                temporary: false,
            }],
            defaults: vec![DefaultRoute { ipv6: false, index: Some(2), metric: 0 }],
        }
    }

    #[test]
    fn nothing_new_is_no_change() {
        assert_eq!(changes(&host(), &host(), "ln6"), vec![]);
    }

    #[test]
    fn an_uplink_that_goes_and_comes_back_is_told() {
        let mut without = host();
        without.defaults.clear();
        assert_eq!(changes(&host(), &without, "ln6"), vec![HostChange::UplinkDown { ipv6: false }]);
        assert_eq!(changes(&without, &host(), "ln6"), vec![HostChange::UplinkUp { ipv6: false }]);
    }

    #[test]
    fn a_new_address_and_a_remade_link_are_told() {
        let mut new = host();
        new.addresses[0].address = "198.51.100.8".parse().expect("address");
        new.links[1].index = 4;
        let expected = vec![
            HostChange::Addresses,
            HostChange::LinkDown("br-lan".into()),
            HostChange::LinkUp("br-lan".into()),
        ];
        assert_eq!(changes(&host(), &new, "ln6"), expected);
    }

    #[test]
    fn a_burst_costs_one_dump_and_dumps_are_a_second_apart() {
        let mut pace = Pace::default();
        for millis in 0..50 {
            pace.note(at(millis), false);
        }
        assert!(!pace.take(at(99)));
        assert!(pace.take(at(100)));
        assert!(!pace.take(at(5000)));
        let mut pace = Pace { last: Some((at(100), false)), ..Pace::default() };
        pace.note(at(150), false);
        assert_eq!(pace.due, Some(at(1100)));
    }

    #[test]
    fn overruns_cost_at_most_one_dump_in_ten_seconds() {
        let mut pace = Pace::default();
        let mut dumps = 0;
        for millis in (0..60_000).step_by(10) {
            pace.note(at(millis), true);
            dumps += u32::from(pace.take(at(millis)));
        }
        assert!((5..=7).contains(&dumps), "{dumps}");
    }
}
