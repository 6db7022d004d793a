//! Everything below a folder, in the one order, at one `lstat` a file.
//!
//! The order is that of the bytes of the full relative path (docs/formats.md, "Trees"): the
//! names of a folder are sorted with `/` appended to those of folders. Each folder is opened
//! from the root without following a symlink, listed, its files are examined relative to it,
//! and it is closed again: no recursion, and no more than one open folder a thread.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use super::dir::{Dir, FOLDER, is_absent, stamp_of};
use super::error::Error;
use super::stamp::{FileKind, FileStamp};
use super::sys;
use crate::model::path::RepoPath;

/// A file, symlink or empty folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkEntry {
    /// Relative to the base of the walk; of an empty folder with a `/` at its end.
    pub path: Box<str>,
    /// What `lstat` said of it; kind is `File`, `Symlink` or `Dir`.
    pub stamp: FileStamp,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walk {
    /// Files, symlinks and empty folders, sorted by path, each once.
    pub entries: Vec<WalkEntry>,
    /// Version control folders and leftovers of mlv that are never data, relative to the base.
    pub left_out: Vec<Box<str>>,
    /// How many names the ignore predicate took out; a folder counts as one.
    pub ignored: u64,
    /// What could not be read, or is no file, folder or symlink; sorted by path.
    pub unreadable: Vec<(PathBuf, Error)>,
}

/// Says of a path relative to the *root* and whether it is a folder, if it is left out.
pub type Ignore<'a> = dyn Fn(&str, bool) -> bool + Sync + 'a;

/// Walks the folder `base` of `dir` with up to `jobs` threads.
///
/// A `base` that does not exist, is no folder or cannot be read is an error; whatever fails
/// below it is listed in [`Walk::unreadable`], and the rest is complete.
pub fn walk(dir: &Dir, base: &RepoPath, ignore: &Ignore<'_>, jobs: usize) -> Result<Walk, Error> {
    let base = base.as_str();
    let scan = Scan { dir, base, ignore };
    let mut buffer = listing_buffer();
    let top = scan.list("", &mut buffer).map_err(|error| dir.failed(base, "list", error))?;
    let queue = Queue::new(top);
    let extra = jobs.saturating_sub(1);
    if extra == 0 {
        queue.work(&scan, &mut buffer);
    } else {
        std::thread::scope(|scope| {
            for _ in 0..extra {
                scope.spawn(|| queue.work(&scan, &mut listing_buffer()));
            }
            queue.work(&scan, &mut buffer);
        });
    }
    Ok(queue.assemble())
}

/// One listed folder. Folders among the items have paths that end with `/`.
#[derive(Default)]
struct Listing {
    items: Vec<Item>,
    /// Of a folder that holds nothing but left-out names: its own stamp.
    empty: Option<FileStamp>,
    left_out: Vec<Box<str>>,
    ignored: u64,
    unreadable: Vec<(PathBuf, Error)>,
}

struct Item {
    path: Box<str>,
    /// Of a folder: the number of its listing.
    child: usize,
    /// Of anything else.
    stamp: Option<FileStamp>,
}

struct Scan<'a> {
    dir: &'a Dir,
    base: &'a str,
    ignore: &'a Ignore<'a>,
}

impl Scan<'_> {
    /// Lists the folder `prefix` (empty, or with a `/` at its end) below the base.
    fn list(&self, prefix: &str, buffer: &mut Vec<u8>) -> io::Result<Listing> {
        let mut full =
            if self.base.is_empty() { prefix.to_owned() } else { format!("{}/{prefix}", self.base) };
        let cut = full.len();
        let fd = self.dir.open_at(full.trim_end_matches('/'), FOLDER)?;
        let mut listing = Listing::default();
        each_name(&fd, buffer, |name, kind| {
            full.truncate(cut);
            let Ok(name) = std::str::from_utf8(name) else {
                let path = self.dir.full_str(&full).join(std::ffi::OsStr::from_bytes(name));
                return listing.refuse(Error::NotUtf8 { path });
            };
            full.push_str(name);
            if is_never_data(name) {
                return listing.left_out.push(format!("{prefix}{name}").into());
            }
            self.entry(&fd, &full, &full[cut..], prefix, kind, &mut listing);
        })?;
        if listing.items.is_empty() && listing.unreadable.is_empty() {
            listing.empty = Some(stamp_of(&fd)?);
        }
        let skip = prefix.len();
        listing.items.sort_unstable_by(|a, b| a.path.as_bytes()[skip..].cmp(&b.path.as_bytes()[skip..]));
        Ok(listing)
    }

    fn entry(
        &self,
        fd: &OwnedFd,
        full: &str,
        name: &str,
        prefix: &str,
        kind: Option<FileKind>,
        listing: &mut Listing,
    ) {
        let stamp = match kind {
            Some(FileKind::Dir) => None,
            _ => match sys::stat(fd, name) {
                Ok(stat) => Some(FileStamp::of(&stat)),
                // It went away between the listing and the look.
                Err(error) if is_absent(&error) => return,
                Err(error) => return listing.refuse(self.dir.failed(full, "read the attributes of", error)),
            },
        };
        let kind = stamp.map_or(FileKind::Dir, |stamp| stamp.kind);
        if (self.ignore)(full, kind == FileKind::Dir) {
            listing.ignored += 1;
            return;
        }
        let (path, stamp) = match kind {
            FileKind::File | FileKind::Symlink => ([prefix, name].concat(), stamp),
            FileKind::Dir => ([prefix, name, "/"].concat(), None),
            other => {
                return listing
                    .refuse(Error::NotAFile { path: self.dir.full_str(full), found: other.noun() });
            }
        };
        listing.items.push(Item { path: path.into(), child: 0, stamp });
    }

    /// As `list`; what cannot be listed is reported in the listing.
    fn list_or_explain(&self, prefix: &str, buffer: &mut Vec<u8>) -> Listing {
        self.list(prefix, buffer).unwrap_or_else(|error| {
            let mut listing = Listing::default();
            // A folder that went away between two looks is not there.
            if !is_absent(&error) {
                let full = self.base.to_owned() + "/" + prefix;
                listing.refuse(self.dir.failed(full.trim_matches('/'), "list", error));
            }
            listing
        })
    }
}

impl Listing {
    fn refuse(&mut self, error: Error) {
        let path = error.path().map(PathBuf::from).unwrap_or_default();
        self.unreadable.push((path, error));
    }
}

/// Whether this is what version control, mlv's included, calls its own folder.
pub fn is_repository(name: &str) -> bool {
    matches!(name, ".git" | ".hg" | ".svn" | ".mlv")
}

/// Version control's own folders, and temporary files that a killed mlv left.
fn is_never_data(name: &str) -> bool {
    is_repository(name) || super::staging::is_temp_name(name)
}

/// Folders still to be listed, and what was found in the others.
struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    listings: Vec<Listing>,
    /// Listing number and path of folders that nobody took yet.
    todo: Vec<(usize, Box<str>)>,
    /// Threads that are listing a folder.
    busy: usize,
    /// Threads that wait for one; nobody is woken while there are none (a system call each).
    waiting: usize,
}

impl Queue {
    fn new(top: Listing) -> Queue {
        let listings = vec![Listing::default()];
        let mut state = State { listings, todo: Vec::new(), busy: 0, waiting: 0 };
        state.put(0, top);
        Queue { state: Mutex::new(state), wake: Condvar::new() }
    }

    fn work(&self, scan: &Scan<'_>, buffer: &mut Vec<u8>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some((number, prefix)) = state.todo.pop() {
                state.busy += 1;
                drop(state);
                let listing = scan.list_or_explain(&prefix, buffer);
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.busy -= 1;
                state.put(number, listing);
                if state.waiting > 0 {
                    self.wake.notify_all();
                }
            } else if state.busy == 0 {
                return;
            } else {
                state.waiting += 1;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
            }
        }
    }

    fn assemble(self) -> Walk {
        let mut listings = self.state.into_inner().unwrap_or_else(PoisonError::into_inner).listings;
        let mut walk = Walk::default();
        walk.entries.reserve(listings.iter().map(|listing| listing.items.len()).sum());
        let mut stack = vec![walk.take(&mut listings, 0).items.into_iter()];
        while let Some(items) = stack.last_mut() {
            let Some(Item { path, child, stamp }) = items.next() else {
                stack.pop();
                continue;
            };
            if let Some(stamp) = stamp {
                walk.entries.push(WalkEntry { path, stamp });
                continue;
            }
            let below = walk.take(&mut listings, child);
            match below.empty {
                Some(stamp) => walk.entries.push(WalkEntry { path, stamp }),
                None => stack.push(below.items.into_iter()),
            }
        }
        walk.unreadable.sort_by(|a, b| a.0.cmp(&b.0));
        walk.left_out.sort_unstable();
        walk
    }
}

impl State {
    fn put(&mut self, number: usize, mut listing: Listing) {
        // From the last to the first onto a stack: the first in order is listed next.
        for item in listing.items.iter_mut().rev().filter(|item| item.stamp.is_none()) {
            item.child = self.listings.len();
            self.listings.push(Listing::default());
            self.todo.push((item.child, item.path.clone()));
        }
        self.listings[number] = listing;
    }
}

impl Walk {
    /// Takes out a listing and gathers all of it but the items.
    fn take(&mut self, listings: &mut [Listing], number: usize) -> Listing {
        let mut listing = std::mem::take(&mut listings[number]);
        self.left_out.append(&mut listing.left_out);
        self.ignored += listing.ignored;
        self.unreadable.append(&mut listing.unreadable);
        listing
    }
}

/// Room for the names of one folder; 64 KiB hold about 2,000 and cost one call for each as many.
pub(super) fn listing_buffer() -> Vec<u8> {
    Vec::with_capacity(64 * 1024)
}

/// Calls `found` with each name in an open folder, but `.` and `..`, and its kind if known.
#[cfg(target_os = "linux")]
pub(super) fn each_name(
    folder: impl AsFd,
    buffer: &mut Vec<u8>,
    mut found: impl FnMut(&[u8], Option<FileKind>),
) -> io::Result<()> {
    let mut names = rustix::fs::RawDir::new(&folder, buffer.spare_capacity_mut());
    while let Some(entry) = names.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found(name, FileKind::of(entry.file_type()));
        }
    }
    Ok(())
}

/// Calls `found` with each name in an open folder, but `.` and `..`, and its kind if known.
#[cfg(not(target_os = "linux"))]
pub(super) fn each_name(
    folder: impl AsFd,
    _buffer: &mut Vec<u8>,
    mut found: impl FnMut(&[u8], Option<FileKind>),
) -> io::Result<()> {
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found(name, FileKind::of(entry.file_type()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
