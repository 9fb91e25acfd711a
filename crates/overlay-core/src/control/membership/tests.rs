use super::*;
use ln6_crypto::{Endpoint, EndpointKind, Reason, Revoked, Roles, SigningKey, router_id};
use ln6_types::Prefix;

/// A party with an X25519 and an Ed25519 key, both made from one number.
#[derive(Clone, Copy)]
pub(crate) struct Party(pub(crate) u8);

pub(crate) const ROOT: Party = Party(1);
pub(crate) const BROKER: Party = Party(2);
pub(crate) const NODE: Party = Party(3);
pub(crate) const LEAF: Party = Party(4);
pub(crate) const OTHER: Party = Party(5);
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
const PEER: PeerIdx = PeerIdx(7);
const DAY: u64 = 86_400;

impl Party {
    pub(crate) fn signing(self) -> SigningKey {
        SigningKey::from_seed([self.0; 32])
    }
    pub(crate) fn sign(self) -> VerifyKey {
        self.signing().verify_key()
    }
    pub(crate) fn key(self) -> PublicKey {
        PublicKey([self.0; 32])
    }
    fn router(self) -> RouterId {
        router_id(&self.key())
    }
}

pub(crate) fn p(text: &str) -> Prefix {
    text.parse().expect("prefix")
}

pub(crate) fn network() -> Fingerprint {
    fingerprint(&ROOT.sign())
}

pub(crate) fn empty() -> Membership {
    Membership::new(network(), NetworkUla::of(&network()))
}

fn later(days: u64) -> UnixTime {
    NOW + Duration::from_secs(days * DAY)
}

/// A certificate for `whom`, valid for 90 days with 90 days of grace.
fn plain(whom: Party, by: Party, serial: u64, originate: &[&str]) -> Certificate {
    Certificate {
        network: network(),
        serial,
        issuer: by.sign(),
        key: whom.key(),
        sign: whom.sign(),
        router_id: whom.router(),
        name: format!("n{}", whom.0),
        holder: format!("h{}", whom.0),
        originate: originate.iter().map(|text| p(text)).collect(),
        delegate: Vec::new(),
        roles: Roles::NONE,
        grantable: Roles::NONE,
        not_before: NOW - Duration::from_secs(DAY),
        not_after: later(90),
        grace_until: later(180),
        routes: 16,
        children: 0,
    }
}

fn issue(value: Certificate, by: Party) -> Item {
    let signed = Signed::sign(value, &by.signing()).expect("sign");
    Item { kind: ItemKind::Certificate, bytes: signed.bytes().clone() }
}

pub(crate) fn broker() -> Item {
    issue(broker_certificate(), ROOT)
}

fn broker_certificate() -> Certificate {
    let exit = Roles { exit: true, ..Roles::NONE };
    Certificate {
        delegate: vec![p("2001:db8:4800::/40")],
        roles: Roles { broker: true, ..exit },
        grantable: exit,
        children: 100,
        not_after: later(365),
        grace_until: later(700),
        ..plain(BROKER, ROOT, 1, &["2001:db8:4800::/40"])
    }
}

pub(crate) fn node(whom: Party, serial: u64, originate: &[&str]) -> Item {
    issue(plain(whom, BROKER, serial, originate), BROKER)
}

/// NODE with a /48 of which it may delegate.
fn delegating(serial: u64) -> Item {
    let value = plain(NODE, BROKER, serial, &["2001:db8:4801::/48"]);
    issue(Certificate { delegate: vec![p("2001:db8:4801::/48")], children: 2, ..value }, BROKER)
}

pub(crate) fn revoke(by: Party, number: u64, what: Revoked, reason: Reason) -> Item {
    let value = Revocation { network: network(), issuer: by.sign(), number, what, at: NOW, reason };
    let signed = Signed::sign(value, &by.signing()).expect("sign");
    Item { kind: ItemKind::Revocation, bytes: signed.bytes().clone() }
}

pub(crate) fn head(by: Party, at: UnixTime, last: u64) -> Item {
    let value = Head { network: network(), issuer: by.sign(), at, last, certificates: 0 };
    let signed = Signed::sign(value, &by.signing()).expect("sign");
    Item { kind: ItemKind::Head, bytes: signed.bytes().clone() }
}

pub(crate) fn record(whom: Party, by: Party, counter: u64) -> Item {
    record_naming(whom, by, counter, &[1])
}

pub(crate) fn record_naming(whom: Party, by: Party, counter: u64, suites: &[u8]) -> Item {
    let endpoint = Endpoint { addr: "192.0.2.1:6695".parse().expect("address"), kind: EndpointKind::Udp };
    let value = NodeRecord {
        network: network(),
        key: whom.key(),
        counter,
        at: NOW,
        expires: later(1),
        endpoints: vec![endpoint],
        transit: false,
        reachable: true,
        suites: suites.to_vec(),
        version: 1,
    };
    let signed = Signed::sign(value, &by.signing()).expect("sign");
    Item { kind: ItemKind::Record, bytes: signed.bytes().clone() }
}

fn with(items: &[Item]) -> Membership {
    let mut membership = empty();
    items.iter().for_each(|item| accept(&mut membership, item));
    membership
}

fn accept(membership: &mut Membership, item: &Item) {
    let outcome = membership.offer(item, PEER, NOW);
    assert!(matches!(outcome, Ok(Accepted::New { .. })), "{outcome:?}");
}

fn refused(membership: &mut Membership, item: &Item) -> RefusedItem {
    membership.offer(item, PEER, NOW).expect_err("refused")
}

fn judge(membership: &Membership, who: Party, dst: &str) -> Result<(), OriginRefusal> {
    membership.judge(who.router(), p(dst), Prefix::ALL, NOW)
}

const OURS: &str = "2001:db8:4801::/48";

// It must show 5.

#[test]
fn a_prefix_that_is_not_held_may_not_be_originated() {
    let membership = with(&[broker(), node(NODE, 1, &[OURS]), node(OTHER, 2, &["2001:db8:4802::/48"])]);
    assert_eq!(judge(&membership, NODE, OURS), Ok(()));
    assert_eq!(judge(&membership, NODE, "2001:db8:4801:7::/64"), Ok(()));
    assert_eq!(judge(&membership, NODE, "2001:db8:4802::/48"), Err(OriginRefusal::NotYours));
    assert_eq!(judge(&membership, NODE, "2001:db8:4800::/40"), Err(OriginRefusal::NotYours));
    assert_eq!(judge(&membership, NODE, "2001:db8:5000::/48"), Err(OriginRefusal::NotYours));
    assert_eq!(judge(&membership, LEAF, OURS), Err(OriginRefusal::UnknownRouter));
}

#[test]
fn a_part_that_was_delegated_away_may_not_be_originated() {
    let mut membership = with(&[broker(), delegating(1)]);
    let part = "2001:db8:4801:100::/56";
    assert_eq!(judge(&membership, NODE, part), Ok(()));
    accept(&mut membership, &issue(plain(LEAF, NODE, 1, &[part]), NODE));
    assert_eq!(judge(&membership, NODE, part), Err(OriginRefusal::DelegatedAway(p(part))));
    assert_eq!(
        judge(&membership, NODE, "2001:db8:4801:1ff::/64"),
        Err(OriginRefusal::DelegatedAway(p(part)))
    );
    assert_eq!(judge(&membership, LEAF, part), Ok(()));
    assert_eq!(judge(&membership, NODE, OURS), Ok(()), "the whole stays its own");
    assert_eq!(judge(&membership, LEAF, OURS), Err(OriginRefusal::NotYours));
    assert_eq!(judge(&membership, BROKER, OURS), Err(OriginRefusal::DelegatedAway(p(OURS))));
    assert_eq!(judge(&membership, BROKER, "2001:db8:48ff::/48"), Ok(()));
}

#[test]
fn a_revoked_key_originates_nothing() {
    let mut membership = with(&[broker(), node(NODE, 1, &[OURS])]);
    accept(&mut membership, &revoke(BROKER, 1, Revoked::Key(NODE.key()), Reason::Revoked));
    assert_eq!(judge(&membership, NODE, OURS), Err(OriginRefusal::Revoked));
    assert_eq!(membership.status(&NODE.key(), NOW), CertificateStatus::Revoked);
    assert!(membership.live(&NODE.key(), NOW).is_none());
    accept(&mut membership, &node(NODE, 2, &[OURS]));
    assert_eq!(
        judge(&membership, NODE, OURS),
        Err(OriginRefusal::Revoked),
        "a new serial does not help a revoked key"
    );
}

#[test]
fn an_expired_certificate_counts_until_its_grace_is_over() {
    let membership = with(&[broker(), node(NODE, 1, &[OURS])]);
    let at = |days| membership.judge(NODE.router(), p(OURS), Prefix::ALL, later(days));
    let status = |days| membership.status(&NODE.key(), later(days));
    assert_eq!((at(89), status(89)), (Ok(()), CertificateStatus::Live));
    assert_eq!((at(90), status(90)), (Ok(()), CertificateStatus::InGrace));
    assert_eq!((at(179), status(179)), (Ok(()), CertificateStatus::InGrace));
    assert_eq!((at(180), status(180)), (Err(OriginRefusal::Expired), CertificateStatus::Expired));
    let early = NOW - Duration::from_secs(2 * DAY);
    assert_eq!(membership.judge(NODE.router(), p(OURS), Prefix::ALL, early), Err(OriginRefusal::NotYet));
}

#[test]
fn a_broker_cannot_sign_outside_its_pool() {
    let mut membership = with(&[broker()]);
    let outside = p("2001:db8:4900::/48");
    let outcome = refused(&mut membership, &node(NODE, 1, &["2001:db8:4900::/48"]));
    assert_eq!(outcome, RefusedItem::Chain(ChainError::Originate(outside)));
    assert_eq!(membership.status(&NODE.key(), NOW), CertificateStatus::Unknown);
    assert_eq!(outcome.code(), "originate-outside");
}

#[test]
fn a_pool_that_shrinks_takes_what_was_outside_with_it() {
    let mut membership = with(&[broker(), node(NODE, 1, &[OURS]), node(OTHER, 2, &["2001:db8:4880::/48"])]);
    let smaller = Certificate {
        serial: 2,
        originate: vec![],
        delegate: vec![p("2001:db8:4880::/41")],
        ..broker_certificate()
    };
    accept(&mut membership, &issue(smaller, ROOT));
    assert_eq!(membership.status(&NODE.key(), NOW), CertificateStatus::Unknown);
    assert_eq!(judge(&membership, OTHER, "2001:db8:4880::/48"), Ok(()));
}

// Exits and node addresses.

#[test]
fn a_default_route_needs_the_role_and_sources_that_are_served() {
    let membership = with(&[broker(), node(NODE, 1, &[OURS])]);
    let default = |who: Party, src: Prefix| membership.judge(who.router(), Prefix::ALL, src, NOW);
    assert_eq!(default(BROKER, p("2001:db8:4800::/40")), Ok(()));
    assert_eq!(default(BROKER, p("2001:db8:4810::/48")), Ok(()));
    assert_eq!(default(BROKER, Prefix::ALL), Err(OriginRefusal::DefaultForAll));
    assert_eq!(default(BROKER, p("2001:db8:4000::/34")), Err(OriginRefusal::SourceNotServed));
    assert_eq!(default(NODE, p(OURS)), Err(OriginRefusal::ExitRole));
}

#[test]
fn an_exit_without_pools_serves_those_of_its_broker() {
    let exit = Certificate { roles: Roles { exit: true, ..Roles::NONE }, ..plain(NODE, BROKER, 1, &[]) };
    let membership = with(&[broker(), issue(exit, BROKER)]);
    let default = |src: &str| membership.judge(NODE.router(), Prefix::ALL, p(src), NOW);
    assert_eq!(default("2001:db8:4800::/40"), Ok(()));
    assert_eq!(default("2001:db8:4900::/40"), Err(OriginRefusal::SourceNotServed));
}

#[test]
fn a_node_address_is_its_keys_alone() {
    let membership = with(&[broker(), node(NODE, 1, &[]), node(OTHER, 2, &[])]);
    let address = |who: Party| Prefix::host(NetworkUla::of(&network()).node_address(&who.router()));
    let claim = |who: Party, dst| membership.judge(who.router(), dst, Prefix::ALL, NOW);
    assert_eq!(claim(NODE, address(NODE)), Ok(()));
    assert_eq!(claim(NODE, address(OTHER)), Err(OriginRefusal::NodeAddressNotYours));
    assert_eq!(claim(NODE, NetworkUla::of(&network()).prefix()), Err(OriginRefusal::NodeAddressNotYours));
    assert_eq!(claim(LEAF, address(LEAF)), Err(OriginRefusal::UnknownRouter));
}

#[test]
fn nobody_can_be_given_node_addresses() {
    let ula = NetworkUla::of(&network()).prefix().to_string();
    let grab = issue(plain(NODE, ROOT, 1, &[&ula]), ROOT);
    assert_eq!(refused(&mut empty(), &grab), RefusedItem::NodeSpace);
}

// Chains.

#[test]
fn children_that_arrive_first_wait_for_their_issuers() {
    let mut membership = empty();
    let leaf = issue(plain(LEAF, NODE, 1, &["2001:db8:4801:100::/56"]), NODE);
    let word = record(LEAF, LEAF, 1);
    let missing = |membership: &mut Membership, item: &Item| membership.offer(item, PEER, NOW);
    let by_node = Missing::Issuer(NODE.sign());
    assert_eq!(missing(&mut membership, &word), Ok(Accepted::Held { missing: Missing::Holder(LEAF.key()) }));
    assert_eq!(missing(&mut membership, &leaf), Ok(Accepted::Held { missing: by_node }));
    assert_eq!(
        missing(&mut membership, &leaf),
        Ok(Accepted::Held { missing: by_node }),
        "also when asked again"
    );
    let by_broker = Missing::Issuer(BROKER.sign());
    assert_eq!(missing(&mut membership, &delegating(1)), Ok(Accepted::Held { missing: by_broker }));
    assert_eq!(judge(&membership, LEAF, "2001:db8:4801:100::/56"), Err(OriginRefusal::UnknownRouter));
    let Ok(Accepted::New { released }) = membership.offer(&broker(), PEER, NOW) else { panic!("root's own") };
    assert_eq!(released, vec![delegating(1).id(), leaf.id(), word.id()]);
    assert_eq!(judge(&membership, LEAF, "2001:db8:4801:100::/56"), Ok(()));
    assert_eq!(membership.held(), 0);
    let chain: Vec<PublicKey> = membership.chain(&LEAF.key(), NOW).iter().map(|c| c.key).collect();
    assert_eq!(chain, [BROKER.key(), NODE.key(), LEAF.key()]);
}

#[test]
fn no_sender_fills_the_table_of_what_waits() {
    let mut membership = empty();
    for serial in 0..200 {
        let outcome = membership.offer(&node(NODE, serial, &[]), PEER, NOW);
        assert!(matches!(outcome, Ok(Accepted::Held { .. })));
    }
    assert_eq!(membership.held(), Held::MOST_PER_SENDER);
    assert!(membership.has(node(NODE, 199, &[]).id()), "the newest pushed the oldest out");
    assert!(matches!(membership.offer(&node(OTHER, 1, &[]), PeerIdx(8), NOW), Ok(Accepted::Held { .. })));
    membership.purge(NOW + Duration::from_secs(601));
    assert_eq!(membership.held(), 0);
}

#[test]
fn a_chain_is_at_most_four_long() {
    let pool = vec![p("2001:db8:4801::/48")];
    let link = |whom: Party, by: Party| {
        issue(Certificate { delegate: pool.clone(), children: 2, ..plain(whom, by, 1, &[]) }, by)
    };
    let mut membership = with(&[broker(), link(NODE, BROKER), link(LEAF, NODE), link(OTHER, LEAF)]);
    assert_eq!(membership.status(&OTHER.key(), NOW), CertificateStatus::Live);
    assert_eq!(refused(&mut membership, &link(Party(6), OTHER)), RefusedItem::TooDeep);
}

#[test]
fn an_issuer_has_no_more_children_than_it_may() {
    let mut membership = with(&[broker(), delegating(1)]);
    let child = |whom: u8, serial| issue(plain(Party(whom), NODE, serial, &[]), NODE);
    accept(&mut membership, &child(10, 1));
    accept(&mut membership, &child(11, 2));
    assert_eq!(refused(&mut membership, &child(12, 3)), RefusedItem::ChildrenFull);
    accept(&mut membership, &child(10, 4));
    let outcome = membership.offer(&child(12, 3), PEER, later(180) - Duration::from_secs(1));
    assert_eq!(outcome, Err(RefusedItem::ChildrenFull));
}

#[test]
fn a_revoked_broker_takes_its_nodes_with_it_and_the_root_reaches_everyone() {
    let mut membership = with(&[broker(), delegating(1), issue(plain(LEAF, NODE, 1, &[]), NODE)]);
    accept(&mut membership, &revoke(BROKER, 1, Revoked::Key(LEAF.key()), Reason::Revoked));
    assert_eq!(
        membership.status(&LEAF.key(), NOW),
        CertificateStatus::Revoked,
        "by the issuer of its issuer"
    );
    assert_eq!(membership.status(&NODE.key(), NOW), CertificateStatus::Live);
    accept(&mut membership, &revoke(ROOT, 1, Revoked::Serial(1), Reason::Suspended));
    assert_eq!(membership.status(&NODE.key(), NOW), CertificateStatus::Suspended);
    assert_eq!(membership.status(&LEAF.key(), NOW), CertificateStatus::Revoked);
}

#[test]
fn strangers_revoke_nothing() {
    let mut membership = with(&[broker(), delegating(1), node(OTHER, 2, &[])]);
    accept(&mut membership, &revoke(OTHER, 1, Revoked::Key(NODE.key()), Reason::Revoked));
    accept(&mut membership, &revoke(NODE, 1, Revoked::Serial(2), Reason::Revoked));
    assert_eq!(membership.status(&NODE.key(), NOW), CertificateStatus::Live, "not above it");
    assert_eq!(
        membership.status(&OTHER.key(), NOW),
        CertificateStatus::Live,
        "serials are each issuer's own"
    );
    let outcome = membership.offer(&revoke(LEAF, 1, Revoked::Key(NODE.key()), Reason::Revoked), PEER, NOW);
    assert_eq!(outcome, Ok(Accepted::Held { missing: Missing::Issuer(LEAF.sign()) }));
    let forged = Revocation {
        network: network(),
        issuer: LEAF.sign(),
        number: 1,
        what: Revoked::Key(NODE.key()),
        at: NOW,
        reason: Reason::Revoked,
    };
    let mut bytes = Signed::sign(forged, &LEAF.signing()).expect("sign").bytes().to_vec();
    let at = bytes.windows(32).position(|w| w == LEAF.sign().as_bytes()).expect("issuer");
    bytes[at..at + 32].copy_from_slice(BROKER.sign().as_bytes());
    assert_eq!(membership.offer_revocation(&bytes, PEER, NOW), Err(RefusedItem::Item(ItemError::Signature)));
}

#[test]
fn another_network_and_another_root_are_refused() {
    let value = Certificate { network: Fingerprint([0; 32]), ..broker_certificate() };
    assert_eq!(refused(&mut empty(), &issue(value, ROOT)), RefusedItem::Network);
    let self_made = issue(Certificate { issuer: OTHER.sign(), ..broker_certificate() }, OTHER);
    let outcome = empty().offer(&self_made, PEER, NOW);
    assert_eq!(
        outcome,
        Ok(Accepted::Held { missing: Missing::Issuer(OTHER.sign()) }),
        "for a chain that never comes"
    );
}

// Renewal.

#[test]
fn the_highest_serial_is_in_force_and_no_older_one_comes_back() {
    let mut membership = with(&[broker(), node(NODE, 5, &[OURS]), node(NODE, 7, &["2001:db8:4802::/48"])]);
    assert_eq!(judge(&membership, NODE, OURS), Err(OriginRefusal::NotYours));
    assert_eq!(judge(&membership, NODE, "2001:db8:4802::/48"), Ok(()));
    accept(&mut membership, &revoke(BROKER, 1, Revoked::Serial(7), Reason::Suspended));
    assert_eq!(membership.status(&NODE.key(), NOW), CertificateStatus::Suspended);
    assert_eq!(judge(&membership, NODE, OURS), Err(OriginRefusal::Suspended));
    assert_eq!(refused(&mut membership, &node(NODE, 4, &[OURS])), RefusedItem::Superseded);
    accept(&mut membership, &node(NODE, 8, &[OURS]));
    assert_eq!(judge(&membership, NODE, OURS), Ok(()), "resumed under a new serial");
    assert!(!membership.has(node(NODE, 5, &[OURS]).id()));
}

#[test]
fn a_renewal_for_later_leaves_the_old_one_in_force_until_then() {
    let next = Certificate { not_before: later(10), ..plain(NODE, BROKER, 2, &["2001:db8:4802::/48"]) };
    let membership = with(&[broker(), node(NODE, 1, &[OURS]), issue(next, BROKER)]);
    let holds = |dst: &str, days| membership.judge(NODE.router(), p(dst), Prefix::ALL, later(days)).is_ok();
    assert!(holds(OURS, 9) && !holds("2001:db8:4802::/48", 9));
    assert!(!holds(OURS, 10) && holds("2001:db8:4802::/48", 10));
    assert_eq!(membership.next_change(NOW), Some(later(10)));
    assert_eq!(membership.next_change(later(10)), Some(later(90)));
    assert_eq!(membership.next_change(later(10_000)), None);
    assert_eq!(membership.next_change(UnixTime::FOREVER), None);
}

#[test]
fn two_keys_of_one_holder_share_a_prefix() {
    let membership = with(&[broker(), node(NODE, 1, &[OURS]), node(OTHER, 2, &[OURS])]);
    assert_eq!((judge(&membership, NODE, OURS), judge(&membership, OTHER, OURS)), (Ok(()), Ok(())));
    let (prefix, keys) = membership.owner_of_longest(p("2001:db8:4801::1/128"), NOW).expect("owned");
    assert_eq!((prefix, keys), (p(OURS), vec![NODE.key(), OTHER.key()]));
    let pool = p("2001:db8:4800::/40");
    let owners = vec![(pool, BROKER.key()), (p(OURS), NODE.key()), (p(OURS), OTHER.key())];
    assert_eq!(membership.owners(NOW), owners);
    assert_eq!(membership.owners(later(200)), owners[..1]);
}

#[test]
fn two_certificates_under_one_serial_end_the_same_everywhere() {
    let (a, b) = (node(NODE, 1, &[OURS]), node(NODE, 1, &["2001:db8:4802::/48"]));
    let mut first = with(&[broker(), a.clone()]);
    let mut second = with(&[broker(), b.clone()]);
    let _ = (first.offer(&b, PEER, NOW), second.offer(&a, PEER, NOW));
    assert_eq!(first.items().digest(), second.items().digest());
    assert_eq!(first.owners(NOW), second.owners(NOW));
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let items = [
        broker(),
        delegating(1),
        delegating(2),
        issue(plain(LEAF, NODE, 1, &["2001:db8:4801:100::/56"]), NODE),
        node(OTHER, 3, &[OURS]),
        node(OTHER, 4, &[OURS]),
        node(OTHER, 5, &[OURS]),
        revoke(BROKER, 1, Revoked::Serial(3), Reason::Suspended),
        revoke(BROKER, 2, Revoked::Key(Party(9).key()), Reason::Left),
        head(BROKER, NOW, 2),
        head(BROKER, later(1), 2),
        record(NODE, NODE, 1),
        record(NODE, NODE, 2),
    ];
    let expected = {
        let mut membership = empty();
        items.iter().for_each(|item| drop(membership.offer(item, PEER, NOW)));
        membership
    };
    for shift in 0..items.len() {
        for reversed in [false, true] {
            let mut membership = empty();
            let mut order: Vec<&Item> = items.iter().cycle().skip(shift).take(items.len()).collect();
            if reversed {
                order.reverse();
            }
            order.into_iter().for_each(|item| drop(membership.offer(item, PEER, NOW)));
            assert_eq!(membership.items().digest(), expected.items().digest(), "{shift} {reversed}");
            assert_eq!(membership.owners(NOW), expected.owners(NOW));
        }
    }
}

// Signing keys.

#[test]
fn nobody_takes_the_signing_key_of_a_node_nearer_to_the_root() {
    let mut membership = with(&[broker(), delegating(1)]);
    let theft = issue(Certificate { sign: BROKER.sign(), ..plain(LEAF, NODE, 1, &[]) }, NODE);
    assert_eq!(refused(&mut membership, &theft), RefusedItem::SignKeyTaken);
    let crown = issue(Certificate { sign: ROOT.sign(), ..plain(LEAF, NODE, 1, &[]) }, NODE);
    assert_eq!(refused(&mut membership, &crown), RefusedItem::SignKeyTaken);
    let sibling = issue(Certificate { sign: NODE.sign(), ..plain(OTHER, BROKER, 9, &[]) }, BROKER);
    assert_eq!(refused(&mut membership, &sibling), RefusedItem::SignKeyTaken, "the first of equals keeps it");
    assert_eq!(membership.status(&NODE.key(), NOW), CertificateStatus::Live);
    // Early instead: the thief comes before the second broker.
    let early = issue(Certificate { sign: OTHER.sign(), ..plain(LEAF, NODE, 1, &[]) }, NODE);
    accept(&mut membership, &early);
    accept(&mut membership, &issue(plain(OTHER, ROOT, 2, &[]), ROOT));
    assert_eq!(membership.status(&LEAF.key(), NOW), CertificateStatus::Unknown);
    assert_eq!(membership.status(&OTHER.key(), NOW), CertificateStatus::Live);
}

// Heads and records.

#[test]
fn a_head_shows_the_gap() {
    let mut membership = with(&[broker(), revoke(BROKER, 2, Revoked::Serial(50), Reason::Left)]);
    accept(&mut membership, &head(BROKER, NOW, 3));
    assert_eq!(membership.gaps().collect::<Vec<_>>(), vec![(BROKER.sign(), 2)]);
    accept(&mut membership, &revoke(BROKER, 1, Revoked::Serial(51), Reason::Left));
    accept(&mut membership, &revoke(BROKER, 3, Revoked::Serial(52), Reason::Left));
    assert_eq!(membership.gaps().count(), 0);
    assert_eq!(
        refused(&mut membership, &head(BROKER, NOW - Duration::from_secs(1), 9)),
        RefusedItem::Superseded
    );
    accept(&mut membership, &head(BROKER, later(1), 3));
    assert_eq!(membership.heads().count(), 1);
}

#[test]
fn of_two_heads_of_one_second_the_one_that_counts_more_is_kept_in_either_order() {
    for (first, second) in [(4, 5), (5, 4)] {
        let mut membership = with(&[broker(), head(BROKER, NOW, first)]);
        let offered = membership.offer(&head(BROKER, NOW, second), PeerIdx(1), NOW);
        assert_eq!(offered.is_ok(), second > first);
        assert_eq!(membership.heads().map(|head| head.last).collect::<Vec<_>>(), [5]);
    }
}

#[test]
fn the_gap_counts_within_an_epoch() {
    const EPOCH: u64 = 1 << 32;
    let old = revoke(BROKER, 1, Revoked::Serial(50), Reason::Left);
    let new = revoke(BROKER, EPOCH + 2, Revoked::Serial(51), Reason::Left);
    let mut membership = with(&[broker(), old, new]);
    accept(&mut membership, &head(BROKER, NOW, EPOCH + 3));
    assert_eq!(membership.gaps().collect::<Vec<_>>(), vec![(BROKER.sign(), 2)]);
    accept(&mut membership, &head(BROKER, later(1), EPOCH));
    assert_eq!(membership.gaps().count(), 0);
}

#[test]
fn only_the_root_and_brokers_tell_the_time() {
    let mut membership = with(&[broker(), delegating(1)]);
    accept(&mut membership, &head(NODE, later(9_000), 0));
    assert_eq!(membership.signed_time(), None);
    accept(&mut membership, &head(BROKER, NOW, 0));
    accept(&mut membership, &head(ROOT, later(2), 0));
    assert_eq!(membership.signed_time(), Some(later(2)));
}

#[test]
fn a_revoked_broker_does_not_tell_the_time_any_more() {
    let mut membership = with(&[broker(), head(BROKER, later(9), 0)]);
    assert_eq!(membership.signed_time(), Some(later(9)));
    accept(&mut membership, &revoke(ROOT, 1, Revoked::Key(BROKER.key()), Reason::Revoked));
    assert_eq!(membership.signed_time(), None);
}

#[test]
fn a_record_counts_by_its_counter_and_its_own_key() {
    let mut membership = with(&[broker(), node(NODE, 1, &[])]);
    accept(&mut membership, &record(NODE, NODE, 5));
    assert_eq!(refused(&mut membership, &record(NODE, NODE, 4)), RefusedItem::Superseded);
    assert_eq!(refused(&mut membership, &record(NODE, OTHER, 6)), RefusedItem::Item(ItemError::Signature));
    accept(&mut membership, &record(NODE, NODE, 6));
    assert_eq!(membership.record(&NODE.key(), NOW).map(|record| record.counter), Some(6));
    assert!(membership.record(&NODE.key(), later(1)).is_none());
    assert_eq!(membership.offer(&record(NODE, NODE, 7), PEER, later(1)), Err(RefusedItem::Stale));
    let before = membership.generation();
    membership.purge(later(1));
    assert!(membership.generation() > before);
    assert_eq!(membership.items().len(), 2);
}

#[test]
fn an_issuer_of_few_cannot_flood_with_revocations() {
    let mut membership = with(&[broker(), delegating(1)]);
    for number in 1..=32 {
        accept(&mut membership, &revoke(NODE, number, Revoked::Serial(number), Reason::Left));
    }
    let one_more = revoke(NODE, 33, Revoked::Serial(33), Reason::Left);
    assert_eq!(refused(&mut membership, &one_more), RefusedItem::RevocationsFull);
}

// Storing.

#[test]
fn what_is_exported_can_be_imported_in_that_order() {
    let mut membership = with(&[broker(), delegating(1), issue(plain(LEAF, NODE, 1, &[]), NODE)]);
    accept(&mut membership, &revoke(BROKER, 1, Revoked::Serial(9), Reason::Left));
    accept(&mut membership, &head(BROKER, NOW, 1));
    accept(&mut membership, &record(LEAF, LEAF, 1));
    let mut again = empty();
    assert_eq!(again.import(&membership.export(), NOW), 0);
    assert_eq!(again.items().digest(), membership.items().digest());
    assert_eq!(again.export(), membership.export());
    assert_eq!(again.import(&membership.export(), NOW), 0, "a second time as well");
}

#[test]
fn what_ended_long_ago_is_forgotten_and_not_taken_back() {
    let mut membership = with(&[broker(), node(NODE, 1, &[OURS]), record(NODE, NODE, 1)]);
    membership.purge(later(209));
    assert_eq!(membership.status(&NODE.key(), later(209)), CertificateStatus::Expired);
    membership.purge(later(210));
    assert_eq!(membership.status(&NODE.key(), later(210)), CertificateStatus::Unknown);
    assert_eq!(membership.by_router(NODE.router()), None);
    assert_eq!(membership.offer(&node(NODE, 1, &[OURS]), PEER, later(210)), Err(RefusedItem::Stale));
    assert_eq!(membership.items().len(), 1);
    accept(&mut membership, &node(OTHER, 2, &[OURS]));
    assert_eq!(membership.owner_of_longest(p(OURS), NOW).map(|(_, keys)| keys), Some(vec![OTHER.key()]));
}

#[test]
fn what_an_issuer_took_back_is_forgotten_with_its_last_certificate_and_not_before() {
    let items = [
        broker(),
        delegating(1),
        revoke(NODE, 1, Revoked::Serial(7), Reason::Left),
        head(NODE, NOW, 1),
        revoke(BROKER, 1, Revoked::Serial(9), Reason::Left),
        revoke(ROOT, 1, Revoked::Serial(8), Reason::Left),
    ];
    let mut membership = with(&items);
    membership.purge(later(209));
    assert_eq!(membership.items().len(), 6);
    membership.purge(later(210));
    assert_eq!(membership.items().len(), 3, "the broker's and the root's stay");
    // A neighbour whose clock is behind offers them again: they are held for a while, not kept and not passed on.
    let held = membership.offer(&items[2], PEER, later(210));
    assert!(matches!(held, Ok(Accepted::Held { .. })), "{held:?}");
    assert_eq!(membership.offer(&items[1], PEER, later(210)), Err(RefusedItem::Stale));
    assert_eq!(
        membership.items().digest(),
        with(&[broker(), items[4].clone(), items[5].clone()]).items().digest()
    );
    membership.purge(later(730));
    assert_eq!(membership.items().len(), 1, "the root's is never forgotten");
    assert_eq!(membership.export().len(), 1);
}

#[test]
fn the_generation_counts_effective_changes_only() {
    let mut membership = with(&[broker(), node(NODE, 1, &[OURS])]);
    let before = membership.generation();
    assert_eq!(membership.offer(&broker(), PEER, NOW), Ok(Accepted::Known));
    refused(&mut membership, &node(OTHER, 2, &["2001:db8:4900::/48"]));
    assert_eq!(membership.generation(), before);
    accept(&mut membership, &node(NODE, 2, &[OURS]));
    assert_ne!(membership.generation(), before);
    assert_eq!(membership.name(&NODE.key(), NOW), Some("n3"));
    assert_eq!(membership.members(NOW).count(), 2);
    assert_eq!(membership.brokers(NOW).collect::<Vec<_>>(), [BROKER.key()]);
}
