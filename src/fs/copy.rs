//! Moving a file or folder between file systems without a moment in which it is in neither.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::dir::{remove_tree, sync_folder};
use super::file::read_full;
use super::folders::Place;
use super::stamp::{FileKind, FileStamp, permissions};
use super::{fault, sys, walk};

/// Moves `from` to `to`, a free name on another file system: copy, fsync, compare, remove.
///
/// What was copied is removed and nothing else: a file that came or changed meanwhile stays, and the
/// move fails (R2). Before anything was removed, what was made of the copy goes again.
pub(super) fn move_across(from: &Place<'_>, to: &Place<'_>) -> io::Result<()> {
    let copied = copy_tree(from, to).and_then(|copied| sync_folder(to.fd()).map(|()| copied));
    match copied {
        Ok(copied) => copied.remove(from),
        Err(error) => {
            let _ = remove_tree(to.fd(), to.name);
            Err(error)
        }
    }
}

/// What was copied: a single file, or folders with those in it before those in them.
#[derive(Debug)]
enum Copied {
    File(FileStamp),
    Folders(Vec<Folder>),
}

#[derive(Debug)]
struct Folder {
    /// Number of the folder that it is in, and its name there; nothing for the first.
    parent: Option<(usize, String)>,
    /// Files and symlinks, with their stamps from before they were read.
    files: Vec<(String, FileStamp)>,
}

impl Copied {
    /// Removes the originals, each if it is what was copied.
    fn remove(self, from: &Place<'_>) -> io::Result<()> {
        let folders = match self {
            Copied::File(stamp) => return remove_if_same(from.fd(), from.name, &stamp),
            Copied::Folders(folders) => folders,
        };
        let mut outcome = Ok(());
        for (number, folder) in folders.iter().enumerate().rev() {
            let opened = open_again(&folders, number, from)?;
            for (name, stamp) in &folder.files {
                outcome = outcome.and(remove_if_same(opened.as_fd(), name, stamp));
            }
            let removed = match &folder.parent {
                Some((above, name)) => sys::rmdir(open_again(&folders, *above, from)?, name),
                None => sys::rmdir(from.fd(), from.name),
            };
            outcome = outcome.and(removed);
        }
        outcome
    }
}

/// Opens a folder by its names from the first on: a descriptor for each would be too many.
fn open_again(folders: &[Folder], number: usize, from: &Place<'_>) -> io::Result<OwnedFd> {
    let mut names = Vec::new();
    let mut at = &folders[number];
    while let Some((above, name)) = &at.parent {
        names.push(name);
        at = &folders[*above];
    }
    let first = sys::open_dir(from.fd(), from.name)?;
    names.iter().rev().try_fold(first, |folder, name| sys::open_dir(&folder, name))
}

fn remove_if_same(folder: BorrowedFd<'_>, name: &str, copied: &FileStamp) -> io::Result<()> {
    let found = FileStamp::of(&sys::stat(folder, name)?);
    // It was written to after it was read.
    if !found.has_same_bytes(copied) && !fault::mutated("copied-check") {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    sys::unlink(folder, name)
}

/// A folder to be copied: both sides open, and its number.
struct Pair {
    from: OwnedFd,
    to: OwnedFd,
    number: usize,
}

fn copy_tree(from: &Place<'_>, to: &Place<'_>) -> io::Result<Copied> {
    let first = match copy_one(from.fd(), from.name, to.fd(), to.name)? {
        One::File(stamp) => return Ok(Copied::File(stamp)),
        One::Folder(from, to) => Pair { from, to, number: 0 },
    };
    let mut folders = vec![Folder { parent: None, files: Vec::new() }];
    let mut todo = vec![first];
    while let Some(pair) = todo.pop() {
        let mut names = Vec::new();
        walk::each_name(&pair.from, &mut walk::listing_buffer(), |name, _| names.push(name.to_vec()))?;
        for name in names {
            let name =
                String::from_utf8(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
            match copy_one(pair.from.as_fd(), &name, pair.to.as_fd(), &name)? {
                One::File(stamp) => folders[pair.number].files.push((name, stamp)),
                One::Folder(from, to) => {
                    todo.push(Pair { from, to, number: folders.len() });
                    folders.push(Folder { parent: Some((pair.number, name)), files: Vec::new() });
                }
            }
        }
        sync_folder(&pair.to)?;
    }
    Ok(Copied::Folders(folders))
}

enum One {
    File(FileStamp),
    /// The original and its counterpart, still empty.
    Folder(OwnedFd, OwnedFd),
}

/// Copies one file or symlink; of a folder makes the counterpart.
fn copy_one(from: BorrowedFd<'_>, name: &str, to: BorrowedFd<'_>, new_name: &str) -> io::Result<One> {
    let stat = sys::stat(from, name)?;
    let stamp = FileStamp::of(&stat);
    match stamp.kind {
        FileKind::File => copy_file(from, name, to, new_name, permissions(&stat))?,
        FileKind::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            let target = target.to_str().map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
            sys::symlink(target, to, new_name)?;
        }
        FileKind::Dir => {
            sys::mkdir(to, new_name, 0o777)?;
            return Ok(One::Folder(sys::open_dir(from, name)?, sys::open_dir(to, new_name)?));
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    }
    Ok(One::File(stamp))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    // R2
    #[test]
    fn what_came_or_changed_while_a_folder_was_copied_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("a/sub/deep")).unwrap();
        for name in ["a/one", "a/two", "a/sub/three", "a/sub/deep/four"] {
            fs::write(path(name), name).unwrap();
        }
        let dir = super::super::dir::Dir::open(root.path()).unwrap();
        let (from, to) = (Place::named(dir.as_fd(), "a"), Place::named(dir.as_fd(), "b"));
        let copied = copy_tree(&from, &to).unwrap();
        fs::write(path("a/two"), "two, edited").unwrap();
        fs::write(path("a/sub/new"), "new").unwrap();
        assert!(copied.remove(&from).is_err());
        assert_eq!(fs::read(path("a/two")).unwrap(), b"two, edited");
        assert_eq!(fs::read(path("a/sub/new")).unwrap(), b"new");
        assert!(!path("a/one").exists() && !path("a/sub/three").exists() && !path("a/sub/deep").exists());
        for name in ["one", "two", "sub/three", "sub/deep/four"] {
            assert_eq!(fs::read(path("b").join(name)).unwrap(), format!("a/{name}").as_bytes());
        }
        let copied = copy_tree(&Place::named(dir.as_fd(), "b"), &Place::named(dir.as_fd(), "c")).unwrap();
        copied.remove(&Place::named(dir.as_fd(), "b")).unwrap();
        assert!(!path("b").exists() && path("c/sub/deep/four").exists());

        let (from, to) = (Place::named(dir.as_fd(), "c"), Place::named(dir.as_fd(), "d"));
        let copied = copy_tree(&from, &to).unwrap();
        fs::write(path("c/two"), "edited").unwrap();
        fault::with_mutation("copied-check", || copied.remove(&from)).unwrap();
        assert!(!path("c/two").exists(), "the test would notice");
    }
}
