//! What the patterns among a stage's dependencies match: what stands in the work tree, and what is recorded
//! and was never here.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::fs::stamp::FileKind;
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::pattern::PathPattern;
use crate::model::stage::Stage;
use crate::ops::present::WorkTreeState;
use crate::ops::repro::StageError;
use crate::ops::tracked::{Source, TrackedOut};
use crate::ops::{OpError, held, targets, trees};

/// Most paths that one pattern may match: each has a line in the lock.
const MAX_MATCHES: usize = 100_000;

impl WorkTreeState<'_> {
    /// The dependencies of a stage now, sorted: those that are named, and what its patterns match.
    pub fn deps_of(&self, stage: &Stage) -> Result<Vec<RepoPath>, OpError> {
        let mut deps = stage.deps.clone();
        for pattern in &stage.patterns {
            deps.extend(self.matches(pattern)?.iter().cloned());
        }
        deps.sort();
        deps.dedup();
        Ok(deps)
    }

    /// What `pattern` matches, sorted, nothing inside of another.
    ///
    /// Fails with `TreeNotDownloaded` where it goes into a directory of which not even the list is here.
    pub fn matches(&self, pattern: &PathPattern) -> Result<Arc<[RepoPath]>, OpError> {
        if let Some(known) = self.matches.borrow().get(pattern.as_path()) {
            return Ok(Arc::clone(known));
        }
        let found: Arc<[RepoPath]> = self.find_matches(pattern)?.into_iter().collect();
        self.matches.borrow_mut().insert(pattern.as_path().clone(), Arc::clone(&found));
        Ok(found)
    }

    fn find_matches(&self, pattern: &PathPattern) -> Result<BTreeSet<RepoPath>, OpError> {
        let written = pattern.as_path();
        // A file that is called so, from before this was a pattern.
        if self.found(written)?.is_some() {
            return Ok(BTreeSet::from([written.clone()]));
        }
        let mut found = BTreeSet::new();
        self.add_standing(pattern, &mut found)?;
        for out in self.tracked.read_by(pattern) {
            let Some(info) = out.content.as_ref().filter(|_| !self.counts_as_missing(out)) else { continue };
            match pattern.outermost(&out.path) {
                Some(path) if found.contains(&path) => {}
                Some(path) => found.extend(self.found(&path)?.map(|_| path)),
                None => self.add_recorded(pattern, (out, info), &mut found)?,
            }
        }
        if found.len() > MAX_MATCHES {
            return Err(StageError::TooManyMatches { pattern: written.clone(), limit: MAX_MATCHES }.into());
        }
        Ok(found)
    }

    /// Adds what stands in the work tree. No folder is entered in which nothing can match.
    fn add_standing(&self, pattern: &PathPattern, found: &mut BTreeSet<RepoPath>) -> Result<(), OpError> {
        let mut open = vec![pattern.base()];
        while let Some(folder) = open.pop() {
            if found.len() > MAX_MATCHES {
                return Ok(());
            }
            for (path, kind) in targets::names_in(self.repo, &folder)? {
                if !self.may_read(pattern, &path) {
                    continue;
                }
                if pattern.matches(&path) {
                    if kind != FileKind::Dir || !self.is_empty_folder(&path)? {
                        found.insert(path);
                    }
                } else if kind == FileKind::Dir && pattern.leads_into(&path) {
                    open.push(path);
                }
            }
        }
        Ok(())
    }

    /// Whether git has nothing of the folder, and mlv neither.
    fn is_empty_folder(&self, path: &RepoPath) -> Result<bool, OpError> {
        if !self.tracked.at(path).is_empty() {
            return Ok(false);
        }
        let nothing = trees::content_info(&trees::build(path, &[], None)?).id;
        // What cannot be looked at is told when it is read.
        Ok(matches!(self.found(path), Ok(Some(found)) if found.info.id == nothing))
    }

    /// Whether `path` is no output of a stage, or of one on which the pattern makes its own stage build.
    fn may_read(&self, pattern: &PathPattern, path: &RepoPath) -> bool {
        match self.tracked.containing(path) {
            Some((TrackedOut { source: Source::Stage { .. }, path, .. }, _)) => pattern.touches(path),
            _ => true,
        }
    }

    /// Adds what is recorded in an output and never was here.
    fn add_recorded(
        &self,
        pattern: &PathPattern,
        (out, info): (&TrackedOut, &ContentInfo),
        found: &mut BTreeSet<RepoPath>,
    ) -> Result<(), OpError> {
        if held::is_all_here(&self.here, &out.path, info.id) {
            return Ok(());
        }
        let present = self.read(&out.path)?.tree_entries();
        let not_here = self.not_here((out, info), "", &present)?;
        let paths = not_here.iter().map(|entry| out.path.join_entry(entry.bare_path()));
        found.extend(paths.filter_map(|path| pattern.outermost(&path)));
        Ok(())
    }
}
