//! `install`: has git run mlv to merge pointers and locks in this clone.

use crate::git::merge_driver::{self, ATTRIBUTES_FILE, Driver};
use crate::model::path::RepoPath;
use crate::ops::git_files::{self, GitFiles};
use crate::ops::{OpError, surroundings};
use crate::repo::Repo;
use crate::report::Reporter;

/// What was set up.
#[derive(Debug, Default, serde::Serialize)]
pub struct InstallReport {
    /// Whether git's configuration of this clone was changed.
    pub registered: bool,
    /// The command of another driver that stands there and was left.
    pub other_driver: Option<String>,
    /// Files that were written, relative to the root.
    pub written: Vec<String>,
    /// The files for git.
    #[serde(flatten)]
    pub git: GitFiles,
    /// Whether nothing was changed.
    pub dry_run: bool,
}

/// Completes `.gitattributes` and git's configuration of this clone. What the user said there stays.
pub fn run(repo: &Repo, dry_run: bool, reporter: &dyn Reporter) -> Result<InstallReport, OpError> {
    let git = repo.require_git()?;
    let mut report = InstallReport { dry_run, ..InstallReport::default() };
    let driver = if dry_run { git.merge_driver() } else { git.register_merge_driver()? };
    match driver {
        Driver::None => report.registered = true,
        Driver::Mlv => {}
        Driver::Other(command) => report.other_driver = Some(command),
    }
    let mut changed = Vec::new();
    let is_written = if dry_run {
        merge_driver::missing_attributes(repo.dir())?.is_some()
    } else {
        let _held = surroundings::lock(repo, reporter)?;
        merge_driver::complete_attributes(repo.dir())?
    };
    if is_written {
        report.written.push(ATTRIBUTES_FILE.to_owned());
        changed.push(RepoPath::own(ATTRIBUTES_FILE));
    }
    if !dry_run {
        report.git = git_files::of_changes(repo, changed, reporter)?;
    }
    Ok(report)
}

/// Whether the project wants git to run mlv for merges and this clone does not.
pub fn is_missing(repo: &Repo) -> bool {
    let Some(git) = repo.git() else { return false };
    let wants = merge_driver::missing_attributes(repo.dir()).is_ok_and(|missing| missing.is_none());
    wants && git.merge_driver() == Driver::None
}
