//! Moving a file or folder between file systems without a moment in which it is in neither.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::dir::{remove_tree, sync_folder};
use super::file::read_full;
use super::folders::Place;
use super::stamp::{FileKind, FileStamp, permissions};
use super::{sys, walk};

/// Moves `from` to `to`, a free name on another file system: copy, fsync, compare, remove.
///
/// After a failure the original is whole; what was made of the copy is removed again.
pub(super) fn move_across(from: &Place<'_>, to: &Place<'_>) -> io::Result<()> {
    let copied = copy_tree(from, to).and_then(|()| sync_folder(to.fd()));
    if let Err(error) = copied {
        let _ = remove_tree(to.fd(), to.name);
        return Err(error);
    }
    remove_tree(from.fd(), from.name)
}

/// Folders still to be copied: both sides open.
struct Pair {
    from: OwnedFd,
    to: OwnedFd,
}

fn copy_tree(from: &Place<'_>, to: &Place<'_>) -> io::Result<()> {
    let mut todo = Vec::new();
    todo.extend(copy_one(from.fd(), from.name, to.fd(), to.name)?);
    while let Some(pair) = todo.pop() {
        let mut names = Vec::new();
        walk::each_name(&pair.from, &mut walk::listing_buffer(), |name, _| names.push(name.to_vec()))?;
        for name in names {
            let name =
                String::from_utf8(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
            todo.extend(copy_one(pair.from.as_fd(), &name, pair.to.as_fd(), &name)?);
        }
        sync_folder(&pair.to)?;
    }
    Ok(())
}

/// Copies one file or symlink; of a folder makes the counterpart and returns both.
fn copy_one(
    from: BorrowedFd<'_>,
    name: &str,
    to: BorrowedFd<'_>,
    new_name: &str,
) -> io::Result<Option<Pair>> {
    let stat = sys::stat(from, name)?;
    match FileStamp::of(&stat).kind {
        FileKind::File => copy_file(from, name, to, new_name, permissions(&stat)).map(|()| None),
        FileKind::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            let target = target.to_str().map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
            sys::symlink(target, to, new_name).map(|()| None)
        }
        FileKind::Dir => {
            sys::mkdir(to, new_name, 0o777)?;
            Ok(Some(Pair { from: sys::open_dir(from, name)?, to: sys::open_dir(to, new_name)? }))
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn copy_file(
    from: BorrowedFd<'_>,
    name: &str,
    to: BorrowedFd<'_>,
    new_name: &str,
    mode: u32,
) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = File::from(rustix::fs::openat(from, name, flags, Mode::empty())?);
    let target = sys::create_new(to, new_name, 0o600)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = read_full(&mut &source, &mut buffer)?;
        if count == 0 {
            break;
        }
        sys::write_all(&target, &buffer[..count])?;
    }
    sys::chmod(&target, mode)?;
    sys::fsync(&target)?;
    compare(&source, &target, &mut buffer)
}

fn compare(source: &File, target: &File, buffer: &mut [u8]) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let mut other = vec![0; buffer.len()];
    let mut position = 0;
    loop {
        let count = source.read_at(buffer, position)?;
        if count == 0 {
            let more = target.read_at(&mut other[..1], position)?;
            return if more == 0 { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) };
        }
        target.read_exact_at(&mut other[..count], position)?;
        if buffer[..count] != other[..count] {
            return Err(io::ErrorKind::InvalidData.into());
        }
        position += count as u64;
    }
}
