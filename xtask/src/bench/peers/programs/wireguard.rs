//! Programs that make a WireGuard device and are set up by `wg`.

use crate::bench::peers::world::{ENDS, LANS, UNDERLAY, World};
use anyhow::Result;
use ln6_lab::wait_until;
use std::time::Duration;

/// Starts what `command` makes of a device's name on both nodes.
pub(super) fn start(world: &mut World, command: impl Fn(&str) -> Vec<String>) -> Result<()> {
    // Control sockets are the whole machine's: names must be nobody else's.
    let devices = ["a", "b"].map(|side| format!("wg{side}{}", std::process::id()));
    let mut keys = Vec::new();
    for (at, device) in devices.iter().enumerate() {
        let words = command(device);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let environment = [("WG_PROCESS_FOREGROUND", "1"), ("WG_SUDO", "1")];
        let node = world.nodes[at].clone();
        world.daemons.push(node.spawn_with(&format!("wg-{}", node.name()), &words, &environment)?);
        wait_until("the device", Duration::from_secs(10), || node.exec(&["wg", "show", device]).success())?;
        let key = node.run(&["wg", "genkey"])?;
        let path = world.directory().join(format!("{device}.key"));
        std::fs::write(&path, &key)?;
        let path = path.display().to_string();
        node.run(&["wg", "set", device, "listen-port", "51820", "private-key", &path])?;
        keys.push(node.run(&["sh", "-c", &format!("wg pubkey < {path}")])?.trim().to_owned());
    }
    for (at, device) in devices.iter().enumerate() {
        let other = 1 - at;
        let endpoint = format!("{}:51820", UNDERLAY[other]);
        let allowed = format!("{}/128,{}/64", ENDS[other], LANS[other]);
        let words =
            ["wg", "set", device, "peer", &keys[other], "endpoint", &endpoint, "allowed-ips", &allowed];
        world.nodes[at].run(&words)?;
    }
    world.address([&devices[0], &devices[1]])
}
