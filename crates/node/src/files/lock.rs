//! One directory, one daemon.

use crate::error::{CliError, Trouble};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Held for the life of a daemon; the kernel lets go of it with the process, however that ends.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] Flock<File>); // held, never read

impl Lock {
    /// Takes the lock and writes our process number into it; names the holder if another process has it.
    pub fn take(path: &Path) -> Result<Self, CliError> {
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = opened.map_err(|error| CliError::file("open", path, &error))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut held) => {
                sign(&mut held).map_err(|error| CliError::file("write", path, &error))?;
                Ok(Lock(held))
            }
            Err((file, Errno::EWOULDBLOCK)) => Err(running(path, file)),
            Err((_, errno)) => Err(CliError::file("lock", path, &errno.into())),
        }
    }
}

fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn running(path: &Path, file: File) -> CliError {
    let mut text = String::new();
    // Whatever cannot be read leaves the process unnamed.
    let _ = file.take(20).read_to_string(&mut text);
    let dir = path.parent().unwrap_or(path).display();
    let who = text.trim().parse::<u32>().map_or_else(|_| String::new(), |pid| format!(" (process {pid})"));
    CliError::new(Trouble::AlreadyRunning, format!("another ln6d{who} runs on {dir}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::atomic::tests::TestDir;

    #[test]
    fn a_second_daemon_is_told_who_runs() {
        let dir = TestDir::new();
        let path = dir.path().join("ln6d.lock");
        let held = Lock::take(&path).expect("free");
        let error = Lock::take(&path).expect_err("held");
        assert_eq!(error.code, "already_running");
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        Lock::take(&path).expect("free again");
    }
}
