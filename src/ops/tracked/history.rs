//! What mlv owned at revisions.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use super::read::{self, Role};
use super::{Collector, POINTER_SUFFIX, Tracked, TrackedOut};
use crate::error::{Advice, ErrorKind};
use crate::fs::dir::OWN_FOLDER;
use crate::fs::ignore::IgnoreFiles;
use crate::git;
use crate::git::repo::CommitId;
use crate::git::revision::{BlobId, FileAt, Snapshots};
use crate::model::lockfile::Lockfile;
use crate::model::path::RepoPath;
use crate::model::pointer::Pointer;
use crate::model::stage::Pipeline;
use crate::ops::OpError;
use crate::pipeline::parse;
use crate::pipeline::template::ValueFiles;
use crate::repo::Repo;

/// Reads many revisions: folders and files that did not change are read once.
pub struct History<'r> {
    repo: &'r Repo,
    snapshots: Snapshots<'r>,
    /// Rules of the work tree as it is: they say what is looked at, then as now. None: all is.
    ignore: Option<IgnoreFiles<'r>>,
    /// What was read well; the meaning of a file depends on its place.
    read: HashMap<(RepoPath, BlobId), File>,
}

#[derive(Clone)]
enum File {
    Pointer(Arc<TrackedOut>),
    Pipeline(Arc<Pipeline>),
    Lock(Arc<Lockfile>),
}

impl<'r> History<'r> {
    /// Fails with `NeedsGit` in a project without git.
    pub fn new(repo: &'r Repo) -> Result<History<'r>, OpError> {
        let snapshots =
            repo.require_git()?.snapshots(|name| Role::of(name).is_some(), |folder| folder == OWN_FOLDER);
        Ok(History { repo, snapshots, ignore: Some(repo.ignore()), read: HashMap::new() })
    }

    /// The same, without leaving out what is ignored now: for who deletes what is *not* found.
    pub fn without_ignoring(repo: &'r Repo) -> Result<History<'r>, OpError> {
        Ok(History { ignore: None, ..History::new(repo)? })
    }

    /// Has git bring what a partial clone lacks of `commits`, at once: [`History::at`] does so one by one.
    pub fn foresee(&mut self, commits: &[CommitId]) -> Result<(), OpError> {
        Ok(self.snapshots.foresee(commits)?)
    }

    /// All that mlv owned at `commit`.
    ///
    /// Fails where git cannot bring what a partial clone lacks of it: silence is not absence (R9).
    pub fn at(&mut self, commit: CommitId) -> Result<Tracked, OpError> {
        let mut found = Collector::default();
        self.foresee(&[commit])?;
        for file in self.snapshots.files(commit)? {
            let folder = file.path.parent().unwrap_or_else(RepoPath::root);
            let is_ignored = |rules: &mut IgnoreFiles<'_>| rules.is_below_ignored(&folder, true);
            if !folder.is_root() && self.ignore.as_mut().is_some_and(is_ignored) {
                continue;
            }
            if let Some(role) = Role::of(file.path.file_name()) {
                self.file(commit, &file, role, &mut found);
            }
        }
        Ok(found.finish())
    }

    fn file(&mut self, commit: CommitId, file: &FileAt, role: Role, found: &mut Collector) {
        let key = (file.path.clone(), file.blob);
        let read = match self.read.get(&key) {
            Some(known) => Ok(known.clone()),
            None => {
                let values = CommitValues {
                    repo: self.repo,
                    commit,
                    is_asked: Cell::new(false),
                    failed: Cell::new(None),
                };
                let read = self.parse(file, role, &values);
                // With templates the meaning depends on other files too, which may be others elsewhere.
                if let (Ok(read), false) = (&read, values.is_asked.get()) {
                    self.read.insert(key, read.clone());
                }
                read
            }
        };
        let folder = || file.path.parent().unwrap_or_else(RepoPath::root);
        match read {
            Ok(File::Pointer(out)) => found.outs.push((*out).clone()),
            Ok(File::Pipeline(pipeline)) => {
                found.pipelines.insert(file.path.clone(), pipeline);
            }
            Ok(File::Lock(lock)) => {
                found.locks.insert(folder(), lock);
            }
            Err(error) => {
                if role == Role::Pipeline {
                    found.broken.push(folder());
                }
                found.problem(&file.path, error);
            }
        }
    }

    fn parse(&self, file: &FileAt, role: Role, values: &CommitValues<'_>) -> Result<File, OpError> {
        let bytes = self.snapshots.read(file, role.limit())?;
        Ok(match role {
            Role::Pointer => {
                let pointer = Pointer::parse(&file.path, &bytes)?;
                File::Pointer(Arc::new(read::out_of(&file.path, pointer)))
            }
            Role::Pipeline => match (parse::parse(&file.path, &bytes, values), values.failed.take()) {
                (_, Some(error)) => return Err(error.into()),
                (parsed, None) => File::Pipeline(Arc::new(parsed?)),
            },
            Role::Lock => File::Lock(Arc::new(Lockfile::parse(&file.path, &bytes)?)),
        })
    }
}

/// Files of values as they were at a commit.
struct CommitValues<'r> {
    repo: &'r Repo,
    commit: CommitId,
    is_asked: Cell<bool>,
    /// Why git did not bring one of them: that is nothing of the pipeline's.
    failed: Cell<Option<git::Error>>,
}

impl ValueFiles for CommitValues<'_> {
    fn read(&self, file: &RepoPath) -> Result<Option<Vec<u8>>, Box<str>> {
        self.is_asked.set(true);
        let git = self.repo.require_git().map_err(|error| error.to_string())?;
        let at = |path: &RepoPath| {
            git.read_at(self.commit, path, Role::Pipeline.limit()).map_err(|error| {
                let said = error.to_string();
                if error.kind() == ErrorKind::Network {
                    self.failed.set(Some(error));
                }
                said
            })
        };
        if let Some(bytes) = at(file)? {
            return Ok(Some(bytes));
        }
        // Data of mlv's own is in no commit: the work tree's counts, as far as it is here.
        let pointer = RepoPath::parse(&format!("{file}{POINTER_SUFFIX}"));
        match pointer {
            Ok(pointer) if at(&pointer)?.is_some() => read::WorkTreeValues(self.repo).read(file),
            _ => Ok(None),
        }
    }
}
