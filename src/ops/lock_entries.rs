//! The entries of `mlv.lock` while stages run, and what the journal of a run says.
//!
//! A finished stage is one record of the journal; the lock files are replaced at the end, on a
//! signal, and every few seconds. Replacing means: read again, put in the entries of this run,
//! write if a byte differs. So nobody else's entries are lost (R5).

use std::collections::BTreeMap;

use crate::fs::atomic;
use crate::fs::journal::{self, Beside};
use crate::fs::lock::MetaLock;
use crate::model::digest::Digest;
use crate::model::lockfile::{Lockfile, StageLock};
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::yaml::Limits;
use crate::ops::OpError;
use crate::repo::Repo;

/// A record of the journal of a run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The outputs of a stage that is about to run are moved aside.
    Aside {
        /// The stage's name as a target.
        stage: String,
        /// Its lock entry at that time.
        before: Option<EntryBefore>,
        /// Its outputs.
        outs: Vec<AsideOut>,
    },
    /// A stage has not succeeded, or nobody knows from what it made its outputs, and they are to stay.
    PutBack {
        /// The stage's name as a target.
        stage: String,
    },
    /// A stage has run, and its outputs are in place.
    Finished {
        /// The stage's name as a target.
        stage: String,
        /// Its entry.
        entry: EntryRecord,
    },
    /// All entries so far are in the lock files.
    Written,
    /// Of any command: a file is replaced through a name beside it.
    Beside(Beside),
}

impl Record {
    /// The record as a line of a journal, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("records have text keys")
    }
}

/// An output of a stage that is about to run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AsideOut {
    /// Its path.
    pub path: String,
    /// Whether anything stood there.
    pub was_there: bool,
    /// Whether the cache has all of that.
    pub is_saved: bool,
}

/// Which lock entry a stage had when its outputs were moved aside.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EntryBefore {
    /// The lock file.
    pub file: String,
    /// The stage's name in its pipeline.
    pub name: String,
    /// The sum of the entry; nothing if there was none.
    pub sum: Option<String>,
}

impl EntryBefore {
    /// That of `entry`.
    pub fn new(file: &RepoPath, name: &str, entry: Option<&StageLock>) -> EntryBefore {
        let sum = entry.map(|entry| sum_of(file, name, entry));
        EntryBefore { file: file.to_string(), name: name.to_owned(), sum }
    }

    /// Whether the stage has another entry in its lock file now.
    pub fn has_changed(&self, repo: &Repo) -> Result<bool, OpError> {
        let Ok(file) = RepoPath::parse(&self.file) else { return Ok(true) };
        let current = read(repo, &file)?;
        Ok(*self != EntryBefore::new(&file, &self.name, current.stages.get(&*self.name)))
    }
}

/// A lock entry that is not in the lock file yet.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EntryRecord {
    /// The lock file.
    pub file: String,
    /// The stage's name in its pipeline.
    pub name: String,
    /// A lock file with this entry alone.
    pub text: String,
    /// The sum of the entry that it takes the place of: another one by now is left alone.
    pub over: Option<String>,
}

impl EntryRecord {
    /// The record of `entry`, which takes the place of `old`.
    pub fn new(file: &RepoPath, name: &str, entry: &StageLock, old: Option<&StageLock>) -> EntryRecord {
        EntryRecord {
            file: file.to_string(),
            name: name.to_owned(),
            text: text_of(file, name, entry),
            over: old.map(|old| sum_of(file, name, old)),
        }
    }

    /// The lock file and the entry; nothing if the record makes no sense.
    fn read(&self) -> Option<(RepoPath, StageLock)> {
        let file = RepoPath::parse(&self.file).ok()?;
        let mut lock = Lockfile::parse(&file, self.text.as_bytes()).ok()?;
        let entry = lock.stages.remove(&*self.name)?;
        Some((file, entry))
    }

    /// Whether `current` is the entry that this was made to replace.
    fn follows(&self, file: &RepoPath, current: Option<&StageLock>) -> bool {
        self.over == current.map(|current| sum_of(file, &self.name, current))
    }
}

fn text_of(file: &RepoPath, name: &str, entry: &StageLock) -> String {
    let stages = BTreeMap::from([(name.into(), entry.clone())]);
    Lockfile { stages, ..Lockfile::default() }.write(file)
}

fn sum_of(file: &RepoPath, name: &str, entry: &StageLock) -> String {
    Digest::of(text_of(file, name, entry).as_bytes()).to_string()
}

/// The records of a journal. Lines that are none were cut off, by a crash or a full disk: a run
/// whose end is not told counts as one that did not end.
pub fn records(journal: &str) -> Vec<Record> {
    journal.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The entries that are not in the lock files yet.
pub fn unwritten(records: &[Record]) -> Vec<&EntryRecord> {
    let start = records.iter().rposition(|record| *record == Record::Written).map_or(0, |at| at + 1);
    let entries = records[start..].iter().filter_map(|record| match record {
        Record::Finished { entry, .. } => Some(entry),
        _ => None,
    });
    entries.collect()
}

/// Entries to put into lock files, by file.
#[derive(Debug, Default)]
pub struct Updates {
    files: BTreeMap<RepoPath, BTreeMap<Box<str>, StageLock>>,
}

impl Updates {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The lock files, sorted.
    pub fn files(&self) -> impl Iterator<Item = &RepoPath> {
        self.files.keys()
    }

    /// Adds an entry of the lock file `file`.
    pub fn put(&mut self, file: &RepoPath, name: &str, entry: StageLock) {
        self.files.entry(file.clone()).or_default().insert(name.into(), entry);
    }

    /// Has [`Updates::write`] look at the lock file `file`, whether it gets an entry or not.
    pub fn visit(&mut self, file: &RepoPath) {
        self.files.entry(file.clone()).or_default();
    }

    /// Puts the entries into the files, durably, and takes those of stages away that `exists`
    /// denies; returns the files that changed, sorted.
    pub fn write(
        self,
        repo: &Repo,
        exists: impl Fn(&RepoPath, &str) -> bool,
        _held: &MetaLock,
    ) -> Result<Vec<RepoPath>, OpError> {
        let mut changed = Vec::new();
        for (file, entries) in self.files {
            let old = read_bytes(repo, &file)?;
            let mut lock = match &old {
                Some(bytes) => Lockfile::parse(&file, bytes)?,
                None => Lockfile::default(),
            };
            lock.apply(entries.into_iter().map(|(name, entry)| (name, Some(entry))).collect());
            lock.retain(|name| exists(&file, name));
            let new = lock.write(&file).into_bytes();
            if old.as_ref() != Some(&new) {
                atomic::write(repo.dir(), &file, &new, None)?;
                changed.push(file);
            }
        }
        Ok(changed)
    }
}

fn read_bytes(repo: &Repo, file: &RepoPath) -> Result<Option<Vec<u8>>, OpError> {
    match repo.dir().read_file(file, Limits::LOCK.bytes as u64) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The lock file as it is now; empty if there is none.
pub fn read(repo: &Repo, file: &RepoPath) -> Result<Lockfile, OpError> {
    match read_bytes(repo, file)? {
        Some(bytes) => Ok(Lockfile::parse(file, &bytes)?),
        None => Ok(Lockfile::default()),
    }
}

/// For an output of a stage what a run has made of it that is not over, where no lock file has that yet.
pub fn unwritten_outputs(repo: &Repo) -> BTreeMap<RepoPath, ContentInfo> {
    let mut made = BTreeMap::new();
    for journal in journal::of_all(repo.mlv()) {
        for (_, entry) in unwritten(&records(&journal)).into_iter().filter_map(EntryRecord::read) {
            made.extend(entry.outs.iter().map(|out| (out.path.clone(), out.content)));
        }
    }
    made
}

/// Puts those of `entries` into `lock`, the lock file `file`, that follow what stands there.
pub fn fold(file: &RepoPath, lock: &mut Lockfile, entries: &[&EntryRecord]) {
    for record in entries.iter().filter(|record| record.file == file.as_str()) {
        if let Some((_, entry)) = record.read()
            && record.follows(file, lock.stages.get(&*record.name))
        {
            lock.stages.insert(record.name.as_str().into(), entry);
        }
    }
}

/// Writes what a process that is gone had finished into the lock files.
pub fn write_unwritten(repo: &Repo, records: &[Record], held: &MetaLock) -> Result<(), OpError> {
    let entries = unwritten(records);
    let mut updates = Updates::default();
    for record in &entries {
        let Some((file, entry)) = record.read() else { continue };
        let current = read(repo, &file)?;
        if record.follows(&file, current.stages.get(&*record.name)) {
            updates.put(&file, &record.name, entry);
        }
    }
    updates.write(repo, |_, _| true, held).map(drop)
}
