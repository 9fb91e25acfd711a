//! One node: its control, its workers, the mail between them, and a disk that keeps only what was written.

use crate::broker::Desk;
use crate::chance::Chance;
use core::time::Duration;
use ln6_crypto::SigningKey;
use ln6_crypto::keys::StaticSecret;
use ln6_crypto::seal::Suite;
use ln6_overlay_core::control::{Bootstrap, Config, Control, HostChange, NodeState, Notice, StockPeer, Wish};
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::mail::{Event, Update};
use ln6_overlay_core::forwarder::stats::Stats;
use ln6_overlay_core::forwarder::{Config as WorkerConfig, Forwarder};
use ln6_overlay_core::host_plan::{HostPlan, Inbound};
use ln6_types::{Fingerprint, Instant, PublicKey, UnixTime};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a node is made from, at every start anew.
#[derive(Clone)]
pub struct Identity {
    /// Octets of the static secret.
    pub secret: [u8; 32],
    /// Seed of the signing key.
    pub signing: [u8; 32],
    /// Its name.
    pub name: String,
    /// The network.
    pub network: Fingerprint,
    /// Brokers it was told of.
    pub brokers: Vec<Bootstrap>,
    /// What it asks for.
    pub wish: Option<Wish>,
    /// Stock peers.
    pub stock: Vec<StockPeer>,
    /// Whether it wants to be an exit.
    pub exit: bool,
    /// Worker threads.
    pub workers: u8,
    /// What it seals with, best first.
    pub suites: Vec<Suite>,
}

impl Identity {
    /// The key others know it by.
    pub fn key(&self) -> PublicKey {
        StaticSecret::from_bytes(self.secret).public()
    }

    /// The key it signs with.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(self.signing)
    }

    fn config(&self, seed: u64) -> Config {
        Config {
            secret: StaticSecret::from_bytes(self.secret),
            signing: self.signing_key(),
            network: self.network,
            name: self.name.clone(),
            workers: self.workers,
            brokers: self.brokers.clone(),
            public: Vec::new(),
            wish: self.wish.clone(),
            stock: self.stock.clone(),
            lans: Vec::new(),
            inbound: Inbound::Members,
            openings: Vec::new(),
            firewall: false,
            exit: self.exit,
            transit: true,
            suites: self.suites.clone(),
            mtu: 1420,
            seed,
        }
    }
}

/// Mail for one worker, in order, with the time at which it is read at the latest.
pub(crate) type Mailbox = VecDeque<(Instant, Update)>;

/// What lives from one start to the next crash.
pub struct Life {
    /// The control plane.
    pub control: Control,
    pub(crate) workers: Vec<Forwarder>,
    pub(crate) mail: Vec<Mailbox>,
    /// Events of each worker that control has not read yet, likewise.
    pub(crate) events: Vec<VecDeque<(Instant, Event)>>,
    /// The wake-up that counts: when, and its number.
    pub(crate) wake: (Instant, u64),
    /// Time-outs handled at one instant.
    pub(crate) spins: (Instant, u32),
    /// What the workers count.
    pub stats: Arc<Stats>,
    /// What the kernel should look like.
    pub plan: Option<HostPlan>,
}

/// One node, alive or not.
pub struct Node {
    /// What it is made from.
    pub identity: Identity,
    /// Its present life; `None` after a crash.
    pub life: Option<Life>,
    /// Which one that is.
    pub(crate) lives: u32,
    /// What is on its disk.
    pub disk: NodeState,
    /// How far its clock is off, in seconds; `None` = it begins in 1970 with each start.
    pub clock: Option<i64>,
    pub(crate) started: Instant,
    /// How full its workers believe control's queue is, in percent.
    pub queue_fill: u8,
    /// Longest delay of mail, either way.
    pub mail_delay: Duration,
    /// What was written to its TUN device.
    pub delivered: Vec<Vec<u8>>,
    /// What it had to say to its operator.
    pub notices: Vec<(Instant, Notice)>,
    /// The registry, if it is a broker.
    pub desk: Option<Box<dyn Desk>>,
    /// How often its state was written.
    pub stores: u64,
    /// What a thief does to the packets that its control sends in sessions.
    pub tamper: Option<Tamper>,
}

/// Changes a packet.
pub type Tamper = Box<dyn Fn(&mut [u8])>;

impl Node {
    /// A node that is switched off and has an empty disk.
    pub fn new(identity: Identity) -> Self {
        Node {
            identity,
            life: None,
            lives: 0,
            disk: NodeState::default(),
            clock: Some(0),
            started: Instant::ZERO,
            queue_fill: 0,
            mail_delay: Duration::from_millis(20),
            delivered: Vec::new(),
            notices: Vec::new(),
            desk: None,
            stores: 0,
            tamper: None,
        }
    }

    /// What its clock says when it is really `real`.
    pub fn wall(&self, now: Instant, real: UnixTime) -> UnixTime {
        match self.clock {
            Some(off) => UnixTime::from_secs(real.as_secs().saturating_add_signed(off)),
            None => UnixTime::EPOCH + now.since(self.started),
        }
    }

    /// Its control plane.
    ///
    /// # Panics
    /// If it is switched off.
    pub fn control(&self) -> &Control {
        &self.life.as_ref().expect("the node is on").control
    }

    /// Begins a new life with what is on the disk.
    pub(crate) fn start(&mut self, now: Instant, real: UnixTime, chance: &mut Chance, host: HostChange) {
        self.lives += 1;
        self.started = now;
        let mut secrets = Chance::new(chance.draw());
        let source = Box::new(move |out: &mut [u8]| secrets.fill(out));
        let config = self.identity.config(chance.draw());
        let wall = self.wall(now, real);
        let mut control = Control::new(config, self.disk.clone(), source, now, wall);
        if let Some(desk) = &mut self.desk
            && self.disk.items.is_empty()
        {
            let items = desk.beginning(real);
            let _ = control.handle_command(now, ln6_overlay_core::control::Command::Publish(items));
        }
        control.handle_host(now, host);
        let stats = Arc::new(Stats::default());
        let worker = |worker| {
            Forwarder::new(WorkerConfig {
                worker,
                workers: self.identity.workers,
                layout: ArenaLayout::SMALL,
                uso: false,
                transit: 100_000_000,
                seed: chance.seed32(),
                stats: stats.clone(),
            })
        };
        let count = usize::from(self.identity.workers);
        self.life = Some(Life {
            control,
            workers: (0..self.identity.workers).map(worker).collect(),
            mail: (0..count).map(|_| VecDeque::new()).collect(),
            events: (0..count).map(|_| VecDeque::new()).collect(),
            wake: (Instant::FAR_FUTURE, 0),
            spins: (Instant::ZERO, 0),
            stats: stats.clone(),
            plan: None,
        });
    }
}
