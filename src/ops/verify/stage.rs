//! One stage in its clean work tree, from the first file to the comparison.

use std::time::Instant;

use crate::error::{Advice, ErrorKind};
use crate::fs::journal::{Journal, move_between};
use crate::model::lockfile::StageLock;
use crate::model::object::ContentId;
use crate::model::path::RepoPath;
use crate::model::stage::{Stage, Variables};
use crate::ops::present::WorkTreeState;
use crate::ops::repro::{self, StageError};
use crate::ops::scan::Scanner;
use crate::ops::share::bring;
use crate::ops::tracked::Tracked;
use crate::ops::verify::compare::{self, OutputReport};
use crate::ops::verify::inputs::Sources;
use crate::ops::verify::tree::CleanTree;
use crate::ops::verify::{Outcome, StageReport, VerifyError, VerifyOptions};
use crate::ops::{OpError, logs, trees};
use crate::pipeline::exec::{self, ExecOptions, Execution};
use crate::pipeline::graph::{Graph, StageIndex};
use crate::pipeline::plan::{self, InputChange, OutChange, PlanOptions, Reason, Verdict};
use crate::repo::Repo;
use crate::report::{Event, Reporter};

/// What all stages are verified with.
pub(super) struct Verifier<'a> {
    pub(super) repo: &'a Repo,
    pub(super) reporter: &'a dyn Reporter,
    pub(super) options: &'a VerifyOptions,
    pub(super) graph: &'a Graph,
    pub(super) tracked: &'a Tracked,
    pub(super) state: &'a WorkTreeState<'a>,
    /// The operation that the clean work trees belong to.
    pub(super) journal: &'a Journal,
}

impl Verifier<'_> {
    /// Runs a stage again, and compares.
    pub(super) fn stage(&self, index: StageIndex) -> Result<StageReport, OpError> {
        let (stage, target) = (self.graph.stage(index), self.graph.address(index).to_string());
        let lock = self.current_entry(index, &target)?;
        let (provided, wanted) = (&self.options.resources, &stage.resources);
        let grant = repro::grant_alone(self.repo, provided, wanted, self.reporter)?;
        let mut tries = 0;
        loop {
            match self.attempt((&target, stage), lock, grant.variables()) {
                Err(error) if error.kind() == ErrorKind::StageFailed && tries < stage.retries => {
                    tries += 1;
                    let message = format!("{error}; trying again ({tries} of {})", stage.retries);
                    self.reporter.event(&Event::Warning { message });
                }
                outcome => return outcome,
            }
        }
    }

    /// The stage's lock entry, if the stage is now what it was when it ran.
    fn current_entry(&self, index: StageIndex, target: &str) -> Result<&StageLock, OpError> {
        let address = self.graph.address(index);
        let mut pipelines = self.tracked.pipelines().iter();
        let pipeline = pipelines.find(|one| one.pipeline.file == address.file);
        let Some(lock) = pipeline.and_then(|one| one.lock.stages.get(&address.name)) else {
            return Err(VerifyError::NeverRun { stage: target.into() }.into());
        };
        // Whatever `repro` makes of changes: they are what counts here.
        let stage = Stage { frozen: false, always_changed: false, ..self.graph.stage(index).clone() };
        let verdict = plan::decide(&stage, Some(lock), self.state, PlanOptions::default())?;
        let Verdict::Run { mut reasons } = verdict else { return Ok(lock) };
        // What became of the outputs in the work tree is no matter.
        let is_here = |change: &OutChange| !matches!(change, OutChange::Added | OutChange::Removed);
        reasons.retain(|reason| match reason {
            Reason::Out { change, .. } => !is_here(change),
            // What mlv tracks need not stand in the work tree; what it is placed as is compared.
            Reason::Dep { change: InputChange::Unknown, .. }
            | Reason::Param { change: InputChange::Unknown, .. } => false,
            Reason::Dep { path, change: InputChange::Deleted } => self.tracked.containing(path).is_none(),
            Reason::NothingDeclared => false,
            _ => true,
        });
        if reasons.is_empty() {
            return Ok(lock);
        }
        Err(VerifyError::Stale { stage: target.into(), reasons }.into())
    }

    fn attempt(
        &self,
        (target, stage): (&str, &Stage),
        lock: &StageLock,
        variables: Variables,
    ) -> Result<StageReport, OpError> {
        let folder = self.journal.scratch()?;
        let tree = CleanTree::new(self.repo, folder.path())?;
        tree.copy_tracked(self.repo, self.tracked)?;
        let sources =
            Sources { repo: self.repo, tracked: self.tracked, state: self.state, reporter: self.reporter };
        sources.place(&tree, (target, stage), lock, self.options.pull)?;
        tree.make_folders(stage)?;
        let started = Instant::now();
        let log = self.execute(&tree, (target, stage), variables)?;
        let elapsed = started.elapsed();
        let mut report = StageReport::new(target.to_owned(), Outcome::Same);
        report.seconds = Some(elapsed.as_millis() as f64 / 1000.0);
        report.log = Some(log);
        report.outputs = self.compare(&tree, stage, lock)?;
        if report.outputs.iter().any(|out| !out.is_same()) {
            report.result = Outcome::Differs;
            report.kept = self.keep(&tree, target, &report.outputs)?;
        }
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.reporter.event(&Event::StageFinished { stage: target.to_owned(), millis });
        // Before the next one: a tree may be large.
        drop(tree);
        self.journal.scratch()?;
        Ok(report)
    }

    /// Runs the command; returns the file with what it printed.
    fn execute(
        &self,
        tree: &CleanTree,
        (target, stage): (&str, &Stage),
        variables: Variables,
    ) -> Result<String, OpError> {
        // No stage has such a name: the log of its last run stays.
        let (mut log, log_path) = logs::create(self.repo, &format!("@verify-{target}"))?;
        let mut env = stage.env.clone();
        env.extend(variables);
        let folder = tree.repo.dir().full(&stage.wdir);
        let execution = Execution {
            stage: target,
            command: &stage.command,
            folder: &folder,
            root: tree.repo.root(),
            run: self.journal.name(),
            shell: stage.shell,
            env: &env,
            timeout: stage.timeout,
        };
        let command = stage.command.scripts().join("\n");
        self.reporter.event(&Event::StageStarted { stage: target.to_owned(), command });
        let end = exec::run(&execution, &mut log, self.reporter, ExecOptions::default());
        match repro::check_end((target, stage), end, &log_path) {
            Ok(()) => Ok(log_path),
            Err(OpError::Stage(error)) => {
                let code = error.exit_code();
                self.reporter.event(&Event::StageFailed { stage: target.to_owned(), code });
                Err(of_command(*error, log_path))
            }
            Err(error) => {
                self.reporter.event(&Event::StageInterrupted { stage: target.to_owned() });
                Err(error)
            }
        }
    }

    fn compare(
        &self,
        tree: &CleanTree,
        stage: &Stage,
        lock: &StageLock,
    ) -> Result<Vec<OutputReport>, OpError> {
        let index = tree.repo.stat_index();
        let scanner = Scanner::new(&tree.repo, &index, self.reporter);
        let mut outputs = Vec::new();
        for out in &stage.outs {
            let recorded = lock.out(&out.path);
            let info = recorded.map(|made| made.content);
            let entries = || match &info {
                Some(info) => Ok(trees::read_if_here(self.repo, info, &out.path)?.unwrap_or_default()),
                None => Ok(Vec::new()),
            };
            let mut present = scanner.look(&out.path, &entries)?;
            scanner.hash(&out.path, &mut present, None)?;
            let mut report = compare::output(self.repo, &out.path, recorded, &present)?;
            if let (false, true, Some(ContentId::Tree(id))) =
                (report.is_list_known, self.options.pull, info.map(|info| info.id))
            {
                bring::bring_tree(self.repo, id, &out.path, self.reporter)?;
                report = compare::output(self.repo, &out.path, recorded, &present)?;
            }
            outputs.push(report);
        }
        Ok(outputs)
    }

    /// Keeps what differs, if the user wants to look at it; returns the folder.
    fn keep(
        &self,
        tree: &CleanTree,
        target: &str,
        outputs: &[OutputReport],
    ) -> Result<Option<String>, OpError> {
        if !self.options.keep_failed {
            return Ok(None);
        }
        let (folder, shown) = repro::failed_folder(self.repo, &format!("@verify-{target}"))?;
        for out in outputs.iter().filter(|out| !out.is_same()) {
            if let Ok(path) = RepoPath::parse(&out.path) {
                move_between(tree.repo.dir(), &folder, &path)?;
            }
        }
        Ok(Some(shown))
    }
}

fn of_command(error: StageError, log: String) -> OpError {
    match error.log() {
        Some(_) => VerifyError::Command { error, log }.into(),
        None => error.into(),
    }
}
