//! Two gateways and a broker.

use core::time::Duration;
use ln6_sim::scenario::Net;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn two_nodes_that_know_nothing_but_a_link_exchange_packets() {
    let mut net = Net::new(1);
    let (a, b) = (net.join(), net.join());
    let took = net.converge(secs(30));
    println!("converged after {took:?}, {} steps, {:?}", net.world.steps, net.world.datagrams);
    assert!(net.exchange(a, b), "{:?} {:?}", net.drops(a), net.drops(b));
    assert!(net.exchange(a, 0) && net.exchange(b, 0));
}
