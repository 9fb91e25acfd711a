//! The life of a delegation, told case by case.

use ln6_registry::*;
use ln6_types::{Prefix, PublicKey, UnixTime, VerifyKey};

const DAY: u64 = 86_400;

struct Desk {
    registry: Registry,
    now: u64,
    draws: u8,
}

fn p(text: &str) -> Prefix {
    text.parse().expect("prefix")
}

fn key(n: u8) -> PublicKey {
    PublicKey([n; 32])
}

fn ask(n: u8) -> Join {
    let sign = VerifyKey([n; 32]);
    Join { key: key(n), sign, name: None, size: None, ssid: None, secret: None, contact: None }
}

fn revoke(name: &str, compromised: bool) -> Command {
    Command::Revoke { target: Target::Holder(name.into()), reason: "stolen".into(), compromised }
}

fn undo(name: &str) -> Command {
    Command::Restore { target: Target::Holder(name.into()) }
}

impl Desk {
    fn with(pool: Pool) -> Self {
        let mut desk = Desk { registry: Registry::new(), now: 1_700_000_000, draws: 0 };
        desk.operator(Command::SetPool(pool)).expect("pool");
        desk
    }

    fn open() -> Self {
        Desk::with(Pool::new(p("2001:db8::/40"), Admission::Queue))
    }

    fn at(&self) -> UnixTime {
        UnixTime::from_secs(self.now)
    }

    fn entropy(&self) -> [u8; 32] {
        [self.draws; 32]
    }

    fn give(&mut self, who: Actor, command: Command) -> Result<Vec<Event>, Refusal> {
        self.draws += 1;
        let events = self.registry.decide(self.at(), &who, &command, &self.entropy())?;
        events.iter().for_each(|event| self.registry.apply(event));
        Ok(events)
    }

    fn operator(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
        self.give(Actor::Operator, command)
    }

    fn join(&mut self, join: Join) -> Result<Standing, Refusal> {
        let key = join.key;
        self.give(Actor::Node(key), Command::Join(join))?;
        Ok(self.registry.standing(self.at(), &key))
    }

    fn invite(&mut self, name: Option<&str>, size: Option<u8>) -> Secret {
        let new = NewInvitation {
            valid_for: 7 * DAY,
            name: name.map(str::to_owned),
            size,
            purpose: Purpose::Admit,
        };
        self.operator(Command::Invite(new)).expect("invitation");
        Secret::from_entropy(&self.entropy())
    }

    /// A holder `name` with key `n`.
    fn admitted(&mut self, n: u8, name: &str) -> Prefix {
        let secret = self.invite(Some(name), None);
        self.join(Join { secret: Some(secret), ..ask(n) }).expect("joined");
        self.prefix(n)
    }

    fn prefix(&self, n: u8) -> Prefix {
        self.registry.certificate_of(&key(n)).expect("certificate").prefixes[0]
    }

    fn days(&mut self, days: u64) {
        self.now += days * DAY;
        loop {
            let events = self.registry.expiries_until(self.at());
            events.iter().for_each(|event| self.registry.apply(event));
            if events.is_empty() {
                return;
            }
        }
    }

    fn holder(&self, name: &str) -> HolderState {
        self.registry.holder_named(name).map_or(HolderState::Gone, |h| h.state)
    }
}

#[test]
fn a_secret_admits_at_once_and_always_gives_its_key_the_same_answer() {
    let mut desk = Desk::open();
    let secret = desk.invite(Some("quintana"), Some(56));
    let join = Join { secret: Some(secret), size: Some(48), ..ask(1) };
    let first = desk.join(join.clone()).expect("joined");
    assert_eq!(desk.prefix(1).len(), 56);
    desk.days(30);
    assert_eq!(desk.join(join), Ok(first));
    assert_eq!(desk.join(Join { secret: Some(secret), ..ask(2) }), Err(Refusal::InvitationUsed));
    let guess = Secret([9; 16]);
    assert_eq!(desk.join(Join { secret: Some(guess), ..ask(2) }), Err(Refusal::InvitationUnknown));
    let late = desk.invite(None, None);
    desk.days(7);
    assert_eq!(desk.join(Join { secret: Some(late), ..ask(3) }), Err(Refusal::InvitationExpired));
}

#[test]
fn without_a_secret_a_key_waits_until_it_is_approved() {
    let mut desk = Desk::open();
    let join = Join { name: Some("ana".into()), ssid: Some("quintanalibre.org.ar".into()), ..ask(1) };
    let Ok(Standing::Waiting { request, place: 0 }) = desk.join(join.clone()) else { panic!("not waiting") };
    assert!(desk.give(Actor::Node(key(1)), Command::Join(join)).expect("again").is_empty());
    let approve = Command::Approve { request, prefix: None, size: Some(56), name: None, holder: None };
    desk.give(Actor::Admin("maria".into()), approve.clone()).expect("approved");
    assert_eq!(desk.prefix(1), p("2001:db8:ee:3e00::/56"));
    assert_eq!(desk.operator(approve).map_err(|r| r.code()), Err("state_changed"));
}

#[test]
fn a_denied_key_is_told_so_for_a_while_but_an_invitation_helps() {
    let mut desk = Desk::open();
    let Ok(Standing::Waiting { request, .. }) = desk.join(ask(1)) else { panic!("not waiting") };
    desk.operator(Command::Deny { request, reason: "who are you?".into() }).expect("denied");
    assert_eq!(desk.join(ask(1)).map_err(|r| r.code()), Err("denied"));
    let secret = desk.invite(None, None);
    assert!(matches!(desk.join(Join { secret: Some(secret), ..ask(1) }), Ok(Standing::Granted(_))));
    let Ok(Standing::Waiting { request, .. }) = desk.join(ask(2)) else { panic!("not waiting") };
    desk.operator(Command::Deny { request, reason: String::new() }).expect("denied");
    desk.days(8);
    assert!(matches!(desk.join(ask(2)), Ok(Standing::Waiting { .. })));
}

#[test]
fn the_queue_is_bounded_in_all_and_for_one_name() {
    let mut desk = Desk::open();
    let policy = Policy { queue: 6, queue_per_name: 2, ..Policy::default() };
    desk.operator(Command::SetPolicy(policy)).expect("policy");
    let named = |n: u8, name: &str| Join { name: Some(name.into()), ..ask(n) };
    desk.join(named(1, "a")).expect("first");
    desk.join(named(2, "a")).expect("second");
    assert_eq!(desk.join(named(3, "a")), Err(Refusal::QueueFull));
    for n in 4..8 {
        desk.join(ask(n)).expect("room");
    }
    assert_eq!(desk.join(ask(9)), Err(Refusal::QueueFull));
    assert!(desk.join(ask(7)).is_ok(), "who waits already may ask again");
    desk.days(31);
    assert!(desk.join(ask(9)).is_ok(), "nobody decided in time");
}

#[test]
fn meshes_that_keep_the_default_network_name_can_all_wait() {
    let mut desk = Desk::open();
    for n in 1..20 {
        let ssid = Some("LibreMesh.org".to_owned());
        desk.join(Join { ssid, ..ask(n) }).expect("waits");
    }
    let views = desk.registry.request_views();
    assert_eq!(
        (views[0].request.name.as_str(), views[18].request.name.as_str()),
        ("libremesh.org", "libremesh.org-19")
    );
}

#[test]
fn a_waiting_key_may_correct_itself_but_not_for_ever() {
    let mut desk = Desk::open();
    for n in 0..9 {
        desk.join(Join { name: Some(format!("name{n}")), ..ask(1) }).expect("corrected");
    }
    assert_eq!(desk.join(Join { name: Some("again".into()), ..ask(1) }), Err(Refusal::TooSoon));
    assert_eq!(desk.registry.request_views().len(), 1);
}

#[test]
fn who_leaves_finds_its_prefix_until_the_last_certificate_has_ended() {
    let mut desk = Desk::open();
    let prefix = desk.admitted(1, "quintana");
    desk.give(Actor::Node(key(1)), Command::Leave { key: key(1) }).expect("left");
    assert!(desk.registry.certificate_of(&key(1)).is_none());
    let explicit = Command::Admit { join: Join { name: Some("b".into()), ..ask(2) }, prefix: Some(prefix) };
    desk.days(269);
    assert_eq!(desk.operator(explicit.clone()).map_err(|r| r.code()), Err("overlap"));
    desk.join(ask(1)).expect("back without an invitation");
    assert_eq!(desk.prefix(1), prefix);
    desk.give(Actor::Node(key(1)), Command::Leave { key: key(1) }).expect("left");
    desk.days(271);
    assert_eq!(desk.holder("quintana"), HolderState::Gone);
    let secret = desk.invite(None, None);
    desk.join(Join { secret: Some(secret), ..ask(1) }).expect("admitted anew");
    assert_eq!(desk.prefix(1), prefix, "the same key, the same prefix, while it is free");
    assert_eq!(desk.operator(explicit).map_err(|r| r.code()), Err("overlap"));
}

#[test]
fn a_key_that_keeps_leaving_and_coming_back_does_not_fill_the_journal() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    let mut events = 0;
    for _ in 0..100 {
        let left = desk.give(Actor::Node(key(1)), Command::Leave { key: key(1) });
        events += left.map_or(0, |events| events.len());
        let _ = desk.join(ask(1));
    }
    assert!(events < 100, "{events}");
    assert_eq!(desk.join(ask(1)), Err(Refusal::TooSoon));
    desk.now += 3600;
    assert!(matches!(desk.join(ask(1)), Ok(Standing::Granted(_))));
}

#[test]
fn a_view_says_how_far_a_prefix_could_grow() {
    let mut desk = Desk::open();
    desk.admitted(1, "a");
    desk.admitted(2, "b");
    let grows = |desk: &Desk| desk.registry.prefix_views().iter().map(|v| v.grows_to).collect::<Vec<_>>();
    let first = grows(&desk);
    let view = desk.registry.prefix_views()[0].clone();
    let resize = |size| Command::Resize { delegation: view.id, size, moving: false };
    assert_eq!(desk.operator(resize(first[0] - 1)).map_err(|r| r.code()), Err("cannot_resize_in_place"));
    desk.operator(resize(first[0])).expect("as the view has said");
    desk.operator(resize(46)).expect("shrunk");
    let after = desk.registry.prefix_views();
    let own = after.iter().find(|v| v.id == view.id).expect("view");
    assert_eq!(own.grows_to, first[0], "its own past is not in its way");
}

#[test]
fn whoever_never_renews_loses_its_prefix_long_after_its_grace() {
    let mut desk = Desk::open();
    let prefix = desk.admitted(1, "quintana");
    desk.days(269);
    assert_eq!(desk.holder("quintana"), HolderState::Active);
    desk.give(Actor::Node(key(1)), Command::Renew { key: key(1) }).expect("late, but in its grace");
    desk.days(270);
    assert_eq!(desk.holder("quintana"), HolderState::Left);
    desk.days(29);
    assert!(desk.registry.delegations().any(|d| d.prefix == prefix));
    desk.days(2);
    assert!(!desk.registry.delegations().any(|d| d.prefix == prefix));
}

#[test]
fn renewing_early_changes_nothing_and_later_moves_the_dates() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    let renew = || Command::Renew { key: key(1) };
    let first = desk.registry.certificate_of(&key(1)).expect("certificate").clone();
    desk.days(59);
    assert!(desk.give(Actor::Node(key(1)), renew()).expect("renewed").is_empty());
    desk.days(2);
    desk.give(Actor::Node(key(1)), renew()).expect("renewed");
    let second = desk.registry.certificate_of(&key(1)).expect("certificate");
    assert!(second.serial > first.serial && second.not_after > first.not_after);
    assert_eq!(second.prefixes, first.prefixes);
}

#[test]
fn suspension_revokes_certificates_and_keeps_the_prefix() {
    let mut desk = Desk::open();
    let prefix = desk.admitted(1, "quintana");
    let serial = desk.registry.certificate_of(&key(1)).expect("certificate").serial;
    desk.operator(Command::Suspend { holder: "quintana".into(), reason: "spam".into() }).expect("suspended");
    assert_eq!(desk.registry.revocations()[0].what, Revoked::Serial(serial));
    assert_eq!(desk.join(ask(1)), Err(Refusal::Suspended));
    assert_eq!(desk.registry.live_delegations().count(), 0);
    desk.days(1000);
    desk.operator(Command::Resume { holder: "quintana".into() }).expect("resumed");
    assert_eq!(desk.prefix(1), prefix);
    assert_eq!(desk.registry.revocations().len(), 1);
}

#[test]
fn a_compromised_key_never_comes_back_but_its_holder_may_be_replaced() {
    let mut desk = Desk::open();
    let prefix = desk.admitted(1, "quintana");
    desk.operator(revoke("quintana", true)).expect("revoked");
    assert_eq!(desk.operator(revoke("quintana", true)).map_err(|r| r.code()), Err("state_changed"));
    let secret = desk.invite(None, None);
    assert_eq!(desk.join(Join { secret: Some(secret), ..ask(1) }), Err(Refusal::KeyRevoked));
    desk.days(100);
    let with = Replacement::Invitation { valid_for: DAY };
    desk.operator(Command::Replace { holder: "quintana".into(), with }).expect("invitation");
    let secret = Secret::from_entropy(&desk.entropy());
    desk.join(Join { secret: Some(secret), ..ask(2) }).expect("replaced");
    assert_eq!(desk.prefix(2), prefix);
    let with = Replacement::Key { key: key(3), sign: VerifyKey([3; 32]) };
    desk.operator(Command::Replace { holder: "quintana".into(), with }).expect("replaced");
    assert_eq!(desk.prefix(3), prefix);
    assert_eq!(desk.join(ask(2)), Err(Refusal::KeyRevoked));
    let numbers: Vec<u64> = desk.registry.revocations().iter().map(|r| r.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn a_revocation_counts_at_once_and_can_be_undone_until_its_grace_is_over() {
    let mut desk = Desk::open();
    let prefix = desk.admitted(1, "quintana");
    let serial = desk.registry.certificate_of(&key(1)).expect("certificate").serial;
    desk.operator(revoke("quintana", false)).expect("revoked");
    assert_eq!(desk.registry.revocations()[0].what, Revoked::Serial(serial));
    assert!(desk.registry.certificate_of(&key(1)).is_none());
    assert_eq!(desk.give(Actor::Node(key(1)), Command::Renew { key: key(1) }), Err(Refusal::KeyRevoked));
    desk.days(6);
    assert_eq!(desk.join(ask(1)), Err(Refusal::KeyRevoked));
    let events = desk.operator(undo("quintana")).expect("undone");
    let issued = events.iter().find_map(|e| if let What::Issued(i) = &e.what { Some(i) } else { None });
    assert!(issued.expect("a new certificate").serial > serial);
    assert_eq!((desk.prefix(1), desk.holder("quintana")), (prefix, HolderState::Active));
    assert_eq!(desk.operator(undo("quintana")).map_err(|r| r.code()), Err("state_changed"));

    desk.operator(revoke("quintana", false)).expect("revoked again");
    desk.days(7);
    let last = desk.registry.revocations().last().expect("revocation");
    assert_eq!(last.what, Revoked::Key(key(1)), "the grace is over: the key is named");
    assert_eq!(desk.operator(undo("quintana")).map_err(|r| r.code()), Err("state_changed"));
    let one = Command::Restore { target: Target::Key(key(1)) };
    assert_eq!(desk.operator(one).map_err(|r| r.code()), Err("state_changed"));
}

#[test]
fn a_grace_that_is_over_cannot_be_undone_even_before_the_clock_has_said_so() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    desk.operator(revoke("quintana", false)).expect("revoked");
    desk.now += 7 * DAY;
    assert_eq!(desk.operator(undo("quintana")).map_err(|r| r.code()), Err("state_changed"));
}

#[test]
fn a_compromised_key_cannot_be_undone_and_a_revocation_can_become_one() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    desk.operator(revoke("quintana", false)).expect("revoked");
    assert_eq!(desk.operator(revoke("quintana", false)).map_err(|r| r.code()), Err("state_changed"));
    desk.operator(revoke("quintana", true)).expect("worse than thought");
    assert_eq!(desk.registry.revocations().last().map(|r| r.what), Some(Revoked::Key(key(1))));
    assert_eq!(desk.operator(undo("quintana")).map_err(|r| r.code()), Err("state_changed"));
}

#[test]
fn an_undo_brings_back_what_was_there_and_no_more() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    for n in [2, 3, 4] {
        let sign = VerifyKey([n; 32]);
        desk.operator(Command::AddKey { holder: "quintana".into(), key: key(n), sign }).expect("added");
    }
    desk.give(Actor::Node(key(4)), Command::Leave { key: key(4) }).expect("left");
    let target = Target::Key(key(3));
    desk.operator(Command::Revoke { target, reason: String::new(), compromised: false }).expect("revoked");
    desk.days(1);
    desk.operator(Command::Suspend { holder: "quintana".into(), reason: String::new() }).expect("suspended");
    desk.operator(revoke("quintana", false)).expect("revoked");
    desk.operator(undo("quintana")).expect("undone");
    assert_eq!(desk.holder("quintana"), HolderState::Suspended, "as it was");
    desk.operator(Command::Resume { holder: "quintana".into() }).expect("resumed");
    let states: Vec<KeyState> = (1..=4).map(|n| desk.registry.key(&key(n)).expect("key").state).collect();
    assert_eq!(states[..2], [KeyState::Active; 2]);
    assert!(matches!(states[2], KeyState::Revoked { .. }), "revoked a day earlier");
    assert_eq!(states[3], KeyState::Left);
    assert_eq!(desk.prefix(1), desk.prefix(2));
    desk.operator(Command::Restore { target: Target::Key(key(3)) }).expect("undone as well");
    assert_eq!(desk.prefix(3), desk.prefix(1));
}

#[test]
fn who_held_it_during_a_revocation_that_was_undone_is_nobody() {
    let mut desk = Desk::open();
    let prefix = desk.admitted(1, "quintana");
    desk.days(1);
    desk.operator(revoke("quintana", false)).expect("revoked");
    desk.days(1);
    assert!(desk.registry.history_of(prefix, desk.at()).is_empty());
    desk.operator(undo("quintana")).expect("undone");
    assert_eq!(desk.registry.history_of(prefix, desk.at())[0].keys, [key(1)]);
    assert_eq!(desk.registry.tenures_of(prefix).len(), 2);
}

#[test]
fn a_denial_can_be_undone_while_it_lasts() {
    let mut desk = Desk::open();
    desk.join(ask(2)).expect("waits");
    let Ok(Standing::Waiting { request, place: 1 }) = desk.join(ask(1)) else { panic!("not waiting") };
    let reconsider = || Command::Reconsider { request };
    assert_eq!(desk.operator(reconsider()).map_err(|r| r.code()), Err("state_changed"));
    let deny = || Command::Deny { request, reason: "who are you?".into() };
    desk.operator(deny()).expect("denied");
    desk.operator(reconsider()).expect("undone");
    assert_eq!(desk.join(ask(1)), Ok(Standing::Waiting { request, place: 1 }), "its old place");
    desk.operator(deny()).expect("denied");
    desk.days(8);
    assert_eq!(desk.operator(reconsider()).map_err(|r| r.code()), Err("state_changed"));
    let unknown = Command::Reconsider { request: RequestId(999) };
    assert_eq!(desk.operator(unknown).map_err(|r| r.code()), Err("not_found"));
}

fn listed(name: &str, n: u8) -> Command {
    let (key, sign) = (key(n), VerifyKey([n; 32]));
    Command::AdmitListed { name: name.into(), key, sign, size: None, contact: None }
}

fn list(name: &str) -> Actor {
    Actor::KeyList(name.into())
}

#[test]
fn a_key_list_admits_suspends_resumes_and_replaces_those_it_answers_for() {
    let mut desk = Desk::with(Pool::new(p("2001:db8::/40"), Admission::KeyList));
    assert_eq!(desk.join(ask(1)), Err(Refusal::NotListed));
    desk.give(list("git"), listed("quintana", 1)).expect("admitted");
    let prefix = desk.prefix(1);
    assert!(desk.give(list("git"), listed("quintana", 1)).expect("again").is_empty());
    desk.give(list("git"), Command::Unlist { key: key(1) }).expect("removed");
    assert_eq!(desk.holder("quintana"), HolderState::Suspended);
    assert!(desk.give(list("git"), Command::Unlist { key: key(1) }).expect("again").is_empty());
    desk.give(list("git"), listed("quintana", 1)).expect("back");
    assert_eq!(desk.prefix(1), prefix);
    desk.give(list("git"), listed("quintana", 2)).expect("another key in the file");
    assert_eq!((desk.prefix(2), desk.join(ask(1))), (prefix, Err(Refusal::KeyRevoked)));
    desk.give(list("git"), Command::Unlist { key: key(1) }).expect("the old key takes nobody with it");
    assert_eq!(desk.holder("quintana"), HolderState::Active);
}

#[test]
fn a_key_list_has_no_say_over_others_nor_over_administrators() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    assert_eq!(desk.give(list("git"), listed("quintana", 2)).map_err(|r| r.code()), Err("name_taken"));
    assert_eq!(
        desk.give(list("git"), Command::Unlist { key: key(1) }).map_err(|r| r.code()),
        Err("not_found")
    );
    desk.give(list("git"), listed("moreno", 3)).expect("admitted");
    assert_eq!(desk.give(list("other"), listed("moreno", 4)).map_err(|r| r.code()), Err("name_taken"));
    assert_eq!(
        desk.give(list("other"), Command::Unlist { key: key(3) }).map_err(|r| r.code()),
        Err("not_found")
    );
    desk.operator(Command::Suspend { holder: "moreno".into(), reason: String::new() }).expect("suspended");
    assert_eq!(desk.give(list("git"), listed("moreno", 3)), Err(Refusal::Suspended));
    assert_eq!(desk.give(list("git"), revoke("quintana", false)), Err(Refusal::NotAllowed));
    for bad in ["", "../etc", "<b>", "a\u{202e}b", &"x".repeat(99)] {
        assert_eq!(
            desk.give(list("git"), listed(bad, 9)).map_err(|r| r.code()),
            Err("name_invalid"),
            "{bad}"
        );
    }
}

#[test]
fn a_key_list_that_names_whom_others_let_in_does_not_come_to_answer_for_it() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    desk.admitted(2, "exit");
    desk.operator(Command::SetRoles {
        holder: "exit".into(),
        roles: Roles { exit: true, ..Roles::default() },
    })
    .expect("an exit");
    for (name, n) in [("quintana", 1), ("exit", 2), ("other-name", 2)] {
        assert_eq!(desk.give(list("git"), listed(name, n)), Err(Refusal::NotByList), "{name}");
        for command in [
            Command::Unlist { key: key(n) },
            Command::ResizeListed { key: key(n), size: 56 },
            Command::ContactListed { key: key(n), text: Some("eve@example.net".into()) },
        ] {
            let code = desk.give(list("git"), command.clone()).map_err(|refusal| refusal.code());
            assert!(matches!(code, Err("not_found" | "needs_operator")), "{command:?}: {code:?}");
        }
    }
    assert_eq!(desk.holder("exit"), HolderState::Active);
    // Nor does another list, by naming whom the first one let in.
    desk.give(list("git"), listed("moreno", 3)).expect("admitted");
    assert_eq!(desk.give(list("other"), listed("moreno", 3)), Err(Refusal::NotByList));
}

#[test]
fn a_key_list_that_suspended_a_node_does_not_wake_it_as_an_exit() {
    let mut desk = Desk::open();
    desk.give(list("git"), listed("moreno", 1)).expect("admitted");
    desk.give(list("git"), Command::Unlist { key: key(1) }).expect("removed");
    desk.operator(Command::SetRoles {
        holder: "moreno".into(),
        roles: Roles { exit: true, ..Roles::default() },
    })
    .expect("to be an exit");
    assert_eq!(desk.give(list("git"), listed("moreno", 1)), Err(Refusal::NeedsOperator));
    assert_eq!(desk.holder("moreno"), HolderState::Suspended);
}

#[test]
fn what_a_pool_keeps_for_a_key_list_no_stranger_gets_and_an_administrator_gives_only_on_purpose() {
    let listed_only = Pool::new(p("2001:db8:4000::/40"), Admission::KeyList);
    let mut desk = Desk::with(listed_only.clone());
    // Alone: a stranger is told so, an invitation is an administrator's act.
    assert_eq!(desk.join(ask(1)), Err(Refusal::NotListed));
    desk.admitted(1, "invited");
    assert!(listed_only.prefix.covers(desk.prefix(1)));

    // Beside a pool with a queue: strangers and guests are given parts of that one, whatever they ask for.
    let queue = Pool { largest: 52, default_len: 56, ..Pool::new(p("2001:db8::/40"), Admission::Queue) };
    desk.operator(Command::SetPool(queue.clone())).expect("pool");
    let events = desk.give(Actor::Node(key(2)), Command::Join(ask(2))).expect("waits");
    let What::Requested(Request { id: request, .. }) = events[0].what.clone() else { panic!("{events:?}") };
    desk.operator(Command::Approve { request, prefix: None, size: None, name: None, holder: None })
        .expect("approved");
    assert!(queue.prefix.covers(desk.prefix(2)));
    let too_large = Join { size: Some(48), ..ask(3) };
    assert_eq!(desk.join(too_large.clone()).map_err(|r| r.code()), Err("size_outside_policy"));
    let guest = Command::Admit { join: Join { size: None, ..too_large }, prefix: None };
    desk.operator(guest).expect("admitted");
    assert!(queue.prefix.covers(desk.prefix(3)));
    let named = listed_only.prefix.part(48, 9).expect("part");
    desk.operator(Command::Admit {
        join: Join { name: Some("chosen".into()), ..ask(4) },
        prefix: Some(named),
    })
    .expect("by name");
    assert_eq!(desk.prefix(4), named);

    // The list's own: in the list's pool, also when they move.
    desk.give(list("git"), listed("moreno", 5)).expect("admitted");
    let neighbour = Prefix::new(desk.prefix(5).network(), 47);
    desk.operator(Command::Reserve {
        prefix: neighbour.part(48, 1).expect("part"),
        name: None,
        note: String::new(),
    })
    .expect("reserved");
    let delegation = desk.registry.delegations().find(|d| d.prefix == desk.prefix(5)).expect("delegation").id;
    desk.operator(Command::Resize { delegation, size: 47, moving: true }).expect("moved");
    let prefixes = desk.registry.certificate_of(&key(5)).expect("certificate").prefixes.clone();
    assert!(
        prefixes.len() == 2 && prefixes.iter().all(|held| listed_only.prefix.covers(*held)),
        "{prefixes:?}"
    );
}

#[test]
fn the_key_of_one_node_in_the_file_of_another_is_refused() {
    let mut desk = Desk::open();
    desk.give(list("git"), listed("moreno", 1)).expect("admitted");
    desk.give(list("git"), listed("quintana", 2)).expect("admitted");
    assert_eq!(desk.give(list("git"), listed("moreno", 2)), Err(Refusal::KeyTaken));
    // One that was renamed here meanwhile is still the file's.
    desk.operator(Command::Rename { holder: "moreno".into(), to: "moreno-norte".into() }).expect("renamed");
    assert!(desk.give(list("git"), listed("moreno", 1)).expect("as it is").is_empty());
}

#[test]
fn a_key_list_resizes_its_own_within_the_pools_policy() {
    let mut pool = Pool::new(p("2001:db8::/40"), Admission::KeyList);
    (pool.largest, pool.default_len) = (52, 56);
    let mut desk = Desk::with(pool);
    let Command::AdmitListed { name, key: k, sign, contact, .. } = listed("moreno", 1) else { panic!() };
    desk.give(list("git"), Command::AdmitListed { name, key: k, sign, size: Some(56), contact }).expect("in");
    let resize = |size| Command::ResizeListed { key: key(1), size };
    assert_eq!(desk.give(list("git"), resize(48)).map_err(|r| r.code()), Err("size_outside_policy"));
    assert!(desk.give(list("git"), resize(56)).expect("as it is").is_empty());
    desk.give(list("git"), resize(52)).expect("larger");
    assert_eq!(desk.prefix(1).len(), 52);
    let roles = Roles { exit: true, ..Roles::default() };
    desk.operator(Command::SetRoles { holder: "moreno".into(), roles }).expect("an exit");
    assert_eq!(desk.give(list("git"), resize(56)), Err(Refusal::NeedsOperator));
}

#[test]
fn neither_a_key_list_nor_an_invitation_makes_an_exit_of_another_key() {
    let mut desk = Desk::open();
    desk.give(list("git"), listed("exit", 1)).expect("admitted");
    let roles = Roles { exit: true, ..Roles::default() };
    desk.operator(Command::SetRoles { holder: "exit".into(), roles }).expect("an exit");
    assert!(desk.give(list("git"), listed("exit", 1)).expect("as it is").is_empty());
    assert_eq!(desk.give(list("git"), listed("exit", 2)), Err(Refusal::NeedsOperator));
    assert_eq!(desk.give(list("git"), Command::Unlist { key: key(1) }), Err(Refusal::NeedsOperator));
    let id = desk.registry.holder_named("exit").expect("holder").id;
    for purpose in [Purpose::AddKey(id), Purpose::Replace(id)] {
        let invite = Command::Invite(NewInvitation { valid_for: DAY, name: None, size: None, purpose });
        assert_eq!(desk.give(Actor::Admin("maria".into()), invite), Err(Refusal::NeedsOperator));
    }
}

#[test]
fn what_is_reserved_under_a_name_is_given_to_it_whatever_size_it_asks_for() {
    let mut desk = Desk::open();
    let kept = p("2001:db8:7:4200::/56");
    for (n, name) in [(1u8, "from-list"), (2, "from-queue"), (3, "chosen")] {
        let prefix = kept.part(60, u128::from(n)).expect("part");
        desk.operator(Command::Reserve { prefix, name: Some(name.into()), note: "LibreNet6".into() })
            .expect("reserved");
    }
    let part = |n: u8| kept.part(60, u128::from(n)).expect("part");
    let Command::AdmitListed { name, key: k, sign, contact, .. } = listed("from-list", 1) else { panic!() };
    desk.give(list("git"), Command::AdmitListed { name, key: k, sign, size: Some(48), contact }).expect("in");
    assert_eq!(desk.prefix(1), part(1));
    for (n, name, size) in [(2, "from-queue", None), (3, "chosen", Some(64))] {
        desk.join(Join { name: Some(name.into()), size: Some(56), ..ask(n) }).expect("waits");
        let request = desk.registry.request_views()[0].request.id;
        let approve = Command::Approve { request, prefix: None, size, name: None, holder: None };
        desk.operator(approve).expect("approved");
    }
    assert_eq!(desk.prefix(2), part(2));
    assert_eq!(desk.prefix(3).len(), 64, "an administrator's word counts more");
}

#[test]
fn everybody_moves_to_another_pool_with_both_prefixes_for_a_while() {
    let mut desk = Desk::open();
    let old: Vec<Prefix> = (1..=5).map(|n| desk.admitted(n, &format!("mesh{n}"))).collect();
    let secret = desk.invite(Some("host"), Some(128));
    desk.join(Join { secret: Some(secret), ..ask(6) }).expect("joined");
    let (from, to) = (p("2001:db8::/40"), p("2001:db8:ff00::/40"));
    desk.operator(Command::Suspend { holder: "mesh5".into(), reason: String::new() }).expect("suspended");
    let renumber = || Command::Renumber { from, to };
    assert_eq!(desk.operator(renumber()), Err(Refusal::NoPool));
    desk.operator(Command::SetPool(Pool::new(to, Admission::Queue))).expect("pool");
    let taken = old[1]
        .part(48, 0)
        .map(|p| p.address(0).to_bits() - from.address(0).to_bits() + to.address(0).to_bits());
    let taken = Prefix::new(taken.expect("slot").into(), 48);
    desk.operator(Command::Reserve { prefix: taken, name: None, note: String::new() }).expect("reserved");
    assert_eq!(desk.give(Actor::Admin("maria".into()), renumber()), Err(Refusal::NeedsOperator));
    desk.operator(renumber()).expect("renumbered");
    for n in [1, 2, 3, 4] {
        let both = desk.registry.certificate_of(&key(n)).expect("certificate").prefixes.clone();
        assert_eq!((both.len(), both[0]), (2, old[usize::from(n) - 1]));
        let same = both[1].network().to_bits() - to.network().to_bits();
        let was = both[0].network().to_bits() - from.network().to_bits();
        assert_eq!(same == was, n != 2, "the same place, if that is free");
        assert!(to.covers(both[1]));
    }
    assert_eq!(desk.registry.certificate_of(&key(6)).expect("certificate").prefixes.len(), 2);
    let open: Vec<bool> = desk.registry.pools().map(|pool| pool.open).collect();
    assert_eq!(open, [false, true]);
    desk.days(14);
    for n in [1, 2, 3, 4, 6] {
        let now = &desk.registry.certificate_of(&key(n)).expect("certificate").prefixes;
        assert!(now.len() == 1 && to.covers(now[0]), "{now:?}");
    }
    desk.operator(Command::Resume { holder: "mesh5".into() }).expect("resumed");
    assert_eq!(desk.prefix(5), old[4]);
    desk.operator(renumber()).expect("the late one as well");
    assert_eq!(desk.registry.certificate_of(&key(5)).expect("certificate").prefixes.len(), 2);
}

#[test]
fn two_moves_that_end_together_leave_a_certificate_that_names_neither() {
    let mut desk = Desk::open();
    desk.admitted(1, "a");
    let to = p("2001:db8:ff00::/40");
    desk.operator(Command::SetPool(Pool::new(to, Admission::Queue))).expect("pool");
    desk.operator(Command::Renumber { from: p("2001:db8::/40"), to }).expect("first");
    desk.operator(Command::SetPool(Pool::new(p("2001:db8::/40"), Admission::Queue))).expect("reopened");
    desk.operator(Command::Renumber { from: to, to: p("2001:db8::/40") }).expect("and back");
    let retiring = |desk: &Desk| {
        let all = desk.registry.delegations();
        all.filter(|d| matches!(d.state, DelegationState::Retiring { .. })).count()
    };
    assert_eq!(retiring(&desk), 2);
    desk.days(14);
    assert_eq!(retiring(&desk), 0);
    let live: Vec<Prefix> = desk.registry.live_delegations().map(|d| d.prefix).collect();
    assert_eq!(desk.registry.certificate_of(&key(1)).expect("certificate").prefixes, live);
}

#[test]
fn a_cap_is_kept_and_shown() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    let cap = |rate| Command::SetRate { holder: "quintana".into(), rate };
    assert_eq!(desk.operator(cap(Some(999))), Err(Refusal::RateInvalid));
    desk.operator(cap(Some(1_000_000))).expect("capped");
    assert_eq!(desk.registry.holder_views(false)[0].rate, Some(1_000_000));
    assert!(desk.operator(cap(Some(1_000_000))).expect("again").is_empty());
    desk.operator(cap(None)).expect("lifted");
    assert_eq!(desk.registry.holder_views(false)[0].rate, None);
}

#[test]
fn a_holder_that_is_renamed_keeps_what_it_has_and_frees_its_name() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    desk.admitted(2, "moreno");
    let rename = |holder: &str, to: &str| Command::Rename { holder: holder.into(), to: to.into() };
    let before = desk.registry.holder_views(false);
    assert_eq!(desk.operator(rename("quintana", "moreno")), Err(Refusal::NameTaken("moreno".into())));
    assert_eq!(desk.operator(rename("quintana", "Q 2")), Err(Refusal::NameInvalid("Q 2".into())));
    assert_eq!(desk.operator(rename("nobody", "x")).map_err(|refusal| refusal.code()), Err("not_found"));
    assert!(desk.operator(rename("quintana", "quintana")).expect("nothing").is_empty());
    let events = desk.operator(rename("quintana", "norte")).expect("renamed");
    let issued = events.iter().find_map(|event| match &event.what {
        What::Issued(issue) => Some((issue.name.clone(), issue.holder.clone())),
        _ => None,
    });
    assert_eq!(issued, Some(("norte".to_owned(), "norte".to_owned())), "{events:?}");
    let after = desk.registry.holder_views(false);
    let of = |views: &[HolderView], name: &str| {
        let view = views.iter().find(|view| view.name == name)?;
        Some(view.prefixes.iter().map(|held| held.prefix).collect::<Vec<_>>())
    };
    assert_eq!(of(&after, "norte"), of(&before, "quintana"));
    assert!(desk.registry.holder_named("quintana").is_none());
    desk.admitted(3, "quintana");
    desk.operator(rename("norte", "sur")).expect("again");
}

#[test]
fn contacts_and_notes_are_bounded_and_never_in_the_journal() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    let contact =
        |text: &str| Command::SetCard { holder: "quintana".into(), contact: Some(text.into()), note: None };
    let note =
        |text: &str| Command::SetCard { holder: "quintana".into(), contact: None, note: Some(text.into()) };
    for command in [contact("ana@example.org"), note("two\nlines"), contact(""), note(&"x".repeat(4096))] {
        let events = desk.operator(command).expect("changed");
        let json = serde_json::to_string(&events).expect("json");
        assert!(events.len() == 1 && !json.contains("ana@") && !json.contains("lines"), "{json}");
    }
    for bad in [contact("a\nb"), contact(&"x".repeat(513)), note("a\u{7}b"), note(&"x".repeat(4097))] {
        assert_eq!(desk.operator(bad).map_err(|r| r.code()), Err("text_invalid"));
    }
    let half = Command::SetCard {
        holder: "quintana".into(),
        contact: Some("a\nb".into()),
        note: Some("fine".into()),
    };
    assert_eq!(desk.operator(half), Err(Refusal::TextInvalid("the contact")), "both or neither");
    let gone = Command::SetCard { holder: "nobody".into(), contact: None, note: Some(String::new()) };
    assert_eq!(desk.operator(gone).map_err(|r| r.code()), Err("not_found"));
}

#[test]
fn the_second_of_two_administrators_is_told_that_things_have_changed() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    let suspend = Command::Suspend { holder: "quintana".into(), reason: "first".into() };
    let seen = desk.registry.revision_of(&suspend);
    assert!(seen.is_some());
    let order = |command| Order { command, reason: "why".into(), expect: seen };
    let decide = |desk: &Desk, order: &Order| {
        desk.registry.decide_order(desk.at(), &Actor::Admin("maria".into()), order, &[1; 32])
    };
    let events = decide(&desk, &order(suspend)).expect("first");
    assert!(events.iter().all(|event| event.reason == "why"));
    events.iter().for_each(|event| desk.registry.apply(event));
    let second = decide(&desk, &order(Command::Resume { holder: "quintana".into() }));
    assert_eq!(second.map_err(|r| r.code()), Err("state_changed"));
    desk.operator(Command::Resume { holder: "quintana".into() }).expect("without looking");
    let seen = desk.registry.revision_of(&undo("quintana"));
    desk.days(61);
    desk.give(Actor::Node(key(1)), Command::Renew { key: key(1) }).expect("renewed");
    assert_eq!(desk.registry.revision_of(&undo("quintana")), seen, "later dates are no change");
}

#[test]
fn a_mesh_may_have_two_gateways() {
    let mut desk = Desk::open();
    let prefix = desk.admitted(1, "quintana");
    let add = Command::AddKey { holder: "quintana".into(), key: key(2), sign: VerifyKey([2; 32]) };
    desk.operator(add).expect("added");
    assert_eq!(desk.prefix(2), prefix);
    assert_eq!(desk.registry.certificate_of(&key(2)).expect("certificate").name, "quintana-2");
    let target = Target::Key(key(1));
    desk.operator(Command::Revoke { target, reason: String::new(), compromised: false }).expect("revoked");
    assert_eq!(desk.holder("quintana"), HolderState::Active);
    assert_eq!(desk.prefix(2), prefix);
    let taken = Command::Admit { join: Join { name: Some("quintana".into()), ..ask(4) }, prefix: None };
    assert_eq!(desk.operator(taken), Err(Refusal::NameTaken("quintana".into())));
}

#[test]
fn a_prefix_grows_in_place_shrinks_and_moves() {
    let mut desk = Desk::open();
    let first = desk.admitted(1, "a");
    let id = desk.registry.delegations().next().expect("delegation").id;
    desk.operator(Command::Resize { delegation: id, size: 44, moving: false }).expect("grown");
    assert_eq!(desk.prefix(1), p("2001:db8::/44"));
    desk.operator(Command::Resize { delegation: id, size: 56, moving: false }).expect("shrunk");
    assert_eq!(desk.prefix(1), p("2001:db8::/56"));
    let rest = Command::Admit {
        join: Join { name: Some("b".into()), ..ask(2) },
        prefix: Some(p("2001:db8:1::/48")),
    };
    assert_eq!(
        desk.operator(rest.clone()).map_err(|r| r.code()),
        Err("overlap"),
        "certificates name it still"
    );
    for _ in 0..3 {
        desk.days(100);
        desk.give(Actor::Node(key(1)), Command::Renew { key: key(1) }).expect("renewed");
    }
    desk.operator(rest).expect("nobody names it any more");
    let blocked = Command::Resize { delegation: id, size: 44, moving: false };
    assert_eq!(desk.operator(blocked).map_err(|r| r.code()), Err("cannot_resize_in_place"));
    desk.operator(Command::Resize { delegation: id, size: 44, moving: true }).expect("moved");
    let both = desk.registry.certificate_of(&key(1)).expect("certificate").prefixes.clone();
    assert_eq!(both.len(), 2);
    desk.days(15);
    let now = desk.registry.certificate_of(&key(1)).expect("certificate").prefixes.clone();
    assert_eq!(now.len(), 1);
    assert!(now[0].len() == 44 && !now[0].overlaps(first));
}

#[test]
fn the_proposed_slot_is_given_if_it_is_free_and_the_next_best_otherwise() {
    let mut desk =
        Desk::with(Pool { default_len: 56, largest: 56, ..Pool::new(p("2001:db8::/40"), Admission::Queue) });
    for (n, expected) in [(1, Some("2001:db8:d:fe00::/56")), (2, None)] {
        let secret = desk.invite(None, None);
        let ssid = Some("LibreMesh.org".to_owned());
        desk.join(Join { secret: Some(secret), ssid, ..ask(n) }).expect("joined");
        assert_eq!(desk.prefix(n).len(), 56);
        assert_eq!(expected.is_some(), Some(desk.prefix(n).to_string().as_str()) == expected);
    }
    assert!(desk.registry.holder_named("libremesh.org").is_some());
    assert!(desk.registry.holder_named("libremesh.org-2").is_some());
}

#[test]
fn single_hosts_come_from_the_pools_block_also_where_the_pool_is_only_a_64() {
    for pool in ["2001:db8::/40", "2001:db8::/64"] {
        let mut desk = Desk::with(Pool::new(p(pool), Admission::Queue));
        let block = desk.registry.pools().next().and_then(|pool| pool.hosts).expect("block");
        let join = |n| Join { size: Some(128), ..ask(n) };
        let secrets = [desk.invite(None, None), desk.invite(None, None)];
        for (n, secret) in (1..).zip(secrets) {
            desk.join(Join { secret: Some(secret), ..join(n) }).expect("joined");
            assert!(block.covers(desk.prefix(n)) && desk.prefix(n).len() == 128);
        }
        assert_ne!(desk.prefix(1), desk.prefix(2));
        let whole = Command::Admit { join: ask(3), prefix: Some(block) };
        assert!(desk.operator(whole).is_err());
    }
}

#[test]
fn a_reservation_waits_for_its_name_and_is_not_for_others() {
    let mut desk = Desk::open();
    let kept = p("2001:db8:7::/48");
    let reserve =
        Command::Reserve { prefix: kept, name: Some("topo-quintana".into()), note: "LibreNet6".into() };
    desk.operator(reserve).expect("reserved");
    let other = Command::Admit { join: Join { name: Some("b".into()), ..ask(2) }, prefix: Some(kept) };
    assert_eq!(desk.operator(other).map_err(|r| r.code()), Err("overlap"));
    let secret = desk.invite(None, None);
    let squat = Join { secret: Some(secret), name: Some("topo-quintana".into()), ..ask(3) };
    assert_eq!(desk.join(squat).map_err(|r| r.code()), Err("name_taken"));
    assert_eq!(desk.admitted(1, "topo-quintana"), kept);
}

#[test]
fn a_stock_client_gets_a_part_of_its_hosts_prefix() {
    let mut desk = Desk::open();
    let prefix = desk.admitted(1, "quintana");
    let leaf =
        |n: u8, size| Command::RegisterLeaf { host: key(1), name: format!("phone{n}"), key: key(n), size };
    desk.give(Actor::Node(key(1)), leaf(10, None)).expect("registered");
    desk.give(Actor::Node(key(1)), leaf(11, Some(64))).expect("registered");
    assert!(desk.give(Actor::Node(key(1)), leaf(10, None)).expect("again").is_empty());
    assert_eq!(desk.give(Actor::Node(key(2)), leaf(12, None)), Err(Refusal::NotAllowed));
    let parts: Vec<Prefix> = desk.registry.leaves().map(|leaf| leaf.prefix).collect();
    assert!(parts.iter().all(|part| prefix.covers(*part)) && !parts[0].overlaps(parts[1]));
    assert_eq!(desk.join(ask(10)), Err(Refusal::KeyTaken));
    desk.operator(Command::RemoveLeaf { key: key(10) }).expect("removed");
    assert_eq!(desk.registry.leaves().count(), 1);
}

#[test]
fn who_held_a_prefix_at_a_time_has_an_answer() {
    let mut desk = Desk::open();
    let prefix = desk.admitted(1, "quintana");
    let during = desk.at();
    desk.days(1);
    desk.operator(revoke("quintana", false)).expect("gone");
    desk.days(8);
    desk.days(400);
    let join = Join { name: Some("later".into()), ..ask(2) };
    desk.operator(Command::Admit { join, prefix: Some(prefix) }).expect("admitted");
    let then = desk.registry.history_of(prefix, during);
    assert_eq!(
        then.iter().map(|h| (h.name.as_str(), &h.keys[..])).collect::<Vec<_>>(),
        [("quintana", &[key(1)][..])]
    );
    let part = prefix.part(64, 5).expect("part");
    assert_eq!(desk.registry.history_of(part, desk.at())[0].name, "later");
    let between = UnixTime::from_secs(during.as_secs() + 50 * DAY);
    assert!(desk.registry.history_of(prefix, between).is_empty());
    assert_eq!(desk.registry.tenures_of(prefix).len(), 2);
}

#[test]
fn who_speaks_for_an_exit_is_decided_on_the_machine_itself() {
    let mut desk = Desk::open();
    desk.admitted(1, "exit");
    desk.admitted(2, "plain");
    let roles = Roles { exit: true, ..Roles::default() };
    desk.operator(Command::SetRoles { holder: "exit".into(), roles }).expect("set");
    let with = || Replacement::Key { key: key(9), sign: VerifyKey([9; 32]) };
    let of = |name: &str| {
        let holder = || name.to_owned();
        let reason = String::new;
        vec![
            Command::AddKey { holder: holder(), key: key(8), sign: VerifyKey([8; 32]) },
            Command::Replace { holder: holder(), with: with() },
            Command::Suspend { holder: holder(), reason: reason() },
            Command::Revoke { target: Target::Holder(holder()), reason: reason(), compromised: false },
        ]
    };
    for admin in [Actor::Admin("maria".into()), Actor::Token("ci".into())] {
        for command in of("exit") {
            assert_eq!(desk.give(admin.clone(), command), Err(Refusal::NeedsOperator));
        }
        let by_key =
            Command::Revoke { target: Target::Key(key(1)), reason: String::new(), compromised: true };
        assert_eq!(desk.give(admin, by_key), Err(Refusal::NeedsOperator));
    }
    let plain = of("plain").into_iter().next().expect("one");
    desk.give(Actor::Admin("maria".into()), plain).expect("a plain holder is theirs to manage");
    let suspend = of("exit").swap_remove(2);
    desk.operator(suspend).expect("the operator may");
}

#[test]
fn pools_and_roles_are_set_on_the_machine_itself() {
    let mut desk = Desk::open();
    desk.admitted(1, "exit");
    let admin = || Actor::Admin("maria".into());
    let roles = Roles { exit: true, ..Roles::default() };
    let set = Command::SetRoles { holder: "exit".into(), roles };
    assert_eq!(desk.give(admin(), set.clone()), Err(Refusal::NeedsOperator));
    assert_eq!(desk.give(admin(), Command::SetPolicy(Policy::default())), Err(Refusal::NeedsOperator));
    desk.operator(set).expect("set");
    let issue = desk.registry.certificate_of(&key(1)).expect("certificate");
    assert!(issue.roles.exit && issue.pools == [p("2001:db8::/40")]);
    let overlapping = Command::SetPool(Pool::new(p("2001:db8:8::/48"), Admission::Queue));
    assert_eq!(desk.operator(overlapping).map_err(|r| r.code()), Err("overlap"));
    let mut closed = Pool::new(p("2001:db8::/40"), Admission::Queue);
    closed.open = false;
    desk.operator(Command::SetPool(closed)).expect("closed");
    assert_eq!(desk.join(ask(2)), Err(Refusal::NoPool));
    desk.operator(Command::SetPool(Pool::new(p("2001:db8::/40"), Admission::Invitation)))
        .expect("invited only");
    assert_eq!(desk.join(ask(2)), Err(Refusal::InvitationNeeded));
    assert_eq!(desk.give(Actor::Node(key(9)), Command::Join(ask(2))), Err(Refusal::NotAllowed));
}

#[test]
fn a_new_signing_key_gets_a_new_certificate_and_ends_the_old_one() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    let serial = desk.registry.certificate_of(&key(1)).expect("certificate").serial;
    let other = Join { sign: VerifyKey([99; 32]), ..ask(1) };
    assert_eq!(desk.join(other.clone()), Err(Refusal::TooSoon));
    desk.days(1);
    desk.join(other).expect("bound");
    assert_eq!(desk.registry.certificate_of(&key(1)).expect("certificate").sign, VerifyKey([99; 32]));
    assert_eq!(desk.registry.revocations()[0].what, Revoked::Serial(serial));
}

#[test]
fn a_signing_key_belongs_to_one_node() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    let secret = Some(desk.invite(None, None));
    let thief = Join { sign: VerifyKey([1; 32]), ..ask(2) };
    assert_eq!(desk.join(thief.clone()), Err(Refusal::KeyTaken));
    assert_eq!(desk.join(Join { secret, ..thief }), Err(Refusal::KeyTaken));
    desk.join(Join { secret, ..ask(2) }).expect("with its own");
    desk.days(1);
    assert_eq!(desk.join(Join { sign: VerifyKey([1; 32]), ..ask(2) }), Err(Refusal::KeyTaken));
}

#[test]
fn a_full_pool_and_a_wrong_size_are_named() {
    let mut desk = Desk::with(Pool::new(p("2001:db8::/62"), Admission::Queue));
    for n in 1..=3 {
        desk.admitted(n, &format!("n{n}"));
    }
    let secret = desk.invite(None, None);
    let join = Join { secret: Some(secret), ..ask(4) };
    assert_eq!(desk.join(join), Err(Refusal::PoolExhausted { size: 64 }));
    assert_eq!(desk.registry.pool_views()[0].free, 0);
    let large = Join { secret: Some(secret), size: Some(60), ..ask(4) };
    assert_eq!(desk.join(large).map_err(|r| r.code()), Err("size_outside_policy"));
    let named = Join { secret: Some(secret), name: Some("Not a name".into()), ..ask(4) };
    assert_eq!(desk.join(named).map_err(|r| r.code()), Err("name_invalid"));
}

#[test]
fn the_last_of_all_numbers_is_no_end_of_the_registry() {
    let mut desk = Desk::open();
    desk.admitted(1, "quintana");
    let mut last = desk.registry.certificate_of(&key(1)).expect("certificate").clone();
    last.serial = u64::MAX;
    let seen = Seen { highest: u64::MAX, certificates: vec![last], revocations: vec![] };
    for event in desk.registry.merge(desk.at(), &Actor::Operator, &seen) {
        desk.registry.apply(&event);
    }
    assert_eq!(desk.registry.epoch(), u32::MAX);
    assert_eq!(desk.registry.last_serial(), u64::MAX);
    desk.admitted(2, "porto");
    desk.operator(revoke("quintana", true)).expect("revoked");
    assert_eq!(desk.registry.last_serial(), u64::MAX);
}

#[test]
fn whom_an_administrator_suspends_after_the_list_did_the_list_does_not_wake() {
    let mut desk = Desk::open();
    let list = || Actor::KeyList("git".into());
    let listed = || Command::AdmitListed {
        name: "quintana".into(),
        key: key(1),
        sign: VerifyKey([1; 32]),
        size: None,
        contact: None,
    };
    desk.give(list(), listed()).expect("let in");
    desk.give(list(), Command::Unlist { key: key(1) }).expect("removed");
    let suspend = || Command::Suspend { holder: "quintana".into(), reason: "under water".into() };
    desk.operator(suspend()).expect("it is the administrator's now");
    assert_eq!(desk.operator(suspend()).map_err(|r| r.code()), Err("state_changed"));
    assert_eq!(desk.give(list(), listed()), Err(Refusal::Suspended));
    desk.operator(Command::Resume { holder: "quintana".into() }).expect("resumed");
    assert!(desk.registry.certificate_of(&key(1)).is_some());
}
