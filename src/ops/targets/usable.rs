//! What keeps a target from being used: a file that cannot be read, outputs that contradict each other.

use crate::error::Advice;
use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::ops::tracked::{Problem, Tracked, TrackedOut, tracks};

/// A file that is there and cannot be used is not "unknown", nor is what it tracks.
pub fn check_usable(tracked: &Tracked, target: &str, path: &RepoPath) -> Result<(), OpError> {
    let is_its = |known: &&Problem| known.file == *path || tracks(&known.file, path);
    let problem = tracked.problems().iter().find(is_its);
    problem.map_or_else(|| check_undisputed(tracked, target, path), |problem| Err(unusable(target, problem)))
}

/// Fails for what belongs to an output that contradicts another one: which of the two is meant, nobody knows.
pub fn check_undisputed(tracked: &Tracked, target: &str, path: &RepoPath) -> Result<(), OpError> {
    let is_its = |out: &&TrackedOut| path.starts_with(&out.path) || out.source.pointer() == Some(path);
    let Some(out) = tracked.disputed().iter().find(is_its) else { return Ok(()) };
    let problem = tracked.problems().iter().find(|known| known.outputs.contains(&out.path));
    problem.map_or(Ok(()), |problem| Err(unusable(target, problem)))
}

pub(super) fn unusable(target: &str, problem: &Problem) -> OpError {
    OpError::UnusableTarget {
        target: target.to_owned(),
        reason: problem.error.to_string().into(),
        kind: problem.error.kind(),
        hints: problem.error.hints(),
    }
}
