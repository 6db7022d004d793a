//! `init`: makes a folder a project.

use crate::git::repo::GitRepo;
use crate::ops::{OpError, surroundings::Surroundings};
use crate::repo::{self, Creation};

/// What to make, and how.
#[derive(Clone, Debug, Default)]
pub struct InitOptions {
    /// The folder, relative to the current one; that one if none.
    pub folder: Option<String>,
    /// Without git.
    pub no_scm: bool,
    /// As a project of its own inside of another.
    pub subdir: bool,
    /// Also where there is one: what is missing is added, nothing is replaced.
    pub force: bool,
    /// Whether only a report is wanted.
    pub dry_run: bool,
}

/// What was made.
#[derive(Clone, Debug, serde::Serialize)]
pub struct InitReport {
    /// The project's root, absolute.
    pub root: String,
    /// Whether the project was there before.
    pub existed: bool,
    /// The files that were written, relative to the root, sorted.
    pub created: Vec<String>,
    /// Whether git runs mlv for merges in this clone now; not without git.
    pub merges: bool,
    /// What to hand to `git add`, relative to the root; empty without git.
    pub git_add: Vec<String>,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// Makes the project, and has git run mlv to merge its files. A cache that is there stays as it is,
/// whatever the options.
pub fn run(around: &Surroundings<'_>, options: &InitOptions) -> Result<InitReport, OpError> {
    let folder = around.cwd.join(options.folder.as_deref().unwrap_or_default());
    let InitOptions { no_scm, subdir, force, dry_run, .. } = *options;
    let creation = Creation { no_scm, subdir, force, dry_run };
    let created = repo::create(&folder, &creation, around.sources.clone())?;
    // A project without it works; `install` completes it.
    let merges = created.has_git
        && !dry_run
        && GitRepo::discover(&created.root)?.is_some_and(|git| git.register_merge_driver().is_ok());
    let git_add = if created.has_git { created.files.clone() } else { Vec::new() };
    Ok(InitReport {
        root: created.root.display().to_string(),
        existed: created.existed,
        created: created.files,
        merges,
        git_add,
        dry_run,
    })
}
