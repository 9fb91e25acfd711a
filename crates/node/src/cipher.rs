//! Which cipher this machine seals faster with: measured, because no list of processors is complete.

use ln6_crypto::seal::{Aead, Suite};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What a full packet has inside.
const PACKET: usize = 1420;
/// Each suite is measured so often, in turns; the best turn counts, since whatever else runs only slows it down.
const TURNS: usize = 4;
/// How long a turn takes at least.
const TURN: Duration = Duration::from_micros(500);
/// AES has to be so much faster, in percent: without instructions for it, it is slow where others see the cache, or very slow.
const WORTH: f64 = 110.0;

/// How fast this machine seals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// With what.
    pub suite: Suite,
    /// Octets a second.
    pub rate: f64,
}

/// Measures every suite of this build; takes a few milliseconds.
pub fn measure() -> Vec<Speed> {
    let keys = Suite::ALL.into_iter().filter_map(|suite| Aead::new(suite, &[7; 32]).ok());
    let keys: Vec<Aead> = keys.collect();
    let mut speeds: Vec<Speed> = keys.iter().map(|key| Speed { suite: key.suite(), rate: 0.0 }).collect();
    for _ in 0..TURNS {
        for (key, speed) in keys.iter().zip(&mut speeds) {
            speed.rate = speed.rate.max(rate(key));
        }
    }
    speeds
}

fn rate(key: &Aead) -> f64 {
    let mut buf = [0u8; PACKET + 16];
    let (begin, mut sealed) = (Instant::now(), 0u64);
    loop {
        for _ in 0..16 {
            key.seal_in_place(sealed, black_box(&mut buf), PACKET);
            sealed += 1;
        }
        let spent = begin.elapsed();
        if spent >= TURN {
            return sealed as f64 * PACKET as f64 / spent.as_secs_f64();
        }
    }
}

/// The suites to offer, best first: those that are worth it, or the one the operator insists on. WireGuard's own is always
/// among them, since every node has it.
pub fn choose(wish: Option<Suite>, speeds: &[Speed]) -> Vec<Suite> {
    match wish {
        Some(Suite::ChaCha20Poly1305) => vec![Suite::ChaCha20Poly1305],
        Some(Suite::Aes256Gcm) => vec![Suite::Aes256Gcm, Suite::ChaCha20Poly1305],
        None => {
            let own = rate_of(speeds, Suite::ChaCha20Poly1305);
            let mut better: Vec<&Speed> =
                speeds.iter().filter(|speed| speed.rate * 100.0 >= own * WORTH).collect();
            better.sort_by(|a, b| b.rate.total_cmp(&a.rate));
            better.iter().map(|speed| speed.suite).chain([Suite::ChaCha20Poly1305]).collect()
        }
    }
}

/// What was measured for a suite; 0 if this build lacks it.
pub fn rate_of(speeds: &[Speed], suite: Suite) -> f64 {
    speeds.iter().find(|speed| speed.suite == suite).map_or(0.0, |speed| speed.rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AES: Suite = Suite::Aes256Gcm;
    const CHACHA: Suite = Suite::ChaCha20Poly1305;

    fn speeds(chacha: f64, aes: f64) -> [Speed; 2] {
        [Speed { suite: CHACHA, rate: chacha }, Speed { suite: AES, rate: aes }]
    }

    #[test]
    fn aes_is_offered_where_it_is_clearly_faster() {
        assert_eq!(choose(None, &speeds(1e9, 3e9)), [AES, CHACHA]);
        assert_eq!(choose(None, &speeds(1e9, 1.05e9)), [CHACHA]);
        assert_eq!(choose(None, &speeds(3e7, 4e6)), [CHACHA]);
        assert_eq!(choose(None, &speeds(1e9, 3e9)[..1]), [CHACHA], "a build without it");
    }

    #[test]
    fn the_operator_is_obeyed_and_the_common_suite_stays() {
        assert_eq!(choose(Some(AES), &speeds(3e9, 1.0)), [AES, CHACHA]);
        assert_eq!(choose(Some(CHACHA), &speeds(1.0, 3e9)), [CHACHA]);
    }

    #[test]
    fn every_suite_of_this_build_is_measured_and_moves() {
        let speeds = measure();
        let built: Vec<Suite> = Suite::ALL.into_iter().filter(|suite| suite.is_built()).collect();
        assert_eq!(speeds.iter().map(|speed| speed.suite).collect::<Vec<_>>(), built);
        assert!(speeds.iter().all(|speed| speed.rate > 1e4), "{speeds:?}");
    }
}
