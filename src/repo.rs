//! An open project: its root, its configuration, its git repository, its cache.
//!
//! Opening locks nothing and writes nothing, so every reading command works on a read-only
//! disk. What a command may not need (the cache, the stat index) is opened when it is asked for.

mod create;
mod error;
mod identity;
mod missing;
mod storage;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::config::{Config, LOCAL_FILE_NAME, Level, Sources};
use crate::fs::dir::{Dir, OWN_FOLDER};
use crate::fs::ignore::IgnoreFiles;
use crate::fs::lock::{MetaLock, Patience};
use crate::git::repo::GitRepo;
use crate::model::path::RepoPath;
use crate::model::shell;
use crate::store::Cache;
use crate::store::here::{self, Here};

pub use create::{Created, Creation, create};
pub use error::Error;
pub use identity::{ClientId, ProjectId};

/// The folder that makes a folder above it a DVC project.
const DVC_FOLDER: &str = ".dvc";
/// The lock that is held while a pointer, an ignore file or a lock file is merged and replaced.
const META_LOCK: &str = "meta.lock";
/// The default cache, below mlv's own folder.
const CACHE_FOLDER: &str = "cache";

/// An open project.
pub struct Repo {
    root: PathBuf,
    prefix: RepoPath,
    sources: Sources,
    config: Config,
    git: Option<GitRepo>,
    dir: Dir,
    mlv: Arc<Dir>,
    waits: bool,
    jobs: Option<NonZeroUsize>,
    cache: OnceLock<Cache>,
}

impl Repo {
    /// Opens the project that holds the folder `cwd`.
    ///
    /// Fails with `NotARepository`, with `DvcProject` where only DVC is set up, and where the
    /// configuration is no TOML.
    pub fn open(cwd: &Path) -> Result<Repo, Error> {
        Repo::open_with(cwd, Sources::of_process(None))
    }

    /// As [`Repo::open`], with these layers of the configuration around the project's own.
    pub fn open_with(cwd: &Path, mut sources: Sources) -> Result<Repo, Error> {
        let cwd = cwd.canonicalize().map_err(crate::fs::at(cwd, "open"))?;
        let root = find_root(&cwd)?;
        let dir = Dir::open(&root)?;
        let mlv = Arc::new(dir.open_own()?);
        sources.project = Some(root.join(OWN_FOLDER));
        let config = Config::load(&sources)?;
        check_local_config(&root)?;
        let git =
            if config.no_scm()? { None } else { GitRepo::discover(&root)?.filter(|git| !git.is_bare()) };
        let prefix = path_below(&root, &cwd).ok_or(Error::UnsafeFolder { path: cwd })?;
        Ok(Repo {
            root,
            prefix,
            sources,
            config,
            git,
            dir: dir.with_temp_home(mlv.clone()),
            mlv,
            waits: true,
            jobs: None,
            cache: OnceLock::new(),
        })
    }

    /// The same project in another work tree, the folder `root`: with this configuration and cache, and
    /// without git. What is remembered of its files lies in it, and goes with it.
    pub fn in_tree(&self, root: &Path) -> Result<Repo, Error> {
        let dir = Dir::open(root)?;
        let mlv = Arc::new(dir.create_own()?);
        let cache = Cache::open(&self.cache_dir()?, self.cache_options()?)?;
        Ok(Repo {
            root: root.to_path_buf(),
            prefix: RepoPath::root(),
            sources: self.sources.clone(),
            config: self.config.clone(),
            git: None,
            dir: dir.with_temp_home(mlv.clone()),
            mlv,
            waits: self.waits,
            jobs: self.jobs,
            cache: OnceLock::from(cache),
        })
    }

    /// The same, for a command that gives up at once where another process is in the way.
    pub fn without_waiting(mut self) -> Repo {
        self.waits = false;
        self
    }

    /// The same, for a command that was told how much to do at once.
    pub fn with_jobs(mut self, jobs: Option<NonZeroUsize>) -> Repo {
        self.jobs = jobs;
        self
    }

    /// How many threads read, hash and write files, if the user says, for this command or for all.
    pub fn file_jobs(&self) -> Result<Option<NonZeroUsize>, Error> {
        let configured = self.config.checksum_jobs()?.and_then(NonZeroUsize::new);
        Ok(self.jobs.or(configured))
    }

    /// How much is transferred at once, if the user says, for this command or for all.
    pub fn transfer_jobs(&self) -> Result<Option<NonZeroUsize>, Error> {
        let configured = self.config.jobs()?.and_then(NonZeroUsize::new);
        Ok(self.jobs.or(configured))
    }

    /// Whether to wait for other processes.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// The root, absolute and without symlinks.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The current folder, relative to the root.
    pub fn prefix(&self) -> &RepoPath {
        &self.prefix
    }

    /// The work tree; temporary files go to `.mlv/tmp`.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// mlv's own folder.
    pub fn mlv(&self) -> &Arc<Dir> {
        &self.mlv
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the configuration comes from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// git, unless the project does without or is not in a work tree of it.
    pub fn git(&self) -> Option<&GitRepo> {
        self.git.as_ref()
    }

    /// git; fails with `NeedsGit` if there is none.
    pub fn require_git(&self) -> Result<&GitRepo, Error> {
        self.git.as_ref().ok_or_else(|| Error::NeedsGit { root: self.root.clone() })
    }

    /// What is remembered to be here, for who records what is gone by it. Fails with `TrackedState` if
    /// git tracks that: then it is what another clone remembers.
    pub fn own_here(&self) -> Result<Here, Error> {
        match &self.git {
            Some(git) if git.is_own_tracked(here::FILE)? => {
                Err(Error::TrackedState { path: self.mlv.path().join(here::FILE) })
            }
            _ => Ok(Here::load(&self.mlv)),
        }
    }

    /// What `.mlvignore` files leave out; read as it is asked.
    pub fn ignore(&self) -> IgnoreFiles<'_> {
        IgnoreFiles::new(&self.dir)
    }

    /// Locks the project's small files for a moment: read again, merge, replace, let go.
    pub fn lock(&self, patience: &Patience<'_>) -> Result<MetaLock, Error> {
        Ok(MetaLock::acquire(&self.mlv, &RepoPath::own(META_LOCK), patience)?)
    }

    /// The path as seen from the current folder, for messages: `../data/a`.
    pub fn shown(&self, path: &RepoPath) -> String {
        path.relative_to(&self.prefix)
    }

    /// Paths for a command line, as seen from the current folder.
    pub fn shown_all(&self, paths: &[RepoPath]) -> String {
        paths.iter().map(|path| shell::path(&self.shown(path))).collect::<Vec<_>>().join(" ")
    }

    /// The cache folder: `cache.dir`, or `.mlv/cache` of the main work tree.
    ///
    /// Fails with `CacheDirNeeded` in a linked work tree of a bare repository, and with
    /// `CacheBehindLink` where a tracked file could have led the cache elsewhere (R3): who wants
    /// it behind a symlink says so in the local configuration.
    pub fn cache_dir(&self) -> Result<PathBuf, Error> {
        match self.config.cache_dir()? {
            Some((dir, origin)) if origin.level() != Level::Project => Ok(self.place(dir)),
            Some((dir, _)) => without_links(&self.root, &dir),
            None => {
                let root = self.main_root()?;
                without_links(&root, &Path::new(OWN_FOLDER).join(CACHE_FOLDER))
            }
        }
    }

    /// A folder that the configuration names: absolute, or relative to the root; above it too.
    pub fn place(&self, folder: impl AsRef<Path>) -> PathBuf {
        let mut below = folder.as_ref();
        let mut root = self.root.as_path();
        // The root has no symlinks, so that its parents are what `..` means.
        while let (Ok(rest), Some(parent)) = (below.strip_prefix(".."), root.parent()) {
            (below, root) = (rest, parent);
        }
        root.join(below)
    }

    /// The project's root in the main git work tree, which may be this one.
    fn main_root(&self) -> Result<PathBuf, Error> {
        let Some(git) = self.git.as_ref().filter(|git| git.is_linked()) else {
            return Ok(self.root.clone());
        };
        match git.main_work_dir()? {
            Some(main) => Ok(git.prefix().components().fold(main, |path, part| path.join(part))),
            None => Err(Error::CacheDirNeeded { git_dir: git.common_dir().to_path_buf() }),
        }
    }
}

/// Fails if the settings of this clone came with the repository, whatever they say of git themselves.
fn check_local_config(root: &Path) -> Result<(), Error> {
    let path = root.join(OWN_FOLDER).join(LOCAL_FILE_NAME);
    if !path.try_exists().unwrap_or(true) {
        return Ok(());
    }
    match GitRepo::discover(root)? {
        Some(git) if git.is_own_tracked(LOCAL_FILE_NAME)? => Err(Error::TrackedLocalConfig { path }),
        _ => Ok(()),
    }
}

/// The nearest folder from `cwd` upwards that is a project.
fn find_root(cwd: &Path) -> Result<PathBuf, Error> {
    for folder in cwd.ancestors() {
        if is_folder(&folder.join(OWN_FOLDER)) {
            return Ok(folder.to_path_buf());
        }
        if is_folder(&folder.join(DVC_FOLDER)) {
            return Err(Error::DvcProject { root: folder.to_path_buf() });
        }
    }
    Err(missing::explain(cwd))
}

/// A symlink counts here and is refused when it is opened: the user should hear of it.
fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// `path` relative to `root`; nothing if mlv could not store it.
fn path_below(root: &Path, path: &Path) -> Option<RepoPath> {
    let parts: Option<Vec<&str>> = path.strip_prefix(root).ok()?.iter().map(|part| part.to_str()).collect();
    let parts = parts?;
    if parts.is_empty() { Some(RepoPath::root()) } else { RepoPath::parse(&parts.join("/")).ok() }
}

/// `root` and `below` joined, if no part of `below` is a symlink.
fn without_links(root: &Path, below: &Path) -> Result<PathBuf, Error> {
    let mut path = root.to_path_buf();
    for part in below {
        path.push(part);
        if path.is_symlink() {
            return Err(Error::CacheBehindLink { path });
        }
    }
    Ok(path)
}
