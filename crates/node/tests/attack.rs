//! Who lies is dropped, counted and named: forged sources and packets from a LAN, from the Internet and on the machine
//! itself, and a member whose key is revoked.
//!
//! What needs a member that lies inside its sessions is simulated: `crates/sim/tests/liars.rs`.
#![allow(clippy::unwrap_used)]

#[path = "support/forge.rs"]
mod forge;
#[path = "support/world.rs"]
mod world;

use ln6_lab::{INTERNET_HOST, Process, wait_for, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::str::FromStr as _;
use std::time::{Duration, Instant};
use world::{Machine, Net, PATIENCE};

/// Babel's port and group.
const BABEL: u16 = 6696;
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 6);
/// Where listeners listen.
const PORT: u16 = 7100;
/// Copies of each forged packet.
const COPIES: u32 = 20;

#[test]
fn forge_probe() {
    forge::run_if_asked();
}

/// No test of this program floods.
fn flood(_: &[&str]) -> anyhow::Result<()> {
    anyhow::bail!("there is no flood here")
}

/// Waits until a machine has dropped so many more packets for a reason.
#[track_caller]
fn drops(machine: &Machine, reason: &str, before: u64, more: u32) {
    let what = format!("{more} drops more than {before} of {reason} at {}", machine.namespace.name());
    wait_for(&what, PATIENCE, || match machine.dropped(reason) {
        Ok(count) if count >= before + u64::from(more) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .unwrap();
}

/// Sends text from a client as it should be, until the listener has it: what was sent before has passed or is gone.
#[track_caller]
fn flush(net: &Net, from: usize, to: Ipv6Addr, listener: &Process) {
    let packet = forge::udp(net.addresses[from], to, (PORT, PORT), b"honest");
    wait_until("an honest datagram", PATIENCE, || {
        forge::send(net.client(from), None, to, &packet, 1).unwrap();
        forge::has_heard(listener, "honest")
    })
    .unwrap();
}

/// What a node believes: destination, originator, and whether in use.
fn routes(machine: &Machine) -> BTreeSet<(String, String, bool)> {
    let list = machine.json(&["routes"]).unwrap();
    let rows = list["routes"].as_array().unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| (text(row, "to"), text(row, "router_id"), row["selected"] == true)).collect()
}

#[test]
fn a_lan_client_cannot_send_from_another_members_address_nor_from_the_internets() {
    if !ln6_lab::ready() {
        return;
    }
    let net = Net::new("spoof", 2).unwrap();
    net.client(0).wait_ping(net.addresses[1], PATIENCE).unwrap();
    net.client(0).wait_ping(INTERNET_HOST, PATIENCE).unwrap();
    let far = forge::listen(net.client(1), PORT).unwrap();
    let out = forge::listen(&net.world.internet, PORT).unwrap();
    let (gateway, nobody) = (&net.gateways[0], Ipv6Addr::from_str("2001:db8:48f0::1").unwrap());
    let outsider = Ipv6Addr::from_str("2001:db8:eeee::1").unwrap();
    // Towards the Internet the gateway's kernel has a route for its own prefix only, so that a provider's IPv6 is not
    // taken over; what is forged does not get as far as the tunnel.
    for source in [net.addresses[1], outsider, nobody] {
        let packet = forge::udp(source, INTERNET_HOST, (PORT, PORT), b"forged");
        forge::send(net.client(0), None, INTERNET_HOST, &packet, COPIES).unwrap();
    }
    // Towards members every packet is judged by the tunnel.
    for source in [outsider, nobody, INTERNET_HOST] {
        let before = gateway.dropped("source_not_ours").unwrap();
        let packet = forge::udp(source, net.addresses[1], (PORT, PORT), b"forged");
        forge::send(net.client(0), None, net.addresses[1], &packet, COPIES).unwrap();
        drops(gateway, "source_not_ours", before, COPIES);
    }
    flush(&net, 0, net.addresses[1], &far);
    flush(&net, 0, INTERNET_HOST, &out);
    assert!(!forge::has_heard(&far, "forged"), "{}", far.stdout());
    assert!(!forge::has_heard(&out, "forged"), "{}", out.stdout());
}

#[test]
fn an_internet_host_cannot_pretend_to_be_a_member() {
    if !ln6_lab::ready() {
        return;
    }
    let net = Net::new("pretend", 2).unwrap();
    net.client(0).wait_ping(net.addresses[1], PATIENCE).unwrap();
    let far = forge::listen(net.client(1), PORT).unwrap();
    let node = net.gateways[0].status().unwrap()["node"]["address"].as_str().unwrap().parse().unwrap();
    let to = net.addresses[1];
    let nobody = "2001:db8:48f0::1".parse().unwrap();
    for source in [net.addresses[0], nobody, node] {
        let before = net.server.dropped("source_not_ours").unwrap();
        let packet = forge::udp(source, to, (PORT, PORT), b"forged");
        forge::send(&net.world.internet, None, to, &packet, COPIES).unwrap();
        drops(&net.server, "source_not_ours", before, COPIES);
    }
    flush(&net, 0, to, &far);
    assert!(!forge::has_heard(&far, "forged"), "{}", far.stdout());
}

/// A Babel packet with an update: `prefix`/48 is mine, at no cost, from now on.
fn claim(prefix: Ipv6Addr) -> Vec<u8> {
    let mut tlvs = vec![6, 10, 0, 0, 0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef]; // router-id
    tlvs.extend_from_slice(&[4, 6, 0, 0, 0, 1, 1, 144]); // hello
    tlvs.extend_from_slice(&[8, 16, 2, 0, 48, 0, 0x06, 0x40, 0x7f, 0xff, 0, 0]); // update
    tlvs.extend_from_slice(&prefix.octets()[..6]);
    let mut packet = vec![42, 2];
    packet.extend_from_slice(&(tlvs.len() as u16).to_be_bytes());
    packet.extend_from_slice(&tlvs);
    packet
}

#[test]
fn babel_and_frames_cannot_be_forged_from_a_lan_nor_on_the_gateway_itself() {
    if !ln6_lab::ready() {
        return;
    }
    let net = Net::new("forge", 2).unwrap();
    net.client(0).wait_ping(net.addresses[1], PATIENCE).unwrap();
    let (gateway, client, own) = (&net.gateways[0], net.client(0), net.addresses[0]);
    let all = [&net.server, gateway, &net.gateways[1]];
    let before: Vec<_> = all.iter().map(|machine| routes(machine)).collect();
    let node = |machine: &Machine| -> Ipv6Addr {
        machine.status().unwrap()["node"]["address"].as_str().unwrap().parse().unwrap()
    };
    let body = claim(net.addresses[1]);
    let link_local = "fe80::bad".parse().unwrap();

    // From the LAN: to the gateway, to its neighbours on the link, to the nodes' own addresses, as a frame.
    for (source, to) in [(link_local, GROUP), (own, node(gateway)), (own, node(&net.server))] {
        let interface = to.is_multicast().then_some("eth0");
        forge::send(client, interface, to, &forge::udp(source, to, (BABEL, BABEL), &body), COPIES).unwrap();
    }
    // The source is the gateway's own link-local address, and a neighbour's.
    let frame = [&[0, 1, 0, 48], &[0xa5; 44][..]].concat();
    forge::send(client, None, net.addresses[1], &frame, COPIES).unwrap();

    // On the gateway: written into the tunnel by somebody who may open raw sockets.
    for (reason, to, packet) in [
        ("link_local", GROUP, forge::udp(link_local, GROUP, (BABEL, BABEL), &body)),
        ("link_local", net.addresses[1], forge::udp(link_local, net.addresses[1], (BABEL, BABEL), &body)),
        ("not_ipv6", net.addresses[1], frame.clone()),
    ] {
        let count = gateway.dropped(reason).unwrap();
        forge::send(&gateway.namespace, Some("ln6"), to, &packet, COPIES).unwrap();
        drops(gateway, reason, count, COPIES);
    }

    // Longer than updates take to spread.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        for (machine, before) in all.iter().zip(&before) {
            let now = routes(machine);
            let strange: Vec<_> =
                now.difference(before).filter(|(_, router, _)| router.contains("dead")).collect();
            assert!(strange.is_empty(), "{}: {strange:?}", machine.namespace.name());
        }
        assert!(client.ping(net.addresses[1]));
    }
}

/// By the revocation itself, or by the broker's answer when it asked for a new certificate.
fn knows_it_is_revoked(status: &Value) -> bool {
    let standing = &status["standing"];
    standing["state"] == "revoked" || (standing["state"] == "refused" && standing["code"] == "key_revoked")
}

#[test]
fn a_revoked_gateway_is_cut_off_everywhere_within_seconds_and_its_status_says_so() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::new("revoked", 3).unwrap();
    for (from, to) in [(0, 1), (1, 0), (1, 2), (2, 0)] {
        net.client(from).wait_ping(net.addresses[to], PATIENCE).unwrap();
    }
    net.client(0).wait_ping(INTERNET_HOST, PATIENCE).unwrap();
    let key = net.gateways[0].status().unwrap()["node"]["key"].as_str().unwrap().to_owned();
    let prefix = net.gateways[0].status().unwrap()["prefixes"][0].as_str().unwrap().to_owned();

    let begin = Instant::now();
    net.server.ask(&["revoke", "moreno", "--yes", "--reason", "stolen"]).unwrap();
    wait_for("the revoked node's own word", PATIENCE, || {
        let status = net.gateways[0].status().map_err(|error| error.to_string())?;
        let gone = status["prefixes"].as_array().is_some_and(Vec::is_empty);
        if knows_it_is_revoked(&status) && gone { Ok(()) } else { Err(status["standing"].to_string()) }
    })
    .unwrap();
    for machine in [&net.server, &net.gateways[1], &net.gateways[2]] {
        wait_for("everybody's knowledge", PATIENCE, || {
            let certs = machine.json(&["certs"]).map_err(|error| error.to_string())?;
            let rows = certs["certs"].as_array().cloned().unwrap_or_default();
            let live = rows
                .iter()
                .any(|row| row["key"] == *key && (row["status"] == "live" || row["status"] == "in_grace"));
            let used = routes(machine).iter().any(|(to, _, selected)| *to == prefix && *selected);
            if live || used {
                Err(format!("{}: live {live}, used {used}", machine.namespace.name()))
            } else {
                Ok(())
            }
        })
        .unwrap();
    }
    let took = begin.elapsed();
    println!("cut off everywhere after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(10), "{took:?}");

    // Not in, not out, not through; the others go on.
    for (from, to) in [
        (0, net.addresses[1]),
        (0, net.addresses[2]),
        (0, INTERNET_HOST),
        (1, net.addresses[0]),
        (2, net.addresses[0]),
    ] {
        assert!(!net.client(from).ping(to), "{from} reaches {to}");
    }
    net.client(1).wait_ping(net.addresses[2], PATIENCE).unwrap();
    net.client(1).wait_ping(INTERNET_HOST, PATIENCE).unwrap();
    let text = net.gateways[0].ask(&["status"]).unwrap();
    assert!(text.contains("revoked"), "{text}");
    let revoked: Vec<Value> = net.gateways[1].json(&["certs"]).unwrap()["certs"].as_array().unwrap().clone();
    let row = revoked.iter().find(|row| row["key"] == *key);
    assert!(row.is_none_or(|row| row["status"] == "revoked"), "{row:?}");

    // Nor does a restart help, nor forgetting what it was told.
    net.gateways[0].stop().unwrap();
    std::fs::remove_file(net.gateways[0].directory().join("state")).unwrap();
    net.gateways[0].start().unwrap();
    wait_for("the broker's word", PATIENCE, || {
        let status = net.gateways[0].status().map_err(|error| error.to_string())?;
        if knows_it_is_revoked(&status) { Ok(()) } else { Err(status["standing"].to_string()) }
    })
    .unwrap();
    assert!(!net.client(0).ping(net.addresses[1]) && !net.client(0).ping(INTERNET_HOST));
}
