//! Which folders the walk for pointers, pipelines and locks enters, so that nothing is recorded where
//! it would never be found.

use crate::fs::dir::{DirEntry, OWN_FOLDER};
use crate::fs::ignore::IgnoreFiles;
use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::repo::Repo;

/// The folders of a work tree that are entered.
pub struct Reach<'a> {
    repo: &'a Repo,
    ignore: IgnoreFiles<'a>,
}

/// Why a folder, and all below it, is not entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// It is a repository of its own, perhaps a submodule.
    Repository(RepoPath),
    /// git ignores it.
    IgnoredByGit(RepoPath),
    /// A line of `.mlvignore` names it.
    IgnoredByMlv(RepoPath),
}

impl<'a> Reach<'a> {
    /// Reads the ignore files of `repo` as they are needed.
    pub fn new(repo: &'a Repo) -> Reach<'a> {
        Reach { repo, ignore: repo.ignore() }
    }

    /// What was wrong with the ignore files read so far.
    pub(super) fn take_errors(&self) -> Vec<crate::fs::Error> {
        self.ignore.take_errors()
    }

    /// What keeps the walk out of `folder`, given that it comes to the folder above.
    ///
    /// A line of `.gitignore` is not meant for mlv, and hides nothing from git that it tracks (R9): a folder
    /// with a tracked file in it is entered. A line of `.mlvignore` is meant.
    pub(super) fn ignored(&self, folder: &RepoPath) -> Result<Option<Barrier>, OpError> {
        if self.ignore.is_ignored(folder.as_str(), true) {
            return Ok(Some(Barrier::IgnoredByMlv(folder.clone())));
        }
        match self.repo.git() {
            Some(git) if git.is_ignored(folder, true)? && !git.is_tracked(folder)? => {
                Ok(Some(Barrier::IgnoredByGit(folder.clone())))
            }
            _ => Ok(None),
        }
    }

    /// What keeps the walk from the file `path`, which need not be there; nothing if it would be found.
    pub fn barrier(&self, path: &RepoPath) -> Result<Option<Barrier>, OpError> {
        let folders = path.as_str().match_indices('/').filter_map(|(end, _)| path.as_str().get(..end));
        for folder in folders.filter_map(|folder| RepoPath::parse(folder).ok()) {
            if let Some(barrier) = self.ignored(&folder)? {
                return Ok(Some(barrier));
            }
            match self.repo.dir().read_dir(&folder) {
                Ok(entries) if entries.iter().any(is_repository) => {
                    return Ok(Some(Barrier::Repository(folder)));
                }
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

/// Whether a folder with such an entry is a repository of git or mlv, a submodule included.
pub(super) fn is_repository(entry: &DirEntry) -> bool {
    entry.name == ".git" || entry.name == OWN_FOLDER
}
