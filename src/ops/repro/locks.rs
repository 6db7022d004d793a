//! The lock entries that this run knows: those of the files, of its own stages, and, where other
//! runs are at work, those that they have finished.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::fs::journal::Journal;
use crate::fs::lock::MetaLock;
use crate::fs::stamp::FileStamp;
use crate::model::lockfile::{Lockfile, StageLock};
use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::ops::lock_entries::{self, EntryBefore, EntryRecord, Updates};
use crate::ops::tracked::Tracked;
use crate::pipeline::graph::{Graph, StageAddress};
use crate::repo::Repo;

pub(super) struct Locks<'a> {
    repo: &'a Repo,
    /// By pipeline file.
    known: BTreeMap<RepoPath, Known>,
    /// Entries of this run that the files do not have yet.
    own: BTreeMap<StageAddress, StageLock>,
    /// What stages made whose entries went because they are defined no more.
    left: Vec<(StageAddress, RepoPath)>,
}

struct Known {
    file: RepoPath,
    lock: Lockfile,
    stamp: Option<FileStamp>,
}

impl<'a> Locks<'a> {
    pub(super) fn new(repo: &'a Repo, tracked: &Tracked) -> Result<Locks<'a>, OpError> {
        let mut known = BTreeMap::new();
        for one in tracked.pipelines() {
            let stamp = repo.dir().stat(&one.lock_file)?;
            let (file, lock) = (one.lock_file.clone(), (*one.lock).clone());
            known.insert(one.pipeline.file.clone(), Known { file, lock, stamp });
        }
        Ok(Locks { repo, known, own: BTreeMap::new(), left: Vec::new() })
    }

    /// The entry of a stage.
    pub(super) fn entry(&self, address: &StageAddress) -> Option<&StageLock> {
        self.known.get(&address.file)?.lock.stages.get(&address.name)
    }

    /// Fails if the lock file of a stage cannot be written because it is in conflict.
    pub(super) fn check_writable(&self, address: &StageAddress) -> Result<(), OpError> {
        let conflict = self.known.get(&address.file).and_then(|known| known.lock.conflict.clone());
        conflict.map_or(Ok(()), |conflict| Err(conflict.into()))
    }

    /// The record of a new entry for the journal.
    pub(super) fn record(&self, address: &StageAddress, entry: &StageLock) -> Option<EntryRecord> {
        let file = &self.known.get(&address.file)?.file;
        Some(EntryRecord::new(file, &address.name, entry, self.entry(address)))
    }

    /// The entry that a stage has before it runs, for the journal.
    pub(super) fn before(&self, address: &StageAddress) -> Option<EntryBefore> {
        let file = &self.known.get(&address.file)?.file;
        Some(EntryBefore::new(file, &address.name, self.entry(address)))
    }

    /// Takes a new entry.
    pub(super) fn put(&mut self, address: &StageAddress, entry: StageLock) {
        if let Some(known) = self.known.get_mut(&address.file) {
            known.lock.stages.insert(address.name.clone(), entry.clone());
            self.own.insert(address.clone(), entry);
        }
    }

    /// What stages made whose entries [`Locks::write`] took away.
    pub(super) fn left(&self) -> &[(StageAddress, RepoPath)] {
        &self.left
    }

    /// Whether there is something to write.
    pub(super) fn has_changes(&self) -> bool {
        !self.own.is_empty()
    }

    /// Looks what others have finished since; whether that changed the entry of `address`.
    pub(super) fn refresh(&mut self, address: &StageAddress, journal: &Journal) -> Result<bool, OpError> {
        let others = journal.of_others();
        let Some(known) = self.known.get_mut(&address.file) else { return Ok(false) };
        let stamp = self.repo.dir().stat(&known.file)?;
        if others.is_empty() && stamp == known.stamp {
            return Ok(false);
        }
        let mut lock = lock_entries::read(self.repo, &known.file)?;
        for journal in others {
            let records = lock_entries::records(&journal);
            lock_entries::fold(&known.file, &mut lock, &lock_entries::unwritten(&records));
        }
        for (own, entry) in self.own.iter().filter(|(own, _)| own.file == address.file) {
            lock.stages.insert(own.name.clone(), entry.clone());
        }
        let has_changed = lock.stages.get(&address.name) != known.lock.stages.get(&address.name);
        known.lock = lock;
        known.stamp = stamp;
        Ok(has_changed)
    }

    /// Writes the new entries into the files, durably, and takes those away whose stages are gone;
    /// returns the files that changed.
    pub(super) fn write(&mut self, graph: &Graph, held: &MetaLock) -> Result<Vec<RepoPath>, OpError> {
        let mut updates = Updates::default();
        for (address, entry) in &self.own {
            if let Some(known) = self.known.get(&address.file) {
                updates.put(&known.file, &address.name, entry.clone());
            }
        }
        let pipelines: BTreeMap<&RepoPath, &RepoPath> =
            self.known.iter().map(|(pipeline, known)| (&known.file, pipeline)).collect();
        // Stages that came since this run began are others' to know: looked for under the lock,
        // which whoever writes an entry of theirs must have. Entries stay where that fails.
        let now = OnceCell::new();
        let has_come = |pipeline: &RepoPath, name: &str| {
            let now = now.get_or_init(|| Tracked::load(self.repo).and_then(Tracked::complete).ok());
            let Some(now) = now else { return true };
            let pipeline = now.pipelines().iter().find(|one| one.pipeline.file == *pipeline);
            pipeline.is_some_and(|one| one.pipeline.stages.iter().any(|stage| *stage.name == *name))
        };
        let exists = |file: &RepoPath, name: &str| {
            pipelines
                .get(file)
                .is_some_and(|pipeline| graph.find(pipeline, name).is_some() || has_come(pipeline, name))
        };
        let mut gone = Vec::new();
        for (pipeline, known) in
            self.known.iter().filter(|(file, _)| self.own.keys().any(|own| own.file == **file))
        {
            let names = known.lock.stages.keys().filter(|name| !exists(&known.file, name));
            gone.extend(names.map(|name| StageAddress { file: pipeline.clone(), name: name.clone() }));
        }
        let changed = updates.write(self.repo, exists, held)?;
        self.own.clear();
        for address in gone {
            let entry =
                self.known.get_mut(&address.file).and_then(|known| known.lock.stages.remove(&address.name));
            let outs = entry.into_iter().flat_map(|entry| entry.outs).filter(|out| out.cache);
            self.left.extend(outs.map(|out| (address.clone(), out.path)));
        }
        for known in self.known.values_mut() {
            known.stamp = self.repo.dir().stat(&known.file)?;
        }
        Ok(changed)
    }
}
