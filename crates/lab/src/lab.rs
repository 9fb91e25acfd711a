//! A lab: uniquely named namespaces and a directory, all gone when it is dropped, however that comes about.

use crate::{Namespace, is_root};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// All our namespaces begin with this, then `PID-COUNT-LABEL-NAME`.
const MARK: &str = "ln6-";

/// Waits for the owner's end of the pipe to close (dropped, exited, panicked or killed), then removes everything.
/// `$1` is the beginning of the namespaces' names, `$2` the lab's directory.
const REAPER: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for ns in $(ip netns list | cut -d' ' -f1); do
  case $ns in "$1"*) ;; *) continue ;; esac
  for round in 1 2 3 4 5; do
    pids=$(ip netns pids "$ns" 2>/dev/null)
    [ -n "$pids" ] || break
    kill -KILL $pids 2>/dev/null
  done
  ip netns del "$ns" 2>/dev/null
  rm -rf -- "/etc/netns/$ns"
done
rm -rf -- "$2"
"#;

static COUNT: AtomicU32 = AtomicU32::new(0);
static TURN: Turn = Turn { busy: Mutex::new(false), freed: Condvar::new() };

/// Namespaces that exist as long as this value.
///
/// A child shell holds the other end of a pipe and removes namespaces, processes in them and the directory when
/// the pipe closes; so they vanish after a panic, and after `SIGKILL` of this process, too. Should the shell be
/// killed as well, the next [`Lab::new`] on the machine sweeps what dead processes left.
#[derive(Debug)]
pub struct Lab {
    stem: String,
    directory: PathBuf,
    namespaces: Vec<Namespace>,
    reaper: Child,
    _turn: Taken,
}

impl Lab {
    /// Makes an empty lab. `label` (letters and digits) becomes part of the namespaces' names.
    ///
    /// # Errors
    /// Not root, a bad label, no temporary directory, or another lab of this process lives for an hour.
    pub fn new(label: &str) -> Result<Self> {
        ensure!(is_root(), "network namespaces need root");
        ensure!(
            !label.is_empty() && label.len() <= 16 && label.bytes().all(|b| b.is_ascii_alphanumeric()),
            "a lab's label is 1 to 16 letters and digits, not {label:?}"
        );
        let turn = TURN.take(Duration::from_secs(3600))?;
        sweep();
        let stem = format!("{MARK}{}-{}-{label}-", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(stem.trim_end_matches('-'));
        make_private_directory(&directory)?;
        let reaper = start_reaper(&stem, &directory)?;
        Ok(Self { stem, directory, namespaces: Vec::new(), reaper, _turn: turn })
    }

    /// Makes a namespace with the loopback interface up.
    ///
    /// # Errors
    /// What `ip` says, for instance that the name is taken.
    pub fn namespace(&mut self, name: &str) -> Result<Namespace> {
        let full = format!("{}{name}", self.stem);
        crate::namespace::call(Command::new("ip").args(["netns", "add", &full]))?;
        let namespace = Namespace::new(name, &full, &self.directory);
        namespace.ip(&["link set lo up"])?;
        self.namespaces.push(namespace.clone());
        Ok(namespace)
    }

    /// The lab's own directory, removed with it; the logs of spawned processes are here.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// All namespaces made so far, in order.
    pub fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }

    /// Lets the names resolve in every namespace made so far, through a `hosts` file that `ip netns exec` puts
    /// over the machine's.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn hosts(&self, entries: &[(&str, &str)]) -> Result<()> {
        let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
        for (address, name) in entries {
            text.push_str(&format!("{address} {name}\n"));
        }
        for namespace in &self.namespaces {
            let directory = Path::new("/etc/netns").join(namespace.full_name());
            std::fs::create_dir_all(&directory).context("making /etc/netns")?;
            std::fs::write(directory.join("hosts"), &text).context("writing a hosts file")?;
        }
        Ok(())
    }

    /// The last `lines` lines of every log in the lab, each under its name; empty logs are left out.
    pub fn logs(&self, lines: usize) -> String {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&self.directory)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        paths.sort();
        let mut text = String::new();
        for path in paths {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let log = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = log.lines().collect();
            if all.is_empty() {
                continue;
            }
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            text.push_str(&format!("----- {name} (last {lines} of {} lines)\n", all.len()));
            for line in &all[all.len().saturating_sub(lines)..] {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs(60));
        }
        drop(self.reaper.stdin.take());
        if let Err(error) = self.reaper.wait() {
            eprintln!("the lab may not be gone: {error}");
        }
    }
}

fn start_reaper(stem: &str, directory: &Path) -> Result<Child> {
    use std::os::unix::process::CommandExt;
    Command::new("sh")
        .args(["-c", REAPER, "reaper", stem])
        .arg(directory)
        .process_group(0) // the terminal's Ctrl-C ends the owner, not the one who cleans up after it
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("starting the shell that cleans up")
}

fn make_private_directory(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path).with_context(|| format!("making {}", path.display()))
}

/// Removes namespaces and directories whose owner is dead, through the same script.
fn sweep() {
    let mut stems: Vec<String> = Vec::new();
    let names = [Path::new("/run/netns").to_path_buf(), std::env::temp_dir()]
        .into_iter()
        .filter_map(|directory| std::fs::read_dir(directory).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()));
    for name in names {
        if let Some(stem) = stem_of_dead_owner(&name, |pid| Path::new(&format!("/proc/{pid}")).exists()) {
            stems.push(stem);
        }
    }
    stems.sort();
    stems.dedup();
    for stem in stems {
        let directory = std::env::temp_dir().join(stem.trim_end_matches('-'));
        if let Ok(mut reaper) = start_reaper(&stem, &directory) {
            drop(reaper.stdin.take());
            let _ = reaper.wait();
        }
    }
}

/// `ln6-PID-COUNT-LABEL-` of a namespace or directory name, when no process PID lives.
fn stem_of_dead_owner(name: &str, lives: impl Fn(u32) -> bool) -> Option<String> {
    let mut parts = name.strip_prefix(MARK)?.splitn(4, '-');
    let pid: u32 = parts.next()?.parse().ok()?;
    let count: u32 = parts.next()?.parse().ok()?;
    let label = parts.next().filter(|label| !label.is_empty())?;
    (!lives(pid)).then(|| format!("{MARK}{pid}-{count}-{label}-"))
}

/// Only one lab in a process.
#[derive(Debug)]
struct Turn {
    busy: Mutex<bool>,
    freed: Condvar,
}

#[derive(Debug)]
struct Taken;

impl Turn {
    fn take(&self, patience: Duration) -> Result<Taken> {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut busy, waited) = self
            .freed
            .wait_timeout_while(busy, patience, |busy| *busy)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            bail!("another lab of this process was not dropped");
        }
        *busy = true;
        Ok(Taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *TURN.busy.lock().unwrap_or_else(PoisonError::into_inner) = false;
        TURN.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_owners_are_swept() {
        let nobody_but_7 = |pid| pid == 7;
        assert_eq!(stem_of_dead_owner("ln6-8-0-demo-g1", nobody_but_7).as_deref(), Some("ln6-8-0-demo-"));
        assert_eq!(stem_of_dead_owner("ln6-8-0-demo", nobody_but_7).as_deref(), Some("ln6-8-0-demo-"));
        assert_eq!(stem_of_dead_owner("ln6-7-0-demo-g1", nobody_but_7), None);
        for foreign in ["ln6-", "ln6-8", "ln6-8-0", "ln6-8-0-", "ln6-x-0-demo", "other-8-0-demo-g1", "ln6d"] {
            assert_eq!(stem_of_dead_owner(foreign, |_| false), None, "{foreign}");
        }
    }
}
