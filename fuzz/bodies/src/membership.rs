//! A node's picture of its network, told by liars and by honest members in any order.

use crate::input::Input;
use core::net::{Ipv6Addr, SocketAddr};
use core::time::Duration;
use ln6_crypto::{
    Certificate, Endpoint, EndpointKind, Head, NodeRecord, Reason, Revocation, Revoked, Roles, Signed,
    SigningKey, fingerprint, router_id,
};
use ln6_overlay_core::PeerIdx;
use ln6_overlay_core::control::membership::{Accepted, Membership};
use ln6_overlay_core::control::message::{Item, ItemKind};
use ln6_types::{Fingerprint, NetworkUla, Prefix, PublicKey, UnixTime};
use std::sync::OnceLock;

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
const DAY: u64 = 86_400;
const OFFERS: usize = 12;
/// Who there is; the first is the root.
const PARTIES: u8 = 7;
/// What can be given: a pool, parts of it, something else, and what nobody can hold.
const PREFIXES: [(u16, u16, u8); 6] =
    [(0x4800, 0, 40), (0x4801, 0, 48), (0x4801, 0x8000, 49), (0x4802, 0, 48), (0x4900, 0, 48), (0, 0, 16)];

/// Made once: a key pair costs as much as a signature.
fn signing(party: u8) -> &'static SigningKey {
    static ALL: OnceLock<Vec<SigningKey>> = OnceLock::new();
    let make = || (1..=PARTIES).map(|seed| SigningKey::from_seed([seed; 32])).collect();
    &ALL.get_or_init(make)[usize::from(party)]
}

pub(crate) fn key(party: u8) -> PublicKey {
    PublicKey([party + 1; 32])
}

pub(crate) fn network() -> Fingerprint {
    fingerprint(&signing(0).verify_key())
}

fn prefix((high, low, len): (u16, u16, u8)) -> Prefix {
    Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, high, low, 0, 0, 0, 0), len)
}

fn roles(bits: u8) -> Roles {
    Roles { exit: bits & 1 != 0, broker: bits & 2 != 0, transit: bits & 4 != 0 }
}

fn prefixes(bits: u8) -> Vec<Prefix> {
    let mut list: Vec<Prefix> =
        PREFIXES.iter().enumerate().filter(|(at, _)| bits >> at & 1 != 0).map(|(_, p)| prefix(*p)).collect();
    list.sort();
    list
}

fn when(octet: u8) -> UnixTime {
    NOW + Duration::from_secs(u64::from(octet) * 2 * DAY)
}

/// A certificate of the input's choice, well-formed as a rule, signed by whom it names.
fn certificate(input: &mut Input<'_>) -> Option<Item> {
    let (whom, by) = (input.octet() % PARTIES, input.octet() % PARTIES);
    let key = key(if input.octet() == 0xff { input.octet() % PARTIES } else { whom });
    let value = Certificate {
        network: network(),
        serial: u64::from(input.octet()),
        issuer: signing(by).verify_key(),
        key,
        sign: signing(whom).verify_key(),
        router_id: router_id(&key),
        name: format!("n{whom}"),
        holder: format!("h{}", input.octet() & 3),
        originate: prefixes(input.octet()),
        delegate: prefixes(input.octet()),
        roles: roles(input.octet()),
        grantable: roles(input.octet()),
        not_before: NOW - Duration::from_secs(DAY),
        not_after: when(input.octet()),
        grace_until: when(input.octet()),
        routes: 16,
        children: u32::from(input.octet()),
    };
    item(ItemKind::Certificate, Signed::sign(value, signing(by)).ok()?.bytes())
}

/// A broker's certificate (0) and a revocation (1), signed by the root: the octets of both.
pub(crate) fn of_the_root() -> Vec<(u8, Vec<u8>)> {
    let certificate = certificate(&mut Input::new(&[1, 0, 0, 1, 1, 0, 1, 1, 3, 5, 200, 250, 9]));
    let revocation = revocation(&mut Input::new(&[0, 2, 7, 2]));
    let octets = |item: Option<Item>| item.expect("it is well-formed").bytes.to_vec();
    vec![(0, octets(certificate)), (1, octets(revocation))]
}

fn revocation(input: &mut Input<'_>) -> Option<Item> {
    let (by, whom) = (input.octet() % PARTIES, input.octet());
    let what = if whom & 0x80 == 0 {
        Revoked::Key(key(whom % PARTIES))
    } else {
        Revoked::Serial(u64::from(whom & 0x7f))
    };
    let issuer = signing(by).verify_key();
    let number = u64::from(input.octet());
    let reason = input.choose(&[Reason::Suspended, Reason::Revoked, Reason::Replaced, Reason::Left]);
    let value = Revocation { network: network(), issuer, number, what, at: NOW, reason };
    item(ItemKind::Revocation, Signed::sign(value, signing(by)).ok()?.bytes())
}

fn head(input: &mut Input<'_>) -> Option<Item> {
    let by = input.octet() % PARTIES;
    let issuer = signing(by).verify_key();
    let (at, last, certificates) = (when(input.octet()), u64::from(input.octet()), u64::from(input.octet()));
    let value = Head { network: network(), issuer, at, last, certificates };
    item(ItemKind::Head, Signed::sign(value, signing(by)).ok()?.bytes())
}

fn record(input: &mut Input<'_>) -> Option<Item> {
    let (whom, by) = (input.octet() % PARTIES, input.octet());
    let by = if by < 0xe0 { whom } else { by % PARTIES };
    let addr = SocketAddr::from(([192, 0, 2, input.octet()], 6695));
    let counter = input.octet();
    // None, the common one, the better one, one that nobody knows yet: what is said changes from record to record.
    let suites = [&[][..], &[0], &[1, 0], &[200, 1, 1]][usize::from(counter % 4)].to_vec();
    let value = NodeRecord {
        network: network(),
        key: key(whom),
        counter: u64::from(counter),
        at: NOW,
        expires: NOW + Duration::from_secs(u64::from(input.octet()) * 3600),
        endpoints: vec![Endpoint { addr, kind: EndpointKind::Udp }],
        transit: true,
        reachable: false,
        suites,
        version: 1,
    };
    item(ItemKind::Record, Signed::sign(value, signing(by)).ok()?.bytes())
}

fn raw(input: &mut Input<'_>) -> Option<Item> {
    let kind = ItemKind::from_number(1 + input.octet() % 4)?;
    item(kind, &input.chunk(1000).into())
}

fn item(kind: ItemKind, bytes: &std::sync::Arc<[u8]>) -> Option<Item> {
    Some(Item { kind, bytes: bytes.clone() })
}

pub(crate) fn next(input: &mut Input<'_>) -> Option<Item> {
    match input.octet() % 8 {
        0..=3 => certificate(input),
        4 => revocation(input),
        5 => head(input),
        6 => record(input),
        _ => raw(input),
    }
}

/// Everything that an offer can change.
fn state(members: &Membership) -> (u64, usize, usize, String) {
    let digest = format!("{:?}", members.items().digest());
    (members.generation(), members.items().len(), members.held(), digest)
}

/// Offers. What is refused, or was known, changes nothing; rights begin at the root; what is kept can be stored and
/// offered again to somebody who knows nothing, and is then all kept.
pub fn membership(data: &[u8]) {
    let mut input = Input::new(data);
    let mut members = Membership::new(network(), NetworkUla::of(&network()));
    let mut wall = NOW;
    for _ in 0..OFFERS {
        if input.is_empty() {
            break;
        }
        if input.octet() == 0xff {
            wall = wall + Duration::from_secs(u64::from(input.octet()) * DAY);
            members.purge(wall);
        }
        let from = PeerIdx(u32::from(input.octet() & 3));
        let Some(item) = next(&mut input) else { continue };
        let before = state(&members);
        match members.offer(&item, from, wall) {
            Ok(Accepted::New { .. }) => {
                assert!(members.items().get(item.id()).is_some());
                assert_ne!(members.generation(), before.0);
                assert_eq!(members.offer(&item, from, wall), Ok(Accepted::Known));
            }
            Ok(Accepted::Known) | Err(_) => assert_eq!(state(&members), before),
            Ok(Accepted::Held { .. }) => {
                assert_eq!((members.generation(), members.items().len()), (before.0, before.1));
                assert!(members.has(item.id()));
            }
        }
    }
    rights(&members, wall);
    stored(&members, wall);
}

fn rights(members: &Membership, wall: UnixTime) {
    for party in members.members(wall) {
        let chain = members.chain(&party, wall);
        let first = chain.first().expect("a member has a certificate");
        assert!(chain.len() <= 4 && fingerprint(&first.issuer) == network(), "rights begin at the root");
        for pair in chain.windows(2) {
            assert_eq!(pair[1].check_issued(pair[0]), Ok(()));
        }
    }
    for (owned, owner) in members.owners(wall) {
        let longest = members.owner_of_longest(owned, wall);
        assert!(longest.is_some_and(|(_, owners)| owners.contains(&owner)), "{owned}");
    }
}

fn stored(members: &Membership, wall: UnixTime) {
    let items = members.export();
    assert_eq!(items.len(), members.items().len());
    let mut fresh = Membership::new(network(), NetworkUla::of(&network()));
    let lost = fresh.import(&items, wall);
    if lost == 0 {
        assert_eq!(fresh.items().digest(), members.items().digest());
        assert!(fresh.owners(wall) == members.owners(wall));
    }
}
