//! What a command runs in that need not be a project: `init`, `config` and their like.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::config::{ConfigFile, Level, Sources};
use crate::error::{Advice, ErrorKind};
use crate::fs::lock::{MetaLock, Patience};
use crate::ops::OpError;
use crate::repo::{self, Repo};
use crate::report::{self, Event, Reporter};
use crate::store::here::Here;

/// The current folder, the layers of the configuration, and how to wait.
pub struct Surroundings<'a> {
    /// The current folder.
    pub cwd: &'a Path,
    /// The layers of the configuration around the project's own.
    pub sources: Sources,
    /// Whether to wait for other processes.
    pub waits: bool,
    /// Where waiting is told.
    pub reporter: &'a dyn Reporter,
}

impl Surroundings<'_> {
    /// The project that holds the current folder.
    pub fn repo(&self) -> Result<Repo, OpError> {
        Ok(Repo::open_with(self.cwd, self.sources.clone())?)
    }

    /// The project that holds the current folder, if there is one.
    pub(super) fn repo_if_any(&self) -> Result<Option<Repo>, OpError> {
        match Repo::open_with(self.cwd, self.sources.clone()) {
            Ok(repo) => Ok(Some(repo)),
            Err(error) if error.kind() == ErrorKind::NotARepository => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The configuration file that is changed at `level`; the project's if none is named.
    pub(super) fn config_file(&self, level: Option<Level>) -> Result<ConfigFile, OpError> {
        let level = level.unwrap_or(Level::Project);
        if level < Level::Project {
            return Ok(ConfigFile::of(&self.sources, level)?);
        }
        Ok(ConfigFile::of(self.repo()?.sources(), level)?)
    }

    /// Runs `body` with the patience that the user asked for.
    pub(super) fn patiently<T>(&self, body: impl FnOnce(&Patience<'_>) -> T) -> T {
        patiently(self.waits, self.reporter, body)
    }
}

/// Locks the project's small files, waiting for others as the user asked.
///
/// Who does not want to wait does so for a moment all the same: nobody holds the lock for longer who is
/// not stopped, and what is no conflict is not to fail for it.
pub fn lock(repo: &Repo, reporter: &dyn Reporter) -> Result<MetaLock, repo::Error> {
    let start = Instant::now();
    loop {
        match patiently(repo.waits(), reporter, |patience| repo.lock(patience)) {
            Err(error) if error.kind() == ErrorKind::Busy && start.elapsed() < MOMENT => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// So long a command that does not wait does.
const MOMENT: Duration = Duration::from_secs(1);

/// Re-reads and replaces what is remembered to be here. Others hold its lock for moments only: it
/// is waited for, whatever the user said of waiting.
pub fn update_here(
    repo: &Repo,
    reporter: &dyn Reporter,
    change: impl FnOnce(&mut Here),
) -> Result<Here, crate::fs::Error> {
    patiently(true, reporter, |patience| Here::update(repo.mlv(), patience, change))
}

/// Runs `body` with the patience of who waits or not, and tells of waiting.
pub fn patiently<T>(waits: bool, reporter: &dyn Reporter, body: impl FnOnce(&Patience<'_>) -> T) -> T {
    let notify = |holder: &str| reporter.event(&Event::Waiting { holder: holder.to_owned() });
    body(&Patience { wait: waits, notify: &notify, cancelled: &report::interrupted })
}
