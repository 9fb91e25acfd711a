//! Making the device: with superpackets if the kernel can, else plain through the `tun-tap` crate.

use super::{SelfTest, Tun, TunError};
use crate::poll::{check, set_nonblocking};
use portable_atomic::Ordering;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// What is wanted of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunOptions {
    /// Superpackets, both ways. Off: a plain device with a single queue.
    pub offload: bool,
    /// UDP superpackets as well (Linux 6.2).
    pub udp_offload: bool,
}

impl Default for TunOptions {
    fn default() -> Self {
        TunOptions { offload: true, udp_offload: true }
    }
}

/// What was had of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TunOffload {
    /// One packet per read and write.
    Plain,
    /// TCP superpackets.
    Tcp,
    /// TCP and UDP superpackets.
    TcpUdp,
}

/// An open device. It vanishes with its last queue (unless it was made persistent elsewhere).
#[derive(Debug)]
pub struct TunSet {
    /// What it is called; differs from the name asked for where that contains `%d`.
    pub name: String,
    /// Its interface index.
    pub index: u32,
    /// One per worker; a single one when `offload` is [`TunOffload::Plain`].
    pub queues: Vec<Tun>,
    /// What the kernel grants.
    pub offload: TunOffload,
}

impl Tun {
    /// Opens the device `name` with a queue for each of `queues` workers (at least one).
    ///
    /// # Errors
    /// [`TunError`]: each with a stable code and a hint. A kernel without superpackets is not an error.
    pub fn open(name: &str, queues: usize, options: TunOptions) -> Result<TunSet, TunError> {
        check_name(name)?;
        let set = if options.offload {
            match open_vnet(name, queues.max(1), options) {
                Err(TunError::System { step, source }) => {
                    tracing::warn!(step, %source, "no superpackets on the TUN: falling back to a plain device");
                    open_plain(name)?
                }
                other => other?,
            }
        } else {
            open_plain(name)?
        };
        tracing::debug!(name = set.name, queues = set.queues.len(), offload = ?set.offload, "TUN open");
        Ok(set)
    }
}

impl TunSet {
    /// Writes tiny superpackets that the kernel must take and then drop, and turns coalescing off in every queue if it refuses.
    ///
    /// # Errors
    /// `EIO` while the device is down: call it after bringing it up.
    pub fn self_test(&mut self) -> io::Result<SelfTest> {
        let Some(first) = self.queues.first_mut().filter(|queue| queue.vnet) else {
            return Ok(SelfTest { tcp: false, udp: false });
        };
        let result = first.self_test(self.offload == TunOffload::TcpUdp)?;
        self.queues.iter_mut().for_each(|queue| queue.set_coalescing(result.tcp));
        Ok(result)
    }
}

fn check_name(name: &str) -> Result<(), TunError> {
    let fits = (1..libc::IFNAMSIZ).contains(&name.len());
    let legal =
        name.bytes().all(|c| c.is_ascii_graphic() && c != b'/' && c != b':') && name != "." && name != "..";
    if fits && legal { Ok(()) } else { Err(TunError::BadName(name.into())) }
}

fn failed(step: &'static str) -> impl FnOnce(io::Error) -> TunError {
    move |source| TunError::System { step, source }
}

fn open_vnet(name: &str, queues: usize, options: TunOptions) -> Result<TunSet, TunError> {
    let multi = if queues > 1 { libc::IFF_MULTI_QUEUE } else { 0 };
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR | multi;
    let first = open_clone()?;
    let name = attach(&first, name, flags)?;
    let offload = set_offload(&first, options)?;
    let mut files = vec![first];
    for _ in 1..queues {
        let file = open_clone()?;
        attach(&file, &name, flags)?;
        set_offload(&file, options)?;
        files.push(file);
    }
    let queue = |file| {
        let mut queue = Tun::from_file(file, true);
        queue.offers = offers(offload);
        queue.counters.gso.store(true, Ordering::Relaxed);
        queue
    };
    let queues = files.into_iter().map(queue).collect();
    Ok(TunSet { index: index_of(&name), name, queues, offload })
}

fn open_clone() -> Result<File, TunError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")
        .map_err(|error| no_device(error, "opening /dev/net/tun"))
}

fn no_device(error: io::Error, step: &'static str) -> TunError {
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::PermissionDenied, _) => TunError::NotPermitted(error),
        (ErrorKind::NotFound, _) | (_, Some(libc::ENODEV | libc::ENXIO)) => TunError::Missing(error),
        _ => TunError::System { step, source: error },
    }
}

/// `struct ifreq` as TUNSETIFF reads it: the name and the flags.
#[repr(C, align(8))]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

fn attach(file: &File, name: &str, flags: libc::c_int) -> Result<String, TunError> {
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags: flags as libc::c_short, rest: [0; 22] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq` (40 octets on 64-bit machines, 32 on others); `Request` has its layout, at
    // least its size, and lives through the call.
    #[allow(unsafe_code)]
    let result = check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) });
    result.map_err(|error| refused(error, name))?;
    let end = request.name.iter().position(|octet| *octet == 0).unwrap_or(libc::IFNAMSIZ);
    Ok(String::from_utf8_lossy(&request.name[..end]).into_owned())
}

/// What it means that TUNSETIFF failed.
fn refused(error: io::Error, name: &str) -> TunError {
    match error.raw_os_error() {
        Some(libc::EBUSY | libc::EEXIST) => TunError::NameTaken(name.into()),
        // The name belongs to a device of another kind, or to a TUN made with other flags.
        Some(libc::EINVAL) if index_of(name) != 0 => TunError::NameTaken(name.into()),
        _ => no_device(error, "TUNSETIFF"),
    }
}

fn set_offload(file: &File, options: TunOptions) -> Result<TunOffload, TunError> {
    let size = super::HEADER_LEN as libc::c_int;
    // SAFETY: TUNSETVNETHDRSZ reads one int, which lives through the call.
    #[allow(unsafe_code)]
    let result = check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const size) });
    result.map_err(failed("TUNSETVNETHDRSZ"))?;
    if options.udp_offload && request_offload(file, offers(TunOffload::TcpUdp)).is_ok() {
        return Ok(TunOffload::TcpUdp);
    }
    // Said again without UDP: the mask belongs to the device, and an earlier owner may have left another.
    request_offload(file, offers(TunOffload::Tcp)).map_err(failed("TUNSETOFFLOAD"))?;
    Ok(TunOffload::Tcp)
}

/// As TUNSETOFFLOAD takes it.
fn offers(offload: TunOffload) -> libc::c_uint {
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    match offload {
        TunOffload::TcpUdp => tcp | libc::TUN_F_USO4 | libc::TUN_F_USO6,
        TunOffload::Tcp => tcp,
        TunOffload::Plain => 0,
    }
}

pub(super) fn request_offload(file: &File, mask: libc::c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    #[allow(unsafe_code)]
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(mask)) })?;
    Ok(())
}

fn open_plain(name: &str) -> Result<TunSet, TunError> {
    let iface = tun_tap::Iface::without_packet_info(name, tun_tap::Mode::Tun)
        .map_err(|error| refused(error, name))?;
    let name = iface.name().to_owned();
    // SAFETY: `into_raw_fd` gives up the descriptor, so that it has one owner.
    #[allow(unsafe_code)]
    let fd = unsafe { OwnedFd::from_raw_fd(iface.into_raw_fd()) };
    set_nonblocking(fd.as_raw_fd()).map_err(failed("O_NONBLOCK"))?;
    let queues = vec![Tun::from_file(File::from(fd), false)];
    Ok(TunSet { index: index_of(&name), name, queues, offload: TunOffload::Plain })
}

/// The index of the interface, 0 if there is none.
fn index_of(name: &str) -> u32 {
    let Ok(name) = CString::new(name) else { return 0 };
    // SAFETY: a C string that lives through the call.
    #[allow(unsafe_code)]
    unsafe {
        libc::if_nametoindex(name.as_ptr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_would_cut_or_refuse_are_told_apart() {
        for name in ["", "sixteen-letters-", "a/b", "a b", "..", "a:1"] {
            let error = Tun::open(name, 1, TunOptions::default()).unwrap_err();
            assert_eq!(error.code(), "interface_name_invalid", "{name}");
        }
        assert!(check_name("ln6").is_ok() && check_name("ln6d%d").is_ok());
    }

    #[test]
    fn each_refusal_of_the_kernel_has_its_own_code() {
        let code = |errno| refused(io::Error::from_raw_os_error(errno), "no-such-device").code();
        assert_eq!(code(libc::EPERM), "not_permitted");
        assert_eq!(code(libc::EBUSY), "interface_taken");
        assert_eq!(code(libc::ENODEV), "no_tun_device");
        assert_eq!(code(libc::EINVAL), "tun_failed");
        assert_eq!(refused(io::Error::from_raw_os_error(libc::EINVAL), "lo").code(), "interface_taken");
    }
}
