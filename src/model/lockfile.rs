//! `mlv.lock`: what each stage last consumed and produced.
//!
//! The file is written in one canonical form, so that it is byte-stable and git merges it entry
//! by entry. Each entry carries a sum over its own text: one that does not fit was merged by
//! git or edited by hand, which is no error but makes the entry *stale*. What an entry says is
//! checked entry by entry: a hostile one leaves the others usable.

use std::collections::BTreeMap;

use crate::model::object::{ContentInfo, ParseContentIdError};
use crate::model::path::RepoPath;
use crate::model::place::{Located, Problem, ProblemClass};
use crate::model::resolve::ResolveError;
use crate::model::stage::{Command, Out, Stage, StageNameError};
use crate::model::value::{Entries, Value};
use crate::model::yaml::{Limits, YamlProblem, load, text_of};

mod conflict;
mod fast;
mod merge;
mod read;
mod write;

pub use merge::MergedLock;

/// A whole `mlv.lock`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lockfile {
    /// Entries by stage name.
    pub stages: BTreeMap<Box<str>, StageLock>,
    /// Entries that cannot be used, by stage name. They are written again until their stage runs:
    /// a newer mlv may have written them.
    pub refused: BTreeMap<Box<str>, RefusedEntry>,
    /// Top-level keys of a newer mlv, kept.
    pub unknown: Entries,
    /// Set if git left conflict markers: such a file is read, see [`Lockfile::parse_marked`], and never written.
    pub conflict: Option<LockError>,
}

/// An entry that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedEntry {
    /// Why.
    pub error: LockError,
    /// What stands there.
    pub value: Value,
}

/// What a stage last consumed and produced. [`StageLock::new`] keeps the lists in order.
#[derive(Clone, Debug, PartialEq)]
pub struct StageLock {
    /// What was run.
    pub command: Command,
    /// Inputs, sorted by path.
    pub deps: Vec<LockDep>,
    /// Parameter values by file, sorted, and in it by key, sorted.
    pub params: Vec<(RepoPath, Entries)>,
    /// Outputs, sorted by path.
    pub outs: Vec<LockOut>,
    /// How it was run, besides the command: [`Stage::settings`].
    pub settings: Entries,
    /// Keys of a newer mlv, kept.
    pub unknown: Entries,
    /// Whether the entry is as mlv wrote it.
    pub sum: LockSum,
}

/// Whether an entry is as mlv wrote it after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockSum {
    /// It is.
    Valid,
    /// It was merged or edited: the sum that stands there, if any, does not fit.
    Stale {
        /// The sum that stands there. Written again as it is: a rewrite must not make it valid.
        written: Option<Box<str>>,
    },
}

/// An input as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockDep {
    /// The file or directory, relative to the repository's root.
    pub path: RepoPath,
    /// Its contents.
    pub content: ContentInfo,
}

/// An output as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOut {
    /// The file or directory, relative to the repository's root.
    pub path: RepoPath,
    /// Its contents.
    pub content: ContentInfo,
    /// Whether mlv keeps the contents.
    pub cache: bool,
    /// Whether `push` uploads it.
    pub push: bool,
    /// The remote that it goes to instead of the default one.
    pub remote: Option<Box<str>>,
}

/// What can be wrong in a lock file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockProblem {
    /// The text is refused before its meaning.
    #[error(transparent)]
    Yaml(#[from] YamlProblem),
    /// A version that this mlv does not know.
    #[error("this is version {found} of the lock format; this mlv knows version 1")]
    Version {
        /// What the file says.
        found: Box<str>,
    },
    /// A key that must be there.
    #[error("the key `{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value of another form than the key's.
    #[error("`{key}` must be {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A value that must have keys.
    #[error("{what} must be a map")]
    NotAMap {
        /// What it is.
        what: &'static str,
    },
    /// A stage name.
    #[error("the stage name `{name}` is refused: {reason}")]
    Name {
        /// The name.
        name: Box<str>,
        /// Why.
        reason: StageNameError,
    },
    /// A path.
    #[error("the path `{path}` is refused: {reason}")]
    Path {
        /// As written.
        path: Box<str>,
        /// Why.
        reason: ResolveError,
    },
    /// A path twice in one list.
    #[error("the path `{path}` stands here a second time")]
    Twice {
        /// As written.
        path: Box<str>,
    },
    /// A hash.
    #[error("the hash is refused: {0}")]
    Hash(ParseContentIdError),
    /// A key that belongs to directories, on a file, or the other way round.
    #[error("`{key}` belongs to {of} only")]
    Misplaced {
        /// The key.
        key: &'static str,
        /// "a directory" or "a file".
        of: &'static str,
    },
}

impl LockProblem {
    /// Whether git left conflict markers.
    pub fn is_conflict(&self) -> bool {
        matches!(self, LockProblem::Yaml(YamlProblem::ConflictMarker))
    }
}

impl Problem for LockProblem {
    fn class(&self) -> ProblemClass {
        match self {
            LockProblem::Version { .. } => ProblemClass::Unsupported,
            LockProblem::Path { .. } => ProblemClass::UnsafePath,
            _ => ProblemClass::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            LockProblem::Yaml(YamlProblem::ConflictMarker) => Some("mlv resolve".into()),
            LockProblem::Version { .. } => Some("install a newer mlv".into()),
            _ => None,
        }
    }

    fn hint_for(&self, file: &str) -> Option<String> {
        // A lock is written by mlv alone: nobody has to mend one.
        self.hint().or_else(|| {
            Some(format!(
                "git checkout -- {file}, or delete it: `mlv repro` makes it again, from the run cache as far as \
                 that goes"
            ))
        })
    }
}

/// A problem of a lock file at its place.
pub type LockError = Located<LockProblem>;

impl Lockfile {
    /// Reads the lock file `file` with the contents `bytes`.
    ///
    /// Fails if the file as a whole cannot be read; entries that are refused are listed in
    /// [`Lockfile::refused`].
    pub fn parse(file: &RepoPath, bytes: &[u8]) -> Result<Lockfile, LockError> {
        let name = file.as_str();
        let text = text_of(name, bytes, Limits::LOCK).map_err(|error| error.map(Into::into))?;
        // Our own form is read a line at a time; whatever differs from it goes through YAML.
        if let Some(lock) = fast::lockfile(file, text) {
            return Ok(lock);
        }
        let root = load(name, text, Limits::LOCK).map_err(|error| error.map(Into::into))?;
        read::lockfile(file, text, &root)
    }

    /// The canonical text of this as the lock file `file`: the same bytes for the same contents.
    pub fn write(&self, file: &RepoPath) -> String {
        write::lockfile(file, self)
    }

    /// This with the entries of `updates` replaced, or removed where there is none: what a writer
    /// does to the file that it has just read again, so that nobody else's entries are lost.
    pub fn apply(&mut self, updates: BTreeMap<Box<str>, Option<StageLock>>) {
        for (name, update) in updates {
            self.refused.remove(&name);
            match update {
                Some(entry) => self.stages.insert(name, entry),
                None => self.stages.remove(&name),
            };
        }
    }

    /// Removes the entries of stages that `exists` denies.
    pub fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.stages.retain(|name, _| exists(name));
        self.refused.retain(|name, _| exists(name));
    }
}

impl LockOut {
    /// The output `out` of a stage, made with these contents.
    pub fn new(out: &Out, content: ContentInfo) -> LockOut {
        let (path, remote) = (out.path.clone(), out.remote.clone());
        LockOut { path, content, cache: out.cache, push: out.push, remote }
    }
}

impl StageLock {
    /// The entry of a run; the lists may be in any order.
    pub fn new(
        command: Command,
        mut deps: Vec<LockDep>,
        mut params: Vec<(RepoPath, Entries)>,
        mut outs: Vec<LockOut>,
    ) -> StageLock {
        deps.sort_by(|a, b| a.path.cmp(&b.path));
        outs.sort_by(|a, b| a.path.cmp(&b.path));
        params.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, values) in &mut params {
            values.sort_by(|a, b| a.0.cmp(&b.0));
        }
        let (settings, unknown) = Default::default();
        StageLock { command, deps, params, outs, settings, unknown, sum: LockSum::Valid }
    }

    /// This with the settings of the run.
    pub fn with_settings(self, settings: Entries) -> StageLock {
        StageLock { settings, ..self }
    }

    /// What was recorded of a setting.
    pub fn setting(&self, key: &str) -> Option<&Value> {
        self.settings.iter().find(|(known, _)| **known == *key).map(|(_, value)| value)
    }

    /// Whether the entry was merged or edited since mlv wrote it.
    pub fn is_stale(&self) -> bool {
        self.sum != LockSum::Valid
    }

    /// The entry of the output `path`.
    pub fn out(&self, path: &RepoPath) -> Option<&LockOut> {
        let found = self.outs.binary_search_by(|out| out.path.cmp(path));
        found.ok().map(|index| &self.outs[index])
    }

    /// The entry of the input `path`.
    pub fn dep(&self, path: &RepoPath) -> Option<&LockDep> {
        let found = self.deps.binary_search_by(|dep| dep.path.cmp(path));
        found.ok().map(|index| &self.deps[index])
    }

    /// This with the flags of its outputs as `stage` defines them now; `None` if they are so already.
    /// A flag says where contents go, not what they are: changing one is no reason to run.
    pub fn with_flags_of(&self, stage: &Stage) -> Option<StageLock> {
        let mut changed = self.clone();
        for out in &mut changed.outs {
            if let Some(defined) = stage.outs.iter().find(|defined| defined.path == out.path) {
                out.cache = defined.cache;
                out.push = defined.push;
                out.remote.clone_from(&defined.remote);
            }
        }
        (changed != *self).then_some(changed)
    }
}

#[cfg(test)]
mod tests;
