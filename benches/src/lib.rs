//! Criterion benchmarks of the packet path; see `cargo xtask bench`.
