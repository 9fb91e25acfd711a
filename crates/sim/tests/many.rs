//! Many nodes.

use core::time::Duration;
use ln6_sim::scenario::Net;
use std::collections::BTreeSet;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Nodes that are reached from the first one that is on by Babel adjacencies alone.
fn connected(net: &Net) -> usize {
    let on = net.on();
    let mut seen: BTreeSet<usize> = on.iter().take(1).copied().collect();
    let mut open: Vec<usize> = seen.iter().copied().collect();
    while let Some(id) = open.pop() {
        for peer in net
            .view(id)
            .peers
            .iter()
            .filter(|peer| peer.neighbour && peer.cost.is_some_and(|cost| cost < 65535))
        {
            let other = on.iter().copied().find(|other| net.key(*other) == peer.key);
            if let Some(other) = other.filter(|other| seen.insert(*other)) {
                open.push(other);
            }
        }
    }
    seen.len()
}

fn grow(seed: u64, count: usize) -> Net {
    let mut net = Net::new(seed);
    for _ in 1..count {
        net.join();
        net.world.run(Duration::from_millis(50));
    }
    net
}

fn a_network_of(count: usize) {
    let begin = std::time::Instant::now();
    let mut net = grow(1, count);
    let took = net.converge(secs(120));
    println!(
        "{count} nodes: {took:?} virtual, {:?} real, {} steps, {:?}",
        begin.elapsed(),
        net.world.steps,
        net.world.datagrams
    );
    net.world.run(secs(60));
    println!("{:?}", net.world.said);
    println!(
        "a minute more: {:?} real, {} steps, {:?}",
        begin.elapsed(),
        net.world.steps,
        net.world.datagrams
    );
    let degrees: Vec<usize> =
        net.on().iter().map(|id| net.view(*id).peers.iter().filter(|peer| peer.neighbour).count()).collect();
    println!("degrees {degrees:?}");
    net.world.crash(0);
    net.world.run(secs(60));
    assert_eq!(connected(&net), count - 1, "the graph hangs together without the broker");
    assert!(net.is_converged(), "{:?}", net.missing());
    for at in 1..count - 1 {
        assert!(net.reaches_within(at, at + 1, Duration::from_millis(1500)), "{at}");
    }
    println!("all: {:?} real, {} steps", begin.elapsed(), net.world.steps);
}

#[test]
fn thirty_nodes_find_each_other_and_stay_together_when_the_broker_dies() {
    a_network_of(30);
}

#[test]
fn as_many_nodes_as_the_environment_asks_for() {
    let count = std::env::var("LN6_SIM_NODES").ok().and_then(|count| count.parse().ok());
    if let Some(count) = count {
        a_network_of(count);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let mut net = grow(seed, 8);
        net.world.underlay.quality.loss = 50;
        net.world.run(secs(200));
        (net.world.trace, net.world.steps)
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
