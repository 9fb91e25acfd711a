//! A node that only asks to be let in: a handshake, one request, its answer. Hundreds of them fit into one test.
#![allow(dead_code)] // each test program uses a part of it
#![allow(unreachable_pub)] // a module of test programs, not of a library

use anyhow::{Context as _, Result, bail, ensure};
use ln6_crypto::Link;
use ln6_crypto::SigningKey;
use ln6_crypto::cookie::CookieJar;
use ln6_crypto::handshake::{Ephemeral, Initiator, SessionKeys, Tai64n};
use ln6_crypto::keys::{Psk, StaticSecret};
use ln6_crypto::message::{
    COOKIE_LEN, INITIATION_LEN, Kind, PADDING, RESPONSE_LEN, TAG, TRANSPORT_HEADER, read_transport_header,
    write_transport_header,
};
use ln6_crypto::seal::Suite;
use ln6_lab::Namespace;
use ln6_overlay_core::control::message::{Body, JoinReply, JoinRequest, Message, join_proof};
use ln6_overlay_core::forwarder::frame::{message_body, message_frame};
use ln6_types::PublicKey;
use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SUITES: [Suite; 2] = [Suite::ChaCha20Poly1305, Suite::Aes256Gcm];
/// How long a datagram is waited for before it is sent again: the underlay may lose some.
const AGAIN: Duration = Duration::from_secs(1);

/// Where strangers ask.
#[derive(Clone)]
pub struct Door {
    link: Link,
    port: u16,
    namespace: String,
}

impl Door {
    /// The broker that an open link leads to, asked from inside its own machine.
    pub fn of(link: &str, namespace: &Namespace) -> Result<Self> {
        let link: Link = link.parse().ok().context("a link")?;
        let port = link.endpoints.first().and_then(|end| end.rsplit_once(':')?.1.parse().ok());
        Ok(Door {
            port: port.context("a port in the link")?,
            link,
            namespace: namespace.full_name().to_owned(),
        })
    }

    /// A socket on the machine's loopback.
    fn socket(&self, from: Ipv4Addr) -> Result<UdpSocket> {
        let namespace = File::open(format!("/var/run/netns/{}", self.namespace))?;
        // A thread of its own: the rest of the test stays where it is.
        let made = std::thread::spawn(move || -> Result<UdpSocket> {
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
            Ok(UdpSocket::bind((from, 0))?)
        });
        let socket = made.join().ok().context("the thread ended badly")??;
        socket.set_read_timeout(Some(AGAIN))?;
        Ok(socket)
    }
}

/// Keys made from a number.
pub struct Stranger {
    secret: StaticSecret,
    sign: SigningKey,
    name: String,
    size: u8,
    contact: Option<String>,
    from: Ipv4Addr,
}

impl Stranger {
    /// `number` chooses the keys and the address that it asks from; `from` is one of 250 on the loopback.
    pub fn new(number: u32, name: &str, size: u8) -> Self {
        let seed = |kind: u8| {
            let mut seed = [kind; 32];
            seed[..4].copy_from_slice(&number.to_be_bytes());
            seed
        };
        Stranger {
            secret: StaticSecret::from_bytes(seed(0x5a)),
            sign: SigningKey::from_seed(seed(0xa5)),
            name: name.to_owned(),
            size,
            contact: Some(format!("{name}@example.net")),
            from: Ipv4Addr::new(127, 0, 1, 1 + (number % 250) as u8),
        }
    }

    /// Its key.
    pub fn key(&self) -> PublicKey {
        self.secret.public()
    }

    /// Asks, and says what the broker says; an error if it does not answer until the deadline.
    pub fn ask(&self, door: &Door, patience: Duration) -> Result<JoinReply> {
        let socket = door.socket(self.from)?;
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, door.port));
        let deadline = Instant::now() + patience;
        let keys = self.shake_hands(door, &socket, to, deadline)?;
        let (seal, open) = (keys.send.aead(keys.suite)?, keys.receive.aead(keys.suite)?);
        let (mut counter, mut room) = (0, [0; 2048]);
        let mut text = Vec::new();
        let request = Message { id: Some(1), body: Body::Join(self.request(door)) };
        request.encode(&mut text).ok().context("the request is too large")?;
        let frame = message_frame(&text).context("a frame")?;
        loop {
            ensure!(Instant::now() < deadline, "no answer to the request");
            let padded = frame.len().next_multiple_of(PADDING);
            let mut datagram = vec![0; TRANSPORT_HEADER + padded + TAG];
            datagram[TRANSPORT_HEADER..TRANSPORT_HEADER + frame.len()].copy_from_slice(&frame);
            let (head, body) = datagram.split_first_chunk_mut::<TRANSPORT_HEADER>().context("room")?;
            write_transport_header(head, keys.send_index, counter);
            seal.seal_in_place(counter, body, padded);
            counter += 1;
            socket.send_to(&datagram, to)?;
            let until = Instant::now() + AGAIN;
            while let Some(len) = receive(&socket, &mut room, until.min(deadline))? {
                let datagram = &mut room[..len];
                let Some((index, count)) = read_transport_header(datagram) else { continue };
                if index != keys.receive_index {
                    continue;
                }
                let body = &mut datagram[TRANSPORT_HEADER..];
                let Ok(len) = open.open_in_place(count, body) else { continue };
                let message = message_body(&body[..len]).and_then(|body| Message::decode(body).ok());
                if let Some(Message { body: Body::JoinReply(reply), .. }) = message {
                    return Ok(reply);
                }
            }
        }
    }

    fn request(&self, door: &Door) -> JoinRequest {
        JoinRequest {
            network: door.link.network,
            name: self.name.clone(),
            holder: None,
            size: self.size,
            ssid: None,
            secret: door.link.secret,
            sign: self.sign.verify_key(),
            proof: join_proof(&self.sign, &door.link.network, &self.key()),
            contact: self.contact.clone(),
            leaf: false,
        }
    }

    fn shake_hands(
        &self,
        door: &Door,
        socket: &UdpSocket,
        to: SocketAddr,
        deadline: Instant,
    ) -> Result<SessionKeys> {
        let broker = &door.link.broker;
        let mut jar = CookieJar::new(broker);
        let begun = Instant::now();
        let now = || ln6_types::Instant::ZERO + begun.elapsed();
        loop {
            ensure!(Instant::now() < deadline, "no answer to the handshake");
            let time = SystemTime::now().duration_since(UNIX_EPOCH)?;
            let stamp = Tai64n::from_unix(time.as_secs(), time.subsec_nanos());
            let mut seed = [0; 32];
            seed[..16].copy_from_slice(&time.as_nanos().to_be_bytes());
            seed[16..].copy_from_slice(&self.key().0[..16]);
            let mut first = [0; INITIATION_LEN];
            let index = u32::from_be_bytes([seed[12], seed[13], seed[14], seed[15]]);
            let ephemeral = Ephemeral::from_seed(seed);
            let mut mine = Initiator::start(&self.secret, broker, index, stamp, ephemeral, &mut first)?;
            jar.write_macs(now(), &mut first);
            socket.send_to(&first, to)?;
            let (mut room, until) = ([0; 2048], Instant::now() + AGAIN);
            while let Some(len) = receive(socket, &mut room, until.min(deadline))? {
                match Kind::of(&room[..len]) {
                    Some(Kind::Response) => {
                        let answer: &[u8; RESPONSE_LEN] = room[..len].try_into()?;
                        match mine.finish(&Psk::NONE, &SUITES, answer) {
                            Ok(keys) => return Ok(keys),
                            Err((again, _)) => mine = again,
                        }
                    }
                    Some(Kind::CookieReply) => {
                        let reply: &[u8; COOKIE_LEN] = room[..len].try_into()?;
                        if jar.open_reply(now(), reply).is_ok() {
                            break;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The next datagram until then.
fn receive(socket: &UdpSocket, room: &mut [u8], until: Instant) -> Result<Option<usize>> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(None);
    }
    socket.set_read_timeout(Some(left))?;
    match socket.recv_from(room) {
        Ok((len, _)) => Ok(Some(len)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        // The daemon is not there, or not any more.
        Err(error) => bail!("{error}"),
    }
}
