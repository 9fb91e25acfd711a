use super::*;
use crate::control::membership::tests::{BROKER, NODE, broker, head, network, node, record};
use crate::control::{Config, NodeState, PERSIST_SOON, StoreId};
use crate::host_plan::Inbound;
use core::net::Ipv4Addr;
use ln6_crypto::SigningKey;
use ln6_crypto::handshake::Tai64n;
use ln6_crypto::keys::{StaticSecret, hash};
use ln6_crypto::seal::{Aead, Suite};
use ln6_types::{PublicKey, UnixTime};

pub(super) fn control() -> Control {
    control_with(NodeState::default(), NOW)
}

fn control_with(saved: NodeState, wall: UnixTime) -> Control {
    let config = Config {
        secret: StaticSecret::from_bytes([1; 32]),
        signing: SigningKey::from_seed([2; 32]),
        network: network(),
        name: "n".into(),
        workers: 1,
        brokers: Vec::new(),
        public: Vec::new(),
        wish: None,
        stock: Vec::new(),
        lans: Vec::new(),
        inbound: Inbound::Members,
        openings: Vec::new(),
        firewall: false,
        exit: false,
        transit: true,
        suites: vec![Suite::Aes256Gcm],
        mtu: 1420,
        seed: 4,
    };
    let mut draws = 0u8;
    let secrets = Box::new(move |out: &mut [u8]| {
        draws = draws.wrapping_add(1);
        out.fill(draws);
    });
    Control::new(config, saved, secrets, at(0), wall)
}

pub(super) const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

pub(super) fn at(secs: u64) -> Instant {
    Instant::from_micros(secs * 1_000_000)
}

fn origin(number: u32) -> Origin {
    Origin::V4(Ipv4Addr::from_bits(number))
}

pub(super) fn path(number: u16) -> Path {
    Path::Udp(SocketAddr::from(([192, 0, 2, 1], number)))
}

pub(super) fn keys(born: Instant, index: u32) -> Keys {
    keys_of(Suite::ChaCha20Poly1305, born, index)
}

pub(super) fn keys_of(suite: Suite, born: Instant, index: u32) -> Keys {
    let aead = Aead::new(suite, &[6; 32]).expect("suite");
    let send = Arc::new(SendKey::new(index, aead, born + REJECT_AFTER_TIME));
    Keys { send, index, born, initiator: false, path: path(1) }
}

/// Lets the guest with this number in, if there is room.
fn come(control: &mut Control, now: Instant, number: u32, from: Origin, confirmed: bool) -> bool {
    if !control.make_room(now, from) {
        return false;
    }
    let idx = control.intern(now, PublicKey(hash(b"guest", &[&number.to_be_bytes()])));
    let peer = control.peers.get_mut(idx).expect("just made");
    (peer.origin, peer.met, peer.last_initiation) = (Some(from), Some(now), Some(now));
    peer.current = confirmed.then(|| keys(now, number));
    true
}

fn is_here(control: &Control, number: u32) -> bool {
    control.peers.by_key(&PublicKey(hash(b"guest", &[&number.to_be_bytes()]))).is_some()
}

#[test]
fn a_clock_that_was_wrong_once_does_not_count_for_ever() {
    let month = Duration::from_secs(30 * 86_400);
    let bogus = NOW + 400 * month;
    let saved = NodeState { time_floor: bogus, ..NodeState::default() };
    assert_eq!(control_with(saved.clone(), NOW).wall(at(0)), NOW + month);
    let mut unset = control_with(saved, UnixTime::from_secs(60));
    assert_eq!(unset.wall(at(0)), bogus, "a clock that was never set knows nothing better");
    unset.handle_clock(at(5), NOW);
    assert_eq!(unset.wall(at(5)), NOW + month);
    let saved = NodeState { time_floor: NOW + month / 2, ..NodeState::default() };
    assert_eq!(control_with(saved, NOW).wall(at(0)), NOW + month / 2);
}

#[test]
fn one_address_cannot_take_the_places_of_all_guests() {
    let mut control = control();
    let admitted = (0..600).filter(|n| come(&mut control, at(1), *n, origin(1), true)).count();
    assert_eq!(admitted, GUESTS_OF_ONE);
    assert!(come(&mut control, at(1), 1000, origin(2), false));
    assert!(come(&mut control, at(61), 2000, origin(1), false), "a visit is over in the end");
    assert!(!is_here(&control, 0) && is_here(&control, 1000));
}

#[test]
fn guests_are_bounded_and_give_way_where_most_of_them_are() {
    let mut control = control();
    for number in 0..2_000 {
        come(&mut control, at(1), number, origin(number % 20), number < 60);
    }
    assert_eq!(control.peers.ids().len(), GUESTS);
    assert!(come(&mut control, at(2), 5000, origin(500), true));
    for number in 6000..7000 {
        come(&mut control, at(3), number, origin(number), false);
    }
    assert!(is_here(&control, 5000), "who never confirmed a session goes first");
    assert_eq!(control.peers.ids().len(), GUESTS);
}

#[test]
fn a_replayed_initiation_makes_no_work_while_a_session_is_young() {
    let mut control = control();
    control.handle_stored(at(0), StoreId(1));
    let other = StaticSecret::from_bytes([7; 32]);
    let mut message = [0; INITIATION_LEN];
    let stamp = Tai64n::from_unix(NOW.as_secs(), 0);
    let seed = Ephemeral::from_seed([8; 32]);
    Initiator::start(&other, &control.key, 9, stamp, seed, &mut message).expect("started");
    control.handle_initiation(at(1), path(1), &message);
    assert_eq!(control.counters.handshakes_answered, 1);
    let idx = control.peers.by_key(&other.public()).expect("a guest");
    let sent = |control: &mut Control, born: u64| {
        let peer = control.peers.get_mut(idx).expect("known");
        (peer.current, peer.path, peer.pending) = (Some(keys(at(born), 77)), Some(path(1)), None);
        control.handle_initiation(at(20), path(1), &message);
        control.counters.initiations_sent
    };
    assert_eq!(sent(&mut control, 16), 0);
    assert_eq!(sent(&mut control, 15), 1, "a peer that lost its clock and its state is helped");
}

#[test]
fn whoever_forges_sources_does_not_drive_out_the_addresses_that_worked() {
    let mut control = control();
    let idx = control.intern(at(0), PublicKey([9; 32]));
    let peer = control.peers.get_mut(idx).expect("known");
    (1..=8).for_each(|port| peer.remember(SocketAddr::from(([198, 51, 100, 1], port))));
    let (best, path_then) = (peer.known[..7].to_vec(), path(1));
    (peer.path, peer.current) = (Some(path_then), Some(keys(at(0), 1)));
    for port in 100..200 {
        control.handle_moved(at(1), idx, path(port));
    }
    let peer = control.peers.get(idx).expect("known");
    assert_eq!((&peer.known[..7], peer.path), (&best[..], Some(path_then)));
    assert!(peer.known.len() <= 8);
}

#[test]
fn certificates_that_ended_long_ago_go_once_signed_time_says_so() {
    let mut control = control();
    control.membership.import(&[broker(), node(NODE, 1, &[])], NOW);
    control.handle_stored(at(0), StoreId(1));
    let kept = |control: &Control| control.membership.items().len();
    let day = |days: u64| NOW + Duration::from_secs(days * 86_400);
    // Years ahead, and nobody has signed that.
    control.handle_clock(at(4000), day(3000));
    control.handle_timeout(at(4000));
    assert_eq!(kept(&control), 2);
    control.handle_clock(at(5000), day(211));
    control.membership.import(&[head(BROKER, day(200), 0)], NOW);
    control.rights_changed = true;
    control.handle_timeout(at(9000));
    assert_eq!(kept(&control), 3);
    control.handle_timeout(at(13_000));
    assert_eq!(kept(&control), 2, "the node's went, the broker's and its head stay");
    assert!(control.persist_at < at(13_000 + 601), "the disk follows");
}

#[test]
fn an_answer_ends_the_wait_for_it_and_the_next_silence_counts_from_its_own_beginning() {
    let mut control = control();
    control.handle_stored(at(0), StoreId(1));
    let idx = control.intern(at(0), PublicKey([9; 32]));
    let peer = control.peers.get_mut(idx).expect("known");
    (peer.path, peer.current) = (Some(path(1)), Some(keys(at(0), 1)));
    let counters = peer.counters.clone();
    let sent = Watch { sent: true, ..Watch::default() };
    control.handle_seen(at(1), idx, sent);
    // Heard when no edge was armed.
    counters.received(1, 100);
    for second in 2..17 {
        control.handle_timeout(at(second));
        control.handle_seen(at(second), idx, sent);
        assert_eq!(control.counters.initiations_sent, 0, "second {second}");
    }
    for second in 17..19 {
        control.handle_timeout(at(second));
    }
    assert_eq!(control.counters.initiations_sent, 1);
}

#[test]
fn records_of_others_do_not_wear_the_disk() {
    let mut control = control();
    control.membership.import(&[broker(), node(NODE, 1, &[])], NOW);
    control.handle_stored(at(0), StoreId(1));
    control.handle_stored(at(0), StoreId(2));
    control.persist_at = Instant::FAR_FUTURE;
    let idx = control.intern(at(0), NODE.key());
    for counter in 1..20 {
        control.handle_items(at(10 + counter), idx, vec![record(NODE, NODE, counter)]);
    }
    assert_eq!(control.persist_at, at(11 + 600));
    control.handle_items(at(40), idx, vec![node(NODE, 2, &[])]);
    assert_eq!(control.persist_at, at(40) + PERSIST_SOON, "certificates go to the disk soon");
    let mut stores = control.store.0;
    for second in 41..161 {
        control.persist_soon(at(second), PERSIST_SOON);
        control.handle_timeout(at(second) + PERSIST_SOON);
        control.handle_stored(at(second) + PERSIST_SOON, control.store);
    }
    stores = control.store.0 - stores;
    assert!((8..=24).contains(&stores), "but not {stores} times in two minutes");
}
