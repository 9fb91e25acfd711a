//! Secret randomness as an argument. Timer noise is another kind, which must not be mixed with it: `ln6_types::Jitter`.

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
