//! The program `git`, run so that neither the repository nor anybody's settings can make it do more than fetch and read:
//! an empty environment, a configuration of our own, one protocol, no hooks, no work tree, no links, and limits of time,
//! size and depth.

use super::halt::Halt;
use super::listing::{FILES, Listing, listing};
use super::shown::shown;
use super::tree::{blobs, is_id, tree};
use super::url::Source;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Commits that are fetched. More new ones than this at once look like another history.
const DEPTH: &str = "--depth=500";
/// Octets of the largest file the program may write: 64 MiB, in blocks of 512. Memory: 2 GiB, in KiB.
const LIMITS: &str = "ulimit -c 0; ulimit -f 131072; ulimit -v 2097152; exec git \"$@\"";
/// Octets kept on disk; beyond that the repository is fetched anew.
const DISK: u64 = 128 << 20;
/// Packs kept; beyond that the repository is fetched anew.
const PACKS: usize = 64;
/// Octets of a listing of files, and of all their contents.
const TREE: usize = 8 << 20;
const CONTENTS: usize = 48 << 20;
/// How long a fetch may take, and everything else.
const FETCH: Duration = Duration::from_secs(120);
const READ: Duration = Duration::from_secs(20);
const INCOMING: &str = "refs/ln6d/incoming";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why nothing was read.
#[derive(Debug, Error)]
pub enum GitError {
    /// It is not installed.
    #[error("the program 'git' is not installed")]
    NoProgram,
    /// The repository does not answer, or not as one.
    #[error("{0}")]
    Unreachable(String),
    /// There is no such branch.
    #[error("the repository has no branch '{0}'")]
    NoBranch(String),
    /// Larger than any key list.
    #[error("{0} is larger than a key list may be")]
    TooLarge(&'static str),
    /// It took too long.
    #[error("the repository did not answer within {} s", .0.as_secs())]
    TooSlow(Duration),
    /// The broker ends.
    #[error("the broker is stopping")]
    Stopped,
    /// The folder is not in the commit.
    #[error("the commit has no folder '{0}'")]
    NoFolder(String),
    /// What came out is not understood.
    #[error("what git says is not understood: {0}")]
    Odd(String),
    /// Our own files.
    #[error("the key list's files cannot be written: {0}")]
    Disk(#[from] io::Error),
}

/// A copy of the repository, of which only objects are used.
pub struct Git {
    folder: PathBuf,
    source: Source,
    branch: Option<String>,
    within: Option<String>,
    signers: Option<PathBuf>,
    ssh_key: Option<PathBuf>,
    halt: Halt,
}

struct Ran {
    status: ExitStatus,
    out: Vec<u8>,
    words: String,
}

impl Git {
    /// In `folder`, which is ours alone.
    pub(super) fn new(settings: &super::Settings, halt: Halt) -> Self {
        Git {
            folder: settings.folder.clone(),
            source: settings.source.clone(),
            branch: settings.branch.clone(),
            within: settings.within.clone(),
            signers: settings.signers.clone(),
            ssh_key: settings.ssh_key.clone(),
            halt,
        }
    }

    fn repository(&self) -> PathBuf {
        self.folder.join("repository.git")
    }

    fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("gitconfig")
    }

    /// Forgets what was fetched: it is another repository from now on.
    pub(super) fn forget(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.repository()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Brings the newest commit of the branch, and says which it is.
    pub fn fetch(&self) -> Result<String, GitError> {
        self.prepare()?;
        let from = self.branch.as_ref().map_or("HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
        let wanted = format!("+{from}:{INCOMING}");
        let words = [
            "fetch",
            "--quiet",
            "--force",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--update-shallow",
            DEPTH,
            "list",
            &wanted,
        ];
        let ran = self.run(&words, Vec::new(), 4096, FETCH)?;
        if !ran.status.success() {
            return Err(self.no_fetch(&ran.words));
        }
        self.tip()
    }

    fn tip(&self) -> Result<String, GitError> {
        let name = format!("{INCOMING}^{{commit}}");
        let ran = self.run(&["rev-parse", "--verify", "--quiet", &name], Vec::new(), 4096, READ)?;
        let id = String::from_utf8_lossy(&ran.out).trim().to_owned();
        if ran.status.success() && is_id(&id) { Ok(id) } else { Err(GitError::Odd(shown(&ran.out))) }
    }

    fn no_fetch(&self, words: &str) -> GitError {
        if words.contains("couldn't find remote ref") {
            return GitError::NoBranch(self.branch.clone().unwrap_or_else(|| "HEAD".to_owned()));
        }
        if words.contains("File too large") || words.contains("signal 25") || words.contains("Out of memory")
        {
            return GitError::TooLarge("the repository");
        }
        let hidden = words.replace(self.source.expose(), &self.source.to_string());
        let line = hidden.lines().rev().find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
        let line = line.or_else(|| hidden.lines().last()).unwrap_or("git said nothing");
        let text: String =
            line.trim_start_matches("fatal: ").trim_start_matches("error: ").chars().take(240).collect();
        GitError::Unreachable(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
    }

    /// Whether `new` comes after `old` in one history.
    pub fn follows(&self, old: &str, new: &str) -> Result<bool, GitError> {
        if !is_id(old) || !is_id(new) {
            return Ok(false);
        }
        let ran = self.run(&["merge-base", "--is-ancestor", old, new], Vec::new(), 4096, READ)?;
        // 1: it does not; 128: the old one is not there any more.
        Ok(ran.status.success())
    }

    /// Whether a commit is signed by one of the allowed signers; `true` if none are asked for.
    pub fn is_signed(&self, commit: &str) -> Result<bool, GitError> {
        if self.signers.is_none() {
            return Ok(true);
        }
        Ok(self.run(&["verify-commit", commit], Vec::new(), 64 << 10, READ)?.status.success())
    }

    /// The list of a commit.
    pub fn read(&self, commit: &str) -> Result<Listing, GitError> {
        let whole = match &self.within {
            Some(folder) => format!("{commit}:{folder}"),
            None => commit.to_owned(),
        };
        let ran = self.run(&["ls-tree", "-z", "-l", &whole], Vec::new(), TREE, READ)?;
        if !ran.status.success() {
            return Err(match &self.within {
                Some(folder) => GitError::NoFolder(folder.clone()),
                None => GitError::Odd(shown(ran.words.as_bytes())),
            });
        }
        let files = tree(&ran.out).ok_or_else(|| GitError::Odd("ls-tree".to_owned()))?;
        if files.len() > FILES {
            return Err(GitError::TooLarge("the list of files"));
        }
        let mut trouble = None;
        let list = listing(&files, |ids| match self.contents(ids) {
            Ok(contents) => Some(contents),
            Err(error) => {
                trouble = Some(error);
                None
            }
        });
        list.ok_or_else(|| trouble.unwrap_or(GitError::TooLarge("the list of files")))
    }

    fn contents(&self, ids: &[&str]) -> Result<Vec<Vec<u8>>, GitError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let asked = (ids.join("\n") + "\n").into_bytes();
        let ran = self.run(&["cat-file", "--batch"], asked, CONTENTS, READ)?;
        let contents = blobs(&ran.out, ids).ok_or_else(|| GitError::Odd("cat-file".to_owned()))?;
        Ok(contents.into_iter().map(<[u8]>::to_vec).collect())
    }

    /// Our folder, our settings, an empty repository if there is none or it has grown too large.
    fn prepare(&self) -> Result<(), GitError> {
        for folder in [&self.folder, &self.home()] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        fs::write(self.settings(), self.configuration())?;
        let (octets, packs) = weight(&self.repository());
        if octets > DISK || packs > PACKS {
            self.forget()?;
        }
        if !self.repository().join("HEAD").exists() {
            self.forget()?;
            let path = self.repository().to_string_lossy().into_owned();
            let ran =
                self.run(&["init", "--quiet", "--bare", "--template=", &path], Vec::new(), 4096, READ)?;
            if !ran.status.success() {
                return Err(GitError::Odd(shown(ran.words.as_bytes())));
            }
        }
        Ok(())
    }

    /// Everything that `git` is told; nobody else's settings are read. The address is here and not among the arguments,
    /// which every user of the machine can see.
    fn configuration(&self) -> String {
        let mut out = String::new();
        let mut section = |name: &str, lines: &[(&str, &str)]| {
            let _ = writeln!(out, "[{name}]");
            for (word, value) in lines {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
                let _ = writeln!(out, "\t{word} = \"{value}\"");
            }
        };
        let ssh = self.ssh_command();
        let path = self.source.expose();
        let path = path.strip_prefix("file://").unwrap_or(path);
        let inner = format!("{path}/.git");
        section(
            "core",
            &[
                ("hooksPath", "/dev/null"),
                ("fsmonitor", "false"),
                ("symlinks", "false"),
                ("askPass", "/bin/false"),
                ("sshCommand", &ssh),
                ("attributesFile", "/dev/null"),
                ("excludesFile", "/dev/null"),
                ("bigFileThreshold", "1m"),
                ("pager", "cat"),
                ("editor", "/bin/false"),
            ],
        );
        section("protocol", &[("allow", "never")]);
        section(&format!("protocol \"{}\"", self.source.protocol()), &[("allow", "always")]);
        section(
            "fetch",
            &[
                ("fsckObjects", "true"),
                ("unpackLimit", "1"),
                ("recurseSubmodules", "false"),
                ("writeCommitGraph", "false"),
            ],
        );
        section("transfer", &[("fsckObjects", "true"), ("bundleURI", "false")]);
        section("pack", &[("threads", "1")]);
        section("gc", &[("auto", "0")]);
        section("credential", &[("helper", "")]);
        section("http", &[("lowSpeedLimit", "100"), ("lowSpeedTime", "30")]);
        if self.source.protocol() == "file" {
            section("safe", &[("directory", path), ("directory", &inner)]);
        }
        section("gpg", &[("program", "/bin/false"), ("minTrustLevel", "fully")]);
        section("gpg \"x509\"", &[("program", "/bin/false")]);
        if let Some(signers) = &self.signers {
            section("gpg \"ssh\"", &[("allowedSignersFile", &signers.to_string_lossy())]);
        }
        section("remote \"list\"", &[("url", self.source.expose())]);
        out
    }

    fn ssh_command(&self) -> String {
        let hosts = quoted(&self.folder.join("known_hosts"));
        let key = match &self.ssh_key {
            Some(key) => format!("-i {} -o IdentitiesOnly=yes", quoted(key)),
            None => "-o IdentitiesOnly=yes".to_owned(),
        };
        format!(
            "ssh -F none -a -x -T -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={hosts} \
             -o ConnectTimeout=20 -o ProxyCommand=none -o PermitLocalCommand=no -o ClearAllForwardings=yes {key}"
        )
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LIMITS, "git"]);
        if words.first() != Some(&"init") {
            command.arg("--git-dir").arg(self.repository());
        }
        command.args(["--no-pager", "--literal-pathspecs"]).args(words);
        command.env_clear().current_dir(self.home());
        let home = self.home();
        for word in ["HOME", "XDG_CONFIG_HOME", "TMPDIR"] {
            command.env(word, &home);
        }
        command.env("GIT_CONFIG_GLOBAL", self.settings());
        for (word, value) in [
            ("PATH", PATH),
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "/bin/false"),
            ("SSH_ASKPASS", "/bin/false"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_ALLOW_PROTOCOL", self.source.protocol()),
            ("GIT_PROTOCOL_FROM_USER", "0"),
        ] {
            command.env(word, value);
        }
        command
    }

    /// Runs it to its end, to the limit of time, or until the broker stops.
    fn run(&self, words: &[&str], input: Vec<u8>, most: usize, patience: Duration) -> Result<Ran, GitError> {
        if self.halt.is_stopped() {
            return Err(GitError::Stopped);
        }
        let mut command = self.command(words);
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        self.halt.started(child.id());
        let (tell, told) = mpsc::channel();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // Ends when the program does, or closes its input; a broken pipe is the program's own business.
        std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        for (pipe, stream) in [
            (Pipe::Out, stdout.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>)),
            (Pipe::Words, stderr.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>)),
        ] {
            let tell = tell.clone();
            let most = if pipe == Pipe::Out { most } else { 16 << 10 };
            std::thread::spawn(move || drop(tell.send((pipe, drain(stream, most)))));
        }
        drop(tell);
        let heard = listen(&told, Instant::now() + patience);
        if heard.is_none() || heard.as_ref().is_some_and(|(out, _)| out.1) {
            self.halt.kill();
        }
        self.halt.ended();
        let status = child.wait()?;
        if self.halt.is_stopped() {
            return Err(GitError::Stopped);
        }
        let Some(((out, over), (words, _))) = heard else { return Err(GitError::TooSlow(patience)) };
        match status.code() {
            _ if over => Err(GitError::TooLarge("what git prints")),
            Some(127) => Err(GitError::NoProgram),
            _ => Ok(Ran { status, out, words: String::from_utf8_lossy(&words).into_owned() }),
        }
    }
}

/// In single quotes, for the shell that runs `ssh`.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pipe {
    Out,
    Words,
}

/// What was read, and whether there was more.
type Heard = (Vec<u8>, bool);

/// Reads up to `most` octets; more of what is said on the side is thrown away, more output ends the reading.
fn drain(stream: Option<Box<dyn Read + Send>>, most: usize) -> Heard {
    let mut octets = Vec::new();
    let Some(mut stream) = stream else { return (octets, false) };
    // What broke off is judged by the exit status.
    let _ = stream.by_ref().take(most as u64 + 1).read_to_end(&mut octets);
    let over = octets.len() > most;
    octets.truncate(most);
    (octets, over)
}

/// Both pipes to their end; `None` if that takes too long.
fn listen(told: &mpsc::Receiver<(Pipe, Heard)>, until: Instant) -> Option<(Heard, Heard)> {
    let (mut out, mut words) = (None, None);
    while out.is_none() || words.is_none() {
        match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((Pipe::Out, heard)) => {
                let over = heard.1;
                out = Some(heard);
                if over {
                    return Some((out.unwrap_or_default(), words.unwrap_or_default()));
                }
            }
            Ok((Pipe::Words, heard)) => words = Some(heard),
            Err(_) => return None,
        }
    }
    Some((out.unwrap_or_default(), words.unwrap_or_default()))
}

/// Octets and packs of a repository.
fn weight(repository: &Path) -> (u64, usize) {
    let Ok(packs) = fs::read_dir(repository.join("objects/pack")) else { return (0, 0) };
    packs.flatten().fold((0, 0), |(octets, count), file| {
        let pack = file.path().extension().is_some_and(|ending| ending == "pack");
        (octets + file.metadata().map_or(0, |data| data.len()), count + usize::from(pack))
    })
}
