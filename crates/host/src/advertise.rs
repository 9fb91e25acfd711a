//! When to advertise what on one LAN: a machine without a clock or a socket (RFC 4861 section 6.2, RFC 9096).

use crate::ndp::{Advertisement, PrefixInformation, RouteInformation};
use crate::plan::LanPlan;
use core::time::Duration;
use ln6_types::{Instant, Prefix};
use std::collections::BTreeMap;

/// Unsolicited advertisements are at most this far apart; three may be lost before a router lifetime of 1800 s suffers.
pub const MAX_INTERVAL: Duration = Duration::from_secs(200);
/// And at least this far (RFC 4861: a third of the maximum).
pub const MIN_INTERVAL: Duration = Duration::from_secs(66);
/// Valid lifetime of a prefix in force, in seconds (RFC 9096, section 3.3).
pub const VALID: u32 = 5400;
/// Preferred lifetime of a prefix in force, in seconds (RFC 9096, section 3.3).
pub const PREFERRED: u32 = 2700;
/// Lifetime of routes and resolvers, in seconds.
pub const OPTION_LIFETIME: u32 = 1800;

/// MIN_DELAY_BETWEEN_RAS.
const MIN_GAP: Duration = Duration::from_secs(3);
/// MAX_RA_DELAY_TIME.
const MAX_ANSWER_DELAY: Duration = Duration::from_millis(500);
/// MAX_INITIAL_RTR_ADVERTISEMENTS.
const QUICK: u8 = 3;
/// Longest gap within the quick ones; the standard allows 16 s.
const QUICK_GAP: Duration = Duration::from_secs(5);
/// A packet that cannot be sent (the link-local address may still be tentative) is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// Octets of an advertisement that fit a packet of 1280.
const LIMIT: usize = 1240;

/// The advertiser of one LAN.
pub struct Advertiser {
    plan: LanPlan,
    mac: Option<[u8; 6]>,
    /// Prefixes that are no longer in force, until when their last promise lasts.
    fading: BTreeMap<Prefix, Instant>,
    /// Routes that are no longer offered, and how often that is still to be said.
    withdrawn: BTreeMap<Prefix, u8>,
    quick: u8,
    next: Instant,
    last: Option<Instant>,
    random: u64,
}

impl Advertiser {
    /// Begins at `now`, at once. `mac` is the router's Ethernet address, `seed` feeds the jitter.
    pub fn new(now: Instant, mac: Option<[u8; 6]>, plan: LanPlan, seed: u64) -> Self {
        let mut new = Advertiser {
            plan,
            mac,
            fading: BTreeMap::new(),
            withdrawn: BTreeMap::new(),
            quick: QUICK,
            next: now,
            last: None,
            random: seed | 1,
        };
        new.note_deprecated(now);
        new
    }

    /// Takes a new plan for the same LAN. A change is said soon and three times; what vanished is deprecated first.
    pub fn set_plan(&mut self, now: Instant, plan: LanPlan) {
        if plan == self.plan {
            return;
        }
        let promised = now + Duration::from_secs(u64::from(VALID));
        for old in &self.plan.prefixes {
            self.fading.insert(old.prefix, promised);
        }
        for route in &self.plan.route_information {
            self.withdrawn.insert(*route, QUICK);
        }
        self.plan = plan;
        for kept in &self.plan.prefixes {
            self.fading.remove(&kept.prefix);
        }
        for kept in &self.plan.route_information {
            self.withdrawn.remove(kept);
        }
        self.note_deprecated(now);
        self.quick = QUICK;
        self.next = self.earliest(now).min(self.next);
    }

    /// What the plan itself calls deprecated (from an earlier run, say) was promised for no longer than this.
    fn note_deprecated(&mut self, now: Instant) {
        let promised = now + Duration::from_secs(u64::from(VALID));
        let in_force = |prefix: &Prefix| self.plan.prefixes.iter().any(|p| p.prefix == *prefix);
        for old in self.plan.deprecated.iter().map(|old| old.prefix).filter(|old| !in_force(old)) {
            self.fading.entry(old).or_insert(promised);
        }
    }

    /// Somebody asked. The answer goes to all, within half a second, at most every 3 s.
    pub fn handle_solicitation(&mut self, now: Instant) {
        let delay = self.draw(Duration::ZERO, MAX_ANSWER_DELAY);
        let answer = self.earliest(now).max(now + delay);
        self.next = self.next.min(answer);
    }

    /// When [`poll_send`](Self::poll_send) will have something.
    pub fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// The advertisement to send to all nodes (`ff02::1`), if it is time.
    pub fn poll_send(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.next {
            return None;
        }
        self.forget_the_faded(now);
        let message = self.advertisement(now).encode(LIMIT);
        self.withdrawn.retain(|_, left| {
            *left -= 1;
            *left > 0
        });
        self.last = Some(now);
        self.quick = self.quick.saturating_sub(1);
        let (least, most) = if self.quick > 0 { (MIN_GAP, QUICK_GAP) } else { (MIN_INTERVAL, MAX_INTERVAL) };
        self.next = now + self.draw(least, most);
        Some(message)
    }

    /// The last message could not be sent.
    pub fn handle_failure(&mut self, now: Instant) {
        self.last = None;
        self.quick = (self.quick + 1).min(QUICK);
        self.next = self.next.min(now + RETRY);
    }

    /// The last word: no longer a router, nothing is preferred any more, no route, no resolver.
    pub fn farewell(&self, now: Instant) -> Vec<u8> {
        let mut last = self.advertisement(now);
        last.router_lifetime = 0;
        last.resolver_lifetime = 0;
        last.prefixes.iter_mut().for_each(|prefix| prefix.preferred = 0);
        last.routes.iter_mut().for_each(|route| route.lifetime = 0);
        last.encode(LIMIT)
    }

    fn forget_the_faded(&mut self, now: Instant) {
        // As long as the plan names it, its expiry has to be remembered, or it would begin anew.
        let plan = &self.plan;
        self.fading
            .retain(|prefix, until| *until > now || plan.deprecated.iter().any(|old| old.prefix == *prefix));
    }

    fn advertisement(&self, now: Instant) -> Advertisement {
        let information = |prefix, valid, preferred| PrefixInformation {
            prefix,
            on_link: true,
            autonomous: true,
            valid,
            preferred,
        };
        let in_force = self.plan.prefixes.iter().map(|p| information(p.prefix, VALID, PREFERRED));
        let fading = self.fading.iter().filter(|(_, until)| **until > now).map(|(prefix, until)| {
            let left = u32::try_from(until.since(now).as_secs()).unwrap_or(VALID);
            information(*prefix, left.clamp(1, VALID), 0)
        });
        let offered = self.plan.route_information.iter().map(|route| (*route, OPTION_LIFETIME));
        let withdrawn = self.withdrawn.keys().map(|route| (*route, 0));
        let routes = offered.chain(withdrawn);
        Advertisement {
            hop_limit: 64,
            router_lifetime: self.plan.router_lifetime,
            source: self.mac,
            mtu: (self.plan.mtu >= 1280).then_some(u32::from(self.plan.mtu)),
            prefixes: in_force.chain(fading).collect(),
            resolvers: self.plan.resolvers.clone(),
            resolver_lifetime: OPTION_LIFETIME,
            routes: routes.map(|(prefix, lifetime)| RouteInformation { prefix, lifetime }).collect(),
        }
    }

    fn earliest(&self, now: Instant) -> Instant {
        self.last.map_or(now, |last| (last + MIN_GAP).max(now))
    }

    /// Evenly between `least` and `most`; xorshift64 is good enough for jitter.
    fn draw(&mut self, least: Duration, most: Duration) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let span = (most - least).as_micros() as u64;
        least + Duration::from_micros(self.random % (span + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::LanPrefix;
    use proptest::prelude::*;

    fn p(text: &str) -> Prefix {
        text.parse().expect("prefix")
    }

    fn plan(prefixes: &[&str]) -> LanPlan {
        let own = |text: &&str| LanPrefix { prefix: p(text), address: p(text).address(1) };
        LanPlan {
            interface: "br-lan".into(),
            prefixes: prefixes.iter().map(own).collect(),
            deprecated: vec![],
            router_lifetime: 1800,
            route_information: vec![p("fd00::/48")],
            mtu: 1420,
            resolvers: vec![],
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn start(prefixes: &[&str]) -> Advertiser {
        Advertiser::new(at(100), Some([2, 0, 0, 0, 0, 1]), plan(prefixes), 42)
    }

    /// Sends all that is due until `end`, and returns when and what.
    fn run(machine: &mut Advertiser, end: Instant) -> Vec<(Instant, Advertisement)> {
        let mut sent = Vec::new();
        while machine.poll_timeout() <= end {
            let now = machine.poll_timeout();
            let bytes = machine.poll_send(now).expect("due");
            sent.push((now, Advertisement::decode(&bytes).expect("ours")));
        }
        sent
    }

    #[test]
    fn three_quick_ones_come_first_and_then_the_steady_rhythm() {
        let sent = run(&mut start(&["2001:db8::/64"]), at(100 + 3600));
        let gaps: Vec<Duration> = sent.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect();
        assert_eq!(sent[0].0, at(100));
        assert!(gaps[..2].iter().all(|gap| (MIN_GAP..=QUICK_GAP).contains(gap)));
        assert!(gaps[2..].len() > 10);
        assert!(gaps[2..].iter().all(|gap| (MIN_INTERVAL..=MAX_INTERVAL).contains(gap)));
    }

    #[test]
    fn a_prefix_in_force_has_the_lifetimes_of_rfc_9096() {
        let (_, first) = run(&mut start(&["2001:db8::/64"]), at(100)).remove(0);
        let expected = PrefixInformation {
            prefix: p("2001:db8::/64"),
            on_link: true,
            autonomous: true,
            valid: 5400,
            preferred: 2700,
        };
        assert_eq!(first.prefixes, vec![expected]);
        assert_eq!((first.router_lifetime, first.mtu), (1800, Some(1420)));
    }

    #[test]
    fn a_solicitation_is_answered_within_half_a_second_but_not_more_than_every_three() {
        let mut machine = start(&["2001:db8::/64"]);
        run(&mut machine, at(130));
        machine.handle_solicitation(at(131));
        assert!(machine.poll_timeout() <= at(131) + MAX_ANSWER_DELAY);
        let answered = machine.poll_timeout();
        assert!(machine.poll_send(answered).is_some());
        machine.handle_solicitation(answered + Duration::from_millis(10));
        assert!(machine.poll_timeout() >= answered + MIN_GAP);
    }

    #[test]
    fn a_vanished_prefix_is_deprecated_until_its_promise_is_over() {
        let mut machine = start(&["2001:db8::/64"]);
        run(&mut machine, at(200));
        machine.set_plan(at(200), plan(&["2001:db8:1::/64"]));
        let sent = run(&mut machine, at(200 + 7200));
        let old = |message: &Advertisement| {
            message.prefixes.iter().find(|i| i.prefix == p("2001:db8::/64")).copied()
        };
        let (when, first) = &sent[0];
        assert!(when.since(at(200)) <= MIN_GAP);
        let information = old(first).expect("still named");
        assert_eq!(information.preferred, 0);
        assert!((5390..=5400).contains(&information.valid));
        for (when, message) in &sent {
            assert_eq!(old(message).is_some(), *when < at(200 + 5400), "at {when:?}");
        }
    }

    #[test]
    fn a_prefix_deprecated_by_an_earlier_run_fades_once_and_not_forever() {
        let mut wanted = plan(&[]);
        wanted
            .deprecated
            .push(LanPrefix { prefix: p("2001:db8::/64"), address: p("2001:db8::/64").address(1) });
        let mut machine = Advertiser::new(at(0), None, wanted, 7);
        let sent = run(&mut machine, at(20_000));
        assert_eq!(sent[0].1.prefixes[0].preferred, 0);
        assert!(sent.iter().all(|(when, message)| message.prefixes.is_empty() == (*when >= at(5400))));
    }

    #[test]
    fn a_prefix_that_returns_is_in_force_again() {
        let mut machine = start(&["2001:db8::/64"]);
        run(&mut machine, at(110));
        machine.set_plan(at(110), plan(&[]));
        machine.set_plan(at(111), plan(&["2001:db8::/64"]));
        let sent = run(&mut machine, at(120));
        assert_eq!(sent[0].1.prefixes.len(), 1);
        assert_eq!(sent[0].1.prefixes[0].preferred, PREFERRED);
    }

    #[test]
    fn a_withdrawn_route_is_said_three_times_with_lifetime_zero() {
        let mut machine = start(&["2001:db8::/64"]);
        run(&mut machine, at(110));
        let mut next = plan(&["2001:db8::/64"]);
        next.route_information.clear();
        machine.set_plan(at(110), next);
        let lifetimes: Vec<Vec<u32>> = run(&mut machine, at(1000))
            .iter()
            .map(|(_, message)| message.routes.iter().map(|route| route.lifetime).collect())
            .collect();
        assert_eq!(lifetimes[..4], [vec![0], vec![0], vec![0], vec![]]);
    }

    #[test]
    fn the_last_word_takes_everything_back() {
        let mut machine = start(&["2001:db8::/64"]);
        run(&mut machine, at(110));
        let last = Advertisement::decode(&machine.farewell(at(111))).expect("ours");
        assert_eq!(last.router_lifetime, 0);
        assert!(last.prefixes.iter().all(|prefix| prefix.preferred == 0 && prefix.valid <= 7200));
        assert!(last.routes.iter().all(|route| route.lifetime == 0));
    }

    #[test]
    fn a_failed_send_is_tried_again_after_a_second() {
        let mut machine = start(&["2001:db8::/64"]);
        assert!(machine.poll_send(at(100)).is_some());
        machine.handle_failure(at(100));
        assert_eq!(machine.poll_timeout(), at(101));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_flood_of_questions_or_changes_makes_two_come_within_three_seconds(
            seed: u64,
            events in prop::collection::vec((0u64..2_000_000, 0u8..3), 0..200),
        ) {
            let mut machine = Advertiser::new(Instant::ZERO, None, plan(&["2001:db8::/64"]), seed);
            let (mut now, mut last) = (Instant::ZERO, None::<Instant>);
            for (wait, event) in events {
                now += Duration::from_micros(wait);
                match event {
                    0 => machine.handle_solicitation(now),
                    1 => machine.set_plan(now, plan(if wait % 2 == 0 { &["2001:db8::/64"] } else { &[] })),
                    _ => {}
                }
                if machine.poll_send(now).is_some() {
                    prop_assert!(last.is_none_or(|last| now.since(last) >= MIN_GAP));
                    last = Some(now);
                }
            }
        }
    }
}
