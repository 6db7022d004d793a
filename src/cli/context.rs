//! What a command runs in: printer, reporter, current folder, the repository once it is asked for.

use std::cell::OnceCell;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::args::GlobalArgs;
use crate::cli::error::CliError;
use crate::cli::escape::escape_bytes;
use crate::cli::progress::{self, Progress};
use crate::cli::render::Viewpoint;
use crate::cli::ui::Ui;
use crate::config::{Level, Sources};
use crate::error::ErrorKind;
use crate::ops::recover;
use crate::ops::surroundings::Surroundings;
use crate::repo::Repo;
use crate::report::{Event, Reporter};

/// The surroundings of one command.
pub(crate) struct Context {
    ui: Ui,
    reporter: Box<dyn Progress>,
    cwd: PathBuf,
    waits: bool,
    started: Instant,
    repo: OnceCell<Repo>,
}

impl Context {
    /// Goes to the folder that the arguments name. Opens nothing.
    pub(crate) fn new(global: GlobalArgs, ui: Ui) -> Result<Context, CliError> {
        if let Some(dir) = &global.cd {
            std::env::set_current_dir(dir).map_err(|error| {
                let dir = escape_bytes(dir.as_os_str().as_encoded_bytes());
                let message = format!("cannot change to the folder given with `--cd`: `{dir}`");
                CliError::new(ErrorKind::Usage, message).because(error)
            })?;
        }
        let cwd = std::env::current_dir().map_err(|error| {
            CliError::new(ErrorKind::of_io(&error), "cannot find the current folder").because(error)
        })?;
        let reporter = progress::reporter(ui, global.verbose > 0);
        Ok(Context {
            ui,
            reporter,
            cwd,
            waits: !global.no_wait,
            started: Instant::now(),
            repo: OnceCell::new(),
        })
    }

    /// The printer.
    pub(crate) fn ui(&self) -> Ui {
        self.ui
    }

    /// Where operations tell what they do.
    pub(crate) fn reporter(&self) -> &dyn Reporter {
        &*self.reporter
    }

    /// The operation is over: nothing that it drew stays, and no more is drawn.
    pub(crate) fn end_progress(&self) {
        self.reporter.end();
    }

    /// The absolute path of the folder that arguments are relative to.
    pub(crate) fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// The repository that holds the current folder, opened when it is first asked for.
    ///
    /// What is odd in its configuration is warned of then.
    pub(crate) fn repo(&self) -> Result<&Repo, CliError> {
        self.repo_with(None)
    }

    /// The same, for a command that was told how much to do at once.
    pub(crate) fn repo_with(&self, jobs: Option<NonZeroUsize>) -> Result<&Repo, CliError> {
        if let Some(repo) = self.repo.get() {
            return Ok(repo);
        }
        let repo = Repo::open(&self.cwd)?.with_jobs(jobs);
        let repo = if self.waits { repo } else { repo.without_waiting() };
        for warning in repo.config().warnings() {
            self.reporter.event(&Event::Warning { message: warning.to_string() });
        }
        // A command that only reads, on a disk that cannot be written, goes on nevertheless.
        if let Err(error) = recover::after_crash(&repo, self.reporter()) {
            let message = format!("what an interrupted command left cannot be put right now: {error}");
            self.reporter.event(&Event::Warning { message });
        }
        Ok(self.repo.get_or_init(|| repo))
    }

    /// The folder that paths are shown relative to. If no repository was opened that is the root, or
    /// where the user stands whose git runs this command.
    pub(crate) fn viewpoint(&self) -> Viewpoint {
        self.repo.get().map_or_else(Viewpoint::of_git, Viewpoint::of)
    }

    /// What commands get that need no repository.
    pub(crate) fn around(&self) -> Surroundings<'_> {
        let sources = Sources::of_process(None);
        Surroundings { cwd: &self.cwd, sources, waits: self.waits, reporter: self.reporter() }
    }

    /// The project's settings as a path to show, if git tracks them.
    pub(crate) fn tracked_settings(&self) -> Option<String> {
        let repo = self.repo().ok().filter(|repo| repo.git().is_some())?;
        let (folder, name) = repo.sources().place_of(Level::Project)?;
        Some(self.shown(&folder.join(name).display().to_string()))
    }

    /// The absolute path as it is shown: relative to the current folder if it lies in it or in
    /// the repository, else as it is.
    pub(crate) fn shown(&self, path: &str) -> String {
        let path = Path::new(path);
        let root = self.repo().map_or(self.cwd.as_path(), Repo::root);
        let mut folder = self.cwd.as_path();
        let mut up = PathBuf::new();
        while folder.starts_with(root) {
            if let Ok(below) = path.strip_prefix(folder) {
                let shown = up.join(below);
                return if shown.as_os_str().is_empty() { ".".into() } else { shown.display().to_string() };
            }
            up.push("..");
            let Some(parent) = folder.parent() else { break };
            folder = parent;
        }
        path.display().to_string()
    }

    /// The time since the command started.
    pub(crate) fn took(&self) -> Duration {
        self.started.elapsed()
    }
}
