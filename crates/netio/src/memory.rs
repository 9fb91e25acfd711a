//! Twins of the devices for tests: the same code, no privileges.
//!
//! The TUN's twin is a pair of Unix datagram sockets: one message is one packet, as on the device. UDP needs no twin, loopback is one.

use crate::tun::{HEADER_LEN, Tun, decode, encode};
use ln6_overlay_core::forwarder::batch::Gso;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

/// The kernel's side of a TUN.
#[derive(Debug)]
pub struct TunEnd {
    socket: UnixDatagram,
    vnet: bool,
}

/// A TUN queue and what takes the kernel's place behind it.
pub fn tun_pair(vnet: bool) -> io::Result<(Tun, TunEnd)> {
    let (near, far) = UnixDatagram::pair()?;
    near.set_nonblocking(true)?;
    Ok((Tun::from_file(File::from(OwnedFd::from(near)), vnet), TunEnd { socket: far, vnet }))
}

impl TunEnd {
    /// Gives the queue a packet to read.
    pub fn send(&self, gso: &Gso, packet: &[u8]) -> io::Result<()> {
        let mut message = if self.vnet { encode(gso).to_vec() } else { Vec::new() };
        message.extend_from_slice(packet);
        self.socket.send(&message).map(|_| ())
    }

    /// Waits for a packet that the queue wrote.
    pub fn recv(&self) -> io::Result<(Gso, Vec<u8>)> {
        let mut message = vec![0; HEADER_LEN + 65_536];
        let len = self.socket.recv(&mut message)?;
        message.truncate(len);
        if !self.vnet {
            return Ok((Gso::default(), message));
        }
        let packet = message.split_off(HEADER_LEN.min(len));
        let header: [u8; HEADER_LEN] = message.try_into().map_err(|_| ErrorKind::InvalidData)?;
        Ok((decode(&header, packet.len()).ok_or(ErrorKind::InvalidData)?, packet))
    }
}
