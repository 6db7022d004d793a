//! Paths as seen from the current folder: reports hold them relative to the repository's root.

use crate::model::path::RepoPath;
use crate::repo::Repo;

/// The folder that paths are shown relative to.
pub(crate) struct Viewpoint(RepoPath);

impl Viewpoint {
    /// The current folder in `repo`.
    pub(crate) fn of(repo: &Repo) -> Viewpoint {
        Viewpoint(repo.prefix().clone())
    }

    /// Outside of all repositories, or at the root of one.
    pub(crate) fn at_root() -> Viewpoint {
        Viewpoint(RepoPath::root())
    }

    /// A path relative to the root, as the user would type it here. A slash at its end stays.
    pub(crate) fn path(&self, from_root: &str) -> String {
        let slash = if from_root.ends_with('/') { "/" } else { "" };
        match RepoPath::parse(from_root.trim_end_matches('/')) {
            Ok(path) => path.relative_to(&self.0) + slash,
            Err(_) => from_root.to_owned(),
        }
    }

    /// The paths as words of a shell command.
    pub(crate) fn words(&self, from_root: &[String]) -> String {
        let words: Vec<String> =
            from_root.iter().map(|path| crate::cli::render::shell_word(&self.path(path))).collect();
        words.join(" ")
    }
}
