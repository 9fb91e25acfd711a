//! Which path a session takes: probes that are sent on the path they ask about, and echoed on it.
//!
//! A handshake proves that a path carries handshakes, no more: a relay that unwraps an initiation and sends it from its own
//! address gets that address taken for the peer's. So a path is *used* once a probe under the session's own keys was echoed
//! on it, or if there is none other. The echo says, sealed, whether the probe came by UDP or in a relay frame: who unwraps
//! for one end only is found out. What is in use is probed again while it carries data, so a path that no longer delivers
//! is left within seconds, whoever broke it, and is not trusted for a while.

use crate::control::message::{Body, Message};
use crate::control::output::{Output, To};
use crate::control::secrets::draw;
use crate::control::timers::Reason;
use crate::control::{Control, PERSIST_SOON};
use crate::forwarder::frame;
use crate::forwarder::mail::{PeerKind, Update};
use crate::{Path, PeerIdx};
use core::net::SocketAddr;
use core::time::Duration;
use ln6_types::Instant;

/// Pause between the probes of a round, and how many are sent on a path before it counts as dead.
const AGAIN: Duration = Duration::from_millis(500);
const TRIES: u8 = 6;
/// A path that carries data is probed so often; one that carries Babel, whose hellos and IHUs do the same, more seldom.
const ROUTINE: Duration = Duration::from_secs(10);
const ROUTINE_OF_LINKS: Duration = Duration::from_secs(15);
/// Something was sent and nothing heard for so long: time for a probe out of turn.
const SILENCE: Duration = Duration::from_secs(6);
/// Least pause between two rounds that begin because packets come from elsewhere, or that ended without any echo.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Paths in one round.
const MOST: usize = 12;
/// How long a path that ceased to deliver is the last choice; doubled each time.
const SHUN: Duration = Duration::from_secs(30);
const SHUN_MOST: Duration = Duration::from_secs(3600);
/// How many such paths are remembered of one peer.
const SHUNNED: usize = 16;
/// Octets of a probe: at least, and what is added at random, so that it looks like data. It goes where 1280 octets go. No
/// more is added than a part of what was sent since the last round: a quiet link stays quiet.
const PROBE: usize = 32;
const PROBE_MORE: u64 = 1132;
const PART: u64 = 16;

/// What is known of one peer's paths.
#[derive(Default)]
pub(crate) struct Proving {
    round: Option<Round>,
    /// When the path in use was echoed last.
    proved: Option<(Path, Instant)>,
    /// When a round began last, or ended in vain.
    looked: Option<Instant>,
    /// The path in use did not answer.
    pub(crate) silent: bool,
    /// Octets that were sent when the last round began, and how many may be added to each probe of the present one.
    octets: u64,
    more: u64,
    shunned: Vec<Shunned>,
}

struct Shunned {
    path: Path,
    until: Instant,
    strikes: u32,
}

/// Probes that are on their way.
struct Round {
    /// By this one a handshake was made: it is taken if it is as good as what is in use.
    favoured: Option<Path>,
    tries: u8,
    asked: Vec<Asked>,
    due: Instant,
}

struct Asked {
    path: Path,
    token: u64,
    sent: Instant,
    echo: Option<Duration>,
    captured: bool,
}

impl Round {
    fn of(&self, path: Path) -> Option<&Asked> {
        self.asked.iter().find(|asked| asked.path == path)
    }
}

impl Proving {
    fn is_shunned(&self, now: Instant, path: Path) -> bool {
        self.shunned.iter().any(|shunned| shunned.path == path && shunned.until > now)
    }

    fn shun(&mut self, now: Instant, path: Path, at_least: Duration) {
        let strikes = match self.shunned.iter().position(|shunned| shunned.path == path) {
            Some(at) => self.shunned.remove(at).strikes + 1,
            None => 0,
        };
        let span = SHUN.saturating_mul(1 << strikes.min(7)).max(at_least).min(SHUN_MOST);
        if self.shunned.len() >= SHUNNED {
            self.shunned.remove(0);
        }
        self.shunned.push(Shunned { path, until: now + span, strikes });
    }
}

impl Control {
    /// The path on which new keys are used at first, if they were made by `made_by`: the present one while it answers. An
    /// address that only the header of a datagram names waits for its echo, if somebody relays meanwhile.
    pub(crate) fn path_for(&self, now: Instant, idx: PeerIdx, made_by: Path) -> Path {
        let Some(peer) = self.peers.get(idx).filter(|peer| is_probed(peer.kind)) else { return made_by };
        let present = peer.path.filter(|_| peer.current.is_some());
        match present {
            Some(path) if path == made_by || !peer.proving.silent => path,
            _ if self.rank(now, idx, made_by) == (false, 0) => made_by,
            _ => {
                let relay = self.relay_towards(&peer.router).filter(|via| *via != idx).map(Path::Through);
                relay.filter(|relay| present != Some(*relay)).unwrap_or(made_by)
            }
        }
    }

    /// The path changed without a proof, or the session is gone.
    pub(crate) fn unprove(&mut self, idx: PeerIdx) {
        if let Some(peer) = self.peers.get_mut(idx) {
            (peer.proving.silent, peer.proving.proved) = (false, None);
        }
    }

    /// New keys are in use: what made them is asked for, and what they are sent by.
    pub(crate) fn prove_keys(&mut self, now: Instant, idx: PeerIdx, made_by: Path) {
        let Some(peer) = self.peers.get(idx) else { return };
        let as_it_was = peer.path == Some(made_by);
        if as_it_was && self.rank(now, idx, made_by) == (false, 0) {
            return;
        }
        self.begin_round(now, idx, &[made_by], Some(made_by));
    }

    /// Something authentic came by another path than the one in use.
    pub(crate) fn look_at(&mut self, now: Instant, idx: PeerIdx, path: Path) {
        let Some(peer) = self.peers.get(idx) else { return };
        let lately = peer.proving.looked.is_some_and(|at| now.since(at) < LOOK_AGAIN);
        if !lately || peer.proving.round.is_some() {
            self.begin_round(now, idx, &[path], None);
        }
    }

    /// Something makes it doubtful that the other end has the keys that are in use.
    pub(crate) fn look_at_path(&mut self, now: Instant, idx: PeerIdx) {
        if let Some(path) = self.peers.get(idx).and_then(|peer| peer.path) {
            self.look_at(now, idx, path);
        }
    }

    /// Data goes to this peer.
    pub(crate) fn prove_in_use(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get(idx).filter(|peer| is_probed(peer.kind)) else { return };
        let pause = if peer.meta.link { ROUTINE_OF_LINKS } else { ROUTINE };
        let young = |at: Instant, than: Duration| now.since(at) < than;
        let born = peer.current.as_ref().map(|keys| keys.born);
        let proved = peer.proving.proved.filter(|(path, _)| Some(*path) == peer.path).map(|(_, at)| at);
        let last = proved.max(born);
        let quiet = peer.heard.is_none_or(|at| !young(at, SILENCE));
        let due = last.is_none_or(|at| !young(at, pause) || quiet && !young(at, SILENCE));
        if due && !peer.proving.looked.is_some_and(|at| young(at, LOOK_AGAIN)) {
            self.begin_round(now, idx, &[], None);
        }
    }

    fn begin_round(&mut self, now: Instant, idx: PeerIdx, more: &[Path], favoured: Option<Path>) {
        let Some(peer) = self.peers.get_mut(idx).filter(|peer| is_probed(peer.kind) && peer.connected())
        else {
            return;
        };
        peer.proving.looked = Some(now);
        let octets = peer.counters.read().tx_bytes;
        peer.proving.more = (octets.saturating_sub(peer.proving.octets) / PART).min(PROBE_MORE);
        peer.proving.octets = octets;
        let round = peer.proving.round.get_or_insert_with(|| Round {
            favoured: None,
            tries: 0,
            asked: Vec::new(),
            due: now + AGAIN,
        });
        if favoured.is_some() {
            // New keys: what was asked under older ones is asked again.
            (round.favoured, round.tries, round.due) = (favoured, 0, now + AGAIN);
            round.asked.clear();
        }
        let due = round.due;
        let paths: Vec<Path> = peer.path.into_iter().chain(more.iter().copied()).collect();
        self.timers.set(idx, Reason::Prove, due);
        self.ask(now, idx, &paths);
    }

    /// Probes paths that were not asked yet in this round.
    fn ask(&mut self, now: Instant, idx: PeerIdx, paths: &[Path]) {
        for &path in paths {
            let token = u64::from_be_bytes(draw(&mut *self.secrets));
            let round = self.peers.get_mut(idx).and_then(|peer| peer.proving.round.as_mut());
            let Some(round) = round.filter(|round| round.asked.len() < MOST && round.of(path).is_none())
            else {
                continue;
            };
            round.asked.push(Asked { path, token, sent: now, echo: None, captured: false });
            self.send_probe(idx, path, token);
        }
    }

    fn send_probe(&mut self, idx: PeerIdx, path: Path, token: u64) {
        let more = self.peers.get(idx).map_or(0, |peer| peer.proving.more);
        let len = PROBE + (self.jitter.draw() % (more + 1)) as usize;
        self.send_by(idx, path, Body::PathProbe { token }, len);
    }

    /// Says something by one path, in a message of `len` octets.
    fn send_by(&mut self, idx: PeerIdx, path: Path, body: Body, len: usize) {
        let mut bytes = Vec::with_capacity(len);
        if Message::from(body).encode(&mut bytes).is_ok() {
            bytes.resize(len.max(bytes.len()), 0);
            if let Some(frame) = frame::message_frame(&bytes) {
                self.publish_peers();
                self.out(Output::Update(To::Worker(0), Update::Probe(idx, path, frame)));
            }
        }
    }

    /// A probe came: its echo goes back by the same path and is as long.
    pub(crate) fn echo_path(&mut self, idx: PeerIdx, from: Path, token: u64, len: usize) {
        let direct = matches!(from, Path::Udp(_));
        if self.peers.get(idx).is_some_and(|peer| peer.stock.is_none()) {
            self.send_by(idx, from, Body::PathEcho { token, direct }, len);
        }
    }

    /// An echo came, by whatever path.
    pub(crate) fn handle_path_echo(&mut self, now: Instant, idx: PeerIdx, token: u64, direct: bool) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let asked = peer.proving.round.iter_mut().flat_map(|round| &mut round.asked);
        let Some(asked) = asked.into_iter().find(|asked| asked.token == token) else { return };
        let path = asked.path;
        match path {
            Path::Udp(address) if !direct => {
                // Sent in the open and received in a relay frame: somebody sits at that address and wraps.
                asked.captured = true;
                peer.known.retain(|known| *known != address);
                peer.failures = peer.failures.saturating_add(1);
                peer.proving.shun(now, path, SHUN_MOST);
                *self.refusals.entry("captured-path").or_default() += 1;
            }
            _ => asked.echo = Some(now.since(asked.sent)),
        }
        self.decide(now, idx);
    }

    /// How good a path would be, smaller is better: whether it failed lately; signed or configured, any other direct one, a
    /// relay.
    fn rank(&self, now: Instant, idx: PeerIdx, path: Path) -> (bool, u8) {
        let Some(peer) = self.peers.get(idx) else { return (true, 3) };
        let class = match path {
            Path::Through(_) => 2,
            Path::Udp(address) => {
                let record = self.record(now, &peer.key).into_iter();
                let signed = record.flat_map(|record| &record.endpoints).any(|end| end.addr == address);
                let told = self.brokers.iter().filter(|broker| broker.key == peer.key);
                let told = told.flat_map(|broker| &broker.endpoints).any(|end| *end == address);
                u8::from(!(signed || told))
            }
        };
        (peer.proving.is_shunned(now, path), class)
    }

    /// Whether `path` was proved, or needs no proof.
    pub(crate) fn is_proved(&self, now: Instant, idx: PeerIdx, path: Path) -> bool {
        let Some(peer) = self.peers.get(idx) else { return false };
        let echoed = peer.proving.proved.is_some_and(|(proved, _)| proved == path);
        !is_probed(peer.kind) || echoed || self.rank(now, idx, path) == (false, 0)
    }

    /// Looks at what has been echoed, and changes the path if there is a better one or if the present one is dead.
    fn decide(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get(idx) else { return };
        let (Some(round), Some(present)) = (&peer.proving.round, peer.path) else { return };
        let order = |asked: &&Asked| {
            let place = match asked.path {
                path if Some(path) == round.favoured => 0,
                path if path == present => 1,
                _ => 2,
            };
            (self.rank(now, idx, asked.path), place, asked.echo)
        };
        let echoed = round.asked.iter().filter(|asked| asked.echo.is_some() && !asked.captured);
        let best = echoed.min_by_key(order).map(|asked| (asked.path, asked.echo.unwrap_or_default()));
        let ours = round.of(present);
        let captured = ours.is_some_and(|asked| asked.captured);
        let alive = ours.is_some_and(|asked| asked.echo.is_some()) && !captured;
        let favoured = round.favoured;
        let (tries, sent) = (round.tries, ours.map_or(now, |asked| asked.sent));
        let Some((path, took)) = best else {
            if captured {
                self.leave_captured(now, idx);
            }
            return;
        };
        if path == present {
            return self.proved(now, idx);
        }
        let (rank, rank_now) = (self.rank(now, idx, path), self.rank(now, idx, present));
        let wanted = rank < rank_now || rank == rank_now && Some(path) == favoured;
        let patience = sent + 3 * took + AGAIN / 5;
        if captured || wanted || !alive && (tries >= TRIES || rank == rank_now && now >= patience) {
            if !alive && !captured && tries >= TRIES {
                // Others answer, this one does not: it is the path.
                self.strike(now, idx, present);
            }
            self.take_path(now, idx, path);
        } else if !alive && rank == rank_now {
            self.timers.set(idx, Reason::Prove, patience.min(round_due(self, idx)));
        }
    }

    fn strike(&mut self, now: Instant, idx: PeerIdx, path: Path) {
        if let Some(peer) = self.peers.get_mut(idx) {
            peer.proving.shun(now, path, SHUN);
        }
    }

    /// The path in use is somebody else's: by a relay, or whatever answers.
    fn leave_captured(&mut self, now: Instant, idx: PeerIdx) {
        let others: Vec<Path> = self.paths_to(now, idx);
        let others: Vec<Path> = others.into_iter().filter(|path| !self.rank(now, idx, *path).0).collect();
        let relay = others.iter().copied().find(|path| matches!(path, Path::Through(_)));
        self.ask(now, idx, &others);
        if let Some(relay) = relay {
            self.take_path(now, idx, relay);
        }
    }

    fn proved(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        peer.proving.silent = false;
        let new = peer.path.filter(|path| peer.proving.proved.is_none_or(|(proved, _)| proved != *path));
        peer.proving.proved = peer.path.map(|path| (path, now));
        if let Some(round) = &peer.proving.round
            && round.asked.iter().all(|asked| asked.echo.is_some() || asked.captured)
        {
            peer.proving.round = None;
            self.timers.clear(idx, Reason::Prove);
        }
        if let Some(Path::Udp(address)) = new {
            self.remember_address(now, idx, address, false);
            // Only now it is told where it is seen.
            self.say_hello(now, idx, false);
        }
    }

    /// A session goes to this address: so may others, after the next start too.
    pub(crate) fn remember_address(&mut self, now: Instant, idx: PeerIdx, address: SocketAddr, new: bool) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        peer.failures = 0;
        let moved = peer.known.first() != Some(&address) || new;
        peer.remember(address);
        let lasts = peer.kind == PeerKind::Node || peer.meta.ours;
        if moved && lasts && peer.stock.is_none() && peer.meta.any() {
            self.persist_soon(now, PERSIST_SOON);
        }
    }

    /// From now on the session goes by `path`, which was echoed or is the only one left.
    fn take_path(&mut self, now: Instant, idx: PeerIdx, path: Path) {
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if peer.path != Some(path) {
            peer.path = Some(path);
            self.peers.changed.insert(idx);
            (self.table_changed, self.plan_changed) = (true, true);
        }
        self.proved(now, idx);
        self.settle_link(now, idx);
        self.schedule_upgrade(now, idx);
    }

    /// The pause of a round is over.
    pub(crate) fn prove_again(&mut self, now: Instant, idx: PeerIdx) {
        self.decide(now, idx);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let (Some(round), true) = (&mut peer.proving.round, peer.current.is_some()) else {
            peer.proving.round = None;
            return;
        };
        if round.due > now {
            let due = round.due;
            return self.timers.set_if_idle(idx, Reason::Prove, due);
        }
        let answers = |asked: &Asked| asked.echo.is_some() && !asked.captured;
        let alive = peer.path.and_then(|path| round.of(path)).is_some_and(answers);
        round.tries += 1;
        let open = round.favoured.and_then(|path| round.of(path)).is_some_and(|asked| !answers(asked));
        if round.tries >= TRIES || alive && !open && round.tries > 1 {
            return self.end_round(now, idx);
        }
        round.due = now + AGAIN;
        let mut again = Vec::new();
        for asked in round.asked.iter_mut().filter(|asked| asked.echo.is_none() && !asked.captured) {
            asked.sent = now;
            again.push((asked.path, asked.token));
        }
        let due = round.due;
        peer.proving.silent |= !alive;
        self.timers.set(idx, Reason::Prove, due);
        again.into_iter().for_each(|(path, token)| self.send_probe(idx, path, token));
        if !alive {
            // The one in use is slow to answer: whatever else there is may be quicker.
            let others = self.paths_to(now, idx);
            self.ask(now, idx, &others);
        }
    }

    fn end_round(&mut self, now: Instant, idx: PeerIdx) {
        if let Some(round) = self.peers.get_mut(idx).and_then(|peer| peer.proving.round.as_mut()) {
            round.tries = TRIES;
        }
        self.decide(now, idx);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        let Some(round) = peer.proving.round.take() else { return };
        peer.proving.looked = Some(now);
        let in_vain = round.asked.iter().all(|asked| asked.echo.is_none());
        let mute = round.favoured.filter(|path| peer.path != Some(*path));
        let mute = mute.filter(|path| round.of(*path).is_some_and(|asked| asked.echo.is_none()));
        if let Some(mute) = mute.filter(|_| !in_vain) {
            // Good for handshakes and for nothing else.
            peer.proving.shun(now, mute, SHUN);
            peer.failures = peer.failures.saturating_add(1);
        }
        if in_vain {
            // No path answers under these keys: perhaps the other end has lost them.
            self.initiate(now, idx);
        }
    }
}

fn round_due(control: &Control, idx: PeerIdx) -> Instant {
    let round = control.peers.get(idx).and_then(|peer| peer.proving.round.as_ref());
    round.map_or(Instant::FAR_FUTURE, |round| round.due)
}

/// Guests are not relayed and carry no data; stock peers know no probes.
fn is_probed(kind: PeerKind) -> bool {
    kind == PeerKind::Node
}
