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
use std::sync::OnceLock;

use crate::fs;
use crate::fs::dir::{Dir, stamp_of};
use crate::fs::file::is_own;
use crate::fs::link::{LinkMode, probe};
use crate::fs::place::{Examined, Placer};
use crate::fs::rescue::{Kept, Rescue};
use crate::fs::staging::Staging;
use crate::fs::stamp::FileStamp;
use crate::model::digest::{Digest, ObjectId};
use crate::model::path::RepoPath;
use crate::model::tree::EntryKind;
use crate::par;
use crate::report::{Meter, Portion, interrupted};
use crate::store::Error;
use crate::store::cache::Cache;
use crate::store::hash::hash_file;

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
        let folders = NewFolders::begin(self, items);
        let start = || Worker::new(self, &folders, Portion::of(meter));
        let workers = par::runs(self.jobs, tasks.len(), 1, start, |worker, range| {
            for task in &tasks[range] {
                match (task, &packed) {
                    (Task::Window(range), Some(packed)) => {
                        worker.window(items, &packings[range.clone()], packed);
                    }
                    (Task::Window(_), None) => unreachable!("windows are planned of packs that were read"),
                    (Task::Single(index), _) => worker.single(*index, &items[*index]),
                }
            }
            worker.outcome.stopped.is_none()
        });
        let mut outcome = merge(workers.into_iter().map(|worker| worker.outcome));
        folders.end(self, items, &mut outcome);
        outcome
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

    /// The stamp of a file that stands where a new one was to be put, if it is that one: another command
    /// may have been faster (R5).
    fn found(&self, item: &Item, buffer: &mut Vec<u8>) -> Option<FileStamp> {
        if !item.kind.is_file() {
            return None;
        }
        let (file, stamp) = self.work.open_file_stamped(&item.path).ok()?;
        if stamp.size != item.size || stamp.mode_x != (item.kind == EntryKind::Executable) {
            return None;
        }
        let (hash, _) = hash_file(&file, buffer, &|_| Ok(())).ok()?;
        let is_still = stamp_of(&file).is_ok_and(|now| now == stamp);
        (hash == item.hash && is_still).then_some(stamp)
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

mod folders;
mod plan;
mod relink;
mod target;
#[cfg(test)]
mod tests;
mod worker;

use folders::NewFolders;
use plan::{Task, plan};
use worker::Worker;
