//! What decisions about stages ask of the work tree, and what it answers.

use std::sync::Arc;

use super::{Absent, MAX_PARAMS, WorkTreeState};
use crate::model::lockfile::StageLock;
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::pattern::PathPattern;
use crate::model::stage::Stage;
use crate::model::values;
use crate::ops::{OpError, run_cache, trees};
use crate::pipeline::plan::{Current, CurrentParams, Matched, State};

impl State for WorkTreeState<'_> {
    type Error = OpError;

    fn content(&self, path: &RepoPath) -> Result<Current, OpError> {
        match self.found(path) {
            Ok(found) => Ok(found.map_or(Current::Missing, |found| Current::Present(found.info))),
            Err(error) if error.is_not_downloaded() && self.allows_missing => Ok(Current::Unlisted),
            Err(error) => Err(error),
        }
    }

    fn is_there(&self, path: &RepoPath) -> Result<bool, OpError> {
        // What nobody recorded needs no hash to be there.
        if self.tracked.at(path).is_empty() && self.repo.dir().stat(path)?.is_some() {
            return Ok(true);
        }
        Ok(self.content(path)? != Current::Missing)
    }

    fn is_left_out(&self, path: &RepoPath) -> bool {
        let is_below = |out: &RepoPath| path.starts_with(out);
        self.left_out.borrow().iter().any(is_below) || self.origin.is_left_out(path)
    }

    fn matched(&self, pattern: &PathPattern) -> Result<Matched, OpError> {
        match self.matches(pattern) {
            Ok(paths) => Ok(Matched::Paths(paths)),
            Err(error) if error.is_not_downloaded() && self.allows_missing => Ok(Matched::Unlisted),
            Err(error) => Err(error),
        }
    }

    fn recorded(&self, path: &RepoPath) -> Result<Current, OpError> {
        let Some((out, inside)) = self.tracked.containing(path) else { return Ok(Current::Missing) };
        let Some(info) = &out.content else { return Ok(Current::Missing) };
        if inside.is_empty() { Ok(Current::Present(*info)) } else { self.part(&out.path, info, inside) }
    }

    fn part(&self, out: &RepoPath, content: &ContentInfo, inside: &str) -> Result<Current, OpError> {
        trees::part_of(self.repo, out, content, inside)
    }

    fn params(&self, file: &RepoPath) -> Result<CurrentParams, OpError> {
        if let Some(known) = self.params.borrow().get(file) {
            return Ok(known.clone());
        }
        let current = match self.repo.dir().read_file(file, MAX_PARAMS) {
            Ok(bytes) => CurrentParams::Values(Arc::new(values::read(file, &bytes).map_err(Box::new)?)),
            Err(error) if error.is_not_found() && self.may_be_missing(file)? => CurrentParams::NotHere,
            Err(error) if error.is_not_found() => CurrentParams::Missing,
            Err(error) => return Err(error.into()),
        };
        self.params.borrow_mut().insert(file.clone(), current.clone());
        Ok(current)
    }

    fn past_run(&self, stage: &Stage, inputs: &StageLock) -> Result<Option<StageLock>, OpError> {
        run_cache::find(self.repo, stage, inputs, |out| {
            // Metrics that came with git are in place. What cannot be looked at cannot be had.
            let is_in_place = !out.cache
                && matches!(self.content(&out.path), Ok(Current::Present(now)) if now.id == out.content.id);
            is_in_place || self.has_all(&out.content).unwrap_or(false)
        })
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn is_cached(&self, content: &ContentInfo) -> Result<bool, OpError> {
        if self.absent == Absent::AsRecorded {
            // Not downloaded is no difference.
            return Ok(true);
        }
        self.has_all(content)
    }
}
