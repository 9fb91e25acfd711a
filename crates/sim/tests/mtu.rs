//! What paths carry in one piece, and what is made of it.

use core::time::Duration;
use ln6_overlay_core::Path;
use ln6_overlay_core::forwarder::drop::DropReason;
use ln6_sim::link::Narrow;
use ln6_sim::scenario::Net;
use ln6_sim::world::NodeId;
use ln6_types::Instant;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// What `a` believes of its path to `b`.
fn mtu(net: &Net, a: NodeId, b: NodeId) -> Option<(u16, bool)> {
    net.peer(a, b).and_then(|peer| Some((peer.mtu?, peer.whole)))
}

fn narrow(net: &mut Net, a: NodeId, b: NodeId, mtu: u16, pieces: bool) {
    for (a, b) in [(a, b), (b, a)] {
        net.world.underlay.narrow(a, b, Narrow { mtu, pieces });
    }
}

fn widen(net: &mut Net, a: NodeId, b: NodeId) {
    net.world.underlay.widen(a, b);
    net.world.underlay.widen(b, a);
}

/// A host that sends packets as long as it is allowed to, and does as ICMPv6 says.
struct Transfer {
    a: NodeId,
    b: NodeId,
    len: usize,
    heard: usize,
    seen: usize,
    arrived: usize,
    last: Instant,
    /// The longest time in which nothing arrived.
    gap: Duration,
}

impl Transfer {
    fn new(net: &Net, a: NodeId, b: NodeId) -> Self {
        let [heard, seen] = [a, b].map(|id| net.world.nodes[id].delivered.len());
        let last = net.world.now;
        Transfer { a, b, len: 1420, heard, seen, arrived: 0, last, gap: Duration::ZERO }
    }

    fn packet(&self, net: &Net) -> Vec<u8> {
        let ends = [self.a, self.b].map(|id| net.host(id).expect("a prefix").octets());
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, 17, 64];
        packet[4..6].copy_from_slice(&(self.len as u16 - 40).to_be_bytes());
        packet.extend_from_slice(ends.as_flattened());
        packet.resize(self.len, 7);
        packet
    }

    /// A packet every 5 ms.
    fn run(&mut self, net: &mut Net, span: Duration) {
        let end = net.world.now + span;
        while net.world.now < end {
            net.world.inject(self.a, &self.packet(net));
            net.world.run(Duration::from_millis(5));
            let told = &net.world.nodes[self.a].delivered[self.heard..];
            let too_big = told.iter().filter(|packet| packet[6] == 58 && packet[40] == 2);
            let sizes = too_big.map(|packet| u16::from_be_bytes([packet[46], packet[47]]));
            self.len = sizes.map(usize::from).fold(self.len, usize::min);
            self.heard += told.len();
            let come = net.world.nodes[self.b].delivered.len();
            if come > self.seen {
                self.arrived += come - self.seen;
                (self.seen, self.last) = (come, net.world.now);
            }
            self.gap = self.gap.max(net.world.now.since(self.last));
        }
    }
}

#[test]
fn sessions_find_out_what_their_paths_carry_each_way() {
    let mut net = Net::new(1);
    let (a, b, c) = (net.add(), net.add(), net.add());
    narrow(&mut net, a, b, 1400, false);
    net.world.underlay.narrow(a, c, Narrow { mtu: 1492, pieces: false });
    net.world.underlay.narrow(a, 0, Narrow { mtu: 1452, pieces: false });
    [a, b, c].into_iter().for_each(|id| net.world.start(id));
    net.converge(secs(60));
    assert!(net.exchange(a, b) && net.exchange(a, c));
    net.world.run(secs(3));
    assert_eq!([mtu(&net, a, b), mtu(&net, b, a)], [Some((1340, true)); 2]);
    assert_eq!([mtu(&net, a, c), mtu(&net, c, a)], [Some((1420, true)); 2], "1492 - 60 is enough");
    assert_eq!([mtu(&net, a, 0), mtu(&net, 0, a)], [Some((1392, true)), Some((1420, true))]);
}

#[test]
fn a_transfer_survives_a_shrink_that_nobody_tells_and_has_all_of_the_path_again_later() {
    for seed in 0..5 {
        let mut net = Net::converged(seed, 2);
        assert!(net.exchange(1, 2));
        let mut transfer = Transfer::new(&net, 1, 2);
        transfer.run(&mut net, secs(5));
        assert_eq!((transfer.len, mtu(&net, 1, 2)), (1420, Some((1420, true))));
        narrow(&mut net, 1, 2, 1400, false);
        transfer.run(&mut net, secs(5));
        assert_eq!((transfer.len, mtu(&net, 1, 2)), (1340, Some((1340, true))), "seed {seed}");
        assert!(transfer.gap < Duration::from_millis(1300), "seed {seed}: {:?}", transfer.gap);
        widen(&mut net, 1, 2);
        transfer.gap = Duration::ZERO;
        transfer.run(&mut net, secs(25));
        assert_eq!(mtu(&net, 1, 2), Some((1420, true)), "seed {seed}");
        assert!(transfer.gap < Duration::from_millis(100), "{:?}", transfer.gap);
    }
}

#[test]
fn where_pieces_pass_a_shrink_costs_no_packet() {
    let mut net = Net::converged(7, 2);
    assert!(net.exchange(1, 2));
    let mut transfer = Transfer::new(&net, 1, 2);
    transfer.run(&mut net, secs(5));
    narrow(&mut net, 1, 2, 1400, true);
    transfer.run(&mut net, secs(5));
    assert_eq!(transfer.len, 1340);
    assert!(transfer.gap < Duration::from_millis(100), "{:?}", transfer.gap);
    // Not even an inner packet of 1280 octets fits any more.
    narrow(&mut net, 1, 2, 1300, true);
    transfer.run(&mut net, secs(5));
    assert_eq!((transfer.len, mtu(&net, 1, 2)), (1280, Some((1280, false))));
    assert!(transfer.gap < Duration::from_millis(100), "{:?}", transfer.gap);
    let (sent, before) = (net.world.steps, transfer.arrived);
    transfer.run(&mut net, secs(10));
    assert!(net.world.steps > sent && transfer.arrived - before > 1900, "{}", transfer.arrived - before);
    widen(&mut net, 1, 2);
    transfer.run(&mut net, secs(25));
    assert_eq!(mtu(&net, 1, 2), Some((1420, true)));
}

#[test]
fn a_relayed_path_is_as_wide_as_its_narrowest_part_and_the_relay_says_so() {
    let mut net = Net::new(11);
    let (a, b) = (net.add(), net.add());
    net.world.underlay.cut(a, b);
    net.world.start(a);
    net.world.start(b);
    net.converge(secs(60));
    assert!(net.exchange(a, b));
    net.world.run(secs(3));
    let through = net.peer(a, b).and_then(|peer| peer.path);
    assert!(matches!(through, Some(Path::Through(_))), "{through:?}");
    assert_eq!(mtu(&net, a, b), Some((1360, true)));
    let mut transfer = Transfer::new(&net, a, b);
    transfer.run(&mut net, secs(5));
    assert_eq!(transfer.len, 1360);
    // The second half of the way shrinks: the relay finds that out first, and drops what does not fit.
    narrow(&mut net, 0, b, 1450, false);
    transfer.gap = Duration::ZERO;
    transfer.run(&mut net, secs(10));
    assert_eq!(mtu(&net, 0, b), Some((1380, true)));
    assert_eq!((transfer.len, mtu(&net, a, b)), (1320, Some((1320, true))));
    assert!(transfer.gap < secs(3), "{:?}", transfer.gap);
    assert!(net.drops(0).iter().any(|(reason, _)| *reason == DropReason::RelayTooBig));
    assert!(net.world.said.get(&(1, 16)).is_some_and(|said| *said > 0), "{:?}", net.world.said);
    widen(&mut net, 0, b);
    transfer.run(&mut net, secs(60));
    assert_eq!(mtu(&net, a, b), Some((1360, true)));
}

#[test]
fn links_that_only_carry_routes_are_not_probed_again_and_again() {
    let mut net = Net::converged(13, 3);
    net.world.run(secs(120));
    let before = net.world.said.get(&(1, 20)).copied().unwrap_or_default();
    assert!(before > 0, "each session was asked once");
    net.world.run(secs(600));
    let after = net.world.said.get(&(1, 20)).copied().unwrap_or_default();
    // Sessions that come up for gossip are asked, too; nothing else is. Looking upwards every 15 s on each of the six links would
    // be 240.
    assert!(after - before <= 60, "{before} {after}");
}
