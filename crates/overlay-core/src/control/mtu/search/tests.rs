//! The search against a path in virtual time.

use super::*;
use core::net::{Ipv4Addr, SocketAddr};
use ln6_types::Jitter;

const PATH: Path = Path::Udp(SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1));
const CAP: u16 = 1420;
const STEP: Duration = Duration::from_millis(10);

/// A path, and who sends on it.
struct Line {
    mtu: PathMtu,
    now: Instant,
    /// The longest packet that passes in one piece.
    carries: u16,
    rtt: Duration,
    /// Of a thousand probes and answers.
    loss: u64,
    /// Whether the other end knows such probes.
    knows: bool,
    /// Octets that are sent in a second, in packets of the MTU.
    rate: u64,
    sent: Sent,
    answers: Vec<(Instant, u64, u16)>,
    chance: Jitter,
    /// Octets of probes.
    cost: u64,
    /// Every MTU that was told, and when.
    told: Vec<(Instant, u16, bool)>,
    next_look: Instant,
}

impl Line {
    fn new(carries: u16) -> Self {
        let mut line = Line {
            mtu: PathMtu::default(),
            now: Instant::from_micros(1),
            carries,
            rtt: Duration::from_millis(20),
            loss: 0,
            knows: true,
            rate: 0,
            sent: Sent::default(),
            answers: Vec::new(),
            chance: Jitter::new(7),
            cost: 0,
            told: Vec::new(),
            next_look: Instant::ZERO,
        };
        line.begin();
        line
    }

    fn begin(&mut self) {
        let mut out = Vec::new();
        self.mtu.take_path(self.now, Some(PATH), CAP, self.sent);
        self.mtu.search(self.now, self.chance.draw(), self.sent, &mut out);
        self.post(out);
    }

    fn post(&mut self, probes: Vec<Probe>) {
        for (token, octets) in probes {
            self.cost += u64::from(octets);
            let lost = (0..2).any(|_| self.chance.draw() % 1000 < self.loss);
            if octets <= self.carries && self.knows && !lost {
                self.answers.push((self.now + self.rtt, token, octets));
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += STEP;
            self.sent.octets += self.rate / 100;
            self.sent.packets = self.sent.octets / u64::from(self.mtu.mtu(CAP));
            let due: Vec<_> = self.answers.iter().copied().filter(|(at, ..)| *at <= self.now).collect();
            self.answers.retain(|(at, ..)| *at > self.now);
            let mut changed = false;
            for (_, token, octets) in due {
                changed |= self.mtu.answered(self.now, token, octets);
            }
            let mut out = Vec::new();
            if self.mtu.due().is_some_and(|due| due <= self.now) {
                changed |= self.mtu.timeout(self.now, &mut out);
            } else if self.mtu.due().is_none() && self.next_look <= self.now {
                self.next_look = self.now + TICK;
                if self.mtu.is_worth_a_look(self.sent) {
                    self.mtu.look(self.now, self.chance.draw(), CAP, self.sent, &mut out);
                }
            }
            self.post(out);
            if changed {
                self.told.push((self.now, self.mtu.mtu(CAP), self.mtu.is_whole()));
            }
        }
    }

    fn says(&self) -> (u16, bool) {
        (self.mtu.mtu(CAP), self.mtu.is_whole())
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_wide_path_is_known_after_one_round_trip() {
    let mut line = Line::new(1500);
    assert_eq!(line.says(), (CAP, false), "until then what is configured, in pieces if need be");
    line.run(Duration::from_millis(30));
    assert_eq!(line.says(), (CAP, true));
    let cost = line.cost;
    line.run(100 * SECOND);
    assert_eq!(line.cost, cost, "a quiet path stays quiet");
}

#[test]
fn every_size_of_path_is_found_within_two_seconds_and_never_overestimated() {
    for carries in (1280..=1420).chain([1500, 9000]) {
        let mut line = Line::new(carries);
        line.run(2 * SECOND);
        let (mtu, whole) = line.says();
        assert!(whole && mtu <= carries && mtu >= 1280, "{carries}: {mtu}");
        assert!(mtu + 20 > carries.min(CAP), "{carries}: {mtu}");
        assert!(line.cost < 45_000, "{}", line.cost);
    }
}

#[test]
fn where_not_even_1280_fit_they_are_promised_in_pieces() {
    let mut line = Line::new(1240);
    line.run(2 * SECOND);
    assert_eq!(line.says(), (1280, false));
    (line.rate, line.carries) = (1_000_000, 1340);
    line.run(17 * SECOND);
    assert_eq!(line.says(), (1340, true), "and in one as soon as that is possible");
}

#[test]
fn a_shrink_under_traffic_is_noticed_within_a_second_or_a_few_round_trips() {
    for (rtt, within) in [(1, 750), (20, 750), (100, 1200), (400, 3400)] {
        for phase in 0..7 {
            let mut line = Line::new(1420);
            line.rtt = Duration::from_millis(rtt);
            line.rate = 200_000;
            line.run(5 * SECOND + phase * Duration::from_millis(70));
            assert_eq!(line.says(), (1420, true));
            let then = line.now;
            line.carries = 1340;
            line.run(5 * SECOND);
            assert_eq!(line.says(), (1340, true));
            let took = line.told.last().expect("told").0.since(then);
            assert!(took <= Duration::from_millis(within), "{rtt} ms: {took:?}");
        }
    }
}

#[test]
fn a_shrink_that_stops_a_slow_transfer_is_noticed_by_its_repetitions() {
    let mut line = Line::new(1420);
    line.rate = 30_000;
    line.run(10 * SECOND);
    line.carries = 1340;
    line.rate = 3_000;
    line.run(4 * SECOND);
    assert_eq!(line.says(), (1340, true));
}

#[test]
fn what_has_grown_again_is_used_within_twenty_seconds() {
    let mut line = Line::new(1340);
    line.rate = 1_000_000;
    line.run(30 * SECOND);
    assert_eq!(line.says(), (1340, true));
    line.carries = 1420;
    line.run(20 * SECOND);
    assert_eq!(line.says(), (1420, true));
}

#[test]
fn a_path_that_is_silent_for_a_while_or_slow_keeps_its_mtu() {
    let mut line = Line::new(1420);
    line.rate = 1_000_000;
    line.run(5 * SECOND);
    let told = line.told.len();
    line.loss = 1000;
    line.run(20 * SECOND);
    line.loss = 0;
    line.run(5 * SECOND);
    // A queue fills: what took 20 ms takes 900.
    line.rtt = Duration::from_millis(900);
    line.run(20 * SECOND);
    assert_eq!((line.told.len(), line.says()), (told, (1420, true)));
}

#[test]
fn loss_alone_hardly_ever_makes_a_path_narrow() {
    let mut line = Line::new(1420);
    (line.rate, line.loss) = (1_000_000, 50);
    line.run(600 * SECOND);
    let narrowed = line.told.iter().filter(|(_, mtu, _)| *mtu < CAP).count();
    assert!(narrowed <= 3, "{:?}", line.told);
    assert!(line.told.iter().all(|(_, mtu, whole)| *mtu >= 1360 && *whole), "{:?}", line.told);
}

#[test]
fn probes_are_a_small_part_of_the_traffic() {
    for (rate, carries) in [(20_000, 1420), (100_000, 1420), (100_000, 1340), (1_000_000, 1340)] {
        let mut line = Line::new(carries);
        line.run(2 * SECOND);
        (line.rate, line.cost) = (rate, 0);
        line.run(120 * SECOND);
        assert!(line.cost * 10 <= line.sent.octets, "{rate}: {} of {}", line.cost, line.sent.octets);
    }
}

#[test]
fn who_does_not_answer_is_left_with_what_is_configured_and_asked_seldom() {
    let mut line = Line::new(1420);
    (line.rate, line.knows) = (1_000_000, false);
    line.answers.clear();
    line.run(300 * SECOND);
    assert_eq!(line.says(), (CAP, false));
    assert!(line.cost < 60_000, "{}", line.cost);
}

#[test]
fn answers_to_what_was_not_asked_change_nothing() {
    let mut line = Line::new(1240);
    line.run(2 * SECOND);
    for token in 0..100 {
        assert!(!line.mtu.answered(line.now, token, 1420));
    }
    let mut out = Vec::new();
    line.mtu.search(line.now, 1000, line.sent, &mut out);
    assert!(!line.mtu.answered(line.now, 999, CAP), "another token");
    assert!(!line.mtu.answered(line.now, 1001, CAP), "a volley that was not sent yet");
    assert!(!line.mtu.answered(line.now, 1000, 1419), "a length that was not sent");
    assert_eq!(line.says(), (1280, false));
    assert!(line.mtu.answered(line.now, 1000, CAP));
}

#[test]
fn a_word_from_a_relay_is_tried_and_not_believed() {
    let mut line = Line::new(1420);
    line.run(2 * SECOND);
    let mut out = Vec::new();
    line.mtu.doubt(line.now, 5, line.sent, &mut out);
    assert_eq!(out, [(5, CAP), (5, MARKER)]);
    line.post(out);
    line.run(2 * SECOND);
    assert_eq!(line.says(), (CAP, true));
    line.carries = 1300;
    let mut out = Vec::new();
    line.mtu.doubt(line.now, 6, line.sent, &mut out);
    line.post(out);
    line.run(SECOND);
    assert_eq!(line.says(), (1300, true));
}

#[test]
fn a_narrower_cap_counts_at_once_and_a_new_path_begins_with_what_is_known() {
    let mut line = Line::new(1340);
    line.run(2 * SECOND);
    assert_eq!(line.mtu.mtu(1300), 1300);
    line.carries = 1420;
    line.begin();
    assert_eq!(line.says(), (1340, false));
    line.run(SECOND);
    assert_eq!(line.says(), (1420, true));
}
