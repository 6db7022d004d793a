//! A handle on a folder, and every access beneath it without following a symlink (R3).
//!
//! Paths are resolved by the kernel with `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)`;
//! where that is missing (Linux before 5.6, some sandboxes, macOS), component by component
//! with `O_NOFOLLOW`. A handle holds no other folder open, so nothing goes stale when others
//! rename folders; who touches many files in few folders holds `OpenFolders`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::beneath::open_beneath;
use super::error::{Error, at};
use super::folders::Place;
use super::stamp::{FileKind, FileStamp};
use super::sys;
use crate::model::path::RepoPath;

/// An open folder. All methods take paths relative to it.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
    /// Where temporary files for this folder go; beside their target if there is none.
    pub(super) temp_home: Option<Arc<Dir>>,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
}

/// The folder of mlv's own files at a project's root.
pub const OWN_FOLDER: &str = ".mlv";
/// How folders are opened.
pub(super) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// NONBLOCK so that a FIFO with no writer does not hang the open; it means nothing for files.
const READ_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

impl Dir {
    /// Opens the folder at `path`, whose own symlinks are followed: it is the user's to choose.
    pub fn open(path: &Path) -> Result<Dir, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOTDIR => Error::NotAFolder { path: path.to_path_buf() },
            _ => at(path, "open")(errno),
        })?;
        Ok(Dir { fd, path: path.to_path_buf(), temp_home: None })
    }

    /// Opens the folder at `path`, made with those above it where they are missing, durable.
    ///
    /// With a `mode` the folders that are made get exactly these permission bits.
    pub fn create(path: &Path, mode: Option<u32>) -> Result<Dir, Error> {
        match Dir::open(path) {
            Err(error) if error.is_not_found() => {}
            other => return other,
        }
        let refused = || Error::NotAFolder { path: path.to_path_buf() };
        for above in path.ancestors().skip(1) {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            let dir = match Dir::open(above) {
                Err(error) if error.is_not_found() => continue,
                other => other?,
            };
            let rest = path.strip_prefix(above).ok().and_then(Path::to_str).ok_or_else(refused)?;
            if rest.split('/').any(|name| matches!(name, "." | "..")) {
                return Err(refused());
            }
            dir.ensure_dir(rest, mode)?;
            let mut folder = rest;
            while let Some((parent, _)) = folder.rsplit_once('/') {
                folder = parent;
                let synced = dir.open_at(folder, FOLDER).and_then(sync_folder);
                synced.map_err(|error| dir.failed(folder, "sync", error))?;
            }
            sync_folder(&dir).map_err(|error| dir.failed("", "sync", error))?;
            return Dir::open(path);
        }
        Err(refused())
    }

    /// The same folder, with temporary files going to the folder `tmp` of `home`.
    ///
    /// A process that is killed then leaves nothing among the user's files, and
    /// [`super::staging::reap`] finds what it left.
    pub fn with_temp_home(mut self, home: Arc<Dir>) -> Dir {
        self.temp_home = Some(home);
        self
    }

    /// The path that the handle was opened with, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The absolute or user-given path of `path`, for messages.
    pub fn full(&self, path: &RepoPath) -> PathBuf {
        self.full_str(path.as_str())
    }

    pub(super) fn full_str(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.path.clone() } else { self.path.join(path) }
    }

    /// The error of a failed resolution or open of `path`.
    pub(super) fn failed(&self, path: &str, action: &'static str, error: impl Into<io::Error>) -> Error {
        let (error, full) = (error.into(), self.full_str(path));
        match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => Error::SymlinkInPath { path: full },
            Some(Errno::NOTDIR) => Error::NotAFolder { path: full },
            Some(Errno::EXIST) => Error::Exists { path: full },
            _ => Error::Io { action, path: full, source: error },
        }
    }

    /// Opens the folder `path` as a handle of its own.
    pub fn open_dir(&self, path: &RepoPath) -> Result<Dir, Error> {
        let fd =
            self.open_at(path.as_str(), FOLDER).map_err(|error| self.failed(path.as_str(), "open", error))?;
        Ok(Dir { fd, path: self.full(path), temp_home: self.temp_home.clone() })
    }

    /// Opens the folder `.mlv` in this one, which no [`RepoPath`] names; a symlink in its place
    /// is refused, for it could lead anywhere. Its temporary files are in its own `tmp`.
    pub fn open_own(&self) -> Result<Dir, Error> {
        let open = || -> Result<Dir, Error> {
            let failed = |error| self.failed(OWN_FOLDER, "open", error);
            let fd = self.open_at(OWN_FOLDER, FOLDER).map_err(failed)?;
            Ok(Dir { fd, path: self.path.join(OWN_FOLDER), temp_home: None })
        };
        Ok(open()?.with_temp_home(Arc::new(open()?)))
    }

    /// Makes the folder `.mlv` in this one, durably, unless it is there.
    pub fn create_own(&self) -> Result<Dir, Error> {
        self.ensure_dir(OWN_FOLDER, None)?;
        self.sync_dir(&RepoPath::root())?;
        self.open_own()
    }

    pub(super) fn open_at(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        open_beneath(self.fd.as_fd(), path, flags)
    }

    /// What stands at `path`, itself not followed; nothing if there is nothing.
    pub fn stat(&self, path: &RepoPath) -> Result<Option<FileStamp>, Error> {
        let outcome = self.place(path).and_then(|place| sys::stat(place.fd(), place.name));
        match outcome {
            Ok(stat) => Ok(Some(FileStamp::of(&stat))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed(path.as_str(), "read the attributes of", error)),
        }
    }

    /// Opens a regular file for reading.
    pub fn open_file(&self, path: &RepoPath) -> Result<File, Error> {
        self.open_file_stamped(path).map(|(file, _)| file)
    }

    /// Opens a regular file for reading and tells its stamp at that moment.
    pub fn open_file_stamped(&self, path: &RepoPath) -> Result<(File, FileStamp), Error> {
        self.open_for_reading(path.as_str())
    }

    /// As [`Dir::open_file_stamped`], of a path that a walk of this folder found.
    pub(crate) fn open_for_reading(&self, path: &str) -> Result<(File, FileStamp), Error> {
        let failed = |error: io::Error| self.failed(path, "open", error);
        let file = File::from(self.open_at(path, READ_FLAGS).map_err(failed)?);
        let stamp = stamp_of(&file).map_err(failed)?;
        match stamp.kind {
            FileKind::File => Ok((file, stamp)),
            other => Err(Error::NotAFile { path: self.full_str(path), found: other.noun() }),
        }
    }

    /// The bytes of a regular file; fails with `TooLarge` if there are more than `limit`.
    pub fn read_file(&self, path: &RepoPath, limit: u64) -> Result<Vec<u8>, Error> {
        let (file, stamp) = self.open_file_stamped(path)?;
        let too_large = |size| Error::TooLarge { path: self.full(path), size, limit };
        if stamp.size > limit {
            return Err(too_large(stamp.size));
        }
        let mut bytes = Vec::with_capacity(stamp.size as usize + 1);
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| self.failed(path.as_str(), "read", error))?;
        if bytes.len() as u64 > limit {
            return Err(too_large(bytes.len() as u64));
        }
        Ok(bytes)
    }

    /// The target text of the symlink at `path`.
    pub fn read_link(&self, path: &RepoPath) -> Result<String, Error> {
        self.read_link_stamped(path.as_str()).map(|(target, _)| target)
    }

    /// The target text and the stamp of the symlink at a path that a walk of this folder found.
    pub(crate) fn read_link_stamped(&self, path: &str) -> Result<(String, FileStamp), Error> {
        let outcome = self.place_str(path).and_then(|place| {
            let target = rustix::fs::readlinkat(place.fd(), place.name, Vec::new())?;
            Ok((target, FileStamp::of(&sys::stat(place.fd(), place.name)?)))
        });
        let (target, stamp) = outcome.map_err(|error| self.failed(path, "read the link", error))?;
        let target = target.into_string().map_err(|_| Error::NotUtf8 { path: self.full_str(path) })?;
        Ok((target, stamp))
    }

    /// The names in the folder `path`, sorted; without those that are not UTF-8.
    pub fn read_dir(&self, path: &RepoPath) -> Result<Vec<DirEntry>, Error> {
        let failed = |error: io::Error| self.failed(path.as_str(), "list", error);
        let fd = self.open_at(path.as_str(), FOLDER).map_err(failed)?;
        let mut entries = Vec::new();
        let mut failure = Ok(());
        super::walk::each_name(&fd, &mut super::walk::listing_buffer(), |name, kind| {
            let Ok(name) = std::str::from_utf8(name) else { return };
            let kind = kind.map_or_else(|| sys::stat(&fd, name).map(|stat| FileStamp::of(&stat).kind), Ok);
            match kind {
                Ok(kind) => entries.push(DirEntry { name: name.to_owned(), kind }),
                Err(error) if is_absent(&error) => {}
                Err(error) => failure = Err(error),
            }
        })
        .and(failure)
        .map_err(failed)?;
        entries.sort_unstable();
        Ok(entries)
    }

    /// Makes the folder `path` and those above it, where they are missing.
    pub fn create_dir_all(&self, path: &RepoPath) -> Result<(), Error> {
        self.ensure_dir(path.as_str(), None).map(drop)
    }

    /// As [`Dir::create_dir_all`], with exactly these permission bits on what is made.
    pub fn create_dir_all_with(&self, path: &RepoPath, mode: u32) -> Result<(), Error> {
        self.ensure_dir(path.as_str(), Some(mode)).map(drop)
    }

    /// Opens the folder `path`, made if it is missing.
    pub(super) fn ensure_dir(&self, path: &str, mode: Option<u32>) -> Result<OwnedFd, Error> {
        let failed = |error: io::Error| self.failed(path, "create", error);
        let mut there = path;
        let mut fd = loop {
            match self.open_at(there, FOLDER) {
                Ok(fd) => break fd,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !there.is_empty() => {
                    there = there.rsplit_once('/').map_or("", |(parent, _)| parent);
                }
                Err(error) => return Err(failed(error)),
            }
        };
        for name in path[there.len()..].split('/').filter(|name| !name.is_empty()) {
            fd = make_dir(&fd, name, mode).map_err(failed)?;
        }
        Ok(fd)
    }

    /// Removes a file or symlink. What was never there is no error.
    ///
    /// For mlv's own files: a user's file goes through `rescue` or `store/materialize`.
    pub fn remove_file(&self, path: &RepoPath) -> Result<(), Error> {
        let outcome = self.place(path).and_then(|place| sys::unlink(place.fd(), place.name));
        self.unless_absent(path, "remove", outcome)
    }

    /// Sets the permission bits of a regular file, whatever the umask.
    pub fn set_mode(&self, path: &RepoPath, mode: u32) -> Result<(), Error> {
        let file = self.open_file(path)?;
        sys::chmod(&file, mode).map_err(|error| self.failed(path.as_str(), "set the mode of", error))
    }

    /// Removes an empty folder; false if it holds something.
    pub fn remove_dir(&self, path: &RepoPath) -> Result<bool, Error> {
        match self.place(path).and_then(|place| sys::rmdir(place.fd(), place.name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(self.failed(path.as_str(), "remove", error)),
        }
    }

    /// Removes a folder of mlv's own with all that is in it; no symlink is followed.
    pub fn remove_all(&self, path: &RepoPath) -> Result<(), Error> {
        let outcome = self.place(path).and_then(|place| remove_tree(place.fd(), place.name));
        self.unless_absent(path, "remove", outcome)
    }

    fn unless_absent(
        &self,
        path: &RepoPath,
        action: &'static str,
        outcome: io::Result<()>,
    ) -> Result<(), Error> {
        match outcome {
            Err(error) if !is_absent(&error) => Err(self.failed(path.as_str(), action, error)),
            _ => Ok(()),
        }
    }

    /// Moves a file or folder, replacing a file at the new name.
    pub fn rename(&self, from: &RepoPath, to: &RepoPath) -> Result<(), Error> {
        self.move_with(from, to, |a, b| sys::rename((a.fd(), a.name), (b.fd(), b.name)))
    }

    /// Moves a file or folder to a name that must be free; fails with `Exists` otherwise.
    pub fn rename_new(&self, from: &RepoPath, to: &RepoPath) -> Result<(), Error> {
        self.move_with(from, to, |a, b| sys::rename_new((a.fd(), a.name), (b.fd(), b.name)))
    }

    fn move_with(
        &self,
        from: &RepoPath,
        to: &RepoPath,
        call: impl FnOnce(&Place<'_>, &Place<'_>) -> io::Result<()>,
    ) -> Result<(), Error> {
        let from = self.place(from).map_err(|error| self.failed(from.as_str(), "rename", error))?;
        let target = self.place(to).map_err(|error| self.failed(to.as_str(), "rename", error))?;
        call(&from, &target).map_err(|error| self.failed(to.as_str(), "rename to", error))
    }

    /// Makes the entries of the folder `path` durable: names made, renamed, removed.
    pub fn sync_dir(&self, path: &RepoPath) -> Result<(), Error> {
        let synced = self.open_at(path.as_str(), FOLDER).and_then(sync_folder);
        synced.map_err(|error| self.failed(path.as_str(), "sync", error))
    }

    /// Where `path` lies: its folder, open, and its name in it.
    pub(super) fn place<'a>(&'a self, path: &'a RepoPath) -> io::Result<Place<'a>> {
        self.place_str(path.as_str())
    }

    pub(super) fn place_str<'a>(&'a self, path: &'a str) -> io::Result<Place<'a>> {
        match path.rsplit_once('/') {
            Some((parent, name)) => Ok(Place::owned(self.open_at(parent, FOLDER)?, name)),
            None if path.is_empty() => Ok(Place::named(self.fd.as_fd(), ".")),
            None => Ok(Place::named(self.fd.as_fd(), path)),
        }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The stamp of an open file.
pub fn stamp_of(file: impl AsFd) -> io::Result<FileStamp> {
    Ok(FileStamp::of(&rustix::fs::fstat(file)?))
}

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// fsync of a folder; file systems that know no such thing (some FUSE) are let off.
pub(super) fn sync_folder(folder: impl AsFd) -> io::Result<()> {
    match sys::fsync(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        other => other,
    }
}

fn make_dir(parent: &OwnedFd, name: &str, mode: Option<u32>) -> io::Result<OwnedFd> {
    match sys::mkdir(parent, name, mode.unwrap_or(0o777) & 0o777) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => sys::open_dir(parent, name),
        Err(error) => Err(error),
        Ok(()) => {
            let fd = sys::open_dir(parent, name)?;
            // R18: the mode is right whatever the umask and the parent's setgid bit say.
            if let Some(mode) = mode {
                sys::chmod(&fd, mode)?;
            }
            Ok(fd)
        }
    }
}

/// Removes `name` and, if it is a folder, everything in it; iterative, so depth costs no stack.
pub(super) fn remove_tree(parent: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match sys::unlink(parent, name) {
        // Linux says EISDIR, POSIX EPERM.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::PermissionDenied) => {}
        other => return other,
    }
    let mut buffer = super::walk::listing_buffer();
    // Each folder is listed once, and keeps what is left to do in it.
    let mut list = |folder: OwnedFd, name: &str| -> io::Result<(OwnedFd, String, Vec<Vec<u8>>)> {
        let mut names = Vec::new();
        super::walk::each_name(&folder, &mut buffer, |name, _| names.push(name.to_vec()))?;
        Ok((folder, name.to_owned(), names))
    };
    let mut stack = vec![list(sys::open_dir(parent, name)?, name)?];
    while let Some((folder, _, names)) = stack.last_mut() {
        let Some(name) = names.pop() else {
            let Some((_, name, _)) = stack.pop() else { break };
            sys::rmdir(stack.last().map_or(parent, |(fd, ..)| fd.as_fd()), &name)?;
            continue;
        };
        let name = String::from_utf8(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
        match sys::unlink(&*folder, &name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => match sys::open_dir(&*folder, &name) {
                Ok(below) => stack.push(list(below, &name)?),
                Err(_) => return Err(error),
            },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
