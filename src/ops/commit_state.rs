//! The state of a commit, as decisions about stages need it: what its pointers and locks record, and
//! the files that git has. No data is needed, and nothing of the work tree counts.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::fs::ignore::IgnoreFiles;
use crate::git::EntryAt;
use crate::git::repo::{CommitId, GitRepo};
use crate::model::digest::Digest;
use crate::model::lockfile::StageLock;
use crate::model::object::ContentInfo;
use crate::model::path::{PathError, RepoPath, check_output_name};
use crate::model::pattern::PathPattern;
use crate::model::stage::Stage;
use crate::model::tree::TreeEntry;
use crate::model::values;
use crate::model::yaml::Limits;
use crate::ops::revisions::At;
use crate::ops::tracked::Tracked;
use crate::ops::{OpError, contents, trees};
use crate::pipeline::plan::{Current, CurrentParams, Matched, State};
use crate::repo::Repo;

/// Largest file of git's that is hashed, in bytes; a larger one counts as it is recorded.
const MAX_FILE: u64 = 256 << 20;

/// A commit, looked at as decisions ask for it.
pub struct CommitState<'a> {
    repo: &'a Repo,
    git: &'a GitRepo,
    commit: CommitId,
    tracked: &'a Tracked,
    ignore: IgnoreFiles<'a>,
    known: RefCell<HashMap<RepoPath, Current>>,
    params: RefCell<HashMap<RepoPath, CurrentParams>>,
}

impl<'a> CommitState<'a> {
    /// The state of `commit`, in which `tracked` is what mlv owned. Fails with `NeedsGit`.
    pub fn new(repo: &'a Repo, commit: CommitId, tracked: &'a Tracked) -> Result<CommitState<'a>, OpError> {
        let (git, ignore) = (repo.require_git()?, repo.ignore());
        let (known, params) = Default::default();
        Ok(CommitState { repo, git, commit, tracked, ignore, known, params })
    }

    fn find(&self, path: &RepoPath) -> Result<Current, OpError> {
        if let Some((out, inside)) = self.tracked.containing(path).filter(|(out, _)| out.cache)
            && let Some(info) = &out.content
        {
            return if inside.is_empty() {
                Ok(Current::Present(*info))
            } else {
                let entries = trees::read_part(self.repo, info, &out.path, &[inside.into()])?;
                trees::named(path, &trees::relative_to(&entries, inside))
            };
        }
        let mut entries = self.of_git(path)?;
        for out in self.tracked.below(path).filter(|out| out.cache) {
            let (Some(info), Some(inside)) = (&out.content, out.path.strip_prefix(path)) else { continue };
            let recorded = trees::read_content(self.repo, info, &out.path)?;
            let placed = recorded.into_iter().map(|entry| trees::placed_in(inside, entry)).collect();
            entries = trees::merge(entries, placed);
        }
        trees::named(path, &trees::without_filled_folders(entries))
    }

    /// What a pattern of dependencies matches: files of git's, and what is recorded of outputs.
    fn matches(&self, pattern: &PathPattern) -> Result<BTreeSet<RepoPath>, OpError> {
        if !matches!(self.content(pattern.as_path())?, Current::Missing) {
            return Ok(BTreeSet::from([pattern.as_path().clone()]));
        }
        let base = pattern.base();
        let is_own = |path: &RepoPath| matches!(check_output_name(path), Err(PathError::OwnFile));
        let is_made = |path: &RepoPath| self.tracked.containing(path).is_some();
        let mut found = BTreeSet::new();
        for entry in self.git.entries_at(self.commit, &base)? {
            let path = base.join_entry(&entry.path);
            if !is_own(&path) && !is_made(&path) && !self.ignore.is_below_ignored(&path, false) {
                found.extend(pattern.outermost(&path));
            }
        }
        for out in self.tracked.read_by(pattern) {
            let Some(info) = &out.content else { continue };
            match pattern.outermost(&out.path) {
                Some(path) => drop(found.insert(path)),
                None => {
                    let recorded = trees::read_content(self.repo, info, &out.path)?;
                    let paths = recorded.iter().map(|entry| out.path.join_entry(entry.bare_path()));
                    found.extend(paths.filter_map(|path| pattern.outermost(&path)));
                }
            }
        }
        Ok(found)
    }

    /// The files that git has at `path`, hashed as mlv does.
    fn of_git(&self, path: &RepoPath) -> Result<Vec<TreeEntry>, OpError> {
        let mut entries = Vec::new();
        for entry in self.git.entries_at(self.commit, path)? {
            let full = path.join_entry(&entry.path);
            if entry.path.is_empty() || !self.ignore.is_below_ignored(&full, false) {
                entries.push(self.hashed(entry)?);
            }
        }
        Ok(entries)
    }

    fn hashed(&self, entry: EntryAt) -> Result<TreeEntry, OpError> {
        let bytes = self.git.read_entry(&entry, MAX_FILE)?;
        let (size, hash) = (bytes.len() as u64, Digest::of(&bytes));
        Ok(TreeEntry { path: entry.path.into(), kind: entry.kind, size, hash })
    }
}

impl State for CommitState<'_> {
    type Error = OpError;

    fn content(&self, path: &RepoPath) -> Result<Current, OpError> {
        if let Some(known) = self.known.borrow().get(path) {
            return Ok(*known);
        }
        let current = match self.find(path) {
            Err(OpError::Git(crate::git::Error::TooLarge { .. })) => Current::Unlisted,
            Err(error) if error.is_not_downloaded() => Current::Unlisted,
            other => other?,
        };
        self.known.borrow_mut().insert(path.clone(), current);
        Ok(current)
    }

    fn is_left_out(&self, path: &RepoPath) -> bool {
        self.tracked.is_left_out(path)
    }

    fn matched(&self, pattern: &PathPattern) -> Result<Matched, OpError> {
        match self.matches(pattern) {
            Ok(paths) => Ok(Matched::Paths(paths.into_iter().collect())),
            Err(error) if error.is_not_downloaded() => Ok(Matched::Unlisted),
            Err(error) => Err(error),
        }
    }

    fn recorded(&self, path: &RepoPath) -> Result<Current, OpError> {
        self.content(path)
    }

    fn part(&self, out: &RepoPath, content: &ContentInfo, inside: &str) -> Result<Current, OpError> {
        trees::part_of(self.repo, out, content, inside)
    }

    fn params(&self, file: &RepoPath) -> Result<CurrentParams, OpError> {
        if let Some(known) = self.params.borrow().get(file) {
            return Ok(known.clone());
        }
        let at = (self.tracked, At::Commit(self.commit));
        let current = match contents::read(self.repo, at, file, Limits::PIPELINE.bytes as u64) {
            Ok(Some(bytes)) => CurrentParams::Values(Arc::new(values::read(file, &bytes).map_err(Box::new)?)),
            Ok(None) => CurrentParams::Missing,
            Err(error) if error.is_not_downloaded() => CurrentParams::NotHere,
            Err(error) => return Err(error),
        };
        self.params.borrow_mut().insert(file.clone(), current.clone());
        Ok(current)
    }

    fn is_cached(&self, _content: &ContentInfo) -> Result<bool, OpError> {
        // What is not downloaded is no difference.
        Ok(true)
    }

    fn past_run(&self, _stage: &Stage, _inputs: &StageLock) -> Result<Option<StageLock>, OpError> {
        Ok(None)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}
