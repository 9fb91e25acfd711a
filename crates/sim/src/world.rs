//! The event heap and the one loop that drives all nodes.

use crate::chance::{Chance, mix};
use crate::link::{Attachment, Underlay};
use crate::node::{Life, Node};
use crate::thief::Thief;
use core::net::SocketAddr;
use core::time::Duration;
use ln6_crypto::message::Kind;
use ln6_overlay_core::Path;
use ln6_overlay_core::control::{Command, HostChange, NodeState, Output, Refusal, StoreId, To};
use ln6_overlay_core::forwarder::Forwarder;
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::batch::{Batch, Ecn, Fragmentation, Gso, Span, TunRead, UdpRead};
use ln6_overlay_core::forwarder::keys::worker_of;
use ln6_overlay_core::forwarder::mail::{Event, Update};
use ln6_types::{Instant, UnixTime};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::binary_heap::{BinaryHeap, PeekMut};

/// Which node.
pub type NodeId = usize;

/// The real time at the beginning: 2027-01-15.
const BEGINNING: UnixTime = UnixTime::from_secs(1_800_000_000);
/// Longest time a write to a disk takes.
const DISK: Duration = Duration::from_millis(50);
/// Time-outs that control may ask for at one instant before it counts as a busy loop.
const SPINS: u32 = 4;

/// Something that will happen.
enum What {
    Datagram { to: SocketAddr, from: SocketAddr, sender: NodeId, bytes: Vec<u8> },
    Mail { node: NodeId, life: u32, worker: usize },
    Event { node: NodeId, life: u32, worker: usize },
    Wake { node: NodeId, life: u32, number: u64 },
    Stored { node: NodeId, life: u32, id: StoreId, state: Box<NodeState> },
}

impl What {
    const fn kind(&self) -> u64 {
        match self {
            What::Datagram { .. } => 1,
            What::Mail { .. } => 2,
            What::Event { .. } => 3,
            What::Wake { .. } => 4,
            What::Stored { .. } => 5,
        }
    }
}

struct Entry {
    at: Instant,
    sequence: u64,
    what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// Sees who sends what to where; whether it goes on.
pub type Eavesdropper = Box<dyn FnMut(NodeId, SocketAddr, &[u8]) -> bool>;

/// All nodes and all that is between them.
pub struct World {
    /// The present.
    pub now: Instant,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// What lies between them.
    pub underlay: Underlay,
    /// Where chance comes from.
    pub chance: Chance,
    /// Changes with every step: two runs are the same if this is.
    pub trace: u64,
    /// Steps so far.
    pub steps: u64,
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    arena: Vec<u8>,
    batch: Batch,
    /// Datagrams by their first octet, to see who talks.
    pub datagrams: BTreeMap<u8, u64>,
    /// What controls send in sessions: frames by their kind and that of their message, packets as (6, 0).
    pub said: BTreeMap<(u8, u8), u64>,
    /// Somebody on the wire: sees each datagram, by sender and address, and may hold it back.
    pub eavesdropper: Option<Eavesdropper>,
    /// Print handshakes and notices as they happen.
    pub verbose: bool,
    /// A relay that does not keep to the rules.
    pub thief: Option<Thief>,
}

impl World {
    /// An empty world.
    pub fn new(seed: u64) -> Self {
        World {
            now: Instant::from_micros(1),
            nodes: Vec::new(),
            underlay: Underlay::default(),
            chance: Chance::new(seed),
            trace: seed,
            steps: 0,
            heap: BinaryHeap::new(),
            sequence: 0,
            arena: vec![0; ArenaLayout::SMALL.len as usize],
            batch: Batch::with_capacity(),
            datagrams: BTreeMap::new(),
            said: BTreeMap::new(),
            eavesdropper: None,
            verbose: false,
            thief: None,
        }
    }

    /// The real time.
    pub fn real(&self) -> UnixTime {
        BEGINNING + self.now.since(Instant::ZERO)
    }

    /// Adds a node that is switched off.
    pub fn add(&mut self, node: Node, attachment: Attachment) -> NodeId {
        self.nodes.push(node);
        let id = self.nodes.len() - 1;
        self.underlay.attach(id, attachment);
        id
    }

    fn host(&self, id: NodeId) -> HostChange {
        let exit = self.nodes[id].identity.exit;
        HostChange { candidates: self.underlay.addresses(id).to_vec(), uplink6: exit }
    }

    /// Switches a node on.
    pub fn start(&mut self, id: NodeId) {
        let (now, real, host) = (self.now, self.real(), self.host(id));
        let mut chance = Chance::new(self.chance.draw());
        self.nodes[id].start(now, real, &mut chance, host);
        self.drain(id);
    }

    /// The power fails: what was not on the disk is gone.
    pub fn crash(&mut self, id: NodeId) {
        self.nodes[id].life = None;
    }

    /// Attaches a node elsewhere and tells it.
    pub fn move_to(&mut self, id: NodeId, attachment: Attachment) {
        self.underlay.attach(id, attachment);
        let (now, host) = (self.now, self.host(id));
        if let Some(life) = &mut self.nodes[id].life {
            life.control.handle_host(now, host);
        }
        self.drain(id);
    }

    /// Tells a node's control what an operator wants.
    ///
    /// # Errors
    /// Control's refusal.
    pub fn command(&mut self, id: NodeId, command: Command) -> Result<(), Refusal> {
        let now = self.now;
        let life = self.nodes[id].life.as_mut().expect("the node is on");
        let done = life.control.handle_command(now, command);
        self.drain(id);
        done
    }

    /// Gives a packet to a node as if its kernel had routed it into the TUN device.
    pub fn inject(&mut self, id: NodeId, packet: &[u8]) {
        let Some(life) = &self.nodes[id].life else { return };
        let worker = self.chance.below(life.workers.len() as u64) as usize;
        let all = Span::new(ArenaLayout::SMALL.tun.at, packet.len() as u32);
        self.arena[all.range()].copy_from_slice(packet);
        let now = self.now;
        self.work(id, worker, |forwarder, arena, out| {
            forwarder.inside(now, TunRead { gso: Gso::default(), all }, arena, out);
        });
    }

    /// Lets a worker do something, and carries out what comes of it.
    fn work(&mut self, id: NodeId, worker: usize, f: impl FnOnce(&mut Forwarder, &mut [u8], &mut Batch)) {
        let node = &mut self.nodes[id];
        let Some(life) = &mut node.life else { return };
        let mut batch = core::mem::take(&mut self.batch);
        let forwarder = &mut life.workers[worker];
        forwarder.set_queue_fill(node.queue_fill);
        f(forwarder, &mut self.arena, &mut batch);
        forwarder.end_of_batch(self.now, &mut self.arena, &mut batch);
        for train in &batch.trains {
            let Path::Udp(to) = train.to else { panic!("a train leaves by UDP") };
            let all = self.arena[train.all.range()].to_vec();
            for bytes in all.chunks(usize::from(train.stride.max(1))) {
                self.send(id, to, bytes.to_vec(), train.fragmentation);
            }
        }
        for write in &batch.writes {
            let parts = usize::from(write.parts.start)..usize::from(write.parts.end);
            let packet = batch.parts[parts].iter().flat_map(|part| &self.arena[part.range()]).copied();
            self.nodes[id].delivered.push(packet.collect());
        }
        for event in batch.events.drain(..) {
            self.report(id, worker, event);
        }
        batch.clear();
        self.batch = batch;
    }

    fn report(&mut self, id: NodeId, worker: usize, event: Event) {
        let node = &mut self.nodes[id];
        let life = node.life.as_mut().expect("it reports");
        let after = life.events[worker].back().map_or(Instant::ZERO, |(due, _)| *due);
        let due = after.max(self.now + self.chance.pause(node.mail_delay));
        life.events[worker].push_back((due, event));
        let what = What::Event { node: id, life: node.lives, worker };
        self.schedule(due, what);
    }

    fn mail(&mut self, id: NodeId, worker: usize, mut update: Update) {
        if let Update::Send(_, packet) = &update
            && packet.len() > 6
        {
            let kind = if packet[0] >> 4 == 6 { (6, 0) } else { (packet[1], packet[6]) };
            *self.said.entry(kind).or_default() += 1;
        }
        if let (Update::Send(_, packet), Some(thief)) = (&update, &mut self.thief)
            && let Some((to, bytes)) = thief.unwrap(id, packet)
        {
            let (relay, now) = (thief.relay, self.now);
            let from = self.underlay.addresses(relay)[0];
            let what = What::Datagram { to, from, sender: relay, bytes };
            return self.schedule(now + Duration::from_millis(1), what);
        }
        let node = &mut self.nodes[id];
        if let (Update::Send(_, packet), Some(tamper)) = (&mut update, &node.tamper) {
            tamper(packet);
        }
        let life = node.life.as_mut().expect("it writes");
        let after = life.mail[worker].back().map_or(Instant::ZERO, |(due, _)| *due);
        let due = after.max(self.now + self.chance.pause(node.mail_delay));
        life.mail[worker].push_back((due, update));
        let what = What::Mail { node: id, life: node.lives, worker };
        self.schedule(due, what);
    }

    /// A worker reads its mail: what is due, or all of it.
    fn read_mail(&mut self, id: NodeId, worker: usize, all: bool) {
        while let Some(life) = &mut self.nodes[id].life {
            let mailbox = &mut life.mail[worker];
            if mailbox.front().is_none_or(|(due, _)| !all && *due > self.now) {
                return;
            }
            let Some((_, update)) = mailbox.pop_front() else { return };
            let now = self.now;
            self.work(id, worker, |forwarder, arena, out| forwarder.apply(now, update, arena, out));
        }
    }

    fn schedule(&mut self, at: Instant, what: What) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { at: at.max(self.now), sequence: self.sequence, what }));
    }

    fn send(&mut self, id: NodeId, to: SocketAddr, bytes: Vec<u8>, fragmentation: Fragmentation) {
        if let Some(spy) = &mut self.eavesdropper
            && !spy(id, to, &bytes)
        {
            self.underlay.lost += 1;
            return;
        }
        *self.datagrams.entry(bytes.first().copied().unwrap_or(0)).or_default() += 1;
        let Some(from) = self.underlay.leave(self.now, id, to) else { return };
        // Which link it takes is decided by who is there now; whether it gets in, when it arrives.
        let receiver = self.underlay.arrive(self.now, to, from);
        if self.verbose && bytes.first() != Some(&4) {
            println!("{:?} {id} -> {receiver:?} ({to}) type {}", self.now, bytes[0]);
        }
        let Some(receiver) = receiver else {
            self.underlay.lost += 1;
            return;
        };
        if !self.underlay.fits((id, receiver), to, bytes.len(), fragmentation) {
            return;
        }
        for delay in self.underlay.fate(&mut self.chance, id, receiver) {
            let what = What::Datagram { to, from, sender: id, bytes: bytes.clone() };
            self.schedule(self.now + delay, what);
        }
    }

    /// Runs until `end`.
    pub fn run_until(&mut self, end: Instant) {
        while let Some(entry) = self.pop(end) {
            self.now = entry.at;
            self.step(entry.what);
        }
        self.now = self.now.max(end);
    }

    /// Runs for a while.
    pub fn run(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    fn pop(&mut self, end: Instant) -> Option<Entry> {
        let next = self.heap.peek_mut()?;
        if next.0.at > end {
            return None;
        }
        Some(PeekMut::pop(next).0)
    }

    fn step(&mut self, what: What) {
        self.steps += 1;
        self.trace = mix(self.trace ^ self.now.as_micros() ^ what.kind() << 56);
        match what {
            What::Datagram { to, from, sender, bytes } => self.arrive(to, from, sender, &bytes),
            What::Mail { node, life, worker } => {
                if self.nodes[node].lives == life {
                    self.read_mail(node, worker, false);
                }
            }
            What::Event { node, life, worker } => {
                if let Some(life) = self.living(node, life)
                    && let Some((_, event)) = life.events[worker].pop_front()
                {
                    let now = self.now;
                    let life = self.nodes[node].life.as_mut().expect("it lives");
                    life.control.handle_event(now, event);
                    self.drain(node);
                }
            }
            What::Wake { node, life, number } => self.wake(node, life, number),
            What::Stored { node, life, id, state } => {
                let now = self.now;
                if self.living(node, life).is_some() {
                    self.nodes[node].disk = *state;
                    self.nodes[node].stores += 1;
                    let life = self.nodes[node].life.as_mut().expect("it lives");
                    life.control.handle_stored(now, id);
                    self.drain(node);
                }
            }
        }
    }

    fn living(&mut self, node: NodeId, life: u32) -> Option<&mut Life> {
        let node = &mut self.nodes[node];
        node.life.as_mut().filter(|_| node.lives == life)
    }

    fn wake(&mut self, node: NodeId, life: u32, number: u64) {
        let now = self.now;
        let Some(life) = self.living(node, life).filter(|life| life.wake.1 == number) else { return };
        life.spins = if life.spins.0 == now { (now, life.spins.1 + 1) } else { (now, 1) };
        let spins = life.spins.1;
        life.wake.0 = Instant::FAR_FUTURE;
        life.control.handle_timeout(now);
        assert!(
            spins <= SPINS || life.control.poll_timeout() > now,
            "node {node} wants to be woken at {now:?} again and again"
        );
        self.drain(node);
    }

    fn arrive(&mut self, to: SocketAddr, from: SocketAddr, sender: NodeId, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.trace = mix(self.trace ^ u64::from_le_bytes(word));
        }
        let Some(id) = self.underlay.arrive(self.now, to, from) else {
            self.underlay.lost += 1;
            return;
        };
        if let Some(thief) = &mut self.thief
            && let Some(frame) = thief.catch(id, from, bytes)
        {
            let update = frame.and_then(|frame| self.towards_victim(id, frame));
            return update.into_iter().for_each(|update| self.mail(id, 0, update));
        }
        let Some(workers) = self.nodes[id].life.as_ref().map(|life| life.workers.len() as u64) else {
            return;
        };
        // The socket filter steers by receiver index; now and then a datagram gets past it.
        let astray = self.chance.permille(20);
        let worker = match (Kind::of(bytes), bytes.get(4..8)) {
            (Some(Kind::Transport | Kind::Relayed), Some(index)) if !astray => {
                u64::from(worker_of(u32::from_le_bytes([index[0], index[1], index[2], index[3]])))
            }
            _ => self.chance.draw(),
        };
        let worker = (worker % workers) as usize;
        let _ = sender;
        self.read_mail(id, worker, true);
        let all = Span::new(ArenaLayout::SMALL.udp[0].at, bytes.len() as u32);
        self.arena[all.range()].copy_from_slice(bytes);
        let read = UdpRead { from: Path::Udp(from), ecn: Ecn::default(), all, stride: bytes.len() as u16 };
        let now = self.now;
        self.work(id, worker, |forwarder, arena, out| forwarder.outside(now, read, arena, out));
    }

    fn towards_victim(&self, relay: NodeId, frame: Vec<u8>) -> Option<Update> {
        let victim = self.thief.as_ref()?.keys[0];
        let view = self.nodes[relay].life.as_ref()?.control.view(self.now);
        let idx = view.peers.iter().find(|peer| peer.key == victim)?.idx;
        Some(Update::Send(idx, frame))
    }

    /// Carries out what control wants, then sets the clock that wakes it.
    fn drain(&mut self, id: NodeId) {
        while let Some(output) = self.nodes[id].life.as_mut().and_then(|life| life.control.poll_output()) {
            self.carry_out(id, output);
        }
        let (now, lives) = (self.now, self.nodes[id].lives);
        let Some(life) = &mut self.nodes[id].life else { return };
        let at = life.control.poll_timeout().max(now);
        if at != life.wake.0 {
            life.wake = (at, life.wake.1 + 1);
            let what = What::Wake { node: id, life: lives, number: life.wake.1 };
            if at < Instant::FAR_FUTURE {
                self.schedule(at, what);
            }
        }
    }

    fn carry_out(&mut self, id: NodeId, output: Output) {
        match output {
            Output::Update(To::Worker(worker), update) => self.mail(id, usize::from(worker), update),
            Output::Update(To::All, update) => self.mail_all(id, &update),
            Output::Datagram { to, bytes } => self.send(id, to, bytes, Fragmentation::Free),
            Output::Desired(plan) => {
                if let Some(life) = &mut self.nodes[id].life {
                    life.plan = Some(plan);
                }
            }
            Output::Persist(store, state) => {
                let at = self.now + self.chance.pause(DISK);
                let life = self.nodes[id].lives;
                self.schedule(at, What::Stored { node: id, life, id: store, state });
            }
            Output::ToBroker { from, request, .. } => {
                let real = self.real();
                if let Some(desk) = &mut self.nodes[id].desk {
                    let (reply, items) = desk.request(real, from, &request);
                    let _ = self.tell(id, Command::Publish(items));
                    let _ = self.tell(id, Command::FromBroker { to: from, reply });
                }
            }
            Output::LeftBroker { from } => {
                let real = self.real();
                if let Some(desk) = &mut self.nodes[id].desk {
                    let items = desk.left(real, from);
                    let _ = self.tell(id, Command::Publish(items));
                    let _ = self.tell(id, Command::LeftBroker { to: from });
                }
            }
            Output::Notice(notice) => {
                if self.verbose {
                    println!("{:?} {id}: {notice:?}", self.now);
                }
                self.nodes[id].notices.push((self.now, notice));
            }
        }
    }

    fn tell(&mut self, id: NodeId, command: Command) -> Result<(), Refusal> {
        let now = self.now;
        let life = self.nodes[id].life.as_mut().expect("the broker is on");
        life.control.handle_command(now, command)
    }

    fn mail_all(&mut self, id: NodeId, update: &Update) {
        let workers = self.nodes[id].life.as_ref().map_or(0, |life| life.workers.len());
        for worker in 0..workers {
            self.mail(id, worker, copy(update));
        }
    }
}

/// A copy of an update that goes to all workers.
fn copy(update: &Update) -> Update {
    match update {
        Update::Fib(fib) => Update::Fib(fib.clone()),
        Update::Peer(peer, tx) => Update::Peer(*peer, tx.clone()),
        Update::Gone(peer) => Update::Gone(*peer),
        Update::Forget(index) => Update::Forget(*index),
        Update::Watch(peer, watch) => Update::Watch(*peer, *watch),
        Update::Send(peer, packet) => Update::Send(*peer, packet.clone()),
        Update::Probe(peer, path, packet) => Update::Probe(*peer, *path, packet.clone()),
        Update::Measure(peer, path, packet) => Update::Measure(*peer, *path, packet.clone()),
        Update::Datagram(from, packet) => Update::Datagram(*from, packet.clone()),
        Update::Gate(gate) => Update::Gate(gate.clone()),
        Update::Receive(_) => panic!("a receiving key has one owner"),
    }
}
