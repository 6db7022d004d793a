//! `root`: where the project begins.

use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::repo::Repo;

/// Where the project begins.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RootReport {
    /// The root, absolute and without symlinks.
    pub root: String,
    /// The root as seen from the current folder: `../..`.
    pub relative: String,
}

/// Says where the project begins.
pub fn run(repo: &Repo) -> Result<RootReport, OpError> {
    Ok(RootReport { root: repo.root().display().to_string(), relative: repo.shown(&RepoPath::root()) })
}
