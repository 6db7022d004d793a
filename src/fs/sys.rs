//! The system calls that change something, each past one fault point, and nothing else.
//!
//! Everything here is relative to an open folder and follows no symlink.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, Mode, OFlags, Stat};

use super::fault::step;

/// Creates and opens a new file for reading and writing; fails if the name is taken.
pub(super) fn create_new(dir: impl AsFd, name: &str, mode: u32) -> io::Result<File> {
    step("create")?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(fs::openat(dir, name, flags, Mode::from_raw_mode(mode as _))?))
}

/// Opens a file for reading and writing, creating it where there is none.
pub(super) fn open_or_create(dir: impl AsFd, name: &str, mode: u32) -> io::Result<File> {
    step("create")?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(fs::openat(dir, name, flags, Mode::from_raw_mode(mode as _))?))
}

/// Writes some of the bytes at the file's position.
pub(super) fn write(file: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    step("write")?;
    retry(|| rustix::io::write(&file, bytes))
}

/// Writes all bytes at the file's position.
pub(super) fn write_all(file: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(&file, bytes)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    Ok(())
}

/// Makes a file's bytes and attributes durable, or a folder's entries.
pub(super) fn fsync(file: impl AsFd) -> io::Result<()> {
    step("fsync")?;
    #[cfg(target_vendor = "apple")]
    return Ok(fs::fcntl_fullfsync(file)?);
    #[cfg(not(target_vendor = "apple"))]
    Ok(fs::fsync(file)?)
}

/// Makes a file's bytes durable, with what is needed to read them.
pub(super) fn fdatasync(file: impl AsFd) -> io::Result<()> {
    step("fdatasync")?;
    #[cfg(target_vendor = "apple")]
    return Ok(fs::fcntl_fullfsync(file)?);
    #[cfg(not(target_vendor = "apple"))]
    Ok(fs::fdatasync(file)?)
}

/// Makes the whole file system durable that `file` lies on.
#[cfg(target_os = "linux")]
pub(super) fn syncfs(file: impl AsFd) -> io::Result<()> {
    step("syncfs")?;
    Ok(fs::syncfs(file)?)
}

/// Moves `from` to `to`, replacing what is there.
pub(super) fn rename(from: (impl AsFd, &str), to: (impl AsFd, &str)) -> io::Result<()> {
    step("rename")?;
    Ok(fs::renameat(from.0, from.1, to.0, to.1)?)
}

/// Moves `from` to `to`, which must not exist.
///
/// Where the file system has no such rename (NFS, some FUSE), a look before the rename
/// stands in; the gap between the two is as long as one system call.
pub(super) fn rename_new(from: (impl AsFd, &str), to: (impl AsFd, &str)) -> io::Result<()> {
    step("rename")?;
    match fs::renameat_with(&from.0, from.1, &to.0, to.1, fs::RenameFlags::NOREPLACE) {
        Err(error) if lacks_flags(error) => {
            if exists(&to.0, to.1)? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            Ok(fs::renameat(from.0, from.1, to.0, to.1)?)
        }
        other => Ok(other?),
    }
}

/// Swaps two names that both exist; false where the file system cannot.
pub(super) fn exchange(a: (impl AsFd, &str), b: (impl AsFd, &str)) -> io::Result<bool> {
    step("rename")?;
    match fs::renameat_with(a.0, a.1, b.0, b.1, fs::RenameFlags::EXCHANGE) {
        Err(error) if lacks_flags(error) => Ok(false),
        other => other.map(|()| true).map_err(io::Error::from),
    }
}

fn lacks_flags(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// Gives the file at `from` a second name.
pub(super) fn hard_link(from: (impl AsFd, &str), to: (impl AsFd, &str)) -> io::Result<()> {
    step("link")?;
    Ok(fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?)
}

/// Makes a symlink with this target text.
pub(super) fn symlink(target: &str, dir: impl AsFd, name: &str) -> io::Result<()> {
    step("symlink")?;
    Ok(fs::symlinkat(target, dir, name)?)
}

/// Removes a name that is no folder.
pub(super) fn unlink(dir: impl AsFd, name: &str) -> io::Result<()> {
    step("unlink")?;
    Ok(fs::unlinkat(dir, name, AtFlags::empty())?)
}

/// Removes an empty folder.
pub(super) fn rmdir(dir: impl AsFd, name: &str) -> io::Result<()> {
    step("rmdir")?;
    Ok(fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?)
}

/// Makes a folder.
pub(super) fn mkdir(dir: impl AsFd, name: &str, mode: u32) -> io::Result<()> {
    step("mkdir")?;
    Ok(fs::mkdirat(dir, name, Mode::from_raw_mode(mode as _))?)
}

/// Sets the length of an open file; a longer one ends in a hole.
pub(super) fn truncate(file: impl AsFd, len: u64) -> io::Result<()> {
    step("truncate")?;
    Ok(fs::ftruncate(file, len)?)
}

/// Sets the permission bits of an open file, whatever the umask.
pub(super) fn chmod(file: impl AsFd, mode: u32) -> io::Result<()> {
    step("chmod")?;
    Ok(fs::fchmod(file, Mode::from_raw_mode(mode as _))?)
}

/// Gives a file or symlink to another group.
pub(super) fn set_group(dir: impl AsFd, name: &str, group: fs::Gid) -> io::Result<()> {
    step("chown")?;
    Ok(fs::chownat(dir, name, None, Some(group), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Sets the access list of an open file, as the kernel encodes it.
pub(super) fn set_access_list(file: impl AsFd, list: &[u8]) -> io::Result<()> {
    step("setxattr")?;
    Ok(fs::fsetxattr(file, "system.posix_acl_access", list, fs::XattrFlags::empty())?)
}

/// Makes the empty file `to` share the blocks of `from`.
#[cfg(target_os = "linux")]
pub(super) fn reflink(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    step("reflink")?;
    Ok(fs::ioctl_ficlone(to, from)?)
}

/// No way to share blocks through open files here.
#[cfg(not(target_os = "linux"))]
pub(super) fn reflink(_from: impl AsFd, _to: impl AsFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What stands at this name; no symlink is followed.
pub(super) fn stat(dir: impl AsFd, name: &str) -> io::Result<Stat> {
    Ok(fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Whether anything stands at this name.
pub(super) fn exists(dir: impl AsFd, name: &str) -> io::Result<bool> {
    match stat(dir, name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a folder that is no symlink.
pub(super) fn open_dir(dir: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(fs::openat(dir, name, flags, Mode::empty())?)
}

/// Repeats a call that a signal interrupted.
pub(super) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}
