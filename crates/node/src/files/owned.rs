//! Changing whose a file is, or who may open it, where somebody else may write to the folder: never through a link that
//! somebody lays meanwhile.

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::libc;
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, fstat};
use nix::unistd::{Gid, Uid, fchownat};
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Opens a socket that its account and group may reach (0660), in place of one that a dead process left there.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    // By name, since the kernel knows no other way to a bound socket; but of what a link leads to nothing is changed.
    fchmodat(AT_FDCWD, path, Mode::from_bits_truncate(0o660), FchmodatFlags::NoFollowSymlink)?;
    Ok(listener)
}

/// Makes an account the owner of a file. A link changes hands itself, not what it leads to; and a file with a second name
/// stays whose it is, for that name may be anybody's.
pub(crate) fn give(path: &Path, uid: Uid, gid: Gid) -> io::Result<()> {
    let file = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    let data = fstat(&file)?;
    let folder = data.st_mode & libc::S_IFMT == libc::S_IFDIR;
    if data.st_nlink > 1 && !folder && (data.st_uid, data.st_gid) != (uid.as_raw(), gid.as_raw()) {
        return Err(io::Error::other("it has a second name elsewhere: remove it"));
    }
    fchownat(&file, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::atomic::tests::TestDir;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    #[test]
    fn a_socket_is_for_its_account_and_group_and_replaces_only_a_socket() {
        let dir = TestDir::new();
        let path = dir.path().join("page.sock");
        for _ in 0..2 {
            let _socket = listen(&path).expect("socket");
            assert_eq!(crate::files::layout::mode(&path), Some(0o660));
        }
        fs::remove_file(&path).expect("remove");
        fs::write(&path, "a file").expect("file");
        assert!(listen(&path).is_err());
        assert_eq!(fs::read_to_string(&path).expect("still there"), "a file");
    }

    #[test]
    fn the_mode_of_what_a_link_leads_to_is_left_alone() {
        let dir = TestDir::new();
        let (target, link) = (dir.path().join("target"), dir.path().join("page.sock"));
        fs::write(&target, "private").expect("file");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("mode");
        symlink(&target, &link).expect("link");
        assert!(listen(&link).is_err(), "a socket in the place of a link");
        // What somebody does between the two steps.
        let late = fchmodat(AT_FDCWD, &link, Mode::from_bits_truncate(0o660), FchmodatFlags::NoFollowSymlink);
        assert!(late.is_err());
        assert_eq!(crate::files::layout::mode(&target), Some(0o600));
    }

    #[test]
    fn neither_a_link_nor_a_second_name_gives_anything_away() {
        if !Uid::effective().is_root() {
            return;
        }
        let dir = TestDir::new();
        let (target, link, second) =
            (dir.path().join("target"), dir.path().join("link"), dir.path().join("second"));
        fs::write(&target, "private").expect("file");
        symlink(&target, &link).expect("link");
        let (uid, gid) = (Uid::from_raw(65_534), Gid::from_raw(65_534));
        let owner = |path: &Path| fs::symlink_metadata(path).expect("there").uid();
        give(&link, uid, gid).expect("the link itself");
        assert_eq!((owner(&link), owner(&target)), (65_534, 0));
        fs::hard_link(&target, &second).expect("second name");
        give(&second, uid, gid).expect_err("a second name");
        assert_eq!(owner(&target), 0);
        fs::remove_file(&second).expect("remove");
        give(&target, uid, gid).expect("an only name");
        give(dir.path(), uid, gid).expect("a folder");
        assert_eq!((owner(&target), owner(dir.path())), (65_534, 65_534));
    }
}
