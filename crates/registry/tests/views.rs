//! What is shown: pages, the nibble map, effects said beforehand; and how long it takes with thousands of holders.

use ln6_registry::*;
use ln6_types::{Prefix, PublicKey, UnixTime, VerifyKey};
use std::collections::BTreeSet;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fn p(text: &str) -> Prefix {
    text.parse().expect("prefix")
}

fn key(number: u32) -> PublicKey {
    let mut octets = [0x40; 32];
    octets[..4].copy_from_slice(&number.to_be_bytes());
    PublicKey(octets)
}

fn give(registry: &mut Registry, command: Command) -> Result<Vec<Event>, Refusal> {
    let entropy = [registry.sequence() as u8; 32];
    let events = registry.decide(NOW, &Actor::Operator, &command, &entropy)?;
    events.iter().for_each(|event| registry.apply(event));
    Ok(events)
}

fn admit(registry: &mut Registry, number: u32, name: &str, prefix: Option<Prefix>, size: Option<u8>) {
    let (key, name) = (key(number), Some(name.to_owned()));
    let join = Join { key, sign: VerifyKey(key.0), name, size, ssid: None, secret: None, contact: None };
    give(registry, Command::Admit { join, prefix }).expect("admitted");
}

fn registry(pool: &str) -> Registry {
    let mut registry = Registry::new();
    give(&mut registry, Command::SetPool(Pool::new(p(pool), Admission::Queue))).expect("pool");
    registry
}

/// Many holders of all kinds.
fn crowd(count: u32) -> Registry {
    let mut registry = registry("2001:db8::/32");
    for number in 0..count {
        // Some have room to grow, some have not.
        let slot = p("2001:db8::/32").part(48, u128::from(number) * 13 - u128::from(number % 5 * 2));
        let size = [48, 52, 56][number as usize % 3];
        let prefix = slot.map(|slot| Prefix::new(slot.network(), size));
        admit(&mut registry, number, &format!("mesh-{number:05}"), prefix, None);
    }
    for number in (0..count).step_by(10) {
        let holder = format!("mesh-{number:05}");
        give(&mut registry, Command::Suspend { holder, reason: String::new() }).expect("suspended");
    }
    registry
}

#[test]
fn pages_one_after_another_are_the_whole_list() {
    let registry = crowd(120);
    let nobody = BTreeSet::new();
    for sort in
        [HolderSort::Name, HolderSort::Since, HolderSort::State, HolderSort::Prefix, HolderSort::Expiry]
    {
        for descending in [false, true] {
            let page = |offset| {
                let query = HolderQuery { sort, descending, offset, limit: 50, ..HolderQuery::default() };
                registry.holder_page(&query, &nobody)
            };
            let mut names: Vec<String> = Vec::new();
            for offset in [0, 50, 100, 150] {
                let page = page(offset);
                assert_eq!((page.total, page.rows.len()), (120, [50, 50, 20, 0][offset / 50]));
                names.extend(page.rows.into_iter().map(|row| row.name));
            }
            if sort == HolderSort::Name {
                assert!(names.is_sorted_by(|a, b| if descending { a > b } else { a < b }));
            }
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 120);
        }
    }
    let huge = HolderQuery { limit: usize::MAX, offset: usize::MAX, ..HolderQuery::default() };
    assert!(registry.holder_page(&huge, &nobody).rows.is_empty());
}

#[test]
fn a_page_is_found_by_name_key_prefix_address_and_state() {
    let mut registry = registry("2001:db8::/32");
    admit(&mut registry, 1, "quintana", Some(p("2001:db8:7::/48")), None);
    admit(&mut registry, 2, "moreno", Some(p("2001:db8:8::/48")), None);
    give(&mut registry, Command::Suspend { holder: "moreno".into(), reason: String::new() })
        .expect("suspended");
    let holders = |text: &str, state: Option<&str>| {
        let query =
            HolderQuery { text: text.into(), state: state.map(str::to_owned), ..HolderQuery::default() };
        let page = registry.holder_page(&query, &BTreeSet::new());
        page.rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(holders("QUINT", None), ["quintana"]);
    assert_eq!(holders(&key(2).to_string(), None), ["moreno"]);
    assert_eq!(holders("2001:db8:7::/48", None), ["quintana"]);
    assert_eq!(holders("2001:db8:8::1", None), ["moreno"]);
    assert_eq!(holders("db8:7", None), ["quintana"]);
    assert_eq!(holders("", Some("suspended")), ["moreno"]);
    assert_eq!(holders("quint", Some("suspended")), [""; 0]);
    assert_eq!(holders("<script>", None), [""; 0]);
    let prefixes = |query: PrefixQuery| {
        registry.prefix_page(&query).rows.into_iter().map(|row| row.holder).collect::<Vec<_>>()
    };
    let all = PrefixQuery::default;
    assert_eq!(prefixes(PrefixQuery { descending: true, ..all() }), ["moreno", "quintana"]);
    assert_eq!(prefixes(PrefixQuery { within: Some(p("2001:db8:7:1::/64")), ..all() }), ["quintana"]);
    assert_eq!(prefixes(PrefixQuery { state: Some("suspended".into()), ..all() }), ["moreno"]);
    assert_eq!(prefixes(PrefixQuery { text: "moren".into(), ..all() }), ["moreno"]);
}

#[test]
fn a_view_says_just_how_far_a_resize_in_place_gets() {
    let mut registry = crowd(40);
    let note = String::new();
    let prefix = registry.prefix_views()[3].prefix.part(44, 0).unwrap_or(p("2001:db8:f000::/44"));
    let _ = give(&mut registry, Command::Reserve { prefix, name: None, note });
    for view in registry.prefix_views().into_iter().filter(|view| view.state == DelegationState::Active) {
        let fits = |size: &u8| {
            let command = Command::Resize { delegation: view.id, size: *size, moving: false };
            registry.decide(NOW, &Actor::Operator, &command, &[0; 32]).is_ok()
        };
        let furthest = (32..=view.prefix.len()).find(fits);
        assert_eq!(Some(view.grows_to), furthest, "{view:?}");
    }
}

#[test]
fn the_nibble_map_tells_every_state_and_counts_shares() {
    let mut registry = registry("2001:db8:4000::/36");
    admit(&mut registry, 1, "large", Some(p("2001:db8:4000::/38")), None);
    admit(&mut registry, 2, "small", Some(p("2001:db8:4800::/49")), None);
    admit(&mut registry, 3, "tiny", Some(p("2001:db8:4800:8000::/50")), None);
    admit(&mut registry, 4, "off", Some(p("2001:db8:4900::/40")), None);
    admit(&mut registry, 5, "gone", Some(p("2001:db8:4a00::/40")), None);
    let reserve = |prefix| Command::Reserve { prefix, name: Some("later".into()), note: String::new() };
    give(&mut registry, reserve(p("2001:db8:4b00::/40"))).expect("reserved");
    give(&mut registry, Command::Suspend { holder: "off".into(), reason: String::new() }).expect("suspended");
    let target = Target::Holder("gone".into());
    give(&mut registry, Command::Revoke { target, reason: String::new(), compromised: false })
        .expect("revoked");

    let space = registry.space(p("2001:db8:4000::/34"));
    assert_eq!((space.block, space.cells.len()), (p("2001:db8::/32"), 256));
    let cell = |digits: usize| &space.cells[digits];
    let seen: Vec<(CellState, Option<&str>)> = [0x3f, 0x40, 0x43, 0x44, 0x48, 0x49, 0x4a, 0x4b, 0x4f, 0x50]
        .map(|digits| (cell(digits).state, cell(digits).holder.as_deref()))
        .to_vec();
    assert_eq!(
        seen,
        [
            (CellState::Outside, None),
            (CellState::Delegated, Some("large")),
            (CellState::Delegated, Some("large")),
            (CellState::Free, None),
            (CellState::Partly, None),
            (CellState::Suspended, Some("off")),
            (CellState::Revoked, Some("gone")),
            (CellState::Reserved, Some("later")),
            (CellState::Partly, None),
            (CellState::Outside, None),
        ]
    );
    assert_eq!(cell(0x40).inside, Some(p("2001:db8:4000::/38")));
    assert_eq!((cell(0x48).delegations, cell(0x48).share), (2, 3.0 / 1024.0));
    assert_eq!(cell(0x4f).share, (-24f64).exp2(), "the /64 of the hosts");

    let deeper = registry.space(p("2001:db8:4800::/40"));
    assert_eq!((deeper.cells[0].state, deeper.cells[0].share), (CellState::Partly, 0.75));
    assert_eq!(registry.space(p("2001:db8:4fff:ffff::/64")).cells[9].state, CellState::Hosts);
    assert_eq!(registry.space(p("2001:db8:4fff:ffff::1/128")).block.len(), 120);
    assert_eq!(registry.space(Prefix::ALL).cells[0x20].state, CellState::Partly);
}

fn preview(registry: &Registry, command: Command) -> Result<Effects, Refusal> {
    registry.preview(NOW, &Actor::Admin("maria".into()), &command.into())
}

#[test]
fn effects_are_said_before_and_nothing_is_changed() {
    let mut registry = registry("2001:db8::/32");
    let held = p("2001:db8:7::/48");
    admit(&mut registry, 1, "quintana", Some(held), None);
    admit(&mut registry, 2, "before", Some(p("2001:db8:5::/48")), None);
    let before = registry.clone();
    let set = |prefix: &str| BTreeSet::from([p(prefix)]);
    let id = registry.delegations().next().expect("delegation").id;

    let suspend = Command::Suspend { holder: "quintana".into(), reason: String::new() };
    let effects = preview(&registry, suspend).expect("effects");
    assert_eq!(effects.lost, BTreeSet::from([held]));
    assert!(effects.warnings.contains(&Warning::LosesConnectivity) && effects.revocations == 1);
    assert_eq!(effects.holders, BTreeSet::from(["quintana".to_owned()]));

    let revoke = |compromised| Command::Revoke {
        target: Target::named("quintana"),
        reason: String::new(),
        compromised,
    };
    let effects = preview(&registry, revoke(false)).expect("effects");
    assert_eq!(effects.undo_until, Some(UnixTime::from_secs(NOW.as_secs() + 7 * 86_400)));
    assert!(!effects.warnings.contains(&Warning::NotUndoable));
    let effects = preview(&registry, revoke(true)).expect("effects");
    assert!(effects.undo_until.is_none() && effects.warnings.contains(&Warning::NotUndoable));
    assert_eq!(effects.keys, BTreeSet::from([key(1)]));

    let shrink = Command::Resize { delegation: id, size: 52, moving: false };
    let effects = preview(&registry, shrink).expect("effects");
    assert_eq!((effects.lost, effects.gained), (BTreeSet::from([held]), set("2001:db8:7::/52")));
    assert!(effects.warnings.contains(&Warning::KeptInQuarantine));
    let moving = Command::Resize { delegation: id, size: 44, moving: true };
    let effects = preview(&registry, moving).expect("effects");
    assert_eq!(effects.retiring.iter().map(|(prefix, _)| *prefix).collect::<Vec<_>>(), [held]);
    assert!(effects.warnings.contains(&Warning::Renumbers) && effects.lost.is_empty());

    let name = Some("new".to_owned());
    let join = Join {
        key: key(9),
        sign: VerifyKey([9; 32]),
        name,
        size: None,
        ssid: None,
        secret: None,
        contact: None,
    };
    let admit = Command::Admit { join, prefix: Some(p("2001:db8:6::/48")) };
    let effects = preview(&registry, admit.clone()).expect("effects");
    assert_eq!(effects.gained, set("2001:db8:6::/48"));
    assert_eq!(
        effects.neighbours.iter().map(|n| n.holder.as_str()).collect::<Vec<_>>(),
        ["before", "quintana"]
    );
    assert_eq!(effects.holders, BTreeSet::from(["new".to_owned()]));

    let refused = preview(&registry, Command::Resume { holder: "quintana".into() });
    assert_eq!(refused.map_err(|r| r.code()), Err("state_changed"));
    let nothing = Command::SetRoles { holder: "quintana".into(), roles: Roles::default() };
    let operator = registry.preview(NOW, &Actor::Operator, &nothing.into()).expect("effects");
    assert!(operator.nothing);
    assert_eq!(registry, before);
    give(&mut registry, admit).expect("as it was said");
    let undo = Command::Restore { target: Target::named("quintana") };
    give(&mut registry, revoke(false)).expect("revoked");
    assert_eq!(preview(&registry, undo).expect("effects").gained, BTreeSet::from([held]));
}

#[test]
fn the_summary_counts_what_the_lists_show() {
    let mut registry = registry("2001:db8::/32");
    admit(&mut registry, 0, "quintana", Some(p("2001:db8:8000::/34")), None);
    admit(&mut registry, 1, "porto", Some(p("2001:db8::/33")), None);
    give(&mut registry, Command::Suspend { holder: "porto".into(), reason: String::new() })
        .expect("suspended");
    let new = NewInvitation { valid_for: 60, name: None, size: None, purpose: Purpose::Admit };
    for _ in 0..3 {
        give(&mut registry, Command::Invite(new.clone())).expect("invited");
    }
    let last = registry.invitation_views(NOW).last().expect("an invitation").id;
    give(&mut registry, Command::Withdraw { invitation: last }).expect("withdrawn");
    let asked = key(2);
    let join = Join {
        key: asked,
        sign: VerifyKey(asked.0),
        name: Some("escuela".into()),
        size: None,
        ssid: None,
        secret: None,
        contact: None,
    };
    let events = registry.decide(NOW, &Actor::Node(asked), &Command::Join(join), &[7; 32]).expect("it waits");
    events.iter().for_each(|event| registry.apply(event));
    assert!(!registry.request_views()[0].name_taken);
    // Meanwhile another is called so.
    give(&mut registry, Command::Rename { holder: "porto".into(), to: "escuela".into() }).expect("renamed");
    assert!(registry.request_views()[0].name_taken);
    let summary = registry.summary(NOW);
    assert_eq!((summary.holders, summary.requests, summary.invitations), (1, 1, 2));
    // A half and a quarter, whether suspended or not.
    assert!((summary.pools[0].share - 0.75).abs() < 1e-9, "{}", summary.pools[0].share);
    let later = registry.summary(NOW + std::time::Duration::from_secs(61));
    assert_eq!(later.invitations, 0);
}
