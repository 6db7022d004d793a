//! What became of one output.

use crate::fs::rescue::Kept;
use crate::model::path::RepoPath;
use crate::ops::place::OutputPlan;
use crate::ops::{OpError, OutputError};
use crate::store;
use crate::store::materialize::Outcome;

/// What was done to one output.
#[derive(Debug)]
pub struct Placed {
    /// The output.
    pub output: RepoPath,
    /// Entries that were not there before.
    pub added: Vec<RepoPath>,
    /// Entries that replaced others.
    pub modified: Vec<RepoPath>,
    /// Entries with the same contents, linked in another way.
    pub relinked: Vec<RepoPath>,
    /// Entries that were taken away.
    pub deleted: Vec<RepoPath>,
    /// Entries that were right already.
    pub unchanged: u64,
    /// Entries that stay although they are not recorded.
    pub extra: Vec<RepoPath>,
    /// Bytes that were written.
    pub bytes: u64,
    /// What could not be done, and why.
    pub failed: Vec<(RepoPath, OpError)>,
    /// What went to rescue.
    pub kept: Vec<Kept>,
}

impl Placed {
    /// Before anything is done.
    pub(super) fn nothing(plan: &OutputPlan) -> Placed {
        let output = plan.wanted.output.clone();
        Placed {
            added: Vec::new(),
            modified: Vec::new(),
            relinked: Vec::new(),
            deleted: Vec::new(),
            unchanged: plan.plan.unchanged,
            extra: plan.plan.extra.iter().map(|path| output.join_entry(path)).collect(),
            bytes: 0,
            failed: Vec::new(),
            kept: Vec::new(),
            output,
        }
    }
}

/// Moves failures and rescued files of an outcome into the result.
pub(super) fn collect(placed: &mut Placed, outcome: Outcome, path: impl Fn(usize) -> RepoPath) {
    let failures = outcome.failed.into_iter().map(|(at, error)| {
        let path = path(at);
        let error = match error {
            store::Error::Missing { .. } => OutputError::NotDownloaded { path: path.clone() }.into(),
            error => OpError::from(error),
        };
        (path, error)
    });
    placed.failed.extend(failures);
    placed.kept.extend(outcome.kept);
    if let Some(error) = outcome.stopped {
        placed.failed.push((placed.output.clone(), error.into()));
    }
}
