//! What a command runs in: printer, reporter, current folder, the repository once it is asked for.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::args::GlobalArgs;
use crate::cli::error::CliError;
use crate::cli::escape::escape_bytes;
use crate::cli::progress;
use crate::cli::ui::Ui;
use crate::error::ErrorKind;
use crate::repo::Repo;
use crate::report::{Event, Reporter};

/// The surroundings of one command.
pub(crate) struct Context {
    ui: Ui,
    reporter: Box<dyn Reporter>,
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
        let reporter = progress::reporter(ui);
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
        self.reporter.as_ref()
    }

    /// The absolute path of the folder that arguments are relative to.
    pub(crate) fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// The repository that holds the current folder, opened when it is first asked for.
    ///
    /// What is odd in its configuration is warned of then.
    pub(crate) fn repo(&self) -> Result<&Repo, CliError> {
        if let Some(repo) = self.repo.get() {
            return Ok(repo);
        }
        let repo = Repo::open(&self.cwd)?;
        for warning in repo.config().warnings() {
            self.reporter.event(&Event::Warning { message: warning.to_string() });
        }
        Ok(self.repo.get_or_init(|| repo))
    }

    /// Whether to wait for other processes.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// The time since the command started.
    pub(crate) fn took(&self) -> Duration {
        self.started.elapsed()
    }
}
