//! This node's own standing: asking for a delegation, holding it, renewing it, and telling others where it can be reached.

use crate::PeerIdx;
use crate::control::babel::{Rights, net_of, rights};
use crate::control::membership::{Accepted, CertificateStatus, RefusedItem};
use crate::control::message::{Body, Item, ItemKind, JoinReply, JoinRequest, Leave, Message, join_proof};
use crate::control::output::{Command, Notice, Output, Refusal};
use crate::control::view::Standing;
use crate::control::{Control, PERSIST_PAUSE, PERSIST_SOON, PURGE, secrets};
use crate::forwarder::mail::PeerKind;
use core::net::SocketAddr;
use core::time::Duration;
use ln6_crypto::{Certificate, Endpoint, EndpointKind, ItemId, NodeRecord, Signed};
use ln6_types::{Instant, Prefix, PublicKey, UnixTime, VerifyKey, gathered};
use std::collections::BTreeSet;

/// How often an unanswered or waiting request is repeated.
pub(crate) const JOIN_AGAIN: Duration = Duration::from_secs(10);
/// How often a node that needs nothing looks whether its certificate has grown old.
pub(crate) const NOTHING_TO_ASK: Duration = Duration::from_secs(300);
/// Least pause between two looks at all rights, and what each peer adds: while a network of a thousand nodes is learnt, twice
/// a second.
const RIGHTS_PAUSE: Duration = Duration::from_millis(5);
const RIGHTS_PAUSE_PER_PEER: Duration = Duration::from_micros(500);
/// How long a new address may wait for others before connections are chosen anew.
const REVIEW_SOON: Duration = Duration::from_millis(300);
/// Least pause between two comparisons that held routes ask for.
const COMPARE_AGAIN: Duration = Duration::from_secs(4);
/// A refused request is repeated seldom: an administrator may have made room.
const REFUSED_AGAIN: Duration = Duration::from_secs(600);
/// Who lost its rights asks more often: a suspension may end and a revocation be undone, and nobody gossips with it meanwhile.
const LOST_AGAIN: Duration = Duration::from_secs(15);
/// A node record is valid this long and renewed at half of it.
const RECORD_TIME: Duration = Duration::from_secs(24 * 3600);

/// How long others' records may wait for the disk: they only tell where nodes are.
const RECORDS_PAUSE: Duration = Duration::from_secs(600);

/// Babel sequence numbers that are reserved on the disk at a time, and how long that may wait.
const SEQNO_ROOM: u16 = 128;
const SEQNO_PAUSE: Duration = Duration::from_secs(30);

impl Control {
    /// The peer numbers of the brokers: those known by configuration, and those that the root certified.
    pub(crate) fn broker_peers(&self, wall: UnixTime) -> Vec<PeerIdx> {
        let told = self.brokers.iter().map(|broker| broker.key);
        let keys: BTreeSet<PublicKey> = gathered(told.chain(self.membership.brokers(wall)));
        keys.iter().filter(|key| **key != self.key).filter_map(|key| self.peers.by_key(key)).collect()
    }

    /// Whether `key` is a broker by configuration.
    pub(crate) fn is_told_broker(&self, key: &PublicKey) -> bool {
        self.brokers.iter().any(|broker| broker.key == *key)
    }

    /// Whether `key` may answer this node's requests: a broker by configuration or by a live certificate.
    fn answers(&self, key: &PublicKey, wall: UnixTime) -> bool {
        self.is_told_broker(key) || self.is_broker_key(key, wall)
    }

    /// Whether a live certificate of `key` makes it an exit.
    pub(crate) fn is_exit_key(&self, key: &PublicKey, wall: UnixTime) -> bool {
        self.membership.live_all(key, wall).any(|certificate| certificate.roles.exit)
    }

    /// Whether a live certificate of `key` makes it a broker.
    pub(crate) fn is_broker_key(&self, key: &PublicKey, wall: UnixTime) -> bool {
        self.membership.live_all(key, wall).any(|certificate| certificate.roles.broker)
    }

    /// The network's pools: what any live certificate may delegate, without parts of others.
    fn all_pools(&self, wall: UnixTime) -> Vec<Prefix> {
        let members = self.membership.members(wall);
        let mut all: Vec<Prefix> = members
            .flat_map(|key| {
                self.membership.live_all(&key, wall).flat_map(|c| c.delegate.clone()).collect::<Vec<_>>()
            })
            .collect();
        all.sort_unstable();
        all.dedup_by(|part, whole| whole.covers(*part));
        all
    }

    pub(crate) fn is_broker(&self, now: Instant) -> bool {
        self.is_broker_key(&self.key, self.wall(now))
    }

    /// What there is to ask the broker with this key: to renew what it gave, once that has grown old; or to let this node in,
    /// while nobody else did or the operator says that this one shall as well.
    pub(crate) fn wants_grant(&self, now: Instant, broker: &PublicKey) -> Option<Ask> {
        let wall = self.wall(now);
        let signs = self.membership.sign_keys(broker);
        let mut held = self.membership.live_all(&self.key, wall).peekable();
        let wished = self.wish.as_ref().is_some_and(|wish| wish.broker == Some(*broker));
        let joins = self.wish.is_some() && (held.peek().is_none() || wished);
        match held.find(|certificate| signs.contains(&certificate.issuer)) {
            Some(certificate) => {
                let life = certificate.not_after.since(certificate.not_before);
                (wall >= certificate.not_after - life / 3).then_some(Ask::Renew)
            }
            None => joins.then_some(Ask::Join),
        }
    }

    /// Asks the broker behind `idx`, if it is one and there is something to ask.
    pub(crate) fn try_join(&mut self, now: Instant, idx: PeerIdx) {
        let Some(peer) = self.peers.get(idx) else { return };
        let key = peer.key;
        if !peer.connected() || !self.answers(&key, self.wall(now)) || now < self.ask_at {
            return;
        }
        let Some(ask) = self.wants_grant(now, &key) else { return };
        self.ask_at = now + Duration::from_secs(3);
        let request = self.request(&key, ask);
        if matches!(self.standing, Standing::Alone) {
            self.standing = Standing::Asking;
        }
        self.say_reliably(
            now,
            idx,
            if ask == Ask::Join { Body::Join(request) } else { Body::Renew(request) },
        );
    }

    /// What the broker `key` is asked. A renewal says no size: one that does is a wish for another.
    fn request(&self, key: &PublicKey, ask: Ask) -> JoinRequest {
        let wish = self.wish.as_ref();
        let joins = wish.filter(|_| ask == Ask::Join);
        JoinRequest {
            network: self.network,
            name: self.name.clone(),
            holder: None,
            size: joins.map_or(0, |wish| wish.size),
            ssid: wish.and_then(|wish| wish.ssid.clone()),
            // An invitation is of one broker; another has no use for its secret.
            secret: joins
                .filter(|wish| wish.broker.is_none_or(|broker| broker == *key))
                .and_then(|wish| wish.secret),
            sign: self.signing.verify_key(),
            proof: join_proof(&self.signing, &self.network, &self.key),
            contact: wish.and_then(|wish| wish.contact.clone()),
            leaf: false,
        }
    }

    /// Asks for another size: whoever waits asks anew, whoever holds something lets its brokers know of the wish.
    fn ask_for_size(&mut self, now: Instant, size: u8) -> Result<(), Refusal> {
        let wish = self.wish.as_mut().ok_or(Refusal::NoBroker)?;
        wish.size = size;
        if self.held.is_empty() {
            (self.join_at, self.ask_at) = (now, now);
            return Ok(());
        }
        let brokers = self.givers(self.wall(now));
        if brokers.is_empty() {
            return Err(Refusal::NoBroker);
        }
        for idx in brokers {
            let Some(key) = self.peers.get(idx).map(|peer| peer.key) else { continue };
            self.want(now, idx);
            let request = JoinRequest { size, ..self.request(&key, Ask::Renew) };
            self.say_reliably(now, idx, Body::Renew(request));
        }
        Ok(())
    }

    pub(crate) fn handle_join_reply(&mut self, now: Instant, idx: PeerIdx, reply: JoinReply) {
        let Some(key) = self.peers.get(idx).map(|peer| peer.key) else { return };
        if !self.answers(&key, self.wall(now)) {
            self.reject_from(idx, "an answer to a request that was not made there");
            return;
        }
        if !self.is_told_broker(&key) && self.wants_grant(now, &key).is_none() {
            // Gossip was faster, or a broker speaks unasked.
            return;
        }
        match reply {
            JoinReply::Granted { chain } => {
                self.refusal = None;
                let chain =
                    chain.into_iter().map(|bytes| Item { kind: ItemKind::Certificate, bytes: bytes.into() });
                self.handle_items(now, idx, chain.collect());
                self.persist_soon(now, Duration::ZERO);
            }
            JoinReply::Waiting { place, retry_secs, .. } => {
                self.stand(Standing::Waiting { place });
                let again = Duration::from_secs(u64::from(retry_secs.clamp(2, 3600)));
                self.join_at = now + again + self.jitter.millis(again.as_millis() as u64 / 4 + 1);
            }
            JoinReply::Refused { code, text, retry_secs } => {
                let (code, text) = (printable(&code), printable(&text));
                self.refusal = Some((code.clone(), text.clone()));
                if !matches!(self.standing, Standing::Lost { .. })
                    && self.membership.live(&self.key, self.wall(now)).is_none()
                {
                    self.stand(Standing::Refused { code, text });
                }
                let asked =
                    retry_secs.map_or(REFUSED_AGAIN, |secs| Duration::from_secs(u64::from(secs.max(10))));
                let again = if matches!(self.standing, Standing::Lost { .. }) {
                    asked.min(LOST_AGAIN)
                } else {
                    asked
                };
                self.join_at = now + again + self.jitter.millis(again.as_millis().min(30_000) as u64);
                self.persist_soon(now, Duration::ZERO);
            }
        }
    }

    fn stand(&mut self, standing: Standing) {
        if self.standing == standing {
            return;
        }
        match &standing {
            Standing::Waiting { place } => self.out(Output::Notice(Notice::Waiting { place: *place })),
            Standing::Refused { code, text } => {
                self.out(Output::Notice(Notice::Refused { code: code.clone(), text: text.clone() }));
            }
            Standing::Lost { why } => self.out(Output::Notice(Notice::Lost { why })),
            _ => {}
        }
        self.standing = standing;
    }

    /// Certificates, revocations, heads and records that somebody sent.
    pub(crate) fn handle_items(&mut self, now: Instant, idx: PeerIdx, mut items: Vec<Item>) {
        let Some(peer) = self.peers.get(idx) else { return };
        let trusted = peer.kind == PeerKind::Node || self.is_told_broker(&peer.key);
        if !trusted {
            // A guest may show its own chain, nothing else.
            items.retain(|item| item.kind == ItemKind::Certificate);
        }
        self.handle_gossip(now, idx, &Body::Items(items));
    }

    /// Gossip of a member, or the chain of a guest.
    pub(crate) fn handle_gossip(&mut self, now: Instant, idx: PeerIdx, body: &Body) {
        let wall = self.wall(now);
        let mut out = Vec::new();
        let heard = self.gossip.handle_message(now, wall, idx, body, &mut self.membership, &mut out);
        if !heard.new.is_empty() {
            self.take_note(now, &heard.new);
            let lasts =
                |id| self.membership.items().get(id).is_some_and(|item| item.kind != ItemKind::Record);
            // Any member may renew its record as often as it likes, and each disk of the network would be worn by it.
            let pause = if heard.new.iter().any(|id| lasts(*id)) { PERSIST_SOON } else { RECORDS_PAUSE };
            self.persist_soon(now, pause);
        }
        for (_, refused) in heard.refused {
            self.refuse_item(idx, refused);
        }
        self.pass_on(out);
        let guest = self.peers.get(idx).filter(|peer| peer.kind == PeerKind::Guest).map(|peer| peer.key);
        if !heard.new.is_empty() && guest.is_some_and(|key| !self.membership.status(&key, wall).holds()) {
            // It shows a chain that somebody took back while it was away, or before it came.
            self.tell_why(now, idx);
        }
    }

    /// New items are kept: what follows from them is looked at, at once or as soon as may be.
    fn take_note(&mut self, now: Instant, new: &[ItemId]) {
        for id in new {
            let Some(item) = self.membership.items().get(*id) else { continue };
            match item.kind {
                ItemKind::Certificate | ItemKind::Revocation => self.rights_changed = true,
                ItemKind::Head => self.rights_changed |= self.lifts_clock(now),
                ItemKind::Record => {
                    let record = Signed::<NodeRecord>::decode(&item.bytes).ok();
                    if let Some(key) = record.map(|record| record.value().key) {
                        self.take_note_of_record(now, key);
                    }
                }
            }
        }
    }

    /// Who says where it is now may be tried there, however often it was not reached before.
    fn take_note_of_record(&mut self, now: Instant, key: PublicKey) {
        if key == self.key {
            return self.settle_record(now);
        }
        let known = self.peers.by_key(&key).and_then(|idx| self.peers.get_mut(idx));
        if let Some(peer) = known {
            peer.failures = 0;
            let idx = peer.idx;
            self.settle_suite(now, idx);
        }
        self.review_at = self.review_at.min(now + REVIEW_SOON);
    }

    /// Whether brokers signed a time above this node's.
    fn lifts_clock(&self, now: Instant) -> bool {
        self.membership.signed_time().is_some_and(|signed| signed > self.wall(now))
    }

    pub(crate) fn pass_on(&mut self, messages: Vec<(PeerIdx, Message)>) {
        for (idx, message) in messages {
            self.say(idx, message.body);
        }
    }

    /// What is merely old is no fault; everything else an operator should see.
    fn refuse_item(&mut self, idx: PeerIdx, refused: RefusedItem) {
        *self.refusals.entry(refused.code()).or_default() += 1;
        if !matches!(refused, RefusedItem::Superseded | RefusedItem::Stale) {
            self.reject_from(idx, &refused.to_string());
        }
    }

    /// Items made on this machine.
    pub(crate) fn publish_items(&mut self, now: Instant, items: Vec<Item>) {
        let wall = self.wall(now);
        let mut new = Vec::new();
        for item in items {
            match self.membership.offer(&item, PeerIdx::SELF, wall) {
                Ok(Accepted::New { released }) => {
                    new.push(item.id());
                    new.extend(released);
                }
                Ok(_) => {}
                Err(refused) => {
                    let why = refused.to_string();
                    self.out(Output::Notice(Notice::Rejected { peer: None, why }));
                }
            }
        }
        let mut out = Vec::new();
        self.gossip.announce(now, &new, &self.membership, &mut out);
        self.pass_on(out);
        if !new.is_empty() {
            self.take_note(now, &new);
            self.tell_holders(now, &new);
            self.persist_soon(now, PERSIST_PAUSE);
        }
    }

    /// Who was approved, or let in again, and waits here without being a member, has its certificate at once and not when it
    /// asks the next time: gossip does not reach it.
    fn tell_holders(&mut self, now: Instant, new: &[ItemId]) {
        let granted = new.iter().filter_map(|id| {
            let item = self.membership.items().get(*id).filter(|item| item.kind == ItemKind::Certificate)?;
            let certificate = Signed::<Certificate>::decode(&item.bytes).ok()?;
            let peer = self.peers.by_key(&certificate.value().key).and_then(|idx| self.peers.get(idx))?;
            (peer.connected() && !peer.gossips).then(|| (peer.idx, vec![item.bytes.to_vec()]))
        });
        for (idx, chain) in granted.collect::<Vec<_>>() {
            self.say_reliably(now, idx, Body::JoinReply(JoinReply::Granted { chain }));
        }
    }

    /// Gossip with a neighbour runs, or not: as its session, its certificate and the wish for a connection say.
    pub(crate) fn settle_gossip(&mut self, now: Instant, idx: PeerIdx) {
        let member = self.is_member;
        let Some(peer) = self.peers.get_mut(idx) else { return };
        // Who is no member yet has nothing to say that anybody would take.
        let gossips =
            member && peer.kind == PeerKind::Node && peer.connected() && peer.meta.any() && peer.introduced;
        if gossips == peer.gossips {
            return;
        }
        peer.gossips = gossips;
        if gossips {
            self.compare(now, idx);
        } else {
            self.gossip.neighbour_down(idx);
        }
    }

    /// Begins gossip with a neighbour, or begins anew: digests are exchanged at once.
    fn compare(&mut self, now: Instant, idx: PeerIdx) {
        if let Some(peer) = self.peers.get_mut(idx) {
            peer.compared = Some(now);
            self.gossip.neighbour_up(now, idx);
            let mut out = Vec::new();
            self.gossip.handle_timeout(now, &self.membership, &mut out);
            self.pass_on(out);
        }
    }

    /// A neighbour knows of a router whose certificate has not come here: perhaps the message that brought it was lost.
    pub(crate) fn compare_if_idle(&mut self, now: Instant, idx: PeerIdx) {
        let lately = |at: Instant| now.since(at) < COMPARE_AGAIN;
        if self.peers.get(idx).is_some_and(|peer| peer.gossips && !peer.compared.is_some_and(lately)) {
            self.compare(now, idx);
        }
    }

    /// Sends the certificates that prove who this node is.
    pub(crate) fn say_chain(&mut self, now: Instant, idx: PeerIdx) {
        let chain = self.membership.chain(&self.key, self.wall(now));
        let items = chain
            .iter()
            .map(|certificate| Item { kind: ItemKind::Certificate, bytes: certificate.bytes().clone() });
        for item in items.collect::<Vec<_>>() {
            self.say_reliably(now, idx, Body::Items(vec![item]));
        }
    }

    /// Forgets what ended long ago, for the disk too.
    pub(crate) fn purge(&mut self, now: Instant) {
        self.purge_at = now + PURGE;
        let before = self.membership.generation();
        self.membership.purge(self.clock.believed(now));
        if self.membership.generation() != before {
            self.rights_changed = true;
            self.persist_soon(now, RECORDS_PAUSE);
        }
    }

    /// Looks at every right anew after certificates, revocations or the time changed.
    pub(crate) fn settle_rights(&mut self, now: Instant) {
        let due = now >= self.rights_at || self.rights_until.is_some_and(|until| self.wall(now) >= until);
        if !(due || self.rights_changed && now >= self.rights_pause) {
            return;
        }
        self.rights_changed = false;
        self.hear_signed_times(now);
        let wall = self.wall(now);
        self.rights_until = self.membership.next_change(wall);
        self.rights_at = self.rights_until.map_or(Instant::FAR_FUTURE, |until| now + until.since(wall));
        self.table_changed = true;
        self.plan_changed = true;
        self.pools = self.all_pools(wall);
        self.inside = self.pools.iter().copied().chain([self.ula.prefix()]).collect();
        self.settle_own(now);
        for idx in self.peers.ids() {
            self.settle_kind(now, idx);
        }
        self.routing.reconsider(now, rights!(self, now));
        self.review_at = self.review_at.min(now);
        self.rights_pause = now + RIGHTS_PAUSE + RIGHTS_PAUSE_PER_PEER * self.peers.len() as u32;
    }

    /// The number of the peer with this key; a new one is at once what its certificate makes it.
    pub(crate) fn intern(&mut self, now: Instant, key: PublicKey) -> PeerIdx {
        if let Some(idx) = self.peers.by_key(&key) {
            return idx;
        }
        let idx = self.peers.intern(now, key);
        self.settle_kind(now, idx);
        idx
    }

    fn settle_kind(&mut self, now: Instant, idx: PeerIdx) {
        let wall = self.wall(now);
        let Some(peer) = self.peers.get_mut(idx) else { return };
        if peer.stock.is_some() {
            return;
        }
        let in_force = self.membership.status(&peer.key, wall).holds();
        let kind = if in_force { PeerKind::Node } else { PeerKind::Guest };
        if peer.kind == kind {
            return;
        }
        peer.kind = kind;
        let path = peer.path;
        self.peers.changed.insert(idx);
        self.settle_link(now, idx);
        if let Some(path) = path {
            self.prove_keys(now, idx, path);
        }
        if kind == PeerKind::Guest {
            self.tell_why(now, idx);
        }
    }

    /// A node that lost its rights is told by what: as a guest it hears no gossip any more.
    pub(crate) fn tell_why(&mut self, now: Instant, idx: PeerIdx) {
        let Some(key) = self.peers.get(idx).filter(|peer| peer.connected()).map(|peer| peer.key) else {
            return;
        };
        for item in self.membership.revocations_of(&key) {
            self.say_reliably(now, idx, Body::Items(vec![item]));
        }
    }

    fn settle_own(&mut self, now: Instant) {
        let wall = self.wall(now);
        let status = self.membership.status(&self.key, wall);
        let live = self.membership.live(&self.key, wall).cloned();
        let changed = std::mem::replace(&mut self.is_member, status.holds()) != status.holds();
        // Several brokers may have given something each.
        let together = |list: fn(&Certificate) -> &Vec<Prefix>| {
            let all: BTreeSet<Prefix> =
                gathered(self.membership.live_all(&self.key, wall).flat_map(list).copied());
            all.into_iter().collect::<Vec<Prefix>>()
        };
        let held = together(|own| &own.originate);
        self.pools_of_own = together(|own| &own.delegate);
        match status {
            CertificateStatus::Live => self.standing = Standing::Member,
            CertificateStatus::InGrace => self.standing = Standing::InGrace,
            CertificateStatus::Revoked if self.has_left => self.stand(Standing::Alone),
            CertificateStatus::Revoked => self.stand(Standing::Lost { why: "revoked" }),
            CertificateStatus::Suspended => self.stand(Standing::Lost { why: "suspended" }),
            CertificateStatus::Expired => self.stand(Standing::Lost { why: "expired" }),
            _ => {}
        }
        if let Some(own) = &live {
            self.name = own.name.clone();
        }
        if held != self.held {
            self.was_held =
                self.held.iter().chain(&self.was_held).copied().filter(|old| !held.contains(old)).collect();
            self.was_held.truncate(4);
            self.held = held;
            if !self.held.is_empty() {
                self.out(Output::Notice(Notice::Delegated { prefixes: self.held.clone() }));
            }
        }
        self.settle_exit(now);
        self.settle_origins(now);
        self.settle_record(now);
        if changed {
            self.peers.ids().into_iter().for_each(|idx| self.settle_gossip(now, idx));
        }
    }

    /// Whether this node is an exit now: by certificate, by configuration, and with an uplink that works.
    pub(crate) fn settle_exit(&mut self, now: Instant) {
        let allowed = self.exit && self.is_exit_key(&self.key, self.wall(now));
        let is_exit = allowed && self.host.uplink6;
        if is_exit != self.is_exit_now {
            self.is_exit_now = is_exit;
            self.table_changed = true;
            self.plan_changed = true;
            self.out(Output::Notice(Notice::Uplink { up: is_exit }));
        }
    }

    /// Makes Babel announce exactly what this node may and can.
    pub(crate) fn settle_origins(&mut self, now: Instant) {
        let mut wanted = BTreeSet::new();
        if self.membership.status(&self.key, self.wall(now)).holds() {
            wanted.insert((Prefix::host(self.node_address), Prefix::ALL));
            wanted.extend(self.held.iter().map(|prefix| (*prefix, Prefix::ALL)));
            if self.is_exit_now {
                wanted.extend(self.pools_of_own.iter().map(|pool| (Prefix::ALL, *pool)));
            }
        }
        for &(dst, src) in self.originated.difference(&wanted) {
            self.routing.withdraw(now, net_of(dst), net_of(src));
        }
        for &(dst, src) in wanted.difference(&self.originated) {
            self.routing.originate(now, net_of(dst), net_of(src), 0);
        }
        self.originated = wanted;
    }

    /// Somebody told this node at which address it is seen.
    pub(crate) fn seen_by(&mut self, now: Instant, observer: PublicKey, address: SocketAddr) {
        if self.seen.insert(observer, address) != Some(address) {
            while self.seen.len() > 64 {
                self.seen.pop_first();
            }
            self.settle_record(now);
        }
    }

    /// Addresses worth publishing: what the operator says, what this machine has, and what two observers agree on.
    pub(crate) fn endpoints(&self) -> Vec<SocketAddr> {
        let mut list = self.public.clone();
        list.extend(&self.host.candidates);
        for address in self.seen.values() {
            if self.seen.values().filter(|other| *other == address).count() >= 2 {
                list.push(*address);
            }
        }
        let mut unique = Vec::new();
        for address in list {
            if self.is_candidate(address) && !unique.contains(&address) && unique.len() < 8 {
                unique.push(address);
            }
        }
        unique
    }

    /// Whether others can begin a session with this node: told so, or seen at an address that the machine itself has.
    fn is_reachable(&self) -> bool {
        !self.public.is_empty() || self.seen.values().any(|seen| self.host.candidates.contains(seen))
    }

    /// Makes the network's copy of this node's record say what is so now. It is signed anew only if it would say something
    /// else, is half through its life, or comes from a life of this node whose counter was lost.
    pub(crate) fn settle_record(&mut self, now: Instant) {
        let wall = self.wall(now);
        self.record_at = Instant::FAR_FUTURE;
        if !self.membership.status(&self.key, wall).holds() {
            return;
        }
        let endpoints = self.endpoints();
        let reachable = self.is_reachable();
        if let Some(last) = self.membership.record(&self.key, wall) {
            let addresses = last.endpoints.iter().map(|endpoint| &endpoint.addr);
            let same = last.reachable == reachable
                && last.transit == self.transit
                && addresses.eq(&endpoints)
                && last.suites == self.suite_ids();
            let half = last.at + RECORD_TIME / 2;
            if same && last.counter == self.record_counter && wall < half {
                self.record_at = now + half.since(wall);
                return;
            }
            self.record_counter = self.record_counter.max(last.counter);
        }
        self.published = endpoints.clone();
        self.record_at = now + RECORD_TIME / 2;
        self.record_counter += 1;
        let record = NodeRecord {
            network: self.network,
            key: self.key,
            counter: self.record_counter,
            at: wall,
            expires: wall + RECORD_TIME,
            endpoints: endpoints.into_iter().map(|addr| Endpoint { addr, kind: EndpointKind::Udp }).collect(),
            transit: self.transit,
            reachable,
            suites: self.suite_ids(),
            version: 1,
        };
        if let Ok(signed) = Signed::sign(record, &self.signing) {
            self.publish_items(now, vec![Item { kind: ItemKind::Record, bytes: signed.bytes().clone() }]);
        }
    }

    /// The brokers that gave this node what it holds; all, if none of them is known.
    fn givers(&self, wall: UnixTime) -> Vec<PeerIdx> {
        let issuers: BTreeSet<VerifyKey> =
            gathered(self.membership.live_all(&self.key, wall).map(|certificate| certificate.issuer));
        let gave = |idx: &PeerIdx| {
            let key = self.peers.get(*idx).map(|peer| peer.key);
            key.is_some_and(|key| !self.membership.sign_keys(&key).is_disjoint(&issuers))
        };
        let all = self.broker_peers(wall);
        let gave: Vec<PeerIdx> = all.iter().copied().filter(gave).collect();
        if gave.is_empty() { all } else { gave }
    }

    /// Gives the delegation back.
    pub(crate) fn leave(&mut self, now: Instant) -> Result<(), Refusal> {
        if self.held.is_empty() {
            return Err(Refusal::NoDelegation);
        }
        let brokers = self.givers(self.wall(now));
        if brokers.is_empty() {
            return Err(Refusal::NoBroker);
        }
        self.wish = None;
        let farewell = Leave::new(&self.signing, &self.network, &self.key);
        for idx in brokers {
            self.want(now, idx);
            self.say_reliably(now, idx, Body::Leave(farewell.clone()));
        }
        Ok(())
    }

    /// A holder gives its delegation back. The session's key is not enough: who has only that holds half of the identity.
    pub(crate) fn handle_leave(&mut self, now: Instant, idx: PeerIdx, leave: &Leave) {
        let Some(from) = self.peers.get(idx).map(|peer| peer.key) else { return };
        let mut signs = self.membership.sign_keys(&from).into_iter();
        if signs.any(|sign| leave.proves(&sign, &self.network, &from)) {
            self.out(Output::LeftBroker { from });
        } else {
            self.reject_from(idx, "a farewell without its holder's signature");
            self.say_reliably(now, idx, Body::LeaveReply { refused: Some("bad-proof".to_owned()) });
        }
    }

    pub(crate) fn handle_left(&mut self, now: Instant, idx: PeerIdx, refused: Option<&str>) {
        let key = self.peers.get(idx).map(|peer| peer.key);
        let broker = key.is_some_and(|key| self.answers(&key, self.wall(now)));
        if let Some(code) = refused.filter(|_| broker) {
            let why = format!("the broker keeps the delegation: {}", printable(code));
            self.reject_from(idx, &why);
        } else if broker && self.wish.is_none() {
            self.has_left = true;
            self.stand(Standing::Alone);
            self.out(Output::Notice(Notice::Left));
            self.persist_soon(now, Duration::ZERO);
        }
    }

    /// What the operator, the shell or the local broker wants.
    pub(crate) fn command(&mut self, now: Instant, command: Command) -> Result<(), Refusal> {
        match command {
            Command::FromBroker { to, reply } => {
                let idx = self.peers.by_key(&to).ok_or(Refusal::UnknownPeer)?;
                self.say_reliably(now, idx, Body::JoinReply(reply));
            }
            Command::LeftBroker { to } => {
                let idx = self.peers.by_key(&to).ok_or(Refusal::UnknownPeer)?;
                self.say_reliably(now, idx, Body::LeaveReply { refused: None });
            }
            Command::Publish(items) => self.publish_items(now, items),
            Command::Ping { to, token } => {
                let idx = self.peers.by_key(&to).ok_or(Refusal::UnknownPeer)?;
                self.want(now, idx);
                self.pings.insert((idx, token), now);
                self.pings.retain(|_, at| now.since(*at) < Duration::from_secs(30));
                // Without a session it is said as soon as there is one.
                self.say(idx, Body::Probe { token, sent: now.as_micros() });
            }
            Command::PutStock(peer) => self.put_stock(now, *peer),
            Command::DropStock(key) => {
                let idx = self.peers.by_key(&key).ok_or(Refusal::UnknownPeer)?;
                if self.peers.get(idx).is_some_and(|peer| peer.stock.is_some()) {
                    self.forget_peer(now, idx);
                    self.table_changed = true;
                    self.plan_changed = true;
                }
            }
            Command::LanSide { lans, inbound, openings, firewall } => {
                self.lans = lans;
                self.inbound = inbound;
                self.openings = openings;
                self.firewall = firewall;
                self.plan_changed = true;
            }
            Command::Addresses { of, addresses } => self.learn_addresses(now, of, &addresses),
            Command::Size(size) => self.ask_for_size(now, size)?,
            Command::Withdraw => {
                self.wish = None;
                self.stand(Standing::Alone);
            }
            Command::Leave => self.leave(now)?,
            Command::Shutdown => {
                self.routing.shutdown(now);
                self.drain_routing(now);
            }
        }
        Ok(())
    }

    /// A Babel sequence number was used; the disk should know before the next restart. Neighbours can make it rise at will, so
    /// the disk is not written each time; should it know too little, they will tell (RFC 8966, section 3.8.2.2).
    pub(crate) fn seqno_used(&mut self, now: Instant, seqno: u16) {
        let left = self.seqno_ceiling.wrapping_sub(seqno);
        if !(SEQNO_ROOM / 4..=0x8000).contains(&left) {
            self.seqno_ceiling = seqno.wrapping_add(SEQNO_ROOM);
            self.persist_soon(now, SEQNO_PAUSE);
        }
    }

    /// A random token that nobody can guess.
    pub fn draw_token(&mut self) -> u64 {
        u64::from_be_bytes(secrets::draw(&mut *self.secrets))
    }
}

/// What a node asks of its broker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Join,
    Renew,
}

/// What a broker says ends on an operator's terminal: no control characters.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
