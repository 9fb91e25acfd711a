//! The engine alone between two machines: the workers, sockets and devices of the daemon, keys and tables made by hand,
//! no control. For measuring what the packet path can do, and with which suite:
//!
//! `cargo xtask bench peers --with 'engine-aes=PATH/lane aes' --with 'engine-chacha=PATH/lane chacha'`
//!
//! Its keys are constants: nothing but measurements may ever use it.
#![forbid(unsafe_code)]

use ln6_crypto::seal::{Aead, Suite};
use ln6_netio::tun::{Tun, TunOptions};
use ln6_netio::udp::{Udp, UdpOptions};
use ln6_netio::worker::{WorkerParts, spawn_workers};
use ln6_netio::{Clock, MailSender};
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::fib::{Fib, FibInput, Target};
use ln6_overlay_core::forwarder::keys::{ReceiveKey, SendKey, index_for};
use ln6_overlay_core::forwarder::mail::{PeerKind, PeerTx, Update};
use ln6_overlay_core::forwarder::{Config, Forwarder};
use ln6_overlay_core::{Path, PeerIdx};
use ln6_types::{Instant, Prefix, RouterId};
use std::error::Error;
use std::sync::Arc;

type Outcome<T> = Result<T, Box<dyn Error>>;

const PORT: u16 = 16_695;
const PEER: PeerIdx = PeerIdx(1);

fn main() -> Outcome<()> {
    let suite = match std::env::args().nth(1).as_deref() {
        Some("aes") => Suite::Aes256Gcm,
        Some("chacha") => Suite::ChaCha20Poly1305,
        _ => return Err("lane aes|chacha, as a program of `cargo xtask bench peers --with`".into()),
    };
    let var = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let workers: usize = std::env::args().nth(2).map_or(Ok(1), |text| text.parse())?;
    let side = u8::from(var("SIDE")? == "b");
    let device = Tun::open(&var("DEVICE")?, workers, TunOptions::default())?;
    let uso = device.offload == ln6_netio::tun::TunOffload::TcpUdp;
    let sockets = Udp::bind(PORT, workers, &UdpOptions::default())?;
    let parts = device.queues.into_iter().zip(sockets.sockets).enumerate();
    let parts = parts.map(|(at, (tun, udp))| WorkerParts {
        engine: Forwarder::new(Config {
            worker: at as u8,
            workers: workers as u8,
            layout: ArenaLayout::STANDARD,
            uso,
            transit: 0,
            seed: [side; 32],
            stats: Arc::default(),
        }),
        tun: Some(tun),
        udp,
    });
    let (workers, _events) = spawn_workers(parts.collect(), Clock::start(), || ())?;
    let path = Path::Udp((var("THERE")?.parse::<std::net::IpAddr>()?, PORT).into());
    meet(workers.mail(), suite, side, path)?;
    loop {
        std::thread::park();
    }
}

/// Gives every worker the table and one session with the other side. Only the first worker receives.
fn meet(workers: &[MailSender], suite: Suite, side: u8, path: Path) -> Outcome<()> {
    let (own, other) = if side == 0 { ("a", "b") } else { ("b", "a") };
    let prefixes = |side: &str| -> Outcome<[Prefix; 2]> {
        let end = if side == "a" { 1 } else { 2 };
        Ok([format!("fd00:{side}::/64").parse()?, format!("fd00:be::{end}/128").parse()?])
    };
    let (ours, theirs) = (prefixes(own)?, prefixes(other)?);
    let router = |side: u8| RouterId([side + 1; 8]);
    let fib = Arc::new(Fib::build(FibInput {
        owners: ours
            .iter()
            .map(|prefix| (*prefix, vec![PeerIdx::SELF]))
            .chain(theirs.iter().map(|prefix| (*prefix, vec![PEER])))
            .collect(),
        inside: vec!["fd00::/16".parse()?],
        local: ours.to_vec(),
        routes: theirs.iter().map(|prefix| (*prefix, Prefix::ALL, Target::Peer(PEER))).collect(),
        own_router: router(side),
        ..FibInput::default()
    }));
    let aead = |side: u8| Aead::new(suite, &[side + 1; 32]);
    let (here, there) = (index_for(0, u32::from(side) + 10), index_for(0, u32::from(1 - side) + 10));
    let key = ReceiveKey::new(here, PEER, aead(1 - side)?, Instant::FAR_FUTURE);
    let tx = Arc::new(PeerTx {
        key: Some(Arc::new(SendKey::new(there, aead(side)?, Instant::FAR_FUTURE))),
        path: Some(path),
        mtu: 1400,
        whole: true,
        kind: PeerKind::Node,
        takes_relayed: true,
        router: router(1 - side),
        counters: Arc::default(),
    });
    for worker in workers {
        worker.update(Update::Fib(Arc::clone(&fib)));
    }
    workers[0].update(Update::Receive(Box::new(key)));
    for worker in workers {
        worker.update(Update::Peer(PEER, Arc::clone(&tx)));
    }
    Ok(())
}
