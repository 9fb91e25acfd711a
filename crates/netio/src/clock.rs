//! The one place where the packet path learns what time it is.

use ln6_types::Instant;

/// Gives [`Instant`]s from `CLOCK_BOOTTIME`, which goes on while the machine sleeps: sessions must be old after a suspend.
///
/// Copies share their origin, so that control and workers speak of the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Microseconds of `CLOCK_BOOTTIME` at [`Instant::ZERO`].
    origin: u64,
}

impl Clock {
    /// A clock that shows [`Instant::ZERO`] now. One per process.
    pub fn start() -> Self {
        Clock { origin: boot_micros() }
    }

    /// The present.
    pub fn now(&self) -> Instant {
        Instant::from_micros(boot_micros().saturating_sub(self.origin))
    }
}

fn boot_micros() -> u64 {
    read(libc::CLOCK_BOOTTIME).or_else(|| read(libc::CLOCK_MONOTONIC)).unwrap_or(0)
}

fn read(id: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that lives through the call.
    #[allow(unsafe_code)]
    let done = unsafe { libc::clock_gettime(id, &mut time) };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    (done == 0).then(|| seconds * 1_000_000 + time.tv_nsec as u64 / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_agree_and_time_never_goes_back() {
        let clock = Clock::start();
        let copy = clock;
        let readings: Vec<Instant> = (0..100).flat_map(|_| [clock.now(), copy.now()]).collect();
        assert!(readings.is_sorted());
        assert!(readings[0].as_micros() < 10_000_000, "starts at zero");
    }
}
