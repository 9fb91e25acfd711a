//! Writing files whole or not at all: a temporary file beside the target, synced, then renamed, then the directory
//! synced.

use super::layout::parent;
use crate::error::{CliError, Trouble};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Replaces `path` with `bytes`; the mode is 0600. After an error the old file is unchanged.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    put(path, bytes, |temporary| fs::rename(temporary, path))
}

/// Creates `path` with `bytes`, mode 0600; refuses if it exists, even if it appears meanwhile.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let linked = put(path, bytes, |temporary| {
        fs::hard_link(temporary, path)?;
        fs::remove_file(temporary)
    });
    if linked.is_err() && path.exists() {
        return Err(CliError::new(Trouble::AlreadyExists, format!("{} exists already", path.display())));
    }
    linked
}

fn put(path: &Path, bytes: &[u8], place: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), CliError> {
    let temporary = beside(path);
    let done = write_synced(&temporary, bytes)
        .and_then(|()| place(&temporary))
        .and_then(|()| File::open(parent(path))?.sync_all());
    done.map_err(|error| {
        // Nothing can be done if this fails too; the name is reused by the next attempt.
        let _ = fs::remove_file(&temporary);
        CliError::file("write", path, &error)
    })
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A leftover of a crashed process with our number; nobody else writes under this name.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new-{}", std::process::id()))
}

/// Moves `path` out of the way, to the first free `path.WORD-N`, and says where it is. Overwrites nothing.
pub fn keep_aside(path: &Path, word: &str) -> Result<PathBuf, CliError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for number in 1..10_000 {
        let aside = path.with_file_name(format!("{name}.{word}-{number}"));
        match fs::hard_link(path, &aside).and_then(|()| fs::remove_file(path)) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(CliError::file("keep aside", path, &error)),
        }
    }
    Err(CliError::new(Trouble::FileTrouble, format!("there are too many {name}.{word}-… files")))
}

/// Reads a file of at most `most` octets; `None` if there is none.
pub fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, CliError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CliError::file("read", path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| CliError::file("read", path, &error))?;
    if bytes.len() as u64 > most {
        let message = format!("{} has more than {most} octets and cannot be right", path.display());
        return Err(CliError::new(Trouble::FileTrouble, message));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::files::layout::mode;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory that goes away with the test.
    pub(crate) struct TestDir(PathBuf);

    impl TestDir {
        pub(crate) fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("ln6d-test-{}-{number}", std::process::id()));
            fs::create_dir_all(&path).expect("directory");
            TestDir(path)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for TestDir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn names(dir: &TestDir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).expect("list");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_private_and_without_leftovers() {
        let dir = TestDir::new();
        let path = dir.path().join("state");
        replace(&path, b"one").expect("written");
        replace(&path, b"two").expect("replaced");
        assert_eq!(read(&path, 100).expect("read"), Some(b"two".to_vec()));
        assert_eq!(mode(&path), Some(0o600));
        assert_eq!(names(&dir), ["state"]);
    }

    #[test]
    fn what_exists_is_not_created_again() {
        let dir = TestDir::new();
        let path = dir.path().join("identity.key");
        create(&path, b"mine").expect("created");
        let error = create(&path, b"other").expect_err("exists");
        assert_eq!(error.code, "already_exists");
        assert_eq!(fs::read(&path).expect("read"), b"mine");
        assert_eq!(names(&dir), ["identity.key"]);
    }

    #[test]
    fn keeping_aside_never_overwrites() {
        let dir = TestDir::new();
        let path = dir.path().join("state");
        for content in [b"a", b"b"] {
            fs::write(&path, content).expect("write");
            keep_aside(&path, "damaged").expect("aside");
        }
        assert_eq!(names(&dir), ["state.damaged-1", "state.damaged-2"]);
        assert_eq!(fs::read(dir.path().join("state.damaged-1")).expect("read"), b"a");
    }

    #[test]
    fn a_missing_directory_and_a_huge_file_are_errors_with_the_path() {
        let dir = TestDir::new();
        let error = replace(&dir.path().join("no/such/file"), b"").expect_err("no directory");
        assert!(error.message.contains("no/such/file"), "{error}");
        fs::write(dir.path().join("big"), [0; 11]).expect("write");
        assert_eq!(read(&dir.path().join("big"), 10).expect_err("too large").code, "file_trouble");
        assert_eq!(read(&dir.path().join("none"), 10).expect("missing"), None);
    }
}
