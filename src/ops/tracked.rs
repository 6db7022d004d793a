//! What mlv owns: the outputs of pointers and of stages as one set, sorted by path.
//!
//! Read from the work tree, or as it was at a revision. One bad file makes a [`Problem`] and
//! leaves the others usable; who deletes or decides by what is *not* here looks at the problems
//! first (R9).

mod conflicts;
mod discover;
mod history;
mod reach;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::model::lockfile::{Lockfile, RefusedEntry, StageLock};
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::pattern::PathPattern;
use crate::model::place::Place;
use crate::model::stage::{Pipeline, Stage};
use crate::ops::OpError;
use crate::repo::Repo;

pub use history::History;
pub use reach::{Barrier, Reach};
pub use read::WorkTreeValues;

/// The name of pipeline files.
pub const PIPELINE_FILE: &str = "mlv.yaml";
/// The name of lock files.
pub const LOCK_FILE: &str = "mlv.lock";
/// How the names of pointer files end.
pub const POINTER_SUFFIX: &str = ".mlv";

/// Whether `path` is what the pointer `file` tracks by its name, or lies in it.
pub fn tracks(file: &RepoPath, path: &RepoPath) -> bool {
    let output = file.as_str().strip_suffix(POINTER_SUFFIX).and_then(|output| RepoPath::parse(output).ok());
    output.is_some_and(|output| path.starts_with(&output))
}

/// Where an output is declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// By a pointer.
    Pointer {
        /// The pointer file.
        file: RepoPath,
    },
    /// By a stage.
    Stage {
        /// The pipeline file.
        file: RepoPath,
        /// The stage's name in it.
        stage: Box<str>,
    },
}

impl Source {
    /// The pointer file, if it is one.
    pub fn pointer(&self) -> Option<&RepoPath> {
        match self {
            Source::Pointer { file } => Some(file),
            Source::Stage { .. } => None,
        }
    }

    /// The pointer or pipeline file.
    pub fn file(&self) -> &RepoPath {
        match self {
            Source::Pointer { file } | Source::Stage { file, .. } => file,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Pointer { file } => write!(f, "`{file}`"),
            Source::Stage { file, stage } => write!(f, "the stage `{stage}` of `{file}`"),
        }
    }
}

/// A tracked file or directory.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedOut {
    /// Its path.
    pub path: RepoPath,
    /// Where it is declared.
    pub source: Source,
    /// What was last recorded of it; nothing for a stage that never ran.
    pub content: Option<ContentInfo>,
    /// Whether mlv keeps its contents; if not, git or nobody does.
    pub cache: bool,
    /// Whether `push` uploads it.
    pub push: bool,
    /// Whether `pull` brings it only when it is named.
    pub pull_manual: bool,
    /// The remote that it goes to instead of the default one.
    pub remote: Option<Box<str>>,
    /// Whether it is an import that stays as it is.
    pub frozen: bool,
}

/// A pipeline with what its stages last consumed and produced.
#[derive(Clone, Debug)]
pub struct TrackedPipeline {
    /// The stages.
    pub pipeline: Arc<Pipeline>,
    /// The lock beside it; empty if there is none or it cannot be read.
    pub lock: Arc<Lockfile>,
    /// The path of the lock file, whether it is there or not.
    pub lock_file: RepoPath,
}

impl TrackedPipeline {
    /// The stages with their lock entries, in the order of the file.
    pub fn stages(&self) -> impl Iterator<Item = (&Stage, Option<&StageLock>)> {
        self.pipeline.stages.iter().map(|stage| (stage, self.lock.stages.get(&stage.name)))
    }

    /// Where the output `path` from `source` stands, if that is one of the stages.
    fn place_of(&self, path: &RepoPath, source: &Source) -> Option<Place> {
        let Source::Stage { file, stage } = source else { return None };
        let mut stages = self.pipeline.stages.iter().filter(|_| *file == self.pipeline.file);
        stages.find(|known| known.name == *stage).map(|known| known.places.of_out(path))
    }
}

/// A file that cannot be used, or outputs that contradict each other.
#[derive(Debug)]
pub struct Problem {
    /// The file that it is about.
    pub file: RepoPath,
    /// What is wrong.
    pub error: OpError,
    /// The outputs that contradict each other.
    pub outputs: Vec<RepoPath>,
}

/// All that mlv owns in a work tree or at a revision.
#[derive(Debug, Default)]
pub struct Tracked {
    outs: Vec<TrackedOut>,
    disputed: Vec<TrackedOut>,
    pipelines: Vec<TrackedPipeline>,
    problems: Vec<Problem>,
}

impl Tracked {
    /// Reads the work tree: one walk that enters no output, no repository inside, and nothing
    /// that git or `.mlvignore` leave out.
    pub fn load(repo: &Repo) -> Result<Tracked, OpError> {
        Ok(discover::work_tree(repo)?.finish())
    }

    /// The outputs, sorted by path, none in another.
    pub fn outs(&self) -> &[TrackedOut] {
        &self.outs
    }

    /// The outputs that contradict each other, sorted by path: none of them is used.
    pub fn disputed(&self) -> &[TrackedOut] {
        &self.disputed
    }

    /// The pipelines, sorted by file.
    pub fn pipelines(&self) -> &[TrackedPipeline] {
        &self.pipelines
    }

    /// The file that says what an output from `source` holds: the pointer, or the pipeline's lock; the
    /// pipeline itself if it cannot be read.
    pub fn recorded_in<'s>(&'s self, source: &'s Source) -> &'s RepoPath {
        let pipeline = match source {
            Source::Pointer { .. } => None,
            Source::Stage { file, .. } => self.pipelines.iter().find(|one| one.pipeline.file == *file),
        };
        pipeline.map_or(source.file(), |one| &one.lock_file)
    }

    /// Whether `file` is a lock in conflict of which the rest could be read.
    pub fn is_read_in_conflict(&self, file: &RepoPath) -> bool {
        self.pipelines.iter().any(|one| one.lock_file == *file && one.lock.conflict.is_some())
    }

    /// Whether what is recorded of an output from `source` can be told although its lock is in conflict.
    pub fn is_told_in_conflict(&self, source: &Source) -> bool {
        let Source::Stage { file, stage } = source else { return false };
        let mut pipelines = self.pipelines.iter();
        let lock = pipelines.find(|one| one.pipeline.file == *file).map(|one| &one.lock);
        lock.is_some_and(|lock| lock.conflict.is_some() && !lock.is_unmerged(stage))
    }

    /// What could not be used, sorted by file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether a problem is of a pointer, or of entries of a lock the rest of which is used.
    pub fn is_spared_by(&self, problem: &Problem) -> bool {
        let is_of = |one: &&TrackedPipeline| one.lock_file == problem.file;
        let has_rest = |one: &TrackedPipeline| !one.lock.refused.is_empty() || one.lock.conflict.is_some();
        match problem.error {
            OpError::Pointer(_) => true,
            OpError::Lock(_) => self.pipelines.iter().find(is_of).is_some_and(has_rest),
            _ => false,
        }
    }

    /// Takes the problems out, to be reported once.
    pub fn take_problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }

    /// Fails with the first problem, for who needs all of it.
    pub fn complete(mut self) -> Result<Tracked, OpError> {
        if self.problems.is_empty() { Ok(self) } else { Err(self.problems.swap_remove(0).error) }
    }

    /// The output at exactly this path.
    pub fn out(&self, path: &RepoPath) -> Option<&TrackedOut> {
        self.outs.binary_search_by(|out| out.path.cmp(path)).ok().map(|at| &self.outs[at])
    }

    /// The output that `path` is or lies in, and the way from it to `path` (empty: it is the output).
    pub fn containing<'p>(&self, path: &'p RepoPath) -> Option<(&TrackedOut, &'p str)> {
        let mut above = Some(path.clone());
        while let Some(folder) = above {
            if let Some(out) = self.out(&folder) {
                return path.strip_prefix(&out.path).map(|inside| (out, inside));
            }
            above = folder.parent();
        }
        None
    }

    /// Whether `path` is or lies in an optional output of a stage.
    pub fn is_optional(&self, path: &RepoPath) -> bool {
        let stages = self.pipelines().iter().flat_map(|one| &one.pipeline.stages);
        stages.flat_map(|stage| &stage.outs).any(|out| out.optional && path.starts_with(&out.path))
    }

    /// Whether `path` is or lies in an optional output of a stage, and nothing is recorded there.
    pub fn is_left_out(&self, path: &RepoPath) -> bool {
        self.is_optional(path) && self.containing(path).is_none_or(|(out, _)| out.content.is_none())
    }

    /// The output that `path` is or lies in, or those that lie in it; each with the way from it to `path`
    /// (empty: all of it).
    pub fn at<'p>(&self, path: &'p RepoPath) -> Vec<(&TrackedOut, &'p str)> {
        match self.containing(path) {
            Some(around) => vec![around],
            None => self.below(path).map(|out| (out, "")).collect(),
        }
    }

    /// The outputs at or below `folder`.
    pub fn below<'t>(&'t self, folder: &RepoPath) -> impl Iterator<Item = &'t TrackedOut> {
        let prefix = if folder.is_root() { String::new() } else { format!("{folder}/") };
        let start = self.outs.partition_point(|out| out.path.as_str() < prefix.as_str());
        let inside = self.outs[start..].iter().take_while(move |out| out.path.as_str().starts_with(&prefix));
        self.out(folder).into_iter().chain(inside)
    }

    /// The outputs of which `pattern` may match something: of stages those on which it makes its own build.
    pub fn read_by<'t>(&'t self, pattern: &PathPattern) -> impl Iterator<Item = &'t TrackedOut> {
        self.outs.iter().filter(move |out| {
            let is_data = matches!(out.source, Source::Pointer { .. });
            pattern.touches(&out.path) || is_data && pattern.leads_into(&out.path)
        })
    }

    /// The output that the pointer `file` declares.
    pub fn of_pointer(&self, file: &RepoPath) -> Option<&TrackedOut> {
        let declares =
            |out: &&TrackedOut| matches!(&out.source, Source::Pointer { file: known } if known == file);
        let beside = file.as_str().strip_suffix(POINTER_SUFFIX).and_then(|out| RepoPath::parse(out).ok());
        // Only a pointer with `wdir` has its output elsewhere.
        beside.and_then(|path| self.out(&path)).filter(declares).or_else(|| self.outs.iter().find(declares))
    }

    /// The outputs of one stage.
    pub fn of_stage<'t>(&'t self, file: &RepoPath, name: &str) -> impl Iterator<Item = &'t TrackedOut> {
        self.outs.iter().filter(move |out| match &out.source {
            Source::Stage { file: known, stage } => known == file && **stage == *name,
            Source::Pointer { .. } => false,
        })
    }
}

/// Collects what was read, file by file, in any order.
#[derive(Default)]
struct Collector {
    outs: Vec<TrackedOut>,
    pipelines: BTreeMap<RepoPath, Arc<Pipeline>>,
    /// By the folder that they lie in.
    locks: BTreeMap<RepoPath, Arc<Lockfile>>,
    /// Folders whose pipeline file is there and cannot be read.
    broken: Vec<RepoPath>,
    problems: Vec<Problem>,
}

impl Collector {
    fn problem(&mut self, file: &RepoPath, error: impl Into<OpError>) {
        self.problems.push(Problem { file: file.clone(), error: error.into(), outputs: Vec::new() });
    }

    /// Puts pipelines and locks together and checks the outputs against each other.
    fn finish(mut self) -> Tracked {
        let mut pipelines = Vec::new();
        for (file, pipeline) in std::mem::take(&mut self.pipelines) {
            let folder = file.parent().unwrap_or_else(RepoPath::root);
            let lock = self.locks.remove(&folder).unwrap_or_default();
            self.report_refused(&folder, &lock);
            self.outs.extend(read::outs_of(&pipeline, &lock));
            let lock_file = read::beside(&file, LOCK_FILE);
            pipelines.push(TrackedPipeline { pipeline, lock, lock_file });
        }
        for folder in std::mem::take(&mut self.broken) {
            // What the lock says is known to be mlv's, whatever became of the definition.
            if let Some(lock) = self.locks.remove(&folder) {
                self.report_refused(&folder, &lock);
                self.outs.extend(read::outs_of_lock(&read::within(&folder, PIPELINE_FILE), &lock));
            }
        }
        let settled = conflicts::settle(self.outs, &pipelines);
        self.problems.extend(settled.problems);
        self.problems.sort_by(|a, b| a.file.cmp(&b.file));
        Tracked { outs: settled.outs, disputed: settled.disputed, pipelines, problems: self.problems }
    }

    fn report_refused(&mut self, folder: &RepoPath, lock: &Lockfile) {
        for RefusedEntry { error, .. } in lock.refused.values() {
            self.problem(&read::within(folder, LOCK_FILE), error.clone());
        }
    }
}
