//! What is done to a tunnel, and what is read off it.

use super::options::Options;
use super::world::World;
use anyhow::{Context, Result, bail};
use ln6_lab::{Namespace, Process, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How long a tunnel may take to come up, addresses of hosts included.
pub(crate) const UP: Duration = Duration::from_secs(30);
/// Packets per second that are tried first; more than any userspace tunnel carries here.
const FIRST_RATE: f64 = 400_000.0;
/// Steps of the search for the highest rate without loss.
const RATES: usize = 7;
/// Loss that is called none.
const LOSS: f64 = 0.01;

/// Figures by their names, in one order.
#[derive(Debug, Default)]
pub(crate) struct Measured(pub(crate) BTreeMap<&'static str, f64>);

/// Every figure: its name, what it says, whether more is better.
pub(crate) const FIGURES: &[(&str, &str, bool)] = &[
    ("tcp_1", "TCP 1 stream a→b, Gbit/s", true),
    ("tcp_1_reverse", "TCP 1 stream b→a, Gbit/s", true),
    ("tcp_4", "TCP 4 streams a→b, Gbit/s", true),
    ("tcp_4_reverse", "TCP 4 streams b→a, Gbit/s", true),
    ("lan_1", "TCP 1 stream between LAN hosts, Gbit/s", true),
    ("lan_4", "TCP 4 streams between LAN hosts, Gbit/s", true),
    ("cpu", "daemons' CPU-seconds per Gbit, TCP 4 streams", false),
    ("kpps_64", "UDP 64 B, kpps below 1 % loss", true),
    ("kpps_1340", "UDP 1340 B, kpps below 1 % loss", true),
    ("flood_64", "UDP 64 B, kpps delivered of a flood", true),
    ("cpu_64", "daemons' CPU-µs per delivered packet of that flood", false),
    ("ping_p50", "ping idle p50, ms", false),
    ("ping_p99", "ping idle p99, ms", false),
    ("loaded_p50", "ping under TCP 4 streams p50, ms", false),
    ("loaded_p99", "ping under TCP 4 streams p99, ms", false),
    ("rss_idle", "RSS of the larger daemon idle, MiB", false),
    ("rss_load", "RSS of the larger daemon after load, MiB", false),
    ("retransmits", "TCP 1 stream a→b, retransmits", false),
];

impl Measured {
    /// The most telling of them on one line.
    pub(crate) fn line(&self) -> String {
        let shown = ["tcp_1", "tcp_4", "lan_1", "cpu", "flood_64", "cpu_64", "kpps_64", "loaded_p99"];
        let known = shown.iter().filter_map(|name| Some(format!("{name} {:.2}", self.0.get(name)?)));
        known.collect::<Vec<_>>().join("  ")
    }
}

/// Everything that was asked for.
pub(crate) fn measure(world: &World, options: &Options) -> Result<Measured> {
    let mut measured = Measured::default();
    let figures = &mut measured.0;
    let [a, b] = &world.nodes;
    a.wait_ping(world.ends[1], UP)?;
    b.wait_ping(world.ends[0], UP)?;
    figures.insert("rss_idle", resident(&world.daemons));
    let ends = Pair { from: a, to: b, address: world.ends[1] };
    if options.wants("ping") {
        insert_ping(figures, ["ping_p50", "ping_p99"], &pings(a, world.ends[1], "0.01", 200)?);
    }
    if options.wants("tcp") {
        tcp(world, &ends, options, figures)?;
    }
    if options.wants("lan")
        && let Some(lan) = world.lan
    {
        let [la, lb] = &world.hosts;
        la.wait_ping(lan[1], UP)?;
        let pair = Pair { from: la, to: lb, address: lan[1] };
        for (name, streams) in [("lan_1", "1"), ("lan_4", "4")] {
            figures.insert(name, pair.tcp(options.seconds, &["-P", streams])?.gbit);
        }
    }
    if options.wants("flood") {
        let before = cpu_seconds(&world.daemons);
        let delivered = ends.udp(64, FIRST_RATE)?.0; // for one second
        let spent = cpu_seconds(&world.daemons) - before;
        figures.insert("flood_64", delivered / 1000.0);
        if !world.daemons.is_empty() && delivered > 0.0 {
            figures.insert("cpu_64", spent * 1e6 / delivered);
        }
    }
    if options.wants("udp") {
        figures.insert("kpps_64", ends.highest_rate(64)?);
        figures.insert("kpps_1340", ends.highest_rate(1340)?);
    }
    figures.insert("rss_load", resident(&world.daemons));
    Ok(measured)
}

fn tcp(
    world: &World,
    ends: &Pair<'_>,
    options: &Options,
    figures: &mut BTreeMap<&'static str, f64>,
) -> Result<()> {
    // The first seconds of anything are not what is asked about.
    ends.tcp(1, &[])?;
    let one = ends.tcp(options.seconds, &[])?;
    figures.insert("tcp_1", one.gbit);
    figures.insert("retransmits", one.retransmits);
    figures.insert("tcp_1_reverse", ends.tcp(options.seconds, &["-R"])?.gbit);
    let before = cpu_seconds(&world.daemons);
    let four = ends.tcp(options.seconds, &["-P", "4"])?;
    let spent = cpu_seconds(&world.daemons) - before;
    figures.insert("tcp_4", four.gbit);
    if !world.daemons.is_empty() && four.gbit > 0.0 {
        figures.insert("cpu", spent / (four.gbit * f64::from(options.seconds)));
    }
    figures.insert("tcp_4_reverse", ends.tcp(options.seconds, &["-P", "4", "-R"])?.gbit);
    if options.wants("ping") {
        let mut busy = ends.background(60)?;
        std::thread::sleep(Duration::from_secs(1)); // the streams' slow start, which is not measured
        insert_ping(figures, ["loaded_p50", "loaded_p99"], &pings(ends.from, ends.address, "0.01", 300)?);
        busy.iter_mut().for_each(Process::kill);
    }
    Ok(())
}

/// Who talks to whom.
pub(crate) struct Pair<'a> {
    pub(crate) from: &'a Namespace,
    pub(crate) to: &'a Namespace,
    pub(crate) address: IpAddr,
}

pub(crate) struct Tcp {
    pub(crate) gbit: f64,
    pub(crate) retransmits: f64,
}

impl Pair<'_> {
    fn serve(&self) -> Result<Process> {
        let label = format!("iperf-{}", self.to.name());
        let server = self.to.spawn(&label, &["iperf3", "-s", "-1", "--forceflush"])?;
        wait_until("iperf3", UP, || self.to.run(&["ss", "-Hltn"]).is_ok_and(|text| text.contains(":5201")))?;
        Ok(server)
    }

    fn ask(&self, words: &[&str]) -> Result<Value> {
        let _server = self.serve()?;
        let address = self.address.to_string();
        let all = [&["iperf3", "-J", "-c", &address, "--connect-timeout", "5000"], words].concat();
        let output = self.from.exec(&all);
        let json: Value = serde_json::from_str(&output.stdout)
            .with_context(|| format!("iperf3 printed {}{}", output.stdout, output.stderr))?;
        if let Some(error) = json["error"].as_str() {
            bail!("iperf3: {error}");
        }
        Ok(json)
    }

    pub(crate) fn tcp(&self, seconds: u32, words: &[&str]) -> Result<Tcp> {
        let json = self.ask(&[&["-t", &seconds.to_string()], words].concat())?;
        let rate = json["end"]["sum_received"]["bits_per_second"].as_f64().context("iperf3 names no rate")?;
        let retransmits = json["end"]["sum_sent"]["retransmits"].as_f64().unwrap_or(0.0);
        Ok(Tcp { gbit: rate / 1e9, retransmits })
    }

    /// Four streams until the guards are dropped.
    pub(crate) fn background(&self, seconds: u32) -> Result<[Process; 2]> {
        self.background_with(seconds, &[])
    }

    /// The same, with more words for iperf3.
    pub(crate) fn background_with(&self, seconds: u32, more: &[&str]) -> Result<[Process; 2]> {
        let (server, address, seconds) = (self.serve()?, self.address.to_string(), seconds.to_string());
        let words = [&["iperf3", "-c", &address, "-P", "4", "-t", &seconds], more].concat();
        Ok([self.from.spawn("iperf-load", &words)?, server])
    }

    /// Thousands of packets per second, found by halving the interval, each rate for a second. What counts is what
    /// was received.
    fn highest_rate(&self, octets: u32) -> Result<f64> {
        let (mut good, mut bad) = (0.0, f64::INFINITY);
        let (mut rate, mut best) = (FIRST_RATE, 0.0_f64);
        for _ in 0..RATES {
            let (received, loss, sent) = self.udp(octets, rate)?;
            if loss <= LOSS {
                best = best.max(received);
                good = rate;
                if sent < 0.9 * rate {
                    break; // iperf3 itself is not faster
                }
            } else {
                bad = rate;
            }
            rate = if bad.is_finite() { (good + bad) / 2.0 } else { good * 2.0 };
        }
        Ok(best / 1000.0)
    }

    /// Packets per second delivered, the part lost, and packets per second sent.
    ///
    /// Delivered is what reached the receiver's UDP, also what its socket had no room for: the tunnel is measured, not
    /// how often iperf3 had a processor.
    pub(crate) fn udp(&self, octets: u32, rate: f64) -> Result<(f64, f64, f64)> {
        let bits = format!("{:.0}", rate * f64::from(octets) * 8.0);
        let before = self.delivered();
        let json = self.ask(&["-u", "-l", &octets.to_string(), "-b", &bits, "-t", "1"])?;
        let sum = &json["end"]["sum"];
        let (packets, lost) = (sum["packets"].as_f64(), sum["lost_packets"].as_f64());
        let (packets, lost) = (packets.context("no packets")?, lost.context("no losses")?);
        let seconds = sum["seconds"].as_f64().unwrap_or(1.0).max(0.1);
        if packets < 1.0 {
            return Ok((0.0, 1.0, 0.0));
        }
        let received = match (before, self.delivered()) {
            (Some(before), Some(after)) if self.address.is_ipv6() => (after - before).min(packets),
            _ => packets - lost,
        };
        Ok((received / seconds, 1.0 - received / packets, packets / seconds))
    }

    /// Datagrams over IPv6 that reached the receiver's UDP so far.
    fn delivered(&self) -> Option<f64> {
        let text = self.to.exec(&["cat", "/proc/net/snmp6"]).stdout;
        let value = |name: &str| -> Option<f64> {
            text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
        };
        Some(value("Udp6InDatagrams ")? + value("Udp6InErrors ")?)
    }
}

/// Round trips in milliseconds, sorted; lost ones are infinite.
pub(crate) fn pings(from: &Namespace, to: IpAddr, period: &str, count: u32) -> Result<Vec<f64>> {
    let words = ["ping", "-n", "-i", period, "-c", &count.to_string(), "-W", "1", &to.to_string()];
    let output = from.exec(&words);
    let mut times: Vec<f64> = output.stdout.lines().filter_map(round_trip).collect();
    times.resize(count as usize, f64::INFINITY);
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn round_trip(line: &str) -> Option<f64> {
    line.split("time=").nth(1)?.split(' ').next()?.parse().ok()
}

pub(crate) fn insert_ping(
    figures: &mut BTreeMap<&'static str, f64>,
    names: [&'static str; 2],
    sorted: &[f64],
) {
    for (name, part) in names.iter().zip([0.5, 0.99]) {
        let at = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
        if let Some(time) = sorted.get(at).filter(|time| time.is_finite()) {
            figures.insert(name, *time);
        }
    }
}

/// User and system time of all threads so far.
pub(crate) fn cpu_seconds(daemons: &[Process]) -> f64 {
    let ticks = |daemon: &Process| -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).ok()?;
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    };
    daemons.iter().filter_map(ticks).sum::<f64>() / 100.0 // USER_HZ, the same on every Linux
}

/// MiB of the larger daemon.
pub(crate) fn resident(daemons: &[Process]) -> f64 {
    let kib = |daemon: &Process| -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    daemons.iter().filter_map(kib).fold(0.0, f64::max) / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ping_gives_its_time_and_lost_ones_spoil_the_tail() {
        let line = "64 bytes from fd00:be::2: icmp_seq=1 ttl=64 time=0.437 ms";
        assert_eq!(round_trip(line), Some(0.437));
        assert_eq!(round_trip("no answer yet for icmp_seq=3"), None);
        let mut figures = BTreeMap::new();
        insert_ping(&mut figures, ["ping_p50", "ping_p99"], &[0.1, 0.2, f64::INFINITY]);
        assert_eq!(figures.get("ping_p50"), Some(&0.2));
        assert_eq!(figures.get("ping_p99"), None);
    }
}
