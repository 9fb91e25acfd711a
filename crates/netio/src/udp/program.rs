//! Classic BPF: small programs that the kernel runs for a socket. They need no privilege.

use crate::poll::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Attaches a program by the socket option `name`; the kernel copies and verifies it.
pub(super) fn attach(
    socket: BorrowedFd<'_>,
    name: libc::c_int,
    instructions: &[libc::sock_filter],
) -> io::Result<()> {
    let len = u16::try_from(instructions.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The kernel only reads what the pointer leads to, whatever its type says.
    let program = libc::sock_fprog { len, filter: instructions.as_ptr().cast_mut() };
    // SAFETY: the program and its instructions live through the call; the kernel copies them.
    #[allow(unsafe_code)]
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    })?;
    Ok(())
}
