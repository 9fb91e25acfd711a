//! Whatever is acknowledged survives, and no two holders ever overlap: power cuts at every write of a disk that loses
//! what was not synced, logs cut at every place, and processes killed at any moment.

#[path = "support/world.rs"]
#[allow(dead_code, unreachable_pub)]
mod world;

use ln6_broker::*;
use ln6_registry::*;
use ln6_types::{Prefix, PublicKey};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use world::*;

/// Something the desk has said is so.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ack {
    Waiting(PublicKey),
    Granted(PublicKey, Option<Prefix>),
    Revoked(PublicKey),
    Restored(PublicKey),
}

/// What is wrong with a registry that was reopened after these acknowledgements.
fn lost(registry: &Registry, acks: &[Ack]) -> Result<(), String> {
    let mut held: Vec<&Delegation> = registry.delegations().collect();
    held.sort_by_key(|d| d.prefix);
    for pair in held.windows(2) {
        if pair[0].prefix.overlaps(pair[1].prefix) {
            return Err(format!("{:?} overlaps {:?}", pair[0], pair[1]));
        }
    }
    for (i, revocation) in registry.revocations().iter().enumerate() {
        if revocation.number != i as u64 + 1 {
            return Err(format!("revocation {} is missing", i + 1));
        }
    }
    acks.iter().try_for_each(|ack| kept(registry, ack))
}

fn kept(registry: &Registry, ack: &Ack) -> Result<(), String> {
    let is_so = match ack {
        Ack::Waiting(key) => {
            let waits = matches!(registry.standing(NOW, key), Standing::Waiting { .. });
            waits || registry.key(key).is_some()
        }
        Ack::Granted(key, prefix) => registry.key(key).is_some_and(|record| {
            let mine = |tenure: &HistoryView| tenure.holder == record.holder && tenure.keys.contains(key);
            prefix.is_none_or(|prefix| registry.tenures_of(prefix).iter().any(mine))
        }),
        Ack::Revoked(key) => {
            registry.certificate_of(key).is_none()
                && registry.key(key).is_some_and(|record| record.state.is_revoked())
        }
        Ack::Restored(key) => registry.certificate_of(key).is_some(),
    };
    if is_so { Ok(()) } else { Err(format!("acknowledged but lost: {ack:?}")) }
}

/// One line of work for one thread: admissions, approvals and revocations until `enough`.
fn work(desk: &Asker, first: u64, count: u64, mut said: impl FnMut(Ack)) {
    for number in first..first + count {
        match number % 3 {
            0 => {
                let (waits, approved) = desk.approve(number);
                waits.then(|| said(Ack::Waiting(key(number))));
                approved.then(|| said(Ack::Granted(key(number), None)));
            }
            _ => {
                if let Some(prefix) = desk.admit(number) {
                    said(Ack::Granted(key(number), Some(prefix)));
                }
            }
        }
        if number % 3 == 2 && desk.revoke(number - 1) {
            match number % 2 {
                0 => said(Ack::Revoked(key(number - 1))),
                _ if desk.restore(number - 1) => said(Ack::Restored(key(number - 1))),
                _ => {}
            }
        }
    }
}

/// A disk that keeps what was synced, and of the rest only a beginning.
#[derive(Default)]
struct Disk {
    synced: Vec<Record>,
    written: Vec<Record>,
    writes: usize,
    crash_at: usize,
    keep: usize,
    dead: bool,
    /// A disk that says it has synced and has not: the test must notice.
    lies: bool,
}

#[derive(Clone)]
enum Record {
    Event(String),
    Commit,
}

impl Disk {
    /// One write or sync; the power goes at the chosen one.
    fn step(&mut self) -> Result<(), StoreError> {
        self.writes += 1;
        if self.writes == self.crash_at {
            let kept = self.keep % (self.written.len() + 1);
            self.synced.extend(self.written.drain(..).take(kept));
            self.dead = true;
        }
        match self.dead {
            true => Err(StoreError::Io { file: "disk".into(), detail: "no power".into() }),
            false => Ok(()),
        }
    }

    fn write(&mut self, record: Record) -> Result<(), StoreError> {
        self.step()?;
        self.written.push(record);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.step()?;
        if !self.lies {
            self.synced.append(&mut self.written);
        }
        Ok(())
    }

    fn read(&self) -> Registry {
        let mut registry = Registry::new();
        let mut group: Vec<Event> = Vec::new();
        for record in self.synced.iter().chain(self.written.iter().filter(|_| !self.dead)) {
            match record {
                Record::Event(json) => group.push(serde_json::from_str(json).expect("event")),
                Record::Commit => group.drain(..).for_each(|event| registry.apply(&event)),
            }
        }
        registry
    }
}

struct DiskJournal(Arc<Mutex<Disk>>);

impl Journal for DiskJournal {
    fn replay(&mut self) -> Result<Registry, StoreError> {
        Ok(self.0.lock().expect("disk").read())
    }

    fn append(&mut self, lines: &[Line], _: &[CardChange]) -> Result<(), StoreError> {
        let mut disk = self.0.lock().expect("disk");
        for Line { event, .. } in lines {
            disk.write(Record::Event(serde_json::to_string(event).expect("json")))?;
        }
        disk.write(Record::Commit)?;
        disk.sync()
    }

    fn cards(&mut self, _: &[Owner]) -> Result<Vec<Card>, StoreError> {
        Ok(Vec::new())
    }

    fn cards_with(&mut self, _: &str) -> Result<Vec<Owner>, StoreError> {
        Ok(Vec::new())
    }

    fn find(&mut self, _: Option<u64>, _: usize, _: &AuditFilter) -> Result<FoundPage, StoreError> {
        Ok(FoundPage::default())
    }

    fn backup(&mut self, _: &Path) -> Result<(), StoreError> {
        Ok(())
    }

    fn export(&mut self, _: &Path, _: bool) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Three threads at one desk until the power goes; whether it went, and what was wrong afterwards.
fn power_cut(crash_at: usize, keep: usize, lies: bool) -> (bool, Result<(), String>) {
    let disk = Arc::new(Mutex::new(Disk { crash_at, keep, lies, ..Disk::default() }));
    let (desk, thread) = Asker::start(DiskJournal(disk.clone()), Registry::new(), 0);
    let acks = Mutex::new(Vec::new());
    let _ = desk.pool();
    std::thread::scope(|scope| {
        for line in 0..3 {
            let (desk, acks) = (desk.clone(), &acks);
            scope.spawn(move || work(&desk, line * 300, 4, |ack| acks.lock().expect("acks").push(ack)));
        }
    });
    drop(desk);
    thread.join().expect("the desk never panics");
    let disk = disk.lock().expect("disk");
    (disk.dead, lost(&disk.read(), &acks.into_inner().expect("acks")))
}

#[test]
fn a_power_cut_at_any_write_loses_nothing_that_was_acknowledged() {
    let mut crashes = 0;
    for crash_at in 1usize.. {
        let keep = crash_at.wrapping_mul(2_654_435_761) >> 7;
        let (crashed, verdict) = power_cut(crash_at, keep, false);
        assert_eq!(verdict, Ok(()), "after a power cut at write {crash_at}");
        if !crashed {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 50, "only {crashes} writes were tried");
}

#[test]
fn a_disk_that_lies_about_syncing_is_noticed() {
    let noticed = (60..80).any(|crash_at| power_cut(crash_at, 0, true).1.is_err());
    assert!(noticed, "the check above would not have noticed a loss");
}

#[test]
fn a_log_cut_at_any_place_gives_back_everything_acknowledged_until_there() {
    let scratch = Scratch::new("cut");
    let file = scratch.file("registry.db");
    let log = scratch.file("registry.db-wal");
    let (store, registry) = open(&file);
    let (desk, thread) = Asker::start(store, registry, 0);
    desk.pool().expect("pool");
    let written = || std::fs::metadata(&log).map_or(0, |meta| meta.len());
    let mut acks: Vec<(u64, Ack)> = Vec::new();
    let begin = written();
    work(&desk, 0, 9, |ack| acks.push((written(), ack)));
    let (whole, end) = (std::fs::read(&log).expect("log"), written());
    let body = std::fs::read(&file).expect("file");
    assert!(begin > 0 && end < 4_000_000 && acks.len() > 9);
    let step = 4096 + 24; // a frame of the log
    for cut in (begin..=end).step_by(step / 2 + 7).chain([end]) {
        let copy = scratch.file("copy.db");
        std::fs::write(&copy, &body).expect("copy");
        std::fs::write(scratch.file("copy.db-wal"), &whole[..cut as usize]).expect("log");
        let (_, registry) = open(&copy);
        let said: Vec<Ack> = acks.iter().filter(|(at, _)| *at <= cut).map(|(_, ack)| ack.clone()).collect();
        assert_eq!(lost(&registry, &said), Ok(()), "cut at {cut} of {end}");
        let _ = std::fs::remove_file(scratch.file("copy.db-wal"));
    }
    drop(desk);
    thread.join().expect("the desk never panics");
}

const CHILD: &str = "LN6D_CRASH_CHILD";

/// Not a test of its own: the process that is killed below.
#[test]
fn hammered_child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (round, file) = task.split_once(' ').expect("round and file");
    let round: u64 = round.parse().expect("round");
    let (store, registry) = open(Path::new(file));
    let (desk, _thread) = Asker::start(store, registry, round);
    desk.pool().expect("pool");
    std::thread::scope(|scope| {
        for line in 0..4 {
            let desk = desk.clone();
            scope.spawn(move || {
                work(&desk, round * 3_000_000 + line * 300_000, 300_000, |ack| {
                    let text = match ack {
                        Ack::Waiting(key) => format!("\nACK waiting {key} - END"),
                        Ack::Granted(key, None) => format!("\nACK granted {key} - END"),
                        Ack::Granted(key, Some(prefix)) => format!("\nACK granted {key} {prefix} END"),
                        Ack::Revoked(key) => format!("\nACK revoked {key} - END"),
                        Ack::Restored(key) => format!("\nACK restored {key} - END"),
                    };
                    let mut out = std::io::stdout().lock();
                    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
                });
            });
        }
    });
}

fn read_ack(line: &str) -> Option<Ack> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["ACK", kind, key, prefix, "END"] = words[..] else { return None };
    let key = key.parse().ok()?;
    match kind {
        "waiting" => Some(Ack::Waiting(key)),
        "granted" => Some(Ack::Granted(key, prefix.parse().ok())),
        "revoked" => Some(Ack::Revoked(key)),
        "restored" => Some(Ack::Restored(key)),
        _ => None,
    }
}

#[test]
fn a_process_killed_at_any_moment_loses_nothing_that_was_acknowledged() {
    let crashes: u64 = std::env::var("LN6D_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(25);
    let scratch = Scratch::new("kill");
    let mut chance =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.subsec_nanos()) as u64 | 1;
    let mut random = move |below: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % below
    };
    let mut all: Vec<Ack> = Vec::new();
    for round in 1..=crashes {
        // A fresh file now and then keeps a thousand rounds quick, and kills the making of files as well.
        let file = scratch.file(&format!("registry-{}.db", round / 20));
        if round % 20 == 0 {
            all.clear();
        }
        let mut child = Process::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "hammered_child", "--nocapture"])
            .env(CHILD, format!("{round} {}", file.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("child");
        let (tx, rx) = channel();
        let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let reader =
            std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(tx.send(line))));
        let wanted = random(60) as usize;
        let mut acks: Vec<Ack> = Vec::new();
        while acks.len() < wanted {
            let Ok(line) = rx.recv_timeout(Duration::from_secs(60)) else { break };
            acks.extend(read_ack(&line));
        }
        // Not to wait for anything: to land between two acknowledgements.
        std::thread::sleep(Duration::from_micros(random(3_000)));
        child.kill().expect("kill");
        child.wait().expect("wait");
        reader.join().expect("reader");
        acks.extend(rx.try_iter().filter_map(|line| read_ack(&line)));
        assert!(acks.len() >= wanted, "the child stopped by itself in round {round}");
        all.extend(acks);
        let (_, registry) = open(&file);
        assert_eq!(lost(&registry, &all), Ok(()), "round {round}");
    }
}
