//! Octets over time, of everybody together and of each peer: rings of fixed length, in memory and in one file of bounded
//! size, so that years of traffic cost no more than a day.

use crate::daemon::Daemon;
use crate::error::{ApiError, CliError, Trouble};
use crate::files::atomic;
use crate::schema::{Time, TrafficReport, TrafficRow, TrafficSeries};
use ln6_overlay_core::control::view::PeerView;
use ln6_types::{Instant, PublicKey, UnixTime};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The rings: name, seconds of a step, steps.
const RINGS: [(&str, u64, usize); 3] = [("now", 10, 30), ("day", 900, 96), ("month", 21_600, 120)];
/// Peers that are told apart; the quietest makes room.
const PEERS: usize = 512;
/// How often the counters are read.
const SAMPLE: Duration = Duration::from_secs(10);
/// How often the file is written.
const SAVE: Duration = Duration::from_secs(600);
/// What the file begins with; the number is the version of its layout.
const MAGIC: &[u8; 8] = b"ln6traf1";
/// Octets of one record: a key, and for each ring its place and its steps.
const RECORD: usize = 32 + 3 * 8 + 16 * (30 + 96 + 120);

/// Steps of equal length; the newest is at `at % steps`, and everything older than the ring is forgotten.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Ring {
    step: u64,
    /// Steps since 1970 of the newest.
    at: u64,
    slots: Vec<(u64, u64)>,
}

impl Ring {
    fn new(step: u64, steps: usize) -> Self {
        Ring { step, at: 0, slots: vec![(0, 0); steps] }
    }

    /// Moves on to `now`. A clock that goes back a little adds to the newest step; far back, the ring begins anew.
    fn advance(&mut self, now: UnixTime) {
        let at = now.as_secs() / self.step;
        let steps = self.slots.len() as u64;
        if at >= self.at.saturating_add(steps) || self.at > at.saturating_add(steps) {
            self.slots.fill((0, 0));
            self.at = at;
        }
        while self.at < at {
            self.at += 1;
            let place = (self.at % steps) as usize;
            self.slots[place] = (0, 0);
        }
    }

    fn add(&mut self, now: UnixTime, rx: u64, tx: u64) {
        self.advance(now);
        let place = (self.at % self.slots.len() as u64) as usize;
        let slot = &mut self.slots[place];
        *slot = (slot.0.saturating_add(rx), slot.1.saturating_add(tx));
    }

    /// Oldest first.
    fn steps(&self) -> impl Iterator<Item = (u64, u64)> {
        let split = (self.at % self.slots.len() as u64) as usize + 1;
        self.slots[split..].iter().chain(&self.slots[..split]).copied()
    }

    fn sum(&self) -> (u64, u64) {
        self.steps()
            .fold((0u64, 0u64), |sum, step| (sum.0.saturating_add(step.0), sum.1.saturating_add(step.1)))
    }

    fn start(&self) -> UnixTime {
        UnixTime::from_secs((self.at + 1).saturating_sub(self.slots.len() as u64) * self.step)
    }
}

/// The three rings of somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Rings([Ring; 3]);

impl Rings {
    fn new() -> Self {
        Rings(RINGS.map(|(_, step, steps)| Ring::new(step, steps)))
    }

    fn add(&mut self, now: UnixTime, rx: u64, tx: u64) {
        self.0.iter_mut().for_each(|ring| ring.add(now, rx, tx));
    }

    fn month(&self) -> u64 {
        let (rx, tx) = self.0[2].sum();
        rx.saturating_add(tx)
    }
}

/// Everybody's traffic.
pub(super) struct Traffic {
    file: PathBuf,
    total: Rings,
    peers: BTreeMap<PublicKey, Rings>,
    /// What the counters said last.
    counters: BTreeMap<PublicKey, (u64, u64)>,
    sample_at: Instant,
    save_at: Instant,
}

impl Traffic {
    /// With what was kept in `file`; a file that is none of ours is left out of account, and written anew later.
    pub(super) fn load(file: PathBuf) -> Self {
        let read = std::fs::read(&file).ok().and_then(|bytes| read(&bytes));
        let (total, peers) = read.unwrap_or_else(|| (Rings::new(), BTreeMap::new()));
        let counters = BTreeMap::new();
        Traffic { file, total, peers, counters, sample_at: Instant::ZERO, save_at: Instant::ZERO }
    }

    /// Adds what the counters have grown by. What a peer sent before it was first seen here does not count.
    fn sample(&mut self, wall: UnixTime, peers: &[PeerView]) {
        let mut counters = BTreeMap::new();
        for peer in peers {
            let now = (peer.traffic.rx_bytes, peer.traffic.tx_bytes);
            counters.insert(peer.key, now);
            let before = self.counters.get(&peer.key).copied().unwrap_or((0, 0));
            // A session that began anew counts from zero.
            let grown = |now: u64, before: u64| if now >= before { now - before } else { now };
            let (rx, tx) = (grown(now.0, before.0), grown(now.1, before.1));
            if rx + tx == 0 {
                continue;
            }
            self.total.add(wall, rx, tx);
            if let Some(rings) = self.room_for(&peer.key) {
                rings.add(wall, rx, tx);
            }
        }
        self.counters = counters;
    }

    fn room_for(&mut self, key: &PublicKey) -> Option<&mut Rings> {
        if !self.peers.contains_key(key) && self.peers.len() >= PEERS {
            let quietest = self.peers.iter().min_by_key(|(_, rings)| rings.month()).map(|(key, _)| *key)?;
            self.peers.remove(&quietest);
        }
        Some(self.peers.entry(*key).or_insert_with(Rings::new))
    }

    fn report(
        &self,
        wall: UnixTime,
        peer: Option<(String, Rings)>,
        name: impl Fn(&PublicKey) -> String,
    ) -> TrafficReport {
        let (peer, shown) = match peer {
            Some((name, rings)) => (Some(name), rings),
            None => (None, self.total.clone()),
        };
        let mut peers: Vec<TrafficRow> =
            self.peers.iter().map(|(key, rings)| row(wall, *key, name(key), rings.clone())).collect();
        peers.sort_by_key(|row| std::cmp::Reverse(row.day_rx_bytes.saturating_add(row.day_tx_bytes)));
        let series = RINGS.iter().zip(shown.0).map(|((span, step, _), mut ring)| {
            ring.advance(wall);
            TrafficSeries {
                span: (*span).to_owned(),
                step_seconds: *step,
                start: Time(ring.start()),
                rx_bytes: ring.steps().map(|step| step.0).collect(),
                tx_bytes: ring.steps().map(|step| step.1).collect(),
            }
        });
        TrafficReport { peer, series: series.collect(), peers }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAGIC.len() + (1 + self.peers.len()) * RECORD);
        out.extend_from_slice(MAGIC);
        record(&mut out, &PublicKey([0; 32]), &self.total);
        self.peers.iter().for_each(|(key, rings)| record(&mut out, key, rings));
        out
    }

    fn save(&self) -> impl FnOnce() + Send + use<> {
        let (file, bytes) = (self.file.clone(), self.bytes());
        move || {
            if let Err(error) = atomic::replace(&file, &bytes) {
                tracing::warn!(%error, "traffic was not saved");
            }
        }
    }
}

fn row(wall: UnixTime, key: PublicKey, name: String, mut rings: Rings) -> TrafficRow {
    rings.0.iter_mut().for_each(|ring| ring.advance(wall));
    let [now, day, month] = &rings.0;
    // The newest step is still growing: the three before it tell the rate.
    let lately: Vec<(u64, u64)> = now.steps().collect();
    let lately = &lately[lately.len() - 4..lately.len() - 1];
    let rate = |octets: u64| octets as f64 / (3 * now.step) as f64;
    TrafficRow {
        name,
        key,
        rx_bytes_per_second: rate(lately.iter().map(|step| step.0).sum()),
        tx_bytes_per_second: rate(lately.iter().map(|step| step.1).sum()),
        day_rx_bytes: day.sum().0,
        day_tx_bytes: day.sum().1,
        month_rx_bytes: month.sum().0,
        month_tx_bytes: month.sum().1,
    }
}

fn record(out: &mut Vec<u8>, key: &PublicKey, rings: &Rings) {
    out.extend_from_slice(&key.0);
    for ring in &rings.0 {
        out.extend_from_slice(&ring.at.to_le_bytes());
        for (rx, tx) in &ring.slots {
            out.extend_from_slice(&rx.to_le_bytes());
            out.extend_from_slice(&tx.to_le_bytes());
        }
    }
}

/// Reads what `bytes` wrote; `None` for anything else.
fn read(bytes: &[u8]) -> Option<(Rings, BTreeMap<PublicKey, Rings>)> {
    let records = bytes.strip_prefix(MAGIC)?;
    if records.is_empty() || records.len() % RECORD != 0 || records.len() > (1 + PEERS) * RECORD {
        return None;
    }
    let mut all = records.chunks_exact(RECORD).map(|record| {
        let (key, mut rest) = record.split_at(32);
        let mut word = || {
            let (word, more) = rest.split_at(8);
            rest = more;
            u64::from_le_bytes(word.try_into().unwrap_or_default())
        };
        let mut rings = Rings::new();
        for ring in &mut rings.0 {
            ring.at = word();
            ring.slots.iter_mut().for_each(|slot| *slot = (word(), word()));
        }
        (PublicKey(key.try_into().unwrap_or_default()), rings)
    });
    let (_, total) = all.next()?;
    Some((total, all.collect()))
}

impl Daemon {
    /// Reads the counters and writes the file, each when it is due.
    pub(super) fn count_traffic(&mut self, now: Instant, wall: UnixTime) {
        if now < self.traffic.sample_at {
            return;
        }
        self.traffic.sample_at = now + SAMPLE;
        let view = self.control.view(now);
        self.traffic.sample(wall, &view.peers);
        if self.traffic.save_at == Instant::ZERO {
            self.traffic.save_at = now + SAVE;
        } else if now >= self.traffic.save_at {
            self.traffic.save_at = now + SAVE;
            // A disk must not hold up the loop; what goes wrong is logged there.
            drop(tokio::task::spawn_blocking(self.traffic.save()));
        }
    }

    /// Writes what is not written yet, at the end.
    pub(super) fn save_traffic(&self) {
        self.traffic.save()();
    }

    pub(super) fn traffic_report(
        &mut self,
        now: Instant,
        peer: Option<String>,
    ) -> Result<TrafficReport, ApiError> {
        let wall = ln6_host::clock::wall();
        let view = self.control.view(now);
        self.traffic.sample(wall, &view.peers);
        let name = |key: &PublicKey| {
            let peer = view.peers.iter().find(|peer| peer.key == *key);
            peer.map(|peer| peer.name.clone()).unwrap_or_default()
        };
        let wanted = peer.map(|wanted| {
            let key = wanted.parse().ok();
            let is = |known: &&PublicKey| Some(**known) == key || name(known) == wanted;
            let found = self.traffic.peers.keys().find(is).and_then(|key| self.traffic.peers.get(key));
            let unknown =
                || CliError::new(Trouble::NotFound, "nothing was heard from a peer of this name or key");
            found.map(|rings| (wanted.clone(), rings.clone())).ok_or_else(unknown)
        });
        Ok(self.traffic.report(wall, wanted.transpose()?, name))
    }
}

/// Where traffic is kept, beside the node's state.
pub(super) fn file(state: &Path) -> PathBuf {
    state.with_file_name("traffic")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_view::tests::peer;
    use ln6_overlay_core::forwarder::stats::PeerTraffic;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(NOW.as_secs() + seconds)
    }

    fn talker(key: u8, rx: u64, tx: u64) -> PeerView {
        let traffic = PeerTraffic { rx_bytes: rx, tx_bytes: tx, ..PeerTraffic::default() };
        PeerView { key: PublicKey([key; 32]), traffic, ..peer("quintana", true, None) }
    }

    fn empty() -> Traffic {
        Traffic::load("/nonexistent/traffic".into())
    }

    #[test]
    fn a_ring_forgets_what_is_older_than_itself() {
        let mut ring = Ring::new(10, 3);
        ring.add(at(0), 1, 0);
        ring.add(at(10), 2, 0);
        ring.add(at(15), 2, 0);
        ring.add(at(20), 8, 0);
        assert_eq!(ring.steps().map(|step| step.0).collect::<Vec<_>>(), [1, 4, 8]);
        ring.advance(at(30));
        assert_eq!(ring.steps().map(|step| step.0).collect::<Vec<_>>(), [4, 8, 0]);
        ring.advance(at(1_000_000));
        assert_eq!(ring.sum(), (0, 0));
    }

    #[test]
    fn a_clock_that_jumps_loses_traffic_but_never_invents_any() {
        let mut ring = Ring::new(10, 3);
        ring.add(at(0), 1, 1);
        ring.add(UnixTime::from_secs(NOW.as_secs() - 15), 1, 1);
        assert_eq!(ring.sum(), (2, 2), "a little back: the newest step");
        ring.add(UnixTime::EPOCH, 1, 1);
        assert_eq!(ring.sum(), (1, 1), "far back: anew");
        ring.add(UnixTime::FOREVER, 1, 1);
        assert_eq!(ring.sum(), (1, 1), "far ahead: anew");
    }

    #[test]
    fn counters_that_began_anew_count_from_zero() {
        let mut traffic = empty();
        traffic.sample(NOW, &[talker(1, 100, 10)]);
        traffic.sample(at(10), &[talker(1, 150, 10)]);
        traffic.sample(at(20), &[talker(1, 30, 5)]);
        assert_eq!(traffic.total.0[1].sum(), (180, 15));
        let report = traffic.report(at(20), None, |_| "quintana".to_owned());
        assert_eq!((report.peers[0].day_rx_bytes, report.peers[0].month_tx_bytes), (180, 15));
        assert_eq!(report.series.iter().map(|one| one.rx_bytes.len()).collect::<Vec<_>>(), [30, 96, 120]);
    }

    #[test]
    fn what_is_written_reads_back_and_anything_else_is_nothing() {
        let mut traffic = empty();
        traffic.sample(NOW, &[talker(1, 100, 10), talker(2, 7, 7)]);
        let bytes = traffic.bytes();
        assert_eq!(bytes.len(), 8 + 3 * RECORD);
        assert_eq!(read(&bytes), Some((traffic.total.clone(), traffic.peers.clone())));
        for wrong in [&bytes[..bytes.len() - 1], b"ln6traf1", b"ln6traf2", b"", &[0; 4096]] {
            assert_eq!(read(wrong), None);
        }
    }

    #[test]
    fn no_more_peers_than_there_is_room_for() {
        let mut traffic = empty();
        let many: Vec<PeerView> = (0..600u64)
            .map(|number| {
                let mut key = [7; 32];
                key[..8].copy_from_slice(&number.to_le_bytes());
                PeerView { key: PublicKey(key), ..talker(0, number + 1, 0) }
            })
            .collect();
        traffic.sample(NOW, &many);
        assert_eq!(traffic.peers.len(), PEERS);
        assert!(traffic.bytes().len() <= 8 + (1 + PEERS) * RECORD);
        assert_eq!(traffic.total.0[2].sum().0, 600 * 601 / 2, "the sum knows all of them");
    }
}
