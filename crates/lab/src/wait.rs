//! Waiting for a condition with a deadline, never for a length of time.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(50);

/// Asks `condition` until it is true.
///
/// # Errors
/// Names `what` when `deadline` passes first.
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    wait_for(what, deadline, || if condition() { Ok(()) } else { Err(String::new()) })
}

/// Asks `attempt` until it succeeds and returns its value.
///
/// # Errors
/// Names `what` and the last failure when `deadline` passes first. The attempt is made at least once.
pub fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> Result<T> {
    let begin = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(why) if begin.elapsed() >= deadline => {
                let seconds = deadline.as_secs_f32();
                if why.is_empty() {
                    bail!("waited {seconds} s in vain for {what}");
                }
                bail!("waited {seconds} s in vain for {what}: {why}");
            }
            Err(_) => std::thread::sleep(PERIOD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_turns_true_ends_the_waiting() {
        let mut asked = 0;
        wait_until("three questions", Duration::from_secs(5), || {
            asked += 1;
            asked == 3
        })
        .unwrap();
        assert_eq!(asked, 3);
    }

    #[test]
    fn the_deadline_names_what_was_missing_and_the_last_reason() {
        let error =
            wait_for::<()>("rain", Duration::ZERO, || Err("blue sky".into())).unwrap_err().to_string();
        assert!(error.contains("rain") && error.contains("blue sky"), "{error}");
    }
}
