//! A real broker killed at any moment while strangers, administrators and a key list work: what was acknowledged is there
//! afterwards, what was not is there wholly or not at all.
//!
//! The short form ends after 150 acknowledged changes; `LN6D_CRASHES=1000` wants a thousand.
#![allow(clippy::unwrap_used)]

#[path = "support/facts.rs"]
mod facts;
#[path = "support/http.rs"]
mod http;
#[path = "support/repository.rs"]
mod repository;
#[path = "support/stranger.rs"]
mod stranger;
#[path = "support/world.rs"]
mod world;

use facts::{Facts, Member, Stage, faults, observe};
use http::Api;
use ln6_broker::Store;
use ln6_lab::wait_for;
use ln6_overlay_core::control::message::JoinReply;
use ln6_types::{Prefix, PublicKey, VerifyKey};
use repository::{commit, git};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stranger::{Door, Stranger};
use world::{Machine, Net, PATIENCE};

/// A linear congruential generator: the seed is printed, so that a run can be told from another.
struct Chance(u64);

impl Chance {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// What all lanes have been told.
#[derive(Default)]
struct Count {
    done: AtomicUsize,
    refused: AtomicUsize,
}

/// One line of work: what it knows to be so, and what it has asked for last, if nobody answered.
struct Lane {
    kind: Kind,
    chance: Chance,
    number: u32,
    known: Facts,
    pending: Option<(String, Option<String>)>,
    members: Vec<(Stranger, Member)>,
    /// Who came last: no number is used again.
    newest: u32,
    pending_member: Option<(usize, Member)>,
}

enum Kind {
    /// Strangers who ask, and what becomes of them.
    Members,
    /// Invitations, reservations, the pool and the policy.
    Desk,
    /// Commits to a key list: the repository.
    List { repository: PathBuf, listed: Facts, wanted: Option<Facts>, next: u8 },
    /// Copies: each with the newest line of the journal before and after.
    Backups(Vec<(PathBuf, u64, u64)>),
}

/// The daemon is gone.
struct Over;

/// Whether it was done; `Err` if nobody said so.
fn told(answer: anyhow::Result<(u16, Value)>, count: &Count) -> Result<Option<Value>, Over> {
    match answer.map_err(|_| Over)? {
        (200, value) => {
            count.done.fetch_add(1, SeqCst);
            Ok(Some(value))
        }
        (status, value) => {
            assert!(matches!(status, 400..=499), "{status} {value}");
            count.refused.fetch_add(1, SeqCst);
            Ok(None)
        }
    }
}

impl Lane {
    fn new(kind: Kind, number: u32, seed: u64) -> Self {
        Lane {
            kind,
            chance: Chance(seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            number,
            known: Facts::new(),
            pending: None,
            members: Vec::new(),
            newest: 0,
            pending_member: None,
        }
    }

    fn step(&mut self, api: &Api, door: &Door, count: &Count) -> Result<(), Over> {
        match &self.kind {
            Kind::Members => self.member(api, door, count),
            Kind::Desk => self.desk(api, count),
            Kind::List { .. } => self.list(api, count),
            Kind::Backups(_) => self.backup(api, count),
        }
    }

    /// Asks for something that makes `fact` so; `None` that it is no more.
    fn change(
        &mut self,
        api: &Api,
        count: &Count,
        word: &str,
        body: &Value,
        fact: (String, Option<String>),
    ) -> Result<(), Over> {
        self.pending = Some(fact.clone());
        let done = told(api.post(word, body), count)?.is_some();
        self.pending = None;
        if done {
            self.accept(fact);
        }
        Ok(())
    }

    fn accept(&mut self, (key, value): (String, Option<String>)) {
        match value {
            Some(value) => self.known.insert(key, value),
            None => self.known.remove(&key),
        };
    }

    fn member(&mut self, api: &Api, door: &Door, count: &Count) -> Result<(), Over> {
        if self.members.len() < 3 || self.chance.below(4) == 0 {
            let index = self.members.len();
            self.newest += 1;
            let name = format!("m{}-{}", self.number, self.newest);
            let size = self.chance.one_of(&[48, 56, 60, 64]);
            let stranger = Stranger::new(self.number * 10_000 + self.newest, &name, size);
            let after = Member { stage: Stage::Waiting, name, ..Member::default() };
            self.members.push((stranger, Member::default()));
            self.pending_member = Some((index, after.clone()));
            let reply = self.members[index].0.ask(door, Duration::from_secs(3)).map_err(|_| Over)?;
            assert!(matches!(reply, JoinReply::Waiting { .. }), "{reply:?}");
            count.done.fetch_add(1, SeqCst);
            self.members[index].1 = after;
            self.pending_member = None;
            return Ok(());
        }
        let index = self.chance.below(self.members.len() as u64) as usize;
        let (stranger, before) = &self.members[index];
        let key = stranger.key();
        let before = before.clone();
        let (name, stamp) = (before.name.clone(), self.chance.below(1 << 30));
        let with = |stage| Member { stage, ..before.clone() };
        let (word, body, after) = match before.stage {
            // It was asked when the daemon died, and had not heard it.
            Stage::Absent => {
                self.members.remove(index);
                return Ok(());
            }
            Stage::Waiting if self.chance.below(4) > 0 => {
                let size = self.chance.one_of(&[48, 56, 60, 64]);
                let after = Member { len: Some(size), ..with(Stage::Active) };
                ("approve", json!({"request": name, "size": size}), after)
            }
            Stage::Waiting => ("deny", json!({"request": name, "reason": "who?"}), with(Stage::Denied)),
            Stage::Denied => {
                let denials = api.get("denials").map_err(|_| Over)?;
                let rows = denials["denials"].as_array().unwrap();
                let row = rows.iter().find(|row| row["key"] == key.to_string());
                let row = row.unwrap_or_else(|| panic!("{key} was denied: {denials}"));
                ("undo", json!({"request": row["request"]}), with(Stage::Waiting))
            }
            Stage::Suspended => ("resume", json!({"name": name}), with(Stage::Active)),
            Stage::Revoked => ("undo", json!({"name": name}), with(Stage::Active)),
            Stage::Active => match self.chance.below(7) {
                0 => ("suspend", json!({"name": name, "reason": "test"}), with(Stage::Suspended)),
                1 => ("revoke", json!({"name": name, "reason": "lost"}), with(Stage::Revoked)),
                2 | 3 => {
                    let size = self.chance.one_of(&[48, 52, 56, 60, 64]);
                    let after = Member { len: Some(size), ..before.clone() };
                    ("resize", json!({"holder": name, "size": size, "moving": true}), after)
                }
                4 => {
                    let to = format!("m{}-renamed-{stamp}", self.number);
                    let after = Member { name: to.clone(), ..before.clone() };
                    ("rename", json!({"name": name, "to": to}), after)
                }
                5 => {
                    let (note, contact) = (format!("note {stamp}"), format!("contact {stamp}"));
                    let body = json!({"name": name, "note": note, "contact": contact});
                    ("note", body, Member { note, contact, ..before.clone() })
                }
                _ => {
                    let rate = Some(1000 + stamp);
                    let body = json!({"name": name, "bytes_per_second": rate});
                    ("bandwidth", body, Member { rate, ..before.clone() })
                }
            },
        };
        self.pending_member = Some((index, after.clone()));
        if told(api.post(word, &body), count)?.is_some() {
            self.members[index].1 = after;
        }
        self.pending_member = None;
        Ok(())
    }

    fn desk(&mut self, api: &Api, count: &Count) -> Result<(), Over> {
        let stamp = self.chance.below(1 << 30);
        let known = |begin: &str, value: &str| {
            let mut found = self.known.iter().filter(|(key, said)| key.starts_with(begin) && *said == value);
            found.next().map(|(key, _)| key.clone())
        };
        match self.chance.below(6) {
            0 | 1 => {
                let name = format!("i-{stamp}");
                let fact = (format!("invitation {name}"), Some("open".to_owned()));
                self.change(api, count, "invite", &json!({"name": name, "size": 56}), fact)
            }
            2 => {
                let Some(fact) = known("invitation ", "open") else { return Ok(()) };
                let list = api.get("invitations").map_err(|_| Over)?;
                let name = fact.trim_start_matches("invitation ");
                let row = list["invitations"].as_array().unwrap().iter().find(|row| row["name"] == name);
                let row = row.unwrap_or_else(|| panic!("{name} was invited: {list}"));
                let body = json!({"invitation": row["id"]});
                self.change(api, count, "withdraw", &body, (fact, Some("withdrawn".to_owned())))
            }
            3 => {
                let pool = Prefix::new(ln6_lab::POOL.0, ln6_lab::POOL.1);
                let prefix = pool.part(60, u128::from(stamp % (1 << 20))).unwrap();
                let note = format!("kept {stamp}");
                let fact = (format!("reservation {prefix}"), Some(note.clone()));
                self.change(api, count, "reserve", &json!({"prefix": prefix, "note": note}), fact)
            }
            4 => {
                let mut kept = self.known.keys().filter(|key| key.starts_with("reservation "));
                let Some(fact) = kept.next().cloned() else { return Ok(()) };
                let prefix = fact.trim_start_matches("reservation ").to_owned();
                self.change(api, count, "unreserve", &json!({"prefix": prefix}), (fact, None))
            }
            _ => {
                let (value, pool) = (4 + stamp % 60, Prefix::new(ln6_lab::POOL.0, ln6_lab::POOL.1));
                let (word, body, key) = match stamp % 2 {
                    0 => ("policy", json!({"queue_per_name": value}), "queue_per_name"),
                    _ => ("pool", json!({"prefix": pool, "largest": 44 + value % 4}), "largest"),
                };
                let value = if word == "pool" { 44 + value % 4 } else { value };
                self.change(api, count, word, &body, (key.to_owned(), Some(value.to_string())))
            }
        }
    }

    /// One more node, or one less, or another size; then until the broker has it.
    fn list(&mut self, api: &Api, count: &Count) -> Result<(), Over> {
        let Kind::List { repository, listed, wanted, next } = &mut self.kind else { return Ok(()) };
        if wanted.is_none() {
            let mut after = listed.clone();
            let active = listed.iter().filter(|(_, state)| state.starts_with("active"));
            let active: Vec<String> = active.map(|(key, _)| key.clone()).collect();
            if active.len() > 4 && self.chance.below(4) == 0 {
                let gone = active[self.chance.below(active.len() as u64) as usize].clone();
                fs::remove_file(repository.join(&gone)).unwrap();
                let size = after[&gone].trim_start_matches("active ").to_owned();
                after.insert(gone, format!("suspended {size}"));
            } else {
                *next += 1;
                let name = format!("listed-{next}");
                let (key, sign) = (PublicKey([*next; 32]), VerifyKey([*next; 32]));
                fs::write(repository.join(&name), format!("key = {key}\nsign = {sign}\n")).unwrap();
                after.insert(name, "active /48".to_owned());
            }
            commit(repository);
            *wanted = Some(after);
        }
        let report = api.post("keylist-pull", &json!({})).map_err(|_| Over)?.1;
        if report["state"] == "held" {
            let commit = json!({"commit": report["waiting"]});
            assert_eq!(api.post("keylist-confirm", &commit).map_err(|_| Over)?.0, 200);
        } else {
            assert_eq!(report["state"], "current", "{report}");
        }
        count.done.fetch_add(1, SeqCst);
        *listed = wanted.take().unwrap();
        Ok(())
    }

    fn backup(&mut self, api: &Api, count: &Count) -> Result<(), Over> {
        let Kind::Backups(made) = &mut self.kind else { return Ok(()) };
        let newest = || -> Result<u64, Over> {
            let audit = api.get("audit?limit=1").map_err(|_| Over)?;
            Ok(audit["rows"][0]["seq"].as_u64().unwrap_or_else(|| panic!("{audit}")))
        };
        let before = newest()?;
        let Some(saved) = told(api.post("backup", &json!({})), count)? else { return Ok(()) };
        let after = newest()?;
        made.push((PathBuf::from(saved["name"].as_str().unwrap()), before, after));
        Ok(())
    }

    /// Compares what it knows with what is there, and takes over what turned out to have been done.
    fn settle(&mut self, seen: &mut Facts) {
        if let Kind::List { listed, wanted, .. } = &mut self.kind {
            let after = wanted.as_ref().unwrap_or(listed);
            for name in listed.keys().chain(after.keys()) {
                let there = seen.get(&format!("listed {name}"));
                assert!(
                    there == listed.get(name) || there == after.get(name),
                    "{name} is {there:?}, not {:?} or {:?}",
                    listed.get(name),
                    after.get(name)
                );
            }
            seen.retain(|key, _| !key.starts_with("listed ") || !after.contains_key(&key[7..]));
        }
        if let Some((key, after)) = self.pending.take() {
            let there = seen.get(&key).cloned();
            let before = self.known.get(&key).cloned();
            assert!(there == before || there == after, "{key} is {there:?}, not {before:?} or {after:?}");
            self.accept((key, there));
        }
        for (key, value) in &self.known {
            assert_eq!(seen.remove(key).as_ref(), Some(value), "{key} was acknowledged");
        }
        let pending = self.pending_member.take();
        for (index, (stranger, member)) in self.members.iter_mut().enumerate() {
            let there = seen.remove(&format!("member {}", stranger.key())).unwrap_or_default();
            let after = pending.as_ref().filter(|(which, _)| *which == index).map(|(_, after)| after);
            match after {
                Some(after) if after.fact() == there => *member = after.clone(),
                _ => assert_eq!(there, member.fact(), "acknowledged; asked for and not answered: {after:?}"),
            }
        }
    }
}

/// The registry as the dead daemon left it: a copy, so that the next daemon finds it untouched.
fn left_by(server: &Machine, round: usize) -> (Store, ln6_registry::Registry) {
    let copy = server.directory().join(format!("seen-{round}.db"));
    fs::copy(server.directory().join("registry.db"), &copy).unwrap();
    let log = server.directory().join("registry.db-wal");
    if log.exists() {
        fs::copy(&log, copy.with_extension("db-wal")).unwrap();
    }
    let opened = Store::open(&copy).unwrap();
    for end in ["db", "db-wal", "db-shm"] {
        let _ = fs::remove_file(copy.with_extension(end));
    }
    opened
}

fn answers(server: &Machine, api: &Api) {
    wait_for("the API", PATIENCE, || {
        api.get("pools").map(drop).map_err(|e| format!("{e}\n{}", server.log()))
    })
    .unwrap();
}

/// Blows, at least.
const LEAST: usize = 4;

#[test]
fn a_broker_killed_at_any_moment_keeps_what_it_acknowledged_and_does_nothing_by_halves() {
    if !ln6_lab::ready() {
        return;
    }
    let wanted: usize = std::env::var("LN6D_CRASHES").ok().map_or(150, |text| text.parse().unwrap());
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut net = Net::server_only("crash").unwrap();
    let here = net.server.directory().to_owned();
    let repository = here.join("list");
    fs::create_dir_all(&repository).unwrap();
    git(&repository, &["init", "--quiet", "--initial-branch=main"]);
    fs::write(repository.join("README"), "who is in\n").unwrap();
    commit(&repository);
    let config = here.join("ln6d.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[keylist]\nurl = \"{}\"\nname = \"test\"\n", repository.display()))
        .unwrap();
    let link = net.server.json(&["invite", "--open"]).unwrap()["link"].as_str().unwrap().to_owned();
    let door = Door::of(&link, &net.server.namespace).unwrap();
    let api = Api(here.join("ln6d.sock"));
    net.server.kill().unwrap();

    let list = Kind::List { repository, listed: Facts::new(), wanted: None, next: 0 };
    let kinds = [Kind::Members, Kind::Members, Kind::Desk, list, Kind::Backups(Vec::new())];
    let numbered = kinds.into_iter().zip(1..);
    let mut lanes: Vec<Lane> = numbered.map(|(kind, number)| Lane::new(kind, number, seed)).collect();
    let (mut chance, count, mut round) = (Chance(seed), Count::default(), 0);
    // What the first daemon made by itself is the desk's to know.
    let mut first = observe(&mut left_by(&net.server, 0));
    lanes[2].known.append(&mut first);

    // Fast machines acknowledge much before the first blow.
    while count.done.load(SeqCst) < wanted || round < LEAST {
        round += 1;
        net.server.launch().unwrap();
        answers(&net.server, &api);
        let enough = count.done.load(SeqCst) + 1 + chance.below(30) as usize;
        let moment = Duration::from_micros(chance.below(20_000));
        std::thread::scope(|scope| {
            for lane in &mut lanes {
                let (api, door, count) = (&api, &door, &count);
                scope.spawn(move || while lane.step(api, door, count).is_ok() {});
            }
            let reached = wait_for("enough answers", PATIENCE, || match count.done.load(SeqCst) {
                done if done >= enough => Ok(()),
                done => Err(format!("{done} of {enough}")),
            });
            // Not to wait for anything: to land between two answers.
            std::thread::sleep(moment);
            net.server.kill().unwrap();
            reached.unwrap();
        });
        let mut left = left_by(&net.server, round);
        assert_eq!(faults(&left.1), Vec::<String>::new(), "after round {round}");
        let mut seen = observe(&mut left);
        lanes.iter_mut().for_each(|lane| lane.settle(&mut seen));
        assert_eq!(seen, Facts::new(), "nobody asked for this; round {round}");
    }
    let (done, refused) = (count.done.load(SeqCst), count.refused.load(SeqCst));
    println!("{done} changes acknowledged, {refused} refused, {round} times killed");
    assert!(refused * 4 < done, "{done} done, {refused} refused, {round} rounds");
    copies_restore(&mut net.server, &api, &lanes[4]);
    an_export_of_an_import_is_the_export(&mut net.server, &api);
}

/// Every copy is whole, and as old as it says; the last one can be put in place.
fn copies_restore(server: &mut Machine, api: &Api, lane: &Lane) {
    let Kind::Backups(made) = &lane.kind else { panic!("not the lane of copies") };
    assert!(!made.is_empty(), "no copy was made");
    for (file, before, after) in made {
        let (store, registry) = Store::open(file).unwrap();
        assert_eq!(faults(&registry), Vec::<String>::new(), "{}", file.display());
        let events = store.events();
        assert!(
            (*before..=*after).contains(&events),
            "{}: {events} lines, {before} to {after}",
            file.display()
        );
    }
    let last = &made.last().unwrap().0;
    for end in ["db", "db-wal", "db-shm"] {
        let _ = fs::remove_file(server.directory().join("registry").with_extension(end));
    }
    fs::copy(last, server.directory().join("registry.db")).unwrap();
    server.launch().unwrap();
    answers(server, api);
    server.stop().unwrap();
    let strip = |mut facts: Facts| {
        facts.retain(|key, _| !key.starts_with("listed "));
        facts
    };
    let restored = strip(observe(&mut left_by(server, 100_000)));
    assert_eq!(restored, strip(observe(&mut Store::open(last).unwrap())));
}

fn an_export_of_an_import_is_the_export(server: &mut Machine, api: &Api) {
    server.launch().unwrap();
    answers(server, api);
    let (first, second) = (server.directory().join("first.ln6"), server.directory().join("second.ln6"));
    server.ask(&["export", first.to_str().unwrap()]).unwrap();
    server.stop().unwrap();
    for end in ["db", "db-wal", "db-shm"] {
        let _ = fs::remove_file(server.directory().join("registry").with_extension(end));
    }
    server.ask(&["import", first.to_str().unwrap()]).unwrap();
    let (store, registry) = Store::open(server.directory().join("registry.db")).unwrap();
    store.export(&second, true).unwrap();
    assert_eq!(faults(&registry), Vec::<String>::new());
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "the second export differs");
}
