//! A key list in a real repository, by the real `git`, with a real registry behind it.

#[path = "support/world.rs"]
#[allow(dead_code, unreachable_pub)]
mod world;

use ln6_broker::keylist::*;
use ln6_broker::{List, Listed, Thread};
use ln6_registry::{Command as Order, HolderState, HolderView, Join};
use ln6_types::{PublicKey, VerifyKey};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use world::{Asker, NOW, Scratch, open};

/// Somebody's repository.
struct Repository {
    path: PathBuf,
    home: PathBuf,
}

impl Repository {
    fn new(scratch: &Scratch) -> Self {
        let (path, home) = (scratch.file("list"), scratch.file("maintainer"));
        fs::create_dir_all(&path).expect("folder");
        fs::create_dir_all(&home).expect("folder");
        let repository = Repository { path, home };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    fn git(&self, words: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .args(words)
            .current_dir(&self.path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("PATH"));
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "ana").env(format!("GIT_{who}_EMAIL"), "ana@example.net");
        }
        let ran = command.env("HOME", &self.home).env("GIT_CONFIG_NOSYSTEM", "1").output().expect("git runs");
        assert!(ran.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    fn put(&self, name: impl AsRef<OsStr>, text: impl AsRef<[u8]>) {
        fs::write(self.path.join(Path::new(name.as_ref())), text).expect("file");
    }

    fn node(&self, number: u8) {
        self.put(name(number), entry(number, "size = 56\n"));
    }

    fn remove(&self, number: u8) {
        fs::remove_file(self.path.join(name(number))).expect("file");
    }

    fn commit(&self, options: &[&str]) -> String {
        self.git(&["add", "--all"]);
        self.git(&[&["commit", "--quiet", "--allow-empty", "--message=change"], options].concat());
        self.git(&["rev-parse", "HEAD"])
    }
}

fn name(number: u8) -> String {
    format!("topo-{number:03}")
}

fn entry(number: u8, more: &str) -> String {
    format!("key = {}\nsign = {}\n{more}", PublicKey([number; 32]), VerifyKey([number; 32]))
}

/// A broker with a key list.
struct World {
    keeper: Keeper,
    asker: Asker,
    _thread: Thread,
}

fn settings(scratch: &Scratch, source: &Path) -> Settings {
    Settings {
        name: "test".into(),
        source: Source::parse(&source.to_string_lossy()).expect("source"),
        branch: Some("main".into()),
        within: None,
        every: Duration::from_secs(3600),
        signers: None,
        rewritten: Rewritten::Refuse,
        ssh_key: None,
        folder: scratch.file("keylist"),
    }
}

impl World {
    fn new(scratch: &Scratch, settings: Settings) -> Self {
        let (store, registry) = open(&scratch.file("registry.db"));
        let (asker, thread) = Asker::start(store, registry, 1);
        asker.pool().expect("pool");
        let keeper = Keeper::start(settings, asker.0.clone(), || NOW, || {}).expect("thread");
        World { keeper, asker, _thread: thread }
    }

    fn pull(&self) -> Report {
        let (tell, told) = channel();
        self.keeper.pull(Box::new(move |report| drop(tell.send(report))));
        told.recv().expect("an answer").expect("a report")
    }

    fn confirm(&self, commit: &str) -> Result<Report, KeeperError> {
        let (tell, told) = channel();
        self.keeper.confirm(commit.to_owned(), Box::new(move |report| drop(tell.send(report))));
        told.recv().expect("an answer")
    }

    fn holders(&self) -> Vec<HolderView> {
        match self.asker.list(List::Holders { gone: false }) {
            Ok(Listed::Holders(holders)) => holders,
            other => panic!("{other:?}"),
        }
    }

    fn count(&self, state: HolderState) -> usize {
        self.holders().iter().filter(|holder| holder.state == state).count()
    }

    fn holder(&self, number: u8) -> HolderView {
        self.holders().into_iter().find(|holder| holder.name == name(number)).expect("holder")
    }
}

#[test]
fn ninety_two_nodes_are_admitted_changed_and_reduced_by_commits() {
    let scratch = Scratch::new("keylist");
    let list = Repository::new(&scratch);
    (1..=92).for_each(|number| list.node(number));
    list.put("README.md", "the keys of our network");
    list.commit(&[]);
    let world = World::new(&scratch, settings(&scratch, &list.path));

    let report = world.pull();
    assert_eq!((report.state, report.inside, report.complaints), (State::Current, 92, vec![]));
    assert_eq!(world.count(HolderState::Active), 92);
    assert_eq!(world.holder(5).prefixes[0].prefix.len(), 56);

    // Another size, another key, one more, one less.
    list.put(name(5), entry(5, "size = 52\ncontact = \"ana@example.net\"\n"));
    list.put(name(6), entry(206, "size = 56\n"));
    list.node(93);
    list.remove(7);
    list.commit(&[]);
    let report = world.pull();
    assert_eq!((report.inside, report.suspended, report.complaints), (92, 1, vec![]));
    assert!(world.holder(5).prefixes.iter().any(|held| held.prefix.len() == 52));
    assert!(world.holder(6).keys.iter().any(|key| key.key == PublicKey([206; 32]) && key.serial.is_some()));
    assert_eq!(world.holder(7).state, HolderState::Suspended);

    // Ten more at once are too many: they wait, and what is new does not.
    (20..30).for_each(|number| list.remove(number));
    list.node(94);
    let commit = list.commit(&[]);
    let report = world.pull();
    assert_eq!((report.state, report.held.len(), report.inside), (State::Held, 10, 93));
    assert_eq!(report.waiting.as_deref(), Some(commit.as_str()));
    assert_eq!(world.count(HolderState::Suspended), 1);
    assert_eq!(world.confirm(&"0".repeat(40)), Err(KeeperError::Changed));
    assert_eq!(world.count(HolderState::Suspended), 1);
    let report = world.confirm(&commit).expect("confirmed");
    assert_eq!((report.state, report.held.len(), report.suspended), (State::Current, 0, 11));
    assert_eq!(world.count(HolderState::Suspended), 11);

    // Back in the list, back in the network, with the prefix of before.
    let before = world.holder(20).prefixes[0].prefix;
    list.node(20);
    list.commit(&[]);
    assert_eq!(world.pull().suspended, 10);
    assert_eq!((world.holder(20).state, world.holder(20).prefixes[0].prefix), (HolderState::Active, before));
}

#[test]
fn a_list_that_cannot_be_reached_leaves_everything_as_it_is_also_after_a_restart() {
    let scratch = Scratch::new("keylist");
    let list = Repository::new(&scratch);
    (1..=3).for_each(|number| list.node(number));
    let commit = list.commit(&[]);
    let world = World::new(&scratch, settings(&scratch, &list.path));
    assert_eq!(world.pull().inside, 3);
    let away = scratch.file("away");
    fs::rename(&list.path, &away).expect("rename");
    let report = world.pull();
    assert_eq!(
        (report.state, report.inside, report.commit.as_deref()),
        (State::Unreachable, 3, Some(commit.as_str()))
    );
    assert_eq!(report.why.as_ref().map(|why| why.code), Some("keylist_unreachable"), "{report:?}");
    drop(world);
    let world = World::new(&scratch, settings(&scratch, &list.path));
    assert_eq!((world.pull().inside, world.count(HolderState::Active)), (3, 3));
    fs::rename(&away, &list.path).expect("rename");
    let report = world.pull();
    assert_eq!((report.state, report.why, report.inside), (State::Current, None, 3));
}

#[test]
fn another_history_waits_for_a_person_unless_the_policy_says_otherwise() {
    let scratch = Scratch::new("keylist");
    let list = Repository::new(&scratch);
    (1..=3).for_each(|number| list.node(number));
    list.commit(&[]);
    let world = World::new(&scratch, settings(&scratch, &list.path));
    assert_eq!(world.pull().state, State::Current);
    list.node(4);
    let forced = list.commit(&["--amend"]);
    let report = world.pull();
    assert_eq!(
        (report.state, report.inside, report.waiting.as_deref()),
        (State::Rewritten, 3, Some(forced.as_str()))
    );
    assert_eq!(world.confirm(&forced).map(|report| (report.state, report.inside)), Ok((State::Current, 4)));
    drop(world);
    list.node(5);
    list.commit(&["--amend"]);
    let world =
        World::new(&scratch, Settings { rewritten: Rewritten::Accept, ..settings(&scratch, &list.path) });
    let report = world.pull();
    assert_eq!((report.state, report.inside), (State::Current, 5));
}

#[test]
fn only_commits_of_allowed_signers_count_where_signatures_are_asked_for() {
    let scratch = Scratch::new("keylist");
    let list = Repository::new(&scratch);
    let key = |word: &str| {
        let path = scratch.file(word);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", word, "-f"])
            .arg(&path)
            .status();
        assert!(made.expect("ssh-keygen runs").success());
        path
    };
    let (ana, eve) = (key("ana"), key("eve"));
    let public = fs::read_to_string(ana.with_extension("pub")).expect("key");
    let signers = scratch.file("signers");
    fs::write(&signers, format!("ana@example.net {public}")).expect("file");
    let sign = |key: &Path| {
        list.git(&["config", "gpg.format", "ssh"]);
        list.git(&["config", "user.signingkey", &key.to_string_lossy()]);
        list.commit(&["--gpg-sign"])
    };
    list.node(1);
    sign(&ana);
    let world = World::new(&scratch, Settings { signers: Some(signers), ..settings(&scratch, &list.path) });
    assert_eq!((world.pull().state, world.pull().inside), (State::Current, 1));
    list.node(2);
    let unsigned = list.commit(&[]);
    assert_eq!((world.pull().state, world.pull().inside), (State::Unsigned, 1));
    // A person cannot confirm what nobody signed.
    assert_eq!(world.confirm(&unsigned).map(|report| report.state), Ok(State::Unsigned));
    sign(&eve);
    assert_eq!((world.pull().state, world.pull().inside), (State::Unsigned, 1));
    sign(&ana);
    assert_eq!((world.pull().state, world.pull().inside), (State::Current, 2));
}

#[test]
fn nothing_hostile_in_a_repository_is_followed_run_or_used() {
    let scratch = Scratch::new("keylist");
    let list = Repository::new(&scratch);
    let trap = scratch.file("sprung");
    let script = format!("#!/bin/sh\ntouch {}\n", trap.display());
    list.node(1);
    for name in
        [&b"<b onload=x>"[..], "a\u{202e}b".as_bytes(), b"\x1b[2J", b"-rf", b"a\nb", b"caf\xe9", b"$(id)"]
    {
        list.put(OsStr::from_bytes(name), entry(9, ""));
    }
    list.put("large", vec![b'#'; 10 << 20]);
    list.put("html", entry(2, "contact = \"<script>alert(1)</script>\"\n"));
    list.put("rtl", entry(3, "contact = \"\u{202e}gro\"\n"));
    list.put("nul", b"key = \0");
    symlink("/etc/passwd", list.path.join("link")).expect("link");
    symlink(name(1), list.path.join("twin")).expect("link");
    list.put(".gitattributes", "* filter=evil\n");
    list.put(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c id\n");
    fs::create_dir(list.path.join("folder")).expect("folder");
    list.put("folder/inner", entry(4, ""));
    list.commit(&[]);
    // What the repository's own machine would run.
    for hook in ["post-checkout", "reference-transaction", "post-update", "pre-receive"] {
        list.put(format!(".git/hooks/{hook}"), &script);
        let path = list.path.join(format!(".git/hooks/{hook}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("mode");
    }
    list.git(&["config", "uploadpack.packObjectsHook", &format!("touch {} ;", trap.display())]);
    list.git(&["config", "core.fsmonitor", &format!("touch {} ;", trap.display())]);
    let world = World::new(&scratch, settings(&scratch, &list.path));
    let report = world.pull();
    assert_eq!(report.state, State::Current, "{report:?}");
    let names: Vec<String> = world.holders().into_iter().map(|holder| holder.name).collect();
    assert_eq!(names, ["html", &name(1)]);
    assert!(report.complaints.len() >= 10, "{:?}", report.complaints);
    for complaint in &report.complaints {
        let plain = |text: &str| text.chars().all(|c| (' '..='~').contains(&c) || c == '…');
        assert!(plain(&complaint.about) && complaint.about.len() < 100, "{complaint:?}");
    }
    assert!(!trap.exists(), "something of the repository was run");
    assert!(!scratch.file("keylist").join("repository.git/hooks").exists());
}

#[test]
fn a_node_that_others_let_in_or_suspended_is_not_the_lists() {
    let scratch = Scratch::new("keylist");
    let list = Repository::new(&scratch);
    (1..=3).for_each(|number| list.node(number));
    list.commit(&[]);
    let settings = settings(&scratch, &list.path);
    let (store, registry) = open(&scratch.file("registry.db"));
    let (asker, thread) = Asker::start(store, registry, 1);
    asker.pool().expect("pool");
    let join = Join {
        key: PublicKey([1; 32]),
        sign: VerifyKey([1; 32]),
        name: Some(name(1)),
        size: None,
        ssid: None,
        secret: None,
        contact: None,
    };
    asker.operator(Order::Admit { join, prefix: None }).expect("admitted");
    let keeper = Keeper::start(settings, asker.0.clone(), || NOW, || {}).expect("thread");
    let world = World { keeper, asker, _thread: thread };
    let report = world.pull();
    assert_eq!(report.inside, 2);
    assert_eq!(report.complaints[0].about, name(1));
    // An administrator suspends one of the list's; the list neither resumes it nor makes it its own matter.
    world.asker.operator(Order::Suspend { holder: name(2), reason: "abuse".into() }).expect("suspended");
    list.remove(1);
    list.remove(2);
    let commit = list.commit(&[]);
    world.pull();
    world.confirm(&commit).expect("confirmed");
    list.node(2);
    list.commit(&[]);
    let report = world.pull();
    assert_eq!(world.holder(1).state, HolderState::Active);
    assert_eq!(world.holder(2).state, HolderState::Suspended);
    assert!(
        report.complaints.iter().any(|c| c.about == name(2) && c.text.contains("suspended")),
        "{report:?}"
    );
}

#[test]
fn another_folder_branch_or_repository_is_another_list_and_nobody_is_lost_at_once() {
    let scratch = Scratch::new("keylist");
    let list = Repository::new(&scratch);
    fs::create_dir(list.path.join("nodes")).expect("folder");
    for number in 1..=4 {
        list.put(format!("nodes/{}", name(number)), entry(number, ""));
    }
    list.commit(&[]);
    let within = Settings { within: Some("nodes".into()), ..settings(&scratch, &list.path) };
    let world = World::new(&scratch, within.clone());
    assert_eq!(world.pull().inside, 4);
    drop(world);
    for (wrong, code) in [
        (Settings { within: Some("gone".into()), ..within.clone() }, "keylist_no_folder"),
        (Settings { branch: Some("gone".into()), ..within.clone() }, "keylist_no_branch"),
    ] {
        let world = World::new(&scratch, wrong);
        let report = world.pull();
        assert_eq!((report.why.map(|why| why.code), report.inside), (Some(code), 4));
        drop(world);
    }
    let elsewhere = Scratch(scratch.file("other"));
    let other = Repository::new(&elsewhere);
    fs::create_dir_all(other.path.join("nodes")).expect("folder");
    other.put("nodes/only", entry(77, ""));
    other.commit(&[]);
    let world = World::new(
        &scratch,
        Settings { source: Source::parse(&other.path.to_string_lossy()).expect("source"), ..within },
    );
    let report = world.pull();
    assert_eq!((report.state, report.held.len(), report.inside), (State::Held, 4, 5));
}

#[test]
fn a_repository_that_never_answers_does_not_hold_up_the_end() {
    let scratch = Scratch::new("keylist");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
    let url = format!("git://{}/keys", silent.local_addr().expect("address"));
    let mut settings = settings(&scratch, Path::new("/nothing"));
    settings.source = Source::parse(&url).expect("source");
    let world = World::new(&scratch, settings);
    // The program has come as far as its question.
    let (_asked, _) = silent.accept().expect("git connects");
    let begun = Instant::now();
    drop(world);
    assert!(begun.elapsed() < Duration::from_secs(20), "the end waited for the network");
}

#[test]
fn thousands_of_files_and_a_bomb_of_names_are_bounded() {
    let scratch = Scratch::new("keylist");
    let list = Repository::new(&scratch);
    list.node(1);
    list.commit(&[]);
    let world = World::new(&scratch, settings(&scratch, &list.path));
    assert_eq!(world.pull().inside, 1);
    for number in 0..10_001 {
        list.put(format!("n{number}"), "");
    }
    list.commit(&[]);
    let report = world.pull();
    assert_eq!((report.why.map(|why| why.code), report.inside), (Some("keylist_too_large"), 1));
}
