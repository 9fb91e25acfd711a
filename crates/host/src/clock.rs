//! The wall clock, and whether somebody keeps it right. (Monotonic time comes from `ln6-netio`.)

use ln6_types::UnixTime;
use std::path::Path;
use std::time::SystemTime;

/// Whether the wall clock follows a time source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Synchronised {
    /// A time daemon says so.
    Yes,
    /// A time daemon runs and has not reached its source since boot.
    No,
    /// Nobody to ask.
    Unknown,
}

/// The wall clock; a clock before 1970 reads as the epoch.
pub fn wall() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime::from_secs(since.map_or(0, |span| span.as_secs()))
}

/// Asks systemd-timesyncd, which leaves a file when it has set the clock; other daemons are not asked.
pub fn synchronised() -> Synchronised {
    synchronised_in(Path::new("/run/systemd/timesync"))
}

fn synchronised_in(directory: &Path) -> Synchronised {
    if directory.join("synchronized").exists() {
        Synchronised::Yes
    } else if directory.exists() {
        Synchronised::No
    } else {
        Synchronised::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_past_the_writing_of_this_test() {
        assert!(wall().as_secs() > 1_750_000_000);
    }

    #[test]
    fn the_time_daemon_is_believed_only_when_it_left_its_mark() {
        let directory = std::env::temp_dir().join(format!("ln6-clock-{}", std::process::id()));
        assert_eq!(synchronised_in(&directory), Synchronised::Unknown);
        std::fs::create_dir_all(&directory).expect("create");
        assert_eq!(synchronised_in(&directory), Synchronised::No);
        std::fs::write(directory.join("synchronized"), b"").expect("write");
        assert_eq!(synchronised_in(&directory), Synchronised::Yes);
        std::fs::remove_dir_all(&directory).expect("remove");
    }
}
