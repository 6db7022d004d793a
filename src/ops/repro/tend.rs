//! Git's part in stages that were left as they are: who keeps an output may change without a run.

use std::collections::BTreeSet;

use crate::model::path::RepoPath;
use crate::model::stage::Out;
use crate::ops::repro::Action;
use crate::ops::repro::session::Session;
use crate::ops::{OpError, git_files, pointers, surroundings};
use crate::pipeline::graph::StageIndex;

impl Session<'_> {
    /// Has git ignore the outputs that mlv keeps by now, and no more those that are left to git; these are
    /// for `git add` then. Looks at those that are left to git, and at stages with other flags.
    pub(super) fn tend_ignore_lines(&mut self) -> Result<(), OpError> {
        let (graph, repo) = (self.graph, self.repo);
        let settled: Vec<StageIndex> =
            self.order.iter().copied().filter(|index| self.is_settled(*index)).collect();
        let outs = |index: &StageIndex| graph.stage(*index).outs.iter();
        let plain: Vec<&Out> = settled.iter().flat_map(outs).filter(|out| !out.cache).collect();
        let left = pointers::ignored_by_mlv(repo, plain.iter().map(|out| &out.path))?;
        let mut cached = Vec::new();
        for out in self.reflagged.iter().flat_map(outs).filter(|out| out.cache) {
            let is_tracked = repo.git().map_or(Ok(false), |git| git.is_tracked(&out.path))?;
            cached.extend((!is_tracked).then_some(&out.path));
        }
        if !left.is_empty() || !cached.is_empty() {
            let held = surroundings::lock(repo, self.reporter)?;
            self.changed.extend(pointers::unignore_outputs(repo, &left, &held)?);
            self.changed.extend(pointers::ignore_outputs(repo, &cached, &held)?);
        }
        let left: BTreeSet<&RepoPath> = left.into_iter().collect();
        let is_news = |index: &StageIndex| {
            self.reflagged.contains(index) || outs(index).any(|out| left.contains(&out.path))
        };
        for index in settled.iter().filter(|index| is_news(index)) {
            if let Some(entry) = self.locks.entry(graph.address(*index)) {
                self.changed.extend(git_files::kept_by_git(repo, (Some(entry), entry))?);
            }
        }
        Ok(())
    }

    fn is_settled(&self, index: StageIndex) -> bool {
        matches!(self.action(index), Some(Action::Skipped | Action::Restored))
    }
}
