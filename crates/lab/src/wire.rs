//! A cable that a program carries frame by frame, so that it can lose some and deliver others late: for kernels without
//! netem. Its ends are TAP devices, which offer the kernel no segmentation or coalescing: whatever runs over it is treated
//! alike, frame by frame.

use crate::{Namespace, Process, probe, wait_for};
use anyhow::{Context, Result, bail};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tun_tap::{Iface, Mode};

/// The most octets of a frame.
const FRAME: usize = 2048;
/// A frame that is held back leaves after so many others at most …
const LATE_BY: u64 = 8;
/// … or after that long.
const LATE: Duration = Duration::from_millis(1);
/// What the program calls the ends before they are given away.
const ENDS: [&str; 2] = ["wire-a", "wire-b"];

/// What befalls frames, in parts per million, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Frames that never arrive.
    pub lost: u32,
    /// Frames that arrive after up to eight later ones.
    pub late: u32,
    /// Repeats the same choice.
    pub seed: u32,
    /// Mbit/s that pass, each way; the rest waits in the queue of the device. 0 = as much as can.
    pub rate: u32,
}

/// Lays such a cable between two namespaces, both ends up. `between` is a namespace for the program alone; the cable is cut
/// when the returned guard is dropped.
///
/// # Errors
/// It cannot be started, or what `ip` says.
pub fn lay(between: &Namespace, ends: [(&Namespace, &str); 2], trouble: Trouble) -> Result<Process> {
    let Trouble { lost, late, seed, rate } = trouble;
    let process = probe::spawn(between, "wire", &format!("wire {lost} {late} {seed} {rate}"))?;
    wait_for("the wire", Duration::from_secs(10), || match process.stdout().contains("ready") {
        true => Ok(()),
        false => Err(process.stderr()),
    })?;
    for ((namespace, interface), end) in ends.into_iter().zip(ENDS) {
        between.ip(&[&format!("link set {end} netns {} name {interface}", namespace.full_name())])?;
        namespace.ip(&[&format!("link set {interface} up")])?;
    }
    Ok(process)
}

/// The program: carries until it is killed, or an end is deleted.
pub(crate) fn carry(words: &[&str]) -> Result<()> {
    let [lost, late, seed, rate] = words else { bail!("wire LOST LATE SEED RATE") };
    let trouble =
        Trouble { lost: lost.parse()?, late: late.parse()?, seed: seed.parse()?, rate: rate.parse()? };
    let open = |name: &str| Iface::without_packet_info(name, Mode::Tap).with_context(|| name.to_owned());
    let [a, b] = [open(ENDS[0])?, open(ENDS[1])?];
    println!("ready");
    let lines = [Line::new(trouble), Line::new(Trouble { seed: trouble.seed ^ 0x5555, ..trouble })];
    std::thread::scope(|scope| {
        let ways = [(&a, &b, &lines[0]), (&b, &a, &lines[1])];
        for (from, to, line) in ways {
            scope.spawn(move || {
                let mut frame = vec![0; FRAME];
                let mut pace = Pace { rate: trouble.rate, free: Instant::now() };
                // An end that is not up yet refuses to be read or written; it will be.
                loop {
                    match from.recv(&mut frame) {
                        Ok(len) => {
                            pace.wait(len);
                            line.pass(&frame[..len], |frame| drop(to.send(frame)));
                        }
                        Err(_) => std::thread::sleep(LATE),
                    }
                }
            });
        }
        if trouble.late > 0 {
            loop {
                std::thread::sleep(LATE);
                for (_, to, line) in ways {
                    line.release(|frame| drop(to.send(frame)));
                }
            }
        }
    });
    Ok(())
}

/// When the next frame may leave.
#[derive(Debug)]
struct Pace {
    rate: u32,
    free: Instant,
}

impl Pace {
    fn wait(&mut self, octets: usize) {
        if self.rate == 0 {
            return;
        }
        let now = Instant::now();
        self.free = self.free.max(now) + Duration::from_nanos(octets as u64 * 8000 / u64::from(self.rate));
        // Sleeping for less than that takes longer than that.
        if self.free > now + LATE {
            std::thread::sleep(self.free - now);
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Line {
    trouble: Trouble,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: u64,
    passed: u64,
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    frame: Vec<u8>,
    /// Leaves when so many have passed.
    after: u64,
    since: Instant,
}

impl Line {
    fn new(trouble: Trouble) -> Self {
        let random = u64::from(trouble.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Line { trouble, state: Mutex::new(State { random, passed: 0, held: Vec::new() }) }
    }

    fn pass(&self, frame: &[u8], mut send: impl FnMut(&[u8])) {
        if self.trouble.lost == 0 && self.trouble.late == 0 {
            return send(frame);
        }
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let drawn = state.draw();
        if drawn < self.trouble.lost {
            return;
        }
        if drawn - self.trouble.lost < self.trouble.late {
            let after = state.passed + 1 + u64::from(state.draw()) % LATE_BY;
            state.held.push(Held { frame: frame.to_vec(), after, since: Instant::now() });
            return;
        }
        send(frame);
        state.passed += 1;
        let passed = state.passed;
        state.held.retain(|held| {
            let stays = held.after > passed;
            if !stays {
                send(&held.frame);
            }
            stays
        });
    }

    /// Sends what was held back long enough.
    fn release(&self, mut send: impl FnMut(&[u8])) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.held.retain(|held| {
            let stays = held.since.elapsed() < LATE;
            if !stays {
                send(&held.frame);
            }
            stays
        });
    }
}

impl State {
    /// A number below a million (Marsaglia's xorshift).
    fn draw(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 16) % 1_000_000) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(trouble: Trouble, count: u32) -> Vec<u32> {
        let line = Line::new(trouble);
        let mut arrived = Vec::new();
        let mut take = |frame: &[u8]| arrived.push(u32::from_be_bytes(frame.try_into().unwrap()));
        for number in 0..count {
            line.pass(&number.to_be_bytes(), &mut take);
        }
        std::thread::sleep(LATE);
        line.release(&mut take);
        arrived
    }

    #[test]
    fn a_wire_without_trouble_changes_nothing() {
        assert_eq!(through(Trouble::default(), 1000), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn frames_are_lost_and_late_as_often_as_was_asked_and_none_comes_twice() {
        let arrived = through(Trouble { lost: 10_000, late: 30_000, seed: 1, rate: 0 }, 100_000);
        let lost = 100_000 - arrived.len();
        assert!((800..1200).contains(&lost), "{lost}");
        let late = arrived.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!((2000..3500).contains(&late), "{late}");
        let mut sorted = arrived.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), arrived.len());
        for (at, number) in arrived.iter().enumerate() {
            assert!(at.abs_diff(*number as usize) < lost + 20, "{number} at {at}");
        }
    }
}
