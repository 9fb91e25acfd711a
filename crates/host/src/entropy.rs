//! Randomness from the operating system; the only place a node draws it.

use thiserror::Error;

/// The operating system gave no randomness; nothing that needs a key may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the operating system gives no randomness: {0}")]
pub struct EntropyError(getrandom::Error);

/// Fills `out` (blocks only before the kernel's pool is first ready, early at boot).
pub fn fill(out: &mut [u8]) -> Result<(), EntropyError> {
    getrandom::fill(out).map_err(EntropyError)
}

/// `N` random octets.
pub fn bytes<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut out = [0; N];
    fill(&mut out)?;
    Ok(out)
}

/// A random number, as a seed for jitter.
pub fn seed() -> Result<u64, EntropyError> {
    bytes().map(u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>(), bytes::<32>());
    }
}
