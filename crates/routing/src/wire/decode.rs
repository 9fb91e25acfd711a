//! Packet in, values out. Hostile input: every length is checked before it is used, nothing is allocated.

use super::{
    Ae, FLAG_PREFIX, FLAG_ROUTER_ID, FLAG_UNICAST, HEADER, MAGIC, Octets, PacketError, Tlv, VERSION, kind,
    sub,
};
use crate::{INFINITY, Key};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ipnet::IpNet;
use ln6_types::RouterId;

/// Calls `visit` for each TLV of `packet` that a receiver has to act on, in order. `from` is the packet's source
/// address, which is the next hop unless a TLV says otherwise. The trailer is not read.
///
/// Returns how many TLVs were ignored because they were malformed, truncated or used an unknown mandatory sub-TLV
/// (TLVs of unknown type are no fault and are not counted).
pub fn decode(packet: &[u8], from: Ipv6Addr, mut visit: impl FnMut(Tlv)) -> Result<u32, PacketError> {
    let mut rest = body(packet)?;
    let mut state = State::new(from);
    let mut ignored = 0;
    while let Some((&kind, after)) = rest.split_first() {
        if kind == kind::PAD1 {
            rest = after;
            continue;
        }
        let Some((value, next)) = take_value(after) else {
            return Ok(ignored + 1);
        };
        match state.tlv(kind, value) {
            Some(Read::Tlv(tlv)) => visit(tlv),
            Some(Read::Silent) => {}
            None => ignored += 1,
        }
        rest = next;
    }
    Ok(ignored)
}

fn body(packet: &[u8]) -> Result<&[u8], PacketError> {
    let &[magic, version, high, low, ref rest @ ..] = packet else {
        return Err(PacketError::Short);
    };
    debug_assert_eq!(packet.len() - rest.len(), HEADER);
    if magic != MAGIC {
        return Err(PacketError::Magic);
    }
    if version != VERSION {
        return Err(PacketError::Version);
    }
    rest.get(..usize::from(u16::from_be_bytes([high, low]))).ok_or(PacketError::BodyLength)
}

/// Splits a length octet and that many octets off.
fn take_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(len))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

fn router_at(bytes: &[u8], at: usize) -> Option<RouterId> {
    bytes.get(at..at + 8)?.try_into().ok().map(RouterId)
}

enum Read {
    Tlv(Tlv),
    /// It only changed the parser's state, or has no meaning for us.
    Silent,
}

/// What a TLV takes from those before it (RFC 8966, section 4.5).
struct State {
    router: Option<RouterId>,
    hop4: Option<Ipv4Addr>,
    hop6: Ipv6Addr,
    base: [Option<Octets>; 3],
}

impl State {
    fn new(from: Ipv6Addr) -> Self {
        State { router: None, hop4: None, hop6: from, base: [None; 3] }
    }

    /// `None`: the TLV has to be ignored.
    fn tlv(&mut self, kind: u8, value: &[u8]) -> Option<Read> {
        let tlv = match kind {
            kind::ACK_REQUEST => ack_request(value)?,
            kind::ACK => ack(value)?,
            kind::HELLO => hello(value)?,
            kind::IHU => ihu(value)?,
            kind::ROUTER_ID => return self.router_id(value),
            kind::NEXT_HOP => return self.next_hop(value),
            kind::UPDATE => self.update(value)?,
            kind::ROUTE_REQUEST => route_request(value)?,
            kind::SEQNO_REQUEST => seqno_request(value)?,
            _ => return Some(Read::Silent),
        };
        Some(Read::Tlv(tlv))
    }

    fn router_id(&mut self, value: &[u8]) -> Option<Read> {
        let router = router_at(value, 2)?;
        self.router = Some(router).filter(|id| !id.is_reserved());
        SubTlvs::read(&value[10..], None)?;
        self.router.map(|_| Read::Silent)
    }

    fn next_hop(&mut self, value: &[u8]) -> Option<Read> {
        let ae = Ae::from_octet(*value.first()?)?;
        let (address, used) = address(ae, value.get(2..)?)?;
        match address {
            None => return None,
            Some(IpAddr::V4(hop)) => self.hop4 = Some(hop),
            Some(IpAddr::V6(hop)) => self.hop6 = hop,
        }
        SubTlvs::read(&value[2 + used..], None)?;
        Some(Read::Silent)
    }

    fn update(&mut self, value: &[u8]) -> Option<Tlv> {
        let (&ae, &flags) = (value.first()?, value.get(1)?);
        let ae = Ae::from_octet(ae)?;
        let prefix = self.update_prefix(ae, value);
        self.remember(ae, flags, prefix.map(|(octets, _)| octets));
        let (octets, used) = prefix?;
        let (plen, omitted) = (value[2], value[3]);
        let (interval, seqno, metric) = (u16_at(value, 4)?, u16_at(value, 6)?, u16_at(value, 8)?);
        let subs = SubTlvs::read(&value[10 + used..], Some(ae))?;
        if ae == Ae::Wildcard {
            let well_formed = metric == INFINITY && plen == 0 && omitted == 0;
            return well_formed.then_some(Tlv::Retract { key: None, interval });
        }
        let key = key(ae, octets, plen, subs.source)?;
        if metric == INFINITY {
            return Some(Tlv::Retract { key: Some(key), interval });
        }
        if interval == 0 {
            return None;
        }
        let next_hop = if ae == Ae::V4 { IpAddr::V4(self.hop4?) } else { IpAddr::V6(self.hop6) };
        Some(Tlv::Update { key, router: self.router?, next_hop, interval, seqno, metric })
    }

    fn update_prefix(&self, ae: Ae, value: &[u8]) -> Option<(Octets, usize)> {
        let field = value.get(10..)?;
        let base = ae.base().and_then(|slot| self.base[slot]);
        prefix(ae, value[2], value[3], base, field)
    }

    /// Applies the flags of an Update, before anything can make it void (section 4.5). One that cannot be read at
    /// all leaves nothing for later ones to build upon.
    fn remember(&mut self, ae: Ae, flags: u8, prefix: Option<Octets>) {
        if let (true, Some(slot)) = (flags & FLAG_PREFIX != 0, ae.base()) {
            self.base[slot] = prefix;
        }
        if flags & FLAG_ROUTER_ID != 0 && ae != Ae::Wildcard {
            let id = prefix.map(|octets| router_of(ae, &octets));
            self.router = id.filter(|id| !id.is_reserved());
        }
    }
}

/// The router-id that the R flag implies.
fn router_of(ae: Ae, octets: &Octets) -> RouterId {
    let mut id = [0; 8];
    if ae.bits() == 32 {
        id[4..].copy_from_slice(&octets[..4]);
    } else {
        id.copy_from_slice(&octets[8..]);
    }
    RouterId(id)
}

fn ack_request(value: &[u8]) -> Option<Tlv> {
    let (opaque, interval) = (u16_at(value, 2)?, u16_at(value, 4)?);
    SubTlvs::read(&value[6..], None)?;
    (interval != 0).then_some(Tlv::AckRequest { opaque, interval })
}

fn ack(value: &[u8]) -> Option<Tlv> {
    let opaque = u16_at(value, 0)?;
    SubTlvs::read(&value[2..], None)?;
    Some(Tlv::Ack { opaque })
}

fn hello(value: &[u8]) -> Option<Tlv> {
    let (flags, seqno, interval) = (u16_at(value, 0)?, u16_at(value, 2)?, u16_at(value, 4)?);
    let subs = SubTlvs::read(&value[6..], None)?;
    let timestamp = subs.timestamp.and_then(|body| u32_at(body, 0));
    Some(Tlv::Hello { unicast: flags & FLAG_UNICAST != 0, seqno, interval, timestamp })
}

fn ihu(value: &[u8]) -> Option<Tlv> {
    let ae = Ae::from_octet(*value.first()?)?;
    let (rxcost, interval) = (u16_at(value, 2)?, u16_at(value, 4)?);
    let (address, used) = address(ae, &value[6..])?;
    let subs = SubTlvs::read(&value[6 + used..], None)?;
    let timestamps = subs.timestamp.and_then(|body| Some((u32_at(body, 0)?, u32_at(body, 4)?)));
    (interval != 0).then_some(Tlv::Ihu { address, rxcost, interval, timestamps })
}

fn route_request(value: &[u8]) -> Option<Tlv> {
    let (&ae, &plen) = (value.first()?, value.get(1)?);
    let ae = Ae::from_octet(ae)?;
    let (octets, used) = prefix(ae, plen, 0, None, &value[2..])?;
    let subs = SubTlvs::read(&value[2 + used..], Some(ae))?;
    if ae == Ae::Wildcard {
        return Some(Tlv::RouteRequest { key: None });
    }
    Some(Tlv::RouteRequest { key: Some(key(ae, octets, plen, subs.source)?) })
}

fn seqno_request(value: &[u8]) -> Option<Tlv> {
    let (&ae, &plen) = (value.first()?, value.get(1)?);
    let ae = Ae::from_octet(ae).filter(|ae| *ae != Ae::Wildcard)?;
    let (seqno, &hop_count) = (u16_at(value, 2)?, value.get(4)?);
    let router = router_at(value, 6)?;
    let (octets, used) = prefix(ae, plen, 0, None, &value[14..])?;
    let subs = SubTlvs::read(&value[14 + used..], Some(ae))?;
    if hop_count == 0 || router.is_reserved() {
        return None;
    }
    Some(Tlv::SeqnoRequest { key: key(ae, octets, plen, subs.source)?, seqno, hop_count, router })
}

/// A whole address and the octets it took; `Some(None)` is the wildcard.
#[allow(clippy::option_option)] // no address given and no address readable are different things
fn address(ae: Ae, field: &[u8]) -> Option<(Option<IpAddr>, usize)> {
    match ae {
        Ae::Wildcard => Some((None, 0)),
        Ae::V4 => Some((Some(IpAddr::V4(Ipv4Addr::from_bits(u32_at(field, 0)?))), 4)),
        Ae::V6 => {
            let octets: Octets = field.get(..16)?.try_into().ok()?;
            Some((Some(IpAddr::V6(octets.into())), 16))
        }
        Ae::LinkLocal => Some((Some(IpAddr::V6(router_at(field, 0)?.link_local())), 8)),
        Ae::V4ViaV6 => None,
    }
}

/// A prefix with all bits beyond `plen` cleared, and the octets of `field` it took.
fn prefix(ae: Ae, plen: u8, omitted: u8, base: Option<Octets>, field: &[u8]) -> Option<(Octets, usize)> {
    if plen > ae.bits() {
        return None;
    }
    let whole = usize::from(plen.div_ceil(8));
    let mut octets = [0; 16];
    let known = match (ae, usize::from(omitted)) {
        (Ae::LinkLocal, 0) => {
            octets[..2].copy_from_slice(&[0xfe, 0x80]);
            whole.min(8)
        }
        (Ae::LinkLocal, _) => return None,
        (_, 0) => 0,
        (_, omitted) if omitted > whole => return None,
        (_, omitted) => {
            octets[..omitted].copy_from_slice(&base?[..omitted]);
            omitted
        }
    };
    let used = whole - known;
    octets[known..whole].copy_from_slice(field.get(..used)?);
    let masked = u128::from_be_bytes(octets) & u128::MAX.checked_shl(128 - u32::from(plen)).unwrap_or(0);
    Some((masked.to_be_bytes(), used))
}

fn net(ae: Ae, octets: Octets, plen: u8) -> Option<IpNet> {
    let address = if ae.bits() == 32 {
        IpAddr::V4(Ipv4Addr::from_bits(u32_at(&octets, 0)?))
    } else {
        IpAddr::V6(octets.into())
    };
    IpNet::new(address, plen).ok()
}

fn key(ae: Ae, octets: Octets, plen: u8, source: Option<IpNet>) -> Option<Key> {
    let dst = net(ae, octets, plen)?;
    match source {
        None => Some(Key::to(dst)),
        Some(src) => Key::new(dst, src),
    }
}

/// What we understand of a TLV's sub-TLVs.
#[derive(Default)]
struct SubTlvs<'a> {
    source: Option<IpNet>,
    timestamp: Option<&'a [u8]>,
}

impl<'a> SubTlvs<'a> {
    /// `None` if the TLV has to be ignored: a sub-TLV is cut off, or is mandatory and not understood. `keyed` is the
    /// address encoding of a TLV that a source prefix may qualify.
    fn read(mut rest: &'a [u8], keyed: Option<Ae>) -> Option<Self> {
        let mut subs = SubTlvs::default();
        while let Some((&kind, after)) = rest.split_first() {
            if kind == sub::PAD1 {
                rest = after;
                continue;
            }
            let (value, next) = take_value(after)?;
            match kind {
                sub::PADN => {}
                sub::TIMESTAMP if subs.timestamp.is_none() => subs.timestamp = Some(value),
                sub::SOURCE_PREFIX if subs.source.is_none() => {
                    subs.source = Some(source_prefix(keyed?, value)?)
                }
                kind if kind & sub::MANDATORY != 0 => return None,
                _ => {}
            }
            rest = next;
        }
        Some(subs)
    }
}

fn source_prefix(ae: Ae, value: &[u8]) -> Option<IpNet> {
    let (&plen, field) = value.split_first()?;
    if plen == 0 || matches!(ae, Ae::Wildcard | Ae::LinkLocal) {
        return None;
    }
    let (octets, _) = prefix(ae, plen, 0, None, field)?;
    net(ae, octets, plen)
}
