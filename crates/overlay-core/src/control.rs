//! Control: one thread, one owner of everything that is not a packet.
//!
//! The contract: call a `handle_*`, then take [`Control::poll_output`] until it is empty and carry the outputs out in
//! order, then sleep until [`Control::poll_timeout`] at most. Every input carries the time.

mod babel;
mod clock;
mod config;
mod connect;
pub mod gossip;
mod member;
pub mod membership;
pub mod message;
mod mtu;
mod output;
mod peer;
mod picture;
mod plan;
mod probe;
mod secrets;
mod session;
mod stamps;
mod table;
mod talk;
mod timers;
pub mod view;

pub use config::{Bootstrap, Config, LanConfig, NodeState, StockPeer, Wish};
pub use output::{Command, HostChange, Notice, Output, Refusal, StoreId, To};
pub use secrets::Secrets;
pub use timers::Reason;

use crate::control::babel::{Rights, rights};
use crate::control::clock::Clock;
use crate::control::gossip::Gossip;
use crate::control::membership::Membership;
use crate::control::message::Item;
use crate::control::peer::{Peer, Peers};
use crate::control::secrets::draw;
use crate::control::stamps::Stamps;
use crate::control::timers::Timers;
use crate::control::view::Standing;
use crate::forwarder::gate::Gate;
use crate::forwarder::mail::{Event, PeerKind, Update};
use crate::host_plan::{HostPlan, Inbound, Opening};
use crate::{Path, PeerIdx};
use core::net::{Ipv6Addr, SocketAddr};
use core::time::Duration;
use ln6_crypto::SigningKey;
use ln6_crypto::cookie::CookieChecker;
use ln6_crypto::keys::StaticSecret;
use ln6_crypto::seal::Suite;
use ln6_crypto::timers::REKEY_TIMEOUT;
use ln6_routing::Router;
use ln6_types::{Fingerprint, Instant, Jitter, NetworkUla, Prefix, PublicKey, RouterId, UnixTime};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How long a changed state may wait for more changes, unless something must be on disk at once.
const PERSIST_PAUSE: Duration = Duration::from_secs(5);
/// The same for what a node cannot find its neighbours without: certificates, and where those it stays connected with are.
/// A power cut in the first minute must not cost the mesh.
const PERSIST_SOON: Duration = Duration::from_millis(300);
/// How long a node that starts may look for its peers before its LANs hear that it is no router: a restart is over long
/// before, and hosts that have lost their default route wait seconds for the next advertisement.
const HOPE: Duration = Duration::from_secs(10);
/// How often in a minute the state is written for what others bring.
const STORES: usize = 8;

/// A Babel sequence number above those of the previous run. Where nothing was stored (the first run, or a lost disk) it
/// comes from the clock, which runs on faster than sequence numbers usually do.
fn first_seqno(saved: &NodeState, wall: UnixTime) -> u16 {
    if *saved == NodeState::default() {
        (wall.as_secs() / 256) as u16
    } else {
        saved.seqno_ceiling.wrapping_add(1)
    }
}

/// How often what ended long ago is looked for.
const PURGE: Duration = Duration::from_secs(3600);

/// One node's control plane.
pub struct Control {
    // Identity.
    secret: StaticSecret,
    signing: SigningKey,
    key: PublicKey,
    router: RouterId,
    network: Fingerprint,
    ula: NetworkUla,
    node_address: Ipv6Addr,
    name: String,

    // Configuration.
    workers: u8,
    brokers: Vec<Bootstrap>,
    public: Vec<SocketAddr>,
    wish: Option<Wish>,
    lans: Vec<LanConfig>,
    inbound: Inbound,
    openings: Vec<Opening>,
    firewall: bool,
    exit: bool,
    transit: bool,
    /// What to seal with, best first; WireGuard's own suite among them.
    suites: Vec<Suite>,
    mtu: u16,

    // Randomness and time.
    secrets: Box<dyn Secrets>,
    jitter: Jitter,
    clock: Clock,
    stamps: Stamps,
    waiting_for_stamps: BTreeSet<PeerIdx>,
    cookies: CookieChecker,

    // Machines.
    peers: Peers,
    timers: Timers,
    membership: Membership,
    gossip: Gossip,
    routing: Router,

    // What follows from them.
    standing: Standing,
    /// A certificate of ours is in force.
    is_member: bool,
    refusal: Option<(String, String)>,
    /// The delegation was given back.
    has_left: bool,
    held: Vec<Prefix>,
    was_held: Vec<Prefix>,
    pools: Vec<Prefix>,
    pools_of_own: Vec<Prefix>,
    inside: Vec<Prefix>,
    is_exit_now: bool,
    host: HostChange,
    seen: BTreeMap<PublicKey, SocketAddr>,
    published: Vec<SocketAddr>,
    selected: BTreeMap<(Prefix, Prefix), RouterId>,
    next_hops: BTreeMap<RouterId, PeerIdx>,
    originated: BTreeSet<(Prefix, Prefix)>,
    rights_changed: bool,
    /// Rights that changed are not looked at before.
    rights_pause: Instant,
    rights_until: Option<UnixTime>,
    /// When that is, if the clock runs on.
    rights_at: Instant,
    generation: u64,
    seqno_ceiling: u16,
    record_counter: u64,
    pings: BTreeMap<(PeerIdx, u64), Instant>,
    retired_indices: Vec<u32>,

    // When to look again.
    table_changed: bool,
    table_at: Instant,
    plan_changed: bool,
    plan: Option<HostPlan>,
    review_at: Instant,
    purge_at: Instant,
    join_at: Instant,
    ask_at: Instant,
    record_at: Instant,
    persist_at: Instant,
    /// Until when a node that has just started counts as connected; `None` once that has passed.
    hopeful: Option<Instant>,
    store: StoreId,
    storing: Option<(StoreId, u64)>,
    /// When the state was last written.
    stores: VecDeque<Instant>,

    counters: Counters,
    refusals: BTreeMap<&'static str, u64>,
    output: VecDeque<Output>,
}

/// What control counts.
#[derive(Default)]
struct Counters {
    initiations_sent: u64,
    handshakes_answered: u64,
    handshakes_refused: u64,
    messages_refused: u64,
    guest_gossip: u64,
    link_local_ignored: u64,
    outbox_full: u64,
}

impl Control {
    /// A control plane that has seen nothing yet. `saved` is the state of the previous run, or the default.
    pub fn new(
        config: Config,
        saved: NodeState,
        mut secrets: Box<dyn Secrets>,
        now: Instant,
        wall: UnixTime,
    ) -> Self {
        let key = config.secret.public();
        let router = ln6_crypto::keys::router_id(&key);
        let ula = NetworkUla::of(&config.network);
        let mut jitter = Jitter::new(config.seed);
        let seqno = first_seqno(&saved, wall);
        let routing = Router::new(ln6_routing::Config::new(router, seqno, jitter.draw()));
        let cookies = CookieChecker::new(&key, now, draw(&mut *secrets));
        let standing = match (&saved.refusal, &config.wish) {
            (Some((code, text)), Some(_)) => Standing::Refused { code: code.clone(), text: text.clone() },
            (None, Some(_)) => Standing::Asking,
            (_, None) => Standing::Alone,
        };
        let mut control = Control {
            key,
            router,
            ula,
            node_address: ula.node_address(&router),
            network: config.network,
            secret: config.secret,
            signing: config.signing,
            name: config.name,
            workers: config.workers.clamp(1, 8),
            brokers: config.brokers,
            public: config.public,
            wish: config.wish,
            lans: config.lans,
            inbound: config.inbound,
            openings: config.openings,
            firewall: config.firewall,
            exit: config.exit,
            transit: config.transit,
            suites: session::suite::usable(&config.suites),
            mtu: config.mtu,
            secrets,
            clock: Clock::new(now, wall, saved.time_floor),
            stamps: Stamps::new(saved.stamp_ceiling),
            waiting_for_stamps: BTreeSet::new(),
            cookies,
            peers: Peers::default(),
            timers: Timers::default(),
            membership: Membership::new(config.network, ula),
            gossip: Gossip::new(jitter.draw()),
            routing,
            standing,
            is_member: false,
            refusal: saved.refusal,
            has_left: false,
            held: Vec::new(),
            was_held: Vec::new(),
            pools: Vec::new(),
            pools_of_own: Vec::new(),
            inside: vec![ula.prefix()],
            is_exit_now: false,
            host: HostChange::default(),
            seen: BTreeMap::new(),
            published: Vec::new(),
            selected: BTreeMap::new(),
            next_hops: BTreeMap::new(),
            originated: BTreeSet::new(),
            rights_changed: true,
            rights_pause: now,
            rights_until: None,
            rights_at: Instant::FAR_FUTURE,
            generation: 0,
            seqno_ceiling: seqno.wrapping_add(15),
            record_counter: saved.record_counter,
            pings: BTreeMap::new(),
            retired_indices: Vec::new(),
            table_changed: true,
            table_at: now,
            plan_changed: true,
            plan: None,
            review_at: now,
            purge_at: now + PURGE,
            join_at: now,
            ask_at: now,
            record_at: Instant::FAR_FUTURE,
            persist_at: now,
            hopeful: Some(now + HOPE),
            store: StoreId(0),
            storing: None,
            stores: VecDeque::new(),
            jitter,
            counters: Counters::default(),
            refusals: BTreeMap::new(),
            output: VecDeque::new(),
        };
        control.restore(now, saved.items, saved.cache, config.stock);
        control.mail_gate();
        control.settle(now);
        control
    }

    fn restore(
        &mut self,
        now: Instant,
        items: Vec<Item>,
        cache: Vec<(PublicKey, SocketAddr)>,
        stock: Vec<StockPeer>,
    ) {
        let wall = self.wall(now);
        // What was accepted once may have ended since: then it is refused here and not kept.
        self.membership.import(&items, wall);
        for bootstrap in self.brokers.clone() {
            self.add_addresses(now, bootstrap.key, &bootstrap.endpoints);
        }
        for (key, address) in cache {
            self.add_addresses(now, key, &[address]);
        }
        for stock in stock {
            self.put_stock(now, stock);
        }
    }

    fn put_stock(&mut self, now: Instant, stock: StockPeer) {
        let idx = self.peers.intern(now, stock.key);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        peer.kind = PeerKind::Stock;
        peer.psk = stock.psk.clone();
        peer.router = RouterId([0; 8]);
        peer.path = peer.path.or(stock.endpoint.map(Path::Udp));
        let talks_first = stock.keepalive > 0 && stock.endpoint.is_some();
        peer.stock = Some(stock);
        self.peers.changed.insert(idx);
        self.table_changed = true;
        self.plan_changed = true;
        if talks_first {
            self.timers.set(idx, Reason::Connect, now);
        }
    }

    fn add_addresses(&mut self, now: Instant, key: PublicKey, addresses: &[SocketAddr]) {
        if key == self.key {
            return;
        }
        let idx = self.intern(now, key);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        for &address in addresses.iter().rev() {
            peer.remember(address);
        }
    }

    /// Addresses that were not known when this peer was tried last: it is tried again at once.
    fn learn_addresses(&mut self, now: Instant, key: PublicKey, addresses: &[SocketAddr]) {
        self.add_addresses(now, key, addresses);
        let Some(idx) = self.peers.by_key(&key) else { return };
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if !peer.connected() && peer.meta.any() && peer.pending.is_none() {
            peer.failures = 0;
            self.timers.set(idx, Reason::Connect, now);
        }
    }

    fn out(&mut self, output: Output) {
        self.output.push_back(output);
    }

    fn mail_gate(&mut self) {
        let gate = Gate::new(self.cookies.clone());
        self.out(Output::Update(To::All, Update::Gate(Arc::new(gate))));
    }

    /// What a forwarder has to say.
    pub fn handle_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Handshake { from, message } => self.handle_handshake(now, from, &message),
            Event::Inner { peer, from, packet } => match packet.first().map(|octet| octet >> 4) {
                Some(0) => self.handle_frame(now, peer, from, &packet),
                _ => self.handle_link_local(now, peer, &packet),
            },
            Event::Wanted(peer) => self.want(now, peer),
            Event::Confirmed(index) => self.handle_confirmed(now, index),
            Event::Moved { peer, from } => self.handle_moved(now, peer, from),
            Event::Seen(peer, seen) => self.handle_seen(now, peer, seen),
            Event::Worn(peer) => self.initiate(now, peer),
            Event::Stranger { from } => self.handle_stranger(now, from),
            Event::StrangerRelayed { router, .. } => self.handle_stranger_relayed(now, router),
            // Babel finds out by itself; a relayed session is moved when it does.
            Event::NoRelay { .. } => {}
            Event::RelayTooBig { peer, router, frame } => self.relay_too_big(peer, router, frame),
            Event::Elsewhere { worker, from, datagram } => {
                self.out(Output::Update(To::Worker(worker), Update::Datagram(from, datagram)));
            }
            Event::Retired(table) => drop(table),
        }
        self.settle(now);
    }

    /// Somebody we know sends under keys we do not have: it does not know that we restarted.
    fn handle_stranger(&mut self, now: Instant, from: Path) {
        let Path::Udp(address) = from else { return };
        // What was on its way when keys changed is no sign of a restart.
        let settled =
            |peer: &Peer| peer.current.as_ref().is_none_or(|keys| now.since(keys.born) >= REKEY_TIMEOUT);
        let at = |peer: &&Peer| peer.stock.is_none() && peer.known.contains(&address) && settled(peer);
        let known = self.peers.iter().find(at);
        if let Some(idx) = known.map(|peer| peer.idx) {
            self.initiate(now, idx);
        }
    }

    /// The same behind a relay. Any member may say so of another: who has a session is only looked at.
    fn handle_stranger_relayed(&mut self, now: Instant, router: RouterId) {
        let Some(idx) = self.peers.by_router(&router) else { return };
        let known = self.peers.get(idx).filter(|peer| peer.kind == PeerKind::Node);
        match known.map(|peer| &peer.current) {
            None => {}
            Some(None) => self.initiate_anew(now, idx),
            Some(Some(_)) => self.look_at_path(now, idx),
        }
    }

    /// The state named by `id` is on disk.
    pub fn handle_stored(&mut self, now: Instant, id: StoreId) {
        if let Some((storing, ceiling)) = self.storing
            && storing == id
        {
            self.storing = None;
            self.stamps.stored(ceiling);
            for peer in std::mem::take(&mut self.waiting_for_stamps) {
                self.initiate(now, peer);
            }
        }
        self.settle(now);
    }

    /// The shell's clock says it is `wall`. Never goes below the floor.
    pub fn handle_clock(&mut self, now: Instant, wall: UnixTime) {
        self.clock.set(now, wall);
        self.settle(now);
    }

    /// The host around the node changed.
    pub fn handle_host(&mut self, now: Instant, change: HostChange) {
        if change != self.host {
            self.host = change;
            self.settle_exit(now);
            self.settle_origins(now);
            self.settle_record(now);
            for idx in self.peers.ids() {
                if let Some(peer) = self.peers.get_mut(idx) {
                    peer.failures = 0;
                }
            }
            self.review_at = now;
        }
        self.settle(now);
    }

    /// What an operator, the shell or the local broker wants.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn handle_command(&mut self, now: Instant, command: Command) -> Result<(), Refusal> {
        let done = self.command(now, command);
        self.settle(now);
        done
    }

    /// A deadline of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((peer, reason)) = self.timers.pop(now) {
            self.handle_timer(now, peer, reason);
        }
        if self.routing.poll_timeout().is_some_and(|at| at <= now) {
            self.routing.handle_timeout(now, rights!(self, now));
        }
        if self.gossip.poll_timeout().is_some_and(|at| at <= now) {
            let mut out = Vec::new();
            self.gossip.handle_timeout(now, &self.membership, &mut out);
            self.pass_on(out);
        }
        if self.cookies.until() <= now {
            self.cookies = self.cookies.rotate(now, draw(&mut *self.secrets));
            self.mail_gate();
        }
        if self.review_at <= now {
            self.review_connections(now);
        }
        if self.join_at <= now {
            self.join_due(now);
        }
        if self.hopeful.is_some_and(|until| until <= now) {
            self.hopeful = None;
            self.plan_changed = true;
        }
        if self.record_at <= now {
            self.settle_record(now);
        }
        self.settle(now);
    }

    fn handle_timer(&mut self, now: Instant, peer: PeerIdx, reason: Reason) {
        match reason {
            Reason::Retry => self.retry(now, peer),
            Reason::Dead => self.dead(now, peer),
            Reason::Keepalive => self.keepalive(peer),
            Reason::Persistent => self.send_inner(peer, Vec::new()),
            Reason::Reject => self.reject(now, peer),
            Reason::Zero => self.zero(now, peer),
            Reason::Watch => self.watch_again(now, peer),
            Reason::Connect => self.want(now, peer),
            Reason::Resend => self.resend(now, peer),
            Reason::Prove => self.prove_again(now, peer),
            Reason::Size => self.size_due(now, peer),
            Reason::Upgrade => self.upgrade(now, peer),
            Reason::Suite => self.seek_better_suite(now, peer),
        }
        if reason == Reason::Persistent
            && let Some(keepalive) =
                self.peers.get(peer).and_then(|peer| peer.stock.as_ref()).map(|s| s.keepalive)
        {
            self.timers.set(peer, Reason::Persistent, now + Duration::from_secs(u64::from(keepalive)));
        }
    }

    /// Brings everything that follows from other things up to date. Called at the end of every input.
    fn settle(&mut self, now: Instant) {
        self.settle_rights(now);
        self.drain_routing(now);
        // The table may name peers that nobody named before.
        self.settle_table(now);
        self.publish_peers();
        if std::mem::take(&mut self.plan_changed) {
            let plan = self.host_plan();
            if self.plan.as_ref() != Some(&plan) {
                self.plan = Some(plan.clone());
                self.out(Output::Desired(plan));
            }
        }
        self.settle_state(now);
    }

    /// Asks for the state to be written no later than in `pause`.
    /// What others bring about, however much, costs the disk no more than [`STORES`] a minute; a `pause` of zero always counts.
    pub(crate) fn persist_soon(&mut self, now: Instant, pause: Duration) {
        let mut at = now + pause;
        if !pause.is_zero()
            && self.stores.len() >= STORES
            && let Some(first) = self.stores.front()
        {
            at = at.max(*first + Duration::from_secs(60));
        }
        self.persist_at = self.persist_at.min(at);
    }

    fn settle_state(&mut self, now: Instant) {
        if self.storing.is_some() {
            return;
        }
        let wall = self.wall(now);
        let ceiling = self.stamps.reserve(wall);
        if ceiling.is_none() && self.persist_at > now {
            return;
        }
        self.persist_at = Instant::FAR_FUTURE;
        if self.stores.len() >= STORES {
            self.stores.pop_front();
        }
        self.stores.push_back(now);
        self.store.0 += 1;
        let ceiling = ceiling.unwrap_or(self.stamps.asked());
        self.storing = Some((self.store, ceiling));
        let state = NodeState {
            items: self.membership.export(),
            cache: self.cache(),
            stamp_ceiling: ceiling,
            seqno_ceiling: self.seqno_ceiling,
            record_counter: self.record_counter + 16,
            time_floor: self.clock.known(now),
            refusal: self.refusal.clone(),
        };
        self.out(Output::Persist(self.store, Box::new(state)));
    }

    /// Peers that answered, latest first, with the address that worked.
    fn cache(&self) -> Vec<(PublicKey, SocketAddr)> {
        let mut heard: Vec<_> = self
            .peers
            .iter()
            .filter(|peer| peer.stock.is_none() && (peer.kind == PeerKind::Node || peer.meta.ours))
            .filter_map(|peer| peer.known.first().map(|address| (peer.heard, peer.key, *address)))
            .collect();
        heard.sort_unstable_by(|a, b| b.cmp(a));
        heard.into_iter().take(32).map(|(_, key, address)| (key, address)).collect()
    }

    /// The next thing to do. Take until `None` after every input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    pub fn poll_timeout(&self) -> Instant {
        let mut at = self
            .review_at
            .min(self.join_at)
            .min(self.record_at)
            .min(self.rights_at)
            .min(self.cookies.until());
        at = at.min(self.timers.next().map_or(Instant::FAR_FUTURE, |(at, _)| at));
        at = at.min(self.routing.poll_timeout().unwrap_or(Instant::FAR_FUTURE));
        at = at.min(self.gossip.poll_timeout().unwrap_or(Instant::FAR_FUTURE));
        if self.table_changed {
            at = at.min(self.table_at);
        }
        if self.rights_changed {
            at = at.min(self.rights_pause);
        }
        at = at.min(self.hopeful.unwrap_or(Instant::FAR_FUTURE));
        if self.storing.is_none() {
            at = at.min(self.persist_at);
        }
        at
    }

    /// What the kernel should look like now.
    pub fn plan(&self) -> Option<&HostPlan> {
        self.plan.as_ref()
    }

    /// The network's own prefixes: pools and ULA.
    pub fn inside(&self) -> Vec<Prefix> {
        self.inside.clone()
    }

    /// Whether this node has compared notes with all its gossip neighbours, of whom there is at least one: what any of them
    /// knew is known here.
    pub fn in_step(&self) -> bool {
        self.gossip.in_step()
    }

    /// All that is known of who belongs to the network.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// What this node holds now.
    pub fn held(&self) -> &[Prefix] {
        &self.held
    }

    /// The address of a node in the network.
    pub fn node_address_of(&self, router: &RouterId) -> Ipv6Addr {
        self.ula.node_address(router)
    }

    /// The state could not be written: it is tried again soon.
    pub fn handle_not_stored(&mut self, now: Instant) {
        self.storing = None;
        self.persist_soon(now, PERSIST_PAUSE);
    }

    /// This node's key.
    pub fn key(&self) -> PublicKey {
        self.key
    }
}
