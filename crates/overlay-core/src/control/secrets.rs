//! Randomness as an argument, in two kinds that must not be mixed.

/// Secret octets: the operating system's generator in the daemon (drawn anew each time, so that nobody who later reads
/// memory can recompute ephemeral keys), a seeded stream in the simulator.
pub trait Secrets: Send {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);
}

impl<F: FnMut(&mut [u8]) + Send> Secrets for F {
    fn fill(&mut self, out: &mut [u8]) {
        self(out);
    }
}

/// `N` secret octets.
pub(crate) fn draw<const N: usize>(secrets: &mut dyn Secrets) -> [u8; N] {
    let mut out = [0; N];
    secrets.fill(&mut out);
    out
}

/// Timer noise: SplitMix64, seeded, never used for secrets.
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Jitter(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound` milliseconds.
    pub(crate) fn millis(&mut self, bound: u64) -> core::time::Duration {
        core::time::Duration::from_millis(self.next() % bound.max(1))
    }
}
