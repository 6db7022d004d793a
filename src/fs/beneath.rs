//! Resolving a path below an open folder without following a symlink.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::dir::FOLDER;
use super::stamp::{FileKind, FileStamp};
use super::{fault, sys};

/// Set when the kernel turned out to lack `openat2`.
static LACKS_OPENAT2: AtomicBool = AtomicBool::new(false);

/// Opens `path` (of proper names only, or empty for `root` itself) without following a symlink.
pub(super) fn open_beneath(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    if !LACKS_OPENAT2.load(Ordering::Relaxed) && !fault::mutated("openat2") {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let name = if path.is_empty() { "." } else { path };
        loop {
            match rustix::fs::openat2(root, name, flags, Mode::empty(), resolve) {
                // A rename elsewhere raced with the resolution: openat2(2) says try again.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOSYS) => {
                    LACKS_OPENAT2.store(true, Ordering::Relaxed);
                    break;
                }
                // Old container sandboxes answer EPERM for calls they do not know. ENOTDIR is
                // also said of a symlink at the end, which the steps tell apart. And a path may be
                // longer than one call takes.
                Err(Errno::PERM | Errno::NOTDIR | Errno::NAMETOOLONG) => break,
                other => return Ok(other?),
            }
        }
    }
    open_stepwise(root, path, flags)
}

/// The same without `openat2`: each folder is opened from the one before, no symlink followed.
pub(super) fn open_stepwise(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let (parents, last) = match path.rsplit_once('/') {
        Some((parents, last)) => (parents, last),
        None if path.is_empty() => return Ok(rustix::fs::openat(root, ".", flags, Mode::empty())?),
        None => ("", path),
    };
    let mut held: Option<OwnedFd> = None;
    for name in parents.split('/').filter(|name| !name.is_empty()) {
        let parent = held.as_ref().map_or(root, |fd| fd.as_fd());
        held = Some(open_step(parent, name, FOLDER)?);
    }
    open_step(held.as_ref().map_or(root, |fd| fd.as_fd()), last, flags | OFlags::NOFOLLOW)
}

fn open_step(parent: BorrowedFd<'_>, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
    if matches!(name, "" | "." | "..") {
        return Err(Errno::XDEV.into());
    }
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        // With O_DIRECTORY Linux says ENOTDIR of a symlink too, and FreeBSD EMLINK.
        Err(Errno::NOTDIR | Errno::MLINK) if is_symlink(parent, name) => Err(Errno::LOOP.into()),
        other => Ok(other?),
    }
}

fn is_symlink(parent: BorrowedFd<'_>, name: &str) -> bool {
    sys::stat(parent, name).is_ok_and(|stat| FileStamp::of(&stat).kind == FileKind::Symlink)
}
