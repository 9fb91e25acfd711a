//! The host crate against the real kernel, in network namespaces. Needs root.

use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::time::Duration;
use ln6_host::firewall::Firewall;
use ln6_host::interface::InterfaceName;
use ln6_host::kernel::{Kernel as _, PROTOCOL, TunShape};
use ln6_host::lan::{LanSocket, Lans};
use ln6_host::monitor::{HostChange, Monitor};
use ln6_host::netlink::Netlink;
use ln6_host::plan::{
    FirewallPlan, HostPlan, HostRoute, HostVia, Inbound, LanPlan, LanPrefix, Opening, Protocol,
};
use ln6_host::reconcile::Reconciler;
use ln6_host::sysctl::{Needs, Sysctls};
use ln6_host::uplink::Surroundings;
use ln6_lab::{Lab, Namespace, wait_until};
use ln6_types::{Instant, Prefix};
use socket2::{Domain, Socket, Type};
use std::io;

const SOON: Duration = Duration::from_secs(15);

fn p(text: &str) -> Prefix {
    text.parse().expect("prefix")
}

fn a(text: &str) -> Ipv6Addr {
    text.parse().expect("address")
}

fn name(text: &str) -> InterfaceName {
    text.parse().expect("name")
}

/// Runs `work` in a thread that lives in the namespace.
fn within<T: Send>(namespace: &Namespace, work: impl FnOnce() -> T + Send) -> T {
    let file = std::fs::File::open(format!("/run/netns/{}", namespace.full_name())).expect("namespace");
    std::thread::scope(|scope| {
        let inside = scope.spawn(move || {
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).expect("setns");
            work()
        });
        inside.join().expect("the thread in the namespace")
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(future)
}

/// Waits in a thread of its own, so that the tasks of the runtime go on.
async fn eventually(what: &'static str, condition: impl FnMut() -> bool + Send + 'static) {
    let waited = tokio::task::spawn_blocking(move || wait_until(what, SOON, condition));
    waited.await.expect("join").expect(what);
}

fn clock() -> Instant {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    Instant::from_micros(start.elapsed().as_micros() as u64)
}

fn reconciler() -> Reconciler<Netlink> {
    Reconciler::new(
        Netlink::open_default().expect("netlink"),
        name("ln6"),
        Some(TunShape { mtu: 1420, queue: 1000 }),
    )
}

/// A gateway whose tunnel is a cable to `inet`, and whose LAN is a cable to `client`.
fn gateway(lab: &mut Lab) -> (Namespace, Namespace, Namespace) {
    let gw = lab.namespace("gw").expect("gw");
    let inet = lab.namespace("inet").expect("inet");
    let client = lab.namespace("client").expect("client");
    gw.cable("ln6", &inet, "eth0").expect("cable");
    gw.cable("br-lan", &client, "eth0").expect("cable");
    (gw, inet, client)
}

fn lan(force: &[&str], deprecated: &[&str]) -> LanPlan {
    let own = |text: &&str| LanPrefix { prefix: p(text), address: p(text).address(1) };
    LanPlan {
        interface: "br-lan".into(),
        prefixes: force.iter().map(own).collect(),
        deprecated: deprecated.iter().map(own).collect(),
        router_lifetime: 1800,
        route_information: vec![p("fd00:6::/48")],
        mtu: 1420,
        resolvers: vec![a("2001:db8:1::1")],
    }
}

fn plan() -> HostPlan {
    HostPlan {
        tun_addresses: vec![(a("fd00:6::7"), 128)],
        routes: vec![
            HostRoute { to: Prefix::ALL, from: p("2001:db8:1::/48"), via: HostVia::Tun, metric: 512 },
            HostRoute { to: p("fd00:6::/48"), from: Prefix::ALL, via: HostVia::Tun, metric: 512 },
            HostRoute {
                to: p("2001:db8:1::/48"),
                from: Prefix::ALL,
                via: HostVia::Unreachable,
                metric: 4096,
            },
        ],
        lans: vec![lan(&["2001:db8:1::/64"], &[])],
        firewall: None,
    }
}

#[test]
fn routes_with_from_and_unreachable_come_and_go_and_foreign_ones_stay() {
    if !ln6_lab::ready() {
        return;
    }
    let mut lab = Lab::new("hostroutes").expect("lab");
    let (gw, ..) = gateway(&mut lab);
    gw.ip(&[
        "route add 2001:db8:f::/48 dev ln6",
        "route add unreachable 2001:db8:e::/48 metric 77",
        "addr add 2001:db8:f::1/64 dev br-lan",
    ])
    .expect("foreign");
    let foreign = || {
        let routes = gw.run(&["ip", "-6", "route"]).expect("routes");
        let addresses = gw.run(&["ip", "-6", "addr"]).expect("addresses");
        assert!(routes.contains("2001:db8:f::/48 dev ln6"), "{routes}");
        assert!(routes.contains("unreachable 2001:db8:e::/48"), "{routes}");
        assert!(addresses.contains("2001:db8:f::1/64"), "{addresses}");
    };
    let ours = || gw.run(&["ip", "-6", "route", "show", "proto", "108"]).expect("routes");

    within(&gw, || {
        block_on(async {
            let mut r = reconciler();
            let report = r.apply(&plan()).await.expect("apply");
            assert_eq!(report.failures, vec![]);
            let again = r.apply(&plan()).await.expect("apply");
            assert_eq!((again.done, again.failures), (0, vec![]));
        });
    });
    let listed = ours();
    assert!(listed.contains("default from 2001:db8:1::/48 dev ln6 metric 512"), "{listed}");
    assert!(listed.contains("unreachable 2001:db8:1::/48 dev lo metric 4096"), "{listed}");
    assert!(gw.run(&["ip", "link", "show", "ln6"]).expect("link").contains("mtu 1420"));
    assert!(gw.run(&["ip", "link", "show", "ln6"]).expect("link").contains("qlen 1000"));
    let addresses = gw.run(&["ip", "-6", "addr"]).expect("addresses");
    assert!(addresses.contains("fd00:6::7/128") && addresses.contains("2001:db8:1::1/64"), "{addresses}");
    foreign();

    // The first run is gone without a word; the next one wants less and clears what it left.
    within(&gw, || {
        block_on(async {
            let mut r = reconciler();
            let mut less = plan();
            less.routes.truncate(1);
            less.routes[0].via = HostVia::Unreachable;
            less.lans = vec![lan(&["2001:db8:1:5::/64"], &["2001:db8:1::/64"])];
            assert_eq!(r.apply(&less).await.expect("apply").failures, vec![]);
            assert_eq!(r.apply(&less).await.expect("apply").done, 0);
        });
    });
    let listed = ours();
    assert!(listed.contains("unreachable default from 2001:db8:1::/48"), "{listed}");
    assert_eq!(listed.trim().lines().count(), 1, "{listed}");
    let deprecated = gw.run(&["ip", "-6", "addr", "show", "deprecated"]).expect("addresses");
    assert!(deprecated.contains("2001:db8:1::1/64"), "{deprecated}");
    foreign();

    within(&gw, || {
        block_on(async {
            let report = reconciler().remove_all().await.expect("remove");
            assert_eq!(report.failures, vec![]);
        });
    });
    assert_eq!(ours().trim(), "");
    let addresses = gw.run(&["ip", "-6", "addr"]).expect("addresses");
    assert!(!addresses.contains("fd00:6::7") && !addresses.contains("2001:db8:1"), "{addresses}");
    foreign();
}

#[test]
fn a_foreign_route_in_our_place_is_named_and_not_replaced() {
    if !ln6_lab::ready() {
        return;
    }
    let mut lab = Lab::new("hosttaken").expect("lab");
    let (gw, ..) = gateway(&mut lab);
    gw.ip(&["route add 2001:db8:1::/48 dev br-lan metric 4096"]).expect("foreign");
    let codes = within(&gw, || {
        block_on(async {
            let report = reconciler().apply(&plan()).await.expect("apply");
            report.failures.iter().map(|error| error.code()).collect::<Vec<_>>()
        })
    });
    assert_eq!(codes, ["kernel_state_taken"]);
    let routes = gw.run(&["ip", "-6", "route"]).expect("routes");
    assert!(routes.contains("2001:db8:1::/48 dev br-lan metric 4096"), "{routes}");
}

#[test]
fn a_client_configures_itself_from_our_advertisements_and_lets_go_at_the_end() {
    if !ln6_lab::ready() {
        return;
    }
    let mut lab = Lab::new("hostra").expect("lab");
    let (gw, _, client) = gateway(&mut lab);
    let covered = |namespace: &Namespace, prefix: &str| {
        namespace.addresses("eth0").into_iter().any(|address| p(prefix).contains(address))
    };
    within(&gw, || {
        block_on(async {
            let mut r = reconciler();
            r.apply(&plan()).await.expect("apply");
            let links = r.kernel().links().await.expect("links");
            let mut lans = Lans::new(clock);
            assert!(lans.apply(&plan().lans, &links).await.is_empty());
            let host = client.clone();
            eventually("an address from the prefix", move || covered(&host, "2001:db8:1::/64")).await;
            let routes = client.run(&["ip", "-6", "route", "show", "default"]).expect("routes");
            assert!(routes.contains("proto ra") && routes.contains("dev eth0"), "{routes}");
            let mtu = client.run(&["sysctl", "-n", "net.ipv6.conf.eth0.mtu"]).expect("mtu");
            assert_eq!(mtu.trim(), "1420");

            // Another prefix takes over: the old address stays, deprecated.
            assert!(
                lans.apply(&[lan(&["2001:db8:1:5::/64"], &["2001:db8:1::/64"])], &links).await.is_empty()
            );
            let host = client.clone();
            eventually("the new prefix instead of the old", move || {
                covered(&host, "2001:db8:1:5::/64") && !covered(&host, "2001:db8:1::/64")
            })
            .await;
            let old = client.run(&["ip", "-6", "addr", "show", "deprecated"]).expect("addresses");
            assert!(old.contains("2001:db8:1:0:"), "{old}");

            lans.stop().await;
            let host = client.clone();
            eventually("no prefix and no router", move || {
                let routes = host.run(&["ip", "-6", "route", "show", "default"]).expect("routes");
                host.addresses("eth0").is_empty() && routes.trim().is_empty()
            })
            .await;
        });
    });
}

#[test]
fn the_socket_hears_the_solicitation_of_a_client_that_comes_up() {
    if !ln6_lab::ready() {
        return;
    }
    let mut lab = Lab::new("hostrs").expect("lab");
    let (gw, _, client) = gateway(&mut lab);
    within(&gw, || {
        block_on(async {
            let mut kernel = Netlink::open_default().expect("netlink");
            let links = kernel.links().await.expect("links");
            let index = links.iter().find(|link| link.name == "br-lan").expect("br-lan").index;
            let socket = LanSocket::open(&name("br-lan"), index).expect("socket");
            let up = tokio::task::spawn_blocking(move || {
                client.ip(&["link set eth0 down", "link set eth0 up"]).expect("link");
            });
            tokio::time::timeout(SOON, socket.solicited()).await.expect("in time").expect("heard");
            up.await.expect("join");
        });
    });
}

#[test]
fn a_solicitation_that_a_router_let_through_is_not_heard() {
    if !ln6_lab::ready() {
        return;
    }
    let mut lab = Lab::new("hosthop").expect("lab");
    let gw = lab.namespace("gw").expect("gw");
    let client = lab.namespace("client").expect("client");
    client.sysctl("net.ipv6.conf.default.router_solicitations", "0").expect("quiet client");
    gw.cable("br-lan", &client, "eth0").expect("cable");
    client.ip(&["addr add fe80::9/64 dev eth0 nodad"]).expect("address");
    let index = client.run(&["cat", "/sys/class/net/eth0/ifindex"]).expect("index");
    let index: u32 = index.trim().parse().expect("number");
    let ask = |hop_limit: u32, last: u8| {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(socket2::Protocol::ICMPV6)).expect("raw");
        socket.set_multicast_hops_v6(hop_limit).expect("hop limit");
        let from = SocketAddr::V6(SocketAddrV6::new(a("fe80::9"), 0, 0, index));
        socket.bind(&from.into()).expect("bind");
        let to = SocketAddr::V6(SocketAddrV6::new(a("ff02::2"), 0, 0, index));
        let message = [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, last];
        socket.send_to(&message, &to.into()).expect("send");
    };
    within(&gw, || {
        block_on(async {
            let mut kernel = Netlink::open_default().expect("netlink");
            let links = kernel.links().await.expect("links");
            let index = links.iter().find(|link| link.name == "br-lan").expect("br-lan").index;
            let socket = LanSocket::open(&name("br-lan"), index).expect("socket");
            within(&client, || {
                ask(64, 1);
                ask(254, 2);
                ask(255, 3);
            });
            let heard =
                tokio::time::timeout(SOON, socket.solicited()).await.expect("in time").expect("heard");
            assert_eq!(heard.source, Some([2, 0, 0, 0, 0, 3]));
        });
    });
}

/// Connects from a given source; the longest segment that may be sent, or what the kernel says about it.
fn connect(from: Ipv6Addr, to: Ipv6Addr, port: u16) -> io::Result<u32> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    let at = |ip, port| SocketAddr::V6(SocketAddrV6::new(ip, port, 0, 0));
    socket.bind(&at(from, 0).into())?;
    socket.connect_timeout(&at(to, port).into(), Duration::from_secs(3))?;
    socket.tcp_mss()
}

#[test]
fn the_internet_is_kept_out_while_members_answers_and_openings_pass() {
    if !ln6_lab::ready() {
        return;
    }
    let mut lab = Lab::new("hostfw").expect("lab");
    let (gw, inet, client) = gateway(&mut lab);
    let (host, stranger, member) = (a("2001:db8:1::9"), a("2001:db8:ffff::9"), a("2001:db8:2::9"));
    client
        .ip(&["addr add 2001:db8:1::9/64 dev eth0 nodad", "route add default via 2001:db8:1::1"])
        .expect("client");
    gw.ip(&[
        "addr add 2001:db8:1::1/64 dev br-lan nodad",
        "addr add fd00:6::1/64 dev ln6 nodad",
        "route add default dev ln6 via fd00:6::2",
    ])
    .expect("gw");
    inet.ip(&[
        "addr add fd00:6::2/64 dev eth0 nodad",
        "addr add 2001:db8:ffff::9/128 dev eth0 nodad",
        "addr add 2001:db8:2::9/128 dev eth0 nodad",
        "route add 2001:db8:1::/48 via fd00:6::1",
    ])
    .expect("inet");
    let needs = Needs { forwarding: true, uplinks: vec![], ipv6: vec![name("br-lan")], set: true };
    assert_eq!(within(&gw, || Sysctls::default().check(&needs)), vec![]);
    let forwarding = gw.run(&["sysctl", "-n", "net.ipv6.conf.all.forwarding"]).expect("sysctl");
    assert_eq!(forwarding.trim(), "1");
    let listen = |at: Ipv6Addr, port| std::net::TcpListener::bind((at, port)).expect("listen");
    let _on_host = within(&client, || [listen(host, 80), listen(host, 8080)]);
    let _on_gateway = within(&gw, || listen(a("2001:db8:1::1"), 8080));
    let _on_stranger = within(&inet, || listen(stranger, 443));
    client.wait_ping(IpAddr::V6(stranger), SOON).expect("without a firewall all is open");
    assert!(within(&inet, || connect(stranger, host, 8080)).is_ok());
    // As of a tunnel, which neither end knows of.
    gw.ip(&["link set ln6 mtu 1420"]).expect("mtu");
    let segment =
        || within(&client, || connect(host, stranger, 443)).expect("what the LAN begins is answered");
    assert!(segment() > 1360);

    let rules = FirewallPlan {
        inbound: Inbound::Members,
        members: vec![p("2001:db8:1::/48"), p("2001:db8:2::/48"), p("fd00:6::/48")],
        protected: vec![p("2001:db8:1::/48")],
        openings: vec![Opening {
            to: Prefix::host(host),
            protocol: Some(Protocol::Tcp),
            ports: Some((80, 81)),
        }],
    };
    let apply = |plan: Option<FirewallPlan>| {
        within(&gw, || {
            block_on(async {
                let mut firewall = Firewall::new(name("ln6"));
                match plan {
                    Some(plan) => {
                        firewall.apply(Some(&plan)).await.expect("apply");
                        assert!(firewall.is_present().await.expect("list"));
                    }
                    None => {
                        firewall.remove().await.expect("remove");
                        assert!(!firewall.is_present().await.expect("list"));
                    }
                }
            });
        });
    };
    let refused = |from, to, port| {
        let error = within(&inet, || connect(from, to, port)).expect_err("must not connect");
        assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
    };
    let passes = |from, to, port| within(&inet, || connect(from, to, port)).expect("must connect");

    apply(Some(rules.clone()));
    refused(stranger, host, 8080);
    refused(stranger, a("2001:db8:1::1"), 8080);
    passes(stranger, host, 80);
    passes(member, host, 8080);
    passes(member, a("2001:db8:1::1"), 8080);
    assert!(segment() <= 1360, "{}", segment());
    assert!(inet.run(&["ping", "-6", "-c", "1", "-I", "2001:db8:ffff::9", "2001:db8:1::9"]).is_ok());

    apply(Some(FirewallPlan { inbound: Inbound::Closed, openings: vec![], ..rules.clone() }));
    refused(member, host, 8080);
    refused(stranger, host, 80);
    segment();

    apply(Some(FirewallPlan { inbound: Inbound::Open, ..rules }));
    passes(stranger, host, 8080);

    apply(None);
    assert!(!gw.run(&["nft", "list", "tables"]).expect("tables").contains("ln6d"));
    passes(stranger, host, 8080);
}

#[test]
fn nobody_on_the_uplink_can_pretend_to_be_a_client_of_the_exit() {
    if !ln6_lab::ready() {
        return;
    }
    let mut lab = Lab::new("hostrpf").expect("lab");
    let (gw, clients, lan) = gateway(&mut lab);
    let uplink = lab.namespace("uplink").expect("uplink");
    gw.cable("eth0", &uplink, "eth0").expect("cable");
    let (one, other) = (a("2001:db8:1:ff::1"), a("2001:db8:1:ff::2"));
    let (host, stranger) = (a("2001:db8:1::9"), a("2001:db8:ffff::9"));
    gw.ip(&[
        "addr add 2001:db8:1::1/64 dev br-lan nodad",
        "addr add fd00:6::1/64 dev ln6 nodad",
        "addr add fd00:7::1/64 dev eth0 nodad",
        "route add 2001:db8:1:ff::/64 dev ln6 via fd00:6::2",
        "route add default dev eth0 via fd00:7::2",
    ])
    .expect("gw");
    clients
        .ip(&[
            "addr add fd00:6::2/64 dev eth0 nodad",
            "addr add 2001:db8:1:ff::1/128 dev eth0 nodad",
            "route add default via fd00:6::1",
        ])
        .expect("clients");
    lan.ip(&["addr add 2001:db8:1::9/64 dev eth0 nodad", "route add default via 2001:db8:1::1"])
        .expect("lan");
    uplink
        .ip(&[
            "addr add fd00:7::2/64 dev eth0 nodad",
            "addr add 2001:db8:1:ff::2/128 dev eth0 nodad",
            "addr add 2001:db8:ffff::9/128 dev eth0 nodad",
            "route add 2001:db8:1::/48 via fd00:7::1",
        ])
        .expect("uplink");
    let needs = Needs { forwarding: true, uplinks: vec![], ipv6: vec![name("br-lan")], set: true };
    assert_eq!(within(&gw, || Sysctls::default().check(&needs)), vec![]);
    // The cable stands for a tunnel, which needs no neighbour discovery; the firewall forbids it there.
    clients.ip(&["link set eth0 address 02:00:00:00:00:02"]).expect("address");
    gw.ip(&["neigh replace fd00:6::2 lladdr 02:00:00:00:00:02 dev ln6 nud permanent"]).expect("neighbour");
    let rules = FirewallPlan {
        inbound: Inbound::Members,
        members: vec![p("2001:db8:1::/48"), p("fd00:6::/48")],
        protected: vec![p("2001:db8:1::/48")],
        openings: vec![Opening { to: Prefix::host(one), protocol: Some(Protocol::Udp), ports: None }],
    };
    within(&gw, || block_on(async { Firewall::new(name("ln6")).apply(Some(&rules)).await.expect("apply") }));
    let heard = within(&clients, || std::net::UdpSocket::bind((one, 7)).expect("bind"));
    heard.set_read_timeout(Some(SOON)).expect("timeout");
    let send = |from: &Namespace, source: Ipv6Addr, word: &[u8]| {
        within(from, || {
            let socket = std::net::UdpSocket::bind((source, 0)).expect("bind");
            socket.send_to(word, (one, 7)).expect("send");
        });
    };
    // In this order on one way: what is heard first tells that what was sent before it was dropped.
    send(&uplink, other, b"pretended");
    send(&uplink, stranger, b"stranger");
    let mut buffer = [0; 16];
    let (len, from) = heard.recv_from(&mut buffer).expect("the opened port hears strangers");
    assert_eq!((&buffer[..len], from.ip()), (&b"stranger"[..], IpAddr::V6(stranger)));
    send(&lan, host, b"neighbour");
    let (len, from) = heard.recv_from(&mut buffer).expect("the gateway's own LAN passes");
    assert_eq!((&buffer[..len], from.ip()), (&b"neighbour"[..], IpAddr::V6(host)));
    let listed = gw.run(&["nft", "list", "table", "ip6", "ln6d"]).expect("list");
    assert!(listed.contains("counter packets 1"), "{listed}");
}

#[test]
fn the_monitor_tells_of_an_uplink_that_goes_and_of_a_route_that_somebody_removed() {
    if !ln6_lab::ready() {
        return;
    }
    let mut lab = Lab::new("hostmon").expect("lab");
    let gw = lab.namespace("gw").expect("gw");
    let inet = lab.namespace("inet").expect("inet");
    gw.cable("wan", &inet, "eth0").expect("cable");
    gw.cable("ln6", &inet, "tunnel").expect("cable");
    gw.ip(&[
        "addr add 198.51.100.7/24 dev wan",
        "addr add 2001:db8:ffff::7/64 dev wan nodad",
        "route add default via 198.51.100.1",
        "route add default via 2001:db8:ffff::1",
    ])
    .expect("uplink");
    within(&gw, || {
        block_on(async {
            let mut kernel = Netlink::open_default().expect("netlink");
            let seen = Surroundings::look(&mut kernel).await.expect("look");
            assert!(seen.has_uplink(true, "ln6") && seen.has_uplink(false, "ln6"));
            assert_eq!(seen.uplink_interfaces("ln6"), ["wan"]);
            assert_eq!(seen.check("ln6", &[p("2001:db8:ffff::/64")])[0].code, "on_link_only");

            let mut r = reconciler();
            r.apply(&HostPlan { lans: vec![], ..plan() }).await.expect("apply");
            let (_monitor, mut notices) = Monitor::start("ln6".into(), PROTOCOL).expect("monitor");
            let mut heard = async |wanted: HostChange| {
                let until = async {
                    loop {
                        let notice = notices.recv().await.expect("monitor lives");
                        if notice.changes.contains(&wanted) {
                            break;
                        }
                    }
                };
                tokio::time::timeout(SOON, until).await.unwrap_or_else(|_| panic!("no {wanted:?}"));
            };
            heard(HostChange::UplinkUp { ipv6: true }).await;
            gw.ip(&["route del default via 2001:db8:ffff::1"]).expect("route");
            heard(HostChange::UplinkDown { ipv6: true }).await;
            gw.ip(&["route del fd00:6::/48 proto 108"]).expect("route");
            heard(HostChange::Drifted).await;
            gw.ip(&["link set wan down"]).expect("link");
            heard(HostChange::LinkDown("wan".into())).await;
            assert_eq!(r.apply(&HostPlan { lans: vec![], ..plan() }).await.expect("apply").done, 1);
        });
    });
}
