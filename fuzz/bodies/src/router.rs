//! A router between two links, of which one has a neighbour that says anything.

use crate::babel::with_header;
use crate::input::Input;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use ipnet::IpNet;
use ln6_routing::wire::{IP_UDP, PacketBuilder, Tlv, decode};
use ln6_routing::{
    Action, Config, CostModel, Destination, INFINITY, Link, LinkId, Policy, Router, Verdict, View,
};
use ln6_types::{Instant, RouterId};

const OUR: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const MTU: u16 = 1280;
/// Neighbours, a stranger from elsewhere, and ourselves.
const FROM: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xb),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xc),
    OUR,
];
/// Milliseconds that pass before a packet.
const STEPS: [u64; 8] = [0, 1, 90, 400, 4_000, 17_000, 60_000, 700_000];
const PACKETS: usize = 24;
/// Time-outs at which a router that comes to rest has done so.
const RINGS: usize = 4_000;

struct ByRouter;

impl Policy for ByRouter {
    fn judge(&self, router: RouterId, _: IpNet, _: IpNet) -> Verdict {
        match router.0[7] & 3 {
            0 => Verdict::Hold,
            1 => Verdict::Refuse("an odd one"),
            _ => Verdict::Accept,
        }
    }
}

struct World {
    now: Instant,
    router: Router,
}

impl World {
    fn new() -> Self {
        let mut world = World {
            now: Instant::from_micros(1_000_000_000),
            router: Router::new(Config::new(RouterId([0xee; 8]), 500, 42)),
        };
        for (id, rtt) in [(1, true), (2, false)] {
            let link = Link { cost: CostModel::Wired, rtt, split_horizon: id == 1, mtu: MTU, our: OUR };
            world.router.link_up(world.now, LinkId(id), link);
        }
        let own: IpNet = "2001:db8:1::/48".parse().unwrap();
        world.router.originate(world.now, own, "::/0".parse().unwrap(), 0);
        for (link, from) in [(1, FROM[0]), (2, FROM[1])] {
            for seqno in 1..3 {
                let hello = Tlv::Hello { unicast: false, seqno, interval: 6_000, timestamp: None };
                let address = Some(IpAddr::V6(OUR));
                let ihu = Tlv::Ihu { address, rxcost: 96, interval: 6_000, timestamps: None };
                let mut builder = PacketBuilder::new(from, 1200);
                builder.push(&hello);
                builder.push(&ihu);
                for packet in builder.finish() {
                    world.router.receive(world.now, LinkId(link), from, &packet, &ByRouter);
                }
            }
        }
        world.drain();
        world
    }

    /// Lets time pass; a router that is never at rest is a finding.
    fn pass(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        let mut rings = 0;
        while let Some(at) = self.router.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.router.handle_timeout(self.now, &ByRouter);
            self.drain();
            assert!(self.router.poll_timeout().is_none_or(|next| next > self.now), "what was due is done");
            rings += 1;
            assert!(rings < RINGS, "{rings} time-outs in {millis} ms");
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(action) = self.router.poll_action() {
            match action {
                Action::Send { packet, to, link } => {
                    assert!(packet.len() + IP_UDP <= usize::from(MTU));
                    assert!(link == LinkId(1) || link == LinkId(2));
                    assert_eq!(decode(&packet, OUR, |_| ()), Ok(0), "what we send is well-formed");
                    if let Destination::Unicast(address) = to {
                        assert!(address.is_unicast_link_local());
                    }
                }
                Action::Select { router, metric, .. } => {
                    assert!(metric < INFINITY && router.0[7] & 3 > 1, "only what the policy accepts is used");
                }
                _ => {}
            }
        }
    }

    fn view(&self) -> View {
        self.router.view(self.now)
    }
}

/// Packets and pauses. Nothing that is sent is malformed, nothing is selected against the policy or without a finite
/// metric, and time-outs come to an end.
pub fn babel_router(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new();
    for _ in 0..PACKETS {
        if input.is_empty() {
            break;
        }
        let how = input.octet();
        world.pass(STEPS[usize::from(how & 7)]);
        let from = FROM[usize::from(how >> 3 & 3)];
        let link = LinkId(1 + u32::from(how >> 5 & 1));
        let chunk = input.chunk(1232);
        let packet = if how & 0x80 == 0 { with_header(chunk) } else { chunk.to_vec() };
        let before = world.view();
        world.router.receive(world.now, link, from, &packet, &ByRouter);
        world.drain();
        if decode(&packet, from, |_| ()).is_err() || !from.is_unicast_link_local() || from == OUR {
            let after = world.view();
            assert_eq!((before.routes, before.neighbours), (after.routes, after.neighbours));
        }
    }
    world.pass(5_000);
    for route in world.view().routes.iter().filter(|route| route.selected && route.via.is_some()) {
        assert!(route.metric < INFINITY && route.feasible && route.verdict == Verdict::Accept);
    }
}
