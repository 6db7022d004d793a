//! What can be wrong with the place that a command runs in.

use std::path::PathBuf;

use crate::config;
use crate::error::{Advice, ErrorKind, Hint};
use crate::fs;
use crate::git;
use crate::model::path::RepoPath;
use crate::store;

/// A failure of finding, opening or making a project.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither the folder nor one above it is a project.
    #[error("`{}` is in no mlv repository", searched.display())]
    NotARepository {
        /// Where the search began.
        searched: PathBuf,
    },
    /// A git repository with pointers, whose folder `.mlv` stayed in another clone.
    #[error("git tracks the pointer `{pointer}` in `{}`, but not `.mlv/config.toml`", root.display())]
    NotCommitted {
        /// The work tree.
        root: PathBuf,
        /// A pointer in it.
        pointer: RepoPath,
    },
    /// A work tree whose settings git tracks and has not checked out.
    #[error("git tracks `.mlv/config.toml` of `{}`, and it is not in the work tree", root.display())]
    NotCheckedOut {
        /// The work tree.
        root: PathBuf,
    },
    /// A DVC project that mlv was not set up in.
    #[error("this is a DVC project, in which mlv is not set up: `{}`", root.display())]
    DvcProject {
        /// The folder with `.dvc`.
        root: PathBuf,
    },
    /// A folder whose name mlv cannot store, or one of git's or mlv's own.
    #[error("mlv cannot work in the folder `{}`", path.display())]
    UnsafeFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Settings of one clone that came with the repository: they could send data anywhere (R3).
    #[error("`{}` is tracked by git, so its settings are not this clone's own", path.display())]
    TrackedLocalConfig {
        /// The file.
        path: PathBuf,
    },
    /// What a clone remembers of its own work tree, and that came with the repository.
    #[error("`{}` is tracked by git, so what it says of the work tree may be another clone's", path.display())]
    TrackedState {
        /// The file.
        path: PathBuf,
    },
    /// The folder is a project already.
    #[error("`{}` is an mlv repository already", root.display())]
    AlreadyInitialized {
        /// The project's root.
        root: PathBuf,
    },
    /// The folder lies in a project already.
    #[error("`{}` lies in the mlv repository `{}` already", folder.display(), root.display())]
    InsideAnother {
        /// The folder that was to become a project.
        folder: PathBuf,
        /// The root of the project around it.
        root: PathBuf,
    },
    /// There is no git repository, and `--no-scm` was not given.
    #[error("`{}` is in no git repository", folder.display())]
    NoGit {
        /// The folder that was to become a project.
        folder: PathBuf,
    },
    /// A git repository without a work tree.
    #[error("the git repository `{}` has no work tree", git_dir.display())]
    Bare {
        /// The repository.
        git_dir: PathBuf,
    },
    /// A linked work tree of a bare repository has no main one whose cache it could use.
    #[error("no cache folder is set, and the main git repository `{}` is bare", git_dir.display())]
    CacheDirNeeded {
        /// The main repository.
        git_dir: PathBuf,
    },
    /// A cache folder that tracked files chose leads through a symlink.
    #[error("the cache folder `{}` is or lies behind a symbolic link", path.display())]
    CacheBehindLink {
        /// The folder.
        path: PathBuf,
    },
    /// The project has no id, so that remotes cannot tell it from others.
    #[error("the project has no id: `{}` lacks `project.id`", path.display())]
    NoProjectId {
        /// The configuration file.
        path: PathBuf,
    },
    /// What was asked needs git.
    #[error("this needs git, and the project `{}` does without", root.display())]
    NeedsGit {
        /// The project's root.
        root: PathBuf,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// git.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The cache.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Files.
    #[error(transparent)]
    Fs(#[from] fs::Error),
}

impl Advice for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::NotARepository { .. } | Error::NotCommitted { .. } | Error::NotCheckedOut { .. } => {
                ErrorKind::NotARepository
            }
            Error::DvcProject { .. } => ErrorKind::DvcProject,
            Error::UnsafeFolder { .. }
            | Error::CacheBehindLink { .. }
            | Error::TrackedLocalConfig { .. }
            | Error::TrackedState { .. } => ErrorKind::UnsafePath,
            Error::AlreadyInitialized { .. } | Error::InsideAnother { .. } => ErrorKind::Usage,
            Error::NoGit { .. } | Error::Bare { .. } | Error::NeedsGit { .. } => ErrorKind::NeedsGit,
            Error::CacheDirNeeded { .. } | Error::NoProjectId { .. } => ErrorKind::Config,
            Error::Config(error) => error.kind(),
            Error::Git(error) => error.kind(),
            Error::Store(error) => error.kind(),
            Error::Fs(error) => error.kind(),
        }
    }

    fn hints(&self) -> Vec<Hint> {
        let one = |text: &str| vec![Hint::new(text)];
        match self {
            Error::NotARepository { .. } => one("mlv init"),
            // A second `init` would make another project, with an id of its own.
            Error::NotCommitted { .. } => {
                one("where `mlv init` was run: git add .mlv && git commit, then pull here")
            }
            Error::NotCheckedOut { .. } => vec![
                Hint::new("git checkout -- .mlv"),
                Hint::new("in a sparse checkout: git sparse-checkout add .mlv"),
            ],
            Error::TrackedLocalConfig { .. } => {
                one("look at it, then `git rm --cached .mlv/config.local.toml`")
            }
            // The file goes: kept, it would be believed. And who added it has added all of mlv's folder.
            Error::TrackedState { .. } => {
                one("git rm -q -f .mlv/here && git rm -r -q --cached .mlv && git add .mlv")
            }
            Error::DvcProject { .. } => one("mlv init sets mlv up beside DVC and touches nothing of it"),
            Error::AlreadyInitialized { .. } => {
                one("mlv init --force adds what is missing; no data is removed")
            }
            Error::InsideAnother { .. } => one("mlv init --subdir makes a project of its own in this folder"),
            Error::NoGit { .. } => vec![Hint::new("git init"), Hint::new("mlv init --no-scm")],
            Error::Bare { .. } => one("run it in a clone, or in a work tree made by `git worktree add`"),
            Error::CacheDirNeeded { .. } | Error::CacheBehindLink { .. } => {
                one("mlv cache dir --local FOLDER")
            }
            Error::NoProjectId { .. } => one("mlv init --force"),
            Error::NeedsGit { .. } => one("git init && mlv config core.no_scm false"),
            Error::Config(error) => error.hints(),
            Error::Git(error) => error.hints(),
            Error::Store(error) => error.hints(),
            Error::Fs(error) => error.hints(),
            _ => Vec::new(),
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            Error::NotARepository { searched: path }
            | Error::NotCommitted { root: path, .. }
            | Error::NotCheckedOut { root: path }
            | Error::DvcProject { root: path }
            | Error::UnsafeFolder { path }
            | Error::TrackedLocalConfig { path }
            | Error::TrackedState { path }
            | Error::AlreadyInitialized { root: path }
            | Error::InsideAnother { folder: path, .. }
            | Error::NoGit { folder: path }
            | Error::Bare { git_dir: path }
            | Error::CacheDirNeeded { git_dir: path }
            | Error::CacheBehindLink { path }
            | Error::NoProjectId { path }
            | Error::NeedsGit { root: path } => Some(path.display().to_string()),
            Error::Config(error) => error.subject(),
            Error::Git(error) => error.subject(),
            Error::Store(error) => error.subject(),
            Error::Fs(error) => error.subject(),
        }
    }
}
