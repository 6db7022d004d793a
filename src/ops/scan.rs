//! Reads the state of an output in the work tree: one walk, one merge with the stat index,
//! and hashing of what neither has answered.

mod scanned;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::path::Path;

use crate::error::{Advice, ErrorKind};
use crate::fs::dir::Dir;
use crate::fs::stamp::FileKind;
use crate::fs::{self, walk};
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::model::tree::{EntryKind, TreeEntry};
use crate::ops::{OpError, OutputError};
use crate::par;
use crate::repo::Repo;
use crate::report::{Meter, Reporter, Task, Unit};
use crate::store::statindex::StatIndex;
use crate::store::{self, CacheWriter, Ingested};

pub use scanned::{Present, Scanned};

/// Gives the recorded entries of an output, relative to where is looked, in any order.
pub type TrackedEntries<'a> = dyn Fn() -> Result<Vec<TreeEntry>, OpError> + 'a;

/// Looks at outputs of one work tree with one stat index.
pub struct Scanner<'a> {
    repo: &'a Repo,
    index: &'a StatIndex,
    reporter: &'a dyn Reporter,
    left_out: RefCell<Vec<RepoPath>>,
    ignored: Cell<u64>,
}

impl<'a> Scanner<'a> {
    /// A scanner of `repo`'s work tree that trusts `index`.
    pub fn new(repo: &'a Repo, index: &'a StatIndex, reporter: &'a dyn Reporter) -> Scanner<'a> {
        Scanner { repo, index, reporter, left_out: RefCell::default(), ignored: Cell::default() }
    }

    /// Takes the folders of version control that were left out so far.
    pub fn take_left_out(&self) -> Vec<RepoPath> {
        self.left_out.take()
    }

    /// Takes the number of files and folders that `.mlvignore` left out so far; without folders of which a
    /// part is tracked.
    pub fn take_ignored(&self) -> u64 {
        self.ignored.take()
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
            file.hash = file.hash.or_else(|| self.index.lookup(path.as_str(), &file.contents_stamp()));
            return Ok(present);
        }
        let mut known = self.index.below(path.as_str());
        for entry in present.entries_mut().iter_mut().filter(|entry| entry.hash.is_none()) {
            entry.hash = known.at(&entry.path, &entry.contents_stamp());
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
            if let Some(object) = self.repo.cache()?.linked_object(&target) {
                entry.stand_for(object);
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
            let before = entries.len();
            self.add_tracked(path, &tracked()?, &mut entries)?;
            let tracked = entries.len().saturating_sub(before) as u64;
            self.ignored.update(|ignored| ignored + found.ignored.saturating_sub(tracked));
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
        let todo: Vec<&mut Scanned> = present
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
        if let Some(entry) = todo.iter().find(|entry| entry.is_dangling()) {
            return Err(OutputError::BrokenLink { path: base.join_entry(&entry.path) }.into());
        }
        let bytes = todo.iter().map(|entry| entry.size).sum();
        let meter = self.reporter.meter(Task { verb: "Hashing", unit: Unit::Bytes, total: Some(bytes) });
        let (linked, mut own): (Vec<_>, Vec<_>) =
            todo.into_iter().partition(|entry| entry.object_file().is_some());
        self.hash_linked(linked, writer, &*meter)?;
        // A file by itself is the one entry of the folder that it is in.
        let (output, folder) =
            (base, base.parent().filter(|_| own.iter().any(|entry| entry.path.is_empty())));
        let files: Vec<(&str, FileKind)> = match folder {
            Some(_) => own.iter().map(|entry| (base.file_name(), entry.stamp.kind)).collect(),
            None => own.iter().map(|entry| (&*entry.path, entry.stamp.kind)).collect(),
        };
        let base = folder.as_ref().unwrap_or(base);
        let results = self.read_all((self.repo.dir(), base), &files, writer, &*meter)?;
        let mut gone: HashSet<Box<str>> = HashSet::new();
        for (entry, result) in own.iter_mut().zip(results) {
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

    /// The same for symlinks into the cache: what they lead to is read, which may have been written to.
    fn hash_linked(
        &self,
        mut linked: Vec<&mut Scanned>,
        writer: Option<&CacheWriter<'_>>,
        meter: &dyn Meter,
    ) -> Result<(), OpError> {
        let Some(dir) = self.repo.cache()?.dir().filter(|_| !linked.is_empty()) else { return Ok(()) };
        let files = linked.iter().filter_map(|entry| entry.object_file());
        let files: Vec<(&str, FileKind)> = files.map(|(path, _)| (path.as_str(), FileKind::File)).collect();
        let results = self.read_all((dir, &RepoPath::root()), &files, writer, meter)?;
        for (entry, result) in linked.iter_mut().zip(results) {
            entry.take(&result?);
        }
        Ok(())
    }

    fn read_all(
        &self,
        (dir, base): (&Dir, &RepoPath),
        files: &[(&str, FileKind)],
        writer: Option<&CacheWriter<'_>>,
        meter: &dyn Meter,
    ) -> Result<Vec<Result<Ingested, store::Error>>, OpError> {
        let threads = par::threads(self.repo.file_jobs()?);
        Ok(match writer {
            _ if files.is_empty() => Vec::new(),
            Some(writer) => writer.ingest_all(dir, base, files, threads, meter)?,
            None => store::hash_all(dir, base, files, threads, meter)?,
        })
    }

    /// Whether the error is of the entry's own file: what was not found may be the cache's. No look tells:
    /// by now another file may stand there.
    fn is_of(&self, base: &RepoPath, entry: &Scanned, error: &store::Error) -> bool {
        let path = if entry.path.is_empty() { base.clone() } else { base.join_entry(&entry.path) };
        error.subject().is_some_and(|subject| subject == self.repo.dir().full(&path).display().to_string())
    }
}
