//! The bodies of peer messages, but for joining.

use super::{Body, JoinReply, JoinRequest, Leave};
use core::net::SocketAddr;
use ln6_crypto::canonical::{Bytes, MapWriter, need, read_list, read_map, read_text};
use ln6_crypto::{ItemId, WireAddr};
use ln6_types::{Fingerprint, UnixTime};
use minicbor::decode::{Decode, Decoder, Error};
use minicbor::encode::{Encode, Encoder, Write};
use std::sync::Arc;

const MAX_SUITES: usize = 16;
const MAX_ADDRESSES: usize = 8;
const MAX_ITEMS: usize = 32;
const MAX_CODE: usize = 40;
/// The most short ids in one message.
pub(crate) const MAX_SHORTS: usize = 128;
/// Buckets in a digest.
pub(crate) const BUCKETS: usize = 16;

/// First words in a session between ln6d nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The protocol version the sender speaks.
    pub version: u16,
    /// The sender's network.
    pub network: Fingerprint,
    /// Suites the sender can do, best first; at most 16.
    pub suites: Vec<u8>,
    /// Where the sender sees the receiver.
    pub seen_at: Option<SocketAddr>,
    /// Whether the sender relays for others.
    pub transit: bool,
    /// The sender's clock, if it is synchronised.
    pub wall: Option<UnixTime>,
    /// Whether the sender chose the receiver for a long-lived connection, on which Babel runs.
    pub meta: bool,
    /// Whether the sender wants to be answered with a `Hello`.
    pub ask: bool,
    /// Whether the sender takes relayed datagrams (message 5) in place of relay frames.
    pub relayed: bool,
}

/// A summary of all items: how many, and for each of 16 buckets (the first four bits of an id) the wrapping sum of the
/// short ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// How many items there are.
    pub count: u32,
    /// The sums.
    pub buckets: [u64; BUCKETS],
}

/// All short ids the sender has from `from` to `to`, both included, in ascending order; at most 128.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// First short id of the range.
    pub from: u64,
    /// Last short id of the range.
    pub to: u64,
    /// What there is.
    pub ids: Vec<u64>,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// [`ln6_crypto::Certificate`].
    Certificate,
    /// [`ln6_crypto::Revocation`].
    Revocation,
    /// [`ln6_crypto::Head`].
    Head,
    /// [`ln6_crypto::NodeRecord`].
    Record,
}

/// A signed statement as it travels and is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// The signed octets, at most [`ln6_crypto::canonical::MAX_STATEMENT`].
    pub bytes: Arc<[u8]>,
}

impl ItemKind {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            ItemKind::Certificate => 1,
            ItemKind::Revocation => 2,
            ItemKind::Head => 3,
            ItemKind::Record => 4,
        }
    }

    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        let all = [ItemKind::Certificate, ItemKind::Revocation, ItemKind::Head, ItemKind::Record];
        all.into_iter().find(|kind| kind.number() == number)
    }
}

impl Item {
    /// Its name in gossip.
    pub fn id(&self) -> ItemId {
        ItemId::of(&self.bytes)
    }

    /// An upper bound of the octets it takes in a message.
    pub fn wire_len(&self) -> usize {
        self.bytes.len() + 5
    }
}

impl<C> Encode<C> for Item {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.u8(self.kind.number())?.bytes(&self.bytes)?.ok()
    }
}

/// An item, or `None` for a kind that only later versions know.
struct MaybeItem(Option<Item>);

impl<'b, C> Decode<'b, C> for MaybeItem {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        if d.array()? != Some(2) {
            return Err(Error::message("item"));
        }
        let kind = ItemKind::from_number(d.u8()?);
        let bytes = d.bytes()?;
        Ok(MaybeItem(kind.map(|kind| Item { kind, bytes: bytes.into() })))
    }
}

fn write_shorts(ids: &[u64]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_be_bytes()).collect()
}

fn read_shorts(d: &mut Decoder<'_>) -> Result<Vec<u64>, Error> {
    let bytes = d.bytes()?;
    let (ids, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() || ids.len() > MAX_SHORTS {
        return Err(Error::message("ids"));
    }
    Ok(ids.iter().map(|id| u64::from_be_bytes(*id)).collect())
}

impl Body {
    /// The number of the kind.
    pub const fn kind(&self) -> u8 {
        match self {
            Body::Hello(_) => 1,
            Body::Ack { .. } => 2,
            Body::Digest(_) => 3,
            Body::Bucket(_) => 4,
            Body::Pull(_) => 5,
            Body::Items(_) => 6,
            Body::Probe { .. } => 7,
            Body::ProbeReply { .. } => 8,
            Body::CallMe(_) => 9,
            Body::Join(_) => 10,
            Body::JoinReply(_) => 11,
            Body::Renew(_) => 12,
            Body::Leave(_) => 13,
            Body::LeaveReply { .. } => 14,
            Body::NoRoute { .. } => 15,
            Body::TooBig { .. } => 16,
            Body::PathProbe { .. } => 17,
            Body::PathEcho { .. } => 18,
            Body::SizeProbe { .. } => 19,
            Body::SizeReply { .. } => 20,
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        match self {
            Body::Hello(hello) => {
                map.put(0, hello.version).put(1, hello.network).put(2, Bytes(&hello.suites));
                map.put_some(3, hello.seen_at.map(WireAddr)).put_flag(4, hello.transit);
                map.put_some(5, hello.wall.map(UnixTime::as_secs))
                    .put_flag(6, hello.meta)
                    .put_flag(7, hello.ask)
                    .put_flag(8, hello.relayed)
            }
            Body::Ack { id } => map.put(0, *id),
            Body::Digest(digest) => map.put(0, digest.count).put_bytes(1, &write_shorts(&digest.buckets)),
            Body::Bucket(bucket) => {
                map.put(0, bucket.from).put(1, bucket.to).put_bytes(2, &write_shorts(&bucket.ids))
            }
            Body::Pull(ids) => map.put_bytes(0, &write_shorts(ids)),
            Body::Items(items) => map.put(0, &**items),
            Body::Probe { token, sent } => map.put(0, *token).put(1, *sent),
            Body::ProbeReply { token, sent, seen_at } => {
                map.put(0, *token).put(1, *sent).put_some(2, seen_at.map(WireAddr))
            }
            Body::CallMe(addresses) => {
                let addresses: Vec<WireAddr> = addresses.iter().copied().map(WireAddr).collect();
                map.put(0, &*addresses)
            }
            Body::Join(request) | Body::Renew(request) => request.write(&mut map),
            Body::JoinReply(reply) => reply.write(&mut map),
            Body::Leave(leave) => leave.write(&mut map),
            Body::LeaveReply { refused } => map.put_some(0, refused.as_deref()),
            Body::NoRoute { router } => map.put(0, router),
            Body::TooBig { router, mtu } => map.put(0, router).put(1, *mtu),
            Body::PathProbe { token } | Body::SizeProbe { token } => map.put(0, *token),
            Body::PathEcho { token, direct } => map.put(0, *token).put_flag(1, *direct),
            Body::SizeReply { token, octets } => map.put(0, *token).put(1, *octets),
        };
        map.finish()
    }

    /// `None` for an unknown kind.
    pub(super) fn read(kind: u8, d: &mut Decoder<'_>) -> Result<Option<Body>, Error> {
        Ok(Some(match kind {
            1 => Body::Hello(read_hello(d)?),
            2 => Body::Ack { id: read_numbers(d)?[0].and_then(|id| u32::try_from(id).ok()).ok_or_else(bad)? },
            3 => Body::Digest(read_digest(d)?),
            4 => Body::Bucket(read_bucket(d)?),
            5 => Body::Pull(read_pull(d)?),
            6 => Body::Items(read_items(d)?),
            7 => {
                let [token, sent] = read_numbers(d)?;
                Body::Probe { token: need(token)?, sent: need(sent)? }
            }
            8 => read_probe_reply(d)?,
            9 => Body::CallMe(read_call_me(d)?),
            10 => Body::Join(JoinRequest::read(d)?),
            11 => Body::JoinReply(JoinReply::read(d)?),
            12 => Body::Renew(JoinRequest::read(d)?),
            13 => Body::Leave(Leave::read(d)?),
            14 => read_leave_reply(d)?,
            15 | 16 => read_relay_error(kind, d)?,
            17 => Body::PathProbe { token: need(read_numbers(d)?[0])? },
            18 => read_path_echo(d)?,
            19 => Body::SizeProbe { token: need(read_numbers(d)?[0])? },
            20 => {
                let [token, octets] = read_numbers(d)?;
                let octets = octets.and_then(|octets| u16::try_from(octets).ok()).ok_or_else(bad)?;
                Body::SizeReply { token: need(token)?, octets }
            }
            _ => return Ok(None),
        }))
    }
}

fn bad() -> Error {
    Error::message("out of range")
}

/// The numbers under the keys 0 and 1.
fn read_numbers(d: &mut Decoder<'_>) -> Result<[Option<u64>; 2], Error> {
    let mut numbers = [None; 2];
    read_map(d, |key, d| {
        match key {
            0 | 1 => numbers[key as usize] = Some(d.u64()?),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(numbers)
}

fn read_hello(d: &mut Decoder<'_>) -> Result<Hello, Error> {
    let (mut version, mut network, mut suites) = (None, None, Vec::new());
    let (mut seen_at, mut transit, mut wall, mut meta, mut ask) = (None, false, None, false, false);
    let mut relayed = false;
    read_map(d, |key, d| {
        match key {
            0 => version = Some(d.u16()?),
            1 => network = Some(d.decode()?),
            2 => suites = d.bytes()?.to_vec(),
            3 => seen_at = Some(d.decode::<WireAddr>()?.0),
            4 => transit = d.bool()?,
            5 => wall = Some(UnixTime::from_secs(d.u64()?)),
            6 => meta = d.bool()?,
            7 => ask = d.bool()?,
            8 => relayed = d.bool()?,
            _ => d.skip()?,
        }
        Ok(())
    })?;
    // A newer node may know more suites than we have room for: its best ones come first.
    suites.truncate(MAX_SUITES);
    let (version, network) = (need(version)?, need(network)?);
    Ok(Hello { version, network, suites, seen_at, transit, wall, meta, ask, relayed })
}

fn read_digest(d: &mut Decoder<'_>) -> Result<Digest, Error> {
    let (mut count, mut buckets) = (None, Vec::new());
    read_map(d, |key, d| {
        match key {
            0 => count = Some(d.u32()?),
            1 => buckets = read_shorts(d)?,
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(Digest { count: need(count)?, buckets: buckets.try_into().map_err(|_| bad())? })
}

fn read_bucket(d: &mut Decoder<'_>) -> Result<Bucket, Error> {
    let (mut from, mut to, mut ids) = (None, None, None);
    read_map(d, |key, d| {
        match key {
            0 => from = Some(d.u64()?),
            1 => to = Some(d.u64()?),
            2 => ids = Some(read_shorts(d)?),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    let (from, to, ids) = (need(from)?, need(to)?, need(ids)?);
    let ascending = ids.windows(2).all(|pair| pair[0] <= pair[1]);
    let within = ids.first().is_none_or(|id| *id >= from) && ids.last().is_none_or(|id| *id <= to);
    if from <= to && ascending && within { Ok(Bucket { from, to, ids }) } else { Err(bad()) }
}

fn read_pull(d: &mut Decoder<'_>) -> Result<Vec<u64>, Error> {
    let mut ids = None;
    read_map(d, |key, d| {
        match key {
            0 => ids = Some(read_shorts(d)?),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    need(ids)
}

fn read_items(d: &mut Decoder<'_>) -> Result<Vec<Item>, Error> {
    let mut items: Vec<MaybeItem> = Vec::new();
    read_map(d, |key, d| {
        match key {
            0 => items = read_list(d, MAX_ITEMS)?,
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(items.into_iter().filter_map(|item| item.0).collect())
}

fn read_probe_reply(d: &mut Decoder<'_>) -> Result<Body, Error> {
    let (mut token, mut sent, mut seen_at) = (None, None, None);
    read_map(d, |key, d| {
        match key {
            0 => token = Some(d.u64()?),
            1 => sent = Some(d.u64()?),
            2 => seen_at = Some(d.decode::<WireAddr>()?.0),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(Body::ProbeReply { token: need(token)?, sent: need(sent)?, seen_at })
}

fn read_path_echo(d: &mut Decoder<'_>) -> Result<Body, Error> {
    let (mut token, mut direct) = (None, false);
    read_map(d, |key, d| {
        match key {
            0 => token = Some(d.u64()?),
            1 => direct = d.bool()?,
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(Body::PathEcho { token: need(token)?, direct })
}

fn read_call_me(d: &mut Decoder<'_>) -> Result<Vec<SocketAddr>, Error> {
    let mut addresses: Vec<WireAddr> = Vec::new();
    read_map(d, |key, d| {
        match key {
            0 => addresses = read_list(d, MAX_ADDRESSES)?,
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(addresses.into_iter().map(|address| address.0).collect())
}

fn read_leave_reply(d: &mut Decoder<'_>) -> Result<Body, Error> {
    let mut refused = None;
    read_map(d, |key, d| {
        match key {
            0 => refused = Some(read_text(d, MAX_CODE)?),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    Ok(Body::LeaveReply { refused })
}

fn read_relay_error(kind: u8, d: &mut Decoder<'_>) -> Result<Body, Error> {
    let (mut router, mut mtu) = (None, None);
    read_map(d, |key, d| {
        match key {
            0 => router = Some(d.decode()?),
            1 => mtu = Some(d.u16()?),
            _ => d.skip()?,
        }
        Ok(())
    })?;
    let router = need(router)?;
    Ok(if kind == 15 { Body::NoRoute { router } } else { Body::TooBig { router, mtu: need(mtu)? } })
}
