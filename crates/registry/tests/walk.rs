//! Random walks: whatever is commanded, in whatever order, the law holds and replay gives the same registry.

use ln6_registry::*;
use ln6_types::{Prefix, PublicKey, UnixTime, VerifyKey};
use proptest::prelude::*;

const POOL: &str = "2001:db8::/58";
/// Empty until somebody is renumbered.
const OTHER: &str = "2001:db8:1::/58";

/// One step: what to do, to whom, with what, after how many hours.
#[derive(Debug, Clone)]
struct Step {
    kind: u8,
    key: u8,
    other: u8,
    size: u8,
    hours: u32,
}

fn step() -> impl Strategy<Value = Step> {
    let hours = prop_oneof![4 => Just(0u32), 4 => 0u32..50, 2 => 0u32..5_000, 1 => 0u32..12_000];
    (0u8..35, 0u8..10, 0u8..10, 58u8..=65, hours).prop_map(|(kind, key, other, size, hours)| Step {
        kind,
        key,
        other,
        size,
        hours,
    })
}

struct Walk {
    registry: Registry,
    journal: Vec<Event>,
    now: u64,
    draws: u64,
    secrets: Vec<Secret>,
    issues: Vec<Issue>,
}

fn key(n: u8) -> PublicKey {
    PublicKey([n; 32])
}

fn pool(prefix: &str) -> Pool {
    Pool { largest: 58, ..Pool::new(prefix.parse().expect("pool"), Admission::Queue) }
}

impl Walk {
    fn new() -> Self {
        let (now, draws) = (1_700_000_000, 0);
        let mut walk =
            Walk { registry: Registry::new(), journal: vec![], now, draws, secrets: vec![], issues: vec![] };
        walk.give(Actor::Operator, Command::SetPool(pool(POOL)));
        walk
    }

    fn entropy(&self) -> [u8; 32] {
        let mut entropy = [0; 32];
        entropy[8..16].copy_from_slice(&self.draws.to_be_bytes());
        entropy
    }

    fn give(&mut self, who: Actor, command: Command) {
        self.draws += 1;
        let at = UnixTime::from_secs(self.now);
        let decided = self.registry.decide(at, &who, &command, &self.entropy());
        let preview = self.registry.preview(at, &who, &command.clone().into());
        assert_eq!(preview.as_ref().err(), decided.as_ref().err(), "said otherwise before: {command:?}");
        if let Ok(events) = decided {
            assert_eq!(preview.map(|effects| effects.nothing), Ok(events.is_empty()));
            self.take(events);
            // What was decided is so: asking again for a state gives no second one.
            if let Command::Join(_) | Command::Renew { .. } = command {
                assert_eq!(self.registry.decide(at, &who, &command, &[7; 32]), Ok(vec![]), "{command:?}");
            }
        }
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            if let What::Issued(issue) = &event.what {
                assert!(issue.serial > self.issues.last().map_or(0, |last| last.serial));
                self.issues.push(issue.clone());
            }
            self.registry.apply(&event);
            self.journal.push(event);
        }
    }

    fn run(&mut self, step: &Step) {
        self.now += u64::from(step.hours) * 3600;
        let names: Vec<String> = self.registry.holder_views(false).into_iter().map(|h| h.name).collect();
        let holder = || names.get(usize::from(step.other) % names.len().max(1)).cloned().unwrap_or_default();
        let size = Some(if step.size == 65 { 128 } else { step.size });
        let secret = self.secrets.get(usize::from(step.other) % self.secrets.len().max(1)).copied();
        let sign = VerifyKey([step.key.wrapping_add(u8::from(step.kind == 3)); 32]);
        let ssid = (step.other.is_multiple_of(2)).then(|| format!("mesh{}", step.other));
        let join = Join { key: key(step.key), sign, name: None, size, ssid, secret: None, contact: None };
        let node = Actor::Node(key(step.key));
        let requests = self.registry.request_views();
        let request = requests.first().map_or(RequestId(0), |view| view.request.id);
        let prefix = Prefix::new(
            POOL.parse::<Prefix>().expect("pool").address(u128::from(step.other) << 66),
            step.size.min(64),
        );
        let delegations: Vec<DelegationId> = self.registry.delegations().map(|d| d.id).collect();
        let delegation = delegations.get(usize::from(step.other) % delegations.len().max(1)).copied();
        let of_holder = self.registry.holder_named(&holder()).map(|h| h.id);
        let invitation = |purpose| NewInvitation { valid_for: 86_400, name: None, size: None, purpose };
        let admin = Actor::Admin("maria".into());
        let reason = String::new();
        let list = Actor::KeyList("meshes".into());
        let compromised = step.key.is_multiple_of(4);
        let (who, command) = match step.kind {
            0..=2 => (node, Command::Join(join)),
            3..=5 => (node, Command::Join(Join { secret, ..join })),
            6 => (admin, Command::Invite(invitation(Purpose::Admit))),
            7 => (admin, Command::Invite(invitation(of_holder.map_or(Purpose::Admit, Purpose::AddKey)))),
            8 => (
                admin,
                Command::Replace { holder: holder(), with: Replacement::Invitation { valid_for: 86_400 } },
            ),
            9 | 10 => {
                (admin, Command::Approve { request, prefix: None, size: None, name: None, holder: None })
            }
            11 => (
                admin,
                Command::Approve { request, prefix: Some(prefix), size: None, name: None, holder: None },
            ),
            12 => (admin, Command::Deny { request, reason }),
            13 => (admin, Command::Admit { join, prefix: Some(prefix) }),
            14 => (admin, Command::Revoke { target: Target::Key(key(step.key)), reason, compromised }),
            15 => (admin, Command::Revoke { target: Target::Holder(holder()), reason, compromised }),
            16 => (admin, Command::Suspend { holder: holder(), reason }),
            17 => (admin, Command::Resume { holder: holder() }),
            18 => (
                admin,
                Command::Replace { holder: holder(), with: Replacement::Key { key: key(step.key), sign } },
            ),
            19 => match delegation {
                Some(delegation) => (
                    admin,
                    Command::Resize {
                        delegation,
                        size: step.size.min(64),
                        moving: step.key.is_multiple_of(2),
                    },
                ),
                None => return,
            },
            20 => (node.clone(), Command::Leave { key: key(step.key) }),
            21 => (node, Command::Renew { key: key(step.key) }),
            22 => {
                let leaf = key(100 + step.other);
                (
                    node,
                    Command::RegisterLeaf {
                        host: key(step.key),
                        name: format!("l{}", step.other),
                        key: leaf,
                        size: None,
                    },
                )
            }
            23 => (admin, Command::Restore { target: Target::Holder(holder()) }),
            24 => (admin, Command::Restore { target: Target::Key(key(step.key)) }),
            25 => {
                let denied = self.registry.denials().find_map(|(_, denial)| denial.request.as_ref());
                (admin, Command::Reconsider { request: denied.map_or(RequestId(1), |request| request.id) })
            }
            26 => {
                let (holder, text) = (holder(), "x".repeat(usize::from(step.key) * 60));
                (
                    admin,
                    match step.size {
                        ..62 => Command::SetCard { holder, contact: Some(text), note: None },
                        _ => Command::SetCard { holder, contact: Some(text.clone()), note: Some(text) },
                    },
                )
            }
            27 | 28 => {
                let (key, name) = (key(step.key), format!("mesh{}", step.other));
                (list, Command::AdmitListed { name, key, sign, size, contact: None })
            }
            29 => (list, Command::Unlist { key: key(step.key) }),
            30 => {
                let rate = (!step.other.is_multiple_of(3)).then_some(u64::from(step.other) * 1000);
                (admin, Command::SetRate { holder: holder(), rate })
            }
            33 => (admin, Command::Rename { holder: holder(), to: format!("mesh{}", step.other) }),
            31 => {
                let (one, other) = (pool(POOL).prefix, pool(OTHER).prefix);
                let (from, to) = if step.key < 5 { (one, other) } else { (other, one) };
                (Actor::Operator, Command::Renumber { from, to })
            }
            32 => (Actor::Operator, Command::SetPool(pool(if step.key < 7 { POOL } else { OTHER }))),
            _ => (admin, Command::Reserve { prefix, name: Some(format!("mesh{}", step.key)), note: reason }),
        };
        let invites = matches!(
            &command,
            Command::Invite(_) | Command::Replace { with: Replacement::Invitation { .. }, .. }
        );
        self.give(who, command);
        if invites {
            self.secrets.push(Secret::from_entropy(&self.entropy()));
        }
        for _ in 0..8 {
            let due = self.registry.expiries_until(UnixTime::from_secs(self.now));
            if due.is_empty() {
                return;
            }
            self.take(due);
        }
        panic!("time never comes to rest");
    }

    fn check(&self) {
        let now = UnixTime::from_secs(self.now);
        let pools: [Prefix; 2] = [POOL, OTHER].map(|pool| pool.parse().expect("pool"));
        let all: Vec<&Delegation> = self.registry.delegations().collect();
        for (i, a) in all.iter().enumerate() {
            assert!(pools.iter().any(|pool| pool.covers(a.prefix)), "{} outside the pool", a.prefix);
            let foreign = |b: &&&Delegation| b.holder != a.holder && b.prefix.overlaps(a.prefix);
            assert_eq!(all[i + 1..].iter().find(foreign), None, "overlaps {a:?}");
            let twice =
                |b: &&&Delegation| b.state.is_live() && a.state.is_live() && b.prefix.overlaps(a.prefix);
            assert_eq!(all[i + 1..].iter().find(twice), None, "overlaps {a:?}");
        }
        self.check_certificates(now);
        let views = self.registry.holder_views(false);
        let active = views.iter().flat_map(|h| &h.keys).filter(|k| k.state == KeyState::Active);
        let mut signs: Vec<VerifyKey> =
            active.filter_map(|k| self.registry.key(&k.key)).map(|r| r.sign).collect();
        let count = signs.len();
        signs.sort_unstable();
        signs.dedup();
        assert_eq!(signs.len(), count, "a signing key for two");
        for (i, revocation) in self.registry.revocations().iter().enumerate() {
            assert_eq!(revocation.number, i as u64 + 1);
        }
        for (key, of) in views.iter().flat_map(|h| h.keys.iter().map(move |key| (key, h))) {
            let named = self.registry.revocations().iter().any(|r| r.what == Revoked::Key(key.key));
            assert_eq!(key.state == KeyState::Barred, named, "{key:?} of {of:?}");
            assert!(!key.state.is_revoked() || key.serial.is_none(), "{key:?} of {of:?}");
        }
        for leaf in self.registry.leaves() {
            let inside = |d: &&&Delegation| d.holder == leaf.holder && d.prefix.covers(leaf.prefix);
            assert!(all.iter().any(|d| inside(&d)), "{leaf:?} outside");
        }
    }

    /// Whether a holder has this name or had it before it was renamed.
    fn was_called(&self, holder: HolderId, name: &str) -> bool {
        let is = self.registry.holder(holder).is_some_and(|of| of.name == name);
        is || self.journal.iter().any(|event| match &event.what {
            What::HolderAdded { id, name: called, .. } => *id == holder && called == name,
            What::Renamed { holder: of, name: called } => *of == holder && called == name,
            _ => false,
        })
    }

    /// No certificate that anybody may still honour names what somebody else holds; those in force name just what
    /// their holder holds.
    fn check_certificates(&self, now: UnixTime) {
        for issue in self.issues.iter().filter(|issue| issue.grace_until > now) {
            for d in
                self.registry.delegations().filter(|d| issue.prefixes.iter().any(|p| p.overlaps(d.prefix)))
            {
                assert!(self.was_called(d.holder, &issue.holder), "{issue:?} names {d:?}");
            }
        }
        let revoked = |what| self.registry.revocations().iter().any(|r| r.what == what);
        for issue in self.issues.iter().filter(|issue| issue.grace_until > now) {
            let state = self.registry.key(&issue.key).map(|record| record.state);
            if state.is_some_and(KeyState::is_revoked) {
                assert!(
                    revoked(Revoked::Serial(issue.serial)) || revoked(Revoked::Key(issue.key)),
                    "{issue:?}"
                );
            }
        }
        for view in self.registry.holder_views(false) {
            let mut live: Vec<Prefix> =
                view.prefixes.iter().filter(|p| p.state.is_live()).map(|p| p.prefix).collect();
            live.sort_unstable();
            let active = view.keys.iter().filter(|k| k.state == KeyState::Active).count();
            assert_eq!(view.state == HolderState::Active, !live.is_empty(), "{view:?}");
            assert!(view.state != HolderState::Active || active > 0, "{view:?}");
            for key in &view.keys {
                if let Some(issue) = self.registry.certificate_of(&key.key) {
                    assert_eq!(issue.prefixes, live, "{view:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn no_walk_breaks_the_law(steps in proptest::collection::vec(step(), 1..120)) {
        let mut walk = Walk::new();
        for step in &steps {
            walk.run(step);
            walk.check();
        }
        let mut replayed = Registry::new();
        for event in &walk.journal {
            let json = serde_json::to_string(event).expect("json");
            let back: Event = serde_json::from_str(&json).expect("reads back");
            prop_assert_eq!(&back, event);
            prop_assert!(json.contains(&format!("\"what\":{{\"{}\":", event.what.kind())), "{}", json);
            let versioned = json.starts_with("{\"v\":1,");
            prop_assert!(versioned);
            replayed.apply(&back);
        }
        prop_assert!(replayed == walk.registry, "replay differs");
    }
}

/// The walk must be able to get everywhere, or it proves little.
#[test]
fn walks_reach_every_kind_of_event() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let steps =
            proptest::collection::vec(step(), 100..150).new_tree(&mut runner).expect("steps").current();
        let mut walk = Walk::new();
        steps.iter().for_each(|step| walk.run(step));
        let kind =
            |event: &Event| format!("{:?}", event.what).split([' ', '(', '{']).next().map(str::to_owned);
        seen.extend(walk.journal.iter().filter_map(kind));
    }
    let expected = [
        "Approved",
        "ContactChanged",
        "Denied",
        "Freed",
        "Granted",
        "HolderAdded",
        "HolderRevoked",
        "InvitationUsed",
        "Invited",
        "Issued",
        "Kept",
        "KeyAdded",
        "KeyLapsed",
        "KeyLeft",
        "KeyRestored",
        "KeyRevoked",
        "NoteChanged",
        "LeafAdded",
        "Listed",
        "PoolSet",
        "Quarantined",
        "RateSet",
        "RequestExpired",
        "Renamed",
        "Requested",
        "Reserved",
        "Resized",
        "Restored",
        "Resumed",
        "Retiring",
        "Revocation",
        "Suspended",
    ];
    let missing: Vec<&&str> = expected.iter().filter(|kind| !seen.contains(**kind)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

/// All that the network has of this registry's statements.
fn seen(walk: &Walk) -> Seen {
    let revocations = walk.registry.revocations().to_vec();
    let numbers = revocations.iter().map(|r| r.number);
    let highest = numbers.chain([walk.registry.last_serial()]).max().unwrap_or(0);
    Seen { highest, certificates: walk.issues.clone(), revocations }
}

/// The registry as it was after `cut` steps, merged with what all `steps` have brought about.
fn restored(steps: &[Step], cut: usize) -> (Walk, Walk) {
    let mut walk = Walk::new();
    steps[..cut].iter().for_each(|step| walk.run(step));
    let (backup, draws) = (walk.registry.clone(), walk.draws);
    steps[cut..].iter().for_each(|step| walk.run(step));
    let mut after =
        Walk { registry: backup, journal: vec![], issues: vec![], secrets: vec![], ..Walk::new() };
    (after.now, after.draws) = (walk.now, draws + 1_000_000);
    for pool in walk.registry.pools().cloned().collect::<Vec<_>>() {
        after.give(Actor::Operator, Command::SetPool(pool));
    }
    let events = after.registry.merge(UnixTime::from_secs(after.now), &Actor::Operator, &seen(&walk));
    for event in &events {
        after.registry.apply(event);
    }
    (walk, after)
}

fn no_overlap(registry: &Registry) {
    let all: Vec<&Delegation> = registry.delegations().collect();
    for (i, a) in all.iter().enumerate() {
        let foreign = |b: &&&Delegation| b.holder != a.holder && b.prefix.overlaps(a.prefix);
        assert_eq!(all[i + 1..].iter().find(foreign), None, "overlaps {a:?}");
        let twice = |b: &&&Delegation| b.state.is_live() && a.state.is_live() && b.prefix.overlaps(a.prefix);
        assert_eq!(all[i + 1..].iter().find(twice), None, "overlaps {a:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn a_registry_from_any_backup_gives_everybody_what_they_had_once_it_has_heard_of_it(
        steps in prop::collection::vec(step(), 2..60), cut in 0usize..60, more in prop::collection::vec(step(), 0..30),
    ) {
        let cut = cut % steps.len();
        let (lost, mut after) = restored(&steps, cut);
        no_overlap(&after.registry);
        let at = UnixTime::from_secs(after.now);
        let before: Vec<_> = lost.registry.certificates().filter(|issue| issue.grace_until > at).collect();
        for issue in &before {
            let now = after.registry.certificate_of(&issue.key);
            prop_assert_eq!(now.map(|now| (now.serial, &now.prefixes)), Some((issue.serial, &issue.prefixes)), "{:?}", issue);
        }
        for issue in after.registry.certificates().filter(|issue| issue.grace_until > at) {
            prop_assert!(before.iter().any(|old| old.serial == issue.serial), "came back: {:?}", issue);
        }
        // From here on no number that was given is given again, and the law goes on to hold.
        let (serials, numbers) = (lost.registry.last_serial(), lost.registry.revocations().last().map_or(0, |r| r.number));
        let known = after.registry.revocations().len();
        more.iter().for_each(|step| after.run(step));
        no_overlap(&after.registry);
        prop_assert!(after.issues.iter().all(|issue| issue.serial > serials));
        prop_assert!(after.registry.revocations()[known..].iter().all(|r| r.number > numbers));
        // Nobody is given what an old certificate still names that is not taken back.
        let now = UnixTime::from_secs(after.now);
        let revoked = |issue: &Issue| after.registry.revocations().iter().any(|r| {
            r.what == Revoked::Serial(issue.serial) || r.what == Revoked::Key(issue.key)
        });
        let newest = |issue: &&Issue| !lost.issues.iter().chain(&after.issues).any(|other| {
            other.key == issue.key && other.serial > issue.serial
        });
        let believed: Vec<&Issue> = lost.issues.iter().chain(&after.issues)
            .filter(|issue| issue.grace_until > now && !revoked(issue)).filter(newest).collect();
        for (i, a) in believed.iter().enumerate() {
            for b in believed[i + 1..].iter().filter(|b| b.holder != a.holder) {
                let across = a.prefixes.iter().any(|p| b.prefixes.iter().any(|q| p.overlaps(*q)));
                prop_assert!(!across, "{:?} and {:?}", a, b);
            }
        }
    }

    #[test]
    fn a_successor_gives_everybody_what_the_predecessor_gave(
        steps in prop::collection::vec(step(), 1..60), own in prop::collection::vec(step(), 0..10),
    ) {
        let mut lost = Walk::new();
        steps.iter().for_each(|step| lost.run(step));
        // The successor has a pool of its own, with other people under perhaps the same names.
        let mut after = Walk { issues: vec![], ..Walk::new() };
        after.registry = Registry::new();
        let elsewhere: Pool = Pool::new("2001:db8:77::/48".parse().expect("pool"), Admission::Queue);
        after.give(Actor::Operator, Command::SetPool(elsewhere));
        for step in &own {
            after.run(&Step { kind: 13, key: step.key + 50, ..step.clone() });
        }
        after.now = after.now.max(lost.now);
        for prefix in [POOL, OTHER] {
            after.give(Actor::Operator, Command::SetPool(pool(prefix)));
        }
        let (at, issuer) = (UnixTime::from_secs(after.now), key(200));
        let events = after.registry.succeed(at, &Actor::Operator, issuer, &seen(&lost));
        for event in &events {
            after.registry.apply(event);
        }
        no_overlap(&after.registry);
        for issue in lost.registry.certificates().filter(|issue| issue.grace_until > at) {
            let now = after.registry.certificate_of(&issue.key);
            let covers = now.is_some_and(|now| issue.prefixes.iter().all(|p| now.prefixes.iter().any(|q| q.covers(*p))));
            prop_assert!(covers, "{:?} became {:?}", issue, now);
            prop_assert!(now.is_some_and(|now| now.serial > 1 << 32));
        }
        prop_assert!(after.registry.has_succeeded(&issuer));
        prop_assert_eq!(after.registry.succeed(at, &Actor::Operator, issuer, &seen(&lost)), vec![]);
    }
}
