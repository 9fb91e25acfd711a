//! Waiting and waking: epoll and eventfd.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Turns the result of a system call into an error or the value.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// An eventfd: readable once [`Wake::signal`] was called, until [`Wake::clear`].
#[derive(Debug)]
pub struct Wake(File);

impl Wake {
    /// A new one, not readable; non-blocking, closed on exec.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; a descriptor that is returned belongs to nobody else.
        #[allow(unsafe_code)]
        let fd = unsafe {
            let fd = check(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Wake(File::from(fd)))
    }

    /// Makes it readable. Fails silently when it already is, 2^64 - 2 times over.
    pub fn signal(&self) {
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Makes it unreadable.
    pub fn clear(&self) {
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A level-triggered epoll set for a handful of descriptors.
#[derive(Debug)]
pub(crate) struct Poller(OwnedFd);

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; a descriptor that is returned belongs to nobody else.
        #[allow(unsafe_code)]
        let fd = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Poller(fd))
    }

    /// Wakes when `fd` is readable. The descriptor leaves the set when it is closed.
    pub(crate) fn add(&self, fd: RawFd) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: fd as u64 };
        // SAFETY: `event` lives through the call; the kernel copies it.
        #[allow(unsafe_code)]
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) })?;
        Ok(())
    }

    /// Sleeps until something is readable or `timeout` milliseconds passed (-1: for ever); a signal also ends it. What is
    /// readable then, failures included.
    pub(crate) fn wait(&self, timeout: i32) -> io::Result<Readable> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 4];
        // SAFETY: `events` has room for the four events promised.
        #[allow(unsafe_code)]
        let done = check(unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), 4, timeout) });
        match done {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Readable::default()),
            other => other.map(|ready| {
                let mut readable = Readable::default();
                // The record is packed on some machines: its fields are copied, never borrowed.
                let ready = events[..ready as usize].iter().map(|event| event.u64 as RawFd);
                readable.0.iter_mut().zip(ready).for_each(|(place, fd)| *place = Some(fd));
                readable
            }),
        }
    }
}

/// The descriptors that a wait found readable.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readable([Option<RawFd>; 4]);

impl Readable {
    /// Whether `fd` is among them.
    pub(crate) fn has(&self, fd: RawFd) -> bool {
        self.0.contains(&Some(fd))
    }
}

/// Waits until `fd` can be written, at most `timeout` milliseconds; whether it can.
pub(crate) fn wait_writable(fd: RawFd, timeout: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd, which lives through the call.
    #[allow(unsafe_code)]
    let ready = unsafe { libc::poll(&mut poll, 1, timeout) };
    ready == 1 && poll.revents & libc::POLLOUT != 0
}

/// Sets O_NONBLOCK.
pub(crate) fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: no pointers.
    #[allow(unsafe_code)]
    unsafe {
        let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_is_readable_until_it_is_cleared() {
        let (poller, wake) = (Poller::new().unwrap(), Wake::new().unwrap());
        poller.add(wake.as_raw_fd()).unwrap();
        wake.signal();
        wake.signal();
        assert!(poller.wait(-1).unwrap().has(wake.as_raw_fd()));
        wake.clear();
        assert!(!poller.wait(0).unwrap().has(wake.as_raw_fd()));
        let mut byte = [0; 8];
        assert_eq!((&wake.0).read(&mut byte).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
