//! Ancillary data (`struct cmsghdr`), octet by octet as the kernel lays it out.

use ln6_overlay_core::forwarder::batch::Ecn;

const WORD: usize = size_of::<usize>();
/// Octets of `struct cmsghdr`: a length word, a level and a type.
const HEAD: usize = align(WORD + 8);

const fn align(len: usize) -> usize {
    len.next_multiple_of(WORD)
}

/// Room for the ancillary data of one message.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Control([u8; Control::LEN]);

/// What the kernel said about a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Received {
    /// Length of each datagram but the last, if several were merged.
    pub(super) stride: Option<u32>,
    pub(super) ecn: Ecn,
}

impl Control {
    /// Four messages of one word.
    pub(super) const LEN: usize = 128;
    pub(super) const EMPTY: Control = Control([0; Control::LEN]);

    /// Appends a message at `at`; where the next one goes. The few that are sent always fit.
    fn push(&mut self, at: usize, level: libc::c_int, kind: libc::c_int, data: &[u8]) -> usize {
        let raw = &mut self.0;
        raw[at..at + WORD].copy_from_slice(&(HEAD + data.len()).to_ne_bytes());
        raw[at + WORD..at + WORD + 4].copy_from_slice(&level.to_ne_bytes());
        raw[at + WORD + 4..at + WORD + 8].copy_from_slice(&kind.to_ne_bytes());
        raw[at + HEAD..at + HEAD + data.len()].copy_from_slice(data);
        at + HEAD + align(data.len())
    }

    /// Writes what a message to send needs; the octets used. `v4` says which header the ECN bits go to.
    pub(super) fn write(&mut self, stride: Option<u16>, ecn: Ecn, v4: bool) -> usize {
        let mut at = 0;
        if let Some(stride) = stride {
            at = self.push(at, libc::SOL_UDP, libc::UDP_SEGMENT, &stride.to_ne_bytes());
        }
        if ecn.0 & 3 != 0 {
            let (level, kind) =
                if v4 { (libc::IPPROTO_IP, libc::IP_TOS) } else { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) };
            at = self.push(at, level, kind, &libc::c_int::from(ecn.0 & 3).to_ne_bytes());
        }
        at
    }

    /// Reads what came with a received message, in the first `len` octets.
    pub(super) fn read(&self, len: usize) -> Received {
        let mut received = Received::default();
        let mut rest = &self.0[..len.min(Control::LEN)];
        while let Some((level, kind, data, next)) = split(rest) {
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => received.stride = number(data),
                (libc::IPPROTO_IP, libc::IP_TOS) => received.ecn = Ecn(data.first().map_or(0, |tos| tos & 3)),
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    received.ecn = Ecn(number(data).map_or(0, |class| class as u8 & 3));
                }
                _ => {}
            }
            rest = next;
        }
        received
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.0.as_mut_ptr().cast()
    }
}

type Message<'a> = (libc::c_int, libc::c_int, &'a [u8], &'a [u8]);

/// The first message and what follows it.
fn split(raw: &[u8]) -> Option<Message<'_>> {
    let len = usize::from_ne_bytes(raw.get(..WORD)?.try_into().ok()?);
    let level = libc::c_int::from_ne_bytes(raw.get(WORD..WORD + 4)?.try_into().ok()?);
    let kind = libc::c_int::from_ne_bytes(raw.get(WORD + 4..WORD + 8)?.try_into().ok()?);
    let data = raw.get(HEAD..len)?;
    Some((level, kind, data, raw.get(align(len)..).unwrap_or_default()))
}

fn number(data: &[u8]) -> Option<u32> {
    data.get(..4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecn_is_read_from_either_family_and_unknown_messages_are_skipped() {
        let mut control = Control::EMPTY;
        let at = control.push(0, libc::SOL_SOCKET, 99, &[1; 5]);
        let at = control.push(at, libc::SOL_UDP, libc::UDP_GRO, &1452i32.to_ne_bytes());
        let at = control.push(at, libc::IPPROTO_IP, libc::IP_TOS, &[0xb9]);
        let received = control.read(at);
        assert_eq!(received, Received { stride: Some(1452), ecn: Ecn(1) });
        let end = control.write(Some(1452), Ecn(3), false);
        assert_eq!(end, 2 * HEAD + align(2) + align(4));
    }

    #[test]
    fn lengths_that_lie_end_the_reading() {
        for len in [0usize, 1, HEAD - 1, 4096, usize::MAX] {
            let mut control = Control::EMPTY;
            control.push(0, libc::SOL_UDP, libc::UDP_GRO, &7i32.to_ne_bytes());
            control.0[..WORD].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(control.read(Control::LEN).stride, None, "{len}");
        }
    }
}
