//! Bad input and trouble: each has a stable code, a precise sentence, the next step and its exit status; and nothing
//! that was there before is lost.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use ln6_crypto::Link;
use ln6_lab::{Lab, Namespace, Output, Process, wait_for, wait_until};
use ln6_types::{Fingerprint, PublicKey, UnixTime};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use world::binary;

const PATIENCE: Duration = Duration::from_secs(30);
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const UNREACHABLE: i32 = 3;
const DENIED: i32 = 5;
const CONFLICT: i32 = 7;
const FINDINGS: i32 = 8;

/// Runs a command in the mount namespace of its own that the script `$1` has prepared: `$2…`.
const PREPARED: &str = "eval \"$1\"; shift; exec \"$@\"";

/// A directory for `--dir` that does not exist yet, removed at the end with what came to be in it.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Home(std::env::temp_dir().join(format!("ln6d-trouble-{}-{number}", std::process::id())))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Everything in it but the lock and the socket, with its content.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let kept = entries.filter(|entry| {
            entry.file_name() != "ln6d.lock" && entry.file_type().is_ok_and(|kind| !kind.is_socket())
        });
        kept.map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap_or_default())
        })
        .collect()
    }

    fn words(&self, command: &[&str]) -> Vec<String> {
        let head = [binary().display().to_string(), "--dir".into(), self.0.display().to_string()];
        head.into_iter().chain(command.iter().map(|word| (*word).to_owned())).collect()
    }

    /// Runs `ln6d COMMAND` where the test runs: nothing that needs root.
    fn here(&self, command: &[&str]) -> Output {
        let words = self.words(command);
        let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
        Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs `ln6d COMMAND` in a namespace, behind the words in `before`.
    fn within(&self, namespace: &Namespace, before: &[&str], command: &[&str]) -> Output {
        let words = self.words(command);
        let all: Vec<&str> = before.iter().copied().chain(words.iter().map(String::as_str)).collect();
        namespace.exec(&all)
    }

    fn run_in(&self, namespace: &Namespace) -> Output {
        self.within(namespace, &[], &["--json", "run"])
    }

    fn json(&self, namespace: &Namespace, before: &[&str], command: &[&str]) -> Result<Value, String> {
        let output = self.within(namespace, before, &[command, &["--json"]].concat());
        serde_json::from_str(&output.stdout).map_err(|error| format!("{error}: {output:?}"))
    }

    fn status(&self, namespace: &Namespace) -> Value {
        self.json(namespace, &[], &["status"]).unwrap()
    }

    /// Starts `ln6d run` behind the words in `before`.
    fn launch(&self, namespace: &Namespace, before: &[&str]) -> Process {
        let words = self.words(&["run"]);
        let all: Vec<&str> = before.iter().copied().chain(words.iter().map(String::as_str)).collect();
        let label = self.0.file_name().unwrap().to_string_lossy().into_owned();
        namespace.spawn(&label, &all).unwrap()
    }

    /// Starts `ln6d run` and waits for its first answer.
    fn start(&self, namespace: &Namespace) -> Process {
        let mut daemon = self.launch(namespace, &[]);
        let answers = wait_for("an answer of the daemon", PATIENCE, || {
            if !daemon.is_running() {
                return Ok(Err(daemon.stderr()));
            }
            match self.within(namespace, &[], &["status", "--json"]) {
                output if output.success() => Ok(Ok(())),
                output => Err(output.stdout),
            }
        });
        answers.unwrap().unwrap();
        daemon
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An error as a program sees it.
#[derive(Debug)]
struct Said {
    code: String,
    message: String,
    hint: String,
}

/// Reads an error under `--json` and checks that it is whole.
#[track_caller]
fn refused(output: &Output, exit: i32, code: &str) -> Said {
    assert_eq!(output.code, Some(exit), "{output:?}");
    let json: Value =
        serde_json::from_str(output.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(json["schema"], "ln6d.error/1", "{output:?}");
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let said = Said { code: text("code"), message: text("message"), hint: text("hint") };
    assert_eq!(said.code, code, "{said:?}");
    assert!(said.message.len() > 10 && said.hint.len() > 10, "{said:?}");
    said
}

/// The problem of this code in a status.
fn problem(status: &Value, code: &str) -> Option<Value> {
    let problems = status["problems"].as_array()?;
    let found = problems.iter().find(|problem| problem["code"] == code)?;
    assert!(found["hint"].as_str().is_some_and(|hint| hint.len() > 10), "{found}");
    Some(found.clone())
}

fn link() -> Link {
    Link {
        network: Fingerprint([5; 32]),
        broker: PublicKey([9; 32]),
        endpoints: vec!["192.0.2.9:6695".into()],
        secret: Some([7; 16]),
        name: Some("quintana".into()),
        size: Some(56),
        expires: UnixTime::from_secs(2_100_000_000),
    }
}

/// A node that was invited and never ran; its broker does not exist.
fn invited() -> Home {
    let home = Home::new();
    let joined = home.here(&["join", &link().to_string()]);
    assert!(joined.success(), "{joined:?}");
    home
}

/// One namespace.
fn alone(label: &str) -> (Lab, Namespace) {
    let mut lab = Lab::new(label).unwrap();
    let host = lab.namespace("host").unwrap();
    (lab, host)
}

/// Runs `ln6d COMMAND` in a namespace after `script` has changed its mounts.
fn behind(script: &str) -> Vec<&str> {
    vec!["unshare", "-m", "sh", "-ec", PREPARED, "sh", script]
}

// What is typed.

#[test]
fn a_link_that_was_changed_cut_or_is_something_else_is_told_apart_and_writes_nothing() {
    let whole = link().to_string();
    let middle = whole.len() / 2;
    let other = if whole.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let mangled = format!("{}{other}{}", &whole[..middle], &whole[middle + 1..]);
    for (text, code) in [
        (&*mangled, "link_mangled"),
        (&whole[..whole.len() - 6], "link_truncated"),
        ("https://example.net/join", "link_foreign"),
        ("ln6://join/", "link_truncated"),
    ] {
        let home = Home::new();
        let said = refused(&home.here(&["--json", "join", text]), USAGE, code);
        assert!(!said.message.contains(&whole), "a secret is not repeated: {said:?}");
        assert!(!home.0.exists(), "{text}");
    }
}

#[test]
fn a_link_that_has_expired_is_refused_before_anything_is_written() {
    let home = Home::new();
    let late = Link { expires: UnixTime::from_secs(1_770_000_000), ..link() };
    let said = refused(&home.here(&["--json", "join", &late.to_string()]), FAILED, "link_expired");
    assert!(said.message.contains("2026-02-02"), "{said:?}");
    assert!(!home.0.exists());
}

#[test]
fn a_link_to_another_network_leaves_the_present_membership_as_it_is() {
    let home = invited();
    let before = home.files();
    let foreign = Link { network: Fingerprint([6; 32]), ..link() };
    let said = refused(&home.here(&["--json", "join", &foreign.to_string()]), CONFLICT, "already_member");
    assert!(said.hint.contains("leave"), "{said:?}");
    assert_eq!(home.files(), before);
}

#[test]
fn a_network_is_not_founded_over_another_node() {
    let home = invited();
    let before = home.files();
    let init = ["--json", "init", "--name", "vm", "--pool", "2001:db8:4800::/40", "--public", "192.0.2.1"];
    refused(&home.here(&init), CONFLICT, "already_exists");
    assert_eq!(home.files(), before);
}

#[test]
fn an_unknown_key_of_the_configuration_is_named_with_its_line() {
    let home = invited();
    let file = home.at("ln6d.toml");
    let text = fs::read_to_string(&file).unwrap().replace("[node]\n", "[node]\nlisten_port = 6695\n");
    fs::write(&file, &text).unwrap();
    let before = home.files();
    let said = refused(&home.here(&["--json", "run"]), USAGE, "config_unknown_key");
    let line = text.lines().position(|line| line.starts_with("listen_port")).unwrap() + 1;
    assert!(said.message.contains("listen_port") && said.message.contains(&format!(":{line}")), "{said:?}");
    refused(&home.here(&["--json", "config", "check"]), FINDINGS, "config_unknown_key");
    assert_eq!(home.files(), before);
}

#[test]
fn a_value_of_the_configuration_that_cannot_be_is_named_with_its_line() {
    let home = invited();
    let file = home.at("ln6d.toml");
    let text = fs::read_to_string(&file).unwrap().replace("[node]\n", "[node]\nmtu = 900\n");
    fs::write(&file, &text).unwrap();
    let said = refused(&home.here(&["--json", "run"]), USAGE, "config_invalid");
    assert!(said.message.contains("mtu"), "{said:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

// Files.

#[test]
fn a_key_file_that_others_can_read_is_not_used() {
    let home = invited();
    let key = home.at("identity.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let before = home.files();
    let said = refused(&home.here(&["--json", "run"]), DENIED, "key_file_exposed");
    assert!(said.message.contains("identity.key") && said.hint.contains("chmod 600"), "{said:?}");
    assert_eq!(home.files(), before);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn a_damaged_key_file_is_never_overwritten() {
    let home = invited();
    fs::write(home.at("identity.key"), "not a key\n").unwrap();
    let before = home.files();
    refused(&home.here(&["--json", "run"]), FAILED, "key_file_damaged");
    refused(&home.here(&["--json", "join", &link().to_string()]), FAILED, "key_file_damaged");
    assert_eq!(home.files(), before);
}

#[test]
fn a_damaged_state_file_is_kept_aside_and_the_node_goes_on() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("state");
    let home = invited();
    assert!(home.start(&host).stop(PATIENCE).unwrap().success());
    let state = home.at("state");
    let mut damaged = fs::read(&state).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&state, &damaged).unwrap();

    let mut daemon = home.start(&host);
    let found = problem(&home.status(&host), "state_damaged").expect("it is told");
    assert!(found["message"].as_str().unwrap().contains("state.damaged-1"), "{found}");
    assert_eq!(fs::read(home.at("state.damaged-1")).unwrap(), damaged);
    assert!(daemon.is_running());
}

#[test]
fn a_damaged_registry_stops_the_broker_and_is_left_as_it_is() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("registry");
    let home = founded("2001:db8:4800::/40");
    assert!(home.start(&host).stop(PATIENCE).unwrap().success());
    let file = home.at("registry.db");
    for spoil in
        [|bytes: &mut Vec<u8>| bytes[..16].fill(0x55), |bytes: &mut Vec<u8>| bytes[4096..].fill(0x55)]
    {
        let whole = fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        spoil(&mut damaged);
        fs::write(&file, &damaged).unwrap();
        let said = refused(&home.run_in(&host), FAILED, "database_damaged");
        assert!(said.message.contains("registry.db"), "{said:?}");
        assert_eq!(fs::read(&file).unwrap(), damaged, "the file is evidence");
        assert!(!home.at("ln6d.sock").exists(), "no socket of a daemon that is not there");
        fs::write(&file, &whole).unwrap();
    }
    home.start(&host);
}

#[test]
fn on_a_full_disk_nothing_is_half_written_and_nothing_is_lost() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("full");
    let home = Home::new();
    let dir = home.0.display();
    let full = format!(
        "mkdir -p {dir}; mount -t tmpfs -o size=64k none {dir}; head -c 1m /dev/zero >{dir}/fill 2>/dev/null || true; \
         trap 'ls -A {dir} >&2' EXIT"
    );
    // Not `exec`: the trap shows what is left in a directory that only this mount namespace has.
    let before = ["unshare", "-m", "sh", "-c", "eval \"$1\"; shift; \"$@\"", "sh", &full];
    let output = home.within(&host, &before, &["--json", "join", &link().to_string()]);
    let said = refused(&output, FAILED, "disk_full");
    assert!(said.message.contains("identity.key"), "{said:?}");
    assert_eq!(output.stderr.trim(), "fill", "no file is left behind: {output:?}");
    fs::remove_dir_all(&home.0).unwrap();
}

#[test]
fn a_broker_on_a_full_disk_acknowledges_nothing_and_works_again_when_there_is_room() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("fullbroker");
    let home = founded("2001:db8:4800::/40");
    let dir = home.0.display();
    let mount = format!(
        "mount -t tmpfs none /mnt; cp -a {dir}/. /mnt; mount -t tmpfs -o size=2m none {dir}; cp -a /mnt/. {dir}"
    );
    let mut daemon = home.launch(&host, &behind(&mount));
    let pid = daemon.pid().to_string();
    let enter = ["nsenter", "-m", "-t", &pid];
    let ask = |command: &[&str]| home.within(&host, &enter, &[command, &["--json"]].concat());
    wait_until("the broker", PATIENCE, || ask(&["status"]).success()).unwrap();
    assert!(ask(&["invite", "--name", "first"]).success());

    let fill = format!("head -c 4m /dev/zero >{dir}/fill");
    host.exec(&["nsenter", "-m", "-t", &pid, "sh", "-c", &fill]);
    let said = wait_for("a refusal", PATIENCE, || {
        // What still fits into the log's last page may be acknowledged, and is on disk then.
        let output = ask(&["invite", "--name", "second"]);
        if output.success() { Err("still room".into()) } else { Ok(refused(&output, FAILED, "disk_full")) }
    });
    assert!(said.unwrap().message.contains("full"));
    assert!(daemon.is_running());

    host.exec(&["nsenter", "-m", "-t", &pid, "rm", &format!("{dir}/fill")]);
    let again = ask(&["invite", "--name", "third"]);
    assert!(again.success(), "{again:?}");
}

// The machine.

#[test]
fn a_port_in_use_is_named_with_the_way_to_find_who_has_it() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("port");
    let (first, second) = (invited(), invited());
    let _running = first.start(&host);
    let text = fs::read_to_string(second.at("ln6d.toml")).unwrap();
    fs::write(second.at("ln6d.toml"), text.replace("[node]\n", "[node]\ninterface = \"ln6b\"\n")).unwrap();
    let before = second.files();
    let said = refused(&second.run_in(&host), CONFLICT, "port_in_use");
    assert!(said.message.contains("6695") && said.hint.contains("ss -"), "{said:?}");
    assert_eq!(second.files(), before);
}

#[test]
fn an_interface_that_exists_already_is_neither_taken_over_nor_removed() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("taken");
    host.ip(&["link add ln6 type bridge"]).unwrap();
    let home = invited();
    let said = refused(&home.run_in(&host), CONFLICT, "interface_taken");
    assert!(said.message.contains("ln6"), "{said:?}");
    assert!(host.run(&["ip", "-d", "link", "show", "ln6"]).unwrap().contains("bridge"));
}

#[test]
fn without_dev_net_tun_the_module_is_named() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("notun");
    let home = invited();
    let output = home.within(&host, &behind("mount -t tmpfs none /dev/net"), &["--json", "run"]);
    let said = refused(&output, FAILED, "no_tun_device");
    assert!(said.message.contains("/dev/net/tun") && said.hint.contains("modprobe tun"), "{said:?}");
}

#[test]
fn without_the_capability_the_daemon_says_what_it_needs() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("caps");
    let home = invited();
    let before = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    let said = refused(&home.within(&host, &before, &["--json", "run"]), DENIED, "not_permitted");
    assert!(said.hint.contains("root"), "{said:?}");
}

#[test]
fn who_is_not_root_is_told_so() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("user");
    let home = invited();
    // A program where everybody may go, and files that belong to nobody.
    let program = home.at("ln6d");
    fs::copy(binary(), &program).unwrap();
    fs::set_permissions(&home.0, fs::Permissions::from_mode(0o755)).unwrap();
    for file in ["", "identity.key", "ln6d.toml"] {
        std::os::unix::fs::chown(home.at(file), Some(65534), Some(65534)).unwrap();
    }
    let (program, dir) = (program.display().to_string(), home.0.display().to_string());
    let output = host.exec(&[
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        &program,
        "--dir",
        &dir,
        "--json",
        "run",
    ]);
    refused(&output, DENIED, "not_permitted");
}

#[test]
fn a_second_daemon_on_the_same_directory_is_told_who_runs_and_disturbs_nothing() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("twice");
    let home = invited();
    let mut daemon = home.start(&host);
    let said = refused(&home.run_in(&host), CONFLICT, "already_running");
    assert!(said.message.contains(&format!("process {}", daemon.pid())), "{said:?}");
    assert!(daemon.is_running() && home.within(&host, &[], &["status"]).success());
}

#[test]
fn a_socket_that_a_killed_daemon_left_is_told_from_a_daemon_and_does_not_hinder_the_next() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("socket");
    let home = invited();
    home.start(&host).kill();
    assert!(home.at("ln6d.sock").exists(), "nobody has removed it");
    let said = refused(&home.within(&host, &[], &["status", "--json"]), UNREACHABLE, "daemon_unreachable");
    assert!(said.hint.contains("run"), "{said:?}");
    home.start(&host);
}

#[test]
fn forwarding_is_switched_on_and_where_that_is_impossible_it_is_told() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, host) = alone("forward");
    let home = invited();
    let forwarding =
        || host.run(&["sysctl", "-n", "net.ipv6.conf.all.forwarding"]).unwrap().trim().to_owned();
    host.sysctl("net.ipv6.conf.all.forwarding", "0").unwrap();

    let script = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys";
    let daemon = home.launch(&host, &behind(script));
    wait_until("a status", PATIENCE, || home.within(&host, &[], &["status"]).success()).unwrap();
    let status = home.status(&host);
    let found = problem(&status, "forwarding_off").unwrap_or_else(|| panic!("{status}"));
    assert!(found["hint"].as_str().unwrap().contains("sysctl -w net.ipv6.conf.all.forwarding=1"), "{found}");
    assert_eq!(forwarding(), "0");
    drop(daemon);

    let _daemon = home.start(&host);
    assert_eq!(forwarding(), "1");
    assert_eq!(problem(&home.status(&host), "forwarding_off"), None);
}

// The server's place in the Internet.

/// A server that was founded and never ran.
fn founded(pool: &str) -> Home {
    let home = Home::new();
    let output =
        home.here(&["init", "--name", "vm", "--pool", pool, "--public", "192.0.2.1", "--uplink", "eth0"]);
    assert!(output.success(), "{output:?}");
    home
}

/// A server with an IPv6 uplink `eth0` on 2001:db8:ffff::/64, and its router.
fn uplinked(label: &str) -> (Lab, Namespace, Namespace) {
    let mut lab = Lab::new(label).unwrap();
    let (server, router) = (lab.namespace("server").unwrap(), lab.namespace("router").unwrap());
    server.cable("eth0", &router, "eth0").unwrap();
    router.ip(&["addr add 2001:db8:ffff::1/64 dev eth0 nodad"]).unwrap();
    connect(&server);
    (lab, server, router)
}

fn connect(server: &Namespace) {
    server
        .ip(&[
            "addr replace 2001:db8:ffff::2/64 dev eth0 nodad",
            "route replace ::/0 via 2001:db8:ffff::1 dev eth0",
        ])
        .unwrap();
}

#[test]
fn a_machine_with_only_an_on_link_64_is_told_that_subnets_need_a_routed_prefix() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, server, _router) = uplinked("onlink");
    let home = founded("2001:db8:ffff::/64");
    let _daemon = home.start(&server);
    let status = home.status(&server);
    let found = problem(&status, "on_link_only").unwrap_or_else(|| panic!("{status}"));
    assert!(found["message"].as_str().unwrap().contains("2001:db8:ffff::/64"), "{found}");
    assert!(found["hint"].as_str().unwrap().contains("/128"), "{found}");
}

#[test]
fn a_pool_that_the_uplink_already_uses_is_told() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, server, _router) = uplinked("onuplink");
    let home = founded("2001:db8:ff00::/40");
    let _daemon = home.start(&server);
    let status = home.status(&server);
    let found = problem(&status, "pool_on_uplink").unwrap_or_else(|| panic!("{status}"));
    assert!(found["message"].as_str().unwrap().contains("eth0"), "{found}");
}

#[test]
fn an_uplink_that_is_lost_and_comes_back_is_told_each_time() {
    if !ln6_lab::ready() {
        return;
    }
    let (_lab, server, _router) = uplinked("uplink");
    let home = founded("2001:db8:4800::/40");
    let _daemon = home.start(&server);
    let is_exit = |wanted: bool| {
        let what = format!("an exit: {wanted}");
        wait_for(&what, PATIENCE, || {
            let status = home.status(&server);
            let told =
                problem(&status, "no_uplink").is_some() || problem(&status, "no_ipv6_uplink").is_some();
            if status["exits"]["here"] == wanted && told != wanted { Ok(()) } else { Err(status.to_string()) }
        })
        .unwrap();
    };
    is_exit(true);
    server.ip(&["link set eth0 down"]).unwrap();
    is_exit(false);
    server.ip(&["link set eth0 up"]).unwrap();
    connect(&server);
    is_exit(true);
    let events = home.json(&server, &[], &["events"]).unwrap();
    let codes: Vec<&str> =
        events["events"].as_array().unwrap().iter().filter_map(|e| e["code"].as_str()).collect();
    let told: Vec<&&str> = codes.iter().filter(|code| code.starts_with("exit_")).collect();
    assert!(told.ends_with(&[&"exit_down", &"exit_up"]), "{codes:?}");
}

// What the broker says.

/// A broker, and a machine where one gateway after the other is tried.
struct Desk {
    broker: Home,
    _daemon: Process,
    server: Namespace,
    gateway: Namespace,
    _lab: Lab,
}

impl Desk {
    fn new(label: &str, pool: &str) -> Self {
        let two = ln6_lab::two_nodes(label).unwrap();
        let broker = founded(pool);
        let daemon = broker.start(&two.a);
        Desk { broker, _daemon: daemon, server: two.a, gateway: two.b, _lab: two.lab }
    }

    fn invite(&self, options: &[&str]) -> String {
        let reply = self.broker.json(&self.server, &[], &[&["invite"], options].concat()).unwrap();
        reply["link"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }

    /// Joins, runs, and waits for the broker's word; the standing, and the node's directory.
    fn ask(&self, link: &str, options: &[&str]) -> (Value, Home) {
        let home = Home::new();
        let joined = home.here(&[&["join", link], options].concat());
        assert!(joined.success(), "{joined:?}");
        let before = home.files();
        let daemon = home.start(&self.gateway);
        let standing = wait_for("the broker's word", PATIENCE, || {
            let standing = home.status(&self.gateway)["standing"].clone();
            if standing["state"] == "asking" { Err(standing.to_string()) } else { Ok(standing) }
        })
        .unwrap();
        drop(daemon);
        for file in ["identity.key", "ln6d.toml"] {
            assert_eq!(home.files().get(file), before.get(file), "{file}");
        }
        (standing, home)
    }

    #[track_caller]
    fn admits(&self, link: &str, options: &[&str]) -> Home {
        let (standing, home) = self.ask(link, options);
        assert_eq!(standing["state"], "member", "{standing}");
        home
    }

    #[track_caller]
    fn refuses(&self, link: &str, options: &[&str], code: &str) {
        let (standing, home) = self.ask(link, options);
        assert_eq!((&standing["state"], &standing["code"]), (&"refused".into(), &code.into()), "{standing}");
        let text = standing["text"].as_str().unwrap();
        assert!(text.contains(": "), "a sentence and the next step: {text}");
        drop(home);
    }

    /// Names of holders with a live prefix.
    fn holders(&self) -> Vec<String> {
        let list = self.broker.json(&self.server, &[], &["prefixes"]).unwrap();
        let rows = list["prefixes"].as_array().unwrap();
        rows.iter().filter_map(|row| Some(row["holder"].as_str()?.to_owned())).collect()
    }
}

#[test]
fn an_invitation_admits_one_node_and_no_second() {
    if !ln6_lab::ready() {
        return;
    }
    let desk = Desk::new("used", "2001:db8:4800::/40");
    let link = desk.invite(&["--name", "quintana"]);
    let first = desk.admits(&link, &[]);
    desk.refuses(&link, &[], "invitation_used");
    assert_eq!(desk.holders(), ["quintana"]);
    // The first keeps what it has, also when it asks with the same link again.
    assert!(first.here(&["join", &link]).success());
    let _again = first.start(&desk.gateway);
    assert_eq!(first.status(&desk.gateway)["standing"]["state"], "member");
}

#[test]
fn when_the_pool_is_exhausted_the_size_that_is_not_left_is_named() {
    if !ln6_lab::ready() {
        return;
    }
    let desk = Desk::new("exhausted", "2001:db8:4800::/63");
    let mut admitted = 0;
    for name in ["first", "second", "third"] {
        let link = desk.invite(&["--name", name, "--size", "64"]);
        let (standing, _home) = desk.ask(&link, &[]);
        if standing["state"] == "member" {
            admitted += 1;
            continue;
        }
        assert_eq!(standing["code"], "pool_exhausted", "{standing}");
        assert!(standing["text"].as_str().unwrap().contains("/64"), "{standing}");
        assert!(admitted >= 1);
        assert_eq!(desk.holders().len(), admitted);
        return;
    }
    panic!("three /64 came out of a /63");
}

#[test]
fn a_size_outside_the_policy_is_refused_with_the_sizes_there_are() {
    if !ln6_lab::ready() {
        return;
    }
    let desk = Desk::new("size", "2001:db8:4800::/40");
    let link = desk.invite(&["--name", "greedy"]);
    let (standing, _home) = desk.ask(&link, &["--size", "41"]);
    assert_eq!(standing["code"], "size_outside_policy", "{standing}");
    let text = standing["text"].as_str().unwrap();
    assert!(text.contains("/41") && text.contains("/48") && text.contains("/64"), "{text}");
    assert!(desk.holders().is_empty());
}

#[test]
fn a_name_that_is_taken_is_refused_and_its_holder_keeps_it() {
    if !ln6_lab::ready() {
        return;
    }
    let desk = Desk::new("name", "2001:db8:4800::/40");
    let free = [desk.invite(&[]), desk.invite(&[])];
    desk.admits(&free[0], &["--name", "quintana"]);
    desk.refuses(&free[1], &["--name", "quintana"], "name_taken");
    assert_eq!(desk.holders(), ["quintana"]);
}
