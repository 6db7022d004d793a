//! Reads the state of an output in the work tree: one walk, one merge with the stat index,
//! and hashing of what neither has answered.

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use crate::error::{Advice, ErrorKind};
use crate::fs::stamp::{FileKind, FileStamp};
use crate::fs::{self, walk};
use crate::model::digest::Digest;
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::model::tree::{EntryKind, TreeEntry};
use crate::ops::{OpError, OutputError};
use crate::par;
use crate::repo::Repo;
use crate::report::{Reporter, Task, Unit};
use crate::store::statindex::{StatIndex, StatIndexUpdate};
use crate::store::{self, CacheWriter, Ingested};

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
    /// Its hash, if the stat index knows it or it was read since.
    pub hash: Option<Digest>,
    /// Whether the stat index may remember the stamp with the hash.
    settled: bool,
    /// Whether the hash comes from reading the file.
    fresh: bool,
}

impl Scanned {
    fn of(path: Box<str>, stamp: FileStamp) -> Scanned {
        let kind = match stamp.kind {
            FileKind::Symlink => EntryKind::Symlink,
            FileKind::Dir => EntryKind::EmptyDir,
            _ if stamp.mode_x => EntryKind::Executable,
            _ => EntryKind::File,
        };
        let hash = (kind == EntryKind::EmptyDir).then_some(Digest::ZERO);
        Scanned { path, kind, stamp, size: stamp.size, hash, settled: true, fresh: false }
    }

    /// Takes over what was read of the file.
    fn take(&mut self, read: &Ingested) {
        self.hash = Some(read.id.digest());
        self.size = read.size;
        self.stamp = FileStamp { size: read.size, ..read.stamp };
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

    /// A number that changes when a file is written or renamed, or takes the place of another one, whatever
    /// bytes it has then; with its attributes, too.
    pub fn trace(&self) -> u64 {
        let mut trace = DefaultHasher::new();
        for Scanned { stamp, .. } in self.entries().iter().filter(|entry| entry.kind.has_object()) {
            (stamp.dev, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns).hash(&mut trace);
        }
        trace.finish()
    }

    /// The entries in the form of a tree, sorted by path. An entry whose hash is not known is left
    /// out: ask after [`Scanner::hash`].
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
                update.put(base.as_str(), &entry.path, &entry.stamp, hash);
            }
        }
    }

    /// Notes only the stamps of files that were read: what a reading command has learned.
    pub fn note_fresh_stamps(&self, base: &RepoPath, update: &mut StatIndexUpdate) {
        for entry in self.entries().iter().filter(|entry| entry.fresh && entry.settled) {
            if let Some(hash) = entry.hash {
                update.put(base.as_str(), &entry.path, &entry.stamp, hash);
            }
        }
    }

    /// The files that were read, with stamps that prove their hashes.
    pub fn fresh(&self) -> impl Iterator<Item = (&str, FileStamp, Digest)> {
        let fresh = self.entries().iter().filter(|entry| entry.fresh && entry.settled);
        fresh.filter_map(|entry| Some((&*entry.path, entry.stamp, entry.hash?)))
    }

    /// Leaves out the entries at these paths.
    fn forget(&mut self, gone: &HashSet<Box<str>>) {
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

/// Gives the recorded entries of an output, relative to where is looked, in any order.
pub type TrackedEntries<'a> = dyn Fn() -> Result<Vec<TreeEntry>, OpError> + 'a;

/// Looks at outputs of one work tree with one stat index.
pub struct Scanner<'a> {
    repo: &'a Repo,
    index: &'a StatIndex,
    reporter: &'a dyn Reporter,
    left_out: RefCell<Vec<RepoPath>>,
}

impl<'a> Scanner<'a> {
    /// A scanner of `repo`'s work tree that trusts `index`.
    pub fn new(repo: &'a Repo, index: &'a StatIndex, reporter: &'a dyn Reporter) -> Scanner<'a> {
        Scanner { repo, index, reporter, left_out: RefCell::default() }
    }

    /// Takes the folders of version control that were left out so far.
    pub fn take_left_out(&self) -> Vec<RepoPath> {
        self.left_out.take()
    }

    /// What stands at `path`, with the hashes that the stat index knows.
    ///
    /// Of a directory what `.mlvignore` leaves out is left out, except what is tracked: entries that
    /// `tracked` names, relative to `path`. It is asked only if anything is left out, and its failure is one.
    ///
    /// Fails where a folder cannot be read or an entry cannot be tracked (FIFO, device, name
    /// that is not UTF-8), naming it.
    pub fn look(&self, path: &RepoPath, tracked: &TrackedEntries<'_>) -> Result<Present, OpError> {
        let Some(stamp) = self.repo.dir().stat(path)? else { return Ok(Present::Absent) };
        let mut present = match stamp.kind {
            FileKind::Dir => Present::Directory(self.walk(path, tracked)?),
            FileKind::File | FileKind::Symlink => Present::File(Scanned::of("".into(), stamp)),
            other => {
                return Err(OutputError::NotTrackable { path: path.clone(), found: other.noun() }.into());
            }
        };
        self.follow_own_links(path, present.entries_mut())?;
        if let Present::File(file) = &mut present {
            // Not below the path but at it.
            file.hash = file.hash.or_else(|| self.index.lookup(path.as_str(), &file.stamp));
            return Ok(present);
        }
        let mut known = self.index.below(path.as_str());
        for entry in present.entries_mut().iter_mut().filter(|entry| entry.hash.is_none()) {
            entry.hash = known.at(&entry.path, &entry.stamp);
        }
        Ok(present)
    }

    /// Takes symlinks into the cache, which a checkout made for `cache.type = symlink`, for the files
    /// that they stand for.
    fn follow_own_links(&self, base: &RepoPath, entries: &mut [Scanned]) -> Result<(), OpError> {
        for entry in entries.iter_mut().filter(|entry| entry.kind == EntryKind::Symlink) {
            let path = if entry.path.is_empty() { base.clone() } else { base.join_entry(&entry.path) };
            let target = match self.repo.dir().read_link(&path) {
                // Gone since: whoever hashes it finds that out.
                Err(error) if error.is_not_found() => continue,
                target => target?,
            };
            if target.starts_with('/')
                && let Some(id) = self.repo.cache()?.linked_object(&target)
                && let Some(len) = self.repo.cache()?.object_len(id)
            {
                entry.kind = EntryKind::File;
                entry.hash = Some(id.digest());
                entry.size = len;
                // The link says nothing of when its object was hashed: looked up again each time.
                entry.settled = false;
            }
        }
        Ok(())
    }

    fn walk(&self, path: &RepoPath, tracked: &TrackedEntries<'_>) -> Result<Vec<Scanned>, OpError> {
        let ignore = self.repo.ignore();
        let mut found = walk::walk(self.repo.dir(), path, &|path, dir| ignore.is_ignored(path, dir), 1)?;
        if let Some((full, error)) = found.unreadable.drain(..).next() {
            return Err(self.refused(&full, error));
        }
        if let Some(error) = ignore.take_errors().into_iter().next() {
            return Err(error.into());
        }
        // Leftovers of mlv itself are nobody's loss.
        let left_out = found.left_out.iter().map(|inside| path.join_entry(inside));
        self.left_out.borrow_mut().extend(left_out.filter(|path| walk::is_repository(path.file_name())));
        let mut entries: Vec<Scanned> =
            found.entries.into_iter().map(|entry| Scanned::of(entry.path, entry.stamp)).collect();
        if found.ignored > 0 {
            self.add_tracked(path, &tracked()?, &mut entries)?;
        }
        Ok(entries)
    }

    /// Adds the tracked files among those that the walk left out.
    fn add_tracked(
        &self,
        base: &RepoPath,
        tracked: &[TreeEntry],
        entries: &mut Vec<Scanned>,
    ) -> Result<(), OpError> {
        let ignore = self.repo.ignore();
        let before = entries.len();
        for entry in tracked.iter().filter(|entry| entry.kind.has_object()) {
            let path = base.join_entry(&entry.path);
            if !ignore.is_below_ignored(&path, false) {
                continue;
            }
            let stamp = self.repo.dir().stat(&path)?;
            if let Some(stamp) =
                stamp.filter(|stamp| matches!(stamp.kind, FileKind::File | FileKind::Symlink))
            {
                entries.push(Scanned::of(entry.path.clone(), stamp));
            }
        }
        if entries.len() > before {
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            entries.dedup_by(|later, first| later.path == first.path);
            // The walk took a folder for empty where everything in it is left out.
            let is_filled = |pair: &[Scanned]| {
                pair[0].kind == EntryKind::EmptyDir && pair[1].path.starts_with(&*pair[0].path)
            };
            let filled: Vec<Box<str>> =
                entries.windows(2).filter(|pair| is_filled(pair)).map(|pair| pair[0].path.clone()).collect();
            entries.retain(|entry| !filled.contains(&entry.path));
        }
        Ok(())
    }

    /// Why an entry of a directory cannot be tracked.
    fn refused(&self, full: &Path, error: fs::Error) -> OpError {
        let path = full.strip_prefix(self.repo.root()).ok().and_then(Path::to_str).map(RepoPath::parse);
        match (error, path) {
            (fs::Error::NotAFile { found, .. }, Some(Ok(path))) => {
                OutputError::NotTrackable { path, found }.into()
            }
            (error, _) => error.into(),
        }
    }

    /// Reads and hashes the entries of the output at `base` whose hash is not known.
    ///
    /// With a writer their bytes go to the cache in the same pass, and entries whose hash is known
    /// but whose bytes the cache has not are read too. Fails at the first file that cannot be read.
    pub fn hash(
        &self,
        base: &RepoPath,
        present: &mut Present,
        writer: Option<&CacheWriter<'_>>,
    ) -> Result<(), OpError> {
        let object = |hash| RecordKey { hash, kind: RecordKind::File };
        let mut todo: Vec<&mut Scanned> = present
            .entries_mut()
            .iter_mut()
            .filter(|entry| match (entry.hash, writer) {
                _ if entry.kind == EntryKind::EmptyDir => false,
                (None, _) => true,
                (Some(hash), Some(writer)) => !writer.presence().has_whole(object(hash), entry.size),
                (Some(_), None) => false,
            })
            .collect();
        if todo.is_empty() {
            return Ok(());
        }
        let bytes = todo.iter().map(|entry| entry.size).sum();
        let meter = self.reporter.meter(Task { verb: "Hashing", unit: Unit::Bytes, total: Some(bytes) });
        // A file by itself is the one entry of the folder that it is in.
        let (output, folder) = (base, base.parent().filter(|_| todo[0].path.is_empty()));
        let files: Vec<(&str, FileKind)> = match folder {
            Some(_) => vec![(base.file_name(), todo[0].stamp.kind)],
            None => todo.iter().map(|entry| (&*entry.path, entry.stamp.kind)).collect(),
        };
        let base = folder.as_ref().unwrap_or(base);
        let threads = par::threads(self.repo.file_jobs()?);
        let results = match writer {
            Some(writer) => writer.ingest_all(self.repo.dir(), base, &files, threads, &*meter)?,
            None => store::hash_all(self.repo.dir(), base, &files, threads, &*meter)?,
        };
        let mut gone: HashSet<Box<str>> = HashSet::new();
        for (entry, result) in todo.iter_mut().zip(results) {
            match result {
                Ok(read) => entry.take(&read),
                // Others come and go in the folder, as with a save under another name and a rename.
                Err(error) if error.kind() == ErrorKind::NotFound && self.is_of(output, entry, &error) => {
                    gone.insert(entry.path.clone());
                }
                Err(error) => return Err(error.into()),
            }
        }
        present.forget(&gone);
        Ok(())
    }

    /// Whether the error is of the entry's own file: what was not found may be the cache's. No look tells:
    /// by now another file may stand there.
    fn is_of(&self, base: &RepoPath, entry: &Scanned, error: &store::Error) -> bool {
        let path = if entry.path.is_empty() { base.clone() } else { base.join_entry(&entry.path) };
        error.subject().is_some_and(|subject| subject == self.repo.dir().full(&path).display().to_string())
    }
}
