//! Relayed datagrams (message 5) at a node that passes them on, and that they are for.

use crate::input::Input;
use crate::net::{self, MTU, Node, aead, host, index, path, peer, router};
use crate::transport::sealed;
use ln6_crypto::message::{
    RELAYED_LEAST, RELAYED_TEXT, TAG, TRANSPORT_HEADER, read_relayed_header, read_transport_header,
    write_relayed_header,
};
use ln6_overlay_core::Path;
use ln6_overlay_core::forwarder::arena::ArenaLayout;
use ln6_overlay_core::forwarder::batch::GsoKind;
use ln6_overlay_core::forwarder::frame::{RELAY_HEADER, relay_frame};
use ln6_overlay_core::forwarder::mail::PeerKind;

const ME: u8 = 6;
const FROM: u8 = 1;
const NEXT: u8 = 7;
const GUEST: u8 = 9;
/// Reached through [`FROM`]; whose datagrams are for us.
const FAR: u8 = 5;
const DATAGRAMS: usize = 16;
/// Octets that the neighbours' session seals.
const HEAD: usize = RELAY_HEADER + TRANSPORT_HEADER;
/// Where in a frame the hop limit is.
const HOP_LIMIT: usize = 4;

/// Datagrams with any head and freight in a neighbour's session, some changed on the way, some sent twice. What is passed on
/// is as long as it came and differs in the hop limit alone; who changed what the neighbour vouches for, or sent it again,
/// is passed over; what is delivered is what was sealed to us.
pub fn relayed_datagram(data: &[u8]) {
    let mut input = Input::new(data);
    let mut node = Node::with(ME, |config| config.layout = ArenaLayout::SMALL);
    node.takes_relayed = input.octet() & 1 == 0;
    node.meet(FROM, PeerKind::Node, path(FROM));
    node.meet(NEXT, PeerKind::Node, path(NEXT));
    node.meet(GUEST, PeerKind::Guest, path(GUEST));
    node.meet(FAR, PeerKind::Node, Path::Through(peer(FROM)));
    node.fib.routers = [NEXT, GUEST, FAR].map(|number| (router(number), peer(number))).to_vec();
    node.route_to(FAR);
    let mut sent = 0;
    for counter in 0..DATAGRAMS as u64 {
        if input.is_empty() {
            break;
        }
        let load = Load::of(&mut input, counter);
        let datagram = load.datagram(counter);
        let fate = load.fate(&datagram);
        take(&mut node, load.from, &datagram);
        let trains = node.trains();
        let written: Vec<_> = node.writes();
        assert_eq!(
            (trains.len(), written.len()),
            ((fate == Fate::Onward).into(), (fate == Fate::Ours).into())
        );
        for (to, bytes, stride) in trains {
            assert!(to == path(NEXT) && usize::from(stride) == bytes.len() && bytes.len() == datagram.len());
            assert_eq!(passed_on(node.takes_relayed, &bytes, sent), one_hop_less(&datagram));
            sent += 1;
        }
        for (gso, packet) in written {
            assert!(gso.kind == GsoKind::None && Some(packet) == load.packet);
        }
        node.clear();
        if load.again {
            take(&mut node, load.from, &datagram);
            assert!(node.trains().is_empty() && node.writes().is_empty(), "it counted twice");
            node.clear();
        }
    }
}

fn take(node: &mut Node, from: u8, datagram: &[u8]) {
    node.read_udp(0, path(from), datagram, datagram.len() as u16);
    node.end();
}

#[derive(PartialEq, Eq, Debug)]
enum Fate {
    Onward,
    Ours,
    Nowhere,
}

/// What a neighbour sends.
struct Load {
    from: u8,
    frame: Vec<u8>,
    /// The packet within, sealed to us by [`FAR`].
    packet: Option<Vec<u8>>,
    /// Which octet is changed on the way, and how.
    change: Option<(usize, u8)>,
    again: bool,
}

impl Load {
    fn of(input: &mut Input<'_>, counter: u64) -> Load {
        let how = input.octet();
        let from = if how & 0x30 == 0x30 { GUEST } else { FROM };
        let to = input.choose(&[NEXT, ME, NEXT, FAR, GUEST, 77]);
        let packet = (how & 1 == 0 && to == ME)
            .then(|| net::udp(host(FAR), host(ME), (1, 53), &net::bytes(usize::from(input.octet()))));
        let freight = match &packet {
            Some(packet) => sealed(FAR, ME, counter, packet),
            None => input.chunk(1500).to_vec(),
        };
        let mut frame = relay_frame(router(to), router(FAR), &freight).expect("short");
        if how & 2 != 0 {
            let at = usize::from(input.octet()) % RELAY_HEADER;
            frame[at] = input.octet();
        }
        let change = (how & 4 != 0).then(|| (usize::from(input.word()), input.octet().max(1)));
        Load { from, frame, packet, change, again: how & 8 != 0 }
    }

    /// Its head sealed by the neighbour; then changed.
    fn datagram(&self, counter: u64) -> Vec<u8> {
        let mut datagram = [&[0; RELAYED_TEXT][..], &self.frame].concat();
        let header = datagram.first_chunk_mut().expect("longer");
        write_relayed_header(header, index(ME, self.from), counter);
        if datagram.len() >= RELAYED_LEAST {
            let bound = *datagram.last_chunk::<TAG>().expect("longer");
            let head = &mut datagram[RELAYED_TEXT..][..HEAD];
            let tag = aead(self.from, ME, 0).seal_head(counter, &bound, head);
            datagram[TRANSPORT_HEADER..RELAYED_TEXT].copy_from_slice(&tag);
        }
        if let Some((at, with)) = self.change {
            let at = at % datagram.len();
            datagram[at] ^= with;
        }
        datagram
    }

    /// What must become of it, by the rules of docs/protocol.md.
    fn fate(&self, datagram: &[u8]) -> Fate {
        let changed = self.change.map(|(at, _)| at % datagram.len());
        let freight = RELAYED_TEXT + HEAD..datagram.len().saturating_sub(TAG);
        let vouched = changed.is_none_or(|at| freight.contains(&at));
        let frame = &self.frame;
        let whole =
            frame[..2] == [0, 2] && usize::from(u16::from_be_bytes([frame[2], frame[3]])) == frame.len();
        if !vouched || !whole || self.from == GUEST || datagram.len() < RELAYED_LEAST {
            return Fate::Nowhere;
        }
        let to = &frame[8..16];
        match &self.packet {
            _ if to == router(NEXT).0 && frame[HOP_LIMIT] > 1 && frame.len() <= usize::from(MTU) => {
                Fate::Onward
            }
            Some(_) if to == router(ME).0 && changed.is_none() => Fate::Ours,
            _ => Fate::Nowhere,
        }
    }
}

/// The frame with one hop less, its head in clear.
fn one_hop_less(datagram: &[u8]) -> Vec<u8> {
    let (_, counter) = read_relayed_header(datagram).expect("it was passed on");
    let mut frame = opened(FROM, ME, counter, datagram);
    frame[HOP_LIMIT] -= 1;
    frame
}

/// The frame as the next hop opens it: a relayed datagram if it takes them, else a transport message.
fn passed_on(takes_relayed: bool, datagram: &[u8], counter: u64) -> Vec<u8> {
    let header = Some((index(NEXT, ME), counter));
    if takes_relayed {
        assert_eq!(read_relayed_header(datagram), header);
        return opened(ME, NEXT, counter, datagram);
    }
    assert_eq!(read_transport_header(datagram), header);
    let mut text = datagram[TRANSPORT_HEADER..].to_vec();
    let len = aead(ME, NEXT, 0).open_in_place(counter, &mut text).expect("sealed");
    text.truncate(len);
    text
}

fn opened(from: u8, to: u8, counter: u64, datagram: &[u8]) -> Vec<u8> {
    let bound = *datagram.last_chunk::<TAG>().expect("longer");
    let tag = *datagram[TRANSPORT_HEADER..].first_chunk::<TAG>().expect("longer");
    let mut frame = datagram[RELAYED_TEXT..].to_vec();
    aead(from, to, 0).open_head(counter, &bound, &mut frame[..HEAD], tag).expect("sealed");
    frame
}
