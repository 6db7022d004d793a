//! Stages that cannot run for want of an input that neither is there nor is made by a stage: `repro` refuses
//! them before anything runs, a dry run, `explain` and `status` name them.

use serde_json::{Value, json};

use crate::model::lockfile::StageLock;
use crate::model::path::RepoPath;
use crate::ops::present::{Lag, WorkTreeState};
use crate::ops::repro::error::StageError;
use crate::ops::repro::{Prepared, ReproOptions};
use crate::ops::tracked::Source;
use crate::pipeline::graph::{Graph, StageIndex};
use crate::pipeline::plan::{self, MissingInput, PlanOptions, State};

/// The stages of `order` that have to run and cannot, each with why. With `--pull` nothing lacks that is
/// recorded: it comes, or is told when it does not.
pub(in crate::ops) fn lacking<'a>(
    graph: &Graph,
    order: &[StageIndex],
    entry: impl Fn(StageIndex) -> Option<&'a StageLock>,
    state: &WorkTreeState<'_>,
    options: &ReproOptions,
) -> Vec<(StageIndex, StageError)> {
    let plan_options = PlanOptions { pull: options.pull, ..options.plan() };
    let mut found = Vec::new();
    for (index, mut missing) in plan::lacking(graph, order, entry, state, plan_options) {
        if options.pull {
            missing.retain(|input| input.file().and_then(|path| state.bring(path)).is_none());
        }
        if !missing.is_empty() {
            let (target, stage) = (graph.address(index).to_string(), graph.stage(index));
            found.push((index, StageError::lacks((&target, stage), missing, |path| state.bring(path))));
        }
    }
    found
}

/// The stages that cannot run because they read data that users track, or go on from an output, that is not, or
/// only partly, here: if they have to run, which a plan tells. None with `--pull`, which brings it.
pub(super) fn not_here(all: &Prepared<'_>, options: &ReproOptions) -> Vec<(StageIndex, StageError)> {
    let is_data = |path: &RepoPath| {
        let outs = all.tracked.at(path);
        !outs.is_empty() && outs.iter().all(|(out, _)| matches!(out.source, Source::Pointer { .. }))
    };
    let is_absent = |path: &RepoPath| match all.state.found(path) {
        Ok(found) => found.is_some_and(|found| found.is_partial),
        Err(error) => error.is_not_downloaded(),
    };
    let mut found = Vec::new();
    for &index in all.order.iter().filter(|_| !options.pull) {
        let stage = all.graph.stage(index);
        let deps = all.state.deps_of(stage).unwrap_or_else(|_| stage.deps.clone());
        let absent = deps.into_iter().find(|path| is_data(path) && is_absent(path));
        if let Some(path) = absent.or_else(|| persistent(all, index)) {
            let target = all.graph.address(index).to_string().into();
            found.push((index, StageError::PartialInput { stage: target, path }));
        }
    }
    found
}

/// The first output with `persist` that can not be made what the lock records.
fn persistent(all: &Prepared<'_>, index: StageIndex) -> Option<RepoPath> {
    let lock = all.locks.entry(all.graph.address(index))?;
    let is_absent = |path: &RepoPath| {
        let Some(made) = lock.out(path) else { return false };
        let lag = all.state.lag(path, &made.content);
        matches!(lag, Ok(Some(Lag::Behind | Lag::Partial(_))))
            && all.state.is_cached(&made.content).is_ok_and(|is_cached| !is_cached)
    };
    let mut outs = all.graph.stage(index).outs.iter().filter(|out| out.persist && out.cache);
    outs.find(|out| is_absent(&out.path)).map(|out| out.path.clone())
}

/// Adds to why a stage would run what keeps it from that.
pub(in crate::ops) fn add_reason(error: &StageError, reasons: &mut Vec<Value>) {
    let StageError::MissingInputs { missing, .. } = error else { return };
    let names = missing.iter().map(|input| match input {
        MissingInput::File { path } => (path.to_string(), json!("missing")),
        MissingInput::Match { pattern } => (pattern.to_string(), json!("matches nothing")),
        MissingInput::Param { file, key } => (format!("{file}:{key}"), json!("missing")),
    });
    let missing: serde_json::Map<_, _> = names.collect();
    reasons.insert(0, json!({ "missing": missing }));
}
