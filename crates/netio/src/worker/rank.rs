//! What the kernel is asked for so that a worker runs when it has something to do: `SCHED_RR` of the lowest priority.

use super::WorkerCounters;
use super::credit::{Allowance, Credit, Rank};
use crate::poll::check;
use ln6_types::Instant;
use portable_atomic::{AtomicBool, AtomicU64, Ordering};
use std::io;
use std::sync::Arc;

/// The lowest of 99: whatever else on the machine asks for real time goes before us.
const LOWEST: libc::c_int = 1;

/// What became of a worker's wish to go first.
#[derive(Debug, Default)]
pub struct PriorityCounters {
    /// It goes first, unless it has used up its credit.
    pub on: AtomicBool,
    /// The kernel refused it.
    pub refused: AtomicBool,
    /// How often the credit was used up.
    pub exhausted: AtomicU64,
}

/// Lets this process raise its own threads to the lowest real-time priority after it has given up its privileges.
///
/// # Errors
/// `EPERM` where not even root may, as in most containers.
pub fn allow_priority() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let least = LOWEST as libc::rlim_t;
    // SAFETY: `limit` is a valid record that lives through both calls.
    #[allow(unsafe_code)]
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_RTPRIO, &mut limit))?;
        if limit.rlim_cur >= least {
            return Ok(());
        }
        limit = libc::rlimit { rlim_cur: least, rlim_max: limit.rlim_max.max(least) };
        check(libc::setrlimit(libc::RLIMIT_RTPRIO, &limit)).map(drop)
    }
}

/// Whether and when this thread goes first.
#[derive(Debug)]
pub(super) struct Priority {
    credit: Credit,
    /// What the kernel was told last.
    told: Rank,
    wanted: bool,
    counters: Arc<WorkerCounters>,
}

impl Priority {
    pub(super) fn new(now: Instant, allowance: Allowance, counters: Arc<WorkerCounters>) -> Self {
        Priority { credit: Credit::new(now, allowance), told: Rank::Equal, wanted: false, counters }
    }

    /// Goes first from now on, as far as the credit reaches, or never.
    pub(super) fn want(&mut self, on: bool) {
        let counters = &self.counters.priority;
        self.wanted = on;
        counters.refused.store(false, Ordering::Relaxed);
        counters.on.store(on, Ordering::Relaxed);
        self.take(if on { self.credit.rank() } else { Rank::Equal });
    }

    pub(super) fn worked(&mut self, now: Instant) {
        let rank = self.credit.worked(now);
        if self.wanted && rank != self.told {
            self.counters.priority.exhausted.fetch_add(1, Ordering::Relaxed);
            self.take(rank);
        }
    }

    pub(super) fn slept(&mut self, now: Instant) {
        let rank = self.credit.slept(now);
        if self.wanted && rank != self.told {
            self.take(rank);
        }
    }

    /// Tells the kernel. Where it refuses, it is not asked again.
    fn take(&mut self, rank: Rank) {
        if rank == self.told {
            return;
        }
        match tell(rank) {
            Ok(()) => self.told = rank,
            Err(error) => {
                self.wanted = false;
                self.counters.priority.on.store(false, Ordering::Relaxed);
                self.counters.priority.refused.store(true, Ordering::Relaxed);
                tracing::info!(%error, "workers run at the usual priority: pings may wait under load");
            }
        }
    }
}

/// For the calling thread. Not by the C library's function: musl's refuses without asking the kernel.
fn tell(rank: Rank) -> io::Result<()> {
    let (policy, priority) = match rank {
        Rank::First => (libc::SCHED_RR, LOWEST),
        Rank::Equal => (libc::SCHED_OTHER, 0),
    };
    // Whatever this thread starts does not inherit it; the mark cannot be taken back without privileges, so it always stays.
    let policy = policy | libc::SCHED_RESET_ON_FORK;
    // `struct sched_param` of the kernel: one number.
    let parameter: libc::c_int = priority;
    // SAFETY: the kernel reads one number from `parameter`, which lives through the call.
    #[allow(unsafe_code)]
    let told = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const parameter) };
    if told < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calling thread's policy, as the kernel shows it.
    fn policy() -> libc::c_int {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The 41st field; the second one ends with the last parenthesis.
        stat.rsplit(')').next().unwrap().split_whitespace().nth(38).unwrap().parse().unwrap()
    }

    #[test]
    fn the_kernel_follows_the_credit_down_and_up_again() {
        let counters = Arc::new(WorkerCounters::default());
        let at = Instant::from_micros;
        let mut priority = Priority::new(at(0), Allowance::of(1, 1), Arc::clone(&counters));
        priority.worked(at(1));
        assert_eq!(policy(), libc::SCHED_OTHER, "nobody wanted it");
        priority.want(true);
        if counters.priority.refused.load(Ordering::Relaxed) {
            assert!(!counters.priority.on.load(Ordering::Relaxed));
            priority.slept(at(1_000_000));
            assert_eq!(policy(), libc::SCHED_OTHER, "refused: not asked again");
            return;
        }
        assert_eq!(policy(), libc::SCHED_RR);
        priority.worked(at(20_000));
        assert_eq!(policy(), libc::SCHED_OTHER);
        priority.slept(at(30_000));
        assert_eq!(policy(), libc::SCHED_RR);
        assert_eq!(counters.priority.exhausted.load(Ordering::Relaxed), 1);
        priority.want(false);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
