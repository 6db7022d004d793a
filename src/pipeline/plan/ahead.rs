//! The present as a plan sees it that has decided on some stages and run none.

use crate::model::lockfile::StageLock;
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::pattern::PathPattern;
use crate::model::stage::Stage;
use crate::pipeline::paths::PathMap;
use crate::pipeline::plan::{Current, CurrentParams, Matched, State};

/// The present, but for what the stages planned so far will have made of it.
pub(super) struct Ahead<'a, S> {
    pub(super) state: &'a S,
    /// Outputs of stages that will or may run.
    pub(super) open: PathMap<()>,
    /// Outputs that will be brought back.
    pub(super) restored: PathMap<ContentInfo>,
}

impl<S> Ahead<'_, S> {
    /// Whether something at `path`, around it or in it will be made or brought back.
    fn is_open(&self, path: &RepoPath) -> bool {
        self.open.overlapping(path).is_some() || self.restored.overlapping(path).is_some()
    }
}

impl<S: State> State for Ahead<'_, S> {
    type Error = S::Error;

    fn content(&self, path: &RepoPath) -> Result<Current, S::Error> {
        if let Some(content) = self.restored.get(path) {
            return Ok(Current::Present(*content));
        }
        if let Some((out, content)) = self.restored.above(path)
            && let Some(inside) = path.strip_prefix(&out)
        {
            // Without the list of what is in it nobody can tell before it is there.
            let part = self.state.part(&out, content, inside)?;
            return Ok(if part == Current::Unlisted { Current::Unknown } else { part });
        }
        if self.is_open(path) { Ok(Current::Unknown) } else { self.state.content(path) }
    }

    fn is_there(&self, path: &RepoPath) -> Result<bool, S::Error> {
        if self.is_open(path) { Ok(true) } else { self.state.is_there(path) }
    }

    fn is_left_out(&self, path: &RepoPath) -> bool {
        self.state.is_left_out(path)
    }

    fn matched(&self, pattern: &PathPattern) -> Result<Matched, S::Error> {
        let is_open = self.open.iter().any(|(out, ())| pattern.touches(out));
        // What is in a folder that will be brought back is not looked up before.
        if is_open || self.restored.iter().any(|(out, _)| pattern.touches(out)) {
            return Ok(Matched::Unknown);
        }
        self.state.matched(pattern)
    }

    fn recorded(&self, path: &RepoPath) -> Result<Current, S::Error> {
        self.state.recorded(path)
    }

    fn part(&self, out: &RepoPath, content: &ContentInfo, inside: &str) -> Result<Current, S::Error> {
        self.state.part(out, content, inside)
    }

    fn params(&self, file: &RepoPath) -> Result<CurrentParams, S::Error> {
        if self.is_open(file) { Ok(CurrentParams::Unknown) } else { self.state.params(file) }
    }

    fn is_cached(&self, content: &ContentInfo) -> Result<bool, S::Error> {
        self.state.is_cached(content)
    }

    fn past_run(&self, stage: &Stage, inputs: &StageLock) -> Result<Option<StageLock>, S::Error> {
        self.state.past_run(stage, inputs)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.state.variable(name)
    }
}
