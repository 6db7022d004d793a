//! What was found at an output's path.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::fs::stamp::{FileKind, FileStamp};
use crate::model::digest::Digest;
use crate::model::path::RepoPath;
use crate::model::tree::{EntryKind, TreeEntry};
use crate::store::statindex::StatIndexUpdate;
use crate::store::{Ingested, LinkedObject};

/// One entry of an output as it stands in the work tree.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// Path relative to the output, as stored; empty for an output that is a file.
    pub path: Box<str>,
    /// What it is.
    pub kind: EntryKind,
    /// Identity, size and times of the very thing when it was looked at.
    pub stamp: FileStamp,
    /// Bytes of its contents: of a symlink into the cache those of the object.
    pub size: u64,
    /// The object, if it is a symlink that stands for one.
    linked: Option<Box<LinkedObject>>,
    /// Its hash, if the stat index knows it or it was read since.
    pub hash: Option<Digest>,
    /// Whether the stat index may remember the stamp of the contents with the hash.
    settled: bool,
    /// Whether the hash comes from reading the file.
    fresh: bool,
}

impl Scanned {
    pub(super) fn of(path: Box<str>, stamp: FileStamp) -> Scanned {
        let kind = match stamp.kind {
            FileKind::Symlink => EntryKind::Symlink,
            FileKind::Dir => EntryKind::EmptyDir,
            _ if stamp.mode_x => EntryKind::Executable,
            _ => EntryKind::File,
        };
        let hash = (kind == EntryKind::EmptyDir).then_some(Digest::ZERO);
        Scanned { path, kind, stamp, size: stamp.size, linked: None, hash, settled: true, fresh: false }
    }

    /// Has the entry stand for the object of the cache that it leads to.
    pub(super) fn stand_for(&mut self, object: LinkedObject) {
        self.kind = EntryKind::File;
        match &object.file {
            Some((_, stamp)) => self.size = stamp.size,
            // There is nothing to read: it stands for what it is named for, and is not like it.
            None => (self.size, self.hash, self.settled) = (0, Some(object.id.digest()), false),
        }
        self.linked = Some(Box::new(object));
    }

    /// The stamp of the file that holds the contents: of a symlink into the cache the object's.
    pub fn contents_stamp(&self) -> FileStamp {
        self.object_file().map_or(self.stamp, |(_, stamp)| *stamp)
    }

    /// Where the contents are, below the cache's folder, if it is a symlink into the cache.
    pub(super) fn object_file(&self) -> Option<&(RepoPath, FileStamp)> {
        self.linked.as_ref().and_then(|object| object.file.as_ref())
    }

    /// Whether it is a symlink of mlv's own that leads nowhere and holds nothing.
    pub fn is_dangling(&self) -> bool {
        self.linked.as_ref().is_some_and(|object| object.file.is_none())
    }

    /// Whether it is a symlink of mlv's own that leads to an object of another name than its contents have:
    /// somebody wrote to that, or it was put aside since.
    pub fn is_misled(&self) -> bool {
        self.linked
            .as_ref()
            .is_some_and(|object| !object.is_readable() || self.hash != Some(object.id.digest()))
    }

    /// Whether nothing can be read through it: a symlink of mlv's own to an object that is not there.
    pub fn is_unreadable(&self) -> bool {
        self.linked.as_ref().is_some_and(|object| !object.is_readable())
    }

    /// Takes over what was read of the file.
    pub(super) fn take(&mut self, read: &Ingested) {
        self.hash = Some(read.id.digest());
        self.size = read.size;
        let stamp = FileStamp { size: read.size, ..read.stamp };
        match self.linked.as_mut().and_then(|object| object.file.as_mut()) {
            Some((_, contents)) => *contents = stamp,
            None => self.stamp = stamp,
        }
        self.settled = read.is_settled;
        self.fresh = true;
        if read.stamp.kind == FileKind::File {
            self.kind = if read.stamp.mode_x { EntryKind::Executable } else { EntryKind::File };
        }
    }

    /// The entry as a directory tree has it; `None` while the hash is not known.
    pub fn entry(&self) -> Option<TreeEntry> {
        Some(TreeEntry { path: self.path.clone(), kind: self.kind, size: self.len(), hash: self.hash? })
    }

    /// Bytes; of an empty folder none.
    fn len(&self) -> u64 {
        if self.kind == EntryKind::EmptyDir { 0 } else { self.size }
    }
}

/// What stands at an output's path.
#[derive(Clone, Debug)]
pub enum Present {
    /// Nothing.
    Absent,
    /// A file or a symlink.
    File(Scanned),
    /// A directory with its entries, sorted by path.
    Directory(Vec<Scanned>),
}

impl Present {
    /// The entries, whatever it is: none, one of empty path, or those of the directory.
    pub fn entries(&self) -> &[Scanned] {
        match self {
            Present::Absent => &[],
            Present::File(file) => std::slice::from_ref(file),
            Present::Directory(entries) => entries,
        }
    }

    /// The same, to change.
    pub fn entries_mut(&mut self) -> &mut [Scanned] {
        match self {
            Present::Absent => &mut [],
            Present::File(file) => std::slice::from_mut(file),
            Present::Directory(entries) => entries,
        }
    }

    /// The paths of those entries.
    pub fn paths_of(&self, which: fn(&Scanned) -> bool) -> impl Iterator<Item = &str> {
        self.entries().iter().filter(move |entry| which(entry)).map(|entry| &*entry.path)
    }

    /// Leaves out symlinks of mlv's own through which nothing can be read, unless they stand for contents
    /// that nothing is `recorded` of: what is left out is there to be brought back.
    pub fn forget_unreadable(&mut self, recorded: &[TreeEntry]) {
        // The usual case, without a set of all entries.
        if !self.entries().iter().any(Scanned::is_unreadable) {
            return;
        }
        let recorded: HashSet<(&str, Digest)> =
            recorded.iter().map(|entry| (&*entry.path, entry.hash)).collect();
        let is_known = |entry: &Scanned| {
            entry.is_dangling() || entry.hash.is_some_and(|hash| recorded.contains(&(&*entry.path, hash)))
        };
        let gone = self.entries().iter().filter(|entry| entry.is_unreadable() && is_known(entry));
        let gone: HashSet<Box<str>> = gone.map(|entry| entry.path.clone()).collect();
        self.forget(&gone);
    }

    /// The same without empty folders, but for those whose path `is_kept` takes.
    pub fn without_empty_folders(mut self, is_kept: impl Fn(&str) -> bool) -> Present {
        if let Present::Directory(entries) = &mut self {
            entries.retain(|entry| {
                entry.kind != EntryKind::EmptyDir || is_kept(entry.path.trim_end_matches('/'))
            });
        }
        self
    }

    /// A number that changes when a file is written or renamed, or takes the place of another one, whatever
    /// bytes it has then; with its attributes, too.
    pub fn trace(&self) -> u64 {
        let mut trace = DefaultHasher::new();
        for entry in self.entries().iter().filter(|entry| entry.kind.has_object()) {
            let stamp = entry.contents_stamp();
            (stamp.dev, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns).hash(&mut trace);
        }
        trace.finish()
    }

    /// The entries in the form of a tree, sorted by path. An entry whose hash is not known is left
    /// out: ask after [`Scanner::hash`](crate::ops::scan::Scanner::hash).
    pub fn tree_entries(&self) -> Vec<TreeEntry> {
        self.entries().iter().filter_map(Scanned::entry).collect()
    }

    /// Whether these are the `recorded` entries, every hash being known.
    pub fn is(&self, recorded: &[TreeEntry]) -> bool {
        let is_same = |(found, entry): (&Scanned, &TreeEntry)| {
            found.path == entry.path
                && (found.kind, found.len(), found.hash) == (entry.kind, entry.size, Some(entry.hash))
        };
        let found = self.entries();
        found.len() == recorded.len() && found.iter().zip(recorded).all(is_same)
    }

    /// Notes what the stat index may remember of the entries below `base`.
    pub fn note_stamps(&self, base: &RepoPath, update: &mut StatIndexUpdate) {
        for entry in self.entries() {
            if let (Some(hash), true, true) = (entry.hash, entry.settled, entry.kind.has_object()) {
                update.put(base.as_str(), &entry.path, &entry.contents_stamp(), hash);
            }
        }
    }

    /// Notes only the stamps of files that were read: what a reading command has learned.
    pub fn note_fresh_stamps(&self, base: &RepoPath, update: &mut StatIndexUpdate) {
        for entry in self.entries().iter().filter(|entry| entry.fresh && entry.settled) {
            if let Some(hash) = entry.hash {
                update.put(base.as_str(), &entry.path, &entry.contents_stamp(), hash);
            }
        }
    }

    /// The files that were read, with stamps that prove their hashes.
    pub fn fresh(&self) -> impl Iterator<Item = (&str, FileStamp, Digest)> {
        let fresh = self.entries().iter().filter(|entry| entry.fresh && entry.settled);
        fresh.filter_map(|entry| Some((&*entry.path, entry.contents_stamp(), entry.hash?)))
    }

    /// Leaves out the entries at these paths.
    pub(super) fn forget(&mut self, gone: &HashSet<Box<str>>) {
        match self {
            _ if gone.is_empty() => {}
            Present::Absent | Present::File(_) => *self = Present::Absent,
            Present::Directory(entries) => entries.retain(|entry| !gone.contains(&entry.path)),
        }
    }

    /// Whether nothing is there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Present::Absent)
    }
}
