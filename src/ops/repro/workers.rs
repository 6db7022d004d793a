//! The threads in which commands run: one for each, from its start to its end.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, Scope};
use std::time::Duration;

use crate::fs::file::OutFile;
use crate::model::stage::Stage;
use crate::pipeline::exec::{self, End, ExecError, ExecOptions, Execution};
use crate::pipeline::graph::StageIndex;
use crate::report::{Reporter, Urgency};

/// A command that is to be run.
pub(super) struct Work {
    pub(super) index: StageIndex,
    /// The stage's name as a target.
    pub(super) target: String,
    pub(super) stage: Stage,
    /// The folder that it runs in, absolute.
    pub(super) folder: PathBuf,
    /// The repository's root, absolute.
    pub(super) root: PathBuf,
    /// The name of the journal.
    pub(super) run: String,
    pub(super) log: OutFile,
}

/// How the command of a stage ended.
pub(super) type Ended = (StageIndex, Result<End, ExecError>);

pub(super) struct Workers<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    reporter: &'scope dyn Reporter,
    urgency: &'scope (dyn Fn() -> Urgency + Sync),
    sender: Sender<Ended>,
    ended: Receiver<Ended>,
}

impl<'scope, 'env> Workers<'scope, 'env> {
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'env>,
        reporter: &'scope dyn Reporter,
        urgency: &'scope (dyn Fn() -> Urgency + Sync),
    ) -> Workers<'scope, 'env> {
        let (sender, ended) = mpsc::channel();
        Workers { scope, reporter, urgency, sender, ended }
    }

    /// Starts a command.
    pub(super) fn start(&self, mut work: Work) -> Result<(), ExecError> {
        let (reporter, urgency, sender) = (self.reporter, self.urgency, self.sender.clone());
        let (target, shell) = (work.target.clone(), work.stage.shell.as_str());
        let run = move || {
            let execution = Execution {
                stage: &work.target,
                command: &work.stage.command,
                folder: &work.folder,
                root: &work.root,
                run: &work.run,
                shell: work.stage.shell,
                env: &work.stage.env,
                timeout: work.stage.timeout,
            };
            let options = ExecOptions { urgency, ..ExecOptions::default() };
            let end = exec::run(&execution, &mut work.log, reporter, options);
            // Nobody listens any more only if the session panicked.
            let _ = sender.send((work.index, end));
        };
        let started = Builder::new().name("stage".into()).spawn_scoped(self.scope, run);
        let failed = |source| ExecError::Start { shell, stage: target.as_str().into(), source };
        started.map(drop).map_err(failed)
    }

    /// The next command that ends; nothing if none does within `patience`.
    pub(super) fn next(&self, patience: Option<Duration>) -> Option<Ended> {
        match patience {
            Some(patience) => self.ended.recv_timeout(patience).ok(),
            None => self.ended.recv().ok(),
        }
    }
}
