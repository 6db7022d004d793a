//! Stages whose files were changed or made by hand: their lock entries say what is there now.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::fs::lock::StageLease;
use crate::model::lockfile::{LockOut, StageLock};
use crate::model::path::RepoPath;
use crate::model::run::{RunInputs, is_reusable};
use crate::model::stage::{Out, Stage};
use crate::ops::commit::{CommitOptions, CommitReport};
use crate::ops::lock_entries::{self, Updates};
use crate::ops::present::{Absent, WorkTreeState};
use crate::ops::record::{Recording, Request};
use crate::ops::repro::StageError;
use crate::ops::run_cache::Origin;
use crate::ops::scan::Scanner;
use crate::ops::stage_inputs::Inputs;
use crate::ops::targets::{self, TargetOptions};
use crate::ops::tracked::{Source, Tracked, TrackedOut, TrackedPipeline};
use crate::ops::{OpError, add, git_files, leases, pointers, repro, run_cache, surroundings};
use crate::pipeline::graph::StageAddress;
use crate::pipeline::plan::{self, PlanOptions, State, Verdict};
use crate::repo::Repo;
use crate::report::Reporter;
use crate::store::statindex::{StatIndex, StatIndexUpdate};

/// A stage that is to be accepted.
pub(super) struct Chosen<'t> {
    pipeline: &'t TrackedPipeline,
    stage: &'t Stage,
    /// Whether a target says its name, or that of an output of it.
    is_named: bool,
}

/// The stages that the targets mean: those of outputs, and named ones that make nothing.
pub(super) fn chosen<'t>(
    repo: &Repo,
    tracked: &'t Tracked,
    options: &TargetOptions,
) -> Result<Vec<Chosen<'t>>, OpError> {
    let mut addresses: Vec<StageAddress> = Vec::new();
    for one in targets::outputs(repo, tracked, options)? {
        if let Source::Stage { file, stage } = &one.out.source {
            addresses.push(StageAddress { file: file.clone(), name: stage.clone() });
        }
    }
    // By its own name, or by an output; a folder names none of the stages below it.
    let mut named = Vec::new();
    if !options.targets.is_empty() {
        named = targets::outputs_and_stages(repo, tracked, options)?.1;
        for path in targets::paths(repo, &options.targets, options.glob).unwrap_or_default() {
            if let Some((TrackedOut { source: Source::Stage { file, stage }, .. }, _)) =
                tracked.containing(&path)
            {
                named.push(StageAddress { file: file.clone(), name: stage.clone() });
            }
        }
    }
    let mut chosen = Vec::new();
    for pipeline in tracked.pipelines() {
        let file = &pipeline.pipeline.file;
        for stage in &pipeline.pipeline.stages {
            let is = |one: &StageAddress| one.file == *file && one.name == stage.name;
            let (is_chosen, is_named) = (addresses.iter().any(is), named.iter().any(is));
            if is_chosen || stage.outs.is_empty() && is_named {
                chosen.push(Chosen { pipeline, stage, is_named });
            }
        }
    }
    Ok(chosen)
}

/// Waits for other processes that run, right now, a stage that is to be accepted or one that makes what it
/// reads: what stands at their outputs may be half made, or not there. Returns whether there was any. No lease
/// is held meanwhile, so nobody can wait for this process.
///
/// A stage that is not named is accepted only if nothing of it changed, so that a run of days need not end.
pub(super) fn await_runs(
    repo: &Repo,
    tracked: &Tracked,
    (targets, options): (&TargetOptions, CommitOptions),
    reporter: &dyn Reporter,
) -> Result<bool, OpError> {
    let chosen = chosen(repo, tracked, targets)?;
    let accepted: Vec<&Chosen<'_>> = chosen.iter().filter(|one| one.is_named || options.force).collect();
    if accepted.is_empty() {
        return Ok(false);
    }
    let graph = repro::graph(tracked)?;
    let mut awaited = BTreeSet::new();
    for Chosen { pipeline, stage, .. } in accepted {
        let Some(index) = graph.find(&pipeline.pipeline.file, &stage.name) else { continue };
        awaited.extend(graph.upstream(index).chain([index]));
    }
    let mut has_waited = false;
    for index in awaited {
        has_waited |= leases::await_idle(repo, &graph.address(index).to_string(), reporter)?;
    }
    Ok(has_waited)
}

/// The entries that accepted stages get.
pub(super) struct Accepted<'a> {
    repo: &'a Repo,
    tracked: &'a Tracked,
    reporter: &'a dyn Reporter,
    state: WorkTreeState<'a>,
    updates: Updates,
    outs: Vec<&'a Out>,
    /// Outputs that git keeps.
    kept_by_git: Vec<RepoPath>,
    /// Of the stages that are accepted, until their entries are written; none in a dry run.
    leases: Vec<StageLease>,
    options: CommitOptions,
    /// The commit that records belong to, once there is one.
    origin: OnceCell<Origin>,
}

impl<'a> Accepted<'a> {
    pub(super) fn new(
        repo: &'a Repo,
        tracked: &'a Tracked,
        index: &'a StatIndex,
        options: CommitOptions,
        reporter: &'a dyn Reporter,
    ) -> Accepted<'a> {
        let scanner = Scanner::new(repo, index, reporter);
        let state = WorkTreeState::new(repo, tracked, scanner, Absent::AsRecorded);
        let (updates, outs, kept_by_git, leases, origin) = Default::default();
        Accepted { repo, tracked, reporter, state, updates, outs, kept_by_git, leases, options, origin }
    }

    /// Takes a stage as it is, and what became of it into the report.
    pub(super) fn stage(
        &mut self,
        chosen: &Chosen<'a>,
        recording: &mut Recording<'_>,
        report: &mut CommitReport,
    ) {
        let Chosen { pipeline, stage, .. } = chosen;
        let address = StageAddress { file: pipeline.pipeline.file.clone(), name: stage.name.clone() };
        match self.accept(chosen, &address.to_string(), recording, report) {
            Ok(Some(entry)) => {
                self.updates.put(&pipeline.lock_file, &stage.name, entry);
                self.outs.extend(&stage.outs);
                report.stages.push(address.to_string());
            }
            Ok(None) => {}
            Err(error) => report.failed.push((address.file, error)),
        }
    }

    /// The new entry; nothing where it would say the same, or where outputs are not here.
    fn accept(
        &mut self,
        chosen: &Chosen<'a>,
        target: &str,
        recording: &mut Recording<'_>,
        report: &mut CommitReport,
    ) -> Result<Option<StageLock>, OpError> {
        let Chosen { pipeline, stage, .. } = chosen;
        let recorded = pipeline.lock.stages.get(&stage.name);
        if let Some(path) = self.absent(stage, report)? {
            if recorded.is_none() && chosen.is_named {
                return Err(StageError::NothingMade { stage: target.into(), path }.into());
            }
            return Ok(None);
        }
        let mut verdict = plan::decide(stage, recorded, &self.state, PlanOptions::default())?;
        // That it would come out like this is the user's word alone.
        if !matches!(verdict, Verdict::Skip { .. }) && !chosen.is_named && !self.options.force {
            report.left.push(target.to_owned());
            return Ok(None);
        }
        let mut lock = recorded.cloned();
        if !self.options.dry_run && !matches!(verdict, Verdict::Skip { .. }) {
            // What a run is making now is accepted when it is done.
            self.leases.push(leases::acquire(self.repo, target, self.reporter)?);
            self.state.forget_all();
            lock = lock_entries::read(self.repo, &pipeline.lock_file)?.stages.remove(&stage.name);
            if self.absent(stage, report)?.is_some() {
                return Ok(None);
            }
            verdict = plan::decide(stage, lock.as_ref(), &self.state, PlanOptions::default())?;
        }
        let inputs = match verdict {
            Verdict::Skip { .. } => None,
            _ => {
                let read = Inputs::read(stage, target, &self.state)?;
                self.state.warn_of_other_commits(self.reporter);
                Some(read)
            }
        };
        let mut outs = Vec::new();
        for out in &stage.outs {
            if out.optional && self.repo.dir().stat(&out.path)?.is_none() {
                continue;
            }
            let known = lock.as_ref().and_then(|lock| lock.out(&out.path)).map(|known| &known.content);
            // What git keeps goes to the cache too where a later run may bring it back.
            let store = out.cache || inputs.is_some() && is_reusable(stage);
            let request = Request { output: &out.path, known, inside: &[], store, take_back: true };
            outs.push(LockOut::new(out, recording.output(request)?.info));
        }
        let entry = match inputs {
            Some(read) => {
                let entry = StageLock::new(stage.command.clone(), read.deps, read.params, outs);
                Some(entry.with_settings(stage.settings(|name| self.state.variable(name))))
            }
            // Who keeps an output, and where, may have changed nevertheless.
            None => lock.as_ref().and_then(|lock| lock.with_flags_of(stage)),
        };
        let entry = entry.filter(|entry| lock.as_ref() != Some(entry));
        if let Some(entry) = &entry {
            for out in stage.outs.iter().filter(|out| out.cache) {
                add::check_not_in_git(self.repo, &out.path)?;
            }
            self.remember(stage, entry, recording);
            self.kept_by_git.extend(git_files::kept_by_git(self.repo, (lock.as_ref(), entry))?);
        }
        Ok(entry)
    }

    /// Has `repro` bring the outputs back where the inputs are these again, as if a run had made them: that is
    /// what was accepted. Without it a later run only takes longer.
    fn remember(&self, stage: &Stage, entry: &StageLock, recording: &Recording<'_>) {
        let Some(inputs) = RunInputs::of(stage, entry).filter(|_| !self.options.dry_run) else { return };
        let origin = self.origin.get_or_init(|| Origin::of(self.repo));
        let facts = run_cache::facts(origin, "commit", SystemTime::now());
        let record = run_cache::record(entry, facts);
        let _ = run_cache::remember(self.repo, recording, &inputs, &record);
    }

    /// The first output of the stage that is not here; counts them.
    fn absent(&self, stage: &Stage, report: &mut CommitReport) -> Result<Option<RepoPath>, OpError> {
        let mut first = None;
        for out in stage.outs.iter().filter(|out| !out.optional) {
            if self.repo.dir().stat(&out.path)?.is_none() {
                report.not_here += 1;
                first.get_or_insert_with(|| out.path.clone());
            }
        }
        Ok(first)
    }

    pub(super) fn take_learned(&self) -> StatIndexUpdate {
        self.state.take_update()
    }

    /// Writes the lock files; the data is durable already (I1). Returns the files that changed.
    pub(super) fn write(self) -> Result<Vec<RepoPath>, OpError> {
        if self.updates.is_empty() {
            return Ok(Vec::new());
        }
        let held = surroundings::lock(self.repo, self.reporter)?;
        let mut changed = pointers::ignore_stage_outputs(self.repo, &self.outs, &held)?;
        let exists = |file: &RepoPath, name: &str| {
            let pipeline = self.tracked.pipelines().iter().find(|one| one.lock_file == *file);
            pipeline.is_some_and(|one| one.pipeline.stages.iter().any(|stage| *stage.name == *name))
        };
        changed.extend(self.updates.write(self.repo, exists, &held)?);
        changed.extend(self.kept_by_git);
        Ok(changed)
    }
}
