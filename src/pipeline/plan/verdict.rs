//! The answers that a plan gives, and the reasons for them.

use crate::model::lockfile::StageLock;
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::value::Value;
use crate::pipeline::graph::StageIndex;

/// What to do with a stage.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Run it.
    Run {
        /// Why, at least one reason.
        reasons: Vec<Reason>,
    },
    /// Its inputs are as they were: bring its outputs back without running it.
    Restore {
        /// The outputs to repair, at least one.
        repairs: Vec<Repair>,
    },
    /// It has run with these inputs before: bring back what that made, and record it.
    Reuse {
        /// Why it would have to run, at least one reason.
        reasons: Vec<Reason>,
        /// The lock entry of that run.
        entry: Box<StageLock>,
        /// The outputs that are not in place.
        repairs: Vec<Repair>,
    },
    /// Leave it alone.
    Skip {
        /// Why.
        why: SkipReason,
    },
    /// It depends on what other stages will make. Only where `State` answers `Unknown`.
    Waits {
        /// The inputs that are not known yet.
        inputs: Vec<RepoPath>,
    },
}

/// Why a stage is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Nothing changed.
    Unchanged,
    /// It is frozen, and its command and outputs are as they were.
    Frozen,
}

impl SkipReason {
    /// One word, for events.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::Unchanged => "unchanged",
            SkipReason::Frozen => "frozen",
        }
    }
}

/// Why a stage has to run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The user asked for it.
    Forced,
    /// The lock has no entry of it.
    NeverRun,
    /// The lock's entry was merged or edited, never run.
    StaleEntry,
    /// `always_changed` is set.
    AlwaysChanged,
    /// It has neither inputs nor outputs.
    NothingDeclared,
    /// The command is another one.
    Command,
    /// The shell is another one.
    Shell,
    /// A variable that the command gets, or whose value is an input.
    Variable {
        /// Its name.
        name: Box<str>,
        /// What of it.
        change: InputChange,
    },
    /// A dependency.
    Dep {
        /// Which.
        path: RepoPath,
        /// What of it.
        change: InputChange,
    },
    /// A parameter.
    Param {
        /// The file.
        file: RepoPath,
        /// The key.
        key: Box<str>,
        /// What of it.
        change: InputChange,
        /// The value that was recorded.
        old: Option<Value>,
        /// The value now.
        new: Option<Value>,
    },
    /// An output that cannot be brought back.
    Out {
        /// Which.
        path: RepoPath,
        /// What of it.
        change: OutChange,
    },
}

/// What happened to an input since the lock was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputChange {
    /// The definition names it, the lock does not.
    Added,
    /// The lock names it, the definition does not.
    Removed,
    /// It is another.
    Modified,
    /// It is not there.
    Deleted,
    /// Nobody can tell: it is recorded, not here, and neither is what would tell.
    Unknown,
}

/// What happened to an output since the lock was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutChange {
    /// The definition names it, the lock does not.
    Added,
    /// The lock names it, the definition does not.
    Removed,
    /// It is another.
    Modified,
    /// It is not in the work tree.
    Deleted,
    /// It is as it was, but the cache does not hold it.
    NotCached,
}

/// An output to bring back.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair {
    /// Its path.
    pub path: RepoPath,
    /// What belongs there.
    pub content: ContentInfo,
    /// What is wrong. `NotCached`: the work tree has the bytes and the cache lacks them; otherwise
    /// the cache has them, and what is in the work tree, if anything, is displaced.
    pub change: OutChange,
}

/// A stage and what to do with it.
#[derive(Clone, Debug, PartialEq)]
pub struct StageAction {
    /// The stage.
    pub stage: StageIndex,
    /// What to do.
    pub verdict: Verdict,
}
