//! Paths as seen from the current folder: reports hold them relative to the repository's root.

use std::path::{Path, PathBuf};

use crate::model::path::RepoPath;
use crate::model::shell;
use crate::repo::Repo;

/// The folder that paths are shown relative to.
pub(crate) struct Viewpoint {
    folder: RepoPath,
    /// Where the repository is, if one was opened.
    root: Option<PathBuf>,
}

impl Viewpoint {
    /// The current folder in `repo`.
    pub(crate) fn of(repo: &Repo) -> Viewpoint {
        Viewpoint { folder: repo.prefix().clone(), root: Some(repo.root().to_path_buf()) }
    }

    /// Outside of all repositories, or at the root of one.
    pub(crate) fn at_root() -> Viewpoint {
        Viewpoint { folder: RepoPath::root(), root: None }
    }

    /// The folder in which git was run that runs this command at the top of its work tree; the root
    /// without git.
    pub(crate) fn of_git() -> Viewpoint {
        let prefix = std::env::var("GIT_PREFIX").unwrap_or_default();
        let folder = RepoPath::parse(prefix.trim_end_matches('/')).unwrap_or_else(|_| RepoPath::root());
        Viewpoint { folder, root: None }
    }

    /// A folder of a repository.
    #[cfg(test)]
    pub(crate) fn in_folder(folder: &str) -> Viewpoint {
        Viewpoint { folder: RepoPath::parse(folder).expect("a path"), root: None }
    }

    /// A path relative to the root, as the user would type it here. A slash at its end stays.
    pub(crate) fn path(&self, from_root: &str) -> String {
        let slash = if from_root.ends_with('/') { "/" } else { "" };
        match RepoPath::parse(from_root.trim_end_matches('/')) {
            Ok(path) => path.relative_to(&self.folder) + slash,
            Err(_) => from_root.to_owned(),
        }
    }

    /// The text with absolute paths into the repository, between backticks, as [`Viewpoint::path`]
    /// has them: a layer that knows files by handles names them so.
    pub(crate) fn text(&self, text: &str) -> String {
        let parts = text.split('`').map(|part| match self.below_root(part) {
            Some(path) => self.path(path),
            None => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join("`")
    }

    /// The absolute path relative to the root; nothing if it is none of the work tree.
    pub(crate) fn below_root<'p>(&self, path: &'p str) -> Option<&'p str> {
        let below = Path::new(path).strip_prefix(self.root.as_ref()?).ok()?.to_str()?;
        RepoPath::parse(below).is_ok_and(|path| !path.is_root()).then_some(below)
    }

    /// The paths as words of a shell command.
    pub(crate) fn words(&self, from_root: &[String]) -> String {
        let words: Vec<String> = from_root.iter().map(|path| shell::path(&self.path(path))).collect();
        words.join(" ")
    }
}
