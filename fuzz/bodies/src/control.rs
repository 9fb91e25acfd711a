//! A node's control between a member and a stranger, both of whom say and send what they like.

use crate::babel::with_header;
use crate::input::Input;
use crate::membership::{NOW as WALL, network, next};
use crate::net::ipv6;
use core::net::{Ipv6Addr, SocketAddr};
use core::time::Duration;
use ln6_crypto::cookie::CookieJar;
use ln6_crypto::handshake::{Ephemeral, Initiator, Tai64n};
use ln6_crypto::keys::{StaticSecret, router_id};
use ln6_crypto::message::INITIATION_LEN;
use ln6_crypto::seal::Suite;
use ln6_crypto::{Certificate, NodeRecord, Roles, Signed, SigningKey};
use ln6_overlay_core::control::message::{Body, Hello, Item, ItemKind, Message};
use ln6_overlay_core::control::{Config, Control, HostChange, NodeState, Output, Wish};
use ln6_overlay_core::forwarder::fib::Fib;
use ln6_overlay_core::forwarder::frame::{message_body, message_frame};
use ln6_overlay_core::forwarder::mail::{Event, PeerKind, Update, Watch};
use ln6_overlay_core::host_plan::Inbound;
use ln6_overlay_core::{Path, PeerIdx};
use ln6_types::{Instant, Prefix};

const STEPS: usize = 12;
/// Milliseconds that may pass in a step.
const PAUSES: [u64; 8] = [0, 0, 0, 10, 100, 500, 6_000, 70_000];
/// Deadlines in one pause, and at one instant, from which control is never at rest.
const RINGS: u32 = 20_000;
const SPINS: u32 = 64;

fn secret(who: u8) -> StaticSecret {
    StaticSecret::from_bytes([0x50 + who; 32])
}

const US: u8 = 1;
const MEMBER: u8 = 2;
const STRANGER: u8 = 3;

fn held(who: u8) -> Prefix {
    Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, 0x4c00 + u16::from(who), 0, 0, 0, 0, 0), 48)
}

/// A certificate from the root.
fn certificate(who: u8) -> Item {
    let root = SigningKey::from_seed([1; 32]);
    let key = secret(who).public();
    let value = Certificate {
        network: network(),
        serial: 200 + u64::from(who),
        issuer: root.verify_key(),
        key,
        sign: SigningKey::from_seed([0x60 + who; 32]).verify_key(),
        router_id: router_id(&key),
        name: format!("node{who}"),
        holder: format!("holder{who}"),
        originate: vec![held(who)],
        delegate: Vec::new(),
        roles: Roles { transit: true, ..Roles::NONE },
        grantable: Roles::NONE,
        not_before: WALL - Duration::from_secs(86_400),
        not_after: WALL + Duration::from_secs(90 * 86_400),
        grace_until: WALL + Duration::from_secs(180 * 86_400),
        routes: 16,
        children: 0,
    };
    let signed = Signed::sign(value, &root).expect("a good certificate");
    Item { kind: ItemKind::Certificate, bytes: signed.bytes().clone() }
}

fn address(who: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, who], 6695))
}

struct World {
    now: Instant,
    control: Control,
    stamp: u64,
    member: Option<PeerIdx>,
    stranger: Option<PeerIdx>,
    /// Receiver indices that control has given to workers.
    indices: Vec<u32>,
}

impl World {
    fn new() -> Self {
        let now = Instant::from_micros(1_000_000_000);
        let config = Config {
            secret: secret(US),
            signing: SigningKey::from_seed([0x60 + US; 32]),
            network: network(),
            name: "us".into(),
            workers: 2,
            brokers: Vec::new(),
            public: vec![address(US)],
            wish: Some(Wish { size: 56, ssid: None, secret: None, broker: None, contact: None }),
            stock: Vec::new(),
            lans: Vec::new(),
            inbound: Inbound::Members,
            openings: Vec::new(),
            firewall: true,
            exit: true,
            transit: true,
            suites: vec![Suite::Aes256Gcm],
            mtu: 1420,
            seed: 7,
        };
        let saved = NodeState { items: vec![certificate(US), certificate(MEMBER)], ..NodeState::default() };
        let mut count = 0u8;
        let secrets = Box::new(move |out: &mut [u8]| {
            count = count.wrapping_add(1);
            out.iter_mut().enumerate().for_each(|(at, octet)| *octet = count ^ (at as u8).wrapping_mul(37));
        });
        let control = Control::new(config, saved, secrets, now, WALL);
        let mut world =
            World { now, control, stamp: 1_790_000_000, member: None, stranger: None, indices: Vec::new() };
        world.drain();
        world.control.handle_host(now, HostChange { candidates: vec![address(US)], uplink6: true });
        world.drain();
        world.member = world.meet(MEMBER);
        world.stranger = world.meet(STRANGER);
        assert!(world.member.is_some() && world.stranger.is_some() && world.member != world.stranger);
        world
    }

    fn tell(&mut self, event: Event) {
        self.control.handle_event(self.now, event);
        self.drain();
    }

    fn initiation(&mut self, who: u8) -> [u8; INITIATION_LEN] {
        self.stamp += 1;
        let mut message = [0; INITIATION_LEN];
        let stamp = Tai64n::from_unix(self.stamp, 0);
        let ephemeral = Ephemeral::from_seed([self.stamp as u8; 32]);
        let us = secret(US).public();
        Initiator::start(&secret(who), &us, 3, stamp, ephemeral, &mut message).expect("a good key");
        CookieJar::new(&us).write_macs(self.now, &mut message);
        message
    }

    /// A handshake that the other end begins, and its first packet.
    fn meet(&mut self, who: u8) -> Option<PeerIdx> {
        let message = self.initiation(who).to_vec();
        self.indices.clear();
        self.control.handle_event(self.now, Event::Handshake { from: Path::Udp(address(who)), message });
        let peer = self.drain();
        if let Some(index) = self.indices.last().copied() {
            self.tell(Event::Confirmed(index));
        }
        peer
    }

    fn pass(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        let (mut rings, mut spins) = (0, 0);
        loop {
            let at = self.control.poll_timeout();
            if at > until {
                break;
            }
            spins = if at > self.now { 0 } else { spins + 1 };
            rings += 1;
            assert!(spins < SPINS && rings < RINGS, "control is never at rest");
            self.now = self.now.max(at);
            self.control.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// Takes all outputs and judges them; the last peer that got a receiving key.
    fn drain(&mut self) -> Option<PeerIdx> {
        let mut last = None;
        while let Some(output) = self.control.poll_output() {
            match output {
                Output::Update(_, Update::Receive(key)) => {
                    last = Some(key.peer());
                    self.indices.push(key.index());
                }
                Output::Update(_, Update::Peer(peer, tx)) => {
                    let guest = Some(peer) == self.stranger && peer != PeerIdx::SELF;
                    assert!(!guest || tx.kind == PeerKind::Guest, "a stranger is no member");
                    let common = tx.key.as_ref().is_none_or(|key| key.suite() == Suite::ChaCha20Poly1305);
                    assert!(!guest || common, "nobody signed for what a stranger can do");
                    assert!((1280..=1420).contains(&tx.mtu), "no less than IPv6 needs, whatever others say");
                }
                Output::Update(_, Update::Measure(peer, _, packet)) => {
                    assert!(Some(peer) != self.stranger && packet.len() <= 1420);
                    let body = message_body(&packet).expect("a frame");
                    assert!(matches!(
                        Message::decode(body),
                        Ok(Message { body: Body::SizeProbe { .. }, .. })
                    ));
                }
                Output::Update(_, Update::Fib(fib)) => self.judge(&fib),
                Output::Update(_, Update::Send(peer, packet)) => {
                    assert_ne!(peer, PeerIdx::SELF);
                    assert!(packet.len() <= 1500);
                    if let Some(body) = message_body(&packet) {
                        assert!(Message::decode(body).is_ok(), "what we say is well-formed");
                    }
                }
                Output::Persist(id, _) => self.control.handle_stored(self.now, id),
                // Who asks is who holds the session's key, whatever the request says.
                Output::ToBroker { from, .. } | Output::LeftBroker { from } => {
                    assert!([MEMBER, STRANGER].iter().any(|who| secret(*who).public() == from));
                }
                _ => {}
            }
        }
        last
    }

    /// Nobody gets what is not his. (Others' certificates in the inputs lie elsewhere.)
    fn judge(&self, fib: &Fib) {
        let (our, theirs) = (held(US).address(1), held(MEMBER).address(1));
        for peer in [self.member, self.stranger].into_iter().flatten() {
            assert!(!fib.may_send(peer, our), "our prefix");
        }
        if let Some(stranger) = self.stranger {
            assert!(
                !fib.may_send(stranger, theirs)
                    && !fib.may_send(stranger, Ipv6Addr::new(0x2606, 0, 0, 0, 0, 0, 0, 1))
            );
        }
        assert!(!fib.may_send(PeerIdx::SELF, theirs));
    }
}

/// A Babel packet as it comes in a session.
fn babel(who: u8, to: Ipv6Addr, body: &[u8]) -> Vec<u8> {
    let from = router_id(&secret(who).public()).link_local();
    let mut udp = vec![0x1a, 0x28, 0x1a, 0x28];
    udp.extend_from_slice(&((8 + body.len()) as u16).to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(body);
    let mut packet = ipv6(from, to, 17, &udp);
    packet[7] = 1;
    crate::net::finish(&mut packet, 6);
    packet
}

const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 6);

fn say(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    match message.encode(&mut bytes) {
        Ok(()) => message_frame(&bytes).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// What a node says of itself, whichever suites that names.
fn record(input: &mut Input<'_>, who: u8) -> Option<Item> {
    let value = NodeRecord {
        network: network(),
        key: secret(who).public(),
        counter: u64::from(input.octet()),
        at: WALL,
        expires: WALL + Duration::from_secs(86_400),
        endpoints: Vec::new(),
        transit: true,
        reachable: true,
        suites: input.chunk(16).to_vec(),
        version: 1,
    };
    let signed = Signed::sign(value, &SigningKey::from_seed([0x60 + who; 32])).ok()?;
    Some(Item { kind: ItemKind::Record, bytes: signed.bytes().clone() })
}

/// What comes in a session.
fn inner(input: &mut Input<'_>, who: u8) -> Vec<u8> {
    match input.octet() % 9 {
        0 => message_frame(input.chunk(1200)).unwrap_or_default(),
        1 => input.chunk(1400).to_vec(),
        2 | 3 => babel(who, GROUP, &with_header(input.chunk(1200))),
        4 => {
            let items = (0..3).filter_map(|_| next(input)).collect();
            say(&Message { id: Some(input.long()), body: Body::Items(items) })
        }
        5 => {
            let flags = input.octet();
            let hello = Hello {
                version: 1,
                network: network(),
                suites: vec![input.octet()],
                seen_at: (flags & 1 != 0).then(|| address(input.octet())),
                transit: flags & 2 != 0,
                wall: (flags & 4 != 0).then_some(WALL + Duration::from_secs(u64::from(input.long()))),
                meta: flags & 8 == 0,
                ask: flags & 16 != 0,
                relayed: flags & 32 != 0,
            };
            say(&Body::Hello(hello).into())
        }
        6 => {
            let mut address = |_| SocketAddr::from((input.array::<16>(), input.word()));
            let addresses = (0..4).map(&mut address).collect();
            say(&Message { id: Some(input.long()), body: Body::CallMe(addresses) })
        }
        7 => say(&Message {
            id: Some(input.long()),
            body: Body::Items(record(input, who).into_iter().collect()),
        }),
        _ => {
            let (token, sent) = (u64::from(input.long()), u64::from(input.long()));
            let seen_at = Some(address(input.octet()));
            let body = match sent & 3 {
                1 => Body::SizeReply { token, octets: (sent >> 2) as u16 },
                2 => Body::TooBig { router: router_id(&secret(who).public()), mtu: (sent >> 2) as u16 },
                3 => Body::SizeProbe { token },
                _ => Body::ProbeReply { token, sent, seen_at },
            };
            say(&body.into())
        }
    }
}

/// Events and pauses. A stranger never becomes a member, nobody gets a prefix that is not his, what is said is
/// well-formed, and control comes to rest.
pub fn control_event(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new();
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        let how = input.octet();
        let (who, peer) = if how & 0x10 == 0 { (MEMBER, world.member) } else { (STRANGER, world.stranger) };
        let peer = peer.unwrap_or(PeerIdx(9));
        world.pass(PAUSES[usize::from(how >> 5)]);
        let from = Path::Udp(address(who));
        match how & 15 {
            0..=7 => {
                let packet = inner(&mut input, who);
                world.tell(Event::Inner { peer, from, packet });
            }
            8 => {
                let mut message = world.initiation(who).to_vec();
                let at = usize::from(input.octet()) % INITIATION_LEN;
                message[at] ^= input.octet();
                world.tell(Event::Handshake { from, message });
            }
            9 => {
                let len = input.choose(&[148, 92, 64]);
                let mut message = input.take(len).to_vec();
                message.resize(len, 0);
                message[..4].copy_from_slice(&[input.octet(), 0, 0, 0]);
                world.tell(Event::Handshake { from, message });
            }
            10 => {
                let to = input.octet();
                world.tell(Event::Moved { peer, from: Path::Udp(address(to)) });
            }
            11 => {
                let bits = input.octet();
                let seen =
                    Watch { sent: bits & 1 != 0, received: bits & 2 != 0, data_received: bits & 4 != 0 };
                world.tell(Event::Seen(peer, seen));
            }
            12 => world.tell(Event::Stranger { from: Path::Udp(address(input.octet())) }),
            13 => world.tell(Event::Worn(peer)),
            14 => world.tell(Event::Wanted(PeerIdx(u32::from(input.octet() & 3)))),
            _ => {
                world.meet(who);
            }
        }
    }
    world.pass(1_000);
    let view = world.control.view(world.now);
    assert!(!format!("{view:?}").is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_record_leads_to_a_session_under_its_suite() {
        let mut world = World::new();
        let member = world.member.expect("met");
        let items = vec![record(&mut Input::new(&[1, 2, 0, 1, 0]), MEMBER).expect("signed")];
        let packet = say(&Message { id: Some(1), body: Body::Items(items) });
        world.tell(Event::Inner { peer: member, from: Path::Udp(address(MEMBER)), packet });
        world.pass(500);
        world.meet(MEMBER);
        let suite = |idx| world.control.view(world.now).peers.iter().find(|peer| peer.idx == idx)?.suite;
        assert_eq!(suite(member), Some(Suite::Aes256Gcm));
        assert_eq!(world.stranger.and_then(suite), Some(Suite::ChaCha20Poly1305));
    }
}
