//! Opening the git repository that a folder belongs to, and where its parts lie.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Error;
use super::promised::Promisor;
use crate::model::path::RepoPath;

/// The name of a commit: SHA-1 or SHA-256, as the repository has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub(super) gix::ObjectId);

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl CommitId {
    /// The first seven digits, for people.
    pub fn short(&self) -> String {
        self.0.to_hex_with_len(7).to_string()
    }
}

/// An open git repository, seen from one folder of its work tree.
///
/// Every path that goes in or comes out is relative to that folder. May be shared by threads.
pub struct GitRepo {
    pub(super) inner: gix::ThreadSafeRepository,
    work_dir: Option<PathBuf>,
    git_dir: PathBuf,
    common_dir: PathBuf,
    /// The folder that was asked about, relative to the work tree's root.
    pub(super) prefix: RepoPath,
    pub(super) index: OnceLock<gix::worktree::Index>,
    /// The rules read so far, with the handle that they are read through.
    pub(super) excludes: Mutex<Option<(gix::Repository, gix::worktree::Stack)>>,
    /// Who has the objects that a partial clone lacks.
    pub(super) promisor: Mutex<Promisor>,
}

impl fmt::Debug for GitRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitRepo").field("git_dir", &self.git_dir).field("prefix", &self.prefix).finish()
    }
}

impl GitRepo {
    /// The repository whose work tree holds `folder`, or nothing if there is none.
    ///
    /// Honours `GIT_DIR` and its relatives, as git does for its hooks, where they mean a work
    /// tree that holds `folder`. Fails with `OwnedByOther` where git would refuse (`safe.directory`).
    pub fn discover(folder: &Path) -> Result<Option<GitRepo>, Error> {
        if std::env::var_os("GIT_DIR").is_some()
            && let Some(repo) = GitRepo::opened(folder, true)?
            && (repo.work_dir.is_none() || repo.holds(folder))
        {
            return Ok(Some(repo));
        }
        GitRepo::discover_plain(folder)
    }

    /// As [`GitRepo::discover`], without a look at the environment: for repositories other than
    /// the one that the user stands in.
    pub fn discover_plain(folder: &Path) -> Result<Option<GitRepo>, Error> {
        GitRepo::opened(folder, false)
    }

    fn opened(folder: &Path, environment: bool) -> Result<Option<GitRepo>, Error> {
        use gix::ThreadSafeRepository as Open;
        let upwards =
            gix::discover::upwards::Options { match_ceiling_dir_or_error: false, ..Default::default() };
        let opened = if environment {
            Open::discover_with_environment_overrides_opts(folder, upwards, options())
        } else {
            Open::discover_opts(folder, upwards.apply_environment(), options())
        };
        match opened {
            Ok(inner) => GitRepo::located(inner, folder).map(Some),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) if is_owned_by_other(&error) => {
                Err(Error::OwnedByOther { path: folder.to_path_buf(), source: Box::new(error) })
            }
            Err(error) => Err(Error::CannotOpen { path: folder.to_path_buf(), source: Box::new(error) }),
        }
    }

    fn located(inner: gix::ThreadSafeRepository, folder: &Path) -> Result<GitRepo, Error> {
        // The paths come as they were found, possibly relative; one spelling makes them comparable.
        let real = |path: &Path| path.canonicalize().map_err(crate::fs::at(path, "resolve"));
        let work_dir = inner.work_dir().map(real).transpose()?;
        let git_dir = real(inner.git_dir())?;
        let common_dir =
            inner.common_dir.as_deref().map(real).transpose()?.unwrap_or_else(|| git_dir.clone());
        let folder = real(folder)?;
        let below = work_dir.as_deref().and_then(|root| folder.strip_prefix(root).ok());
        let prefix = match below.map(as_repo_path) {
            None => RepoPath::root(),
            Some(Some(prefix)) => prefix,
            Some(None) => return Err(Error::FolderName { path: folder }),
        };
        Ok(GitRepo {
            inner,
            work_dir,
            git_dir,
            common_dir,
            prefix,
            index: OnceLock::new(),
            excludes: Mutex::new(None),
            promisor: Mutex::default(),
        })
    }

    fn holds(&self, folder: &Path) -> bool {
        match (&self.work_dir, folder.canonicalize()) {
            (Some(root), Ok(folder)) => folder.starts_with(root),
            _ => false,
        }
    }

    /// The root of the work tree, absolute and without symlinks; nothing in a bare repository.
    pub fn work_dir(&self) -> Option<&Path> {
        self.work_dir.as_deref()
    }

    /// The folder of this work tree's own git files (`.git`, `.git/worktrees/NAME`, …), absolute.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The folder that all work trees of this repository share, absolute.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Whether there is no work tree here.
    pub fn is_bare(&self) -> bool {
        self.work_dir.is_none()
    }

    /// Whether this is a work tree made by `git worktree add`.
    pub fn is_linked(&self) -> bool {
        self.git_dir != self.common_dir
            && self.git_dir.parent().and_then(Path::file_name) == Some("worktrees".as_ref())
    }

    /// The root of the main work tree, of which this may be a linked one; nothing if it is bare.
    pub fn main_work_dir(&self) -> Result<Option<PathBuf>, Error> {
        if !self.is_linked() {
            return Ok(self.work_dir.clone());
        }
        let main = self.local().main_repo().map_err(Error::unreadable("main work tree"))?;
        if main.is_bare() {
            return Ok(None);
        }
        let real = |path: &Path| path.canonicalize().map_err(crate::fs::at(path, "resolve"));
        Ok(main.workdir().map(real).transpose()?)
    }

    /// The folder that this was discovered from, relative to the work tree's root.
    pub fn prefix(&self) -> &RepoPath {
        &self.prefix
    }

    /// A handle for one thread and one piece of work; cheap, its caches are its own.
    pub(super) fn local(&self) -> gix::Repository {
        self.inner.to_thread_local()
    }

    /// The path as git has it.
    pub(super) fn full(&self, path: &RepoPath) -> RepoPath {
        self.prefix.join(path)
    }

    /// The commit that is checked out; nothing on a branch without commits.
    pub fn head(&self) -> Result<Option<CommitId>, Error> {
        let repo = self.local();
        check_references(&repo)?;
        let mut head = repo.head().map_err(Error::unreadable("HEAD"))?;
        let id = head.try_peel_to_id().map_err(Error::unreadable("HEAD"))?;
        Ok(id.map(|id| CommitId(id.detach())))
    }

    /// Forgets what the ignore files said, after one of them was changed.
    pub fn forget_ignore_rules(&self) {
        *self.excludes.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Refuses references that are not files: gix would find none, and silence is not absence (R9).
pub(super) fn check_references(repo: &gix::Repository) -> Result<(), Error> {
    match repo.config_snapshot().string("extensions.refStorage") {
        Some(format) if format != "files" => Err(Error::UnsupportedReferences { format: format.to_string() }),
        _ => Ok(()),
    }
}

/// How repositories are opened: git's own configuration, and git's own refusal of others' repositories.
fn options() -> gix::sec::trust::Mapping<gix::open::Options> {
    let of = |level| {
        <gix::open::Options as gix::sec::trust::DefaultForLevel>::default_for_level(level)
            .lossy_config(true)
            .bail_if_untrusted(true)
    };
    gix::sec::trust::Mapping { full: of(gix::sec::Trust::Full), reduced: of(gix::sec::Trust::Reduced) }
}

fn is_absent(error: &gix::Error) -> bool {
    use gix::discover::upwards::Error as Discover;
    matches!(
        error.downcast_any_ref::<Discover>(),
        Some(
            Discover::NoGitRepository { .. }
                | Discover::NoGitRepositoryWithinCeiling { .. }
                | Discover::NoGitRepositoryWithinFs { .. }
        )
    )
}

fn is_owned_by_other(error: &gix::Error) -> bool {
    // A file that may not be read is classified likewise, but carries the system's error.
    error.is_permission_denied() && error.downcast_any_ref::<std::io::Error>().is_none()
}

/// A relative path of the operating system as the path type that mlv stores.
fn as_repo_path(path: &Path) -> Option<RepoPath> {
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    let text = parts?.join("/");
    if text.is_empty() { Some(RepoPath::root()) } else { RepoPath::parse(&text).ok() }
}
