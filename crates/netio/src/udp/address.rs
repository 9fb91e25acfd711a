//! Socket addresses as the kernel writes them, octet by octet, so that nothing here is unsafe.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Octets of `struct sockaddr_in`.
const IN: usize = 16;
/// Octets of `struct sockaddr_in6`.
const IN6: usize = 28;

/// Room for `struct sockaddr_in` and `struct sockaddr_in6`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct RawAddress([u8; 32]);

impl RawAddress {
    /// What the kernel may fill.
    pub(super) const LEN: usize = IN6;
    pub(super) const EMPTY: RawAddress = RawAddress([0; 32]);

    /// `address` for a socket of family AF_INET6 (`v6`) or AF_INET, and the length of it. `None` if that family cannot say it.
    pub(super) fn write(address: SocketAddr, v6: bool) -> Option<(RawAddress, usize)> {
        let mut raw = [0; 32];
        raw[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) if !v6 => {
                raw[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                raw[4..8].copy_from_slice(&v4.ip().octets());
                return Some((RawAddress(raw), IN));
            }
            SocketAddr::V6(_) if !v6 => return None,
            SocketAddr::V4(v4) => raw[8..24].copy_from_slice(&v4.ip().to_ipv6_mapped().octets()),
            SocketAddr::V6(v6) => {
                raw[8..24].copy_from_slice(&v6.ip().octets());
                raw[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            }
        }
        raw[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
        Some((RawAddress(raw), IN6))
    }

    /// What the kernel wrote in the first `len` octets. IPv4-mapped addresses become IPv4.
    pub(super) fn read(&self, len: usize) -> Option<SocketAddr> {
        let raw = &self.0;
        let family = libc::c_int::from(u16::from_ne_bytes([raw[0], raw[1]]));
        let port = u16::from_be_bytes([raw[2], raw[3]]);
        if family == libc::AF_INET && len >= IN {
            let ip = Ipv4Addr::new(raw[4], raw[5], raw[6], raw[7]);
            return Some(SocketAddrV4::new(ip, port).into());
        }
        if family != libc::AF_INET6 || len < IN6 {
            return None;
        }
        let octets: [u8; 16] = raw[8..24].try_into().ok()?;
        let ip = Ipv6Addr::from(octets);
        if let Some(ip) = ip.to_ipv4_mapped() {
            return Some(SocketAddrV4::new(ip, port).into());
        }
        let scope = u32::from_ne_bytes([raw[24], raw[25], raw[26], raw[27]]);
        Some(SocketAddrV6::new(ip, port, 0, scope).into())
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.0.as_mut_ptr().cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_and_ipv4_is_never_mapped() {
        for (text, v6) in [
            ("192.0.2.7:6695", true),
            ("192.0.2.7:6695", false),
            ("[2001:db8::1]:1", true),
            ("[fe80::1%3]:65535", true),
        ] {
            let address: SocketAddr = text.parse().unwrap();
            let (raw, len) = RawAddress::write(address, v6).unwrap();
            assert_eq!(raw.read(len), Some(address));
            assert_eq!(raw.read(len - 1), None);
        }
        assert!(RawAddress::write("[::1]:1".parse().unwrap(), false).is_none());
        assert_eq!(RawAddress::EMPTY.read(32), None);
    }
}
