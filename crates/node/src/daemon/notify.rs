//! Tells people who do not look: a program of theirs is run with a letter on its standard input. On a thread of its own,
//! without capabilities, at most once a minute.

mod watch;

use crate::config::Notify;
use crate::schema::{Problem, RequestRow, Severity};
use ln6_types::UnixTime;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use watch::Watch;

/// Looks that may wait for the thread; more are left out, the next one says the same.
const LOOKS: usize = 8;
/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(30);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What was seen.
pub(crate) enum Look {
    /// Everything that is wrong now.
    Problems(Vec<Problem>),
    /// Everybody who waits now.
    Requests(Vec<RequestRow>),
}

/// The way to the thread; it ends when this is dropped, or as soon as the program that it runs has.
pub(crate) struct Notifier {
    looks: SyncSender<(UnixTime, Look)>,
    trouble: Arc<Mutex<Option<Problem>>>,
    /// Whether requests are of interest.
    pub(crate) requests: bool,
}

impl Notifier {
    /// Starts the thread.
    pub(crate) fn start(notify: Notify, node: String, now: UnixTime) -> std::io::Result<Self> {
        let (looks, inbox) = sync_channel(LOOKS);
        let trouble = Arc::new(Mutex::new(None));
        let (requests, told) = (notify.requests, Arc::clone(&trouble));
        let run = move || {
            super::privileges::drop_all();
            tell(&notify, Watch::new(node, now, notify.requests, notify.trouble), &inbox, &told);
        };
        std::thread::Builder::new().name("ln6d-notify".to_owned()).spawn(run)?;
        Ok(Notifier { looks, trouble, requests })
    }

    /// Shows it what is seen now.
    pub(crate) fn look(&self, now: UnixTime, look: Look) {
        // Busy with the program: the next look says the same.
        drop(self.looks.try_send((now, look)));
    }

    /// The same, to be used elsewhere.
    pub(crate) fn way(&self) -> SyncSender<(UnixTime, Look)> {
        self.looks.clone()
    }

    /// Why the last letter was not sent.
    pub(crate) fn problem(&self) -> Option<Problem> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn tell(
    notify: &Notify,
    mut watch: Watch,
    inbox: &Receiver<(UnixTime, Look)>,
    told: &Mutex<Option<Problem>>,
) {
    while let Ok((now, look)) = inbox.recv() {
        match look {
            Look::Problems(problems) => watch.problems(now, &problems),
            Look::Requests(requests) => watch.requests(&requests),
        }
        let Some(letter) = watch.letter(now) else { continue };
        let failed = run(&notify.command, letter.as_bytes()).err().map(|text| {
            tracing::warn!(program = notify.command.first(), text, "nobody was told");
            Problem {
                code: "notify_failed".to_owned(),
                severity: Severity::Warning,
                message: format!("the program under [notify] failed: {text}"),
                hint: Some("try it by hand: it gets JSON on its standard input".to_owned()),
            }
        });
        *told.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }
}

/// Runs the program to its end, or to the end of patience.
fn run(command: &[String], letter: &[u8]) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("there is none")?;
    let spawned = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|error| format!("{program}: {error}"))?;
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let letter = letter.to_vec();
    std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&letter)));
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut words = Vec::new();
        if let Some(mut stderr) = stderr {
            // What broke off is judged by the exit status.
            let _ = stderr.by_ref().take(4096).read_to_end(&mut words);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        }
        drop(tell.send(words));
    });
    let words = told.recv_timeout(PATIENCE);
    if matches!(words, Err(RecvTimeoutError::Timeout))
        && let Ok(group) = i32::try_from(child.id())
    {
        // Not reaped yet, so the number is still its own.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match words {
        Err(_) => Err(format!("{program} took longer than {} s", PATIENCE.as_secs())),
        Ok(_) if status.success() => Ok(()),
        Ok(words) => {
            let words: String =
                String::from_utf8_lossy(&words).chars().filter(|c| !c.is_control()).take(200).collect();
            Err(format!("{program}: {status}: {words}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::atomic::tests::TestDir;

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[test]
    fn the_program_gets_the_letter_and_its_failure_is_told() {
        let dir = TestDir::new();
        let file = dir.path().join("letter");
        run(&shell(&format!("cat > {}", file.display())), b"{\"a\":1}").expect("runs");
        assert_eq!(std::fs::read(&file).expect("letter"), b"{\"a\":1}");
        let failed = run(&shell("echo no mail today >&2; exit 3"), b"{}").expect_err("fails");
        assert!(failed.contains("exit status: 3") && failed.contains("no mail today"), "{failed}");
        assert!(run(&["/nothing/here".to_owned()], b"").is_err());
        // A program that does not read its letter is no failure.
        assert_eq!(run(&shell("exit 0"), &vec![b' '; 1 << 20]), Ok(()));
    }

    #[test]
    fn the_scripts_that_come_along_send_what_they_get() {
        let dir = TestDir::new();
        let sent = dir.path().join("sent");
        let mailer = dir.path().join("sendmail");
        std::fs::write(&mailer, format!("#!/bin/sh\n{{ echo \"$@\"; cat; }} > {}\n", sent.display()))
            .expect("script");
        std::os::unix::fs::chown(&mailer, None, None).expect("owner");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&mailer, mode).expect("mode");
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/notify/notify-mail");
        let line = |to: &str| shell(&format!("SENDMAIL={} {} '{to}'", mailer.display(), script.display()));
        let letter = br#"{"notices":[{"name":"a \"text\":\"x"}],"subject":"a node waits; $(id)","text":"quintana asks\nfor a \"/56\""}"#;
        run(&line("ops@example.net"), letter).unwrap_or_else(|error| panic!("{error}"));
        let mail = std::fs::read_to_string(&sent).expect("mail");
        assert!(
            mail.starts_with(
                "-i -- ops@example.net\nTo: ops@example.net\nSubject: [ln6d] a node waits (id)\n"
            ),
            "{mail}"
        );
        assert!(mail.ends_with("\n\nquintana asks\nfor a \"/56\"\n"), "{mail}");
        assert!(run(&line("-oQ/tmp"), letter).is_err());
        assert!(run(&line("a@b;id"), letter).is_err());
    }
}
