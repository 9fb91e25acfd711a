//! Where the files of one node are.

use crate::error::CliError;
use nix::unistd::{Gid, Uid, User};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The paths of one node: all under one directory, or the system's places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The configuration.
    pub config: PathBuf,
    /// The private keys of this node.
    pub identity: PathBuf,
    /// What the node keeps across restarts.
    pub state: PathBuf,
    /// Stock WireGuard clients that were registered on this node.
    pub leaves: PathBuf,
    /// The root's private key, as `init` exports it; should not stay here.
    pub root_key: PathBuf,
    /// The broker's own certificate.
    pub certificate: PathBuf,
    /// The registry's database.
    pub registry: PathBuf,
    /// The API socket.
    pub socket: PathBuf,
    /// The directory of the admin page: who may log in, and its socket for a proxy.
    pub page: PathBuf,
    /// Held while a daemon runs.
    pub lock: PathBuf,
    /// As the operator has to type it: `ln6d`, or `ln6d --dir DIR`.
    pub command: String,
    system: bool,
}

impl Layout {
    /// Under `dir` if given, else the system's places.
    pub fn of(dir: Option<&Path>) -> Self {
        dir.map_or_else(Layout::system, Layout::under)
    }

    /// Everything under `dir`.
    pub fn under(dir: &Path) -> Self {
        let command = format!("ln6d --dir {}", quoted(&dir.to_string_lossy()));
        Layout::at(dir, dir, dir, command, false)
    }

    /// `/etc/ln6d`, `/var/lib/ln6d` and `/run/ln6d`.
    pub fn system() -> Self {
        let [etc, lib, run] = ["/etc/ln6d", "/var/lib/ln6d", "/run/ln6d"].map(Path::new);
        Layout::at(etc, lib, run, "ln6d".to_owned(), true)
    }

    fn at(etc: &Path, lib: &Path, run: &Path, command: String, system: bool) -> Self {
        Layout {
            config: etc.join("ln6d.toml"),
            identity: lib.join("identity.key"),
            state: lib.join("state"),
            leaves: lib.join("wireguard.json"),
            root_key: lib.join("root.key"),
            certificate: lib.join("broker.cert"),
            registry: lib.join("registry.db"),
            socket: run.join("ln6d.sock"),
            page: if system { lib.with_file_name("ln6d-admin") } else { lib.join("page") },
            lock: lib.join("ln6d.lock"),
            command,
            system,
        }
    }

    /// Makes the directories that are missing, private to the owner.
    pub fn create(&self) -> Result<(), CliError> {
        for file in [&self.config, &self.state, &self.socket] {
            let dir = parent(file);
            if dir.is_dir() {
                continue;
            }
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(|error| CliError::file("make", dir, &error))?;
            self.hand_over(dir)?;
        }
        Ok(())
    }

    /// Gives a file or directory that root has just made to the account under which the system's daemon runs.
    pub fn hand_over(&self, path: &Path) -> Result<(), CliError> {
        let Some((uid, gid)) = self.owner() else { return Ok(()) };
        super::owned::give(path, uid, gid).map_err(|error| CliError::file("give away", path, &error))
    }

    /// The daemon's account, if it has one of its own and we are root.
    fn owner(&self) -> Option<(Uid, Gid)> {
        if !self.system || !Uid::effective().is_root() {
            return None;
        }
        User::from_name("ln6d").ok().flatten().map(|user| (user.uid, user.gid))
    }

    /// Whether a node was set up here.
    pub fn has_config(&self) -> bool {
        self.config.exists()
    }
}

/// The directory of `file`.
pub(super) fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// The permission bits of `file`, if it exists.
pub(crate) fn mode(file: &Path) -> Option<u32> {
    fs::metadata(file).ok().map(|data| data.mode() & 0o777)
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=~".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::atomic::tests::TestDir;

    #[test]
    fn one_directory_holds_everything_of_a_node() {
        let layout = Layout::under(Path::new("/tmp/g 1"));
        assert_eq!(layout.config, Path::new("/tmp/g 1/ln6d.toml"));
        assert_eq!(layout.socket, Path::new("/tmp/g 1/ln6d.sock"));
        assert_eq!(layout.command, "ln6d --dir '/tmp/g 1'");
        assert_eq!(Layout::of(None).identity, Path::new("/var/lib/ln6d/identity.key"));
        assert_eq!(Layout::of(None).command, "ln6d");
    }

    #[test]
    fn directories_are_made_private() {
        let dir = TestDir::new();
        let layout = Layout::under(&dir.path().join("a/b"));
        layout.create().expect("made");
        assert_eq!(mode(&dir.path().join("a/b")), Some(0o700));
        layout.create().expect("again");
    }
}
