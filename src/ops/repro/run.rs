//! One run of one stage: all or nothing.
//!
//! Inputs are looked at before anything is touched. The outputs lie aside while the command runs,
//! and come back unless it succeeds, makes all it declares, and its inputs are what they were.

use std::time::{Duration, Instant};

use crate::error::Advice;
use crate::fs::file::OutFile;
use crate::fs::journal::Journal;
use crate::fs::rescue::Kept;
use crate::model::lockfile::{LockOut, StageLock};
use crate::model::path::RepoPath;
use crate::model::stage::Stage;
use crate::ops::OpError;
use crate::ops::leases;
use crate::ops::lock_entries::Record;
use crate::ops::record::Request;
use crate::ops::repro::aside::Aside;
use crate::ops::repro::error::StageError;
use crate::ops::repro::session::Session;
use crate::ops::stage_inputs::Inputs;
use crate::pipeline::exec::{self, End, ExecError, ExecOptions, Execution};
use crate::pipeline::graph::StageIndex;
use crate::report::{Event, interrupted};

/// Where the output of each stage's last run is kept, below mlv's own folder.
const LOGS: &str = "logs";

/// A run that succeeded.
pub(super) struct Ran {
    pub(super) took: Duration,
    pub(super) kept: Vec<Kept>,
}

impl Session<'_> {
    /// Runs the stage. After a failure its outputs are what they were before.
    pub(super) fn run_stage(&mut self, index: StageIndex) -> Result<Ran, OpError> {
        let (graph, repo) = (self.graph, self.repo);
        let (stage, address) = (graph.stage(index), graph.address(index));
        let target = address.to_string();
        let before = Inputs::read(stage, &target, &self.state)?;
        let folder = repo.dir().full(&stage.wdir);
        if !folder.is_dir() {
            let stage = target.as_str().into();
            return Err(StageError::Exec(ExecError::NoFolder { stage, folder }).into());
        }
        let lock = self.locks.entry(address).cloned();
        self.journal()?;
        let Some(journal) = &mut self.journal else { return Err(OpError::Interrupted) };
        let aside = Aside::take(repo, &self.state, journal, (&target, stage, lock.as_ref()))?;
        let command = stage.command.scripts().join("\n");
        self.reporter.event(&Event::StageStarted { stage: target.clone(), command });
        let start = Instant::now();
        let outcome = aside
            .copy_persistent(repo, stage, self.reporter)
            .and_then(|()| self.execute(stage, &target))
            .and_then(|()| self.accept(stage, &target, before));
        self.state.forget_params();
        match outcome {
            Ok(entry) => self.finish(index, entry, aside, start.elapsed()),
            Err(error) => {
                self.state.forget_work_tree();
                match aside.put_back(repo) {
                    Ok(kept) => self.report.rescued.extend(kept),
                    Err(problem) => self.leave_to_next(&problem),
                }
                Err(error)
            }
        }
    }

    fn execute(&self, stage: &Stage, target: &str) -> Result<(), OpError> {
        let repo = self.repo;
        let (mut log, log_path) = self.log(target)?;
        let execution = Execution {
            stage: target,
            command: &stage.command,
            folder: &repo.dir().full(&stage.wdir),
            root: repo.root(),
            run: self.journal.as_ref().map(Journal::name).unwrap_or_default(),
        };
        let end = exec::run(&execution, &mut log, self.reporter, ExecOptions::default());
        self.state.forget_work_tree();
        let stage = || target.into();
        match end.map_err(StageError::from)? {
            End::Success if interrupted() => Err(OpError::Interrupted),
            End::Success => Ok(()),
            End::Code(code) => Err(StageError::Code { stage: stage(), code, log: log_path }.into()),
            End::Signal(signal) => Err(StageError::Signal { stage: stage(), signal, log: log_path }.into()),
            End::Interrupted => Err(OpError::Interrupted),
        }
    }

    /// The file for all that the stage prints, and its path from the root.
    fn log(&self, target: &str) -> Result<(OutFile, String), OpError> {
        let mlv = self.repo.mlv();
        let folder = leases::own(LOGS);
        mlv.create_dir_all(&folder)?;
        let file = folder.join(&leases::own(&format!("{}.log", leases::file_name(target))));
        mlv.remove_file(&file)?;
        Ok((mlv.create_file(&file, 0o666)?, format!(".mlv/{file}")))
    }

    /// Checks what the command did, and takes its outputs into the cache.
    fn accept(&mut self, stage: &Stage, target: &str, before: Inputs) -> Result<StageLock, OpError> {
        for out in &stage.outs {
            if self.repo.dir().stat(&out.path)?.is_none() {
                let path = out.path.clone();
                return Err(StageError::MissingOutput { stage: target.into(), path }.into());
            }
        }
        // R21: an input that changed is not what the outputs were made from.
        if let Some(path) = self.changed_input(stage, target, &before)?
            && !crate::fs::fault::mutated("input-recheck")
        {
            return Err(StageError::InputChanged { stage: target.into(), path }.into());
        }
        let mut outs = Vec::new();
        for out in &stage.outs {
            let store = out.cache && !self.options.no_commit;
            let request = Request { output: &out.path, known: None, inside: &[], store };
            let content = self.recording()?.output(request)?.info;
            self.state.set(&out.path, content);
            outs.push(LockOut::new(out, content));
        }
        Ok(StageLock::new(stage.command.clone(), before.deps, before.params, outs))
    }

    fn changed_input(
        &self,
        stage: &Stage,
        target: &str,
        before: &Inputs,
    ) -> Result<Option<RepoPath>, OpError> {
        match Inputs::read(stage, target, &self.state) {
            Ok(after) => Ok(before.changed(&after)),
            Err(OpError::Stage(error)) => {
                let path = error.subject().and_then(|path| RepoPath::parse(&path).ok());
                path.map_or_else(|| Err(error.into()), |path| Ok(Some(path)))
            }
            Err(error) => Err(error),
        }
    }

    /// Notes a run that succeeded, and lets the outputs before it go.
    fn finish(
        &mut self,
        index: StageIndex,
        entry: StageLock,
        aside: Aside,
        took: Duration,
    ) -> Result<Ran, OpError> {
        let address = self.graph.address(index);
        let record = self.locks.record(address, &entry);
        if let (Some(journal), Some(entry)) = (&mut self.journal, record) {
            let record = Record::Finished { stage: address.to_string(), entry };
            journal.note(&serde_json::to_string(&record).expect("records have text keys"))?;
        }
        self.locks.put(address, entry);
        let kept = aside.let_go().unwrap_or_else(|problem| {
            self.leave_to_next(&problem);
            Vec::new()
        });
        Ok(Ran { took, kept })
    }

    /// Leaves the journal, so that the next command does what could not be done now.
    fn leave_to_next(&mut self, problem: &OpError) {
        self.is_journal_kept = true;
        let message = format!(
            "the outputs of before cannot be put in order: {problem}; the next mlv command will try again"
        );
        self.reporter.event(&Event::Warning { message });
    }
}
