//! Why there is no project: none was made, or its settings were never committed.

use std::path::Path;

use crate::fs::dir::Dir;
use crate::git::repo::GitRepo;
use crate::model::path::RepoPath;
use crate::model::pointer::Pointer;
use crate::model::yaml::Limits;
use crate::repo::Error;

/// The error for `cwd`, which is in no project.
pub(super) fn explain(cwd: &Path) -> Error {
    let root = cwd.ancestors().find(|folder| folder.join(".git").exists());
    if let Some(root) = root.filter(|root| has_settings(root)) {
        return Error::NotCheckedOut { root: root.to_path_buf() };
    }
    match root.and_then(|root| tracked_pointer(root).map(|pointer| (root, pointer))) {
        Some((root, pointer)) => Error::NotCommitted { root: root.to_path_buf(), pointer },
        None => Error::NotARepository { searched: cwd.to_path_buf() },
    }
}

/// Whether git tracks the settings, which are not here: deleted, or left out by a sparse checkout.
fn has_settings(root: &Path) -> bool {
    let git = GitRepo::discover_plain(root).ok().flatten();
    git.is_some_and(|git| git.is_own_tracked("config.toml").unwrap_or(false))
}

/// A pointer that git tracks: a name alone says little, other programs have files of that name.
fn tracked_pointer(root: &Path) -> Option<RepoPath> {
    let git = GitRepo::discover_plain(root).ok()??;
    let dir = Dir::open(root).ok()?;
    let is_pointer = |file: &RepoPath| {
        let bytes = dir.read_file(file, Limits::POINTER.bytes as u64);
        bytes.is_ok_and(|bytes| Pointer::parse(file, &bytes).is_ok())
    };
    let files = git.tracked_below(&RepoPath::root(), usize::MAX).ok()?;
    files.into_iter().filter(|file| file.as_str().ends_with(".mlv")).take(100).find(is_pointer)
}
