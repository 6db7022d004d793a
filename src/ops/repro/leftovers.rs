//! What stages made that are defined no more, where others read it: a pattern matches it, a folder holds it.

use crate::model::lockfile::StageLock;
use crate::model::path::RepoPath;
use crate::ops::repro::session::Session;
use crate::ops::{OpError, pointers};
use crate::report::Event;

impl Session<'_> {
    /// Tells of inputs that neither git has, which ignores them by a line of mlv's, nor mlv.
    pub(super) fn warn_of_leftovers(&self) -> Result<(), OpError> {
        let is_part = |path: &RepoPath, of: &RepoPath| path.starts_with(of) || of.starts_with(path);
        let mut paths = Vec::new();
        for path in pointers::ignored_by_nobody(self.repo, self.tracked)? {
            let reads = |entry: &StageLock| entry.deps.iter().any(|dep| is_part(&path, &dep.path));
            let mut order = self.order.iter();
            let reader = order.find(|index| self.locks.entry(self.graph.address(**index)).is_some_and(reads));
            let Some(reader) = reader else { continue };
            let stage = self.target(*reader);
            let message = format!(
                "`{path}`, which stage `{stage}` reads, is tracked by nothing, and a line of mlv's keeps it from \
                 git: nobody else can get it"
            );
            self.reporter.event(&Event::Warning { message });
            paths.push(path);
        }
        if !paths.is_empty() {
            let message =
                format!("delete what is needed no more, else: mlv add {}", self.repo.shown_all(&paths));
            self.reporter.event(&Event::Hint { message });
        }
        Ok(())
    }
}
