//! Turns objects of the cache into files of a work tree, and takes files out of it.
//!
//! The caller decides what goes where and says of each path what it found there; this module
//! acts. It writes nothing whose bytes do not hash to their name (R4), replaces nothing but what
//! was examined, and what is not saved goes to rescue (R2: `fs/place.rs`). One file that fails
//! stops no other.
//!
//! Packed objects are read in the order in which they lie, many with one read; so files arrive
//! in pack order, not in the order of their names.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;

use crate::error::{Advice, ErrorKind};
use crate::fs;
use crate::fs::dir::Dir;
use crate::fs::file::is_own;
use crate::fs::link::{LinkMode, probe};
use crate::fs::place::{Draft, Examined, Placer};
use crate::fs::rescue::{Kept, Rescue};
use crate::fs::staging::Staging;
use crate::fs::stamp::FileStamp;
use crate::model::digest::{Digest, ObjectId};
use crate::model::object::{RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::model::tree::EntryKind;
use crate::pack::reader::{decode_record, open_record};
use crate::par;
use crate::report::{Meter, Portion, interrupted};
use crate::store::Error;
use crate::store::cache::Cache;
use crate::store::copy::{CopyError, Source, copy_hashing};
use crate::store::hash::{count, hash_file};
use crate::store::layout::loose_path;
use crate::store::packed::{Packed, ReadError};

/// Something to be put into the work tree.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where, from the work tree's root.
    pub path: RepoPath,
    /// What: of an empty folder neither size nor hash count.
    pub kind: EntryKind,
    /// Bytes.
    pub size: u64,
    /// The object's hash.
    pub hash: Digest,
    /// What was found at the path. Without it, the path must be free.
    pub old: Option<Box<Examined>>,
}

/// Something to be taken out of the work tree.
#[derive(Clone, Debug)]
pub struct Removal {
    /// Where, from the work tree's root.
    pub path: RepoPath,
    /// What was found there.
    pub old: Examined,
}

/// What was done, and what was not.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Items by their index, rising, with the stamps of what is there now.
    pub done: Vec<(usize, FileStamp)>,
    /// Items by their index, rising, and why they failed.
    pub failed: Vec<(usize, Error)>,
    /// What went to rescue, sorted by path.
    pub kept: Vec<Kept>,
    /// Why the rest was not tried: the user asked to stop, or the disk is full.
    pub stopped: Option<Error>,
}

/// Puts objects of one cache into one work tree.
pub struct Materializer<'a> {
    cache: &'a Cache,
    work: &'a Dir,
    staging: &'a Staging,
    rescue: &'a Rescue,
    jobs: usize,
    /// Whether files may share nothing with the cache that others could see.
    own_files: bool,
    link: OnceLock<LinkMode>,
}

impl<'a> Materializer<'a> {
    /// Puts objects of `cache` into `work` on up to `jobs` threads. New files are made in
    /// `staging`, a folder on the same file system as `work`.
    pub fn new(
        cache: &'a Cache,
        work: &'a Dir,
        staging: &'a Staging,
        rescue: &'a Rescue,
        jobs: usize,
    ) -> Materializer<'a> {
        Materializer { cache, work, staging, rescue, jobs, own_files: false, link: OnceLock::new() }
    }

    /// The same, for files that nobody expects to belong to the cache: whatever `cache.type` says, they
    /// are copies.
    pub fn with_files_of_their_own(mut self) -> Materializer<'a> {
        self.own_files = true;
        self
    }

    /// Puts the items in place; `meter` counts their bytes.
    ///
    /// If the disk is too small for what has to be copied, nothing is begun.
    pub fn put(&self, items: &[Item], meter: &dyn Meter) -> Outcome {
        if let Err(error) = self.check_space(items.iter(), [].iter()) {
            return Outcome { stopped: Some(error), ..Outcome::default() };
        }
        let packed = self.cache.packed();
        let (packings, tasks) = plan(items, packed.as_deref());
        let start = || Worker {
            owner: self,
            placer: Placer::new(self.work, self.staging, self.rescue),
            window: Vec::new(),
            verify: Vec::new(),
            portion: Portion::of(meter),
            outcome: Outcome::default(),
        };
        let workers = par::runs(self.jobs, tasks.len(), 1, start, |worker, range| {
            for task in &tasks[range] {
                match (task, &packed) {
                    (Task::Window(range), Some(packed)) => {
                        worker.window(items, &packings[range.clone()], packed);
                    }
                    (Task::Window(_), None) => {}
                    (Task::Single(index), _) => worker.single(*index, &items[*index]),
                }
            }
            worker.outcome.stopped.is_none()
        });
        merge(workers.into_iter().map(|worker| worker.outcome))
    }

    /// Takes the files and symlinks out that were examined, and folders below `base` that are
    /// empty then.
    pub fn remove(&self, removals: &[Removal], base: &RepoPath) -> Outcome {
        let start = || (Placer::new(self.work, self.staging, self.rescue), Outcome::default(), Vec::new());
        let parts = par::runs(self.jobs, removals.len(), 64, start, |(placer, outcome, buffer), range| {
            for index in range {
                let Removal { path, old } = &removals[index];
                match placer.remove(path, &self.verified(old, buffer)) {
                    Ok(kept) => {
                        outcome.done.push((index, old.stamp));
                        outcome.kept.extend(kept);
                    }
                    Err(error) => outcome.failed.push((index, error.into())),
                }
                if interrupted() {
                    outcome.stopped = Some(Error::Interrupted);
                    break;
                }
            }
            outcome.stopped.is_none()
        });
        let outcome = merge(parts.into_iter().map(|(_, outcome, _)| outcome));
        self.prune(outcome.done.iter().map(|(index, _)| &removals[*index].path), base);
        outcome
    }

    /// What was examined, saved only if the object that saves it is right (R2, R8): a name in the
    /// cache may stand for bytes that a failing disk or a crash has spoilt.
    fn verified(&self, old: &Examined, buffer: &mut Vec<u8>) -> Examined {
        let is_sound = |hash: Digest| self.cache.is_sound(ObjectId(hash), buffer);
        let is_saved = old.is_saved && old.hash.is_some_and(is_sound);
        Examined { is_saved, ..*old }
    }

    /// Removes the folders above `paths`, up to `base`, that are empty.
    fn prune<'p>(&self, paths: impl Iterator<Item = &'p RepoPath>, base: &RepoPath) {
        let mut folders = BTreeSet::new();
        for path in paths {
            let mut folder = path.parent();
            while let Some(here) = folder.filter(|here| here != base && here.starts_with(base)) {
                folder = here.parent();
                if !folders.insert(here) {
                    break;
                }
            }
        }
        // From the last on: what lies in a folder comes after it.
        for folder in folders.iter().rev() {
            let _ = self.work.remove_dir(folder);
        }
    }

    /// Fails if the bytes to be written do not fit, less what they replace, what is removed, and what
    /// is not copied. Asked before the first file of many goes, and before each batch.
    pub fn check_space<'i>(
        &self,
        items: impl Iterator<Item = &'i Item> + Clone,
        removals: impl Iterator<Item = &'i Removal>,
    ) -> Result<(), Error> {
        let pack_below = self.cache.options().pack_below;
        let is_copied = |item: &Item| item.size < pack_below || self.link() == LinkMode::Copy;
        let freed = |old: &Examined| if old.is_saved && old.stamp.nlink == 1 { old.stamp.size } else { 0 };
        let growth = |item: &Item| item.size.saturating_sub(item.old.as_deref().map_or(0, freed));
        let removed: u64 = removals.map(|removal| freed(&removal.old)).fold(0, u64::saturating_add);
        let sizes = items.filter(|item| item.kind.is_file());
        let needed: u64 = sizes.clone().map(growth).fold(0, u64::saturating_add);
        let path = self.work.path().to_path_buf();
        match self.work.free_bytes() {
            Some(free) if needed > free.saturating_add(removed) => {
                let copied = sizes.filter(|item| is_copied(item)).map(growth).fold(0, u64::saturating_add);
                if copied > free.saturating_add(removed) {
                    Err(fs::Error::NoSpace { path, needed: copied, free }.into())
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    /// How loose objects are linked, tried once.
    fn link(&self) -> LinkMode {
        *self.link.get_or_init(|| {
            let copies = [LinkMode::Reflink, LinkMode::Copy];
            let wanted = if self.own_files { &copies[..] } else { &self.cache.options().links };
            let probed = self
                .cache
                .staging()
                .and_then(|folder| probe(folder.dir(), self.staging.dir(), wanted).map_err(Error::from));
            probed.unwrap_or(LinkMode::Copy)
        })
    }

    /// How a file of this kind is made of a loose object.
    fn link_of(&self, kind: EntryKind, source: &File) -> LinkMode {
        // A link would carry the cache's mode.
        let link = if kind == EntryKind::Executable { LinkMode::Copy } else { self.link() };
        // R18: another user of the cache could change what is only linked.
        let is_shared = matches!(link, LinkMode::Hardlink | LinkMode::Symlink) && !is_own(source);
        if is_shared { LinkMode::Copy } else { link }
    }
}

/// The outcomes of several threads as one, in the order of the items.
fn merge(parts: impl Iterator<Item = Outcome>) -> Outcome {
    let mut whole = Outcome::default();
    for mut part in parts {
        whole.done.append(&mut part.done);
        whole.failed.append(&mut part.failed);
        whole.kept.append(&mut part.kept);
        whole.stopped = whole.stopped.or(part.stopped);
    }
    whole.done.sort_unstable_by_key(|(index, _)| *index);
    whole.failed.sort_unstable_by_key(|(index, _)| *index);
    whole.kept.sort_by(|a, b| (&a.path, &a.stored).cmp(&(&b.path, &b.stored)));
    whole
}

/// One thread's part.
struct Worker<'m, 'a> {
    owner: &'m Materializer<'a>,
    placer: Placer<'a>,
    /// What was read of a pack, or working memory for a large file.
    window: Vec<u8>,
    /// Working memory for the objects of what is displaced.
    verify: Vec<u8>,
    /// The item at hand.
    portion: Portion<'m>,
    outcome: Outcome,
}

impl Worker<'_, '_> {
    /// Puts items whose records lie close to each other.
    fn window(&mut self, items: &[Item], packings: &[Packing], packed: &Packed) {
        let (Some(first), Some(end)) = (packings.first(), packings.iter().map(|one| one.end).max()) else {
            return;
        };
        let mut window = std::mem::take(&mut self.window);
        window.resize((end - first.start) as usize, 0);
        let read = packed.read_range_into(first.pack, first.start, &mut window);
        for packing in packings {
            if self.stops() {
                break;
            }
            let (index, item) = (packing.item, &items[packing.item]);
            let key = RecordKey { hash: item.hash, kind: RecordKind::File };
            let record =
                &window[(packing.start - first.start) as usize..(packing.end - first.start) as usize];
            let record = match read {
                Ok(true) => open_record(record, key),
                _ => decode_record(record, key),
            };
            let outcome = match (&read, record) {
                (Ok(_), Ok(bytes)) => self.put_bytes(item, &bytes),
                // By itself, from wherever else it lies; and what is wrong is put aside.
                (Ok(_) | Err(ReadError::Damaged | ReadError::Vanished | ReadError::Io(_)), _) => {
                    self.put_single(item)
                }
            };
            self.count(index, item, outcome);
        }
        self.window = window;
    }

    fn single(&mut self, index: usize, item: &Item) {
        if !self.stops() {
            let outcome = self.put_single(item);
            self.count(index, item, outcome);
        }
    }

    fn stops(&mut self) -> bool {
        if interrupted() {
            self.outcome.stopped = Some(Error::Interrupted);
        }
        self.outcome.stopped.is_some()
    }

    fn count(&mut self, index: usize, item: &Item, outcome: Result<FileStamp, Error>) {
        self.portion.end(item.size);
        match outcome {
            Ok(stamp) => self.outcome.done.push((index, stamp)),
            Err(error @ Error::Interrupted) => self.outcome.stopped = Some(error),
            Err(error) if error.kind() == ErrorKind::NoSpace => self.outcome.stopped = Some(error),
            Err(error) => self.outcome.failed.push((index, error)),
        }
    }

    fn put_single(&mut self, item: &Item) -> Result<FileStamp, Error> {
        let cache = self.owner.cache;
        let key = RecordKey { hash: item.hash, kind: RecordKind::File };
        match item.kind {
            EntryKind::EmptyDir => Ok(self.placer.make_folder(&item.path)?),
            EntryKind::Symlink => {
                let target = cache.read_record(key)?;
                let target = String::from_utf8(target).ok().filter(|target| stays_inside(&item.path, target));
                let target =
                    target.ok_or_else(|| Error::UnsafeLink { path: self.owner.work.full(&item.path) })?;
                let draft = self.placer.draft_symlink(&target)?;
                self.place(draft, item)
            }
            EntryKind::File | EntryKind::Executable => match cache.open_loose(key)? {
                Some(file) => self.put_loose(item, key, &file),
                None => {
                    let bytes = cache.read_record(key)?;
                    self.put_bytes(item, &bytes)
                }
            },
        }
    }

    /// Writes verified bytes.
    fn put_bytes(&mut self, item: &Item, bytes: &[u8]) -> Result<FileStamp, Error> {
        let mut draft = self.placer.draft(item.kind == EntryKind::Executable)?;
        let written = draft.file().map_or(Ok(()), |file| file.write_all(bytes));
        if let Err(error) = written {
            self.placer.discard(draft);
            return Err(fs::at(&self.owner.work.full(&item.path), "write")(error).into());
        }
        self.place(draft, item)
    }

    fn place(&mut self, draft: Draft, item: &Item) -> Result<FileStamp, Error> {
        match &item.old {
            None => Ok(self.placer.put_new(draft, &item.path)?),
            Some(old) => {
                // What comes has the bytes of what goes where only the link or the mode differs.
                let is_same = old.hash == Some(item.hash);
                let old = if is_same { **old } else { self.owner.verified(old, &mut self.verify) };
                let (stamp, kept) = self.placer.put_over(draft, &item.path, &old)?;
                self.outcome.kept.extend(kept);
                Ok(stamp)
            }
        }
    }

    /// A loose object: linked where that works, else copied; hashed in any case.
    fn put_loose(&mut self, item: &Item, key: RecordKey, source: &File) -> Result<FileStamp, Error> {
        let link = self.owner.link_of(item.kind, source);
        let draft = match link {
            LinkMode::Reflink | LinkMode::Copy => self.copy(item, key, source, link == LinkMode::Reflink)?,
            LinkMode::Hardlink | LinkMode::Symlink => self.link(key, source, link)?,
        };
        self.place(draft, item)
    }

    fn copy(&mut self, item: &Item, key: RecordKey, source: &File, share: bool) -> Result<Draft, Error> {
        let full = self.owner.work.full(&item.path);
        let size = source.metadata().map_err(fs::at(&full, "copy to"))?.len();
        let mut draft = self.placer.draft(item.kind == EntryKind::Executable)?;
        let from = Source { file: source, size, meter: &self.portion };
        let copied = match draft.file() {
            Some(file) => copy_hashing(&from, file, &mut share.clone(), &mut self.window),
            None => Err(CopyError::Short),
        };
        let failure = match copied {
            Ok(hash) if hash == key.hash || fs::fault::mutated("materialize-verify") => return Ok(draft),
            Ok(_) | Err(CopyError::Short) => {
                self.owner.cache.quarantine(key);
                Error::Damaged { key }
            }
            Err(CopyError::Read(error) | CopyError::Write(error)) => fs::at(&full, "copy to")(error).into(),
            Err(CopyError::Interrupted) => Error::Interrupted,
        };
        self.placer.discard(draft);
        Err(failure)
    }

    fn link(&mut self, key: RecordKey, source: &File, link: LinkMode) -> Result<Draft, Error> {
        let cache = self.owner.cache;
        let path = loose_path(key);
        let hashed = hash_file(source, &mut self.window, &|read| count(&self.portion, read));
        let (hash, _) = match hashed {
            Err(_) if interrupted() => return Err(Error::Interrupted),
            hashed => hashed.map_err(fs::at(&cache.root().join(path.as_str()), "read"))?,
        };
        if hash != key.hash {
            cache.quarantine(key);
            return Err(Error::Damaged { key });
        }
        let Some(dir) = cache.dir() else { return Err(Error::Missing { key }) };
        match link {
            LinkMode::Hardlink => Ok(self.placer.draft_hardlink(dir, &path)?),
            _ => {
                let target = std::path::absolute(dir.full(&path)).unwrap_or_else(|_| dir.full(&path));
                let target = target.to_str().ok_or_else(|| fs::Error::NotUtf8 { path: dir.full(&path) })?;
                Ok(self.placer.draft_symlink(target)?)
            }
        }
    }
}

mod plan;
mod relink;
mod target;
#[cfg(test)]
mod tests;

use plan::{Packing, Task, plan};
use target::stays_inside;
