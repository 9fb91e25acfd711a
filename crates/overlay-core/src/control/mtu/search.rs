//! What one path carries in one piece: a search in the manner of RFC 8899, without a clock and without a socket.
//!
//! A *trial* is up to three volleys of probes of several lengths at once; the longest that is answered is the MTU. Each
//! volley ends with a *marker*, a short probe: if that is answered and what was sent before it is not, the longer ones were
//! lost for their length. If the marker is not answered either, nothing is concluded: the path is slow, or dead, and that is
//! for others to find out.

use crate::Path;
use core::time::Duration;
use ln6_types::Instant;

/// IPv6 needs that much of every link: never less is told to the inside.
pub(crate) const LEAST: u16 = 1280;
/// Octets of a marker.
const MARKER: u16 = 64;
/// Inner packets that fit links of the usual sizes: Ethernet, PPPoE, tunnels in tunnels, over IPv4 (60 octets less) and IPv6
/// (80 less); and some beyond Ethernet.
const LADDER: [u16; 15] =
    [1280, 1300, 1320, 1340, 1360, 1372, 1380, 1392, 1400, 1412, 1420, 1440, 2000, 4000, 8900];
/// Volleys of a trial; more only while no marker is answered.
const VOLLEYS: u8 = 3;
const VOLLEYS_MOST: u8 = 5;
/// How long a volley is waited for: twice the round trip and a bit, within these; the middle one if it is unknown.
const WAIT: [Duration; 3] =
    [Duration::from_millis(120), Duration::from_millis(300), Duration::from_millis(1000)];
/// Under traffic the MTU is confirmed so often at most, and looked for upwards so often.
pub(crate) const TICK: Duration = Duration::from_millis(300);
const RAISE: Duration = Duration::from_secs(15);
/// The same while few octets are sent, but long packets among them; and while there is hardly any traffic (RFC 8899,
/// PMTU_RAISE_TIMER).
const CONFIRM_SLOW: Duration = Duration::from_secs(2);
const RAISE_SLOW: Duration = Duration::from_secs(600);
/// A peer that answered nothing, not even a marker, is asked again so seldom: it may be of an older version.
const DEAF: Duration = Duration::from_secs(60);
/// Probes are at most this part of what is sent.
const PART: u64 = 16;
/// Octets between two looks that make it worthwhile to look again; on average of a packet that is one of the long ones.
const WORTH: u64 = 1200;
const LONG: u64 = 1000;

/// A probe to be sent: its token, and its octets as an inner packet.
pub(crate) type Probe = (u64, u16);

/// What was sent to the peer so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sent {
    pub(crate) octets: u64,
    pub(crate) packets: u64,
}

/// What is known of a path.
#[derive(Default)]
pub(crate) struct PathMtu {
    /// Of which path; `None` before the first.
    path: Option<Path>,
    /// The most that is looked for.
    cap: u16,
    mtu: u16,
    /// The path was seen to carry `mtu` octets in one piece.
    whole: bool,
    /// The peer answered a probe on this path.
    answers: bool,
    rtt: Option<Duration>,
    trial: Option<Trial>,
    /// When a trial began last, and one that looked upwards.
    tried: Instant,
    raised: Instant,
    /// What had been sent then, and when it was looked at last.
    at_trial: Sent,
    at_raise: Sent,
    at_look: Sent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Everything is in question.
    Search,
    /// Whether what is believed still holds.
    Confirm,
    /// Whether there is more.
    Raise,
}

struct Trial {
    goal: Goal,
    /// The token of the first volley; each later one has the next.
    token: u64,
    volley: u8,
    /// When each volley was sent.
    sent: [Instant; VOLLEYS_MOST as usize],
    due: Instant,
    /// The longest that is asked for.
    top: u16,
    top_answered: bool,
    /// What else is, and what of that was answered: bits by place in [`LADDER`].
    asked: u16,
    answered: u16,
    /// The marker of the present volley was answered.
    marked: bool,
}

/// The steps of the ladder from `above` to below `top`.
fn steps(above: u16, top: u16) -> u16 {
    let bit = |at: usize| u16::from(LADDER[at] >= above && LADDER[at] < top) << at;
    (0..LADDER.len()).fold(0, |bits, at| bits | bit(at))
}

impl Trial {
    /// The longest that was answered, 0 for none.
    fn best(&self) -> u16 {
        match self.answered.checked_ilog2() {
            _ if self.top_answered => self.top,
            Some(at) => LADDER[at as usize],
            None => 0,
        }
    }

    /// Notes an answer; whether it was one to a question.
    fn note(&mut self, octets: u16) -> bool {
        let bit = steps(octets, octets.saturating_add(1)) & self.asked;
        self.answered |= bit;
        self.top_answered |= octets == self.top;
        octets == self.top || bit != 0
    }

    /// Longest first, so that a marker that is answered tells of all before it.
    fn volley(&self, out: &mut Vec<Probe>) {
        let token = self.token.wrapping_add(self.volley.into());
        let best = self.best();
        if !self.top_answered {
            out.push((token, self.top));
        }
        for at in (0..LADDER.len()).rev() {
            if self.asked & !self.answered & (1 << at) != 0 && LADDER[at] > best {
                out.push((token, LADDER[at]));
            }
        }
        out.push((token, MARKER));
    }
}

impl PathMtu {
    /// Greatest inner packet, at most `cap`.
    pub(crate) fn mtu(&self, cap: u16) -> u16 {
        if self.path.is_some() { self.mtu.min(cap) } else { cap }
    }

    /// Whether that goes in one piece, as far as was seen.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether what is known is of this path.
    pub(crate) fn is_of(&self, path: Option<Path>) -> bool {
        self.path == path
    }

    /// The path is another one (or there is none any more): what was known of the old one is where the search begins.
    pub(crate) fn take_path(&mut self, now: Instant, path: Option<Path>, cap: u16, sent: Sent) {
        let before = if self.answers { self.mtu(cap) } else { cap };
        *self = PathMtu {
            path,
            cap,
            mtu: before,
            tried: now,
            raised: now,
            at_trial: sent,
            at_raise: sent,
            at_look: sent,
            ..PathMtu::default()
        };
    }

    /// When [`timeout`](Self::timeout) has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.trial.as_ref().map(|trial| trial.due)
    }

    /// Whether enough was sent since the last look to look again.
    pub(crate) fn is_worth_a_look(&self, sent: Sent) -> bool {
        let worth = sent.octets.saturating_sub(self.at_look.octets) >= WORTH;
        self.path.is_some() && worth
    }

    /// Looks for everything anew.
    pub(crate) fn search(&mut self, now: Instant, token: u64, sent: Sent, out: &mut Vec<Probe>) {
        self.begin(now, Goal::Search, (LEAST, self.cap), token, sent, out);
    }

    /// Somebody who should know says that the path carries less than it did; that is looked into, and not simply believed.
    pub(crate) fn doubt(&mut self, now: Instant, token: u64, sent: Sent, out: &mut Vec<Probe>) {
        if self.trial.is_none() && self.whole && self.mtu > LEAST && now.since(self.tried) >= TICK {
            self.begin(now, Goal::Confirm, (self.mtu, self.mtu), token, sent, out);
        }
    }

    /// Data goes by the path: is it time for a trial? `cap` may have changed.
    pub(crate) fn look(&mut self, now: Instant, token: u64, cap: u16, sent: Sent, out: &mut Vec<Probe>) {
        let last = core::mem::replace(&mut self.at_look, sent);
        (self.cap, self.mtu) = (cap, self.mtu.min(cap));
        if self.trial.is_some() || self.path.is_none() {
            return;
        }
        let (idle, octets) = (now.since(self.tried), sent.octets.saturating_sub(self.at_trial.octets));
        if !self.answers {
            if idle >= DEAF {
                self.search(now, token, sent, out);
            }
            return;
        }
        let next = LADDER.into_iter().find(|size| *size > self.mtu).unwrap_or(cap).min(cap);
        let more = (if self.whole { next } else { LEAST }, cap);
        let cost = PART * u64::from(next + cap);
        let since = now.since(self.raised);
        let much = sent.octets.saturating_sub(self.at_raise.octets) >= cost;
        if (self.mtu < cap || !self.whole) && (since >= RAISE && much || since >= RAISE_SLOW) {
            self.begin(now, Goal::Raise, more, token, sent, out);
            return;
        }
        let packets = sent.packets.saturating_sub(last.packets).max(1);
        let long = sent.octets.saturating_sub(last.octets) / packets >= LONG;
        let much = octets >= PART * u64::from(self.mtu);
        if self.whole && self.mtu > LEAST && (idle >= TICK && much || idle >= CONFIRM_SLOW && long) {
            self.begin(now, Goal::Confirm, (self.mtu, self.mtu), token, sent, out);
        }
    }

    fn begin(
        &mut self,
        now: Instant,
        goal: Goal,
        (low, top): (u16, u16),
        token: u64,
        sent: Sent,
        out: &mut Vec<Probe>,
    ) {
        if goal == Goal::Raise {
            (self.raised, self.at_raise) = (now, sent);
        }
        (self.tried, self.at_trial) = (now, sent);
        // `low` is a step of the ladder, or the top itself.
        let asked = steps(low, top.min(low.saturating_add(1)));
        let (due, sent) = (now + self.wait(), [now; VOLLEYS_MOST as usize]);
        let (volley, top_answered, answered, marked) = (0, false, 0, false);
        let trial = Trial { goal, token, volley, sent, due, top, top_answered, asked, answered, marked };
        trial.volley(out);
        self.trial = Some(trial);
    }

    fn wait(&self) -> Duration {
        self.rtt.map_or(WAIT[1], |rtt| (2 * rtt + WAIT[0] / 2).clamp(WAIT[0], WAIT[2]))
    }

    /// A probe arrived at the other end, as long as `octets`. Whether MTU or wholeness changed.
    pub(crate) fn answered(&mut self, now: Instant, token: u64, octets: u16) -> bool {
        let Some(trial) = &mut self.trial else { return false };
        let volley = token.wrapping_sub(trial.token);
        let Some(&then) =
            trial.sent[..=usize::from(trial.volley)].get(usize::try_from(volley).unwrap_or(usize::MAX))
        else {
            return false;
        };
        let present = volley == u64::from(trial.volley);
        if octets == MARKER {
            trial.marked |= present;
        } else if !trial.note(octets) {
            return false;
        }
        self.answers = true;
        let took = now.since(then);
        self.rtt = Some(self.rtt.map_or(took, |rtt| took.max(rtt - rtt / 8)));
        let over = trial.top_answered;
        let before = (self.mtu, self.whole);
        if octets >= LEAST && (octets > self.mtu || !self.whole && octets >= self.mtu.min(self.cap)) {
            (self.mtu, self.whole) = (octets.min(self.cap), true);
        }
        if over {
            self.trial = None;
        }
        before != (self.mtu, self.whole)
    }

    /// A volley was waited for long enough. Whether MTU or wholeness changed.
    pub(crate) fn timeout(&mut self, now: Instant, out: &mut Vec<Probe>) -> bool {
        let wait = self.wait();
        let Some(trial) = self.trial.as_mut().filter(|trial| trial.due <= now) else { return false };
        let last = trial.volley + 1 >= VOLLEYS;
        let raised_nothing = trial.goal == Goal::Raise && trial.best() == 0 && trial.volley > 0;
        if raised_nothing || last && (trial.marked || !self.answers) || trial.volley + 1 >= VOLLEYS_MOST {
            return self.conclude(now);
        }
        let best = trial.best();
        let widens = match trial.goal {
            Goal::Raise => best > 0,
            // What was never answered at all is no matter of length.
            Goal::Search => self.answers,
            Goal::Confirm => true,
        };
        if widens {
            trial.asked |= steps(best.max(LEAST), trial.top);
        }
        trial.volley += 1;
        (trial.sent[usize::from(trial.volley)], trial.marked) = (now, false);
        trial.due = now + wait * if trial.volley < VOLLEYS { 1 } else { 2 };
        trial.volley(out);
        false
    }

    fn conclude(&mut self, now: Instant) -> bool {
        let Some(trial) = self.trial.take() else { return false };
        let before = (self.mtu, self.whole);
        if trial.goal != Goal::Raise && trial.marked {
            (self.mtu, self.whole) = match trial.best() {
                // Even the least there must be does not fit: it goes in pieces.
                0 => (LEAST.min(self.cap), false),
                best => (best.min(self.cap), true),
            };
            // What was just refused need not be asked for again so soon.
            self.raised = now;
        }
        before != (self.mtu, self.whole)
    }
}

#[cfg(test)]
mod tests;
