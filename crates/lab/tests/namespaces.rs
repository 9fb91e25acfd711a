//! The lab itself: what it makes works, and nothing of it stays.

use ln6_lab::{Lab, community, probe, ready, two_nodes, wait_until};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

fn exists(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}

fn pid_lives(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn lab_probe() {
    probe::run_if_asked();
}

#[test]
fn two_nodes_hear_each_other() {
    if !ready() {
        return;
    }
    let world = two_nodes("two").unwrap();
    assert!(world.a.ping(Ipv4Addr::new(192, 0, 2, 2)));
    assert!(!world.a.ping(Ipv4Addr::new(192, 0, 2, 3)));
    assert!(world.b.addresses("eth0").is_empty(), "the underlay has IPv6");
}

#[test]
fn the_community_is_joined_by_ipv4_alone_and_one_gateway_is_hidden() {
    if !ready() {
        return;
    }
    let world = community("world").unwrap();
    for site in &world.sites {
        assert!(site.gateway.ping(ln6_lab::SERVER_ADDRESS), "{}", site.gateway.name());
        assert!(!site.client.ping(ln6_lab::INTERNET_HOST), "IPv6 before ln6d in {}", site.client.name());
    }
    let [g1, _, g3, _] = world.sites.each_ref().map(|site| &site.gateway);
    assert!(g1.ping(Ipv4Addr::new(203, 0, 113, 2)), "g1 to g2");
    assert!(!g1.ping(Ipv4Addr::new(192, 168, 3, 2)), "g3 is not hidden");
    assert!(world.server.ping(ln6_lab::INTERNET_HOST));
    let names = g3.run(&["getent", "hosts", ln6_lab::SERVER_NAME]).unwrap();
    assert!(names.starts_with("192.0.2.2"), "{names}");
}

#[test]
fn a_hidden_gateway_can_call_out_but_cannot_be_called() {
    if !ready() {
        return;
    }
    let world = community("nat").unwrap();
    let g3 = &world.sites[2].gateway;
    let server: IpAddr = ln6_lab::SERVER_ADDRESS.into();
    let _service = probe::echo(&world.server, 7000).unwrap();
    let _hidden = probe::echo(g3, 7000).unwrap();
    wait_until("the service", SOON, || probe::connects(g3, server, 7000)).unwrap();
    // Even a provider that routes to the inside is kept out.
    world.isp.ip(&["route add 192.168.3.0/24 via 198.18.3.2"]).unwrap();
    assert!(probe::connects(&world.nat3, Ipv4Addr::new(192, 168, 3, 2).into(), 7000));
    assert!(!probe::connects(&world.server, Ipv4Addr::new(192, 168, 3, 2).into(), 7000));
}

#[test]
fn a_talk_counts_its_answers_and_its_silence() {
    if !ready() {
        return;
    }
    let world = two_nodes("talk").unwrap();
    let b: IpAddr = Ipv4Addr::new(192, 0, 2, 2).into();
    let _service = probe::echo(&world.b, 7000).unwrap();
    wait_until("the service", SOON, || probe::connects(&world.a, b, 7000)).unwrap();
    let mut talk = probe::talk(&world.a, b, 7000).unwrap();
    wait_until("five answers", SOON, || probe::heard(&talk).is_some_and(|(count, _)| count >= 5)).unwrap();
    world.b.ip(&["link set eth0 down"]).unwrap();
    let (stopped, _) = probe::heard(&talk).unwrap();
    world.b.ip(&["link set eth0 up"]).unwrap();
    wait_until("more answers", SOON, || probe::heard(&talk).is_some_and(|(count, _)| count > stopped + 2))
        .unwrap();
    assert!(talk.is_running());
}

#[test]
fn a_dropped_guard_kills_the_whole_group() {
    if !ready() {
        return;
    }
    let world = two_nodes("guard").unwrap();
    let process = world.a.spawn("sleepers", &["sh", "-c", "sleep 1000 & echo $!; wait"]).unwrap();
    wait_until("the grandchild", SOON, || process.stdout().ends_with('\n')).unwrap();
    let (child, grandchild) = (process.pid(), process.stdout().trim().parse::<u32>().unwrap());
    assert!(pid_lives(child) && pid_lives(grandchild));
    drop(process);
    wait_until("their end", SOON, || !pid_lives(child) && !pid_lives(grandchild)).unwrap();
}

#[test]
fn a_panicking_test_leaves_neither_namespace_nor_process_nor_directory() {
    if !ready() {
        return;
    }
    let left = std::sync::Mutex::new(None);
    let outcome = std::panic::catch_unwind(|| {
        let world = two_nodes("panic").unwrap();
        let process = world.a.spawn("sleeper", &["sleep", "1000"]).unwrap();
        let (name, directory) = (world.a.full_name().to_owned(), world.lab.directory().to_owned());
        assert!(exists(&name) && directory.exists());
        *left.lock().unwrap() = Some((name, directory, process.pid()));
        panic!("as planned");
    });
    assert!(outcome.is_err());
    let (name, directory, pid) = left.into_inner().unwrap().unwrap();
    assert!(!exists(&name) && !directory.exists() && !pid_lives(pid));
}

#[test]
fn a_forgotten_process_dies_with_its_namespace() {
    if !ready() {
        return;
    }
    let world = two_nodes("forgotten").unwrap();
    let text = world.a.run(&["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"]).unwrap();
    let pid: u32 = text.trim().parse().unwrap();
    assert!(pid_lives(pid));
    drop(world);
    wait_until("its end", SOON, || !pid_lives(pid)).unwrap();
}

const OWNER: &str = "LN6_LAB_OWNER";

#[test]
fn a_killed_owner_leaves_nothing() {
    if !ready() {
        return;
    }
    if std::env::var_os(OWNER).is_some() {
        let world = two_nodes("owner").unwrap();
        let process = world.a.spawn("sleeper", &["sleep", "1000"]).unwrap();
        println!("made {} {}", world.a.full_name(), process.pid());
        loop {
            std::thread::park();
        }
    }
    let mut lab = Lab::new("parent").unwrap();
    let host = lab.namespace("host").unwrap();
    let program = std::env::current_exe().unwrap();
    let args = [program.to_str().unwrap(), "a_killed_owner_leaves_nothing", "--exact", "--nocapture"];
    let mut owner = host.spawn_with("owner", &args, &[(OWNER, "1")]).unwrap();
    let made = |text: String| {
        let line = text.lines().find_map(|line| line.split_once("made "))?.1.to_owned();
        let (name, pid) = line.split_once(' ')?;
        Some((name.to_owned(), pid.parse::<u32>().ok()?))
    };
    wait_until("the owner's lab", SOON, || made(owner.stdout()).is_some()).unwrap();
    let (name, pid) = made(owner.stdout()).unwrap();
    assert!(exists(&name) && pid_lives(pid));
    owner.signal("KILL").unwrap();
    wait_until("the end of the owner's lab", SOON, || !exists(&name) && !pid_lives(pid)).unwrap();
}
